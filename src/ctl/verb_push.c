/* SPDX-License-Identifier: Apache-2.0
 *
 * push and pushes: POST and GET /v1/pushes. */
#include "ctl.h"
#include "stentor/clock.h"
#include "stentor/text.h"

#define POLL_NS (250 * NS_PER_MS)
#define BAR_PLACES 30u
#define RATE_MAX 100000000u

static const char *option(const struct ctl *ctl, enum option option)
{
    return ctl->arguments.options[option];
}

static enum ctl_exit usage(struct ctl *ctl, const char *what)
{
    fprintf(ctl->err, "stentorctl: %s\n", what);
    return CTL_USAGE;
}

/* ---- what is asked for ---- */

/* a,b,c: empty places are left to the server to refuse, which says where. */
static json_t *users_of(const char *list)
{
    json_t *users = json_array();
    while (true) {
        size_t size = strcspn(list, ",");
        json_array_append_new(users, json_stringn(list, size));
        if (list[size] == '\0')
            return users;
        list += size + 1;
    }
}

static json_t *target_of(const struct ctl *ctl)
{
    const char *users = option(ctl, OPTION_USERS);
    if (users != NULL)
        return json_pack("{s:o}", "users", users_of(users));
    return json_pack("{s:b}", option(ctl, OPTION_ALL) != NULL ? "all" : "online", 1);
}

static void member_add(json_t *object, const char *name, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, name, json_string(text));
}

static json_t *push_make(const struct ctl *ctl, uint64_t rate)
{
    json_t *push = json_pack("{s:o}", "target", target_of(ctl));
    json_t *notification = json_object();
    member_add(notification, "title", option(ctl, OPTION_TITLE));
    member_add(notification, "body", option(ctl, OPTION_BODY));
    member_add(notification, "uri", option(ctl, OPTION_URI));
    if (json_object_size(notification) != 0)
        json_object_set(push, "notification", notification);
    json_decref(notification);
    member_add(push, "xml", option(ctl, OPTION_XML));
    member_add(push, "label", option(ctl, OPTION_LABEL));
    if (rate != 0)
        json_object_set_new(push, "rate", json_integer((json_int_t)rate));
    return push;
}

static bool options_are_text(const struct ctl *ctl)
{
    for (uint32_t i = 0; i < OPTION_COUNT; i++) {
        const char *text = ctl->arguments.options[i];
        if (text != NULL && !utf8_is_valid(bytes_of_string(text)))
            return false;
    }
    return true;
}

static enum ctl_exit options_judge(struct ctl *ctl, uint64_t *rate)
{
    int targets = (option(ctl, OPTION_ALL) != NULL) + (option(ctl, OPTION_ONLINE) != NULL) +
                  (option(ctl, OPTION_USERS) != NULL);
    const char *given = option(ctl, OPTION_RATE);
    *rate = 0;
    if (targets != 1)
        return usage(ctl, "push needs one of --all, --online and --users");
    if (option(ctl, OPTION_TITLE) == NULL && option(ctl, OPTION_BODY) == NULL &&
        option(ctl, OPTION_URI) == NULL && option(ctl, OPTION_XML) == NULL)
        return usage(ctl, "push needs one of --title, --body, --uri and --xml");
    if (given != NULL && (!decimal_parse(bytes_of_string(given), RATE_MAX, rate) || *rate == 0))
        return usage(ctl, "--rate needs a number from 1 to 100000000");
    return options_are_text(ctl) ? CTL_OK : usage(ctl, "an option is not UTF-8");
}

/* ---- showing ---- */

static void failures_print(FILE *out, const json_t *failed)
{
    const char *reason;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)failed, reason, count)
    {
        char name[48];
        if (json_integer_value(count) == 0)
            continue;
        snprintf(name, sizeof name, "  %.40s", reason);
        print_grouped(out, name, json_count(failed, reason));
    }
}

