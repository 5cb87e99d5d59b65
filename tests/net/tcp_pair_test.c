/* SPDX-License-Identifier: Apache-2.0
 *
 * Two stacks against each other over a faulty wire: whatever the wire does short of parting them
 * for good, each stream arrives whole and in order, both ends close, and nothing is left in a
 * pool. Every test says its seed on failure. */
#include "net_pair.h"

static bool both_closed(const struct pair *pair)
{
    return net_usage(pair->ends[0].net).connections == 0 &&
           net_usage(pair->ends[1].net).connections == 0;
}

static void assert_at_baseline(struct pair *pair)
{
    /* TIME_WAIT runs out, too. */
    pair_run_for(pair, 130 * NS_PER_SECOND);
    for (unsigned int which = 0; which < 2; which++) {
        struct net_usage usage = net_usage(pair->ends[which].net);
        assert_int_equal(usage.connections, 0);
        assert_int_equal(usage.hot, 0);
        assert_int_equal(usage.send_references, 0);
        assert_int_equal(usage.time_wait, 0);
        assert_int_equal(usage.reorder_bytes, 0);
    }
}

/* Opens, sends so many octets each way, closes from end 0 and waits for both to be gone. */
static void run_transfer(const struct pair_options *options, uint64_t up, uint64_t down)
{
    static struct pair pair;
    pair_open(&pair, options);
    pair.ends[1].accept_to_send = down;
    uint32_t accepted;
    uint32_t conn = pair_connect(&pair, up, &accepted);
    struct flow *near = &pair.ends[0].flows[conn];
    struct flow *far = &pair.ends[1].flows[accepted];
    uint64_t limit_ns = pair.now_ns + 3600 * NS_PER_SECOND;
    while (far->received != up || near->received != down) {
        assert_true(pair.now_ns < limit_ns);
        assert_int_equal(near->closed_count + far->closed_count, 0);
        pair_step(&pair);
    }
    tcp_close(pair.ends[0].net, conn);
    assert_true(pair_run_until(&pair, both_closed, 900 * NS_PER_SECOND));
    assert_int_equal(near->closed_count, 1);
    assert_int_equal(far->closed_count, 1);
    assert_int_equal(near->why, NET_CLOSE_DONE);
    assert_true(far->has_ended);
    assert_at_baseline(&pair);
    pair_close(&pair);
}

/* ---- transfers ---- */

static void transfers_over_a_clean_wire(void **state)
{
    (void)state;
    struct pair_options options = pair_defaults();
    run_transfer(&options, 1 << 20, 1 << 20);
}

/* No delay at all: round-trip time 0, and everything a turn sends is there in the next. */
static void transfers_without_delay(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pair_options options = pair_defaults();
        options.seed = seed;
        options.faults = (struct nic_sim_faults){.loss_ppm = (uint32_t)(seed % 4) * 5000};
        run_transfer(&options, 200000, 200000);
    }
}

static struct nic_sim_faults bad_weather(uint64_t seed)
{
    return (struct nic_sim_faults){
        .loss_ppm = 10000 + (uint32_t)(seed % 10) * 10000,
        .duplicate_ppm = (uint32_t)(seed % 3) * 10000,
        .reorder_ppm = (uint32_t)(seed % 5) * 50000,
        .delay_ns = (seed % 7) * 10 * NS_PER_MS,
        .jitter_ns = (seed % 2) * 3 * NS_PER_MS,
        .reorder_ns = 30 * NS_PER_MS,
    };
}

/* Loss of 1 to 10 %, duplication, reordering; 1 MB each way. */
static void transfers_through_bad_weather(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct pair_options options = pair_defaults();
        options.seed = seed;
        options.faults = bad_weather(seed);
        run_transfer(&options, 1 << 20, 1 << 20);
    }
}

/* The same in IPv6 on a VLAN. A wire that duplicates frames duplicates probes too: the stack knows
 * its own. */
static void transfers_in_ipv6(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct pair_options options = pair_defaults();
        options.seed = seed;
        options.is_ipv6 = true;
        options.mtu = seed % 2 == 0 ? 1280 : 1500;
        options.faults = bad_weather(seed);
        options.faults.corrupt_ppm = seed % 3 == 0 ? 10000 : 0;
        run_transfer(&options, 300000, 200000);
    }
}

