/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-bench rows: what a stream at rest costs. Puts --count parked connections, each from an
 * address of its own and each a bound, available session, into the tables a worker has (made by
 * the same calls in the same order as src/server/worker.c) through the doors those tables have:
 * TCP row, flow table, count by address, keepalive deadline; session row, registry, idle deadline.
 * TLS rows come with TLS. Then measures
 *   - octets a connection: growth of the process's resident memory, hugepages included, from
 *     before the arena was made; everything the tables touched counts,
 *   - a flow lookup: batches of 32 random keys, each answer checked, the keys' making included,
 *   - a sweep of all deadlines, keepalive and idle, with none due. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stentor/registry.h"
#include "stentor/session.h"

#include "bench.h"
#include "parked.h"

#define COUNT_DEFAULT 10000000u
#define COUNT_MAX 100000000u
#define LOOKUPS_MAX 8000000u
#define ROUNDS 3u
#define ARENA_SPARE (64u << 10)

struct rows_bench {
    uint32_t count;
    bool is_json;
    bool has_hugepages;
    struct arena arena;
    struct heap heap;
    struct blob_table blobs;
    struct metrics metrics;
    struct random random;
    struct nic_sim *sim;
    struct net *net;
    struct session_table sessions;
    struct registry *registry;
    struct deadline_table idle;
    uint64_t now_ns;
};

struct measured {
    double bytes_per_connection;
    double lookup_ns;
    double sweep_ms;
};

static uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Octets in RAM: resident small pages, and hugetlb pages, which no other line counts. */
static uint64_t memory_bytes(void)
{
    static const char *const lines[] = {"Rss:", "Shared_Hugetlb:", "Private_Hugetlb:"};
    char line[256];
    uint64_t kilobytes = 0;
    FILE *from = fopen("/proc/self/smaps_rollup", "r");
    if (from == NULL)
        return 0;
    while (fgets(line, sizeof line, from) != NULL)
        for (size_t i = 0; i < ARRAY_COUNT(lines); i++)
            if (strncmp(line, lines[i], strlen(lines[i])) == 0)
                kilobytes += strtoull(line + strlen(lines[i]), NULL, 10);
    fclose(from);
    return kilobytes * 1024;
}

/* ---- filling ---- */

static enum error make_tables(struct rows_bench *bench)
{
    static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 1};
    enum error error = nic_sim_create(&bench->sim, &bench->heap, 1);
    if (error != ERROR_NONE)
        return error;
    struct nic_queue *nic = nic_sim_end(bench->sim, mac, 1500, &bench->metrics);
    if (nic == NULL)
        return ERROR_NO_MEMORY;
    struct net_options options;
    parked_options(&options, bench->count, &bench->random);
    options.nic = nic;
    options.arena = &bench->arena;
    options.heap = &bench->heap;
    options.blobs = &bench->blobs;
    options.metrics = &bench->metrics;
    uint32_t rows = bench->count;
    size_t size = ARENA_HEADER_SIZE + net_arena_bytes(&options) + session_arena_bytes(rows) +
                  registry_arena_bytes(rows) + (size_t)rows * sizeof(uint16_t) + ARENA_SPARE;
    error = arena_create(&bench->arena, "bench-rows", size,
                         bench->has_hugepages ? ARENA_PAGES_HUGETLB : ARENA_PAGES_TRANSPARENT);
    if (error == ERROR_NONE)
        error = blob_table_init(&bench->blobs, &bench->heap, 1024);
    if (error == ERROR_NONE)
        error = net_create(&bench->net, &options, bench->now_ns);
    if (error == ERROR_NONE)
        error = session_table_init(&bench->sessions, &bench->arena, &bench->heap, rows);
    if (error == ERROR_NONE)
        error = registry_init(&bench->registry, &bench->arena, rows);
    if (error == ERROR_NONE)
        error = deadline_init(&bench->idle, &bench->arena, rows);
    return error;
}

static enum error bind_session(struct rows_bench *bench, uint32_t conn, uint32_t number)
{
    static const struct siphash_key key = {31, 32};
    char local[24];
    snprintf(local, sizeof local, "device%u", number);
    struct bytes name = bytes_of_string(local);
    session_open(&bench->sessions, conn, bench->now_ns);
    session_at(&bench->sessions, conn)->stream.state = STREAM_BOUND;
    enum error error =
        session_bind(&bench->sessions, conn, number + 1, name, BYTES("stentor-phone"));
    if (error != ERROR_NONE)
        return error;
    session_set_presence(&bench->sessions, conn, true, 0, 0);
    struct registry_entry entry = {.session = net_handle(bench->net, conn),
                                   .resource_tag =
                                       registry_resource_tag(&key, BYTES("stentor-phone")),
                                   .is_available = true};
    deadline_set(&bench->idle, conn, bench->now_ns, 3600);
    return registry_add(bench->registry, registry_hash(&key, name), &entry);
}

/* What refused a row, or NULL. */
static const char *fill(struct rows_bench *bench)
{
    for (uint32_t number = 0; number < bench->count; number++) {
        if (parked_open(bench->net, number, bench->now_ns) != number)
            return "a table of net refused a row";
        if (bind_session(bench, number, number) != ERROR_NONE)
            return "a table of session refused a row";
    }
    return NULL;
}

