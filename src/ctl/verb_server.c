/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics, health, ready, version and help; and what all verbs share. */
#include "ctl.h"

/* ---- shared ---- */

const char *json_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

uint64_t json_count(const json_t *object, const char *name)
{
    json_int_t count = json_integer_value(json_object_get(object, name));
    return count < 0 ? 0 : (uint64_t)count;
}

bool print_verbatim(struct ctl *ctl, const struct response *response)
{
    if (ctl->arguments.options[OPTION_JSON] == NULL)
        return false;
    fwrite(response->body, 1, response->size, ctl->out);
    return true;
}

static void parameter_add(struct writer *into, const char *name, const char *value)
{
    char text[2048];
    if (value == NULL)
        return;
    write_u8(into, into->size == 0 ? '?' : '&');
    write_string(into, name);
    if (path_write(text, sizeof text, "=", value))
        write_string(into, text);
    else
        into->is_overflown = true;
}

enum ctl_exit page_get(struct ctl *ctl, const char *path, struct response *response)
{
    char query[3072], whole[3200];
    struct writer into = writer_of(query, sizeof query - 1);
    const char *const *options = ctl->arguments.options;
    *response = (struct response){0};
    parameter_add(&into, "limit", options[OPTION_LIMIT]);
    parameter_add(&into, "cursor", options[OPTION_CURSOR]);
    parameter_add(&into, "user", options[OPTION_USER]);
    if (into.is_overflown) {
        fprintf(ctl->err, "stentorctl: an option is too long\n");
        return CTL_USAGE;
    }
    query[into.size] = '\0';
    snprintf(whole, sizeof whole, "%s%s", path, query);
    return client_call(ctl, "GET", whole, NULL, response);
}

void page_end(struct ctl *ctl, const struct response *response)
{
    const char *next = json_text(response->json, "next");
    if (next[0] == '\0')
        return;
    fprintf(ctl->err, "there are more: --cursor ");
    print_shown(ctl->err, next);
    fprintf(ctl->err, "\n");
}

/* ---- verbs ---- */

static enum ctl_exit text_get(struct ctl *ctl, const char *path)
{
    struct response response;
    enum ctl_exit result = client_call(ctl, "GET", path, NULL, &response);
    if (result == CTL_OK && response.size != 0)
        fwrite(response.body, 1, response.size, ctl->out);
    response_fini(ctl, &response);
    return result;
}

enum ctl_exit verb_metrics(struct ctl *ctl)
{
    return text_get(ctl, "/metrics");
}

enum ctl_exit verb_health(struct ctl *ctl)
{
    return text_get(ctl, "/healthz");
}

enum ctl_exit verb_ready(struct ctl *ctl)
{
    return text_get(ctl, "/readyz");
}

enum ctl_exit verb_version(struct ctl *ctl)
{
    fprintf(ctl->out, "stentorctl " STENTOR_VERSION "\n");
    return CTL_OK;
}

enum ctl_exit verb_help(struct ctl *ctl)
{
    arguments_help(ctl->out);
    return CTL_OK;
}
