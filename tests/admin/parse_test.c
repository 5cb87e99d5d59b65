/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies and queries into requests: what is taken, and for everything else the JSON pointer of what
 * is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

#define PUSH_ID "01HF7YAT3V0000000000000000"
#define TARGET "\"target\":{\"online\":true}"
#define SAID "\"notification\":{\"body\":\"b\"}"

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

static struct exchange *taken(const char *method, const char *uri, const char *body)
{
    struct exchange *exchange = fixture_parse(&fixture, method, uri, body);
    if (exchange->answer.status != 0)
        fail_msg("%s %s %s: %.*s", method, uri, body == NULL ? "" : body,
                 (int)exchange->answer.size, (const char *)exchange->answer.octets);
    return exchange;
}

static void expect_fault(const char *method, const char *uri, const char *body, const char *pointer)
{
    expect_problem(fixture_parse(&fixture, method, uri, body), 400, pointer);
}

static void expect_push_fault(const char *body, const char *pointer)
{
    expect_fault("POST", "/v1/pushes", body, pointer);
}

static void expect_bytes(struct bytes found, const char *expected)
{
    if (!bytes_equal(found, bytes_of_string(expected)))
        fail_msg("%.*s, expected %s", (int)found.size, (const char *)found.at, expected);
}

/* All that a push may say arrives. */
static void takes_a_push(void **state)
{
    (void)state;
    struct exchange *exchange = taken(
        "POST", "/v1/pushes",
        " {\"target\":{\"all\":true},\"notification\":{\"title\":\"T\\u00e4\",\"body\":\"M\\n\","
        "\"uri\":\"https://x/\"},\"xml\":\"<x xmlns='urn:x'/>\",\"rate\":5,\"label\":\"l\"}\n");
    const struct push_request *push = &exchange->request.push;
    assert_int_equal(push->target, PUSH_ALL);
    expect_bytes(push->title, "T\xc3\xa4");
    expect_bytes(push->body, "M\n");
    expect_bytes(push->uri, "https://x/");
    expect_bytes(push->xml, "<x xmlns='urn:x'/>");
    expect_bytes(push->label, "l");
    assert_int_equal(push->rate, 5);
    exchange_destroy(exchange);
    exchange = taken("POST", "/v1/pushes", "{" TARGET ",\"xml\":\"<x xmlns='urn:x'/>\"}");
    assert_int_equal(exchange->request.push.target, PUSH_ONLINE);
    assert_int_equal(exchange->request.push.rate, 0);
    assert_int_equal(exchange->request.push.body.size, 0);
    exchange_destroy(exchange);
}

/* Names of users are prepared and stay in order. */
static void prepares_users(void **state)
{
    (void)state;
    struct exchange *exchange = taken(
        "POST", "/v1/pushes",
        "{\"target\":{\"users\":[\"Zoe\",\"alice\",\"\xc3\x84nne\",\"\xef\xbc\xa1\"]}," SAID "}");
    assert_int_equal(exchange->request.push.target, PUSH_USERS);
    assert_int_equal(exchange->request.user_count, 4);
    expect_bytes(exchange->request.users[0], "zoe");
    expect_bytes(exchange->request.users[1], "alice");
    expect_bytes(exchange->request.users[2], "\xc3\xa4nne");
    expect_bytes(exchange->request.users[3], "a"); /* fullwidth A */
    exchange_destroy(exchange);
}

/* A user named twice, also by another spelling, is found at its later place. */
static void finds_users_named_twice(void **state)
{
    (void)state;
    expect_push_fault("{\"target\":{\"users\":[\"a\",\"b\",\"a\"]}," SAID "}", "/target/users/2");
    expect_push_fault("{\"target\":{\"users\":[\"b\",\"Alice\",\"x\",\"ALICE\"]}," SAID "}",
                      "/target/users/3");
    expect_push_fault("{\"target\":{\"users\":[\"\xc3\xa4\",\"a\xcc\x88\"]}," SAID "}",
                      "/target/users/1");
}

