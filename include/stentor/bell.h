/* SPDX-License-Identifier: Apache-2.0
 *
 * Wakes a thread that may be asleep, and costs nothing while it is awake. The sleeper:
 *
 *   bell_doze() -> look at its rings once more -> if still nothing, sleep until bell->descriptor
 *   is readable -> bell_rise()
 *
 * and whoever put something into a ring of it: bell_wake(). The look between doze and sleep closes
 * the gap in which a giver still saw the thread awake. bell_wake_by_signal() always writes: fit for
 * signal handlers and for threads that only know the descriptor's number. */
#ifndef STENTOR_BELL_H
#define STENTOR_BELL_H

#include <stdbool.h>

#include "stentor/assert.h"
#include "stentor/error.h"

struct bell {
    int descriptor; /* an eventfd; -1 = nobody ever sleeps (stepped by hand) */
    _Atomic bool is_dozing;
};

MUST_USE enum error bell_init(struct bell *bell);
/* For threads stepped by hand: every call is a no-op. */
void bell_init_silent(struct bell *bell);
void bell_fini(struct bell *bell);
void bell_doze(struct bell *bell);
void bell_rise(struct bell *bell);
void bell_wake(struct bell *bell);
void bell_wake_by_signal(struct bell *bell);

/* A flag that one thread raises (a signal handler too) and others look at. */
struct flag {
    _Atomic int raised;
};
void flag_raise(struct flag *flag);
/* How often it was raised. */
int flag_raised(const struct flag *flag);

#endif
