/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP/IP of one worker: Ethernet and VLANs, ARP and NDP, IPv4 and IPv6, ICMP, TCP (RFC
 * 9293, 5681/6582, 6298, 7323, SYN cookies always). No clock, randomness or thread of its own: time
 * and random come in, packets go through the worker's NIC queue, and what happened rises as events.
 *
 * A turn:  nic_receive -> net_input -> events -> (upper floors, tcp_send, tcp_close)
 *          net_timers -> events -> ...        and last net_flush
 * A connection is named by its row index (struct net_event.conn, stable from NET_ACCEPTED or
 * NET_CONNECTED to NET_CLOSED, shared by the parallel rows of upper floors) or, between turns and
 * threads, by net_handle(). All calls: the owning worker only. Instants in ns, sizes in octets.
 *
 * Every connection gets exactly one NET_CLOSED, after which its row may be reused. Octets handed
 * up are consumed: the receive window stays open, and who cannot take more closes.
 *
 * Sending is by reference (DESIGN law 5): tcp_send() queues a reference to an immutable blob; the
 * octets are copied into a packet at transmission and again at retransmission, and the reference
 * is dropped when acknowledged (blob_count_acked for shared blobs) or when the connection ends
 * (blob_count_lost). Whoever shares a blob keeps a reference of its own while it counts, so the
 * last one is never dropped in here. */
#ifndef STENTOR_NET_H
#define STENTOR_NET_H

#include "stentor/arena.h"
#include "stentor/blob.h"
#include "stentor/metrics.h"
#include "stentor/nic.h"
#include "stentor/pool.h"
#include "stentor/random.h"
#include "stentor/siphash.h"
#include "stentor/trace.h"

struct net; /* one a worker */

struct net_address {
    uint8_t octets[16]; /* IPv4 as mapped address ::ffff:a.b.c.d */
};

#define NET_LOCALS_MAX 16u
#define NET_ROUTERS_MAX 8u

/* An address of ours. The same one may stand on several VLANs. */
struct net_local {
    struct net_address address;
    uint8_t prefix_bits; /* on-link: 1 to 32 of an IPv4 address, 1 to 128 of an IPv6 one */
    uint16_t vlan;       /* 802.1Q identifier, 0 = untagged */
};

/* A way to all that is off-link, for the locals of its family and VLAN; the first reachable one
 * is used. */
struct net_router {
    struct net_address address;
    uint16_t vlan;
};

#define NET_LIVENESS_NEW 0u   /* class of every connection until somebody says otherwise */
#define NET_LIVENESS_KNOWN 1u /* the upper floors know who it is */
#define NET_LIVENESS_CLASSES 2u

/* How long a peer may be silent. */
struct net_liveness {
    uint64_t keepalive_idle_ns; /* silence before a probe, a tenth less at random; 0 = no probes */
    uint64_t keepalive_interval_ns;
    uint32_t keepalive_probes; /* unanswered ones before the peer is held dead */
    uint64_t user_timeout_ns;  /* sent and unacknowledged (RFC 9293 3.8.3); 0 = for ever */
};

enum net_congestion {
    NET_CUBIC,  /* RFC 9438 */
    NET_NEWRENO /* RFC 5681, 6582 */
};

struct net_options {
    struct nic_queue *nic;
    struct arena *arena; /* rows, tables, wheel: sized by net_arena_bytes() */
    struct heap *heap;   /* out-of-order octets */
    struct blob_table *blobs;
    struct metrics *metrics;
    struct trace *trace;
    struct random *random;
    struct siphash_key key; /* flow hash, cookies, sequence numbers; new at each boot */
    struct net_local locals[NET_LOCALS_MAX]; /* at least one */
    uint32_t local_count;
    struct net_router routers[NET_ROUTERS_MAX];
    uint32_t router_count;    /* 0 = on-link peers only */
    uint32_t connections_max; /* rows */
    uint32_t hot_max;
    uint32_t send_references_max;
    uint32_t connections_per_address;
    uint32_t accepts_per_second;
    uint32_t accepts_per_second_address; /* by IPv4 address or IPv6 /64; 0 = no limit */
    uint32_t receive_window;
    uint64_t reorder_bytes_max;
    uint64_t send_bytes_max;           /* queued and unacknowledged, a connection */
    uint32_t tiny_segments_per_second; /* from a peer, fewer than 32 octets each; 0 = no limit */
    uint32_t drain_bytes_per_second;   /* a peer takes so many of what is pending; 0 = or fewer */
    uint64_t window_shut_ns; /* how long a peer may keep its window shut; 0 = user timeout */
    uint64_t shed_after_ns;  /* age before pressure may end a stream; 0 = never (tcp_pressure.h) */
    struct net_liveness liveness[NET_LIVENESS_CLASSES];
    uint64_t time_wait_ns;
    uint32_t time_wait_max;
    enum net_congestion congestion;
    bool has_ecn; /* negotiate explicit congestion notification: RFC 3168 */
    uint8_t worker;
};

