/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging frames: a chain of readers, each of which takes its header off or names the counter of
 * the drop. Here are the ends of the chain, Ethernet and TCP; between them stands ip4.c or ip6.c.
 * frame_read() is pure, so a burst can be judged before anything is counted, and a packet that must
 * wait for room in the events is judged again without harm. */
#include "ip.h"

void frame_drop(struct frame *frame, enum metric reason)
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
    segment->seq = be32_get(header->seq);
    segment->flags = header->flags;
    segment->ack = (header->flags & TCP_ACK) != 0 ? be32_get(header->ack) : 0;
    segment->window = be16_get(header->window);
    segment->options = bytes_slice(octets, sizeof *header, header_size - sizeof *header);
    segment->payload = bytes_from(octets, header_size);
}

void frame_read_tcp(struct bytes octets, struct frame *frame)
{
    const struct tcp_header *header = (const void *)octets.at;
    if (octets.size < sizeof *header)
        return frame_drop(frame, METRIC_NET_DROP_TCP_SHORT);
    uint32_t header_size = (header->offset >> 4) * 4u;
    if (header_size < sizeof *header || header_size > octets.size)
        return frame_drop(frame, METRIC_NET_DROP_TCP_HEADER_SIZE);
    if (!flags_make_sense(header->flags))
        return frame_drop(frame, METRIC_NET_DROP_TCP_FLAGS);

    struct tcp_segment *segment = &frame->segment;
    fill_segment(segment, header, octets, header_size);
    if (segment->key.remote_port == 0 || segment->key.local_port == 0)
        return frame_drop(frame, METRIC_NET_DROP_TCP_PORT);
    if (!options_are_sound(segment->options))
        return frame_drop(frame, METRIC_NET_DROP_TCP_OPTIONS);
    segment->source_mac = frame->source_mac;
    frame->kind = FRAME_TCP;
}

/* ---- Ethernet ---- */

/* Takes a tag off; false when it is cut or of no VLAN of ours. */
static bool read_tag(const struct net_link *link, struct cursor *cursor, uint16_t *type,
                     struct frame *frame)
{
    uint16_t control;
    if (!cursor_be16(cursor, &control) || !cursor_be16(cursor, type)) {
        frame_drop(frame, METRIC_NET_DROP_ETHERNET_SHORT);
        return false;
    }
    frame->vlan = control & VLAN_IDENTIFIER_MASK;
    return frame->vlan == 0 || link_has_vlan(link, frame->vlan);
}

void frame_read(const struct net_link *link, const struct packet *packet, struct frame *frame)
{
    struct cursor cursor = cursor_of(bytes_of(packet->frame, packet->size));
    struct bytes ethernet;
    if (!cursor_take(&cursor, sizeof(struct ethernet_header), &ethernet))
        return frame_drop(frame, METRIC_NET_DROP_ETHERNET_SHORT);
    const struct ethernet_header *header = (const void *)ethernet.at;
    bool is_group = (header->destination[0] & ETHERNET_GROUP_BIT) != 0;
    if (!is_group && memcmp(header->destination, link->mac, sizeof link->mac) != 0)
        return frame_drop(frame, METRIC_NET_DROP_ETHERNET_OTHER);
    if ((header->source[0] & ETHERNET_GROUP_BIT) != 0)
        return frame_drop(frame, METRIC_NET_DROP_ETHERNET_OTHER);

    uint16_t type = be16_get(header->type);
    frame->kind = FRAME_DROP;
    frame->reason = METRIC_NET_DROP_VLAN;
    frame->vlan = 0;
    frame->source_mac = header->source;
    if (type == ETHERNET_TYPE_VLAN && !read_tag(link, &cursor, &type, frame))
        return;
    struct bytes rest = bytes_of(cursor.at, cursor_left(&cursor));
    if (type == ETHERNET_TYPE_ARP) {
        frame->kind = FRAME_ARP;
        frame->arp = rest;
    } else if (type == ETHERNET_TYPE_IPV6) {
        frame->is_to_group = is_group;
        ip6_read(link, packet, rest, frame);
    } else if (type != ETHERNET_TYPE_IPV4) {
        frame_drop(frame, METRIC_NET_DROP_ETHERNET_TYPE);
    } else if (is_group) {
        frame_drop(frame, METRIC_NET_DROP_IP_GROUP);
    } else {
        ip4_read(link, packet, rest, frame);
    }
}
