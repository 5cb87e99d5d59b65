/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker's making, its turn, and its end. worker_turn() is the table of contents of the data
 * path: one pass over everything, each part bounded. */
#include "worker.h"

#include "addresses.h"

#define WORKER_BLOBS 65535u
#define WORKER_PARTIALS 16384u
#define WORKER_NEGOTIATIONS 16384u
#define WORKER_TRACE_EVENTS 65536u
#define WORKER_REFERENCES_A_HOT 4u /* send references lent, for each extension */
#define ARENA_SPARE (64u << 10)    /* alignment between what is taken from the arena */

static enum error net_options_fill(struct worker *worker, struct net_options *options)
{
    const struct config *config = worker->config;
    uint32_t rows = (uint32_t)(config->tcp_connections_max / worker->worker_count);
    *options = (struct net_options){
        .nic = worker->nic,
        .arena = &worker->arena,
        .heap = worker->heap,
        .blobs = &worker->blobs,
        .metrics = worker->metrics,
        .trace = &worker->trace,
        .random = &worker->random,
        .key = server_key(worker->server),
        .connections_max = rows,
        .hot_max = (uint32_t)config->tcp_hot_max,
        .send_references_max = (uint32_t)config->tcp_hot_max * WORKER_REFERENCES_A_HOT,
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
        .liveness =
            {[NET_LIVENESS_NEW] = {.keepalive_idle_ns = config->tcp_new_keepalive_idle,
                                   .keepalive_interval_ns = config->tcp_keepalive_interval,
                                   .keepalive_probes = (uint32_t)config->tcp_keepalive_probes,
                                   .user_timeout_ns = config->tcp_new_user_timeout},
             [NET_LIVENESS_KNOWN] = {.keepalive_idle_ns = config->tcp_keepalive_idle,
                                     .keepalive_interval_ns = config->tcp_keepalive_interval,
                                     .keepalive_probes = (uint32_t)config->tcp_keepalive_probes,
                                     .user_timeout_ns = config->tcp_user_timeout}},
        .time_wait_ns = config->tcp_time_wait,
        .congestion = strcmp(config->net_congestion, "cubic") == 0 ? NET_CUBIC : NET_NEWRENO,
        .has_ecn = config->net_ecn,
        .time_wait_max = (uint32_t)config->tcp_time_wait_max,
        .worker = worker->index,
    };
    struct addresses_fault fault;
    return addresses_read(config, options, &fault);
}

/* All rows of the worker: one arena outside the EAL, sized as the sum of its parts. */
static enum error rows_create(struct worker *worker, struct net_options *options)
{
    uint32_t rows = options->connections_max;
    size_t size = ARENA_HEADER_SIZE + net_arena_bytes(options) + session_arena_bytes(rows) +
                  registry_arena_bytes(rows) + (size_t)rows * sizeof(uint16_t) + ARENA_SPARE;
    enum error error =
        arena_create(&worker->arena, "stentor-rows", size,
                     worker->config->nic_hugepages ? ARENA_PAGES_HUGETLB : ARENA_PAGES_TRANSPARENT);
    if (error == ERROR_NONE)
        error = net_create(&worker->net, options, worker->now_ns);
    if (error == ERROR_NONE)
        error = session_table_init(&worker->sessions, &worker->arena, worker->heap, rows);
    if (error == ERROR_NONE)
        error = registry_init(&worker->registry, &worker->arena, rows);
    if (error == ERROR_NONE)
        error = deadline_init(&worker->deadlines, &worker->arena, rows);
    return error;
}

static enum error rings_create(struct worker *worker)
{
    enum error error = ring_create(&worker->inbox, worker->heap, WORKER_INBOX_COUNT);
    if (error == ERROR_NONE)
        error = ring_create(&worker->self, worker->heap, WORKER_INBOX_COUNT);
    if (error == ERROR_NONE)
        error = ring_create(&worker->orders, worker->heap, WORKER_ORDERS);
    if (error == ERROR_NONE)
        error = store_port_create(server_store(worker->server), worker->metrics,
                                  worker->bell.descriptor, &worker->store);
    if (error == ERROR_NONE)
        error = stretch_port_init(server_stretch(worker->server), &worker->stretch,
                                  worker->bell.descriptor);
    return error;
}

