/* SPDX-License-Identifier: Apache-2.0
 *
 * The flow table. Of the hash, the upper half picks the bucket (multiplied down to any bucket
 * count, so memory follows the number of rows and not the next power of two) and the lowest 16
 * bits are the tag. Tag 0 marks a free place; a hash that would give 0 gives 1.
 *
 * Invariant: a bucket's passed_count is the number of pairs whose way from their home bucket to
 * where they stand leads over it (home included, last excluded). */
#include "tcp_table.h"

#include <emmintrin.h>

/* Eight places a bucket, six in use. */
#define LOAD_TENTHS 6u

static_assert(offsetof(struct tcp_row, remote) == offsetof(struct tcp_key, remote), "one memcmp");
static_assert(offsetof(struct tcp_row, remote_port) == offsetof(struct tcp_key, remote_port), "");
static_assert(offsetof(struct tcp_row, local_port) == offsetof(struct tcp_key, local_port), "");
static_assert(offsetof(struct tcp_row, local) == offsetof(struct tcp_key, local), "");
static_assert(TCP_TABLE_WAYS * TCP_TABLE_PROBES_MAX < UINT16_MAX, "passed_count cannot overflow");

static uint32_t bucket_count_for(uint32_t rows_max)
{
    uint64_t places = (uint64_t)rows_max * 10 / LOAD_TENTHS;
    uint64_t count = places / TCP_TABLE_WAYS + 1;
    return count < TCP_TABLE_PROBES_MAX ? TCP_TABLE_PROBES_MAX : (uint32_t)count;
}

size_t tcp_table_bytes(uint32_t rows_max)
{
    return (size_t)bucket_count_for(rows_max) * sizeof(struct tcp_bucket) + CACHE_LINE;
}

enum error tcp_table_init(struct tcp_table *table, struct arena *arena, uint32_t rows_max,
                          const struct siphash_key *key)
{
    ASSERT(rows_max > 0);
    uint32_t count = bucket_count_for(rows_max);
    struct tcp_bucket *buckets = arena_take(arena, (size_t)count * sizeof *buckets, CACHE_LINE);
    if (buckets == NULL)
        return ERROR_NO_MEMORY;
    *table = (struct tcp_table){.buckets = buckets, .bucket_count = count, .key = *key};
    return ERROR_NONE;
}

static uint32_t home_of(const struct tcp_table *table, uint64_t hash)
{
    return (uint32_t)((hash >> 32) * table->bucket_count >> 32);
}

static uint32_t bucket_after(const struct tcp_table *table, uint32_t bucket)
{
    return bucket + 1 == table->bucket_count ? 0 : bucket + 1;
}

static uint16_t tag_of(uint64_t hash)
{
    uint16_t tag = (uint16_t)hash;
    return tag != 0 ? tag : 1;
}

/* A bit a place whose tag is that one. */
static uint32_t match_tags(const struct tcp_bucket *bucket, uint16_t tag)
{
    __m128i tags = _mm_load_si128((const __m128i *)(const void *)bucket->tags);
    __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
}

static bool row_has_key(const struct tcp_row *row, const struct tcp_key *key)
{
    return memcmp(row, key, sizeof *key) == 0;
}

uint32_t tcp_table_find(const struct tcp_table *table, const struct tcp_row *rows, uint64_t hash,
                        const struct tcp_key *key)
{
    uint16_t tag = tag_of(hash);
    uint32_t at = home_of(table, hash);
    for (uint32_t probe = 0; probe < TCP_TABLE_PROBES_MAX; probe++) {
        const struct tcp_bucket *bucket = &table->buckets[at];
        for (uint32_t match = match_tags(bucket, tag); match != 0; match &= match - 1) {
            uint32_t row = bucket->rows[__builtin_ctz(match)];
            if (IS_LIKELY(row_has_key(&rows[row], key)))
                return row;
        }
        if (IS_LIKELY(bucket->passed_count == 0))
            return POOL_NONE;
        at = bucket_after(table, at);
    }
    return POOL_NONE;
}

