/* SPDX-License-Identifier: Apache-2.0
 *
 * Two whole `struct net` on a simulated wire under a virtual clock, with an application at each end
 * that sends a known pattern and checks what it receives. For the tests of TCP. */
#ifndef STENTOR_TESTS_NET_PAIR_H
#define STENTOR_TESTS_NET_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcp.h"

#define PAIR_FLOWS_MAX 512u
#define PAIR_PORT 5222u

struct flow {
    bool is_open;
    bool has_ended;  /* NET_END came */
    bool is_closing; /* tcp_close() was called */
    bool is_echo_close; /* closes when the peer does */
    uint32_t closed_count;
    enum net_close_why why;
    uint64_t to_send;
    uint64_t sent; /* queued */
    uint64_t received;
    bool is_blocked;
    uint32_t chunk;
};

/* A queue between a net and its end of the wire, where a test touches single frames. Each end is
 * a host of its own, so its queue is number 0. */
struct shim {
    struct nic_queue queue;
    struct nic_queue *inner;
    struct pair *pair;
};

enum shim_act { SHIM_PASS, SHIM_DROP, SHIM_TWICE };

struct end {
    struct shim shim;
    struct net *net;
    struct arena arena;
    struct heap heap;
    struct blob_table blobs;
    struct metrics *metrics;
    struct trace trace;
    struct random random;
    struct nic_queue *nic;
    struct net_options options;
    struct net_address address;
    struct flow flows[PAIR_FLOWS_MAX];
    uint32_t accepted_last;
    uint32_t accepted_count;
    uint32_t connected_count;
    uint32_t accepted_total;
    uint32_t closed_total;
    uint64_t accept_to_send; /* what an accepted flow sends */
    bool is_dead;            /* takes no part any more */
    bool is_mute;            /* consumes nothing: packets pile up on the wire */
};

struct pair {
    struct nic_sim *sim;
    struct heap heap;
    uint64_t now_ns;
    struct end ends[2]; /* 0 opens, 1 listens */
    uint8_t seed;
    uint64_t steps;
    uint32_t mark_every; /* a router marks each such segment that may be marked; 0 = none */
    uint32_t capable_count;
    uint32_t marked_count;
    /* What befalls TCP frame number act_at, counted through over both ends. */
    enum shim_act act;
    uint32_t act_at;
    uint32_t frame_count;
};

struct pair_options {
    uint64_t seed;
    uint64_t start_ns;
    struct nic_sim_faults faults;
    uint32_t hot_max;
    uint32_t receive_window;
    uint64_t send_bytes_max;
    uint64_t keepalive_idle_ns;
    uint64_t user_timeout_ns;
    uint64_t reorder_bytes_max;
    uint32_t time_wait_max;
    uint16_t mtu;
    bool is_ipv6;
    bool has_ecn[2];
    enum net_congestion congestion;
};

struct pair_options pair_defaults(void);
void pair_open(struct pair *pair, const struct pair_options *options);
/* Checks that nothing is left out: blobs, heap, buffers; rows when everything closed. */
void pair_close(struct pair *pair);
/* One turn of both ends, then the clock goes on to the next event. */
void pair_step(struct pair *pair);
void pair_run_for(struct pair *pair, uint64_t duration_ns);
/* True when it became true within limit_ns. */
typedef bool (*pair_condition)(const struct pair *pair);
bool pair_run_until(struct pair *pair, pair_condition condition, uint64_t limit_ns);
/* Opens a connection from end 0, which has so many octets to send, and runs until both know;
 * returns the conn of end 0, and that of end 1 in *accepted. On a wire that loses packets an opener
 * must have something to say: a cookie is not sent twice. */
uint32_t pair_connect(struct pair *pair, uint64_t to_send, uint32_t *accepted);
/* What a failed test wants to say. */
void pair_print(const struct pair *pair);
uint8_t pair_octet(uint8_t seed, unsigned int direction, uint64_t position);
int64_t end_metric(const struct end *end, enum metric metric);

#endif
