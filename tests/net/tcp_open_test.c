/* SPDX-License-Identifier: Apache-2.0
 *
 * Beginnings: cookies leave nothing behind, resets answer what has no connection, and an active
 * opener believes only what acknowledges its SYN. */
#include "tcp_script.h"

static struct script script;

static void open_script(void)
{
    script_open(&script);
    script_start(&script);
}

static void abort_all(void)
{
    for (uint32_t conn = 0; conn < net_row_end(script.net); conn++)
        if (net_is_live(script.net, conn))
            tcp_abort(script.net, conn);
    script_turn(&script);
    script_turn(&script);
    assert_int_equal(net_usage(script.net).connections, 0);
}

/* 100,000 forged SYNs take no row, no extension and no memory, and an honest peer gets in. */
static void a_syn_flood_leaves_nothing(void **state)
{
    (void)state;
    open_script();
    uint64_t heap_before = heap_used_bytes(&script.heap);
    for (uint32_t i = 0; i < 100000; i++) {
        script_input_raw(&script, (struct tcp_frame){.source = 0x0b000001u + i,
                                                     .source_port = (uint16_t)(1024 + i % 60000),
                                                     .seq = i * 7919u,
                                                     .flags = TCP_SYN});
        if (i % 256 == 0)
            script_turn(&script);
    }
    script_turn(&script);
    assert_int_equal(script_metric(&script, METRIC_TCP_COOKIES_SENT), 100000);
    assert_int_equal(net_usage(script.net).connections, 0);
    assert_int_equal(net_usage(script.net).hot, 0);
    assert_int_equal(heap_used_bytes(&script.heap), heap_before);
    script.seen = script.nic.sent_count;
    script_accept(&script);
    abort_all();
    script_close(&script);
}

/* Guessed acknowledgements open nothing and are answered with resets, at a bounded rate. */
static void guessed_cookies_open_nothing(void **state)
{
    (void)state;
    open_script();
    for (uint32_t i = 0; i < 20000; i++) {
        script_input_raw(&script, (struct tcp_frame){.source = 0x0b000001u + i,
                                                     .seq = i * 7919u,
                                                     .ack = random_u32(&script.random),
                                                     .flags = TCP_ACK});
        if (i % 256 == 0)
            script_turn(&script);
    }
    assert_int_equal(script_metric(&script, METRIC_TCP_COOKIES_BAD), 20000);
    assert_int_equal(net_usage(script.net).connections, 0);
    assert_in_range(script_metric(&script, METRIC_TCP_RESETS_SENT), 1, NET_RESETS_BURST + 1);
    assert_true(script_metric(&script, METRIC_TCP_DROP_RESET_RATE) > 19000);
    script_turn(&script);
    script_close(&script);
}

static void flood_of_guesses(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        script_input_raw(&script, (struct tcp_frame){.source = 0x0b000001u + i,
                                                     .seq = i * 7919u,
                                                     .ack = random_u32(&script.random),
                                                     .flags = TCP_ACK});
        if (i % 256 == 0)
            script_turn(&script);
    }
    script_turn(&script);
    script.seen = script.nic.sent_count;
}

/* Guesses over the rate are not even looked at, so their number does not help; who echoes the
 * timestamp of a SYN-ACK gets in all the same, and who has none waits for the flood to ebb. */
static void guessing_faster_does_not_help(void **state)
{
    (void)state;
    for (uint32_t has_timestamps = 0; has_timestamps < 2; has_timestamps++) {
        script_open(&script);
        script.has_timestamps = has_timestamps != 0;
        script_start(&script);
        flood_of_guesses(NET_GUESSES_PER_SECOND + 1000);
        assert_int_equal(script_metric(&script, METRIC_TCP_COOKIES_BAD), NET_GUESSES_PER_SECOND);
        assert_int_equal(script_metric(&script, METRIC_TCP_DROP_COOKIE_RATE), 1000);
        if (has_timestamps == 0)
            script_advance(&script, 2 * NS_PER_MS);
        script_accept(&script);
        script.peer_ts++;
        script.our_ts -= 200000; /* an echo that no SYN-ACK had */
        script.port++;
        flood_of_guesses(1000);
        int64_t dropped = script_metric(&script, METRIC_TCP_DROP_COOKIE_RATE);
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        assert_int_equal(script_metric(&script, METRIC_TCP_DROP_COOKIE_RATE), dropped + 1);
        abort_all();
        script_close(&script);
    }
}

