/* SPDX-License-Identifier: Apache-2.0
 *
 * The tail probe: what is lost with nothing behind it is repaired two round trips after it left,
 * once at a time and at the price of one reduction; a peer that is only slow is probed no more; and
 * thin streams time out evenly. */
#include "tcp_ack_script.h"

static struct script script;

static void ack(uint32_t to)
{
    script_input(&script, TCP_ACK, 0, to, BYTES(""));
}

/* Advances until a frame goes out and returns how many milliseconds that took. */
static uint32_t wait_frame_ms(struct sent *sent)
{
    uint64_t from_ns = script.now_ns;
    while (!script_next(&script, sent)) {
        assert_true(script.now_ns - from_ns < 200 * NS_PER_SECOND);
        script_advance(&script, NS_PER_MS);
    }
    return (uint32_t)((script.now_ns - from_ns) / NS_PER_MS);
}

/* A lone record is lost: it goes again within two round trips and 25 ms, and its acknowledgement
 * costs no timeout. */
static void a_lost_record_is_probed_for(void **state)
{
    (void)state;
    const uint32_t rtts_ms[] = {1, 10, 40, 80};
    for (uint32_t i = 0; i < ARRAY_COUNT(rtts_ms); i++) {
        script_open_sack(&script, rtts_ms[i]);
        assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
        script_turn(&script);
        script_expect(&script, TCP_ACK, 0, 0, 100);
        struct sent sent = {0};
        assert_in_range(wait_frame_ms(&sent), 2 * rtts_ms[i], 2 * rtts_ms[i] + 25);
        assert_int_equal(sent.seq, 0);
        assert_int_equal(sent.payload.size, 100);
        script_advance(&script, rtts_ms[i] * NS_PER_MS);
        ack(100);
        script_turn(&script);
        assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 0);
        assert_int_equal(script_metric(&script, METRIC_TCP_TAIL_PROBES), 1);
        script_close(&script);
    }
}

/* The last three of a flight are lost: the probe is the last, two round trips after it left and not
 * after the others were acknowledged; its SACK shows the other two. */
static void a_lost_tail_is_repaired_without_a_timeout(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 6);
    script_advance(&script, 40 * NS_PER_MS);
    ack(3 * MSS);
    script_turn(&script);
    struct sent sent = {0};
    assert_in_range(wait_frame_ms(&sent), 40, 65);
    assert_int_equal(sent.seq, 5 * MSS);
    script_expect_none(&script);
    script_advance(&script, 40 * NS_PER_MS);
    script_sack_one(&script, 3 * MSS, 5 * MSS, 6 * MSS);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 3 * MSS, 0, MSS); /* one for one: PRR, until it is safe */
    script_expect_none(&script);
    script_advance(&script, 40 * NS_PER_MS);
    script_sack_one(&script, 4 * MSS, 5 * MSS, 6 * MSS);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 4 * MSS, 0, MSS);
    script_advance(&script, 40 * NS_PER_MS);
    ack(6 * MSS);
    script_turn(&script);
    assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 0);
    script_close(&script);
}

/* 7.3: new octets go rather than old, one segment past the congestion window; and one probe at a
 * time: after it comes the timeout. */
static void new_octets_probe_first(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 10);
    assert_int_equal(script_send(&script, 10 * MSS, 10 * MSS), ERROR_NONE);
    script_turn(&script);
    script_expect_none(&script);
    struct sent sent = {0};
    assert_in_range(wait_frame_ms(&sent), 80, 105);
    assert_int_equal(sent.seq, 10 * MSS);
    assert_int_equal(sent.payload.size, MSS);
    assert_in_range(wait_frame_ms(&sent), 200, 210);
    assert_int_equal(sent.seq, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_TAIL_PROBES), 1);
    assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 1);
    script_close(&script);
}

