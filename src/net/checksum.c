/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 1071: the sum does not care about byte order until the end, so words are added as the
 * machine has them, in a wide accumulator, and swapped once. */
#include "checksum.h"

static uint16_t fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)sum;
}

/* At most 64 KB, so that 64 bits cannot overflow. */
static uint64_t sum_words(struct bytes octets)
{
    const uint8_t *at = octets.at;
    size_t left = octets.size;
    uint64_t sum = 0;
    for (; left >= 4; at += 4, left -= 4) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        sum += word;
    }
    if (left != 0) {
        uint32_t word = 0;
        memcpy(&word, at, left);
        sum += word;
    }
    return sum;
}

uint16_t checksum_sum(struct bytes octets)
{
    return __builtin_bswap16(fold(sum_words(octets)));
}

bool checksum_is_good(struct bytes octets)
{
    return fold(sum_words(octets)) == UINT16_MAX;
}

bool checksum_is_good_tcp(const struct ip_header *ip, struct bytes segment)
{
    struct {
        struct be32 source;
        struct be32 destination;
        struct be16 protocol;
        struct be16 size;
    } pseudo = {ip->source, ip->destination, be16_of(IP_PROTOCOL_TCP),
                be16_of((uint16_t)segment.size)};
    static_assert(sizeof pseudo == 12, "RFC 9293 section 3.1");
    return fold(sum_words(segment) + sum_words(bytes_of(&pseudo, sizeof pseudo))) == UINT16_MAX;
}

/* RFC 8200 section 8.1. */
static uint64_t sum_ipv6(const struct ip6_header *ip, uint8_t protocol, struct bytes octets)
{
    struct {
        struct net_address source;
        struct net_address destination;
        struct be32 size;
        struct be32 next;
    } pseudo = {ip->source, ip->destination, be32_of((uint32_t)octets.size), be32_of(protocol)};
    static_assert(sizeof pseudo == 40, "RFC 8200 section 8.1");
    return sum_words(octets) + sum_words(bytes_of(&pseudo, sizeof pseudo));
}

bool checksum_is_good_ipv6(const struct ip6_header *ip, uint8_t protocol, struct bytes octets)
{
    return fold(sum_ipv6(ip, protocol, octets)) == UINT16_MAX;
}

struct be16 checksum_of_ipv6(const struct ip6_header *ip, uint8_t protocol, struct bytes octets)
{
    return be16_of((uint16_t)~__builtin_bswap16(fold(sum_ipv6(ip, protocol, octets))));
}

struct be16 checksum_of(struct bytes octets)
{
    return be16_of((uint16_t)~checksum_sum(octets));
}