/* A bit flipped in one packet of fifty, on top: the checksum drops it. */
static void transfers_past_corruption(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 120; seed++) {
        struct pair_options options = pair_defaults();
        options.seed = seed;
        options.faults = bad_weather(seed);
        options.faults.loss_ppm = 10000;
        options.faults.corrupt_ppm = 20000;
        run_transfer(&options, 200000, 100000);
    }
}

/* Many small exchanges under many seeds: the ends of connections see every fault. */
static void opens_and_closes_under_many_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1000; seed < 1400; seed++) {
        struct pair_options options = pair_defaults();
        options.seed = seed;
        options.faults = bad_weather(seed);
        options.faults.loss_ppm = 100000;
        options.faults.refuse_take_ppm = (uint32_t)(seed % 2) * 50000;
        options.faults.refuse_transmit_ppm = (uint32_t)(seed % 2) * 50000;
        run_transfer(&options, 5000 + seed, 3000);
    }
}

/* Small windows, small MTU, large windows with scale, a small send limit. */
static void transfers_within_odd_limits(void **state)
{
    (void)state;
    const uint32_t windows[] = {700, 1460, 4096, 65535, 70000, 1 << 20};
    for (uint64_t seed = 1; seed <= 24; seed++) {
        struct pair_options options = pair_defaults();
        options.seed = seed;
        options.receive_window = windows[seed % ARRAY_COUNT(windows)];
        options.mtu = seed % 2 == 0 ? 576 : 1500;
        options.send_bytes_max = seed % 3 == 0 ? 9000 : 200000;
        options.faults.loss_ppm = seed % 4 == 0 ? 20000 : 0;
        run_transfer(&options, 300000, 100000);
    }
}

/* The client's sequence numbers pass 2^32 at every place that could matter. */
static void sequence_numbers_wrap(void **state)
{
    (void)state;
    const uint32_t before[] = {0, 1, 2, 3, 1459, 1460, 1461, 20000, 65536, 300000};
    for (uint32_t i = 0; i < ARRAY_COUNT(before) * 2; i++) {
        static struct pair pair;
        struct pair_options options = pair_defaults();
        options.seed = i + 1;
        options.faults.loss_ppm = i % 2 == 0 ? 0 : 30000;
        /* The timestamp clock wraps meanwhile, too. */
        options.start_ns = ((UINT64_C(1) << 32) - 500) * NS_PER_MS;
        pair_open(&pair, &options);
        pair.ends[0].net->tcp->is_isn_fixed = true;
        pair.ends[0].net->tcp->isn_fixed = 0u - before[i / 2];
        pair.ends[1].accept_to_send = 400000;
        uint32_t accepted;
        uint32_t conn = pair_connect(&pair, 400000, &accepted);
        while (pair.ends[1].flows[accepted].received != 400000 ||
               pair.ends[0].flows[conn].received != 400000) {
            assert_true(pair.now_ns < options.start_ns + 900 * NS_PER_SECOND);
            pair_step(&pair);
        }
        tcp_close(pair.ends[0].net, conn);
        assert_true(pair_run_until(&pair, both_closed, 900 * NS_PER_SECOND));
        assert_at_baseline(&pair);
        pair_close(&pair);
    }
}

/* ---- each packet of a small exchange, lost or doubled ---- */

static uint32_t run_exchange(enum shim_act act, uint32_t at)
{
    static struct pair pair;
    struct pair_options options = pair_defaults();
    options.user_timeout_ns = 60 * NS_PER_SECOND;
    pair_open(&pair, &options);
    pair.act = act;
    pair.act_at = at;
    pair.ends[1].accept_to_send = 4000;
    uint32_t accepted;
    uint32_t conn = pair_connect(&pair, 5000, &accepted);
    struct flow *near = &pair.ends[0].flows[conn];
    struct flow *far = &pair.ends[1].flows[accepted];
    uint64_t limit_ns = pair.now_ns + 100 * NS_PER_SECOND;
    while (near->received != 4000 || far->received != 5000) {
        assert_true(pair.now_ns < limit_ns);
        pair_step(&pair);
    }
    tcp_close(pair.ends[0].net, conn);
    assert_true(pair_run_until(&pair, both_closed, 100 * NS_PER_SECOND));
    assert_int_equal(near->closed_count, 1);
    assert_int_equal(far->closed_count, 1);
    assert_int_equal(near->why, NET_CLOSE_DONE);
    assert_int_equal(far->why, NET_CLOSE_DONE);
    uint32_t frames = pair.frame_count;
    assert_at_baseline(&pair);
    pair_close(&pair);
    return frames;
}

