/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding where tokens may end, and judging every octet, 64 at a time (see xml_scan.h). Four ways
 * with one result: AVX-512, AVX2, SSE4.2 and plain C, which is the oracle of the others in
 * tests/xml/xml_scan_test.c. The vector ways work alike:
 *
 * - an octet's class is looked up by its two halves: low[octet & 15] & high[octet >> 4]. Six bits
 *   say "ends a name", two say "control character"; see LOW and HIGH for which half-pairs;
 * - sets whose low halves all differ need one look-up: table[octet & 15] == octet;
 * - UTF-8 by the method of Keiser and Lemire, "Validating UTF-8 in less than one instruction per
 *   byte" (2021): each pair of neighbours is looked up by three halves, each giving the set of
 *   errors it does not rule out. U+FFFE and U+FFFF are legal UTF-8 but not XML (XML 1.0 section
 *   2.2) and are compared for. Blocks of plain ASCII behind plain ASCII skip all this.
 *
 * A vector way only says that a block is suspect; xml_take_char() then finds the first octet. */
#include "xml_scan.h"

#include "xml_char.h"

/* ---- plain C ---- */

static bool is_name_stop(uint8_t octet)
{
    return !xml_is_ascii_name_start(octet) && !(octet >= '0' && octet <= '9') && octet != '-' &&
           octet != '.';
}

static bool is_value_stop(uint8_t octet)
{
    return octet == '"' || octet == '\'' || octet == '<' || octet == '&' || octet == '\t' ||
           octet == '\n' || octet == '\r';
}

static bool is_text_stop(uint8_t octet)
{
    return octet == '<' || octet == '&' || octet == '>' || octet == '\r';
}

/* Offset of the first octet that starts no legal character. A character cut by the end is let go:
 * what follows it will be judged together with it. `from` may lie within a character. */
static uint32_t find_bad(struct bytes input, uint32_t from)
{
    uint32_t at = from;
    if (from >= 1 && input.at[from - 1] >= 0xC0)
        at = from - 1;
    else if (from >= 2 && input.at[from - 2] >= 0xE0)
        at = from - 2;
    else if (from >= 3 && input.at[from - 3] >= 0xF0)
        at = from - 3;
    while (at < input.size) {
        struct xml_taken taken = xml_take_char(bytes_from(input, at));
        if (taken.take == XML_TAKE_BAD)
            return at;
        if (taken.take == XML_TAKE_CUT)
            break;
        at += taken.size;
    }
    return XML_OFFSET_NONE;
}

static uint32_t scan_scalar(struct xml_map *map, uint32_t word, const uint8_t *octets,
                            uint32_t count, uint32_t before)
{
    uint32_t first_suspect = count;
    for (uint32_t block = 0; block < count; block++) {
        uint64_t name = 0;
        uint64_t value = 0;
        uint64_t text = 0;
        bool is_suspect = (before & 0x80808080u) != 0;
        for (uint32_t i = 0; i < 64; i++) {
            uint8_t octet = octets[block * 64 + i];
            name |= (uint64_t)is_name_stop(octet) << i;
            value |= (uint64_t)is_value_stop(octet) << i;
            text |= (uint64_t)is_text_stop(octet) << i;
            is_suspect = is_suspect || octet >= 0x80 || !xml_is_char(octet);
        }
        map->name[word + block] = name;
        map->value[word + block] = value;
        map->text[word + block] = text;
        if (is_suspect && first_suspect == count)
            first_suspect = block;
        memcpy(&before, octets + block * 64 + 60, sizeof(before));
    }
    return first_suspect;
}

static bool can_always(void)
{
    return true;
}

#ifdef __x86_64__
#include <immintrin.h>

/* Bits 0-5: ends a name. {2x: all but - .} {3x: : ; < = > ?} {4x: @} {5x: [ \ ] ^} {6x: `}
 * {7x: { | } ~ DEL}, all controls, all octets above 127. Bits 6-7: a control other than TAB LF CR.
 */
