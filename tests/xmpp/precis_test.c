/* SPDX-License-Identifier: Apache-2.0
 *
 * The PRECIS profiles by the examples of RFC 8265 and one example of each rule of RFC 5892
 * appendix A and RFC 5893; and that ICU and the ASCII path of jid.c agree on ASCII. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "precis.h"
#include "stentor/jid.h"

typedef enum error profile(struct bytes text, struct writer *into);

static void expect(profile *apply, const char *text, const char *result)
{
    uint8_t room[1024];
    struct writer into = writer_of(room, sizeof(room));
    enum error error = apply(bytes_of_string(text), &into);
    if (result == NULL) {
        if (error == ERROR_NONE)
            fail_msg("taken: %s", text);
        return;
    }
    if (error != ERROR_NONE)
        fail_msg("refused: %s", text);
    if (!bytes_equal(writer_bytes(&into), bytes_of_string(result)))
        fail_msg("%s became %.*s", text, (int)into.size, (const char *)into.at);
}

/* RFC 8265 3.5, and the classes of code points. */
static void test_username(void **state)
{
    (void)state;
    expect(precis_username, "fussball", "fussball");
    expect(precis_username, "fu\u00dfball", "fu\u00dfball");
    expect(precis_username, "\u03a3", "\u03c3");
    expect(precis_username, "foo bar", NULL);
    expect(precis_username, "henry\u2163", NULL);
    expect(precis_username, "\u221e", NULL);
    expect(precis_username, "", NULL);
    expect(precis_username, "\u00c9t\u00c9", "\u00e9t\u00e9");
    expect(precis_username, "e\u0301", "\u00e9");
    expect(precis_username, "\uff21\uff76", "a\u30ab");              /* width */
    expect(precis_username, "\u1100\u1161", "\uac00");               /* jamo that compose */
    expect(precis_username, "\u1100", NULL);                         /* and one that does not */
    expect(precis_username, "a\u00adb", NULL);                       /* ignorable */
    expect(precis_username, "a\xc2\x85", NULL);                      /* control */
    expect(precis_username, "\ufdd0", NULL);                         /* noncharacter */
    expect(precis_username, "\ufb01", NULL);                         /* compatibility */
    expect(precis_username, "\u0640", NULL);                         /* exception */
    expect(precis_username, "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8"); /* Deseret, beyond the BMP */
}

