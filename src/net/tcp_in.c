/* SPDX-License-Identifier: Apache-2.0
 *
 * Segments of open connections, by the eight steps of RFC 9293 section 3.10.7.4, numbered below.
 * A pure in-order segment of a parked connection touches its row and nothing else: no step borrows
 * an extension but the keeping of octets that came ahead of a gap. Blind attacks meet RFC 5961
 * (exact reset, challenge ACKs, bounded acknowledgements); timestamps RFC 7323.
 *
 * Acknowledgements of in-order octets wait for the end of the burst, one a connection; what is out
 * of order or old is acknowledged at once, since the peer's recovery counts duplicates. */
#include "tcp.h"

/* What is left of a segment as the steps go through it. */
struct arrival {
    uint32_t seq;
    struct bytes octets;
    bool has_fin;
    struct tcp_options options;
};

enum step { STEP_ON, STEP_DONE };

void tcp_set_state(struct net *net, uint32_t conn, enum tcp_state state)
{
    struct tcp_row *row = &net->rows[conn];
    trace_add(net->options.trace, net->now_ns, net_handle(net, conn), TRACE_TCP_STATE, row->state,
              (uint32_t)state);
    row->state = (uint8_t)state;
}

static enum step drop(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                      enum metric reason)
{
    net_count(net, reason);
    trace_add(net->options.trace, net->now_ns, net_handle(net, conn), TRACE_TCP_DROP,
              (uint32_t)reason, segment->ip_size);
    return STEP_DONE;
}

/* ---- step 1: sequence number ---- */

static bool is_in_window(const struct tcp_row *row, const struct tcp_segment *segment)
{
    uint32_t window = row->rcv_adv - row->rcv_nxt;
    uint32_t length = tcp_segment_length(segment);
    if (seq_is_within(segment->seq, row->rcv_nxt, window))
        return true;
    /* A peer that filled our window acknowledges from behind its end (RFC 9293 3.10.7.4: "special
     * allowance ... to accept valid ACKs"). Lose what filled it, and by the letter of the test no
     * word of that peer would count until it is sent again. A reset gets no such allowance. */
    if (length == 0)
        return segment->seq == row->rcv_nxt ||
               (segment->seq == row->rcv_adv && (segment->flags & TCP_RST) == 0);
    return seq_is_within(segment->seq + length - 1, row->rcv_nxt, window);
}

/* RFC 7323 5.3, with 5.5: a timestamp of more than 24 days ago says nothing. */
static bool is_wrapped(const struct net *net, const struct tcp_row *row,
                       const struct tcp_options *options)
{
    return (row->flags & TCP_ROW_TIMESTAMPS) != 0 && options->has_timestamps &&
           seq_is_before(options->ts_value, row->ts_recent) &&
           tcp_now_s(net) - row->active_at_s < TCP_PAWS_SECONDS_MAX;
}

/* What of a segment's octets lies before rcv_nxt came before. */
static void note_duplicate(struct net *net, uint32_t conn, const struct tcp_segment *segment)
{
    uint32_t rcv_nxt = net->rows[conn].rcv_nxt;
    uint32_t end = segment->seq + (uint32_t)segment->payload.size;
    if (segment->payload.size != 0 && seq_is_before(segment->seq, rcv_nxt))
        tcp_duplicate_came(net, conn, segment->seq, seq_earlier(end, rcv_nxt));
}

/* A segment with octets may be a retransmission and must be answered; one without may be the
 * other half of a loop of acknowledgements. */
static enum step refuse_sequence(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                                 enum metric reason)
{
    if ((segment->flags & TCP_RST) != 0)
        return drop(net, conn, segment, reason);
    if (tcp_segment_length(segment) != 0 && (segment->flags & TCP_SYN) == 0) {
        note_duplicate(net, conn, segment);
        tcp_transmit_ack(net, conn);
    } else {
        tcp_challenge(net, conn);
    }
    return drop(net, conn, segment, reason);
}

static enum step check_sequence(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                                struct arrival *arrival)
{
    struct tcp_row *row = &net->rows[conn];
    if (is_wrapped(net, row, &arrival->options) && (segment->flags & TCP_RST) == 0)
        return refuse_sequence(net, conn, segment, METRIC_TCP_DROP_PAWS);
    if (!is_in_window(row, segment))
        return refuse_sequence(net, conn, segment, METRIC_TCP_DROP_SEQUENCE);
    return STEP_ON;
}

