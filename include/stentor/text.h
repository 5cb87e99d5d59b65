/* SPDX-License-Identifier: Apache-2.0
 *
 * Text encodings, every one bounded: UTF-8 (RFC 3629), base64 (RFC 4648 section 4, canonical
 * padding required), hexadecimal, decimal. Functions return false on any deviation and write
 * nothing of use. Any thread, no allocation. */
#ifndef STENTOR_TEXT_H
#define STENTOR_TEXT_H

#include "stentor/bytes.h"

/* Takes one code point; false for overlong, surrogate, above U+10FFFF or cut sequences. */
MUST_USE bool utf8_take(struct cursor *cursor, uint32_t *code_point);
bool utf8_is_valid(struct bytes view);
/* code_point must be a Unicode scalar value. */
void write_utf8(struct writer *writer, uint32_t code_point);

void write_base64(struct writer *writer, struct bytes view);
/* Appends the decoded octets. */
MUST_USE bool base64_decode(struct bytes text, struct writer *into);
MUST_USE bool hex_decode(struct bytes text, struct writer *into);

/* The whole view must be 1 to 20 digits and at most value_max. */
MUST_USE bool decimal_parse(struct bytes text, uint64_t value_max, uint64_t *value);

#endif
