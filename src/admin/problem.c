/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems as RFC 9457 has them: one type a status, a sentence, and where in the body. */
#include "admin_state.h"

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

void problem_answer_at(struct exchange *exchange, unsigned status, const char *detail,
                       const struct problem_spot *spots, uint32_t count)
{
    const struct problem_type *type = type_of(status);
    json_t *problem = json_pack("{s:s+, s:s, s:i, s:s, s:s%}", "type", TYPE_PREFIX, type->name,
                                "title", type->title, "status", (int)status, "detail", detail,
                                "instance", exchange->path, strlen(exchange->path));
    if (problem == NULL) /* a path that is not UTF-8 */
        problem = json_pack("{s:s+, s:s, s:i, s:s}", "type", TYPE_PREFIX, type->name, "title",
                            type->title, "status", (int)status, "detail", detail);
    if (count != 0) {
        json_t *errors = json_array();
        for (uint32_t i = 0; i < count; i++)
            json_array_append_new(errors, json_pack("{s:s, s:s}", "pointer", spots[i].pointer,
                                                    "detail", spots[i].detail));
        json_object_set_new(problem, "errors", errors);
    }
    answer_json(exchange, status, problem);
    MHD_del_response_header(exchange->response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            "application/problem+json");
    if (status == 429 || status == 503)
        MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}

void problem_answer(struct exchange *exchange, unsigned status, const char *detail)
{
    problem_answer_at(exchange, status, detail, NULL, 0);
}

void problem_unauthorized(struct exchange *exchange)
{
    problem_answer(exchange, MHD_HTTP_UNAUTHORIZED,
                   "Send the admin token as 'Authorization: Bearer TOKEN'.");
    MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

void problem_method(struct exchange *exchange, const char *allowed)
{
    problem_answer(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "See the Allow header.");
    MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_ALLOW, allowed);
}
