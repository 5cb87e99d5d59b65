/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of the machine: making it, one item in, the answers' way back, forgetting a stream.
 * What an item means depends on the state:
 *
 *   NEW, AUTHENTICATED   header                              -> stream.c
 *   OPEN                 SASL -> sasl.c, registration -> iq.c, anything else not-authorized
 *   REOPENED             bind -> iq.c, anything else not-authorized
 *   BOUND                stanzas                             -> delivery.c */
#include "stentor/xmpp.h"

#include "bind.h"
#include "delivery.h"
#include "iq.h"
#include "machine.h"
#include "register.h"
#include "sasl.h"

/* One reply with its addresses, features or an error, beside the octets of one item. */
#define SCRATCH_EXTRA_BYTES (STANZA_REPLY_BYTES_MAX(0) + 8192u)
#define ATTRIBUTES_MAX 64u
#define UNBOUND_NODES_MAX 64u
#define UNBOUND_DEPTH_MAX 8u

/* ---- making ---- */

static void set_limits(struct xmpp *xmpp)
{
    const struct config *config = xmpp->config;
    xmpp->limits_bound = (struct xml_limits){
        .stanza_bytes_max = (uint32_t)config->xmpp_stanza_bytes,
        .nodes_max = (uint32_t)config->xmpp_stanza_nodes,
        .depth_max = (uint32_t)config->xmpp_stanza_depth,
        .attributes_max = ATTRIBUTES_MAX,
    };
    xmpp->limits_unbound = xmpp->limits_bound;
    struct xml_limits *unbound = &xmpp->limits_unbound;
    if (unbound->stanza_bytes_max > config->xmpp_auth_bytes)
        unbound->stanza_bytes_max = (uint32_t)config->xmpp_auth_bytes;
    if (unbound->nodes_max > UNBOUND_NODES_MAX)
        unbound->nodes_max = UNBOUND_NODES_MAX;
    if (unbound->depth_max > UNBOUND_DEPTH_MAX)
        unbound->depth_max = UNBOUND_DEPTH_MAX;
}

static enum error set_domain(struct xmpp *xmpp)
{
    struct writer into = writer_of(xmpp->domain_text, sizeof(xmpp->domain_text));
    return jid_prepare_domain(bytes_of_string(xmpp->config->xmpp_domain), &into, &xmpp->domain)
               ? ERROR_INVALID
               : ERROR_NONE;
}

enum error xmpp_create(struct xmpp **xmpp_out, const struct xmpp_options *options)
{
    ASSERT(options->negotiation_count > 0);
    ASSERT(options->negotiation_count < POOL_NONE);
    *xmpp_out = NULL;
    struct xmpp *xmpp = heap_take_zeroed(options->heap, sizeof(*xmpp));
    if (xmpp == NULL)
        return ERROR_NO_MEMORY;
    xmpp->heap = options->heap;
    xmpp->config = options->config;
    xmpp->random = options->random;
    xmpp->metrics = options->metrics;
    xmpp->trace = options->trace;
    xmpp->digests = options->digests;
    xmpp->row_count = options->negotiation_count;
    memcpy(xmpp->install_key, options->install_key, sizeof(xmpp->install_key));
    set_limits(xmpp);
    xmpp->scratch_bytes = xmpp->limits_bound.stanza_bytes_max + SCRATCH_EXTRA_BYTES;
    xmpp->out_scratch = heap_take(xmpp->heap, xmpp->scratch_bytes);
    xmpp->routed_scratch = heap_take(xmpp->heap, xmpp->scratch_bytes);
    xmpp->rows = heap_take(xmpp->heap, sizeof(*xmpp->rows) * xmpp->row_count);
    enum error error = ERROR_NO_MEMORY;
    if (xmpp->out_scratch != NULL && xmpp->routed_scratch != NULL && xmpp->rows != NULL)
        error = set_domain(xmpp);
    if (error) {
        xmpp_destroy(xmpp);
        return error;
    }
    *xmpp_out = xmpp;
    return ERROR_NONE;
}

void xmpp_destroy(struct xmpp *xmpp)
{
    if (xmpp == NULL)
        return;
    struct heap *heap = xmpp->heap;
    if (xmpp->rows != NULL)
        bytes_wipe(xmpp->rows, sizeof(*xmpp->rows) * xmpp->row_high_water);
    heap_give(heap, xmpp->rows);
    heap_give(heap, xmpp->routed_scratch);
    heap_give(heap, xmpp->out_scratch);
    bytes_wipe(xmpp->install_key, sizeof(xmpp->install_key));
    heap_give(heap, xmpp);
}

