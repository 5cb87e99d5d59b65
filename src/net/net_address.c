/* SPDX-License-Identifier: Apache-2.0
 *
 * Text forms of addresses (part of stentor/net.h). IPv4: dotted quad, four decimal numbers without
 * leading zeros, nothing before or after. IPv6: read as RFC 4291 section 2.2 allows it (eight
 * groups of hexadecimal digits, one run of zero groups as "::", the last two groups as a dotted
 * quad), written as RFC 5952 section 4 wants it. */
#include "stentor/text.h"

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

static bool parse_ipv4(struct bytes text, struct net_address *address)
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

/* ---- IPv6 ---- */

#define GROUPS 8u

/* Groups read so far, and before which of them "::" stood. */
struct groups {
    uint16_t items[GROUPS];
    uint32_t count;
    uint32_t gap; /* GROUPS + 1 = nowhere */
};

static bool read_digit(uint8_t octet, uint32_t *digit)
{
    uint8_t letter = octet | 0x20u;
    if (octet >= '0' && octet <= '9')
        *digit = octet - '0';
    else if (letter >= 'a' && letter <= 'f')
        *digit = letter - 'a' + 10u;
    else
        return false;
    return true;
}

static bool read_group(struct bytes text, struct groups *groups)
{
    uint32_t value = 0;
    if (text.size == 0 || text.size > 4 || groups->count == GROUPS)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint32_t digit = 0;
        if (!read_digit(text.at[i], &digit))
            return false;
        value = value << 4 | digit;
    }
    groups->items[groups->count++] = (uint16_t)value;
    return true;
}

/* A dotted quad in place of the last two groups. */
static bool read_quad(struct bytes text, struct groups *groups)
{
    struct net_address quad;
    if (groups->count + 2 > GROUPS || !parse_ipv4(text, &quad))
        return false;
    uint32_t number = net_address_ipv4(&quad);
    groups->items[groups->count++] = (uint16_t)(number >> 16);
    groups->items[groups->count++] = (uint16_t)number;
    return true;
}

/* One group and the colon behind it; the text begins behind the last colon. */
static bool read_part(struct bytes *text, struct groups *groups)
{
    size_t size = bytes_find(*text, ':');
    struct bytes part = bytes_slice(*text, 0, size);
    if (size == text->size) {
        *text = bytes_from(*text, size);
        return read_group(part, groups) || read_quad(part, groups);
    }
    *text = bytes_from(*text, size + 1);
    if (size != 0)
        return read_group(part, groups) && text->size != 0;
    if (groups->gap <= GROUPS) /* a second "::" */
        return false;
    groups->gap = groups->count;
    return true;
}

static bool parse_ipv6(struct bytes text, struct net_address *address)
{
    struct groups groups = {.gap = GROUPS + 1};
    if (text.size != 0 && text.at[0] == ':') { /* only "::" may begin it */
        if (text.size < 2 || text.at[1] != ':')
            return false;
        text = bytes_from(text, 1);
    }
    while (text.size != 0)
        if (!read_part(&text, &groups))
            return false;
    bool has_gap = groups.gap <= GROUPS;
    if (has_gap ? groups.count == GROUPS : groups.count != GROUPS)
        return false;
    *address = (struct net_address){0};
    for (uint32_t i = 0; i < groups.count; i++) {
        uint32_t at = i < groups.gap ? i : i + GROUPS - groups.count;
        address->octets[2 * at] = (uint8_t)(groups.items[i] >> 8);
        address->octets[2 * at + 1] = (uint8_t)groups.items[i];
    }
    return true;
}

bool net_address_parse(struct bytes text, struct net_address *address)
{
    return parse_ipv4(text, address) || parse_ipv6(text, address);
}

static uint32_t group_at(const struct net_address *address, uint32_t i)
{
    return (uint32_t)address->octets[2 * i] << 8 | address->octets[2 * i + 1];
}

/* RFC 5952 section 4.2: the longest run of two or more, the first of equals. */
static uint32_t find_run(const struct net_address *address, uint32_t *size)
{
    uint32_t best = GROUPS;
    *size = 1;
    for (uint32_t i = 0; i < GROUPS; i++) {
        uint32_t end = i;
        while (end < GROUPS && group_at(address, end) == 0)
            end++;
        if (end - i > *size) {
            best = i;
            *size = end - i;
        }
    }
    return best;
}

static void write_group(struct writer *into, uint32_t value)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t shift = 12;
    while (shift != 0 && value >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        write_u8(into, (uint8_t)digits[value >> shift & 0xfu]);
        if (shift == 0)
            return;
    }
}

static void write_ipv6(const struct net_address *address, struct writer *into)
{
    uint32_t size;
    uint32_t run = find_run(address, &size);
    for (uint32_t i = 0; i < GROUPS;) {
        if (i == run) {
            write_string(into, "::");
            i += size;
            continue;
        }
        if (i != 0 && i != run + size)
            write_u8(into, ':');
        write_group(into, group_at(address, i++));
    }
}

void net_address_write(const struct net_address *address, struct writer *into)
{
    if (!net_address_is_ipv4(address)) {
        write_ipv6(address, into);
        return;
    }
    for (uint32_t i = 12; i < 16; i++) {
        if (i > 12)
            write_u8(into, '.');
        write_decimal(into, address->octets[i]);
    }
}

/* ---- with a prefix, on a VLAN ---- */

/* Cuts "%vlan" off; false when it is no VLAN. */
static bool take_vlan(struct bytes *text, uint16_t *vlan)
{
    size_t at = bytes_find(*text, '%');
    uint64_t number = 0;
    *vlan = 0;
    if (at == text->size)
        return true;
    if (!decimal_parse(bytes_from(*text, at + 1), VLAN_IDENTIFIER_MASK - 1, &number) || number == 0)
        return false;
    *vlan = (uint16_t)number;
    *text = bytes_slice(*text, 0, at);
    return true;
}

bool net_local_parse(struct bytes text, struct net_local *local)
{
    uint64_t bits = 0;
    if (!take_vlan(&text, &local->vlan))
        return false;
    size_t at = bytes_find(text, '/');
    if (at == text.size || !decimal_parse(bytes_from(text, at + 1), 128, &bits))
        return false;
    local->prefix_bits = (uint8_t)bits;
    return net_address_parse(bytes_slice(text, 0, at), &local->address) &&
           net_address_is_host(&local->address, local->prefix_bits);
}

bool net_router_parse(struct bytes text, struct net_router *router)
{
    if (!take_vlan(&text, &router->vlan) || !net_address_parse(text, &router->address))
        return false;
    return net_address_is_host(&router->address, net_address_is_ipv4(&router->address) ? 32 : 128);
}

/* ---- what an address can be ---- */

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
    if (net_address_is_ipv4(address))
        return is_ipv4_host(net_address_ipv4(address), prefix_bits);
    return address->octets[0] != 0xff && prefix_bits > 0 && prefix_bits <= 128 &&
           !net_address_equal(address, &nobody) && !net_address_equal(address, &loopback);
}

bool net_address_is_near(const struct net_address *one, const struct net_address *other,
                         uint32_t prefix_bits)
{
    uint32_t bits = net_address_is_ipv4(one) ? 96 + prefix_bits : prefix_bits;
    if (net_address_is_ipv4(one) != net_address_is_ipv4(other) || bits > 128)
        return false;
    if (memcmp(one->octets, other->octets, bits / 8) != 0)
        return false;
    uint32_t rest = bits % 8;
    return rest == 0 || (one->octets[bits / 8] ^ other->octets[bits / 8]) >> (8 - rest) == 0;
}
