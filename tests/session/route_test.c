/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/session/route.c: the delivery rules of RFC 6121 8.5 cell by cell, presence among
 * own resources, replacement, the limit, strangers of the same hash, sessions that vanish on the
 * way and a heap that refuses, with one, two and three workers. */
#include "route_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct world world;

/* ---- the table ---- */

#define HERE_MAX 5u

/* The receiver's resources: r0, r1 ... of these priorities; CONNECTED has sent no presence. */
#define CONNECTED 1000
#define END 2000
struct scene {
    const char *name;
    int priorities[HERE_MAX + 1];
};

/* Expected: E error to the sender, S silence, D the resource addressed, M all of the highest
 * priority, A all of priority >= 0, P all available. */
struct expectation {
    enum stanza_type type;
    const char *bare;       /* a letter a scene */
    const char *full_match; /* to r0 */
    const char *full_none;  /* to a resource that is not there */
};

static const struct scene scenes[] = {
    {"nobody", {END}},
    {"connected only", {CONNECTED, END}},
    {"negative only", {-1, -5, END}},
    {"one", {0, END}},
    {"one and a negative", {-1, 4, END}},
    {"two", {3, 7, END}},
    {"two alike, one below, one negative", {3, 7, 7, -2, CONNECTED, END}},
};

static const struct expectation expectations[] = {
    {STANZA_MESSAGE_NORMAL, "EEEMMMM", "-DDDDDD", "EEEEEEE"},
    {STANZA_MESSAGE_CHAT, "EEEMMMM", "-DDDDDD", "EEEMMMM"},
    {STANZA_MESSAGE_GROUPCHAT, "EEEEEEE", "-DDDDDD", "EEEEEEE"},
    {STANZA_MESSAGE_HEADLINE, "SSSAAAA", "-DDDDDD", "SSSSSSS"},
    {STANZA_TYPE_ERROR, "SSSSSSS", "-DDDDDD", "SSSSSSS"},
    {STANZA_PRESENCE_AVAILABLE, "SSPPPPP", "-DDDDDD", "SSSSSSS"},
    {STANZA_PRESENCE_UNAVAILABLE, "SSPPPPP", "-DDDDDD", "SSSSSSS"},
    {STANZA_PRESENCE_SUBSCRIBE, "SSSSSSS", "-SSSSSS", "SSSSSSS"},
    {STANZA_PRESENCE_SUBSCRIBED, "SSSSSSS", "-SSSSSS", "SSSSSSS"},
    {STANZA_PRESENCE_UNSUBSCRIBE, "SSSSSSS", "-SSSSSS", "SSSSSSS"},
    {STANZA_PRESENCE_UNSUBSCRIBED, "SSSSSSS", "-SSSSSS", "SSSSSSS"},
    {STANZA_PRESENCE_PROBE, "SSSSSSS", "-SSSSSS", "SSSSSSS"},
    {STANZA_IQ_GET, "EEEEEEE", "-DDDDDD", "EEEEEEE"},
    {STANZA_IQ_SET, "EEEEEEE", "-DDDDDD", "EEEEEEE"},
    {STANZA_IQ_RESULT, "SSSSSSS", "-DDDDDD", "SSSSSSS"},
};

static int highest_of(const struct scene *scene)
{
    int highest = -1;
    for (uint32_t i = 0; scene->priorities[i] != END; i++) {
        int priority = scene->priorities[i];
        highest = priority != CONNECTED && priority > highest ? priority : highest;
    }
    return highest;
}

static bool is_due(const struct scene *scene, uint32_t i, char letter)
{
    int priority = scene->priorities[i];
    bool is_available = priority != CONNECTED;
    switch (letter) {
    case 'D':
        return i == 0;
    case 'M':
        return is_available && priority >= 0 && priority == highest_of(scene);
    case 'A':
        return is_available && priority >= 0;
    case 'P':
        return is_available;
    default:
        return false;
    }
}

