/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_sim.h: from a seed to a verdict. Faults last at most FAULTS_SECONDS_MAX, less than any
 * timeout that gives a peer up, so while pools are ample each call that nobody aborts must end in
 * order. After the faults each step of each call comes within 2 RTO_max, or within what keepalive
 * needs to find a peer that is gone. */
#include <stdarg.h>
#include <stdio.h>

#include "tcp_sim.h"

#define START_NS (1000 * NS_PER_SECOND)
#define FAULTS_SECONDS_MAX 20u
#define TURNS_MAX 400000u
#define KEEPALIVE_IDLE_NS (30 * NS_PER_SECOND)
#define KEEPALIVE_INTERVAL_NS (5 * NS_PER_SECOND)
#define KEEPALIVE_PROBES 6u
#define USER_TIMEOUT_NS (300 * NS_PER_SECOND)
#define TIME_WAIT_NS (60 * NS_PER_SECOND)
#define LIVENESS_NS                                                                                \
    (2 * TCP_SIM_RTO_MAX_NS + KEEPALIVE_IDLE_NS + (KEEPALIVE_PROBES + 1) * KEEPALIVE_INTERVAL_NS)

void tcp_sim_blame(struct tcp_sim *sim, const char *format, ...)
{
    if (tcp_sim_is_blamed(sim))
        return;
    char *into = sim->outcome->fault;
    size_t room = sizeof sim->outcome->fault;
    int used = snprintf(into, room, "at %.6f s: ", (double)(sim->now_ns - sim->start_ns) / 1e9);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(into + used, room - (size_t)used, format, arguments);
    va_end(arguments);
}

bool tcp_sim_is_blamed(const struct tcp_sim *sim)
{
    return sim->outcome->fault[0] != '\0';
}

/* ---- the world of a seed ---- */

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

static void draw_faults(struct tcp_sim *sim)
{
    struct nic_sim_faults *faults = &sim->faults;
    faults->delay_ns = draw_size(sim, 28); /* up to 268 ms */
    faults->jitter_ns = happens(sim, 50) ? draw_size(sim, 26) : 0;
    faults->judges_checksums = happens(sim, 50);
    sim->calm = *faults;
    sim->quiet_at_ns = sim->start_ns;
    if (happens(sim, 10))
        return;
    sim->quiet_at_ns += 1 + random_u64(&sim->random) % (FAULTS_SECONDS_MAX * NS_PER_SECOND);
    if (happens(sim, 60))
        faults->loss_ppm = below(sim, happens(sim, 20) ? 300000 : 60000);
    if (happens(sim, 40))
        faults->duplicate_ppm = below(sim, 100000);
    if (happens(sim, 40)) {
        faults->reorder_ppm = below(sim, 300000);
        faults->reorder_ns = draw_size(sim, 29);
    }
    if (happens(sim, 25))
        faults->corrupt_ppm = below(sim, 50000);
    if (happens(sim, 25))
        faults->refuse_take_ppm = below(sim, 100000);
    if (happens(sim, 25))
        faults->refuse_transmit_ppm = below(sim, 100000);
}

static struct net_options draw_limits(struct tcp_sim *sim)
{
    struct net_liveness liveness = {KEEPALIVE_IDLE_NS, KEEPALIVE_INTERVAL_NS, KEEPALIVE_PROBES,
                                    USER_TIMEOUT_NS};
    struct net_options limits = {
        .connections_max = 32,
        .hot_max = 32,
        .send_references_max = 1024,
        .connections_per_address = 32,
        .accepts_per_second = 100000,
        .receive_window = (uint32_t)(2048 + draw_size(sim, 18)),
        .reorder_bytes_max = 1 << 20,
        .send_bytes_max = 8192 + draw_size(sim, 17),
        .time_wait_ns = TIME_WAIT_NS,
        .time_wait_max = 32,
        .liveness = {liveness, liveness},
    };
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
    if (call->chunk_max < 64 && opener->to_send + other->to_send > 20000)
        call->chunk_max = 1000;
}

