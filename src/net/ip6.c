/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging IPv6 (RFC 8200): part of frame_read(), between Ethernet and what the packet carries. The
 * walk over extension headers is bounded twice, by their number and by their octets, so that a
 * packet costs the same whatever stands in it (RFC 8504 section 5.3 asks for such limits). We are
 * nobody's way: a routing header with segments left is dropped, whatever its type.
 *
 * Neighbour discovery and queries of listeners are let through to addresses that are not ready and
 * to groups; nothing else is. */
#include "checksum.h"
#include "ip.h"

/* What the walk comes to. */
struct inside {
    uint8_t protocol;
    struct bytes octets;
};

/* ---- extension headers ---- */

/* RFC 8200 section 4.2: an option we do not know may be gone by when its first two bits are zero.
 * We know only the paddings, which have them zero too; a jumbogram's (RFC 2675) has not. */
static bool options_may_pass(struct bytes options)
{
    struct cursor cursor = cursor_of(options);
    uint8_t kind;
    while (cursor_u8(&cursor, &kind)) {
        uint8_t size;
        struct bytes body;
        if (kind == IP6_OPTION_PAD1)
            continue;
        if ((kind & IP6_OPTION_REFUSE_MASK) != 0 || !cursor_u8(&cursor, &size) ||
            !cursor_take(&cursor, size, &body))
            return false;
    }
    return true;
}

static bool is_extension(uint8_t next)
{
    return next == IP6_NEXT_HOP_BY_HOP || next == IP6_NEXT_ROUTING || next == IP6_NEXT_FRAGMENT ||
           next == IP6_NEXT_DESTINATION;
}

/* One header, whose octets are all there; METRIC_COUNT = it may be gone by. */
static enum metric judge_extension(uint8_t kind, struct bytes header)
{
    const struct ip6_fragment *fragment = (const void *)header.at;
    const struct ip6_routing *routing = (const void *)header.at;
    if (kind == IP6_NEXT_FRAGMENT)
        return (be16_get(fragment->offset) & IP6_FRAGMENT_MASK) != 0 ? METRIC_NET_DROP_IP_FRAGMENT
                                                                     : METRIC_COUNT;
    if (kind == IP6_NEXT_ROUTING)
        return routing->type == 0 || routing->segments_left != 0 ? METRIC_NET_DROP_IP6_ROUTING
                                                                 : METRIC_COUNT;
    return options_may_pass(bytes_from(header, sizeof(struct ip6_extension)))
               ? METRIC_COUNT
               : METRIC_NET_DROP_IP6_OPTION;
}

static uint32_t extension_size(uint8_t kind, const struct ip6_extension *extension)
{
    return kind == IP6_NEXT_FRAGMENT ? sizeof(struct ip6_fragment) : (extension->size + 1u) * 8u;
}

/* Goes by the extension headers; METRIC_COUNT, or why it may not. */
static enum metric walk_extensions(struct inside *inside)
{
    uint32_t left = IP6_EXTENSION_BYTES_MAX;
    for (uint32_t count = 0; is_extension(inside->protocol); count++) {
        uint8_t kind = inside->protocol;
        const struct ip6_extension *extension = (const void *)inside->octets.at;
        bool is_misplaced = kind == IP6_NEXT_HOP_BY_HOP && count != 0; /* section 4.1 */
        if (count == IP6_EXTENSIONS_MAX || is_misplaced || inside->octets.size < 8)
            return METRIC_NET_DROP_IP6_EXTENSION;
        uint32_t size = extension_size(kind, extension);
        if (size > left || size > inside->octets.size)
            return METRIC_NET_DROP_IP6_EXTENSION;
        enum metric reason = judge_extension(kind, bytes_slice(inside->octets, 0, size));
        if (reason != METRIC_COUNT)
            return reason;
        inside->protocol = extension->next;
        inside->octets = bytes_from(inside->octets, size);
        left -= size;
    }
    return METRIC_COUNT;
}

/* ---- addresses ---- */

/* ::/96 holds the unspecified, the loopback and the IPv4-compatible addresses (RFC 4291 section
 * 2.5.5.1); mapped ones are for programs, not for the wire. */
static bool is_host(const struct net_address *address)
{
    static const uint8_t zeros[12];
    return !net_address_is_group(address) && memcmp(address->octets, zeros, sizeof zeros) != 0 &&
           !net_address_is_ipv4(address);
}

