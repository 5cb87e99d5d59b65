/* SPDX-License-Identifier: Apache-2.0
 *
 * From address and ports to the row of a connection. Buckets of one cache line hold eight pairs of
 * a 16-bit tag and a row index; the key itself is verified in struct tcp_row, so a lookup touches
 * two lines: bucket and row. A pair that finds its home bucket full goes into the next bucket with
 * room, and every bucket it passed counts it; a lookup goes on to the next bucket only where that
 * count is not zero, so removals need no tombstones. At the load the table is sized for (0.6) one
 * bucket in fifteen passes anything on. A neighbourhood full over TCP_TABLE_PROBES_MAX buckets
 * refuses: by chance, with ten million rows, once in about 10^7 tables.
 *
 * The hash is SipHash-1-3 under a key of this boot: nobody outside can aim at a bucket. Owner: one
 * worker. */
#ifndef STENTOR_NET_TCP_TABLE_H
#define STENTOR_NET_TCP_TABLE_H

#include "stentor/arena.h"
#include "stentor/siphash.h"

#include "tcp_row.h"
#include "tcp_segment.h"

#define TCP_TABLE_WAYS 8u
#define TCP_TABLE_PROBES_MAX 32u
#define TCP_TABLE_BATCH_MAX 32u

struct tcp_bucket {
    uint16_t tags[TCP_TABLE_WAYS]; /* 0 = free */
    uint32_t rows[TCP_TABLE_WAYS];
    uint16_t passed_count; /* pairs that wanted this bucket or one before and stand further on */
    uint8_t spare[14];
};
static_assert(sizeof(struct tcp_bucket) == CACHE_LINE, "one line a bucket");

struct tcp_table {
    struct tcp_bucket *buckets;
    uint32_t bucket_count;
    uint32_t used;
    uint32_t changes; /* rises with each insert and remove: what was found is good meanwhile */
    struct siphash_key key;
};

struct tcp_lookup {
    struct tcp_key key;
    uint64_t hash;  /* set by the batch */
    uint32_t found; /* set by the batch: row or POOL_NONE */
};

/* Octets of arena for rows_max connections at the design load. */
size_t tcp_table_bytes(uint32_t rows_max);
MUST_USE enum error tcp_table_init(struct tcp_table *table, struct arena *arena, uint32_t rows_max,
                                   const struct siphash_key *key);

/* IPv4 addresses, of which the first half is zero, take the short way. */
static inline uint64_t tcp_table_hash(const struct tcp_table *table, const struct tcp_key *key)
{
    uint64_t high;
    uint64_t low;
    memcpy(&high, key->remote.octets, sizeof high);
    memcpy(&low, key->remote.octets + sizeof high, sizeof low);
    uint64_t ports =
        (uint64_t)key->local << 32 | (uint32_t)key->remote_port << 16 | key->local_port;
    if (IS_UNLIKELY(high != 0))
        ports ^= siphash_1_3_u64x2(&table->key, high, low) << 32;
    return siphash_1_3_u64x2(&table->key, high ^ low, ports);
}

/* The row of that connection, or POOL_NONE. */
uint32_t tcp_table_find(const struct tcp_table *table, const struct tcp_row *rows, uint64_t hash,
                        const struct tcp_key *key);
/* As tcp_table_find for up to TCP_TABLE_BATCH_MAX keys at once: all buckets are fetched, then all
 * rows, then keys are compared, so that the misses overlap. */
void tcp_table_find_batch(const struct tcp_table *table, const struct tcp_row *rows,
                          struct tcp_lookup *lookups, uint32_t count);
/* The key must not be in the table. False when its neighbourhood is full. */
MUST_USE bool tcp_table_insert(struct tcp_table *table, uint64_t hash, uint32_t row);
/* The pair must be in the table. */
void tcp_table_remove(struct tcp_table *table, uint64_t hash, uint32_t row);
/* Walks everything: counts and passed counts add up, no row twice. For ASSERT_SLOW and tests.
 * hash_of_row[i] is the hash row i was inserted under. */
bool tcp_table_is_valid(const struct tcp_table *table, const uint64_t *hash_of_row);

static inline struct tcp_key tcp_row_key(const struct tcp_row *row)
{
    return (struct tcp_key){row->remote, row->remote_port, row->local_port, row->local};
}

#endif
