/* SPDX-License-Identifier: Apache-2.0
 *
 * stentorctl: the operator's command line, a client of the admin API (docs/API.md). Streams in,
 * exit status out; the work is ctl_run()'s. */
#include <locale.h>
#include <unistd.h>

#include "ctl.h"

int main(int argc, char **argv)
{
    static struct ctl ctl;
    setlocale(LC_CTYPE, "C.UTF-8"); /* for the widths of characters; the protocol is UTF-8 */
    heap_init(&ctl.heap, CTL_HEAP_BYTES_MAX);
    ctl.in = stdin;
    ctl.out = stdout;
    ctl.err = stderr;
    ctl.is_terminal = isatty(STDERR_FILENO) != 0;
    return (int)ctl_run(&ctl, argc, argv);
}
