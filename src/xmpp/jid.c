/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses: splitting (RFC 7622 3.2), the ASCII path that nearly every address takes, and the
 * way over to precis.c for the rest.
 *
 * For ASCII the profiles come down to little: a local part is lower-cased and must consist of
 * visible characters without " & ' / : < > @ (RFC 7622 3.3.1); a resource or password is taken as
 * it is when it has no control characters; a domain is lower-cased letters, digits and hyphens. */
#include "stentor/jid.h"

#include "precis.h"
#include "stentor/xml.h"

#define DOMAIN_LABEL_SIZE_MAX 63u

static bool is_ascii(struct bytes text)
{
    uint64_t all = 0;
    size_t i = 0;
    for (; i + 8 <= text.size; i += 8) {
        uint64_t eight;
        memcpy(&eight, text.at + i, 8);
        all |= eight;
    }
    for (; i < text.size; i++)
        all |= text.at[i];
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* Room is asked for once: this runs for every address of every stanza. */
static void write_lower(struct writer *into, struct bytes text)
{
    size_t start = into->size;
    write_bytes(into, text);
    for (size_t i = start; i < into->size; i++)
        into->at[i] = lower(into->at[i]);
}

/* ---- splitting ---- */

static enum error judge_size(struct bytes part)
{
    if (part.size == 0)
        return ERROR_INVALID;
    return part.size > JID_PART_SIZE_MAX ? ERROR_TOO_LARGE : ERROR_NONE;
}

static enum error split(struct bytes text, struct jid *jid)
{
    size_t slash = bytes_find(text, '/');
    struct bytes bare = bytes_slice(text, 0, slash);
    size_t at = bytes_find(bare, '@');
    enum error error = ERROR_NONE;
    if (slash != text.size) {
        jid->resource = bytes_from(text, slash + 1);
        error = judge_size(jid->resource);
    }
    jid->domain = bare;
    if (!error && at != bare.size) {
        jid->local = bytes_slice(bare, 0, at);
        jid->domain = bytes_from(bare, at + 1);
        error = judge_size(jid->local);
    }
    return error ? error : judge_size(jid->domain);
}

enum error jid_split(struct bytes text, struct jid *jid)
{
    *jid = (struct jid){0};
    enum error error = split(text, jid);
    if (error)
        *jid = (struct jid){0};
    return error;
}

/* ---- local part ---- */

/* A bit for each octet below 128: controls, space, delete and " & ' / : < > @. */
static bool is_excluded_local(uint8_t c)
{
    static const uint64_t excluded[2] = {
        UINT64_C(0x00000001ffffffff) | UINT64_C(1) << '"' | UINT64_C(1) << '&' |
            UINT64_C(1) << '\'' | UINT64_C(1) << '/' | UINT64_C(1) << ':' | UINT64_C(1) << '<' |
            UINT64_C(1) << '>',
        UINT64_C(1) << ('@' - 64) | UINT64_C(1) << (0x7f - 64),
    };
    return c < 0x80 && (excluded[c / 64] >> (c % 64) & 1) != 0;
}

static enum error prepare_local(struct bytes text, struct writer *into)
{
    size_t start = into->size;
    if (!is_ascii(text)) {
        enum error error = precis_username(text, into);
        if (error)
            return error;
    } else {
        write_lower(into, text);
    }
    if (into->is_overflown)
        return ERROR_TOO_LARGE;
    /* On the result: a fullwidth @ has become one only now. */
    for (size_t i = start; i < into->size; i++)
        if (is_excluded_local(into->at[i]))
            return ERROR_INVALID;
    return ERROR_NONE;
}

/* ---- domain ---- */

static bool is_label_octet(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c >= 0x80;
}

static bool is_label(struct bytes label)
{
    if (label.size == 0 || label.at[0] == '-' || label.at[label.size - 1] == '-')
        return false;
    for (size_t i = 0; i < label.size; i++)
        if (!is_label_octet(label.at[i]))
            return false;
    /* DNS counts the octets of the A-label; for a U-label ICU has checked that. */
    return label.size <= DOMAIN_LABEL_SIZE_MAX || !is_ascii(label);
}

static bool is_domain_name(struct bytes name)
{
    while (name.size != 0) {
        size_t dot = bytes_find(name, '.');
        if (!is_label(bytes_slice(name, 0, dot)))
            return false;
        if (dot == name.size)
            return true;
        name = bytes_from(name, dot + 1);
    }
    return false;
}

static bool has_a_label(struct bytes name)
{
    for (size_t i = 0; i + 4 <= name.size; i++)
        if ((i == 0 || name.at[i - 1] == '.') && lower(name.at[i]) == 'x' &&
            lower(name.at[i + 1]) == 'n' && name.at[i + 2] == '-' && name.at[i + 3] == '-')
            return true;
    return false;
}

/* "[::1]" (RFC 7622 3.2: an IPv6 address in brackets). Only that it looks like one. */
static bool is_ipv6_literal(struct bytes name)
{
    if (name.size < 4 || name.at[0] != '[' || name.at[name.size - 1] != ']')
        return false;
    bool has_colon = false;
    for (size_t i = 1; i + 1 < name.size; i++) {
        uint8_t c = name.at[i];
        has_colon |= c == ':';
        if (!((c >= 'a' && c <= 'f') || (c >= '0' && c <= '9') || c == ':' || c == '.'))
            return false;
    }
    return has_colon;
}

static enum error prepare_domain(struct bytes text, struct writer *into)
{
    size_t start = into->size;
    if (text.at[text.size - 1] == '.') /* RFC 7622 3.2.1: the root's dot does not count */
        text.size--;
    if (!is_ascii(text) || has_a_label(text)) {
        enum error error = precis_domain(text, into);
        if (error)
            return error;
    } else {
        write_lower(into, text);
    }
    if (into->is_overflown)
        return ERROR_TOO_LARGE;
    struct bytes name = bytes_from(writer_bytes(into), start);
    return is_domain_name(name) || is_ipv6_literal(name) ? ERROR_NONE : ERROR_INVALID;
}

/* ---- resource and password ---- */

static enum error prepare_opaque(struct bytes text, struct writer *into)
{
    if (!is_ascii(text))
        return precis_opaque(text, into);
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] < ' ' || text.at[i] == 0x7f)
            return ERROR_INVALID;
    write_bytes(into, text);
    return into->is_overflown ? ERROR_TOO_LARGE : ERROR_NONE;
}

