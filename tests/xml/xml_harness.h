/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests and the fuzz target of src/xml share: feeding a reader a document in pieces of any
 * size, each from a block of exactly the octets it may see, and writing down what it read in a form
 * that does not depend on the pieces:
 *
 *   <URI|local URI|name=value ...>   an element begins      </>   it ends
 *   "text"                           all text in a row      ~     the stream ends */
#ifndef STENTOR_XML_HARNESS_H
#define STENTOR_XML_HARNESS_H

#include <stdlib.h>

#include "stentor/text.h"
#include "stentor/xml.h"

#include "xml_reader.h"

#define HARNESS_LOG_MAX (1u << 21)

enum harness_start {
    FROM_HEADER,
    FROM_STANZA, /* in scope CLIENT */
};

struct harness {
    struct heap heap;
    struct xml_limits limits;
    struct xml_reader *reader;
    struct writer log;
    bool is_saving;  /* the state is moved out and in wherever an item is cut */
    uint32_t piece;  /* octets at a time, 0 for all */
    uint32_t cut_at; /* if not 0: two pieces, cut here */
    bool is_in_text; /* of the log */
};

/* Where and how reading ended. */
struct outcome {
    enum xml_result result; /* NEED_MORE: the document ended */
    enum xml_fault fault;
    size_t fault_at; /* offset in the document */
    size_t used;     /* octets of whole items */
    bool is_ended;   /* by </stream:stream> */
};

static inline void harness_init(struct harness *harness)
{
    *harness = (struct harness){
        .limits = {.stanza_bytes_max = 1u << 20,
                   .nodes_max = 4096,
                   .depth_max = 32,
                   .attributes_max = 64},
    };
    heap_init(&harness->heap, 256u << 20);
    harness->reader = xml_reader_create(&harness->heap, &harness->limits);
    uint8_t *log = heap_take(&harness->heap, HARNESS_LOG_MAX);
    ASSERT(harness->reader != NULL && log != NULL);
    harness->log = writer_of(log, HARNESS_LOG_MAX);
}

static inline void harness_fini(struct harness *harness)
{
    xml_reader_destroy(&harness->heap, harness->reader);
    heap_give(&harness->heap, harness->log.at);
    ASSERT(heap_used_bytes(&harness->heap) == 0);
}

/* ---- the log ---- */

static inline void log_text_end(struct harness *harness)
{
    if (harness->is_in_text)
        write_u8(&harness->log, '"');
    harness->is_in_text = false;
}

static inline void log_text(struct harness *harness, struct bytes text)
{
    if (!harness->is_in_text)
        write_u8(&harness->log, '"');
    harness->is_in_text = true;
    write_bytes(&harness->log, text);
}

static inline void log_name(struct harness *harness, const struct xml_item *item,
                            const struct xml_node *node)
{
    struct bytes uri = xml_ns_uri(item, node);
    if (node->ns == XML_NS_OTHER)
        xml_decode(item, &item->nodes[node->ns_node], &harness->log);
    else
        write_bytes(&harness->log, uri);
    write_u8(&harness->log, '|');
    write_bytes(&harness->log, xml_local_name(item, node));
}

static inline void log_node(struct harness *harness, const struct xml_item *item,
                            const struct xml_node *node);

static inline void log_element(struct harness *harness, const struct xml_item *item,
                               const struct xml_node *element)
{
    log_text_end(harness);
    write_u8(&harness->log, '<');
    log_name(harness, item, element);
    const struct xml_node *node = NULL;
    while ((node = xml_attribute_next(item, element, node)) != NULL) {
        if (node->kind == XML_NODE_DECLARATION)
            continue;
        write_u8(&harness->log, ' ');
        log_name(harness, item, node);
        write_u8(&harness->log, '=');
        xml_decode(item, node, &harness->log);
    }
    write_u8(&harness->log, '>');
    node = xml_child_any(item, element);
    for (; node != NULL; node = xml_next_any(item, node))
        log_node(harness, item, node);
    log_text_end(harness);
    if (item->kind == XML_ITEM_STANZA)
        write_string(&harness->log, "</>");
}

static inline void log_node(struct harness *harness, const struct xml_item *item,
                            const struct xml_node *node)
{
    if (node->kind == XML_NODE_ELEMENT) {
        log_element(harness, item, node);
        return;
    }
    ASSERT(node->kind == XML_NODE_TEXT || node->kind == XML_NODE_CDATA);
    uint8_t text[4096];
    if (node->inner_end == node->inner_at)
        return; /* an empty CDATA section is no text */
    if (node->inner_end - node->inner_at <= sizeof(text)) {
        struct writer writer = writer_of(text, sizeof(text));
        log_text(harness, xml_value(item, node, &writer));
        return;
    }
    log_text(harness, bytes_of(NULL, 0));
    xml_decode(item, node, &harness->log);
}

