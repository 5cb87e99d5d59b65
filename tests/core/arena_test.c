/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/core/arena.c: stretches are aligned, zeroed and apart; what is not touched is not
 * resident; the same rows are seen through a second mapping of the descriptor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "stentor/arena.h"

/* Each stretch is aligned as asked, zero, and begins after the one before. */
static void stretches_are_aligned_and_zero(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_create(&arena, "test", 1 << 20, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_int_equal(arena.page_size, 4096);
    uint8_t *end = arena.base + ARENA_HEADER_SIZE;
    for (size_t align = 1; align <= 4096; align *= 2) {
        uint8_t *at = arena_take(&arena, 100, align);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % align, 0);
        assert_true(at >= end);
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(at[i], 0);
        memset(at, 0xff, 100);
        end = at + 100;
    }
    arena_destroy(&arena);
    assert_null(arena.base);
    assert_int_equal(arena.fd, -1);
    arena_destroy(&arena);
}

/* The last octet can be taken and one more cannot, at any absurd size. */
static void too_small_arenas_refuse(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_create(&arena, "test", 2 * 4096, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_null(arena_take(&arena, 4097, 1));
    assert_null(arena_take(&arena, SIZE_MAX, 1));
    assert_null(arena_take(&arena, SIZE_MAX - 4096, 64));
    uint8_t *at = arena_take(&arena, 4095, 1);
    assert_non_null(at);
    assert_null(arena_take(&arena, 1, 64));
    uint8_t *last = arena_take(&arena, 1, 1);
    assert_ptr_equal(last, at + 4095);
    *last = 1;
    assert_null(arena_take(&arena, 1, 1));
    arena_destroy(&arena);
}

/* A size that cannot hold the header, or that no machine has, is an error and leaves nothing. */
static void impossible_sizes_are_errors(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_create(&arena, "test", 0, ARENA_PAGES_SMALL), ERROR_INVALID);
    assert_int_equal(arena_create(&arena, "test", SIZE_MAX, ARENA_PAGES_SMALL), ERROR_INVALID);
    assert_int_not_equal(arena_create(&arena, "test", (size_t)1 << 62, ARENA_PAGES_SMALL),
                         ERROR_NONE);
    assert_null(arena.base);
    assert_int_equal(arena.fd, -1);
}

static size_t resident_bytes(const struct arena *arena)
{
    static unsigned char pages[(size_t)1 << 18];
    size_t count = arena->size / 4096;
    assert_true(count <= sizeof pages);
    assert_int_equal(mincore(arena->base, arena->size, pages), 0);
    size_t resident = 0;
    for (size_t i = 0; i < count; i++)
        resident += (size_t)(pages[i] & 1) * 4096;
    return resident;
}

/* A gigabyte taken costs the header's page; one touched octet costs one page more. */
static void untouched_rows_are_not_resident(void **state)
{
    (void)state;
    struct arena arena;
    const size_t size = (size_t)1 << 30;
    assert_int_equal(arena_create(&arena, "test", size, ARENA_PAGES_TRANSPARENT), ERROR_NONE);
    uint8_t *rows = arena_take(&arena, size / 2, CACHE_LINE);
    assert_non_null(rows);
    assert_true(resident_bytes(&arena) <= arena.page_size);
    rows[size / 4] = 1;
    assert_true(resident_bytes(&arena) <= 2 * arena.page_size);
    arena_destroy(&arena);
}

/* Every kind of pages is given in some form on every machine, and can be written to its end. */
static void every_kind_of_pages_works(void **state)
{
    (void)state;
    const enum arena_pages kinds[] = {ARENA_PAGES_SMALL, ARENA_PAGES_TRANSPARENT,
                                      ARENA_PAGES_HUGETLB};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct arena arena;
        assert_int_equal(arena_create(&arena, "test", 3 << 20, kinds[i]), ERROR_NONE);
        assert_true(arena.page_size == 4096 || arena.page_size == 2 << 20);
        assert_int_equal(arena.size % arena.page_size, 0);
        assert_true(arena.size >= 3 << 20);
        uint8_t *rows = arena_take(&arena, arena.size - ARENA_HEADER_SIZE, 1);
        assert_non_null(rows);
        memset(rows, 1, arena.size - ARENA_HEADER_SIZE);
        arena_destroy(&arena);
    }
}

/* Another mapping of the descriptor sees the header (magic, version, sizes) and the rows. */
static void descriptor_carries_the_rows(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_create(&arena, "test", 1 << 20, ARENA_PAGES_SMALL), ERROR_NONE);
    uint8_t *row = arena_take(&arena, 64, CACHE_LINE);
    assert_non_null(row);
    memset(row, 0x42, 64);

    uint8_t *other = mmap(NULL, arena.size, PROT_READ, MAP_SHARED, arena.fd, 0);
    assert_true(other != MAP_FAILED);
    assert_memory_equal(other, "STTARAN1", 8);
    uint32_t version;
    uint64_t sizes[2];
    memcpy(&version, other + 8, sizeof version);
    memcpy(sizes, other + 16, sizeof sizes);
    assert_int_equal(version, ARENA_LAYOUT_VERSION);
    assert_int_equal(sizes[0], arena.size);
    assert_int_equal(sizes[1], arena.used);
    assert_memory_equal(other + (row - arena.base), row, 64);
    munmap(other, arena.size);
    arena_destroy(&arena);
}

/* Destroying gives the descriptor and the mapping back. */
static void destroying_gives_all_back(void **state)
{
    (void)state;
    int first_fd = -1;
    for (int i = 0; i < 100; i++) {
        struct arena arena;
        assert_int_equal(arena_create(&arena, "test", 1 << 20, ARENA_PAGES_SMALL), ERROR_NONE);
        if (first_fd < 0)
            first_fd = arena.fd;
        assert_int_equal(arena.fd, first_fd);
        arena_destroy(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stretches_are_aligned_and_zero),
        cmocka_unit_test(too_small_arenas_refuse),
        cmocka_unit_test(impossible_sizes_are_errors),
        cmocka_unit_test(untouched_rows_are_not_resident),
        cmocka_unit_test(every_kind_of_pages_works),
        cmocka_unit_test(descriptor_carries_the_rows),
        cmocka_unit_test(destroying_gives_all_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
