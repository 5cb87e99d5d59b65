/* SPDX-License-Identifier: Apache-2.0
 *
 * A network card for benches: buffers from a stack, what is transmitted comes back as counts and,
 * on demand, as the first octets of each frame. Costs a few instructions a packet, so what is
 * measured is the stack. Works like a port that computes checksums, or, with is_plain, like one
 * that does not: then the software of src/nic fills them in and the stack verifies its own. */
#ifndef STENTOR_BENCH_LOOP_NIC_H
#define STENTOR_BENCH_LOOP_NIC_H

#include "stentor/nic.h"

#define LOOP_BUFFERS 8192u
#define LOOP_BUFFER_BYTES 2048u
#define LOOP_KEPT_BYTES 128u
#define LOOP_KEPT_MAX 64u

struct loop_nic {
    struct nic_queue queue; /* first: its functions get the rest by it */
    bool is_plain;
    uint64_t sent_packets;
    uint32_t kept_count; /* frames sent since it was last set to 0, at most LOOP_KEPT_MAX kept */
    uint8_t kept[LOOP_KEPT_MAX][LOOP_KEPT_BYTES];
    uint32_t free_count;
    uint8_t *free[LOOP_BUFFERS];
    uint8_t *octets;
};

/* False when there is no memory. */
bool loop_nic_init(struct loop_nic *nic, struct heap *heap, struct metrics *metrics);
void loop_nic_fini(struct loop_nic *nic, struct heap *heap);
/* A received frame of these octets. */
struct packet loop_nic_frame(struct loop_nic *nic, struct bytes octets);
uint32_t loop_nic_buffers_out(const struct loop_nic *nic);

#endif
