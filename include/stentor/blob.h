/* SPDX-License-Identifier: Apache-2.0
 *
 * Rendered text waiting to be sent: immutable from seal to last reference (DESIGN law 5, and
 * research/tls.md section 6 hangs on it). A connection names a blob by a generation-tagged id; the
 * table belongs to one worker and its counts are plain integers.
 *
 * Two kinds. A private blob's octets come from the worker's heap and go back with the last
 * reference. A shared blob's octets belong to somebody else (a push rendered once by control):
 * when the worker's last reference goes, blob_put() reports it, and the worker tells the owner. */
#ifndef STENTOR_BLOB_H
#define STENTOR_BLOB_H

#include "stentor/arena.h"
#include "stentor/heap.h"

#define BLOB_NONE 0u

struct blob_row {
    const uint8_t *at;
    uint32_t size;
    uint32_t references;
    uint32_t next_free;
    uint32_t acked; /* shared: references dropped because the peer acknowledged every octet */
    uint32_t lost;  /* shared: references dropped because the connection ended before that */
    uint16_t generation;
    bool is_shared;
    void *owner; /* shared: the owner's word, handed back by blob_put */
};

struct blob_table {
    struct blob_row *rows;
    struct heap *heap;
    uint32_t count;
    uint32_t free_head;
    uint32_t high_water;
    uint32_t used;
};

/* count <= 65,535. Rows are process-local (they hold pointers) and come from the heap. */
MUST_USE enum error blob_table_init(struct blob_table *table, struct heap *heap, uint32_t count);
void blob_table_fini(struct blob_table *table);

/* A private blob with one reference; *into are its `size` octets, to be written before the next
 * call. BLOB_NONE when rows or heap are exhausted. */
uint32_t blob_create(struct blob_table *table, uint32_t size, uint8_t **into);
/* As blob_create, filled with a copy. */
uint32_t blob_create_copy(struct blob_table *table, struct bytes text);
/* A shared blob with one reference. owner must not be NULL. */
uint32_t blob_create_shared(struct blob_table *table, struct bytes text, void *owner);
void blob_get(struct blob_table *table, uint32_t blob, uint32_t references);
/* Drops one reference. Returns the owner of a shared blob when that was the last, else NULL. */
void *blob_put(struct blob_table *table, uint32_t blob);
/* The octets; asserts that the id is live. */
struct bytes blob_bytes(const struct blob_table *table, uint32_t blob);
/* A shared blob's tally, for net to count into and the worker to read; asserts the id is live. */
void blob_count_acked(struct blob_table *table, uint32_t blob);
void blob_count_lost(struct blob_table *table, uint32_t blob);
const struct blob_row *blob_row(const struct blob_table *table, uint32_t blob);
bool blob_is_live(const struct blob_table *table, uint32_t blob);

#endif
