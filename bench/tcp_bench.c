/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-bench tcp: what the network floor costs a packet, in one process, on one core, without a
 * wire (loop_nic.h). Only the time inside the floor counts: peers' frames are made before. Measures
 *   - accepts: SYN in, SYN-ACK with a cookie out, the ACK that brings the cookie back in, a row and
 *     NET_ACCEPTED; both packets' cost, rows from an empty table on,
 *   - segments: bursts of 32 data segments of --payload octets with timestamps, each to a random
 *     parked connection, until each is handed up and its ACK has left; the same with 10 k, 100 k,
 *     1 M and 10 M connections at rest,
 *   - the same at 1 M with checksums in software.
 * Every segment must come up as octets and every connection of a burst must be acknowledged once,
 * or the run fails. Figures are medians of the rounds. Instructions a segment:
 *   valgrind --tool=callgrind --collect-atstart=no --toggle-collect=turn \
 *     stentor-bench tcp --count-max 10000 --rounds 1 --skip-accepts */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "loop_nic.h"
#include "parked.h"
#include "peer_frames.h"

#define ACCEPT_COUNT 262144u
#define SEGMENTS_A_ROUND (1u << 18)
#define PREPARED 4096u /* frames made ahead, so that making them does not warm the rows' lines */
#define ROUNDS_MAX 15u
#define ROUNDS_DEFAULT 5u
#define PAYLOAD_DEFAULT 64u
#define COUNTS 4u
#define TRACE_EVENTS 65536u

static const uint32_t counts[COUNTS] = {10000, 100000, 1000000, 10000000};

struct tcp_bench {
    uint32_t payload;
    uint32_t count_max;
    uint32_t rounds;
    bool skips_accepts;
    bool is_json;
    bool has_hugepages;
    struct heap heap;
    struct arena arena;
    struct blob_table blobs;
    struct metrics metrics;
    struct trace trace;
    struct random random;
    struct loop_nic nic;
    struct net *net;
    uint64_t now_ns;
    uint32_t count;    /* connections at rest */
    uint32_t *sent;    /* octets each has sent since */
    uint64_t octets;   /* that came up */
    uint64_t accepted; /* NET_ACCEPTED that came up */
    struct packet prepared[PREPARED];
};

struct measured {
    double accepts_per_s;
    double segment_ns[COUNTS];
    double plain_ns; /* at 1 M, checksums in software */
};

/* Time of this thread on its processor: what others run meanwhile is not our cost. */
static uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *figures, uint32_t count)
{
    qsort(figures, count, sizeof figures[0], compare);
    return figures[count / 2];
}

/* ---- tables ---- */

static enum error open_net(struct tcp_bench *bench, uint32_t rows)
{
    struct net_options options;
    parked_options(&options, rows, &bench->random);
    options.nic = &bench->nic.queue;
    options.arena = &bench->arena;
    options.heap = &bench->heap;
    options.blobs = &bench->blobs;
    options.metrics = &bench->metrics;
    options.trace = &bench->trace;
    options.accepts_per_second = UINT32_C(1) << 29;
    enum error error =
        arena_create(&bench->arena, "bench-tcp", ARENA_HEADER_SIZE + net_arena_bytes(&options),
                     bench->has_hugepages ? ARENA_PAGES_HUGETLB : ARENA_PAGES_TRANSPARENT);
    if (error == ERROR_NONE)
        error = net_create(&bench->net, &options, bench->now_ns);
    if (error == ERROR_NONE)
        error = net_listen(bench->net, PARKED_PORT);
    if (error == ERROR_NONE)
        peer_answer_arp(bench->net, &bench->nic, bench->now_ns);
    return error;
}

static void close_net(struct tcp_bench *bench)
{
    net_destroy(&bench->net);
    arena_destroy(&bench->arena);
    heap_give(&bench->heap, bench->sent);
    bench->sent = NULL;
}

static const char *fill(struct tcp_bench *bench, uint32_t count)
{
    if (open_net(bench, count) != ERROR_NONE)
        return "no memory for the tables";
    bench->count = count;
    bench->sent = heap_take_zeroed(&bench->heap, (size_t)count * sizeof *bench->sent);
    if (bench->sent == NULL)
        return "no memory for the peers";
    for (uint32_t number = 0; number < count; number++)
        if (parked_open(bench->net, number, bench->now_ns) == POOL_NONE)
            return "a table refused a row";
    return NULL;
}

static void count_events(struct tcp_bench *bench, const struct net_events *events)
{
    for (uint32_t i = 0; i < events->count; i++) {
        bench->octets += events->items[i].octets.size;
        bench->accepted += events->items[i].kind == NET_ACCEPTED;
    }
}

/* One turn of a worker that received these. */
static NOINLINE void turn(struct tcp_bench *bench, struct packet *packets, uint32_t count)
{
    static struct net_events events;
    events.count = 0;
    bench->nic.kept_count = 0;
    uint32_t taken = net_input(bench->net, packets, count, bench->now_ns, &events);
    net_release(bench->net, bench->now_ns);
    net_flush(bench->net, bench->now_ns);
    ASSERT(taken == count);
    count_events(bench, &events);
}

