/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP (RFC 792, RFC 1122 section 3.2.2): echo requests to our address are answered in the packet
 * they came in, at a bounded rate; errors about our TCP are counted and change nothing yet (path
 * MTU and RFC 5927 come with it); all else is counted and dropped. We send no errors ourselves.
 * Owner: one worker. */
#ifndef STENTOR_NET_ICMP_H
#define STENTOR_NET_ICMP_H

#include "stentor/net.h"

#include "ip.h"

#define ICMP_REPLIES_PER_SECOND 1000u
#define ICMP_REPLIES_BURST 50u

/* May send the packet back, in which case packet->frame is NULL afterwards. */
void icmp_input(struct net *net, struct packet *packet, const struct frame *frame);

#endif
