/* SPDX-License-Identifier: Apache-2.0
 *
 * The option table and what one option can do: be found by name, take its value from text and
 * give it back as text. The rows are those of config.def; the reader of files is config.c.
 *
 * Invariant: what option_write_value prints, option_parse takes back to the same value. */
#include "option.h"

#include <stdio.h>

#include "stentor/clock.h"
#include "stentor/text.h"

#define PATH_SIZE_MAX 64u
#define NEAR_DISTANCE_MAX 3u

static const struct option options[] = {
#define CONFIG_COUNT(field, path, value, min, max, unit, text)                                     \
    {path, OPTION_COUNT, offsetof(struct config, field), value, "", min, max, unit, text},
#define CONFIG_SIZE(field, path, value, min, max, unit, text)                                      \
    {path, OPTION_SIZE, offsetof(struct config, field), value, "", min, max, unit, text},
#define CONFIG_DURATION(field, path, value, min, max, unit, text)                                  \
    {path, OPTION_DURATION, offsetof(struct config, field), value, "", min, max, unit, text},
#define CONFIG_BOOL(field, path, value, min, max, unit, text)                                      \
    {path, OPTION_BOOL, offsetof(struct config, field), value, "", min, max, unit, text},
#define CONFIG_TEXT(field, path, value, min, max, unit, text)                                      \
    {path, OPTION_TEXT, offsetof(struct config, field), 0, value, min, max, unit, text},
#define CONFIG_LIST(field, path, value, min, max, unit, text)                                      \
    {path, OPTION_LIST, offsetof(struct config, field), 0, value, min, max, unit, text},
#include "stentor/config.def"
#undef CONFIG_COUNT
#undef CONFIG_SIZE
#undef CONFIG_DURATION
#undef CONFIG_BOOL
#undef CONFIG_TEXT
#undef CONFIG_LIST
};

struct unit {
    const char *suffix;
    uint64_t scale;
};

/* Largest first: printing takes the first that divides. */
static const struct unit duration_units[] = {
    {"d", 86400 * NS_PER_SECOND},
    {"h", 3600 * NS_PER_SECOND},
    {"m", 60 * NS_PER_SECOND},
    {"s", NS_PER_SECOND},
    {"ms", NS_PER_MS},
    {"us", NS_PER_US},
    {"ns", 1},
};
static const struct unit size_units[] = {
    {"G", UINT64_C(1) << 30}, {"M", UINT64_C(1) << 20}, {"K", UINT64_C(1) << 10}, {"", 1}};
static const struct unit count_units[] = {{"", 1}};

struct units {
    const struct unit *at;
    size_t count;
};

static struct units units_of(enum option_type type)
{
    if (type == OPTION_DURATION)
        return (struct units){duration_units, ARRAY_COUNT(duration_units)};
    if (type == OPTION_SIZE)
        return (struct units){size_units, ARRAY_COUNT(size_units)};
    return (struct units){count_units, ARRAY_COUNT(count_units)};
}

/* ---- the fields of struct config ---- */

static uint64_t *number_of(struct config *config, const struct option *option)
{
    return (uint64_t *)(void *)((uint8_t *)config + option->offset);
}

static bool *bool_of(struct config *config, const struct option *option)
{
    return (bool *)(void *)((uint8_t *)config + option->offset);
}

static char *text_of(struct config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

struct config_list *option_list(struct config *config, const struct option *option)
{
    return (struct config_list *)(void *)((uint8_t *)config + option->offset);
}

void option_reset(struct config *config, const struct option *option)
{
    switch (option->type) {
    case OPTION_COUNT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        *number_of(config, option) = option->number;
        return;
    case OPTION_BOOL:
        *bool_of(config, option) = option->number != 0;
        return;
    case OPTION_TEXT:
        snprintf(text_of(config, option), CONFIG_TEXT_MAX, "%s", option->string);
        return;
    case OPTION_LIST:
        memset(option_list(config, option), 0, sizeof(struct config_list));
        return;
    }
}

/* ---- names ---- */

uint32_t option_count(void)
{
    return (uint32_t)ARRAY_COUNT(options);
}

const struct option *option_at(uint32_t index)
{
    ASSERT(index < ARRAY_COUNT(options));
    return &options[index];
}

static size_t section_size(const struct option *option)
{
    return (size_t)(strchr(option->path, '.') - option->path);
}

struct bytes option_section(const struct option *option)
{
    return bytes_of(option->path, section_size(option));
}

static bool is_in_section(const struct option *option, struct bytes section)
{
    return bytes_equal(option_section(option), section);
}

struct bytes option_name(const struct option *option)
{
    return bytes_of_string(option->path + section_size(option) + 1);
}

uint32_t option_find_section(struct bytes section)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(options); i++)
        if (is_in_section(&options[i], section))
            return i;
    return OPTION_NONE;
}

