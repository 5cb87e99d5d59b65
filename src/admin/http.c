/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd without a thread of its own: the control thread runs it. A request is let in or
 * refused by its header, its body collected, parsed, queued, and its connection suspended until the
 * answer is there.
 *
 *   on_uri -> on_request (header) -> on_request (body) ... -> on_request (end)
 *                                                 suspended -> on_request (answer) -> on_completed
 *
 * Who is refused may still send his body, which is let go, so that he gets to read why; one who
 * announces or sends more than twice admin.body_bytes is cut off.
 *
 * Run from outside, the library (0.9.75) has no descriptor that a resume makes readable, and its
 * timeout does not speak of one: has_resumed makes ours 0, so that the sleeper takes a turn. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

#include "admin_state.h"
#include "stentor/clock.h"
#include "stentor/text.h"

#define HTTP_MEMORY_BYTES (64u << 10) /* headers of one connection */
#define HTTP_CLOSE_PASSES 16u

/* ---- answering ---- */

static void peer_write(const struct exchange *exchange, char text[INET6_ADDRSTRLEN])
{
    const union MHD_ConnectionInfo *found =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    text[0] = '\0';
    if (found == NULL)
        return;
    const struct sockaddr *address = found->client_addr;
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text,
                  INET6_ADDRSTRLEN);
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text,
                  INET6_ADDRSTRLEN);
}

/* Who changed what, and who was refused; reading is not worth a line. */
static void account_for(const struct exchange *exchange)
{
    unsigned status = exchange->answer.status;
    struct admin *admin = exchange->admin;
    metric_count(admin->metrics, status >= 500   ? METRIC_ADMIN_5XX
                                 : status >= 400 ? METRIC_ADMIN_4XX
                                                 : METRIC_ADMIN_2XX);
    bool is_refused = status == MHD_HTTP_UNAUTHORIZED || status >= 500;
    if (!is_refused && strcmp(exchange->method, MHD_HTTP_METHOD_GET) == 0)
        return;
    char peer[INET6_ADDRSTRLEN];
    peer_write(exchange, peer);
    log_line(admin->log, is_refused ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, admin->wall_ms,
             "admin method=%s path=%.128s status=%u peer=%s", exchange->method, exchange->path,
             status, peer);
}

