/* SPDX-License-Identifier: Apache-2.0
 *
 * Stentor's TCP/IP on a DPDK port and nothing above it but services.h: what the Linux kernel, a
 * capture or a bench talks to.
 *
 *   tcp_peer CONFIG SECONDS [real|all|none]
 *
 * CONFIG is a configuration of the server's; its nic, net and tcp sections and xmpp.outbox_bytes
 * (as the send limit) count; beside net.address the port has fd99::2/64. Says "ready" when the port
 * is up; ends after SECONDS, or after SIGTERM once every connection is gone or DRAIN_NS are over,
 * and then prints one line of JSON: what the port is and every counter that moved. The third word
 * is what the port's offloads are used for (nic_port.h). One thread; it sleeps when it is idle. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "nic_port.h"
#include "services.h"
#include "stentor/clock.h"
#include "stentor/text.h"

#define SPIN_NS (20 * NS_PER_US)
#define SLEEP_NS_MAX (100 * NS_PER_MS)
#define DRAIN_NS (8 * NS_PER_SECOND)
#define BLOBS 65535u
#define TRACE_EVENTS 1024u
#define HEAP_BYTES_MAX (UINT64_C(1) << 30)
#define REFERENCES 65536u
#define ADDRESS_6                                                                                  \
    {                                                                                              \
        0xfd, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2                                       \
    } /* fd99::2 */
#define ARENA_SPARE (64u << 10)

struct peer {
    struct config config;
    struct nic_port *port;
    struct nic_queue *nic;
    struct heap heap;
    struct arena arena;
    struct blob_table blobs;
    struct trace trace;
    struct random random;
    struct metrics metrics;
    struct net *net;
    struct services *services;
    struct net_events events;
    uint64_t now_ns;
};

static volatile sig_atomic_t is_over; /* set by SIGTERM */

static void end_at_signal(int number)
{
    (void)number;
    is_over = 1;
}

static enum error address_read(const char *text, struct net_address *address)
{
    *address = (struct net_address){0};
    if (text[0] == '\0')
        return ERROR_NONE;
    return net_address_parse(bytes_of_string(text), address) ? ERROR_NONE : ERROR_INVALID;
}

static enum error options_fill(struct peer *peer, struct net_options *options)
{
    const struct config *config = &peer->config;
    const struct net_liveness liveness = {
        .keepalive_idle_ns = config->tcp_keepalive_idle,
        .keepalive_interval_ns = config->tcp_keepalive_interval,
        .keepalive_probes = (uint32_t)config->tcp_keepalive_probes,
        .user_timeout_ns = config->tcp_user_timeout,
    };
    *options = (struct net_options){
        .nic = peer->nic,
        .arena = &peer->arena,
        .heap = &peer->heap,
        .blobs = &peer->blobs,
        .metrics = &peer->metrics,
        .trace = &peer->trace,
        .random = &peer->random,
        .locals = {{.prefix_bits = (uint8_t)config->net_prefix},
                   {.address = {ADDRESS_6}, .prefix_bits = 64}},
        .local_count = 2,
        .router_count = config->net_gateway[0] != '\0',
        .connections_max = (uint32_t)config->tcp_connections_max,
        .hot_max = (uint32_t)config->tcp_hot_max,
        .send_references_max = REFERENCES,
        .connections_per_address = (uint32_t)config->tcp_connections_per_address,
        .accepts_per_second = (uint32_t)config->tcp_accept_rate,
        .receive_window = (uint32_t)config->tcp_receive_window,
        .reorder_bytes_max = config->tcp_reorder_bytes,
        .send_bytes_max = config->xmpp_outbox_bytes,
        .accepts_per_second_address = (uint32_t)config->tcp_accept_rate_per_address,
        .tiny_segments_per_second = (uint32_t)config->tcp_tiny_rate,
        .drain_bytes_per_second = (uint32_t)config->tcp_drain_rate,
        .window_shut_ns = config->tcp_window_shut,
        .shed_after_ns = config->tcp_shed_after,
        .congestion = strcmp(config->net_congestion, "cubic") == 0 ? NET_CUBIC : NET_NEWRENO,
        .has_ecn = config->net_ecn,
        .liveness = {[NET_LIVENESS_NEW] = liveness, [NET_LIVENESS_KNOWN] = liveness},
        .time_wait_ns = config->tcp_time_wait,
        .time_wait_max = (uint32_t)config->tcp_time_wait_max,
    };
    random_fill(&peer->random, &options->key, sizeof options->key);
    enum error error = address_read(config->net_address, &options->locals[0].address);
    if (error == ERROR_NONE && options->router_count != 0)
        error = address_read(config->net_gateway, &options->routers[0].address);
    return error;
}

static enum error stack_begin(struct peer *peer)
{
    struct net_options options;
    enum error error = blob_table_init(&peer->blobs, &peer->heap, BLOBS);
    if (error == ERROR_NONE)
        error = trace_init(&peer->trace, &peer->heap, TRACE_EVENTS);
    if (error == ERROR_NONE)
        error = services_create(&peer->services, &peer->heap, &peer->blobs,
                                (uint32_t)peer->config.tcp_connections_max);
    if (error == ERROR_NONE)
        error = options_fill(peer, &options);
    if (error == ERROR_NONE)
        error = arena_create(&peer->arena, "tcp-peer-rows",
                             ARENA_HEADER_SIZE + net_arena_bytes(&options) + ARENA_SPARE,
                             ARENA_PAGES_TRANSPARENT);
    if (error == ERROR_NONE)
        error = net_create(&peer->net, &options, peer->now_ns);
    return error == ERROR_NONE ? services_listen(peer->services, peer->net) : error;
}

