/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/blob.c: a blob lives exactly as long as its references, its memory goes back
 * with the last one, and an id kept longer is not mistaken for a newer blob. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/blob.h"
#include "stentor/random.h"

#define ROW_COUNT 50u

struct fixture {
    struct heap heap;
    struct blob_table table;
    uint64_t empty_bytes; /* what the table itself has out */
};

static int set_up(void **state)
{
    static struct fixture fixture;
    heap_init(&fixture.heap, 1 << 20);
    if (blob_table_init(&fixture.table, &fixture.heap, ROW_COUNT))
        return -1;
    fixture.empty_bytes = heap_used_bytes(&fixture.heap);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    blob_table_fini(&fixture->table);
    return heap_used_bytes(&fixture->heap) == 0 ? 0 : -1;
}

/* Octets written at creation are what every reference reads, until the last is put. */
static void private_blob_lives_by_references(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *into;
    uint32_t blob = blob_create(&fixture->table, 5, &into);
    assert_int_not_equal(blob, BLOB_NONE);
    memcpy(into, "hello", 5);
    blob_get(&fixture->table, blob, 2);
    for (int left = 3; left > 0; left--) {
        assert_true(blob_is_live(&fixture->table, blob));
        assert_true(bytes_equal(blob_bytes(&fixture->table, blob), BYTES("hello")));
        assert_true(heap_used_bytes(&fixture->heap) > fixture->empty_bytes);
        assert_null(blob_put(&fixture->table, blob));
    }
    assert_false(blob_is_live(&fixture->table, blob));
    assert_int_equal(heap_used_bytes(&fixture->heap), fixture->empty_bytes);
    assert_int_equal(fixture->table.used, 0);
}

/* A copy is a copy: the source may change at once. */
static void copy_does_not_lean_on_its_source(void **state)
{
    struct fixture *fixture = *state;
    char text[] = "text";
    uint32_t blob = blob_create_copy(&fixture->table, bytes_of(text, 4));
    text[0] = 'n';
    assert_true(bytes_equal(blob_bytes(&fixture->table, blob), BYTES("text")));
    assert_null(blob_put(&fixture->table, blob));
    blob = blob_create_copy(&fixture->table, (struct bytes){NULL, 0});
    assert_int_equal(blob_bytes(&fixture->table, blob).size, 0);
    assert_null(blob_put(&fixture->table, blob));
}

/* The owner of shared octets is reported once, with the last reference, and nothing is freed. */
static void shared_blob_reports_its_owner(void **state)
{
    struct fixture *fixture = *state;
    int owner;
    uint32_t blob = blob_create_shared(&fixture->table, BYTES("push"), &owner);
    assert_true(bytes_equal(blob_bytes(&fixture->table, blob), BYTES("push")));
    blob_get(&fixture->table, blob, 1);
    assert_null(blob_put(&fixture->table, blob));
    assert_ptr_equal(blob_put(&fixture->table, blob), &owner);
    assert_false(blob_is_live(&fixture->table, blob));
    /* The row's next life is private and does not remember the owner. */
    uint32_t next = blob_create_copy(&fixture->table, BYTES("x"));
    assert_int_equal(next & 0xffff, blob & 0xffff);
    assert_int_not_equal(next, blob);
    assert_null(blob_put(&fixture->table, next));
}

/* Rows run out before memory here: a refusal, then room again after a put. */
static void full_table_refuses(void **state)
{
    struct fixture *fixture = *state;
    uint32_t blobs[ROW_COUNT];
    uint8_t *into;
    int owner;
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        blobs[i] = blob_create_copy(&fixture->table, BYTES("row"));
        assert_int_not_equal(blobs[i], BLOB_NONE);
    }
    assert_int_equal(blob_create(&fixture->table, 1, &into), BLOB_NONE);
    assert_null(into);
    assert_int_equal(blob_create_shared(&fixture->table, BYTES("x"), &owner), BLOB_NONE);
    assert_null(blob_put(&fixture->table, blobs[7]));
    assert_int_not_equal(blob_create(&fixture->table, 1, &into), BLOB_NONE);
}

/* A heap at its ceiling refuses, and the row taken for the attempt is not lost. */
static void exhausted_heap_refuses(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *into;
    for (uint32_t i = 0; i < 2 * ROW_COUNT; i++)
        assert_int_equal(blob_create(&fixture->table, 2 << 20, &into), BLOB_NONE);
    assert_int_equal(fixture->table.used, 0);
    assert_int_equal(heap_used_bytes(&fixture->heap), fixture->empty_bytes);
    assert_int_not_equal(blob_create(&fixture->table, 16, &into), BLOB_NONE);
}

