/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_dpdk.c: packets through a port against the kernel: sizes, reuse, checksums
 * in software and by the port, steering among two queues, and what no virtual port does by itself,
 * by crafted mbufs. Every case is a child process (bench.h); without root all is skipped. */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "bench.h"
#include "nic_steer.h"
#include "stentor/nic_checksum.h"

static void tap_both_ways_body(void)
{
    struct bench bench;
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    int kernel = kernel_socket("stn0");
    bench_both_ways(bench.queues[0], kernel, 1514);
    bench_oversize(bench.queues[0], kernel);
    bench_exhaust(&bench);
    bench_both_ways(bench.queues[0], kernel, 60 + 99); /* works on after exhaustion */
    bench_close(&bench);
}

/* net_tap: frames of every size in both directions, replies in the received buffer, oversize and
 * an empty pool. */
static void tap_both_ways(void **state)
{
    (void)state;
    bench_run(tap_both_ways_body);
}

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* Turns the SYN into a SYN-ACK without options, checksums left to the port. */
static void answer_syn(struct nic_queue *queue, struct packet *packet)
{
    uint8_t *ip = packet->frame + 14;
    uint8_t *tcp = ip + 20;
    uint32_t seq;
    CLAIM(tcp[13] == 0x02);
    swap(packet->frame, packet->frame + 6, 6);
    swap(ip + 12, ip + 16, 4);
    swap(tcp, tcp + 2, 2);
    memcpy(&seq, tcp + 4, 4);
    seq = htonl(ntohl(seq) + 1);
    memcpy(tcp + 8, &seq, 4);
    memset(tcp + 4, 7, 4);
    tcp[12] = 0x50;
    tcp[13] = 0x12;
    tcp[16] = tcp[17] = 0;
    ip[2] = 0;
    ip[3] = 40;
    ip[10] = ip[11] = 0;
    packet->size = 54;
    packet->flags = PACKET_FILL_IP | PACKET_FILL_TCP;
    packet->ip_offset = 14;
    nic_transmit(queue, packet, 1);
    nic_flush(queue);
}

static bool is_connected(int descriptor)
{
    int fault = 0;
    socklen_t size = sizeof fault;
    struct pollfd waited = {descriptor, POLLOUT, 0};
    return poll(&waited, 1, 0) == 1 &&
           getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &fault, &size) == 0 && fault == 0;
}

static void shake_hands(struct bench *bench, enum nic_offload offload)
{
    struct nic_queue *queue = bench->queues[0];
    struct packet packets[NIC_BURST_MAX];
    kernel_address("stn0", queue->mac);
    int descriptor = kernel_connect();
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (!is_connected(descriptor)) {
        CLAIM(clock_now_ns() < end_ns);
        uint32_t count = nic_receive(queue, packets, NIC_BURST_MAX);
        for (uint32_t i = 0; i < count; i++) {
            if (!frame_is_tcp(&packets[i]) || packets[i].frame[47] != 0x02) {
                nic_release(queue, &packets[i], 1);
                continue;
            }
            uint16_t seen = packets[i].flags & (PACKET_IP_GOOD | PACKET_L4_GOOD);
            CLAIM(nic_checksum_judge(bytes_of(packets[i].frame, packets[i].size)) ==
                  (PACKET_IP_GOOD | PACKET_L4_GOOD));
            CLAIM(seen == (offload == NIC_OFFLOAD_ALL ? PACKET_IP_GOOD | PACKET_L4_GOOD : 0));
            answer_syn(queue, &packets[i]);
        }
        nic_wait(queue, NS_PER_MS, -1);
    }
    (void)close(descriptor);
}

static void checksums_in_software_body(void)
{
    struct bench bench;
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_NONE);
    CLAIM(bench.port->tx_offloads == 0);
    shake_hands(&bench, NIC_OFFLOAD_NONE);
    bench_close(&bench);
}

static void checksums_by_port_body(void)
{
    struct bench bench;
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_ALL);
    CLAIM(bench.port->tx_offloads != 0 && bench.port->rx_offloads != 0);
    shake_hands(&bench, NIC_OFFLOAD_ALL);
    bench_close(&bench);
}

/* The kernel completes a handshake whose SYN-ACK has our checksums ... */
static void checksums_in_software(void **state)
{
    (void)state;
    bench_run(checksums_in_software_body);
}

