/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_tag.c: names, attributes, values and namespaces of start tags. */
#include "xml_cases.h"

#define UTF8_NAME "\xC3\xA9\xE4\xBD\xA0\xF0\x90\x80\x80"

/* Names by XML 1.0 fifth edition and Namespaces 1.0. */
static void names(void **state)
{
    static const struct xml_case rows[] = {
        {"<_a.b-c1 _.='x' A='y'/>", XML_FAULT_NONE, 0},
        {"<" UTF8_NAME " " UTF8_NAME "='x'></" UTF8_NAME ">", XML_FAULT_NONE, 0},
        {"<a\xC2\xB7/>", XML_FAULT_NONE, 0},
        {"<1a/>", XML_FAULT_NAME, 1},
        {"<-a/>", XML_FAULT_NAME, 1},
        {"<.a/>", XML_FAULT_NAME, 1},
        {"<\xC2\xB7/>", XML_FAULT_NAME, 1},
        {"<a\xC3\x97/>", XML_FAULT_NAME, 2},
        {"<a\xE2\x80\x80/>", XML_FAULT_NAME, 2},
        {"<:a/>", XML_FAULT_NAME, -1},
        {"<a:/>", XML_FAULT_NAME, -1},
        {"<a::b/>", XML_FAULT_NAME, -1},
        {"<stream:a:b/>", XML_FAULT_NAME, -1},
        {"<stream:1/>", XML_FAULT_NAME, -1},
        {"<a@/>", XML_FAULT_SYNTAX, 2},
        {"<a 1b='c'/>", XML_FAULT_NAME, 3},
        {"<a :b='c'/>", XML_FAULT_NAME, -1},
        {"<a b:='c'/>", XML_FAULT_NAME, -1},
        {"<a ='c'/>", XML_FAULT_NAME, 3},
        {"<a xml:='c'/>", XML_FAULT_NAME, -1},
        {"<a xml:lang:x='c'/>", XML_FAULT_NAME, -1},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_STANZA);
}

/* Attributes and their values. */
static void attributes(void **state)
{
    static const struct xml_case rows[] = {
        {"<a b='c' d=\"e\"/>", XML_FAULT_NONE, 0},
        {"<a\tb\n=\r'c'\r\n/>", XML_FAULT_NONE, 0},
        {"<a b='\"' c=\"'\"/>", XML_FAULT_NONE, 0},
        {"<a b='>' c='/>' d='=' e='a b'/>", XML_FAULT_NONE, 0},
        {"<a b='&lt;&#10;' c=''/>", XML_FAULT_NONE, 0},
        {"<a b='x\ty\r\nz'/>", XML_FAULT_NONE, 0},
        {"<a xml:lang='en' lang='x' id='y'/>", XML_FAULT_NONE, 0},
        {"<a b='c'd='e'/>", XML_FAULT_SYNTAX, 8},
        {"<a b/>", XML_FAULT_SYNTAX, 4},
        {"<a b>", XML_FAULT_SYNTAX, 4},
        {"<a b=c/>", XML_FAULT_SYNTAX, 5},
        {"<a b=&#34;c&#34;/>", XML_FAULT_SYNTAX, 5},
        {"<a b=/>", XML_FAULT_SYNTAX, 5},
        {"<a b='<'/>", XML_FAULT_SYNTAX, 6},
        {"<a b='&'/>", XML_FAULT_REFERENCE, 6},
        {"<a b='&#0;'/>", XML_FAULT_REFERENCE, 6},
        {"<a / >", XML_FAULT_SYNTAX, 4},
        {"<a /b>", XML_FAULT_SYNTAX, 4},
        {"<a b='c'/ >", XML_FAULT_SYNTAX, 9},
        {"<a \"b\"='c'/>", XML_FAULT_NAME, 3},
        {"<a <b/>", XML_FAULT_NAME, 3},
        {"<a b='c' b='d'/>", XML_FAULT_ATTRIBUTE_TWICE, 9},
        {"<a b='c' d='e' f='g' b='c'/>", XML_FAULT_ATTRIBUTE_TWICE, 21},
        {"<a xml:lang='c' b='d' xml:lang='e'/>", XML_FAULT_ATTRIBUTE_TWICE, 22},
        {"<a xmlns='c' xmlns='d'/>", XML_FAULT_ATTRIBUTE_TWICE, 13},
        {"<a xmlns:b='c' xmlns:b='c'/>", XML_FAULT_ATTRIBUTE_TWICE, 15},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_STANZA);
}

