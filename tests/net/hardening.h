/* SPDX-License-Identifier: Apache-2.0
 *
 * For the tests of attacks: an honest connection beside the attacker, and frames to be spoilt. */
#ifndef STENTOR_TESTS_NET_HARDENING_H
#define STENTOR_TESTS_NET_HARDENING_H

#include "tcp_script.h"

#define HONEST_PORT 31000u

/* What the script knows of one connection, so that it can speak for several. */
struct voice {
    uint32_t conn;
    uint32_t irs;
    uint32_t iss;
    uint16_t port;
    uint32_t said; /* octets of the peer so far */
};

static inline void voice_use(struct script *script, const struct voice *voice)
{
    script->conn = voice->conn;
    script->irs = voice->irs;
    script->iss = voice->iss;
    script->port = voice->port;
}

static inline void skip_frames(struct script *script)
{
    struct sent sent;
    while (script_next(script, &sent))
        continue;
}

/* A handshake from that port, whatever goes on beside it. */
static inline struct voice voice_open(struct script *script, uint16_t port, uint16_t mss)
{
    uint8_t octets[TCP_OPTIONS_SIZE_MAX];
    struct tcp_offer offer = {mss, TCP_SCALE_NONE, false, false};
    struct tcp_options stamps = {.ts_value = script->peer_ts};
    uint32_t size = tcp_options_write_syn(octets, &offer, script->has_timestamps ? &stamps : NULL);
    script->port = port;
    skip_frames(script);
    (void)script_syn(script, 999, bytes_of(octets, size));
    script_input(script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_event_count(script, NET_ACCEPTED), 1);
    script->conn = script->events.items[0].conn;
    script_turn(script);
    skip_frames(script);
    return (struct voice){script->conn, script->irs, script->iss, port, 0};
}

/* Says five octets and is acknowledged: nothing that went on before disturbed it. */
static inline void voice_is_heard(struct script *script, struct voice *voice)
{
    voice_use(script, voice);
    skip_frames(script);
    script_input(script, TCP_ACK, voice->said, 0, BYTES("hello"));
    assert_int_equal(script_event_count(script, NET_DATA), 1);
    script_turn(script);
    voice->said += 5;
    script_expect(script, TCP_ACK, 0, voice->said, 0);
    script->received_size = 0;
}

/* One frame in, as it is. */
static inline void input_octets(struct script *script, struct bytes octets)
{
    struct packet packet = fake_nic_frame(&script->nic, octets, octets.size);
    script->events.count = 0;
    assert_int_equal(net_input(script->net, &packet, 1, script->now_ns, &script->events), 1);
    script_keep_octets(script);
}

#endif
