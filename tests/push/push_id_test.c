/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/push/push_id.c: ids say their time, sort by it, never repeat, and parse as they were
 * written and not otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/push.h"

static struct random seeded(uint64_t seed)
{
    struct random random;
    random_init_seed(&random, seed);
    return random;
}

/* The time is the one of the ULID specification's own example: 1469918176385 is 01ARYZ6S41. */
static void id_tells_its_time(void **state)
{
    (void)state;
    struct random random = seeded(1);
    struct push_id id;
    push_id_make(&id, UINT64_C(1469918176385), &random);
    assert_int_equal(strlen(id.text), PUSH_ID_SIZE);
    assert_memory_equal(id.text, "01ARYZ6S41", 10);
    push_id_make(&id, UINT64_C(0xffffffffffff), &random);
    assert_memory_equal(id.text, "7ZZZZZZZZZ", 10);
    push_id_make(&id, UINT64_MAX, &random);
    assert_memory_equal(id.text, "7ZZZZZZZZZ", 10);
    push_id_make(&id, 0, &random);
    assert_memory_equal(id.text, "0000000000", 10);
}

/* Two of one millisecond differ, by all of their 80 random bits. */
static void ids_do_not_repeat(void **state)
{
    (void)state;
    struct random random = seeded(2);
    struct push_id one;
    uint32_t seen[16] = {0};
    for (int i = 0; i < 400; i++) {
        push_id_make(&one, 5, &random);
        for (uint32_t at = 10; at < PUSH_ID_SIZE; at++)
            seen[at - 10] |= 1u << (uint32_t)(one.text[at] & 31);
    }
    for (uint32_t at = 0; at < 16; at++)
        assert_true(__builtin_popcount(seen[at]) > 20);
}

/* Ids made after each other ascend whatever the clock does. */
static void ids_ascend(void **state)
{
    (void)state;
    struct random random = seeded(3);
    struct push_id last;
    push_id_make(&last, 1000, &random);
    uint64_t wall_ms = 1000;
    for (int i = 0; i < 20000; i++) {
        struct push_id next = last;
        wall_ms += random_below(&random, 4) - 1u; /* back by one, still, or on by one or two */
        push_id_make_after(&next, &next, wall_ms, &random);
        assert_true(strcmp(next.text, last.text) > 0);
        last = next;
    }
}

/* Within a millisecond the next is one more, with the carry going all the way. */
static void increase_carries(void **state)
{
    (void)state;
    struct random random = seeded(4);
    struct push_id id = {"01ARYZ6S41ZZZZZZZZZZZZZZZZ"};
    push_id_make_after(&id, &id, 1469918176385, &random);
    assert_string_equal(id.text, "01ARYZ6S420000000000000000");
    push_id_make_after(&id, &id, 0, &random);
    assert_string_equal(id.text, "01ARYZ6S420000000000000001");
    id = (struct push_id){"01ARYZ6S42000000000000000H"};
    push_id_make_after(&id, &id, 0, &random);
    assert_string_equal(id.text, "01ARYZ6S42000000000000000J");
}

/* What was made parses, in either case, to the same. */
static void made_ids_parse(void **state)
{
    (void)state;
    struct random random = seeded(5);
    for (int i = 0; i < 1000; i++) {
        struct push_id id;
        struct push_id parsed;
        push_id_make(&id, random_u64(&random) >> 16, &random);
        assert_true(push_id_parse(bytes_of_string(id.text), &parsed));
        assert_string_equal(parsed.text, id.text);
        char lower[PUSH_ID_SIZE];
        for (uint32_t at = 0; at < PUSH_ID_SIZE; at++)
            lower[at] = (char)(id.text[at] >= 'A' ? id.text[at] + 32 : id.text[at]);
        assert_true(push_id_parse(bytes_of(lower, sizeof lower), &parsed));
        assert_string_equal(parsed.text, id.text);
    }
}

/* Wrong sizes, a first character that would overflow, and each octet that is no digit, at each
 * place, are refused and leave the id alone. */
static void other_texts_are_refused(void **state)
{
    (void)state;
    struct push_id id = {"untouched"};
    char text[] = "01ARYZ6S41TSV4RRFFQ69G5FAV";
    for (size_t size = 0; size < PUSH_ID_SIZE; size++)
        assert_false(push_id_parse(bytes_of(text, size), &id));
    assert_false(push_id_parse(BYTES("01ARYZ6S41TSV4RRFFQ69G5FAV0"), &id));
    assert_false(push_id_parse(BYTES("81ARYZ6S41TSV4RRFFQ69G5FAV"), &id));
    for (uint32_t at = 0; at < PUSH_ID_SIZE; at++) {
        for (uint32_t octet = 0; octet < 256; octet++) {
            char kept = text[at];
            text[at] = (char)octet;
            bool is_digit = octet != 0 && strchr("0123456789ABCDEFGHJKMNPQRSTVWXYZ"
                                                 "abcdefghjkmnpqrstvwxyz",
                                                 (int)octet) != NULL;
            bool is_fine = is_digit && (at != 0 || octet < '8');
            struct push_id parsed = id;
            assert_int_equal(push_id_parse(bytes_of(text, PUSH_ID_SIZE), &parsed), is_fine);
            if (!is_fine)
                assert_string_equal(parsed.text, "untouched");
            text[at] = kept;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_tells_its_time), cmocka_unit_test(ids_do_not_repeat),
        cmocka_unit_test(ids_ascend),        cmocka_unit_test(increase_carries),
        cmocka_unit_test(made_ids_parse),    cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
