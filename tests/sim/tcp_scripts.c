/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_sim.h: random scripts of segments against one connection of host 1.
 * The peer is no stack but this file, which writes whatever it likes with
 * checksums that are right: octets ahead of the gap, behind it, across it,
 * again, past the window; acknowledgements old, new, partial, repeated, of what
 * was never sent; SACK blocks true, false, overlapping, reneged, before and
 * behind what they say; and lets time pass. The octets it sends are those of
 * one stream, so what is handed up is known whatever order they came in.
 *
 * Judged after each segment: octets handed up and sent, edges, tcp_is_valid,
 * and the work: packets and events for one segment, ranges and octets held,
 * timers armed are below constants. After each script: pools as before. */
#include <stdio.h>

#include "tcp_sim.h"

#define STEPS_MAX 48u
#define STREAM_OCTETS 40000u
#define PEER_MSS 1000u
#define SACK_BLOCKS_MAX 4u
#define PACKETS_PER_SEGMENT_MAX 48u /* the stream in full segments, and some */
#define ANSWERS_PER_SEGMENT_MAX 3u  /* without octets */

struct scripted {
    struct tcp_sim sim;
    struct world_outcome outcome;
    struct nic_queue *peer; /* our end of the wire */
    struct call *call;
    struct random random;
    uint64_t seed;
    uint32_t iss;       /* our sequence number of the SYN */
    uint32_t their_isn; /* theirs of the SYN-ACK */
    uint32_t ack_max;   /* the largest we acknowledged */
    uint32_t ts_value;
    uint16_t port;
    bool has_timestamps;
    bool has_sack;
    uint64_t segments;
};

static uint32_t below(struct scripted *script, uint32_t limit)
{
    return random_below(&script->random, limit);
}

static bool happens(struct scripted *script, uint32_t percent)
{
    return below(script, 100) < percent;
}

/* ---- the peer's frames ---- */

struct segment_out {
    uint8_t flags;
    uint32_t seq;
    uint32_t ack;
    uint32_t size;
    uint16_t window;
    uint32_t sacks[SACK_BLOCKS_MAX][2];
    uint32_t sack_count;
};

static void put_u32(uint8_t **at, uint32_t value)
{
    struct be32 word = be32_of(value);
    memcpy(*at, &word, sizeof word);
    *at += sizeof word;
}

static void put_padded(uint8_t **at, uint8_t kind, uint8_t size)
{
    *(*at)++ = TCP_OPTION_NOP;
    *(*at)++ = TCP_OPTION_NOP;
    *(*at)++ = kind;
    *(*at)++ = size;
}

static void write_syn_options(const struct scripted *script, uint8_t **at)
{
    const uint8_t mss[4] = {TCP_OPTION_MSS, 4, PEER_MSS >> 8, PEER_MSS & 255};
    memcpy(*at, mss, sizeof mss);
    *at += sizeof mss;
    if (script->has_sack)
        put_padded(at, TCP_OPTION_SACK_PERMITTED, 2);
}

static void write_options(const struct scripted *script, const struct segment_out *out,
                          uint8_t **at)
{
    if ((out->flags & TCP_SYN) != 0)
        write_syn_options(script, at);
    if (script->has_timestamps) {
        put_padded(at, TCP_OPTION_TIMESTAMPS, 10);
        put_u32(at, script->ts_value);
        put_u32(at, 0);
    }
    uint32_t count = out->sack_count;
    if (script->has_timestamps && count > 3)
        count = 3;
    if (count == 0)
        return;
    put_padded(at, TCP_OPTION_SACK, (uint8_t)(2 + 8 * count));
    for (uint32_t i = 0; i < count; i++) {
        put_u32(at, out->sacks[i][0]);
        put_u32(at, out->sacks[i][1]);
    }
}

static void write_ip(const struct scripted *script, uint8_t *frame, uint16_t size)
{
    struct ethernet_header *ethernet = (void *)frame;
    memcpy(ethernet->destination, script->sim.hosts[1].tap.queue.mac, ETHERNET_MAC_SIZE);
    memcpy(ethernet->source, script->peer->mac, ETHERNET_MAC_SIZE);
    ethernet->type = be16_of(ETHERNET_TYPE_IPV4);
    struct ip_header *ip = (void *)(frame + sizeof *ethernet);
    *ip = (struct ip_header){
        .version_size = 0x45,
        .size = be16_of((uint16_t)(size - sizeof *ethernet)),
        .fragment = be16_of(IP_DONT_FRAGMENT),
        .hops = IP_HOPS,
        .protocol = IP_PROTOCOL_TCP,
        .source = be32_of(0x0a000001u),
        .destination = be32_of(0x0a000002u),
    };
}