struct bytes xmpp_domain(const struct xmpp *xmpp)
{
    return xmpp->domain;
}

uint32_t xmpp_negotiation_count(const struct xmpp *xmpp)
{
    return xmpp->row_used;
}

const struct xml_limits *xmpp_limits(const struct xmpp *xmpp, const struct stream *stream)
{
    return stream_is_bound(stream) ? &xmpp->limits_bound : &xmpp->limits_unbound;
}

const struct xml_limits *xmpp_limits_max(const struct xmpp *xmpp)
{
    return &xmpp->limits_bound;
}

/* ---- a step ---- */

struct effect *step_effect(struct step *step, enum effect_kind kind)
{
    struct xmpp_output *output = step->output;
    ASSERT(output->effect_count < XMPP_EFFECTS_MAX);
    struct effect *effect = &output->effects[output->effect_count++];
    memset(effect, 0, sizeof(*effect));
    effect->kind = kind;
    return effect;
}

void step_count(struct step *step, enum metric metric)
{
    metric_count(step->xmpp->metrics, metric);
}

void step_trace(struct step *step, enum trace_kind kind, uint32_t a, uint32_t b)
{
    if (step->xmpp->trace != NULL)
        trace_add(step->xmpp->trace, step->peer->now_ns, step->peer->conn, kind, a, b);
}

void step_wait(struct step *step, enum negotiation_wait wait)
{
    ASSERT(step->negotiation->wait == WAIT_NONE);
    step->negotiation->wait = (uint8_t)wait;
    step->stream->flags |= STREAM_IS_WAITING;
}

static struct step step_begin(struct xmpp *xmpp, const struct xmpp_peer *peer,
                              const struct xml_item *item, struct xmpp_output *output)
{
    output->out = writer_of(xmpp->out_scratch, xmpp->scratch_bytes);
    output->effect_count = 0;
    return (struct step){
        .xmpp = xmpp,
        .peer = peer,
        .stream = peer->stream,
        .negotiation = negotiation_find(xmpp, peer->stream),
        .item = item,
        .output = output,
        .out = &output->out,
        .routed = writer_of(xmpp->routed_scratch, xmpp->scratch_bytes),
        .names = writer_of(xmpp->names_scratch, sizeof(xmpp->names_scratch)),
    };
}

static enum xmpp_result step_result(const struct step *step)
{
    ASSERT(!step->out->is_overflown); /* out_scratch holds any one reply */
    if (stream_is_closing(step->stream))
        return XMPP_CLOSE;
    return stream_is_waiting(step->stream) ? XMPP_WAIT : XMPP_GO_ON;
}

/* ---- items ---- */

