/* SPDX-License-Identifier: Apache-2.0
 *
 * Hot timers. Wheel time is milliseconds since origin_ns.
 *
 *   near: 4,096 slots of 1 ms     holds what stands within [turned, turned + 4,096)
 *   far:  4,096 slots of 1,024 ms holds the rest; a slot is emptied into near when wheel time
 *                                 reaches its start, and what lies past the last slot waits there
 *
 * Where a timer stands (due_ms) is never after when it is wanted (due_ns): a later re-arm only
 * stores due_ns, and the slot, coming due, finds the timer not due and inserts it again. A wanted
 * instant is rounded up to the millisecond, so nothing is early. turned_ms stops at the slot in
 * work when a bound is reached, and the next turn resumes there. The slot of turned_ms may be
 * filled again after it was emptied: that is where instants in the past go.
 *
 * An untouched timer is all zero (not armed), so the table costs no memory until used. */
#include "stentor/wheel.h"

#include "stentor/clock.h"

#define SLOT_COUNT 4096u /* a level */
#define SLOT_MASK (SLOT_COUNT - 1)
#define UNIT_BITS 10u /* a far slot is 2^10 ms */
#define WORD_COUNT (SLOT_COUNT / 64)
#define FAR_FIRST SLOT_COUNT
static_assert((UINT64_C(2) * SLOT_COUNT << UNIT_BITS) < INT32_MAX,
              "due_ms, 32 bits of wheel time, is told from turned_ms by their difference");

struct turn {
    uint64_t now_ns;
    uint64_t now_ms;
    uint32_t *due;
    uint32_t due_count;
    uint32_t due_max;
    uint32_t moves_left;
};

enum error wheel_init(struct wheel *wheel, struct arena *arena, uint32_t timer_count,
                      uint64_t now_ns)
{
    ASSERT(timer_count > 0);
    ASSERT(timer_count < WHEEL_NONE);
    *wheel = (struct wheel){
        .timers = arena_take(arena, (size_t)timer_count * sizeof(struct wheel_timer), CACHE_LINE),
        .heads = arena_take(arena, 2u * SLOT_COUNT * sizeof(uint32_t), CACHE_LINE),
        .occupied = arena_take(arena, 2u * WORD_COUNT * sizeof(uint64_t), CACHE_LINE),
        .timer_count = timer_count,
        .origin_ns = now_ns,
    };
    if (wheel->timers == NULL || wheel->heads == NULL || wheel->occupied == NULL)
        return ERROR_NO_MEMORY;
    memset(wheel->heads, 0xff, 2u * SLOT_COUNT * sizeof(uint32_t)); /* WHEEL_NONE */
    return ERROR_NONE;
}

/* ---- lists ---- */

static void link_timer(struct wheel *wheel, uint32_t index, uint32_t slot)
{
    struct wheel_timer *timer = &wheel->timers[index];
    uint32_t head = wheel->heads[slot];
    timer->next = head;
    timer->previous = WHEEL_NONE;
    timer->slot = slot + 1;
    if (head != WHEEL_NONE)
        wheel->timers[head].previous = index;
    wheel->heads[slot] = index;
    wheel->occupied[slot / 64] |= UINT64_C(1) << slot % 64;
}

