/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps within a start tag: names (XML 1.0 2.3, Namespaces 1.0 section 4), attributes and their
 * values (3.1, 3.3.3), declarations of namespaces and what they mean for the tag (Namespaces 1.0
 * sections 3, 5, 6), and at its > the checks that need the whole tag. xml_fast.c does the common
 * case. */
#include "xml_char.h"
#include "xml_reader.h"

/* ---- names ---- */

struct qualified {
    uint32_t end; /* offset behind it */
    uint32_t prefix_size;
    uint32_t name_size;
};

/* An NCName from *at on. ON: *at is behind it, at an octet that is there. */
static enum xml_step step_part(struct xml_reader *reader, uint32_t *at)
{
    uint32_t first = *at;
    for (;;) {
        *at = xml_find(reader, reader->map.name, *at);
        if (*at - first > XML_NAME_BYTES_MAX)
            return xml_step_bad(reader, XML_FAULT_NAME_TOO_LONG, first);
        if (*at == reader->input.size)
            return XML_STEP_MORE;
        if (reader->input.at[*at] < 0x80)
            break;
        struct xml_taken taken = xml_take_char(bytes_from(reader->input, *at));
        if (taken.take == XML_TAKE_CUT)
            return XML_STEP_MORE;
        if (taken.take == XML_TAKE_BAD)
            return xml_step_bad(reader, taken.fault, *at);
        if (!(*at == first ? xml_is_name_start(taken.code_point)
                           : xml_is_name_char(taken.code_point)))
            return xml_step_bad(reader, XML_FAULT_NAME, *at);
        *at += taken.size;
    }
    uint8_t octet = reader->input.at[first];
    if (*at == first || (octet < 0x80 && !xml_is_ascii_name_start(octet)))
        return xml_step_bad(reader, XML_FAULT_NAME, first);
    return XML_STEP_ON;
}

static enum xml_step step_qualified(struct xml_reader *reader, uint32_t at, struct qualified *name)
{
    uint32_t end = at;
    enum xml_step step = step_part(reader, &end);
    name->prefix_size = 0;
    name->name_size = end - at;
    if (step == XML_STEP_ON && reader->input.at[end] == ':') {
        uint32_t local_at = ++end;
        name->prefix_size = name->name_size;
        step = step_part(reader, &end);
        name->name_size = end - local_at;
    }
    if (step == XML_STEP_ON && reader->input.at[end] == ':')
        return xml_step_bad(reader, XML_FAULT_NAME, end);
    name->end = end;
    return step;
}

static uint32_t qualified_size(const struct xml_node *node)
{
    return node->name_size + (node->prefix_size == 0 ? 0u : node->prefix_size + 1u);
}

static void set_name(struct xml_node *node, const struct qualified *name)
{
    node->prefix_size = (uint8_t)name->prefix_size;
    node->name_size = (uint8_t)name->name_size;
}

/* ---- the tag begins ---- */

enum xml_step xml_step_open(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    struct qualified name;
    enum xml_step step = step_qualified(reader, progress->pos + 1, &name);
    if (step != XML_STEP_ON)
        return step;
    if (progress->depth >= reader->limits->depth_max)
        return xml_step_bad(reader, XML_FAULT_TOO_DEEP, progress->pos);
    struct xml_node *node = xml_push(reader, XML_NODE_ELEMENT, progress->pos);
    if (node == NULL)
        return XML_STEP_BAD;
    set_name(node, &name);
    uint32_t size = qualified_size(node);
    struct xml_level *level = &progress->levels[progress->depth + 1];
    *level = progress->levels[progress->depth];
    level->node = progress->node_count - 1;
    level->name_at = progress->pos + 1;
    level->short_size = size <= 16 ? (uint8_t)size : 0;
    progress->names_seen = 0;
    progress->has_prefixes = 0;
    progress->pos = name.end;
    progress->phase = XML_PHASE_TAG;
    return XML_STEP_ON;
}

/* ---- namespaces ---- */

static struct bytes octets_of(const struct xml_reader *reader, uint32_t at, uint32_t size)
{
    return bytes_of(reader->input.at + at, size);
}

/* Prefix of an element or attribute. */
static struct bytes prefix_of(const struct xml_reader *reader, const struct xml_node *node)
{
    return octets_of(reader, node->at + (node->kind == XML_NODE_ELEMENT), node->prefix_size);
}

static struct bytes local_of(const struct xml_reader *reader, const struct xml_node *node)
{
    uint32_t at = node->at + (node->kind == XML_NODE_ELEMENT);
    return octets_of(reader, at + qualified_size(node) - node->name_size, node->name_size);
}

