/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_read.c: items one after the other, however cut; limits; what is kept of a cut
 * item; that reading costs no more the finer the cut. */
#include "xml_cases.h"
#include "xml_generator.h"
#include "xml_traffic.h"

/* A copy of the log, to compare another with. */
struct saved_log {
    uint8_t octets[1 << 18];
    size_t size;
};

static void save_log(struct saved_log *saved, const struct harness *harness)
{
    assert_true(harness->log.size <= sizeof(saved->octets));
    memcpy(saved->octets, harness->log.at, harness->log.size);
    saved->size = harness->log.size;
}

static void assert_log(const struct saved_log *saved, const struct harness *harness)
{
    assert_true(bytes_equal(bytes_of(saved->octets, saved->size), writer_bytes(&harness->log)));
}

static struct bytes make_traffic(struct writer *into, uint32_t stanzas, uint64_t seed)
{
    xml_traffic_header(into);
    while (stanzas-- > 0)
        xml_traffic_stanza(into, &seed);
    write_string(into, "</stream:stream>");
    assert_false(into->is_overflown);
    return writer_bytes(into);
}

/* Usual traffic in pieces of any size gives the same items, with the reader lent or its state moved
 * out. */
static void pieces_do_not_matter(void **state)
{
    (void)state;
    static uint8_t octets[1 << 17];
    static struct saved_log whole;
    static const uint32_t pieces[] = {1, 2, 3, 5, 13, 63, 64, 65, 100, 536, 1460, 9000};
    struct writer writer = writer_of(octets, sizeof(octets));
    struct bytes stream = make_traffic(&writer, 100, 1);
    struct harness harness;
    harness_init(&harness);
    assert_true(harness_read(&harness, stream, FROM_HEADER).is_ended);
    save_log(&whole, &harness);
    for (uint32_t way = 0; way < 4; way++) {
        harness.is_saving = (way & 1) != 0;
        harness.reader->is_stepping_always = (way & 2) != 0;
        for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
            harness.piece = pieces[i];
            assert_true(harness_read(&harness, stream, FROM_HEADER).is_ended);
            assert_log(&whole, &harness);
        }
    }
    harness_fini(&harness);
}

/* Documents in every spelling, cut at each offset, give the same items. */
static void cuts_do_not_matter(void **state)
{
    (void)state;
    static uint8_t octets[GENERATED_BYTES_MAX];
    static struct saved_log whole;
    struct generator generator = {.out = writer_of(octets, sizeof(octets)), .plainness = 60};
    struct harness harness;
    harness_init(&harness);
    random_init_seed(&generator.random, 5);
    for (uint32_t i = 0; i < 150; i++) {
        generate_stream(&generator);
        struct bytes stream = writer_bytes(&generator.out);
        harness.cut_at = 0;
        harness.is_saving = i % 2 == 0;
        assert_true(harness_read(&harness, stream, FROM_HEADER).is_ended);
        save_log(&whole, &harness);
        for (harness.cut_at = 1; harness.cut_at < stream.size; harness.cut_at++) {
            assert_true(harness_read(&harness, stream, FROM_HEADER).is_ended);
            assert_log(&whole, &harness);
        }
    }
    harness_fini(&harness);
}

