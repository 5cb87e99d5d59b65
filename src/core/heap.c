/* SPDX-License-Identifier: Apache-2.0
 *
 * The counted heap, and the only file with malloc behind it: mimalloc in production, libc where a
 * sanitizer must see every block (meson option `heap`).
 *
 * A take first adds what is asked to used_bytes and looks at the ceiling after the addition, so
 * that threads racing for the last octets cannot both win. Once the block exists the count is
 * corrected to what it really occupies; a give subtracts the same figure, read from the block. The
 * ceiling may therefore be passed by the rounding of the last block and by nothing else. */
#include "stentor/heap.h"

#include <stdatomic.h>

#include "stentor/assert.h"

#ifdef STENTOR_HEAP_MIMALLOC
#include <mimalloc.h>
#define BLOCK_TAKE mi_malloc
#define BLOCK_TAKE_ZEROED mi_zalloc
#define BLOCK_GIVE mi_free
#define BLOCK_SIZE mi_usable_size
#else
#include <malloc.h>
#include <stdlib.h>
#define BLOCK_TAKE malloc
#define BLOCK_TAKE_ZEROED(size) calloc(1, size)
#define BLOCK_GIVE free
#define BLOCK_SIZE malloc_usable_size
#endif

/* The contract's alignment: mimalloc aligns blocks below 16 octets to 8 only. */
#define BLOCK_SIZE_MIN 16u

void heap_init(struct heap *heap, uint64_t used_bytes_max)
{
    atomic_init(&heap->used_bytes, 0);
    heap->used_bytes_max = used_bytes_max;
}

/* Relaxed everywhere: the count orders nothing, it is only summed. */
static bool reserve(struct heap *heap, uint64_t size)
{
    uint64_t before = atomic_fetch_add_explicit(&heap->used_bytes, size, memory_order_relaxed);
    if (size <= heap->used_bytes_max && before <= heap->used_bytes_max - size)
        return true;
    atomic_fetch_sub_explicit(&heap->used_bytes, size, memory_order_relaxed);
    return false;
}

/* Replaces the reservation by what the block occupies; no block, no charge. */
static void *charge(struct heap *heap, void *block, uint64_t reserved)
{
    uint64_t occupied = block ? BLOCK_SIZE(block) : 0;
    atomic_fetch_add_explicit(&heap->used_bytes, occupied - reserved, memory_order_relaxed);
    return block;
}

void *heap_take(struct heap *heap, size_t size)
{
    if (size < BLOCK_SIZE_MIN)
        size = BLOCK_SIZE_MIN;
    if (!reserve(heap, size))
        return NULL;
    return charge(heap, BLOCK_TAKE(size), size);
}

void *heap_take_zeroed(struct heap *heap, size_t size)
{
    if (size < BLOCK_SIZE_MIN)
        size = BLOCK_SIZE_MIN;
    if (!reserve(heap, size))
        return NULL;
    return charge(heap, BLOCK_TAKE_ZEROED(size), size);
}

void heap_give(struct heap *heap, void *block)
{
    if (block == NULL)
        return;
    uint64_t size = BLOCK_SIZE(block);
    uint64_t before = atomic_fetch_sub_explicit(&heap->used_bytes, size, memory_order_relaxed);
    ASSERT(before >= size);
    BLOCK_GIVE(block);
}

uint64_t heap_used_bytes(const struct heap *heap)
{
    return atomic_load_explicit(&heap->used_bytes, memory_order_relaxed);
}
