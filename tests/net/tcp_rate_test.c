/* SPDX-License-Identifier: Apache-2.0
 *
 * Budgets that cannot be foretold, and rates by prefix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stentor/clock.h"

#include "ip.h"
#include "tcp_rate.h"

static struct heap heap;
static struct random random_;

static int set_up(void **state)
{
    (void)state;
    heap_init(&heap, 64u << 20);
    random_init_seed(&random_, 3);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return heap_used_bytes(&heap) == 0 ? 0 : 1;
}

/* Over time a budget gives what it says, but no two windows give the same, and none begins at a
 * round instant: nobody learns from what is left what others used. */
static void a_budget_cannot_be_foretold(void **state)
{
    (void)state;
    struct tcp_budget budget = {0};
    uint64_t now_ns = 0;
    uint32_t taken = 0;
    uint32_t windows = 0;
    uint32_t equal = 0;
    uint32_t before = 0;
    while (windows < 200) {
        uint32_t count = 0;
        while (tcp_budget_take(&budget, &random_, now_ns, 1000))
            count++;
        assert_in_range(count, 500, 1499);
        equal += count == before;
        before = count;
        taken += count;
        windows++;
        assert_in_range(budget.renewed_at_ns - now_ns, NS_PER_SECOND / 2, 3 * NS_PER_SECOND / 2);
        now_ns = budget.renewed_at_ns;
    }
    assert_true(equal < 5);
    uint64_t rate = taken * NS_PER_SECOND / now_ns;
    assert_in_range(rate, 900, 1100);
}

/* An empty budget stays empty until it is drawn anew. */
static void an_empty_budget_stays_empty(void **state)
{
    (void)state;
    struct tcp_budget budget = {0};
    while (tcp_budget_take(&budget, &random_, 5, 10))
        continue;
    assert_false(tcp_budget_take(&budget, &random_, budget.renewed_at_ns - 1, 10));
    assert_true(tcp_budget_take(&budget, &random_, budget.renewed_at_ns, 10));
}

static struct net_address far_away(uint8_t subnet, uint8_t host)
{
    return (struct net_address){{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, subnet, [15] = host}};
}

/* One address gets two seconds' worth at once and its rate after that; another is not
 * concerned. */
static void one_address_is_held_to_its_rate(void **state)
{
    (void)state;
    struct tcp_sketch sketch;
    assert_int_equal(tcp_sketch_init(&sketch, &heap, &random_, 100), ERROR_NONE);
    struct net_address greedy = net_address_of_ipv4(0xc6336407);
    struct net_address modest = net_address_of_ipv4(0xc6336408);
    uint64_t now_ns = 77 * NS_PER_SECOND;
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 10000; i++)
        taken += tcp_sketch_take(&sketch, &greedy, now_ns);
    assert_int_equal(taken, 200);
    assert_true(tcp_sketch_take(&sketch, &modest, now_ns));
    for (uint32_t i = 0; i < 10000; i++)
        taken += tcp_sketch_take(&sketch, &greedy, now_ns + i * NS_PER_MS);
    assert_in_range(taken, 1190, 1201);
    tcp_sketch_fini(&sketch, &heap);
}

/* Of IPv6 the /64 is one: whoever has it has all its addresses. */
static void a_subnet_is_one(void **state)
{
    (void)state;
    struct tcp_sketch sketch;
    assert_int_equal(tcp_sketch_init(&sketch, &heap, &random_, 50), ERROR_NONE);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        struct net_address address = far_away(1, (uint8_t)i);
        taken += tcp_sketch_take(&sketch, &address, 9);
    }
    assert_int_equal(taken, 100);
    struct net_address other = far_away(2, 1);
    assert_true(tcp_sketch_take(&sketch, &other, 9));
    tcp_sketch_fini(&sketch, &heap);
}

/* A thousand attackers at full rate keep out few of ten thousand honest addresses. */
static void attackers_keep_out_few_others(void **state)
{
    (void)state;
    struct tcp_sketch sketch;
    assert_int_equal(tcp_sketch_init(&sketch, &heap, &random_, 100), ERROR_NONE);
    for (uint32_t i = 0; i < 1000; i++) {
        struct net_address address = net_address_of_ipv4(0x0b000000 + i);
        while (tcp_sketch_take(&sketch, &address, 0))
            continue;
    }
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        struct net_address address = net_address_of_ipv4(0x2d000000 + i * 257);
        refused += !tcp_sketch_take(&sketch, &address, 0);
    }
    assert_true(refused < 100);
    tcp_sketch_fini(&sketch, &heap);
}

/* What was spent is forgotten in time, however long nobody looked. */
static void silence_pays(void **state)
{
    (void)state;
    struct tcp_sketch sketch;
    assert_int_equal(tcp_sketch_init(&sketch, &heap, &random_, 100), ERROR_NONE);
    struct net_address address = net_address_of_ipv4(0xc6336407);
    uint64_t now_ns = 0;
    for (uint32_t hours = 1; hours < 200; hours += 7) {
        now_ns += hours * 3600 * NS_PER_SECOND;
        uint32_t taken = 0;
        while (tcp_sketch_take(&sketch, &address, now_ns))
            taken++;
        assert_in_range(taken, 199, 200);
    }
    tcp_sketch_fini(&sketch, &heap);
}

/* No rate, no limit, no memory; and memory can be refused. */
static void no_rate_no_limit(void **state)
{
    (void)state;
    struct tcp_sketch sketch;
    struct net_address address = far_away(1, 1);
    assert_int_equal(tcp_sketch_init(&sketch, &heap, &random_, 0), ERROR_NONE);
    for (uint32_t i = 0; i < 100000; i++)
        assert_true(tcp_sketch_take(&sketch, &address, 1));
    tcp_sketch_fini(&sketch, &heap);
    struct heap small;
    heap_init(&small, 100);
    assert_int_equal(tcp_sketch_init(&sketch, &small, &random_, 1), ERROR_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_budget_cannot_be_foretold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_budget_stays_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_address_is_held_to_its_rate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_subnet_is_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attackers_keep_out_few_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_pays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_rate_no_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
