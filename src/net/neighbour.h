/* SPDX-License-Identifier: Apache-2.0
 *
 * Neighbours on the link: from address and VLAN to MAC, for IPv4 (asked by arp.h) and IPv6 (by
 * ndp.h) alike. A bounded set-associative cache: sets of eight by keyed hash, the longest unused
 * goes. A neighbour is named by a u16 that callers keep as a hint only: the address is checked at
 * every use (but where the hint names a configured router, whose row is nobody else's) and the hint
 * repaired, so an eviction harms nobody.
 *
 *     NONE -> ASKED (request sent, no MAC: packets are dropped, TCP sends them again)
 *          -> KNOWN (MAC usable; after a minute without confirmation, or when something
 *                    contradicts it, its owner is asked in unicast; silent three times -> ASKED)
 *
 * Routers have rows of their own behind the sets: those of the options, in their order, then those
 * that advertised themselves on a VLAN whose options name no IPv6 router (RFC 4861 section 6.3.4),
 * a bounded number of them. A clock asks each of them, used or not, and more often where there is
 * another to go to. Of one VLAN and family the first that is KNOWN is used by all; a change is
 * counted and traced. With none KNOWN, the first is asked for, and off-link peers wait.
 *
 * Nothing waits in here and only routers have a timer: use of an entry drives it. What a peer may
 * change: a reply sets a MAC only in ASKED; a request to us sets one where there is none (never a
 * router's), and takes the place only of an entry that was not used for a minute; a completed TCP
 * handshake enters one too. A KNOWN MAC is confirmed by its owner but never overwritten: who claims
 * a neighbour's address makes us ask that neighbour, and loses if it is alive. Every queue learns
 * from what it sees (nic.h copies ARP and neighbour discovery to all). Owner: one worker. */
#ifndef STENTOR_NET_NEIGHBOUR_H
#define STENTOR_NET_NEIGHBOUR_H

#include "stentor/net.h"

#include "tcp_row.h"
#include "wire.h"

#define NEIGHBOUR_WAYS 8u
#define NEIGHBOUR_SETS 512u
#define NEIGHBOUR_ROUTERS (NEIGHBOUR_WAYS * NEIGHBOUR_SETS) /* the first router's row */
#define NEIGHBOUR_LEARNED_MAX 8u                            /* routers that advertised themselves */
#define NEIGHBOUR_LEARNED_VLAN_MAX 4u                       /* of these on one VLAN */
#define NEIGHBOUR_ROUTERS_MAX (NET_ROUTERS_MAX + NEIGHBOUR_LEARNED_MAX)
#define NEIGHBOUR_NONE UINT16_MAX /* a hint that names nothing yet */
#define NEIGHBOUR_CONFIRM_NS UINT64_C(60000000000)
#define NEIGHBOUR_ROUTER_CONFIRM_NS UINT64_C(10000000000) /* where there are several */
#define NEIGHBOUR_RETRY_NS UINT64_C(1000000000)
#define NEIGHBOUR_TRIES_MAX 3u /* unanswered before a MAC is given up; at twice that, slower */
#define NEIGHBOUR_SLOW_RETRY_NS UINT64_C(8000000000)

enum neighbour_state { NEIGHBOUR_FREE, NEIGHBOUR_ASKED, NEIGHBOUR_KNOWN };

struct neighbour_row {
    struct net_address address;
    uint8_t mac[ETHERNET_MAC_SIZE];
    uint16_t vlan;
    uint8_t state; /* enum neighbour_state */
    uint8_t tries; /* requests since the last answer */
    uint16_t spare[3];
    uint64_t confirmed_at_ns;
    uint64_t asked_at_ns;
    uint64_t used_at_ns; /* 0 = never sent to */
};
static_assert(sizeof(struct neighbour_row) == 56, "docs/LIMITS.md counts on it");

struct neighbours {
    struct neighbour_row rows[NEIGHBOUR_ROUTERS + NEIGHBOUR_ROUTERS_MAX];
    uint64_t router_until_ns[NEIGHBOUR_ROUTERS_MAX]; /* 0 = place free, UINT64_MAX = for good */
};

/* Enters the routers of the options and asks for them. */
void neighbour_start(struct net *net);
/* The MAC to send to `to` by from that address of ours, or NULL when it is not known (asked for,
 * the caller drops). *hint is NEIGHBOUR_NONE or what an earlier call left there. */
const uint8_t *neighbour_resolve(struct net *net, uint16_t local, const struct net_address *to,
                                 uint16_t *hint);
/* A peer completed a handshake from this MAC: enters it unless the neighbour is known already.
 * Returns the hint for the connection's row. */
uint16_t neighbour_learn(struct net *net, uint16_t local, const struct net_address *remote,
                         const uint8_t mac[ETHERNET_MAC_SIZE]);
/* A segment of a live connection came from this MAC: confirms the entry if it says the same. */
void neighbour_confirm(struct net *net, const struct tcp_row *row,
                       const uint8_t mac[ETHERNET_MAC_SIZE]);
/* Keeps routers known and lets advertised ones go when their time is over. */
void neighbour_timers(struct net *net);
uint64_t neighbour_next_ns(const struct net *net);

/* ---- for arp.c and ndp.c ---- */

/* A neighbour as the wire names it. */
struct neighbour_name {
    struct net_address address;
    uint16_t vlan;
};

/* The neighbour asked for us and says where it is. */
void neighbour_heard(struct net *net, const struct neighbour_name *name,
                     const uint8_t mac[ETHERNET_MAC_SIZE]);
/* The neighbour, or who says so, answers. False when nobody asked or the MAC is not the known one:
 * then it was doubted. mac NULL: the answer names none, which confirms what is known. */
MUST_USE bool neighbour_answered(struct net *net, const struct neighbour_name *name,
                                 const uint8_t *mac);
/* Somebody claims that the neighbour is there, unasked. */
void neighbour_claimed(struct net *net, const struct neighbour_name *name,
                       const uint8_t mac[ETHERNET_MAC_SIZE]);
/* The options name an IPv6 router on that VLAN. */
bool neighbour_has_static(const struct net *net, uint16_t vlan);
/* An advertised router is there; false when there is no place for it. */
MUST_USE bool neighbour_router_add(struct net *net, const struct neighbour_name *name,
                                   uint64_t lifetime_ns);
/* It is no router any more; routers of the options stay. */
void neighbour_router_remove(struct net *net, const struct neighbour_name *name);
/* An advertised router stands for that VLAN. */
bool neighbour_has_learned(const struct net *net, uint16_t vlan);

#endif
