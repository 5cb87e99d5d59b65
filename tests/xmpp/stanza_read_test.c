/* SPDX-License-Identifier: Apache-2.0
 *
 * The stamp: whatever a client writes into its root tag and first-level children, what goes on has
 * one `from`, the true one, and reads as one element with the same content. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "play.h"
#include "stanza_read.h"

#define FROM_TO "from='alice@stentor.test/phone' to='bob@stentor.test'"

/* Says it as a bound client; the rendered stanza must match, and must read again as one stanza. */
static void expect(struct play *play, const char *say, const char *rendered)
{
    char text[4096];
    static const char before[] = "[route message normal bob@stentor.test[ ";
    play_say(play, say);
    snprintf(text, sizeof(text), "%s", play_heard(play));
    assert_memory_equal(text, before, sizeof(before) - 1);
    char *start = text + sizeof(before) - 1;
    size_t size = strlen(start) - 2; /* ]] */
    start[size] = '\0';
    if (!play_matches(start, rendered))
        fail_msg("rendered: %s\nexpected: %s", start, rendered);
    struct xml_input input = xml_input_of(bytes_of(start, size));
    struct xml_item item;
    const struct xml_limits *limits = xmpp_limits_max(play->xmpp);
    assert_int_equal(xml_read(play->reader, XML_SCOPE_CLIENT, limits, &input, &item), XML_DONE);
    assert_int_equal(item.size, size);
    assert_true(
        xml_attribute_is(&item, xml_root(&item), BYTES("from"), BYTES("alice@stentor.test/phone")));
    assert_true(xml_name_is(&item, xml_root(&item), XML_NS_CLIENT, BYTES("message")));
}

/* Attributes, quotes, prefixes and declarations survive; from and to are replaced in place. */
static void test_root_tag(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    play_login(&play, "alice", "phone");
    expect(&play, "<message to=\"bob@stentor.test\" id=\"a'b\" xml:lang='ja'><body/></message>",
           "<message " FROM_TO " id=\"a'b\" xml:lang='ja'><body/></message>");
    expect(&play,
           "<c:message xmlns:c='jabber:client' to='bob@stentor.test'><c:body>x</c:body>"
           "</c:message>",
           "<c:message " FROM_TO " xmlns:c='jabber:client'><c:body>x</c:body></c:message>");
    expect(&play,
           "<message to='bob@stentor.test' from='alice@stentor.test' xmlns:x='u:v' "
           "x:from='eve' x:to='eve'><x:a/></message >",
           "<message " FROM_TO " xmlns:x='u:v' x:from='eve' x:to='eve'><x:a/></message>");
    expect(&play, "<message to='bob@stentor.test'/>", "<message " FROM_TO "></message>");
    expect(&play, "<message xmlns='jabber:client' to='bob@stentor.test'\n\t/>",
           "<message " FROM_TO " xmlns='jabber:client'></message>");
    expect(&play, "<message to='b&#111;b@stentor.test'>&lt;a&gt;<![CDATA[<from>]]></message>",
           "<message " FROM_TO ">&lt;a&gt;<![CDATA[<from>]]></message>");
    play_end(&play);
}

/* Children that only a server may say are left out, every instance; lookalikes stay. */
static void test_children(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    play_login(&play, "alice", "phone");
    expect(&play,
           "<message to='bob@stentor.test'>a<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='x'/>b"
           "<s:stanza-id xmlns:s='urn:xmpp:sid:0' id='2' by='y'/>c</message>",
           "<message " FROM_TO ">abc</message>");
    expect(&play,
           "<message to='bob@stentor.test'><delay xmlns='urn:xmpp:delay' from='Stentor.test' "
           "stamp='x'/><delay xmlns='urn:xmpp:delay' from='bob@stentor.test' stamp='y'/>"
           "<delay xmlns='urn:xmpp:delay' from='room@elsewhere.test' stamp='z'/></message>",
           "<message " FROM_TO "><delay xmlns='urn:xmpp:delay' from='room@elsewhere.test' "
           "stamp='z'/></message>");
    expect(&play,
           "<message to='bob@stentor.test'><notification xmlns='androidpn:iq:notification'>"
           "<title>t</title></notification><occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/>"
           "<body>b</body></message>",
           "<message " FROM_TO "><body>b</body></message>");
    expect(&play,
           "<message to='bob@stentor.test'><stanza-id xmlns='u:v'/>"
           "<origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>",
           "<message " FROM_TO "><stanza-id xmlns='u:v'/>"
           "<origin-id xmlns='urn:xmpp:sid:0' id='o'/></message>");
    play_end(&play);
}

