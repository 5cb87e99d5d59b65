/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/session/note.c: a note keeps five texts apart, whatever their sizes, and a heap that
 * refuses gives no note. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/route.h"

static void expect_parts(const struct route_note *note, const struct note_parts *parts)
{
    assert_true(bytes_equal(note_local(note), parts->local));
    assert_true(bytes_equal(note_resource(note), parts->resource));
    assert_true(bytes_equal(note_from(note), parts->from));
    assert_true(bytes_equal(note_id(note), parts->id));
    assert_true(bytes_equal(note_text(note), parts->text));
}

/* Each of the five texts empty or not, in all 32 mixtures. */
static void texts_come_back(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, 1 << 20);
    for (uint32_t mixture = 0; mixture < 32; mixture++) {
        struct note_parts parts = {
            .local = (mixture & 1) != 0 ? BYTES("juliet") : BYTES(""),
            .resource = (mixture & 2) != 0 ? BYTES("balcony") : BYTES(""),
            .from = (mixture & 4) != 0 ? BYTES("romeo@example.net/orchard") : BYTES(""),
            .id = (mixture & 8) != 0 ? BYTES("a&amp;1") : BYTES(""),
            .text = (mixture & 16) != 0 ? BYTES("<message/>") : BYTES(""),
        };
        struct route_note *note = note_create(&heap, NOTE_DELIVER, &parts);
        assert_non_null(note);
        assert_int_equal(note->kind, NOTE_DELIVER);
        assert_true(handle_is_none(note->session));
        assert_true(handle_is_none(note->other));
        expect_parts(note, &parts);
        note_destroy(&heap, &note);
        assert_null(note);
    }
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* The largest there can be: parts of an address, a sender, and an id beyond 16 bits. */
static void large_texts_come_back(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, 1 << 20);
    static uint8_t octets[100000];
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)(i * 7);
    struct note_parts parts = {
        .local = bytes_of(octets, JID_PART_SIZE_MAX),
        .resource = bytes_of(octets + 1, JID_PART_SIZE_MAX),
        .from = bytes_of(octets + 2, JID_SIZE_MAX),
        .id = bytes_of(octets + 3, 70000),
        .text = bytes_of(octets + 4, 90000),
    };
    struct route_note *note = note_create(&heap, NOTE_ROUTE, &parts);
    assert_non_null(note);
    expect_parts(note, &parts);
    note_destroy(&heap, &note);
}

/* A copy says the same and has a life of its own. */
static void copies_stand_alone(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, 1 << 20);
    struct note_parts parts = {.local = BYTES("a"), .resource = BYTES("b"), .text = BYTES("<c/>")};
    struct route_note *note = note_create(&heap, NOTE_ROUTE, &parts);
    assert_non_null(note);
    note->hash = 42;
    note->misses = 3;
    struct route_note *copy = note_create_copy(&heap, note);
    assert_non_null(copy);
    note_destroy(&heap, &note);
    expect_parts(copy, &parts);
    assert_int_equal(copy->hash, 42);
    assert_int_equal(copy->misses, 3);
    note_destroy(&heap, &copy);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* No memory, no note. */
static void refusal_gives_null(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, sizeof(struct route_note) - 1);
    const struct note_parts nothing = {.text = BYTES("")};
    assert_null(note_create(&heap, NOTE_ROUTE, &nothing));
    heap_init(&heap, 1 << 10);
    struct route_note *note = note_create(&heap, NOTE_ROUTE, &nothing);
    assert_non_null(note);
    heap.used_bytes_max = heap_used_bytes(&heap);
    assert_null(note_create_copy(&heap, note));
    note_destroy(&heap, &note);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_back),
        cmocka_unit_test(large_texts_come_back),
        cmocka_unit_test(copies_stand_alone),
        cmocka_unit_test(refusal_gives_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
