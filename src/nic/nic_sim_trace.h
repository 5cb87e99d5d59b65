/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated wire's trace: one text line a frame that enters it.
 *
 *   time_ns from>destination-mac size kind ...  [fate@end ...]
 *   1200000 0>02.00.00.00.00.01 74 ip 10.0.0.1:5222>10.0.0.2:40000 S seq 7 ack 0 win 64 len 0
 * lost@1
 *
 * All numbers decimal save the MAC, which reads as in the ends' own notation. A NULL writer traces
 * nothing. The simulation's thread. */
#ifndef NIC_SIM_TRACE_H
#define NIC_SIM_TRACE_H

#include "stentor/bytes.h"

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

void nic_sim_trace_frame(struct writer *into, uint64_t now_ns, uint16_t from, struct bytes frame);
/* What befell the copy for one end; nothing is written when it fares well. */
void nic_sim_trace_fate(struct writer *into, uint16_t to, enum nic_sim_fate fate);
void nic_sim_trace_end(struct writer *into);

#endif