#define LOW                                                                                        \
    0x61, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, (char)0x81, (char)0x91, 0x45, 0x45,      \
        (char)0x82, 0x42, 0x49
#define HIGH 0x43, (char)0xC3, 0x01, 0x1E, 0x20, 0x06, 0x20, 0x0E, 3, 3, 3, 3, 3, 3, 3, 3
#define CONTROL ((char)0xC0)

/* Entry i is the one octet of the set with low half i; an impossible one where there is none. */
#define NO ((char)0x80)
#define VALUE_STOPS                                                                                \
    (char)0xFF, NO, '"', NO, NO, NO, '&', '\'', NO, '\t', '\n', NO, '<', '\r', NO, NO
#define TEXT_STOPS (char)0xFF, NO, NO, NO, NO, NO, '&', NO, NO, NO, NO, NO, '<', '\r', '>', NO

/* What can be wrong with an octet after another. */
#define LEAD_ALONE 0x01        /* a lead, and no continuation behind it */
#define STRAY 0x02             /* a continuation behind ASCII */
#define LONG_3 0x04            /* E0 80-9F */
#define HUGE 0x08              /* F4 90-BF, F5-FF anything */
#define SURROGATE 0x10         /* ED A0-BF */
#define LONG_2 0x20            /* C0, C1 */
#define LONG_4_OR_HUGE 0x40    /* F0 80-8F, F5-FF 80-8F */
#define CONTINUED ((char)0x80) /* a continuation behind a continuation: right if a lead says so */
#define ANY_LOW (LEAD_ALONE | STRAY | CONTINUED)
#define HUGE_LOW (char)(ANY_LOW | HUGE | LONG_4_OR_HUGE)

#define FIRST_HIGH                                                                                 \
    STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, STRAY, CONTINUED, CONTINUED, CONTINUED,       \
        CONTINUED, LEAD_ALONE | LONG_2, LEAD_ALONE, LEAD_ALONE | LONG_3 | SURROGATE,               \
        LEAD_ALONE | HUGE | LONG_4_OR_HUGE
#define FIRST_LOW                                                                                  \
    (char)(ANY_LOW | LONG_2 | LONG_3 | LONG_4_OR_HUGE), (char)(ANY_LOW | LONG_2), (char)ANY_LOW,   \
        (char)ANY_LOW, (char)(ANY_LOW | HUGE), HUGE_LOW, HUGE_LOW, HUGE_LOW, HUGE_LOW, HUGE_LOW,   \
        HUGE_LOW, HUGE_LOW, HUGE_LOW, (char)(HUGE_LOW | SURROGATE), HUGE_LOW, HUGE_LOW
#define SECOND_LONG (STRAY | CONTINUED | LONG_2)
#define SECOND_HIGH                                                                                \
    LEAD_ALONE, LEAD_ALONE, LEAD_ALONE, LEAD_ALONE, LEAD_ALONE, LEAD_ALONE, LEAD_ALONE,            \
        LEAD_ALONE, (char)(SECOND_LONG | LONG_3 | LONG_4_OR_HUGE),                                 \
        (char)(SECOND_LONG | LONG_3 | HUGE), (char)(SECOND_LONG | SURROGATE | HUGE),               \
        (char)(SECOND_LONG | SURROGATE | HUGE), LEAD_ALONE, LEAD_ALONE, LEAD_ALONE, LEAD_ALONE

/* ---- SSE4.2 ---- */

#define SSE42 __attribute__((target("sse4.2")))
#define SSE42_INLINE SSE42 __attribute__((always_inline)) static inline

SSE42_INLINE __m128i sse42_high_halves(__m128i octets)
{
    return _mm_and_si128(_mm_srli_epi16(octets, 4), _mm_set1_epi8(15));
}

