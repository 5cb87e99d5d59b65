/* SPDX-License-Identifier: Apache-2.0
 *
 * Echo answered, everything else counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_nic.h"
#include "frames.h"
#include "icmp.h"
#include "net_state.h"

static struct fake_nic nic;
static struct net net;
static uint8_t octets[2048];
static struct writer into;

static int set_up(void **state)
{
    (void)state;
    fake_nic_init(&nic);
    memset(&net, 0, sizeof net);
    net.options.nic = &nic.queue;
    net.options.metrics = &nic.metrics;
    net.link = test_link();
    net.now_ns = 1000000000;
    rate_limit_init(&net.echoes, ICMP_REPLIES_PER_SECOND, ICMP_REPLIES_BURST);
    into = writer_of(octets, sizeof octets);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_packets_flush(&net);
    return nic.buffers_out == 0 ? 0 : 1;
}

/* Judges and hands in what `into` holds, in a buffer of just that size; true when answered. */
static bool input(void)
{
    struct frame frame;
    struct packet packet = fake_nic_frame(&nic, writer_bytes(&into), into.size);
    frame_read(&net.link, &packet, &frame);
    assert_int_equal(frame.kind, FRAME_ICMP);
    icmp_input(&net, &packet, &frame);
    bool is_answered = packet.frame == NULL;
    fake_nic_done(&nic, &packet);
    net_packets_flush(&net);
    return is_answered;
}

/* The message after a change, with its checksum made right. */
static void set_type(uint8_t type, uint8_t code)
{
    into = writer_of(octets, sizeof octets);
    write_echo_frame(&into, BYTES("abc"), 0);
    struct icmp_header *icmp = (void *)(octets + 34);
    icmp->type = type;
    icmp->code = code;
    icmp->checksum = be16_of(0);
    icmp->checksum = checksum_of(bytes_of(icmp, 8 + 3));
}

/* The answer is the request with type 0, addresses turned round, padding gone, checksums right;
 * of any size, tagged or not. */
static void answers_echo(void **state)
{
    (void)state;
    static uint8_t payload[1472];
    memset(payload, 0x42, sizeof payload);
    static const size_t sizes[] = {0, 1, 17, 56, 57, 1472};
    for (uint32_t i = 0; i < 2 * ARRAY_COUNT(sizes); i++) {
        size_t size = sizes[i / 2];
        into = writer_of(octets, sizeof octets);
        write_echo_frame(&into, bytes_of(payload, size), size < 18 ? 18 : 0);
        if (i % 2 == 1) { /* a priority tag */
            memmove(octets + 16, octets + 12, into.size - 12);
            memcpy(octets + 12, (const uint8_t[]){0x81, 0, 0x60, 0}, 4);
            into.size += 4;
        }
        assert_true(input());
        const struct fake_frame *sent = &nic.sent[nic.sent_count - 1];
        const struct ip_header *ip = (const void *)(sent->octets + 14);
        const struct icmp_header *icmp = (const void *)(ip + 1);
        assert_int_equal(sent->size, 14 + 20 + 8 + size);
        assert_memory_equal(sent->octets, peer_mac, 6);
        assert_memory_equal(sent->octets + 6, our_mac, 6);
        assert_int_equal(be32_get(ip->source), OUR_IPV4);
        assert_int_equal(be32_get(ip->destination), PEER_IPV4);
        assert_true(checksum_is_good(bytes_of(ip, sizeof *ip)));
        assert_int_equal(icmp->type, ICMP_ECHO_REPLY);
        assert_int_equal(be32_get(icmp->rest), 0x00010002);
        assert_true(checksum_is_good(bytes_of(icmp, 8 + size)));
        assert_memory_equal(icmp + 1, payload, size);
    }
}

