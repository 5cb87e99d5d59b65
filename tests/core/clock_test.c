/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/clock.c: the monotonic clock never steps back, a sleep lasts at least as long as
 * asked, and the wall clock is the system's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "stentor/clock.h"

/* No two reads in a row go backwards. */
static void monotonic_clock_never_steps_back(void **state)
{
    (void)state;
    uint64_t last_ns = clock_now_ns();
    assert_true(last_ns > 0);
    for (int i = 0; i < 10000; i++) {
        uint64_t now_ns = clock_now_ns();
        assert_true(now_ns >= last_ns);
        last_ns = now_ns;
    }
}

/* A sleep is never short; a sleep of nothing returns. */
static void sleeps_last_as_long_as_asked(void **state)
{
    (void)state;
    uint64_t start_ns = clock_now_ns();
    clock_sleep_ns(0);
    clock_sleep_ns(2 * NS_PER_MS);
    assert_true(clock_now_ns() - start_ns >= 2 * NS_PER_MS);
}

/* The wall clock agrees with time() within a second either way. */
static void wall_clock_is_the_systems(void **state)
{
    (void)state;
    uint64_t seconds = (uint64_t)time(NULL);
    uint64_t wall_seconds = clock_wall_ms() / 1000;
    assert_in_range(wall_seconds, seconds - 1, seconds + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_clock_never_steps_back),
        cmocka_unit_test(sleeps_last_as_long_as_asked),
        cmocka_unit_test(wall_clock_is_the_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
