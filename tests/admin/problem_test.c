/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems as RFC 9457 has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

static struct fixture fixture;

static json_t *problem_of(const char *uri, unsigned status, json_t *errors)
{
    struct exchange *exchange = exchange_create(fixture.admin, NULL, uri);
    problem_answer_at(exchange, status, "Why \"so\".", errors);
    assert_int_equal(exchange->answer.status, status);
    assert_string_equal(exchange->answer.type, "application/problem+json");
    json_t *json = json_loadb(exchange->answer.octets, exchange->answer.size, 0, NULL);
    assert_non_null(json);
    exchange_destroy(exchange);
    return json;
}

static const char *member(json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

/* Each status has a type and a title of its own; others are internal. */
static void has_a_type_each(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *type;
    } rows[] = {
        {400, "urn:stentor:problem:invalid-request"},
        {401, "urn:stentor:problem:unauthenticated"},
        {404, "urn:stentor:problem:not-found"},
        {405, "urn:stentor:problem:method-not-allowed"},
        {409, "urn:stentor:problem:conflict"},
        {413, "urn:stentor:problem:payload-too-large"},
        {429, "urn:stentor:problem:rate-limited"},
        {500, "urn:stentor:problem:internal"},
        {503, "urn:stentor:problem:overloaded"},
        {507, "urn:stentor:problem:storage-full"},
        {418, "urn:stentor:problem:internal"},
    };
    fixture_open(&fixture);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        json_t *json = problem_of("/a?b", rows[i].status, NULL);
        assert_string_equal(member(json, "type"), rows[i].type);
        assert_true(strlen(member(json, "title")) > 5);
        assert_string_equal(member(json, "detail"), "Why \"so\".");
        assert_string_equal(member(json, "instance"), "/a");
        assert_int_equal(json_integer_value(json_object_get(json, "status")), rows[i].status);
        assert_null(json_object_get(json, "errors"));
        json_decref(json);
    }
    fixture_close(&fixture);
}

/* Every error of the house has the status that the header promises. */
static void maps_errors(void **state)
{
    (void)state;
    static const struct {
        enum error error;
        unsigned status;
    } rows[] = {
        {ERROR_NOT_FOUND, 404},     {ERROR_STALE, 404},      {ERROR_EXISTS, 409},
        {ERROR_INVALID, 400},       {ERROR_TOO_LARGE, 413},  {ERROR_LIMIT, 429},
        {ERROR_QUEUE_FULL, 429},    {ERROR_STORE_FULL, 507}, {ERROR_UNAVAILABLE, 503},
        {ERROR_NO_MEMORY, 503},     {ERROR_POOL_EMPTY, 503}, {ERROR_SYSTEM, 500},
        {ERROR_STORE_DAMAGED, 500},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(problem_status(rows[i].error), rows[i].status);
    for (int i = ERROR_NONE; i < ERROR_COUNT; i++)
        assert_true(problem_status((enum error)i) >= 400);
}

/* Places are listed in order; a path that is not UTF-8 is left out instead of breaking the JSON. */
static void points_at_places(void **state)
{
    (void)state;
    fixture_open(&fixture);
    json_t *errors = json_array();
    problem_point(errors, "/a/0", "first");
    problem_point(errors, "/a/1", "second");
    problem_point(errors, "/\xff", "no UTF-8: left out");
    json_t *json = problem_of("/\xff", 400, errors);
    assert_null(json_object_get(json, "instance"));
    json_t *listed = json_object_get(json, "errors");
    assert_int_equal(json_array_size(listed), 2);
    assert_string_equal(member(json_array_get(listed, 1), "pointer"), "/a/1");
    assert_string_equal(member(json_array_get(listed, 1), "detail"), "second");
    json_decref(json);
    fixture_close(&fixture);
}

/* Without memory for a problem it is a fixed 503, still JSON. */
static void survives_without_memory(void **state)
{
    (void)state;
    fixture_open(&fixture);
    struct exchange *exchange = exchange_create(fixture.admin, NULL, "/");
    fixture.heap.used_bytes_max = 0;
    problem_answer(exchange, 404, "There is nothing.");
    fixture.heap.used_bytes_max = UINT64_MAX;
    expect_problem(exchange, 503, "-");
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_a_type_each),
        cmocka_unit_test(maps_errors),
        cmocka_unit_test(points_at_places),
        cmocka_unit_test(survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
