/* SPDX-License-Identifier: Apache-2.0
 *
 * The only clock reads of Stentor. CLOCK_MONOTONIC and CLOCK_REALTIME come from the vDSO (about
 * 20 ns, no system call) and cannot fail on any kernel Stentor runs on. Any thread. */
#include "stentor/clock.h"

#include <errno.h>
#include <time.h>

#include "stentor/assert.h"

static struct timespec read_clock(clockid_t clock)
{
    struct timespec now;
    int result = clock_gettime(clock, &now);
    ASSERT(result == 0);
    return now;
}

uint64_t clock_now_ns(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_wall_ms(void)
{
    struct timespec now = read_clock(CLOCK_REALTIME);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_PER_MS;
}

void clock_sleep_ns(uint64_t duration_ns)
{
    struct timespec left = {
        .tv_sec = (time_t)(duration_ns / NS_PER_SECOND),
        .tv_nsec = (long)(duration_ns % NS_PER_SECOND),
    };
    /* A signal is news the loop wants to look at, so the sleep is not resumed. */
    int result = clock_nanosleep(CLOCK_MONOTONIC, 0, &left, NULL);
    ASSERT(result == 0 || result == EINTR);
}
