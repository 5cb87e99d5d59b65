/* SPDX-License-Identifier: Apache-2.0
 *
 * The Internet checksum against the example of RFC 1071 and a word-by-word oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"

#include "frames.h"

/* Sum of big-endian words, carries added back as they come: the definition itself. */
static uint16_t naive_sum(struct bytes octets)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < octets.size; i += 2) {
        uint32_t low = i + 1 < octets.size ? octets.at[i + 1] : 0;
        sum += (uint32_t)octets.at[i] << 8 | low;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

/* RFC 1071 section 3 sums these octets to ddf2. */
static void agrees_with_the_rfc(void **state)
{
    (void)state;
    static const uint8_t octets[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(checksum_sum(bytes_of(octets, sizeof octets)), 0xddf2);
    struct be16 field = checksum_of(bytes_of(octets, sizeof octets));
    assert_int_equal(be16_get(field), 0x220d);
}

/* Every size up to a jumbo frame's, odd ones and those of all ones too, sums as the oracle says. */
static void agrees_with_the_oracle(void **state)
{
    (void)state;
    static uint8_t octets[9001];
    struct random random;
    random_init_seed(&random, 1);
    for (uint32_t round = 0; round < 3; round++) {
        if (round < 2)
            random_fill(&random, octets, sizeof octets);
        else
            memset(octets, 0xff, sizeof octets);
        for (size_t size = 0; size <= sizeof octets; size += size < 130 ? 1 : 97) {
            struct bytes view = bytes_of(octets, size);
            assert_int_equal(checksum_sum(view), naive_sum(view));
        }
    }
}

/* A message with its checksum in place is good, and with any one bit flipped is not. */
static void finds_each_flipped_bit(void **state)
{
    (void)state;
    uint8_t octets[41];
    struct writer into = writer_of(octets, sizeof octets);
    write_ip(&into, PEER_IPV4, IP_PROTOCOL_TCP, 100);
    struct bytes header = writer_bytes(&into);
    assert_true(checksum_is_good(header));
    for (size_t bit = 0; bit < header.size * 8; bit++) {
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(checksum_is_good(header));
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* The pseudo-header counts: a segment moved to another address is bad. */
static void covers_the_pseudo_header(void **state)
{
    (void)state;
    uint8_t octets[128];
    struct writer into = writer_of(octets, sizeof octets);
    write_tcp_frame(&into, &(struct tcp_frame){.flags = TCP_ACK, .payload = BYTES("odd")});
    struct ip_header *ip = (void *)(octets + 14);
    struct bytes segment = bytes_from(writer_bytes(&into), 34);
    assert_true(checksum_is_good_tcp(ip, segment));
    ip->source = be32_of(PEER_IPV4 + 1);
    assert_false(checksum_is_good_tcp(ip, segment));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_rfc),
        cmocka_unit_test(agrees_with_the_oracle),
        cmocka_unit_test(finds_each_flipped_bit),
        cmocka_unit_test(covers_the_pseudo_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