/* gvisor#11536: timestamps were agreed to, and the third segment has none. It opens the connection;
 * segments without them are taken in one that has them, too. */
static void missing_timestamps_are_forgiven(void **state)
{
    (void)state;
    script_open(&script);
    script.has_timestamps = true;
    script_start(&script);
    script_accept(&script);
    script.has_timestamps = false;
    script_input(&script, TCP_ACK, 0, 0, BYTES("plain"));
    assert_memory_equal(script.received, "plain", 5);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 5, 0);
    script.port++;
    uint8_t options[TCP_TIMESTAMPS_SIZE];
    tcp_options_write_timestamps(options, 5000, 0);
    (void)script_syn(&script, 999, bytes_of(options, sizeof options));
    script_input(&script, TCP_ACK, 0, 0, BYTES("first"));
    assert_int_equal(script_event_count(&script, NET_ACCEPTED), 1);
    assert_int_equal(script_event_count(&script, NET_DATA), 1);
    abort_all();
    script_close(&script);
}

/* What is offered is answered in kind: every combination of the options of a SYN, and the row that
 * comes of it. */
static void a_syn_is_answered_in_kind(void **state)
{
    (void)state;
    for (uint32_t variant = 0; variant < 8; variant++) {
        open_script();
        struct tcp_offer offer = {.mss = 1400, .has_sack = (variant & 1) != 0};
        offer.scale = (variant & 2) != 0 ? 7 : TCP_SCALE_NONE;
        struct tcp_options stamps = {.ts_value = 5000};
        script.has_timestamps = (variant & 4) != 0;
        uint8_t octets[TCP_OPTIONS_SIZE_MAX];
        uint32_t size =
            tcp_options_write_syn(octets, &offer, script.has_timestamps ? &stamps : NULL);
        struct sent sent = script_syn(&script, 999, bytes_of(octets, size));
        struct tcp_options ours;
        tcp_options_read(sent.options, &ours);
        assert_int_equal(ours.offer.mss, 1460);
        assert_int_equal(ours.offer.has_sack, offer.has_sack);
        assert_int_equal(ours.offer.scale == TCP_SCALE_NONE, offer.scale == TCP_SCALE_NONE);
        assert_int_equal(ours.has_timestamps, script.has_timestamps);
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        const struct tcp_row *row = &script.net->rows[script.events.items[0].conn];
        assert_int_equal((row->flags & TCP_ROW_SACK) != 0, offer.has_sack);
        assert_int_equal((row->flags & TCP_ROW_WINDOW_SCALE) != 0, (variant & 2) != 0);
        assert_int_equal((row->flags & TCP_ROW_TIMESTAMPS) != 0, script.has_timestamps);
        assert_int_equal(row->flags & TCP_ROW_ECN, 0);
        assert_int_equal(row->mss, 1400);
        abort_all();
        script_close(&script);
    }
}

/* The segment that brings the cookie may bring octets, and a FIN. */
static void the_first_segment_may_say_everything(void **state)
{
    (void)state;
    open_script();
    (void)script_syn(&script, 999, BYTES(""));
    script_input(&script, TCP_FIN | TCP_ACK, 0, 0, BYTES("hello"));
    assert_int_equal(script.events.count, 3);
    assert_int_equal(script.events.items[0].kind, NET_ACCEPTED);
    assert_int_equal(script.events.items[1].kind, NET_DATA);
    assert_int_equal(script.events.items[2].kind, NET_END);
    assert_memory_equal(script.received, "hello", 5);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 6, 0);
    abort_all();
    script_close(&script);
}

/* The third packet is lost, and the second segment of octets comes first: silence, not a reset;
 * the first, sent again, opens the connection. A stranger without a SYN is reset. */
