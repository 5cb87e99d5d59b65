/* SPDX-License-Identifier: Apache-2.0
 *
 * Accounts as the admin API asks for them: keys by the password threads, then the store, then, when
 * somebody is locked out by it, every worker. The answer comes last: when it is read no stream is,
 * or can come to be, authenticated by what the account was. */
#include "control.h"

static void keys_make(struct control *control, struct admin_request *request)
{
    struct stretch *stretch = server_stretch(control->server);
    struct stretch_job *job = stretch_job_create(stretch, STRETCH_MAKE, request->password);
    if (job != NULL) {
        job->port = &control->stretch;
        job->rounds = (uint32_t)control->config->scram_iterations;
        job->token_pointer = request;
        if (stretch_give(stretch, &job))
            return;
        stretch_job_destroy(stretch, &job);
    }
    admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE,
                         "Too many passwords are waiting to be stretched.");
}

static bool ends_sessions(const struct admin_request *request)
{
    return request->kind == ADMIN_USER_DELETE ||
           (request->kind == ADMIN_USER_UPDATE && request->has_enabled && !request->is_enabled);
}

/* Another password ends no session, but no login by the old one may succeed. */
static bool locks_out(const struct admin_request *request)
{
    return ends_sessions(request) || (request->kind == ADMIN_USER_UPDATE && request->has_password);
}

static void account_ask(struct control *control, struct admin_request *request,
                        enum store_kind kind, const struct account *keys)
{
    struct store_request *ask = control_ask_store(control, kind, request);
    if (ask == NULL)
        return;
    if (!account_set_local(&ask->account, request->user)) {
        store_request_destroy(server_store(control->server), &ask);
        admin_answer_problem(control->admin, &request, ERROR_INVALID,
                             "The user name is empty or too long.");
        return;
    }
    if (keys != NULL)
        memcpy(ask->account.scram, keys->scram, sizeof ask->account.scram);
    ask->account.is_enabled = kind == STORE_ACCOUNT_CREATE || request->is_enabled;
    ask->account.created_at_ms = control->wall_ms;
    if (request->has_password)
        ask->update |= STORE_UPDATE_SCRAM;
    if (request->has_enabled)
        ask->update |= STORE_UPDATE_ENABLED;
    if (locks_out(request) && !control_change_prepare(control, request))
        store_request_destroy(server_store(control->server), &ask);
    else
        control_submit(control, ask);
}

static void users_list(struct control *control, struct admin_request *request)
{
    struct store_request *ask = control_ask_store(control, STORE_ACCOUNT_LIST, request);
    if (ask == NULL)
        return;
    if (request->cursor.size != 0 && !account_set_local(&ask->account, request->cursor)) {
        store_request_destroy(server_store(control->server), &ask);
        admin_answer_problem(control->admin, &request, ERROR_INVALID,
                             "The cursor is not one of ours.");
        return;
    }
    ask->limit = request->limit;
    control_submit(control, ask);
}

void control_user_asked(struct control *control, struct admin_request *request)
{
    switch (request->kind) {
    case ADMIN_USER_CREATE:
        keys_make(control, request);
        break;
    case ADMIN_USER_UPDATE:
        if (request->has_password)
            keys_make(control, request);
        else
            account_ask(control, request, STORE_ACCOUNT_UPDATE, NULL);
        break;
    case ADMIN_USER_GET:
        account_ask(control, request, STORE_ACCOUNT_GET, NULL);
        break;
    case ADMIN_USER_DELETE:
        account_ask(control, request, STORE_ACCOUNT_DELETE, NULL);
        break;
    default:
        users_list(control, request);
        break;
    }
}

void control_keys_made(struct control *control, struct stretch_job *job)
{
    struct admin_request *request = job->token_pointer;
    if (request == NULL) { /* by hand: server_make_account */
        struct store_request *ask;
        if (store_request_create(server_store(control->server), STORE_ACCOUNT_CREATE, &ask) !=
            ERROR_NONE) {
            control->refused_accounts++;
            return;
        }
        ask->account = job->account;
        if (store_submit(control->store, &ask) != ERROR_NONE) {
            store_request_destroy(server_store(control->server), &ask);
            control->refused_accounts++;
        }
        return;
    }
    if (job->error != ERROR_NONE) {
        admin_answer_problem(control->admin, &request, job->error, "The password cannot be used.");
        return;
    }
    account_ask(control, request,
                request->kind == ADMIN_USER_CREATE ? STORE_ACCOUNT_CREATE : STORE_ACCOUNT_UPDATE,
                &job->account);
}

static struct admin_user user_of(const struct account *account)
{
    return (struct admin_user){
        .number = account->number,
        .user = account_local(account),
        .is_enabled = account->is_enabled,
        .created_at_ms = account->created_at_ms,
    };
}

static void users_answer(struct control *control, struct admin_request *request,
                         const struct store_request *answer)
{
    struct admin_user *users = heap_take(control->heap, (answer->count + 1) * sizeof *users);
    if (users == NULL) {
        admin_answer_problem(control->admin, &request, ERROR_UNAVAILABLE,
                             "The server is short of memory.");
        return;
    }
    for (uint32_t i = 0; i < answer->count; i++)
        users[i] = user_of(&answer->accounts[i]);
    admin_answer_users(control->admin, &request, users, answer->count, answer->is_last);
    heap_give(control->heap, users);
}

static const char *problem_text(enum error error)
{
    return error == ERROR_NOT_FOUND ? "There is no such user."
           : error == ERROR_EXISTS  ? "A user of that name exists already."
                                    : error_text(error);
}

void control_user_stored(struct control *control, struct store_request *answer)
{
    struct admin_request *request = (struct admin_request *)(uintptr_t)answer->token_word;
    if (request == NULL) {
        if (answer->error == ERROR_NONE)
            control->made_accounts++;
        else
            control->refused_accounts++;
        return;
    }
    if (answer->error != ERROR_NONE) {
        control_change_drop(control, request);
        admin_answer_problem(control->admin, &request, answer->error, problem_text(answer->error));
        return;
    }
    if (answer->kind == STORE_ACCOUNT_LIST) {
        users_answer(control, request, answer);
        return;
    }
    struct order *change = control_change_find(control, request);
    if (change == NULL) {
        struct admin_user user = user_of(&answer->account);
        admin_answer_user(control->admin, &request, &user);
        return;
    }
    change->account = answer->account.number;
    change->is_enabled = answer->account.is_enabled;
    change->created_at_ms = answer->account.created_at_ms;
    change->ends_sessions = ends_sessions(request);
    change->is_due = true;
    control_changes_send(control);
}

void control_user_changed(struct control *control, struct order *order)
{
    struct admin_user user = {
        .number = order->account,
        .user = order->request->user,
        .is_enabled = order->is_enabled,
        .created_at_ms = order->created_at_ms,
    };
    if (order->request->kind == ADMIN_USER_DELETE)
        admin_answer_done(control->admin, &order->request);
    else
        admin_answer_user(control->admin, &order->request, &user);
}
