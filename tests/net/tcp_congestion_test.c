/* SPDX-License-Identifier: Apache-2.0
 *
 * NewReno by the numbers of RFC 5681, 6582, 3465 and 6928. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcp.h"

#define MSS 1000u

static void ack(struct tcp_hot *hot, uint32_t to, uint32_t snd_nxt, enum tcp_reaction want)
{
    assert_int_equal(tcp_congestion_acked(hot, to, snd_nxt, MSS), want);
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
        ack(&hot, to, 10 * MSS, TCP_REACT_NOTHING);
    assert_int_equal(hot.cwnd, 20 * MSS);
    struct tcp_hot split = fresh(0);
    for (uint32_t to = 1; to <= 1000; to++)
        ack(&split, to, 10 * MSS, TCP_REACT_NOTHING);
    assert_int_equal(split.cwnd, 11 * MSS);
}

/* Past ssthresh: one segment for each window acknowledged. */
static void congestion_avoidance_adds_one_a_round_trip(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(0);
    hot.ssthresh = hot.cwnd;
    for (uint32_t to = MSS; to <= 10 * MSS; to += MSS)
        ack(&hot, to, 10 * MSS, TCP_REACT_NOTHING);
    assert_int_equal(hot.cwnd, 11 * MSS);
}

/* RFC 6582: the third duplicate halves and resends; partial acknowledgements resend the next hole
 * and keep recovering; the full one ends it at ssthresh. */
static void recovery_from_two_holes(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(5000);
    uint32_t snd_nxt = 15000;
    assert_int_equal(tcp_congestion_duplicate(&hot, snd_nxt, MSS), TCP_REACT_NOTHING);
    assert_int_equal(tcp_congestion_window(&hot, MSS), 11 * MSS); /* RFC 3042 */
    assert_int_equal(tcp_congestion_duplicate(&hot, snd_nxt, MSS), TCP_REACT_NOTHING);
    assert_int_equal(tcp_congestion_duplicate(&hot, snd_nxt, MSS), TCP_REACT_RESEND_FIRST);
    assert_int_equal(hot.ssthresh, 5 * MSS);
    assert_int_equal(hot.cwnd, 8 * MSS);
    assert_int_equal(tcp_congestion_duplicate(&hot, snd_nxt, MSS), TCP_REACT_NOTHING);
    assert_int_equal(hot.cwnd, 9 * MSS);
    ack(&hot, 8000, snd_nxt, TCP_REACT_RESEND_FIRST);
    assert_int_equal(hot.cwnd, 7 * MSS);
    ack(&hot, 15000, 15000, TCP_REACT_NOTHING);
    assert_int_equal(hot.flags & TCP_HOT_RECOVERING, 0);
    assert_int_equal(hot.cwnd, 2 * MSS); /* no burst: what is in flight and one */
}

/* RFC 6582 3.2 step 2: duplicates caused by what a timeout sent again start no second recovery. */
static void a_timeout_is_not_followed_by_a_false_recovery(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(5000);
    tcp_congestion_timeout(&hot, 15000, MSS);
    assert_int_equal(hot.ssthresh, 5 * MSS);
    assert_int_equal(hot.cwnd, MSS);
    ack(&hot, 6000, 15000, TCP_REACT_NOTHING);
    assert_int_equal(hot.cwnd, 2 * MSS); /* one segment, not two, while repairing */
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(tcp_congestion_duplicate(&hot, 15000, MSS), TCP_REACT_NOTHING);
    ack(&hot, 15000, 16000, TCP_REACT_NOTHING);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(tcp_congestion_duplicate(&hot, 16000, MSS), TCP_REACT_NOTHING);
    assert_int_equal(tcp_congestion_duplicate(&hot, 16000, MSS), TCP_REACT_RESEND_FIRST);
}

/* RFC 5681 3.1: the same segment timing out again does not halve again. */
static void a_second_timeout_halves_nothing(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(0);
    tcp_congestion_timeout(&hot, 20 * MSS, MSS);
    hot.tries = 1;
    tcp_congestion_timeout(&hot, 2 * MSS, MSS);
    assert_int_equal(hot.ssthresh, 10 * MSS);
}

/* A flood of duplicates neither wraps a counter nor opens the window without end. */
static void a_storm_of_duplicates_is_bounded(void **state)
{
    (void)state;
    struct tcp_hot hot = fresh(0);
    uint32_t resends = 0;
    for (uint32_t i = 0; i < 200000; i++)
        resends += tcp_congestion_duplicate(&hot, 10 * MSS, MSS) == TCP_REACT_RESEND_FIRST;
    assert_int_equal(resends, 1);
    assert_true(tcp_congestion_window(&hot, MSS) <= 20 * MSS);
    assert_int_equal(hot.dup_acks, UINT16_MAX);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_initial_window),
        cmocka_unit_test(slow_start_counts_octets),
        cmocka_unit_test(congestion_avoidance_adds_one_a_round_trip),
        cmocka_unit_test(recovery_from_two_holes),
        cmocka_unit_test(a_timeout_is_not_followed_by_a_false_recovery),
        cmocka_unit_test(a_second_timeout_halves_nothing),
        cmocka_unit_test(a_storm_of_duplicates_is_bounded),
        cmocka_unit_test(a_pause_restarts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
