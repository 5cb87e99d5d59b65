/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/ring.c: items come out once, in the order they went in; a full ring refuses and
 * leaves the item with its giver; givers on several threads lose nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <cmocka.h>

#include "stentor/ring.h"

static void *item_of(uintptr_t number)
{
    return (void *)number;
}

/* Capacity - 1 items go in, the next is refused and kept, all come out in order. */
static void expect_full_ring_refuses(bool is_mpsc)
{
    struct heap heap;
    struct ring *ring;
    heap_init(&heap, 1 << 20);
    assert_int_equal(ring_create(&ring, &heap, 8), ERROR_NONE);
    for (int round = 0; round < 20; round++) {
        assert_null(is_mpsc ? ring_take_mpsc(ring) : ring_take_spsc(ring));
        for (uintptr_t i = 1; i <= 7; i++) {
            void *item = item_of(i);
            assert_true(is_mpsc ? ring_give_mpsc(ring, &item) : ring_give_spsc(ring, &item));
            assert_null(item);
            assert_int_equal(ring_count(ring), i);
        }
        void *refused = item_of(99);
        assert_false(is_mpsc ? ring_give_mpsc(ring, &refused) : ring_give_spsc(ring, &refused));
        assert_ptr_equal(refused, item_of(99));
        for (uintptr_t i = 1; i <= 7; i++)
            assert_ptr_equal(is_mpsc ? ring_take_mpsc(ring) : ring_take_spsc(ring), item_of(i));
        assert_null(is_mpsc ? ring_take_mpsc(ring) : ring_take_spsc(ring));
        assert_int_equal(ring_count(ring), 0);
    }
    ring_destroy(&ring, &heap);
    assert_null(ring);
    ring_destroy(&ring, &heap);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* A full ring of one giver. */
static void full_spsc_ring_refuses(void **state)
{
    (void)state;
    expect_full_ring_refuses(false);
}

/* A full ring of many givers. */
static void full_mpsc_ring_refuses(void **state)
{
    (void)state;
    expect_full_ring_refuses(true);
}

/* Capacities that are no power of two, too small or too large, or over the heap's ceiling. */
static void odd_capacities_are_errors(void **state)
{
    (void)state;
    struct heap heap;
    struct ring *ring;
    heap_init(&heap, 1000);
    const uint32_t capacities[] = {0, 1, 3, 7, 9, UINT32_MAX, UINT32_C(1) << 31};
    for (size_t i = 0; i < ARRAY_COUNT(capacities); i++) {
        assert_int_equal(ring_create(&ring, &heap, capacities[i]), ERROR_INVALID);
        assert_null(ring);
    }
    assert_int_equal(ring_create(&ring, &heap, 1024), ERROR_NO_MEMORY);
    assert_null(ring);
}

#define GIVER_COUNT 3u
#define ITEM_COUNT 20000u

struct giver {
    struct ring *ring;
    uintptr_t number;
    bool is_mpsc;
};

static void *give_items(void *argument)
{
    const struct giver *giver = argument;
    for (uintptr_t i = 1; i <= ITEM_COUNT; i++) {
        void *item = item_of(giver->number << 32 | i);
        while (!(giver->is_mpsc ? ring_give_mpsc(giver->ring, &item)
                                : ring_give_spsc(giver->ring, &item)))
            sched_yield();
    }
    return NULL;
}

/* From each giver every item arrives, once and in order, through a ring that is often full. */
static void expect_all_in_order(uint32_t giver_count, bool is_mpsc)
{
    struct heap heap;
    struct ring *ring;
    heap_init(&heap, 1 << 20);
    assert_int_equal(ring_create(&ring, &heap, 64), ERROR_NONE);
    pthread_t threads[GIVER_COUNT];
    struct giver givers[GIVER_COUNT];
    for (uint32_t i = 0; i < giver_count; i++) {
        givers[i] = (struct giver){ring, i, is_mpsc};
        assert_int_equal(pthread_create(&threads[i], NULL, give_items, &givers[i]), 0);
    }
    uint32_t last[GIVER_COUNT] = {0};
    for (uint32_t left = giver_count * ITEM_COUNT; left != 0;) {
        void *item = is_mpsc ? ring_take_mpsc(ring) : ring_take_spsc(ring);
        if (item == NULL) {
            sched_yield();
            continue;
        }
        uint32_t giver = (uint32_t)((uintptr_t)item >> 32);
        assert_true(giver < giver_count);
        assert_int_equal((uint32_t)(uintptr_t)item, ++last[giver]);
        left--;
    }
    for (uint32_t i = 0; i < giver_count; i++)
        pthread_join(threads[i], NULL);
    assert_null(is_mpsc ? ring_take_mpsc(ring) : ring_take_spsc(ring));
    ring_destroy(&ring, &heap);
}

/* One giver thread, one taker thread. */
static void spsc_keeps_order_between_threads(void **state)
{
    (void)state;
    expect_all_in_order(1, false);
}

/* Several giver threads, one taker thread. */
static void mpsc_loses_nothing_between_threads(void **state)
{
    (void)state;
    expect_all_in_order(GIVER_COUNT, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_spsc_ring_refuses),
        cmocka_unit_test(full_mpsc_ring_refuses),
        cmocka_unit_test(odd_capacities_are_errors),
        cmocka_unit_test(spsc_keeps_order_between_threads),
        cmocka_unit_test(mpsc_loses_nothing_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
