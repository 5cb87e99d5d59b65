/* SPDX-License-Identifier: Apache-2.0
 *
 * Octets out of order, against a model that keeps a flag for each octet: random stretches, near a
 * wrap of sequence numbers as well, end in the same stream; limits hold; nothing stays behind. */
#include "tcp_script.h"

#include <stdlib.h>

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

/* A second telling of what is kept changes nothing, wherever it overlaps the first; octets that
 * come in order are handed up as they come. */
static void what_came_first_stays(void **state)
{
    (void)state;
    open_script();
    script_input(&script, TCP_ACK, 10, 0, BYTES("AAAA"));
    script_input(&script, TCP_ACK, 20, 0, BYTES("BBBB"));
    script_input(&script, TCP_ACK, 8, 0, BYTES("cccccccccccccccccc")); /* around both */
    script_input(&script, TCP_ACK, 5, 0, BYTES("dddddddddddddddddddddddd"));
    script_input(&script, TCP_ACK, 0, 0, BYTES("eeeeeeeeeee"));
    assert_int_equal(script.received_size, 29);
    assert_memory_equal(script.received, "eeeeeeeeeeeAAAccccccBBBBccddd", 29);
    script_turn(&script);
    script_close(&script);
}

/* Any small pieces in any order make one range of two octets of memory for each octet held, and its
 * block moves now and then, not for every piece. */
