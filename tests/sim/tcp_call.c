/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_sim.h: connections as their applications see them. The octets of a
 * direction are a keyed function of their place, so whoever receives any of
 * them knows what they must be.
 *
 * The opener of a call always speaks first: the acceptor keeps nothing of a
 * handshake (SYN cookies), so a connection exists for it only once it has heard
 * an ACK, and that of a silent opener may be lost. */
#include "tcp_sim.h"

#define RETRY_NS (10 * NS_PER_MS)
#define CONNECT_RETRY_NS (50 * NS_PER_MS)
#define OCTETS_MAX 65536u

/* ---- octets ---- */

static uint64_t mixed(uint64_t word)
{
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

void call_octets(const struct call *call, uint32_t host, uint64_t offset, uint8_t *into,
                 size_t size)
{
    uint64_t key = call->key + host * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t done = 0; done < size;) {
        uint64_t word = mixed(key ^ (offset + done) / 8);
        uint32_t skip = (uint32_t)((offset + done) % 8);
        size_t step = 8 - skip < size - done ? 8 - skip : size - done;
        memcpy(into + done, (const uint8_t *)&word + skip, step);
        done += step;
    }
}

/* ---- which call ---- */

static struct call *find_by_conn(struct tcp_sim *sim, uint32_t host, uint32_t conn)
{
    for (uint32_t i = 0; i < sim->call_count; i++)
        if (sim->calls[i].sides[host].is_open && sim->calls[i].sides[host].conn == conn)
            return &sim->calls[i];
    return NULL;
}

/* The call whose opener saw this sequence number in the SYN-ACK. */
static struct call *find_accepted(struct tcp_sim *sim, uint32_t host, const struct tcp_row *row)
{
    for (uint32_t i = 0; i < sim->call_count; i++) {
        struct call *call = &sim->calls[i];
        if (call->opener != host && call->ports[call->opener] == row->remote_port &&
            call->sides[call->opener].was_opened && call->peer_start == row->snd_nxt &&
            !call->sides[host].was_opened && call->is_ipv6 == !net_address_is_ipv4(&row->remote))
            return call;
    }
    return NULL;
}

/* ---- events ---- */

static void take_octets(struct tcp_sim *sim, struct call *call, uint32_t host, struct bytes octets)
{
    static uint8_t wanted[OCTETS_MAX]; /* tidy: global - a buffer */
    struct side *side = &call->sides[host];
    uint32_t number = (uint32_t)(call - sim->calls);
    if (octets.size == 0 || octets.size > sizeof wanted) {
        tcp_sim_blame(sim, "call %u: %zu octets at once", number, octets.size);
        return;
    }
    if (side->has_ended)
        tcp_sim_blame(sim, "call %u: host %u got octets after the end", number, host);
    if (side->received + octets.size > call->sides[1 - host].sent)
        tcp_sim_blame(sim, "call %u: host %u got octets that were never sent", number, host);
    call_octets(call, 1 - host, side->received, wanted, octets.size);
    if (memcmp(wanted, octets.at, octets.size) != 0)
        tcp_sim_blame(sim, "call %u: host %u got wrong octets in [%llu, +%zu)", number, host,
                      (unsigned long long)side->received, octets.size);
    side->received += octets.size;
}

static void take_closed(struct tcp_sim *sim, struct call *call, uint32_t host,
                        enum net_close_why why)
{
    struct side *side = &call->sides[host];
    uint32_t number = (uint32_t)(call - sim->calls);
    side->closed_count++;
    side->why = why;
    side->is_open = false;
    side->is_watched = false;
    if (why != NET_CLOSE_DONE)
        return;
    /* In order means: all of ours was acknowledged, and all of theirs came. */
    if (!side->has_ended || side->received != call->sides[1 - host].sent)
        tcp_sim_blame(sim, "call %u: host %u is done after %llu octets of %llu", number, host,
                      (unsigned long long)side->received,
                      (unsigned long long)call->sides[1 - host].sent);
    if (call->sides[1 - host].received != side->sent)
        tcp_sim_blame(sim, "call %u: host %u is done but the peer has %llu octets of %llu", number,
                      host, (unsigned long long)call->sides[1 - host].received,
                      (unsigned long long)side->sent);
}

