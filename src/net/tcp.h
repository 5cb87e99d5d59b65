/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP inside: what the tcp_*.c files share. The road of a segment:
 *
 *   tcp_input -> tcp_in.c (RFC 9293 3.10.7, steps 1 to 8) -> tcp_reorder.c, tcp_congestion.c
 *             \-> tcp_open.c (no row: cookies, resets)  \-> tcp_close.c (TIME_WAIT ring)
 *   tcp_send, tcp_close -> dirty list -> tcp_flush -> tcp_out.c -> net_packet_send
 *   tcp_timers -> tcp_timer.c (resend, persist, keepalive, parking in tcp_park.c)
 *
 * Death: tcp_die() takes everything a connection borrowed, writes why into its row and puts the
 * row on the dying list; tcp_raise_closed() turns that into the one NET_CLOSED; the row goes back
 * to the pool when the next net_input() or net_timers() shows that the event was taken. Until then
 * its state is TCP_FREE and it counts as gone. Owner: one worker; net->now_ns is the time. */
#ifndef STENTOR_NET_TCP_H
#define STENTOR_NET_TCP_H

#include "stentor/clock.h"

#include "net_state.h"
#include "tcp_hot.h"
#include "tcp_options.h"
#include "tcp_pressure.h"
#include "tcp_sent.h"
#include "tcp_seq.h"

#define TCP_RTO_US_MIN 200000u     /* RFC 6298 2.4 asks for 1 s; everyone ships 200 ms */
#define TCP_RTO_US_MAX 60000000u   /* RFC 6298 2.5 */
#define TCP_RTO_US_FIRST 1000000u  /* RFC 6298 2.1 */
#define TCP_SYN_TRIES_MAX 6u       /* 1 + 2 + 4 + 8 + 16 + 32 s */
#define TCP_QUIET_NS NS_PER_SECOND /* before an extension goes back */
#define TCP_REFUSED_RETRY_NS (20 * NS_PER_MS) /* no buffer, no neighbour: try again ... */
#define TCP_REFUSED_DOUBLINGS_MAX 6u          /* ... a router that is down is many of them */
#define TCP_ORPHAN_NS (60 * NS_PER_SECOND)    /* FIN_WAIT_2 without a word from the peer */
#define TCP_CLOSING_NS (300 * NS_PER_SECOND)  /* each of the closing states, come what may */
#define TCP_RANGES_NS_MAX (30 * NS_PER_SECOND) /* out-of-order octets nobody completes */
#define TCP_PAWS_SECONDS_MAX (24u * 86400u)   /* RFC 7323 5.5: then ts_recent is void */
#define TCP_CHALLENGE_QUARTERS 2u  /* RFC 5961 10: one challenge ACK in half a second each */
#define TCP_MSS_MIN 256u           /* CVE-2019-11479: no smaller segments, whatever is asked */
#define TCP_DUP_ACKS 3u            /* RFC 5681 3.2 */
#define TCP_EPHEMERAL_FIRST 32768u
#define TCP_EPHEMERAL_LAST 60999u
#define TCP_RECENT_SYNS 4096u      /* a power of two */
#define TCP_RECENT_WAYS 8u         /* of a bucket, the newest first; a power of two */
#define TCP_RECENT_SECONDS 64u     /* how long such a memory counts */
#define TCP_RECENT_RESETS 1024u     /* a power of two */
#define TCP_RECENT_RESET_SECONDS 2u
#define TCP_DUE_MAX 256u           /* timers a turn */

/* All of TCP but the rows; net->tcp. */
struct tcp {
    struct wheel wheel; /* timer k = extension k */
    struct pool hot_pool;
    struct tcp_hot *hots;
    struct pool reference_pool;
    struct tcp_reference *references;
    struct pool sent_pool; /* record hot_max + k of sents is its row k */
    struct tcp_sent *sents;
    struct pool range_pool;
    struct tcp_range *ranges; /* heap, not arena: they hold pointers */
    uint32_t spent_ranges;    /* views handed up this turn; freed by tcp_release() */
    uint32_t range_row_count;
    uint32_t range_clock; /* counts changes of ranges, wrapping */
    uint32_t dsack_conn;  /* whose next ACK reports `dsack` as a duplicate; POOL_NONE = nobody's */
    struct tcp_sack_block dsack;
    uint64_t reorder_bytes;

