/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of: ip6.
 * frame_read() on IPv6: good frames, frames spoilt in one place (each names its counter), every
 * truncation, every flipped bit, chains of extension headers up to and past their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"

#include "fake_nic.h"
#include "frames.h"

static uint8_t octets[2048];
static struct writer into;
static struct fake_nic nic;
static struct net_link link;

static const struct tcp_frame syn = {.seq = 77, .flags = TCP_SYN};

static int set_up(void **state)
{
    (void)state;
    into = writer_of(octets, sizeof octets);
    fake_nic_init(&nic);
    link = test_link6();
    return 0;
}

static struct frame read_frame(void)
{
    struct frame frame;
    memset(&frame, 0x5a, sizeof frame);
    struct packet packet = fake_nic_frame(&nic, writer_bytes(&into), into.size);
    frame_read(&link, &packet, &frame);
    fake_nic_done(&nic, &packet);
    return frame;
}

static void assert_reason(enum metric reason)
{
    struct frame frame = read_frame();
    assert_int_equal(frame.kind, FRAME_DROP);
    assert_string_equal(metric_name(frame.reason), metric_name(reason));
    assert_int_equal(frame.reason, reason);
}

static struct frame read_syn(struct ip6_frame around)
{
    into = writer_of(octets, sizeof octets);
    write_tcp6_frame(&into, &syn, around);
    return read_frame();
}

static void assert_syn_dropped(struct ip6_frame around, enum metric reason)
{
    into = writer_of(octets, sizeof octets);
    write_tcp6_frame(&into, &syn, around);
    assert_reason(reason);
}

/* A segment comes out field by field, untagged, priority-tagged and on its VLAN; the local address
 * is named by its number. */
static void reads_segments(void **state)
{
    (void)state;
    static const uint16_t tags[] = {0, 0xe000, 0x2007};
    for (uint32_t i = 0; i < ARRAY_COUNT(tags); i++) {
        into = writer_of(octets, sizeof octets);
        write_tcp6_frame(&into,
                         &(struct tcp_frame){.seq = 5,
                                             .ack = 9,
                                             .flags = TCP_ACK,
                                             .payload = BYTES("<presence/>"),
                                             .padding = 3},
                         (struct ip6_frame){.vlan = tags[i]});
        struct frame frame = read_frame();
        assert_int_equal(frame.kind, FRAME_TCP);
        assert_int_equal(frame.vlan, tags[i] & 0xfff);
        assert_true(net_address_equal(&frame.segment.key.remote, &peer_ipv6));
        assert_int_equal(frame.segment.key.remote_port, PEER_PORT);
        assert_int_equal(frame.segment.key.local_port, OUR_PORT);
        assert_int_equal(frame.segment.key.local, i == 2 ? 2 : 1);
        assert_int_equal(frame.segment.seq, 5);
        assert_int_equal(frame.segment.ack, 9);
        assert_int_equal(frame.segment.ip_size, 40 + 20 + 11);
        assert_int_equal(frame.segment.payload.size, 11);
    }
    assert_int_equal(read_syn((struct ip6_frame){.vlan = 8}).reason, METRIC_NET_DROP_VLAN);
}

/* Who may speak to whom. */
static void judges_addresses(void **state)
{
    (void)state;
    struct net_address loopback = {{[15] = 1}};
    struct net_address compatible = {{[12] = 10, [15] = 9}};
    struct net_address mapped = net_address_of_ipv4(PEER_IPV4);
    struct net_address group = {{0xff, 0x02, [15] = 1}};
    struct net_address scoped = {{0xfe, 0x80, [15] = 0x77}};
    assert_syn_dropped((struct ip6_frame){.is_from_nobody = true}, METRIC_NET_DROP_IP_SOURCE);
    assert_syn_dropped((struct ip6_frame){.source = loopback}, METRIC_NET_DROP_IP_SOURCE);
    assert_syn_dropped((struct ip6_frame){.source = compatible}, METRIC_NET_DROP_IP_SOURCE);
    assert_syn_dropped((struct ip6_frame){.source = mapped}, METRIC_NET_DROP_IP_SOURCE);
    assert_syn_dropped((struct ip6_frame){.source = group}, METRIC_NET_DROP_IP_SOURCE);
    assert_syn_dropped((struct ip6_frame){.source = our_ipv6}, METRIC_NET_DROP_IP_LAND);
    assert_syn_dropped((struct ip6_frame){.source = our_link_local}, METRIC_NET_DROP_IP_LAND);
    assert_syn_dropped((struct ip6_frame){.destination = peer_ipv6},
                       METRIC_NET_DROP_IP_DESTINATION);
    assert_syn_dropped((struct ip6_frame){.destination = loopback}, METRIC_NET_DROP_IP_DESTINATION);
    assert_syn_dropped((struct ip6_frame){.destination = group}, METRIC_NET_DROP_IP_GROUP);
    assert_syn_dropped((struct ip6_frame){.to = every_mac}, METRIC_NET_DROP_IP_GROUP);
    assert_syn_dropped((struct ip6_frame){.source = far_ipv6}, METRIC_NET_DROP_NO_ROUTE);
    assert_int_equal(
        read_syn((struct ip6_frame){.source = scoped, .destination = our_link_local}).kind,
        FRAME_TCP);
    link.locals[1].router = 1;
    assert_int_equal(read_syn((struct ip6_frame){.source = far_ipv6}).kind, FRAME_TCP);
    link.locals[1].state = LINK_TENTATIVE;
    assert_syn_dropped((struct ip6_frame){0}, METRIC_NET_DROP_IP_DESTINATION);
    link.locals[1].state = LINK_DUPLICATE;
    assert_syn_dropped((struct ip6_frame){0}, METRIC_NET_DROP_IP_DESTINATION);
}

