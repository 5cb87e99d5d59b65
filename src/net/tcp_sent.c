/* SPDX-License-Identifier: Apache-2.0
 *
 * The scoreboard of what is in flight. hot->sacked and hot->lost are the octets of all records so
 * marked, so that pipe is a subtraction (RFC 6675: in flight, less SACKED, less LOST; what was lost
 * and sent again counts once more). A list has at most 256 records and a segment at most four SACK
 * blocks, which bounds the work an acknowledgement can cause; adjacent SACKED records become one,
 * so that the list is about as long as there are holes and segments behind them.
 *
 * Against a peer without SACK hot->sacked is what duplicate acknowledgements stand for
 * (tcp_ack.c), and no record is ever SACKED. */
#include "tcp.h"

#define BLOCK_SIZE_MAX (UINT32_C(1) << 30) /* the largest window there is */

/* ---- records ---- */

static uint32_t take_record(struct net *net, struct tcp_hot *hot)
{
    struct tcp *tcp = net->tcp;
    if ((hot->sender & TCP_SENDER_OWN_RECORD) == 0) {
        hot->sender |= TCP_SENDER_OWN_RECORD;
        hot->sent_count++;
        return (uint32_t)(hot - tcp->hots);
    }
    if (hot->sent_count >= TCP_SENT_RECORDS_MAX)
        return POOL_NONE;
    uint32_t index = pool_take(&tcp->sent_pool);
    if (index == POOL_NONE) {
        net_count(net, METRIC_TCP_RECORDS_REFUSED);
        return POOL_NONE;
    }
    hot->sent_count++;
    return net->options.hot_max + index;
}

static void give_record(struct net *net, struct tcp_hot *hot, uint32_t index)
{
    hot->sent_count--;
    if (index < net->options.hot_max)
        hot->sender &= (uint8_t)~TCP_SENDER_OWN_RECORD;
    else
        pool_give(&net->tcp->sent_pool, index - net->options.hot_max);
}

static void pop_head(struct net *net, struct tcp_hot *hot)
{
    uint32_t index = hot->sent_head;
    hot->sent_head = net->tcp->sents[index].next;
    if (hot->sent_head == POOL_NONE) {
        hot->sent_tail = POOL_NONE;
        hot->sender &= (uint8_t)~TCP_SENDER_RESENT;
    }
    give_record(net, hot, index);
}

static uint16_t add_segments(uint32_t a, uint32_t b)
{
    return (uint16_t)(a + b < UINT16_MAX ? a + b : UINT16_MAX);
}

/* The record takes in the one after it. */
static void join_next(struct net *net, struct tcp_hot *hot, struct tcp_sent *record)
{
    uint32_t index = record->next;
    const struct tcp_sent *next = &net->tcp->sents[index];
    record->size += next->size;
    record->segments = add_segments(record->segments, next->segments);
    record->flags |= next->flags;
    record->sent_at_us = seq_later(record->sent_at_us, next->sent_at_us);
    record->next = next->next;
    if (hot->sent_tail == index)
        hot->sent_tail = (uint32_t)(record - net->tcp->sents);
    give_record(net, hot, index);
}

/* ---- marks ---- */

static void unmark_sacked(struct tcp_hot *hot, struct tcp_sent *record)
{
    hot->sacked -= record->size;
    hot->sacked_segments -= record->segments;
    record->flags &= (uint8_t)~TCP_SENT_SACKED;
}

static void unmark_lost(struct tcp_hot *hot, struct tcp_sent *record)
{
    if ((record->flags & TCP_SENT_LOST) == 0)
        return;
    hot->lost -= record->size;
    record->flags &= (uint8_t)~TCP_SENT_LOST;
}

void tcp_sent_lose(struct tcp_hot *hot, struct tcp_sent *record)
{
    ASSERT((record->flags & TCP_SENT_SACKED) == 0);
    if ((record->flags & TCP_SENT_LOST) != 0)
        return;
    record->flags |= TCP_SENT_LOST;
    hot->lost += record->size;
    hot->sender |= TCP_SENDER_NEWLY_LOST;
}

void tcp_sent_renege(struct net *net, struct tcp_hot *hot)
{
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = net->tcp->sents[index].next)
        net->tcp->sents[index].flags &= (uint8_t)~TCP_SENT_SACKED;
    hot->sacked = 0;
    hot->sacked_segments = 0;
}

void tcp_sent_lose_all(struct net *net, struct tcp_hot *hot)
{
    tcp_sent_renege(net, hot);
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = net->tcp->sents[index].next)
        tcp_sent_lose(hot, &net->tcp->sents[index]);
    hot->sender &= (uint8_t)~TCP_SENDER_NEWLY_LOST;
}

