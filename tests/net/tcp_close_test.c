/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends: FINs in every order, TIME_WAIT's few answers, and the timers of those who wait. */
#include "tcp_script.h"

static struct script script;

static void open_script(void)
{
    script_open(&script);
    script_start(&script);
    script_accept(&script);
}

/* We close first; the record of TIME_WAIT is what is left. */
static void close_first(void)
{
    open_script();
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 0, 0);
    script_input(&script, TCP_ACK, 0, 1, BYTES(""));
    script_input(&script, TCP_FIN | TCP_ACK, 0, 1, BYTES(""));
    assert_int_equal(script_event_count(&script, NET_END), 1);
    assert_int_equal(script_event_count(&script, NET_CLOSED), 1);
    assert_int_equal(script_why(&script), NET_CLOSE_DONE);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 1, 1, 0);
    assert_int_equal(net_usage(script.net).connections, 0);
    assert_int_equal(net_usage(script.net).time_wait, 1);
}

/* The peer did not get our last ACK: its FIN comes again, and is answered each time. */
static void time_wait_answers_a_fin(void **state)
{
    (void)state;
    close_first();
    for (uint32_t i = 0; i < 3; i++) {
        script_input(&script, TCP_FIN | TCP_ACK, 0, 1, BYTES(""));
        script_turn(&script);
        script_expect(&script, TCP_ACK, 1, 1, 0);
    }
    script_close(&script);
}

/* Old octets to a record are answered, but not as often as they come. */
static void time_wait_answers_in_moderation(void **state)
{
    (void)state;
    close_first();
    for (uint32_t i = 0; i < 10; i++)
        script_input(&script, TCP_ACK, (uint32_t)-5, 1, BYTES("old"));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 1, 1, 0);
    script_expect_none(&script);
    script.now_ns += NS_PER_SECOND;
    script_input(&script, TCP_ACK, (uint32_t)-5, 1, BYTES("old"));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 1, 1, 0);
    script_close(&script);
}

/* RFC 1337: resets do not end TIME_WAIT; plain acknowledgements get no answer. */
static void time_wait_ignores_resets(void **state)
{
    (void)state;
    close_first();
    script_input(&script, TCP_RST, 1, 0, BYTES(""));
    script_input(&script, TCP_ACK, 1, 1, BYTES(""));
    script_turn(&script);
    script_expect_none(&script);
    assert_int_equal(net_usage(script.net).time_wait, 1);
    script_advance(&script, 61 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).time_wait, 0);
    script_close(&script);
}

/* RFC 9293 3.10.7.4: a SYN beyond what the old connection used opens anew; an old one does not. */
static void time_wait_makes_way_for_a_newer_syn(void **state)
{
    (void)state;
    close_first();
    script_input(&script, TCP_SYN, (uint32_t)-100, 0, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 1, 1, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_COOKIES_SENT), 1);
    (void)script_syn(&script, script.irs + 5000, BYTES(""));
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_event_count(&script, NET_ACCEPTED), 1);
    script_turn(&script);
    script_close(&script);
}

/* RFC 6191: with timestamps, a newer one is enough, whatever the sequence number. */
static void a_newer_timestamp_opens_anew(void **state)
{
    (void)state;
    script_open(&script);
    script.has_timestamps = true;
    script_start(&script);
    script_accept(&script);
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 0, 0);
    script_input(&script, TCP_FIN | TCP_ACK, 0, 1, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 1, 1, 0);
    assert_int_equal(net_usage(script.net).time_wait, 1);
    script_input(&script, TCP_SYN, (uint32_t)-100, 0, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 1, 1, 0);
    script.peer_ts++;
    script_input(&script, TCP_SYN, (uint32_t)-100, 0, BYTES(""));
    script_turn(&script);
    struct sent sent = {0};
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.flags, TCP_SYN | TCP_ACK);
    script_close(&script);
}

/* The peer closes first: END, then our close, and its acknowledgement is the end. */
static void the_peer_may_close_first(void **state)
{
    (void)state;
    open_script();
    script_input(&script, TCP_FIN | TCP_ACK, 0, 0, BYTES("bye"));
    assert_int_equal(script_event_count(&script, NET_END), 1);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 4, 0);
    assert_int_equal(net_usage(script.net).hot, 0);
    assert_int_equal(script_send(&script, 0, 7), ERROR_NONE); /* half-closed, and still writing */
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 4, 7);
    assert_string_equal(tcp_state_name(script.net, script.conn), "LAST-ACK");
    script_input(&script, TCP_ACK, 4, 8, BYTES(""));
    assert_int_equal(script_why(&script), NET_CLOSE_DONE);
    script_turn(&script);
    assert_int_equal(net_usage(script.net).connections, 0);
    assert_int_equal(net_usage(script.net).time_wait, 0);
    script_close(&script);
}

/* A FIN that nobody acknowledges is sent again. */
static void a_fin_is_sent_again(void **state)
{
    (void)state;
    open_script();
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 0, 0);
    script_advance(&script, 1100 * NS_PER_MS);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 0, 0);
    script_advance(&script, 2100 * NS_PER_MS);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 0, 0);
    script_close(&script);
}

