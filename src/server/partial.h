/* SPDX-License-Identifier: Apache-2.0
 *
 * Octets of a stanza that is not yet all there, or that wait while a stream waits for an answer.
 * Borrowed by a connection, given back when the stanza is whole. Octets and the reader's state are
 * heap blocks, so an empty-handed stream costs nothing. Owner: one worker. */
#ifndef STENTOR_SERVER_PARTIAL_H
#define STENTOR_SERVER_PARTIAL_H

#include "stentor/bytes.h"
#include "stentor/error.h"
#include "stentor/heap.h"

#define PARTIAL_NONE UINT32_MAX

struct partial {
    uint8_t *octets;
    uint32_t size;
    uint32_t capacity;
    void *reader_state; /* xml_reader_save(), when an item is midway; NULL otherwise */
    uint32_t next_free;
};

struct partial_table {
    struct heap *heap;
    struct partial *rows;
    uint32_t count;
    uint32_t free_head;
    uint32_t high_water;
    uint32_t used;
};

MUST_USE enum error partial_table_init(struct partial_table *table, struct heap *heap,
                                       uint32_t count);
void partial_table_fini(struct partial_table *table);
/* PARTIAL_NONE when all are lent. */
uint32_t partial_take(struct partial_table *table);
/* Wipes and gives the blocks back. */
void partial_give(struct partial_table *table, uint32_t partial);
/* Adds octets behind what is there; ERROR_NO_MEMORY leaves it as it was. */
MUST_USE enum error partial_append(struct partial_table *table, uint32_t partial,
                                   struct bytes octets);
/* Forgets the first `size` octets. */
void partial_drop(struct partial_table *table, uint32_t partial, uint32_t size);
struct bytes partial_bytes(const struct partial_table *table, uint32_t partial);
/* Room for the state of a reader; NULL when the heap refuses. Replaces an older one. */
void *partial_reader_state(struct partial_table *table, uint32_t partial, size_t size);
void partial_forget_reader(struct partial_table *table, uint32_t partial);

#endif
