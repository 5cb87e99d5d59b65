/* SPDX-License-Identifier: Apache-2.0
 *
 * Each memory class filled up by somebody, who has to go for it and in which order, and an honest
 * connection beside it all that notices nothing. */
#include "tcp_script.h"

#define STREAMS_MAX 64u

static struct script script;

/* The script speaks for one connection at a time; here are the others. */
static struct stream {
    uint32_t conn;
    uint32_t iss;
    uint32_t irs;
    uint16_t port;
} streams[STREAMS_MAX];
static uint32_t stream_count;
static bool is_closed[STREAMS_MAX]; /* by conn */

static void speak_for(const struct stream *stream)
{
    script.conn = stream->conn;
    script.iss = stream->iss;
    script.irs = stream->irs;
    script.port = stream->port;
}

static void skip_frames(void)
{
    struct sent sent;
    while (script_next(&script, &sent))
        continue;
}

static void note_closed(void)
{
    for (uint32_t i = 0; i < script.events.count; i++)
        if (script.events.items[i].kind == NET_CLOSED)
            is_closed[script.events.items[i].conn] = true;
}

static void wait_ms(uint32_t duration_ms)
{
    for (uint32_t i = 0; i < duration_ms; i++) {
        script.events.count = 0;
        script_advance(&script, NS_PER_MS);
        note_closed();
        skip_frames();
    }
}

static struct stream *accept_one(void)
{
    struct stream *stream = &streams[stream_count++];
    assert_true(stream_count <= STREAMS_MAX);
    script.port = (uint16_t)(PEER_PORT + stream_count);
    script.now_ns += NS_PER_MS;
    const uint8_t options[4] = {TCP_OPTION_MSS, 4, SCRIPT_MSS >> 8, SCRIPT_MSS & 255};
    (void)script_syn(&script, 999, bytes_of(options, sizeof options));
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_event_count(&script, NET_ACCEPTED), 1);
    script.conn = script.events.items[0].conn;
    script_turn(&script);
    note_closed();
    skip_frames();
    *stream = (struct stream){script.conn, script.iss, script.irs, script.port};
    return stream;
}

static void make_known(const struct stream *stream)
{
    tcp_set_liveness(script.net, stream->conn, NET_LIVENESS_KNOWN);
}

/* True when a SYN is answered now. */
static bool is_syn_answered(void)
{
    script.port++;
    script_input_raw(&script, (struct tcp_frame){.seq = 1, .flags = TCP_SYN});
    script_turn(&script);
    struct sent sent;
    bool is_answered = script_next(&script, &sent);
    skip_frames();
    return is_answered;
}

static void start(void)
{
    script_open(&script);
    stream_count = 0;
    memset(is_closed, 0, sizeof is_closed);
    script.options.shed_after_ns = 5 * NS_PER_SECOND;
    script.options.time_wait_max = 8;
    script.window = 0;
}

/* The stream's own extension, by octets that its peer does not take. */
static void burden(const struct stream *stream, uint32_t size)
{
    speak_for(stream);
    assert_int_equal(script_send(&script, 0, size), ERROR_NONE);
    script_turn(&script);
    skip_frames();
}

/* The honest one says something and is heard. */
static void assert_undisturbed(const struct stream *honest)
{
    static uint32_t said;
    speak_for(honest);
    uint32_t before = script.net->rows[honest->conn].rcv_nxt;
    said = before - script.irs;
    script_input(&script, TCP_ACK, said, 0, BYTES("hello"));
    script_turn(&script);
    assert_int_equal(script.net->rows[honest->conn].rcv_nxt, before + 5);
    assert_false(is_closed[honest->conn]);
    skip_frames();
}

/* Rows: newcomers of age make room for each other while somebody asks, oldest first; the young
 * and the known stay. */
static void full_rows_shed_newcomers_oldest_first(void **state)
{
    (void)state;
    start();
    script.options.connections_max = 24;
    script_start(&script);
    struct stream *honest = accept_one();
    make_known(honest);
    for (uint32_t i = 0; i < 20; i++)
        accept_one();
    wait_ms(4000);
    for (uint32_t i = 0; i < 3; i++)
        accept_one();
    wait_ms(2000);
    assert_int_equal(net_usage(script.net).connections, 24); /* nobody asked yet */
    assert_false(is_syn_answered());
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_ROWS_FULL), 1);
    wait_ms(30);
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), TCP_SHED_MAX);
    for (uint32_t i = 1; i <= 20; i++)
        assert_int_equal(is_closed[streams[i].conn], i <= TCP_SHED_MAX);
    for (uint32_t i = 21; i < 24; i++)
        assert_false(is_closed[streams[i].conn]);
    assert_true(is_syn_answered());
    assert_undisturbed(honest);
    script_close(&script);
}

