/* SPDX-License-Identifier: Apache-2.0
 *
 * The turn of the control thread: answers come home, admin requests go out, the log leaves. */
#include "control.h"

#include <unistd.h>

#define LOGS_MAX (NIC_QUEUES_MAX + 2u)
#define METRIC_BLOCKS_MAX (NIC_QUEUES_MAX + STORE_THREADS_MAX + 2u)
#define METRICS_TEXT_MAX (256u << 10)

enum error control_create(struct control *control, struct writer *message)
{
    struct push_options options = {
        .heap = control->heap,
        .random = &control->random,
        .metrics = control->metrics,
        .domain = bytes_of_string(control->config->xmpp_domain),
        .kept_max = (uint32_t)control->config->push_kept_max,
        .worker_count = control_worker_count(control),
        .body_bytes_max = (uint32_t)control->config->push_body_bytes,
        .rate_default = (uint32_t)control->config->push_rate,
    };
    enum error error = push_table_create(&control->pushes, &options);
    if (error == ERROR_NONE)
        error = ring_create(&control->reports, control->heap, CONTROL_REPORTS_COUNT);
    if (error == ERROR_NONE)
        error = ring_create(&control->back, control->heap, CONTROL_ORDERS_COUNT);
    if (error == ERROR_NONE)
        error = store_port_create(server_store(control->server), control->metrics,
                                  control->bell.descriptor, &control->store);
    if (error == ERROR_NONE)
        error = stretch_port_init(server_stretch(control->server), &control->stretch,
                                  control->bell.descriptor);
    if (error != ERROR_NONE) {
        write_string(message, "cannot make the control thread's tables: ");
        write_string(message, error_text(error));
    }
    return error;
}

enum error control_open_admin(struct control *control, char token[ADMIN_TOKEN_SIZE + 1],
                              struct writer *message)
{
    struct admin_options options = {
        .config = control->config,
        .heap = control->heap,
        .metrics = control->metrics,
        .random = &control->random,
        .log = control->log,
    };
    return admin_open(&control->admin, &options, token, message);
}

void control_close_admin(struct control *control)
{
    if (control->admin != NULL)
        admin_close(&control->admin);
}

void control_destroy(struct control *control)
{
    control_close_admin(control);
    struct order *order;
    while (control->back != NULL && (order = ring_take_mpsc(control->back)) != NULL)
        control_order_destroy(control, &order);
    while ((order = control->changes) != NULL) {
        control->changes = order->next;
        control_order_destroy(control, &order);
    }
    struct push_report *report;
    while (control->reports != NULL && (report = ring_take_mpsc(control->reports)) != NULL) {
        push_apply(control->pushes, report, control->now_ns);
        heap_give(control->heap, report);
    }
    if (server_stretch(control->server) != NULL)
        stretch_port_fini(server_stretch(control->server), &control->stretch);
    if (control->back != NULL)
        ring_destroy(&control->back, control->heap);
    if (control->reports != NULL)
        ring_destroy(&control->reports, control->heap);
    if (control->pushes != NULL)
        push_table_destroy(&control->pushes);
    bell_fini(&control->bell);
}

/* ---- asking ---- */

struct store_request *control_ask_store(struct control *control, enum store_kind kind,
                                        struct admin_request *request)
{
    struct store_request *ask;
    enum error error = store_request_create(server_store(control->server), kind, &ask);
    if (error == ERROR_NONE) {
        ask->token_word = (uint64_t)(uintptr_t)request;
        return ask;
    }
    admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE,
                         "The server is short of memory.");
    return NULL;
}

void control_submit(struct control *control, struct store_request *ask)
{
    struct admin_request *request = (struct admin_request *)(uintptr_t)ask->token_word;
    if (store_submit(control->store, &ask) == ERROR_NONE)
        return;
    store_request_destroy(server_store(control->server), &ask);
    control_change_drop(control, request);
    admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE, "The store's queue is full.");
}

struct order *control_order(struct control *control, enum order_kind kind, uint8_t worker)
{
    struct order *order = heap_take_zeroed(control->heap, sizeof *order);
    if (order != NULL) {
        order->kind = kind;
        order->worker = worker;
    }
    return order;
}

void control_order_destroy(struct control *control, struct order **order)
{
    if (*order == NULL)
        return;
    heap_give(control->heap, (*order)->sessions);
    heap_give(control->heap, (*order)->trace);
    heap_give(control->heap, *order);
    *order = NULL;
}

bool control_give(struct control *control, struct order *order)
{
    return server_order_worker(control->server, order);
}

uint32_t control_worker_count(const struct control *control)
{
    return server_worker_count(control->server);
}

