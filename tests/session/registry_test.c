/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/session/registry.c: it finds what a plain list finds, whatever comes and goes and
 * however crowded a place is, and costs at most 19 octets an entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "stentor/random.h"
#include "stentor/registry.h"

#define LIST_MAX 700u

struct fixture {
    struct arena arena;
    struct registry *registry;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    if (arena_create(&fixture.arena, "registry", 1 << 20, ARENA_PAGES_SMALL) ||
        registry_init(&fixture.registry, &fixture.arena, 1000))
        return -1;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_destroy(&fixture->arena);
    return 0;
}

static struct registry *registry_of(void **state)
{
    return ((struct fixture *)*state)->registry;
}

static struct registry_entry entry_of(uint32_t index, uint16_t generation)
{
    return (struct registry_entry){.session = handle_of(2, generation, index)};
}

/* What went in comes out: handle, priority, resource tag and availability. */
static void entry_comes_back_whole(void **state)
{
    struct registry *registry = registry_of(state);
    struct registry_entry entry = {handle_of(63, 0xffff, 0xfffffffe), -128, 0xfe, true};
    struct registry_entry found[2];
    assert_int_equal(registry_add(registry, 0xfedcba9876543210, &entry), ERROR_NONE);
    assert_int_equal(registry_find(registry, 0xfedcba9876543210, found, 2), 1);
    assert_int_equal(found[0].session.value, entry.session.value);
    assert_int_equal(found[0].priority, -128);
    assert_int_equal(found[0].resource_tag, 0xfe);
    assert_true(found[0].is_available);
    entry.priority = 127;
    entry.is_available = false;
    assert_true(registry_update(registry, 0xfedcba9876543210, &entry));
    assert_int_equal(registry_find(registry, 0xfedcba9876543210, found, 2), 1);
    assert_int_equal(found[0].priority, 127);
    assert_false(found[0].is_available);
    assert_int_equal(found[0].resource_tag, 0xfe);
}

/* The same session is entered once; an older life of its row neither removes nor updates it. */
static void generations_tell_lives_apart(void **state)
{
    struct registry *registry = registry_of(state);
    struct registry_entry older = entry_of(5, 1);
    struct registry_entry newer = entry_of(5, 3);
    struct registry_entry found[2];
    assert_int_equal(registry_add(registry, 77, &older), ERROR_NONE);
    assert_int_equal(registry_add(registry, 77, &older), ERROR_EXISTS);
    assert_int_equal(registry_add(registry, 77, &newer), ERROR_NONE);
    assert_true(registry_remove(registry, 77, older.session));
    assert_false(registry_remove(registry, 77, older.session));
    assert_false(registry_update(registry, 77, &older));
    assert_int_equal(registry_find(registry, 77, found, 2), 1);
    assert_int_equal(found[0].session.value, newer.session.value);
    assert_false(registry_remove(registry, UINT64_C(1) << 32 | 77, newer.session));
    assert_int_equal(registry_count(registry), 1);
}

/* More sessions of one account than a caller has room for: as many as there is room. */
static void find_keeps_to_max(void **state)
{
    struct registry *registry = registry_of(state);
    struct registry_entry found[REGISTRY_MATCHES_MAX + 1];
    for (uint32_t i = 0; i < REGISTRY_MATCHES_MAX; i++) {
        struct registry_entry entry = entry_of(i, 1);
        assert_int_equal(registry_add(registry, 9, &entry), ERROR_NONE);
    }
    assert_int_equal(registry_find(registry, 9, found, 3), 3);
    assert_int_equal(registry_find(registry, 9, found, ARRAY_COUNT(found)), REGISTRY_MATCHES_MAX);
    for (uint32_t i = 0; i < REGISTRY_MATCHES_MAX; i++)
        assert_true(registry_remove(registry, 9, entry_of(i, 1).session));
    assert_int_equal(registry_find(registry, 9, found, 3), 0);
    assert_true(registry_is_valid(registry));
}

