/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/pool.c: rows are handed out once, an empty pool refuses, and a handle stops
 * matching when its row is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/pool.h"
#include "stentor/random.h"

#define ROW_COUNT 257u
#define WORKER 3u

struct fixture {
    struct arena arena;
    struct pool pool;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    if (arena_create(&fixture.arena, "pool", 1 << 20, ARENA_PAGES_SMALL) ||
        pool_init(&fixture.pool, &fixture.arena, ROW_COUNT, WORKER))
        return -1;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_destroy(&fixture->arena);
    return 0;
}

static struct pool *pool_of(void **state)
{
    return &((struct fixture *)*state)->pool;
}

/* Every row comes out once, then the pool refuses; a row given back comes out again. */
static void empty_pool_refuses(void **state)
{
    struct pool *pool = pool_of(state);
    bool is_out[ROW_COUNT] = {false};
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        uint32_t index = pool_take(pool);
        assert_true(index < ROW_COUNT);
        assert_false(is_out[index]);
        is_out[index] = true;
        assert_int_equal(pool->used, i + 1);
    }
    assert_int_equal(pool_take(pool), POOL_NONE);
    assert_int_equal(pool->used, ROW_COUNT);
    pool_give(pool, 100);
    assert_int_equal(pool_take(pool), 100);
    assert_int_equal(pool_take(pool), POOL_NONE);
}

/* A handle names all of worker, generation and row: each of them wrong finds nothing. */
static void stale_handles_find_nothing(void **state)
{
    struct pool *pool = pool_of(state);
    uint32_t index = pool_take(pool);
    struct handle handle = pool_handle(pool, index);
    assert_false(handle_is_none(handle));
    assert_int_equal(pool_find(pool, handle), index);
    uint16_t generation = handle_generation(handle);
    assert_int_equal(pool_find(pool, handle_of(WORKER + 1, generation, index)), POOL_NONE);
    assert_int_equal(pool_find(pool, handle_of(WORKER, generation, index + 1)), POOL_NONE);
    assert_int_equal(pool_find(pool, handle_of(WORKER, generation, POOL_NONE)), POOL_NONE);
    assert_int_equal(pool_find(pool, HANDLE_NONE), POOL_NONE);

    pool_give(pool, index);
    assert_false(pool_is_live(pool, index));
    assert_int_equal(pool_find(pool, handle), POOL_NONE);
    /* Not even a handle of the even generation a free row has. */
    assert_int_equal(pool_find(pool, pool_handle(pool, index)), POOL_NONE);

    assert_int_equal(pool_take(pool), index);
    assert_int_equal(pool_find(pool, handle), POOL_NONE);
    assert_int_equal(pool_find(pool, pool_handle(pool, index)), index);
}

/* The generation goes once round its 16 bits: live rows stay odd, and no handle is ever none. */
static void generations_wrap(void **state)
{
    struct pool *pool = pool_of(state);
    uint32_t index = pool_take(pool);
    struct handle first = pool_handle(pool, index);
    for (uint32_t life = 1; life < 32768; life++) {
        pool_give(pool, index);
        assert_int_equal(pool_take(pool), index);
        assert_true(pool_is_live(pool, index));
        assert_false(handle_is_none(pool_handle(pool, index)));
        assert_int_equal(pool_find(pool, first), POOL_NONE);
    }
    pool_give(pool, index);
    assert_int_equal(pool->generations[index], 0);
    assert_false(pool_is_live(pool, index));
    assert_int_equal(pool_take(pool), index);
    assert_int_equal(pool_handle(pool, index).value, first.value);
}

/* Random takes and gives against a plain list of who is out. */
static void random_use_agrees_with_a_list(void **state)
{
    struct pool *pool = pool_of(state);
    struct random random;
    random_init_seed(&random, 11);
    struct handle out[ROW_COUNT];
    uint32_t count = 0;
    for (int step = 0; step < 20000; step++) {
        if (random_below(&random, 2) == 0) {
            uint32_t index = pool_take(pool);
            assert_int_equal(index == POOL_NONE, count == ROW_COUNT);
            if (index != POOL_NONE)
                out[count++] = pool_handle(pool, index);
        } else if (count != 0) {
            uint32_t chosen = random_below(&random, count);
            pool_give(pool, handle_index(out[chosen]));
            assert_int_equal(pool_find(pool, out[chosen]), POOL_NONE);
            out[chosen] = out[--count];
        }
        assert_int_equal(pool->used, count);
        if (count != 0) {
            struct handle some = out[random_below(&random, count)];
            assert_int_equal(pool_find(pool, some), handle_index(some));
        }
    }
}

/* Freed rows are used again before new ones are touched. */
static void high_water_stays_low(void **state)
{
    struct pool *pool = pool_of(state);
    for (int i = 0; i < 1000; i++) {
        uint32_t a = pool_take(pool);
        uint32_t b = pool_take(pool);
        pool_give(pool, a);
        pool_give(pool, b);
    }
    assert_int_equal(pool->high_water, 2);
}

/* An arena too small for the arrays is an error at start. */
static void small_arena_is_an_error(void **state)
{
    (void)state;
    struct arena arena;
    struct pool pool;
    assert_int_equal(arena_create(&arena, "pool", 8192, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_int_equal(pool_init(&pool, &arena, 100000, 0), ERROR_NO_MEMORY);
    arena_destroy(&arena);
}

/* The parts of a handle do not touch each other. */
static void handles_hold_their_parts(void **state)
{
    (void)state;
    struct handle handle = handle_of(0xfe, 0xfedc, 0xfedcba98);
    assert_int_equal(handle_worker(handle), 0xfe);
    assert_int_equal(handle_generation(handle), 0xfedc);
    assert_int_equal(handle_index(handle), 0xfedcba98);
    assert_true(handle_is_none(HANDLE_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_pool_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stale_handles_find_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(generations_wrap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_use_agrees_with_a_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(high_water_stays_low, set_up, tear_down),
        cmocka_unit_test(small_arena_is_an_error),
        cmocka_unit_test(handles_hold_their_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
