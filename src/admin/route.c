/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of routes. A path is matched as it came, whole segments only; what stands for a name is
 * then the decoded last segment. The token is checked before anything else of the request is looked
 * at, so that one without it learns nothing, not even which paths there are. */
#include "admin_state.h"

enum route_access { ROUTE_TOKEN, ROUTE_OPEN, ROUTE_ALIVE };
enum route_query { QUERY_NONE, QUERY_OWN, QUERY_IGNORED };

struct route {
    const char *method;
    const char *path; /* ends in '*' when one more segment follows */
    enum admin_kind kind;
    enum route_access access;
    enum route_query query;                   /* OWN: parse() judges it */
    bool (*parse)(struct exchange *exchange); /* NULL: nothing to parse */
};

static bool parse_push_id(struct exchange *exchange)
{
    if (push_id_parse(exchange->segment, &exchange->request.push_id))
        return true;
    problem_answer(exchange, MHD_HTTP_NOT_FOUND, "There is no such push.");
    return false;
}

static bool parse_user_segment(struct exchange *exchange)
{
    return parse_user_name(exchange, exchange->segment);
}

static bool parse_session_segment(struct exchange *exchange)
{
    if (parse_session_id(exchange->segment, &exchange->request.session))
        return true;
    problem_answer(exchange, MHD_HTTP_NOT_FOUND, "There is no such session.");
    return false;
}

static bool parse_update(struct exchange *exchange)
{
    return parse_user_segment(exchange) && parse_user_update(exchange);
}

static const struct route routes[] = {
    {"POST", "/v1/pushes", ADMIN_PUSH_CREATE, ROUTE_TOKEN, QUERY_NONE, parse_push},
    {"GET", "/v1/pushes", ADMIN_PUSH_LIST, ROUTE_TOKEN, QUERY_OWN, parse_page},
    {"GET", "/v1/pushes/*", ADMIN_PUSH_GET, ROUTE_TOKEN, QUERY_NONE, parse_push_id},
    {"POST", "/v1/users", ADMIN_USER_CREATE, ROUTE_TOKEN, QUERY_NONE, parse_user_create},
    {"GET", "/v1/users", ADMIN_USER_LIST, ROUTE_TOKEN, QUERY_OWN, parse_page},
    {"GET", "/v1/users/*", ADMIN_USER_GET, ROUTE_TOKEN, QUERY_NONE, parse_user_segment},
    {"PATCH", "/v1/users/*", ADMIN_USER_UPDATE, ROUTE_TOKEN, QUERY_NONE, parse_update},
    {"DELETE", "/v1/users/*", ADMIN_USER_DELETE, ROUTE_TOKEN, QUERY_NONE, parse_user_segment},
    {"GET", "/v1/sessions", ADMIN_SESSION_LIST, ROUTE_TOKEN, QUERY_OWN, parse_page},
    {"GET", "/v1/sessions/count", ADMIN_SESSION_COUNT, ROUTE_TOKEN, QUERY_NONE, NULL},
    {"GET", "/v1/sessions/*", ADMIN_SESSION_GET, ROUTE_TOKEN, QUERY_NONE, parse_session_segment},
    {"DELETE", "/v1/sessions/*", ADMIN_SESSION_KICK, ROUTE_TOKEN, QUERY_NONE,
     parse_session_segment},
    {"GET", "/metrics", ADMIN_METRICS, ROUTE_TOKEN, QUERY_IGNORED, NULL},
    {"GET", "/readyz", ADMIN_READY, ROUTE_OPEN, QUERY_IGNORED, NULL},
    /* Answered here: it says that this very thread is alive, nothing else. */
    {"GET", "/healthz", ADMIN_READY, ROUTE_ALIVE, QUERY_IGNORED, NULL},
};

static bool path_matches(const char *pattern, const char *path)
{
    size_t size = strlen(pattern);
    if (pattern[size - 1] != '*')
        return strcmp(pattern, path) == 0;
    return strncmp(pattern, path, size - 1) == 0 && path[size - 1] != '\0' &&
           strchr(path + size - 1, '/') == NULL;
}

static const struct route *route_find(const struct exchange *exchange)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(routes); i++)
        if (path_matches(routes[i].path, exchange->path) &&
            strcmp(routes[i].method, exchange->method) == 0)
            return &routes[i];
    return NULL;
}

/* The methods of the path's routes, for 405; empty when the path is nobody's. */
static void methods_list(const char *path, struct writer *into)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(routes); i++) {
        if (!path_matches(routes[i].path, path))
            continue;
        if (into->size != 0)
            write_string(into, ", ");
        write_string(into, routes[i].method);
        if (strcmp(routes[i].method, MHD_HTTP_METHOD_GET) == 0)
            write_string(into, ", " MHD_HTTP_METHOD_HEAD);
    }
    write_u8(into, '\0');
}

static void refuse(struct exchange *exchange)
{
    char *allowed = exchange->answer.allowed;
    struct writer writer = writer_of(allowed, sizeof exchange->answer.allowed);
    methods_list(exchange->path, &writer);
    ASSERT(!writer.is_overflown);
    if (allowed[0] == '\0')
        problem_answer(exchange, MHD_HTTP_NOT_FOUND, "There is nothing at this path.");
    else
        problem_answer(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "See the Allow header.");
}

void route_admit(struct exchange *exchange, const char *authorization)
{
    const struct route *route = route_find(exchange);
    bool is_open = route != NULL && route->access != ROUTE_TOKEN;
    exchange->route = route;
    if (!is_open && !token_is_good(exchange->admin, authorization)) {
        metric_count(exchange->admin->metrics, METRIC_ADMIN_UNAUTHORIZED);
        problem_answer(exchange, MHD_HTTP_UNAUTHORIZED,
                       "Send the admin token as 'Authorization: Bearer TOKEN'.");
        return;
    }
    exchange->is_trusted = !is_open;
    if (route == NULL) {
        refuse(exchange);
    } else if (route->access == ROUTE_ALIVE) {
        answer_text(exchange, MHD_HTTP_OK, BYTES("ok\n"), "text/plain");
    } else if (exchange->is_path_bad) {
        problem_answer(exchange, MHD_HTTP_BAD_REQUEST, "The path holds a % escape that is none.");
    } else if (route->query == QUERY_NONE && exchange->query[0] != '\0') {
        problem_answer(exchange, MHD_HTTP_BAD_REQUEST, "This path takes no query.");
    }
}

static bool body_is_there(struct exchange *exchange)
{
    if (exchange->body_state == BODY_GOOD)
        return true;
    if (exchange->body_state == BODY_TOO_LARGE)
        problem_answer(exchange, MHD_HTTP_CONTENT_TOO_LARGE,
                       "The body is larger than admin.body_bytes.");
    else
        problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is short of memory.");
    return false;
}

bool route_parse(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    ASSERT(exchange->answer.status == 0);
    exchange->request.kind = route->kind;
    if (body_is_there(exchange) && (route->parse == NULL || route->parse(exchange)))
        return true;
    /* A hostile body can be a hundred times as large once parsed. */
    json_decref(exchange->json);
    exchange->json = NULL;
    return false;
}