enum net_event_kind {
    NET_ACCEPTED,  /* a peer completed the handshake with a valid cookie */
    NET_CONNECTED, /* tcp_connect() succeeded */
    NET_DATA,      /* octets arrived in order; the view is good until net_release() */
    NET_END,       /* the peer sent FIN: no more octets will come */
    NET_SENT,      /* the send queue drained below half its limit after tcp_send() refused */
    NET_CLOSED     /* gone; `why` tells; the row is free after this event */
};

enum net_close_why {
    NET_CLOSE_DONE,    /* both sides closed in order */
    NET_CLOSE_RESET,   /* the peer reset it */
    NET_CLOSE_TIMEOUT, /* unacknowledged for the user timeout, or dead by keepalive */
    NET_CLOSE_ABORTED, /* tcp_abort() */
    NET_CLOSE_REFUSED  /* tcp_connect() got no or a negative answer */
};

struct net_event {
    enum net_event_kind kind;
    uint32_t conn;
    struct bytes octets;    /* NET_DATA */
    enum net_close_why why; /* NET_CLOSED */
};

struct net_events {
    uint32_t count;
    struct net_event items[512];
};
/* net_input stops taking packets when fewer than this many places are left. */
#define NET_EVENTS_RESERVE 32u

size_t net_arena_bytes(const struct net_options *options);
MUST_USE enum error net_create(struct net **net, const struct net_options *options,
                               uint64_t now_ns);
void net_destroy(struct net **net);
MUST_USE enum error net_listen(struct net *net, uint16_t port);
/* Stops accepting; established connections go on. For draining. */
void net_unlisten(struct net *net, uint16_t port);

/* Takes the packets (they stay alive until net_release) and appends events. Returns how many
 * packets it took; fewer than count only when `events` ran short: call again after draining it. */
uint32_t net_input(struct net *net, struct packet *packets, uint32_t count, uint64_t now_ns,
                   struct net_events *events);
/* Views of this turn's events end here. Frees packets, sends the acknowledgements still owed, and
 * gives back the rows whose NET_CLOSED was among the events. Call it every turn, packets or not. */
void net_release(struct net *net, uint64_t now_ns);
/* Bounded: due timers, one slice of the deadline sweep, what routers and our own IPv6 addresses
 * are due. May append events. */
void net_timers(struct net *net, uint64_t now_ns, struct net_events *events);
/* Transmits what windows allow of every connection marked by tcp_send/tcp_close, then nic_flush. */
void net_flush(struct net *net, uint64_t now_ns);
/* A lower bound of when net_timers() has work; UINT64_MAX = never. */
uint64_t net_next_ns(const struct net *net, uint64_t now_ns);

/* Queues octets [offset, offset+size) of the blob; takes over one reference of it on success only.
 * ERROR_POOL_EMPTY: no hot extension or reference row; ERROR_LIMIT: over send_bytes_max with what
 * is queued (a NET_SENT will follow); ERROR_TOO_LARGE: over it alone (none will); ERROR_INVALID: no
 * octets; ERROR_STALE: not open for sending. */
MUST_USE enum error tcp_send(struct net *net, uint32_t conn, uint32_t blob, uint32_t offset,
                             uint32_t size);
/* Sends FIN after what is queued; the connection lives on until both sides are done, five minutes
 * at most in each closing state. Idempotent. */