/* A flipped bit gives the same verdict, at the same place, octet by octet as whole. */
static void flipped_bits_get_one_verdict(void **state)
{
    (void)state;
    static uint8_t octets[1 << 14];
    static struct saved_log whole;
    struct writer writer = writer_of(octets, sizeof(octets));
    struct bytes stream = make_traffic(&writer, 12, 9);
    struct harness harness;
    harness_init(&harness);
    for (size_t bit = 0; bit < stream.size * 8; bit++) {
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        harness.piece = 0;
        harness.reader->is_stepping_always = false;
        struct outcome fast = harness_read(&harness, stream, FROM_HEADER);
        save_log(&whole, &harness);
        harness.reader->is_stepping_always = true;
        struct outcome steps = harness_read(&harness, stream, FROM_HEADER);
        assert_log(&whole, &harness);
        assert_int_equal(fast.result, steps.result);
        assert_int_equal(fast.fault, steps.fault);
        assert_int_equal(fast.fault_at, steps.fault_at);
        if (bit % 8 == 5) {
            harness.piece = 1;
            harness.reader->is_stepping_always = false;
            struct outcome slow = harness_read(&harness, stream, FROM_HEADER);
            assert_log(&whole, &harness);
            assert_int_equal(fast.result, slow.result);
        }
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    harness_fini(&harness);
}

/* Each limit lets through what is at it and refuses what is over it, in every way of feeding. */
static void limits_hold(void **state)
{
    static const struct {
        const char *text;
        struct xml_limits limits; /* bytes, nodes, depth, attributes */
        enum xml_fault fault;
    } cases[] = {
        {"<a>12345</a>", {12, 100, 10, 10}, XML_FAULT_NONE},
        {"<a>12345</a>", {11, 100, 10, 10}, XML_FAULT_TOO_LARGE},
        {"<a>1234567890", {9, 100, 10, 10}, XML_FAULT_TOO_LARGE},
        {"       <a/>      <b/>", {4, 100, 10, 10}, XML_FAULT_NONE},
        {"<a b=''>c<d/></a>", {1000, 4, 10, 10}, XML_FAULT_NONE},
        {"<a b=''>c<d/></a>", {1000, 3, 10, 10}, XML_FAULT_TOO_MANY_NODES},
        {"<a b=''>c</a>", {1000, 2, 10, 10}, XML_FAULT_TOO_MANY_NODES},
        {"<a b='' c=''/>", {1000, 2, 10, 10}, XML_FAULT_TOO_MANY_NODES},
        {"<a><![CDATA[]]></a>", {1000, 1, 10, 10}, XML_FAULT_TOO_MANY_NODES},
        {"<a><b><c/></b></a>", {1000, 100, 3, 10}, XML_FAULT_NONE},
        {"<a><b><c/></b></a>", {1000, 100, 2, 10}, XML_FAULT_TOO_DEEP},
        {"<a b='' c='' d=''/>", {1000, 100, 10, 3}, XML_FAULT_NONE},
        {"<a b='' c='' d=''/>", {1000, 100, 10, 2}, XML_FAULT_TOO_MANY_ATTRIBUTES},
        {"<a b='' c='' xmlns='x'/>", {1000, 100, 10, 2}, XML_FAULT_TOO_MANY_ATTRIBUTES},
    };
    (void)state;
    struct harness harness;
    harness_init(&harness);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct xml_case row = {cases[i].text, cases[i].fault, -1};
        harness.limits = cases[i].limits;
        harness.is_saving = false;
        for (uint32_t way = 0; way < 2; way++) {
            harness.reader->is_stepping_always = way == 1;
            for (harness.piece = 0; harness.piece < 3; harness.piece++)
                check_outcome(&harness, &row, FROM_STANZA);
        }
    }
    harness_fini(&harness);
}

/* A caller that tightens a limit in the middle of an item breaks the contract, but no memory: what
 * is over the new limit is refused. */
static void tighter_limits_midway_are_safe(void **state)
{
    (void)state;
    static const struct xml_limits tight = {1000, 2, 1, 1};
    static const char *const texts[] = {"<a b='' c='' d=''><e>f<g/></e></a>",
                                        "<a b='' c='' d='' e='' f='' g='' h=''/>"};
    struct harness harness;
    struct xml_item item;
    harness_init(&harness);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        size_t size = strlen(texts[i]);
        for (size_t cut = 18; cut + 4 < size; cut++) {
            struct xml_input input = xml_input_of(bytes_of(texts[i], cut));
            assert_int_equal(
                xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                XML_NEED_MORE);
            input = xml_input_of(bytes_of(texts[i], size));
            enum xml_result result =
                xml_read(harness.reader, XML_SCOPE_CLIENT, &tight, &input, &item);
            assert_int_not_equal(result, XML_NEED_MORE);
            if (cut < 20)
                assert_int_equal(result, XML_BAD);
        }
    }
    harness_fini(&harness);
}