void tcp_sent_trust_all(struct net *net, struct tcp_hot *hot)
{
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = net->tcp->sents[index].next)
        unmark_lost(hot, &net->tcp->sents[index]);
}

void tcp_sent_lose_large(struct net *net, struct tcp_hot *hot, uint32_t size_max)
{
    struct tcp_sent *sents = net->tcp->sents;
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = sents[index].next)
        if ((sents[index].flags & TCP_SENT_SACKED) == 0 && sents[index].size > size_max)
            tcp_sent_lose(hot, &sents[index]);
    hot->sender &= (uint8_t)~TCP_SENDER_NEWLY_LOST;
}

/* ---- sending ---- */

/* For want of a record the last one stands for the new segment, too. */
static void grow_tail(struct net *net, struct tcp_hot *hot, uint32_t size)
{
    struct tcp_sent *tail = &net->tcp->sents[hot->sent_tail];
    if ((tail->flags & TCP_SENT_SACKED) != 0)
        unmark_sacked(hot, tail);
    if ((tail->flags & TCP_SENT_LOST) != 0)
        hot->lost += size;
    tail->size += size;
    tail->segments = add_segments(tail->segments, 1);
    tail->sent_at_us = tcp_now_us(net);
}

void tcp_sent_add(struct net *net, struct tcp_hot *hot, uint32_t seq, uint32_t size)
{
    uint32_t index = take_record(net, hot);
    if (index == POOL_NONE) {
        grow_tail(net, hot, size);
        return;
    }
    struct tcp_sent *sents = net->tcp->sents;
    sents[index] = (struct tcp_sent){
        .seq = seq,
        .size = size,
        .sent_at_us = tcp_now_us(net),
        .next = POOL_NONE,
        .segments = 1,
    };
    if (hot->sent_tail == POOL_NONE)
        hot->sent_head = index;
    else
        sents[hot->sent_tail].next = index;
    hot->sent_tail = index;
}

uint32_t tcp_sent_find_lost(const struct net *net, uint32_t index)
{
    const struct tcp_sent *sents = net->tcp->sents;
    while (index != POOL_NONE && (sents[index].flags & TCP_SENT_LOST) == 0)
        index = sents[index].next;
    return index;
}

void tcp_sent_join_lost(struct net *net, struct tcp_hot *hot, uint32_t index, uint32_t size)
{
    struct tcp_sent *record = &net->tcp->sents[index];
    while (record->size < size && record->next != POOL_NONE &&
           (net->tcp->sents[record->next].flags & TCP_SENT_LOST) != 0)
        join_next(net, hot, record);
}

bool tcp_sent_cut(struct net *net, struct tcp_hot *hot, uint32_t index, uint32_t size)
{
    struct tcp_sent *record = &net->tcp->sents[index];
    ASSERT(size > 0);
    ASSERT(size < record->size);
    ASSERT((record->flags & TCP_SENT_SACKED) == 0);
    uint32_t rest = take_record(net, hot);
    if (rest == POOL_NONE)
        return false;
    struct tcp_sent *second = &net->tcp->sents[rest];
    uint32_t first_segments = (uint32_t)((uint64_t)record->segments * size / record->size);
    if (first_segments == 0)
        first_segments = 1;
    *second = *record;
    second->seq += size;
    second->size -= size;
    second->segments = 1;
    if (record->segments > first_segments)
        second->segments = (uint16_t)(record->segments - first_segments);
    record->size = size;
    record->segments = (uint16_t)first_segments;
    record->next = rest;
    if (hot->sent_tail == index)
        hot->sent_tail = rest;
    return true;
}

void tcp_sent_again(struct net *net, struct tcp_hot *hot, uint32_t index, uint8_t part)
{
    struct tcp_sent *record = &net->tcp->sents[index];
    unmark_lost(hot, record);
    record->flags = (uint8_t)(record->flags & ~TCP_SENT_PART) | TCP_SENT_RESENT | part;
    record->sent_at_us = tcp_now_us(net);
    hot->sender |= TCP_SENDER_RESENT;
}

void tcp_sent_drop(struct net *net, struct tcp_hot *hot)
{
    while (hot->sent_head != POOL_NONE)
        pop_head(net, hot);
    hot->sacked = 0;
    hot->sacked_segments = 0;
    hot->lost = 0;
}

/* ---- cumulative acknowledgement ---- */

static void take_sample(const struct tcp_sent *record, struct tcp_ack_news *news)
{
    uint32_t age_us = news->now_us - record->sent_at_us;
    if (news->has_sample && age_us <= news->sample_us)
        return;
    news->has_sample = true;
    news->sample_us = age_us;
}

