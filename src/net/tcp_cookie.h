/* SPDX-License-Identifier: Apache-2.0
 *
 * SYN cookies (RFC 4987 section 3.6), always: no row before a peer has shown that it receives at
 * its address. Our initial sequence number is the cookie:
 *
 *     31                                8 7      6    5     3 2   0
 *     | 24 bits of SipHash-2-4           | epoch | SACK | scale | MSS |   low octet: masked
 *
 * The MAC covers address, ports, the peer's initial sequence number and the low octet. Two keys,
 * of the current and the previous epoch; a cookie is good for one to two epochs. MSS and window
 * scale are rounded down to eight values each. Where the peer offers timestamps, the exact scale,
 * SACK and ECN stand in the low six bits of the timestamp of our SYN-ACK and come back in its echo;
 * without timestamps ECN is not agreed to, since nothing would remember it.
 * A guess is right once in 2^24. Owner: one worker; keys come from its struct random. */
#ifndef STENTOR_NET_TCP_COOKIE_H
#define STENTOR_NET_TCP_COOKIE_H

#include "stentor/random.h"
#include "stentor/siphash.h"

#include "tcp_segment.h"

#define TCP_COOKIE_EPOCH_NS UINT64_C(32000000000)
#define TCP_SCALE_NONE 0xffu /* the peer did not offer window scaling */

/* What the peer offered in its SYN, as far as a cookie can carry it. */
struct tcp_offer {
    uint16_t mss;
    uint8_t scale; /* 0 to 14, or TCP_SCALE_NONE */
    bool has_sack;
    bool has_ecn; /* only by the timestamp */
};

struct tcp_cookie {
    struct siphash_key keys[2]; /* by parity of the epoch */
    struct siphash_key boot;    /* timestamp offsets: one for the life of the process */
    struct random *random;
    uint64_t epoch;
    uint64_t epoch_end_ns;
};

void tcp_cookie_init(struct tcp_cookie *cookie, struct random *random,
                     const struct siphash_key *boot, uint64_t now_ns);
/* Our initial sequence number in answer to that SYN. */
uint32_t tcp_cookie_make(struct tcp_cookie *cookie, const struct tcp_segment *syn,
                         const struct tcp_offer *offer, uint64_t now_ns);
/* Does this segment's acknowledgement (and seq - 1) prove that the peer got a SYN-ACK of ours not
 * long ago? On true writes what the cookie remembered. */
MUST_USE bool tcp_cookie_check(struct tcp_cookie *cookie, const struct tcp_segment *ack,
                               uint64_t now_ns, struct tcp_offer *offer);

/* RFC 7323 section 5.4: our timestamps to this peer are milliseconds of the clock plus this. */
uint32_t tcp_cookie_timestamp_offset(const struct tcp_cookie *cookie, const struct tcp_key *key);
/* The timestamp of a SYN-ACK: at most `timestamp` and less than 64 before it, so later ones do not
 * go backwards; it carries the offer. The peer may echo it up to 63 ms "too old". */
uint32_t tcp_cookie_timestamp_mark(uint32_t timestamp, const struct tcp_offer *offer);
/* Makes scale, SACK and ECN exact from the echo of a marked timestamp. Only after
 * tcp_cookie_check. */
void tcp_cookie_timestamp_read(uint32_t echo, struct tcp_offer *offer);

#endif
