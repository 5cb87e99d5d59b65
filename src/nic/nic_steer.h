/* SPDX-License-Identifier: Apache-2.0
 *
 * Which queue owns a frame, decided by its octets alone: RSS in software. The same TCP 4-tuple
 * always gives the same queue; the key is new at each boot, so nobody outside can aim at one. */
#ifndef NIC_STEER_H
#define NIC_STEER_H

#include "stentor/bytes.h"
#include "stentor/siphash.h"

#define NIC_STEER_ALL UINT32_MAX /* ARP, NDP: every queue keeps its own neighbours */

/* The queue in [0, queue_count), or NIC_STEER_ALL. Frames may be cut and nonsensical. */
uint32_t nic_steer_queue(const struct siphash_key *key, struct bytes frame, uint32_t queue_count);
/* An ICMP error about an IPv4 packet of ours: where the port's own RSS decides who owns that flow,
 * nobody here can tell, and every queue gets it. */
bool nic_steer_quotes_ipv4(struct bytes frame);

#endif
