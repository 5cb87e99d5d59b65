/* SPDX-License-Identifier: Apache-2.0
 *
 * Neighbour discovery (RFC 4861) and duplicate address detection (RFC 4862 section 5.4): how IPv6
 * neighbours and routers are asked for and answered. What is known of them stands in neighbour.h,
 * with the rules of what a peer may change.
 *
 * An IPv6 address of ours is tentative at first: after a random delay of up to a second it is
 * probed once, and when nobody has claimed it a second later it is ready and announced. A claim
 * makes it a duplicate: counted, traced, unused until the next start. Once ready it is defended by
 * one announcement in ten seconds. Addresses come from the options, never from advertised prefixes.
 *
 * On a VLAN whose options name no IPv6 router, routers are solicited until one advertises itself
 * (RFC 7559: 4 s, doubling to an hour); of an advertisement only the lifetime is used. Redirects
 * are counted and ignored (a host of servers gains nothing by believing them).
 *
 * Every message is judged as sections 6.1 and 7.1 say: 255 hops and a checksum (both by ip6.c),
 * code 0, sizes, options of at least one unit, at most NDP_OPTIONS_MAX of them. Queue 0 alone
 * transmits answers, probes, announcements and router solicitations; all queues see all messages
 * (nic.h), so their states agree. Owner: one worker. */
#ifndef STENTOR_NET_NDP_H
#define STENTOR_NET_NDP_H

#include "ip.h"

#define NDP_OPTIONS_MAX 32u
#define NDP_PROBES 1u                         /* RFC 4862 section 5.1 */
#define NDP_PROBE_NS UINT64_C(1000000000)     /* RetransTimer */
#define NDP_DELAY_NS_MAX UINT64_C(1000000000) /* before the first message */
#define NDP_LAG_NS UINT64_C(100000000)        /* of the other queues behind queue 0 */
#define NDP_SOLICIT_NS UINT64_C(4000000000)   /* for routers, first interval */
#define NDP_SOLICIT_NS_MAX UINT64_C(3600000000000)
#define NDP_DEFEND_NS UINT64_C(10000000000)
#define NDP_NEVER UINT64_MAX

/* What stands to be done for an address of ours. */
struct ndp_local {
    uint64_t probe_at_ns;   /* next step of the detection; NDP_NEVER = done */
    uint64_t solicit_at_ns; /* next router solicitation from it, if it is link-local */
    uint32_t probes;        /* sent */
    uint32_t solicits;
};

struct ndp {
    struct ndp_local locals[LINK_LOCALS_MAX];
    uint64_t next_at_ns; /* the earliest of all */
    uint64_t defended_at_ns;
};

/* Begins the detection for all our IPv6 addresses. */
void ndp_start(struct net *net);
/* A FRAME_NDP. May send the packet back as an answer, in which case packet->frame is NULL. */
void ndp_input(struct net *net, struct packet *packet, const struct frame *frame);
/* Asks for that address, at `mac` alone or, when it is NULL, of its solicited-node group. Silent
 * while no address of ours on that VLAN is ready. */
void ndp_ask(struct net *net, uint16_t vlan, const struct net_address *address, const uint8_t *mac);
void ndp_timers(struct net *net);
uint64_t ndp_next_ns(const struct net *net);

#endif
