/* SPDX-License-Identifier: Apache-2.0
 *
 * What an acknowledgement means to the sender (RFC 9293 3.10.7.4 step 5, its first part). In order:
 *
 *   scoreboard -> round-trip time -> window growth -> snd_una moves -> loss detection -> recovery
 *
 * Loss is found by RACK where the peer has SACK (tcp_rack.c), else by duplicate acknowledgements
 * (RFC 5681, 6582): each counts one segment as arrived, so pipe falls and new octets may follow
 * (RFC 3042); the third marks the first record lost, and in recovery each partial acknowledgement
 * the next. From a loss to the acknowledgement of all that was sent before it the window comes down
 * once, by PRR. What is to be sent then leaves by tcp_output() at the end of the turn. */
#include "tcp.h"

/* ---- round-trip time ---- */

/* Prefers our own clock, which is finer, where nothing acknowledged was sent twice. A backed-off
 * timeout stands until there is a sample (RFC 6298 section 5, last paragraphs: Karn). */
static void sample_rtt(struct net *net, const struct tcp_row *row, struct tcp_hot *hot,
                       const struct tcp_options *options, const struct tcp_ack_news *news)
{
    if (news->has_sample && !news->is_ambiguous) {
        hot->tries = 0;
        tcp_rtt_sample(hot, news->sample_us);
        return;
    }
    if (!options->has_timestamps || options->ts_echo == 0)
        return;
    struct tcp_key key = tcp_row_key(row);
    uint32_t rtt_ms = tcp_timestamp(net, &key) - options->ts_echo;
    if (rtt_ms > TCP_RTO_US_MAX / 1000)
        return;
    hot->tries = 0;
    tcp_rtt_sample(hot, rtt_ms * 1000);
}

/* When what the peer echoes was sent matters only where something was sent twice; it costs a hash.
 */
static void read_echo(const struct net *net, const struct tcp_row *row,
                      const struct tcp_options *options, struct tcp_ack_news *news)
{
    if ((row->flags & TCP_ROW_TIMESTAMPS) == 0 || !options->has_timestamps)
        return;
    struct tcp_key key = tcp_row_key(row);
    uint32_t age_ms = tcp_timestamp(net, &key) - options->ts_echo;
    news->echo_ms = (uint32_t)(net->now_ns / NS_PER_MS) - age_ms;
    news->has_echo = true;
}

/* ---- without SACK ---- */

/* RFC 5681 section 2, the definition of a duplicate. */
static bool is_duplicate_ack(const struct tcp_row *row, const struct tcp_hot *hot,
                             const struct tcp_segment *segment)
{
    return segment->ack == hot->snd_una && row->snd_nxt != hot->snd_una &&
           tcp_segment_length(segment) == 0 && segment->window == row->snd_wnd &&
           (hot->flags & TCP_HOT_PERSISTING) == 0;
}

static struct tcp_sent *first_sent(const struct net *net, const struct tcp_hot *hot)
{
    return hot->sent_head == POOL_NONE ? NULL : &net->tcp->sents[hot->sent_head];
}

static bool is_in_repair(const struct tcp_hot *hot)
{
    return !seq_is_after(hot->snd_una, hot->recover);
}

/* One more segment has left the network, but not the first. RFC 6582 3.2 step 2: duplicates of what
 * a timeout sent again start nothing. */
static void count_duplicate(const struct net *net, struct tcp_hot *hot, uint32_t mss,
                            struct tcp_ack_news *news)
{
    const struct tcp_row *row = &net->rows[hot->conn];
    struct tcp_sent *first = first_sent(net, hot);
    bool is_first_lost = (first->flags & TCP_SENT_LOST) != 0;
    uint32_t taken = hot->sacked + hot->lost + (is_first_lost ? 0 : first->size);
    uint32_t flight = row->snd_nxt - hot->snd_una;
    uint32_t room = flight > taken ? flight - taken : 0;
    uint32_t step = room < mss ? room : mss;
    hot->sacked += step;
    news->delivered += step;
    if (hot->dup_acks < UINT16_MAX)
        hot->dup_acks++;
    if (hot->dup_acks == TCP_DUP_ACKS && (hot->flags & TCP_HOT_RECOVERING) == 0 &&
        !is_in_repair(hot))
        tcp_sent_lose(hot, first);
}

