/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated wire's trace: one text line a frame that enters it, for a person to read and for
 * two runs of one seed to share octet for octet.
 *
 *   seconds from>destination-mac size kind ...  [fate@end ...]
 *   0.001200000 0>02.00.00.00.00.02 74 tcp 10.0.0.1:5222>10.0.0.2:40000 SA seq 0 ack 1 win 64 len 0
 * mss 1460 wscale 3 sack-ok ts 12/7 lost@1
 *
 * Sequence numbers, acknowledgements and SACK blocks are relative to the SYN of their direction, or
 * to the first of it that was seen. Letters of the ECN bits stand behind the flags (ce, ect). MACs
 * read as in the ends' own notation. The simulation's thread. */
#ifndef NIC_SIM_TRACE_H
#define NIC_SIM_TRACE_H

#include "stentor/bytes.h"

#define NIC_SIM_TRACE_FLOWS 64u /* remembered; the oldest makes way */

enum nic_sim_fate {
    NIC_SIM_LOST = 1,
    NIC_SIM_TWICE = 2,
    NIC_SIM_LATE = 4,
    NIC_SIM_CORRUPT = 8,
    NIC_SIM_TOO_LONG = 16,
    NIC_SIM_FULL = 32,
    NIC_SIM_MARKED = 64,
    NIC_SIM_TOO_BIG = 128,
    NIC_SIM_HELD = 256,
    NIC_SIM_TOLD = 512 /* a router told the sender why */
};

/* One direction of a connection, and where its numbers start. */
struct nic_sim_flow {
    uint8_t tuple[36]; /* source, destination (IPv4 in the first four octets), ports */
    uint32_t base;
    bool is_known;
};

struct nic_sim_tracer {
    struct writer *into; /* NULL = none */
    uint32_t flow_next;
    struct nic_sim_flow flows[NIC_SIM_TRACE_FLOWS];
};

void nic_sim_trace_frame(struct nic_sim_tracer *tracer, uint64_t now_ns, uint16_t from,
                         struct bytes frame);
/* What befell the copy for one end; nothing is written when it fares well. */
void nic_sim_trace_fate(struct nic_sim_tracer *tracer, uint16_t to, enum nic_sim_fate fate);
void nic_sim_trace_end(struct nic_sim_tracer *tracer);

#endif
