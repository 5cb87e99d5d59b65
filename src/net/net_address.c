/* SPDX-License-Identifier: Apache-2.0
 *
 * Text forms of addresses (part of stentor/net.h): dotted quad, four decimal numbers without
 * leading zeros, nothing before or after. */
#include "ip.h"

#define LOOPBACK_NET 127u
#define GROUP_START 0xe0000000u /* 224/4 multicast, 240/4 reserved, broadcast */

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

/* ---- what an address can be ---- */

static bool is_ipv4(const struct net_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->octets, mapped, sizeof mapped) == 0;
}

static bool is_ipv4_host(uint32_t number, uint32_t prefix_bits)
{
    uint32_t net = number >> 24;
    if (net == 0 || net == LOOPBACK_NET || number >= GROUP_START || prefix_bits > 32)
        return false;
    if (prefix_bits == 0 || prefix_bits >= 31)
        return prefix_bits != 0; /* RFC 3021: a link of two has no broadcast address */
    uint32_t host = number & (UINT32_MAX >> prefix_bits);
    return host != 0 && host != UINT32_MAX >> prefix_bits;
}

bool net_address_is_host(const struct net_address *address, uint32_t prefix_bits)
{
    static const struct net_address nobody = {{0}};
    static const struct net_address loopback = {{[15] = 1}};
    if (is_ipv4(address))
        return is_ipv4_host(net_address_ipv4(address), prefix_bits);
    return address->octets[0] != 0xff && prefix_bits > 0 && prefix_bits <= 128 &&
           !net_address_equal(address, &nobody) && !net_address_equal(address, &loopback);
}

bool net_address_is_near(const struct net_address *one, const struct net_address *other,
                         uint32_t prefix_bits)
{
    uint32_t bits = is_ipv4(one) ? 96 + prefix_bits : prefix_bits;
    if (is_ipv4(one) != is_ipv4(other) || bits > 128)
        return false;
    if (memcmp(one->octets, other->octets, bits / 8) != 0)
        return false;
    uint32_t rest = bits % 8;
    return rest == 0 || (one->octets[bits / 8] ^ other->octets[bits / 8]) >> (8 - rest) == 0;
}
