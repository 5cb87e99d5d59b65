/* SPDX-License-Identifier: Apache-2.0
 *
 * The handler table and the rules around it (RFC 6120 8.2.3, 10.3.3). A new extension is a file
 * with its functions and a row here; disco#info tells it by itself. */
#include "iq.h"

#include "delivery.h"
#include "stanza_read.h"

static const struct iq_handler handlers[] = {
    /* namespace, element, bits, function */
    {XML_NS_BIND, "bind", IQ_SET | IQ_AT_SERVER | IQ_WHEN_REOPENED | IQ_WHEN_BOUND, bind_answer},
    {XML_NS_SESSION, "session", IQ_SET | IQ_AT_SERVER | IQ_WHEN_BOUND, session_answer},
    {XML_NS_ROSTER, "query", IQ_GET | IQ_AT_ACCOUNT | IQ_WHEN_BOUND, roster_answer},
    {XML_NS_VCARD, "vCard", IQ_GET | IQ_AT_ACCOUNT | IQ_WHEN_BOUND, vcard_answer},
    {XML_NS_DISCO_INFO, "query",
     IQ_GET | IQ_AT_SERVER | IQ_AT_ACCOUNT | IQ_WHEN_BOUND | IQ_IS_FEATURE, disco_answer_info},
    {XML_NS_DISCO_ITEMS, "query",
     IQ_GET | IQ_AT_SERVER | IQ_AT_ACCOUNT | IQ_WHEN_BOUND | IQ_IS_FEATURE, disco_answer_items},
    {XML_NS_REGISTER, "query", IQ_GET | IQ_AT_SERVER | IQ_WHEN_OPEN | IQ_WHEN_BOUND | IQ_IS_FEATURE,
     register_answer_get},
    {XML_NS_REGISTER, "query", IQ_SET | IQ_AT_SERVER | IQ_WHEN_OPEN | IQ_WHEN_BOUND,
     register_answer_set},
    {XML_NS_IQ_VERSION, "query", IQ_GET | IQ_AT_SERVER | IQ_WHEN_BOUND | IQ_IS_FEATURE,
     version_answer},
    {XML_NS_PING, "ping", IQ_GET | IQ_AT_SERVER | IQ_AT_ACCOUNT | IQ_WHEN_BOUND | IQ_IS_FEATURE,
     ping_answer},
};

static bool is_offered(const struct xmpp *xmpp, const struct iq_handler *handler)
{
    return handler->ns != XML_NS_REGISTER || xmpp->config->xmpp_registration;
}

const struct iq_handler *iq_handler_next(const struct xmpp *xmpp, const struct iq_handler *handler)
{
    handler = handler == NULL ? handlers : handler + 1;
    for (; handler < handlers + ARRAY_COUNT(handlers); handler++)
        if (is_offered(xmpp, handler))
            return handler;
    return NULL;
}

static uint32_t state_bit(const struct stream *stream)
{
    if (stream->state == STREAM_BOUND)
        return IQ_WHEN_BOUND;
    return stream->state == STREAM_REOPENED ? IQ_WHEN_REOPENED : IQ_WHEN_OPEN;
}

static uint32_t place_bits(const struct stanza *stanza)
{
    if (!stanza->has_to)
        return IQ_AT_SERVER | IQ_AT_ACCOUNT;
    return jid_is_domain(&stanza->to) ? IQ_AT_SERVER : IQ_AT_ACCOUNT;
}

/* A handler answers its method, in its states and places. */
static bool is_for(const struct iq *iq, const struct iq_handler *handler)
{
    const struct step *step = iq->step;
    uint32_t method = iq->stanza->type == STANZA_IQ_GET ? IQ_GET : IQ_SET;
    return (handler->bits & method) != 0 && (handler->bits & state_bit(step->stream)) != 0 &&
           (handler->bits & place_bits(iq->stanza)) != 0 &&
           xml_name_is(step->item, iq->payload, handler->ns, bytes_of_string(handler->element));
}

static const struct iq_handler *find(const struct iq *iq)
{
    const struct iq_handler *handler = iq_handler_next(iq->step->xmpp, NULL);
    while (handler != NULL && !is_for(iq, handler))
        handler = iq_handler_next(iq->step->xmpp, handler);
    return handler;
}

