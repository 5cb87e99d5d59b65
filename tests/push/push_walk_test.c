/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/push/push_walk.c: exactly the wanted sessions are matched, each once, in bounded
 * slices, at the rate asked for, and the increments told add up to what was done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <roaring/roaring.h>

#include "stentor/push.h"

#define ROW_COUNT 20000u
#define SECOND UINT64_C(1000000000)

struct fixture {
    struct arena arena;
    struct heap heap;
    struct session_table sessions;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    heap_init(&fixture.heap, 1 << 20);
    if (arena_create(&fixture.arena, "walk", 4 << 20, ARENA_PAGES_SMALL) ||
        session_table_init(&fixture.sessions, &fixture.arena, &fixture.heap, ROW_COUNT))
        return -1;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    session_table_fini(&fixture->sessions);
    arena_destroy(&fixture->arena);
    return 0;
}

static struct session_table *sessions_of(void **state)
{
    return &((struct fixture *)*state)->sessions;
}

static void log_in(struct session_table *sessions, uint32_t row, uint32_t account, int priority)
{
    session_open(sessions, row, 0);
    assert_int_equal(session_bind(sessions, row, account, BYTES("u"), BYTES("r")), ERROR_NONE);
    session_set_presence(sessions, row, true, (int8_t)priority, 0);
}

static const struct push_job online = {.target = PUSH_ONLINE, .rate = 100000000};

/* Of each kind of row, only bound, available, of priority 0 or more and not closing are matched,
 * and for `users` only those in the audience. */
static void only_the_wanted_are_matched(void **state)
{
    struct session_table *sessions = sessions_of(state);
    session_open(sessions, 1, 0);
    log_in(sessions, 2, 20, 0);
    log_in(sessions, 3, 30, -1);
    log_in(sessions, 4, 40, 127);
    log_in(sessions, 5, 50, 0);
    session_set_presence(sessions, 5, false, 0, 0);
    log_in(sessions, 6, 60, 0);
    session_at(sessions, 6)->flags |= SESSION_CLOSING;
    log_in(sessions, 7, 70, -128);
    log_in(sessions, 8, 80, 1);
    struct push_walk walk;
    uint32_t conns[16];
    push_walk_begin(&walk, &online, 9, 0);
    assert_false(push_walk_is_done(&walk));
    assert_int_equal(push_walk_slice(&walk, sessions, 1000, conns, 16), 3);
    assert_int_equal(conns[0], 2);
    assert_int_equal(conns[1], 4);
    assert_int_equal(conns[2], 8);
    assert_true(push_walk_is_done(&walk));
    assert_int_equal(push_walk_next_ns(&walk), UINT64_MAX);
    push_walk_end(&walk);

    roaring_bitmap_t *audience = roaring_bitmap_of(3, 30, 40, 90);
    struct push_job users = {.target = PUSH_USERS, .rate = 100000000, .audience = audience};
    push_walk_begin(&walk, &users, 9, 0);
    assert_int_equal(push_walk_slice(&walk, sessions, 1000, conns, 16), 1);
    assert_int_equal(conns[0], 4);
    push_walk_end(&walk);
    roaring_bitmap_free(audience);
}

/* No rows at all: over before it began. */
static void nobody_is_done_at_once(void **state)
{
    struct push_walk walk;
    uint32_t conns[1];
    push_walk_begin(&walk, &online, 0, 5);
    assert_true(push_walk_is_done(&walk));
    assert_int_equal(push_walk_slice(&walk, sessions_of(state), 6, conns, 1), 0);
    struct push_report report;
    push_walk_report(&walk, 0, 0, true, &report);
    assert_true(report.is_walked);
    assert_true(report.is_released);
    push_walk_end(&walk);
}

/* A slice looks at no more than 4,096 rows and gives no more than asked; rows at or above row_end
 * are not for this push. */