static void expect_cell(uint32_t worker_count, const struct scene *scene, enum stanza_type type,
                        const char *resource, char letter)
{
    static struct device sender;
    static struct device receivers[HERE_MAX];
    world_init(&world, worker_count, 1);
    world_login(&world, &sender, 0, "romeo", "orchard");
    uint32_t count = 0;
    for (; scene->priorities[count] != END; count++) {
        char name[8];
        snprintf(name, sizeof name, "r%u", count);
        world_login(&world, &receivers[count], (uint8_t)(count % worker_count), "juliet", name);
        if (scene->priorities[count] != CONNECTED)
            world_present(&world, &receivers[count], (int8_t)scene->priorities[count]);
    }
    world_carry_all(&world);
    for (uint32_t i = 0; i < count; i++)
        device_forget(&world, &receivers[i]);
    world_send(&world, &sender, type, "juliet", resource, "#1");
    world_carry_all(&world);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(device_count(&receivers[i], "#1"), is_due(scene, i, letter));
        assert_int_equal(receivers[i].text_count, is_due(scene, i, letter));
        device_forget(&world, &receivers[i]);
    }
    assert_int_equal(sender.text_count, letter == 'E');
    assert_int_equal(device_count(&sender, "service-unavailable"), letter == 'E');
    device_forget(&world, &sender);
    world_fini(&world);
}

/* Each type, to the bare JID, a full JID that is there and one that is not, in each scene, with
 * one, two and three workers: exactly those get it that the RFC says. */
static void rules_hold_cell_by_cell(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_COUNT(expectations), STANZA_TYPE_COUNT);
    for (uint32_t workers = 1; workers <= WORLD_WORKERS_MAX; workers++) {
        for (size_t e = 0; e < ARRAY_COUNT(expectations); e++) {
            const struct expectation *expected = &expectations[e];
            for (size_t s = 0; s < ARRAY_COUNT(scenes); s++) {
                const struct scene *scene = &scenes[s];
                expect_cell(workers, scene, expected->type, NULL, expected->bare[s]);
                expect_cell(workers, scene, expected->type, "nowhere", expected->full_none[s]);
                if (expected->full_match[s] != '-')
                    expect_cell(workers, scene, expected->type, "r0", expected->full_match[s]);
            }
        }
    }
}

/* ---- errors ---- */

/* The error bears the stanza's kind and id, and the addresses exchanged. */
static void error_answers_its_stanza(void **state)
{
    (void)state;
    static struct device romeo;
    world_init(&world, 2, 3);
    world_login(&world, &romeo, 1, "romeo", "orch<ard");
    world_send(&world, &romeo, STANZA_IQ_GET, "nobody", "x", "i1");
    world_send(&world, &romeo, STANZA_MESSAGE_CHAT, "nobody", NULL, "m1");
    world_carry_all(&world);
    assert_int_equal(romeo.text_count, 2);
    assert_int_equal(device_count(&romeo, "<iq "), 1);
    assert_int_equal(device_count(&romeo, "<message "), 1);
    assert_int_equal(device_count(&romeo, "type='error'"), 2);
    assert_int_equal(device_count(&romeo, "id='i1'"), 1);
    assert_int_equal(device_count(&romeo, "id='m1'"), 1);
    assert_int_equal(device_count(&romeo, "from='nobody@example.net/x'"), 1);
    assert_int_equal(device_count(&romeo, "from='nobody@example.net'"), 1);
    assert_int_equal(device_count(&romeo, "to='romeo@example.net/orch&lt;ard'"), 2);
    device_forget(&world, &romeo);
    world_fini(&world);
}

/* An error whose receiver has gone is dropped, and no error answers it. */
static void error_for_nobody_ends(void **state)
{
    (void)state;
    static struct device romeo;
    world_init(&world, 3, 3);
    world_login(&world, &romeo, 2, "romeo", "a");
    world_send(&world, &romeo, STANZA_IQ_SET, "nobody", "x", "i1");
    world_logout(&world, &romeo);
    world_carry_all(&world);
    assert_int_equal(world_metric(&world, METRIC_ROUTE_ERRORS), 1);
    assert_true(world.steps < 10);
    device_forget(&world, &romeo);
    world_fini(&world);
}

