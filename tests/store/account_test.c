/* SPDX-License-Identifier: Apache-2.0
 *
 * The account record: what is written is read back, and nothing else is taken for a record. */
#include "store_fixture.h"

static void account_make(struct account *account, struct bytes local)
{
    *account = (struct account){.number = 0x01020304, .is_enabled = true};
    account->created_at_ms = UINT64_C(0x0102030405060708);
    assert_true(account_set_local(account, local));
    fixture_keys(account, 7);
}

static struct bytes written(const struct account *account, uint8_t *into)
{
    struct writer writer = writer_of(into, ACCOUNT_RECORD_SIZE_MAX);
    account_write(account, &writer);
    assert_false(writer.is_overflown);
    return writer_bytes(&writer);
}

/* account_read on a copy of exactly that size, so that a sanitizer sees a step beyond it. */
static enum error read_tight(struct account *account, struct bytes record)
{
    struct heap heap;
    heap_init(&heap, FIXTURE_HEAP_BYTES);
    uint8_t *copy = heap_take(&heap, record.size);
    assert_non_null(copy);
    memcpy(copy, record.at, record.size);
    enum error error = account_read(account, bytes_of(copy, record.size));
    heap_give(&heap, copy);
    return error;
}

static void test_round_trip(void **state)
{
    /* Every combination of keys, shortest and longest names come back as they were. */
    char longest[ACCOUNT_LOCAL_SIZE_MAX];
    (void)state;
    memset(longest, 'x', sizeof longest);
    struct bytes locals[] = {BYTES("a"), BYTES("J\xc3\xbcrgen"), bytes_of(longest, sizeof longest)};
    for (size_t i = 0; i < ARRAY_COUNT(locals) * 4; i++) {
        struct account account, back;
        uint8_t record[ACCOUNT_RECORD_SIZE_MAX];
        account_make(&account, locals[i / 4]);
        if (i & 1)
            account.scram[DIGEST_SHA1] = (struct scram_keys){0};
        if (i & 2)
            account.scram[DIGEST_SHA256] = (struct scram_keys){0};
        account.is_enabled = i % 3 != 0;
        assert_int_equal(read_tight(&back, written(&account, record)), ERROR_NONE);
        assert_int_equal(back.number, account.number);
        assert_int_equal(back.created_at_ms, account.created_at_ms);
        assert_int_equal(back.is_enabled, account.is_enabled);
        assert_true(bytes_equal(account_local(&back), account_local(&account)));
        assert_memory_equal(back.scram, account.scram, sizeof account.scram);
    }
}

static void test_version_one_stays(void **state)
{
    /* The octets of version 1 are fixed: a record of an earlier build must be read for ever. */
    static const uint8_t expected[] = {1, 1, 1,   2,   3, 4, 1, 2, 3,    4, 5, 6, 7, 8,
                                       0, 2, 'j', 'o', 1, 1, 0, 0, 0x10, 1, 2, 8, 9};
    struct account account;
    uint8_t record[ACCOUNT_RECORD_SIZE_MAX];
    (void)state;
    account_make(&account, BYTES("jo"));
    account.scram[DIGEST_SHA1] = (struct scram_keys){0};
    account.scram[DIGEST_SHA256].salt_size = 2;
    account.scram[DIGEST_SHA256].salt[0] = 8;
    account.scram[DIGEST_SHA256].salt[1] = 9;
    struct bytes view = written(&account, record);
    assert_int_equal(view.size, sizeof expected + 64);
    assert_memory_equal(view.at, expected, sizeof expected);
    for (size_t i = 0; i < 32; i++) {
        assert_int_equal(view.at[sizeof expected + i], 7 + 64 + 1);
        assert_int_equal(view.at[sizeof expected + 32 + i], 7 + 128 + 1);
    }
}

