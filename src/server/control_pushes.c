/* SPDX-License-Identifier: Apache-2.0
 *
 * A push from the admin API to the workers:
 *
 *   online                                          -> accept
 *   all     store: every account number             -> accept
 *   users   store: each user, a window at a time    -> accept, or 404 naming each unknown one
 *
 * accept = push_accept() renders and books it, and every worker gets an order to walk its rows. */
#include "control.h"

#include <stdlib.h>

/* A push to users while its names are looked up; hangs on the admin request. */
struct lookup {
    uint32_t asked;
    uint32_t outstanding;
    uint32_t found;
    uint32_t unknown;
    enum error error; /* the first that is not NOT_FOUND */
    uint32_t *numbers;
    uint32_t *unknown_at;
};

enum error control_push_begin(struct control *control, const struct push_request *request,
                              const uint32_t *accounts, uint32_t count, struct push_id *id)
{
    struct order *orders[NIC_QUEUES_MAX];
    uint32_t workers = control_worker_count(control);
    if (push_running_count(control->pushes) >= PUSH_RUNNING_MAX)
        return ERROR_LIMIT;
    /* Only control gives orders, so room that is there now is there below. */
    for (uint32_t i = 0; i < workers; i++)
        if (!server_has_order_room(control->server, (uint8_t)i))
            return ERROR_QUEUE_FULL;
    for (uint32_t i = 0; i < workers; i++) {
        orders[i] = control_order(control, ORDER_PUSH, (uint8_t)i);
        if (orders[i] != NULL)
            continue;
        while (i-- > 0)
            control_order_destroy(control, &orders[i]);
        return ERROR_NO_MEMORY;
    }
    const struct push_job *job;
    enum error error = push_accept(control->pushes, request, accounts, count, control->wall_ms,
                                   control->now_ns, &job);
    for (uint32_t i = 0; i < workers; i++) {
        if (error != ERROR_NONE) {
            control_order_destroy(control, &orders[i]);
            continue;
        }
        orders[i]->job = job;
        bool is_given = control_give(control, orders[i]);
        ASSERT(is_given);
    }
    if (error == ERROR_NONE)
        *id = job->id;
    return error;
}

static const char *refusal_text(enum error error)
{
    return error == ERROR_LIMIT       ? "Too many pushes are running."
           : error == ERROR_TOO_LARGE ? "The rendered push is larger than push.body_bytes."
           : error == ERROR_INVALID   ? "The push cannot be rendered."
                                      : error_text(error);
}

static void begin_and_answer(struct control *control, struct admin_request *request,
                             const uint32_t *accounts, uint32_t count)
{
    if (control->is_draining) { /* since its users were looked up */
        control_refuse_draining(control, request);
        return;
    }
    struct push_id id;
    enum error error = control_push_begin(control, &request->push, accounts, count, &id);
    struct push_status status;
    if (error == ERROR_NONE)
        error = push_status(control->pushes, &id, &status);
    if (error == ERROR_NONE)
        admin_answer_push(control->admin, &request, &status);
    else
        admin_answer_problem(control->admin, &request, error, refusal_text(error));
}

void control_push_numbers(struct control *control, struct store_request *answer)
{
    struct admin_request *request = (struct admin_request *)(uintptr_t)answer->token_word;
    if (answer->error != ERROR_NONE)
        admin_answer_problem(control->admin, &request, answer->error, error_text(answer->error));
    else
        begin_and_answer(control, request, answer->numbers, answer->count);
}

/* ---- users ---- */

static int number_compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void lookup_end(struct control *control, struct admin_request *request)
{
    struct lookup *lookup = request->work;
    request->work = NULL;
    if (lookup->error != ERROR_NONE) {
        admin_answer_problem(control->admin, &request, lookup->error, error_text(lookup->error));
    } else if (lookup->unknown != 0) {
        admin_answer_unknown_users(control->admin, &request, lookup->unknown_at, lookup->unknown);
    } else {
        qsort(lookup->numbers, lookup->found, sizeof *lookup->numbers, number_compare);
        begin_and_answer(control, request, lookup->numbers, lookup->found);
    }
    heap_give(control->heap, lookup->numbers);
    heap_give(control->heap, lookup->unknown_at);
    heap_give(control->heap, lookup);
}

