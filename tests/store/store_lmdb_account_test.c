/* SPDX-License-Identifier: Apache-2.0
 *
 * What each kind of request takes and answers, executed inline. */
#include "store_fixture.h"

static int store_make(void **state)
{
    fixture_make(state);
    assert_int_equal(fixture_open(*state), ERROR_NONE);
    return 0;
}

static void test_create_and_get(void **state)
{
    /* A created account is found with everything it was given, and a number from 1 up. */
    struct fixture *fixture = *state;
    struct store_request *made = fixture_request(fixture, STORE_ACCOUNT_CREATE, "juliet");
    struct store_request *got = fixture_request(fixture, STORE_ACCOUNT_GET, "juliet");
    assert_int_equal(fixture_call(fixture, &made), ERROR_NONE);
    assert_int_equal(made->account.number, 1);
    assert_int_equal(fixture_call(fixture, &got), ERROR_NONE);
    assert_memory_equal(&got->account, &made->account, sizeof got->account);
    store_request_destroy(fixture->store, &made);
    store_request_destroy(fixture->store, &got);
}

static void test_no_such_account(void **state)
{
    /* What is not there is NOT_FOUND to each kind that names one. */
    struct fixture *fixture = *state;
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, "nobody"), ERROR_NOT_FOUND);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_DELETE, "nobody"), ERROR_NOT_FOUND);
    struct store_request *request = fixture_request(fixture, STORE_ACCOUNT_UPDATE, "nobody");
    request->update = STORE_UPDATE_ENABLED;
    assert_int_equal(fixture_call(fixture, &request), ERROR_NOT_FOUND);
    store_request_destroy(fixture->store, &request);
}

static void test_create_twice(void **state)
{
    /* The second of a name is refused and does not touch the first, nor uses up a number. */
    struct fixture *fixture = *state;
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_CREATE, "juliet"), ERROR_NONE);
    struct store_request *second = fixture_request(fixture, STORE_ACCOUNT_CREATE, "juliet");
    fixture_keys(&second->account, 99);
    assert_int_equal(fixture_call(fixture, &second), ERROR_EXISTS);
    struct store_request *got = fixture_request(fixture, STORE_ACCOUNT_GET, "juliet");
    assert_int_equal(fixture_call(fixture, &got), ERROR_NONE);
    assert_int_equal(got->account.scram[0].salt[0], 'j');
    store_request_destroy(fixture->store, &second);
    store_request_destroy(fixture->store, &got);
    struct store_request *other = fixture_request(fixture, STORE_ACCOUNT_CREATE, "romeo");
    assert_int_equal(fixture_call(fixture, &other), ERROR_NONE);
    assert_int_equal(other->account.number, 2);
    store_request_destroy(fixture->store, &other);
}

static void test_update_changes_what_it_names(void **state)
{
    /* Only the fields of the update bits change; the answer is the account after the change. */
    struct fixture *fixture = *state;
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_CREATE, "juliet"), ERROR_NONE);
    struct store_request *update = fixture_request(fixture, STORE_ACCOUNT_UPDATE, "juliet");
    update->update = STORE_UPDATE_SCRAM;
    fixture_keys(&update->account, 50);
    assert_int_equal(fixture_call(fixture, &update), ERROR_NONE);
    assert_true(update->account.is_enabled);
    assert_int_equal(update->account.number, 1);
    assert_int_equal(update->account.scram[DIGEST_SHA256].salt[0], 51);
    store_request_destroy(fixture->store, &update);

    update = fixture_request(fixture, STORE_ACCOUNT_UPDATE, "juliet");
    update->update = STORE_UPDATE_ENABLED;
    assert_int_equal(fixture_call(fixture, &update), ERROR_NONE);
    store_request_destroy(fixture->store, &update);

    struct store_request *got = fixture_request(fixture, STORE_ACCOUNT_GET, "juliet");
    assert_int_equal(fixture_call(fixture, &got), ERROR_NONE);
    assert_false(got->account.is_enabled);
    assert_int_equal(got->account.scram[DIGEST_SHA256].salt[0], 51);
    assert_int_equal(got->account.created_at_ms, 1700000000123);
    store_request_destroy(fixture->store, &got);
}

