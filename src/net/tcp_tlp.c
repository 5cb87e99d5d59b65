/* SPDX-License-Identifier: Apache-2.0
 *
 * The tail loss probe (RFC 8985 section 7): what is in flight has no segment behind it that could
 * tell of its loss, so two round trips after the last of them left one segment goes again, or goes
 * new, and the answer to it brings RACK to work. For a stream of single records this is what
 * repairs a loss, in place of a timeout of 200 ms and more. Only with SACK, outside recovery, and
 * one at a time.
 *
 *   armed --PTO--> out (PROBE) --answer--> judged: of new octets nothing follows; of a segment sent
 *                                          again either it had been lost (one reduction), or not
 *
 * When not, the peer was only slow to acknowledge: its delay counts as a round trip, and the
 * estimate rises to half of it at least, so that the next probe waits that long. */
#include "tcp.h"

#define PROBE_SLACK_US 5000u

uint32_t tcp_tlp_wait_us(uint32_t srtt_us)
{
    return 2 * srtt_us + PROBE_SLACK_US;
}

static bool may_probe(const struct tcp_row *row, const struct tcp_hot *hot)
{
    const uint8_t busy = TCP_HOT_RECOVERING | TCP_HOT_PERSISTING;
    return (row->flags & TCP_ROW_SACK) != 0 && hot->srtt_us != 0 && row->snd_nxt != hot->snd_una &&
           (hot->flags & busy) == 0 && hot->tries == 0 && hot->lost == 0 && hot->sacked == 0 &&
           (hot->rack.flags & TCP_RACK_PROBE) == 0;
}

/* RFC 8985 7.2 counts from each acknowledgement. We count from when the last segment left: when the
 * ones before it are acknowledged a round trip later, its own acknowledgement is due with theirs,
 * and to wait two more is to repair the commonest tail loss after three. */
static uint64_t wait_ns(const struct net *net, const struct tcp_hot *hot)
{
    uint32_t age_us = tcp_now_us(net) - net->tcp->sents[hot->sent_tail].sent_at_us;
    uint32_t wait_us = tcp_tlp_wait_us(hot->srtt_us);
    wait_us = wait_us > age_us + PROBE_SLACK_US ? wait_us - age_us : PROBE_SLACK_US;
    return (uint64_t)wait_us * NS_PER_US;
}

void tcp_tlp_schedule(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if ((hot->sender & TCP_SENDER_PROBE_ARMED) == 0 && hot->rack_at_ns != TCP_NEVER)
        return; /* the reorder timer stands */
    hot->sender &= (uint8_t)~TCP_SENDER_PROBE_ARMED;
    hot->rack_at_ns = TCP_NEVER;
    if (!may_probe(row, hot))
        return;
    uint64_t at_ns = net->now_ns + wait_ns(net, hot);
    hot->rack_at_ns = at_ns < hot->resend_at_ns ? at_ns : hot->resend_at_ns;
    hot->sender |= TCP_SENDER_PROBE_ARMED;
}

/* New octets, whatever cwnd says, if the peer's window has room for any (7.3). */
static bool probe_new(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    uint32_t flight = row->snd_nxt - hot->snd_una;
    uint32_t window = tcp_send_window(row);
    if (!seq_is_before(row->snd_nxt, hot->snd_end) || window <= flight)
        return false;
    uint32_t size = hot->snd_end - row->snd_nxt;
    size = size < window - flight ? size : window - flight;
    size = size < tcp_segment_room(row) ? size : tcp_segment_room(row);
    return tcp_transmit_new(net, conn, size);
}

/* The last segment; cut from its record when that covers more. */
static bool probe_again(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    uint32_t room = tcp_segment_room(row);
    uint32_t index = hot->sent_tail;
    uint32_t size = net->tcp->sents[index].size;
    if (size > room + 1 && !tcp_sent_cut(net, hot, index, size - room))
        return false;
    index = hot->sent_tail;
    uint32_t first_us = net->tcp->sents[index].sent_at_us;
    if (!tcp_transmit_again(net, conn, index))
        return false;
    hot->rack.probe_delay_us = first_us;
    hot->rack.flags |= TCP_RACK_PROBE_AGAIN;
    return true;
}

void tcp_tlp_expired(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    hot->sender &= (uint8_t)~TCP_SENDER_PROBE_ARMED;
    hot->rack_at_ns = TCP_NEVER;
    hot->rack.flags &= (uint8_t) ~(TCP_RACK_PROBE_AGAIN | TCP_RACK_PROBE_ACKED);
    if (!may_probe(row, hot) || (!probe_new(net, conn) && !probe_again(net, conn)))
        return;
    net_count(net, METRIC_TCP_TAIL_PROBES);
    hot->rack.flags |= TCP_RACK_PROBE;
    hot->rack.probe_end = row->snd_nxt;
    hot->resend_at_ns = net->now_ns + tcp_rto_ns(hot);
}

static void learn_delay(struct net *net, struct tcp_hot *hot)
{
    uint32_t delay_us = hot->rack.probe_delay_us;
    net_count(net, METRIC_TCP_TAIL_NEEDLESS);
    tcp_rtt_sample(hot, delay_us);
    if (hot->srtt_us < delay_us / 2)
        hot->srtt_us = delay_us / 2;
    hot->rack.flags &= (uint8_t)~TCP_RACK_PROBE;
}

static void count_loss(struct net *net, const struct tcp_row *row, struct tcp_hot *hot)
{
    hot->rack.flags &= (uint8_t)~TCP_RACK_PROBE;
    if ((hot->flags & TCP_HOT_RECOVERING) != 0)
        return;
    struct tcp_flight flight = tcp_flight_of(net, row, tcp_pipe(row, hot));
    tcp_congestion_enter(hot, &flight);
    tcp_congestion_leave(hot);
}

/* 7.4.2. A timestamp says at once which of the two was acknowledged. */
void tcp_tlp_judge(struct net *net, uint32_t conn, const struct tcp_ack_news *news)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    struct tcp_rack *rack = &hot->rack;
    if (seq_is_before(news->ack, rack->probe_end))
        return;
    if ((rack->flags & TCP_RACK_PROBE_AGAIN) == 0) {
        rack->flags &= (uint8_t)~TCP_RACK_PROBE;
        return;
    }
    bool is_first = (rack->flags & TCP_RACK_PROBE_ACKED) == 0;
    if (is_first)
        rack->probe_delay_us = news->now_us - rack->probe_delay_us;
    rack->flags |= TCP_RACK_PROBE_ACKED;
    if (news->is_spurious || (news->has_dsack && news->dsack.end == rack->probe_end))
        learn_delay(net, hot);
    else if ((is_first && news->has_echo) || seq_is_after(news->ack, rack->probe_end))
        count_loss(net, row, hot);
}
