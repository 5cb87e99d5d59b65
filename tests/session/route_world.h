/* SPDX-License-Identifier: Apache-2.0
 *
 * A few workers with their routers and rings in one thread. Notes are carried in seeded random
 * order, but between two workers in the order they were given, as rings do. Every session keeps
 * what it was sent. */
#ifndef STENTOR_TEST_ROUTE_WORLD_H
#define STENTOR_TEST_ROUTE_WORLD_H

#include "stentor/random.h"
#include "stentor/route.h"

#define WORLD_WORKERS_MAX 3u
#define WORLD_ROWS 64u
#define WORLD_QUEUE_MAX 4096u
#define WORLD_TEXTS_MAX 512u
#define WORLD_RESOURCES 5u
#define WORLD_DOMAIN "example.net"

/* A session as its client sees it. */
struct device {
    uint8_t worker;
    uint32_t conn;
    struct handle handle; /* none: not logged in */
    char local[64];
    char resource[64];
    bool is_available;
    int8_t priority;
    uint32_t number;             /* of its last presence */
    uint32_t initial_number;     /* of its last initial presence, until that comes back; or 0 */
    enum stream_error closed_by; /* by the router */
    uint32_t text_count;
    char *texts[WORLD_TEXTS_MAX]; /* of the heap */
};

struct world_worker {
    struct pool pool;
    struct session_table sessions;
    struct registry *registry;
    struct router router;
    struct metrics metrics;
    struct blob_table blobs;
    struct device *device_of[WORLD_ROWS];
};

struct world_queue {
    struct route_note *notes[WORLD_QUEUE_MAX];
    uint32_t first;
    uint32_t count;
};

struct world {
    struct arena arena;
    struct heap heap;
    struct random random;
    uint32_t worker_count;
    struct world_worker workers[WORLD_WORKERS_MAX];
    struct world_queue queues[WORLD_WORKERS_MAX][WORLD_WORKERS_MAX]; /* from, to */
    struct route_actions actions;
    uint32_t steps;
};

void world_init(struct world *world, uint32_t worker_count, uint64_t seed);
/* Logs nobody out; gives back what is under way. */
void world_fini(struct world *world);

void world_login(struct world *world, struct device *device, uint8_t worker, const char *local,
                 const char *resource);
/* Initial or later presence; its text says priority and, as a client would, a status. */
void world_present(struct world *world, struct device *device, int8_t priority);
/* The session's presence as it stands in its row, with that text. */
void world_tell_presence(struct world *world, struct device *device, const char *text);
void world_leave(struct world *world, struct device *device); /* unavailable presence */
void world_logout(struct world *world, struct device *device);
/* Sends a stanza; its text is `name`. to_resource NULL: bare. */
void world_send(struct world *world, struct device *device, enum stanza_type type,
                const char *to_local, const char *to_resource, const char *name);
/* One note that is under way, if there is one. */
bool world_carry(struct world *world);
void world_carry_all(struct world *world);

/* How many texts of the device hold that. */
uint32_t device_count(const struct device *device, const char *part);
void device_forget(struct world *world, struct device *device);
int64_t world_metric(const struct world *world, enum metric metric);

#endif
