/* SPDX-License-Identifier: Apache-2.0
 *
 * What phones send, for benches: segments of the connections of parked.h, with timestamps, from
 * behind the router, into buffers of loop_nic.h; and what came back to them. */
#ifndef STENTOR_BENCH_PEER_FRAMES_H
#define STENTOR_BENCH_PEER_FRAMES_H

#include "loop_nic.h"
#include "parked.h"

#define PEER_PAYLOAD_MAX 512u

struct peer_text {
    uint32_t number; /* of the connection */
    uint32_t seq;
    uint32_t ack;
    uint8_t flags;
    uint32_t payload; /* octets, all 'x' */
};

/* As a card hands it up: verified, or with checksums to be verified where nic->is_plain. A SYN
 * offers MSS and scale. */
struct packet peer_frame(struct loop_nic *nic, const struct peer_text *text, uint32_t ts_value);
/* The same with an echo of our timestamp, for the ACK that brings a cookie back. */
struct packet peer_frame_echo(struct loop_nic *nic, const struct peer_text *text, uint32_t ts_value,
                              uint32_t ts_echo);
/* The router tells its address, as it was asked to at the start. */
void peer_answer_arp(struct net *net, struct loop_nic *nic, uint64_t now_ns);

/* Of frame i that the card kept: a segment of ours. */
uint32_t peer_kept_seq(const struct loop_nic *nic, uint32_t i);
uint32_t peer_kept_timestamp(const struct loop_nic *nic, uint32_t i);
/* Who it is to: the number of parked_key(). */
uint32_t peer_kept_number(const struct loop_nic *nic, uint32_t i);
uint8_t peer_kept_flags(const struct loop_nic *nic, uint32_t i);

#endif
