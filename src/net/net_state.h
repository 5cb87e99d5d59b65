/* SPDX-License-Identifier: Apache-2.0
 *
 * struct net itself, for the files of this floor. Who writes what stands with the fields; nobody
 * outside src/net sees it (stentor/net.h is the door). One worker owns all of it. */
#ifndef STENTOR_NET_STATE_H
#define STENTOR_NET_STATE_H

#include "stentor/deadline.h"
#include "stentor/net.h"
#include "stentor/wheel.h"

#include "arp.h"
#include "ip.h"
#include "ndp.h"
#include "neighbour.h"
#include "tcp_cookie.h"
#include "tcp_limit.h"
#include "tcp_row.h"
#include "tcp_segment.h"
#include "tcp_table.h"

#define NET_PORTS_MAX 16u
#define NET_HELD_MAX 1024u /* received packets that views of one turn may point into */
#define NET_GUESSES_PER_SECOND 50000u /* one in 2^24 is right: a row in 5 minutes at most */
#define NET_RESETS_PER_SECOND 1000u
#define NET_RESETS_BURST 100u

struct tcp; /* tcp.h: hot extensions, wheel, dirty list, TIME_WAIT, references */

struct net {
    struct net_options options;
    struct net_link link;
    uint64_t now_ns; /* as of the call that is running */

    /* connections: parallel rows by the pool's index */
    struct pool pool;
    struct tcp_row *rows;
    struct tcp_table table;
    struct tcp_limit limit;
    struct deadline_table deadline; /* coarse: keepalive and what else waits for a second or more */

    struct tcp_cookie cookie;
    struct rate_limit accepts;
    struct rate_limit guesses; /* cookies that were none */
    struct rate_limit resets; /* RST without a connection */
    struct rate_limit echoes;
    struct rate_limit errors; /* ICMP errors looked at */

    uint16_t ports[NET_PORTS_MAX]; /* listening */
    uint32_t port_count;

    struct tcp *tcp; /* from the heap; tcp_init() makes it */

    struct packet outgoing[NIC_BURST_MAX]; /* complete, not yet with the NIC */
    uint32_t outgoing_count;
    uint32_t held_count;
    struct packet held[NET_HELD_MAX]; /* received; views point into them until net_release() */

    struct neighbours neighbours;
    uint32_t router_count; /* of the options and learned */
    struct ndp ndp;
    uint64_t arp_defended_at_ns;
    uint64_t mld_reported_at_ns;
};

static inline bool net_is_listening(const struct net *net, uint16_t port)
{
    for (uint32_t i = 0; i < net->port_count; i++)
        if (net->ports[i] == port)
            return true;
    return false;
}

static inline void net_count(struct net *net, enum metric metric)
{
    metric_count(net->options.metrics, metric);
}

/* There is room for the events of one more packet. */
static inline bool net_has_event_room(const struct net_events *events)
{
    return events->count + NET_EVENTS_RESERVE <= ARRAY_COUNT(events->items);
}

static inline void net_event_add(struct net_events *events, struct net_event event)
{
    ASSERT(events->count < ARRAY_COUNT(events->items));
    events->items[events->count++] = event;
}

/* ---- net.c: rows ---- */

/* A row from the pool for that connection, entered into the flow table and counted for its
 * address; all other fields zero, hot TCP_HOT_NONE. POOL_NONE when a limit or a table refuses
 * (counted), with nothing left behind. Also the seam of a hot upgrade and of the scale bench:
 * rows that come from elsewhere enter the same way. */
uint32_t net_row_open(struct net *net, const struct tcp_key *key, uint64_t hash);
/* The mirror: out of table, counts, deadline and pool. */
void net_row_close(struct net *net, uint32_t conn);

/* ---- tcp_*.c, called by net.c; net->now_ns is set ---- */

size_t tcp_arena_bytes(const struct net_options *options);
MUST_USE enum error tcp_init(struct net *net);
void tcp_fini(struct net *net);
/* One judged segment; conn is its row or POOL_NONE. Appends at most NET_EVENTS_RESERVE events,
 * whose views may point into the packet, which then stays until net_release(). May send the packet
 * back by net_packet_reply(). */
void tcp_input(struct net *net, struct packet *packet, const struct tcp_segment *segment,
               uint32_t conn, struct net_events *events);
/* Acknowledgements still owed at the end of a turn. */
void tcp_release(struct net *net);
void tcp_timers(struct net *net, struct net_events *events);
void tcp_flush(struct net *net);
uint64_t tcp_next_ns(const struct net *net);

#endif