static void any_one_packet_may_be_lost_or_doubled(void **state)
{
    (void)state;
    uint32_t frames = run_exchange(SHIM_PASS, 0);
    assert_true(frames > 10);
    for (uint32_t at = 0; at < frames; at++) {
        (void)run_exchange(SHIM_DROP, at);
        (void)run_exchange(SHIM_TWICE, at);
    }
}

/* ---- the tail ---- */

/* A record is the last thing in flight and lost: the probe brings it across within two round trips
 * and 25 ms of its sending, and the way there; whatever the round trip, and on a parked connection
 * as well. */
static void a_lost_tail_is_repaired_soon(void **state)
{
    (void)state;
    const uint64_t delays_ms[] = {0, 1, 5, 20, 40};
    for (uint32_t i = 0; i < ARRAY_COUNT(delays_ms); i++) {
        static struct pair pair;
        struct pair_options options = pair_defaults();
        options.faults.delay_ns = delays_ms[i] * NS_PER_MS;
        pair_open(&pair, &options);
        uint32_t accepted;
        uint32_t conn = pair_connect(&pair, 3000, &accepted);
        pair_run_for(&pair, 3 * NS_PER_SECOND);
        struct flow *far = &pair.ends[1].flows[accepted];
        assert_int_equal(far->received, 3000);
        assert_int_equal(net_usage(pair.ends[0].net).hot, 0);
        pair.act = SHIM_DROP;
        pair.act_at = pair.frame_count;
        uint64_t sent_at_ns = pair.now_ns;
        uint64_t step_at_ns = 0;
        pair.ends[0].flows[conn].to_send = 3200;
        pair.ends[0].flows[conn].chunk = 200;
        while (far->received != 3200) {
            step_at_ns = pair.now_ns; /* which goes on at the end of the step */
            pair_step(&pair);
            assert_true(step_at_ns < sent_at_ns + 2 * NS_PER_SECOND);
        }
        assert_true(step_at_ns - sent_at_ns <= (5 * delays_ms[i] + 25) * NS_PER_MS);
        assert_int_equal(end_metric(&pair.ends[0], METRIC_TCP_TIMEOUTS), 0);
        assert_int_equal(end_metric(&pair.ends[0], METRIC_TCP_TAIL_PROBES), 1);
        tcp_close(pair.ends[0].net, conn);
        assert_true(pair_run_until(&pair, both_closed, 10 * NS_PER_SECOND));
        assert_at_baseline(&pair);
        pair_close(&pair);
    }
}

/* ---- ends ---- */

/* Half-close: who has closed still receives all the other has to say. */
static void half_close_lets_the_other_side_finish(void **state)
{
    (void)state;
    static struct pair pair;
    struct pair_options options = pair_defaults();
    pair_open(&pair, &options);
    uint32_t accepted;
    uint32_t conn = pair_connect(&pair, 0, &accepted);
    tcp_close(pair.ends[0].net, conn);
    pair.ends[1].flows[accepted].is_echo_close = false;
    pair_run_for(&pair, NS_PER_SECOND);
    assert_string_equal(tcp_state_name(pair.ends[0].net, conn), "FIN-WAIT-2");
    assert_string_equal(tcp_state_name(pair.ends[1].net, accepted), "CLOSE-WAIT");
    assert_true(pair.ends[1].flows[accepted].has_ended);
    uint32_t blob = blob_create_copy(&pair.ends[0].blobs, BYTES("late"));
    assert_int_equal(tcp_send(pair.ends[0].net, conn, blob, 0, 4), ERROR_STALE);
    (void)blob_put(&pair.ends[0].blobs, blob);
    pair.ends[1].flows[accepted].to_send = 500000;
    pair_run_for(&pair, 50 * NS_PER_SECOND);
    assert_int_equal(pair.ends[0].flows[conn].received, 500000);
    tcp_close(pair.ends[1].net, accepted);
    assert_true(pair_run_until(&pair, both_closed, 100 * NS_PER_SECOND));
    assert_int_equal(pair.ends[0].flows[conn].why, NET_CLOSE_DONE);
    assert_int_equal(pair.ends[1].flows[accepted].why, NET_CLOSE_DONE);
    assert_at_baseline(&pair);
    pair_close(&pair);
}

