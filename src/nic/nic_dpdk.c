/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets through a DPDK port: bursts in, bursts out, and in software whatever the port lacks.
 *
 *   receive: early (found when going to sleep) -> steering ring -> port, what belongs to another
 *            queue passed on by ring
 *   transmit: checksums, staged, and at a full burst or nic_flush() given to the port
 *
 * Drivers are trusted with little. No frame longer than device.frame_max is handed over
 * (net_af_packet would free it uncounted), none is chained (net_af_xdp sends the first segment
 * only), and a chained one received is made linear. The four answers of a port about a checksum
 * become three: GOOD and NONE (not in the packet, but the octets are sound) are good, BAD is bad,
 * UNKNOWN is nobody looked.
 *
 * Queue k is worker k's. The rings between queues have many givers and one taker. */
#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_lcore.h>
#include <rte_tcp.h>

#include "nic_port.h"
#include "nic_steer.h"
#include "stentor/nic_checksum.h"

#define TRANSMIT_TRIES 4u
#define ETHERNET_SIZE 14u
/* Receive calls between two readings of the port's counters; a reading may cost microseconds. */
#define LOSSES_EVERY 16384u

static struct dpdk_queue *dpdk_of(struct nic_queue *queue)
{
    return (struct dpdk_queue *)queue;
}

static struct bytes frame_of(struct rte_mbuf *mbuf)
{
    return bytes_of(rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len);
}

/* ---- receive ---- */

/* Some ports say GOOD of whatever held no error they look for: an IPv6 packet with extension
 * headers, two tags. Believed is what they say of plain IPv4, and of IPv6 with TCP right behind. */
static bool is_understood(const struct rte_mbuf *mbuf)
{
    const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
    uint32_t type = (uint32_t)(frame[12] << 8 | frame[13]);
    if (type == RTE_ETHER_TYPE_IPV4)
        return true;
    return type == RTE_ETHER_TYPE_IPV6 && mbuf->data_len >= ETHERNET_SIZE + 40 &&
           frame[ETHERNET_SIZE + 6] == IPPROTO_TCP;
}

static uint16_t flags_of(const struct rte_mbuf *mbuf)
{
    uint64_t ol_flags = mbuf->ol_flags;
    uint64_t ip = ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
    uint64_t l4 = ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    uint16_t flags = 0;
    if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD || l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD)
        flags |= PACKET_CHECKSUM_BAD;
    if (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD || ip == RTE_MBUF_F_RX_IP_CKSUM_NONE)
        flags |= PACKET_IP_GOOD;
    if (l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD || l4 == RTE_MBUF_F_RX_L4_CKSUM_NONE)
        flags |= PACKET_L4_GOOD;
    if (flags != 0 && !is_understood(mbuf))
        flags &= PACKET_CHECKSUM_BAD;
    return flags;
}

static struct packet packet_of(struct rte_mbuf *mbuf)
{
    uint32_t room = (uint32_t)mbuf->buf_len - mbuf->data_off;
    return (struct packet){
        .frame = rte_pktmbuf_mtod(mbuf, uint8_t *),
        .rss_hash = mbuf->ol_flags & RTE_MBUF_F_RX_RSS_HASH ? mbuf->hash.rss : 0,
        .size = mbuf->data_len,
        .room = (uint16_t)room,
        .flags = flags_of(mbuf),
        .buffer = mbuf,
    };
}

static void give_to(struct dpdk_queue *from, struct dpdk_queue *to, struct rte_mbuf *mbuf)
{
    if (rte_ring_enqueue(to->steered, mbuf) != 0) {
        metric_count(from->queue.metrics, METRIC_NIC_DROP_STEER_FULL);
        rte_pktmbuf_free(mbuf);
        return;
    }
    metric_count(from->queue.metrics, METRIC_NIC_STEERED);
    nic_wait_wake(to);
}

