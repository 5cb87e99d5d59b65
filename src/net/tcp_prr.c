/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 9937 section 6.1, step by step. Above ssthresh segments leave in proportion to what was
 * delivered; at or below it slow start brings the flight back up to ssthresh, by one segment more
 * than was delivered only while acknowledgements are safe. */
#include "tcp_prr.h"

void tcp_prr_start(struct tcp_prr *prr, uint32_t flight)
{
    *prr = (struct tcp_prr){.flight = flight != 0 ? flight : 1};
}

static uint32_t more_than_zero(uint64_t value, uint32_t minus)
{
    return value > minus ? (uint32_t)(value - minus) : 0;
}

static uint32_t proportional(const struct tcp_prr *prr, uint32_t ssthresh)
{
    uint64_t share = ((uint64_t)prr->delivered * ssthresh + prr->flight - 1) / prr->flight;
    return more_than_zero(share < UINT32_MAX ? share : UINT32_MAX, prr->out);
}

static uint32_t bounded(const struct tcp_prr *prr, const struct tcp_prr_ack *ack)
{
    uint32_t count = more_than_zero(prr->delivered, prr->out);
    if (count < ack->delivered)
        count = ack->delivered;
    if (ack->is_safe)
        count += ack->mss;
    uint32_t room = ack->ssthresh - ack->pipe;
    return count < room ? count : room;
}

uint32_t tcp_prr_window(struct tcp_prr *prr, const struct tcp_prr_ack *ack)
{
    ASSERT(prr->flight != 0);
    prr->delivered += ack->delivered;
    uint32_t count;
    if (ack->pipe > ack->ssthresh)
        count = proportional(prr, ack->ssthresh);
    else
        count = bounded(prr, ack);
    if (prr->out == 0 && count < ack->mss)
        count = ack->mss;
    return ack->pipe + count;
}

void tcp_prr_sent(struct tcp_prr *prr, uint32_t octets)
{
    prr->out += octets;
}
