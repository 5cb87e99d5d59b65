/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_step.c: content, text, CDATA and end tags, each wrong input with its fault
 * and its place, each legal spelling taken; and how much one octet more may cost. */
#include "xml_cases.h"

/* What RFC 6120 section 11.1 forbids in XML that is otherwise good. */
static void restricted_xml_is_refused(void **state)
{
    static const struct xml_case rows[] = {
        {"<a><!-- x --></a>", XML_FAULT_COMMENT, 3},
        {"<!-- x --><a/>", XML_FAULT_COMMENT, 0},
        {"<a><?php x ?></a>", XML_FAULT_INSTRUCTION, 3},
        {"<?xml version='1.0'?><a/>", XML_FAULT_INSTRUCTION, 0},
        {"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", XML_FAULT_DOCTYPE, 0},
        {"<a>&b;</a>", XML_FAULT_ENTITY, 3},
        {"<a b='&c;'/>", XML_FAULT_ENTITY, 6},
        {"<a>&nbsp;</a>", XML_FAULT_ENTITY, 3},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_STANZA);
}

/* Markup that is no XML at all. */
static void broken_markup_is_refused(void **state)
{
    static const struct xml_case rows[] = {
        {"a", XML_FAULT_TEXT_OUTSIDE, 0},
        {"\xEF\xBB\xBF<a/>", XML_FAULT_TEXT_OUTSIDE, 0},
        {"&amp;", XML_FAULT_TEXT_OUTSIDE, 0},
        {"<a/>b", XML_FAULT_TEXT_OUTSIDE, 4},
        {"<![CDATA[x]]>", XML_FAULT_TEXT_OUTSIDE, 0},
        {"<a></b>", XML_FAULT_END_TAG, -1},
        {"<a></aa>", XML_FAULT_END_TAG, -1},
        {"<aa></a>", XML_FAULT_END_TAG, -1},
        {"<a></a b='c'>", XML_FAULT_END_TAG, -1},
        {"<a></A>", XML_FAULT_END_TAG, -1},
        {"<a></ a>", XML_FAULT_END_TAG, -1},
        {"<a><b></a></b>", XML_FAULT_END_TAG, 6},
        {"<a></a/>", XML_FAULT_END_TAG, -1},
        {"<stream:a></a>", XML_FAULT_END_TAG, -1},
        {"</a>", XML_FAULT_END_TAG, -1},
        {"<>", XML_FAULT_NAME, 1},
        {"< a/>", XML_FAULT_NAME, 1},
        {"<a><</a>", XML_FAULT_NAME, 4},
        {"<a><!x></a>", XML_FAULT_SYNTAX, 3},
        {"<a><![CDATA x]]></a>", XML_FAULT_SYNTAX, 3},
        {"<a><![cdata[x]]></a>", XML_FAULT_SYNTAX, 3},
        {"<a><!doctype></a>", XML_FAULT_SYNTAX, 3},
        {"<a>]]></a>", XML_FAULT_CDATA_END, 3},
        {"<a>x]]]></a>", XML_FAULT_CDATA_END, 5},
        {"<a><![CDATA[x]]>]]></a>", XML_FAULT_CDATA_END, 16},
        {"<a>&</a>", XML_FAULT_REFERENCE, 3},
        {"<a>& b</a>", XML_FAULT_REFERENCE, 3},
        {"<a>&#0;</a>", XML_FAULT_REFERENCE, 3},
        {"<a>&#xD800;</a>", XML_FAULT_REFERENCE, 3},
        {"<a>&#xFFFF;</a>", XML_FAULT_REFERENCE, 3},
        {"<a>&#1114112;</a>", XML_FAULT_REFERENCE, 3},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_STANZA);
}

