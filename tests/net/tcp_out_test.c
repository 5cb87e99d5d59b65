/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending: how references become segments, what windows allow, and when references go. */
#include "tcp_script.h"

static struct script script;

static void open_script(void)
{
    script_open(&script);
    script_start(&script);
    script_accept(&script);
}

static void assert_octets(struct bytes payload, uint32_t from)
{
    for (uint32_t i = 0; i < payload.size; i++)
        assert_int_equal(payload.at[i], (from + i) % 251);
}

/* Several references leave in one segment where they fit, and a large one is cut at the MSS. */
static void references_are_coalesced_and_cut(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    assert_int_equal(script_send(&script, 100, 200), ERROR_NONE);
    assert_int_equal(script_send(&script, 300, 1000), ERROR_NONE);
    script_expect_none(&script); /* nothing leaves before the flush */
    script_turn(&script);
    struct sent sent = {0};
    uint32_t seq = 0;
    const uint32_t sizes[] = {SCRIPT_MSS, SCRIPT_MSS, 1300 - 2 * SCRIPT_MSS};
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(script_next(&script, &sent));
        assert_int_equal(sent.seq, seq);
        assert_int_equal(sent.payload.size, sizes[i]);
        assert_int_equal((sent.flags & TCP_PSH) != 0, i == 2);
        assert_octets(sent.payload, seq);
        seq += sizes[i];
    }
    script_expect_none(&script);
    assert_int_equal(net_usage(script.net).send_references, 3);
    assert_int_equal(tcp_queued_bytes(script.net, script.conn), 1300);
    script_input(&script, TCP_ACK, 0, 299, BYTES(""));
    assert_int_equal(net_usage(script.net).send_references, 2); /* 299 is within the second */
    script_input(&script, TCP_ACK, 0, 300, BYTES(""));
    assert_int_equal(net_usage(script.net).send_references, 1);
    script_input(&script, TCP_ACK, 0, 1300, BYTES(""));
    assert_int_equal(net_usage(script.net).send_references, 0);
    assert_int_equal(script.blobs.used, 0);
    assert_int_equal(tcp_queued_bytes(script.net, script.conn), 0);
    script_turn(&script);
    script_close(&script);
}

/* An offset into a blob that others share: the right octets, and its tally of acknowledged and
 * lost references. */
static void shared_blobs_are_counted(void **state)
{
    (void)state;
    open_script();
    uint8_t text[300];
    for (uint32_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i % 251);
    int owner;
    uint32_t blob = blob_create_shared(&script.blobs, bytes_of(text, sizeof text), &owner);
    blob_get(&script.blobs, blob, 2);
    assert_int_equal(tcp_send(script.net, script.conn, blob, 50, 100), ERROR_NONE);
    script_turn(&script);
    struct sent sent = {0};
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.payload.size, 100);
    assert_octets(sent.payload, 50);
    script_input(&script, TCP_ACK, 0, 100, BYTES(""));
    assert_int_equal(blob_row(&script.blobs, blob)->acked, 1);
    assert_int_equal(tcp_send(script.net, script.conn, blob, 0, 300), ERROR_NONE);
    script_turn(&script);
    tcp_abort(script.net, script.conn);
    assert_int_equal(blob_row(&script.blobs, blob)->lost, 1);
    assert_int_equal(blob_row(&script.blobs, blob)->references, 1);
    assert_ptr_equal(blob_put(&script.blobs, blob), &owner);
    script_turn(&script);
    script_turn(&script);
    script_close(&script);
}

/* The acknowledgement of what came in this turn rides on what goes out in it. */
static void an_answer_carries_the_acknowledgement(void **state)
{
    (void)state;
    open_script();
    script_input(&script, TCP_ACK, 0, 0, BYTES("question"));
    assert_int_equal(script_send(&script, 0, 6), ERROR_NONE);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 8, 6);
    script_expect_none(&script);
    script_close(&script);
}

/* Never past the peer's window; what an acknowledgement opens is used in the same turn. */
static void the_window_of_the_peer_is_kept(void **state)
{
    (void)state;
    open_script();
    script.window = 1000;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_send(&script, 0, 3000), ERROR_NONE);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, SCRIPT_MSS);
    /* The 464 left are half the largest window ever seen neither: silly window avoidance. */
    script_expect_none(&script);
    script_input(&script, TCP_ACK, 0, SCRIPT_MSS, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, SCRIPT_MSS, 0, SCRIPT_MSS);
    script_expect_none(&script);
    script_close(&script);
}