/* Both close in the same turn: CLOSING on both sides, then TIME_WAIT on both; also with loss. */
static void both_sides_may_close_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        static struct pair pair;
        struct pair_options options = pair_defaults();
        options.seed = seed;
        pair_open(&pair, &options);
        uint32_t accepted;
        uint32_t conn = pair_connect(&pair, 0, &accepted);
        pair_run_for(&pair, NS_PER_SECOND);
        options.faults.loss_ppm = seed == 1 ? 0 : 300000;
        nic_sim_set_faults(pair.sim, &options.faults);
        tcp_close(pair.ends[0].net, conn);
        tcp_close(pair.ends[1].net, accepted);
        assert_true(pair_run_until(&pair, both_closed, 400 * NS_PER_SECOND));
        if (seed == 1) {
            assert_int_equal(net_usage(pair.ends[0].net).time_wait, 1);
            assert_int_equal(net_usage(pair.ends[1].net).time_wait, 1);
        }
        assert_at_baseline(&pair);
        pair_close(&pair);
    }
}

/* tcp_abort: the other side hears a reset; both get exactly one NET_CLOSED with its reason. */
static void an_abort_resets_the_other_side(void **state)
{
    (void)state;
    static struct pair pair;
    struct pair_options options = pair_defaults();
    pair_open(&pair, &options);
    uint32_t accepted;
    uint32_t conn = pair_connect(&pair, 0, &accepted);
    pair.ends[0].flows[conn].to_send = 3000000;
    pair_run_for(&pair, 60 * NS_PER_MS);
    tcp_abort(pair.ends[0].net, conn);
    tcp_abort(pair.ends[0].net, conn); /* idempotent */
    pair.ends[0].flows[conn].to_send = pair.ends[0].flows[conn].sent;
    assert_true(pair_run_until(&pair, both_closed, NS_PER_SECOND));
    assert_int_equal(pair.ends[0].flows[conn].why, NET_CLOSE_ABORTED);
    assert_int_equal(pair.ends[1].flows[accepted].why, NET_CLOSE_RESET);
    assert_at_baseline(&pair);
    pair_close(&pair);
}

/* Nobody listens: a reset answers, and the opener hears that it was refused. */
static void a_closed_port_refuses(void **state)
{
    (void)state;
    static struct pair pair;
    struct pair_options options = pair_defaults();
    pair_open(&pair, &options);
    net_unlisten(pair.ends[1].net, PAIR_PORT);
    uint32_t conn = tcp_connect(pair.ends[0].net, pair.ends[1].address, PAIR_PORT, pair.now_ns);
    assert_int_not_equal(conn, POOL_NONE);
    assert_true(pair_run_until(&pair, both_closed, 5 * NS_PER_SECOND));
    assert_int_equal(pair.ends[0].flows[conn].closed_count, 1);
    assert_int_equal(pair.ends[0].flows[conn].why, NET_CLOSE_REFUSED);
    assert_true(end_metric(&pair.ends[1], METRIC_TCP_RESETS_SENT) >= 1);
    assert_at_baseline(&pair);
    pair_close(&pair);
}

/* Nobody answers: SYNs are sent again with backoff, then it is refused. */
static void a_silent_address_refuses_after_a_while(void **state)
{
    (void)state;
    static struct pair pair;
    struct pair_options options = pair_defaults();
    pair_open(&pair, &options);
    uint32_t accepted;
    (void)pair_connect(&pair, 0, &accepted);
    pair.ends[1].is_mute = true;
    uint64_t from_ns = pair.now_ns;
    uint32_t conn = tcp_connect(pair.ends[0].net, pair.ends[1].address, PAIR_PORT, pair.now_ns);
    pair.ends[0].flows[conn] = (struct flow){0};
    while (pair.ends[0].flows[conn].closed_count == 0) {
        assert_true(pair.now_ns < from_ns + 300 * NS_PER_SECOND);
        pair_step(&pair);
    }
    assert_int_equal(pair.ends[0].flows[conn].why, NET_CLOSE_REFUSED);
    assert_true(pair.now_ns - from_ns > 60 * NS_PER_SECOND);
    pair_close(&pair);
}

/* ---- peers that go away or stand still ---- */

