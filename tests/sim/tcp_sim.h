/* SPDX-License-Identifier: Apache-2.0
 *
 * The TCP world: two hosts, each a whole `struct net` with its own arena, heap,
 * blobs, metrics and random, on one simulated wire under a virtual clock, in
 * one thread. What happens is drawn from the seed alone.
 *
 *   tcp_draw.c   what a seed means
 *   tcp_world.c  makes the world, moves its clock, judges how it ended
 *   tcp_host.c   one host and the tap between its net and the wire
 *   tcp_call.c   connections and what the application does on them
 *   tcp_watch.c  what must hold after each turn and of each packet sent
 *   tcp_gate.c   the exhaustive gates
 *
 * Our receiver hands octets up at once and never closes its window, so there
 * are no slow readers here by nature; the tap plays one by writing window 0
 * into what a host sends (host.squeezed). */
#ifndef STENTOR_SIM_TCP_SIM_H
#define STENTOR_SIM_TCP_SIM_H

#include "tcp.h"
#include "world.h"

#define TCP_SIM_HOSTS 2u
#define TCP_SIM_CALLS_MAX 12u
#define TCP_SIM_PORT 5222u
#define TCP_SIM_FIRST_PORT 40000u /* of the first call a host opens */
#define TCP_SIM_CROSSING_PORT 50000u
#define TCP_SIM_STRETCHES_MAX 16u
#define TCP_SIM_START_NS (1000 * NS_PER_SECOND)
/* Less than anything that gives a peer up. */
#define TCP_SIM_FAULTS_NS_MAX (20 * NS_PER_SECOND)
#define TCP_SIM_KEEPALIVE_IDLE_NS (30 * NS_PER_SECOND)
#define TCP_SIM_KEEPALIVE_INTERVAL_NS (5 * NS_PER_SECOND)
#define TCP_SIM_KEEPALIVE_PROBES 6u
#define TCP_SIM_USER_TIMEOUT_NS (300 * NS_PER_SECOND)
#define TCP_SIM_TIME_WAIT_NS (60 * NS_PER_SECOND)
#define TCP_SIM_RTO_MAX_NS ((uint64_t)TCP_RTO_US_MAX * NS_PER_US)

struct tcp_sim;

/* Between a net and its end of the wire. Each host is a machine of its own, so
 * its queue is number 0 whatever its end of the wire is called. */
struct tap {
    struct nic_queue queue; /* first: what the net holds */
    struct nic_queue *inner;
    struct tcp_sim *sim;
    uint32_t host;
    uint32_t sent_count;     /* packets, this turn */
    uint32_t plain_count;    /* of them TCP without octets, SYN or FIN */
    uint32_t received_count; /* this turn */
};

struct host {
    struct tap tap;
    struct net *net;
    struct arena arena;
    struct heap heap;
    struct blob_table blobs;
    struct metrics *metrics;
    struct trace trace;
    struct random random;
    struct net_options options;
    struct net_address addresses[2]; /* IPv4, IPv6 */
    uint64_t heap_baseline;
    uint64_t squeezed_until_ns; /* its windows read 0 on the wire */
    uint64_t sent_total;
    uint64_t plain_total;
    uint64_t received_total;
};

/* When a side closes. */
enum call_close {
    CLOSE_WHEN_SENT,     /* as soon as everything is queued: a half close for the
                            other */
    CLOSE_WHEN_ENDED,    /* after the peer's end and its own last octet */
    CLOSE_WHEN_COMPLETE, /* when both directions are whole, however the peer
                            stands */
    CLOSE_BY_ABORT       /* a reset, at abort_at octets received or abort_at_ns */
};

/* One host's view of a call. */
struct side {
    uint32_t conn;   /* POOL_NONE unless is_open */
    bool was_opened; /* accepted or connected */
    bool is_open;    /* not closed yet (a connect counts from the call on) */
    bool has_ended;  /* NET_END came */
    bool is_blocked; /* until NET_SENT */
    bool is_closing; /* tcp_close() or tcp_abort() was called */
    uint32_t closed_count;
    enum net_close_why why;
    enum call_close close;
    uint64_t to_send;
    uint64_t sent; /* queued */
    uint64_t received;
    uint64_t push_at_ns;  /* thin streams: when the next push may go */
    uint64_t abort_at_ns; /* UINT64_MAX = not by time */
    uint64_t retry_at_ns; /* after a pool was empty; 0 = none */
    /* what tcp_watch.c remembers of the row */
    uint32_t rcv_nxt;
    uint32_t rcv_adv;
    uint32_t snd_una;
    bool is_watched;
    /* and of its packets */
    uint32_t edge; /* right edge it offered */
    uint32_t ack;
    bool has_edge;
};

enum call_kind { CALL_BULK, CALL_REQUESTS, CALL_THIN, CALL_KINDS };