/* Namespaces in XML 1.0 sections 3, 4, 5 and 6. */
static void namespaces(void **state)
{
    static const struct xml_case rows[] = {
        {"<a xmlns='x'/>", XML_FAULT_NONE, 0},
        {"<a xmlns=''/>", XML_FAULT_NONE, 0},
        {"<b:a xmlns:b='x' b:c='d' c='d'/>", XML_FAULT_NONE, 0},
        {"<a xmlns:b='x'><b:c/></a>", XML_FAULT_NONE, 0},
        {"<a xmlns:b='x' xmlns:c='x' b:d='' c:e=''/>", XML_FAULT_NONE, 0},
        {"<a xmlns:b='x' xmlns='x' b:d='' d=''/>", XML_FAULT_NONE, 0},
        {"<a xmlns:b='x' xmlns:c='y' b:d='' c:d=''/>", XML_FAULT_NONE, 0},
        {"<a xmlns:b='x' xmlns:c='urn:xmpp:ping' b:d='' c:d=''/>", XML_FAULT_NONE, 0},
        {"<a xmlns:b='urn:xmpp:ping' xmlns:c='jabber:client' b:d='' c:d=''/>", XML_FAULT_NONE, 0},
        {"<a xmlns:b='x' xmlns:c='x&#121;' b:d='' c:d=''/>", XML_FAULT_NONE, 0},
        {"<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>", XML_FAULT_NONE, 0},
        {"<xml:a/>", XML_FAULT_NONE, 0},
        {"<a xmlns:stream='x'><stream:b/></a>", XML_FAULT_NONE, 0},
        {"<a xmlns:xmlfoo='x' xmlfoo='y'/>", XML_FAULT_NONE, 0},
        {"<b:a/>", XML_FAULT_PREFIX_UNDECLARED, -1},
        {"<a b:c='d'/>", XML_FAULT_PREFIX_UNDECLARED, -1},
        {"<a><b xmlns:c='x'/><c:d/></a>", XML_FAULT_PREFIX_UNDECLARED, -1},
        {"<a xmlns:b=''/>", XML_FAULT_PREFIX_EMPTY, -1},
        {"<a xmlns:xml='x'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<a xmlns:b='http://www.w3.org/XML/1998/namespace'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<a xmlns='http://www.w3.org/XML/1998/namespace'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<a xmlns:xmlns='x'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<a xmlns:b='http://www.w3.org/2000/xmlns/'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<a xmlns='http://www.w3.org/2000/xmlns/'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<a xmlns:b='http://www.w3.org/2000/xmlns&#47;'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<xmlns:a/>", XML_FAULT_PREFIX_UNDECLARED, -1},
        {"<a xmlns:b='x' xmlns:c='x' b:d='' c:d=''/>", XML_FAULT_ATTRIBUTE_TWICE, -1},
        {"<a xmlns:b='xy' xmlns:c='x&#121;' b:d='' c:d=''/>", XML_FAULT_ATTRIBUTE_TWICE, -1},
        {"<a xmlns:b='jabber:client' xmlns:c='jabber:&#99;lient' b:d='' c:d=''/>",
         XML_FAULT_ATTRIBUTE_TWICE, -1},
        {"<a xmlns:b='x'><c xmlns:d='x' b:e='' d:e=''/></a>", XML_FAULT_ATTRIBUTE_TWICE, -1},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_STANZA);
}