/* Cuts the segment down to the window. */
static void trim(const struct tcp_row *row, struct arrival *arrival)
{
    uint32_t size = (uint32_t)arrival->octets.size;
    if (seq_is_before(arrival->seq, row->rcv_nxt)) {
        /* Its end lies in the window (step 1), so a FIN is not old. */
        arrival->octets = bytes_from(arrival->octets, row->rcv_nxt - arrival->seq);
        arrival->seq = row->rcv_nxt;
        size = (uint32_t)arrival->octets.size;
    }
    uint32_t room = row->rcv_adv - arrival->seq;
    if (size > room)
        arrival->octets = bytes_slice(arrival->octets, 0, room);
    if (size >= room)
        arrival->has_fin = false; /* it lies past the edge, even where the octets just fit */
}

/* ---- steps 2 to 4: reset, security (there is none), SYN ---- */

static enum step check_reset(struct net *net, uint32_t conn, const struct tcp_segment *segment)
{
    if ((segment->flags & TCP_RST) == 0)
        return STEP_ON;
    if (segment->seq != net->rows[conn].rcv_nxt) { /* RFC 5961 3.2 */
        tcp_challenge(net, conn);
        return drop(net, conn, segment, METRIC_TCP_DROP_RESET);
    }
    net_count(net, METRIC_TCP_RESETS_RECEIVED);
    tcp_die(net, conn, NET_CLOSE_RESET);
    return STEP_DONE;
}

static enum step check_syn(struct net *net, uint32_t conn, const struct tcp_segment *segment)
{
    if ((segment->flags & TCP_SYN) == 0)
        return STEP_ON;
    tcp_challenge(net, conn); /* RFC 5961 4.2 */
    return drop(net, conn, segment, METRIC_TCP_DROP_SYN);
}

/* ---- step 5: acknowledgement ---- */

/* RFC 5961 5.2. The largest window the peer can have offered bounds how old an ACK may be. */
static bool is_ack_in_window(const struct net *net, const struct tcp_row *row, uint32_t ack)
{
    uint32_t window_max = (uint32_t)UINT16_MAX << row->snd_scale;
    uint32_t first = tcp_una(net, row) - window_max;
    return !seq_is_after(ack, row->snd_nxt) && !seq_is_before(ack, first);
}

static void take_window(struct net *net, struct tcp_row *row, struct tcp_hot *hot,
                        const struct tcp_segment *segment)
{
    bool is_newer = seq_is_after(segment->seq, hot->snd_wl1) ||
                    (segment->seq == hot->snd_wl1 && !seq_is_after(hot->snd_wl2, segment->ack));
    if (!is_newer)
        return;
    hot->snd_wl1 = segment->seq;
    hot->snd_wl2 = segment->ack;
    row->snd_wnd = segment->window;
    uint32_t window = tcp_send_window(row);
    if (window > hot->snd_wnd_max)
        hot->snd_wnd_max = window;
    if ((hot->flags & TCP_HOT_PERSISTING) == 0 || window == 0)
        return;
    hot->flags &= (uint8_t)~TCP_HOT_PERSISTING;
    hot->tries = 0;
    hot->resend_at_ns = TCP_NEVER;
    tcp_sent_lose_all(net, hot); /* the probe's octet, unless it was taken */
    hot->progress_at_ns = net->now_ns;
}

/* Nothing of a segment counts before this: neither its timestamp nor that its sender lives. */
static enum step check_ack(struct net *net, uint32_t conn, const struct tcp_segment *segment)
{
    if ((segment->flags & TCP_ACK) == 0)
        return drop(net, conn, segment, METRIC_TCP_DROP_NO_ACK);
    if (is_ack_in_window(net, &net->rows[conn], segment->ack))
        return STEP_ON;
    tcp_challenge(net, conn);
    return drop(net, conn, segment, METRIC_TCP_DROP_ACK);
}

