/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps before the stream's start tag: the XML declaration (XML 1.0 section 2.8; RFC 6120 11.4,
 * 11.6) and white space. The declaration is short, so it is read as one token:
 *
 *   <?xml version="1.0" encoding="UTF-8" standalone="yes"?>      all but version may be missing */
#include "xml_char.h"
#include "xml_reader.h"

#define DECLARATION_BYTES_MAX 256u

static bool skip_space(struct cursor *cursor)
{
    const uint8_t *first = cursor->at;
    while (cursor_left(cursor) > 0 && xml_is_space(*cursor->at))
        cursor->at++;
    return cursor->at != first;
}

static bool skip_literal(struct cursor *cursor, struct bytes literal)
{
    if (!bytes_starts_with(bytes_of(cursor->at, cursor_left(cursor)), literal))
        return false;
    cursor->at += literal.size;
    return true;
}

/* Space, name, =, and a quoted value. False, and nothing moved, when the name is not next. */
static bool take_pseudo_attribute(struct cursor *cursor, struct bytes name, struct bytes *value)
{
    struct cursor at = *cursor;
    if (!skip_space(&at) || !skip_literal(&at, name))
        return false;
    (void)skip_space(&at);
    if (!skip_literal(&at, BYTES("=")))
        return false;
    (void)skip_space(&at);
    uint8_t quote;
    if (!cursor_u8(&at, &quote) || (quote != '"' && quote != '\''))
        return false;
    size_t size = bytes_find(bytes_of(at.at, cursor_left(&at)), quote);
    if (size == cursor_left(&at) || !cursor_take(&at, size, value))
        return false;
    at.at++;
    *cursor = at;
    return true;
}

static bool is_utf8_name(struct bytes name)
{
    static const char lower[] = "utf-8";
    if (name.size != sizeof(lower) - 1)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t octet = name.at[i];
        if (octet >= 'A' && octet <= 'Z')
            octet |= 0x20;
        if (octet != (uint8_t)lower[i])
            return false;
    }
    return true;
}

/* The inside of the declaration, between <?xml and ?>. */
static enum xml_fault judge(struct bytes inside)
{
    struct cursor cursor = cursor_of(inside);
    struct bytes value;
    if (!take_pseudo_attribute(&cursor, BYTES("version"), &value))
        return XML_FAULT_DECLARATION;
    if (!bytes_equal(value, BYTES("1.0")))
        return XML_FAULT_VERSION;
    if (take_pseudo_attribute(&cursor, BYTES("encoding"), &value) && !is_utf8_name(value))
        return XML_FAULT_ENCODING_NAME;
    if (take_pseudo_attribute(&cursor, BYTES("standalone"), &value) &&
        !bytes_equal(value, BYTES("yes")) && !bytes_equal(value, BYTES("no")))
        return XML_FAULT_DECLARATION;
    (void)skip_space(&cursor);
    return cursor_left(&cursor) == 0 ? XML_FAULT_NONE : XML_FAULT_DECLARATION;
}

enum xml_step xml_step_declaration(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    struct bytes rest = bytes_from(reader->input, progress->pos);
    struct bytes start = BYTES("<?xml");
    size_t common = rest.size < start.size ? rest.size : start.size;
    progress->phase = XML_PHASE_PROLOG;
    if (common != 0 && memcmp(rest.at, start.at, common) != 0)
        return XML_STEP_ON;
    progress->phase = XML_PHASE_DECLARATION;
    if (rest.size <= start.size)
        return XML_STEP_MORE;
    if (!xml_is_space(rest.at[start.size])) {
        progress->phase = XML_PHASE_PROLOG; /* <?xml-something, an instruction */
        return XML_STEP_ON;
    }
    for (uint32_t i = (uint32_t)start.size; i + 1 < rest.size && i < DECLARATION_BYTES_MAX; i++) {
        if (rest.at[i] != '?' || rest.at[i + 1] != '>')
            continue;
        enum xml_fault fault = judge(bytes_slice(rest, start.size, i - start.size));
        if (fault != XML_FAULT_NONE)
            return xml_step_bad(reader, fault, progress->pos);
        progress->pos += i + 2;
        progress->phase = XML_PHASE_PROLOG;
        return XML_STEP_ON;
    }
    if (rest.size > DECLARATION_BYTES_MAX)
        return xml_step_bad(reader, XML_FAULT_DECLARATION, progress->pos);
    return XML_STEP_MORE;
}

enum xml_step xml_step_prolog(struct xml_reader *reader)
{
    struct xml_progress *progress = &reader->progress;
    while (progress->pos < reader->input.size && xml_is_space(reader->input.at[progress->pos]))
        progress->pos++;
    if (progress->pos == reader->input.size)
        return XML_STEP_MORE;
    progress->phase = XML_PHASE_CONTENT;
    return XML_STEP_ON;
}
