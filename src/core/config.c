/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file: a table of options (config.def), a reader over libyaml's events, and
 * two printers. libyaml judges YAML and gives each event its line; the table judges the rest.
 *
 *   file ::= { section ":" { option ":" value } }     value ::= scalar | list of scalars
 *
 * Everything else YAML has (aliases, anchors, tags, deeper nesting, several documents) is refused:
 * a configuration file is a table, not a program. All faults of a file are reported, not the
 * first alone, except that broken YAML ends the reading where it breaks.
 * Why libyaml and not a schema library: docs/decisions/0001-yaml-by-libyaml.md. */
#include "stentor/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <yaml.h>

#include "option.h"

#define FAULT_SIZE_MAX 640u
#define SHOWN_SIZE_MAX 40u /* octets of a found text that a message repeats */
#define DEPTH_MAX 16u      /* of what is skipped over, before reading stops */

void config_defaults(struct config *config)
{
    memset(config, 0, sizeof(*config));
    for (uint32_t i = 0; i < option_count(); i++)
        option_reset(config, option_at(i));
}

/* ---- the reader ---- */

#define OPTIONS_MAX 256u

struct reader {
    struct config *config;
    const char *name; /* of the file */
    struct bytes text;
    struct writer *message;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    uint32_t fault_count;
    bool is_broken;                      /* no more events: bad YAML */
    uint32_t section_lines[OPTIONS_MAX]; /* by first option: where it stood; 0 = nowhere yet */
    uint32_t option_lines[OPTIONS_MAX];
};

/* The message is built apart, so that a full writer never holds half a line. */
static struct writer fault_begin(struct reader *reader, char *text, uint32_t line)
{
    struct writer fault = writer_of(text, FAULT_SIZE_MAX);
    reader->fault_count++;
    write_string(&fault, reader->name);
    write_u8(&fault, ':');
    write_decimal(&fault, line);
    write_string(&fault, ": ");
    return fault;
}

static void fault_end(struct reader *reader, struct writer *fault)
{
    if (fault->size == fault->capacity)
        fault->size--;
    fault->is_overflown = false;
    write_u8(fault, '\n');
    write_bytes(reader->message, writer_bytes(fault));
}

static void fault_plain(struct reader *reader, uint32_t line, const char *text)
{
    char buffer[FAULT_SIZE_MAX];
    struct writer fault = fault_begin(reader, buffer, line);
    write_string(&fault, text);
    fault_end(reader, &fault);
}

static uint32_t event_line(const struct reader *reader)
{
    return (uint32_t)reader->event.start_mark.line + 1;
}

static bool is_event(const struct reader *reader, yaml_event_type_t type)
{
    return !reader->is_broken && reader->event.type == type;
}

static struct bytes scalar_of(const struct reader *reader)
{
    return bytes_of(reader->event.data.scalar.value, reader->event.data.scalar.length);
}

/* Text from the file as a message may show it: printable, quoted, cut to SHOWN_SIZE_MAX. */
static void write_shown(struct writer *into, struct bytes text)
{
    write_u8(into, '"');
    for (size_t i = 0; i < text.size && i < SHOWN_SIZE_MAX; i++)
        write_u8(into, text.at[i] >= 0x20 && text.at[i] < 0x7f ? text.at[i] : '?');
    write_string(into, text.size > SHOWN_SIZE_MAX ? "...\"" : "\"");
}

/* libyaml marks the line of what it parses, but only the offset of octets it cannot read. */
static uint32_t problem_line(const struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error != YAML_READER_ERROR)
        return (uint32_t)parser->problem_mark.line + 1;
    uint32_t line = 1;
    for (size_t i = 0; i < reader->text.size && i < parser->problem_offset; i++)
        line += reader->text.at[i] == '\n' ? 1 : 0;
    return line;
}

static void fault_yaml(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    char buffer[FAULT_SIZE_MAX];
    struct writer fault = fault_begin(reader, buffer, problem_line(reader));
    write_string(&fault, "not YAML: ");
    write_string(&fault, parser->problem != NULL ? parser->problem : "out of memory");
    fault_end(reader, &fault);
}

