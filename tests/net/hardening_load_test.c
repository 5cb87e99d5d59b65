/* SPDX-License-Identifier: Apache-2.0
 *
 * Peers who complete the handshake and then cost us as much as they can: gaps, tiny segments, tiny
 * windows, shut windows, split acknowledgements, silence, and connections by the hundred. Each is
 * held to its limit, counted, and the honest connection beside it notices nothing. */
#include "hardening.h"

static struct script script;
static struct voice honest;
static struct voice evil;

static void start(uint16_t evil_mss)
{
    script_start(&script);
    honest = voice_open(&script, HONEST_PORT, SCRIPT_MSS);
    tcp_set_liveness(script.net, honest.conn, NET_LIVENESS_KNOWN);
    evil = voice_open(&script, 32000, evil_mss);
}

static void finish(void)
{
    voice_is_heard(&script, &honest);
    script_close(&script);
}

static struct tcp_row *evil_row(void)
{
    return &script.net->rows[evil.conn];
}

static struct tcp_hot *evil_hot(void)
{
    return tcp_hot_of(script.net, evil_row());
}

/* CVE-2018-5390 (SegmentSmack): single octets with gaps between, in every order: no more than 16
 * ranges, no more memory than the class has, and each dropped one is counted. */
static void a_thousand_gaps(void **state)
{
    (void)state;
    script_open(&script);
    script.options.reorder_bytes_max = 65536;
    start(SCRIPT_MSS);
    voice_use(&script, &evil);
    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t seq = 2 + i * 2654435761u % 9000 * 2;
        script_input(&script, TCP_ACK, seq, 0, BYTES("x"));
        if (i % 16 == 0)
            net_release(script.net, script.now_ns);
        assert_true(evil_hot()->range_count <= TCP_RANGES_MAX);
        assert_true(net_usage(script.net).reorder_bytes <= script.options.reorder_bytes_max);
    }
    script_turn(&script);
    assert_int_equal(evil_hot()->range_count, TCP_RANGES_MAX);
    assert_true(script_metric(&script, METRIC_TCP_DROP_REORDER) > 4000);
    skip_frames(&script);
    finish();
}

/* And when the gap never closes, what was kept is dropped after half a minute. */
static void a_gap_nobody_closes(void **state)
{
    (void)state;
    script_open(&script);
    start(SCRIPT_MSS);
    voice_use(&script, &evil);
    script_input(&script, TCP_ACK, 100, 0, BYTES("x"));
    script_turn(&script);
    assert_true(net_usage(script.net).reorder_bytes > 0);
    script_advance(&script, 33 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).reorder_bytes, 0);
    assert_int_equal(net_usage(script.net).hot, 0);
    skip_frames(&script);
    finish();
}

/* CVE-2019-11479: whatever tiny segments a peer wishes, it gets none below 256 octets. */
static void a_tiny_mss(void **state)
{
    (void)state;
    for (uint16_t mss = 0; mss < 256; mss += 51) {
        script_open(&script);
        start(mss);
        voice_use(&script, &evil);
        assert_int_equal(script_send(&script, 0, 1000), ERROR_NONE);
        script_turn(&script);
        for (uint32_t seq = 0; seq < 1000; seq += 256)
            script_expect(&script, TCP_ACK, seq, 0, 1000 - seq < 256 ? 1000 - seq : 256);
        script_expect_none(&script);
        tcp_abort(script.net, evil.conn);
        script_turn(&script);
        skip_frames(&script);
        finish();
    }
}

/* Octet by octet a stream costs a packet each: after a burst it gets its rate, and what is over it
 * is dropped and must come again. */
static void octet_by_octet(void **state)
{
    (void)state;
    script_open(&script);
    script.options.tiny_segments_per_second = 100;
    start(SCRIPT_MSS);
    voice_use(&script, &evil);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        script_input(&script, TCP_ACK, taken, 0, BYTES("x"));
        taken += script_event_count(&script, NET_DATA);
        script.received_size = 0;
        script_advance(&script, NS_PER_MS);
    }
    assert_in_range(taken, TCP_TINY_BURST + 300, TCP_TINY_BURST + 500);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_TINY), 4000 - taken);
    static const uint8_t text[TCP_TINY_SIZE];
    for (uint32_t i = 0; i < 1000; i++) {
        script_input(&script, TCP_ACK, taken + i * TCP_TINY_SIZE, 0, bytes_of(text, sizeof text));
        script_turn(&script);
        script.received_size = 0;
    }
    assert_int_equal(evil_row()->rcv_nxt - evil.irs, taken + 1000 * TCP_TINY_SIZE);
    skip_frames(&script);
    finish();
}

