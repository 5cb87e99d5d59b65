/* SPDX-License-Identifier: Apache-2.0
 *
 * What a bound client may send and where it goes first: each kind to each sort of address. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "play.h"

#define ME "alice@stentor.test/phone"
#define SERVICE_UNAVAILABLE                                                                        \
    "<error type='cancel'><service-unavailable "                                                   \
    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"

static void expect(const char *say, const char *hear)
{
    struct play_line lines[] = {{say, hear}};
    PLAY_SCRIPT(lines, play_prepare_bound);
}

/* Messages go to users; to oneself without `to`; not to the server; not abroad. */
static void test_message(void **state)
{
    (void)state;
    expect("<message to='bob@stentor.test/desk' type='chat' id='1'><body>x</body></message>",
           "[route message chat bob@stentor.test/desk[ <message from='" ME
           "' to='bob@stentor.test/desk' type='chat' id='1'><body>x</body></message>]]");
    expect("<message><body>x</body></message>",
           "[route message normal alice@stentor.test[ <message from='" ME
           "' to='alice@stentor.test'><body>x</body></message>]]");
    expect("<message type='song' to='BOB@Stentor.test'/>",
           "[route message normal bob@stentor.test[ <message from='" ME
           "' to='bob@stentor.test' type='song'></message>]]");
    expect("<message to='stentor.test' id='m'><body>x</body></message>",
           "<message type='error' id='m' from='stentor.test' to='" ME "'>" SERVICE_UNAVAILABLE
           "</message>");
    expect("<message to='stentor.test/x'/>", "<message type='error' from='stentor.test/x' *");
    expect("<message to='eve@elsewhere.test' id='m'/>",
           "<message type='error' id='m' from='eve@elsewhere.test' to='" ME
           "'><error type='cancel'><remote-server-not-found "
           "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
}

/* An error is never answered with an error. */
static void test_errors_are_final(void **state)
{
    (void)state;
    expect("<message to='stentor.test' type='error'/>", "");
    expect("<message to='eve@elsewhere.test' type='error'/>", "");
    expect("<iq to='eve@elsewhere.test' type='error' id='1'/>", "");
    expect("<iq to='stentor.test' type='result' id='1'/>", "");
    expect("<iq to='eve@elsewhere.test' type='result' id='1'/>", "");
    expect("<presence to='eve@elsewhere.test' type='unavailable'/>", "");
    expect("<presence to='@' type='error'/>", "");
}

/* An address that is none is told apart from one that is unknown. */
static void test_malformed_to(void **state)
{
    (void)state;
    static const char *const say[] = {
        "<message id='m' to='@stentor.test'/>",
        "<message id='m' to=''/>",
        "<message id='m' to='a b@stentor.test'/>",
        "<message id='m' to='stentor.test/'/>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(say); i++)
        expect(say[i], "<message type='error' id='m' from='stentor.test' to='" ME
                       "'><error type='modify'><jid-malformed "
                       "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
}

/* `from` may be one's own address, full or bare, in any spelling, and nobody else's. */
static void test_from(void **state)
{
    (void)state;
    static const char *const own[] = {
        "<message from='alice@stentor.test/phone' to='bob@stentor.test'/>",
        "<message from='alice@stentor.test' to='bob@stentor.test'/>",
        "<message from='&#x41;LICE@stentor.test.' to='bob@stentor.test'/>",
    };
    static const char *const forged[] = {
        "<message from='bob@stentor.test' to='bob@stentor.test'/>",
        "<message from='alice@stentor.test/desk' to='bob@stentor.test'/>",
        "<message from='alice@elsewhere.test' to='bob@stentor.test'/>",
        "<message from='stentor.test' to='bob@stentor.test'/>",
        "<message from='' to='bob@stentor.test'/>",
        "<presence from='bob@stentor.test'/>",
        "<iq type='get' id='1' from='bob@stentor.test'><ping xmlns='urn:xmpp:ping'/></iq>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(own); i++)
        expect(own[i], "[route message normal bob@stentor.test[ <message from='" ME
                       "' to='bob@stentor.test'></message>]]");
    for (size_t i = 0; i < ARRAY_COUNT(forged); i++)
        expect(forged[i], "<stream:error><invalid-from "
                          "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
                          "</stream:stream>[close invalid-from]");
}

/* First-level elements that are no stanzas, and stanzas in no namespace of ours. */
static void test_not_a_stanza(void **state)
{
    (void)state;
    static const char *const say[] = {
        "<note/>",
        "<message xmlns='jabber:server'/>",
        "<message xmlns=''/>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>",
        "<stream:features/>",
        "<stream:message/>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(say); i++)
        expect(say[i], "<stream:error><unsupported-stanza-type *</stream:error></stream:stream>"
                       "[close unsupported-stanza-type]");
}

/* Presence of one's own: available with show and priority, unavailable, and what it may not be. */
static void test_own_presence(void **state)
{
    (void)state;
    expect("<presence/>",
           "[presence 0 0 '' <presence from='" ME "' to='alice@stentor.test'></presence>]");
    expect("<presence><show>away</show><priority> -7\n</priority><status>x</status></presence>",
           "[presence -7 1 more '' *<status>x</status></presence>]");
    expect("<presence><show>xa</show><priority>127</priority></presence>", "[presence 127 4 *");
    expect("<presence><show>chat</show><priority>-128</priority></presence>", "[presence -128 2 *");
    expect("<presence><show>dancing</show><priority/></presence>",
           "<presence type='error' *<bad-request *");
    expect("<presence><show>dancing</show></presence>", "[presence 0 0 *");
    expect("<presence type='unavailable'/>", "[presence 0 0 'unavailable' <presence *");
    static const char *const bad[] = {"128", "-129", "+1",  "1.0",
                                      "a",   "--1",  "1 2", "99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        uint8_t room[128];
        struct writer text = writer_of(room, sizeof(room));
        write_string(&text, "<presence id='p'><priority>");
        write_string(&text, bad[i]);
        write_string(&text, "</priority></presence>");
        write_u8(&text, 0);
        expect((const char *)room, "<presence type='error' id='p' *<bad-request *");
    }
    expect("<presence type='invisible' id='p'/>", "<presence type='error' id='p' *<bad-request *");
    expect("<presence type='subscribe' id='p'/>", "<presence type='error' id='p' *<bad-request *");
    expect("<presence type='error'/>", "");
}

/* Directed presence goes to users; the server keeps none; subscriptions and probes are refused. */
static void test_directed_presence(void **state)
{
    (void)state;
    expect("<presence to='bob@stentor.test'><show>dnd</show></presence>",
           "[route presence  bob@stentor.test[ <presence from='" ME
           "' to='bob@stentor.test'><show>dnd</show></presence>]]");
    expect("<presence to='bob@stentor.test/x' type='unavailable'/>",
           "[route presence unavailable bob@stentor.test/x[ <presence *");
    expect("<presence to='stentor.test'/>", "");
    expect("<presence to='bob@stentor.test' type='subscribe' id='s'/>",
           "<presence type='error' id='s' from='bob@stentor.test' to='" ME
           "'><error type='cancel'><feature-not-implemented *");
    expect("<presence to='bob@stentor.test' type='probe'/>", "");
    expect("<presence to='eve@elsewhere.test'/>", "<presence type='error' *"
                                                  "<remote-server-not-found *");
}

/* IQs: to a user's resource they are routed; to another's bare address we answer for it. */
static void test_iq(void **state)
{
    (void)state;
    expect("<iq to='bob@stentor.test/desk' type='get' id='1'><q xmlns='x:y'/></iq>",
           "[route iq get bob@stentor.test/desk[ <iq from='" ME
           "' to='bob@stentor.test/desk' type='get' id='1'><q xmlns='x:y'/></iq>]]");
    expect("<iq to='bob@stentor.test/desk' type='result' id='1'/>",
           "[route iq result bob@stentor.test/desk[ <iq *");
    expect("<iq to='" ME "' type='get' id='1'><q xmlns='x:y'/></iq>", "[route iq get " ME "[*");
    expect("<iq to='bob@stentor.test' type='get' id='1'><q xmlns='x:y'/></iq>",
           "<iq type='error' id='1' from='bob@stentor.test' to='" ME "'>" SERVICE_UNAVAILABLE
           "</iq>");
    expect("<iq to='bob@stentor.test' type='result' id='1'/>", "");
    expect("<iq to='stentor.test/x' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
           "<iq type='error' id='1' from='stentor.test/x' *<service-unavailable *");
    expect("<iq to='bob@stentor.test/desk' type='set' id='1'>"
           "<notification xmlns='androidpn:iq:notification'><title>t</title></notification></iq>",
           "<iq type='error' id='1' *<not-allowed *");
}

/* RFC 6120 8.2.3: id, type, and one child. */
static void test_iq_rules(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "<iq type='get' to='bob@stentor.test/x'><q xmlns='x:y'/></iq>",
        "<iq type='get' id='' to='bob@stentor.test/x'><q xmlns='x:y'/></iq>",
        "<iq type='get' id='1' to='bob@stentor.test/x'/>",
        "<iq type='set' id='1'/>",
        "<iq type='get' id='1'>text</iq>",
        "<iq type='get' id='1'><a xmlns='x:y'/><b xmlns='x:y'/></iq>",
        "<iq type='put' id='1'><a xmlns='x:y'/></iq>",
        "<iq id='1'><a xmlns='x:y'/></iq>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        expect(bad[i], "<iq type='error' *<error type='modify'><bad-request "
                       "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
}

/* Every stanza is counted by its kind, every refusal and every drop by itself. */
static void test_counters(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    play_login(&play, "alice", "phone");
    play_say(&play, "<message to='bob@stentor.test'/><message to='stentor.test'/>"
                    "<presence/><presence to='stentor.test'/>"
                    "<iq type='result' id='1'/><message to='bob@stentor.test'>"
                    "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='x'/></message>");
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_STANZAS_IN_MESSAGE), 3);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_STANZAS_IN_PRESENCE), 2);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_STANZAS_IN_IQ), 1);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_STANZA_ERRORS), 1);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_STANZAS_DROPPED), 2);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_ELEMENTS_DROPPED), 1);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_BOUND), 1);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message),      cmocka_unit_test(test_errors_are_final),
        cmocka_unit_test(test_malformed_to), cmocka_unit_test(test_from),
        cmocka_unit_test(test_not_a_stanza), cmocka_unit_test(test_own_presence),
        cmocka_unit_test(test_iq),           cmocka_unit_test(test_directed_presence),
        cmocka_unit_test(test_iq_rules),     cmocka_unit_test(test_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
