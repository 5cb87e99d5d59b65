/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar, one phase a step (XML 1.0 section 2, 3; RFC 6120 section 11.1). A step reads one
 * token or as much of a long one as is there, commits it and moves the phase on; if the octets end
 * within a token that must be seen whole (a name, a reference, the few octets that tell markup
 * apart) it returns MORE and has changed nothing. Start tags are in xml_tag.c. */
#include "xml_char.h"
#include "xml_reader.h"

struct xml_node *xml_push(struct xml_reader *reader, enum xml_node_kind kind, uint32_t at)
{
    struct xml_progress *progress = &reader->progress;
    if (progress->node_count >= reader->limits->nodes_max) {
        (void)xml_step_bad(reader, XML_FAULT_TOO_MANY_NODES, at);
        return NULL;
    }
    struct xml_node *node = &reader->nodes[progress->node_count++];
    *node = (struct xml_node){
        .kind = (uint8_t)kind,
        .depth = (uint8_t)(progress->depth + 1),
        .at = at,
        .next = progress->node_count,
    };
    if (kind == XML_NODE_ATTRIBUTE)
        node->depth++; /* depth does not count its element yet */
    return node;
}

uint32_t xml_find(struct xml_reader *reader, const uint64_t *bits, uint32_t pos)
{
    struct xml_map *map = &reader->map;
    if (pos < map->at || pos > map->end)
        xml_map_fill(map, reader->scanner, reader->input, pos);
    for (;;) {
        pos = (uint32_t)xml_map_next(xml_map_bits(map, bits), pos);
        if (pos < map->end)
            return pos;
        if (map->end == reader->input.size)
            return map->end;
        pos = map->end;
        xml_map_fill(map, reader->scanner, reader->input, pos);
    }
}

/* ---- text ---- */

enum xml_step xml_step_reference(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    struct xml_taken taken = xml_take_reference(bytes_from(reader->input, progress->pos));
    if (taken.take == XML_TAKE_CUT)
        return XML_STEP_MORE;
    if (taken.take == XML_TAKE_BAD)
        return xml_step_bad(reader, taken.fault, progress->pos);
    xml_last_node(reader)->flags |= XML_NODE_IS_ESCAPED;
    progress->pos += taken.size;
    return XML_STEP_ON;
}

/* At a >, in text or CDATA, so that more than two octets of markup precede it, the last not a ]. */
static bool ends_cdata(const struct xml_reader *reader)
{
    const uint8_t *at = reader->input.at + reader->progress.pos;
    return at[-1] == ']' && at[-2] == ']';
}

static enum xml_step step_text(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    struct xml_node *node = xml_last_node(reader);
    progress->pos = xml_find(reader, reader->map.text, progress->pos);
    if (progress->pos == reader->input.size)
        return XML_STEP_MORE;
    switch (reader->input.at[progress->pos]) {
    case '<':
        node->end = node->inner_end = progress->pos;
        progress->phase = XML_PHASE_CONTENT;
        return XML_STEP_ON;
    case '&':
        return xml_step_reference(reader);
    case '>':
        if (ends_cdata(reader))
            return xml_step_bad(reader, XML_FAULT_CDATA_END, progress->pos - 2);
        break;
    default: /* CR */
        node->flags |= XML_NODE_IS_ESCAPED;
    }
    progress->pos++;
    return XML_STEP_ON;
}

static enum xml_step step_cdata(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    struct xml_node *node = xml_last_node(reader);
    progress->pos = xml_find(reader, reader->map.text, progress->pos);
    if (progress->pos == reader->input.size)
        return XML_STEP_MORE;
    uint8_t octet = reader->input.at[progress->pos];
    if (octet == '>' && ends_cdata(reader)) {
        node->inner_end = progress->pos - 2;
        node->end = progress->pos + 1;
        progress->phase = XML_PHASE_CONTENT;
    }
    if (octet == '\r')
        node->flags |= XML_NODE_IS_ESCAPED;
    progress->pos++;
    return XML_STEP_ON;
}

/* ---- markup ---- */

/* How much of literal stands at pos: all, a part that may become all, or something else. */
static enum xml_take look_for(const struct xml_reader *reader, uint32_t pos, struct bytes literal)
{
    struct bytes rest = bytes_from(reader->input, pos);
    size_t size = rest.size < literal.size ? rest.size : literal.size;
    if (size != 0 && memcmp(rest.at, literal.at, size) != 0)
        return XML_TAKE_BAD;
    return size == literal.size ? XML_TAKE_OK : XML_TAKE_CUT;
}

static enum xml_step step_cdata_start(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    enum xml_take take = look_for(reader, progress->pos, BYTES("<![CDATA["));
    if (take == XML_TAKE_CUT)
        return XML_STEP_MORE;
    if (take == XML_TAKE_BAD)
        return xml_step_bad(reader, XML_FAULT_SYNTAX, progress->pos);
    if (progress->depth == 0)
        return xml_step_bad(reader, XML_FAULT_TEXT_OUTSIDE, progress->pos);
    struct xml_node *node = xml_push(reader, XML_NODE_CDATA, progress->pos);
    if (node == NULL)
        return XML_STEP_BAD;
    progress->pos += 9;
    node->inner_at = progress->pos;
    progress->phase = XML_PHASE_CDATA;
    return XML_STEP_ON;
}