/* A window that stays shut, though its peer answers each probe, ends by its own option. */
static void a_window_shut_for_good(void **state)
{
    (void)state;
    script_open(&script);
    script.options.window_shut_ns = 90 * NS_PER_SECOND;
    start(SCRIPT_MSS);
    voice_use(&script, &evil);
    script.window = 0;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_send(&script, 0, 500), ERROR_NONE);
    uint32_t seconds = 0;
    uint64_t gap_max_ns = 0;
    uint64_t last_ns = script.now_ns;
    script.events.count = 0;
    for (; seconds < 200 && script_event_count(&script, NET_CLOSED) == 0; seconds++) {
        script.events.count = 0;
        script_advance(&script, NS_PER_SECOND);
        struct sent sent;
        while (script_next(&script, &sent)) {
            if ((sent.flags & TCP_RST) != 0)
                continue;
            if (script.now_ns - last_ns > gap_max_ns)
                gap_max_ns = script.now_ns - last_ns;
            last_ns = script.now_ns;
        }
        if (script_event_count(&script, NET_CLOSED) == 0)
            script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    }
    assert_in_range(seconds, 85, 135); /* looked at when a probe is due */
    assert_true(script_metric(&script, METRIC_TCP_PERSIST_PROBES) >= 5);
    assert_true(script_metric(&script, METRIC_TCP_PERSIST_PROBES) <= 10);
    assert_true(gap_max_ns <= 61 * NS_PER_SECOND);
    assert_int_equal(script_metric(&script, METRIC_TCP_CLOSED_TIMEOUT), 1);
    script.window = 0x2000;
    finish();
}

/* The peer takes `per_second` octets of a long queue; how long it lives, in seconds, up to 200. */
static uint32_t read_at(uint32_t per_second)
{
    script_open(&script);
    script.options.drain_bytes_per_second = 64;
    script.options.send_bytes_max = 200000;
    start(SCRIPT_MSS);
    voice_use(&script, &evil);
    script.window = (uint16_t)per_second;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_send(&script, 0, 100000), ERROR_NONE);
    uint32_t taken = 0;
    uint32_t seconds = 0;
    for (; seconds < 200; seconds++) {
        script.events.count = 0;
        script_advance(&script, NS_PER_SECOND);
        if (script_event_count(&script, NET_CLOSED) != 0)
            break;
        struct sent sent;
        while (script_next(&script, &sent))
            if (sent.payload.size != 0 && sent.seq == taken)
                taken += (uint32_t)sent.payload.size;
        script_input(&script, TCP_ACK, 0, taken, BYTES(""));
    }
    return seconds;
}

/* A slow reader keeps its queue only while it takes what the option asks for; trickling a little
 * less ends it in the second minute at the latest, with its counter. */
static void a_trickle_of_reading(void **state)
{
    (void)state;
    assert_in_range(read_at(20), 58, 125);
    assert_int_equal(script_metric(&script, METRIC_TCP_SLOW_READERS), 1);
    script.window = 0x2000;
    finish();
    assert_int_equal(read_at(200), 200);
    assert_int_equal(script_metric(&script, METRIC_TCP_SLOW_READERS), 0);
    tcp_abort(script.net, evil.conn);
    script_turn(&script);
    script.window = 0x2000;
    finish();
}

