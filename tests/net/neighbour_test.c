/* SPDX-License-Identifier: Apache-2.0
 *
 * The neighbour cache beyond one address and one router (which arp_test.c tries): choice and
 * fail-over between routers, VLANs, and strangers who want to fill it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_nic.h"
#include "frames.h"
#include "net_state.h"

#define SECOND UINT64_C(1000000000)

static const uint8_t first_mac[6] = {0x02, 0, 0, 0, 0, 0xf1};
static const uint8_t second_mac[6] = {0x02, 0, 0, 0, 0, 0xf2};

static struct fake_nic nic;
static struct net net;
static struct heap heap;
static struct trace trace;
static struct neighbour_name first;
static struct neighbour_name second;

static int set_up(void **state)
{
    (void)state;
    fake_nic_init(&nic);
    heap_init(&heap, 1u << 20);
    if (trace_init(&trace, &heap, 64) != ERROR_NONE)
        return 1;
    memset(&net, 0, sizeof net);
    first = (struct neighbour_name){net_address_of_ipv4(GATEWAY_IPV4), 0};
    second = (struct neighbour_name){net_address_of_ipv4(GATEWAY_IPV4 - 1), 0};
    net.options.nic = &nic.queue;
    net.options.metrics = &nic.metrics;
    net.options.trace = &trace;
    net.options.key = (struct siphash_key){11, 12};
    net.options.routers[0] = (struct net_router){first.address, 0};
    net.options.routers[1] = (struct net_router){second.address, 0};
    net.options.router_count = 2;
    net.link = test_link6();
    net.now_ns = 1000 * SECOND;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_packets_flush(&net);
    trace_fini(&trace, &heap);
    return nic.buffers_out == 0 ? 0 : 1;
}

static void answer_if_asked(const struct neighbour_name *router, const uint8_t *mac)
{
    bool was_asked = neighbour_answered(&net, router, mac);
    (void)was_asked;
}

/* Runs the clock; routers that live answer whatever was asked of them. */
static void run(uint64_t duration_ns, bool is_first_alive, bool is_second_alive)
{
    uint64_t end_ns = net.now_ns + duration_ns;
    while (neighbour_next_ns(&net) <= end_ns) {
        net.now_ns = neighbour_next_ns(&net);
        neighbour_timers(&net);
        net_packets_flush(&net);
        if (is_first_alive)
            answer_if_asked(&first, first_mac);
        if (is_second_alive)
            answer_if_asked(&second, second_mac);
    }
    net.now_ns = end_ns;
}

static const uint8_t *way_out(void)
{
    struct net_address far = net_address_of_ipv4(FAR_IPV4);
    uint16_t hint = NEIGHBOUR_NONE;
    const uint8_t *mac = neighbour_resolve(&net, 0, &far, &hint);
    net_packets_flush(&net);
    return mac;
}

static int64_t changes(void)
{
    return metric_get(&nic.metrics, METRIC_NET_ROUTER_CHANGES);
}

/* Both routers are probed though one is used; when that one falls silent the other takes over
 * within a quarter of a minute, and gives back when the first returns. Each change is counted. */
static void fails_over_and_back(void **state)
{
    (void)state;
    neighbour_start(&net);
    assert_null(way_out());
    run(2 * SECOND, true, true);
    assert_memory_equal(way_out(), first_mac, 6);
    assert_int_equal(changes(), 0);
    int64_t before = metric_get(&nic.metrics, METRIC_NET_ARP_REQUESTS);
    run(60 * SECOND, true, true);
    assert_in_range(metric_get(&nic.metrics, METRIC_NET_ARP_REQUESTS) - before, 10, 12);

    run(14 * SECOND, false, true);
    assert_memory_equal(way_out(), second_mac, 6);
    assert_int_equal(changes(), 1);
    run(20 * SECOND, true, true);
    assert_memory_equal(way_out(), first_mac, 6);
    assert_int_equal(changes(), 2);

    run(20 * SECOND, true, false); /* the idle one dies: nothing to notice */
    assert_memory_equal(way_out(), first_mac, 6);
    assert_int_equal(changes(), 2);
    run(20 * SECOND, false, false);
    assert_null(way_out());
}

