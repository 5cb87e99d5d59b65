/* SPDX-License-Identifier: Apache-2.0
 *
 * CUBIC in integers against RFC 9438 in doubles: the oracle is the RFC's formulas, written down
 * once more without any care for speed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stentor/random.h"

#include "tcp_cubic.h"

#define C 0.4
#define BETA 0.7

/* In segments and seconds. */
struct oracle {
    double w_max;
    double cwnd_prior;
    double cwnd_epoch;
    double w_est;
    double k;
    double time;
    bool has_epoch;
};

static double oracle_reduce(struct oracle *oracle, double cwnd)
{
    oracle->cwnd_prior = cwnd;
    oracle->w_max = cwnd < oracle->w_max ? cwnd * (1 + BETA) / 2 : cwnd;
    oracle->has_epoch = false;
    return fmax(cwnd * BETA, 2);
}

static double oracle_window(const struct oracle *oracle, double time)
{
    return C * pow(time - oracle->k, 3) + oracle->w_max;
}

static double oracle_grow(struct oracle *oracle, double cwnd, double acked, double rtt,
                          double passed)
{
    if (oracle->has_epoch) {
        oracle->time += passed;
    } else {
        oracle->has_epoch = true;
        oracle->time = 0;
        oracle->cwnd_epoch = cwnd;
        oracle->w_est = cwnd;
        oracle->w_max = fmax(oracle->w_max, cwnd);
        oracle->k = cbrt((oracle->w_max - cwnd) / C);
    }
    double alpha = oracle->w_est < oracle->cwnd_prior ? 3 * (1 - BETA) / (1 + BETA) : 1;
    oracle->w_est += alpha * acked / cwnd;
    if (oracle_window(oracle, oracle->time) < oracle->w_est)
        return fmax(cwnd, oracle->w_est);
    double target = fmin(fmax(oracle_window(oracle, oracle->time + rtt), cwnd), 1.5 * cwnd);
    return cwnd + (target - cwnd) / cwnd * acked;
}

/* One path: a round trip, a segment size, losses now and then. */
struct path {
    uint32_t mss;
    uint32_t rtt_us;
    uint32_t cwnd;
    uint32_t now_us;
    double cwnd_oracle;
    struct tcp_cubic cubic;
    struct oracle oracle;
};

/* A round trip of acknowledgements, two segments each. Returns the larger relative distance between
 * the two windows, what a segment's granularity explains left out. */
static double round_trip(struct path *path)
{
    double worst = 0;
    uint32_t acks = path->cwnd / (2 * path->mss) + 1;
    acks = acks < 400 ? acks : 400;
    uint32_t acked = path->cwnd / acks;
    for (uint32_t i = 0; i < acks; i++) {
        uint32_t passed_us = path->rtt_us / acks;
        path->now_us += passed_us;
        struct tcp_cubic_ack ack = {acked, path->mss, path->rtt_us, path->now_us};
        uint32_t next = tcp_cubic_grow(&path->cubic, path->cwnd, &ack);
        assert_true(next >= path->cwnd);
        path->cwnd = next;
        path->cwnd_oracle = oracle_grow(&path->oracle, path->cwnd_oracle, (double)acked / path->mss,
                                        path->rtt_us * 1e-6, passed_us * 1e-6);
        double segments = (double)path->cwnd / path->mss;
        double off = fmax(0, fabs(segments - path->cwnd_oracle) - 1) / path->cwnd_oracle;
        worst = fmax(worst, off);
    }
    return worst;
}

static struct path fresh_path(uint32_t mss, uint32_t rtt_us, uint32_t segments)
{
    return (struct path){.mss = mss,
                         .rtt_us = rtt_us,
                         .cwnd = segments * mss,
                         .cwnd_oracle = segments,
                         .now_us = UINT32_MAX - 5000000}; /* the clock wraps on the way */
}

/* The two start each epoch together: an octet decides on which side of a plateau a loss strikes. */
static void strike(struct path *path)
{
    path->cwnd_oracle = (double)path->cwnd / path->mss;
    path->oracle.w_max = (double)path->cubic.w_max / path->mss;
    path->cwnd = tcp_cubic_reduce(&path->cubic, path->cwnd, path->mss);
    path->cwnd_oracle = oracle_reduce(&path->oracle, path->cwnd_oracle);
}

/* From 20 us to 500 ms, from small to large segments and windows, through reductions with and
 * without fast convergence: never further apart than one segment and two per cent. */
static void windows_follow_the_formulas(void **state)
{
    (void)state;
    const uint32_t rtts_us[] = {20, 50, 1000, 10000, 40000, 100000, 300000, 500000};
    const uint32_t sizes[] = {256, 536, 1448, 8948};
    for (uint32_t i = 0; i < ARRAY_COUNT(rtts_us); i++)
        for (uint32_t j = 0; j < ARRAY_COUNT(sizes); j++)
            for (uint32_t segments = 4; segments <= 4000; segments *= 10) {
                struct path path = fresh_path(sizes[j], rtts_us[i], segments);
                for (uint32_t loss = 0; loss < 6; loss++) {
                    strike(&path);
                    for (uint32_t trip = 0; trip < 40 && path.cwnd < TCP_CWND_MAX / 2; trip++)
                        assert_true(round_trip(&path) < 0.02);
                }
            }
}

