/* SPDX-License-Identifier: Apache-2.0
 *
 * Software RSS. Ports differ in what they hash and how truthfully they say so, and the virtual
 * ones have none; here the owner of a flow is a pure function of its addresses and ports under a
 * secret key, and whatever the port did is corrected by passing the packet on.
 *
 * IPv6 extension headers are walked, HEADERS_MAX of them and EXTENSIONS_SIZE_MAX octets, the same
 * bounds as the receiver's, so that none it would accept is lost to a wrong queue. An ICMP error
 * quotes a packet of ours: its owner is found by the quoted tuple with the ends changed over.
 * Fragments (even the first, which has ports: the others have not), other ICMP and all else belong
 * to queue 0. About 15 ns a packet; with one queue nobody calls this. Any thread. */
#include "nic_steer.h"

#define TYPE_IPV4 0x0800u
#define TYPE_ARP 0x0806u
#define TYPE_VLAN 0x8100u
#define TYPE_IPV6 0x86ddu
#define PROTOCOL_ICMP 1u
#define PROTOCOL_TCP 6u
#define PROTOCOL_ICMPV6 58u
#define ICMP_HEADER_SIZE 8u /* then what an error quotes */
#define IPV4_SIZE_MIN 20u
#define IPV6_SIZE 40u
#define PORTS_SIZE 4u

/* IPv6 extension headers: RFC 8200 section 4. */
#define NEXT_HOP_BY_HOP 0u
#define NEXT_ROUTING 43u
#define NEXT_FRAGMENT 44u
#define NEXT_DESTINATION 60u
#define HEADERS_MAX 8u
#define EXTENSIONS_SIZE_MAX 256u

/* What stands above IP, and between whom. */
struct load {
    struct bytes source;
    struct bytes destination;
    uint8_t protocol;
    bool is_fragment;
    struct bytes octets;
};

/* ---- reading ---- */

static bool read_ipv4(struct bytes ip, struct load *load)
{
    if (ip.size < IPV4_SIZE_MIN)
        return false;
    size_t header = (size_t)(ip.at[0] & 0x0fu) * 4;
    if (header < IPV4_SIZE_MIN || ip.size < header)
        return false;
    load->source = bytes_slice(ip, 12, 4);
    load->destination = bytes_slice(ip, 16, 4);
    load->protocol = ip.at[9];
    load->is_fragment = ((ip.at[6] << 8 | ip.at[7]) & 0x3fff) != 0;
    load->octets = bytes_from(ip, header);
    return true;
}

static bool is_extension(uint8_t next)
{
    return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT ||
           next == NEXT_DESTINATION;
}

static bool read_ipv6(struct bytes ip, struct load *load)
{
    if (ip.size < IPV6_SIZE)
        return false;
    load->source = bytes_slice(ip, 8, 16);
    load->destination = bytes_slice(ip, 24, 16);
    load->protocol = ip.at[6];
    load->is_fragment = false;
    struct bytes rest = bytes_from(ip, IPV6_SIZE);
    for (uint32_t i = 0; i < HEADERS_MAX && is_extension(load->protocol); i++) {
        if (rest.size < 8)
            return false;
        bool is_fragment = load->protocol == NEXT_FRAGMENT;
        size_t size = is_fragment ? 8 : (size_t)rest.at[1] * 8 + 8;
        if (is_fragment && ((rest.at[2] << 8 | rest.at[3]) & 0xfff9) != 0)
            load->is_fragment = true; /* an atomic one (RFC 6946) is whole */
        if (rest.size < size)
            return false;
        load->protocol = rest.at[0];
        rest = bytes_from(rest, size);
    }
    load->octets = rest;
    return ip.size - IPV6_SIZE - rest.size <= EXTENSIONS_SIZE_MAX;
}

static bool read_any(uint16_t type, struct bytes ip, struct load *load)
{
    return type == TYPE_IPV4 ? read_ipv4(ip, load) : read_ipv6(ip, load);
}

/* The type behind at most one tag and what follows it; 0 when the frame is cut. */
static uint16_t read_type(struct bytes frame, struct bytes *packet)
{
    struct cursor at = cursor_of(frame);
    struct bytes macs;
    uint16_t type, tag;
    if (!cursor_take(&at, 12, &macs) || !cursor_be16(&at, &type))
        return 0;
    if (type == TYPE_VLAN && (!cursor_be16(&at, &tag) || !cursor_be16(&at, &type)))
        return 0;
    *packet = bytes_of(at.at, cursor_left(&at));
    return type;
}

