/* SPDX-License-Identifier: Apache-2.0
 *
 * The same server stepped by hand in one thread, for the simulator: real store on disk, real
 * password stretching, workers over simulated wires, no HTTP. */
#include "server_state.h"

void server_turn(struct server *server, uint64_t now_ns, uint64_t wall_ms)
{
    ASSERT(server->is_by_hand);
    for (uint32_t i = 0; i < server->worker_count; i++)
        worker_turn(&server->workers[i], now_ns, wall_ms);
    stretch_turn(server->stretch);
    store_turn(server->store);
    control_turn(&server->control, now_ns, wall_ms);
}

uint64_t server_next_ns(const struct server *server, uint64_t now_ns)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < server->worker_count; i++) {
        const struct worker *worker = &server->workers[i];
        uint64_t at =
            store_port_pending_count(worker->store) != 0 ? now_ns : worker_next_ns(worker);
        next = at < next ? at : next;
    }
    bool has_answers = store_port_pending_count(server->control.store) != 0 ||
                       ring_count(server->control.reports) != 0 ||
                       ring_count(server->control.back) != 0;
    return has_answers ? now_ns : next;
}

struct server_usage server_usage(const struct server *server)
{
    struct server_usage usage = {.heap_bytes = heap_used_bytes(&server->heap)};
    for (uint32_t i = 0; i < server->worker_count; i++) {
        const struct worker *worker = &server->workers[i];
        struct net_usage net = net_usage(worker->net);
        usage.net.connections += net.connections;
        usage.net.hot += net.hot;
        usage.net.send_references += net.send_references;
        usage.net.time_wait += net.time_wait;
        usage.net.reorder_bytes += net.reorder_bytes;
        usage.blobs += worker->blobs.used;
        usage.negotiations += xmpp_negotiation_count(worker->xmpp);
        usage.partials += worker->partials.used;
        usage.bound += worker->sessions.bound_count;
        usage.registered += registry_count(worker->registry);
    }
    return usage;
}

int64_t server_metric(const struct server *server, enum metric metric)
{
    const struct metrics *blocks[NIC_QUEUES_MAX + STORE_THREADS_MAX + 2u];
    uint32_t count = server_metric_blocks(server, blocks, ARRAY_COUNT(blocks));
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += metric_get(blocks[i], metric);
    return sum;
}

bool server_make_account(struct server *server, struct bytes local, struct bytes password)
{
    struct stretch_job *job = stretch_job_create(server->stretch, STRETCH_MAKE, password);
    if (job == NULL)
        return false;
    job->port = &server->control.stretch;
    job->rounds = (uint32_t)server->config->scram_iterations;
    job->account.is_enabled = true;
    uint32_t made = server->control.made_accounts;
    if (!account_set_local(&job->account, local) || !stretch_give(server->stretch, &job)) {
        stretch_job_destroy(server->stretch, &job);
        return false;
    }
    /* Stretched; keys taken and submitted; stored; answer taken. */
    stretch_turn(server->stretch);
    control_turn(&server->control, server->control.now_ns, server->control.wall_ms);
    store_turn(server->store);
    control_turn(&server->control, server->control.now_ns, server->control.wall_ms);
    return server->control.made_accounts == made + 1;
}

enum error server_push(struct server *server, const struct push_request *request,
                       struct push_id *id)
{
    ASSERT(request->target != PUSH_USERS);
    struct store_request *ask;
    enum error error = store_request_create(server->store, STORE_ACCOUNT_NUMBERS, &ask);
    if (error == ERROR_NONE)
        error = store_submit(server->control.store, &ask);
    if (error != ERROR_NONE) {
        store_request_destroy(server->store, &ask);
        return error;
    }
    store_turn(server->store);
    ask = store_port_take(server->control.store);
    ASSERT(ask != NULL);
    error = ask->error;
    if (error == ERROR_NONE)
        error = control_push_begin(&server->control, request, ask->numbers, ask->count, id);
    store_request_destroy(server->store, &ask);
    return error;
}

enum error server_push_status(struct server *server, const struct push_id *id,
                              struct push_status *status)
{
    return push_status(server->control.pushes, id, status);
}