/* The second is used at once when the first does not answer at start. */
static void starts_with_whoever_answers(void **state)
{
    (void)state;
    neighbour_start(&net);
    run(2 * SECOND, false, true);
    assert_memory_equal(way_out(), second_mac, 6);
    assert_int_equal(changes(), 0); /* the first had never been there */
}

/* Peers that come by the other router are no contradiction: they confirm it, and nobody is asked.
 */
static void takes_asymmetric_ways(void **state)
{
    (void)state;
    neighbour_start(&net);
    run(2 * SECOND, true, true);
    struct net_address far = net_address_of_ipv4(FAR_IPV4);
    struct tcp_row row = {.remote = far};
    row.neighbour = neighbour_learn(&net, 0, &far, second_mac);
    int64_t before = metric_get(&nic.metrics, METRIC_NET_ARP_REQUESTS);
    for (uint32_t i = 0; i < 100; i++) { /* both speak, no clock of theirs runs out */
        net.now_ns += SECOND;
        neighbour_confirm(&net, &row, i % 2 == 0 ? second_mac : first_mac);
        neighbour_timers(&net);
    }
    net_packets_flush(&net);
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_ARP_REQUESTS), before);
    neighbour_confirm(&net, &row, other_mac); /* nobody's */
    assert_memory_equal(way_out(), first_mac, 6);
}

/* Of each VLAN and family its own router. */
static void keeps_families_apart(void **state)
{
    (void)state;
    net.options.routers[1] = (struct net_router){gateway_ipv6, 7};
    second = (struct neighbour_name){gateway_ipv6, 7};
    neighbour_start(&net);
    run(2 * SECOND, true, true);
    uint16_t hint = NEIGHBOUR_NONE;
    assert_memory_equal(way_out(), first_mac, 6);
    assert_memory_equal(neighbour_resolve(&net, 2, &far_ipv6, &hint), second_mac, 6);
    assert_null(neighbour_resolve(&net, 1, &far_ipv6, &hint)); /* untagged has none */
}

/* Strangers who only say where they are take no place of a neighbour in use, however many they
 * are; unused places are theirs. */
static void strangers_displace_nobody(void **state)
{
    (void)state;
    struct net_address used[64];
    for (uint32_t i = 0; i < ARRAY_COUNT(used); i++) {
        used[i] = peer_ipv6;
        used[i].octets[8] = (uint8_t)i;
        neighbour_learn(&net, 1, &used[i], peer_mac);
    }
    for (uint32_t i = 0; i < 10 * NEIGHBOUR_ROUTERS; i++) {
        struct neighbour_name stranger = {peer_ipv6, 0};
        memcpy(stranger.address.octets + 9, &i, sizeof i);
        neighbour_heard(&net, &stranger, other_mac);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(used); i++) {
        uint16_t hint = NEIGHBOUR_NONE;
        assert_memory_equal(neighbour_resolve(&net, 1, &used[i], &hint), peer_mac, 6);
    }
    struct neighbour_name far = {far_ipv6, 0};
    neighbour_heard(&net, &far, other_mac); /* not of this link */
    uint16_t hint = NEIGHBOUR_NONE;
    assert_null(neighbour_resolve(&net, 1, &far_ipv6, &hint));
}

/* A set full of neighbours in use refuses a stranger, counted, until one of them is a minute old.
 */
static void a_full_set_refuses(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3 * NEIGHBOUR_ROUTERS; i++) {
        struct net_address peer = peer_ipv6;
        memcpy(peer.octets + 9, &i, sizeof i);
        neighbour_learn(&net, 1, &peer, peer_mac);
    }
    for (uint32_t i = 0; i < 100; i++) {
        struct neighbour_name stranger = {peer_ipv6, 0};
        stranger.address.octets[8] = (uint8_t)(1 + i);
        neighbour_heard(&net, &stranger, other_mac);
    }
    assert_in_range(metric_get(&nic.metrics, METRIC_NET_NEIGHBOURS_REFUSED), 90, 100);
    net.now_ns += 61 * SECOND;
    struct neighbour_name stranger = {peer_ipv6, 0};
    stranger.address.octets[8] = 1;
    neighbour_heard(&net, &stranger, other_mac);
    uint16_t hint = NEIGHBOUR_NONE;
    assert_memory_equal(neighbour_resolve(&net, 1, &stranger.address, &hint), other_mac, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fails_over_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(starts_with_whoever_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_asymmetric_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_families_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strangers_displace_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_set_refuses, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
