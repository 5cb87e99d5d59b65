/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_checksum.c: sums agree with RFC 1071 done by hand octet pair by octet pair,
 * filled frames are judged good, and any single flipped bit they cover is judged bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/nic_checksum.h"
#include "stentor/random.h"

/* RFC 1071 section 4.1 as it stands there, slow and plain. */
static uint16_t oracle(const uint8_t *at, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)(at[i] << 8 | at[i + 1]);
    if (size % 2 != 0)
        sum += (uint32_t)at[size - 1] << 8;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint16_t checksum(const uint8_t *at, size_t size)
{
    return be16_get(nic_checksum_field(nic_checksum_add(0, bytes_of(at, size))));
}

/* The example of RFC 1071 section 3. */
static void rfc_example(void **state)
{
    (void)state;
    static const uint8_t octets[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(checksum(octets, sizeof octets), (uint16_t)~0xddf2u);
}

/* Every size from nothing to beyond a frame, at every alignment, equals the oracle. */
static void every_size_equals_oracle(void **state)
{
    (void)state;
    static uint8_t octets[1700 + 16];
    struct random random;
    random_init_seed(&random, 1071);
    random_fill(&random, octets, sizeof octets);
    for (size_t size = 0; size <= 1700; size++) {
        size_t start = size % 16;
        assert_int_equal(checksum(octets + start, size), oracle(octets + start, size));
    }
}

/* All ones carry at every addition: no carry may get lost, not even in the last fold. */
static void carries_survive(void **state)
{
    (void)state;
    static uint8_t ones[65536];
    memset(ones, 0xff, sizeof ones);
    for (size_t size = 2; size <= sizeof ones; size += size < 300 ? 1 : 977)
        assert_int_equal(checksum(ones, size), oracle(ones, size));
    uint64_t sum = nic_checksum_add(UINT64_MAX, bytes_of(ones, 64));
    assert_int_equal(be16_get(nic_checksum_field(sum)), 0);
}

/* Pieces of even size added in turn make the sum of the whole. */
static void pieces_add_up(void **state)
{
    (void)state;
    uint8_t octets[333];
    struct random random;
    random_init_seed(&random, 2);
    random_fill(&random, octets, sizeof octets);
    for (size_t cut = 0; cut < sizeof octets; cut += 2) {
        uint64_t sum = nic_checksum_add(0, bytes_of(octets, cut));
        sum = nic_checksum_add(sum, bytes_of(octets + cut, sizeof octets - cut));
        assert_int_equal(be16_get(nic_checksum_field(sum)), oracle(octets, sizeof octets));
    }
}

/* Writes a TCP frame with `payload` octets at ip_offset (14, or 18 with a VLAN tag). */
static struct packet frame_make(uint8_t *into, uint16_t ip_offset, uint16_t options,
                                uint16_t payload)
{
    struct random random;
    random_init_seed(&random, payload);
    uint16_t total = (uint16_t)(20 + options + 20 + payload);
    random_fill(&random, into, (size_t)ip_offset + total);
    if (ip_offset == 18) {
        into[12] = 0x81;
        into[13] = 0;
    }
    into[ip_offset - 2] = 0x08;
    into[ip_offset - 1] = 0;
    uint8_t *ip = into + ip_offset;
    ip[0] = (uint8_t)(0x45 + options / 4);
    ip[2] = (uint8_t)(total >> 8);
    ip[3] = (uint8_t)total;
    ip[6] = ip[7] = 0;
    ip[9] = 6;
    ip[10] = ip[11] = 0;
    uint8_t *tcp = ip + 20 + options;
    tcp[16] = tcp[17] = 0;
    return (struct packet){.frame = into,
                           .size = (uint16_t)(ip_offset + total),
                           .room = 2048,
                           .flags = PACKET_FILL_IP | PACKET_FILL_TCP,
                           .ip_offset = ip_offset};
}

/* The same over IPv6. */
static struct packet frame_make_ipv6(uint8_t *into, uint16_t ip_offset, uint16_t payload)
{
    struct random random;
    random_init_seed(&random, payload);
    uint16_t tcp_size = (uint16_t)(20 + payload);
    uint16_t size = (uint16_t)(ip_offset + 40 + tcp_size);
    random_fill(&random, into, size);
    if (ip_offset == 18) {
        into[12] = 0x81;
        into[13] = 0;
    }
    into[ip_offset - 2] = 0x86;
    into[ip_offset - 1] = 0xdd;
    uint8_t *ip = into + ip_offset;
    ip[0] = 0x60;
    ip[4] = (uint8_t)(tcp_size >> 8);
    ip[5] = (uint8_t)tcp_size;
    ip[6] = 6;
    ip[40 + 16] = ip[40 + 17] = 0;
    return (struct packet){.frame = into,
                           .size = size,
                           .room = 2048,
                           .flags = PACKET_FILL_IP | PACKET_FILL_TCP,
                           .ip_offset = ip_offset};
}

/* Over IPv6 the field equals the oracle's over the pseudo header of RFC 8200 section 8.1 laid out
 * by hand, tagged or not, and what is filled is judged good. */
static void ipv6_equals_oracle(void **state)
{
    (void)state;
    uint8_t octets[2048];
    uint8_t by_hand[2048];
    for (uint16_t payload = 0; payload < 300; payload++) {
        uint16_t ip_offset = payload % 2 != 0 ? 18 : 14;
        struct packet packet = frame_make_ipv6(octets, ip_offset, payload);
        uint8_t *ip = octets + ip_offset;
        size_t tcp_size = 20u + payload;
        memcpy(by_hand, ip + 8, 32);
        memset(by_hand + 32, 0, 8);
        by_hand[34] = (uint8_t)(tcp_size >> 8);
        by_hand[35] = (uint8_t)tcp_size;
        by_hand[39] = 6;
        memcpy(by_hand + 40, ip + 40, tcp_size);
        uint16_t wanted = oracle(by_hand, 40 + tcp_size);
        nic_checksum_fill(&packet);
        assert_int_equal(packet.flags, 0);
        assert_int_equal(ip[56] << 8 | ip[57], wanted);
        assert_int_equal(nic_checksum_judge(bytes_of(octets, packet.size)),
                         PACKET_IP_GOOD | PACKET_L4_GOOD);
    }
}

/* Each single bit of addresses and segment that is flipped is seen; an extension header, a size
 * past the frame and a cut frame are nobody's. */
static void ipv6_is_judged_to_its_limits(void **state)
{
    (void)state;
    uint8_t octets[2048];
    struct packet packet = frame_make_ipv6(octets, 14, 37);
    nic_checksum_fill(&packet);
    for (uint32_t bit = (14 + 8) * 8; bit < packet.size * 8u; bit++) {
        octets[bit / 8] = (uint8_t)(octets[bit / 8] ^ 1u << bit % 8);
        uint16_t flags = nic_checksum_judge(bytes_of(octets, packet.size));
        assert_int_equal(flags, PACKET_IP_GOOD | PACKET_CHECKSUM_BAD);
        octets[bit / 8] = (uint8_t)(octets[bit / 8] ^ 1u << bit % 8);
    }
    for (uint16_t size = 0; size < packet.size; size++)
        assert_int_equal(nic_checksum_judge(bytes_of(octets, size)), 0);
    octets[14 + 6] = 60; /* destination options */
    assert_int_equal(nic_checksum_judge(bytes_of(octets, packet.size)), 0);
}

/* What is filled in is what is judged good, for odd and even payloads, tags and IP options. */
static void filled_is_good(void **state)
{
    (void)state;
    uint8_t octets[2048];
    for (uint16_t payload = 0; payload < 1460; payload = (uint16_t)(payload + 1 + payload / 7)) {
        for (uint16_t shape = 0; shape < 4; shape++) {
            uint16_t ip_offset = shape & 1 ? 18 : 14;
            struct packet packet = frame_make(octets, ip_offset, shape & 2 ? 8 : 0, payload);
            nic_checksum_fill(&packet);
            assert_int_equal(packet.flags, 0);
            assert_int_equal(nic_checksum_judge(bytes_of(octets, packet.size)),
                             PACKET_IP_GOOD | PACKET_L4_GOOD);
        }
    }
}

/* The checksum fields equal the oracle's over the pseudo header laid out by hand. */
static void fields_equal_oracle(void **state)
{
    (void)state;
    uint8_t octets[2048];
    uint8_t by_hand[2048];
    for (uint16_t payload = 0; payload < 300; payload++) {
        struct packet packet = frame_make(octets, 14, 0, payload);
        uint8_t *ip = octets + 14;
        size_t tcp_size = 20u + payload;
        memcpy(by_hand, ip + 12, 8);
        by_hand[8] = 0;
        by_hand[9] = 6;
        by_hand[10] = (uint8_t)(tcp_size >> 8);
        by_hand[11] = (uint8_t)tcp_size;
        memcpy(by_hand + 12, ip + 20, tcp_size);
        uint16_t tcp_wanted = oracle(by_hand, 12 + tcp_size);
        uint16_t ip_wanted = oracle(ip, 20);
        nic_checksum_fill(&packet);
        assert_int_equal(ip[10] << 8 | ip[11], ip_wanted);
        assert_int_equal(ip[36] << 8 | ip[37], tcp_wanted);
    }
}

/* Only what the flags ask for is touched. */
static void flags_choose(void **state)
{
    (void)state;
    uint8_t octets[2048];
    struct packet packet = frame_make(octets, 14, 0, 11);
    packet.flags = PACKET_FILL_IP;
    nic_checksum_fill(&packet);
    assert_int_equal(octets[14 + 36] | octets[14 + 37], 0);
    assert_int_equal(nic_checksum_judge(bytes_of(octets, packet.size)),
                     PACKET_IP_GOOD | PACKET_CHECKSUM_BAD);
    packet.flags = PACKET_FILL_TCP;
    nic_checksum_fill(&packet);
    assert_int_equal(nic_checksum_judge(bytes_of(octets, packet.size)),
                     PACKET_IP_GOOD | PACKET_L4_GOOD);
}

/* Each single bit flipped inside the IPv4 packet is never judged wholly good. */
static void flipped_bits_are_bad(void **state)
{
    (void)state;
    uint8_t octets[2048];
    struct packet packet = frame_make(octets, 14, 0, 37);
    nic_checksum_fill(&packet);
    for (uint32_t bit = 14 * 8; bit < packet.size * 8u; bit++) {
        octets[bit / 8] = (uint8_t)(octets[bit / 8] ^ 1u << bit % 8);
        uint16_t flags = nic_checksum_judge(bytes_of(octets, packet.size));
        assert_int_not_equal(flags, PACKET_IP_GOOD | PACKET_L4_GOOD);
        octets[bit / 8] = (uint8_t)(octets[bit / 8] ^ 1u << bit % 8);
    }
}

/* A frame cut at any octet is read no further than it goes, and never judged good. */
static void cut_frames_are_nobodys(void **state)
{
    (void)state;
    uint8_t octets[2048];
    struct packet packet = frame_make(octets, 18, 4, 5);
    nic_checksum_fill(&packet);
    for (uint16_t size = 0; size < packet.size; size++) {
        uint8_t exact[128];
        memcpy(exact + sizeof exact - size, octets, size);
        struct bytes cut = bytes_of(exact + sizeof exact - size, size);
        assert_int_equal(nic_checksum_judge(cut), 0);
    }
}

/* A fragment's TCP checksum lies elsewhere: only its header is judged. */
static void fragments_keep_their_payload(void **state)
{
    (void)state;
    uint8_t octets[2048];
    struct packet packet = frame_make(octets, 14, 0, 100);
    octets[14 + 6] = 0x20; /* more fragments */
    nic_checksum_fill(&packet);
    octets[60] ^= 1;
    assert_int_equal(nic_checksum_judge(bytes_of(octets, packet.size)), PACKET_IP_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_example),
        cmocka_unit_test(every_size_equals_oracle),
        cmocka_unit_test(carries_survive),
        cmocka_unit_test(pieces_add_up),
        cmocka_unit_test(filled_is_good),
        cmocka_unit_test(fields_equal_oracle),
        cmocka_unit_test(flags_choose),
        cmocka_unit_test(flipped_bits_are_bad),
        cmocka_unit_test(cut_frames_are_nobodys),
        cmocka_unit_test(fragments_keep_their_payload),
        cmocka_unit_test(ipv6_equals_oracle),
        cmocka_unit_test(ipv6_is_judged_to_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
