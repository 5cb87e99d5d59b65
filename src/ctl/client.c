/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP client, by libcurl (docs/decisions/0003). The token goes to the URL it was given for and
 * nowhere else: no redirects, no proxies, no schemes but http and https. It never stands on the
 * command line, where every user of the machine could read it. */
#include <curl/curl.h>
#include <stdlib.h>

#include "ctl.h"

#define CONNECT_SECONDS 5L
#define ANSWER_SECONDS 60L

/* ---- where and as whom ---- */

static enum ctl_exit usage(struct ctl *ctl, const char *what, const char *which)
{
    fprintf(ctl->err, "stentorctl: %s", what);
    print_shown(ctl->err, which);
    fprintf(ctl->err, "\n");
    return CTL_USAGE;
}

static bool token_is_text(const char *token)
{
    for (size_t i = 0; token[i] != '\0'; i++)
        if (token[i] <= ' ' || token[i] > '~')
            return false;
    return true;
}

static enum ctl_exit token_read(struct ctl *ctl)
{
    const char *path = ctl->arguments.options[OPTION_TOKEN_FILE];
    const char *given = getenv("STENTOR_TOKEN");
    if (path == NULL) {
        if (given != NULL && strlen(given) >= sizeof ctl->token)
            return usage(ctl, "STENTOR_TOKEN is no admin token", "");
        snprintf(ctl->token, sizeof ctl->token, "%s", given == NULL ? "" : given);
    } else {
        FILE *file = fopen(path, "re");
        if (file == NULL || fgets(ctl->token, sizeof ctl->token, file) == NULL)
            ctl->token[0] = '\0';
        if (file != NULL)
            fclose(file);
        ctl->token[strcspn(ctl->token, "\r\n")] = '\0';
        if (ctl->token[0] == '\0')
            return usage(ctl, "no token can be read from ", path);
    }
    return token_is_text(ctl->token) ? CTL_OK : usage(ctl, "the token has odd characters", "");
}

enum ctl_exit client_open(struct ctl *ctl)
{
    const char *url = ctl->arguments.options[OPTION_URL];
    if (url == NULL)
        url = getenv("STENTOR_URL");
    if (url == NULL || url[0] == '\0')
        url = CTL_URL_DEFAULT;
    size_t size = strlen(url);
    while (size != 0 && url[size - 1] == '/')
        size--;
    if (size >= sizeof ctl->url)
        return usage(ctl, "the URL is too long", "");
    memcpy(ctl->url, url, size);
    ctl->url[size] = '\0';
    enum ctl_exit result = token_read(ctl);
    if (result != CTL_OK)
        return result;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    ctl->curl = curl_easy_init();
    return ctl->curl != NULL ? CTL_OK : usage(ctl, "the HTTP client cannot start", "");
}

void client_close(struct ctl *ctl)
{
    bytes_wipe(ctl->token, sizeof ctl->token);
    if (ctl->curl == NULL)
        return;
    curl_easy_cleanup(ctl->curl);
    ctl->curl = NULL;
    curl_global_cleanup();
}

bool path_write(char *path, size_t size, const char *folder, const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~";
    struct writer into = writer_of(path, size);
    write_string(&into, folder);
    /* A dot alone is encoded, so that "." and ".." stay names. */
    for (size_t i = 0; name[i] != '\0'; i++) {
        char text[4];
        bool is_plain = strchr(plain, name[i]) != NULL;
        snprintf(text, sizeof text, is_plain ? "%c" : "%%%02X", (unsigned char)name[i]);
        write_string(&into, text);
    }
    write_u8(&into, '\0');
    return !into.is_overflown;
}

/* ---- one call ---- */

struct receiver {
    struct ctl *ctl;
    struct response *response;
};

static size_t on_octets(char *octets, size_t size, size_t count, void *closure)
{
    struct receiver *receiver = closure;
    struct response *response = receiver->response;
    struct heap *heap = &receiver->ctl->heap;
    size *= count;
    if (size > CTL_RESPONSE_BYTES_MAX - response->size)
        return 0;
    if (response->size + size > response->capacity) {
        size_t capacity = 2 * (response->size + size);
        uint8_t *body = heap_take(heap, capacity);
        if (body == NULL)
            return 0;
        if (response->size != 0)
            memcpy(body, response->body, response->size);
        heap_give(heap, response->body);
        response->body = body;
        response->capacity = capacity;
    }
    memcpy(response->body + response->size, octets, size);
    response->size += size;
    return size;
}

