/* SPDX-License-Identifier: Apache-2.0
 *
 * Coarse deadlines of every connection: one u16 a row, in units of one second of a wrapping 16-bit
 * clock (18 hours; a deadline lies at most 9 hours ahead). A sweep compares 32 at a time (AVX2
 * where the processor has it, scalar twin as oracle) and touches a connection's rows only on a
 * real expiry. 0 = no deadline. Never early, up to two seconds late plus the time until the sweep
 * passes; each row must be looked at once in 9 hours. Owner: one worker. */
#ifndef STENTOR_DEADLINE_H
#define STENTOR_DEADLINE_H

#include "stentor/arena.h"

#define DEADLINE_SECONDS_MAX 32766u

struct deadline_table {
    uint16_t *due; /* per row, on the wrapping clock; 0 = none */
    uint32_t count;
    uint32_t swept; /* next row the sweep looks at */
};

MUST_USE enum error deadline_init(struct deadline_table *table, struct arena *arena,
                                  uint32_t count);
/* after_seconds <= DEADLINE_SECONDS_MAX; 0 is due at the next sweep past this second. */
void deadline_set(struct deadline_table *table, uint32_t row, uint64_t now_ns,
                  uint32_t after_seconds);
void deadline_clear(struct deadline_table *table, uint32_t row);
/* Looks at up to `rows` further rows below `row_end` (the pool's high-water mark), wrapping round;
 * writes up to `max` expired rows, each now cleared. Stops early when `expired` is full. */
uint32_t deadline_sweep(struct deadline_table *table, uint64_t now_ns, uint32_t row_end,
                        uint32_t rows, uint32_t *expired, uint32_t max);
/* The same without SIMD: the oracle of the tests. */
uint32_t deadline_sweep_scalar(struct deadline_table *table, uint64_t now_ns, uint32_t row_end,
                               uint32_t rows, uint32_t *expired, uint32_t max);

#endif
