/* SPDX-License-Identifier: Apache-2.0
 *
 * The bridge's own judge: faults come at the rates asked for, fates depend on seed and number
 * alone, and the order is kept where nobody asked for another. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "impair_fate.h"

#define PACKETS 200000u
#define MS UINT64_C(1000000)

static struct fates fates_with(uint64_t seed, const struct faults *faults)
{
    struct fates fates = {.faults = *faults};
    fates_init(&fates, seed, 0);
    return fates;
}

static void assert_share(uint64_t count, uint64_t of, double share)
{
    double sigma = sqrt((double)of * share * (1 - share));
    assert_true(fabs((double)count - (double)of * share) < 6 * sigma);
}

/* Each fault alone comes as often as it was asked for. */
static void rates_are_kept(void **state)
{
    (void)state;
    const struct faults faults = {.loss_ppm = 10000, .duplicate_ppm = 20000, .corrupt_ppm = 5000};
    struct fates fates = fates_with(7, &faults);
    for (uint32_t i = 0; i < PACKETS; i++)
        (void)fate_of(&fates, i * MS, 1500, FATE_NEW_OCTETS);
    assert_share(fates.lost, PACKETS, 0.01);
    assert_share(fates.duplicated, fates.passed, 0.02);
    assert_share(fates.corrupted, fates.passed, 0.005);
    assert_int_equal(fates.passed + fates.lost, PACKETS);
}

/* The n-th packet's fate is the same whenever it comes, and another under another seed. */
static void fates_follow_the_seed(void **state)
{
    (void)state;
    const struct faults faults = {
        .loss_ppm = 200000, .reorder_ppm = 100000, .burst_ppm = 20000, .burst_length = 5};
    struct fates early = fates_with(3, &faults);
    struct fates late = fates_with(3, &faults);
    struct fates other = fates_with(4, &faults);
    uint32_t differing = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        char mark = fate_of(&early, i, 1500, FATE_NEW_OCTETS).mark;
        assert_int_equal(mark, fate_of(&late, i * 77 * MS, 60, FATE_NO_OCTETS).mark);
        differing += mark != fate_of(&other, i, 1500, FATE_NEW_OCTETS).mark;
    }
    assert_true(differing > 100);
}

/* Bursts have the mean length asked for, and begin at the rate asked for. */
static void bursts_have_their_length(void **state)
{
    (void)state;
    const struct faults faults = {.burst_ppm = 2000, .burst_length = 8};
    struct fates fates = fates_with(11, &faults);
    uint32_t bursts = 0;
    char before = '.';
    for (uint32_t i = 0; i < PACKETS; i++) {
        char mark = fate_of(&fates, i, 1500, FATE_NEW_OCTETS).mark;
        bursts += mark == 'L' && before != 'L';
        before = mark;
    }
    assert_true(fabs((double)fates.lost / bursts - 8) < 1.5);
    assert_true(fabs(bursts / 400.0 - 1) < 0.3);
}

/* Correlated reordering keeps its share and repeats itself. */
static void reordering_is_correlated(void **state)
{
    (void)state;
    const struct faults faults = {.delay_us = 10000, .reorder_ppm = 250000, .reorder_percent = 50};
    struct fates fates = fates_with(5, &faults);
    uint32_t after = 0;
    bool before = false;
    for (uint32_t i = 0; i < PACKETS; i++) {
        bool is_early = fate_of(&fates, i * MS, 1500, FATE_NEW_OCTETS).due_ns[0] == i * MS;
        after += is_early && before;
        before = is_early;
    }
    assert_true(fabs((double)fates.reordered / PACKETS - 0.25) < 0.01);
    assert_true(fabs((double)after / (double)fates.reordered - 0.625) < 0.02);
}

/* Jitter varies the delay within its bounds and never lets one overtake another. */
static void jitter_keeps_the_order(void **state)
{
    (void)state;
    const struct faults faults = {.delay_us = 10000, .jitter_us = 5000};
    struct fates fates = fates_with(9, &faults);
    uint64_t last_ns = 0;
    uint64_t shortest_ns = UINT64_MAX;
    uint64_t longest_ns = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t due_ns = fate_of(&fates, i * MS, 1500, FATE_NEW_OCTETS).due_ns[0];
        assert_true(due_ns >= last_ns);
        last_ns = due_ns;
        uint64_t delay_ns = due_ns - i * MS;
        shortest_ns = delay_ns < shortest_ns ? delay_ns : shortest_ns;
        longest_ns = delay_ns > longest_ns ? delay_ns : longest_ns;
    }
    assert_true(shortest_ns >= 10 * MS && shortest_ns < 11 * MS);
    assert_true(longest_ns <= 15 * MS && longest_ns > 14 * MS);
}

/* A line of 12 Mb/s takes 1 ms for 1500 octets; what would wait longer than the queue is lost. */
static void a_line_has_its_rate(void **state)
{
    (void)state;
    const struct faults faults = {.rate_kbit = 12000, .queue_us = 5000};
    struct fates fates = fates_with(1, &faults);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(fate_of(&fates, 100 * MS, 1500, FATE_NEW_OCTETS).due_ns[0],
                         (101 + i) * MS);
    assert_int_equal(fate_of(&fates, 100 * MS, 1500, FATE_NEW_OCTETS).mark, 'Q');
    assert_int_equal(fate_of(&fates, 102 * MS, 1500, FATE_NEW_OCTETS).due_ns[0], 107 * MS);
    assert_int_equal(fates.queue_dropped, 1);
}

/* Numbered drops count segments with new octets, so a repetition shifts none of them. */
static void drops_count_new_octets(void **state)
{
    (void)state;
    struct faults faults = {0};
    assert_true(faults_set(&faults, "drop", 2));
    assert_true(faults_set(&faults, "drop", 3));
    assert_false(faults_set(&faults, "drops", 3));
    struct fates fates = fates_with(1, &faults);
    assert_int_equal(fate_of(&fates, 1, 1500, FATE_NEW_OCTETS).copies, 1);
    assert_int_equal(fate_of(&fates, 2, 60, FATE_NO_OCTETS).copies, 1);
    assert_int_equal(fate_of(&fates, 3, 1500, FATE_NEW_OCTETS).copies, 0);
    assert_int_equal(fate_of(&fates, 4, 1500, FATE_OLD_OCTETS).copies, 1);
    assert_int_equal(fate_of(&fates, 5, 1500, FATE_NEW_OCTETS).copies, 0);
    assert_int_equal(fate_of(&fates, 6, 1500, FATE_NEW_OCTETS).copies, 1);
    assert_int_equal(fates.lost, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_kept),           cmocka_unit_test(fates_follow_the_seed),
        cmocka_unit_test(bursts_have_their_length), cmocka_unit_test(reordering_is_correlated),
        cmocka_unit_test(jitter_keeps_the_order),   cmocka_unit_test(a_line_has_its_rate),
        cmocka_unit_test(drops_count_new_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
