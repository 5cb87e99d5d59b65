/* SPDX-License-Identifier: Apache-2.0
 *
 * Dotted quads and IPv6 addresses in and out, with prefix and VLAN. */
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
    static const char *const texts[] = {"0.0.0.0",
                                        "10.99.0.2",
                                        "255.255.255.255",
                                        "1.2.3.40",
                                        "::",
                                        "::1",
                                        "1::",
                                        "2001:db8::1",
                                        "fe80::200:ff:fe00:1",
                                        "1:2:3:4:5:6:7:8",
                                        "0:2:3:4:5:6:7:8",
                                        "1:2:3:4:5:6:7:0",
                                        "1::4:5:0:0:8",
                                        "1:0:0:4::8",
                                        "1:0:3:4:5:6:7:8",
                                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                        "a:b:c:d:e:f::"};
    for (uint32_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct net_address address;
        char text[40];
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
                                        "1,2,3,4",  ":1",        "1.2.3.4\n", "4294967296.0.0.1"};
    for (uint32_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct net_address address;
        assert_false(net_address_parse(bytes_of_string(texts[i]), &address));
    }
}

/* RFC 4291 2.2: what else means the same; RFC 5952: how it is written then. */
static void reads_other_forms(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"},
        {"0:0:0:0:0:0:0:1", "::1"},
        {"2001:0db8::0001", "2001:db8::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"::1.2.3.4", "::102:304"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"}};
    for (uint32_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        struct net_address address;
        char text[40];
        struct writer into = writer_of(text, sizeof text);
        assert_true(net_address_parse(bytes_of_string(pairs[i][0]), &address));
        net_address_write(&address, &into);
        assert_true(bytes_equal(writer_bytes(&into), bytes_of_string(pairs[i][1])));
    }
    static const char *const bad[] = {":",
                                      ":::",
                                      "1:",
                                      "1:2:3:4:5:6:7",
                                      "1::2::3",
                                      "12345::",
                                      "::g",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4:5:6:7::8",
                                      "::1%2",
                                      "1:2:3:4:5:6:7:1.2.3.4",
                                      "::1.2.3",
                                      "1.2.3.4::",
                                      "::1 ",
                                      "::1/64",
                                      ":1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:",
                                      "::1.2.3.4:5",
                                      "[::1]"};
    for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct net_address address;
        assert_false(net_address_parse(bytes_of_string(bad[i]), &address));
    }
}

/* Locals and routers of the options. */
static void reads_prefix_and_vlan(void **state)
{
    (void)state;
    struct net_local local;
    struct net_router router;
    assert_true(net_local_parse(BYTES("10.99.0.2/24"), &local));
    assert_int_equal(net_address_ipv4(&local.address), 0x0a630002);
    assert_int_equal(local.prefix_bits, 24);
    assert_int_equal(local.vlan, 0);
    assert_true(net_local_parse(BYTES("2001:db8::2/64%4094"), &local));
    assert_int_equal(local.prefix_bits, 64);
    assert_int_equal(local.vlan, 4094);
    static const char *const bad[] = {"10.99.0.2",       "10.99.0.2/",
                                      "10.99.0.2/33",    "10.99.0.0/24",
                                      "10.99.0.2/24%0",  "10.99.0.2/24%4095",
                                      "10.99.0.2/24%",   "::1/64",
                                      "2001:db8::2/129", "2001:db8::2/0",
                                      "ff02::1/64",      "10.99.0.2/24%1%2",
                                      "10.99.0.2%7/24",  "/24",
                                      "10.99.0.2/-1"};
    for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(net_local_parse(bytes_of_string(bad[i]), &local));
    assert_true(net_router_parse(BYTES("fe80::1%7"), &router));
    assert_int_equal(router.vlan, 7);
    assert_true(net_router_parse(BYTES("10.99.0.1"), &router));
    assert_false(net_router_parse(BYTES("10.99.0.1/24"), &router));
    assert_false(net_router_parse(BYTES("224.0.0.1"), &router));
    assert_false(net_router_parse(BYTES("::"), &router));
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
        cmocka_unit_test(reads_what_it_writes), cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(reads_other_forms),    cmocka_unit_test(reads_prefix_and_vlan),
        cmocka_unit_test(knows_hosts),          cmocka_unit_test(knows_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
