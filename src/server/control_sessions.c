/* SPDX-License-Identifier: Apache-2.0
 *
 * What only workers know: sessions. An order goes to one worker and comes back; a list, a count or
 * the change of an account goes on to the next worker until it is full or the last one was asked.
 * The change of an account may not get lost: a worker that cannot take it is asked again. */
#include "control.h"

#include "stentor/clock.h"

#define TRACE_TEXT_MAX (ORDER_TRACE_MAX * 160u)

static void refuse(struct control *control, struct admin_request *request)
{
    admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE,
                         "A worker cannot take the question now.");
}

static void order_send(struct control *control, struct order *order)
{
    if (control_give(control, order))
        return;
    if (order->request != NULL)
        refuse(control, order->request);
    control_order_destroy(control, &order);
}

/* ---- changes of accounts ---- */

static void change_keep(struct control *control, struct order *order)
{
    order->next = control->changes;
    control->changes = order;
}

bool control_change_prepare(struct control *control, struct admin_request *request)
{
    struct order *order = control_order(control, ORDER_ACCOUNT_CHANGED, 0);
    if (order == NULL) {
        refuse(control, request);
        return false;
    }
    order->request = request;
    change_keep(control, order);
    return true;
}

struct order *control_change_find(struct control *control, const struct admin_request *request)
{
    struct order *order = control->changes;
    while (order != NULL && order->request != request)
        order = order->next;
    return order;
}

void control_change_drop(struct control *control, const struct admin_request *request)
{
    for (struct order **at = &control->changes; *at != NULL; at = &(*at)->next) {
        struct order *order = *at;
        if (order->request != request)
            continue;
        *at = order->next;
        control_order_destroy(control, &order);
        return;
    }
}

void control_changes_send(struct control *control)
{
    struct order *kept = control->changes;
    control->changes = NULL;
    while (kept != NULL) {
        struct order *order = kept;
        kept = order->next; /* a worker has the order from when it is given */
        if (!order->is_due || !control_give(control, order))
            change_keep(control, order);
    }
}

/* ---- questions about sessions ---- */

static const enum order_kind order_kinds[] = {
    [ADMIN_SESSION_LIST] = ORDER_SESSION_LIST,
    [ADMIN_SESSION_COUNT] = ORDER_SESSION_COUNT,
    [ADMIN_SESSION_GET] = ORDER_SESSION_GET,
    [ADMIN_SESSION_KICK] = ORDER_SESSION_KICK,
};

static bool order_has_room(struct control *control, struct order *order)
{
    if (order->kind == ORDER_SESSION_LIST || order->kind == ORDER_SESSION_GET) {
        order->sessions = heap_take(control->heap, (order->limit + 1) * sizeof *order->sessions);
        if (order->sessions == NULL)
            return false;
    }
    if (order->kind == ORDER_SESSION_GET) {
        order->trace = heap_take(control->heap, ORDER_TRACE_MAX * sizeof *order->trace);
        return order->trace != NULL;
    }
    return true;
}

void control_session_asked(struct control *control, struct admin_request *request)
{
    bool is_one = request->kind == ADMIN_SESSION_GET || request->kind == ADMIN_SESSION_KICK;
    uint8_t worker = is_one || request->has_cursor ? handle_worker(request->session) : 0;
    if (worker >= control_worker_count(control)) {
        admin_answer_problem(control->admin, &request, ERROR_NOT_FOUND,
                             "There is no such session.");
        return;
    }
    struct order *order = control_order(control, order_kinds[request->kind], worker);
    if (order == NULL) {
        refuse(control, request);
        return;
    }
    order->request = request;
    order->session = request->session;
    order->has_cursor = request->has_cursor;
    order->limit = request->kind == ADMIN_SESSION_LIST ? request->limit + 1 : 1;
    if (request->user.size <= sizeof order->user) {
        order->user_size = (uint16_t)request->user.size;
        if (request->user.size != 0)
            memcpy(order->user, request->user.at, request->user.size);
    }
    if (!order_has_room(control, order)) {
        control_order_destroy(control, &order);
        refuse(control, request);
        return;
    }
    order_send(control, order);
}

/* True when the order went on to the next worker. */
static bool goes_on(struct control *control, struct order *order)
{
    bool is_change = order->kind == ORDER_ACCOUNT_CHANGED;
    bool is_spread = is_change || order->kind == ORDER_SESSION_COUNT ||
                     (order->kind == ORDER_SESSION_LIST && order->count < order->limit);
    if (!is_spread || order->worker + 1u >= control_worker_count(control))
        return false;
    order->worker++;
    order->has_cursor = false;
    if (is_change)
        change_keep(control, order);
    else
        order_send(control, order);
    return true;
}

static void session_answer(struct control *control, struct order *order)
{
    uint8_t *text = heap_take(control->heap, TRACE_TEXT_MAX);
    if (text == NULL) {
        refuse(control, order->request);
        return;
    }
    struct writer writer = writer_of(text, TRACE_TEXT_MAX);
    for (uint32_t i = 0; i < order->trace_count; i++) {
        struct trace_event event = order->trace[i];
        /* For a reader "how long ago" is what a time since boot is not. */
        event.at_ns = order->now_ns - event.at_ns;
        trace_render(&event, &writer);
        write_u8(&writer, '\n');
    }
    admin_answer_session(control->admin, &order->request, &order->sessions[0],
                         writer_bytes(&writer));
    heap_give(control->heap, text);
}

static void order_answer(struct control *control, struct order *order)
{
    if (order->error != ERROR_NONE) {
        admin_answer_problem(control->admin, &order->request, order->error,
                             "There is no such session.");
        return;
    }
    switch (order->kind) {
    case ORDER_SESSION_LIST: {
        uint32_t limit = order->limit - 1;
        admin_answer_sessions(control->admin, &order->request, order->sessions,
                              order->count > limit ? limit : order->count, order->count <= limit);
        break;
    }
    case ORDER_SESSION_COUNT:
        admin_answer_count(control->admin, &order->request, order->connections, order->bound,
                           order->available);
        break;
    case ORDER_SESSION_GET:
        session_answer(control, order);
        break;
    case ORDER_ACCOUNT_CHANGED:
        control_user_changed(control, order);
        break;
    default:
        admin_answer_done(control->admin, &order->request);
        break;
    }
}

void control_order_back(struct control *control, struct order *order)
{
    if (order->kind == ORDER_DRAIN)
        control->drains_out--;
    if (order->request != NULL) {
        if (goes_on(control, order))
            return;
        order_answer(control, order);
    }
    control_order_destroy(control, &order);
}
