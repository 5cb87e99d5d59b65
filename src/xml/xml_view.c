/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at a finished item: walking the tape and decoding what the sender wrote (XML 1.0 sections
 * 2.11 line ends, 3.3.3 attribute values, 4.1 references). Every node here was judged by the
 * reader, so a reference that does not read is our bug, not the sender's. */
#include "stentor/text.h"

#include "xml_char.h"
#include "xml_reader.h"

/* ---- namespaces ---- */

struct bytes xml_ns_uri(const struct xml_item *item, const struct xml_node *node)
{
    if (node->ns != XML_NS_OTHER)
        return xml_ns_known_uri((enum xml_ns)node->ns);
    ASSERT(node->ns_node < item->node_count);
    return xml_inner_bytes(item, &item->nodes[node->ns_node]);
}

/* ---- decoding ---- */

/* Decoded octets of a raw run, a few at a time. */
struct decoder {
    struct cursor raw;
    enum xml_node_kind kind;
    struct writer piece;
    uint8_t octets[4];
    size_t taken; /* of piece */
};

static struct decoder decoder_of(struct bytes raw, enum xml_node_kind kind)
{
    return (struct decoder){.raw = cursor_of(raw), .kind = kind};
}

static bool is_value(enum xml_node_kind kind)
{
    return kind == XML_NODE_ATTRIBUTE || kind == XML_NODE_DECLARATION;
}

static bool is_plain(enum xml_node_kind kind, uint8_t octet)
{
    if (octet == '&')
        return kind == XML_NODE_CDATA;
    return octet != '\r' && !(is_value(kind) && (octet == '\n' || octet == '\t'));
}

/* Writes what one octet or reference at the cursor, not plain, stands for. */
static void decode_special(struct cursor *raw, enum xml_node_kind kind, struct writer *into)
{
    uint8_t octet = *raw->at;
    if (octet == '&') {
        struct xml_taken taken = xml_take_reference(bytes_of(raw->at, cursor_left(raw)));
        ASSERT(taken.take == XML_TAKE_OK);
        raw->at += taken.size;
        write_utf8(into, taken.code_point);
        return;
    }
    raw->at++;
    if (octet == '\r' && cursor_left(raw) > 0 && *raw->at == '\n')
        raw->at++;
    write_u8(into, is_value(kind) ? ' ' : '\n');
}

void xml_decode_raw(struct bytes raw, enum xml_node_kind kind, struct writer *into)
{
    struct cursor cursor = cursor_of(raw);
    while (cursor_left(&cursor) > 0) {
        const uint8_t *run = cursor.at;
        while (cursor_left(&cursor) > 0 && is_plain(kind, *cursor.at))
            cursor.at++;
        write_bytes(into, bytes_of(run, (size_t)(cursor.at - run)));
        if (cursor_left(&cursor) > 0)
            decode_special(&cursor, kind, into);
    }
}

/* One decoded octet; false at the end. */
static bool decoder_u8(struct decoder *decoder, uint8_t *octet)
{
    if (decoder->taken == decoder->piece.size) {
        if (cursor_left(&decoder->raw) == 0)
            return false;
        decoder->piece = writer_of(decoder->octets, sizeof(decoder->octets));
        decoder->taken = 0;
        if (is_plain(decoder->kind, *decoder->raw.at))
            write_u8(&decoder->piece, *decoder->raw.at++);
        else
            decode_special(&decoder->raw, decoder->kind, &decoder->piece);
    }
    *octet = decoder->octets[decoder->taken++];
    return true;
}

bool xml_is_same_value(const struct xml_item *item, const struct xml_node *a,
                       const struct xml_node *b)
{
    struct decoder one = decoder_of(xml_inner_bytes(item, a), XML_NODE_ATTRIBUTE);
    struct decoder two = decoder_of(xml_inner_bytes(item, b), XML_NODE_ATTRIBUTE);
    for (;;) {
        uint8_t x = 0;
        uint8_t y = 0;
        bool has_x = decoder_u8(&one, &x);
        bool has_y = decoder_u8(&two, &y);
        if (has_x != has_y || x != y)
            return false;
        if (!has_x)
            return true;
    }
}

/* Whether the decoded inner octets of node are value. */
static bool is_decoded(const struct xml_item *item, const struct xml_node *node, struct bytes value)
{
    struct bytes raw = xml_inner_bytes(item, node);
    if ((node->flags & XML_NODE_IS_ESCAPED) == 0)
        return bytes_equal(raw, value);
    struct decoder decoder = decoder_of(raw, (enum xml_node_kind)node->kind);
    struct cursor cursor = cursor_of(value);
    for (;;) {
        uint8_t x = 0;
        uint8_t y = 0;
        bool has_x = decoder_u8(&decoder, &x);
        bool has_y = cursor_u8(&cursor, &y);
        if (has_x != has_y || x != y)
            return false;
        if (!has_x)
            return true;
    }
}