static void copy_to_others(struct dpdk_queue *queue, struct rte_mbuf *mbuf)
{
    struct nic_port *port = queue->port;
    for (uint32_t i = 0; i < port->queue_count; i++) {
        if (i == queue->queue.index)
            continue;
        struct rte_mbuf *copy = rte_pktmbuf_copy(mbuf, port->pool, 0, UINT32_MAX);
        if (copy != NULL)
            give_to(queue, &port->queues[i], copy);
        else
            metric_count(queue->queue.metrics, METRIC_NIC_NO_BUFFER);
    }
}

/* Whether the packet stays here; else it was given to its owner. */
static bool is_ours(struct dpdk_queue *queue, struct rte_mbuf *mbuf)
{
    struct nic_port *port = queue->port;
    if (port->steering == NIC_STEERING_PORT && mbuf->ol_flags & RTE_MBUF_F_RX_RSS_HASH)
        return true;
    uint32_t owner = nic_steer_queue(&port->key, frame_of(mbuf), port->queue_count);
    if (port->steering == NIC_STEERING_PORT && nic_steer_quotes_ipv4(frame_of(mbuf)))
        owner = NIC_STEER_ALL;
    if (owner == NIC_STEER_ALL) {
        copy_to_others(queue, mbuf);
        return true;
    }
    if (owner == queue->queue.index)
        return true;
    give_to(queue, &port->queues[owner], mbuf);
    return false;
}

static bool is_sound(struct dpdk_queue *queue, struct rte_mbuf *mbuf)
{
    bool is_linear = mbuf->nb_segs == 1 || rte_pktmbuf_linearize(mbuf) == 0;
    if (is_linear && mbuf->data_len >= ETHERNET_SIZE)
        return true;
    metric_count(queue->queue.metrics, METRIC_NIC_RX_ERRORS);
    rte_pktmbuf_free(mbuf);
    return false;
}

uint32_t nic_dpdk_collect(struct dpdk_queue *queue, struct rte_mbuf **mbufs, uint32_t max)
{
    uint32_t kept = 0;
    if (queue->steered != NULL) /* half at most: neither road may close the other */
        kept = rte_ring_dequeue_burst(queue->steered, (void **)mbufs, (max + 1) / 2, NULL);
    uint16_t burst = (uint16_t)(max - kept);
    uint16_t count = rte_eth_rx_burst(queue->port_id, queue->queue.index, mbufs + kept, burst);
    uint32_t end = kept + count;
    for (uint32_t i = kept; i < end; i++) {
        struct rte_mbuf *mbuf = mbufs[i];
        if (!is_sound(queue, mbuf))
            continue;
        if (queue->steered == NULL || is_ours(queue, mbuf))
            mbufs[kept++] = mbuf;
    }
    queue->has_received = queue->has_received || kept != 0;
    return kept;
}

static NOINLINE void first_receive(struct dpdk_queue *queue)
{
    queue->is_registered = true;
    /* A refusal (more threads than RTE_MAX_LCORE) costs the cache, nothing else. */
    if (rte_lcore_id() == LCORE_ID_ANY)
        (void)rte_thread_register();
}

void nic_dpdk_count_losses(struct dpdk_queue *queue)
{
    struct rte_eth_stats now;
    struct rte_eth_stats *seen = &queue->seen;
    struct metrics *metrics = queue->queue.metrics;
    if (rte_eth_stats_get(queue->port_id, &now) != 0)
        return;
    metric_add(metrics, METRIC_NIC_RX_NO_BUFFER, (int64_t)(now.rx_nombuf - seen->rx_nombuf));
    metric_add(metrics, METRIC_NIC_RX_MISSED, (int64_t)(now.imissed - seen->imissed));
    metric_add(metrics, METRIC_NIC_RX_ERRORS, (int64_t)(now.ierrors - seen->ierrors));
    *seen = now;
}