static enum metric judge_addresses(const struct net_link *link, const struct ip6_header *ip,
                                   struct frame *frame)
{
    frame->local = link_find(link, &ip->destination, frame->vlan);
    if (link_is_ours(link, &ip->source))
        return METRIC_NET_DROP_IP_LAND;
    if (!is_host(&ip->source))
        return METRIC_NET_DROP_IP_SOURCE;
    if (frame->is_to_group || net_address_is_group(&ip->destination))
        return METRIC_NET_DROP_IP_GROUP;
    if (frame->local == LINK_LOCAL_NONE)
        return METRIC_NET_DROP_IP_DESTINATION;
    const struct link_local *local = &link->locals[frame->local];
    if (local->state != LINK_READY)
        return METRIC_NET_DROP_IP_DESTINATION;
    if (local->router == LINK_ROUTER_NONE && !link_is_near(link, frame->vlan, &ip->source))
        return METRIC_NET_DROP_NO_ROUTE;
    return METRIC_COUNT;
}

/* The addresses of neighbour discovery: a probe comes from nowhere, and what we send while we look
 * for others with our address may come back to us. The hops prove that it is from this link (RFC
 * 4861 section 7.1); a querier of listeners has one hop to the same end (RFC 3810 5.1.14). */
static enum metric judge_discovery(const struct net_link *link, const struct ip6_header *ip,
                                   enum frame_kind kind, struct frame *frame)
{
    bool is_to_group = net_address_is_group(&ip->destination);
    if (ip->hops != (kind == FRAME_MLD ? 1 : NDP_HOPS))
        return METRIC_NET_DROP_NDP_HOPS;
    if (!net_address_is_none(&ip->source) && !is_host(&ip->source))
        return METRIC_NET_DROP_IP_SOURCE;
    if (!is_to_group && link_find(link, &ip->destination, frame->vlan) == LINK_LOCAL_NONE)
        return METRIC_NET_DROP_IP_DESTINATION;
    frame->is_to_group = is_to_group;
    return METRIC_COUNT;
}

/* ---- what it carries ---- */

static enum frame_kind kind_of(const struct inside *inside)
{
    uint8_t type = inside->octets.size != 0 ? inside->octets.at[0] : 0;
    if (inside->protocol != IP_PROTOCOL_ICMP6)
        return FRAME_TCP;
    if (type == MLD_QUERY)
        return FRAME_MLD;
    return type >= NDP_ROUTER_SOLICITATION && type <= NDP_REDIRECT ? FRAME_NDP : FRAME_ICMP6;
}

static void read_icmp(const struct ip6_header *ip, const struct inside *inside, struct frame *frame)
{
    frame->kind = kind_of(inside);
    frame->icmp = inside->octets;
    if (inside->octets.size < sizeof(struct icmp_header))
        frame_drop(frame, METRIC_NET_DROP_ICMP_SHORT);
    else if (!checksum_is_good_ipv6(ip, inside->protocol, inside->octets))
        frame_drop(frame, METRIC_NET_DROP_ICMP_CHECKSUM);
}

static void read_tcp(const struct packet *packet, const struct ip6_header *ip,
                     const struct inside *inside, struct frame *frame)
{
    struct tcp_segment *segment = &frame->segment;
    if (inside->octets.size >= sizeof(struct tcp_header) && (packet->flags & PACKET_L4_GOOD) == 0 &&
        !checksum_is_good_ipv6(ip, inside->protocol, inside->octets))
        return frame_drop(frame, METRIC_NET_DROP_TCP_CHECKSUM);
    segment->key.remote = frame->remote;
    segment->key.local = frame->local;
    segment->ip_size = (uint16_t)(sizeof *ip + be16_get(ip->payload_size));
    segment->ecn = be32_get(ip->version_flow) >> IP6_CLASS_SHIFT & IP_ECN_MASK;
    frame_read_tcp(inside->octets, frame);
}

void ip6_read(const struct net_link *link, const struct packet *packet, struct bytes octets,
              struct frame *frame)
{
    const struct ip6_header *ip = (const void *)octets.at;
    if (octets.size < sizeof *ip)
        return frame_drop(frame, METRIC_NET_DROP_IP_SHORT);
    if (be32_get(ip->version_flow) >> 28 != 6)
        return frame_drop(frame, METRIC_NET_DROP_IP_VERSION);
    if (be16_get(ip->payload_size) > octets.size - sizeof *ip)
        return frame_drop(frame, METRIC_NET_DROP_IP_SIZE);
    struct inside inside = {ip->next, bytes_slice(octets, sizeof *ip, be16_get(ip->payload_size))};
    enum metric reason = walk_extensions(&inside);
    if (reason == METRIC_COUNT)
        reason = kind_of(&inside) == FRAME_NDP || kind_of(&inside) == FRAME_MLD
                     ? judge_discovery(link, ip, kind_of(&inside), frame)
                     : judge_addresses(link, ip, frame);
    if (reason != METRIC_COUNT)
        return frame_drop(frame, reason);
    frame->remote = ip->source;
    if (inside.protocol == IP_PROTOCOL_TCP)
        return read_tcp(packet, ip, &inside, frame);
    if (inside.protocol == IP_PROTOCOL_ICMP6)
        return read_icmp(ip, &inside, frame);
    frame_drop(frame, METRIC_NET_DROP_IP_PROTOCOL);
}