/* At <! */
static enum xml_step step_declaration(struct xml_reader *reader)
{
    static const struct {
        struct bytes literal;
        enum xml_fault fault;
    } refused[] = {
        {{(const uint8_t *)"<!--", 4}, XML_FAULT_COMMENT},
        {{(const uint8_t *)"<!DOCTYPE", 9}, XML_FAULT_DOCTYPE},
    };
    uint32_t pos = reader->progress.pos;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        enum xml_take take = look_for(reader, pos, refused[i].literal);
        if (take == XML_TAKE_OK)
            return xml_step_bad(reader, refused[i].fault, pos);
        if (take == XML_TAKE_CUT)
            return XML_STEP_MORE;
    }
    return step_cdata_start(reader);
}

enum xml_step xml_close(struct xml_reader *reader, uint32_t inner_end, uint32_t end)
{
    struct xml_progress *progress = &reader->progress;
    struct xml_node *node = &reader->nodes[progress->levels[progress->depth].node];
    node->inner_end = inner_end;
    node->end = end;
    node->next = progress->node_count;
    progress->pos = end;
    progress->phase = XML_PHASE_CONTENT;
    return --progress->depth == 0 ? XML_STEP_DONE : XML_STEP_ON;
}

static enum xml_step end_stream(struct xml_reader *reader, uint32_t end)
{
    reader->progress.kind = XML_ITEM_STREAM_END;
    reader->progress.pos = end;
    return XML_STEP_DONE;
}

/* The name that an end tag must have: the innermost element's, or the stream's. */
static struct bytes expected_name(const struct xml_reader *reader)
{
    const struct xml_level *level = &reader->progress.levels[reader->progress.depth];
    if (reader->progress.depth == 0)
        return BYTES("stream:stream");
    const struct xml_node *node = &reader->nodes[level->node];
    uint32_t size = node->name_size + (node->prefix_size == 0 ? 0u : node->prefix_size + 1u);
    return bytes_of(reader->input.at + level->name_at, size);
}

/* Behind the name of an end tag, white space passed. */
static enum xml_step step_end_space(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    while (progress->pos < reader->input.size && xml_is_space(reader->input.at[progress->pos]))
        progress->pos++;
    if (progress->pos == reader->input.size)
        return XML_STEP_MORE;
    if (reader->input.at[progress->pos] != '>')
        return xml_step_bad(reader, XML_FAULT_END_TAG, progress->pos);
    if (progress->depth == 0)
        return end_stream(reader, progress->pos + 1);
    struct xml_node *node = &reader->nodes[progress->levels[progress->depth].node];
    return xml_close(reader, node->inner_end, progress->pos + 1);
}

/* At </ */
static enum xml_step step_end_tag(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    struct bytes name = expected_name(reader);
    enum xml_take take = look_for(reader, progress->pos + 2, name);
    if (take == XML_TAKE_BAD)
        return xml_step_bad(reader, XML_FAULT_END_TAG, progress->pos);
    if (take == XML_TAKE_CUT)
        return XML_STEP_MORE;
    if (progress->depth != 0)
        reader->nodes[progress->levels[progress->depth].node].inner_end = progress->pos;
    progress->pos += 2 + (uint32_t)name.size;
    progress->phase = XML_PHASE_END_SPACE;
    return XML_STEP_ON;
}

static enum xml_step step_markup(struct xml_reader *reader)
{
    uint32_t pos = reader->progress.pos;
    if (pos + 1 == reader->input.size)
        return XML_STEP_MORE;
    switch (reader->input.at[pos + 1]) {
    case '/':
        if (reader->progress.kind == XML_ITEM_HEADER)
            return xml_step_bad(reader, XML_FAULT_STREAM_NAME, pos);
        return step_end_tag(reader);
    case '!':
        return step_declaration(reader);
    case '?':
        return xml_step_bad(reader, XML_FAULT_INSTRUCTION, pos);
    default:
        return xml_step_open(reader);
    }
}

static enum xml_step step_content(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    if (progress->pos == reader->input.size)
        return XML_STEP_MORE;
    if (reader->input.at[progress->pos] == '<')
        return step_markup(reader);
    if (progress->depth == 0)
        return xml_step_bad(reader, XML_FAULT_TEXT_OUTSIDE, progress->pos);
    struct xml_node *node = xml_push(reader, XML_NODE_TEXT, progress->pos);
    if (node == NULL)
        return XML_STEP_BAD;
    node->inner_at = progress->pos;
    progress->phase = XML_PHASE_TEXT;
    return XML_STEP_ON;
}

enum xml_step xml_step(struct xml_reader *reader)
{
    switch ((enum xml_phase)reader->progress.phase) {
    case XML_PHASE_DECLARATION:
        return xml_step_declaration(reader);
    case XML_PHASE_PROLOG:
        return xml_step_prolog(reader);
    case XML_PHASE_START:
    case XML_PHASE_CONTENT:
        return step_content(reader);
    case XML_PHASE_TEXT:
        return step_text(reader);
    case XML_PHASE_CDATA:
        return step_cdata(reader);
    case XML_PHASE_TAG:
        return xml_step_tag(reader);
    case XML_PHASE_TAG_SPACE:
        return xml_step_tag_space(reader);
    case XML_PHASE_EQUALS:
        return xml_step_equals(reader);
    case XML_PHASE_QUOTE:
        return xml_step_quote(reader);
    case XML_PHASE_VALUE:
        return xml_step_value(reader);
    case XML_PHASE_END_SPACE:
        return step_end_space(reader);
    }
    ASSERT(false);
    return XML_STEP_BAD;
}