static enum error xmpp_join(struct worker *worker)
{
    struct xmpp_options options = {
        .heap = worker->heap,
        .config = worker->config,
        .random = &worker->random,
        .metrics = worker->metrics,
        .trace = &worker->trace,
        .digests = &worker->digests,
        .negotiation_count = WORKER_NEGOTIATIONS,
    };
    memcpy(options.install_key, server_install_key(worker->server), sizeof options.install_key);
    enum error error = xmpp_create(&worker->xmpp, &options);
    if (error != ERROR_NONE)
        return error;
    worker->reader = xml_reader_create(worker->heap, xmpp_limits_max(worker->xmpp));
    if (worker->reader == NULL)
        return ERROR_NO_MEMORY;
    worker->router = (struct router){
        .sessions = &worker->sessions,
        .registry = worker->registry,
        .pool = net_pool(worker->net),
        .heap = worker->heap,
        .metrics = worker->metrics,
        .key = server_key(worker->server),
        .domain = xmpp_domain(worker->xmpp),
        .worker_count = worker->worker_count,
        .resources_max = (uint32_t)worker->config->xmpp_resources_max,
        .worker = worker->index,
        .blobs = &worker->blobs,
    };
    return ERROR_NONE;
}

static enum error scratch_create(struct worker *worker)
{
    worker->pushes = heap_take_zeroed(worker->heap, WORKER_PUSHES_MAX * sizeof *worker->pushes);
    worker->events = heap_take_zeroed(worker->heap, sizeof *worker->events);
    worker->actions = heap_take_zeroed(worker->heap, sizeof *worker->actions);
    if (worker->pushes == NULL || worker->events == NULL || worker->actions == NULL)
        return ERROR_NO_MEMORY;
    enum error error = blob_table_init(&worker->blobs, worker->heap, WORKER_BLOBS);
    if (error == ERROR_NONE)
        error = partial_table_init(&worker->partials, worker->heap, WORKER_PARTIALS);
    if (error == ERROR_NONE)
        error = trace_init(&worker->trace, worker->heap, WORKER_TRACE_EVENTS);
    if (error == ERROR_NONE)
        error = digests_init(&worker->digests);
    return error;
}

static enum error part_fault(struct writer *message, const char *what, enum error error)
{
    if (error != ERROR_NONE) {
        write_string(message, "cannot make a worker's ");
        write_string(message, what);
        write_string(message, ": ");
        write_string(message, error_text(error));
    }
    return error;
}

enum error worker_create(struct worker *worker, struct writer *message)
{
    struct net_options options;
    enum error error = part_fault(message, "tables", scratch_create(worker));
    if (error == ERROR_NONE)
        error =
            part_fault(message, "network (net.address, net.addresses or a gateway is no address)",
                       net_options_fill(worker, &options));
    if (error == ERROR_NONE)
        error = part_fault(message, "rows", rows_create(worker, &options));
    if (error == ERROR_NONE)
        error = part_fault(message, "rings", rings_create(worker));
    if (error == ERROR_NONE)
        error = part_fault(message, "XMPP machine (xmpp.domain)", xmpp_join(worker));
    if (error == ERROR_NONE)
        error = part_fault(message, "listener",
                           net_listen(worker->net, (uint16_t)worker->config->xmpp_port));
    return error;
}

static void notes_drop(struct worker *worker)
{
    struct route_note *note;
    while (worker->self != NULL && (note = ring_take_spsc(worker->self)) != NULL)
        note_destroy(worker->heap, &note);
    while (worker->inbox != NULL && (note = ring_take_mpsc(worker->inbox)) != NULL)
        note_destroy(worker->heap, &note);
}

void worker_end_streams(struct worker *worker)
{
    if (worker->net == NULL || worker->xmpp == NULL)
        return;
    uint32_t end = net_row_end(worker->net);
    for (uint32_t conn = 0; conn < end; conn++)
        if (net_is_live(worker->net, conn))
            tcp_abort(worker->net, conn);
    do {
        worker->events->count = 0;
        net_timers(worker->net, worker->now_ns, worker->events);
        inbound_events(worker);
        net_release(worker->net, worker->now_ns);
    } while (net_usage(worker->net).connections != 0);
    net_flush(worker->net, worker->now_ns);
}