/* Ids of absent rows, of nothing, and of generations to come are not live. */
static void made_up_ids_are_not_live(void **state)
{
    struct fixture *fixture = *state;
    uint32_t blob = blob_create_copy(&fixture->table, BYTES("x"));
    assert_false(blob_is_live(&fixture->table, BLOB_NONE));
    assert_false(blob_is_live(&fixture->table, blob + 1));
    assert_false(blob_is_live(&fixture->table, blob + (1u << 16)));
    assert_false(blob_is_live(&fixture->table, 0xffffu));
    assert_false(blob_is_live(&fixture->table, UINT32_MAX));
    assert_false(blob_is_live(&fixture->table, blob & 0xffff0000u));
}

/* 65,536 lives of one row: an old id is recognised in each of the others, and none is ever 0. */
static void generations_wrap(void **state)
{
    struct fixture *fixture = *state;
    uint32_t first = blob_create_copy(&fixture->table, BYTES("x"));
    assert_null(blob_put(&fixture->table, first));
    for (uint32_t life = 1; life < 65536; life++) {
        uint32_t blob = blob_create_copy(&fixture->table, BYTES("x"));
        assert_int_not_equal(blob, BLOB_NONE);
        assert_int_not_equal(blob, first);
        assert_false(blob_is_live(&fixture->table, first));
        assert_null(blob_put(&fixture->table, blob));
    }
    assert_int_equal(blob_create_copy(&fixture->table, BYTES("x")), first);
}

/* The largest table gives every one of its 65,535 rows an id of its own, and none is 0. */
static void largest_table_has_an_id_a_row(void **state)
{
    (void)state;
    struct heap heap;
    struct blob_table table;
    int owner;
    heap_init(&heap, 64 << 20);
    assert_int_equal(blob_table_init(&table, &heap, 65535), ERROR_NONE);
    uint32_t last = 0;
    for (uint32_t i = 0; i < 65535; i++) {
        uint32_t blob = blob_create_shared(&table, BYTES("x"), &owner);
        assert_int_equal(blob, last + 1);
        last = blob;
    }
    assert_int_equal(blob_create_shared(&table, BYTES("x"), &owner), BLOB_NONE);
    assert_true(blob_is_live(&table, 65535));
    blob_table_fini(&table);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* A table whose rows are over the heap's ceiling is an error at start. */
static void small_heap_is_an_error(void **state)
{
    (void)state;
    struct heap heap;
    struct blob_table table;
    heap_init(&heap, 1000);
    assert_int_equal(blob_table_init(&table, &heap, 65535), ERROR_NO_MEMORY);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* Random gets and puts against plain counts; at the end the heap is where it began. */
static void random_use_agrees_with_counts(void **state)
{
    struct fixture *fixture = *state;
    struct random random;
    random_init_seed(&random, 5);
    uint32_t blobs[ROW_COUNT] = {BLOB_NONE};
    uint32_t references[ROW_COUNT] = {0};
    for (int step = 0; step < 20000; step++) {
        uint32_t i = random_below(&random, ROW_COUNT);
        if (references[i] == 0) {
            blobs[i] = blob_create_copy(&fixture->table, bytes_of(&i, sizeof i));
            references[i] = 1;
        } else if (random_below(&random, 3) == 0) {
            uint32_t more = random_below(&random, 3);
            blob_get(&fixture->table, blobs[i], more);
            references[i] += more;
        } else {
            assert_null(blob_put(&fixture->table, blobs[i]));
            references[i]--;
        }
        assert_int_equal(blob_is_live(&fixture->table, blobs[i]), references[i] != 0);
        if (references[i] != 0)
            assert_memory_equal(blob_bytes(&fixture->table, blobs[i]).at, &i, sizeof i);
    }
    for (uint32_t i = 0; i < ROW_COUNT; i++) {
        for (; references[i] != 0; references[i]--)
            assert_null(blob_put(&fixture->table, blobs[i]));
    }
    assert_int_equal(heap_used_bytes(&fixture->heap), fixture->empty_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(private_blob_lives_by_references, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copy_does_not_lean_on_its_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shared_blob_reports_its_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_table_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(exhausted_heap_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(made_up_ids_are_not_live, set_up, tear_down),
        cmocka_unit_test_setup_teardown(generations_wrap, set_up, tear_down),
        cmocka_unit_test(largest_table_has_an_id_a_row),
        cmocka_unit_test(small_heap_is_an_error),
        cmocka_unit_test_setup_teardown(random_use_agrees_with_counts, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
