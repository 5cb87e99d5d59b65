/* SPDX-License-Identifier: Apache-2.0
 *
 * The life table of sessions. A row holds no pointer: local part and resource stand in the row, one
 * behind the other, or, when they are longer than SESSION_NAMES_INLINE together, in a block of the
 * heap whose number the row holds. The table of blocks is this process's alone and grows by
 * doubling; a free place in it holds the number of the next one, marked by the lowest bit, which no
 * block's address has.
 *
 * Invariant: available implies bound implies open; the counts are those of the rows. */
#include "stentor/session.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define SPILLS_FIRST 16u

static_assert(SESSION_NAMES_INLINE >= sizeof(uint32_t), "a spill's number fits");
static_assert(offsetof(struct session_row, names) + SESSION_NAMES_INLINE ==
                  sizeof(struct session_row),
              "names end the row");

size_t session_arena_bytes(uint32_t count)
{
    return (size_t)count * sizeof(struct session_row) + CACHE_LINE;
}

enum error session_table_init(struct session_table *table, struct arena *arena, struct heap *heap,
                              uint32_t count)
{
    ASSERT(count > 0);
    struct session_row *rows = arena_take(arena, (size_t)count * sizeof *rows, CACHE_LINE);
    if (rows == NULL)
        return ERROR_NO_MEMORY;
    *table = (struct session_table){.rows = rows, .heap = heap, .row_count = count};
    return ERROR_NONE;
}

static bool spill_is_free(const struct session_table *table, uint32_t spill)
{
    return ((uintptr_t)table->spills[spill] & 1u) != 0;
}

void session_table_fini(struct session_table *table)
{
    for (uint32_t i = 0; i < table->spill_count; i++) {
        if (!spill_is_free(table, i))
            heap_give(table->heap, table->spills[i]);
    }
    heap_give(table->heap, table->spills);
    *table = (struct session_table){0};
}

static void chain_free_spill(struct session_table *table, uint32_t spill)
{
    table->spills[spill] = (uint8_t *)((uintptr_t)table->spill_free << 1 | 1u);
    table->spill_free = spill;
}

/* False when the heap refuses. */
static bool grow_spills(struct session_table *table)
{
    uint32_t count = table->spill_count == 0 ? SPILLS_FIRST : table->spill_count * 2;
    uint8_t **spills = heap_take(table->heap, (size_t)count * sizeof *spills);
    if (spills == NULL)
        return false;
    if (table->spill_count != 0)
        memcpy(spills, table->spills, (size_t)table->spill_count * sizeof *spills);
    heap_give(table->heap, table->spills);
    uint32_t first = table->spill_count;
    table->spills = spills;
    table->spill_count = count;
    table->spill_free = count;
    for (uint32_t i = count; i > first; i--)
        chain_free_spill(table, i - 1);
    return true;
}

static uint32_t spill_of(const struct session_row *row)
{
    uint32_t spill;
    memcpy(&spill, row->names, sizeof spill);
    return spill;
}

/* Where the names of a row are to be written; NULL when the heap refuses. */
static uint8_t *take_names(struct session_table *table, struct session_row *row, size_t size)
{
    if (size <= SESSION_NAMES_INLINE)
        return row->names;
    if (table->spill_free == table->spill_count && !grow_spills(table))
        return NULL;
    uint8_t *block = heap_take(table->heap, size);
    if (block == NULL)
        return NULL;
    uint32_t spill = table->spill_free;
    table->spill_free = (uint32_t)((uintptr_t)table->spills[spill] >> 1);
    table->spills[spill] = block;
    memcpy(row->names, &spill, sizeof spill);
    row->flags |= SESSION_SPILLED;
    return block;
}

static void give_names(struct session_table *table, struct session_row *row)
{
    if ((row->flags & SESSION_SPILLED) != 0) {
        uint32_t spill = spill_of(row);
        heap_give(table->heap, table->spills[spill]);
        chain_free_spill(table, spill);
        row->flags &= (uint8_t)~SESSION_SPILLED;
    }
    memset(row->names, 0, sizeof row->names);
    row->local_size = 0;
    row->resource_size = 0;
}

