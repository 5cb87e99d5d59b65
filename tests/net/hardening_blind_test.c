/* SPDX-License-Identifier: Apache-2.0
 *
 * Attackers who do not see our packets and must guess, and attackers who want to learn or to have
 * us send: RFC 5961, RFC 5927, RFC 1337, CVE-2016-5696, SYN floods, cookie guessing. */
#include "hardening.h"
#include "icmp_frames.h"

#define CROWD 2000u

static struct script script;
static struct voice honest;

static void open_script(uint32_t connections_max)
{
    script_open(&script);
    script.options.connections_max = connections_max;
    script.options.connections_per_address = connections_max;
    script.has_timestamps = true;
    script_start(&script);
    honest = voice_open(&script, HONEST_PORT, SCRIPT_MSS);
}

static void close_script(void)
{
    voice_is_heard(&script, &honest);
    script_close(&script);
}

/* RFC 5961 3: a reset closes only with the very next sequence number; within the window it is
 * answered by a challenge, beyond it by nothing. */
static void a_guessed_reset_closes_nothing(void **state)
{
    (void)state;
    open_script(64);
    voice_use(&script, &honest);
    script_input(&script, TCP_RST, 1, 0, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    for (uint32_t i = 0; i < 1000; i++)
        script_input(&script, TCP_RST, 2 + i * 10, 0, BYTES(""));
    script_input(&script, TCP_RST, 100000, 0, BYTES(""));
    script_input(&script, TCP_RST, UINT32_MAX, 0, BYTES(""));
    script_turn(&script);
    script_expect_none(&script);
    assert_int_equal(script_metric(&script, METRIC_TCP_CHALLENGE_ACKS), 1);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_RESET), 1001);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_SEQUENCE), 2);
    assert_int_equal(script_metric(&script, METRIC_TCP_RESETS_RECEIVED), 0);
    close_script();
}

/* RFC 5961 4: nor does a SYN; one challenge in half a second is all it gets. */
static void a_syn_into_a_connection_closes_nothing(void **state)
{
    (void)state;
    open_script(64);
    voice_use(&script, &honest);
    for (uint32_t i = 0; i < 10; i++) {
        script_input(&script, TCP_SYN, i * 1000, 0, BYTES(""));
        script_turn(&script);
    }
    script_expect(&script, TCP_ACK, 0, 0, 0);
    script_expect_none(&script);
    script_advance(&script, NS_PER_SECOND);
    script_input(&script, TCP_SYN, 0, 0, BYTES(""));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_SYN), 11);
    assert_int_equal(script_metric(&script, METRIC_TCP_CHALLENGE_ACKS), 2);
    close_script();
}

/* RFC 5961 5: octets with a guessed acknowledgement are not taken: before the window the peer can
 * ever have offered, and past what was sent (the optimistic ACK). */
static void injected_octets_are_not_taken(void **state)
{
    (void)state;
    open_script(64);
    voice_use(&script, &honest);
    script_input(&script, TCP_ACK, 0, 1, BYTES("evil"));
    script_input(&script, TCP_ACK, 0, 0x7fffffff, BYTES("evil"));
    script_input(&script, TCP_ACK, 0, 0x80000000, BYTES("evil"));
    script_input(&script, TCP_ACK, 0, UINT32_MAX - UINT16_MAX, BYTES("evil"));
    assert_int_equal(script.received_size, 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_ACK), 4);
    script_turn(&script);
    skip_frames(&script);
    assert_int_equal(script_metric(&script, METRIC_TCP_CHALLENGE_ACKS), 1);
    close_script();
}

/* An optimistic ACK for what was not sent yet makes us send no faster. */
static void an_optimistic_ack_wins_nothing(void **state)
{
    (void)state;
    open_script(64);
    voice_use(&script, &honest);
    script.window = 0xffff;
    assert_int_equal(script_send(&script, 0, 60000), ERROR_NONE);
    script_turn(&script);
    uint32_t sent = script.net->rows[honest.conn].snd_nxt - honest.iss;
    uint32_t cwnd = tcp_hot_of(script.net, &script.net->rows[honest.conn])->cwnd;
    skip_frames(&script);
    for (uint32_t i = 1; i < 100; i++)
        script_input(&script, TCP_ACK, 0, sent + i * 500, BYTES(""));
    script_turn(&script);
    assert_int_equal(tcp_hot_of(script.net, &script.net->rows[honest.conn])->cwnd, cwnd);
    assert_int_equal(script.net->rows[honest.conn].snd_nxt - honest.iss, sent);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_ACK), 99);
    tcp_abort(script.net, honest.conn);
    script_turn(&script);
    script_close(&script);
}

/* CVE-2016-5696: all connections together get a budget of challenges whose size nobody can know,
 * so counting what is left of it tells nothing about the others. */