/* As many users as a push may have are taken, one more is not. */
static void limits_users(void **state)
{
    (void)state;
    size_t capacity = 16 * (PUSH_USERS_MAX + 2);
    char *body = heap_take(&fixture.heap, capacity);
    for (uint32_t count = PUSH_USERS_MAX; count <= PUSH_USERS_MAX + 1; count++) {
        struct writer into = writer_of(body, capacity - 1);
        write_string(&into, "{\"target\":{\"users\":[");
        for (uint32_t i = 0; i < count; i++) {
            write_string(&into, i == 0 ? "\"u" : ",\"u");
            write_decimal(&into, i);
            write_u8(&into, '"');
        }
        write_string(&into, "]}," SAID "}");
        assert_false(into.is_overflown);
        body[into.size] = '\0';
        if (count == PUSH_USERS_MAX) {
            struct exchange *exchange = taken("POST", "/v1/pushes", body);
            assert_int_equal(exchange->request.user_count, PUSH_USERS_MAX);
            expect_bytes(exchange->request.users[9999], "u9999");
            exchange_destroy(exchange);
        } else {
            expect_push_fault(body, "/target/users");
        }
    }
    heap_give(&fixture.heap, body);
}

/* Each wrong member of a push is named by its pointer. */
static void points_at_wrong_members(void **state)
{
    (void)state;
    static const struct {
        const char *body, *pointer;
    } rows[] = {
        {"{" SAID "}", "/target"},
        {"{\"target\":null," SAID "}", "/target"},
        {"{\"target\":\"all\"," SAID "}", "/target"},
        {"{\"target\":{}," SAID "}", "/target"},
        {"{\"target\":{\"all\":true,\"online\":true}," SAID "}", "/target"},
        {"{\"target\":{\"topic\":\"x\"}," SAID "}", "/target/topic"},
        {"{\"target\":{\"all\":false}," SAID "}", "/target/all"},
        {"{\"target\":{\"all\":1}," SAID "}", "/target/all"},
        {"{\"target\":{\"online\":\"true\"}," SAID "}", "/target/online"},
        {"{\"target\":{\"users\":[]}," SAID "}", "/target/users"},
        {"{\"target\":{\"users\":\"alice\"}," SAID "}", "/target/users"},
        {"{\"target\":{\"users\":[\"a\",1]}," SAID "}", "/target/users/1"},
        {"{\"target\":{\"users\":[\"a\",\"\"]}," SAID "}", "/target/users/1"},
        {"{\"target\":{\"users\":[\"a@b\"]}," SAID "}", "/target/users/0"},
        {"{\"target\":{\"users\":[\"a b\"]}," SAID "}", "/target/users/0"},
        {"{" TARGET "}", "/notification"},
        {"{" TARGET ",\"notification\":\"x\"}", "/notification"},
        {"{" TARGET ",\"notification\":{}}", "/notification"},
        {"{" TARGET ",\"notification\":{\"title\":\"\"}}", "/notification"},
        {"{" TARGET ",\"notification\":{\"title\":1}}", "/notification/title"},
        {"{" TARGET ",\"notification\":{\"body\":null}}", "/notification/body"},
        {"{" TARGET ",\"notification\":{\"uri\":[]}}", "/notification/uri"},
        {"{" TARGET ",\"notification\":{\"image\":\"x\"}}", "/notification/image"},
        {"{" TARGET "," SAID ",\"rate\":0}", "/rate"},
        {"{" TARGET "," SAID ",\"rate\":-1}", "/rate"},
        {"{" TARGET "," SAID ",\"rate\":1.5}", "/rate"},
        {"{" TARGET "," SAID ",\"rate\":\"5\"}", "/rate"},
        {"{" TARGET "," SAID ",\"rate\":100000001}", "/rate"},
        {"{" TARGET "," SAID ",\"label\":{}}", "/label"},
        {"{" TARGET "," SAID ",\"label\":\"0123456789012345678901234567890123456789012345678901"
         "2345678901234\"}",
         "/label"},
        {"{" TARGET "," SAID ",\"ttl\":1}", "/ttl"},
        {"{" TARGET "," SAID ",\"a/b~c\":1}", "/a~1b~0c"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        expect_push_fault(rows[i].body, rows[i].pointer);
}

/* A member's name of any length and any characters leaves the problem valid JSON. */
static void cuts_long_names(void **state)
{
    (void)state;
    for (uint32_t size = 1; size < 120; size++) {
        char body[1024];
        struct writer into = writer_of(body, sizeof body - 1);
        write_string(&into, "{" TARGET ",\"");
        for (uint32_t i = 0; i < size; i++)
            write_string(&into, i % 3 == 0 ? "\xf0\x9f\x98\x80" : i % 3 == 1 ? "~" : "\xc3\xa4");
        write_string(&into, "\":1}");
        body[into.size] = '\0';
        struct exchange *exchange = fixture_parse(&fixture, "POST", "/v1/pushes", body);
        json_t *json = json_loadb(exchange->answer.octets, exchange->answer.size, 0, NULL);
        assert_int_equal(json_array_size(json_object_get(json, "errors")), 1);
        json_decref(json);
        exchange_destroy(exchange);
    }
}

/* What is not one JSON object is a fault at the root. */
static void refuses_other_json(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",
                                         " ",
                                         "[]",
                                         "1",
                                         "\"x\"",
                                         "null",
                                         "{",
                                         "{]",
                                         "{\"a\"}",
                                         "{\"a\":1,}",
                                         "{} {}",
                                         "{}x",
                                         "\xef\xbb\xbf{}",
                                         "{'a':1}",
                                         "{\"a\":\"\\u0000\"}",
                                         "{\"a\":\"\\ud800\"}",
                                         "{\"a\":\"\xff\"}",
                                         "{\"\xff\":1}",
                                         "{\"a\":\"\n\"}",
                                         "{\"a\":NaN}",
                                         "{\"a\":01}",
                                         "nul",
                                         "{\"a\":tru\xc3"};
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++)
        expect_push_fault(bodies[i], "");
    expect_push_fault(NULL, "");
}

