/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of: ip, ip4.
 * frame_read() on good frames, on frames spoilt in one place (each names its counter), on every
 * truncation, every flipped bit, and on noise. Buffers are exactly as large as the frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"

#include "fake_nic.h"
#include "frames.h"

static const uint8_t syn_options[] = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0,
                                      0, 1, 0, 0,   0, 0, 1, 3,  3, 7};

static uint8_t octets[2048];
static struct writer into;
static struct fake_nic nic;

static int set_up(void **state)
{
    (void)state;
    into = writer_of(octets, sizeof octets);
    fake_nic_init(&nic);
    return 0;
}

static struct frame read_with(const struct net_link *link, uint16_t flags)
{
    struct frame frame;
    memset(&frame, 0x5a, sizeof frame);
    struct packet packet = fake_nic_frame(&nic, writer_bytes(&into), into.size);
    packet.flags = flags;
    frame_read(link, &packet, &frame);
    fake_nic_done(&nic, &packet);
    return frame;
}

static struct frame read_frame(void)
{
    struct net_link link = test_link();
    return read_with(&link, 0);
}

static void assert_dropped(enum metric reason)
{
    struct frame frame = read_frame();
    assert_int_equal(frame.kind, FRAME_DROP);
    assert_string_equal(metric_name(frame.reason), metric_name(reason));
    assert_int_equal(frame.reason, reason);
}

static void start_tcp(const struct tcp_frame *frame)
{
    into = writer_of(octets, sizeof octets);
    write_tcp_frame(&into, frame);
}

static struct ip_header *ip_at(void)
{
    return (void *)(octets + 14);
}

static struct tcp_header *tcp_at(void)
{
    return (void *)(octets + 34);
}

/* A SYN with options and a data segment with padding come out field by field. */
static void reads_segments(void **state)
{
    (void)state;
    start_tcp(&(struct tcp_frame){.seq = 0xfffffff0u,
                                  .flags = TCP_SYN,
                                  .options = bytes_of(syn_options, sizeof syn_options)});
    struct frame frame = read_frame();
    assert_int_equal(frame.kind, FRAME_TCP);
    struct net_address peer = net_address_of_ipv4(PEER_IPV4);
    assert_memory_equal(&frame.segment.key.remote, &peer, sizeof peer);
    assert_int_equal(frame.segment.key.remote_port, PEER_PORT);
    assert_int_equal(frame.segment.key.local_port, OUR_PORT);
    assert_int_equal(frame.segment.seq, 0xfffffff0u);
    assert_int_equal(frame.segment.window, 0x2000);
    assert_int_equal(frame.segment.options.size, sizeof syn_options);
    assert_int_equal(tcp_segment_length(&frame.segment), 1);

    start_tcp(&(struct tcp_frame){.seq = 5,
                                  .ack = 9,
                                  .flags = TCP_ACK | TCP_PSH | TCP_FIN,
                                  .payload = BYTES("<a/>"),
                                  .padding = 6});
    struct net_link link = test_link();
    struct packet packet = fake_nic_frame(&nic, writer_bytes(&into), into.size);
    frame_read(&link, &packet, &frame);
    assert_int_equal(frame.kind, FRAME_TCP);
    assert_true(bytes_equal(frame.segment.payload, BYTES("<a/>")));
    assert_int_equal(frame.segment.ack, 9);
    assert_int_equal(frame.segment.ip_size, 44);
    assert_int_equal(tcp_segment_length(&frame.segment), 5);
    assert_memory_equal(frame.segment.source_mac, peer_mac, 6);
    fake_nic_done(&nic, &packet);
}

/* An acknowledgement number without ACK is noise and reads as 0. */
static void ignores_ack_without_flag(void **state)
{
    (void)state;
    start_tcp(&(struct tcp_frame){.ack = 0x01020304, .flags = TCP_SYN});
    assert_int_equal(read_frame().segment.ack, 0);
}

/* A priority tag is read over; a VLAN is not ours. */
static void reads_priority_tags(void **state)
{
    (void)state;
    start_tcp(&(struct tcp_frame){.flags = TCP_ACK, .payload = BYTES("x")});
    memmove(octets + 16, octets + 12, into.size - 12);
    into.size += 4;
    octets[12] = 0x81;
    octets[13] = 0x00;
    octets[14] = 0xa0;
    octets[15] = 0x00;
    struct frame frame = read_frame();
    assert_int_equal(frame.kind, FRAME_TCP);
    octets[15] = 0x05;
    assert_dropped(METRIC_NET_DROP_VLAN);
    into.size = 17;
    assert_dropped(METRIC_NET_DROP_ETHERNET_SHORT);
}

/* Frames for others, of unknown types and to groups. */
static void drops_ethernet(void **state)
{
    (void)state;
    start_tcp(&(struct tcp_frame){.flags = TCP_ACK});
    octets[5] ^= 0x40;
    assert_dropped(METRIC_NET_DROP_ETHERNET_OTHER);
    octets[5] ^= 0x40;
    octets[6] |= 1;
    assert_dropped(METRIC_NET_DROP_ETHERNET_OTHER);
    octets[6] &= 0xfe;
    octets[13] = 0x01;
    assert_dropped(METRIC_NET_DROP_ETHERNET_TYPE);
    octets[13] = 0;
    memset(octets, 0xff, 6);
    assert_dropped(METRIC_NET_DROP_IP_GROUP);
}

