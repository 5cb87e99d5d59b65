/* SPDX-License-Identifier: Apache-2.0
 *
 * The hot loop: start tags without prefix, ` name='value'` with one space and no reference, plain
 * text, end tags as short as they can be. Everything is found by hopping through the map; an octet
 * that ends a token is looked at, the octets of the token are not. At anything else (a prefix, a
 * second space, a reference, CDATA, a limit, a fault, the end of the octets) the loop stops at the
 * last boundary it understood, with all before it on the tape, and the steps of xml_step.c and
 * xml_tag.c, which know everything, go on from there.
 *
 * Budget: 12 ns a node on the reference machine (bench/xml_bench.c). */
#include "xml_char.h"
#include "xml_reader.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define INLINE __attribute__((always_inline)) static inline

/* The reader's progress in registers. Positions count from the start of the map. */
struct walk {
    struct xml_reader *reader;
    const uint8_t *octets;
    uint32_t base; /* input offset of the map */
    uint32_t pos;
    uint32_t end;          /* of the map */
    struct xml_node *node; /* the next free one */
    struct xml_node *node_limit;
    struct xml_level *level;
    struct xml_level *level_limit;
    uint64_t names_seen;
};

enum hop {
    HOP_ON,
    HOP_STOP,
    HOP_DONE,
};

/* Whether the name of the innermost element stands at octets, and a > behind it. The caller
 * knows that 17 octets are there. */
INLINE bool is_end_of(const uint8_t *octets, const uint8_t *name, uint32_t size)
{
#ifdef __SSE2__
    __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)octets),
                                  _mm_loadu_si128((const __m128i *)name));
    uint32_t differ = ~(uint32_t)_mm_movemask_epi8(same) & ((1u << size) - 1);
    return differ == 0 && octets[size] == '>';
#else
    return memcmp(octets, name, size) == 0 && octets[size] == '>';
#endif
}

INLINE enum hop close_element(struct walk *walk, uint32_t inner_end, uint32_t end)
{
    struct xml_node *nodes = walk->reader->nodes;
    struct xml_node *node = &nodes[walk->level->node];
    node->inner_end = walk->base + inner_end;
    node->end = walk->base + end;
    node->next = (uint32_t)(walk->node - nodes);
    walk->pos = end;
    walk->level--;
    return walk->level == walk->reader->progress.levels ? HOP_DONE : HOP_ON;
}

/* At </ */
INLINE enum hop end_tag(struct walk *walk)
{
    uint32_t size = walk->level->short_size;
    uint32_t name_at = walk->pos + 2;
    if (size == 0 || name_at + 17 > walk->end)
        return HOP_STOP;
    if (!is_end_of(walk->octets + name_at, walk->reader->input.at + walk->level->name_at, size))
        return HOP_STOP;
    return close_element(walk, walk->pos, name_at + size + 1);
}

/* xmlns='...'; false when the steps must look at it. */
INLINE bool declare(struct walk *walk, struct xml_node *node, struct bytes uri)
{
    enum xml_ns ns = xml_ns_find(&walk->reader->ns_table, uri);
    if (ns == XML_NS_XML || ns == XML_NS_XMLNS)
        return false;
    uint32_t index = (uint32_t)(node - walk->reader->nodes);
    node->kind = XML_NODE_DECLARATION;
    node->ns = (uint16_t)ns;
    node->ns_node = index;
    walk->level[1].default_ns = (uint16_t)ns;
    walk->level[1].default_node = index;
    return true;
}

/* At the space before an attribute. False, and nothing changed, when it is not the plain kind. */
INLINE bool attribute(struct walk *walk)
{
    const struct xml_map *map = &walk->reader->map;
    const uint8_t *octets = walk->octets;
    uint32_t name_at = walk->pos + 1;
    uint32_t equals = xml_map_next(map->name, name_at);
    if (equals + 1 >= walk->end || octets[equals] != '=' || walk->node == walk->node_limit)
        return false;
    uint8_t quote = octets[equals + 1];
    uint32_t size = equals - name_at;
    if ((quote != '"' && quote != '\'') || !xml_is_ascii_name_start(octets[name_at]) ||
        size > XML_NAME_BYTES_MAX)
        return false;
    uint32_t value_at = equals + 2;
    uint32_t value_end = xml_map_next(map->value, value_at);
    if (value_end >= walk->end || octets[value_end] != quote)
        return false;
    uint64_t bit = xml_name_bit(octets + name_at, size);
    if ((walk->names_seen & bit) != 0)
        return false;
    struct xml_node *node = walk->node;
    *node = (struct xml_node){
        .kind = XML_NODE_ATTRIBUTE,
        .depth = (uint8_t)(walk->level - walk->reader->progress.levels + 2),
        .name_size = (uint8_t)size,
        .at = walk->base + name_at,
        .end = walk->base + value_end + 1,
        .inner_at = walk->base + value_at,
        .inner_end = walk->base + value_end,
        .next = (uint32_t)(node - walk->reader->nodes) + 1,
    };
    if (size == 5 && memcmp(octets + name_at, "xmlns", 5) == 0 &&
        !declare(walk, node, bytes_of(octets + value_at, value_end - value_at)))
        return false;
    walk->names_seen |= bit;
    walk->node++;
    walk->pos = value_end + 1;
    return true;
}

