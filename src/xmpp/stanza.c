/* SPDX-License-Identifier: Apache-2.0
 *
 * Stanzas that the server writes itself. An id is copied as its sender wrote it, between quotes
 * of the kind that does not stand in it: it came out of one attribute value, so it cannot hold
 * both kinds, nor < or a bare &. Addresses are prepared and escaped on the way out. */
#include "stanza_read.h"

static const char *const kind_names[] = {"message", "presence", "iq"};
static_assert(ARRAY_COUNT(kind_names) == STANZA_KIND_COUNT, "one name a kind");

static const char *const type_names[] = {
    [STANZA_TYPE_ERROR] = "error",
    [STANZA_MESSAGE_NORMAL] = "normal",
    [STANZA_MESSAGE_CHAT] = "chat",
    [STANZA_MESSAGE_GROUPCHAT] = "groupchat",
    [STANZA_MESSAGE_HEADLINE] = "headline",
    [STANZA_PRESENCE_AVAILABLE] = "",
    [STANZA_PRESENCE_UNAVAILABLE] = "unavailable",
    [STANZA_PRESENCE_SUBSCRIBE] = "subscribe",
    [STANZA_PRESENCE_SUBSCRIBED] = "subscribed",
    [STANZA_PRESENCE_UNSUBSCRIBE] = "unsubscribe",
    [STANZA_PRESENCE_UNSUBSCRIBED] = "unsubscribed",
    [STANZA_PRESENCE_PROBE] = "probe",
    [STANZA_IQ_GET] = "get",
    [STANZA_IQ_SET] = "set",
    [STANZA_IQ_RESULT] = "result",
};
static_assert(ARRAY_COUNT(type_names) == STANZA_TYPE_COUNT, "one name a type");

static const struct {
    const char *condition;
    const char *type;
} errors[] = {
    {"", ""},
#define STANZA_ERROR(name, condition, type) {condition, type},
#include "stentor/stanza_error.def"
#undef STANZA_ERROR
};
static_assert(ARRAY_COUNT(errors) == STANZA_ERROR_COUNT, "one row an error");

static const char *const show_names[] = {"", "away", "chat", "dnd", "xa"};

const char *stanza_kind_name(enum stanza_kind kind)
{
    return (size_t)kind < ARRAY_COUNT(kind_names) ? kind_names[kind] : "";
}

const char *stanza_type_name(enum stanza_type type)
{
    return (size_t)type < ARRAY_COUNT(type_names) ? type_names[type] : "";
}

const char *stanza_error_condition(enum stanza_error error)
{
    return (size_t)error < ARRAY_COUNT(errors) ? errors[error].condition : "";
}

const char *presence_show_name(enum presence_show show)
{
    return (size_t)show < ARRAY_COUNT(show_names) ? show_names[show] : "";
}

enum presence_show presence_show_find(struct bytes name)
{
    for (size_t i = 1; i < ARRAY_COUNT(show_names); i++)
        if (bytes_equal(name, bytes_of_string(show_names[i])))
            return (enum presence_show)i;
    return PRESENCE_SHOW_NONE;
}

/* ---- writing ---- */

void stanza_write_id(struct writer *into, struct bytes id)
{
    if (id.size == 0)
        return;
    uint8_t quote = bytes_find(id, '\'') == id.size ? '\'' : '"';
    write_string(into, " id=");
    write_u8(into, quote);
    write_bytes(into, id);
    write_u8(into, quote);
}

void stanza_write_address(struct writer *into, const char *name, const struct jid *jid)
{
    if (jid->domain.size == 0)
        return;
    write_u8(into, ' ');
    write_string(into, name);
    write_string(into, "='");
    jid_write_xml(into, jid);
    write_u8(into, '\'');
}

bool stanza_may_bounce(const struct stanza *stanza)
{
    return stanza->type != STANZA_TYPE_ERROR && stanza->type != STANZA_IQ_RESULT &&
           stanza->type != STANZA_PRESENCE_UNAVAILABLE;
}

void stanza_write_error(struct writer *into, const struct stanza *stanza, enum stanza_error error)
{
    ASSERT(stanza_may_bounce(stanza));
    ASSERT(error > STANZA_ERROR_NONE && error < STANZA_ERROR_COUNT);
    write_u8(into, '<');
    write_string(into, kind_names[stanza->kind]);
    write_string(into, " type='error'");
    stanza_write_id(into, stanza->id);
    stanza_write_address(into, "from", &stanza->to);
    stanza_write_address(into, "to", &stanza->from);
    write_string(into, "><error type='");
    write_string(into, errors[error].type);
    write_string(into, "'><");
    write_string(into, errors[error].condition);
    write_string(into, " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></");
    write_string(into, kind_names[stanza->kind]);
    write_u8(into, '>');
}

static void write_priority(struct writer *into, int8_t priority)
{
    write_string(into, "<priority>");
    if (priority < 0)
        write_u8(into, '-');
    write_decimal(into, (uint64_t)(priority < 0 ? -(int32_t)priority : priority));
    write_string(into, "</priority>");
}

void presence_write(struct writer *into, const struct presence *presence)
{
    ASSERT(presence->type == STANZA_PRESENCE_AVAILABLE ||
           presence->type == STANZA_PRESENCE_UNAVAILABLE);
    write_string(into, "<presence");
    stanza_write_address(into, "from", &presence->from);
    stanza_write_address(into, "to", &presence->to);
    if (presence->type == STANZA_PRESENCE_UNAVAILABLE) {
        write_string(into, " type='unavailable'/>");
        return;
    }
    if (presence->show == PRESENCE_SHOW_NONE && presence->priority == 0) {
        write_string(into, "/>");
        return;
    }
    write_u8(into, '>');
    if (presence->show != PRESENCE_SHOW_NONE) {
        write_string(into, "<show>");
        write_string(into, presence_show_name(presence->show));
        write_string(into, "</show>");
    }
    if (presence->priority != 0)
        write_priority(into, presence->priority);
    write_string(into, "</presence>");
}
