/* SPDX-License-Identifier: Apache-2.0
 *
 * Path MTU by ICMP and by silence, and attackers who try the same. */
#include "tcp_script.h"

#include "icmp_frames.h"
#include "quote.h"
#include "tcp_path.h"

#define MSS 1460u

static struct script script;

static void input_error(const struct icmp_error *error)
{
    uint8_t octets[256];
    struct writer into = writer_of(octets, sizeof octets);
    write_icmp_error(&into, error);
    struct packet packet = fake_nic_frame(&script.nic, writer_bytes(&into), 0);
    script.events.count = 0;
    assert_int_equal(net_input(script.net, &packet, 1, script.now_ns, &script.events), 1);
}

static void too_big(uint32_t mtu, uint32_t seq)
{
    input_error(&(struct icmp_error){
        .type = ICMP_UNREACHABLE, .code = 4, .rest = mtu, .seq = script.iss + seq});
}

/* A connection of full segments, with `size` octets in flight. */
static void open_with(uint32_t size)
{
    const uint8_t options[4] = {TCP_OPTION_MSS, 4, MSS >> 8, MSS & 255};
    script_open(&script);
    script.window = 0xffff;
    script_start(&script);
    (void)script_syn(&script, 999, bytes_of(options, sizeof options));
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    script.conn = script.events.items[0].conn;
    script_turn(&script);
    if (size == 0)
        return;
    assert_int_equal(script_send(&script, 0, size), ERROR_NONE);
    script_turn(&script);
    for (uint32_t seq = 0; seq < size; seq += MSS)
        script_expect(&script, TCP_ACK, seq, 0, size - seq < MSS ? size - seq : MSS);
    script_expect_none(&script);
}

static uint16_t mss(void)
{
    return script.net->rows[script.conn].mss;
}

/* A router that wants smaller packets gets what is in flight at once, cut to fit, and the window
 * does not shrink for it. */
static void what_is_too_big_goes_again_smaller(void **state)
{
    (void)state;
    open_with(3 * MSS);
    uint32_t cwnd = tcp_hot_of(script.net, &script.net->rows[script.conn])->cwnd;
    too_big(1300, 0);
    script_turn(&script);
    assert_int_equal(mss(), 1260);
    for (uint32_t seq = 0; seq < 3 * MSS; seq += 1260)
        script_expect(&script, TCP_ACK, seq, 0, 3 * MSS - seq < 1260 ? 3 * MSS - seq : 1260);
    script_expect_none(&script);
    assert_true(tcp_hot_of(script.net, &script.net->rows[script.conn])->cwnd >= cwnd);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_MTU_TAKEN), 1);
    script_input(&script, TCP_ACK, 0, 3 * MSS, BYTES(""));
    assert_int_equal(net_usage(script.net).send_references, 0);
    script_close(&script);
}

/* A second error about the same flight, or one that names what we send already, changes nothing. */
static void an_mtu_never_rises(void **state)
{
    (void)state;
    open_with(MSS);
    too_big(1300, 0);
    too_big(1300, 0);
    too_big(1500, 0);
    too_big(65535, 0);
    assert_int_equal(mss(), 1260);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_MTU_TAKEN), 1);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_MTU_STALE), 3);
    script_close(&script);
}

/* RFC 1191 7: a router that names no MTU means the plateau below what it dropped. */
static void an_old_router_names_none(void **state)
{
    (void)state;
    open_with(MSS);
    too_big(0, 0);
    assert_int_equal(mss(), 1492 - 40);
    input_error(
        &(struct icmp_error){.type = ICMP_UNREACHABLE, .code = 4, .size = 1492, .seq = script.iss});
    assert_int_equal(mss(), 1006 - 40);
    script_close(&script);
}

/* The floor holds against an attacker on the path, and a peer's own smaller wish holds against
 * the floor. */
static void no_path_needs_less_than_the_floor(void **state)
{
    (void)state;
    open_with(MSS);
    too_big(68, 0);
    assert_int_equal(mss(), 536);
    script_close(&script);

    script_open(&script);
    script_start(&script);
    const uint8_t options[4] = {TCP_OPTION_MSS, 4, 1, 0};
    (void)script_syn(&script, 999, bytes_of(options, sizeof options));
    script_input(&script, TCP_ACK, 0, 0, BYTES(""));
    script.conn = script.events.items[0].conn;
    script_turn(&script);
    assert_int_equal(script_send(&script, 0, 256), ERROR_NONE);
    script_turn(&script);
    too_big(68, 0);
    assert_int_equal(mss(), 256);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_MTU_STALE), 1);
    script_close(&script);
}