/* A member given twice is a fault, also inside. */
static void refuses_duplicate_members(void **state)
{
    (void)state;
    expect_push_fault("{" TARGET "," TARGET "," SAID "}", "");
    expect_push_fault("{" TARGET ",\"notification\":{\"body\":\"a\",\"body\":\"b\"}}", "");
    expect_push_fault("{" TARGET ",\"notification\":{\"body\":\"a\",\"bod\\u0079\":\"b\"}}", "");
}

/* Sixteen levels are read, seventeen are not, also when brackets stand in strings; and neither is a
 * body of very many values. */
static void limits_depth_and_values(void **state)
{
    (void)state;
    char body[128];
    for (uint32_t depth = 15; depth <= 17; depth++) {
        memset(body, 0, sizeof body);
        strcat(body, "{\"a\":");
        for (uint32_t i = 1; i < depth; i++)
            strcat(body, "[");
        for (uint32_t i = 1; i < depth; i++)
            strcat(body, "]");
        strcat(body, "}");
        expect_push_fault(body, depth <= 16 ? "/a" : "");
    }
    expect_push_fault("{\"x\":\"[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[[\"}", "/x");
    size_t size = 2 * ADMIN_JSON_VALUES_MAX + 64;
    char *many = heap_take(&fixture.heap, size);
    struct writer into = writer_of(many, size - 1);
    write_string(&into, "{\"a\":[1");
    for (uint32_t i = 0; i < ADMIN_JSON_VALUES_MAX; i++)
        write_string(&into, ",1");
    write_string(&into, "]}");
    many[into.size] = '\0';
    expect_push_fault(many, "");
    heap_give(&fixture.heap, many);
}

