/* SPDX-License-Identifier: Apache-2.0
 *
 * Beginnings of connections, and what has none.
 *
 *   passive: SYN -> SYN-ACK with a cookie, nothing kept -> ACK with it -> row, ESTABLISHED
 *   active:  tcp_connect -> row and extension, SYN_SENT -> SYN-ACK -> ESTABLISHED
 *            SYN_SENT, a SYN crosses ours -> SYN-ACK out, still SYN_SENT -> SYN-ACK or ACK
 *
 * A refused accept (rate, rows, address) is a dropped segment: the peer's retransmission carries
 * the same cookie and asks again. A row opened by a cookie is parked; its first segment goes on
 * through the steps like any other. ECN is agreed to only with timestamps, whose mark remembers it.
 * Simultaneous open (RFC 9293 figure 8) needs no SYN_RCVD: a crossing SYN is only noted, and who
 * acknowledges our SYN by a SYN-ACK is believed more than it. RFC 9293 3.5, 3.10.7.1 (CLOSED),
 * 3.10.7.2 (LISTEN), 3.10.7.3 (SYN_SENT), RFC 4987 3.6, RFC 6528. */
#include "tcp.h"

#define CONNECT_PORT_TRIES_MAX 64u

/* ---- resets without a connection ---- */

void tcp_reset_reply(struct net *net, struct packet *packet, const struct tcp_segment *segment)
{
    if ((segment->flags & TCP_RST) != 0)
        return;
    if (!rate_limit_take(&net->resets, net->now_ns)) {
        net_count(net, METRIC_TCP_DROP_RESET_RATE);
        return;
    }
    bool has_ack = (segment->flags & TCP_ACK) != 0;
    uint32_t seq = has_ack ? segment->ack : 0;
    uint32_t ack = has_ack ? 0 : segment->seq + tcp_segment_length(segment);
    uint8_t flags = has_ack ? TCP_RST : TCP_RST | TCP_ACK;
    struct tcp_key key = segment->key;
    struct packet reply;
    uint8_t *at = net_packet_reply(net, packet, &key, sizeof(struct tcp_header), &reply);
    if (at == NULL)
        return;
    uint8_t *end = tcp_header_write(at, &key, seq, ack, flags);
    net_packet_send(net, &reply, (uint32_t)(end - at));
    net_count(net, METRIC_TCP_RESETS_SENT);
}

/* ---- passive: SYN ---- */

/* A cookie proves itself by the first octet's segment alone. When that one is lost and the next
 * arrives, it looks like a bad cookie, and a reset would kill an honest connection that is about to
 * repair itself. So a few thousand SYNs are remembered, in buckets of which the oldest falls out,
 * and a segment of a remembered flow is dropped in silence. A flood makes us forget; then the
 * reset is sent. */
static uint32_t *recent_syns_of(struct net *net, uint64_t hash)
{
    uint32_t bucket = (uint32_t)hash & (TCP_RECENT_SYNS / TCP_RECENT_WAYS - 1);
    return &net->tcp->recent_syns[bucket * TCP_RECENT_WAYS];
}

static uint32_t syn_memory(const struct net *net, uint64_t hash)
{
    return (uint32_t)(hash >> 48) << 16 | (tcp_now_s(net) & 0xffffu);
}

/* A flow that asks again stands there twice, the newer memory first; that costs a place. */
static void remember_syn(struct net *net, uint64_t hash)
{
    uint32_t *recent = recent_syns_of(net, hash);
    memmove(recent + 1, recent, (TCP_RECENT_WAYS - 1) * sizeof *recent);
    recent[0] = syn_memory(net, hash);
}

static bool is_syn_recent(struct net *net, uint64_t hash)
{
    const uint32_t *recent = recent_syns_of(net, hash);
    uint32_t now = syn_memory(net, hash);
    for (uint32_t i = 0; i < TCP_RECENT_WAYS; i++)
        if (recent[i] >> 16 == now >> 16 && ((now - recent[i]) & 0xffffu) <= TCP_RECENT_SECONDS)
            return true;
    return false;
}

/* Where queues take turns, a reset can overtake the ACK it follows; the row that ACK opened would
 * then wait for a peer that has gone. So a reset that carries the cookie itself is remembered for a
 * moment, and the ACK that comes after it opens nothing. Who forges one must have seen the SYN-ACK.
 */
