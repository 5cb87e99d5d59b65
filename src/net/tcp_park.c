/* SPDX-License-Identifier: Apache-2.0
 *
 * Borrowing and giving back the extension. Parked, a connection is its row: snd_una = snd_nxt,
 * nothing queued, nothing out of order, ESTABLISHED or CLOSE_WAIT (the peer ended, we have not).
 * Congestion state is not kept: after a second of quiet RFC 5681 4.1 would restart it anyway. The
 * round-trip estimate is, in 16 bits a value. */
#include "tcp.h"

#define LOG_MANTISSA_BITS 11u

uint16_t tcp_log_of_us(uint32_t us)
{
    uint32_t exponent = 0;
    while (us >> LOG_MANTISSA_BITS != 0) {
        us >>= 1;
        exponent++;
    }
    return (uint16_t)(exponent << LOG_MANTISSA_BITS | us);
}

uint32_t tcp_us_of_log(uint16_t log)
{
    uint32_t exponent = log >> LOG_MANTISSA_BITS;
    uint32_t mantissa = log & ((1u << LOG_MANTISSA_BITS) - 1);
    return mantissa << exponent;
}

struct tcp_hot *tcp_unpark(struct net *net, uint32_t conn)
{
    struct tcp *tcp = net->tcp;
    struct tcp_row *row = &net->rows[conn];
    if (row->hot != TCP_HOT_NONE)
        return &tcp->hots[row->hot];
    uint32_t index = pool_take(&tcp->hot_pool);
    if (index == POOL_NONE) {
        net_count(net, METRIC_TCP_HOT_REFUSED);
        return NULL;
    }
    struct tcp_hot *hot = &tcp->hots[index];
    *hot = (struct tcp_hot){
        .conn = conn,
        .snd_una = row->snd_nxt,
        .snd_end = row->snd_nxt,
        .snd_wl1 = row->rcv_nxt - 1, /* the next segment in the window sets the window */
        .snd_wl2 = row->snd_nxt,
        .snd_wnd_max = tcp_send_window(row),
        .reference_head = POOL_NONE,
        .reference_tail = POOL_NONE,
        .reference_at = POOL_NONE,
        .sent_head = POOL_NONE,
        .sent_tail = POOL_NONE,
        .range_head = POOL_NONE,
        .resend_at_ns = TCP_NEVER,
        .orphan_at_ns = TCP_NEVER,
        .rack_at_ns = TCP_NEVER,
        .quiet_at_ns = net->now_ns,
        .progress_at_ns = net->now_ns,
        .srtt_us = tcp_us_of_log(row->srtt),
        .rttvar_us = tcp_us_of_log(row->rttvar),
    };
    tcp_congestion_start(hot, tcp_segment_room(row));
    tcp_rto_compute(hot);
    row->hot = index;
    /* No timer of a connection is due sooner, so what is armed next costs one store. */
    uint32_t wait_us = tcp_tlp_wait_us(hot->srtt_us);
    bool is_probed = (row->flags & TCP_ROW_SACK) != 0 && wait_us < TCP_RTO_US_MIN;
    wait_us = is_probed ? wait_us : TCP_RTO_US_MIN;
    wheel_arm(&tcp->wheel, index, net->now_ns + (uint64_t)wait_us * NS_PER_US);
    return hot;
}

bool tcp_can_park(const struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    const uint8_t busy = TCP_HOT_FIN_QUEUED | TCP_HOT_DIRTY | TCP_HOT_REFUSED | TCP_HOT_PEER_FIN;
    return hot != NULL && (row->state == TCP_ESTABLISHED || row->state == TCP_CLOSE_WAIT) &&
           hot->snd_una == row->snd_nxt && hot->snd_end == hot->snd_una &&
           hot->range_head == POOL_NONE && (hot->flags & busy) == 0;
}

void tcp_hot_give(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    ASSERT(hot->reference_head == POOL_NONE);
    ASSERT(hot->sent_head == POOL_NONE);
    ASSERT(hot->range_head == POOL_NONE);
    hot->flags = 0; /* what the dirty list may still name is passed over */
    wheel_disarm(&net->tcp->wheel, row->hot);
    pool_give(&net->tcp->hot_pool, row->hot);
    row->hot = TCP_HOT_NONE;
}

void tcp_park(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    ASSERT(tcp_can_park(net, conn));
    row->srtt = tcp_log_of_us(hot->srtt_us);
    row->rttvar = tcp_log_of_us(hot->rttvar_us);
    tcp_hot_give(net, conn);
}

/* A broadcast needs an extension for a round trip; a second of quiet after each would bound it to
 * the pool's size a second. */
void tcp_park_if_scarce(struct net *net, uint32_t conn)
{
    const struct pool *pool = &net->tcp->hot_pool;
    if (pool->used > pool->count / 2 && tcp_can_park(net, conn))
        tcp_park(net, conn);
}

/* ---- audit ---- */

static bool references_are_valid(const struct net *net, const struct tcp_hot *hot)
{
    uint32_t index = hot->reference_head;
    if (index == POOL_NONE)
        return hot->reference_tail == POOL_NONE && !seq_is_after(hot->snd_end, hot->snd_una);
    const struct tcp_reference *reference = &net->tcp->references[index];
    if (!seq_is_within(hot->snd_una, reference->seq_start, reference->size))
        return false;
    uint32_t seq = reference->seq_start;
    for (; index != POOL_NONE; index = reference->next) {
        reference = &net->tcp->references[index];
        if (!pool_is_live(&net->tcp->reference_pool, index) || reference->seq_start != seq)
            return false;
        if (reference->next == POOL_NONE && index != hot->reference_tail)
            return false;
        seq += reference->size;
    }
    return seq == hot->snd_end;
}

static bool ranges_are_valid(const struct net *net, const struct tcp_hot *hot, uint32_t rcv_nxt)
{
    uint32_t count = 0;
    uint32_t after = rcv_nxt;
    for (uint32_t index = hot->range_head; index != POOL_NONE; count++) {
        const struct tcp_range *range = &net->tcp->ranges[index];
        if (!seq_is_after(range->seq, after) || range->size == 0 ||
            range->front + range->size > range->room)
            return false;
        after = range->seq + range->size;
        index = range->next;
    }
    return count == hot->range_count && count <= TCP_RANGES_MAX;
}

static bool hot_is_valid(const struct net *net, uint32_t index)
{
    const struct tcp_hot *hot = &net->tcp->hots[index];
    const struct tcp_row *row = &net->rows[hot->conn];
    return pool_is_live(&net->pool, hot->conn) && row->hot == index && row->state != TCP_FREE &&
           wheel_is_armed(&net->tcp->wheel, index) &&
           !seq_is_after(row->snd_nxt, tcp_stream_end(hot)) &&
           (row->state == TCP_SYN_SENT ||
            (references_are_valid(net, hot) && tcp_sent_is_valid(net, hot))) &&
           (row->snd_nxt == hot->snd_una || hot->resend_at_ns != TCP_NEVER) &&
           ranges_are_valid(net, hot, row->rcv_nxt);
}

bool tcp_is_valid(const struct net *net)
{
    const struct tcp *tcp = net->tcp;
    uint32_t hot_count = 0;
    for (uint32_t conn = 0; conn < net->pool.high_water; conn++) {
        if (!pool_is_live(&net->pool, conn) || net->rows[conn].hot == TCP_HOT_NONE)
            continue;
        hot_count++;
        if (!hot_is_valid(net, net->rows[conn].hot))
            return false;
    }
    return hot_count == tcp->hot_pool.used && tcp->wheel.armed_count == hot_count;
}
