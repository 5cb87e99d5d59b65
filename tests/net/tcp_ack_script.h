/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of recovery: a connection with SACK, acknowledgements with blocks, and what is in
 * flight by segments. Numbers are relative to our first octet. */
#ifndef STENTOR_TESTS_NET_TCP_ACK_SCRIPT_H
#define STENTOR_TESTS_NET_TCP_ACK_SCRIPT_H

#include "tcp_script.h"

#define MSS SCRIPT_MSS

static inline struct tcp_hot *script_hot(const struct script *script)
{
    return tcp_hot_of(script->net, &script->net->rows[script->conn]);
}

/* Open, with SACK agreed on and a round trip of so many milliseconds measured. */
static inline void script_open_sack(struct script *script, uint32_t rtt_ms)
{
    script_open(script);
    script->window = 60000;
    script_start(script);
    script_accept(script);
    script->net->rows[script->conn].flags |= TCP_ROW_SACK;
    if (rtt_ms == 0)
        return;
    script->net->rows[script->conn].srtt = tcp_log_of_us(rtt_ms * 1000);
    script->net->rows[script->conn].rttvar = tcp_log_of_us(rtt_ms * 250);
}

/* An acknowledgement with up to four blocks, given as pairs of relative numbers. */
static inline void script_sack(struct script *script, uint32_t ack, const uint32_t *edges,
                               uint32_t block_count)
{
    uint8_t octets[TCP_OPTIONS_SIZE_MAX] = {TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_SACK,
                                            (uint8_t)(2 + 8 * block_count)};
    for (uint32_t i = 0; i < 2 * block_count; i++) {
        struct be32 edge = be32_of(script->iss + edges[i]);
        memcpy(octets + 4 + 4 * (size_t)i, &edge, sizeof edge);
    }
    script_input_raw(script, (struct tcp_frame){
                                 .seq = script->irs,
                                 .ack = script->iss + ack,
                                 .flags = TCP_ACK,
                                 .options = bytes_of(octets, 4 + 8 * (size_t)block_count),
                             });
}

static inline void script_sack_one(struct script *script, uint32_t ack, uint32_t start,
                                   uint32_t end)
{
    const uint32_t edges[2] = {start, end};
    script_sack(script, ack, edges, 1);
}

/* Queues and sends so many full segments from `seq` on, and looks at each. */
static inline void script_send_segments(struct script *script, uint32_t seq, uint32_t count)
{
    assert_int_equal(script_send(script, seq, count * MSS), ERROR_NONE);
    script_turn(script);
    for (uint32_t i = 0; i < count; i++)
        script_expect(script, TCP_ACK, seq + i * MSS, 0, MSS);
    script_expect_none(script);
}

#endif
