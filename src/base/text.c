/* SPDX-License-Identifier: Apache-2.0
 *
 * Text encodings at the border: what comes in is judged octet by octet against the RFC, and there
 * is one accepted spelling for each value (no overlong UTF-8, no base64 with loose bits or missing
 * padding, no signs or spaces in numbers), so that two spellings never name one thing.
 * RFC 3629 (UTF-8), RFC 4648 section 4 (base64) and 8 (hexadecimal). Any thread. */
#include "stentor/text.h"

/* ---- UTF-8 ---- */

static bool is_tail(uint8_t octet)
{
    return (octet & 0xc0) == 0x80;
}

/* Octets of the sequence that starts with `first`; 0 when none can. C0 and C1 could only start
 * overlong forms, F5 and above only values past U+10FFFF. */
static size_t utf8_size(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2)
        return 0;
    if (first < 0xe0)
        return 2;
    if (first < 0xf0)
        return 3;
    return first < 0xf5 ? 4 : 0;
}

/* RFC 3629 section 4: the second octet's range is narrower after four of the first ones. */
static bool is_second(uint8_t first, uint8_t second)
{
    if (!is_tail(second))
        return false;
    switch (first) {
    case 0xe0: /* below U+0800: overlong */
        return second >= 0xa0;
    case 0xed: /* U+D800 to U+DFFF: surrogates */
        return second < 0xa0;
    case 0xf0: /* below U+10000: overlong */
        return second >= 0x90;
    case 0xf4: /* above U+10FFFF */
        return second < 0x90;
    default:
        return true;
    }
}

bool utf8_take(struct cursor *cursor, uint32_t *code_point)
{
    size_t left = cursor_left(cursor);
    if (left == 0)
        return false;
    const uint8_t *at = cursor->at;
    size_t size = utf8_size(at[0]);
    if (size == 0 || size > left)
        return false;
    if (size == 1) {
        *code_point = at[0];
        cursor->at++;
        return true;
    }
    if (!is_second(at[0], at[1]))
        return false;

    uint32_t value = at[0] & (0x7fu >> size);
    value = value << 6 | (at[1] & 0x3fu);
    for (size_t i = 2; i < size; i++) {
        if (!is_tail(at[i]))
            return false;
        value = value << 6 | (at[i] & 0x3fu);
    }
    *code_point = value;
    cursor->at += size;
    return true;
}

bool utf8_is_valid(struct bytes view)
{
    struct cursor cursor = cursor_of(view);
    while (cursor_left(&cursor) != 0) {
        uint64_t eight;
        if (cursor_left(&cursor) >= sizeof eight) {
            memcpy(&eight, cursor.at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                cursor.at += sizeof eight;
                continue;
            }
        }
        uint32_t code_point;
        if (!utf8_take(&cursor, &code_point))
            return false;
    }
    return true;
}

void write_utf8(struct writer *writer, uint32_t code_point)
{
    ASSERT(code_point <= 0x10ffff);
    ASSERT(code_point < 0xd800 || code_point > 0xdfff);

    uint8_t octets[4];
    size_t size = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
    if (size == 1) {
        write_u8(writer, (uint8_t)code_point);
        return;
    }
    for (size_t i = size - 1; i > 0; i--) {
        octets[i] = (uint8_t)(0x80 | (code_point & 0x3f));
        code_point >>= 6;
    }
    /* As many leading ones as there are octets, then a zero. */
    octets[0] = (uint8_t)((0xf00u >> size & 0xffu) | code_point);
    write_bytes(writer, bytes_of(octets, size));
}

/* ---- base64 ---- */

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define BASE64_NONE 64u

static uint32_t base64_value(uint8_t letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A' + 0u;
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26u;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52u;
    if (letter == '+')
        return 62;
    return letter == '/' ? 63 : BASE64_NONE;
}

void write_base64(struct writer *writer, struct bytes view)
{
    for (size_t i = 0; i < view.size; i += 3) {
        size_t left = view.size - i;
        uint32_t group = (uint32_t)view.at[i] << 16;
        if (left > 1)
            group |= (uint32_t)view.at[i + 1] << 8;
        if (left > 2)
            group |= view.at[i + 2];
        const uint8_t letters[4] = {
            (uint8_t)base64_alphabet[group >> 18],
            (uint8_t)base64_alphabet[group >> 12 & 63],
            left > 1 ? (uint8_t)base64_alphabet[group >> 6 & 63] : '=',
            left > 2 ? (uint8_t)base64_alphabet[group & 63] : '=',
        };
        write_bytes(writer, bytes_of(letters, sizeof letters));
    }
}

/* How many of a group's four letters are padding; 3 when they stand where they may not. */
static size_t base64_padding(const uint8_t *letters, bool is_last)
{
    if (letters[3] != '=')
        return 0;
    if (!is_last)
        return 3;
    return letters[2] == '=' ? 2 : 1;
}

static bool base64_decode_group(const uint8_t *letters, bool is_last, struct writer *into)
{
    size_t padding = base64_padding(letters, is_last);
    if (padding == 3)
        return false;
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i < 4 - padding ? base64_value(letters[i]) : 0;
        if (value == BASE64_NONE)
            return false;
        group = group << 6 | value;
    }
    /* RFC 4648 section 3.5: bits that no octet holds must be zero, or the text is not canonical. */
    uint32_t loose = padding == 0 ? 0 : padding == 1 ? 0xffu : 0xffffu;
    if ((group & loose) != 0)
        return false;
    const uint8_t octets[3] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
    write_bytes(into, bytes_of(octets, 3 - padding));
    return true;
}

bool base64_decode(struct bytes text, struct writer *into)
{
    if (text.size % 4 != 0)
        return false;
    for (size_t i = 0; i < text.size; i += 4) {
        if (!base64_decode_group(text.at + i, i + 4 == text.size, into))
            return false;
    }
    return !into->is_overflown;
}

/* ---- hexadecimal and decimal ---- */

static uint32_t hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 0u;
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10u;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10u;
    return 16;
}

bool hex_decode(struct bytes text, struct writer *into)
{
    if (text.size % 2 != 0)
        return false;
    for (size_t i = 0; i < text.size; i += 2) {
        uint32_t high = hex_value(text.at[i]);
        uint32_t low = hex_value(text.at[i + 1]);
        if (high > 15 || low > 15)
            return false;
        write_u8(into, (uint8_t)(high << 4 | low));
    }
    return !into->is_overflown;
}

bool decimal_parse(struct bytes text, uint64_t value_max, uint64_t *value)
{
    if (text.size == 0 || text.size > 20)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(text.at[i] - '0'), &sum))
            return false;
    }
    if (sum > value_max)
        return false;
    *value = sum;
    return true;
}
