/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of RFC 9293 3.10.7.4, segment by segment: every synchronized state against every kind
 * of segment that must not move it, then what text and acknowledgements do. */
#include "tcp_script.h"

static struct script script;

static void open_script(void)
{
    script_open(&script);
    script_start(&script);
    script_accept(&script);
}

/* ---- every state against every segment that is not welcome ---- */

static void to_established(void)
{
    open_script();
}

static void to_fin_wait_1(void)
{
    open_script();
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 0, 0);
}

static void to_fin_wait_2(void)
{
    to_fin_wait_1();
    script_input(&script, TCP_ACK, 0, 1, BYTES(""));
    script_turn(&script);
}

static void to_close_wait(void)
{
    open_script();
    script_input(&script, TCP_FIN | TCP_ACK, 0, 0, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 1, 0);
}

static void to_closing(void)
{
    to_fin_wait_1();
    script_input(&script, TCP_FIN | TCP_ACK, 0, 0, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 1, 1, 0);
}

static void to_last_ack(void)
{
    to_close_wait();
    tcp_close(script.net, script.conn);
    script_turn(&script);
    script_expect(&script, TCP_FIN | TCP_ACK, 0, 1, 0);
}

struct state_row {
    const char *name;
    void (*enter)(void);
    uint32_t rcv_nxt;
    uint32_t snd_nxt;
};

static const struct state_row states[] = {
    {"ESTABLISHED", to_established, 0, 0}, {"FIN-WAIT-1", to_fin_wait_1, 0, 1},
    {"FIN-WAIT-2", to_fin_wait_2, 0, 1},   {"CLOSE-WAIT", to_close_wait, 1, 0},
    {"CLOSING", to_closing, 1, 1},         {"LAST-ACK", to_last_ack, 1, 1},
};

static void enter(const struct state_row *state)
{
    state->enter();
    assert_string_equal(tcp_state_name(script.net, script.conn), state->name);
    script.now_ns += NS_PER_SECOND / 2; /* the challenge limit has nothing against it */
}

static void assert_unmoved(const struct state_row *state, enum metric reason)
{
    assert_int_equal(script.events.count, 0);
    assert_string_equal(tcp_state_name(script.net, script.conn), state->name);
    assert_int_equal(script_metric(&script, reason), 1);
    assert_int_equal(script.net->rows[script.conn].rcv_nxt - script.irs, state->rcv_nxt);
}

static void expect_ack(const struct state_row *state)
{
    script_expect(&script, TCP_ACK, state->snd_nxt, state->rcv_nxt, 0);
    script_expect_none(&script);
}

/* RFC 5961 3.2: only the exact sequence number resets; one in the window is challenged, one
 * outside is dropped in silence. */
static void resets_must_be_exact(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(states); i++) {
        const struct state_row *row = &states[i];
        enter(row);
        script_input(&script, TCP_RST, row->rcv_nxt + 1, 0, BYTES(""));
        assert_unmoved(row, METRIC_TCP_DROP_RESET);
        script_turn(&script);
        expect_ack(row);
        script_input(&script, TCP_RST, row->rcv_nxt - 1, 0, BYTES(""));
        script_input(&script, TCP_RST, row->rcv_nxt + 20000, 0, BYTES(""));
        assert_string_equal(tcp_state_name(script.net, script.conn), row->name);
        script_turn(&script);
        script_expect_none(&script);
        script_input(&script, TCP_RST, row->rcv_nxt, 0, BYTES(""));
        assert_int_equal(script_event_count(&script, NET_CLOSED), 1);
        assert_int_equal(script_why(&script), NET_CLOSE_RESET);
        script_turn(&script);
        script_expect_none(&script);
        assert_int_equal(net_usage(script.net).connections, 0);
        script_close(&script);
    }
}

/* RFC 5961 4.2: a SYN in a synchronized state is challenged, wherever it lies. */
static void a_syn_is_challenged(void **state)
{
    (void)state;
    const uint32_t seqs[] = {0, 5, 100000, 0x80000000u, 0xfffffff0u};
    for (uint32_t i = 0; i < ARRAY_COUNT(states) * ARRAY_COUNT(seqs); i++) {
        const struct state_row *row = &states[i / ARRAY_COUNT(seqs)];
        enter(row);
        uint32_t seq = seqs[i % ARRAY_COUNT(seqs)];
        script_input(&script, TCP_SYN, row->rcv_nxt + seq, 0, BYTES(""));
        assert_unmoved(row, seq <= 5 ? METRIC_TCP_DROP_SYN : METRIC_TCP_DROP_SEQUENCE);
        script_turn(&script);
        expect_ack(row);
        assert_int_equal(script_metric(&script, METRIC_TCP_CHALLENGE_ACKS), 1);
        script_close(&script);
    }
}

