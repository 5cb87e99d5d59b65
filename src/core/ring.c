/* SPDX-License-Identifier: Apache-2.0
 *
 * Rings of pointers over Concurrency Kit's ck_ring: one slot is left empty to tell full from
 * empty. CK publishes a slot's value before its index, so what the giver wrote into the item is
 * seen by the taker without a further fence. In the mpsc form a giver that is stopped between
 * claiming a slot and publishing it holds back the items behind it, and nothing else. */
#include "stentor/ring.h"

#include <ck_ring.h>
#include <stddef.h>

/* Keeps ring + slots from the heap together; producers' and consumer's indices lie a cache line
 * apart inside ck_ring. */
struct ring {
    struct ck_ring ring;
    struct ck_ring_buffer slots[];
};

#define CAPACITY_MAX (UINT32_C(1) << 30)

enum error ring_create(struct ring **ring, struct heap *heap, uint32_t capacity)
{
    *ring = NULL;
    if (capacity < 2 || capacity > CAPACITY_MAX || (capacity & (capacity - 1)) != 0)
        return ERROR_INVALID;
    size_t size = sizeof **ring + (size_t)capacity * sizeof(struct ck_ring_buffer);
    struct ring *created = heap_take_zeroed(heap, size);
    if (created == NULL)
        return ERROR_NO_MEMORY;
    ck_ring_init(&created->ring, capacity);
    *ring = created;
    return ERROR_NONE;
}

void ring_destroy(struct ring **ring, struct heap *heap)
{
    heap_give(heap, *ring);
    *ring = NULL;
}

bool ring_give_spsc(struct ring *ring, void **item)
{
    ASSERT(*item != NULL);
    if (!ck_ring_enqueue_spsc(&ring->ring, ring->slots, *item))
        return false;
    *item = NULL;
    return true;
}

bool ring_give_mpsc(struct ring *ring, void **item)
{
    ASSERT(*item != NULL);
    if (!ck_ring_enqueue_mpsc(&ring->ring, ring->slots, *item))
        return false;
    *item = NULL;
    return true;
}

void *ring_take_spsc(struct ring *ring)
{
    void *item;
    return ck_ring_dequeue_spsc(&ring->ring, ring->slots, &item) ? item : NULL;
}

void *ring_take_mpsc(struct ring *ring)
{
    void *item;
    return ck_ring_dequeue_mpsc(&ring->ring, ring->slots, &item) ? item : NULL;
}

uint32_t ring_count(const struct ring *ring)
{
    return ck_ring_size(&ring->ring);
}
