/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry of a home worker. The lower half of the hash picks the home bucket by multiplying
 * down, so memory follows the count and not the next power of two; the upper half picked this
 * worker already, so its high bits are alike here and its low 24 are the tag.
 *
 * A word of marks a bucket:  passed by (22 bits) | available (5) | in use (5)
 *
 * Invariant: a bucket's passed_count is the number of entries whose way from their home bucket to
 * where they stand leads over it (home included, last excluded). */
#include "stentor/registry.h"

#define WAYS 5u
#define IN_USE_BIT(way) (1u << (way))
#define IN_USE_ALL ((1u << WAYS) - 1u)
#define AVAILABLE_BIT(way) (1u << (WAYS + (way)))
#define PASSED_SHIFT (2u * WAYS)
#define PASSED_ONE (1u << PASSED_SHIFT)
/* Twice what REGISTRY_MATCHES_MAX sessions of one account need when they stand alone. */
#define PROBES_MAX 64u
#define LOAD_TENTHS 7u

struct registry_place {
    uint32_t index; /* of the session's connection row */
    uint32_t tags;  /* hash tag << 8 | resource tag */
    uint16_t generation;
    uint8_t worker;
    int8_t priority;
};
static_assert(sizeof(struct registry_place) == 12, "five and the marks fill a line");

struct registry_bucket {
    struct registry_place places[WAYS];
    uint32_t marks;
};
static_assert(sizeof(struct registry_bucket) == CACHE_LINE, "one line a bucket");
static_assert((uint64_t)WAYS * PROBES_MAX < UINT32_MAX >> PASSED_SHIFT, "passed cannot overflow");
static_assert((size_t)WAYS * PROBES_MAX > 2 * REGISTRY_MATCHES_MAX, "one account fits twice");

struct registry {
    uint32_t bucket_count;
    uint32_t used;
    uint64_t refused_count;
    uint64_t moved_count;  /* entries ever put outside their home bucket */
    uint64_t passed_total; /* of all buckets, now */
    uint64_t spare[4];
    struct registry_bucket buckets[];
};
static_assert(offsetof(struct registry, buckets) == CACHE_LINE, "buckets start on a line");

static uint32_t bucket_count_for(uint32_t count)
{
    uint64_t places = (uint64_t)count * 10 / LOAD_TENTHS;
    uint64_t buckets = places / WAYS + 1;
    return buckets < PROBES_MAX ? PROBES_MAX : (uint32_t)buckets;
}

static size_t registry_bytes(uint32_t count)
{
    return sizeof(struct registry) +
           (size_t)bucket_count_for(count) * sizeof(struct registry_bucket);
}

size_t registry_arena_bytes(uint32_t count)
{
    return registry_bytes(count) + CACHE_LINE;
}

enum error registry_init(struct registry **registry, struct arena *arena, uint32_t count)
{
    ASSERT(count > 0);
    *registry = arena_take(arena, registry_bytes(count), CACHE_LINE);
    if (*registry == NULL)
        return ERROR_NO_MEMORY;
    (*registry)->bucket_count = bucket_count_for(count);
    return ERROR_NONE;
}

uint64_t registry_hash(const struct siphash_key *key, struct bytes local)
{
    return siphash_1_3(key, local);
}

uint8_t registry_resource_tag(const struct siphash_key *key, struct bytes resource)
{
    return (uint8_t)(siphash_1_3(key, resource) >> 56);
}

static uint32_t bucket_home(const struct registry *registry, uint64_t hash)
{
    return (uint32_t)((uint64_t)(uint32_t)hash * registry->bucket_count >> 32);
}

static uint32_t bucket_after(const struct registry *registry, uint32_t bucket)
{
    return bucket + 1 == registry->bucket_count ? 0 : bucket + 1;
}

static uint32_t hash_tag(uint64_t hash)
{
    return (uint32_t)(hash >> 32) & 0xffffffu;
}

static bool place_is_of(const struct registry_bucket *bucket, uint32_t way, uint32_t tag)
{
    return (bucket->marks & IN_USE_BIT(way)) != 0 && bucket->places[way].tags >> 8 == tag;
}

static struct handle place_session(const struct registry_place *place)
{
    return handle_of(place->worker, place->generation, place->index);
}

/* Where an entry stands. */
struct found_place {
    uint32_t bucket; /* POOL_NONE: nowhere */
    uint32_t way;
    uint32_t passed; /* buckets between its home and its own */
};

static struct found_place find_place(const struct registry *registry, uint64_t hash,
                                     struct handle session)
{
    uint32_t at = bucket_home(registry, hash);
    for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
        const struct registry_bucket *bucket = &registry->buckets[at];
        for (uint32_t way = 0; way < WAYS; way++) {
            if (place_is_of(bucket, way, hash_tag(hash)) &&
                place_session(&bucket->places[way]).value == session.value)
                return (struct found_place){at, way, probe};
        }
        if (bucket->marks < PASSED_ONE)
            break;
        at = bucket_after(registry, at);
    }
    return (struct found_place){.bucket = POOL_NONE};
}

static void set_available(struct registry_bucket *bucket, uint32_t way, bool is_available)
{
    bucket->marks &= ~AVAILABLE_BIT(way);
    if (is_available)
        bucket->marks |= AVAILABLE_BIT(way);
}

