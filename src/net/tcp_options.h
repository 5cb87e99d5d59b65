/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP options we speak: MSS (RFC 9293 3.7.1), window scale and timestamps (RFC 7323), and what the
 * peer says about SACK (RFC 2018, not offered by us yet). The walk has been judged by ip.c; here
 * every size is checked again, since a wrong one must not be able to read past the end. Any
 * thread. */
#ifndef STENTOR_NET_TCP_OPTIONS_H
#define STENTOR_NET_TCP_OPTIONS_H

#include "stentor/bytes.h"

#include "tcp_cookie.h"

#define TCP_TIMESTAMPS_SIZE 12u /* with its padding */
#define TCP_MSS_DEFAULT 536u    /* RFC 9293 3.7.1: a SYN without the option */
#define TCP_SCALE_MAX 14u       /* RFC 7323 2.3 */

struct tcp_options {
    uint32_t ts_value;
    uint32_t ts_echo;
    bool has_timestamps;
    struct tcp_offer offer; /* of a SYN */
};

void tcp_options_read(struct bytes options, struct tcp_options *read);
/* Padding, then the option: TCP_TIMESTAMPS_SIZE octets. */
void tcp_options_write_timestamps(uint8_t *at, uint32_t value, uint32_t echo);
/* Options of our SYN or SYN-ACK; returns their size, a multiple of 4, at most 24 octets.
 * scale TCP_SCALE_NONE leaves that option out; so does timestamps NULL. */
uint32_t tcp_options_write_syn(uint8_t *at, uint16_t mss, uint8_t scale,
                               const struct tcp_options *timestamps);

#endif