static void a_lost_first_segment_is_waited_for(void **state)
{
    (void)state;
    open_script();
    (void)script_syn(&script, 999, BYTES(""));
    script_input(&script, TCP_ACK, 536, 0, BYTES("second"));
    script_turn(&script);
    script_expect_none(&script);
    script_input(&script, TCP_ACK, 0, 0, BYTES("first"));
    assert_int_equal(script.events.items[0].kind, NET_ACCEPTED);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 5, 0);
    script.port = PEER_PORT + 1;
    script_input(&script, TCP_ACK, 536, 77, BYTES("stranger"));
    script_turn(&script);
    script_expect(&script, TCP_RST, 77, 0, 0);
    abort_all();
    script_close(&script);
}

/* So it is with hundreds who come at once: the memory of one does not push out another's. */
static void many_lost_first_segments_are_waited_for(void **state)
{
    (void)state;
    open_script();
    for (uint16_t i = 0; i < 400; i++)
        script_input_raw(&script, (struct tcp_frame){.source_port = (uint16_t)(2000 + i),
                                                     .seq = i * 7919u,
                                                     .flags = TCP_SYN});
    for (uint16_t i = 0; i < 400; i++)
        script_input_raw(&script, (struct tcp_frame){.source_port = (uint16_t)(2000 + i),
                                                     .seq = i * 7919u + 537,
                                                     .ack = 77,
                                                     .flags = TCP_ACK});
    assert_int_equal(script_metric(&script, METRIC_TCP_COOKIES_SENT), 400);
    assert_int_equal(script_metric(&script, METRIC_TCP_COOKIES_BAD), 400);
    assert_int_equal(script_metric(&script, METRIC_TCP_RESETS_SENT), 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_RESET_RATE), 0);
    script_close(&script);
}

/* The same acknowledgement twice opens one connection. */
static void a_cookie_is_taken_once(void **state)
{
    (void)state;
    open_script();
    script_accept(&script);
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script.events.count, 0);
    assert_int_equal(net_usage(script.net).connections, 1);
    assert_int_equal(script_metric(&script, METRIC_TCP_ACCEPTED), 1);
    abort_all();
    script_close(&script);
}

/* CVE-2019-11479: whatever MSS a peer names, segments are no smaller than the floor. */
static void a_tiny_mss_meets_the_floor(void **state)
{
    (void)state;
    const uint16_t asked[] = {0, 1, 48, 88, 255, 256, 535, 536, 1460, 65535};
    for (uint32_t i = 0; i < ARRAY_COUNT(asked); i++) {
        open_script();
        uint8_t option[4] = {TCP_OPTION_MSS, 4, (uint8_t)(asked[i] >> 8), (uint8_t)asked[i]};
        (void)script_syn(&script, 999, bytes_of(option, sizeof option));
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        uint16_t mss = script.net->rows[script.events.items[0].conn].mss;
        assert_in_range(mss, TCP_MSS_MIN, 1460);
        if (asked[i] >= TCP_MSS_MIN)
            assert_true(mss <= asked[i]);
        abort_all();
        script_close(&script);
    }
}

/* RFC 9293 3.10.7.1: what has no connection is reset, with the numbers the peer expects; a reset
 * never is. */
static void strangers_are_reset(void **state)
{
    (void)state;
    open_script();
    struct sent sent = {0};
    script_input_raw(&script, (struct tcp_frame){.port = 99, .seq = 10, .flags = TCP_SYN});
    assert_true(script_next(&script, &sent) == false); /* gathered until the turn ends */
    script_turn(&script);
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.flags, TCP_RST | TCP_ACK);
    assert_int_equal(sent.seq, 0);
    assert_int_equal(sent.ack, 11);
    script_input_raw(
        &script, (struct tcp_frame){.port = 99, .seq = 10, .ack = 500, .flags = TCP_ACK | TCP_FIN});
    script_turn(&script);
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.flags, TCP_RST);
    assert_int_equal(sent.seq, 500);
    script_input_raw(&script, (struct tcp_frame){.port = 99, .seq = 10, .flags = TCP_RST});
    script_input_raw(&script, (struct tcp_frame){.seq = 10, .ack = 3, .flags = TCP_RST | TCP_ACK});
    script_turn(&script);
    script_expect_none(&script);
    script_input_raw(&script, (struct tcp_frame){.seq = 10, .ack = 3, .flags = TCP_SYN | TCP_ACK});
    script_turn(&script);
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.flags, TCP_RST);
    script_close(&script);
}

