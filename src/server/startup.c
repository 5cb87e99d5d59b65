/* SPDX-License-Identifier: Apache-2.0
 *
 * The making of a server, in the order in which a fault is cheapest, and its mirror. Privileges go
 * once the NIC is open and before the store, the admin socket and all threads of ours. */
#include "server_state.h"

#include "privileges.h"

#define STRETCH_THREADS 1u
#define HEAP_BYTES_MAX (UINT64_C(4) << 30)

static enum log_level log_level_of(const char *name)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

static void random_begin(struct random *random, const struct server_options *options, uint64_t salt)
{
    if (options->queues != NULL)
        random_init_seed(random, options->seed * 1000003u + salt);
    else
        random_init_system(random);
}

static uint32_t power_of_two_above(uint64_t value)
{
    uint32_t power = 2;
    while (power < value)
        power *= 2;
    return power;
}

static enum error store_begin(struct server *server, struct writer *message)
{
    struct store_options options = {
        .dir = server->config->server_data_dir,
        .heap = &server->heap,
        .mode = server->is_by_hand ? STORE_INLINE : STORE_THREADED,
        .sync = server->is_by_hand ? STORE_SYNC_RELAXED : STORE_SYNC_DURABLE,
        .map_bytes = server->config->store_map_bytes,
        .reader_count = (uint32_t)server->config->store_readers,
        .queue_capacity = power_of_two_above(server->config->store_queue),
    };
    return store_open(&server->store, &options, message);
}

static enum error bell_begin(struct server *server, struct bell *bell)
{
    if (!server->is_by_hand)
        return bell_init(bell);
    bell_init_silent(bell);
    return ERROR_NONE;
}

static enum error worker_begin(struct server *server, const struct server_options *options,
                               uint32_t index, struct writer *message)
{
    struct worker *worker = &server->workers[index];
    char name[16] = "worker0";
    struct writer number = writer_of(name + 6, sizeof name - 7);
    write_decimal(&number, index);
    worker->server = server;
    worker->config = server->config;
    worker->index = (uint8_t)index;
    worker->worker_count = server->worker_count;
    worker->now_ns = options->now_ns;
    worker->heap = &server->heap;
    worker->metrics =
        server->is_by_hand ? options->queue_metrics[index] : &server->worker_metrics[index];
    worker->nic = server->is_by_hand ? options->queues[index]
                                     : nic_port_queue(server->port, index, worker->metrics);
    random_begin(&worker->random, options, index + 1);
    server->created_count = index + 1;
    enum error error = bell_begin(server, &worker->bell);
    if (error == ERROR_NONE)
        error = log_create(&worker->log, name, log_level_of(server->config->log_level));
    return error != ERROR_NONE ? error : worker_create(worker, message);
}

static enum error control_begin(struct server *server, const struct server_options *options,
                                struct writer *message)
{
    struct control *control = &server->control;
    control->server = server;
    control->config = server->config;
    control->heap = &server->heap;
    control->metrics = &server->control_metrics;
    random_begin(&control->random, options, 0);
    enum error error = bell_begin(server, &control->bell);
    if (error == ERROR_NONE)
        error = log_create(&control->log, "control", log_level_of(server->config->log_level));
    return error != ERROR_NONE ? error : control_create(control, message);
}

/* What only a server on a real NIC does before anything else. */
static enum error outside_begin(struct server *server, struct writer *message)
{
    enum error error = data_folder_prepare(server->config, message);
    if (error == ERROR_NONE)
        error = nic_open(&server->port, server->config, server->worker_count, message);
    if (error == ERROR_NONE)
        error = privileges_drop(server->config, message);
    return error;
}

static enum error parts_begin(struct server *server, const struct server_options *options,
                              struct writer *message)
{
    struct random random;
    random_begin(&random, options, UINT16_MAX);
    random_fill(&random, &server->key, sizeof server->key);
    enum error error = server->is_by_hand ? ERROR_NONE : outside_begin(server, message);
    if (error == ERROR_NONE)
        error = store_begin(server, message);
    if (error == ERROR_NONE)
        error = data_folder_key(server->config, &random, server->install_key, message);
    if (error == ERROR_NONE)
        error = stretch_create(&server->stretch, &server->heap,
                               server->is_by_hand ? 0 : STRETCH_THREADS, options->seed);
    if (error == ERROR_NONE)
        error = control_begin(server, options, message);
    for (uint32_t i = 0; i < server->worker_count && error == ERROR_NONE; i++)
        error = worker_begin(server, options, i, message);
    if (error == ERROR_NONE && !server->is_by_hand)
        error = control_open_admin(&server->control, server->token, message);
    return error;
}

