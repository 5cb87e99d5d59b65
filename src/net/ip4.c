/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging IPv4 (RFC 791, RFC 1122 section 3.2.1): part of frame_read(), between Ethernet and what
 * the packet carries. */
#include "checksum.h"
#include "ip.h"

#define IPV4_LOOPBACK_NET 127u
#define IPV4_GROUP_START 0xe0000000u /* 224/4 multicast, 240/4 reserved, broadcast */
#define MAPPED_BITS 96u
#define LINK_OF_TWO_BITS (MAPPED_BITS + 31u)

/* RFC 1122 section 3.2.1.3: a source is one host. */
static bool is_host(uint32_t address)
{
    uint32_t net = address >> 24;
    return net != 0 && net != IPV4_LOOPBACK_NET && address < IPV4_GROUP_START;
}

/* The first and the last address of the on-link prefix name all hosts of it, except on a link of
 * two (RFC 3021). */
static bool is_broadcast(const struct link_local *local, const struct net_address *source)
{
    if (local->prefix_bits >= LINK_OF_TWO_BITS || !link_local_covers(local, source))
        return false;
    uint32_t hosts = UINT32_MAX >> (local->prefix_bits - MAPPED_BITS);
    uint32_t host = net_address_ipv4(source) & hosts;
    return host == 0 || host == hosts;
}

static bool judge_addresses(const struct net_link *link, const struct ip_header *ip,
                            struct frame *frame)
{
    uint32_t number = be32_get(ip->source);
    struct net_address source = net_address_of_ipv4(number);
    struct net_address destination = net_address_of_ipv4(be32_get(ip->destination));
    enum metric reason = METRIC_COUNT;
    frame->local = link_find(link, &destination, frame->vlan);
    if (link_is_ours(link, &source))
        reason = METRIC_NET_DROP_IP_LAND;
    else if (!is_host(number))
        reason = METRIC_NET_DROP_IP_SOURCE;
    else if (frame->local == LINK_LOCAL_NONE)
        reason = METRIC_NET_DROP_IP_DESTINATION;
    else if (is_broadcast(&link->locals[frame->local], &source))
        reason = METRIC_NET_DROP_IP_SOURCE;
    else if (link->locals[frame->local].router == LINK_ROUTER_NONE &&
             !link_is_near(link, frame->vlan, &source))
        reason = METRIC_NET_DROP_NO_ROUTE;
    frame->remote = source;
    if (reason != METRIC_COUNT)
        frame_drop(frame, reason);
    return reason == METRIC_COUNT;
}

/* What stands in the header itself; true when it can be gone by. */
static bool judge_header(const struct packet *packet, struct bytes octets, struct frame *frame)
{
    const struct ip_header *ip = (const void *)octets.at;
    enum metric reason = METRIC_COUNT;
    if (octets.size < sizeof *ip)
        reason = METRIC_NET_DROP_IP_SHORT;
    else if (ip->version_size >> 4 != 4)
        reason = METRIC_NET_DROP_IP_VERSION;
    else if ((ip->version_size & 0xfu) * 4u < sizeof *ip)
        reason = METRIC_NET_DROP_IP_HEADER_SIZE;
    else if ((ip->version_size & 0xfu) * 4u > sizeof *ip)
        reason = METRIC_NET_DROP_IP_OPTIONS;
    else if (be16_get(ip->size) < sizeof *ip || be16_get(ip->size) > octets.size)
        reason = METRIC_NET_DROP_IP_SIZE;
    else if ((packet->flags & PACKET_IP_GOOD) == 0 &&
             !checksum_is_good(bytes_slice(octets, 0, sizeof *ip)))
        reason = METRIC_NET_DROP_IP_CHECKSUM;
    else if ((be16_get(ip->fragment) & (IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET_MASK)) != 0)
        reason = METRIC_NET_DROP_IP_FRAGMENT;
    if (reason == METRIC_COUNT)
        return true;
    frame_drop(frame, reason);
    return false;
}

static void read_tcp(const struct packet *packet, const struct ip_header *ip, struct bytes octets,
                     struct frame *frame)
{
    struct tcp_segment *segment = &frame->segment;
    if (octets.size >= sizeof(struct tcp_header) && (packet->flags & PACKET_L4_GOOD) == 0 &&
        !checksum_is_good_tcp(ip, octets))
        return frame_drop(frame, METRIC_NET_DROP_TCP_CHECKSUM);
    segment->key.remote = frame->remote;
    segment->key.local = frame->local;
    segment->ip_size = be16_get(ip->size);
    segment->ecn = ip->service & IP_ECN_MASK;
    frame_read_tcp(octets, frame);
}

void ip4_read(const struct net_link *link, const struct packet *packet, struct bytes octets,
              struct frame *frame)
{
    const struct ip_header *ip = (const void *)octets.at;
    if (!judge_header(packet, octets, frame) || !judge_addresses(link, ip, frame))
        return;
    struct bytes inside = bytes_slice(octets, sizeof *ip, be16_get(ip->size) - sizeof *ip);
    if (ip->protocol == IP_PROTOCOL_TCP)
        return read_tcp(packet, ip, inside, frame);
    if (ip->protocol != IP_PROTOCOL_ICMP)
        return frame_drop(frame, METRIC_NET_DROP_IP_PROTOCOL);
    frame->kind = FRAME_ICMP;
    frame->icmp = inside;
}
