/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole dialogues: what a client says and what the server must answer, from header to end tag. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "play.h"

/* A client goes the whole way: header, PLAIN, restart, bind, presence, message, end. */
static void test_whole_life(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {PLAY_HEADER, "<?xml version='1.0'?><stream:stream *id='*' from='stentor.test' *>"
                      "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                      "<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>"
                      "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"},
        {"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
         "AGFsaWNlAHBlbmNpbA==</auth>",
         "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"},
        {PLAY_HEADER, "<?xml *<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                      "<session *></session></stream:features>"},
        {"<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
         "<resource>phone</resource></bind></iq>",
         "<iq type='result' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
         "<jid>alice@stentor.test/phone</jid></bind></iq>"},
        {"<presence><priority>5</priority></presence>",
         "[presence 5 0 '' <presence from='alice@stentor.test/phone' to='alice@stentor.test'>"
         "<priority>5</priority></presence>]"},
        {"  \n", ""},
        {"<message to='bob@stentor.test' type='chat'><body>hi</body></message>",
         "[route message chat bob@stentor.test[ <message from='alice@stentor.test/phone' "
         "to='bob@stentor.test' type='chat'><body>hi</body></message>]]"},
        {"</stream:stream>", "</stream:stream>[close ]"},
    };
    PLAY_SCRIPT(lines, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