static bool event_is_decorated(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

/* Makes the next event the current one. After the last, or after bad YAML, there is none. */
static void advance(struct reader *reader)
{
    if (reader->is_broken)
        return;
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event) == 0) {
        reader->is_broken = true;
        fault_yaml(reader);
        return;
    }
    if (event_is_decorated(&reader->event))
        fault_plain(reader, event_line(reader), "YAML aliases, anchors and tags are not taken");
}

/* Leaves the node that starts at the current event behind; its last event becomes current. */
static void skip_node(struct reader *reader)
{
    uint32_t depth = 0;
    for (;;) {
        if (is_event(reader, YAML_MAPPING_START_EVENT) ||
            is_event(reader, YAML_SEQUENCE_START_EVENT))
            depth++;
        if (is_event(reader, YAML_MAPPING_END_EVENT) || is_event(reader, YAML_SEQUENCE_END_EVENT))
            depth--;
        if (depth == 0 || reader->is_broken)
            return;
        if (depth > DEPTH_MAX) {
            fault_plain(reader, event_line(reader), "nested too deep; nothing below was read");
            reader->is_broken = true;
            return;
        }
        advance(reader);
    }
}

static void fault_shape(struct reader *reader, const struct option *option, const char *found)
{
    char buffer[FAULT_SIZE_MAX];
    struct writer fault = fault_begin(reader, buffer, event_line(reader));
    write_string(&fault, option->path);
    write_string(&fault, ": found ");
    write_string(&fault, found);
    write_string(&fault, ", expected ");
    option_write_expected(&fault, option);
    fault_end(reader, &fault);
}

static void fault_value(struct reader *reader, const struct option *option)
{
    char buffer[SHOWN_SIZE_MAX + 8];
    struct writer shown = writer_of(buffer, sizeof(buffer));
    write_shown(&shown, scalar_of(reader));
    write_u8(&shown, '\0');
    ASSERT(!shown.is_overflown);
    fault_shape(reader, option, buffer);
}

static void read_list(struct reader *reader, const struct option *option)
{
    struct config_list *list = option_list(reader->config, option);
    bool is_full_told = false;
    list->count = 0;
    for (advance(reader); !reader->is_broken && !is_event(reader, YAML_SEQUENCE_END_EVENT);
         advance(reader)) {
        if (!is_event(reader, YAML_SCALAR_EVENT)) {
            fault_shape(reader, option, "a nested list or mapping");
            skip_node(reader);
        } else if (list->count == CONFIG_LIST_MAX) {
            if (!is_full_told)
                fault_shape(reader, option, "more than 16 entries");
            is_full_told = true;
        } else if (!option_parse_entry(list, option, scalar_of(reader))) {
            fault_value(reader, option);
        }
    }
}

static_assert(CONFIG_LIST_MAX == 16, "a message of read_list says 16");

/* The value of a known option; the current event is its first. */
static void read_value(struct reader *reader, const struct option *option)
{
    if (is_event(reader, YAML_SEQUENCE_START_EVENT) && option->type == OPTION_LIST) {
        read_list(reader, option);
        return;
    }
    if (!is_event(reader, YAML_SCALAR_EVENT)) {
        if (is_event(reader, YAML_SEQUENCE_START_EVENT))
            fault_shape(reader, option, "a list");
        if (is_event(reader, YAML_MAPPING_START_EVENT))
            fault_shape(reader, option, "a mapping");
        skip_node(reader);
        return;
    }
    if (!option_parse(reader->config, option, scalar_of(reader)))
        fault_value(reader, option);
}

static void fault_unknown_option(struct reader *reader, struct bytes section, struct bytes name)
{
    char buffer[FAULT_SIZE_MAX];
    struct writer fault = fault_begin(reader, buffer, event_line(reader));
    const struct option *near = option_find_near(section, name);
    write_bytes(&fault, section);
    write_u8(&fault, '.');
    write_shown(&fault, name);
    write_string(&fault, ": unknown option");
    if (near != NULL) {
        write_string(&fault, ", perhaps ");
        write_string(&fault, near->path);
    }
    fault_end(reader, &fault);
}

