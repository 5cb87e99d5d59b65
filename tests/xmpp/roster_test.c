/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients ask for at login and wait for: an empty roster, an empty vCard. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "play.h"

static void test_empty(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {"<iq type='get' id='1'><query xmlns='jabber:iq:roster' ver=''/></iq>",
         "<iq type='result' id='1' from='alice@stentor.test' to='alice@stentor.test/phone'>"
         "<query xmlns='jabber:iq:roster'/></iq>"},
        {"<iq type='get' id='2' to='alice@stentor.test'><vCard xmlns='vcard-temp'/></iq>",
         "<iq type='result' id='2' from='alice@stentor.test' to='alice@stentor.test/phone'>"
         "<vCard xmlns='vcard-temp'/></iq>"},
    };
    PLAY_SCRIPT(lines, play_prepare_bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
