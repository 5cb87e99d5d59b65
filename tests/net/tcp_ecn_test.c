/* SPDX-License-Identifier: Apache-2.0
 *
 * Explicit congestion notification (RFC 3168) through all of TCP: who agrees to it, what may be
 * marked, who echoes, who slows down and how often. Scripts for single segments, two stacks with a
 * marking router between them for the whole. */
#include "net_pair.h"
#include "tcp_script.h"

static struct script script;

/* 6.1.1: both bits of the SYN ask; we agree when we may and when a timestamp remembers it. */
static void agreement_needs_both_bits_and_a_memory(void **state)
{
    (void)state;
    for (uint32_t variant = 0; variant < 16; variant++) {
        script_open(&script);
        script.options.has_ecn = (variant & 1) != 0;
        script.has_timestamps = (variant & 2) != 0;
        script_start(&script);
        uint8_t octets[TCP_TIMESTAMPS_SIZE];
        tcp_options_write_timestamps(octets, 5000, 0);
        uint8_t flags = TCP_SYN;
        flags |= (variant & 4) != 0 ? TCP_ECE : 0;
        flags |= (variant & 8) != 0 ? TCP_CWR : 0;
        script.irs = 1000;
        script_input_raw(&script, (struct tcp_frame){
                                      .seq = 999,
                                      .flags = flags,
                                      .options = bytes_of(octets, (variant & 2) != 0 ? 12 : 0)});
        script_turn(&script);
        struct sent sent = {0};
        assert_true(script_next(&script, &sent));
        bool is_agreed = variant == 15;
        assert_int_equal(sent.flags, TCP_SYN | TCP_ACK | (is_agreed ? TCP_ECE : 0));
        assert_int_equal(sent.ecn, 0); /* a SYN-ACK is not to be marked */
        script.iss = sent.seq + 1;
        script_input(&script, TCP_ACK, 0, 0, BYTES(""));
        assert_int_equal(script_event_count(&script, NET_ACCEPTED), 1);
        uint32_t conn = script.events.items[0].conn;
        assert_int_equal((script.net->rows[conn].flags & TCP_ROW_ECN) != 0, is_agreed);
        script_close(&script);
    }
}

static void accept_with_ecn(void)
{
    script_open(&script);
    script.options.has_ecn = true;
    script.has_timestamps = true;
    script.has_ecn = true;
    script_start(&script);
    script_accept(&script);
}

/* 6.1.3: a mark is echoed on every segment until the peer says that it slowed down; the segment
 * that says so may be marked itself. */
static void a_mark_is_echoed_until_the_peer_slows_down(void **state)
{
    (void)state;
    accept_with_ecn();
    script.ecn = IP_ECN_CAPABLE;
    script_input(&script, TCP_ACK, 0, 0, BYTES("plain"));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 5, 0);
    script.ecn = IP_ECN_MARKED;
    script_input(&script, TCP_ACK, 5, 0, BYTES("marked"));
    script_turn(&script);
    script_expect(&script, TCP_ACK | TCP_ECE, 0, 11, 0);
    assert_int_equal(net_usage(script.net).hot, 0); /* no more than a bit of the row */
    script.ecn = IP_ECN_CAPABLE;
    script_input(&script, TCP_ACK, 11, 0, BYTES("plain"));
    script_turn(&script);
    script_expect(&script, TCP_ACK | TCP_ECE, 0, 16, 0);
    assert_int_equal(script_send(&script, 0, 10), ERROR_NONE);
    script_turn(&script);
    script_expect(&script, TCP_ACK | TCP_ECE, 0, 16, 10); /* octets of ours say it as well */
    script_input(&script, TCP_ACK | TCP_CWR, 16, 10, BYTES("slower"));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 10, 22, 0);
    script.ecn = IP_ECN_MARKED;
    script_input(&script, TCP_ACK | TCP_CWR, 22, 10, BYTES("again"));
    script_turn(&script);
    script_expect(&script, TCP_ACK | TCP_ECE, 10, 27, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_ECN_MARKS), 2);
    script_close(&script);
}

/* 6.1.4, 6.1.5: marks on acknowledgements without octets and on segments outside of the window say
 * nothing; nor do any to who has not agreed. */
static void other_marks_say_nothing(void **state)
{
    (void)state;
    accept_with_ecn();
    script.ecn = IP_ECN_MARKED;
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    script_input(&script, TCP_ACK, 60000, 0, BYTES("far"));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_ECN_MARKS), 0);
    script_close(&script);
    script_open(&script);
    script_start(&script);
    script_accept(&script);
    script.ecn = IP_ECN_MARKED;
    script_input(&script, TCP_ACK | TCP_ECE, 0, 0, BYTES("marked"));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 6, 0);
    script_close(&script);
}