/* RFC 8265 4.3. */
static void test_opaque(void **state)
{
    (void)state;
    expect(precis_opaque, "correct horse battery staple", "correct horse battery staple");
    expect(precis_opaque, "Correct Horse Battery Staple", "Correct Horse Battery Staple");
    expect(precis_opaque, "\u03c0\u00df\u00e5", "\u03c0\u00df\u00e5");
    expect(precis_opaque, "Jack of \u2666s", "Jack of \u2666s");
    expect(precis_opaque, "foo\u1680bar", "foo bar");
    expect(precis_opaque, "\u2163\ufb01", "\u2163\ufb01");
    expect(precis_opaque,
           "my cat is a \x09"
           "by",
           NULL);
    expect(precis_opaque, "", NULL);
    expect(precis_opaque, "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
    expect(precis_opaque, "\xed\xa0\x80", NULL);
}

/* RFC 5892 appendix A, each rule right and wrong. */
static void test_context(void **state)
{
    (void)state;
    expect(precis_opaque, "\u0915\u094d\u200c\u0937", "\u0915\u094d\u200c\u0937");
    expect(precis_opaque, "\u0628\u200c\u0628", "\u0628\u200c\u0628");
    expect(precis_opaque, "\u0628\u064e\u200c\u064e\u0628", "\u0628\u064e\u200c\u064e\u0628");
    expect(precis_opaque, "a\u200cb", NULL);
    expect(precis_opaque, "\u200c", NULL);
    expect(precis_opaque, "\u200c\u0628", NULL);
    expect(precis_opaque, "\u0628\u200c", NULL);
    expect(precis_opaque, "\u064e\u200c\u0628", NULL);
    expect(precis_opaque, "\u0627\u200c\u0628", NULL); /* alef joins to the right only */
    expect(precis_opaque, "\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937");
    expect(precis_opaque, "a\u200d", NULL);
    expect(precis_opaque, "l\u00b7l", "l\u00b7l");
    expect(precis_opaque, "l\u00b7", NULL);
    expect(precis_opaque, "a\u00b7l", NULL);
    expect(precis_opaque, "l\u00b7a", NULL);
    expect(precis_opaque, "\u0375\u03b1", "\u0375\u03b1");
    expect(precis_opaque, "\u0375a", NULL);
    expect(precis_opaque, "\u05d0\u05f3", "\u05d0\u05f3");
    expect(precis_opaque, "a\u05f3", NULL);
    expect(precis_opaque, "\u30a2\u30fb", "\u30a2\u30fb");
    expect(precis_opaque, "a\u30fb", NULL);
    expect(precis_opaque, "\u0660\u0661", "\u0660\u0661");
    expect(precis_opaque, "\u0660\u06f0", NULL);
    expect(precis_opaque, "\u06f0", "\u06f0");
}

/* RFC 5893 section 2. */
static void test_bidi(void **state)
{
    (void)state;
    expect(precis_username, "\u05d0\u05d1", "\u05d0\u05d1");
    expect(precis_username, "\u05d01", "\u05d01");
    expect(precis_username, "\u05d0\u05b0", "\u05d0\u05b0"); /* ends in a mark */
    expect(precis_username, "\u05d0a", NULL);
    expect(precis_username, "a\u05d0", NULL);
    expect(precis_username, "1\u05d0", NULL);
    expect(precis_username, "\u05d0-", NULL);
    expect(precis_username, "\u06271\u0661", NULL); /* both kinds of digits */
}

/* Every ASCII character alone and between letters: ICU's verdict is jid.c's. */
static void test_ascii_agrees(void **state)
{
    (void)state;
    static const char excluded[] = "\"&'/:<>@";
    for (uint32_t c = 1; c < 128; c++) {
        char text[] = {'a', (char)c, 'B', '\0'};
        uint8_t room[2][64];
        struct writer slow = writer_of(room[0], sizeof(room[0]));
        struct writer fast = writer_of(room[1], sizeof(room[1]));
        struct bytes prepared;
        enum error slow_error = precis_username(bytes_of_string(text), &slow);
        enum error fast_error = jid_prepare_local(bytes_of_string(text), &fast, &prepared);
        if (strchr(excluded, (int)c) != NULL) {
            assert_int_not_equal(fast_error, ERROR_NONE);
        } else {
            assert_int_equal(slow_error, fast_error);
            if (!fast_error)
                assert_true(bytes_equal(writer_bytes(&slow), prepared));
        }
        slow.size = 0;
        fast.size = 0;
        slow_error = precis_opaque(bytes_of_string(text), &slow);
        fast_error = jid_prepare_resource(bytes_of_string(text), &fast, &prepared);
        assert_int_equal(slow_error, fast_error);
        if (!fast_error)
            assert_true(bytes_equal(writer_bytes(&slow), prepared));
    }
}

/* The longest input, of characters that grow when composed canonically or not at all. */
static void test_sizes(void **state)
{
    (void)state;
    char text[1100];
    uint8_t room[4096];
    for (size_t i = 0; i + 3 <= 1023; i += 3)
        memcpy(text + i, "\ufb2c", 3); /* a composition exclusion: NFC makes it three */
    struct writer into = writer_of(room, sizeof(room));
    assert_int_not_equal(precis_opaque(bytes_of(text, 1023), &into), ERROR_NONE);
    memset(text, 'a', sizeof(text));
    memcpy(text, "\u00e9", 2);
    into.size = 0;
    assert_int_equal(precis_opaque(bytes_of(text, 1023), &into), ERROR_NONE);
    assert_int_equal(precis_opaque(bytes_of(text, 1024), &into), ERROR_TOO_LARGE);
    assert_int_equal(precis_username(bytes_of(text, 1024), &into), ERROR_TOO_LARGE);
    assert_int_equal(precis_domain(bytes_of(text, 1024), &into), ERROR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_username), cmocka_unit_test(test_opaque),
        cmocka_unit_test(test_context),  cmocka_unit_test(test_bidi),
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_ascii_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
