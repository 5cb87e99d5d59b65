/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/base/bytes.c and the inline half of stentor/bytes.h and stentor/byteorder.h: nothing
 * reads or writes past its bounds, and a refusal leaves everything as it was. Views lie in blocks
 * of exactly their size, so that the address sanitizer sees one octet too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "stentor/byteorder.h"
#include "stentor/bytes.h"

/* Views of the same octets are equal wherever they lie; an empty view may stand at NULL. */
static void views_compare_by_content(void **state)
{
    (void)state;
    const char other[] = {'a', 'b', 'c'};
    assert_true(bytes_equal(BYTES("abc"), bytes_of(other, 3)));
    assert_false(bytes_equal(BYTES("abc"), BYTES("abd")));
    assert_false(bytes_equal(BYTES("abc"), BYTES("ab")));
    assert_true(bytes_equal((struct bytes){NULL, 0}, BYTES("")));
    assert_true(bytes_equal(bytes_of_string("abc"), BYTES("abc")));
    assert_int_equal(BYTES("a\0b").size, 3);
}

/* A prefix must lie within the view, and the empty prefix starts every view. */
static void prefixes_are_found(void **state)
{
    (void)state;
    assert_true(bytes_starts_with(BYTES("stream"), BYTES("str")));
    assert_true(bytes_starts_with(BYTES("str"), BYTES("str")));
    assert_false(bytes_starts_with(BYTES("st"), BYTES("str")));
    assert_false(bytes_starts_with(BYTES("xtr"), BYTES("str")));
    assert_true(bytes_starts_with((struct bytes){NULL, 0}, (struct bytes){NULL, 0}));
}

/* The offset of the first match, or the size when there is none. */
static void octets_are_found(void **state)
{
    (void)state;
    assert_int_equal(bytes_find(BYTES("a@b@c"), '@'), 1);
    assert_int_equal(bytes_find(BYTES("abc"), '@'), 3);
    assert_int_equal(bytes_find((struct bytes){NULL, 0}, '@'), 0);
}

/* Slices keep within the view; an offset past the end is an empty view, not a fault. */
static void slices_keep_their_bounds(void **state)
{
    (void)state;
    struct bytes view = BYTES("abcdef");
    assert_true(bytes_equal(bytes_from(view, 4), BYTES("ef")));
    assert_int_equal(bytes_from(view, 6).size, 0);
    assert_int_equal(bytes_from(view, 7).size, 0);
    assert_int_equal(bytes_from((struct bytes){NULL, 0}, 1).size, 0);
    assert_true(bytes_equal(bytes_slice(view, 2, 3), BYTES("cde")));
    assert_int_equal(bytes_slice(view, 6, 0).size, 0);
}