/* The same in IPv6, untagged and on a VLAN, behind extension headers or not. */
static void answers_echo_in_ipv6(void **state)
{
    (void)state;
    static const uint8_t padding[8] = {IP_PROTOCOL_ICMP6, 0, 1, 4};
    static uint8_t message[1400] = {ICMP6_ECHO_REQUEST, 0, 0, 0, 0, 1, 0, 2};
    net.link = test_link6();
    for (uint32_t i = 0; i < 24; i++) {
        size_t size = i < 8 ? 8 + i : 100 + i * 50;
        uint32_t tag_size = i % 2 == 0 ? 0 : 4;
        into = writer_of(octets, sizeof octets);
        write_ip6_frame(&into, &(struct ip6_frame){
                                   .vlan = i % 2 == 0 ? 0 : 7,
                                   .next = IP_PROTOCOL_ICMP6,
                                   .first = IP6_NEXT_DESTINATION,
                                   .between = bytes_of(padding, i % 3 == 0 ? sizeof padding : 0),
                                   .inside = bytes_of(message, size)});
        struct frame frame;
        struct packet packet = fake_nic_frame(&nic, writer_bytes(&into), into.size);
        frame_read(&net.link, &packet, &frame);
        assert_int_equal(frame.kind, FRAME_ICMP6);
        icmp_input(&net, &packet, &frame);
        assert_null(packet.frame);
        net_packets_flush(&net);
        const struct fake_frame *sent = &nic.sent[nic.sent_count - 1];
        const struct ip6_header *ip = (const void *)(sent->octets + 14 + tag_size);
        const struct icmp_header *icmp = (const void *)(ip + 1);
        assert_int_equal(sent->size, 54 + tag_size + size);
        assert_memory_equal(sent->octets, peer_mac, 6);
        assert_memory_equal(&ip->source, &our_ipv6, 16);
        assert_memory_equal(&ip->destination, &peer_ipv6, 16);
        assert_int_equal(be16_get(ip->payload_size), size);
        assert_int_equal(icmp->type, ICMP6_ECHO_REPLY);
        assert_true(checksum_is_good_ipv6(ip, IP_PROTOCOL_ICMP6, bytes_of(icmp, size)));
        assert_memory_equal(icmp + 1, message + 8, size - 8);
    }
}

/* A flood gets a burst of answers, and a thousand a second after it. */
static void bounds_its_answers(void **state)
{
    (void)state;
    write_echo_frame(&into, BYTES("x"), 0);
    uint32_t answered = 0;
    for (uint32_t i = 0; i < 1000; i++)
        answered += input();
    assert_int_equal(answered, ICMP_REPLIES_BURST);
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_DROP_ICMP_RATE),
                     1000 - ICMP_REPLIES_BURST);
    net.now_ns += 10000000;
    answered = 0;
    for (uint32_t i = 0; i < 1000; i++)
        answered += input();
    assert_int_equal(answered, 10);
}

/* Everything that is not an echo request has its counter and no answer. */
static void counts_the_rest(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        uint8_t code;
        enum metric counter;
    } cases[] = {
        {ICMP_UNREACHABLE, 4, METRIC_NET_DROP_ICMP_ERROR},
        {ICMP_SOURCE_QUENCH, 0, METRIC_NET_DROP_ICMP_ERROR},
        {ICMP_TIME_EXCEEDED, 0, METRIC_NET_DROP_ICMP_ERROR},
        {ICMP_PARAMETER_PROBLEM, 0, METRIC_NET_DROP_ICMP_ERROR},
        {ICMP_ECHO_REPLY, 0, METRIC_NET_DROP_ICMP_OTHER},
        {ICMP_ECHO_REQUEST, 1, METRIC_NET_DROP_ICMP_OTHER},
        {13, 0, METRIC_NET_DROP_ICMP_OTHER},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t before = metric_get(&nic.metrics, cases[i].counter);
        set_type(cases[i].type, cases[i].code);
        assert_false(input());
        assert_int_equal(metric_get(&nic.metrics, cases[i].counter), before + 1);
    }
}

/* A wrong checksum and a message shorter than its header are dropped. */
static void drops_malformed(void **state)
{
    (void)state;
    set_type(ICMP_ECHO_REQUEST, 0);
    octets[into.size - 1] ^= 1;
    assert_false(input());
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_DROP_ICMP_CHECKSUM), 1);
    for (uint16_t size = 0; size < 8; size++) {
        set_type(ICMP_ECHO_REQUEST, 0);
        struct ip_header *ip = (void *)(octets + 14);
        ip->size = be16_of((uint16_t)(20 + size));
        ip->checksum = be16_of(0);
        ip->checksum = checksum_of(bytes_of(ip, sizeof *ip));
        into.size = 34u + size;
        assert_false(input());
    }
    assert_int_equal(metric_get(&nic.metrics, METRIC_NET_DROP_ICMP_SHORT), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_echo, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_echo_in_ipv6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds_its_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(drops_malformed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
