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
    for (uint32_t variant = 0; variant < 4; variant++) {
        uint8_t scale = variant % 2 == 0 ? 7 : TCP_SCALE_NONE;
        const struct tcp_options *written = variant < 2 ? &timestamps : NULL;
        uint32_t size = tcp_options_write_syn(octets, 1460, scale, written);
        assert_int_equal(size % 4, 0);
        assert_true(size <= 24);
        struct tcp_options read;
        tcp_options_read(bytes_of(octets, size), &read);
        assert_int_equal(read.offer.mss, 1460);
        assert_int_equal(read.offer.scale, scale);
        assert_false(read.offer.has_sack);
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
        free(octets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(absent_and_absurd_values_have_defaults),
        cmocka_unit_test(timestamps_are_found_anywhere),
        cmocka_unit_test(no_octets_lead_astray),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
