/* SPDX-License-Identifier: Apache-2.0
 *
 * The neighbour cache as a polite and as a lying link sees it, under a clock set by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"

#include "fake_nic.h"
#include "frames.h"
#include "net_state.h"

#define SECOND UINT64_C(1000000000)

static struct fake_nic nic;
static struct net net;

static int set_up(void **state)
{
    (void)state;
    fake_nic_init(&nic);
    memset(&net, 0, sizeof net);
    net.options.nic = &nic.queue;
    net.options.metrics = &nic.metrics;
    net.options.key = (struct siphash_key){11, 12};
    net.link = test_link();
    net.link.locals[0].router = LINK_ROUTER_NONE;
    net.options.router_count = 1;
    net.options.routers[0].address = net_address_of_ipv4(GATEWAY_IPV4);
    net.now_ns = 1000 * SECOND;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_packets_flush(&net);
    return nic.buffers_out == 0 ? 0 : 1; /* nothing waits in a packet */
}

/* Hands an ARP frame in; true when it went back as a reply. */
static bool input(uint16_t operation, const uint8_t *sender_mac, uint32_t sender, uint32_t target)
{
    uint8_t octets[60] = {0};
    struct writer into = writer_of(octets, sizeof octets);
    write_ethernet(&into, every_mac, sender_mac, ETHERNET_TYPE_ARP);
    write_arp(&into, operation, sender_mac, sender, target);
    struct packet packet = fake_nic_frame(&nic, bytes_of(octets, sizeof octets), 0);
    struct frame frame = {.kind = FRAME_ARP, .arp = bytes_of(packet.frame + 14, packet.size - 14u)};
    arp_input(&net, &packet, &frame);
    bool is_answered = packet.frame == NULL;
    fake_nic_done(&nic, &packet);
    net_packets_flush(&net);
    return is_answered;
}

static void start(void)
{
    arp_start(&net);
    neighbour_start(&net);
}

static void confirm(const struct net_address *remote, uint16_t hint, const uint8_t *mac)
{
    struct tcp_row row = {.remote = *remote, .neighbour = hint};
    neighbour_confirm(&net, &row, mac);
}

static const uint8_t *resolve(uint32_t number)
{
    struct net_address address = net_address_of_ipv4(number);
    uint16_t hint = NEIGHBOUR_NONE;
    const uint8_t *mac = neighbour_resolve(&net, 0, &address, &hint);
    net_packets_flush(&net);
    return mac;
}

static const struct fake_frame *last_sent(void)
{
    assert_true(nic.sent_count > 0);
    return &nic.sent[(nic.sent_count - 1) % FAKE_SENT_MAX];
}

static void assert_request(const struct fake_frame *frame, const uint8_t *to, uint32_t target)
{
    const struct arp_header *arp = (const void *)(frame->octets + 14);
    assert_int_equal(frame->size, 42);
    assert_int_equal(frame->flags, 0);
    assert_memory_equal(frame->octets, to, 6);
    assert_memory_equal(frame->octets + 6, our_mac, 6);
    assert_int_equal(be16_get(arp->operation), ARP_REQUEST);
    assert_memory_equal(arp->sender_mac, our_mac, 6);
    assert_int_equal(be32_get(arp->sender), OUR_IPV4);
    assert_int_equal(be32_get(arp->target), target);
}

static int64_t count_of(enum metric metric)
{
    return metric_get(&nic.metrics, metric);
}

/* At start our address is announced and the gateway asked for; other queues only ask. */
static void starts(void **state)
{
    (void)state;
    start();
    net_packets_flush(&net);
    assert_int_equal(nic.sent_count, 2);
    assert_request(&nic.sent[0], every_mac, OUR_IPV4);
    assert_request(&nic.sent[1], every_mac, GATEWAY_IPV4);
    nic.queue.index = 1;
    start();
    net_packets_flush(&net);
    assert_int_equal(nic.sent_count, 3);
}

