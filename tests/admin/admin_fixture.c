/* SPDX-License-Identifier: Apache-2.0
 *
 * See admin_fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stentor/clock.h"
#include "stentor/text.h"

#define HEAP_BYTES (256u << 20)
#define TURNS_MAX 3000u

void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    config_defaults(&fixture->config);
    fixture->config.admin_port = 0;
    fixture->now_ns = NS_PER_SECOND;
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/stentor-admin-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->config.server_data_dir, sizeof fixture->config.server_data_dir, "%s",
             fixture->folder);
    heap_init(&fixture->heap, HEAP_BYTES);
    random_init_seed(&fixture->random, 7);
    assert_int_equal(log_create(&fixture->log, "control", LOG_LEVEL_DEBUG), ERROR_NONE);
}

static void admin_begin(struct fixture *fixture)
{
    struct admin_options options = {
        .config = &fixture->config,
        .heap = &fixture->heap,
        .metrics = &fixture->metrics,
        .random = &fixture->random,
        .log = fixture->log,
    };
    char shown[ADMIN_TOKEN_SIZE + 1];
    char text[512];
    struct writer message = writer_of(text, sizeof text - 1);
    enum error error = admin_open(&fixture->admin, &options, shown, &message);
    text[message.size] = '\0';
    if (error != ERROR_NONE)
        fail_msg("%s", text);
    if (shown[0] != '\0')
        memcpy(fixture->token, shown, sizeof shown);
    fixture->baseline_bytes = heap_used_bytes(&fixture->heap);
}

void fixture_open(struct fixture *fixture)
{
    fixture_init(fixture);
    admin_begin(fixture);
}

void fixture_reopen(struct fixture *fixture)
{
    if (fixture->admin != NULL)
        admin_close(&fixture->admin);
    assert_int_equal(heap_used_bytes(&fixture->heap), 0);
    admin_begin(fixture);
}

void fixture_close(struct fixture *fixture)
{
    if (fixture->admin != NULL)
        admin_close(&fixture->admin);
    assert_int_equal(heap_used_bytes(&fixture->heap), 0);
    log_destroy(&fixture->log);
    char path[128];
    snprintf(path, sizeof path, "%s/admin.token.sha256", fixture->folder);
    unlink(path);
    assert_int_equal(rmdir(fixture->folder), 0);
}

/* ---- control's part ---- */

static struct push_status status_of(const struct admin_request *request)
{
    struct push_status status = {.state = PUSH_RUNNING, .created_at_ms = FIXTURE_WALL_MS};
    status.id = request->push_id;
    if (request->kind != ADMIN_PUSH_GET)
        snprintf(status.id.text, sizeof status.id.text, "%s", "01HF7YAT3V0000000000000000");
    status.target = request->push.target;
    status.label = request->push.label;
    return status;
}

static struct admin_session session_of(struct handle id)
{
    struct admin_session session = {
        .id = id, .port = 4711, .is_bound = true, .age_seconds = 9, .tcp_state = "established"};
    snprintf(session.user, sizeof session.user, "alice");
    snprintf(session.address, sizeof session.address, "10.0.0.9");
    return session;
}

void fixture_answer(struct fixture *fixture, struct admin_request *request)
{
    struct admin *admin = fixture->admin;
    struct push_status status = status_of(request);
    struct admin_user user = {.number = 1, .user = request->user, .is_enabled = true};
    struct admin_session session = session_of(request->session);
    fixture->answered++;
    switch (request->kind) {
    case ADMIN_PUSH_CREATE:
    case ADMIN_PUSH_GET:
        admin_answer_push(admin, &request, &status);
        break;
    case ADMIN_PUSH_LIST:
        admin_answer_pushes(admin, &request, &status, 1, true);
        break;
    case ADMIN_USER_LIST:
        admin_answer_users(admin, &request, &user, 0, true);
        break;
    case ADMIN_SESSION_LIST:
        admin_answer_sessions(admin, &request, &session, 1, true);
        break;
    case ADMIN_SESSION_COUNT:
        admin_answer_count(admin, &request, 3, 2, 1);
        break;
    case ADMIN_SESSION_GET:
        admin_answer_session(admin, &request, &session, BYTES("one\ntwo\n"));
        break;
    case ADMIN_USER_DELETE:
    case ADMIN_SESSION_KICK:
        admin_answer_done(admin, &request);
        break;
    case ADMIN_METRICS:
    case ADMIN_READY:
        admin_answer_text(admin, &request, BYTES("ready\n"));
        break;
    default:
        admin_answer_user(admin, &request, &user);
        break;
    }
    assert_null(request);
}

