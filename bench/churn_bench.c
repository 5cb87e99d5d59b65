/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-bench churn: opens and closes --count connections between two stacks over a lossy wire,
 * a few thousand at a time, in every way connections end, and looks whether anything stays behind.
 * Leaks that show after days of a server show here after minutes: afterwards both stacks must hold
 * no row, extension, reference, record, out-of-order octet or TIME_WAIT record, both heaps what
 * they held at the start, and the wire no buffer. Time is virtual; the figures of time are the
 * real ones. Exit 1 when something stayed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "parked.h"

#define COUNT_DEFAULT 10000000u
#define COUNT_MAX 1000000000u
#define AT_ONCE 2048u
#define LOSS_PPM_DEFAULT 10000u
#define REQUEST_BYTES 700u
#define SIDES 2u
#define PORTS 16u
#define TURNS_AFTER_MAX 2000000u
#define START_NS (1000 * NS_PER_SECOND)
#define PROGRESS_EVERY 100000u

struct side {
    struct heap heap;
    struct arena arena;
    struct blob_table blobs;
    struct metrics metrics;
    struct trace trace;
    struct random random;
    struct nic_queue *nic;
    struct net *net;
    struct net_address address;
    uint32_t blob;
    uint64_t heap_bytes; /* at the start */
    uint64_t closed[NET_CLOSE_REFUSED + 1];
};

struct churn {
    uint64_t count;
    uint32_t loss_ppm;
    bool is_json;
    struct heap heap; /* of the wire */
    struct nic_sim *sim;
    struct side sides[SIDES]; /* 0 opens, 1 listens */
    uint64_t now_ns;
    uint64_t opened;
    uint64_t refused; /* tcp_connect() had no row, extension or port free */
};

static uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- making ---- */

static void fill_options(struct side *side, struct net_options *options)
{
    parked_options(options, AT_ONCE * 4, &side->random);
    options->nic = side->nic;
    options->arena = &side->arena;
    options->heap = &side->heap;
    options->blobs = &side->blobs;
    options->metrics = &side->metrics;
    options->trace = &side->trace;
    options->locals[0].address = side->address;
    options->router_count = 0;
    options->hot_max = AT_ONCE * 4;
    options->connections_per_address = AT_ONCE * 4;
    options->accepts_per_second = 100000000;
    options->time_wait_ns = NS_PER_SECOND;
}

static enum error open_side(struct churn *churn, uint32_t number)
{
    struct side *side = &churn->sides[number];
    const uint8_t mac[6] = {0x02, 0, 0, 0, 0, (uint8_t)(number + 1)};
    struct net_options options;
    uint8_t *octets;
    heap_init(&side->heap, UINT64_C(1) << 30);
    random_init_seed(&side->random, number + 1);
    side->address = net_address_of_ipv4(PARKED_OUR_IPV4 + number);
    side->nic = nic_sim_end(churn->sim, mac, 1500, &side->metrics);
    if (side->nic == NULL || trace_init(&side->trace, &side->heap, 1024) != ERROR_NONE ||
        blob_table_init(&side->blobs, &side->heap, 64) != ERROR_NONE)
        return ERROR_NO_MEMORY;
    side->blob = blob_create(&side->blobs, REQUEST_BYTES, &octets);
    if (side->blob == BLOB_NONE)
        return ERROR_NO_MEMORY;
    memset(octets, 'x', REQUEST_BYTES);
    side->nic->index = 0; /* each side is a port of its own, and its queue 0 answers ARP */
    fill_options(side, &options);
    size_t size = ARENA_HEADER_SIZE + net_arena_bytes(&options);
    enum error error = arena_create(&side->arena, "churn", size, ARENA_PAGES_SMALL);
    if (error == ERROR_NONE)
        error = net_create(&side->net, &options, churn->now_ns);
    for (uint16_t i = 0; i < PORTS && error == ERROR_NONE && number == 1; i++)
        error = net_listen(side->net, (uint16_t)(PARKED_PORT + i));
    side->heap_bytes = heap_used_bytes(&side->heap);
    return error;
}

static enum error open_all(struct churn *churn)
{
    struct nic_sim_faults faults = {
        .loss_ppm = churn->loss_ppm, .delay_ns = 50000, .jitter_ns = 50000};
    heap_init(&churn->heap, UINT64_C(1) << 30);
    enum error error = nic_sim_create(&churn->sim, &churn->heap, 1);
    if (error != ERROR_NONE)
        return error;
    nic_sim_set_faults(churn->sim, &faults);
    error = open_side(churn, 0);
    return error == ERROR_NONE ? open_side(churn, 1) : error;
}

