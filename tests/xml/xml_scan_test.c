/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/xml/xml_scan.c: every scanner this machine can run gives the bits and finds the first
 * bad octet that the rules, applied octet by octet here, give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "stentor/random.h"
#include "stentor/text.h"

#include "xml_char.h"
#include "xml_scan.h"

#define TEXT_MAX 10000u

static bool is_in(uint8_t octet, const char *set)
{
    return octet != 0 && strchr(set, octet) != NULL;
}

static bool ends_name(uint8_t octet)
{
    return !is_in(octet, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._");
}

static uint32_t first_bad(struct bytes input)
{
    uint32_t at = 0;
    while (at < input.size) {
        struct xml_taken taken = xml_take_char(bytes_from(input, at));
        if (taken.take == XML_TAKE_BAD)
            return at;
        if (taken.take == XML_TAKE_CUT)
            break;
        at += taken.size;
    }
    return XML_OFFSET_NONE;
}

static bool bit_at(const struct xml_map *map, const uint64_t *words, uint32_t offset)
{
    return xml_map_word(xml_map_bits(map, words), offset) & 1;
}

/* Fills a map from offset on and compares each bit and, if from is 0, the first bad octet. */
static void check(const struct xml_scanner *scanner, struct bytes text, uint32_t from)
{
    static struct xml_map map;
    uint8_t *exact = malloc(text.size == 0 ? 1 : text.size);
    assert_non_null(exact);
    if (text.size != 0)
        memcpy(exact, text.at, text.size);
    struct bytes input = bytes_of(exact, text.size);
    xml_map_reset(&map);
    xml_map_fill(&map, scanner, input, from);
    assert_true(map.at <= from && map.at % 64 == 0);
    for (uint32_t i = map.at; i < map.end; i++) {
        if (bit_at(&map, map.name, i) != ends_name(exact[i]) ||
            bit_at(&map, map.value, i) != is_in(exact[i], "\"'<&\t\n\r") ||
            bit_at(&map, map.text, i) != is_in(exact[i], "<&>\r"))
            fail_msg("%s: wrong bit for octet %02x at %u", scanner->name, exact[i], i);
    }
    for (uint32_t i = 0; i < 64; i++) {
        assert_true(bit_at(&map, map.name, map.end + i));
        assert_true(bit_at(&map, map.value, map.end + i));
        assert_true(bit_at(&map, map.text, map.end + i));
    }
    uint32_t bad_at = first_bad(bytes_slice(input, 0, map.end));
    if (from == 0 && map.bad_at != bad_at)
        fail_msg("%s: bad at %u, not %u, of %zu", scanner->name, map.bad_at, bad_at, text.size);
    free(exact);
}

static void check_all(struct bytes text, uint32_t from)
{
    for (uint32_t i = 0; i < XML_SCANNER_COUNT; i++)
        if (xml_scanners[i].can_run())
            check(&xml_scanners[i], text, from);
}

/* Random octets, of all values or of those XML uses, in all sizes around the block. */
static void random_octets_agree(void **state)
{
    (void)state;
    static const char usual[] = "<>&\"'=/ ?!:;-._abcXYZ09[]\t\n\r\x7F@`{}~^\\";
    static uint8_t text[TEXT_MAX];
    struct random random;
    random_init_seed(&random, 1);
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t size = random_below(&random, round % 100 == 0 ? TEXT_MAX : 300);
        random_fill(&random, text, size);
        for (uint32_t i = 0; i < size && round % 4 != 0; i++)
            text[i] = (uint8_t)usual[text[i] % (sizeof(usual) - 1)];
        check_all(bytes_of(text, size), 0);
        check_all(bytes_of(text, size), random_below(&random, size + 1));
    }
}

/* Long texts of legal characters of all widths, then with one octet damaged. */
static void legal_text_and_damage_agree(void **state)
{
    (void)state;
    static uint8_t text[TEXT_MAX];
    struct random random;
    random_init_seed(&random, 2);
    for (uint32_t round = 0; round < 3000; round++) {
        struct writer writer = writer_of(text, 40 + random_below(&random, 400));
        while (!writer.is_overflown) {
            static const uint32_t limits[] = {0x80, 0x800, 0x10000, 0x110000};
            uint32_t code_point = random_below(&random, limits[random_below(&random, 4)]);
            if (xml_is_char(code_point))
                write_utf8(&writer, code_point);
        }
        assert_int_equal(first_bad(writer_bytes(&writer)), XML_OFFSET_NONE);
        check_all(writer_bytes(&writer), 0);
        text[random_below(&random, (uint32_t)writer.size)] = (uint8_t)random_u32(&random);
        check_all(writer_bytes(&writer), 0);
    }
}