/* ---- judging ---- */

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

static uint32_t steer_tuple(const struct siphash_key *key, const struct load *load,
                            uint32_t queue_count)
{
    if (load->is_fragment || load->octets.size < PORTS_SIZE)
        return 0;
    const uint8_t *ports = load->octets.at;
    if (load->source.size == 4) {
        uint64_t addresses = u32_at(load->source.at) << 32 | u32_at(load->destination.at);
        return scale(siphash_1_3_u64x2(key, addresses, u32_at(ports)), queue_count);
    }
    uint8_t tuple[16 + 16 + PORTS_SIZE];
    memcpy(tuple, load->source.at, 16);
    memcpy(tuple + 16, load->destination.at, 16);
    memcpy(tuple + 32, ports, PORTS_SIZE);
    return scale(siphash_1_3(key, bytes_of(tuple, sizeof tuple)), queue_count);
}

static uint32_t steer_quoted(const struct siphash_key *key, uint16_t type, struct bytes quoted,
                             uint32_t queue_count)
{
    struct load load;
    if (!read_any(type, quoted, &load) || load.protocol != PROTOCOL_TCP ||
        load.octets.size < PORTS_SIZE)
        return 0;
    const uint8_t *ports = load.octets.at;
    const uint8_t turned[PORTS_SIZE] = {ports[2], ports[3], ports[0], ports[1]};
    struct bytes source = load.source;
    load.source = load.destination;
    load.destination = source;
    load.octets = bytes_of(turned, sizeof turned);
    return steer_tuple(key, &load, queue_count);
}

/* Destination unreachable, time exceeded, parameter problem: RFC 792. */
static bool is_icmp_error(uint8_t type)
{
    return type == 3 || type == 11 || type == 12;
}

static uint32_t steer_icmp(const struct siphash_key *key, const struct load *load,
                           uint32_t queue_count)
{
    if (load->octets.size < ICMP_HEADER_SIZE || !is_icmp_error(load->octets.at[0]))
        return 0;
    return steer_quoted(key, TYPE_IPV4, bytes_from(load->octets, ICMP_HEADER_SIZE), queue_count);
}

/* Errors are types 1 to 4 (RFC 4443 section 2.1), neighbour discovery 133 to 137 (RFC 4861). */
static uint32_t steer_icmpv6(const struct siphash_key *key, const struct load *load,
                             uint32_t queue_count)
{
    if (load->octets.size < ICMP_HEADER_SIZE)
        return 0;
    uint8_t type = load->octets.at[0];
    if (type >= 133 && type <= 137)
        return NIC_STEER_ALL;
    if (type < 1 || type > 4)
        return 0;
    return steer_quoted(key, TYPE_IPV6, bytes_from(load->octets, ICMP_HEADER_SIZE), queue_count);
}

uint32_t nic_steer_queue(const struct siphash_key *key, struct bytes frame, uint32_t queue_count)
{
    ASSERT(queue_count > 0);
    struct bytes packet;
    struct load load;
    uint16_t type = read_type(frame, &packet);
    if (type == TYPE_ARP)
        return NIC_STEER_ALL;
    if ((type != TYPE_IPV4 && type != TYPE_IPV6) || !read_any(type, packet, &load))
        return 0;
    if (load.protocol == PROTOCOL_TCP)
        return steer_tuple(key, &load, queue_count);
    if (load.is_fragment)
        return 0;
    if (type == TYPE_IPV4 && load.protocol == PROTOCOL_ICMP)
        return steer_icmp(key, &load, queue_count);
    if (type == TYPE_IPV6 && load.protocol == PROTOCOL_ICMPV6)
        return steer_icmpv6(key, &load, queue_count);
    return 0;
}

bool nic_steer_quotes_ipv4(struct bytes frame)
{
    struct bytes packet;
    struct load load;
    return read_type(frame, &packet) == TYPE_IPV4 && read_ipv4(packet, &load) &&
           load.protocol == PROTOCOL_ICMP && !load.is_fragment &&
           load.octets.size >= ICMP_HEADER_SIZE && is_icmp_error(load.octets.at[0]);
}
