/* SPDX-License-Identifier: Apache-2.0
 *
 * The only judge of XML: an incremental reader of the restricted XML of RFC 6120 section 11, with
 * every check of XML 1.0 (fifth edition) and Namespaces in XML 1.0 that it leaves standing, and
 * helpers that write XML.
 *
 * A stream is a row of items: the header (`<?xml ...?><stream:stream ...>`), then stanzas, runs of
 * white space between them, and `</stream:stream>`. The caller holds octets that start with an item
 * (a packet's payload, or what it gathered), makes one struct xml_input of them and calls
 * xml_read() (xml_read_header() at the start and after each restart) until it is not XML_DONE:
 *
 *   XML_DONE       item holds one item, and input->at has moved behind it. Call again for the next.
 *   XML_NEED_MORE  nothing is left, or the octets from input->at on are an item that is not all
 *                  there. Later make a new xml_input that starts with these same octets, wherever
 *                  they are by then, and has more behind them. The reader knows how far it got.
 *   XML_BAD        item->fault, item->fault_at. The stream must end (xml_fault_condition() is the
 *                  stream error to send). Nothing else of the item may be used.
 *
 * Zero state between items: the scope that the header set up (default namespace, the prefix
 * `stream`) is the small enum xml_scope the caller keeps. Between items one reader a worker serves
 * all its connections. After XML_NEED_MORE within an item (xml_reader_is_midway()) the reader
 * belongs to that item until it ends: the caller lends it to the connection, or copies its state
 * out with xml_reader_save() and back with xml_reader_resume() (32 octets a node so far: right for
 * small stanzas), or drops the item with xml_reader_reset(). However an item is cut, reading it
 * costs O(octets) in all if the reader is lent: what is read again after a cut is at most one name,
 * one reference or one XML declaration.
 *
 * A finished item is a tape of nodes in document order, each naming its octets by offset into
 * item->input. Nodes and views are good until the next call on that reader, and as long as the
 * input octets stay where they are. No octet is copied.
 *
 * Owner: one thread a reader. No allocation after xml_reader_create(). Sizes in octets. */
#ifndef STENTOR_XML_H
#define STENTOR_XML_H

#include "stentor/bytes.h"
#include "stentor/heap.h"

enum xml_result {
    XML_DONE,
    XML_NEED_MORE,
    XML_BAD,
};

enum xml_item_kind {
    XML_ITEM_NONE,
    XML_ITEM_HEADER,     /* the start tag of the stream; the root has no content and no end tag */
    XML_ITEM_STANZA,     /* one balanced element */
    XML_ITEM_STREAM_END, /* </stream:stream> */
    XML_ITEM_WHITESPACE, /* all white space up to the next item (RFC 6120 4.6.1 keepalive) */
};

/* Where namespaces come from. NONE: no namespace; OTHER: not in xml_ns.def, ask xml_ns_uri(). */
enum xml_ns {
    XML_NS_NONE,
    XML_NS_OTHER,
#define XML_NS(name, uri) XML_NS_##name,
#include "stentor/xml_ns.def"
#undef XML_NS
    XML_NS_COUNT
};

enum xml_fault {
#define XML_FAULT(name, condition, text) XML_FAULT_##name,
#include "stentor/xml_fault.def"
#undef XML_FAULT
    XML_FAULT_COUNT
};

/* What a stanza inherits from its stream header (RFC 6120 4.8): the default namespace, and always
 * xmlns:stream = STREAMS. Prefixes that a header declares besides are not remembered: a stanza that
 * uses one gets XML_FAULT_PREFIX_UNDECLARED. */
enum xml_scope {
    XML_SCOPE_NONE, /* the header declared no default namespace: each stanza declares its own */
    XML_SCOPE_CLIENT,
    XML_SCOPE_SERVER,
};

/* Checked while reading, before anything is kept. Every value at least 1. */
struct xml_limits {
    uint32_t stanza_bytes_max; /* one item, white space between items excepted */
    uint32_t nodes_max;        /* elements, attributes, declarations and texts of one item */
    uint32_t depth_max;        /* the stanza element is at depth 1; at most XML_DEPTH_MAX */
    uint32_t attributes_max;   /* of one element, declarations included; at most 255 */
};

#define XML_INPUT_BYTES_MAX (1u << 30) /* of one xml_input, asserted */
#define XML_DEPTH_MAX 128u
#define XML_NAME_BYTES_MAX 255u /* local part and prefix each */
#define XML_PREFIXES_MAX 32u    /* prefixes declared and in scope at any point of an item */

enum xml_node_kind {
    XML_NODE_END, /* sentinel after the last node, at depth 0 */
    XML_NODE_ELEMENT,
    XML_NODE_ATTRIBUTE,
    XML_NODE_DECLARATION, /* xmlns="..." or xmlns:prefix="..."; ns is the namespace it names */
    XML_NODE_TEXT,        /* a run of text between markup; never empty */
    XML_NODE_CDATA,
};

