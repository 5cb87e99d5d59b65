/* SPDX-License-Identifier: Apache-2.0
 *
 * The metrics table and its Prometheus text (exposition format 0.0.4). Counting itself is inline
 * in metrics.h; here are only the scrape and the names.
 *
 * Control thread: renders. The sum over blocks is not a snapshot: each value is read once, while
 * its owner goes on counting, so two rows of one scrape may be a few events apart. */
#include "stentor/metrics.h"

struct metric_row {
    const char *name;
    const char *prometheus;
    const char *labels;
    const char *help;
    enum metric_kind kind;
};

static const struct metric_row rows[] = {
#define METRIC(name, kind, prometheus, labels, help)                                               \
    {#name, prometheus, labels, help, METRIC_##kind},
#include "stentor/metrics.def"
#undef METRIC
};
static_assert(ARRAY_COUNT(rows) == METRIC_COUNT, "a row for each metric");

static void write_signed(struct writer *into, int64_t value)
{
    uint64_t size = (uint64_t)value;
    if (value < 0) {
        write_u8(into, '-');
        size = 0 - size;
    }
    write_decimal(into, size);
}

/* Help texts escape backslash and line feed; ours hold neither, and a test keeps it so. */
static void write_heading(struct writer *into, const struct metric_row *row)
{
    write_string(into, "# HELP ");
    write_string(into, row->prometheus);
    write_u8(into, ' ');
    write_string(into, row->help);
    write_string(into, "\n# TYPE ");
    write_string(into, row->prometheus);
    write_string(into, row->kind == METRIC_COUNTER ? " counter\n" : " gauge\n");
}

static void write_sample(struct writer *into, const struct metric_row *row, int64_t value)
{
    write_string(into, row->prometheus);
    if (row->labels[0] != '\0') {
        write_u8(into, '{');
        write_string(into, row->labels);
        write_u8(into, '}');
    }
    write_u8(into, ' ');
    write_signed(into, value);
    write_u8(into, '\n');
}

const char *metric_name(enum metric metric)
{
    if ((unsigned)metric >= METRIC_COUNT)
        return "unknown";
    return rows[metric].name;
}

void metrics_render(const struct metrics *const *blocks, uint32_t count, struct writer *into)
{
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        int64_t sum = 0;
        for (uint32_t block = 0; block < count; block++)
            sum += metric_get(blocks[block], (enum metric)i);
        if (i == 0 || strcmp(rows[i].prometheus, rows[i - 1].prometheus) != 0)
            write_heading(into, &rows[i]);
        write_sample(into, &rows[i], sum);
    }
}
