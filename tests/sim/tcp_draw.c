/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_sim.h: what a world is made of, drawn from its seed: limits of both
 * stacks, the path in storm and calm, stretches in which something fails, and
 * the calls. */
#include "tcp_sim.h"

#define IPV6_MTUS 3u
#define HALF_CLOSED_GAP_NS_MAX (30 * NS_PER_MS) /* 4,096 pushes of an octet take two minutes */

static uint32_t below(struct tcp_sim *sim, uint32_t limit)
{
    return random_below(&sim->random, limit);
}

static bool happens(struct tcp_sim *sim, uint32_t percent)
{
    return below(sim, 100) < percent;
}

/* Small numbers as often as large ones: uniform in its number of bits. */
static uint64_t draw_size(struct tcp_sim *sim, uint32_t bits_max)
{
    uint32_t bits = 1 + below(sim, bits_max);
    return 1 + (random_u64(&sim->random) & ((UINT64_C(1) << bits) - 1));
}

/* What the path is, in storm and calm. */
static struct nic_sim_faults draw_path(struct tcp_sim *sim)
{
    static const uint16_t mtus[] = {1492, 1400, 1280, 1006, 576};
    struct nic_sim_faults path = {.delay_ns = draw_size(sim, 28)}; /* up to 268 ms */
    path.jitter_ns = happens(sim, 50) ? draw_size(sim, 26) : 0;
    path.jitter_spread = happens(sim, 50) ? NIC_SIM_UNIFORM : NIC_SIM_EXPONENTIAL;
    path.judges_checksums = happens(sim, 50);
    if (happens(sim, 15)) {
        path.octets_per_second = 20000 + draw_size(sim, 24);
        path.queue_octets_max = (uint32_t)(8000 + draw_size(sim, 17));
        path.mark_octets = happens(sim, 50) ? 3000 + below(sim, 20000) : 0;
    }
    if (happens(sim, 12)) {
        /* IPv6 takes no path below its minimum: RFC 8200 section 5. */
        path.path_mtu = mtus[below(sim, sim->has_ipv6 ? IPV6_MTUS : ARRAY_COUNT(mtus))];
        path.is_path_silent = happens(sim, 30);
    }
    return path;
}

static void draw_storm(struct tcp_sim *sim, struct nic_sim_faults *faults)
{
    if (happens(sim, 60))
        faults->loss_ppm = below(sim, happens(sim, 20) ? 300000 : 60000);
    if (happens(sim, 15)) {
        faults->burst_start_ppm = below(sim, 20000);
        faults->burst_end_ppm = 20000 + below(sim, 300000);
        faults->burst_loss_ppm = 500000 + below(sim, 500000);
    }
    if (happens(sim, 40))
        faults->duplicate_ppm = below(sim, 100000);
    if (happens(sim, 40)) {
        faults->reorder_ppm = below(sim, 300000);
        faults->reorder_ns = draw_size(sim, 29);
    }
    if (happens(sim, 25)) {
        faults->corrupt_ppm = below(sim, 50000);
        faults->corrupt_bits = 1 + below(sim, 15);
    }
    if (happens(sim, 25))
        faults->refuse_take_ppm = below(sim, 100000);
    if (happens(sim, 25))
        faults->refuse_transmit_ppm = below(sim, 100000);
}

static void add_stretch(struct tcp_sim *sim, struct stretch stretch)
{
    uint32_t at = sim->stretch_count++;
    for (; at > 0 && sim->stretches[at - 1].at_ns > stretch.at_ns; at--)
        sim->stretches[at] = sim->stretches[at - 1];
    sim->stretches[at] = stretch;
}

static void draw_stretches(struct tcp_sim *sim)
{
    uint64_t span_ns = sim->quiet_at_ns - sim->start_ns;
    uint32_t count = happens(sim, 50) ? 0 : 1 + below(sim, TCP_SIM_STRETCHES_MAX / 2);
    for (uint32_t i = 0; i < count; i++) {
        struct stretch stretch = {.kind = below(sim, STRETCH_KINDS), .host = below(sim, 2)};
        stretch.at_ns = sim->start_ns + random_u64(&sim->random) % span_ns;
        stretch.until_ns = stretch.at_ns + draw_size(sim, 34);
        if (stretch.until_ns > sim->quiet_at_ns)
            stretch.until_ns = sim->quiet_at_ns;
        add_stretch(sim, stretch);
        if (happens(sim, 50)) { /* both ways */
            stretch.host = 1 - stretch.host;
            add_stretch(sim, stretch);
        }
    }
}

