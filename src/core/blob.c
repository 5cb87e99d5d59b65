/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of rendered text. An id is generation << 16 | (row + 1): never 0, and a row's
 * generation rises when its blob goes, so a reference kept too long is caught by an assertion
 * rather than sending somebody else's words. A row's life: free -> created (one reference)
 * -> referenced -> last put -> free. Rows are taken again last in, first out; rows at or above
 * high_water were never touched. Owner: one worker. */
#include "stentor/blob.h"

#define BLOB_COUNT_MAX 65535u
#define ROW_NONE UINT32_MAX

enum error blob_table_init(struct blob_table *table, struct heap *heap, uint32_t count)
{
    ASSERT(count > 0);
    ASSERT(count <= BLOB_COUNT_MAX);
    struct blob_row *rows = heap_take_zeroed(heap, (size_t)count * sizeof *rows);
    if (rows == NULL)
        return ERROR_NO_MEMORY;
    *table = (struct blob_table){
        .rows = rows,
        .heap = heap,
        .count = count,
        .free_head = ROW_NONE,
    };
    return ERROR_NONE;
}

/* The octets of a private blob are written through *into only before anyone reads them; from then
 * on they are const, and only the table, which took them from the heap, may cast that away. */
static void give_octets(struct blob_table *table, struct blob_row *row)
{
    if (!row->is_shared)
        heap_give(table->heap, (void *)(uintptr_t)row->at);
}

void blob_table_fini(struct blob_table *table)
{
    for (uint32_t i = 0; i < table->high_water; i++) {
        if (table->rows[i].references != 0)
            give_octets(table, &table->rows[i]);
    }
    heap_give(table->heap, table->rows);
    *table = (struct blob_table){0};
}

static uint32_t id_of(const struct blob_table *table, uint32_t index)
{
    return (uint32_t)table->rows[index].generation << 16 | (index + 1);
}

static uint32_t find_row(const struct blob_table *table, uint32_t blob)
{
    uint32_t index = (blob & 0xffffu) - 1; /* BLOB_NONE gives UINT32_MAX */
    if (index >= table->high_water)
        return ROW_NONE;
    const struct blob_row *row = &table->rows[index];
    if (row->references == 0 || row->generation != blob >> 16)
        return ROW_NONE;
    return index;
}

static uint32_t take_row(struct blob_table *table)
{
    uint32_t index = table->free_head;
    if (index != ROW_NONE)
        table->free_head = table->rows[index].next_free;
    else if (table->high_water < table->count)
        index = table->high_water++;
    else
        return ROW_NONE;
    table->used++;
    return index;
}

static void give_row(struct blob_table *table, uint32_t index)
{
    uint16_t generation = (uint16_t)(table->rows[index].generation + 1u);
    table->rows[index] = (struct blob_row){
        .next_free = table->free_head,
        .generation = generation,
    };
    table->free_head = index;
    table->used--;
}

uint32_t blob_create(struct blob_table *table, uint32_t size, uint8_t **into)
{
    *into = NULL;
    uint32_t index = take_row(table);
    if (index == ROW_NONE)
        return BLOB_NONE;
    uint8_t *octets = heap_take(table->heap, size);
    if (octets == NULL) {
        give_row(table, index);
        return BLOB_NONE;
    }
    struct blob_row *row = &table->rows[index];
    row->at = octets;
    row->size = size;
    row->references = 1;
    row->is_shared = false;
    row->owner = NULL;
    *into = octets;
    return id_of(table, index);
}

uint32_t blob_create_copy(struct blob_table *table, struct bytes text)
{
    if (text.size > UINT32_MAX)
        return BLOB_NONE;
    uint8_t *into;
    uint32_t blob = blob_create(table, (uint32_t)text.size, &into);
    if (blob != BLOB_NONE && text.size != 0)
        memcpy(into, text.at, text.size);
    return blob;
}

uint32_t blob_create_shared(struct blob_table *table, struct bytes text, void *owner)
{
    ASSERT(owner != NULL);
    ASSERT(text.size <= UINT32_MAX);
    uint32_t index = take_row(table);
    if (index == ROW_NONE)
        return BLOB_NONE;
    struct blob_row *row = &table->rows[index];
    row->at = text.at;
    row->size = (uint32_t)text.size;
    row->references = 1;
    row->is_shared = true;
    row->owner = owner;
    return id_of(table, index);
}

void blob_get(struct blob_table *table, uint32_t blob, uint32_t references)
{
    uint32_t index = find_row(table, blob);
    ASSERT(index != ROW_NONE);
    ASSERT(references <= UINT32_MAX - table->rows[index].references);
    table->rows[index].references += references;
}

void *blob_put(struct blob_table *table, uint32_t blob)
{
    uint32_t index = find_row(table, blob);
    ASSERT(index != ROW_NONE);
    struct blob_row *row = &table->rows[index];
    if (--row->references != 0)
        return NULL;
    void *owner = row->owner;
    give_octets(table, row);
    give_row(table, index);
    return owner;
}

struct bytes blob_bytes(const struct blob_table *table, uint32_t blob)
{
    uint32_t index = find_row(table, blob);
    ASSERT(index != ROW_NONE);
    return bytes_of(table->rows[index].at, table->rows[index].size);
}

bool blob_is_live(const struct blob_table *table, uint32_t blob)
{
    return find_row(table, blob) != ROW_NONE;
}

void blob_count_acked(struct blob_table *table, uint32_t blob)
{
    uint32_t index = find_row(table, blob);
    ASSERT(index != ROW_NONE);
    table->rows[index].acked++;
}

void blob_count_lost(struct blob_table *table, uint32_t blob)
{
    uint32_t index = find_row(table, blob);
    ASSERT(index != ROW_NONE);
    table->rows[index].lost++;
}

const struct blob_row *blob_row(const struct blob_table *table, uint32_t blob)
{
    uint32_t index = find_row(table, blob);
    ASSERT(index != ROW_NONE);
    return &table->rows[index];
}