static enum step take_ack(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                          struct arrival *arrival, struct net_events *events)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot == NULL) { /* parked: nothing is in flight */
        if (segment->ack == row->snd_nxt)
            row->snd_wnd = segment->window;
        return STEP_ON;
    }
    tcp_take_ack(net, conn, segment, &arrival->options, events);
    if (!seq_is_before(segment->ack, hot->snd_una))
        take_window(net, row, hot, segment);
    bool is_fin_acked =
        (hot->flags & TCP_HOT_FIN_QUEUED) != 0 && hot->snd_una == tcp_stream_end(hot);
    if (hot->lost != 0 || row->snd_nxt != tcp_stream_end(hot))
        tcp_mark_dirty(net, conn);
    tcp_timer_update(net, conn);
    if (IS_UNLIKELY(is_fin_acked))
        tcp_fin_acked(net, conn);
    else
        tcp_park_if_scarce(net, conn);
    return row->state == TCP_FREE ? STEP_DONE : STEP_ON;
}

/* ---- step 6: urgent, ignored: its octets are delivered in line. Step 7: text ---- */

static bool is_open_for_text(const struct tcp_row *row)
{
    return row->state == TCP_ESTABLISHED || row->state == TCP_FIN_WAIT_1 ||
           row->state == TCP_FIN_WAIT_2;
}

/* A FIN alone is no hoard that shedding could find, so it borrows none of the second half of the
 * extensions; it comes again. */
static void take_ahead(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                       const struct arrival *arrival)
{
    const struct pool *pool = &net->tcp->hot_pool;
    bool is_bare_fin = arrival->octets.size == 0;
    bool is_scarce = net->rows[conn].hot == TCP_HOT_NONE && pool->used > pool->count / 2;
    struct tcp_hot *hot = is_bare_fin && is_scarce ? NULL : tcp_unpark(net, conn);
    if (hot == NULL) {
        (void)drop(net, conn, segment, METRIC_TCP_DROP_HOT_EMPTY);
    } else if (!tcp_reorder_add(net, hot, arrival->seq, arrival->octets)) {
        (void)drop(net, conn, segment, METRIC_TCP_DROP_REORDER);
    } else {
        net_count(net, METRIC_TCP_OUT_OF_ORDER);
        hot->quiet_at_ns = net->now_ns;
        if (arrival->has_fin) {
            hot->flags |= TCP_HOT_PEER_FIN;
            hot->peer_fin_seq = arrival->seq + (uint32_t)arrival->octets.size;
        }
        tcp_timer_update(net, conn);
    }
    tcp_transmit_ack(net, conn); /* RFC 5681 4.2: at once, the peer counts them */
}

static void take_in_order(struct net *net, uint32_t conn, const struct arrival *arrival,
                          struct net_events *events)
{
    struct tcp_row *row = &net->rows[conn];
    if (arrival->octets.size != 0) {
        row->rcv_nxt += (uint32_t)arrival->octets.size;
        net_event_add(events, (struct net_event){NET_DATA, conn, arrival->octets, NET_CLOSE_DONE});
        tcp_owe_ack(net, conn);
    }
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot == NULL)
        return;
    if (hot->range_head != POOL_NONE)
        tcp_reorder_take(net, conn, events);
    if ((hot->flags & TCP_HOT_PEER_FIN) != 0 && seq_is_after(row->rcv_nxt, hot->peer_fin_seq))
        hot->flags &= (uint8_t)~TCP_HOT_PEER_FIN; /* the peer went on past its own end */
    if (row->state == TCP_FIN_WAIT_2)
        tcp_fin_wait_2_again(net, hot);
}

static enum step take_text(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                           struct arrival *arrival, struct net_events *events)
{
    struct tcp_row *row = &net->rows[conn];
    if (arrival->octets.size == 0 && !arrival->has_fin) {
        if (segment->payload.size == 0 && (segment->flags & TCP_FIN) == 0)
            return STEP_DONE;
        note_duplicate(net, conn, segment);
        tcp_transmit_ack(net, conn); /* all of it was old */
        return STEP_DONE;
    }
    if (!is_open_for_text(row))
        return drop(net, conn, segment, METRIC_TCP_DROP_AFTER_FIN);
    if (arrival->seq != row->rcv_nxt) {
        take_ahead(net, conn, segment, arrival);
        return STEP_DONE;
    }
    note_duplicate(net, conn, segment);
    take_in_order(net, conn, arrival, events);
    if (IS_UNLIKELY(net->tcp->dsack_conn == conn))
        tcp_transmit_ack(net, conn); /* RFC 2883 4: a part of it was old */
    return STEP_ON;
}

/* ---- step 8: FIN ---- */