/* A loss that the probe repaired reduces once; told from a needless one by what follows it. */
static void a_repaired_loss_reduces_once(void **state)
{
    (void)state;
    script_open_sack(&script, 40);
    script_send_segments(&script, 0, 5);
    script_advance(&script, 40 * NS_PER_MS);
    ack(4 * MSS);
    script_turn(&script);
    struct sent sent = {0};
    (void)wait_frame_ms(&sent);
    assert_int_equal(sent.seq, 4 * MSS);
    uint32_t cwnd = script_hot(&script)->cwnd;
    script_advance(&script, 40 * NS_PER_MS);
    ack(5 * MSS);
    assert_int_equal(script_hot(&script)->cwnd, cwnd); /* of which of the two? */
    script_send_segments(&script, 5 * MSS, 1);
    script_advance(&script, 40 * NS_PER_MS);
    ack(6 * MSS);
    assert_true(script_hot(&script)->cwnd < cwnd);
    cwnd = script_hot(&script)->cwnd;
    script_send_segments(&script, 6 * MSS, 1);
    ack(7 * MSS);
    assert_true(script_hot(&script)->cwnd >= cwnd);
    script_close(&script);
}

/* A peer that acknowledges late, as its duplicate tells, is not probed again and again, and nothing
 * is reduced for it. */
static void a_slow_peer_is_learned(void **state)
{
    (void)state;
    script_open_sack(&script, 10);
    uint32_t cwnd = 0;
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(script_send(&script, i * 100, 100), ERROR_NONE);
        script_turn(&script);
        cwnd = script_hot(&script)->cwnd;
        script_advance(&script, 100 * NS_PER_MS);
        ack((i + 1) * 100);
        script_turn(&script);
        struct sent sent = {0};
        uint32_t frames = 0;
        while (script_next(&script, &sent))
            frames++;
        script_advance(&script, 10 * NS_PER_MS);
        if (frames == 2)
            script_sack_one(&script, (i + 1) * 100, i * 100, (i + 1) * 100);
        script_advance(&script, 2 * NS_PER_SECOND); /* parked in between */
        assert_int_equal(net_usage(script.net).hot, 0);
    }
    assert_int_equal(cwnd, 10 * MSS);
    assert_in_range(script_metric(&script, METRIC_TCP_TAIL_PROBES), 1, 2);
    assert_in_range(script_metric(&script, METRIC_TCP_TAIL_NEEDLESS), 1, 2);
    assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 0);
    script_close(&script);
}

/* A peer without SACK is not probed; its thin stream times out at 1, 2, 3 ... times the timeout. */
static void thin_streams_time_out_evenly(void **state)
{
    (void)state;
    script_open_sack(&script, 10);
    script.net->rows[script.conn].flags &= (uint8_t)~TCP_ROW_SACK;
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 100);
    struct sent sent = {0};
    const uint32_t waits_ms[] = {200, 400, 600, 800, 1000, 1200, 1400, 2800, 5600};
    for (uint32_t i = 0; i < ARRAY_COUNT(waits_ms); i++)
        assert_in_range(wait_frame_ms(&sent), waits_ms[i], waits_ms[i] + 2);
    assert_int_equal(script_metric(&script, METRIC_TCP_TAIL_PROBES), 0);
    script_close(&script);
}

/* The last segment in flight stands in a record with others, and there is no record to cut it with:
 * no probe, and the timeout repairs it. */
static void without_records_the_timeout_repairs(void **state)
{
    (void)state;
    script_open(&script);
    script.window = 60000;
    script.options.send_references_max = 1;
    script_start(&script);
    script_accept(&script);
    script.net->rows[script.conn].flags |= TCP_ROW_SACK;
    script.net->rows[script.conn].srtt = tcp_log_of_us(10000);
    script_send_segments(&script, 0, 4);
    struct sent sent = {0};
    assert_in_range(wait_frame_ms(&sent), 150, 250);
    assert_int_equal(script_metric(&script, METRIC_TCP_TAIL_PROBES), 0);
    assert_int_equal(sent.seq, 0);
    ack(4 * MSS);
    script_turn(&script);
    assert_int_equal(script.blobs.used, 0);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_record_is_probed_for),
        cmocka_unit_test(a_lost_tail_is_repaired_without_a_timeout),
        cmocka_unit_test(new_octets_probe_first),
        cmocka_unit_test(a_repaired_loss_reduces_once),
        cmocka_unit_test(a_slow_peer_is_learned),
        cmocka_unit_test(thin_streams_time_out_evenly),
        cmocka_unit_test(without_records_the_timeout_repairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
