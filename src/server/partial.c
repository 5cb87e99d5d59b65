/* SPDX-License-Identifier: Apache-2.0
 *
 * Growth doubles from 512 octets, so gathering a stanza of n octets copies at most 2n. */
#include "partial.h"

#define PARTIAL_BYTES_MIN 512u

enum error partial_table_init(struct partial_table *table, struct heap *heap, uint32_t count)
{
    *table = (struct partial_table){.heap = heap, .count = count, .free_head = PARTIAL_NONE};
    table->rows = heap_take_zeroed(heap, count * sizeof *table->rows);
    return table->rows == NULL ? ERROR_NO_MEMORY : ERROR_NONE;
}

void partial_table_fini(struct partial_table *table)
{
    for (uint32_t i = 0; table->rows != NULL && i < table->high_water; i++) {
        heap_give(table->heap, table->rows[i].octets);
        heap_give(table->heap, table->rows[i].reader_state);
    }
    heap_give(table->heap, table->rows);
    table->rows = NULL;
}

uint32_t partial_take(struct partial_table *table)
{
    uint32_t partial = table->free_head;
    if (partial != PARTIAL_NONE)
        table->free_head = table->rows[partial].next_free;
    else if (table->high_water < table->count)
        partial = table->high_water++;
    else
        return PARTIAL_NONE;
    table->used++;
    table->rows[partial] = (struct partial){0};
    return partial;
}

void partial_give(struct partial_table *table, uint32_t partial)
{
    ASSERT(partial < table->high_water);
    ASSERT(table->used > 0);
    struct partial *row = &table->rows[partial];
    /* A password may stand in it: SASL comes in stanzas too. */
    if (row->octets != NULL)
        bytes_wipe(row->octets, row->capacity);
    heap_give(table->heap, row->octets);
    heap_give(table->heap, row->reader_state);
    *row = (struct partial){.next_free = table->free_head};
    table->free_head = partial;
    table->used--;
}

static enum error grow(struct partial_table *table, struct partial *row, uint32_t size)
{
    uint32_t capacity = row->capacity == 0 ? PARTIAL_BYTES_MIN : row->capacity;
    while (capacity < size)
        capacity *= 2;
    uint8_t *octets = heap_take(table->heap, capacity);
    if (octets == NULL)
        return ERROR_NO_MEMORY;
    if (row->octets != NULL) {
        memcpy(octets, row->octets, row->size);
        bytes_wipe(row->octets, row->capacity);
    }
    heap_give(table->heap, row->octets);
    row->octets = octets;
    row->capacity = capacity;
    return ERROR_NONE;
}

enum error partial_append(struct partial_table *table, uint32_t partial, struct bytes octets)
{
    struct partial *row = &table->rows[partial];
    if (octets.size == 0)
        return ERROR_NONE;
    if (octets.size > UINT32_MAX / 4 || row->size > UINT32_MAX / 4)
        return ERROR_NO_MEMORY;
    uint32_t size = row->size + (uint32_t)octets.size;
    if (size > row->capacity && grow(table, row, size) != ERROR_NONE)
        return ERROR_NO_MEMORY;
    memcpy(row->octets + row->size, octets.at, octets.size);
    row->size = size;
    return ERROR_NONE;
}

void partial_drop(struct partial_table *table, uint32_t partial, uint32_t size)
{
    struct partial *row = &table->rows[partial];
    ASSERT(size <= row->size);
    if (size == 0)
        return;
    memmove(row->octets, row->octets + size, row->size - size);
    row->size -= size;
}

struct bytes partial_bytes(const struct partial_table *table, uint32_t partial)
{
    return bytes_of(table->rows[partial].octets, table->rows[partial].size);
}

void *partial_reader_state(struct partial_table *table, uint32_t partial, size_t size)
{
    partial_forget_reader(table, partial);
    table->rows[partial].reader_state = heap_take(table->heap, size);
    return table->rows[partial].reader_state;
}

void partial_forget_reader(struct partial_table *table, uint32_t partial)
{
    heap_give(table->heap, table->rows[partial].reader_state);
    table->rows[partial].reader_state = NULL;
}
