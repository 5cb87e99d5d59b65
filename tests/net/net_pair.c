/* SPDX-License-Identifier: Apache-2.0
 *
 * See net_pair.h. The order of a turn is the one stentor/net.h prescribes. */
#include "net_pair.h"

#include <stdlib.h>

#define ROWS 512u

struct pair_options pair_defaults(void)
{
    return (struct pair_options){
        .seed = 1,
        .start_ns = NS_PER_SECOND,
        .faults = {.delay_ns = 10 * NS_PER_MS},
        .hot_max = 64,
        .receive_window = 65535,
        .send_bytes_max = 256 * 1024,
        .keepalive_idle_ns = 0,
        .user_timeout_ns = 300 * NS_PER_SECOND,
        .reorder_bytes_max = 1 << 20,
        .time_wait_max = 64,
        .mtu = 1500,
    };
}

uint8_t pair_octet(uint8_t seed, unsigned int direction, uint64_t position)
{
    return (uint8_t)(position ^ position >> 8 ^ position >> 16 ^ direction * 85u ^ seed);
}

int64_t end_metric(const struct end *end, enum metric metric)
{
    return metric_get(end->metrics, metric);
}

/* ---- the shim ---- */

static uint32_t shim_receive(struct nic_queue *queue, struct packet *packets, uint32_t max)
{
    return nic_receive(((struct shim *)(void *)queue)->inner, packets, max);
}

static bool shim_take(struct nic_queue *queue, struct packet *packet)
{
    return nic_take(((struct shim *)(void *)queue)->inner, packet);
}

static void shim_release(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    nic_release(((struct shim *)(void *)queue)->inner, packets, count);
}

static void shim_twice(struct nic_queue *inner, const struct packet *packet)
{
    struct packet copy;
    assert_true(nic_take(inner, &copy));
    memcpy(copy.frame, packet->frame, packet->size);
    copy.size = packet->size;
    copy.flags = packet->flags;
    copy.ip_offset = packet->ip_offset;
    nic_transmit(inner, &copy, 1);
}

/* A router whose queue grows. The checksum is filled in behind the shim. */
static void shim_mark(struct pair *pair, struct packet *packet)
{
    uint8_t *service = packet->frame + packet->ip_offset + 1;
    if ((*service & IP_ECN_MASK) != IP_ECN_CAPABLE)
        return;
    if (++pair->capable_count % pair->mark_every != 0)
        return;
    *service |= IP_ECN_MARKED;
    pair->marked_count++;
}

static void shim_transmit(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    struct shim *shim = (struct shim *)(void *)queue;
    for (uint32_t i = 0; i < count; i++) {
        enum shim_act act = SHIM_PASS;
        if ((packets[i].flags & PACKET_FILL_TCP) != 0 &&
            shim->pair->frame_count++ == shim->pair->act_at)
            act = shim->pair->act;
        if (shim->pair->mark_every != 0 && (packets[i].flags & PACKET_FILL_TCP) != 0)
            shim_mark(shim->pair, &packets[i]);
        if (act == SHIM_TWICE)
            shim_twice(shim->inner, &packets[i]);
        if (act == SHIM_DROP)
            nic_release(shim->inner, &packets[i], 1);
        else
            nic_transmit(shim->inner, &packets[i], 1);
    }
}

static void shim_flush(struct nic_queue *queue)
{
    nic_flush(((struct shim *)(void *)queue)->inner);
}

static const struct nic_ops shim_ops = {
    .receive = shim_receive,
    .take = shim_take,
    .release = shim_release,
    .transmit = shim_transmit,
    .flush = shim_flush,
};

