/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers as JSON. Whatever control hands over is copied, so its views may end with the call. */
#include <stdio.h>
#include <time.h>

#include "admin_state.h"

static const char failed_text[] =
    "{\"type\":\"urn:stentor:problem:overloaded\",\"title\":\"The server cannot do this now\","
    "\"status\":503,\"detail\":\"The server is short of memory.\"}\n";

static void *block_take(struct exchange *exchange, size_t size)
{
    struct heap *heap = exchange->admin->heap;
    heap_give(heap, exchange->answer.block);
    exchange->answer.block = heap_take(heap, size);
    return exchange->answer.block;
}

static void answer_octets(struct exchange *exchange, unsigned status, struct bytes octets,
                          const char *type)
{
    exchange->answer.status = status;
    exchange->answer.type = type;
    exchange->answer.octets = octets.at;
    exchange->answer.size = octets.size;
}

static void answer_failed(struct exchange *exchange)
{
    answer_octets(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, bytes_of_string(failed_text),
                  "application/problem+json");
}

void answer_json(struct exchange *exchange, unsigned status, json_t *json)
{
    size_t size = json == NULL ? 0 : json_dumpb(json, NULL, 0, JSON_COMPACT);
    char *text = size == 0 ? NULL : block_take(exchange, size + 1);
    if (text != NULL && json_dumpb(json, text, size, JSON_COMPACT) == size) {
        text[size] = '\n';
        answer_octets(exchange, status, bytes_of(text, size + 1), "application/json");
    } else {
        answer_failed(exchange);
    }
    json_decref(json);
}

void answer_text(struct exchange *exchange, unsigned status, struct bytes text, const char *type)
{
    void *copy = block_take(exchange, text.size);
    if (copy == NULL) {
        answer_failed(exchange);
        return;
    }
    if (text.size != 0)
        memcpy(copy, text.at, text.size);
    answer_octets(exchange, status, bytes_of(copy, text.size), type);
}

/* The exchange behind a request that control had; clears control's pointer. */
static struct exchange *take_back(struct admin *admin, struct admin_request **request)
{
    struct exchange *exchange = (struct exchange *)*request;
    ASSERT(exchange->admin == admin);
    ASSERT(exchange->place == EXCHANGE_TAKEN);
    *request = NULL;
    return exchange;
}

static void finish(struct exchange *exchange, unsigned status, json_t *json)
{
    answer_json(exchange, status, json);
    http_resume(exchange);
}

/* Location: the collection and one segment, percent-encoded but for unreserved characters
 * (RFC 3986 2.3). Without memory the header is left out: the body says it too. */
static void location_set(struct exchange *exchange, const char *folder, struct bytes segment)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t capacity = strlen(folder) + 3 * segment.size + 1;
    char *location = heap_take(exchange->admin->heap, capacity);
    if (location == NULL)
        return;
    struct writer into = writer_of(location, capacity);
    write_string(&into, folder);
    for (size_t i = 0; i < segment.size; i++) {
        uint8_t octet = segment.at[i];
        bool is_plain = (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
                        (octet >= '0' && octet <= '9') || octet == '-' || octet == '.' ||
                        octet == '_' || octet == '~';
        if (!is_plain)
            write_u8(&into, '%');
        write_u8(&into, is_plain ? octet : (uint8_t)hex[octet >> 4]);
        if (!is_plain)
            write_u8(&into, (uint8_t)hex[octet & 15u]);
    }
    write_u8(&into, '\0');
    ASSERT(!into.is_overflown);
    heap_give(exchange->admin->heap, exchange->answer.location);
    exchange->answer.location = location;
}

static json_t *text_of(struct bytes text)
{
    return json_stringn((const char *)text.at, text.size);
}

static json_t *time_of(uint64_t wall_ms)
{
    char text[40];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, sizeof text - size, ".%03uZ", (unsigned)(wall_ms % 1000));
    return json_string(text);
}

static json_t *page_of(json_t *items, json_t *next)
{
    json_t *page = json_object();
    json_object_set_new(page, "items", items);
    if (next != NULL)
        json_object_set_new(page, "next", next);
    return page;
}

/* ---- pushes ---- */

static const char *target_name(enum push_target target)
{
    return target == PUSH_ALL ? "all" : target == PUSH_ONLINE ? "online" : "users";
}

static json_t *counts_of(const struct push_counts *counts)
{
    json_t *failed = json_object();
    for (uint32_t i = 0; i < PUSH_FAILURE_COUNT; i++)
        json_object_set_new(failed, push_failure_name((enum push_failure)i),
                            json_integer((json_int_t)counts->failed[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "matched", (json_int_t)counts->matched,
                     "pending", (json_int_t)counts->pending, "written", (json_int_t)counts->written,
                     "in_flight", (json_int_t)counts->in_flight, "acked_tcp",
                     (json_int_t)counts->acked, "lost", (json_int_t)counts->lost, "failed", failed);
}

static json_t *push_of(const struct push_status *status)
{
    char self[64];
    snprintf(self, sizeof self, "/v1/pushes/%s", status->id.text);
    json_t *push = json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", status->id.text, "state",
                             push_state_name(status->state), "target", target_name(status->target),
                             "created_at", time_of(status->created_at_ms), "counts",
                             counts_of(&status->counts));
    if (status->label.size != 0)
        json_object_set_new(push, "label", text_of(status->label));
    if (status->counts.written != 0) {
        json_object_set_new(push, "first_write_ms",
                            json_integer((json_int_t)status->first_write_ms));
        json_object_set_new(push, "last_write_ms", json_integer((json_int_t)status->last_write_ms));
    }
    json_object_set_new(push, "links", json_pack("{s:s}", "self", self));
    return push;
}

void admin_answer_push(struct admin *admin, struct admin_request **request,
                       const struct push_status *status)
{
    struct exchange *exchange = take_back(admin, request);
    bool is_created = exchange->request.kind == ADMIN_PUSH_CREATE;
    if (is_created)
        location_set(exchange, "/v1/pushes/", bytes_of_string(status->id.text));
    finish(exchange, is_created ? MHD_HTTP_ACCEPTED : MHD_HTTP_OK, push_of(status));
}

void admin_answer_pushes(struct admin *admin, struct admin_request **request,
                         const struct push_status *statuses, uint32_t count, bool is_last)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(items, push_of(&statuses[i]));
    json_t *next = is_last || count == 0 ? NULL : json_string(statuses[count - 1].id.text);
    finish(take_back(admin, request), MHD_HTTP_OK, page_of(items, next));
}