/* RFC 5961 5.2: acknowledgements of what was never sent, or far too old, are challenged. */
static void absurd_acknowledgements_are_challenged(void **state)
{
    (void)state;
    const uint32_t acks[] = {1, 100000, 0x7fffffff, (uint32_t)-70000};
    for (uint32_t i = 0; i < ARRAY_COUNT(states) * ARRAY_COUNT(acks); i++) {
        const struct state_row *row = &states[i / ARRAY_COUNT(acks)];
        enter(row);
        script_input(&script, TCP_ACK, row->rcv_nxt, row->snd_nxt + acks[i % ARRAY_COUNT(acks)],
                     BYTES("evil"));
        assert_unmoved(row, METRIC_TCP_DROP_ACK);
        script_turn(&script);
        expect_ack(row);
        script_close(&script);
    }
}

/* Step 5, first line: no ACK bit, no business. */
static void a_segment_without_ack_is_dropped(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(states); i++) {
        enter(&states[i]);
        struct tcp_segment segment = {
            .key = tcp_row_key(&script.net->rows[script.conn]),
            .seq = script.irs + states[i].rcv_nxt,
            .flags = TCP_PSH,
            .payload = BYTES("odd"),
        };
        script.events.count = 0;
        tcp_input_open(script.net, &segment, script.conn, &script.events);
        assert_unmoved(&states[i], METRIC_TCP_DROP_NO_ACK);
        script_turn(&script);
        script_expect_none(&script);
        script_close(&script);
    }
}

/* Step 1: octets outside the window are answered with an ACK at once, each time; what carries none
 * is answered at most twice a second, so that acknowledgements cannot go round for ever. */
static void what_lies_outside_the_window_is_answered(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(states); i++) {
        const struct state_row *row = &states[i];
        enter(row);
        for (uint32_t n = 0; n < 3; n++) {
            script_input(&script, TCP_ACK, row->rcv_nxt - 3, row->snd_nxt, BYTES("old"));
            script_turn(&script);
            expect_ack(row);
            script_input(&script, TCP_ACK, row->rcv_nxt + 20000, row->snd_nxt, BYTES("far"));
            script_turn(&script);
            expect_ack(row);
        }
        for (uint32_t n = 0; n < 10; n++)
            script_input(&script, TCP_ACK, row->rcv_nxt - 1, row->snd_nxt, BYTES(""));
        script_turn(&script);
        expect_ack(row);
        assert_string_equal(tcp_state_name(script.net, script.conn), row->name);
        script_close(&script);
    }
}

/* ---- text ---- */

static void assert_received(const char *text)
{
    assert_int_equal(script.received_size, strlen(text));
    assert_memory_equal(script.received, text, strlen(text));
}

/* In order, on a parked connection: octets rise, no extension is borrowed, and a burst gets one
 * acknowledgement at its end. */
static void a_burst_is_acknowledged_once(void **state)
{
    (void)state;
    open_script();
    script_input(&script, TCP_ACK, 0, 0, BYTES("one "));
    script_input(&script, TCP_ACK, 4, 0, BYTES("two "));
    script_input(&script, TCP_ACK | TCP_PSH, 8, 0, BYTES("three"));
    script_expect_none(&script);
    assert_int_equal(net_usage(script.net).hot, 0);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 13, 0);
    script_expect_none(&script);
    assert_received("one two three");
    script_close(&script);
}

/* Ahead of a gap: a duplicate ACK for each, and all of it in order once the gap closes. */
static void a_gap_holds_back_what_follows(void **state)
{
    (void)state;
    open_script();
    script_input(&script, TCP_ACK, 5, 0, BYTES("fghij"));
    net_release(script.net, script.now_ns);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    script_input(&script, TCP_ACK, 12, 0, BYTES("mno"));
    script_input(&script, TCP_ACK, 8, 0, BYTES("ijklm")); /* overlaps both */
    net_release(script.net, script.now_ns);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    assert_int_equal(script.received_size, 0);
    assert_true(net_usage(script.net).reorder_bytes > 0);
    script_input(&script, TCP_ACK, 0, 0, BYTES("abcde"));
    assert_received("abcdefghijklmno");
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 15, 0);
    assert_int_equal(net_usage(script.net).reorder_bytes, 0);
    script_advance(&script, 3 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).hot, 0); /* parked again */
    script_close(&script);
}

