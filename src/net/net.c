/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of the floor. A burst goes through it in four passes, so that the cache misses of its
 * packets overlap: judge all frames (pure); hash all TCP keys and fetch their buckets; fetch the
 * rows their tags point at; then, in order of arrival, compare keys and run each packet. The table
 * may change while the burst runs (a cookie opens a row, a reset closes one): what was found is
 * good only while table.changes stands, else it is looked up again.
 *
 * A packet ends in one of three ways: rewritten and sent (taken), held until net_release() because
 * an event's view points into it, or released with the burst. */
#include "stentor/net.h"

#include "icmp.h"
#include "mld.h"
#include "net_state.h"
#include "tcp.h"

#define ACCEPT_BURST_PART 10u /* accepts at once: what a tenth of a second allows */
#define ARENA_SLACK (64u * 1024u)

/* ---- life ---- */

size_t net_arena_bytes(const struct net_options *options)
{
    size_t rows = options->connections_max;
    size_t bytes = rows * sizeof(struct tcp_row);
    bytes += rows * (sizeof(uint32_t) + sizeof(uint16_t)); /* pool */
    bytes += rows * sizeof(uint16_t);                      /* deadlines */
    bytes += tcp_table_bytes(options->connections_max);
    bytes += tcp_limit_bytes(options->connections_max);
    bytes += tcp_arena_bytes(options);
    return bytes + ARENA_SLACK;
}

static void set_limits(struct net *net)
{
    const struct net_options *options = &net->options;
    net->limit.connections_max = options->connections_per_address < TCP_LIMIT_COUNT_MAX
                                     ? options->connections_per_address
                                     : TCP_LIMIT_COUNT_MAX;
    rate_limit_init(&net->accepts, options->accepts_per_second,
                    options->accepts_per_second / ACCEPT_BURST_PART + 1);
    rate_limit_init(&net->guesses, NET_GUESSES_PER_SECOND, NET_GUESSES_PER_SECOND);
    rate_limit_init(&net->resets, NET_RESETS_PER_SECOND, NET_RESETS_BURST);
    rate_limit_init(&net->echoes, ICMP_REPLIES_PER_SECOND, ICMP_REPLIES_BURST);
    rate_limit_init(&net->errors, ICMP_ERRORS_PER_SECOND, ICMP_ERRORS_BURST);
}

static enum error take_tables(struct net *net)
{
    const struct net_options *options = &net->options;
    uint32_t rows = options->connections_max;
    net->rows = arena_take(options->arena, (size_t)rows * sizeof *net->rows, CACHE_LINE);
    if (net->rows == NULL)
        return ERROR_NO_MEMORY;
    enum error error = pool_init(&net->pool, options->arena, rows, options->worker);
    if (error == ERROR_NONE)
        error = deadline_init(&net->deadline, options->arena, rows);
    if (error == ERROR_NONE)
        error = tcp_table_init(&net->table, options->arena, rows, &options->key);
    if (error == ERROR_NONE)
        error = tcp_limit_init(&net->limit, options->arena, rows, &options->key);
    return error;
}

enum error net_create(struct net **made, const struct net_options *options, uint64_t now_ns)
{
    ASSERT(options->connections_max > 0);
    ASSERT(options->local_count > 0);
    ASSERT(options->local_count <= NET_LOCALS_MAX);
    ASSERT(options->router_count <= NET_ROUTERS_MAX);
    struct net *net = heap_take_zeroed(options->heap, sizeof *net);
    if (net == NULL)
        return ERROR_NO_MEMORY;
    net->options = *options;
    net->now_ns = now_ns;
    link_init(&net->link, &net->options);
    enum error error = take_tables(net);
    if (error == ERROR_NONE)
        error = tcp_init(net);
    if (error != ERROR_NONE) {
        heap_give(options->heap, net);
        return error;
    }
    set_limits(net);
    tcp_cookie_init(&net->cookie, options->random, &options->key, now_ns);
    arp_start(net);
    ndp_start(net);
    neighbour_start(net);
    *made = net;
    return ERROR_NONE;
}

void net_destroy(struct net **given)
{
    struct net *net = *given;
    if (net == NULL)
        return;
    *given = NULL;
    nic_release(net->options.nic, net->held, net->held_count);
    net_packets_flush(net);
    tcp_fini(net);
    heap_give(net->options.heap, net);
}

enum error net_listen(struct net *net, uint16_t port)
{
    ASSERT(port != 0);
    if (net_is_listening(net, port))
        return ERROR_EXISTS;
    if (net->port_count == NET_PORTS_MAX)
        return ERROR_LIMIT;
    net->ports[net->port_count++] = port;
    return ERROR_NONE;
}