static void slices_are_bounded(void **state)
{
    struct session_table *sessions = sessions_of(state);
    log_in(sessions, 10000, 1, 0);
    log_in(sessions, 10001, 2, 0);
    log_in(sessions, 15000, 3, 0);
    struct push_walk walk;
    uint32_t conns[64];
    push_walk_begin(&walk, &online, 15000, 0);
    assert_int_equal(push_walk_slice(&walk, sessions, SECOND, conns, 64), 0);
    assert_int_equal(walk.next_row, 4096);
    assert_int_equal(push_walk_slice(&walk, sessions, SECOND, conns, 64), 0);
    assert_int_equal(push_walk_slice(&walk, sessions, SECOND, conns, 1), 1);
    assert_int_equal(walk.next_row, 10001);
    assert_int_equal(push_walk_slice(&walk, sessions, SECOND, conns, 64), 1);
    assert_int_equal(conns[0], 10001);
    assert_int_equal(push_walk_slice(&walk, sessions, SECOND, conns, 64), 0);
    assert_true(push_walk_is_done(&walk));
    push_walk_end(&walk);
}

/* At every rate, over ten seconds of turns of odd lengths, no more is matched than rate and time
 * allow, and no less than nearly that. */
static void rate_is_kept(void **state)
{
    struct session_table *sessions = sessions_of(state);
    for (uint32_t row = 0; row < ROW_COUNT; row++)
        log_in(sessions, row, row + 1, 0);
    const uint32_t rates[] = {1, 3, 7, 99, 1000, 1999};
    struct random random;
    random_init_seed(&random, 8);
    for (size_t r = 0; r < ARRAY_COUNT(rates); r++) {
        struct push_job job = {.target = PUSH_ONLINE, .rate = rates[r]};
        struct push_walk walk;
        uint32_t conns[64];
        uint64_t now_ns = 77;
        uint64_t matched = 0;
        push_walk_begin(&walk, &job, ROW_COUNT, now_ns);
        while (now_ns < 10 * SECOND) {
            now_ns += 1 + random_below(&random, 60000);
            matched += push_walk_slice(&walk, sessions, now_ns, conns, 64);
            assert_true(matched <= 2 + rates[r] * now_ns / SECOND);
        }
        assert_true(matched >= (uint64_t)rates[r] * 995 / 100);
        push_walk_end(&walk);
    }
}

/* Turns of a nanosecond or three, where rounding would add up, keep the rate too. */
static void rate_is_kept_in_tiny_turns(void **state)
{
    struct session_table *sessions = sessions_of(state);
    for (uint32_t row = 0; row < ROW_COUNT; row++)
        log_in(sessions, row, row + 1, 0);
    struct push_job job = {.target = PUSH_ONLINE, .rate = 1500007};
    struct push_walk walk;
    uint32_t conns[64];
    uint64_t now_ns = 0;
    uint64_t matched = 0;
    push_walk_begin(&walk, &job, ROW_COUNT, now_ns);
    while (now_ns < SECOND / 200) {
        now_ns += 1 + now_ns % 3;
        matched += push_walk_slice(&walk, sessions, now_ns, conns, 64);
        assert_true(matched <= 2 + job.rate * now_ns / SECOND);
    }
    assert_in_range(matched, 7400, 7502);
    push_walk_end(&walk);
}

/* Waiting until push_walk_next_ns and no longer is enough for the next stream, to the nanosecond;
 * a long pause gives one burst, not a flood. */
static void next_instant_is_exact(void **state)
{
    struct session_table *sessions = sessions_of(state);
    for (uint32_t row = 0; row < ROW_COUNT; row++)
        log_in(sessions, row, row + 1, 0);
    struct push_job job = {.target = PUSH_ONLINE, .rate = 300};
    struct push_walk walk;
    uint32_t conns[64];
    push_walk_begin(&walk, &job, ROW_COUNT, 0);
    assert_int_equal(push_walk_slice(&walk, sessions, 0, conns, 64), 1);
    for (int i = 0; i < 100; i++) {
        uint64_t next_ns = push_walk_next_ns(&walk);
        assert_int_equal(push_walk_slice(&walk, sessions, next_ns - 1, conns, 64), 0);
        assert_true(push_walk_next_ns(&walk) <= next_ns + 1);
        assert_int_equal(push_walk_slice(&walk, sessions, push_walk_next_ns(&walk), conns, 64), 1);
    }
    uint64_t late_ns = push_walk_next_ns(&walk) + 3600 * SECOND;
    assert_int_equal(push_walk_slice(&walk, sessions, late_ns, conns, 64), 3);
    assert_int_equal(push_walk_slice(&walk, sessions, late_ns, conns, 64), 0);
    push_walk_end(&walk);
}

