/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_sim.h: a host, from its arena to its turn. */
#include <stdlib.h>

#include "tcp_sim.h"

#define HOST_BLOBS 4096u
#define HOST_TRACE_EVENTS 256u
#define HOST_ADDRESS 0x0a000001u /* 10.0.0.1, of host 0 */

/* ---- the tap ---- */

static struct tap *tap_of(struct nic_queue *queue)
{
    return (struct tap *)(void *)queue;
}

static uint32_t tap_receive(struct nic_queue *queue, struct packet *packets, uint32_t max)
{
    uint32_t count = nic_receive(tap_of(queue)->inner, packets, max);
    tap_of(queue)->received_count += count;
    return count;
}

static bool tap_take(struct nic_queue *queue, struct packet *packet)
{
    return nic_take(tap_of(queue)->inner, packet);
}

static void tap_release(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    nic_release(tap_of(queue)->inner, packets, count);
}

static void tap_transmit(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    struct tap *tap = tap_of(queue);
    for (uint32_t i = 0; i < count; i++) {
        tap->sent_count++;
        watch_packet(tap->sim, tap->host, &packets[i]);
    }
    nic_transmit(tap->inner, packets, count);
}

static void tap_flush(struct nic_queue *queue)
{
    nic_flush(tap_of(queue)->inner);
}

static const struct nic_ops tap_ops = {
    .receive = tap_receive,
    .take = tap_take,
    .release = tap_release,
    .transmit = tap_transmit,
    .flush = tap_flush,
};

/* ---- life ---- */

static bool take_memory(struct host *host)
{
    heap_init(&host->heap, 64u << 20);
    host->metrics = aligned_alloc(64, sizeof *host->metrics);
    if (host->metrics == NULL)
        return false;
    memset(host->metrics, 0, sizeof *host->metrics);
    return trace_init(&host->trace, &host->heap, HOST_TRACE_EVENTS) == ERROR_NONE &&
           blob_table_init(&host->blobs, &host->heap, HOST_BLOBS) == ERROR_NONE;
}

static bool plug_in(struct tcp_sim *sim, uint32_t which, uint16_t mtu)
{
    struct host *host = &sim->hosts[which];
    const uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(which + 1)};
    host->tap.inner = nic_sim_end(sim->wire, mac, mtu, host->metrics);
    if (host->tap.inner == NULL)
        return false;
    host->tap.queue = *host->tap.inner;
    host->tap.queue.ops = &tap_ops;
    host->tap.queue.index = 0;
    host->tap.sim = sim;
    host->tap.host = which;
    return true;
}

/* The first that is drawn from a host's random, so that a start in time can be
 * chosen by it. */
static struct siphash_key draw_key(struct random *random)
{
    uint64_t k0 = random_u64(random);
    return (struct siphash_key){k0, random_u64(random)};
}

static uint64_t random_seed_of(const struct tcp_sim *sim, uint32_t which)
{
    return sim->seed * TCP_SIM_HOSTS + which;
}

uint64_t host_wrap_start_ns(const struct tcp_sim *sim, uint64_t before_ms)
{
    struct random random;
    random_init_seed(&random, random_seed_of(sim, 0));
    struct tcp_cookie cookie = {.boot = draw_key(&random)};
    struct tcp_key key = {.remote = net_address_of_ipv4(HOST_ADDRESS + 1),
                          .remote_port = TCP_SIM_PORT,
                          .local_port = TCP_SIM_FIRST_PORT};
    uint32_t offset = tcp_cookie_timestamp_offset(&cookie, &key);
    uint64_t start_ms = (uint32_t)(0u - (uint32_t)before_ms - offset);
    /* Not before the clock of the world has gone on for a while. */
    return (start_ms < 1000000 ? start_ms + (UINT64_C(1) << 32) : start_ms) * NS_PER_MS;
}