enum error server_create(struct server **created, const struct server_options *options,
                         struct writer *message)
{
    /* The server's heap is part of the server: the block of both comes from a heap of its own. */
    struct heap first;
    heap_init(&first, sizeof(struct server) + (1u << 20));
    *created = NULL;
    struct server *server = heap_take_zeroed(&first, sizeof *server);
    if (server == NULL) {
        write_string(message, "out of memory");
        return ERROR_NO_MEMORY;
    }
    memcpy(&server->first, &first, sizeof first);
    heap_init(&server->heap, HEAP_BYTES_MAX);
    server->config = options->config;
    server->worker_count = (uint32_t)options->config->server_workers;
    server->is_by_hand = options->queues != NULL;
    *created = server;
    enum error error = parts_begin(server, options, message);
    if (error != ERROR_NONE) {
        if (message->size == 0)
            write_string(message, error_text(error));
        server_destroy(created);
    }
    return error;
}

void server_destroy(struct server **destroyed)
{
    struct server *server = *destroyed;
    if (server == NULL)
        return;
    if (server->control.heap != NULL)
        control_close_admin(&server->control);
    /* Before the ports go that its threads give back through. */
    if (server->stretch != NULL)
        stretch_stop(server->stretch);
    for (uint32_t i = 0; i < server->created_count; i++)
        worker_end_streams(&server->workers[i]);
    for (uint32_t i = 0; i < server->created_count; i++)
        worker_destroy(&server->workers[i]);
    if (server->control.heap != NULL)
        control_destroy(&server->control);
    stretch_destroy(&server->stretch);
    if (server->store != NULL)
        store_close(&server->store);
    if (server->port != NULL)
        nic_close(&server->port);
    for (uint32_t i = 0; i < server->created_count; i++)
        log_destroy(&server->workers[i].log);
    log_destroy(&server->control.log);
    struct heap first;
    memcpy(&first, &server->first, sizeof first);
    heap_give(&first, server);
    *destroyed = NULL;
}

/* ---- what the parts ask of the whole ---- */

struct store *server_store(struct server *server)
{
    return server->store;
}
struct stretch *server_stretch(struct server *server)
{
    return server->stretch;
}
struct siphash_key server_key(const struct server *server)
{
    return server->key;
}
const uint8_t *server_install_key(const struct server *server)
{
    return server->install_key;
}
uint32_t server_worker_count(const struct server *server)
{
    return server->worker_count;
}
const char *server_new_token(const struct server *server)
{
    return server->token;
}
uint16_t server_admin_port(const struct server *server)
{
    return server->control.admin == NULL ? 0 : admin_port(server->control.admin);
}

static bool give_and_wake(struct ring *ring, void *item, struct bell *bell)
{
    bool is_given = ring_give_mpsc(ring, &item);
    if (is_given)
        bell_wake(bell);
    return is_given;
}

void server_give_order_back(struct server *server, struct order *order)
{
    /* The ring back holds as many as server_order_worker() lets out. */
    bool is_given = give_and_wake(server->control.back, order, &server->control.bell);
    ASSERT(is_given);
}

bool server_give_report(struct server *server, struct push_report *report)
{
    return give_and_wake(server->control.reports, report, &server->control.bell);
}

void server_settle_report(struct server *server, struct push_report *report)
{
    push_apply(server->control.pushes, report, server->control.now_ns);
    heap_give(&server->heap, report);
}

bool server_give_note(struct server *server, struct route_note *note)
{
    ASSERT(note->to_worker < server->worker_count);
    struct worker *worker = &server->workers[note->to_worker];
    return give_and_wake(worker->inbox, note, &worker->bell);
}

bool server_order_worker(struct server *server, struct order *order)
{
    struct worker *worker = &server->workers[order->worker];
    void *item = order;
    if (server->control.orders_out >= CONTROL_ORDERS_COUNT - 1 ||
        !ring_give_spsc(worker->orders, &item))
        return false;
    server->control.orders_out++;
    bell_wake(&worker->bell);
    return true;
}

bool server_has_order_room(const struct server *server, uint8_t worker)
{
    return ring_count(server->workers[worker].orders) < WORKER_ORDERS - 1 &&
           server->control.orders_out + server->worker_count < CONTROL_ORDERS_COUNT;
}

uint32_t server_metric_blocks(const struct server *server, const struct metrics **blocks,
                              uint32_t max)
{
    uint32_t count = 0;
    ASSERT(max >= server->worker_count + STORE_THREADS_MAX + 1u);
    blocks[count++] = &server->control_metrics;
    for (uint32_t i = 0; i < server->created_count; i++)
        blocks[count++] = server->workers[i].metrics;
    return count + store_metrics(server->store, blocks + count);
}

uint32_t server_logs(const struct server *server, struct log **logs, uint32_t max)
{
    ASSERT(max > server->worker_count);
    logs[0] = server->control.log;
    for (uint32_t i = 0; i < server->created_count; i++)
        logs[i + 1] = server->workers[i].log;
    return server->created_count + 1;
}