static void headers_add(struct MHD_Response *response, const struct answer *answer)
{
    if (answer->type != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (answer->location != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, answer->location);
    if (answer->allowed[0] != '\0')
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allowed);
    if (answer->status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (answer->status == MHD_HTTP_TOO_MANY_REQUESTS ||
        answer->status == MHD_HTTP_SERVICE_UNAVAILABLE)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}

static struct caller *caller_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The octets stay the exchange's, which outlives the response. */
static enum MHD_Result send_answer(struct exchange *exchange)
{
    const struct answer *answer = &exchange->answer;
    ASSERT(answer->status != 0);
    exchange->place = EXCHANGE_ANSWERED;
    caller_serve(caller_of(exchange->connection));
    account_for(exchange);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->size, (void *)(uintptr_t)answer->octets, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    headers_add(response, answer);
    if (exchange->ends_connection)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(exchange->connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

void http_resume(struct exchange *exchange)
{
    ASSERT(exchange->answer.status != 0);
    exchange->place = EXCHANGE_ANSWERED;
    exchange->admin->has_resumed = true;
    MHD_resume_connection(exchange->connection);
}

/* ---- receiving ---- */

static void queue(struct exchange *exchange)
{
    struct admin *admin = exchange->admin;
    exchange->place = EXCHANGE_QUEUED;
    if (admin->queue_last != NULL)
        admin->queue_last->queue_next = exchange;
    else
        admin->queue_first = exchange;
    admin->queue_last = exchange;
    caller_serve(caller_of(exchange->connection));
    MHD_suspend_connection(exchange->connection);
}

static const char *header(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

/* How often those header fields came that may come once. */
struct field_counts {
    uint32_t lengths, codings, hosts, credentials;
};

static enum MHD_Result count_field(void *closure, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct field_counts *counts = closure;
    (void)kind;
    (void)value;
    counts->lengths += strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
    counts->codings += strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0;
    counts->hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
    counts->credentials += strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0;
    return MHD_YES;
}

/* RFC 9112 3.2, 6.1 and 6.3: whoever stands between the client and us may have seen another request
 * in it than we do, so it is nobody's. */
static bool is_ambiguous(const struct exchange *exchange)
{
    struct field_counts counts = {0};
    MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, count_field, &counts);
    return counts.lengths + counts.codings > 1 || counts.hosts > 1 || counts.credentials > 1;
}

/* Judges the header. An answer given here and now also closes the connection, so it waits for the
 * end of the body where there is a bearable one. */
static enum MHD_Result begin(struct exchange *exchange, const char *method)
{
    uint64_t limit = exchange->admin->config->admin_body_bytes;
    bool is_head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    exchange->method = is_head ? MHD_HTTP_METHOD_GET : method;
    exchange->place = EXCHANGE_READING;
    if (is_ambiguous(exchange)) {
        exchange->ends_connection = true;
        problem_answer(
            exchange, MHD_HTTP_BAD_REQUEST,
            "Content-Length, Transfer-Encoding, Host or Authorization came twice, or the "
            "first two together.");
        return send_answer(exchange);
    }
    route_admit(exchange, header(exchange, MHD_HTTP_HEADER_AUTHORIZATION));
    if (exchange->is_trusted)
        caller_trust(caller_of(exchange->connection));
    const char *length = header(exchange, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t announced = 0;
    if (length != NULL && !decimal_parse(bytes_of_string(length), UINT64_MAX, &announced))
        announced = UINT64_MAX;
    if (exchange->answer.status == 0 && announced > limit) {
        exchange->body_state = BODY_TOO_LARGE;
        problem_answer(exchange, MHD_HTTP_CONTENT_TOO_LARGE,
                       "The body is larger than admin.body_bytes.");
    }
    bool asks_first = header(exchange, MHD_HTTP_HEADER_EXPECT) != NULL;
    if (exchange->answer.status != 0 && (asks_first || announced > 2 * limit))
        return send_answer(exchange);
    return MHD_YES;
}

static enum MHD_Result finish_reading(struct exchange *exchange)
{
    if (exchange->answer.status == 0 && exchange->admin->is_closing)
        problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is stopping.");
    if (exchange->answer.status != 0 || !route_parse(exchange))
        return send_answer(exchange);
    queue(exchange);
    return MHD_YES;
}

/* The request line, undecoded: the library's own decoding ends a path at %00. */
static void *on_uri(void *closure, const char *uri, struct MHD_Connection *connection)
{
    return exchange_create(closure, connection, uri);
}

/* Called for the header, each piece of the body, its end, and after a resume. */
static enum MHD_Result on_request(void *closure, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *upload, size_t *upload_size, void **slot)
{
    struct exchange *exchange = *slot;
    (void)closure;
    (void)connection;
    (void)path;
    (void)version;
    if (exchange == NULL) /* no memory */
        return MHD_NO;
    if (exchange->place == EXCHANGE_NEW)
        return begin(exchange, method);
    if (*upload_size != 0) {
        bool goes_on = exchange_append(exchange, upload, *upload_size);
        *upload_size = 0;
        return goes_on ? MHD_YES : MHD_NO;
    }
    return exchange->place == EXCHANGE_READING ? finish_reading(exchange) : send_answer(exchange);
}

static void on_completed(void *closure, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode code)
{
    (void)closure;
    (void)code;
    if (*slot != NULL)
        exchange_destroy(*slot);
    *slot = NULL;
    caller_rest(caller_of(connection));
}

static void on_connection(void *closure, struct MHD_Connection *connection, void **socket_slot,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_slot = caller_open(
            closure,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    } else {
        caller_close(*socket_slot);
        *socket_slot = NULL;
    }
}

/* ---- opening and closing ---- */

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

/* What the library answers itself, because it is no HTTP it can read, shows here alone; its other
 * words are about clients that have gone. */
static void on_library_word(void *closure, const char *format, va_list arguments)
{
    static const char refusal[] = "Error processing request (HTTP response code is %u";
    struct admin *admin = closure;
    if (strncmp(format, refusal, sizeof refusal - 1) != 0)
        return;
    unsigned status = va_arg(arguments, unsigned);
    metric_count(admin->metrics, METRIC_ADMIN_UNREADABLE);
    metric_count(admin->metrics, status >= 500 ? METRIC_ADMIN_5XX : METRIC_ADMIN_4XX);
    char text[64];
    snprintf(text, sizeof text, "a request that is no HTTP was answered %u", status);
    admin_complain(admin, text);
}

/* Not LISTENING_ADDRESS_REUSE: it means SO_REUSEPORT, and a second server would share our port. */
static struct MHD_Daemon *daemon_start(struct admin *admin, const struct sockaddr *address)
{
    const struct config *config = admin->config;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (address->sa_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, admin, MHD_OPTION_EXTERNAL_LOGGER, on_library_word, admin,
        MHD_OPTION_SOCK_ADDR, address, MHD_OPTION_URI_LOG_CALLBACK, on_uri, admin,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, admin, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, admin, MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->admin_connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)((config->admin_idle_time + NS_PER_SECOND - 1) / NS_PER_SECOND),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_END);
}

enum error http_open(struct admin *admin, struct writer *message)
{
    struct sockaddr_storage address;
    if (!address_fill(admin->config, &address)) {
        write_string(message, "admin.listen is no IP address: ");
        write_string(message, admin->config->admin_listen);
        return ERROR_INVALID;
    }
    errno = 0;
    admin->daemon = daemon_start(admin, (const struct sockaddr *)&address);
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
    for (uint32_t i = 0; i < HTTP_CLOSE_PASSES && admin->exchanges != NULL; i++)
        MHD_run(admin->daemon);
    MHD_stop_daemon(admin->daemon);
    ASSERT(admin->exchanges == NULL);
}
