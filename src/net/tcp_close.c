/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends of connections (RFC 9293 3.6, 3.10.4, 3.10.5).
 *
 *   ESTABLISHED --tcp_close--> FIN_WAIT_1 --ack--> FIN_WAIT_2 --fin--> TIME_WAIT record
 *        |                         \--fin--> CLOSING --ack-----------/
 *       fin
 *        v
 *   CLOSE_WAIT --tcp_close--> LAST_ACK --ack--> gone
 *
 * The state changes when tcp_close() is called; FIN follows the queue, is sent again like an octet,
 * and gives up with the user timeout. FIN_WAIT_2 ends after a minute without octets from the peer.
 * No closing state lasts longer than five minutes, whatever the peer trickles.
 *
 * TIME_WAIT is a ring of compact records, first in, first out, since 2 MSL is a constant; a full
 * ring gives up its oldest. A record answers a FIN that comes again, ignores resets (RFC 1337),
 * and makes way for a SYN with a newer timestamp or a higher sequence number (RFC 6191, RFC 9293
 * 3.10.7.4). It does not start its wait over, which the ring could not order. */
#include "tcp.h"

static const enum metric closed_metrics[] = {
    [NET_CLOSE_DONE] = METRIC_TCP_CLOSED_DONE,
    [NET_CLOSE_RESET] = METRIC_TCP_CLOSED_RESET,
    [NET_CLOSE_TIMEOUT] = METRIC_TCP_CLOSED_TIMEOUT,
    [NET_CLOSE_ABORTED] = METRIC_TCP_CLOSED_ABORTED,
    [NET_CLOSE_REFUSED] = METRIC_TCP_CLOSED_REFUSED,
};

/* ---- death ---- */

void tcp_die(struct net *net, uint32_t conn, enum net_close_why why)
{
    struct tcp *tcp = net->tcp;
    struct tcp_row *row = &net->rows[conn];
    ASSERT(row->state != TCP_FREE);
    trace_add(net->options.trace, net->now_ns, net_handle(net, conn), TRACE_TCP_CLOSED,
              (uint32_t)why, row->state);
    net_count(net, closed_metrics[why]);
    if (row->hot != TCP_HOT_NONE) {
        tcp_references_lost(net, conn);
        tcp_sent_drop(net, tcp_hot_of(net, row));
        tcp_reorder_drop(net, tcp_hot_of(net, row));
        tcp_hot_give(net, conn);
    }
    row->state = TCP_FREE;
    row->flags &= (uint8_t)~TCP_ROW_ACK_OWED;
    row->keepalive_probes = (uint8_t)why;
    row->link = POOL_NONE;
    if (tcp->dying_tail == POOL_NONE)
        tcp->dying_head = conn;
    else
        net->rows[tcp->dying_tail].link = conn;
    tcp->dying_tail = conn;
}

void tcp_raise_closed(struct net *net, struct net_events *events, uint32_t max)
{
    struct tcp *tcp = net->tcp;
    while (max-- > 0 && tcp->dying_head != POOL_NONE &&
           events->count < ARRAY_COUNT(events->items)) {
        uint32_t conn = tcp->dying_head;
        struct tcp_row *row = &net->rows[conn];
        tcp->dying_head = row->link;
        if (tcp->dying_head == POOL_NONE)
            tcp->dying_tail = POOL_NONE;
        row->link = tcp->buried_head;
        tcp->buried_head = conn;
        net_event_add(events, (struct net_event){
                                  .kind = NET_CLOSED,
                                  .conn = conn,
                                  .why = (enum net_close_why)row->keepalive_probes,
                              });
    }
}

void tcp_bury(struct net *net)
{
    while (net->tcp->buried_head != POOL_NONE) {
        uint32_t conn = net->tcp->buried_head;
        net->tcp->buried_head = net->rows[conn].link;
        net_row_close(net, conn);
    }
}

/* ---- what the upper floors ask for ---- */

static void queue_fin(struct net *net, uint32_t conn, enum tcp_state next)
{
    struct tcp_hot *hot = tcp_unpark(net, conn);
    if (hot == NULL) {
        /* No extension to wait for the last acknowledgement with: the defined answer is a reset. */
        tcp_abort(net, conn);
        return;
    }
    hot->flags |= TCP_HOT_FIN_QUEUED;
    hot->orphan_at_ns = net->now_ns + TCP_CLOSING_NS;
    hot->quiet_at_ns = net->now_ns;
    tcp_set_state(net, conn, next);
    tcp_mark_dirty(net, conn);
}

