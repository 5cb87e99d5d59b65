/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults of the world as values. One row of include/stentor/error.def each (name, text for a
 * person). ERROR_NONE is 0, so `if (error)` reads well. Any thread. */
#ifndef STENTOR_ERROR_H
#define STENTOR_ERROR_H

enum error {
#define ERROR(name, text) ERROR_##name,
#include "stentor/error.def"
#undef ERROR
    ERROR_COUNT
};

/* The name of the row, lower case as in the table ("pool_empty"); never NULL. */
const char *error_name(enum error error);
/* A sentence for a person. */
const char *error_text(enum error error);

#endif