static void end_open(struct pair *pair, unsigned int which, const struct pair_options *options)
{
    struct end *end = &pair->ends[which];
    const uint8_t mac[6] = {2, 0, 0, 0, 0, (uint8_t)(which + 1)};
    end->address = net_address_of_ipv4(0x0a000001u + which);
    if (options->is_ipv6)
        end->address = (struct net_address){{0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)(1 + which)}};
    heap_init(&end->heap, 64u << 20);
    end->metrics = calloc(1, sizeof *end->metrics + 64);
    assert_non_null(end->metrics);
    random_init_seed(&end->random, options->seed * 2 + which);
    assert_int_equal(trace_init(&end->trace, &end->heap, 1024), ERROR_NONE);
    assert_int_equal(blob_table_init(&end->blobs, &end->heap, 8192), ERROR_NONE);
    end->shim.inner = nic_sim_end(pair->sim, mac, options->mtu, end->metrics);
    assert_non_null(end->shim.inner);
    end->shim.pair = pair;
    end->shim.queue = *end->shim.inner;
    end->shim.queue.ops = &shim_ops;
    end->shim.queue.index = 0;
    end->nic = &end->shim.queue;
    end->options = (struct net_options){
        .nic = end->nic,
        .arena = &end->arena,
        .heap = &end->heap,
        .blobs = &end->blobs,
        .metrics = end->metrics,
        .trace = &end->trace,
        .random = &end->random,
        .key = {random_u64(&end->random), random_u64(&end->random)},
        .locals = {{.address = end->address,
                    .prefix_bits = options->is_ipv6 ? 64 : 24,
                    .vlan = options->is_ipv6 ? 7 : 0}},
        .local_count = 1,
        .connections_max = ROWS,
        .hot_max = options->hot_max,
        .send_references_max = 4096,
        .connections_per_address = ROWS,
        .accepts_per_second = 1000000,
        .receive_window = options->receive_window,
        .reorder_bytes_max = options->reorder_bytes_max,
        .send_bytes_max = options->send_bytes_max,
        .liveness = {{options->keepalive_idle_ns, 5 * NS_PER_SECOND, 3, options->user_timeout_ns},
                     {options->keepalive_idle_ns, 5 * NS_PER_SECOND, 3, options->user_timeout_ns}},
        .time_wait_ns = 60 * NS_PER_SECOND,
        .time_wait_max = options->time_wait_max,
        .congestion = options->congestion,
        .has_ecn = options->has_ecn[which],
    };
    size_t bytes = net_arena_bytes(&end->options) + ARENA_HEADER_SIZE;
    assert_int_equal(arena_create(&end->arena, "net_pair", bytes, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_int_equal(net_create(&end->net, &end->options, pair->now_ns), ERROR_NONE);
}

void pair_open(struct pair *pair, const struct pair_options *options)
{
    *pair = (struct pair){.now_ns = options->start_ns, .seed = (uint8_t)options->seed};
    heap_init(&pair->heap, 256u << 20);
    assert_int_equal(nic_sim_create(&pair->sim, &pair->heap, options->seed), ERROR_NONE);
    nic_sim_advance(pair->sim, pair->now_ns);
    end_open(pair, 0, options);
    end_open(pair, 1, options);
    nic_sim_set_faults(pair->sim, &options->faults);
    assert_int_equal(net_listen(pair->ends[1].net, PAIR_PORT), ERROR_NONE);
    if (options->is_ipv6)
        pair_run_for(pair, 3 * NS_PER_SECOND); /* until the addresses are found to be free */
}

static void end_close(struct end *end)
{
    net_destroy(&end->net);
    assert_int_equal(end->blobs.used, 0);
    blob_table_fini(&end->blobs);
    trace_fini(&end->trace, &end->heap);
    arena_destroy(&end->arena);
    assert_int_equal(heap_used_bytes(&end->heap), 0);
    free(end->metrics);
}

void pair_close(struct pair *pair)
{
    end_close(&pair->ends[0]);
    end_close(&pair->ends[1]);
    assert_int_equal(nic_sim_buffers_used(pair->sim), 0);
    nic_sim_destroy(&pair->sim);
    assert_int_equal(heap_used_bytes(&pair->heap), 0);
}

/* ---- the application ---- */

static void take_octets(struct pair *pair, unsigned int which, struct flow *flow,
                        struct bytes octets)
{
    assert_true(octets.size > 0);
    assert_false(flow->has_ended);
    for (size_t i = 0; i < octets.size; i++)
        assert_int_equal(octets.at[i], pair_octet(pair->seed, 1 - which, flow->received + i));
    flow->received += octets.size;
}

static void take_event(struct pair *pair, unsigned int which, const struct net_event *event)
{
    struct end *end = &pair->ends[which];
    assert_true(event->conn < PAIR_FLOWS_MAX);
    struct flow *flow = &end->flows[event->conn];
    switch (event->kind) {
    case NET_ACCEPTED:
    case NET_CONNECTED:
        assert_false(flow->is_open);
        if (event->kind == NET_ACCEPTED) {
            *flow = (struct flow){.to_send = end->accept_to_send, .is_echo_close = true};
            end->accepted_last = event->conn;
            end->accepted_count++;
            end->accepted_total++;
        } else {
            end->connected_count++;
        }
        flow->is_open = true;
        flow->closed_count = 0;
        break;
    case NET_DATA:
        assert_true(flow->is_open);
        take_octets(pair, which, flow, event->octets);
        break;
    case NET_END:
        assert_true(flow->is_open);
        assert_false(flow->has_ended);
        flow->has_ended = true;
        break;
    case NET_SENT:
        assert_true(flow->is_blocked);
        flow->is_blocked = false;
        break;
    case NET_CLOSED:
        assert_int_equal(flow->closed_count, 0);
        flow->closed_count++;
        end->closed_total++;
        flow->why = event->why;
        flow->is_open = false;
        break;
    }
}

static void send_some(struct pair *pair, unsigned int which, uint32_t conn)
{
    struct end *end = &pair->ends[which];
    struct flow *flow = &end->flows[conn];
    while (flow->sent < flow->to_send && !flow->is_blocked) {
        uint64_t left = flow->to_send - flow->sent;
        uint32_t size = flow->chunk != 0 ? flow->chunk : 1 + random_below(&end->random, 8000);
        if (size > left)
            size = (uint32_t)left;
        uint8_t *into;
        uint32_t blob = blob_create(&end->blobs, size, &into);
        assert_int_not_equal(blob, BLOB_NONE);
        for (uint32_t i = 0; i < size; i++)
            into[i] = pair_octet(pair->seed, which, flow->sent + i);
        enum error error = tcp_send(end->net, conn, blob, 0, size);
        if (error != ERROR_NONE) {
            (void)blob_put(&end->blobs, blob);
            flow->is_blocked = error == ERROR_LIMIT;
            return;
        }
        flow->sent += size;
    }
}

static void run_application(struct pair *pair, unsigned int which)
{
    struct end *end = &pair->ends[which];
    for (uint32_t conn = 0; conn < net_row_end(end->net); conn++) {
        struct flow *flow = &end->flows[conn];
        if (!flow->is_open)
            continue;
        send_some(pair, which, conn);
        if (flow->is_echo_close && flow->has_ended && flow->sent == flow->to_send &&
            !flow->is_closing) {
            flow->is_closing = true;
            tcp_close(end->net, conn);
        }
    }
}

void pair_print(const struct pair *pair)
{
    for (unsigned int which = 0; which < 2; which++) {
        const struct end *end = &pair->ends[which];
        print_message("end %u at %llu ms, seed %u:\n", which,
                      (unsigned long long)(pair->now_ns / NS_PER_MS), pair->seed);
        for (unsigned int metric = 0; metric < METRIC_COUNT; metric++)
            if (end_metric(end, metric) != 0)
                print_message("  %s = %lld\n", metric_name(metric),
                              (long long)end_metric(end, metric));
        for (uint32_t conn = 0; conn < net_row_end(end->net); conn++) {
            const struct tcp_row *row = &end->net->rows[conn];
            if (!net_is_live(end->net, conn))
                continue;
            print_message("  conn %u %s snd_nxt %u rcv_nxt %u hot %u\n", conn,
                          tcp_state_name(end->net, conn), row->snd_nxt, row->rcv_nxt, row->hot);
        }
    }
}

/* ---- the clock ---- */

static void take_events(struct pair *pair, unsigned int which, struct net_events *events)
{
    for (uint32_t i = 0; i < events->count; i++)
        take_event(pair, which, &events->items[i]);
    events->count = 0;
}

static void end_turn(struct pair *pair, unsigned int which)
{
    static struct net_events events;
    struct end *end = &pair->ends[which];
    struct packet packets[NIC_BURST_MAX];
    if (end->is_dead)
        return;
    events.count = 0;
    uint32_t count = nic_receive(end->nic, packets, NIC_BURST_MAX);
    if (end->is_mute) {
        nic_release(end->nic, packets, count);
        count = 0;
    }
    for (uint32_t taken = 0; taken < count;) {
        taken += net_input(end->net, packets + taken, count - taken, pair->now_ns, &events);
        take_events(pair, which, &events);
    }
    run_application(pair, which);
    net_release(end->net, pair->now_ns);
    net_timers(end->net, pair->now_ns, &events);
    take_events(pair, which, &events);
    net_flush(end->net, pair->now_ns);
    assert_true(tcp_is_valid(end->net));
}

void pair_step(struct pair *pair)
{
    nic_sim_advance(pair->sim, pair->now_ns);
    end_turn(pair, 0);
    end_turn(pair, 1);
    pair->steps++;
    uint64_t next_ns = nic_sim_next_ns(pair->sim);
    for (unsigned int which = 0; which < 2; which++) {
        const struct end *end = &pair->ends[which];
        if (end->is_dead)
            continue;
        uint64_t end_ns = net_next_ns(end->net, pair->now_ns);
        if (end_ns < next_ns)
            next_ns = end_ns;
    }
    /* The test acts between steps, so none may jump far. */
    if (next_ns > pair->now_ns + 50 * NS_PER_MS)
        next_ns = pair->now_ns + 50 * NS_PER_MS;
    pair->now_ns = next_ns > pair->now_ns ? next_ns : pair->now_ns + NS_PER_US;
}

void pair_run_for(struct pair *pair, uint64_t duration_ns)
{
    uint64_t end_ns = pair->now_ns + duration_ns;
    while (pair->now_ns < end_ns)
        pair_step(pair);
}

bool pair_run_until(struct pair *pair, pair_condition condition, uint64_t limit_ns)
{
    uint64_t end_ns = pair->now_ns + limit_ns;
    while (!condition(pair)) {
        if (pair->now_ns > end_ns)
            return false;
        pair_step(pair);
    }
    return true;
}

static bool is_connected(const struct pair *pair)
{
    return pair->ends[0].connected_count != 0 && pair->ends[1].accepted_count != 0;
}

uint32_t pair_connect(struct pair *pair, uint64_t to_send, uint32_t *accepted)
{
    pair->ends[0].connected_count = 0;
    pair->ends[1].accepted_count = 0;
    uint32_t conn = tcp_connect(pair->ends[0].net, pair->ends[1].address, PAIR_PORT, pair->now_ns);
    assert_int_not_equal(conn, POOL_NONE);
    pair->ends[0].flows[conn] = (struct flow){.to_send = to_send};
    if (!pair_run_until(pair, is_connected, 100 * NS_PER_SECOND)) {
        pair_print(pair);
        fail_msg("no connection");
    }
    *accepted = pair->ends[1].accepted_last;
    return conn;
}