/* Not zero where octets is no good behind the octets of earlier. */
SSE42_INLINE __m128i sse42_utf8_errors(__m128i octets, __m128i earlier)
{
    __m128i back1 = _mm_alignr_epi8(octets, earlier, 15);
    __m128i back2 = _mm_alignr_epi8(octets, earlier, 14);
    __m128i back3 = _mm_alignr_epi8(octets, earlier, 13);
    __m128i pair = _mm_and_si128(
        _mm_and_si128(
            _mm_shuffle_epi8(_mm_setr_epi8(FIRST_HIGH), sse42_high_halves(back1)),
            _mm_shuffle_epi8(_mm_setr_epi8(FIRST_LOW), _mm_and_si128(back1, _mm_set1_epi8(15)))),
        _mm_shuffle_epi8(_mm_setr_epi8(SECOND_HIGH), sse42_high_halves(octets)));
    __m128i due = _mm_or_si128(_mm_subs_epu8(back2, _mm_set1_epi8(0xE0 - 0x80)),
                               _mm_subs_epu8(back3, _mm_set1_epi8(0xF0 - 0x80)));
    __m128i errors = _mm_xor_si128(_mm_and_si128(due, _mm_set1_epi8(CONTINUED)), pair);
    __m128i last =
        _mm_cmpeq_epi8(_mm_or_si128(octets, _mm_set1_epi8(1)), _mm_set1_epi8((char)0xBF));
    __m128i middle = _mm_cmpeq_epi8(back1, _mm_set1_epi8((char)0xBF));
    __m128i lead = _mm_cmpeq_epi8(back2, _mm_set1_epi8((char)0xEF));
    return _mm_or_si128(errors, _mm_and_si128(_mm_and_si128(last, middle), lead));
}

SSE42 static uint32_t scan_sse42(struct xml_map *map, uint32_t word, const uint8_t *octets,
                                 uint32_t count, uint32_t before)
{
    uint32_t first_suspect = count;
    __m128i earlier = _mm_insert_epi32(_mm_setzero_si128(), (int)before, 3);
    for (uint32_t block = 0; block < count; block++, octets += 64) {
        uint64_t name = 0;
        uint64_t value = 0;
        uint64_t text = 0;
        __m128i classes = _mm_setzero_si128();
        __m128i errors = _mm_setzero_si128();
        for (uint32_t i = 0; i < 64; i += 16) {
            __m128i now = _mm_loadu_si128((const __m128i *)(octets + i));
            __m128i class = _mm_and_si128(
                _mm_shuffle_epi8(_mm_setr_epi8(LOW), _mm_and_si128(now, _mm_set1_epi8(15))),
                _mm_shuffle_epi8(_mm_setr_epi8(HIGH), sse42_high_halves(now)));
            __m128i goes_on = _mm_cmpeq_epi8(class, _mm_setzero_si128());
            __m128i is_value =
                _mm_cmpeq_epi8(_mm_shuffle_epi8(_mm_setr_epi8(VALUE_STOPS), now), now);
            __m128i is_text = _mm_cmpeq_epi8(_mm_shuffle_epi8(_mm_setr_epi8(TEXT_STOPS), now), now);
            name |= (uint64_t)(uint32_t)_mm_movemask_epi8(goes_on) << i;
            value |= (uint64_t)(uint32_t)_mm_movemask_epi8(is_value) << i;
            text |= (uint64_t)(uint32_t)_mm_movemask_epi8(is_text) << i;
            classes = _mm_or_si128(classes, class);
            if (_mm_movemask_epi8(_mm_or_si128(now, earlier)) != 0)
                errors = _mm_or_si128(errors, sse42_utf8_errors(now, earlier));
            earlier = now;
        }
        map->name[word + block] = ~name;
        map->value[word + block] = value;
        map->text[word + block] = text;
        errors = _mm_or_si128(errors, _mm_and_si128(classes, _mm_set1_epi8(CONTROL)));
        if (IS_UNLIKELY(!_mm_testz_si128(errors, errors)) && first_suspect == count)
            first_suspect = block;
    }
    return first_suspect;
}

static bool can_sse42(void)
{
    return __builtin_cpu_supports("sse4.2");
}

/* ---- AVX2 ---- */

