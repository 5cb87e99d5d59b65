/* SPDX-License-Identifier: Apache-2.0
 *
 * The Internet checksum (RFC 1071), for what the NIC did not verify, and for ICMP and ARP, which
 * no NIC fills in. Any thread. */
#ifndef STENTOR_NET_CHECKSUM_H
#define STENTOR_NET_CHECKSUM_H

#include "stentor/bytes.h"

#include "wire.h"

/* One's complement sum of the octets as 16-bit words, folded; the last odd octet counts as high. */
uint16_t checksum_sum(struct bytes octets);
/* A header or message that carries its checksum is sound when this is true. */
bool checksum_is_good(struct bytes octets);
/* The same for a TCP segment under its pseudo-header. */
bool checksum_is_good_tcp(const struct ip_header *ip, struct bytes segment);
/* The same for what an IPv6 packet carries, behind its extension headers. */
bool checksum_is_good_ipv6(const struct ip6_header *ip, uint8_t protocol, struct bytes octets);
/* What goes into the field of an ICMPv6 message from there to there; zero in `octets`. */
struct be16 checksum_of_ipv6(const struct ip6_header *ip, uint8_t protocol, struct bytes octets);
/* What goes into the field, which must be zero in `octets`. */
struct be16 checksum_of(struct bytes octets);

#endif