static struct curl_slist *headers_make(const struct ctl *ctl)
{
    char authorization[sizeof ctl->token + 32];
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:"); /* a round trip, for nothing on loopback */
    if (ctl->token[0] != '\0') {
        snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", ctl->token);
        headers = curl_slist_append(headers, authorization);
        bytes_wipe(authorization, sizeof authorization);
    }
    return headers;
}

static void options_set(struct ctl *ctl, const char *url, const char *method, struct bytes body)
{
    CURL *curl = ctl->curl;
    curl_easy_reset(curl); /* keeps the connection */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, ANSWER_SECONDS);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_octets);
    if (body.at == NULL)
        return;
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.at);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
}

static CURLcode perform(struct ctl *ctl, const char *method, const char *path, struct bytes body,
                        struct response *response)
{
    char url[sizeof ctl->url + 4096];
    struct receiver receiver = {ctl, response};
    long status = 0;
    if (snprintf(url, sizeof url, "%s%s", ctl->url, path) >= (int)sizeof url)
        return CURLE_URL_MALFORMAT;
    struct curl_slist *headers = headers_make(ctl);
    options_set(ctl, url, method, body);
    curl_easy_setopt(ctl->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(ctl->curl, CURLOPT_WRITEDATA, &receiver);
    CURLcode code = curl_easy_perform(ctl->curl);
    curl_easy_getinfo(ctl->curl, CURLINFO_RESPONSE_CODE, &status);
    response->status = (uint32_t)status;
    curl_slist_free_all(headers);
    return code;
}

/* ---- what it says ---- */

static void problem_print(struct ctl *ctl, const struct response *response)
{
    const char *detail = json_text(response->json, "detail");
    fprintf(ctl->err, "stentorctl: %u: ", response->status);
    print_shown(ctl->err, detail[0] != '\0' ? detail : "the server refused");
    fprintf(ctl->err, "\n");
    size_t index;
    json_t *error;
    json_array_foreach(json_object_get(response->json, "errors"), index, error)
    {
        const char *pointer = json_text(error, "pointer");
        fprintf(ctl->err, "  ");
        print_shown(ctl->err, pointer[0] != '\0' ? pointer : "/");
        fprintf(ctl->err, ": ");
        print_shown(ctl->err, json_text(error, "detail"));
        fprintf(ctl->err, "\n");
    }
    if (response->status == 401)
        fprintf(ctl->err, "  set STENTOR_TOKEN or give --token-file\n");
}

static enum ctl_exit judge(struct ctl *ctl, CURLcode code, struct response *response)
{
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return usage(ctl, "not an http URL: ", ctl->url);
    if (code != CURLE_OK) {
        fprintf(ctl->err, "stentorctl: no answer from ");
        print_shown(ctl->err, ctl->url);
        fprintf(ctl->err, ": %s\n", curl_easy_strerror(code));
        return CTL_UNREACHABLE;
    }
    response->json = json_loadb((const char *)response->body, response->size, 0, NULL);
    if (response->status >= 200 && response->status < 300)
        return CTL_OK;
    if (ctl->arguments.options[OPTION_JSON] != NULL && response->json != NULL)
        print_verbatim(ctl, response);
    problem_print(ctl, response);
    return CTL_REFUSED;
}

enum ctl_exit client_call(struct ctl *ctl, const char *method, const char *path, json_t *body,
                          struct response *response)
{
    *response = (struct response){0};
    size_t size = body == NULL ? 0 : json_dumpb(body, NULL, 0, JSON_COMPACT);
    char *text = size == 0 ? NULL : heap_take(&ctl->heap, size);
    if (text != NULL)
        json_dumpb(body, text, size, JSON_COMPACT);
    bool is_whole = body == NULL || text != NULL;
    json_decref(body);
    CURLcode code = !is_whole ? CURLE_OUT_OF_MEMORY
                              : perform(ctl, method, path, bytes_of(text, size), response);
    if (text != NULL)
        bytes_wipe(text, size); /* a password may be in it */
    heap_give(&ctl->heap, text);
    return judge(ctl, code, response);
}

void response_fini(struct ctl *ctl, struct response *response)
{
    json_decref(response->json);
    heap_give(&ctl->heap, response->body);
    *response = (struct response){0};
}