    uint32_t *owed; /* connections whose ACK waits for the end of the burst */
    uint32_t owed_count;
    uint32_t *dirty; /* extensions with something to send */
    uint32_t dirty_count;
    uint32_t dirty_max;
    uint32_t dying_head;  /* rows whose NET_CLOSED is not raised yet, by tcp_row.link */
    uint32_t dying_tail;
    uint32_t buried_head; /* rows whose NET_CLOSED was raised */

    struct tcp_time_wait *time_wait; /* ring */
    uint32_t *time_wait_buckets;
    uint32_t time_wait_mask;
    uint32_t time_wait_first;
    uint32_t time_wait_count;

    uint32_t recent_resets[TCP_RECENT_RESETS]; /* the same of resets that came before their ACK */
    uint32_t recent_syns[TCP_RECENT_SYNS]; /* by flow hash: 16 bits of it << 16 | second */

    struct tcp_pressure pressure;

    uint64_t sweep_at_ns; /* next slice of the deadline sweep */
    uint16_t window;      /* receive window as advertised with rcv_scale */
    uint16_t window_plain; /* and to a peer without window scaling, or in a SYN */
    uint8_t rcv_scale;
    bool is_isn_fixed; /* tests: tcp_connect() starts at isn_fixed */
    uint16_t ephemeral_next;
    uint32_t isn_fixed;
};

static inline struct tcp_hot *tcp_hot_of(const struct net *net, const struct tcp_row *row)
{
    return row->hot == TCP_HOT_NONE ? NULL : &net->tcp->hots[row->hot];
}
static inline uint32_t tcp_una(const struct net *net, const struct tcp_row *row)
{
    return row->hot == TCP_HOT_NONE ? row->snd_nxt : net->tcp->hots[row->hot].snd_una;
}
static inline uint32_t tcp_send_window(const struct tcp_row *row)
{
    return (uint32_t)row->snd_wnd << row->snd_scale;
}
static inline uint16_t tcp_receive_window(const struct tcp *tcp, const struct tcp_row *row)
{
    return (row->flags & TCP_ROW_WINDOW_SCALE) != 0 ? tcp->window : tcp->window_plain;
}
/* Octets a segment may carry, options deducted. */
static inline uint32_t tcp_segment_room(const struct tcp_row *row)
{
    return (row->flags & TCP_ROW_TIMESTAMPS) != 0 ? row->mss - TCP_TIMESTAMPS_SIZE : row->mss;
}
/* What is thought to be in the network: RFC 6675. */
static inline uint32_t tcp_pipe(const struct tcp_row *row, const struct tcp_hot *hot)
{
    return row->snd_nxt - hot->snd_una - hot->sacked - hot->lost;
}
/* The end of what is queued, with the FIN. */
static inline uint32_t tcp_stream_end(const struct tcp_hot *hot)
{
    return hot->snd_end + ((hot->flags & TCP_HOT_FIN_QUEUED) != 0);
}
static inline uint32_t tcp_quarter_seconds(const struct net *net)
{
    return (uint32_t)(net->now_ns / (NS_PER_SECOND / 4));
}
/* The clock of what is in flight, wrapping. */
static inline uint32_t tcp_now_us(const struct net *net)
{
    return (uint32_t)(net->now_ns / NS_PER_US);
}
static inline uint32_t tcp_now_s(const struct net *net)
{
    return (uint32_t)(net->now_ns / NS_PER_SECOND);
}
/* Our timestamp clock towards that peer: milliseconds (RFC 7323 5.4). */
static inline uint32_t tcp_timestamp(const struct net *net, const struct tcp_key *key)
{
    return (uint32_t)(net->now_ns / NS_PER_MS) + tcp_cookie_timestamp_offset(&net->cookie, key);
}

/* ---- tcp_in.c ---- */

void tcp_set_state(struct net *net, uint32_t conn, enum tcp_state state);
/* The segment of an open row, steps 1 to 8. */
void tcp_input_open(struct net *net, const struct tcp_segment *segment, uint32_t conn,
                    struct net_events *events);

/* ---- tcp_open.c ---- */

/* Sends our SYN, again when it was sent before, and arms its timer. */
void tcp_transmit_syn(struct net *net, uint32_t conn);
/* A segment for no row: TIME_WAIT, cookies, resets. */
void tcp_input_unknown(struct net *net, struct packet *packet, const struct tcp_segment *segment,
                       struct net_events *events);