static void take_fin(struct net *net, uint32_t conn, const struct arrival *arrival,
                     struct net_events *events)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    uint32_t end = arrival->seq + (uint32_t)arrival->octets.size;
    bool has_fin = arrival->has_fin && end == row->rcv_nxt;
    if (hot != NULL && (hot->flags & TCP_HOT_PEER_FIN) != 0 && hot->peer_fin_seq == row->rcv_nxt)
        has_fin = true;
    if (!has_fin)
        return;
    if (hot != NULL)
        hot->flags &= (uint8_t)~TCP_HOT_PEER_FIN;
    tcp_fin_received(net, conn, events);
}

/* ---- all steps ---- */

/* RFC 3168 6.1.2 and 6.1.3. A mark on octets is echoed until the peer says that it slowed down; an
 * echo slows us down. */
static void take_marks(struct net *net, uint32_t conn, const struct tcp_segment *segment)
{
    struct tcp_row *row = &net->rows[conn];
    if ((segment->flags & TCP_CWR) != 0)
        row->flags &= (uint8_t)~TCP_ROW_ECN_ECHO;
    if (segment->ecn == IP_ECN_MARKED && segment->payload.size != 0) {
        row->flags |= TCP_ROW_ECN_ECHO;
        net_count(net, METRIC_TCP_ECN_MARKS);
    }
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if ((segment->flags & TCP_ECE) == 0 || hot == NULL)
        return;
    struct tcp_flight flight = tcp_flight_of(net, row, row->snd_nxt - hot->snd_una);
    if (tcp_congestion_marked(hot, &flight))
        net_count(net, METRIC_TCP_ECN_REDUCTIONS);
}

/* RFC 7323 4.3: only from a segment that covers what we acknowledged last. */
static void take_timestamp(const struct net *net, struct tcp_row *row,
                           const struct tcp_segment *segment, const struct tcp_options *options)
{
    if ((row->flags & TCP_ROW_TIMESTAMPS) == 0 || !options->has_timestamps)
        return;
    uint32_t window = (uint32_t)tcp_receive_window(net->tcp, row) << row->rcv_scale;
    uint32_t last_ack_sent = row->rcv_adv - window;
    if (!seq_is_after(segment->seq, last_ack_sent))
        row->ts_recent = options->ts_value;
}

void tcp_input_open(struct net *net, const struct tcp_segment *segment, uint32_t conn,
                    struct net_events *events)
{
    struct tcp_row *row = &net->rows[conn];
    struct arrival arrival = {
        .seq = segment->seq,
        .octets = segment->payload,
        .has_fin = (segment->flags & TCP_FIN) != 0,
    };
    tcp_options_read(segment->options, &arrival.options);
    if (check_sequence(net, conn, segment, &arrival) == STEP_DONE)
        return;
    if (check_reset(net, conn, segment) == STEP_DONE)
        return;
    if (check_syn(net, conn, segment) == STEP_DONE)
        return;
    if (IS_UNLIKELY(!tcp_pressure_takes(net, conn, segment))) {
        (void)drop(net, conn, segment, METRIC_TCP_DROP_TINY);
        return;
    }
    if (check_ack(net, conn, segment) == STEP_DONE)
        return;
    row->active_at_s = tcp_now_s(net);
    row->keepalive_probes = 0;
    take_timestamp(net, row, segment, &arrival.options);
    if (take_ack(net, conn, segment, &arrival, events) == STEP_DONE)
        return;
    if ((row->flags & TCP_ROW_ECN) != 0)
        take_marks(net, conn, segment);
    trim(row, &arrival);
    if (take_text(net, conn, segment, &arrival, events) == STEP_DONE)
        return;
    take_fin(net, conn, &arrival, events);
}

void tcp_input(struct net *net, struct packet *packet, const struct tcp_segment *segment,
               uint32_t conn, struct net_events *events)
{
    if (conn == POOL_NONE)
        tcp_input_unknown(net, packet, segment, events);
    else if (net->rows[conn].state == TCP_FREE)
        net_count(net, METRIC_TCP_DROP_DEAD); /* its NET_CLOSED is under way */
    else if (net->rows[conn].state == TCP_SYN_SENT)
        tcp_input_syn_sent(net, packet, segment, conn, events);
    else
        tcp_input_open(net, segment, conn, events);
    tcp_raise_closed(net, events, 4);
}
