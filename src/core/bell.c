/* SPDX-License-Identifier: Apache-2.0
 *
 * The order that matters: the sleeper stores is_dozing, then looks at its rings; the giver fills
 * the ring, then loads is_dozing. With both pairs sequentially consistent at least one of them
 * sees the other. */
#include "stentor/bell.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum error bell_init(struct bell *bell)
{
    bell->descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    atomic_init(&bell->is_dozing, false);
    return bell->descriptor < 0 ? ERROR_SYSTEM : ERROR_NONE;
}

void bell_init_silent(struct bell *bell)
{
    bell->descriptor = -1;
    atomic_init(&bell->is_dozing, false);
}

void bell_fini(struct bell *bell)
{
    if (bell->descriptor >= 0)
        close(bell->descriptor);
    bell->descriptor = -1;
}

void bell_doze(struct bell *bell)
{
    atomic_store(&bell->is_dozing, true);
    atomic_thread_fence(memory_order_seq_cst); /* doze before the last look at the rings */
}

void bell_rise(struct bell *bell)
{
    atomic_store(&bell->is_dozing, false);
    if (bell->descriptor < 0)
        return;
    uint64_t rings;
    /* Nothing to read is the common case; both outcomes leave it silent. */
    ssize_t taken = read(bell->descriptor, &rings, sizeof rings);
    (void)taken;
}

void bell_wake_by_signal(struct bell *bell)
{
    if (bell->descriptor < 0)
        return;
    uint64_t one = 1;
    /* A full counter is readable already, so a failed write loses nothing. */
    ssize_t written = write(bell->descriptor, &one, sizeof one);
    (void)written;
}

void bell_wake(struct bell *bell)
{
    atomic_thread_fence(
        memory_order_seq_cst); /* the ring is filled before the sleeper is looked at */
    if (atomic_load(&bell->is_dozing))
        bell_wake_by_signal(bell);
}

void flag_raise(struct flag *flag)
{
    atomic_fetch_add(&flag->raised, 1);
}

int flag_raised(const struct flag *flag)
{
    return atomic_load(&flag->raised);
}
