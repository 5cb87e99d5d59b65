/* SPDX-License-Identifier: Apache-2.0
 *
 * The workers of route_world.h. What the server does with actions and connections is done here in
 * its simplest form. */
#include "route_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "stentor/stanza.h"

static void worker_init(struct world *world, uint8_t index)
{
    struct world_worker *worker = &world->workers[index];
    assert_int_equal(pool_init(&worker->pool, &world->arena, WORLD_ROWS, index), ERROR_NONE);
    assert_int_equal(session_table_init(&worker->sessions, &world->arena, &world->heap, WORLD_ROWS),
                     ERROR_NONE);
    assert_int_equal(registry_init(&worker->registry, &world->arena, WORLD_ROWS), ERROR_NONE);
    assert_int_equal(blob_table_init(&worker->blobs, &world->heap, WORLD_ROWS), ERROR_NONE);
    worker->router = (struct router){
        .sessions = &worker->sessions,
        .registry = worker->registry,
        .pool = &worker->pool,
        .blobs = &worker->blobs,
        .heap = &world->heap,
        .metrics = &worker->metrics,
        .key = {7, 11},
        .domain = BYTES(WORLD_DOMAIN),
        .worker_count = world->worker_count,
        .resources_max = WORLD_RESOURCES,
        .worker = index,
    };
}

void world_init(struct world *world, uint32_t worker_count, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    world->worker_count = worker_count;
    heap_init(&world->heap, 64u << 20);
    random_init_seed(&world->random, seed);
    assert_int_equal(arena_create(&world->arena, "world", 1 << 20, ARENA_PAGES_SMALL), ERROR_NONE);
    for (uint8_t i = 0; i < worker_count; i++)
        worker_init(world, i);
}

void world_fini(struct world *world)
{
    for (uint32_t from = 0; from < world->worker_count; from++) {
        for (uint32_t to = 0; to < world->worker_count; to++) {
            struct world_queue *queue = &world->queues[from][to];
            for (; queue->count > 0; queue->count--, queue->first++)
                note_destroy(&world->heap, &queue->notes[queue->first % WORLD_QUEUE_MAX]);
        }
    }
    for (uint32_t i = 0; i < world->worker_count; i++) {
        session_table_fini(&world->workers[i].sessions);
        blob_table_fini(&world->workers[i].blobs);
    }
    assert_int_equal(heap_used_bytes(&world->heap), 0);
    arena_destroy(&world->arena);
}

/* A note that the heap refused is lost, which the server counts. */
static void give(struct world *world, uint8_t from, struct route_note *note)
{
    if (note == NULL)
        return;
    assert_true(note->to_worker < world->worker_count);
    struct world_queue *queue = &world->queues[from][note->to_worker];
    assert_true(queue->count < WORLD_QUEUE_MAX);
    queue->notes[(queue->first + queue->count++) % WORLD_QUEUE_MAX] = note;
}

static struct router *router_of(struct world *world, const struct device *device)
{
    return &world->workers[device->worker].router;
}

void world_login(struct world *world, struct device *device, uint8_t worker_index,
                 const char *local, const char *resource)
{
    struct world_worker *worker = &world->workers[worker_index];
    uint32_t conn = pool_take(&worker->pool);
    assert_int_not_equal(conn, POOL_NONE);
    *device = (struct device){
        .worker = worker_index, .conn = conn, .handle = pool_handle(&worker->pool, conn)};
    snprintf(device->local, sizeof device->local, "%s", local);
    snprintf(device->resource, sizeof device->resource, "%s", resource);
    session_open(&worker->sessions, conn, 0);
    assert_int_equal(
        session_bind(&worker->sessions, conn, 1, bytes_of_string(local), bytes_of_string(resource)),
        ERROR_NONE);
    worker->device_of[conn] = device;
    give(world, worker_index, route_register(&worker->router, conn));
}

static void forget_presence_text(struct world *world, struct device *device)
{
    struct world_worker *worker = &world->workers[device->worker];
    struct session_row *row = session_at(&worker->sessions, device->conn);
    if (row->presence_text != BLOB_NONE)
        blob_put(&worker->blobs, row->presence_text);
    row->presence_text = BLOB_NONE;
}

static struct bytes presence_of(const struct device *device, const char *type, char *into,
                                size_t size)
{
    int length = snprintf(into, size,
                          "<presence from='%s@" WORLD_DOMAIN "/%s' to='%s@" WORLD_DOMAIN
                          "'%s><priority>%d</priority><status>%u</status></presence>",
                          device->local, device->resource, device->local, type, device->priority,
                          device->number);
    return bytes_of(into, (size_t)length);
}

void world_present(struct world *world, struct device *device, int8_t priority)
{
    struct world_worker *worker = &world->workers[device->worker];
    char octets[600];
    device->number++;
    if (!device->is_available)
        device->initial_number = device->number;
    device->is_available = true;
    device->priority = priority;
    struct bytes text = presence_of(device, "", octets, sizeof octets);
    session_set_presence(&worker->sessions, device->conn, true, priority, PRESENCE_SHOW_NONE);
    forget_presence_text(world, device);
    /* Every other one has its text written anew when probed. */
    if (random_below(&world->random, 2) == 0)
        session_at(&worker->sessions, device->conn)->presence_text =
            blob_create_copy(&worker->blobs, text);
    give(world, device->worker, route_presence(&worker->router, device->conn, text));
}

