/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/push/push_render.c: the stanza is what its header draws, everything of the request
 * is escaped but the extra element, and too little room is noticed at every size. */
#include "push_render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct push_id id = {"01ARYZ6S41TSV4RRFFQ69G5FAV"};

static void expect(const struct push_request *request, const char *expected)
{
    uint8_t octets[1024];
    struct writer into = writer_of(octets, sizeof octets);
    push_render(&into, request, &id, BYTES("example.net"));
    assert_false(into.is_overflown);
    assert_int_equal(into.size, strlen(expected));
    assert_memory_equal(octets, expected, into.size);
}

/* All parts, in their order. */
static void all_parts_stand_in_order(void **state)
{
    (void)state;
    struct push_request request = {.title = BYTES("Hello"),
                                   .body = BYTES("World"),
                                   .uri = BYTES("https://example.net/"),
                                   .xml = BYTES("<y xmlns='urn:z'/>")};
    expect(&request, "<message from='example.net' id='01ARYZ6S41TSV4RRFFQ69G5FAV'>"
                     "<subject>Hello</subject><body>World</body>"
                     "<x xmlns='jabber:x:oob'><url>https://example.net/</url></x>"
                     "<y xmlns='urn:z'/></message>");
}

/* What is not asked for is not there; a title alone is said in the body too. */
static void absent_parts_are_left_out(void **state)
{
    (void)state;
    struct push_request body = {.body = BYTES("World")};
    expect(&body, "<message from='example.net' id='01ARYZ6S41TSV4RRFFQ69G5FAV'>"
                  "<body>World</body></message>");
    struct push_request title = {.title = BYTES("Hello")};
    expect(&title, "<message from='example.net' id='01ARYZ6S41TSV4RRFFQ69G5FAV'>"
                   "<subject>Hello</subject><body>Hello</body></message>");
    struct push_request xml = {.xml = BYTES("<y xmlns='urn:z'/>")};
    expect(&xml, "<message from='example.net' id='01ARYZ6S41TSV4RRFFQ69G5FAV'>"
                 "<y xmlns='urn:z'/></message>");
}

/* No text of the request can end its element. */
static void texts_are_escaped(void **state)
{
    (void)state;
    struct push_request request = {.title = BYTES("a<b&c>d"),
                                   .body = BYTES("</body><evil/>"),
                                   .uri = BYTES("http://x/?a=1&b=2")};
    expect(&request, "<message from='example.net' id='01ARYZ6S41TSV4RRFFQ69G5FAV'>"
                     "<subject>a&lt;b&amp;c&gt;d</subject>"
                     "<body>&lt;/body&gt;&lt;evil/&gt;</body>"
                     "<x xmlns='jabber:x:oob'><url>http://x/?a=1&amp;b=2</url></x></message>");
}

/* One octet too few, whichever, is an overflow; enough is enough. */
static void every_size_is_judged(void **state)
{
    (void)state;
    struct push_request request = {.title = BYTES("T"), .body = BYTES("<&"), .uri = BYTES("u:")};
    uint8_t octets[1024];
    struct writer whole = writer_of(octets, sizeof octets);
    push_render(&whole, &request, &id, BYTES("d"));
    for (size_t size = 0; size <= whole.size; size++) {
        struct writer into = writer_of(octets, size);
        push_render(&into, &request, &id, BYTES("d"));
        assert_int_equal(into.is_overflown, size < whole.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_stand_in_order),
        cmocka_unit_test(absent_parts_are_left_out),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(every_size_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
