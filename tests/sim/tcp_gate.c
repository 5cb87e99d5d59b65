/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_sim.h: the exhaustive gates. One exchange, handshake, a request and
 * its echo, close, on a clean path; first whole, to learn how many frames it
 * takes, ARP included; then once for each of those frames and each thing that
 * may befall it. All that a seed is judged by is judged here.
 *
 * Delays are around the retransmission timeouts, a tick to either side: 1 s of
 * a first SYN, 200 ms of a path this short. */
#include <stdio.h>

#include "tcp_sim.h"

#define PATH_DELAY_NS (10 * NS_PER_MS)
#define REQUEST_OCTETS 3000u /* more than two segments */
#define WRAP_BEFORE_MS 30u   /* between handshake and request */

struct blow {
    const char *name;
    enum nic_sim_strike strike;
    uint64_t delay_ns;
};

static const struct blow blows[] = {
    {"drop", NIC_SIM_STRIKE_DROP, 0},
    {"twice", NIC_SIM_STRIKE_TWICE, 0},
    {"swap", NIC_SIM_STRIKE_SWAP, 0},
    {"corrupt", NIC_SIM_STRIKE_CORRUPT, 0},
    {"delay 199 ms", NIC_SIM_STRIKE_DELAY, 199 * NS_PER_MS},
    {"delay 200 ms", NIC_SIM_STRIKE_DELAY, 200 * NS_PER_MS},
    {"delay 201 ms", NIC_SIM_STRIKE_DELAY, 201 * NS_PER_MS},
    {"delay 999 ms", NIC_SIM_STRIKE_DELAY, 999 * NS_PER_MS},
    {"delay 1001 ms", NIC_SIM_STRIKE_DELAY, 1001 * NS_PER_MS},
};

/* What else is told apart. */
struct setting {
    const char *name;
    bool has_isn;
    bool wraps_time;
    bool is_ipv6;
    bool is_crossing;
    uint32_t isn;
};

static const struct setting settings[] = {
    {.name = "any sequence numbers"},
    {.name = "ISN 2^32-0", .has_isn = true, .isn = 0},
    {.name = "ISN 2^32-1", .has_isn = true, .isn = 0u - 1},
    {.name = "ISN 2^32-1460", .has_isn = true, .isn = 0u - 1460},
    {.name = "ISN 2^32-65536", .has_isn = true, .isn = 0u - 65536},
    {.name = "timestamps wrap", .wraps_time = true},
    {.name = "both wrap", .has_isn = true, .wraps_time = true, .isn = 0u - 1460},
    {.name = "IPv6", .is_ipv6 = true},
    {.name = "SYNs cross", .is_crossing = true},
    {.name = "SYNs cross, ISN 2^32-1", .is_crossing = true, .has_isn = true, .isn = 0u - 1},
    {.name = "IPv6, ISN 2^32-1", .is_ipv6 = true, .has_isn = true, .isn = 0u - 1},
};

static const enum call_close closings[][TCP_SIM_HOSTS] = {
    {CLOSE_WHEN_COMPLETE, CLOSE_WHEN_ENDED},
    {CLOSE_WHEN_ENDED, CLOSE_WHEN_COMPLETE},
    {CLOSE_WHEN_COMPLETE, CLOSE_WHEN_COMPLETE},
};
static const char *const closing_names[] = {"opener closes", "acceptor closes", "both close"};

struct gate {
    const struct setting *setting;
    uint32_t closing;
    const struct blow *blow; /* NULL = none */
    uint64_t frame;
};

static void exchange_write(struct tcp_sim *sim, const struct gate *gate)
{
    struct call *call = &sim->calls[0];
    sim->seed = 1;
    sim->is_strict = true;
    sim->start_ns =
        gate->setting->wraps_time ? host_wrap_start_ns(sim, WRAP_BEFORE_MS) : TCP_SIM_START_NS;
    sim->quiet_at_ns = sim->start_ns;
    random_init_seed(&sim->random, sim->seed);
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++)
        sim->calm[i] = sim->faults[i] = (struct nic_sim_faults){.delay_ns = PATH_DELAY_NS};
    sim->call_count = 1;
    sim->mortal = TCP_SIM_HOSTS;
    *call = (struct call){
        .kind = CALL_REQUESTS,
        .key = 1,
        .is_ipv6 = gate->setting->is_ipv6,
        .open_at_ns = sim->start_ns,
        .chunk_max = REQUEST_OCTETS,
        .ports = {0, TCP_SIM_PORT},
        .is_crossing = gate->setting->is_crossing,
        .request = REQUEST_OCTETS,
        .answer = REQUEST_OCTETS,
        .has_isn = gate->setting->has_isn,
        .isn = gate->setting->isn,
    };
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++)
        call->sides[i] = (struct side){.conn = POOL_NONE,
                                       .close = closings[gate->closing][i],
                                       .abort_at_ns = UINT64_MAX,
                                       .to_send = REQUEST_OCTETS};
    if (gate->blow == NULL)
        return;
    sim->strike_frame = gate->frame;
    sim->strike = gate->blow->strike;
    sim->strike_delay_ns = gate->blow->delay_ns;
}

/* How many frames it took; 0 when it failed. */
static uint64_t run(const struct gate *gate, struct writer *trace)
{
    static struct tcp_sim sim; /* tidy: global - large */
    struct world_outcome outcome = {0};
    struct net_options limits = tcp_sim_ample_limits();
    memset(&sim, 0, sizeof sim);
    sim.outcome = &outcome;
    exchange_write(&sim, gate);
    tcp_sim_run(&sim, &limits, trace);
    if (outcome.fault[0] == '\0')
        return sim.frames;
    printf("gate: %s, %s, frame %llu, %s: %s\n", gate->setting->name, closing_names[gate->closing],
           (unsigned long long)gate->frame, gate->blow == NULL ? "nothing" : gate->blow->name,
           outcome.fault);
    return 0;
}

static uint32_t run_frames(struct gate *gate, uint64_t frames, struct writer *trace)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT(blows); i++) {
        gate->blow = &blows[i];
        for (gate->frame = 0; gate->frame < frames; gate->frame++)
            failed += run(gate, trace) == 0;
    }
    return failed;
}

bool tcp_gates_run(struct writer *trace)
{
    uint64_t total = 0, failed = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT(settings); i++) {
        for (uint32_t closing = 0; closing < ARRAY_COUNT(closings); closing++) {
            struct gate gate = {.setting = &settings[i], .closing = closing};
            uint64_t frames = run(&gate, trace);
            failed += frames == 0;
            failed += run_frames(&gate, frames, trace);
            total += 1 + frames * ARRAY_COUNT(blows);
        }
    }
    printf("gates: %llu exchanges, %llu failed\n", (unsigned long long)total,
           (unsigned long long)failed);
    return failed == 0;
}