/* The constant-time form finds a difference in any one bit of any octet. */
static void secrets_differ_in_any_bit(void **state)
{
    (void)state;
    uint8_t a[17];
    uint8_t b[17];
    memset(a, 0x5a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(bytes_equal_secret(bytes_of(a, sizeof a), bytes_of(b, sizeof b)));
    assert_false(bytes_equal_secret(bytes_of(a, 16), bytes_of(b, 17)));
    for (size_t bit = 0; bit < sizeof b * 8; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(bytes_equal_secret(bytes_of(a, sizeof a), bytes_of(b, sizeof b)));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* A wipe leaves zeros and its neighbours alone; wiping nothing is allowed. */
static void wiping_clears(void **state)
{
    (void)state;
    uint8_t secret[6] = {1, 2, 3, 4, 5, 6};
    const uint8_t expected[6] = {1, 0, 0, 0, 0, 6};
    bytes_wipe(secret + 1, 4);
    bytes_wipe(NULL, 0);
    assert_memory_equal(secret, expected, sizeof secret);
}

/* At every size of input a cursor gives all or nothing, and does not move when it refuses. */
static void cursor_refuses_at_every_cut(void **state)
{
    (void)state;
    const uint8_t wire[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};
    for (size_t cut = 0; cut <= sizeof wire; cut++) {
        uint8_t *block = malloc(cut ? cut : 1);
        memcpy(block, wire, cut);
        struct cursor cursor = cursor_of(bytes_of(block, cut));
        uint8_t u8 = 0;
        uint16_t u16 = 0;
        uint32_t u32 = 0;
        struct bytes rest;

        assert_int_equal(cursor_u8(&cursor, &u8), cut >= 1);
        assert_int_equal(cursor_be16(&cursor, &u16), cut >= 3);
        assert_int_equal(cursor_be32(&cursor, &u32), cut >= 7);
        size_t left = cut >= 7 ? cut - 7 : cut >= 3 ? cut - 3 : cut >= 1 ? cut - 1 : 0;
        assert_int_equal(cursor_left(&cursor), left);
        assert_false(cursor_take(&cursor, left + 1, &rest));
        assert_false(cursor_take(&cursor, SIZE_MAX, &rest));
        assert_true(cursor_take(&cursor, left, &rest));
        assert_int_equal(rest.size, left);
        assert_int_equal(cursor_left(&cursor), 0);
        if (cut == sizeof wire) {
            assert_int_equal(u8, 0x01);
            assert_int_equal(u16, 0x0203);
            assert_int_equal(u32, 0x04050607);
        }
        free(block);
    }
    struct cursor empty = cursor_of((struct bytes){NULL, 0});
    struct bytes nothing;
    assert_true(cursor_take(&empty, 0, &nothing));
}

/* A write that does not fit writes nothing, and no later, smaller one slips in behind it. */
static void writer_stops_at_its_bound(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < 12; capacity++) {
        uint8_t *block = malloc(capacity ? capacity : 1);
        struct writer writer = writer_of(block, capacity);
        write_string(&writer, "abc");
        write_be16(&writer, 0x1234);
        write_be32(&writer, 0x56789abc);
        write_u8(&writer, '!');
        assert_int_equal(writer.is_overflown, capacity < 10);
        size_t expected = capacity >= 10  ? 10
                          : capacity >= 9 ? 9
                          : capacity >= 5 ? 5
                          : capacity >= 3 ? 3
                                          : 0;
        assert_int_equal(writer.size, expected);
        assert_memory_equal(block, "abc\x12\x34\x56\x78\x9a\xbc!", expected);
        free(block);
    }
}

static void expect_decimal(uint64_t value, const char *text)
{
    uint8_t buffer[24];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_decimal(&writer, value);
    assert_true(bytes_equal(writer_bytes(&writer), bytes_of_string(text)));

    struct writer tight = writer_of(buffer, strlen(text) - 1);
    write_decimal(&tight, value);
    assert_true(tight.is_overflown);
    assert_int_equal(tight.size, 0);
}

/* Numbers at the edges of their digits, whole or not at all. */
static void decimals_are_written(void **state)
{
    (void)state;
    expect_decimal(0, "0");
    expect_decimal(9, "9");
    expect_decimal(10, "10");
    expect_decimal(UINT32_MAX, "4294967295");
    expect_decimal(UINT64_MAX, "18446744073709551615");
}

/* Hexadecimal is lower case, whole or not at all. */
static void hexadecimals_are_written(void **state)
{
    (void)state;
    uint8_t buffer[8];
    struct writer writer = writer_of(buffer, sizeof buffer);
    write_hex(&writer, BYTES("\x00\x9f\xab\xff"));
    assert_true(bytes_equal(writer_bytes(&writer), BYTES("009fabff")));
    write_hex(&writer, BYTES(""));
    assert_false(writer.is_overflown);

    struct writer tight = writer_of(buffer, 3);
    write_hex(&tight, BYTES("\x01\x02"));
    assert_true(tight.is_overflown);
    assert_int_equal(tight.size, 0);
}

/* Wire integers have alignment 1, the network's order, and come back as they went. */
static void wire_integers_are_big_endian(void **state)
{
    (void)state;
    assert_int_equal(_Alignof(struct be64), 1);
    assert_memory_equal(be16_of(0x0102).octet, "\x01\x02", 2);
    assert_memory_equal(be32_of(0x01020304).octet, "\x01\x02\x03\x04", 4);
    assert_memory_equal(be64_of(0x0102030405060708).octet, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    assert_int_equal(be16_get(be16_of(0xfffe)), 0xfffe);
    assert_int_equal(be32_get(be32_of(0xfffefdfc)), 0xfffefdfc);
    assert_true(be64_get(be64_of(0xfffefdfcfbfaf9f8)) == 0xfffefdfcfbfaf9f8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare_by_content),
        cmocka_unit_test(prefixes_are_found),
        cmocka_unit_test(octets_are_found),
        cmocka_unit_test(slices_keep_their_bounds),
        cmocka_unit_test(secrets_differ_in_any_bit),
        cmocka_unit_test(wiping_clears),
        cmocka_unit_test(cursor_refuses_at_every_cut),
        cmocka_unit_test(writer_stops_at_its_bound),
        cmocka_unit_test(decimals_are_written),
        cmocka_unit_test(hexadecimals_are_written),
        cmocka_unit_test(wire_integers_are_big_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
