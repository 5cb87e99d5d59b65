/* SPDX-License-Identifier: Apache-2.0
 *
 * A DPDK port and its queues, as nic_port.c opens them, nic_dpdk.c moves packets through them and
 * nic_wait.c sleeps on them. Only src/nic sees this.
 *
 * One mempool serves all queues: an mbuf lives for a turn, so every holder's share is bounded
 * (rings of the port, staged bursts, caches, steering rings) and the pool is the sum of them;
 * nobody can starve another. One pool, no clones, no chains is also what FAST_FREE asks for.
 *
 * Workers are not EAL threads. Each registers itself at its first receive (rte_thread_register),
 * which gives it an lcore number and so the mempool's cache, in the driver's refill path too; a
 * cache of our own (rte_mempool_cache) would not reach that path. */
#ifndef NIC_PORT_H
#define NIC_PORT_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "nic_device.h"
#include "stentor/nic.h"
#include "stentor/siphash.h"

#define NIC_STEER_RING_SIZE 1024u
#define NIC_CACHE_SIZE 128u

enum nic_steering {
    NIC_STEERING_NONE, /* one queue */
    NIC_STEERING_HASH, /* by nic_steer_queue() */
    NIC_STEERING_PORT  /* what carries the port's RSS hash is its queue's; else by hash */
};

/* What a port is used for beside the plain moving of packets. */
enum nic_offload {
    NIC_OFFLOAD_REAL, /* what hardware does: the default */
    NIC_OFFLOAD_ALL,  /* also what a virtual port does in its own software */
    NIC_OFFLOAD_NONE
};

struct dpdk_queue {
    /* line 0: every packet */
    struct nic_queue queue;
    struct nic_port *port;
    uint16_t staged_count;
    uint64_t slice_ns;    /* last sleep on a port without interrupts */
    bool has_received;    /* a packet since then */
    uint16_t early_count; /* packets that ended a sleep, first of the next receive */
    uint16_t port_id;
    bool is_registered;
    bool can_interrupt;
    /* then: bursts */
    struct rte_mbuf *staged[NIC_BURST_MAX];
    struct rte_mbuf *early[NIC_BURST_MAX];
    struct rte_ring *steered;  /* packets other queues received for us; NULL with one queue */
    uint32_t receive_count;    /* calls, paces the reading of the port's own counters */
    int epoll_descriptor;      /* the port's receive interrupt, -1 = none */
    int steer_descriptor;      /* eventfd: a packet was steered to a sleeper, -1 = none */
    struct rte_eth_stats seen; /* what was already counted; queue 0's */
    _Atomic uint32_t is_asleep __attribute__((aligned(CACHE_LINE))); /* read by other queues */
} __attribute__((aligned(CACHE_LINE)));

struct nic_port {
    struct nic_device device;
    struct rte_mempool *pool;
    uint64_t rx_offloads;
    uint64_t tx_offloads;
    uint64_t pool_bytes;
    struct siphash_key key;
    enum nic_steering steering;
    uint32_t queue_count;
    uint32_t pool_count;
    uint16_t descriptors_rx;
    uint16_t descriptors_tx;
    uint16_t id;
    uint16_t mtu;
    bool has_interrupts;
    bool has_rss;
    bool has_hugepages;
    bool is_started;
    char driver[32];
    struct dpdk_queue queues[];
};

/* As nic_open(), which passes NIC_OFFLOAD_REAL. */
MUST_USE enum error nic_open_with(struct nic_port **port, const struct config *config,
                                  uint32_t queue_count, enum nic_offload offload,
                                  struct writer *message);

extern const struct nic_ops nic_dpdk_ops;
/* One burst from the port or the steering ring, what belongs to others passed on. Raw mbufs. */
uint32_t nic_dpdk_collect(struct dpdk_queue *queue, struct rte_mbuf **mbufs, uint32_t max);
/* Brings the port's own counts of losses into the metrics. Queue 0's thread. */
void nic_dpdk_count_losses(struct dpdk_queue *queue);

/* Prepares what the queue sleeps on; a port without interrupts is slept on in slices. */
MUST_USE enum error nic_wait_init(struct dpdk_queue *queue);
void nic_wait_fini(struct dpdk_queue *queue);
void nic_wait_sleep(struct nic_queue *queue, uint64_t timeout_ns, int wake_descriptor);
/* After something was put into the queue's steering ring. */
void nic_wait_wake(struct dpdk_queue *queue);

#endif
