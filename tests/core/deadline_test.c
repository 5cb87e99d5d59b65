/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/deadline.c: the vector sweep finds what the scalar one finds, row by row and
 * call by call; deadlines are never early, also where the 16-bit clock wraps; a sweep looks at no
 * more rows than it was told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/clock.h"
#include "stentor/deadline.h"
#include "stentor/random.h"

#define ROW_COUNT 1000u

struct fixture {
    struct arena arena;
    struct deadline_table fast;
    struct deadline_table plain;
    struct random random;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    random_init_seed(&fixture.random, 17);
    if (arena_create(&fixture.arena, "deadline", 1 << 20, ARENA_PAGES_SMALL) ||
        deadline_init(&fixture.fast, &fixture.arena, ROW_COUNT) ||
        deadline_init(&fixture.plain, &fixture.arena, ROW_COUNT))
        return -1;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    arena_destroy(&((struct fixture *)*state)->arena);
    return 0;
}

/* One sweep of every row: is `row` among the expired? */
static bool is_swept_out(struct deadline_table *table, uint64_t now_ns, uint32_t row)
{
    uint32_t expired[ROW_COUNT];
    uint32_t count = deadline_sweep(table, now_ns, ROW_COUNT, ROW_COUNT, expired, ROW_COUNT);
    for (uint32_t i = 0; i < count; i++) {
        if (expired[i] == row)
            return true;
    }
    return false;
}

/* From every second of the wrapping clock, at odd fractions: not a nanosecond early, and out within
 * two seconds. */
static void deadlines_are_never_early_at_any_clock(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t afters[] = {0, 1, 100, DEADLINE_SECONDS_MAX};
    for (uint32_t second = 0; second < 65536 + 100; second += second < 65400 ? 37 : 1) {
        for (size_t i = 0; i < ARRAY_COUNT(afters); i++) {
            uint64_t now_ns = second * NS_PER_SECOND + second * 7919 % 10 * (NS_PER_SECOND / 10);
            uint64_t due_ns = now_ns + afters[i] * NS_PER_SECOND;
            uint32_t row = second % ROW_COUNT;
            deadline_set(&fixture->fast, row, now_ns, afters[i]);
            if (due_ns != now_ns) {
                assert_false(is_swept_out(&fixture->fast, now_ns, row));
                assert_false(is_swept_out(&fixture->fast, due_ns - 1, row));
            }
            assert_true(is_swept_out(&fixture->fast, due_ns + 2 * NS_PER_SECOND, row));
            assert_false(is_swept_out(&fixture->fast, due_ns + 2 * NS_PER_SECOND, row));
        }
    }
}

/* A row stays expired for the nine hours in which a sweep may find it. */
static void expired_rows_wait_for_the_sweep(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t late = 0; late < 32760; late += 77) {
        deadline_set(&fixture->fast, 5, 1000 * NS_PER_SECOND, 10);
        assert_true(is_swept_out(&fixture->fast, (1010 + late) * NS_PER_SECOND, 5));
    }
}

/* Cleared rows and rows never set do not expire at any clock. */
static void no_deadline_never_expires(void **state)
{
    struct fixture *fixture = *state;
    uint32_t expired[4];
    deadline_set(&fixture->fast, 9, 0, 1);
    deadline_clear(&fixture->fast, 9);
    for (uint64_t second = 0; second < 65536; second += 13) {
        assert_int_equal(deadline_sweep(&fixture->fast, second * NS_PER_SECOND, ROW_COUNT,
                                        ROW_COUNT, expired, 4),
                         0);
    }
}

static void set_random_rows(struct fixture *fixture, uint64_t now_ns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = random_below(&fixture->random, ROW_COUNT);
        uint32_t after = random_below(&fixture->random, 2) == 0
                             ? random_below(&fixture->random, 100)
                             : random_below(&fixture->random, DEADLINE_SECONDS_MAX + 1);
        if (random_below(&fixture->random, 8) == 0) {
            deadline_clear(&fixture->fast, row);
            deadline_clear(&fixture->plain, row);
            continue;
        }
        deadline_set(&fixture->fast, row, now_ns, after);
        deadline_set(&fixture->plain, row, now_ns, after);
    }
}

/* Both sweeps over the same random rows, with random budgets, ends and room, through several wraps
 * of the clock: equal finds, equal places, equal tables. */
