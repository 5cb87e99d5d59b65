/* SPDX-License-Identifier: Apache-2.0
 *
 * Listener reports octet by octet, and queries good and bad, through frame_read(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_nic.h"
#include "frames.h"
#include "mld.h"
#include "net_state.h"

#define SECOND UINT64_C(1000000000)

static const struct net_address all_nodes = {{0xff, 0x02, [15] = 1}};
static const struct net_address all_listeners = {{0xff, 0x02, [15] = 0x16}};
static const struct net_address querier = {{0xfe, 0x80, [15] = 0x55}};
static const struct net_address our_group = {{0xff, 0x02, [11] = 1, [12] = 0xff, [15] = 1}};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

static struct fake_nic nic;
static struct net net;

static int set_up(void **state)
{
    (void)state;
    fake_nic_init(&nic);
    memset(&net, 0, sizeof net);
    net.options.nic = &nic.queue;
    net.options.metrics = &nic.metrics;
    net.link = test_link6();
    net.now_ns = 1000 * SECOND;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_packets_flush(&net);
    return nic.buffers_out == 0 ? 0 : 1;
}

static void assert_report(const struct fake_frame *frame, uint32_t tag_size, uint8_t kind,
                          const struct net_address *from)
{
    const struct ip6_header *ip = (const void *)(frame->octets + 14 + tag_size);
    const uint8_t *alert = (const uint8_t *)(ip + 1);
    const struct mld_report *report = (const void *)(alert + 8);
    const struct mld_record *records = (const void *)(report + 1);
    assert_memory_equal(frame->octets, ((const uint8_t[]){0x33, 0x33, 0, 0, 0, 0x16}), 6);
    assert_int_equal(ip->hops, 1);
    assert_int_equal(ip->next, IP6_NEXT_HOP_BY_HOP);
    assert_memory_equal(&ip->source, from, 16);
    assert_memory_equal(&ip->destination, &all_listeners, 16);
    assert_memory_equal(alert, ((const uint8_t[]){58, 0, 5, 2, 0, 0, 1, 0}), 8);
    assert_int_equal(report->type, 143);
    assert_int_equal(be16_get(report->count), 2);
    assert_int_equal(be16_get(ip->payload_size), 8 + 8 + 2 * 20);
    assert_int_equal(frame->size, 54 + tag_size + 56);
    assert_true(checksum_is_good_ipv6(ip, IP_PROTOCOL_ICMP6, bytes_of(report, 48)));
    for (uint32_t i = 0; i < 2; i++) { /* the address's and the link-local one's are the same */
        assert_int_equal(records[i].kind, kind);
        assert_int_equal(records[i].auxiliary_size, 0);
        assert_int_equal(be16_get(records[i].source_count), 0);
        assert_memory_equal(&records[i].group, &our_group, 16);
    }
}

/* The groups of one VLAN, tagged, from the link-local address or, before it is ready, nobody;
 * without what is a duplicate, by queue 0 only. */
static void reports_a_vlan(void **state)
{
    (void)state;
    const struct net_address nobody = {0};
    mld_report(&net, 0, MLD_TO_EXCLUDE);
    mld_report(&net, 7, MLD_IS_EXCLUDE);
    net.link.locals[4].state = LINK_TENTATIVE;
    mld_report(&net, 7, MLD_TO_EXCLUDE);
    net_packets_flush(&net);
    assert_report(&nic.sent[0], 0, 4, &our_link_local);
    assert_report(&nic.sent[1], 4, 2, &our_link_local);
    assert_report(&nic.sent[2], 4, 4, &nobody);
    net.link.locals[2].state = LINK_DUPLICATE;
    mld_report(&net, 7, MLD_TO_EXCLUDE);
    net_packets_flush(&net);
    assert_int_equal(nic.sent[3].size, 58 + 36);
    nic.queue.index = 1;
    mld_report(&net, 0, MLD_TO_EXCLUDE);
    nic.queue.index = 0;
    nic.refuses_take = true;
    mld_report(&net, 0, MLD_TO_EXCLUDE);
    net_packets_flush(&net);
    assert_int_equal(nic.sent_count, 4);
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_MLD_REPORTS), 4);
}

static struct frame query(struct net_address from, uint8_t hops)
{
    static const uint8_t alert[8] = {IP_PROTOCOL_ICMP6, 0, 5, 2, 0, 0, 1, 0};
    static const uint8_t message[28] = {MLD_QUERY};
    uint8_t octets[256];
    struct writer into = writer_of(octets, sizeof octets);
    write_ip6_frame(&into, &(struct ip6_frame){.source = from,
                                               .destination = all_nodes,
                                               .to = all_nodes_mac,
                                               .hops = hops,
                                               .next = IP_PROTOCOL_ICMP6,
                                               .first = IP6_NEXT_HOP_BY_HOP,
                                               .between = bytes_of(alert, sizeof alert),
                                               .inside = bytes_of(message, sizeof message)});
    struct packet packet = fake_nic_frame(&nic, writer_bytes(&into), 0);
    struct frame frame;
    frame_read(&net.link, &packet, &frame);
    if (frame.kind == FRAME_MLD)
        mld_input(&net, &frame);
    fake_nic_done(&nic, &packet);
    net_packets_flush(&net);
    return frame;
}

/* A querier with a link-local address and one hop is answered, once a second; others are not. */
static void answers_queries(void **state)
{
    (void)state;
    assert_int_equal(query(querier, 1).kind, FRAME_MLD);
    assert_int_equal(nic.sent_count, 1);
    assert_report(&nic.sent[0], 0, 2, &our_link_local);
    for (uint32_t i = 0; i < 50; i++)
        query(querier, 1);
    assert_int_equal(nic.sent_count, 1);
    net.now_ns += SECOND;
    query(querier, 1);
    assert_int_equal(nic.sent_count, 2);
    net.now_ns += SECOND;
    assert_int_equal(query(peer_ipv6, 1).kind, FRAME_MLD);
    assert_int_equal(query(querier, 2).reason, METRIC_NET_DROP_NDP_HOPS);
    assert_int_equal(nic.sent_count, 2);
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_DROP_ICMP_RATE), 50);
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_DROP_NDP_OTHER), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reports_a_vlan, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_queries, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
