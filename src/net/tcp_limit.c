/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts by address, with the buckets and the passing-on of tcp_table.c but no rows behind them:
 * the address stands in the bucket. rate_limit is the virtual-scheduling form of a token bucket
 * (GCRA): one instant instead of a token count, and no division when asked. */
#include "tcp_limit.h"

#include "ip.h"

/* Ten places a bucket, three quarters in use: a run of 64 full buckets comes by chance once in 10^5
 * tables of ten million addresses. */
#define LOAD_PERCENT 75u
#define PLACE_NONE TCP_LIMIT_WAYS

static uint32_t bucket_count_for(uint32_t rows_max)
{
    uint64_t places = (uint64_t)rows_max * 100 / LOAD_PERCENT;
    uint64_t count = places / TCP_LIMIT_WAYS + 1;
    return count < TCP_LIMIT_PROBES_MAX ? TCP_LIMIT_PROBES_MAX : (uint32_t)count;
}

size_t tcp_limit_bytes(uint32_t rows_max)
{
    return (size_t)bucket_count_for(rows_max) * sizeof(struct tcp_limit_bucket) + CACHE_LINE;
}

enum error tcp_limit_init(struct tcp_limit *limit, struct arena *arena, uint32_t rows_max,
                          const struct siphash_key *key)
{
    ASSERT(rows_max > 0);
    uint32_t count = bucket_count_for(rows_max);
    struct tcp_limit_bucket *buckets =
        arena_take(arena, (size_t)count * sizeof *buckets, CACHE_LINE);
    if (buckets == NULL)
        return ERROR_NO_MEMORY;
    *limit = (struct tcp_limit){.buckets = buckets,
                                .bucket_count = count,
                                .connections_max = TCP_LIMIT_COUNT_MAX,
                                .key = *key};
    return ERROR_NONE;
}

/* Where an address stands, and how far from home. */
struct place {
    struct tcp_limit_bucket *bucket;
    uint32_t way; /* PLACE_NONE = not in the table */
    uint32_t home;
    uint32_t passed;
};

#define PREFIX_NAMES 0xe0000000u
#define PREFIX_DOMAIN (UINT64_C(0x7036) << 48)

static uint32_t name_of(const struct tcp_limit *limit, const struct net_address *address)
{
    if (IS_LIKELY(net_address_is_ipv4(address)))
        return net_address_ipv4(address);
    uint64_t hash = siphash_1_3_u64x2(&limit->key, net_address_word(address, 0), PREFIX_DOMAIN);
    return PREFIX_NAMES | (uint32_t)hash;
}

static uint32_t home_of(const struct tcp_limit *limit, uint32_t address)
{
    uint64_t hash = siphash_1_3_u64x2(&limit->key, address, 0);
    return (uint32_t)((hash >> 32) * limit->bucket_count >> 32);
}

static struct tcp_limit_bucket *bucket_at(const struct tcp_limit *limit, uint32_t home,
                                          uint32_t passed)
{
    uint32_t at = home + passed;
    return &limit->buckets[at < limit->bucket_count ? at : at - limit->bucket_count];
}

static uint32_t way_of(const struct tcp_limit_bucket *bucket, uint32_t address)
{
    for (uint32_t way = 0; way < TCP_LIMIT_WAYS; way++)
        if (bucket->addresses[way] == address && bucket->counts[way] != 0)
            return way;
    return PLACE_NONE;
}

static uint32_t way_free(const struct tcp_limit_bucket *bucket)
{
    for (uint32_t way = 0; way < TCP_LIMIT_WAYS; way++)
        if (bucket->counts[way] == 0)
            return way;
    return PLACE_NONE;
}

static struct place find(const struct tcp_limit *limit, uint32_t address)
{
    struct place place = {.home = home_of(limit, address), .way = PLACE_NONE};
    for (; place.passed < TCP_LIMIT_PROBES_MAX; place.passed++) {
        place.bucket = bucket_at(limit, place.home, place.passed);
        place.way = way_of(place.bucket, address);
        if (place.way != PLACE_NONE || place.bucket->passed_count == 0)
            return place;
    }
    return place;
}

static void count_passed(struct tcp_limit *limit, const struct place *place, int step)
{
    for (uint32_t i = 0; i < place->passed; i++) {
        struct tcp_limit_bucket *bucket = bucket_at(limit, place->home, i);
        ASSERT(step > 0 || bucket->passed_count > 0);
        bucket->passed_count = (uint16_t)(bucket->passed_count + step);
    }
}

static enum tcp_limit_verdict enter(struct tcp_limit *limit, uint32_t address)
{
    struct place place = {.home = home_of(limit, address)};
    for (; place.passed < TCP_LIMIT_PROBES_MAX; place.passed++) {
        place.bucket = bucket_at(limit, place.home, place.passed);
        place.way = way_free(place.bucket);
        if (place.way == PLACE_NONE)
            continue;
        place.bucket->addresses[place.way] = address;
        place.bucket->counts[place.way] = 1;
        count_passed(limit, &place, 1);
        limit->address_count++;
        return TCP_LIMIT_COUNTED;
    }
    return TCP_LIMIT_TABLE_FULL;
}

enum tcp_limit_verdict tcp_limit_add(struct tcp_limit *limit, const struct net_address *address)
{
    uint32_t number = name_of(limit, address);
    struct place place = find(limit, number);
    if (place.way == PLACE_NONE)
        return limit->connections_max == 0 ? TCP_LIMIT_REACHED : enter(limit, number);
    uint16_t *count = &place.bucket->counts[place.way];
    if (*count >= limit->connections_max || *count == TCP_LIMIT_COUNT_MAX)
        return TCP_LIMIT_REACHED;
    (*count)++;
    return TCP_LIMIT_COUNTED;
}

void tcp_limit_remove(struct tcp_limit *limit, const struct net_address *address)
{
    struct place place = find(limit, name_of(limit, address));
    ASSERT(place.way != PLACE_NONE);
    if (--place.bucket->counts[place.way] != 0)
        return;
    count_passed(limit, &place, -1);
    limit->address_count--;
}

uint32_t tcp_limit_count(const struct tcp_limit *limit, const struct net_address *address)
{
    struct place place = find(limit, name_of(limit, address));
    return place.way == PLACE_NONE ? 0 : place.bucket->counts[place.way];
}

void rate_limit_init(struct rate_limit *rate, uint32_t per_second, uint32_t burst)
{
    ASSERT(per_second > 0);
    ASSERT(burst > 0);
    uint64_t interval_ns = UINT64_C(1000000000) / per_second;
    *rate = (struct rate_limit){.interval_ns = interval_ns, .burst_ns = interval_ns * burst};
}

static uint64_t spent_after_one(const struct rate_limit *rate, uint64_t now_ns)
{
    uint64_t start_ns = rate->spent_until_ns > now_ns ? rate->spent_until_ns : now_ns;
    return start_ns + rate->interval_ns;
}

bool rate_limit_has(const struct rate_limit *rate, uint64_t now_ns)
{
    return spent_after_one(rate, now_ns) - now_ns <= rate->burst_ns;
}

bool rate_limit_take(struct rate_limit *rate, uint64_t now_ns)
{
    if (!rate_limit_has(rate, now_ns))
        return false;
    rate->spent_until_ns = spent_after_one(rate, now_ns);
    return true;
}