static void answer(const struct iq *iq)
{
    const struct iq_handler *handler = find(iq);
    enum stanza_error error =
        handler == NULL ? STANZA_ERROR_SERVICE_UNAVAILABLE : handler->answer(iq);
    if (error != STANZA_ERROR_NONE)
        delivery_refuse(iq->step, iq->stanza, error);
}

void iq_step(struct step *step, const struct stanza *stanza)
{
    ASSERT(stream_is_bound(step->stream));
    if (stanza->type != STANZA_IQ_GET && stanza->type != STANZA_IQ_SET) {
        /* The server asks clients nothing of which it awaits the answer. */
        step_count(step, METRIC_XMPP_STANZAS_DROPPED);
        return;
    }
    struct iq iq = {step, stanza, xml_child(step->item, xml_root(step->item))};
    answer(&iq);
}

/* Before binding only IQs in a namespace that some row speaks in this state may be sent. Rows that
 * are turned off count too: clients ask for registration without being told of it. */
static bool is_allowed_unbound(const struct step *step, const struct stanza *stanza,
                               const struct xml_node *payload)
{
    if (stanza->kind != STANZA_IQ || payload == NULL)
        return false;
    if (stanza->type != STANZA_IQ_GET && stanza->type != STANZA_IQ_SET)
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(handlers); i++)
        if ((handlers[i].bits & state_bit(step->stream)) != 0 && payload->ns == handlers[i].ns)
            return true;
    return false;
}

void iq_step_unbound(struct step *step)
{
    struct stanza stanza;
    enum stanza_fault fault = stanza_read(step, &stanza);
    const struct xml_node *payload = xml_child(step->item, xml_root(step->item));
    if (fault != STANZA_FAULT_NONE || !is_allowed_unbound(step, &stanza, payload)) {
        stream_fail(step, STREAM_ERROR_NOT_AUTHORIZED, "");
        return;
    }
    struct iq iq = {step, &stanza, payload};
    bool is_to_us = !stanza.has_to || (jid_is_domain(&stanza.to) && jid_is_bare(&stanza.to) &&
                                       bytes_equal(stanza.to.domain, step->xmpp->domain));
    if (!is_to_us)
        stream_fail(step, STREAM_ERROR_NOT_AUTHORIZED, "");
    else if (stanza.id.size == 0 || xml_next(step->item, payload) != NULL)
        delivery_refuse(step, &stanza, STANZA_ERROR_BAD_REQUEST);
    else
        answer(&iq);
}

/* ---- for handlers ---- */

static void write_result(struct writer *out, const struct stanza *stanza)
{
    write_string(out, "<iq type='result'");
    stanza_write_id(out, stanza->id);
    stanza_write_address(out, "from", &stanza->to);
    stanza_write_address(out, "to", &stanza->from);
}

void iq_result_begin(const struct iq *iq)
{
    write_result(iq->step->out, iq->stanza);
    write_u8(iq->step->out, '>');
}

void iq_result_end(const struct iq *iq)
{
    write_string(iq->step->out, "</iq>");
}

void iq_result_empty(const struct iq *iq)
{
    write_result(iq->step->out, iq->stanza);
    write_string(iq->step->out, "/>");
}

bool iq_keep_id(const struct iq *iq)
{
    struct negotiation *row = iq->step->negotiation;
    ASSERT(row != NULL);
    if (iq->stanza->id.size > sizeof(row->id))
        return false;
    memcpy(row->id, iq->stanza->id.at, iq->stanza->id.size);
    row->id_size = (uint16_t)iq->stanza->id.size;
    row->is_to_domain = iq->stanza->has_to;
    return true;
}

struct stanza iq_kept(const struct step *step)
{
    const struct negotiation *row = step->negotiation;
    ASSERT(row != NULL);
    struct stanza kept = {
        .kind = STANZA_IQ, .type = STANZA_IQ_SET, .id = bytes_of(row->id, row->id_size)};
    if (row->is_to_domain)
        kept.to.domain = step->xmpp->domain;
    return kept;
}
