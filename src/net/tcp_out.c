/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending. What goes next is decided by the scoreboard (tcp_sent.h):
 *
 *     snd_una                       row.snd_nxt                snd_end (+1 with FIN)
 *        |--- in flight: records -----|------ never sent --------|
 *         first what is LOST, then              new octets
 *         while pipe has room below cwnd        and within the peer's window
 *
 * row.snd_nxt never moves back. A packet is built from references at each transmission
 * (segment_fill), so nothing waits in one. Every segment carries the newest acknowledgement. Nagle
 * is off. RFC 9293 3.8, RFC 7323, RFC 6675 for pipe. */
#include "tcp.h"

/* ---- references ---- */

/* The reference that covers seq, at or after the hint where that serves. */
static uint32_t find_reference(struct net *net, const struct tcp_hot *hot, uint32_t seq)
{
    const struct tcp_reference *references = net->tcp->references;
    uint32_t index = hot->reference_at;
    if (index == POOL_NONE || seq_is_before(seq, references[index].seq_start))
        index = hot->reference_head;
    while (index != POOL_NONE) {
        const struct tcp_reference *reference = &references[index];
        if (seq_is_within(seq, reference->seq_start, reference->size))
            return index;
        index = reference->next;
    }
    return POOL_NONE;
}

void segment_fill(struct net *net, uint32_t conn, uint32_t seq, uint8_t *into, uint32_t size)
{
    struct tcp_hot *hot = tcp_hot_of(net, &net->rows[conn]);
    ASSERT(hot != NULL);
    uint32_t index = find_reference(net, hot, seq);
    while (size > 0) {
        ASSERT(index != POOL_NONE);
        const struct tcp_reference *reference = &net->tcp->references[index];
        uint32_t skip = seq - reference->seq_start;
        uint32_t part = reference->size - skip < size ? reference->size - skip : size;
        struct bytes octets = blob_bytes(net->options.blobs, reference->blob);
        struct bytes slice = bytes_slice(octets, reference->offset + skip, part);
        memcpy(into, slice.at, slice.size);
        into += part;
        seq += part;
        size -= part;
        hot->reference_at = index;
        index = reference->next;
    }
}

/* The worker that shares a blob keeps a reference of its own for as long as it counts, so the last
 * one of a shared blob is never dropped here. */
static void put_reference(struct net *net, struct tcp_hot *hot)
{
    struct tcp *tcp = net->tcp;
    uint32_t index = hot->reference_head;
    void *owner = blob_put(net->options.blobs, tcp->references[index].blob);
    ASSERT(owner == NULL);
    hot->reference_head = tcp->references[index].next;
    if (hot->reference_at == index)
        hot->reference_at = hot->reference_head;
    if (hot->reference_head == POOL_NONE)
        hot->reference_tail = POOL_NONE;
    pool_give(&tcp->reference_pool, index);
}

void tcp_references_acked(struct net *net, uint32_t conn, uint32_t ack)
{
    struct tcp_hot *hot = tcp_hot_of(net, &net->rows[conn]);
    struct blob_table *blobs = net->options.blobs;
    while (hot->reference_head != POOL_NONE) {
        const struct tcp_reference *head = &net->tcp->references[hot->reference_head];
        if (seq_is_after(head->seq_start + head->size, ack))
            return;
        if (blob_row(blobs, head->blob)->is_shared)
            blob_count_acked(blobs, head->blob);
        put_reference(net, hot);
    }
}

void tcp_references_lost(struct net *net, uint32_t conn)
{
    struct tcp_hot *hot = tcp_hot_of(net, &net->rows[conn]);
    struct blob_table *blobs = net->options.blobs;
    while (hot->reference_head != POOL_NONE) {
        uint32_t blob = net->tcp->references[hot->reference_head].blob;
        if (blob_row(blobs, blob)->is_shared)
            blob_count_lost(blobs, blob);
        put_reference(net, hot);
    }
}

/* ---- one segment ---- */

uint8_t *tcp_header_write(uint8_t *at, const struct tcp_key *key, uint32_t seq, uint32_t ack,
                          uint8_t flags)
{
    struct tcp_header header = {
        .source_port = be16_of(key->local_port),
        .destination_port = be16_of(key->remote_port),
        .seq = be32_of(seq),
        .ack = be32_of(ack),
        .offset = (uint8_t)(sizeof header / 4 << 4),
        .flags = flags,
    };
    memcpy(at, &header, sizeof header);
    return at + sizeof header;
}

/* Sequence numbers of a segment to be sent, and how it is flagged. */
struct tcp_stretch {
    uint32_t seq;
    uint32_t size; /* octets */
    uint8_t flags;
};

