/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole server, joined. main.c runs it on threads; the simulator makes the same server over
 * simulated wires and steps it by hand in one thread under a virtual clock.
 *
 *   server_create -> (threads) server_run until server_stop -> server_destroy
 *   server_create -> (by hand) server_turn, server_turn, ...  -> server_destroy
 *
 * Owner: the main thread; server_stop may be called from a signal handler. */
#ifndef STENTOR_SERVER_H
#define STENTOR_SERVER_H

#include "stentor/admin.h"
#include "stentor/config.h"
#include "stentor/net.h"
#include "stentor/nic.h"
#include "stentor/store.h"

struct server;

struct server_options {
    const struct config *config; /* outlives the server */
    /* By hand only: one queue a worker, no EAL, no threads, no HTTP; all randomness from seed. */
    struct nic_queue *const *queues;
    struct metrics *const *queue_metrics; /* the blocks those queues count into, one a worker */
    uint64_t seed;
    uint64_t now_ns;
};

/* What the parser cannot see: ERROR_INVALID, and a line "NAME: option: found, expected" for each
 * fault, when no server can be made from it. Any thread, nothing is opened. */
MUST_USE enum error server_config_judge(const struct config *config, const char *name,
                                        struct writer *message);

/* Opens everything; on a fault *server is NULL and message says what is wrong and what to do. */
MUST_USE enum error server_create(struct server **server, const struct server_options *options,
                                  struct writer *message);
void server_destroy(struct server **server);

/* Threads: starts them, returns when all have ended after server_stop(). */
MUST_USE enum error server_run(struct server *server);
/* Asks for an orderly end: streams get </stream:stream>, then server.drain of time. A second call
 * ends at once. Safe in a signal handler. */
void server_stop(struct server *server);

/* What first start made: empty string when the admin token existed already. */
const char *server_new_token(const struct server *server);
uint16_t server_admin_port(const struct server *server);

/* ---- by hand ---- */

/* One turn of every worker, the store, the password threads and control. */
void server_turn(struct server *server, uint64_t now_ns, uint64_t wall_ms);
/* The next moment at which a turn has something to do, packets excepted. */
uint64_t server_next_ns(const struct server *server, uint64_t now_ns);

struct server_usage {
    struct net_usage net; /* summed over workers */
    uint32_t blobs;
    uint32_t negotiations;
    uint32_t partials;
    uint32_t bound;
    uint32_t registered;
    uint64_t heap_bytes;
};
struct server_usage server_usage(const struct server *server);
int64_t server_metric(const struct server *server, enum metric metric);

/* The same roads the admin API takes, for tests without HTTP: false = refused. */
MUST_USE bool server_make_account(struct server *server, struct bytes local, struct bytes password);
MUST_USE enum error server_push(struct server *server, const struct push_request *request,
                                struct push_id *id);
MUST_USE enum error server_push_status(struct server *server, const struct push_id *id,
                                       struct push_status *status);

#endif
