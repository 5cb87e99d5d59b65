/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_prolog.c: the XML declaration and the header of a stream. */
#include "xml_cases.h"

#define STREAM                                                                                     \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

/* Declarations that XML 1.0 section 2.8 allows, and headers with and without. */
static void good_headers_are_taken(void **state)
{
    static const struct xml_case rows[] = {
        {STREAM, XML_FAULT_NONE, 0},
        {" \r\n" STREAM, XML_FAULT_NONE, 0},
        {"<?xml version='1.0'?>" STREAM, XML_FAULT_NONE, 0},
        {"<?xml version=\"1.0\"?>\n" STREAM, XML_FAULT_NONE, 0},
        {"<?xml\tversion = '1.0' \n?>" STREAM, XML_FAULT_NONE, 0},
        {"<?xml version='1.0' encoding='UTF-8'?>" STREAM, XML_FAULT_NONE, 0},
        {"<?xml version='1.0' encoding='utf-8' standalone='yes' ?>" STREAM, XML_FAULT_NONE, 0},
        {"<?xml version='1.0' standalone=\"no\"?>" STREAM, XML_FAULT_NONE, 0},
        {STREAM "<a/></stream:stream>", XML_FAULT_NONE, 0},
        {STREAM "\n<a/> <b/>", XML_FAULT_NONE, 0},
        {"<stream:stream to='x' xmlns:stream='http://etherx.jabber.org/streams'>", XML_FAULT_NONE,
         0},
        {"<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' "
         "xmlns:stream='http://etherx.jabber.org/streams' db:x='y' xml:lang='en' >",
         XML_FAULT_NONE, 0},
        {"<stream:stream xmlns='jabber:&#99;lient' "
         "xmlns:stream='http://etherx.jabber.org/str&#x65;ams'>",
         XML_FAULT_NONE, 0},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_HEADER);
}

/* Declarations that are none. */
static void bad_declarations_are_refused(void **state)
{
    static const struct xml_case rows[] = {
        {"<?xml ?>" STREAM, XML_FAULT_DECLARATION, 0},
        {"<?xml version='1.1'?>" STREAM, XML_FAULT_VERSION, 0},
        {"<?xml version='2.0'?>" STREAM, XML_FAULT_VERSION, 0},
        {"<?xml version=1.0?>" STREAM, XML_FAULT_DECLARATION, 0},
        {"<?xml version='1.0\"?>" STREAM, XML_FAULT_DECLARATION, 0},
        {"<?xml encoding='UTF-8'?>" STREAM, XML_FAULT_DECLARATION, 0},
        {"<?xml version='1.0' encoding='ISO-8859-1'?>" STREAM, XML_FAULT_ENCODING_NAME, 0},
        {"<?xml version='1.0' encoding='UTF-16'?>" STREAM, XML_FAULT_ENCODING_NAME, 0},
        {"<?xml version='1.0' encoding=''?>" STREAM, XML_FAULT_ENCODING_NAME, 0},
        {"<?xml version='1.0' standalone='maybe'?>" STREAM, XML_FAULT_DECLARATION, 0},
        {"<?xml version='1.0' standalone='yes' encoding='UTF-8'?>" STREAM, XML_FAULT_DECLARATION,
         0},
        {"<?xml version='1.0'encoding='UTF-8'?>" STREAM, XML_FAULT_DECLARATION, 0},
        {"<?xml version='1.0' more='x'?>" STREAM, XML_FAULT_DECLARATION, 0},
        {"<?xml version='1.0' ?x?>" STREAM, XML_FAULT_DECLARATION, 0},
        {"<?xml version='1.0'?><?xml version='1.0'?>" STREAM, XML_FAULT_INSTRUCTION, 21},
        {" <?xml version='1.0'?>" STREAM, XML_FAULT_INSTRUCTION, 1},
        {"<?xml-stylesheet href='x'?>" STREAM, XML_FAULT_INSTRUCTION, 0},
        {"<?php ?>" STREAM, XML_FAULT_INSTRUCTION, 0},
        {"<!DOCTYPE x>" STREAM, XML_FAULT_DOCTYPE, 0},
        {"<!--x-->" STREAM, XML_FAULT_COMMENT, 0},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_HEADER);
}