/* ... and one whose checksums the driver filled in, and it judges what it received. */
static void checksums_by_port(void **state)
{
    (void)state;
    bench_run(checksums_by_port_body);
}

#define FLOWS 40u

/* Each kernel connection's SYN, whatever queue the tap chose, is seen by its owner only. */
static void flows_find_owners(struct bench *bench)
{
    struct packet packets[NIC_BURST_MAX];
    uint32_t seen[QUEUES] = {0};
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    for (uint32_t i = 0; i < FLOWS; i++)
        (void)kernel_connect();
    while (seen[0] + seen[1] < FLOWS && clock_now_ns() < end_ns) {
        for (uint32_t k = 0; k < QUEUES; k++) {
            uint32_t count = nic_receive(bench->queues[k], packets, NIC_BURST_MAX);
            for (uint32_t i = 0; i < count; i++) {
                struct bytes frame = bytes_of(packets[i].frame, packets[i].size);
                if (!frame_is_tcp(&packets[i]))
                    continue;
                seen[k]++;
                CLAIM(nic_steer_queue(&bench->port->key, frame, QUEUES) == k);
            }
            nic_release(bench->queues[k], packets, count);
        }
    }
    CLAIM(seen[0] + seen[1] >= FLOWS);
    CLAIM(seen[0] > FLOWS / 8 && seen[1] > FLOWS / 8);
    int64_t steered = metric_get(&bench->metrics[0], METRIC_NIC_STEERED) +
                      metric_get(&bench->metrics[1], METRIC_NIC_STEERED);
    CLAIM(steered > 0);
}

/* How many test frames queue k has waiting; all are released. */
static uint32_t count_ours(struct bench *bench, uint32_t k)
{
    struct packet packets[NIC_BURST_MAX];
    uint32_t ours = 0;
    uint32_t count = nic_receive(bench->queues[k], packets, NIC_BURST_MAX);
    for (uint32_t i = 0; i < count; i++)
        ours += frame_number(bytes_of(packets[i].frame, packets[i].size)) != NOT_OURS;
    nic_release(bench->queues[k], packets, count);
    return ours;
}

/* What is neither TCP nor ARP comes to queue 0. */
static void others_find_queue_0(struct bench *bench)
{
    uint32_t came = 0;
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    int kernel = kernel_socket("stn0");
    for (uint32_t i = 0; i < 8; i++)
        kernel_send(kernel, bench->queues[0]->mac, i, 60);
    while (came < 8 && clock_now_ns() < end_ns) {
        CLAIM(count_ours(bench, 1) == 0);
        came += count_ours(bench, 0);
    }
    CLAIM(came == 8);
}

/* The kernel asks who has our address: every queue hears it as often. */
static void arp_finds_all(struct bench *bench)
{
    struct packet packets[NIC_BURST_MAX];
    uint32_t arps[QUEUES] = {0};
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    bench_shell("ip neigh del 10.99.0.2 dev stn0; ip neigh flush dev stn0");
    (void)kernel_connect();
    while ((arps[0] == 0 || arps[0] != arps[1]) && clock_now_ns() < end_ns) {
        for (uint32_t k = 0; k < QUEUES; k++) {
            uint32_t count = nic_receive(bench->queues[k], packets, NIC_BURST_MAX);
            for (uint32_t i = 0; i < count; i++)
                arps[k] += packets[i].frame[12] == 8 && packets[i].frame[13] == 6;
            nic_release(bench->queues[k], packets, count);
        }
    }
    CLAIM(arps[0] > 0 && arps[0] == arps[1]);
}

static void steering_body(void)
{
    struct bench bench;
    bench_open(&bench, "tap:stn0", QUEUES, NIC_OFFLOAD_REAL);
    CLAIM(bench.port->steering == NIC_STEERING_HASH);
    kernel_address("stn0", bench.queues[0]->mac);
    flows_find_owners(&bench);
    others_find_queue_0(&bench);
    arp_finds_all(&bench);
    bench_close(&bench);
}

/* Two queues on a port without RSS: flows find their owner, ARP everybody, the rest queue 0. */
static void steering(void **state)
{
    (void)state;
    bench_run(steering_body);
}

