/* SPDX-License-Identifier: Apache-2.0
 *
 * Proportional rate reduction (RFC 9937, which replaces RFC 6937) with its slow-start reduction
 * bound: how much may be sent for each acknowledgement during recovery, so that the window comes
 * down to ssthresh in one round trip without a silence and without a burst. Pure; octets. The
 * caller counts what it sends by tcp_prr_sent(), retransmissions included. Any thread. */
#ifndef STENTOR_NET_TCP_PRR_H
#define STENTOR_NET_TCP_PRR_H

#include "stentor/bytes.h"

struct tcp_prr {
    uint32_t delivered; /* octets since recovery began */
    uint32_t out;       /* octets sent since, new and again */
    uint32_t flight;    /* RecoverFS: in flight when it began; 0 = not in recovery */
};

struct tcp_prr_ack {
    uint32_t delivered; /* octets newly acknowledged or SACKed */
    uint32_t pipe;      /* thought to be in the network, after this acknowledgement */
    uint32_t ssthresh;
    uint32_t mss;
    bool is_safe; /* snd_una moved, and nothing more was marked lost: SafeACK */
};

/* flight: snd_nxt - snd_una, less what was SACKed before the acknowledgement that began it. */
void tcp_prr_start(struct tcp_prr *prr, uint32_t flight);
/* The window after an acknowledgement: pipe and what may be sent now. The first one of a recovery
 * always leaves room for a segment: the fast retransmit. */
uint32_t tcp_prr_window(struct tcp_prr *prr, const struct tcp_prr_ack *ack);
void tcp_prr_sent(struct tcp_prr *prr, uint32_t octets);

#endif
