/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of IQ handlers: what is not in it is refused, what is in it only answers its own
 * method, place and state. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "iq.h"
#include "play.h"

static void expect(const char *say, const char *hear)
{
    struct play_line lines[] = {{say, hear}};
    PLAY_SCRIPT(lines, play_prepare_bound);
}

/* Unknown namespaces, known ones with another element or method: service-unavailable. */
static void test_unknown(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "<iq type='get' id='1'><q xmlns='x:y'/></iq>",
        "<iq type='get' id='1'><q/></iq>",
        "<iq type='get' id='1'><pong xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='set' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='get' id='1' to='stentor.test'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='set' id='1'><query xmlns='jabber:iq:roster'/></iq>",
        "<iq type='get' id='1' to='alice@stentor.test'><query xmlns='jabber:iq:version'/></iq>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>",
        "<iq type='set' id='1'><query xmlns='jabber:iq:register'/></iq>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(unknown); i++)
        expect(unknown[i], "<iq type='error' id='1' from='*' to='alice@stentor.test/phone'>"
                           "<error type='cancel'><service-unavailable "
                           "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
}

/* Results and errors to the server answer nothing it asked: dropped without a word. */
static void test_results(void **state)
{
    (void)state;
    expect("<iq type='result' id='1'/>", "");
    expect("<iq type='result' id='1' to='stentor.test'><ping xmlns='urn:xmpp:ping'/></iq>", "");
    expect("<iq type='error' id='1' to='alice@stentor.test'/>", "");
}

/* An id comes back as it was written, whatever its quotes and references. */
static void test_id(void **state)
{
    (void)state;
    expect("<iq type='get' id=\"it's\"><ping xmlns='urn:xmpp:ping'/></iq>",
           "<iq type='result' id=\"it's\" *");
    expect("<iq type='get' id='&quot;&amp;&#x27;'><ping xmlns='urn:xmpp:ping'/></iq>",
           "<iq type='result' id='&quot;&amp;&#x27;' *");
}

/* Rows: a state and a place each, no two rows for one request. */
static void test_table(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    play.config.xmpp_registration = true;
    uint32_t count = 0;
    for (const struct iq_handler *a = iq_handler_next(play.xmpp, NULL); a != NULL;
         a = iq_handler_next(play.xmpp, a), count++) {
        assert_non_null(a->answer);
        assert_int_not_equal(a->bits & (IQ_GET | IQ_SET), 0);
        assert_int_not_equal(a->bits & (IQ_AT_SERVER | IQ_AT_ACCOUNT), 0);
        assert_int_not_equal(a->bits & (IQ_WHEN_OPEN | IQ_WHEN_REOPENED | IQ_WHEN_BOUND), 0);
        for (const struct iq_handler *b = iq_handler_next(play.xmpp, a); b != NULL;
             b = iq_handler_next(play.xmpp, b))
            assert_false(a->ns == b->ns && strcmp(a->element, b->element) == 0 &&
                         (a->bits & b->bits & (IQ_GET | IQ_SET)) != 0);
    }
    play.config.xmpp_registration = false;
    for (const struct iq_handler *a = iq_handler_next(play.xmpp, NULL); a != NULL;
         a = iq_handler_next(play.xmpp, a), count--)
        assert_int_not_equal(a->ns, XML_NS_REGISTER);
    assert_int_equal(count, 2);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
