/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames no honest host sends, each a single spoilt copy of a segment that an open connection
 * would have taken: every one is dropped, moves its own counter by one and nothing else. And what
 * our own frames do not give away. */
#include "hardening.h"

static struct script script;
static struct voice honest;

struct spoilt {
    uint8_t octets[256];
    size_t size;
};

static struct ethernet_header *ethernet_of(struct spoilt *frame)
{
    return (void *)frame->octets;
}
static struct ip_header *ip_of(struct spoilt *frame)
{
    return (void *)(frame->octets + sizeof(struct ethernet_header));
}
static struct tcp_header *tcp_of(struct spoilt *frame)
{
    return (void *)(frame->octets + NET_TCP_OFFSET);
}

/* The next segment of the honest one, with eight octets of options and three of text. */
static struct spoilt sound_frame(void)
{
    static const uint8_t options[8] = {TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_NOP,
                                       TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_NOP,
                                       TCP_OPTION_NOP, TCP_OPTION_NOP};
    struct spoilt frame;
    struct writer into = writer_of(frame.octets, sizeof frame.octets);
    write_tcp_frame(&into, &(struct tcp_frame){.source_port = honest.port,
                                               .seq = honest.irs + honest.said,
                                               .ack = honest.iss,
                                               .flags = TCP_ACK | TCP_PSH,
                                               .options = bytes_of(options, sizeof options),
                                               .payload = BYTES("abc")});
    frame.size = into.size;
    return frame;
}

/* Dropped without an answer, counted there, once. */
static void expect_drop(struct spoilt *frame, enum metric metric)
{
    int64_t before = script_metric(&script, metric);
    input_octets(&script, bytes_of(frame->octets, frame->size));
    assert_int_equal(script_metric(&script, metric), before + 1);
    assert_int_equal(script.events.count, 0);
    script_turn(&script);
    script_expect_none(&script);
}

static int set_up(void **state)
{
    (void)state;
    script_open(&script);
    script_start(&script);
    honest = voice_open(&script, HONEST_PORT, SCRIPT_MSS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    voice_is_heard(&script, &honest);
    script_close(&script);
    return 0;
}

/* The frame that all others spoil would have been taken. */
static void the_sound_one_is_taken(void **state)
{
    (void)state;
    struct spoilt frame = sound_frame();
    input_octets(&script, bytes_of(frame.octets, frame.size));
    assert_int_equal(script_event_count(&script, NET_DATA), 1);
    honest.said += 3;
    script_turn(&script);
    skip_frames(&script);
}

/* Land: from us to us. */
static void land(void **state)
{
    (void)state;
    struct spoilt frame = sound_frame();
    ip_of(&frame)->source = be32_of(OUR_IPV4);
    fix_checksums(frame.octets);
    expect_drop(&frame, METRIC_NET_DROP_IP_LAND);
}

/* Martians: sources that are no host. */
static void martians(void **state)
{
    (void)state;
    static const uint32_t sources[] = {0,          0x00000001, 0x7f000001, 0xe0000001,
                                       0xf0000001, 0xffffffff, 0x0a0000ff, 0x0a000000};
    for (uint32_t i = 0; i < ARRAY_COUNT(sources); i++) {
        struct spoilt frame = sound_frame();
        ip_of(&frame)->source = be32_of(sources[i]);
        fix_checksums(frame.octets);
        expect_drop(&frame, METRIC_NET_DROP_IP_SOURCE);
    }
}

/* TCP is for one host: no multicast or broadcast, of neither layer. */
static void groups(void **state)
{
    (void)state;
    static const uint8_t macs[][6] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                      {0x01, 0x00, 0x5e, 0, 0, 1}};
    for (uint32_t i = 0; i < ARRAY_COUNT(macs); i++) {
        struct spoilt frame = sound_frame();
        memcpy(ethernet_of(&frame)->destination, macs[i], 6);
        expect_drop(&frame, METRIC_NET_DROP_IP_GROUP);
    }
    static const uint32_t addresses[] = {0xe0000001, 0xffffffff, 0x0a0000ff, 0x0a000002};
    for (uint32_t i = 0; i < ARRAY_COUNT(addresses); i++) {
        struct spoilt frame = sound_frame();
        ip_of(&frame)->destination = be32_of(addresses[i]);
        fix_checksums(frame.octets);
        expect_drop(&frame, METRIC_NET_DROP_IP_DESTINATION);
    }
    struct spoilt frame = sound_frame();
    ethernet_of(&frame)->source[0] |= ETHERNET_GROUP_BIT;
    expect_drop(&frame, METRIC_NET_DROP_ETHERNET_OTHER);
}