/* An idle peer is gone: keepalive probes, then NET_CLOSED with TIMEOUT; an idle peer that is there
 * stays connected for as long as it likes. */
static void keepalive_finds_the_dead_and_keeps_the_living(void **state)
{
    (void)state;
    static struct pair pair;
    struct pair_options options = pair_defaults();
    options.keepalive_idle_ns = 60 * NS_PER_SECOND;
    pair_open(&pair, &options);
    uint32_t accepted;
    uint32_t conn = pair_connect(&pair, 0, &accepted);
    pair_run_for(&pair, 3600 * NS_PER_SECOND);
    assert_int_equal(pair.ends[1].flows[accepted].closed_count, 0);
    assert_int_equal(net_usage(pair.ends[1].net).hot, 0);
    assert_true(end_metric(&pair.ends[1], METRIC_TCP_KEEPALIVE_PROBES) +
                    end_metric(&pair.ends[0], METRIC_TCP_KEEPALIVE_PROBES) >
                30);
    pair.ends[0].is_dead = true;
    uint64_t from_ns = pair.now_ns;
    while (pair.ends[1].flows[accepted].closed_count == 0) {
        assert_true(pair.now_ns < from_ns + 200 * NS_PER_SECOND);
        pair_step(&pair);
    }
    assert_int_equal(pair.ends[1].flows[accepted].why, NET_CLOSE_TIMEOUT);
    pair.ends[0].is_dead = false;
    pair_run_for(&pair, 200 * NS_PER_SECOND);
    assert_int_equal(pair.ends[0].flows[conn].closed_count, 1);
    assert_at_baseline(&pair);
    pair_close(&pair);
}

/* Octets that nobody acknowledges end the connection after the user timeout, not before. */
static void the_user_timeout_ends_what_nobody_acknowledges(void **state)
{
    (void)state;
    static struct pair pair;
    struct pair_options options = pair_defaults();
    options.user_timeout_ns = 30 * NS_PER_SECOND;
    pair_open(&pair, &options);
    uint32_t accepted;
    (void)pair_connect(&pair, 0, &accepted);
    pair_run_for(&pair, 5 * NS_PER_SECOND);
    pair.ends[0].is_dead = true;
    pair.ends[1].flows[accepted].to_send = 10000;
    uint64_t from_ns = pair.now_ns;
    while (pair.ends[1].flows[accepted].closed_count == 0) {
        assert_true(pair.now_ns < from_ns + 100 * NS_PER_SECOND);
        pair_step(&pair);
    }
    assert_int_equal(pair.ends[1].flows[accepted].why, NET_CLOSE_TIMEOUT);
    assert_true(pair.now_ns - from_ns >= 30 * NS_PER_SECOND);
    assert_true(end_metric(&pair.ends[1], METRIC_TCP_TIMEOUTS) >= 4);
    pair_close(&pair);
}

/* ---- pools that run dry ---- */

/* More busy connections than extensions: refused sends are retried by the application, parking
 * frees extensions, and everything arrives. */
static void a_small_hot_pool_only_slows_down(void **state)
{
    (void)state;
    static struct pair pair;
    struct pair_options options = pair_defaults();
    options.hot_max = 3;
    options.faults.loss_ppm = 20000;
    pair_open(&pair, &options);
    uint32_t conns[8];
    uint32_t accepted[8];
    nic_sim_set_faults(pair.sim, &(struct nic_sim_faults){.delay_ns = NS_PER_MS});
    for (uint32_t i = 0; i < 8; i++) {
        conns[i] = pair_connect(&pair, 0, &accepted[i]);
        pair_run_for(&pair, 5 * NS_PER_SECOND); /* parks */
    }
    nic_sim_set_faults(pair.sim, &options.faults);
    for (uint32_t i = 0; i < 8; i++) {
        pair.ends[0].flows[conns[i]].to_send = 50000;
        pair.ends[1].flows[accepted[i]].to_send = 50000;
    }
    pair_run_for(&pair, 600 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(pair.ends[0].flows[conns[i]].received, 50000);
        assert_int_equal(pair.ends[1].flows[accepted[i]].received, 50000);
        tcp_close(pair.ends[0].net, conns[i]);
        pair_run_for(&pair, 5 * NS_PER_SECOND);
    }
    assert_true(end_metric(&pair.ends[0], METRIC_TCP_HOT_REFUSED) > 0);
    assert_true(pair_run_until(&pair, both_closed, 400 * NS_PER_SECOND));
    assert_at_baseline(&pair);
    pair_close(&pair);
}