/* A port of net_ring: what is sent on it is received on it, as it is. It takes the place of queue
 * 0's port, so mbufs of any make can be put before nic_receive(). */
static uint16_t loop_port(struct bench *bench)
{
    uint16_t id;
    struct rte_eth_conf conf = {0};
    CLAIM(rte_eal_hotplug_add("vdev", "net_ring0", "") == 0);
    CLAIM(rte_eth_dev_get_port_by_name("net_ring0", &id) == 0);
    CLAIM(rte_eth_dev_configure(id, 1, 1, &conf) == 0);
    CLAIM(rte_eth_rx_queue_setup(id, 0, 256, 0, NULL, bench->port->pool) == 0);
    CLAIM(rte_eth_tx_queue_setup(id, 0, 256, 0, NULL) == 0);
    CLAIM(rte_eth_dev_start(id) == 0);
    bench->port->queues[0].port_id = id;
    return id;
}

/* The tap port takes its place again: it has what close undoes. */
static void loop_end(struct bench *bench)
{
    bench->port->queues[0].port_id = bench->port->id;
    bench_close(bench);
}

static struct rte_mbuf *raw_mbuf(struct bench *bench, uint32_t number, size_t size)
{
    uint8_t frame[2048];
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(bench->port->pool);
    CLAIM(mbuf != NULL);
    (void)frame_write(frame, bench->queues[0]->mac, number, sizeof frame);
    memcpy(rte_pktmbuf_append(mbuf, (uint16_t)size), frame, size);
    return mbuf;
}

static void put(uint16_t id, struct rte_mbuf *mbuf)
{
    CLAIM(rte_eth_tx_burst(id, 0, &mbuf, 1) == 1);
}

static void expect_flags_of(struct bench *bench, struct rte_mbuf *mbuf, uint16_t id,
                            uint64_t offered, uint16_t seen)
{
    struct packet packet;
    mbuf->ol_flags = offered | RTE_MBUF_F_RX_RSS_HASH;
    mbuf->hash.rss = 99;
    put(id, mbuf);
    CLAIM(nic_receive(bench->queues[0], &packet, 1) == 1);
    CLAIM(packet.flags == seen);
    CLAIM(packet.rss_hash == 99);
    nic_release(bench->queues[0], &packet, 1);
}

/* A whole frame of that Ethernet type; `next` is the next header, if it is IPv6. */
static struct rte_mbuf *typed_mbuf(struct bench *bench, uint16_t type, uint8_t next)
{
    struct rte_mbuf *mbuf = raw_mbuf(bench, 1, 80);
    uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
    frame[14 + 6] = next;
    return mbuf;
}

static void expect_flags(struct bench *bench, uint16_t id, uint64_t offered, uint16_t seen)
{
    expect_flags_of(bench, typed_mbuf(bench, RTE_ETHER_TYPE_IPV4, 0), id, offered, seen);
}

static void chained_and_cut(struct bench *bench, uint16_t id)
{
    struct nic_queue *queue = bench->queues[0];
    struct packet packet;
    struct rte_mbuf *head = raw_mbuf(bench, 5, 100);
    CLAIM(rte_pktmbuf_chain(head, raw_mbuf(bench, 6, 900)) == 0);
    put(id, head);
    CLAIM(nic_receive(queue, &packet, 1) == 1);
    CLAIM(packet.size == 1000 && frame_number(bytes_of(packet.frame, packet.size)) == 5);
    CLAIM(frame_number(bytes_of(packet.frame + 100, 900)) == 6);
    nic_release(queue, &packet, 1);

    head = raw_mbuf(bench, 7, 1500);
    CLAIM(rte_pktmbuf_chain(head, raw_mbuf(bench, 8, 1500)) == 0);
    put(id, head);                   /* more than one buffer holds */
    put(id, raw_mbuf(bench, 9, 13)); /* less than an Ethernet header */
    CLAIM(nic_receive(queue, &packet, 1) == 0);
    CLAIM(nic_receive(queue, &packet, 1) == 0);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_RX_ERRORS) == 2);
}

