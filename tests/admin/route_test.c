/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of routes: who is let in, what a path means, and that no way of writing a path makes it
 * another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

#define PUSH_ID "01HF7YAT3V0000000000000000"

static struct fixture fixture;

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

/* Each row of the table is found by its method and path. */
static void finds_every_route(void **state)
{
    (void)state;
    static const char password[] = "{\"password\":\"p\"}";
    static const struct {
        const char *method, *uri, *body;
        enum admin_kind kind;
    } rows[] = {
        {"POST", "/v1/pushes", "{\"target\":{\"all\":true},\"notification\":{\"body\":\"b\"}}",
         ADMIN_PUSH_CREATE},
        {"GET", "/v1/pushes", NULL, ADMIN_PUSH_LIST},
        {"GET", "/v1/pushes/" PUSH_ID, NULL, ADMIN_PUSH_GET},
        {"POST", "/v1/users", "{\"username\":\"u\",\"password\":\"p\"}", ADMIN_USER_CREATE},
        {"GET", "/v1/users", NULL, ADMIN_USER_LIST},
        {"GET", "/v1/users/u", NULL, ADMIN_USER_GET},
        {"PATCH", "/v1/users/u", password, ADMIN_USER_UPDATE},
        {"DELETE", "/v1/users/u", NULL, ADMIN_USER_DELETE},
        {"GET", "/v1/sessions", NULL, ADMIN_SESSION_LIST},
        {"GET", "/v1/sessions/count", NULL, ADMIN_SESSION_COUNT},
        {"GET", "/v1/sessions/0000000100000002", NULL, ADMIN_SESSION_GET},
        {"DELETE", "/v1/sessions/0000000100000002", NULL, ADMIN_SESSION_KICK},
        {"GET", "/metrics", NULL, ADMIN_METRICS},
        {"GET", "/metrics?x=1", NULL, ADMIN_METRICS},
        {"GET", "/readyz", NULL, ADMIN_READY},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct exchange *exchange =
            fixture_parse(&fixture, rows[i].method, rows[i].uri, rows[i].body);
        if (exchange->answer.status != 0)
            fail_msg("%s %s: %u", rows[i].method, rows[i].uri, exchange->answer.status);
        assert_int_equal(exchange->request.kind, rows[i].kind);
        exchange_destroy(exchange);
    }
}

/* /healthz is answered here and now. */
static void answers_health_itself(void **state)
{
    (void)state;
    struct exchange *exchange = fixture_parse(&fixture, "GET", "/healthz?now", NULL);
    assert_int_equal(exchange->answer.status, 200);
    assert_memory_equal(exchange->answer.octets, "ok\n", 3);
    exchange_destroy(exchange);
}

static void expect_admitted(const char *uri, unsigned status)
{
    struct exchange *exchange = exchange_create(fixture.admin, NULL, uri);
    exchange->method = "GET";
    route_admit(exchange, "Bearer wrong");
    assert_int_equal(exchange->answer.status, status);
    exchange_destroy(exchange);
}

/* Without the token every path but /healthz and /readyz says 401, known or not. */
static void tells_nothing_without_token(void **state)
{
    (void)state;
    expect_admitted("/healthz", 200);
    expect_admitted("/readyz", 0);
    int64_t before = metric_get(&fixture.metrics, METRIC_ADMIN_UNAUTHORIZED);
    static const char *const closed[] = {"/v1/users",     "/nothing",       "/metrics",
                                         "/healthz/",     "//healthz",      "/readyz/../metrics",
                                         "/v1/users/%zz", "/v1/sessions?x", "*"};
    for (size_t i = 0; i < ARRAY_COUNT(closed); i++)
        expect_admitted(closed[i], 401);
    assert_int_equal(metric_get(&fixture.metrics, METRIC_ADMIN_UNAUTHORIZED) - before,
                     ARRAY_COUNT(closed));
}

