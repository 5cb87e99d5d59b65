/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_sim.h: from a seed to a verdict. Faults last at most
 * TCP_SIM_FAULTS_NS_MAX, less than any timeout that gives a peer up, so while
 * pools are ample each call that nobody aborts must end in order. After the
 * faults each step of each call comes within 2 RTO_max, or within what
 * keepalive needs to find a peer that is gone. */
#include <stdarg.h>
#include <stdio.h>

#include "tcp_sim.h"

#define TURNS_MAX 3000000u
#define HOLE_TIMEOUTS UINT64_C(7)
#define LIVENESS_NS                                                                                \
    (2 * TCP_SIM_RTO_MAX_NS + TCP_SIM_KEEPALIVE_IDLE_NS +                                          \
     (TCP_SIM_KEEPALIVE_PROBES + 1) * TCP_SIM_KEEPALIVE_INTERVAL_NS)

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

/* ---- life ---- */

static void set_faults(struct tcp_sim *sim, const struct nic_sim_faults faults[TCP_SIM_HOSTS])
{
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++)
        nic_sim_set_end_faults(sim->hosts[i].tap.inner, &faults[i]);
}

static bool world_open(struct tcp_sim *sim, const struct net_options *limits)
{
    heap_init(&sim->heap, 256u << 20);
    if (nic_sim_create(&sim->wire, &sim->heap, sim->seed) != ERROR_NONE)
        return false;
    nic_sim_advance(sim->wire, sim->now_ns);
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++)
        if (!host_open(sim, i, limits))
            return false;
    set_faults(sim, sim->faults);
    nic_sim_set_strike(sim->wire, sim->strike_frame, sim->strike, sim->strike_delay_ns);
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

static void begin_stretches(struct tcp_sim *sim)
{
    for (; sim->stretch_at < sim->stretch_count; sim->stretch_at++) {
        const struct stretch *stretch = &sim->stretches[sim->stretch_at];
        if (stretch->at_ns > sim->now_ns)
            return;
        struct host *host = &sim->hosts[stretch->host];
        if (stretch->kind == STRETCH_SQUEEZE)
            host->squeezed_until_ns = stretch->until_ns;
        else
            nic_sim_stretch(host->tap.inner, (enum nic_sim_stretch)stretch->kind,
                            stretch->until_ns);
    }
}

static uint64_t weather_next_ns(const struct tcp_sim *sim)
{
    uint64_t next_ns = sim->is_calm ? UINT64_MAX : sim->quiet_at_ns;
    if (sim->stretch_at < sim->stretch_count)
        next_ns = earlier(next_ns, sim->stretches[sim->stretch_at].at_ns);
    return next_ns;
}

