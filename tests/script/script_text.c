/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads files of scripts: lines, inclusion, cases and their names for values. What a single line
 * means is script_line.c's. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "script_line.h"

#define LINES_MAX 4096u
#define DEPTH_MAX 4u
#define VALUES_MAX 16u

struct text_line {
    char *path;
    uint32_t number;
    char *text;
};

struct text_lines {
    uint32_t count;
    struct text_line lines[LINES_MAX];
    uint32_t path_count;
    char *paths[64];
    char fault[SCRIPT_FAULT_MAX];
};

struct value {
    char name[32];
    char text[160];
};

struct values {
    uint32_t count;
    struct value items[VALUES_MAX];
};

/* ---- lines ---- */

static bool starts_word(const char *text, const char *word)
{
    size_t size = strlen(word);
    return strncmp(text, word, size) == 0 &&
           (text[size] == 0 || isspace((unsigned char)text[size]));
}

static const char *past_blanks(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

static bool read_lines(struct text_lines *all, const char *path, uint32_t depth);

static bool include_lines(struct text_lines *all, const char *path, const char *name,
                          uint32_t depth)
{
    char other[512];
    const char *slash = strrchr(path, '/');
    int folder = slash == NULL ? 0 : (int)(slash - path + 1);
    snprintf(other, sizeof other, "%.*s%s", folder, path, past_blanks(name));
    if (depth == DEPTH_MAX)
        return false;
    return read_lines(all, other, depth + 1);
}

static void cut_end(char *text)
{
    char *comment = strchr(text, '#');
    if (comment != NULL)
        *comment = 0;
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        text[--size] = 0;
}

static bool read_lines(struct text_lines *all, const char *path, uint32_t depth)
{
    char text[SCRIPT_TEXT_MAX];
    FILE *file = fopen(path, "r");
    if (file == NULL || all->path_count == 64) {
        snprintf(all->fault, sizeof all->fault, "%s cannot be read", path);
        if (file != NULL)
            fclose(file);
        return false;
    }
    char *kept = all->paths[all->path_count++] = strdup(path);
    bool is_good = true;
    for (uint32_t number = 1; is_good && fgets(text, sizeof text, file) != NULL; number++) {
        cut_end(text);
        const char *at = past_blanks(text);
        if (*at == 0)
            continue;
        if (starts_word(at, "include"))
            is_good = include_lines(all, kept, at + strlen("include"), depth);
        else if (all->count == LINES_MAX)
            is_good = false;
        else
            all->lines[all->count++] = (struct text_line){kept, number, strdup(at)};
    }
    fclose(file);
    return is_good;
}

static void free_lines(struct text_lines *all)
{
    for (uint32_t i = 0; i < all->count; i++)
        free(all->lines[i].text);
    for (uint32_t i = 0; i < all->path_count; i++)
        free(all->paths[i]);
    free(all);
}

/* ---- values ---- */

static void set_value(struct values *values, const char *name, size_t name_size, const char *text)
{
    uint32_t i = 0;
    while (i < values->count && (strlen(values->items[i].name) != name_size ||
                                 strncmp(values->items[i].name, name, name_size) != 0))
        i++;
    if (i == VALUES_MAX)
        return;
    snprintf(values->items[i].name, sizeof values->items[i].name, "%.*s", (int)name_size, name);
    snprintf(values->items[i].text, sizeof values->items[i].text, "%s", text);
    if (i == values->count)
        values->count++;
}

/* "name=text name=text" or name="text with blanks" after a case's name. */
static void read_values(struct values *values, const char *at)
{
    char text[160];
    for (at = past_blanks(at); *at != 0; at = past_blanks(at)) {
        const char *name = at;
        while (*at != 0 && *at != '=' && !isspace((unsigned char)*at))
            at++;
        size_t name_size = (size_t)(at - name);
        if (*at != '=')
            return;
        bool is_quoted = *++at == '"';
        at += is_quoted;
        size_t size = 0;
        while (*at != 0 && (is_quoted ? *at != '"' : !isspace((unsigned char)*at)))
            if (size + 1 < sizeof text)
                text[size++] = *at++;
            else
                at++;
        text[size] = 0;
        at += is_quoted && *at == '"';
        set_value(values, name, name_size, text);
    }
}

static bool replace_values(const struct values *values, const char *from, char *into, size_t room)
{
    size_t size = 0;
    while (*from != 0 && size + 1 < room) {
        if (*from != '$') {
            into[size++] = *from++;
            continue;
        }
        const char *name = ++from;
        while (isalnum((unsigned char)*from) || *from == '_')
            from++;
        uint32_t i = 0;
        size_t name_size = (size_t)(from - name);
        while (i < values->count && (strlen(values->items[i].name) != name_size ||
                                     strncmp(values->items[i].name, name, name_size) != 0))
            i++;
        if (i == values->count)
            return false;
        int printed = snprintf(into + size, room - size, "%s", values->items[i].text);
        size += (size_t)printed < room - size ? (size_t)printed : room - size - 1;
    }
    into[size] = 0;
    return true;
}

/* ---- cases ---- */

static bool is_case_line(const struct text_line *line)
{
    return strncmp(line->text, "==", 2) == 0;
}

/* A line of a case into the script; false with *fault written. */
static bool add_line(struct script *script, struct values *values, const struct text_line *line,
                     char *fault)
{
    char text[SCRIPT_TEXT_MAX];
    if (!replace_values(values, line->text, text, sizeof text)) {
        snprintf(fault, SCRIPT_FAULT_MAX, "line %u: no such value: %s", line->number, line->text);
        return false;
    }
    if (starts_word(text, "let")) {
        char *name = text + strlen("let");
        name = (char *)(uintptr_t)past_blanks(name);
        size_t size = strcspn(name, " \t");
        for (uint32_t i = 0; i < values->count; i++)
            if (strlen(values->items[i].name) == size &&
                strncmp(values->items[i].name, name, size) == 0)
                return true; /* the case's own value counts */
        set_value(values, name, size, past_blanks(name + size));
        return true;
    }
    if (script->step_count == SCRIPT_STEPS_MAX) {
        snprintf(fault, SCRIPT_FAULT_MAX, "line %u: too many steps", line->number);
        return false;
    }
    struct script_step *step = &script->steps[script->step_count++];
    memset(step, 0, sizeof *step);
    step->line = line->number;
    step->path = line->path;
    snprintf(step->text, sizeof step->text, "%s", text);
    return script_line_read(step, fault);
}

static void name_case(struct script *script, const char *path, const struct text_line *line,
                      struct values *values)
{
    const char *group = path;
    const char *base = path;
    for (const char *at = path; *at != 0; at++)
        if (*at == '/') {
            group = base;
            base = at + 1;
        }
    size_t size = strcspn(base, ".");
    snprintf(script->name, sizeof script->name, "%.*s%.*s", (int)(base - group), group, (int)size,
             base);
    if (line == NULL)
        return;
    const char *name = past_blanks(line->text + 2);
    size_t name_size = strcspn(name, " \t");
    size_t used = strlen(script->name);
    snprintf(script->name + used, sizeof script->name - used, ":%.*s", (int)name_size, name);
    read_values(values, name + name_size);
}

static void each_case(const struct text_lines *all, const char *path,
                      const struct script_reader *reader, struct script *script)
{
    uint32_t prologue = 0;
    while (prologue < all->count && !is_case_line(&all->lines[prologue]))
        prologue++;
    for (uint32_t start = prologue;;) {
        struct values values = {0};
        char fault[SCRIPT_FAULT_MAX] = "";
        uint32_t i = start < all->count ? start + 1 : start;
        script->step_count = 0;
        name_case(script, path, start < all->count ? &all->lines[start] : NULL, &values);
        for (uint32_t k = 0; k < prologue && fault[0] == 0; k++)
            (void)add_line(script, &values, &all->lines[k], fault);
        for (; i < all->count && !is_case_line(&all->lines[i]); i++)
            if (fault[0] == 0)
                (void)add_line(script, &values, &all->lines[i], fault);
        reader->each(reader->owner, script, fault);
        start = i;
        if (start >= all->count)
            return;
    }
}

bool script_read_file(const char *path, const struct script_reader *reader)
{
    struct text_lines *all = calloc(1, sizeof *all);
    struct script *script = malloc(sizeof *script);
    bool is_good = read_lines(all, path, 0);
    if (is_good) {
        each_case(all, path, reader, script);
    } else {
        script->step_count = 0;
        name_case(script, path, NULL, NULL);
        reader->each(reader->owner, script, all->fault[0] ? all->fault : "include");
    }
    free_lines(all);
    free(script);
    return is_good;
}
