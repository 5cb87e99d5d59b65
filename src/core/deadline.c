/* SPDX-License-Identifier: Apache-2.0
 *
 * Coarse deadlines: u16 seconds on a clock that wraps every 65,536 s. A row is expired when the
 * clock stands 0 to 32,767 s past it, so a deadline may lie up to 32,768 s ahead. Instants are
 * rounded up to the second (never early), and a deadline that would land on 0, which means none,
 * is moved to 1. A sweep reads two octets a row, in order: 10 million rows are 20 MB, and a row
 * that is not expired costs a sixteenth of a vector compare. Owner: one worker. */
#include "stentor/deadline.h"

#include "stentor/clock.h"

/* Rows [row, row_end) looked at against clock `at`; found rows are written and cleared. */
struct sweep {
    uint16_t *due;
    uint32_t row;
    uint32_t row_end;
    uint16_t at;
    uint32_t *expired;
    uint32_t count;
    uint32_t max;
};

enum error deadline_init(struct deadline_table *table, struct arena *arena, uint32_t count)
{
    ASSERT(count > 0);
    uint16_t *due = arena_take(arena, (size_t)count * sizeof *due, CACHE_LINE);
    if (due == NULL)
        return ERROR_NO_MEMORY;
    *table = (struct deadline_table){.due = due, .count = count};
    return ERROR_NONE;
}

void deadline_set(struct deadline_table *table, uint32_t row, uint64_t now_ns,
                  uint32_t after_seconds)
{
    ASSERT(row < table->count);
    ASSERT(after_seconds <= DEADLINE_SECONDS_MAX);
    uint64_t now_seconds = now_ns / NS_PER_SECOND + (now_ns % NS_PER_SECOND != 0);
    uint16_t due = (uint16_t)(now_seconds + after_seconds);
    table->due[row] = due != 0 ? due : 1;
}

void deadline_clear(struct deadline_table *table, uint32_t row)
{
    ASSERT(row < table->count);
    table->due[row] = 0;
}

static bool is_expired(uint16_t due, uint16_t at)
{
    return due != 0 && (uint16_t)(at - due) <= INT16_MAX;
}

/* Stops behind the row that filled `expired`. */
static void sweep_scalar(struct sweep *sweep)
{
    while (sweep->row < sweep->row_end && sweep->count < sweep->max) {
        uint32_t row = sweep->row++;
        if (!is_expired(sweep->due[row], sweep->at))
            continue;
        sweep->due[row] = 0;
        sweep->expired[sweep->count++] = row;
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define ROWS_A_STEP 32u

/* Per lane all ones where the row is expired: due != 0 and at - due, as a signed word, >= 0. */
__attribute__((target("avx2"))) static inline __m256i expired_lanes(__m256i due, __m256i at)
{
    __m256i is_none = _mm256_cmpeq_epi16(due, _mm256_setzero_si256());
    __m256i is_past = _mm256_cmpgt_epi16(_mm256_sub_epi16(at, due), _mm256_set1_epi16(-1));
    return _mm256_andnot_si256(is_none, is_past);
}

/* 32 rows a step; a step with an expiry in it is handed to the scalar form, since expiries are
 * rare and their cost lies with the connection they end. */
__attribute__((target("avx2"))) static void sweep_avx2(struct sweep *sweep)
{
    const __m256i at = _mm256_set1_epi16((short)sweep->at);
    const uint32_t row_end = sweep->row_end;
    while (row_end - sweep->row >= ROWS_A_STEP && sweep->count < sweep->max) {
        const uint16_t *from = sweep->due + sweep->row;
        __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)from);
        __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(from + 16));
        __m256i lanes = _mm256_or_si256(expired_lanes(low, at), expired_lanes(high, at));
        if (IS_LIKELY(_mm256_testz_si256(lanes, lanes))) {
            sweep->row += ROWS_A_STEP;
            continue;
        }
        sweep->row_end = sweep->row + ROWS_A_STEP;
        sweep_scalar(sweep);
        sweep->row_end = row_end;
    }
    sweep_scalar(sweep);
}

static void sweep_fast(struct sweep *sweep)
{
    if (__builtin_cpu_supports("avx2"))
        sweep_avx2(sweep);
    else
        sweep_scalar(sweep);
}
#else
static void sweep_fast(struct sweep *sweep)
{
    sweep_scalar(sweep);
}
#endif

/* Lays the rows asked for out as one or two straight stretches and runs `stretch` over them. */
static inline uint32_t sweep_rows(struct deadline_table *table, struct sweep *sweep,
                                  uint32_t row_end, uint32_t rows,
                                  void (*stretch)(struct sweep *sweep))
{
    ASSERT(row_end <= table->count);
    if (rows > row_end)
        rows = row_end;
    while (rows != 0 && sweep->count < sweep->max) {
        if (table->swept >= row_end)
            table->swept = 0;
        uint32_t left = row_end - table->swept;
        sweep->row = table->swept;
        sweep->row_end = sweep->row + (rows < left ? rows : left);
        stretch(sweep);
        rows -= sweep->row - table->swept;
        table->swept = sweep->row;
    }
    return sweep->count;
}

static struct sweep sweep_of(struct deadline_table *table, uint64_t now_ns, uint32_t *expired,
                             uint32_t max)
{
    return (struct sweep){
        .due = table->due,
        .at = (uint16_t)(now_ns / NS_PER_SECOND),
        .expired = expired,
        .max = max,
    };
}

uint32_t deadline_sweep(struct deadline_table *table, uint64_t now_ns, uint32_t row_end,
                        uint32_t rows, uint32_t *expired, uint32_t max)
{
    struct sweep sweep = sweep_of(table, now_ns, expired, max);
    return sweep_rows(table, &sweep, row_end, rows, sweep_fast);
}

uint32_t deadline_sweep_scalar(struct deadline_table *table, uint64_t now_ns, uint32_t row_end,
                               uint32_t rows, uint32_t *expired, uint32_t max)
{
    struct sweep sweep = sweep_of(table, now_ns, expired, max);
    return sweep_rows(table, &sweep, row_end, rows, sweep_scalar);
}