static uint8_t *write_sack(struct net *net, uint32_t conn, uint8_t *at, uint32_t room)
{
    struct tcp_sack_block blocks[TCP_SACKS_MAX];
    uint32_t count = tcp_sack_blocks(net, conn, blocks, tcp_options_sack_room(room));
    return at + tcp_options_write_sack(at, blocks, count);
}

static bool has_sack_to_say(const struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    return (row->flags & TCP_ROW_SACK) != 0 &&
           (net->tcp->dsack_conn == conn || (hot != NULL && hot->range_head != POOL_NONE));
}

/* Header and options of an open row's segment of `size` octets; returns where they go. Promises the
 * receive window: its right edge is rcv_nxt plus a constant, so it only moves right. SACK blocks
 * take what room the octets leave: a full segment goes without. */
static uint8_t *write_open_header(struct net *net, uint32_t conn, uint8_t *at,
                                  const struct tcp_stretch *stretch)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_key key = tcp_row_key(row);
    uint16_t window = tcp_receive_window(net->tcp, row);
    struct tcp_header *header = (struct tcp_header *)(void *)at;
    uint8_t flags = stretch->flags;
    if ((row->flags & TCP_ROW_ECN_ECHO) != 0)
        flags |= TCP_ECE;
    uint8_t *end = tcp_header_write(at, &key, stretch->seq, row->rcv_nxt, flags);
    header->window = be16_of(window);
    row->rcv_adv = row->rcv_nxt + ((uint32_t)window << row->rcv_scale);
    if ((row->flags & TCP_ROW_TIMESTAMPS) != 0) {
        tcp_options_write_timestamps(end, tcp_timestamp(net, &key), row->ts_recent);
        end += TCP_TIMESTAMPS_SIZE;
    }
    if (IS_UNLIKELY(has_sack_to_say(net, conn))) {
        uint32_t space = TCP_OPTIONS_SIZE_MAX - (uint32_t)(end - at - (ptrdiff_t)sizeof *header);
        uint32_t left = tcp_segment_room(row) - stretch->size;
        end = write_sack(net, conn, end, left < space ? left : space);
    }
    header->offset = (uint8_t)((end - at) / 4 << 4);
    return end;
}

void tcp_transmit_ack_at(struct net *net, uint32_t conn, uint32_t seq)
{
    struct tcp_row *row = &net->rows[conn];
    struct packet packet;
    uint8_t *at = net_packet_begin(net, row, &packet);
    if (at == NULL) {
        net->tcp->dsack_conn = POOL_NONE; /* this was the ACK to report it */
        return;
    }
    struct tcp_stretch stretch = {.seq = seq, .flags = TCP_ACK};
    uint8_t *end = write_open_header(net, conn, at, &stretch);
    net_packet_send(net, &packet, (uint32_t)(end - at));
    row->flags &= (uint8_t)~TCP_ROW_ACK_OWED;
}

void tcp_transmit_ack(struct net *net, uint32_t conn)
{
    tcp_transmit_ack_at(net, conn, net->rows[conn].snd_nxt);
}

void tcp_transmit_reset(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    struct packet packet;
    uint8_t *at = net_packet_begin(net, row, &packet);
    if (at == NULL)
        return;
    struct tcp_key key = tcp_row_key(row);
    uint8_t *end = tcp_header_write(at, &key, row->snd_nxt, row->rcv_nxt, TCP_RST | TCP_ACK);
    net_packet_send(net, &packet, (uint32_t)(end - at));
    net_count(net, METRIC_TCP_RESETS_SENT);
}

void tcp_challenge(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    uint16_t now = (uint16_t)tcp_quarter_seconds(net);
    if ((uint16_t)(now - row->challenge_at) < TCP_CHALLENGE_QUARTERS)
        return;
    if (!tcp_pressure_challenges(net))
        return;
    row->challenge_at = now;
    net_count(net, METRIC_TCP_CHALLENGE_ACKS);
    tcp_transmit_ack(net, conn);
}

void tcp_owe_ack(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    if ((row->flags & TCP_ROW_ACK_OWED) != 0)
        return;
    if (net->tcp->owed_count == NET_HELD_MAX) {
        tcp_transmit_ack(net, conn);
        return;
    }
    row->flags |= TCP_ROW_ACK_OWED;
    net->tcp->owed[net->tcp->owed_count++] = conn;
}

