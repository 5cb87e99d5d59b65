/* SPDX-License-Identifier: Apache-2.0
 *
 * ARP (RFC 826; checks in the spirit of RFC 5227): how IPv4 neighbours are asked for and answered.
 * What is known of them stands in neighbour.h, with the rules of what a peer may change. Queue 0
 * answers requests for our addresses, announces them at start and defends them; every queue learns
 * from what it sees. Owner: one worker. */
#ifndef STENTOR_NET_ARP_H
#define STENTOR_NET_ARP_H

#include "ip.h"

#define ARP_DEFEND_NS UINT64_C(10000000000) /* RFC 5227 section 2.4 */

/* Announces our IPv4 addresses. */
void arp_start(struct net *net);
/* A FRAME_ARP. May send the packet back as a reply, in which case packet->frame is NULL. */
void arp_input(struct net *net, struct packet *packet, const struct frame *frame);
/* Asks for that address, at `mac` alone or, when it is NULL, of all. Silent when no address of ours
 * can ask on that VLAN. */
void arp_ask(struct net *net, uint16_t vlan, const struct net_address *address, const uint8_t *mac);

#endif
