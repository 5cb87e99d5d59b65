/* SPDX-License-Identifier: Apache-2.0
 *
 * A TCP segment as net_input() hands it to tcp_input(): checksums, sizes, addresses and the shape
 * of the options have been judged, nothing about sequence numbers has. The views point into the
 * received packet. */
#ifndef STENTOR_NET_TCP_SEGMENT_H
#define STENTOR_NET_TCP_SEGMENT_H

#include "stentor/net.h"

#include "wire.h"

/* What names a connection. Our own address is named by its number. */
struct tcp_key {
    struct net_address remote;
    uint16_t remote_port;
    uint16_t local_port;
    uint16_t local; /* which of our addresses */
};
static_assert(sizeof(struct tcp_key) == 22, "compared as octets: no padding");

struct tcp_segment {
    struct tcp_key key;
    uint32_t seq;
    uint32_t ack; /* 0 unless TCP_ACK */
    uint16_t window;
    uint8_t ecn;          /* IP_ECN_* of the IP header */
    uint8_t flags;        /* TCP_FIN ... of wire.h; never a senseless combination (see ip.h) */
    uint16_t ip_size;     /* of the whole IP packet */
    struct bytes options; /* every option has a sound size; 0 to 40 octets */
    struct bytes payload;
    const uint8_t *source_mac; /* 6 octets in the packet */
    uint64_t hash;             /* tcp_table_hash() of the key */
};

/* Sequence numbers it takes up: octets, and one each for SYN and FIN. */
static inline uint32_t tcp_segment_length(const struct tcp_segment *segment)
{
    return (uint32_t)segment->payload.size + ((segment->flags & TCP_SYN) != 0) +
           ((segment->flags & TCP_FIN) != 0);
}

#endif