/* The octets are written as the sender wrote them: entities still stand. */
#define XML_NODE_IS_ESCAPED 1u /* references, CR, or tab or LF in a value */

/* One node of the tape. An element is followed by its declarations and attributes, then by its
 * children. Offsets are into the item's input. */
struct xml_node {
    uint8_t kind;            /* enum xml_node_kind */
    uint8_t depth;           /* the root is at 1, its attributes and children at 2 */
    uint8_t prefix_size;     /* 0 without prefix */
    uint8_t name_size;       /* of the local part */
    uint8_t attribute_count; /* nodes of attributes and declarations that follow an element */
    uint8_t flags;           /* XML_NODE_IS_... */
    uint16_t ns;             /* enum xml_ns, resolved */
    uint32_t at;             /* outer extent: element from < to past its end tag, attribute with */
    uint32_t end;            /*   its name and quotes, CDATA with its brackets */
    uint32_t inner_at;       /* inner extent: between the tags, value without quotes, text */
    uint32_t inner_end;
    uint32_t next;    /* tape index of the first node behind this one and all that is in it */
    uint32_t ns_node; /* of XML_NS_OTHER: tape index of the declaration */
};
static_assert(sizeof(struct xml_node) == 32, "two a cache line");

/* Octets to read items from, one after the other. The octets must not change while it is in use. */
struct xml_input {
    struct bytes octets;
    uint32_t at; /* where the next item starts */
    /* The reader's own: whether its index of these octets is still good. */
    const struct xml_reader *indexed_by;
    uint64_t stamp;
};

static inline struct xml_input xml_input_of(struct bytes octets)
{
    return (struct xml_input){.octets = octets};
}

struct xml_item {
    enum xml_item_kind kind;
    enum xml_fault fault;
    uint32_t at;          /* offset in input */
    uint32_t size;        /* octets of the item */
    uint32_t fault_at;    /* offset in input of the first octet that cannot stand */
    enum xml_scope scope; /* of a header: what it set up */
    uint32_t node_count;
    const struct xml_node *nodes; /* nodes[0] is the root; nodes[node_count] is XML_NODE_END */
    struct bytes input;           /* the octets of the xml_input, from their start */
};

struct xml_reader;

/* Room for limits->nodes_max nodes and the rest. NULL when the heap refuses. */
struct xml_reader *xml_reader_create(struct heap *heap, const struct xml_limits *limits);
void xml_reader_destroy(struct heap *heap, struct xml_reader *reader);
/* Forgets an unfinished item. A done or bad item needs no reset. */
void xml_reader_reset(struct xml_reader *reader);
/* True after XML_NEED_MORE: the reader holds an unfinished item. */
bool xml_reader_is_midway(const struct xml_reader *reader);

/* Octets that xml_reader_save() would write for the unfinished item. */
size_t xml_reader_save_bytes(const struct xml_reader *reader);
/* Moves the unfinished item out into xml_reader_save_bytes() octets aligned to 8; the reader is
 * free for other streams afterwards. */
void xml_reader_save(struct xml_reader *reader, void *into);
/* Moves it back, into any reader created with at least the same limits. */
void xml_reader_resume(struct xml_reader *reader, const void *from);

/* Reads the next item in scope. limits may be tighter than those of xml_reader_create(), not wider,
 * and must be the same for all calls of one item. */
MUST_USE enum xml_result xml_read(struct xml_reader *reader, enum xml_scope scope,
                                  const struct xml_limits *limits, struct xml_input *input,
                                  struct xml_item *item);
/* Reads the header of a stream: an optional XML declaration at the very first octet (version 1.0,
 * encoding UTF-8 or none), white space, and the start tag `stream` in STREAMS with prefix `stream`.
 * item->scope is for the xml_read() calls that follow. */
MUST_USE enum xml_result xml_read_header(struct xml_reader *reader, const struct xml_limits *limits,
                                         struct xml_input *input, struct xml_item *item);

/* Which scanner this machine runs: "avx512", "avx2", "sse4.2" or "scalar". */
const char *xml_reader_variant(const struct xml_reader *reader);

/* Lower-case name of the row; the RFC 6120 stream error condition; a sentence. Never NULL. */
const char *xml_fault_name(enum xml_fault fault);
const char *xml_fault_condition(enum xml_fault fault);
const char *xml_fault_text(enum xml_fault fault);

/* ---- looking at a finished item ---- */

/* The URI of a known namespace; empty for NONE and OTHER. */
struct bytes xml_ns_known_uri(enum xml_ns ns);

static inline const struct xml_node *xml_root(const struct xml_item *item)
{
    return &item->nodes[0];
}

