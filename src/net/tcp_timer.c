/* SPDX-License-Identifier: Apache-2.0
 *
 * Time of TCP. Each extension has one timer of the wheel, armed at the earliest of: resend (the
 * retransmission timer of RFC 6298, the persist timer of RFC 9293 3.8.6.1, or the SYN's), the end
 * of FIN_WAIT_2, and the look whether it can be parked. Coarse time (keepalive, RFC 9293 3.8.4) is
 * a deadline a row, looked at in slices, and re-armed lazily: a row that heard from its peer since
 * only gets a new deadline. */
#include "tcp.h"
#include "tcp_path.h"

#define RTT_GRANULARITY_US 1000u
#define THIN_RECORDS 4u /* fewer in flight: no duplicates would tell of a loss */
#define THIN_TRIES 6u   /* in which its timeout grows evenly */
#define SWEEP_SMALL_ROWS 65536u

/* ---- round-trip time ---- */

void tcp_rto_compute(struct tcp_hot *hot)
{
    if (hot->srtt_us == 0) {
        hot->rto_us = TCP_RTO_US_FIRST;
        return;
    }
    uint32_t spread = 4 * hot->rttvar_us;
    uint32_t rto = hot->srtt_us + (spread > RTT_GRANULARITY_US ? spread : RTT_GRANULARITY_US);
    if (rto < TCP_RTO_US_MIN)
        rto = TCP_RTO_US_MIN;
    hot->rto_us = rto < TCP_RTO_US_MAX ? rto : TCP_RTO_US_MAX;
}

void tcp_rtt_sample(struct tcp_hot *hot, uint32_t rtt_us)
{
    if (rtt_us > TCP_RTO_US_MAX)
        rtt_us = TCP_RTO_US_MAX;
    if (rtt_us == 0)
        rtt_us = 1; /* 0 means not measured */
    if (hot->srtt_us == 0) {
        hot->srtt_us = rtt_us;
        hot->rttvar_us = rtt_us / 2;
    } else {
        uint32_t off = rtt_us > hot->srtt_us ? rtt_us - hot->srtt_us : hot->srtt_us - rtt_us;
        hot->rttvar_us = (3 * hot->rttvar_us + off) / 4;
        hot->srtt_us = (uint32_t)((7 * (uint64_t)hot->srtt_us + rtt_us) / 8);
        if (hot->srtt_us == 0)
            hot->srtt_us = 1;
    }
    tcp_rto_compute(hot);
}

uint64_t tcp_rto_ns(const struct tcp_hot *hot)
{
    uint32_t shift = hot->tries < 16 ? hot->tries : 16;
    uint64_t rto_us = (uint64_t)hot->rto_us << shift; /* RFC 6298 5.5 */
    if ((hot->sender & TCP_SENDER_THIN) != 0) {
        uint32_t even = hot->tries < THIN_TRIES ? hot->tries : THIN_TRIES;
        rto_us = (uint64_t)hot->rto_us * (even + 1) << (shift - (even < shift ? even : shift));
    }
    return (rto_us < TCP_RTO_US_MAX ? rto_us : TCP_RTO_US_MAX) * NS_PER_US;
}

/* ---- the extension's timer ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void tcp_timer_update(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    uint64_t quiet_at_ns = hot->quiet_at_ns + TCP_QUIET_NS;
    if (quiet_at_ns <= net->now_ns)
        quiet_at_ns = net->now_ns + TCP_QUIET_NS; /* looked at, and not to be parked yet */
    uint64_t due_ns = earlier(quiet_at_ns, earlier(hot->resend_at_ns, hot->orphan_at_ns));
    due_ns = earlier(due_ns, hot->rack_at_ns);
    wheel_arm(&net->tcp->wheel, row->hot, due_ns);
}

static const struct net_liveness *liveness_of(const struct net *net, const struct tcp_row *row)
{
    return &net->options.liveness[row->liveness];
}

static bool is_out_of_patience(const struct net *net, const struct tcp_hot *hot)
{
    uint64_t limit_ns = liveness_of(net, &net->rows[hot->conn])->user_timeout_ns;
    if ((hot->flags & TCP_HOT_PERSISTING) != 0 && net->options.window_shut_ns != 0)
        limit_ns = net->options.window_shut_ns; /* RFC 6429 3 */
    return limit_ns != 0 && net->now_ns - hot->progress_at_ns >= limit_ns;
}

static void give_up(struct net *net, uint32_t conn)
{
    tcp_transmit_reset(net, conn);
    tcp_die(net, conn, NET_CLOSE_TIMEOUT);
}

static void syn_expired(struct net *net, uint32_t conn, struct tcp_hot *hot)
{
    if (hot->tries >= TCP_SYN_TRIES_MAX || is_out_of_patience(net, hot)) {
        tcp_die(net, conn, NET_CLOSE_REFUSED);
        return;
    }
    tcp_transmit_syn(net, conn);
}

