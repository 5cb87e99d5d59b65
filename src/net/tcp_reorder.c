/* SPDX-License-Identifier: Apache-2.0
 *
 * Octets that arrive ahead of a gap (RFC 9293 3.10.7.4 step 7). They are copied into heap blocks,
 * so no packet waits; a stretch that touches a range grows it, at either end, so the number of
 * ranges is the number of gaps, at most TCP_RANGES_MAX a connection (CVE-2018-5390); the receive
 * window bounds a connection's octets and reorder_bytes_max a worker's. What a limit refuses is
 * dropped: the peer sends it again. Where stretches overlap, the octets that came first stay.
 *
 * What the peer is told of it by SACK stands here too. A duplicate is reported by the ACK that is
 * sent at once for it, so one place a worker remembers it, and a parked connection needs no
 * extension to say so. */
#include "tcp.h"

#define BLOCK_BYTES_MIN 2048u

static uint32_t range_end(const struct tcp_range *range)
{
    return range->seq + range->size;
}

static uint8_t *start_of(const struct tcp_range *range)
{
    return range->octets + range->front;
}

static struct bytes octets_of(const struct tcp_range *range)
{
    return bytes_of(start_of(range), range->size);
}

/* Room for so many octets more before and after what is there; false when a limit refuses. A block
 * that moves gets as much again, on both sides, so that octets move a constant number of times
 * however small the pieces and whatever their order. */
static bool make_room(struct net *net, struct tcp_range *range, uint32_t before, uint32_t after)
{
    if (before <= range->front && after <= range->room - range->front - range->size)
        return true;
    uint32_t needed = before + range->size + after;
    uint32_t room = range->size != 0 ? 2 * needed : needed;
    if (room < BLOCK_BYTES_MIN)
        room = BLOCK_BYTES_MIN;
    uint64_t others = net->tcp->reorder_bytes - range->room;
    if (others + room > net->options.reorder_bytes_max)
        return false;
    uint8_t *octets = heap_take(net->options.heap, room);
    if (octets == NULL)
        return false;
    uint32_t front = range->size != 0 ? before + (room - needed) / 2 : before;
    if (range->size != 0)
        memcpy(octets + front, start_of(range), range->size);
    heap_give(net->options.heap, range->octets);
    net->tcp->reorder_bytes = others + room;
    range->octets = octets;
    range->room = room;
    range->front = front;
    return true;
}

static void free_range(struct net *net, uint32_t index)
{
    struct tcp_range *range = &net->tcp->ranges[index];
    net->tcp->reorder_bytes -= range->room;
    heap_give(net->options.heap, range->octets);
    pool_give(&net->tcp->range_pool, index);
}

static bool append_octets(struct net *net, struct tcp_range *range, struct bytes octets)
{
    if (!make_room(net, range, 0, (uint32_t)octets.size))
        return false;
    memcpy(start_of(range) + range->size, octets.at, octets.size);
    range->size += (uint32_t)octets.size;
    return true;
}

static bool prepend_octets(struct net *net, struct tcp_range *range, struct bytes octets)
{
    uint32_t size = (uint32_t)octets.size;
    if (!make_room(net, range, size, 0))
        return false;
    range->front -= size;
    range->seq -= size;
    range->size += size;
    memcpy(start_of(range), octets.at, size);
    return true;
}

/* One range of two that touch: the smaller is copied to the larger. Where no room is to be had the
 * follower is dropped, and the peer sends its octets again. */
static void join_follower(struct net *net, struct tcp_hot *hot, struct tcp_range *range)
{
    uint32_t index = range->next;
    struct tcp_range *follower = &net->tcp->ranges[index];
    ASSERT(follower->seq == range_end(range));
    if (follower->size <= range->size) {
        (void)append_octets(net, range, octets_of(follower));
    } else if (prepend_octets(net, follower, octets_of(range))) {
        struct tcp_range joined = *follower;
        joined.next = index;
        joined.changed_at = range->changed_at;
        uint32_t after = follower->next;
        *follower = *range;
        follower->next = after;
        *range = joined;
    }
    range->next = follower->next;
    hot->range_count--;
    free_range(net, index);
}