/* What nobody calls any more: an old first segment opened it with a cookie that
 * was still good. */
static void take_stray(struct tcp_sim *sim, uint32_t host, const struct net_event *event)
{
    if (event->kind == NET_ACCEPTED)
        tcp_abort(sim->hosts[host].net, event->conn);
}

static void take_accepted(struct tcp_sim *sim, uint32_t host, uint32_t conn)
{
    struct host *at = &sim->hosts[host];
    struct call *call = find_accepted(sim, host, &at->net->rows[conn]);
    if (call == NULL) {
        tcp_abort(at->net, conn);
        return;
    }
    struct side *side = &call->sides[host];
    side->conn = conn;
    side->was_opened = true;
    side->is_open = true;
}

void call_take_event(struct tcp_sim *sim, uint32_t host, const struct net_event *event)
{
    if (event->kind == NET_ACCEPTED) {
        take_accepted(sim, host, event->conn);
        return;
    }
    struct call *call = find_by_conn(sim, host, event->conn);
    sim->progress_at_ns = sim->now_ns;
    if (call == NULL) {
        take_stray(sim, host, event);
        return;
    }
    struct side *side = &call->sides[host];
    switch (event->kind) {
    case NET_ACCEPTED:
        break;
    case NET_CONNECTED:
        if (side->was_opened || (call->opener != host && !call->is_crossing))
            tcp_sim_blame(sim, "call %zu: connected twice", call - sim->calls);
        side->was_opened = true;
        if (!call->is_crossing)
            call->peer_start = sim->hosts[host].net->rows[event->conn].rcv_nxt;
        break;
    case NET_DATA:
        take_octets(sim, call, host, event->octets);
        break;
    case NET_END:
        if (side->has_ended)
            tcp_sim_blame(sim, "call %zu: two ends", call - sim->calls);
        side->has_ended = true;
        break;
    case NET_SENT:
        if (!side->is_blocked)
            tcp_sim_blame(sim, "call %zu: NET_SENT without a refusal", call - sim->calls);
        side->is_blocked = false;
        break;
    case NET_CLOSED:
        take_closed(sim, call, host, event->why);
        break;
    }
}

/* ---- what the application does ---- */

/* Octets that may be queued by now. */
static uint64_t allowed(const struct tcp_sim *sim, struct call *call, uint32_t host)
{
    struct side *side = &call->sides[host];
    bool is_opener = call->opener == host;
    uint64_t limit = side->to_send;
    if (call->kind == CALL_REQUESTS) {
        uint64_t rounds =
            is_opener ? side->received / call->answer + 1 : side->received / call->request;
        limit = rounds * (is_opener ? call->request : call->answer);
    } else if (call->kind == CALL_THIN) {
        limit = sim->now_ns >= side->push_at_ns ? side->to_send : side->sent;
    }
    if (is_opener && call->idle_ns != 0 && side->sent <= call->idle_after &&
        limit > call->idle_after && side->push_at_ns <= sim->now_ns) {
        limit = call->idle_after;
        if (side->sent == call->idle_after) { /* the silence begins */
            side->push_at_ns = sim->now_ns + call->idle_ns;
            call->idle_ns = 0;
        }
    }
    if (sim->now_ns < side->push_at_ns)
        limit = side->sent;
    return limit < side->to_send ? limit : side->to_send;
}

