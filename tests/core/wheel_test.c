/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/wheel.c. The main test drives the wheel and a plain list of wanted instants with
 * the same seeded random arms, re-arms, disarms and turns, and demands: never early, never lost,
 * out in the first turn a millisecond after its time that has room, wheel_next_ns() never past the
 * instant at which something is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/clock.h"
#include "stentor/random.h"
#include "stentor/wheel.h"

#define TIMER_COUNT 300u
#define MANY_COUNT 20000u
#define ORIGIN_NS UINT64_C(123456789)

struct fixture {
    struct arena arena;
    struct wheel wheel;
    uint64_t wanted_ns[TIMER_COUNT]; /* the oracle; UINT64_MAX = not armed */
    uint64_t now_ns;
    struct random random;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture.now_ns = ORIGIN_NS;
    for (uint32_t i = 0; i < TIMER_COUNT; i++)
        fixture.wanted_ns[i] = UINT64_MAX;
    if (arena_create(&fixture.arena, "wheel", 8 << 20, ARENA_PAGES_SMALL) ||
        wheel_init(&fixture.wheel, &fixture.arena, MANY_COUNT, ORIGIN_NS))
        return -1;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    arena_destroy(&((struct fixture *)*state)->arena);
    return 0;
}

/* ---- the oracle ---- */

/* Delays of every kind that takes its own road: the past, within the millisecond, the near level,
 * its edge, the far level, and past the far level (more than 70 minutes). */
static uint64_t random_delay_ns(struct random *random)
{
    switch (random_below(random, 8)) {
    case 0:
        return 0;
    case 1:
        return random_below(random, 3000000);
    case 2:
    case 3:
        return random_below(random, 4096) * NS_PER_MS + random_below(random, 2);
    case 4:
        return (4090 + random_below(random, 12)) * NS_PER_MS;
    case 5:
        return random_below(random, 60000) * NS_PER_MS + random_below(random, 1000000);
    case 6:
        return random_below(random, 4194) * NS_PER_SECOND;
    default:
        return random_below(random, 30000) * NS_PER_SECOND;
    }
}

static void arm_random(struct fixture *fixture)
{
    uint32_t timer = random_below(&fixture->random, TIMER_COUNT);
    uint64_t delay_ns = random_delay_ns(&fixture->random);
    uint64_t due_ns = fixture->now_ns + delay_ns;
    if (delay_ns == 0)
        due_ns -= random_below(&fixture->random, (uint32_t)ORIGIN_NS);
    wheel_arm(&fixture->wheel, timer, due_ns);
    fixture->wanted_ns[timer] = due_ns;
    assert_true(wheel_is_armed(&fixture->wheel, timer));
}

static void disarm_random(struct fixture *fixture)
{
    uint32_t timer = random_below(&fixture->random, TIMER_COUNT);
    wheel_disarm(&fixture->wheel, timer);
    fixture->wanted_ns[timer] = UINT64_MAX;
    assert_false(wheel_is_armed(&fixture->wheel, timer));
}

static uint64_t earliest_wanted_ns(const struct fixture *fixture)
{
    uint64_t earliest_ns = UINT64_MAX;
    for (uint32_t i = 0; i < TIMER_COUNT; i++) {
        if (fixture->wanted_ns[i] < earliest_ns)
            earliest_ns = fixture->wanted_ns[i];
    }
    return earliest_ns;
}

/* Turns once with room for max; what comes out must have been wanted by now, and is crossed off. */
static uint32_t turn_and_cross_off(struct fixture *fixture, uint32_t max)
{
    uint32_t due[TIMER_COUNT];
    uint32_t count = wheel_turn(&fixture->wheel, fixture->now_ns, due, max);
    assert_true(count <= max);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(due[i] < TIMER_COUNT);
        assert_true(fixture->wanted_ns[due[i]] <= fixture->now_ns);
        assert_false(wheel_is_armed(&fixture->wheel, due[i]));
        fixture->wanted_ns[due[i]] = UINT64_MAX;
    }
    return count;
}

/* After a turn with room left, nothing may remain whose instant, rounded up to the wheel's
 * millisecond, has passed. */
