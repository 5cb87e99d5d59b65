/* SPDX-License-Identifier: Apache-2.0
 *
 * The echo answer is the request with type 0 and addresses turned round; the checksum is made
 * anew, because a request may carry the field in either form of zero. An error quotes the packet
 * it is about: at least the IP header and eight octets, of which TCP has its ports and sequence
 * number there. That must be a whole packet or a first fragment, without IP options, from us. */
#include "icmp.h"

#include "checksum.h"
#include "net_state.h"
#include "tcp_path.h"

/* The request's frame is cut to its IP size (padding is not ours to send) and untagged. */
static void answer_echo(struct net *net, struct packet *packet, const struct frame *frame)
{
    uint32_t size = (uint32_t)(NET_TCP_OFFSET + frame->icmp.size);
    ASSERT(size <= packet->size);
    struct ethernet_header *ethernet = (void *)packet->frame;
    struct ip_header *ip = (void *)(ethernet + 1);
    struct icmp_header *icmp = (void *)(ip + 1);

    memcpy(ethernet->destination, ethernet->source, sizeof ethernet->destination);
    memcpy(ethernet->source, net->link.mac, sizeof ethernet->source);
    ethernet->type = be16_of(ETHERNET_TYPE_IPV4);
    memmove(icmp, frame->icmp.at, frame->icmp.size);
    *ip = (struct ip_header){
        .version_size = 4u << 4 | sizeof *ip / 4,
        .size = be16_of((uint16_t)(sizeof *ip + frame->icmp.size)),
        .fragment = be16_of(IP_DONT_FRAGMENT),
        .hops = IP_HOPS,
        .protocol = IP_PROTOCOL_ICMP,
        .source = be32_of(net->link.address),
        .destination = be32_of(net_address_ipv4(&frame->remote)),
    };
    ip->checksum = checksum_of(bytes_of(ip, sizeof *ip));
    icmp->type = ICMP_ECHO_REPLY;
    icmp->checksum = be16_of(0);
    icmp->checksum = checksum_of(bytes_of(icmp, frame->icmp.size));
    net_count(net, METRIC_NET_ECHO_REPLIES);
    net_frame_send(net, packet, size);
}

static bool is_error(uint8_t type)
{
    return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_TIME_EXCEEDED ||
           type == ICMP_PARAMETER_PROBLEM;
}

/* ---- errors ---- */

#define UNREACHABLE_PROTOCOL 2u
#define UNREACHABLE_PORT 3u
#define UNREACHABLE_TOO_BIG 4u

static enum icmp_verdict verdict_of(const struct icmp_header *icmp)
{
    if (icmp->type == ICMP_SOURCE_QUENCH)
        return ICMP_QUENCH;
    if (icmp->type != ICMP_UNREACHABLE)
        return ICMP_SOFT;
    if (icmp->code == UNREACHABLE_TOO_BIG)
        return ICMP_TOO_BIG;
    return icmp->code == UNREACHABLE_PROTOCOL || icmp->code == UNREACHABLE_PORT ? ICMP_HARD
                                                                                : ICMP_SOFT;
}

static bool is_ours(const struct net_link *link, const struct ip_header *ip)
{
    return ip->version_size == (4u << 4 | sizeof *ip / 4) && ip->protocol == IP_PROTOCOL_TCP &&
           (be16_get(ip->fragment) & IP_FRAGMENT_OFFSET_MASK) == 0 &&
           be32_get(ip->source) == link->address;
}

void icmp_read_quoted(const struct net_link *link, struct bytes octets, struct icmp_quoted *quoted)
{
    *quoted = (struct icmp_quoted){.verdict = ICMP_NOTHING};
    struct cursor cursor = cursor_of(octets);
    struct bytes head;
    struct bytes inner;
    struct tcp_key key = {0};
    if (!cursor_take(&cursor, sizeof(struct icmp_header), &head) ||
        !cursor_take(&cursor, sizeof(struct ip_header), &inner) ||
        !cursor_be16(&cursor, &key.local_port) || !cursor_be16(&cursor, &key.remote_port) ||
        !cursor_be32(&cursor, &quoted->seq))
        return;
    const struct icmp_header *icmp = (const void *)head.at;
    const struct ip_header *ip = (const void *)inner.at;
    if (!is_ours(link, ip))
        return;
    key.remote = net_address_of_ipv4(be32_get(ip->destination));
    quoted->key = key;
    quoted->verdict = verdict_of(icmp);
    quoted->mtu = be32_get(icmp->rest) & UINT16_MAX;
    quoted->size = be16_get(ip->size);
}

static void input_error(struct net *net, const struct frame *frame)
{
    struct icmp_quoted quoted;
    icmp_read_quoted(&net->link, frame->icmp, &quoted);
    if (quoted.verdict == ICMP_NOTHING)
        net_count(net, METRIC_NET_DROP_ICMP_ERROR);
    else if (quoted.verdict == ICMP_QUENCH)
        net_count(net, METRIC_NET_ICMP_QUENCH);
    else if (!rate_limit_take(&net->errors, net->now_ns))
        net_count(net, METRIC_NET_DROP_ICMP_ERROR_RATE);
    else
        tcp_path_input(net, &quoted);
}

void icmp_input(struct net *net, struct packet *packet, const struct frame *frame)
{
    const struct icmp_header *icmp = (const void *)frame->icmp.at;
    if (frame->icmp.size < sizeof *icmp)
        net_count(net, METRIC_NET_DROP_ICMP_SHORT);
    else if (!checksum_is_good(frame->icmp))
        net_count(net, METRIC_NET_DROP_ICMP_CHECKSUM);
    else if (is_error(icmp->type))
        input_error(net, frame);
    else if (icmp->type != ICMP_ECHO_REQUEST || icmp->code != 0)
        net_count(net, METRIC_NET_DROP_ICMP_OTHER);
    else if (!rate_limit_take(&net->echoes, net->now_ns))
        net_count(net, METRIC_NET_DROP_ICMP_RATE);
    else
        answer_echo(net, packet, frame);
}