/* Octets that are no characters of XML, wherever they stand. */
static void illegal_characters_are_refused(void **state)
{
    static const struct xml_case rows[] = {
        {"<a>\x01</a>", XML_FAULT_CHARACTER, 3},
        {"<a b='\x1F'/>", XML_FAULT_CHARACTER, 6},
        {"<a\x02/>", XML_FAULT_CHARACTER, 2},
        {"<a \x0C/>", XML_FAULT_CHARACTER, 3},
        {"<a><![CDATA[\x08]]></a>", XML_FAULT_CHARACTER, 12},
        {"<a>\xEF\xBF\xBE</a>", XML_FAULT_CHARACTER, 3},
        {"<a>\xEF\xBF\xBF</a>", XML_FAULT_CHARACTER, 3},
        {"<a>\x80</a>", XML_FAULT_ENCODING, 3},
        {"<a>\xC0\xAF</a>", XML_FAULT_ENCODING, 3},
        {"<a>\xE0\x9F\xBF</a>", XML_FAULT_ENCODING, 3},
        {"<a>\xED\xA0\x80</a>", XML_FAULT_ENCODING, 3},
        {"<a>\xF4\x90\x80\x80</a>", XML_FAULT_ENCODING, 3},
        {"<a>\xF8\x88\x80\x80\x80</a>", XML_FAULT_ENCODING, 3},
        {"<a>\xE4\xBD</a>", XML_FAULT_ENCODING, 3},
        {"<a b='\xE4'/>", XML_FAULT_ENCODING, 6},
        {"<a\xFF/>", XML_FAULT_ENCODING, 2},
        {"<a b\xC3='c'/>", XML_FAULT_ENCODING, 4},
        {"\xFF", XML_FAULT_ENCODING, 0},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_STANZA);
}

/* Odd, but XML. */
static void legal_spellings_are_taken(void **state)
{
    static const struct xml_case rows[] = {
        {"<a/>", XML_FAULT_NONE, 0},
        {"<a />", XML_FAULT_NONE, 0},
        {"<a></a>", XML_FAULT_NONE, 0},
        {"<a></a\r\n\t >", XML_FAULT_NONE, 0},
        {"<a>]]</a>", XML_FAULT_NONE, 0},
        {"<a>]] ></a>", XML_FAULT_NONE, 0},
        {"<a>]]&gt;</a>", XML_FAULT_NONE, 0},
        {"<a>></a>", XML_FAULT_NONE, 0},
        {"<a><![CDATA[]]></a>", XML_FAULT_NONE, 0},
        {"<a><![CDATA[<&]]]]><![CDATA[>]]></a>", XML_FAULT_NONE, 0},
        {"<a>\x7F\t\r\n</a>", XML_FAULT_NONE, 0},
        {"<a>\xEF\xBF\xBD\xF4\x8F\xBF\xBF</a>", XML_FAULT_NONE, 0},
        {" \t\r\n<a/>\n\n<b/> ", XML_FAULT_NONE, 0},
        {"<stream:error><x/></stream:error>", XML_FAULT_NONE, 0},
        {"<a/></stream:stream>", XML_FAULT_NONE, 0},
        {"</stream:stream \n>", XML_FAULT_NONE, 0},
    };
    static const struct xml_case not_quite[] = {
        {"<a><![CDATA[]]]>]]></a>", XML_FAULT_CDATA_END, -1},
        {"</stream:streams>", XML_FAULT_END_TAG, -1},
        {"</stream:strea>", XML_FAULT_END_TAG, -1},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_STANZA);
    check_cases(not_quite, ARRAY_COUNT(not_quite), FROM_STANZA);
}

/* Text comes out as XML 1.0 sections 2.4, 2.7, 2.11 and 4.1 say. */
static void text_is_decoded(void **state)
{
    static const char *const cases[][2] = {
        {"<a>x&lt;y&amp;&#65;&#x42;</a>", "<jabber:client|a>\"x<y&AB\"</>"},
        {"<a>1\r\n2\r3\n4\r\r\n5</a>", "<jabber:client|a>\"1\n2\n3\n4\n\n5\"</>"},
        {"<a>&#13;&#10;</a>", "<jabber:client|a>\"\r\n\"</>"},
        {"<a>x<![CDATA[&amp;<\r\n]]>y</a>", "<jabber:client|a>\"x&amp;<\ny\"</>"},
        {"<a><b/> <c>d</c></a>",
         "<jabber:client|a><jabber:client|b></>\" \"<jabber:client|c>\"d\"</></>"},
        {"<a/>  </stream:stream>", "<jabber:client|a></>~"},
    };
    (void)state;
    struct harness harness;
    harness_init(&harness);
    for (harness.piece = 0; harness.piece < 4; harness.piece++)
        for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
            assert_string_equal(log_of(&harness, cases[i][0], FROM_STANZA), cases[i][1]);
    harness_fini(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restricted_xml_is_refused),
        cmocka_unit_test(broken_markup_is_refused),
        cmocka_unit_test(illegal_characters_are_refused),
        cmocka_unit_test(legal_spellings_are_taken),
        cmocka_unit_test(text_is_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