static void fault_unknown_section(struct reader *reader, struct bytes section)
{
    char buffer[FAULT_SIZE_MAX];
    struct writer fault = fault_begin(reader, buffer, event_line(reader));
    struct bytes near = option_find_section_near(section);
    write_shown(&fault, section);
    write_string(&fault, ": unknown section");
    if (near.size != 0) {
        write_string(&fault, ", perhaps ");
        write_bytes(&fault, near);
    }
    fault_end(reader, &fault);
}

/* A name may stand once: a second one would silently win or lose. */
static void check_first(struct reader *reader, uint32_t *line, const char *what, struct bytes name)
{
    if (*line == 0) {
        *line = event_line(reader);
        return;
    }
    char buffer[FAULT_SIZE_MAX];
    struct writer fault = fault_begin(reader, buffer, event_line(reader));
    write_bytes(&fault, name);
    write_string(&fault, ": duplicate ");
    write_string(&fault, what);
    write_string(&fault, ", first given on line ");
    write_decimal(&fault, *line);
    fault_end(reader, &fault);
}

/* "name: value" within a section; the current event is the name. */
static void read_option(struct reader *reader, struct bytes section)
{
    uint32_t index = OPTION_NONE;
    if (!is_event(reader, YAML_SCALAR_EVENT)) {
        fault_plain(reader, event_line(reader), "found a list or mapping, expected an option name");
        skip_node(reader);
    } else {
        index = option_find(section, scalar_of(reader));
        if (index == OPTION_NONE)
            fault_unknown_option(reader, section, scalar_of(reader));
        else
            check_first(reader, &reader->option_lines[index], "option",
                        bytes_of_string(option_at(index)->path));
    }
    advance(reader);
    if (index == OPTION_NONE)
        skip_node(reader);
    else
        read_value(reader, option_at(index));
}

/* What stands below "section:"; the current event is its first. */
static void read_section(struct reader *reader, uint32_t index)
{
    struct bytes section = option_section(option_at(index));
    if (is_event(reader, YAML_SCALAR_EVENT) && scalar_of(reader).size == 0)
        return; /* "section:" with nothing below */
    if (!is_event(reader, YAML_MAPPING_START_EVENT)) {
        char buffer[FAULT_SIZE_MAX];
        struct writer fault = fault_begin(reader, buffer, event_line(reader));
        write_bytes(&fault, section);
        write_string(&fault, ": expected option: value lines below the section");
        fault_end(reader, &fault);
        skip_node(reader);
        return;
    }
    for (advance(reader); !reader->is_broken && !is_event(reader, YAML_MAPPING_END_EVENT);
         advance(reader))
        read_option(reader, section);
}

static void read_sections(struct reader *reader)
{
    for (advance(reader); !reader->is_broken && !is_event(reader, YAML_MAPPING_END_EVENT);
         advance(reader)) {
        uint32_t index = OPTION_NONE;
        if (!is_event(reader, YAML_SCALAR_EVENT)) {
            fault_plain(reader, event_line(reader), "found a list or mapping, expected a section");
            skip_node(reader);
        } else {
            index = option_find_section(scalar_of(reader));
            if (index == OPTION_NONE)
                fault_unknown_section(reader, scalar_of(reader));
            else
                check_first(reader, &reader->section_lines[index], "section", scalar_of(reader));
        }
        advance(reader);
        if (index == OPTION_NONE)
            skip_node(reader);
        else
            read_section(reader, index);
    }
}