/* RFC 6928: ten segments at first, then slow start by two for each acknowledged. */
static void the_first_flight_is_ten_segments(void **state)
{
    (void)state;
    script_open(&script);
    script.window = 60000;
    script_start(&script);
    script_accept(&script);
    assert_int_equal(script_send(&script, 0, 40 * SCRIPT_MSS), ERROR_NONE);
    script_turn(&script);
    for (uint32_t i = 0; i < 10; i++)
        script_expect(&script, TCP_ACK, i * SCRIPT_MSS, 0, SCRIPT_MSS);
    script_expect_none(&script);
    script_input(&script, TCP_ACK, 0, 2 * SCRIPT_MSS, BYTES(""));
    script_turn(&script);
    for (uint32_t i = 10; i < 14; i++)
        script_expect(&script, TCP_ACK, i * SCRIPT_MSS, 0, SCRIPT_MSS);
    script_expect_none(&script);
    script_close(&script);
}

/* Over the limit: refused, then one NET_SENT below half. */
static void a_full_queue_refuses_and_tells_when_it_drained(void **state)
{
    (void)state;
    script_open(&script);
    script.options.send_bytes_max = 2000;
    script_start(&script);
    script_accept(&script);
    assert_int_equal(script_send(&script, 0, 2001), ERROR_TOO_LARGE);
    assert_int_equal(script_send(&script, 0, 1500), ERROR_NONE);
    assert_int_equal(script_send(&script, 1500, 501), ERROR_LIMIT);
    assert_int_equal(script_send(&script, 1500, 500), ERROR_NONE);
    script_turn(&script);
    script_input(&script, TCP_ACK, 0, 900, BYTES(""));
    assert_int_equal(script_event_count(&script, NET_SENT), 0);
    script_input(&script, TCP_ACK, 0, 1000, BYTES(""));
    assert_int_equal(script_event_count(&script, NET_SENT), 1);
    script_input(&script, TCP_ACK, 0, 1500, BYTES(""));
    assert_int_equal(script_event_count(&script, NET_SENT), 0);
    script_turn(&script);
    script_close(&script);
}

/* Empty pools refuse without a trace: nothing is queued, the blob stays the caller's. */
static void empty_pools_refuse(void **state)
{
    (void)state;
    script_open(&script);
    script.options.hot_max = 1;
    script.options.send_references_max = 2;
    script_start(&script);
    script_accept(&script);
    assert_int_equal(script_send(&script, 0, 10), ERROR_NONE);
    assert_int_equal(script_send(&script, 10, 10), ERROR_NONE);
    assert_int_equal(script_send(&script, 20, 10), ERROR_POOL_EMPTY);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 20);
    uint32_t first = script.conn;
    script_input(&script, TCP_ACK, 0, 20, BYTES(""));
    script_advance(&script, 2 * NS_PER_SECOND);
    uint32_t other = pool_take(&script.net->tcp->hot_pool);
    assert_int_equal(script_send(&script, 20, 10), ERROR_POOL_EMPTY);
    pool_give(&script.net->tcp->hot_pool, other);
    assert_int_equal(script.conn, first);
    assert_int_equal(script_send(&script, 20, 10), ERROR_NONE);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 20, 0, 10);
    script_close(&script);
}

/* No buffer to be had: sent as soon as there is one, long before a retransmission timeout. */
static void no_buffer_only_delays(void **state)
{
    (void)state;
    open_script();
    script.nic.refuses_take = true;
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    script_advance(&script, 10 * NS_PER_MS);
    script_expect_none(&script);
    script.nic.refuses_take = false;
    script_advance(&script, 50 * NS_PER_MS);
    script_expect(&script, TCP_ACK, 0, 0, 100);
    assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 0);
    script_close(&script);
}

/* FIN follows the queue and rides on its last segment. */
static void a_fin_rides_on_the_last_segment(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 700), ERROR_NONE);
    tcp_close(script.net, script.conn);
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, SCRIPT_MSS);
    script_expect(&script, TCP_FIN | TCP_ACK, SCRIPT_MSS, 0, 700 - SCRIPT_MSS);
    script_expect_none(&script);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_coalesced_and_cut),
        cmocka_unit_test(shared_blobs_are_counted),
        cmocka_unit_test(an_answer_carries_the_acknowledgement),
        cmocka_unit_test(the_window_of_the_peer_is_kept),
        cmocka_unit_test(the_first_flight_is_ten_segments),
        cmocka_unit_test(a_full_queue_refuses_and_tells_when_it_drained),
        cmocka_unit_test(empty_pools_refuse),
        cmocka_unit_test(no_buffer_only_delays),
        cmocka_unit_test(a_fin_rides_on_the_last_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