/* The namespace a declaration names, by number. */
static enum xml_ns declared_ns(const struct xml_reader *reader, const struct xml_node *node)
{
    uint8_t decoded[XML_NS_URI_BYTES_MAX + 1];
    struct bytes uri = octets_of(reader, node->inner_at, node->inner_end - node->inner_at);
    if ((node->flags & XML_NODE_IS_ESCAPED) != 0) {
        struct writer writer = writer_of(decoded, sizeof(decoded));
        xml_decode_raw(uri, XML_NODE_ATTRIBUTE, &writer);
        if (writer.is_overflown)
            return XML_NS_OTHER;
        uri = writer_bytes(&writer);
    }
    return xml_ns_find(&reader->ns_table, uri);
}

static enum xml_step declare_default(struct xml_reader *reader, const struct xml_node *node)
{
    if (node->ns == XML_NS_XML || node->ns == XML_NS_XMLNS)
        return xml_step_bad(reader, XML_FAULT_PREFIX_RESERVED, node->at);
    struct xml_level *level = &reader->progress.levels[reader->progress.depth + 1];
    level->default_ns = node->ns;
    level->default_node = node->ns_node;
    return XML_STEP_ON;
}

/* Namespaces 1.0 section 3: xml is bound for ever and may only be bound to itself, xmlns may not be
 * declared, nothing else may be bound to either, and a prefix cannot be unbound. */
static enum xml_step declare_prefix(struct xml_reader *reader, const struct xml_node *node)
{
    struct bytes prefix = local_of(reader, node);
    bool is_xml = bytes_equal(prefix, BYTES("xml"));
    if (bytes_equal(prefix, BYTES("xmlns")) || node->ns == XML_NS_XMLNS ||
        is_xml != (node->ns == XML_NS_XML))
        return xml_step_bad(reader, XML_FAULT_PREFIX_RESERVED, node->at);
    if (node->ns == XML_NS_NONE)
        return xml_step_bad(reader, XML_FAULT_PREFIX_EMPTY, node->at);
    if (is_xml)
        return XML_STEP_ON;
    struct xml_level *level = &reader->progress.levels[reader->progress.depth + 1];
    if (level->prefix_count == XML_PREFIXES_MAX)
        return xml_step_bad(reader, XML_FAULT_TOO_MANY_PREFIXES, node->at);
    reader->progress.prefixes[level->prefix_count++] = node->ns_node;
    return XML_STEP_ON;
}

/* A finished attribute: a declaration takes effect, a prefix waits for the end of the tag. */
static enum xml_step finish_attribute(struct xml_reader *reader)
{
    struct xml_node *node = xml_last_node(reader);
    bool is_prefixed = bytes_equal(prefix_of(reader, node), BYTES("xmlns"));
    bool is_default = node->prefix_size == 0 && bytes_equal(local_of(reader, node), BYTES("xmlns"));
    if (!is_prefixed && !is_default) {
        reader->progress.has_prefixes |= node->prefix_size != 0;
        return XML_STEP_ON;
    }
    node->kind = XML_NODE_DECLARATION;
    node->ns = (uint16_t)declared_ns(reader, node);
    node->ns_node = reader->progress.node_count - 1;
    return is_default ? declare_default(reader, node) : declare_prefix(reader, node);
}

/* Gives a node with a prefix its namespace. */
static enum xml_step resolve(struct xml_reader *reader, struct xml_node *node)
{
    const struct xml_level *level = &reader->progress.levels[reader->progress.depth + 1];
    struct bytes prefix = prefix_of(reader, node);
    for (uint32_t i = level->prefix_count; i-- > 0;) {
        const struct xml_node *declaration = &reader->nodes[reader->progress.prefixes[i]];
        if (!bytes_equal(local_of(reader, declaration), prefix))
            continue;
        node->ns = declaration->ns;
        node->ns_node = declaration->ns_node;
        return XML_STEP_ON;
    }
    if (bytes_equal(prefix, BYTES("xml")))
        node->ns = XML_NS_XML;
    else if (bytes_equal(prefix, BYTES("stream")) && reader->progress.kind != XML_ITEM_HEADER)
        node->ns = XML_NS_STREAMS;
    else
        return xml_step_bad(reader, XML_FAULT_PREFIX_UNDECLARED, node->at);
    return XML_STEP_ON;
}