void xml_decode(const struct xml_item *item, const struct xml_node *node, struct writer *into)
{
    ASSERT(node->kind != XML_NODE_ELEMENT && node->kind != XML_NODE_END);
    struct bytes raw = xml_inner_bytes(item, node);
    if ((node->flags & XML_NODE_IS_ESCAPED) == 0)
        write_bytes(into, raw);
    else
        xml_decode_raw(raw, (enum xml_node_kind)node->kind, into);
}

struct bytes xml_value(const struct xml_item *item, const struct xml_node *node,
                       struct writer *into)
{
    if (node == NULL)
        return bytes_of(item->input.at, 0);
    if ((node->flags & XML_NODE_IS_ESCAPED) == 0)
        return xml_inner_bytes(item, node);
    size_t first = into->size;
    xml_decode(item, node, into);
    return bytes_of(into->at + first, into->size - first);
}

bool xml_ns_uri_is(const struct xml_item *item, const struct xml_node *node, struct bytes uri)
{
    if (node->ns != XML_NS_OTHER)
        return bytes_equal(xml_ns_known_uri((enum xml_ns)node->ns), uri);
    return is_decoded(item, &item->nodes[node->ns_node], uri);
}

/* ---- attributes ---- */

const struct xml_node *xml_attribute_next(const struct xml_item *item,
                                          const struct xml_node *element,
                                          const struct xml_node *attribute)
{
    ASSERT(element->kind == XML_NODE_ELEMENT);
    const struct xml_node *next = attribute == NULL ? element + 1 : attribute + 1;
    ASSERT(next > item->nodes);
    return next - element <= element->attribute_count ? next : NULL;
}

const struct xml_node *xml_attribute_ns(const struct xml_item *item, const struct xml_node *element,
                                        enum xml_ns ns, struct bytes local)
{
    const struct xml_node *node = NULL;
    while ((node = xml_attribute_next(item, element, node)) != NULL)
        if (node->kind == XML_NODE_ATTRIBUTE && xml_name_is(item, node, ns, local))
            return node;
    return NULL;
}

const struct xml_node *xml_attribute(const struct xml_item *item, const struct xml_node *element,
                                     struct bytes name)
{
    return xml_attribute_ns(item, element, XML_NS_NONE, name);
}

bool xml_attribute_is(const struct xml_item *item, const struct xml_node *element,
                      struct bytes name, struct bytes value)
{
    const struct xml_node *node = xml_attribute(item, element, name);
    return node != NULL && is_decoded(item, node, value);
}

/* ---- children ---- */

const struct xml_node *xml_child_any(const struct xml_item *item, const struct xml_node *element)
{
    ASSERT(element->kind == XML_NODE_ELEMENT);
    const struct xml_node *child = element + 1 + element->attribute_count;
    return child < item->nodes + element->next ? child : NULL;
}

const struct xml_node *xml_next_any(const struct xml_item *item, const struct xml_node *node)
{
    const struct xml_node *next = &item->nodes[node->next];
    return next->depth == node->depth ? next : NULL;
}

/* node itself or the first element among its next siblings. */
static const struct xml_node *element_from(const struct xml_item *item, const struct xml_node *node)
{
    while (node != NULL && node->kind != XML_NODE_ELEMENT)
        node = xml_next_any(item, node);
    return node;
}

const struct xml_node *xml_child(const struct xml_item *item, const struct xml_node *element)
{
    return element_from(item, xml_child_any(item, element));
}

const struct xml_node *xml_next(const struct xml_item *item, const struct xml_node *element)
{
    return element_from(item, xml_next_any(item, element));
}

const struct xml_node *xml_child_named(const struct xml_item *item, const struct xml_node *element,
                                       enum xml_ns ns, struct bytes local)
{
    const struct xml_node *child = xml_child(item, element);
    while (child != NULL && !xml_name_is(item, child, ns, local))
        child = xml_next(item, child);
    return child;
}

void xml_text(const struct xml_item *item, const struct xml_node *element, struct writer *into)
{
    const struct xml_node *node = xml_child_any(item, element);
    for (; node != NULL; node = xml_next_any(item, node))
        if (node->kind != XML_NODE_ELEMENT)
            xml_decode(item, node, into);
}
