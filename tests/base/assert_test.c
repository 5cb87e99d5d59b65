/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/base/assert.c: a false assertion ends the process by SIGABRT and says which and
 * where; a true one costs nothing, and its condition is looked at once. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "stentor/assert.h"

/* Fails an assertion in a child that has only its standard error, without leaving a core. */
static _Noreturn void fail_in_child(int error_output)
{
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL);
    dup2(error_output, STDERR_FILENO);
    ASSERT(1 + 1 == 3);
    _exit(0);
}

/* The last words name condition, file and line, and the end is SIGABRT. */
static void false_assertion_ends_the_process(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        fail_in_child(ends[1]);
    close(ends[1]);
    char words[256] = {0};
    ssize_t size = read(ends[0], words, sizeof words - 1);
    for (ssize_t more = size; more > 0 && (size_t)size < sizeof words - 1; size += more)
        more = read(ends[0], words + size, sizeof words - 1 - (size_t)size);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(words, "assertion failed: 1 + 1 == 3 at "));
    assert_non_null(strstr(words, "assert_test.c:27\n"));
}

/* A true condition goes on, and what it does is done once. */
static void true_assertion_goes_on(void **state)
{
    (void)state;
    int looked = 0;
    ASSERT(++looked == 1);
    assert_int_equal(looked, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_assertion_ends_the_process),
        cmocka_unit_test(true_assertion_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