static bool is_same_ns(const struct xml_reader *reader, const struct xml_node *a,
                       const struct xml_node *b)
{
    if (a->ns != b->ns || a->ns != XML_NS_OTHER || a->ns_node == b->ns_node)
        return a->ns == b->ns;
    struct xml_item item = {.nodes = reader->nodes, .input = reader->input};
    const struct xml_node *uri = &reader->nodes[b->ns_node];
    if (((reader->nodes[a->ns_node].flags | uri->flags) & XML_NODE_IS_ESCAPED) == 0)
        return bytes_equal(xml_inner_bytes(&item, &reader->nodes[a->ns_node]),
                           xml_inner_bytes(&item, uri));
    return xml_is_same_value(&item, &reader->nodes[a->ns_node], uri);
}

/* Namespaces 1.0 section 6.3: no two attributes with one namespace and one local name. */
static enum xml_step resolve_attributes(struct xml_reader *reader, uint32_t first)
{
    for (uint32_t i = first; i < reader->progress.node_count; i++) {
        struct xml_node *node = &reader->nodes[i];
        if (node->kind != XML_NODE_ATTRIBUTE || node->prefix_size == 0)
            continue;
        if (resolve(reader, node) != XML_STEP_ON)
            return XML_STEP_BAD;
        for (uint32_t j = first; j < i; j++) {
            const struct xml_node *other = &reader->nodes[j];
            if (other->kind == XML_NODE_ATTRIBUTE && other->prefix_size != 0 &&
                bytes_equal(local_of(reader, other), local_of(reader, node)) &&
                is_same_ns(reader, other, node))
                return xml_step_bad(reader, XML_FAULT_ATTRIBUTE_TWICE, node->at);
        }
    }
    return XML_STEP_ON;
}

static enum xml_step resolve_tag(struct xml_reader *reader)
{
    struct xml_level *level = &reader->progress.levels[reader->progress.depth + 1];
    struct xml_node *node = &reader->nodes[level->node];
    node->attribute_count = (uint8_t)(reader->progress.node_count - level->node - 1);
    node->ns = level->default_ns;
    node->ns_node = level->default_node;
    if (node->prefix_size != 0 && resolve(reader, node) != XML_STEP_ON)
        return XML_STEP_BAD;
    if (reader->progress.has_prefixes == 0)
        return XML_STEP_ON;
    return resolve_attributes(reader, level->node + 1);
}

/* ---- the tag ends ---- */

/* RFC 6120 sections 4.8.1 to 4.8.5. */
static enum xml_step finish_header(struct xml_reader *reader)
{
    const struct xml_level *level = &reader->progress.levels[1];
    const struct xml_node *node = &reader->nodes[level->node];
    if (node->ns != XML_NS_STREAMS)
        return xml_step_bad(reader, XML_FAULT_STREAM_NAMESPACE, node->at);
    if (!bytes_equal(local_of(reader, node), BYTES("stream")))
        return xml_step_bad(reader, XML_FAULT_STREAM_NAME, node->at);
    if (!bytes_equal(prefix_of(reader, node), BYTES("stream")))
        return xml_step_bad(reader, XML_FAULT_STREAM_PREFIX, node->at);
    if (level->default_ns != XML_NS_NONE && level->default_ns != XML_NS_CLIENT &&
        level->default_ns != XML_NS_SERVER)
        return xml_step_bad(reader, XML_FAULT_STREAM_NAMESPACE, node->at);
    return XML_STEP_DONE;
}

/* At > (size 1) or /> (size 2). */
static enum xml_step finish_tag(struct xml_reader *reader, uint32_t size)
{
    struct xml_progress *progress = &reader->progress;
    if (resolve_tag(reader) != XML_STEP_ON)
        return XML_STEP_BAD;
    struct xml_node *node = &reader->nodes[progress->levels[progress->depth + 1].node];
    progress->pos += size;
    node->inner_at = progress->pos;
    progress->phase = XML_PHASE_CONTENT;
    if (progress->kind == XML_ITEM_HEADER) {
        if (size == 2)
            return xml_step_bad(reader, XML_FAULT_STREAM_NAME, node->at);
        node->inner_end = node->end = progress->pos;
        node->next = progress->node_count;
        return finish_header(reader);
    }
    progress->depth++;
    return size == 2 ? xml_close(reader, progress->pos, progress->pos) : XML_STEP_ON;
}

/* At / or >, or anything else that cannot stand. */
static enum xml_step step_tag_end(struct xml_reader *reader)
{
    uint32_t pos = reader->progress.pos;
    uint8_t octet = reader->input.at[pos];
    if (octet == '>')
        return finish_tag(reader, 1);
    if (octet != '/')
        return xml_step_bad(reader, XML_FAULT_SYNTAX, pos);
    if (pos + 1 == reader->input.size)
        return XML_STEP_MORE;
    if (reader->input.at[pos + 1] != '>')
        return xml_step_bad(reader, XML_FAULT_SYNTAX, pos + 1);
    return finish_tag(reader, 2);
}