/* Rows full of the young: they are let be, however many ask, until they are of age. */
static void the_young_are_let_be(void **state)
{
    (void)state;
    start();
    script.options.connections_max = 8;
    script_start(&script);
    for (uint32_t i = 0; i < 8; i++)
        accept_one();
    for (uint32_t i = 0; i < 200; i++) {
        assert_false(is_syn_answered());
        wait_ms(20);
    }
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), 0);
    wait_ms(2000);
    assert_false(is_syn_answered());
    wait_ms(20);
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), 8);
    assert_true(is_syn_answered());
    script_close(&script);
}

/* Rows full of the known: nobody has to go, whoever asks. */
static void the_known_do_not_go_for_a_syn(void **state)
{
    (void)state;
    start();
    script.options.connections_max = 8;
    script_start(&script);
    for (uint32_t i = 0; i < 8; i++)
        make_known(accept_one());
    wait_ms(10000);
    for (uint32_t i = 0; i < 100; i++) {
        assert_false(is_syn_answered());
        wait_ms(10);
    }
    assert_int_equal(net_usage(script.net).connections, 8);
    script_close(&script);
}

/* Extensions: SYNs are turned away first, then newcomers that hold one go, then the slowest
 * readers; who waits parked, new or not, and who is quick stay. */
static void short_extensions_shed_in_order(void **state)
{
    (void)state;
    start();
    script.options.hot_max = 20;
    script_start(&script);
    struct stream *honest = accept_one();
    struct stream *parked = accept_one();
    make_known(honest);
    for (uint32_t i = 0; i < 17; i++) {
        struct stream *stream = accept_one();
        if (i >= 4)
            make_known(stream);
    }
    for (uint32_t i = 2; i < 19; i++)
        burden(&streams[i], i == 18 ? 2000 : 100);
    assert_int_equal(net_usage(script.net).hot, 17); /* 85 % */
    wait_ms(20);
    assert_false(is_syn_answered());
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_SYN), 1);
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), 0);
    assert_undisturbed(honest);

    wait_ms(7000); /* lasting: short */
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), 4);
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_SLOW), 0);
    for (uint32_t i = 2; i < 6; i++)
        assert_true(is_closed[streams[i].conn]);
    assert_false(is_closed[parked->conn]);
    assert_true(is_syn_answered());
    assert_undisturbed(honest);

    for (uint32_t i = 0; i < 6; i++) {
        struct stream *stream = accept_one();
        make_known(stream);
        burden(stream, 100);
    }
    assert_int_equal(net_usage(script.net).hot, 19); /* 95 % */
    wait_ms(40);
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_SLOW), 1);
    assert_true(is_closed[streams[18].conn]); /* 2000 octets, for as long as the others' 100 */
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), 4);
    assert_undisturbed(honest);
    script_close(&script);
}

/* Send references: one peer that takes nothing of many small things goes; a quick one stays. */
static void short_references_shed_slow_readers(void **state)
{
    (void)state;
    start();
    script.options.send_references_max = 40;
    script_start(&script);
    struct stream *honest = accept_one();
    struct stream *greedy = accept_one();
    struct stream *modest = accept_one();
    make_known(honest);
    make_known(greedy);
    make_known(modest);
    burden(modest, 10);
    for (uint32_t i = 0; i < 37; i++)
        burden(greedy, 10);
    wait_ms(4900);
    assert_false(is_closed[greedy->conn]); /* too young a grief */
    wait_ms(1500);
    assert_true(is_closed[greedy->conn]);
    assert_false(is_closed[modest->conn]);
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_SLOW), 1);
    assert_int_equal(net_usage(script.net).send_references, 1);
    assert_undisturbed(honest);
    script_close(&script);
}

/* Octets out of order: the hoard is dropped, nobody is closed, nobody is turned away. */
static void hoarded_octets_are_dropped(void **state)
{
    (void)state;
    start();
    script.options.reorder_bytes_max = 40960;
    script_start(&script);
    struct stream *honest = accept_one();
    struct stream *greedy = accept_one();
    make_known(honest);
    make_known(greedy);
    speak_for(honest);
    script_input(&script, TCP_ACK, 100, 0, BYTES("later"));
    script_turn(&script);
    speak_for(greedy);
    static uint8_t octets[1000];
    for (uint32_t i = 0; i < 16; i++)
        script_input(&script, TCP_ACK, 10 + i * 1200, 0, bytes_of(octets, sizeof octets));
    script_turn(&script);
    skip_frames();
    assert_int_equal(net_usage(script.net).reorder_bytes, 17 * 2048);
    assert_true(tcp_pressure_fill(script.net, TCP_CLASS_REORDER) >= 85);
    wait_ms(5200);
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_REORDER), 1);
    assert_int_equal(net_usage(script.net).reorder_bytes, 2048);
    assert_true(is_syn_answered());
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_SYN), 0);
    assert_false(is_closed[greedy->conn]);
    speak_for(honest); /* and what it had kept ahead of a gap is still there */
    static uint8_t gap[100];
    script_input(&script, TCP_ACK, 0, 0, bytes_of(gap, sizeof gap));
    script_turn(&script);
    assert_int_equal(script.net->rows[honest->conn].rcv_nxt - script.irs, 105);
    script_close(&script);
}