static inline struct bytes xml_prefix(const struct xml_item *item, const struct xml_node *node)
{
    uint32_t at = node->at + (node->kind == XML_NODE_ELEMENT);
    return bytes_of(item->input.at + at, node->prefix_size);
}

/* Local part of the name of an element or attribute; of a declaration, the prefix it declares. */
static inline struct bytes xml_local_name(const struct xml_item *item, const struct xml_node *node)
{
    uint32_t at = node->at + (node->kind == XML_NODE_ELEMENT);
    if (node->prefix_size != 0)
        at += node->prefix_size + 1u;
    return bytes_of(item->input.at + at, node->name_size);
}

static inline bool xml_name_is(const struct xml_item *item, const struct xml_node *node,
                               enum xml_ns ns, struct bytes local)
{
    return node->ns == ns && bytes_equal(xml_local_name(item, node), local);
}

/* The namespace URI of a node, as the sender wrote it when not known. */
struct bytes xml_ns_uri(const struct xml_item *item, const struct xml_node *node);
bool xml_ns_uri_is(const struct xml_item *item, const struct xml_node *node, struct bytes uri);

/* All octets of the node as they came: what a router copies (DESIGN law 9). Note that a child may
 * lean on declarations of its parents: only the root, or the content of the root behind a root tag
 * with the same declarations, stands on its own. */
static inline struct bytes xml_node_bytes(const struct xml_item *item, const struct xml_node *node)
{
    return bytes_of(item->input.at + node->at, node->end - node->at);
}

/* Content between the tags of an element, value of an attribute, text: as it came, undecoded. */
static inline struct bytes xml_inner_bytes(const struct xml_item *item, const struct xml_node *node)
{
    return bytes_of(item->input.at + node->inner_at, node->inner_end - node->inner_at);
}

/* The start tag (or the empty-element tag) of an element, from < to >. */
static inline struct bytes xml_tag_bytes(const struct xml_item *item, const struct xml_node *node)
{
    return bytes_of(item->input.at + node->at, node->inner_at - node->at);
}

/* Attribute without prefix, by name; NULL when absent. */
const struct xml_node *xml_attribute(const struct xml_item *item, const struct xml_node *element,
                                     struct bytes name);
/* Attribute in a namespace (xml:lang is XML_NS_XML, "lang"). */
const struct xml_node *xml_attribute_ns(const struct xml_item *item, const struct xml_node *element,
                                        enum xml_ns ns, struct bytes local);
/* Attributes and declarations in order, start with NULL; NULL at the end. */
const struct xml_node *xml_attribute_next(const struct xml_item *item,
                                          const struct xml_node *element,
                                          const struct xml_node *attribute);
/* True when the attribute is there and its decoded value is this. */
bool xml_attribute_is(const struct xml_item *item, const struct xml_node *element,
                      struct bytes name, struct bytes value);

/* First child element, next sibling element; NULL when there is none. */
const struct xml_node *xml_child(const struct xml_item *item, const struct xml_node *element);
const struct xml_node *xml_next(const struct xml_item *item, const struct xml_node *element);
/* First child element of that name; NULL when absent. */
const struct xml_node *xml_child_named(const struct xml_item *item, const struct xml_node *element,
                                       enum xml_ns ns, struct bytes local);
/* Any first child (element, text, CDATA) and its next sibling. */
const struct xml_node *xml_child_any(const struct xml_item *item, const struct xml_node *element);
const struct xml_node *xml_next_any(const struct xml_item *item, const struct xml_node *node);

/* Writes the value of an attribute or declaration, or the text of a text or CDATA node, with
 * references replaced, line ends and (in values) white space normalised (XML 1.0 2.11, 3.3.3).
 * Never longer than the inner extent. */
void xml_decode(const struct xml_item *item, const struct xml_node *node, struct writer *into);
/* The decoded value without a copy when nothing needs replacing, else decoded into the writer.
 * Check into->is_overflown. NULL node gives an empty view. */
struct bytes xml_value(const struct xml_item *item, const struct xml_node *node,
                       struct writer *into);
/* Writes all text directly inside an element, decoded, in order. */
void xml_text(const struct xml_item *item, const struct xml_node *element, struct writer *into);

/* ---- writing ---- */

/* Text with & < > and CR replaced: stands between tags. The text must be UTF-8 of legal XML
 * characters; others are replaced by U+FFFD, so that no peer's reader can be broken by us. */
void write_xml_text(struct writer *writer, struct bytes text);
/* A value as it stands between either kind of quotes: quotes, tab, CR and LF replaced too. */
void write_xml_value(struct writer *writer, struct bytes value);
/* ` name='value'`, with the leading space. */
void write_xml_attribute(struct writer *writer, const char *name, struct bytes value);

#endif