/* A request for our address is answered in its own packet by queue 0, and by no other. */
static void answers_for_us(void **state)
{
    (void)state;
    assert_true(input(ARP_REQUEST, peer_mac, PEER_IPV4, OUR_IPV4));
    const struct fake_frame *frame = last_sent();
    const struct arp_header *arp = (const void *)(frame->octets + 14);
    assert_memory_equal(frame->octets, peer_mac, 6);
    assert_int_equal(be16_get(arp->operation), ARP_REPLY);
    assert_memory_equal(arp->sender_mac, our_mac, 6);
    assert_int_equal(be32_get(arp->sender), OUR_IPV4);
    assert_memory_equal(arp->target_mac, peer_mac, 6);
    assert_int_equal(be32_get(arp->target), PEER_IPV4);
    assert_memory_equal(resolve(PEER_IPV4), peer_mac, 6);

    nic.queue.index = 1;
    assert_false(input(ARP_REQUEST, peer_mac, PEER_IPV4, OUR_IPV4));
    assert_false(input(ARP_REQUEST, peer_mac, PEER_IPV4, OUR_IPV4 + 1));
}

/* Unknown: asked once a second, six times, then every eight; the answer is used from then on. */
static void asks_and_learns(void **state)
{
    (void)state;
    uint32_t asked = 0;
    for (uint32_t tenth = 0; tenth < 300; tenth++, net.now_ns += SECOND / 10) {
        uint32_t before = nic.sent_count;
        assert_null(resolve(PEER_IPV4));
        asked += nic.sent_count - before;
        if (nic.sent_count != before)
            assert_request(last_sent(), every_mac, PEER_IPV4);
    }
    assert_int_equal(asked, 6 + 3);
    input(ARP_REPLY, peer_mac, PEER_IPV4, OUR_IPV4);
    assert_memory_equal(resolve(PEER_IPV4), peer_mac, 6);
}

/* All off-link peers stand behind the gateway's entry, found without a hint; with no gateway they
 * have no MAC. */
static void goes_by_the_gateway(void **state)
{
    (void)state;
    start();
    assert_null(resolve(FAR_IPV4));
    input(ARP_REPLY, other_mac, GATEWAY_IPV4, OUR_IPV4);
    assert_memory_equal(resolve(FAR_IPV4), other_mac, 6);
    struct net_address far = net_address_of_ipv4(FAR_IPV4);
    uint16_t hint = 77;
    assert_non_null(neighbour_resolve(&net, 0, &far, &hint));
    assert_int_equal(hint, NEIGHBOUR_ROUTERS);
    assert_int_equal(neighbour_learn(&net, 0, &far, peer_mac), NEIGHBOUR_ROUTERS);
    assert_memory_equal(resolve(FAR_IPV4), other_mac, 6);
    net.link.locals[0].router = LINK_ROUTER_NONE;
    assert_null(resolve(FAR_IPV4));
    assert_int_equal(neighbour_learn(&net, 0, &far, peer_mac), NEIGHBOUR_NONE);
}

/* A reply nobody asked for, and a reply to somebody else, change nothing and are counted. */
static void ignores_unsolicited_replies(void **state)
{
    (void)state;
    input(ARP_REPLY, other_mac, PEER_IPV4, OUR_IPV4);
    assert_null(resolve(PEER_IPV4));
    input(ARP_REPLY, other_mac, PEER_IPV4, OUR_IPV4 + 1);
    assert_null(resolve(PEER_IPV4));
    assert_int_equal(count_of(METRIC_NET_DROP_ARP_UNSOLICITED), 2);
    input(ARP_REPLY, peer_mac, PEER_IPV4, OUR_IPV4);
    input(ARP_REPLY, other_mac, PEER_IPV4, OUR_IPV4);
    assert_memory_equal(resolve(PEER_IPV4), peer_mac, 6);
}

/* Who claims the gateway's address makes us ask the gateway in unicast; it answers and stays. The
 * claimant's own answer to that does not count. */