/* RFC 9293 3.8.6.1: one octet past the window, or what a window too small for a segment allows. */
static bool transmit_probe(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot->sent_head != POOL_NONE)
        return tcp_transmit_again(net, conn, hot->sent_head);
    uint32_t pending = hot->snd_end - hot->snd_una;
    uint32_t size = tcp_send_window(row) > 1 ? tcp_send_window(row) : 1;
    if (size > pending)
        size = pending;
    if (size > tcp_segment_room(row))
        size = tcp_segment_room(row);
    return tcp_transmit_new(net, conn, size);
}

static void persist_expired(struct net *net, uint32_t conn, struct tcp_hot *hot)
{
    if (hot->tries < UINT8_MAX)
        hot->tries++;
    hot->resend_at_ns = net->now_ns + tcp_rto_ns(hot);
    (void)transmit_probe(net, conn);
    net_count(net, METRIC_TCP_PERSIST_PROBES);
}

/* RFC 6298 5.4 to 5.6. */
static void retransmission_expired(struct net *net, uint32_t conn, struct tcp_hot *hot)
{
    const struct tcp_row *row = &net->rows[conn];
    net_count(net, METRIC_TCP_TIMEOUTS);
    tcp_path_timeout(net, conn, hot->tries + 1u);
    struct tcp_flight flight = tcp_flight_of(net, row, tcp_pipe(row, hot));
    tcp_congestion_expired(hot, &flight);
    if (hot->tries < UINT8_MAX)
        hot->tries++;
    hot->resend_at_ns = TCP_NEVER;
    hot->rack_at_ns = TCP_NEVER;
    hot->rack.flags &= (uint8_t)~TCP_RACK_PROBE;
    hot->sender &= (uint8_t) ~(TCP_SENDER_PROBE_ARMED | TCP_SENDER_THIN);
    hot->sender |= TCP_SENDER_RESEND_NOW;
    if (hot->sent_count < THIN_RECORDS && hot->srtt_us != 0)
        hot->sender |= TCP_SENDER_THIN;
    hot->dup_acks = 0;
    if ((row->flags & TCP_ROW_SACK) != 0) {
        tcp_sent_renege(net, hot);
        tcp_rack_expired(net, hot);
        hot->sender &= (uint8_t)~TCP_SENDER_NEWLY_LOST;
    } else {
        tcp_sent_lose_all(net, hot);
    }
    tcp_output(net, conn);
}

static void resend_expired(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (row->state == TCP_SYN_SENT) {
        syn_expired(net, conn, hot);
        return;
    }
    bool is_persisting = (hot->flags & TCP_HOT_PERSISTING) != 0;
    if (row->snd_nxt == hot->snd_una && !is_persisting) {
        hot->resend_at_ns = TCP_NEVER; /* it was for want of a buffer or a neighbour */
        tcp_output(net, conn);
        return;
    }
    if (is_out_of_patience(net, hot))
        give_up(net, conn);
    else if (is_persisting)
        persist_expired(net, conn, hot);
    else
        retransmission_expired(net, conn, hot);
}

/* The tail probe's time, or that of RFC 8985 6.2 step 5: what was suspected may be lost by now. */
static void rack_expired(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if ((hot->sender & TCP_SENDER_PROBE_ARMED) != 0) {
        tcp_tlp_expired(net, conn);
        return;
    }
    uint32_t pipe_before = tcp_pipe(row, hot);
    tcp_rack_detect(net, hot);
    tcp_judge_loss(net, conn, pipe_before, 0, TCP_ACK_UNSAFE);
    tcp_output(net, conn);
}

static void timer_step(struct net *net, uint32_t index)
{
    struct tcp_hot *hot = &net->tcp->hots[index];
    uint32_t conn = hot->conn;
    ASSERT(pool_is_live(&net->tcp->hot_pool, index));
    ASSERT(net->rows[conn].hot == index);
    if (net->now_ns >= hot->orphan_at_ns) {
        give_up(net, conn);
        return;
    }
    if (net->now_ns >= hot->rack_at_ns)
        rack_expired(net, conn);
    if (net->now_ns >= hot->resend_at_ns)
        resend_expired(net, conn);
    if (net->rows[conn].hot != index)
        return;
    bool is_waiting = hot->range_count != 0 || (hot->flags & TCP_HOT_PEER_FIN) != 0;
    if (is_waiting && net->now_ns - hot->quiet_at_ns >= TCP_RANGES_NS_MAX)
        tcp_reorder_drop(net, hot);
    if (net->now_ns - hot->quiet_at_ns >= TCP_QUIET_NS && tcp_can_park(net, conn))
        tcp_park(net, conn);
    else
        tcp_timer_update(net, conn);
}

/* ---- keepalive ---- */

static uint32_t deadline_seconds(uint64_t duration_ns)
{
    uint64_t seconds = duration_ns / NS_PER_SECOND;
    return seconds < DEADLINE_SECONDS_MAX ? (uint32_t)seconds : DEADLINE_SECONDS_MAX;
}

static uint32_t idle_seconds(const struct net *net, const struct tcp_row *row)
{
    return deadline_seconds(liveness_of(net, row)->keepalive_idle_ns);
}