void world_tell_presence(struct world *world, struct device *device, const char *text)
{
    give(world, device->worker,
         route_presence(router_of(world, device), device->conn, bytes_of_string(text)));
}

void world_leave(struct world *world, struct device *device)
{
    struct world_worker *worker = &world->workers[device->worker];
    char octets[600];
    device->is_available = false;
    session_set_presence(&worker->sessions, device->conn, false, 0, PRESENCE_SHOW_NONE);
    forget_presence_text(world, device);
    struct bytes text = presence_of(device, " type='unavailable'", octets, sizeof octets);
    give(world, device->worker, route_presence(&worker->router, device->conn, text));
}

void world_logout(struct world *world, struct device *device)
{
    struct world_worker *worker = &world->workers[device->worker];
    if (device->is_available)
        world_leave(world, device);
    give(world, device->worker, route_unregister(&worker->router, device->conn));
    session_close(&worker->sessions, device->conn);
    pool_give(&worker->pool, device->conn);
    worker->device_of[device->conn] = NULL;
    device->handle = HANDLE_NONE;
}

static enum stanza_kind kind_of(enum stanza_type type)
{
    if (type >= STANZA_IQ_GET)
        return STANZA_IQ;
    return type >= STANZA_PRESENCE_AVAILABLE ? STANZA_PRESENCE : STANZA_MESSAGE;
}

void world_send(struct world *world, struct device *device, enum stanza_type type,
                const char *to_local, const char *to_resource, const char *name)
{
    struct bytes domain = BYTES(WORLD_DOMAIN);
    struct stanza stanza = {
        .kind = kind_of(type),
        .type = type,
        .id = bytes_of_string(name),
        .from = {bytes_of_string(device->local), domain, bytes_of_string(device->resource)},
        .to = {bytes_of_string(to_local), domain,
               to_resource == NULL ? BYTES("") : bytes_of_string(to_resource)},
        .has_to = true,
    };
    give(world, device->worker,
         route_stanza(router_of(world, device), &stanza.to, &stanza.from, &stanza,
                      bytes_of_string(name)));
}

/* A client starts afresh when its own latest initial presence comes back to it. */
static bool is_initial_echo(const struct device *device, const char *text)
{
    char from[160];
    char number[40];
    snprintf(from, sizeof from, "<presence from='%s@" WORLD_DOMAIN "/%s'", device->local,
             device->resource);
    snprintf(number, sizeof number, "<status>%u</status>", device->initial_number);
    return device->initial_number != 0 && strncmp(text, from, strlen(from)) == 0 &&
           strstr(text, number) != NULL;
}

static void receive(struct world *world, struct device *device, struct bytes text)
{
    char *copy = heap_take(&world->heap, text.size + 1);
    if (copy == NULL)
        return;
    memcpy(copy, text.at, text.size);
    copy[text.size] = '\0';
    if (is_initial_echo(device, copy)) {
        device_forget(world, device);
        device->initial_number = 0;
    }
    assert_true(device->text_count < WORLD_TEXTS_MAX);
    device->texts[device->text_count++] = copy;
}

static void carry_out(struct world *world, uint8_t index, struct route_action *action)
{
    struct world_worker *worker = &world->workers[index];
    if (action->kind == ROUTE_NOTE) {
        give(world, index, action->note);
        return;
    }
    struct device *device = worker->device_of[action->conn];
    if (device == NULL)
        return; /* closed by an action before this one */
    if (action->kind == ROUTE_SEND) {
        receive(world, device, action->octets);
        return;
    }
    device->closed_by = action->error;
    world_logout(world, device);
}

static void step(struct world *world, uint8_t index, struct route_note *note)
{
    world->actions.count = 0;
    route_step(&world->workers[index].router, note, &world->actions);
    for (uint32_t i = 0; i < world->actions.count; i++)
        carry_out(world, index, &world->actions.items[i]);
    note_destroy(&world->heap, &note);
    world->steps++;
}

bool world_carry(struct world *world)
{
    uint32_t pairs = world->worker_count * world->worker_count;
    uint32_t start = random_below(&world->random, pairs);
    for (uint32_t i = 0; i < pairs; i++) {
        uint32_t pair = (start + i) % pairs;
        uint8_t to = (uint8_t)(pair % world->worker_count);
        struct world_queue *queue = &world->queues[pair / world->worker_count][to];
        if (queue->count == 0)
            continue;
        struct route_note *note = queue->notes[queue->first++ % WORLD_QUEUE_MAX];
        queue->count--;
        step(world, to, note);
        return true;
    }
    return false;
}

void world_carry_all(struct world *world)
{
    uint32_t limit = world->steps + 1000000;
    while (world_carry(world))
        assert_true(world->steps < limit); /* notes that go round for ever */
}

uint32_t device_count(const struct device *device, const char *part)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < device->text_count; i++)
        count += strstr(device->texts[i], part) != NULL;
    return count;
}

void device_forget(struct world *world, struct device *device)
{
    for (uint32_t i = 0; i < device->text_count; i++)
        heap_give(&world->heap, device->texts[i]);
    device->text_count = 0;
}

int64_t world_metric(const struct world *world, enum metric metric)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < world->worker_count; i++)
        sum += metric_get(&world->workers[i].metrics, metric);
    return sum;
}