/* The path carries segments of the size we send: their loss is loss. */
static void note_full(const struct net *net, struct tcp_hot *hot, const struct tcp_sent *record)
{
    if ((hot->sender & TCP_SENDER_FULL_PASSED) != 0)
        return;
    uint32_t room = tcp_segment_room(&net->rows[hot->conn]);
    if (record->size >= record->segments * room)
        hot->sender |= TCP_SENDER_FULL_PASSED;
}

/* What was SACKED was delivered then. */
static void deliver_head(struct tcp_hot *hot, struct tcp_sent *record, struct tcp_ack_news *news)
{
    if (IS_UNLIKELY(record->flags != 0)) {
        unmark_lost(hot, record);
        if ((record->flags & TCP_SENT_SACKED) != 0) {
            unmark_sacked(hot, record);
            return;
        }
    }
    news->delivered += record->size;
    if ((record->flags & TCP_SENT_RESENT) == 0) {
        take_sample(record, news);
    } else {
        news->is_ambiguous = true;
        if (tcp_news_is_original(news, record))
            news->is_spurious = true;
    }
    tcp_rack_delivered(&hot->rack, record, news);
}

/* The first octets of a record are acknowledged, the rest is not. */
static void cut_head(struct tcp_hot *hot, struct tcp_sent *record, uint32_t covered,
                     struct tcp_ack_news *news)
{
    if ((record->flags & TCP_SENT_SACKED) != 0)
        hot->sacked -= covered;
    else
        news->delivered += covered;
    if ((record->flags & TCP_SENT_LOST) != 0)
        hot->lost -= covered;
    if ((record->flags & TCP_SENT_RESENT) != 0)
        news->is_ambiguous = true;
    record->seq += covered;
    record->size -= covered;
    if ((record->flags & TCP_SENT_PART) != 0) { /* the rest was not sent again */
        record->flags &= (uint8_t)~TCP_SENT_PART;
        if ((record->flags & TCP_SENT_SACKED) == 0)
            tcp_sent_lose(hot, record);
    }
}

void tcp_sent_acked(struct net *net, struct tcp_hot *hot, struct tcp_ack_news *news)
{
    while (hot->sent_head != POOL_NONE) {
        struct tcp_sent *record = &net->tcp->sents[hot->sent_head];
        uint32_t covered = news->ack - record->seq;
        if (covered < record->size) {
            if (covered != 0)
                cut_head(hot, record, covered, news);
            return;
        }
        note_full(net, hot, record);
        deliver_head(hot, record, news);
        pop_head(net, hot);
    }
}

/* ---- selective acknowledgement ---- */

static void mark_sacked(struct tcp_hot *hot, struct tcp_sent *record, struct tcp_ack_news *news)
{
    unmark_lost(hot, record);
    record->flags |= TCP_SENT_SACKED;
    hot->sacked += record->size;
    hot->sacked_segments += record->segments;
    news->delivered += record->size;
    if ((record->flags & TCP_SENT_RESENT) == 0)
        take_sample(record, news);
    tcp_rack_delivered(&hot->rack, record, news);
}

/* A block that covers part of a record cuts it; where there is no record for that, the part is
 * not believed. */
static bool mark_block(struct net *net, struct tcp_hot *hot, const struct tcp_sack_block *block,
                       struct tcp_ack_news *news)
{
    struct tcp_sent *sents = net->tcp->sents;
    bool is_new = false;
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = sents[index].next) {
        struct tcp_sent *record = &sents[index];
        uint32_t end = tcp_sent_end(record);
        if (!seq_is_before(record->seq, block->end))
            break;
        if ((record->flags & TCP_SENT_SACKED) != 0 || !seq_is_after(end, block->start))
            continue;
        if (seq_is_before(record->seq, block->start)) {
            (void)tcp_sent_cut(net, hot, index, block->start - record->seq);
            continue; /* with the rest, if it was cut */
        }
        if (seq_is_after(end, block->end) &&
            !tcp_sent_cut(net, hot, index, block->end - record->seq))
            break;
        note_full(net, hot, record);
        mark_sacked(hot, record, news);
        is_new = true;
    }
    return is_new;
}

static void join_sacked(struct net *net, struct tcp_hot *hot)
{
    struct tcp_sent *sents = net->tcp->sents;
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = sents[index].next) {
        struct tcp_sent *record = &sents[index];
        while ((record->flags & TCP_SENT_SACKED) != 0 && record->next != POOL_NONE &&
               (sents[record->next].flags & TCP_SENT_SACKED) != 0 &&
               record->segments + sents[record->next].segments < UINT16_MAX)
            join_next(net, hot, record);
    }
}

