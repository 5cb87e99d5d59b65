/* SPDX-License-Identifier: Apache-2.0
 *
 * The Internet checksum in software (RFC 1071, RFC 9293 section 3.1), for every port that does not
 * compute it itself and for whoever received a packet nobody looked at.
 *
 * A sum is kept as 64 bits of one's complement in the machine's octet order, which the
 * one's complement allows until the fold (RFC 1071 section 2 (B)). Pieces added one after another
 * must have even sizes, save the last. Any thread, no allocation. */
#ifndef STENTOR_NIC_CHECKSUM_H
#define STENTOR_NIC_CHECKSUM_H

#include "stentor/byteorder.h"
#include "stentor/nic.h"

/* Adds the octets to the sum; start with 0. */
uint64_t nic_checksum_add(uint64_t sum, struct bytes octets);
/* The checksum field that makes the sum complete: 0 where the octets summed held a right one. */
struct be16 nic_checksum_field(uint64_t sum);
/* The sum of a TCP pseudo header: both addresses (8 octets of IPv4, 32 of IPv6), 6, and the size of
 * the TCP header with its payload. */
uint64_t nic_checksum_tcp_pseudo(struct bytes addresses, uint16_t tcp_size);

/* Fills in what packet->flags ask for (PACKET_FILL_*) and clears those flags. The frame is ours
 * and as stentor/nic.h demands. */
void nic_checksum_fill(struct packet *packet);

/* Looks at a received frame: PACKET_IP_GOOD, PACKET_L4_GOOD, PACKET_CHECKSUM_BAD as the octets
 * are, 0 where there is nothing of ours to verify (not IP, cut). IPv6 has no checksum of its own
 * and is good when its TCP is; behind extension headers nobody looks. At most one VLAN tag. */
uint16_t nic_checksum_judge(struct bytes frame);

#endif
