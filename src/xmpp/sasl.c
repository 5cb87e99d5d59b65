/* SPDX-License-Identifier: Apache-2.0
 *
 * The SASL exchange of a stream. States of a negotiation row:
 *
 *   IDLE --auth without response--> AWAITS_INITIAL --response--+
 *     \--auth with response-------------------------------------+--> account asked (WAIT_ACCOUNT)
 *   PLAIN:  account --> password asked (WAIT_PASSWORD) --> success or failure
 *   SCRAM:  account --> challenge, AWAITS_FINAL --response--> success or failure
 *
 * A failure goes back to IDLE and counts as a try; too many end the stream (RFC 6120 6.4.5). An
 * unknown account is carried on with made-up keys to the end, where it fails as a wrong password
 * does. Secrets in the row are wiped with it, and the password as soon as it is checked. */
#include "sasl.h"

#include "scram.h"
#include "stentor/text.h"

#define TEXT_SIZE_MAX 4096u /* base64 of one SASL element; longer is malformed */

static const char *const conditions[] = {
    "",
#define SASL_ERROR(name, condition) condition,
#include "sasl_error.def"
#undef SASL_ERROR
};
static_assert(ARRAY_COUNT(conditions) == SASL_ERROR_COUNT, "one text an error");

static const struct {
    const char *name;
    enum sasl_mechanism mechanism;
    enum metric metric;
} mechanisms[] = {
    /* Strongest first: many clients take the first one they know. */
    {"SCRAM-SHA-256", SASL_SCRAM_SHA_256, METRIC_XMPP_AUTH_SCRAM_SHA_256},
    {"SCRAM-SHA-1", SASL_SCRAM_SHA_1, METRIC_XMPP_AUTH_SCRAM_SHA_1},
    {"PLAIN", SASL_PLAIN, METRIC_XMPP_AUTH_PLAIN},
};

/* ---- what is offered ---- */

/* Without TLS the listener must allow clear text, or nothing may be tried at all. */
static bool may_authenticate(const struct step *step)
{
    return step->peer->is_secure || step->xmpp->config->xmpp_plain_text;
}

void sasl_write_mechanisms(struct step *step)
{
    if (!may_authenticate(step))
        return;
    write_string(step->out, "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    for (size_t i = 0; i < ARRAY_COUNT(mechanisms); i++) {
        write_string(step->out, "<mechanism>");
        write_string(step->out, mechanisms[i].name);
        write_string(step->out, "</mechanism>");
    }
    write_string(step->out, "</mechanisms>");
}

static enum sasl_mechanism find_mechanism(const struct step *step)
{
    for (size_t i = 0; i < ARRAY_COUNT(mechanisms); i++)
        if (xml_attribute_is(step->item, xml_root(step->item), BYTES("mechanism"),
                             bytes_of_string(mechanisms[i].name)))
            return mechanisms[i].mechanism;
    return SASL_NONE;
}

static enum digest_kind digest_of(const struct negotiation *row)
{
    return row->mechanism == SASL_SCRAM_SHA_1 ? DIGEST_SHA1 : DIGEST_SHA256;
}

/* ---- outcomes ---- */

static void reset(struct negotiation *row)
{
    row->phase = SASL_IDLE;
    row->mechanism = SASL_NONE;
    row->is_known = false;
    bytes_wipe(row->password, sizeof(row->password));
    bytes_wipe(&row->keys, sizeof(row->keys));
}