struct call {
    enum call_kind kind;
    uint32_t opener;
    bool is_ipv6;
    bool is_begun;
    bool may_fail;                 /* an abort is scripted */
    uint16_t ports[TCP_SIM_HOSTS]; /* the opener's is 0 until it opened */
    bool is_same_port;             /* as the call before */
    bool is_crossing;              /* both open, at once and to each other: RFC 9293 figure 7 */
    uint64_t key;
    uint64_t open_at_ns;
    uint64_t idle_after; /* octets after which the opener is silent for idle_ns */
    uint64_t idle_ns;
    uint64_t gap_ns;    /* thin: between pushes, at most */
    uint32_t chunk_max; /* octets a tcp_send() */
    uint32_t request;   /* octets */
    uint32_t answer;
    uint32_t opener_start; /* sequence number of the opener's first octet */
    uint32_t peer_start;   /* and of the acceptor's, as the opener saw it */
    uint32_t isn;          /* fixed for this opener when has_isn */
    bool has_isn;
    struct side sides[TCP_SIM_HOSTS];
};

/* enum nic_sim_stretch, and one more that the tap plays. */
#define STRETCH_SQUEEZE NIC_SIM_STRETCHES
#define STRETCH_KINDS (NIC_SIM_STRETCHES + 1)

struct stretch {
    uint32_t kind;
    uint32_t host;
    uint64_t at_ns;
    uint64_t until_ns;
};

struct tcp_sim {
    uint64_t seed;
    struct world_outcome *outcome;
    struct heap heap;
    struct nic_sim *wire;
    struct random random;
    struct host hosts[TCP_SIM_HOSTS];
    struct call calls[TCP_SIM_CALLS_MAX];
    uint32_t call_count;
    struct nic_sim_faults faults[TCP_SIM_HOSTS];     /* until quiet_at_ns */
    struct nic_sim_faults calm[TCP_SIM_HOSTS];       /* from then on */
    struct stretch stretches[TCP_SIM_STRETCHES_MAX]; /* by at_ns */
    uint32_t stretch_count;
    uint32_t stretch_at; /* the next to begin */
    uint64_t start_ns;
    uint64_t now_ns;
    uint64_t quiet_at_ns;    /* faults stop */
    uint64_t progress_at_ns; /* last step of any call */
    uint64_t turns;
    uint64_t frames; /* that entered the wire, when it is over */
    uint64_t strike_frame;
    uint64_t strike_delay_ns;
    enum nic_sim_strike strike;
    bool is_calm;
    bool has_ipv6;
    uint32_t mortal; /* the host that dies, TCP_SIM_HOSTS = neither */
    uint64_t dies_at_ns;
    bool is_strict; /* pools are ample: whatever is not aborted must end in order
                     */
};

void tcp_sim_blame(struct tcp_sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool tcp_sim_is_blamed(const struct tcp_sim *sim);

/* ---- tcp_draw.c ---- */

/* Fills in what depends on the seed alone; returns the limits of both stacks.
 */
struct net_options tcp_sim_draw(struct tcp_sim *sim);
/* Limits that nothing small runs into. */
struct net_options tcp_sim_ample_limits(void);

/* ---- tcp_host.c ---- */

/* When to start so that the timestamps of the first call that host 0 opens wrap
 * before_ms later. */
uint64_t host_wrap_start_ns(const struct tcp_sim *sim, uint64_t before_ms);
bool host_open(struct tcp_sim *sim, uint32_t which, const struct net_options *limits);
void host_close(struct tcp_sim *sim, uint32_t which);
/* One turn in the order stentor/net.h prescribes. */
void host_turn(struct tcp_sim *sim, uint32_t which);
uint64_t host_next_ns(const struct tcp_sim *sim, uint32_t which);
/* It died without a word: no turns any more, and nobody judges it. */
bool host_is_dead(const struct tcp_sim *sim, uint32_t which);

/* ---- tcp_call.c ---- */

void call_take_event(struct tcp_sim *sim, uint32_t host, const struct net_event *event);
/* What the applications of that host want now. */
void call_run(struct tcp_sim *sim, uint32_t host);
uint64_t call_next_ns(const struct tcp_sim *sim);
bool calls_are_over(const struct tcp_sim *sim);
/* Fills in octets [offset, offset + size) of that direction of the call. */
void call_octets(const struct call *call, uint32_t host, uint64_t offset, uint8_t *into,
                 size_t size);

/* ---- tcp_watch.c ---- */

void watch_turn(struct tcp_sim *sim, uint32_t host);
void watch_packet(struct tcp_sim *sim, uint32_t host, struct packet *packet);
/* Everything is over: pools, heaps, blobs and buffers are as they were at the
 * start. */
void watch_rest(struct tcp_sim *sim);

/* ---- tcp_world.c ---- */

/* Opens wire and hosts of a world whose start_ns, faults and calls stand, runs
 * it to its end, judges it and closes it. strike_frame may name one frame that
 * is struck. */
void tcp_sim_run(struct tcp_sim *sim, const struct net_options *limits, struct writer *trace);
void tcp_world_run(const struct world_options *options, struct world_outcome *outcome);

/* ---- tcp_gate.c, tcp_scripts.c ---- */

/* Handshake, echo and close, with each single packet lost, doubled, swapped,
 * delayed or corrupted in turn, by either order of closing, and again where
 * sequence numbers and timestamps wrap. Prints what fails and how many there
 * were. */
bool tcp_gates_run(struct writer *trace);
/* Random segments out of order with random SACK blocks against one connection,
 * `count` scripts from seed `from` on. */
bool tcp_scripts_run(uint64_t from, uint64_t count);

#endif