static bool lookup_ask(struct control *control, struct admin_request *request, uint32_t index)
{
    struct store_request *ask;
    if (store_request_create(server_store(control->server), STORE_ACCOUNT_GET, &ask) != ERROR_NONE)
        return false;
    ask->token_word = (uint64_t)(uintptr_t)request;
    ask->token_handle = index;
    if (account_set_local(&ask->account, request->users[index]) &&
        store_submit(control->store, &ask) == ERROR_NONE)
        return true;
    store_request_destroy(server_store(control->server), &ask);
    return false;
}

/* Keeps CONTROL_USER_LOOKUPS questions under way; ends when none is left to ask or answer. */
static void lookup_go_on(struct control *control, struct admin_request *request)
{
    struct lookup *lookup = request->work;
    while (lookup->error == ERROR_NONE && lookup->asked < request->user_count &&
           lookup->outstanding < CONTROL_USER_LOOKUPS) {
        if (!lookup_ask(control, request, lookup->asked)) {
            lookup->error = ERROR_UNAVAILABLE;
            break;
        }
        lookup->asked++;
        lookup->outstanding++;
    }
    if (lookup->outstanding == 0)
        lookup_end(control, request);
}

void control_push_user(struct control *control, struct store_request *answer)
{
    struct admin_request *request = (struct admin_request *)(uintptr_t)answer->token_word;
    struct lookup *lookup = request->work;
    lookup->outstanding--;
    if (answer->error == ERROR_NONE)
        lookup->numbers[lookup->found++] = answer->account.number;
    else if (answer->error == ERROR_NOT_FOUND)
        lookup->unknown_at[lookup->unknown++] = (uint32_t)answer->token_handle;
    else if (lookup->error == ERROR_NONE)
        lookup->error = answer->error;
    lookup_go_on(control, request);
}

static void lookup_begin(struct control *control, struct admin_request *request)
{
    struct lookup *lookup = heap_take_zeroed(control->heap, sizeof *lookup);
    size_t size = request->user_count * sizeof(uint32_t);
    if (lookup != NULL) {
        lookup->numbers = heap_take(control->heap, size);
        lookup->unknown_at = heap_take(control->heap, size);
    }
    if (lookup == NULL || lookup->numbers == NULL || lookup->unknown_at == NULL) {
        if (lookup != NULL) {
            heap_give(control->heap, lookup->numbers);
            heap_give(control->heap, lookup->unknown_at);
        }
        heap_give(control->heap, lookup);
        admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE,
                             "The server is short of memory.");
        return;
    }
    request->work = lookup;
    lookup_go_on(control, request);
}

static void push_create(struct control *control, struct admin_request *request)
{
    switch (request->push.target) {
    case PUSH_ONLINE:
        begin_and_answer(control, request, NULL, 0);
        break;
    case PUSH_USERS:
        lookup_begin(control, request);
        break;
    case PUSH_ALL: {
        struct store_request *ask = control_ask_store(control, STORE_ACCOUNT_NUMBERS, request);
        if (ask != NULL)
            control_submit(control, ask);
        break;
    }
    }
}

static void push_list_answer(struct control *control, struct admin_request *request)
{
    struct push_status *statuses =
        heap_take(control->heap, (request->limit + 1) * sizeof *statuses);
    if (statuses == NULL) {
        admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE,
                             "The server is short of memory.");
        return;
    }
    uint32_t limit = request->limit;
    uint32_t count = push_list(control->pushes, request->has_cursor ? &request->push_id : NULL,
                               statuses, limit + 1);
    admin_answer_pushes(control->admin, &request, statuses, count > limit ? limit : count,
                        count <= limit);
    heap_give(control->heap, statuses);
}

void control_push_asked(struct control *control, struct admin_request *request)
{
    if (request->kind == ADMIN_PUSH_CREATE) {
        push_create(control, request);
        return;
    }
    if (request->kind == ADMIN_PUSH_LIST) {
        push_list_answer(control, request);
        return;
    }
    struct push_status status;
    if (push_status(control->pushes, &request->push_id, &status) == ERROR_NONE)
        admin_answer_push(control->admin, &request, &status);
    else
        admin_answer_problem(control->admin, &request, ERROR_NOT_FOUND,
                             "There is no such push, or it is forgotten by now.");
}