/* Who is silent altogether is the user timeout's, not a slow reader. */
static void silence_is_not_slowness(void **state)
{
    (void)state;
    script_open(&script);
    script.options.drain_bytes_per_second = 64;
    script.options.liveness[NET_LIVENESS_NEW].user_timeout_ns = 100 * NS_PER_SECOND;
    start(SCRIPT_MSS);
    voice_use(&script, &evil);
    assert_int_equal(script_send(&script, 0, 5000), ERROR_NONE);
    script.events.count = 0;
    script_advance(&script, 95 * NS_PER_SECOND);
    assert_int_equal(script_event_count(&script, NET_CLOSED), 0);
    script_advance(&script, 70 * NS_PER_SECOND);
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    assert_int_equal(script_metric(&script, METRIC_TCP_SLOW_READERS), 0);
    finish();
}

/* Retransmissions have an end, also of our FIN: LAST_ACK does not last. */
static void nobody_acknowledges_our_fin(void **state)
{
    (void)state;
    script_open(&script);
    script.options.liveness[NET_LIVENESS_NEW].user_timeout_ns = 60 * NS_PER_SECOND;
    start(SCRIPT_MSS);
    voice_use(&script, &evil);
    script_input(&script, TCP_ACK | TCP_FIN, 0, 0, BYTES(""));
    script_turn(&script);
    tcp_close(script.net, evil.conn);
    script_turn(&script);
    assert_string_equal(tcp_state_name(script.net, evil.conn), "LAST-ACK");
    script.events.count = 0;
    script_advance(&script, 130 * NS_PER_SECOND);
    assert_int_equal(script_why(&script), NET_CLOSE_TIMEOUT);
    assert_true(script_metric(&script, METRIC_TCP_TIMEOUTS) >= 4);
    assert_true(script_metric(&script, METRIC_TCP_TIMEOUTS) <= 12);
    script_turn(&script);
    assert_int_equal(net_usage(script.net).connections, 1);
    finish();
}

/* RFC 3465: an acknowledgement split into single octets opens the window by octets, not by
 * acknowledgements. */
static void split_acknowledgements(void **state)
{
    (void)state;
    script_open(&script);
    script.options.send_bytes_max = 200000;
    script.window = 0xffff;
    start(1460);
    voice_use(&script, &evil);
    assert_int_equal(script_send(&script, 0, 60000), ERROR_NONE);
    script_turn(&script);
    uint32_t cwnd = evil_hot()->cwnd;
    for (uint32_t ack = 1; ack <= 1460; ack++) {
        script_input(&script, TCP_ACK, 0, ack, BYTES(""));
        if (ack % 16 == 0)
            script_turn(&script);
        skip_frames(&script);
    }
    assert_true(evil_hot()->cwnd - cwnd <= 2 * 1460);
    tcp_abort(script.net, evil.conn);
    script_turn(&script);
    skip_frames(&script);
    finish();
}

/* A thousand duplicates for ten segments are lies: they let out what the peer's own window allows,
 * and the price is a lower rate. */
static void invented_duplicates(void **state)
{
    (void)state;
    script_open(&script);
    script.options.send_bytes_max = 200000;
    script.options.congestion = NET_NEWRENO; /* CUBIC's price is three tenths */
    script.window = 0xffff;
    start(1460);
    voice_use(&script, &evil);
    assert_int_equal(script_send(&script, 0, 100000), ERROR_NONE);
    script_turn(&script);
    uint32_t cwnd = evil_hot()->cwnd;
    for (uint32_t i = 0; i < 1000; i++) {
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        if (i % 16 == 0)
            script_turn(&script);
        skip_frames(&script);
    }
    assert_true(evil_row()->snd_nxt - evil.iss <= 0xffff);
    script_input(&script, TCP_ACK, 0, evil_row()->snd_nxt - evil.iss, BYTES(""));
    assert_true(evil_hot()->cwnd <= cwnd * 7 / 10); /* RFC 9438 4.6 */
    tcp_abort(script.net, evil.conn);
    script_turn(&script);
    skip_frames(&script);
    finish();
}

/* CVE-2019-11477, 11478: blocks that say everything and nothing about what is in flight, at the
 * largest rate of options: no assertion, bounded records, and the stream goes on. */
