/* SPDX-License-Identifier: Apache-2.0
 *
 * What link.h says is ours, near and best to speak from, over both families and two VLANs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "frames.h"

static const struct net_address scoped_peer = {{0xfe, 0x80, [15] = 0x77}};

/* The options' addresses keep their places; each VLAN with IPv6 gets one link-local address, made
 * from the MAC; IPv4 is ready at once, IPv6 is not. */
static void lists_what_is_ours(void **state)
{
    (void)state;
    struct net_link link = test_link6();
    assert_int_equal(link.local_count, 5);
    assert_int_equal(link_find(&link, &our_ipv6, 0), 1);
    assert_int_equal(link_find(&link, &our_ipv6, 7), 2);
    assert_int_equal(link_find(&link, &our_link_local, 0), 3);
    assert_int_equal(link_find(&link, &our_link_local, 7), 4);
    assert_int_equal(link_find(&link, &our_ipv6, 8), LINK_LOCAL_NONE);
    assert_int_equal(link_find(&link, &peer_ipv6, 0), LINK_LOCAL_NONE);
    assert_true(link_is_ours(&link, &our_ipv6));
    assert_false(link_is_ours(&link, &peer_ipv6));
    assert_true(link_has_vlan(&link, 7));
    assert_false(link_has_vlan(&link, 8));

    struct nic_queue nic = {0};
    struct net_options options = {
        .nic = &nic,
        .locals = {{our_ipv6, 64, 0}, {our_link_local, 64, 0}, {net_address_of_ipv4(1), 32, 9}},
        .local_count = 3};
    link_init(&link, &options);
    assert_int_equal(link.local_count, 3); /* one is named already, VLAN 9 has no IPv6 */
    assert_int_equal(link.locals[0].state, LINK_TENTATIVE);
    assert_int_equal(link.locals[2].state, LINK_READY);
}

/* Prefixes of every length say the same as a comparison bit by bit. */
static void knows_what_is_near(void **state)
{
    (void)state;
    for (uint8_t bits = 1; bits <= 128; bits++) {
        struct nic_queue nic = {0};
        struct net_options options = {
            .nic = &nic, .locals = {{our_ipv6, bits, 3}}, .local_count = 1};
        struct net_link link;
        link_init(&link, &options);
        for (uint32_t bit = 0; bit < 128; bit++) {
            struct net_address other = our_ipv6;
            other.octets[bit / 8] ^= (uint8_t)(0x80u >> bit % 8);
            if (net_address_is_link_local(&other))
                continue;
            assert_int_equal(link_is_near(&link, 3, &other), bit >= bits);
            assert_false(link_is_near(&link, 0, &other));
        }
    }
    struct net_link link = test_link6();
    struct net_address peer = net_address_of_ipv4(PEER_IPV4);
    struct net_address far = net_address_of_ipv4(FAR_IPV4);
    assert_true(link_is_near(&link, 0, &peer));
    assert_false(link_is_near(&link, 7, &peer));
    assert_false(link_is_near(&link, 0, &far));
    assert_true(link_is_near(&link, 5, &scoped_peer));
}

/* The source: on-link before behind a router before any; of the right family, scope and VLAN;
 * never one that is not ready. */
static void picks_a_source(void **state)
{
    (void)state;
    struct net_link link = test_link6();
    struct net_address peer = net_address_of_ipv4(PEER_IPV4);
    assert_int_equal(link_source(&link, LINK_VLAN_ANY, &peer), 0);
    assert_int_equal(link_source(&link, 7, &peer), LINK_LOCAL_NONE);
    assert_int_equal(link_source(&link, LINK_VLAN_ANY, &peer_ipv6), 1);
    assert_int_equal(link_source(&link, 7, &peer_ipv6), 2);
    assert_int_equal(link_source(&link, 7, &scoped_peer), 4);
    assert_int_equal(link_source(&link, LINK_VLAN_ANY, &far_ipv6), 1);
    link.locals[2].router = 1;
    assert_int_equal(link_source(&link, LINK_VLAN_ANY, &far_ipv6), 2);
    link.locals[1].state = LINK_TENTATIVE;
    assert_int_equal(link_source(&link, LINK_VLAN_ANY, &peer_ipv6), 2);
    assert_int_equal(link_source(&link, 0, &peer_ipv6), 3); /* better than none */
    link.locals[3].state = LINK_DUPLICATE;
    assert_int_equal(link_source(&link, 0, &peer_ipv6), LINK_LOCAL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_what_is_ours),
        cmocka_unit_test(knows_what_is_near),
        cmocka_unit_test(picks_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