static uint32_t *recent_reset_of(struct net *net, uint64_t hash)
{
    return &net->tcp->recent_resets[(uint32_t)hash & (TCP_RECENT_RESETS - 1)];
}

static void note_reset(struct net *net, const struct tcp_segment *segment)
{
    struct tcp_offer offer;
    if (tcp_cookie_check(&net->cookie, segment, net->now_ns, &offer))
        *recent_reset_of(net, segment->hash) = syn_memory(net, segment->hash);
}

static bool is_reset_recent(struct net *net, uint64_t hash)
{
    uint32_t noted = *recent_reset_of(net, hash);
    uint32_t now = syn_memory(net, hash);
    return noted != 0 && noted >> 16 == now >> 16 &&
           ((now - noted) & 0xffffu) <= TCP_RECENT_RESET_SECONDS;
}

static uint16_t our_mss(const struct net *net, const struct net_address *remote)
{
    uint32_t headers = net_ip_header_size(remote) + sizeof(struct tcp_header);
    return (uint16_t)(net->options.nic->mtu - headers);
}

/* What we may send: theirs, ours, and never less than the floor. */
static uint16_t bounded_mss(const struct net *net, const struct net_address *remote,
                            uint16_t theirs)
{
    uint16_t mss = our_mss(net, remote);
    if (theirs < mss)
        mss = theirs;
    return mss > TCP_MSS_MIN ? mss : (uint16_t)TCP_MSS_MIN;
}

/* RFC 3168 6.1.1: a SYN that asks carries both bits. */
static bool is_ecn_setup(const struct net *net, const struct tcp_segment *syn)
{
    return net->options.has_ecn && (syn->flags & (TCP_ECE | TCP_CWR)) == (TCP_ECE | TCP_CWR);
}

/* RFC 9293 3.7.1: who names no MSS takes 536 octets, or 1220 over IPv6. */
static void read_syn(const struct tcp_segment *segment, struct tcp_options *options)
{
    tcp_options_read(segment->options, options);
    if (!options->has_mss && !net_address_is_ipv4(&segment->key.remote))
        options->offer.mss = TCP_MSS_DEFAULT_IPV6;
}

static void answer_syn(struct net *net, struct packet *packet, const struct tcp_segment *segment)
{
    struct tcp_options theirs;
    read_syn(segment, &theirs);
    struct tcp_key key = segment->key;
    struct tcp_offer offer = theirs.offer;
    offer.has_ecn = theirs.has_timestamps && is_ecn_setup(net, segment);
    uint32_t seq = tcp_cookie_make(&net->cookie, segment, &offer, net->now_ns);
    struct tcp_options stamps = {.ts_echo = theirs.ts_value};
    stamps.ts_value = tcp_cookie_timestamp_mark(tcp_timestamp(net, &key), &offer);
    struct tcp_offer ours = {
        .mss = our_mss(net, &key.remote),
        .scale = offer.scale == TCP_SCALE_NONE ? (uint8_t)TCP_SCALE_NONE : net->tcp->rcv_scale,
        .has_sack = offer.has_sack,
    };
    uint8_t flags = TCP_SYN | TCP_ACK;
    if (offer.has_ecn)
        flags |= TCP_ECE;
    uint32_t ack = segment->seq + 1;
    struct packet reply;
    uint32_t size_max = sizeof(struct tcp_header) + TCP_OPTIONS_SIZE_MAX;
    uint8_t *at = net_packet_reply(net, packet, &key, size_max, &reply);
    if (at == NULL)
        return;
    struct tcp_header *header = (struct tcp_header *)(void *)at;
    uint8_t *end = tcp_header_write(at, &key, seq, ack, flags);
    end += tcp_options_write_syn(end, &ours, theirs.has_timestamps ? &stamps : NULL);
    header->window = be16_of(net->tcp->window_plain);
    header->offset = (uint8_t)((end - at) / 4 << 4);
    net_packet_send(net, &reply, (uint32_t)(end - at));
    remember_syn(net, segment->hash);
    *recent_reset_of(net, segment->hash) = 0;
    net_count(net, METRIC_TCP_COOKIES_SENT);
}

/* ---- passive: the cookie comes back ---- */