static void draw_faults(struct tcp_sim *sim)
{
    bool is_symmetric = happens(sim, 60);
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++) {
        sim->calm[i] = i != 0 && is_symmetric ? sim->calm[0] : draw_path(sim);
        sim->faults[i] = sim->calm[i];
    }
    sim->quiet_at_ns = sim->start_ns;
    if (happens(sim, 10))
        return;
    sim->quiet_at_ns += 1 + random_u64(&sim->random) % TCP_SIM_FAULTS_NS_MAX;
    draw_stretches(sim);
    draw_storm(sim, &sim->faults[0]);
    draw_storm(sim, &sim->faults[1]);
}

struct net_options tcp_sim_ample_limits(void)
{
    struct net_liveness liveness = {TCP_SIM_KEEPALIVE_IDLE_NS, TCP_SIM_KEEPALIVE_INTERVAL_NS,
                                    TCP_SIM_KEEPALIVE_PROBES, TCP_SIM_USER_TIMEOUT_NS};
    return (struct net_options){
        .connections_max = 32,
        .hot_max = 32,
        .send_references_max = 4096,
        .connections_per_address = 32,
        .accepts_per_second = 100000,
        .receive_window = 65536,
        .reorder_bytes_max = 1 << 20,
        .send_bytes_max = 1 << 17,
        .time_wait_ns = TCP_SIM_TIME_WAIT_NS,
        .time_wait_max = 32,
        .liveness = {liveness, liveness},
    };
}

static struct net_options draw_limits(struct tcp_sim *sim)
{
    struct net_options limits = tcp_sim_ample_limits();
    limits.receive_window = (uint32_t)(2048 + draw_size(sim, 18));
    limits.send_bytes_max = 8192 + draw_size(sim, 17);
    limits.congestion = happens(sim, 50) ? NET_CUBIC : NET_NEWRENO;
    limits.has_ecn = happens(sim, 50);
    if (sim->is_strict)
        return limits;
    limits.connections_max = 1 + below(sim, 4);
    limits.hot_max = 1 + below(sim, 4);
    limits.send_references_max = 1 + below(sim, 32);
    limits.reorder_bytes_max = draw_size(sim, 14);
    limits.time_wait_max = below(sim, 3);
    return limits;
}

static const enum call_close closings[][2] = {
    {CLOSE_WHEN_SENT, CLOSE_WHEN_ENDED},     {CLOSE_WHEN_ENDED, CLOSE_WHEN_SENT},
    {CLOSE_WHEN_SENT, CLOSE_WHEN_SENT},      {CLOSE_WHEN_COMPLETE, CLOSE_WHEN_COMPLETE},
    {CLOSE_WHEN_COMPLETE, CLOSE_WHEN_ENDED}, {CLOSE_WHEN_ENDED, CLOSE_WHEN_COMPLETE},
};

static void draw_abort(struct tcp_sim *sim, struct call *call)
{
    struct side *side = &call->sides[below(sim, TCP_SIM_HOSTS)];
    call->may_fail = true;
    side->close = CLOSE_BY_ABORT;
    side->abort_at_ns = call->open_at_ns + draw_size(sim, 32);
}

static void draw_volume(struct tcp_sim *sim, struct call *call)
{
    struct side *opener = &call->sides[call->opener];
    struct side *other = &call->sides[1 - call->opener];
    call->chunk_max = (uint32_t)draw_size(sim, 12) + (sim->is_strict ? 0 : 256);
    if (call->kind == CALL_REQUESTS) {
        uint32_t rounds = 1 + below(sim, 20);
        call->request = (uint32_t)draw_size(sim, sim->is_strict ? 11 : 7);
        call->answer = (uint32_t)draw_size(sim, sim->is_strict ? 13 : 9);
        opener->to_send = (uint64_t)rounds * call->request;
        other->to_send = (uint64_t)rounds * call->answer;
        return;
    }
    if (call->kind == CALL_THIN) {
        call->gap_ns = draw_size(sim, 32);
        call->chunk_max = 1 + below(sim, 400);
        opener->to_send = draw_size(sim, 12);
        other->to_send = draw_size(sim, 12);
        return;
    }
    uint32_t bits = happens(sim, 30) && sim->is_strict ? 17 : 14;
    opener->to_send = draw_size(sim, bits);
    other->to_send = happens(sim, 30) ? 0 : draw_size(sim, bits);
    /* So that references are ample for all calls together. */
    if (call->chunk_max < 512 && opener->to_send + other->to_send > 8000)
        call->chunk_max = 1000;
}

