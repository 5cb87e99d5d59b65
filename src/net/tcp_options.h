/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP options we speak: MSS (RFC 9293 3.7.1), window scale and timestamps (RFC 7323), SACK (RFC
 * 2018, with the duplicates of RFC 2883). The walk has been judged with the packet; here every size
 * is checked again, since a wrong one must not be able to read past the end. Any thread. */
#ifndef STENTOR_NET_TCP_OPTIONS_H
#define STENTOR_NET_TCP_OPTIONS_H

#include "stentor/bytes.h"

#include "tcp_cookie.h"

#define TCP_TIMESTAMPS_SIZE 12u /* with its padding */
#define TCP_MSS_DEFAULT 536u    /* RFC 9293 3.7.1: a SYN without the option */
#define TCP_MSS_DEFAULT_IPV6 1220u
#define TCP_SCALE_MAX 14u       /* RFC 7323 2.3 */

#define TCP_SACKS_MAX 4u        /* RFC 2018 3: what 40 octets hold */

/* Sequence numbers [start, end). */
struct tcp_sack_block {
    uint32_t start;
    uint32_t end;
};

struct tcp_options {
    uint32_t ts_value;
    uint32_t ts_echo;
    bool has_timestamps;
    bool has_mss;           /* else offer.mss is TCP_MSS_DEFAULT */
    struct tcp_offer offer; /* of a SYN */
    uint32_t sack_count;    /* as the peer says: in no order, to be judged by who uses them */
    struct tcp_sack_block sacks[TCP_SACKS_MAX];
};

void tcp_options_read(struct bytes options, struct tcp_options *read);
/* Padding, then the option: TCP_TIMESTAMPS_SIZE octets. */
void tcp_options_write_timestamps(uint8_t *at, uint32_t value, uint32_t echo);
/* Options of our SYN or SYN-ACK; returns their size, a multiple of 4, at most 24 octets.
 * scale TCP_SCALE_NONE leaves that option out; so do has_sack false and timestamps NULL. */
uint32_t tcp_options_write_syn(uint8_t *at, const struct tcp_offer *ours,
                               const struct tcp_options *timestamps);
/* How many SACK blocks fit into so many octets of options. */
static inline uint32_t tcp_options_sack_room(uint32_t octets)
{
    uint32_t count = octets < 4 ? 0 : (octets - 4) / 8;
    return count < TCP_SACKS_MAX ? count : TCP_SACKS_MAX;
}
/* Padding, then the option; returns their size, 4 + 8 * count, 0 when there are none. */
uint32_t tcp_options_write_sack(uint8_t *at, const struct tcp_sack_block *blocks, uint32_t count);

#endif
