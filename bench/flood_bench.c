/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-bench flood: honest clients among a flood of SYNs from addresses that never answer. The
 * flood keeps the card's receive ring full for as long as the bench runs, so the one core of the
 * stack never rests; each frame of an honest client waits its turn behind a whole ring of flood.
 * --lost-percent drops that part of all frames before the ring, as a card does when more comes than
 * the core takes; honest clients then send their SYN again after 1 and 3 seconds, as kernels do,
 * and their ACK with the first octets after 200 ms, doubling.
 *
 * A client is connected when its first octets were acknowledged. Time is the real one of this
 * core, so what others run on it counts against us. Exit 1 when a client was not connected within
 * 3 seconds or anything of the flood stayed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "loop_nic.h"
#include "parked.h"
#include "peer_frames.h"

#define CLIENTS 1000u
#define ARRIVALS_NS (2 * NS_PER_SECOND) /* over which clients come */
#define LIMIT_NS (3 * NS_PER_SECOND)
#define RING_FRAMES 1024u
#define ROWS 65536u
#define FLOOD_FIRST 1000000u /* numbers of parked_key() */
#define FLOOD_COUNT 50000000u
#define GREETING_BYTES 64u
#define TRACE_EVENTS 65536u

enum client_state { CLIENT_WAITS, CLIENT_SYN, CLIENT_ACK, CLIENT_CONNECTED };

struct client {
    enum client_state state;
    uint32_t tries;
    uint32_t our_seq; /* the server's first octet */
    uint32_t echo;
    uint64_t began_at_ns;
    uint64_t next_at_ns; /* when it sends, again or at first */
    uint64_t took_ns;
};

struct flood_bench {
    bool is_json;
    uint32_t lost_percent;
    struct heap heap;
    struct arena arena;
    struct blob_table blobs;
    struct metrics metrics;
    struct trace trace;
    struct random random;
    struct loop_nic nic;
    struct net *net;
    uint64_t began_at_ns;
    uint64_t now_ns;
    struct client clients[CLIENTS];
    uint32_t connected;
    uint64_t flood_sent;
    /* of which client the frame at each place of the ring is; the place is in [0, RING_FRAMES) */
    uint32_t ring[RING_FRAMES];
    uint32_t ring_at;
    uint32_t queue[RING_FRAMES]; /* honest frames that want into the ring, first come first */
    uint32_t queue_count;
};

#define FLOOD UINT32_MAX

static uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum error open_net(struct flood_bench *bench)
{
    struct net_options options;
    parked_options(&options, ROWS, &bench->random);
    options.nic = &bench->nic.queue;
    options.arena = &bench->arena;
    options.heap = &bench->heap;
    options.blobs = &bench->blobs;
    options.metrics = &bench->metrics;
    options.trace = &bench->trace;
    enum error error =
        arena_create(&bench->arena, "bench-flood", ARENA_HEADER_SIZE + net_arena_bytes(&options),
                     ARENA_PAGES_SMALL);
    if (error == ERROR_NONE)
        error = net_create(&bench->net, &options, bench->now_ns);
    if (error == ERROR_NONE)
        error = net_listen(bench->net, PARKED_PORT);
    if (error == ERROR_NONE)
        peer_answer_arp(bench->net, &bench->nic, bench->now_ns);
    return error;
}

/* ---- honest clients ---- */

static struct packet client_frame(struct flood_bench *bench, uint32_t number)
{
    const struct client *client = &bench->clients[number];
    uint32_t seq = parked_peer_seq(number);
    struct peer_text syn = {number, seq - 1, 0, TCP_SYN, 0};
    struct peer_text greeting = {number, seq, client->our_seq, TCP_ACK | TCP_PSH, GREETING_BYTES};
    if (client->state == CLIENT_SYN)
        return peer_frame(&bench->nic, &syn, 1);
    return peer_frame_echo(&bench->nic, &greeting, 2, client->echo);
}

static void client_send(struct flood_bench *bench, uint32_t number)
{
    struct client *client = &bench->clients[number];
    uint64_t first_ns = client->state == CLIENT_SYN ? NS_PER_SECOND : NS_PER_SECOND / 5;
    client->next_at_ns = bench->now_ns + (first_ns << client->tries);
    client->tries++;
    if (bench->queue_count < RING_FRAMES &&
        random_below(&bench->random, 100) >= bench->lost_percent)
        bench->queue[bench->queue_count++] = number;
}

static void clients_turn(struct flood_bench *bench)
{
    for (uint32_t number = 0; number < CLIENTS; number++) {
        struct client *client = &bench->clients[number];
        if (client->state == CLIENT_CONNECTED || bench->now_ns < client->next_at_ns)
            continue;
        if (client->state == CLIENT_WAITS)
            client->state = CLIENT_SYN;
        client_send(bench, number);
    }
}

static void client_take(struct flood_bench *bench, uint32_t number, uint32_t i)
{
    struct client *client = &bench->clients[number];
    bool is_syn = (peer_kept_flags(&bench->nic, i) & TCP_SYN) != 0;
    if (is_syn && client->state == CLIENT_SYN) {
        client->state = CLIENT_ACK;
        client->our_seq = peer_kept_seq(&bench->nic, i) + 1;
        client->echo = peer_kept_timestamp(&bench->nic, i);
        client->tries = 0;
        client_send(bench, number);
    } else if (!is_syn && client->state == CLIENT_ACK) {
        client->state = CLIENT_CONNECTED;
        client->took_ns = bench->now_ns - client->began_at_ns;
        bench->connected++;
    }
}

