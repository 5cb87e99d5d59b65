/* SPDX-License-Identifier: Apache-2.0
 *
 * What ICMP and ICMPv6 errors quote: each kind, each field, each cut, and quotes of what was never
 * ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"

#include "frames.h"
#include "quote.h"

#define QUOTED_SEQ 0x01020304u

static uint8_t octets[256];
static struct net_link link;

/* An error of that type about a segment from us to the peer; returns its whole size. */
static size_t write_error(uint8_t type, uint8_t code, uint32_t rest)
{
    struct writer into = writer_of(octets, sizeof octets);
    struct icmp_header icmp = {.type = type, .code = code, .rest = be32_of(rest)};
    struct ip_header ip = {.version_size = 0x45,
                           .size = be16_of(1500),
                           .fragment = be16_of(IP_DONT_FRAGMENT),
                           .protocol = IP_PROTOCOL_TCP,
                           .source = be32_of(OUR_IPV4),
                           .destination = be32_of(PEER_IPV4)};
    write_bytes(&into, bytes_of(&icmp, sizeof icmp));
    write_bytes(&into, bytes_of(&ip, sizeof ip));
    write_be16(&into, OUR_PORT);
    write_be16(&into, PEER_PORT);
    write_be32(&into, QUOTED_SEQ);
    return into.size;
}

static size_t write_error6(uint8_t type, uint8_t code, uint32_t rest)
{
    struct writer into = writer_of(octets, sizeof octets);
    struct icmp_header icmp = {.type = type, .code = code, .rest = be32_of(rest)};
    struct ip6_header ip = {.version_flow = be32_of(6u << 28),
                            .payload_size = be16_of(1460),
                            .next = IP_PROTOCOL_TCP,
                            .source = our_ipv6,
                            .destination = peer_ipv6};
    write_bytes(&into, bytes_of(&icmp, sizeof icmp));
    write_bytes(&into, bytes_of(&ip, sizeof ip));
    write_be16(&into, OUR_PORT);
    write_be16(&into, PEER_PORT);
    write_be32(&into, QUOTED_SEQ);
    return into.size;
}

static struct frame frame_of(enum frame_kind kind, size_t size)
{
    return (struct frame){.kind = kind, .icmp = bytes_of(octets, size)};
}

static struct icmp_quoted read_quote(const struct frame *frame)
{
    struct icmp_quoted quoted;
    quote_read(&link, frame, &quoted);
    return quoted;
}

static const struct {
    enum frame_kind family;
    uint8_t type;
    uint8_t code;
    enum icmp_verdict verdict;
    uint32_t mtu;
} kinds[] = {
    {FRAME_ICMP, ICMP_UNREACHABLE, 4, ICMP_TOO_BIG, 1400},
    {FRAME_ICMP, ICMP_UNREACHABLE, 0, ICMP_SOFT, 0},
    {FRAME_ICMP, ICMP_UNREACHABLE, 2, ICMP_HARD, 0},
    {FRAME_ICMP, ICMP_UNREACHABLE, 3, ICMP_HARD, 0},
    {FRAME_ICMP, ICMP_SOURCE_QUENCH, 0, ICMP_QUENCH, 0},
    {FRAME_ICMP, ICMP_TIME_EXCEEDED, 0, ICMP_SOFT, 0},
    {FRAME_ICMP, ICMP_PARAMETER_PROBLEM, 0, ICMP_SOFT, 0},
    {FRAME_ICMP6, ICMP6_TOO_BIG, 0, ICMP_TOO_BIG, 0x70000 + 1400},
    {FRAME_ICMP6, ICMP6_UNREACHABLE, 3, ICMP_SOFT, 0},
    {FRAME_ICMP6, ICMP6_UNREACHABLE, 4, ICMP_HARD, 0},
    {FRAME_ICMP6, ICMP6_TIME_EXCEEDED, 0, ICMP_SOFT, 0},
    {FRAME_ICMP6, ICMP6_PARAMETER_PROBLEM, 0, ICMP_SOFT, 0},
    {FRAME_ICMP6, ICMP6_PARAMETER_PROBLEM, 1, ICMP_HARD, 0},
};

/* Each type of either family comes out as its verdict, with the mtu where there is one; cut before
 * the eighth octet of TCP it says nothing. */
