/* SPDX-License-Identifier: Apache-2.0
 *
 * Dotted quads in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ip.h"

/* What is written is what was read. */
static void reads_what_it_writes(void **state)
{
    (void)state;
    static const char *const texts[] = {"0.0.0.0", "10.99.0.2", "255.255.255.255", "1.2.3.40"};
    for (uint32_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct net_address address;
        char text[16];
        struct writer into = writer_of(text, sizeof text);
        assert_true(net_address_parse(bytes_of_string(texts[i]), &address));
        net_address_write(&address, &into);
        assert_true(bytes_equal(writer_bytes(&into), bytes_of_string(texts[i])));
    }
    struct net_address address;
    assert_true(net_address_parse(BYTES("10.99.0.2"), &address));
    assert_int_equal(net_address_ipv4(&address), 0x0a630002);
    assert_int_equal(address.octets[10], 0xff);
}

/* Short, long, out of range, leading zeros, blanks, signs: none is an address. */
static void refuses_the_rest(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "1",         "1.2.3",     "1.2.3.",
                                        "1.2.3.4.", "1.2.3.4.5", "256.1.1.1", "1.1.1.999",
                                        "01.2.3.4", "1.2.3.00",  " 1.2.3.4",  "1.2.3.4 ",
                                        "1..3.4",   "-1.2.3.4",  "1.2.3.4/8", "a.b.c.d",
                                        "1,2,3,4",  "::1",       "1.2.3.4\n", "4294967296.0.0.1"};
    for (uint32_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct net_address address;
        assert_false(net_address_parse(bytes_of_string(texts[i]), &address));
    }
}

static bool is_host(const char *text, uint32_t prefix_bits)
{
    struct net_address address;
    assert_true(net_address_parse(bytes_of_string(text), &address));
    return net_address_is_host(&address, prefix_bits);
}

/* RFC 1122 3.2.1.3, RFC 3021: what one machine can be called on a link, and what not. */
static void knows_hosts(void **state)
{
    (void)state;
    assert_true(is_host("10.99.0.2", 24));
    assert_true(is_host("10.99.0.0", 16 + 15));
    assert_true(is_host("10.99.1.0", 16));
    assert_true(is_host("10.99.0.255", 32));
    static const char *const nobodies[] = {"0.0.0.0",    "0.1.2.3",         "127.0.0.1",
                                           "224.0.0.1",  "255.255.255.255", "10.99.0.0",
                                           "10.99.0.255"};
    for (uint32_t i = 0; i < ARRAY_COUNT(nobodies); i++)
        assert_false(is_host(nobodies[i], 24));
    assert_false(is_host("10.99.0.2", 0));
    assert_false(is_host("10.99.0.2", 33));
    struct net_address six = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    assert_true(net_address_is_host(&six, 64));
    six.octets[0] = 0xff;
    assert_false(net_address_is_host(&six, 64));
    assert_false(net_address_is_host(&(struct net_address){{[15] = 1}}, 64));
    assert_false(net_address_is_host(&(struct net_address){{0}}, 64));
}

static bool are_near(const char *one, const char *other, uint32_t prefix_bits)
{
    struct net_address a, b;
    assert_true(net_address_parse(bytes_of_string(one), &a));
    assert_true(net_address_parse(bytes_of_string(other), &b));
    return net_address_is_near(&a, &b, prefix_bits);
}

/* At every bit of the prefix, not of octets. */
static void knows_neighbours(void **state)
{
    (void)state;
    assert_true(are_near("10.99.0.2", "10.99.0.200", 24));
    assert_false(are_near("10.99.0.2", "10.99.1.2", 24));
    assert_true(are_near("10.99.0.2", "10.99.1.2", 23));
    assert_false(are_near("10.99.0.2", "10.99.2.2", 23));
    assert_true(are_near("10.99.0.2", "10.99.0.3", 31));
    assert_false(are_near("10.99.0.2", "10.99.0.3", 32));
    assert_true(are_near("10.99.0.2", "10.99.0.2", 32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(knows_hosts),
        cmocka_unit_test(knows_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