/* ---- measuring ---- */

/* Nanoseconds a lookup, 0 when an answer was wrong. */
static double time_lookups(struct rows_bench *bench)
{
    const struct net *net = bench->net;
    struct tcp_lookup lookups[TCP_TABLE_BATCH_MAX];
    uint32_t numbers[TCP_TABLE_BATCH_MAX];
    uint64_t wrong = 0;
    uint32_t batches = LOOKUPS_MAX / TCP_TABLE_BATCH_MAX;
    uint64_t seed = random_u64(&bench->random) | 1;
    uint64_t start_ns = bench_now_ns();
    for (uint32_t batch = 0; batch < batches; batch++) {
        for (uint32_t i = 0; i < TCP_TABLE_BATCH_MAX; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            numbers[i] = (uint32_t)((seed >> 32) * bench->count >> 32);
            lookups[i].key = parked_key(numbers[i]);
        }
        tcp_table_find_batch(&net->table, net->rows, lookups, TCP_TABLE_BATCH_MAX);
        for (uint32_t i = 0; i < TCP_TABLE_BATCH_MAX; i++)
            wrong += lookups[i].found != numbers[i];
    }
    uint64_t spent_ns = bench_now_ns() - start_ns;
    return wrong != 0 ? 0 : (double)spent_ns / ((double)batches * TCP_TABLE_BATCH_MAX);
}

/* Milliseconds for every deadline of every row, both tables. */
static double time_sweep(struct rows_bench *bench)
{
    uint32_t due[64];
    uint64_t now_ns = bench->now_ns + NS_PER_SECOND;
    uint64_t start_ns = bench_now_ns();
    uint32_t count = deadline_sweep(&bench->net->deadline, now_ns, bench->count, bench->count, due,
                                    ARRAY_COUNT(due));
    count +=
        deadline_sweep(&bench->idle, now_ns, bench->count, bench->count, due, ARRAY_COUNT(due));
    return count != 0 ? 0 : (double)(bench_now_ns() - start_ns) / 1e6;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The median of a few rounds; 0 when any round failed. */
static double median_of(struct rows_bench *bench, double (*measure)(struct rows_bench *))
{
    double figures[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++)
        figures[i] = measure(bench);
    qsort(figures, ROUNDS, sizeof figures[0], compare);
    return figures[0] <= 0 ? 0 : figures[ROUNDS / 2];
}

static int fail(const char *what)
{
    fprintf(stderr, "stentor-bench: rows: %s\n", what);
    return 1;
}

static int measure(struct rows_bench *bench, struct measured *measured)
{
    uint64_t before = memory_bytes();
    if (before == 0)
        return fail("cannot read /proc/self/smaps_rollup");
    if (make_tables(bench) != ERROR_NONE)
        return fail("no memory for the tables");
    const char *refused = fill(bench);
    if (refused != NULL)
        return fail(refused);
    uint64_t after = memory_bytes();
    measured->bytes_per_connection = (double)(after - before) / bench->count;
    measured->lookup_ns = median_of(bench, time_lookups);
    measured->sweep_ms = median_of(bench, time_sweep);
    if (measured->lookup_ns <= 0)
        return fail("a lookup found the wrong row");
    return measured->sweep_ms <= 0 ? fail("a deadline was due too early") : 0;
}

static void print(const struct rows_bench *bench, const struct measured *measured)
{
    if (bench->is_json) {
        printf("{\"count\":%u,\"bytes_per_connection\":%.1f,\"lookup_ns\":%.1f,"
               "\"deadline_sweep_ms\":%.2f}\n",
               bench->count, measured->bytes_per_connection, measured->lookup_ns,
               measured->sweep_ms);
        return;
    }
    printf("connections at rest   %12u\n", bench->count);
    printf("octets a connection   %12.1f\n", measured->bytes_per_connection);
    printf("ns a flow lookup      %12.1f\n", measured->lookup_ns);
    printf("ms a deadline sweep   %12.2f\n", measured->sweep_ms);
    printf("pages of              %12zu\n", bench->arena.page_size);
}

static bool read_arguments(struct rows_bench *bench, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            bench->is_json = true;
        } else if (strcmp(argv[i], "--hugepages") == 0) {
            bench->has_hugepages = true;
        } else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc) {
            char *end;
            unsigned long count = strtoul(argv[++i], &end, 10);
            if (*end != '\0' || count < 1000 || count > COUNT_MAX)
                return false;
            bench->count = (uint32_t)count;
        } else {
            return false;
        }
    }
    return true;
}

int bench_rows(int argc, char **argv)
{
    static struct rows_bench bench;
    struct measured measured;
    bench.count = COUNT_DEFAULT;
    bench.now_ns = 1000 * NS_PER_SECOND;
    if (!read_arguments(&bench, argc, argv)) {
        fprintf(stderr, "usage: stentor-bench rows [--count 1000..%u] [--hugepages] [--json]\n",
                COUNT_MAX);
        return 2;
    }
    heap_init(&bench.heap, UINT64_C(1) << 30);
    random_init_seed(&bench.random, 1);
    int status = measure(&bench, &measured);
    if (status == 0)
        print(&bench, &measured);
    net_destroy(&bench.net);
    if (bench.arena.base != NULL)
        arena_destroy(&bench.arena);
    return status;
}