/* What the handshake settled, into the row. */
static void settle(struct net *net, struct tcp_row *row, const struct tcp_options *options,
                   uint16_t window)
{
    const struct tcp_offer *offer = &options->offer;
    row->mss = bounded_mss(net, &row->remote, offer->mss);
    if (offer->has_sack)
        row->flags |= TCP_ROW_SACK;
    if (offer->has_ecn)
        row->flags |= TCP_ROW_ECN;
    if (offer->scale != TCP_SCALE_NONE) {
        row->flags |= TCP_ROW_WINDOW_SCALE;
        row->snd_scale = offer->scale & 0x0fu;
        row->rcv_scale = net->tcp->rcv_scale & 0x0fu;
    }
    if (options->has_timestamps) {
        row->flags |= TCP_ROW_TIMESTAMPS;
        row->ts_recent = options->ts_value;
    }
    row->snd_wnd = window;
    row->rcv_adv = row->rcv_nxt + ((uint32_t)tcp_receive_window(net->tcp, row) << row->rcv_scale);
    row->active_at_s = tcp_now_s(net);
    row->challenge_at = (uint16_t)(tcp_quarter_seconds(net) - TCP_CHALLENGE_QUARTERS);
}

static uint32_t accept_row(struct net *net, const struct tcp_segment *segment,
                           const struct tcp_options *options)
{
    uint32_t conn = net_row_open(net, &segment->key, segment->hash);
    if (conn == POOL_NONE)
        return POOL_NONE;
    struct tcp_row *row = &net->rows[conn];
    row->snd_nxt = segment->ack;
    row->rcv_nxt = segment->seq;
    settle(net, row, options, segment->window);
    row->neighbour = neighbour_learn(net, row->local, &row->remote, segment->source_mac);
    tcp_set_state(net, conn, TCP_ESTABLISHED);
    tcp_keepalive_start(net, conn);
    trace_add(net->options.trace, net->now_ns, net_handle(net, conn), TRACE_TCP_ACCEPT,
              row->remote_port, row->mss);
    net_count(net, METRIC_TCP_ACCEPTED);
    return conn;
}

/* The timestamp of our SYN-ACK is a secret of this flow: of 2^32 values it may echo no more than
 * were current while its cookie is good. */
static bool is_echo_ours(const struct net *net, const struct tcp_segment *segment,
                         const struct tcp_options *options)
{
    uint32_t age_ms = tcp_timestamp(net, &segment->key) - options->ts_echo;
    return options->has_timestamps && age_ms <= 2 * TCP_COOKIE_EPOCH_NS / NS_PER_MS + 64;
}

/* Who guesses fast enough finds a cookie. Over that rate only they are looked at who know a
 * timestamp as well, which nearly every client does. */
static bool is_guessing(const struct net *net, const struct tcp_segment *segment,
                        const struct tcp_options *options)
{
    return !rate_limit_has(&net->guesses, net->now_ns) && !is_echo_ours(net, segment, options);
}

static void refuse_cookie(struct net *net, struct packet *packet, const struct tcp_segment *segment)
{
    bool is_within = rate_limit_take(&net->guesses, net->now_ns);
    net_count(net, is_within ? METRIC_TCP_COOKIES_BAD : METRIC_TCP_DROP_COOKIE_RATE);
    if (!is_syn_recent(net, segment->hash))
        tcp_reset_reply(net, packet, segment);
}

static void accept_cookie(struct net *net, struct packet *packet, const struct tcp_segment *segment,
                          struct net_events *events)
{
    struct tcp_options options;
    tcp_options_read(segment->options, &options);
    if (is_guessing(net, segment, &options)) {
        net_count(net, METRIC_TCP_DROP_COOKIE_RATE);
        return;
    }
    if (!tcp_cookie_check(&net->cookie, segment, net->now_ns, &options.offer)) {
        refuse_cookie(net, packet, segment);
        return;
    }
    net_count(net, METRIC_TCP_COOKIES_GOOD);
    if (IS_UNLIKELY(is_reset_recent(net, segment->hash))) {
        net_count(net, METRIC_TCP_DROP_NO_CONNECTION);
        return;
    }
    if (options.has_timestamps)
        tcp_cookie_timestamp_read(options.ts_echo, &options.offer);
    if (!rate_limit_take(&net->accepts, net->now_ns)) {
        net_count(net, METRIC_TCP_DROP_ACCEPT_RATE);
        return;
    }
    if (!tcp_pressure_admits_from(net, &segment->key.remote))
        return;
    uint32_t conn = accept_row(net, segment, &options);
    if (conn == POOL_NONE)
        return;
    tcp_pressure_accepted(net, conn);
    net_event_add(events, (struct net_event){.kind = NET_ACCEPTED, .conn = conn});
    tcp_input_open(net, segment, conn, events);
}

