/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_sim.h: what must hold, whatever the wire does.
 *
 * After each turn: acknowledgements, rcv_nxt and the right edge only move
 * forward; each extension has its row, its armed timer and its octets in order
 * (tcp_is_valid); what is queued stays below its limit; packets without octets
 * are answers, so there is a constant number to one received.
 *
 * Of each segment sent: its octets are those of the stream at that place, first
 * time and again; it ends inside the window the peer offered (one octet of a
 * probe more); its own acknowledgement and right edge do not go back. */
#include "tcp_sim.h"

#define PLAIN_PER_RECEIVED 3u
#define PLAIN_PER_ROW 4u
#define PLAIN_SPARE 8u

/* ---- after a turn ---- */

static bool goes_back(uint32_t before, uint32_t after)
{
    return seq_is_before(after, before);
}

static void watch_side(struct tcp_sim *sim, uint32_t number, uint32_t host)
{
    struct side *side = &sim->calls[number].sides[host];
    const struct net *net = sim->hosts[host].net;
    if (!side->is_open || !side->was_opened || !net_is_live(net, side->conn))
        return;
    const struct tcp_row *row = &net->rows[side->conn];
    uint32_t una = tcp_una(net, row);
    if (side->is_watched &&
        (goes_back(side->rcv_nxt, row->rcv_nxt) || goes_back(side->rcv_adv, row->rcv_adv) ||
         goes_back(side->snd_una, una)))
        tcp_sim_blame(sim, "call %u: host %u goes back: rcv_nxt %u %u, edge %u %u, una %u %u",
                      number, host, side->rcv_nxt, row->rcv_nxt, side->rcv_adv, row->rcv_adv,
                      side->snd_una, una);
    if (seq_is_after(una, row->snd_nxt))
        tcp_sim_blame(sim, "call %u: host %u has una %u past nxt %u", number, host, una,
                      row->snd_nxt);
    if (tcp_queued_bytes(net, side->conn) > net->options.send_bytes_max)
        tcp_sim_blame(sim, "call %u: host %u queued too much", number, host);
    side->is_watched = true;
    side->rcv_nxt = row->rcv_nxt;
    side->rcv_adv = row->rcv_adv;
    side->snd_una = una;
}

void watch_turn(struct tcp_sim *sim, uint32_t which)
{
    struct host *host = &sim->hosts[which];
    const struct tap *tap = &host->tap;
    host->sent_total += tap->sent_count;
    host->plain_total += tap->plain_count;
    host->received_total += tap->received_count;
    for (uint32_t i = 0; i < sim->call_count; i++)
        watch_side(sim, i, which);
    if (!tcp_is_valid(host->net))
        tcp_sim_blame(sim, "host %u: tcp_is_valid() is false", which);
    uint32_t bound = PLAIN_PER_RECEIVED * tap->received_count +
                     PLAIN_PER_ROW * host->net->pool.high_water + PLAIN_SPARE;
    if (tap->plain_count > bound)
        tcp_sim_blame(sim, "host %u: %u packets without octets in a turn of %u received", which,
                      tap->plain_count, tap->received_count);
}

/* ---- of a packet ---- */

struct sent_segment {
    struct tcp_header *header;
    struct bytes octets;
    uint32_t seq;
    uint32_t ack;
    bool is_ipv6;
};

static uint32_t u16_at(const uint8_t *at)
{
    return (uint32_t)(at[0] << 8 | at[1]);
}

static struct sent_segment segment_of(struct packet *packet)
{
    uint8_t *ip = packet->frame + packet->ip_offset;
    bool is_ipv6 = ip[0] >> 4 == 6;
    uint32_t header_size = is_ipv6 ? 40 : (ip[0] & 0x0fu) * 4u;
    uint32_t total = is_ipv6 ? 40 + u16_at(ip + 4) : u16_at(ip + 2);
    struct sent_segment segment = {.header = (struct tcp_header *)(void *)(ip + header_size)};
    uint32_t offset = (uint32_t)(segment.header->offset >> 4) * 4;
    segment.octets = bytes_of(ip + header_size + offset, total - header_size - offset);
    segment.is_ipv6 = is_ipv6;
    segment.seq = be32_get(segment.header->seq);
    segment.ack = be32_get(segment.header->ack);
    return segment;
}

static struct call *call_of(struct tcp_sim *sim, uint32_t host, const struct sent_segment *segment)
{
    uint32_t from = be16_get(segment->header->source_port);
    uint32_t to = be16_get(segment->header->destination_port);
    for (uint32_t i = 0; i < sim->call_count; i++) {
        struct call *call = &sim->calls[i];
        uint32_t mine = call->ports[host];
        uint32_t theirs = call->ports[1 - host];
        if (call->sides[host].is_open && call->sides[host].was_opened && mine == from &&
            theirs == to && call->is_ipv6 == segment->is_ipv6)
            return call;
    }
    return NULL;
}

