/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames as the bridge must understand them: is this TCP and how many octets of stream does it
 * carry; a checksum the kernel left to hardware, and a frame larger than the wire that it left to
 * hardware to cut (virtio_net_hdr of a packet socket); and one line of text for the trace. */
#ifndef TESTS_WIRE_IMPAIR_FRAME_H
#define TESTS_WIRE_IMPAIR_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/virtio_net.h>

#define FRAME_SIZE_MAX 9300u /* MTU 9000, Ethernet, some room */

struct frame_view {
    uint32_t ip_offset;
    uint32_t tcp_offset;
    uint32_t payload_offset;
    uint32_t size; /* without Ethernet's padding */
    bool is_ip6;
};

/* False when it is no TCP segment over IPv4 or IPv6 without extension headers. */
bool frame_read(const uint8_t *frame, uint32_t size, struct frame_view *view);
/* The sequence number behind its last octet. */
uint32_t frame_seq_end(const uint8_t *frame, const struct frame_view *view);
/* Fills in the checksum that the kernel left to hardware. */
void frame_complete(uint8_t *frame, uint32_t size, const struct virtio_net_hdr *header);
/* The part of a large segment whose octets begin at `offset` of its payload, as a whole frame with
 * right lengths, sequence number, flags and checksums. Returns its size. */
uint32_t frame_cut(const uint8_t *frame, const struct frame_view *view, uint32_t offset,
                   uint32_t part_size, uint8_t *into);

/* Marks congestion; false when the packet's sender is not capable of ECN. */
bool frame_mark(uint8_t *frame, const struct frame_view *view);
/* What a router answers to a packet larger than the next link: "fragmentation needed" (RFC 1191)
 * or "packet too big" (RFC 4443). Returns its size. */
uint32_t frame_too_big(const uint8_t *frame, const struct frame_view *view, uint32_t mtu,
                       uint8_t *into);

/* Sequence numbers of a trace count from each side's first. */
struct trace_base {
    uint32_t seq[2];
    bool is_known[2];
};
void frame_print(FILE *into, struct trace_base *base, uint32_t direction, const uint8_t *frame,
                 const struct frame_view *view);

#endif
