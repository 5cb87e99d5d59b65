/* SPDX-License-Identifier: Apache-2.0
 *
 * What control asks of a worker, carried out between packets and given back with the answer. */
#include "worker.h"

#define DRAIN_SLICE 512u

static void session_describe(struct worker *worker, uint32_t conn, struct admin_session *into)
{
    const struct session_row *row = session_at(&worker->sessions, conn);
    struct net_address address;
    *into = (struct admin_session){.id = net_handle(worker->net, conn)};
    struct writer user = writer_of(into->user, sizeof into->user - 1);
    write_bytes(&user, session_local(&worker->sessions, conn));
    struct writer resource = writer_of(into->resource, sizeof into->resource - 1);
    write_bytes(&resource, session_resource(&worker->sessions, conn));
    tcp_remote(worker->net, conn, &address, &into->port);
    struct writer text = writer_of(into->address, sizeof into->address - 1);
    net_address_write(&address, &text);
    into->is_bound = (row->flags & SESSION_BOUND) != 0;
    into->is_available = (row->flags & SESSION_AVAILABLE) != 0;
    into->priority = row->priority;
    into->age_seconds = worker->now_ns / NS_PER_SECOND - row->opened_at_s;
    into->queued_bytes = tcp_queued_bytes(worker->net, conn);
    into->tcp_state = tcp_state_name(worker->net, conn);
}

static bool is_listed(const struct worker *worker, uint32_t conn, const struct order *order)
{
    if (!net_is_live(worker->net, conn))
        return false;
    struct bytes user = bytes_of(order->user, order->user_size);
    return user.size == 0 || bytes_equal(session_local(&worker->sessions, conn), user);
}

static void session_list(struct worker *worker, struct order *order)
{
    uint32_t conn = order->has_cursor ? handle_index(order->session) + 1 : 0;
    uint32_t end = net_row_end(worker->net);
    for (; conn < end && order->count < order->limit; conn++) {
        if (is_listed(worker, conn, order))
            session_describe(worker, conn, &order->sessions[order->count++]);
    }
}

static void session_count(struct worker *worker, struct order *order)
{
    order->connections += net_usage(worker->net).connections;
    order->bound += worker->sessions.bound_count;
    order->available += worker->sessions.available_count;
}

static void session_get(struct worker *worker, struct order *order)
{
    uint32_t conn = net_find(worker->net, order->session);
    if (conn == POOL_NONE) {
        order->error = ERROR_NOT_FOUND;
        return;
    }
    session_describe(worker, conn, &order->sessions[0]);
    order->count = 1;
    order->now_ns = worker->now_ns;
    order->trace_count = trace_find(&worker->trace, order->session, order->trace, ORDER_TRACE_MAX);
}

static void kick(struct worker *worker, uint32_t conn)
{
    effects_close(worker, conn, STREAM_ERROR_POLICY_VIOLATION);
    inbound_resume(worker, conn);
    metric_count(worker->metrics, METRIC_STREAMS_KICKED);
}

static void session_kick(struct worker *worker, struct order *order)
{
    uint32_t conn = net_find(worker->net, order->session);
    if (conn == POOL_NONE)
        order->error = ERROR_NOT_FOUND;
    else
        kick(worker, conn);
}

static void login_void(struct worker *worker, uint32_t conn, uint32_t account)
{
    struct xmpp_peer peer = inbound_peer(worker, conn);
    struct xmpp_output output;
    enum xmpp_result result = xmpp_account_changed(worker->xmpp, &peer, account, &output);
    if (output.effect_count == 0)
        return;
    effects_apply(worker, conn, result, &output);
    inbound_resume(worker, conn);
    metric_count(worker->metrics, METRIC_STREAMS_KICKED);
}

/* What the worker has of the account: bound sessions, logins that know its number, and, for what is
 * still being looked up, the mark in worker->changes. */
static void account_changed(struct worker *worker, struct order *order)
{
    changes_add(&worker->changes, order->account);
    if (!order->ends_sessions && xmpp_negotiation_count(worker->xmpp) == 0)
        return;
    uint32_t end = net_row_end(worker->net);
    for (uint32_t conn = 0; conn < end; conn++) {
        if (!net_is_live(worker->net, conn))
            continue;
        const struct session_row *row = session_at(&worker->sessions, conn);
        if ((row->flags & SESSION_BOUND) == 0)
            login_void(worker, conn, order->account);
        else if (order->ends_sessions && row->account == order->account)
            kick(worker, conn);
    }
}

static void order_carry_out(struct worker *worker, struct order *order)
{
    switch (order->kind) {
    case ORDER_PUSH:
        pushing_begin(worker, order->job);
        break;
    case ORDER_SESSION_LIST:
        session_list(worker, order);
        break;
    case ORDER_SESSION_COUNT:
        session_count(worker, order);
        break;
    case ORDER_SESSION_GET:
        session_get(worker, order);
        break;
    case ORDER_SESSION_KICK:
        session_kick(worker, order);
        break;
    case ORDER_ACCOUNT_CHANGED:
        account_changed(worker, order);
        break;
    case ORDER_DRAIN:
        ASSERT(worker->drain == NULL);
        net_unlisten(worker->net, (uint16_t)worker->config->xmpp_port);
        worker->drain = order;
        worker->drain_row = 0;
        return; /* given back when the last stream is gone */
    }
    server_give_order_back(worker->server, order);
}

/* Streams end a slice a turn, so that millions of goodbyes do not stop the loop. */
static void drain_turn(struct worker *worker)
{
    uint32_t end = net_row_end(worker->net);
    for (uint32_t i = 0; i < DRAIN_SLICE && worker->drain_row < end; i++, worker->drain_row++) {
        if (!net_is_live(worker->net, worker->drain_row))
            continue;
        effects_close(worker, worker->drain_row, STREAM_ERROR_SYSTEM_SHUTDOWN);
        inbound_resume(worker, worker->drain_row);
    }
    if (worker->drain_row < end || net_usage(worker->net).connections != 0)
        return;
    server_give_order_back(worker->server, worker->drain);
    worker->drain = NULL;
}

bool orders_turn(struct worker *worker)
{
    bool is_busy = worker->drain != NULL;
    struct order *order;
    while ((order = ring_take_spsc(worker->orders)) != NULL) {
        order_carry_out(worker, order);
        is_busy = true;
    }
    if (worker->drain != NULL)
        drain_turn(worker);
    return is_busy;
}
