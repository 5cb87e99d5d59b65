/* SPDX-License-Identifier: Apache-2.0
 *
 * The scrape as Prometheus reads it, and the table as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "stentor/metrics.h"

#define TEXT_SIZE (METRIC_COUNT * 512u + 1u)

static const char *render(const struct metrics *const *blocks, uint32_t count, char *text)
{
    struct writer into = writer_of(text, TEXT_SIZE - 1);
    metrics_render(blocks, count, &into);
    assert_false(into.is_overflown);
    text[into.size] = '\0';
    return text;
}

static uint32_t count_of(const char *text, const char *part)
{
    uint32_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

/* A scrape shows the sum over all threads' blocks, with a negative gauge as it is. */
static void sums_blocks(void **state)
{
    (void)state;
    static char text[TEXT_SIZE];
    static struct metrics one;
    static struct metrics two;
    metric_add(&one, METRIC_NIC_RX_PACKETS, 40);
    metric_count(&two, METRIC_NIC_RX_PACKETS);
    metric_count(&two, METRIC_NIC_RX_PACKETS);
    metric_set(&one, METRIC_NIC_TX_PACKETS, -7);
    const struct metrics *const blocks[] = {&one, &two};
    render(blocks, 2, text);
    assert_non_null(strstr(text, "\nstentor_nic_received_packets_total 42\n"));
    assert_non_null(strstr(text, "\nstentor_nic_sent_packets_total -7\n"));
    assert_int_equal(metric_get(&one, METRIC_NIC_RX_PACKETS), 40);
}

/* Help and type stand once before the first sample of a name, and each row has its sample. */
static void heads_each_name_once(void **state)
{
    (void)state;
    static char text[TEXT_SIZE];
    static struct metrics one;
    const struct metrics *const blocks[] = {&one};
    render(blocks, 1, text);
    assert_int_equal(strncmp(text,
                             "# HELP stentor_nic_received_packets_total Packets received from the "
                             "NIC\n# TYPE stentor_nic_received_packets_total counter\n"
                             "stentor_nic_received_packets_total 0\n",
                             150),
                     0);
    uint32_t lines = count_of(text, "\n");
    uint32_t heads = count_of(text, "# TYPE ");
    assert_int_equal(count_of(text, "# HELP "), heads);
    assert_int_equal(lines, METRIC_COUNT + 2 * heads);
}

/* Two rows of one name that stand apart would give a scrape that Prometheus refuses. */
static void keeps_rows_of_a_name_together(void **state)
{
    (void)state;
    static const char *const names[] = {
#define METRIC(name, kind, prometheus, labels, help) prometheus,
#include "stentor/metrics.def"
#undef METRIC
    };
    for (uint32_t i = 1; i < METRIC_COUNT; i++) {
        if (strcmp(names[i], names[i - 1]) == 0)
            continue;
        for (uint32_t before = 0; before < i; before++)
            if (strcmp(names[i], names[before]) == 0)
                fail_msg("%s: its rows do not stand together", names[i]);
    }
}

static bool is_legal_name(const char *name)
{
    return strncmp(name, "stentor_", 8) == 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static bool is_total(const char *name)
{
    size_t size = strlen(name);
    return size > 6 && strcmp(name + size - 6, "_total") == 0;
}

/* Names, labels and help texts of the table keep the rules of the text format. */
static void holds_legal_rows(void **state)
{
    (void)state;
#define METRIC(name, kind, prometheus, labels, help)                                               \
    if (!is_legal_name(prometheus))                                                                \
        fail_msg("%s: not a name of ours", prometheus);                                            \
    if (is_total(prometheus) != (METRIC_##kind == METRIC_COUNTER))                                 \
        fail_msg("%s: a counter ends in _total and nothing else does", prometheus);                \
    if (strpbrk(labels, "{}\\\n") != NULL || strpbrk(help, "\\\n") != NULL)                        \
        fail_msg("%s: labels or help would need an escape", prometheus);
#include "stentor/metrics.def"
#undef METRIC
}

/* A name for each row, and an answer for a number that is no row. */
static void names_rows(void **state)
{
    (void)state;
    assert_string_equal(metric_name(METRIC_NIC_RX_PACKETS), "NIC_RX_PACKETS");
    assert_string_equal(metric_name(METRIC_COUNT), "unknown");
    assert_string_equal(metric_name((enum metric) - 1), "unknown");
}

/* A writer too small is told, not overrun. */
static void overflows_cleanly(void **state)
{
    (void)state;
    static struct metrics one;
    const struct metrics *const blocks[] = {&one};
    char text[65];
    for (size_t size = 0; size < 64; size++) {
        text[size] = 'x';
        struct writer into = writer_of(text, size);
        metrics_render(blocks, 1, &into);
        assert_true(into.is_overflown);
        assert_int_equal(text[size], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_blocks),
        cmocka_unit_test(heads_each_name_once),
        cmocka_unit_test(keeps_rows_of_a_name_together),
        cmocka_unit_test(holds_legal_rows),
        cmocka_unit_test(names_rows),
        cmocka_unit_test(overflows_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