void tcp_close(struct net *net, uint32_t conn)
{
    ASSERT(pool_is_live(&net->pool, conn));
    switch ((enum tcp_state)net->rows[conn].state) {
    case TCP_SYN_SENT:
        tcp_die(net, conn, NET_CLOSE_ABORTED);
        return;
    case TCP_ESTABLISHED:
        queue_fin(net, conn, TCP_FIN_WAIT_1);
        return;
    case TCP_CLOSE_WAIT:
        queue_fin(net, conn, TCP_LAST_ACK);
        return;
    case TCP_FREE:
    case TCP_FIN_WAIT_1:
    case TCP_FIN_WAIT_2:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
        return;
    }
}

void tcp_abort(struct net *net, uint32_t conn)
{
    ASSERT(pool_is_live(&net->pool, conn));
    struct tcp_row *row = &net->rows[conn];
    if (row->state == TCP_FREE)
        return;
    if (row->state != TCP_SYN_SENT)
        tcp_transmit_reset(net, conn);
    tcp_die(net, conn, NET_CLOSE_ABORTED);
}

/* ---- FINs ---- */

void tcp_fin_acked(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    if (row->state == TCP_FIN_WAIT_1) {
        tcp_set_state(net, conn, TCP_FIN_WAIT_2);
        tcp_hot_of(net, row)->orphan_at_ns = net->now_ns + TCP_ORPHAN_NS;
    } else if (row->state == TCP_CLOSING) {
        tcp_enter_time_wait(net, conn);
    } else if (row->state == TCP_LAST_ACK) {
        tcp_die(net, conn, NET_CLOSE_DONE);
    }
}

void tcp_fin_wait_2_again(const struct net *net, struct tcp_hot *hot)
{
    uint64_t end_ns =
        hot->progress_at_ns + TCP_CLOSING_NS; /* nothing was in flight since our FIN */
    uint64_t next_ns = net->now_ns + TCP_ORPHAN_NS;
    hot->orphan_at_ns = next_ns < end_ns ? next_ns : end_ns;
}

void tcp_fin_received(struct net *net, uint32_t conn, struct net_events *events)
{
    struct tcp_row *row = &net->rows[conn];
    row->rcv_nxt++;
    if (row->hot != TCP_HOT_NONE)
        tcp_reorder_drop(net, tcp_hot_of(net, row)); /* octets from past its own end */
    net_event_add(events, (struct net_event){.kind = NET_END, .conn = conn});
    if (row->state == TCP_FIN_WAIT_2) {
        tcp_transmit_ack(net, conn); /* the row is about to go */
        tcp_enter_time_wait(net, conn);
        return;
    }
    tcp_owe_ack(net, conn);
    if (row->state == TCP_ESTABLISHED)
        tcp_set_state(net, conn, TCP_CLOSE_WAIT);
    else if (row->state == TCP_FIN_WAIT_1)
        tcp_set_state(net, conn, TCP_CLOSING);
}

/* ---- TIME_WAIT ---- */

static uint32_t *bucket_of(struct tcp *tcp, uint64_t hash)
{
    return &tcp->time_wait_buckets[(uint32_t)hash & tcp->time_wait_mask];
}

static struct tcp_key record_key(const struct tcp_time_wait *record)
{
    return (struct tcp_key){record->remote, record->remote_port, record->local_port, record->local};
}

/* Out of its bucket; its place in the ring stays until the ring gets there. */
static void forget_record(struct net *net, struct tcp_time_wait *record)
{
    struct tcp *tcp = net->tcp;
    struct tcp_key key = record_key(record);
    uint32_t *link = bucket_of(tcp, tcp_table_hash(&net->table, &key));
    while (*link != POOL_NONE && &tcp->time_wait[*link] != record)
        link = &tcp->time_wait[*link].chain;
    ASSERT(*link != POOL_NONE);
    *link = record->chain;
    record->is_live = 0;
}

static void drop_first_record(struct net *net)
{
    struct tcp *tcp = net->tcp;
    struct tcp_time_wait *record = &tcp->time_wait[tcp->time_wait_first];
    if (record->is_live != 0)
        forget_record(net, record);
    tcp->time_wait_first = (tcp->time_wait_first + 1) % net->options.time_wait_max;
    tcp->time_wait_count--;
}

void tcp_time_wait_expire(struct net *net)
{
    struct tcp *tcp = net->tcp;
    for (uint32_t i = 0; i < TCP_DUE_MAX && tcp->time_wait_count != 0; i++) {
        if (tcp->time_wait[tcp->time_wait_first].expires_at_ns > net->now_ns)
            return;
        drop_first_record(net);
    }
}

