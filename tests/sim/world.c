/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of: server/by_hand, server/control, server/control_pushes, server/deliver, server/effects,
 * server/inbound, server/orders, server/outbound, server/partial, server/pushing, server/startup,
 * server/worker.
 * See world.h. Time moves to the next thing that is due anywhere; a run that needs more than
 * TURNS_MAX turns or SIM_SECONDS_MAX has lost its liveness. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "phone.h"
#include "stentor/clock.h"
#include "stentor/server.h"

#define PHONES 2u
#define TURNS_MAX 2000000u
#define SIM_SECONDS_MAX 600u
#define START_NS (1000 * NS_PER_SECOND)
#define WALL_START_MS UINT64_C(1700000000000)
#define STEP_NS_MAX (200 * NS_PER_MS)
#define WORKERS_MAX 4u

struct world {
    const struct world_options *options;
    struct world_outcome *outcome;
    struct heap heap;
    struct nic_sim *sim;
    struct metrics *metrics[WORKERS_MAX];
    struct nic_queue *queues[WORKERS_MAX];
    struct config config;
    struct server *server;
    struct server_usage baseline;
    struct phone phones[PHONES];
    uint64_t now_ns;
    uint64_t turns;
    char folder[64];
};

static void blame(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void blame(struct world *world, const char *format, ...)
{
    if (world->outcome->fault[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->outcome->fault, sizeof world->outcome->fault, format, arguments);
    va_end(arguments);
}

struct nic_sim_faults world_faults(uint64_t seed)
{
    struct random random;
    random_init_seed(&random, seed ^ UINT64_C(0x5741495245));
    struct nic_sim_faults faults = {.delay_ns = random_below(&random, 80) * NS_PER_MS};
    if (seed % 8 == 0)
        return faults;
    faults.jitter_ns = random_below(&random, 20) * NS_PER_MS;
    faults.loss_ppm = random_below(&random, 100000);
    faults.duplicate_ppm = random_below(&random, 50000);
    faults.reorder_ppm = random_below(&random, 200000);
    faults.reorder_ns = random_below(&random, 100) * NS_PER_MS;
    faults.corrupt_ppm = random_below(&random, 30000);
    faults.refuse_take_ppm = random_below(&random, 20000);
    faults.refuse_transmit_ppm = random_below(&random, 20000);
    return faults;
}

static void config_fill(struct world *world)
{
    struct config *config = &world->config;
    config_defaults(config);
    snprintf(config->server_data_dir, sizeof config->server_data_dir, "%s", world->folder);
    config->server_workers = world->options->worker_count;
    config->tcp_connections_max = 256;
    config->tcp_hot_max = 64;
    config->tcp_time_wait = 10 * NS_PER_SECOND;
    config->tcp_time_wait_max = 64;
    config->xmpp_auth_time = 120 * NS_PER_SECOND;
    config->store_map_bytes = UINT64_C(16) << 20;
}

static bool world_open(struct world *world)
{
    char message[512] = "";
    struct writer writer = writer_of(message, sizeof message - 1);
    snprintf(world->folder, sizeof world->folder, "/tmp/stentor-sim-XXXXXX");
    if (mkdtemp(world->folder) == NULL) {
        blame(world, "cannot make a folder in /tmp");
        return false;
    }
    config_fill(world);
    world->now_ns = START_NS;
    heap_init(&world->heap, 1u << 30);
    if (nic_sim_create(&world->sim, &world->heap, world->options->seed) != ERROR_NONE)
        return false;
    nic_sim_advance(world->sim, world->now_ns);
    nic_sim_trace(world->sim, world->options->trace);
    const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    world->metrics[0] = aligned_alloc(64, sizeof *world->metrics[0]);
    memset(world->metrics[0], 0, sizeof *world->metrics[0]);
    world->queues[0] = nic_sim_end(world->sim, mac, 1500, world->metrics[0]);
    struct server_options options = {.config = &world->config,
                                     .queues = world->queues,
                                     .queue_metrics = world->metrics,
                                     .seed = world->options->seed,
                                     .now_ns = world->now_ns};
    if (server_create(&world->server, &options, &writer) != ERROR_NONE) {
        blame(world, "server_create: %s", message);
        return false;
    }
    return true;
}

static void world_close(struct world *world)
{
    for (uint32_t i = 0; i < PHONES; i++)
        if (world->phones[i].net != NULL)
            phone_close(&world->phones[i]);
    server_destroy(&world->server);
    if (world->sim != NULL)
        nic_sim_destroy(&world->sim);
    free(world->metrics[0]);
    static const char *const files[] = {"data.mdb", "lock.mdb", "lock", "install.key"};
    char path[128];
    for (uint32_t i = 0; i < ARRAY_COUNT(files); i++) {
        snprintf(path, sizeof path, "%s/%s", world->folder, files[i]);
        unlink(path);
    }
    if (rmdir(world->folder) != 0)
        blame(world, "%s is not empty at the end", world->folder);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* One turn of everybody, then on to the next moment. */
static void step(struct world *world)
{
    nic_sim_advance(world->sim, world->now_ns);
    server_turn(world->server, world->now_ns,
                WALL_START_MS + (world->now_ns - START_NS) / NS_PER_MS);
    uint64_t next = server_next_ns(world->server, world->now_ns);
    for (uint32_t i = 0; i < PHONES; i++) {
        struct phone *phone = &world->phones[i];
        phone_turn(phone, world->now_ns);
        next = min_u64(next, phone_next_ns(phone, world->now_ns));
        if (phone->fault[0] != '\0')
            blame(world, "%s", phone->fault);
    }
    next = min_u64(next, nic_sim_next_ns(world->sim));
    next = min_u64(next, world->now_ns + STEP_NS_MAX);
    world->now_ns = next > world->now_ns ? next : world->now_ns + NS_PER_US;
    world->turns++;
}

/* Steps until the condition holds. */
static bool until(struct world *world, bool (*holds)(struct world *), const char *what)
{
    while (world->outcome->fault[0] == '\0') {
        if (holds(world))
            return true;
        step(world);
        if (world->turns > TURNS_MAX || world->now_ns - START_NS > SIM_SECONDS_MAX * NS_PER_SECOND)
            blame(world, "not live: waited in vain until %s", what);
    }
    return false;
}

static bool are_online(struct world *world)
{
    return world->phones[0].state == PHONE_ONLINE && world->phones[1].state == PHONE_ONLINE;
}

static bool have_talked(struct world *world)
{
    return phone_copies(&world->phones[1], "hello") > 0 &&
           phone_copies(&world->phones[0], "answer") > 0;
}

static struct push_id pushes[2];

static bool are_settled(struct world *world)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(pushes); i++) {
        struct push_status status;
        if (server_push_status(world->server, &pushes[i], &status) != ERROR_NONE) {
            blame(world, "a push is forgotten");
            return false;
        }
        const struct push_counts *counts = &status.counts;
        uint64_t failed = 0;
        for (uint32_t k = 0; k < PUSH_FAILURE_COUNT; k++)
            failed += counts->failed[k];
        if (counts->matched != counts->pending + counts->written + failed ||
            counts->written != counts->in_flight + counts->acked + counts->lost)
            blame(world, "the counters of a push do not balance");
        if (status.state != PUSH_DONE)
            return false;
        if (counts->acked != PHONES)
            blame(world, "push done with %llu acknowledged of %u",
                  (unsigned long long)counts->acked, PHONES);
    }
    return true;
}

static bool have_left(struct world *world)
{
    struct server_usage usage = server_usage(world->server);
    return world->phones[0].state == PHONE_AWAY && world->phones[1].state == PHONE_AWAY &&
           usage.net.connections == 0 && usage.net.time_wait == 0;
}

static bool push_both(struct world *world)
{
    struct push_request request = {
        .target = PUSH_ONLINE, .title = BYTES("T"), .body = BYTES("to online <&>")};
    if (server_push(world->server, &request, &pushes[0]) != ERROR_NONE)
        return false;
    request.target = PUSH_ALL;
    return server_push(world->server, &request, &pushes[1]) == ERROR_NONE;
}

static void arrivals_judge(struct world *world)
{
    for (uint32_t i = 0; i < PHONES; i++) {
        struct phone *phone = &world->phones[i];
        if (phone->logins != 1)
            blame(world, "%s came online %u times", phone->name, phone->logins);
        for (uint32_t k = 0; k < ARRAY_COUNT(pushes); k++)
            if (phone_copies(phone, pushes[k].text) != 1)
                blame(world, "%s got push %u %u times", phone->name, k,
                      phone_copies(phone, pushes[k].text));
        const char *said = i == 0 ? "answer" : "hello";
        if (phone_copies(phone, said) != 1 || phone->message_count != 3)
            blame(world, "%s got %u messages, '%s' %u times", phone->name, phone->message_count,
                  said, phone_copies(phone, said));
    }
}

static void baseline_judge(struct world *world)
{
    struct server_usage usage = server_usage(world->server);
    uint32_t rest = usage.net.hot + usage.net.send_references + usage.blobs + usage.negotiations +
                    usage.partials + usage.bound + usage.registered;
    if (rest != 0 || usage.net.reorder_bytes != 0)
        blame(world,
              "pools not empty: hot %u references %u blobs %u negotiations %u partials %u bound "
              "%u registered %u",
              usage.net.hot, usage.net.send_references, usage.blobs, usage.negotiations,
              usage.partials, usage.bound, usage.registered);
    if (nic_sim_buffers_used(world->sim) != 0)
        blame(world, "%u packet buffers are lost", nic_sim_buffers_used(world->sim));
}

static void story(struct world *world)
{
    static const char *const names[PHONES] = {"juliet", "romeo"};
    char password[32];
    for (uint32_t i = 0; i < PHONES; i++) {
        snprintf(password, sizeof password, "%s%s", names[i], names[i]);
        if (!server_make_account(world->server, bytes_of_string(names[i]),
                                 bytes_of_string(password)))
            blame(world, "no account for %s", names[i]);
        phone_open(&world->phones[i], names[i], world->sim, (uint8_t)i, world->options->seed,
                   world->now_ns);
    }
    nic_sim_set_faults(world->sim, &world->options->faults);
    if (!until(world, are_online, "both phones are online"))
        return;
    phone_say(&world->phones[0], "romeo", "hello", "wherefore art thou");
    phone_say(&world->phones[1], "juliet", "answer", "shall I hear more");
    if (!until(world, have_talked, "both have heard each other"))
        return;
    if (!push_both(world)) {
        blame(world, "a push was refused");
        return;
    }
    if (!until(world, are_settled, "both pushes are done"))
        return;
    for (uint32_t i = 0; i < PHONES; i++)
        phone_leave(&world->phones[i]);
    if (!until(world, have_left, "everyone has left"))
        return;
    arrivals_judge(world);
    baseline_judge(world);
}

void world_run(const struct world_options *options, struct world_outcome *outcome)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    memset(outcome, 0, sizeof *outcome);
    world.options = options;
    world.outcome = outcome;
    if (world_open(&world))
        story(&world);
    outcome->frames = world.turns;
    outcome->elapsed_ns = world.now_ns - START_NS;
    world_close(&world);
}
