/* SPDX-License-Identifier: Apache-2.0
 *
 * How stanzas find sessions (RFC 6121 section 8) across workers. Pure: a note in, deliveries and
 * further notes out; src/server carries notes between workers by ring, or hands them straight back
 * when the destination is the same worker.
 *
 *   sender's worker --ROUTE--> home worker of the bare JID --DELIVER--> the session's worker
 *                              (rules of 8.5, registry)     <--MISSED-- (names did not match)
 *   bind:     session's worker --REGISTER--> home, which sends REPLACE to the worker of an older
 *             session with that resource (stream error conflict there)
 *   presence: session's worker --PRESENCE--> home --DELIVER--> own other available resources
 *   close:    session's worker --UNREGISTER--> home (and PRESENCE unavailable before, if available)
 *
 * MISSED is no kind of its own: the DELIVER goes back as a ROUTE that names the session it missed,
 * and home tries the next one. Notes between two workers must arrive in the order they were sent.
 *
 * A note is one heap block, owned by whoever holds the pointer. Owner of a router: one worker.
 * An unroutable IQ get/set or message gets a stanza error to its sender, sent as a ROUTE of type
 * error; an error is never answered by an error (RFC 6120 8.3.1).
 *
 * What this version chooses where RFC 6121 8.5 leaves a choice, and what it leaves out:
 *   - "most available" are all resources of the highest priority that is not negative;
 *   - nothing is stored: where a server may store or refuse, it refuses (service-unavailable);
 *   - an IQ reaches a full JID that matches, whoever sends it: knowing the resource is permission;
 *   - subscriptions and probes of clients are dropped and counted;
 *   - a session over router.resources_max, or without room in the registry, is closed with the
 *     stream error resource-constraint. */
#ifndef STENTOR_ROUTE_H
#define STENTOR_ROUTE_H

#include "stentor/blob.h"
#include "stentor/registry.h"
#include "stentor/session.h"
#include "stentor/stanza.h"

enum note_kind {
    NOTE_ROUTE,      /* text goes to `to`, by its rules */
    NOTE_DELIVER,    /* text goes to the session, if local part (and resource) match */
    NOTE_REGISTER,   /* session bound: local, resource */
    NOTE_UNREGISTER, /* session gone */
    NOTE_PRESENCE,   /* session's own presence: priority, availability, text to spread */
    NOTE_REPLACE,    /* close that session with stream_error, if names match */
    NOTE_PROBE,      /* ask that session to send its presence to session `other` (a new own
                        resource), or to all of them when that is none */
    NOTE_SERVER      /* first kind of src/server's own notes */
};

struct route_note {
    uint8_t kind; /* enum note_kind */
    uint8_t to_worker;
    uint8_t stanza_kind; /* enum stanza_kind of the text */
    uint8_t stanza_type; /* enum stanza_type of the text */
    int8_t priority;
    uint8_t show;
    uint8_t stream_error; /* REPLACE: enum stream_error */
    uint8_t misses;       /* ROUTE, DELIVER: sessions tried in vain */
    bool is_available;
    bool is_fallback;    /* treat as sent to the bare JID: a chat message whose full JID missed */
    bool may_return;     /* DELIVER: home wants it back when the names do not match */
    uint16_t local_size; /* of the JID the note is about or for */
    uint16_t resource_size;
    uint16_t from_size;    /* sender's full JID, for errors */
    uint32_t id_size;      /* the stanza's id, for errors */
    uint32_t text_size;    /* the stanza, rendered, `from` stamped */
    uint64_t hash;         /* registry_hash of the local part */
    struct handle session; /* the one the note is about or for; ROUTE: the one it missed */
    struct handle other;   /* PROBE: who asks; PRESENCE: the only one to tell, unless none */
    uint8_t octets[];      /* local, resource, from, id, text */
};

struct bytes note_local(const struct route_note *note);
struct bytes note_resource(const struct route_note *note);
struct bytes note_from(const struct route_note *note);
struct bytes note_id(const struct route_note *note);
struct bytes note_text(const struct route_note *note);

/* What a note may be made of. */
struct note_parts {
    struct bytes local, resource, from, id, text;
};
/* NULL when the heap refuses. */
struct route_note *note_create(struct heap *heap, enum note_kind kind,
                               const struct note_parts *parts);
struct route_note *note_create_copy(struct heap *heap, const struct route_note *note);
void note_destroy(struct heap *heap, struct route_note **note);

struct router {
    struct session_table *sessions;
    struct registry *registry;
    const struct pool *pool;        /* of the connection rows: handles */
    const struct blob_table *blobs; /* of presence_text; NULL: presences are made anew */
    struct heap *heap;
    struct metrics *metrics;
    struct siphash_key key;
    struct bytes domain;
    uint32_t worker_count;
    uint32_t resources_max;
    uint8_t worker;
};

enum route_action_kind {
    ROUTE_SEND,  /* send the octets to connection `conn` of this worker */
    ROUTE_CLOSE, /* end connection `conn` with stream error `error` */
    ROUTE_NOTE   /* carry the note to note->to_worker; ownership goes with it */
};
struct route_action {
    enum route_action_kind kind;
    uint32_t conn;
    enum stream_error error; /* conflict, or resource-constraint */
    struct bytes octets;     /* in the note being stepped: good until it is destroyed */
    struct route_note *note;
};
#define ROUTE_ACTIONS_MAX 272u /* a presence is spread, and as many are asked for theirs */
struct route_actions {
    uint32_t count;
    struct route_action items[ROUTE_ACTIONS_MAX];
};

/* Acts on a note that arrived at this worker. The caller carries out the actions, then destroys
 * the note. An action that the heap refused is counted (ROUTE_DROP_NO_MEMORY). */
void route_step(struct router *router, struct route_note *note, struct route_actions *actions);

/* The first note of each road; NULL when the heap refuses. `to` has a local part. Without its
 * REGISTER or PRESENCE a session is not found: better close it. A lost UNREGISTER heals by itself,
 * when a delivery finds the session gone. */
struct route_note *route_stanza(struct router *router, const struct jid *to, const struct jid *from,
                                const struct stanza *stanza, struct bytes text);
struct route_note *route_register(struct router *router, uint32_t conn);
struct route_note *route_unregister(struct router *router, uint32_t conn);
/* text = the presence stanza as it is to be spread, `from` stamped. */
struct route_note *route_presence(struct router *router, uint32_t conn, struct bytes text);

#endif
