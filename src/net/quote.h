/* SPDX-License-Identifier: Apache-2.0
 *
 * What an ICMP (RFC 792) or ICMPv6 (RFC 4443) error says about a segment of ours: it quotes the
 * start of the packet that met the trouble, which names the connection and a sequence number (RFC
 * 792: eight octets of TCP are enough). Nothing here is believed yet: anybody can write such a
 * packet. Whoever acts on it first checks that the connection exists and that the sequence number
 * is in flight (RFC 5927 section 4). Pure; any thread. */
#ifndef STENTOR_NET_QUOTE_H
#define STENTOR_NET_QUOTE_H

#include "icmp.h"
#include "ip.h"

/* True when the type is one of an error, of IPv4 or IPv6 as frame->kind says. */
bool quote_is_error(const struct frame *frame);
/* Reads the quote of a FRAME_ICMP or FRAME_ICMP6 frame whose checksum is good. ICMP_NOTHING when it
 * is no error, cut too short, or quotes no TCP segment that left one of our addresses on this VLAN.
 * Extension headers of the quoted packet are not gone by: we send none. */
void quote_read(const struct net_link *link, const struct frame *frame, struct icmp_quoted *quoted);

#endif