/* The oldest of what ended the last sleep. */
static uint32_t take_early(struct dpdk_queue *queue, struct packet *packets, uint32_t max)
{
    uint32_t count = queue->early_count < max ? queue->early_count : max;
    uint32_t left = queue->early_count - count;
    for (uint32_t i = 0; i < count; i++)
        packets[i] = packet_of(queue->early[i]);
    memmove(queue->early, queue->early + count, left * sizeof(struct rte_mbuf *));
    queue->early_count = (uint16_t)left;
    return count;
}

static uint32_t dpdk_receive(struct nic_queue *nic, struct packet *packets, uint32_t max)
{
    struct dpdk_queue *queue = dpdk_of(nic);
    struct rte_mbuf *mbufs[NIC_BURST_MAX];
    uint32_t count = 0;
    if (IS_UNLIKELY(!queue->is_registered))
        first_receive(queue);
    if (nic->index == 0 && ++queue->receive_count % LOSSES_EVERY == 0)
        nic_dpdk_count_losses(queue);
    if (max > NIC_BURST_MAX)
        max = NIC_BURST_MAX;
    if (IS_UNLIKELY(queue->early_count != 0))
        count = take_early(queue, packets, max);
    if (count < max) {
        uint32_t fresh = nic_dpdk_collect(queue, mbufs, max - count);
        for (uint32_t i = 0; i < fresh; i++)
            packets[count++] = packet_of(mbufs[i]);
    }
    metric_add(nic->metrics, METRIC_NIC_RX_PACKETS, count);
    return count;
}

/* ---- buffers ---- */

static bool dpdk_take(struct nic_queue *nic, struct packet *packet)
{
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dpdk_of(nic)->port->pool);
    if (mbuf == NULL) {
        metric_count(nic->metrics, METRIC_NIC_NO_BUFFER);
        return false;
    }
    *packet = packet_of(mbuf);
    return true;
}

static void dpdk_release(struct nic_queue *nic, struct packet *packets, uint32_t count)
{
    (void)nic;
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(packets[i].buffer != NULL);
        rte_pktmbuf_free(packets[i].buffer);
        packets[i].buffer = NULL;
    }
}

/* ---- transmit ---- */

/* Ports agree about plain IPv4 only. IPv6 needs other flags and offloads of its own in some, and a
 * tag in the octets is no part of the second layer to others: both are computed here. */
static bool is_plain_ipv4(const struct packet *packet)
{
    return packet->ip_offset == ETHERNET_SIZE && packet->frame[ETHERNET_SIZE] >> 4 == 4;
}

/* The port computes what it said it can; it wants to be told where the headers end and to find
 * the pseudo header's sum in the TCP field. */
static void ask_port(struct rte_mbuf *mbuf, struct packet *packet, uint64_t offloads)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(packet->frame + packet->ip_offset);
    uint16_t wanted = packet->flags;
    mbuf->l2_len = packet->ip_offset & 0x7fu;
    mbuf->l3_len = rte_ipv4_hdr_len(ip);
    if (wanted & PACKET_FILL_IP && offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) {
        mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
        wanted = (uint16_t)(wanted & ~PACKET_FILL_IP);
    }
    if (wanted & PACKET_FILL_TCP && offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) {
        struct rte_tcp_hdr *tcp =
            (struct rte_tcp_hdr *)(void *)(packet->frame + packet->ip_offset + mbuf->l3_len);
        mbuf->l4_len = (tcp->data_off >> 4) * 4u & 0xffu;
        mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM;
        tcp->cksum = rte_ipv4_phdr_cksum(ip, mbuf->ol_flags);
        wanted = (uint16_t)(wanted & ~PACKET_FILL_TCP);
    }
    packet->flags = wanted;
}