/* The deepest and the largest that a reader can be made for. */
static void outer_limits_hold(void **state)
{
    (void)state;
    static char text[4096];
    struct harness harness;
    harness_init(&harness);
    harness.limits.depth_max = XML_DEPTH_MAX;
    for (uint32_t depth = XML_DEPTH_MAX; depth <= XML_DEPTH_MAX + 1; depth++) {
        struct writer writer = writer_of(text, sizeof(text));
        for (uint32_t i = 0; i < depth; i++)
            write_string(&writer, i + 1 == depth ? "<b:a/>" : i == 0 ? "<a xmlns:b='c'>" : "<a>");
        for (uint32_t i = 0; i + 1 < depth; i++)
            write_string(&writer, "</a>");
        write_u8(&writer, 0);
        struct xml_case row = {text, depth == XML_DEPTH_MAX ? XML_FAULT_NONE : XML_FAULT_TOO_DEEP,
                               -1};
        check_case(&harness, &row, FROM_STANZA);
    }
    harness_fini(&harness);
}

/* White space between stanzas is one item a run, the end of the stream another. */
static void items_have_kinds(void **state)
{
    static const struct {
        enum xml_item_kind kind;
        uint32_t size;
    } expected[] = {{XML_ITEM_WHITESPACE, 2},
                    {XML_ITEM_STANZA, 4},
                    {XML_ITEM_STANZA, 8},
                    {XML_ITEM_WHITESPACE, 1},
                    {XML_ITEM_STREAM_END, 16}};
    (void)state;
    struct harness harness;
    struct xml_item item;
    harness_init(&harness);
    struct xml_input input = xml_input_of(BYTES(" \n<a/><b>c</b> </stream:stream>"));
    uint32_t at = 0;
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++) {
        assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                         XML_DONE);
        assert_int_equal(item.kind, expected[i].kind);
        assert_int_equal(item.at, at);
        assert_int_equal(item.size, expected[i].size);
        at += item.size;
        assert_int_equal(input.at, at);
    }
    assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                     XML_NEED_MORE);
    assert_false(xml_reader_is_midway(harness.reader));
    harness_fini(&harness);
}

/* A fault in one input leaves the reader good for the next, and so does a reset midway; an octet
 * that is bad behind the item does not touch the item. */
static void faults_do_not_linger(void **state)
{
    (void)state;
    struct harness harness;
    struct xml_item item;
    harness_init(&harness);
    struct xml_input input = xml_input_of(BYTES("<a/><b>\x01</b>"));
    assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                     XML_DONE);
    assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                     XML_BAD);
    assert_int_equal(item.fault, XML_FAULT_CHARACTER);
    assert_int_equal(item.fault_at, 7);
    input = xml_input_of(BYTES("<c><d"));
    assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                     XML_NEED_MORE);
    assert_true(xml_reader_is_midway(harness.reader));
    xml_reader_reset(harness.reader);
    input = xml_input_of(BYTES("<e/>"));
    assert_int_equal(xml_read(harness.reader, XML_SCOPE_NONE, &harness.limits, &input, &item),
                     XML_DONE);
    assert_true(xml_name_is(&item, xml_root(&item), XML_NS_NONE, BYTES("e")));
    harness_fini(&harness);
}

/* Two inputs at one address are two inputs: nothing of the first is believed of the second. */
static void a_buffer_may_be_used_again(void **state)
{
    (void)state;
    struct harness harness;
    struct xml_item item;
    uint8_t buffer[32];
    harness_init(&harness);
    memcpy(buffer, "<a/><b>cc</b>", 13);
    struct xml_input input = xml_input_of(bytes_of(buffer, 13));
    assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                     XML_DONE);
    memcpy(buffer,
           "<a/><b>\x01"
           "c</b>",
           13);
    input = xml_input_of(bytes_of(buffer, 13));
    input.at = 4;
    assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                     XML_BAD);
    harness_fini(&harness);
}

/* Two inputs in turns, as when one stream's packet is left for another's: each is read as itself.
 */
