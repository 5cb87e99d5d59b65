/* SPDX-License-Identifier: Apache-2.0
 *
 * A password comes from the terminal, without echo and asked for twice, or from standard input. It
 * never stands on the command line or in the environment. */
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "ctl.h"

#define INTERRUPT 3 /* ^C */

static enum ctl_exit fault(struct ctl *ctl, const char *what)
{
    fprintf(ctl->err, "stentorctl: %s\n", what);
    return CTL_USAGE;
}

/* The signals of the keyboard are off meanwhile, so that ^C cannot leave a terminal without echo:
 * it arrives as an octet that ends the line, and is a refusal. */
static bool ask(int terminal, const char *prompt, char line[CTL_PASSWORD_SIZE_MAX])
{
    struct termios before, quiet;
    if (tcgetattr(terminal, &before) != 0)
        return false;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    quiet.c_cc[VEOL] = INTERRUPT;
    if (tcsetattr(terminal, TCSAFLUSH, &quiet) != 0)
        return false;
    dprintf(terminal, "%s", prompt);
    ssize_t size = read(terminal, line, CTL_PASSWORD_SIZE_MAX - 1);
    tcsetattr(terminal, TCSAFLUSH, &before);
    dprintf(terminal, "\n");
    if (size < 2 || line[size - 1] != '\n')
        return false;
    line[size - 1] = '\0';
    return true;
}

static enum ctl_exit ask_twice(struct ctl *ctl, char password[CTL_PASSWORD_SIZE_MAX])
{
    char again[CTL_PASSWORD_SIZE_MAX];
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (terminal < 0)
        return fault(ctl, "there is no terminal to ask on; use --password-stdin");
    bool is_read = ask(terminal, "Password: ", password) && ask(terminal, "Once more: ", again);
    bool is_same = is_read && strcmp(password, again) == 0;
    bytes_wipe(again, sizeof again);
    close(terminal);
    if (!is_read)
        return fault(ctl, "no password was given");
    return is_same ? CTL_OK : fault(ctl, "the two differ");
}

/* The first line, with or without its line feed. */
static bool line_read(FILE *in, char line[CTL_PASSWORD_SIZE_MAX])
{
    if (fgets(line, CTL_PASSWORD_SIZE_MAX, in) == NULL)
        return false;
    size_t size = strcspn(line, "\n");
    bool is_whole = line[size] == '\n' || size + 1 < CTL_PASSWORD_SIZE_MAX;
    line[size] = '\0';
    return is_whole && size != 0;
}

enum ctl_exit password_read(struct ctl *ctl, char password[CTL_PASSWORD_SIZE_MAX])
{
    if (ctl->arguments.options[OPTION_PASSWORD_STDIN] == NULL)
        return ask_twice(ctl, password);
    if (!line_read(ctl->in, password))
        return fault(ctl, "standard input holds no password");
    return CTL_OK;
}
