/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters and gauges, one row of metrics.def each: METRIC(NAME, KIND, "prometheus_name",
 * "labels or empty", "help"). Every thread that counts has a block of its own (struct metrics) and
 * adds with plain stores that others may read at any moment; control sums the blocks at a scrape.
 * Never blocks, never allocates. */
#ifndef STENTOR_METRICS_H
#define STENTOR_METRICS_H

#include <stdatomic.h>

#include "stentor/bytes.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

enum metric {
#define METRIC(name, kind, prometheus, labels, help) METRIC_##name,
#include "stentor/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct metrics {
    _Atomic int64_t values[METRIC_COUNT];
} __attribute__((aligned(64)));

/* Only the owning thread adds or sets; relaxed, so other threads may read. */
static inline void metric_add(struct metrics *metrics, enum metric metric, int64_t amount)
{
    int64_t value = atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
    atomic_store_explicit(&metrics->values[metric], value + amount, memory_order_relaxed);
}
static inline void metric_count(struct metrics *metrics, enum metric metric)
{
    metric_add(metrics, metric, 1);
}
static inline void metric_set(struct metrics *metrics, enum metric metric, int64_t value)
{
    atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}
static inline int64_t metric_get(const struct metrics *metrics, enum metric metric)
{
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

/* The row's own name in metrics.def; labels make prometheus names ambiguous. */
const char *metric_name(enum metric metric);
/* Prometheus text format 0.0.4 of the sum over `count` blocks. */
void metrics_render(const struct metrics *const *blocks, uint32_t count, struct writer *into);

#endif
