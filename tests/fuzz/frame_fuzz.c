/* SPDX-License-Identifier: Apache-2.0
 *
 * One frame from outside into a listening net with one open connection. The first octet says how
 * it is dressed up, so that mutations get past checksums and land near the connection's sequence
 * numbers. Afterwards every buffer is back, tables are sound, and aborting the connection leaves
 * nothing behind. */
#include "fake_nic.h"
#include "frames.h"
#include "net_state.h"
#include "tcp.h"

#define DRESS_VERIFIED 0x01u /* the port says that checksums are good */
#define DRESS_OURS 0x02u     /* to our MAC */
#define DRESS_RELATIVE 0x04u /* seq and ack count from where the connection stands */
#define DRESS_FLOW 0x08u     /* addresses and ports are the connection's */

#define NOW_NS UINT64_C(100000000000)
#define PEER_SEQ 1000u

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static struct fake_nic nic;
static struct arena arena;
static struct heap heap;
static struct blob_table blobs;
static struct trace trace;
static struct random random_;
static struct net *net;
static struct net_events events;
static struct neighbours fresh; /* what each frame starts with */
static struct net_link fresh_link;
static struct ndp fresh_ndp;
static uint32_t fresh_routers;

static void start(void)
{
    fake_nic_init(&nic);
    heap_init(&heap, 16u << 20);
    random_init_seed(&random_, 1);
    struct net_options options = {
        .nic = &nic.queue,
        .arena = &arena,
        .heap = &heap,
        .blobs = &blobs,
        .metrics = &nic.metrics,
        .trace = &trace,
        .random = &random_,
        .key = {1, 2},
        .locals = {{net_address_of_ipv4(OUR_IPV4), 24, 0}, {our_ipv6, 64, 0}, {our_ipv6, 64, 7}},
        .local_count = 3,
        .routers = {{net_address_of_ipv4(GATEWAY_IPV4), 0}},
        .router_count = 1,
        .connections_max = 16,
        .hot_max = 16,
        .send_references_max = 16,
        .connections_per_address = 16,
        .accepts_per_second = 1000000000,
        .receive_window = 32768,
        .reorder_bytes_max = 65536,
        .send_bytes_max = 65536,
        .liveness = {{NOW_NS, NOW_NS, 5, NOW_NS}, {NOW_NS, NOW_NS, 5, NOW_NS}},
        .time_wait_ns = NOW_NS,
        .time_wait_max = 16};
    bool is_ready = blob_table_init(&blobs, &heap, 16) == ERROR_NONE &&
                    trace_init(&trace, &heap, 64) == ERROR_NONE &&
                    arena_create(&arena, "fuzz", ARENA_HEADER_SIZE + net_arena_bytes(&options),
                                 ARENA_PAGES_SMALL) == ERROR_NONE &&
                    net_create(&net, &options, NOW_NS) == ERROR_NONE &&
                    net_listen(net, OUR_PORT) == ERROR_NONE;
    ASSERT(is_ready);
    net_flush(net, NOW_NS);
    for (uint32_t i = 0; i < net->link.local_count; i++) {
        net->link.locals[i].state = LINK_READY;
        net->ndp.locals[i].probe_at_ns = NDP_NEVER;
    }
    net->link.locals[2].state = LINK_TENTATIVE;
    fresh = net->neighbours;
    fresh_link = net->link;
    fresh_ndp = net->ndp;
    fresh_routers = net->router_count;
}

static void input(struct bytes frame, uint16_t flags)
{
    events.count = 0;
    struct packet packet = fake_nic_frame(&nic, frame, frame.size);
    packet.flags = flags;
    uint32_t taken = net_input(net, &packet, 1, NOW_NS, &events);
    ASSERT(taken == 1);
    net_release(net, NOW_NS);
    net_timers(net, NOW_NS, &events);
    net_flush(net, NOW_NS);
    ASSERT(nic.buffers_out == 0);
    ASSERT(tcp_is_valid(net));
}