static void expect_nothing_late(const struct fixture *fixture)
{
    uint64_t wheel_now_ns = ORIGIN_NS + (fixture->now_ns - ORIGIN_NS) / NS_PER_MS * NS_PER_MS;
    assert_true(earliest_wanted_ns(fixture) > wheel_now_ns);
}

static void expect_counts_agree(const struct fixture *fixture)
{
    uint32_t armed = 0;
    for (uint32_t i = 0; i < TIMER_COUNT; i++) {
        bool is_armed = fixture->wanted_ns[i] != UINT64_MAX;
        assert_int_equal(wheel_is_armed(&fixture->wheel, i), is_armed);
        armed += is_armed;
    }
    assert_int_equal(fixture->wheel.armed_count, armed);
}

/* A lower bound: never past the turn that could first hand out the earliest wanted timer. */
static void expect_lower_bound(const struct fixture *fixture)
{
    uint64_t next_ns = wheel_next_ns(&fixture->wheel);
    uint64_t earliest_ns = earliest_wanted_ns(fixture);
    if (earliest_ns == UINT64_MAX) {
        assert_true(next_ns == UINT64_MAX);
        return;
    }
    uint64_t first_ns = earliest_ns < fixture->now_ns ? fixture->now_ns : earliest_ns;
    assert_true(next_ns < first_ns + NS_PER_MS);
}

static void advance_random(struct fixture *fixture)
{
    struct random *random = &fixture->random;
    uint32_t kind = random_below(random, 20);
    if (kind < 12)
        fixture->now_ns += random_below(random, 3000000);
    else if (kind < 17)
        fixture->now_ns += random_below(random, 2000) * NS_PER_MS;
    else if (kind < 19)
        fixture->now_ns += random_below(random, 10000) * NS_PER_MS;
    else
        fixture->now_ns += random_below(random, 6000) * NS_PER_SECOND;
}

static void run_against_oracle(struct fixture *fixture, uint64_t seed)
{
    random_init_seed(&fixture->random, seed);
    for (int step = 0; step < 4000; step++) {
        for (uint32_t i = random_below(&fixture->random, 12); i != 0; i--)
            arm_random(fixture);
        if (random_below(&fixture->random, 4) == 0)
            disarm_random(fixture);
        expect_lower_bound(fixture);
        advance_random(fixture);
        if (random_below(&fixture->random, 3) == 0) {
            turn_and_cross_off(fixture, random_below(&fixture->random, 8));
            expect_lower_bound(fixture);
            continue;
        }
        assert_true(turn_and_cross_off(fixture, TIMER_COUNT) < TIMER_COUNT);
        expect_nothing_late(fixture);
        expect_counts_agree(fixture);
        expect_lower_bound(fixture);
    }
    fixture->now_ns += 40000 * NS_PER_SECOND;
    turn_and_cross_off(fixture, TIMER_COUNT);
    assert_int_equal(fixture->wheel.armed_count, 0);
    expect_counts_agree(fixture);
    assert_true(wheel_next_ns(&fixture->wheel) == UINT64_MAX);
}

/* Forty seeds, one wheel, so that wheel time also passes 2^32 ms on the way. */
static void random_use_agrees_with_the_oracle(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        run_against_oracle(fixture, seed);
    assert_true(fixture->wheel.turned_ms > UINT32_MAX);
}

/* A thread that sleeps until wheel_next_ns() and turns then misses nothing: each timer is out
 * within a millisecond of its time, and there is an end to the waking. */
static void sleeping_until_next_is_enough(void **state)
{
    struct fixture *fixture = *state;
    random_init_seed(&fixture->random, 99);
    for (int i = 0; i < 600; i++)
        arm_random(fixture);
    uint32_t turns = 0;
    while (fixture->wheel.armed_count != 0) {
        uint64_t next_ns = wheel_next_ns(&fixture->wheel);
        if (next_ns > fixture->now_ns)
            fixture->now_ns = next_ns;
        turn_and_cross_off(fixture, TIMER_COUNT);
        expect_nothing_late(fixture);
        assert_true(++turns < 20 * TIMER_COUNT);
    }
}

/* ---- single traits ---- */

static uint32_t turn_at(struct fixture *fixture, uint64_t now_ns, uint32_t max)
{
    static uint32_t due[MANY_COUNT];
    return wheel_turn(&fixture->wheel, now_ns, due, max);
}