/* Root elements that open no stream (RFC 6120 sections 4.8, 4.9.3). */
static void bad_roots_are_refused(void **state)
{
    static const struct xml_case rows[] = {
        {"x", XML_FAULT_TEXT_OUTSIDE, 0},
        {"\xEF\xBB\xBF" STREAM, XML_FAULT_TEXT_OUTSIDE, 0},
        {"GET / HTTP/1.1\r\n", XML_FAULT_TEXT_OUTSIDE, 0},
        {"\x16\x03\x01\x02", XML_FAULT_CHARACTER, 0},
        {"</stream:stream>", XML_FAULT_STREAM_NAME, 0},
        {"<stream:stream>", XML_FAULT_PREFIX_UNDECLARED, -1},
        {"<stream>", XML_FAULT_STREAM_NAMESPACE, -1},
        {"<stream:stream xmlns:stream='wrong'>", XML_FAULT_STREAM_NAMESPACE, -1},
        {"<s:stream xmlns:s='http://etherx.jabber.org/streams'>", XML_FAULT_STREAM_PREFIX, -1},
        {"<stream xmlns='http://etherx.jabber.org/streams'>", XML_FAULT_STREAM_PREFIX, -1},
        {"<stream:features xmlns:stream='http://etherx.jabber.org/streams'>", XML_FAULT_STREAM_NAME,
         -1},
        {"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>", XML_FAULT_STREAM_NAME,
         -1},
        {"<stream:stream xmlns='jabber:clients' xmlns:stream='http://etherx.jabber.org/streams'>",
         XML_FAULT_STREAM_NAMESPACE, -1},
        {"<stream:stream to='a' to='b'>", XML_FAULT_ATTRIBUTE_TWICE, -1},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_HEADER);
}

/* A declaration without end is refused once it is too long to be one. */
static void endless_declarations_are_refused(void **state)
{
    (void)state;
    struct harness harness;
    char text[400];
    harness_init(&harness);
    harness.piece = 1;
    memset(text, ' ', sizeof(text));
    memcpy(text, "<?xml version='1.0'", 19);
    struct outcome outcome = harness_read(&harness, bytes_of(text, sizeof(text)), FROM_HEADER);
    assert_int_equal(outcome.result, XML_BAD);
    assert_int_equal(outcome.fault, XML_FAULT_DECLARATION);
    harness_fini(&harness);
}

/* What a header says is what stanzas inherit. */
static void scope_follows_the_header(void **state)
{
    static const struct {
        const char *text;
        enum xml_scope scope;
        uint16_t ns;
    } cases[] = {
        {"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
         XML_SCOPE_CLIENT, XML_NS_CLIENT},
        {"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>",
         XML_SCOPE_SERVER, XML_NS_SERVER},
        {"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>", XML_SCOPE_NONE,
         XML_NS_NONE},
        {"<stream:stream xmlns='' xmlns:stream='http://etherx.jabber.org/streams'>", XML_SCOPE_NONE,
         XML_NS_NONE},
    };
    (void)state;
    struct harness harness;
    harness_init(&harness);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct xml_input input = xml_input_of(bytes_of_string(cases[i].text));
        struct xml_item item;
        assert_int_equal(xml_read_header(harness.reader, &harness.limits, &input, &item), XML_DONE);
        assert_int_equal(item.kind, XML_ITEM_HEADER);
        assert_int_equal(item.scope, cases[i].scope);
        assert_true(xml_name_is(&item, xml_root(&item), XML_NS_STREAMS, BYTES("stream")));
        enum xml_scope scope = item.scope;
        input = xml_input_of(BYTES("<a><stream:b/></a>"));
        assert_int_equal(xml_read(harness.reader, scope, &harness.limits, &input, &item), XML_DONE);
        assert_int_equal(xml_root(&item)->ns, cases[i].ns);
        assert_int_equal(xml_child(&item, xml_root(&item))->ns, XML_NS_STREAMS);
    }
    harness_fini(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers_are_taken),
        cmocka_unit_test(bad_declarations_are_refused),
        cmocka_unit_test(bad_roots_are_refused),
        cmocka_unit_test(endless_declarations_are_refused),
        cmocka_unit_test(scope_follows_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