/* Octets that begin where the range ends: the parts of them that are not held yet are added, and
 * the ranges they reach are joined. */
static bool extend(struct net *net, struct tcp_hot *hot, struct tcp_range *range,
                   struct bytes octets)
{
    while (octets.size != 0) {
        uint32_t end = range_end(range);
        struct bytes part = octets;
        bool is_reached =
            range->next != POOL_NONE &&
            !seq_is_after(net->tcp->ranges[range->next].seq, end + (uint32_t)octets.size);
        if (is_reached)
            part = bytes_slice(octets, 0, net->tcp->ranges[range->next].seq - end);
        if (!append_octets(net, range, part))
            return false;
        if (is_reached)
            join_follower(net, hot, range);
        octets = bytes_from(octets, range_end(range) - end);
    }
    return true;
}

/* Where octets that came lie in what is held already, they are a duplicate. */
static void note_overlap(struct net *net, const struct tcp_hot *hot, const struct tcp_range *range,
                         uint32_t seq, uint32_t end)
{
    uint32_t first = seq_later(range->seq, seq);
    uint32_t last = seq_earlier(range_end(range), end);
    if (seq_is_before(first, last))
        tcp_duplicate_came(net, hot->conn, first, last);
}

/* The last range that starts at or before seq, or POOL_NONE. */
static uint32_t find_before(const struct tcp *tcp, const struct tcp_hot *hot, uint32_t seq)
{
    uint32_t before = POOL_NONE;
    for (uint32_t index = hot->range_head; index != POOL_NONE; index = tcp->ranges[index].next) {
        if (seq_is_after(tcp->ranges[index].seq, seq))
            break;
        before = index;
    }
    return before;
}

/* Octets that touch nothing. */
static bool insert_range(struct net *net, struct tcp_hot *hot, uint32_t before, uint32_t seq,
                         struct bytes octets)
{
    struct tcp *tcp = net->tcp;
    if (hot->range_count == TCP_RANGES_MAX)
        return false;
    uint32_t index = pool_take(&tcp->range_pool);
    if (index == POOL_NONE)
        return false;
    struct tcp_range *range = &tcp->ranges[index];
    *range = (struct tcp_range){.seq = seq};
    if (!append_octets(net, range, octets)) {
        pool_give(&tcp->range_pool, index);
        return false;
    }
    uint32_t *link = before == POOL_NONE ? &hot->range_head : &tcp->ranges[before].next;
    range->next = *link;
    *link = index;
    hot->range_count++;
    range->changed_at = ++tcp->range_clock;
    return true;
}

bool tcp_reorder_add(struct net *net, struct tcp_hot *hot, uint32_t seq, struct bytes octets)
{
    if (octets.size == 0)
        return true;
    struct tcp *tcp = net->tcp;
    uint32_t end = seq + (uint32_t)octets.size;
    uint32_t before = find_before(tcp, hot, seq);
    uint32_t after = before == POOL_NONE ? hot->range_head : tcp->ranges[before].next;
    if (after != POOL_NONE)
        note_overlap(net, hot, &tcp->ranges[after], seq, end);
    struct tcp_range *range;
    if (before != POOL_NONE && !seq_is_before(range_end(&tcp->ranges[before]), seq)) {
        range = &tcp->ranges[before];
        note_overlap(net, hot, range, seq, end);
    } else if (after != POOL_NONE && !seq_is_after(tcp->ranges[after].seq, end)) {
        range = &tcp->ranges[after];
        if (!prepend_octets(net, range, bytes_slice(octets, 0, range->seq - seq)))
            return false;
    } else {
        return insert_range(net, hot, before, seq, octets);
    }
    /* Of what came nothing may be new: RFC 2883 4 names the range around a duplicate next. */
    range->changed_at = ++tcp->range_clock;
    return extend(net, hot, range, bytes_from(octets, range_end(range) - seq));
}

