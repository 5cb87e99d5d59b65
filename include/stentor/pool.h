/* SPDX-License-Identifier: Apache-2.0
 *
 * Fixed rows by index, with generations. A pool's rows live in an arena; parallel tables of the
 * same pool (TCP row, session row, deadline) share its index. Free rows are chained through an
 * index array held apart from the rows, and rows above the high-water mark have never been
 * touched. A generation rises at each give, so a stale handle is recognised. Owner: one worker.
 * An empty pool refuses; that is a value, not a fault. */
#ifndef STENTOR_POOL_H
#define STENTOR_POOL_H

#include "stentor/arena.h"

#define POOL_NONE UINT32_MAX

/* Names a row for as long as it lives: {worker, generation, index}. Never a pointer. 0 is none. */
struct handle {
    uint64_t value;
};

#define HANDLE_NONE ((struct handle){0})

static inline struct handle handle_of(uint8_t worker, uint16_t generation, uint32_t index)
{
    return (struct handle){(uint64_t)worker << 56 | (uint64_t)generation << 32 | index};
}
static inline uint8_t handle_worker(struct handle handle)
{
    return (uint8_t)(handle.value >> 56);
}
static inline uint16_t handle_generation(struct handle handle)
{
    return (uint16_t)(handle.value >> 32);
}
static inline uint32_t handle_index(struct handle handle)
{
    return (uint32_t)handle.value;
}
static inline bool handle_is_none(struct handle handle)
{
    return handle.value == 0;
}

struct pool {
    uint32_t *free_next;   /* per row: next free index; untouched above high_water */
    uint16_t *generations; /* per row; 0 = never used, odd = live, even = free */
    uint32_t free_head;    /* POOL_NONE when no freed row waits */
    uint32_t high_water;   /* rows ever used */
    uint32_t used;
    uint32_t count; /* rows in all */
    uint8_t worker; /* stamped into handles */
};

/* Takes its two arrays (6 octets a row, only touched when used) from the arena. */
MUST_USE enum error pool_init(struct pool *pool, struct arena *arena, uint32_t count,
                              uint8_t worker);
/* A fresh row's index, or POOL_NONE. The caller initialises its rows. */
uint32_t pool_take(struct pool *pool);
void pool_give(struct pool *pool, uint32_t index);

static inline bool pool_is_live(const struct pool *pool, uint32_t index)
{
    return index < pool->high_water && (pool->generations[index] & 1u) != 0;
}
static inline struct handle pool_handle(const struct pool *pool, uint32_t index)
{
    return handle_of(pool->worker, pool->generations[index], index);
}
/* The row's index, or POOL_NONE when the handle is stale or another worker's. */
static inline uint32_t pool_find(const struct pool *pool, struct handle handle)
{
    uint32_t index = handle_index(handle);
    if (handle_worker(handle) != pool->worker || index >= pool->high_water)
        return POOL_NONE;
    uint16_t generation = pool->generations[index];
    return (generation & 1u) != 0 && generation == handle_generation(handle) ? index : POOL_NONE;
}

#endif
