/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stanza causes. xmpp_step says it in effects; here store, password threads, session,
 * router and TCP are told. An effect that asks gets its answer later (inbound_answers), or at once
 * when nobody could be asked: then the machine is fed the refusal and goes on. */
#include "worker.h"

static struct stretch_job *job_create(struct worker *worker, enum stretch_kind kind, uint32_t conn,
                                      struct bytes password)
{
    struct stretch_job *job = stretch_job_create(server_stretch(worker->server), kind, password);
    if (job == NULL)
        return NULL;
    job->port = &worker->stretch;
    job->token_handle = net_handle(worker->net, conn).value;
    job->rounds = (uint32_t)worker->config->scram_iterations;
    return job;
}

static bool job_give(struct worker *worker, struct stretch_job *job)
{
    if (job == NULL)
        return false;
    if (stretch_give(server_stretch(worker->server), &job))
        return true;
    metric_count(worker->metrics, METRIC_PASSWORD_QUEUE_FULL);
    stretch_job_destroy(server_stretch(worker->server), &job);
    return false;
}

bool effects_ask_account(struct worker *worker, uint32_t conn, struct bytes local)
{
    struct store *store = server_store(worker->server);
    struct store_request *request;
    if (store_request_create(store, STORE_ACCOUNT_GET, &request) != ERROR_NONE)
        return false;
    request->token_handle = net_handle(worker->net, conn).value;
    request->token_word = changes_mark(&worker->changes);
    /* For a name too long to be one, a name no account can have is looked up all the same, so that
     * timing tells nothing. */
    bool is_set = account_set_local(&request->account, local) ||
                  account_set_local(&request->account, BYTES("@"));
    if (is_set && store_submit(worker->store, &request) == ERROR_NONE)
        return true;
    store_request_destroy(store, &request);
    return false;
}

static bool account_create(struct worker *worker, uint32_t conn, const struct effect *effect)
{
    struct stretch_job *job =
        job_create(worker, STRETCH_MAKE, conn, effect->account_create.password);
    if (job == NULL)
        return false;
    job->account.is_enabled = true;
    job->account.created_at_ms = worker->wall_ms;
    if (!account_set_local(&job->account, effect->account_create.local)) {
        stretch_job_destroy(server_stretch(worker->server), &job);
        return false;
    }
    return job_give(worker, job);
}

static bool password_check(struct worker *worker, uint32_t conn, const struct effect *effect)
{
    struct stretch_job *job =
        job_create(worker, STRETCH_CHECK, conn, effect->password_check.password);
    if (job != NULL)
        job->account.scram[effect->password_check.keys.kind] = effect->password_check.keys;
    return job_give(worker, job);
}

static enum xmpp_result bind(struct worker *worker, uint32_t conn, const struct effect *effect,
                             struct xmpp_output *output)
{
    struct xmpp_peer peer = inbound_peer(worker, conn);
    if (session_bind(&worker->sessions, conn, effect->bind.account, effect->bind.local,
                     effect->bind.resource) != ERROR_NONE) {
        metric_count(worker->metrics, METRIC_STREAMS_REFUSED_BIND);
        return xmpp_bind_refused(worker->xmpp, &peer, STANZA_ERROR_RESOURCE_CONSTRAINT, output);
    }
    /* A session that its home does not know could not be found by anyone. */
    if (!deliver_give(worker, route_register(&worker->router, conn))) {
        session_unbind(&worker->sessions, conn);
        metric_count(worker->metrics, METRIC_STREAMS_REFUSED_BIND);
        return xmpp_bind_refused(worker->xmpp, &peer, STANZA_ERROR_RESOURCE_CONSTRAINT, output);
    }
    if (worker->config->xmpp_idle_time != 0)
        deadline_set(&worker->deadlines, conn, worker->now_ns,
                     (uint32_t)(worker->config->xmpp_idle_time / NS_PER_SECOND));
    else
        deadline_clear(&worker->deadlines, conn);
    tcp_set_liveness(worker->net, conn, NET_LIVENESS_KNOWN);
    peer = inbound_peer(worker, conn);
    return xmpp_bound(worker->xmpp, &peer, output);
}

static void presence_text_forget(struct worker *worker, struct session_row *row)
{
    if (row->presence_text != BLOB_NONE)
        blob_put(&worker->blobs, row->presence_text);
    row->presence_text = BLOB_NONE;
}

static void presence(struct worker *worker, uint32_t conn, const struct effect *effect)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    presence_text_forget(worker, row);
    bool is_available = effect->presence.type == STANZA_PRESENCE_AVAILABLE;
    /* A refused copy costs the others the status text at their next login, no more. */
    if (is_available && effect->presence.says_more)
        row->presence_text = blob_create_copy(&worker->blobs, effect->presence.rendered);
    session_set_presence(&worker->sessions, conn, is_available, effect->presence.priority,
                         (uint8_t)effect->presence.show);
    if (deliver_give(worker, route_presence(&worker->router, conn, effect->presence.rendered)))
        return;
    /* Its home would go on with an old presence: an end that the client sees is better. */
    row->flags |= SESSION_CLOSING;
    metric_count(worker->metrics, METRIC_STREAMS_SHED_MEMORY);
    tcp_abort(worker->net, conn);
}

