/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/session/session.c: names come back as they went in, short or spilled, the counts
 * follow the lives of rows, and a refused block leaves everything as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"
#include "stentor/session.h"

#define ROW_COUNT 200u

struct fixture {
    struct arena arena;
    struct heap heap;
    struct session_table table;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    heap_init(&fixture.heap, 8u << 20);
    if (arena_create(&fixture.arena, "session", 1 << 20, ARENA_PAGES_SMALL) ||
        session_table_init(&fixture.table, &fixture.arena, &fixture.heap, ROW_COUNT))
        return -1;
    *state = &fixture;
    return 0;
}

/* Whatever a test left behind goes with the table: nothing stays taken from the heap. */
static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    session_table_fini(&fixture->table);
    arena_destroy(&fixture->arena);
    return heap_used_bytes(&fixture->heap) == 0 ? 0 : -1;
}

static struct session_table *table_of(void **state)
{
    return &((struct fixture *)*state)->table;
}

static void expect_names(const struct session_table *table, uint32_t conn, struct bytes local,
                         struct bytes resource)
{
    assert_true(bytes_equal(session_local(table, conn), local));
    assert_true(bytes_equal(session_resource(table, conn), resource));
}

/* A row goes from open to bound to available and back, and each count follows. */
static void counts_follow_a_life(void **state)
{
    struct session_table *table = table_of(state);
    session_open(table, 7, UINT64_C(12345678901));
    assert_int_equal(session_at(table, 7)->opened_at_s, 12);
    assert_int_equal(session_at(table, 7)->partial, SESSION_PARTIAL_NONE);
    assert_int_equal(table->open_count, 1);
    assert_int_equal(session_bind(table, 7, 99, BYTES("juliet"), BYTES("balcony")), ERROR_NONE);
    assert_int_equal(session_at(table, 7)->account, 99);
    assert_int_equal(table->bound_count, 1);
    assert_int_equal(table->available_count, 0);
    session_set_presence(table, 7, true, -5, 3);
    session_set_presence(table, 7, true, 5, 3);
    assert_int_equal(table->available_count, 1);
    assert_int_equal(session_at(table, 7)->priority, 5);
    assert_int_equal(session_at(table, 7)->show, 3);
    session_close(table, 7);
    assert_int_equal(table->open_count, 0);
    assert_int_equal(table->bound_count, 0);
    assert_int_equal(table->available_count, 0);
    struct session_row zero = {0};
    assert_memory_equal(session_at(table, 7), &zero, sizeof zero);
}

/* A refused binding leaves an open stream that can be bound anew under other names. */
static void unbind_allows_another_binding(void **state)
{
    struct session_table *table = table_of(state);
    session_open(table, 0, 0);
    assert_int_equal(session_bind(table, 0, 1, BYTES("a"), BYTES("b")), ERROR_NONE);
    session_set_presence(table, 0, true, 1, 0);
    session_unbind(table, 0);
    assert_int_equal(table->available_count, 0);
    assert_int_equal(table->bound_count, 0);
    assert_int_equal(table->open_count, 1);
    assert_false(session_matches(table, 0, BYTES("a"), BYTES("b")));
    assert_int_equal(session_bind(table, 0, 1, BYTES("a"), BYTES("c")), ERROR_NONE);
    assert_true(session_matches(table, 0, BYTES("a"), BYTES("c")));
}

/* Every split of every total size around the inline limit, and the largest names there can be,
 * come back octet for octet. */
static void names_of_any_size_come_back(void **state)
{
    struct session_table *table = table_of(state);
    uint8_t octets[2 * JID_PART_SIZE_MAX];
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)('a' + i % 23);
    const size_t totals[] = {2, 83, 84, 85, 86, 200, 1024, 2 * JID_PART_SIZE_MAX};
    for (size_t t = 0; t < ARRAY_COUNT(totals); t++) {
        for (size_t local = 1; local < totals[t]; local++) {
            if (local > JID_PART_SIZE_MAX || totals[t] - local > JID_PART_SIZE_MAX)
                continue;
            session_open(table, 3, 0);
            struct bytes name = bytes_of(octets, local);
            struct bytes resource = bytes_of(octets + local, totals[t] - local);
            assert_int_equal(session_bind(table, 3, 1, name, resource), ERROR_NONE);
            expect_names(table, 3, name, resource);
            bool is_spilled = (session_at(table, 3)->flags & SESSION_SPILLED) != 0;
            assert_int_equal(is_spilled, totals[t] > SESSION_NAMES_INLINE);
            session_close(table, 3);
        }
    }
}

/* Matching asks for the whole local part and, when one is given, the whole resource; a session
 * that is closing matches nothing. */
