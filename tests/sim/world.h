/* SPDX-License-Identifier: Apache-2.0
 *
 * One simulated run: the whole server and two phones in one thread under a virtual clock, on a wire
 * whose faults come from the seed. The story: both log in, they talk, two pushes go out, both
 * leave, and everything must be as it was. Checked: each message and push arrives exactly once,
 * the counters of the pushes balance and end done, every pool is back at its baseline. */
#ifndef STENTOR_SIM_WORLD_H
#define STENTOR_SIM_WORLD_H

#include "stentor/bytes.h"
#include "stentor/nic.h"

struct world_options {
    uint64_t seed;
    struct nic_sim_faults faults;
    uint32_t worker_count;
    struct writer *trace; /* NULL = none */
};

struct world_outcome {
    char fault[512]; /* "" = all went well */
    uint64_t frames; /* turns taken */
    uint64_t elapsed_ns;
};

/* Faults drawn from the seed: some seeds have a clean wire, most lose, repeat, delay, corrupt. */
struct nic_sim_faults world_faults(uint64_t seed);
void world_run(const struct world_options *options, struct world_outcome *outcome);

#endif