/* A path that is nobody's is 404. */
static void knows_no_other_path(void **state)
{
    (void)state;
    static const char *const paths[] = {"/",
                                        "",
                                        "*",
                                        "/v1",
                                        "/v1/",
                                        "/v1/users/",
                                        "//v1/users",
                                        "/v1//users",
                                        "/V1/users",
                                        "/v1/users/a/b",
                                        "/v1/users/./",
                                        "/v1/pushes/",
                                        "/metrics/",
                                        "/v2/users",
                                        "/v1/./users",
                                        "/v1/../v1/users",
                                        "/v1/%75sers",
                                        "/v1%2Fusers",
                                        "/v1/users%00",
                                        "/healthz%00",
                                        "/metrics%2e",
                                        "v1/users"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        expect_problem(fixture_parse(&fixture, "GET", paths[i], NULL), 404, "-");
}

/* A name in a path is one segment, decoded once, judged as a user name; nothing ends it early. */
static void takes_no_path_tricks(void **state)
{
    (void)state;
    static const char *const refused[] = {"/v1/users/alice%2Fbob",
                                          "/v1/users/alice%00bob",
                                          "/v1/users/alice%00",
                                          "/v1/users/%00",
                                          "/v1/users/alice%40x",
                                          "/v1/users/a%20b",
                                          "/v1/users/%ff",
                                          "/v1/users/%c3",
                                          "/v1/users/\xff",
                                          "/v1/users/%ed%a0%80",
                                          "/v1/users/..%2Fmetrics",
                                          "/v1/users/a%0d%0ab",
                                          "/v1/pushes/x",
                                          "/v1/pushes/" PUSH_ID "0",
                                          "/v1/sessions/1",
                                          "/v1/sessions/0000000000000000",
                                          "/v1/sessions/000000010000000g"};
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        expect_problem(fixture_parse(&fixture, "GET", refused[i], NULL), 404, "-");
    static const char *const broken[] = {"/v1/users/%", "/v1/users/%4", "/v1/users/%zz",
                                         "/v1/users/a%"};
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++)
        expect_problem(fixture_parse(&fixture, "GET", broken[i], NULL), 400, "-");
    static const struct {
        const char *uri;
        struct bytes user;
    } taken[] = {
        {"/v1/users/Alice", BYTES("alice")},
        {"/v1/users/%41lice", BYTES("alice")},
        {"/v1/users/%2541", BYTES("%41")},
        {"/v1/users/a+b", BYTES("a+b")},
        {"/v1/users/..", BYTES("..")},
        {"/v1/users/%C3%84", BYTES("\xc3\xa4")},
        {"http://any.where/v1/users/bob", BYTES("bob")},
    };
    for (size_t i = 0; i < ARRAY_COUNT(taken); i++) {
        struct exchange *exchange = fixture_parse(&fixture, "GET", taken[i].uri, NULL);
        assert_int_equal(exchange->answer.status, 0);
        assert_true(bytes_equal(exchange->request.user, taken[i].user));
        exchange_destroy(exchange);
    }
}

/* A method that a path does not take is 405 and names those that it takes. */
static void names_the_methods(void **state)
{
    (void)state;
    static const struct {
        const char *method, *uri, *allowed;
    } rows[] = {
        {"DELETE", "/v1/pushes", "POST, GET, HEAD"},
        {"PUT", "/v1/users", "POST, GET, HEAD"},
        {"POST", "/v1/users/u", "GET, HEAD, PATCH, DELETE"},
        {"get", "/v1/sessions", "GET, HEAD"},
        {"POST", "/healthz", "GET, HEAD"},
        {"OPTIONS", "/metrics", "GET, HEAD"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct exchange *exchange = fixture_parse(&fixture, rows[i].method, rows[i].uri, NULL);
        assert_string_equal(exchange->answer.allowed, rows[i].allowed);
        expect_problem(exchange, 405, "-");
    }
    /* The place of a session id too, which it is not. */
    expect_problem(fixture_parse(&fixture, "DELETE", "/v1/sessions/count", NULL), 404, "-");
}

/* A query where none belongs is a fault, not ignored. */
static void refuses_needless_queries(void **state)
{
    (void)state;
    expect_problem(fixture_parse(&fixture, "GET", "/v1/users/u?x=1", NULL), 400, "-");
    expect_problem(fixture_parse(&fixture, "POST", "/v1/pushes?dry_run=true", "{}"), 400, "-");
    expect_problem(fixture_parse(&fixture, "GET", "/v1/sessions/count?user=u", NULL), 400, "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_every_route, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_health_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_nothing_without_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(knows_no_other_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_no_path_tricks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_the_methods, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_needless_queries, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