/* ---- presence ---- */

/* A new resource hears itself and all others, the others hear it; later changes and leaving are
 * told to all, and to who left. Its own words come through when it used any. */
static void own_resources_see_each_other(void **state)
{
    (void)state;
    static struct device devices[3];
    for (uint32_t workers = 1; workers <= WORLD_WORKERS_MAX; workers++) {
        world_init(&world, workers, workers);
        const char *const names[] = {"a", "b", "c"};
        for (uint8_t i = 0; i < 3; i++)
            world_login(&world, &devices[i], (uint8_t)(i % workers), "juliet", names[i]);
        world_present(&world, &devices[0], 1);
        world_carry_all(&world);
        assert_int_equal(device_count(&devices[0], "juliet@example.net/a"), 1);
        assert_int_equal(devices[1].text_count, 0);

        world_present(&world, &devices[1], -7);
        world_carry_all(&world);
        assert_int_equal(device_count(&devices[0], "juliet@example.net/a"), 1);
        assert_int_equal(device_count(&devices[0], "juliet@example.net/b"), 1);
        assert_int_equal(device_count(&devices[0], "<priority>-7</priority>"), 1);
        assert_int_equal(device_count(&devices[1], "juliet@example.net/a"), 1);
        assert_int_equal(device_count(&devices[1], "<priority>1</priority>"), 1);
        assert_int_equal(device_count(&devices[1], "juliet@example.net/b"), 1);
        assert_int_equal(devices[2].text_count, 0);

        world_present(&world, &devices[0], 2);
        world_leave(&world, &devices[1]);
        world_carry_all(&world);
        assert_int_equal(device_count(&devices[0], "<priority>2</priority>"), 1);
        assert_int_equal(device_count(&devices[0], "type='unavailable'"), 1);
        assert_int_equal(device_count(&devices[1], "type='unavailable'"), 1);
        assert_int_equal(devices[2].text_count, 0);

        uint32_t before = devices[0].text_count;
        world_leave(&world, &devices[1]);
        world_carry_all(&world);
        assert_int_equal(devices[0].text_count, before);
        for (uint32_t i = 0; i < 3; i++)
            device_forget(&world, &devices[i]);
        for (uint32_t i = 0; i < 3; i++)
            world_logout(&world, &devices[i]);
        world_carry_all(&world);
        for (uint32_t i = 0; i < 3; i++)
            device_forget(&world, &devices[i]);
        world_fini(&world);
    }
}

/* What the client said of itself is told as it said it, when the worker has kept it. */
static void kept_presence_text_is_told(void **state)
{
    (void)state;
    static struct device first;
    static struct device second;
    world_init(&world, 2, 9);
    world_login(&world, &first, 0, "juliet", "a");
    world_login(&world, &second, 1, "juliet", "b");
    struct world_worker *worker = &world.workers[0];
    session_set_presence(&worker->sessions, first.conn, true, 5, PRESENCE_SHOW_DND);
    first.is_available = true;
    world_tell_presence(&world, &first, "<presence/>");
    world_carry_all(&world);
    world_present(&world, &second, 0);
    world_carry_all(&world);
    assert_int_equal(device_count(&second, "<show>dnd</show>"), 1);
    assert_int_equal(device_count(&second, "<priority>5</priority>"), 1);
    world_leave(&world, &second);
    world_carry_all(&world);
    device_forget(&world, &second);

    session_at(&worker->sessions, first.conn)->presence_text =
        blob_create_copy(&worker->blobs, BYTES("<presence>my own words</presence>"));
    world_present(&world, &second, 0);
    world_carry_all(&world);
    assert_int_equal(device_count(&second, "my own words"), 1);
    assert_int_equal(device_count(&second, "<show>"), 0);
    device_forget(&world, &first);
    device_forget(&world, &second);
    world_fini(&world);
}

