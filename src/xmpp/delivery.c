/* SPDX-License-Identifier: Apache-2.0
 *
 * First decision on a stanza of a bound client, by its address:
 *
 *   no `to`, own bare JID    presence: the session's own; iq: answered here; message: to oneself
 *   our domain               iq: answered here; others mean nothing to the server
 *   a user of our domain     EFFECT_ROUTE; but an iq get or set to a bare JID is for that user's
 *                            server, which is us
 *   any other domain         remote-server-not-found: we do not federate yet
 *
 * Subscriptions need a roster and are refused until there is one. */
#include "delivery.h"

#include "iq.h"
#include "stanza_read.h"
#include "stentor/text.h"

void delivery_refuse(struct step *step, const struct stanza *stanza, enum stanza_error error)
{
    if (!stanza_may_bounce(stanza)) {
        step_count(step, METRIC_XMPP_STANZAS_DROPPED);
        return;
    }
    step_count(step, METRIC_XMPP_STANZA_ERRORS);
    stanza_write_error(step->out, stanza, error);
}

static void route(struct step *step, const struct stanza *stanza)
{
    struct bytes rendered = stanza_stamp(step, stanza);
    struct effect *effect = step_effect(step, EFFECT_ROUTE);
    effect->route.stanza = *stanza;
    effect->route.rendered = rendered;
}

/* ---- presence ---- */

/* -128 to 127 (RFC 6121 4.7.2.3), surrounding white space forgiven; absent is 0. */
static bool read_priority(struct step *step, int8_t *priority)
{
    const struct xml_node *node =
        xml_child_named(step->item, xml_root(step->item), XML_NS_CLIENT, BYTES("priority"));
    uint8_t room[16];
    struct writer text = writer_of(room, sizeof(room));
    *priority = 0;
    if (node == NULL)
        return true;
    xml_text(step->item, node, &text);
    struct bytes digits = writer_bytes(&text);
    while (digits.size != 0 && digits.at[digits.size - 1] <= ' ')
        digits.size--;
    while (digits.size != 0 && digits.at[0] <= ' ')
        digits = bytes_from(digits, 1);
    bool is_negative = bytes_starts_with(digits, BYTES("-"));
    uint64_t value = 0;
    if (text.is_overflown || !decimal_parse(bytes_from(digits, is_negative), 128, &value) ||
        (!is_negative && value > 127))
        return false;
    *priority = (int8_t)(is_negative ? -(int64_t)value : (int64_t)value);
    return true;
}

static enum presence_show read_show(struct step *step)
{
    const struct xml_node *node =
        xml_child_named(step->item, xml_root(step->item), XML_NS_CLIENT, BYTES("show"));
    uint8_t room[16];
    struct writer text = writer_of(room, sizeof(room));
    if (node == NULL)
        return PRESENCE_SHOW_NONE;
    xml_text(step->item, node, &text);
    return text.is_overflown ? PRESENCE_SHOW_NONE : presence_show_find(writer_bytes(&text));
}

/* Whether there is any element beside show and priority. */
static bool says_more(const struct step *step)
{
    const struct xml_node *child = xml_child(step->item, xml_root(step->item));
    for (; child != NULL; child = xml_next(step->item, child))
        if (!xml_name_is(step->item, child, XML_NS_CLIENT, BYTES("show")) &&
            !xml_name_is(step->item, child, XML_NS_CLIENT, BYTES("priority")))
            return true;
    return false;
}

/* Undirected: RFC 6121 4.2.2, 4.4.2, 4.5.2. */
static void presence_own(struct step *step, const struct stanza *stanza)
{
    int8_t priority;
    if (stanza->type != STANZA_PRESENCE_AVAILABLE && stanza->type != STANZA_PRESENCE_UNAVAILABLE) {
        delivery_refuse(step, stanza, STANZA_ERROR_BAD_REQUEST);
        return;
    }
    if (!read_priority(step, &priority)) {
        delivery_refuse(step, stanza, STANZA_ERROR_BAD_REQUEST);
        return;
    }
    struct bytes rendered = stanza_stamp(step, stanza);
    struct effect *effect = step_effect(step, EFFECT_PRESENCE);
    effect->presence.type = stanza->type;
    effect->presence.show = read_show(step);
    effect->presence.priority = priority;
    effect->presence.says_more = says_more(step);
    effect->presence.rendered = rendered;
}

