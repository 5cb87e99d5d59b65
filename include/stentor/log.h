/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines for operators. A line is formatted into the calling thread's own ring and written to
 * stderr by whoever calls log_drain() (the control thread), so a worker never waits on a terminal
 * or a disk. A full ring loses the line and counts it; the loss is reported in the next line that
 * fits. Line: RFC 3339 time, level, thread, text as logfmt (key=value). Never log credentials,
 * stanza bodies or keys. */
#ifndef STENTOR_LOG_H
#define STENTOR_LOG_H

#include <stdint.h>

#include "stentor/assert.h"
#include "stentor/error.h"

#define LOG_LINE_SIZE_MAX 512u

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

struct log; /* one a thread; lines wait in it until drained */

/* name (at most 15 octets, copied) is shown in each line: "worker0", "control". */
MUST_USE enum error log_create(struct log **log, const char *name, enum log_level level_min);
void log_destroy(struct log **log);

/* Owner thread only. wall_ms stamps the line (0 = unknown: shown as elapsed order only). */
void log_line(struct log *log, enum log_level level, uint64_t wall_ms, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes all waiting lines of `count` logs to the descriptor; one thread at a time. Returns the
 * number of lines written. */
uint32_t log_drain(struct log *const *logs, uint32_t count, int descriptor);
/* Lines lost to a full ring so far. */
uint64_t log_lost_count(const struct log *log);

#endif