static void test_numbers_are_never_given_twice(void **state)
{
    /* A deleted account's number stays unused, also after closing and opening. */
    struct fixture *fixture = *state;
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_CREATE, "juliet"), ERROR_NONE);
    struct store_request *gone = fixture_request(fixture, STORE_ACCOUNT_DELETE, "juliet");
    assert_int_equal(fixture_call(fixture, &gone), ERROR_NONE);
    assert_int_equal(gone->account.number, 1);
    assert_int_equal(gone->account.created_at_ms, 1700000000123);
    store_request_destroy(fixture->store, &gone);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, "juliet"), ERROR_NOT_FOUND);
    struct store_request *again = fixture_request(fixture, STORE_ACCOUNT_CREATE, "juliet");
    assert_int_equal(fixture_call(fixture, &again), ERROR_NONE);
    assert_int_equal(again->account.number, 2);
    store_request_destroy(fixture->store, &again);
}

static void accounts_make(struct fixture *fixture, uint32_t count)
{
    char local[16];
    for (uint32_t i = 0; i < count; i++) {
        /* Not in the order of their names. */
        snprintf(local, sizeof local, "u%05u", i * 7919u % count);
        assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_CREATE, local), ERROR_NONE);
    }
}

static void test_list_in_pages(void **state)
{
    /* Pages of any size give every account once, by name, and say which page is the last. */
    struct fixture *fixture = *state;
    accounts_make(fixture, 25);
    for (uint32_t limit = 1; limit <= 26; limit++) {
        struct account after = {0};
        uint32_t seen = 0;
        bool is_last = false;
        while (!is_last) {
            char expected[16];
            struct store_request *page = fixture_request(fixture, STORE_ACCOUNT_LIST, NULL);
            page->account = after;
            page->limit = limit;
            assert_int_equal(fixture_call(fixture, &page), ERROR_NONE);
            assert_true(page->count >= 1);
            for (uint32_t i = 0; i < page->count; i++) {
                snprintf(expected, sizeof expected, "u%05u", seen++);
                assert_true(
                    bytes_equal(account_local(&page->accounts[i]), bytes_of_string(expected)));
            }
            after = page->accounts[page->count - 1];
            is_last = page->is_last;
            store_request_destroy(fixture->store, &page);
        }
        assert_int_equal(seen, 25);
    }
}

static void test_list_of_nothing(void **state)
{
    /* An empty store and a start after everything give an empty last page. */
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 2; i++) {
        struct store_request *page = fixture_request(fixture, STORE_ACCOUNT_LIST, i ? "z" : NULL);
        page->limit = 10;
        assert_int_equal(fixture_call(fixture, &page), ERROR_NONE);
        assert_int_equal(page->count, 0);
        assert_true(page->is_last);
        store_request_destroy(fixture->store, &page);
        accounts_make(fixture, 3 * (1 - i));
    }
}

static void test_list_starts_after_a_vanished_name(void **state)
{
    /* The account a page ended with may be gone before the next page is asked for. */
    struct fixture *fixture = *state;
    accounts_make(fixture, 4);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_DELETE, "u00001"), ERROR_NONE);
    struct store_request *page = fixture_request(fixture, STORE_ACCOUNT_LIST, "u00001");
    page->limit = 10;
    assert_int_equal(fixture_call(fixture, &page), ERROR_NONE);
    assert_int_equal(page->count, 2);
    assert_true(bytes_equal(account_local(&page->accounts[0]), BYTES("u00002")));
    store_request_destroy(fixture->store, &page);
}

static void test_count_and_numbers(void **state)
{
    /* All numbers ascending, less those deleted; the array can be taken out of its answer. */
    struct fixture *fixture = *state;
    struct store_request *all = fixture_request(fixture, STORE_ACCOUNT_NUMBERS, NULL);
    assert_int_equal(fixture_call(fixture, &all), ERROR_NONE);
    assert_int_equal(all->count, 0);
    assert_null(store_request_take_numbers(all));
    store_request_destroy(fixture->store, &all);

    accounts_make(fixture, 600);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_DELETE, "u00000"), ERROR_NONE);
    assert_int_equal(fixture_count(fixture), 599);
    all = fixture_request(fixture, STORE_ACCOUNT_NUMBERS, NULL);
    assert_int_equal(fixture_call(fixture, &all), ERROR_NONE);
    assert_int_equal(all->count, 599);
    uint32_t *numbers = store_request_take_numbers(all);
    assert_null(all->numbers);
    store_request_destroy(fixture->store, &all);
    for (uint32_t i = 0; i < 599; i++)
        assert_int_equal(numbers[i], i + 2);
    heap_give(&fixture->heap, numbers);
}

static void invalid(struct fixture *fixture, struct store_request *request)
{
    assert_int_equal(fixture_call(fixture, &request), ERROR_INVALID);
    store_request_destroy(fixture->store, &request);
}

