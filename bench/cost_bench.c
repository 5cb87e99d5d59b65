/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-bench cost: one kind of event on many parked connections, each once, in bursts of 32, in
 * random order: for counting instructions and cold cache lines of the network floor under callgrind
 * (docs/COSTS.md has the command and the table). Only run_burst() is to be collected: frames and
 * blobs are made before it. Events of `sweep` are rows passed. Prints nanoseconds as well, which
 * under callgrind mean nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "loop_nic.h"
#include "parked.h"

#define COUNT_DEFAULT 200000u
#define BURST 32u
#define PAYLOAD 64u
#define BLOBS 65000u

enum event { EVENT_ACK, EVENT_DATA, EVENT_REORDER, EVENT_SEND, EVENT_SWEEP, EVENT_COUNT };

static const char *const event_names[EVENT_COUNT] = {
    [EVENT_ACK] = "ack",   [EVENT_DATA] = "data",   [EVENT_REORDER] = "reorder",
    [EVENT_SEND] = "send", [EVENT_SWEEP] = "sweep",
};

struct cost_bench {
    enum event event;
    uint32_t count;
    struct heap heap;
    struct arena arena;
    struct blob_table blobs;
    struct metrics metrics;
    struct trace trace;
    struct random random;
    struct loop_nic nic;
    struct net *net;
    uint64_t now_ns;
    uint32_t *order; /* connections, shuffled */
    struct packet packets[BURST];
    uint32_t sends[BURST]; /* blobs */
    struct net_events events;
    uint64_t spent_ns;
};

static const uint8_t our_mac[6] = {0x02, 0, 0, 0, 0, 1};
static const uint8_t router_mac[6] = {0x02, 0, 0, 0, 0, 2};

static uint64_t cost_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct packet segment(struct cost_bench *bench, uint32_t number, uint32_t seq_ahead,
                             uint32_t ack_ahead, uint32_t payload)
{
    uint8_t octets[14 + 20 + 20 + TCP_TIMESTAMPS_SIZE + PAYLOAD] = {0};
    struct tcp_key key = parked_key(number);
    struct ethernet_header *ethernet = (void *)octets;
    struct ip_header *ip = (void *)(ethernet + 1);
    struct tcp_header *tcp = (void *)(ip + 1);
    uint32_t size = 20 + 20 + TCP_TIMESTAMPS_SIZE + payload;
    memcpy(ethernet->destination, our_mac, sizeof our_mac);
    memcpy(ethernet->source, router_mac, sizeof router_mac);
    ethernet->type = be16_of(ETHERNET_TYPE_IPV4);
    *ip = (struct ip_header){.version_size = 0x45,
                             .size = be16_of((uint16_t)size),
                             .hops = 64,
                             .protocol = IP_PROTOCOL_TCP,
                             .source = be32_of(net_address_ipv4(&key.remote)),
                             .destination = be32_of(PARKED_OUR_IPV4)};
    *tcp = (struct tcp_header){.source_port = be16_of(key.remote_port),
                               .destination_port = be16_of(key.local_port),
                               .seq = be32_of(parked_peer_seq(number) + seq_ahead),
                               .ack = be32_of(parked_our_seq(number) + ack_ahead),
                               .offset = (20 + TCP_TIMESTAMPS_SIZE) / 4 << 4,
                               .flags = TCP_ACK,
                               .window = be16_of(512)};
    tcp_options_write_timestamps((uint8_t *)(tcp + 1), number + 1, 0);
    return loop_nic_frame(&bench->nic, bytes_of(octets, 14 + size));
}

/* The router's MAC, by a segment of no connection: what is learnt is the address it came from. */
static void know_router(struct cost_bench *bench)
{
    uint8_t octets[14 + sizeof(struct arp_header)] = {0};
    struct ethernet_header *ethernet = (void *)octets;
    struct arp_header *arp = (void *)(ethernet + 1);
    memcpy(ethernet->destination, our_mac, sizeof our_mac);
    memcpy(ethernet->source, router_mac, sizeof router_mac);
    ethernet->type = be16_of(ETHERNET_TYPE_ARP);
    *arp = (struct arp_header){.hardware = be16_of(ARP_HARDWARE_ETHERNET),
                               .protocol = be16_of(ETHERNET_TYPE_IPV4),
                               .hardware_size = ETHERNET_MAC_SIZE,
                               .protocol_size = 4,
                               .operation = be16_of(ARP_REPLY),
                               .sender = be32_of(PARKED_ROUTER_IPV4),
                               .target = be32_of(PARKED_OUR_IPV4)};
    memcpy(arp->sender_mac, router_mac, sizeof router_mac);
    memcpy(arp->target_mac, our_mac, sizeof our_mac);
    struct packet packet = loop_nic_frame(&bench->nic, bytes_of(octets, sizeof octets));
    (void)net_input(bench->net, &packet, 1, bench->now_ns, &bench->events);
    net_release(bench->net, bench->now_ns);
}