/* Header fields spoilt one by one. */
static void judges_the_header(void **state)
{
    (void)state;
    into = writer_of(octets, sizeof octets);
    write_tcp6_frame(&into, &syn, (struct ip6_frame){0});
    octets[14] = 0x45;
    assert_reason(METRIC_NET_DROP_IP_VERSION);
    octets[14] = 0x60;
    octets[19]++; /* one octet more than there is */
    assert_reason(METRIC_NET_DROP_IP_SIZE);
    octets[19]--;
    octets[20] = IP_PROTOCOL_UDP;
    assert_reason(METRIC_NET_DROP_IP_PROTOCOL);
    octets[20] = IP_PROTOCOL_TCP;
    octets[54 + 4] ^= 1;
    assert_reason(METRIC_NET_DROP_TCP_CHECKSUM);
    octets[54 + 4] ^= 1;
    octets[37] ^= 1; /* the pseudo-header covers the addresses */
    assert_reason(METRIC_NET_DROP_TCP_CHECKSUM);
    octets[37] ^= 1;
    assert_int_equal(read_frame().kind, FRAME_TCP);
    octets[19] = 0; /* a jumbogram's size */
    assert_reason(METRIC_NET_DROP_TCP_SHORT);
}

/* ---- extension headers ---- */

struct chain {
    uint8_t octets[512];
    struct writer into;
    uint8_t first;
    uint8_t last_at; /* where the last header's "next" stands */
};

static void chain_add(struct chain *chain, uint8_t kind, struct bytes body)
{
    assert_int_equal((body.size + 2) % 8, 0);
    if (chain->into.size == 0)
        chain->first = kind;
    else
        chain->octets[chain->last_at] = kind;
    chain->last_at = (uint8_t)chain->into.size;
    write_u8(&chain->into, IP_PROTOCOL_TCP);
    write_u8(&chain->into, kind == IP6_NEXT_FRAGMENT ? 0 : (uint8_t)((body.size + 2) / 8 - 1));
    write_bytes(&chain->into, body);
}

static struct chain chain_of(void)
{
    struct chain chain = {0};
    return chain;
}

static struct ip6_frame behind(const struct chain *chain)
{
    return (struct ip6_frame){.first = chain->first, .between = writer_bytes(&chain->into)};
}

#define START(name)                                                                                \
    struct chain name = chain_of();                                                                \
    name.into = writer_of(name.octets, sizeof name.octets)

#define BODY(...) bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define PADDING BODY(1, 4, 0, 0, 0, 0)

/* One of each kind that may pass, and all of them together. */
static void goes_by_extensions(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {IP6_NEXT_HOP_BY_HOP, IP6_NEXT_DESTINATION, IP6_NEXT_ROUTING,
                                    IP6_NEXT_FRAGMENT};
    START(all);
    for (uint32_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        START(one);
        /* a routing header of type 4 with nothing left; an atomic fragment */
        struct bytes body = i < 2    ? PADDING
                            : i == 2 ? BODY(4, 0, 0, 0, 0, 0)
                                     : BODY(0, 0, 1, 2, 3, 4);
        chain_add(&one, kinds[i], body);
        chain_add(&all, kinds[i], body);
        struct frame frame = read_syn(behind(&one));
        assert_int_equal(frame.kind, FRAME_TCP);
        assert_int_equal(frame.segment.seq, 77);
        assert_int_equal(frame.segment.ip_size, 40 + 8 + 20);
    }
    assert_int_equal(read_syn(behind(&all)).kind, FRAME_TCP);
    START(unknown); /* an option of no action but to go on, and router alert */
    chain_add(&unknown, IP6_NEXT_HOP_BY_HOP, BODY(5, 2, 0, 0, 0x1e, 0));
    assert_int_equal(read_syn(behind(&unknown)).kind, FRAME_TCP);
}