/* On the wire at once: the path has no delay. */
static void send_segment(struct scripted *script, const struct segment_out *out)
{
    struct packet packet;
    if (!nic_take(script->peer, &packet))
        return;
    uint8_t *tcp = packet.frame + NET_TCP_OFFSET;
    struct tcp_header *header = (void *)tcp;
    uint8_t *at = tcp + sizeof *header;
    write_options(script, out, &at);
    *header = (struct tcp_header){
        .source_port = be16_of(script->port),
        .destination_port = be16_of(TCP_SIM_PORT),
        .seq = be32_of(out->seq),
        .ack = be32_of(out->ack),
        .offset = (uint8_t)((at - tcp) / 4 << 4),
        .flags = out->flags,
        .window = be16_of(out->window),
    };
    call_octets(script->call, 0, out->seq - script->iss - 1, at, out->size);
    packet.size = (uint16_t)(at + out->size - packet.frame);
    write_ip(script, packet.frame, packet.size);
    packet.ip_offset = sizeof(struct ethernet_header);
    packet.flags = PACKET_FILL_IP | PACKET_FILL_TCP;
    nic_transmit(script->peer, &packet, 1);
    nic_flush(script->peer);
    script->segments++;
}

/* Takes what they sent; remembers the sequence number of a SYN-ACK. */
static void drain(struct scripted *script)
{
    struct packet packets[NIC_BURST_MAX];
    for (;;) {
        uint32_t count = nic_receive(script->peer, packets, NIC_BURST_MAX);
        for (uint32_t i = 0; i < count; i++) {
            const struct tcp_header *header = (void *)(packets[i].frame + NET_TCP_OFFSET);
            if (packets[i].size >= NET_TCP_OFFSET + sizeof *header &&
                (header->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
                script->their_isn = be32_get(header->seq);
        }
        nic_release(script->peer, packets, count);
        if (count == 0)
            return;
    }
}

/* ---- their turn, and what it may cost ---- */

static void judge_work(struct scripted *script)
{
    struct tcp_sim *sim = &script->sim;
    const struct host *host = &sim->hosts[1];
    const struct tcp *tcp = host->net->tcp;
    struct net_usage usage = net_usage(host->net);
    if (host->tap.sent_count > PACKETS_PER_SEGMENT_MAX ||
        host->tap.plain_count > ANSWERS_PER_SEGMENT_MAX)
        tcp_sim_blame(sim, "%u packets, %u of them without octets, for one segment",
                      host->tap.sent_count, host->tap.plain_count);
    if (tcp->range_pool.used > TCP_RANGES_MAX)
        tcp_sim_blame(sim, "%u ranges", tcp->range_pool.used);
    if (tcp->sent_pool.used >= TCP_SENT_RECORDS_MAX) /* the first is the connection's own */
        tcp_sim_blame(sim, "%u records of what was sent", tcp->sent_pool.used);
    if (usage.reorder_bytes > host->options.reorder_bytes_max)
        tcp_sim_blame(sim, "%llu octets out of order", (unsigned long long)usage.reorder_bytes);
    if (tcp->wheel.armed_count > 1)
        tcp_sim_blame(sim, "%u timers", tcp->wheel.armed_count);
}

static void turn(struct scripted *script)
{
    struct tcp_sim *sim = &script->sim;
    nic_sim_advance(sim->wire, sim->now_ns);
    host_turn(sim, 1);
    nic_sim_advance(sim->wire, sim->now_ns);
    judge_work(script);
    drain(script);
}

static void pass_time(struct scripted *script, uint64_t duration_ns)
{
    struct tcp_sim *sim = &script->sim;
    uint64_t end_ns = sim->now_ns + duration_ns;
    script->ts_value += (uint32_t)(duration_ns / NS_PER_MS);
    while (sim->now_ns < end_ns && !tcp_sim_is_blamed(sim)) {
        uint64_t next_ns = host_next_ns(sim, 1);
        if (next_ns <= sim->now_ns)
            next_ns = sim->now_ns + NS_PER_US;
        sim->now_ns = next_ns < end_ns ? next_ns : end_ns;
        turn(script);
    }
}

/* ---- steps ---- */

/* A place in what they sent, mostly where it matters. */
static uint32_t draw_ack(struct scripted *script)
{
    const struct tcp_row *row = &script->sim.hosts[1].net->rows[script->call->sides[1].conn];
    uint32_t una = tcp_una(script->sim.hosts[1].net, row);
    uint32_t flight = row->snd_nxt - una;
    switch (below(script, 10)) {
    case 0:
        return row->snd_nxt;
    case 1:
        return una + below(script, flight + 1);
    case 2:
        return una + below(script, flight / PEER_MSS + 1) * PEER_MSS;
    case 3:
        return una - below(script, 5000);
    case 4:
        return row->snd_nxt + 1 + below(script, 5000);
    default:
        return una;
    }
}

static void draw_sacks(struct scripted *script, struct segment_out *out)
{
    const struct tcp_row *row = &script->sim.hosts[1].net->rows[script->call->sides[1].conn];
    uint32_t una = tcp_una(script->sim.hosts[1].net, row);
    uint32_t flight = row->snd_nxt - una + 1;
    out->sack_count = below(script, SACK_BLOCKS_MAX + 1);
    for (uint32_t i = 0; i < out->sack_count; i++) {
        uint32_t start = una + below(script, flight);
        uint32_t size = 1 + below(script, flight);
        if (happens(script, 60)) { /* whole segments */
            start = una + below(script, flight / PEER_MSS + 1) * PEER_MSS;
            size = (1 + below(script, 4)) * PEER_MSS;
        }
        if (happens(script, 10)) { /* anything */
            start = una + random_u32(&script->random) % 200000 - 100000;
            size = random_u32(&script->random) % 100000;
        }
        out->sacks[i][0] = start;
        out->sacks[i][1] = happens(script, 3) ? start - size : start + size;
    }
}

static void step_segment(struct scripted *script)
{
    const struct tcp_row *row = &script->sim.hosts[1].net->rows[script->call->sides[1].conn];
    struct segment_out out = {.flags = TCP_ACK, .window = 65535};
    uint32_t next = row->rcv_nxt;
    switch (below(script, 6)) {
    case 0:
        out.seq = next;
        break;
    case 1:
        out.seq = next - below(script, 3000);
        break;
    case 2:
        out.seq = next + below(script, 70000);
        break;
    default: /* where segments of a peer that is not mad stand */
        out.seq =
            script->iss + 1 + ((next - script->iss - 1) / PEER_MSS + below(script, 24)) * PEER_MSS;
        break;
    }
    out.size = happens(script, 40) ? 0 : happens(script, 70) ? PEER_MSS : below(script, PEER_MSS);
    if (seq_is_before(out.seq, script->iss + 1)) /* no octets before the first */
        out.seq = script->iss + 1;
    if (happens(script, 5))
        out.window = (uint16_t)(random_u32(&script->random) >> happens(script, 50) * 12u);
    out.ack = draw_ack(script);
    if (script->has_sack || happens(script, 5))
        draw_sacks(script, &out);
    if (happens(script, 50))
        out.flags |= TCP_PSH;
    /* The stream of the peer goes as far as it likes to say. */
    uint64_t end = (uint64_t)(out.seq - script->iss - 1) + out.size;
    if (end > script->call->sides[0].sent)
        script->call->sides[0].sent = end;
    send_segment(script, &out);
    turn(script);
}

static bool open_connection(struct scripted *script)
{
    struct tcp_sim *sim = &script->sim;
    struct side *side = &script->call->sides[1];
    script->iss = random_u32(&script->random);
    script->their_isn = 0;
    script->has_timestamps = happens(script, 50);
    script->has_sack = happens(script, 80);
    script->ts_value = random_u32(&script->random);
    struct segment_out out = {.flags = TCP_SYN, .seq = script->iss, .window = 65535};
    send_segment(script, &out);
    turn(script);
    script->call->ports[0] = script->port;
    script->call->peer_start = script->their_isn + 1;
    script->call->opener_start = script->iss + 1;
    script->call->sides[0] = (struct side){.conn = POOL_NONE, .was_opened = true};
    *side = (struct side){.conn = POOL_NONE,
                          .close = CLOSE_WHEN_ENDED,
                          .abort_at_ns = UINT64_MAX,
                          .to_send = STREAM_OCTETS};
    out = (struct segment_out){
        .flags = TCP_ACK, .seq = script->iss + 1, .ack = script->their_isn + 1, .window = 65535};
    send_segment(script, &out);
    turn(script);
    if (!side->is_open)
        tcp_sim_blame(sim, "no connection");
    return side->is_open;
}

/* A reset that fits, and everything is as before. */
static void close_connection(struct scripted *script)
{
    struct tcp_sim *sim = &script->sim;
    struct host *host = &sim->hosts[1];
    struct side *side = &script->call->sides[1];
    if (side->is_open) {
        struct segment_out out = {.flags = TCP_RST, .seq = host->net->rows[side->conn].rcv_nxt};
        send_segment(script, &out);
        turn(script);
        turn(script);
    }
    if (side->is_open || side->closed_count != 1)
        tcp_sim_blame(sim, "a reset did not close it");
    watch_rest(sim);
    if (++script->port > TCP_EPHEMERAL_LAST)
        script->port = TCP_EPHEMERAL_FIRST;
}

static void run_script(struct scripted *script, uint64_t seed)
{
    script->seed = seed;
    random_init_seed(&script->random, seed);
    script->call->key = seed;
    script->call->chunk_max = 1 + below(script, 4000);
    if (!open_connection(script))
        return;
    uint32_t steps = 1 + below(script, STEPS_MAX);
    for (uint32_t i = 0; i < steps && script->call->sides[1].is_open; i++) {
        if (tcp_sim_is_blamed(&script->sim))
            return;
        if (happens(script, 15))
            pass_time(script, below(script, 1000) * NS_PER_MS);
        else
            step_segment(script);
    }
    close_connection(script);
}

static bool open_world(struct scripted *script)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
    struct tcp_sim *sim = &script->sim;
    struct net_options limits = tcp_sim_ample_limits();
    limits.send_bytes_max = 65536;
    limits.accepts_per_second = 4000000000u;
    sim->outcome = &script->outcome;
    sim->start_ns = sim->now_ns = TCP_SIM_START_NS;
    sim->call_count = 1;
    sim->mortal = TCP_SIM_HOSTS;
    script->call = &sim->calls[0];
    *script->call = (struct call){.kind = CALL_BULK, .is_begun = true, .ports = {0, TCP_SIM_PORT}};
    script->port = TCP_EPHEMERAL_FIRST;
    random_init_seed(&sim->random, 1);
    heap_init(&sim->heap, 64u << 20);
    if (nic_sim_create(&sim->wire, &sim->heap, 1) != ERROR_NONE)
        return false;
    nic_sim_advance(sim->wire, sim->now_ns);
    script->peer = nic_sim_end(sim->wire, mac, 1500, NULL);
    return script->peer != NULL && host_open(sim, 1, &limits);
}

bool tcp_scripts_run(uint64_t from, uint64_t count)
{
    static struct scripted script; /* tidy: global - large */
    memset(&script, 0, sizeof script);
    uint64_t seed = from;
    if (!open_world(&script))
        tcp_sim_blame(&script.sim, "the world cannot be made");
    for (; seed < from + count && !tcp_sim_is_blamed(&script.sim); seed++)
        run_script(&script, seed);
    bool is_good = !tcp_sim_is_blamed(&script.sim);
    if (!is_good)
        printf("script %llu: %s\n  replay: build/stentor-sim --scripts %llu --from "
               "%llu\n",
               (unsigned long long)script.seed, script.outcome.fault,
               (unsigned long long)(script.seed - from + 1), (unsigned long long)from);
    printf("scripts: %llu, %llu segments, %s\n", (unsigned long long)(seed - from),
           (unsigned long long)script.segments, is_good ? "none failed" : "one failed");
    host_close(&script.sim, 1);
    if (script.sim.wire != NULL)
        nic_sim_destroy(&script.sim.wire);
    return is_good;
}
