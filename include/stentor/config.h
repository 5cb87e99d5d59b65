/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: one YAML file, every option a row of config.def with type, unit, range, default
 * and a sentence. The parser, --print-config, --help and docs/LIMITS.md come from that table.
 * Read once at start by the main thread, then constant; any thread may read it.
 *
 * CONFIG_<TYPE>(field, "section.option", default, min, max, "unit", "sentence") where TYPE is
 * COUNT (uint64_t), SIZE (octets; accepts K, M, G suffixes of 1024), DURATION (held in ns; accepts
 * ns us ms s m h d suffixes), BOOL, TEXT (zero-terminated, at most CONFIG_TEXT_MAX - 1 octets) or
 * LIST (of TEXT, at most CONFIG_LIST_MAX). The unit of a TEXT may name its form: "a|b|c" (one of
 * these words) or "ipv4" (a dotted address); an empty default makes empty a legal value too. */
#ifndef STENTOR_CONFIG_H
#define STENTOR_CONFIG_H

#include "stentor/bytes.h"
#include "stentor/error.h"

#define CONFIG_TEXT_MAX 256u
#define CONFIG_LIST_MAX 16u
#define CONFIG_FILE_SIZE_MAX 65536u /* octets of the file, and of config_print */

struct config_list {
    uint32_t count;
    char items[CONFIG_LIST_MAX][CONFIG_TEXT_MAX];
};

struct config {
#define CONFIG_COUNT(field, path, value, min, max, unit, text) uint64_t field;
#define CONFIG_SIZE(field, path, value, min, max, unit, text) uint64_t field;
#define CONFIG_DURATION(field, path, value, min, max, unit, text) uint64_t field;
#define CONFIG_BOOL(field, path, value, min, max, unit, text) bool field;
#define CONFIG_TEXT(field, path, value, min, max, unit, text) char field[CONFIG_TEXT_MAX];
#define CONFIG_LIST(field, path, value, min, max, unit, text) struct config_list field;
#include "stentor/config.def"
#undef CONFIG_COUNT
#undef CONFIG_SIZE
#undef CONFIG_DURATION
#undef CONFIG_BOOL
#undef CONFIG_TEXT
#undef CONFIG_LIST
};

void config_defaults(struct config *config);

/* Sets the defaults, then reads the file over them. On a fault returns ERROR_INVALID (or
 * ERROR_SYSTEM, when the file cannot be read) and writes one line a fault: "FILE:LINE: option:
 * what was found, what was expected"; the configuration is then not to be used. */
MUST_USE enum error config_read_file(struct config *config, const char *path,
                                     struct writer *message);
/* The same from memory; name stands for the file in messages. For tests and fuzzing. */
MUST_USE enum error config_read_text(struct config *config, const char *name, struct bytes text,
                                     struct writer *message);
/* The whole configuration as YAML that config_read_text takes back unchanged. */
void config_print(const struct config *config, struct writer *into);
/* The table as a Markdown section for docs/LIMITS.md. */
void config_document(struct writer *into);

#endif