/* 6.1.4 to 6.1.6: only octets that leave for the first time may be marked; no acknowledgement, no
 * retransmission, no probe of a shut window. */
static void only_new_octets_may_be_marked(void **state)
{
    (void)state;
    accept_with_ecn();
    assert_int_equal(script_send(&script, 0, 10), ERROR_NONE);
    script_turn(&script);
    struct sent sent = {0};
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.ecn, IP_ECN_CAPABLE);
    script_advance(&script, 3 * NS_PER_SECOND);
    for (uint32_t count = 0; script_next(&script, &sent); count++) {
        assert_int_equal(sent.payload.size, 10);
        assert_int_equal(sent.ecn, 0);
    }
    script_input(&script, TCP_ACK, 0, 10, BYTES("x"));
    script_turn(&script);
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.payload.size, 0);
    assert_int_equal(sent.ecn, 0);
    script.window = 0;
    script_input(&script, TCP_ACK, 1, 10, BYTES("y"));
    script_turn(&script);
    assert_true(script_next(&script, &sent));
    assert_int_equal(script_send(&script, 10, 10), ERROR_NONE);
    script_turn(&script);
    script_expect_none(&script);
    script_advance(&script, 3 * NS_PER_SECOND);
    assert_true(script_next(&script, &sent));
    assert_int_equal(sent.payload.size, 1); /* the probe */
    assert_int_equal(sent.ecn, 0);
    tcp_abort(script.net, script.conn);
    script_turn(&script);
    script_turn(&script);
    script_close(&script);
}

/* 6.1.2: echoes of one window slow down once, and the next new octets say so once; the window after
 * it may slow down again. */
static void a_window_slows_down_once(void **state)
{
    (void)state;
    accept_with_ecn();
    const struct tcp_row *row = &script.net->rows[script.conn];
    uint32_t room = SCRIPT_MSS - TCP_TIMESTAMPS_SIZE;
    assert_int_equal(script_send(&script, 0, 10 * room), ERROR_NONE);
    script_turn(&script);
    struct sent sent = {0};
    while (script_next(&script, &sent))
        assert_int_equal(sent.flags & TCP_CWR, 0);
    assert_int_equal(script_send(&script, 10 * room, 40 * room), ERROR_NONE);
    const struct tcp_hot *hot = tcp_hot_of(script.net, row);
    uint32_t before = hot->cwnd;
    script_input(&script, TCP_ACK | TCP_ECE, 0, 2 * room, BYTES(""));
    uint32_t reduced = hot->cwnd;
    assert_in_range(reduced, before * 7 / 10, (before + 2 * room) * 7 / 10);
    assert_int_equal(hot->ssthresh, reduced);
    for (uint32_t i = 3; i <= 10; i++) {
        script_input(&script, TCP_ACK | TCP_ECE, 0, i * room, BYTES(""));
        script_turn(&script);
    }
    assert_int_equal(script_metric(&script, METRIC_TCP_ECN_REDUCTIONS), 1);
    assert_true(hot->cwnd >= reduced);
    uint32_t told = 0;
    uint32_t last = 10 * room;
    while (script_next(&script, &sent)) {
        if ((sent.flags & TCP_CWR) != 0)
            assert_int_equal(sent.seq, 10 * room); /* the first of the new ones */
        told += (sent.flags & TCP_CWR) != 0;
        last = sent.seq + (uint32_t)sent.payload.size;
    }
    assert_int_equal(told, 1);
    assert_true(last > 11 * room);
    script_input(&script, TCP_ACK | TCP_ECE, 0, 11 * room, BYTES("")); /* marked once more */
    assert_int_equal(script_metric(&script, METRIC_TCP_ECN_REDUCTIONS), 2);
    script_close(&script);
}

/* ---- the opener ---- */

static struct sent connect_peer(uint32_t syns)
{
    script_open(&script);
    script.options.has_ecn = true;
    script_start(&script);
    script_accept(&script); /* teaches the neighbour */
    script.net->tcp->is_isn_fixed = true;
    script.net->tcp->isn_fixed = 5000;
    script.conn =
        tcp_connect(script.net, net_address_of_ipv4(PEER_IPV4), PEER_PORT, script.now_ns);
    script.iss = 5001;
    script.irs = 70001;
    script_turn(&script);
    struct sent sent = {0};
    assert_true(script_next(&script, &sent));
    for (uint32_t i = 1; i < syns; i++) {
        script_advance(&script, 1100 * NS_PER_MS);
        assert_true(script_next(&script, &sent));
    }
    return sent;
}

