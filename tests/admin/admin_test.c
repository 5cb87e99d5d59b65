/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of the floor: opening with what is wrong said, the queue in order, closing with all that
 * was under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

static struct fixture fixture;
static struct reply reply;

/* What cannot be opened is said in a sentence, and nothing is kept. */
static void says_why_it_cannot_open(void **state)
{
    (void)state;
    fixture_init(&fixture);
    struct admin_options options = {
        .config = &fixture.config,
        .heap = &fixture.heap,
        .metrics = &fixture.metrics,
        .random = &fixture.random,
        .log = fixture.log,
    };
    char shown[ADMIN_TOKEN_SIZE + 1], text[512];
    snprintf(fixture.config.admin_listen, sizeof fixture.config.admin_listen, "localhost");
    struct writer message = writer_of(text, sizeof text - 1);
    assert_int_equal(admin_open(&fixture.admin, &options, shown, &message), ERROR_INVALID);
    text[message.size] = '\0';
    assert_string_equal(text, "admin.listen is no IP address: localhost");
    assert_null(fixture.admin);
    snprintf(fixture.config.admin_listen, sizeof fixture.config.admin_listen, "192.0.2.1");
    message = writer_of(text, sizeof text - 1);
    assert_int_equal(admin_open(&fixture.admin, &options, shown, &message), ERROR_SYSTEM);
    text[message.size] = '\0';
    assert_string_equal(text, "cannot listen on admin.listen 192.0.2.1 port 0: Cannot assign "
                              "requested address");
    snprintf(fixture.config.admin_listen, sizeof fixture.config.admin_listen, "127.0.0.1");
    for (uint64_t room = 0; room < 40000; room += 4000) {
        fixture.heap.used_bytes_max = room;
        message = writer_of(text, sizeof text - 1);
        enum error error = admin_open(&fixture.admin, &options, shown, &message);
        if (error == ERROR_NONE)
            admin_close(&fixture.admin);
        else
            assert_true(error == ERROR_NO_MEMORY && message.size > 10);
        assert_int_equal(heap_used_bytes(&fixture.heap), 0);
    }
    fixture_close(&fixture);
}

/* Requests are taken in the order in which they were there, each once. */
static void takes_in_order(void **state)
{
    (void)state;
    fixture_open(&fixture);
    assert_null(admin_take(fixture.admin));
    int clients[5];
    char uri[64];
    for (uint32_t i = 0; i < 5; i++) {
        clients[i] = client_open(&fixture);
        snprintf(uri, sizeof uri, "/v1/users/u%u", i);
        client_request(&fixture, clients[i], "GET", uri, NULL);
        for (uint32_t k = 0; k < 10; k++) /* turns that take nothing */
            admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
    }
    for (uint32_t i = 0; i < 5; i++) {
        struct admin_request *request = admin_take(fixture.admin);
        assert_non_null(request);
        assert_null(request->work);
        assert_int_equal(request->user.at[1], '0' + i);
        fixture_answer(&fixture, request);
    }
    assert_null(admin_take(fixture.admin));
    for (uint32_t i = 0; i < 5; i++) {
        reply.size = reply.end = 0;
        client_receive(&fixture, clients[i], &reply);
        assert_int_equal(reply.status, 200);
        close(clients[i]);
    }
    fixture_settle(&fixture);
    fixture_close(&fixture);
}

/* Closing answers what is queued and what is taken with 503, cuts the rest, and keeps nothing. */
static void closes_with_work_under_way(void **state)
{
    (void)state;
    fixture_open(&fixture);
    int clients[8];
    for (uint32_t i = 0; i < 8; i++)
        clients[i] = client_open(&fixture);
    for (uint32_t i = 0; i < 4; i++)
        client_request(&fixture, clients[i], "POST", "/v1/users",
                       "{\"username\":\"a\",\"password\":\"p\"}");
    assert_non_null(fixture_take(&fixture)); /* never answered: control stops too */
    assert_non_null(fixture_take(&fixture));
    for (uint32_t i = 0; i < 20; i++)
        admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
    close(clients[3]); /* queued, and gone */
    client_send(&fixture, clients[4], "GET /v1/us", 10);
    client_send(&fixture, clients[5],
                "POST /v1/users HTTP/1.1\r\nHost: x\r\n"
                "Content-Length: 100\r\n\r\n{",
                58);
    for (uint32_t i = 0; i < 20; i++)
        admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
    admin_close(&fixture.admin);
    assert_null(fixture.admin);
    assert_int_equal(heap_used_bytes(&fixture.heap), 0);
    for (uint32_t i = 0; i < 3; i++) {
        ssize_t size = recv(clients[i], reply.text, sizeof reply.text - 1, 0);
        assert_true(size > 0);
        reply.text[size] = '\0';
        assert_non_null(strstr(reply.text, "HTTP/1.1 503 "));
        assert_non_null(strstr(reply.text, "The server is stopping."));
        assert_int_equal(recv(clients[i], reply.text, sizeof reply.text, 0), 0);
    }
    for (uint32_t i = 0; i < 8; i++)
        if (i != 3)
            close(clients[i]);
    fixture_close(&fixture);
}

/* Closing does not wait for a client that does not read. */
static void closes_on_slow_readers(void **state)
{
    (void)state;
    fixture_open(&fixture);
    int client = client_open(&fixture);
    int small = 4096;
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_request(&fixture, client, "GET", "/metrics", NULL);
    struct admin_request *request = fixture_take(&fixture);
    size_t size = 8u << 20;
    char *text = heap_take(&fixture.heap, size);
    memset(text, 'm', size);
    admin_answer_text(fixture.admin, &request, bytes_of(text, size));
    heap_give(&fixture.heap, text);
    for (uint32_t i = 0; i < 20; i++)
        admin_turn(fixture.admin, fixture.now_ns, FIXTURE_WALL_MS);
    admin_close(&fixture.admin);
    assert_int_equal(heap_used_bytes(&fixture.heap), 0);
    close(client);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_why_it_cannot_open),
        cmocka_unit_test(takes_in_order),
        cmocka_unit_test(closes_with_work_under_way),
        cmocka_unit_test(closes_on_slow_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