/* A push cut anywhere is a fault and leaks nothing; with any bit turned it is taken or a fault. */
static void survives_damage(void **state)
{
    (void)state;
    static const char body[] = "{\"target\":{\"users\":[\"Alice\",\"bob\"]},\"notification\":"
                               "{\"title\":\"T\\u00e4\"},\"xml\":\"<x xmlns='urn:x'>&lt;</x>\"}";
    char text[sizeof body];
    for (size_t i = 0; i + 1 < sizeof body; i++) {
        memcpy(text, body, sizeof body);
        text[i] = '\0';
        expect_push_fault(text, "");
        for (uint32_t bit = 0; bit < 8; bit++) {
            memcpy(text, body, sizeof body);
            text[i] = (char)(text[i] ^ (1 << bit));
            struct exchange *exchange = fixture_parse(&fixture, "POST", "/v1/pushes", text);
            assert_true(exchange->answer.status == 0 || exchange->answer.status == 400);
            exchange_destroy(exchange);
        }
    }
    assert_int_equal(heap_used_bytes(&fixture.heap), fixture.baseline_bytes);
}

static void push_xml(const char *xml, bool is_taken)
{
    json_t *json = json_pack("{s:{s:b}, s:s}", "target", "all", 1, "xml", xml);
    char body[2048];
    size_t size = json_dumpb(json, body, sizeof body - 1, 0);
    assert_true(size < sizeof body);
    body[size] = '\0';
    json_decref(json);
    if (!is_taken) {
        expect_push_fault(body, "/xml");
        return;
    }
    struct exchange *exchange = taken("POST", "/v1/pushes", body);
    expect_bytes(exchange->request.push.xml, xml);
    exchange_destroy(exchange);
}

/* The xml of a push is exactly one balanced element in a namespace of its own; after each refusal
 * the judge is ready for the next. */
static void judges_xml(void **state)
{
    (void)state;
    static const char *const refused[] = {"",
                                          " ",
                                          "text",
                                          "<x/>",
                                          "<x xmlns=''/>",
                                          "<x xmlns='urn:x'>",
                                          "<x xmlns='urn:x'></y>",
                                          "<x xmlns='urn:x'/><y xmlns='urn:x'/>",
                                          "<x xmlns='urn:x'/> ",
                                          " <x xmlns='urn:x'/>",
                                          "<x xmlns='urn:x'/>x",
                                          "<x xmlns='jabber:client'/>",
                                          "<x xmlns='jabber:server'/>",
                                          "<message xmlns='jabber:client'><body>x</body></message>",
                                          "<stream:x/>",
                                          "<a:x xmlns:a='jabber:client'/>",
                                          "<p:x/>",
                                          "<x xmlns='urn:x'>&amp</x>",
                                          "<x xmlns='urn:x'>&bomb;</x>",
                                          "<!DOCTYPE x><x xmlns='urn:x'/>",
                                          "<!DOCTYPE x [<!ENTITY a 'b'>]><x xmlns='urn:x'>&a;</x>",
                                          "<?xml version='1.0'?><x xmlns='urn:x'/>",
                                          "<x xmlns='urn:x'><?pi?></x>",
                                          "<x xmlns='urn:x'><!-- c --></x>",
                                          "<x xmlns='urn:x' a='1' a='2'/>",
                                          "<x xmlns='urn:x'>\x01</x>",
                                          "<x xmlns='urn:x'",
                                          "</stream:stream>",
                                          "</x>",
                                          "<xml:x/>",
                                          "<x xmlns='urn:x'></x></message><message>"};
    static const char *const good[] = {
        "<x xmlns='urn:x'/>", "<x xmlns='urn:x'>t<y/>&lt;<![CDATA[<]]></x>",
        "<a:x xmlns:a='urn:x'><a:y/></a:x>", "<x xmlns='urn:x'><m xmlns='jabber:client'/></x>",
        "<x xmlns='urn:x' \xc3\xa4='\xf0\x9f\x98\x80'/>"};
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        push_xml(refused[i], false);
        push_xml(good[i % ARRAY_COUNT(good)], true);
    }
    for (size_t cut = 1; cut < strlen(good[1]); cut++) {
        char text[128];
        memcpy(text, good[1], cut);
        text[cut] = '\0';
        push_xml(text, false);
    }
    expect_push_fault("{" TARGET ",\"xml\":1}", "/xml");
    expect_push_fault("{" TARGET ",\"xml\":null}", "/xml");
}

