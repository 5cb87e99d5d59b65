/* SPDX-License-Identifier: Apache-2.0
 *
 * Octets out of order, against a model that keeps a flag for each octet: random stretches, near a
 * wrap of sequence numbers as well, end in the same stream; limits hold; nothing stays behind. */
#include "tcp_script.h"

#define STREAM_BYTES 6000u

static struct script script;

static void open_script(void)
{
    script_open(&script);
    script_start(&script);
    script_accept(&script);
}

static uint8_t octet_at(uint32_t position)
{
    return (uint8_t)(position * 7 ^ position >> 8);
}

/* Sets where the connection's receive side stands: for wraps. */
static void set_receive_start(uint32_t seq)
{
    struct tcp_row *row = &script.net->rows[script.conn];
    row->rcv_adv = seq + (row->rcv_adv - row->rcv_nxt);
    row->rcv_nxt = seq;
    script.irs = seq;
}

/* What has risen is the model's prefix without a gap, to the octet, after every segment. */
static void random_stretches_give_the_stream(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        static bool has[STREAM_BYTES];
        struct random random;
        random_init_seed(&random, seed);
        open_script();
        memset(has, 0, sizeof has);
        set_receive_start(0u - random_below(&random, STREAM_BYTES * 2));
        uint32_t raised = 0;
        uint32_t prefix = 0;
        for (uint32_t n = 0; prefix < STREAM_BYTES; n++) {
            assert_true(n < 20000);
            uint32_t size = 1 + random_below(&random, 600);
            uint32_t start = random_below(&random, STREAM_BYTES);
            if (random_below(&random, 4) == 0)
                start = prefix > 10 ? prefix - 10 : 0;
            if (start + size > STREAM_BYTES)
                size = STREAM_BYTES - start;
            uint8_t octets[600];
            for (uint32_t i = 0; i < size; i++)
                octets[i] = octet_at(start + i);
            uint64_t refused =
                (uint64_t)script_metric(&script, METRIC_TCP_DROP_REORDER);
            script.received_size = 0;
            script_input(&script, TCP_ACK, start, 0, bytes_of(octets, size));
            for (uint32_t i = 0; i < script.received_size; i++)
                assert_int_equal(script.received[i], octet_at(raised + i));
            raised += (uint32_t)script.received_size;
            bool is_refused =
                (uint64_t)script_metric(&script, METRIC_TCP_DROP_REORDER) != refused;
            for (uint32_t i = 0; i < size && !is_refused; i++)
                has[start + i] = true;
            while (prefix < STREAM_BYTES && has[prefix])
                prefix++;
            assert_int_equal(raised, prefix);
            script_turn(&script);
            script.seen = script.nic.sent_count;
        }
        assert_int_equal(net_usage(script.net).reorder_bytes, 0);
        assert_int_equal(script.net->tcp->range_pool.used, 0);
        script_close(&script);
    }
}

/* Seventeen gaps: the seventeenth range is refused, and closing gaps makes room again. */
static void gaps_are_limited(void **state)
{
    (void)state;
    open_script();
    for (uint32_t i = 0; i < TCP_RANGES_MAX; i++)
        script_input(&script, TCP_ACK, 10 + i * 10, 0, BYTES("x"));
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_REORDER), 0);
    script_input(&script, TCP_ACK, 1000, 0, BYTES("x"));
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_REORDER), 1);
    script_input(&script, TCP_ACK, 11, 0, BYTES("123456789")); /* joins the first two */
    script_input(&script, TCP_ACK, 1000, 0, BYTES("x"));
    assert_int_equal(script_metric(&script, METRIC_TCP_DROP_REORDER), 1);
    assert_true(tcp_is_valid(script.net));
    script_turn(&script);
    script_close(&script);
}

/* The worker's octets are limited, whatever the number of connections, and come back at death. */
static void octets_are_limited(void **state)
{
    (void)state;
    script_open(&script);
    script.options.reorder_bytes_max = 5000;
    script_start(&script);
    script_accept(&script);
    uint8_t octets[1000] = {0};
    for (uint32_t i = 0; i < 10; i++)
        script_input(&script, TCP_ACK, 100 + i * 1500, 0, bytes_of(octets, sizeof octets));
    assert_true(net_usage(script.net).reorder_bytes <= 5000);
    assert_true(script_metric(&script, METRIC_TCP_DROP_REORDER) >= 5);
    tcp_abort(script.net, script.conn);
    assert_int_equal(net_usage(script.net).reorder_bytes, 0);
    script_turn(&script);
    script_turn(&script);
    script_close(&script);
}

/* Octets nobody completes are given up after half a minute, and the connection parks. */
static void old_octets_are_given_up(void **state)
{
    (void)state;
    open_script();
    script_input(&script, TCP_ACK, 100, 0, BYTES("ahead"));
    script_advance(&script, 20 * NS_PER_SECOND);
    assert_true(net_usage(script.net).reorder_bytes > 0);
    script_advance(&script, 15 * NS_PER_SECOND);
    assert_int_equal(net_usage(script.net).reorder_bytes, 0);
    assert_int_equal(net_usage(script.net).hot, 0);
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_stretches_give_the_stream),
        cmocka_unit_test(gaps_are_limited),
        cmocka_unit_test(octets_are_limited),
        cmocka_unit_test(old_octets_are_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