static inline void log_item(struct harness *harness, const struct xml_item *item)
{
    if (item->kind == XML_ITEM_STREAM_END)
        write_u8(&harness->log, '~');
    else if (item->kind != XML_ITEM_WHITESPACE)
        log_element(harness, item, xml_root(item));
}

/* ---- what must hold for any item ---- */

static inline void check_item(const struct xml_item *item)
{
    ASSERT(item->size > 0);
    ASSERT(item->at + item->size <= item->input.size);
    ASSERT(item->nodes[item->node_count].kind == XML_NODE_END);
    for (uint32_t i = 0; i < item->node_count; i++) {
        const struct xml_node *node = &item->nodes[i];
        ASSERT(item->at <= node->at);
        ASSERT(node->at <= node->inner_at);
        ASSERT(node->inner_at <= node->inner_end);
        ASSERT(node->inner_end <= node->end);
        ASSERT(node->end <= item->at + item->size);
        ASSERT(node->next > i && node->next <= item->node_count);
        ASSERT(node->depth >= 1);
        ASSERT(node->kind == XML_NODE_ELEMENT || node->next == i + 1);
        ASSERT(node->ns != XML_NS_OTHER || item->nodes[node->ns_node].kind == XML_NODE_DECLARATION);
    }
}

/* ---- feeding ---- */

/* Moves the state out, lets the reader serve another stream, and moves it back. */
static inline void save_and_resume(struct harness *harness)
{
    struct xml_reader *reader = harness->reader;
    size_t size = xml_reader_save_bytes(reader);
    uint8_t *saved = heap_take(&harness->heap, size);
    struct xml_input input = xml_input_of(BYTES("<other xmlns='x' a='b'><p/>text</other>"));
    struct xml_item item;
    ASSERT(saved != NULL);
    xml_reader_save(reader, saved);
    ASSERT(!xml_reader_is_midway(reader));
    ASSERT(xml_read(reader, XML_SCOPE_NONE, &harness->limits, &input, &item) == XML_DONE);
    xml_reader_resume(reader, saved);
    ASSERT(xml_reader_is_midway(reader));
    heap_give(&harness->heap, saved);
}

struct feed {
    struct outcome outcome;
    enum xml_scope scope;
    bool has_header;
};

/* Reads what can be read of one block; false when reading is over. */
static inline bool feed_block(struct harness *harness, struct feed *feed, struct bytes block)
{
    struct xml_input input = xml_input_of(block);
    struct outcome *outcome = &feed->outcome;
    size_t before = outcome->used;
    for (;;) {
        struct xml_item item;
        bool is_header = !feed->has_header;
        outcome->result =
            is_header ? xml_read_header(harness->reader, &harness->limits, &input, &item)
                      : xml_read(harness->reader, feed->scope, &harness->limits, &input, &item);
        if (outcome->result == XML_BAD) {
            outcome->fault = item.fault;
            outcome->fault_at = before + item.fault_at;
            ASSERT(item.fault != XML_FAULT_NONE);
            ASSERT(item.fault_at <= block.size);
            ASSERT(!xml_reader_is_midway(harness->reader));
            return false;
        }
        if (outcome->result == XML_NEED_MORE)
            return true;
        check_item(&item);
        log_item(harness, &item);
        outcome->used = before + input.at;
        if (is_header)
            feed->scope = item.scope;
        feed->has_header = true;
        outcome->is_ended = item.kind == XML_ITEM_STREAM_END;
        if (outcome->is_ended)
            return false;
    }
}

static inline size_t next_given(const struct harness *harness, size_t given, size_t size)
{
    size_t more = harness->piece != 0 ? harness->piece : size;
    if (harness->cut_at != 0 && given < harness->cut_at)
        more = harness->cut_at - given;
    return more < size - given ? given + more : size;
}

/* Reads a whole document as the harness says. The log starts anew. */
static inline struct outcome harness_read(struct harness *harness, struct bytes document,
                                          enum harness_start start)
{
    struct feed feed = {.scope = XML_SCOPE_CLIENT, .has_header = start == FROM_STANZA};
    size_t given = 0;
    bool is_going_on = document.size > 0;
    harness->log.size = 0;
    harness->log.is_overflown = false;
    feed.outcome.result = XML_NEED_MORE;
    xml_reader_reset(harness->reader);
    while (is_going_on && given < document.size) {
        given = next_given(harness, given, document.size);
        struct bytes fresh = bytes_slice(document, feed.outcome.used, given - feed.outcome.used);
        uint8_t *block = heap_take(&harness->heap, fresh.size);
        ASSERT(block != NULL);
        memcpy(block, fresh.at, fresh.size);
        is_going_on = feed_block(harness, &feed, bytes_of(block, fresh.size));
        heap_give(&harness->heap, block);
        if (is_going_on && harness->is_saving && xml_reader_is_midway(harness->reader))
            save_and_resume(harness);
    }
    ASSERT(!harness->log.is_overflown);
    return feed.outcome;
}

#endif