static bool answer(uint8_t flags)
{
    script_input_raw(&script, (struct tcp_frame){.port = tcp_local_port(script.net, script.conn),
                                                 .seq = 70000,
                                                 .ack = 5001,
                                                 .flags = flags});
    assert_int_equal(script_event_count(&script, NET_CONNECTED), 1);
    return (script.net->rows[script.conn].flags & TCP_ROW_ECN) != 0;
}

/* 6.1.1: our SYN asks; ECE alone agrees, both bits are a reflection of ours; a SYN sent again does
 * not ask (6.1.1.1), and then nothing agrees. */
static void an_opener_asks_once(void **state)
{
    (void)state;
    const struct {
        uint32_t syns;
        uint8_t asked;
        uint8_t answer;
        bool is_agreed;
    } rows[] = {
        {1, TCP_ECE | TCP_CWR, TCP_ECE, true},
        {1, TCP_ECE | TCP_CWR, 0, false},
        {1, TCP_ECE | TCP_CWR, TCP_ECE | TCP_CWR, false},
        {2, 0, TCP_ECE, false},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct sent syn = connect_peer(rows[i].syns);
        assert_int_equal(syn.flags, TCP_SYN | rows[i].asked);
        assert_int_equal(syn.ecn, 0);
        uint8_t flags = (uint8_t)(TCP_SYN | TCP_ACK | rows[i].answer);
        assert_int_equal(answer(flags), rows[i].is_agreed);
        script_close(&script);
    }
}

/* ---- two stacks ---- */

static struct pair pair;

static bool has_all(const struct pair *both)
{
    return both->ends[1].flows[both->ends[1].accepted_last].received == 600000;
}

/* A router that marks instead of dropping: all arrives, nothing is sent twice, both sides of the
 * conversation see as many marks as there were, and the window comes down, at most once a round
 * trip. Where either end will not have it nothing is marked. */
static void a_marking_router_slows_without_loss(void **state)
{
    (void)state;
    for (uint32_t variant = 0; variant < 8; variant++) {
        struct pair_options options = pair_defaults();
        options.seed = variant + 1;
        options.has_ecn[0] = (variant & 1) != 0;
        options.has_ecn[1] = (variant & 2) != 0;
        options.congestion = (variant & 4) != 0 ? NET_NEWRENO : NET_CUBIC;
        pair_open(&pair, &options);
        pair.mark_every = 40;
        uint32_t accepted;
        uint64_t started_ns = pair.now_ns;
        uint32_t conn = pair_connect(&pair, 600000, &accepted);
        assert_true(pair_run_until(&pair, has_all, 60 * NS_PER_SECOND));
        pair_run_for(&pair, 30 * NS_PER_MS);
        uint64_t trips = (pair.now_ns - started_ns) / (20 * NS_PER_MS) + 1;
        bool is_agreed = (variant & 3) == 3;
        assert_int_equal(pair.marked_count != 0, is_agreed);
        assert_int_equal(end_metric(&pair.ends[1], METRIC_TCP_ECN_MARKS), pair.marked_count);
        int64_t reductions = end_metric(&pair.ends[0], METRIC_TCP_ECN_REDUCTIONS);
        assert_int_equal(reductions != 0, is_agreed);
        assert_true(reductions <= (int64_t)trips);
        assert_true(reductions <= pair.marked_count);
        assert_int_equal(end_metric(&pair.ends[0], METRIC_TCP_RETRANSMITS), 0);
        const struct tcp_row *row = &pair.ends[1].net->rows[accepted];
        if (pair.capable_count % pair.mark_every > 20) /* the last CWR had time to arrive */
            assert_int_equal(row->flags & TCP_ROW_ECN_ECHO, 0);
        tcp_close(pair.ends[0].net, conn);
        pair_run_for(&pair, 130 * NS_PER_SECOND);
        pair_close(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreement_needs_both_bits_and_a_memory),
        cmocka_unit_test(a_mark_is_echoed_until_the_peer_slows_down),
        cmocka_unit_test(other_marks_say_nothing),
        cmocka_unit_test(only_new_octets_may_be_marked),
        cmocka_unit_test(a_window_slows_down_once),
        cmocka_unit_test(an_opener_asks_once),
        cmocka_unit_test(a_marking_router_slows_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
