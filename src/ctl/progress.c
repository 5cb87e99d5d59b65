/* SPDX-License-Identifier: Apache-2.0
 *
 * How far a push is. A copy is settled when it is acknowledged, lost or failed; the bar shows the
 * settled share of all that matched. */
#include "ctl.h"

struct progress progress_of(const json_t *push)
{
    const json_t *counts = json_object_get(push, "counts");
    struct progress progress = {
        .matched = json_count(counts, "matched"),
        .pending = json_count(counts, "pending"),
        .written = json_count(counts, "written"),
        .in_flight = json_count(counts, "in_flight"),
        .acked = json_count(counts, "acked_tcp"),
        .lost = json_count(counts, "lost"),
    };
    const char *reason;
    json_t *count;
    json_object_foreach(json_object_get(counts, "failed"), reason, count) progress.failed +=
        json_count(json_object_get(counts, "failed"), reason);
    return progress;
}

static void write_figure(struct writer *into, uint64_t count, const char *what)
{
    write_grouped(into, count);
    write_string(into, what);
}

void progress_render(struct writer *into, const struct progress *progress, uint32_t places)
{
    uint64_t settled = progress->acked + progress->lost + progress->failed;
    if (settled > progress->matched)
        settled = progress->matched;
    /* In floating point: the product of two counts may not fit. */
    double share = progress->matched == 0 ? 0 : (double)settled / (double)progress->matched;
    uint32_t filled = (uint32_t)(share * places);
    char percent[16];
    write_u8(into, '[');
    for (uint32_t i = 0; i < places; i++)
        write_u8(into, i < filled ? '#' : '.');
    snprintf(percent, sizeof percent, "] %3u %%  ", (unsigned)(share * 100));
    write_string(into, percent);
    write_figure(into, settled, " of ");
    write_figure(into, progress->matched, ": ");
    write_figure(into, progress->acked, " acked, ");
    write_figure(into, progress->in_flight, " in flight, ");
    write_figure(into, progress->failed, " failed, ");
    write_figure(into, progress->lost, " lost");
}
