/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: a ring of finished lines for each thread, drained by another.
 *
 *   owner thread:  log_line  --format, escape--> slot --given--.
 *   drainer:       log_drain <--taken-- slot --write(2)--> descriptor
 *
 * Single giver, single taker; the two counters are the only words both touch. Slots are whole
 * lines, so a line is written or lost as a whole, and a slot is never copied. The memory is mapped
 * and touched by use, so a quiet log costs a page or two.
 *
 * Whatever a peer managed to get into a text cannot break a line or steer a terminal: controls
 * (C0, DEL, C1) and octets that are not UTF-8 are shown as escapes. */
#include "stentor/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stentor/text.h"

#define LOG_NAME_SIZE 16u
#define LOG_SLOT_COUNT 256u
#define LOG_TEXT_SIZE 1024u /* formatted text before it is escaped and cut to a line */
#define LOG_TAIL_SIZE 40u   /* kept free in a line: "...", the loss and the line feed */

static_assert((LOG_SLOT_COUNT & (LOG_SLOT_COUNT - 1)) == 0, "indices wrap by mask");
static_assert(LOG_LINE_SIZE_MAX > LOG_TAIL_SIZE + 80u, "a stamp and some text fit");

struct log_slot {
    uint32_t size;
    uint8_t text[LOG_LINE_SIZE_MAX];
};

struct log {
    /* The owner's line. */
    _Atomic uint32_t given;
    _Atomic uint64_t lost;
    uint64_t lost_told; /* losses already told in a line */
    enum log_level level_min;
    char name[LOG_NAME_SIZE];
    /* The drainer's line. */
    _Atomic uint32_t taken __attribute__((aligned(CACHE_LINE)));
    uint32_t cut; /* octets of the oldest line already written */
    struct log_slot slots[LOG_SLOT_COUNT] __attribute__((aligned(CACHE_LINE)));
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};
static_assert(ARRAY_COUNT(level_names) == LOG_LEVEL_ERROR + 1, "a name for each level");