/* snd_una has moved by `acked`. RFC 6582 3.2 step 3: of a partial acknowledgement the first segment
 * is the one repaired, the rest had been counted as arrived. */
static void forget_duplicates(const struct net *net, struct tcp_hot *hot, uint32_t acked,
                              struct tcp_ack_news *news)
{
    const struct tcp_row *row = &net->rows[hot->conn];
    uint32_t mss = tcp_segment_room(row);
    bool is_partial = (hot->flags & TCP_HOT_RECOVERING) != 0 && is_in_repair(hot);
    uint32_t counted = acked > mss ? acked - mss : 0;
    if (counted > hot->sacked)
        counted = hot->sacked;
    news->delivered -= counted < news->delivered ? counted : news->delivered;
    hot->sacked = is_partial ? hot->sacked - counted : 0;
    hot->dup_acks = 0;
    struct tcp_sent *first = first_sent(net, hot);
    if (!is_partial || first == NULL)
        return;
    tcp_sent_lose(hot, first);
    hot->sender |= TCP_SENDER_RESEND_NOW;
    uint32_t rest = row->snd_nxt - hot->snd_una - hot->lost;
    if (hot->sacked > rest)
        hot->sacked = rest;
}

/* ---- recovery ---- */

void tcp_judge_loss(struct net *net, uint32_t conn, uint32_t pipe_before, uint32_t delivered,
                    enum tcp_ack_safety safety)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    bool is_new = (hot->sender & TCP_SENDER_NEWLY_LOST) != 0;
    bool is_begun = is_new && (hot->flags & TCP_HOT_RECOVERING) == 0 && !is_in_repair(hot);
    hot->sender &= (uint8_t)~TCP_SENDER_NEWLY_LOST;
    if (is_begun) {
        struct tcp_flight before = tcp_flight_of(net, row, pipe_before);
        tcp_congestion_enter(hot, &before);
        hot->sender |= TCP_SENDER_RESEND_NOW;
        net_count(net, METRIC_TCP_FAST_RETRANSMITS);
    }
    if ((hot->flags & TCP_HOT_RECOVERING) == 0)
        return;
    struct tcp_flight flight = tcp_flight_of(net, row, tcp_pipe(row, hot));
    if (delivered == 0 && is_begun)
        delivered = 1; /* the reorder timer begins as an acknowledgement does */
    tcp_congestion_recover(hot, &flight, delivered, is_new ? TCP_ACK_UNSAFE : safety);
}

/* What was sent again had not been lost, so neither had the window been too large (RFC 3522, 4015).
 * After a timeout the rest of the flight is on its way, too: RACK will say if it is not. */
static void undo(struct net *net, struct tcp_hot *hot)
{
    if ((hot->flags & TCP_HOT_RECOVERING) == 0)
        tcp_sent_trust_all(net, hot);
    net_count(net, METRIC_TCP_UNDONE);
    tcp_congestion_undo(hot);
}

/* snd_una has moved past all that was sent before the loss; or nothing had been lost. */
static void end_recovery(struct net *net, struct tcp_hot *hot, const struct tcp_ack_news *news)
{
    bool is_recovering = (hot->flags & TCP_HOT_RECOVERING) != 0;
    bool is_needless = news->is_spurious && news->is_repairing && hot->cwnd_undo != 0;
    if (is_needless && (!is_recovering || hot->lost == 0))
        undo(net, hot);
    else if (is_recovering && !is_in_repair(hot))
        tcp_congestion_leave(hot);
    if (is_recovering && (hot->flags & TCP_HOT_RECOVERING) == 0)
        tcp_rack_recovered(&hot->rack);
}

/* ---- an acknowledgement ---- */

