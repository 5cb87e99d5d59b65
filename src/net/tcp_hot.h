/* SPDX-License-Identifier: Apache-2.0
 *
 * What a busy connection borrows, and what TCP keeps beside the rows.
 *
 *   tcp_row --hot--> tcp_hot --reference_head--> tcp_reference -> ...   sent or waiting, in order
 *                        \-----range_head------> tcp_range -> ...       arrived ahead of a gap
 *
 * An extension exists while something is unacknowledged, unsent, out of order, opening or closing,
 * and for a second of quiet after (tcp_park.c). Extension k owns timer k of the wheel, armed at
 * the earliest of its instants; an extension without an armed timer is a bug (tcp_is_valid).
 * References and extensions hold indices only. Ranges name heap blocks and are process-local: a
 * new process starts without them and the peer sends again. Owner: one worker. */
#ifndef STENTOR_NET_TCP_HOT_H
#define STENTOR_NET_TCP_HOT_H

#include "tcp_cubic.h"
#include "tcp_prr.h"
#include "tcp_rack.h"
#include "tcp_row.h"

/* Octets of a blob in sequence space. Immutable from tcp_send() to the acknowledgement. */
struct tcp_reference {
    uint32_t seq_start;
    uint32_t blob;
    uint32_t offset;
    uint32_t size;
    uint32_t next; /* POOL_NONE ends */
    uint32_t tag;  /* TLS: start of the record's tag, compared when it is sealed again */
};
static_assert(sizeof(struct tcp_reference) == 24, "docs/LIMITS.md counts on 24 octets");

/* Octets that arrived ahead of rcv_nxt, copied: no packet waits for a gap to close. */
struct tcp_range {
    uint8_t *octets; /* heap block */
    uint32_t seq;
    uint32_t size;
    uint32_t room; /* of the block; what reorder_bytes counts */
    uint32_t next; /* POOL_NONE ends; ascending, with gaps between */
    uint32_t changed_at; /* tcp->range_clock when octets came for it: the order of SACK blocks */
    uint32_t front; /* octets start here in the block */
};
static_assert(sizeof(struct tcp_range) == 32, "docs/LIMITS.md counts on 32 octets");

#define TCP_RANGES_MAX 16u /* a connection; CVE-2018-5390 */

#define TCP_HOT_FIN_QUEUED 0x01u /* tcp_close() was called; FIN stands at snd_end */
#define TCP_HOT_DIRTY 0x02u      /* on the list of tcp_flush() */
#define TCP_HOT_REFUSED 0x04u    /* tcp_send() said ERROR_LIMIT: a NET_SENT is owed */
#define TCP_HOT_RECOVERING 0x08u /* from a loss, until snd_una passes recover */
#define TCP_HOT_PERSISTING 0x10u /* resend_at_ns is the persist timer's */
#define TCP_HOT_PEER_FIN 0x40u   /* a FIN waits at peer_fin_seq behind a gap */
#define TCP_HOT_CWR 0x80u        /* the next segment with new octets says CWR: RFC 3168 6.1.2 */

#define TCP_SENDER_OWN_RECORD 0x01u   /* its own record of the scoreboard is in use */
#define TCP_SENDER_RESEND_NOW 0x02u   /* the next LOST record goes whatever cwnd says */
#define TCP_SENDER_PROBE_ARMED 0x04u  /* rack_at_ns is the tail probe's, not the reorder timer's */
#define TCP_SENDER_NEWLY_LOST 0x20u   /* a record was marked LOST and this was not judged yet */
#define TCP_SENDER_RESENT 0x40u       /* something in flight was sent more than once */
#define TCP_SENDER_FULL_PASSED 0x80u  /* a full segment of this size arrived: no black hole */
#define TCP_SENDER_THIN 0x08u         /* few in flight at a timeout: the next grows evenly */

#define TCP_NEVER UINT64_MAX

