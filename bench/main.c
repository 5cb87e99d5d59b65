/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-bench: measures one part of Stentor against a peer or a budget, in one run on one
 * machine. `stentor-bench NAME [options]`; the table below is the list of names. */
#include <stdio.h>
#include <string.h>

#include "stentor/assert.h"

#include "bench.h"

static const struct bench_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} bench_commands[] = {
    {"churn", bench_churn,
     "what stays of connections opened and closed over a lossy wire: "
     "[--count N] [--loss-ppm N] [--json]"},
    {"flood", bench_flood, "honest clients among a SYN flood: [--lost-percent N] [--json]"},
    {"rows", bench_rows,
     "memory and lookup of streams at rest: [--count N] [--hugepages] "
     "[--json]"},
    {"tcp", bench_tcp,
     "accepts and small segments a core: [--payload N] [--count-max N] "
     "[--hugepages] [--json]"},
    {"cost", bench_cost, "one event on each of many parked connections, for callgrind: "
                           "--event NAME [--count N]"},
    {"xml", bench_xml, "XML reading against Expat: [--compare expat] [--rounds N] [--json]"},
};

static int print_usage(FILE *to)
{
    fprintf(to, "usage: stentor-bench NAME [options]\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(bench_commands); i++)
        fprintf(to, "  %-8s %s\n", bench_commands[i].name, bench_commands[i].help);
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return print_usage(stderr);
    if (strcmp(argv[1], "--help") == 0)
        return print_usage(stdout);
    for (size_t i = 0; i < ARRAY_COUNT(bench_commands); i++)
        if (strcmp(argv[1], bench_commands[i].name) == 0)
            return bench_commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "stentor-bench: no such measurement: %s\n", argv[1]);
    return print_usage(stderr);
}
