/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_fast.c: each build of the fast way leaves the very tape that the steps leave,
 * octet for octet of every node, and does take the usual traffic. */
#include "xml_cases.h"
#include "xml_generator.h"
#include "xml_traffic.h"

struct tape {
    struct xml_node nodes[4097];
    uint32_t count;
    enum xml_result result;
    enum xml_item_kind kind;
    uint32_t size;
};

static void read_tape(struct harness *harness, struct bytes text, struct tape *tape)
{
    struct xml_input input = xml_input_of(text);
    struct xml_item item = {.kind = XML_ITEM_NONE};
    xml_reader_reset(harness->reader);
    tape->result = xml_read(harness->reader, XML_SCOPE_CLIENT, &harness->limits, &input, &item);
    tape->kind = item.kind;
    tape->count = 0;
    tape->size = input.at;
    if (tape->result != XML_DONE)
        return;
    check_item(&item);
    tape->count = item.node_count;
    memcpy(tape->nodes, item.nodes, (item.node_count + 1) * sizeof(item.nodes[0]));
}

static void assert_same(const struct tape *a, const struct tape *b, struct bytes text)
{
    assert_int_equal(a->result, b->result);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++)
        if (memcmp(&a->nodes[i], &b->nodes[i], sizeof(a->nodes[i])) != 0)
            fail_msg("node %u differs in %.*s", i, (int)text.size, (const char *)text.at);
}

/* Walks all items of a text that starts with a stanza, both ways. */
static void compare_ways(struct harness *harness, struct bytes text)
{
    static struct tape fast, steps;
    while (text.size > 0) {
        harness->reader->is_stepping_always = false;
        read_tape(harness, text, &fast);
        harness->reader->is_stepping_always = true;
        read_tape(harness, text, &steps);
        assert_same(&fast, &steps, text);
        if (fast.result != XML_DONE)
            return;
        text = bytes_from(text, fast.size);
    }
}

static void compare_on_corpus(struct harness *harness)
{
    static uint8_t octets[GENERATED_BYTES_MAX];
    struct generator generator = {.out = writer_of(octets, sizeof(octets) - 64)};
    random_init_seed(&generator.random, 31);
    for (uint32_t i = 0; i < 4000; i++) {
        generator.plainness = 70 + i % 31;
        generate_stream(&generator);
        if (i % 2 == 0)
            damage(&generator, 120);
        struct bytes text = writer_bytes(&generator.out);
        size_t at = bytes_find(bytes_from(text, 30), '>') + 31;
        compare_ways(harness, bytes_from(text, at));
    }
}

/* The build for any processor. */
static void any_processor_agrees(void **state)
{
    (void)state;
    struct harness harness;
    harness_init(&harness);
    harness.reader->fast = xml_fast;
    compare_on_corpus(&harness);
    harness_fini(&harness);
}

/* The build that this processor gets. */
static void this_processor_agrees(void **state)
{
    (void)state;
    struct harness harness;
    harness_init(&harness);
    compare_on_corpus(&harness);
    harness_fini(&harness);
}

static uint32_t entered;
static bool (*way)(struct xml_reader *reader);

static bool count_and_go(struct xml_reader *reader)
{
    entered++;
    return way(reader);
}

/* Of usual stanzas, nine in ten never leave the fast way. */
static void usual_stanzas_stay_on_it(void **state)
{
    (void)state;
    static uint8_t octets[1 << 20];
    struct writer writer = writer_of(octets, sizeof(octets));
    struct harness harness;
    struct xml_item item;
    uint64_t seed = 4;
    uint32_t stanzas = 0;
    for (; stanzas < 2000; stanzas++)
        xml_traffic_stanza(&writer, &seed);
    harness_init(&harness);
    way = harness.reader->fast;
    harness.reader->fast = count_and_go;
    struct xml_input input = xml_input_of(writer_bytes(&writer));
    for (uint32_t i = 0; i < stanzas; i++)
        assert_int_equal(xml_read(harness.reader, XML_SCOPE_CLIENT, &harness.limits, &input, &item),
                         XML_DONE);
    assert_in_range(entered, stanzas, stanzas + stanzas / 10);
    harness_fini(&harness);
}

/* The plain spelling with its smallest deviations, each of which the steps must see. */
static void deviations_reach_the_steps(void **state)
{
    static const struct xml_case rows[] = {
        {"<a b='c' id='d'><e f=\"g\">text</e><h/></a>", XML_FAULT_NONE, 0},
        {"<a  b='c'/>", XML_FAULT_NONE, 0},
        {"<a b='c' ></a >", XML_FAULT_NONE, 0},
        {"<a b='x&amp;y'>&lt;</a>", XML_FAULT_NONE, 0},
        {"<a b='c' b='d'/>", XML_FAULT_ATTRIBUTE_TWICE, 9},
        {"<a b=#c#/>", XML_FAULT_SYNTAX, 5},
        {"<a b=&c&/>", XML_FAULT_SYNTAX, 5},
        {"<a xmlns='http://www.w3.org/XML/1998/namespace'/>", XML_FAULT_PREFIX_RESERVED, -1},
        {"<a>b]]></a>", XML_FAULT_CDATA_END, 4},
        {"<a>b&c;d</a>", XML_FAULT_ENTITY, 4},
        {"<a>b</a ></b>", XML_FAULT_END_TAG, -1},
        {"<aaaaaaaaaaaaaaaa></aaaaaaaaaaaaaaaa><aaaaaaaaaaaaaaaab></aaaaaaaaaaaaaaaac>",
         XML_FAULT_END_TAG, -1},
        {"<aaaaaaaaaaaaaaab></aaaaaaaaaaaaaaac>                      ", XML_FAULT_END_TAG, -1},
        {"<ab></ac>                                                  ", XML_FAULT_END_TAG, -1},
    };
    (void)state;
    check_cases(rows, ARRAY_COUNT(rows), FROM_STANZA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_processor_agrees),
        cmocka_unit_test(this_processor_agrees),
        cmocka_unit_test(usual_stanzas_stay_on_it),
        cmocka_unit_test(deviations_reach_the_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