static void input_tcp(const struct tcp_frame *frame)
{
    uint8_t octets[128];
    struct writer into = writer_of(octets, sizeof octets);
    write_tcp_frame(&into, frame);
    input(writer_bytes(&into), 0);
}

static uint32_t open_connection(void)
{
    input_tcp(&(struct tcp_frame){.seq = PEER_SEQ, .flags = TCP_SYN});
    const struct fake_frame *sent = &nic.sent[(nic.sent_count - 1) % FAKE_SENT_MAX];
    const struct tcp_header *tcp = (const void *)(sent->octets + NET_TCP_OFFSET);
    input_tcp(
        &(struct tcp_frame){.seq = PEER_SEQ + 1, .ack = be32_get(tcp->seq) + 1, .flags = TCP_ACK});
    ASSERT(events.count == 1);
    ASSERT(events.items[0].kind == NET_ACCEPTED);
    return events.items[0].conn;
}

/* Neighbour discovery is believed by its checksum alone, which no port verifies. */
static void dress_icmp6(uint8_t *octets, size_t size)
{
    size_t at = sizeof(struct ethernet_header);
    if (size > at + 4 && octets[12] == 0x81)
        at += sizeof(struct vlan_tag);
    const struct ip6_header *ip = (const void *)(octets + at);
    if (size < at + sizeof *ip + sizeof(struct icmp_header) || ip->next != IP_PROTOCOL_ICMP6 ||
        be16_get(ip->payload_size) > size - at - sizeof *ip)
        return;
    struct icmp_header *icmp = (void *)(octets + at + sizeof *ip);
    icmp->checksum = be16_of(0);
    icmp->checksum = checksum_of_ipv6(ip, ip->next, bytes_of(icmp, be16_get(ip->payload_size)));
}

static void dress(uint8_t *octets, size_t size, uint8_t how, const struct tcp_row *row)
{
    if (size < NET_TCP_OFFSET + sizeof(struct tcp_header))
        return;
    struct ip_header *ip = (void *)(octets + sizeof(struct ethernet_header));
    struct tcp_header *tcp = (void *)(ip + 1);
    if ((how & DRESS_OURS) != 0)
        memcpy(octets, our_mac, sizeof our_mac);
    if ((how & DRESS_FLOW) != 0) {
        ip->source = be32_of(net_address_ipv4(&row->remote));
        ip->destination = be32_of(OUR_IPV4);
        tcp->source_port = be16_of(row->remote_port);
        tcp->destination_port = be16_of(row->local_port);
    }
    if ((how & DRESS_RELATIVE) != 0) {
        tcp->seq = be32_of(be32_get(tcp->seq) + row->rcv_nxt);
        tcp->ack = be32_of(be32_get(tcp->ack) + row->snd_nxt);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    if (size == 0 || size > FAKE_BUFFER_SIZE)
        return 0;
    if (net == NULL)
        start();
    net->neighbours = fresh;
    net->link = fresh_link;
    net->ndp = fresh_ndp;
    net->router_count = fresh_routers;
    uint32_t conn = open_connection();

    uint8_t frame[FAKE_BUFFER_SIZE];
    memcpy(frame, octets + 1, size - 1);
    dress(frame, size - 1, octets[0], &net->rows[conn]);
    dress_icmp6(frame, size - 1);
    bool is_verified = (octets[0] & DRESS_VERIFIED) != 0;
    input(bytes_of(frame, size - 1), is_verified ? PACKET_IP_GOOD | PACKET_L4_GOOD : 0);
    for (uint32_t i = 0; i < events.count; i++)
        ASSERT(events.items[i].kind != NET_ACCEPTED); /* no cookie, no connection */

    if (net_is_live(net, conn))
        tcp_abort(net, conn);
    input(bytes_of(frame, 0), 0);
    input(bytes_of(frame, 0), 0);
    ASSERT(net_usage(net).connections == 0);
    ASSERT(net_usage(net).reorder_bytes == 0);
    ASSERT(net->table.used == 0);
    ASSERT(net->limit.address_count == 0);
    return 0;
}
