/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_steer.c: one tuple, one queue; many tuples, all queues alike; an ICMP error
 * goes where the connection it quotes is, ARP and NDP to all, what else is not a whole TCP segment
 * to queue 0; nothing is read past the frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nic_steer.h"
#include "stentor/random.h"

static const struct siphash_key key = {1, 2};

struct shape {
    uint16_t ip_offset; /* 14, or 18 with a VLAN tag */
    uint16_t options;   /* octets of IPv4 options */
};

/* A TCP over IPv4 frame, everything but the tuple drawn anew each time; returns its size. */
static size_t frame_make(uint8_t *into, struct shape shape, const uint8_t tuple[12],
                         struct random *random)
{
    size_t header = 20u + shape.options;
    size_t size = shape.ip_offset + header + 20;
    random_fill(random, into, size);
    if (shape.ip_offset == 18) {
        into[12] = 0x81;
        into[13] = 0;
    }
    into[shape.ip_offset - 2] = 8;
    into[shape.ip_offset - 1] = 0;
    uint8_t *ip = into + shape.ip_offset;
    ip[0] = (uint8_t)(0x40 | header / 4);
    ip[6] = 0x40;
    ip[7] = 0;
    ip[9] = 6;
    memcpy(ip + 12, tuple, 8);
    memcpy(ip + header, tuple + 8, 4);
    return size;
}

/* MACs, tag, options, sequence numbers: nothing but addresses and ports decides. */
static void tuple_alone_decides(void **state)
{
    (void)state;
    struct random random;
    uint8_t frame[128], tuple[12];
    random_init_seed(&random, 1);
    for (uint32_t round = 0; round < 500; round++) {
        random_fill(&random, tuple, sizeof tuple);
        size_t size = frame_make(frame, (struct shape){14, 0}, tuple, &random);
        uint32_t queue = nic_steer_queue(&key, bytes_of(frame, size), 7);
        assert_true(queue < 7);
        for (uint16_t i = 0; i < 4; i++) {
            struct shape shape = {i & 1 ? 18 : 14, i & 2 ? 12 : 0};
            size = frame_make(frame, shape, tuple, &random);
            assert_int_equal(nic_steer_queue(&key, bytes_of(frame, size), 7), queue);
        }
    }
}

/* Neighbouring ports, as a client's are, spread evenly over any number of queues. */
static void tuples_spread(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 1);
    for (uint32_t queues = 1; queues <= 64; queues += 9) {
        uint32_t hits[64] = {0};
        uint8_t frame[128], tuple[12] = {10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0x14, 0x66};
        for (uint32_t port = 0; port < queues * 1000; port++) {
            tuple[3] = (uint8_t)(port >> 16);
            tuple[8] = (uint8_t)(port >> 8);
            tuple[9] = (uint8_t)port;
            size_t size = frame_make(frame, (struct shape){14, 0}, tuple, &random);
            hits[nic_steer_queue(&key, bytes_of(frame, size), queues)]++;
        }
        for (uint32_t queue = 0; queue < queues; queue++)
            assert_in_range(hits[queue], 850, 1150);
    }
}

/* Another key, another distribution: it cannot be computed from outside. */
static void key_matters(void **state)
{
    (void)state;
    struct random random;
    uint8_t frame[128], tuple[12];
    const struct siphash_key other = {1, 3};
    uint32_t same = 0;
    random_init_seed(&random, 1);
    for (uint32_t round = 0; round < 1000; round++) {
        random_fill(&random, tuple, sizeof tuple);
        size_t size = frame_make(frame, (struct shape){14, 0}, tuple, &random);
        same += nic_steer_queue(&key, bytes_of(frame, size), 4) ==
                nic_steer_queue(&other, bytes_of(frame, size), 4);
    }
    assert_in_range(same, 190, 310);
}

/* Fragments, other protocols and other types are queue 0's; ARP is everybody's, tagged too. */
static void exceptions_have_their_place(void **state)
{
    (void)state;
    struct random random;
    uint8_t frame[128], tuple[12];
    random_init_seed(&random, 1);
    for (uint32_t round = 0; round < 100; round++) {
        random_fill(&random, tuple, sizeof tuple);
        size_t size = frame_make(frame, (struct shape){14, 0}, tuple, &random);
        struct bytes view = bytes_of(frame, size);
        frame[20] = 0x20; /* the first fragment */
        assert_int_equal(nic_steer_queue(&key, view, 64), 0);
        frame[20] = 0;
        frame[21] = 5; /* a later one */
        assert_int_equal(nic_steer_queue(&key, view, 64), 0);
        frame[21] = 0;
        frame[23] = 1; /* ICMP */
        frame[34] = 8;
        assert_int_equal(nic_steer_queue(&key, view, 64), 0);
        frame[12] = 0x88;
        assert_int_equal(nic_steer_queue(&key, view, 64), 0);
        frame[12] = 8;
        frame[13] = 6;
        assert_true(nic_steer_queue(&key, view, 64) == NIC_STEER_ALL);
        frame[12] = 0x81;
        frame[13] = 0;
        frame[16] = 8;
        frame[17] = 6;
        assert_true(nic_steer_queue(&key, view, 64) == NIC_STEER_ALL);
    }
}

