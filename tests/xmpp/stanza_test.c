/* SPDX-License-Identifier: Apache-2.0
 *
 * Stanzas the server writes itself: errors that answer, and presence on a user's behalf. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "stanza_read.h"

static struct jid jid_of(const char *text)
{
    struct jid jid = {0};
    if (text[0] != '\0')
        assert_int_equal(jid_split(bytes_of_string(text), &jid), ERROR_NONE);
    return jid;
}

static void expect_text(const struct writer *into, const char *text)
{
    assert_false(into->is_overflown);
    if (!bytes_equal(writer_bytes(into), bytes_of_string(text)))
        fail_msg("%.*s\nexpected %s", (int)into->size, (const char *)into->at, text);
}

/* Kind and id stay, addresses change sides, condition and type come from the table. */
static void test_error(void **state)
{
    (void)state;
    uint8_t room[1024];
    struct writer into = writer_of(room, sizeof(room));
    struct stanza stanza = {.kind = STANZA_MESSAGE,
                            .type = STANZA_MESSAGE_CHAT,
                            .id = BYTES("7&amp;"),
                            .from = jid_of("a@d/<r>"),
                            .to = jid_of("b@d")};
    stanza_write_error(&into, &stanza, STANZA_ERROR_RECIPIENT_UNAVAILABLE);
    expect_text(&into, "<message type='error' id='7&amp;' from='b@d' to='a@d/&lt;r&gt;'>"
                       "<error type='wait'><recipient-unavailable "
                       "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>");
}

/* An id with an apostrophe is quoted the other way; no id is not written. */
static void test_id(void **state)
{
    (void)state;
    uint8_t room[64];
    struct writer into = writer_of(room, sizeof(room));
    stanza_write_id(&into, BYTES("it's"));
    expect_text(&into, " id=\"it's\"");
    into.size = 0;
    stanza_write_id(&into, BYTES("say \"x\""));
    expect_text(&into, " id='say \"x\"'");
    into.size = 0;
    stanza_write_id(&into, BYTES(""));
    expect_text(&into, "");
}

/* The promised room suffices for the largest addresses, every octet of which is escaped. */
static void test_room(void **state)
{
    (void)state;
    static uint8_t room[STANZA_REPLY_BYTES_MAX(300)];
    static char text[JID_SIZE_MAX + 1];
    char id[300];
    struct writer into = writer_of(room, sizeof(room));
    memset(id, 'i', sizeof(id));
    memset(text, '"', JID_SIZE_MAX);
    struct bytes part = bytes_of(text, JID_PART_SIZE_MAX);
    struct jid jid = {part, part, part};
    struct stanza stanza = {.kind = STANZA_PRESENCE,
                            .type = STANZA_PRESENCE_AVAILABLE,
                            .id = bytes_of(id, sizeof(id)),
                            .from = jid,
                            .to = jid};
    stanza_write_error(&into, &stanza, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND);
    assert_false(into.is_overflown);
    into.size = 0;
    struct presence presence = {.from = jid,
                                .to = jid,
                                .type = STANZA_PRESENCE_AVAILABLE,
                                .show = PRESENCE_SHOW_AWAY,
                                .priority = -128};
    presence_write(&into, &presence);
    assert_false(into.is_overflown);
}

/* Which stanzas may be answered with an error at all. */
static void test_may_bounce(void **state)
{
    (void)state;
    static const bool may[STANZA_TYPE_COUNT] = {
        [STANZA_MESSAGE_NORMAL] = true,
        [STANZA_MESSAGE_CHAT] = true,
        [STANZA_MESSAGE_GROUPCHAT] = true,
        [STANZA_MESSAGE_HEADLINE] = true,
        [STANZA_PRESENCE_AVAILABLE] = true,
        [STANZA_PRESENCE_SUBSCRIBE] = true,
        [STANZA_PRESENCE_SUBSCRIBED] = true,
        [STANZA_PRESENCE_UNSUBSCRIBE] = true,
        [STANZA_PRESENCE_UNSUBSCRIBED] = true,
        [STANZA_PRESENCE_PROBE] = true,
        [STANZA_IQ_GET] = true,
        [STANZA_IQ_SET] = true,
    };
    for (uint32_t type = 0; type < STANZA_TYPE_COUNT; type++) {
        struct stanza stanza = {.type = (enum stanza_type)type};
        assert_int_equal(stanza_may_bounce(&stanza), may[type]);
    }
}

/* Presence: plain, with show and priority, unavailable, with and without `to`. */
static void test_presence(void **state)
{
    (void)state;
    uint8_t room[512];
    struct writer into = writer_of(room, sizeof(room));
    struct presence presence = {.from = jid_of("a@d/r"), .type = STANZA_PRESENCE_AVAILABLE};
    presence_write(&into, &presence);
    expect_text(&into, "<presence from='a@d/r'/>");
    into.size = 0;
    presence.to = jid_of("a@d");
    presence.show = PRESENCE_SHOW_DND;
    presence.priority = -128;
    presence_write(&into, &presence);
    expect_text(&into, "<presence from='a@d/r' to='a@d'><show>dnd</show>"
                       "<priority>-128</priority></presence>");
    into.size = 0;
    presence.type = STANZA_PRESENCE_UNAVAILABLE;
    presence_write(&into, &presence);
    expect_text(&into, "<presence from='a@d/r' to='a@d' type='unavailable'/>");
}

/* Names both ways. */
static void test_names(void **state)
{
    (void)state;
    assert_string_equal(stanza_kind_name(STANZA_IQ), "iq");
    assert_string_equal(stanza_type_name(STANZA_PRESENCE_PROBE), "probe");
    assert_string_equal(stanza_error_condition(STANZA_ERROR_NONE), "");
    assert_string_equal(stanza_error_condition(STANZA_ERROR_UNEXPECTED_REQUEST),
                        "unexpected-request");
    for (uint32_t show = 1; show <= PRESENCE_SHOW_XA; show++)
        assert_int_equal(
            presence_show_find(bytes_of_string(presence_show_name((enum presence_show)show))),
            show);
    assert_int_equal(presence_show_find(BYTES("")), PRESENCE_SHOW_NONE);
    assert_int_equal(presence_show_find(BYTES("Away")), PRESENCE_SHOW_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error),    cmocka_unit_test(test_id),
        cmocka_unit_test(test_room),     cmocka_unit_test(test_may_bounce),
        cmocka_unit_test(test_presence), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