static void draw_call(struct tcp_sim *sim, struct call *call)
{
    const enum call_close *closing = closings[below(sim, ARRAY_COUNT(closings))];
    call->kind = (enum call_kind)below(sim, CALL_KINDS);
    call->opener = happens(sim, 25);
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
        call->idle_ns = KEEPALIVE_IDLE_NS + draw_size(sim, 36);
        /* Who has closed is not waited for longer than TCP_ORPHAN_NS. */
        call->sides[0].close = call->sides[1].close = CLOSE_WHEN_COMPLETE;
        call->open_at_ns += sim->quiet_at_ns - sim->start_ns;
    }
    if (happens(sim, 20)) {
        static const uint32_t ahead[] = {0, 1, 1460, 65536};
        call->has_isn = true;
        call->isn = 0u - ahead[below(sim, ARRAY_COUNT(ahead))] - below(sim, 3);
    }
}

/* The same ports again as soon as the opener has closed; the acceptor closes first, so that the
 * memory of the connection is at its end. */
static void draw_again(struct tcp_sim *sim, struct call *call)
{
    const struct call *before = call - 1;
    uint32_t opener = before->opener;
    draw_call(sim, call);
    if (before->may_fail || call->opener != opener)
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

static bool world_open(struct tcp_sim *sim)
{
    heap_init(&sim->heap, 256u << 20);
    if (nic_sim_create(&sim->wire, &sim->heap, sim->seed) != ERROR_NONE)
        return false;
    nic_sim_advance(sim->wire, sim->now_ns);
    sim->is_strict = happens(sim, 75);
    struct net_options limits = draw_limits(sim);
    draw_faults(sim);
    draw_calls(sim);
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++)
        if (!host_open(sim, i, &limits))
            return false;
    nic_sim_set_faults(sim->wire, &sim->faults);
    return true;
}

static void world_close(struct tcp_sim *sim)
{
    host_close(sim, 0);
    host_close(sim, 1);
    if (sim->wire != NULL)
        nic_sim_destroy(&sim->wire);
    if (heap_used_bytes(&sim->heap) != 0)
        tcp_sim_blame(sim, "the wire kept heap");
}

/* ---- the clock ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void step(struct tcp_sim *sim)
{
    if (!sim->is_calm && sim->now_ns >= sim->quiet_at_ns) {
        sim->is_calm = true;
        nic_sim_set_faults(sim->wire, &sim->calm);
    }
    nic_sim_advance(sim->wire, sim->now_ns);
    host_turn(sim, 0);
    host_turn(sim, 1);
    sim->turns++;
    uint64_t next_ns = earlier(nic_sim_next_ns(sim->wire), call_next_ns(sim));
    next_ns = earlier(next_ns, earlier(host_next_ns(sim, 0), host_next_ns(sim, 1)));
    if (!sim->is_calm)
        next_ns = earlier(next_ns, sim->quiet_at_ns);
    if (next_ns == UINT64_MAX)
        next_ns = sim->now_ns + NS_PER_SECOND;
    sim->now_ns = next_ns > sim->now_ns ? next_ns : sim->now_ns + NS_PER_US;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Until when something must move: a step of a call, or what the script itself waits for. */
static uint64_t patience_ns(const struct tcp_sim *sim)
{
    uint64_t since_ns = later(sim->quiet_at_ns, sim->progress_at_ns);
    uint64_t script_ns = call_next_ns(sim);
    if (script_ns != UINT64_MAX)
        since_ns = later(since_ns, script_ns);
    /* With one row a host two openers may stand in each other's way until both give up. */
    return since_ns + LIVENESS_NS * (sim->is_strict ? 1 : sim->call_count + 1);
}

static void run_calls(struct tcp_sim *sim)
{
    while (!tcp_sim_is_blamed(sim) && !calls_are_over(sim)) {
        step(sim);
        if (sim->now_ns > patience_ns(sim) || sim->turns > TURNS_MAX)
            tcp_sim_blame(sim, "not live: calls are not over after %llu turns",
                          (unsigned long long)sim->turns);
    }
}

