/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/heap.c: what goes out is counted, the ceiling holds, and a block may be given
 * back by another thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <pthread.h>
#include <cmocka.h>

#include "stentor/assert.h"
#include "stentor/heap.h"

/* Used rises by at least what was asked, and is back at zero when all is given. */
static void takes_and_gives_balance(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, 1 << 20);
    void *blocks[100];
    uint64_t asked = 0;
    for (size_t i = 0; i < ARRAY_COUNT(blocks); i++) {
        blocks[i] = heap_take(&heap, i * 7);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], 0xa5, i * 7);
        asked += i * 7;
        assert_true(heap_used_bytes(&heap) >= asked);
    }
    for (size_t i = 0; i < ARRAY_COUNT(blocks); i++)
        heap_give(&heap, blocks[i]);
    heap_give(&heap, NULL);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* Zeroed means every octet, also of a block that was dirty in its last life. */
static void zeroed_blocks_are_zero(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, 1 << 20);
    for (size_t round = 0; round < 4; round++) {
        uint8_t *block = heap_take_zeroed(&heap, 1000);
        assert_non_null(block);
        for (size_t i = 0; i < 1000; i++)
            assert_int_equal(block[i], 0);
        memset(block, 0xff, 1000);
        heap_give(&heap, block);
    }
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* At the ceiling a take is refused and counts nothing; after a give it succeeds again. */
static void ceiling_refuses(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, 4096);
    assert_null(heap_take(&heap, 4097));
    assert_null(heap_take(&heap, SIZE_MAX));
    assert_null(heap_take_zeroed(&heap, SIZE_MAX / 2));
    assert_int_equal(heap_used_bytes(&heap), 0);

    void *blocks[64];
    size_t count = 0;
    while (count < ARRAY_COUNT(blocks) && (blocks[count] = heap_take(&heap, 256)) != NULL)
        count++;
    assert_in_range(count, 8, 16);
    uint64_t used = heap_used_bytes(&heap);
    assert_null(heap_take(&heap, 256));
    assert_int_equal(heap_used_bytes(&heap), used);
    heap_give(&heap, blocks[--count]);
    blocks[count] = heap_take(&heap, 256);
    assert_non_null(blocks[count++]);
    while (count != 0)
        heap_give(&heap, blocks[--count]);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* A machine that has no more is a refusal like the ceiling, and counts nothing. */
static void exhausted_machine_refuses(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* the sanitizer ends the process instead */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    skip();
#endif
#endif
    struct heap heap;
    heap_init(&heap, UINT64_MAX);
    assert_null(heap_take(&heap, (size_t)1 << 60));
    assert_null(heap_take_zeroed(&heap, (size_t)1 << 60));
    assert_int_equal(heap_used_bytes(&heap), 0);
}

struct exchange {
    struct heap *heap;
    void *blocks[1000];
};

static void *give_all(void *argument)
{
    struct exchange *exchange = argument;
    for (size_t i = 0; i < ARRAY_COUNT(exchange->blocks); i++)
        heap_give(exchange->heap, exchange->blocks[i]);
    return NULL;
}

/* Blocks taken here and given back there are counted off all the same. */
static void other_threads_may_give(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, 1 << 20);
    struct exchange exchange = {.heap = &heap};
    for (size_t i = 0; i < ARRAY_COUNT(exchange.blocks); i++)
        exchange.blocks[i] = heap_take(&heap, 64);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, give_all, &exchange), 0);
    pthread_join(thread, NULL);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_and_gives_balance), cmocka_unit_test(zeroed_blocks_are_zero),
        cmocka_unit_test(ceiling_refuses),         cmocka_unit_test(exhausted_machine_refuses),
        cmocka_unit_test(other_threads_may_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