/* What says "drop me", what is misplaced, cut, or a real fragment. */
static void refuses_extensions(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind;
        uint8_t body[6];
        enum metric reason;
    } cases[] = {
        {IP6_NEXT_HOP_BY_HOP, {0xc2, 4, 0, 1, 0, 0}, METRIC_NET_DROP_IP6_OPTION}, /* jumbo */
        {IP6_NEXT_HOP_BY_HOP, {0x40, 4}, METRIC_NET_DROP_IP6_OPTION},
        {IP6_NEXT_DESTINATION, {0x80, 4}, METRIC_NET_DROP_IP6_OPTION},
        {IP6_NEXT_DESTINATION, {1, 5}, METRIC_NET_DROP_IP6_OPTION}, /* past the header */
        {IP6_NEXT_DESTINATION, {0, 0, 0, 0, 0, 1}, METRIC_NET_DROP_IP6_OPTION}, /* no size */
        {IP6_NEXT_ROUTING, {0, 0}, METRIC_NET_DROP_IP6_ROUTING},
        {IP6_NEXT_ROUTING, {0, 1}, METRIC_NET_DROP_IP6_ROUTING},
        {IP6_NEXT_ROUTING, {4, 1}, METRIC_NET_DROP_IP6_ROUTING},
        {IP6_NEXT_FRAGMENT, {0, 1}, METRIC_NET_DROP_IP_FRAGMENT},
        {IP6_NEXT_FRAGMENT, {0, 8}, METRIC_NET_DROP_IP_FRAGMENT},
        {50, {0}, METRIC_NET_DROP_IP_PROTOCOL},
        {51, {0}, METRIC_NET_DROP_IP_PROTOCOL},
        {59, {0}, METRIC_NET_DROP_IP_PROTOCOL},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(cases); i++) {
        START(chain);
        chain_add(&chain, cases[i].kind, bytes_of(cases[i].body, 6));
        assert_syn_dropped(behind(&chain), cases[i].reason);
    }
    START(second); /* hop by hop stands first or not at all */
    chain_add(&second, IP6_NEXT_DESTINATION, PADDING);
    chain_add(&second, IP6_NEXT_HOP_BY_HOP, PADDING);
    assert_syn_dropped(behind(&second), METRIC_NET_DROP_IP6_EXTENSION);
    START(cut);
    chain_add(&cut, IP6_NEXT_DESTINATION, PADDING);
    cut.octets[1] = 9;
    assert_syn_dropped(behind(&cut), METRIC_NET_DROP_IP6_EXTENSION);
}

/* The bounds: eight headers and 256 octets are gone by, one more is not. */
static void bounds_the_walk(void **state)
{
    (void)state;
    START(chain);
    for (uint32_t i = 1; i <= 2 * IP6_EXTENSIONS_MAX; i++) {
        chain_add(&chain, IP6_NEXT_DESTINATION, PADDING);
        struct frame frame = read_syn(behind(&chain));
        assert_int_equal(frame.kind, i <= IP6_EXTENSIONS_MAX ? FRAME_TCP : FRAME_DROP);
        if (i > IP6_EXTENSIONS_MAX)
            assert_int_equal(frame.reason, METRIC_NET_DROP_IP6_EXTENSION);
    }
    for (uint32_t size = 8; size <= 304; size += 8) {
        static const uint8_t zeros[320]; /* Pad1 */
        START(one);
        chain_add(&one, IP6_NEXT_HOP_BY_HOP, bytes_of(zeros, size - 2));
        assert_int_equal(read_syn(behind(&one)).kind,
                         size <= IP6_EXTENSION_BYTES_MAX ? FRAME_TCP : FRAME_DROP);
    }
}

/* ---- ICMPv6 ---- */

static struct frame read_icmp(uint8_t type, struct ip6_frame around)
{
    uint8_t message[24] = {type};
    into = writer_of(octets, sizeof octets);
    around.next = IP_PROTOCOL_ICMP6;
    around.inside = bytes_of(message, sizeof message);
    write_ip6_frame(&into, &around);
    return read_frame();
}

