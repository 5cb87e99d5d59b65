/* SPDX-License-Identifier: Apache-2.0
 *
 * Loss detection by time (RFC 8985 section 6): a segment sent before another one that was delivered
 * is lost once RACK.rtt and a window for reordering have passed since it was sent. Looked for at
 * each acknowledgement that finds something amiss, again when the window of what is suspected runs
 * out (the reorder timer), and at a retransmission timeout. A list is walked whole: it has at most
 * 256 records. With round trips of nothing at all every comparison falls back on sequence order,
 * and the reorder timer never waits less than the wheel's millisecond. */
#include "tcp.h"

/* ---- pure ---- */

/* Timestamps tell which transmission was acknowledged; without them one that took less than any
 * round trip ever seen was of the one before (6.2 step 2). */
static bool is_of_earlier(const struct tcp_rack *rack, const struct tcp_sent *record,
                          const struct tcp_ack_news *news, uint32_t rtt_us)
{
    if ((record->flags & TCP_SENT_RESENT) == 0)
        return false;
    return tcp_news_is_original(news, record) || rtt_us < rack->min_rtt_us;
}

void tcp_rack_delivered(struct tcp_rack *rack, const struct tcp_sent *record,
                        struct tcp_ack_news *news)
{
    uint32_t rtt_us = news->now_us - record->sent_at_us;
    uint32_t end = tcp_sent_end(record);
    bool is_first = (rack->flags & TCP_RACK_SEEN) == 0;
    bool is_sent_once = (record->flags & TCP_SENT_RESENT) == 0;
    if ((rack->flags & TCP_RACK_FACK) != 0 && seq_is_before(end, rack->fack) && is_sent_once)
        rack->flags |= TCP_RACK_REORDERED;
    if (!news->has_end || seq_is_after(end, news->end))
        news->end = end;
    news->has_end = true;
    if (is_of_earlier(rack, record, news, rtt_us))
        return;
    if (is_first || rtt_us < rack->min_rtt_us)
        rack->min_rtt_us = rtt_us;
    rack->rtt_us = rtt_us;
    if (is_first || tcp_rack_is_after(record->sent_at_us, end, rack->xmit_us, rack->end_seq)) {
        rack->xmit_us = record->sent_at_us;
        rack->end_seq = end;
    }
    rack->flags |= TCP_RACK_SEEN;
}

void tcp_rack_note(struct tcp_rack *rack, const struct tcp_ack_news *news)
{
    if (!news->has_end)
        return;
    if ((rack->flags & TCP_RACK_FACK) == 0 || seq_is_after(news->end, rack->fack))
        rack->fack = news->end;
    rack->flags |= TCP_RACK_FACK;
}

void tcp_rack_widen(struct tcp_rack *rack, uint32_t una, uint32_t snd_nxt)
{
    if ((rack->flags & TCP_RACK_ROUND) != 0 && seq_is_before(una, rack->dsack_round))
        return;
    rack->flags |= TCP_RACK_ROUND;
    rack->dsack_round = snd_nxt;
    if (rack->window_mult < UINT8_MAX)
        rack->window_mult++;
    rack->window_persist = TCP_RACK_PERSIST;
}

void tcp_rack_recovered(struct tcp_rack *rack)
{
    rack->flags &= (uint8_t)~TCP_RACK_ROUND;
    if (rack->window_persist > 0)
        rack->window_persist--;
    if (rack->window_persist == 0)
        rack->window_mult = 0;
}

uint32_t tcp_rack_window_us(const struct tcp_rack *rack, uint32_t srtt_us,
                            enum tcp_rack_evidence evidence)
{
    if ((rack->flags & TCP_RACK_REORDERED) == 0 && evidence == TCP_RACK_PROMPT)
        return 0;
    uint64_t window_us = (uint64_t)(rack->window_mult + 1u) * (rack->min_rtt_us / 4);
    return window_us < srtt_us ? (uint32_t)window_us : srtt_us;
}

/* ---- a connection ---- */

static uint32_t window_of(const struct tcp_hot *hot)
{
    bool is_prompt = (hot->flags & TCP_HOT_RECOVERING) != 0 || hot->sacked_segments >= TCP_DUP_ACKS;
    return tcp_rack_window_us(&hot->rack, hot->srtt_us,
                              is_prompt ? TCP_RACK_PROMPT : TCP_RACK_WAIT);
}

/* Microseconds until the record counts as lost; at most 0 = it does. */
static int64_t wait_us(const struct tcp_rack *rack, const struct tcp_sent *record,
                       uint32_t window_us, uint32_t now_us)
{
    int32_t age_us = (int32_t)(now_us - record->sent_at_us);
    return (int64_t)rack->rtt_us + window_us - age_us;
}

void tcp_rack_detect(struct net *net, struct tcp_hot *hot)
{
    const struct tcp_rack *rack = &hot->rack;
    struct tcp_sent *sents = net->tcp->sents;
    uint32_t window_us = window_of(hot);
    uint32_t now_us = tcp_now_us(net);
    int64_t wait_max_us = 0;
    if ((hot->sender & TCP_SENDER_PROBE_ARMED) == 0)
        hot->rack_at_ns = TCP_NEVER;
    if ((rack->flags & TCP_RACK_SEEN) == 0)
        return;
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = sents[index].next) {
        struct tcp_sent *record = &sents[index];
        if ((record->flags & (TCP_SENT_SACKED | TCP_SENT_LOST)) != 0 ||
            !tcp_rack_is_after(rack->xmit_us, rack->end_seq, record->sent_at_us,
                               tcp_sent_end(record)))
            continue;
        int64_t left_us = wait_us(rack, record, window_us, now_us);
        if (left_us <= 0)
            tcp_sent_lose(hot, record);
        else if (left_us > wait_max_us)
            wait_max_us = left_us;
    }
    if (wait_max_us == 0)
        return;
    hot->sender &= (uint8_t)~TCP_SENDER_PROBE_ARMED;
    hot->rack_at_ns = net->now_ns + (uint64_t)wait_max_us * NS_PER_US;
}

/* 6.3: the first in flight, and all that had the time to be acknowledged. */
void tcp_rack_expired(struct net *net, struct tcp_hot *hot)
{
    struct tcp_sent *sents = net->tcp->sents;
    uint32_t window_us = window_of(hot);
    uint32_t now_us = tcp_now_us(net);
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = sents[index].next)
        if (index == hot->sent_head || wait_us(&hot->rack, &sents[index], window_us, now_us) <= 0)
            tcp_sent_lose(hot, &sents[index]);
}
