/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of: http, caller.
 * HTTP as clients speak and misuse it: on sockets, against an admin API run by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stentor/clock.h"

static struct fixture fixture;
static struct reply reply;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    reply.size = reply.end = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_settle(&fixture);
    fixture_close(&fixture);
    return 0;
}

static int client_say(const char *text)
{
    int client = client_open(&fixture);
    reply.size = reply.end = 0;
    client_send(&fixture, client, text, strlen(text));
    return client;
}

static const struct reply *say(const char *text)
{
    int client = client_say(text);
    client_receive(&fixture, client, &reply);
    close(client);
    return &reply;
}

/* Without the token and with a wrong one: 401, how to do better, a count and a line in the log. */
static void refuses_without_token(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "GET /v1/users HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\r\n",
        "GET /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(say(texts[i])->status, 401);
        assert_string_equal(reply_header(&reply, "WWW-Authenticate"), "Bearer");
        assert_string_equal(reply_header(&reply, "Content-Type"), "application/problem+json");
    }
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_UNAUTHORIZED), 6);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_4XX), 6);
    char line[4096] = "";
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(log_drain(&fixture.log, 1, pipes[1]), 6);
    assert_true(read(pipes[0], line, sizeof line - 1) > 0);
    assert_non_null(strstr(line, "method=GET path=/v1/users status=401 peer=127.0.0.1"));
    close(pipes[0]);
    close(pipes[1]);
    assert_int_equal(fixture.answered, 0);
}

/* One request of each kind, all the way and back. */
static void carries_requests(void **state)
{
    (void)state;
    assert_int_equal(say("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")->status, 200);
    assert_string_equal(reply.body, "ok\n");
    assert_int_equal(fixture.answered, 0);
    assert_int_equal(say("GET /readyz HTTP/1.0\r\n\r\n")->status, 200);
    assert_int_equal(fixture_ask(&fixture, "GET", "/v1/users/alice", NULL)->status, 200);
    assert_int_equal(fixture_ask(&fixture, "DELETE", "/v1/users/alice", NULL)->status, 204);
    assert_int_equal(
        fixture_ask(&fixture, "POST", "/v1/users", "{\"username\":\"a\",\"password\":\"p\"}")
            ->status,
        201);
    assert_int_equal(fixture.answered, 4);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_2XX), 5);
    assert_int_equal(fixture_ask(&fixture, "PUT", "/v1/users", "{}")->status, 405);
    assert_int_equal(fixture_ask(&fixture, "GET", "/v1/users/a%00b", NULL)->status, 404);
    assert_int_equal(fixture_ask(&fixture, "POST", "/v1/users", "{")->status, 400);
}

/* HEAD is GET without the body, and says its size. */
static void answers_head(void **state)
{
    (void)state;
    int client = client_open(&fixture);
    client_request(&fixture, client, "HEAD", "/v1/sessions/count", NULL);
    for (uint32_t i = 0; i < 20; i++)
        fixture_turn(&fixture);
    ssize_t size = recv(client, reply.text, sizeof reply.text - 1, 0);
    assert_true(size > 0);
    reply.text[size] = '\0';
    assert_non_null(strstr(reply.text, "200 OK"));
    assert_non_null(strstr(reply.text, "Content-Length: "));
    assert_string_equal(strstr(reply.text, "\r\n\r\n"), "\r\n\r\n");
    close(client);
}