static void watch_octets(struct tcp_sim *sim, struct call *call, uint32_t host,
                         const struct sent_segment *segment)
{
    static uint8_t wanted[65536]; /* tidy: global - a buffer */
    uint32_t start = call->opener == host ? call->opener_start : call->peer_start;
    uint32_t offset = segment->seq - start;
    uint64_t sent = call->sides[host].sent;
    uint32_t number = (uint32_t)(call - sim->calls);
    if (offset + segment->octets.size > sent) {
        tcp_sim_blame(sim, "call %u: host %u sends [%u, +%zu) of %llu queued", number, host, offset,
                      segment->octets.size, (unsigned long long)sent);
        return;
    }
    call_octets(call, host, offset, wanted, segment->octets.size);
    if (memcmp(wanted, segment->octets.at, segment->octets.size) != 0)
        tcp_sim_blame(sim, "call %u: host %u sends wrong octets at %u", number, host, offset);
    const struct side *peer = &call->sides[1 - host];
    uint32_t end = segment->seq + (uint32_t)segment->octets.size;
    if (peer->has_edge && seq_is_after(end, peer->edge + 1))
        tcp_sim_blame(sim, "call %u: host %u sends to %u past the window's %u", number, host, end,
                      peer->edge);
}

static void watch_edges(struct tcp_sim *sim, struct call *call, uint32_t host,
                        const struct sent_segment *segment)
{
    struct side *side = &call->sides[host];
    const struct tcp_row *row = &sim->hosts[host].net->rows[side->conn];
    uint32_t edge = segment->ack + ((uint32_t)be16_get(segment->header->window) << row->rcv_scale);
    if (side->has_edge && (goes_back(side->ack, segment->ack) || goes_back(side->edge, edge)))
        tcp_sim_blame(sim, "call %zu: host %u sends ack %u after %u, edge %u after %u",
                      call - sim->calls, host, segment->ack, side->ack, edge, side->edge);
    side->has_edge = true;
    side->ack = segment->ack;
    side->edge = edge;
}

void watch_packet(struct tcp_sim *sim, uint32_t which, struct packet *packet)
{
    struct host *host = &sim->hosts[which];
    if ((packet->flags & PACKET_FILL_TCP) == 0)
        return;
    struct sent_segment segment = segment_of(packet);
    uint8_t flags = segment.header->flags;
    if (segment.octets.size == 0 && (flags & (TCP_SYN | TCP_FIN)) == 0)
        host->tap.plain_count++;
    if ((flags & (TCP_SYN | TCP_RST)) != 0)
        return;
    struct call *call = call_of(sim, which, &segment);
    if (call != NULL) {
        watch_edges(sim, call, which, &segment);
        if (segment.octets.size != 0)
            watch_octets(sim, call, which, &segment);
    }
    if (sim->now_ns < host->squeezed_until_ns)
        segment.header->window = be16_of(0);
}

/* ---- at the end ---- */

void watch_rest(struct tcp_sim *sim)
{
    for (uint32_t i = 0; i < TCP_SIM_HOSTS; i++) {
        const struct host *host = &sim->hosts[i];
        if (host->net == NULL || host_is_dead(sim, i))
            continue;
        struct net_usage usage = net_usage(host->net);
        if (usage.connections + usage.hot + usage.send_references + usage.time_wait != 0 ||
            usage.reorder_bytes != 0)
            tcp_sim_blame(sim,
                          "host %u: not empty: rows %u hot %u references %u time_wait %u "
                          "out of order %llu",
                          i, usage.connections, usage.hot, usage.send_references, usage.time_wait,
                          (unsigned long long)usage.reorder_bytes);
        const struct tcp *tcp = host->net->tcp;
        if (tcp->range_pool.used + tcp->sent_pool.used + tcp->wheel.armed_count != 0)
            tcp_sim_blame(sim, "host %u: %u ranges, %u records and %u timers are left", i,
                          tcp->range_pool.used, tcp->sent_pool.used, tcp->wheel.armed_count);
        if (host->blobs.used != 0)
            tcp_sim_blame(sim, "host %u: %u blobs are lost", i, host->blobs.used);
        if (heap_used_bytes(&host->heap) != host->heap_baseline)
            tcp_sim_blame(sim, "host %u: heap %llu, at the start %llu", i,
                          (unsigned long long)heap_used_bytes(&host->heap),
                          (unsigned long long)host->heap_baseline);
    }
    /* Who died in the middle of something still holds it. */
    if (sim->mortal == TCP_SIM_HOSTS && nic_sim_buffers_used(sim->wire) != 0)
        tcp_sim_blame(sim, "%u packet buffers are lost", nic_sim_buffers_used(sim->wire));
}
