/* SPDX-License-Identifier: Apache-2.0
 *
 * What net_packet_* put on the wire, and what they do when there is no buffer, no neighbour or no
 * room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_nic.h"
#include "frames.h"
#include "net_state.h"

static struct fake_nic nic;
static struct net net;

static int set_up(void **state)
{
    (void)state;
    fake_nic_init(&nic);
    memset(&net, 0, sizeof net);
    net.options.nic = &nic.queue;
    net.options.metrics = &nic.metrics;
    net.link = test_link();
    net.now_ns = 1000000000;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_packets_flush(&net);
    return nic.buffers_out == 0 ? 0 : 1;
}

static void assert_tcp_to(const struct fake_frame *sent, uint32_t to, uint16_t tcp_size)
{
    const struct ip_header *ip = (const void *)(sent->octets + 14);
    assert_int_equal(sent->size, 34 + tcp_size);
    assert_int_equal(sent->flags, PACKET_FILL_IP | PACKET_FILL_TCP);
    assert_int_equal(sent->ip_offset, 14);
    assert_memory_equal(sent->octets, peer_mac, 6);
    assert_memory_equal(sent->octets + 6, our_mac, 6);
    assert_int_equal(ip->version_size, 0x45);
    assert_int_equal(be16_get(ip->size), 20 + tcp_size);
    assert_int_equal(be16_get(ip->id), 0);
    assert_int_equal(be16_get(ip->fragment), IP_DONT_FRAGMENT);
    assert_int_equal(be16_get(ip->checksum), 0);
    assert_int_equal(ip->protocol, IP_PROTOCOL_TCP);
    assert_int_equal(be32_get(ip->source), OUR_IPV4);
    assert_int_equal(be32_get(ip->destination), to);
}

/* A fresh packet to a known neighbour. */
static void builds_fresh_packets(void **state)
{
    (void)state;
    struct net_address peer = net_address_of_ipv4(PEER_IPV4);
    struct tcp_row row = {.remote = peer, .neighbour = neighbour_learn(&net, 0, &peer, peer_mac)};
    struct packet packet;
    uint8_t *at = net_packet_begin(&net, &row, &packet);
    assert_non_null(at);
    memset(at, 0, 24);
    net_packet_send(&net, &packet, 24);
    assert_int_equal(nic.sent_count, 0); /* gathered */
    net_packets_flush(&net);
    assert_tcp_to(&nic.sent[0], PEER_IPV4, 24);
    assert_int_equal(nic.buffers_out, 0);

    at = net_packet_begin(&net, &row, &packet);
    assert_non_null(at);
    net_packet_cancel(&net, &packet);
    assert_int_equal(nic.buffers_out, 0);
}

/* A full burst leaves at once. */
static void flushes_a_full_burst(void **state)
{
    (void)state;
    struct net_address peer = net_address_of_ipv4(PEER_IPV4);
    struct tcp_row row = {.remote = peer, .neighbour = neighbour_learn(&net, 0, &peer, peer_mac)};
    for (uint32_t i = 0; i < NIC_BURST_MAX; i++) {
        struct packet packet;
        assert_int_equal(nic.sent_count, 0);
        assert_non_null(net_packet_begin(&net, &row, &packet));
        net_packet_send(&net, &packet, 20);
    }
    assert_int_equal(nic.sent_count, NIC_BURST_MAX);
}

/* Unknown neighbour and empty pool: NULL, counted, nothing kept. */
static void refuses_by_value(void **state)
{
    (void)state;
    struct net_address peer = net_address_of_ipv4(PEER_IPV4);
    struct tcp_row row = {.remote = peer, .neighbour = NEIGHBOUR_NONE};
    struct packet packet;
    assert_null(net_packet_begin(&net, &row, &packet));
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_DROP_NEIGHBOUR), 1);
    net_packets_flush(&net);
    assert_int_equal(nic.sent_count, 1); /* the question */
    neighbour_learn(&net, 0, &peer, peer_mac);
    nic.refuses_take = true;
    assert_null(net_packet_begin(&net, &row, &packet));
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_DROP_BUFFER), 1);
}

static const struct tcp_key far_key = {.remote = {{[10] = 0xff, 0xff, 198, 51, 100, 7}}};

static struct packet received_syn(uint32_t tag_size, size_t room)
{
    uint8_t octets[128];
    struct writer into = writer_of(octets, sizeof octets);
    write_tcp_frame(&into, &(struct tcp_frame){.source = FAR_IPV4, .flags = TCP_SYN});
    if (tag_size != 0) {
        memmove(octets + 16, octets + 12, into.size - 12);
        memcpy(octets + 12, (const uint8_t[]){0x81, 0, 0, 0}, 4);
        into.size += 4;
    }
    return fake_nic_frame(&nic, writer_bytes(&into), room);
}

/* A reply goes back in the packet it answers, tagged or not, to the MAC it came from, and needs no
 * neighbour. */