/* Orders not carried out, and a drain cut short, go back to control, which ends after us. A push
 * among them is begun, to end with the others. */
static void orders_drop(struct worker *worker)
{
    struct order *order;
    while (worker->orders != NULL && (order = ring_take_spsc(worker->orders)) != NULL) {
        if (order->kind == ORDER_PUSH)
            pushing_begin(worker, order->job);
        server_give_order_back(worker->server, order);
    }
    if (worker->drain != NULL)
        server_give_order_back(worker->server, worker->drain);
    worker->drain = NULL;
}

static void push_end(struct worker *worker, struct worker_push *push)
{
    if (push->untold != NULL)
        server_settle_report(worker->server, push->untold);
    push_walk_end(&push->walk);
}

void worker_destroy(struct worker *worker)
{
    orders_drop(worker);
    for (uint32_t i = 0; worker->pushes != NULL && i < WORKER_PUSHES_MAX; i++)
        if (worker->pushes[i].walk.job != NULL)
            push_end(worker, &worker->pushes[i]);
    notes_drop(worker);
    if (worker->net != NULL)
        net_destroy(&worker->net);
    if (worker->reader != NULL)
        xml_reader_destroy(worker->heap, worker->reader);
    if (worker->xmpp != NULL)
        xmpp_destroy(worker->xmpp);
    if (worker->sessions.rows != NULL)
        session_table_fini(&worker->sessions);
    if (server_stretch(worker->server) != NULL)
        stretch_port_fini(server_stretch(worker->server), &worker->stretch);
    struct ring **rings[] = {&worker->inbox, &worker->self, &worker->orders};
    for (uint32_t i = 0; i < ARRAY_COUNT(rings); i++)
        if (*rings[i] != NULL)
            ring_destroy(rings[i], worker->heap);
    if (worker->arena.base != NULL)
        arena_destroy(&worker->arena);
    digests_fini(&worker->digests);
    trace_fini(&worker->trace, worker->heap);
    partial_table_fini(&worker->partials);
    blob_table_fini(&worker->blobs);
    heap_give(worker->heap, worker->pushes);
    heap_give(worker->heap, worker->events);
    heap_give(worker->heap, worker->actions);
    bell_fini(&worker->bell);
}

static void gauges_set(struct worker *worker)
{
    struct metrics *metrics = worker->metrics;
    session_set_metrics(&worker->sessions, metrics);
    registry_set_metrics(worker->registry, metrics);
    metric_set(metrics, METRIC_PARTIALS, worker->partials.used);
    metric_set(metrics, METRIC_BLOBS, worker->blobs.used);
    metric_set(metrics, METRIC_NEGOTIATIONS, xmpp_negotiation_count(worker->xmpp));
}

bool worker_turn(struct worker *worker, uint64_t now_ns, uint64_t wall_ms)
{
    worker->now_ns = now_ns;
    worker->wall_ms = wall_ms;
    bool is_busy = inbound_packets(worker);          /* NIC -> TCP -> XML -> XMPP -> session */
    is_busy |= inbound_answers(worker);              /* store and password threads -> XMPP */
    is_busy |= orders_turn(worker);                  /* control -> this worker */
    is_busy |= deliver_notes(worker);                /* other workers -> sessions */
    net_timers(worker->net, now_ns, worker->events); /* due retransmissions, dead peers */
    is_busy |= worker->events->count != 0;
    inbound_events(worker);
    net_release(worker->net, now_ns); /* packets back, acknowledgements out, dead rows free */
    inbound_deadlines(worker);        /* too slow to authenticate, too long silent */
    is_busy |= pushing_turn(worker);  /* a slice of each fan-out */
    net_flush(worker->net, now_ns);   /* session -> TCP -> NIC */
    gauges_set(worker);
    return is_busy;
}

uint64_t worker_next_ns(const struct worker *worker)
{
    uint64_t next = net_next_ns(worker->net, worker->now_ns);
    if (net_row_end(worker->net) != 0 && worker->sweep_at_ns < next)
        next = worker->sweep_at_ns;
    uint64_t push = pushing_next_ns(worker);
    if (push < next)
        next = push;
    bool has_notes = ring_count(worker->self) != 0 || ring_count(worker->inbox) != 0 ||
                     ring_count(worker->orders) != 0;
    return has_notes ? worker->now_ns : next;
}
