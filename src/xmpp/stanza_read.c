/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a stanza out of its tape, and the stamp: from and to are rewritten, never appended
 * (a duplicate cannot arise), the rest of the root tag and its content are the octets that the
 * reader judged as one balanced element. A child that speaks in the server's name (delay or
 * stanza-id by us, a push notification) is left out, every instance. Deeper elements mean nothing
 * to a client without their parents and are left alone. */
#include "stanza_read.h"

static const struct {
    const char *name;
    enum stanza_kind kind;
    enum stanza_type type;
} types[] = {
    {"error", STANZA_MESSAGE, STANZA_TYPE_ERROR},
    {"normal", STANZA_MESSAGE, STANZA_MESSAGE_NORMAL},
    {"chat", STANZA_MESSAGE, STANZA_MESSAGE_CHAT},
    {"groupchat", STANZA_MESSAGE, STANZA_MESSAGE_GROUPCHAT},
    {"headline", STANZA_MESSAGE, STANZA_MESSAGE_HEADLINE},
    {"error", STANZA_PRESENCE, STANZA_TYPE_ERROR},
    {"unavailable", STANZA_PRESENCE, STANZA_PRESENCE_UNAVAILABLE},
    {"subscribe", STANZA_PRESENCE, STANZA_PRESENCE_SUBSCRIBE},
    {"subscribed", STANZA_PRESENCE, STANZA_PRESENCE_SUBSCRIBED},
    {"unsubscribe", STANZA_PRESENCE, STANZA_PRESENCE_UNSUBSCRIBE},
    {"unsubscribed", STANZA_PRESENCE, STANZA_PRESENCE_UNSUBSCRIBED},
    {"probe", STANZA_PRESENCE, STANZA_PRESENCE_PROBE},
    {"error", STANZA_IQ, STANZA_TYPE_ERROR},
    {"get", STANZA_IQ, STANZA_IQ_GET},
    {"set", STANZA_IQ, STANZA_IQ_SET},
    {"result", STANZA_IQ, STANZA_IQ_RESULT},
};

/* ---- head ---- */

static bool read_kind(const struct step *step, enum stanza_kind *kind)
{
    for (uint32_t i = 0; i < STANZA_KIND_COUNT; i++) {
        *kind = (enum stanza_kind)i;
        if (xml_name_is(step->item, xml_root(step->item), XML_NS_CLIENT,
                        bytes_of_string(stanza_kind_name(*kind))))
            return true;
    }
    return false;
}

static bool read_type(const struct step *step, enum stanza_kind kind, enum stanza_type *type)
{
    const struct xml_node *root = xml_root(step->item);
    *type = kind == STANZA_PRESENCE ? STANZA_PRESENCE_AVAILABLE : STANZA_MESSAGE_NORMAL;
    if (xml_attribute(step->item, root, BYTES("type")) == NULL && kind != STANZA_IQ)
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (types[i].kind == kind &&
            xml_attribute_is(step->item, root, BYTES("type"), bytes_of_string(types[i].name))) {
            *type = types[i].type;
            return true;
        }
    }
    /* RFC 6121 5.2.2: an unknown type of message is a normal one. */
    if (kind == STANZA_IQ)
        *type = STANZA_IQ_GET; /* so that it can be answered */
    return kind == STANZA_MESSAGE;
}

/* An address attribute, prepared into step->names. */
static enum error read_address(struct step *step, const struct xml_node *node, struct jid *jid)
{
    uint8_t room[JID_SIZE_MAX];
    struct writer decoded = writer_of(room, sizeof(room));
    struct bytes text = xml_value(step->item, node, &decoded);
    return decoded.is_overflown ? ERROR_TOO_LARGE : jid_prepare(text, &step->names, jid);
}

/* RFC 6120 8.1.2.1: absent, or the sender's own full or bare JID. */
static bool is_from_self(struct step *step)
{
    const struct xml_node *node = xml_attribute(step->item, xml_root(step->item), BYTES("from"));
    const struct jid *own = &step->peer->own;
    struct jid from;
    if (node == NULL || !stream_is_bound(step->stream))
        return true;
    if (read_address(step, node, &from) || !jid_equal_bare(&from, own))
        return false;
    return jid_is_bare(&from) || jid_equal(&from, own);
}

