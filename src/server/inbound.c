/* SPDX-License-Identifier: Apache-2.0
 *
 * The road in, top to bottom:
 *
 *   nic_receive -> net_input -> events -> octets of a stream -> xml_read -> xmpp_step -> effects
 *
 * Octets are read where they lie in the packet. Only what is left of a stanza that is not whole is
 * copied (partial.c), together with the reader's state, so nothing is read twice. While a stream
 * waits for an answer (a look-up, a password) its octets are kept back the same way, up to the
 * size of one stanza. */
#include "worker.h"

static void stream_accepted(struct worker *worker, uint32_t conn)
{
    session_open(&worker->sessions, conn, worker->now_ns);
    session_at(&worker->sessions, conn)->partial = PARTIAL_NONE;
    deadline_set(&worker->deadlines, conn, worker->now_ns,
                 (uint32_t)(worker->config->xmpp_auth_time / NS_PER_SECOND));
    metric_count(worker->metrics, METRIC_STREAMS_ACCEPTED);
    if (worker->drain != NULL)
        effects_close(worker, conn, STREAM_ERROR_SYSTEM_SHUTDOWN);
}

static bool is_over(const struct session_row *row)
{
    return (row->flags & SESSION_CLOSING) != 0;
}

struct xmpp_peer inbound_peer(struct worker *worker, uint32_t conn)
{
    struct xmpp_peer peer = {.stream = &session_at(&worker->sessions, conn)->stream,
                             .conn = net_handle(worker->net, conn),
                             .now_ns = worker->now_ns};
    if ((session_at(&worker->sessions, conn)->flags & SESSION_BOUND) != 0)
        peer.own = (struct jid){session_local(&worker->sessions, conn), xmpp_domain(worker->xmpp),
                                session_resource(&worker->sessions, conn)};
    return peer;
}

/* Reads items until the octets end, the stream waits or closes. Returns the octets used up. */
static uint32_t items_read(struct worker *worker, uint32_t conn, struct bytes octets)
{
    struct stream *stream = &session_at(&worker->sessions, conn)->stream;
    struct xml_input input = xml_input_of(octets);
    struct xml_item item;
    struct xmpp_output output;
    for (;;) {
        const struct xml_limits *limits = xmpp_limits(worker->xmpp, stream);
        enum xml_result read =
            stream_awaits_header(stream)
                ? xml_read_header(worker->reader, limits, &input, &item)
                : xml_read(worker->reader, stream_scope(stream), limits, &input, &item);
        if (read == XML_NEED_MORE)
            return input.at;
        struct xmpp_peer peer = inbound_peer(worker, conn);
        enum xmpp_result result = xmpp_step(worker->xmpp, &peer, read, &item, &output);
        result = effects_apply(worker, conn, result, &output);
        if (result == XMPP_CLOSE || is_over(session_at(&worker->sessions, conn)))
            return (uint32_t)octets.size;
        if (result == XMPP_WAIT)
            return input.at;
    }
}

/* Borrows a partial for what is left; sheds the stream when that is refused. */
static void keep(struct worker *worker, uint32_t conn, struct bytes left)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    if (row->partial == PARTIAL_NONE)
        row->partial = partial_take(&worker->partials);
    if (row->partial == PARTIAL_NONE ||
        partial_append(&worker->partials, row->partial, left) != ERROR_NONE) {
        metric_count(worker->metrics, METRIC_STREAMS_REFUSED_PARTIAL);
        effects_close(worker, conn, STREAM_ERROR_RESOURCE_CONSTRAINT);
    }
}

/* The reader is shared by all streams: what it knows of an unfinished item moves out. */
static void reader_put_away(struct worker *worker, uint32_t conn)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    if (!xml_reader_is_midway(worker->reader))
        return;
    void *state = NULL;
    if (!is_over(row) && row->partial != PARTIAL_NONE)
        state = partial_reader_state(&worker->partials, row->partial,
                                     xml_reader_save_bytes(worker->reader));
    if (state != NULL) {
        xml_reader_save(worker->reader, state);
        return;
    }
    /* Without the state the item is read again from its start: slower, not wrong. */
    xml_reader_reset(worker->reader);
}

static void partial_return(struct worker *worker, uint32_t conn)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    if (row->partial == PARTIAL_NONE)
        return;
    partial_give(&worker->partials, row->partial);
    row->partial = PARTIAL_NONE;
}