#define AVX2 __attribute__((target("avx2")))
#define AVX2_INLINE AVX2 __attribute__((always_inline)) static inline
#define AVX2_TABLE(...) _mm256_broadcastsi128_si256(_mm_setr_epi8(__VA_ARGS__))

AVX2_INLINE __m256i avx2_high_halves(__m256i octets)
{
    return _mm256_and_si256(_mm256_srli_epi16(octets, 4), _mm256_set1_epi8(15));
}

AVX2_INLINE __m256i avx2_utf8_errors(__m256i octets, __m256i earlier)
{
    __m256i across = _mm256_permute2x128_si256(earlier, octets, 0x21);
    __m256i back1 = _mm256_alignr_epi8(octets, across, 15);
    __m256i back2 = _mm256_alignr_epi8(octets, across, 14);
    __m256i back3 = _mm256_alignr_epi8(octets, across, 13);
    __m256i first_low =
        _mm256_shuffle_epi8(AVX2_TABLE(FIRST_LOW), _mm256_and_si256(back1, _mm256_set1_epi8(15)));
    __m256i first_high = _mm256_shuffle_epi8(AVX2_TABLE(FIRST_HIGH), avx2_high_halves(back1));
    __m256i second = _mm256_shuffle_epi8(AVX2_TABLE(SECOND_HIGH), avx2_high_halves(octets));
    __m256i pair = _mm256_and_si256(_mm256_and_si256(first_high, first_low), second);
    __m256i due = _mm256_or_si256(_mm256_subs_epu8(back2, _mm256_set1_epi8(0xE0 - 0x80)),
                                  _mm256_subs_epu8(back3, _mm256_set1_epi8(0xF0 - 0x80)));
    __m256i errors = _mm256_xor_si256(_mm256_and_si256(due, _mm256_set1_epi8(CONTINUED)), pair);
    __m256i last = _mm256_cmpeq_epi8(_mm256_or_si256(octets, _mm256_set1_epi8(1)),
                                     _mm256_set1_epi8((char)0xBF));
    __m256i middle = _mm256_cmpeq_epi8(back1, _mm256_set1_epi8((char)0xBF));
    __m256i lead = _mm256_cmpeq_epi8(back2, _mm256_set1_epi8((char)0xEF));
    return _mm256_or_si256(errors, _mm256_and_si256(_mm256_and_si256(last, middle), lead));
}

AVX2_INLINE __m256i avx2_class(__m256i octets)
{
    __m256i low =
        _mm256_shuffle_epi8(AVX2_TABLE(LOW), _mm256_and_si256(octets, _mm256_set1_epi8(15)));
    return _mm256_and_si256(low, _mm256_shuffle_epi8(AVX2_TABLE(HIGH), avx2_high_halves(octets)));
}

AVX2_INLINE uint64_t avx2_mask(__m256i first, __m256i second)
{
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(first) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(second) << 32;
}

AVX2_INLINE __m256i avx2_is_one_of(__m256i table, __m256i octets)
{
    return _mm256_cmpeq_epi8(_mm256_shuffle_epi8(table, octets), octets);
}

AVX2 static uint32_t scan_avx2(struct xml_map *map, uint32_t word, const uint8_t *octets,
                               uint32_t count, uint32_t before)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i value_stops = AVX2_TABLE(VALUE_STOPS);
    const __m256i text_stops = AVX2_TABLE(TEXT_STOPS);
    uint32_t first_suspect = count;
    __m256i earlier = _mm256_insert_epi32(zero, (int)before, 7);
    bool is_ascii_before = (before & 0x80808080u) == 0;
    for (uint32_t block = 0; block < count; block++, octets += 64) {
        __m256i one = _mm256_loadu_si256((const __m256i *)octets);
        __m256i two = _mm256_loadu_si256((const __m256i *)(octets + 32));
        __m256i class_one = avx2_class(one);
        __m256i class_two = avx2_class(two);
        map->name[word + block] =
            ~avx2_mask(_mm256_cmpeq_epi8(class_one, zero), _mm256_cmpeq_epi8(class_two, zero));
        map->value[word + block] =
            avx2_mask(avx2_is_one_of(value_stops, one), avx2_is_one_of(value_stops, two));
        map->text[word + block] =
            avx2_mask(avx2_is_one_of(text_stops, one), avx2_is_one_of(text_stops, two));
        __m256i errors =
            _mm256_and_si256(_mm256_or_si256(class_one, class_two), _mm256_set1_epi8(CONTROL));
        bool is_ascii = _mm256_movemask_epi8(_mm256_or_si256(one, two)) == 0;
        if (!(is_ascii && is_ascii_before)) {
            errors = _mm256_or_si256(errors, avx2_utf8_errors(one, earlier));
            errors = _mm256_or_si256(errors, avx2_utf8_errors(two, one));
        }
        earlier = two;
        is_ascii_before = is_ascii;
        if (IS_UNLIKELY(!_mm256_testz_si256(errors, errors)) && first_suspect == count)
            first_suspect = block;
    }
    return first_suspect;
}

