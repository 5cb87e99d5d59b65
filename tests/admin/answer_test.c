/* SPDX-License-Identifier: Apache-2.0
 *
 * What control answers, as clients read it: status, headers, JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

#include <unistd.h>

#define PUSH_ID "01HF7YAT3V0000000000000000"

static struct fixture fixture;
static struct reply reply;
static int client;

static int set_up(void **state)
{
    (void)state;
    fixture_open(&fixture);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_close(&fixture);
    return 0;
}

/* A request as control gets it. */
static struct admin_request *asked(const char *method, const char *uri, const char *body)
{
    client = client_open(&fixture);
    reply.size = reply.end = 0;
    client_request(&fixture, client, method, uri, body);
    return fixture_take(&fixture);
}

/* The JSON of the reply, which has that status; NULL without a body. */
static json_t *replied(unsigned status, const char *type)
{
    client_receive(&fixture, client, &reply);
    close(client);
    fixture_settle(&fixture);
    if (reply.status != status)
        fail_msg("%u: %s", reply.status, reply.body);
    assert_string_equal(reply_header(&reply, "Cache-Control"), "no-store");
    assert_string_equal(reply_header(&reply, "X-Content-Type-Options"), "nosniff");
    if (type != NULL)
        assert_string_equal(reply_header(&reply, "Content-Type"), type);
    return json_loadb(reply.body, reply.body_size, 0, NULL);
}

static void expect_json(json_t *json, const char *expected)
{
    json_t *wanted = json_loads(expected, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(json, wanted))
        fail_msg("%s, expected %s", reply.body, expected);
    json_decref(wanted);
    json_decref(json);
}

static struct push_status status_make(void)
{
    struct push_status status = {
        .target = PUSH_USERS,
        .state = PUSH_DRAINING,
        .counts = {.matched = 10,
                   .pending = 1,
                   .written = 6,
                   .acked = 3,
                   .lost = 1,
                   .in_flight = 2,
                   .failed = {1, 2, 0, 0}},
        .created_at_ms = FIXTURE_WALL_MS,
        .first_write_ms = 4,
        .last_write_ms = 70,
        .label = BYTES("news \xc3\xa4"),
    };
    snprintf(status.id.text, sizeof status.id.text, PUSH_ID);
    return status;
}

static const char push_json[] =
    "{\"id\":\"" PUSH_ID "\",\"state\":\"draining\",\"target\":\"users\",\"created_at\":"
    "\"2023-11-14T22:13:20.123Z\",\"counts\":{\"matched\":10,\"pending\":1,\"written\":6,"
    "\"in_flight\":2,\"acked_tcp\":3,\"lost\":1,\"failed\":{\"offline\":1,\"overflow\":2,"
    "\"closed\":0,\"no-memory\":0}},\"label\":\"news \xc3\xa4\",\"first_write_ms\":4,"
    "\"last_write_ms\":70,\"links\":{\"self\":\"/v1/pushes/" PUSH_ID "\"}}";

/* A new push is 202 with its place; an old one is 200 without. */
static void answers_a_push(void **state)
{
    (void)state;
    struct push_status status = status_make();
    struct admin_request *request = asked(
        "POST", "/v1/pushes", "{\"target\":{\"all\":true},\"notification\":{\"body\":\"b\"}}");
    admin_answer_push(fixture.admin, &request, &status);
    assert_null(request);
    expect_json(replied(202, "application/json"), push_json);
    assert_string_equal(reply_header(&reply, "Location"), "/v1/pushes/" PUSH_ID);
    request = asked("GET", "/v1/pushes/" PUSH_ID, NULL);
    assert_string_equal(request->push_id.text, PUSH_ID);
    admin_answer_push(fixture.admin, &request, &status);
    expect_json(replied(200, "application/json"), push_json);
    assert_null(reply_header(&reply, "Location"));
}

/* Nothing is said of writes that have not happened. */
static void answers_a_fresh_push(void **state)
{
    (void)state;
    struct push_status status = {.created_at_ms = 0};
    snprintf(status.id.text, sizeof status.id.text, PUSH_ID);
    struct admin_request *request = asked("GET", "/v1/pushes/" PUSH_ID, NULL);
    admin_answer_push(fixture.admin, &request, &status);
    json_t *json = replied(200, "application/json");
    assert_string_equal(json_string_value(json_object_get(json, "created_at")),
                        "1970-01-01T00:00:00.000Z");
    assert_string_equal(json_string_value(json_object_get(json, "state")), "running");
    assert_null(json_object_get(json, "label"));
    assert_null(json_object_get(json, "first_write_ms"));
    json_decref(json);
}

