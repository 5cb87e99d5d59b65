/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows by index. A row's life: never used (generation 0, at or above high_water) -> live (odd)
 * -> free (even) -> live ... and each step adds one, so a handle kept over a give no longer
 * matches. Freed rows are taken again last in, first out: they are warm, and the rows in use stay
 * low, which keeps sweeps over [0, high_water) short. After 32,768 lives of one row its
 * generations repeat; a note would have to wait that long to be mistaken. Owner: one worker. */
#include "stentor/pool.h"

enum error pool_init(struct pool *pool, struct arena *arena, uint32_t count, uint8_t worker)
{
    ASSERT(count > 0);
    ASSERT(count < POOL_NONE);
    uint32_t *free_next = arena_take(arena, (size_t)count * sizeof *free_next, CACHE_LINE);
    uint16_t *generations = arena_take(arena, (size_t)count * sizeof *generations, CACHE_LINE);
    if (free_next == NULL || generations == NULL)
        return ERROR_NO_MEMORY;
    *pool = (struct pool){
        .free_next = free_next,
        .generations = generations,
        .free_head = POOL_NONE,
        .count = count,
        .worker = worker,
    };
    return ERROR_NONE;
}

uint32_t pool_take(struct pool *pool)
{
    uint32_t index = pool->free_head;
    if (index != POOL_NONE)
        pool->free_head = pool->free_next[index];
    else if (pool->high_water < pool->count)
        index = pool->high_water++;
    else
        return POOL_NONE;

    ASSERT((pool->generations[index] & 1u) == 0);
    pool->generations[index]++;
    pool->used++;
    return index;
}

void pool_give(struct pool *pool, uint32_t index)
{
    ASSERT(pool_is_live(pool, index));
    ASSERT(pool->used > 0);
    pool->generations[index]++;
    pool->free_next[index] = pool->free_head;
    pool->free_head = index;
    pool->used--;
}
