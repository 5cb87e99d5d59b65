/* SPDX-License-Identifier: Apache-2.0
 *
 * Service discovery: server and account say what they are and what they answer, and nothing that
 * configuration turned off. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "play.h"

#define INFO "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"

/* The server's features are the table's rows for it. */
static void test_server(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {"<iq type='get' id='1' to='stentor.test'>" INFO,
         "<iq type='result' id='1' from='stentor.test' to='alice@stentor.test/phone'>"
         "<query xmlns='http://jabber.org/protocol/disco#info'>"
         "<identity category='server' type='im' name='Stentor'/>"
         "<feature var='http://jabber.org/protocol/disco#info'/>"
         "<feature var='http://jabber.org/protocol/disco#items'/>"
         "<feature var='jabber:iq:version'/><feature var='urn:xmpp:ping'/></query></iq>"},
        {"<iq type='get' id='2' to='stentor.test'>"
         "<query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
         "<iq type='result' id='2' from='stentor.test' to='alice@stentor.test/phone'>"
         "<query xmlns='http://jabber.org/protocol/disco#items'/></iq>"},
        {"<iq type='get' id='3' to='stentor.test'>"
         "<query xmlns='http://jabber.org/protocol/disco#info' node='n'/></iq>",
         "<iq type='error' id='3' *<item-not-found *"},
        {"<iq type='get' id='4' to='stentor.test'>"
         "<query xmlns='http://jabber.org/protocol/disco#items' node='n'/></iq>",
         "<iq type='error' id='4' *<item-not-found *"},
    };
    PLAY_SCRIPT(lines, play_prepare_bound);
}

/* The user's own account, by its address and by none. */
static void test_account(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {"<iq type='get' id='1' to='alice@stentor.test'>" INFO,
         "<iq type='result' id='1' from='alice@stentor.test' *"
         "<identity category='account' type='registered'/>*<feature var='urn:xmpp:ping'/>*"},
        {"<iq type='get' id='2'>" INFO, "*<identity category='account' type='registered'/>*"},
        {"<iq type='get' id='3' to='bob@stentor.test'>" INFO, "*<service-unavailable *"},
    };
    PLAY_SCRIPT(lines, play_prepare_bound);
}

/* Registration shows only where it is on. */
static void test_register(void **state)
{
    (void)state;
    struct play play;
    struct config config;
    play_config(&config);
    config.xmpp_registration = true;
    play_begin_configured(&play, &config);
    play_login(&play, "alice", "phone");
    play_say(&play, "<iq type='get' id='1' to='stentor.test'>" INFO);
    assert_true(play_hears(&play, "*<feature var='jabber:iq:register'/>*"));
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_account),
        cmocka_unit_test(test_register),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
