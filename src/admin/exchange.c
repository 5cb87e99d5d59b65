/* SPDX-License-Identifier: Apache-2.0
 *
 * An exchange's memory: its request line cut into path, query and last segment, its body up to
 * admin.body_bytes, and what parsing prepares. All of it comes from the heap and goes with it.
 *
 * The path is matched as it came; only the last segment is decoded, after the cut at '/', so that
 * no %2F, %00 or %2E makes one path look like another. */
#include <strings.h>

#include "admin_state.h"
#include "stentor/text.h"

/* ---- request line ---- */

static bool hex_value(uint8_t digit, uint8_t *value)
{
    if (digit >= '0' && digit <= '9')
        *value = (uint8_t)(digit - '0');
    else if (digit >= 'a' && digit <= 'f')
        *value = (uint8_t)(digit - 'a' + 10);
    else if (digit >= 'A' && digit <= 'F')
        *value = (uint8_t)(digit - 'A' + 10);
    else
        return false;
    return true;
}

bool uri_decode(uint8_t *text, size_t *size)
{
    size_t written = 0;
    for (size_t i = 0; i < *size; i++) {
        uint8_t high, low;
        if (text[i] != '%') {
            text[written++] = text[i];
            continue;
        }
        if (*size - i < 3 || !hex_value(text[i + 1], &high) || !hex_value(text[i + 2], &low))
            return false;
        text[written++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *size = written;
    return true;
}

static bool part_decode(char *text, size_t size, struct bytes *part)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == '+')
            text[i] = ' ';
    bool is_good = uri_decode((uint8_t *)text, &size);
    *part = bytes_of(text, size);
    return is_good;
}

bool query_take(char **rest, struct query_pair *pair)
{
    *pair = (struct query_pair){0};
    while (**rest == '&')
        (*rest)++;
    if (**rest == '\0')
        return false;
    char *name = *rest;
    size_t size = strcspn(name, "&");
    *rest += size;
    const char *equals = memchr(name, '=', size);
    size_t name_size = equals == NULL ? size : (size_t)(equals - name);
    size_t value_at = equals == NULL ? size : name_size + 1;
    pair->is_bad = !part_decode(name + value_at, size - value_at, &pair->value) ||
                   !part_decode(name, name_size, &pair->name);
    return !pair->is_bad;
}

/* RFC 9112 3.2.2: the absolute form names our authority first, which does not matter here. */
static const char *origin_form(const char *uri)
{
    static const char scheme[] = "http://";
    if (strncasecmp(uri, scheme, sizeof scheme - 1) != 0)
        return uri;
    const char *path = strchr(uri + sizeof scheme - 1, '/');
    return path == NULL ? "/" : path;
}

/* The block: the request target, cut at '?', and a second copy of its path to decode in. */
static bool uri_keep(struct exchange *exchange, const char *uri)
{
    uri = origin_form(uri);
    size_t size = strlen(uri) + 1;
    size_t path_size = strcspn(uri, "?");
    exchange->uri = heap_take(exchange->admin->heap, size + path_size + 1);
    if (exchange->uri == NULL)
        return false;
    memcpy(exchange->uri, uri, size);
    exchange->uri[path_size] = '\0';
    exchange->path = exchange->uri;
    exchange->query = exchange->uri + (path_size == size - 1 ? path_size : path_size + 1);
    uint8_t *copy = (uint8_t *)exchange->uri + size;
    memcpy(copy, exchange->path, path_size + 1);
    const char *slash = strrchr(exchange->path, '/');
    size_t at = slash == NULL ? 0 : (size_t)(slash - exchange->path) + 1;
    size_t segment_size = path_size - at;
    exchange->is_path_bad = !uri_decode(copy + at, &segment_size);
    exchange->segment = bytes_of(copy + at, segment_size);
    return true;
}

/* ---- life ---- */

struct exchange *exchange_create(struct admin *admin, struct MHD_Connection *connection,
                                 const char *uri)
{
    struct exchange *exchange = heap_take_zeroed(admin->heap, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    exchange->admin = admin;
    if (!uri_keep(exchange, uri)) {
        heap_give(admin->heap, exchange);
        return NULL;
    }
    exchange->connection = connection;
    exchange->next = admin->exchanges;
    if (admin->exchanges != NULL)
        admin->exchanges->previous = exchange;
    admin->exchanges = exchange;
    return exchange;
}

static void unlink_exchange(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        admin->exchanges = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
}

void exchange_destroy(struct exchange *exchange)
{
    struct heap *heap = exchange->admin->heap;
    unlink_exchange(exchange);
    json_decref(exchange->json);
    /* Passwords pass through both. */
    if (exchange->body != NULL)
        bytes_wipe(exchange->body, exchange->body_capacity);
    if (exchange->prepared != NULL)
        bytes_wipe(exchange->prepared, exchange->prepared_capacity);
    heap_give(heap, exchange->body);
    heap_give(heap, exchange->prepared);
    heap_give(heap, exchange->request.users);
    heap_give(heap, exchange->answer.block);
    heap_give(heap, exchange->answer.location);
    heap_give(heap, exchange->uri);
    heap_give(heap, exchange);
}

/* ---- body ---- */

static enum exchange_body body_grow(struct exchange *exchange, size_t size)
{
    struct heap *heap = exchange->admin->heap;
    size_t limit = exchange->admin->config->admin_body_bytes;
    if (size > limit - exchange->body_size)
        return BODY_TOO_LARGE;
    if (exchange->body_size + size <= exchange->body_capacity)
        return BODY_GOOD;
    size_t capacity = 2 * (exchange->body_size + size);
    capacity = capacity < limit ? capacity : limit;
    uint8_t *body = heap_take(heap, capacity);
    if (body == NULL)
        return BODY_NO_MEMORY;
    if (exchange->body != NULL) {
        memcpy(body, exchange->body, exchange->body_size);
        bytes_wipe(exchange->body, exchange->body_capacity);
    }
    heap_give(heap, exchange->body);
    exchange->body = body;
    exchange->body_capacity = capacity;
    return BODY_GOOD;
}

bool exchange_append(struct exchange *exchange, const char *octets, size_t size)
{
    exchange->received_bytes += size;
    if (exchange->received_bytes > 2 * exchange->admin->config->admin_body_bytes)
        return false;
    if (exchange->answer.status != 0 || exchange->body_state != BODY_GOOD)
        return true;
    exchange->body_state = body_grow(exchange, size);
    if (exchange->body_state != BODY_GOOD)
        return true;
    memcpy(exchange->body + exchange->body_size, octets, size);
    exchange->body_size += size;
    return true;
}

bool exchange_keep(struct exchange *exchange, size_t capacity)
{
    ASSERT(exchange->prepared == NULL);
    exchange->prepared = heap_take(exchange->admin->heap, capacity);
    exchange->prepared_capacity = exchange->prepared == NULL ? 0 : capacity;
    if (exchange->prepared == NULL)
        problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is short of memory.");
    return exchange->prepared != NULL;
}
