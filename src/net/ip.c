/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging frames: a chain of readers, each of which takes its header off a cursor or names the
 * counter of the drop. frame_read() is pure, so a burst can be judged before anything is counted,
 * and a packet that must wait for room in the events is judged again without harm. */
#include "ip.h"

#include "checksum.h"

#define IPV4_LOOPBACK_NET 127u
#define IPV4_GROUP_START 0xe0000000u /* 224/4 multicast, 240/4 reserved, broadcast */

static void drop(struct frame *frame, enum metric reason)
{
    frame->kind = FRAME_DROP;
    frame->reason = reason;
}

/* ---- TCP ---- */

/* RFC 9293 section 3.1: END ends, NOP is one octet, all others tell their size, at least 2. */
static bool options_are_sound(struct bytes options)
{
    struct cursor cursor = cursor_of(options);
    uint8_t kind;
    while (cursor_u8(&cursor, &kind) && kind != TCP_OPTION_END) {
        uint8_t size;
        struct bytes body;
        if (kind == TCP_OPTION_NOP)
            continue;
        if (!cursor_u8(&cursor, &size) || size < 2 || !cursor_take(&cursor, size - 2u, &body))
            return false;
    }
    return true;
}

/* NULL, XMAS and FIN scans carry none of the three; SYN with FIN or RST says two things at once. */
static bool flags_make_sense(uint8_t flags)
{
    if ((flags & (TCP_ACK | TCP_SYN | TCP_RST)) == 0)
        return false;
    return (flags & TCP_SYN) == 0 || (flags & (TCP_FIN | TCP_RST)) == 0;
}

static void fill_segment(struct tcp_segment *segment, const struct tcp_header *header,
                         struct bytes octets, uint32_t header_size)
{
    segment->key.remote_port = be16_get(header->source_port);
    segment->key.local_port = be16_get(header->destination_port);
    segment->key.local = 0;
    segment->seq = be32_get(header->seq);
    segment->flags = header->flags;
    segment->ack = (header->flags & TCP_ACK) != 0 ? be32_get(header->ack) : 0;
    segment->window = be16_get(header->window);
    segment->options = bytes_slice(octets, sizeof *header, header_size - sizeof *header);
    segment->payload = bytes_from(octets, header_size);
}

static void read_tcp(const struct packet *packet, const struct ip_header *ip, struct bytes octets,
                     struct frame *frame)
{
    const struct tcp_header *header = (const void *)octets.at;
    if (octets.size < sizeof *header)
        return drop(frame, METRIC_NET_DROP_TCP_SHORT);
    uint32_t header_size = (header->offset >> 4) * 4u;
    if (header_size < sizeof *header || header_size > octets.size)
        return drop(frame, METRIC_NET_DROP_TCP_HEADER_SIZE);
    if ((packet->flags & PACKET_L4_GOOD) == 0 && !checksum_is_good_tcp(ip, octets))
        return drop(frame, METRIC_NET_DROP_TCP_CHECKSUM);
    if (!flags_make_sense(header->flags))
        return drop(frame, METRIC_NET_DROP_TCP_FLAGS);

    struct tcp_segment *segment = &frame->segment;
    fill_segment(segment, header, octets, header_size);
    if (segment->key.remote_port == 0 || segment->key.local_port == 0)
        return drop(frame, METRIC_NET_DROP_TCP_PORT);
    if (!options_are_sound(segment->options))
        return drop(frame, METRIC_NET_DROP_TCP_OPTIONS);
    segment->key.remote = net_address_of_ipv4(be32_get(ip->source));
    segment->ip_size = be16_get(ip->size);
    frame->kind = FRAME_TCP;
}

/* ---- IPv4 ---- */

/* RFC 1122 section 3.2.1.3: a source is one host, and not us. */
static bool is_source(const struct net_link *link, uint32_t address)
{
    uint32_t net = address >> 24;
    if (net == 0 || net == IPV4_LOOPBACK_NET || address >= IPV4_GROUP_START)
        return false;
    if (!net_link_is_local(link, address) || link->mask >= UINT32_MAX - 1)
        return true; /* RFC 3021: no broadcast address on a link of two */
    uint32_t host = address & ~link->mask;
    return host != 0 && host != ~link->mask;
}