/* RFC 8201 4: of IPv6 every path carries 1280 octets, whatever an error or silence says. */
static void no_ipv6_path_needs_less_than_1280(void **state)
{
    (void)state;
    script_open(&script);
    script_start(&script);
    struct tcp_key key = {far_ipv6, 40000, OUR_PORT, 0};
    uint32_t conn = net_row_open(script.net, &key, tcp_table_hash(&script.net->table, &key));
    struct tcp_row *row = &script.net->rows[conn];
    row->state = TCP_ESTABLISHED;
    row->mss = 1440;
    tcp_path_mtu(script.net, conn, 1400);
    assert_int_equal(row->mss, 1340);
    tcp_path_mtu(script.net, conn, 600);
    assert_int_equal(row->mss, 1220);
    tcp_path_mtu(script.net, conn, 0);
    assert_int_equal(row->mss, 1220);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_MTU_TAKEN), 2);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_MTU_STALE), 1);
    script_close(&script);
}

/* RFC 5927 4.1: a guess outside what is in flight is counted and nothing else: before it, past it,
 * and everything when nothing is. */
static void a_sequence_not_in_flight_counts_for_nothing(void **state)
{
    (void)state;
    open_with(2 * MSS);
    too_big(600, UINT32_MAX);
    too_big(600, 2 * MSS);
    too_big(600, 0x80000000u);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_NOT_IN_FLIGHT), 3);
    script_input(&script, TCP_ACK, 0, 2 * MSS, BYTES(""));
    too_big(600, 0);
    too_big(600, 2 * MSS);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_NOT_IN_FLIGHT), 5);
    assert_int_equal(mss(), MSS);
    script_close(&script);
}

/* RFC 5927 5.2: no error ends an open connection, whatever it is and however often. */
static void hard_errors_are_soft(void **state)
{
    (void)state;
    open_with(MSS);
    for (uint8_t code = 0; code < 16; code++)
        if (code != 4)
            input_error(
                &(struct icmp_error){.type = ICMP_UNREACHABLE, .code = code, .seq = script.iss});
    input_error(&(struct icmp_error){.type = ICMP_TIME_EXCEEDED, .seq = script.iss});
    input_error(&(struct icmp_error){.type = ICMP_PARAMETER_PROBLEM, .seq = script.iss});
    script_turn(&script);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_SOFT), 17);
    assert_string_equal(tcp_state_name(script.net, script.conn), "ESTABLISHED");
    script_input(&script, TCP_ACK, 0, MSS, BYTES(""));
    assert_int_equal(net_usage(script.net).send_references, 0);
    script_close(&script);
}

/* RFC 6633: source quench does not even slow us down. */
static void source_quench_is_ignored(void **state)
{
    (void)state;
    open_with(MSS);
    uint32_t cwnd = tcp_hot_of(script.net, &script.net->rows[script.conn])->cwnd;
    input_error(&(struct icmp_error){.type = ICMP_SOURCE_QUENCH, .seq = script.iss});
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_QUENCH), 1);
    assert_int_equal(tcp_hot_of(script.net, &script.net->rows[script.conn])->cwnd, cwnd);
    script_close(&script);
}

static uint32_t connect_out(void)
{
    script_open(&script);
    script_start(&script);
    struct net_address peer = net_address_of_ipv4(PEER_IPV4);
    neighbour_learn(script.net, 0, &peer, peer_mac);
    uint32_t conn = tcp_connect(script.net, peer, 80, script.now_ns);
    assert_int_not_equal(conn, POOL_NONE);
    script_turn(&script);
    return conn;
}

/* An attempt ends at a hard error about its SYN, and only there. */
static void a_hard_error_ends_an_attempt(void **state)
{
    (void)state;
    uint32_t conn = connect_out();
    struct icmp_error error = {.type = ICMP_UNREACHABLE,
                               .code = 1,
                               .remote_port = 80,
                               .local_port = script.net->rows[conn].local_port,
                               .seq = script.net->rows[conn].snd_nxt - 1};
    input_error(&error);
    error.code = 3;
    error.seq++;
    input_error(&error);
    assert_int_equal(script_event_count(&script, NET_CLOSED), 0);
    assert_string_equal(tcp_state_name(script.net, conn), "SYN-SENT");
    error.seq--;
    input_error(&error);
    script_turn(&script);
    assert_int_equal(script_why(&script), NET_CLOSE_REFUSED);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_ENDED), 1);
    script_turn(&script);
    script_close(&script);
}

/* What does not quote TCP of ours is dropped: other protocols, other sources, cut short; what
 * quotes a connection that is not there is counted. */
static void quotations_are_judged(void **state)
{
    (void)state;
    open_with(MSS);
    struct icmp_error error = {.type = ICMP_UNREACHABLE, .code = 4, .rest = 600, .seq = script.iss};
    struct icmp_error bad = error;
    bad.protocol = IP_PROTOCOL_UDP;
    input_error(&bad);
    bad = error;
    bad.source = PEER_IPV4;
    input_error(&bad);
    assert_int_equal(script_metric(&script, METRIC_NET_DROP_ICMP_ERROR), 2);
    bad = error;
    bad.remote_port = 1;
    input_error(&bad);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_NO_CONNECTION), 1);
    assert_int_equal(mss(), MSS);

    uint8_t octets[256];
    struct writer into = writer_of(octets, sizeof octets);
    write_icmp_error(&into, &error);
    for (size_t size = sizeof(struct icmp_header); size <= 36; size++) {
        struct icmp_quoted quoted;
        uint8_t exact[36];
        memcpy(exact, octets + NET_TCP_OFFSET, size);
        struct frame frame = {.kind = FRAME_ICMP, .icmp = bytes_of(exact + 0, size)};
        quote_read(&script.net->link, &frame, &quoted);
        assert_int_equal(quoted.verdict, size == 36 ? ICMP_TOO_BIG : ICMP_NOTHING);
    }
    script_close(&script);
}

