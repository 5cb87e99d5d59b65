/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for people: tables, figures, and the guard between what a server says and a terminal. */
#include <wchar.h>

#include "ctl.h"
#include "stentor/text.h"

#define CELL_SIZE_MAX 4096u
#define COLUMN_GAP 2u

/* ---- safe text ---- */

/* Marks that turn the direction of what follows (UAX #9): a name could pose as another. */
static bool is_steering(uint32_t code_point)
{
    return (code_point >= 0x202a && code_point <= 0x202e) ||
           (code_point >= 0x2066 && code_point <= 0x2069) || code_point == 0x200e ||
           code_point == 0x200f || code_point == 0x061c;
}

uint32_t write_shown(struct writer *into, struct bytes text)
{
    struct cursor cursor = cursor_of(text);
    uint32_t columns = 0;
    while (cursor_left(&cursor) != 0) {
        const uint8_t *start = cursor.at;
        uint32_t code_point;
        bool is_good = utf8_take(&cursor, &code_point);
        int width = is_good ? wcwidth((wchar_t)code_point) : -1;
        if (width < 0 || is_steering(code_point)) {
            cursor.at = is_good ? cursor.at : start + 1;
            write_u8(into, '?');
            columns++;
            continue;
        }
        write_bytes(into, bytes_of(start, (size_t)(cursor.at - start)));
        columns += (uint32_t)width;
    }
    return columns;
}

void print_shown(FILE *out, const char *text)
{
    uint8_t shown[CELL_SIZE_MAX];
    struct writer into = writer_of(shown, sizeof shown);
    write_shown(&into, bytes_of_string(text));
    fwrite(into.at, 1, into.size, out);
}

void write_grouped(struct writer *into, uint64_t count)
{
    char digits[24];
    size_t size = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    for (size_t i = 0; i < size; i++) {
        if (i != 0 && (size - i) % 3 == 0)
            write_u8(into, ',');
        write_u8(into, (uint8_t)digits[i]);
    }
}

void write_age(struct writer *into, uint64_t seconds)
{
    char text[48];
    unsigned long long days = seconds / 86400;
    unsigned hours = (unsigned)(seconds / 3600 % 24);
    unsigned minutes = (unsigned)(seconds / 60 % 60);
    unsigned rest = (unsigned)(seconds % 60);
    if (days != 0)
        snprintf(text, sizeof text, "%llud %02uh", days, hours);
    else if (hours != 0)
        snprintf(text, sizeof text, "%uh %02um", hours, minutes);
    else if (minutes != 0)
        snprintf(text, sizeof text, "%um %02us", minutes, rest);
    else
        snprintf(text, sizeof text, "%us", rest);
    write_string(into, text);
}

void print_field(FILE *out, const char *name, const char *text)
{
    fprintf(out, "%-12s  ", name);
    print_shown(out, text);
    fprintf(out, "\n");
}

void print_grouped(FILE *out, const char *name, uint64_t count)
{
    char text[32];
    struct writer into = writer_of(text, sizeof text - 1);
    write_grouped(&into, count);
    text[into.size] = '\0';
    print_field(out, name, text);
}

/* ---- tables ---- */

/* A block of twice the size with the old octets in it, or NULL. */
static void *grown(struct heap *heap, void *block, size_t used, size_t capacity)
{
    void *larger = heap_take(heap, capacity);
    if (larger != NULL && used != 0)
        memcpy(larger, block, used);
    if (larger != NULL)
        heap_give(heap, block);
    return larger;
}

static bool has_room(struct table *table, size_t size)
{
    if (table->text_size + size > table->text_capacity) {
        size_t capacity = 2 * (table->text_size + size) + CELL_SIZE_MAX;
        uint8_t *text = grown(table->heap, table->text, table->text_size, capacity);
        if (text == NULL)
            return false;
        table->text = text;
        table->text_capacity = capacity;
    }
    if (table->cell_count == table->cell_capacity) {
        uint32_t capacity = 2 * table->cell_count + 64;
        struct table_cell *cells =
            grown(table->heap, table->cells, table->cell_count * sizeof *table->cells,
                  capacity * sizeof *table->cells);
        if (cells == NULL)
            return false;
        table->cells = cells;
        table->cell_capacity = capacity;
    }
    return true;
}

void table_init(struct table *table, struct heap *heap, const char *const *titles,
                uint32_t column_count)
{
    *table = (struct table){.heap = heap, .column_count = column_count};
    for (uint32_t i = 0; i < column_count; i++)
        table_add_string(table, titles[i]);
}

void table_fini(struct table *table)
{
    heap_give(table->heap, table->cells);
    heap_give(table->heap, table->text);
}

/* Never longer than it came: what is replaced is replaced by one octet. */
void table_add(struct table *table, struct bytes text)
{
    if (text.size > CELL_SIZE_MAX)
        text.size = CELL_SIZE_MAX;
    if (table->is_short_of_memory || !has_room(table, text.size)) {
        table->is_short_of_memory = true;
        return;
    }
    struct writer into = writer_of(table->text + table->text_size, text.size);
    uint32_t width = write_shown(&into, text);
    table->cells[table->cell_count++] =
        (struct table_cell){(uint32_t)table->text_size, (uint32_t)into.size, width};
    table->text_size += into.size;
}

void table_add_string(struct table *table, const char *text)
{
    table_add(table, bytes_of_string(text == NULL ? "" : text));
}

void table_add_count(struct table *table, uint64_t count)
{
    uint8_t text[32];
    struct writer into = writer_of(text, sizeof text);
    write_grouped(&into, count);
    table_add(table, writer_bytes(&into));
}

static bool is_right(const struct table *table, uint32_t column)
{
    const struct table_cell *title = &table->cells[column];
    return title->size != 0 && table->text[title->at] == '>';
}

/* The '>' of a title is not shown. */
static struct table_cell cell_shown(const struct table *table, uint32_t index)
{
    struct table_cell cell = table->cells[index];
    if (index < table->column_count && is_right(table, index)) {
        cell.at++;
        cell.size--;
        cell.width--;
    }
    return cell;
}

static uint32_t column_width(const struct table *table, uint32_t column)
{
    uint32_t widest = 0;
    for (uint32_t i = column; i < table->cell_count; i += table->column_count) {
        struct table_cell cell = cell_shown(table, i);
        widest = cell.width > widest ? cell.width : widest;
    }
    return widest;
}

static void pad(FILE *out, uint32_t count)
{
    fprintf(out, "%*s", (int)count, "");
}

static void cell_print(const struct table *table, uint32_t index, uint32_t width, FILE *out)
{
    struct table_cell cell = cell_shown(table, index);
    uint32_t column = index % table->column_count;
    bool is_last = column + 1 == table->column_count;
    if (is_right(table, column))
        pad(out, width - cell.width);
    fwrite(table->text + cell.at, 1, cell.size, out);
    if (!is_right(table, column) && !is_last)
        pad(out, width - cell.width);
    if (is_last)
        fprintf(out, "\n");
    else
        pad(out, COLUMN_GAP);
}

void table_print(const struct table *table, FILE *out)
{
    uint32_t widths[16];
    ASSERT(table->column_count <= ARRAY_COUNT(widths));
    if (table->cell_count < table->column_count)
        return;
    for (uint32_t i = 0; i < table->column_count; i++)
        widths[i] = column_width(table, i);
    uint32_t whole = table->cell_count - table->cell_count % table->column_count;
    for (uint32_t i = 0; i < whole; i++)
        cell_print(table, i, widths[i % table->column_count], out);
    if (table->is_short_of_memory)
        fprintf(out, "... cut off: out of memory\n");
}