/* A FIN ahead of a gap waits for its turn. */
static void a_fin_waits_for_the_gap_before_it(void **state)
{
    (void)state;
    open_script();
    script_input(&script, TCP_FIN | TCP_ACK, 5, 0, BYTES("fgh"));
    assert_int_equal(script_event_count(&script, NET_END), 0);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    script_input(&script, TCP_ACK, 0, 0, BYTES("abcde"));
    assert_received("abcdefgh");
    assert_int_equal(script_event_count(&script, NET_END), 1);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 9, 0);
    assert_string_equal(tcp_state_name(script.net, script.conn), "CLOSE-WAIT");
    script_close(&script);
}

/* Half old, half new: only the new half rises. Past the window: cut off. */
static void segments_are_cut_to_the_window(void **state)
{
    (void)state;
    open_script();
    script_input(&script, TCP_ACK, 0, 0, BYTES("abcd"));
    script_input(&script, TCP_ACK, 2, 0, BYTES("XXef"));
    assert_received("abcdef");
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 6, 0);
    uint8_t octets[1000];
    memset(octets, 'z', sizeof octets);
    for (uint32_t seq = 6; seq < 20006; seq += 1000) {
        script.received_size = 0;
        script_input(&script, TCP_ACK, seq, 0, bytes_of(octets, sizeof octets));
    }
    /* 20,000 octets were promised after the last ACK, and no more are taken in this turn. */
    script.received_size = 0;
    script_input(&script, TCP_ACK, 20006, 0, bytes_of(octets, sizeof octets));
    assert_int_equal(script.received_size, 0);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 20006, 0);
    script_close(&script);
}

/* After its FIN a peer has no more to say. */
static void text_after_fin_is_dropped(void **state)
{
    (void)state;
    to_close_wait();
    script_input(&script, TCP_ACK, 1, 0, BYTES("more"));
    assert_int_equal(script.events.count, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_AFTER_FIN), 1);
    script_close(&script);
}

/* RFC 7323 5: an old timestamp drops the segment, whatever its sequence number; after 24 days of
 * quiet the memory of it counts no more. */
static void old_timestamps_are_refused(void **state)
{
    (void)state;
    script_open(&script);
    script.has_timestamps = true;
    script_start(&script);
    script_accept(&script);
    script.peer_ts += 100;
    script_input(&script, TCP_ACK, 0, 0, BYTES("new"));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 3, 0);
    script.peer_ts -= 50;
    script_input(&script, TCP_ACK, 3, 0, BYTES("old"));
    assert_int_equal(script.events.count, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_PAWS), 1);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 3, 0);
    script.now_ns += 25 * 86400 * NS_PER_SECOND;
    script_input(&script, TCP_ACK, 3, 0, BYTES("late"));
    assert_received("newlate");
    script_close(&script);
}

/* With the extension pool empty an out-of-order segment is dropped and acknowledged as missing. */
static void without_an_extension_a_gap_is_not_kept(void **state)
{
    (void)state;
    script_open(&script);
    script.options.hot_max = 1;
    script_start(&script);
    script_accept(&script);
    uint32_t other = pool_take(&script.net->tcp->hot_pool);
    script_input(&script, TCP_ACK, 5, 0, BYTES("later"));
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_HOT_EMPTY), 1);
    pool_give(&script.net->tcp->hot_pool, other);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    script_input(&script, TCP_ACK, 0, 0, BYTES("first"));
    assert_received("first");
    script_close(&script);
}

/* ---- acknowledgements ---- */

/* RFC 5681 3.2: three duplicates resend the first segment, without waiting for the timer. */
static void three_duplicates_resend(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 5 * SCRIPT_MSS), ERROR_NONE);
    script_turn(&script);
    for (uint32_t i = 0; i < 5; i++)
        script_expect(&script, TCP_ACK, i * SCRIPT_MSS, 0, SCRIPT_MSS);
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    script_turn(&script);
    script_expect_none(&script);
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, SCRIPT_MSS);
    assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 1);
    /* A partial acknowledgement resends the next hole at once (RFC 6582). */
    script_input(&script, TCP_ACK, 0, 2 * SCRIPT_MSS, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 2 * SCRIPT_MSS, 0, SCRIPT_MSS);
    script_input(&script, TCP_ACK, 0, 5 * SCRIPT_MSS, BYTES(""));
    script_turn(&script);
    script_expect_none(&script);
    assert_int_equal(script.blobs.used, 0);
    script_close(&script);
}