static void step(struct tcp_sim *sim)
{
    begin_stretches(sim);
    if (!sim->is_calm && sim->now_ns >= sim->quiet_at_ns) {
        sim->is_calm = true;
        set_faults(sim, sim->calm);
    }
    nic_sim_advance(sim->wire, sim->now_ns);
    host_turn(sim, 0);
    host_turn(sim, 1);
    sim->turns++;
    uint64_t next_ns = earlier(nic_sim_next_ns(sim->wire), call_next_ns(sim));
    next_ns = earlier(next_ns, earlier(host_next_ns(sim, 0), host_next_ns(sim, 1)));
    next_ns = earlier(next_ns, weather_next_ns(sim));
    if (sim->mortal != TCP_SIM_HOSTS && sim->now_ns < sim->dies_at_ns)
        next_ns = earlier(next_ns, sim->dies_at_ns);
    if (next_ns == UINT64_MAX)
        next_ns = sim->now_ns + NS_PER_SECOND;
    sim->now_ns = next_ns > sim->now_ns ? next_ns : sim->now_ns + NS_PER_US;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Until when something must move: a step of a call, or what the script itself
 * waits for. */
static uint64_t patience_ns(const struct tcp_sim *sim)
{
    uint64_t since_ns = later(sim->quiet_at_ns, sim->progress_at_ns);
    uint64_t script_ns = call_next_ns(sim);
    if (script_ns != UINT64_MAX)
        since_ns = later(since_ns, script_ns);
    if (sim->mortal != TCP_SIM_HOSTS)
        since_ns = later(since_ns, sim->dies_at_ns) + TCP_SIM_USER_TIMEOUT_NS;
    /* A hole that swallows what is too large is found by timeouts: two for each
     * of two steps, five where a segment of the size had arrived. */
    if (sim->calm[0].is_path_silent || sim->calm[1].is_path_silent)
        since_ns += HOLE_TIMEOUTS * TCP_RTO_US_MAX * NS_PER_US;
    /* With one row a host two openers may stand in each other's way until both
     * give up. */
    return since_ns + LIVENESS_NS * (sim->is_strict ? 1 : sim->call_count + 1);
}

static void run_calls(struct tcp_sim *sim)
{
    while (!tcp_sim_is_blamed(sim) && !calls_are_over(sim)) {
        step(sim);
        bool is_late = sim->now_ns > patience_ns(sim) || sim->turns > TURNS_MAX;
        if (is_late && !calls_are_over(sim))
            tcp_sim_blame(sim, "not live: calls are not over after %llu turns",
                          (unsigned long long)sim->turns);
    }
}

/* What is under way arrives, and TIME_WAIT passes. */
static void run_out(struct tcp_sim *sim)
{
    uint64_t end_ns = sim->now_ns + TCP_SIM_TIME_WAIT_NS + TCP_SIM_FAULTS_NS_MAX;
    while (!tcp_sim_is_blamed(sim) && sim->now_ns < end_ns)
        step(sim);
}

/* ---- the verdict ---- */

/* A first segment that does not fit the path and is told so by nobody may need
 * a minute to get through in smaller ones, and then the acceptor's cookie is no
 * good any more: it says so by a reset. */
static bool is_cookie_stale(const struct tcp_sim *sim, const struct call *call)
{
    const struct nic_sim_faults *path = &sim->calm[call->opener];
    return path->path_mtu != 0 && path->is_path_silent &&
           !call->sides[1 - call->opener].was_opened &&
           call->sides[call->opener].why == NET_CLOSE_RESET;
}

static void judge_side(struct tcp_sim *sim, const struct call *call, uint32_t host)
{
    const struct side *side = &call->sides[host];
    const struct side *peer = &call->sides[1 - host];
    uint32_t number = (uint32_t)(call - sim->calls);
    if (host_is_dead(sim, host))
        return;
    if (side->was_opened && side->closed_count != 1)
        tcp_sim_blame(sim, "call %u: host %u got %u NET_CLOSED", number, host, side->closed_count);
    if (!sim->is_strict || call->may_fail || sim->mortal != TCP_SIM_HOSTS ||
        is_cookie_stale(sim, call))
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
             "  call %zu kind %d host %u%s: opened %d open %d ended %d closing "
             "%d(%d) why %d "
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

/* What a host counted, without the gauges of an empty house. */
static void describe_host(const struct tcp_sim *sim, uint32_t host, struct writer *into)
{
    write_string(into, host == 0 ? "  host 0:" : "  host 1:");
    for (uint32_t i = 0; i < METRIC_COUNT && sim->hosts[host].metrics != NULL; i++) {
        int64_t value = metric_get(sim->hosts[host].metrics, (enum metric)i);
        if (value <= 0)
            continue;
        write_u8(into, ' ');
        write_string(into, metric_name((enum metric)i));
        write_u8(into, '=');
        write_decimal(into, (uint64_t)value);
    }
    write_u8(into, '\n');
}

static void describe(const struct tcp_sim *sim, struct writer *into)
{
    if (into == NULL || !tcp_sim_is_blamed(sim))
        return;
    for (uint32_t i = 0; i < sim->call_count; i++) {
        describe_side(sim, &sim->calls[i], 0, into);
        describe_side(sim, &sim->calls[i], 1, into);
    }
    describe_host(sim, 0, into);
    describe_host(sim, 1, into);
}

void tcp_sim_run(struct tcp_sim *sim, const struct net_options *limits, struct writer *trace)
{
    sim->now_ns = sim->start_ns;
    if (!world_open(sim, limits)) {
        tcp_sim_blame(sim, "the world cannot be made");
        world_close(sim);
        return;
    }
    nic_sim_trace(sim->wire, trace);
    run_calls(sim);
    for (uint32_t i = 0; i < sim->call_count; i++) {
        judge_side(sim, &sim->calls[i], 0);
        judge_side(sim, &sim->calls[i], 1);
    }
    run_out(sim);
    if (!tcp_sim_is_blamed(sim))
        watch_rest(sim);
    describe(sim, trace);
    sim->frames = nic_sim_frames(sim->wire);
    sim->outcome->frames = sim->turns;
    sim->outcome->elapsed_ns = sim->now_ns - sim->start_ns;
    world_close(sim);
}

void tcp_world_run(const struct world_options *options, struct world_outcome *outcome)
{
    static struct tcp_sim sim; /* tidy: global - large */
    memset(&sim, 0, sizeof sim);
    memset(outcome, 0, sizeof *outcome);
    sim.seed = options->seed;
    sim.outcome = outcome;
    random_init_seed(&sim.random, options->seed ^ UINT64_C(0x544350));
    struct net_options limits = tcp_sim_draw(&sim);
    tcp_sim_run(&sim, &limits, options->trace);
}
