/* SPDX-License-Identifier: Apache-2.0
 *
 * In-band registration (XEP-0077), where xmpp.registration is on. Before authentication a client
 * may make an account, and each attempt counts as a try, so one stream cannot make many. A bound
 * client is told that it is registered; changing or removing an account is for the admin API. */
#include "delivery.h"
#include "iq.h"
#include "register.h"

/* `=` names the fields; the values the user has already are not shown. */
enum stanza_error register_answer_get(const struct iq *iq)
{
    struct writer *out = iq->step->out;
    bool is_bound = stream_is_bound(iq->step->stream);
    if (!is_bound && !iq->step->peer->is_secure && !iq->step->xmpp->config->xmpp_plain_text)
        return STANZA_ERROR_NOT_ALLOWED; /* no password in clear text */
    iq_result_begin(iq);
    write_string(out, "<query xmlns='jabber:iq:register'>");
    if (is_bound) {
        write_string(out, "<registered/><username>");
        write_bytes(out, iq->step->peer->own.local);
        write_string(out, "</username><password/>");
    } else {
        write_string(out, "<instructions>Choose a username and a password.</instructions>"
                          "<username/><password/>");
    }
    write_string(out, "</query>");
    iq_result_end(iq);
    return STANZA_ERROR_NONE;
}

/* One field, prepared into where the row keeps it. */
static enum error read_field(const struct iq *iq, struct bytes name, struct writer *into,
                             enum error (*prepare)(struct bytes text, struct writer *into,
                                                   struct bytes *prepared))
{
    const struct step *step = iq->step;
    const struct xml_node *node = xml_child_named(step->item, iq->payload, XML_NS_REGISTER, name);
    uint8_t room[JID_PART_SIZE_MAX];
    struct writer text = writer_of(room, sizeof(room));
    struct bytes prepared;
    if (node == NULL)
        return ERROR_NOT_FOUND;
    xml_text(step->item, node, &text);
    enum error error =
        text.is_overflown ? ERROR_TOO_LARGE : prepare(writer_bytes(&text), into, &prepared);
    bytes_wipe(room, text.size);
    return error;
}

static enum stanza_error read_form(const struct iq *iq)
{
    struct negotiation *row = iq->step->negotiation;
    struct writer local = writer_of(row->local, ACCOUNT_LOCAL_SIZE_MAX);
    struct writer password = writer_of(row->password, PASSWORD_SIZE_MAX);
    enum error error = read_field(iq, BYTES("username"), &local, jid_prepare_local);
    if (!error)
        error = read_field(iq, BYTES("password"), &password, password_prepare);
    row->local_size = (uint16_t)local.size;
    row->password_size = (uint16_t)password.size;
    if (error == ERROR_NOT_FOUND)
        return STANZA_ERROR_BAD_REQUEST;
    return error ? STANZA_ERROR_NOT_ACCEPTABLE : STANZA_ERROR_NONE;
}

enum stanza_error register_answer_set(const struct iq *iq)
{
    struct step *step = iq->step;
    struct negotiation *row = step->negotiation;
    if (stream_is_bound(step->stream))
        return STANZA_ERROR_NOT_ALLOWED;
    if (!step->peer->is_secure && !step->xmpp->config->xmpp_plain_text)
        return STANZA_ERROR_NOT_ALLOWED;
    /* A login that is half done would go on with the name written here. */
    if (row->phase != SASL_IDLE)
        return STANZA_ERROR_UNEXPECTED_REQUEST;
    if (row->tries >= step->xmpp->config->xmpp_auth_tries)
        return STANZA_ERROR_POLICY_VIOLATION;
    if (!iq_keep_id(iq))
        return STANZA_ERROR_BAD_REQUEST;
    enum stanza_error error = read_form(iq);
    if (error != STANZA_ERROR_NONE)
        return error;
    row->tries++;
    step_wait(step, WAIT_CREATE);
    struct effect *effect = step_effect(step, EFFECT_ACCOUNT_CREATE);
    effect->account_create.local = negotiation_local(row);
    effect->account_create.password = bytes_of(row->password, row->password_size);
    return STANZA_ERROR_NONE;
}

void register_done(struct step *step, enum error error)
{
    struct stanza kept = iq_kept(step);
    struct iq iq = {step, &kept, NULL};
    bytes_wipe(step->negotiation->password, sizeof(step->negotiation->password));
    if (error == ERROR_NONE) {
        step_count(step, METRIC_XMPP_REGISTRATIONS);
        iq_result_empty(&iq);
    } else if (error == ERROR_EXISTS) {
        delivery_refuse(step, &kept, STANZA_ERROR_CONFLICT);
    } else {
        delivery_refuse(step, &kept, STANZA_ERROR_RESOURCE_CONSTRAINT);
    }
}