static void small_pieces_take_little(void **state)
{
    (void)state;
    const int32_t steps[] = {1, -1, 2};
    for (uint32_t i = 0; i < ARRAY_COUNT(steps); i++) {
        open_script();
        uint32_t low = 9000;
        uint32_t high = 9001;
        uint32_t room = 0;
        uint32_t moves = 0;
        script_input(&script, TCP_ACK, low, 0, BYTES("x"));
        const struct tcp_hot *hot = tcp_hot_of(script.net, &script.net->rows[script.conn]);
        const struct tcp_range *range = &script.net->tcp->ranges[hot->range_head];
        for (uint32_t n = 0; n < 6000; n++) {
            bool is_up = steps[i] == 1 || (steps[i] == 2 && n % 2 == 0);
            script_input(&script, TCP_ACK, is_up ? high++ : --low, 0, BYTES("y"));
            script_turn(&script);
            moves += range->room != room;
            room = range->room;
        }
        assert_int_equal(hot->range_count, 1);
        assert_int_equal(range->size, 6001);
        assert_true(moves <= 8);
        assert_true(net_usage(script.net).reorder_bytes <= 2 * 6001 + 2048);
        assert_int_equal(script_metric(&script, METRIC_TCP_DROP_REORDER), 0);
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

/* ---- what the peer is told ---- */

#define MODEL_BYTES 4000u

/* What RFC 2018 and 2883 say, octet by octet. */
struct model {
    bool has[MODEL_BYTES + 1];
    uint32_t touched[MODEL_BYTES]; /* when a segment brought it last */
    uint32_t prefix;
    uint32_t clock;
};

struct island {
    struct tcp_sack_block block;
    uint32_t touched;
};

/* The first stretch of the segment that came before; empty when there is none. */
static struct tcp_sack_block model_add(struct model *model, uint32_t start, uint32_t size)
{
    struct tcp_sack_block duplicate = {0, 0};
    model->clock++;
    for (uint32_t i = start; i < start + size; i++) {
        bool is_open = duplicate.end == 0 || duplicate.end == i;
        if (model->has[i] && is_open)
            duplicate = (struct tcp_sack_block){duplicate.end == 0 ? i : duplicate.start, i + 1};
        model->touched[i] = model->clock;
    }
    memset(model->has + start, true, size);
    while (model->has[model->prefix])
        model->prefix++;
    return duplicate;
}

static int compare_islands(const void *a, const void *b)
{
    return ((const struct island *)a)->touched < ((const struct island *)b)->touched ? 1 : -1;
}

static uint32_t model_islands(const struct model *model, struct island *islands)
{
    uint32_t count = 0;
    for (uint32_t i = model->prefix; i < MODEL_BYTES; i++) {
        if (!model->has[i])
            continue;
        if (!model->has[i - 1])
            islands[count++] = (struct island){{i, i}, 0};
        struct island *island = &islands[count - 1];
        island->block.end = i + 1;
        if (model->touched[i] > island->touched)
            island->touched = model->touched[i];
    }
    qsort(islands, count, sizeof *islands, compare_islands);
    return count;
}

/* A stretch that would begin a seventeenth range would be refused. */
static bool is_over_the_limit(const struct model *model)
{
    static struct island islands[MODEL_BYTES];
    return model_islands(model, islands) >= TCP_RANGES_MAX;
}

static void expect_blocks(const struct sent *sent, const struct model *model,
                          struct tcp_sack_block duplicate)
{
    static struct island islands[MODEL_BYTES];
    uint32_t count = model_islands(model, islands);
    uint32_t max = script.has_timestamps ? 3 : 4;
    struct tcp_options read;
    tcp_options_read(sent->options, &read);
    uint32_t at = 0;
    if (duplicate.end != 0) {
        assert_true(read.sack_count > 0);
        assert_int_equal(read.sacks[0].start - script.irs, duplicate.start);
        assert_int_equal(read.sacks[0].end - script.irs, duplicate.end);
        at = 1;
    }
    assert_int_equal(read.sack_count - at, count < max - at ? count : max - at);
    for (uint32_t i = 0; at < read.sack_count; i++, at++) {
        assert_int_equal(read.sacks[at].start - script.irs, islands[i].block.start);
        assert_int_equal(read.sacks[at].end - script.irs, islands[i].block.end);
    }
}

/* Every acknowledgement of random scripts, over a wrap as well: the duplicate first, then what
 * changed last, with three blocks beside timestamps and four without. Duplicates and gaps are
 * answered at once, before the turn ends. */
static void blocks_are_those_of_the_model(void **state)
{
    (void)state;
    static struct model model;
    uint32_t duplicates = 0;
    for (uint32_t seed = 1; seed <= 400; seed++) {
        struct random random;
        random_init_seed(&random, seed);
        memset(&model, 0, sizeof model);
        script_open(&script);
        script.has_sack = true;
        script.has_timestamps = seed % 2 == 0;
        script_start(&script);
        script_accept(&script);
        set_receive_start(0u - random_below(&random, MODEL_BYTES * 2));
        for (uint32_t n = 0; model.prefix < MODEL_BYTES; n++) {
            assert_true(n < 20000);
            uint32_t start = random_below(&random, MODEL_BYTES);
            if (random_below(&random, 6) == 0)
                start = model.prefix;
            uint32_t size = 1 + random_below(&random, 500);
            if (start + size > MODEL_BYTES)
                size = MODEL_BYTES - start;
            if (size == 0 || (start > model.prefix && is_over_the_limit(&model)))
                continue;
            uint8_t octets[500];
            for (uint32_t i = 0; i < size; i++)
                octets[i] = octet_at(start + i);
            script.received_size = 0;
            bool is_plain = start == model.prefix;
            script_input(&script, TCP_ACK, start, 0, bytes_of(octets, size));
            struct tcp_sack_block duplicate = model_add(&model, start, size);
            duplicates += duplicate.end != 0;
            if (!is_plain || duplicate.end != 0)
                net_packets_flush(script.net); /* it is there already */
            else
                script_turn(&script);
            struct sent sent = {0};
            assert_true(script_next(&script, &sent));
            assert_int_equal(sent.ack, model.prefix);
            expect_blocks(&sent, &model, duplicate);
            script_turn(&script);
            script.seen = script.nic.sent_count;
        }
        assert_int_equal(script_metric(&script, METRIC_TCP_DROP_REORDER), 0);
        script_close(&script);
    }
    assert_true(duplicates > 5000);
}

/* A peer that did not offer it is told nothing; nor has a parked connection more to say than that
 * octets came twice, for which it borrows nothing. */
static void who_did_not_ask_is_not_told(void **state)
{
    (void)state;
    for (uint32_t has_sack = 0; has_sack < 2; has_sack++) {
        script_open(&script);
        script.has_sack = has_sack != 0;
        script_start(&script);
        script_accept(&script);
        script_input(&script, TCP_ACK, 0, 0, BYTES("abcdef"));
        script_turn(&script);
        script_expect(&script, TCP_ACK, 0, 6, 0);
        script_input(&script, TCP_ACK, 1, 0, BYTES("bcd"));
        script_turn(&script);
        struct sent sent = {0};
        assert_true(script_next(&script, &sent));
        struct tcp_options read;
        tcp_options_read(sent.options, &read);
        assert_int_equal(read.sack_count, has_sack);
        if (has_sack != 0) {
            assert_int_equal(read.sacks[0].start - script.irs, 1);
            assert_int_equal(read.sacks[0].end - script.irs, 4);
        }
        assert_int_equal(net_usage(script.net).hot, 0);
        script_input(&script, TCP_ACK, 10, 0, BYTES("ahead"));
        script_turn(&script);
        assert_true(script_next(&script, &sent));
        tcp_options_read(sent.options, &read);
        assert_int_equal(read.sack_count, has_sack);
        script_close(&script);
    }
}

/* Octets of ours carry the blocks where they leave room, and never grow past the MSS for them. */
static void segments_with_octets_say_it_too(void **state)
{
    (void)state;
    script_open(&script);
    script.has_sack = true;
    script.has_timestamps = true;
    script_start(&script);
    script_accept(&script);
    script_input(&script, TCP_ACK, 10, 0, BYTES("ahead"));
    script_turn(&script);
    script_expect(&script, TCP_ACK, 0, 0, 0);
    assert_int_equal(script_send(&script, 0, 2 * (SCRIPT_MSS - 12) - 12), ERROR_NONE);
    script_turn(&script);
    for (uint32_t i = 0; i < 2; i++) {
        struct sent sent = {0};
        assert_true(script_next(&script, &sent));
        struct tcp_options read;
        tcp_options_read(sent.options, &read);
        assert_int_equal(read.sack_count, i);
        assert_true(sent.options.size + sent.payload.size <= SCRIPT_MSS);
    }
    script_close(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_stretches_give_the_stream),
        cmocka_unit_test(what_came_first_stays),
        cmocka_unit_test(small_pieces_take_little),
        cmocka_unit_test(gaps_are_limited),
        cmocka_unit_test(octets_are_limited),
        cmocka_unit_test(old_octets_are_given_up),
        cmocka_unit_test(blocks_are_those_of_the_model),
        cmocka_unit_test(who_did_not_ask_is_not_told),
        cmocka_unit_test(segments_with_octets_say_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