static void the_budget_of_challenges_cannot_be_counted(void **state)
{
    (void)state;
    static struct voice crowd[CROWD];
    open_script(CROWD + 1);
    for (uint32_t i = 0; i < CROWD; i++)
        crowd[i] = voice_open(&script, (uint16_t)(33000 + i), SCRIPT_MSS);
    int64_t counts[4];
    for (uint32_t round = 0; round < ARRAY_COUNT(counts); round++) {
        script_advance(&script, 1600 * NS_PER_MS);
        int64_t before = script_metric(&script, METRIC_TCP_CHALLENGE_ACKS);
        for (uint32_t i = 0; i < CROWD; i++) {
            voice_use(&script, &crowd[i]);
            script_input(&script, TCP_RST, 1, 0, BYTES(""));
            if (i % 64 == 0)
                net_release(script.net, script.now_ns);
        }
        counts[round] = script_metric(&script, METRIC_TCP_CHALLENGE_ACKS) - before;
        assert_in_range(counts[round], 500, 1499);
        for (uint32_t k = 0; k < round; k++)
            assert_int_not_equal(counts[round], counts[k]);
    }
    assert_true(script_metric(&script, METRIC_TCP_CHALLENGES_LIMITED) > 4 * 500);
    script_turn(&script);
    close_script();
}

/* Resets are never answered by resets, and closed ports answer at a bounded rate. */
static void closed_ports_answer_within_bounds(void **state)
{
    (void)state;
    open_script(64);
    script.port = 7;
    script_input_raw(&script, (struct tcp_frame){.seq = 1, .port = 81, .flags = TCP_RST});
    script_input_raw(&script, (struct tcp_frame){.seq = 1, .port = 81, .flags = TCP_RST | TCP_ACK});
    script_turn(&script);
    script_expect_none(&script);
    for (uint32_t i = 0; i < 1000; i++)
        script_input_raw(&script, (struct tcp_frame){.seq = i, .port = 81, .flags = TCP_SYN});
    script_turn(&script);
    assert_int_equal(script_metric(&script, METRIC_TCP_RESETS_SENT), NET_RESETS_BURST);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_RESET_RATE), 1000 - NET_RESETS_BURST);
    skip_frames(&script);
    close_script();
}

/* RFC 1337: a reset does not end a TIME_WAIT. */
static void time_wait_is_not_assassinated(void **state)
{
    (void)state;
    open_script(64);
    struct voice other = voice_open(&script, 32000, SCRIPT_MSS);
    tcp_close(script.net, other.conn);
    script_turn(&script);
    script_input(&script, TCP_ACK | TCP_FIN, 0, 1, BYTES(""));
    script_turn(&script);
    skip_frames(&script);
    assert_int_equal(net_usage(script.net).time_wait, 1);
    script_input(&script, TCP_RST, 1, 0, BYTES(""));
    script_input(&script, TCP_RST, 0, 0, BYTES(""));
    script_input(&script, TCP_RST, 5, 0, BYTES(""));
    script_turn(&script);
    script_expect_none(&script);
    assert_int_equal(net_usage(script.net).time_wait, 1);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_TIME_WAIT), 3);
    close_script();
}

/* A flood of SYNs from everywhere leaves nothing behind, and somebody honest still gets in. */
static void a_syn_flood_leaves_nothing(void **state)
{
    (void)state;
    open_script(64);
    uint64_t heap_before = heap_used_bytes(&script.heap);
    for (uint32_t i = 0; i < 20000; i++) {
        struct tcp_frame syn = {.source = 0x2d000000u + i * 2654435761u % 0x1000000u,
                                .source_port = (uint16_t)(1024 + i % 60000),
                                .seq = i * 77,
                                .flags = TCP_SYN};
        script_input_raw(&script, syn);
        if (i % 32 == 0)
            net_release(script.net, script.now_ns);
    }
    script_turn(&script);
    assert_int_equal(script_metric(&script, METRIC_TCP_COOKIES_SENT), 20001);
    assert_int_equal(net_usage(script.net).connections, 1);
    assert_int_equal(net_usage(script.net).hot, 0);
    assert_int_equal(heap_used_bytes(&script.heap), heap_before);
    struct voice late = voice_open(&script, 32001, SCRIPT_MSS);
    voice_is_heard(&script, &late);
    close_script();
}

/* Cookies are 24 bits: who guesses faster than the limit is not looked at, while somebody who knows
 * the timestamp of his SYN-ACK still gets in. */
