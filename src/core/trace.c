/* SPDX-License-Identifier: Apache-2.0
 *
 * The flight recorder: a worker's ring of events, searched by handle and rendered for a person.
 * Adding is inline in trace.h and costs half a cache line; everything here runs only when somebody
 * asks what happened to a connection.
 *
 * Invariant: the slot of sequence number s holds s in its own field, or was never written. So a
 * young ring and a ring whose 32-bit sequence wrapped are read by the same test. */
#include "stentor/trace.h"

#include <inttypes.h>
#include <stdio.h>

#include "stentor/bytes.h"
#include "stentor/clock.h"
#include "stentor/metrics.h"

struct trace_row {
    const char *name;
    const char *a;
    const char *b;
};

static const struct trace_row rows[] = {
#define TRACE(name, text, a, b) {text, a, b},
#include "stentor/trace.def"
#undef TRACE
};
static_assert(ARRAY_COUNT(rows) == TRACE_KIND_COUNT, "a row for each kind");

enum error trace_init(struct trace *trace, struct heap *heap, uint32_t event_count)
{
    ASSERT(event_count != 0);
    ASSERT((event_count & (event_count - 1)) == 0);
    *trace = (struct trace){.mask = event_count - 1};
    trace->events = heap_take_zeroed(heap, (size_t)event_count * sizeof(*trace->events));
    return trace->events == NULL ? ERROR_NO_MEMORY : ERROR_NONE;
}

void trace_fini(struct trace *trace, struct heap *heap)
{
    heap_give(heap, trace->events);
    *trace = (struct trace){0};
}

/* The event of that sequence number if it is written and belongs to conn, else NULL. */
static const struct trace_event *event_find(const struct trace *trace, uint32_t sequence,
                                            struct handle conn)
{
    const struct trace_event *event = &trace->events[sequence & trace->mask];
    if (event->sequence != sequence)
        return NULL;
    if (!handle_is_none(conn) && event->conn.value != conn.value)
        return NULL;
    return event;
}

/* Back from the newest until max events are met, then forward: with more than max events the
 * oldest are left out, for the end of a story tells why it ended. */
uint32_t trace_find(const struct trace *trace, struct handle conn, struct trace_event *found,
                    uint32_t max)
{
    uint32_t back = 0;
    uint32_t met = 0;
    while (met < max && back <= trace->mask) {
        back++;
        if (event_find(trace, trace->sequence - back, conn) != NULL)
            met++;
    }
    uint32_t count = 0;
    for (; count < met; back--) {
        const struct trace_event *event = event_find(trace, trace->sequence - back, conn);
        if (event != NULL)
            found[count++] = *event;
    }
    return count;
}

const char *trace_kind_name(enum trace_kind kind)
{
    if ((unsigned)kind >= TRACE_KIND_COUNT)
        return "unknown";
    return rows[kind].name;
}

/* A meaning of "0" says that the kind has no such value; "(enum metric)" says that the value is
 * a row of metrics.def and is shown by name. */
static void write_value(struct writer *into, const char *meaning, uint32_t value)
{
    static const char by_name[] = " (enum metric)";
    if (strcmp(meaning, "0") == 0)
        return;
    write_u8(into, ' ');
    size_t size = strlen(meaning);
    size_t tail = sizeof(by_name) - 1;
    if (size > tail && strcmp(meaning + size - tail, by_name) == 0) {
        write_bytes(into, bytes_of(meaning, size - tail));
        write_u8(into, '=');
        write_string(into, metric_name((enum metric)value));
        return;
    }
    write_string(into, meaning);
    write_u8(into, '=');
    write_decimal(into, value);
}

void trace_render(const struct trace_event *event, struct writer *into)
{
    char at[32];
    snprintf(at, sizeof(at), "%" PRIu64 ".%06" PRIu64, event->at_ns / NS_PER_SECOND,
             event->at_ns % NS_PER_SECOND / NS_PER_US);
    write_string(into, at);
    write_u8(into, ' ');
    write_string(into, trace_kind_name((enum trace_kind)event->kind));
    if (event->kind < TRACE_KIND_COUNT) {
        write_value(into, rows[event->kind].a, event->a);
        write_value(into, rows[event->kind].b, event->b);
    }
}