/* With no room at all for octets out of order, the peer sends again what is missing. */
static void no_room_out_of_order_only_slows_down(void **state)
{
    (void)state;
    struct pair_options options = pair_defaults();
    options.faults.loss_ppm = 50000;
    options.reorder_bytes_max = 0;
    run_transfer(&options, 100000, 100000);
}

/* A full TIME_WAIT ring gives up its oldest. */
static void time_wait_is_bounded(void **state)
{
    (void)state;
    static struct pair pair;
    struct pair_options options = pair_defaults();
    options.time_wait_max = 4;
    pair_open(&pair, &options);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t accepted;
        uint32_t conn = pair_connect(&pair, 0, &accepted);
        tcp_close(pair.ends[0].net, conn);
        assert_true(pair_run_until(&pair, both_closed, 10 * NS_PER_SECOND));
        assert_true(net_usage(pair.ends[0].net).time_wait <= 4);
    }
    assert_int_equal(net_usage(pair.ends[0].net).time_wait, 4);
    assert_at_baseline(&pair);
    pair_close(&pair);
}

/* ---- whole lives ---- */

/* One random act of one end upon one of its connections. */
static void act_at_random(struct pair *pair, struct random *random)
{
    unsigned int which = random_below(random, 2);
    struct end *end = &pair->ends[which];
    uint32_t row_end = net_row_end(end->net);
    if (row_end == 0)
        return;
    uint32_t conn = random_below(random, row_end);
    struct flow *flow = &end->flows[conn];
    if (!net_is_live(end->net, conn) || !flow->is_open)
        return;
    uint32_t dice = random_below(random, 20);
    if (dice < 12) {
        if (!flow->is_closing)
            flow->to_send += random_below(random, 30000);
    } else if (dice < 16) {
        flow->to_send = flow->sent;
        flow->is_closing = true;
        tcp_close(end->net, conn);
    } else if (dice == 16) {
        flow->to_send = flow->sent;
        flow->is_closing = true;
        tcp_abort(end->net, conn);
    }
}

/* Connections opened, used, half-closed, closed and aborted at random moments by both sides under
 * faults: octets are right as long as they come, every connection gets its one NET_CLOSED, and the
 * pools are empty in the end. */
static void lives_at_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        static struct pair pair;
        struct random random;
        random_init_seed(&random, seed);
        struct pair_options options = pair_defaults();
        options.seed = seed;
        options.hot_max = seed % 3 == 0 ? 4 : 64;
        options.user_timeout_ns = 60 * NS_PER_SECOND;
        options.keepalive_idle_ns = 100 * NS_PER_SECOND;
        options.faults = bad_weather(seed);
        options.faults.refuse_take_ppm = (uint32_t)(seed % 2) * 20000;
        pair_open(&pair, &options);
        uint32_t opened = 0;
        for (uint32_t n = 0; n < 400; n++) {
            if (random_below(&random, 8) == 0) {
                uint32_t conn =
                    tcp_connect(pair.ends[0].net, pair.ends[1].address, PAIR_PORT, pair.now_ns);
                if (conn != POOL_NONE) {
                    pair.ends[0].flows[conn] = (struct flow){
                        .to_send = 1 + random_below(&random, 20000), .is_echo_close = true};
                    opened++;
                }
            }
            act_at_random(&pair, &random);
            pair_run_for(&pair, random_below(&random, 200) * NS_PER_MS);
        }
        assert_true(opened > 20);
        for (unsigned int which = 0; which < 2; which++)
            for (uint32_t conn = 0; conn < net_row_end(pair.ends[which].net); conn++) {
                struct flow *flow = &pair.ends[which].flows[conn];
                flow->to_send = flow->sent;
                flow->is_closing = true;
                if (net_is_live(pair.ends[which].net, conn))
                    tcp_close(pair.ends[which].net, conn);
            }
        if (!pair_run_until(&pair, both_closed, 900 * NS_PER_SECOND)) {
            pair_print(&pair);
            fail_msg("seed %u does not end", (unsigned int)seed);
        }
        assert_int_equal(pair.ends[0].closed_total, opened);
        assert_int_equal(pair.ends[1].closed_total, pair.ends[1].accepted_total);
        assert_at_baseline(&pair);
        pair_close(&pair);
    }
}