static void unlink_timer(struct wheel *wheel, uint32_t index)
{
    struct wheel_timer *timer = &wheel->timers[index];
    uint32_t slot = timer->slot - 1;
    if (timer->next != WHEEL_NONE)
        wheel->timers[timer->next].previous = timer->previous;
    if (timer->previous != WHEEL_NONE)
        wheel->timers[timer->previous].next = timer->next;
    else
        wheel->heads[slot] = timer->next;
    if (wheel->heads[slot] == WHEEL_NONE)
        wheel->occupied[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    timer->slot = 0;
}

/* ---- arming ---- */

/* Wheel time at which an instant has passed, no earlier than turned_ms. */
static uint64_t wanted_ms(const struct wheel *wheel, uint64_t due_ns)
{
    if (due_ns <= wheel->origin_ns)
        return wheel->turned_ms;
    uint64_t after_ns = due_ns - wheel->origin_ns;
    uint64_t ms = after_ns / NS_PER_MS + (after_ns % NS_PER_MS != 0);
    return ms > wheel->turned_ms ? ms : wheel->turned_ms;
}

static void insert_timer(struct wheel *wheel, uint32_t index, uint64_t ms)
{
    struct wheel_timer *timer = &wheel->timers[index];
    ASSERT(ms >= wheel->turned_ms);
    if (ms - wheel->turned_ms < SLOT_COUNT) {
        timer->due_ms = (uint32_t)ms;
        link_timer(wheel, index, (uint32_t)ms & SLOT_MASK);
        return;
    }
    uint64_t unit = ms >> UNIT_BITS;
    uint64_t unit_max = (wheel->turned_ms >> UNIT_BITS) + SLOT_MASK;
    if (unit > unit_max)
        unit = unit_max;
    timer->due_ms = (uint32_t)(unit << UNIT_BITS);
    link_timer(wheel, index, FAR_FIRST + ((uint32_t)unit & SLOT_MASK));
}

void wheel_arm(struct wheel *wheel, uint32_t timer, uint64_t due_ns)
{
    ASSERT(timer < wheel->timer_count);
    struct wheel_timer *row = &wheel->timers[timer];
    uint64_t ms = wanted_ms(wheel, due_ns);
    row->due_ns = due_ns;
    if (row->slot != 0) {
        uint32_t stands_after = row->due_ms - (uint32_t)wheel->turned_ms;
        if (ms - wheel->turned_ms >= stands_after)
            return; /* lazy: the slot will see to it */
        unlink_timer(wheel, timer);
        wheel->armed_count--;
    }
    wheel->armed_count++;
    insert_timer(wheel, timer, ms);
}

void wheel_disarm(struct wheel *wheel, uint32_t timer)
{
    ASSERT(timer < wheel->timer_count);
    if (wheel->timers[timer].slot == 0)
        return;
    unlink_timer(wheel, timer);
    wheel->armed_count--;
}

bool wheel_is_armed(const struct wheel *wheel, uint32_t timer)
{
    ASSERT(timer < wheel->timer_count);
    return wheel->timers[timer].slot != 0;
}

/* ---- turning ---- */

/* Steps from slot `from` of a level, going round, to its first occupied slot below `limit` steps;
 * `limit` when there is none. limit <= SLOT_COUNT. */
static uint32_t steps_to_occupied(const uint64_t *level, uint32_t from, uint32_t limit)
{
    uint32_t steps = 0;
    while (steps < limit) {
        uint32_t slot = (from + steps) & SLOT_MASK;
        uint64_t word = level[slot / 64] >> slot % 64;
        if (word != 0) {
            steps += (uint32_t)__builtin_ctzll(word);
            return steps < limit ? steps : limit;
        }
        steps += 64 - slot % 64;
    }
    return limit;
}

/* Moves the far slot of turned_ms into near slots; false when the bound stopped it. */
static bool empty_far_slot(struct wheel *wheel, struct turn *turn)
{
    uint32_t slot = FAR_FIRST + ((uint32_t)(wheel->turned_ms >> UNIT_BITS) & SLOT_MASK);
    while (wheel->heads[slot] != WHEEL_NONE) {
        if (turn->moves_left == 0)
            return false;
        turn->moves_left--;
        uint32_t index = wheel->heads[slot];
        unlink_timer(wheel, index);
        insert_timer(wheel, index, wanted_ms(wheel, wheel->timers[index].due_ns));
    }
    return true;
}

/* Hands out or re-inserts all timers of the near slot of turned_ms; false when a bound stopped
 * it. A timer not yet due goes to a later slot, since its instant is past now_ms >= turned_ms. */
static bool empty_near_slot(struct wheel *wheel, struct turn *turn)
{
    uint32_t slot = (uint32_t)wheel->turned_ms & SLOT_MASK;
    while (wheel->heads[slot] != WHEEL_NONE) {
        uint32_t index = wheel->heads[slot];
        uint64_t due_ns = wheel->timers[index].due_ns;
        if (due_ns <= turn->now_ns) {
            if (turn->due_count == turn->due_max)
                return false;
            unlink_timer(wheel, index);
            wheel->armed_count--;
            turn->due[turn->due_count++] = index;
            continue;
        }
        if (turn->moves_left == 0)
            return false;
        turn->moves_left--;
        unlink_timer(wheel, index);
        insert_timer(wheel, index, wanted_ms(wheel, due_ns));
    }
    return true;
}

/* One far unit, from turned_ms to its end or to now; false when the turn is over. */
static bool turn_unit(struct wheel *wheel, struct turn *turn)
{
    if (!empty_far_slot(wheel, turn))
        return false;
    uint64_t end_ms = ((wheel->turned_ms >> UNIT_BITS) + 1) << UNIT_BITS;
    uint64_t last_ms = turn->now_ms < end_ms ? turn->now_ms : end_ms - 1;
    for (;;) {
        uint32_t limit = (uint32_t)(last_ms - wheel->turned_ms) + 1;
        uint32_t steps =
            steps_to_occupied(wheel->occupied, (uint32_t)wheel->turned_ms & SLOT_MASK, limit);
        if (steps == limit)
            break;
        wheel->turned_ms += steps;
        if (!empty_near_slot(wheel, turn))
            return false;
    }
    if (turn->now_ms < end_ms) {
        wheel->turned_ms = turn->now_ms;
        return false;
    }
    wheel->turned_ms = end_ms;
    return true;
}

uint32_t wheel_turn(struct wheel *wheel, uint64_t now_ns, uint32_t *due, uint32_t max)
{
    if (now_ns < wheel->origin_ns)
        return 0;
    struct turn turn = {
        .now_ns = now_ns,
        .now_ms = (now_ns - wheel->origin_ns) / NS_PER_MS,
        .due = due,
        .due_max = max,
        .moves_left = WHEEL_MOVES_MAX,
    };
    if (turn.now_ms < wheel->turned_ms)
        return 0;
    do {
        if (wheel->armed_count == 0) {
            wheel->turned_ms = turn.now_ms;
            break;
        }
    } while (turn_unit(wheel, &turn));
    return turn.due_count;
}

uint64_t wheel_next_ns(const struct wheel *wheel)
{
    if (wheel->armed_count == 0)
        return UINT64_MAX;
    uint32_t steps =
        steps_to_occupied(wheel->occupied, (uint32_t)wheel->turned_ms & SLOT_MASK, SLOT_COUNT);
    uint64_t next_ms = steps == SLOT_COUNT ? UINT64_MAX : wheel->turned_ms + steps;

    uint64_t unit = wheel->turned_ms >> UNIT_BITS;
    steps = steps_to_occupied(wheel->occupied + WORD_COUNT, (uint32_t)unit & SLOT_MASK, SLOT_COUNT);
    if (steps != SLOT_COUNT) {
        uint64_t start_ms = (unit + steps) << UNIT_BITS;
        ASSERT(start_ms >= wheel->turned_ms); /* a turn stays at a unit's start until it is moved */
        if (start_ms < next_ms)
            next_ms = start_ms;
    }
    ASSERT(next_ms != UINT64_MAX);
    return wheel->origin_ns + next_ms * NS_PER_MS;
}
