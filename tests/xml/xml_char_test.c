/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_char.c: characters, names and references one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "stentor/text.h"

#include "xml_char.h"

/* Every code point is read back as itself if XML allows it, refused otherwise, and cut short is
 * reported as cut. */
static void every_code_point(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point < 0x110000; code_point++) {
        uint8_t octets[4];
        struct writer writer = writer_of(octets, sizeof(octets));
        if (code_point >= 0xD800 && code_point < 0xE000)
            continue;
        write_utf8(&writer, code_point);
        struct xml_taken taken = xml_take_char(writer_bytes(&writer));
        assert_int_equal(taken.take, xml_is_char(code_point) ? XML_TAKE_OK : XML_TAKE_BAD);
        if (taken.take == XML_TAKE_BAD) {
            assert_int_equal(taken.fault, XML_FAULT_CHARACTER);
            continue;
        }
        assert_int_equal(taken.code_point, code_point);
        assert_int_equal(taken.size, writer.size);
        for (size_t size = 1; size < writer.size; size++)
            assert_int_equal(xml_take_char(bytes_of(octets, size)).take, XML_TAKE_CUT);
    }
}

/* XML 1.0 section 2.2 at its edges. */
static void edges_of_char(void **state)
{
    (void)state;
    static const struct {
        uint32_t code_point;
        bool is_char;
    } cases[] = {{0x0, false},    {0x8, false},    {0x9, true},      {0xA, true},
                 {0xB, false},    {0xC, false},    {0xD, true},      {0x1F, false},
                 {0x20, true},    {0x7F, true},    {0xD7FF, true},   {0xD800, false},
                 {0xDFFF, false}, {0xE000, true},  {0xFFFD, true},   {0xFFFE, false},
                 {0xFFFF, false}, {0x10000, true}, {0x10FFFF, true}, {0x110000, false}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(xml_is_char(cases[i].code_point), cases[i].is_char);
}

/* Octets that are no UTF-8 (RFC 3629): stray, overlong, surrogate, too large. */
static void broken_encodings(void **state)
{
    (void)state;
    static const char *const broken[] = {"\x80",
                                         "\xBF",
                                         "\xC0\x80",
                                         "\xC1\xBF",
                                         "\xC3\x28",
                                         "\xE0\x9F\xBF",
                                         "\xE2\x28\xA1",
                                         "\xE2\x82\x28",
                                         "\xED\xA0\x80",
                                         "\xED\xBF\xBF",
                                         "\xF0\x8F\xBF\xBF",
                                         "\xF4\x90\x80\x80",
                                         "\xF5\x80\x80\x80",
                                         "\xFE",
                                         "\xFF",
                                         "\xF0\x9F\x98\xC2",
                                         "\xE0\x80",
                                         "\xF0\x80",
                                         "\xED\xA0",
                                         "\xF4\x90"};
    for (size_t i = 0; i < ARRAY_COUNT(broken); i++) {
        struct xml_taken taken = xml_take_char(bytes_of_string(broken[i]));
        assert_int_equal(taken.take, XML_TAKE_BAD);
        assert_int_equal(taken.fault, XML_FAULT_ENCODING);
    }
}

/* NameStartChar and NameChar at the edges of every range of productions 4 and 4a. */
static void edges_of_names(void **state)
{
    (void)state;
    static const uint32_t starts[] = {
        'A',    'Z',    'a',    'z',    '_',    0xC0,   0xD6,   0xD8,    0xF6,   0xF8,
        0x2FF,  0x370,  0x37D,  0x37F,  0x1FFF, 0x200C, 0x200D, 0x2070,  0x218F, 0x2C00,
        0x2FEF, 0x3001, 0xD7FF, 0xF900, 0xFDCF, 0xFDF0, 0xFFFD, 0x10000, 0xEFFFF};
    static const uint32_t chars[] = {'-', '.', '0', '9', 0xB7, 0x300, 0x36F, 0x203F, 0x2040};
    static const uint32_t neither[] = {':',    ' ',    '/',    '@',    '[',    '`',    '{',
                                       0x7F,   0xB6,   0xD7,   0xF7,   0x37E,  0x2000, 0x200B,
                                       0x200E, 0x203E, 0x2041, 0x206F, 0x2190, 0x2BFF, 0x2FF0,
                                       0x3000, 0xD800, 0xF8FF, 0xFDD0, 0xFDEF, 0xFFFE, 0xF0000};
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++)
        assert_true(xml_is_name_start(starts[i]) && xml_is_name_char(starts[i]));
    for (size_t i = 0; i < ARRAY_COUNT(chars); i++)
        assert_true(!xml_is_name_start(chars[i]) && xml_is_name_char(chars[i]));
    for (size_t i = 0; i < ARRAY_COUNT(neither); i++)
        assert_true(!xml_is_name_start(neither[i]) && !xml_is_name_char(neither[i]));
}

