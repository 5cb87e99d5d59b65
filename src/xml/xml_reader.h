/* SPDX-License-Identifier: Apache-2.0
 *
 * What a reader is made of. Two ways drive it, over the same state:
 *
 *   xml_step.c, xml_tag.c   the grammar, one phase a step, complete: every spelling XML allows,
 * every fault, every place an item may be cut xml_fast.c              the spelling that nearly all
 * clients use, in one loop; it stops at the last boundary it understood and leaves the rest to the
 * steps
 *
 * Private to src/xml. Offsets are into the input of this call; when an item is cut they are moved
 * to count from its start, which is where the next input will start. */
#ifndef STENTOR_XML_READER_H
#define STENTOR_XML_READER_H

#include "stentor/xml.h"

#include "xml_ns.h"
#include "xml_scan.h"

enum xml_phase {
    XML_PHASE_START,       /* at the first octet of an item */
    XML_PHASE_DECLARATION, /* of a header: at its first octet */
    XML_PHASE_PROLOG,      /* of a header: behind the XML declaration */
    XML_PHASE_CONTENT,     /* between tokens of content */
    XML_PHASE_TEXT,        /* in a run of text; the last node is it */
    XML_PHASE_CDATA,       /* in a CDATA section; the last node is it */
    XML_PHASE_TAG,         /* in a start tag, behind its name or an attribute */
    XML_PHASE_TAG_SPACE,   /* the same, and white space was there */
    XML_PHASE_EQUALS,      /* behind the name of an attribute; the last node is it */
    XML_PHASE_QUOTE,       /* behind its = */
    XML_PHASE_VALUE,       /* in its value */
    XML_PHASE_END_SPACE,   /* behind the name in an end tag */
};

enum xml_step {
    XML_STEP_ON,
    XML_STEP_MORE,
    XML_STEP_DONE,
    XML_STEP_BAD,
};

/* An open element, or level 0: the scope. While a start tag is read, the level above the current
 * one is being made. Two words, because the fast way reads and writes it as such. */
struct xml_level {
    uint32_t node;
    uint32_t name_at;      /* offset of the qualified name */
    uint32_t default_node; /* declaration of the default namespace, when that is OTHER */
    uint16_t default_ns;
    uint8_t prefix_count; /* of xml_progress.prefixes in scope */
    uint8_t short_size;   /* size of the qualified name if at most 16, else 0 */
};
static_assert(sizeof(struct xml_level) == 16, "two words");

/* The item so far, in the order that xml_reader_save() copies: levels in use come last. */
struct xml_progress {
    uint64_t names_seen; /* in this start tag: a bit for each name, see xml_name_bit() */
    uint32_t start;      /* offset of the item */
    uint32_t pos;        /* offset of the next octet to look at */
    uint32_t node_count;
    uint32_t depth; /* of the innermost open element, 0 outside */
    uint8_t phase;
    uint8_t kind;         /* enum xml_item_kind to be */
    uint8_t quote;        /* in VALUE */
    uint8_t has_prefixes; /* this start tag has attributes with prefixes to resolve */
    uint32_t prefixes[XML_PREFIXES_MAX]; /* declarations of prefixes in scope, as tape indices */
    struct xml_level levels[XML_DEPTH_MAX + 2];
};

struct xml_reader {
    /* this call */
    struct bytes input;
    const struct xml_limits *limits;
    enum xml_fault fault;
    uint32_t fault_at;
    /* this reader */
    struct xml_node *nodes; /* nodes_max and one for the end */
    uint32_t nodes_max;
    const struct xml_scanner *scanner;
    bool (*fast)(struct xml_reader *reader);
    uint64_t stamp;          /* of the input that map belongs to */
    bool is_stepping_always; /* tests: never the fast way */
    struct xml_progress progress;
    struct xml_map map;
    struct xml_ns_table ns_table;
};

/* Bit of names_seen for a qualified name: equal names have equal bits. */
static inline uint64_t xml_name_bit(const uint8_t *name, size_t size)
{
    return (uint64_t)1 << ((name[0] + name[size - 1] * 4u + size * 9u) & 63);
}

static inline struct xml_node *xml_last_node(struct xml_reader *reader)
{
    return &reader->nodes[reader->progress.node_count - 1];
}

static inline enum xml_step xml_step_bad(struct xml_reader *reader, enum xml_fault fault,
                                         uint32_t at)
{
    reader->fault = fault;
    reader->fault_at = at;
    return XML_STEP_BAD;
}

/* ---- xml_fast.c ---- */

/* From phase CONTENT or TAG at an octet inside the map. True when the item is complete; otherwise
 * the steps go on from the phase left behind. One source, built for any processor and for those
 * with AVX2 and BMI2. */
bool xml_fast(struct xml_reader *reader);
bool xml_fast_avx2(struct xml_reader *reader);

/* ---- xml_step.c ---- */

/* One step from the current phase: it moves on, or needs more octets, or ends the item. */
enum xml_step xml_step(struct xml_reader *reader);
/* Puts a node on the tape, zeroed but for these. NULL when the limit is reached. */
struct xml_node *xml_push(struct xml_reader *reader, enum xml_node_kind kind, uint32_t at);
/* First stop in one bitmap of the map at or behind pos, or the size of the input. */
uint32_t xml_find(struct xml_reader *reader, const uint64_t *bits, uint32_t pos);
/* Ends the innermost element, whose end tag starts at inner_end. */
enum xml_step xml_close(struct xml_reader *reader, uint32_t inner_end, uint32_t end);
/* Steps over the reference at pos and marks the last node. */
enum xml_step xml_step_reference(struct xml_reader *reader);

/* ---- xml_prolog.c ---- */

enum xml_step xml_step_declaration(struct xml_reader *reader);
enum xml_step xml_step_prolog(struct xml_reader *reader);

/* ---- xml_tag.c ---- */

enum xml_step xml_step_open(struct xml_reader *reader);
enum xml_step xml_step_tag(struct xml_reader *reader);
enum xml_step xml_step_tag_space(struct xml_reader *reader);
enum xml_step xml_step_equals(struct xml_reader *reader);
enum xml_step xml_step_quote(struct xml_reader *reader);
enum xml_step xml_step_value(struct xml_reader *reader);

/* ---- xml_view.c ---- */

/* Writes raw, the inner octets of a node of that kind, decoded. */
void xml_decode_raw(struct bytes raw, enum xml_node_kind kind, struct writer *into);
/* True when the decoded values of two attributes or declarations are the same. */
bool xml_is_same_value(const struct xml_item *item, const struct xml_node *a,
                       const struct xml_node *b);

#endif
