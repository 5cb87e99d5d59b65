/* SPDX-License-Identifier: Apache-2.0
 *
 * Acknowledgements and recovery: what is sent again after which, what the window becomes, and that
 * lies and storms of acknowledgements gain nothing. With SACK, and without. */
#include "tcp_ack_script.h"

static struct script script;

static void ack(uint32_t to)
{
    script_input(&script, TCP_ACK, 0, to, BYTES(""));
}

static void turn(void)
{
    script_turn(&script);
}

/* ---- with SACK ---- */

/* Any one segment of a flight is lost: it is sent again without a timeout, once, and nothing else
 * is. */
static void any_one_lost_segment_is_repaired(void **state)
{
    (void)state;
    for (uint32_t lost = 0; lost < 7; lost++) { /* three after it tell of it */
        script_open_sack(&script, 40);
        script_send_segments(&script, 0, 10);
        script_advance(&script, 40 * NS_PER_MS);
        if (lost > 0)
            ack(lost * MSS);
        for (uint32_t i = lost + 1; i < 10; i++)
            script_sack_one(&script, lost * MSS, (lost + 1) * MSS, (i + 1) * MSS);
        turn();
        script_expect(&script, TCP_ACK, lost * MSS, 0, MSS);
        script_expect_none(&script);
        script_advance(&script, 40 * NS_PER_MS);
        ack(10 * MSS);
        turn();
        script_expect_none(&script);
        assert_int_equal(script_metric(&script, METRIC_TCP_RETRANSMITS), 1);
        assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 0);
        assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 1);
        script_close(&script);
    }
}

/* Several holes: each is sent again in order, one reduction for all, and new octets follow as the
 * window allows. */
static void several_holes_are_one_recovery(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 10);
    script_advance(&script, 40 * NS_PER_MS);
    assert_int_equal(script_send(&script, 10 * MSS, 20 * MSS), ERROR_NONE);
    const uint32_t edges[] = {9 * MSS, 10 * MSS, 5 * MSS, 8 * MSS, 3 * MSS, 4 * MSS, MSS, 2 * MSS};
    script_sack(&script, 0, edges, 4);
    turn();
    struct tcp_hot *hot = script_hot(&script);
    assert_int_equal(hot->flags & TCP_HOT_RECOVERING, TCP_HOT_RECOVERING);
    uint32_t ssthresh = hot->ssthresh;
    const uint32_t holes[] = {0, 2, 4, 8};
    struct sent sent = {0};
    for (uint32_t i = 0; i < ARRAY_COUNT(holes); i++) {
        assert_true(script_next(&script, &sent));
        assert_int_equal(sent.seq, holes[i] * MSS);
    }
    uint32_t pipe = tcp_pipe(&script.net->rows[script.conn], hot);
    assert_true(pipe <= 7 * MSS); /* 0.7 of ten */
    while (script_next(&script, &sent))
        assert_true(sent.seq >= 10 * MSS);
    script_advance(&script, 40 * NS_PER_MS);
    ack(10 * MSS);
    turn();
    assert_int_equal(hot->flags & TCP_HOT_RECOVERING, 0);
    assert_int_equal(hot->ssthresh, ssthresh);
    assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 1);
    assert_int_equal(script_metric(&script, METRIC_TCP_RETRANSMITS), 4);
    script_close(&script);
}

/* What is sent again and lost again is found by RACK, without a timeout and without a second
 * reduction. */
static void a_lost_retransmission_is_found(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 10);
    script_advance(&script, 40 * NS_PER_MS);
    assert_int_equal(script_send(&script, 10 * MSS, 10 * MSS), ERROR_NONE);
    script_sack_one(&script, 0, MSS, 10 * MSS);
    turn();
    script_expect(&script, TCP_ACK, 0, 0, MSS);
    uint32_t end = 10;
    struct sent sent = {0};
    while (script_next(&script, &sent)) {
        assert_int_equal(sent.seq, end * MSS);
        end++;
    }
    assert_true(end > 10); /* new ones went behind it */
    script_advance(&script, 45 * NS_PER_MS);
    script_sack_one(&script, 0, MSS, end * MSS);
    turn();
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.seq, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 1);
    assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 0);
    script_close(&script);
}

/* Reordering within a quarter of the round trip: nothing is sent again, nothing reduced. */
static void a_little_reordering_costs_nothing(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 10);
    script_advance(&script, 40 * NS_PER_MS);
    uint32_t cwnd = script_hot(&script)->cwnd;
    ack(MSS);
    script_sack_one(&script, MSS, 2 * MSS, 4 * MSS);
    turn();
    script_expect_none(&script);
    script_advance(&script, 5 * NS_PER_MS);
    ack(4 * MSS); /* late, but there */
    turn();
    script_sack_one(&script, 4 * MSS, 5 * MSS,
                    9 * MSS); /* more than three, but this path reorders */
    turn();
    script_expect_none(&script);
    script_advance(&script, 5 * NS_PER_MS);
    ack(10 * MSS);
    turn();
    script_expect_none(&script);
    assert_true(script_hot(&script)->cwnd >= cwnd);
    assert_int_equal(script_metric(&script, METRIC_TCP_RETRANSMITS), 0);
    script_close(&script);
}

