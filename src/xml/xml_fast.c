/* SPDX-License-Identifier: Apache-2.0
 *
 * The hot loop: start tags without prefix, ` name='value'` with one space and no reference,
 * xml:lang and its like, text, end tags as short as they can be. Everything is found by hopping
 * through the map; an octet that ends a token is looked at, the octets of the token are not. At
 * anything else (a prefix, a second space, CDATA, a limit, a fault, the end of the octets) the loop
 * stops at the last boundary it understood, with all before it on the tape, and the steps of
 * xml_step.c and xml_tag.c, which know everything, go on from there.
 *
 * Nodes and levels are written a word at a time, and read in no other size before they have left
 * the store buffer: a read of several fresh writes stalls.
 *
 * Budget: 9 ns a node on the reference machine (bench/xml_bench.c). */
#include "xml_char.h"
#include "xml_reader.h"

#ifdef __AVX2__
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#define INLINE __attribute__((always_inline)) static inline

#ifndef XML_FAST
#define XML_FAST xml_fast
#endif

/* The reader's progress in registers. Offsets are wide here, so that none needs widening. */
struct walk {
    struct xml_reader *reader;
    const uint8_t *octets; /* of the input */
    const uint8_t *name;   /* bits of the map by input offset */
    size_t pos;
    size_t end;              /* of the map */
    struct xml_node *node;   /* the next free one */
    struct xml_level *level; /* of the innermost open element */
    /* the start tag being read */
    struct xml_node *tag_end; /* the first node it may not have */
    uint64_t names_seen;
};

enum hop {
    HOP_ON,
    HOP_STOP,
    HOP_DONE,
};

/* ---- words ---- */

/* Where the fields of the second word of a level are. */
#define LEVEL_NS_SHIFT 32u
#define LEVEL_SHORT_SHIFT 56u
static_assert(offsetof(struct xml_level, default_node) == 8, "second word, bits 0-31");
static_assert(offsetof(struct xml_level, default_ns) == 12, "bits 32-47");
static_assert(offsetof(struct xml_level, prefix_count) == 14, "bits 48-55");
static_assert(offsetof(struct xml_level, short_size) == 15, "bits 56-63");

static_assert(offsetof(struct xml_node, depth) == 1, "first word, bits 8-15");
static_assert(offsetof(struct xml_node, prefix_size) == 2, "bits 16-23");
static_assert(offsetof(struct xml_node, name_size) == 3, "bits 24-31");
static_assert(offsetof(struct xml_node, flags) == 5, "bits 40-47");
static_assert(offsetof(struct xml_node, ns) == 6, "bits 48-63");
static_assert(offsetof(struct xml_node, at) == 8, "second word");
static_assert(offsetof(struct xml_node, inner_at) == 16, "third word");
static_assert(offsetof(struct xml_node, next) == 24, "fourth word");

INLINE uint64_t pair(size_t low, size_t high)
{
    return low | high << 32;
}

INLINE uint64_t node_head(enum xml_node_kind kind, size_t depth, size_t name_size)
{
    return (uint64_t)kind | depth << 8 | name_size << 24;
}

INLINE void put_word(void *at, uint64_t word)
{
    memcpy(at, &word, sizeof(word));
}

INLINE size_t depth_of(const struct walk *walk)
{
    return (size_t)(walk->level - walk->reader->progress.levels);
}

INLINE size_t index_of(const struct walk *walk, const struct xml_node *node)
{
    return (size_t)(node - walk->reader->nodes);
}

/* The second word of a level: all that a tag inherits and may declare. */
INLINE uint64_t level_word(const struct xml_level *level)
{
    uint64_t word;
    memcpy(&word, &level->default_node, sizeof(word));
    return word;
}

/* The element that the start tag being read belongs to. */
INLINE struct xml_node *tag_node(const struct walk *walk)
{
    return &walk->reader->nodes[walk->level[1].node];
}

/* Where the nodes of a tag must end that starts with node. */
INLINE struct xml_node *tag_end_of(const struct walk *walk, struct xml_node *node)
{
    const struct xml_limits *limits = walk->reader->limits;
    struct xml_node *of_tag = node + 1 + limits->attributes_max;
    struct xml_node *of_item = walk->reader->nodes + limits->nodes_max;
    return of_tag < of_item ? of_tag : of_item;
}

/* ---- stops ---- */

/* Where a name stops, or just past the longest one this file reads. A stop that is not there gives
 * no stop at all: the octet at it is part of the name and fits nowhere. */
#define NAME_BYTES_MAX 56u

