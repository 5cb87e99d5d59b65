/* SPDX-License-Identifier: Apache-2.0
 *
 * Random documents for the tests of src/xml: well-formed ones in all the spellings XML allows, and
 * damage done to them. The same seed gives the same document. */
#ifndef STENTOR_XML_GENERATOR_H
#define STENTOR_XML_GENERATOR_H

#include "stentor/random.h"
#include "stentor/text.h"

#define GENERATED_BYTES_MAX 65536u

struct generator {
    struct random random;
    struct writer out;
    uint32_t plainness; /* of a hundred choices, how many go to what clients usually write */
};

static inline uint32_t below(struct generator *generator, uint32_t limit)
{
    return random_below(&generator->random, limit);
}

static inline bool is_plain_now(struct generator *generator)
{
    return below(generator, 100) < generator->plainness;
}

#define PICK(generator, list) list[below(generator, ARRAY_COUNT(list))]

static inline void write_space(struct generator *generator, uint32_t least)
{
    static const char *const spaces[] = {" ", "\n", "\t", "\r\n", "\r"};
    if (is_plain_now(generator)) {
        write_string(&generator->out, least != 0 ? " " : "");
        return;
    }
    uint32_t count = least + below(generator, 3);
    while (count-- > 0)
        write_string(&generator->out, PICK(generator, spaces));
}

static inline void write_any_text(struct generator *generator, char quote)
{
    static const char *const words[] = {
        "hello",
        " ",
        "romeo@example.org",
        "\xE4\xBD\xA0\xE5\xA5\xBD",
        "\xF0\x9F\x98\x82",
        "a",
        "The quick brown fox jumps over the lazy dog, and then over the next one and the next one",
        "\xC3\xA9",
        "0123456789012345678901234567890123456789012345678901234567890123456789",
    };
    static const char *const odd[] = {"&amp;", "&lt;",      "&gt;", "&quot;", "&apos;",
                                      "&#65;", "&#x1F602;", "\r\n", "\r",     "\n",
                                      "\t",    "]",         "]]",   "&#13;",  "&#10;",
                                      ">",     "&#x9;",     "/",    "=",      "\xEF\xBF\xBD"};
    uint32_t count = below(generator, 4);
    for (uint32_t i = 0; i < count; i++) {
        const char *word = is_plain_now(generator) ? PICK(generator, words) : PICK(generator, odd);
        /* a ]] written before a > would be a fault */
        if (word[0] == '>' && quote == 0)
            word = "&gt;";
        write_string(&generator->out, word);
    }
    if (quote != 0 && !is_plain_now(generator))
        write_u8(&generator->out, quote == '"' ? '\'' : '"');
}

static inline void write_quoted(struct generator *generator, const char *value)
{
    char quote = below(generator, 2) == 0 ? '"' : '\'';
    write_u8(&generator->out, (uint8_t)quote);
    if (value != NULL)
        write_string(&generator->out, value);
    else
        write_any_text(generator, quote);
    write_u8(&generator->out, (uint8_t)quote);
}

static inline void write_attribute_as(struct generator *generator, const char *name,
                                      const char *value)
{
    write_space(generator, 1);
    write_string(&generator->out, name);
    write_space(generator, 0);
    write_u8(&generator->out, '=');
    write_space(generator, 0);
    write_quoted(generator, value);
}

/* Which prefixes are in scope, one bit each. */
static const char *const generator_prefixes[] = {"a", "b.c", "long-prefix_0123456789"};
static const char *const generator_declarations[] = {"xmlns:a", "xmlns:b.c",
                                                     "xmlns:long-prefix_0123456789"};
static const char *const generator_uris[] = {
    "urn:xmpp:ping",
    "jabber:iq:roster",
    "urn:ietf:params:xml:ns:xmpp-stanzas",
    "http://jabber.org/protocol/disco#info",
    "http://example.org/a",
    "x",
    "urn:xmpp:pin&#103;",
    "jabber:client",
    "a-namespace-that-nobody-knows-longer-than-any-known-one-so-that-it-fits-no-row"};

static inline void write_declarations(struct generator *generator, uint32_t *scope)
{
    if (below(generator, 3) == 0)
        write_attribute_as(generator, "xmlns",
                           below(generator, 8) == 0 ? "" : PICK(generator, generator_uris));
    for (uint32_t i = 0; i < ARRAY_COUNT(generator_prefixes); i++) {
        if (below(generator, 8) != 0)
            continue;
        write_attribute_as(generator, generator_declarations[i], PICK(generator, generator_uris));
        *scope |= 1u << i;
    }
}