static void vector_sweep_agrees_with_scalar(void **state)
{
    struct fixture *fixture = *state;
    uint64_t now_ns = 0;
    uint32_t found = 0;
    for (int step = 0; step < 30000; step++) {
        now_ns += random_below(&fixture->random, 20) * NS_PER_SECOND / 2;
        set_random_rows(fixture, now_ns, random_below(&fixture->random, 20));
        uint32_t row_end = random_below(&fixture->random, ROW_COUNT + 1);
        uint32_t rows = random_below(&fixture->random, ROW_COUNT + 100);
        uint32_t max = random_below(&fixture->random, 30);
        uint32_t of_fast[30];
        uint32_t of_plain[30];
        uint32_t count = deadline_sweep(&fixture->fast, now_ns, row_end, rows, of_fast, max);
        assert_int_equal(
            deadline_sweep_scalar(&fixture->plain, now_ns, row_end, rows, of_plain, max), count);
        if (count != 0)
            assert_memory_equal(of_fast, of_plain, count * sizeof of_fast[0]);
        assert_int_equal(fixture->fast.swept, fixture->plain.swept);
        found += count;
    }
    assert_memory_equal(fixture->fast.due, fixture->plain.due, ROW_COUNT * sizeof(uint16_t));
    assert_true(found > 30000); /* or the comparison would have shown little */
}

/* Every row alone, at every start of the sweep: found once, whatever its lane. */
static void every_lane_is_found(void **state)
{
    struct fixture *fixture = *state;
    uint32_t expired[2];
    for (uint32_t start = 0; start < 33; start++) {
        for (uint32_t row = 0; row < 130; row++) {
            deadline_set(&fixture->fast, row, 0, 1);
            fixture->fast.swept = start;
            assert_int_equal(deadline_sweep(&fixture->fast, NS_PER_SECOND, 130, 130, expired, 2),
                             1);
            assert_int_equal(expired[0], row);
        }
    }
}

/* A budget of rows is kept, goes on where it stopped, and wraps round at the end. */
static void sweep_keeps_to_its_budget(void **state)
{
    struct fixture *fixture = *state;
    uint32_t expired[ROW_COUNT];
    for (uint32_t row = 0; row < 100; row++)
        deadline_set(&fixture->fast, row, 0, 1);
    uint64_t now_ns = NS_PER_SECOND;
    assert_int_equal(deadline_sweep(&fixture->fast, now_ns, 100, 40, expired, ROW_COUNT), 40);
    assert_int_equal(expired[39], 39);
    assert_int_equal(deadline_sweep(&fixture->fast, now_ns, 100, 40, expired, ROW_COUNT), 40);
    assert_int_equal(expired[0], 40);
    deadline_set(&fixture->fast, 3, 0, 1);
    assert_int_equal(deadline_sweep(&fixture->fast, now_ns, 100, 40, expired, ROW_COUNT), 21);
    assert_int_equal(expired[20], 3);
    assert_int_equal(fixture->fast.swept, 20);
}

/* A sweep with a full hand stops behind the last row it took; the rest is found by the next. */
static void full_hand_stops_the_sweep(void **state)
{
    struct fixture *fixture = *state;
    uint32_t expired[7];
    for (uint32_t row = 0; row < 100; row++)
        deadline_set(&fixture->fast, row, 0, 1);
    uint32_t next = 0;
    while (next < 100) {
        uint32_t count =
            deadline_sweep(&fixture->fast, NS_PER_SECOND, ROW_COUNT, ROW_COUNT, expired, 7);
        assert_int_equal(count, next + 7 <= 100 ? 7 : 100 - next);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(expired[i], next + i);
        next += count;
    }
    assert_int_equal(
        deadline_sweep(&fixture->fast, NS_PER_SECOND, ROW_COUNT, ROW_COUNT, expired, 7), 0);
}

/* Rows at or above row_end are not looked at, no rows at all are no fault, and a shrunken end
 * brings the sweep back. */
static void rows_above_the_end_are_left_alone(void **state)
{
    struct fixture *fixture = *state;
    uint32_t expired[ROW_COUNT];
    for (uint32_t row = 0; row < 100; row++)
        deadline_set(&fixture->fast, row, 0, 1);
    uint64_t now_ns = NS_PER_SECOND;
    assert_int_equal(deadline_sweep(&fixture->fast, now_ns, 0, 10, expired, ROW_COUNT), 0);
    fixture->fast.swept = 90;
    assert_int_equal(deadline_sweep(&fixture->fast, now_ns, 50, ROW_COUNT, expired, ROW_COUNT), 50);
    assert_int_equal(expired[49], 49);
    for (uint32_t row = 50; row < 100; row++)
        assert_int_not_equal(fixture->fast.due[row], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deadlines_are_never_early_at_any_clock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(expired_rows_wait_for_the_sweep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_deadline_never_expires, set_up, tear_down),
        cmocka_unit_test_setup_teardown(vector_sweep_agrees_with_scalar, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_lane_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sweep_keeps_to_its_budget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_hand_stops_the_sweep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_above_the_end_are_left_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
