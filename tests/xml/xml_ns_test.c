/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_ns.c: each known URI has a number and a slot of its own, nothing else has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "xml_ns.h"

/* Each row of the table is found, and its URI can be had back. */
static void every_known_uri_is_found(void **state)
{
    (void)state;
    struct xml_ns_table table;
    xml_ns_table_init(&table);
    for (uint32_t ns = XML_NS_OTHER + 1; ns < XML_NS_COUNT; ns++) {
        struct bytes uri = xml_ns_known_uri((enum xml_ns)ns);
        assert_int_equal(xml_ns_find(&table, uri), ns);
    }
    assert_true(bytes_equal(xml_ns_known_uri(XML_NS_PING), BYTES("urn:xmpp:ping")));
    assert_int_equal(xml_ns_known_uri(XML_NS_NONE).size, 0);
    assert_int_equal(xml_ns_known_uri(XML_NS_OTHER).size, 0);
}

/* A URI one octet off, longer or shorter is OTHER (or another known one); none is NONE. */
static void near_misses_are_other(void **state)
{
    (void)state;
    struct xml_ns_table table;
    uint8_t uri[128];
    xml_ns_table_init(&table);
    assert_int_equal(xml_ns_find(&table, bytes_of(uri, 0)), XML_NS_NONE);
    for (uint32_t ns = XML_NS_OTHER + 1; ns < XML_NS_COUNT; ns++) {
        struct bytes known = xml_ns_known_uri((enum xml_ns)ns);
        for (size_t i = 0; i < known.size; i++) {
            memcpy(uri, known.at, known.size);
            uri[i] ^= 0x20;
            assert_int_equal(xml_ns_find(&table, bytes_of(uri, known.size)), XML_NS_OTHER);
        }
        memcpy(uri, known.at, known.size);
        uri[known.size] = '/';
        assert_int_equal(xml_ns_find(&table, bytes_of(uri, known.size + 1)), XML_NS_OTHER);
        enum xml_ns shorter = xml_ns_find(&table, bytes_of(uri, known.size - 1));
        assert_true(shorter == XML_NS_OTHER ||
                    bytes_equal(xml_ns_known_uri(shorter), bytes_of(uri, known.size - 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_uri_is_found),
        cmocka_unit_test(near_misses_are_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