static void tells_verdicts(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        bool is_ipv6 = kinds[i].family == FRAME_ICMP6;
        uint32_t rest = 0x70000 + 1400; /* IPv4: the upper half is unused, RFC 1191 */
        size_t size = is_ipv6 ? write_error6(kinds[i].type, kinds[i].code, rest)
                              : write_error(kinds[i].type, kinds[i].code, rest);
        struct frame frame = frame_of(kinds[i].family, size);
        struct icmp_quoted quoted = read_quote(&frame);
        assert_true(quote_is_error(&frame));
        assert_int_equal(quoted.verdict, kinds[i].verdict);
        assert_int_equal(quoted.mtu, kinds[i].mtu);
        assert_int_equal(quoted.size, 1500);
        assert_int_equal(quoted.seq, QUOTED_SEQ);
        struct net_address peer = is_ipv6 ? peer_ipv6 : net_address_of_ipv4(PEER_IPV4);
        assert_true(net_address_equal(&quoted.key.remote, &peer));
        assert_int_equal(quoted.key.local_port, OUR_PORT);
        assert_int_equal(quoted.key.remote_port, PEER_PORT);
        assert_int_equal(quoted.key.local, is_ipv6 ? 1 : 0);
        for (size_t cut = 0; cut < size; cut++) {
            frame.icmp.size = cut;
            assert_int_equal(read_quote(&frame).verdict, ICMP_NOTHING);
        }
    }
}

/* All other types are no errors. */
static void tells_no_errors(void **state)
{
    (void)state;
    for (uint32_t type = 0; type <= UINT8_MAX; type++) {
        size_t size = write_error((uint8_t)type, 0, 0);
        struct frame frame = frame_of(FRAME_ICMP, size);
        bool is_error = type == 3 || type == 4 || type == 11 || type == 12;
        assert_int_equal(quote_is_error(&frame), is_error);
        size = write_error6((uint8_t)type, 0, 0);
        frame = frame_of(FRAME_ICMP6, size);
        assert_int_equal(quote_is_error(&frame), type >= 1 && type <= 4);
    }
}

/* A quote of a foreign source, another protocol, a later fragment, another VLAN or port 0. */
static void refuses_foreign_quotes(void **state)
{
    (void)state;
    static const struct {
        uint32_t at;
        uint8_t turned;
    } spoilt[] = {{8, 0x10}, {8, 0x01}, {8 + 7, 1}, {8 + 9, 1}, {8 + 15, 1}};
    for (uint32_t i = 0; i < ARRAY_COUNT(spoilt); i++) {
        size_t size = write_error(ICMP_UNREACHABLE, 4, 1400);
        octets[spoilt[i].at] ^= spoilt[i].turned;
        struct frame frame = frame_of(FRAME_ICMP, size);
        assert_int_equal(read_quote(&frame).verdict, ICMP_NOTHING);
    }
    static const struct {
        uint32_t at;
        uint8_t turned;
    } spoilt6[] = {{8, 0x20}, {8 + 6, 1}, {8 + 23, 4}};
    for (uint32_t i = 0; i < ARRAY_COUNT(spoilt6); i++) {
        size_t size = write_error6(ICMP6_TOO_BIG, 0, 1400);
        octets[spoilt6[i].at] ^= spoilt6[i].turned;
        struct frame frame = frame_of(FRAME_ICMP6, size);
        assert_int_equal(read_quote(&frame).verdict, ICMP_NOTHING);
    }
    size_t size = write_error6(ICMP6_TOO_BIG, 0, 1400);
    struct frame frame = frame_of(FRAME_ICMP6, size);
    frame.vlan = 8;
    assert_int_equal(read_quote(&frame).verdict, ICMP_NOTHING);
    frame.vlan = 7;
    assert_int_equal(read_quote(&frame).verdict, ICMP_TOO_BIG);
    assert_int_equal(read_quote(&frame).key.local, 2);
    memset(octets + 48, 0, 2);
    assert_int_equal(read_quote(&frame).verdict, ICMP_NOTHING);
}

/* Noise is judged by values. */
static void survives_noise(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 3);
    for (uint32_t round = 0; round < 100000; round++) {
        enum frame_kind kind = round % 2 == 0 ? FRAME_ICMP : FRAME_ICMP6;
        uint32_t whole = (uint32_t)(round % 2 == 0 ? write_error(3, 4, 0) : write_error6(2, 0, 0));
        for (uint32_t i = 0; i < 3; i++)
            octets[random_below(&random, whole)] = (uint8_t)random_u32(&random);
        struct frame frame = frame_of(kind, random_below(&random, whole + 1));
        struct icmp_quoted quoted = read_quote(&frame);
        if (quoted.verdict != ICMP_NOTHING)
            assert_true(quoted.key.local < link.local_count);
    }
}

static int set_up(void **state)
{
    (void)state;
    link = test_link6();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_verdicts),
        cmocka_unit_test(tells_no_errors),
        cmocka_unit_test(refuses_foreign_quotes),
        cmocka_unit_test(survives_noise),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