/* The four answers of a port: a checksum nobody looked at is neither good nor bad. */
static void four_answers(struct bench *bench, uint16_t id)
{
    expect_flags(bench, id, 0, 0);
    expect_flags(bench, id, RTE_MBUF_F_RX_IP_CKSUM_GOOD, PACKET_IP_GOOD);
    expect_flags(bench, id, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD,
                 PACKET_IP_GOOD | PACKET_L4_GOOD);
    expect_flags(bench, id, RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE,
                 PACKET_IP_GOOD | PACKET_L4_GOOD);
    expect_flags(bench, id, RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD,
                 PACKET_IP_GOOD | PACKET_CHECKSUM_BAD);
    expect_flags(bench, id, RTE_MBUF_F_RX_IP_CKSUM_BAD, PACKET_CHECKSUM_BAD);
}

/* A port's GOOD counts for IPv4 and for IPv6 with TCP right behind it, and not for what ports judge
 * without understanding: extension headers, tags. Its BAD counts always. */
static void good_needs_understanding(struct bench *bench, uint16_t id)
{
    const uint64_t good = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    const uint16_t both = PACKET_IP_GOOD | PACKET_L4_GOOD;
    expect_flags_of(bench, typed_mbuf(bench, RTE_ETHER_TYPE_IPV6, IPPROTO_TCP), id, good, both);
    expect_flags_of(bench, typed_mbuf(bench, RTE_ETHER_TYPE_IPV6, 60), id, good, 0);
    expect_flags_of(bench, typed_mbuf(bench, RTE_ETHER_TYPE_VLAN, 0), id, good, 0);
    expect_flags_of(bench, typed_mbuf(bench, RTE_ETHER_TYPE_VLAN, 0), id,
                    RTE_MBUF_F_RX_L4_CKSUM_BAD, PACKET_CHECKSUM_BAD);
}

/* What a received packet was marked with does not follow it out. */
static void marks_are_forgotten(struct bench *bench, uint16_t id)
{
    struct nic_queue *queue = bench->queues[0];
    struct packet packet;
    struct rte_mbuf *marked = raw_mbuf(bench, 10, 60);
    marked->ol_flags = RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    marked->tx_offload = UINT64_MAX;
    put(id, marked);
    CLAIM(nic_receive(queue, &packet, 1) == 1);
    nic_transmit(queue, &packet, 1);
    nic_flush(queue);
    CLAIM(rte_eth_rx_burst(id, 0, &marked, 1) == 1);
    CLAIM(marked->ol_flags == 0 && marked->tx_offload == 0 && marked->nb_segs == 1);
    rte_pktmbuf_free(marked);
}

static void crafted_body(void)
{
    struct bench bench;
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    uint16_t id = loop_port(&bench);
    unsigned int before = rte_mempool_in_use_count(bench.port->pool);
    chained_and_cut(&bench, id);
    four_answers(&bench, id);
    good_needs_understanding(&bench, id);
    marks_are_forgotten(&bench, id);
    CLAIM(rte_mempool_in_use_count(bench.port->pool) == before);
    loop_end(&bench);
}

/* Chained, cut and marked packets, which no virtual port makes by itself. */
static void crafted_packets(void **state)
{
    (void)state;
    bench_run(crafted_body);
}

static void full_ring_body(void)
{
    struct bench bench;
    struct packet packets[NIC_BURST_MAX];
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    struct nic_queue *queue = bench.queues[0];
    (void)loop_port(&bench);
    unsigned int before = rte_mempool_in_use_count(bench.port->pool);
    uint32_t sent = 0, refused = 0, came = 0;
    for (uint32_t i = 0; i < 1100; i++) {
        struct packet packet;
        if (!nic_take(queue, &packet)) {
            refused++;
            continue;
        }
        packet.size = (uint16_t)frame_write(packet.frame, queue->mac, i, 60);
        nic_transmit(queue, &packet, 1);
        sent++;
    }
    nic_flush(queue);
    CLAIM(refused == 0);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_DROP_TX_FULL) > 0);
    for (uint32_t count; (count = nic_receive(queue, packets, NIC_BURST_MAX)) != 0; came += count)
        nic_release(queue, packets, count);
    CLAIM(came == metric_get(queue->metrics, METRIC_NIC_TX_PACKETS));
    CLAIM(came + metric_get(queue->metrics, METRIC_NIC_DROP_TX_FULL) == sent);
    CLAIM(rte_mempool_in_use_count(bench.port->pool) == before);
    loop_end(&bench);
}

