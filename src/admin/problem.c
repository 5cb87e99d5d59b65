/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems as RFC 9457 has them: one type a status, a sentence, and where in the body. */
#include "admin_state.h"
#include "stentor/text.h"

#define TYPE_PREFIX "urn:stentor:problem:"

struct problem_type {
    unsigned status;
    const char *name;
    const char *title;
};

static const struct problem_type problem_types[] = {
    {400, "invalid-request", "The request is not valid"},
    {401, "unauthenticated", "A bearer token is needed"},
    {404, "not-found", "Not found"},
    {405, "method-not-allowed", "The path does not take this method"},
    {409, "conflict", "It exists already"},
    {413, "payload-too-large", "The body is too large"},
    {429, "rate-limited", "Too many at once"},
    {503, "overloaded", "The server cannot do this now"},
    {507, "storage-full", "The disk is full"},
    {500, "internal", "The server failed"},
};

static const struct problem_type *type_of(unsigned status)
{
    const struct problem_type *type = problem_types;
    while (type->status != status && type->status != 500)
        type++;
    return type;
}

unsigned problem_status(enum error error)
{
    switch (error) {
    case ERROR_NOT_FOUND:
    case ERROR_STALE:
        return 404;
    case ERROR_EXISTS:
        return 409;
    case ERROR_INVALID:
        return 400;
    case ERROR_TOO_LARGE:
        return 413;
    case ERROR_LIMIT:
    case ERROR_QUEUE_FULL:
        return 429;
    case ERROR_UNAVAILABLE:
    case ERROR_NO_MEMORY:
    case ERROR_POOL_EMPTY:
        return 503;
    case ERROR_STORE_FULL:
        return 507;
    default:
        return 500;
    }
}

void problem_point(json_t *errors, const char *pointer, const char *detail)
{
    json_t *point = json_pack("{s:s, s:s}", "pointer", pointer, "detail", detail);
    if (point != NULL)
        json_array_append_new(errors, point);
}

void problem_answer_at(struct exchange *exchange, unsigned status, const char *detail,
                       json_t *errors)
{
    const struct problem_type *type = type_of(status);
    json_t *problem = json_pack("{s:s+, s:s, s:i, s:s}", "type", TYPE_PREFIX, type->name, "title",
                                type->title, "status", (int)status, "detail", detail);
    if (utf8_is_valid(bytes_of_string(exchange->path)))
        json_object_set_new(problem, "instance", json_string(exchange->path));
    if (errors != NULL)
        json_object_set_new(problem, "errors", errors);
    answer_json(exchange, status, problem);
    exchange->answer.type = "application/problem+json";
}

void problem_answer(struct exchange *exchange, unsigned status, const char *detail)
{
    problem_answer_at(exchange, status, detail, NULL);
}