/* An extension held by an octet out of order here and there is taken back as well. */
static void hoarders_of_extensions_lose_them(void **state)
{
    (void)state;
    start();
    script.options.hot_max = 8;
    script_start(&script);
    for (uint32_t i = 0; i < 8; i++) {
        struct stream *stream = accept_one();
        make_known(stream);
        speak_for(stream);
        script_input(&script, TCP_ACK, 100, 0, BYTES("x"));
        script_turn(&script);
        skip_frames();
    }
    assert_int_equal(net_usage(script.net).hot, 8);
    wait_ms(6500);
    assert_true(net_usage(script.net).hot < 8);
    assert_true(script_metric(&script, METRIC_TCP_SHED_REORDER) > 0);
    assert_int_equal(net_usage(script.net).connections, 8);
    script_close(&script);
}

/* TIME_WAIT: the oldest record goes, and that is all. */
static void time_wait_gives_up_its_oldest(void **state)
{
    (void)state;
    start();
    script.window = 0x2000;
    script_start(&script);
    struct stream *honest = accept_one();
    make_known(honest);
    for (uint32_t i = 0; i < 12; i++) {
        speak_for(accept_one());
        tcp_close(script.net, script.conn);
        script_turn(&script);
        script_input(&script, TCP_ACK | TCP_FIN, 0, 1, BYTES(""));
        script_turn(&script);
        skip_frames();
    }
    assert_int_equal(net_usage(script.net).time_wait, 8);
    assert_int_equal(tcp_pressure_fill(script.net, TCP_CLASS_TIME_WAIT), 100);
    wait_ms(20);
    assert_true(is_syn_answered());
    assert_int_equal(script_metric(&script, METRIC_TCP_FILL_TIME_WAIT), 100);
    assert_undisturbed(honest);
    script_close(&script);
}

/* Records of what was sent: a full pool shows in its gauge and is nobody's fault. */
static void records_of_what_was_sent_shed_nobody(void **state)
{
    (void)state;
    start();
    script.options.send_bytes_max = 200000;
    script.window = 0xffff;
    script_start(&script);
    struct stream *greedy = accept_one();
    burden(greedy, 100000);
    struct pool *records = &script.net->tcp->sent_pool;
    uint32_t taken[64];
    uint32_t count = 0;
    while (count < ARRAY_COUNT(taken) && records->used < records->count)
        taken[count++] = pool_take(records);
    if (records->used == records->count)
        assert_int_equal(tcp_pressure_fill(script.net, TCP_CLASS_SENT), 100);
    wait_ms(6000);
    assert_int_equal(script_metric(&script, METRIC_TCP_FILL_SENT),
                     tcp_pressure_fill(script.net, TCP_CLASS_SENT));
    assert_true(script_metric(&script, METRIC_TCP_FILL_SENT) > 0);
    assert_true(is_syn_answered());
    assert_false(is_closed[greedy->conn]);
    while (count > 0)
        pool_give(records, taken[--count]);
    script_close(&script);
}

/* The list of newcomers is a class of its own: when it is full, its oldest goes if it is of age,
 * and is forgotten if not. */
static void the_newcomers_have_a_ceiling(void **state)
{
    (void)state;
    start();
    script_start(&script);
    script.net->tcp->pressure.newcomer_max = 4;
    for (uint32_t i = 0; i < 4; i++)
        accept_one();
    accept_one();
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), 0);
    wait_ms(6000);
    make_known(&streams[1]);
    accept_one(); /* the first in the list is known: it is passed over */
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), 0);
    accept_one();
    wait_ms(2);
    assert_int_equal(script_metric(&script, METRIC_TCP_SHED_NEWCOMERS), 1);
    assert_true(is_closed[streams[2].conn]);
    assert_false(is_closed[streams[1].conn]);
    script_close(&script);
}

/* Switched off, a full class refuses and ends nobody. */
static void without_an_age_nothing_is_shed(void **state)
{
    (void)state;
    start();
    script.options.shed_after_ns = 0;
    script.options.hot_max = 4;
    script_start(&script);
    for (uint32_t i = 0; i < 4; i++)
        burden(accept_one(), 100);
    wait_ms(20000);
    assert_true(is_syn_answered());
    assert_int_equal(net_usage(script.net).connections, 4);
    assert_int_equal(net_usage(script.net).hot, 4);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_rows_shed_newcomers_oldest_first),
        cmocka_unit_test(the_young_are_let_be),
        cmocka_unit_test(the_known_do_not_go_for_a_syn),
        cmocka_unit_test(short_extensions_shed_in_order),
        cmocka_unit_test(short_references_shed_slow_readers),
        cmocka_unit_test(hoarded_octets_are_dropped),
        cmocka_unit_test(hoarders_of_extensions_lose_them),
        cmocka_unit_test(time_wait_gives_up_its_oldest),
        cmocka_unit_test(records_of_what_was_sent_shed_nobody),
        cmocka_unit_test(the_newcomers_have_a_ceiling),
        cmocka_unit_test(without_an_age_nothing_is_shed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