/* Cut anywhere, a request is read as when it comes whole. */
static void reads_pieces(void **state)
{
    (void)state;
    char text[512];
    int size = snprintf(text, sizeof text,
                        "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"username\":\"a\",\r\n"
                        "10;x=y\r\n \"password\":\"p\"}\r\n0\r\n\r\n",
                        fixture.token);
    for (int cut = 0; cut < size; cut += cut < 100 ? 9 : 1) {
        int client = client_open(&fixture);
        client_send(&fixture, client, text, (size_t)cut);
        fixture_turn(&fixture);
        client_send(&fixture, client, text + cut, (size_t)(size - cut));
        client_receive(&fixture, client, &reply);
        if (reply.status != 201)
            fail_msg("cut at %d: %u %s", cut, reply.status, reply.body);
        close(client);
        reply.size = reply.end = 0;
    }
    int client = client_open(&fixture);
    for (int i = 0; i < size; i++) {
        client_send(&fixture, client, text + i, 1);
        fixture_turn(&fixture);
    }
    client_receive(&fixture, client, &reply);
    assert_int_equal(reply.status, 201);
    close(client);
}

/* Requests sent one behind the other are answered in order on one connection. */
static void answers_a_pipeline(void **state)
{
    (void)state;
    char text[4096];
    size_t size = 0;
    static const char *const uris[] = {"/v1/users/one", "/nothing", "/healthz", "/v1/users/two",
                                       "/v1/sessions/count"};
    static const unsigned statuses[] = {200, 404, 200, 200, 200};
    for (size_t i = 0; i < ARRAY_COUNT(uris); i++)
        size += (size_t)snprintf(text + size, sizeof text - size,
                                 "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
                                 uris[i], fixture.token);
    int client = client_open(&fixture);
    client_send(&fixture, client, text, size);
    for (size_t i = 0; i < ARRAY_COUNT(uris); i++) {
        client_receive(&fixture, client, &reply);
        assert_int_equal(reply.status, statuses[i]);
        if (i == 0)
            assert_non_null(strstr(reply.body, "\"one\""));
        if (i == 3)
            assert_non_null(strstr(reply.body, "\"two\""));
    }
    close(client);
}

/* A body over the limit is 413, whether announced or not, and whether or not the client asks
 * first; far over it the connection is cut. */
static void limits_bodies(void **state)
{
    (void)state;
    fixture.config.admin_body_bytes = 4096;
    char *body = heap_take_zeroed(&fixture.heap, 20000);
    char head[512];
    memset(body, ' ', 19999);
    static const size_t sizes[] = {4096, 4097, 8192};
    static const unsigned statuses[] = {400, 413, 413};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        int client = client_open(&fixture);
        int size = snprintf(head, sizeof head,
                            "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                            "Content-Length: %zu\r\n\r\n",
                            fixture.token, sizes[i]);
        client_send(&fixture, client, head, (size_t)size);
        client_send(&fixture, client, body, sizes[i]);
        client_receive(&fixture, client, &reply);
        assert_int_equal(reply.status, statuses[i]);
        assert_false(reply.is_closed);
        close(client);
        reply.size = reply.end = 0;
    }
    int client = client_open(&fixture);
    int size = snprintf(head, sizeof head,
                        "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                        "Content-Length: 4097\r\nExpect: 100-continue\r\n\r\n",
                        fixture.token);
    client_send(&fixture, client, head, (size_t)size);
    client_receive(&fixture, client, &reply);
    assert_int_equal(reply.status, 413);
    close(client);
    reply.size = reply.end = 0;
    client = client_open(&fixture);
    size = snprintf(head, sizeof head,
                    "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n2711\r\n",
                    fixture.token);
    client_send(&fixture, client, head, (size_t)size);
    client_send(&fixture, client, body, 10001);
    client_receive(&fixture, client, &reply);
    assert_int_equal(reply.status, 0);
    assert_true(reply.is_closed);
    close(client);
    assert_int_equal(fixture.answered, 0);
    heap_give(&fixture.heap, body);
}

/* Who may not in has no body kept: an endless one ends the connection at twice the limit. */
static void keeps_no_body_of_strangers(void **state)
{
    (void)state;
    fixture.config.admin_body_bytes = 4096;
    int client = client_say("POST /v1/users HTTP/1.1\r\nHost: x\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n1000000\r\n");
    char piece[1024];
    memset(piece, 'x', sizeof piece);
    uint64_t most = 0;
    for (uint32_t i = 0; i < 64; i++) {
        client_send(&fixture, client, piece, sizeof piece);
        uint64_t used = heap_used_bytes(&fixture.heap);
        most = used > most ? used : most;
    }
    client_receive(&fixture, client, &reply);
    assert_true(reply.is_closed);
    assert_true(most - fixture.baseline_bytes < 2048);
    close(client);
}

