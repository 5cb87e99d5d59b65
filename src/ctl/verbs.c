/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of verbs, which is the list of what stentorctl can do, and the run of one of them. */
#include "ctl.h"

#define OPTIONS_OF_PAGE (OPTION_BIT(LIMIT) | OPTION_BIT(CURSOR))
#define OPTIONS_OF_PUSH                                                                            \
    (OPTION_BIT(ALL) | OPTION_BIT(ONLINE) | OPTION_BIT(USERS) | OPTION_BIT(TITLE) |                \
     OPTION_BIT(BODY) | OPTION_BIT(URI) | OPTION_BIT(XML) | OPTION_BIT(LABEL) | OPTION_BIT(RATE) | \
     OPTION_BIT(WAIT))

static const struct verb verbs[] = {
    {"push", NULL, OPTIONS_OF_PUSH, verb_push, "Send one message to many."},
    {"pushes", "[ID]", OPTIONS_OF_PAGE, verb_pushes, "What became of pushes, newest first."},
    {"user add", "NAME", OPTION_BIT(PASSWORD_STDIN), verb_user_add, "Make an account."},
    {"user list", NULL, OPTIONS_OF_PAGE, verb_user_list, "Accounts by name."},
    {"user show", "NAME", 0, verb_user_show, "One account."},
    {"user remove", "NAME", 0, verb_user_remove, "Delete an account and end its sessions."},
    {"user passwd", "NAME", OPTION_BIT(PASSWORD_STDIN), verb_user_passwd, "Set a password."},
    {"user enable", "NAME", 0, verb_user_enable, "Let an account log in again."},
    {"user disable", "NAME", 0, verb_user_disable, "Lock an account and end its sessions."},
    {"sessions", NULL, OPTIONS_OF_PAGE | OPTION_BIT(USER), verb_sessions, "Who is connected."},
    {"session show", "ID", 0, verb_session_show, "One connection and its flight recorder."},
    {"conn", "ID", 0, verb_session_show, "The same."},
    {"kick", "ID", 0, verb_kick, "End a session."},
    {"count", NULL, 0, verb_count, "Connections and sessions, in figures."},
    {"metrics", NULL, 0, verb_metrics, "All counters, as Prometheus reads them."},
    {"health", NULL, 0, verb_health, "Whether the server is alive."},
    {"ready", NULL, 0, verb_ready, "Whether the server takes work."},
    {"version", NULL, 0, verb_version, "The version of this program."},
    {"help", NULL, 0, verb_help, "This list."},
};

const struct verb *verb_at(uint32_t index)
{
    return index < ARRAY_COUNT(verbs) ? &verbs[index] : NULL;
}

const struct verb *verb_find(const char *words)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(verbs); i++)
        if (strcmp(verbs[i].words, words) == 0)
            return &verbs[i];
    return NULL;
}

enum ctl_exit ctl_run(struct ctl *ctl, int count, char *const *words)
{
    char text[512];
    struct writer message = writer_of(text, sizeof text - 1);
    if (!arguments_parse(&ctl->arguments, count, words, &message)) {
        text[message.size] = '\0';
        fprintf(ctl->err, "stentorctl: ");
        print_shown(ctl->err, text);
        fprintf(ctl->err, "\n");
        return CTL_USAGE;
    }
    enum ctl_exit (*run)(struct ctl * ctl) = ctl->arguments.verb->run;
    if (run == verb_help || run == verb_version)
        return run(ctl);
    enum ctl_exit result = client_open(ctl);
    if (result == CTL_OK)
        result = run(ctl);
    client_close(ctl);
    /* A full disk or a closed pipe: what was asked for did not arrive. */
    return result == CTL_OK && (fflush(ctl->out) != 0 || ferror(ctl->out)) ? CTL_REFUSED : result;
}
