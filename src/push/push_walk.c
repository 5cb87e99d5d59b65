/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's half of a push: a cursor over its session rows, moved a slice a turn. Only rows below
 * row_end are looked at, since to read a row never used would cost memory. What a row is judged by
 * stands in its first cache line, and lines are fetched PREFETCH_ROWS ahead.
 *
 * Pacing is a bucket of allowance that fills with `rate` streams a second and holds BURST_NS of
 * it; allowance is counted in millionths of a stream, so that low rates lose nothing to rounding.
 *
 * A matched connection is written or failed exactly once, at once or in a later turn. */
#include <roaring/roaring.h>

#include "stentor/push.h"

#define ROWS_SLICE_MAX 4096u
#define PREFETCH_ROWS 12u
#define STREAM UINT64_C(1000000)
#define BURST_NS UINT64_C(10000000)
#define NS_PER_MILLIONTH UINT64_C(1000) /* at one stream a second */
/* Longer pauses fill the bucket many times over, and would overflow the product. */
#define PAUSE_NS_MAX UINT64_C(1000000000)

static_assert(offsetof(struct session_row, account) < CACHE_LINE, "judged by its first line");
static_assert(offsetof(struct session_row, flags) < CACHE_LINE, "judged by its first line");

void push_walk_begin(struct push_walk *walk, const struct push_job *job, uint32_t row_end,
                     uint64_t now_ns)
{
    ASSERT(job->rate > 0);
    *walk = (struct push_walk){
        .job = job,
        .row_end = row_end,
        .allowance = STREAM,
        .paced_at_ns = now_ns,
        .reached = job->target == PUSH_ONLINE ? NULL : roaring_bitmap_create(),
    };
}

static void pace(struct push_walk *walk, uint64_t now_ns)
{
    if (now_ns <= walk->paced_at_ns)
        return;
    uint64_t rate = walk->job->rate;
    uint64_t passed_ns = now_ns - walk->paced_at_ns;
    if (passed_ns > PAUSE_NS_MAX) {
        passed_ns = PAUSE_NS_MAX;
        walk->paced_at_ns = now_ns - PAUSE_NS_MAX;
    }
    uint64_t gained = passed_ns * rate / NS_PER_MILLIONTH;
    /* Only the time that the gain took is used up, rounded against the push. */
    walk->paced_at_ns += (gained * NS_PER_MILLIONTH + rate - 1) / rate;
    uint64_t burst = BURST_NS * rate / NS_PER_MILLIONTH;
    burst = burst < STREAM ? STREAM : burst;
    walk->allowance = walk->allowance + gained < burst ? walk->allowance + gained : burst;
}

static bool is_in_audience(const struct push_job *job, uint32_t account)
{
    return job->audience == NULL ||
           roaring_bitmap_contains((const roaring_bitmap_t *)job->audience, account);
}

static bool is_wanted(const struct push_job *job, const struct session_row *row)
{
    const uint8_t must_be = SESSION_BOUND | SESSION_AVAILABLE;
    if ((row->flags & (must_be | SESSION_CLOSING)) != must_be || row->priority < 0)
        return false;
    return is_in_audience(job, row->account);
}

uint32_t push_walk_slice(struct push_walk *walk, const struct session_table *sessions,
                         uint64_t now_ns, uint32_t *conns, uint32_t max)
{
    pace(walk, now_ns);
    uint64_t allowed = walk->allowance / STREAM;
    uint32_t count_max = allowed < max ? (uint32_t)allowed : max;
    uint32_t left = walk->row_end - walk->next_row;
    uint32_t end = walk->next_row + (left < ROWS_SLICE_MAX ? left : ROWS_SLICE_MAX);
    uint32_t count = 0;
    uint32_t at = walk->next_row;
    for (; at < end && count < count_max; at++) {
        if (at + PREFETCH_ROWS < walk->row_end)
            __builtin_prefetch(session_at(sessions, at + PREFETCH_ROWS));
        const struct session_row *row = session_at(sessions, at);
        if (!is_wanted(walk->job, row))
            continue;
        conns[count++] = at;
        if (walk->reached != NULL)
            roaring_bitmap_add(walk->reached, row->account);
    }
    walk->next_row = at;
    walk->allowance -= count * STREAM;
    walk->report.matched += count;
    return count;
}

bool push_walk_is_done(const struct push_walk *walk)
{
    return walk->next_row == walk->row_end;
}

uint64_t push_walk_next_ns(const struct push_walk *walk)
{
    if (push_walk_is_done(walk))
        return UINT64_MAX;
    if (walk->allowance >= STREAM)
        return walk->paced_at_ns;
    uint64_t missing = STREAM - walk->allowance;
    uint64_t rate = walk->job->rate;
    return walk->paced_at_ns + (missing * NS_PER_MILLIONTH + rate - 1) / rate;
}

void push_walk_written(struct push_walk *walk, uint32_t account, uint64_t now_ns)
{
    ASSERT(account != 0);
    walk->report.written++;
    if (walk->report.first_write_at_ns == 0)
        walk->report.first_write_at_ns = now_ns;
    walk->report.last_write_at_ns = now_ns;
}

void push_walk_failed(struct push_walk *walk, uint32_t account, enum push_failure why)
{
    ASSERT(account != 0);
    ASSERT(why < PUSH_FAILURE_COUNT);
    walk->report.failed[why]++;
}

void push_walk_report(struct push_walk *walk, uint64_t acked, uint64_t lost, bool is_released,
                      struct push_report *report)
{
    bool was_walked = walk->report.is_walked;
    *report = walk->report;
    report->job = walk->job;
    report->acked = acked;
    report->lost = lost;
    report->is_walked = push_walk_is_done(walk) && !was_walked;
    report->is_released = is_released;
    if (report->is_walked) {
        report->reached = walk->reached;
        walk->reached = NULL;
    }
    walk->report = (struct push_report){.is_walked = was_walked || report->is_walked};
}

void push_walk_end(struct push_walk *walk)
{
    if (walk->reached != NULL)
        roaring_bitmap_free(walk->reached);
    *walk = (struct push_walk){0};
}