/* ---- determinism ---- */

static size_t traced_run(uint8_t *into, size_t capacity)
{
    static struct pair pair;
    struct pair_options options = pair_defaults();
    options.seed = 77;
    options.faults = bad_weather(77);
    pair_open(&pair, &options);
    struct writer trace = writer_of(into, capacity);
    nic_sim_trace(pair.sim, &trace);
    pair.ends[1].accept_to_send = 100000;
    uint32_t accepted;
    uint32_t conn = pair_connect(&pair, 100000, &accepted);
    pair_run_for(&pair, 60 * NS_PER_SECOND);
    tcp_close(pair.ends[0].net, conn);
    assert_true(pair_run_until(&pair, both_closed, 900 * NS_PER_SECOND));
    nic_sim_trace(pair.sim, NULL);
    pair_close(&pair);
    return trace.size;
}

/* One seed, one trace, to the octet: no clock, address or leftover decides anything. */
static void a_seed_replays(void **state)
{
    (void)state;
    static uint8_t first[4 << 20];
    static uint8_t second[4 << 20];
    size_t size = traced_run(first, sizeof first);
    assert_true(size > 10000);
    assert_int_equal(traced_run(second, sizeof second), size);
    assert_memory_equal(first, second, size);
}

static bool crossed_have_all(const struct pair *both)
{
    return both->ends[0].flows[0].received == 40000 && both->ends[1].flows[0].received == 40000;
}

/* RFC 9293 figure 8: both open towards each other at once, on a wire that loses and swaps what it
 * likes. One connection comes of it, which works both ways. */
static void two_openers_meet(void **state)
{
    (void)state;
    static struct pair pair;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        struct pair_options options = pair_defaults();
        options.seed = seed;
        options.faults.loss_ppm = seed % 3 * 100000;
        options.faults.jitter_ns = seed % 2 * 15 * NS_PER_MS;
        pair_open(&pair, &options);
        for (unsigned int which = 0; which < 2; which++) {
            struct end *end = &pair.ends[which];
            end->net->tcp->ephemeral_next = (uint16_t)(40000 + which);
            uint32_t conn = tcp_connect(end->net, pair.ends[1 - which].address,
                                        (uint16_t)(40001 - which), pair.now_ns);
            assert_int_equal(conn, 0);
            end->flows[0] = (struct flow){.to_send = 40000};
        }
        if (!pair_run_until(&pair, crossed_have_all, 300 * NS_PER_SECOND)) {
            pair_print(&pair);
            fail_msg("seed %u", seed);
        }
        for (unsigned int which = 0; which < 2; which++) {
            assert_int_equal(pair.ends[which].connected_count, 1);
            tcp_close(pair.ends[which].net, 0);
        }
        assert_true(pair_run_until(&pair, both_closed, 300 * NS_PER_SECOND));
        assert_at_baseline(&pair);
        pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_openers_meet),
        cmocka_unit_test(transfers_over_a_clean_wire),
        cmocka_unit_test(transfers_without_delay),
        cmocka_unit_test(transfers_through_bad_weather),
        cmocka_unit_test(transfers_in_ipv6),
        cmocka_unit_test(transfers_past_corruption),
        cmocka_unit_test(opens_and_closes_under_many_seeds),
        cmocka_unit_test(transfers_within_odd_limits),
        cmocka_unit_test(sequence_numbers_wrap),
        cmocka_unit_test(any_one_packet_may_be_lost_or_doubled),
        cmocka_unit_test(a_lost_tail_is_repaired_soon),
        cmocka_unit_test(half_close_lets_the_other_side_finish),
        cmocka_unit_test(both_sides_may_close_at_once),
        cmocka_unit_test(an_abort_resets_the_other_side),
        cmocka_unit_test(a_closed_port_refuses),
        cmocka_unit_test(a_silent_address_refuses_after_a_while),
        cmocka_unit_test(keepalive_finds_the_dead_and_keeps_the_living),
        cmocka_unit_test(the_user_timeout_ends_what_nobody_acknowledges),
        cmocka_unit_test(a_small_hot_pool_only_slows_down),
        cmocka_unit_test(no_room_out_of_order_only_slows_down),
        cmocka_unit_test(time_wait_is_bounded),
        cmocka_unit_test(lives_at_random),
        cmocka_unit_test(a_seed_replays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
