/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses: the tables of RFC 7622, every limit from both sides, and that prepared text stays as
 * it is when prepared again. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "stentor/jid.h"

static enum error prepare_text(const char *text, char *result)
{
    uint8_t room[JID_SIZE_MAX];
    struct writer into = writer_of(room, sizeof(room));
    struct jid jid;
    uint8_t out_room[JID_SIZE_MAX + 1];
    struct writer out = writer_of(out_room, sizeof(out_room));
    enum error error = jid_prepare(bytes_of_string(text), &into, &jid);
    if (!error)
        jid_write(&out, &jid);
    assert_false(out.is_overflown);
    memcpy(result, out.at, out.size);
    result[out.size] = '\0';
    return error;
}

static void expect(const char *text, const char *prepared)
{
    char result[JID_SIZE_MAX + 1];
    char again[JID_SIZE_MAX + 1];
    assert_int_equal(prepare_text(text, result), ERROR_NONE);
    assert_string_equal(result, prepared);
    assert_int_equal(prepare_text(result, again), ERROR_NONE);
    assert_string_equal(again, result);
}

static void refuse(const char *text)
{
    char result[JID_SIZE_MAX + 1];
    if (prepare_text(text, result) == ERROR_NONE)
        fail_msg("taken: %s as %s", text, result);
}

/* The legal addresses of RFC 7622 table 1, and what becomes of case, width and root dot. */
static void test_legal(void **state)
{
    (void)state;
    expect("juliet@example.com", "juliet@example.com");
    expect("juliet@example.com/foo", "juliet@example.com/foo");
    expect("juliet@example.com/foo bar", "juliet@example.com/foo bar");
    expect("juliet@example.com/foo@bar", "juliet@example.com/foo@bar");
    expect("juliet@example.com/foo/bar", "juliet@example.com/foo/bar");
    expect("foo\\20bar@example.com", "foo\\20bar@example.com");
    expect("fussball@example.com", "fussball@example.com");
    expect("fu\u00dfball@example.com", "fu\u00dfball@example.com");
    expect("\u03c0@example.com", "\u03c0@example.com");
    expect("\u03a3@example.com/foo", "\u03c3@example.com/foo");
    expect("\u03c3@example.com/foo", "\u03c3@example.com/foo");
    expect("\u03c2@example.com/foo", "\u03c2@example.com/foo");
    expect("king@example.com/\u265a", "king@example.com/\u265a");
    expect("example.com", "example.com");
    expect("example.com/foobar", "example.com/foobar");
    expect("a.example.com/b@example.net", "a.example.com/b@example.net");
    expect("Juliet@Example.COM./Foo", "juliet@example.com/Foo");
    expect("\uff2auliet@example.com", "juliet@example.com");
    expect("a@[::1]/r", "a@[::1]/r");
    expect("a@127.0.0.1", "a@127.0.0.1");
    expect("a@b\u00fccher.example", "a@b\u00fccher.example");
    expect("a@B\u00dcCHER.example", "a@b\u00fccher.example");
    expect("a@xn--bcher-kva.example", "a@b\u00fccher.example");
    expect("a@b/e\u0301", "a@b/\u00e9");
}

/* The illegal ones of table 2, and further ones. */
static void test_illegal(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "@",
        "/",
        "@/",
        "\"juliet\"@example.com",
        "foo bar@example.com",
        "juliet@example.com/",
        "@example.com/foobar",
        "henry\u2163@example.com",
        "\u265a@example.com",
        "juliet@",
        "/foobar",
        "a@b@c",
        "a&b@c",
        "a'b@c",
        "a:b@c",
        "a<b@c",
        "a>b@c",
        "a\x7f@b",
        "a\tb@c",
        "a@b/c\x01",
        "a@b/\x7f",
        "a@-b",
        "a@b-",
        "a@b..c",
        "a@.b",
        "a@.",
        "a@b_c",
        "a@b c",
        "a@[1",
        "a@[]",
        "a@[::g]",
        "a@[12]",
        "a\xff@b",
        "a@b/\xc3",
        "\uff20@b",
        "a\u00a0b@c",
        "a\u200d@b",
        "a@b/\u0378",
        "a@b/\ue000",
        "a\u05d0@b",
        "a@xn--\u00e9",
        "a@xn--a",
        "a@b/\ud7fb\u1100",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        refuse(texts[i]);
}

static void fill_jid(char *text, size_t local, size_t domain, size_t resource)
{
    size_t at = 0;
    memset(text, 'l', local);
    at += local;
    text[at++] = '@';
    for (size_t i = 0; i < domain; i++)
        text[at++] = i % 50 == 49 && i + 1 != domain ? '.' : 'd';
    text[at++] = '/';
    memset(text + at, 'r', resource);
    text[at + resource] = '\0';
}

/* Each part may have 1023 octets and not one more, and a full JID fits JID_SIZE_MAX. */
static void test_sizes(void **state)
{
    (void)state;
    char text[JID_SIZE_MAX + 16];
    fill_jid(text, 1023, 1023, 1023);
    expect(text, text);
    fill_jid(text, 1024, 10, 10);
    refuse(text);
    fill_jid(text, 10, 1024, 10);
    refuse(text);
    fill_jid(text, 10, 10, 1024);
    refuse(text);
    memset(text, 'd', 64); /* a label has 63 */
    text[64] = '\0';
    refuse(text);
    text[63] = '\0';
    expect(text, text);
}

