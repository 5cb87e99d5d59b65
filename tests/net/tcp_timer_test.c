/* SPDX-License-Identifier: Apache-2.0
 *
 * Time: the retransmission timer and its backoff, the persist timer, keepalive, estimates. */
#include "tcp_script.h"

static struct script script;

static void open_script(void)
{
    script_open(&script);
    script_start(&script);
    script_accept(&script);
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

/* RFC 6298 2.1 and 5.5: first after 1 s without a measurement, then twice as long each time, up to
 * a minute; the same octets; one segment at a time. */
static void timeouts_back_off(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 2000), ERROR_NONE);
    script_turn(&script);
    struct sent sent = {0};
    for (uint32_t i = 0; i < 4; i++)
        assert_true(script_next(&script, &sent));
    const uint32_t waits_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (uint32_t i = 0; i < ARRAY_COUNT(waits_ms); i++) {
        uint32_t waited = wait_frame_ms(&sent);
        assert_in_range(waited, waits_ms[i], waits_ms[i] + 2);
        assert_int_equal(sent.seq, 0);
        assert_int_equal(sent.payload.size, SCRIPT_MSS);
        for (uint32_t n = 0; n < sent.payload.size; n++)
            assert_int_equal(sent.payload.at[n], n % 251);
        script_expect_none(&script);
    }
    /* The peer is back: slow start resends the rest. */
    script_input(&script, TCP_ACK, 0, SCRIPT_MSS, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, SCRIPT_MSS, 0, SCRIPT_MSS);
    script_input(&script, TCP_ACK, 0, 2000, BYTES(""));
    script_turn(&script);
    script_close(&script);
}

/* A measured round trip of 10 ms gives the floor of 200 ms; RFC 6298 2.4. */
static void a_short_round_trip_meets_the_floor(void **state)
{
    (void)state;
    open_script();
    struct sent sent = {0};
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(script_send(&script, i * 10, 10), ERROR_NONE);
        script_turn(&script);
        assert_true(script_next(&script, &sent));
        script_advance(&script, 10 * NS_PER_MS);
        script_input(&script, TCP_ACK, 0, (i + 1) * 10, BYTES(""));
    }
    assert_int_equal(script_send(&script, 50, 10), ERROR_NONE);
    script_turn(&script);
    assert_true(script_next(&script, &sent));
    assert_in_range(wait_frame_ms(&sent), 200, 202);
    script_close(&script);
}

/* The estimate follows RFC 6298 2.2 and 2.3. */
static void the_estimate_follows_the_rfc(void **state)
{
    (void)state;
    struct tcp_hot hot = {0};
    tcp_rto_compute(&hot);
    assert_int_equal(hot.rto_us, 1000000);
    tcp_rtt_sample(&hot, 400000);
    assert_int_equal(hot.srtt_us, 400000);
    assert_int_equal(hot.rttvar_us, 200000);
    assert_int_equal(hot.rto_us, 1200000);
    tcp_rtt_sample(&hot, 800000);
    assert_int_equal(hot.rttvar_us, (3 * 200000 + 400000) / 4);
    assert_int_equal(hot.srtt_us, (7 * 400000 + 800000) / 8);
    for (uint32_t i = 0; i < 1000; i++)
        tcp_rtt_sample(&hot, 0);
    assert_int_equal(hot.rto_us, TCP_RTO_US_MIN);
    for (uint32_t i = 0; i < 1000; i++)
        tcp_rtt_sample(&hot, UINT32_MAX);
    assert_int_equal(hot.rto_us, TCP_RTO_US_MAX);
    hot.tries = 255;
    assert_int_equal(tcp_rto_ns(&hot), TCP_RTO_US_MAX * NS_PER_US);
}

/* RFC 9293 3.8.6.1: a shut window is probed with one octet, ever more slowly, and the first
 * opening is used at once. */
static void a_shut_window_is_probed(void **state)
{
    (void)state;
    open_script();
    script.window = 0;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    script_turn(&script);
    script_expect_none(&script);
    struct sent sent = {0};
    for (uint32_t wait_ms = 1000; wait_ms <= 16000; wait_ms *= 2) {
        uint32_t waited = wait_frame_ms(&sent);
        assert_in_range(waited, wait_ms, wait_ms + 2);
        assert_int_equal(sent.seq, 0);
        assert_int_equal(sent.payload.size, 1);
        assert_int_equal(sent.payload.at[0], 0);
        script_input(&script, TCP_ACK, 0, 0, BYTES("")); /* still shut */
        script_turn(&script);
        script_expect_none(&script);
    }
    assert_int_equal(script_metric(&script, METRIC_TCP_PERSIST_PROBES), 5);
    script.window = 5000;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 100);
    script_input(&script, TCP_ACK, 0, 100, BYTES(""));
    script_advance(&script, 2 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).hot, 0);
    script_close(&script);
}

/* A window that takes the probe's octet each time drains the queue octet by octet, and closing
 * behind a shut window still ends with a FIN (an octet of its own). */