INLINE size_t next_name_stop(const struct walk *walk, size_t pos)
{
    uint64_t word = xml_map_word(walk->name, pos) | 1ull << NAME_BYTES_MAX;
    return pos + (size_t)__builtin_ctzll(word);
}

INLINE size_t next_value_stop(const struct walk *walk, size_t pos)
{
    return xml_map_next(walk->name + sizeof(walk->reader->map.name), pos);
}

INLINE const uint8_t *text_bits(const struct walk *walk)
{
    return walk->name + 2 * sizeof(walk->reader->map.name);
}
static_assert(offsetof(struct xml_map, value) - offsetof(struct xml_map, name) ==
                  sizeof(((struct xml_map *)0)->name),
              "value follows name");
static_assert(offsetof(struct xml_map, text) - offsetof(struct xml_map, value) ==
                  sizeof(((struct xml_map *)0)->name),
              "text follows value");

/* ---- namespaces ---- */

/* As xml_ns_find(), without a loop where 64 octets may be read. */
INLINE enum xml_ns find_ns(const struct walk *walk, size_t at, size_t size)
{
    struct bytes uri = bytes_of(walk->octets + at, size);
#ifdef __AVX2__
    if (size < XML_NS_URI_BYTES_MIN || size > XML_NS_URI_BYTES_MAX || at + 64 > walk->end)
        return xml_ns_find(&walk->reader->ns_table, uri);
    enum xml_ns ns = walk->reader->ns_table.slots[xml_ns_slot(&walk->reader->ns_table, uri)];
    const uint8_t *known = (const uint8_t *)xml_ns_uris[ns].uri;
    __m256i low = _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(const void *)known),
                                    _mm256_loadu_si256((const __m256i *)(const void *)uri.at));
    __m256i high =
        _mm256_cmpeq_epi8(_mm256_loadu_si256((const __m256i *)(const void *)(known + 32)),
                          _mm256_loadu_si256((const __m256i *)(const void *)(uri.at + 32)));
    uint64_t same =
        (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
    bool is_known = xml_ns_uris[ns].size == size && (~same & ((1ull << size) - 1)) == 0;
    return is_known ? ns : XML_NS_OTHER;
#else
    return xml_ns_find(&walk->reader->ns_table, uri);
#endif
}

/* The node just written turns out to be xmlns='...'; false when the steps must look at it. */
INLINE bool declare(struct walk *walk, struct xml_node *node, size_t at, size_t size)
{
    enum xml_ns ns = find_ns(walk, at, size);
    if (ns == XML_NS_XML || ns == XML_NS_XMLNS)
        return false;
    size_t index = index_of(walk, node);
    uint64_t kept = level_word(&walk->level[1]) & ~(uint64_t)0 << 48;
    put_word(node, node_head(XML_NODE_DECLARATION, depth_of(walk) + 2, 5) | (uint64_t)ns << 48);
    put_word(&node->next, pair(index + 1, index));
    put_word(&walk->level[1].default_node, kept | index | (uint64_t)ns << LEVEL_NS_SHIFT);
    return true;
}

/* ---- start tags ---- */

INLINE uint32_t two_octets(const uint8_t *at)
{
    uint16_t two;
    memcpy(&two, at, sizeof(two));
    return two;
}

/* A value in quotes from the octet at quote_at on, the name from name_at to equals before it. Two
 * octets behind it must be there. */
INLINE bool value(struct walk *walk, size_t name_at, size_t equals, uint64_t head)
{
    const uint8_t *octets = walk->octets;
    uint32_t two = two_octets(octets + equals);
    size_t size = equals - name_at;
    if (((two != ('=' | '"' << 8)) & (two != ('=' | '\'' << 8))) ||
        !xml_is_ascii_name_start(octets[name_at]))
        return false;
    size_t value_at = equals + 2;
    size_t value_end = next_value_stop(walk, value_at);
    if (value_end + 2 >= walk->end || octets[value_end] != two >> 8)
        return false;
    uint64_t bit = xml_name_bit(octets + name_at, size);
    if ((walk->names_seen & bit) != 0 || walk->node >= walk->tag_end)
        return false;
    uint64_t outer = pair(name_at, value_end + 1);
    struct xml_node *node = walk->node;
    put_word(node, head);
    put_word(&node->at, outer);
    put_word(&node->inner_at, outer + size + 2 - (1ull << 32));
    put_word(&node->next, index_of(walk, node) + 1);
    if (size == 5 && memcmp(octets + name_at, "xmlns", 5) == 0 &&
        !declare(walk, node, value_at, value_end - value_at))
        return false;
    walk->node++;
    walk->names_seen |= bit;
    walk->pos = value_end + 1;
    return true;
}