/* A data offset below the header or past the segment. */
static void data_offsets(void **state)
{
    (void)state;
    for (uint8_t words = 0; words < 16; words++) {
        if (words >= 5 && words <= 7)
            continue; /* 5 and 6 make options to text */
        struct spoilt frame = sound_frame();
        tcp_of(&frame)->offset = (uint8_t)(words << 4);
        fix_checksums(frame.octets);
        expect_drop(&frame, METRIC_NET_DROP_TCP_HEADER_SIZE);
    }
    for (uint16_t size = 0; size < sizeof(struct tcp_header); size++) {
        struct spoilt frame = sound_frame();
        ip_of(&frame)->size = be16_of((uint16_t)(sizeof(struct ip_header) + size));
        ip_of(&frame)->checksum = be16_of(0);
        ip_of(&frame)->checksum = checksum_of(bytes_of(ip_of(&frame), sizeof(struct ip_header)));
        expect_drop(&frame, METRIC_NET_DROP_TCP_SHORT);
    }
}

/* Options that say a size of 0 or 1, or more than there is, at each place; the walk ends. */
static void options_that_lie(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < 8; at++) {
        for (uint32_t size = 0; size < 256; size++) {
            if (size >= 2 && at + size <= 8)
                continue; /* sound */
            struct spoilt frame = sound_frame();
            uint8_t *options = frame.octets + NET_TCP_OFFSET + sizeof(struct tcp_header);
            options[at] = 0xfe;
            if (at + 1 < 8)
                options[at + 1] = (uint8_t)size;
            fix_checksums(frame.octets);
            expect_drop(&frame, METRIC_NET_DROP_TCP_OPTIONS);
        }
    }
}

/* NULL, FIN, XMAS, SYN with FIN, SYN with RST: every combination that says nothing or two things
 * at once, with any of the bits that say nothing of their own. */
static void senseless_flags(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags < 256; flags++) {
        bool says = (flags & (TCP_ACK | TCP_SYN | TCP_RST)) != 0;
        bool is_double = (flags & TCP_SYN) != 0 && (flags & (TCP_FIN | TCP_RST)) != 0;
        if (says && !is_double)
            continue;
        struct spoilt frame = sound_frame();
        tcp_of(&frame)->flags = (uint8_t)flags;
        fix_checksums(frame.octets);
        expect_drop(&frame, METRIC_NET_DROP_TCP_FLAGS);
    }
}

/* Every bit of the packet is covered: whichever one is flipped, the frame is not taken. */
static void flipped_bits(void **state)
{
    (void)state;
    struct spoilt sound = sound_frame();
    for (size_t bit = sizeof(struct ethernet_header) * 8; bit < sound.size * 8; bit++) {
        struct spoilt frame = sound;
        frame.octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        input_octets(&script, bytes_of(frame.octets, frame.size));
        assert_int_equal(script_event_count(&script, NET_DATA), 0);
        script_turn(&script);
    }
    assert_true(script_metric(&script, METRIC_NET_DROP_IP_CHECKSUM) > 100);
    assert_true(script_metric(&script, METRIC_NET_DROP_TCP_CHECKSUM) > 200);
    skip_frames(&script);
}

/* Fragments, IP options, wrong versions and sizes, no ports. */
static void odd_ip(void **state)
{
    (void)state;
    static const struct {
        uint8_t at; /* octet of the IP header */
        uint8_t value;
        enum metric metric;
    } spoils[] = {
        {0, 0x46, METRIC_NET_DROP_IP_OPTIONS},  {0, 0x44, METRIC_NET_DROP_IP_HEADER_SIZE},
        {0, 0x65, METRIC_NET_DROP_IP_VERSION},  {2, 0x7f, METRIC_NET_DROP_IP_SIZE},
        {6, 0x20, METRIC_NET_DROP_IP_FRAGMENT}, {7, 0x01, METRIC_NET_DROP_IP_FRAGMENT},
        {9, 17, METRIC_NET_DROP_IP_PROTOCOL},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(spoils); i++) {
        struct spoilt frame = sound_frame();
        uint8_t *header = (uint8_t *)ip_of(&frame);
        header[spoils[i].at] = spoils[i].value;
        ip_of(&frame)->checksum = be16_of(0);
        ip_of(&frame)->checksum = checksum_of(bytes_of(header, sizeof(struct ip_header)));
        expect_drop(&frame, spoils[i].metric);
    }
    struct spoilt frame = sound_frame();
    tcp_of(&frame)->source_port = be16_of(0);
    fix_checksums(frame.octets);
    expect_drop(&frame, METRIC_NET_DROP_TCP_PORT);
    frame = sound_frame();
    tcp_of(&frame)->destination_port = be16_of(0);
    fix_checksums(frame.octets);
    expect_drop(&frame, METRIC_NET_DROP_TCP_PORT);
}