static uint32_t interval_seconds(const struct net *net, const struct tcp_row *row)
{
    uint32_t seconds = deadline_seconds(liveness_of(net, row)->keepalive_interval_ns);
    return seconds != 0 ? seconds : 1;
}

static bool has_keepalive(const struct net *net)
{
    for (uint32_t i = 0; i < NET_LIVENESS_CLASSES; i++)
        if (deadline_seconds(net->options.liveness[i].keepalive_idle_ns) != 0)
            return true;
    return false;
}

/* A tenth early at random, so that a million streams accepted at once are not probed at once. */
void tcp_keepalive_start(struct net *net, uint32_t conn)
{
    uint32_t idle = idle_seconds(net, &net->rows[conn]);
    if (idle == 0) {
        deadline_clear(&net->deadline, conn);
        return;
    }
    uint32_t early = random_below(net->options.random, idle / 10 + 1);
    deadline_set(&net->deadline, conn, net->now_ns, idle - early);
}

void tcp_set_liveness(struct net *net, uint32_t conn, uint32_t liveness)
{
    ASSERT(pool_is_live(&net->pool, conn));
    ASSERT(liveness < NET_LIVENESS_CLASSES);
    struct tcp_row *row = &net->rows[conn];
    if (row->state == TCP_FREE || row->liveness == liveness)
        return;
    row->liveness = (uint8_t)liveness;
    tcp_keepalive_start(net, conn);
}

static void keepalive_expired(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    if (!pool_is_live(&net->pool, conn) || row->state == TCP_FREE)
        return;
    uint32_t idle = idle_seconds(net, row);
    uint32_t quiet = tcp_now_s(net) - row->active_at_s;
    if (row->state == TCP_SYN_SENT || tcp_una(net, row) != row->snd_nxt) {
        tcp_keepalive_start(net, conn); /* the retransmission timer watches the peer */
        return;
    }
    if (row->keepalive_probes == 0 && quiet + idle / 8 < idle) {
        deadline_set(&net->deadline, conn, net->now_ns, idle - quiet);
        return;
    }
    if (row->keepalive_probes >= liveness_of(net, row)->keepalive_probes) {
        give_up(net, conn);
        return;
    }
    row->keepalive_probes++;
    net_count(net, METRIC_TCP_KEEPALIVE_PROBES);
    tcp_transmit_ack_at(net, conn, row->snd_nxt - 1);
    deadline_set(&net->deadline, conn, net->now_ns, interval_seconds(net, row));
}

/* All rows are passed in about five seconds, whatever their number. */
static void sweep_deadlines(struct net *net)
{
    if (net->now_ns < net->tcp->sweep_at_ns || !has_keepalive(net))
        return;
    uint32_t row_end = net->pool.high_water;
    bool is_small = row_end <= SWEEP_SMALL_ROWS;
    uint32_t rows = row_end / (is_small ? 10 : 100) + 64;
    uint32_t expired[TCP_DUE_MAX];
    net->tcp->sweep_at_ns = net->now_ns + (is_small ? 500 : 50) * NS_PER_MS;
    uint32_t count =
        deadline_sweep(&net->deadline, net->now_ns, row_end, rows, expired, TCP_DUE_MAX);
    for (uint32_t i = 0; i < count; i++)
        keepalive_expired(net, expired[i]);
}

/* ---- a turn ---- */

static void set_gauges(struct net *net)
{
    const struct tcp *tcp = net->tcp;
    struct metrics *metrics = net->options.metrics;
    metric_set(metrics, METRIC_TCP_HOT, tcp->hot_pool.used);
    metric_set(metrics, METRIC_TCP_TIME_WAIT, tcp->time_wait_count);
    metric_set(metrics, METRIC_TCP_REFERENCES, tcp->reference_pool.used);
    metric_set(metrics, METRIC_TCP_REORDER_BYTES, (int64_t)tcp->reorder_bytes);
}

void tcp_timers(struct net *net, struct net_events *events)
{
    uint32_t due[TCP_DUE_MAX];
    uint32_t count = wheel_turn(&net->tcp->wheel, net->now_ns, due, TCP_DUE_MAX);
    for (uint32_t i = 0; i < count; i++)
        timer_step(net, due[i]);
    sweep_deadlines(net);
    tcp_time_wait_expire(net);
    tcp_pressure_turn(net);
    tcp_raise_closed(net, events, ARRAY_COUNT(events->items));
    set_gauges(net);
    ASSERT_SLOW(tcp_is_valid(net));
}

uint64_t tcp_next_ns(const struct net *net)
{
    const struct tcp *tcp = net->tcp;
    if (tcp->dying_head != POOL_NONE || tcp->buried_head != POOL_NONE)
        return 0;
    uint64_t next_ns = wheel_next_ns(&tcp->wheel);
    if (net->pool.used != 0 && has_keepalive(net))
        next_ns = earlier(next_ns, tcp->sweep_at_ns);
    next_ns = earlier(next_ns, tcp_pressure_next_ns(net));
    if (tcp->time_wait_count != 0)
        next_ns = earlier(next_ns, tcp->time_wait[tcp->time_wait_first].expires_at_ns);
    return next_ns;
}
