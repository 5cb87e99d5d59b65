/* SPDX-License-Identifier: Apache-2.0
 *
 * Flight recorder: the last events of each connection. Each worker has one ring of 32-octet
 * events in its heap; an event names its connection by handle, so an idle connection costs
 * nothing, and `stentorctl conn` filters the ring by handle. Kinds are rows of trace.def:
 * TRACE(NAME, "name", "what a means", "what b means"). Owner: one worker. Never any payload. */
#ifndef STENTOR_TRACE_H
#define STENTOR_TRACE_H

#include "stentor/heap.h"
#include "stentor/pool.h"

enum trace_kind {
#define TRACE(name, text, a, b) TRACE_##name,
#include "stentor/trace.def"
#undef TRACE
    TRACE_KIND_COUNT
};

struct trace_event {
    uint64_t at_ns;
    struct handle conn;
    uint32_t a;
    uint32_t b;
    uint32_t kind;
    uint32_t sequence;
};
static_assert(sizeof(struct trace_event) == 32, "two a cache line");

struct trace {
    struct trace_event *events;
    uint32_t mask;     /* count - 1 */
    uint32_t sequence; /* of the next event */
};

/* event_count is a power of two. */
MUST_USE enum error trace_init(struct trace *trace, struct heap *heap, uint32_t event_count);
void trace_fini(struct trace *trace, struct heap *heap);

static inline void trace_add(struct trace *trace, uint64_t at_ns, struct handle conn,
                             enum trace_kind kind, uint32_t a, uint32_t b)
{
    trace->events[trace->sequence & trace->mask] =
        (struct trace_event){at_ns, conn, a, b, (uint32_t)kind, trace->sequence};
    trace->sequence++;
}

/* Copies the connection's events, oldest first, at most `max`; returns how many. HANDLE_NONE
 * takes every connection's. */
uint32_t trace_find(const struct trace *trace, struct handle conn, struct trace_event *found,
                    uint32_t max);
const char *trace_kind_name(enum trace_kind kind);
/* One line for a person: elapsed time, name, both values with their meanings. */
void trace_render(const struct trace_event *event, struct writer *into);

#endif