/* RFC 9293 3.10.7.3. */
void tcp_input_syn_sent(struct net *net, struct packet *packet, const struct tcp_segment *segment,
                        uint32_t conn, struct net_events *events);
/* Answers a segment that has no business here, at a bounded rate; never a reset by a reset. */
void tcp_reset_reply(struct net *net, struct packet *packet, const struct tcp_segment *segment);

/* ---- tcp_out.c ---- */

/* Writes the octets of sequence numbers [seq, seq + size) of the send queue. The one place where
 * queued references become octets of a segment: TLS sealing comes in here. */
void segment_fill(struct net *net, uint32_t conn, uint32_t seq, uint8_t *into, uint32_t size);
/* Sends the octets [seq, seq + size) and, when they end the queue, the FIN if there is one. False
 * when no packet was to be had. The scoreboard is the caller's business. */
bool tcp_transmit(struct net *net, uint32_t conn, uint32_t seq, uint32_t size);
/* Sends new octets from row.snd_nxt on, and records them. */
bool tcp_transmit_new(struct net *net, uint32_t conn, uint32_t size);
/* Sends a record again, as much of it as fits a segment; the rest of it becomes a record of its
 * own. A LOST one takes along what follows, as far as it is lost, too, or new. */
bool tcp_transmit_again(struct net *net, uint32_t conn, uint32_t index);
/* What is lost first, then new octets: all that windows allow now. */
void tcp_output(struct net *net, uint32_t conn);
/* A segment without octets, at once. */
void tcp_transmit_ack(struct net *net, uint32_t conn);
void tcp_transmit_ack_at(struct net *net, uint32_t conn, uint32_t seq);
void tcp_transmit_reset(struct net *net, uint32_t conn);
/* RFC 5961: an ACK to a segment that may be forged, at a bounded rate a connection. */
void tcp_challenge(struct net *net, uint32_t conn);
/* An ACK at the end of the burst. */
void tcp_owe_ack(struct net *net, uint32_t conn);
/* How long to wait when there was no packet to send in; longer each time in a row. */
uint64_t tcp_refused_retry_ns(struct tcp_hot *hot);
/* On the list of tcp_flush(). */
void tcp_mark_dirty(struct net *net, uint32_t conn);
/* Puts it at the end of the queue. ERROR_POOL_EMPTY when there is no row for it. */
MUST_USE enum error tcp_reference_add(struct net *net, struct tcp_hot *hot,
                                      const struct tcp_reference *reference);
/* Gives back the references whose octets all lie before ack. */
void tcp_references_acked(struct net *net, uint32_t conn, uint32_t ack);
void tcp_references_lost(struct net *net, uint32_t conn);
/* Writes a TCP header with everything but ports' peer; returns where options go. */
uint8_t *tcp_header_write(uint8_t *at, const struct tcp_key *key, uint32_t seq, uint32_t ack,
                          uint8_t flags);

/* ---- tcp_rack.c ---- */

/* Marks what is lost by now and arms the reorder timer for what may be: RFC 8985 6.2 step 5. */
void tcp_rack_detect(struct net *net, struct tcp_hot *hot);
/* The retransmission timer expired: marks what is lost (6.3). */
void tcp_rack_expired(struct net *net, struct tcp_hot *hot);

/* ---- tcp_tlp.c ---- */

/* Arms the tail probe after new octets left or snd_una moved, where one may be sent. */
void tcp_tlp_schedule(struct net *net, uint32_t conn);
/* Its time has come. */
void tcp_tlp_expired(struct net *net, uint32_t conn);
/* A probe is out (TCP_RACK_PROBE), and this came; snd_una has moved. */
void tcp_tlp_judge(struct net *net, uint32_t conn, const struct tcp_ack_news *news);
/* How long a probe waits. */
uint32_t tcp_tlp_wait_us(uint32_t srtt_us);

/* ---- tcp_timer.c ---- */

/* Arms the extension's timer at its earliest instant. */
void tcp_timer_update(struct net *net, uint32_t conn);
uint64_t tcp_rto_ns(const struct tcp_hot *hot);
/* RFC 6298 2: one measurement. */
void tcp_rtt_sample(struct tcp_hot *hot, uint32_t rtt_us);
void tcp_rto_compute(struct tcp_hot *hot);
/* The coarse deadline of keepalive starts over. */
void tcp_keepalive_start(struct net *net, uint32_t conn);