void tcp_time_wait_add(struct net *net, const struct tcp_time_wait *record)
{
    struct tcp *tcp = net->tcp;
    uint32_t max = net->options.time_wait_max;
    if (max == 0)
        return;
    if (tcp->time_wait_count == max)
        drop_first_record(net);
    struct tcp_key key = record_key(record);
    uint32_t *bucket = bucket_of(tcp, tcp_table_hash(&net->table, &key));
    uint32_t index = (tcp->time_wait_first + tcp->time_wait_count++) % max;
    tcp->time_wait[index] = *record;
    tcp->time_wait[index].chain = *bucket;
    *bucket = index;
}

void tcp_enter_time_wait(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_time_wait record = {
        .remote = row->remote,
        .remote_port = row->remote_port,
        .local_port = row->local_port,
        .local = row->local,
        .snd_nxt = row->snd_nxt,
        .rcv_nxt = row->rcv_nxt,
        .ts_recent = row->ts_recent,
        .flags = row->flags & TCP_ROW_TIMESTAMPS,
        .is_live = 1,
        .window = tcp_receive_window(net->tcp, row),
        .answered_at = (uint16_t)(tcp_quarter_seconds(net) - TCP_CHALLENGE_QUARTERS),
        .expires_at_ns = net->now_ns + net->options.time_wait_ns,
    };
    tcp_time_wait_add(net, &record);
    tcp_die(net, conn, NET_CLOSE_DONE);
}

struct tcp_time_wait *tcp_time_wait_find(struct net *net, const struct tcp_key *key, uint64_t hash)
{
    struct tcp *tcp = net->tcp;
    if (tcp->time_wait_count == 0)
        return NULL;
    for (uint32_t index = *bucket_of(tcp, hash); index != POOL_NONE;) {
        struct tcp_time_wait *record = &tcp->time_wait[index];
        if (record->remote_port == key->remote_port && record->local_port == key->local_port &&
            record->local == key->local && net_address_equal(&record->remote, &key->remote))
            return record;
        index = record->chain;
    }
    return NULL;
}

static bool may_reopen(const struct tcp_time_wait *record, const struct tcp_segment *segment)
{
    struct tcp_options options;
    if ((segment->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
        return false;
    tcp_options_read(segment->options, &options);
    /* RFC 6191 section 2: among equal timestamps the sequence number decides. */
    if ((record->flags & TCP_ROW_TIMESTAMPS) != 0 && options.has_timestamps &&
        options.ts_value != record->ts_recent)
        return seq_is_after(options.ts_value, record->ts_recent);
    return seq_is_after(segment->seq, record->rcv_nxt);
}

static void answer_record(struct net *net, struct packet *packet,
                          const struct tcp_time_wait *record)
{
    struct packet reply;
    uint32_t size = sizeof(struct tcp_header) + TCP_TIMESTAMPS_SIZE;
    struct tcp_key key = record_key(record);
    uint8_t *at = net_packet_reply(net, packet, &key, size, &reply);
    if (at == NULL)
        return;
    struct tcp_header *header = (struct tcp_header *)(void *)at;
    uint8_t *end = tcp_header_write(at, &key, record->snd_nxt, record->rcv_nxt, TCP_ACK);
    header->window = be16_of(record->window);
    if ((record->flags & TCP_ROW_TIMESTAMPS) != 0) {
        tcp_options_write_timestamps(end, tcp_timestamp(net, &key), record->ts_recent);
        end += TCP_TIMESTAMPS_SIZE;
        header->offset = (uint8_t)(size / 4 << 4);
    }
    net_packet_send(net, &reply, (uint32_t)(end - at));
}

bool tcp_time_wait_input(struct net *net, struct packet *packet, const struct tcp_segment *segment,
                         struct tcp_time_wait *record)
{
    if (may_reopen(record, segment)) {
        forget_record(net, record);
        return false;
    }
    net_count(net, METRIC_TCP_DROP_TIME_WAIT);
    bool is_reset = (segment->flags & TCP_RST) != 0;
    bool is_plain = tcp_segment_length(segment) == 0;
    if (is_reset || (is_plain && segment->seq == record->rcv_nxt))
        return true; /* nothing to answer; an answer to an ACK could go round for ever */
    uint16_t now = (uint16_t)tcp_quarter_seconds(net);
    bool is_fin = (segment->flags & TCP_FIN) != 0;
    if (!is_fin && (uint16_t)(now - record->answered_at) < TCP_CHALLENGE_QUARTERS)
        return true;
    record->answered_at = now;
    answer_record(net, packet, record);
    return true;
}
