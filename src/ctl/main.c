/* SPDX-License-Identifier: Apache-2.0
 *
 * stentorctl: the operator's command line, a client of the admin API (docs/API.md). Streams in,
 * exit status out; the work is ctl_run()'s. */
#include <errno.h>
#include <locale.h>
#include <string.h>
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
    enum ctl_exit code = ctl_run(&ctl, argc, argv);
    /* What is still in the buffer has to arrive too: a full disk is no success. */
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && code == CTL_OK) {
        fprintf(stderr, "stentorctl: cannot write to the standard output: %s\n", strerror(errno));
        return CTL_UNWRITTEN;
    }
    return (int)code;
}