/* Over the accept rate the cookie's segment is dropped, and the same segment later is welcome. */
static void accepts_over_the_rate_wait(void **state)
{
    (void)state;
    script_open(&script);
    script.options.accepts_per_second = 10;
    script_start(&script);
    uint32_t accepted = 0;
    for (uint16_t i = 0; i < 50; i++) {
        script.port = (uint16_t)(20000 + i);
        (void)script_syn(&script, 999, BYTES(""));
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        accepted += script_event_count(&script, NET_ACCEPTED);
    }
    assert_in_range(accepted, 1, 5);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_ACCEPT_RATE), 50 - accepted);
    script.now_ns += NS_PER_SECOND;
    script_input(&script, TCP_ACK, 0, 0, BYTES("again"));
    assert_int_equal(script_event_count(&script, NET_ACCEPTED), 1);
    abort_all();
    script_close(&script);
}

/* With all rows taken a SYN is dropped in silence: the peer will ask again. */
static void full_rows_drop_syns(void **state)
{
    (void)state;
    script_open(&script);
    script.options.connections_max = 1;
    script_start(&script);
    script_accept(&script);
    script_input_raw(&script, (struct tcp_frame){.source_port = 7, .seq = 1, .flags = TCP_SYN});
    script_turn(&script);
    script_expect_none(&script);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_ROWS_FULL), 1);
    abort_all();
    script_close(&script);
}

/* ---- active ---- */

/* The peer's MAC is known and a SYN went out; relative numbers are set for the script. */
static void connect_peer(void)
{
    open_script();
    script_accept(&script); /* teaches the neighbour */
    script.net->tcp->is_isn_fixed = true;
    script.net->tcp->isn_fixed = 5000;
    script.conn = tcp_connect(script.net, net_address_of_ipv4(PEER_IPV4), PEER_PORT, script.now_ns);
    assert_int_not_equal(script.conn, POOL_NONE);
    script_turn(&script);
    script.iss = 5001;
    struct sent sent = {0};
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.flags, TCP_SYN);
    assert_int_equal(sent.seq, UINT32_MAX);
    struct tcp_options options;
    tcp_options_read(sent.options, &options);
    assert_int_equal(options.offer.mss, 1460);
    assert_true(options.has_timestamps);
    assert_true(options.offer.has_sack);
}

static void answer(uint8_t flags, uint32_t seq, uint32_t ack)
{
    script_input_raw(&script, (struct tcp_frame){.port = tcp_local_port(script.net, script.conn),
                                                 .seq = seq,
                                                 .ack = ack,
                                                 .flags = flags});
}

/* RFC 9293 3.10.7.3: SYN-ACK opens; the acknowledgement goes out; octets may follow. */
static void a_syn_ack_connects(void **state)
{
    (void)state;
    connect_peer();
    answer(TCP_SYN | TCP_ACK, 70000, 5001);
    script.irs = 70001;
    assert_int_equal(script_event_count(&script, NET_CONNECTED), 1);
    assert_int_equal(script_send(&script, 0, 10), ERROR_NONE);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 10);
    abort_all();
    script_close(&script);
}

/* Karn: which of two SYNs was answered nobody knows, so nothing is measured; one SYN measures. */
static void only_a_lone_syn_measures(void **state)
{
    (void)state;
    for (uint32_t syns = 1; syns <= 2; syns++) {
        connect_peer();
        script_advance(&script, (syns - 1) * 1100 * NS_PER_MS + 30 * NS_PER_MS);
        answer(TCP_SYN | TCP_ACK, 70000, 5001);
        assert_int_equal(script_event_count(&script, NET_CONNECTED), 1);
        const struct tcp_hot *hot = tcp_hot_of(script.net, &script.net->rows[script.conn]);
        assert_int_equal(hot->srtt_us, syns == 1 ? 30000 : 0);
        abort_all();
        script_close(&script);
    }
}

/* A wrong acknowledgement is reset and opens nothing; a blind reset does nothing; the right reset
 * refuses. */