/* Increments are told once; the first report after the walk says so and takes the set along. */
static void reports_tell_increments(void **state)
{
    struct session_table *sessions = sessions_of(state);
    log_in(sessions, 0, 5, 0);
    log_in(sessions, 1, 7, 0);
    log_in(sessions, 2, 5, 0);
    struct push_job job = {.target = PUSH_ALL, .rate = 1000000};
    struct push_walk walk;
    uint32_t conns[4];
    struct push_report report;
    push_walk_begin(&walk, &job, 3, 0);
    assert_int_equal(push_walk_slice(&walk, sessions, SECOND, conns, 2), 2);
    push_walk_written(&walk, 5, SECOND + 1);
    push_walk_report(&walk, 0, 0, false, &report);
    assert_ptr_equal(report.job, &job);
    assert_int_equal(report.matched, 2);
    assert_int_equal(report.written, 1);
    assert_int_equal(report.first_write_at_ns, SECOND + 1);
    assert_null(report.reached);
    assert_false(report.is_walked);

    push_walk_failed(&walk, 7, PUSH_FAILED_OVERFLOW);
    assert_int_equal(push_walk_slice(&walk, sessions, SECOND, conns, 4), 1);
    push_walk_report(&walk, 1, 0, false, &report);
    assert_int_equal(report.matched, 1);
    assert_int_equal(report.written, 0);
    assert_int_equal(report.acked, 1);
    assert_int_equal(report.failed[PUSH_FAILED_OVERFLOW], 1);
    assert_int_equal(report.first_write_at_ns, 0);
    assert_true(report.is_walked);
    assert_non_null(report.reached);
    assert_int_equal(roaring_bitmap_get_cardinality(report.reached), 2);
    assert_true(roaring_bitmap_contains(report.reached, 5));
    assert_true(roaring_bitmap_contains(report.reached, 7));
    roaring_bitmap_free(report.reached);

    push_walk_written(&walk, 5, SECOND + 2);
    push_walk_report(&walk, 0, 1, true, &report);
    assert_int_equal(report.matched, 0);
    assert_int_equal(report.written, 1);
    assert_int_equal(report.lost, 1);
    assert_false(report.is_walked);
    assert_null(report.reached);
    assert_true(report.is_released);
    push_walk_end(&walk);
}

/* Sessions coming and going during the walk: none is matched twice in one life, those that stay
 * are matched. */
static void churn_matches_no_life_twice(void **state)
{
    struct session_table *sessions = sessions_of(state);
    struct random random;
    random_init_seed(&random, 12);
    static uint8_t matches[ROW_COUNT];
    static bool has_stayed[ROW_COUNT];
    memset(matches, 0, sizeof matches);
    for (uint32_t row = 0; row < ROW_COUNT; row++) {
        log_in(sessions, row, row + 1, 0);
        has_stayed[row] = true;
    }
    struct push_walk walk;
    uint32_t conns[128];
    uint64_t now_ns = 0;
    push_walk_begin(&walk, &online, ROW_COUNT, now_ns);
    while (!push_walk_is_done(&walk)) {
        now_ns += 100000;
        uint32_t count = push_walk_slice(&walk, sessions, now_ns, conns, 128);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(++matches[conns[i]], 1);
        uint32_t row = random_below(&random, ROW_COUNT);
        session_close(sessions, row);
        log_in(sessions, row, row + 1, 0);
        matches[row] = 0;
        has_stayed[row] = false;
    }
    for (uint32_t row = 0; row < ROW_COUNT; row++)
        assert_true(!has_stayed[row] || matches[row] == 1);
    push_walk_end(&walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_wanted_are_matched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_done_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slices_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rate_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rate_is_kept_in_tiny_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(next_instant_is_exact, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reports_tell_increments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(churn_matches_no_life_twice, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
