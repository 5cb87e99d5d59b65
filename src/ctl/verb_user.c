/* SPDX-License-Identifier: Apache-2.0
 *
 * user add, list, show, remove, passwd, enable and disable: /v1/users. */
#include "ctl.h"
#include "stentor/text.h"

static enum ctl_exit user_path(struct ctl *ctl, char path[4096])
{
    if (path_write(path, 4096, "/v1/users/", ctl->arguments.operand))
        return CTL_OK;
    fprintf(ctl->err, "stentorctl: the name is too long\n");
    return CTL_USAGE;
}

static void user_print(struct ctl *ctl, const struct response *response)
{
    if (print_verbatim(ctl, response) || response->json == NULL)
        return;
    print_field(ctl->out, "user", json_text(response->json, "username"));
    print_grouped(ctl->out, "number", json_count(response->json, "number"));
    print_field(ctl->out, "enabled",
                json_is_true(json_object_get(response->json, "enabled")) ? "yes" : "no");
    print_field(ctl->out, "created", json_text(response->json, "created_at"));
}

/* Asks at a user's own place and shows what comes back. */
static enum ctl_exit user_ask(struct ctl *ctl, const char *method, json_t *body)
{
    char path[4096];
    struct response response;
    enum ctl_exit result = user_path(ctl, path);
    if (result != CTL_OK) {
        json_decref(body);
        return result;
    }
    result = client_call(ctl, method, path, body, &response);
    if (result == CTL_OK)
        user_print(ctl, &response);
    response_fini(ctl, &response);
    return result;
}

enum ctl_exit verb_user_show(struct ctl *ctl)
{
    return user_ask(ctl, "GET", NULL);
}

enum ctl_exit verb_user_remove(struct ctl *ctl)
{
    return user_ask(ctl, "DELETE", NULL);
}

enum ctl_exit verb_user_enable(struct ctl *ctl)
{
    return user_ask(ctl, "PATCH", json_pack("{s:b}", "enabled", 1));
}

enum ctl_exit verb_user_disable(struct ctl *ctl)
{
    return user_ask(ctl, "PATCH", json_pack("{s:b}", "enabled", 0));
}

/* {"password"}, and "username" when that is not NULL; NULL with *result set. */
static json_t *password_body(struct ctl *ctl, const char *name, enum ctl_exit *result)
{
    char password[CTL_PASSWORD_SIZE_MAX];
    *result = password_read(ctl, password);
    if (*result != CTL_OK)
        return NULL;
    json_t *body = json_pack("{s:s}", "password", password);
    bytes_wipe(password, sizeof password);
    if (body != NULL && name != NULL)
        json_object_set_new(body, "username", json_string(name));
    if (body == NULL || (name != NULL && json_object_get(body, "username") == NULL)) {
        json_decref(body);
        fprintf(ctl->err, "stentorctl: name or password is not UTF-8\n");
        *result = CTL_USAGE;
        return NULL;
    }
    return body;
}

enum ctl_exit verb_user_passwd(struct ctl *ctl)
{
    enum ctl_exit result;
    json_t *body = password_body(ctl, NULL, &result);
    return body == NULL ? result : user_ask(ctl, "PATCH", body);
}

enum ctl_exit verb_user_add(struct ctl *ctl)
{
    struct response response;
    enum ctl_exit result;
    json_t *body = password_body(ctl, ctl->arguments.operand, &result);
    if (body == NULL)
        return result;
    result = client_call(ctl, "POST", "/v1/users", body, &response);
    if (result == CTL_OK)
        user_print(ctl, &response);
    response_fini(ctl, &response);
    return result;
}

static void users_print(struct ctl *ctl, const json_t *items)
{
    static const char *const titles[] = {"USER", ">NUMBER", "ENABLED", "CREATED"};
    struct table table;
    size_t index;
    json_t *user;
    table_init(&table, &ctl->heap, titles, ARRAY_COUNT(titles));
    json_array_foreach(items, index, user)
    {
        table_add_string(&table, json_text(user, "username"));
        table_add_count(&table, json_count(user, "number"));
        table_add_string(&table, json_is_true(json_object_get(user, "enabled")) ? "yes" : "no");
        table_add_string(&table, json_text(user, "created_at"));
    }
    table_print(&table, ctl->out);
    table_fini(&table);
}

enum ctl_exit verb_user_list(struct ctl *ctl)
{
    struct response response;
    enum ctl_exit result = page_get(ctl, "/v1/users", &response);
    if (result == CTL_OK && !print_verbatim(ctl, &response)) {
        users_print(ctl, json_object_get(response.json, "items"));
        page_end(ctl, &response);
    }
    response_fini(ctl, &response);
    return result;
}
