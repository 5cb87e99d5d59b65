/* SPDX-License-Identifier: Apache-2.0
 *
 * One direction of the simulated wire: what leaves one end of it. The switch (nic_sim.c) asks, in
 * this order, whether a frame passes at all, when it leaves the queue in front of the narrowest
 * link, how long it is under way, and what became of its octets. The simulation's thread; the
 * random is the wire's. */
#ifndef NIC_SIM_PATH_H
#define NIC_SIM_PATH_H

#include "stentor/nic.h"

struct nic_sim_path {
    struct nic_sim_faults faults;
    struct random *random;
    uint64_t free_at_ns; /* the narrow link has sent what was queued before */
    bool is_bad;         /* Gilbert-Elliott: in the lossy state */
    uint64_t until_ns[NIC_SIM_STRETCHES];
};

/* A chance in millionths; draws nothing when it is 0. */
bool nic_sim_path_happens(struct nic_sim_path *path, uint32_t ppm);
/* Uniform in [0, limit_ns]. */
uint64_t nic_sim_path_draw_ns(struct nic_sim_path *path, uint64_t limit_ns);
/* Loss of a single packet or of a burst. */
bool nic_sim_path_loses(struct nic_sim_path *path);
/* False when the queue is full. Else the frame has left it at *leaves_at_ns; *is_deep when it found
 * more waiting than faults.mark_octets. */
bool nic_sim_path_queue(struct nic_sim_path *path, uint64_t now_ns, size_t size,
                        uint64_t *leaves_at_ns, bool *is_deep);
/* Delay and jitter by its spread. */
uint64_t nic_sim_path_delay_ns(struct nic_sim_path *path);
/* Changes one stretch of bits behind the Ethernet addresses, or one bit anywhere. */
void nic_sim_path_corrupt(struct nic_sim_path *path, uint8_t *frame, size_t size);

/* Whether the frame holds an IP packet larger than mtu. */
bool nic_sim_is_too_big(struct bytes frame, uint16_t mtu);
/* The router's answer to it: ICMP fragmentation needed (RFC 792, 1191) or ICMPv6 packet too big
 * (RFC 4443), addressed to its sender; quotes `quoted_max` octets at most behind the IP header.
 * Returns its size; 0 when it may have none (an IPv4 packet that may be fragmented, an ICMP error).
 */
size_t nic_sim_write_too_big(struct bytes frame, uint16_t mtu, size_t quoted_max, uint8_t *into,
                             size_t room);
/* Sets CE where the packet says that its ends know ECN (RFC 3168 section 5); false when not. */
bool nic_sim_mark(uint8_t *frame, size_t size);

#endif