void tcp_reorder_take(struct net *net, uint32_t conn, struct net_events *events)
{
    struct tcp *tcp = net->tcp;
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot == NULL)
        return;
    while (hot->range_head != POOL_NONE) {
        uint32_t index = hot->range_head;
        struct tcp_range *range = &tcp->ranges[index];
        if (seq_is_after(range->seq, row->rcv_nxt))
            return;
        if (seq_is_before(range->seq, row->rcv_nxt) && tcp->dsack_conn != conn)
            tcp_duplicate_came(net, conn, range->seq, seq_earlier(range_end(range), row->rcv_nxt));
        struct bytes octets = bytes_from(octets_of(range), row->rcv_nxt - range->seq);
        hot->range_head = range->next;
        hot->range_count--;
        range->next = tcp->spent_ranges; /* the view is good until net_release() */
        tcp->spent_ranges = index;
        if (octets.size == 0)
            continue;
        row->rcv_nxt += (uint32_t)octets.size;
        net_event_add(events, (struct net_event){NET_DATA, conn, octets, NET_CLOSE_DONE});
    }
}

/* ---- what the peer is told ---- */

void tcp_duplicate_came(struct net *net, uint32_t conn, uint32_t seq, uint32_t end)
{
    struct tcp *tcp = net->tcp;
    if ((net->rows[conn].flags & TCP_ROW_SACK) == 0)
        return;
    tcp->dsack_conn = conn;
    tcp->dsack = (struct tcp_sack_block){seq, end};
    net_count(net, METRIC_TCP_DUPLICATES);
}

/* Puts a range among the newest, which stand in order. */
static uint32_t rank(const struct tcp_range *ranges, uint32_t index, uint32_t *newest,
                     uint32_t count, uint32_t max)
{
    uint32_t place = count;
    while (place > 0 &&
           seq_is_after(ranges[index].changed_at, ranges[newest[place - 1]].changed_at))
        place--;
    if (place == max)
        return count;
    uint32_t last = count < max ? count : max - 1;
    for (uint32_t i = last; i > place; i--)
        newest[i] = newest[i - 1];
    newest[place] = index;
    return last + 1;
}

uint32_t tcp_sack_blocks(struct net *net, uint32_t conn, struct tcp_sack_block *out, uint32_t max)
{
    struct tcp *tcp = net->tcp;
    uint32_t count = 0;
    if (tcp->dsack_conn == conn && max != 0) {
        tcp->dsack_conn = POOL_NONE;
        out[count++] = tcp->dsack;
    }
    const struct tcp_hot *hot = tcp_hot_of(net, &net->rows[conn]);
    if (hot == NULL || count == max)
        return count;
    uint32_t newest[TCP_SACKS_MAX];
    uint32_t found = 0;
    for (uint32_t index = hot->range_head; index != POOL_NONE; index = tcp->ranges[index].next)
        found = rank(tcp->ranges, index, newest, found, max - count);
    for (uint32_t i = 0; i < found; i++) {
        const struct tcp_range *range = &tcp->ranges[newest[i]];
        out[count++] = (struct tcp_sack_block){range->seq, range_end(range)};
    }
    return count;
}

void tcp_reorder_drop(struct net *net, struct tcp_hot *hot)
{
    while (hot->range_head != POOL_NONE) {
        uint32_t index = hot->range_head;
        hot->range_head = net->tcp->ranges[index].next;
        free_range(net, index);
    }
    hot->range_count = 0;
    hot->flags &= (uint8_t)~TCP_HOT_PEER_FIN;
}

void tcp_reorder_release(struct net *net)
{
    struct tcp *tcp = net->tcp;
    while (tcp->spent_ranges != POOL_NONE) {
        uint32_t index = tcp->spent_ranges;
        tcp->spent_ranges = tcp->ranges[index].next;
        free_range(net, index);
    }
}