/* Sleeps as the control loop does: on the descriptor, for no longer than it says. */
static void wait_for_work(struct fixture *fixture)
{
    struct pollfd wait = {.fd = admin_descriptor(fixture->admin), .events = POLLIN};
    uint64_t timeout_ms = admin_timeout_ms(fixture->admin);
    poll(&wait, 1, timeout_ms < 2 ? (int)timeout_ms : 2);
}

void fixture_turn(struct fixture *fixture)
{
    wait_for_work(fixture);
    admin_turn(fixture->admin, fixture->now_ns, FIXTURE_WALL_MS);
    struct admin_request *request;
    while ((request = admin_take(fixture->admin)) != NULL)
        fixture_answer(fixture, request);
}

struct admin_request *fixture_take(struct fixture *fixture)
{
    for (uint32_t i = 0; i < TURNS_MAX; i++) {
        struct admin_request *request = admin_take(fixture->admin);
        if (request != NULL)
            return request;
        wait_for_work(fixture);
        admin_turn(fixture->admin, fixture->now_ns, FIXTURE_WALL_MS);
    }
    fail_msg("no request came");
    return NULL;
}

void fixture_settle(struct fixture *fixture)
{
    for (uint32_t i = 0; i < TURNS_MAX; i++) {
        if (heap_used_bytes(&fixture->heap) == fixture->baseline_bytes)
            return;
        fixture_turn(fixture);
    }
    fail_msg("%llu octets leaked",
             (unsigned long long)(heap_used_bytes(&fixture->heap) - fixture->baseline_bytes));
}

/* ---- clients ---- */

int client_open(const struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(admin_port(fixture->admin)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(client, F_SETFL, O_NONBLOCK), 0);
    return client;
}

void client_send(struct fixture *fixture, int client, const char *text, size_t size)
{
    for (uint32_t i = 0; size != 0 && i < TURNS_MAX; i++) {
        ssize_t sent = send(client, text, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return; /* the server has hung up; what it said is still to be read */
        text += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
        if (size != 0)
            fixture_turn(fixture);
    }
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char value[1024];
    const char *end = strstr(reply->text, "\r\n\r\n");
    char start[64];
    snprintf(start, sizeof start, "\r\n%s: ", name);
    const char *found = strcasestr(reply->text, start);
    if (end == NULL || found == NULL || found > end)
        return NULL;
    found += strlen(start);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(found, "\r"), found);
    return value;
}

/* True when text holds a whole reply. */
static bool reply_is_whole(struct reply *reply)
{
    reply->text[reply->size] = '\0';
    const char *end = strstr(reply->text, "\r\n\r\n");
    if (end == NULL || reply->size < 12)
        return false;
    uint64_t status = 0, size = 0;
    assert_true(decimal_parse(bytes_of(reply->text + 9, 3), 999, &status));
    if (status == 100) { /* what follows it is the reply */
        size_t skipped = (size_t)(end + 4 - reply->text);
        memmove(reply->text, reply->text + skipped, reply->size - skipped);
        reply->size -= skipped;
        return reply_is_whole(reply);
    }
    const char *length = reply_header(reply, "Content-Length");
    if (length != NULL)
        assert_true(decimal_parse(bytes_of_string(length), sizeof reply->text, &size));
    reply->status = (unsigned)status;
    reply->body = end + 4;
    reply->body_size = size;
    reply->end = (size_t)(reply->body - reply->text) + size;
    return reply->size >= reply->end;
}