enum xml_step xml_step_tag(struct xml_reader *reader)
{
    if (reader->progress.pos == reader->input.size)
        return XML_STEP_MORE;
    if (!xml_is_space(reader->input.at[reader->progress.pos]))
        return step_tag_end(reader);
    reader->progress.phase = XML_PHASE_TAG_SPACE;
    return XML_STEP_ON;
}

/* ---- attributes ---- */

static bool has_attribute(const struct xml_reader *reader, uint32_t at,
                          const struct qualified *name)
{
    const struct xml_progress *progress = &reader->progress;
    for (uint32_t i = progress->levels[progress->depth + 1].node + 1; i < progress->node_count;
         i++) {
        const struct xml_node *other = &reader->nodes[i];
        if (other->prefix_size == name->prefix_size && other->name_size == name->name_size &&
            bytes_equal(octets_of(reader, other->at, qualified_size(other)),
                        octets_of(reader, at, name->end - at)))
            return true;
    }
    return false;
}

static enum xml_step step_attribute_name(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    uint32_t at = progress->pos;
    struct qualified name;
    enum xml_step step = step_qualified(reader, at, &name);
    if (step != XML_STEP_ON)
        return step;
    if (has_attribute(reader, at, &name))
        return xml_step_bad(reader, XML_FAULT_ATTRIBUTE_TWICE, at);
    uint32_t count = progress->node_count - progress->levels[progress->depth + 1].node - 1;
    if (count >= reader->limits->attributes_max)
        return xml_step_bad(reader, XML_FAULT_TOO_MANY_ATTRIBUTES, at);
    struct xml_node *node = xml_push(reader, XML_NODE_ATTRIBUTE, at);
    if (node == NULL)
        return XML_STEP_BAD;
    set_name(node, &name);
    progress->names_seen |= xml_name_bit(reader->input.at + at, name.end - at);
    progress->pos = name.end;
    progress->phase = XML_PHASE_EQUALS;
    return XML_STEP_ON;
}

/* Moves pos over white space; false when nothing is behind it yet. */
static bool skip_space(struct xml_reader *reader)
{
    uint32_t *pos = &reader->progress.pos;
    while (*pos < reader->input.size && xml_is_space(reader->input.at[*pos]))
        ++*pos;
    return *pos < reader->input.size;
}

enum xml_step xml_step_tag_space(struct xml_reader *reader)
{
    if (!skip_space(reader))
        return XML_STEP_MORE;
    uint8_t octet = reader->input.at[reader->progress.pos];
    if (octet == '>' || octet == '/')
        return step_tag_end(reader);
    return step_attribute_name(reader);
}

enum xml_step xml_step_equals(struct xml_reader *reader)
{
    if (!skip_space(reader))
        return XML_STEP_MORE;
    if (reader->input.at[reader->progress.pos] != '=')
        return xml_step_bad(reader, XML_FAULT_SYNTAX, reader->progress.pos);
    reader->progress.pos++;
    reader->progress.phase = XML_PHASE_QUOTE;
    return XML_STEP_ON;
}

enum xml_step xml_step_quote(struct xml_reader *reader)
{
    if (!skip_space(reader))
        return XML_STEP_MORE;
    uint8_t octet = reader->input.at[reader->progress.pos];
    if (octet != '"' && octet != '\'')
        return xml_step_bad(reader, XML_FAULT_SYNTAX, reader->progress.pos);
    reader->progress.quote = octet;
    reader->progress.pos++;
    xml_last_node(reader)->inner_at = reader->progress.pos;
    reader->progress.phase = XML_PHASE_VALUE;
    return XML_STEP_ON;
}

enum xml_step xml_step_value(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    progress->pos = xml_find(reader, reader->map.value, progress->pos);
    if (progress->pos == reader->input.size)
        return XML_STEP_MORE;
    uint8_t octet = reader->input.at[progress->pos];
    if (octet == '&')
        return xml_step_reference(reader);
    if (octet == '<')
        return xml_step_bad(reader, XML_FAULT_SYNTAX, progress->pos);
    struct xml_node *node = xml_last_node(reader);
    progress->pos++;
    if (octet == progress->quote) {
        node->inner_end = progress->pos - 1;
        node->end = progress->pos;
        progress->phase = XML_PHASE_TAG;
        return finish_attribute(reader);
    }
    if (octet != '"' && octet != '\'')
        node->flags |= XML_NODE_IS_ESCAPED;
    return XML_STEP_ON;
}