/* ---- replacement and the limit ---- */

/* Binding a resource that is bound closes the older session with conflict; the newer is found, and
 * those who heard the older leave hear that the name is still there. */
static void newest_of_a_name_wins(void **state)
{
    (void)state;
    static struct device older;
    static struct device newer;
    static struct device watcher;
    for (uint64_t seed = 1; seed < 60; seed++) {
        uint8_t workers = (uint8_t)(1 + seed % 3);
        world_init(&world, workers, seed);
        world_login(&world, &watcher, 0, "juliet", "watcher");
        world_login(&world, &older, (uint8_t)(seed % workers), "juliet", "a");
        world_present(&world, &watcher, 0);
        world_present(&world, &older, 1);
        world_carry_all(&world);
        world_login(&world, &newer, (uint8_t)((seed + 1) % workers), "juliet", "a");
        world_present(&world, &newer, 2);
        world_carry_all(&world);
        assert_true(handle_is_none(older.handle));
        assert_int_equal(older.closed_by, STREAM_ERROR_CONFLICT);
        assert_false(handle_is_none(newer.handle));
        world_send(&world, &watcher, STANZA_IQ_GET, "juliet", "a", "#q");
        world_carry_all(&world);
        assert_int_equal(device_count(&newer, "#q"), 1);
        const char *last = NULL;
        for (uint32_t i = 0; i < watcher.text_count; i++) {
            if (strstr(watcher.texts[i], "from='juliet@example.net/a'") != NULL)
                last = watcher.texts[i];
        }
        assert_non_null(last);
        assert_non_null(strstr(last, "<priority>2</priority>"));
        assert_null(strstr(last, "unavailable"));
        device_forget(&world, &older);
        device_forget(&world, &newer);
        device_forget(&world, &watcher);
        world_fini(&world);
    }
}

/* One session more than resources_max is closed with resource-constraint, those there stay; a
 * replacement is no more than before. */
static void limit_closes_the_newcomer(void **state)
{
    (void)state;
    static struct device devices[WORLD_RESOURCES + 2];
    for (uint32_t workers = 1; workers <= WORLD_WORKERS_MAX; workers++) {
        world_init(&world, workers, workers);
        for (uint32_t i = 0; i <= WORLD_RESOURCES; i++) {
            char name[8];
            snprintf(name, sizeof name, "r%u", i);
            world_login(&world, &devices[i], (uint8_t)(i % workers), "juliet", name);
            world_carry_all(&world);
        }
        for (uint32_t i = 0; i < WORLD_RESOURCES; i++)
            assert_false(handle_is_none(devices[i].handle));
        assert_true(handle_is_none(devices[WORLD_RESOURCES].handle));
        assert_int_equal(devices[WORLD_RESOURCES].closed_by, STREAM_ERROR_RESOURCE_CONSTRAINT);
        assert_int_equal(world_metric(&world, METRIC_ROUTE_REFUSED), 1);
        world_login(&world, &devices[WORLD_RESOURCES + 1], 0, "juliet", "r3");
        world_carry_all(&world);
        assert_false(handle_is_none(devices[WORLD_RESOURCES + 1].handle));
        assert_int_equal(devices[3].closed_by, STREAM_ERROR_CONFLICT);
        world_fini(&world);
    }
}

/* ---- strangers and the gone ---- */

/* Two names the registry cannot tell apart, home to the same of two workers, and two resources of
 * one tag; found by trying. */
