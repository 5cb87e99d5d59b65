/* SPDX-License-Identifier: Apache-2.0
 *
 * One option of the configuration: its row of config.def, its value from text and to text. Private
 * to the core floor: config.c reads and prints files with it. Everything is a const table or a
 * function of its arguments; any thread. Texts are views into the caller's buffers. */
#ifndef STENTOR_CORE_OPTION_H
#define STENTOR_CORE_OPTION_H

#include "stentor/config.h"

#define OPTION_NONE UINT32_MAX

enum option_type {
    OPTION_COUNT,
    OPTION_SIZE,
    OPTION_DURATION,
    OPTION_BOOL,
    OPTION_TEXT,
    OPTION_LIST
};

struct option {
    const char *path; /* "section.name" */
    enum option_type type;
    size_t offset;      /* of its field in struct config */
    uint64_t number;    /* default of COUNT, SIZE, DURATION, BOOL */
    const char *string; /* default of TEXT; a LIST is empty */
    uint64_t least;
    uint64_t most;
    const char *unit;
    const char *text;
};

/* Rows of one section stand together. */
uint32_t option_count(void);
const struct option *option_at(uint32_t index);

struct bytes option_section(const struct option *option);
struct bytes option_name(const struct option *option);
/* Index of the section's first option, or OPTION_NONE. */
uint32_t option_find_section(struct bytes section);
uint32_t option_find(struct bytes section, struct bytes name);
/* The option that was probably meant: a near name in this section, else the same name in another.
 * NULL when nothing is near. */
const struct option *option_find_near(struct bytes section, struct bytes name);
/* The section that was probably meant, or empty. */
struct bytes option_find_section_near(struct bytes section);

void option_reset(struct config *config, const struct option *option);
/* Judges the text and sets the field; false leaves the field as it was. Not for a LIST. */
MUST_USE bool option_parse(struct config *config, const struct option *option, struct bytes text);
struct config_list *option_list(struct config *config, const struct option *option);
/* One more entry of a LIST that is not full. */
MUST_USE bool option_parse_entry(struct config_list *list, const struct option *option,
                                 struct bytes text);

/* The value as YAML that option_parse takes back: the largest exact unit, texts quoted. */
void option_write_value(struct writer *into, const struct option *option,
                        const struct config *config);
/* What the option takes: "a size of 2K to 1M octets (K, M or G may follow)". */
void option_write_expected(struct writer *into, const struct option *option);
/* The same, shorter, for the column of a table. */
void option_write_range(struct writer *into, const struct option *option);

#endif
