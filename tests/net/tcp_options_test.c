/* SPDX-License-Identifier: Apache-2.0
 *
 * Options of TCP: what we write we read, and no octets at all can lead the reader astray. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "stentor/random.h"
#include "tcp_options.h"

/* The options of a SYN come back as written, with each left out in turn. */
static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t octets[40];
    struct tcp_options timestamps = {.ts_value = 0x01020304, .ts_echo = 0xfffefdfc};
    for (uint32_t variant = 0; variant < 8; variant++) {
        struct tcp_offer ours = {.mss = 1460};
        ours.scale = (variant & 1) == 0 ? 7 : TCP_SCALE_NONE;
        ours.has_sack = (variant & 4) != 0;
        const struct tcp_options *written = (variant & 2) == 0 ? &timestamps : NULL;
        uint32_t size = tcp_options_write_syn(octets, &ours, written);
        assert_int_equal(size % 4, 0);
        assert_true(size <= 24);
        struct tcp_options read;
        tcp_options_read(bytes_of(octets, size), &read);
        assert_int_equal(read.offer.mss, 1460);
        assert_int_equal(read.offer.scale, ours.scale);
        assert_int_equal(read.offer.has_sack, ours.has_sack);
        assert_int_equal(read.has_timestamps, written != NULL);
        if (written != NULL) {
            assert_int_equal(read.ts_value, 0x01020304);
            assert_int_equal(read.ts_echo, 0xfffefdfc);
        }
    }
}

/* Nothing offered: the defaults of RFC 9293; a scale over 14 counts as 14 (RFC 7323 2.3). */
static void absent_and_absurd_values_have_defaults(void **state)
{
    (void)state;
    struct tcp_options read;
    tcp_options_read(BYTES(""), &read);
    assert_int_equal(read.offer.mss, TCP_MSS_DEFAULT);
    assert_int_equal(read.offer.scale, TCP_SCALE_NONE);
    assert_false(read.has_timestamps);
    const uint8_t scale[] = {3, 3, 200, 4, 2, 0};
    tcp_options_read(bytes_of(scale, sizeof scale), &read);
    assert_int_equal(read.offer.scale, TCP_SCALE_MAX);
    assert_true(read.offer.has_sack);
}

/* Timestamps in every place an option list may have them, behind NOPs, SACK blocks and unknowns. */
static void timestamps_are_found_anywhere(void **state)
{
    (void)state;
    const uint8_t sack[] = {5, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    const uint8_t unknown[] = {253, 4, 9, 9};
    uint8_t stamps[12];
    tcp_options_write_timestamps(stamps, 77, 88);
    for (uint32_t order = 0; order < 4; order++) {
        uint8_t octets[40];
        struct writer into = writer_of(octets, sizeof octets);
        if (order % 2 == 1)
            write_bytes(&into, bytes_of(sack, sizeof sack));
        if (order / 2 == 1)
            write_bytes(&into, bytes_of(unknown, sizeof unknown));
        write_bytes(&into, bytes_of(stamps, sizeof stamps));
        struct tcp_options read;
        tcp_options_read(writer_bytes(&into), &read);
        assert_true(read.has_timestamps);
        assert_int_equal(read.ts_value, 77);
        assert_int_equal(read.ts_echo, 88);
    }
}

/* As many SACK blocks as fit come back as written, with and without timestamps before them; a size
 * that is no whole number of blocks says nothing. */
static void blocks_are_read_as_written(void **state)
{
    (void)state;
    const struct tcp_sack_block blocks[4] = {
        {1, 2}, {0xfffffff0, 5}, {0x01020304, 0x05060708}, {7, 7}};
    for (uint32_t count = 0; count <= 4; count++)
        for (uint32_t stamps = 0; stamps < 2; stamps++) {
            uint8_t octets[60];
            uint32_t size = stamps * TCP_TIMESTAMPS_SIZE;
            if (count > tcp_options_sack_room(40 - size))
                continue;
            tcp_options_write_timestamps(octets, 77, 88);
            size += tcp_options_write_sack(octets + size, blocks, count);
            assert_int_equal(size, stamps * 12 + (count != 0 ? 4 + 8 * count : 0));
            struct tcp_options read;
            tcp_options_read(bytes_of(octets, size), &read);
            assert_int_equal(read.has_timestamps, stamps);
            assert_int_equal(read.sack_count, count);
            assert_memory_equal(read.sacks, blocks, count * sizeof *blocks);
        }
    assert_int_equal(tcp_options_sack_room(40), 4);
    assert_int_equal(tcp_options_sack_room(28), 3);
    assert_int_equal(tcp_options_sack_room(11), 0);
    assert_int_equal(tcp_options_sack_room(3), 0);
    const uint8_t odd[] = {TCP_OPTION_SACK, 11, 0, 0, 0, 1, 0, 0, 0, 2, 9};
    struct tcp_options read;
    tcp_options_read(bytes_of(odd, sizeof odd), &read);
    assert_int_equal(read.sack_count, 0);
    uint8_t many[40] = {TCP_OPTION_SACK, 18, [18] = TCP_OPTION_SACK, 18};
    tcp_options_read(bytes_of(many, sizeof many), &read);
    assert_int_equal(read.sack_count, 4);
    memset(many, TCP_OPTION_NOP, sizeof many);
    many[0] = many[10] = many[20] = many[30] = TCP_OPTION_SACK;
    many[1] = many[11] = many[21] = many[31] = 10;
    tcp_options_read(bytes_of(many, sizeof many), &read);
    assert_int_equal(read.sack_count, 4); /* no fifth, however they are spread */
}

/* Random octets, cut at every size, in a block that ends where they end: the reader stays inside
 * (the sanitizers look) and keeps its promises. */
static void no_octets_lead_astray(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 3);
    for (uint32_t round = 0; round < 20000; round++) {
        size_t size = random_below(&random, 41);
        uint8_t *octets = malloc(size == 0 ? 1 : size);
        assert_non_null(octets);
        for (size_t i = 0; i < size; i++)
            octets[i] = (uint8_t)random_below(&random, round % 2 == 0 ? 12 : 256);
        struct tcp_options read;
        tcp_options_read(bytes_of(octets, size), &read);
        assert_true(read.offer.scale <= TCP_SCALE_MAX || read.offer.scale == TCP_SCALE_NONE);
        assert_true(read.sack_count <= TCP_SACKS_MAX);
        free(octets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(absent_and_absurd_values_have_defaults),
        cmocka_unit_test(timestamps_are_found_anywhere),
        cmocka_unit_test(blocks_are_read_as_written),
        cmocka_unit_test(no_octets_lead_astray),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