static void partial_read(struct worker *worker, uint32_t conn)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    struct partial *partial = &worker->partials.rows[row->partial];
    if (partial->reader_state != NULL) {
        xml_reader_resume(worker->reader, partial->reader_state);
        partial_forget_reader(&worker->partials, row->partial);
    }
    uint32_t used = items_read(worker, conn, partial_bytes(&worker->partials, row->partial));
    partial_drop(&worker->partials, row->partial, used);
    reader_put_away(worker, conn);
    if (is_over(row) || partial->size == 0)
        partial_return(worker, conn);
}

/* A waiting stream may send on, but no more than one stanza's worth. */
static bool is_waiting_too_long(struct worker *worker, const struct session_row *row)
{
    const struct partial *partial = &worker->partials.rows[row->partial];
    return partial->size > xmpp_limits(worker->xmpp, &row->stream)->stanza_bytes_max;
}

static void octets_arrived(struct worker *worker, uint32_t conn, struct bytes octets)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    if (is_over(row))
        return;
    if (worker->config->xmpp_idle_time != 0 && stream_is_bound(&row->stream))
        deadline_set(&worker->deadlines, conn, worker->now_ns,
                     (uint32_t)(worker->config->xmpp_idle_time / NS_PER_SECOND));
    if (row->partial == PARTIAL_NONE && !stream_is_waiting(&row->stream)) {
        uint32_t used = items_read(worker, conn, octets);
        if (used < octets.size && !is_over(row))
            keep(worker, conn, bytes_from(octets, used));
        reader_put_away(worker, conn);
        if (is_over(row))
            partial_return(worker, conn);
        return;
    }
    keep(worker, conn, octets);
    if (is_over(row))
        partial_return(worker, conn);
    else if (!stream_is_waiting(&row->stream))
        partial_read(worker, conn);
    else if (is_waiting_too_long(worker, row))
        effects_close(worker, conn, STREAM_ERROR_POLICY_VIOLATION);
}

void inbound_resume(struct worker *worker, uint32_t conn)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    if (is_over(row))
        partial_return(worker, conn);
    else if (row->partial != PARTIAL_NONE && !stream_is_waiting(&row->stream))
        partial_read(worker, conn);
}

static void event_carry_out(struct worker *worker, const struct net_event *event)
{
    switch (event->kind) {
    case NET_ACCEPTED:
        stream_accepted(worker, event->conn);
        break;
    case NET_DATA:
        octets_arrived(worker, event->conn, event->octets);
        break;
    case NET_END:
        effects_close(worker, event->conn, STREAM_ERROR_NONE);
        tcp_close(worker->net, event->conn);
        break;
    case NET_CLOSED:
        effects_closed(worker, event->conn);
        break;
    case NET_CONNECTED:
    case NET_SENT:
        break;
    }
}

void inbound_events(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->events->count; i++)
        event_carry_out(worker, &worker->events->items[i]);
    worker->events->count = 0;
}

bool inbound_packets(struct worker *worker)
{
    struct packet packets[NIC_BURST_MAX];
    uint32_t count = nic_receive(worker->nic, packets, NIC_BURST_MAX);
    if (count == 0)
        return false;
    uint32_t taken = 0;
    while (taken < count) {
        uint32_t step =
            net_input(worker->net, packets + taken, count - taken, worker->now_ns, worker->events);
        ASSERT(step > 0);
        taken += step;
        inbound_events(worker);
    }
    return true;
}

/* ---- answers from store and password threads ---- */

static enum error check_outcome(const struct stretch_job *job)
{
    return job->is_match ? ERROR_NONE : ERROR_INVALID;
}

/* Keys were made for a new account: now it can be stored. */
static bool account_store(struct worker *worker, const struct stretch_job *job)
{
    struct store *store = server_store(worker->server);
    struct store_request *request;
    if (store_request_create(store, STORE_ACCOUNT_CREATE, &request) != ERROR_NONE)
        return false;
    request->token_handle = job->token_handle;
    request->account = job->account;
    if (store_submit(worker->store, &request) == ERROR_NONE)
        return true;
    store_request_destroy(store, &request);
    return false;
}

