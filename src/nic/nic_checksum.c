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
#define TCP_SIZE_MIN 20u
#define IPV4_CHECKSUM_AT 10u
#define IPV4_ADDRESSES_AT 12u
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

uint64_t nic_checksum_tcp_pseudo(struct bytes addresses, uint16_t tcp_size)
{
    ASSERT(addresses.size == 8);
    const uint8_t tail[4] = {0, PROTOCOL_TCP, (uint8_t)(tcp_size >> 8), (uint8_t)tcp_size};
    return nic_checksum_add(nic_checksum_add(0, addresses), bytes_of(tail, sizeof tail));
}

static uint16_t u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static struct be16 tcp_field(const uint8_t *ip, struct bytes segment)
{
    uint64_t pseudo =
        nic_checksum_tcp_pseudo(bytes_of(ip + IPV4_ADDRESSES_AT, 8), (uint16_t)segment.size);
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
    uint16_t header_size = (uint16_t)((ip[0] & 0x0fu) * 4u);
    uint16_t total = u16_at(ip + 2);
    ASSERT(header_size >= IPV4_SIZE_MIN);
    ASSERT(total <= packet->size - packet->ip_offset);
    if (wanted & PACKET_FILL_TCP) {
        ASSERT(total >= header_size + TCP_SIZE_MIN);
        uint8_t *tcp = ip + header_size;
        struct be16 field = tcp_field(ip, bytes_of(tcp, (size_t)total - header_size));
        memcpy(tcp + TCP_CHECKSUM_AT, &field, sizeof field);
    }
    if (wanted & PACKET_FILL_IP) {
        struct be16 field = nic_checksum_field(nic_checksum_add(0, bytes_of(ip, header_size)));
        memcpy(ip + IPV4_CHECKSUM_AT, &field, sizeof field);
    }
}

/* The IPv4 packet of a frame, or an empty view. */
static struct bytes find_ipv4(struct bytes frame)
{
    size_t at = ETHERNET_SIZE;
    if (frame.size >= at + VLAN_SIZE && u16_at(frame.at + at - 2) == 0x8100)
        at += VLAN_SIZE;
    if (frame.size < at + IPV4_SIZE_MIN || u16_at(frame.at + at - 2) != 0x0800)
        return (struct bytes){0};
    return bytes_from(frame, at);
}

static bool is_zero(struct be16 field)
{
    return field.octet[0] == 0 && field.octet[1] == 0;
}

uint16_t nic_checksum_judge(struct bytes frame)
{
    struct bytes ip = find_ipv4(frame);
    if (ip.size == 0 || ip.at[0] >> 4 != 4)
        return 0;
    size_t header_size = (ip.at[0] & 0x0fu) * 4u;
    size_t total = u16_at(ip.at + 2);
    if (header_size < IPV4_SIZE_MIN || total < header_size || total > ip.size)
        return 0;
    if (!is_zero(nic_checksum_field(nic_checksum_add(0, bytes_slice(ip, 0, header_size)))))
        return PACKET_CHECKSUM_BAD;

    bool is_fragment = (u16_at(ip.at + 6) & 0x3fffu) != 0;
    if (ip.at[9] != PROTOCOL_TCP || is_fragment || total < header_size + TCP_SIZE_MIN)
        return PACKET_IP_GOOD;
    struct bytes segment = bytes_slice(ip, header_size, total - header_size);
    if (!is_zero(tcp_field(ip.at, segment)))
        return PACKET_IP_GOOD | PACKET_CHECKSUM_BAD;
    return PACKET_IP_GOOD | PACKET_L4_GOOD;
}
