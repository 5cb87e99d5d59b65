/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream itself (RFC 6120 section 4): judging the client's header, answering it with ours and
 * the features, stream errors, the closing handshake. A stream error before our header is sent
 * brings the header first (4.9.1.2), so what we send is always a well-formed stream. */
#include "iq.h"
#include "machine.h"
#include "sasl.h"
#include "stentor/text.h"

static const char *const state_names[] = {"new",      "open",  "authenticated",
                                          "reopened", "bound", "closing"};

static const char *const conditions[] = {
    "",
#define STREAM_ERROR(name, condition) condition,
#include "stentor/stream_error.def"
#undef STREAM_ERROR
};
static_assert(ARRAY_COUNT(conditions) == STREAM_ERROR_COUNT, "one text an error");

static const enum metric error_metrics[] = {
    METRIC_COUNT,
#define STREAM_ERROR(name, condition) METRIC_XMPP_STREAM_ERROR_##name,
#include "stentor/stream_error.def"
#undef STREAM_ERROR
};

const char *stream_state_name(enum stream_state state)
{
    return (size_t)state < ARRAY_COUNT(state_names) ? state_names[state] : "";
}

const char *stream_error_condition(enum stream_error error)
{
    return (size_t)error < ARRAY_COUNT(conditions) ? conditions[error] : "";
}

enum stream_error stream_error_find(const char *condition)
{
    for (size_t i = 1; i < ARRAY_COUNT(conditions); i++)
        if (strcmp(conditions[i], condition) == 0)
            return (enum stream_error)i;
    return STREAM_ERROR_UNDEFINED_CONDITION;
}

/* ---- our header ---- */