/* Two SACKED segments are no proof at once, but the reorder timer makes them one, in less than half
 * a round trip. */
static void the_reorder_timer_finds_what_is_lost(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 3);
    script_advance(&script, 40 * NS_PER_MS);
    script_sack_one(&script, 0, MSS, 3 * MSS);
    turn();
    script_expect_none(&script);
    script_advance(&script, 20 * NS_PER_MS);
    script_expect(&script, TCP_ACK, 0, 0, MSS);
    script_expect_none(&script);
    ack(3 * MSS);
    turn();
    assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 0);
    script_close(&script);
}

/* RFC 2018 8: a peer that throws away what it had SACKED gets it again after the timeout. */
static void who_reneges_is_served_again(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 4);
    script_advance(&script, 40 * NS_PER_MS);
    script_sack_one(&script, 0, MSS, 4 * MSS);
    turn();
    script_expect(&script, TCP_ACK, 0, 0, MSS);
    ack(MSS); /* and not 4 */
    turn();
    struct sent sent = {0};
    uint32_t seq = MSS;
    for (uint32_t i = 0; i < 100 && seq < 4 * MSS; i++) {
        script_advance(&script, 20 * NS_PER_MS);
        while (script_next(&script, &sent)) {
            assert_int_equal(sent.seq, seq);
            seq += (uint32_t)sent.payload.size;
            ack(seq);
            turn();
        }
    }
    assert_int_equal(seq, 4 * MSS);
    assert_int_equal(script.blobs.used, 0);
    script_close(&script);
}

/* Everything is lost: one segment after the timeout, then slow start through the rest. */
static void a_lost_flight_is_sent_again_by_slow_start(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 10);
    struct sent sent = {0};
    while (script_metric(&script, METRIC_TCP_TIMEOUTS) == 0) {
        script_advance(&script, 10 * NS_PER_MS);
        while (script_metric(&script, METRIC_TCP_TIMEOUTS) == 0 && script_next(&script, &sent))
            continue;
    }
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.seq, 0);
    script_expect_none(&script);
    uint32_t seq = MSS;
    for (uint32_t burst = 2; seq < 10 * MSS; burst *= 2) {
        script_advance(&script, 40 * NS_PER_MS);
        ack(seq);
        turn();
        uint32_t count = 0;
        while (script_next(&script, &sent)) {
            assert_int_equal(sent.seq, seq);
            seq += (uint32_t)sent.payload.size;
            count++;
        }
        assert_in_range(count, 1, burst);
    }
    ack(10 * MSS);
    turn();
    assert_int_equal(script.blobs.used, 0);
    script_close(&script);
}

/* The path stood still, then everything arrives: the timestamp shows that the timeout was for
 * nothing, the window is as before, and nothing more is sent again. */
static void a_needless_timeout_is_undone(void **state)
{
    (void)state;
    script_open(&script);
    script.window = 60000;
    script.has_timestamps = true;
    script_start(&script);
    script_accept(&script);
    script.net->rows[script.conn].flags |= TCP_ROW_SACK;
    const uint32_t room = MSS - TCP_TIMESTAMPS_SIZE;
    assert_int_equal(script_send(&script, 0, 8 * room), ERROR_NONE);
    script_turn(&script);
    struct sent sent = {0};
    for (uint32_t i = 0; i < 8; i++)
        assert_true(script_next(&script, &sent));
    uint32_t echo = script.our_ts;
    uint32_t cwnd = script_hot(&script)->cwnd;
    script_advance(&script, 1100 * NS_PER_MS); /* no round trip is known: no probe, 1 s */
    script_expect(&script, TCP_ACK, 0, 0, room);
    assert_true(script_hot(&script)->cwnd < cwnd);
    script.our_ts = echo;
    ack(2 * room);
    turn();
    script_expect_none(&script);
    assert_true(script_hot(&script)->cwnd >= cwnd);
    assert_int_equal(script_hot(&script)->lost, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_UNDONE), 1);
    ack(8 * room);
    turn();
    script_expect_none(&script);
    script_close(&script);
}

/* A peer that SACKs what was never sent, again and again, moves nothing. */
static void lies_about_what_arrived_gain_nothing(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 4);
    uint32_t cwnd = script_hot(&script)->cwnd;
    for (uint32_t i = 0; i < 5000; i++) {
        const uint32_t edges[] = {5 * MSS + i, 9 * MSS + i, 3 * MSS,  2 * MSS,
                                  0,           MSS,         0u - 100, 2 * MSS};
        script_sack(&script, 0, edges, 4);
    }
    turn();
    script_expect_none(&script);
    assert_int_equal(script_hot(&script)->sacked, 0);
    assert_int_equal(script_hot(&script)->cwnd, cwnd);
    assert_int_equal(script_metric(&script, METRIC_TCP_SACKS_BAD), 4 * 5000);
    script_close(&script);
}

