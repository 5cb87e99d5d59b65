/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounded rings of pointers between threads (Concurrency Kit). The concurrency is in the name:
 * spsc = one giver and one taker thread; mpsc = any number of givers, one taker. A full ring
 * refuses and the giver keeps its item. A ring is given to in one of the two forms all its life,
 * and taken from in the same. Never blocks. Capacity is a power of two, one slot less
 * is usable. */
#ifndef STENTOR_RING_H
#define STENTOR_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "stentor/error.h"
#include "stentor/assert.h"
#include "stentor/heap.h"

struct ring; /* opaque, two cache lines and its slots, from the heap */

MUST_USE enum error ring_create(struct ring **ring, struct heap *heap, uint32_t capacity);
void ring_destroy(struct ring **ring, struct heap *heap);

/* Gives *item away and clears it; false when full, and the caller keeps it. */
bool ring_give_spsc(struct ring *ring, void **item);
bool ring_give_mpsc(struct ring *ring, void **item);
/* The oldest item, or NULL when empty. */
void *ring_take_spsc(struct ring *ring);
void *ring_take_mpsc(struct ring *ring);
/* A momentary figure, for idle decisions. */
uint32_t ring_count(const struct ring *ring);

#endif