/* ---- accepts ---- */

/* Nanoseconds for one burst of handshakes, of connections first..first+31; 0 when one failed. */
static uint64_t accept_burst(struct tcp_bench *bench, uint32_t first)
{
    struct packet packets[NIC_BURST_MAX];
    for (uint32_t i = 0; i < NIC_BURST_MAX; i++) {
        struct peer_text syn = {first + i, parked_peer_seq(first + i) - 1, 0, TCP_SYN, 0};
        packets[i] = peer_frame(&bench->nic, &syn, 1);
    }
    uint64_t start_ns = bench_now_ns();
    turn(bench, packets, NIC_BURST_MAX);
    uint64_t spent_ns = bench_now_ns() - start_ns;
    if (bench->nic.kept_count != NIC_BURST_MAX)
        return 0;
    for (uint32_t i = 0; i < NIC_BURST_MAX; i++) {
        struct peer_text ack = {first + i, parked_peer_seq(first + i),
                                peer_kept_seq(&bench->nic, i) + 1, TCP_ACK, 0};
        packets[i] = peer_frame_echo(&bench->nic, &ack, 2, peer_kept_timestamp(&bench->nic, i));
    }
    uint64_t accepted = bench->accepted;
    start_ns = bench_now_ns();
    turn(bench, packets, NIC_BURST_MAX);
    spent_ns += bench_now_ns() - start_ns;
    return bench->accepted - accepted == NIC_BURST_MAX ? spent_ns : 0;
}

/* Accepts a second into an empty table, 0 when one was refused. */
static NOINLINE double time_accepts(struct tcp_bench *bench)
{
    uint64_t spent_ns = 0;
    if (open_net(bench, ACCEPT_COUNT) != ERROR_NONE)
        return 0;
    for (uint32_t first = 0; first < ACCEPT_COUNT; first += NIC_BURST_MAX) {
        uint64_t burst_ns = accept_burst(bench, first);
        if (burst_ns == 0)
            return 0;
        spent_ns += burst_ns;
        bench->now_ns += burst_ns;
    }
    close_net(bench);
    return ACCEPT_COUNT * 1e9 / (double)spent_ns;
}

/* ---- segments ---- */

static void prepare(struct tcp_bench *bench)
{
    for (uint32_t i = 0; i < PREPARED; i++) {
        uint32_t number = (uint32_t)(random_u64(&bench->random) % bench->count);
        struct peer_text text = {number, parked_peer_seq(number) + bench->sent[number],
                                 parked_our_seq(number), TCP_ACK | TCP_PSH, bench->payload};
        bench->sent[number] += bench->payload;
        bench->prepared[i] = peer_frame(&bench->nic, &text, number + 1);
    }
}

/* Nanoseconds a segment, 0 when one was lost on the way up. */
static NOINLINE double time_segments(struct tcp_bench *bench)
{
    uint64_t spent_ns = 0;
    uint64_t octets = bench->octets;
    uint64_t acknowledged = bench->nic.sent_packets;
    for (uint32_t done = 0; done < SEGMENTS_A_ROUND; done += PREPARED) {
        prepare(bench);
        uint64_t start_ns = bench_now_ns(); /* it costs more than a segment does */
        for (uint32_t i = 0; i < PREPARED; i += NIC_BURST_MAX)
            turn(bench, bench->prepared + i, NIC_BURST_MAX);
        spent_ns += bench_now_ns() - start_ns;
        bench->now_ns += NS_PER_MS;
    }
    acknowledged = bench->nic.sent_packets - acknowledged;
    bool is_complete = bench->octets - octets == (uint64_t)SEGMENTS_A_ROUND * bench->payload;
    bool is_acknowledged = acknowledged <= SEGMENTS_A_ROUND &&
                           acknowledged >= SEGMENTS_A_ROUND - SEGMENTS_A_ROUND / 64;
    if (!is_complete || !is_acknowledged || loop_nic_buffers_out(&bench->nic) != 0)
        return 0;
    return (double)spent_ns / SEGMENTS_A_ROUND;
}

static double median_segments(struct tcp_bench *bench)
{
    double figures[ROUNDS_MAX];
    double smallest = 1;
    for (uint32_t i = 0; i < bench->rounds; i++) {
        figures[i] = time_segments(bench);
        smallest = figures[i] < smallest ? figures[i] : smallest;
    }
    return smallest <= 0 ? 0 : median(figures, bench->rounds);
}

/* ---- the whole ---- */

static int fail(const char *what)
{
    fprintf(stderr, "stentor-bench: tcp: %s\n", what);
    return 1;
}

