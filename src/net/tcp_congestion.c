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

#define SSTHRESH_MAX (UINT32_C(1) << 30)
#define CWND_MAX (UINT32_C(1) << 30)

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
    hot->bytes_acked = 0;
    hot->dup_acks = 0;
}

void tcp_congestion_idle(struct tcp_hot *hot, uint32_t mss)
{
    uint32_t restart = initial_window(mss);
    if (hot->cwnd > restart)
        hot->cwnd = restart;
}

static void grow(struct tcp_hot *hot, uint32_t acked, uint32_t ack, uint32_t mss)
{
    if (hot->cwnd < hot->ssthresh) {
        /* RFC 3465 2.3: no more than one segment while a timeout is being repaired. */
        uint32_t step_max = seq_is_after(ack, hot->recover) ? 2 * mss : mss;
        hot->cwnd += acked < step_max ? acked : step_max;
    } else {
        hot->bytes_acked += acked;
        if (hot->bytes_acked >= hot->cwnd) {
            hot->bytes_acked -= hot->cwnd;
            hot->cwnd += mss;
        }
    }
    if (hot->cwnd > CWND_MAX)
        hot->cwnd = CWND_MAX;
}

/* RFC 6582 3.2 step 3. */
static enum tcp_reaction recover(struct tcp_hot *hot, uint32_t ack, uint32_t snd_nxt, uint32_t mss)
{
    uint32_t acked = ack - hot->snd_una;
    if (seq_is_after(ack, hot->recover)) {
        uint32_t flight = snd_nxt - ack > mss ? snd_nxt - ack : mss;
        hot->cwnd = hot->ssthresh < flight + mss ? hot->ssthresh : flight + mss;
        hot->flags &= (uint8_t)~TCP_HOT_RECOVERING;
        hot->bytes_acked = 0;
        return TCP_REACT_NOTHING;
    }
    hot->cwnd = hot->cwnd > acked ? hot->cwnd - acked : 0;
    if (acked >= mss)
        hot->cwnd += mss;
    if (hot->cwnd < mss)
        hot->cwnd = mss;
    return TCP_REACT_RESEND_FIRST;
}

enum tcp_reaction tcp_congestion_acked(struct tcp_hot *hot, uint32_t ack, uint32_t snd_nxt,
                                       uint32_t mss)
{
    hot->dup_acks = 0;
    if ((hot->flags & TCP_HOT_RECOVERING) != 0)
        return recover(hot, ack, snd_nxt, mss);
    grow(hot, ack - hot->snd_una, ack, mss);
    return TCP_REACT_NOTHING;
}

enum tcp_reaction tcp_congestion_duplicate(struct tcp_hot *hot, uint32_t snd_nxt, uint32_t mss)
{
    if (hot->dup_acks < UINT16_MAX)
        hot->dup_acks++;
    if ((hot->flags & TCP_HOT_RECOVERING) != 0) {
        /* Each says that a segment left the network; a liar gains no more than the flight. */
        if (hot->cwnd < hot->ssthresh + (snd_nxt - hot->snd_una))
            hot->cwnd += mss;
        return TCP_REACT_NOTHING;
    }
    /* RFC 6582 3.2 step 2: duplicates of what a timeout sent again start nothing. */
    if (hot->dup_acks != TCP_DUP_ACKS || !seq_is_after(hot->snd_una, hot->recover))
        return TCP_REACT_NOTHING;
    hot->ssthresh = half_flight(hot, snd_nxt, mss);
    hot->recover = snd_nxt - 1;
    hot->cwnd = hot->ssthresh + TCP_DUP_ACKS * mss;
    hot->flags |= TCP_HOT_RECOVERING;
    return TCP_REACT_RESEND_FIRST;
}

void tcp_congestion_timeout(struct tcp_hot *hot, uint32_t snd_nxt, uint32_t mss)
{
    /* RFC 5681 3.1: a segment that times out again does not halve again. */
    if (hot->tries == 0)
        hot->ssthresh = half_flight(hot, snd_nxt, mss);
    hot->cwnd = mss;
    hot->recover = snd_nxt - 1;
    hot->dup_acks = 0;
    hot->bytes_acked = 0;
    hot->flags &= (uint8_t)~TCP_HOT_RECOVERING;
}

uint32_t tcp_congestion_window(const struct tcp_hot *hot, uint32_t mss)
{
    if ((hot->flags & TCP_HOT_RECOVERING) != 0 || hot->dup_acks >= TCP_DUP_ACKS)
        return hot->cwnd;
    return hot->cwnd + hot->dup_acks * mss; /* RFC 3042 */
}