static void matches_only_its_names(void **state)
{
    struct session_table *table = table_of(state);
    session_open(table, 1, 0);
    assert_false(session_matches(table, 1, BYTES(""), BYTES("")));
    assert_int_equal(session_bind(table, 1, 1, BYTES("romeo"), BYTES("orchard")), ERROR_NONE);
    assert_true(session_matches(table, 1, BYTES("romeo"), BYTES("")));
    assert_true(session_matches(table, 1, BYTES("romeo"), BYTES("orchard")));
    assert_false(session_matches(table, 1, BYTES("rome"), BYTES("")));
    assert_false(session_matches(table, 1, BYTES("romeoo"), BYTES("")));
    assert_false(session_matches(table, 1, BYTES("romeo"), BYTES("orchar")));
    assert_false(session_matches(table, 1, BYTES("romeo"), BYTES("Orchard")));
    session_at(table, 1)->flags |= SESSION_CLOSING;
    assert_false(session_matches(table, 1, BYTES("romeo"), BYTES("orchard")));
}

/* Many spilled names at once: the table of blocks grows, places are used again, nothing mixes. */
static void spills_are_kept_apart(void **state)
{
    struct session_table *table = table_of(state);
    struct random random;
    random_init_seed(&random, 5);
    uint8_t octets[ROW_COUNT][128];
    bool is_open[ROW_COUNT] = {false};
    for (uint32_t row = 0; row < ROW_COUNT; row++)
        random_fill(&random, octets[row], sizeof octets[row]);
    for (int step = 0; step < 20000; step++) {
        uint32_t row = random_below(&random, ROW_COUNT);
        if (is_open[row]) {
            expect_names(table, row, bytes_of(octets[row], 100), bytes_of(octets[row] + 100, 28));
            session_close(table, row);
        } else {
            session_open(table, row, 0);
            assert_int_equal(session_bind(table, row, 1, bytes_of(octets[row], 100),
                                          bytes_of(octets[row] + 100, 28)),
                             ERROR_NONE);
        }
        is_open[row] = !is_open[row];
    }
    assert_true(table->spill_count <= 256);
}

/* The heap refuses at each point there is: the binding fails, the stream stays as it was, and
 * with memory back the same binding works. */
static void refused_spill_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct session_table *table = &fixture->table;
    uint8_t octets[200];
    memset(octets, 'x', sizeof octets);
    struct bytes local = bytes_of(octets, 150);
    struct bytes resource = bytes_of(octets, 50);
    session_open(table, 9, 0);
    uint64_t before = heap_used_bytes(&fixture->heap);
    uint32_t refusals = 0;
    for (uint64_t ceiling = before;; ceiling += 16) {
        fixture->heap.used_bytes_max = ceiling;
        if (session_bind(table, 9, 4, local, resource) == ERROR_NONE)
            break;
        refusals++;
        assert_int_equal(session_at(table, 9)->flags, SESSION_OPEN);
        assert_int_equal(session_at(table, 9)->account, 0);
        assert_int_equal(table->bound_count, 0);
    }
    assert_true(refusals > 2);
    expect_names(table, 9, local, resource);
    session_close(table, 9);
}

/* The gauges say what the table counts. */
static void metrics_show_the_counts(void **state)
{
    struct session_table *table = table_of(state);
    struct metrics metrics = {0};
    for (uint32_t row = 0; row < 6; row++)
        session_open(table, row, 0);
    for (uint32_t row = 0; row < 4; row++)
        assert_int_equal(session_bind(table, row, 1, BYTES("a"), BYTES("b")), ERROR_NONE);
    session_set_presence(table, 2, true, 0, 0);
    session_set_metrics(table, &metrics);
    assert_int_equal(metric_get(&metrics, METRIC_SESSION_STREAMS), 6);
    assert_int_equal(metric_get(&metrics, METRIC_SESSION_BOUND), 4);
    assert_int_equal(metric_get(&metrics, METRIC_SESSION_AVAILABLE), 1);
}

/* An arena too small is an error at start, and the size asked for beforehand is enough. */
static void arena_size_is_right(void **state)
{
    (void)state;
    struct arena arena;
    struct heap heap;
    struct session_table table;
    heap_init(&heap, 0);
    size_t size = ARENA_HEADER_SIZE + session_arena_bytes(1000);
    assert_int_equal(arena_create(&arena, "session", size, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_int_equal(session_table_init(&table, &arena, &heap, 100000), ERROR_NO_MEMORY);
    assert_int_equal(session_table_init(&table, &arena, &heap, 1000), ERROR_NONE);
    arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_follow_a_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unbind_allows_another_binding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_of_any_size_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(matches_only_its_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spills_are_kept_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_spill_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(metrics_show_the_counts, set_up, tear_down),
        cmocka_unit_test(arena_size_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