/* xml:lang and its like, from name_at on with its colon at *stop: moves *stop behind the local part
 * and completes *head. */
INLINE bool xml_prefix_is_next(const struct walk *walk, size_t name_at, size_t *stop,
                               uint64_t *head)
{
    size_t local_at = *stop + 1;
    if (*stop - name_at != 3 || memcmp(walk->octets + name_at, "xml", 3) != 0 ||
        !xml_is_ascii_name_start(walk->octets[local_at]))
        return false;
    *stop = next_name_stop(walk, local_at);
    *head = node_head(XML_NODE_ATTRIBUTE, depth_of(walk) + 2, *stop - local_at) | 3u << 16 |
            (uint64_t)XML_NS_XML << 48;
    return *stop + 1 < walk->end;
}

/* At the space before an attribute. False, and nothing changed, when it is not the plain kind. */
INLINE bool attribute(struct walk *walk)
{
    size_t name_at = walk->pos + 1;
    size_t stop = next_name_stop(walk, name_at);
    if (stop + 1 >= walk->end)
        return false;
    uint64_t head = node_head(XML_NODE_ATTRIBUTE, depth_of(walk) + 2, stop - name_at);
    if (IS_UNLIKELY(walk->octets[stop] == ':') && !xml_prefix_is_next(walk, name_at, &stop, &head))
        return false;
    return value(walk, name_at, stop, head);
}

INLINE enum hop close_element(struct walk *walk, struct xml_node *node, size_t inner_end,
                              size_t end)
{
    node->end = (uint32_t)end;
    node->inner_end = (uint32_t)inner_end;
    node->next = (uint32_t)index_of(walk, walk->node);
    walk->pos = end;
    return walk->level == walk->reader->progress.levels ? HOP_DONE : HOP_ON;
}

/* At the > or /> of a tag whose names are all plain. */
INLINE enum hop finish_tag(struct walk *walk, size_t size)
{
    struct xml_node *node = tag_node(walk);
    uint64_t level = level_word(&walk->level[1]);
    size_t inner_at = walk->pos + size;
    node->attribute_count = (uint8_t)(walk->node - node - 1);
    node->ns = (uint16_t)(level >> LEVEL_NS_SHIFT);
    node->ns_node = (uint32_t)level;
    node->inner_at = (uint32_t)inner_at;
    if (size == 2)
        return close_element(walk, node, inner_at, inner_at);
    walk->level++;
    walk->pos = inner_at;
    return HOP_ON;
}

/* Behind the name or an attribute of a start tag; two octets are there. STOP leaves phase TAG. */
INLINE enum hop rest_of_tag(struct walk *walk)
{
    while (walk->octets[walk->pos] == ' ')
        if (!attribute(walk))
            return HOP_STOP;
    uint32_t two = two_octets(walk->octets + walk->pos);
    if ((two & 0xFF) == '>')
        return finish_tag(walk, 1);
    if (two == ('/' | '>' << 8))
        return finish_tag(walk, 2);
    return HOP_STOP;
}

/* At < of a start tag. False, and nothing changed, when its name is not the plain kind. */
INLINE bool start_tag(struct walk *walk)
{
    const struct xml_limits *limits = walk->reader->limits;
    size_t name_at = walk->pos + 1;
    size_t stop = next_name_stop(walk, name_at);
    size_t size = stop - name_at;
    struct xml_node *node = walk->node;
    if (stop + 1 >= walk->end || !xml_is_ascii_name_start(walk->octets[name_at]) ||
        size == NAME_BYTES_MAX || index_of(walk, node) >= limits->nodes_max ||
        depth_of(walk) >= limits->depth_max)
        return false;
    uint8_t octet = walk->octets[stop];
    if (octet == ':' || octet >= 0x80)
        return false;
    put_word(node, node_head(XML_NODE_ELEMENT, depth_of(walk) + 1, size));
    node->at = (uint32_t)walk->pos;
    uint64_t inherited = level_word(walk->level) << 8 >> 8;
    uint64_t short_size = size <= 16 ? size : 0;
    put_word(&walk->level[1], pair(index_of(walk, node), name_at));
    put_word(&walk->level[1].default_node, inherited | short_size << LEVEL_SHORT_SHIFT);
    walk->node++;
    walk->tag_end = tag_end_of(walk, node);
    walk->names_seen = 0;
    walk->pos = stop;
    return true;
}

/* ---- content ---- */

/* Whether the name of the innermost element stands at octets, and a > behind it. The caller
 * knows that 17 octets are there. */
