/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may have how much: connections from one address, and rates of what costs us or helps an
 * attacker (accepts, resets, ICMP replies). Addresses are counted in buckets of one cache line with
 * the passing-on rule of tcp_table.h, keyed like it; an address with no connection costs nothing. A
 * count goes to 65,535, more than the ports of one address. Owner: one worker.
 *
 * What is counted is a name of 32 bits. An IPv4 address is its own name, so its count is exact. Of
 * an IPv6 address the first 64 bits count, for whoever has one address of a /64 has all of them;
 * they are named by a keyed fingerprint of 29 bits in 0xE0000000 to 0xFFFFFFFF, which no IPv4 host
 * can have (multicast, reserved and broadcast: ip4.c drops them as sources). Two prefixes in half a
 * billion share a name and then a limit; nobody outside can make them. */
#ifndef STENTOR_NET_TCP_LIMIT_H
#define STENTOR_NET_TCP_LIMIT_H

#include "stentor/arena.h"
#include "stentor/net.h"
#include "stentor/siphash.h"

#define TCP_LIMIT_WAYS 10u
#define TCP_LIMIT_PROBES_MAX 64u
#define TCP_LIMIT_COUNT_MAX 65535u

struct tcp_limit_bucket {
    uint32_t addresses[TCP_LIMIT_WAYS]; /* names */
    uint16_t counts[TCP_LIMIT_WAYS];    /* 0 = free */
    uint16_t passed_count;
    uint16_t spare;
};
static_assert(sizeof(struct tcp_limit_bucket) == CACHE_LINE, "one line a bucket");

struct tcp_limit {
    struct tcp_limit_bucket *buckets;
    uint32_t bucket_count;
    uint32_t address_count;
    uint32_t connections_max; /* from one IPv4 address or IPv6 /64 */
    struct siphash_key key;
};

enum tcp_limit_verdict { TCP_LIMIT_COUNTED, TCP_LIMIT_REACHED, TCP_LIMIT_TABLE_FULL };

size_t tcp_limit_bytes(uint32_t rows_max);
MUST_USE enum error tcp_limit_init(struct tcp_limit *limit, struct arena *arena, uint32_t rows_max,
                                   const struct siphash_key *key);
/* One more connection of that address, if it may. */
MUST_USE enum tcp_limit_verdict tcp_limit_add(struct tcp_limit *limit,
                                              const struct net_address *address);
/* One connection of that address, counted before, is gone. */
void tcp_limit_remove(struct tcp_limit *limit, const struct net_address *address);
uint32_t tcp_limit_count(const struct tcp_limit *limit, const struct net_address *address);

/* ---- rates ---- */

/* At most `per_second` on average and `burst` at once. */
struct rate_limit {
    uint64_t interval_ns; /* one permission */
    uint64_t burst_ns;
    uint64_t spent_until_ns; /* when all permissions taken so far are paid for */
};

void rate_limit_init(struct rate_limit *rate, uint32_t per_second, uint32_t burst);
/* Takes a permission if there is one. */
MUST_USE bool rate_limit_take(struct rate_limit *rate, uint64_t now_ns);
/* Is there one? Takes nothing. */
bool rate_limit_has(const struct rate_limit *rate, uint64_t now_ns);

#endif