void tcp_close(struct net *net, uint32_t conn);
/* RST now. NET_CLOSED(ABORTED) comes with the next net_timers() or net_input(). */
void tcp_abort(struct net *net, uint32_t conn);
/* From now on the connection has the keepalive and user timeout of that class, and its silence is
 * counted anew. */
void tcp_set_liveness(struct net *net, uint32_t conn, uint32_t liveness);
/* Opens actively from an ephemeral port; POOL_NONE when refused. */
uint32_t tcp_connect(struct net *net, struct net_address address, uint16_t port, uint64_t now_ns);

/* The pool of connection rows: who makes and checks handles of them. A row is dead in it only
 * after its NET_CLOSED was handed up and net_release() ended the turn. */
const struct pool *net_pool(const struct net *net);
struct handle net_handle(const struct net *net, uint32_t conn);
/* The row index, or POOL_NONE when stale. */
uint32_t net_find(const struct net *net, struct handle handle);
/* Rows ever used: loops over parallel rows end here. */
uint32_t net_row_end(const struct net *net);
bool net_is_live(const struct net *net, uint32_t conn);
void net_prefetch(const struct net *net, uint32_t conn);
void tcp_remote(const struct net *net, uint32_t conn, struct net_address *address, uint16_t *port);
uint16_t tcp_local_port(const struct net *net, uint32_t conn);
uint64_t tcp_queued_bytes(const struct net *net, uint32_t conn);
/* "ESTABLISHED" and so on, for people. */
const char *tcp_state_name(const struct net *net, uint32_t conn);

struct net_usage {
    uint32_t connections; /* rows in use */
    uint32_t hot;
    uint32_t send_references;
    uint32_t time_wait;
    uint64_t reorder_bytes;
};
struct net_usage net_usage(const struct net *net);

/* ---- a new process takes over ----
 *
 * The old process, at the end of a turn whose events were taken, writes an image; the new one has
 * the image and the old arena's octets (a descriptor of it, or a copy), makes a net by net_create()
 * with the key of the image and the same addresses and receive window, listens, and imports.
 * Connections keep index, generation and everything in their rows; of busy ones what is
 * queued comes along as octets and what was in flight goes again. The old process must not touch
 * its arena after the export and tells no peer anything; nothing points into arena or image after
 * the import. Not taken over: octets out of order (peers send them again), connections still
 * opening (their NET_CLOSED comes with the next net_timers()), and what the new process has no
 * room for, which is reset and counted. The clock must be the same, and not go back. */

/* The size of the image as of now. */
size_t net_export_bytes(const struct net *net);
/* ERROR_INVALID: an ended connection's NET_CLOSED was not taken; ERROR_TOO_LARGE: no room. */
MUST_USE enum error net_export(struct net *net, uint64_t now_ns, struct writer *into);
/* What goes into net_options.key. */
MUST_USE enum error net_image_key(struct bytes image, struct siphash_key *key);
/* Into a net without connections. ERROR_INVALID: image or arena is damaged, of another layout, of
 * later than now, or for other options; then nothing was taken. */
MUST_USE enum error net_import(struct net *net, struct bytes arena, struct bytes image,
                               uint64_t now_ns);

/* Text forms of an address: dotted quad, or IPv6 as RFC 4291 section 2.2 allows and, written, RFC
 * 5952 wants it (at most 39 characters). */
MUST_USE bool net_address_parse(struct bytes text, struct net_address *address);
/* One host of a link with that prefix can have it: no group, broadcast, loopback or "this" address
 * (RFC 1122 3.2.1.3). */
MUST_USE bool net_address_is_host(const struct net_address *address, uint32_t prefix_bits);
/* Both lie on one link with that prefix. */
MUST_USE bool net_address_is_near(const struct net_address *one, const struct net_address *other,
                                  uint32_t prefix_bits);
void net_address_write(const struct net_address *address, struct writer *into);
/* "10.99.0.2/24", "2001:db8::2/64%7": an address one host can have, its prefix and perhaps a VLAN
 * from 1 to 4094. */
MUST_USE bool net_local_parse(struct bytes text, struct net_local *local);
/* "10.99.0.1", "fe80::1%7". */
MUST_USE bool net_router_parse(struct bytes text, struct net_router *router);

#endif
