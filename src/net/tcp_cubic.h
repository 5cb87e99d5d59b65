/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of CUBIC (RFC 9438), integers only: C = 0.4, beta = 0.7, the Reno-friendly region
 * and fast convergence. Pure: a window and a time come in, the next window goes out; slow start,
 * recovery and what is in flight are the business of tcp_congestion.c. Windows in octets up to
 * 2^30, segments of at least 256 octets, time in microseconds of a wrapping 32-bit clock.
 *
 *   reduce -> (recovery, slow start) -> grow, grow, ...  the first grow begins an epoch (4.2)
 *                                       pause            time in which the sender had too little
 *                                                        to say is not counted (5.8)
 *
 * All zero is a fresh one: no reduction yet. Any thread. */
#ifndef STENTOR_NET_TCP_CUBIC_H
#define STENTOR_NET_TCP_CUBIC_H

#include "stentor/bytes.h"

#define TCP_CWND_MAX (UINT32_C(1) << 30)

struct tcp_cubic {
    uint32_t w_max;      /* the plateau: where the last reduction struck, or less (4.7) */
    uint32_t w_undo;     /* w_max before that reduction */
    uint32_t w_prior;    /* window at the last reduction: cwnd_prior */
    uint32_t w_origin;   /* window at the start of the epoch; 0 = none has begun */
    uint32_t w_est;      /* what Reno would have */
    uint32_t k_ms;       /* from the start of the epoch to the plateau */
    uint32_t elapsed_us; /* of the epoch, pauses left out; stays at its largest value */
    uint32_t seen_at_us; /* last grow or pause */
    uint32_t remainder;  /* of the last division, so that small steps add up */
    uint32_t est_remainder;
};

struct tcp_cubic_ack {
    uint32_t acked; /* octets newly acknowledged */
    uint32_t mss;
    uint32_t rtt_us; /* smoothed; 0 = not known */
    uint32_t now_us;
};

/* A congestion event in a window of cwnd octets: returns ssthresh, at least two segments (4.6). */
uint32_t tcp_cubic_reduce(struct tcp_cubic *cubic, uint32_t cwnd, uint32_t mss);
/* An acknowledgement in congestion avoidance while cwnd was used up: returns the next cwnd, never
 * less than the one given, never more than half above it plus what Reno would have (4.2 to 4.5). */
uint32_t tcp_cubic_grow(struct tcp_cubic *cubic, uint32_t cwnd, const struct tcp_cubic_ack *ack);
/* An acknowledgement while the application, or the peer's window, was the limit. */
void tcp_cubic_pause(struct tcp_cubic *cubic, uint32_t now_us);
/* The epoch is over, by an idle restart; the plateau is remembered. */
void tcp_cubic_end_epoch(struct tcp_cubic *cubic);
/* After a timeout's reduction: the next epoch starts at its own plateau (4.8). */
void tcp_cubic_forget(struct tcp_cubic *cubic);
/* The last reduction was for nothing (4.9): the plateau of before, and a new epoch. */
void tcp_cubic_undo(struct tcp_cubic *cubic);

#endif
