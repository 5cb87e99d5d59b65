/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is where: the home worker of a bare JID knows its sessions, on whichever worker they live.
 * home = registry_home(hash, workers); hash = keyed SipHash-1-3 of the prepared local part (one
 * domain a server for now), the same key on every worker.
 *
 * A bucket is one cache line: five entries of 12 octets and a word of marks; a bucket that is full
 * spills into the next, with a count of what passed by, as in the flow table. The upper half of the
 * hash picks the home worker, the lower half the bucket there; 24 bits of the upper half stand in
 * the entry and the session's worker verifies the names, so a false match is found out and counted
 * there, never delivered. Owner: the home worker. At load 0.7, 18.3 octets an entry. */
#ifndef STENTOR_REGISTRY_H
#define STENTOR_REGISTRY_H

#include "stentor/arena.h"
#include "stentor/metrics.h"
#include "stentor/pool.h"
#include "stentor/siphash.h"

#define REGISTRY_MATCHES_MAX 128u

struct registry; /* opaque, in the arena */

struct registry_entry {
    struct handle session;
    int8_t priority;
    uint8_t resource_tag; /* 8 bits of the resource's hash */
    bool is_available;
};

size_t registry_arena_bytes(uint32_t count);
MUST_USE enum error registry_init(struct registry **registry, struct arena *arena, uint32_t count);

uint64_t registry_hash(const struct siphash_key *key, struct bytes local);
uint8_t registry_resource_tag(const struct siphash_key *key, struct bytes resource);
static inline uint8_t registry_home(uint64_t hash, uint32_t worker_count)
{
    return (uint8_t)(((hash >> 32) * worker_count) >> 32);
}

/* ERROR_POOL_EMPTY when the neighbourhood is full, ERROR_EXISTS for the same session. */
MUST_USE enum error registry_add(struct registry *registry, uint64_t hash,
                                 const struct registry_entry *entry);
/* Compares session handle, generation included: removing an older session never removes a newer
 * (androidpn's lost-session bug). False when it was not there. */
bool registry_remove(struct registry *registry, uint64_t hash, struct handle session);
/* Sets availability and priority; false when it was not there. */
bool registry_update(struct registry *registry, uint64_t hash, const struct registry_entry *entry);
/* All sessions of the hash, at most max; returns how many. The order stands while nothing is added
 * or removed. A stranger may be among them, once in some millions of calls. */
uint32_t registry_find(const struct registry *registry, uint64_t hash,
                       struct registry_entry *found, uint32_t max);
void registry_prefetch(const struct registry *registry, uint64_t hash);
uint32_t registry_count(const struct registry *registry);
/* Sets the REGISTRY_* rows. */
void registry_set_metrics(const struct registry *registry, struct metrics *metrics);
/* Walks everything: counts and marks add up. For tests; slow. */
bool registry_is_valid(const struct registry *registry);

#endif