static void judge_addresses(const struct net_link *link, const struct ip_header *ip,
                            struct frame *frame)
{
    uint32_t source = be32_get(ip->source);
    if (source == link->address)
        return drop(frame, METRIC_NET_DROP_IP_LAND);
    if (!is_source(link, source))
        return drop(frame, METRIC_NET_DROP_IP_SOURCE);
    if (be32_get(ip->destination) != link->address)
        return drop(frame, METRIC_NET_DROP_IP_DESTINATION);
    if (!link->has_gateway && !net_link_is_local(link, source))
        return drop(frame, METRIC_NET_DROP_NO_ROUTE);
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
    drop(frame, reason);
    return false;
}

static void read_ip(const struct net_link *link, const struct packet *packet, struct bytes octets,
                    struct frame *frame)
{
    if (!judge_header(packet, octets, frame))
        return;
    const struct ip_header *ip = (const void *)octets.at;
    frame->kind = FRAME_ICMP; /* until something says otherwise */
    judge_addresses(link, ip, frame);
    if (frame->kind == FRAME_DROP)
        return;

    struct bytes inside = bytes_slice(octets, sizeof *ip, be16_get(ip->size) - sizeof *ip);
    if (ip->protocol == IP_PROTOCOL_TCP)
        return read_tcp(packet, ip, inside, frame);
    if (ip->protocol != IP_PROTOCOL_ICMP)
        return drop(frame, METRIC_NET_DROP_IP_PROTOCOL);
    frame->icmp = inside;
    frame->remote = net_address_of_ipv4(be32_get(ip->source));
}

/* ---- Ethernet ---- */

/* Takes a priority tag off; false when the tag names a VLAN or is cut. */
static bool read_tag(struct cursor *cursor, uint16_t *type, struct frame *frame)
{
    uint16_t control;
    if (!cursor_be16(cursor, &control) || !cursor_be16(cursor, type)) {
        drop(frame, METRIC_NET_DROP_ETHERNET_SHORT);
        return false;
    }
    if ((control & VLAN_IDENTIFIER_MASK) == 0)
        return true;
    drop(frame, METRIC_NET_DROP_VLAN);
    return false;
}

void frame_read(const struct net_link *link, const struct packet *packet, struct frame *frame)
{
    struct cursor cursor = cursor_of(bytes_of(packet->frame, packet->size));
    struct bytes ethernet;
    if (!cursor_take(&cursor, sizeof(struct ethernet_header), &ethernet))
        return drop(frame, METRIC_NET_DROP_ETHERNET_SHORT);
    const struct ethernet_header *header = (const void *)ethernet.at;
    bool is_group = (header->destination[0] & ETHERNET_GROUP_BIT) != 0;
    if (!is_group && memcmp(header->destination, link->mac, sizeof link->mac) != 0)
        return drop(frame, METRIC_NET_DROP_ETHERNET_OTHER);
    if ((header->source[0] & ETHERNET_GROUP_BIT) != 0)
        return drop(frame, METRIC_NET_DROP_ETHERNET_OTHER);

    uint16_t type = be16_get(header->type);
    if (type == ETHERNET_TYPE_VLAN && !read_tag(&cursor, &type, frame))
        return;
    struct bytes rest = bytes_of(cursor.at, cursor_left(&cursor));
    frame->segment.source_mac = header->source;
    if (type == ETHERNET_TYPE_ARP) {
        frame->kind = FRAME_ARP;
        frame->arp = rest;
    } else if (type != ETHERNET_TYPE_IPV4) {
        drop(frame, METRIC_NET_DROP_ETHERNET_TYPE);
    } else if (is_group) {
        drop(frame, METRIC_NET_DROP_IP_GROUP);
    } else {
        read_ip(link, packet, rest, frame);
    }
}