/* Not a nanosecond early, and out a millisecond later, at distances around every border. */
static void timers_are_never_early(void **state)
{
    struct fixture *fixture = *state;
    static const uint64_t delays_ms[] = {
        1,           1023,        1024,     1025, 4095, 4096, 4097, 8192, 4096 * 1024 - 1,
        4096 * 1024, 4097 * 1024, 100000000};
    uint64_t now_ns = ORIGIN_NS;
    for (size_t i = 0; i < ARRAY_COUNT(delays_ms); i++) {
        for (int early_ns = 1; early_ns >= -1; early_ns--) {
            uint64_t due_ns = now_ns + delays_ms[i] * NS_PER_MS - (uint64_t)(int64_t)early_ns;
            wheel_arm(&fixture->wheel, 7, due_ns);
            assert_int_equal(turn_at(fixture, due_ns - 1, 8), 0);
            assert_int_equal(turn_at(fixture, due_ns + NS_PER_MS, 8), 1);
            now_ns = due_ns + NS_PER_MS;
        }
    }
}

/* An instant in the past, and one in the millisecond just turned, come out at the next turn, even
 * when the clock has not moved. */
static void past_instants_are_due_at_once(void **state)
{
    struct fixture *fixture = *state;
    uint64_t now_ns = ORIGIN_NS + 5000 * NS_PER_MS;
    assert_int_equal(turn_at(fixture, now_ns, 8), 0);
    wheel_arm(&fixture->wheel, 1, 0);
    wheel_arm(&fixture->wheel, 2, now_ns);
    wheel_arm(&fixture->wheel, 3, now_ns - 4000 * NS_PER_MS);
    assert_true(wheel_next_ns(&fixture->wheel) <= now_ns);
    assert_int_equal(turn_at(fixture, now_ns, 8), 3);
    wheel_arm(&fixture->wheel, 1, now_ns);
    assert_int_equal(turn_at(fixture, now_ns, 8), 1);
}

/* A later re-arm touches no list: the timer stands where it stood until its slot comes, and is out
 * at its new time only. */
static void later_rearm_is_lazy(void **state)
{
    struct fixture *fixture = *state;
    wheel_arm(&fixture->wheel, 4, ORIGIN_NS + 10 * NS_PER_MS);
    struct wheel_timer before = fixture->wheel.timers[4];
    for (uint64_t delay_ms = 11; delay_ms < 500; delay_ms++)
        wheel_arm(&fixture->wheel, 4, ORIGIN_NS + delay_ms * NS_PER_MS);
    assert_int_equal(fixture->wheel.timers[4].slot, before.slot);
    assert_int_equal(fixture->wheel.armed_count, 1);
    assert_int_equal(turn_at(fixture, ORIGIN_NS + 498 * NS_PER_MS, 8), 0);
    assert_int_equal(turn_at(fixture, ORIGIN_NS + 499 * NS_PER_MS, 8), 1);
}

/* An earlier re-arm takes effect, from each level to each. */
static void earlier_rearm_takes_effect(void **state)
{
    struct fixture *fixture = *state;
    static const uint64_t delays_ms[] = {100000000, 4000000, 5000, 4000, 2, 1};
    for (size_t i = 0; i < ARRAY_COUNT(delays_ms); i++) {
        wheel_arm(&fixture->wheel, 4, ORIGIN_NS + delays_ms[i] * NS_PER_MS);
        assert_true(wheel_next_ns(&fixture->wheel) <= ORIGIN_NS + delays_ms[i] * NS_PER_MS);
    }
    assert_int_equal(turn_at(fixture, ORIGIN_NS + NS_PER_MS, 8), 1);
}