static void close_all(struct churn *churn)
{
    for (uint32_t i = 0; i < SIDES; i++) {
        net_destroy(&churn->sides[i].net);
        if (churn->sides[i].arena.base != NULL)
            arena_destroy(&churn->sides[i].arena);
    }
    nic_sim_destroy(&churn->sim);
}

/* ---- what connections do ---- */

static void say(struct side *side, uint32_t conn)
{
    blob_get(&side->blobs, side->blob, 1);
    if (tcp_send(side->net, conn, side->blob, 0, REQUEST_BYTES) != ERROR_NONE) {
        void *owner = blob_put(&side->blobs, side->blob);
        ASSERT(owner == NULL); /* ours is still there */
        tcp_abort(side->net, conn);
    }
}

/* One in eight ends by a reset, one in eight by whom it was not expected from. */
static void end(struct side *side, uint32_t conn)
{
    if (random_below(&side->random, 8) == 0)
        tcp_abort(side->net, conn);
    else
        tcp_close(side->net, conn);
}

static void take_event(struct side *side, const struct net_event *event, bool is_opener)
{
    uint32_t conn = event->conn;
    switch (event->kind) {
    case NET_CONNECTED:
        say(side, conn);
        if (random_below(&side->random, 8) == 0)
            tcp_close(side->net, conn);
        return;
    case NET_DATA:
        if (is_opener)
            end(side, conn);
        else if (random_below(&side->random, 8) == 0)
            end(side, conn);
        else
            say(side, conn);
        return;
    case NET_END:
        if (net_is_live(side->net, conn))
            tcp_close(side->net, conn);
        return;
    case NET_CLOSED:
        side->closed[event->why]++;
        return;
    case NET_ACCEPTED:
    case NET_SENT:
        return;
    }
}

static void turn(struct churn *churn, uint32_t number)
{
    static struct net_events events;
    struct side *side = &churn->sides[number];
    struct packet packets[NIC_BURST_MAX];
    uint32_t count = nic_receive(side->nic, packets, NIC_BURST_MAX);
    uint32_t taken = 0;
    do {
        events.count = 0;
        taken += net_input(side->net, packets + taken, count - taken, churn->now_ns, &events);
        if (taken == count)
            net_timers(side->net, churn->now_ns, &events);
        for (uint32_t i = 0; i < events.count; i++)
            if (events.items[i].kind == NET_CLOSED || net_is_live(side->net, events.items[i].conn))
                take_event(side, &events.items[i], number == 0);
        net_release(side->net, churn->now_ns);
    } while (taken < count);
    net_flush(side->net, churn->now_ns);
}

