/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to the packets of one direction of the bridge. The n-th TCP packet's fate is a
 * function of seed, direction and n alone (every packet draws the same number of times), so two
 * runs over the same packets lose the same ones whatever the clock does. All else but TCP (ARP,
 * neighbour discovery, ICMP) is delayed and nothing more. Pure; times in ns, rates in millionths
 * of packets. */
#ifndef TESTS_WIRE_IMPAIR_FATE_H
#define TESTS_WIRE_IMPAIR_FATE_H

#include <stdbool.h>
#include <stdint.h>

#define FATE_DROPS_MAX 16u

/* One field of each is an argument KEY=VALUE of impair; see faults_set(). */
struct faults {
    uint64_t delay_us;
    uint64_t jitter_us; /* added, uniform in [0, jitter]; the order is kept */
    uint64_t loss_ppm;
    uint64_t burst_ppm;       /* a burst of losses begins */
    uint64_t burst_length;    /* mean packets of a burst, at least 1 */
    uint64_t reorder_ppm;     /* overtakes what is delayed: goes at once, as netem's reorder */
    uint64_t reorder_percent; /* correlation: chance that the previous decision is repeated */
    uint64_t duplicate_ppm;
    uint64_t corrupt_ppm; /* one bit flipped behind the Ethernet header */
    uint64_t ce_ppm;      /* congestion marked on packets that are capable of ECN */
    uint64_t mtu;         /* larger IP packets are lost; 0 = no limit */
    uint64_t icmp;        /* and their sender is told, if not 0 */
    uint64_t rate_kbit;   /* 0 = no limit */
    uint64_t queue_us;    /* what may wait for the line, in time at that rate; more is dropped */
    uint64_t drops[FATE_DROPS_MAX]; /* the n-th segment with new octets (from 1) is lost, once */
    uint32_t drop_count;
};

struct fate {
    uint64_t due_ns[2]; /* second: the duplicate's */
    uint32_t copies;    /* 0 = lost */
    uint32_t flip_bit;  /* taken modulo the packet's bits */
    bool is_flipped;
    bool is_marked;
    char mark; /* for the trace: '.' as it should, L lost, Q queue, D dropped by number, Reordered,
                  2 copies, Corrupted, Experienced congestion */
};

struct fates {
    struct faults faults;
    uint64_t random;
    uint64_t line_free_ns;
    uint64_t last_due_ns;
    uint64_t segment_count; /* with octets */
    uint64_t new_count;     /* of them, with octets that were not on the wire before */
    bool is_in_burst;
    bool was_reordered;
    uint64_t passed;
    uint64_t lost;
    uint64_t queue_dropped;
    uint64_t reordered;
    uint64_t duplicated;
    uint64_t corrupted;
    uint64_t marked;
    uint64_t too_big;
};

/* False when there is no such key. */
bool faults_set(struct faults *faults, const char *key, uint64_t value);
void fates_init(struct fates *fates, uint64_t seed, uint32_t direction);
enum fate_kind { FATE_NO_OCTETS, FATE_OLD_OCTETS, FATE_NEW_OCTETS };
/* The fate of a TCP packet of that many octets. */
struct fate fate_of(struct fates *fates, uint64_t now_ns, uint32_t size, enum fate_kind kind);
/* Of any other. */
struct fate fate_plain(struct fates *fates, uint64_t now_ns);

#endif
