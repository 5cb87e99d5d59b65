/* SPDX-License-Identifier: Apache-2.0
 *
 * Stage one of reading XML: an index of the octets where a token may end, found 64 octets at a
 * time, and in the same pass the check that every octet belongs to a legal XML character in
 * well-formed UTF-8. The reader then hops from set bit to set bit and never looks at what lies
 * between. Private to src/xml. Any thread; a map belongs to one reader.
 *
 *   input  <iq type='get' id='a1'><ping xmlns='urn:xmpp:ping'/></iq>
 *   name   1..1....11...11..11..11...   set where a name cannot go on
 *   value  ........1...1....1..1.....   set where a value may end or needs care: " ' < & TAB CR LF
 *   text   1.....................1...   set where text may end or needs care: < & > CR
 *
 * Bits from map->end on are set in all three, so a search always stops. */
#ifndef STENTOR_XML_SCAN_H
#define STENTOR_XML_SCAN_H

#include "stentor/bytes.h"

#define XML_MAP_BLOCKS 64u
#define XML_MAP_BYTES (XML_MAP_BLOCKS * 64u)
#define XML_OFFSET_NONE UINT32_MAX

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a map is read at octet offsets");

struct xml_map {
    uint32_t at;     /* input offset of bit 0, a multiple of 64 */
    uint32_t end;    /* input offset behind the last octet looked at */
    uint32_t bad_at; /* input offset of the first illegal character found so far, or NONE */
    /* One word a block, one word all set, one more that a search may read past it. */
    uint64_t name[XML_MAP_BLOCKS + 2];
    uint64_t value[XML_MAP_BLOCKS + 2];
    uint64_t text[XML_MAP_BLOCKS + 2];
};

/* One way to do it. scan() sets words [word, word + count) of the three bitmaps from count * 64
 * octets; before holds the four octets that precede them, the nearest in the highest place, 0 if
 * there are none. Returns the number of the first block (from 0) in which some octet cannot stand,
 * or, by a character cut at the end of octets that are not the last, might not; count if none. */
struct xml_scanner {
    const char *name;
    uint32_t (*scan)(struct xml_map *map, uint32_t word, const uint8_t *octets, uint32_t count,
                     uint32_t before);
    bool (*can_run)(void);
};

#ifdef __x86_64__
#define XML_SCANNER_COUNT 4u
#else
#define XML_SCANNER_COUNT 1u
#endif
/* Best first, the scalar one last. */
extern const struct xml_scanner xml_scanners[XML_SCANNER_COUNT];
/* The best that this processor can run. */
const struct xml_scanner *xml_scanner_find(void);

/* Nothing looked at yet, nothing bad. */
void xml_map_reset(struct xml_map *map);
/* Looks at input from the block of offset at on, as much as the map holds. bad_at keeps what was
 * found before.
 */
void xml_map_fill(struct xml_map *map, const struct xml_scanner *scanner, struct bytes input,
                  uint32_t at);

/* The bits from number bit on, at least 57 of them, the nearest lowest. */
static inline uint64_t xml_map_word(const uint8_t *bits, size_t bit)
{
    uint64_t word;
    memcpy(&word, bits + (bit >> 3), sizeof(word));
    return word >> (bit & 7);
}

/* Number of the first set bit at or behind bit; there is one. */
static inline size_t xml_map_next(const uint8_t *bits, size_t bit)
{
    for (;;) {
        uint64_t word = xml_map_word(bits, bit);
        if (IS_LIKELY(word != 0))
            return bit + (size_t)__builtin_ctzll(word);
        bit = (bit & ~(size_t)7) + 64;
    }
}

/* The bits of one bitmap such that bit numbers are input offsets. Not to be read below map->at. */
static inline const uint8_t *xml_map_bits(const struct xml_map *map, const uint64_t *words)
{
    return (const uint8_t *)((uintptr_t)words - map->at / 8);
}

#endif
