/* SPDX-License-Identifier: Apache-2.0
 *
 * sessions, session show (conn), kick and count: /v1/sessions. */
#include "ctl.h"

static const char *state_of(const json_t *session)
{
    if (json_is_true(json_object_get(session, "available")))
        return "available";
    return json_is_true(json_object_get(session, "bound")) ? "bound" : "open";
}

static void place_write(const json_t *session, char *text, size_t size)
{
    snprintf(text, size, "%.100s:%llu", json_text(session, "address"),
             (unsigned long long)json_count(session, "port"));
}

static void age_write(const json_t *session, char *text, size_t size)
{
    struct writer into = writer_of(text, size - 1);
    write_age(&into, json_count(session, "age_s"));
    text[into.size] = '\0';
}

static void priority_write(const json_t *session, char *text, size_t size)
{
    snprintf(text, size, "%lld",
             (long long)json_integer_value(json_object_get(session, "priority")));
}

static void sessions_print(struct ctl *ctl, const json_t *items)
{
    static const char *const titles[] = {"ID",        "USER", "RESOURCE", "ADDRESS", "STATE",
                                         ">PRIORITY", ">AGE", ">QUEUED",  "TCP"};
    struct table table;
    size_t index;
    json_t *session;
    table_init(&table, &ctl->heap, titles, ARRAY_COUNT(titles));
    json_array_foreach(items, index, session)
    {
        char place[128], age[48], priority[32];
        place_write(session, place, sizeof place);
        age_write(session, age, sizeof age);
        priority_write(session, priority, sizeof priority);
        table_add_string(&table, json_text(session, "id"));
        table_add_string(&table, json_text(session, "user"));
        table_add_string(&table, json_text(session, "resource"));
        table_add_string(&table, place);
        table_add_string(&table, state_of(session));
        table_add_string(&table, priority);
        table_add_string(&table, age);
        table_add_count(&table, json_count(session, "queued_bytes"));
        table_add_string(&table, json_text(session, "tcp_state"));
    }
    table_print(&table, ctl->out);
    table_fini(&table);
}

enum ctl_exit verb_sessions(struct ctl *ctl)
{
    struct response response;
    enum ctl_exit result = page_get(ctl, "/v1/sessions", &response);
    if (result == CTL_OK && !print_verbatim(ctl, &response)) {
        sessions_print(ctl, json_object_get(response.json, "items"));
        page_end(ctl, &response);
    }
    response_fini(ctl, &response);
    return result;
}

static void session_print(FILE *out, const json_t *session)
{
    char place[128], age[48], priority[32];
    place_write(session, place, sizeof place);
    age_write(session, age, sizeof age);
    priority_write(session, priority, sizeof priority);
    print_field(out, "id", json_text(session, "id"));
    print_field(out, "user", json_text(session, "user"));
    print_field(out, "resource", json_text(session, "resource"));
    print_field(out, "address", place);
    print_field(out, "state", state_of(session));
    print_field(out, "priority", priority);
    print_field(out, "age", age);
    print_grouped(out, "queued", json_count(session, "queued_bytes"));
    print_field(out, "tcp", json_text(session, "tcp_state"));
    fprintf(out, "\n");
    size_t index;
    json_t *line;
    json_array_foreach(json_object_get(session, "trace"), index, line)
    {
        print_shown(out, json_is_string(line) ? json_string_value(line) : "?");
        fprintf(out, "\n");
    }
}

static enum ctl_exit session_ask(struct ctl *ctl, const char *method, struct response *response)
{
    char path[256];
    *response = (struct response){0};
    if (path_write(path, sizeof path, "/v1/sessions/", ctl->arguments.operand))
        return client_call(ctl, method, path, NULL, response);
    fprintf(ctl->err, "stentorctl: the id is too long\n");
    return CTL_USAGE;
}

enum ctl_exit verb_session_show(struct ctl *ctl)
{
    struct response response;
    enum ctl_exit result = session_ask(ctl, "GET", &response);
    if (result == CTL_OK && !print_verbatim(ctl, &response))
        session_print(ctl->out, response.json);
    response_fini(ctl, &response);
    return result;
}

enum ctl_exit verb_kick(struct ctl *ctl)
{
    struct response response;
    enum ctl_exit result = session_ask(ctl, "DELETE", &response);
    response_fini(ctl, &response);
    return result;
}

enum ctl_exit verb_count(struct ctl *ctl)
{
    struct response response;
    enum ctl_exit result = client_call(ctl, "GET", "/v1/sessions/count", NULL, &response);
    if (result == CTL_OK && !print_verbatim(ctl, &response)) {
        print_grouped(ctl->out, "connections", json_count(response.json, "connections"));
        print_grouped(ctl->out, "bound", json_count(response.json, "bound"));
        print_grouped(ctl->out, "available", json_count(response.json, "available"));
    }
    response_fini(ctl, &response);
    return result;
}
