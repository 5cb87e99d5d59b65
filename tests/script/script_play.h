/* SPDX-License-Identifier: Apache-2.0
 *
 * A script at work: its flows, what was seen of the side under test, and that side itself behind
 * an interface: our stack in virtual time (script_stack.c) or the kernel's in real time
 * (script_linux.c). All times count in ns from the start of the script. */
#ifndef STENTOR_TESTS_SCRIPT_SCRIPT_PLAY_H
#define STENTOR_TESTS_SCRIPT_SCRIPT_PLAY_H

#include "script.h"

#define PLAY_FLOWS_MAX 8u
#define PLAY_FRAMES_MAX 1024u
#define PLAY_PACKET_MAX 65600u
#define PLAY_BURST_MAX 64u
#define PLAY_PEER_PORT 40000u /* of flow 1; the next are the next */
#define PLAY_OUR_PORT 5222u
#define PLAY_PEER_ISN 1000000u
#define PLAY_OUR_ISN 0x20000000u /* as long as none was seen */
#define PLAY_TOLERANCE_NS 1000000u

/* A segment that left the side under test, an IP packet. */
struct play_frame {
    uint64_t at_ns;
    uint32_t size;
    uint8_t *octets;
};

struct play_flow {
    uint16_t peer_port;
    uint16_t our_port;
    uint32_t peer_isn;
    uint32_t our_isn;
    bool is_isn_known;
    bool has_timestamps; /* seen from the side under test */
    uint32_t ts_last;
    uint16_t window; /* what the peer said last */
    uint32_t conn;   /* of our stack; POOL_NONE none */
    int descriptor;  /* of the kernel's; -1 none */
    bool is_connecting;
    bool is_at_end; /* the kernel said so */
    /* what the application has seen, and how much of it the script spoke of */
    uint32_t accepted, accepted_told;
    uint32_t connected, connected_told;
    uint32_t ended, ended_told;
    uint32_t drained, drained_told;
    uint32_t closed, closed_told;
    const char *why;
    uint64_t received, received_told;
    uint64_t written;
    bool has_wrong_octets;
};

struct play_options {
    bool is_ipv6;
    uint32_t mtu;
    uint32_t receive_window;
    uint32_t hot_max;
    uint32_t references_max;
    uint32_t connections_max;
    uint32_t connections_per_address;
    uint32_t accepts_per_second;
    uint32_t keepalive_probes;
    uint32_t time_wait_max;
    uint64_t send_bytes_max;
    uint64_t reorder_bytes_max;
    uint64_t keepalive_idle_ns;
    uint64_t keepalive_interval_ns;
    uint64_t user_timeout_ns;
    uint64_t time_wait_ns;
    uint64_t clock_ns;
    uint32_t our_isn;
    bool is_isn_fixed;
    bool is_newreno;
    bool has_ecn;
};

struct play;

struct play_side {
    bool (*open)(struct play *play);
    /* Ends it and checks that nothing is left; writes play->fault otherwise. */
    void (*close)(struct play *play);
    /* IP packets that arrive at once, in one turn. */
    void (*input)(struct play *play, const struct play_frame *packets, uint32_t count);
    /* What is owed after input and commands is sent. */
    void (*turn)(struct play *play);
    /* Time goes on to until_ns or, when asked for, to the first frame that leaves. */
    void (*advance)(struct play *play, uint64_t until_ns, bool stops_at_frame);
    /* A command that the player does not know itself; false with play->fault, or without one when
     * it means nothing to this side. */
    bool (*command)(struct play *play, const struct script_step *step);
};

extern const struct play_side play_stack;
extern const struct play_side play_linux;

struct play {
    const struct script *script;
    const struct play_side *side;
    void *inside; /* the side's */
    struct play_options options;
    uint64_t now_ns;
    uint64_t reference_ns; /* what + counts from */
    bool is_turn_owed;
    uint32_t taken; /* frames the script has dealt with */
    uint32_t frame_count;
    struct play_frame frames[PLAY_FRAMES_MAX];
    struct play_flow flows[PLAY_FLOWS_MAX];
    uint32_t flow; /* in use */
    FILE *record;  /* not NULL: nothing is judged, everything is written down */
    uint32_t record_line;
    char fault[SCRIPT_FAULT_MAX];
};

/* Plays the case; play->fault is empty when it went as written. */
void play_run(struct play *play, const struct script *script, const struct play_side *side,
              FILE *record);

/* ---- for the sides ---- */

void play_sent(struct play *play, const uint8_t *ip, size_t size);
/* Only the first fault is kept. */
__attribute__((format(printf, 2, 3))) void play_fail(struct play *play, const char *format, ...);
/* The application saw something: "accepted", "connected", "end", "drained", "closed WHY". */
void play_happened(struct play *play, struct play_flow *flow, const char *what, const char *why);
void play_received(struct play *play, struct play_flow *flow, const uint8_t *octets, size_t size);
/* NULL when no flow has that port at the peer. */
struct play_flow *play_flow_of(struct play *play, uint16_t peer_port);
uint8_t play_octet_in(uint64_t position);
uint8_t play_octet_out(uint64_t position);

/* ---- script_packet.c ---- */

/* The IP packet that the script's words mean; its size. */
size_t play_packet_build(struct play *play, const struct script_packet *packet, uint8_t *into);
/* A TCP segment that was sent, in the script's words; false when it is none of a flow's. Learns
 * initial numbers, ports and timestamps. */
bool play_packet_read(struct play *play, const struct play_frame *frame,
                      struct script_packet *packet, struct play_flow **flow);
void play_flow_learn(struct play *play, const uint8_t *ip, size_t size);
/* True with *mismatch untouched when the seen is what was expected. */
bool play_packet_match(const struct script_packet *expected, const struct script_packet *seen,
                       const char **mismatch);

#endif
