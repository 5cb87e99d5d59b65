/* SPDX-License-Identifier: Apache-2.0
 *
 * Neighbours on the link: IPv4 address to MAC (RFC 826; checks in the spirit of RFC 5227). A
 * bounded set-associative cache: sets of eight by keyed hash, the longest unused goes. A neighbour
 * is named by a u16 that callers keep as a hint only: the address is checked at every use and the
 * hint repaired, so an eviction harms nobody. The gateway has an entry of its own.
 *
 *     NONE -> ASKED (request sent, no MAC: packets are dropped, TCP sends them again)
 *          -> KNOWN (MAC usable; after a minute without confirmation, or when something
 *                    contradicts it, its owner is asked in unicast; silent three times -> ASKED)
 *
 * Nothing waits in here and only the gateway has a timer: use of an entry drives it. What a peer
 * may change: a reply sets a MAC only in ASKED; a request to us sets one where there is none (never
 * the gateway's); a completed TCP handshake too (arp_learn). A KNOWN MAC is confirmed by its owner
 * but never overwritten: who claims a neighbour's address makes us ask that neighbour, and loses if
 * it is alive. Queue 0 answers requests for our address and announces it at start; every queue
 * learns from what it sees (nic.h copies ARP to all). Owner: one worker. */
#ifndef STENTOR_NET_ARP_H
#define STENTOR_NET_ARP_H

#include "stentor/net.h"

#include "wire.h"

#define ARP_WAYS 8u
#define ARP_SETS 512u
#define ARP_GATEWAY (ARP_WAYS * ARP_SETS) /* the neighbour all off-link peers are behind */
#define ARP_NONE UINT16_MAX               /* a hint that names nothing yet */
#define ARP_CONFIRM_NS UINT64_C(60000000000)
#define ARP_RETRY_NS UINT64_C(1000000000)
#define ARP_TRIES_MAX 3u /* unanswered before a MAC is given up; twice that, asking slows down */
#define ARP_SLOW_RETRY_NS UINT64_C(8000000000)

enum arp_state { ARP_STATE_NONE, ARP_STATE_ASKED, ARP_STATE_KNOWN };

struct arp_row {
    struct be32 address;
    uint8_t mac[ETHERNET_MAC_SIZE];
    uint8_t state; /* enum arp_state */
    uint8_t tries; /* requests since the last answer */
    uint32_t spare;
    uint64_t confirmed_at_ns;
    uint64_t asked_at_ns;
    uint64_t used_at_ns;
};
static_assert(sizeof(struct arp_row) == 40, "docs/LIMITS.md counts on it");

struct arp_cache {
    struct arp_row rows[ARP_WAYS * ARP_SETS + 1]; /* the last is the gateway's */

    uint64_t conflict_at_ns; /* last defence of our own address */
};

struct packet;

/* Announces our address and asks for the gateway. */
void arp_start(struct net *net);
/* An ARP frame, Ethernet header (or tag) already read; `arp` is what follows it. May send the
 * packet back as a reply, in which case packet->frame is NULL afterwards. */
void arp_input(struct net *net, struct packet *packet, struct bytes arp);
/* The MAC to send to `to` by, or NULL when it is not known (asked for, the caller drops). *hint
 * is ARP_NONE or what an earlier call left there. */
const uint8_t *arp_resolve(struct net *net, const struct net_address *to, uint16_t *hint);
/* A peer completed a handshake from this MAC: enters it unless the neighbour is known already.
 * Returns the hint for the connection's row. */
uint16_t arp_learn(struct net *net, const struct net_address *remote,
                   const uint8_t mac[ETHERNET_MAC_SIZE]);
/* A segment of a live connection came from this MAC: confirms the entry if it says the same. */
void arp_confirm(struct net *net, const struct net_address *remote, uint16_t hint,
                 const uint8_t mac[ETHERNET_MAC_SIZE]);
/* Keeps the gateway known. */
void arp_timers(struct net *net);
uint64_t arp_next_ns(const struct net *net);

#endif