/* Who has closed does not wait for ever: not a minute while nothing comes
 * (TCP_ORPHAN_NS), which a path that swallows large packets may take, and not
 * five in all (TCP_CLOSING_NS). */
static void spare_half_closed(struct tcp_sim *sim, struct call *call)
{
    bool is_silent = sim->calm[0].is_path_silent || sim->calm[1].is_path_silent;
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++) {
        struct side *side = &call->sides[i];
        if (side->close != CLOSE_WHEN_SENT)
            continue;
        if (is_silent || call->idle_ns != 0)
            side->close = CLOSE_WHEN_COMPLETE;
        else if (call->gap_ns > HALF_CLOSED_GAP_NS_MAX)
            call->gap_ns = HALF_CLOSED_GAP_NS_MAX;
    }
}

static void draw_call(struct tcp_sim *sim, struct call *call)
{
    const enum call_close *closing = closings[below(sim, ARRAY_COUNT(closings))];
    call->kind = (enum call_kind)below(sim, CALL_KINDS);
    call->opener = happens(sim, 25);
    call->ports[1 - call->opener] = TCP_SIM_PORT;
    call->is_ipv6 = sim->has_ipv6 && happens(sim, 70);
    call->key = random_u64(&sim->random);
    call->open_at_ns = sim->start_ns + draw_size(sim, 32);
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++) {
        call->sides[i].conn = POOL_NONE;
        call->sides[i].close = closing[i == call->opener];
        call->sides[i].abort_at_ns = UINT64_MAX;
    }
    draw_volume(sim, call);
    if (happens(sim, 10))
        draw_abort(sim, call);
    if (happens(sim, 10)) {
        call->idle_after = 1 + random_u64(&sim->random) % call->sides[call->opener].to_send;
        call->idle_ns = TCP_SIM_KEEPALIVE_IDLE_NS + draw_size(sim, 36);
        call->open_at_ns += sim->quiet_at_ns - sim->start_ns;
    }
    if (happens(sim, 20)) {
        static const uint32_t ahead[] = {0, 1, 1460, 65536};
        call->has_isn = true;
        call->isn = 0u - ahead[below(sim, ARRAY_COUNT(ahead))] - below(sim, 3);
    }
    call->is_crossing = happens(sim, 5);
    spare_half_closed(sim, call);
}

/* The same ports again as soon as the opener has closed; the acceptor closes
 * first, so that the memory of the connection is at its end. */
static void draw_again(struct tcp_sim *sim, struct call *call)
{
    const struct call *before = call - 1;
    uint32_t opener = before->opener;
    draw_call(sim, call);
    if (before->may_fail || before->is_crossing || call->is_crossing || call->opener != opener ||
        call->is_ipv6 != before->is_ipv6)
        return;
    call->is_same_port = true;
    call->has_isn = false;
}

static void draw_calls(struct tcp_sim *sim)
{
    sim->call_count = 1 + below(sim, happens(sim, 20) ? TCP_SIM_CALLS_MAX : 4);
    for (uint32_t i = 0; i < sim->call_count; i++) {
        struct call *call = &sim->calls[i];
        if (i != 0 && happens(sim, 15))
            draw_again(sim, call);
        else
            draw_call(sim, call);
    }
}

struct net_options tcp_sim_draw(struct tcp_sim *sim)
{
    sim->is_strict = happens(sim, 75);
    sim->has_ipv6 = happens(sim, 40);
    sim->start_ns = TCP_SIM_START_NS;
    if (happens(sim, 15))
        sim->start_ns = host_wrap_start_ns(sim, draw_size(sim, 13));
    struct net_options limits = draw_limits(sim);
    draw_faults(sim);
    draw_calls(sim);
    sim->mortal = happens(sim, 4) ? below(sim, TCP_SIM_HOSTS) : TCP_SIM_HOSTS;
    sim->dies_at_ns = sim->start_ns + draw_size(sim, 34);
    return limits;
}