static void stretch_answered(struct worker *worker, const struct stretch_job *job)
{
    uint32_t conn = net_find(worker->net, (struct handle){job->token_handle});
    if (job->is_skipped)
        metric_count(worker->metrics, METRIC_PASSWORDS_ABANDONED);
    if (conn == POOL_NONE || is_over(session_at(&worker->sessions, conn)))
        return;
    struct xmpp_peer peer = inbound_peer(worker, conn);
    struct xmpp_output output;
    enum xmpp_result result;
    if (job->kind == STRETCH_CHECK) {
        result = xmpp_password_checked(worker->xmpp, &peer, check_outcome(job), &output);
    } else {
        if (job->error == ERROR_NONE && account_store(worker, job))
            return;
        result = xmpp_account_created(worker->xmpp, &peer, ERROR_UNAVAILABLE, &output);
    }
    effects_apply(worker, conn, result, &output);
    inbound_resume(worker, conn);
}

/* Perhaps read before a change of the account that this worker was told of meanwhile. */
static bool is_doubtful(const struct worker *worker, const struct store_request *request)
{
    return request->kind == STORE_ACCOUNT_GET && request->error == ERROR_NONE &&
           changes_since(&worker->changes, request->token_word, request->account.number);
}

static void store_answered(struct worker *worker, const struct store_request *request)
{
    uint32_t conn = net_find(worker->net, (struct handle){request->token_handle});
    if (conn == POOL_NONE || is_over(session_at(&worker->sessions, conn)))
        return;
    enum error error = request->error;
    if (is_doubtful(worker, request)) {
        /* Asked once more, it is read after the change. */
        if (effects_ask_account(worker, conn, account_local(&request->account)))
            return;
        error = ERROR_UNAVAILABLE;
    }
    struct xmpp_peer peer = inbound_peer(worker, conn);
    struct xmpp_output output;
    enum xmpp_result result;
    if (request->kind == STORE_ACCOUNT_GET)
        result = xmpp_account_found(worker->xmpp, &peer, error, &request->account, &output);
    else
        result = xmpp_account_created(worker->xmpp, &peer, error, &output);
    effects_apply(worker, conn, result, &output);
    inbound_resume(worker, conn);
}

bool inbound_answers(struct worker *worker)
{
    bool is_busy = false;
    struct store_request *request;
    while ((request = store_port_take(worker->store)) != NULL) {
        store_answered(worker, request);
        store_request_destroy(server_store(worker->server), &request);
        is_busy = true;
    }
    struct stretch_job *job;
    while ((job = stretch_take_done(&worker->stretch)) != NULL) {
        stretch_answered(worker, job);
        stretch_job_destroy(server_stretch(worker->server), &job);
        is_busy = true;
    }
    return is_busy;
}

/* ---- deadlines ---- */

static void deadline_passed(struct worker *worker, uint32_t conn)
{
    if (!net_is_live(worker->net, conn))
        return;
    struct session_row *row = session_at(&worker->sessions, conn);
    if (is_over(row)) {
        metric_count(worker->metrics, METRIC_STREAMS_LINGERED);
        tcp_abort(worker->net, conn);
        return;
    }
    if (!stream_is_bound(&row->stream))
        metric_count(worker->metrics, METRIC_STREAMS_AUTH_TIMEOUT);
    else
        metric_count(worker->metrics, METRIC_STREAMS_IDLE_TIMEOUT);
    effects_close(worker, conn, STREAM_ERROR_CONNECTION_TIMEOUT);
}

#define SWEEP_EVERY_NS (100 * NS_PER_MS)
#define SWEEP_EXPIRED_MAX 256u

/* A tenth of the rows ten times a second: a deadline passes at most a second late, and a sweep of
 * everyone at once never holds up a turn. */
void inbound_deadlines(struct worker *worker)
{
    if (worker->now_ns < worker->sweep_at_ns)
        return;
    uint32_t expired[SWEEP_EXPIRED_MAX];
    uint32_t row_end = net_row_end(worker->net);
    uint32_t count = deadline_sweep(&worker->deadlines, worker->now_ns, row_end, row_end / 10 + 1,
                                    expired, SWEEP_EXPIRED_MAX);
    for (uint32_t i = 0; i < count; i++)
        deadline_passed(worker, expired[i]);
    /* More may be waiting when the list was full: go on in the next turn. */
    if (count < SWEEP_EXPIRED_MAX)
        worker->sweep_at_ns = worker->now_ns + SWEEP_EVERY_NS;
}
