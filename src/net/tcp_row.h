/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection at rest: one cache line. Everything a pure in-order segment of a parked connection
 * reads and writes stands here; what only a busy connection needs is in its borrowed extension
 * (tcp_hot.h), named by `hot`. Owner: one worker. No pointers (DESIGN law 3). */
#ifndef STENTOR_NET_TCP_ROW_H
#define STENTOR_NET_TCP_ROW_H

#include "stentor/bytes.h"
#include "stentor/net.h"

#define TCP_HOT_NONE UINT32_MAX

/* RFC 9293 section 3.3.2. No rows: LISTEN, SYN_RCVD (cookies), TIME_WAIT (a ring). */
enum tcp_state {
    TCP_FREE,
    TCP_SYN_SENT,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK
};

#define TCP_ROW_TIMESTAMPS 0x01u
#define TCP_ROW_WINDOW_SCALE 0x02u
#define TCP_ROW_SACK 0x04u     /* the peer offered it; used by a later version */
#define TCP_ROW_ACTIVE 0x08u   /* we opened it */
#define TCP_ROW_ACK_OWED 0x10u /* on the turn's list of acknowledgements */
#define TCP_ROW_ECN 0x20u      /* negotiated: RFC 3168 6.1.1 */
#define TCP_ROW_ECN_ECHO 0x40u /* a marked packet came; ECE until the peer says CWR */
#define TCP_ROW_CROSSED 0x80u  /* SYN_SENT: a SYN of the peer's met ours, rcv_nxt is known */

struct tcp_row {
    struct net_address remote; /* key, with the next three */
    uint16_t remote_port;
    uint16_t local_port;
    uint16_t local;   /* which of our addresses */
    uint8_t liveness; /* class of keepalive and user timeout */
    uint8_t tiny_debt; /* tcp_pressure_takes() */
    uint32_t snd_nxt; /* parked: = snd_una */
    uint32_t rcv_nxt;
    uint32_t ts_recent;
    uint32_t rcv_adv; /* right edge promised, never moved left */
    uint16_t snd_wnd; /* as in the header, unscaled */
    uint16_t mss;     /* ours to send, options not deducted */
    uint8_t snd_scale : 4;
    uint8_t rcv_scale : 4;
    uint8_t state;            /* enum tcp_state */
    uint8_t flags;            /* TCP_ROW_* */
    uint8_t keepalive_probes; /* unanswered; of a dead row: enum net_close_why */
    union {
        struct {
            uint16_t srtt; /* logarithmic */
            uint16_t rttvar;
        };
        uint32_t link; /* of a dead row: the next until its NET_CLOSED was taken */
    };
    uint32_t active_at_s;  /* last segment from the peer, seconds of the injected clock */
    uint32_t hot;          /* row of the extension, TCP_HOT_NONE = parked */
    uint16_t neighbour;    /* row of the ARP table */
    uint16_t challenge_at; /* last challenge ACK, 1/4 s of the clock, wrapping */
};
static_assert(sizeof(struct tcp_row) == CACHE_LINE, "docs/LIMITS.md counts on one line");

#endif
