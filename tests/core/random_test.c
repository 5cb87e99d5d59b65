/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/random.c: a seed is a stream for ever, the system's stream is fresh at every
 * size of request and leaves nothing behind, and random_below() is even. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "stentor/random.h"

/* The stream of seed 0 is fixed: a recorded seed must replay on any machine and any later build.
 * First words of xoshiro256** seeded by splitmix64 from 0. */
static void seeds_replay(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 0);
    assert_true(random_u64(&random) == UINT64_C(0x99ec5f36cb75f2b4));
    assert_true(random_u64(&random) == UINT64_C(0xbf6e1f784956452a));
    assert_true(random_u64(&random) == UINT64_C(0x1a5f849d4933e6e0));
}

/* The same seed gives the same octets, another seed others. */
static void seeds_differ(void **state)
{
    (void)state;
    struct random a;
    struct random b;
    struct random c;
    random_init_seed(&a, 7);
    random_init_seed(&b, 7);
    random_init_seed(&c, 8);
    uint8_t of_a[301];
    uint8_t of_b[301];
    uint8_t of_c[301];
    random_fill(&a, of_a, sizeof of_a);
    random_fill(&b, of_b, sizeof of_b);
    random_fill(&c, of_c, sizeof of_c);
    assert_memory_equal(of_a, of_b, sizeof of_a);
    assert_memory_not_equal(of_a, of_c, sizeof of_a);
}

/* Requests below, at and above the buffer fill all their octets and none beyond. */
static void system_fills_every_size(void **state)
{
    (void)state;
    struct random random;
    random_init_system(&random);
    static uint8_t seen[601];
    static uint8_t octets[603];
    const size_t sizes[] = {0, 1, 7, 8, 127, 128, 129, 255, 256, 257, 600};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(seen, 0, sizeof seen);
        /* 40 fills: an octet left alone would be zero in all of them. */
        for (int round = 0; round < 40; round++) {
            memset(octets, 0, sizeof octets);
            octets[sizes[i] + 1] = 0xee;
            random_fill(&random, octets + 1, sizes[i]);
            assert_int_equal(octets[0], 0);
            assert_int_equal(octets[sizes[i] + 1], 0xee);
            for (size_t k = 0; k < sizes[i]; k++)
                seen[k] |= octets[k + 1];
        }
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_not_equal(seen[k], 0);
    }
}

/* Words do not repeat, also across refills and between two sources. */
static void system_words_do_not_repeat(void **state)
{
    (void)state;
    struct random a;
    struct random b;
    random_init_system(&a);
    random_init_system(&b);
    static uint64_t words[400];
    for (size_t i = 0; i < 400; i += 2) {
        words[i] = random_u64(&a);
        words[i + 1] = random_u64(&b);
    }
    for (size_t i = 0; i < 400; i++) {
        for (size_t k = 0; k < i; k++)
            assert_true(words[i] != words[k]);
    }
}

/* What was handed out is no longer in the buffer. */
static void handed_out_octets_are_wiped(void **state)
{
    (void)state;
    struct random random;
    random_init_system(&random);
    uint8_t secret[32];
    random_fill(&random, secret, sizeof secret);
    assert_int_equal(random.buffer_used, 32);
    for (size_t i = 0; i < sizeof secret; i++)
        assert_int_equal(random.buffer[i], 0);
}

/* Every value of a small range comes about as often as every other: chi-squared over 10 values,
 * 9 degrees of freedom, below 27.88 but once in a thousand streams; the seed makes it certain. */
static void below_is_even(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 3);
    uint32_t counts[10] = {0};
    const uint32_t draws = 100000;
    for (uint32_t i = 0; i < draws; i++) {
        uint32_t value = random_below(&random, 10);
        assert_true(value < 10);
        counts[value]++;
    }
    double sum = 0;
    for (size_t i = 0; i < 10; i++) {
        double difference = (double)counts[i] - draws / 10.0;
        sum += difference * difference / (draws / 10.0);
    }
    assert_true(sum < 27.88);
}

/* A range of three quarters of 2^32, where mere scaling would give each third value twice as often
 * as its neighbours, and the ranges of one and of all values. */
static void below_is_even_at_awkward_limits(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 4);
    const uint32_t limit = UINT32_C(0xc0000000);
    uint32_t thirds[3] = {0};
    for (int i = 0; i < 30000; i++)
        thirds[random_below(&random, limit) % 3]++;
    for (size_t i = 0; i < 3; i++)
        assert_in_range(thirds[i], 9700, 10300);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(random_below(&random, 1), 0);
        assert_true(random_below(&random, UINT32_MAX) < UINT32_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_replay),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(system_fills_every_size),
        cmocka_unit_test(system_words_do_not_repeat),
        cmocka_unit_test(handed_out_octets_are_wiped),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(below_is_even_at_awkward_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
