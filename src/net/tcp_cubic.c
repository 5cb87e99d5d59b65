/* SPDX-License-Identifier: Apache-2.0
 *
 * CUBIC in integers. The curve is taken in milliseconds and thousandths of a segment, which leaves
 * every product below 2^63:
 *
 *   W(t) = w_max + mss * (t - k)^3 / 2,500,000 / 1000      t, k in ms; 0.4 / 10^9 = 1/2.5e9
 *   k    = cube root of ((w_max - w_origin) * 2.5e9 / mss)
 *
 * Distances from the plateau beyond TIME_MAX_MS are cut: there the curve is past any window. */
#include "tcp_cubic.h"

#define TIME_MAX_MS (UINT64_C(1) << 20)
#define CURVE_DIVISOR UINT64_C(2500000) /* ms^3 to thousandths of a segment */
#define K_FACTOR UINT64_C(2500000000)   /* 10^9 / C */

/* Digit by digit, as a square root is taken by hand, with three bits a digit. */
static uint32_t cube_root(uint64_t value)
{
    uint64_t root = 0;
    for (uint32_t shift = 66; shift > 0;) {
        shift -= 3;
        root *= 2;
        uint64_t step = 3 * root * (root + 1) + 1; /* (root + 1)^3 - root^3 */
        if (value >> shift >= step) {
            value -= step << shift;
            root++;
        }
    }
    return (uint32_t)root;
}

static uint32_t add_capped(uint32_t value, uint64_t more)
{
    return value + more < TCP_CWND_MAX ? (uint32_t)(value + more) : TCP_CWND_MAX;
}

/* 4.2, figure 1. */
static uint32_t window_at(const struct tcp_cubic *cubic, uint64_t time_ms, uint32_t mss)
{
    bool is_past = time_ms >= cubic->k_ms;
    uint64_t off = is_past ? time_ms - cubic->k_ms : cubic->k_ms - time_ms;
    if (off > TIME_MAX_MS)
        off = TIME_MAX_MS;
    uint64_t octets = off * off * off / CURVE_DIVISOR * mss / 1000;
    if (is_past)
        return add_capped(cubic->w_max, octets);
    return octets < cubic->w_max ? cubic->w_max - (uint32_t)octets : 0;
}

static void begin_epoch(struct tcp_cubic *cubic, uint32_t cwnd, const struct tcp_cubic_ack *ack)
{
    cubic->w_origin = cwnd;
    cubic->w_est = cwnd;
    cubic->elapsed_us = 0;
    cubic->est_remainder = 0;
    cubic->remainder = 0;
    if (cubic->w_max < cwnd)
        cubic->w_max = cwnd; /* nothing is known above: the curve starts flat, K = 0 */
    cubic->k_ms = cube_root((cubic->w_max - cwnd) * K_FACTOR / ack->mss);
}

static void take_time(struct tcp_cubic *cubic, uint32_t now_us)
{
    uint32_t passed = now_us - cubic->seen_at_us;
    uint32_t left = UINT32_MAX - cubic->elapsed_us;
    cubic->elapsed_us += passed < left ? passed : left;
}

/* 4.3: W_est gains alpha segments a window, alpha = 3 (1 - beta) / (1 + beta) = 9/17 until it is
 * where the last reduction struck, then one. */
static void grow_estimate(struct tcp_cubic *cubic, uint32_t cwnd, uint32_t acked, uint32_t mss)
{
    uint64_t gain = (uint64_t)acked * mss;
    if (cubic->w_est < cubic->w_prior)
        gain = gain * 9 / 17;
    gain += cubic->est_remainder;
    cubic->est_remainder = (uint32_t)(gain % cwnd);
    cubic->w_est = add_capped(cubic->w_est, gain / cwnd);
}

uint32_t tcp_cubic_reduce(struct tcp_cubic *cubic, uint32_t cwnd, uint32_t mss)
{
    cubic->w_undo = cubic->w_max;
    cubic->w_prior = cwnd;
    /* 4.7: struck below the plateau, so there is less to be had; leave it to others sooner. */
    cubic->w_max = cwnd < cubic->w_max ? (uint32_t)((uint64_t)cwnd * 17 / 20) : cwnd;
    cubic->w_origin = 0;
    uint32_t ssthresh = (uint32_t)((uint64_t)cwnd * 7 / 10);
    return ssthresh > 2 * mss ? ssthresh : 2 * mss;
}

uint32_t tcp_cubic_grow(struct tcp_cubic *cubic, uint32_t cwnd, const struct tcp_cubic_ack *ack)
{
    ASSERT(cwnd != 0);
    ASSERT(ack->mss != 0);
    if (cubic->w_origin == 0)
        begin_epoch(cubic, cwnd, ack);
    else
        take_time(cubic, ack->now_us);
    cubic->seen_at_us = ack->now_us;
    uint32_t acked = ack->acked < cwnd ? ack->acked : cwnd;
    grow_estimate(cubic, cwnd, acked, ack->mss);
    if (window_at(cubic, cubic->elapsed_us / 1000, ack->mss) < cubic->w_est)
        return cubic->w_est > cwnd ? cubic->w_est : cwnd;

    uint64_t ahead_us = (uint64_t)cubic->elapsed_us + ack->rtt_us;
    uint32_t target = window_at(cubic, ahead_us / 1000, ack->mss);
    if (target <= cwnd)
        return cwnd;
    if (target - cwnd > cwnd / 2)
        target = cwnd + cwnd / 2;
    uint64_t gain = (uint64_t)(target - cwnd) * acked + cubic->remainder;
    cubic->remainder = (uint32_t)(gain % cwnd);
    return add_capped(cwnd, gain / cwnd);
}

void tcp_cubic_pause(struct tcp_cubic *cubic, uint32_t now_us)
{
    cubic->seen_at_us = now_us;
}

void tcp_cubic_end_epoch(struct tcp_cubic *cubic)
{
    cubic->w_origin = 0;
}

void tcp_cubic_forget(struct tcp_cubic *cubic)
{
    cubic->w_max = 0;
    cubic->w_origin = 0;
}

void tcp_cubic_undo(struct tcp_cubic *cubic)
{
    cubic->w_max = cubic->w_undo;
    cubic->w_origin = 0;
}