/* A page has a cursor exactly when there may be more. */
static void answers_pages(void **state)
{
    (void)state;
    struct push_status statuses[2] = {status_make(), status_make()};
    statuses[1].id.text[25] = '1';
    for (uint32_t i = 0; i < 3; i++) {
        struct admin_request *request = asked("GET", "/v1/pushes?limit=2", NULL);
        assert_int_equal(request->limit, 2);
        admin_answer_pushes(fixture.admin, &request, statuses, i < 2 ? 2 : 0, i == 1);
        json_t *json = replied(200, "application/json");
        assert_int_equal(json_array_size(json_object_get(json, "items")), i < 2 ? 2 : 0);
        const char *next = json_string_value(json_object_get(json, "next"));
        if (i == 0)
            assert_string_equal(next, statuses[1].id.text);
        else
            assert_null(next);
        json_decref(json);
    }
}

/* A new user is 201; a name of any characters gets a Location that leads back to it. */
static void answers_a_user(void **state)
{
    (void)state;
    struct admin_user user = {
        .number = 7, .user = BYTES("a\xc3\xa4%?#"), .is_enabled = true, .created_at_ms = 1500};
    struct admin_request *request =
        asked("POST", "/v1/users", "{\"username\":\"a\",\"password\":\"p\"}");
    admin_answer_user(fixture.admin, &request, &user);
    expect_json(replied(201, "application/json"),
                "{\"username\":\"a\xc3\xa4%?#\",\"number\":7,\"enabled\":true,\"created_at\":"
                "\"1970-01-01T00:00:01.500Z\"}");
    char place[128];
    snprintf(place, sizeof place, "%s", reply_header(&reply, "Location"));
    assert_string_equal(place, "/v1/users/a%C3%A4%25%3F%23");
    struct exchange *exchange = fixture_parse(&fixture, "GET", place, NULL);
    assert_true(bytes_equal(exchange->segment, user.user));
    exchange_destroy(exchange);
    request = asked("PATCH", "/v1/users/a", "{\"enabled\":false}");
    user.is_enabled = false;
    admin_answer_user(fixture.admin, &request, &user);
    json_t *json = replied(200, "application/json");
    assert_true(json_is_false(json_object_get(json, "enabled")));
    assert_null(reply_header(&reply, "Location"));
    json_decref(json);
    request = asked("GET", "/v1/users", NULL);
    admin_answer_users(fixture.admin, &request, &user, 1, false);
    json = replied(200, "application/json");
    assert_string_equal(json_string_value(json_object_get(json, "next")), "a\xc3\xa4%?#");
    json_decref(json);
}

static struct admin_session session_make(void)
{
    struct admin_session session = {
        .id = {UINT64_C(0x010200030000000a)},
        .port = 50000,
        .is_bound = true,
        .is_available = true,
        .priority = -5,
        .age_seconds = UINT64_C(5000000000),
        .queued_bytes = 12,
        .tcp_state = "established",
    };
    snprintf(session.user, sizeof session.user, "alice");
    snprintf(session.resource, sizeof session.resource, "phone \"1\"");
    snprintf(session.address, sizeof session.address, "10.99.0.1");
    return session;
}

#define SESSION_JSON                                                                               \
    "\"id\":\"010200030000000a\",\"user\":\"alice\",\"resource\":\"phone \\\"1\\\"\","             \
    "\"address\":\"10.99.0.1\",\"port\":50000,\"bound\":true,\"available\":true,"                  \
    "\"priority\":-5,\"age_s\":5000000000,\"queued_bytes\":12,\"tcp_state\":\"established\""