/* A neighbourhood that is full refuses and stays as it was; one removal makes room again. */
static void full_neighbourhood_refuses(void **state)
{
    struct registry *registry = registry_of(state);
    uint32_t count = 0;
    struct registry_entry entry = entry_of(0, 1);
    while (registry_add(registry, 1, &entry) == ERROR_NONE)
        entry = entry_of(++count, 1);
    assert_int_equal(count, 5 * 64);
    assert_int_equal(registry_add(registry, 1, &entry), ERROR_POOL_EMPTY);
    assert_int_equal(registry_count(registry), count);
    assert_true(registry_is_valid(registry));
    assert_true(registry_remove(registry, 1, entry_of(17, 1).session));
    assert_int_equal(registry_add(registry, 1, &entry), ERROR_NONE);
    struct metrics metrics = {0};
    registry_set_metrics(registry, &metrics);
    assert_int_equal(metric_get(&metrics, METRIC_REGISTRY_ENTRIES), count);
    assert_int_equal(metric_get(&metrics, METRIC_REGISTRY_REFUSED), 2);
    assert_true(metric_get(&metrics, METRIC_REGISTRY_MOVED) >= count - 5);
}

struct listed {
    uint64_t hash;
    struct registry_entry entry;
};

static const struct listed *listed_session(const struct listed *list, uint32_t count,
                                           struct handle session)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].entry.session.value == session.value)
            return &list[i];
    }
    return NULL;
}

/* All entries of that hash in the list are found, as they were last set; what is found besides is
 * in the list too and has that tag (it spilled here from a neighbour). */
static void expect_same(const struct registry *registry, const struct listed *list, uint32_t count,
                        uint64_t hash)
{
    struct registry_entry found[LIST_MAX];
    uint32_t found_count = registry_find(registry, hash, found, LIST_MAX);
    uint32_t due_count = 0;
    for (uint32_t i = 0; i < count; i++)
        due_count += list[i].hash == hash;
    for (uint32_t f = 0; f < found_count; f++) {
        const struct listed *listed = listed_session(list, count, found[f].session);
        assert_non_null(listed);
        assert_int_equal(listed->hash >> 32, hash >> 32);
        assert_int_equal(found[f].priority, listed->entry.priority);
        assert_int_equal(found[f].resource_tag, listed->entry.resource_tag);
        assert_int_equal(found[f].is_available, listed->entry.is_available);
        due_count -= listed->hash == hash;
    }
    assert_int_equal(due_count, 0);
}

/* Few buckets and fewer tags, so that places fill up, spill round the end and share buckets. */
static uint64_t crowded_hash(struct random *random)
{
    static const uint32_t lower[] = {0, 0x10000000, 0xfd000000, 0xfe000000, 0xffffffff};
    uint64_t tag = random_below(random, 12);
    return tag << 32 | lower[random_below(random, ARRAY_COUNT(lower))];
}