void tcp_input_unknown(struct net *net, struct packet *packet, const struct tcp_segment *segment,
                       struct net_events *events)
{
    struct tcp_time_wait *record = tcp_time_wait_find(net, &segment->key, segment->hash);
    if (record != NULL && tcp_time_wait_input(net, packet, segment, record))
        return;
    bool is_listening = net_is_listening(net, segment->key.local_port);
    uint8_t kind = segment->flags & (TCP_SYN | TCP_ACK | TCP_RST);
    if (is_listening && kind == TCP_SYN) {
        if (tcp_pressure_admits(net))
            answer_syn(net, packet, segment);
        return;
    }
    if (is_listening && kind == TCP_ACK) {
        accept_cookie(net, packet, segment, events);
        return;
    }
    if (is_listening && kind == (TCP_RST | TCP_ACK))
        note_reset(net, segment);
    net_count(net, METRIC_TCP_DROP_NO_CONNECTION);
    tcp_reset_reply(net, packet, segment);
}

/* ---- active ---- */

/* RFC 6528: a keyed hash of the connection plus a clock of 4 us. The other half of that hash is the
 * offset of its timestamps, which the peer may know. */
static uint32_t initial_sequence(const struct net *net, const struct tcp_key *key)
{
    if (net->tcp->is_isn_fixed)
        return net->tcp->isn_fixed;
    uint64_t hash = siphash_2_4(&net->cookie.boot, bytes_of(key, sizeof *key));
    return (uint32_t)(hash >> 32) + (uint32_t)(net->now_ns / (4 * NS_PER_US));
}

static uint32_t open_ephemeral(struct net *net, struct tcp_key *key)
{
    struct tcp *tcp = net->tcp;
    uint32_t span = TCP_EPHEMERAL_LAST - TCP_EPHEMERAL_FIRST + 1;
    if (tcp->ephemeral_next == 0)
        tcp->ephemeral_next =
            (uint16_t)(TCP_EPHEMERAL_FIRST + random_below(net->options.random, span));
    for (uint32_t i = 0; i < CONNECT_PORT_TRIES_MAX; i++) {
        key->local_port = tcp->ephemeral_next++;
        if (tcp->ephemeral_next > TCP_EPHEMERAL_LAST)
            tcp->ephemeral_next = TCP_EPHEMERAL_FIRST;
        uint64_t hash = tcp_table_hash(&net->table, key);
        if (tcp_table_find(&net->table, net->rows, hash, key) != POOL_NONE ||
            tcp_time_wait_find(net, key, hash) != NULL)
            continue;
        return net_row_open(net, key, hash);
    }
    return POOL_NONE;
}

/* Our SYN, or with TCP_ACK what answers one that crossed it. False when no packet was to be had. */
static bool write_syn(struct net *net, uint32_t conn, uint8_t flags)
{
    struct tcp_row *row = &net->rows[conn];
    struct packet packet;
    uint8_t *at = net_packet_begin(net, row, &packet);
    if (at == NULL)
        return false;
    bool is_answer = (flags & TCP_ACK) != 0;
    struct tcp_key key = tcp_row_key(row);
    struct tcp_offer ours = {our_mss(net, &key.remote), net->tcp->rcv_scale, true, false};
    struct tcp_options stamps = {.ts_value = tcp_timestamp(net, &key)};
    bool has_stamps = true;
    if (is_answer) { /* what the peer offers, too */
        if ((row->flags & TCP_ROW_WINDOW_SCALE) == 0)
            ours.scale = TCP_SCALE_NONE;
        ours.has_sack = (row->flags & TCP_ROW_SACK) != 0;
        stamps.ts_echo = row->ts_recent;
        has_stamps = (row->flags & TCP_ROW_TIMESTAMPS) != 0;
    }
    struct tcp_header *header = (struct tcp_header *)(void *)at;
    uint32_t iss = tcp_hot_of(net, row)->iss;
    uint8_t *end = tcp_header_write(at, &key, iss, is_answer ? row->rcv_nxt : 0, flags);
    end += tcp_options_write_syn(end, &ours, has_stamps ? &stamps : NULL);
    header->window = be16_of(net->tcp->window_plain);
    header->offset = (uint8_t)((end - at) / 4 << 4);
    net_packet_send(net, &packet, (uint32_t)(end - at));
    return true;
}

