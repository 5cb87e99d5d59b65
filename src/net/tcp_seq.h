/* SPDX-License-Identifier: Apache-2.0
 *
 * Sequence numbers: positions on a circle of 2^32 octets (RFC 9293 section 3.4). Comparisons are
 * by signed distance and hold while two numbers lie less than 2^31 apart, which window scale
 * (at most 2^30 octets) guarantees. Timestamps of RFC 7323 compare the same way. Any thread. */
#ifndef STENTOR_NET_TCP_SEQ_H
#define STENTOR_NET_TCP_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}
static inline bool seq_is_after(uint32_t a, uint32_t b)
{
    return (int32_t)(b - a) < 0;
}
static inline uint32_t seq_later(uint32_t a, uint32_t b)
{
    return seq_is_before(a, b) ? b : a;
}
static inline uint32_t seq_earlier(uint32_t a, uint32_t b)
{
    return seq_is_before(a, b) ? a : b;
}
/* Whether seq lies in [start, start + size). */
static inline bool seq_is_within(uint32_t seq, uint32_t start, uint32_t size)
{
    return seq - start < size;
}

#endif
