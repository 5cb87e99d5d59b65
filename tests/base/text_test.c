/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/base/text.c. UTF-8 is checked against a loose decoder over all one- and two-octet
 * inputs and the edges of longer ones; base64 by round trips and by the non-canonical spellings of
 * RFC 4648; what has a size is also cut at each offset. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "stentor/text.h"

/* ---- UTF-8 ---- */

/* Whatever scalar value is written is taken back, from a block of exactly its size, and every cut
 * of it is refused without moving. */
static void expect_round_trip(uint32_t code_point)
{
    uint8_t buffer[4];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_utf8(&writer, code_point);
    assert_false(writer.is_overflown);

    uint32_t taken = 0;
    struct cursor cursor = cursor_of(writer_bytes(&writer));
    assert_true(utf8_take(&cursor, &taken));
    assert_int_equal(taken, code_point);
    assert_int_equal(cursor_left(&cursor), 0);
    for (size_t cut = 0; cut < writer.size; cut++) {
        cursor = cursor_of(bytes_of(buffer, cut));
        assert_false(utf8_take(&cursor, &taken));
        assert_int_equal(cursor_left(&cursor), cut);
    }
}

/* All of the Basic Multilingual Plane, and every 61st of the planes above, and both ends. */
static void utf8_round_trips(void **state)
{
    (void)state;
    for (uint32_t code_point = 0; code_point < 0x10000; code_point++) {
        if (code_point < 0xd800 || code_point > 0xdfff)
            expect_round_trip(code_point);
    }
    for (uint32_t code_point = 0x10000; code_point <= 0x10ffff; code_point += 61)
        expect_round_trip(code_point);
    expect_round_trip(0x10ffff);
}

/* The oracle decodes loosely by bit counts, then asks whether the strict writer would have spelled
 * the value that way: the only spelling of RFC 3629. */
static bool oracle_accepts(const uint8_t *octets, size_t size)
{
    uint32_t value = octets[0];
    if (size > 1) {
        uint8_t mark = (uint8_t)(0xf00u >> size);
        uint8_t mask = (uint8_t)(0xff80u >> size);
        if ((octets[0] & mask) != mark)
            return false;
        value = octets[0] & (uint8_t)~mask;
    } else if (octets[0] >= 0x80) {
        return false;
    }
    for (size_t i = 1; i < size; i++) {
        if ((octets[i] & 0xc0) != 0x80)
            return false;
        value = value << 6 | (octets[i] & 0x3fu);
    }
    if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return false;
    static const uint32_t value_min[] = {0, 0, 0x80, 0x800, 0x10000};
    return value >= value_min[size];
}

static void expect_as_oracle(const uint8_t *octets, size_t size)
{
    uint32_t code_point;
    struct cursor cursor = cursor_of(bytes_of(octets, size));
    bool is_taken = utf8_take(&cursor, &code_point) && cursor_left(&cursor) == 0;
    if (is_taken != oracle_accepts(octets, size))
        fail_msg("%02x %02x of size %zu", octets[0], size > 1 ? octets[1] : 0, size);
}

/* Every input of one and two octets, and of three with the third at the edges of each range. */
static void utf8_agrees_with_the_oracle(void **state)
{
    (void)state;
    for (uint32_t input = 0; input < 1u << 24; input++) {
        const uint8_t octets[3] = {(uint8_t)(input >> 16), (uint8_t)(input >> 8), (uint8_t)input};
        if ((input & 0xffff) == 0)
            expect_as_oracle(octets, 1);
        if ((input & 0xff) == 0)
            expect_as_oracle(octets, 2);
        if ((input & 0x3f) == 0 || (input & 0x3f) == 0x3f)
            expect_as_oracle(octets, 3);
    }
}

/* Every first two octets of a four-octet sequence, with tails at the edges of their range. */
static void utf8_of_four_agrees_with_the_oracle(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    for (uint32_t first = 0xe0; first <= 0xff; first++) {
        for (uint32_t input = 0; input < 256 * 36; input++) {
            const uint8_t octets[4] = {(uint8_t)first, (uint8_t)(input / 36), edges[input / 6 % 6],
                                       edges[input % 6]};
            expect_as_oracle(octets, 4);
        }
    }
}

/* A whole text is valid only if each place of it is, wherever the fault falls among the eight
 * octets that are looked at together. */
static void utf8_faults_are_found_anywhere(void **state)
{
    (void)state;
    assert_true(utf8_is_valid((struct bytes){NULL, 0}));
    assert_true(utf8_is_valid(BYTES("plain and \xc3\xbc and \xe2\x82\xac and \xf0\x9f\x98\x80")));
    for (size_t size = 1; size < 40; size++) {
        uint8_t *text = malloc(size);
        memset(text, 'a', size);
        assert_true(utf8_is_valid(bytes_of(text, size)));
        for (size_t at = 0; at < size; at++) {
            text[at] = 0x80;
            assert_false(utf8_is_valid(bytes_of(text, size)));
            text[at] = 0xc3; /* cut at the end, followed by 'a' elsewhere */
            assert_false(utf8_is_valid(bytes_of(text, size)));
            text[at] = 'a';
        }
        free(text);
    }
}

/* ---- base64 ---- */

static void expect_base64(struct bytes octets, const char *text)
{
    uint8_t buffer[256];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_base64(&writer, octets);
    assert_true(bytes_equal(writer_bytes(&writer), bytes_of_string(text)));

    uint8_t decoded[256];
    struct writer into = writer_of(decoded, octets.size);
    assert_true(base64_decode(bytes_of_string(text), &into));
    assert_true(bytes_equal(writer_bytes(&into), octets));
}