void tcp_transmit_syn(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    /* RFC 3168 6.1.1.1: what eats the bits must not eat the connection, so again without them. */
    bool is_asking = net->options.has_ecn && hot->tries == 0;
    hot->quiet_at_ns = net->now_ns;
    if (!write_syn(net, conn, is_asking ? TCP_SYN | TCP_ECE | TCP_CWR : TCP_SYN)) {
        hot->resend_at_ns = net->now_ns + tcp_refused_retry_ns(hot);
        tcp_timer_update(net, conn);
        return;
    }
    hot->refusals = 0;
    if (row->snd_nxt != hot->iss)
        net_count(net, METRIC_TCP_RETRANSMITS);
    row->snd_nxt = hot->iss + 1;
    hot->rack.xmit_us = tcp_now_us(net);
    hot->resend_at_ns = net->now_ns + tcp_rto_ns(hot);
    hot->tries++;
    tcp_timer_update(net, conn);
}

/* A link-local source cannot be answered from off the link (RFC 4291 2.5.6); it would be picked
 * while our other addresses are being probed for duplicates. */
static uint16_t pick_source(const struct net *net, const struct net_address *remote)
{
    uint16_t local = link_source(&net->link, LINK_VLAN_ANY, remote);
    if (local == LINK_LOCAL_NONE || net_address_is_link_local(remote) ||
        !net_address_is_link_local(&net->link.locals[local].address))
        return local;
    return LINK_LOCAL_NONE;
}

uint32_t tcp_connect(struct net *net, struct net_address address, uint16_t port, uint64_t now_ns)
{
    net->now_ns = now_ns;
    if (net->tcp->hot_pool.used == net->tcp->hot_pool.count) {
        net_count(net, METRIC_TCP_HOT_REFUSED);
        return POOL_NONE;
    }
    struct tcp_key key = {.remote = address, .remote_port = port};
    key.local = pick_source(net, &address);
    if (key.local == LINK_LOCAL_NONE) {
        net_count(net, METRIC_NET_DROP_NO_ROUTE);
        return POOL_NONE;
    }
    uint32_t conn = open_ephemeral(net, &key);
    if (conn == POOL_NONE)
        return POOL_NONE;
    struct tcp_row *row = &net->rows[conn];
    row->snd_nxt = initial_sequence(net, &key);
    row->flags = TCP_ROW_ACTIVE;
    row->mss = TCP_MSS_DEFAULT;
    tcp_set_state(net, conn, TCP_SYN_SENT);
    struct tcp_hot *hot = tcp_unpark(net, conn);
    ASSERT(hot != NULL);
    hot->iss = row->snd_nxt;
    hot->snd_end = hot->iss + 1; /* octets start past the SYN */
    tcp_transmit_syn(net, conn);
    return conn;
}

/* The peer's SYN says what will be spoken. */
static void agree(struct net *net, struct tcp_row *row, const struct tcp_segment *syn,
                  const struct tcp_options *options)
{
    row->flags = TCP_ROW_ACTIVE;
    row->snd_scale = 0;
    row->rcv_scale = 0;
    row->rcv_nxt = syn->seq + 1;
    settle(net, row, options, syn->window);
    /* RFC 7323 2.2: the window of a SYN is not scaled. The next segment corrects what is lost. */
    row->snd_wnd = (uint16_t)(syn->window >> row->snd_scale);
    if (row->snd_wnd == 0 && syn->window != 0)
        row->snd_wnd = 1;
}