enum verdict { BLOCK_NEWS, BLOCK_OLD, BLOCK_BAD };

/* Whether a block lies ahead of una and within what was sent; one that ends at una or before is
 * old: its octets were acknowledged since. Sizes are compared as distances, so no lie wraps. */
static enum verdict judge_block(const struct tcp_sack_block *block, uint32_t una, uint32_t flight)
{
    uint32_t from = block->start - una;
    uint32_t size = block->end - block->start;
    if (size == 0 || size > BLOCK_SIZE_MAX)
        return BLOCK_BAD;
    if (una - block->end <= BLOCK_SIZE_MAX)
        return BLOCK_OLD;
    return from != 0 && from < flight && size <= flight - from ? BLOCK_NEWS : BLOCK_BAD;
}

/* RFC 2883 4: the first block may tell of a duplicate: octets below the acknowledgement, or within
 * the second block. */
static bool is_duplicate_block(const struct tcp_sack_block *blocks, uint32_t count, uint32_t ack)
{
    uint32_t size = blocks[0].end - blocks[0].start;
    if (size == 0 || size > BLOCK_SIZE_MAX)
        return false;
    if (ack - blocks[0].end <= BLOCK_SIZE_MAX)
        return true;
    return count > 1 && !seq_is_before(blocks[0].start, blocks[1].start) &&
           !seq_is_after(blocks[0].end, blocks[1].end);
}

void tcp_sent_sacked(struct net *net, struct tcp_hot *hot, const struct tcp_sack_block *blocks,
                     uint32_t count, struct tcp_ack_news *news)
{
    uint32_t una = seq_later(hot->snd_una, news->ack);
    uint32_t flight = net->rows[hot->conn].snd_nxt - una;
    bool is_new = false;
    uint32_t i = 0;
    if (count != 0 && is_duplicate_block(blocks, count, news->ack)) {
        net_count(net, METRIC_TCP_DSACKS);
        news->has_dsack = true;
        news->dsack = blocks[i++];
    }
    for (; i < count && i < TCP_SACKS_MAX; i++) {
        enum verdict verdict = judge_block(&blocks[i], una, flight);
        if (verdict == BLOCK_NEWS)
            is_new |= mark_block(net, hot, &blocks[i], news);
        else if (verdict == BLOCK_BAD)
            net_count(net, METRIC_TCP_SACKS_BAD);
    }
    if (is_new)
        join_sacked(net, hot);
}

/* ---- audit ---- */

struct tally {
    uint32_t sacked;
    uint32_t sacked_segments;
    uint32_t lost;
    uint32_t count;
    uint32_t end;
};

static bool add_record(const struct net *net, const struct tcp_hot *hot, uint32_t index,
                       struct tally *tally)
{
    const struct tcp_sent *record = &net->tcp->sents[index];
    uint32_t own = (uint32_t)(hot - net->tcp->hots);
    bool is_live = index < net->options.hot_max
                       ? index == own && (hot->sender & TCP_SENDER_OWN_RECORD) != 0
                       : pool_is_live(&net->tcp->sent_pool, index - net->options.hot_max);
    bool is_sacked = (record->flags & TCP_SENT_SACKED) != 0;
    bool is_lost = (record->flags & TCP_SENT_LOST) != 0;
    if (!is_live || record->seq != tally->end || record->size == 0 || record->segments == 0 ||
        (is_sacked && is_lost) || (record->next == POOL_NONE) != (index == hot->sent_tail))
        return false;
    tally->end += record->size;
    tally->count++;
    if (is_sacked)
        tally->sacked += record->size;
    if (is_sacked)
        tally->sacked_segments += record->segments;
    if (is_lost)
        tally->lost += record->size;
    return tally->count <= TCP_SENT_RECORDS_MAX;
}

bool tcp_sent_is_valid(const struct net *net, const struct tcp_hot *hot)
{
    const struct tcp_row *row = &net->rows[hot->conn];
    struct tally tally = {.end = hot->snd_una};
    for (uint32_t index = hot->sent_head; index != POOL_NONE; index = net->tcp->sents[index].next)
        if (!add_record(net, hot, index, &tally))
            return false;
    if (tally.end != row->snd_nxt || tally.count != hot->sent_count || tally.lost != hot->lost)
        return false;
    if ((row->flags & TCP_ROW_SACK) == 0)
        return tally.sacked == 0 && hot->sacked + hot->lost <= row->snd_nxt - hot->snd_una;
    return tally.sacked == hot->sacked && tally.sacked_segments == hot->sacked_segments;
}
