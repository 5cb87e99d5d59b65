/* SPDX-License-Identifier: Apache-2.0
 *
 * One worker: a NIC queue pair and everything whose connections arrive on it. Touched by its own
 * thread only (DESIGN law 1), except the rings at the end, through which others reach it.
 *
 * The files of a worker: worker.c the loop and its making · inbound.c octets to stanzas ·
 * effects.c what a stanza causes · outbound.c octets to TCP · deliver.c notes between workers ·
 * pushing.c fan-out · orders.c what control asks · partial.c stanzas not yet whole. */
#ifndef STENTOR_SERVER_WORKER_H
#define STENTOR_SERVER_WORKER_H

#include "stentor/arena.h"
#include "stentor/bell.h"
#include "stentor/blob.h"
#include "stentor/clock.h"
#include "stentor/deadline.h"
#include "stentor/digest.h"
#include "stentor/log.h"
#include "stentor/net.h"
#include "stentor/push.h"
#include "stentor/ring.h"
#include "stentor/route.h"
#include "stentor/server.h"
#include "stentor/store.h"
#include "stentor/trace.h"
#include "stentor/xmpp.h"
#include "changes.h"
#include "joined.h"
#include "order.h"
#include "partial.h"
#include "stretch.h"

#define WORKER_PUSHES_MAX 64u  /* pushes under way at once on a worker */
#define WORKER_PUSH_SLICE 256u /* streams written to in one turn */
#define WORKER_NOTES_TURN 256u /* notes carried out in one turn */
#define WORKER_INBOX_COUNT 65536u
#define WORKER_REFERENCES_A_HOT 4u /* send references in the pool for each extension */
#define WORKER_LINGER_SECONDS 5u   /* a closed stream's peer has this long to close too */

struct worker_push {
    struct push_walk walk;
    uint32_t blob; /* BLOB_NONE = free place */
    uint32_t acked_told, lost_told;
    uint64_t told_at_ns;
    struct push_report *untold; /* made, not yet taken by control */
    uint32_t waiting_count;     /* matched, but TCP could not take them yet */
    struct handle waiting[WORKER_PUSH_SLICE];
    uint32_t accounts[WORKER_PUSH_SLICE];
};

struct worker {
    struct server *server;
    const struct config *config;
    uint8_t index;
    uint32_t worker_count;
    uint64_t now_ns;  /* of this turn: the only clock reading */
    uint64_t wall_ms; /* of this turn, for what is stored */
    struct nic_queue *nic;
    struct net *net;
    struct arena arena;
    struct heap *heap; /* the server's: notes travel between threads */
    struct blob_table blobs;
    struct session_table sessions;
    struct registry *registry;
    struct router router;
    struct xmpp *xmpp;
    struct xml_reader *reader; /* between stanzas one serves all */
    struct partial_table partials;
    struct deadline_table deadlines; /* time to authenticate, to be idle, to linger */
    struct metrics *metrics;
    struct trace trace;
    struct log *log;
    struct random random;
    struct digests digests;
    struct worker_push *pushes; /* WORKER_PUSHES_MAX */
    uint32_t push_count;
    struct changes changes; /* of accounts, since when look-ups are doubted */
    struct order *drain;    /* the order to give back when all streams are gone */
    uint32_t drain_row;
    struct net_events *events;
    struct route_actions *actions;
    struct ring *self; /* spsc: notes of this worker to itself */
    uint64_t sweep_at_ns;

    struct store_port *store;
    struct stretch_port stretch;
    struct ring *inbox;  /* mpsc: route notes from workers */
    struct ring *orders; /* spsc: from control */
    struct bell bell;    /* ends the sleep */
};

/* The caller has set server, config, index, worker_count, now_ns, nic, heap, metrics, log, random
 * and bell. After a fault worker_destroy() clears what stands. */
MUST_USE enum error worker_create(struct worker *worker, struct writer *message);
/* Resets what is left. Sessions that end tell their homes, so every worker must still stand: all of
 * them end their streams before the first is destroyed. */
void worker_end_streams(struct worker *worker);
void worker_destroy(struct worker *worker);

/* One bounded pass over everything. True when there was something to do. */
bool worker_turn(struct worker *worker, uint64_t now_ns, uint64_t wall_ms);
/* A lower bound of when a turn has something to do though nothing arrives. */
uint64_t worker_next_ns(const struct worker *worker);

/* inbound.c; true = there was something */
bool inbound_packets(struct worker *worker);
void inbound_events(struct worker *worker);
bool inbound_answers(struct worker *worker); /* store and password threads */
void inbound_deadlines(struct worker *worker);
/* Reads on what a stream kept back while it waited. */
void inbound_resume(struct worker *worker, uint32_t conn);
struct xmpp_peer inbound_peer(struct worker *worker, uint32_t conn);

/* effects.c: sends output.out, carries the effects out; further answers that are known at once are
 * fed in until none is left. Returns what the stream does next. */
enum xmpp_result effects_apply(struct worker *worker, uint32_t conn, enum xmpp_result result,
                               struct xmpp_output *output);
/* Asks the store for the account of a login; false when it cannot be asked now. */
MUST_USE bool effects_ask_account(struct worker *worker, uint32_t conn, struct bytes local);
/* Ends a stream for a reason of ours. */
void effects_close(struct worker *worker, uint32_t conn, enum stream_error error);
/* The connection is gone: unregister, give back what it borrowed. */
void effects_closed(struct worker *worker, uint32_t conn);

/* outbound.c: a copy of the octets to a stream; a stream that cannot take them is shed. */
void outbound_octets(struct worker *worker, uint32_t conn, struct bytes octets);

/* deliver.c */
bool deliver_notes(struct worker *worker);
/* Takes the note, NULL too. False when it is lost (counted): memory or a full ring. */
bool deliver_give(struct worker *worker, struct route_note *note);

/* pushing.c */
void pushing_begin(struct worker *worker, const struct push_job *job);
bool pushing_turn(struct worker *worker);
/* When pacing or waiting copies want a turn; UINT64_MAX = nothing under way. */
uint64_t pushing_next_ns(const struct worker *worker);

/* orders.c */
bool orders_turn(struct worker *worker);

#endif
