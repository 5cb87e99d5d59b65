/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of the road for a false assertion: one line on standard error with write(2), because
 * neither heap nor stdio can be trusted any more, then abort() so that a core is left. */
#include "stentor/assert.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(const char *text)
{
    size_t left = strlen(text);
    while (left != 0) {
        ssize_t written = write(STDERR_FILENO, text, left);
        if (written <= 0)
            return;
        text += written;
        left -= (size_t)written;
    }
}

_Noreturn void assert_fail(const char *condition, const char *file, int line)
{
    char digits[12];
    char *digit = digits + sizeof digits - 1;
    unsigned int rest = line > 0 ? (unsigned int)line : 0;
    *digit = '\0';
    do {
        *--digit = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);

    put("stentor: assertion failed: ");
    put(condition);
    put(" at ");
    put(file);
    put(":");
    put(digit);
    put("\n");
    abort();
}