/* A flood of errors costs a burst of look-ups and a thousand a second after it. */
static void a_flood_of_errors_is_bounded(void **state)
{
    (void)state;
    open_with(0);
    for (uint32_t i = 0; i < 1000; i++)
        too_big(600, i);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_NOT_IN_FLIGHT), ICMP_ERRORS_BURST);
    assert_int_equal(script_metric(&script, METRIC_NET_DROP_ICMP_ERROR_RATE),
                     1000 - ICMP_ERRORS_BURST);
    script_close(&script);
}

/* Full segments that vanish without a word get smaller after two timeouts, and again after two
 * more; then everything is tried that can be. */
static void silence_makes_segments_smaller(void **state)
{
    (void)state;
    open_with(3 * MSS);
    struct sent sent = {0};
    static const uint32_t sizes[] = {MSS, 1220, 1220, 536, 536, 536};
    for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        while (!script_next(&script, &sent))
            script_advance(&script, 10 * NS_PER_MS);
        assert_int_equal(sent.seq, 0);
        assert_int_equal(sent.payload.size, sizes[i]);
    }
    assert_int_equal(script_metric(&script, METRIC_TCP_BLACKHOLES), 2);
    script_input(&script, TCP_ACK, 0, 536, BYTES(""));
    script_turn(&script);
    assert_int_equal(mss(), 536); /* and so they stay */
    script_close(&script);
}

/* Where a full segment has arrived, two timeouts are loss: on a path that loses a twentieth they
 * come by themselves, and small segments would make it worse. Five say that the path changed. */
static void loss_is_not_taken_for_a_black_hole(void **state)
{
    (void)state;
    open_with(MSS);
    script_input(&script, TCP_ACK, 0, MSS, BYTES(""));
    script_turn(&script);
    assert_int_equal(script_send(&script, MSS, 3 * MSS), ERROR_NONE);
    script_turn(&script);
    struct sent sent = {0};
    while (script_next(&script, &sent))
        assert_int_equal(sent.payload.size, MSS);
    static const int64_t lowered[] = {0, 0, 0, 0, 1, 2};
    for (int64_t timeouts = 1; timeouts <= (int64_t)ARRAY_COUNT(lowered); timeouts++) {
        while (script_metric(&script, METRIC_TCP_TIMEOUTS) < timeouts)
            script_advance(&script, 10 * NS_PER_MS);
        assert_int_equal(script_metric(&script, METRIC_TCP_BLACKHOLES), lowered[timeouts - 1]);
    }
    script_close(&script);
}

/* Small segments that are lost say nothing about size. */
static void lost_small_segments_change_nothing(void **state)
{
    (void)state;
    open_with(100);
    script_advance(&script, 20 * NS_PER_SECOND);
    assert_true(script_metric(&script, METRIC_TCP_TIMEOUTS) >= 3);
    assert_int_equal(script_metric(&script, METRIC_TCP_BLACKHOLES), 0);
    assert_int_equal(mss(), MSS);
    script_close(&script);
}

/* One segment that is not full, and still larger than the path, gets through in the end: the only
 * one of a thin stream may be like that. */
static void a_vanishing_part_gets_through(void **state)
{
    (void)state;
    open_with(835);
    struct sent sent = {0};
    static const uint32_t sizes[] = {835, 835, 835, 536, 536};
    for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        while (!script_next(&script, &sent))
            script_advance(&script, 10 * NS_PER_MS);
        assert_int_equal(sent.seq, 0);
        assert_int_equal(sent.payload.size, sizes[i]);
    }
    assert_int_equal(script_metric(&script, METRIC_TCP_BLACKHOLES), 1);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_too_big_goes_again_smaller),
        cmocka_unit_test(an_mtu_never_rises),
        cmocka_unit_test(an_old_router_names_none),
        cmocka_unit_test(no_path_needs_less_than_the_floor),
        cmocka_unit_test(no_ipv6_path_needs_less_than_1280),
        cmocka_unit_test(a_sequence_not_in_flight_counts_for_nothing),
        cmocka_unit_test(hard_errors_are_soft),
        cmocka_unit_test(source_quench_is_ignored),
        cmocka_unit_test(a_hard_error_ends_an_attempt),
        cmocka_unit_test(quotations_are_judged),
        cmocka_unit_test(a_flood_of_errors_is_bounded),
        cmocka_unit_test(silence_makes_segments_smaller),
        cmocka_unit_test(loss_is_not_taken_for_a_black_hole),
        cmocka_unit_test(lost_small_segments_change_nothing),
        cmocka_unit_test(a_vanishing_part_gets_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
