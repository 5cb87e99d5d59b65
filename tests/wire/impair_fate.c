/* SPDX-License-Identifier: Apache-2.0
 *
 * See impair_fate.h. Reordering and bursts are two-state chains: their long-run rates are exactly
 * what was asked for. */
#include "impair_fate.h"

#include <stddef.h>
#include <string.h>

#define NS_PER_US UINT64_C(1000)
#define MILLION 1000000u
#define QUEUE_FULL UINT64_MAX

bool faults_set(struct faults *faults, const char *key, uint64_t value)
{
    static const struct {
        const char *key;
        size_t offset;
    } fields[] = {
        {"delay_us", offsetof(struct faults, delay_us)},
        {"jitter_us", offsetof(struct faults, jitter_us)},
        {"loss_ppm", offsetof(struct faults, loss_ppm)},
        {"burst_ppm", offsetof(struct faults, burst_ppm)},
        {"burst_length", offsetof(struct faults, burst_length)},
        {"reorder_ppm", offsetof(struct faults, reorder_ppm)},
        {"reorder_percent", offsetof(struct faults, reorder_percent)},
        {"duplicate_ppm", offsetof(struct faults, duplicate_ppm)},
        {"corrupt_ppm", offsetof(struct faults, corrupt_ppm)},
        {"ce_ppm", offsetof(struct faults, ce_ppm)},
        {"mtu", offsetof(struct faults, mtu)},
        {"icmp", offsetof(struct faults, icmp)},
        {"rate_kbit", offsetof(struct faults, rate_kbit)},
        {"queue_us", offsetof(struct faults, queue_us)},
    };
    if (strcmp(key, "drop") == 0 && faults->drop_count < FATE_DROPS_MAX) {
        faults->drops[faults->drop_count++] = value;
        return true;
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(key, fields[i].key) == 0) {
            memcpy((char *)faults + fields[i].offset, &value, sizeof value);
            return true;
        }
    }
    return false;
}

static uint64_t draw(struct fates *fates)
{
    uint64_t word = fates->random += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

static bool chance(struct fates *fates, uint64_t ppm)
{
    return draw(fates) % MILLION < ppm;
}

void fates_init(struct fates *fates, uint64_t seed, uint32_t direction)
{
    fates->random = seed * 2 + direction;
    fates->random = draw(fates);
}

static bool is_in_burst(struct fates *fates)
{
    const struct faults *faults = &fates->faults;
    uint64_t length = faults->burst_length == 0 ? 1 : faults->burst_length;
    bool is_over = chance(fates, MILLION / length);
    bool is_begun = chance(fates, faults->burst_ppm);
    bool is_lost = fates->is_in_burst || is_begun;
    fates->is_in_burst = is_lost && !is_over;
    return is_lost;
}

static bool is_reordered(struct fates *fates)
{
    bool is_repeated = draw(fates) % 100 < fates->faults.reorder_percent;
    bool is_fresh = chance(fates, fates->faults.reorder_ppm);
    if (!is_repeated)
        fates->was_reordered = is_fresh;
    return fates->was_reordered;
}

static bool is_dropped_by_number(struct fates *fates, enum fate_kind kind)
{
    fates->segment_count += kind != FATE_NO_OCTETS;
    if (kind != FATE_NEW_OCTETS)
        return false;
    fates->new_count++;
    for (uint32_t i = 0; i < fates->faults.drop_count; i++)
        if (fates->faults.drops[i] == fates->new_count)
            return true;
    return false;
}

/* When the last bit has left, or QUEUE_FULL. */
static uint64_t line_take(struct fates *fates, uint64_t now_ns, uint32_t size)
{
    const struct faults *faults = &fates->faults;
    if (faults->rate_kbit == 0)
        return now_ns;
    uint64_t start_ns = fates->line_free_ns > now_ns ? fates->line_free_ns : now_ns;
    if (start_ns - now_ns > faults->queue_us * NS_PER_US)
        return QUEUE_FULL;
    fates->line_free_ns = start_ns + (uint64_t)size * 8 * MILLION / faults->rate_kbit;
    return fates->line_free_ns;
}

static uint64_t in_order(struct fates *fates, uint64_t due_ns)
{
    if (due_ns < fates->last_due_ns)
        due_ns = fates->last_due_ns;
    fates->last_due_ns = due_ns;
    return due_ns;
}

static struct fate lost(uint64_t *counter, char mark)
{
    (*counter)++;
    return (struct fate){.mark = mark};
}

struct fate fate_of(struct fates *fates, uint64_t now_ns, uint32_t size, enum fate_kind kind)
{
    const struct faults *faults = &fates->faults;
    bool is_lost = chance(fates, faults->loss_ppm);
    bool is_burst = is_in_burst(fates);
    bool is_early = is_reordered(fates);
    bool is_twice = chance(fates, faults->duplicate_ppm);
    bool is_flipped = chance(fates, faults->corrupt_ppm);
    bool is_marked = chance(fates, faults->ce_ppm);
    uint32_t flip_bit = (uint32_t)draw(fates);
    uint64_t jitter_ns = draw(fates) % (faults->jitter_us * NS_PER_US + 1);
    if (is_dropped_by_number(fates, kind))
        return lost(&fates->lost, 'D');
    if (is_lost || is_burst)
        return lost(&fates->lost, 'L');
    uint64_t left_ns = line_take(fates, now_ns, size);
    if (left_ns == QUEUE_FULL)
        return lost(&fates->queue_dropped, 'Q');
    struct fate fate = {.copies = 1, .flip_bit = flip_bit};
    fate.is_flipped = is_flipped;
    fate.is_marked = is_marked;
    fate.due_ns[0] =
        is_early ? left_ns : in_order(fates, left_ns + faults->delay_us * NS_PER_US + jitter_ns);
    fate.due_ns[1] = fate.due_ns[0];
    fate.copies += is_twice;
    fate.mark = is_flipped ? 'C' : is_twice ? '2' : is_early ? 'R' : is_marked ? 'E' : '.';
    fates->passed++;
    fates->reordered += is_early;
    fates->duplicated += is_twice;
    fates->corrupted += is_flipped;
    return fate;
}

struct fate fate_plain(struct fates *fates, uint64_t now_ns)
{
    struct fate fate = {.copies = 1, .mark = '.'};
    fate.due_ns[0] = now_ns + fates->faults.delay_us * NS_PER_US;
    return fate;
}