static void open_more(struct churn *churn)
{
    struct side *opener = &churn->sides[0];
    while (churn->opened < churn->count && net_usage(opener->net).connections < AT_ONCE) {
        uint16_t port = (uint16_t)(PARKED_PORT + churn->opened % PORTS);
        if (tcp_connect(opener->net, churn->sides[1].address, port, churn->now_ns) == POOL_NONE) {
            churn->refused++;
            return;
        }
        churn->opened++;
        if (churn->opened % PROGRESS_EVERY == 0 && !churn->is_json)
            fprintf(stderr, "\r%llu of %llu", (unsigned long long)churn->opened,
                    (unsigned long long)churn->count);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void pass(struct churn *churn)
{
    open_more(churn);
    turn(churn, 0);
    turn(churn, 1);
    uint64_t next_ns = nic_sim_next_ns(churn->sim);
    for (uint32_t i = 0; i < SIDES; i++)
        next_ns = earlier(next_ns, net_next_ns(churn->sides[i].net, churn->now_ns));
    next_ns = earlier(next_ns, churn->now_ns + NS_PER_SECOND);
    churn->now_ns = next_ns > churn->now_ns ? next_ns : churn->now_ns;
    nic_sim_advance(churn->sim, churn->now_ns);
}

/* ---- what stayed ---- */

static bool is_at_rest(const struct churn *churn, uint32_t number)
{
    const struct side *side = &churn->sides[number];
    struct net_usage usage = net_usage(side->net);
    return usage.connections == 0 && usage.hot == 0 && usage.send_references == 0 &&
           usage.time_wait == 0 && usage.reorder_bytes == 0 && side->blobs.used == 1 &&
           heap_used_bytes(&side->heap) == side->heap_bytes;
}

static void tell(const struct churn *churn, uint32_t number)
{
    const struct side *side = &churn->sides[number];
    struct net_usage usage = net_usage(side->net);
    fprintf(stderr,
            "stentor-bench: churn: side %u: %u connections, %u extensions, %u references, "
            "%u in TIME_WAIT, %llu octets out of order, heap %lld octets more\n",
            number, usage.connections, usage.hot, usage.send_references, usage.time_wait,
            (unsigned long long)usage.reorder_bytes,
            (long long)(heap_used_bytes(&side->heap) - side->heap_bytes));
}

static bool run(struct churn *churn)
{
    while (churn->opened < churn->count)
        pass(churn);
    for (uint32_t i = 0; i < TURNS_AFTER_MAX; i++) {
        if (is_at_rest(churn, 0) && is_at_rest(churn, 1) && nic_sim_buffers_used(churn->sim) == 0)
            return true;
        pass(churn);
    }
    tell(churn, 0);
    tell(churn, 1);
    return false;
}

static void print(const struct churn *churn, uint64_t spent_ns)
{
    const uint64_t *closed = churn->sides[0].closed;
    uint64_t retransmits = 0;
    for (uint32_t i = 0; i < SIDES; i++)
        retransmits += (uint64_t)metric_get(&churn->sides[i].metrics, METRIC_TCP_RETRANSMITS);
    printf(churn->is_json
               ? "{\"count\":%llu,\"closed_in_order\":%llu,\"reset\":%llu,\"aborted\":%llu,"
                 "\"timed_out\":%llu,\"refused\":%llu,\"retransmits\":%llu,"
                 "\"virtual_s\":%.0f,\"us_a_connection\":%.2f,\"left\":0}\n"
               : "connections        %12llu\nclosed in order    %12llu\nreset by the peer  %12llu\n"
                 "aborted            %12llu\ntimed out          %12llu\nrefused            %12llu\n"
                 "sent again         %12llu\nvirtual seconds    %12.0f\nus a connection    %12.2f\n"
                 "left behind                   0\n",
           (unsigned long long)churn->count, (unsigned long long)closed[NET_CLOSE_DONE],
           (unsigned long long)closed[NET_CLOSE_RESET],
           (unsigned long long)closed[NET_CLOSE_ABORTED],
           (unsigned long long)closed[NET_CLOSE_TIMEOUT],
           (unsigned long long)closed[NET_CLOSE_REFUSED], (unsigned long long)retransmits,
           (double)(churn->now_ns - START_NS) / 1e9, (double)spent_ns / 1e3 / (double)churn->count);
}

static bool read_arguments(struct churn *churn, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *end_of = NULL;
        if (strcmp(argv[i], "--json") == 0) {
            churn->is_json = true;
            continue;
        }
        if (i + 1 == argc)
            return false;
        unsigned long value = strtoul(argv[i + 1], &end_of, 10);
        if (*end_of != '\0')
            return false;
        if (strcmp(argv[i], "--count") == 0 && value >= 1 && value <= COUNT_MAX)
            churn->count = value;
        else if (strcmp(argv[i], "--loss-ppm") == 0 && value <= 500000)
            churn->loss_ppm = (uint32_t)value;
        else
            return false;
        i++;
    }
    return true;
}

int bench_churn(int argc, char **argv)
{
    static struct churn churn; /* tidy: global - large */
    churn.count = COUNT_DEFAULT;
    churn.loss_ppm = LOSS_PPM_DEFAULT;
    churn.now_ns = START_NS;
    if (!read_arguments(&churn, argc, argv)) {
        fprintf(stderr, "usage: stentor-bench churn [--count N] [--loss-ppm N] [--json]\n");
        return 2;
    }
    if (open_all(&churn) != ERROR_NONE) {
        fprintf(stderr, "stentor-bench: churn: no memory\n");
        return 1;
    }
    uint64_t start_ns = bench_now_ns();
    bool is_clean = run(&churn);
    if (is_clean)
        print(&churn, bench_now_ns() - start_ns);
    close_all(&churn);
    return is_clean ? 0 : 1;
}
