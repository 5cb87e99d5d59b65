/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-sim: runs seeds through the simulated world (world.h).
 *   stentor-sim --seed N [--trace]      one run; --trace prints every frame as text
 *   stentor-sim --seeds N [--from M] [--json]
 *   stentor-sim --same N                runs seed N twice and compares the traces octet for octet
 * Exit 0 when every run went well; a failing seed prints the command that replays it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define TRACE_BYTES (64u << 20)

static bool run(uint64_t seed, struct writer *trace, struct world_outcome *outcome)
{
    struct world_options options = {
        .seed = seed, .faults = world_faults(seed), .worker_count = 1, .trace = trace};
    world_run(&options, outcome);
    if (outcome->fault[0] == '\0')
        return true;
    printf("seed %llu: %s\n  replay: build/stentor-sim --seed %llu --trace\n",
           (unsigned long long)seed, outcome->fault, (unsigned long long)seed);
    return false;
}

static int run_one(uint64_t seed, bool is_traced)
{
    struct world_outcome outcome;
    uint8_t *octets = malloc(TRACE_BYTES);
    struct writer trace = writer_of(octets, octets == NULL ? 0 : TRACE_BYTES);
    bool is_good = run(seed, is_traced ? &trace : NULL, &outcome);
    if (is_traced)
        fwrite(trace.at, 1, trace.size, stdout);
    printf("seed %llu: %s, %llu turns, %.3f simulated seconds\n", (unsigned long long)seed,
           is_good ? "good" : "FAILED", (unsigned long long)outcome.frames,
           (double)outcome.elapsed_ns / 1e9);
    free(octets);
    return is_good ? 0 : 1;
}

static int run_same(uint64_t seed)
{
    struct world_outcome outcome;
    uint8_t *octets[2] = {malloc(TRACE_BYTES), malloc(TRACE_BYTES)};
    struct writer traces[2];
    bool is_good = octets[0] != NULL && octets[1] != NULL;
    for (uint32_t i = 0; i < 2 && is_good; i++) {
        traces[i] = writer_of(octets[i], TRACE_BYTES);
        is_good = run(seed, &traces[i], &outcome);
    }
    is_good = is_good && traces[0].size != 0 &&
              bytes_equal(writer_bytes(&traces[0]), writer_bytes(&traces[1]));
    printf("seed %llu: traces of two runs are %s\n", (unsigned long long)seed,
           is_good ? "the same" : "NOT the same");
    free(octets[0]);
    free(octets[1]);
    return is_good ? 0 : 1;
}

static int run_many(uint64_t from, uint64_t count, bool is_json)
{
    uint64_t failed = 0;
    for (uint64_t seed = from; seed < from + count; seed++) {
        struct world_outcome outcome;
        failed += !run(seed, NULL, &outcome);
    }
    printf(is_json ? "{\"seeds\":%llu,\"failed\":%llu}\n" : "%llu seeds, %llu failed\n",
           (unsigned long long)count, (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    uint64_t number = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t from = 1;
    bool is_traced = false, is_json = false;
    for (int i = 3; i < argc; i++) {
        is_traced = is_traced || strcmp(argv[i], "--trace") == 0;
        is_json = is_json || strcmp(argv[i], "--json") == 0;
        if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
            from = strtoull(argv[i + 1], NULL, 10);
    }
    if (strcmp(verb, "--seed") == 0)
        return run_one(number, is_traced);
    if (strcmp(verb, "--same") == 0)
        return run_same(number);
    if (strcmp(verb, "--seeds") == 0)
        return run_many(from, number, is_json);
    fputs("usage: stentor-sim --seed N [--trace] | --seeds N [--from M] [--json] | --same N\n",
          stderr);
    return 2;
}