void tcp_table_find_batch(const struct tcp_table *table, const struct tcp_row *rows,
                          struct tcp_lookup *lookups, uint32_t count)
{
    ASSERT(count <= TCP_TABLE_BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        lookups[i].hash = tcp_table_hash(table, &lookups[i].key);
        __builtin_prefetch(&table->buckets[home_of(table, lookups[i].hash)]);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct tcp_bucket *bucket = &table->buckets[home_of(table, lookups[i].hash)];
        uint32_t match = match_tags(bucket, tag_of(lookups[i].hash));
        if (IS_LIKELY(match != 0))
            __builtin_prefetch(&rows[bucket->rows[__builtin_ctz(match)]]);
        else if (bucket->passed_count != 0)
            __builtin_prefetch(bucket + 1); /* past the last bucket: harmless */
    }
    for (uint32_t i = 0; i < count; i++)
        lookups[i].found = tcp_table_find(table, rows, lookups[i].hash, &lookups[i].key);
}

static void put_pair(struct tcp_table *table, struct tcp_bucket *bucket, uint16_t tag, uint32_t row)
{
    uint32_t place = (uint32_t)__builtin_ctz(match_tags(bucket, 0));
    bucket->tags[place] = tag;
    bucket->rows[place] = row;
    table->used++;
    table->changes++;
}

/* Counts a pair that stands `passed` buckets after its home in (step 1) or out (step -1). */
static void count_passed(struct tcp_table *table, uint32_t home, uint32_t passed, int step)
{
    uint32_t at = home;
    for (uint32_t i = 0; i < passed; i++) {
        uint16_t *count = &table->buckets[at].passed_count;
        ASSERT(step > 0 || *count > 0);
        *count = (uint16_t)(*count + step);
        at = bucket_after(table, at);
    }
}

bool tcp_table_insert(struct tcp_table *table, uint64_t hash, uint32_t row)
{
    uint32_t home = home_of(table, hash);
    uint32_t at = home;
    for (uint32_t probe = 0; probe < TCP_TABLE_PROBES_MAX; probe++) {
        if (match_tags(&table->buckets[at], 0) != 0) {
            put_pair(table, &table->buckets[at], tag_of(hash), row);
            count_passed(table, home, probe, 1);
            return true;
        }
        at = bucket_after(table, at);
    }
    return false;
}

/* Frees the pair's place if it stands in this bucket. */
static bool free_pair(struct tcp_bucket *bucket, uint16_t tag, uint32_t row)
{
    for (uint32_t match = match_tags(bucket, tag); match != 0; match &= match - 1) {
        uint32_t place = (uint32_t)__builtin_ctz(match);
        if (bucket->rows[place] != row)
            continue;
        bucket->tags[place] = 0;
        return true;
    }
    return false;
}

void tcp_table_remove(struct tcp_table *table, uint64_t hash, uint32_t row)
{
    uint32_t home = home_of(table, hash);
    uint32_t at = home;
    uint32_t passed = 0;
    while (!free_pair(&table->buckets[at], tag_of(hash), row)) {
        at = bucket_after(table, at);
        passed++;
        ASSERT(passed < TCP_TABLE_PROBES_MAX); /* else it was not in the table */
    }
    count_passed(table, home, passed, -1);
    table->used--;
    table->changes++;
}

/* How many pairs pass that bucket, by looking at every pair that could. */
static uint32_t count_passing(const struct tcp_table *table, uint32_t bucket,
                              const uint64_t *hash_of_row)
{
    uint32_t count = 0;
    uint32_t at = bucket_after(table, bucket);
    for (uint32_t distance = 1; distance < TCP_TABLE_PROBES_MAX; distance++) {
        for (uint32_t way = 0; way < TCP_TABLE_WAYS; way++) {
            if (table->buckets[at].tags[way] == 0)
                continue;
            uint32_t home = home_of(table, hash_of_row[table->buckets[at].rows[way]]);
            uint32_t travelled = (at + table->bucket_count - home) % table->bucket_count;
            count += travelled >= distance;
        }
        at = bucket_after(table, at);
    }
    return count;
}

bool tcp_table_is_valid(const struct tcp_table *table, const uint64_t *hash_of_row)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < table->bucket_count; i++) {
        const struct tcp_bucket *bucket = &table->buckets[i];
        for (uint32_t way = 0; way < TCP_TABLE_WAYS; way++) {
            if (bucket->tags[way] == 0)
                continue;
            used++;
            if (bucket->tags[way] != tag_of(hash_of_row[bucket->rows[way]]))
                return false;
        }
        if (bucket->passed_count != count_passing(table, i, hash_of_row))
            return false;
    }
    return used == table->used;
}