/* False when nothing more can be queued now. */
static bool send_one(struct tcp_sim *sim, struct call *call, uint32_t host, uint64_t left)
{
    struct host *at = &sim->hosts[host];
    struct side *side = &call->sides[host];
    uint32_t size = 1 + random_below(&sim->random, call->chunk_max);
    if (size > left)
        size = (uint32_t)left;
    uint8_t *into;
    uint32_t blob = blob_create(&at->blobs, size, &into);
    if (blob == BLOB_NONE) {
        side->retry_at_ns = sim->now_ns + RETRY_NS;
        return false;
    }
    call_octets(call, host, side->sent, into, size);
    enum error error = tcp_send(at->net, side->conn, blob, 0, size);
    if (error == ERROR_NONE) {
        side->sent += size;
        sim->progress_at_ns = sim->now_ns;
        if (call->kind == CALL_THIN && call->gap_ns != 0)
            side->push_at_ns = sim->now_ns + random_u64(&sim->random) % call->gap_ns;
        return true;
    }
    (void)blob_put(&at->blobs, blob);
    if (error == ERROR_LIMIT)
        side->is_blocked = true;
    else if (error == ERROR_POOL_EMPTY)
        side->retry_at_ns = sim->now_ns + RETRY_NS;
    else if (error != ERROR_STALE || net_is_live(at->net, side->conn)) /* NET_CLOSED under way */
        tcp_sim_blame(sim, "call %zu: tcp_send says %d", call - sim->calls, (int)error);
    return false;
}

static void send_some(struct tcp_sim *sim, struct call *call, uint32_t host)
{
    struct side *side = &call->sides[host];
    if (side->is_blocked || sim->now_ns < side->retry_at_ns)
        return;
    side->retry_at_ns = 0;
    for (;;) {
        uint64_t limit = allowed(sim, call, host);
        if (side->sent >= limit || !send_one(sim, call, host, limit - side->sent))
            return;
    }
}

static bool wants_close(const struct call *call, uint32_t host)
{
    const struct side *side = &call->sides[host];
    const struct side *peer = &call->sides[1 - host];
    bool is_sent = side->sent == side->to_send;
    switch (side->close) {
    case CLOSE_WHEN_SENT:
        return is_sent;
    case CLOSE_WHEN_ENDED:
        return is_sent && side->has_ended;
    case CLOSE_WHEN_COMPLETE:
        return is_sent && side->received == peer->to_send && peer->received == side->to_send;
    case CLOSE_BY_ABORT:
        return false;
    }
    return false;
}

static bool wants_abort(const struct tcp_sim *sim, const struct side *side)
{
    return side->close == CLOSE_BY_ABORT && sim->now_ns >= side->abort_at_ns;
}

static void run_side(struct tcp_sim *sim, struct call *call, uint32_t host)
{
    struct net *net = sim->hosts[host].net;
    struct side *side = &call->sides[host];
    if (!side->is_open || !side->was_opened || side->is_closing)
        return;
    if (wants_abort(sim, side)) {
        side->is_closing = true;
        tcp_abort(net, side->conn);
        return;
    }
    send_some(sim, call, host);
    if (!wants_close(call, host))
        return;
    side->is_closing = true;
    tcp_close(net, side->conn);
}

/* The earlier call on the same ports must be over at this end. */
static bool is_port_free(const struct call *call)
{
    if (!call->is_same_port)
        return true;
    const struct side *before = &(call - 1)->sides[call->opener];
    return (call - 1)->is_begun && !before->is_open;
}

static bool may_open(const struct tcp_sim *sim, const struct call *call)
{
    return sim->now_ns >= call->open_at_ns && is_port_free(call);
}

static uint32_t first_seq(const struct net *net, uint32_t conn)
{
    return tcp_hot_of(net, &net->rows[conn])->iss + 1;
}

/* One host's side of it; POOL_NONE when refused. */
static uint32_t connect_side(struct tcp_sim *sim, struct call *call, uint32_t which)
{
    struct host *host = &sim->hosts[which];
    const struct host *peer = &sim->hosts[1 - which];
    host->net->tcp->is_isn_fixed = call->has_isn;
    host->net->tcp->isn_fixed = call->isn;
    uint32_t conn =
        tcp_connect(host->net, peer->addresses[call->is_ipv6], call->ports[1 - which], sim->now_ns);
    if (conn == POOL_NONE)
        return POOL_NONE;
    call->ports[which] = host->net->rows[conn].local_port;
    call->sides[which].conn = conn;
    call->sides[which].is_open = true;
    sim->progress_at_ns = sim->now_ns;
    return conn;
}