/* The packet's mbuf, in step with the view, or NULL when it may not leave. */
static struct rte_mbuf *seal(struct dpdk_queue *queue, struct packet *packet)
{
    struct rte_mbuf *mbuf = packet->buffer;
    const uint8_t *start = mbuf->buf_addr;
    ASSERT(packet->size >= ETHERNET_SIZE);
    ASSERT(packet->frame >= start);
    ASSERT(packet->frame + packet->size <= start + mbuf->buf_len);
    ASSERT(rte_mbuf_refcnt_read(mbuf) == 1);
    if (packet->size > queue->port->device.frame_max) {
        metric_count(queue->queue.metrics, METRIC_NIC_DROP_TX_OVERSIZE);
        return NULL;
    }
    mbuf->data_off = (uint16_t)(packet->frame - start);
    mbuf->data_len = packet->size;
    mbuf->pkt_len = packet->size;
    mbuf->ol_flags &=
        RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT; /* forget what it was received as */
    mbuf->tx_offload = 0;
    if (packet->flags & (PACKET_FILL_IP | PACKET_FILL_TCP)) {
        if (is_plain_ipv4(packet))
            ask_port(mbuf, packet, queue->port->tx_offloads);
        nic_checksum_fill(packet);
    }
    return mbuf;
}

/* The rest of the burst from `at` on does not leave. */
static void drop_staged(struct dpdk_queue *queue, uint16_t at, uint16_t end)
{
    metric_add(queue->queue.metrics, METRIC_NIC_DROP_TX_FULL, end - at);
    rte_pktmbuf_free_bulk(queue->staged + at, (unsigned int)(end - at));
}

/* A driver that finds a packet it cannot offload stops before it: that one is dropped, counted as
 * refused, and the others go on. */
static uint16_t prepare(struct dpdk_queue *queue, uint16_t end)
{
    uint16_t at = 0;
    while (at < end) {
        at = (uint16_t)(at + rte_eth_tx_prepare(queue->port_id, queue->queue.index,
                                                queue->staged + at, (uint16_t)(end - at)));
        if (at == end)
            break;
        drop_staged(queue, at, (uint16_t)(at + 1));
        end--;
        memmove(queue->staged + at, queue->staged + at + 1, (size_t)(end - at) * sizeof(void *));
    }
    return end;
}

static void dpdk_flush(struct nic_queue *nic)
{
    struct dpdk_queue *queue = dpdk_of(nic);
    uint16_t end = queue->staged_count;
    if (end == 0)
        return;
    queue->staged_count = 0;
    if (queue->port->tx_offloads != 0)
        end = prepare(queue, end);
    uint16_t sent = 0;
    for (uint32_t try = 0; sent < end && try < TRANSMIT_TRIES; try++) {
        uint16_t count = rte_eth_tx_burst(queue->port_id, nic->index, queue->staged + sent,
                                          (uint16_t)(end - sent));
        sent = (uint16_t)(sent + count);
        if (count != 0)
            try = 0; /* it moves: only a ring that stands still is given up */
        else
            rte_pause();
    }
    metric_add(nic->metrics, METRIC_NIC_TX_PACKETS, sent);
    if (sent != end)
        drop_staged(queue, sent, end);
}

static void dpdk_transmit(struct nic_queue *nic, struct packet *packets, uint32_t count)
{
    struct dpdk_queue *queue = dpdk_of(nic);
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(packets[i].buffer != NULL);
        struct rte_mbuf *mbuf = seal(queue, &packets[i]);
        if (mbuf == NULL) {
            rte_pktmbuf_free(packets[i].buffer);
        } else {
            queue->staged[queue->staged_count++] = mbuf;
            if (queue->staged_count == NIC_BURST_MAX)
                dpdk_flush(nic);
        }
        packets[i].buffer = NULL;
    }
}

const struct nic_ops nic_dpdk_ops = {
    .receive = dpdk_receive,
    .take = dpdk_take,
    .release = dpdk_release,
    .transmit = dpdk_transmit,
    .flush = dpdk_flush,
    .wait = nic_wait_sleep,
};