/* What is no HTTP is answered with 400 or the connection's end, and the next client is served. */
static void survives_garbage(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ("POST /v1/users HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
         "\r\n0\r\n\r\n"),
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client\r\n\r\n",
        "<?xml version='1.0'?><stream:stream>\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        int client = client_say(texts[i]);
        shutdown(client, SHUT_WR);
        client_receive(&fixture, client, &reply);
        if (reply.status != 0 && reply.status / 100 != 4 && reply.status != 505)
            fail_msg("%zu: %s", i, reply.text);
        close(client);
        assert_int_equal(fixture_ask(&fixture, "GET", "/v1/sessions/count", NULL)->status, 200);
    }
    char *head = heap_take(&fixture.heap, 200000);
    memset(head, 'h', 199999);
    memcpy(head, "GET / HTTP/1.1\r\nX: ", 19);
    int client = client_open(&fixture);
    client_send(&fixture, client, head, 199999);
    reply.size = reply.end = 0;
    client_receive(&fixture, client, &reply);
    assert_true(reply.status == 0 || reply.status == 431 || reply.status == 413);
    close(client);
    heap_give(&fixture.heap, head);
}

/* A client that goes away while control has its request: control answers once, nothing stays. */
static void forgets_gone_clients(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        int client = client_open(&fixture);
        client_request(&fixture, client, "GET", "/v1/users/alice", NULL);
        struct admin_request *request = fixture_take(&fixture);
        if (i & 1) { /* with a reset */
            struct linger now = {.l_onoff = 1};
            setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        if (i & 2)
            shutdown(client, SHUT_WR);
        else
            close(client);
        for (uint32_t k = 0; k < 20; k++)
            admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
        assert_true(bytes_equal(request->user, BYTES("alice")));
        fixture_answer(&fixture, request);
        if (i & 2) { /* half closed: it still listens */
            client_receive(&fixture, client, &reply);
            assert_int_equal(reply.status, 200);
            close(client);
            reply.size = reply.end = 0;
        }
        fixture_settle(&fixture);
    }
    assert_int_equal(fixture.answered, 4);
}

/* An answer wakes whoever sleeps on the descriptor with the timeout that admin gives. */
static void wakes_the_sleeper(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        int client = client_open(&fixture);
        client_request(&fixture, client, "GET", "/v1/users/alice", NULL);
        struct admin_request *request = fixture_take(&fixture);
        struct pollfd wait = {.fd = admin_descriptor(fixture.admin), .events = POLLIN};
        uint64_t timeout_ms = admin_timeout_ms(fixture.admin);
        assert_true(timeout_ms > 100 || poll(&wait, 1, 0) == 1 || timeout_ms == 0);
        fixture_answer(&fixture, request);
        assert_true(poll(&wait, 1, 0) == 1 || admin_timeout_ms(fixture.admin) == 0);
        admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
        char text[64];
        struct pollfd arrival = {.fd = client, .events = POLLIN};
        assert_int_equal(poll(&arrival, 1, 1000), 1);
        assert_true(recv(client, text, sizeof text, 0) > 12);
        assert_memory_equal(text, "HTTP/1.1 200", 12);
        close(client);
    }
}

/* Idle, admin sleeps: no timeout, or a long one, and nothing to read. */
static void sleeps_when_idle(void **state)
{
    (void)state;
    struct pollfd wait = {.fd = admin_descriptor(fixture.admin), .events = POLLIN};
    for (uint32_t i = 0; i < 3; i++)
        admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
    assert_int_equal(poll(&wait, 1, 0), 0);
    assert_true(admin_timeout_ms(fixture.admin) == UINT64_MAX);
    int client = client_open(&fixture);
    for (uint32_t i = 0; i < 5; i++)
        fixture_turn(&fixture);
    assert_int_equal(poll(&wait, 1, 0), 0);
    assert_true(admin_timeout_ms(fixture.admin) > 5000);
    close(client);
}

