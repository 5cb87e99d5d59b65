/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing wheel for what is hot: 4,096 slots of 1 ms, then 4,096 slots of about 1 s; timers further
 * out are parked in the last slot and re-inserted. A timer is an index below the wheel's timer
 * count; its links live in an arena as u32 indices. Re-arming to a later instant is lazy: the new
 * deadline is stored and the timer is re-inserted when its old slot comes due, so arming costs one
 * store in the common case. Owner: one worker. Instants in ns of the injected clock; resolution
 * 1 ms, never early. */
#ifndef STENTOR_WHEEL_H
#define STENTOR_WHEEL_H

#include "stentor/arena.h"

#define WHEEL_NONE UINT32_MAX
#define WHEEL_MOVES_MAX 1024u

struct wheel_timer {
    uint32_t next;
    uint32_t previous;
    uint32_t slot;   /* its slot + 1, of both levels counted through; 0 = not armed */
    uint32_t due_ms; /* where it stands now, in wheel time modulo 2^32 */
    uint64_t due_ns; /* what is wanted; >= where it stands when re-armed lazily */
};

struct wheel {
    struct wheel_timer *timers;
    uint32_t *heads;    /* both levels */
    uint64_t *occupied; /* a bit a slot */
    uint64_t turned_ms; /* all slots before this instant are done, in wheel time */
    uint32_t timer_count;
    uint32_t armed_count;
    uint64_t origin_ns;
};

MUST_USE enum error wheel_init(struct wheel *wheel, struct arena *arena, uint32_t timer_count,
                               uint64_t now_ns);
/* Arms or re-arms; an instant in the past is due at the next turn. */
void wheel_arm(struct wheel *wheel, uint32_t timer, uint64_t due_ns);
void wheel_disarm(struct wheel *wheel, uint32_t timer);
bool wheel_is_armed(const struct wheel *wheel, uint32_t timer);
/* Writes up to `max` due timers, now disarmed; what is left over stays due for the next turn. A
 * turn also re-inserts at most WHEEL_MOVES_MAX timers (lazily re-armed, or come near), so its cost
 * is bounded; a turn that reaches that bound may return less than is due, and the next goes on. */
uint32_t wheel_turn(struct wheel *wheel, uint64_t now_ns, uint32_t *due, uint32_t max);
/* The earliest instant at which a turn could find something (a lower bound); UINT64_MAX if none. */
uint64_t wheel_next_ns(const struct wheel *wheel);

#endif