static inline void write_attributes(struct generator *generator, uint32_t scope)
{
    static const char *const names[] = {"id",       "to",      "from", "type", "h",
                                        "ver",      "stamp",   "hash", "jid",  "node",
                                        "xml:lang", "a.b-c_d", "_",    "name"};
    uint32_t first = below(generator, ARRAY_COUNT(names));
    uint32_t count = below(generator, 5);
    for (uint32_t i = 0; i < count; i++)
        write_attribute_as(generator, names[(first + i * 3) % ARRAY_COUNT(names)], NULL);
    /* One prefixed attribute only: two prefixes may mean one namespace. */
    uint32_t prefix = below(generator, ARRAY_COUNT(generator_prefixes));
    if ((scope >> prefix & 1) != 0 && below(generator, 2) == 0) {
        char name[64];
        struct writer writer = writer_of(name, sizeof(name));
        write_string(&writer, generator_prefixes[prefix]);
        write_string(&writer, ":id");
        write_u8(&writer, 0);
        write_attribute_as(generator, name, NULL);
    }
}

static inline void write_element(struct generator *generator, uint32_t depth, uint32_t scope);

static inline void write_content(struct generator *generator, uint32_t depth, uint32_t scope)
{
    uint32_t count = below(generator, depth > 6 ? 1 : 4);
    for (uint32_t i = 0; i < count; i++) {
        switch (below(generator, is_plain_now(generator) ? 4 : 6)) {
        case 0:
        case 1:
            write_any_text(generator, 0);
            break;
        case 4:
            write_string(&generator->out, "<![CDATA[ <x>&amp;]]");
            write_string(&generator->out, below(generator, 2) == 0 ? ">" : " \r\n ]]]>");
            break;
        default:
            write_element(generator, depth + 1, scope);
        }
    }
}

static inline void write_element(struct generator *generator, uint32_t depth, uint32_t scope)
{
    static const char *const names[] = {
        "message",
        "iq",
        "presence",
        "body",
        "x",
        "query",
        "item",
        "a-name-of-more-than-sixteen-octets",
        "a-name-that-is-so-long-that-it-does-not-fit-one-word-of-a-map",
        "i.1"};
    char name[160];
    struct writer writer = writer_of(name, sizeof(name));
    uint32_t inner = scope;
    uint32_t prefix = below(generator, 4 * ARRAY_COUNT(generator_prefixes));
    if (prefix < ARRAY_COUNT(generator_prefixes) && (scope >> prefix & 1) != 0) {
        write_string(&writer, generator_prefixes[prefix]);
        write_u8(&writer, ':');
    } else if (prefix == ARRAY_COUNT(generator_prefixes)) {
        write_string(&writer, "stream:");
    }
    write_string(&writer, PICK(generator, names));
    write_u8(&generator->out, '<');
    write_bytes(&generator->out, writer_bytes(&writer));
    write_declarations(generator, &inner);
    write_attributes(generator, inner);
    write_space(generator, 0);
    if (below(generator, 3) == 0) {
        write_string(&generator->out, "/>");
        return;
    }
    write_u8(&generator->out, '>');
    write_content(generator, depth, inner);
    write_string(&generator->out, "</");
    write_bytes(&generator->out, writer_bytes(&writer));
    write_space(generator, 0);
    write_u8(&generator->out, '>');
}

/* A whole stream. */
static inline void generate_stream(struct generator *generator)
{
    generator->out.size = 0;
    if (below(generator, 2) == 0)
        write_string(&generator->out, "<?xml version='1.0'?>");
    write_string(&generator->out, "<stream:stream xmlns='jabber:client' to='example.org' "
                                  "xmlns:stream='http://etherx.jabber.org/streams'>");
    uint32_t count = 1 + below(generator, 4);
    for (uint32_t i = 0; i < count; i++) {
        write_element(generator, 0, 0);
        if (below(generator, 4) == 0)
            write_space(generator, 1);
    }
    write_string(&generator->out, "</stream:stream>");
    ASSERT(!generator->out.is_overflown);
}

/* Does one to three small damages behind offset from. */
static inline void damage(struct generator *generator, size_t from)
{
    static const char pieces[] = "<>&\"'=/ :;!?[]-#xaA0\x01\t\r\n\x80\xC3\xE4\xEF\xBF\xF0\xFF";
    struct writer *out = &generator->out;
    uint32_t count = 1 + below(generator, 3);
    while (count-- > 0) {
        size_t at = from + below(generator, (uint32_t)(out->size - from));
        uint8_t piece = (uint8_t)pieces[below(generator, sizeof(pieces) - 1)];
        switch (below(generator, 4)) {
        case 0:
            out->at[at] ^= (uint8_t)(1u << below(generator, 8));
            break;
        case 1:
            out->at[at] = piece;
            break;
        case 2:
            memmove(out->at + at, out->at + at + 1, out->size - at - 1);
            out->size--;
            break;
        default:
            memmove(out->at + at + 1, out->at + at, out->size - at);
            out->at[at] = piece;
            out->size++;
        }
    }
}

#endif