/* A writer with too little room is told so, whatever its size, and nothing is kept of it. */
static void test_room(void **state)
{
    (void)state;
    struct bytes text = BYTES("ab@cd/ef");
    for (size_t size = 0; size < 6; size++) {
        uint8_t room[8];
        struct writer into = writer_of(room, size);
        struct jid jid;
        assert_int_equal(jid_prepare(text, &into, &jid), ERROR_TOO_LARGE);
        assert_int_equal(jid.domain.size, 0);
        assert_int_equal(into.size, 0);
    }
}

/* Octets that are not UTF-8, cut at each offset and with each bit flipped: a verdict, no crash, and
 * what is taken is a fixed point. */
static void test_noise(void **state)
{
    (void)state;
    char text[] = "\u03a3a\uff2a@b\u00fccher.Example/\u265a\u00a0e\u0301";
    size_t size = sizeof(text) - 1;
    char result[JID_SIZE_MAX + 1];
    char again[JID_SIZE_MAX + 1];
    for (size_t i = 0; i < size * 8; i++) {
        text[i / 8] = (char)(text[i / 8] ^ (1 << (i % 8)));
        if (text[i / 8] != '\0' && prepare_text(text, result) == ERROR_NONE) {
            assert_int_equal(prepare_text(result, again), ERROR_NONE);
            assert_string_equal(again, result);
        }
        text[i / 8] = (char)(text[i / 8] ^ (1 << (i % 8)));
    }
    for (size_t cut = size; cut > 0; cut--) {
        text[cut] = '\0';
        (void)prepare_text(text, result);
    }
}

/* Splitting gives views into the text and judges nothing but shape. */
static void test_split(void **state)
{
    (void)state;
    struct jid jid;
    assert_int_equal(jid_split(BYTES("A@B/c@d/e"), &jid), ERROR_NONE);
    assert_true(bytes_equal(jid.local, BYTES("A")));
    assert_true(bytes_equal(jid.domain, BYTES("B")));
    assert_true(bytes_equal(jid.resource, BYTES("c@d/e")));
    assert_int_equal(jid_split(BYTES("d/r@x"), &jid), ERROR_NONE);
    assert_true(jid_is_domain(&jid));
    assert_false(jid_is_bare(&jid));
    assert_int_equal(jid_split(BYTES("a@/r"), &jid), ERROR_INVALID);
    assert_int_equal(jid.local.size, 0);
}

/* Passwords: opaque, at most PASSWORD_SIZE_MAX octets, never empty. */
static void test_password(void **state)
{
    (void)state;
    uint8_t room[1024];
    char text[PASSWORD_SIZE_MAX + 2];
    struct bytes prepared;
    struct writer into = writer_of(room, sizeof(room));
    assert_int_equal(password_prepare(BYTES("a\u00a0b C"), &into, &prepared), ERROR_NONE);
    assert_true(bytes_equal(prepared, BYTES("a b C")));
    assert_int_equal(password_prepare(BYTES(""), &into, &prepared), ERROR_INVALID);
    memset(text, 'p', sizeof(text));
    assert_int_equal(password_prepare(bytes_of(text, PASSWORD_SIZE_MAX), &into, &prepared),
                     ERROR_NONE);
    assert_int_equal(password_prepare(bytes_of(text, PASSWORD_SIZE_MAX + 1), &into, &prepared),
                     ERROR_TOO_LARGE);
}

/* Comparison looks at all parts; bare comparison leaves the resource out. */
static void test_equal(void **state)
{
    (void)state;
    struct jid a;
    struct jid b;
    assert_int_equal(jid_split(BYTES("u@d/r"), &a), ERROR_NONE);
    assert_int_equal(jid_split(BYTES("u@d/s"), &b), ERROR_NONE);
    assert_false(jid_equal(&a, &b));
    assert_true(jid_equal_bare(&a, &b));
    assert_true(jid_equal(&a, &a));
    struct jid bare = jid_bare(&a);
    assert_true(jid_is_bare(&bare));
    assert_int_equal(jid_split(BYTES("v@d/r"), &b), ERROR_NONE);
    assert_false(jid_equal_bare(&a, &b));
}

/* In XML a resource is escaped. */
static void test_write_xml(void **state)
{
    (void)state;
    uint8_t room[128];
    struct writer into = writer_of(room, sizeof(room));
    struct jid jid;
    assert_int_equal(jid_split(BYTES("u@d/<&>'\""), &jid), ERROR_NONE);
    jid_write_xml(&into, &jid);
    struct bytes text = writer_bytes(&into);
    assert_int_equal(bytes_find(text, '<'), text.size);
    assert_int_equal(bytes_find(text, '\''), text.size);
    assert_int_equal(bytes_find(text, '"'), text.size);
    assert_true(bytes_starts_with(text, BYTES("u@d/&lt;&amp;")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legal),     cmocka_unit_test(test_illegal),
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_room),
        cmocka_unit_test(test_noise),     cmocka_unit_test(test_split),
        cmocka_unit_test(test_password),  cmocka_unit_test(test_equal),
        cmocka_unit_test(test_write_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
