/* SPDX-License-Identifier: Apache-2.0
 *
 * The Internet checksum, four independent chains of 64-bit additions with the carry brought round:
 * the one's complement sum does not care how wide the words are, so eight octets go in at a time
 * and are folded to sixteen bits at the end. A frame of 1500 octets takes some 50 ns.
 * Any thread. */
#include "stentor/nic_checksum.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the fold swaps to network order");

#define ETHERNET_SIZE 14u
#define VLAN_SIZE 4u
#define IPV4_SIZE_MIN 20u
#define IPV6_SIZE 40u
#define TCP_SIZE_MIN 20u
#define IPV4_CHECKSUM_AT 10u
#define IPV4_ADDRESSES_AT 12u
#define IPV6_ADDRESSES_AT 8u
#define TYPE_VLAN 0x8100u
#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define TCP_CHECKSUM_AT 16u
#define PROTOCOL_TCP 6u

static inline uint64_t word_at(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint64_t add_round(uint64_t sum, uint64_t word)
{
    uint64_t result;
    bool has_carry = __builtin_add_overflow(sum, word, &result);
    return result + has_carry;
}

uint64_t nic_checksum_add(uint64_t sum, struct bytes octets)
{
    const uint8_t *at = octets.at;
    size_t left = octets.size;
    uint64_t sums[4] = {sum, 0, 0, 0};
    for (; left >= 32; left -= 32, at += 32) {
        sums[0] = add_round(sums[0], word_at(at));
        sums[1] = add_round(sums[1], word_at(at + 8));
        sums[2] = add_round(sums[2], word_at(at + 16));
        sums[3] = add_round(sums[3], word_at(at + 24));
    }
    sum = add_round(add_round(sums[0], sums[1]), add_round(sums[2], sums[3]));
    for (; left >= 8; left -= 8, at += 8)
        sum = add_round(sum, word_at(at));
    if (left != 0) {
        uint64_t last = 0; /* an odd octet is padded with zeros behind it: RFC 1071 section 1 */
        memcpy(&last, at, left);
        sum = add_round(sum, last);
    }
    return sum;
}

struct be16 nic_checksum_field(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t field = (uint16_t)~sum;
    struct be16 result;
    memcpy(result.octet, &field, sizeof field);
    return result;
}

/* IPv6 writes the size in 32 bits and the protocol behind three zeros (RFC 8200 section 8.1): the
 * same words in another order, so the same sum. */
uint64_t nic_checksum_tcp_pseudo(struct bytes addresses, uint16_t tcp_size)
{
    ASSERT(addresses.size == 8 || addresses.size == 32);
    const uint8_t tail[4] = {0, PROTOCOL_TCP, (uint8_t)(tcp_size >> 8), (uint8_t)tcp_size};
    return nic_checksum_add(nic_checksum_add(0, addresses), bytes_of(tail, sizeof tail));
}

static uint16_t u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* An IP packet of either version, as far as checksums care. */
struct ip_view {
    const uint8_t *at;
    struct bytes addresses;
    size_t header_size;
    size_t total; /* header and payload */
    bool is_tcp;  /* whole: no fragment, no extension header before it */
    bool has_checksum;
};

static struct ip_view view_ipv4(const uint8_t *ip)
{
    struct ip_view view = {.at = ip, .has_checksum = true};
    view.addresses = bytes_of(ip + IPV4_ADDRESSES_AT, 8);
    view.header_size = (ip[0] & 0x0fu) * 4u;
    view.total = u16_at(ip + 2);
    view.is_tcp = ip[9] == PROTOCOL_TCP && (u16_at(ip + 6) & 0x3fffu) == 0;
    return view;
}

static struct ip_view view_ipv6(const uint8_t *ip)
{
    struct ip_view view = {.at = ip, .header_size = IPV6_SIZE};
    view.addresses = bytes_of(ip + IPV6_ADDRESSES_AT, 32);
    view.total = IPV6_SIZE + (size_t)u16_at(ip + 4);
    view.is_tcp = ip[6] == PROTOCOL_TCP;
    return view;
}

static struct bytes header_of(const struct ip_view *view)
{
    return bytes_of(view->at, view->header_size);
}

static struct be16 tcp_field(const struct ip_view *view)
{
    struct bytes segment = bytes_of(view->at + view->header_size, view->total - view->header_size);
    uint64_t pseudo = nic_checksum_tcp_pseudo(view->addresses, (uint16_t)segment.size);
    return nic_checksum_field(nic_checksum_add(pseudo, segment));
}

void nic_checksum_fill(struct packet *packet)
{
    uint16_t wanted = packet->flags & (PACKET_FILL_IP | PACKET_FILL_TCP);
    if (wanted == 0)
        return;
    packet->flags = (uint16_t)(packet->flags & ~(PACKET_FILL_IP | PACKET_FILL_TCP));
    ASSERT(packet->ip_offset >= ETHERNET_SIZE);
    ASSERT(packet->size >= packet->ip_offset + IPV4_SIZE_MIN);
    uint8_t *ip = packet->frame + packet->ip_offset;
    bool is_ipv6 = ip[0] >> 4 == 6;
    ASSERT(!is_ipv6 || packet->size >= packet->ip_offset + IPV6_SIZE);
    struct ip_view view = is_ipv6 ? view_ipv6(ip) : view_ipv4(ip);
    ASSERT(view.header_size >= IPV4_SIZE_MIN);
    ASSERT(view.total <= (size_t)(packet->size - packet->ip_offset));
    if (wanted & PACKET_FILL_TCP) {
        ASSERT(view.total >= view.header_size + TCP_SIZE_MIN);
        struct be16 field = tcp_field(&view);
        memcpy(ip + view.header_size + TCP_CHECKSUM_AT, &field, sizeof field);
    }
    if (wanted & PACKET_FILL_IP && view.has_checksum) {
        struct be16 field = nic_checksum_field(nic_checksum_add(0, header_of(&view)));
        memcpy(ip + IPV4_CHECKSUM_AT, &field, sizeof field);
    }
}

/* The IP packet of a frame with its sizes in order; false when there is none. */
static bool find_ip(struct bytes frame, struct ip_view *view)
{
    size_t at = ETHERNET_SIZE;
    if (frame.size >= at + VLAN_SIZE && u16_at(frame.at + at - 2) == TYPE_VLAN)
        at += VLAN_SIZE;
    if (frame.size < at + IPV4_SIZE_MIN)
        return false;
    struct bytes ip = bytes_from(frame, at);
    uint16_t type = u16_at(frame.at + at - 2);
    if (type == TYPE_IPV4 && ip.at[0] >> 4 == 4)
        *view = view_ipv4(ip.at);
    else if (type == TYPE_IPV6 && ip.at[0] >> 4 == 6 && ip.size >= IPV6_SIZE)
        *view = view_ipv6(ip.at);
    else
        return false;
    return view->header_size >= IPV4_SIZE_MIN && view->total >= view->header_size &&
           view->total <= ip.size;
}

static bool is_zero(struct be16 field)
{
    return field.octet[0] == 0 && field.octet[1] == 0;
}

uint16_t nic_checksum_judge(struct bytes frame)
{
    struct ip_view view;
    if (!find_ip(frame, &view))
        return 0;
    if (view.has_checksum && !is_zero(nic_checksum_field(nic_checksum_add(0, header_of(&view)))))
        return PACKET_CHECKSUM_BAD;
    if (!view.is_tcp || view.total < view.header_size + TCP_SIZE_MIN)
        return view.has_checksum ? PACKET_IP_GOOD : 0;
    if (!is_zero(tcp_field(&view)))
        return PACKET_IP_GOOD | PACKET_CHECKSUM_BAD;
    return PACKET_IP_GOOD | PACKET_L4_GOOD;
}
