/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for what is not a row: partial stanzas, rendered buffers, notes' payloads, spilled names.
 * A heap counts what it has out and refuses above its ceiling; a refusal is NULL and the caller
 * has a defined answer (DESIGN law 8). A block taken by one thread may be given back by another.
 * The only folder with malloc behind it (mimalloc, or libc under the sanitizers). */
#ifndef STENTOR_HEAP_H
#define STENTOR_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap {
    _Atomic uint64_t used_bytes;
    uint64_t used_bytes_max;
};

void heap_init(struct heap *heap, uint64_t used_bytes_max);
/* Not zeroed, aligned to 16. NULL above the ceiling or when the machine has no more. */
void *heap_take(struct heap *heap, size_t size);
/* As heap_take, all octets zero. */
void *heap_take_zeroed(struct heap *heap, size_t size);
/* Accepts NULL. Must be the heap the block was taken from. */
void heap_give(struct heap *heap, void *block);
uint64_t heap_used_bytes(const struct heap *heap);

#endif
