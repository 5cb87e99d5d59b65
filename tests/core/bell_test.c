/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stentor/bell.h"
#include "stentor/heap.h"
#include "stentor/ring.h"

static int is_readable(const struct bell *bell)
{
    struct pollfd poll_one = {.fd = bell->descriptor, .events = POLLIN};
    return poll(&poll_one, 1, 0);
}

/* An awake thread is not rung for; a dozing one is; rising silences it. */
static void rings_only_for_a_dozing_thread(void **state)
{
    (void)state;
    struct bell bell;
    assert_int_equal(bell_init(&bell), ERROR_NONE);
    bell_wake(&bell);
    assert_int_equal(is_readable(&bell), 0);
    bell_doze(&bell);
    bell_wake(&bell);
    assert_int_equal(is_readable(&bell), 1);
    bell_rise(&bell);
    assert_int_equal(is_readable(&bell), 0);
    bell_wake_by_signal(&bell);
    assert_int_equal(is_readable(&bell), 1);
    bell_fini(&bell);
}

/* A silent bell can be rung and dozed with by anyone. */
static void silent_bell_does_nothing(void **state)
{
    (void)state;
    struct bell bell;
    bell_init_silent(&bell);
    bell_doze(&bell);
    bell_wake(&bell);
    bell_wake_by_signal(&bell);
    bell_rise(&bell);
    bell_fini(&bell);
    assert_int_equal(bell.descriptor, -1);
}

#define ITEMS 20000

struct pair {
    struct bell bell;
    struct ring *ring;
};

static void *give_items(void *argument)
{
    struct pair *pair = argument;
    for (uintptr_t i = 1; i <= ITEMS; i++) {
        void *item = (void *)i;
        while (!ring_give_spsc(pair->ring, &item))
            bell_wake(&pair->bell);
        bell_wake(&pair->bell);
    }
    return NULL;
}

/* No item is slept through: the sleeper only ever waits with a limit it must never reach. */
static void no_wake_is_lost(void **state)
{
    (void)state;
    struct heap heap;
    struct pair pair;
    heap_init(&heap, 1 << 20);
    assert_int_equal(bell_init(&pair.bell), ERROR_NONE);
    assert_int_equal(ring_create(&pair.ring, &heap, 64), ERROR_NONE);
    pthread_t giver;
    assert_int_equal(pthread_create(&giver, NULL, give_items, &pair), 0);
    for (uintptr_t expected = 1; expected <= ITEMS;) {
        void *item = ring_take_spsc(pair.ring);
        if (item == NULL) {
            bell_doze(&pair.bell);
            item = ring_take_spsc(pair.ring);
            if (item == NULL) {
                struct pollfd poll_one = {.fd = pair.bell.descriptor, .events = POLLIN};
                assert_int_equal(poll(&poll_one, 1, 20000), 1);
            }
            bell_rise(&pair.bell);
        }
        if (item != NULL)
            assert_int_equal((uintptr_t)item, expected++);
    }
    pthread_join(giver, NULL);
    ring_destroy(&pair.ring, &heap);
    bell_fini(&pair.bell);
}

/* A flag counts how often it was raised. */
static void flag_counts(void **state)
{
    (void)state;
    struct flag flag = {0};
    assert_int_equal(flag_raised(&flag), 0);
    flag_raise(&flag);
    flag_raise(&flag);
    assert_int_equal(flag_raised(&flag), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_only_for_a_dozing_thread),
        cmocka_unit_test(silent_bell_does_nothing),
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(flag_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
