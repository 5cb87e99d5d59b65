/* SPDX-License-Identifier: Apache-2.0
 *
 * Text forms of addresses (part of stentor/net.h): dotted quad, four decimal numbers without
 * leading zeros, nothing before or after. */
#include "ip.h"

static bool read_octet(struct cursor *cursor, uint8_t *octet)
{
    uint32_t value = 0;
    uint32_t digits = 0;
    while (cursor_left(cursor) > 0 && *cursor->at >= '0' && *cursor->at <= '9') {
        uint8_t digit;
        if (!cursor_u8(cursor, &digit) || (digits == 1 && value == 0))
            return false;
        value = value * 10 + (uint32_t)(digit - '0');
        if (value > UINT8_MAX)
            return false;
        digits++;
    }
    *octet = (uint8_t)value;
    return digits > 0;
}

bool net_address_parse(struct bytes text, struct net_address *address)
{
    struct cursor cursor = cursor_of(text);
    uint32_t number = 0;
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t octet;
        if (i > 0 && (!cursor_u8(&cursor, &octet) || octet != '.'))
            return false;
        if (!read_octet(&cursor, &octet))
            return false;
        number = number << 8 | octet;
    }
    if (cursor_left(&cursor) != 0)
        return false;
    *address = net_address_of_ipv4(number);
    return true;
}

void net_address_write(const struct net_address *address, struct writer *into)
{
    for (uint32_t i = 12; i < 16; i++) {
        if (i > 12)
            write_u8(into, '.');
        write_decimal(into, address->octets[i]);
    }
}