/* Each field of the IP header that can be wrong. */
static void drops_ip_headers(void **state)
{
    (void)state;
    static const struct {
        uint32_t offset;
        uint8_t value;
        enum metric reason;
    } cases[] = {
        {0, 0x65, METRIC_NET_DROP_IP_VERSION},
        {0, 0x44, METRIC_NET_DROP_IP_HEADER_SIZE},
        {0, 0x46, METRIC_NET_DROP_IP_OPTIONS},
        {2, 0x01, METRIC_NET_DROP_IP_SIZE},     /* longer than the frame */
        {3, 0x13, METRIC_NET_DROP_IP_SIZE},     /* shorter than its header */
        {6, 0x20, METRIC_NET_DROP_IP_FRAGMENT}, /* first of several */
        {7, 0x01, METRIC_NET_DROP_IP_FRAGMENT}, /* a later one */
        {9, 17, METRIC_NET_DROP_IP_PROTOCOL},   /* UDP */
        {12, 0, METRIC_NET_DROP_IP_SOURCE},     /* 0.0.0.9 */
        {12, 127, METRIC_NET_DROP_IP_SOURCE},
        {12, 224, METRIC_NET_DROP_IP_SOURCE},
        {12, 255, METRIC_NET_DROP_IP_SOURCE},
        {15, 0, METRIC_NET_DROP_IP_SOURCE},   /* the link's own number */
        {15, 255, METRIC_NET_DROP_IP_SOURCE}, /* the link's broadcast address */
        {15, 1, METRIC_NET_DROP_IP_LAND},
        {19, 2, METRIC_NET_DROP_IP_DESTINATION},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(cases); i++) {
        start_tcp(&(struct tcp_frame){.flags = TCP_ACK});
        octets[14 + cases[i].offset] = cases[i].value;
        ip_at()->checksum = be16_of(0);
        ip_at()->checksum = checksum_of(bytes_of(ip_at(), sizeof(struct ip_header)));
        assert_dropped(cases[i].reason);
    }
    start_tcp(&(struct tcp_frame){.flags = TCP_ACK});
    octets[14 + 8] ^= 1;
    assert_dropped(METRIC_NET_DROP_IP_CHECKSUM);
}

/* An off-link peer is good with a gateway and has no way back without one. */
static void needs_a_way_back(void **state)
{
    (void)state;
    struct net_link link = test_link();
    start_tcp(&(struct tcp_frame){.source = FAR_IPV4, .flags = TCP_ACK});
    assert_int_equal(read_with(&link, 0).kind, FRAME_TCP);
    link.locals[0].router = LINK_ROUTER_NONE;
    struct frame frame = read_with(&link, 0);
    assert_int_equal(frame.kind, FRAME_DROP);
    assert_int_equal(frame.reason, METRIC_NET_DROP_NO_ROUTE);
}

/* What the port verified is not summed again; what it did not, is. */
static void verifies_what_the_port_did_not(void **state)
{
    (void)state;
    struct net_link link = test_link();
    start_tcp(&(struct tcp_frame){.flags = TCP_ACK, .payload = BYTES("x")});
    octets[into.size - 1] ^= 1;
    ip_at()->hops--;
    assert_dropped(METRIC_NET_DROP_IP_CHECKSUM);
    assert_int_equal(read_with(&link, PACKET_IP_GOOD).reason, METRIC_NET_DROP_TCP_CHECKSUM);
    assert_int_equal(read_with(&link, PACKET_IP_GOOD | PACKET_L4_GOOD).kind, FRAME_TCP);
}

/* All 256 flag octets: only those that mean something pass. */
static void judges_flags(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags < 256; flags++) {
        start_tcp(&(struct tcp_frame){.flags = (uint8_t)flags});
        bool says_something = (flags & (TCP_SYN | TCP_ACK | TCP_RST)) != 0;
        bool says_two = (flags & TCP_SYN) != 0 && (flags & (TCP_FIN | TCP_RST)) != 0;
        if (says_something && !says_two)
            assert_int_equal(read_frame().kind, FRAME_TCP);
        else
            assert_dropped(METRIC_NET_DROP_TCP_FLAGS);
    }
}

/* Header sizes below 20 or past the segment. */
static void drops_tcp_headers(void **state)
{
    (void)state;
    for (uint8_t words = 0; words < 16; words++) {
        start_tcp(&(struct tcp_frame){.flags = TCP_ACK, .payload = BYTES("\1\1\1\1\1\1\1\1")});
        tcp_at()->offset = (uint8_t)(words << 4);
        fix_checksums(octets);
        if (words >= 5 && words <= 7)
            assert_int_equal(read_frame().kind, FRAME_TCP);
        else
            assert_dropped(METRIC_NET_DROP_TCP_HEADER_SIZE);
    }
}