INLINE bool is_end_of(const uint8_t *octets, const uint8_t *name, size_t size)
{
#ifdef __SSE2__
    __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)octets),
                                  _mm_loadu_si128((const __m128i *)(const void *)name));
    uint32_t differ = ~(uint32_t)_mm_movemask_epi8(same) & ((1u << size) - 1);
    return differ == 0 && octets[size] == '>';
#else
    return memcmp(octets, name, size) == 0 && octets[size] == '>';
#endif
}

/* At </ */
INLINE enum hop end_tag(struct walk *walk)
{
    const struct xml_level *level = walk->level;
    size_t size = level->short_size;
    size_t name_at = walk->pos + 2;
    if (size == 0 || name_at + 17 > walk->end ||
        !is_end_of(walk->octets + name_at, walk->octets + level->name_at, size))
        return HOP_STOP;
    struct xml_node *node = &walk->reader->nodes[level->node];
    walk->level--;
    return close_element(walk, node, walk->pos, name_at + size + 1);
}

/* Steps over references in text from the first on; returns the next stop of another kind. Takes no
 * walk: one whose address is known outside the loop would live in memory. */
NOINLINE static size_t skip_references(struct bytes octets, const uint8_t *text, size_t pos)
{
    while (pos < octets.size && octets.at[pos] == '&') {
        struct xml_taken taken = xml_take_reference(bytes_from(octets, pos));
        if (taken.take != XML_TAKE_OK)
            return pos;
        pos = xml_map_next(text, pos + taken.size);
    }
    return pos;
}

/* Text up to the next <, and an octet behind that. False, and nothing changed, when there is
 * anything else in it but references. */
INLINE bool text(struct walk *walk)
{
    uint64_t head = node_head(XML_NODE_TEXT, depth_of(walk) + 1, 0);
    size_t stop = xml_map_next(text_bits(walk), walk->pos);
    if (stop < walk->end && walk->octets[stop] == '&') {
        stop = skip_references(bytes_of(walk->octets, walk->end), text_bits(walk), stop);
        head |= (uint64_t)XML_NODE_IS_ESCAPED << 40;
    }
    if (stop + 1 >= walk->end || walk->octets[stop] != '<' ||
        index_of(walk, walk->node) >= walk->reader->limits->nodes_max || depth_of(walk) == 0)
        return false;
    struct xml_node *node = walk->node++;
    uint64_t extent = pair(walk->pos, stop);
    put_word(node, head);
    put_word(&node->at, extent);
    put_word(&node->inner_at, extent);
    put_word(&node->next, index_of(walk, node) + 1);
    walk->pos = stop;
    return true;
}

/* From one boundary in content to the next; *phase is where a STOP happened. */
INLINE enum hop content(struct walk *walk, uint8_t *phase)
{
    *phase = XML_PHASE_CONTENT;
    if (walk->pos + 1 >= walk->end)
        return HOP_STOP;
    if (walk->octets[walk->pos] != '<' && !text(walk))
        return HOP_STOP;
    if (walk->octets[walk->pos + 1] == '/')
        return depth_of(walk) == 0 ? HOP_STOP : end_tag(walk);
    if (!start_tag(walk))
        return HOP_STOP;
    *phase = XML_PHASE_TAG;
    return rest_of_tag(walk);
}

/* Takes up a start tag that the steps began: false when they must end it, too. */
INLINE bool resume_tag(struct walk *walk)
{
    const struct xml_progress *progress = &walk->reader->progress;
    walk->names_seen = progress->names_seen;
    walk->tag_end = tag_end_of(walk, tag_node(walk));
    return walk->pos + 1 < walk->end && progress->has_prefixes == 0 &&
           tag_node(walk)->prefix_size == 0;
}

bool XML_FAST(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    ASSERT(progress->pos >= reader->map.at && progress->pos <= reader->map.end);
    struct walk walk = {
        .reader = reader,
        .octets = reader->input.at,
        .name = xml_map_bits(&reader->map, reader->map.name),
        .pos = progress->pos,
        .end = reader->map.end,
        .node = &reader->nodes[progress->node_count],
        .level = &progress->levels[progress->depth],
    };
    uint8_t phase = progress->phase;
    enum hop hop = HOP_ON;
    if (phase == XML_PHASE_TAG) {
        if (!resume_tag(&walk))
            return false;
        hop = rest_of_tag(&walk);
    } else {
        progress->has_prefixes = 0;
    }
    while (hop == HOP_ON)
        hop = content(&walk, &phase);
    progress->pos = (uint32_t)walk.pos;
    progress->node_count = (uint32_t)index_of(&walk, walk.node);
    progress->depth = (uint32_t)depth_of(&walk);
    progress->names_seen = walk.names_seen;
    progress->phase = phase;
    return hop == HOP_DONE;
}
