/* SPDX-License-Identifier: Apache-2.0
 *
 * The quoted packet is one we sent (or somebody wants us to think so): source is ours, destination
 * is the peer's. It must be a whole packet or a first fragment, without IP options. Its checksum is
 * not looked at, routers change headers on the way. */
#include "quote.h"

#define UNREACHABLE_PROTOCOL 2u
#define UNREACHABLE_PORT 3u
#define UNREACHABLE_TOO_BIG 4u
#define UNREACHABLE_PORT6 4u
#define PROBLEM_NEXT_HEADER6 1u /* the peer's way to say that it has no TCP */

static enum icmp_verdict verdict_of(const struct icmp_header *icmp)
{
    switch (icmp->type) {
    case ICMP_UNREACHABLE:
        if (icmp->code == UNREACHABLE_TOO_BIG)
            return ICMP_TOO_BIG;
        return icmp->code == UNREACHABLE_PROTOCOL || icmp->code == UNREACHABLE_PORT ? ICMP_HARD
                                                                                    : ICMP_SOFT;
    case ICMP_SOURCE_QUENCH:
        return ICMP_QUENCH;
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETER_PROBLEM:
        return ICMP_SOFT;
    default:
        return ICMP_NOTHING;
    }
}

static enum icmp_verdict verdict_of_ipv6(const struct icmp_header *icmp)
{
    switch (icmp->type) {
    case ICMP6_TOO_BIG:
        return ICMP_TOO_BIG;
    case ICMP6_UNREACHABLE:
        return icmp->code == UNREACHABLE_PORT6 ? ICMP_HARD : ICMP_SOFT;
    case ICMP6_TIME_EXCEEDED:
        return ICMP_SOFT;
    case ICMP6_PARAMETER_PROBLEM:
        return icmp->code == PROBLEM_NEXT_HEADER6 ? ICMP_HARD : ICMP_SOFT;
    default:
        return ICMP_NOTHING;
    }
}

static enum icmp_verdict verdict_of_frame(const struct frame *frame)
{
    const struct icmp_header *icmp = (const void *)frame->icmp.at;
    if (frame->icmp.size < sizeof *icmp)
        return ICMP_NOTHING;
    return frame->kind == FRAME_ICMP6 ? verdict_of_ipv6(icmp) : verdict_of(icmp);
}

bool quote_is_error(const struct frame *frame)
{
    return verdict_of_frame(frame) != ICMP_NOTHING;
}

static bool read_ipv4(struct cursor *cursor, struct icmp_quoted *quoted, struct net_address *source)
{
    struct bytes octets;
    if (!cursor_take(cursor, sizeof(struct ip_header), &octets))
        return false;
    const struct ip_header *ip = (const void *)octets.at;
    *source = net_address_of_ipv4(be32_get(ip->source));
    quoted->key.remote = net_address_of_ipv4(be32_get(ip->destination));
    quoted->size = be16_get(ip->size);
    quoted->mtu &= UINT16_MAX; /* RFC 1191 section 4 */
    return ip->version_size == (4u << 4 | sizeof *ip / 4) && ip->protocol == IP_PROTOCOL_TCP &&
           (be16_get(ip->fragment) & IP_FRAGMENT_OFFSET_MASK) == 0;
}

static bool read_ipv6(struct cursor *cursor, struct icmp_quoted *quoted, struct net_address *source)
{
    struct bytes octets;
    if (!cursor_take(cursor, sizeof(struct ip6_header), &octets))
        return false;
    const struct ip6_header *ip = (const void *)octets.at;
    *source = ip->source;
    quoted->key.remote = ip->destination;
    quoted->size = be16_get(ip->payload_size) + (uint32_t)sizeof *ip;
    return be32_get(ip->version_flow) >> 28 == 6 && ip->next == IP_PROTOCOL_TCP;
}

void quote_read(const struct net_link *link, const struct frame *frame, struct icmp_quoted *quoted)
{
    *quoted = (struct icmp_quoted){.verdict = ICMP_NOTHING};
    enum icmp_verdict verdict = verdict_of_frame(frame);
    if (verdict == ICMP_NOTHING)
        return;
    const struct icmp_header *icmp = (const void *)frame->icmp.at;
    struct cursor cursor = cursor_of(bytes_from(frame->icmp, sizeof *icmp));
    struct tcp_key *key = &quoted->key;
    struct net_address source;
    quoted->mtu = verdict == ICMP_TOO_BIG ? be32_get(icmp->rest) : 0;
    bool is_read = frame->kind == FRAME_ICMP6 ? read_ipv6(&cursor, quoted, &source)
                                              : read_ipv4(&cursor, quoted, &source);
    if (!is_read || !cursor_be16(&cursor, &key->local_port) ||
        !cursor_be16(&cursor, &key->remote_port) || !cursor_be32(&cursor, &quoted->seq))
        return;
    key->local = link_find(link, &source, frame->vlan);
    if (key->local != LINK_LOCAL_NONE && key->local_port != 0 && key->remote_port != 0)
        quoted->verdict = verdict;
}