static bool can_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

/* ---- AVX-512 (BW) ---- */

#define AVX512 __attribute__((target("avx512f,avx512bw")))
#define AVX512_INLINE AVX512 __attribute__((always_inline)) static inline
#define AVX512_TABLE(...) _mm512_broadcast_i32x4(_mm_setr_epi8(__VA_ARGS__))

AVX512_INLINE __m512i avx512_high_halves(__m512i octets)
{
    return _mm512_and_si512(_mm512_srli_epi16(octets, 4), _mm512_set1_epi8(15));
}

AVX512_INLINE uint64_t avx512_utf8_errors(__m512i octets, __m512i earlier)
{
    __m512i across = _mm512_alignr_epi32(octets, earlier, 12);
    __m512i back1 = _mm512_alignr_epi8(octets, across, 15);
    __m512i back2 = _mm512_alignr_epi8(octets, across, 14);
    __m512i back3 = _mm512_alignr_epi8(octets, across, 13);
    __m512i first_low =
        _mm512_shuffle_epi8(AVX512_TABLE(FIRST_LOW), _mm512_and_si512(back1, _mm512_set1_epi8(15)));
    __m512i first_high = _mm512_shuffle_epi8(AVX512_TABLE(FIRST_HIGH), avx512_high_halves(back1));
    __m512i second = _mm512_shuffle_epi8(AVX512_TABLE(SECOND_HIGH), avx512_high_halves(octets));
    __m512i pair = _mm512_and_si512(_mm512_and_si512(first_high, first_low), second);
    __m512i due = _mm512_or_si512(_mm512_subs_epu8(back2, _mm512_set1_epi8(0xE0 - 0x80)),
                                  _mm512_subs_epu8(back3, _mm512_set1_epi8(0xF0 - 0x80)));
    __m512i errors = _mm512_xor_si512(_mm512_and_si512(due, _mm512_set1_epi8(CONTINUED)), pair);
    uint64_t last = _mm512_cmpeq_epi8_mask(_mm512_or_si512(octets, _mm512_set1_epi8(1)),
                                           _mm512_set1_epi8((char)0xBF));
    uint64_t middle = _mm512_cmpeq_epi8_mask(back1, _mm512_set1_epi8((char)0xBF));
    uint64_t lead = _mm512_cmpeq_epi8_mask(back2, _mm512_set1_epi8((char)0xEF));
    return _mm512_test_epi8_mask(errors, errors) | (last & middle & lead);
}

