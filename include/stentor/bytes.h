/* SPDX-License-Identifier: Apache-2.0
 *
 * Views of octets, a bounded reader (cursor) and a bounded writer.
 *
 * A view never owns: it is good for the call, or for as long as the header that hands it out
 * says. No function here reads or writes past the bounds it was given; a cursor that cannot give
 * what is asked returns false and does not move; a writer that would overflow sets is_overflown,
 * writes nothing more, and the caller checks once at the end. Any thread. Sizes in octets. */
#ifndef STENTOR_BYTES_H
#define STENTOR_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "stentor/assert.h"

struct bytes {
    const uint8_t *at;
    size_t size;
};

/* A string literal as a view, without its terminating zero. */
#define BYTES(literal) ((struct bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const void *at, size_t size)
{
    return (struct bytes){(const uint8_t *)at, size};
}

static inline struct bytes bytes_of_string(const char *string)
{
    return (struct bytes){(const uint8_t *)string, strlen(string)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

/* at + offset, where an empty view may stand at NULL (to which C lets nobody add even 0). */
static inline const uint8_t *bytes_at(struct bytes view, size_t offset)
{
    return offset == 0 ? view.at : view.at + offset;
}

/* The part of view from offset on; an offset past the end gives an empty view. */
static inline struct bytes bytes_from(struct bytes view, size_t offset)
{
    if (offset > view.size)
        offset = view.size;
    return (struct bytes){bytes_at(view, offset), view.size - offset};
}

static inline struct bytes bytes_slice(struct bytes view, size_t offset, size_t size)
{
    ASSERT(offset <= view.size);
    ASSERT(size <= view.size - offset);
    return (struct bytes){bytes_at(view, offset), size};
}

bool bytes_starts_with(struct bytes view, struct bytes prefix);
/* Offset of the first octet, or view.size when it is not there. */
size_t bytes_find(struct bytes view, uint8_t octet);
/* Same time for every content of equal size: for secrets and tokens. */
bool bytes_equal_secret(struct bytes a, struct bytes b);
/* Overwrites in a way the compiler may not remove. */
void bytes_wipe(void *at, size_t size);

/* ---- cursor: bounded reading ---- */

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct cursor cursor_of(struct bytes view)
{
    return (struct cursor){view.at, bytes_at(view, view.size)};
}

static inline size_t cursor_left(const struct cursor *cursor)
{
    return (size_t)(cursor->end - cursor->at);
}

static inline MUST_USE bool cursor_take(struct cursor *cursor, size_t size, struct bytes *taken)
{
    if (size > cursor_left(cursor))
        return false;
    *taken = bytes_of(cursor->at, size);
    if (size != 0)
        cursor->at += size;
    return true;
}

static inline MUST_USE bool cursor_u8(struct cursor *cursor, uint8_t *value)
{
    if (cursor_left(cursor) < 1)
        return false;
    *value = *cursor->at++;
    return true;
}

static inline MUST_USE bool cursor_be16(struct cursor *cursor, uint16_t *value)
{
    if (cursor_left(cursor) < 2)
        return false;
    *value = (uint16_t)(cursor->at[0] << 8 | cursor->at[1]);
    cursor->at += 2;
    return true;
}

static inline MUST_USE bool cursor_be32(struct cursor *cursor, uint32_t *value)
{
    if (cursor_left(cursor) < 4)
        return false;
    *value = (uint32_t)cursor->at[0] << 24 | (uint32_t)cursor->at[1] << 16 |
             (uint32_t)cursor->at[2] << 8 | cursor->at[3];
    cursor->at += 4;
    return true;
}

/* ---- writer: bounded writing ---- */

struct writer {
    uint8_t *at; /* start of the buffer, the caller's */
    size_t size; /* written so far */
    size_t capacity;
    bool is_overflown;
};

static inline struct writer writer_of(void *at, size_t capacity)
{
    return (struct writer){(uint8_t *)at, 0, capacity, false};
}

static inline struct bytes writer_bytes(const struct writer *writer)
{
    return bytes_of(writer->at, writer->size);
}

static inline void write_bytes(struct writer *writer, struct bytes view)
{
    if (writer->is_overflown || view.size > writer->capacity - writer->size) {
        writer->is_overflown = true;
        return;
    }
    if (view.size != 0)
        memcpy(writer->at + writer->size, view.at, view.size);
    writer->size += view.size;
}

static inline void write_u8(struct writer *writer, uint8_t octet)
{
    write_bytes(writer, bytes_of(&octet, 1));
}

/* A zero-terminated string, without its zero. */
static inline void write_string(struct writer *writer, const char *string)
{
    write_bytes(writer, bytes_of_string(string));
}

void write_be16(struct writer *writer, uint16_t value);
void write_be32(struct writer *writer, uint32_t value);
void write_decimal(struct writer *writer, uint64_t value);
/* Lower-case hexadecimal of the view's octets. */
void write_hex(struct writer *writer, struct bytes view);

#endif