static void gateway_is_not_taken_over(void **state)
{
    (void)state;
    start();
    input(ARP_REPLY, other_mac, GATEWAY_IPV4, OUR_IPV4);
    net.now_ns += 10 * SECOND;
    for (uint32_t i = 0; i < 50; i++) {
        uint16_t operation = i % 2 == 0 ? ARP_REPLY : ARP_REQUEST;
        input(operation, peer_mac, GATEWAY_IPV4, i % 3 == 0 ? OUR_IPV4 : GATEWAY_IPV4);
        net.now_ns += SECOND / 100;
    }
    assert_memory_equal(resolve(FAR_IPV4), other_mac, 6);
    assert_int_equal(count_of(METRIC_NET_ARP_REQUESTS), 2 + 1);
    assert_request(&nic.sent[2], other_mac, GATEWAY_IPV4);
    input(ARP_REPLY, other_mac, GATEWAY_IPV4, OUR_IPV4);
    net.now_ns += 5 * SECOND;
    assert_memory_equal(resolve(FAR_IPV4), other_mac, 6);
}

/* A gateway that is dead is asked three times in unicast, then all are, and its successor's
 * answer counts. The timer alone drives that. */
static void gateway_is_replaced_when_silent(void **state)
{
    (void)state;
    start();
    input(ARP_REPLY, other_mac, GATEWAY_IPV4, OUR_IPV4);
    uint32_t before = nic.sent_count;
    assert_int_equal(neighbour_next_ns(&net), net.now_ns + NEIGHBOUR_CONFIRM_NS);
    for (uint32_t i = 0; i < 4; i++) {
        net.now_ns = neighbour_next_ns(&net);
        neighbour_timers(&net);
    }
    net_packets_flush(&net);
    assert_int_equal(nic.sent_count - before, 4);
    for (uint32_t i = 0; i < 3; i++)
        assert_request(&nic.sent[before + i], other_mac, GATEWAY_IPV4);
    assert_request(last_sent(), every_mac, GATEWAY_IPV4);
    assert_null(resolve(FAR_IPV4));
    input(ARP_REPLY, peer_mac, GATEWAY_IPV4, OUR_IPV4);
    assert_memory_equal(resolve(FAR_IPV4), peer_mac, 6);
}

/* A handshake enters a neighbour but overwrites none; segments confirm only the same MAC. */
static void learns_from_handshakes(void **state)
{
    (void)state;
    struct net_address peer = net_address_of_ipv4(PEER_IPV4);
    uint16_t hint = neighbour_learn(&net, 0, &peer, peer_mac);
    assert_memory_equal(resolve(PEER_IPV4), peer_mac, 6);
    assert_int_equal(neighbour_learn(&net, 0, &peer, other_mac), hint);
    assert_memory_equal(resolve(PEER_IPV4), peer_mac, 6);

    uint32_t before = nic.sent_count;
    for (uint32_t i = 0; i < 10; i++) {
        net.now_ns += NEIGHBOUR_CONFIRM_NS / 2;
        confirm(&peer, hint, peer_mac);
        assert_non_null(resolve(PEER_IPV4));
    }
    assert_true(nic.sent_count <= before + 1); /* the doubt about other_mac, nothing since */
    net.now_ns += NEIGHBOUR_CONFIRM_NS;
    confirm(&peer, hint, other_mac);
    assert_non_null(resolve(PEER_IPV4));
    assert_request(last_sent(), peer_mac, PEER_IPV4);
}

/* Far more neighbours than rows: each can be learned, a stale hint is repaired, nothing breaks. */
static void evicts_and_repairs(void **state)
{
    (void)state;
    net.link.locals[0].mask[1] = UINT64_C(0xffffffffff); /* 10.0.0.0/8 */
    struct net_address first = net_address_of_ipv4(0x0a100000u);
    uint16_t hint = neighbour_learn(&net, 0, &first, peer_mac);
    assert_ptr_equal(neighbour_resolve(&net, 0, &first, &hint), net.neighbours.rows[hint].mac);
    for (uint32_t i = 1; i < 3 * NEIGHBOUR_ROUTERS; i++) {
        struct net_address address = net_address_of_ipv4(0x0a100000u + i);
        net.now_ns += 1000;
        uint16_t id = neighbour_learn(&net, 0, &address, other_mac);
        assert_true(id < NEIGHBOUR_ROUTERS);
        assert_memory_equal(neighbour_resolve(&net, 0, &address, &id), other_mac, 6);
    }
    uint16_t stale = hint;
    assert_null(
        neighbour_resolve(&net, 0, &first, &hint)); /* evicted, asked again, not other_mac */
    assert_true(hint < NEIGHBOUR_ROUTERS);
    input(ARP_REPLY, peer_mac, 0x0a100000u, OUR_IPV4);
    assert_memory_equal(neighbour_resolve(&net, 0, &first, &stale), peer_mac, 6);
    assert_int_equal(stale, hint);
    for (uint32_t any = 0; any <= UINT16_MAX; any += 13) {
        uint16_t wrong = (uint16_t)any;
        assert_memory_equal(neighbour_resolve(&net, 0, &first, &wrong), peer_mac, 6);
    }
}

