/* SPDX-License-Identifier: Apache-2.0
 *
 * Software version: name and version, to the server's address and to none. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "play.h"

static void test_version(void **state)
{
    (void)state;
    static const struct play_line lines[] = {
        {"<iq type='get' id='1' to='stentor.test'><query xmlns='jabber:iq:version'/></iq>",
         "<iq type='result' id='1' from='stentor.test' to='alice@stentor.test/phone'>"
         "<query xmlns='jabber:iq:version'><name>Stentor</name><version>" STENTOR_VERSION
         "</version></query></iq>"},
        {"<iq type='get' id='2'><query xmlns='jabber:iq:version'/></iq>",
         "<iq type='result' id='2' *<name>Stentor</name>*"},
    };
    PLAY_SCRIPT(lines, play_prepare_bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_version)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