static void selective_lies(void **state)
{
    (void)state;
    script_open(&script);
    script.options.send_bytes_max = 200000;
    script.window = 0xffff;
    script.has_sack = true;
    script_start(&script);
    honest = voice_open(&script, HONEST_PORT, SCRIPT_MSS);
    script.port = 32000;
    skip_frames(&script);
    script_accept(&script);
    evil = (struct voice){script.conn, script.irs, script.iss, script.port, 0};
    assert_int_equal(script_send(&script, 0, 20000), ERROR_NONE);
    script_turn(&script);
    for (uint32_t i = 0; i < 3000; i++) {
        uint8_t options[36] = {TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_SACK, 34};
        struct writer blocks = writer_of(options + 4, 32);
        for (uint32_t k = 0; k < 8; k++)
            write_be32(&blocks, evil.iss + (random_u32(&script.random) % 24000) - 2000);
        script_input_raw(&script, (struct tcp_frame){.seq = evil.irs,
                                                     .ack = evil.iss,
                                                     .flags = TCP_ACK,
                                                     .options = bytes_of(options, sizeof options)});
        if (i % 16 == 0)
            script_turn(&script);
        skip_frames(&script);
    }
    script_turn(&script);
    skip_frames(&script);
    script_input(&script, TCP_ACK, 0, evil_row()->snd_nxt - evil.iss, BYTES(""));
    script_turn(&script);
    assert_string_equal(tcp_state_name(script.net, evil.conn), "ESTABLISHED");
    tcp_abort(script.net, evil.conn);
    script_turn(&script);
    skip_frames(&script);
    finish();
}

/* One address: so many connections, so many a second; the others are not concerned. */
static void one_address_wants_everything(void **state)
{
    (void)state;
    script_open(&script);
    script.options.connections_per_address = 20;
    start(SCRIPT_MSS);
    for (uint32_t i = 0; i < 18; i++)
        (void)voice_open(&script, (uint16_t)(33000 + i), SCRIPT_MSS);
    script.port = 34000;
    (void)script_syn(&script, 999, BYTES(""));
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_event_count(&script, NET_ACCEPTED), 0);
    assert_int_equal(script_metric(&script, METRIC_NET_REFUSED_ADDRESS), 1);
    finish();

    script_open(&script);
    script.options.accepts_per_second_address = 5;
    script_start(&script);
    honest = voice_open(&script, HONEST_PORT, SCRIPT_MSS);
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < 40; i++) {
        script.port = (uint16_t)(33000 + i);
        (void)script_syn(&script, 999, BYTES(""));
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        accepted += script_event_count(&script, NET_ACCEPTED);
        script_turn(&script);
        skip_frames(&script);
    }
    assert_int_equal(accepted, 9); /* two seconds' worth, with the honest one of that address */
    assert_int_equal(script_metric(&script, METRIC_NET_REFUSED_ADDRESS_RATE), 31);
    finish();
}

/* All addresses together: no more accepts a second than the option says; a refused one asks again
 * by its retransmission and is let in. */
static void a_reconnect_storm(void **state)
{
    (void)state;
    script_open(&script);
    script.options.accepts_per_second = 10;
    script_start(&script);
    honest = voice_open(&script, HONEST_PORT, SCRIPT_MSS);
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < 20; i++) {
        script.port = (uint16_t)(33000 + i);
        (void)script_syn(&script, 999, BYTES(""));
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        accepted += script_event_count(&script, NET_ACCEPTED);
        script_turn(&script);
    }
    assert_true(accepted < 4);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_ACCEPT_RATE), 20 - accepted);
    script_advance(&script, NS_PER_SECOND);
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_event_count(&script, NET_ACCEPTED), 1);
    script_turn(&script);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_gaps),
        cmocka_unit_test(a_gap_nobody_closes),
        cmocka_unit_test(a_tiny_mss),
        cmocka_unit_test(octet_by_octet),
        cmocka_unit_test(a_window_shut_for_good),
        cmocka_unit_test(a_trickle_of_reading),
        cmocka_unit_test(silence_is_not_slowness),
        cmocka_unit_test(nobody_acknowledges_our_fin),
        cmocka_unit_test(split_acknowledgements),
        cmocka_unit_test(invented_duplicates),
        cmocka_unit_test(selective_lies),
        cmocka_unit_test(one_address_wants_everything),
        cmocka_unit_test(a_reconnect_storm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
