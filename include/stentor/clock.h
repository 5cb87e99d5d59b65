/* SPDX-License-Identifier: Apache-2.0
 *
 * Time. Read once a turn by the thread's loop (src/server) and passed down as now_ns; no other
 * floor reads a clock (DESIGN law 6). */
#ifndef STENTOR_CLOCK_H
#define STENTOR_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_SECOND UINT64_C(1000000000)

/* Monotonic nanoseconds since some moment before start. */
uint64_t clock_now_ns(void);
/* Wall clock, for ids, logs and stored times only: milliseconds since 1970 UTC. */
uint64_t clock_wall_ms(void);
/* Lets the calling thread sleep; for loops of src/server. */
void clock_sleep_ns(uint64_t duration_ns);

#endif
