/* SPDX-License-Identifier: Apache-2.0
 *
 * RACK by its own numbers (RFC 8985 6.2): what counts as newest, as reordered, how wide the window
 * is, and that round trips of nothing and clocks that wrap change none of it. */
#include "tcp_ack_script.h"

static struct script script;

static struct tcp_sent sent_at(uint32_t at_us, uint32_t seq, uint8_t flags)
{
    return (struct tcp_sent){.seq = seq, .size = 1000, .sent_at_us = at_us, .flags = flags};
}

static void deliver(struct tcp_rack *rack, const struct tcp_sent *record, uint32_t now_us)
{
    struct tcp_ack_news news = {.now_us = now_us};
    tcp_rack_delivered(rack, record, &news);
    tcp_rack_note(rack, &news);
}

/* The newest transmission delivered is kept, by time and within one microsecond by sequence, also
 * where the clock or the sequence numbers wrap. */
static void the_newest_delivered_counts(void **state)
{
    (void)state;
    const uint32_t bases[] = {0, 1000000, 0u - 5000, 0u - 1};
    for (uint32_t i = 0; i < ARRAY_COUNT(bases); i++) {
        struct tcp_rack rack = {0};
        uint32_t at = bases[i];
        struct tcp_sent first = sent_at(at, at, 0);
        struct tcp_sent second = sent_at(at, at + 1000, 0);
        struct tcp_sent third = sent_at(at + 6000, at - 1000, TCP_SENT_RESENT);
        deliver(&rack, &second, at + 4000);
        assert_int_equal(rack.end_seq, at + 2000);
        assert_int_equal(rack.rtt_us, 4000);
        deliver(&rack, &first, at + 5000);
        assert_int_equal(rack.end_seq, at + 2000);
        deliver(&rack, &third, at + 11000);
        assert_int_equal(rack.xmit_us, at + 6000);
        assert_int_equal(rack.end_seq, at);
        assert_int_equal(rack.min_rtt_us, 4000);
    }
}

/* 6.2 step 2: a retransmission acknowledged sooner than any round trip ever took was not what was
 * acknowledged; nor was one sent after what the timestamp echoes. */
static void an_answer_to_the_original_says_nothing(void **state)
{
    (void)state;
    struct tcp_rack rack = {0};
    struct tcp_sent first = sent_at(0, 0, 0);
    struct tcp_sent again = sent_at(50000, 1000, TCP_SENT_RESENT);
    deliver(&rack, &first, 40000);
    deliver(&rack, &again, 60000);
    assert_int_equal(rack.xmit_us, 0);
    struct tcp_ack_news news = {.now_ns = 100 * NS_PER_MS, .now_us = 100000, .has_echo = true};
    news.echo_ms = 49;
    tcp_rack_delivered(&rack, &again, &news);
    assert_int_equal(rack.xmit_us, 0);
    news.echo_ms = 50;
    tcp_rack_delivered(&rack, &again, &news);
    assert_int_equal(rack.xmit_us, 50000);
}

/* 6.2 step 3: what arrives behind the highest, sent once, was overtaken; a retransmission, or what
 * one acknowledgement tells of together, was not. */
static void reordering_is_noticed(void **state)
{
    (void)state;
    struct tcp_rack rack = {0};
    struct tcp_sent low = sent_at(0, 0, 0);
    struct tcp_sent high = sent_at(0, 5000, 0);
    struct tcp_sent again = sent_at(0, 1000, TCP_SENT_RESENT);
    struct tcp_ack_news news = {.now_us = 1000};
    tcp_rack_delivered(&rack, &high, &news);
    tcp_rack_delivered(&rack, &low, &news);
    tcp_rack_note(&rack, &news);
    assert_int_equal(rack.flags & TCP_RACK_REORDERED, 0);
    deliver(&rack, &again, 1000);
    assert_int_equal(rack.flags & TCP_RACK_REORDERED, 0);
    deliver(&rack, &low, 1000);
    assert_int_equal(rack.flags & TCP_RACK_REORDERED, TCP_RACK_REORDERED);
}

/* Step 4: a quarter of the shortest round trip; nothing where three SACKED prove enough on a path
 * that does not reorder; a quarter more a round trip with a DSACK, up to the round trip; narrow
 * again after sixteen recoveries without. */
static void the_window_follows_the_rfc(void **state)
{
    (void)state;
    struct tcp_rack rack = {.min_rtt_us = 40000};
    assert_int_equal(tcp_rack_window_us(&rack, 50000, TCP_RACK_WAIT), 10000);
    assert_int_equal(tcp_rack_window_us(&rack, 50000, TCP_RACK_PROMPT), 0);
    rack.flags = TCP_RACK_REORDERED;
    assert_int_equal(tcp_rack_window_us(&rack, 50000, TCP_RACK_PROMPT), 10000);
    tcp_rack_widen(&rack, 1000, 9000);
    tcp_rack_widen(&rack, 8999, 9500); /* the same round trip */
    assert_int_equal(tcp_rack_window_us(&rack, 50000, TCP_RACK_PROMPT), 20000);
    tcp_rack_widen(&rack, 9000, 19000);
    assert_int_equal(tcp_rack_window_us(&rack, 50000, TCP_RACK_PROMPT), 30000);
    for (uint32_t i = 0; i < 1000; i++)
        tcp_rack_widen(&rack, 20000 + i * 1000, 20000 + i * 1000);
    assert_int_equal(tcp_rack_window_us(&rack, 50000, TCP_RACK_PROMPT), 50000);
    for (uint32_t i = 0; i < 15; i++)
        tcp_rack_recovered(&rack);
    assert_int_equal(tcp_rack_window_us(&rack, 50000, TCP_RACK_PROMPT), 50000);
    tcp_rack_recovered(&rack);
    assert_int_equal(tcp_rack_window_us(&rack, 50000, TCP_RACK_PROMPT), 10000);
}

/* No round trip at all, everything in the same microsecond: what was sent after is never lost, what
 * was sent before is found, and nothing waits for ever. */
static void round_trips_of_nothing_work(void **state)
{
    (void)state;
    script_open_sack(&script, 0);
    script_send_segments(&script, 0, 10);
    script_sack_one(&script, 0, 2 * MSS, 5 * MSS);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, MSS);
    script_expect(&script, TCP_ACK, MSS, 0, MSS);
    script_expect_none(&script);
    script_input(&script, TCP_ACK, 0, 5 * MSS, BYTES(""));
    script_turn(&script);
    script_expect_none(&script);
    script_input(&script, TCP_ACK, 0, 10 * MSS, BYTES(""));
    script_turn(&script);
    assert_int_equal(script_metric(&script, METRIC_TCP_TIMEOUTS), 0);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_delivered_counts),
        cmocka_unit_test(an_answer_to_the_original_says_nothing),
        cmocka_unit_test(reordering_is_noticed),
        cmocka_unit_test(the_window_follows_the_rfc),
        cmocka_unit_test(round_trips_of_nothing_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