/* Sessions are listed with ids that lead back to them; one alone comes with its recorder. */
static void answers_sessions(void **state)
{
    (void)state;
    struct admin_session session = session_make();
    struct admin_request *request = asked("GET", "/v1/sessions", NULL);
    admin_answer_sessions(fixture.admin, &request, &session, 1, false);
    expect_json(replied(200, "application/json"),
                "{\"items\":[{" SESSION_JSON "}],\"next\":\"010200030000000a\"}");
    request = asked("GET", "/v1/sessions/010200030000000A", NULL);
    assert_true(request->session.value == session.id.value);
    admin_answer_session(fixture.admin, &request, &session, BYTES("one\n\ntwo\nlast"));
    expect_json(replied(200, "application/json"),
                "{" SESSION_JSON ",\"trace\":[\"one\",\"\",\"two\",\"last\"]}");
    request = asked("GET", "/v1/sessions/010200030000000A", NULL);
    admin_answer_session(fixture.admin, &request, &session, (struct bytes){0});
    expect_json(replied(200, "application/json"), "{" SESSION_JSON ",\"trace\":[]}");
    request = asked("GET", "/v1/sessions/count", NULL);
    admin_answer_count(fixture.admin, &request, 3, 2, 1);
    expect_json(replied(200, "application/json"),
                "{\"connections\":3,\"bound\":2,\"available\":1}");
}

/* Done is 204 without a body; texts go as they are. */
static void answers_the_rest(void **state)
{
    (void)state;
    struct admin_request *request = asked("DELETE", "/v1/users/a", NULL);
    admin_answer_done(fixture.admin, &request);
    assert_null(replied(204, NULL));
    assert_int_equal(reply.body_size, 0);
    assert_null(reply_header(&reply, "Content-Type"));
    request = asked("GET", "/metrics", NULL);
    admin_answer_text(fixture.admin, &request, BYTES("a 1\n"));
    assert_null(replied(200, "text/plain; version=0.0.4"));
    assert_memory_equal(reply.body, "a 1\n", 4);
    request = asked("GET", "/readyz", NULL);
    admin_answer_text(fixture.admin, &request, (struct bytes){0});
    assert_null(replied(200, "text/plain"));
    assert_int_equal(reply.body_size, 0);
}

/* Errors become problems; those that pass come with Retry-After. */
static void answers_problems(void **state)
{
    (void)state;
    static const struct {
        enum error error;
        unsigned status;
        bool retries;
    } rows[] = {{ERROR_NOT_FOUND, 404, false},  {ERROR_EXISTS, 409, false},
                {ERROR_QUEUE_FULL, 429, true},  {ERROR_UNAVAILABLE, 503, true},
                {ERROR_STORE_FULL, 507, false}, {ERROR_SYSTEM, 500, false}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct admin_request *request = asked("GET", "/v1/users/a", NULL);
        admin_answer_problem(fixture.admin, &request, rows[i].error, "Why.");
        assert_null(request);
        json_t *json = replied(rows[i].status, "application/problem+json");
        assert_string_equal(json_string_value(json_object_get(json, "detail")), "Why.");
        assert_int_equal(reply_header(&reply, "Retry-After") != NULL, rows[i].retries);
        json_decref(json);
    }
}

/* Each unknown user of a push is pointed at, however many. */
static void answers_unknown_users(void **state)
{
    (void)state;
    uint32_t indices[600];
    for (uint32_t i = 0; i < ARRAY_COUNT(indices); i++)
        indices[i] = 3 * i;
    for (uint32_t count = 1; count <= 600; count += 599) {
        struct admin_request *request =
            asked("POST", "/v1/pushes",
                  "{\"target\":{\"users\":[\"a\"]},\"notification\":{\"body\":\"b\"}}");
        admin_answer_unknown_users(fixture.admin, &request, indices, count);
        json_t *json = replied(404, "application/problem+json");
        json_t *errors = json_object_get(json, "errors");
        assert_int_equal(json_array_size(errors), count);
        json_t *last = json_array_get(errors, count - 1);
        assert_string_equal(json_string_value(json_object_get(last, "pointer")),
                            count == 1 ? "/target/users/0" : "/target/users/1797");
        json_decref(json);
    }
}

/* Without memory for an answer its client gets a 503 and the request is over all the same. */
static void survives_without_memory(void **state)
{
    (void)state;
    struct admin_session session = session_make();
    struct admin_request *request = asked("GET", "/v1/sessions", NULL);
    fixture.heap.used_bytes_max = 0;
    admin_answer_sessions(fixture.admin, &request, &session, 1, true);
    fixture.heap.used_bytes_max = UINT64_MAX;
    assert_null(request);
    json_t *json = replied(503, "application/problem+json");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 503);
    json_decref(json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_a_push),   TEST(answers_a_fresh_push),  TEST(answers_pages),
        TEST(answers_a_user),   TEST(answers_sessions),      TEST(answers_the_rest),
        TEST(answers_problems), TEST(answers_unknown_users), TEST(survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