static bool find_strangers(char *one, char *other, size_t size)
{
    static struct {
        uint32_t key;
        uint32_t name;
    } seen[1 << 20];
    const struct siphash_key key = {7, 11};
    memset(seen, 0xff, sizeof seen);
    for (uint32_t name = 0; name < 400000; name++) {
        snprintf(one, size, "u%u", name);
        uint64_t hash = registry_hash(&key, bytes_of_string(one));
        /* 64 buckets in so small a registry: six bits of the lower half and 24 of the upper. */
        uint32_t same = (uint32_t)(hash >> 32 & 0xffffff) | (uint32_t)(hash >> 26 & 0x3f) << 24;
        uint32_t at = (same * UINT32_C(2654435761)) >> 12;
        while (seen[at].name != UINT32_MAX && seen[at].key != same)
            at = (at + 1) & ((1 << 20) - 1);
        if (seen[at].name != UINT32_MAX) {
            snprintf(other, size, "u%u", seen[at].name);
            uint64_t other_hash = registry_hash(&key, bytes_of_string(other));
            bool is_home_same = registry_home(hash, 2) == registry_home(other_hash, 2);
            if (is_home_same && registry_home(hash, 3) == registry_home(other_hash, 3))
                return true;
        }
        seen[at].key = same;
        seen[at].name = name;
    }
    return false;
}

/* Sessions of a stranger whose hash is alike get nothing, keep nobody from getting it, and are
 * neither replaced nor told presences. */
static void strangers_are_not_mixed_up(void **state)
{
    (void)state;
    char one[16];
    char other[16];
    assert_true(find_strangers(one, other, sizeof one));
    static struct device devices[3];
    for (uint64_t seed = 0; seed < 30; seed++) {
        uint8_t workers = (uint8_t)(1 + seed % 3);
        world_init(&world, workers, seed);
        /* The same resource, so that its tag is alike too. */
        world_login(&world, &devices[0], (uint8_t)(seed / 3 % workers), one, "r");
        world_carry_all(&world);
        world_login(&world, &devices[1], (uint8_t)(seed / 6 % workers), other, "r");
        world_login(&world, &devices[2], 0, "romeo", "a");
        world_present(&world, &devices[0], 9);
        world_present(&world, &devices[1], 1);
        world_carry_all(&world);
        assert_int_equal(devices[0].text_count, 1);
        assert_int_equal(devices[1].text_count, 1);
        world_send(&world, &devices[2], STANZA_MESSAGE_CHAT, other, NULL, "#bare");
        world_send(&world, &devices[2], STANZA_IQ_GET, other, "r", "#full");
        world_send(&world, &devices[2], STANZA_MESSAGE_HEADLINE, other, NULL, "#news");
        world_send(&world, &devices[2], STANZA_MESSAGE_CHAT, one, "nowhere", "#fall");
        world_carry_all(&world);
        assert_int_equal(devices[0].text_count, 2);
        assert_int_equal(device_count(&devices[0], "#fall"), 1);
        assert_int_equal(device_count(&devices[1], "#bare"), 1);
        assert_int_equal(device_count(&devices[1], "#full"), 1);
        assert_int_equal(device_count(&devices[1], "#news"), 1);
        assert_int_equal(devices[2].text_count, 0);
        world_logout(&world, &devices[1]);
        world_carry_all(&world);
        world_send(&world, &devices[2], STANZA_MESSAGE_CHAT, other, NULL, "#late");
        world_send(&world, &devices[2], STANZA_IQ_SET, other, "r", "#late");
        world_carry_all(&world);
        assert_int_equal(device_count(&devices[2], "service-unavailable"), 2);
        assert_int_equal(devices[0].text_count, 2);
        for (uint32_t i = 0; i < 3; i++)
            device_forget(&world, &devices[i]);
        world_fini(&world);
    }
}

/* Two resources of one account with the same tag: each gets what is for it, neither replaces the
 * other. */