static void set_options(struct host *host, const struct net_options *limits)
{
    host->options = *limits;
    host->options.key = draw_key(&host->random);
    host->options.nic = &host->tap.queue;
    host->options.arena = &host->arena;
    host->options.heap = &host->heap;
    host->options.blobs = &host->blobs;
    host->options.metrics = host->metrics;
    host->options.trace = &host->trace;
    host->options.random = &host->random;
    host->options.locals[0] = (struct net_local){.address = host->addresses[0], .prefix_bits = 24};
    host->options.locals[1] = (struct net_local){.address = host->addresses[1], .prefix_bits = 64};
    host->options.local_count = 2;
}

bool host_open(struct tcp_sim *sim, uint32_t which, const struct net_options *limits)
{
    struct host *host = &sim->hosts[which];
    random_init_seed(&host->random, random_seed_of(sim, which));
    host->addresses[0] = net_address_of_ipv4(HOST_ADDRESS + which);
    host->addresses[1] = (struct net_address){{0xfd, [15] = (uint8_t)(which + 1)}};
    if (!take_memory(host) || !plug_in(sim, which, 1500))
        return false;
    set_options(host, limits);
    size_t bytes = net_arena_bytes(&host->options) + ARENA_HEADER_SIZE;
    if (arena_create(&host->arena, "tcp_sim", bytes, ARENA_PAGES_SMALL) != ERROR_NONE ||
        net_create(&host->net, &host->options, sim->now_ns) != ERROR_NONE ||
        net_listen(host->net, TCP_SIM_PORT) != ERROR_NONE)
        return false;
    host->net->tcp->ephemeral_next = TCP_SIM_FIRST_PORT;
    host->heap_baseline = heap_used_bytes(&host->heap);
    return true;
}

void host_close(struct tcp_sim *sim, uint32_t which)
{
    struct host *host = &sim->hosts[which];
    if (host->net != NULL)
        net_destroy(&host->net);
    if (host->arena.base != NULL)
        arena_destroy(&host->arena);
    if (host->metrics != NULL) {
        blob_table_fini(&host->blobs);
        trace_fini(&host->trace, &host->heap);
        if (heap_used_bytes(&host->heap) != 0)
            tcp_sim_blame(sim, "host %u: %llu octets of heap are lost", which,
                          (unsigned long long)heap_used_bytes(&host->heap));
    }
    free(host->metrics);
    host->metrics = NULL;
}

/* ---- a turn ---- */

static void take_events(struct tcp_sim *sim, uint32_t which, struct net_events *events)
{
    for (uint32_t i = 0; i < events->count; i++)
        call_take_event(sim, which, &events->items[i]);
    events->count = 0;
}

bool host_is_dead(const struct tcp_sim *sim, uint32_t which)
{
    return which == sim->mortal && sim->now_ns >= sim->dies_at_ns;
}

void host_turn(struct tcp_sim *sim, uint32_t which)
{
    static struct net_events events; /* tidy: global - large, and empty between turns */
    struct host *host = &sim->hosts[which];
    struct packet packets[NIC_BURST_MAX];
    if (host_is_dead(sim, which)) {
        nic_release(host->tap.inner, packets, nic_receive(host->tap.inner, packets, NIC_BURST_MAX));
        return;
    }
    host->tap.sent_count = host->tap.plain_count = host->tap.received_count = 0;
    events.count = 0;
    uint32_t count = nic_receive(&host->tap.queue, packets, NIC_BURST_MAX);
    for (uint32_t taken = 0; taken < count;) {
        taken += net_input(host->net, packets + taken, count - taken, sim->now_ns, &events);
        take_events(sim, which, &events);
    }
    call_run(sim, which);
    net_release(host->net, sim->now_ns);
    net_timers(host->net, sim->now_ns, &events);
    take_events(sim, which, &events);
    net_flush(host->net, sim->now_ns);
    watch_turn(sim, which);
}

uint64_t host_next_ns(const struct tcp_sim *sim, uint32_t which)
{
    if (host_is_dead(sim, which))
        return UINT64_MAX;
    return net_next_ns(sim->hosts[which].net, sim->now_ns);
}