/* The xml of a push may be as large as push.body_bytes and no larger. */
static void limits_xml(void **state)
{
    (void)state;
    size_t limit = fixture.config.push_body_bytes;
    char *body = heap_take(&fixture.heap, limit + 128);
    for (size_t extra = 0; extra < 2; extra++) {
        size_t text = limit + extra - strlen("<x xmlns='urn:x'></x>");
        struct writer into = writer_of(body, limit + 127);
        write_string(&into, "{" TARGET ",\"xml\":\"<x xmlns='urn:x'>");
        memset(into.at + into.size, 'y', text);
        into.size += text;
        write_string(&into, "</x>\"}");
        body[into.size] = '\0';
        if (extra == 0)
            exchange_destroy(taken("POST", "/v1/pushes", body));
        else
            expect_push_fault(body, "/xml");
    }
    heap_give(&fixture.heap, body);
}

/* A user is made of a prepared name and a prepared password. */
static void takes_a_user(void **state)
{
    (void)state;
    struct exchange *exchange =
        taken("POST", "/v1/users", "{\"username\":\"ALICE\",\"password\":\"a\xc2\xa0 \xc3\x84\"}");
    expect_bytes(exchange->request.user, "alice");
    expect_bytes(exchange->request.password, "a  \xc3\x84"); /* a no-break space becomes one */
    assert_true(exchange->request.has_password);
    exchange_destroy(exchange);
    static const struct {
        const char *body, *pointer;
    } rows[] = {
        {"{}", "/username"},
        {"{\"username\":\"a\"}", "/password"},
        {"{\"password\":\"p\"}", "/username"},
        {"{\"username\":7,\"password\":\"p\"}", "/username"},
        {"{\"username\":\"a/b\",\"password\":\"p\"}", "/username"},
        {"{\"username\":\"a\",\"password\":\"\"}", "/password"},
        {"{\"username\":\"a\",\"password\":null}", "/password"},
        {"{\"username\":\"a\",\"password\":\"p\\u0007\"}", "/password"},
        {"{\"username\":\"a\",\"password\":\"p\",\"enabled\":true}", "/enabled"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        expect_fault("POST", "/v1/users", rows[i].body, rows[i].pointer);
}

/* Names up to what the store takes, passwords up to 255 octets. */
static void limits_names(void **state)
{
    (void)state;
    char body[2048], name[600], password[300];
    for (uint32_t extra = 0; extra < 2; extra++) {
        memset(name, 'n', sizeof name);
        memset(password, 'p', sizeof password);
        name[ACCOUNT_LOCAL_SIZE_MAX + extra] = '\0';
        password[255] = '\0';
        snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"%s\"}", name, password);
        if (extra == 0)
            exchange_destroy(taken("POST", "/v1/users", body));
        else
            expect_fault("POST", "/v1/users", body, "/username");
        password[255] = 'p';
        password[255 + extra] = '\0';
        snprintf(body, sizeof body, "{\"username\":\"n\",\"password\":\"%s\"}", password);
        if (extra == 0)
            exchange_destroy(taken("POST", "/v1/users", body));
        else
            expect_fault("POST", "/v1/users", body, "/password");
    }
}

/* An update sets a password, the switch or both, and never nothing. */
static void takes_an_update(void **state)
{
    (void)state;
    struct exchange *exchange = taken("PATCH", "/v1/users/Bob", "{\"enabled\":false}");
    expect_bytes(exchange->request.user, "bob");
    assert_true(exchange->request.has_enabled);
    assert_false(exchange->request.is_enabled);
    assert_false(exchange->request.has_password);
    exchange_destroy(exchange);
    exchange = taken("PATCH", "/v1/users/bob", "{\"enabled\":true,\"password\":\"pw\"}");
    assert_true(exchange->request.is_enabled);
    expect_bytes(exchange->request.user, "bob");
    expect_bytes(exchange->request.password, "pw");
    exchange_destroy(exchange);
    expect_fault("PATCH", "/v1/users/bob", "{}", "");
    expect_fault("PATCH", "/v1/users/bob", "{\"enabled\":1}", "/enabled");
    expect_fault("PATCH", "/v1/users/bob", "{\"enabled\":null}", "/enabled");
    expect_fault("PATCH", "/v1/users/bob", "{\"password\":\"\"}", "/password");
    expect_fault("PATCH", "/v1/users/bob", "{\"username\":\"x\"}", "/username");
    expect_problem(fixture_parse(&fixture, "PATCH", "/v1/users/a%20b", "{}"), 404, "-");
}

/* Pages have a default size, bounds, and a cursor of their own kind. */
static void takes_pages(void **state)
{
    (void)state;
    struct exchange *exchange = taken("GET", "/v1/users", NULL);
    assert_int_equal(exchange->request.limit, 100);
    assert_false(exchange->request.has_cursor);
    exchange_destroy(exchange);
    exchange = taken("GET", "/v1/users?cursor=a%2Bb&limit=1000", NULL);
    assert_int_equal(exchange->request.limit, 1000);
    assert_true(exchange->request.has_cursor);
    expect_bytes(exchange->request.cursor, "a+b");
    exchange_destroy(exchange);
    exchange = taken("GET", "/v1/pushes?limit=1&cursor=01hf7yat3v0000000000000000", NULL);
    assert_true(exchange->request.has_cursor);
    assert_string_equal(exchange->request.push_id.text, PUSH_ID);
    exchange_destroy(exchange);
    exchange = taken("GET", "/v1/sessions?user=ALICE&cursor=010200030000000A", NULL);
    expect_bytes(exchange->request.user, "alice");
    assert_true(exchange->request.session.value == UINT64_C(0x010200030000000a));
    exchange_destroy(exchange);
    static const char *const refused[] = {
        "/v1/users?limit=0",         "/v1/users?limit=1001",
        "/v1/users?limit=",          "/v1/users?limit=-1",
        "/v1/users?limit=1x",        "/v1/users?cursor=",
        "/v1/users?limit=1&limit=1", "/v1/users?lmit=1",
        "/v1/users?user=a",          "/v1/users?limit=%",
        "/v1/pushes?cursor=x",       "/v1/sessions?cursor=12",
        "/v1/sessions?user=",        "/v1/sessions?user=a%40b",
        "/v1/sessions?user=a%00b",   "/v1/sessions?limit=18446744073709551617",
        "/v1/users?limit=1%00",      "/v1/users?=1"};
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        expect_problem(fixture_parse(&fixture, "GET", refused[i], NULL), 400, "-");
}

/* Whatever the heap refuses, the answer is 503 or the request is whole. */
static void survives_without_memory(void **state)
{
    (void)state;
    uint64_t used = heap_used_bytes(&fixture.heap);
    uint32_t taken_count = 0, refused_count = 0;
    for (uint64_t room = 1200; room < 8192; room += 32) {
        fixture.heap.used_bytes_max = used + room;
        struct exchange *exchange =
            fixture_parse(&fixture, "POST", "/v1/pushes",
                          "{\"target\":{\"users\":[\"alice\",\"bob\",\"carol\"]}," SAID "}");
        taken_count += exchange->answer.status == 0;
        refused_count += exchange->answer.status == 503;
        assert_true(exchange->answer.status == 0 || exchange->answer.status == 503);
        exchange_destroy(exchange);
        assert_int_equal(heap_used_bytes(&fixture.heap), used);
    }
    fixture.heap.used_bytes_max = UINT64_MAX;
    assert_true(taken_count > 0 && refused_count > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_a_push),
        TEST(prepares_users),
        TEST(finds_users_named_twice),
        TEST(limits_users),
        TEST(points_at_wrong_members),
        TEST(cuts_long_names),
        TEST(refuses_other_json),
        TEST(refuses_duplicate_members),
        TEST(limits_depth_and_values),
        TEST(survives_damage),
        TEST(judges_xml),
        TEST(limits_xml),
        TEST(takes_a_user),
        TEST(limits_names),
        TEST(takes_an_update),
        TEST(takes_pages),
        TEST(survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
