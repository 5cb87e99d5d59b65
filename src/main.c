/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor: arguments -> configuration -> server -> wait -> stop. Exit: 0 done, 1 the server could
 * not start or run or the answer could not be written, 2 wrong arguments or configuration. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "stentor/config.h"
#include "stentor/clock.h"
#include "stentor/server.h"

static struct server *running; /* for the signal handler alone */

static void stop_at_signal(int number)
{
    (void)number;
    if (running != NULL)
        server_stop(running);
}

static int usage(FILE *into, int exit_code)
{
    fputs("usage: stentor --config FILE\n"
          "       stentor --check-config FILE   judge a configuration and exit\n"
          "       stentor --print-config [FILE] show every option with its value\n"
          "       stentor --version | --help\n",
          into);
    return exit_code;
}

static void complain(const char *prefix, const struct writer *message)
{
    fprintf(stderr, "%s%.*s\n", prefix, (int)message->size, (const char *)message->at);
}

/* What was asked for has to arrive: a full disk or a closed pipe is a failure, and said. */
static int shown(void)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return 0;
    fprintf(stderr, "stentor: cannot write to the standard output: %s\n", strerror(errno));
    return 1;
}

static int config_show(const struct config *config)
{
    static char text[64 << 10];
    struct writer writer = writer_of(text, sizeof text);
    config_print(config, &writer);
    fwrite(writer.at, 1, writer.size, stdout);
    return shown();
}

static int serve(const struct config *config)
{
    char text[1024];
    struct writer message = writer_of(text, sizeof text);
    struct server_options options = {.config = config, .now_ns = clock_now_ns()};
    if (server_create(&running, &options, &message) != ERROR_NONE) {
        complain("stentor: ", &message);
        return 1;
    }
    struct sigaction action = {.sa_handler = stop_at_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    printf("admin: http://%s:%u\n", config->admin_listen, server_admin_port(running));
    if (server_new_token(running)[0] != '\0')
        printf("admin token (shown once): %s\n", server_new_token(running));
    fflush(stdout);
    enum error error = server_run(running);
    if (error != ERROR_NONE)
        fprintf(stderr, "stentor: cannot start the worker threads: %s\n", error_text(error));
    struct server *ended = running;
    running = NULL;
    server_destroy(&ended);
    return error == ERROR_NONE ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct config config;
    static char text[16 << 10];
    struct writer message = writer_of(text, sizeof text);
    const char *verb = argc > 1 ? argv[1] : "";
    config_defaults(&config);
    if (strcmp(verb, "--help") == 0)
        return usage(stdout, 0) | shown();
    if (strcmp(verb, "--version") == 0) {
        puts("stentor " STENTOR_VERSION);
        return shown();
    }
    bool is_print = strcmp(verb, "--print-config") == 0;
    bool is_check = strcmp(verb, "--check-config") == 0;
    bool is_serve = strcmp(verb, "--config") == 0;
    if (is_print && argc == 2)
        return config_show(&config);
    if ((!is_print && !is_check && !is_serve) || argc != 3)
        return usage(stderr, 2);
    if (config_read_file(&config, argv[2], &message) != ERROR_NONE) {
        complain("", &message);
        return 2;
    }
    if (is_print)
        return config_show(&config);
    if (server_config_judge(&config, argv[2], &message) != ERROR_NONE) {
        complain("", &message);
        return 2;
    }
    if (is_serve)
        return serve(&config);
    puts("configuration is valid");
    return shown();
}
