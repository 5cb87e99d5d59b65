/* SPDX-License-Identifier: Apache-2.0
 *
 * Resource binding (RFC 6120 section 7) and the session request that RFC 3921 clients still send.
 * The machine says which resource is wanted; whether it may be had, and what becomes of an older
 * session of the same name, the session floor decides and answers. */
#include "bind.h"

#include "delivery.h"
#include "iq.h"

#define RESOURCE_RANDOM_SIZE 12u

/* The client's wish, prepared; made up when it has none (RFC 6120 7.6, 7.7). */
static enum stanza_error read_resource(const struct iq *iq, struct bytes *resource)
{
    struct step *step = iq->step;
    const struct xml_node *node =
        xml_child_named(step->item, iq->payload, XML_NS_BIND, BYTES("resource"));
    uint8_t room[JID_PART_SIZE_MAX];
    struct writer text = writer_of(room, sizeof(room));
    if (node != NULL)
        xml_text(step->item, node, &text);
    if (text.is_overflown)
        return STANZA_ERROR_BAD_REQUEST;
    if (text.size == 0) {
        uint8_t made[RESOURCE_RANDOM_SIZE];
        size_t start = step->names.size;
        random_fill(step->xmpp->random, made, sizeof(made));
        write_hex(&step->names, bytes_of(made, sizeof(made)));
        *resource = bytes_from(writer_bytes(&step->names), start);
        return STANZA_ERROR_NONE;
    }
    return jid_prepare_resource(writer_bytes(&text), &step->names, resource)
               ? STANZA_ERROR_BAD_REQUEST
               : STANZA_ERROR_NONE;
}

enum stanza_error bind_answer(const struct iq *iq)
{
    struct step *step = iq->step;
    if (stream_is_bound(step->stream))
        return STANZA_ERROR_NOT_ALLOWED; /* one resource a stream */
    struct bytes resource;
    enum stanza_error error = read_resource(iq, &resource);
    if (error == STANZA_ERROR_NONE && !iq_keep_id(iq))
        error = STANZA_ERROR_BAD_REQUEST;
    if (error != STANZA_ERROR_NONE)
        return error;
    step_wait(step, WAIT_BIND);
    struct effect *effect = step_effect(step, EFFECT_BIND);
    effect->bind.account = step->negotiation->account;
    effect->bind.local = negotiation_local(step->negotiation);
    effect->bind.resource = resource;
    return STANZA_ERROR_NONE;
}

void bind_done(struct step *step)
{
    struct stanza kept = iq_kept(step);
    struct iq iq = {step, &kept, NULL};
    const struct jid *own = &step->peer->own;
    ASSERT(own->resource.size != 0);
    ASSERT(bytes_equal(own->local, negotiation_local(step->negotiation)));
    iq_result_begin(&iq);
    write_string(step->out, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>");
    jid_write_xml(step->out, own);
    write_string(step->out, "</jid></bind>");
    iq_result_end(&iq);
    step_count(step, METRIC_XMPP_BOUND);
    step_trace(step, TRACE_BIND, step->negotiation->account, 0);
    step->stream->state = STREAM_BOUND;
    negotiation_give(step->xmpp, step->stream);
    step->negotiation = NULL;
}

void bind_refused(struct step *step, enum stanza_error error)
{
    struct stanza kept = iq_kept(step);
    delivery_refuse(step, &kept, error);
}

enum stanza_error session_answer(const struct iq *iq)
{
    iq_result_empty(iq);
    return STANZA_ERROR_NONE;
}
