/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-sim: runs seeds through the simulated worlds: the whole server and two phones (world.h),
 * two TCP stacks (tcp_sim.h).
 *   stentor-sim --seed N [--trace]      one run; --trace prints every frame as text
 *   stentor-sim --seeds N [--from M] [--json]
 *   stentor-sim --same N                runs seed N twice and compares the traces octet for octet
 *   stentor-sim --scripts N [--from M]  random segments against one connection
 *   stentor-sim --gates                 one exchange with each of its frames struck in turn
 * Each takes --world tcp|xmpp|all; `all`, the default, runs every seed through both.
 * Exit 0 when every run went well; a failing seed prints the command that replays it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stentor/clock.h"
#include "stentor/text.h"
#include "tcp_sim.h"

#define TRACE_BYTES (64u << 20)

struct kind {
    const char *name;
    void (*run)(const struct world_options *options, struct world_outcome *outcome);
};

static const struct kind kinds[] = {{"tcp", tcp_world_run}, {"xmpp", world_run}};

/* What the command line says. */
struct wish {
    bool (*act)(const struct kind *kind, const struct wish *wish);
    uint64_t number;
    uint64_t from;
    const char *world; /* a kind's name or "all" */
    bool is_traced;
    bool is_json;
};

static bool is_wanted(const struct wish *wish, const struct kind *kind)
{
    return strcmp(wish->world, "all") == 0 || strcmp(wish->world, kind->name) == 0;
}

static bool run(const struct kind *kind, uint64_t seed, struct writer *trace,
                struct world_outcome *outcome)
{
    struct world_options options = {
        .seed = seed, .faults = world_faults(seed), .worker_count = 1, .trace = trace};
    kind->run(&options, outcome);
    if (outcome->fault[0] == '\0')
        return true;
    printf("%s seed %llu: %s\n  replay: build/stentor-sim --world %s --seed %llu --trace\n",
           kind->name, (unsigned long long)seed, outcome->fault, kind->name,
           (unsigned long long)seed);
    return false;
}

static bool run_one(const struct kind *kind, const struct wish *wish)
{
    struct world_outcome outcome;
    uint8_t *octets = malloc(TRACE_BYTES);
    struct writer trace = writer_of(octets, octets == NULL ? 0 : TRACE_BYTES);
    bool is_good = run(kind, wish->number, wish->is_traced ? &trace : NULL, &outcome);
    if (wish->is_traced)
        fwrite(trace.at, 1, trace.size, stdout);
    printf("%s seed %llu: %s, %llu turns, %.3f simulated seconds%s%s\n", kind->name,
           (unsigned long long)wish->number, is_good ? "good" : "FAILED",
           (unsigned long long)outcome.frames, (double)outcome.elapsed_ns / 1e9,
           is_good ? "" : ": ", outcome.fault);
    free(octets);
    return is_good;
}

static bool run_same(const struct kind *kind, const struct wish *wish)
{
    struct world_outcome outcome;
    uint8_t *octets[2] = {malloc(TRACE_BYTES), malloc(TRACE_BYTES)};
    struct writer traces[2];
    bool is_good = octets[0] != NULL && octets[1] != NULL;
    for (uint32_t i = 0; i < 2 && is_good; i++) {
        traces[i] = writer_of(octets[i], TRACE_BYTES);
        is_good = run(kind, wish->number, &traces[i], &outcome);
    }
    is_good = is_good && traces[0].size != 0 &&
              bytes_equal(writer_bytes(&traces[0]), writer_bytes(&traces[1]));
    printf("%s seed %llu: traces of two runs are %s\n", kind->name,
           (unsigned long long)wish->number, is_good ? "the same" : "NOT the same");
    free(octets[0]);
    free(octets[1]);
    return is_good;
}

static bool run_many(const struct kind *kind, const struct wish *wish)
{
    uint64_t failed = 0, turns = 0;
    uint64_t began_ns = clock_now_ns();
    for (uint64_t seed = wish->from; seed < wish->from + wish->number; seed++) {
        struct world_outcome outcome;
        failed += !run(kind, seed, NULL, &outcome);
        turns += outcome.frames;
    }
    double seconds = (double)(clock_now_ns() - began_ns) / 1e9;
    printf(wish->is_json ? "{\"world\":\"%s\",\"seeds\":%llu,\"failed\":%llu,\"turns\":%llu,"
                           "\"seeds_per_s\":%.1f}\n"
                         : "%s: %llu seeds, %llu failed, %llu turns, %.1f seeds/s\n",
           kind->name, (unsigned long long)wish->number, (unsigned long long)failed,
           (unsigned long long)turns, (double)wish->number / (seconds > 0 ? seconds : 1));
    return failed == 0;
}

/* Verbs of the TCP world alone. */
static bool run_gates(const struct kind *kind, const struct wish *wish)
{
    (void)wish;
    return kind->run != tcp_world_run || tcp_gates_run(NULL);
}

static bool run_scripts(const struct kind *kind, const struct wish *wish)
{
    return kind->run != tcp_world_run || tcp_scripts_run(wish->from, wish->number);
}

static const struct {
    const char *name;
    bool (*act)(const struct kind *kind, const struct wish *wish);
    bool is_count; /* none of it would be no test */
} verbs[] = {{"--seed", run_one, false},
             {"--seeds", run_many, true},
             {"--same", run_same, false},
             {"--scripts", run_scripts, true}};

static bool read_number(const char *text, uint64_t *number)
{
    return text != NULL && decimal_parse(bytes_of_string(text), UINT64_MAX, number);
}

static bool read_verb(const char *name, const char *number, struct wish *wish)
{
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        if (strcmp(name, verbs[i].name) != 0)
            continue;
        wish->act = verbs[i].act;
        return read_number(number, &wish->number) && (wish->number != 0 || !verbs[i].is_count);
    }
    return false;
}

static bool read_wish(char **argv, struct wish *wish)
{
    *wish = (struct wish){.from = 1, .world = "all"};
    while (*++argv != NULL) {
        if (strcmp(*argv, "--trace") == 0)
            wish->is_traced = true;
        else if (strcmp(*argv, "--json") == 0)
            wish->is_json = true;
        else if (strcmp(*argv, "--from") == 0 && read_number(argv[1], &wish->from))
            argv++;
        else if (strcmp(*argv, "--world") == 0 && argv[1] != NULL)
            wish->world = *++argv;
        else if (strcmp(*argv, "--gates") == 0)
            wish->act = run_gates;
        else if (read_verb(*argv, argv[1], wish))
            argv++;
        else
            return false;
    }
    return wish->act != NULL && (is_wanted(wish, &kinds[0]) || is_wanted(wish, &kinds[1]));
}

static int usage(FILE *into, int exit_code)
{
    fputs("usage: stentor-sim --seed N [--trace] | --seeds N [--from M] [--json] | --same N |\n"
          "                   --scripts N [--from M] | --gates\n"
          "       each with --world tcp|xmpp|all; N of --seeds and --scripts is at least 1\n",
          into);
    return exit_code;
}

int main(int argc, char **argv)
{
    struct wish wish;
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (!read_wish(argv, &wish))
        return usage(stderr, 2);
    bool is_good = true;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (is_wanted(&wish, &kinds[i]) && !wish.act(&kinds[i], &wish))
            is_good = false;
    return is_good ? 0 : 1;
}