/* A transmit ring that stands still: each packet is sent or counted as dropped, and none leaks. */
static void full_ring(void **state)
{
    (void)state;
    bench_run(full_ring_body);
}

/* A TCP frame of some flow that belongs to queue `owner`. */
static struct rte_mbuf *flow_mbuf(struct bench *bench, uint32_t owner)
{
    for (uint16_t source = 1;; source++) {
        uint8_t frame[60] = {[12] = 8, [14] = 0x45, [17] = 40, [23] = 6};
        memcpy(frame + 34, &source, sizeof source);
        if (nic_steer_queue(&bench->port->key, bytes_of(frame, sizeof frame), QUEUES) != owner)
            continue;
        struct rte_mbuf *mbuf = rte_pktmbuf_alloc(bench->port->pool);
        CLAIM(mbuf != NULL);
        memcpy(rte_pktmbuf_append(mbuf, sizeof frame), frame, sizeof frame);
        return mbuf;
    }
}

static void steer_full_body(void)
{
    struct bench bench;
    struct packet packets[NIC_BURST_MAX];
    bench_open(&bench, "tap:stn0", QUEUES, NIC_OFFLOAD_REAL);
    uint16_t id = loop_port(&bench);
    uint32_t passed = 0;
    for (uint32_t i = 0; i < NIC_STEER_RING_SIZE + 100; i++) {
        put(id, flow_mbuf(&bench, 1));
        CLAIM(nic_receive(bench.queues[0], packets, NIC_BURST_MAX) == 0);
    }
    CLAIM(metric_get(&bench.metrics[0], METRIC_NIC_DROP_STEER_FULL) >= 100);
    for (uint32_t round = 0; round < 100; round++) {
        uint32_t count = nic_receive(bench.queues[1], packets, NIC_BURST_MAX);
        for (uint32_t i = 0; i < count; i++)
            passed += frame_is_tcp(&packets[i]) || packets[i].size == 60;
        nic_release(bench.queues[1], packets, count);
    }
    CLAIM(passed >= metric_get(&bench.metrics[0], METRIC_NIC_STEERED));

    /* Where the port's RSS is believed, a packet with its hash stays where it came. */
    bench.port->steering = NIC_STEERING_PORT;
    struct rte_mbuf *hashed = flow_mbuf(&bench, 1);
    hashed->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
    put(id, hashed);
    CLAIM(nic_receive(bench.queues[0], packets, NIC_BURST_MAX) == 1);
    nic_release(bench.queues[0], packets, 1);
    put(id, flow_mbuf(&bench, 1));
    CLAIM(nic_receive(bench.queues[0], packets, NIC_BURST_MAX) == 0);
    loop_end(&bench);
}

/* A queue nobody empties costs its own packets only; and the port's hash is believed or not. */
static void steer_full(void **state)
{
    (void)state;
    bench_run(steer_full_body);
}

static void signals_overflow_body(void)
{
    struct bench bench;
    struct rlimit usual, none;
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    struct nic_queue *queue = bench.queues[0];
    int kernel = kernel_socket("stn0");
    CLAIM(getrlimit(RLIMIT_SIGPENDING, &usual) == 0);
    none = (struct rlimit){0, usual.rlim_max};
    CLAIM(setrlimit(RLIMIT_SIGPENDING, &none) == 0);
    for (uint32_t i = 0; i < 10; i++)
        kernel_send(kernel, queue->mac, i, 60); /* each of them tries to send SIGIO */
    CLAIM(setrlimit(RLIMIT_SIGPENDING, &usual) == 0);
    kernel_send(kernel, queue->mac, 10, 60);
    struct packet last = bench_expect(queue, 10);
    nic_release(queue, &last, 1);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_RX_PACKETS) >= 11);
    bench_close(&bench);
}

/* net_tap's signal per packet may not fit the kernel's queue of signals: nobody dies of it, and the
 * next one that fits shows all packets. */
static void signals_overflow(void **state)
{
    (void)state;
    bench_run(signals_overflow_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tap_both_ways),     cmocka_unit_test(checksums_in_software),
        cmocka_unit_test(checksums_by_port), cmocka_unit_test(steering),
        cmocka_unit_test(crafted_packets),   cmocka_unit_test(full_ring),
        cmocka_unit_test(steer_full),        cmocka_unit_test(signals_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
