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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(refuses_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
