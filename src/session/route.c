/* SPDX-License-Identifier: Apache-2.0
 *
 * The router of a worker. It is two things at once: home, which looks an account's sessions up and
 * decides by one table (RFC 6121 8.5) which of them get a stanza; and the worker of some of those
 * sessions, which verifies names and delivers. A session of this very worker is served at once,
 * without a note.
 *
 * Home may be wrong about a session for as long as a note is under way: the session may just have
 * gone, or be a stranger whose hash is alike. A full JID is therefore tried session by session, and
 * "most available" again without the one that was missed, at most MISSES_MAX times. What goes to
 * several sessions at once is not tried again: one of them got it. */
#include "stentor/route.h"

#define MISSES_MAX 8u
static_assert(ROUTE_ACTIONS_MAX >= 2 * REGISTRY_MATCHES_MAX + 4, "each match gets two at most");

/* ---- the rules ---- */

enum rule {
    RULE_DROP,
    RULE_DROP_SUBSCRIPTION,
    RULE_ERROR,           /* service-unavailable to the sender */
    RULE_TO_RESOURCE,     /* the session of that full JID, available or not */
    RULE_TO_MOST,         /* all of the highest priority that is not negative */
    RULE_TO_NON_NEGATIVE, /* all available of a priority that is not negative */
    RULE_TO_AVAILABLE,    /* all available */
    RULE_AS_BARE          /* as if it had been sent to the bare JID */
};

struct rules {
    enum rule bare;      /* RFC 6121 8.5.2.1 */
    enum rule bare_none; /* 8.5.2.2, and 8.5.1 likewise: who asks shall not learn the difference */
    enum rule full;      /* 8.5.3.1 */
    enum rule full_none; /* 8.5.3.2 */
};

#define SUBSCRIPTION                                                                               \
    {                                                                                              \
        RULE_DROP_SUBSCRIPTION, RULE_DROP, RULE_DROP_SUBSCRIPTION, RULE_DROP                       \
    }

static const struct rules rules_of[] = {
    [STANZA_TYPE_ERROR] = {RULE_DROP, RULE_DROP, RULE_TO_RESOURCE, RULE_DROP},
    [STANZA_MESSAGE_NORMAL] = {RULE_TO_MOST, RULE_ERROR, RULE_TO_RESOURCE, RULE_ERROR},
    [STANZA_MESSAGE_CHAT] = {RULE_TO_MOST, RULE_ERROR, RULE_TO_RESOURCE, RULE_AS_BARE},
    [STANZA_MESSAGE_GROUPCHAT] = {RULE_ERROR, RULE_ERROR, RULE_TO_RESOURCE, RULE_ERROR},
    [STANZA_MESSAGE_HEADLINE] = {RULE_TO_NON_NEGATIVE, RULE_DROP, RULE_TO_RESOURCE, RULE_DROP},
    [STANZA_PRESENCE_AVAILABLE] = {RULE_TO_AVAILABLE, RULE_DROP, RULE_TO_RESOURCE, RULE_DROP},
    [STANZA_PRESENCE_UNAVAILABLE] = {RULE_TO_AVAILABLE, RULE_DROP, RULE_TO_RESOURCE, RULE_DROP},
    [STANZA_PRESENCE_SUBSCRIBE] = SUBSCRIPTION,
    [STANZA_PRESENCE_SUBSCRIBED] = SUBSCRIPTION,
    [STANZA_PRESENCE_UNSUBSCRIBE] = SUBSCRIPTION,
    [STANZA_PRESENCE_UNSUBSCRIBED] = SUBSCRIPTION,
    [STANZA_PRESENCE_PROBE] = SUBSCRIPTION,
    [STANZA_IQ_GET] = {RULE_ERROR, RULE_ERROR, RULE_TO_RESOURCE, RULE_ERROR},
    [STANZA_IQ_SET] = {RULE_ERROR, RULE_ERROR, RULE_TO_RESOURCE, RULE_ERROR},
    [STANZA_IQ_RESULT] = {RULE_DROP, RULE_DROP, RULE_TO_RESOURCE, RULE_DROP},
};
static_assert(ARRAY_COUNT(rules_of) == STANZA_TYPE_COUNT, "a row for each type");