/* ---- parts ---- */

/* Runs one preparation between the two size checks; on a fault the writer is as it was before. */
static enum error prepare(struct bytes text, struct writer *into, struct bytes *prepared,
                          enum error (*step)(struct bytes text, struct writer *into))
{
    *prepared = (struct bytes){0};
    size_t start = into->size;
    enum error error = judge_size(text);
    if (!error)
        error = step(text, into);
    if (!error)
        error = judge_size(bytes_from(writer_bytes(into), start));
    if (error) {
        into->size = start;
        return error;
    }
    *prepared = bytes_from(writer_bytes(into), start);
    return ERROR_NONE;
}

enum error jid_prepare_local(struct bytes text, struct writer *into, struct bytes *prepared)
{
    return prepare(text, into, prepared, prepare_local);
}

enum error jid_prepare_domain(struct bytes text, struct writer *into, struct bytes *prepared)
{
    return prepare(text, into, prepared, prepare_domain);
}

enum error jid_prepare_resource(struct bytes text, struct writer *into, struct bytes *prepared)
{
    return prepare(text, into, prepared, prepare_opaque);
}

enum error password_prepare(struct bytes text, struct writer *into, struct bytes *prepared)
{
    if (text.size > PASSWORD_SIZE_MAX) {
        *prepared = (struct bytes){0};
        return ERROR_TOO_LARGE;
    }
    size_t start = into->size;
    enum error error = prepare(text, into, prepared, prepare_opaque);
    if (!error && prepared->size > PASSWORD_SIZE_MAX) {
        *prepared = (struct bytes){0};
        into->size = start;
        return ERROR_TOO_LARGE;
    }
    return error;
}

enum error jid_prepare(struct bytes text, struct writer *into, struct jid *jid)
{
    struct jid raw;
    enum error error = jid_split(text, &raw);
    *jid = (struct jid){0};
    size_t start = into->size;
    if (!error && raw.local.size != 0)
        error = jid_prepare_local(raw.local, into, &jid->local);
    if (!error)
        error = jid_prepare_domain(raw.domain, into, &jid->domain);
    if (!error && raw.resource.size != 0)
        error = jid_prepare_resource(raw.resource, into, &jid->resource);
    if (error) {
        *jid = (struct jid){0};
        into->size = start;
    }
    return error;
}

/* ---- comparing and writing ---- */

bool jid_equal_bare(const struct jid *a, const struct jid *b)
{
    return bytes_equal(a->local, b->local) && bytes_equal(a->domain, b->domain);
}

bool jid_equal(const struct jid *a, const struct jid *b)
{
    return jid_equal_bare(a, b) && bytes_equal(a->resource, b->resource);
}

void jid_write(struct writer *into, const struct jid *jid)
{
    if (jid->local.size != 0) {
        write_bytes(into, jid->local);
        write_u8(into, '@');
    }
    write_bytes(into, jid->domain);
    if (jid->resource.size != 0) {
        write_u8(into, '/');
        write_bytes(into, jid->resource);
    }
}

void jid_write_xml(struct writer *into, const struct jid *jid)
{
    if (jid->local.size != 0) {
        write_bytes(into, jid->local); /* cannot hold what XML escapes */
        write_u8(into, '@');
    }
    write_bytes(into, jid->domain);
    if (jid->resource.size != 0) {
        write_u8(into, '/');
        write_xml_value(into, jid->resource);
    }
}