/* Every pair of octets, and every lead with the edges of what may follow, across the edges of
 * vectors and blocks. */
static void every_pair_and_edge_agrees(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                    0xA0, 0xBE, 0xBF, 0xC0, 0xFF};
    static const uint32_t places[] = {0, 14, 15, 30, 31, 61, 62, 63, 93};
    uint8_t text[128];
    for (uint32_t lead = 0x80; lead < 0x100; lead++) {
        for (uint32_t i = 0; i < 11 * 11 * 11; i++) {
            memset(text, 'a', sizeof(text));
            uint8_t *at = text + places[i % ARRAY_COUNT(places)];
            at[0] = (uint8_t)lead;
            at[1] = edges[i % 11];
            at[2] = edges[i / 11 % 11];
            at[3] = edges[i / 121];
            check_all(bytes_of(text, sizeof(text)), 0);
        }
    }
    for (uint32_t pair = 0; pair < 0x10000; pair++) {
        memset(text, ' ', sizeof(text));
        text[63] = (uint8_t)pair;
        text[64] = (uint8_t)(pair >> 8);
        check_all(bytes_of(text, 66), 0);
    }
}

/* A character cut by the end is no fault; the next look, from anywhere behind, finds what follows.
 */
static void cut_characters_are_judged_later(void **state)
{
    (void)state;
    static struct xml_map map;
    static const char emoji[] = "\xF0\x9F\x98\x82";
    static const char bad[] = "\xF0\x9F\x98\x41";
    for (uint32_t before = 0; before < 130; before++) {
        for (uint32_t cut = 1; cut < 4; cut++) {
            uint8_t text[256];
            memset(text, 'x', sizeof(text));
            memcpy(text + before, emoji, 4);
            for (uint32_t i = 0; i < XML_SCANNER_COUNT; i++) {
                if (!xml_scanners[i].can_run())
                    continue;
                xml_map_reset(&map);
                xml_map_fill(&map, &xml_scanners[i], bytes_of(text, before + cut), 0);
                assert_int_equal(map.bad_at, XML_OFFSET_NONE);
                xml_map_fill(&map, &xml_scanners[i], bytes_of(text, 200), before + cut);
                assert_int_equal(map.bad_at, XML_OFFSET_NONE);
                memcpy(text + before, bad, 4);
                xml_map_fill(&map, &xml_scanners[i], bytes_of(text, 200), before + cut);
                assert_int_equal(map.bad_at, before);
                memcpy(text + before, emoji, 4);
            }
        }
    }
}

/* The search returns the first set bit from any start, however far it is. */
static void next_finds_the_first_stop(void **state)
{
    (void)state;
    static struct xml_map map;
    static uint8_t text[3000];
    struct random random;
    random_init_seed(&random, 3);
    for (uint32_t round = 0; round < 500; round++) {
        memset(text, 'n', sizeof(text));
        uint32_t stop = random_below(&random, sizeof(text));
        text[stop] = '<';
        xml_map_reset(&map);
        xml_map_fill(&map, xml_scanner_find(), bytes_of(text, sizeof(text)), 0);
        uint32_t from = random_below(&random, stop + 1);
        assert_int_equal(xml_map_next(xml_map_bits(&map, map.text), from), stop);
        assert_int_equal(xml_map_next(xml_map_bits(&map, map.value), stop + 1), sizeof(text));
    }
}

/* The scalar scanner is always there, and the one found can run. */
static void a_scanner_is_found(void **state)
{
    (void)state;
    assert_true(xml_scanner_find()->can_run());
    assert_string_equal(xml_scanners[XML_SCANNER_COUNT - 1].name, "scalar");
    assert_true(xml_scanners[XML_SCANNER_COUNT - 1].can_run());
    print_message("scanner: %s\n", xml_scanner_find()->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scanner_is_found),
        cmocka_unit_test(random_octets_agree),
        cmocka_unit_test(legal_text_and_damage_agree),
        cmocka_unit_test(every_pair_and_edge_agrees),
        cmocka_unit_test(cut_characters_are_judged_later),
        cmocka_unit_test(next_finds_the_first_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