/* Figure 1: from beta of it the window is back at W_max after K, and is flat there. */
static void the_plateau_is_reached_after_k(void **state)
{
    (void)state;
    struct path path = fresh_path(1000, 100000, 1000);
    strike(&path);
    assert_int_equal(path.cwnd, 700000);
    (void)round_trip(&path);
    double k = cbrt(300 / C);
    assert_true(fabs(path.cubic.k_ms / 1000.0 - k) < 0.002);
    uint32_t trips = (uint32_t)(k / 0.1);
    for (uint32_t i = 2; i < trips; i++)
        (void)round_trip(&path);
    uint32_t near = path.cwnd;
    assert_true(near > 995000 && near <= 1000000);
    for (uint32_t i = 0; i < 10; i++)
        (void)round_trip(&path);
    assert_true(path.cwnd < 1003000);
}

/* 4.7: struck below the last plateau, the next one lies lower than the window was. */
static void a_flow_that_shrinks_lets_go(void **state)
{
    (void)state;
    struct tcp_cubic cubic = {0};
    assert_int_equal(tcp_cubic_reduce(&cubic, 1000000, 1000), 700000);
    assert_int_equal(cubic.w_max, 1000000);
    assert_int_equal(tcp_cubic_reduce(&cubic, 800000, 1000), 560000);
    assert_int_equal(cubic.w_max, 680000);
    assert_int_equal(tcp_cubic_reduce(&cubic, 1000, 1000), 2000); /* never below two segments */
}

/* 4.3: where the curve is slow (short round trips, small windows) it grows as Reno does. */
static void short_paths_grow_like_reno(void **state)
{
    (void)state;
    struct path path = fresh_path(1000, 50, 20);
    strike(&path);
    for (uint32_t i = 0; i < 34; i++)
        (void)round_trip(&path);
    assert_in_range(path.cwnd, 41000, 44000); /* 11 trips to 20 at 9/17 each, then one each */
}

/* 5.8: time in which the application was silent does not count; else it would jump after it. */
static void a_pause_is_not_counted(void **state)
{
    (void)state;
    struct path path = fresh_path(1000, 100000, 1000);
    strike(&path);
    for (uint32_t i = 0; i < 60; i++)
        (void)round_trip(&path);
    struct path other = path;
    other.now_us += 600000000;
    tcp_cubic_pause(&other.cubic, other.now_us);
    for (uint32_t i = 0; i < 10; i++) {
        (void)round_trip(&path);
        (void)round_trip(&other);
        assert_int_equal(path.cwnd, other.cwnd);
    }
}

/* 4.9: a reduction for nothing leaves no trace in the plateau. */
static void an_undone_reduction_restores_the_plateau(void **state)
{
    (void)state;
    struct tcp_cubic cubic = {0};
    (void)tcp_cubic_reduce(&cubic, 1000000, 1000);
    (void)tcp_cubic_reduce(&cubic, 800000, 1000);
    tcp_cubic_undo(&cubic);
    assert_int_equal(cubic.w_max, 1000000);
    assert_int_equal(cubic.w_origin, 0);
}

/* 4.8: after a timeout the window it resumes at is the plateau. */
static void a_timeout_forgets_the_plateau(void **state)
{
    (void)state;
    struct tcp_cubic cubic = {0};
    (void)tcp_cubic_reduce(&cubic, 1000000, 1000);
    tcp_cubic_forget(&cubic);
    struct tcp_cubic_ack ack = {1000, 1000, 100000, 0};
    (void)tcp_cubic_grow(&cubic, 500000, &ack);
    assert_int_equal(cubic.k_ms, 0);
    assert_int_equal(cubic.w_max, 500000);
}

/* The corners: windows of 2^30, an epoch of hours, acknowledgements of everything, clocks that
 * jump. Nothing wraps, nothing shrinks, nothing grows by more than half and Reno's share. */
static void extremes_are_bounded(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 5);
    for (uint32_t round = 0; round < 3000; round++) {
        struct tcp_cubic cubic = {0};
        uint32_t mss = 256 + random_below(&random, 8700);
        uint32_t cwnd = 2 * mss + random_below(&random, TCP_CWND_MAX - 2 * mss);
        uint32_t now_us = (uint32_t)random_u64(&random);
        for (uint32_t i = 0; i < 40; i++) {
            if (random_below(&random, 8) == 0)
                cwnd = tcp_cubic_reduce(&cubic, cwnd, mss);
            now_us += random_below(&random, 1u << random_below(&random, 32));
            struct tcp_cubic_ack ack = {random_below(&random, cwnd) + 1, mss,
                                        random_below(&random, 60000000), now_us};
            uint32_t next = tcp_cubic_grow(&cubic, cwnd, &ack);
            uint64_t most = (uint64_t)cwnd + cwnd / 2 + 1;
            assert_true(next >= cwnd && next <= TCP_CWND_MAX);
            assert_true(next <= most || next == cubic.w_est);
            cwnd = next;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_follow_the_formulas),
        cmocka_unit_test(the_plateau_is_reached_after_k),
        cmocka_unit_test(a_flow_that_shrinks_lets_go),
        cmocka_unit_test(short_paths_grow_like_reno),
        cmocka_unit_test(a_pause_is_not_counted),
        cmocka_unit_test(an_undone_reduction_restores_the_plateau),
        cmocka_unit_test(a_timeout_forgets_the_plateau),
        cmocka_unit_test(extremes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
