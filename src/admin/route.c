/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of routes. The path comes decoded from libmicrohttpd and is matched as it then stands,
 * whole segments only; the token is checked before anything of the request is looked at. */
#include "admin_state.h"

enum route_access { ROUTE_TOKEN, ROUTE_OPEN };

struct route {
    const char *method;
    const char *path; /* ends in '*' when one more segment follows */
    enum admin_kind kind;
    enum route_access access;
    bool (*parse)(struct exchange *exchange); /* NULL: nothing to parse */
};

static const char *last_segment(const struct exchange *exchange)
{
    return strrchr(exchange->path, '/') + 1;
}

static bool parse_push_id(struct exchange *exchange)
{
    if (push_id_parse(bytes_of_string(last_segment(exchange)), &exchange->request.push_id))
        return true;
    problem_answer(exchange, MHD_HTTP_NOT_FOUND, "There is no such push.");
    return false;
}

static bool parse_user_segment(struct exchange *exchange)
{
    return parse_user_name(exchange, last_segment(exchange));
}

static bool parse_session_segment(struct exchange *exchange)
{
    if (parse_session_id(last_segment(exchange), &exchange->request.session))
        return true;
    problem_answer(exchange, MHD_HTTP_NOT_FOUND, "There is no such session.");
    return false;
}

static bool parse_update(struct exchange *exchange)
{
    return parse_user_segment(exchange) && parse_user_update(exchange);
}

static const struct route routes[] = {
    {"POST", "/v1/pushes", ADMIN_PUSH_CREATE, ROUTE_TOKEN, parse_push},
    {"GET", "/v1/pushes", ADMIN_PUSH_LIST, ROUTE_TOKEN, parse_page},
    {"GET", "/v1/pushes/*", ADMIN_PUSH_GET, ROUTE_TOKEN, parse_push_id},
    {"POST", "/v1/users", ADMIN_USER_CREATE, ROUTE_TOKEN, parse_user_create},
    {"GET", "/v1/users", ADMIN_USER_LIST, ROUTE_TOKEN, parse_page},
    {"GET", "/v1/users/*", ADMIN_USER_GET, ROUTE_TOKEN, parse_user_segment},
    {"PATCH", "/v1/users/*", ADMIN_USER_UPDATE, ROUTE_TOKEN, parse_update},
    {"DELETE", "/v1/users/*", ADMIN_USER_DELETE, ROUTE_TOKEN, parse_user_segment},
    {"GET", "/v1/sessions", ADMIN_SESSION_LIST, ROUTE_TOKEN, parse_page},
    {"GET", "/v1/sessions/count", ADMIN_SESSION_COUNT, ROUTE_TOKEN, NULL},
    {"GET", "/v1/sessions/*", ADMIN_SESSION_GET, ROUTE_TOKEN, parse_session_segment},
    {"DELETE", "/v1/sessions/*", ADMIN_SESSION_KICK, ROUTE_TOKEN, parse_session_segment},
    {"GET", "/metrics", ADMIN_METRICS, ROUTE_TOKEN, NULL},
    {"GET", "/readyz", ADMIN_READY, ROUTE_OPEN, NULL},
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
    }
}

static void refuse(struct exchange *exchange)
{
    char allowed[128];
    struct writer writer = writer_of(allowed, sizeof allowed - 1);
    methods_list(exchange->path, &writer);
    allowed[writer.size] = '\0';
    if (writer.size == 0)
        problem_answer(exchange, MHD_HTTP_NOT_FOUND, "There is nothing at this path.");
    else
        problem_method(exchange, allowed);
}

bool route_exchange(struct exchange *exchange)
{
    /* Answered here: it says that this very thread is alive, nothing else. */
    if (strcmp(exchange->path, "/healthz") == 0 && strcmp(exchange->method, "GET") == 0) {
        answer_text(exchange, MHD_HTTP_OK, BYTES("ok\n"), "text/plain");
        return false;
    }
    const struct route *route = route_find(exchange);
    bool is_open = route != NULL && route->access == ROUTE_OPEN;
    const char *authorization = MHD_lookup_connection_value(
        exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!is_open && !token_is_good(exchange->admin, authorization)) {
        metric_count(exchange->admin->metrics, METRIC_ADMIN_UNAUTHORIZED);
        problem_unauthorized(exchange);
        return false;
    }
    if (route == NULL) {
        refuse(exchange);
        return false;
    }
    if (exchange->is_too_large) {
        problem_answer(exchange, MHD_HTTP_CONTENT_TOO_LARGE,
                       "The body is larger than admin.body_bytes.");
        return false;
    }
    exchange->request.kind = route->kind;
    return route->parse == NULL || route->parse(exchange);
}
