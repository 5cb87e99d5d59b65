/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts by address against an array of counts, and rates against a count of what was let by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"

#include "frames.h"
#include "tcp_limit.h"

#define ROWS_MAX 1000u
#define SECOND UINT64_C(1000000000)

static struct arena arena;
static struct tcp_limit limit;

static int set_up(void **state)
{
    (void)state;
    struct siphash_key key = {3, 4};
    if (arena_create(&arena, "test", 1u << 20, ARENA_PAGES_SMALL) != ERROR_NONE)
        return 1;
    return tcp_limit_init(&limit, &arena, ROWS_MAX, &key) != ERROR_NONE;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(&arena);
    return 0;
}

/* Random adds and removes over 1,000 addresses: every count stays exact, and none is left over. */
static void counts_exactly(void **state)
{
    (void)state;
    static uint32_t counts[ROWS_MAX];
    struct random random;
    random_init_seed(&random, 7);
    limit.connections_max = 5;
    for (uint32_t step = 0; step < 200000; step++) {
        uint32_t i = random_below(&random, ROWS_MAX);
        struct net_address address = net_address_of_ipv4(0x0a000000u + i);
        if (random_below(&random, 2) == 0 && counts[i] > 0) {
            tcp_limit_remove(&limit, &address);
            counts[i]--;
        } else if (counts[i] == 5) {
            assert_int_equal(tcp_limit_add(&limit, &address), TCP_LIMIT_REACHED);
        } else {
            assert_int_equal(tcp_limit_add(&limit, &address), TCP_LIMIT_COUNTED);
            counts[i]++;
        }
        assert_int_equal(tcp_limit_count(&limit, &address), counts[i]);
    }
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        struct net_address address = net_address_of_ipv4(0x0a000000u + i);
        for (; counts[i] > 0; counts[i]--)
            tcp_limit_remove(&limit, &address);
    }
    assert_int_equal(limit.address_count, 0);
    for (uint32_t i = 0; i < limit.bucket_count; i++)
        assert_int_equal(limit.buckets[i].passed_count, 0);
}

/* The table has room for as many addresses as rows; far more than that are refused by value. */
static void refuses_when_full(void **state)
{
    (void)state;
    uint32_t counted = 0;
    bool was_full = false;
    for (uint32_t i = 0; i < 4 * ROWS_MAX; i++) {
        struct net_address address = net_address_of_ipv4(0x0b000000u + i);
        enum tcp_limit_verdict verdict = tcp_limit_add(&limit, &address);
        assert_true(i >= ROWS_MAX || verdict == TCP_LIMIT_COUNTED);
        counted += verdict == TCP_LIMIT_COUNTED;
        was_full |= verdict == TCP_LIMIT_TABLE_FULL;
    }
    assert_true(was_full);
    assert_int_equal(limit.address_count, counted);
}

/* Whoever has an IPv6 address has its /64: all of it is one count. Other prefixes have their own,
 * and none is an IPv4 address's, whatever the key. */
static void counts_ipv6_by_prefix(void **state)
{
    (void)state;
    struct net_address one = {{0x20, 0x01, 0x0d, 0xb8, [7] = 1, [15] = 1}};
    struct net_address same = one;
    struct net_address other = one;
    memset(same.octets + 8, 0xee, 8);
    other.octets[7] = 2;
    limit.connections_max = 2;
    assert_int_equal(tcp_limit_add(&limit, &one), TCP_LIMIT_COUNTED);
    assert_int_equal(tcp_limit_add(&limit, &same), TCP_LIMIT_COUNTED);
    assert_int_equal(tcp_limit_add(&limit, &one), TCP_LIMIT_REACHED);
    assert_int_equal(tcp_limit_count(&limit, &same), 2);
    assert_int_equal(tcp_limit_add(&limit, &other), TCP_LIMIT_COUNTED);
    assert_int_equal(limit.address_count, 2);
    tcp_limit_remove(&limit, &same);
    tcp_limit_remove(&limit, &one);
    tcp_limit_remove(&limit, &other);
    assert_int_equal(limit.address_count, 0);
    for (uint32_t i = 0; i < ROWS_MAX; i++) {
        struct net_address address = {{0x20, 0x01, [6] = (uint8_t)(i >> 8), [7] = (uint8_t)i}};
        limit.key.k0 = i;
        memset(limit.buckets, 0, sizeof *limit.buckets * limit.bucket_count);
        assert_int_equal(tcp_limit_add(&limit, &address), TCP_LIMIT_COUNTED);
        for (uint32_t k = 0; k < limit.bucket_count; k++)
            for (uint32_t way = 0; way < TCP_LIMIT_WAYS; way++)
                assert_true(limit.buckets[k].counts[way] == 0 ||
                            limit.buckets[k].addresses[way] >= 0xe0000000u);
    }
}

/* A count cannot wrap: it ends at 65,535 whatever the limit. */
static void does_not_wrap(void **state)
{
    (void)state;
    struct net_address address = net_address_of_ipv4(PEER_IPV4);
    limit.connections_max = 100000000;
    for (uint32_t i = 0; i < TCP_LIMIT_COUNT_MAX; i++)
        assert_int_equal(tcp_limit_add(&limit, &address), TCP_LIMIT_COUNTED);
    assert_int_equal(tcp_limit_add(&limit, &address), TCP_LIMIT_REACHED);
    assert_int_equal(tcp_limit_count(&limit, &address), TCP_LIMIT_COUNT_MAX);
}

/* A burst passes at once, then one permission an interval, and a pause earns no more than a
 * burst. */
static void lets_by_the_rate(void **state)
{
    (void)state;
    struct rate_limit rate;
    rate_limit_init(&rate, 100, 10);
    uint64_t now_ns = 5 * SECOND;
    uint32_t passed = 0;
    for (uint32_t i = 0; i < 1000; i++)
        passed += rate_limit_take(&rate, now_ns);
    assert_int_equal(passed, 10);
    for (uint32_t i = 0; i < 10000; i++)
        passed += rate_limit_take(&rate, now_ns + i * SECOND / 1000);
    assert_in_range(passed, 10 + 999, 10 + 1001);
    now_ns += 100 * SECOND;
    passed = 0;
    for (uint32_t i = 0; i < 1000; i++)
        passed += rate_limit_take(&rate, now_ns);
    assert_int_equal(passed, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_exactly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_when_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_ipv6_by_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_wrap, set_up, tear_down),
        cmocka_unit_test(lets_by_the_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