/* The scoreboard's records are used up: the transfer goes on all the same. */
static void without_records_everything_still_arrives(void **state)
{
    (void)state;
    script_open(&script);
    script.window = 60000;
    script.options.send_references_max = 2;
    script_start(&script);
    script_accept(&script);
    script.net->rows[script.conn].flags |= TCP_ROW_SACK;
    script_send_segments(&script, 0, 10);
    assert_int_equal(script_hot(&script)->sent_count, 3);
    assert_true(script_metric(&script, METRIC_TCP_RECORDS_REFUSED) > 0);
    script_sack_one(&script, 0, MSS, 2 * MSS);
    script_sack_one(&script, 0, MSS, 9 * MSS); /* cuts a record, and there is none to cut with */
    script_sack_one(&script, 0, MSS, 10 * MSS);
    turn();
    struct sent sent = {0};
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.seq, 0);
    ack(10 * MSS);
    turn();
    assert_int_equal(script.blobs.used, 0);
    script_close(&script);
}

/* ---- without SACK ---- */

/* RFC 6582: the third duplicate resends; partial acknowledgements resend the next hole and keep
 * recovering; the full one ends it. One reduction. */
static void partial_acknowledgements_walk_the_holes(void **state)
{
    (void)state;
    script_open(&script);
    script.window = 60000;
    script_start(&script);
    script_accept(&script);
    script_send_segments(&script, 0, 10);
    for (uint32_t i = 0; i < 7; i++)
        ack(0);
    turn();
    script_expect(&script, TCP_ACK, 0, 0, MSS);
    script_expect_none(&script);
    uint32_t ssthresh = script_hot(&script)->ssthresh;
    for (uint32_t hole = 3; hole < 9; hole += 3) {
        ack(hole * MSS);
        turn();
        script_expect(&script, TCP_ACK, hole * MSS, 0, MSS);
        script_expect_none(&script);
    }
    ack(10 * MSS);
    turn();
    assert_int_equal(script_hot(&script)->flags & TCP_HOT_RECOVERING, 0);
    assert_int_equal(script_hot(&script)->ssthresh, ssthresh);
    assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 1);
    script_close(&script);
}

/* RFC 3042: the first two duplicates let new octets out, within the window of the peer. */
static void duplicates_let_new_segments_out(void **state)
{
    (void)state;
    script_open(&script);
    script.window = 60000;
    script_start(&script);
    script_accept(&script);
    script_send_segments(&script, 0, 10);
    assert_int_equal(script_send(&script, 10 * MSS, 10 * MSS), ERROR_NONE);
    turn();
    script_expect_none(&script);
    for (uint32_t i = 0; i < 2; i++) {
        ack(0);
        turn();
        script_expect(&script, TCP_ACK, (10 + i) * MSS, 0, MSS);
        script_expect_none(&script);
    }
    script_close(&script);
}

/* RFC 6582 3.2 step 2: duplicates caused by what a timeout sent again start no recovery. */
static void a_timeout_is_not_followed_by_a_false_recovery(void **state)
{
    (void)state;
    script_open(&script);
    script.window = 60000;
    script_start(&script);
    script_accept(&script);
    script_send_segments(&script, 0, 6);
    script_advance(&script, 1100 * NS_PER_MS);
    script_expect(&script, TCP_ACK, 0, 0, MSS);
    for (uint32_t i = 0; i < 10; i++)
        ack(0);
    turn();
    assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 0);
    assert_int_equal(script_hot(&script)->flags & TCP_HOT_RECOVERING, 0);
    script_close(&script);
}

/* A flood of duplicates neither wraps a counter nor opens the window without end. */
static void a_storm_of_duplicates_is_bounded(void **state)
{
    (void)state;
    script_open(&script);
    script.window = 60000;
    script_start(&script);
    script_accept(&script);
    script_send_segments(&script, 0, 10);
    assert_int_equal(script_send(&script, 10 * MSS, 90 * MSS), ERROR_NONE);
    struct sent sent;
    uint32_t count = 0;
    for (uint32_t i = 0; i < 70000; i++) {
        ack(0);
        if (i % 100 == 0)
            turn();
        while (script_next(&script, &sent))
            count++;
    }
    assert_true(count <= 1 + 100);
    assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 1);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_one_lost_segment_is_repaired),
        cmocka_unit_test(several_holes_are_one_recovery),
        cmocka_unit_test(a_lost_retransmission_is_found),
        cmocka_unit_test(a_little_reordering_costs_nothing),
        cmocka_unit_test(the_reorder_timer_finds_what_is_lost),
        cmocka_unit_test(who_reneges_is_served_again),
        cmocka_unit_test(a_lost_flight_is_sent_again_by_slow_start),
        cmocka_unit_test(a_needless_timeout_is_undone),
        cmocka_unit_test(lies_about_what_arrived_gain_nothing),
        cmocka_unit_test(without_records_everything_still_arrives),
        cmocka_unit_test(partial_acknowledgements_walk_the_holes),
        cmocka_unit_test(duplicates_let_new_segments_out),
        cmocka_unit_test(a_timeout_is_not_followed_by_a_false_recovery),
        cmocka_unit_test(a_storm_of_duplicates_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
