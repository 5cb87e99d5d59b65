/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_rate.h. A cell is a virtual-scheduling bucket (tcp_limit.h) in 32 bits: it holds the
 * instant until which its prefixes have spent. A cell nobody touched for a day and a half would
 * look like the far future and is taken as now. Only the cells that decide are raised (the
 * conservative update of a count-min sketch), so that a neighbour pays for as little as can be. */
#include "tcp_rate.h"

#include "stentor/clock.h"

#include "ip.h"

#define TICKS_PER_SECOND 16000u
#define BURST_TICKS (TCP_SKETCH_BURST_SECONDS * TICKS_PER_SECOND)
#define ROWS 2u

bool tcp_budget_take(struct tcp_budget *budget, struct random *random, uint64_t now_ns,
                     uint32_t per_second)
{
    if (now_ns >= budget->renewed_at_ns) {
        budget->left = per_second / 2 + random_below(random, per_second);
        budget->renewed_at_ns = now_ns + NS_PER_SECOND / 2 + random_below(random, 1000) * NS_PER_MS;
    }
    if (budget->left == 0)
        return false;
    budget->left--;
    return true;
}

enum error tcp_sketch_init(struct tcp_sketch *sketch, struct heap *heap, struct random *random,
                           uint32_t per_second)
{
    *sketch = (struct tcp_sketch){0};
    if (per_second == 0)
        return ERROR_NONE;
    sketch->cells = heap_take_zeroed(heap, ROWS * TCP_SKETCH_CELLS * sizeof *sketch->cells);
    if (sketch->cells == NULL)
        return ERROR_NO_MEMORY;
    sketch->cost = per_second < TICKS_PER_SECOND ? TICKS_PER_SECOND / per_second : 1;
    sketch->key.k0 = random_u64(random);
    sketch->key.k1 = random_u64(random);
    return ERROR_NONE;
}

void tcp_sketch_fini(struct tcp_sketch *sketch, struct heap *heap)
{
    heap_give(heap, sketch->cells);
    sketch->cells = NULL;
}

static uint64_t hash_of(const struct tcp_sketch *sketch, const struct net_address *address)
{
    uint64_t high;
    memcpy(&high, address->octets, sizeof high);
    uint64_t low = net_address_is_ipv4(address) ? net_address_ipv4(address) : UINT64_MAX;
    return siphash_1_3_u64x2(&sketch->key, high, low);
}

/* What a cell owes at that instant. */
static uint32_t debt_of(uint32_t cell, uint32_t now)
{
    uint32_t debt = cell - now;
    return debt <= BURST_TICKS ? debt : 0;
}

bool tcp_sketch_take(struct tcp_sketch *sketch, const struct net_address *address, uint64_t now_ns)
{
    if (sketch->cost == 0)
        return true;
    uint32_t now = (uint32_t)(now_ns / (NS_PER_MS / 16));
    uint64_t hash = hash_of(sketch, address);
    uint32_t *cells[ROWS] = {
        &sketch->cells[(uint32_t)hash % TCP_SKETCH_CELLS],
        &sketch->cells[TCP_SKETCH_CELLS + (uint32_t)(hash >> 32) % TCP_SKETCH_CELLS],
    };
    uint32_t debts[ROWS] = {debt_of(*cells[0], now), debt_of(*cells[1], now)};
    uint32_t debt = debts[0] < debts[1] ? debts[0] : debts[1];
    if (debt + sketch->cost > BURST_TICKS)
        return false;
    for (uint32_t i = 0; i < ROWS; i++)
        if (debts[i] < debt + sketch->cost)
            *cells[i] = now + debt + sketch->cost;
    return true;
}
