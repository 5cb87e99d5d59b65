/* SPDX-License-Identifier: Apache-2.0
 *
 * The window by the numbers of RFC 5681, 3465 and 6928, its reductions, and their undoing. What
 * counts as a loss is tcp_ack_test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcp.h"

#define MSS 1000u

static struct tcp_flight flight_of(uint32_t snd_nxt, uint32_t pipe)
{
    return (struct tcp_flight){
        .algorithm = NET_NEWRENO, .mss = MSS, .snd_nxt = snd_nxt, .pipe = pipe};
}

/* All that is in flight was sent because cwnd allowed no more. */
static void ack(struct tcp_hot *hot, uint32_t to, uint32_t snd_nxt)
{
    struct tcp_flight flight = flight_of(snd_nxt, snd_nxt - hot->snd_una);
    tcp_congestion_used_up(hot, snd_nxt);
    tcp_congestion_grow(hot, &flight, to);
    hot->snd_una = to;
}

static struct tcp_hot fresh(uint32_t una)
{
    struct tcp_hot hot = {.snd_una = una};
    tcp_congestion_start(&hot, MSS);
    return hot;
}

/* RFC 6928: ten segments, but no more than 14,600 octets or two segments. */
static void the_initial_window(void **state)
{
    (void)state;
    const uint32_t rows[][2] = {{256, 2560}, {1000, 10000}, {1460, 14600}, {8960, 17920}};
    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct tcp_hot hot = {0};
        tcp_congestion_start(&hot, rows[i][0]);
        assert_int_equal(hot.cwnd, rows[i][1]);
    }
}

/* Slow start doubles a round trip; acknowledging octet by octet wins nothing. */
static void slow_start_counts_octets(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(0);
    for (uint32_t to = 2 * MSS; to <= 10 * MSS; to += 2 * MSS)
        ack(&hot, to, 10 * MSS);
    assert_int_equal(hot.cwnd, 20 * MSS);
    struct tcp_hot split = fresh(0);
    for (uint32_t to = 1; to <= 1000; to++)
        ack(&split, to, 10 * MSS);
    assert_int_equal(split.cwnd, 11 * MSS);
}

/* Past ssthresh: one segment for each window acknowledged. */
static void congestion_avoidance_adds_one_a_round_trip(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(0);
    hot.ssthresh = hot.cwnd;
    for (uint32_t to = MSS; to <= 10 * MSS; to += MSS)
        ack(&hot, to, 10 * MSS);
    assert_int_equal(hot.cwnd, 11 * MSS);
}

/* RFC 9438 5.8: what an application did not fill does not grow. */
static void an_unused_window_does_not_grow(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(0);
    for (uint32_t i = 0; i < 100; i++) {
        struct tcp_flight flight = flight_of((i + 1) * 100, 100);
        tcp_congestion_grow(&hot, &flight, (i + 1) * 100);
        hot.snd_una = (i + 1) * 100;
    }
    assert_int_equal(hot.cwnd, 10 * MSS);
}

/* One reduction a recovery: half the flight, and cwnd is there when it ends. */
static void a_recovery_halves_once(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(5000);
    struct tcp_flight flight = flight_of(15000, 10000);
    tcp_congestion_enter(&hot, &flight);
    assert_int_equal(hot.flags & TCP_HOT_RECOVERING, TCP_HOT_RECOVERING);
    assert_int_equal(hot.ssthresh, 5 * MSS);
    assert_int_equal(hot.recover, 14999);
    uint32_t sent = 0;
    uint32_t pipe = 8 * MSS; /* one is lost, one SACKED; each acknowledgement SACKs one more */
    for (uint32_t i = 0; i < 9; i++) {
        flight.pipe = pipe;
        tcp_congestion_recover(&hot, &flight, MSS, TCP_ACK_UNSAFE);
        assert_true(hot.cwnd <= pipe + 2 * MSS);
        for (; pipe + MSS <= hot.cwnd; pipe += MSS, sent += MSS)
            tcp_congestion_sent(&hot, MSS);
        pipe -= MSS;
    }
    assert_in_range(sent, 4 * MSS, 6 * MSS);
    tcp_congestion_leave(&hot);
    assert_int_equal(hot.cwnd, 5 * MSS);
    assert_int_equal(hot.flags & TCP_HOT_RECOVERING, 0);
}

/* RFC 5681 3.1: a timeout goes back to one segment and half the flight; the same segment timing
 * out again does not halve again; while it is repaired slow start counts one segment, not two. */
static void a_second_timeout_halves_nothing(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(0);
    struct tcp_flight flight = flight_of(20 * MSS, 20 * MSS);
    tcp_congestion_expired(&hot, &flight);
    assert_int_equal(hot.ssthresh, 10 * MSS);
    assert_int_equal(hot.cwnd, MSS);
    hot.tries = 1;
    flight = flight_of(20 * MSS, 2 * MSS);
    tcp_congestion_expired(&hot, &flight);
    assert_int_equal(hot.ssthresh, 10 * MSS);
    ack(&hot, 2 * MSS, 20 * MSS);
    assert_int_equal(hot.cwnd, 2 * MSS);
}

/* A reduction for nothing is taken back, once. */
static void a_needless_reduction_is_undone(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(5000);
    struct tcp_flight flight = flight_of(15000, 10000);
    tcp_congestion_enter(&hot, &flight);
    flight.pipe = 6000;
    tcp_congestion_recover(&hot, &flight, MSS, TCP_ACK_UNSAFE);
    tcp_congestion_undo(&hot);
    assert_int_equal(hot.cwnd, 10 * MSS);
    assert_int_equal(hot.flags & TCP_HOT_RECOVERING, 0);
    hot.cwnd = 3 * MSS;
    tcp_congestion_undo(&hot);
    assert_int_equal(hot.cwnd, 3 * MSS);
}