static void read_file(struct reader *reader)
{
    advance(reader); /* stream start */
    advance(reader);
    if (is_event(reader, YAML_STREAM_END_EVENT))
        return; /* an empty file, or comments alone */
    advance(reader);
    if (is_event(reader, YAML_MAPPING_START_EVENT)) {
        read_sections(reader);
    } else if (!reader->is_broken &&
               !(is_event(reader, YAML_SCALAR_EVENT) && scalar_of(reader).size == 0)) {
        fault_plain(reader, event_line(reader), "expected sections, each a name and a colon");
        skip_node(reader);
    }
    advance(reader); /* document end */
    advance(reader);
    if (!reader->is_broken && !is_event(reader, YAML_STREAM_END_EVENT))
        fault_plain(reader, event_line(reader), "a second document; one is taken");
}

enum error config_read_text(struct config *config, const char *name, struct bytes text,
                            struct writer *message)
{
    ASSERT(option_count() <= OPTIONS_MAX);
    struct reader reader = {.config = config, .name = name, .text = text, .message = message};
    config_defaults(config);
    if (text.size > CONFIG_FILE_SIZE_MAX) {
        fault_plain(&reader, 1, "larger than 64K octets");
        return ERROR_INVALID;
    }
    if (yaml_parser_initialize(&reader.parser) == 0)
        return ERROR_NO_MEMORY;
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, text.at, text.size);
    read_file(&reader);
    yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return reader.fault_count == 0 ? ERROR_NONE : ERROR_INVALID;
}

static enum error fault_system(const char *path, struct writer *message)
{
    char buffer[FAULT_SIZE_MAX];
    snprintf(buffer, sizeof(buffer), "%s: cannot be read: %s\n", path, strerror(errno));
    write_bytes(message, bytes_of(buffer, strnlen(buffer, sizeof(buffer))));
    return ERROR_SYSTEM;
}

enum error config_read_file(struct config *config, const char *path, struct writer *message)
{
    uint8_t text[CONFIG_FILE_SIZE_MAX + 1]; /* one more, to see that a file is too large */
    size_t size = 0;
    config_defaults(config);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fault_system(path, message);
    ssize_t more = 1;
    while (more > 0 && size < sizeof(text)) {
        more = read(file, text + size, sizeof(text) - size);
        if (more > 0)
            size += (size_t)more;
        else if (more < 0 && errno == EINTR)
            more = 1;
    }
    enum error error = more < 0 ? fault_system(path, message) : ERROR_NONE;
    close(file);
    if (error)
        return error;
    return config_read_text(config, path, bytes_of(text, size), message);
}

/* ---- the printers ---- */

/* The section's name when the option is the first of it, else nothing. */
static struct bytes section_opened(uint32_t index)
{
    struct bytes section = option_section(option_at(index));
    if (index != 0 && bytes_equal(option_section(option_at(index - 1)), section))
        return (struct bytes){0};
    return section;
}

void config_print(const struct config *config, struct writer *into)
{
    for (uint32_t i = 0; i < option_count(); i++) {
        struct bytes section = section_opened(i);
        if (section.size != 0) {
            write_bytes(into, section);
            write_string(into, ":\n");
        }
        write_string(into, "  ");
        write_bytes(into, option_name(option_at(i)));
        write_string(into, ": ");
        option_write_value(into, option_at(i), config);
        write_u8(into, '\n');
    }
}

static void document_option(struct writer *into, const struct option *option,
                            const struct config *config)
{
    write_string(into, "| `");
    write_bytes(into, option_name(option));
    write_string(into, "` | `");
    option_write_value(into, option, config);
    write_string(into, "` | ");
    option_write_range(into, option);
    write_string(into, " | ");
    write_string(into, option->text);
    write_string(into, " |\n");
}

void config_document(struct writer *into)
{
    struct config config;
    config_defaults(&config);
    for (uint32_t i = 0; i < option_count(); i++) {
        struct bytes section = section_opened(i);
        if (section.size != 0) {
            write_string(into, i == 0 ? "### `" : "\n### `");
            write_bytes(into, section);
            write_string(into, "`\n\n| option | default | takes | meaning |\n|---|---|---|---|\n");
        }
        document_option(into, option_at(i), &config);
    }
}