/* Neighbour discovery comes with 255 hops, to groups and tentative addresses too, and from nobody;
 * other messages only from somebody to one of us. */
static void lets_discovery_through(void **state)
{
    (void)state;
    struct net_address all = {{0xff, 0x02, [15] = 1}};
    const uint8_t all_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
    struct ip6_frame to_all = {.destination = all, .to = all_mac, .hops = 255, .vlan = 7};
    struct frame frame = read_icmp(NDP_SOLICITATION, to_all);
    assert_int_equal(frame.kind, FRAME_NDP);
    assert_int_equal(frame.vlan, 7);
    assert_true(frame.is_to_group);
    assert_true(net_address_equal(&frame.remote, &peer_ipv6));

    to_all.is_from_nobody = true;
    frame = read_icmp(NDP_SOLICITATION, to_all);
    assert_int_equal(frame.kind, FRAME_NDP);
    assert_true(net_address_is_none(&frame.remote));
    for (uint8_t type = NDP_ROUTER_SOLICITATION; type <= NDP_REDIRECT; type++)
        assert_int_equal(read_icmp(type, to_all).kind, FRAME_NDP);
    to_all.hops = 254;
    assert_int_equal(read_icmp(NDP_SOLICITATION, to_all).reason, METRIC_NET_DROP_NDP_HOPS);
    to_all.hops = 255;
    to_all.is_from_nobody = false;
    to_all.source = all;
    assert_int_equal(read_icmp(NDP_SOLICITATION, to_all).reason, METRIC_NET_DROP_IP_SOURCE);
    to_all.source = peer_ipv6;
    assert_int_equal(read_icmp(ICMP6_ECHO_REQUEST, to_all).reason, METRIC_NET_DROP_IP_GROUP);

    link.locals[1].state = LINK_TENTATIVE;
    struct ip6_frame to_us = {.hops = 255};
    frame = read_icmp(NDP_ADVERTISEMENT, to_us);
    assert_int_equal(frame.kind, FRAME_NDP);
    assert_false(frame.is_to_group);
    assert_int_equal(read_icmp(ICMP6_ECHO_REQUEST, to_us).reason, METRIC_NET_DROP_IP_DESTINATION);
    to_us.destination = peer_ipv6;
    assert_int_equal(read_icmp(NDP_ADVERTISEMENT, to_us).reason, METRIC_NET_DROP_IP_DESTINATION);

    link.locals[1].state = LINK_READY;
    frame = read_icmp(ICMP6_ECHO_REQUEST, (struct ip6_frame){0});
    assert_int_equal(frame.kind, FRAME_ICMP6);
    assert_int_equal(frame.local, 1);
    assert_int_equal(frame.icmp.size, 24);
    octets[54 + 10] ^= 1;
    assert_reason(METRIC_NET_DROP_ICMP_CHECKSUM);
}

/* Every cut is a drop, and no flipped bit and no noise reads past the frame or names a local that
 * is not there. */
static void survives_everything(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 9);
    START(chain);
    chain_add(&chain, IP6_NEXT_HOP_BY_HOP, PADDING);
    chain_add(&chain, IP6_NEXT_FRAGMENT, BODY(0, 0, 1, 2, 3, 4));
    assert_int_equal(read_syn(behind(&chain)).kind, FRAME_TCP);
    size_t whole = into.size;
    for (size_t size = 0; size < whole; size++) {
        into.size = size;
        assert_int_equal(read_frame().kind, FRAME_DROP);
    }
    into.size = whole;
    for (size_t bit = 0; bit < whole * 8; bit++) {
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct frame frame = read_frame();
        if (frame.kind == FRAME_TCP)
            assert_true(frame.segment.key.local < link.local_count);
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (uint32_t round = 0; round < 50000; round++) {
        into.size = whole;
        for (uint32_t i = 0; i < 4; i++)
            octets[18 + random_below(&random, 60)] = (uint8_t)random_u32(&random);
        octets[14] = 0x60;
        (void)read_frame();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reads_segments, set_up),
        cmocka_unit_test_setup(judges_addresses, set_up),
        cmocka_unit_test_setup(judges_the_header, set_up),
        cmocka_unit_test_setup(goes_by_extensions, set_up),
        cmocka_unit_test_setup(refuses_extensions, set_up),
        cmocka_unit_test_setup(bounds_the_walk, set_up),
        cmocka_unit_test_setup(lets_discovery_through, set_up),
        cmocka_unit_test_setup(survives_everything, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