/* Writes an IPv6 TCP frame with these extension headers (each 8 octets) before the ports;
 * everything but the tuple drawn anew. Returns its size. */
static size_t frame_make_ipv6(uint8_t *into, const uint8_t tuple[36], const uint8_t *headers,
                              size_t count, struct random *random)
{
    size_t size = 14 + 40 + count * 8 + 20;
    random_fill(random, into, size);
    into[12] = 0x86;
    into[13] = 0xdd;
    uint8_t *ip = into + 14;
    ip[6] = count == 0 ? 6 : headers[0];
    memcpy(ip + 8, tuple, 32);
    for (size_t i = 0; i < count; i++) {
        memset(ip + 40 + i * 8, 0, 8);
        ip[40 + i * 8] = i + 1 == count ? 6 : headers[i + 1];
    }
    memcpy(ip + 40 + count * 8, tuple + 32, 4);
    return size;
}

/* Extension headers, an atomic fragment among them, do not change the owner; a real fragment, more
 * headers or octets than the receiver walks, and an unknown header leave it to queue 0. */
static void ipv6_headers_are_walked(void **state)
{
    (void)state;
    static const uint8_t chain[9] = {0, 60, 43, 44, 60, 43, 60, 60, 60};
    struct random random;
    uint8_t frame[512], tuple[36];
    random_init_seed(&random, 1);
    for (uint32_t round = 0; round < 200; round++) {
        random_fill(&random, tuple, sizeof tuple);
        size_t size = frame_make_ipv6(frame, tuple, chain, 0, &random);
        uint32_t queue = nic_steer_queue(&key, bytes_of(frame, size), 64);
        for (size_t count = 1; count <= 8; count++) {
            size = frame_make_ipv6(frame, tuple, chain, count, &random);
            assert_int_equal(nic_steer_queue(&key, bytes_of(frame, size), 64), queue);
        }
        frame[14 + 40 + 3 * 8 + 3] = 1; /* the fragment header: more fragments */
        assert_int_equal(nic_steer_queue(&key, bytes_of(frame, size), 64), 0);
        size = frame_make_ipv6(frame, tuple, chain, 9, &random);
        assert_int_equal(nic_steer_queue(&key, bytes_of(frame, size), 64), 0);
        size = frame_make_ipv6(frame, tuple, chain, 1, &random);
        frame[14 + 40 + 1] = 32; /* 264 octets of options */
        assert_int_equal(nic_steer_queue(&key, bytes_of(frame, sizeof frame), 64), 0);
        frame[14 + 6] = 50; /* ESP: nobody sees the ports */
        assert_int_equal(nic_steer_queue(&key, bytes_of(frame, size), 64), 0);
    }
}

/* An ICMP error is owned by the connection whose packet it quotes, in either family, tagged or not,
 * and by queue 0 when it quotes nothing that can be read. */
static void errors_follow_what_they_quote(void **state)
{
    (void)state;
    struct random random;
    uint8_t flow[128], frame[256], tuple[12], turned[12];
    random_init_seed(&random, 1);
    for (uint32_t round = 0; round < 200; round++) {
        random_fill(&random, tuple, sizeof tuple);
        size_t size = frame_make(flow, (struct shape){14, 0}, tuple, &random);
        uint32_t queue = nic_steer_queue(&key, bytes_of(flow, size), 64);
        /* What we sent goes the other way. */
        memcpy(turned, tuple + 4, 4);
        memcpy(turned + 4, tuple, 4);
        memcpy(turned + 8, tuple + 10, 2);
        memcpy(turned + 10, tuple + 8, 2);
        uint16_t ip_offset = round % 2 != 0 ? 18 : 14;
        size_t quoted =
            frame_make(flow, (struct shape){14, round % 3 == 0 ? 8 : 0}, turned, &random);
        (void)frame_make(frame, (struct shape){ip_offset, 0}, tuple, &random);
        frame[ip_offset + 9] = 1;
        frame[ip_offset + 20] = (const uint8_t[]){3, 11, 12}[round % 3];
        memcpy(frame + ip_offset + 28, flow + 14, quoted - 14);
        size = ip_offset + 28 + quoted - 14;
        assert_int_equal(nic_steer_queue(&key, bytes_of(frame, size), 64), queue);
        assert_true(nic_steer_quotes_ipv4(bytes_of(frame, size)));
        for (size_t cut = 0; cut < ip_offset + 52u; cut++)
            assert_int_equal(nic_steer_queue(&key, bytes_of(frame, cut), 64), 0);
        frame[ip_offset + 20] = 8; /* an echo request quotes nothing */
        assert_int_equal(nic_steer_queue(&key, bytes_of(frame, size), 64), 0);
        assert_false(nic_steer_quotes_ipv4(bytes_of(frame, size)));
    }
}

