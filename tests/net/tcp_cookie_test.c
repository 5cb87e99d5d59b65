/* SPDX-License-Identifier: Apache-2.0
 *
 * Cookies come back once in time, carry what was offered, and are worth nothing to anybody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "frames.h"
#include "tcp_cookie.h"

#define START_NS UINT64_C(1000000000)

static struct random random_;
static struct tcp_cookie cookie;

static int set_up(void **state)
{
    (void)state;
    struct siphash_key boot = {5, 6};
    random_init_seed(&random_, 9);
    tcp_cookie_init(&cookie, &random_, &boot, START_NS);
    return 0;
}

static struct tcp_segment syn_of(uint32_t number)
{
    return (struct tcp_segment){
        .key = {net_address_of_ipv4(0x0a000000u + number), (uint16_t)(number * 7 + 1), OUR_PORT},
        .seq = number * 2654435761u,
        .flags = TCP_SYN};
}

static struct tcp_segment ack_of(const struct tcp_segment *syn, uint32_t isn)
{
    struct tcp_segment ack = *syn;
    ack.flags = TCP_ACK;
    ack.seq = syn->seq + 1;
    ack.ack = isn + 1;
    return ack;
}

static bool comes_back(const struct tcp_segment *syn, uint32_t isn, uint64_t now_ns)
{
    struct tcp_offer offer;
    struct tcp_segment ack = ack_of(syn, isn);
    return tcp_cookie_check(&cookie, &ack, now_ns, &offer);
}

/* Every MSS is rounded down (but not under the floor), every scale rounded down or kept absent,
 * SACK exact, for many peers. */
static void carries_the_offer(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4000; i++) {
        struct tcp_segment syn = syn_of(i);
        struct tcp_offer offer = {.mss = (uint16_t)(i * 16 + 1),
                                  .scale = i % 16 == 15 ? TCP_SCALE_NONE : (uint8_t)(i % 16 % 15),
                                  .has_sack = i % 3 == 0};
        uint32_t isn = tcp_cookie_make(&cookie, &syn, &offer, START_NS);
        struct tcp_segment ack = ack_of(&syn, isn);
        struct tcp_offer agreed;
        assert_true(tcp_cookie_check(&cookie, &ack, START_NS, &agreed));
        assert_true(agreed.mss <= offer.mss || agreed.mss == 256);
        assert_true(agreed.mss >= 256);
        assert_int_equal(agreed.has_sack, offer.has_sack);
        assert_int_equal(agreed.scale == TCP_SCALE_NONE, offer.scale == TCP_SCALE_NONE);
        assert_true(agreed.scale <= offer.scale);
    }
}

/* The sizes that nearly all peers offer come back as they are. */
static void keeps_common_values(void **state)
{
    (void)state;
    static const uint16_t sizes[] = {536, 1220, 1360, 1400, 1440, 1460, 8960};
    for (uint32_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct tcp_segment syn = syn_of(i);
        struct tcp_offer offer = {.mss = sizes[i], .scale = 7, .has_sack = true};
        struct tcp_segment ack = ack_of(&syn, tcp_cookie_make(&cookie, &syn, &offer, START_NS));
        struct tcp_offer agreed;
        assert_true(tcp_cookie_check(&cookie, &ack, START_NS, &agreed));
        assert_int_equal(agreed.mss, sizes[i]);
        assert_int_equal(agreed.scale, 7);
    }
}

/* A flipped bit in the number acknowledged, the peer's sequence number, or the addresses is
 * refused, but for the odds of a 24-bit code. */
static void refuses_flipped_bits(void **state)
{
    (void)state;
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < 500; i++) {
        struct tcp_segment syn = syn_of(i);
        struct tcp_offer offer = {.mss = 1460, .scale = 7, .has_sack = true};
        uint32_t isn = tcp_cookie_make(&cookie, &syn, &offer, START_NS);
        for (uint32_t bit = 0; bit < 32; bit++) {
            accepted += comes_back(&syn, isn ^ 1u << bit, START_NS);
            struct tcp_segment other = syn;
            other.seq ^= 1u << bit;
            accepted += comes_back(&other, isn, START_NS);
            other = syn;
            ((uint8_t *)&other.key)[12 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            accepted += comes_back(&other, isn, START_NS);
            other = syn;
            ((uint8_t *)&other.key)[16 + bit / 8] ^= (uint8_t)(1u << bit % 8);
            accepted += comes_back(&other, isn, START_NS);
        }
    }
    assert_true(accepted <= 1);
}

