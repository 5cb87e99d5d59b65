/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream and, once bound, a session at rest: one 128-octet row, parallel to the TCP row of the
 * same index (research: DESIGN section 4). Local part and resource stand inline; longer ones go to
 * a heap block. Owner: one worker. Life of a row:
 *
 *   (free) --session_open--> stream --session_bind--> bound --session_set_presence--> available
 *      ^                        |                       |                               |
 *      +-------session_close----+-----------------------+-------------------------------+
 *
 * The account's number and names are set by session_bind and do not change while bound; a binding
 * that the account's home worker refuses is taken back by session_unbind. */
#ifndef STENTOR_SESSION_H
#define STENTOR_SESSION_H

#include "stentor/arena.h"
#include "stentor/heap.h"
#include "stentor/jid.h"
#include "stentor/metrics.h"
#include "stentor/stream.h"

#define SESSION_NAMES_INLINE 84u
#define SESSION_PARTIAL_NONE UINT32_MAX

#define SESSION_BOUND 0x01u
#define SESSION_AVAILABLE 0x02u /* sent initial presence */
#define SESSION_CLOSING 0x04u   /* nothing more is delivered to it */
#define SESSION_SPILLED 0x08u   /* names hold a block number instead of text */
#define SESSION_OPEN 0x10u      /* the row is in use */

struct session_row {
    struct stream stream;   /* the negotiation machine's */
    uint32_t account;       /* number in the store; 0 before bind */
    uint32_t partial;       /* the borrowed reader of a partial stanza; SESSION_PARTIAL_NONE */
    uint32_t presence_text; /* blob with the whole presence when it says more than show and
                               priority; BLOB_NONE otherwise */
    uint32_t opened_at_s;   /* seconds of the injected clock */
    uint16_t local_size;
    uint16_t resource_size;
    int8_t priority;
    uint8_t show;  /* enum presence_show of stanza.h */
    uint8_t flags; /* SESSION_* */
    uint8_t unused;
    uint32_t spare[3];                   /* XEP-0198 counters and resumption come here */
    uint8_t names[SESSION_NAMES_INLINE]; /* local part, then resource */
};
static_assert(sizeof(struct session_row) == 128, "docs/LIMITS.md counts on two lines");

struct session_table {
    struct session_row *rows;
    struct heap *heap;    /* spilled names */
    uint8_t **spills;     /* process-local table of spilled names, grown on demand */
    uint32_t spill_count; /* places in spills */
    uint32_t spill_free;  /* first free place; spill_count when none */
    uint32_t row_count;
    uint32_t open_count;
    uint32_t bound_count;
    uint32_t available_count;
};

size_t session_arena_bytes(uint32_t count);
MUST_USE enum error session_table_init(struct session_table *table, struct arena *arena,
                                       struct heap *heap, uint32_t count);
void session_table_fini(struct session_table *table);

static inline struct session_row *session_at(const struct session_table *table, uint32_t conn)
{
    return &table->rows[conn];
}

/* A fresh stream on connection row `conn`. */
void session_open(struct session_table *table, uint32_t conn, uint64_t now_ns);
/* Names are copied; jid_prepare()d already. ERROR_NO_MEMORY when a spill is refused. */
MUST_USE enum error session_bind(struct session_table *table, uint32_t conn, uint32_t account,
                                 struct bytes local, struct bytes resource);
/* Back to a stream without a session: the home worker refused. */
void session_unbind(struct session_table *table, uint32_t conn);
void session_set_presence(struct session_table *table, uint32_t conn, bool is_available,
                          int8_t priority, uint8_t show);
/* Gives the spill back and clears the row. The caller has returned partial and presence_text. */
void session_close(struct session_table *table, uint32_t conn);

struct bytes session_local(const struct session_table *table, uint32_t conn);
struct bytes session_resource(const struct session_table *table, uint32_t conn);
/* True when bound, not closing, and of this local part (and resource, unless that is empty). */
bool session_matches(const struct session_table *table, uint32_t conn, struct bytes local,
                     struct bytes resource);
/* Sets the SESSION_* gauges. */
void session_set_metrics(const struct session_table *table, struct metrics *metrics);

#endif