static int measure_count(struct tcp_bench *bench, uint32_t i, struct measured *measured)
{
    const char *refused = fill(bench, counts[i]);
    if (refused != NULL)
        return fail(refused);
    measured->segment_ns[i] = median_segments(bench);
    if (counts[i] == 1000000) {
        bench->nic.is_plain = true;
        measured->plain_ns = median_segments(bench);
        bench->nic.is_plain = false;
    }
    close_net(bench);
    return measured->segment_ns[i] <= 0 ? fail("a segment or its acknowledgement is missing") : 0;
}

static int measure(struct tcp_bench *bench, struct measured *measured)
{
    double accepts[ROUNDS_MAX] = {0};
    for (uint32_t i = 0; i < bench->rounds && !bench->skips_accepts; i++) {
        accepts[i] = time_accepts(bench);
        if (accepts[i] <= 0)
            return fail("a handshake failed");
    }
    measured->accepts_per_s = median(accepts, bench->rounds);
    for (uint32_t i = 0; i < COUNTS && counts[i] <= bench->count_max; i++)
        if (measure_count(bench, i, measured) != 0)
            return 1;
    return 0;
}

/* What was not measured has no number. */
static void print_figure(const char *name, double figure)
{
    if (figure > 0)
        printf(",\"%s\":%.1f", name, figure);
}

static void print(const struct tcp_bench *bench, const struct measured *measured)
{
    const double *ns = measured->segment_ns;
    uint32_t last = bench->count_max >= counts[2] ? 2 : 0; /* the figure by itself is for 1 M */
    if (bench->is_json) {
        printf("{\"accepts_per_s\":%.0f,\"small_segment_mpps\":%.2f,\"segment_ns\":%.1f",
               measured->accepts_per_s, 1e3 / ns[last], ns[last]);
        print_figure("segment_ns_10k", ns[0]);
        print_figure("segment_ns_100k", ns[1]);
        print_figure("segment_ns_1m", ns[2]);
        print_figure("segment_ns_10m", ns[3]);
        print_figure("segment_software_checksum_ns", measured->plain_ns);
        printf("}\n");
        return;
    }
    printf("accepts a second          %12.0f\n", measured->accepts_per_s);
    printf("million segments a second %12.2f\n", 1e3 / ns[last]);
    for (uint32_t i = 0; i < COUNTS && counts[i] <= bench->count_max; i++)
        printf("ns a segment, %8u    %12.1f\n", counts[i], ns[i]);
    printf("  checksums in software   %12.1f\n", measured->plain_ns);
    printf("pages of                  %12s\n",
           bench->has_hugepages ? "2 MB, where there are" : "4 KB");
}

static bool read_number(const char *text, uint32_t least, uint32_t most, uint32_t *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || value < least || value > most)
        return false;
    *number = (uint32_t)value;
    return true;
}

static bool read_arguments(struct tcp_bench *bench, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            bench->is_json = true;
        else if (strcmp(argv[i], "--hugepages") == 0)
            bench->has_hugepages = true;
        else if (strcmp(argv[i], "--skip-accepts") == 0)
            bench->skips_accepts = true;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            if (!read_number(argv[++i], 1, ROUNDS_MAX, &bench->rounds))
                return false;
        } else if (strcmp(argv[i], "--payload") == 0 && i + 1 < argc) {
            if (!read_number(argv[++i], 1, PEER_PAYLOAD_MAX, &bench->payload))
                return false;
        } else if (strcmp(argv[i], "--count-max") == 0 && i + 1 < argc) {
            if (!read_number(argv[++i], counts[0], counts[COUNTS - 1], &bench->count_max))
                return false;
        } else
            return false;
    }
    return true;
}

int bench_tcp(int argc, char **argv)
{
    static struct tcp_bench bench;
    struct measured measured = {0};
    bench.payload = PAYLOAD_DEFAULT;
    bench.rounds = ROUNDS_DEFAULT;
    bench.count_max = counts[COUNTS - 1];
    bench.now_ns = 1000 * NS_PER_SECOND;
    if (!read_arguments(&bench, argc, argv)) {
        fprintf(stderr,
                "usage: stentor-bench tcp [--payload 1..%u] [--count-max 10000..10000000] "
                "[--rounds 1..15] [--skip-accepts] [--hugepages] [--json]\n",
                PEER_PAYLOAD_MAX);
        return 2;
    }
    heap_init(&bench.heap, UINT64_C(1) << 31);
    random_init_seed(&bench.random, 1);
    if (blob_table_init(&bench.blobs, &bench.heap, 1024) != ERROR_NONE ||
        trace_init(&bench.trace, &bench.heap, TRACE_EVENTS) != ERROR_NONE ||
        !loop_nic_init(&bench.nic, &bench.heap, &bench.metrics))
        return fail("no memory");
    int status = measure(&bench, &measured);
    if (status == 0)
        print(&bench, &measured);
    loop_nic_fini(&bench.nic, &bench.heap);
    trace_fini(&bench.trace, &bench.heap);
    return status;
}