/* Bookkeeping after [seq, seq + size) left. */
static void note_sent(struct net *net, uint32_t conn, uint32_t seq, uint32_t size)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    row->flags &= (uint8_t)~TCP_ROW_ACK_OWED;
    hot->quiet_at_ns = net->now_ns;
    hot->refusals = 0;
    tcp_congestion_sent(hot, size);
    if (row->snd_nxt == hot->snd_una)
        hot->progress_at_ns = net->now_ns; /* the first in flight starts the user timeout */
    if (!seq_is_before(seq, row->snd_nxt))
        return;
    net_count(net, METRIC_TCP_RETRANSMITS);
    trace_add(net->options.trace, net->now_ns, net_handle(net, conn), TRACE_TCP_RETRANSMIT,
              seq - hot->snd_una, hot->tries);
}

/* The FIN has a sequence number like an octet: it waits for room in the window (RFC 9293 3.4), but
 * for one that left before, and for a probe. */
static bool ends_with_fin(const struct tcp_row *row, const struct tcp_hot *hot, uint32_t end)
{
    if (end != hot->snd_end || (hot->flags & TCP_HOT_FIN_QUEUED) == 0)
        return false;
    return seq_is_after(row->snd_nxt, end) || (hot->flags & TCP_HOT_PERSISTING) != 0 ||
           end - hot->snd_una < tcp_send_window(row);
}

/* RFC 3168 6.1.5, 6.1.6: only octets that leave for the first time, and no probes, may be marked on
 * the way; 6.1.2: the first of them after a reduction says so. */
static void set_ecn(const struct tcp_row *row, struct tcp_hot *hot, struct packet *packet,
                    struct tcp_stretch *stretch)
{
    if (seq_is_before(stretch->seq, row->snd_nxt) || (hot->flags & TCP_HOT_PERSISTING) != 0)
        return;
    net_packet_set_capable(packet);
    if ((hot->flags & TCP_HOT_CWR) == 0)
        return;
    stretch->flags |= TCP_CWR;
    hot->flags &= (uint8_t)~TCP_HOT_CWR;
}

bool tcp_transmit(struct net *net, uint32_t conn, uint32_t seq, uint32_t size)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    ASSERT(hot != NULL);
    ASSERT(size <= tcp_segment_room(row));
    struct packet packet;
    uint8_t *at = net_packet_begin(net, row, &packet);
    if (at == NULL)
        return false;
    bool has_fin = ends_with_fin(row, hot, seq + size);
    struct tcp_stretch stretch = {.seq = seq, .size = size, .flags = TCP_ACK};
    if (seq + size == hot->snd_end && size != 0)
        stretch.flags |= TCP_PSH;
    if (has_fin)
        stretch.flags |= TCP_FIN;
    if ((row->flags & TCP_ROW_ECN) != 0 && size != 0)
        set_ecn(row, hot, &packet, &stretch);
    uint8_t *end = write_open_header(net, conn, at, &stretch);
    segment_fill(net, conn, seq, end, size);
    net_packet_send(net, &packet, (uint32_t)(end - at) + size);
    note_sent(net, conn, seq, size + has_fin);
    return true;
}

bool tcp_transmit_new(struct net *net, uint32_t conn, uint32_t size)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    uint32_t seq = row->snd_nxt;
    if (!tcp_transmit(net, conn, seq, size))
        return false;
    size += ends_with_fin(row, hot, seq + size);
    tcp_sent_add(net, hot, seq, size);
    row->snd_nxt = seq + size;
    return true;
}

/* How many new octets fill up the last segment in flight when it is sent again: those of a window
 * probe go with what the window now takes. */
static uint32_t new_behind(const struct tcp_row *row, const struct tcp_hot *hot, uint32_t seq,
                           uint32_t size)
{
    uint32_t end = seq + size;
    if (end != row->snd_nxt || seq_is_after(end, hot->snd_end))
        return 0;
    uint32_t limit = hot->snd_una + tcp_send_window(row);
    uint32_t window = seq_is_after(limit, end) ? limit - end : 0;
    uint32_t more = hot->snd_end - end;
    uint32_t room = tcp_segment_room(row) - size;
    more = more < window ? more : window;
    return more < room ? more : room;
}

bool tcp_transmit_again(struct net *net, uint32_t conn, uint32_t index)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    struct tcp_sent *record = &net->tcp->sents[index];
    uint32_t room = tcp_segment_room(row);
    bool is_lost = (record->flags & TCP_SENT_LOST) != 0;
    uint8_t part = 0;
    if (is_lost)
        tcp_sent_join_lost(net, hot, index, room);
    uint32_t size = seq_earlier(tcp_sent_end(record), hot->snd_end) - record->seq;
    if (size > room) {
        part = tcp_sent_cut(net, hot, index, room) ? 0 : TCP_SENT_PART;
        size = room;
    } else if (is_lost) {
        size += new_behind(row, hot, record->seq, size);
    }
    if (!tcp_transmit(net, conn, record->seq, size))
        return false;
    tcp_sent_again(net, hot, index, part);
    uint32_t end = record->seq + size + ends_with_fin(row, hot, record->seq + size);
    if (seq_is_after(end, row->snd_nxt)) {
        record->size = end - record->seq;
        row->snd_nxt = end;
    }
    return true;
}

