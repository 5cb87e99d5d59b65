/* SPDX-License-Identifier: Apache-2.0
 *
 * Rates that strangers can drive, in constant memory.
 *
 * A budget is the answer to CVE-2016-5696: a limit shared by all connections tells somebody who
 * can count its answers what happens on the connections of others, unless its size and its
 * instants cannot be foretold.
 *
 * A sketch limits accepts by prefix (an IPv4 address, the /64 of an IPv6 one) however many there
 * are: each prefix falls on a cell in each of two rows, by a keyed hash, and is as guilty as the
 * less guilty of them. A prefix of its own is held to the rate exactly; one that shares both cells
 * with an attacker's may be refused with it, which for a thousand attackers befalls one in 270.
 * Owner: one worker. */
#ifndef STENTOR_NET_TCP_RATE_H
#define STENTOR_NET_TCP_RATE_H

#include "stentor/heap.h"
#include "stentor/net.h"

#define TCP_CHALLENGES_PER_SECOND 1000u /* on average */
#define TCP_SKETCH_CELLS 16384u         /* a row; a power of two */
#define TCP_SKETCH_BURST_SECONDS 2u

struct tcp_budget {
    uint64_t renewed_at_ns; /* when it is next drawn anew */
    uint32_t left;
};

/* Takes one of about `per_second`: half to one and a half of it, drawn at random for a time of
 * half to one and a half second, drawn at random. */
MUST_USE bool tcp_budget_take(struct tcp_budget *budget, struct random *random, uint64_t now_ns,
                              uint32_t per_second);

struct tcp_sketch {
    uint32_t *cells; /* two rows; when what was taken is paid for, in 1/16 ms, wrapping */
    uint32_t cost;   /* of one, 1/16 ms; 0 = no limit */
    struct siphash_key key;
};

/* per_second 0 = no limit, and no memory. */
MUST_USE enum error tcp_sketch_init(struct tcp_sketch *sketch, struct heap *heap,
                                    struct random *random, uint32_t per_second);
void tcp_sketch_fini(struct tcp_sketch *sketch, struct heap *heap);
/* One more from that address's prefix, if it may. */
MUST_USE bool tcp_sketch_take(struct tcp_sketch *sketch, const struct net_address *address,
                              uint64_t now_ns);

#endif