static void put_entry(struct registry_bucket *bucket, uint64_t hash,
                      const struct registry_entry *entry)
{
    uint32_t way = (uint32_t)__builtin_ctz(~bucket->marks & IN_USE_ALL);
    bucket->places[way] = (struct registry_place){
        .index = handle_index(entry->session),
        .tags = hash_tag(hash) << 8 | entry->resource_tag,
        .generation = handle_generation(entry->session),
        .worker = handle_worker(entry->session),
        .priority = entry->priority,
    };
    bucket->marks |= IN_USE_BIT(way);
    set_available(bucket, way, entry->is_available);
}

enum error registry_add(struct registry *registry, uint64_t hash,
                        const struct registry_entry *entry)
{
    ASSERT(!handle_is_none(entry->session));
    if (find_place(registry, hash, entry->session).bucket != POOL_NONE)
        return ERROR_EXISTS;
    uint32_t home = bucket_home(registry, hash);
    uint32_t at = home;
    uint32_t passed = 0;
    while ((registry->buckets[at].marks & IN_USE_ALL) == IN_USE_ALL) {
        if (++passed == PROBES_MAX) {
            registry->refused_count++;
            return ERROR_POOL_EMPTY;
        }
        at = bucket_after(registry, at);
    }
    put_entry(&registry->buckets[at], hash, entry);
    registry->used++;
    registry->moved_count += passed != 0;
    registry->passed_total += passed;
    for (at = home; passed > 0; passed--) {
        registry->buckets[at].marks += PASSED_ONE;
        at = bucket_after(registry, at);
    }
    return ERROR_NONE;
}

bool registry_remove(struct registry *registry, uint64_t hash, struct handle session)
{
    struct found_place found = find_place(registry, hash, session);
    if (found.bucket == POOL_NONE)
        return false;
    struct registry_bucket *bucket = &registry->buckets[found.bucket];
    bucket->marks &= ~(IN_USE_BIT(found.way) | AVAILABLE_BIT(found.way));
    bucket->places[found.way] = (struct registry_place){0};
    uint32_t at = bucket_home(registry, hash);
    for (uint32_t i = 0; i < found.passed; i++) {
        ASSERT(registry->buckets[at].marks >= PASSED_ONE);
        registry->buckets[at].marks -= PASSED_ONE;
        at = bucket_after(registry, at);
    }
    registry->passed_total -= found.passed;
    registry->used--;
    return true;
}

bool registry_update(struct registry *registry, uint64_t hash, const struct registry_entry *entry)
{
    struct found_place found = find_place(registry, hash, entry->session);
    if (found.bucket == POOL_NONE)
        return false;
    struct registry_bucket *bucket = &registry->buckets[found.bucket];
    bucket->places[found.way].priority = entry->priority;
    set_available(bucket, found.way, entry->is_available);
    return true;
}

static struct registry_entry entry_at(const struct registry_bucket *bucket, uint32_t way)
{
    const struct registry_place *place = &bucket->places[way];
    return (struct registry_entry){
        .session = place_session(place),
        .priority = place->priority,
        .resource_tag = (uint8_t)place->tags,
        .is_available = (bucket->marks & AVAILABLE_BIT(way)) != 0,
    };
}

uint32_t registry_find(const struct registry *registry, uint64_t hash, struct registry_entry *found,
                       uint32_t max)
{
    uint32_t count = 0;
    uint32_t at = bucket_home(registry, hash);
    for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
        const struct registry_bucket *bucket = &registry->buckets[at];
        for (uint32_t way = 0; way < WAYS; way++) {
            if (!place_is_of(bucket, way, hash_tag(hash)))
                continue;
            if (count == max)
                return count;
            found[count++] = entry_at(bucket, way);
        }
        if (IS_LIKELY(bucket->marks < PASSED_ONE))
            break;
        at = bucket_after(registry, at);
    }
    return count;
}

void registry_prefetch(const struct registry *registry, uint64_t hash)
{
    __builtin_prefetch(&registry->buckets[bucket_home(registry, hash)]);
}

uint32_t registry_count(const struct registry *registry)
{
    return registry->used;
}

void registry_set_metrics(const struct registry *registry, struct metrics *metrics)
{
    metric_set(metrics, METRIC_REGISTRY_ENTRIES, registry->used);
    metric_set(metrics, METRIC_REGISTRY_MOVED, (int64_t)registry->moved_count);
    metric_set(metrics, METRIC_REGISTRY_REFUSED, (int64_t)registry->refused_count);
}

bool registry_is_valid(const struct registry *registry)
{
    uint32_t used = 0;
    uint64_t passed_total = 0;
    for (uint32_t i = 0; i < registry->bucket_count; i++) {
        const struct registry_bucket *bucket = &registry->buckets[i];
        uint32_t in_use = bucket->marks & IN_USE_ALL;
        uint32_t available = bucket->marks >> WAYS & IN_USE_ALL;
        if ((available & ~in_use) != 0)
            return false;
        used += (uint32_t)__builtin_popcount(in_use);
        passed_total += bucket->marks >> PASSED_SHIFT;
        for (uint32_t way = 0; way < WAYS; way++) {
            bool is_set = !handle_is_none(place_session(&bucket->places[way]));
            if (is_set != ((in_use & IN_USE_BIT(way)) != 0))
                return false;
        }
    }
    return used == registry->used && passed_total == registry->passed_total;
}