static void push_print(FILE *out, const json_t *push)
{
    struct progress progress = progress_of(push);
    print_field(out, "id", json_text(push, "id"));
    print_field(out, "state", json_text(push, "state"));
    print_field(out, "target", json_text(push, "target"));
    if (json_text(push, "label")[0] != '\0')
        print_field(out, "label", json_text(push, "label"));
    print_field(out, "created", json_text(push, "created_at"));
    print_grouped(out, "matched", progress.matched);
    print_grouped(out, "pending", progress.pending);
    print_grouped(out, "written", progress.written);
    print_grouped(out, "in flight", progress.in_flight);
    print_grouped(out, "acked", progress.acked);
    print_grouped(out, "lost", progress.lost);
    print_grouped(out, "failed", progress.failed);
    failures_print(out, json_object_get(json_object_get(push, "counts"), "failed"));
    if (json_object_get(push, "last_write_ms") == NULL)
        return;
    print_grouped(out, "first at ms", json_count(push, "first_write_ms"));
    print_grouped(out, "last at ms", json_count(push, "last_write_ms"));
}

static void bar_print(struct ctl *ctl, const json_t *push, const char *end)
{
    char line[256];
    struct writer into = writer_of(line, sizeof line);
    struct progress progress = progress_of(push);
    progress_render(&into, &progress, BAR_PLACES);
    fprintf(ctl->err, "\r%.*s\x1b[K%s", (int)into.size, line, end);
    fflush(ctl->err);
}

/* ---- push ---- */

/* Asks until the push is done; response is then its last state. */
static enum ctl_exit wait_done(struct ctl *ctl, struct response *response)
{
    char path[128];
    if (!path_write(path, sizeof path, "/v1/pushes/", json_text(response->json, "id")))
        return usage(ctl, "the server gave an id that is none");
    enum ctl_exit result = CTL_OK;
    while (true) {
        bool is_done = strcmp(json_text(response->json, "state"), "done") == 0;
        if (ctl->is_terminal)
            bar_print(ctl, response->json, is_done ? "\n" : "");
        if (is_done)
            return CTL_OK;
        clock_sleep_ns(POLL_NS);
        response_fini(ctl, response);
        result = client_call(ctl, "GET", path, NULL, response);
        if (result != CTL_OK)
            return result;
    }
}

enum ctl_exit verb_push(struct ctl *ctl)
{
    struct response response;
    uint64_t rate;
    enum ctl_exit result = options_judge(ctl, &rate);
    if (result != CTL_OK)
        return result;
    result = client_call(ctl, "POST", "/v1/pushes", push_make(ctl, rate), &response);
    bool waits = option(ctl, OPTION_WAIT) != NULL;
    if (result == CTL_OK && waits)
        result = wait_done(ctl, &response);
    if (result == CTL_OK && !print_verbatim(ctl, &response)) {
        if (waits)
            push_print(ctl->out, response.json);
        else
            print_field(ctl->out, "id", json_text(response.json, "id"));
    }
    response_fini(ctl, &response);
    return result;
}

/* ---- pushes ---- */

static void pushes_print(struct ctl *ctl, const json_t *items)
{
    static const char *const titles[] = {"ID",       "STATE",  "TARGET", "CREATED", ">MATCHED",
                                         ">WRITTEN", ">ACKED", ">LOST",  ">FAILED", "LABEL"};
    struct table table;
    size_t index;
    json_t *push;
    table_init(&table, &ctl->heap, titles, ARRAY_COUNT(titles));
    json_array_foreach(items, index, push)
    {
        struct progress progress = progress_of(push);
        table_add_string(&table, json_text(push, "id"));
        table_add_string(&table, json_text(push, "state"));
        table_add_string(&table, json_text(push, "target"));
        table_add_string(&table, json_text(push, "created_at"));
        table_add_count(&table, progress.matched);
        table_add_count(&table, progress.written);
        table_add_count(&table, progress.acked);
        table_add_count(&table, progress.lost);
        table_add_count(&table, progress.failed);
        table_add_string(&table, json_text(push, "label"));
    }
    table_print(&table, ctl->out);
    table_fini(&table);
}

enum ctl_exit verb_pushes(struct ctl *ctl)
{
    struct response response;
    char path[256];
    const char *id = ctl->arguments.operand;
    if (id != NULL && !path_write(path, sizeof path, "/v1/pushes/", id))
        return usage(ctl, "the id is too long");
    enum ctl_exit result = id == NULL ? page_get(ctl, "/v1/pushes", &response)
                                      : client_call(ctl, "GET", path, NULL, &response);
    if (result == CTL_OK && !print_verbatim(ctl, &response)) {
        if (id != NULL)
            push_print(ctl->out, response.json);
        else
            pushes_print(ctl, json_object_get(response.json, "items"));
        page_end(ctl, &response);
    }
    response_fini(ctl, &response);
    return result;
}