static enum error open_all(struct cost_bench *bench)
{
    struct net_options options;
    parked_options(&options, bench->count, &bench->random);
    options.hot_max = bench->count;
    options.send_references_max = bench->count;
    options.reorder_bytes_max = UINT64_C(1) << 32;
    options.nic = &bench->nic.queue;
    options.arena = &bench->arena;
    options.heap = &bench->heap;
    options.blobs = &bench->blobs;
    options.metrics = &bench->metrics;
    options.trace = &bench->trace;
    enum error error = arena_create(&bench->arena, "cost", net_arena_bytes(&options) + (1u << 16),
                                    ARENA_PAGES_SMALL);
    if (error == ERROR_NONE)
        error = net_create(&bench->net, &options, bench->now_ns);
    if (error != ERROR_NONE)
        return error;
    know_router(bench);
    for (uint32_t i = 0; i < bench->count; i++) {
        if (parked_open(bench->net, i, bench->now_ns) != i)
            return ERROR_LIMIT;
        bench->order[i] = i;
    }
    for (uint32_t i = bench->count - 1; i > 0; i--) {
        uint32_t other = random_below(&bench->random, i + 1);
        uint32_t kept = bench->order[i];
        bench->order[i] = bench->order[other];
        bench->order[other] = kept;
    }
    return ERROR_NONE;
}

/* ---- events ---- */

static void prepare(struct cost_bench *bench, const uint32_t *numbers)
{
    static const uint8_t text[PAYLOAD];
    for (uint32_t i = 0; i < BURST; i++) {
        if (bench->event == EVENT_SEND) {
            bench->sends[i] = blob_create_copy(&bench->blobs, bytes_of(text, PAYLOAD));
            bench->packets[i] = segment(bench, numbers[i], 0, PAYLOAD, 0);
        } else if (bench->event != EVENT_SWEEP) {
            bench->packets[i] = segment(bench, numbers[i], bench->event == EVENT_REORDER ? 100 : 0,
                                        0, bench->event == EVENT_ACK ? 0 : PAYLOAD);
        }
    }
}

/* What callgrind collects. */
NOINLINE static void run_burst(struct cost_bench *bench, const uint32_t *numbers)
{
    bench->events.count = 0;
    if (bench->event == EVENT_SEND) {
        for (uint32_t i = 0; i < BURST; i++)
            if (tcp_send(bench->net, numbers[i], bench->sends[i], 0, PAYLOAD) != ERROR_NONE)
                abort();
        net_flush(bench->net, bench->now_ns);
    }
    if (bench->event == EVENT_SWEEP) {
        net_timers(bench->net, bench->now_ns, &bench->events);
        return;
    }
    (void)net_input(bench->net, bench->packets, BURST, bench->now_ns, &bench->events);
    net_release(bench->net, bench->now_ns);
}

static void run_all(struct cost_bench *bench)
{
    for (uint32_t at = 0; at + BURST <= bench->count; at += BURST) {
        prepare(bench, bench->order + at);
        uint64_t start_ns = cost_now_ns();
        run_burst(bench, bench->order + at);
        bench->spent_ns += cost_now_ns() - start_ns;
        bench->now_ns += bench->event == EVENT_SWEEP ? 50 * NS_PER_MS : 1000;
    }
}

static bool read_arguments(struct cost_bench *bench, int argc, char **argv)
{
    bench->count = COUNT_DEFAULT;
    bench->event = EVENT_COUNT;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--count") == 0)
            bench->count = (uint32_t)strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--event") != 0)
            return false;
        for (uint32_t k = 0; k < EVENT_COUNT; k++)
            if (strcmp(argv[i + 1], event_names[k]) == 0)
                bench->event = (enum event)k;
    }
    return bench->event != EVENT_COUNT && bench->count >= BURST && bench->count <= 10000000;
}

int bench_cost(int argc, char **argv)
{
    static struct cost_bench bench;
    bench.now_ns = 1000 * NS_PER_SECOND;
    if (!read_arguments(&bench, argc, argv)) {
        fprintf(stderr, "stentor-bench cost: --event ack|data|reorder|send|sweep [--count N]\n");
        return 2;
    }
    heap_init(&bench.heap, UINT64_C(8) << 30);
    random_init_seed(&bench.random, 1);
    bench.order = malloc(bench.count * sizeof *bench.order);
    if (bench.order == NULL || !loop_nic_init(&bench.nic, &bench.heap, &bench.metrics) ||
        trace_init(&bench.trace, &bench.heap, 4096) != ERROR_NONE ||
        blob_table_init(&bench.blobs, &bench.heap, BLOBS) != ERROR_NONE ||
        open_all(&bench) != ERROR_NONE) {
        fprintf(stderr, "stentor-bench cost: no memory\n");
        return 1;
    }
    run_all(&bench);
    uint64_t events = bench.count / BURST * BURST;
    if (bench.event == EVENT_SWEEP) /* a burst is a turn, which passes a hundredth of the rows */
        events = (uint64_t)(bench.count / BURST) * (bench.count / 100 + 64);
    printf("%s: %llu events, %.2f ns each, %lld dropped by sequence\n", event_names[bench.event],
           (unsigned long long)events, (double)bench.spent_ns / (double)events,
           (long long)metric_get(&bench.metrics, METRIC_TCP_DROP_SEQUENCE));
    return 0;
}
