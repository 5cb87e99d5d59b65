/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of: control_sessions, control_users, data_folder, privileges, threads, ctl/arguments,
 * ctl/client, ctl/main, ctl/table, ctl/verb_push, ctl/verb_server, ctl/verb_session,
 * ctl/verb_user, ctl/verbs, ctl/password, ctl/progress.
 * What only a server on threads with its admin API has: live.py drives one over TAP by every verb
 * of stentorctl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Accounts, sessions, pushes, kicks, locks, privileges, a stop and a second start. */
static void every_verb_on_a_live_server(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* a TAP device needs root */
    int status = system("/usr/bin/python3 -B '" STENTOR_SOURCE_ROOT "/tests/server/live.py'");
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_verb_on_a_live_server)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
