/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP (RFC 792, RFC 1122 section 3.2.2) and ICMPv6 (RFC 4443) but neighbour discovery: echo
 * requests to an address of ours are answered in the packet they came in, at a bounded rate; errors
 * that quote a TCP segment of ours (quote.h) go to tcp_path.c, at a bounded rate too; all else is
 * counted and dropped. We send no errors ourselves. Owner: one worker. */
#ifndef STENTOR_NET_ICMP_H
#define STENTOR_NET_ICMP_H

#include "stentor/net.h"

#include "ip.h"

#define ICMP_REPLIES_PER_SECOND 1000u
#define ICMP_REPLIES_BURST 50u

#define ICMP_ERRORS_PER_SECOND 1000u
#define ICMP_ERRORS_BURST 200u

/* What an error says, whatever the version of IP. */
enum icmp_verdict {
    ICMP_NOTHING, /* does not quote TCP of ours, or cannot be read */
    ICMP_TOO_BIG, /* a router wants smaller packets: RFC 1191, RFC 8201 */
    ICMP_HARD,    /* that protocol or port is not there: RFC 1122 4.2.3.9 */
    ICMP_SOFT,    /* the way is not there, at present */
    ICMP_QUENCH   /* RFC 6633: to be ignored */
};

/* The segment an error quotes, and what it says about it. Nobody has judged yet whether we ever
 * sent that segment. */
struct icmp_quoted {
    enum icmp_verdict verdict;
    uint32_t mtu;  /* ICMP_TOO_BIG: of the next hop, IP header counted; 0 = an old router */
    uint32_t size; /* of the quoted IP packet */
    struct tcp_key key;
    uint32_t seq;
};

/* A FRAME_ICMP or FRAME_ICMP6. May send the packet back, in which case packet->frame is NULL
 * afterwards. */
void icmp_input(struct net *net, struct packet *packet, const struct frame *frame);

#endif