static void alike_resources_are_told_apart(void **state)
{
    (void)state;
    const struct siphash_key key = {7, 11};
    uint8_t tag = registry_resource_tag(&key, BYTES("r0"));
    char alike[16];
    uint32_t i = 0;
    do {
        snprintf(alike, sizeof alike, "r%u", ++i);
    } while (registry_resource_tag(&key, bytes_of_string(alike)) != tag);
    static struct device devices[3];
    for (uint64_t seed = 0; seed < 30; seed++) {
        uint8_t workers = (uint8_t)(1 + seed % 3);
        world_init(&world, workers, seed);
        world_login(&world, &devices[0], (uint8_t)(seed / 3 % workers), "juliet", "r0");
        world_login(&world, &devices[1], (uint8_t)(seed / 6 % workers), "juliet", alike);
        world_login(&world, &devices[2], 0, "romeo", "a");
        world_carry_all(&world);
        world_send(&world, &devices[2], STANZA_IQ_GET, "juliet", "r0", "#first");
        world_send(&world, &devices[2], STANZA_IQ_GET, "juliet", alike, "#second");
        world_carry_all(&world);
        assert_int_equal(device_count(&devices[0], "#first"), 1);
        assert_int_equal(device_count(&devices[1], "#second"), 1);
        assert_int_equal(devices[0].text_count + devices[1].text_count, 2);
        assert_int_equal(devices[2].text_count, 0);
        for (uint32_t d = 0; d < 3; d++)
            device_forget(&world, &devices[d]);
        world_fini(&world);
    }
}

/* A session vanishes without its UNREGISTER (the heap refused it): what is sent to it goes to the
 * next best or back as an error, and home forgets it. */
static void lost_unregister_heals(void **state)
{
    (void)state;
    static struct device gone;
    static struct device stays;
    static struct device romeo;
    for (uint64_t seed = 0; seed < 30; seed++) {
        uint8_t workers = (uint8_t)(1 + seed % 3);
        world_init(&world, workers, seed);
        world_login(&world, &gone, (uint8_t)(seed / 3 % workers), "juliet", "gone");
        world_login(&world, &stays, (uint8_t)(seed / 6 % workers), "juliet", "stays");
        world_login(&world, &romeo, 0, "romeo", "a");
        world_present(&world, &gone, 9);
        world_present(&world, &stays, 1);
        world_carry_all(&world);
        device_forget(&world, &stays);
        uint64_t ceiling = world.heap.used_bytes_max;
        world.heap.used_bytes_max = 0;
        world_logout(&world, &gone);
        world.heap.used_bytes_max = ceiling;
        world_carry_all(&world);
        assert_int_equal(stays.text_count, 0);
        world_send(&world, &romeo, STANZA_MESSAGE_CHAT, "juliet", NULL, "#chat");
        world_carry_all(&world);
        world_send(&world, &romeo, STANZA_IQ_GET, "juliet", "gone", "#iq");
        world_carry_all(&world);
        assert_int_equal(device_count(&stays, "#chat"), 1);
        assert_int_equal(device_count(&romeo, "service-unavailable"), 1);
        uint32_t entries = 0;
        for (uint32_t i = 0; i < workers; i++)
            entries += registry_count(world.workers[i].registry);
        assert_int_equal(entries, 2);
        device_forget(&world, &gone);
        device_forget(&world, &stays);
        device_forget(&world, &romeo);
        world_fini(&world);
    }
}

/* ---- memory ---- */

/* A day in which everything happens, with the heap's ceiling at each height: nothing crashes,
 * nothing leaks, refusals are counted, and nobody gets what is another's. */
