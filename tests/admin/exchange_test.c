/* SPDX-License-Identifier: Apache-2.0
 *
 * Request lines cut and decoded, bodies kept up to the limit, memory given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

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

/* A target falls into path, query and last segment; only the segment is decoded. */
static void cuts_targets(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *path, *query;
        struct bytes segment;
        bool is_bad;
    } rows[] = {
        {"/", "/", "", BYTES(""), false},
        {"", "", "", BYTES(""), false},
        {"*", "*", "", BYTES("*"), false},
        {"/a/b", "/a/b", "", BYTES("b"), false},
        {"/a/b?", "/a/b", "", BYTES("b"), false},
        {"/a/b?c=d?e", "/a/b", "c=d?e", BYTES("b"), false},
        {"/a?/b", "/a", "/b", BYTES("a"), false},
        {"/a/%62%2Fc", "/a/%62%2Fc", "", BYTES("b/c"), false},
        {"/a/b%00c", "/a/b%00c", "", BYTES("b\0c"), false},
        {"/a/%", "/a/%", "", BYTES("%"), true},
        {"/a/%4", "/a/%4", "", BYTES("%4"), true},
        {"/a/%zz", "/a/%zz", "", BYTES("%zz"), true},
        {"/a/%4g", "/a/%4g", "", BYTES("%4g"), true},
        {"/%/b", "/%/b", "", BYTES("b"), false},
        {"http://x:1/a/b?c", "/a/b", "c", BYTES("b"), false},
        {"HTTP://x", "/", "", BYTES(""), false},
        {"/a/\xc3\xa4", "/a/\xc3\xa4", "", BYTES("\xc3\xa4"), false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct exchange *exchange = exchange_create(fixture.admin, NULL, rows[i].uri);
        assert_string_equal(exchange->path, rows[i].path);
        assert_string_equal(exchange->query, rows[i].query);
        assert_int_equal(exchange->is_path_bad, rows[i].is_bad);
        if (!rows[i].is_bad)
            assert_true(bytes_equal(exchange->segment, rows[i].segment));
        exchange_destroy(exchange);
    }
}

static void expect_pairs(const char *query, const char *expected)
{
    char text[256], found[256];
    struct writer into = writer_of(found, sizeof found - 1);
    snprintf(text, sizeof text, "%s", query);
    char *rest = text;
    struct query_pair pair;
    while (query_take(&rest, &pair)) {
        write_bytes(&into, pair.name);
        write_u8(&into, '=');
        write_bytes(&into, pair.value);
        write_u8(&into, ';');
    }
    if (pair.is_bad)
        write_string(&into, "bad");
    found[into.size] = '\0';
    assert_string_equal(found, expected);
}

/* A query falls into decoded pairs, whatever is missing. */
static void cuts_queries(void **state)
{
    (void)state;
    expect_pairs("", "");
    expect_pairs("&&&", "");
    expect_pairs("a=b", "a=b;");
    expect_pairs("a=b&c=d", "a=b;c=d;");
    expect_pairs("&a=b&&c=d&", "a=b;c=d;");
    expect_pairs("a&b=&=c&=", "a=;b=;=c;=;");
    expect_pairs("a=b=c", "a=b=c;");
    expect_pairs("a+b=c+d%2B", "a b=c d+;");
    expect_pairs("%61=%62%26%3D", "a=b&=;");
    expect_pairs("a=b&c=%4", "a=b;bad");
    expect_pairs("%=b&c=d", "bad");
}

/* Any escape decodes to its octet, and cutting text anywhere never reads past it. */
static void decodes_every_octet(void **state)
{
    (void)state;
    for (uint32_t octet = 0; octet < 256; octet++) {
        for (size_t cut = 0; cut <= 3; cut++) {
            char text[8];
            snprintf(text, sizeof text, octet & 1 ? "%%%02x" : "%%%02X", octet);
            size_t size = cut;
            uint8_t *exact = heap_take(&fixture.heap, 16);
            memcpy(exact, text, cut);
            bool is_good = uri_decode(exact, &size);
            assert_int_equal(is_good, cut == 0 || cut == 3);
            if (cut == 3) {
                assert_int_equal(size, 1);
                assert_int_equal(exact[0], octet);
            }
            heap_give(&fixture.heap, exact);
        }
    }
}

static struct exchange *body_of(size_t piece, size_t total)
{
    struct exchange *exchange = exchange_create(fixture.admin, NULL, "/");
    char octets[4096];
    memset(octets, 'x', sizeof octets);
    for (size_t sent = 0; sent < total; sent += piece)
        if (!exchange_append(exchange, octets, piece < total - sent ? piece : total - sent))
            break;
    return exchange;
}

/* A body of exactly the limit is kept, one octet more is not, twice the limit ends it; in pieces
 * of any size. */
static void limits_bodies(void **state)
{
    (void)state;
    fixture.config.admin_body_bytes = 5000;
    static const size_t pieces[] = {1, 7, 999, 4096};
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        struct exchange *exchange = body_of(pieces[i], 5000);
        assert_int_equal(exchange->body_size, 5000);
        assert_int_equal(exchange->body_state, BODY_GOOD);
        exchange_destroy(exchange);
        exchange = body_of(pieces[i], 5001);
        assert_int_equal(exchange->body_state, BODY_TOO_LARGE);
        assert_true(exchange_append(exchange, "", 0));
        exchange_destroy(exchange);
        exchange = body_of(pieces[i], 10000);
        assert_false(exchange_append(exchange, "y", 1));
        exchange_destroy(exchange);
        assert_int_equal(heap_used_bytes(&fixture.heap), fixture.baseline_bytes);
    }
}

/* A body for a request that is refused already takes no memory. */
static void drops_refused_bodies(void **state)
{
    (void)state;
    struct exchange *exchange = exchange_create(fixture.admin, NULL, "/");
    problem_answer(exchange, 401, "no");
    uint64_t before = heap_used_bytes(&fixture.heap);
    assert_true(exchange_append(exchange, "abc", 3));
    assert_int_equal(exchange->body_size, 0);
    assert_int_equal(heap_used_bytes(&fixture.heap), before);
    exchange_destroy(exchange);
}

/* At every point where the heap may refuse, creating and filling refuses whole. */
static void refuses_without_memory(void **state)
{
    (void)state;
    uint64_t used = heap_used_bytes(&fixture.heap);
    uint32_t created = 0, filled = 0;
    for (uint64_t room = 0; room < 4096; room += 16) {
        fixture.heap.used_bytes_max = used + room;
        struct exchange *exchange = exchange_create(fixture.admin, NULL, "/v1/users/alice");
        if (exchange != NULL) {
            created++;
            assert_true(exchange_append(exchange, "0123456789", 10));
            filled += exchange->body_state == BODY_GOOD;
            assert_true(exchange->body_state != BODY_TOO_LARGE);
            exchange_destroy(exchange);
        }
        assert_int_equal(heap_used_bytes(&fixture.heap), used);
    }
    fixture.heap.used_bytes_max = UINT64_MAX;
    assert_true(created > filled && filled > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cuts_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cuts_queries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(decodes_every_octet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(drops_refused_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_without_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