/* A client that says too little for too long is cut; one that control works for is not. */
static void cuts_slow_clients(void **state)
{
    (void)state;
    fixture.config.admin_idle_time = NS_PER_SECOND;
    fixture_reopen(&fixture);
    int working = client_open(&fixture);
    client_request(&fixture, working, "GET", "/v1/users/alice", NULL);
    struct admin_request *request = fixture_take(&fixture);
    static const char *const texts[] = {"", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n",
                                        ("POST /v1/users HTTP/1.1\r\nHost: x\r\n"
                                         "Content-Length: 9\r\n\r\n{")};
    int clients[ARRAY_COUNT(texts)];
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        clients[i] = client_open(&fixture);
        client_send(&fixture, clients[i], texts[i], strlen(texts[i]));
    }
    uint64_t begun_at_ns = clock_now_ns();
    uint32_t open_count = ARRAY_COUNT(texts);
    while (open_count != 0 && clock_now_ns() - begun_at_ns < 10 * NS_PER_SECOND) {
        struct pollfd wait = {.fd = admin_descriptor(fixture.admin), .events = POLLIN};
        uint64_t timeout_ms = admin_timeout_ms(fixture.admin);
        poll(&wait, 1, timeout_ms > 500 ? 500 : (int)timeout_ms);
        admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
        for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
            char text[16];
            if (clients[i] < 0 || recv(clients[i], text, sizeof text, 0) != 0)
                continue;
            close(clients[i]);
            clients[i] = -1;
            open_count--;
        }
    }
    assert_int_equal(open_count, 0);
    assert_true(clock_now_ns() - begun_at_ns >= NS_PER_SECOND / 2);
    fixture_answer(&fixture, request);
    client_receive(&fixture, working, &reply);
    assert_int_equal(reply.status, 200);
    close(working);
}

/* With every place under a request with the token, connections over the limit wait and are served
 * when there is room. */
static void limits_connections(void **state)
{
    (void)state;
    fixture.config.admin_connections_max = 4;
    fixture_reopen(&fixture);
    int clients[6];
    struct admin_request *requests[4];
    for (size_t i = 0; i < 6; i++) {
        clients[i] = client_open(&fixture);
        client_request(&fixture, clients[i], "GET", "/v1/sessions/count", NULL);
        if (i < 4)
            requests[i] = fixture_take(&fixture);
    }
    for (uint32_t i = 0; i < 50; i++)
        fixture_turn(&fixture);
    assert_int_equal(fixture.answered, 0);
    /* A full house does not make the descriptor shout. */
    struct pollfd wait = {.fd = admin_descriptor(fixture.admin), .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 0), 0);
    for (size_t i = 0; i < 4; i++)
        fixture_answer(&fixture, requests[i]);
    for (size_t i = 0; i < 6; i++) {
        reply.size = reply.end = 0;
        client_receive(&fixture, clients[i], &reply);
        assert_int_equal(reply.status, 200);
        close(clients[i]);
    }
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_CUT_CROWDED), 0);
}