static void guessed_cookies_are_limited(void **state)
{
    (void)state;
    open_script(64);
    script.has_timestamps = false;
    script.irs = 0;
    script.iss = 0;
    for (uint32_t i = 0; i < NET_GUESSES_PER_SECOND + 5000; i++) {
        struct tcp_frame ack = {.source_port = (uint16_t)(1024 + i % 20000),
                                .seq = i,
                                .ack = i * 2654435761u,
                                .flags = TCP_ACK};
        script_input_raw(&script, ack);
        if (i % 32 == 0)
            net_release(script.net, script.now_ns);
    }
    script_turn(&script);
    assert_true(script_metric(&script, METRIC_TCP_COOKIES_BAD) <= NET_GUESSES_PER_SECOND);
    assert_true(script_metric(&script, METRIC_TCP_DROP_COOKIE_RATE) >= 5000);
    assert_int_equal(script_metric(&script, METRIC_TCP_COOKIES_GOOD), 1);
    script.has_timestamps = true;
    struct voice late = voice_open(&script, 32001, SCRIPT_MSS);
    voice_is_heard(&script, &late);
    close_script();
}

/* RFC 7323 5: an old duplicate with a timestamp before the newest is no text, an equal one is; and
 * after 24 days of silence the newest says nothing any more. */
static void old_timestamps_are_refused_for_24_days(void **state)
{
    (void)state;
    open_script(64);
    voice_is_heard(&script, &honest);
    uint32_t now_ts = script.peer_ts;
    script.peer_ts = now_ts - 1;
    script_input(&script, TCP_ACK, honest.said, 0, BYTES("evil"));
    assert_int_equal(script_event_count(&script, NET_DATA), 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_PAWS), 1);
    script_turn(&script);
    skip_frames(&script);
    script.now_ns += 23 * 86400 * NS_PER_SECOND;
    script_input(&script, TCP_ACK, honest.said, 0, BYTES("evil"));
    assert_int_equal(script_event_count(&script, NET_DATA), 0);
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_PAWS), 2);
    script.now_ns += 2 * 86400 * NS_PER_SECOND;
    script_input(&script, TCP_ACK, honest.said, 0, BYTES("again"));
    assert_int_equal(script_event_count(&script, NET_DATA), 1);
    honest.said += 5;
    script_turn(&script);
    skip_frames(&script);
    script.received_size = 0;
    close_script();
}

/* ICMP (RFC 5927): errors that guess, and errors that tell the truth about a connection, end none.
 * The rest of that subject is in tcp_path_test.c. */
static void icmp_ends_nothing(void **state)
{
    (void)state;
    open_script(64);
    voice_use(&script, &honest);
    assert_int_equal(script_send(&script, 0, 100), ERROR_NONE);
    script_turn(&script);
    for (uint32_t i = 0; i < 100; i++) {
        uint8_t octets[256];
        struct writer into = writer_of(octets, sizeof octets);
        write_icmp_error(&into, &(struct icmp_error){.type = ICMP_UNREACHABLE,
                                                     .code = 3,
                                                     .remote_port = HONEST_PORT,
                                                     .seq = honest.iss + i * 2});
        input_octets(&script, writer_bytes(&into));
    }
    script_turn(&script);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_SOFT), 50);
    assert_int_equal(script_metric(&script, METRIC_NET_ICMP_NOT_IN_FLIGHT), 50);
    script_input(&script, TCP_ACK, 0, 100, BYTES(""));
    honest.iss += 100;
    script_turn(&script);
    close_script();
}

/* The flow table is keyed: who could nevertheless fill a neighbourhood is refused and counted, and
 * everybody else is found as before. */
static void a_full_neighbourhood_refuses(void **state)
{
    (void)state;
    open_script(CROWD);
    uint32_t opened = 0;
    uint64_t hash = UINT64_C(0x8000000000001234);
    for (uint32_t i = 0; i < CROWD; i++) {
        struct tcp_key key = {net_address_of_ipv4(0x2d000000u + i), 1, OUR_PORT, 0};
        if (net_row_open(script.net, &key, hash) == POOL_NONE)
            break;
        opened++;
    }
    assert_in_range(opened, TCP_TABLE_WAYS * (TCP_TABLE_PROBES_MAX - 1),
                    TCP_TABLE_WAYS * TCP_TABLE_PROBES_MAX);
    assert_int_equal(script_metric(&script, METRIC_NET_REFUSED_TABLE), 1);
    voice_is_heard(&script, &honest);
    net_release(script.net, script.now_ns);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guessed_reset_closes_nothing),
        cmocka_unit_test(a_syn_into_a_connection_closes_nothing),
        cmocka_unit_test(injected_octets_are_not_taken),
        cmocka_unit_test(an_optimistic_ack_wins_nothing),
        cmocka_unit_test(the_budget_of_challenges_cannot_be_counted),
        cmocka_unit_test(closed_ports_answer_within_bounds),
        cmocka_unit_test(time_wait_is_not_assassinated),
        cmocka_unit_test(a_syn_flood_leaves_nothing),
        cmocka_unit_test(guessed_cookies_are_limited),
        cmocka_unit_test(old_timestamps_are_refused_for_24_days),
        cmocka_unit_test(icmp_ends_nothing),
        cmocka_unit_test(a_full_neighbourhood_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
