/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_write.c: what is written is read back as it was, and cannot break out of its
 * place. */
#include "stentor/random.h"

#include "xml_cases.h"

static void assert_written(const struct writer *writer, const char *expected)
{
    if (!bytes_equal(writer_bytes(writer), bytes_of_string(expected)))
        fail_msg("\"%.*s\" is not \"%s\"", (int)writer->size, (const char *)writer->at, expected);
}

/* What is escaped in text, in values, and what is not. */
static void escapes(void **state)
{
    (void)state;
    uint8_t space[256];
    struct writer writer = writer_of(space, sizeof(space));
    write_xml_text(&writer, BYTES("a<b>&\"'\t\n\r\xC3\xA9"));
    assert_written(&writer, "a&lt;b&gt;&amp;\"'\t\n&#13;\xC3\xA9");
    writer = writer_of(space, sizeof(space));
    write_xml_value(&writer, BYTES("a<b>&\"'\t\n\r"));
    assert_written(&writer, "a&lt;b&gt;&amp;&quot;&#39;&#9;&#10;&#13;");
    writer = writer_of(space, sizeof(space));
    write_xml_attribute(&writer, "to", BYTES("o'neil@x"));
    assert_written(&writer, " to='o&#39;neil@x'");
}

/* What XML cannot carry becomes U+FFFD, one a character. */
static void illegal_octets_are_replaced(void **state)
{
    static const char *const cases[][2] = {
        {"a\x01"
         "b",
         "a\xEF\xBF\xBD"
         "b"},
        {"\xFF", "\xEF\xBF\xBD"},
        {"\xC3", "\xEF\xBF\xBD"},
        {"\xC3(", "\xEF\xBF\xBD("},
        {"\xE4\xBD", "\xEF\xBF\xBD"},
        {"\xED\xA0\x80x", "\xEF\xBF\xBDx"},
        {"\xEF\xBF\xBF", "\xEF\xBF\xBD"},
        {"\xC0\xAF<", "\xEF\xBF\xBD&lt;"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint8_t space[64];
        struct writer writer = writer_of(space, sizeof(space));
        write_xml_text(&writer, bytes_of_string(cases[i][0]));
        assert_written(&writer, cases[i][1]);
    }
}

/* Any legal text comes back as it was, from between tags and from between quotes. */
static void legal_text_comes_back(void **state)
{
    (void)state;
    static const char alphabet[] = "<>&\"'\r\n\t ]]ab\xC3\xA9";
    struct harness harness;
    struct random random;
    harness_init(&harness);
    random_init_seed(&random, 8);
    for (uint32_t round = 0; round < 3000; round++) {
        uint8_t text[64], written[1024], back[128];
        struct writer plain = writer_of(text, sizeof(text));
        for (uint32_t i = random_below(&random, 20); i > 0; i--) {
            uint32_t pick = random_below(&random, sizeof(alphabet) - 2);
            write_bytes(&plain, bytes_of(alphabet + pick, pick + 3 == sizeof(alphabet) ? 2 : 1));
        }
        struct writer writer = writer_of(written, sizeof(written));
        write_string(&writer, "<a");
        write_xml_attribute(&writer, "b", writer_bytes(&plain));
        write_u8(&writer, '>');
        write_xml_text(&writer, writer_bytes(&plain));
        write_string(&writer, "</a>");
        struct xml_input input = xml_input_of(writer_bytes(&writer));
        struct xml_item item;
        assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                         XML_DONE);
        assert_true(xml_attribute_is(&item, xml_root(&item), BYTES("b"), writer_bytes(&plain)));
        struct writer decoded = writer_of(back, sizeof(back));
        xml_text(&item, xml_root(&item), &decoded);
        assert_true(bytes_equal(writer_bytes(&decoded), writer_bytes(&plain)));
    }
    harness_fini(&harness);
}

/* Any octets at all give something that reads. */
static void any_octets_read(void **state)
{
    (void)state;
    struct harness harness;
    struct random random;
    harness_init(&harness);
    random_init_seed(&random, 9);
    for (uint32_t round = 0; round < 5000; round++) {
        uint8_t octets[48], written[1024];
        random_fill(&random, octets, sizeof(octets));
        for (size_t i = 0; i < sizeof(octets); i++)
            octets[i] = random_below(&random, 3) == 0 ? octets[i] : octets[i] | 0x80;
        struct writer writer = writer_of(written, sizeof(written));
        write_string(&writer, "<a");
        write_xml_attribute(&writer, "b", bytes_of(octets, sizeof(octets)));
        write_u8(&writer, '>');
        write_xml_text(&writer, bytes_of(octets, sizeof(octets)));
        write_string(&writer, "</a>");
        struct outcome outcome = harness_read(&harness, writer_bytes(&writer), FROM_STANZA);
        assert_int_equal(outcome.result, XML_NEED_MORE);
        assert_int_equal(outcome.used, writer.size);
    }
    harness_fini(&harness);
}

/* A writer that is full is overflown, and nothing is written past its end. */
static void a_full_writer_overflows(void **state)
{
    (void)state;
    uint8_t space[8];
    struct writer writer = writer_of(space, 6);
    space[6] = 0x55;
    write_xml_text(&writer, BYTES("ab&cd"));
    assert_true(writer.is_overflown);
    assert_int_equal(space[6], 0x55);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),
        cmocka_unit_test(illegal_octets_are_replaced),
        cmocka_unit_test(legal_text_comes_back),
        cmocka_unit_test(any_octets_read),
        cmocka_unit_test(a_full_writer_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
