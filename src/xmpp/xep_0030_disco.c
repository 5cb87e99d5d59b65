/* SPDX-License-Identifier: Apache-2.0
 *
 * Service discovery (XEP-0030): what the server and the user's own account are, with the features
 * read off the handler table. There are no items and no nodes. */
#include "iq.h"

static bool has_node(const struct iq *iq)
{
    return xml_attribute(iq->step->item, iq->payload, BYTES("node")) != NULL;
}

static bool is_to_account(const struct iq *iq)
{
    return iq->stanza->to.local.size != 0;
}

static void write_features(const struct iq *iq, uint32_t place)
{
    const struct xmpp *xmpp = iq->step->xmpp;
    struct writer *out = iq->step->out;
    const struct iq_handler *handler = NULL;
    while ((handler = iq_handler_next(xmpp, handler)) != NULL) {
        if ((handler->bits & IQ_IS_FEATURE) == 0 || (handler->bits & place) == 0)
            continue;
        write_string(out, "<feature var='");
        write_bytes(out, xml_ns_known_uri(handler->ns));
        write_string(out, "'/>");
    }
}

enum stanza_error disco_answer_info(const struct iq *iq)
{
    if (has_node(iq))
        return STANZA_ERROR_ITEM_NOT_FOUND;
    struct writer *out = iq->step->out;
    iq_result_begin(iq);
    write_string(out, "<query xmlns='http://jabber.org/protocol/disco#info'>");
    write_string(out, is_to_account(iq) ? "<identity category='account' type='registered'/>"
                                        : "<identity category='server' type='im' name='Stentor'/>");
    write_features(iq, is_to_account(iq) ? IQ_AT_ACCOUNT : IQ_AT_SERVER);
    write_string(out, "</query>");
    iq_result_end(iq);
    return STANZA_ERROR_NONE;
}

enum stanza_error disco_answer_items(const struct iq *iq)
{
    if (has_node(iq))
        return STANZA_ERROR_ITEM_NOT_FOUND;
    iq_result_begin(iq);
    write_string(iq->step->out, "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    iq_result_end(iq);
    return STANZA_ERROR_NONE;
}
