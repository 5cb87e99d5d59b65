/* SPDX-License-Identifier: Apache-2.0
 *
 * Borrowing and giving back the extension: when it goes, what it leaves in the row, and that the
 * audit sees a connection without a timer. */
#include "tcp_script.h"

static struct script script;

static void open_script(void)
{
    script_open(&script);
    script_start(&script);
    script_accept(&script);
}

/* 16 bits keep a round-trip time to a 1,024th, up to more than a minute. */
static void the_logarithm_is_close(void **state)
{
    (void)state;
    for (uint32_t us = 0; us < 2048; us++)
        assert_int_equal(tcp_us_of_log(tcp_log_of_us(us)), us);
    for (uint64_t us = 2048; us <= UINT32_MAX; us = us * 9 / 8 + 1) {
        uint32_t back = tcp_us_of_log(tcp_log_of_us((uint32_t)us));
        assert_true(back <= us);
        assert_true(us - back <= us / 1024);
    }
    assert_true(tcp_us_of_log(tcp_log_of_us(UINT32_MAX)) > UINT32_MAX - UINT32_MAX / 1024);
}

/* A second of quiet after the last acknowledgement, and the extension is back; the estimate stays
 * with the row and is there the next time. */
static void a_quiet_connection_parks(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    script_turn(&script);
    script_advance(&script, 40 * NS_PER_MS);
    script_input(&script, TCP_ACK, 0, 100, BYTES(""));
    script_advance(&script, 990 * NS_PER_MS);
    assert_int_equal(net_usage(script.net).hot, 1);
    script_advance(&script, 20 * NS_PER_MS);
    assert_int_equal(net_usage(script.net).hot, 0);
    uint32_t srtt = tcp_us_of_log(script.net->rows[script.conn].srtt);
    assert_in_range(srtt, 39900, 40000);
    struct tcp_hot *hot = tcp_unpark(script.net, script.conn);
    assert_non_null(hot);
    assert_int_equal(hot->srtt_us, srtt);
    assert_true(hot->rto_us < TCP_RTO_US_FIRST);
    assert_ptr_equal(tcp_unpark(script.net, script.conn), hot);
    assert_int_equal(net_usage(script.net).hot, 1);
    script_close(&script);
}

/* With more than half of the pool out, the last acknowledgement gives the extension back at once:
 * a broadcast is not bound to a pool a second. */
static void scarce_extensions_go_back_at_once(void **state)
{
    (void)state;
    script_open(&script);
    script.options.hot_max = 2;
    script_start(&script);
    script_accept(&script);
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    script_turn(&script);
    script_input(&script, TCP_ACK, 0, 100, BYTES(""));
    assert_int_equal(net_usage(script.net).hot, 1); /* one of two is not scarce */
    uint32_t other = pool_take(&script.net->tcp->hot_pool);
    assert_int_equal(script_send(&script, 100, 100), ERROR_NONE);
    net_flush(script.net, script.now_ns);
    script_input(&script, TCP_ACK, 0, 150, BYTES(""));
    assert_int_not_equal(script.net->rows[script.conn].hot, TCP_HOT_NONE);
    script_input(&script, TCP_ACK, 0, 200, BYTES(""));
    assert_int_equal(script.net->rows[script.conn].hot, TCP_HOT_NONE);
    pool_give(&script.net->tcp->hot_pool, other);
    script_close(&script);
}

/* What is unacknowledged, out of order or closing does not park. */
static void a_busy_connection_does_not_park(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    script_turn(&script);
    script_advance(&script, 5 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).hot, 1);
    script_input(&script, TCP_ACK, 5, 100, BYTES("ahead"));
    script_advance(&script, 5 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).hot, 1);
    script_input(&script, TCP_ACK, 0, 100, BYTES("first"));
    script_advance(&script, 2 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).hot, 0);
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_input(&script, TCP_ACK, 10, 101, BYTES(""));
    script_advance(&script, 30 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).hot, 1);
    script_close(&script);
}

/* With no extension to be had, a parked connection still hears, acknowledges, challenges and is
 * probed; what needs one is refused by value and counted, and octets ahead of a gap come again. */
static void a_parked_connection_needs_no_extension(void **state)
{
    (void)state;
    script_open(&script);
    script.options.hot_max = 1;
    script_start(&script);
    script_accept(&script);
    uint32_t only = pool_take(&script.net->tcp->hot_pool);
    script_input(&script, TCP_ACK, 0, 0, BYTES("hello"));
    assert_int_equal(script_event_count(&script, NET_DATA), 1);
    net_release(script.net, script.now_ns);
    script_expect(&script, TCP_ACK, 0, 5, 0);
    script_input(&script, TCP_ACK, 5, 0, BYTES(""));      /* the answer to a keepalive probe */
    script_input(&script, TCP_ACK, 0, 0, BYTES("hello")); /* old */
    net_release(script.net, script.now_ns);
    script_expect(&script, TCP_ACK, 0, 5, 0);
    script_input(&script, TCP_RST, 7, 0, BYTES(""));
    net_release(script.net, script.now_ns);
    script_expect(&script, TCP_ACK, 0, 5, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_CHALLENGE_ACKS), 1);
    assert_int_equal(script_metric(&script, METRIC_TCP_HOT_REFUSED), 0);

    script_input(&script, TCP_ACK, 10, 0, BYTES("ahead"));
    net_release(script.net, script.now_ns);
    script_expect(&script, TCP_ACK, 0, 5, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_HOT_EMPTY), 1);
    assert_int_equal(script_send(&script, 0, 10), ERROR_POOL_EMPTY);
    assert_int_equal(script_metric(&script, METRIC_TCP_HOT_REFUSED), 2);
    assert_int_equal(script.net->rows[script.conn].hot, TCP_HOT_NONE);

    pool_give(&script.net->tcp->hot_pool, only);
    script_input(&script, TCP_ACK, 5, 0, BYTES("in between"));
    script_turn(&script);
    assert_int_equal(script.net->rows[script.conn].rcv_nxt - script.irs, 15);
    script_close(&script);
}

/* The audit fails where a timer is missing: the bug that leaves connections for ever. */
static void the_audit_sees_a_missing_timer(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    script_turn(&script);
    assert_true(tcp_is_valid(script.net));
    wheel_disarm(&script.net->tcp->wheel, script.net->rows[script.conn].hot);
    assert_false(tcp_is_valid(script.net));
    tcp_timer_update(script.net, script.conn);
    assert_true(tcp_is_valid(script.net));
    struct tcp_hot *hot = tcp_hot_of(script.net, &script.net->rows[script.conn]);
    hot->snd_end += 1;
    assert_false(tcp_is_valid(script.net));
    hot->snd_end -= 1;
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_logarithm_is_close),
        cmocka_unit_test(a_quiet_connection_parks),
        cmocka_unit_test(scarce_extensions_go_back_at_once),
        cmocka_unit_test(a_busy_connection_does_not_park),
        cmocka_unit_test(a_parked_connection_needs_no_extension),
        cmocka_unit_test(the_audit_sees_a_missing_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