/* ---- as much as windows allow ---- */

uint64_t tcp_refused_retry_ns(struct tcp_hot *hot)
{
    uint32_t doublings = hot->refusals;
    if (doublings < TCP_REFUSED_DOUBLINGS_MAX)
        hot->refusals++;
    return TCP_REFUSED_RETRY_NS << doublings;
}

static void arm_resend(struct net *net, struct tcp_hot *hot, uint64_t after_ns)
{
    if (hot->resend_at_ns == TCP_NEVER)
        hot->resend_at_ns = net->now_ns + after_ns;
}

/* The first in flight may always go when it is lost: a peer that took its window back must still
 * hear from us (RFC 9293 3.8.6). */
static bool may_send_again(const struct net *net, const struct tcp_row *row,
                           const struct tcp_hot *hot, uint32_t index)
{
    const struct tcp_sent *record = &net->tcp->sents[index];
    uint32_t room = tcp_segment_room(row);
    uint32_t size = record->size < room ? record->size : room;
    if (index != hot->sent_head &&
        seq_is_after(record->seq + size, hot->snd_una + tcp_send_window(row)))
        return false;
    uint32_t pipe = tcp_pipe(row, hot);
    return (hot->sender & TCP_SENDER_RESEND_NOW) != 0 || pipe == 0 || pipe + size <= hot->cwnd;
}

/* False when no packet was to be had. */
static bool send_lost(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    uint32_t index = tcp_sent_find_lost(net, hot->sent_head);
    while (index != POOL_NONE) {
        if (!may_send_again(net, row, hot, index)) {
            tcp_congestion_used_up(hot, row->snd_nxt);
            return true;
        }
        if (!tcp_transmit_again(net, conn, index))
            return false;
        hot->sender &= (uint8_t)~TCP_SENDER_RESEND_NOW;
        if (index == hot->sent_head && (hot->flags & TCP_HOT_PERSISTING) == 0)
            hot->resend_at_ns = net->now_ns + tcp_rto_ns(hot);
        index = tcp_sent_find_lost(net, net->tcp->sents[index].next);
    }
    return true;
}

/* The size of the next segment of new octets, FIN not counted; UINT32_MAX = send nothing. RFC 9293
 * 3.8.6.2.1: full segments, or all there is, or half the largest window ever seen. The FIN is held
 * to the peer's window only. */
static uint32_t next_size(const struct tcp_row *row, struct tcp_hot *hot)
{
    uint32_t flight = row->snd_nxt - hot->snd_una;
    uint32_t window = tcp_send_window(row) > flight ? tcp_send_window(row) - flight : 0;
    if (seq_is_after(row->snd_nxt, hot->snd_end)) /* FIN is out */
        return UINT32_MAX;
    uint32_t pending = hot->snd_end - row->snd_nxt;
    if (pending == 0)
        return (hot->flags & TCP_HOT_FIN_QUEUED) != 0 && window > 0 ? 0 : UINT32_MAX;
    uint32_t room = tcp_segment_room(row);
    uint32_t size = pending < room ? pending : room;
    uint32_t pipe = tcp_pipe(row, hot);
    if (size > window) {
        bool is_half = window > 0 && window >= hot->snd_wnd_max / 2;
        if (!is_half)
            return UINT32_MAX;
        size = window;
    }
    if (pipe + size <= hot->cwnd || pipe == 0)
        return size;
    tcp_congestion_used_up(hot, row->snd_nxt);
    return UINT32_MAX;
}

static bool send_new(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    uint32_t size;
    while ((size = next_size(row, hot)) != UINT32_MAX)
        if (!tcp_transmit_new(net, conn, size))
            return false;
    return true;
}

/* What wakes this connection next, now that nothing more can go. */
static void arm_after_output(struct net *net, uint32_t conn, bool is_refused)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (row->snd_nxt != hot->snd_una && (hot->flags & TCP_HOT_PERSISTING) == 0)
        arm_resend(net, hot, tcp_rto_ns(hot)); /* RFC 6298 5.1 */
    else if (is_refused)
        arm_resend(net, hot, tcp_refused_retry_ns(hot));
    else if (row->snd_nxt != tcp_stream_end(hot) && hot->resend_at_ns == TCP_NEVER) {
        /* RFC 9293 3.8.6.1: the window is shut, and only a probe may learn that it opened. */
        hot->flags |= TCP_HOT_PERSISTING;
        hot->tries = 0;
        hot->progress_at_ns = net->now_ns;
        hot->sender &= (uint8_t)~TCP_SENDER_THIN;
        hot->resend_at_ns = net->now_ns + tcp_rto_ns(hot);
    }
}