void net_unlisten(struct net *net, uint16_t port)
{
    for (uint32_t i = 0; i < net->port_count; i++)
        if (net->ports[i] == port)
            net->ports[i--] = net->ports[--net->port_count];
}

/* ---- a burst in ---- */

struct burst {
    struct packet *packets;
    uint32_t count;
    struct frame frames[NIC_BURST_MAX];
    struct tcp_lookup lookups[NIC_BURST_MAX];
    uint8_t lookup_of[NIC_BURST_MAX]; /* of a FRAME_TCP */
    uint32_t changes;                 /* of the table, when it was asked */
};
static_assert(NIC_BURST_MAX <= TCP_TABLE_BATCH_MAX, "one batch a burst");

static void judge_burst(struct net *net, struct burst *burst)
{
    for (uint32_t i = 0; i < burst->count; i++)
        __builtin_prefetch(burst->packets[i].frame);
    uint32_t lookup_count = 0;
    for (uint32_t i = 0; i < burst->count; i++) {
        struct frame *frame = &burst->frames[i];
        frame_read(&net->link, &burst->packets[i], frame);
        if (frame->kind != FRAME_TCP)
            continue;
        burst->lookup_of[i] = (uint8_t)lookup_count;
        burst->lookups[lookup_count++].key = frame->segment.key;
    }
    tcp_table_find_batch(&net->table, net->rows, burst->lookups, lookup_count);
    burst->changes = net->table.changes;
}

static void input_segment(struct net *net, struct burst *burst, uint32_t i,
                          struct net_events *events)
{
    struct tcp_segment *segment = &burst->frames[i].segment;
    const struct tcp_lookup *lookup = &burst->lookups[burst->lookup_of[i]];
    uint32_t conn = lookup->found;
    segment->hash = lookup->hash;
    if (IS_UNLIKELY(burst->changes != net->table.changes))
        conn = tcp_table_find(&net->table, net->rows, segment->hash, &segment->key);
    if (conn != POOL_NONE)
        neighbour_confirm(net, &net->rows[conn], segment->source_mac);
    tcp_input(net, &burst->packets[i], segment, conn, events);
}

static void input_frame(struct net *net, struct burst *burst, uint32_t i, struct net_events *events)
{
    struct packet *packet = &burst->packets[i];
    const struct frame *frame = &burst->frames[i];
    if ((packet->flags & PACKET_CHECKSUM_BAD) != 0) {
        net_count(net, frame->kind == FRAME_DROP ? frame->reason : METRIC_NET_DROP_CHECKSUM_BAD);
        return;
    }
    switch (frame->kind) {
    case FRAME_DROP:
        net_count(net, frame->reason);
        break;
    case FRAME_ARP:
        arp_input(net, packet, frame);
        break;
    case FRAME_ICMP:
    case FRAME_ICMP6:
        icmp_input(net, packet, frame);
        break;
    case FRAME_NDP:
        ndp_input(net, packet, frame);
        break;
    case FRAME_MLD:
        mld_input(net, frame);
        break;
    case FRAME_TCP:
        input_segment(net, burst, i, events);
        break;
    }
}

/* Runs the burst's packets in order; returns how many before the events ran short. */
static uint32_t run_burst(struct net *net, struct burst *burst, struct net_events *events)
{
    struct packet done[NIC_BURST_MAX];
    uint32_t done_count = 0;
    uint32_t i;
    for (i = 0; i < burst->count; i++) {
        if (!net_has_event_room(events) || net->held_count == NET_HELD_MAX)
            break;
        uint32_t events_before = events->count;
        input_frame(net, burst, i, events);
        if (burst->packets[i].frame == NULL)
            continue;
        if (events->count != events_before)
            net->held[net->held_count++] = burst->packets[i];
        else
            done[done_count++] = burst->packets[i];
    }
    if (done_count != 0)
        nic_release(net->options.nic, done, done_count);
    return i;
}

uint32_t net_input(struct net *net, struct packet *packets, uint32_t count, uint64_t now_ns,
                   struct net_events *events)
{
    net->now_ns = now_ns;
    uint32_t taken = 0;
    while (taken < count) {
        struct burst burst;
        burst.packets = packets + taken;
        burst.count = count - taken < NIC_BURST_MAX ? count - taken : NIC_BURST_MAX;
        judge_burst(net, &burst);
        uint32_t run = run_burst(net, &burst, events);
        taken += run;
        if (run < burst.count)
            break;
    }
    return taken;
}

void net_release(struct net *net, uint64_t now_ns)
{
    net->now_ns = now_ns;
    tcp_release(net);
    if (net->held_count != 0)
        nic_release(net->options.nic, net->held, net->held_count);
    net->held_count = 0;
    net_packets_flush(net);
    metric_set(net->options.metrics, METRIC_NET_CONNECTIONS, net->pool.used);
}