static void only_the_right_answer_counts(void **state)
{
    (void)state;
    connect_peer();
    answer(TCP_SYN | TCP_ACK, 70000, 5002);
    script_turn(&script);
    script_expect(&script, TCP_RST, 1, 0, 0);
    answer(TCP_RST, 70000, 0);
    answer(TCP_RST | TCP_ACK, 70000, 5000);
    answer(TCP_ACK, 70000, 5001);
    assert_string_equal(tcp_state_name(script.net, script.conn), "SYN-SENT");
    answer(TCP_RST | TCP_ACK, 70000, 5001);
    assert_int_equal(script_why(&script), NET_CLOSE_REFUSED);
    script_turn(&script);
    script_expect_none(&script);
    abort_all();
    script_close(&script);
}

/* ---- both at once: RFC 9293 figure 8 ---- */

static void cross(uint32_t seq)
{
    script.irs = seq + 1;
    answer(TCP_SYN, seq, 0);
    script_turn(&script);
}

static uint32_t expect_syn_acks(void)
{
    struct sent sent = {0};
    uint32_t count = 0;
    for (; script_next(&script, &sent); count++) {
        assert_int_equal(sent.flags, TCP_SYN | TCP_ACK);
        assert_int_equal(sent.seq, UINT32_MAX);
        assert_int_equal(sent.ack, 0);
    }
    return count;
}

/* A SYN that meets ours is answered with a SYN-ACK of our number, and the peer's SYN-ACK opens. */
static void crossing_syns_connect(void **state)
{
    (void)state;
    connect_peer();
    cross(70000);
    assert_int_equal(expect_syn_acks(), 1);
    assert_string_equal(tcp_state_name(script.net, script.conn), "SYN-SENT");
    answer(TCP_SYN | TCP_ACK, 70000, 5001);
    assert_int_equal(script_event_count(&script, NET_CONNECTED), 1);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    abort_all();
    script_close(&script);
}

/* The peer never saw our SYN: for it our SYN-ACK ends the handshake, and what it sends next, octets
 * or none, ends it for us. An acknowledgement from outside of the window does not. */
static void the_answer_to_a_crossing_syn_may_be_all_it_takes(void **state)
{
    (void)state;
    connect_peer();
    cross(70000);
    assert_int_equal(expect_syn_acks(), 1);
    answer(TCP_ACK, 70000, 5001);
    answer(TCP_ACK, 70001 + 100000, 5001);
    assert_string_equal(tcp_state_name(script.net, script.conn), "SYN-SENT");
    script_input_raw(&script, (struct tcp_frame){.port = tcp_local_port(script.net, script.conn),
                                                 .seq = 70001,
                                                 .ack = 5001,
                                                 .flags = TCP_ACK,
                                                 .payload = BYTES("hello")});
    assert_int_equal(script_event_count(&script, NET_CONNECTED), 1);
    assert_memory_equal(script.received, "hello", 5);
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 5, 0);
    abort_all();
    script_close(&script);
}

/* Our SYN found no buffer and was never sent when the peer's comes: our SYN-ACK counts for it, and
 * the peer's acknowledgement of that is the handshake. */
static void a_syn_not_sent_yet_is_crossed_as_well(void **state)
{
    (void)state;
    open_script();
    script_accept(&script); /* teaches the neighbour */
    script.net->tcp->is_isn_fixed = true;
    script.net->tcp->isn_fixed = 5000;
    script.nic.refuses_take = true;
    script.conn = tcp_connect(script.net, net_address_of_ipv4(PEER_IPV4), PEER_PORT, script.now_ns);
    script.nic.refuses_take = false;
    script.iss = 5001;
    cross(70000);
    assert_int_equal(expect_syn_acks(), 1);
    answer(TCP_ACK, 70001, 5001);
    assert_int_equal(script_event_count(&script, NET_CONNECTED), 1);
    script_turn(&script);
    abort_all();
    script_close(&script);
}

/* A forged crossing SYN delays nobody: the one who acknowledges our SYN is believed, with its own
 * number and options. Repeated ones are answered twice a second. */