/* Own resource and the recipient's are escaped where they are stamped. */
static void test_escaping(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    play_login(&play, "alice", "&lt;'&quot;&gt;");
    assert_true(bytes_equal(play.own.resource, BYTES("<'\">")));
    play_say(&play, "<message to='bob@stentor.test/&apos;&amp;'/>");
    assert_true(play_hears(&play, "[route message normal bob@stentor.test/'&[ <message "
                                  "from='alice@stentor.test/&lt;&#39;&quot;&gt;' "
                                  "to='bob@stentor.test/&#39;&amp;'></message>]]"));
    play_end(&play);
}

/* On a stream without a default namespace, what is in no namespace stays there for a receiver who
 * has a default one: nobody's content is read as something it was not. */
static void test_no_default_namespace(void **state)
{
    (void)state;
    static const char header[] = "<stream:stream to='stentor.test' version='1.0' "
                                 "xmlns:stream='http://etherx.jabber.org/streams'>";
    struct play play;
    play_begin(&play);
    play_say(&play, header);
    play_auth_plain(&play, "alice", "pencil");
    play_say(&play, header);
    play_say(&play, "<iq xmlns='jabber:client' type='set' id='b'><bind "
                    "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>phone</resource></bind>"
                    "</iq>");
    assert_true(stream_is_bound(&play.stream));
    play_heard(&play);
    expect(&play,
           "<c:message xmlns:c='jabber:client' to='bob@stentor.test'><body/><c:body/></c:message>",
           "<c:message " FROM_TO " xmlns='' xmlns:c='jabber:client'><body/><c:body/></c:message>");
    expect(&play,
           "<c:message xmlns:c='jabber:client' xmlns='u:v' to='bob@stentor.test'><body/>"
           "</c:message>",
           "<c:message " FROM_TO " xmlns:c='jabber:client' xmlns='u:v'><body/></c:message>");
    expect(&play, "<message xmlns='jabber:client' to='bob@stentor.test'><body/></message>",
           "<message " FROM_TO " xmlns='jabber:client'><body/></message>");
    play_say(&play, "<message to='bob@stentor.test'/>");
    assert_true(play_hears(&play, "<stream:error><unsupported-stanza-type *"));
    play_end(&play);
}

/* The largest stanza that the limits let in can be stamped, and one octet more is refused. */
static void test_largest(void **state)
{
    (void)state;
    struct play play;
    struct config config;
    play_config(&config);
    config.xmpp_stanza_bytes = 10000;
    static char text[16384];
    static const char start[] = "<message to='bob@stentor.test'>";
    static const char end[] = "</message>";
    for (uint32_t extra = 0; extra < 2; extra++) {
        play_begin_configured(&play, &config);
        play_login(&play, "alice", "phone");
        size_t size = 10000 + extra - (sizeof(start) - 1) - (sizeof(end) - 1);
        snprintf(text, sizeof(text), "%s%*s%s", start, (int)size, "", end);
        assert_int_equal(strlen(text), 10000 + extra);
        play_say(&play, text);
        assert_true(play_hears(&play, extra == 0 ? "[route message *"
                                                 : "<stream:error><policy-violation *"
                                                   "[close policy-violation]"));
        play_end(&play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_tag), cmocka_unit_test(test_children),
        cmocka_unit_test(test_escaping), cmocka_unit_test(test_no_default_namespace),
        cmocka_unit_test(test_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