/* RFC 5681 4.1: after a pause no more than the restart window. */
static void a_pause_restarts(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(0);
    hot.cwnd = 100 * MSS;
    tcp_congestion_idle(&hot, MSS);
    assert_int_equal(hot.cwnd, 10 * MSS);
    hot.cwnd = 3 * MSS;
    tcp_congestion_idle(&hot, MSS);
    assert_int_equal(hot.cwnd, 3 * MSS);
}

/* ---- which arithmetic ---- */

static struct tcp_flight cubic_of(uint32_t snd_nxt, uint32_t now_us)
{
    return (struct tcp_flight){
        .algorithm = NET_CUBIC, .mss = MSS, .snd_nxt = snd_nxt, .pipe = snd_nxt, .now_us = now_us};
}

/* net.congestion picks the reduction (7/10 of the window, or half the flight) and the growth: by
 * the clock, back to where the loss struck and flat there; or a segment a round trip. */
static void the_algorithm_is_chosen(void **state)
{
    (void)state;
    struct tcp_hot cubic = fresh(0);
    cubic.cwnd = 1000 * MSS;
    struct tcp_hot newreno = cubic;
    struct tcp_flight by_clock = cubic_of(1000 * MSS, 0);
    struct tcp_flight by_trip = flight_of(1000 * MSS, 1000 * MSS);
    tcp_congestion_enter(&cubic, &by_clock);
    tcp_congestion_enter(&newreno, &by_trip);
    assert_int_equal(cubic.ssthresh, 700 * MSS);
    assert_int_equal(newreno.ssthresh, 500 * MSS);
    tcp_congestion_leave(&cubic);
    tcp_congestion_leave(&newreno);
    cubic.snd_una = newreno.snd_una = 1000 * MSS;
    for (uint32_t i = 1; i <= 91; i++) { /* K is 9.09 s */
        uint32_t to = (1000 + 1000 * i) * MSS;
        for (struct tcp_hot *hot = &cubic; hot != NULL; hot = hot == &cubic ? &newreno : NULL) {
            struct tcp_flight flight = hot == &cubic ? cubic_of(to, i * 100000) : flight_of(to, to);
            hot->srtt_us = 100000;
            tcp_congestion_used_up(hot, to);
            for (uint32_t una = hot->snd_una; una != to; una += 100 * MSS) {
                tcp_congestion_grow(hot, &flight, una + 100 * MSS);
                hot->snd_una = una + 100 * MSS;
            }
        }
    }
    assert_in_range(cubic.cwnd, 990 * MSS, 1001 * MSS);
    assert_in_range(newreno.cwnd, 590 * MSS, 900 * MSS); /* a window and more each time */
}

/* RFC 3168 6.1.2: a mark reduces once a window; a loss within that window does not reduce again; a
 * mark within a recovery does not either; and a mark is never undone. */
static void a_mark_and_a_loss_reduce_once(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(1000);
    struct tcp_flight flight = flight_of(11000, 10000);
    assert_true(tcp_congestion_marked(&hot, &flight));
    assert_int_equal(hot.cwnd, 5 * MSS);
    assert_int_equal(hot.flags, TCP_HOT_CWR);
    hot.snd_una = 11000; /* all of it; CWR stands on what follows */
    assert_false(tcp_congestion_marked(&hot, &flight));
    tcp_congestion_enter(&hot, &flight);
    assert_int_equal(hot.ssthresh, 5 * MSS);
    tcp_congestion_undo(&hot);
    assert_int_equal(hot.cwnd, 5 * MSS);
    tcp_congestion_leave(&hot);
    hot.snd_una = 11001;
    flight = flight_of(21001, 10000);
    assert_true(tcp_congestion_marked(&hot, &flight));
    struct tcp_hot other = fresh(1000);
    tcp_congestion_enter(&other, &flight);
    assert_false(tcp_congestion_marked(&other, &flight));
    assert_int_equal(other.flags & TCP_HOT_CWR, TCP_HOT_CWR); /* any reduction is told */
}

/* Marks of sequence space that lie far behind do not come to lie ahead: after four gigabytes slow
 * start still counts two segments, ECE is still heard, nothing grows unused. */
static void old_marks_do_not_come_back(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(5);
    for (uint32_t i = 0; i < 70000; i++) {
        struct tcp_flight flight = flight_of(hot.snd_una + 65536, 65536);
        if (i == 69000)
            hot.cwnd = 10 * MSS;
        tcp_congestion_grow(&hot, &flight, flight.snd_nxt);
        hot.snd_una = flight.snd_nxt;
    }
    assert_int_equal(hot.cwnd, 10 * MSS);
    ack(&hot, hot.snd_una + 2 * MSS, hot.snd_una + 2 * MSS);
    assert_int_equal(hot.cwnd, 12 * MSS);
    struct tcp_flight flight = flight_of(hot.snd_una + 1000, 1000);
    assert_true(tcp_congestion_marked(&hot, &flight));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_initial_window),
        cmocka_unit_test(slow_start_counts_octets),
        cmocka_unit_test(congestion_avoidance_adds_one_a_round_trip),
        cmocka_unit_test(an_unused_window_does_not_grow),
        cmocka_unit_test(a_recovery_halves_once),
        cmocka_unit_test(a_second_timeout_halves_nothing),
        cmocka_unit_test(a_needless_reduction_is_undone),
        cmocka_unit_test(a_pause_restarts),
        cmocka_unit_test(the_algorithm_is_chosen),
        cmocka_unit_test(a_mark_and_a_loss_reduce_once),
        cmocka_unit_test(old_marks_do_not_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