static void a_forged_crossing_syn_is_outbid(void **state)
{
    (void)state;
    connect_peer();
    for (uint32_t i = 0; i < 100; i++)
        cross(70000);
    assert_int_equal(expect_syn_acks(), 1);
    script.now_ns += 600 * NS_PER_MS;
    cross(70000);
    assert_int_equal(expect_syn_acks(), 1);
    answer(TCP_SYN | TCP_ACK, 90000, 5001);
    assert_int_equal(script_event_count(&script, NET_CONNECTED), 1);
    script.irs = 90001;
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    abort_all();
    script_close(&script);
}

/* A closed SYN_SENT is gone at once; with no extension nothing opens. */
static void an_opener_may_think_better_of_it(void **state)
{
    (void)state;
    connect_peer();
    tcp_close(script.net, script.conn);
    script.events.count = 0;
    script_turn(&script);
    assert_int_equal(script_why(&script), NET_CLOSE_ABORTED);
    script_turn(&script);
    while (pool_take(&script.net->tcp->hot_pool) != POOL_NONE)
        ;
    assert_int_equal(
        tcp_connect(script.net, net_address_of_ipv4(PEER_IPV4), PEER_PORT, script.now_ns),
        POOL_NONE);
    assert_int_equal(net_usage(script.net).connections, 1);
    net_destroy(&script.net);
    blob_table_fini(&script.blobs);
    trace_fini(&script.trace, &script.heap);
    arena_destroy(&script.arena);
}

/* While our address is being probed for a duplicate nothing is opened to the world from the
 * link-local one: nobody off the link could answer. To a link-local peer it is the right one. */
static void no_opening_from_a_link_local_source(void **state)
{
    (void)state;
    const struct net_address near = {{0xfe, 0x80, [15] = 9}};
    const struct net_address world = {{0x20, 0x01, 0x0d, 0xb8, [15] = 9}};
    script_open(&script);
    script.options.locals[1] =
        (struct net_local){.address = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}}, .prefix_bits = 64};
    script.options.local_count = 2;
    script_start(&script);
    for (uint32_t i = 0; i < script.net->link.local_count; i++)
        if (net_address_is_link_local(&script.net->link.locals[i].address))
            script.net->link.locals[i].state = LINK_READY;
    assert_int_equal(tcp_connect(script.net, world, PEER_PORT, script.now_ns), POOL_NONE);
    assert_int_equal(script_metric(&script, METRIC_NET_DROP_NO_ROUTE), 1);
    assert_int_not_equal(tcp_connect(script.net, near, PEER_PORT, script.now_ns), POOL_NONE);
    script.net->link.locals[1].state = LINK_READY;
    assert_int_not_equal(tcp_connect(script.net, world, PEER_PORT, script.now_ns), POOL_NONE);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_syn_flood_leaves_nothing),
        cmocka_unit_test(guessed_cookies_open_nothing),
        cmocka_unit_test(guessing_faster_does_not_help),
        cmocka_unit_test(missing_timestamps_are_forgiven),
        cmocka_unit_test(a_syn_is_answered_in_kind),
        cmocka_unit_test(the_first_segment_may_say_everything),
        cmocka_unit_test(a_lost_first_segment_is_waited_for),
        cmocka_unit_test(many_lost_first_segments_are_waited_for),
        cmocka_unit_test(a_cookie_is_taken_once),
        cmocka_unit_test(a_tiny_mss_meets_the_floor),
        cmocka_unit_test(strangers_are_reset),
        cmocka_unit_test(accepts_over_the_rate_wait),
        cmocka_unit_test(full_rows_drop_syns),
        cmocka_unit_test(a_syn_ack_connects),
        cmocka_unit_test(only_a_lone_syn_measures),
        cmocka_unit_test(only_the_right_answer_counts),
        cmocka_unit_test(crossing_syns_connect),
        cmocka_unit_test(the_answer_to_a_crossing_syn_may_be_all_it_takes),
        cmocka_unit_test(a_syn_not_sent_yet_is_crossed_as_well),
        cmocka_unit_test(a_forged_crossing_syn_is_outbid),
        cmocka_unit_test(an_opener_may_think_better_of_it),
        cmocka_unit_test(no_opening_from_a_link_local_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
