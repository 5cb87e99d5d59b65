/* SPDX-License-Identifier: Apache-2.0
 *
 * NewReno: RFC 5681 (slow start, congestion avoidance, fast retransmit), RFC 6582 (recovery with
 * partial acknowledgements), RFC 3042 (limited transmit), RFC 6928 (initial window of ten), RFC
 * 3465 (growth by octets acknowledged, not by acknowledgements, so that splitting ACKs wins
 * nothing). Pure arithmetic on the extension; what is to be sent is returned as a reaction.
 *
 *   open --3 duplicates--> recovering --ack past recover--> open
 *     any --timeout--> slow start from one segment
 *
 * `recover` is the last sequence number sent when the loss was noticed (RFC 6582 3.2 step 2). */
#include "tcp.h"

#define SSTHRESH_MAX TCP_CWND_MAX
#define CWND_MAX TCP_CWND_MAX

static uint32_t initial_window(uint32_t mss)
{
    uint32_t floor = mss * 2 > 14600 ? mss * 2 : 14600;
    return mss * 10 < floor ? mss * 10 : floor;
}

/* RFC 5681 (4). */
static uint32_t half_flight(const struct tcp_hot *hot, uint32_t snd_nxt, uint32_t mss)
{
    uint32_t half = (snd_nxt - hot->snd_una) / 2;
    return half > 2 * mss ? half : 2 * mss;
}

void tcp_congestion_start(struct tcp_hot *hot, uint32_t mss)
{
    hot->cwnd = initial_window(mss);
    hot->ssthresh = SSTHRESH_MAX;
    hot->recover = hot->snd_una - 1;
    hot->cwr_seq = hot->snd_una - 1;
    hot->limited_seq = hot->snd_una;
    hot->cwnd_undo = 0;
    hot->bytes_acked = 0;
    hot->dup_acks = 0;
    hot->cubic = (struct tcp_cubic){0};
    hot->prr = (struct tcp_prr){0};
}

void tcp_congestion_idle(struct tcp_hot *hot, uint32_t mss)
{
    uint32_t restart = initial_window(mss);
    if (hot->cwnd > restart)
        hot->cwnd = restart;
    tcp_cubic_end_epoch(&hot->cubic);
}

void tcp_congestion_used_up(struct tcp_hot *hot, uint32_t snd_nxt)
{
    hot->limited_seq = snd_nxt;
}

/* ---- growth ---- */

static uint32_t add_capped(uint32_t window, uint32_t more)
{
    return more < CWND_MAX - window ? window + more : CWND_MAX;
}

/* Marks that lie before ack say no more than that they do; moved along, so that they do not seem to
 * lie ahead once 2^31 octets have gone by. */
static void pull_marks(struct tcp_hot *hot, uint32_t ack)
{
    if (seq_is_after(ack, hot->recover))
        hot->recover = ack - 1;
    if (seq_is_after(ack, hot->cwr_seq))
        hot->cwr_seq = ack - 1;
    if (seq_is_after(ack, hot->limited_seq))
        hot->limited_seq = ack;
}

/* RFC 3465 2.3: L = 2, but one segment while a timeout is being repaired. */
static void slow_start(struct tcp_hot *hot, uint32_t mss, uint32_t acked, uint32_t ack)
{
    uint32_t step_max = seq_is_after(ack, hot->recover) ? 2 * mss : mss;
    hot->cwnd = add_capped(hot->cwnd, acked < step_max ? acked : step_max);
}

static void avoid_congestion(struct tcp_hot *hot, const struct tcp_flight *flight, uint32_t acked)
{
    if (flight->algorithm == NET_CUBIC) {
        struct tcp_cubic_ack ack = {acked, flight->mss, hot->srtt_us, flight->now_us};
        hot->cwnd = tcp_cubic_grow(&hot->cubic, hot->cwnd, &ack);
        return;
    }
    hot->bytes_acked += acked;
    if (hot->bytes_acked >= hot->cwnd) {
        hot->bytes_acked -= hot->cwnd;
        hot->cwnd = add_capped(hot->cwnd, flight->mss);
    }
}