/* A claim on our own address is counted and answered with one announcement in ten seconds. */
static void defends_our_address(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        input(ARP_REPLY, other_mac, OUR_IPV4, OUR_IPV4);
        net.now_ns += SECOND;
    }
    assert_int_equal(count_of(METRIC_NET_DROP_ARP_CONFLICT), 20);
    assert_int_equal(nic.sent_count, 2);
    assert_request(last_sent(), every_mac, OUR_IPV4);
    input(ARP_REQUEST, our_mac, OUR_IPV4, OUR_IPV4);
    assert_int_equal(count_of(METRIC_NET_DROP_ARP_CONFLICT), 20);
}

/* Wrong kinds and sizes, every truncation, and noise: counted, never answered, never learned. */
static void survives_malformed_frames(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 5);
    uint8_t octets[28];
    for (uint32_t size = 0; size < sizeof octets; size++) {
        struct writer into = writer_of(octets, sizeof octets);
        write_arp(&into, ARP_REQUEST, peer_mac, PEER_IPV4, OUR_IPV4);
        struct packet packet = fake_nic_frame(&nic, bytes_of(octets, size), size);
        struct frame frame = {.kind = FRAME_ARP, .arp = bytes_of(packet.frame, packet.size)};
        arp_input(&net, &packet, &frame);
        assert_non_null(packet.frame);
        fake_nic_done(&nic, &packet);
    }
    assert_int_equal(count_of(METRIC_NET_DROP_ARP_MALFORMED), sizeof octets);
    for (uint32_t octet = 0; octet < 8; octet++) {
        struct writer into = writer_of(octets, sizeof octets);
        write_arp(&into, ARP_REQUEST, peer_mac, PEER_IPV4, OUR_IPV4);
        octets[octet] ^= 0x80;
        struct packet packet = fake_nic_frame(&nic, bytes_of(octets, sizeof octets), 0);
        struct frame frame = {.kind = FRAME_ARP, .arp = bytes_of(packet.frame, packet.size)};
        arp_input(&net, &packet, &frame);
        assert_non_null(packet.frame);
        fake_nic_done(&nic, &packet);
    }
    assert_int_equal(count_of(METRIC_NET_DROP_ARP_MALFORMED), sizeof octets + 8);
    assert_null(resolve(PEER_IPV4));
    for (uint32_t round = 0; round < 20000; round++) {
        uint8_t mac[6] = {0x02, 0, 0, 0, 0, (uint8_t)random_u32(&random)};
        input((uint16_t)(1 + random_below(&random, 2)), mac,
              OUR_IPV4 - 1 + random_below(&random, 300), OUR_IPV4 + random_below(&random, 2));
        net.now_ns += random_below(&random, 100000000);
    }
}

/* No buffer to ask with: counted, asked again later. */
static void survives_an_empty_pool(void **state)
{
    (void)state;
    nic.refuses_take = true;
    assert_null(resolve(PEER_IPV4));
    assert_int_equal(count_of(METRIC_NET_DROP_BUFFER), 1);
    nic.refuses_take = false;
    net.now_ns += SECOND;
    assert_null(resolve(PEER_IPV4));
    assert_request(last_sent(), every_mac, PEER_IPV4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(starts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_for_us, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_and_learns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(goes_by_the_gateway, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ignores_unsolicited_replies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gateway_is_not_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gateway_is_replaced_when_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(learns_from_handshakes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(evicts_and_repairs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(defends_our_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_malformed_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_an_empty_pool, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