/* FIN_WAIT_2 without a word from the peer ends after a minute; each word starts it over. */
static void fin_wait_2_does_not_wait_for_ever(void **state)
{
    (void)state;
    open_script();
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 0, 0);
    script_input(&script, TCP_ACK, 0, 1, BYTES(""));
    assert_int_equal(tcp_hot_of(script.net, &script.net->rows[script.conn])->orphan_at_ns,
                     script.now_ns + TCP_ORPHAN_NS);
    script_advance(&script, 50 * NS_PER_SECOND);
    script_input(&script, TCP_ACK, 0, 1, BYTES("still here"));
    script_advance(&script, 50 * NS_PER_SECOND);
    assert_string_equal(tcp_state_name(script.net, script.conn), "FIN-WAIT-2");
    script.events.count = 0;
    script_advance(&script, 11 * NS_PER_SECOND);
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    script_turn(&script);
    assert_int_equal(net_usage(script.net).connections, 0);
    script_close(&script);
}

/* But a peer that goes on and on is left after five minutes. */
static void fin_wait_2_does_not_listen_for_ever(void **state)
{
    (void)state;
    open_script();
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 0, 0);
    script_input(&script, TCP_ACK, 0, 1, BYTES(""));
    for (uint32_t i = 0; i < 29; i++) {
        script_advance(&script, 10 * NS_PER_SECOND);
        assert_string_equal(tcp_state_name(script.net, script.conn), "FIN-WAIT-2");
        script_input(&script, TCP_ACK, i, 1, BYTES("x"));
        assert_int_equal(script_event_count(&script, NET_DATA), 1);
    }
    script.events.count = 0;
    script_advance(&script, 11 * NS_PER_SECOND);
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    script_close(&script);
}

/* FIN_WAIT_1 ends after five minutes though the peer takes an octet now and then. */
static void a_trickle_does_not_keep_a_closing_one(void **state)
{
    (void)state;
    open_script();
    script.window = 1;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_send(&script, 0, 500), ERROR_NONE);
    tcp_close(script.net, script.conn);
    script_turn(&script);
    uint32_t taken = 0;
    struct sent sent = {0};
    for (uint32_t i = 0; i < 298; i++) {
        script.events.count = 0;
        script_advance(&script, NS_PER_SECOND);
        while (script_next(&script, &sent))
            taken = sent.payload.size != 0 ? sent.seq + (uint32_t)sent.payload.size : taken;
        script_input(&script, TCP_ACK, 0, taken, BYTES(""));
        assert_string_equal(tcp_state_name(script.net, script.conn), "FIN-WAIT-1");
    }
    assert_true(taken > 20);
    script_advance(&script, 3 * NS_PER_SECOND);
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    script_turn(&script);
    assert_int_equal(net_usage(script.net).connections, 0);
    script_close(&script);
}

/* With no extension left there is nothing to wait for the last ACK with: a reset. */
static void closing_without_an_extension_resets(void **state)
{
    (void)state;
    script_open(&script);
    script.options.hot_max = 1;
    script_start(&script);
    script_accept(&script);
    uint32_t other = pool_take(&script.net->tcp->hot_pool);
    tcp_close(script.net, script.conn);
    pool_give(&script.net->tcp->hot_pool, other);
    script.events.count = 0;
    script_turn(&script);
    script_expect(&script, TCP_RST | TCP_ACK, 0, 0, 0);
    assert_int_equal(script_why(&script), NET_CLOSE_ABORTED);
    script_turn(&script);
    script_close(&script);
}

/* Between its death and the taking of NET_CLOSED a row is nobody's: calls do nothing, segments are
 * dropped, and the same peer cannot open into it. */
static void a_dying_row_is_quiet(void **state)
{
    (void)state;
    open_script();
    tcp_abort(script.net, script.conn);
    assert_false(net_is_live(script.net, script.conn));
    assert_int_equal(script_send(&script, 0, 5), ERROR_STALE);
    tcp_close(script.net, script.conn);
    tcp_abort(script.net, script.conn);
    script_input(&script, TCP_ACK, 0, 0, BYTES("late"));
    assert_int_equal(script_event_count(&script, NET_DATA), 0);
    assert_int_equal(script_event_count(&script, NET_CLOSED), 1);
    script_input(&script, TCP_ACK, 0, 0, BYTES("later"));
    assert_int_equal(script.events.count, 0);
    script_turn(&script);
    assert_int_equal(net_usage(script.net).connections, 0);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_wait_answers_a_fin),
        cmocka_unit_test(time_wait_answers_in_moderation),
        cmocka_unit_test(time_wait_ignores_resets),
        cmocka_unit_test(time_wait_makes_way_for_a_newer_syn),
        cmocka_unit_test(a_newer_timestamp_opens_anew),
        cmocka_unit_test(the_peer_may_close_first),
        cmocka_unit_test(a_fin_is_sent_again),
        cmocka_unit_test(fin_wait_2_does_not_wait_for_ever),
        cmocka_unit_test(fin_wait_2_does_not_listen_for_ever),
        cmocka_unit_test(a_trickle_does_not_keep_a_closing_one),
        cmocka_unit_test(closing_without_an_extension_resets),
        cmocka_unit_test(a_dying_row_is_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