/* ---- tcp_park.c ---- */

/* Borrows an extension; the one there is when there is one. NULL when the pool is empty. */
MUST_USE struct tcp_hot *tcp_unpark(struct net *net, uint32_t conn);
bool tcp_can_park(const struct net *net, uint32_t conn);
void tcp_park(struct net *net, uint32_t conn);
/* Parks at once what could be parked after a second of quiet, when more than half of the pool is
 * out. */
void tcp_park_if_scarce(struct net *net, uint32_t conn);
/* Gives the extension back as it stands (death). */
void tcp_hot_give(struct net *net, uint32_t conn);
/* Microseconds in 16 bits: 5 of exponent, 11 of mantissa; exact to 1/2048. */
uint16_t tcp_log_of_us(uint32_t us);
uint32_t tcp_us_of_log(uint16_t log);
/* For ASSERT_SLOW and tests: every extension has its row, its armed timer, its octets in order. */
bool tcp_is_valid(const struct net *net);

/* ---- tcp_close.c ---- */

/* The end of a connection, whatever the reason. */
void tcp_die(struct net *net, uint32_t conn, enum net_close_why why);
/* Raises NET_CLOSED for up to `max` dead rows. */
void tcp_raise_closed(struct net *net, struct net_events *events, uint32_t max);
/* Rows whose NET_CLOSED was taken go back to the pool. */
void tcp_bury(struct net *net);
/* Both FINs are done: leaves a record for 2 MSL and dies. */
void tcp_enter_time_wait(struct net *net, uint32_t conn);
/* A record that expires no sooner than all there are. */
void tcp_time_wait_add(struct net *net, const struct tcp_time_wait *record);
/* NULL when that connection is not in TIME_WAIT. */
struct tcp_time_wait *tcp_time_wait_find(struct net *net, const struct tcp_key *key, uint64_t hash);
/* True when the segment is dealt with; false when it may open a new connection. */
bool tcp_time_wait_input(struct net *net, struct packet *packet, const struct tcp_segment *segment,
                         struct tcp_time_wait *record);
void tcp_time_wait_expire(struct net *net);
/* RFC 9293 3.10.7.4 step 5: our FIN was acknowledged. */
void tcp_fin_acked(struct net *net, uint32_t conn);
/* A word from the peer in FIN_WAIT_2 starts its minute over, but not for ever. */
void tcp_fin_wait_2_again(const struct net *net, struct tcp_hot *hot);
/* Step 8: the peer's FIN has its turn. */
void tcp_fin_received(struct net *net, uint32_t conn, struct net_events *events);

/* ---- tcp_reorder.c ---- */

/* Keeps octets that lie ahead of rcv_nxt. False when a limit refuses; the peer sends again. */
bool tcp_reorder_add(struct net *net, struct tcp_hot *hot, uint32_t seq, struct bytes octets);
/* Raises what has become in order, moving rcv_nxt. */
void tcp_reorder_take(struct net *net, uint32_t conn, struct net_events *events);
/* The blocks of the SACK option of the ACK about to be sent, at most max of them: first a duplicate
 * that came just now (RFC 2883), then ranges, the last changed first (RFC 2018 section 4). Taking a
 * duplicate's block ends it. The parked have duplicates only. */
uint32_t tcp_sack_blocks(struct net *net, uint32_t conn, struct tcp_sack_block *out, uint32_t max);
/* Octets [seq, end) came a second time; an ACK must follow at once, before any other segment. */
void tcp_duplicate_came(struct net *net, uint32_t conn, uint32_t seq, uint32_t end);
/* Drops all of a connection's. */
void tcp_reorder_drop(struct net *net, struct tcp_hot *hot);
/* Frees what was handed up. */
void tcp_reorder_release(struct net *net);

/* ---- tcp_congestion.c: CUBIC or NewReno by net_options.congestion ---- */

/* What an event of congestion control is judged by. */
struct tcp_flight {
    enum net_congestion algorithm;
    uint32_t mss;     /* octets a segment may carry */
    uint32_t snd_nxt;
    uint32_t pipe;    /* thought to be in the network (RFC 6675); before the event, but see below */
    uint32_t now_us;  /* wrapping */
};