static void fail(struct step *step, enum sasl_error error)
{
    struct negotiation *row = step->negotiation;
    step_trace(step, TRACE_SASL, row->mechanism, (uint32_t)error);
    step_count(step,
               error == SASL_ERROR_ABORTED ? METRIC_XMPP_AUTH_ABORTED : METRIC_XMPP_AUTH_FAILED);
    write_string(step->out, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><");
    write_string(step->out, conditions[error]);
    write_string(step->out, "/></failure>");
    reset(row);
    row->account = ACCOUNT_NUMBER_NONE;
    row->tries++;
    if (row->tries >= step->xmpp->config->xmpp_auth_tries)
        stream_fail(step, STREAM_ERROR_POLICY_VIOLATION, "too many failed authentications");
}

/* final is the server's last word (SCRAM's signature), or empty. */
static void succeed(struct step *step, struct bytes final)
{
    struct negotiation *row = step->negotiation;
    step_trace(step, TRACE_SASL, row->mechanism, SASL_ERROR_NONE);
    step_count(step, METRIC_XMPP_AUTH_OK);
    for (size_t i = 0; i < ARRAY_COUNT(mechanisms); i++)
        if (mechanisms[i].mechanism == row->mechanism)
            step_count(step, mechanisms[i].metric);
    write_string(step->out, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'");
    if (final.size != 0) {
        write_u8(step->out, '>');
        write_base64(step->out, final);
        write_string(step->out, "</success>");
    } else {
        write_string(step->out, "/>");
    }
    reset(row);
    /* RFC 6120 6.4.6: a new stream from here on, in the same connection. */
    step->stream->state = STREAM_AUTHENTICATED;
    step->stream->scope = XML_SCOPE_NONE;
    step->stream->flags = 0;
}

static void challenge(struct step *step, struct bytes text)
{
    write_string(step->out, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    write_base64(step->out, text);
    write_string(step->out, "</challenge>");
}

/* ---- names ---- */

/* RFC 6120 6.3.8: acting for somebody else is not supported, and a name that is not an address is
 * nobody. */
static enum sasl_error judge_authzid(struct step *step, struct bytes authzid)
{
    struct jid jid;
    struct jid own = {.local = negotiation_local(step->negotiation), .domain = step->xmpp->domain};
    if (authzid.size == 0)
        return SASL_ERROR_NONE;
    if (jid_prepare(authzid, &step->names, &jid) || !jid_equal(&jid, &own))
        return SASL_ERROR_INVALID_AUTHZID;
    return SASL_ERROR_NONE;
}

/* Keeps the prepared local part in the row. A name that can be nobody's fails here: that tells
 * nothing about who exists. */
static enum sasl_error take_username(struct step *step, struct bytes username)
{
    struct negotiation *row = step->negotiation;
    struct writer into = writer_of(row->local, ACCOUNT_LOCAL_SIZE_MAX);
    struct bytes local;
    row->local_size = 0;
    if (jid_prepare_local(username, &into, &local))
        return SASL_ERROR_NOT_AUTHORIZED;
    row->local_size = (uint16_t)local.size;
    return SASL_ERROR_NONE;
}

static void ask_account(struct step *step)
{
    step_wait(step, WAIT_ACCOUNT);
    step_effect(step, EFFECT_ACCOUNT_GET)->account_get.local = negotiation_local(step->negotiation);
}

/* ---- PLAIN, RFC 4616: [authzid] NUL authcid NUL passwd ---- */

static bool take_to_nul(struct bytes *rest, struct bytes *part)
{
    size_t nul = bytes_find(*rest, 0);
    if (nul == rest->size)
        return false;
    *part = bytes_slice(*rest, 0, nul);
    *rest = bytes_from(*rest, nul + 1);
    return true;
}

static enum sasl_error start_plain(struct step *step, struct bytes message)
{
    struct negotiation *row = step->negotiation;
    struct bytes authzid;
    struct bytes authcid;
    struct bytes password = message;
    if (!utf8_is_valid(message) || !take_to_nul(&password, &authzid) ||
        !take_to_nul(&password, &authcid) || authcid.size == 0 || password.size == 0 ||
        bytes_find(password, 0) != password.size)
        return SASL_ERROR_MALFORMED_REQUEST;
    enum sasl_error error = take_username(step, authcid);
    if (error == SASL_ERROR_NONE)
        error = judge_authzid(step, authzid);
    if (error != SASL_ERROR_NONE)
        return error;
    struct writer into = writer_of(row->password, PASSWORD_SIZE_MAX);
    struct bytes prepared;
    if (password_prepare(password, &into, &prepared))
        return SASL_ERROR_NOT_AUTHORIZED;
    row->password_size = (uint16_t)prepared.size;
    ask_account(step);
    return SASL_ERROR_NONE;
}

static void ask_password(struct step *step)
{
    struct negotiation *row = step->negotiation;
    step_wait(step, WAIT_PASSWORD);
    struct effect *effect = step_effect(step, EFFECT_PASSWORD_CHECK);
    effect->password_check.password = bytes_of(row->password, row->password_size);
    effect->password_check.keys = row->keys;
}

void sasl_password_checked(struct step *step, enum error error)
{
    struct negotiation *row = step->negotiation;
    bool is_right = error == ERROR_NONE && row->is_known;
    if (error != ERROR_NONE && error != ERROR_INVALID)
        fail(step, SASL_ERROR_TEMPORARY_AUTH_FAILURE);
    else if (!is_right)
        fail(step, SASL_ERROR_NOT_AUTHORIZED);
    else if (!row->is_enabled)
        fail(step, SASL_ERROR_ACCOUNT_DISABLED);
    else
        succeed(step, (struct bytes){0});
}

/* ---- SCRAM ---- */

static enum sasl_error start_scram(struct step *step, struct bytes message)
{
    struct negotiation *row = step->negotiation;
    struct scram_client_first first;
    if (message.size > sizeof(row->first))
        return SASL_ERROR_MALFORMED_REQUEST;
    enum sasl_error error = scram_read_client_first(message, &first);
    if (error != SASL_ERROR_NONE)
        return error;
    uint8_t room[2 * SCRAM_FIRST_SIZE_MAX];
    struct writer names = writer_of(room, sizeof(room));
    if (!scram_decode_name(first.username, &names))
        return SASL_ERROR_MALFORMED_REQUEST;
    size_t username_size = names.size;
    if (!scram_decode_name(first.authzid, &names))
        return SASL_ERROR_MALFORMED_REQUEST;
    error = take_username(step, bytes_of(room, username_size));
    if (error == SASL_ERROR_NONE)
        error = judge_authzid(step, bytes_from(writer_bytes(&names), username_size));
    if (error != SASL_ERROR_NONE)
        return error;
    memcpy(row->first, message.at, message.size);
    row->first_size = (uint16_t)message.size;
    row->gs2_size = (uint16_t)first.gs2.size;
    ask_account(step);
    return SASL_ERROR_NONE;
}

static struct bytes first_bare(const struct negotiation *row)
{
    return bytes_from(bytes_of(row->first, row->first_size), row->gs2_size);
}

static void challenge_scram(struct step *step)
{
    struct negotiation *row = step->negotiation;
    struct scram_client_first first;
    enum sasl_error error = scram_read_client_first(bytes_of(row->first, row->first_size), &first);
    ASSERT(error == SASL_ERROR_NONE); /* it was read before the account was asked for */
    uint8_t made[SCRAM_SERVER_NONCE_SIZE];
    uint8_t room[2 * SCRAM_SERVER_NONCE_SIZE];
    struct writer nonce = writer_of(room, sizeof(room));
    random_fill(step->xmpp->random, made, sizeof(made));
    write_base64(&nonce, bytes_of(made, sizeof(made)));
    struct writer into = writer_of(row->server_first, sizeof(row->server_first));
    scram_write_server_first(&into, first.nonce, writer_bytes(&nonce), &row->keys);
    ASSERT(!into.is_overflown);
    row->server_first_size = (uint16_t)into.size;
    row->phase = SASL_AWAITS_FINAL;
    challenge(step, writer_bytes(&into));
}

static void finish_scram(struct step *step, struct bytes message)
{
    struct negotiation *row = step->negotiation;
    struct scram_client_final final;
    enum sasl_error error = scram_read_client_final(message, &final);
    uint8_t room[4 * DIGEST_SIZE_MAX];
    struct writer last = writer_of(room, sizeof(room));
    if (error == SASL_ERROR_NONE) {
        struct scram_exchange exchange = {
            .gs2 = bytes_of(row->first, row->gs2_size),
            .client_first_bare = first_bare(row),
            .server_first = bytes_of(row->server_first, row->server_first_size),
        };
        error = scram_finish(step->xmpp->digests->of[digest_of(row)], &row->keys, &exchange, &final,
                             &last);
    }
    if (error == SASL_ERROR_NONE && !row->is_known)
        error = SASL_ERROR_NOT_AUTHORIZED;
    if (error == SASL_ERROR_NONE && !row->is_enabled)
        error = SASL_ERROR_ACCOUNT_DISABLED;
    if (error != SASL_ERROR_NONE)
        fail(step, error);
    else
        succeed(step, writer_bytes(&last));
}

/* ---- the account ---- */

/* PLAIN checks against whichever keys there are, SCRAM against those of its own hash. */
static const struct scram_keys *find_keys(const struct negotiation *row,
                                          const struct account *account)
{
    const struct scram_keys *keys = &account->scram[digest_of(row)];
    if (row->mechanism == SASL_PLAIN && !scram_keys_is_present(keys))
        keys = &account->scram[DIGEST_SHA1];
    return scram_keys_is_present(keys) ? keys : NULL;
}

void sasl_account_found(struct step *step, enum error error, const struct account *account)
{
    struct negotiation *row = step->negotiation;
    struct xmpp *xmpp = step->xmpp;
    if (error != ERROR_NONE && error != ERROR_NOT_FOUND) {
        fail(step, SASL_ERROR_TEMPORARY_AUTH_FAILURE);
        return;
    }
    /* Made for everyone, so that the time does not tell who exists. */
    scram_invent_keys(xmpp->digests->of[DIGEST_SHA256],
                      bytes_of(xmpp->install_key, sizeof(xmpp->install_key)),
                      negotiation_local(row), digest_of(row),
                      (uint32_t)xmpp->config->scram_iterations, &row->keys);
    const struct scram_keys *keys = error == ERROR_NONE ? find_keys(row, account) : NULL;
    row->is_known = keys != NULL;
    if (keys != NULL) {
        row->keys = *keys;
        row->account = account->number;
        row->is_enabled = account->is_enabled;
    }
    if (row->mechanism == SASL_PLAIN)
        ask_password(step);
    else
        challenge_scram(step);
}

/* The proof or the password may come yet, or be under way: it is judged against keys that hold no
 * longer, and fails as it would for a user that does not exist. */
void sasl_account_changed(struct step *step)
{
    if (step->stream->state == STREAM_OPEN) {
        step->negotiation->is_known = false;
        step->negotiation->account = ACCOUNT_NUMBER_NONE;
    } else {
        stream_fail(step, STREAM_ERROR_NOT_AUTHORIZED, "the account was changed");
    }
}

/* ---- elements ---- */

/* The element's base64 text, decoded into the writer. "=" is an empty one (RFC 6120 6.4.2). */
static enum sasl_error read_text(struct step *step, struct writer *into)
{
    uint8_t room[TEXT_SIZE_MAX];
    struct writer text = writer_of(room, sizeof(room));
    xml_text(step->item, xml_root(step->item), &text);
    if (text.is_overflown)
        return SASL_ERROR_MALFORMED_REQUEST;
    enum sasl_error error = SASL_ERROR_NONE;
    if (!bytes_equal(writer_bytes(&text), BYTES("=")) &&
        (!base64_decode(writer_bytes(&text), into) || into->is_overflown))
        error = SASL_ERROR_INCORRECT_ENCODING;
    bytes_wipe(room, text.size);
    return error;
}

static bool has_text(const struct step *step)
{
    return xml_child_any(step->item, xml_root(step->item)) != NULL;
}

static void start(struct step *step, struct bytes message)
{
    struct negotiation *row = step->negotiation;
    row->phase = SASL_IDLE;
    enum sasl_error error =
        row->mechanism == SASL_PLAIN ? start_plain(step, message) : start_scram(step, message);
    if (error != SASL_ERROR_NONE)
        fail(step, error);
}

static void step_auth(struct step *step)
{
    struct negotiation *row = step->negotiation;
    if (row->phase != SASL_IDLE) {
        fail(step, SASL_ERROR_MALFORMED_REQUEST);
        return;
    }
    row->mechanism = (uint8_t)find_mechanism(step);
    if (!may_authenticate(step)) {
        fail(step, SASL_ERROR_ENCRYPTION_REQUIRED);
        return;
    }
    if (row->mechanism == SASL_NONE) {
        fail(step, SASL_ERROR_INVALID_MECHANISM);
        return;
    }
    if (!has_text(step)) {
        row->phase = SASL_AWAITS_INITIAL;
        challenge(step, (struct bytes){0});
        return;
    }
    uint8_t room[TEXT_SIZE_MAX];
    struct writer message = writer_of(room, sizeof(room));
    enum sasl_error error = read_text(step, &message);
    if (error != SASL_ERROR_NONE)
        fail(step, error);
    else
        start(step, writer_bytes(&message));
    bytes_wipe(room, message.size);
}

static void step_response(struct step *step)
{
    struct negotiation *row = step->negotiation;
    uint8_t room[TEXT_SIZE_MAX];
    struct writer message = writer_of(room, sizeof(room));
    enum sasl_error error = read_text(step, &message);
    if (error != SASL_ERROR_NONE)
        fail(step, error);
    else if (row->phase == SASL_AWAITS_INITIAL)
        start(step, writer_bytes(&message));
    else if (row->phase == SASL_AWAITS_FINAL)
        finish_scram(step, writer_bytes(&message));
    else
        fail(step, SASL_ERROR_MALFORMED_REQUEST);
    bytes_wipe(room, message.size);
}

void sasl_step(struct step *step)
{
    ASSERT(step->stream->state == STREAM_OPEN);
    ASSERT(step->negotiation != NULL);
    const struct xml_node *root = xml_root(step->item);
    if (xml_name_is(step->item, root, XML_NS_SASL, BYTES("auth")))
        step_auth(step);
    else if (xml_name_is(step->item, root, XML_NS_SASL, BYTES("response")))
        step_response(step);
    else if (xml_name_is(step->item, root, XML_NS_SASL, BYTES("abort")))
        fail(step, SASL_ERROR_ABORTED);
    else
        stream_fail(step, STREAM_ERROR_UNSUPPORTED_STANZA_TYPE, "");
}