void client_receive(struct fixture *fixture, int client, struct reply *reply)
{
    /* What came behind an earlier reply is the start of this one. */
    size_t kept = reply->end < reply->size ? reply->size - reply->end : 0;
    memmove(reply->text, reply->text + reply->end, kept);
    *reply = (struct reply){.size = kept, .body = "", .text[0] = reply->text[0]};
    for (uint32_t i = 0; i < TURNS_MAX && !reply_is_whole(reply); i++) {
        ssize_t got =
            recv(client, reply->text + reply->size, sizeof reply->text - 1 - reply->size, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            reply->is_closed = true;
            reply->status = reply_is_whole(reply) ? reply->status : 0;
            return;
        }
        reply->size += got > 0 ? (size_t)got : 0;
        fixture_turn(fixture);
    }
}

void client_request(struct fixture *fixture, int client, const char *method, const char *uri,
                    const char *body)
{
    size_t body_size = body == NULL ? 0 : strlen(body);
    char head[4096];
    int size =
        snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n",
                 method, uri, fixture->token);
    if (body != NULL)
        size +=
            snprintf(head + size, sizeof head - (size_t)size, "Content-Length: %zu\r\n", body_size);
    size += snprintf(head + size, sizeof head - (size_t)size, "\r\n");
    assert_true(size < (int)sizeof head);
    client_send(fixture, client, head, (size_t)size);
    if (body != NULL)
        client_send(fixture, client, body, body_size);
}

const struct reply *fixture_ask(struct fixture *fixture, const char *method, const char *uri,
                                const char *body)
{
    static struct reply reply;
    int client = client_open(fixture);
    reply.size = reply.end = 0;
    client_request(fixture, client, method, uri, body);
    client_receive(fixture, client, &reply);
    close(client);
    fixture_settle(fixture);
    return &reply;
}

/* ---- without a connection ---- */

struct exchange *fixture_parse(struct fixture *fixture, const char *method, const char *uri,
                               const char *body)
{
    char authorization[ADMIN_TOKEN_SIZE + 16];
    snprintf(authorization, sizeof authorization, "Bearer %s", fixture->token);
    struct exchange *exchange = exchange_create(fixture->admin, NULL, uri);
    assert_non_null(exchange);
    exchange->method = method;
    exchange->place = EXCHANGE_READING;
    route_admit(exchange, authorization);
    if (body != NULL)
        assert_true(exchange_append(exchange, body, strlen(body)));
    bool is_queued = exchange->answer.status == 0 && route_parse(exchange);
    assert_true(is_queued == (exchange->answer.status == 0));
    return exchange;
}

void expect_problem(struct exchange *exchange, unsigned status, const char *pointer)
{
    const struct answer *answer = &exchange->answer;
    json_t *problem = json_loadb(answer->octets, answer->size, 0, NULL);
    if (answer->status != status)
        fail_msg("%s: %u: %.*s", exchange->path, answer->status, (int)answer->size,
                 (const char *)answer->octets);
    assert_non_null(problem);
    assert_string_equal(answer->type, "application/problem+json");
    assert_int_equal(json_integer_value(json_object_get(problem, "status")), status);
    json_t *spot = json_array_get(json_object_get(problem, "errors"), 0);
    const char *found = json_string_value(json_object_get(spot, "pointer"));
    if (strcmp(found == NULL ? "-" : found, pointer) != 0)
        fail_msg("pointer %s, expected %s", found == NULL ? "-" : found, pointer);
    assert_non_null(json_string_value(json_object_get(problem, "detail")));
    json_decref(problem);
    exchange_destroy(exchange);
}