/* Which namespace a name is in, through nesting, shadowing and undeclaring. */
static void names_resolve(void **state)
{
    static const char *const cases[][2] = {
        {"<a><b xmlns='x'><c/></b><d/></a>",
         "<jabber:client|a><x|b><x|c></></><jabber:client|d></></>"},
        {"<a xmlns=''><b/></a>", "<|a><|b></></>"},
        {"<a><b xmlns=''><c xmlns='jabber:client'/></b></a>",
         "<jabber:client|a><|b><jabber:client|c></></></>"},
        {"<p:a xmlns:p='x' p:b='1' b='2'><c><p:d xmlns:p='y' p:e='3'/><p:f/></c></p:a>",
         "<x|a x|b=1 |b=2><jabber:client|c><y|d y|e=3></><x|f></></></>"},
        {"<p:a p:b='1' xmlns:p='urn:xmpp:ping'/>", "<urn:xmpp:ping|a urn:xmpp:ping|b=1></>"},
        {"<a xml:lang='en'/>", "<jabber:client|a http://www.w3.org/XML/1998/namespace|lang=en></>"},
        {"<a xmlns='x&amp;y&#65;'><b/></a>", "<x&yA|a><x&yA|b></></>"},
        {"<a xmlns='urn:xmpp:&#112;ing'><b/></a>", "<urn:xmpp:ping|a><urn:xmpp:ping|b></></>"},
        {"<stream:a stream:b='c' xmlns:stream='x'/>", "<x|a x|b=c></>"},
    };
    (void)state;
    struct harness harness;
    harness_init(&harness);
    for (harness.piece = 0; harness.piece < 4; harness.piece++)
        for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
            assert_string_equal(log_of(&harness, cases[i][0], FROM_STANZA), cases[i][1]);
    harness_fini(&harness);
}

/* Values come out as XML 1.0 section 3.3.3 says. */
static void values_are_normalised(void **state)
{
    static const char *const cases[][2] = {
        {"<a b='1\t2\n3\r4\r\n5'/>", "<jabber:client|a |b=1 2 3 4 5></>"},
        {"<a b='&#9;&#10;&#13;'/>", "<jabber:client|a |b=\t\n\r></>"},
        {"<a b='&quot;&apos;&lt;&gt;&amp;'/>", "<jabber:client|a |b=\"'<>&></>"},
        {"<a b='  x  '/>", "<jabber:client|a |b=  x  ></>"},
    };
    (void)state;
    struct harness harness;
    harness_init(&harness);
    for (harness.piece = 0; harness.piece < 4; harness.piece++)
        for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
            assert_string_equal(log_of(&harness, cases[i][0], FROM_STANZA), cases[i][1]);
    harness_fini(&harness);
}

static void write_many(struct writer *into, const char *text, uint32_t count)
{
    while (count-- > 0)
        write_string(into, text);
}

/* A name of 255 octets is taken, of 256 refused, prefix and local part each. */
static void long_names(void **state)
{
    (void)state;
    static char text[4096];
    for (uint32_t extra = 0; extra < 2; extra++) {
        static const char *const forms[][3] = {{"<", "/>", ""},
                                               {"<a ", "='x'/>", ""},
                                               {"<stream:", "/>", ""},
                                               {"<", ":a xmlns:", "='x'/>"}};
        for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
            struct writer writer = writer_of(text, sizeof(text));
            write_string(&writer, forms[i][0]);
            write_many(&writer, "n", XML_NAME_BYTES_MAX + extra);
            write_string(&writer, forms[i][1]);
            if (forms[i][2][0] != 0)
                write_many(&writer, "n", XML_NAME_BYTES_MAX + extra);
            write_string(&writer, forms[i][2]);
            write_u8(&writer, 0);
            struct xml_case row = {text, extra == 0 ? XML_FAULT_NONE : XML_FAULT_NAME_TOO_LONG, -1};
            check_cases(&row, 1, FROM_STANZA);
        }
    }
}

/* 32 prefixes may be in scope, not 33; siblings may have as many each. */
static void many_prefixes(void **state)
{
    (void)state;
    static char text[8192];
    for (uint32_t extra = 0; extra < 2; extra++) {
        struct writer writer = writer_of(text, sizeof(text));
        write_string(&writer, "<a><b");
        for (uint32_t i = 0; i < XML_PREFIXES_MAX; i++) {
            write_string(&writer, " xmlns:p");
            write_decimal(&writer, i);
            write_string(&writer, "='x'");
        }
        write_string(&writer, extra == 0 ? "/><b xmlns:q='y'/></a>" : "><b xmlns:q='y'/></b></a>");
        write_u8(&writer, 0);
        struct xml_case row = {text, extra == 0 ? XML_FAULT_NONE : XML_FAULT_TOO_MANY_PREFIXES, -1};
        check_cases(&row, 1, FROM_STANZA);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(attributes),
        cmocka_unit_test(namespaces),
        cmocka_unit_test(names_resolve),
        cmocka_unit_test(values_are_normalised),
        cmocka_unit_test(long_names),
        cmocka_unit_test(many_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