/* The same over IPv6; neighbour discovery is everybody's, an echo request queue 0's. */
static void icmpv6_finds_its_queue(void **state)
{
    (void)state;
    struct random random;
    uint8_t flow[256], frame[512], tuple[36], turned[36];
    random_init_seed(&random, 1);
    for (uint32_t round = 0; round < 200; round++) {
        random_fill(&random, tuple, sizeof tuple);
        memcpy(turned, tuple + 16, 16);
        memcpy(turned + 16, tuple, 16);
        memcpy(turned + 32, tuple + 34, 2);
        memcpy(turned + 34, tuple + 32, 2);
        size_t size = frame_make_ipv6(flow, tuple, NULL, 0, &random);
        uint32_t queue = nic_steer_queue(&key, bytes_of(flow, size), 64);
        size_t quoted = frame_make_ipv6(flow, turned, NULL, 0, &random);
        (void)frame_make_ipv6(frame, tuple, NULL, 0, &random);
        frame[14 + 6] = 58;
        frame[14 + 40] = (uint8_t)(1 + round % 4);
        memcpy(frame + 14 + 48, flow + 14, quoted - 14);
        struct bytes view = bytes_of(frame, 14 + 48 + quoted - 14);
        assert_int_equal(nic_steer_queue(&key, view, 64), queue);
        assert_false(nic_steer_quotes_ipv4(view));
        for (uint32_t type = 133; type <= 137; type++) {
            frame[14 + 40] = (uint8_t)type;
            assert_true(nic_steer_queue(&key, view, 64) == NIC_STEER_ALL);
        }
        frame[14 + 40] = 128;
        assert_int_equal(nic_steer_queue(&key, view, 64), 0);
    }
}

/* IPv6 without extension headers goes by its tuple as well. */
static void ipv6_goes_by_tuple(void **state)
{
    (void)state;
    struct random random;
    uint8_t frame[14 + 60];
    uint32_t hits[4] = {0};
    random_init_seed(&random, 1);
    random_fill(&random, frame, sizeof frame);
    frame[12] = 0x86;
    frame[13] = 0xdd;
    frame[14 + 6] = 6;
    for (uint32_t port = 0; port < 4000; port++) {
        frame[14 + 40] = (uint8_t)(port >> 8);
        frame[14 + 41] = (uint8_t)port;
        frame[14 + 44] = (uint8_t)(port * 3); /* sequence number: must not matter */
        uint32_t queue = nic_steer_queue(&key, bytes_of(frame, sizeof frame), 4);
        frame[14 + 44]++;
        assert_int_equal(nic_steer_queue(&key, bytes_of(frame, sizeof frame), 4), queue);
        hits[queue]++;
    }
    for (uint32_t queue = 0; queue < 4; queue++)
        assert_in_range(hits[queue], 850, 1150);
}

/* A frame cut anywhere is read no further (the sanitizers watch) and lands on some queue. */
static void cut_frames_land_somewhere(void **state)
{
    (void)state;
    struct random random;
    uint8_t frame[128], exact[128], tuple[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    random_init_seed(&random, 1);
    for (uint16_t i = 0; i < 4; i++) {
        struct shape shape = {i & 1 ? 18 : 14, i & 2 ? 40 : 0};
        size_t whole = frame_make(frame, shape, tuple, &random);
        for (size_t size = 0; size <= whole; size++) {
            memcpy(exact + sizeof exact - size, frame, size);
            assert_true(nic_steer_queue(&key, bytes_of(exact + sizeof exact - size, size), 3) < 3);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tuple_alone_decides),
        cmocka_unit_test(tuples_spread),
        cmocka_unit_test(key_matters),
        cmocka_unit_test(exceptions_have_their_place),
        cmocka_unit_test(ipv6_goes_by_tuple),
        cmocka_unit_test(ipv6_headers_are_walked),
        cmocka_unit_test(errors_follow_what_they_quote),
        cmocka_unit_test(icmpv6_finds_its_queue),
        cmocka_unit_test(cut_frames_land_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
