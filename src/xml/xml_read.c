/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader from outside: making one, starting an item, driving the fast way and the steps until
 * it ends, and keeping what was read of an item that is cut (see xml.h, xml_reader.h).
 *
 *         xml_read  START ──► fast ◄─► steps ──► DONE  item, input->at moves
 *                                        ├─────► MORE  offsets move to count from the item's start
 *                                        └─────► BAD
 *
 * An octet that cannot stand in XML is found by the scan of a whole map, perhaps beyond the item:
 * it counts once the item is known to reach it. */
#include "xml_char.h"
#include "xml_reader.h"

/* ---- life ---- */

static size_t nodes_offset(void)
{
    return (sizeof(struct xml_reader) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static void forget(struct xml_reader *reader)
{
    reader->progress.phase = XML_PHASE_START;
    reader->progress.start = 0;
    reader->progress.pos = 0;
    reader->progress.node_count = 0;
    reader->progress.depth = 0;
}

static bool (*find_fast(void))(struct xml_reader *)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return xml_fast_avx2;
#endif
    return xml_fast;
}

struct xml_reader *xml_reader_create(struct heap *heap, const struct xml_limits *limits)
{
    ASSERT(limits->nodes_max >= 1);
    size_t nodes_bytes = ((size_t)limits->nodes_max + 1) * sizeof(struct xml_node);
    struct xml_reader *reader = heap_take_zeroed(heap, nodes_offset() + nodes_bytes);
    if (reader == NULL)
        return NULL;
    reader->nodes = (struct xml_node *)(void *)((uint8_t *)reader + nodes_offset());
    reader->nodes_max = limits->nodes_max;
    reader->scanner = xml_scanner_find();
    reader->fast = find_fast();
    xml_map_reset(&reader->map);
    xml_ns_table_init(&reader->ns_table);
    forget(reader);
    return reader;
}

void xml_reader_destroy(struct heap *heap, struct xml_reader *reader)
{
    heap_give(heap, reader);
}

void xml_reader_reset(struct xml_reader *reader)
{
    forget(reader);
}

bool xml_reader_is_midway(const struct xml_reader *reader)
{
    return reader->progress.phase != XML_PHASE_START;
}

const char *xml_reader_variant(const struct xml_reader *reader)
{
    return reader->scanner->name;
}

/* ---- state of a cut item ---- */

static size_t progress_bytes(const struct xml_progress *progress)
{
    return offsetof(struct xml_progress, levels) + (progress->depth + 2) * sizeof(struct xml_level);
}

size_t xml_reader_save_bytes(const struct xml_reader *reader)
{
    return progress_bytes(&reader->progress) +
           reader->progress.node_count * sizeof(struct xml_node);
}

void xml_reader_save(struct xml_reader *reader, void *into)
{
    size_t size = progress_bytes(&reader->progress);
    memcpy(into, &reader->progress, size);
    memcpy((uint8_t *)into + size, reader->nodes,
           reader->progress.node_count * sizeof(struct xml_node));
    forget(reader);
}

void xml_reader_resume(struct xml_reader *reader, const void *from)
{
    struct xml_progress head;
    ASSERT(!xml_reader_is_midway(reader));
    memcpy(&head, from, offsetof(struct xml_progress, levels));
    ASSERT(head.node_count <= reader->nodes_max);
    size_t size = progress_bytes(&head);
    memcpy(&reader->progress, from, size);
    memcpy(reader->nodes, (const uint8_t *)from + size, head.node_count * sizeof(struct xml_node));
}

/* The next input will start with the item: offsets count from there from now on. Of nodes still
 * open some offsets are not set yet; they may wrap, for they will be set. */
static void rebase(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    uint32_t start = progress->start;
    for (uint32_t i = 0; start != 0 && i < progress->node_count; i++) {
        reader->nodes[i].at -= start;
        reader->nodes[i].end -= start;
        reader->nodes[i].inner_at -= start;
        reader->nodes[i].inner_end -= start;
    }
    for (uint32_t i = 1; start != 0 && i <= progress->depth + 1; i++)
        progress->levels[i].name_at -= start;
    progress->pos -= start;
    progress->start = 0;
}

/* ---- the map and the input ---- */

/* Makes sure that every octet before offset end was judged. */
static bool is_bad_before(struct xml_reader *reader, uint32_t end)
{
    struct xml_map *map = &reader->map;
    while (map->end < end)
        xml_map_fill(map, reader->scanner, reader->input, map->end);
    return map->bad_at < end;
}

/* A map is kept from item to item of one input. The stamp is never used twice by a reader. */
static void adopt(struct xml_reader *reader, struct xml_input *input)
{
    reader->input = input->octets;
    if (input->indexed_by == reader && input->stamp == reader->stamp)
        return;
    input->indexed_by = reader;
    input->stamp = ++reader->stamp;
    xml_map_reset(&reader->map);
    xml_map_fill(&reader->map, reader->scanner, reader->input, reader->progress.pos);
}

/* ---- the road ---- */

static enum xml_step run(struct xml_reader *reader)
{
    for (;;) {
        struct xml_progress *progress = &reader->progress;
        bool is_boundary = progress->phase == XML_PHASE_TAG || progress->phase == XML_PHASE_CONTENT;
        if (is_boundary && progress->kind == XML_ITEM_STANZA && !reader->is_stepping_always) {
            if (progress->pos < reader->map.at || progress->pos >= reader->map.end)
                xml_map_fill(&reader->map, reader->scanner, reader->input, progress->pos);
            if (reader->fast(reader))
                return XML_STEP_DONE;
        }
        enum xml_step step = xml_step(reader);
        if (step != XML_STEP_ON)
            return step;
    }
}

static enum xml_result fail(struct xml_reader *reader, struct xml_item *item)
{
    const struct xml_map *map = &reader->map;
    item->kind = XML_ITEM_NONE;
    item->fault = reader->fault;
    item->fault_at = reader->fault_at;
    if (map->bad_at <= reader->fault_at) {
        struct xml_taken taken = xml_take_char(bytes_from(reader->input, map->bad_at));
        item->fault = taken.take == XML_TAKE_BAD ? taken.fault : XML_FAULT_ENCODING;
        item->fault_at = map->bad_at;
    }
    forget(reader);
    return XML_BAD;
}

static enum xml_result fail_with(struct xml_reader *reader, struct xml_item *item,
                                 enum xml_fault fault, uint32_t at)
{
    (void)xml_step_bad(reader, fault, at);
    return fail(reader, item);
}

static enum xml_result finish(struct xml_reader *reader, struct xml_input *input,
                              struct xml_item *item)
{
    struct xml_progress *progress = &reader->progress;
    uint32_t size = progress->pos - progress->start;
    if (is_bad_before(reader, progress->pos))
        return fail_with(reader, item, XML_FAULT_CHARACTER, reader->map.bad_at);
    if (size > reader->limits->stanza_bytes_max)
        return fail_with(reader, item, XML_FAULT_TOO_LARGE,
                         progress->start + reader->limits->stanza_bytes_max);
    reader->nodes[progress->node_count] = (struct xml_node){.kind = XML_NODE_END};
    item->kind = (enum xml_item_kind)progress->kind;
    item->fault = XML_FAULT_NONE;
    item->at = progress->start;
    item->size = size;
    item->node_count = progress->node_count;
    item->nodes = reader->nodes;
    item->input = reader->input;
    input->at = progress->pos;
    progress->phase = XML_PHASE_START;
    return XML_DONE;
}

static enum xml_result wait(struct xml_reader *reader, struct xml_item *item)
{
    struct xml_progress *progress = &reader->progress;
    uint32_t size = (uint32_t)reader->input.size;
    if (is_bad_before(reader, size))
        return fail_with(reader, item, XML_FAULT_CHARACTER, reader->map.bad_at);
    if (size - progress->start > reader->limits->stanza_bytes_max)
        return fail_with(reader, item, XML_FAULT_TOO_LARGE,
                         progress->start + reader->limits->stanza_bytes_max);
    rebase(reader);
    item->kind = XML_ITEM_NONE;
    return XML_NEED_MORE;
}

static enum xml_result drive(struct xml_reader *reader, struct xml_input *input,
                             struct xml_item *item)
{
    switch (run(reader)) {
    case XML_STEP_DONE:
        return finish(reader, input, item);
    case XML_STEP_MORE:
        return wait(reader, item);
    default:
        if (reader->fault_at < reader->input.size)
            (void)is_bad_before(reader, reader->fault_at + 1);
        return fail(reader, item);
    }
}

/* Takes up the input: true when there is something to read. */
static bool begin(struct xml_reader *reader, const struct xml_limits *limits,
                  struct xml_input *input, struct xml_item *item)
{
    struct xml_progress *progress = &reader->progress;
    ASSERT(input->octets.size <= XML_INPUT_BYTES_MAX);
    ASSERT(input->at <= input->octets.size);
    ASSERT(limits->nodes_max <= reader->nodes_max);
    ASSERT(limits->depth_max >= 1 && limits->depth_max <= XML_DEPTH_MAX);
    ASSERT(limits->attributes_max <= 255);
    item->scope = XML_SCOPE_NONE;
    reader->limits = limits;
    if (xml_reader_is_midway(reader)) {
        ASSERT(input->at == 0 && input->octets.size >= progress->pos);
    } else {
        progress->start = input->at;
        progress->pos = input->at;
        progress->node_count = 0;
        progress->depth = 0;
    }
    if (input->at == input->octets.size) {
        item->kind = XML_ITEM_NONE;
        return false;
    }
    adopt(reader, input);
    return true;
}

/* ---- stanzas ---- */

static void set_scope(struct xml_reader *reader, enum xml_scope scope)
{
    static const uint16_t defaults[] = {
        [XML_SCOPE_NONE] = XML_NS_NONE,
        [XML_SCOPE_CLIENT] = XML_NS_CLIENT,
        [XML_SCOPE_SERVER] = XML_NS_SERVER,
    };
    reader->progress.levels[0] = (struct xml_level){.default_ns = defaults[scope]};
}

static enum xml_result take_whitespace(struct xml_reader *reader, struct xml_input *input,
                                       struct xml_item *item)
{
    const struct bytes *octets = &reader->input;
    uint32_t end = input->at;
    while (end < octets->size && xml_is_space(octets->at[end]))
        end++;
    *item = (struct xml_item){
        .kind = XML_ITEM_WHITESPACE,
        .at = input->at,
        .size = end - input->at,
        .nodes = reader->nodes,
        .input = reader->input,
    };
    reader->nodes[0] = (struct xml_node){.kind = XML_NODE_END};
    input->at = end;
    return XML_DONE;
}

enum xml_result xml_read(struct xml_reader *reader, enum xml_scope scope,
                         const struct xml_limits *limits, struct xml_input *input,
                         struct xml_item *item)
{
    if (!begin(reader, limits, input, item))
        return XML_NEED_MORE;
    if (!xml_reader_is_midway(reader)) {
        uint8_t octet = reader->input.at[input->at];
        if (xml_is_space(octet))
            return take_whitespace(reader, input, item);
        if (octet != '<')
            return fail_with(reader, item, XML_FAULT_TEXT_OUTSIDE, input->at);
        reader->progress.kind = XML_ITEM_STANZA;
        reader->progress.phase = XML_PHASE_CONTENT;
        set_scope(reader, scope);
    }
    return drive(reader, input, item);
}

/* ---- the header ---- */

enum xml_result xml_read_header(struct xml_reader *reader, const struct xml_limits *limits,
                                struct xml_input *input, struct xml_item *item)
{
    static const uint16_t scopes[XML_NS_COUNT] = {
        [XML_NS_CLIENT] = XML_SCOPE_CLIENT,
        [XML_NS_SERVER] = XML_SCOPE_SERVER,
    };
    if (!begin(reader, limits, input, item))
        return XML_NEED_MORE;
    if (!xml_reader_is_midway(reader)) {
        reader->progress.kind = XML_ITEM_HEADER;
        reader->progress.phase = XML_PHASE_DECLARATION;
        set_scope(reader, XML_SCOPE_NONE);
    }
    enum xml_result result = drive(reader, input, item);
    if (result == XML_DONE)
        item->scope = (enum xml_scope)scopes[reader->progress.levels[1].default_ns];
    return result;
}

/* ---- faults ---- */

static const struct {
    const char *name;
    const char *condition;
    const char *text;
} faults[XML_FAULT_COUNT] = {
#define XML_FAULT(name, condition, text) {#name, condition, text},
#include "stentor/xml_fault.def"
#undef XML_FAULT
};

const char *xml_fault_name(enum xml_fault fault)
{
    ASSERT(fault < XML_FAULT_COUNT);
    return faults[fault].name;
}

const char *xml_fault_condition(enum xml_fault fault)
{
    ASSERT(fault < XML_FAULT_COUNT);
    return faults[fault].condition;
}

const char *xml_fault_text(enum xml_fault fault)
{
    ASSERT(fault < XML_FAULT_COUNT);
    return faults[fault].text;
}
