/* SPDX-License-Identifier: Apache-2.0
 *
 * A push: one message for an audience, rendered once, followed to its last copy. Two halves:
 *
 *   control thread  push_table: accepts, renders, keeps state and counters (research/xmpp.md 3.2)
 *   worker          push_walk:  yields the connections of this worker that are to get it, a slice a
 *                               turn; the worker sends a reference to each and counts
 * and struct push_job between them: immutable after push_accept, read by all, freed by control when
 * every worker has let go of it.
 *
 * Counters balance at every reading: matched = pending + written + failed (each reason), and
 * written = in_flight + acked + lost. They count copies: one for each available session of an
 * account, or one for an account that has none (failed: offline).
 *   written  handed to TCP            acked  the peer's TCP acknowledged every octet
 *   lost     the connection ended before that */
#ifndef STENTOR_PUSH_H
#define STENTOR_PUSH_H

#include "stentor/heap.h"
#include "stentor/metrics.h"
#include "stentor/random.h"
#include "stentor/session.h"

#define PUSH_ID_SIZE 26u /* ULID text: sorts by time */
#define PUSH_USERS_MAX 10000u
#define PUSH_LABEL_MAX 64u
#define PUSH_RUNNING_MAX 64u /* not done yet, at once */

struct push_id {
    char text[PUSH_ID_SIZE + 1];
};
void push_id_make(struct push_id *id, uint64_t wall_ms, struct random *random);
/* As push_id_make, but always after *previous, also within a millisecond and when the clock went
 * back. id may be previous. */
void push_id_make_after(struct push_id *id, const struct push_id *previous, uint64_t wall_ms,
                        struct random *random);
/* Takes lower case too. */
MUST_USE bool push_id_parse(struct bytes text, struct push_id *id);

enum push_target { PUSH_ALL, PUSH_ONLINE, PUSH_USERS };
enum push_state { PUSH_RUNNING, PUSH_DRAINING, PUSH_DONE };
enum push_failure {
    PUSH_FAILED_OFFLINE,
    PUSH_FAILED_OVERFLOW,
    PUSH_FAILED_CLOSED,
    PUSH_FAILED_NO_MEMORY,
    PUSH_FAILURE_COUNT
};
const char *push_state_name(enum push_state state);
const char *push_failure_name(enum push_failure failure);

/* What the admin API asks for; views are the caller's. */
struct push_request {
    enum push_target target;
    struct bytes title, body, uri; /* at least one of these or xml; UTF-8 */
    struct bytes label;
    struct bytes xml; /* one further element, already validated as one balanced element */
    uint32_t rate;    /* streams a second and worker; 0 = push.rate */
};

struct push_job {
    struct push_id id;
    enum push_target target;
    uint32_t rate;
    const void *audience; /* roaring bitmap of account numbers; NULL = every account */
    struct bytes text;    /* the rendered stanza */
    uint32_t slot;        /* control's row */
};

struct push_counts {
    uint64_t matched, pending, written, acked, lost, in_flight;
    uint64_t failed[PUSH_FAILURE_COUNT];
};

/* What one worker tells control, as increments since its last report. */
struct push_report {
    const struct push_job *job;
    uint64_t matched, written, acked, lost;
    uint64_t failed[PUSH_FAILURE_COUNT];
    uint64_t first_write_at_ns, last_write_at_ns; /* 0 = none */
    void *reached;    /* roaring bitmap of account numbers matched, with is_walked; given away */
    bool is_walked;   /* this worker will match nothing more; said once */
    bool is_released; /* this worker holds no reference any more */
};

/* ---- control thread ---- */

struct push_table;

struct push_options {
    struct heap *heap;
    struct random *random;
    struct bytes domain;
    uint32_t kept_max;
    uint32_t worker_count;
    uint32_t body_bytes_max;
    uint32_t rate_default;
    struct metrics *metrics; /* control's; NULL = not counted */
};

MUST_USE enum error push_table_create(struct push_table **table,
                                      const struct push_options *options);
void push_table_destroy(struct push_table **table);

/* accounts: every account number at this moment (for `all`: who is offline), or for `users` the
 * numbers of those users; numbers ascending. ERROR_LIMIT: kept_max pushes are all running;
 * ERROR_TOO_LARGE: rendered over body_bytes_max; ERROR_INVALID: nothing to say, or a label over
 * PUSH_LABEL_MAX; ERROR_NO_MEMORY. On success *job is to be told to
 * every worker. */
MUST_USE enum error push_accept(struct push_table *table, const struct push_request *request,
                                const uint32_t *accounts, uint32_t account_count, uint64_t wall_ms,
                                uint64_t now_ns, const struct push_job **job);
/* Pushes not done yet. */
uint32_t push_running_count(const struct push_table *table);
/* Takes the reached set out of the report. What a worker that lets go cannot account for counts as
 * lost or closed, and in PUSH_UNACCOUNTED. */
void push_apply(struct push_table *table, struct push_report *report, uint64_t now_ns);

struct push_status {
    struct push_id id;
    enum push_target target;
    enum push_state state;
    struct push_counts counts;
    uint64_t created_at_ms;                 /* wall clock */
    uint64_t first_write_ms, last_write_ms; /* since accepted; 0 = nothing written yet */
    struct bytes label;                     /* good until the next push_accept */
};
/* ERROR_NOT_FOUND for an unknown or forgotten id. */
MUST_USE enum error push_status(const struct push_table *table, const struct push_id *id,
                                struct push_status *status);
/* Newest first, older than *before when that is not NULL; returns how many. */
uint32_t push_list(const struct push_table *table, const struct push_id *before,
                   struct push_status *statuses, uint32_t max);

/* ---- worker ---- */

struct push_walk {
    const struct push_job *job;
    uint32_t next_row;  /* `all` and `online`: the cursor over session rows */
    uint32_t row_end;   /* rows used when the walk began: later logins are not matched */
    uint64_t allowance; /* streams that may be written now, in millionths (pacing) */
    uint64_t paced_at_ns;
    void *reached;             /* roaring bitmap under way */
    struct push_report report; /* increments not yet told */
};

void push_walk_begin(struct push_walk *walk, const struct push_job *job, uint32_t row_end,
                     uint64_t now_ns);
/* The next rows to write to: at most max, within the rate: those that are bound, available, of
 * priority >= 0, not closing, and whose account is in the audience. Looks at no more than a bounded
 * number of rows a call, prefetching ahead. 0 and push_walk_is_done() = the walk is over. */
uint32_t push_walk_slice(struct push_walk *walk, const struct session_table *sessions,
                         uint64_t now_ns, uint32_t *conns, uint32_t max);
bool push_walk_is_done(const struct push_walk *walk);
/* When pacing allows the next slice; UINT64_MAX when done. */
uint64_t push_walk_next_ns(const struct push_walk *walk);
/* What became of one matched connection; account as in its session row. */
void push_walk_written(struct push_walk *walk, uint32_t account, uint64_t now_ns);
void push_walk_failed(struct push_walk *walk, uint32_t account, enum push_failure why);
/* Moves the increments out; the last one, with is_walked, takes the reached set along. */
void push_walk_report(struct push_walk *walk, uint64_t acked, uint64_t lost, bool is_released,
                      struct push_report *report);
void push_walk_end(struct push_walk *walk);

#endif