static inline struct tcp_flight tcp_flight_of(const struct net *net, const struct tcp_row *row,
                                              uint32_t pipe)
{
    return (struct tcp_flight){
        .algorithm = net->options.congestion,
        .mss = tcp_segment_room(row),
        .snd_nxt = row->snd_nxt,
        .pipe = pipe,
        .now_us = tcp_now_us(net),
    };
}

/* hot->snd_una is set. Initial window, no history. */
void tcp_congestion_start(struct tcp_hot *hot, uint32_t mss);
/* Nothing was in flight for an RTO: RFC 5681 4.1. */
void tcp_congestion_idle(struct tcp_hot *hot, uint32_t mss);
/* Output stopped because cwnd is used up, at snd_nxt: what is acknowledged up to here may grow it,
 * and nothing else may (RFC 9438 5.8). */
void tcp_congestion_used_up(struct tcp_hot *hot, uint32_t snd_nxt);
/* Outside recovery: snd_una moves to ack (and still stands at the old place). Grows cwnd. */
void tcp_congestion_grow(struct tcp_hot *hot, const struct tcp_flight *flight, uint32_t ack);
/* Loss was found: ssthresh comes down, PRR starts, recover = snd_nxt - 1, TCP_HOT_RECOVERING is
 * set. Call tcp_congestion_recover() for the same acknowledgement next. Within the window of a
 * reduction for ECE nothing is reduced again. */
void tcp_congestion_enter(struct tcp_hot *hot, const struct tcp_flight *flight);
/* An acknowledgement in recovery, the one that began it included: cwnd by PRR. flight->pipe is the
 * one after it; delivered counts what it newly acknowledged or SACKed; safety is TCP_ACK_SAFE when
 * snd_una moved and nothing more was marked lost. */
enum tcp_ack_safety { TCP_ACK_UNSAFE, TCP_ACK_SAFE };
void tcp_congestion_recover(struct tcp_hot *hot, const struct tcp_flight *flight,
                            uint32_t delivered, enum tcp_ack_safety safety);
/* Octets left while TCP_HOT_RECOVERING, new ones and retransmissions alike. */
static inline void tcp_congestion_sent(struct tcp_hot *hot, uint32_t octets)
{
    if ((hot->flags & TCP_HOT_RECOVERING) != 0)
        tcp_prr_sent(&hot->prr, octets);
}
/* snd_una passed recover: cwnd = ssthresh, flag cleared. */
void tcp_congestion_leave(struct tcp_hot *hot);
/* The retransmission timer expired: slow start from one segment. hot->tries is not counted up yet,
 * so that only the first of a row reduces. */
void tcp_congestion_expired(struct tcp_hot *hot, const struct tcp_flight *flight);
/* An acknowledgement with ECE, after snd_una moved: one reduction a window (RFC 3168 6.1.2), and
 * CWR is owed. True when it was reduced. */
bool tcp_congestion_marked(struct tcp_hot *hot, const struct tcp_flight *flight);
/* The last reduction was for nothing (DSACK, Eifel): cwnd and ssthresh as before it, recovery is
 * over. Nothing to undo: nothing happens. */
void tcp_congestion_undo(struct tcp_hot *hot);

/* ---- tcp_ack.c ---- */

/* An acceptable acknowledgement of a connection with an extension: scoreboard, round-trip time,
 * loss detection, recovery, congestion window; moves snd_una. */
void tcp_take_ack(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                  const struct tcp_options *options, struct net_events *events);
/* Whether the peer acknowledges a transmission of the record before its last one: its timestamp
 * echo is older than that. */
static inline bool tcp_news_is_original(const struct tcp_ack_news *news,
                                        const struct tcp_sent *record)
{
    uint32_t age_us = news->now_us - record->sent_at_us;
    uint32_t sent_ms = (uint32_t)((news->now_ns / NS_PER_US - age_us) / (NS_PER_MS / NS_PER_US));
    return news->has_echo && seq_is_before(news->echo_ms, sent_ms);
}
/* After records were judged: starts a recovery for what is newly lost, unless one goes on or a
 * timeout is being repaired; gives the window of the recovery that goes on. pipe_before is that of
 * before the event, delivered what the event delivered. */
void tcp_judge_loss(struct net *net, uint32_t conn, uint32_t pipe_before, uint32_t delivered,
                    enum tcp_ack_safety safety);

#endif