static void replies_in_place(void **state)
{
    (void)state;
    for (uint32_t tag_size = 0; tag_size <= 4; tag_size += 4) {
        struct packet received = received_syn(tag_size, 0);
        uint8_t *buffer = received.frame;
        struct packet packet;
        uint8_t *at = net_packet_reply(&net, &received, &far_key, 40, &packet);
        assert_ptr_equal(at, buffer + 34);
        assert_null(received.frame);
        memset(at, 0, 40);
        net_packet_send(&net, &packet, 40);
        net_packets_flush(&net);
        assert_tcp_to(&nic.sent[nic.sent_count - 1], FAR_IPV4, 40);
    }
    assert_int_equal(nic.buffers_out, 0);
}

/* Too small a packet: the reply takes a fresh one, and the received stays the caller's. */
static void replies_in_a_fresh_packet(void **state)
{
    (void)state;
    struct packet received = received_syn(0, 60);
    struct packet packet;
    uint8_t *at = net_packet_reply(&net, &received, &far_key, 40, &packet);
    assert_non_null(at);
    assert_non_null(received.frame);
    memset(at, 0, 40);
    net_packet_send(&net, &packet, 40);
    net_packets_flush(&net);
    assert_tcp_to(&nic.sent[0], FAR_IPV4, 40);
    nic.refuses_take = true;
    assert_null(net_packet_reply(&net, &received, &far_key, 40, &packet));
    assert_non_null(received.frame);
    fake_nic_done(&nic, &received);
}

/* In IPv6: the header of RFC 8200, a flow label of the connection's own that never changes, the tag
 * of the local address, and no checksum but TCP's left to fill in. */
static void builds_ipv6_on_vlans(void **state)
{
    (void)state;
    net.link = test_link6();
    uint32_t labels[2] = {0};
    for (uint32_t i = 0; i < 4; i++) {
        uint16_t local = i % 2 == 0 ? 1 : 2;
        uint32_t tag_size = local == 1 ? 0 : 4;
        struct tcp_row row = {.remote = peer_ipv6,
                              .remote_port = (uint16_t)(1000 + i / 2),
                              .local_port = 5222,
                              .local = local,
                              .neighbour = NEIGHBOUR_NONE};
        row.neighbour = neighbour_learn(&net, local, &peer_ipv6, peer_mac);
        struct packet packet;
        uint8_t *at = net_packet_begin(&net, &row, &packet);
        assert_ptr_equal(at, packet.frame + 54 + tag_size);
        memset(at, 0, 32);
        net_packet_send(&net, &packet, 32);
        net_packets_flush(&net);
        const struct fake_frame *sent = &nic.sent[i];
        const struct ip6_header *ip = (const void *)(sent->octets + 14 + tag_size);
        assert_int_equal(sent->size, 54 + tag_size + 32);
        assert_int_equal(sent->flags, PACKET_FILL_TCP);
        assert_int_equal(sent->ip_offset, 14 + tag_size);
        assert_memory_equal(sent->octets, peer_mac, 6);
        if (tag_size != 0)
            assert_memory_equal(sent->octets + 12, ((const uint8_t[]){0x81, 0, 0, 7, 0x86, 0xdd}),
                                6);
        assert_int_equal(be32_get(ip->version_flow) >> 20, 0x600);
        assert_int_equal(be16_get(ip->payload_size), 32);
        assert_int_equal(ip->next, IP_PROTOCOL_TCP);
        assert_int_equal(ip->hops, 64);
        assert_memory_equal(&ip->source, &our_ipv6, 16);
        assert_memory_equal(&ip->destination, &peer_ipv6, 16);
        uint32_t label = be32_get(ip->version_flow) & 0xfffff;
        if (labels[i / 2] == 0)
            labels[i / 2] = label;
        assert_int_equal(labels[i / 2], label);
    }
    assert_int_not_equal(labels[0], labels[1]);
}

/* A reply in place moves the header by the tag it has and the other family's size; a received
 * packet too small for that is left. */
static void replies_in_ipv6(void **state)
{
    (void)state;
    net.link = test_link6();
    struct tcp_key key = {.remote = far_ipv6, .remote_port = 9, .local_port = 10, .local = 2};
    uint8_t octets[128];
    struct writer into = writer_of(octets, sizeof octets);
    write_tcp6_frame(&into, &(struct tcp_frame){.flags = TCP_SYN}, (struct ip6_frame){.vlan = 7});
    for (size_t room = 97; room <= 98; room++) {
        struct packet received = fake_nic_frame(&nic, writer_bytes(&into), room);
        struct packet packet;
        uint8_t *at = net_packet_reply(&net, &received, &key, 40, &packet);
        assert_ptr_equal(at, packet.frame + 58);
        assert_int_equal(received.frame == NULL, room == 98);
        memset(at, 0, 40);
        net_packet_send(&net, &packet, 40);
        net_packets_flush(&net);
        assert_memory_equal(nic.sent[nic.sent_count - 1].octets, peer_mac, 6);
        if (received.frame != NULL)
            fake_nic_done(&nic, &received);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(builds_fresh_packets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(builds_ipv6_on_vlans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replies_in_ipv6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flushes_a_full_burst, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_by_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replies_in_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replies_in_a_fresh_packet, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