/* With room for ten a turn, twenty thousand due timers come out ten a turn, each once. */
static void turns_are_bounded_and_carry_over(void **state)
{
    struct fixture *fixture = *state;
    static bool is_out[MANY_COUNT];
    uint32_t due[10];
    for (uint32_t i = 0; i < MANY_COUNT; i++)
        wheel_arm(&fixture->wheel, i, ORIGIN_NS + (i % 3 + 1) * NS_PER_MS);
    uint64_t now_ns = ORIGIN_NS + 10 * NS_PER_MS;
    for (uint32_t turn = 0; turn < MANY_COUNT / 10; turn++) {
        assert_true(wheel_next_ns(&fixture->wheel) <= now_ns);
        assert_int_equal(wheel_turn(&fixture->wheel, now_ns, due, 10), 10);
        for (uint32_t i = 0; i < 10; i++) {
            assert_false(is_out[due[i]]);
            is_out[due[i]] = true;
        }
    }
    assert_int_equal(wheel_turn(&fixture->wheel, now_ns, due, 10), 0);
    assert_int_equal(fixture->wheel.armed_count, 0);
}

/* Twenty thousand timers coming near in one far slot move in bounded steps, and all are out after
 * as many turns as the bound says. */
static void moves_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    uint64_t due_ns = ORIGIN_NS + 10240 * NS_PER_MS;
    for (uint32_t i = 0; i < MANY_COUNT; i++)
        wheel_arm(&fixture->wheel, i, due_ns);
    uint32_t out = 0;
    uint32_t turns = 0;
    while (out < MANY_COUNT) {
        assert_true(wheel_next_ns(&fixture->wheel) <= due_ns);
        out += turn_at(fixture, due_ns, MANY_COUNT);
        assert_true(++turns <= MANY_COUNT / WHEEL_MOVES_MAX + 1);
    }
    assert_true(turns > MANY_COUNT / WHEEL_MOVES_MAX);
}

/* Disarmed timers do not come out, from either level, and disarming twice is allowed. */
static void disarmed_timers_stay_in(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 10; i++)
        wheel_arm(&fixture->wheel, i, ORIGIN_NS + (i % 2 == 0 ? 10 : 10000) * NS_PER_MS);
    for (uint32_t i = 0; i < 10; i++) {
        wheel_disarm(&fixture->wheel, i);
        wheel_disarm(&fixture->wheel, i);
        assert_false(wheel_is_armed(&fixture->wheel, i));
    }
    assert_int_equal(fixture->wheel.armed_count, 0);
    assert_int_equal(turn_at(fixture, ORIGIN_NS + 20000 * NS_PER_MS, 8), 0);
}

/* A clock that stands, or that was injected before the origin, turns nothing and harms nothing. */
static void standing_clocks_are_harmless(void **state)
{
    struct fixture *fixture = *state;
    wheel_arm(&fixture->wheel, 1, ORIGIN_NS + 5 * NS_PER_MS);
    assert_int_equal(turn_at(fixture, 0, 8), 0);
    assert_int_equal(turn_at(fixture, ORIGIN_NS, 8), 0);
    assert_int_equal(turn_at(fixture, ORIGIN_NS + 4 * NS_PER_MS, 8), 0);
    assert_int_equal(turn_at(fixture, ORIGIN_NS, 8), 0);
    assert_int_equal(turn_at(fixture, ORIGIN_NS + 5 * NS_PER_MS, 8), 1);
}

/* "Never" as an instant stays armed and is not taken for the past. */
static void endless_instants_wait(void **state)
{
    struct fixture *fixture = *state;
    wheel_arm(&fixture->wheel, 1, UINT64_MAX);
    for (uint64_t hour = 1; hour < 100; hour++)
        assert_int_equal(turn_at(fixture, ORIGIN_NS + hour * 3600 * NS_PER_SECOND, 8), 0);
    assert_true(wheel_is_armed(&fixture->wheel, 1));
}

/* An arena too small for the tables is an error at start. */
static void small_arena_is_an_error(void **state)
{
    (void)state;
    struct arena arena;
    struct wheel wheel;
    assert_int_equal(arena_create(&arena, "wheel", 16384, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_int_equal(wheel_init(&wheel, &arena, 10, 0), ERROR_NO_MEMORY);
    arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_use_agrees_with_the_oracle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sleeping_until_next_is_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(timers_are_never_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(past_instants_are_due_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(later_rearm_is_lazy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(earlier_rearm_takes_effect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turns_are_bounded_and_carry_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moves_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disarmed_timers_stay_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(standing_clocks_are_harmless, set_up, tear_down),
        cmocka_unit_test_setup_teardown(endless_instants_wait, set_up, tear_down),
        cmocka_unit_test(small_arena_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