/* ---- the ring ---- */

static struct packet flood_frame(struct flood_bench *bench)
{
    uint32_t number = FLOOD_FIRST + random_below(&bench->random, FLOOD_COUNT);
    struct peer_text syn = {number, random_u32(&bench->random), 0, TCP_SYN, 0};
    bench->flood_sent++;
    return peer_frame(&bench->nic, &syn, 1);
}

/* The next frame out of the ring; its place is taken by an honest one that waits, or by flood. */
static struct packet next_frame(struct flood_bench *bench)
{
    uint32_t *place = &bench->ring[bench->ring_at];
    uint32_t number = *place;
    bench->ring_at = (bench->ring_at + 1) % RING_FRAMES;
    *place = FLOOD;
    if (bench->queue_count != 0) {
        *place = bench->queue[0];
        memmove(bench->queue, bench->queue + 1, --bench->queue_count * sizeof bench->queue[0]);
    }
    return number == FLOOD ? flood_frame(bench) : client_frame(bench, number);
}

static void turn(struct flood_bench *bench)
{
    static struct net_events events;
    struct packet packets[NIC_BURST_MAX];
    for (uint32_t i = 0; i < NIC_BURST_MAX; i++)
        packets[i] = next_frame(bench);
    events.count = 0;
    bench->nic.kept_count = 0;
    (void)net_input(bench->net, packets, NIC_BURST_MAX, bench->now_ns, &events);
    net_release(bench->net, bench->now_ns);
    net_timers(bench->net, bench->now_ns, &events);
    net_flush(bench->net, bench->now_ns);
    for (uint32_t i = 0; i < bench->nic.kept_count; i++) {
        uint32_t number = peer_kept_number(&bench->nic, i);
        if (number < CLIENTS)
            client_take(bench, number, i);
    }
}

/* ---- the whole ---- */

static int fail(const char *what)
{
    fprintf(stderr, "stentor-bench: flood: %s\n", what);
    return 1;
}

static void begin(struct flood_bench *bench)
{
    memset(bench->ring, 0xff, sizeof bench->ring);
    bench->began_at_ns = bench_now_ns();
    bench->now_ns = bench->began_at_ns;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct client *client = &bench->clients[i];
        client->began_at_ns = bench->began_at_ns + ARRIVALS_NS * i / CLIENTS;
        client->next_at_ns = client->began_at_ns;
    }
}

static uint64_t slowest_ns(const struct flood_bench *bench)
{
    uint64_t slowest = 0;
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (bench->clients[i].took_ns > slowest)
            slowest = bench->clients[i].took_ns;
    return slowest;
}

static void print(const struct flood_bench *bench, uint32_t in_time)
{
    double seconds = (double)(bench->now_ns - bench->began_at_ns) / 1e9;
    printf(bench->is_json ? "{\"flood_syns\":%llu,\"flood_syns_per_s\":%.0f,\"lost_percent\":%u,"
                            "\"clients\":%u,\"connected_within_3s\":%u,\"slowest_ms\":%.1f}\n"
                          : "SYNs of the flood     %12llu\n  a second            %12.0f\n"
                            "lost before the ring  %10u %%\nhonest clients        %12u\n"
                            "connected within 3 s  %12u\nslowest, ms           %12.1f\n",
           (unsigned long long)bench->flood_sent, (double)bench->flood_sent / seconds,
           bench->lost_percent, CLIENTS, in_time, (double)slowest_ns(bench) / 1e6);
}

static int run(struct flood_bench *bench)
{
    begin(bench);
    while (bench->now_ns < bench->began_at_ns + ARRIVALS_NS + LIMIT_NS) {
        bench->now_ns = bench_now_ns();
        clients_turn(bench);
        turn(bench);
    }
    uint32_t in_time = 0;
    for (uint32_t i = 0; i < CLIENTS; i++)
        in_time +=
            bench->clients[i].state == CLIENT_CONNECTED && bench->clients[i].took_ns <= LIMIT_NS;
    print(bench, in_time);
    if (net_usage(bench->net).connections != bench->connected ||
        loop_nic_buffers_out(&bench->nic) != 0)
        return fail("something of the flood stayed");
    return in_time == CLIENTS ? 0 : 1;
}

int bench_flood(int argc, char **argv)
{
    static struct flood_bench bench; /* tidy: global - large */
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            bench.is_json = true;
        } else if (strcmp(argv[i], "--lost-percent") == 0 && i + 1 < argc &&
                   strtoul(argv[i + 1], NULL, 10) < 100) {
            bench.lost_percent = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: stentor-bench flood [--lost-percent 0..99] [--json]\n");
            return 2;
        }
    }
    heap_init(&bench.heap, UINT64_C(1) << 30);
    random_init_seed(&bench.random, 1);
    bench.now_ns = bench_now_ns();
    if (blob_table_init(&bench.blobs, &bench.heap, 64) != ERROR_NONE ||
        trace_init(&bench.trace, &bench.heap, TRACE_EVENTS) != ERROR_NONE ||
        !loop_nic_init(&bench.nic, &bench.heap, &bench.metrics) || open_net(&bench) != ERROR_NONE)
        return fail("no memory");
    int status = run(&bench);
    net_destroy(&bench.net);
    arena_destroy(&bench.arena);
    loop_nic_fini(&bench.nic, &bench.heap);
    return status;
}
