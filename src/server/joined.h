/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of a server ask of the whole (startup.c): where the store is, who carries a note
 * to another worker. Rings inside, so any of its threads may call the give functions; they never
 * block, and what they give away belongs to the receiving thread. */
#ifndef STENTOR_SERVER_JOINED_H
#define STENTOR_SERVER_JOINED_H

#include "stentor/log.h"
#include "stentor/route.h"
#include "stentor/server.h"
#include "order.h"
#include "stretch.h"

#define WORKER_ORDERS 1024u        /* ring of orders to a worker */
#define CONTROL_ORDERS_COUNT 4096u /* orders out at once, so the ring back never fills */

struct store *server_store(struct server *server);
struct stretch *server_stretch(struct server *server);
struct siphash_key server_key(const struct server *server);
const uint8_t *server_install_key(const struct server *server);
uint32_t server_worker_count(const struct server *server);

/* Worker to control. */
void server_give_order_back(struct server *server, struct order *order);
/* False when control's ring is full: the caller keeps the report. */
bool server_give_report(struct server *server, struct push_report *report);
/* The same when threads have ended: books it at once. */
void server_settle_report(struct server *server, struct push_report *report);
/* Worker to worker note->to_worker; false when its inbox is full: the caller keeps the note. */
bool server_give_note(struct server *server, struct route_note *note);
/* Control to worker order->worker; false when its ring is full or too many orders are out. */
bool server_order_worker(struct server *server, struct order *order);
/* An order to that worker, and one to each worker besides, would be taken. */
bool server_has_order_room(const struct server *server, uint8_t worker);

/* Every thread's block of counters; max must hold them all. */
uint32_t server_metric_blocks(const struct server *server, const struct metrics **blocks,
                              uint32_t max);
uint32_t server_logs(const struct server *server, struct log **logs, uint32_t max);

#endif