/* Options: sizes 0 and 1, a size over the end, a kind without its size; END hides what follows. */
static void judges_options(void **state)
{
    (void)state;
    static const struct {
        uint8_t options[4];
        bool is_sound;
    } cases[] = {
        {{1, 1, 1, 1}, true},   {{0, 2, 0, 0}, true},  {{2, 4, 5, 180}, true},
        {{1, 1, 4, 2}, true},   {{2, 0, 0, 0}, false}, {{2, 1, 0, 0}, false},
        {{8, 10, 0, 0}, false}, {{1, 1, 1, 8}, false}, {{254, 5, 0, 0}, false},
        {{254, 4, 0, 0}, true},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(cases); i++) {
        start_tcp(&(struct tcp_frame){.flags = TCP_SYN, .options = bytes_of(cases[i].options, 4)});
        if (cases[i].is_sound)
            assert_int_equal(read_frame().kind, FRAME_TCP);
        else
            assert_dropped(METRIC_NET_DROP_TCP_OPTIONS);
    }
}

/* Port 0 names nobody. */
static void drops_port_zero(void **state)
{
    (void)state;
    start_tcp(&(struct tcp_frame){.flags = TCP_SYN});
    tcp_at()->source_port = be16_of(0);
    fix_checksums(octets);
    assert_dropped(METRIC_NET_DROP_TCP_PORT);
    start_tcp(&(struct tcp_frame){.flags = TCP_SYN});
    tcp_at()->destination_port = be16_of(0);
    fix_checksums(octets);
    assert_dropped(METRIC_NET_DROP_TCP_PORT);
}

/* Cut anywhere, a TCP, an ICMP and an ARP frame are dropped or read as shorter, never past their
 * end (the buffer ends there). */
static void survives_every_truncation(void **state)
{
    (void)state;
    start_tcp(&(struct tcp_frame){.flags = TCP_SYN,
                                  .options = bytes_of(syn_options, sizeof syn_options),
                                  .payload = BYTES("hello")});
    size_t whole = into.size;
    for (into.size = 0; into.size < whole; into.size++)
        assert_int_equal(read_frame().kind, FRAME_DROP);
    assert_int_equal(read_frame().kind, FRAME_TCP);

    into = writer_of(octets, sizeof octets);
    write_echo_frame(&into, BYTES("ping"), 0);
    whole = into.size;
    for (into.size = 0; into.size < whole; into.size++)
        assert_int_equal(read_frame().kind, FRAME_DROP);
    assert_int_equal(read_frame().kind, FRAME_ICMP);
}

/* One flipped bit in what checksums cover drops the frame or, in MACs, sends it to others. */
static void drops_every_flipped_bit(void **state)
{
    (void)state;
    start_tcp(&(struct tcp_frame){.flags = TCP_ACK, .payload = BYTES("payload")});
    for (size_t bit = 14 * 8; bit < into.size * 8; bit++) {
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(read_frame().kind, FRAME_DROP);
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* Noise, and good frames with noise in them and checksums right: whatever comes out has views
 * inside the frame. */
static void survives_noise(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 3);
    struct net_link link = test_link();
    for (uint32_t round = 0; round < 200000; round++) {
        start_tcp(&(struct tcp_frame){.flags = TCP_ACK,
                                      .options = bytes_of(syn_options, sizeof syn_options),
                                      .payload = BYTES("0123456789")});
        for (uint32_t i = random_below(&random, 4); i > 0; i--)
            octets[12 + random_below(&random, (uint32_t)into.size - 12)] =
                (uint8_t)random_u32(&random);
        into.size = random_below(&random, 8) == 0 ? random_below(&random, 80) : into.size;
        struct packet packet = fake_nic_frame(&nic, writer_bytes(&into), into.size);
        packet.flags = PACKET_IP_GOOD | PACKET_L4_GOOD;
        struct frame frame;
        frame_read(&link, &packet, &frame);
        if (frame.kind == FRAME_TCP) {
            struct bytes payload = frame.segment.payload;
            assert_true(payload.at + payload.size <= packet.frame + packet.size);
            assert_true(frame.segment.options.size <= TCP_OPTIONS_SIZE_MAX);
        }
        fake_nic_done(&nic, &packet);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reads_segments, set_up),
        cmocka_unit_test_setup(ignores_ack_without_flag, set_up),
        cmocka_unit_test_setup(reads_priority_tags, set_up),
        cmocka_unit_test_setup(drops_ethernet, set_up),
        cmocka_unit_test_setup(drops_ip_headers, set_up),
        cmocka_unit_test_setup(needs_a_way_back, set_up),
        cmocka_unit_test_setup(verifies_what_the_port_did_not, set_up),
        cmocka_unit_test_setup(judges_flags, set_up),
        cmocka_unit_test_setup(drops_tcp_headers, set_up),
        cmocka_unit_test_setup(judges_options, set_up),
        cmocka_unit_test_setup(drops_port_zero, set_up),
        cmocka_unit_test_setup(survives_every_truncation, set_up),
        cmocka_unit_test_setup(drops_every_flipped_bit, set_up),
        cmocka_unit_test_setup(survives_noise, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