static void step_unbound(struct step *step)
{
    const struct xml_node *root = xml_root(step->item);
    if (root->ns == XML_NS_SASL && step->stream->state == STREAM_OPEN) {
        sasl_step(step);
    } else if (xml_name_is(step->item, root, XML_NS_TLS, BYTES("starttls"))) {
        /* RFC 6120 5.4.2.2: not offered, so it fails and the stream ends. */
        write_string(step->out, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        stream_end(step);
    } else {
        iq_step_unbound(step);
    }
}

static void step_stanza(struct step *step)
{
    if (xml_name_is(step->item, xml_root(step->item), XML_NS_STREAMS, BYTES("error"))) {
        step_trace(step, TRACE_STREAM_ERROR, 0, 1);
        stream_end(step); /* RFC 6120 4.9.1.1: its sender closes the stream */
    } else if (stream_is_bound(step->stream)) {
        delivery_step(step);
    } else {
        step_unbound(step);
    }
}

/* RFC 6120 13.12: what a stranger may send in all is bounded. */
static bool is_within_budget(struct step *step)
{
    struct negotiation *row = step->negotiation;
    if (row == NULL)
        return true;
    uint64_t bytes = (uint64_t)row->bytes + step->item->size;
    row->bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
    return bytes <= step->xmpp->config->xmpp_auth_bytes;
}

static void step_item(struct step *step)
{
    if (!is_within_budget(step)) {
        stream_fail(step, STREAM_ERROR_POLICY_VIOLATION, "too much before authentication");
        return;
    }
    switch (step->item->kind) {
    case XML_ITEM_HEADER:
        ASSERT(stream_awaits_header(step->stream));
        stream_step_header(step);
        break;
    case XML_ITEM_STANZA:
        ASSERT(!stream_awaits_header(step->stream));
        step_stanza(step);
        break;
    case XML_ITEM_STREAM_END:
        stream_end(step);
        break;
    case XML_ITEM_WHITESPACE: /* RFC 6120 4.6.1: a sign of life, nothing more */
    case XML_ITEM_NONE:
        break;
    }
}

enum xmpp_result xmpp_step(struct xmpp *xmpp, const struct xmpp_peer *peer, enum xml_result result,
                           const struct xml_item *item, struct xmpp_output *output)
{
    ASSERT(result != XML_NEED_MORE);
    ASSERT(!stream_is_waiting(peer->stream));
    struct step step = step_begin(xmpp, peer, item, output);
    if (stream_is_closing(peer->stream))
        return XMPP_CLOSE;
    if (result == XML_BAD)
        stream_fail(&step, stream_error_find(xml_fault_condition(item->fault)),
                    xml_fault_text(item->fault));
    else
        step_item(&step);
    return step_result(&step);
}

/* ---- answers ---- */

static struct step step_resume(struct xmpp *xmpp, const struct xmpp_peer *peer,
                               enum negotiation_wait wait, struct xmpp_output *output)
{
    struct step step = step_begin(xmpp, peer, NULL, output);
    ASSERT(stream_is_waiting(peer->stream));
    ASSERT(step.negotiation != NULL);
    ASSERT(step.negotiation->wait == (uint8_t)wait);
    step.negotiation->wait = WAIT_NONE;
    step.stream->flags &= (uint8_t)~STREAM_IS_WAITING;
    return step;
}

enum xmpp_result xmpp_account_found(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                    enum error error, const struct account *account,
                                    struct xmpp_output *output)
{
    ASSERT(error != ERROR_NONE || account != NULL);
    struct step step = step_resume(xmpp, peer, WAIT_ACCOUNT, output);
    sasl_account_found(&step, error, account);
    return step_result(&step);
}

enum xmpp_result xmpp_password_checked(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                       enum error error, struct xmpp_output *output)
{
    struct step step = step_resume(xmpp, peer, WAIT_PASSWORD, output);
    sasl_password_checked(&step, error);
    return step_result(&step);
}

enum xmpp_result xmpp_account_created(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                      enum error error, struct xmpp_output *output)
{
    struct step step = step_resume(xmpp, peer, WAIT_CREATE, output);
    register_done(&step, error);
    return step_result(&step);
}

enum xmpp_result xmpp_bound(struct xmpp *xmpp, const struct xmpp_peer *peer,
                            struct xmpp_output *output)
{
    struct step step = step_resume(xmpp, peer, WAIT_BIND, output);
    bind_done(&step);
    return step_result(&step);
}

enum xmpp_result xmpp_bind_refused(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                   enum stanza_error error, struct xmpp_output *output)
{
    struct step step = step_resume(xmpp, peer, WAIT_BIND, output);
    bind_refused(&step, error);
    return step_result(&step);
}

enum xmpp_result xmpp_account_changed(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                      uint32_t account, struct xmpp_output *output)
{
    ASSERT(account != ACCOUNT_NUMBER_NONE);
    struct step step = step_begin(xmpp, peer, NULL, output);
    if (step.negotiation != NULL && step.negotiation->account == account)
        sasl_account_changed(&step);
    return step_result(&step);
}

/* ---- the end ---- */

enum xmpp_result xmpp_close(struct xmpp *xmpp, const struct xmpp_peer *peer,
                            enum stream_error error, struct xmpp_output *output)
{
    struct step step = step_begin(xmpp, peer, NULL, output);
    if (stream_is_closing(peer->stream))
        return XMPP_CLOSE;
    if (error == STREAM_ERROR_NONE)
        stream_end(&step);
    else
        stream_fail(&step, error, "");
    return step_result(&step);
}

void xmpp_forget(struct xmpp *xmpp, struct stream *stream)
{
    negotiation_give(xmpp, stream);
    *stream = (struct stream){0};
}