static void inputs_may_take_turns(void **state)
{
    (void)state;
    struct harness harness;
    struct xml_item item;
    harness_init(&harness);
    struct xml_input one = xml_input_of(BYTES("<a/><b>1</b><c/>"));
    struct xml_input two = xml_input_of(BYTES("<a2><b><c></c></b></a2> <d2/>"));
    static const char *const names[] = {"a", "a2", "b", "", "c", "d2"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct xml_input *input = i % 2 == 0 ? &one : &two;
        assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, input, &item),
                         XML_DONE);
        if (names[i][0] != 0)
            assert_true(
                bytes_equal(xml_local_name(&item, xml_root(&item)), bytes_of_string(names[i])));
    }
    harness_fini(&harness);
}

/* Counts how many octets all scans together looked at. A test's own, for one test at a time. */
static uint64_t scanned_bytes;

static uint32_t scan_and_count(struct xml_map *map, uint32_t word, const uint8_t *octets,
                               uint32_t count, uint32_t before)
{
    scanned_bytes += (uint64_t)count * 64;
    return xml_scanner_find()->scan(map, word, octets, count, before);
}

static bool can_count(void)
{
    return true;
}

/* A large item of any kind fed octet by octet: what is looked at stays within two blocks an octet,
 * however large the item. The input is extended in place, as a caller that gathers would. */
static void cost_is_linear(void **state)
{
    static const struct xml_scanner counting = {"counting", scan_and_count, can_count};
    static const char *const starts[] = {"<a>text ",
                                         "<a b='value ",
                                         "<a><![CDATA[data ",
                                         "<a     ",
                                         "<a></a    ",
                                         "<a><b/>",
                                         "<a b='c' xmlns='d'><e f='g'/>"};
    (void)state;
    static uint8_t text[100000];
    struct harness harness;
    harness_init(&harness);
    harness.limits.nodes_max = 4096;
    harness.reader->scanner = &counting;
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++) {
        size_t start = strlen(starts[i]);
        memset(text, i >= 3 && i <= 4 ? ' ' : 'x', sizeof(text));
        memcpy(text, starts[i], start);
        scanned_bytes = 0;
        for (size_t size = 1; size <= sizeof(text); size++) {
            struct xml_input input = xml_input_of(bytes_of(text, size));
            struct xml_item item;
            assert_int_equal(
                xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                XML_NEED_MORE);
        }
        assert_in_range(scanned_bytes, 1, 128 * sizeof(text));
        xml_reader_reset(harness.reader);
    }
    harness_fini(&harness);
}

/* The state of a small stanza is small; a reader refuses to be made when the heap refuses. */
static void memory_is_bounded(void **state)
{
    (void)state;
    struct harness harness;
    struct xml_item item;
    harness_init(&harness);
    struct xml_input input = xml_input_of(BYTES("<message to='a' id='b'><body>te"));
    assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                     XML_NEED_MORE);
    assert_in_range(xml_reader_save_bytes(harness.reader), 1, 512);
    harness_fini(&harness);
    struct heap small;
    heap_init(&small, 1000);
    assert_null(xml_reader_create(&small, &harness.limits));
}

/* Each fault has a name, a text and a condition of RFC 6120. */
static void faults_have_names(void **state)
{
    (void)state;
    for (uint32_t fault = 1; fault < XML_FAULT_COUNT; fault++) {
        assert_true(strlen(xml_fault_name((enum xml_fault)fault)) > 3);
        assert_true(strlen(xml_fault_text((enum xml_fault)fault)) > 8);
        assert_true(strlen(xml_fault_condition((enum xml_fault)fault)) > 8);
    }
    assert_string_equal(xml_fault_condition(XML_FAULT_COMMENT), "restricted-xml");
    assert_string_equal(xml_fault_condition(XML_FAULT_TOO_LARGE), "policy-violation");
    assert_string_equal(xml_fault_condition(XML_FAULT_ENCODING_NAME), "unsupported-encoding");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_have_kinds),
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(cuts_do_not_matter),
        cmocka_unit_test(flipped_bits_get_one_verdict),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(tighter_limits_midway_are_safe),
        cmocka_unit_test(outer_limits_hold),
        cmocka_unit_test(faults_do_not_linger),
        cmocka_unit_test(a_buffer_may_be_used_again),
        cmocka_unit_test(inputs_may_take_turns),
        cmocka_unit_test(cost_is_linear),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(faults_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
