/* SPDX-License-Identifier: Apache-2.0
 *
 * Characters, names and references, judged one by one (see xml_char.h). */
#include "xml_char.h"

static struct xml_taken taken_bad(enum xml_fault fault)
{
    return (struct xml_taken){.take = XML_TAKE_BAD, .fault = fault};
}

static struct xml_taken taken_cut(void)
{
    return (struct xml_taken){.take = XML_TAKE_CUT};
}

bool xml_is_char(uint32_t code_point)
{
    if (code_point < 0x20)
        return code_point == 0x9 || code_point == 0xA || code_point == 0xD;
    if (code_point < 0xD800)
        return true;
    return (code_point >= 0xE000 && code_point <= 0xFFFD) ||
           (code_point >= 0x10000 && code_point <= 0x10FFFF);
}

/* What the octet after the lead may be (RFC 3629 section 4): narrower for four leads, so that
 * overlong forms, surrogates and code points above U+10FFFF end there. */
static void second_range(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
}

struct xml_taken xml_take_char(struct bytes view)
{
    uint8_t lead = view.at[0];
    if (lead < 0x80) {
        if (!xml_is_char(lead))
            return taken_bad(XML_FAULT_CHARACTER);
        return (struct xml_taken){XML_TAKE_OK, XML_FAULT_NONE, lead, 1};
    }
    if (lead < 0xC2 || lead > 0xF4)
        return taken_bad(XML_FAULT_ENCODING);
    uint32_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t code_point = lead & (0xFFu >> (size + 1));
    uint8_t low;
    uint8_t high;
    second_range(lead, &low, &high);
    for (uint32_t i = 1; i < size; i++) {
        if (i == view.size)
            return taken_cut();
        if (view.at[i] < low || view.at[i] > high)
            return taken_bad(XML_FAULT_ENCODING);
        code_point = code_point << 6 | (view.at[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    if (!xml_is_char(code_point))
        return taken_bad(XML_FAULT_CHARACTER);
    return (struct xml_taken){XML_TAKE_OK, XML_FAULT_NONE, code_point, size};
}

struct range {
    uint32_t first;
    uint32_t last;
};

static bool is_in(uint32_t code_point, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (code_point >= ranges[i].first && code_point <= ranges[i].last)
            return true;
    return false;
}

bool xml_is_name_start(uint32_t code_point)
{
    /* XML 1.0 fifth edition, production 4, without the colon and the ASCII part */
    static const struct range starts[] = {
        {0xC0, 0xD6},     {0xD8, 0xF6},     {0xF8, 0x2FF},    {0x370, 0x37D},
        {0x37F, 0x1FFF},  {0x200C, 0x200D}, {0x2070, 0x218F}, {0x2C00, 0x2FEF},
        {0x3001, 0xD7FF}, {0xF900, 0xFDCF}, {0xFDF0, 0xFFFD}, {0x10000, 0xEFFFF},
    };
    if (code_point < 0x80)
        return xml_is_ascii_name_start((uint8_t)code_point);
    return is_in(code_point, starts, ARRAY_COUNT(starts));
}

bool xml_is_name_char(uint32_t code_point)
{
    /* production 4a */
    static const struct range more[] = {
        {'-', '.'}, {'0', '9'}, {0xB7, 0xB7}, {0x300, 0x36F}, {0x203F, 0x2040},
    };
    return xml_is_name_start(code_point) || is_in(code_point, more, ARRAY_COUNT(more));
}

/* ---- references ---- */

static bool is_digit_of(uint32_t base, uint8_t octet, uint32_t *digit)
{
    uint32_t lower = octet | 0x20u;
    if (octet >= '0' && octet <= '9')
        *digit = octet - '0';
    else if (base == 16 && lower >= 'a' && lower <= 'f')
        *digit = lower - 'a' + 10;
    else
        return false;
    return true;
}

/* view starts with &# */
static struct xml_taken take_number(struct bytes view)
{
    uint32_t base = view.size > 2 && view.at[2] == 'x' ? 16 : 10;
    uint32_t first = base == 16 ? 3 : 2;
    uint32_t value = 0;
    for (uint32_t i = first; i < XML_REFERENCE_BYTES_MAX; i++) {
        if (i >= view.size)
            return taken_cut();
        uint32_t digit;
        if (is_digit_of(base, view.at[i], &digit)) {
            value = value * base + digit;
            if (value > 0x10FFFF)
                return taken_bad(XML_FAULT_REFERENCE);
            continue;
        }
        if (view.at[i] != ';' || i == first || !xml_is_char(value))
            return taken_bad(XML_FAULT_REFERENCE);
        return (struct xml_taken){XML_TAKE_OK, XML_FAULT_NONE, value, i + 1};
    }
    return taken_bad(XML_FAULT_REFERENCE);
}

/* An entity that is none of the five: a legal name and a semicolon is an entity we refuse, anything
 * else is no reference at all. */
static struct xml_taken take_foreign_entity(struct bytes view)
{
    uint32_t i = 1;
    while (i < view.size && i < XML_REFERENCE_BYTES_MAX) {
        struct xml_taken next = xml_take_char(bytes_from(view, i));
        if (next.take != XML_TAKE_OK)
            return next;
        if (next.code_point == ';' && i > 1)
            return taken_bad(XML_FAULT_ENTITY);
        if (!(i == 1 ? xml_is_name_start(next.code_point) : xml_is_name_char(next.code_point)))
            return taken_bad(XML_FAULT_REFERENCE);
        i += next.size;
    }
    return i < XML_REFERENCE_BYTES_MAX ? taken_cut() : taken_bad(XML_FAULT_ENTITY);
}

struct xml_taken xml_take_reference(struct bytes view)
{
    static const struct {
        struct bytes text;
        uint32_t code_point;
    } entities[] = {
        {{(const uint8_t *)"&amp;", 5}, '&'},   {{(const uint8_t *)"&lt;", 4}, '<'},
        {{(const uint8_t *)"&gt;", 4}, '>'},    {{(const uint8_t *)"&quot;", 6}, '"'},
        {{(const uint8_t *)"&apos;", 6}, '\''},
    };
    if (view.size >= 2 && view.at[1] == '#')
        return take_number(view);
    for (size_t i = 0; i < ARRAY_COUNT(entities); i++)
        if (bytes_starts_with(view, entities[i].text))
            return (struct xml_taken){XML_TAKE_OK, XML_FAULT_NONE, entities[i].code_point,
                                      (uint32_t)entities[i].text.size};
    return take_foreign_entity(view);
}
