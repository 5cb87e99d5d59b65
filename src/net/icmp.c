/* SPDX-License-Identifier: Apache-2.0
 *
 * The echo answer is the request with another type and addresses turned round; the checksum is made
 * anew, because a request may carry the field in either form of zero. */
#include "icmp.h"

#include "checksum.h"
#include "net_state.h"
#include "quote.h"
#include "tcp_path.h"

/* The request's message stands at least as far on as in the answer, which has no extension headers
 * and the same tag or less: what is moved never overwrites what is still to be moved. Padding is
 * not ours to send. */
static void answer_echo(struct net *net, struct packet *packet, const struct frame *frame)
{
    struct frame asked = *frame; /* its views end with the first octet written */
    const struct link_local *local = &net->link.locals[frame->local];
    bool is_ipv4 = frame->kind == FRAME_ICMP;
    uint32_t size = (uint32_t)asked.icmp.size;
    uint32_t ip_at =
        sizeof(struct ethernet_header) + (local->vlan != 0 ? sizeof(struct vlan_tag) : 0);
    uint32_t at = ip_at + net_ip_header_size(&asked.remote);
    struct icmp_header *icmp = (void *)(packet->frame + at);
    ASSERT(at + size <= packet->size);
    memmove(icmp, asked.icmp.at, size);
    net_frame_begin(net, packet, local->vlan, asked.source_mac,
                    is_ipv4 ? ETHERNET_TYPE_IPV4 : ETHERNET_TYPE_IPV6);
    net_ip_write(packet->frame + ip_at, &local->address, &asked.remote,
                 is_ipv4 ? IP_PROTOCOL_ICMP : IP_PROTOCOL_ICMP6, size);
    icmp->type = is_ipv4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY;
    icmp->checksum = be16_of(0);
    const struct ip6_header *ip6 = (const void *)(packet->frame + ip_at);
    icmp->checksum = is_ipv4 ? checksum_of(bytes_of(icmp, size))
                             : checksum_of_ipv6(ip6, IP_PROTOCOL_ICMP6, bytes_of(icmp, size));
    net_count(net, METRIC_NET_ECHO_REPLIES);
    net_frame_send(net, packet, packet->frame + at + size);
}

static void input_error(struct net *net, const struct frame *frame)
{
    struct icmp_quoted quoted;
    quote_read(&net->link, frame, &quoted);
    if (quoted.verdict == ICMP_NOTHING)
        net_count(net, METRIC_NET_DROP_ICMP_ERROR);
    else if (quoted.verdict == ICMP_QUENCH)
        net_count(net, METRIC_NET_ICMP_QUENCH);
    else if (!rate_limit_take(&net->errors, net->now_ns))
        net_count(net, METRIC_NET_DROP_ICMP_ERROR_RATE);
    else
        tcp_path_input(net, &quoted);
}

static bool is_echo_request(const struct frame *frame, const struct icmp_header *icmp)
{
    uint8_t type = frame->kind == FRAME_ICMP6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO_REQUEST;
    return icmp->type == type && icmp->code == 0;
}

void icmp_input(struct net *net, struct packet *packet, const struct frame *frame)
{
    const struct icmp_header *icmp = (const void *)frame->icmp.at;
    if (frame->icmp.size < sizeof *icmp)
        net_count(net, METRIC_NET_DROP_ICMP_SHORT);
    else if (frame->kind == FRAME_ICMP && !checksum_is_good(frame->icmp))
        net_count(net, METRIC_NET_DROP_ICMP_CHECKSUM);
    else if (quote_is_error(frame))
        input_error(net, frame);
    else if (!is_echo_request(frame, icmp))
        net_count(net, METRIC_NET_DROP_ICMP_OTHER);
    else if (!rate_limit_take(&net->echoes, net->now_ns))
        net_count(net, METRIC_NET_DROP_ICMP_RATE);
    else
        answer_echo(net, packet, frame);
}
