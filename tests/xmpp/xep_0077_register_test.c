/* SPDX-License-Identifier: Apache-2.0
 *
 * In-band registration: off it is refused in every state; on it makes an account that can log in,
 * and no more accounts a stream than tries. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "play.h"

#define GET "<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>"
#define SET(user, password)                                                                        \
    "<iq type='set' id='s'><query xmlns='jabber:iq:register'><username>" user                      \
    "</username><password>" password "</password></query></iq>"

static void begin(struct play *play)
{
    struct config config;
    play_config(&config);
    config.xmpp_registration = true;
    config.xmpp_auth_tries = 5;
    play_begin_configured(play, &config);
    play_say(play, PLAY_HEADER);
    assert_true(play_hears(
        play, "*<register xmlns='http://jabber.org/features/iq-register'/></stream:features>"));
}

/* Off: not offered, refused politely, and the stream goes on. */
static void test_off(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {GET, "<iq type='error' id='g'><error type='cancel'><service-unavailable *"},
        {SET("dave", "secret"), "<iq type='error' id='s'>*<service-unavailable *"},
        {"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
         "AGFsaWNlAHBlbmNpbA==</auth>",
         "<success *"},
    };
    struct play play;
    play_begin(&play);
    play_say(&play, PLAY_HEADER);
    const char *features = play_heard(&play);
    assert_null(strstr(features, "register"));
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        play_say(&play, lines[i].say);
        assert_true(play_hears(&play, lines[i].hear));
    }
    play_end(&play);
}

/* On: the form, an account, and a login with it; the name is prepared. */
static void test_on(void **state)
{
    (void)state;
    struct play play;
    begin(&play);
    play_say(&play, GET);
    assert_true(play_hears(&play, "<iq type='result' id='g'><query xmlns='jabber:iq:register'>"
                                  "<instructions>*</instructions><username/><password/></query>"
                                  "</iq>"));
    play_say(&play, SET("Dave", "se&amp;cret"));
    assert_true(play_hears(&play, "[create dave]<iq type='result' id='s'/>"));
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_REGISTRATIONS), 1);
    play_auth_plain(&play, "dave", "se&cret");
    assert_true(play_hears(&play, "<success *"));
    play_end(&play);
}

/* Names that exist, forms that are not whole, names and passwords that cannot be. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *say;
        const char *condition;
    } cases[] = {
        {SET("alice", "x"), "*<conflict *"},
        {SET("a b", "x"), "*<not-acceptable *"},
        {SET("", "x"), "*<not-acceptable *"},
        {SET("dave", ""), "*<not-acceptable *"},
        {SET("dave", "\t"), "*<not-acceptable *"},
        {"<iq type='set' id='s'><query xmlns='jabber:iq:register'><username>d</username></query>"
         "</iq>",
         "*<bad-request *"},
        {"<iq type='set' id='s'><query xmlns='jabber:iq:register'><remove/></query></iq>",
         "*<bad-request *"},
        {"<iq type='set' id='s'><query xmlns='jabber:iq:register'/><q/></iq>", "*<bad-request *"},
        {"<iq type='set'><query xmlns='jabber:iq:register'/></iq>", "*<bad-request *"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct play play;
        begin(&play);
        play_say(&play, cases[i].say);
        assert_true(play_hears(&play, cases[i].condition));
        assert_false(play.is_closed);
        play_end(&play);
    }
}

/* A stream may try only so often, and not in the middle of a login. */
static void test_limits(void **state)
{
    (void)state;
    struct play play;
    begin(&play);
    for (uint32_t i = 0; i < 5; i++) {
        play_say(&play, SET("alice", "x"));
        assert_true(play_hears(&play, "*<conflict *"));
    }
    play_say(&play, SET("dave", "x"));
    assert_true(play_hears(&play, "*<policy-violation *"));
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play_say(&play, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>"
                    "biwsbj1hbGljZSxyPXg=</auth>");
    play_heard(&play);
    play_say(&play, SET("bob", "x"));
    assert_true(play_hears(&play, "*<unexpected-request *"));
    play_end(&play);
}

/* The store's refusal is "later"; a bound client is told that it is registered. */
static void test_other_answers(void **state)
{
    (void)state;
    struct play play;
    begin(&play);
    play.store = PLAY_STORE_FAILS;
    play_say(&play, SET("dave", "x"));
    assert_true(play_hears(&play, "*<error type='wait'><resource-constraint *"));
    play.store = PLAY_STORE_WORKS;
    play_reconnect(&play);
    play_login(&play, "alice", "phone");
    play_say(&play, GET);
    assert_true(play_hears(&play, "<iq type='result' id='g' *<registered/><username>alice"
                                  "</username><password/></query></iq>"));
    play_say(&play, SET("alice", "new"));
    assert_true(play_hears(&play, "<iq type='error' id='s' *<not-allowed *"));
    play_end(&play);
}

/* Where clear text is forbidden no password is taken over it. */
static void test_clear_text(void **state)
{
    (void)state;
    struct play play;
    begin(&play);
    play.config.xmpp_plain_text = false;
    play_say(&play, GET);
    assert_true(play_hears(&play, "*<not-allowed *"));
    play_say(&play, SET("dave", "x"));
    assert_true(play_hears(&play, "*<not-allowed *"));
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),           cmocka_unit_test(test_on),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_other_answers), cmocka_unit_test(test_clear_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
