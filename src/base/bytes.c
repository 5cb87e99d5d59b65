/* SPDX-License-Identifier: Apache-2.0
 *
 * The out-of-line half of the views and the writer (stentor/bytes.h): searching, comparing and
 * wiping octets, and numbers in the forms the protocols want. Every write goes through
 * write_bytes(), so the bound is checked in one place and a number is written whole or not at all.
 */
#include "stentor/bytes.h"

bool bytes_starts_with(struct bytes view, struct bytes prefix)
{
    if (prefix.size > view.size)
        return false;
    return prefix.size == 0 || memcmp(view.at, prefix.at, prefix.size) == 0;
}

size_t bytes_find(struct bytes view, uint8_t octet)
{
    if (view.size == 0)
        return 0;
    const uint8_t *found = memchr(view.at, octet, view.size);
    return found ? (size_t)(found - view.at) : view.size;
}

bool bytes_equal_secret(struct bytes a, struct bytes b)
{
    /* The size is no secret; the content is, so every octet is looked at. */
    if (a.size != b.size)
        return false;
    uint8_t difference = 0;
    for (size_t i = 0; i < a.size; i++) {
        difference |= (uint8_t)(a.at[i] ^ b.at[i]);
        /* Keeps the compiler from leaving the loop early once all bits are set. */
        __asm__ volatile("" : "+r"(difference));
    }
    return difference == 0;
}

void bytes_wipe(void *at, size_t size)
{
    if (size == 0)
        return;
    explicit_bzero(at, size);
}

void write_be16(struct writer *writer, uint16_t value)
{
    const uint8_t octets[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    write_bytes(writer, bytes_of(octets, sizeof octets));
}

void write_be32(struct writer *writer, uint32_t value)
{
    const uint8_t octets[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16),
                               (uint8_t)(value >> 8), (uint8_t)value};
    write_bytes(writer, bytes_of(octets, sizeof octets));
}

void write_decimal(struct writer *writer, uint64_t value)
{
    uint8_t digits[20]; /* UINT64_MAX has twenty */
    size_t start = sizeof digits;
    do {
        digits[--start] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    write_bytes(writer, bytes_of(digits + start, sizeof digits - start));
}

void write_hex(struct writer *writer, struct bytes view)
{
    static const char digits[] = "0123456789abcdef";
    /* All or nothing: half a token in a buffer would look like a token. */
    if (view.size > SIZE_MAX / 2 || writer->is_overflown ||
        view.size * 2 > writer->capacity - writer->size) {
        writer->is_overflown = true;
        return;
    }
    for (size_t i = 0; i < view.size; i++) {
        writer->at[writer->size++] = (uint8_t)digits[view.at[i] >> 4];
        writer->at[writer->size++] = (uint8_t)digits[view.at[i] & 15];
    }
}