/* The vectors of RFC 4648 section 10, both ways, into a buffer with no octet to spare. */
static void base64_of_the_rfc(void **state)
{
    (void)state;
    expect_base64(BYTES(""), "");
    expect_base64(BYTES("f"), "Zg==");
    expect_base64(BYTES("fo"), "Zm8=");
    expect_base64(BYTES("foo"), "Zm9v");
    expect_base64(BYTES("foob"), "Zm9vYg==");
    expect_base64(BYTES("fooba"), "Zm9vYmE=");
    expect_base64(BYTES("foobar"), "Zm9vYmFy");
    expect_base64(BYTES("\xfb\xff\xbf"), "+/+/");
}

static bool is_base64(struct bytes text)
{
    uint8_t buffer[64];
    struct writer into = writer_of(buffer, sizeof buffer);
    return base64_decode(text, &into);
}

/* Loose bits, missing, early or surplus padding, blanks and the URL alphabet are all refused. */
static void base64_is_canonical(void **state)
{
    (void)state;
    static const char *const faults[] = {
        "Zh==",     "Zm9=", "Z",     "Zg",         "Zm8",  "Zg=",  "Zg===",
        "=",        "==",   "====",  "Z===",       "=Zg=", "Zg=v", "Zg==Zm9v",
        "Zm8=Zm9v", "Zm9 ", "Zm9\n", "Zm9vYg==\n", "-_-_", "Zm9*",
    };
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        if (is_base64(bytes_of_string(faults[i])))
            fail_msg("accepted %s", faults[i]);
    }
    assert_false(is_base64(BYTES("Zm\0v")));
}

/* Exactly 64 letters are in the alphabet, and each stands for its own value. */
static void base64_knows_its_letters(void **state)
{
    (void)state;
    uint32_t count = 0;
    for (uint32_t letter = 0; letter < 256; letter++) {
        const uint8_t text[4] = {'A', 'A', 'A', (uint8_t)letter};
        if (letter != '=' && is_base64(bytes_of(text, 4)))
            count++;
    }
    assert_int_equal(count, 64);
}

/* Any octets of any size come back, and a buffer one octet short is an answer, not an overrun. */
static void base64_round_trips(void **state)
{
    (void)state;
    uint8_t octets[48];
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)(i * 151 + 7);
    for (size_t size = 1; size <= sizeof octets; size++) {
        uint8_t text[64];
        struct writer writer = writer_of(text, sizeof text);
        write_base64(&writer, bytes_of(octets, size));
        uint8_t *decoded = malloc(size);
        struct writer into = writer_of(decoded, size);
        assert_true(base64_decode(writer_bytes(&writer), &into));
        assert_int_equal(into.size, size);
        assert_memory_equal(decoded, octets, size);
        struct writer tight = writer_of(decoded, size - 1);
        assert_false(base64_decode(writer_bytes(&writer), &tight));
        free(decoded);
    }
}

/* ---- hexadecimal and decimal ---- */

/* Both cases of letter are read; odd sizes, other letters and short buffers are refused. */
static void hexadecimal_is_read(void **state)
{
    (void)state;
    uint8_t buffer[4];
    struct writer into = writer_of(buffer, sizeof buffer);
    assert_true(hex_decode(BYTES("00fFAb9a"), &into));
    assert_true(bytes_equal(writer_bytes(&into), BYTES("\x00\xff\xab\x9a")));
    assert_false(hex_decode(BYTES("00"), &into));

    static const char *const faults[] = {"0",  "000", "0g", "g0", "0x",
                                         " 0", "0/",  "0:", "0@", "0`"};
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        into = writer_of(buffer, sizeof buffer);
        assert_false(hex_decode(bytes_of_string(faults[i]), &into));
    }
}

static bool is_decimal(const char *text, uint64_t value_max, uint64_t expected)
{
    uint64_t value = 77;
    bool is_parsed = decimal_parse(bytes_of_string(text), value_max, &value);
    assert_true(value == (is_parsed ? expected : 77));
    return is_parsed;
}

/* 1 to 20 digits and nothing else, up to the bound and not past it. */
static void decimals_are_read(void **state)
{
    (void)state;
    assert_true(is_decimal("0", 0, 0));
    assert_true(is_decimal("007", 7, 7));
    assert_true(is_decimal("65535", 65535, 65535));
    assert_true(is_decimal("18446744073709551615", UINT64_MAX, UINT64_MAX));
    assert_true(is_decimal("00000000000000000001", 1, 1));
    assert_false(is_decimal("65536", 65535, 0));
    assert_false(is_decimal("18446744073709551616", UINT64_MAX, 0));
    assert_false(is_decimal("99999999999999999999", UINT64_MAX, 0));
    assert_false(is_decimal("000000000000000000001", 1, 1));
    static const char *const faults[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1.0", "1e3", "/", ":"};
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++)
        assert_false(is_decimal(faults[i], UINT64_MAX, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_round_trips),
        cmocka_unit_test(utf8_agrees_with_the_oracle),
        cmocka_unit_test(utf8_of_four_agrees_with_the_oracle),
        cmocka_unit_test(utf8_faults_are_found_anywhere),
        cmocka_unit_test(base64_of_the_rfc),
        cmocka_unit_test(base64_is_canonical),
        cmocka_unit_test(base64_knows_its_letters),
        cmocka_unit_test(base64_round_trips),
        cmocka_unit_test(hexadecimal_is_read),
        cmocka_unit_test(decimals_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