static void test_cut_and_longer_records(void **state)
{
    /* A record cut anywhere, or with an octet more, is damaged, and nothing of it is left. */
    struct account account, back;
    struct account empty = {0};
    uint8_t record[ACCOUNT_RECORD_SIZE_MAX + 1] = {0};
    (void)state;
    account_make(&account, BYTES("somebody"));
    struct bytes view = written(&account, record);
    for (size_t size = 0; size < view.size; size++) {
        assert_int_equal(read_tight(&back, bytes_of(record, size)), ERROR_STORE_DAMAGED);
        assert_memory_equal(&back, &empty, sizeof empty);
    }
    record[view.size] = 0;
    assert_int_equal(read_tight(&back, bytes_of(record, view.size + 1)), ERROR_STORE_DAMAGED);
}

static void test_flipped_bits(void **state)
{
    /* Whatever bit is flipped: refused, or an account that is written as exactly those octets. */
    struct account account, back;
    uint8_t record[ACCOUNT_RECORD_SIZE_MAX], again[ACCOUNT_RECORD_SIZE_MAX];
    uint32_t refused_count = 0;
    (void)state;
    account_make(&account, BYTES("somebody"));
    struct bytes view = written(&account, record);
    for (size_t bit = 0; bit < view.size * 8; bit++) {
        record[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (read_tight(&back, view))
            refused_count++;
        else
            assert_true(bytes_equal(written(&back, again), view));
        record[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    assert_true(refused_count > 8 * 8);
}

static void test_newer_version(void **state)
{
    /* A version above ours is told apart from damage; version 0 never was. */
    struct account account, back;
    uint8_t record[ACCOUNT_RECORD_SIZE_MAX];
    (void)state;
    account_make(&account, BYTES("somebody"));
    struct bytes view = written(&account, record);
    record[0] = 2;
    assert_int_equal(account_read(&back, view), ERROR_STORE_NEWER);
    record[0] = 0;
    assert_int_equal(account_read(&back, view), ERROR_STORE_DAMAGED);
}

static void test_bounds_of_fields(void **state)
{
    /* Absurd rounds, salts, key counts, a kind twice and number 0 are damage. */
    struct account account, back;
    uint8_t record[ACCOUNT_RECORD_SIZE_MAX];
    (void)state;
    account_make(&account, BYTES("jo"));
    struct bytes view = written(&account, record);
    const size_t key_count = 18, kind = 19, rounds = 20, salt_size = 24;
    struct {
        size_t offset;
        uint8_t octet;
    } faults[] = {{key_count, 3}, {kind, 1},       {kind, 2}, {rounds, 0xff},
                  {salt_size, 0}, {salt_size, 17}, {1, 0x02}, {14, 0x02}};
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        uint8_t before = record[faults[i].offset];
        record[faults[i].offset] = faults[i].octet;
        assert_int_equal(account_read(&back, view), ERROR_STORE_DAMAGED);
        record[faults[i].offset] = before;
    }
    assert_int_equal(account_read(&back, view), ERROR_NONE);
    memset(record + 2, 0, 4);
    assert_int_equal(account_read(&back, view), ERROR_STORE_DAMAGED);
}

static void test_local_part_bounds(void **state)
{
    /* A local part is 1 to ACCOUNT_LOCAL_SIZE_MAX octets; a refused one changes nothing. */
    struct account account = {0};
    char local[ACCOUNT_LOCAL_SIZE_MAX + 1];
    (void)state;
    memset(local, 'x', sizeof local);
    assert_true(account_set_local(&account, BYTES("before")));
    assert_false(account_set_local(&account, BYTES("")));
    assert_false(account_set_local(&account, bytes_of(local, sizeof local)));
    assert_true(bytes_equal(account_local(&account), BYTES("before")));
    assert_true(account_set_local(&account, bytes_of(local, sizeof local - 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_version_one_stays),
        cmocka_unit_test(test_cut_and_longer_records),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_newer_version),
        cmocka_unit_test(test_bounds_of_fields),
        cmocka_unit_test(test_local_part_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
