/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers, stream errors and the end: each bad header and each bad octet has its condition, with a
 * header before it and an end tag behind it, and a counter. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "play.h"

#define OURS                                                                                       \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                                   \
    "xmlns:stream='http://etherx.jabber.org/streams' id='*' from='stentor.test'* version='1.0' "   \
    "xml:lang='en'>"
#define ERROR_OF(condition)                                                                        \
    "<stream:error><" condition " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>*</stream:error>"   \
    "</stream:stream>[close " condition "]"

static void refuse_header(const char *header, const char *pattern)
{
    struct play_line lines[] = {{header, pattern}};
    PLAY_SCRIPT(lines, NULL);
}

/* RFC 6120 4.7 to 4.9: every way in which a header can be wrong. */
static void test_bad_headers(void **state)
{
    (void)state;
    refuse_header("<stream:stream to='elsewhere.test' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                  OURS ERROR_OF("host-unknown"));
    refuse_header("<stream:stream to='alice@stentor.test' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                  OURS ERROR_OF("host-unknown"));
    refuse_header("<stream:stream to='' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                  OURS ERROR_OF("host-unknown"));
    refuse_header("<stream:stream to='stentor.test' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams'>",
                  OURS ERROR_OF("unsupported-version"));
    refuse_header("<stream:stream to='stentor.test' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='0.9'>",
                  OURS ERROR_OF("unsupported-version"));
    refuse_header("<stream:stream to='stentor.test' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1'>",
                  OURS ERROR_OF("unsupported-version"));
    refuse_header("<stream:stream to='stentor.test' xmlns='jabber:server' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                  OURS ERROR_OF("invalid-namespace"));
    refuse_header("<stream:stream to='stentor.test' xmlns='jabber:nothing' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                  OURS ERROR_OF("invalid-namespace"));
    refuse_header("<stream:stream to='stentor.test' xmlns='jabber:client' "
                  "xmlns:stream='http://wrong.example' version='1.0'>",
                  OURS ERROR_OF("invalid-namespace"));
    refuse_header("<stream:river to='stentor.test' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                  OURS ERROR_OF("bad-format"));
    refuse_header("<s:stream to='stentor.test' xmlns='jabber:client' "
                  "xmlns:s='http://etherx.jabber.org/streams' version='1.0'>",
                  OURS ERROR_OF("bad-namespace-prefix"));
    refuse_header("<?xml version='1.0' encoding='latin1'?>", OURS ERROR_OF("unsupported-encoding"));
    refuse_header("<!DOCTYPE x>", OURS ERROR_OF("restricted-xml"));
    refuse_header("GET / HTTP/1.1\r\n\r\n", OURS ERROR_OF("not-well-formed"));
    refuse_header("\x16\x03\x01\x02", OURS ERROR_OF("not-well-formed"));
}

/* Headers that are taken: no `to`, capital letters and a root dot, version 1.7, a `from`. */
static void test_good_headers(void **state)
{
    (void)state;
    refuse_header("<stream:stream xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.7'>",
                  OURS "<stream:features>*</stream:features>");
    refuse_header("<stream:stream to='Stentor.TEST.' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                  OURS "<stream:features>*</stream:features>");
    refuse_header("<stream:stream from='Alice@stentor.test/x' xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
                  "*from='stentor.test' to='alice@stentor.test' version='1.0' "
                  "xml:lang='en'><stream:features>*</stream:features>");
}

/* Each restart has a new id, and after authentication `from` must be the user's. */
static void test_restart(void **state)
{
    (void)state;
    struct play play;
    char first[8192];
    play_begin(&play);
    play_say(&play, PLAY_HEADER);
    snprintf(first, sizeof(first), "%s", strstr(play_heard(&play), " id='"));
    play_auth_plain(&play, "alice", "pencil");
    assert_true(play_hears(&play, "<success *"));
    assert_true(stream_awaits_header(&play.stream));
    assert_true(stream_is_authenticated(&play.stream));
    play_say(&play, PLAY_HEADER);
    assert_memory_not_equal(strstr(play_heard(&play), " id='"), first, 37);
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play_auth_plain(&play, "alice", "pencil");
    play_heard(&play);
    play_say(&play, "<stream:stream from='bob@stentor.test' xmlns='jabber:client' "
                    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>");
    assert_true(play_hears(&play, OURS ERROR_OF("invalid-from")));
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play_auth_plain(&play, "alice", "pencil");
    play_heard(&play);
    play_say(&play, "<stream:stream to='elsewhere.test' xmlns='jabber:client' "
                    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>");
    assert_true(play_hears(&play, OURS ERROR_OF("host-unknown")));
    play_end(&play);
}

/* XML that cannot stand, on an open stream and on a bound one. */
static void test_bad_xml(void **state)
{
    (void)state;
    static const struct {
        const char *say;
        const char *hear;
    } cases[] = {
        {"<message></iq>", ERROR_OF("not-well-formed")},
        {"<message a='1' a='2'/>", ERROR_OF("not-well-formed")},
        {"<message><x:y/></message>", ERROR_OF("not-well-formed")},
        {"<message>&nbsp;</message>", ERROR_OF("restricted-xml")},
        {"<!-- hm -->", ERROR_OF("restricted-xml")},
        {"<?php ?>", ERROR_OF("restricted-xml")},
        {"<message>\xff</message>", ERROR_OF("not-well-formed")},
        {"<message>\x01</message>", ERROR_OF("not-well-formed")},
        {"words", ERROR_OF("not-well-formed")},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct play_line open[] = {{PLAY_HEADER, "*"}, {cases[i].say, cases[i].hear}};
        struct play_line bound[] = {{cases[i].say, cases[i].hear}};
        PLAY_SCRIPT(open, NULL);
        PLAY_SCRIPT(bound, play_prepare_bound);
    }
}

/* Before authentication nothing but authentication is heard; every refusal is counted. */
static void test_too_early(void **state)
{
    (void)state;
    static const char *const early[] = {
        "<message to='bob@stentor.test'><body>x</body></message>",
        "<presence/>",
        "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<foo xmlns='bar'/>",
        "<stream:features/>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(early); i++) {
        struct play_line lines[] = {{PLAY_HEADER, "*"}, {early[i], ERROR_OF("not-authorized")}};
        PLAY_SCRIPT(lines, NULL);
    }
    struct play play;
    play_begin(&play);
    play_say(&play, PLAY_HEADER);
    play_say(&play, early[0]);
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_STREAM_ERROR_NOT_AUTHORIZED), 1);
    assert_int_equal(play.close_error, STREAM_ERROR_NOT_AUTHORIZED);
    assert_true(stream_is_closing(&play.stream));
    play_end(&play);
}

/* After authentication and before binding only bind is heard. */
static void test_too_early_to_speak(void **state)
{
    (void)state;
    static const char *const early[] = {
        "<message to='bob@stentor.test'/>",
        "<presence/>",
        "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='result' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>",
    };
    for (size_t i = 0; i < ARRAY_COUNT(early); i++) {
        struct play_line lines[] = {
            {PLAY_HEADER, "*"},
            {"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
             "AGFsaWNlAHBlbmNpbA==</auth>",
             "<success *"},
            {PLAY_HEADER, "*"},
            {early[i], ERROR_OF("not-authorized")},
        };
        PLAY_SCRIPT(lines, NULL);
    }
}

/* STARTTLS is not offered: it fails, and the stream ends (RFC 6120 5.4.2.2). */
static void test_starttls(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {PLAY_HEADER, "*"},
        {"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
         "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>[close ]"},
    };
    PLAY_SCRIPT(lines, NULL);
}

/* The end by the client, in both states; a stream error of the client's is answered by the end. */
static void test_end(void **state)
{
    (void)state;
    static const struct play_line open[] = {{PLAY_HEADER, "*"},
                                            {"</stream:stream>", "</stream:stream>[close ]"}};
    static const struct play_line bound[] = {{"</stream:stream>", "</stream:stream>[close ]"}};
    static const struct play_line error[] = {
        {"<stream:error><x xmlns='y'/></stream:error>", "</stream:stream>[close ]"}};
    PLAY_SCRIPT(open, NULL);
    PLAY_SCRIPT(bound, play_prepare_bound);
    PLAY_SCRIPT(error, play_prepare_bound);
}

static void hear_close(struct play *play, enum stream_error error, const char *pattern)
{
    struct xmpp_output output;
    struct xmpp_peer peer = play_peer(play);
    char text[4096];
    assert_int_equal(xmpp_close(play->xmpp, &peer, error, &output), XMPP_CLOSE);
    assert_int_equal(output.effect_count, 1);
    assert_int_equal(output.effects[0].kind, EFFECT_CLOSE);
    snprintf(text, sizeof(text), "%.*s[close %s]", (int)output.out.size,
             (const char *)output.out.at, stream_error_condition(output.effects[0].close.error));
    if (!play_matches(text, pattern))
        fail_msg("%s", text);
    assert_int_equal(xmpp_negotiation_count(play->xmpp), 0); /* it ended: nothing is lent */
    /* A second wish to close, and further input, mean nothing. */
    assert_int_equal(xmpp_close(play->xmpp, &peer, error, &output), XMPP_CLOSE);
    assert_int_equal(output.effect_count, 0);
    assert_int_equal(output.out.size, 0);
}

/* The end by us in every state: a whole stream is on the wire in each. */
static void test_close(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    hear_close(&play, STREAM_ERROR_CONNECTION_TIMEOUT, OURS ERROR_OF("connection-timeout"));
    play_reconnect(&play);
    hear_close(&play, STREAM_ERROR_NONE, OURS "</stream:stream>[close ]");
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    hear_close(&play, STREAM_ERROR_SYSTEM_SHUTDOWN, ERROR_OF("system-shutdown"));
    play_reconnect(&play);
    play_login(&play, "alice", "phone");
    hear_close(&play, STREAM_ERROR_CONFLICT, ERROR_OF("conflict"));
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play.store = PLAY_STORE_SILENT;
    play_auth_plain(&play, "alice", "pencil");
    assert_true(stream_is_waiting(&play.stream));
    hear_close(&play, STREAM_ERROR_CONNECTION_TIMEOUT, "*" ERROR_OF("connection-timeout"));
    assert_false(stream_is_waiting(&play.stream));
    play_end(&play);
}

/* Every XML fault that the reader knows has a condition in the table, and a counter by name. */
static void test_conditions(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < XML_FAULT_COUNT; i++)
        assert_int_not_equal(stream_error_find(xml_fault_condition((enum xml_fault)i)),
                             STREAM_ERROR_UNDEFINED_CONDITION);
    for (uint32_t i = 1; i < STREAM_ERROR_COUNT; i++)
        assert_int_equal(stream_error_find(stream_error_condition((enum stream_error)i)), i);
    assert_int_equal(stream_error_find("no-such"), STREAM_ERROR_UNDEFINED_CONDITION);
    assert_string_equal(stream_error_condition(STREAM_ERROR_NONE), "");
    assert_string_equal(stream_state_name(STREAM_BOUND), "bound");
}

/* White space is a sign of life in every state and is not answered. */
static void test_whitespace(void **state)
{
    (void)state;
    static const struct play_line lines[] = {{PLAY_HEADER, "*"}, {" ", ""}, {"\n\t \r\n", ""}};
    static const struct play_line bound[] = {{" ", ""}, {"   ", ""}};
    PLAY_SCRIPT(lines, NULL);
    PLAY_SCRIPT(bound, play_prepare_bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_good_headers),
        cmocka_unit_test(test_restart),     cmocka_unit_test(test_bad_xml),
        cmocka_unit_test(test_too_early),   cmocka_unit_test(test_too_early_to_speak),
        cmocka_unit_test(test_starttls),    cmocka_unit_test(test_end),
        cmocka_unit_test(test_close),       cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_whitespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