static void test_ill_formed_requests(void **state)
{
    /* Requests that make no sense are answered INVALID, whatever kind. */
    struct fixture *fixture = *state;
    struct store_request *request;
    const enum store_kind named[] = {STORE_ACCOUNT_GET, STORE_ACCOUNT_UPDATE, STORE_ACCOUNT_DELETE};
    for (size_t i = 0; i < ARRAY_COUNT(named); i++) {
        request = fixture_request(fixture, named[i], NULL);
        request->update = STORE_UPDATE_SCRAM;
        invalid(fixture, request);
        request = fixture_request(fixture, named[i], NULL);
        request->update = STORE_UPDATE_SCRAM;
        request->account.local_size = ACCOUNT_LOCAL_SIZE_MAX + 1;
        invalid(fixture, request);
    }
    request = fixture_request(fixture, STORE_ACCOUNT_UPDATE, "juliet");
    invalid(fixture, request);
    request = fixture_request(fixture, STORE_ACCOUNT_UPDATE, "juliet");
    request->update = 4;
    invalid(fixture, request);
    request = fixture_request(fixture, STORE_ACCOUNT_CREATE, "juliet");
    request->account.scram[DIGEST_SHA1].rounds = SCRAM_ROUNDS_MIN - 1;
    invalid(fixture, request);
    request = fixture_request(fixture, STORE_ACCOUNT_CREATE, "juliet");
    request->account.scram[DIGEST_SHA1].kind = DIGEST_SHA256;
    invalid(fixture, request);
    request = fixture_request(fixture, STORE_ACCOUNT_LIST, NULL);
    invalid(fixture, request);
    request = fixture_request(fixture, STORE_ACCOUNT_LIST, NULL);
    request->limit = STORE_LIST_MAX + 1;
    invalid(fixture, request);
    assert_int_equal(fixture_count(fixture), 0);
}

static void test_longest_name(void **state)
{
    /* A local part of the greatest size is a name like others; LMDB takes no longer key. */
    struct fixture *fixture = *state;
    char local[ACCOUNT_LOCAL_SIZE_MAX + 1] = {0};
    memset(local, 'y', ACCOUNT_LOCAL_SIZE_MAX);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_CREATE, local), ERROR_NONE);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, local), ERROR_NONE);
    local[ACCOUNT_LOCAL_SIZE_MAX - 1] = 'z';
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, local), ERROR_NOT_FOUND);
}

static void test_heap_at_its_ceiling(void **state)
{
    /* Results that the heap refuses are answered NO_MEMORY; later requests work again. */
    struct fixture *fixture = *state;
    accounts_make(fixture, 10);
    struct store_request *page = fixture_request(fixture, STORE_ACCOUNT_LIST, NULL);
    struct store_request *all = fixture_request(fixture, STORE_ACCOUNT_NUMBERS, NULL);
    page->limit = STORE_LIST_MAX;
    fixture->heap.used_bytes_max = heap_used_bytes(&fixture->heap);
    assert_int_equal(fixture_call(fixture, &page), ERROR_NO_MEMORY);
    assert_int_equal(fixture_call(fixture, &all), ERROR_NO_MEMORY);
    assert_int_equal(page->count, 0);
    store_request_destroy(fixture->store, &page);
    store_request_destroy(fixture->store, &all);
    struct store_request *none;
    fixture->heap.used_bytes_max = heap_used_bytes(&fixture->heap);
    assert_int_equal(store_request_create(fixture->store, STORE_ACCOUNT_GET, &none),
                     ERROR_NO_MEMORY);
    assert_null(none);
    fixture->heap.used_bytes_max = FIXTURE_HEAP_BYTES;
    assert_int_equal(fixture_count(fixture), 10);
}

#define STORE_TEST(function) cmocka_unit_test_setup_teardown(function, store_make, fixture_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_create_and_get),
        STORE_TEST(test_no_such_account),
        STORE_TEST(test_create_twice),
        STORE_TEST(test_update_changes_what_it_names),
        STORE_TEST(test_numbers_are_never_given_twice),
        STORE_TEST(test_list_in_pages),
        STORE_TEST(test_list_of_nothing),
        STORE_TEST(test_list_starts_after_a_vanished_name),
        STORE_TEST(test_count_and_numbers),
        STORE_TEST(test_ill_formed_requests),
        STORE_TEST(test_longest_name),
        STORE_TEST(test_heap_at_its_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