/* `to` is the address that the client said it has, or NULL (RFC 6120 4.7.2). */
static void write_header(struct step *step, const struct jid *to)
{
    uint8_t id[STREAM_ID_SIZE];
    random_fill(step->xmpp->random, id, sizeof(id));
    struct writer *out = step->out;
    write_string(out, "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                      "xmlns:stream='http://etherx.jabber.org/streams' id='");
    write_hex(out, bytes_of(id, sizeof(id)));
    write_string(out, "' from='");
    write_bytes(out, step->xmpp->domain);
    if (to != NULL) {
        write_string(out, "' to='");
        jid_write_xml(out, to);
    }
    write_string(out, "' version='1.0' xml:lang='en'>");
    step->stream->flags |= STREAM_HAS_SENT_HEADER;
}

static void write_features(struct step *step)
{
    write_string(step->out, "<stream:features>");
    if (step->stream->state == STREAM_OPEN) {
        sasl_write_mechanisms(step);
        if (step->xmpp->config->xmpp_registration)
            write_string(step->out, "<register xmlns='http://jabber.org/features/iq-register'/>");
    } else {
        write_string(step->out, "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                                "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'>"
                                "<optional/></session>");
    }
    write_string(step->out, "</stream:features>");
}

/* ---- the client's header ---- */

/* RFC 6120 4.7.5: absent means 0.9, the server of which we are not. */
static bool has_version_1(const struct xml_item *item)
{
    uint8_t room[16];
    struct writer into = writer_of(room, sizeof(room));
    struct bytes version =
        xml_value(item, xml_attribute(item, xml_root(item), BYTES("version")), &into);
    size_t dot = bytes_find(version, '.');
    uint64_t major = 0;
    uint64_t minor = 0;
    return !into.is_overflown && dot < version.size &&
           decimal_parse(bytes_slice(version, 0, dot), 1000000, &major) &&
           decimal_parse(bytes_from(version, dot + 1), 1000000, &minor) && major >= 1;
}

/* An address attribute of the header. ERROR_NOT_FOUND when absent. */
static enum error read_address(struct step *step, struct bytes name, struct jid *jid)
{
    const struct xml_node *node = xml_attribute(step->item, xml_root(step->item), name);
    if (node == NULL)
        return ERROR_NOT_FOUND;
    uint8_t room[JID_SIZE_MAX];
    struct writer decoded = writer_of(room, sizeof(room));
    struct bytes text = xml_value(step->item, node, &decoded);
    return decoded.is_overflown ? ERROR_TOO_LARGE : jid_prepare(text, &step->names, jid);
}

/* RFC 6120 4.9.3.6. Nobody but our one domain lives here, so a `to` that changes between restarts
 * is refused as unknown. */
static bool is_to_us(struct step *step)
{
    struct jid to;
    enum error error = read_address(step, BYTES("to"), &to);
    if (error == ERROR_NOT_FOUND)
        return true;
    return !error && jid_is_domain(&to) && jid_is_bare(&to) &&
           bytes_equal(to.domain, step->xmpp->domain);
}

/* RFC 6120 4.7.1: after authentication a `from` must be the user's own. Before it, it is only a
 * wish and is echoed. *from stays empty when there is none or it is not an address. */
static bool may_be_from(struct step *step, struct jid *from)
{
    enum error error = read_address(step, BYTES("from"), from);
    if (error == ERROR_NOT_FOUND || step->stream->state == STREAM_NEW)
        return true;
    struct jid own = {.local = negotiation_local(step->negotiation), .domain = step->xmpp->domain};
    return !error && jid_equal_bare(from, &own);
}

static enum stream_error judge_header(struct step *step, struct jid *from)
{
    if (step->item->scope == XML_SCOPE_SERVER)
        return STREAM_ERROR_INVALID_NAMESPACE;
    if (!is_to_us(step))
        return STREAM_ERROR_HOST_UNKNOWN;
    if (!has_version_1(step->item))
        return STREAM_ERROR_UNSUPPORTED_VERSION;
    return may_be_from(step, from) ? STREAM_ERROR_NONE : STREAM_ERROR_INVALID_FROM;
}

static bool begin(struct step *step)
{
    step->negotiation = negotiation_take(step->xmpp, step->stream);
    if (step->negotiation == NULL) {
        step_count(step, METRIC_XMPP_NEGOTIATIONS_REFUSED);
        stream_fail(step, STREAM_ERROR_RESOURCE_CONSTRAINT, "too many streams are being opened");
        return false;
    }
    step->negotiation->bytes = step->item->size;
    step_count(step, METRIC_XMPP_STREAMS);
    return true;
}

void stream_step_header(struct step *step)
{
    struct stream *stream = step->stream;
    struct jid from = {0};
    enum stream_error error = judge_header(step, &from);
    if (error != STREAM_ERROR_NONE) {
        stream_fail(step, error, "");
        return;
    }
    bool is_first = stream->state == STREAM_NEW;
    if (is_first && !begin(step))
        return;
    stream->state = is_first ? STREAM_OPEN : STREAM_REOPENED;
    stream->scope = (uint8_t)step->item->scope;
    step_trace(step, TRACE_STREAM_OPEN, is_first ? 0 : 1, 0);
    struct jid bare = jid_bare(&from);
    write_header(step, from.domain.size != 0 ? &bare : NULL);
    write_features(step);
}

/* ---- errors and the end ---- */

static void finish(struct step *step, enum stream_error error)
{
    write_string(step->out, "</stream:stream>");
    step->stream->state = STREAM_CLOSING;
    step->stream->flags = 0;
    negotiation_give(step->xmpp, step->stream);
    step->negotiation = NULL;
    step_effect(step, EFFECT_CLOSE)->close.error = error;
}

void stream_fail(struct step *step, enum stream_error error, const char *text)
{
    ASSERT(error > STREAM_ERROR_NONE && error < STREAM_ERROR_COUNT);
    if ((step->stream->flags & STREAM_HAS_SENT_HEADER) == 0)
        write_header(step, NULL);
    struct writer *out = step->out;
    write_string(out, "<stream:error><");
    write_string(out, conditions[error]);
    write_string(out, " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
    if (text[0] != '\0') {
        write_string(out, "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>");
        write_xml_text(out, bytes_of_string(text));
        write_string(out, "</text>");
    }
    write_string(out, "</stream:error>");
    step_count(step, error_metrics[error]);
    step_trace(step, TRACE_STREAM_ERROR, (uint32_t)error, 0);
    finish(step, error);
}

void stream_end(struct step *step)
{
    if ((step->stream->flags & STREAM_HAS_SENT_HEADER) == 0)
        write_header(step, NULL);
    finish(step, STREAM_ERROR_NONE);
}
