/* SPDX-License-Identifier: Apache-2.0
 *
 * Ping to the server, to the own account and to nobody in particular. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "play.h"

#define PING "<ping xmlns='urn:xmpp:ping'/></iq>"

static void test_ping(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {"<iq type='get' id='1' to='stentor.test'>" PING,
         "<iq type='result' id='1' from='stentor.test' to='alice@stentor.test/phone'/>"},
        {"<iq type='get' id='2' to='alice@stentor.test'>" PING,
         "<iq type='result' id='2' from='alice@stentor.test' to='alice@stentor.test/phone'/>"},
        {"<iq type='get' id='3'>" PING, "<iq type='result' id='3' *"},
    };
    PLAY_SCRIPT(lines, play_prepare_bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ping)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
