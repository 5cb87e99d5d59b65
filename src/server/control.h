/* SPDX-License-Identifier: Apache-2.0
 *
 * The control thread: owns the admin API, the bookkeeping of pushes and the log's way out. It
 * touches no connection; it asks workers by orders and the store by requests, and never waits for
 * either. control.c the turn · control_users.c accounts · control_pushes.c pushes ·
 * control_sessions.c what is asked of workers. */
#ifndef STENTOR_SERVER_CONTROL_H
#define STENTOR_SERVER_CONTROL_H

#include "stentor/admin.h"
#include "stentor/bell.h"
#include "stentor/log.h"
#include "stentor/push.h"
#include "stentor/ring.h"
#include "stentor/server.h"
#include "stentor/store.h"
#include "joined.h"
#include "order.h"
#include "stretch.h"

#define CONTROL_REPORTS_COUNT 16384u
#define CONTROL_USER_LOOKUPS 256u /* store requests a push to users has out at once */

struct control {
    struct server *server;
    const struct config *config;
    struct heap *heap;
    struct admin *admin; /* NULL by hand */
    struct push_table *pushes;
    struct store_port *store;
    struct stretch_port stretch;
    struct ring *reports; /* mpsc: struct push_report from workers */
    struct ring *back;    /* mpsc: orders carried out */
    struct metrics *metrics;
    struct log *log;
    struct random random;
    uint64_t now_ns;
    uint64_t wall_ms;
    uint32_t pushes_running;
    struct order *changes; /* of accounts: not yet stored, or not yet taken by the next worker */
    uint32_t orders_out;   /* given to workers, not yet back */
    bool is_draining;      /* changes and pushes are refused */
    uint32_t drains_out;   /* workers that still have streams */
    uint32_t made_accounts, refused_accounts; /* by hand: answers to server_make_account */
    struct bell bell;
};

/* The caller has set server, config, heap, metrics, log, random and bell. */
MUST_USE enum error control_create(struct control *control, struct writer *message);
MUST_USE enum error control_open_admin(struct control *control, char token[ADMIN_TOKEN_SIZE + 1],
                                       struct writer *message);
void control_destroy(struct control *control);
void control_turn(struct control *control, uint64_t now_ns, uint64_t wall_ms);
/* Tells every worker to end its streams; from here on changes and pushes are refused. */
void control_drain(struct control *control);
/* The 503 of a change or a push that comes, or goes on, once streams are being ended. */
void control_refuse_draining(struct control *control, struct admin_request *request);
/* Turns away what admin asked and nobody will answer any more. */
void control_close_admin(struct control *control);

/* A store request of that kind for an admin request; NULL = refused, and the problem answered. */
struct store_request *control_ask_store(struct control *control, enum store_kind kind,
                                        struct admin_request *request);
/* Gives it to the store, or answers the problem. */
void control_submit(struct control *control, struct store_request *ask);
/* An order for that worker; NULL when the heap refuses. */
struct order *control_order(struct control *control, enum order_kind kind, uint8_t worker);
void control_order_destroy(struct control *control, struct order **order);
/* False when the worker's ring is full: the caller keeps it. */
MUST_USE bool control_give(struct control *control, struct order *order);
uint32_t control_worker_count(const struct control *control);

/* control_users.c */
void control_user_asked(struct control *control, struct admin_request *request);
void control_user_stored(struct control *control, struct store_request *answer);
/* Every worker knows. */
void control_user_changed(struct control *control, struct order *order);
void control_keys_made(struct control *control, struct stretch_job *job);

/* control_pushes.c */
void control_push_asked(struct control *control, struct admin_request *request);
void control_push_numbers(struct control *control, struct store_request *answer);
void control_push_user(struct control *control, struct store_request *answer);
/* Accepts and tells every worker. */
MUST_USE enum error control_push_begin(struct control *control, const struct push_request *request,
                                       const uint32_t *accounts, uint32_t count,
                                       struct push_id *id);

/* control_sessions.c */
void control_session_asked(struct control *control, struct admin_request *request);
void control_order_back(struct control *control, struct order *order);
/* A change of an account is answered when every worker has made it true. The order that tells them
 * is made before the store is asked, so that memory is refused while nothing has happened.
 * False = refused, and the problem answered. */
MUST_USE bool control_change_prepare(struct control *control, struct admin_request *request);
/* The one prepared for the request, or NULL: the request changes nothing that a worker holds. */
struct order *control_change_find(struct control *control, const struct admin_request *request);
/* The store refused. */
void control_change_drop(struct control *control, const struct admin_request *request);
/* Hands what is due to the workers that take it now. */
void control_changes_send(struct control *control);

#endif