/* FIN after what is queued; the peer has WORKER_LINGER_SECONDS to do the same. */
static void stream_end(struct worker *worker, uint32_t conn)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    row->flags |= SESSION_CLOSING;
    stretch_abandon(&worker->stretch, net_handle(worker->net, conn).value);
    tcp_close(worker->net, conn);
    deadline_set(&worker->deadlines, conn, worker->now_ns, WORKER_LINGER_SECONDS);
}

/* Carries one effect out. True when the machine was fed an answer at once: *result and *output are
 * then that answer's. */
static bool effect_carry_out(struct worker *worker, uint32_t conn, const struct effect *effect,
                             enum xmpp_result *result, struct xmpp_output *output)
{
    struct xmpp_peer peer = inbound_peer(worker, conn);
    switch (effect->kind) {
    case EFFECT_CLOSE:
        stream_end(worker, conn);
        return false;
    case EFFECT_ACCOUNT_GET:
        if (effects_ask_account(worker, conn, effect->account_get.local))
            return false;
        *result = xmpp_account_found(worker->xmpp, &peer, ERROR_UNAVAILABLE, NULL, output);
        return true;
    case EFFECT_PASSWORD_CHECK:
        if (password_check(worker, conn, effect))
            return false;
        *result = xmpp_password_checked(worker->xmpp, &peer, ERROR_UNAVAILABLE, output);
        return true;
    case EFFECT_ACCOUNT_CREATE:
        if (account_create(worker, conn, effect))
            return false;
        *result = xmpp_account_created(worker->xmpp, &peer, ERROR_UNAVAILABLE, output);
        return true;
    case EFFECT_BIND:
        *result = bind(worker, conn, effect, output);
        return true;
    case EFFECT_PRESENCE:
        presence(worker, conn, effect);
        return false;
    case EFFECT_ROUTE:
        deliver_give(worker, route_stanza(&worker->router, &effect->route.stanza.to,
                                          &effect->route.stanza.from, &effect->route.stanza,
                                          effect->route.rendered));
        return false;
    }
    return false;
}

enum xmpp_result effects_apply(struct worker *worker, uint32_t conn, enum xmpp_result result,
                               struct xmpp_output *output)
{
    for (;;) {
        if (output->out.size != 0)
            outbound_octets(worker, conn, writer_bytes(&output->out));
        bool is_answered = false;
        uint32_t count = output->effect_count;
        for (uint32_t i = 0; i < count && !is_answered; i++) {
            struct effect effect = output->effects[i];
            is_answered = effect_carry_out(worker, conn, &effect, &result, output);
            ASSERT(!is_answered || i + 1 == count);
        }
        if (!is_answered)
            return result;
    }
}

void effects_close(struct worker *worker, uint32_t conn, enum stream_error error)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    if ((row->flags & SESSION_CLOSING) != 0)
        return;
    struct xmpp_peer peer = inbound_peer(worker, conn);
    struct xmpp_output output;
    enum xmpp_result result = xmpp_close(worker->xmpp, &peer, error, &output);
    effects_apply(worker, conn, result, &output);
    if ((row->flags & SESSION_CLOSING) == 0)
        stream_end(worker, conn);
}

/* The others of the account learn that this resource is gone (RFC 6121 4.5.2). */
static void tell_unavailable(struct worker *worker, uint32_t conn)
{
    uint8_t text[2 * 6 * JID_SIZE_MAX + 256];
    struct writer writer = writer_of(text, sizeof text);
    struct jid own = inbound_peer(worker, conn).own;
    struct presence gone = {.from = own, .to = jid_bare(&own), .type = STANZA_PRESENCE_UNAVAILABLE};
    presence_write(&writer, &gone);
    if (writer.is_overflown)
        return;
    session_set_presence(&worker->sessions, conn, false, 0, PRESENCE_SHOW_NONE);
    deliver_give(worker, route_presence(&worker->router, conn, writer_bytes(&writer)));
}

void effects_closed(struct worker *worker, uint32_t conn)
{
    struct session_row *row = session_at(&worker->sessions, conn);
    if ((row->flags & SESSION_BOUND) != 0) {
        if ((row->flags & SESSION_AVAILABLE) != 0)
            tell_unavailable(worker, conn);
        deliver_give(worker, route_unregister(&worker->router, conn));
    }
    stretch_abandon(&worker->stretch, net_handle(worker->net, conn).value);
    presence_text_forget(worker, row);
    if (row->partial != PARTIAL_NONE)
        partial_give(&worker->partials, row->partial);
    row->partial = PARTIAL_NONE;
    xmpp_forget(worker->xmpp, &row->stream);
    deadline_clear(&worker->deadlines, conn);
    session_close(&worker->sessions, conn);
    metric_count(worker->metrics, METRIC_STREAMS_CLOSED);
}