AVX512 static uint32_t scan_avx512(struct xml_map *map, uint32_t word, const uint8_t *octets,
                                   uint32_t count, uint32_t before)
{
    const __m512i value_stops = AVX512_TABLE(VALUE_STOPS);
    const __m512i text_stops = AVX512_TABLE(TEXT_STOPS);
    uint32_t first_suspect = count;
    __m512i earlier = _mm512_maskz_set1_epi32(1u << 15, (int)before);
    for (uint32_t block = 0; block < count; block++, octets += 64) {
        __m512i now = _mm512_loadu_si512(octets);
        __m512i low =
            _mm512_shuffle_epi8(AVX512_TABLE(LOW), _mm512_and_si512(now, _mm512_set1_epi8(15)));
        __m512i high = _mm512_shuffle_epi8(AVX512_TABLE(HIGH), avx512_high_halves(now));
        __m512i class = _mm512_and_si512(low, high);
        map->name[word + block] = _mm512_test_epi8_mask(low, high);
        map->value[word + block] =
            _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(value_stops, now), now);
        map->text[word + block] = _mm512_cmpeq_epi8_mask(_mm512_shuffle_epi8(text_stops, now), now);
        uint64_t errors = _mm512_test_epi8_mask(class, _mm512_set1_epi8(CONTROL));
        if (_mm512_movepi8_mask(_mm512_or_si512(now, earlier)) != 0)
            errors |= avx512_utf8_errors(now, earlier);
        earlier = now;
        if (IS_UNLIKELY(errors != 0) && first_suspect == count)
            first_suspect = block;
    }
    return first_suspect;
}

static bool can_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}
#endif

/* ---- what the reader calls ---- */

const struct xml_scanner xml_scanners[XML_SCANNER_COUNT] = {
#ifdef __x86_64__
    {"avx512", scan_avx512, can_avx512},
    {"avx2", scan_avx2, can_avx2},
    {"sse4.2", scan_sse42, can_sse42},
#endif
    {"scalar", scan_scalar, can_always},
};

const struct xml_scanner *xml_scanner_find(void)
{
    const struct xml_scanner *scanner = xml_scanners;
    while (!scanner->can_run())
        scanner++;
    return scanner;
}

void xml_map_reset(struct xml_map *map)
{
    map->at = 0;
    map->end = 0;
    map->bad_at = XML_OFFSET_NONE;
    map->name[0] = map->value[0] = map->text[0] = UINT64_MAX;
}

/* The four octets before offset at, as scan() wants them. */
static uint32_t octets_before(struct bytes input, uint32_t at)
{
    uint8_t octets[4] = {0};
    uint32_t before;
    uint32_t count = at < 4 ? at : 4;
    memcpy(octets + 4 - count, input.at + at - count, count);
    memcpy(&before, octets, sizeof(before));
    return before;
}

/* The last block when it is not full. Spaces fill it up; a character cut by the end is suspect and
 * found innocent by find_bad(). */
static uint32_t fill_tail(struct xml_map *map, const struct xml_scanner *scanner,
                          struct bytes input, uint32_t word)
{
    uint8_t block[64];
    uint32_t at = map->at + word * 64;
    uint32_t size = map->end - at;
    memset(block, ' ', sizeof(block));
    memcpy(block, input.at + at, size);
    uint32_t suspect = scanner->scan(map, word, block, 1, octets_before(input, at));
    map->name[word] |= UINT64_MAX << size;
    map->value[word] |= UINT64_MAX << size;
    map->text[word] |= UINT64_MAX << size;
    return word + suspect;
}

void xml_map_fill(struct xml_map *map, const struct xml_scanner *scanner, struct bytes input,
                  uint32_t at)
{
    ASSERT(at <= input.size);
    at -= at % 64;
    uint32_t size = (uint32_t)input.size - at;
    if (size > XML_MAP_BYTES)
        size = XML_MAP_BYTES;
    map->at = at;
    map->end = at + size;
    uint32_t words = size / 64;
    uint32_t suspect = scanner->scan(map, 0, input.at + at, words, octets_before(input, at));
    if (size % 64 != 0) {
        uint32_t tail = fill_tail(map, scanner, input, words++);
        if (suspect == words - 1)
            suspect = tail;
    }
    map->name[words] = map->value[words] = map->text[words] = UINT64_MAX;
    if (IS_LIKELY(suspect == words))
        return;
    struct bytes looked_at = bytes_of(input.at, map->end);
    uint32_t bad_at = find_bad(looked_at, at + suspect * 64);
    if (bad_at < map->bad_at)
        map->bad_at = bad_at;
}