static void move_una(struct net *net, uint32_t conn, uint32_t ack, struct net_events *events)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    hot->snd_una = ack;
    hot->progress_at_ns = net->now_ns;
    hot->quiet_at_ns = net->now_ns;
    if (ack == tcp_stream_end(hot))
        hot->flags &= (uint8_t)~TCP_HOT_PERSISTING;
    if ((hot->flags & TCP_HOT_PERSISTING) == 0) /* RFC 6298 5.2, 5.3: off, or from now */
        hot->resend_at_ns = ack == row->snd_nxt ? TCP_NEVER : net->now_ns + tcp_rto_ns(hot);
    tcp_references_acked(net, conn, ack);
    if ((hot->flags & TCP_HOT_REFUSED) != 0 &&
        tcp_queued_bytes(net, conn) <= net->options.send_bytes_max / 2) {
        hot->flags &= (uint8_t)~TCP_HOT_REFUSED;
        net_event_add(events, (struct net_event){.kind = NET_SENT, .conn = conn});
    }
}

static void advance(struct net *net, uint32_t conn, const struct tcp_options *options,
                    struct tcp_ack_news *news, struct net_events *events)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    uint32_t acked = news->ack - hot->snd_una;
    news->is_repairing = is_in_repair(hot);
    sample_rtt(net, row, hot, options, news);
    if ((hot->flags & TCP_HOT_RECOVERING) == 0) {
        struct tcp_flight flight = tcp_flight_of(net, row, tcp_pipe(row, hot));
        tcp_congestion_grow(hot, &flight, news->ack);
    }
    move_una(net, conn, news->ack, events);
    if ((row->flags & TCP_ROW_SACK) == 0)
        forget_duplicates(net, hot, acked, news);
    end_recovery(net, hot, news);
}

/* Nothing is amiss and nothing was: the acknowledgements of a healthy path end here. */
static bool is_quiet(const struct tcp_hot *hot, const struct tcp_ack_news *news)
{
    bool is_suspicious =
        hot->rack_at_ns != TCP_NEVER && (hot->sender & TCP_SENDER_PROBE_ARMED) == 0;
    return hot->sacked == 0 && hot->lost == 0 && !news->has_dsack && !is_suspicious &&
           (hot->flags & TCP_HOT_RECOVERING) == 0;
}

/* A duplicate that a tail probe made is no sign of reordering. */
static bool is_of_probe(const struct tcp_hot *hot, const struct tcp_sack_block *dsack)
{
    return (hot->rack.flags & TCP_RACK_PROBE_AGAIN) != 0 && dsack->end == hot->rack.probe_end;
}

void tcp_take_ack(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                  const struct tcp_options *options, struct net_events *events)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    struct tcp_ack_news news = {.now_ns = net->now_ns, .now_us = tcp_now_us(net)};
    news.ack = segment->ack;
    bool has_sack = (row->flags & TCP_ROW_SACK) != 0;
    bool is_moving = seq_is_after(segment->ack, hot->snd_una);
    bool is_duplicate = !has_sack && is_duplicate_ack(row, hot, segment);
    uint32_t pipe_before = tcp_pipe(row, hot);
    if ((hot->sender & TCP_SENDER_RESENT) != 0)
        read_echo(net, row, options, &news);
    if (is_moving)
        tcp_sent_acked(net, hot, &news);
    if (has_sack && options->sack_count != 0)
        tcp_sent_sacked(net, hot, options->sacks, options->sack_count, &news);
    tcp_rack_note(&hot->rack, &news);
    if (is_moving)
        advance(net, conn, options, &news, events);
    else if (is_duplicate)
        count_duplicate(net, hot, tcp_segment_room(row), &news);
    if ((hot->rack.flags & TCP_RACK_PROBE) != 0)
        tcp_tlp_judge(net, conn, &news);
    if (is_moving)
        tcp_tlp_schedule(net, conn);
    if (is_quiet(hot, &news))
        return;
    if (news.has_dsack && !is_of_probe(hot, &news.dsack))
        tcp_rack_widen(&hot->rack, hot->snd_una, row->snd_nxt);
    if (has_sack)
        tcp_rack_detect(net, hot);
    tcp_judge_loss(net, conn, pipe_before, news.delivered,
                   is_moving ? TCP_ACK_SAFE : TCP_ACK_UNSAFE);
}