/* A note at home, and what home knows of the account it is for. */
struct errand {
    struct router *router;
    struct route_note *note;
    struct route_actions *actions;
    uint32_t count;
    struct registry_entry entries[REGISTRY_MATCHES_MAX];
};

static void find_sessions(struct errand *errand)
{
    errand->count = registry_find(errand->router->registry, errand->note->hash, errand->entries,
                                  REGISTRY_MATCHES_MAX);
}

/* ---- actions ---- */

static void count(struct router *router, enum metric metric)
{
    metric_count(router->metrics, metric);
}

static struct route_action *push_action(struct route_actions *actions, enum route_action_kind kind)
{
    ASSERT(actions->count < ROUTE_ACTIONS_MAX);
    struct route_action *action = &actions->items[actions->count++];
    *action = (struct route_action){.kind = kind};
    return action;
}

static void push_send(struct router *router, struct route_actions *actions, uint32_t conn,
                      const struct route_note *note)
{
    struct route_action *action = push_action(actions, ROUTE_SEND);
    action->conn = conn;
    action->octets = note_text(note);
    count(router, METRIC_ROUTE_DELIVERED);
}

static void push_close(struct router *router, struct route_actions *actions, uint32_t conn,
                       enum stream_error error)
{
    struct route_action *action = push_action(actions, ROUTE_CLOSE);
    action->conn = conn;
    action->error = error;
    count(router, error == STREAM_ERROR_CONFLICT ? METRIC_ROUTE_REPLACED : METRIC_ROUTE_REFUSED);
}

/* False when the heap refused the note. */
static bool push_note(struct router *router, struct route_actions *actions, struct route_note *note)
{
    if (note == NULL) {
        count(router, METRIC_ROUTE_DROP_NO_MEMORY);
        return false;
    }
    push_action(actions, ROUTE_NOTE)->note = note;
    return true;
}

/* ---- telling one session ---- */

static uint32_t find_conn(const struct router *router, const struct route_note *note,
                          struct handle session)
{
    uint32_t conn = pool_find(router->pool, session);
    struct bytes resource = note->is_fallback ? BYTES("") : note_resource(note);
    if (conn == POOL_NONE || !session_matches(router->sessions, conn, note_local(note), resource))
        return POOL_NONE;
    return conn;
}

/* Home still names a session of this worker that is no more: its UNREGISTER is under way, or was
 * refused by the heap. This one goes the same road, behind whatever the session said last. */
static void tell_gone(struct errand *errand, struct handle session)
{
    struct router *router = errand->router;
    const struct note_parts nothing = {.text = BYTES("")};
    struct route_note *gone = note_create(router->heap, NOTE_UNREGISTER, &nothing);
    if (gone != NULL) {
        gone->hash = errand->note->hash;
        gone->session = session;
        gone->to_worker = registry_home(gone->hash, router->worker_count);
    }
    push_note(router, errand->actions, gone);
}

/* False when the session is not the one meant, or gone. */
static bool tell_here(struct errand *errand, struct handle session)
{
    struct router *router = errand->router;
    uint32_t conn = find_conn(router, errand->note, session);
    if (conn != POOL_NONE) {
        push_send(router, errand->actions, conn, errand->note);
        return true;
    }
    count(router, METRIC_ROUTE_MISSED);
    if (pool_find(router->pool, session) == POOL_NONE)
        tell_gone(errand, session);
    return false;
}

enum miss_policy { MISS_RETURNS, MISS_IS_LOST };

/* False when it is known that the session did not get it. */
static bool tell(struct errand *errand, struct handle session, enum miss_policy policy)
{
    if (handle_worker(session) == errand->router->worker)
        return tell_here(errand, session);
    struct route_note *copy = note_create_copy(errand->router->heap, errand->note);
    if (copy != NULL) {
        copy->kind = NOTE_DELIVER;
        copy->to_worker = handle_worker(session);
        copy->session = session;
        copy->may_return = policy == MISS_RETURNS;
    }
    push_note(errand->router, errand->actions, copy);
    return true;
}

/* ---- ROUTE, at home ---- */

