/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP as a whole: the arena it asks for is enough, a heap too small refuses and leaves nothing,
 * sequence arithmetic holds round the circle. */
#include "tcp_script.h"
#include "tcp_seq.h"

static struct script script;

/* Odd sizes of everything fit into what net_arena_bytes() asked for. */
static void the_arena_is_large_enough(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 2, 3, 63, 64, 65, 1000, 4097};
    for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        for (uint32_t j = 0; j < ARRAY_COUNT(sizes); j++) {
            script_open(&script);
            script.options.connections_max = sizes[i];
            script.options.hot_max = sizes[j];
            script.options.send_references_max = sizes[i];
            script.options.time_wait_max = sizes[j] - 1;
            script_start(&script);
            script_accept(&script);
            script_close(&script);
        }
    }
}

/* A heap that refuses makes net_create() say so, and nothing is left in it. */
static void a_small_heap_refuses(void **state)
{
    (void)state;
    for (uint64_t octets = 0; octets < 400000; octets += 40000) {
        script_open(&script);
        struct heap heap;
        heap_init(&heap, octets);
        script.options.heap = &heap;
        script.options.hot_max = 1000;
        size_t bytes = net_arena_bytes(&script.options) + ARENA_HEADER_SIZE;
        assert_int_equal(arena_create(&script.arena, "small", bytes, ARENA_PAGES_SMALL),
                         ERROR_NONE);
        assert_int_equal(net_create(&script.net, &script.options, script.now_ns),
                         ERROR_NO_MEMORY);
        assert_int_equal(heap_used_bytes(&heap), 0);
        blob_table_fini(&script.blobs);
        trace_fini(&script.trace, &script.heap);
        arena_destroy(&script.arena);
    }
}

/* The window is advertised with the scale that lets it fit. */
static void the_window_is_scaled(void **state)
{
    (void)state;
    const uint32_t rows[][3] = {
        {700, 0, 700}, {65535, 0, 65535}, {65536, 1, 32768}, {1u << 20, 5, 32768},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) {
        script_open(&script);
        script.options.receive_window = rows[i][0];
        script_start(&script);
        assert_int_equal(script.net->tcp->rcv_scale, rows[i][1]);
        assert_int_equal(script.net->tcp->window, rows[i][2]);
        script_close(&script);
    }
}

/* Comparisons on the circle, at its seam too. */
static void sequence_numbers_go_round(void **state)
{
    (void)state;
    const uint32_t starts[] = {0, 1, 0x7fffffff, 0x80000000u, 0xffffffffu, 0xfffffff0u};
    for (uint32_t i = 0; i < ARRAY_COUNT(starts); i++) {
        uint32_t a = starts[i];
        assert_true(seq_is_before(a, a + 1));
        assert_true(seq_is_after(a + 1000, a));
        assert_false(seq_is_before(a, a));
        assert_false(seq_is_after(a, a));
        assert_int_equal(seq_later(a, a + 5), a + 5);
        assert_int_equal(seq_earlier(a, a + 5), a);
        assert_true(seq_is_within(a + 9, a, 10));
        assert_false(seq_is_within(a + 10, a, 10));
        assert_false(seq_is_within(a - 1, a, 10));
        assert_false(seq_is_within(a, a, 0));
    }
}

/* Every octet of random rubbish that passes for TCP, at a live connection: nothing breaks, pools
 * hold, and the audit is content after each. */
static void rubbish_breaks_nothing(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 30; seed++) {
        struct random random;
        random_init_seed(&random, seed);
        script_open(&script);
        script.has_timestamps = seed % 2 == 0;
        script_start(&script);
        script_accept(&script);
        uint8_t octets[300] = {0};
        for (uint32_t n = 0; n < 3000; n++) {
            uint32_t wide = random_below(&random, 8);
            uint32_t seq = random_below(&random, wide == 0 ? UINT32_MAX : 3000) - 1000;
            uint32_t ack = random_below(&random, wide == 1 ? UINT32_MAX : 3000) - 500;
            uint8_t flags = (uint8_t)(random_below(&random, 64) & ~TCP_RST) | TCP_ACK;
            if (random_below(&random, 50) != 0)
                flags &= (uint8_t)~(TCP_SYN | TCP_FIN);
            script.window = (uint16_t)random_below(&random, wide == 2 ? 3 : 60000);
            script.received_size = 0;
            script.seen = script.nic.sent_count;
            script_input(&script, flags, seq, ack,
                         bytes_of(octets, random_below(&random, sizeof octets)));
            if (net_is_live(script.net, script.conn) && random_below(&random, 4) == 0)
                (void)script_send(&script, 0, 1 + random_below(&random, 900));
            if (net_is_live(script.net, script.conn) && random_below(&random, 500) == 0)
                tcp_close(script.net, script.conn);
            if (random_below(&random, 3) == 0)
                script_turn(&script);
            script.now_ns += random_below(&random, 40) * NS_PER_MS;
            assert_true(tcp_is_valid(script.net));
        }
        script_turn(&script);
        script_turn(&script);
        script_close(&script);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_arena_is_large_enough),
        cmocka_unit_test(a_small_heap_refuses),
        cmocka_unit_test(the_window_is_scaled),
        cmocka_unit_test(sequence_numbers_go_round),
        cmocka_unit_test(rubbish_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