uint32_t option_find(struct bytes section, struct bytes name)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(options); i++)
        if (is_in_section(&options[i], section) && bytes_equal(option_name(&options[i]), name))
            return i;
    return OPTION_NONE;
}

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, delete or replace to get from a to b (Levenshtein), a row at a time. */
static size_t name_distance(struct bytes a, struct bytes b)
{
    size_t row[PATH_SIZE_MAX + 1];
    if (a.size > PATH_SIZE_MAX || b.size > PATH_SIZE_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = row[j];
            size_t replaced = diagonal + (a.at[i - 1] != b.at[j - 1] ? 1 : 0);
            row[j] = min_of(replaced, min_of(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b.size];
}

static bool is_near(struct bytes found, struct bytes known, size_t *nearest)
{
    size_t distance = name_distance(found, known);
    if (distance >= *nearest || distance * 2 > known.size)
        return false;
    *nearest = distance;
    return true;
}

const struct option *option_find_near(struct bytes section, struct bytes name)
{
    const struct option *near = NULL;
    size_t nearest = NEAR_DISTANCE_MAX + 1;
    for (uint32_t i = 0; i < ARRAY_COUNT(options); i++)
        if (is_in_section(&options[i], section) &&
            is_near(name, option_name(&options[i]), &nearest))
            near = &options[i];
    for (uint32_t i = 0; near == NULL && i < ARRAY_COUNT(options); i++)
        if (bytes_equal(option_name(&options[i]), name))
            near = &options[i];
    return near;
}

struct bytes option_find_section_near(struct bytes section)
{
    struct bytes near = {0};
    size_t nearest = NEAR_DISTANCE_MAX + 1;
    for (uint32_t i = 0; i < ARRAY_COUNT(options); i++) {
        struct bytes known = option_section(&options[i]);
        if (is_near(section, known, &nearest))
            near = known;
    }
    return near;
}

/* ---- values as text ---- */

static void write_number(struct writer *into, enum option_type type, uint64_t value)
{
    struct units units = units_of(type);
    size_t i = 0;
    while (value % units.at[i].scale != 0)
        i++;
    if (value == 0) {
        write_string(into, type == OPTION_DURATION ? "0s" : "0");
        return;
    }
    write_decimal(into, value / units.at[i].scale);
    write_string(into, units.at[i].suffix);
}

static void write_choices(struct writer *into, const char *choices)
{
    for (; *choices != '\0'; choices++) {
        if (*choices == '|')
            write_string(into, ", ");
        else
            write_u8(into, (uint8_t)*choices);
    }
}

static bool has_choices(const struct option *option)
{
    return strchr(option->unit, '|') != NULL;
}

static bool is_address(const struct option *option)
{
    return strcmp(option->unit, "ipv4") == 0;
}

void option_write_expected(struct writer *into, const struct option *option)
{
    static const char *const kinds[] = {"a number",      "a size", "a duration",
                                        "true or false", "a text", "a list of texts"};
    static const char *const hints[] = {"", " (K, M or G may follow)",
                                        " (with ns, us, ms, s, m, h or d)"};
    if (option->type == OPTION_TEXT && has_choices(option)) {
        write_string(into, "one of ");
        write_choices(into, option->unit);
        return;
    }
    if (option->type == OPTION_TEXT && is_address(option)) {
        write_string(into, "an IPv4 address like 192.0.2.1");
        return;
    }
    write_string(into, kinds[option->type]);
    if (option->type == OPTION_TEXT || option->type == OPTION_LIST)
        write_string(into, " (at most 255 octets, no line breaks or other controls)");
    if (option->type > OPTION_DURATION)
        return;
    write_string(into, " of ");
    write_number(into, option->type, option->least);
    write_string(into, " to ");
    write_number(into, option->type, option->most);
    if (option->type != OPTION_DURATION) {
        write_u8(into, ' ');
        write_string(into, option->unit);
    }
    write_string(into, hints[option->type]);
}

static_assert(CONFIG_TEXT_MAX - 1 == 255, "a message of option_write_expected says 255");

/* Within double quotes only these two need a backslash, as no control passes is_plain(). */
static void write_quoted(struct writer *into, const char *text)
{
    write_u8(into, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            write_u8(into, '\\');
        write_u8(into, (uint8_t)*text);
    }
    write_u8(into, '"');
}

static void write_list(struct writer *into, const struct config_list *list)
{
    write_u8(into, '[');
    for (uint32_t i = 0; i < list->count; i++) {
        if (i != 0)
            write_string(into, ", ");
        write_quoted(into, list->items[i]);
    }
    write_u8(into, ']');
}

void option_write_value(struct writer *into, const struct option *option,
                        const struct config *config)
{
    const uint8_t *field = (const uint8_t *)config + option->offset;
    switch (option->type) {
    case OPTION_COUNT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        write_number(into, option->type, *(const uint64_t *)(const void *)field);
        return;
    case OPTION_BOOL:
        write_string(into, *(const bool *)(const void *)field ? "true" : "false");
        return;
    case OPTION_TEXT:
        write_quoted(into, (const char *)field);
        return;
    case OPTION_LIST:
        write_list(into, (const struct config_list *)(const void *)field);
        return;
    }
}

void option_write_range(struct writer *into, const struct option *option)
{
    bool is_free = option->type == OPTION_TEXT && !has_choices(option) && !is_address(option);
    if (is_free || option->type == OPTION_LIST) {
        write_string(into, is_free ? "a text" : "a list of texts");
        return;
    }
    if (option->type <= OPTION_DURATION) {
        write_number(into, option->type, option->least);
        write_string(into, " to ");
        write_number(into, option->type, option->most);
        if (option->type == OPTION_COUNT) {
            write_u8(into, ' ');
            write_string(into, option->unit);
        }
        return;
    }
    option_write_expected(into, option);
}

/* ---- values from text ---- */

/* Digits and one suffix of the type's units. A duration other than 0 must carry its unit. */
static bool number_parse(enum option_type type, struct bytes text, uint64_t *value)
{
    size_t digits = 0;
    while (digits < text.size && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    uint64_t number = 0;
    if (!decimal_parse(bytes_slice(text, 0, digits), UINT64_MAX, &number))
        return false;
    struct bytes suffix = bytes_from(text, digits);
    if (suffix.size == 0 && number == 0) {
        *value = 0;
        return true;
    }
    struct units units = units_of(type);
    for (size_t i = 0; i < units.count; i++) {
        if (!bytes_equal(suffix, bytes_of_string(units.at[i].suffix)))
            continue;
        return !__builtin_mul_overflow(number, units.at[i].scale, value);
    }
    return false;
}

static bool bool_parse(struct bytes text, bool *value)
{
    bool is_true = bytes_equal(text, BYTES("true"));
    if (!is_true && !bytes_equal(text, BYTES("false")))
        return false;
    *value = is_true;
    return true;
}

static bool is_choice(const char *choices, struct bytes text)
{
    struct bytes left = bytes_of_string(choices);
    while (left.size != 0) {
        size_t size = bytes_find(left, '|');
        if (bytes_equal(bytes_slice(left, 0, size), text))
            return true;
        left = bytes_from(left, size + 1);
    }
    return false;
}

static bool is_ipv4(struct bytes text)
{
    for (int part = 0; part < 4; part++) {
        size_t size = bytes_find(text, '.');
        uint64_t value = 0;
        if (size > 3 || !decimal_parse(bytes_slice(text, 0, size), 255, &value))
            return false;
        if ((size == text.size) != (part == 3))
            return false;
        text = bytes_from(text, size + 1);
    }
    return true;
}

/* What one line of the file can hold and print again: no controls, no line separators. */
static bool is_plain(struct bytes text)
{
    struct cursor cursor = cursor_of(text);
    uint32_t code_point = 0;
    while (cursor_left(&cursor) != 0) {
        if (!utf8_take(&cursor, &code_point) || code_point < 0x20)
            return false;
        if ((code_point >= 0x7f && code_point < 0xa0) || code_point == 0x2028 ||
            code_point == 0x2029 || code_point == 0xfeff || (code_point & 0xfffe) == 0xfffe)
            return false;
    }
    return true;
}

static bool text_parse(const struct option *option, struct bytes text, char into[CONFIG_TEXT_MAX])
{
    if (text.size >= CONFIG_TEXT_MAX || !is_plain(text))
        return false;
    bool is_left_empty = text.size == 0 && option->string[0] == '\0';
    if (!is_left_empty && has_choices(option) && !is_choice(option->unit, text))
        return false;
    if (!is_left_empty && is_address(option) && !is_ipv4(text))
        return false;
    if (text.size != 0)
        memcpy(into, text.at, text.size);
    into[text.size] = '\0';
    return true;
}

bool option_parse(struct config *config, const struct option *option, struct bytes text)
{
    uint64_t number = 0;
    switch (option->type) {
    case OPTION_COUNT:
    case OPTION_SIZE:
    case OPTION_DURATION:
        if (!number_parse(option->type, text, &number) || number < option->least ||
            number > option->most)
            return false;
        *number_of(config, option) = number;
        return true;
    case OPTION_BOOL:
        return bool_parse(text, bool_of(config, option));
    case OPTION_TEXT:
        return text_parse(option, text, text_of(config, option));
    case OPTION_LIST:
        return false;
    }
    return false;
}

bool option_parse_entry(struct config_list *list, const struct option *option, struct bytes text)
{
    ASSERT(option->type == OPTION_LIST);
    ASSERT(list->count < CONFIG_LIST_MAX);
    if (!text_parse(option, text, list->items[list->count]))
        return false;
    list->count++;
    return true;
}