static void open_call(struct tcp_sim *sim, struct call *call)
{
    struct net *net = sim->hosts[call->opener].net;
    if (call->is_same_port)
        net->tcp->ephemeral_next = (call - 1)->ports[call->opener];
    uint32_t conn = connect_side(sim, call, call->opener);
    if (conn == POOL_NONE) {
        call->open_at_ns = sim->now_ns + CONNECT_RETRY_NS;
        return;
    }
    call->is_begun = true;
    call->opener_start = first_seq(net, conn);
}

/* Both know what port the other's next connection has. Neither hears the other
 * before it has opened itself: that takes a packet, and packets take a turn. */
static void open_crossing(struct tcp_sim *sim, struct call *call)
{
    uint16_t port = (uint16_t)(TCP_SIM_CROSSING_PORT + (call - sim->calls));
    call->ports[0] = call->ports[1] = port;
    call->is_begun = true;
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++) {
        if (host_is_dead(sim, i))
            continue;
        struct tcp *tcp = sim->hosts[i].net->tcp;
        uint16_t next = tcp->ephemeral_next;
        tcp->ephemeral_next = port;
        uint32_t conn = connect_side(sim, call, i);
        tcp->ephemeral_next = next;
        if (conn == POOL_NONE) {
            call->may_fail = true; /* IPv6 is not ready: the other gets no answer */
            continue;
        }
        uint32_t *start = i == call->opener ? &call->opener_start : &call->peer_start;
        *start = first_seq(sim->hosts[i].net, conn);
    }
}

void call_run(struct tcp_sim *sim, uint32_t host)
{
    for (uint32_t i = 0; i < sim->call_count; i++) {
        struct call *call = &sim->calls[i];
        if (!call->is_begun && call->opener == host && may_open(sim, call)) {
            if (call->is_crossing)
                open_crossing(sim, call);
            else
                open_call(sim, call);
        }
        run_side(sim, call, host);
    }
}

/* ---- the script's own time ---- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t side_next_ns(const struct tcp_sim *sim, const struct side *side)
{
    uint64_t next_ns = UINT64_MAX;
    if (!side->is_open || !side->was_opened || side->is_closing)
        return next_ns;
    if (side->push_at_ns > sim->now_ns && side->sent < side->to_send)
        next_ns = side->push_at_ns;
    if (side->retry_at_ns != 0)
        next_ns = earlier(next_ns, side->retry_at_ns);
    if (side->close == CLOSE_BY_ABORT)
        next_ns = earlier(next_ns, side->abort_at_ns);
    return next_ns;
}

uint64_t call_next_ns(const struct tcp_sim *sim)
{
    uint64_t next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < sim->call_count; i++) {
        const struct call *call = &sim->calls[i];
        bool can_begin = !call->is_begun && !host_is_dead(sim, call->opener);
        if (can_begin && is_port_free(call))
            next_ns = earlier(next_ns, call->open_at_ns);
        for (uint32_t host = 0; host < TCP_SIM_HOSTS; host++)
            if (!host_is_dead(sim, host))
                next_ns = earlier(next_ns, side_next_ns(sim, &call->sides[host]));
    }
    return next_ns;
}

bool calls_are_over(const struct tcp_sim *sim)
{
    /* What is under way may open a call whose other end is gone already. */
    if (nic_sim_next_ns(sim->wire) != UINT64_MAX)
        return false;
    for (uint32_t host = 0; host < TCP_SIM_HOSTS; host++) {
        if (host_is_dead(sim, host))
            continue;
        for (uint32_t i = 0; i < sim->call_count; i++) {
            const struct call *call = &sim->calls[i];
            if ((!call->is_begun && !host_is_dead(sim, call->opener)) || call->sides[host].is_open)
                return false;
        }
        if (sim->hosts[host].net->pool.used != 0)
            return false;
    }
    return true;
}
