/* SPDX-License-Identifier: Apache-2.0
 *
 * Resource binding: asked for, made up, malformed, refused and asked twice. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "play.h"

#define BIND(content)                                                                              \
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" content "</bind></iq>"
#define BOUND(resource)                                                                            \
    "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"                     \
    "<jid>alice@stentor.test/" resource "</jid></bind></iq>"

static void prepare(struct play *play)
{
    play_say(play, PLAY_HEADER);
    play_auth_plain(play, "alice", "pencil");
    play_say(play, PLAY_HEADER);
    play_heard(play);
}

static void expect(const char *say, const char *hear)
{
    struct play_line lines[] = {{say, hear}};
    PLAY_SCRIPT(lines, prepare);
}

/* A wish is prepared and granted; without one a name is made up. */
static void test_granted(void **state)
{
    (void)state;
    expect(BIND("<resource>phone</resource>"), BOUND("phone"));
    expect(BIND("<resource>a &lt;b&gt;</resource>"), BOUND("a &lt;b&gt;"));
    expect(BIND("<resource>e\u0301</resource>"), BOUND("\u00e9"));
    expect(BIND(""), BOUND("*"));
    expect(BIND("<resource/>"), BOUND("*"));
    expect("<iq type='set' id='b' to='stentor.test'><bind "
           "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>",
           "<iq type='result' id='b' from='stentor.test'>*<jid>alice@stentor.test/r</jid>*");
}

/* Made-up names differ from one stream to the next and are long enough not to be guessed. */
static void test_made_up(void **state)
{
    (void)state;
    struct play play;
    uint8_t first[64];
    play_begin(&play);
    prepare(&play);
    play_say(&play, BIND(""));
    assert_true(play.own.resource.size >= 20);
    memcpy(first, play.own.resource.at, 20);
    play_reconnect(&play);
    prepare(&play);
    play_say(&play, BIND(""));
    assert_memory_not_equal(play.own.resource.at, first, 20);
    play_end(&play);
}

/* What is no resource, what is no bind request; the stream stays and may ask again. */
static void test_malformed(void **state)
{
    (void)state;
    static char text[2048] = "<iq type='set' id='b'><bind "
                             "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>";
    size_t start = strlen(text);
    memset(text + start, 'r', JID_PART_SIZE_MAX + 1);
    strcat(text, "</resource></bind></iq>");
    expect(text, "<iq type='error' id='b'><error type='modify'><bad-request *");
    expect(BIND("<resource>\t</resource>"), "<iq type='error' id='b'>*<bad-request *");
    expect("<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
           "<iq type='error'>*<bad-request *");
    expect("<iq type='get' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
           "<iq type='error' id='b'>*<service-unavailable *");
    struct play_line lines[] = {{BIND("<resource>\t</resource>"), "*<bad-request *"},
                                {BIND("<resource>r</resource>"), BOUND("r")}};
    PLAY_SCRIPT(lines, prepare);
    memset(text, 'i', sizeof(text));
    memcpy(text, "<iq type='set' id='", 19);
    strcpy(text + 19 + 257, "'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    expect(text, "<iq type='error' id='iii*<bad-request *");
}

/* The session floor may refuse; then nothing is bound and the client may ask again. */
static void test_refused(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    prepare(&play);
    play.bind_error = STANZA_ERROR_RESOURCE_CONSTRAINT;
    play_say(&play, BIND("<resource>phone</resource>"));
    assert_true(play_hears(&play, "<iq type='error' id='b'><error type='wait'>"
                                  "<resource-constraint "
                                  "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"));
    assert_false(stream_is_bound(&play.stream));
    play.bind_error = STANZA_ERROR_NONE;
    play_say(&play, BIND("<resource>phone</resource>"));
    assert_true(play_hears(&play, BOUND("phone")));
    assert_true(stream_is_bound(&play.stream));
    play_end(&play);
}

/* The effect names the account, and the stream waits for the answer. */
static void test_effect(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    prepare(&play);
    play.store = PLAY_STORE_SILENT;
    play_say(&play, BIND("<resource>phone</resource>"));
    assert_int_equal(play.asked.kind, EFFECT_BIND);
    assert_int_equal(play.asked.bind.account, 1);
    assert_true(bytes_equal(play.asked.bind.local, BYTES("alice")));
    assert_true(stream_is_waiting(&play.stream));
    play_end(&play);
}

/* One resource a stream; a session request of old clients is answered. */
static void test_when_bound(void **state)
{
    (void)state;
    struct play_line lines[] = {
        {BIND("<resource>desk</resource>"),
         "<iq type='error' id='b' *<error type='cancel'><not-allowed *"},
        {"<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
         "<iq type='result' id='s' from='alice@stentor.test' to='alice@stentor.test/phone'/>"},
    };
    PLAY_SCRIPT(lines, play_prepare_bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_granted), cmocka_unit_test(test_made_up),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_effect),  cmocka_unit_test(test_when_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