/* References that stand, and what for; cut anywhere they are cut. */
static void good_references(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t code_point;
    } cases[] = {{"&amp;", '&'},
                 {"&lt;", '<'},
                 {"&gt;", '>'},
                 {"&quot;", '"'},
                 {"&apos;", '\''},
                 {"&#9;", 9},
                 {"&#65;", 'A'},
                 {"&#x41;", 'A'},
                 {"&#x1f602;", 0x1F602},
                 {"&#x10FFFF;", 0x10FFFF},
                 {"&#0000000000000000065;", 'A'},
                 {"&#xFFFD;", 0xFFFD}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct bytes text = bytes_of_string(cases[i].text);
        struct xml_taken taken = xml_take_reference(text);
        assert_int_equal(taken.take, XML_TAKE_OK);
        assert_int_equal(taken.code_point, cases[i].code_point);
        assert_int_equal(taken.size, text.size);
        for (size_t size = 1; size < text.size; size++)
            assert_int_equal(xml_take_reference(bytes_slice(text, 0, size)).take, XML_TAKE_CUT);
    }
}

/* References that do not stand, each with its fault. */
static void bad_references(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum xml_fault fault;
    } cases[] = {
        {"& ", XML_FAULT_REFERENCE},
        {"&;", XML_FAULT_REFERENCE},
        {"&#;", XML_FAULT_REFERENCE},
        {"&#x;", XML_FAULT_REFERENCE},
        {"&#0;", XML_FAULT_REFERENCE},
        {"&#x0B;", XML_FAULT_REFERENCE},
        {"&#xD800;", XML_FAULT_REFERENCE},
        {"&#xFFFE;", XML_FAULT_REFERENCE},
        {"&#x110000;", XML_FAULT_REFERENCE},
        {"&#99999999999999999999;", XML_FAULT_REFERENCE},
        {"&#65", XML_FAULT_NONE},
        {"&#6a;", XML_FAULT_REFERENCE},
        {"&#X41;", XML_FAULT_REFERENCE},
        {"&nbsp;", XML_FAULT_ENTITY},
        {"&AMP;", XML_FAULT_ENTITY},
        {"&amp ;", XML_FAULT_REFERENCE},
        {"&1;", XML_FAULT_REFERENCE},
        {"&a:b;", XML_FAULT_REFERENCE},
        {"&#00000000000000000000000000000000065;", XML_FAULT_REFERENCE},
        {"&aVeryLongEntityNameWithNoEndInSight;", XML_FAULT_ENTITY},
        {"&a\xFF;", XML_FAULT_ENCODING},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct xml_taken taken = xml_take_reference(bytes_of_string(cases[i].text));
        if (cases[i].fault == XML_FAULT_NONE) {
            assert_int_equal(taken.take, XML_TAKE_CUT);
            continue;
        }
        assert_int_equal(taken.take, XML_TAKE_BAD);
        assert_int_equal(taken.fault, cases[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point), cmocka_unit_test(edges_of_char),
        cmocka_unit_test(broken_encodings), cmocka_unit_test(edges_of_names),
        cmocka_unit_test(good_references),  cmocka_unit_test(bad_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
