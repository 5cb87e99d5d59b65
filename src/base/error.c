/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and sentences of error.def. The rows stand there in capitals and are read in lower case;
 * the compiler lowers them, octet by octet, into a constant table, so a name costs nothing at run
 * time, lives as long as the program, and is kept in one place only. Any thread. */
#include "stentor/error.h"

#include "stentor/assert.h"

#define NAME_SIZE 24u

/* Octet i of the literal in lower case, and zero past its end. */
#define IN(text, i) ((i) < sizeof(text) ? (i) : sizeof(text) - 1)
#define IS_UPPER(octet) ((octet) >= 'A' && (octet) <= 'Z')
#define LOWER(text, i) (char)((text)[IN(text, i)] | (IS_UPPER((text)[IN(text, i)]) ? 'a' - 'A' : 0))
#define LOWER_8(text, i)                                                                           \
    LOWER(text, (i) + 0u), LOWER(text, (i) + 1u), LOWER(text, (i) + 2u), LOWER(text, (i) + 3u),    \
        LOWER(text, (i) + 4u), LOWER(text, (i) + 5u), LOWER(text, (i) + 6u), LOWER(text, (i) + 7u)

#define ERROR(name, text) static_assert(sizeof(#name) <= NAME_SIZE, "raise NAME_SIZE");
#include "stentor/error.def"
#undef ERROR

static const char names[ERROR_COUNT][NAME_SIZE] = {
#define ERROR(name, text) {LOWER_8(#name, 0u), LOWER_8(#name, 8u), LOWER_8(#name, 16u)},
#include "stentor/error.def"
#undef ERROR
};

static const char *const texts[ERROR_COUNT] = {
#define ERROR(name, text) text,
#include "stentor/error.def"
#undef ERROR
};

const char *error_name(enum error error)
{
    ASSERT((unsigned int)error < ERROR_COUNT);
    return names[error];
}

const char *error_text(enum error error)
{
    ASSERT((unsigned int)error < ERROR_COUNT);
    return texts[error];
}