/* 60,000 random additions, removals and updates agree with a plain list after each step. */
static void random_use_agrees_with_a_list(void **state)
{
    struct registry *registry = registry_of(state);
    struct random random;
    random_init_seed(&random, 2026);
    static struct listed list[LIST_MAX];
    uint32_t count = 0;
    for (uint32_t step = 0; step < 60000; step++) {
        uint32_t grows = step / 10000 % 2 == 0 ? 3 : 1; /* of 4 */
        if (random_below(&random, 4) < grows && count < LIST_MAX) {
            struct listed *added = &list[count];
            *added = (struct listed){crowded_hash(&random), entry_of(step, (uint16_t)(step | 1))};
            added->entry.priority = (int8_t)random_u32(&random);
            added->entry.resource_tag = (uint8_t)random_u32(&random);
            added->entry.is_available = random_below(&random, 2) == 0;
            count += registry_add(registry, added->hash, &added->entry) == ERROR_NONE;
        } else if (count != 0 && random_below(&random, 3) == 0) {
            struct listed *changed = &list[random_below(&random, count)];
            changed->entry.priority = (int8_t)random_u32(&random);
            changed->entry.is_available = !changed->entry.is_available;
            assert_true(registry_update(registry, changed->hash, &changed->entry));
        } else if (count != 0) {
            uint32_t chosen = random_below(&random, count);
            assert_true(registry_remove(registry, list[chosen].hash, list[chosen].entry.session));
            list[chosen] = list[--count];
        }
        assert_int_equal(registry_count(registry), count);
        expect_same(registry, list, count, crowded_hash(&random));
        if (step % 97 == 0)
            assert_true(registry_is_valid(registry));
    }
    while (count > 0) {
        count--;
        assert_true(registry_remove(registry, list[count].hash, list[count].entry.session));
    }
    assert_true(registry_is_valid(registry));
    expect_same(registry, list, 0, crowded_hash(&random));
}

/* A million sessions in a registry made for a million, and not one refused; then all are found. */
static void holds_what_it_was_made_for(void **state)
{
    (void)state;
    const uint32_t count = 1000000;
    const struct siphash_key key = {1, 2};
    struct arena arena;
    struct registry *registry;
    size_t size = ARENA_HEADER_SIZE + registry_arena_bytes(count);
    assert_int_equal(arena_create(&arena, "registry", size, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_int_equal(registry_init(&registry, &arena, count), ERROR_NONE);
    for (uint32_t i = 0; i < count; i++) {
        struct registry_entry entry = entry_of(i, 1);
        uint64_t hash = registry_hash(&key, bytes_of(&i, sizeof i));
        registry_prefetch(registry, hash);
        assert_int_equal(registry_add(registry, hash, &entry), ERROR_NONE);
    }
    struct registry_entry found[4];
    for (uint32_t i = 0; i < count; i += 7) {
        uint64_t hash = registry_hash(&key, bytes_of(&i, sizeof i));
        uint32_t found_count = registry_find(registry, hash, found, 4);
        assert_true(found_count > 0);
        while (found[found_count - 1].session.value != entry_of(i, 1).session.value)
            assert_true(--found_count > 0);
    }
    assert_true(registry_is_valid(registry));
    arena_destroy(&arena);
}

/* LIMITS: at ten million sessions an entry costs at most 19 octets. */
static void entry_costs_little(void **state)
{
    (void)state;
    double octets = (double)registry_arena_bytes(10000000) / 1e7;
    print_message("octets an entry: %.2f\n", octets);
    assert_true(octets <= 19.0);
    assert_true(octets >= 12.0);
}

/* Every worker is home to its share, and picks buckets from all of its registry. */
static void homes_are_even(void **state)
{
    (void)state;
    const struct siphash_key key = {3, 4};
    uint32_t count_of[3] = {0};
    uint32_t lower_half[3] = {0};
    for (uint32_t i = 0; i < 30000; i++) {
        uint64_t hash = registry_hash(&key, bytes_of(&i, sizeof i));
        uint8_t home = registry_home(hash, 3);
        assert_true(home < 3);
        count_of[home]++;
        lower_half[home] += (hash >> 31 & 1) == 0;
    }
    for (uint32_t home = 0; home < 3; home++) {
        assert_in_range(count_of[home], 9500, 10500);
        assert_in_range(lower_half[home], 4700, 5300);
    }
    assert_int_equal(registry_home(UINT64_MAX, 1), 0);
    assert_int_equal(registry_home(UINT64_MAX, 64), 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entry_comes_back_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(generations_tell_lives_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(find_keeps_to_max, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_neighbourhood_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(random_use_agrees_with_a_list, set_up, tear_down),
        cmocka_unit_test(holds_what_it_was_made_for),
        cmocka_unit_test(entry_costs_little),
        cmocka_unit_test(homes_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