/* ---- the turn ---- */

static void store_answered(struct control *control, struct store_request *answer)
{
    switch (answer->kind) {
    case STORE_ACCOUNT_NUMBERS:
        control_push_numbers(control, answer);
        break;
    case STORE_ACCOUNT_GET:
        if (((struct admin_request *)(uintptr_t)answer->token_word)->kind == ADMIN_PUSH_CREATE)
            control_push_user(control, answer);
        else
            control_user_stored(control, answer);
        break;
    default:
        control_user_stored(control, answer);
        break;
    }
}

static void answers_take(struct control *control)
{
    struct store_request *answer;
    while ((answer = store_port_take(control->store)) != NULL) {
        store_answered(control, answer);
        store_request_destroy(server_store(control->server), &answer);
    }
    struct stretch_job *job;
    while ((job = stretch_take_done(&control->stretch)) != NULL) {
        control_keys_made(control, job);
        stretch_job_destroy(server_stretch(control->server), &job);
    }
    struct order *order;
    while ((order = ring_take_mpsc(control->back)) != NULL) {
        control->orders_out--;
        control_order_back(control, order);
    }
    control_changes_send(control);
    struct push_report *report;
    while ((report = ring_take_mpsc(control->reports)) != NULL) {
        push_apply(control->pushes, report, control->now_ns);
        heap_give(control->heap, report);
    }
}

static void metrics_answer(struct control *control, struct admin_request *request)
{
    const struct metrics *blocks[METRIC_BLOCKS_MAX];
    uint32_t count = server_metric_blocks(control->server, blocks, METRIC_BLOCKS_MAX);
    uint8_t *text = heap_take(control->heap, METRICS_TEXT_MAX);
    if (text == NULL) {
        admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE,
                             "The server is short of memory.");
        return;
    }
    struct writer writer = writer_of(text, METRICS_TEXT_MAX);
    metrics_render(blocks, count, &writer);
    ASSERT(!writer.is_overflown);
    admin_answer_text(control->admin, &request, writer_bytes(&writer));
    heap_give(control->heap, text);
}

static bool is_change(enum admin_kind kind)
{
    return kind == ADMIN_PUSH_CREATE || kind == ADMIN_USER_CREATE || kind == ADMIN_USER_UPDATE ||
           kind == ADMIN_USER_DELETE || kind == ADMIN_SESSION_KICK;
}

static void request_carry_out(struct control *control, struct admin_request *request)
{
    if (control->is_draining && (is_change(request->kind) || request->kind == ADMIN_READY)) {
        control_refuse_draining(control, request);
        return;
    }
    switch (request->kind) {
    case ADMIN_PUSH_CREATE:
    case ADMIN_PUSH_GET:
    case ADMIN_PUSH_LIST:
        control_push_asked(control, request);
        break;
    case ADMIN_USER_CREATE:
    case ADMIN_USER_GET:
    case ADMIN_USER_UPDATE:
    case ADMIN_USER_DELETE:
    case ADMIN_USER_LIST:
        control_user_asked(control, request);
        break;
    case ADMIN_SESSION_LIST:
    case ADMIN_SESSION_COUNT:
    case ADMIN_SESSION_GET:
    case ADMIN_SESSION_KICK:
        control_session_asked(control, request);
        break;
    case ADMIN_METRICS:
        metrics_answer(control, request);
        break;
    case ADMIN_READY:
        admin_answer_text(control->admin, &request, BYTES("ready\n"));
        break;
    }
}

static void log_leave(struct control *control)
{
    struct log *logs[LOGS_MAX];
    uint32_t count = server_logs(control->server, logs, LOGS_MAX);
    log_drain(logs, count, STDERR_FILENO);
}

void control_turn(struct control *control, uint64_t now_ns, uint64_t wall_ms)
{
    control->now_ns = now_ns;
    control->wall_ms = wall_ms;
    answers_take(control);
    if (control->admin == NULL)
        return;
    admin_turn(control->admin, now_ns, wall_ms);
    struct admin_request *request;
    while ((request = admin_take(control->admin)) != NULL)
        request_carry_out(control, request);
    answers_take(control);
    log_leave(control);
}

void control_refuse_draining(struct control *control, struct admin_request *request)
{
    admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE, "The server is draining.");
}

void control_drain(struct control *control)
{
    control->is_draining = true;
    for (uint32_t i = 0; i < control_worker_count(control); i++) {
        struct order *order = control_order(control, ORDER_DRAIN, (uint8_t)i);
        if (order == NULL || !control_give(control, order))
            control_order_destroy(control, &order); /* the drain's time limit ends it anyway */
        else
            control->drains_out++;
    }
}