void net_timers(struct net *net, uint64_t now_ns, struct net_events *events)
{
    net->now_ns = now_ns;
    neighbour_timers(net);
    ndp_timers(net);
    tcp_timers(net, events);
}

void net_flush(struct net *net, uint64_t now_ns)
{
    net->now_ns = now_ns;
    tcp_flush(net);
    net_packets_flush(net);
    nic_flush(net->options.nic);
}

uint64_t net_next_ns(const struct net *net, uint64_t now_ns)
{
    uint64_t neighbour_ns = neighbour_next_ns(net);
    uint64_t ndp_ns = ndp_next_ns(net);
    uint64_t tcp_ns = tcp_next_ns(net);
    uint64_t next_ns = neighbour_ns < tcp_ns ? neighbour_ns : tcp_ns;
    next_ns = ndp_ns < next_ns ? ndp_ns : next_ns;
    return next_ns > now_ns ? next_ns : now_ns;
}

/* ---- rows ---- */

static bool count_address(struct net *net, const struct net_address *remote)
{
    enum tcp_limit_verdict verdict = tcp_limit_add(&net->limit, remote);
    if (verdict == TCP_LIMIT_COUNTED)
        return true;
    net_count(net, verdict == TCP_LIMIT_REACHED ? METRIC_NET_REFUSED_ADDRESS
                                                : METRIC_NET_REFUSED_ADDRESS_TABLE);
    return false;
}

uint32_t net_row_open(struct net *net, const struct tcp_key *key, uint64_t hash)
{
    if (!count_address(net, &key->remote))
        return POOL_NONE;
    uint32_t conn = pool_take(&net->pool);
    if (conn == POOL_NONE) {
        net_count(net, METRIC_NET_REFUSED_ROWS);
        tcp_limit_remove(&net->limit, &key->remote);
        return POOL_NONE;
    }
    net->rows[conn] = (struct tcp_row){.remote = key->remote,
                                       .remote_port = key->remote_port,
                                       .local_port = key->local_port,
                                       .local = key->local,
                                       .hot = TCP_HOT_NONE,
                                       .neighbour = NEIGHBOUR_NONE};
    if (tcp_table_insert(&net->table, hash, conn))
        return conn;
    net_count(net, METRIC_NET_REFUSED_TABLE);
    pool_give(&net->pool, conn);
    tcp_limit_remove(&net->limit, &key->remote);
    return POOL_NONE;
}

void net_row_close(struct net *net, uint32_t conn)
{
    ASSERT(pool_is_live(&net->pool, conn));
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_key key = tcp_row_key(row);
    tcp_table_remove(&net->table, tcp_table_hash(&net->table, &key), conn);
    tcp_limit_remove(&net->limit, &row->remote);
    deadline_clear(&net->deadline, conn);
    pool_give(&net->pool, conn);
}

const struct pool *net_pool(const struct net *net)
{
    return &net->pool;
}

struct handle net_handle(const struct net *net, uint32_t conn)
{
    ASSERT(pool_is_live(&net->pool, conn));
    return pool_handle(&net->pool, conn);
}

uint32_t net_find(const struct net *net, struct handle handle)
{
    uint32_t conn = pool_find(&net->pool, handle);
    return conn != POOL_NONE && net->rows[conn].state != TCP_FREE ? conn : POOL_NONE;
}

uint32_t net_row_end(const struct net *net)
{
    return net->pool.high_water;
}

bool net_is_live(const struct net *net, uint32_t conn)
{
    return pool_is_live(&net->pool, conn) && net->rows[conn].state != TCP_FREE;
}

void net_prefetch(const struct net *net, uint32_t conn)
{
    __builtin_prefetch(&net->rows[conn]);
}

void tcp_remote(const struct net *net, uint32_t conn, struct net_address *address, uint16_t *port)
{
    ASSERT(pool_is_live(&net->pool, conn));
    *address = net->rows[conn].remote;
    *port = net->rows[conn].remote_port;
}

uint16_t tcp_local_port(const struct net *net, uint32_t conn)
{
    ASSERT(pool_is_live(&net->pool, conn));
    return net->rows[conn].local_port;
}

struct net_usage net_usage(const struct net *net)
{
    return (struct net_usage){
        .connections = net->pool.used,
        .hot = net->tcp->hot_pool.used,
        .send_references = net->tcp->reference_pool.used,
        .time_wait = net->tcp->time_wait_count,
        .reorder_bytes = net->tcp->reorder_bytes,
    };
}