static void probes_alone_bring_everything_across(void **state)
{
    (void)state;
    open_script();
    script.window = 0;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_send(&script, 0, 3), ERROR_NONE);
    tcp_close(script.net, script.conn);
    script_turn(&script);
    assert_string_equal(tcp_state_name(script.net, script.conn), "FIN-WAIT-1");
    struct sent sent = {0};
    for (uint32_t i = 0; i < 3; i++) {
        (void)wait_frame_ms(&sent);
        assert_int_equal(sent.seq, i);
        if (i < 2) {
            assert_int_equal(sent.payload.size, 1);
            assert_int_equal(sent.flags & TCP_FIN, 0);
            script_input(&script, TCP_ACK, 0, i + 1, BYTES(""));
            script_turn(&script);
        }
    }
    assert_int_equal(sent.flags & TCP_FIN, TCP_FIN);
    assert_int_equal(sent.payload.size, 1);
    script_input(&script, TCP_ACK, 0, 4, BYTES(""));
    script_turn(&script);
    assert_string_equal(tcp_state_name(script.net, script.conn), "FIN-WAIT-2");
    script_close(&script);
}

/* Who keeps its window shut for longer than the user timeout is cut off. */
static void a_window_shut_for_ever_ends_the_connection(void **state)
{
    (void)state;
    script_open(&script);
    script.options.liveness[0].user_timeout_ns = 20 * NS_PER_SECOND;
    script_start(&script);
    script_accept(&script);
    script.window = 0;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    uint64_t from_ns = script.now_ns;
    script.events.count = 0;
    while (script_event_count(&script, NET_CLOSED) == 0) {
        assert_true(script.now_ns - from_ns < 60 * NS_PER_SECOND);
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        script_advance(&script, 100 * NS_PER_MS);
    }
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    assert_true(script.now_ns - from_ns >= 20 * NS_PER_SECOND);
    script_turn(&script);
    script_close(&script);
}

/* Keepalive: after the idle time probes of an old sequence number at their interval; an answer
 * starts the idle time over; three without one end it. */
static void keepalive_probes_then_gives_up(void **state)
{
    (void)state;
    script_open(&script);
    script.options.liveness[0].keepalive_idle_ns = 60 * NS_PER_SECOND;
    script_start(&script);
    script_accept(&script);
    struct sent sent = {0};
    uint32_t waited = wait_frame_ms(&sent);
    assert_in_range(waited, 50000, 70000);
    assert_int_equal(sent.seq, UINT32_MAX);
    assert_int_equal(sent.payload.size, 0);
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    waited = wait_frame_ms(&sent);
    assert_in_range(waited, 50000, 70000);
    for (uint32_t i = 0; i < 2; i++)
        assert_in_range(wait_frame_ms(&sent), 5000, 13000);
    assert_int_equal(script_metric(&script, METRIC_TCP_KEEPALIVE_PROBES), 4);
    script.events.count = 0;
    script_advance(&script, 15 * NS_PER_SECOND); /* the reset goes nowhere: ARP gave up, too */
    assert_int_equal(script_event_count(&script, NET_CLOSED), 1);
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    script_turn(&script);
    assert_int_equal(net_usage(script.net).connections, 0);
    script_close(&script);
}

/* A connection starts in the impatient class; known, it has the other one's times, counted from
 * then on. */
static void a_class_of_its_own_patience(void **state)
{
    (void)state;
    script_open(&script);
    script.options.liveness[NET_LIVENESS_NEW] =
        (struct net_liveness){20 * NS_PER_SECOND, 5 * NS_PER_SECOND, 1, 10 * NS_PER_SECOND};
    script.options.liveness[NET_LIVENESS_KNOWN] =
        (struct net_liveness){100 * NS_PER_SECOND, 5 * NS_PER_SECOND, 1, 60 * NS_PER_SECOND};
    script_start(&script);
    script_accept(&script);
    struct sent sent = {0};
    assert_in_range(wait_frame_ms(&sent), 17000, 25000);
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    tcp_set_liveness(script.net, script.conn, NET_LIVENESS_KNOWN);
    assert_in_range(wait_frame_ms(&sent), 89000, 106000);
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_send(&script, 0, 10), ERROR_NONE);
    script.events.count = 0;
    script_advance(&script, 30 * NS_PER_SECOND);
    assert_int_equal(script_event_count(&script, NET_CLOSED), 0);
    script_advance(&script, 60 * NS_PER_SECOND);
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    script_close(&script);
}

/* And one that stays unknown is given up by the shorter user timeout. */
static void the_unknown_are_given_up_sooner(void **state)
{
    (void)state;
    script_open(&script);
    script.options.liveness[NET_LIVENESS_NEW].user_timeout_ns = 10 * NS_PER_SECOND;
    script_start(&script);
    script_accept(&script);
    assert_int_equal(script_send(&script, 0, 10), ERROR_NONE);
    script_advance(&script, 25 * NS_PER_SECOND);
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_back_off),
        cmocka_unit_test(a_short_round_trip_meets_the_floor),
        cmocka_unit_test(the_estimate_follows_the_rfc),
        cmocka_unit_test(a_shut_window_is_probed),
        cmocka_unit_test(probes_alone_bring_everything_across),
        cmocka_unit_test(a_window_shut_for_ever_ends_the_connection),
        cmocka_unit_test(keepalive_probes_then_gives_up),
        cmocka_unit_test(a_class_of_its_own_patience),
        cmocka_unit_test(the_unknown_are_given_up_sooner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