enum error log_create(struct log **log, const char *name, enum log_level level_min)
{
    void *at =
        mmap(NULL, sizeof(struct log), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return ERROR_NO_MEMORY;
    *log = at;
    (*log)->level_min = level_min;
    snprintf((*log)->name, sizeof((*log)->name), "%s", name);
    return ERROR_NONE;
}

void log_destroy(struct log **log)
{
    if (*log == NULL)
        return;
    munmap(*log, sizeof(struct log));
    *log = NULL;
}

/* Days since 1970 to a date of the Gregorian calendar, counted in eras of 400 years that begin on
 * 1 March, so that the leap day is the last of its year. gmtime_r would take libc's lock. */
static void write_date(struct writer *into, uint64_t days)
{
    uint64_t shifted = days + 719468; /* since 0000-03-01 */
    uint64_t era = shifted / 146097;
    uint64_t day_of_era = shifted % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t march_month = (5 * day_of_year + 2) / 153;
    uint64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
    uint64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    uint64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
    char text[64];
    snprintf(text, sizeof(text), "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64, year, month, day);
    write_string(into, text);
}

static void write_time(struct writer *into, uint64_t wall_ms)
{
    if (wall_ms == 0) {
        write_u8(into, '-');
        return;
    }
    uint64_t seconds = wall_ms / 1000;
    uint64_t of_day = seconds % 86400;
    char text[80];
    write_date(into, seconds / 86400);
    snprintf(text, sizeof(text), "T%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "Z",
             of_day / 3600, of_day / 60 % 60, of_day % 60, wall_ms % 1000);
    write_string(into, text);
}

/* One character of the text as it may stand in a line: itself, or its escape. */
static struct bytes take_escaped(struct cursor *text, char escape[8])
{
    const uint8_t *start = text->at;
    uint32_t code_point = 0;
    bool is_shown = utf8_take(text, &code_point) && code_point >= 0x20 &&
                    !(code_point >= 0x7f && code_point < 0xa0);
    if (is_shown)
        return bytes_of(start, (size_t)(text->at - start));
    text->at = start + 1; /* an octet at a time; a C1 control is two octets, both escaped */
    int size = *start == '\n'   ? snprintf(escape, 8, "\\n")
               : *start == '\r' ? snprintf(escape, 8, "\\r")
               : *start == '\t' ? snprintf(escape, 8, "\\t")
                                : snprintf(escape, 8, "\\x%02x", *start);
    return bytes_of(escape, (size_t)size);
}

static void write_escaped(struct writer *into, struct bytes text)
{
    struct cursor cursor = cursor_of(text);
    while (cursor_left(&cursor) != 0) {
        char escape[8];
        struct bytes shown = take_escaped(&cursor, escape);
        if (shown.size > into->capacity - into->size) {
            into->capacity += 3; /* the tail is kept free for this */
            write_string(into, "...");
            return;
        }
        write_bytes(into, shown);
    }
}

static void write_loss(struct log *log, struct writer *into)
{
    uint64_t lost = log_lost_count(log);
    if (lost == log->lost_told)
        return;
    write_string(into, " lines_lost=");
    write_decimal(into, lost - log->lost_told);
    log->lost_told = lost;
}

static void write_line(struct log *log, struct log_slot *slot, const char *stamp, struct bytes text)
{
    struct writer line = writer_of(slot->text, LOG_LINE_SIZE_MAX - LOG_TAIL_SIZE);
    write_string(&line, stamp);
    write_escaped(&line, text);
    line.capacity = LOG_LINE_SIZE_MAX;
    write_loss(log, &line);
    write_u8(&line, '\n');
    ASSERT(!line.is_overflown);
    slot->size = (uint32_t)line.size;
}

/* "2026-11-25T04:02:03.123Z warning worker0 " with its zero. */
static void write_stamp(const struct log *log, enum log_level level, uint64_t wall_ms,
                        struct writer *into)
{
    write_time(into, wall_ms);
    write_u8(into, ' ');
    write_string(into, level_names[level]);
    write_u8(into, ' ');
    write_string(into, log->name);
    write_bytes(into, bytes_of(" ", 2));
}

void log_line(struct log *log, enum log_level level, uint64_t wall_ms, const char *format, ...)
{
    ASSERT((unsigned)level < ARRAY_COUNT(level_names));
    if (level < log->level_min)
        return;
    uint32_t given = atomic_load_explicit(&log->given, memory_order_relaxed);
    /* Acquire: the drainer is done with the slot before we write it. */
    uint32_t waiting = given - atomic_load_explicit(&log->taken, memory_order_acquire);
    if (waiting == LOG_SLOT_COUNT) {
        uint64_t lost = log_lost_count(log);
        atomic_store_explicit(&log->lost, lost + 1, memory_order_relaxed);
        return;
    }
    char text[LOG_TEXT_SIZE];
    char stamp[96];
    struct writer stamp_writer = writer_of(stamp, sizeof(stamp));
    write_stamp(log, level, wall_ms, &stamp_writer);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    write_line(log, &log->slots[given & (LOG_SLOT_COUNT - 1)], stamp, bytes_of_string(text));
    /* Release: the line is whole before the drainer sees it. */
    atomic_store_explicit(&log->given, given + 1, memory_order_release);
}

/* Writes the rest of the oldest line. False when the descriptor takes no more for now. A
 * descriptor that is broken for good swallows the line: a log must not stop the server. */
static bool write_slot(struct log *log, const struct log_slot *slot, int descriptor)
{
    while (log->cut < slot->size) {
        ssize_t size = write(descriptor, slot->text + log->cut, slot->size - log->cut);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
        if (size <= 0)
            break;
        log->cut += (uint32_t)size;
    }
    log->cut = 0;
    return true;
}

static uint32_t drain_one(struct log *log, int descriptor)
{
    uint32_t taken = atomic_load_explicit(&log->taken, memory_order_relaxed);
    /* Acquire: pairs with the owner's release; the lines up to here are whole. */
    uint32_t given = atomic_load_explicit(&log->given, memory_order_acquire);
    uint32_t count = 0;
    while (taken != given &&
           write_slot(log, &log->slots[taken & (LOG_SLOT_COUNT - 1)], descriptor)) {
        taken++;
        count++;
        /* Release: the slot may be written again. */
        atomic_store_explicit(&log->taken, taken, memory_order_release);
    }
    return count;
}

uint32_t log_drain(struct log *const *logs, uint32_t count, int descriptor)
{
    uint32_t lines = 0;
    for (uint32_t i = 0; i < count; i++)
        lines += drain_one(logs[i], descriptor);
    return lines;
}

uint64_t log_lost_count(const struct log *log)
{
    return atomic_load_explicit(&log->lost, memory_order_relaxed);
}