void tcp_congestion_grow(struct tcp_hot *hot, const struct tcp_flight *flight, uint32_t ack)
{
    ASSERT((hot->flags & TCP_HOT_RECOVERING) == 0);
    uint32_t acked = ack - hot->snd_una;
    bool is_limited = seq_is_before(hot->snd_una, hot->limited_seq);
    if (!is_limited)
        tcp_cubic_pause(&hot->cubic, flight->now_us);
    else if (hot->cwnd < hot->ssthresh)
        slow_start(hot, flight->mss, acked, ack);
    else
        avoid_congestion(hot, flight, acked);
    pull_marks(hot, ack);
}

/* ---- reduction ---- */

static void reduce(struct tcp_hot *hot, const struct tcp_flight *flight)
{
    hot->cwnd_undo = hot->cwnd;
    hot->ssthresh_undo = hot->ssthresh;
    hot->bytes_acked = 0;
    hot->flags |= TCP_HOT_CWR; /* RFC 3168 6.1.2: whatever the reason */
    if (flight->algorithm == NET_CUBIC)
        hot->ssthresh = tcp_cubic_reduce(&hot->cubic, hot->cwnd, flight->mss);
    else
        hot->ssthresh = half_flight(hot, flight->snd_nxt, flight->mss);
}

/* The octet at cwr_seq carries CWR, so until it is acknowledged the peer still echoes. */
static bool is_reduced_for_ece(const struct tcp_hot *hot)
{
    return !seq_is_after(hot->snd_una, hot->cwr_seq);
}

void tcp_congestion_enter(struct tcp_hot *hot, const struct tcp_flight *flight)
{
    if (!is_reduced_for_ece(hot))
        reduce(hot, flight);
    tcp_prr_start(&hot->prr, flight->pipe);
    hot->recover = flight->snd_nxt - 1;
    hot->flags |= TCP_HOT_RECOVERING;
}

void tcp_congestion_recover(struct tcp_hot *hot, const struct tcp_flight *flight,
                            uint32_t delivered, enum tcp_ack_safety safety)
{
    ASSERT((hot->flags & TCP_HOT_RECOVERING) != 0);
    struct tcp_prr_ack ack = {
        .delivered = delivered,
        .pipe = flight->pipe,
        .ssthresh = hot->ssthresh,
        .mss = flight->mss,
        .is_safe = safety == TCP_ACK_SAFE,
    };
    if (delivered != 0)
        hot->cwnd = tcp_prr_window(&hot->prr, &ack);
}

void tcp_congestion_leave(struct tcp_hot *hot)
{
    hot->cwnd = hot->ssthresh;
    hot->flags &= (uint8_t)~TCP_HOT_RECOVERING;
    hot->prr = (struct tcp_prr){0};
    hot->bytes_acked = 0;
}

void tcp_congestion_expired(struct tcp_hot *hot, const struct tcp_flight *flight)
{
    /* RFC 5681 3.1: a segment that times out again does not reduce again; nor does a timeout in a
     * recovery that has already. */
    bool is_reduced = (hot->flags & TCP_HOT_RECOVERING) != 0 || is_reduced_for_ece(hot);
    if (hot->tries == 0 && !is_reduced)
        reduce(hot, flight);
    tcp_cubic_forget(&hot->cubic);
    hot->cwnd = flight->mss;
    hot->recover = flight->snd_nxt - 1;
    hot->dup_acks = 0;
    hot->bytes_acked = 0;
    hot->flags &= (uint8_t)~TCP_HOT_RECOVERING;
}

bool tcp_congestion_marked(struct tcp_hot *hot, const struct tcp_flight *flight)
{
    if (is_reduced_for_ece(hot) || !seq_is_after(hot->snd_una, hot->recover))
        return false;
    reduce(hot, flight);
    hot->cwnd_undo = 0; /* a mark is no mistake */
    hot->cwnd = hot->ssthresh;
    hot->cwr_seq = flight->snd_nxt;
    return true;
}

void tcp_congestion_undo(struct tcp_hot *hot)
{
    if (hot->cwnd_undo == 0)
        return;
    if (hot->cwnd < hot->cwnd_undo)
        hot->cwnd = hot->cwnd_undo;
    hot->ssthresh = hot->ssthresh_undo;
    hot->cwnd_undo = 0;
    hot->recover = hot->snd_una - 1;
    hot->flags &= (uint8_t)~TCP_HOT_RECOVERING;
    tcp_cubic_undo(&hot->cubic);
}