static bool has_ended(int client)
{
    char text[16];
    ssize_t got = recv(client, text, sizeof text, 0);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* Strangers who hold every place and send an octet now and then: after a second the oldest make
 * room, and a newcomer is served; who works with the token stays. */
static void strangers_make_room(void **state)
{
    (void)state;
    enum { MAX = 16, STRANGERS = 100 };
    static const char piece[] = "GET /healthz HTTP/1.1\r\nX: a";
    fixture.config.admin_connections_max = MAX;
    fixture_reopen(&fixture);
    int working = client_open(&fixture);
    client_request(&fixture, working, "GET", "/v1/users/alice", NULL);
    struct admin_request *request = fixture_take(&fixture);
    int strangers[STRANGERS];
    uint32_t count = 0;
    for (uint32_t second = 0; second < 4; second++) {
        for (uint32_t i = 0; i < STRANGERS / 4; i++) {
            strangers[count] = client_open(&fixture);
            client_send(&fixture, strangers[count], piece, count % sizeof piece);
            count++;
        }
        for (uint32_t i = 0; i < 20; i++)
            fixture_turn(&fixture);
        fixture.now_ns += NS_PER_SECOND;
    }
    int client = client_say("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    for (uint32_t i = 0; i < 20; i++) { /* behind the strangers that wait in the kernel */
        fixture.now_ns += NS_PER_SECOND / 2;
        for (uint32_t k = 0; k < 10; k++)
            fixture_turn(&fixture);
    }
    client_receive(&fixture, client, &reply);
    assert_int_equal(reply.status, 200);
    close(client);
    assert_true(has_ended(strangers[0]));
    assert_true(metric_get(&fixture.metrics, METRIC_ADMIN_CUT_CROWDED) >= STRANGERS - 2 * MAX);
    for (uint32_t i = 0; i < STRANGERS; i++)
        close(strangers[i]);
    fixture_answer(&fixture, request);
    reply.size = reply.end = 0;
    client_receive(&fixture, working, &reply);
    assert_int_equal(reply.status, 200);
    close(working);
}

/* A request that comes by the octet, never silent, must be whole in admin.request_time; the time
 * control takes does not count, and after an answer it starts anew. */
static void limits_the_time_of_a_request(void **state)
{
    (void)state;
    static const char text[] = "GET /v1/users/alice HTTP/1.1\r\nHost: x\r\n";
    fixture.config.admin_request_time = 10 * NS_PER_SECOND;
    fixture.config.admin_idle_time = 5 * NS_PER_SECOND;
    fixture_reopen(&fixture);
    int working = client_open(&fixture);
    client_request(&fixture, working, "GET", "/v1/users/alice", NULL);
    struct admin_request *request = fixture_take(&fixture);
    int slow = client_open(&fixture);
    for (uint32_t i = 0; i < 5; i++)
        fixture_turn(&fixture);
    for (uint32_t i = 0; i < 9; i++) {
        fixture.now_ns += NS_PER_SECOND;
        client_send(&fixture, slow, text + i, 1);
        admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
    }
    assert_false(has_ended(slow));
    assert_in_range(admin_timeout_ms(fixture.admin), 1, 1000);
    fixture.now_ns += NS_PER_SECOND;
    for (uint32_t i = 0; i < 20; i++)
        admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
    assert_true(has_ended(slow));
    close(slow);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_CUT_SLOW), 1);
    fixture.now_ns += 100 * NS_PER_SECOND;
    fixture_answer(&fixture, request);
    reply.size = reply.end = 0;
    client_receive(&fixture, working, &reply);
    assert_int_equal(reply.status, 200);
    fixture.now_ns += 14 * NS_PER_SECOND; /* silence and a request */
    client_request(&fixture, working, "GET", "/v1/users/alice", NULL);
    client_receive(&fixture, working, &reply);
    assert_int_equal(reply.status, 200);
    fixture.now_ns += 15 * NS_PER_SECOND;
    for (uint32_t i = 0; i < 20; i++)
        fixture_turn(&fixture);
    assert_true(has_ended(working));
    close(working);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_CUT_SLOW), 2);
}

/* What came twice, or two ways to tell the body's end: 400, whatever follows is not read, and no
 * request reaches control. */