struct tcp_hot {
    /* line 0: every acknowledgement and every transmission */
    uint64_t resend_at_ns; /* retransmission, persist or SYN timer; TCP_NEVER = off */
    uint32_t conn;
    uint32_t snd_una;
    uint32_t snd_end; /* past the last octet queued, FIN not counted */
    uint32_t cwnd;    /* against pipe, tcp_pipe() */
    uint32_t snd_wl1;
    uint32_t snd_wl2;
    uint32_t reference_head; /* covers snd_una; POOL_NONE = nothing queued */
    uint32_t reference_tail;
    uint32_t sent_head; /* records of the scoreboard, tcp_sent.h; POOL_NONE = nothing in flight */
    uint32_t sent_tail;
    uint32_t sacked; /* octets of records so marked; without SACK what duplicates stand for */
    uint32_t lost;
    uint16_t sent_count;
    uint16_t dup_acks; /* without SACK: since snd_una moved or recovery began */
    uint8_t flags;     /* TCP_HOT_* */
    uint8_t sender;    /* TCP_SENDER_* */
    uint8_t tries;     /* expiries in a row of resend_at_ns: the backoff */
    uint8_t refusals;  /* in a row, of a packet to send in: TCP_REFUSED_RETRY_NS backs off */

    /* line 1: timers and measurement */
    uint64_t quiet_at_ns;    /* last queueing, sending or reordering; parking waits from here */
    uint64_t progress_at_ns; /* since when nothing was acknowledged: the user timeout */
    uint64_t orphan_at_ns;   /* FIN_WAIT_2 ends; TCP_NEVER = off */
    uint64_t rack_at_ns;     /* tail probe or reorder timer (RFC 8985), never both */
    uint32_t reference_at;   /* where segment_fill() last stopped; a hint within the list */
    uint32_t srtt_us;        /* 0 = not measured yet */
    uint32_t rttvar_us;
    uint32_t rto_us; /* without backoff */
    uint32_t ssthresh;
    uint32_t recover;     /* last sequence number sent when the loss was noticed */
    uint32_t snd_wnd_max; /* largest window ever offered: silly window avoidance */
    uint32_t sacked_segments;

    /* line 2: receiving out of order, and loss detection */
    uint32_t range_head;
    uint32_t range_count;
    union {
        uint32_t peer_fin_seq;
        uint32_t iss; /* SYN_SENT only */
    };
    struct tcp_rack rack;
    uint8_t reserve[8];
    uint32_t ssthresh_undo; /* goes with cwnd_undo */
    uint32_t bytes_acked;   /* since cwnd last grew, congestion avoidance of NewReno */

    /* line 3: congestion control, written by tcp_congestion.c alone */
    struct tcp_cubic cubic;
    struct tcp_prr prr;
    uint32_t cwr_seq;     /* snd_nxt at the last reduction for ECE: one a window */
    uint32_t limited_seq; /* snd_nxt when cwnd was last used up; growth is for these octets only */
    uint32_t cwnd_undo;   /* before the last reduction; 0 = nothing to undo */
};
static_assert(sizeof(struct tcp_hot) == 4 * CACHE_LINE, "docs/LIMITS.md counts on four lines");
static_assert(offsetof(struct tcp_hot, cubic) == 3 * CACHE_LINE, "line 3 is congestion control's");
static_assert(offsetof(struct tcp_hot, quiet_at_ns) == CACHE_LINE, "line 1 starts at the timers");

/* A connection that closed first and is remembered so that late segments do no harm. */
struct tcp_time_wait {
    struct net_address remote;
    uint16_t remote_port;
    uint16_t local_port;
    uint16_t local;
    uint16_t spare;
    uint32_t snd_nxt;
    uint32_t rcv_nxt;
    uint32_t ts_recent;
    uint32_t chain; /* next of the hash bucket, POOL_NONE ends */
    uint16_t neighbour;
    uint8_t flags; /* TCP_ROW_TIMESTAMPS */
    uint8_t is_live;
    uint16_t window; /* as in the header */
    uint16_t answered_at; /* last ACK, 1/4 s, wrapping */
    uint64_t expires_at_ns;
};
static_assert(sizeof(struct tcp_time_wait) == 56, "docs/LIMITS.md counts on 56 octets");

#endif
