/* SPDX-License-Identifier: Apache-2.0
 *
 * Fan-out on a worker. Each push under way is a walk over the session rows (push_walk) and one
 * shared blob; a turn takes a slice of it, so receiving goes on in between. A connection that TCP
 * cannot serve now because extensions are scarce waits in `waiting` and stops the walk: the pools
 * are the brake, nothing is lost to them. A push takes at most three quarters of a pool, so answers
 * to clients find room while one is under way. Acknowledgements are tallied by TCP in the blob's
 * row; a few times a second the increments go to control. The blob's last reference is ours, so
 * the text lives until the last copy is acknowledged or lost. */
#include "worker.h"

#define TELL_EVERY_NS (50 * NS_PER_MS)

void pushing_begin(struct worker *worker, const struct push_job *job)
{
    for (uint32_t i = 0; i < WORKER_PUSHES_MAX; i++) {
        struct worker_push *push = &worker->pushes[i];
        if (push->walk.job != NULL)
            continue;
        *push = (struct worker_push){.blob = BLOB_NONE};
        push_walk_begin(&push->walk, job, net_row_end(worker->net), worker->now_ns);
        worker->push_count++;
        return;
    }
    ASSERT(worker->push_count < WORKER_PUSHES_MAX); /* control begins no more at once */
}

static bool is_scarce(const struct worker *worker)
{
    struct net_usage usage = net_usage(worker->net);
    uint64_t hot_max = worker->config->tcp_hot_max;
    return usage.hot >= hot_max - hot_max / 4 ||
           usage.send_references >= WORKER_REFERENCES_A_HOT * (hot_max - hot_max / 4);
}

/* What became of one matched connection. False when it has to be tried again. */
static bool copy_send(struct worker *worker, struct worker_push *push, struct handle handle,
                      uint32_t account)
{
    uint32_t conn = net_find(worker->net, handle);
    if (conn == POOL_NONE || (session_at(&worker->sessions, conn)->flags & SESSION_CLOSING) != 0) {
        push_walk_failed(&push->walk, account, PUSH_FAILED_CLOSED);
        return true;
    }
    if (is_scarce(worker))
        return false;
    uint32_t size = (uint32_t)push->walk.job->text.size;
    blob_get(&worker->blobs, push->blob, 1);
    enum error error = tcp_send(worker->net, conn, push->blob, 0, size);
    if (error == ERROR_NONE) {
        push_walk_written(&push->walk, account, worker->now_ns);
        trace_add(&worker->trace, worker->now_ns, handle, TRACE_PUSH, push->blob, size);
        return true;
    }
    blob_put(&worker->blobs, push->blob);
    if (error == ERROR_POOL_EMPTY)
        return false;
    push_walk_failed(&push->walk, account,
                     error == ERROR_LIMIT ? PUSH_FAILED_OVERFLOW : PUSH_FAILED_CLOSED);
    return true;
}

/* True when nobody waits any more. */
static bool waiting_send(struct worker *worker, struct worker_push *push)
{
    while (push->waiting_count > 0) {
        uint32_t last = push->waiting_count - 1;
        if (!copy_send(worker, push, push->waiting[last], push->accounts[last]))
            return false;
        push->waiting_count--;
    }
    return true;
}

static void slice(struct worker *worker, struct worker_push *push)
{
    if (push->blob == BLOB_NONE)
        push->blob = blob_create_shared(&worker->blobs, push->walk.job->text, push);
    if (push->blob == BLOB_NONE || !waiting_send(worker, push))
        return; /* the next turn tries again */
    uint32_t conns[WORKER_PUSH_SLICE];
    uint32_t count =
        push_walk_slice(&push->walk, &worker->sessions, worker->now_ns, conns, WORKER_PUSH_SLICE);
    for (uint32_t i = 0; i < count; i++) {
        net_prefetch(worker->net, conns[i + 8 < count ? i + 8 : i]);
        uint32_t account = session_at(&worker->sessions, conns[i])->account;
        struct handle handle = net_handle(worker->net, conns[i]);
        if (copy_send(worker, push, handle, account))
            continue;
        push->waiting[push->waiting_count] = handle;
        push->accounts[push->waiting_count++] = account;
    }
}

static bool is_walked(const struct worker_push *push)
{
    return push_walk_is_done(&push->walk) && push->waiting_count == 0;
}

/* Nobody was matched, or our own reference is the last one: every copy was acknowledged or lost. */
static bool is_settled(const struct worker *worker, const struct worker_push *push)
{
    return is_walked(push) &&
           (push->blob == BLOB_NONE || blob_row(&worker->blobs, push->blob)->references == 1);
}

/* The increments since the last report; NULL when the heap refuses: they wait in the walk. */
static struct push_report *report_make(struct worker *worker, struct worker_push *push)
{
    struct push_report *report = heap_take(worker->heap, sizeof *report);
    if (report == NULL)
        return NULL;
    const struct blob_row *row =
        push->blob == BLOB_NONE ? NULL : blob_row(&worker->blobs, push->blob);
    uint32_t acked = row == NULL ? 0 : row->acked;
    uint32_t lost = row == NULL ? 0 : row->lost;
    push_walk_report(&push->walk, acked - push->acked_told, lost - push->lost_told,
                     is_settled(worker, push), report);
    push->acked_told = acked;
    push->lost_told = lost;
    push->told_at_ns = worker->now_ns;
    return report;
}

/* A report that control's ring does not take now is kept and offered again in the next turn. */
static void tell(struct worker *worker, struct worker_push *push)
{
    if (push->untold == NULL)
        push->untold = report_make(worker, push);
    if (push->untold == NULL)
        return;
    bool is_over = push->untold->is_released;
    if (!server_give_report(worker->server, push->untold))
        return;
    push->untold = NULL;
    if (!is_over)
        return;
    if (push->blob != BLOB_NONE)
        blob_put(&worker->blobs, push->blob);
    push_walk_end(&push->walk);
    *push = (struct worker_push){0};
    worker->push_count--;
}

bool pushing_turn(struct worker *worker)
{
    bool is_busy = false;
    for (uint32_t i = 0; i < WORKER_PUSHES_MAX && worker->push_count != 0; i++) {
        struct worker_push *push = &worker->pushes[i];
        if (push->walk.job == NULL)
            continue;
        if (!is_walked(push)) {
            slice(worker, push);
            is_busy = true;
        }
        if (push->untold != NULL || is_settled(worker, push) ||
            worker->now_ns - push->told_at_ns >= TELL_EVERY_NS)
            tell(worker, push);
    }
    return is_busy;
}

uint64_t pushing_next_ns(const struct worker *worker)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < WORKER_PUSHES_MAX && worker->push_count != 0; i++) {
        const struct worker_push *push = &worker->pushes[i];
        if (push->walk.job == NULL)
            continue;
        uint64_t told = push->told_at_ns + TELL_EVERY_NS;
        uint64_t walk = push_walk_next_ns(&push->walk);
        next = told < next ? told : next;
        next = walk < next ? walk : next;
    }
    return next;
}