void session_open(struct session_table *table, uint32_t conn, uint64_t now_ns)
{
    ASSERT(conn < table->row_count);
    struct session_row *row = session_at(table, conn);
    ASSERT((row->flags & SESSION_OPEN) == 0);
    *row = (struct session_row){
        .partial = SESSION_PARTIAL_NONE,
        .opened_at_s = (uint32_t)(now_ns / NS_PER_SECOND),
        .flags = SESSION_OPEN,
    };
    table->open_count++;
}

enum error session_bind(struct session_table *table, uint32_t conn, uint32_t account,
                        struct bytes local, struct bytes resource)
{
    struct session_row *row = session_at(table, conn);
    ASSERT((row->flags & SESSION_OPEN) != 0);
    ASSERT((row->flags & SESSION_BOUND) == 0);
    ASSERT(account != 0);
    ASSERT(local.size > 0 && local.size <= JID_PART_SIZE_MAX);
    ASSERT(resource.size > 0 && resource.size <= JID_PART_SIZE_MAX);
    uint8_t *names = take_names(table, row, local.size + resource.size);
    if (names == NULL)
        return ERROR_NO_MEMORY;
    memcpy(names, local.at, local.size);
    memcpy(names + local.size, resource.at, resource.size);
    row->local_size = (uint16_t)local.size;
    row->resource_size = (uint16_t)resource.size;
    row->account = account;
    row->flags |= SESSION_BOUND;
    table->bound_count++;
    return ERROR_NONE;
}

void session_unbind(struct session_table *table, uint32_t conn)
{
    struct session_row *row = session_at(table, conn);
    ASSERT((row->flags & SESSION_BOUND) != 0);
    session_set_presence(table, conn, false, 0, 0);
    give_names(table, row);
    row->account = 0;
    row->flags &= (uint8_t)~SESSION_BOUND;
    table->bound_count--;
}

void session_set_presence(struct session_table *table, uint32_t conn, bool is_available,
                          int8_t priority, uint8_t show)
{
    struct session_row *row = session_at(table, conn);
    ASSERT((row->flags & SESSION_BOUND) != 0);
    bool was_available = (row->flags & SESSION_AVAILABLE) != 0;
    if (is_available && !was_available)
        table->available_count++;
    if (!is_available && was_available)
        table->available_count--;
    row->flags =
        (uint8_t)((row->flags & ~SESSION_AVAILABLE) | (is_available ? SESSION_AVAILABLE : 0u));
    row->priority = priority;
    row->show = show;
}

void session_close(struct session_table *table, uint32_t conn)
{
    struct session_row *row = session_at(table, conn);
    ASSERT((row->flags & SESSION_OPEN) != 0);
    if ((row->flags & SESSION_BOUND) != 0)
        session_unbind(table, conn);
    *row = (struct session_row){0};
    table->open_count--;
}

static const uint8_t *names_of(const struct session_table *table, const struct session_row *row)
{
    return (row->flags & SESSION_SPILLED) != 0 ? table->spills[spill_of(row)] : row->names;
}

struct bytes session_local(const struct session_table *table, uint32_t conn)
{
    const struct session_row *row = session_at(table, conn);
    return bytes_of(names_of(table, row), row->local_size);
}

struct bytes session_resource(const struct session_table *table, uint32_t conn)
{
    const struct session_row *row = session_at(table, conn);
    return bytes_of(names_of(table, row) + row->local_size, row->resource_size);
}

bool session_matches(const struct session_table *table, uint32_t conn, struct bytes local,
                     struct bytes resource)
{
    const struct session_row *row = session_at(table, conn);
    if ((row->flags & (SESSION_BOUND | SESSION_CLOSING)) != SESSION_BOUND)
        return false;
    if (!bytes_equal(session_local(table, conn), local))
        return false;
    return resource.size == 0 || bytes_equal(session_resource(table, conn), resource);
}

void session_set_metrics(const struct session_table *table, struct metrics *metrics)
{
    metric_set(metrics, METRIC_SESSION_STREAMS, table->open_count);
    metric_set(metrics, METRIC_SESSION_BOUND, table->bound_count);
    metric_set(metrics, METRIC_SESSION_AVAILABLE, table->available_count);
}