/* Octets after the IP packet are Ethernet's, or a smuggler's: never the stream's. */
static void padding_is_not_text(void **state)
{
    (void)state;
    struct spoilt frame = sound_frame();
    memset(frame.octets + frame.size, 'X', 40);
    frame.size += 40;
    input_octets(&script, bytes_of(frame.octets, frame.size));
    assert_int_equal(script.received_size, 3);
    assert_memory_equal(script.received, "abc", 3);
    honest.said += 3;
    script_turn(&script);
    skip_frames(&script);
}

/* Urgent octets come in line; the pointer, wherever it points, changes nothing. */
static void urgent_is_ignored(void **state)
{
    (void)state;
    for (uint32_t urgent = 0; urgent < 0x10000; urgent += 0x1fff) {
        struct spoilt frame = sound_frame();
        tcp_of(&frame)->flags |= TCP_URG;
        tcp_of(&frame)->urgent = be16_of((uint16_t)urgent);
        fix_checksums(frame.octets);
        script.received_size = 0;
        input_octets(&script, bytes_of(frame.octets, frame.size));
        assert_int_equal(script.received_size, 3);
        honest.said += 3;
        script_turn(&script);
        skip_frames(&script);
    }
}

/* RFC 6864: whatever is sent has DF and id 0, so nobody counts our packets by it. */
static void the_id_tells_nothing(void **state)
{
    (void)state;
    assert_int_equal(script_send(&script, 0, 5000), ERROR_NONE);
    script_turn(&script);
    struct tcp_frame closed = {.seq = 5, .flags = TCP_SYN, .port = 81};
    script_input_raw(&script, closed);
    script_turn(&script);
    uint32_t looked_at = 0;
    for (uint32_t i = 0; i < script.nic.sent_count; i++) {
        const struct fake_frame *sent = &script.nic.sent[i];
        const struct ip_header *ip = (const void *)(sent->octets + 14);
        if ((sent->flags & PACKET_FILL_TCP) == 0)
            continue;
        assert_int_equal(be16_get(ip->id), 0);
        assert_int_equal(be16_get(ip->fragment), IP_DONT_FRAGMENT);
        looked_at++;
    }
    assert_true(looked_at >= 8);
    script_input(&script, TCP_ACK, honest.said, 5000, BYTES(""));
    honest.iss += 5000;
    skip_frames(&script);
}

/* RFC 7323 5.4: two peers see clocks that have nothing to do with each other or with the time of
 * day, and a new key makes new ones; towards one peer it is a clock of milliseconds. */
static void timestamps_tell_no_time(void **state)
{
    (void)state;
    uint32_t seen[8];
    for (uint16_t i = 0; i < 8; i++) {
        struct tcp_key key = {net_address_of_ipv4(PEER_IPV4), (uint16_t)(40000 + i), OUR_PORT, 0};
        seen[i] = tcp_timestamp(script.net, &key);
        for (uint16_t k = 0; k < i; k++)
            assert_true(seen[i] - seen[k] > 1000000 && seen[k] - seen[i] > 1000000);
        uint32_t now_ms = (uint32_t)(script.now_ns / NS_PER_MS);
        assert_true(seen[i] - now_ms > 1000000);
        script.net->now_ns += 77 * NS_PER_MS;
        assert_int_equal(tcp_timestamp(script.net, &key), seen[i] + 77);
        script.net->now_ns -= 77 * NS_PER_MS;
    }
    struct tcp_key key = {net_address_of_ipv4(PEER_IPV4), 40000, OUR_PORT, 0};
    script.net->cookie.boot.k0++;
    assert_int_not_equal(tcp_timestamp(script.net, &key), seen[0]);
    script.net->cookie.boot.k0--;
}

#define ATTACK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ATTACK(the_sound_one_is_taken),
        ATTACK(land),
        ATTACK(martians),
        ATTACK(groups),
        ATTACK(data_offsets),
        ATTACK(options_that_lie),
        ATTACK(senseless_flags),
        ATTACK(flipped_bits),
        ATTACK(odd_ip),
        ATTACK(padding_is_not_text),
        ATTACK(urgent_is_ignored),
        ATTACK(the_id_tells_nothing),
        ATTACK(timestamps_tell_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