static void step_presence(struct step *step, const struct stanza *stanza)
{
    if (!stanza->has_to) {
        presence_own(step, stanza);
        return;
    }
    switch (stanza->type) {
    case STANZA_PRESENCE_SUBSCRIBE:
    case STANZA_PRESENCE_SUBSCRIBED:
    case STANZA_PRESENCE_UNSUBSCRIBE:
    case STANZA_PRESENCE_UNSUBSCRIBED:
        delivery_refuse(step, stanza, STANZA_ERROR_FEATURE_NOT_IMPLEMENTED);
        break;
    case STANZA_PRESENCE_PROBE: /* RFC 6121 4.3: for servers to send */
        step_count(step, METRIC_XMPP_STANZAS_DROPPED);
        break;
    default:
        if (jid_is_domain(&stanza->to))
            step_count(step, METRIC_XMPP_STANZAS_DROPPED); /* the server keeps no presence */
        else
            route(step, stanza);
    }
}

/* ---- message, iq ---- */

static void step_message(struct step *step, const struct stanza *stanza)
{
    if (jid_is_domain(&stanza->to))
        delivery_refuse(step, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
    else
        route(step, stanza);
}

/* Only the server may notify a device (an old androidpn client looks at no `from`). */
static bool is_notification(const struct step *step)
{
    const struct xml_node *child = xml_child(step->item, xml_root(step->item));
    return child != NULL && child->ns == XML_NS_ANDROIDPN_NOTIFICATION;
}

/* RFC 6120 8.2.3: an id, and exactly one child in a get or set. */
static bool is_iq_well_formed(const struct step *step, const struct stanza *stanza)
{
    const struct xml_node *child = xml_child(step->item, xml_root(step->item));
    bool is_request = stanza->type == STANZA_IQ_GET || stanza->type == STANZA_IQ_SET;
    if (stanza->id.size == 0)
        return false;
    return !is_request || (child != NULL && xml_next(step->item, child) == NULL);
}

static void step_iq(struct step *step, const struct stanza *stanza)
{
    struct jid own = jid_bare(&step->peer->own);
    if (!is_iq_well_formed(step, stanza))
        delivery_refuse(step, stanza, STANZA_ERROR_BAD_REQUEST);
    else if ((jid_is_domain(&stanza->to) && jid_is_bare(&stanza->to)) ||
             jid_equal(&stanza->to, &own))
        iq_step(step, stanza);
    else if (jid_is_domain(&stanza->to) || jid_is_bare(&stanza->to))
        delivery_refuse(step, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE);
    else if (is_notification(step))
        delivery_refuse(step, stanza, STANZA_ERROR_NOT_ALLOWED);
    else
        route(step, stanza);
}

/* ---- all ---- */

static void count_stanza(struct step *step, const struct stanza *stanza)
{
    static const enum metric metrics[] = {
        METRIC_XMPP_STANZAS_IN_MESSAGE, METRIC_XMPP_STANZAS_IN_PRESENCE, METRIC_XMPP_STANZAS_IN_IQ};
    static_assert(ARRAY_COUNT(metrics) == STANZA_KIND_COUNT, "one counter a kind");
    step_count(step, metrics[stanza->kind]);
    step_trace(step, TRACE_STANZA_IN, (uint32_t)stanza->kind, step->item->size);
}

static void dispatch(struct step *step, const struct stanza *stanza)
{
    count_stanza(step, stanza);
    if (!bytes_equal(stanza->to.domain, step->xmpp->domain))
        delivery_refuse(step, stanza, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND);
    else if (stanza->kind == STANZA_MESSAGE)
        step_message(step, stanza);
    else if (stanza->kind == STANZA_PRESENCE)
        step_presence(step, stanza);
    else
        step_iq(step, stanza);
}

void delivery_step(struct step *step)
{
    struct stanza stanza;
    switch (stanza_read(step, &stanza)) {
    case STANZA_FAULT_NONE:
        dispatch(step, &stanza);
        break;
    case STANZA_FAULT_ELEMENT:
        stream_fail(step, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, "");
        break;
    case STANZA_FAULT_FROM:
        stream_fail(step, STREAM_ERROR_INVALID_FROM, "");
        break;
    case STANZA_FAULT_TO:
        count_stanza(step, &stanza);
        delivery_refuse(step, &stanza, STANZA_ERROR_JID_MALFORMED);
        break;
    case STANZA_FAULT_TYPE:
        count_stanza(step, &stanza);
        delivery_refuse(step, &stanza, STANZA_ERROR_BAD_REQUEST);
        break;
    }
}