/* At the > or /> of a tag whose names are all plain. */
INLINE enum hop finish_tag(struct walk *walk, uint32_t size)
{
    struct xml_level *level = walk->level + 1;
    struct xml_node *node = &walk->reader->nodes[level->node];
    node->attribute_count = (uint8_t)(walk->node - node - 1);
    node->ns = level->default_ns;
    node->ns_node = level->default_node;
    walk->pos += size;
    node->inner_at = walk->base + walk->pos;
    walk->level = level;
    return size == 2 ? close_element(walk, walk->pos, walk->pos) : HOP_ON;
}

/* Behind the name or an attribute of a start tag. STOP leaves phase TAG behind. */
INLINE enum hop rest_of_tag(struct walk *walk)
{
    const struct xml_reader *reader = walk->reader;
    const struct xml_node *node = &reader->nodes[walk->level[1].node];
    const struct xml_node *attributes_end = node + 1 + reader->limits->attributes_max;
    while (walk->pos + 1 < walk->end && walk->octets[walk->pos] == ' ')
        if (walk->node == attributes_end || !attribute(walk))
            return HOP_STOP;
    if (walk->pos + 1 >= walk->end || node->prefix_size != 0 || reader->progress.has_prefixes != 0)
        return HOP_STOP;
    uint8_t octet = walk->octets[walk->pos];
    if (octet == '>')
        return finish_tag(walk, 1);
    if (octet == '/' && walk->octets[walk->pos + 1] == '>')
        return finish_tag(walk, 2);
    return HOP_STOP;
}

/* At < of a start tag. False, and nothing changed, when its name is not the plain kind. */
INLINE bool start_tag(struct walk *walk)
{
    uint32_t name_at = walk->pos + 1;
    uint32_t stop = xml_map_next(walk->reader->map.name, name_at);
    uint32_t size = stop - name_at;
    if (stop >= walk->end || !xml_is_ascii_name_start(walk->octets[name_at]) ||
        size > XML_NAME_BYTES_MAX || walk->node == walk->node_limit ||
        walk->level == walk->level_limit)
        return false;
    uint8_t octet = walk->octets[stop];
    if (octet != ' ' && octet != '>' && octet != '/')
        return false;
    uint32_t index = (uint32_t)(walk->node - walk->reader->nodes);
    *walk->node++ = (struct xml_node){
        .kind = XML_NODE_ELEMENT,
        .depth = (uint8_t)(walk->level - walk->reader->progress.levels + 1),
        .name_size = (uint8_t)size,
        .at = walk->base + walk->pos,
    };
    walk->level[1] = walk->level[0];
    walk->level[1].node = index;
    walk->level[1].name_at = walk->base + name_at;
    walk->level[1].short_size = size <= 16 ? (uint8_t)size : 0;
    walk->names_seen = 0;
    walk->pos = stop;
    return true;
}

/* Text up to the next <, if any, and it has nothing in it to look at. */
INLINE bool text(struct walk *walk)
{
    uint32_t stop = xml_map_next(walk->reader->map.text, walk->pos);
    if (stop + 1 >= walk->end || walk->octets[stop] != '<')
        return false;
    if (stop == walk->pos)
        return true;
    if (walk->node == walk->node_limit || walk->level == walk->reader->progress.levels)
        return false;
    struct xml_node *node = walk->node++;
    *node = (struct xml_node){
        .kind = XML_NODE_TEXT,
        .depth = (uint8_t)(walk->level - walk->reader->progress.levels + 1),
        .at = walk->base + walk->pos,
        .end = walk->base + stop,
        .inner_at = walk->base + walk->pos,
        .inner_end = walk->base + stop,
        .next = (uint32_t)(node - walk->reader->nodes) + 1,
    };
    walk->pos = stop;
    return true;
}

/* From one boundary in content to the next; *phase is where a STOP happened. */
INLINE enum hop content(struct walk *walk, uint8_t *phase)
{
    *phase = XML_PHASE_CONTENT;
    if (!text(walk))
        return HOP_STOP;
    if (walk->octets[walk->pos + 1] == '/')
        return walk->level == walk->reader->progress.levels ? HOP_STOP : end_tag(walk);
    if (!start_tag(walk))
        return HOP_STOP;
    *phase = XML_PHASE_TAG;
    return rest_of_tag(walk);
}

bool xml_fast(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    ASSERT(progress->pos >= reader->map.at && progress->pos <= reader->map.end);
    struct walk walk = {
        .reader = reader,
        .octets = reader->input.at + reader->map.at,
        .base = reader->map.at,
        .pos = progress->pos - reader->map.at,
        .end = reader->map.end - reader->map.at,
        .node = reader->nodes + progress->node_count,
        .node_limit = reader->nodes + reader->limits->nodes_max,
        .level = progress->levels + progress->depth,
        .level_limit = progress->levels + reader->limits->depth_max,
        .names_seen = progress->names_seen,
    };
    uint8_t phase = progress->phase;
    enum hop hop = HOP_ON;
    if (phase == XML_PHASE_TAG)
        hop = rest_of_tag(&walk);
    else
        progress->has_prefixes = 0;
    while (hop == HOP_ON)
        hop = content(&walk, &phase);
    progress->pos = walk.base + walk.pos;
    progress->node_count = (uint32_t)(walk.node - reader->nodes);
    progress->depth = (uint32_t)(walk.level - progress->levels);
    progress->names_seen = walk.names_seen;
    progress->phase = phase;
    return hop == HOP_DONE;
}
