/* SPDX-License-Identifier: Apache-2.0
 *
 * The echo answer is the request with type 0 and addresses turned round; the checksum is made
 * anew, because a request may carry the field in either form of zero. */
#include "icmp.h"

#include "checksum.h"
#include "net_state.h"

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

void icmp_input(struct net *net, struct packet *packet, const struct frame *frame)
{
    const struct icmp_header *icmp = (const void *)frame->icmp.at;
    if (frame->icmp.size < sizeof *icmp)
        net_count(net, METRIC_NET_DROP_ICMP_SHORT);
    else if (!checksum_is_good(frame->icmp))
        net_count(net, METRIC_NET_DROP_ICMP_CHECKSUM);
    else if (is_error(icmp->type))
        net_count(net, METRIC_NET_DROP_ICMP_ERROR);
    else if (icmp->type != ICMP_ECHO_REQUEST || icmp->code != 0)
        net_count(net, METRIC_NET_DROP_ICMP_OTHER);
    else if (!rate_limit_take(&net->echoes, net->now_ns))
        net_count(net, METRIC_NET_DROP_ICMP_RATE);
    else
        answer_echo(net, packet, frame);
}