/* Our SYN is acknowledged, the peer's known. */
static void establish(struct net *net, uint32_t conn, struct net_events *events)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot->tries == 1) /* Karn: one SYN, one answer */
        tcp_rtt_sample(hot, tcp_now_us(net) - hot->rack.xmit_us);
    row->flags &= (uint8_t)~TCP_ROW_CROSSED;
    hot->snd_una = row->snd_nxt;
    hot->snd_wl1 = row->rcv_nxt - 1;
    hot->snd_wl2 = row->snd_nxt;
    hot->snd_wnd_max = tcp_send_window(row);
    hot->resend_at_ns = TCP_NEVER;
    hot->tries = 0;
    hot->progress_at_ns = net->now_ns;
    tcp_congestion_start(hot, tcp_segment_room(row));
    tcp_set_state(net, conn, TCP_ESTABLISHED);
    tcp_timer_update(net, conn);
    tcp_keepalive_start(net, conn);
    net_count(net, METRIC_TCP_CONNECTED);
    net_event_add(events, (struct net_event){.kind = NET_CONNECTED, .conn = conn});
}

static void take_syn_ack(struct net *net, uint32_t conn, const struct tcp_segment *segment,
                         struct net_events *events)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_options options;
    read_syn(segment, &options);
    /* RFC 3168 6.1.1: only a lone SYN that asked, answered by ECE without CWR. */
    options.offer.has_ecn = net->options.has_ecn && tcp_hot_of(net, row)->tries == 1 &&
                            (segment->flags & (TCP_ECE | TCP_CWR)) == TCP_ECE;
    agree(net, row, segment, &options);
    establish(net, conn, events);
    tcp_owe_ack(net, conn);
}

/* ---- active, from both sides at once ---- */

/* Nothing is timed here: our SYN is, and the peer asks again as long as it has to. */
static void take_crossing_syn(struct net *net, uint32_t conn, const struct tcp_segment *segment)
{
    struct tcp_row *row = &net->rows[conn];
    uint16_t now = (uint16_t)tcp_quarter_seconds(net);
    if ((row->flags & TCP_ROW_CROSSED) != 0 &&
        (uint16_t)(now - row->challenge_at) < TCP_CHALLENGE_QUARTERS) {
        net_count(net, METRIC_TCP_DROP_SYN_SENT);
        return;
    }
    struct tcp_options options;
    read_syn(segment, &options);
    agree(net, row, segment, &options);
    row->flags |= TCP_ROW_CROSSED;
    row->challenge_at = now;
    /* Our own SYN may still wait for a neighbour; this one says the same. */
    if (write_syn(net, conn, TCP_SYN | TCP_ACK))
        row->snd_nxt = tcp_hot_of(net, row)->iss + 1;
}

/* What a peer sends that took our answer to its SYN for the whole handshake. */
static bool is_crossing_done(const struct tcp_row *row, const struct tcp_segment *segment)
{
    return (row->flags & TCP_ROW_CROSSED) != 0 && (segment->flags & TCP_ACK) != 0 &&
           seq_is_within(segment->seq, row->rcv_nxt, row->rcv_adv - row->rcv_nxt);
}

/* RFC 9293 3.10.7.3, its steps numbered. */
void tcp_input_syn_sent(struct net *net, struct packet *packet, const struct tcp_segment *segment,
                        uint32_t conn, struct net_events *events)
{
    struct tcp_row *row = &net->rows[conn];
    bool has_ack = (segment->flags & TCP_ACK) != 0;
    bool is_acked = has_ack && segment->ack == row->snd_nxt && row->snd_nxt != tcp_una(net, row);
    if (has_ack && !is_acked) { /* first: the ACK bit */
        net_count(net, METRIC_TCP_DROP_SYN_SENT);
        tcp_reset_reply(net, packet, segment);
        return;
    }
    if ((segment->flags & TCP_RST) != 0) { /* second: the RST bit */
        if (is_acked) {
            net_count(net, METRIC_TCP_RESETS_RECEIVED);
            tcp_die(net, conn, NET_CLOSE_REFUSED);
        }
        return;
    }
    bool has_syn = (segment->flags & TCP_SYN) != 0; /* fourth: the SYN bit */
    if (has_syn && is_acked) {
        take_syn_ack(net, conn, segment, events);
    } else if (has_syn) {
        take_crossing_syn(net, conn, segment);
    } else if (is_crossing_done(row, segment)) {
        establish(net, conn, events);
        tcp_input_open(net, segment, conn, events);
    } else {
        net_count(net, METRIC_TCP_DROP_SYN_SENT);
    }
}