enum stanza_fault stanza_read(struct step *step, struct stanza *stanza)
{
    const struct xml_node *root = xml_root(step->item);
    *stanza = (struct stanza){0};
    if (!read_kind(step, &stanza->kind))
        return STANZA_FAULT_ELEMENT;
    bool has_type = read_type(step, stanza->kind, &stanza->type);
    const struct xml_node *id = xml_attribute(step->item, root, BYTES("id"));
    if (id != NULL)
        stanza->id = xml_inner_bytes(step->item, id);
    if (!is_from_self(step))
        return STANZA_FAULT_FROM;
    if (stream_is_bound(step->stream)) {
        stanza->from = step->peer->own;
        stanza->to = jid_bare(&stanza->from);
    }
    const struct xml_node *to = xml_attribute(step->item, root, BYTES("to"));
    stanza->has_to = to != NULL;
    if (to != NULL && read_address(step, to, &stanza->to)) {
        stanza->to = (struct jid){.domain = step->xmpp->domain};
        return STANZA_FAULT_TO;
    }
    return has_type ? STANZA_FAULT_NONE : STANZA_FAULT_TYPE;
}

/* ---- stamp ---- */

/* prefix:name as in the tag. */
static struct bytes qualified_name(const struct xml_item *item, const struct xml_node *element)
{
    size_t prefix = element->prefix_size == 0 ? 0 : element->prefix_size + 1u;
    return bytes_of(item->input.at + element->at + 1, prefix + element->name_size);
}

static bool is_address(const struct xml_item *item, const struct xml_node *node)
{
    if (node->kind != XML_NODE_ATTRIBUTE || node->prefix_size != 0)
        return false;
    struct bytes name = xml_local_name(item, node);
    return bytes_equal(name, BYTES("from")) || bytes_equal(name, BYTES("to"));
}

/* A root with a prefix, on a stream whose header set no default namespace: its children without a
 * prefix are in no namespace, and must not fall into the receiver's default one. */
static bool leans_on_no_default(const struct step *step)
{
    const struct xml_node *root = xml_root(step->item);
    const struct xml_node *node = NULL;
    if (stream_scope(step->stream) != XML_SCOPE_NONE || root->prefix_size == 0)
        return false;
    while ((node = xml_attribute_next(step->item, root, node)) != NULL)
        if (node->kind == XML_NODE_DECLARATION && node->prefix_size == 0)
            return false;
    return true;
}

static void write_tag(struct step *step, const struct stanza *head)
{
    const struct xml_item *item = step->item;
    const struct xml_node *root = xml_root(item);
    struct writer *into = &step->routed;
    write_u8(into, '<');
    write_bytes(into, qualified_name(item, root));
    stanza_write_address(into, "from", &head->from);
    stanza_write_address(into, "to", &head->to);
    if (leans_on_no_default(step))
        write_string(into, " xmlns=''");
    for (const struct xml_node *node = xml_attribute_next(item, root, NULL); node != NULL;
         node = xml_attribute_next(item, root, node)) {
        if (is_address(item, node))
            continue;
        write_u8(into, ' ');
        write_bytes(into, xml_node_bytes(item, node));
    }
    write_u8(into, '>');
}

/* Whether an attribute names our domain, or an address at it. */
static bool is_ours(struct step *step, const struct xml_node *node, struct bytes name)
{
    const struct xml_node *attribute = xml_attribute(step->item, node, name);
    struct jid jid;
    if (attribute == NULL)
        return false;
    struct writer names = step->names; /* what is prepared here is not kept */
    bool is_address_of_ours =
        !read_address(step, attribute, &jid) && bytes_equal(jid.domain, step->xmpp->domain);
    step->names = names;
    return is_address_of_ours;
}

static bool is_for_servers_only(struct step *step, const struct xml_node *node)
{
    if (node->kind != XML_NODE_ELEMENT)
        return false;
    switch ((enum xml_ns)node->ns) {
    case XML_NS_ANDROIDPN_NOTIFICATION:
    case XML_NS_OCCUPANT_ID:
        return true;
    case XML_NS_STANZA_ID: /* XEP-0359 section 5, business rules */
        return bytes_equal(xml_local_name(step->item, node), BYTES("stanza-id"));
    case XML_NS_DELAY:
        return is_ours(step, node, BYTES("from"));
    default:
        return false;
    }
}

struct bytes stanza_stamp(struct step *step, const struct stanza *head)
{
    const struct xml_item *item = step->item;
    const struct xml_node *root = xml_root(item);
    struct writer *into = &step->routed;
    size_t start = into->size;
    write_tag(step, head);
    for (const struct xml_node *node = xml_child_any(item, root); node != NULL;
         node = xml_next_any(item, node)) {
        if (is_for_servers_only(step, node))
            step_count(step, METRIC_XMPP_ELEMENTS_DROPPED);
        else
            write_bytes(into, xml_node_bytes(item, node));
    }
    write_string(into, "</");
    write_bytes(into, qualified_name(item, root));
    write_u8(into, '>');
    ASSERT(!into->is_overflown); /* routed_scratch is sized for the largest stanza */
    return bytes_from(writer_bytes(into), start);
}