/* What is under way arrives, and TIME_WAIT passes. */
static void run_out(struct tcp_sim *sim)
{
    uint64_t end_ns = sim->now_ns + TIME_WAIT_NS + FAULTS_SECONDS_MAX * NS_PER_SECOND;
    while (!tcp_sim_is_blamed(sim) && sim->now_ns < end_ns)
        step(sim);
}

/* ---- the verdict ---- */

static void judge_side(struct tcp_sim *sim, const struct call *call, uint32_t host)
{
    const struct side *side = &call->sides[host];
    const struct side *peer = &call->sides[1 - host];
    uint32_t number = (uint32_t)(call - sim->calls);
    if (side->was_opened && side->closed_count != 1)
        tcp_sim_blame(sim, "call %u: host %u got %u NET_CLOSED", number, host, side->closed_count);
    if (!sim->is_strict || call->may_fail)
        return;
    if (!side->was_opened)
        tcp_sim_blame(sim, "call %u: host %u was never reached", number, host);
    else if (side->why != NET_CLOSE_DONE)
        tcp_sim_blame(sim, "call %u: host %u closed for %d", number, host, (int)side->why);
    else if (side->received != peer->to_send)
        tcp_sim_blame(sim, "call %u: host %u got %llu octets of %llu", number, host,
                      (unsigned long long)side->received, (unsigned long long)peer->to_send);
}

/* Where everything stood at the failure, behind the packets. */
static void describe_side(const struct tcp_sim *sim, const struct call *call, uint32_t host,
                          struct writer *into)
{
    const struct net *net = sim->hosts[host].net;
    const struct side *side = &call->sides[host];
    char line[512];
    snprintf(line, sizeof line,
             "  call %zu kind %d host %u%s: opened %d open %d ended %d closing %d(%d) why %d "
             "blocked %d sent %llu of %llu received %llu\n",
             call - sim->calls, (int)call->kind, host, call->opener == host ? " opener" : "",
             side->was_opened, side->is_open, side->has_ended, side->is_closing, (int)side->close,
             (int)side->why, side->is_blocked, (unsigned long long)side->sent,
             (unsigned long long)side->to_send, (unsigned long long)side->received);
    write_string(into, line);
    if (!side->is_open || net == NULL || !net_is_live(net, side->conn))
        return;
    const struct tcp_row *row = &net->rows[side->conn];
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    snprintf(line, sizeof line, "    %s %u>%u nxt %u una %u end %u rcv_nxt %u wnd %u tries %d\n",
             tcp_state_name(net, side->conn), row->local_port, row->remote_port, row->snd_nxt,
             tcp_una(net, row), hot == NULL ? 0 : hot->snd_end, row->rcv_nxt, tcp_send_window(row),
             hot == NULL ? -1 : hot->tries);
    write_string(into, line);
}

static void describe(const struct tcp_sim *sim, struct writer *into)
{
    if (into == NULL || !tcp_sim_is_blamed(sim))
        return;
    for (uint32_t i = 0; i < sim->call_count; i++) {
        describe_side(sim, &sim->calls[i], 0, into);
        describe_side(sim, &sim->calls[i], 1, into);
    }
}

void tcp_world_run(const struct world_options *options, struct world_outcome *outcome)
{
    static struct tcp_sim sim; /* tidy: global - large */
    memset(&sim, 0, sizeof sim);
    memset(outcome, 0, sizeof *outcome);
    sim.seed = options->seed;
    sim.outcome = outcome;
    sim.start_ns = sim.now_ns = START_NS;
    random_init_seed(&sim.random, options->seed ^ UINT64_C(0x544350));
    if (!world_open(&sim))
        tcp_sim_blame(&sim, "the world cannot be made");
    nic_sim_trace(sim.wire, options->trace);
    run_calls(&sim);
    for (uint32_t i = 0; i < sim.call_count; i++) {
        judge_side(&sim, &sim.calls[i], 0);
        judge_side(&sim, &sim.calls[i], 1);
    }
    run_out(&sim);
    if (!tcp_sim_is_blamed(&sim))
        watch_rest(&sim);
    describe(&sim, options->trace);
    outcome->frames = sim.turns;
    outcome->elapsed_ns = sim.now_ns - START_NS;
    world_close(&sim);
}