static void refused_memory_is_survived(void **state)
{
    (void)state;
    static struct device devices[5];
    uint32_t refused_runs = 0;
    for (uint64_t room = 0; room < 12000; room += 48) {
        world_init(&world, 3, room);
        uint64_t before = heap_used_bytes(&world.heap);
        world.heap.used_bytes_max = before + room;
        for (uint8_t i = 0; i < 4; i++) {
            world_login(&world, &devices[i], (uint8_t)(i % 3), i < 3 ? "juliet" : "romeo",
                        i == 1 ? "b" : "a");
            world_present(&world, &devices[i], (int8_t)i);
        }
        for (uint32_t i = 0; i < 5; i++)
            world_carry(&world);
        if (!handle_is_none(devices[3].handle)) {
            world_send(&world, &devices[3], STANZA_MESSAGE_CHAT, "juliet", "nowhere", "#1");
            world_send(&world, &devices[3], STANZA_IQ_GET, "nobody", "x", "#2");
        }
        world_carry_all(&world);
        assert_int_equal(device_count(&devices[3], "juliet@example.net/a' to"), 0);
        for (uint8_t i = 0; i < 4; i++) {
            if (!handle_is_none(devices[i].handle))
                world_logout(&world, &devices[i]);
        }
        world_carry_all(&world);
        refused_runs += world_metric(&world, METRIC_ROUTE_DROP_NO_MEMORY) != 0;
        for (uint8_t i = 0; i < 4; i++)
            device_forget(&world, &devices[i]);
        world_fini(&world);
    }
    assert_true(refused_runs > 5);
}

/* ---- all of it at once ---- */

#define DEVICES 12u
static struct device people[DEVICES];
static const char *const locals[] = {"juliet", "romeo"};
static const char *const resources[] = {"a", "b", "c", "d"};

static bool is_same_account(const struct device *a, const struct device *b)
{
    return strcmp(a->local, b->local) == 0;
}

static void act(uint32_t number)
{
    struct device *device = &people[random_below(&world.random, DEVICES)];
    char name[16];
    snprintf(name, sizeof name, "#%u#", number);
    if (handle_is_none(device->handle)) {
        device_forget(&world, device);
        world_login(&world, device, (uint8_t)random_below(&world.random, world.worker_count),
                    locals[random_below(&world.random, 2)],
                    resources[random_below(&world.random, 4)]);
        return;
    }
    switch (random_below(&world.random, 7)) {
    case 0:
        world_logout(&world, device);
        break;
    case 1:
        if (device->is_available)
            world_leave(&world, device);
        break;
    case 2:
    case 3:
        world_present(&world, device, (int8_t)random_below(&world.random, 4));
        break;
    case 4:
        world_send(&world, device, STANZA_IQ_GET, locals[random_below(&world.random, 2)],
                   resources[random_below(&world.random, 4)], name);
        break;
    case 5:
        world_send(&world, device, STANZA_MESSAGE_CHAT, locals[random_below(&world.random, 2)],
                   resources[random_below(&world.random, 4)], name);
        break;
    default:
        world_send(&world, device, STANZA_MESSAGE_NORMAL, locals[random_below(&world.random, 2)],
                   NULL, name);
    }
}

/* Home knows exactly the sessions there are, with the presence they have. */
static void expect_registry_right(void)
{
    uint32_t entries = 0;
    uint32_t alive = 0;
    for (uint32_t i = 0; i < world.worker_count; i++) {
        entries += registry_count(world.workers[i].registry);
        assert_true(registry_is_valid(world.workers[i].registry));
    }
    for (uint32_t i = 0; i < DEVICES; i++) {
        const struct device *device = &people[i];
        if (handle_is_none(device->handle))
            continue;
        alive++;
        const struct router *router = &world.workers[0].router;
        uint64_t hash = registry_hash(&router->key, bytes_of_string(device->local));
        uint8_t home = registry_home(hash, world.worker_count);
        struct registry_entry found[DEVICES];
        uint32_t count = registry_find(world.workers[home].registry, hash, found, DEVICES);
        uint32_t at = 0;
        while (at < count && found[at].session.value != device->handle.value)
            at++;
        assert_true(at < count);
        assert_int_equal(found[at].is_available, device->is_available);
        if (device->is_available)
            assert_int_equal(found[at].priority, device->priority);
    }
    assert_int_equal(entries, alive);
}