static bool can_answer(const struct route_note *note)
{
    return note->from_size != 0 &&
           (note->stanza_kind == STANZA_MESSAGE || note->stanza_kind == STANZA_IQ) &&
           note->stanza_type != STANZA_TYPE_ERROR && note->stanza_type != STANZA_IQ_RESULT;
}

static struct route_note *error_create(struct router *router, const struct route_note *note)
{
    struct stanza stanza = {
        .kind = (enum stanza_kind)note->stanza_kind,
        .type = (enum stanza_type)note->stanza_type,
        .id = note_id(note),
        .to = {note_local(note), router->domain, note_resource(note)},
        .has_to = true,
    };
    if (jid_split(note_from(note), &stanza.from) != ERROR_NONE)
        return NULL;
    size_t size = STANZA_REPLY_BYTES_MAX(note->id_size);
    uint8_t *octets = heap_take(router->heap, size);
    if (octets == NULL)
        return NULL;
    struct writer text = writer_of(octets, size);
    stanza_write_error(&text, &stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
    struct note_parts parts = {
        .local = stanza.from.local, .resource = stanza.from.resource, .text = writer_bytes(&text)};
    struct route_note *answer =
        text.is_overflown ? NULL : note_create(router->heap, NOTE_ROUTE, &parts);
    heap_give(router->heap, octets);
    if (answer == NULL)
        return NULL;
    answer->stanza_kind = note->stanza_kind;
    answer->stanza_type = STANZA_TYPE_ERROR;
    answer->hash = registry_hash(&router->key, stanza.from.local);
    answer->to_worker = registry_home(answer->hash, router->worker_count);
    return answer;
}

static void answer_error(struct errand *errand)
{
    if (!can_answer(errand->note)) {
        count(errand->router, METRIC_ROUTE_DROP_RULE);
        return;
    }
    count(errand->router, METRIC_ROUTE_ERRORS);
    push_note(errand->router, errand->actions, error_create(errand->router, errand->note));
}

/* Sessions that may be the full JID's, in their order and behind the one that was missed. */
static bool tell_resource(struct errand *errand)
{
    const struct route_note *note = errand->note;
    uint8_t tag = registry_resource_tag(&errand->router->key, note_resource(note));
    uint32_t first = 0;
    for (uint32_t i = 0; i < errand->count && note->misses != 0; i++) {
        if (errand->entries[i].session.value == note->session.value)
            first = i + 1;
    }
    for (uint32_t i = first; i < errand->count; i++) {
        if (errand->entries[i].resource_tag == tag &&
            tell(errand, errand->entries[i].session, MISS_RETURNS))
            return true;
    }
    return false;
}

static void remove_entry(struct errand *errand, uint32_t index)
{
    errand->entries[index] = errand->entries[--errand->count];
}

/* Leaves the sessions that are available, of that priority at least, and not the one missed. */
static void keep_available(struct errand *errand, int priority_min)
{
    const struct route_note *note = errand->note;
    for (uint32_t i = errand->count; i > 0; i--) {
        const struct registry_entry *entry = &errand->entries[i - 1];
        bool is_missed = note->misses != 0 && entry->session.value == note->session.value;
        if (!entry->is_available || entry->priority < priority_min || is_missed)
            remove_entry(errand, i - 1);
    }
}

static bool tell_all(struct errand *errand)
{
    bool is_told = false;
    for (uint32_t i = 0; i < errand->count; i++)
        is_told |= tell(errand, errand->entries[i].session, MISS_IS_LOST);
    return is_told;
}

static bool tell_most(struct errand *errand)
{
    bool is_told = false;
    while (errand->count > 0 && !is_told) {
        int8_t highest = INT8_MIN;
        uint32_t highest_count = 0;
        for (uint32_t i = 0; i < errand->count; i++) {
            int8_t priority = errand->entries[i].priority;
            highest_count = priority > highest ? 0 : highest_count;
            highest = priority > highest ? priority : highest;
            highest_count += priority == highest;
        }
        enum miss_policy policy = highest_count == 1 ? MISS_RETURNS : MISS_IS_LOST;
        for (uint32_t i = errand->count; i > 0; i--) {
            if (errand->entries[i - 1].priority != highest)
                continue;
            is_told |= tell(errand, errand->entries[i - 1].session, policy);
            remove_entry(errand, i - 1);
        }
    }
    return is_told;
}

static bool rule_apply(struct errand *errand, enum rule rule)
{
    switch (rule) {
    case RULE_DROP:
        count(errand->router, METRIC_ROUTE_DROP_RULE);
        return true;
    case RULE_DROP_SUBSCRIPTION:
        count(errand->router, METRIC_ROUTE_DROP_SUBSCRIPTION);
        return true;
    case RULE_ERROR:
        answer_error(errand);
        return true;
    case RULE_TO_RESOURCE:
        return tell_resource(errand);
    case RULE_TO_MOST:
        keep_available(errand, 0);
        return tell_most(errand);
    case RULE_TO_NON_NEGATIVE:
        keep_available(errand, 0);
        return tell_all(errand);
    case RULE_TO_AVAILABLE:
        keep_available(errand, INT8_MIN);
        return tell_all(errand);
    case RULE_AS_BARE:
        errand->note->is_fallback = true;
        return false;
    }
    return true;
}

static void step_route(struct errand *errand)
{
    struct route_note *note = errand->note;
    ASSERT(note->stanza_type < STANZA_TYPE_COUNT);
    const struct rules *rules = &rules_of[note->stanza_type];
    find_sessions(errand);
    if (note->misses > MISSES_MAX)
        errand->count = 0;
    if (note->resource_size != 0 && !note->is_fallback) {
        if (rule_apply(errand, rules->full) || rule_apply(errand, rules->full_none))
            return;
    }
    if (!rule_apply(errand, rules->bare))
        rule_apply(errand, rules->bare_none);
}

/* ---- DELIVER, at the session's worker ---- */

static void step_deliver(struct errand *errand)
{
    struct router *router = errand->router;
    struct route_note *note = errand->note;
    uint32_t conn = find_conn(router, note, note->session);
    if (conn != POOL_NONE) {
        push_send(router, errand->actions, conn, note);
        return;
    }
    count(router, METRIC_ROUTE_MISSED);
    if (pool_find(router->pool, note->session) == POOL_NONE)
        tell_gone(errand, note->session);
    if (!note->may_return) {
        count(router, METRIC_ROUTE_DROP_GONE);
        return;
    }
    struct route_note *back = note_create_copy(router->heap, note);
    if (back != NULL) {
        back->kind = NOTE_ROUTE;
        back->to_worker = registry_home(note->hash, router->worker_count);
        back->misses++;
    }
    push_note(router, errand->actions, back);
}

/* ---- REGISTER, UNREGISTER and REPLACE ---- */

/* False when the heap refused to carry it. */
static bool close_session(struct errand *errand, struct handle session, enum stream_error error)
{
    struct router *router = errand->router;
    if (handle_worker(session) == router->worker) {
        uint32_t conn = find_conn(router, errand->note, session);
        if (conn != POOL_NONE)
            push_close(router, errand->actions, conn, error);
        else if (pool_find(router->pool, session) == POOL_NONE)
            tell_gone(errand, session);
        return true;
    }
    struct route_note *copy = note_create_copy(router->heap, errand->note);
    if (copy != NULL) {
        copy->kind = NOTE_REPLACE;
        copy->to_worker = handle_worker(session);
        copy->session = session;
        copy->stream_error = (uint8_t)error;
    }
    return push_note(router, errand->actions, copy);
}

/* The newest session of a full JID wins; but over the limit, the newest of the account loses. */
static void step_register(struct errand *errand)
{
    struct router *router = errand->router;
    const struct route_note *note = errand->note;
    struct registry_entry added = {
        .session = note->session,
        .resource_tag = registry_resource_tag(&router->key, note_resource(note)),
    };
    find_sessions(errand);
    uint32_t others = 0;
    bool has_replaced = true;
    for (uint32_t i = 0; i < errand->count; i++) {
        if (errand->entries[i].session.value == note->session.value)
            return;
        if (errand->entries[i].resource_tag == added.resource_tag)
            has_replaced &=
                close_session(errand, errand->entries[i].session, STREAM_ERROR_CONFLICT);
        else
            others++;
    }
    if (has_replaced && others < router->resources_max &&
        registry_add(router->registry, note->hash, &added) == ERROR_NONE)
        return;
    close_session(errand, note->session, STREAM_ERROR_RESOURCE_CONSTRAINT);
}

static void step_unregister(struct errand *errand)
{
    registry_remove(errand->router->registry, errand->note->hash, errand->note->session);
}

static void step_replace(struct errand *errand)
{
    uint32_t conn = find_conn(errand->router, errand->note, errand->note->session);
    if (conn != POOL_NONE)
        push_close(errand->router, errand->actions, conn,
                   (enum stream_error)errand->note->stream_error);
}

/* ---- PRESENCE and PROBE ---- */

static void probe(struct errand *errand, struct handle session, struct handle asking)
{
    struct router *router = errand->router;
    struct note_parts parts = {.local = note_local(errand->note),
                               .resource = note_resource(errand->note)};
    struct route_note *note = note_create(router->heap, NOTE_PROBE, &parts);
    if (note != NULL) {
        note->to_worker = handle_worker(session);
        note->hash = errand->note->hash;
        note->session = session;
        note->other = asking;
        note->is_fallback = !handle_is_none(asking);
    }
    push_note(router, errand->actions, note);
}

/* A newly available resource learns of the others (RFC 6121 4.2.2, 4.3). */
static void probe_others(struct errand *errand)
{
    struct handle asking = errand->note->session;
    for (uint32_t i = 0; i < errand->count; i++) {
        if (errand->entries[i].session.value != asking.value)
            probe(errand, errand->entries[i].session, asking);
    }
}

/* A session that was replaced goes after its successor, which bears the same name, came: whoever
 * hears the name is unavailable must hear again that it is not. */
static void probe_successors(struct errand *errand, uint8_t resource_tag)
{
    for (uint32_t i = 0; i < errand->count; i++) {
        if (errand->entries[i].resource_tag == resource_tag)
            probe(errand, errand->entries[i].session, HANDLE_NONE);
    }
}

/* To all available resources, the sender's among them (RFC 6121 4.2.2, 4.4.2, 4.5.2); or, as the
 * answer to a probe, to the one that asked. Answers come through home like everything a session
 * says of itself, so that nobody hears an older presence after a newer one. */
static void step_presence(struct errand *errand)
{
    struct router *router = errand->router;
    struct route_note *note = errand->note;
    struct registry_entry now = {
        .session = note->session, .priority = note->priority, .is_available = note->is_available};
    note->is_fallback = true; /* for the account, whatever the resource */
    if (!handle_is_none(note->other)) {
        tell(errand, note->other, MISS_IS_LOST);
        return;
    }
    find_sessions(errand);
    bool was_available = false;
    for (uint32_t i = 0; i < errand->count; i++) {
        if (errand->entries[i].session.value == now.session.value)
            was_available = errand->entries[i].is_available;
    }
    bool is_known = registry_update(router->registry, note->hash, &now);
    if (!is_known || (!was_available && !now.is_available)) {
        count(router, METRIC_ROUTE_DROP_RULE);
        return;
    }
    uint8_t tag = registry_resource_tag(&router->key, note_resource(note));
    find_sessions(errand);
    keep_available(errand, INT8_MIN);
    tell_all(errand);
    if (!now.is_available) {
        tell(errand, now.session, MISS_IS_LOST);
        probe_successors(errand, tag);
    } else if (!was_available) {
        probe_others(errand);
    }
}

/* The presence of that session as its client last sent it. */
static struct bytes presence_text(struct router *router, uint32_t conn, struct writer *into)
{
    const struct session_row *row = session_at(router->sessions, conn);
    if (row->presence_text != BLOB_NONE && router->blobs != NULL)
        return blob_bytes(router->blobs, row->presence_text);
    struct jid own = {session_local(router->sessions, conn), router->domain,
                      session_resource(router->sessions, conn)};
    struct presence presence = {.from = own,
                                .to = jid_bare(&own),
                                .type = STANZA_PRESENCE_AVAILABLE,
                                .show = (enum presence_show)row->show,
                                .priority = row->priority};
    presence_write(into, &presence);
    return writer_bytes(into);
}

static void step_probe(struct errand *errand)
{
    struct router *router = errand->router;
    uint32_t conn = find_conn(router, errand->note, errand->note->session);
    if (conn == POOL_NONE || (session_at(router->sessions, conn)->flags & SESSION_AVAILABLE) == 0)
        return; /* it left meanwhile, and that is told */
    size_t size = STANZA_REPLY_BYTES_MAX(0);
    uint8_t *octets = heap_take(router->heap, size);
    if (octets == NULL) {
        count(router, METRIC_ROUTE_DROP_NO_MEMORY);
        return;
    }
    struct writer into = writer_of(octets, size);
    struct bytes text = presence_text(router, conn, &into);
    struct route_note *answer = route_presence(router, conn, text);
    if (answer != NULL)
        answer->other = errand->note->other;
    push_note(router, errand->actions, answer);
    heap_give(router->heap, octets);
}

/* ---- entry ---- */

void route_step(struct router *router, struct route_note *note, struct route_actions *actions)
{
    ASSERT(note->to_worker == router->worker);
    struct errand errand;
    errand.router = router;
    errand.note = note;
    errand.actions = actions;
    errand.count = 0;
    switch ((enum note_kind)note->kind) {
    case NOTE_ROUTE:
        step_route(&errand);
        break;
    case NOTE_DELIVER:
        step_deliver(&errand);
        break;
    case NOTE_REGISTER:
        step_register(&errand);
        break;
    case NOTE_UNREGISTER:
        step_unregister(&errand);
        break;
    case NOTE_PRESENCE:
        step_presence(&errand);
        break;
    case NOTE_REPLACE:
        step_replace(&errand);
        break;
    case NOTE_PROBE:
        step_probe(&errand);
        break;
    case NOTE_SERVER:
        break; /* the server's own never come here */
    }
}

struct route_note *route_stanza(struct router *router, const struct jid *to, const struct jid *from,
                                const struct stanza *stanza, struct bytes text)
{
    ASSERT(!jid_is_domain(to));
    uint8_t sender[JID_SIZE_MAX];
    struct writer sender_writer = writer_of(sender, sizeof sender);
    jid_write(&sender_writer, from);
    struct note_parts parts = {.local = to->local,
                               .resource = to->resource,
                               .from = writer_bytes(&sender_writer),
                               .id = stanza->id,
                               .text = text};
    struct route_note *note = note_create(router->heap, NOTE_ROUTE, &parts);
    if (note == NULL)
        return NULL;
    note->stanza_kind = (uint8_t)stanza->kind;
    note->stanza_type = (uint8_t)stanza->type;
    note->hash = registry_hash(&router->key, to->local);
    note->to_worker = registry_home(note->hash, router->worker_count);
    return note;
}

/* A note of session `conn` to its home. */
static struct route_note *session_note(struct router *router, enum note_kind kind, uint32_t conn,
                                       struct bytes text)
{
    struct note_parts parts = {.local = session_local(router->sessions, conn),
                               .resource = session_resource(router->sessions, conn),
                               .text = text};
    struct route_note *note = note_create(router->heap, kind, &parts);
    if (note == NULL)
        return NULL;
    note->hash = registry_hash(&router->key, parts.local);
    note->to_worker = registry_home(note->hash, router->worker_count);
    note->session = pool_handle(router->pool, conn);
    return note;
}

struct route_note *route_register(struct router *router, uint32_t conn)
{
    return session_note(router, NOTE_REGISTER, conn, BYTES(""));
}

struct route_note *route_unregister(struct router *router, uint32_t conn)
{
    return session_note(router, NOTE_UNREGISTER, conn, BYTES(""));
}

struct route_note *route_presence(struct router *router, uint32_t conn, struct bytes text)
{
    const struct session_row *row = session_at(router->sessions, conn);
    struct route_note *note = session_note(router, NOTE_PRESENCE, conn, text);
    if (note == NULL)
        return NULL;
    note->stanza_kind = STANZA_PRESENCE;
    note->is_available = (row->flags & SESSION_AVAILABLE) != 0;
    note->stanza_type =
        note->is_available ? STANZA_PRESENCE_AVAILABLE : STANZA_PRESENCE_UNAVAILABLE;
    note->priority = row->priority;
    note->show = row->show;
    return note;
}
