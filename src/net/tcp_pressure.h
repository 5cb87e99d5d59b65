/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory as classes with hard ceilings, and who has to go when one is short. A ceiling is the size
 * of a pool: what it refuses is counted where it is asked. Here the filling is looked at a hundred
 * times a second and answered in this order:
 *
 *   tight   no SYN is answered: clients come again after 1, 3, 7 s
 *   short   connections nobody has authenticated (NET_LIVENESS_NEW), oldest first, a few at a time
 *           then octets out of order: whoever hoards most; the peer has them still
 *           then slow readers: most unacknowledged octets for the longest time, a few at a time
 *
 * Tight for longer than options.shed_after_ns is short. Too many octets out of order turn nobody
 * away and are only dropped. Rows are tight when there is none, and then newcomers make room for
 * each other, but nobody who is known has to go, since SYNs can be forged. Records of TIME_WAIT
 * give up their oldest, the scoreboard's grow coarser (tcp_sent.h): neither sheds anybody. A
 * connection younger than shed_after_ns is left alone, and 0 there switches shedding off.
 *
 * Slow reading is also judged one by one: who takes less than options.drain_bytes_per_second
 * over a minute, while more is pending, is closed. Owner: one worker. */
#ifndef STENTOR_NET_TCP_PRESSURE_H
#define STENTOR_NET_TCP_PRESSURE_H

#include "stentor/net.h"

#include "tcp_rate.h"
#include "tcp_segment.h"

#define TCP_PRESSURE_PERIOD_NS (10 * UINT64_C(1000000))
#define TCP_NEWCOMERS_MAX 32768u
#define TCP_SHED_MAX 16u /* a period */
#define TCP_SLICE 1024u  /* extensions or newcomers looked at in a period */
#define TCP_DRAIN_SECONDS 60u
#define TCP_TINY_SIZE                                                                              \
    32u /* fewer octets than this in a segment are few: no TLS record says less                    \
         */
#define TCP_TINY_BURST 250u

enum tcp_class {
    TCP_CLASS_ROWS,
    TCP_CLASS_HOT,
    TCP_CLASS_REORDER,
    TCP_CLASS_REFERENCES,
    TCP_CLASS_SENT,
    TCP_CLASS_TIME_WAIT,
    TCP_CLASS_COUNT
};

enum tcp_level { TCP_LEVEL_CALM, TCP_LEVEL_TIGHT, TCP_LEVEL_SHORT };

enum tcp_pass { TCP_PASS_SLOW, TCP_PASS_HOARDERS };

/* A connection as it was accepted. */
struct tcp_newcomer {
    uint32_t conn;
    uint16_t generation;
    uint16_t at_s; /* wrapping */
};

/* How an extension's peer drains it, since an instant. */
struct tcp_drain {
    uint32_t conn;
    uint16_t generation;
    uint16_t is_open;
    uint32_t una;
    uint32_t end; /* what was queued then */
    uint32_t since_s;
};

struct tcp_pressure {
    enum tcp_level levels[TCP_CLASS_COUNT];
    enum tcp_level level;                 /* the worst */
    uint64_t calm_at_ns[TCP_CLASS_COUNT]; /* last */
    bool is_row_wanted;                   /* a SYN met no free row since the last look */
    uint64_t look_at_ns;

    struct tcp_newcomer *newcomers; /* ring in order of accept */
    uint32_t newcomer_max;
    uint32_t newcomer_first;
    uint32_t newcomer_count;
    uint32_t newcomer_at; /* how far from first the running walk is */

    struct tcp_drain *drains; /* by extension */
    uint32_t drain_at;        /* next one of the running pass over them */
    uint64_t drained_at_ns;
    uint32_t slice_at; /* next extension of the running pass */
    enum tcp_pass pass;
    uint64_t worst; /* of the pass before, and of this one so far */
    uint64_t worst_so_far;

    struct tcp_budget challenges;
    struct tcp_sketch accepts; /* by prefix */
};

MUST_USE enum error tcp_pressure_init(struct net *net, struct tcp_pressure *pressure);
void tcp_pressure_fini(struct net *net, struct tcp_pressure *pressure);
/* Looks, closes slow readers, and sheds, when it is time. */
void tcp_pressure_turn(struct net *net);
uint64_t tcp_pressure_next_ns(const struct net *net);
/* May a SYN be answered? Counts it when not. */
MUST_USE bool tcp_pressure_admits(struct net *net);
/* May that address open one more connection now? Counts it when not. */
MUST_USE bool tcp_pressure_admits_from(struct net *net, const struct net_address *address);
/* A connection was accepted. */
void tcp_pressure_accepted(struct net *net, uint32_t conn);
/* May a challenge ACK be sent, as far as all connections together go? Counts it when not. */
MUST_USE bool tcp_pressure_challenges(struct net *net);
/* Charges a connection for a segment; false when it sent more tiny ones than it may. */
MUST_USE bool tcp_pressure_takes(struct net *net, uint32_t conn, const struct tcp_segment *segment);
/* The filling of a class in percent. */
uint32_t tcp_pressure_fill(const struct net *net, enum tcp_class class);

#endif