/* The last that an available resource heard of each of its account's resources is the truth. */
static void expect_views_right(void)
{
    for (uint32_t i = 0; i < DEVICES; i++) {
        const struct device *device = &people[i];
        if (handle_is_none(device->handle) || !device->is_available)
            continue;
        for (size_t r = 0; r < ARRAY_COUNT(resources); r++) {
            char from[80];
            snprintf(from, sizeof from, "from='%s@example.net/%s'", device->local, resources[r]);
            const char *last = NULL;
            for (uint32_t t = 0; t < device->text_count; t++) {
                if (strncmp(device->texts[t], "<presence", 9) == 0 &&
                    strstr(device->texts[t], from) != NULL)
                    last = device->texts[t];
            }
            const struct device *truth = NULL;
            for (uint32_t d = 0; d < DEVICES; d++) {
                if (!handle_is_none(people[d].handle) && people[d].is_available &&
                    is_same_account(&people[d], device) &&
                    strcmp(people[d].resource, resources[r]) == 0)
                    truth = &people[d];
            }
            bool is_heard = last != NULL && strstr(last, "unavailable") == NULL;
            assert_int_equal(is_heard, truth != NULL);
            if (!is_heard)
                continue;
            char priority[32];
            snprintf(priority, sizeof priority, "<priority>%d</priority>", truth->priority);
            bool is_zero_unwritten = truth->priority == 0 && strstr(last, "<priority>") == NULL;
            assert_true(is_zero_unwritten || strstr(last, priority) != NULL);
        }
    }
}

/* No two sessions of one full JID, no stanza twice to one session. */
static void expect_no_doubles(uint32_t numbers)
{
    for (uint32_t i = 0; i < DEVICES; i++) {
        for (uint32_t j = i + 1; j < DEVICES; j++) {
            if (handle_is_none(people[i].handle) || handle_is_none(people[j].handle))
                continue;
            assert_false(is_same_account(&people[i], &people[j]) &&
                         strcmp(people[i].resource, people[j].resource) == 0);
        }
        for (uint32_t n = numbers > 300 ? numbers - 300 : 0; n < numbers; n++) {
            char name[16];
            snprintf(name, sizeof name, "#%u#", n);
            uint32_t as_sent = 0;
            for (uint32_t t = 0; t < people[i].text_count; t++)
                as_sent += strcmp(people[i].texts[t], name) == 0;
            assert_true(as_sent <= 1);
        }
    }
}

/* Random lives with notes carried in random order: whenever all notes have arrived, home and every
 * client know the truth. */
static void everyone_agrees_in_the_end(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++) {
        world_init(&world, 1 + (uint32_t)(seed % 3), seed);
        memset(people, 0, sizeof people);
        uint32_t number = 0;
        for (uint32_t round = 0; round < 8; round++) {
            for (uint32_t i = 0; i < 40; i++) {
                act(number++);
                for (uint32_t carried = random_below(&world.random, 6); carried > 0; carried--)
                    world_carry(&world);
            }
            world_carry_all(&world);
            expect_registry_right();
            expect_views_right();
            expect_no_doubles(number);
        }
        for (uint32_t i = 0; i < DEVICES; i++) {
            if (!handle_is_none(people[i].handle))
                world_logout(&world, &people[i]);
        }
        world_carry_all(&world);
        for (uint32_t i = 0; i < world.worker_count; i++)
            assert_int_equal(registry_count(world.workers[i].registry), 0);
        for (uint32_t i = 0; i < DEVICES; i++)
            device_forget(&world, &people[i]);
        world_fini(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_hold_cell_by_cell),
        cmocka_unit_test(error_answers_its_stanza),
        cmocka_unit_test(error_for_nobody_ends),
        cmocka_unit_test(own_resources_see_each_other),
        cmocka_unit_test(kept_presence_text_is_told),
        cmocka_unit_test(newest_of_a_name_wins),
        cmocka_unit_test(limit_closes_the_newcomer),
        cmocka_unit_test(strangers_are_not_mixed_up),
        cmocka_unit_test(alike_resources_are_told_apart),
        cmocka_unit_test(lost_unregister_heals),
        cmocka_unit_test(refused_memory_is_survived),
        cmocka_unit_test(everyone_agrees_in_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
