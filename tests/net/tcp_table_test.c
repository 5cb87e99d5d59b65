/* SPDX-License-Identifier: Apache-2.0
 *
 * The flow table against a list that is searched from end to end, with honest keys and with hashes
 * chosen to collide in bucket and tag, which the keyed hash keeps anybody from doing outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"

#include "frames.h"
#include "tcp_table.h"

#define ROWS_MAX 2000u

struct fixture {
    struct arena arena;
    struct tcp_table table;
    struct tcp_row rows[ROWS_MAX];
    uint64_t hashes[ROWS_MAX];
    bool is_in[ROWS_MAX];
    struct random random;
};

static struct fixture fixture;

static int set_up(void **state)
{
    (void)state;
    memset(&fixture, 0, sizeof fixture);
    random_init_seed(&fixture.random, 42);
    if (arena_create(&fixture.arena, "test", 1u << 20, ARENA_PAGES_SMALL) != ERROR_NONE)
        return 1;
    struct siphash_key key = {1, 2};
    return tcp_table_init(&fixture.table, &fixture.arena, ROWS_MAX, &key) != ERROR_NONE;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(&fixture.arena);
    return 0;
}

static struct tcp_key key_of(uint32_t number)
{
    return (struct tcp_key){net_address_of_ipv4(0x0a000000u + number / 3),
                            (uint16_t)(1024 + number % 3), 5222};
}

static void set_row(uint32_t row, const struct tcp_key *key, uint64_t hash)
{
    fixture.rows[row].remote = key->remote;
    fixture.rows[row].remote_port = key->remote_port;
    fixture.rows[row].local_port = key->local_port;
    fixture.hashes[row] = hash;
}

static void check_all(void)
{
    assert_true(tcp_table_is_valid(&fixture.table, fixture.hashes));
    for (uint32_t row = 0; row < ROWS_MAX; row++) {
        struct tcp_key key = tcp_row_key(&fixture.rows[row]);
        uint32_t found = tcp_table_find(&fixture.table, fixture.rows, fixture.hashes[row], &key);
        assert_int_equal(found, fixture.is_in[row] ? row : POOL_NONE);
    }
}

static void toggle(uint32_t row)
{
    if (fixture.is_in[row])
        tcp_table_remove(&fixture.table, fixture.hashes[row], row);
    else if (!tcp_table_insert(&fixture.table, fixture.hashes[row], row))
        return; /* refused: it stays out */
    fixture.is_in[row] = !fixture.is_in[row];
}

/* Rows in any order in and out, real hashes: what is in is found, what is out is not. */
static void agrees_with_a_list(void **state)
{
    (void)state;
    for (uint32_t row = 0; row < ROWS_MAX; row++) {
        struct tcp_key key = key_of(row);
        set_row(row, &key, tcp_table_hash(&fixture.table, &key));
    }
    for (uint32_t step = 0; step < 200000; step++) {
        toggle(random_below(&fixture.random, ROWS_MAX));
        if (step % 20000 == 0)
            check_all();
    }
    check_all();
}

/* At its design load the table takes every row it was made for, and gives all back. */
static void holds_what_it_was_made_for(void **state)
{
    (void)state;
    for (uint32_t row = 0; row < ROWS_MAX; row++) {
        struct tcp_key key = key_of(row);
        set_row(row, &key, tcp_table_hash(&fixture.table, &key));
        toggle(row);
        assert_true(fixture.is_in[row]);
    }
    assert_int_equal(fixture.table.used, ROWS_MAX);
    check_all();
    for (uint32_t row = 0; row < ROWS_MAX; row++)
        toggle(row);
    check_all();
    for (uint32_t i = 0; i < fixture.table.bucket_count; i++)
        assert_int_equal(fixture.table.buckets[i].passed_count, 0);
}

/* Hashes of three neighbouring homes and two tags, one of them 0: probing, passing on and removal
 * out of the middle of runs stay right, and the full neighbourhood refuses rather than spins. */
static void survives_colliding_hashes(void **state)
{
    (void)state;
    uint32_t refused = 0;
    for (uint32_t row = 0; row < ROWS_MAX; row++) {
        struct tcp_key key = key_of(row);
        uint64_t bucket = fixture.table.bucket_count - 2 + row % 3; /* wraps round the end */
        bucket %= fixture.table.bucket_count;
        uint64_t high = (bucket << 32) / fixture.table.bucket_count + 1;
        set_row(row, &key, high << 32 | row % 2);
    }
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t row = random_below(&fixture.random, 800);
        bool was_in = fixture.is_in[row];
        toggle(row);
        refused += fixture.is_in[row] == was_in;
        if (step % 500 == 0)
            check_all();
    }
    assert_true(refused > 0);
    check_all();
}

/* A batch answers as single lookups do, whatever the mix of rows in and out. */
static void batch_agrees_with_single(void **state)
{
    (void)state;
    for (uint32_t row = 0; row < ROWS_MAX; row++) {
        struct tcp_key key = key_of(row);
        set_row(row, &key, tcp_table_hash(&fixture.table, &key));
        if (random_below(&fixture.random, 3) != 0)
            toggle(row);
    }
    for (uint32_t round = 0; round < 500; round++) {
        struct tcp_lookup lookups[TCP_TABLE_BATCH_MAX];
        uint32_t count = random_below(&fixture.random, TCP_TABLE_BATCH_MAX + 1);
        uint32_t rows[TCP_TABLE_BATCH_MAX];
        for (uint32_t i = 0; i < count; i++) {
            rows[i] = random_below(&fixture.random, ROWS_MAX);
            lookups[i].key = tcp_row_key(&fixture.rows[rows[i]]);
        }
        tcp_table_find_batch(&fixture.table, fixture.rows, lookups, count);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(lookups[i].found, fixture.is_in[rows[i]] ? rows[i] : POOL_NONE);
    }
}

/* Every octet of the key counts: hash and comparison tell apart keys that differ in one bit. */
static void tells_keys_apart(void **state)
{
    (void)state;
    struct tcp_key key = key_of(77);
    uint64_t hash = tcp_table_hash(&fixture.table, &key);
    set_row(0, &key, hash);
    toggle(0);
    for (uint32_t bit = 0; bit < sizeof key * 8; bit++) {
        struct tcp_key other = key;
        ((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(tcp_table_hash(&fixture.table, &other) != hash);
        assert_int_equal(tcp_table_find(&fixture.table, fixture.rows, hash, &other), POOL_NONE);
    }
    assert_int_equal(tcp_table_find(&fixture.table, fixture.rows, hash, &key), 0);
}

/* Memory follows the rows at about 13.4 octets each, not the next power of two. */
static void costs_what_the_budget_says(void **state)
{
    (void)state;
    assert_true(tcp_table_bytes(10000000) < 10000000u * 135ull / 10);
    struct arena small;
    assert_int_equal(arena_create(&small, "small", 8192, ARENA_PAGES_SMALL), ERROR_NONE);
    struct tcp_table table;
    struct siphash_key key = {1, 2};
    assert_int_equal(tcp_table_init(&table, &small, 1000000, &key), ERROR_NO_MEMORY);
    arena_destroy(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees_with_a_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(holds_what_it_was_made_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_colliding_hashes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batch_agrees_with_single, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_keys_apart, set_up, tear_down),
        cmocka_unit_test(costs_what_the_budget_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
