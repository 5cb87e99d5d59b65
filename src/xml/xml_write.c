/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing text so that any reader gets back what was meant, and nothing we are given can break out
 * of its place or make a peer's reader refuse the stream. */
#include "xml_char.h"

enum place {
    PLACE_TEXT,
    PLACE_VALUE,
};

/* What an ASCII octet must be written as; NULL when as it is. CR is escaped everywhere, and tab and
 * LF in values, for a reader would turn them into something else (XML 1.0 2.11, 3.3.3). */
static const char *replacement(uint8_t octet, enum place place)
{
    switch (octet) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\r':
        return "&#13;";
    case '"':
        return place == PLACE_VALUE ? "&quot;" : NULL;
    case '\'':
        return place == PLACE_VALUE ? "&#39;" : NULL;
    case '\t':
        return place == PLACE_VALUE ? "&#9;" : NULL;
    case '\n':
        return place == PLACE_VALUE ? "&#10;" : NULL;
    default:
        return NULL;
    }
}

/* Octets at the start of view that stand as they are. */
static size_t plain_run(struct bytes view, enum place place)
{
    size_t size = 0;
    while (size < view.size) {
        struct xml_taken taken = xml_take_char(bytes_from(view, size));
        if (taken.take != XML_TAKE_OK ||
            (taken.code_point < 0x80 && replacement((uint8_t)taken.code_point, place) != NULL))
            break;
        size += taken.size;
    }
    return size;
}

static void write_escaped(struct writer *writer, struct bytes view, enum place place)
{
    while (view.size > 0) {
        size_t run = plain_run(view, place);
        write_bytes(writer, bytes_slice(view, 0, run));
        view = bytes_from(view, run);
        if (view.size == 0)
            break;
        const char *escape = replacement(view.at[0], place);
        write_string(writer, escape != NULL ? escape : "\xEF\xBF\xBD");
        view = bytes_from(view, 1);
        /* The rest of a broken character is part of the same U+FFFD. */
        while (escape == NULL && view.size > 0 && (view.at[0] & 0xC0) == 0x80)
            view = bytes_from(view, 1);
    }
}

void write_xml_text(struct writer *writer, struct bytes text)
{
    write_escaped(writer, text, PLACE_TEXT);
}

void write_xml_value(struct writer *writer, struct bytes value)
{
    write_escaped(writer, value, PLACE_VALUE);
}

void write_xml_attribute(struct writer *writer, const char *name, struct bytes value)
{
    write_u8(writer, ' ');
    write_string(writer, name);
    write_string(writer, "='");
    write_xml_value(writer, value);
    write_u8(writer, '\'');
}