/* Good within its epoch and the next, dead after two, and after any long silence. */
static void expires(void **state)
{
    (void)state;
    struct tcp_offer offer = {.mss = 1460, .scale = TCP_SCALE_NONE};
    struct tcp_segment syn = syn_of(1);
    uint64_t now_ns = START_NS;
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t isn = tcp_cookie_make(&cookie, &syn, &offer, now_ns);
        assert_true(comes_back(&syn, isn, now_ns));
        assert_true(comes_back(&syn, isn, now_ns + TCP_COOKIE_EPOCH_NS));
        assert_false(comes_back(&syn, isn, now_ns + 2 * TCP_COOKIE_EPOCH_NS));
        now_ns += 3 * TCP_COOKIE_EPOCH_NS;
    }
    uint32_t isn = tcp_cookie_make(&cookie, &syn, &offer, now_ns);
    assert_false(comes_back(&syn, isn, now_ns + 50 * TCP_COOKIE_EPOCH_NS));
    isn = tcp_cookie_make(&cookie, &syn, &offer, now_ns + 101 * TCP_COOKIE_EPOCH_NS);
    assert_false(comes_back(&syn, isn, now_ns + 201 * TCP_COOKIE_EPOCH_NS));
}

/* The same SYN again gets the same answer, another peer's another one. */
static void answers_a_repeated_syn_alike(void **state)
{
    (void)state;
    struct tcp_offer offer = {.mss = 1460, .scale = 7};
    struct tcp_segment syn = syn_of(1);
    struct tcp_segment other = syn_of(2);
    uint32_t isn = tcp_cookie_make(&cookie, &syn, &offer, START_NS);
    assert_int_equal(tcp_cookie_make(&cookie, &syn, &offer, START_NS + 1), isn);
    assert_true(tcp_cookie_make(&cookie, &other, &offer, START_NS) != isn);
}

/* A million guesses in a row open next to nothing. */
static void is_not_guessed(void **state)
{
    (void)state;
    struct tcp_segment syn = syn_of(1);
    uint32_t opened = 0;
    for (uint32_t guess = 0; guess < 1000000; guess++)
        opened += comes_back(&syn, random_u32(&random_), START_NS);
    assert_true(opened <= 3);
}

/* Marked timestamps give scale, SACK and ECN back exactly, and never run ahead of the clock by more
 * than they may lag: later unmarked ones are not older. */
static void marks_timestamps(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 100000; i++) {
        uint32_t timestamp = i < 50000 ? i : 0u - i; /* over the wrap too */
        struct tcp_offer offer = {.scale = i % 16 == 15 ? TCP_SCALE_NONE : (uint8_t)(i % 15),
                                  .has_sack = i % 2 == 0,
                                  .has_ecn = i % 3 == 0};
        uint32_t marked = tcp_cookie_timestamp_mark(timestamp, &offer);
        assert_true(timestamp - marked < 64);
        struct tcp_offer agreed = {.mss = 1460};
        tcp_cookie_timestamp_read(marked, &agreed);
        assert_int_equal(agreed.scale, offer.scale);
        assert_int_equal(agreed.has_sack, offer.has_sack);
        assert_int_equal(agreed.has_ecn, offer.has_ecn);
        assert_int_equal(agreed.mss, 1460);
    }
    struct tcp_segment one = syn_of(1);
    struct tcp_segment two = syn_of(2);
    assert_true(tcp_cookie_timestamp_offset(&cookie, &one.key) !=
                tcp_cookie_timestamp_offset(&cookie, &two.key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(carries_the_offer, set_up),
        cmocka_unit_test_setup(keeps_common_values, set_up),
        cmocka_unit_test_setup(refuses_flipped_bits, set_up),
        cmocka_unit_test_setup(expires, set_up),
        cmocka_unit_test_setup(answers_a_repeated_syn_alike, set_up),
        cmocka_unit_test_setup(is_not_guessed, set_up),
        cmocka_unit_test_setup(marks_timestamps, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