/* Karn (RFC 6298 3): what was sent twice measures nothing, by fast retransmit either. */
static void a_fast_retransmit_spoils_the_measurement(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 4 * SCRIPT_MSS), ERROR_NONE);
    script_turn(&script);
    script_advance(&script, 900 * NS_PER_MS);
    for (uint32_t i = 0; i < 3; i++)
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 1);
    script_advance(&script, 10 * NS_PER_MS);
    script_input(&script, TCP_ACK, 0, 4 * SCRIPT_MSS, BYTES(""));
    assert_int_equal(tcp_hot_of(script.net, &script.net->rows[script.conn])->srtt_us, 0);
    script_close(&script);
}

/* RFC 7323 2.3: both windows are scaled, ours in what is taken, theirs in what is sent. */
static void windows_are_scaled_both_ways(void **state)
{
    (void)state;
    script_open(&script);
    script.options.receive_window = 1 << 20;
    script.options.send_bytes_max = 1 << 20;
    script_start(&script);
    const uint8_t options[8] = {TCP_OPTION_MSS, 4, 5, 0xb4, TCP_OPTION_NOP,
                                TCP_OPTION_WINDOW_SCALE, 3, 4};
    (void)script_syn(&script, 999, bytes_of(options, sizeof options));
    script.window = 500; /* 8,000 */
    script_input(&script, TCP_ACK, 0, 0, BYTES("x"));
    script.conn = script.events.items[0].conn;
    script_turn(&script);
    struct sent sent = {0};
    assert_true(script_next(&script, &sent));
    assert_int_equal((uint32_t)sent.window << script.net->rows[script.conn].rcv_scale, 1 << 20);
    script_input(&script, TCP_ACK, 900000, 0, BYTES("far, but within"));
    assert_int_equal(script_metric(&script, METRIC_TCP_OUT_OF_ORDER), 1);
    script_turn(&script);
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.ack, 1);
    assert_int_equal(script_send(&script, 0, 100000), ERROR_NONE);
    script_turn(&script);
    uint32_t octets = 0;
    while (script_next(&script, &sent))
        octets += (uint32_t)sent.payload.size;
    assert_in_range(octets, 8000 - 1460, 8000);
    script_close(&script);
}

/* A window update, or an ACK that carries octets, is no duplicate. */
static void not_every_repeated_ack_is_a_duplicate(void **state)
{
    (void)state;
    open_script();
    assert_int_equal(script_send(&script, 0, 3 * SCRIPT_MSS), ERROR_NONE);
    script_turn(&script);
    for (uint32_t i = 0; i < 3; i++)
        script_expect(&script, TCP_ACK, i * SCRIPT_MSS, 0, SCRIPT_MSS);
    for (uint32_t i = 0; i < 5; i++) {
        script.window++;
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    }
    for (uint32_t i = 0; i < 5; i++)
        script_input(&script, TCP_ACK, i, 0, BYTES("x"));
    assert_int_equal(script_metric(&script, METRIC_TCP_FAST_RETRANSMITS), 0);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 3 * SCRIPT_MSS, 5, 0);
    script_close(&script);
}

/* Acknowledgement on a parked connection only moves the window. */
static void an_ack_on_a_parked_row_borrows_nothing(void **state)
{
    (void)state;
    open_script();
    script.window = 77;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script.net->rows[script.conn].snd_wnd, 77);
    assert_int_equal(net_usage(script.net).hot, 0);
    script_turn(&script);
    script_expect_none(&script);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resets_must_be_exact),
        cmocka_unit_test(a_syn_is_challenged),
        cmocka_unit_test(absurd_acknowledgements_are_challenged),
        cmocka_unit_test(a_segment_without_ack_is_dropped),
        cmocka_unit_test(what_lies_outside_the_window_is_answered),
        cmocka_unit_test(a_burst_is_acknowledged_once),
        cmocka_unit_test(a_gap_holds_back_what_follows),
        cmocka_unit_test(a_fin_waits_for_the_gap_before_it),
        cmocka_unit_test(segments_are_cut_to_the_window),
        cmocka_unit_test(text_after_fin_is_dropped),
        cmocka_unit_test(old_timestamps_are_refused),
        cmocka_unit_test(without_an_extension_a_gap_is_not_kept),
        cmocka_unit_test(three_duplicates_resend),
        cmocka_unit_test(a_fast_retransmit_spoils_the_measurement),
        cmocka_unit_test(windows_are_scaled_both_ways),
        cmocka_unit_test(not_every_repeated_ack_is_a_duplicate),
        cmocka_unit_test(an_ack_on_a_parked_row_borrows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