static void peer_end(struct peer *peer)
{
    if (peer->net != NULL)
        net_destroy(&peer->net);
    services_destroy(&peer->services);
    if (peer->arena.base != NULL)
        arena_destroy(&peer->arena);
    trace_fini(&peer->trace, &peer->heap);
    blob_table_fini(&peer->blobs);
    nic_close(&peer->port);
}

/* ---- turns ---- */

static void take_events(struct peer *peer)
{
    services_take(peer->services, &peer->events, peer->now_ns);
    peer->events.count = 0;
}

static bool turn(struct peer *peer)
{
    struct packet packets[NIC_BURST_MAX];
    uint32_t count = nic_receive(peer->nic, packets, NIC_BURST_MAX);
    for (uint32_t taken = 0; taken < count;) {
        uint32_t step =
            net_input(peer->net, packets + taken, count - taken, peer->now_ns, &peer->events);
        ASSERT(step > 0);
        taken += step;
        take_events(peer);
    }
    net_timers(peer->net, peer->now_ns, &peer->events);
    bool is_busy = count != 0 || peer->events.count != 0;
    take_events(peer);
    net_release(peer->net, peer->now_ns);
    services_retry(peer->services);
    net_flush(peer->net, peer->now_ns);
    return is_busy;
}

/* True when the time is over, or a while after SIGTERM, which lets the last FINs be repeated. */
static bool is_done(const struct peer *peer, uint64_t until_ns, uint64_t *drain_until_ns)
{
    if (peer->now_ns >= until_ns)
        return true;
    if (!is_over)
        return false;
    if (*drain_until_ns == 0)
        *drain_until_ns = peer->now_ns + DRAIN_NS;
    return peer->now_ns >= *drain_until_ns || net_usage(peer->net).connections == 0;
}

static void serve(struct peer *peer, uint64_t until_ns)
{
    uint64_t busy_at_ns = peer->now_ns;
    uint64_t drain_until_ns = 0;
    while (!is_done(peer, until_ns, &drain_until_ns)) {
        peer->now_ns = clock_now_ns();
        if (turn(peer)) {
            busy_at_ns = peer->now_ns;
            continue;
        }
        if (peer->now_ns - busy_at_ns <= SPIN_NS)
            continue;
        uint64_t next_ns = net_next_ns(peer->net, peer->now_ns);
        uint64_t sleep_ns = next_ns > peer->now_ns ? next_ns - peer->now_ns : 0;
        nic_wait(peer->nic, sleep_ns < SLEEP_NS_MAX ? sleep_ns : SLEEP_NS_MAX, -1);
    }
}

static void report(const struct peer *peer)
{
    char described[256];
    struct writer writer = writer_of(described, sizeof described - 1);
    nic_describe(peer->port, &writer);
    struct net_usage usage = net_usage(peer->net);
    printf("{\"nic\": \"%.*s\", \"connections\": %u, \"send_references\": %u", (int)writer.size,
           described, usage.connections, usage.send_references);
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        int64_t value = metric_get(&peer->metrics, (enum metric)i);
        if (value != 0)
            printf(", \"%s\": %" PRId64, metric_name((enum metric)i), value);
    }
    puts("}");
}

static bool offload_read(const char *word, enum nic_offload *offload)
{
    static const char *const words[] = {
        [NIC_OFFLOAD_REAL] = "real", [NIC_OFFLOAD_ALL] = "all", [NIC_OFFLOAD_NONE] = "none"};
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *offload = (enum nic_offload)i;
            return true;
        }
    }
    return false;
}

static int complain(const struct writer *message, enum error error)
{
    fprintf(stderr, "tcp_peer: %.*s (%s)\n", (int)message->size, (const char *)message->at,
            error_text(error));
    return 1;
}

static int peer_run(struct peer *peer, const char *path, uint64_t seconds, enum nic_offload offload)
{
    static char text[4096];
    struct writer message = writer_of(text, sizeof text);
    enum error error = config_read_file(&peer->config, path, &message);
    if (error == ERROR_NONE)
        error = nic_open_with(&peer->port, &peer->config, 1, offload, &message);
    if (error != ERROR_NONE)
        return complain(&message, error);
    heap_init(&peer->heap, HEAP_BYTES_MAX);
    random_init_system(&peer->random);
    peer->nic = nic_port_queue(peer->port, 0, &peer->metrics);
    peer->now_ns = clock_now_ns();
    error = stack_begin(peer);
    if (error == ERROR_NONE) {
        puts("ready");
        fflush(stdout);
        serve(peer, peer->now_ns + seconds * NS_PER_SECOND);
        report(peer);
    }
    peer_end(peer);
    return error == ERROR_NONE ? 0 : complain(&message, error);
}

int main(int argc, char **argv)
{
    static struct peer peer;
    enum nic_offload offload = NIC_OFFLOAD_REAL;
    uint64_t seconds = 0;
    if (argc < 3 || argc > 4 || !decimal_parse(bytes_of_string(argv[2]), 86400, &seconds) ||
        (argc == 4 && !offload_read(argv[3], &offload))) {
        fputs("usage: tcp_peer CONFIG SECONDS [real|all|none]\n", stderr);
        return 2;
    }
    struct sigaction action = {.sa_handler = end_at_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    return peer_run(&peer, argv[1], seconds, offload);
}