static void refuses_ambiguous_requests(void **state)
{
    (void)state;
    static const char *const fields[] = {
        "Content-Length: 33\r\nContent-Length: 2\r\n",
        "Content-Length: 33\r\ncontent-length: 33\r\n",
        "Content-Length: 33\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nX: y\r\n",
        "Content-Length: 33\r\nHost: y\r\n",
        "Content-Length: 33\r\nAuthorization: Bearer x\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n"
                 "{\"username\":\"a\",\"password\":\"p\"}  GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
                 fixture.token, fields[i]);
        int client = client_say(text);
        client_receive(&fixture, client, &reply);
        if (reply.status != 400)
            fail_msg("%s: %u %s", fields[i], reply.status, reply.text);
        client_receive(&fixture, client, &reply);
        assert_int_equal(reply.status, 0);
        assert_true(reply.is_closed);
        close(client);
    }
    assert_int_equal(fixture.answered, 0);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_4XX), ARRAY_COUNT(fields));
}

/* What the library refuses unread is counted, each time, and said once a second. */
static void counts_what_is_no_http(void **state)
{
    (void)state;
    static const char *const texts[] = {"GET /healthz\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                                        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                                        "GET / HTTP/9.9\r\nHost: x\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        assert_true(say(texts[i])->status >= 400);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_UNREADABLE), 4);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_4XX), 3);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_5XX), 1);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(log_drain(&fixture.log, 1, pipes[1]), 1);
    fixture.now_ns += NS_PER_SECOND;
    assert_int_equal(say(texts[0])->status, 400);
    assert_int_equal(log_drain(&fixture.log, 1, pipes[1]), 1);
    char line[1024] = "";
    assert_true(read(pipes[0], line, sizeof line - 1) > 0);
    assert_non_null(strstr(line, "no HTTP was answered 400"));
    close(pipes[0]);
    close(pipes[1]);
}

/* As many requests at once as there may be connections, answered in any order. */
static void carries_many_at_once(void **state)
{
    (void)state;
    enum { MANY = 60 };
    int clients[MANY];
    struct admin_request *requests[MANY];
    char uri[64];
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < MANY; i++) {
            clients[i] = client_open(&fixture);
            snprintf(uri, sizeof uri, "/v1/users/user%u", i);
            client_request(&fixture, clients[i], "GET", uri, NULL);
        }
        for (uint32_t i = 0; i < MANY; i++)
            requests[i] = fixture_take(&fixture);
        for (uint32_t i = 0; i < MANY; i++)
            fixture_answer(&fixture, requests[(i * 37 + round) % MANY]);
        for (uint32_t i = 0; i < MANY; i++) {
            reply.size = reply.end = 0;
            client_receive(&fixture, clients[i], &reply);
            snprintf(uri, sizeof uri, "\"username\":\"user%u\"", i);
            assert_int_equal(reply.status, 200);
            assert_non_null(strstr(reply.body, uri));
            close(clients[i]);
        }
        fixture_settle(&fixture);
    }
}

/* IPv6 is listened on where admin.listen says so; what is no address is said. */
static void listens_where_told(void **state)
{
    (void)state;
    snprintf(fixture.config.admin_listen, sizeof fixture.config.admin_listen, "::1");
    fixture_reopen(&fixture);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(admin_port(fixture.admin)),
                                   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(client, F_SETFL, O_NONBLOCK);
    client_request(&fixture, client, "DELETE", "/v1/users/a", NULL);
    client_receive(&fixture, client, &reply);
    assert_int_equal(reply.status, 204);
    close(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_without_token),
        TEST(carries_requests),
        TEST(answers_head),
        TEST(reads_pieces),
        TEST(answers_a_pipeline),
        TEST(limits_bodies),
        TEST(keeps_no_body_of_strangers),
        TEST(survives_garbage),
        TEST(forgets_gone_clients),
        TEST(wakes_the_sleeper),
        TEST(sleeps_when_idle),
        TEST(cuts_slow_clients),
        TEST(limits_connections),
        TEST(strangers_make_room),
        TEST(limits_the_time_of_a_request),
        TEST(refuses_ambiguous_requests),
        TEST(counts_what_is_no_http),
        TEST(carries_many_at_once),
        TEST(listens_where_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
