/* SPDX-License-Identifier: Apache-2.0
 *
 * The flight recorder's ring, its search and its lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "stentor/bytes.h"
#include "stentor/metrics.h"
#include "stentor/trace.h"

#define RING_COUNT 8u

static struct handle conn_of(uint32_t index)
{
    return handle_of(1, 3, index);
}

static struct trace trace_new(struct heap *heap)
{
    struct trace trace;
    heap_init(heap, 1 << 20);
    assert_int_equal(trace_init(&trace, heap, RING_COUNT), ERROR_NONE);
    return trace;
}

/* An empty ring has no events, not even ones that look like zeroed slots. */
static void starts_empty(void **state)
{
    (void)state;
    struct heap heap;
    struct trace trace = trace_new(&heap);
    struct trace_event found[RING_COUNT];
    assert_int_equal(trace_find(&trace, HANDLE_NONE, found, RING_COUNT), 0);
    assert_int_equal(trace_find(&trace, conn_of(0), found, RING_COUNT), 0);
    trace_fini(&trace, &heap);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* Events of one connection come back oldest first, others' are left out. */
static void finds_by_connection(void **state)
{
    (void)state;
    struct heap heap;
    struct trace trace = trace_new(&heap);
    for (uint32_t i = 0; i < 6; i++)
        trace_add(&trace, i, conn_of(i % 2), TRACE_SASL, i, 0); /* a virtual clock starts at 0 */
    struct trace_event found[RING_COUNT];
    assert_int_equal(trace_find(&trace, conn_of(1), found, RING_COUNT), 3);
    assert_int_equal(found[0].a, 1);
    assert_int_equal(found[1].a, 3);
    assert_int_equal(found[2].a, 5);
    assert_int_equal(trace_find(&trace, HANDLE_NONE, found, RING_COUNT), 6);
    assert_int_equal(trace_find(&trace, handle_of(1, 5, 1), found, RING_COUNT), 0);
    trace_fini(&trace, &heap);
}

/* A full ring forgets the oldest; a small answer keeps the newest. */
static void keeps_the_newest(void **state)
{
    (void)state;
    struct heap heap;
    struct trace trace = trace_new(&heap);
    for (uint32_t i = 0; i < 3 * RING_COUNT + 1; i++)
        trace_add(&trace, 1, conn_of(0), TRACE_BIND, i, 0);
    struct trace_event found[2 * RING_COUNT];
    assert_int_equal(trace_find(&trace, conn_of(0), found, 2 * RING_COUNT), RING_COUNT);
    assert_int_equal(found[0].a, 2 * RING_COUNT + 1);
    assert_int_equal(found[RING_COUNT - 1].a, 3 * RING_COUNT);
    assert_int_equal(trace_find(&trace, conn_of(0), found, 2), 2);
    assert_int_equal(found[0].a, 3 * RING_COUNT - 1);
    assert_int_equal(found[1].a, 3 * RING_COUNT);
    assert_int_equal(trace_find(&trace, conn_of(0), found, 0), 0);
    trace_fini(&trace, &heap);
}

/* After 2^32 events the sequence begins again and nothing is lost or seen twice. */
static void survives_the_wrap(void **state)
{
    (void)state;
    struct heap heap;
    struct trace trace = trace_new(&heap);
    trace.sequence = UINT32_MAX - 2;
    for (uint32_t i = 0; i < RING_COUNT; i++)
        trace_add(&trace, 1, conn_of(0), TRACE_BIND, i, 0);
    struct trace_event found[RING_COUNT];
    assert_int_equal(trace_find(&trace, conn_of(0), found, RING_COUNT), RING_COUNT);
    for (uint32_t i = 0; i < RING_COUNT; i++)
        assert_int_equal(found[i].a, i);
    trace_fini(&trace, &heap);
}

/* A heap that has no more gives an error, not a crash. */
static void refuses_without_memory(void **state)
{
    (void)state;
    struct heap heap;
    struct trace trace;
    heap_init(&heap, sizeof(struct trace_event));
    assert_int_equal(trace_init(&trace, &heap, RING_COUNT), ERROR_NO_MEMORY);
    trace_fini(&trace, &heap);
}

static const char *line_of(const struct trace_event *event, char text[256])
{
    struct writer into = writer_of(text, 255);
    trace_render(event, &into);
    assert_false(into.is_overflown);
    text[into.size] = '\0';
    return text;
}

/* A line tells time, kind and both values by meaning; a reason shows as the metric's name. */
static void renders_lines(void **state)
{
    (void)state;
    char text[256];
    struct trace_event accept = {1500000123, conn_of(0), 40000, 1460, TRACE_TCP_ACCEPT, 0};
    assert_string_equal(line_of(&accept, text), "1.500000 tcp-accept peer port=40000 mss=1460");
    struct trace_event drop = {0, conn_of(0), METRIC_NIC_TX_PACKETS, 60, TRACE_TCP_DROP, 0};
    assert_string_equal(line_of(&drop, text),
                        "0.000000 tcp-drop reason=NIC_TX_PACKETS segment size=60");
    struct trace_event open = {999, conn_of(0), 2, 9, TRACE_STREAM_OPEN, 0};
    assert_string_equal(line_of(&open, text), "0.000000 stream-open restart number=2");
    struct trace_event odd = {0, conn_of(0), 1, 2, TRACE_KIND_COUNT, 0};
    assert_string_equal(line_of(&odd, text), "0.000000 unknown");
}

/* Each kind has a name of its own. */
static void names_kinds(void **state)
{
    (void)state;
    assert_string_equal(trace_kind_name(TRACE_CLOSE), "close");
    assert_string_equal(trace_kind_name(TRACE_KIND_COUNT), "unknown");
    for (int i = 0; i < TRACE_KIND_COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(trace_kind_name((enum trace_kind)i),
                                    trace_kind_name((enum trace_kind)k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(finds_by_connection),
        cmocka_unit_test(keeps_the_newest),
        cmocka_unit_test(survives_the_wrap),
        cmocka_unit_test(refuses_without_memory),
        cmocka_unit_test(renders_lines),
        cmocka_unit_test(names_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
