/* SPDX-License-Identifier: Apache-2.0
 *
 * Software RSS. Ports differ in what they hash and how truthfully they say so, and the virtual
 * ones have none; here the owner of a flow is a pure function of its addresses and ports under a
 * secret key, and whatever the port did is corrected by passing the packet on.
 *
 * IPv4 fragments (even the first, which has ports: the others have not), IPv6 with extension
 * headers, ICMP and all else belong to queue 0. About 15 ns a packet; with one queue nobody
 * calls this. Any thread. */
#include "nic_steer.h"

#define TYPE_IPV4 0x0800u
#define TYPE_ARP 0x0806u
#define TYPE_VLAN 0x8100u
#define TYPE_IPV6 0x86ddu
#define PROTOCOL_TCP 6u

static uint64_t u32_at(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The high bits of a hash as an index; no division. */
static uint32_t scale(uint64_t hash, uint32_t queue_count)
{
    return (uint32_t)((hash >> 32) * queue_count >> 32);
}

static uint32_t steer_ipv4(const struct siphash_key *key, struct bytes ip, uint32_t queue_count)
{
    if (ip.size < 24)
        return 0;
    size_t header = (size_t)(ip.at[0] & 0x0fu) * 4;
    bool is_fragment = ((ip.at[6] << 8 | ip.at[7]) & 0x3fff) != 0;
    if (ip.at[9] != PROTOCOL_TCP || is_fragment || header < 20 || ip.size < header + 4)
        return 0;
    uint64_t addresses = u32_at(ip.at + 12) << 32 | u32_at(ip.at + 16);
    return scale(siphash_1_3_u64x2(key, addresses, u32_at(ip.at + header)), queue_count);
}

static uint32_t steer_ipv6(const struct siphash_key *key, struct bytes ip, uint32_t queue_count)
{
    if (ip.size < 44 || ip.at[6] != PROTOCOL_TCP)
        return 0;
    return scale(siphash_1_3(key, bytes_slice(ip, 8, 36)), queue_count);
}

uint32_t nic_steer_queue(const struct siphash_key *key, struct bytes frame, uint32_t queue_count)
{
    ASSERT(queue_count > 0);
    struct cursor at = cursor_of(frame);
    struct bytes macs;
    uint16_t type, tag;
    if (!cursor_take(&at, 12, &macs) || !cursor_be16(&at, &type))
        return 0;
    if (type == TYPE_VLAN && (!cursor_be16(&at, &tag) || !cursor_be16(&at, &type)))
        return 0;
    struct bytes packet = bytes_of(at.at, cursor_left(&at));
    if (type == TYPE_IPV4)
        return steer_ipv4(key, packet, queue_count);
    if (type == TYPE_IPV6)
        return steer_ipv6(key, packet, queue_count);
    return type == TYPE_ARP ? NIC_STEER_ALL : 0;
}