/* ---- users ---- */

static json_t *user_of(const struct admin_user *user)
{
    return json_pack("{s:o, s:I, s:b, s:o}", "username", text_of(user->user), "number",
                     (json_int_t)user->number, "enabled", (int)user->is_enabled, "created_at",
                     time_of(user->created_at_ms));
}

void admin_answer_user(struct admin *admin, struct admin_request **request,
                       const struct admin_user *user)
{
    struct exchange *exchange = take_back(admin, request);
    bool is_created = exchange->request.kind == ADMIN_USER_CREATE;
    if (is_created)
        location_set(exchange, "/v1/users/", user->user);
    finish(exchange, is_created ? MHD_HTTP_CREATED : MHD_HTTP_OK, user_of(user));
}

void admin_answer_users(struct admin *admin, struct admin_request **request,
                        const struct admin_user *users, uint32_t count, bool is_last)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(items, user_of(&users[i]));
    json_t *next = is_last || count == 0 ? NULL : text_of(users[count - 1].user);
    finish(take_back(admin, request), MHD_HTTP_OK, page_of(items, next));
}

/* ---- sessions ---- */

static json_t *session_id_of(struct handle id)
{
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)id.value);
    return json_string(text);
}

static json_t *session_of(const struct admin_session *session)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:i, s:b, s:b, s:i, s:I, s:I, s:s}", "id",
                     session_id_of(session->id), "user", session->user, "resource",
                     session->resource, "address", session->address, "port", (int)session->port,
                     "bound", (int)session->is_bound, "available", (int)session->is_available,
                     "priority", (int)session->priority, "age_s", (json_int_t)session->age_seconds,
                     "queued_bytes", (json_int_t)session->queued_bytes, "tcp_state",
                     session->tcp_state);
}

void admin_answer_sessions(struct admin *admin, struct admin_request **request,
                           const struct admin_session *sessions, uint32_t count, bool is_last)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(items, session_of(&sessions[i]));
    json_t *next = is_last || count == 0 ? NULL : session_id_of(sessions[count - 1].id);
    finish(take_back(admin, request), MHD_HTTP_OK, page_of(items, next));
}

void admin_answer_session(struct admin *admin, struct admin_request **request,
                          const struct admin_session *session, struct bytes trace)
{
    json_t *lines = json_array();
    while (trace.size != 0) {
        size_t end = bytes_find(trace, '\n');
        json_array_append_new(lines, text_of(bytes_slice(trace, 0, end)));
        trace = bytes_from(trace, end + 1);
    }
    json_t *json = session_of(session);
    json_object_set_new(json, "trace", lines);
    finish(take_back(admin, request), MHD_HTTP_OK, json);
}

void admin_answer_count(struct admin *admin, struct admin_request **request, uint64_t connections,
                        uint64_t bound, uint64_t available)
{
    finish(take_back(admin, request), MHD_HTTP_OK,
           json_pack("{s:I, s:I, s:I}", "connections", (json_int_t)connections, "bound",
                     (json_int_t)bound, "available", (json_int_t)available));
}

/* ---- the rest ---- */

void admin_answer_done(struct admin *admin, struct admin_request **request)
{
    struct exchange *exchange = take_back(admin, request);
    answer_octets(exchange, MHD_HTTP_NO_CONTENT, (struct bytes){0}, NULL);
    http_resume(exchange);
}

void admin_answer_text(struct admin *admin, struct admin_request **request, struct bytes text)
{
    struct exchange *exchange = take_back(admin, request);
    answer_text(exchange, MHD_HTTP_OK, text,
                exchange->request.kind == ADMIN_METRICS ? "text/plain; version=0.0.4"
                                                        : "text/plain");
    http_resume(exchange);
}

void admin_answer_problem(struct admin *admin, struct admin_request **request, enum error error,
                          const char *detail)
{
    struct exchange *exchange = take_back(admin, request);
    problem_answer(exchange, problem_status(error), detail);
    http_resume(exchange);
}

void admin_answer_unknown_users(struct admin *admin, struct admin_request **request,
                                const uint32_t *indices, uint32_t count)
{
    struct exchange *exchange = take_back(admin, request);
    json_t *errors = json_array();
    char pointer[48];
    char detail[96];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(pointer, sizeof pointer, "/target/users/%u", indices[i]);
        problem_point(errors, pointer, "no such user");
    }
    snprintf(detail, sizeof detail, "%u of the named users do not exist; nothing was sent.", count);
    problem_answer_at(exchange, MHD_HTTP_NOT_FOUND, detail, errors);
    http_resume(exchange);
}
