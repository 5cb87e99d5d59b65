/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd without a thread of its own: the control thread runs it. A request is collected up
 * to admin.body_bytes, judged, queued, and its connection suspended until the answer is there. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "admin_state.h"

#define HTTP_IDLE_SECONDS 30u
#define HTTP_MEMORY_BYTES (64u << 10) /* headers of one connection */

static struct exchange *exchange_create(struct admin *admin, struct MHD_Connection *connection,
                                        const char *path, const char *method)
{
    struct exchange *exchange = heap_take_zeroed(admin->heap, sizeof *exchange);
    if (exchange == NULL)
        return NULL;
    size_t size = strlen(path) + 1;
    exchange->path = heap_take(admin->heap, size);
    if (exchange->path == NULL) {
        heap_give(admin->heap, exchange);
        return NULL;
    }
    memcpy(exchange->path, path, size);
    exchange->admin = admin;
    exchange->connection = connection;
    exchange->method = method;
    exchange->next = admin->exchanges;
    if (admin->exchanges != NULL)
        admin->exchanges->previous = exchange;
    admin->exchanges = exchange;
    admin->exchange_count++;
    return exchange;
}

static void exchange_destroy(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        admin->exchanges = exchange->next;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
    admin->exchange_count--;
    if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    json_decref(exchange->json);
    /* Passwords pass through both. */
    if (exchange->body != NULL)
        bytes_wipe(exchange->body, exchange->body_capacity);
    if (exchange->prepared != NULL)
        bytes_wipe(exchange->prepared, exchange->prepared_capacity);
    heap_give(admin->heap, exchange->body);
    heap_give(admin->heap, exchange->prepared);
    heap_give(admin->heap, exchange->request.users);
    heap_give(admin->heap, exchange->path);
    heap_give(admin->heap, exchange);
}

static void body_append(struct exchange *exchange, const char *octets, size_t size)
{
    struct admin *admin = exchange->admin;
    if (exchange->is_too_large || size > admin->config->admin_body_bytes - exchange->body_size) {
        exchange->is_too_large = true;
        return;
    }
    if (exchange->body_size + size > exchange->body_capacity) {
        size_t capacity = 2 * (exchange->body_size + size);
        uint8_t *body = heap_take(admin->heap, capacity);
        if (body == NULL) {
            exchange->is_too_large = true;
            return;
        }
        if (exchange->body != NULL) {
            memcpy(body, exchange->body, exchange->body_size);
            bytes_wipe(exchange->body, exchange->body_capacity);
        }
        heap_give(admin->heap, exchange->body);
        exchange->body = body;
        exchange->body_capacity = capacity;
    }
    memcpy(exchange->body + exchange->body_size, octets, size);
    exchange->body_size += size;
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
    metric_count(exchange->admin->metrics, exchange->status >= 500   ? METRIC_ADMIN_5XX
                                           : exchange->status >= 400 ? METRIC_ADMIN_4XX
                                                                     : METRIC_ADMIN_2XX);
    return MHD_queue_response(exchange->connection, exchange->status, exchange->response);
}

static void queue(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    exchange->place = EXCHANGE_QUEUED;
    if (admin->queue_last != NULL)
        admin->queue_last->queue_next = exchange;
    else
        admin->queue_first = exchange;
    admin->queue_last = exchange;
    MHD_suspend_connection(exchange->connection);
}

/* libmicrohttpd calls this for the header, each piece of the body, its end, and after a resume. */
static enum MHD_Result on_request(void *closure, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **slot)
{
    struct admin *admin = closure;
    struct exchange *exchange = *slot;
    (void)version;
    if (exchange == NULL) {
        *slot = exchange_create(admin, connection, path, method);
        return *slot == NULL ? MHD_NO : MHD_YES;
    }
    if (*upload_size != 0) {
        body_append(exchange, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    if (exchange->place != EXCHANGE_READING)
        return send_answer(exchange);
    if (admin->is_closing)
        problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is stopping.");
    else if (route_exchange(exchange)) {
        queue(exchange);
        return MHD_YES;
    }
    exchange->place = EXCHANGE_ANSWERED;
    ASSERT(exchange->response != NULL);
    return send_answer(exchange);
}

static void on_completed(void *closure, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode code)
{
    (void)closure;
    (void)connection;
    (void)code;
    if (*slot != NULL)
        exchange_destroy(*slot);
    *slot = NULL;
}

void http_resume(struct exchange *exchange)
{
    ASSERT(exchange->response != NULL);
    exchange->place = EXCHANGE_ANSWERED;
    MHD_resume_connection(exchange->connection);
}

static bool address_fill(const struct config *config, struct sockaddr_storage *address)
{
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, config->admin_listen, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)config->admin_port);
        return true;
    }
    if (inet_pton(AF_INET6, config->admin_listen, &six->sin6_addr) != 1)
        return false;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t)config->admin_port);
    return true;
}

static void quiet(void *closure, const char *format, va_list arguments)
{
    (void)closure;
    (void)format;
    (void)arguments;
}

enum error http_open(struct admin *admin, struct writer *message)
{
    struct sockaddr_storage address;
    if (!address_fill(admin->config, &address)) {
        write_string(message, "admin.listen is no IP address: ");
        write_string(message, admin->config->admin_listen);
        return ERROR_INVALID;
    }
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    admin->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, admin, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
        MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, on_completed, admin,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)admin->config->admin_connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HTTP_MEMORY_BYTES, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    if (admin->daemon == NULL) {
        write_string(message, "cannot listen on admin.listen ");
        write_string(message, admin->config->admin_listen);
        write_string(message, " port ");
        write_decimal(message, admin->config->admin_port);
        write_string(message, ": ");
        write_string(message, errno == 0 ? "refused" : strerror(errno));
        return ERROR_SYSTEM;
    }
    admin->descriptor = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    admin->port = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return ERROR_NONE;
}

/* Gives the resumed connections a bounded number of passes to send their 503. */
void http_close(struct admin *admin)
{
    if (admin->daemon == NULL)
        return;
    for (uint32_t i = 0; i < 16 && admin->exchanges != NULL; i++)
        MHD_run(admin->daemon);
    MHD_stop_daemon(admin->daemon);
    ASSERT(admin->exchanges == NULL);
}