void tcp_output(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot == NULL || row->state == TCP_SYN_SENT)
        return;
    hot->flags &= (uint8_t)~TCP_HOT_DIRTY;
    uint32_t snd_nxt = row->snd_nxt;
    bool is_sent = hot->lost == 0 || send_lost(net, conn);
    if (is_sent && hot->lost == 0)
        is_sent = send_new(net, conn);
    arm_after_output(net, conn, !is_sent);
    if (row->snd_nxt != snd_nxt)
        tcp_tlp_schedule(net, conn);
    tcp_timer_update(net, conn);
}

/* ---- the queue ---- */

void tcp_mark_dirty(struct net *net, uint32_t conn)
{
    struct tcp *tcp = net->tcp;
    struct tcp_hot *hot = tcp_hot_of(net, &net->rows[conn]);
    ASSERT(hot != NULL);
    if ((hot->flags & TCP_HOT_DIRTY) != 0)
        return;
    if (tcp->dirty_count == tcp->dirty_max) {
        tcp_output(net, conn);
        return;
    }
    hot->flags |= TCP_HOT_DIRTY;
    tcp->dirty[tcp->dirty_count++] = net->rows[conn].hot;
}

/* An entry counts while its extension says so: one that was served early, or given back and taken
 * by another connection since, is passed over. */
void tcp_flush(struct net *net)
{
    struct tcp *tcp = net->tcp;
    for (uint32_t i = 0; i < tcp->dirty_count; i++) {
        struct tcp_hot *hot = &tcp->hots[tcp->dirty[i]];
        if (i + 4 < tcp->dirty_count)
            __builtin_prefetch(&tcp->hots[tcp->dirty[i + 4]]);
        if ((hot->flags & TCP_HOT_DIRTY) != 0)
            tcp_output(net, hot->conn);
    }
    tcp->dirty_count = 0;
}

enum error tcp_reference_add(struct net *net, struct tcp_hot *hot,
                             const struct tcp_reference *reference)
{
    struct tcp *tcp = net->tcp;
    uint32_t index = pool_take(&tcp->reference_pool);
    if (index == POOL_NONE)
        return ERROR_POOL_EMPTY;
    tcp->references[index] = *reference;
    if (hot->reference_tail == POOL_NONE)
        hot->reference_head = index;
    else
        tcp->references[hot->reference_tail].next = index;
    hot->reference_tail = index;
    hot->snd_end += reference->size;
    return ERROR_NONE;
}

enum error tcp_send(struct net *net, uint32_t conn, uint32_t blob, uint32_t offset, uint32_t size)
{
    struct tcp_row *row = &net->rows[conn];
    ASSERT(pool_is_live(&net->pool, conn));
    ASSERT((uint64_t)offset + size <= blob_bytes(net->options.blobs, blob).size);
    if (row->state != TCP_ESTABLISHED && row->state != TCP_CLOSE_WAIT)
        return ERROR_STALE;
    if (size > net->options.send_bytes_max || size == 0)
        return size == 0 ? ERROR_INVALID : ERROR_TOO_LARGE;
    struct tcp_hot *hot = tcp_unpark(net, conn);
    if (hot == NULL)
        return ERROR_POOL_EMPTY;
    if (tcp_queued_bytes(net, conn) + size > net->options.send_bytes_max) {
        hot->flags |= TCP_HOT_REFUSED;
        return ERROR_LIMIT;
    }
    if (hot->snd_end == hot->snd_una && net->now_ns - hot->quiet_at_ns > tcp_rto_ns(hot))
        tcp_congestion_idle(hot, tcp_segment_room(row));
    struct tcp_reference reference = {hot->snd_end, blob, offset, size, POOL_NONE, 0};
    enum error error = tcp_reference_add(net, hot, &reference);
    if (error)
        return error;
    hot->quiet_at_ns = net->now_ns;
    tcp_mark_dirty(net, conn);
    return ERROR_NONE;
}

uint64_t tcp_queued_bytes(const struct net *net, uint32_t conn)
{
    const struct tcp_hot *hot = tcp_hot_of(net, &net->rows[conn]);
    if (hot == NULL || hot->reference_head == POOL_NONE)
        return 0;
    return hot->snd_end - hot->snd_una;
}
