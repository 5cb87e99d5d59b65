/* SPDX-License-Identifier: Apache-2.0
 *
 * The network card, seen from above: bursts of packet views in, packets out, sleep in between.
 * Two makers of the same interface: nic_dpdk (physical ports by PCI address, net_tap,
 * net_af_packet, net_af_xdp, net_memif) and nic_sim (a seeded, faulty wire, no EAL).
 *
 * A packet buffer lives for one turn (DESIGN law 4): received packets are released by the taker in
 * the turn that got them; packets to send are taken empty, filled, and given away to
 * nic_transmit(). Nothing may wait in one. An empty buffer pool, a full transmit ring and an
 * oversize frame are counted and dropped; TCP repairs it.
 *
 * Threads: a port is opened and closed by the main thread; queue k belongs to worker k alone.
 * Whatever the port lacks is done here in software: checksums (PACKET_FILL_*, PACKET_*_GOOD),
 * linear transmit, and steering: a queue hands up only its own flows. Which flows are a queue's
 * own is decided by the port's RSS where that was verified at start, else by a keyed hash of the
 * TCP 4-tuple (untagged or behind one VLAN tag), and a packet that arrives on the wrong queue
 * travels to the right one by ring. ARP and IPv6 neighbour discovery are seen by every queue
 * (copied). An ICMP or ICMPv6 error goes to the owner of the tuple it quotes, or to every queue
 * where the port's RSS decides and only the port knows. All else that is not TCP is queue 0's. */
#ifndef STENTOR_NIC_H
#define STENTOR_NIC_H

#include "stentor/bytes.h"
#include "stentor/config.h"
#include "stentor/error.h"
#include "stentor/heap.h"
#include "stentor/metrics.h"
#include "stentor/random.h"

#define NIC_BURST_MAX 32u
#define NIC_QUEUES_MAX 64u

/* Received: what the port verified. Neither GOOD nor BAD = nobody looked; net verifies. */
#define PACKET_IP_GOOD 0x01u
#define PACKET_L4_GOOD 0x02u
#define PACKET_CHECKSUM_BAD 0x04u
/* To send: fill the IPv4 header's / the TCP checksum in. The frame must be Ethernet (untagged or
 * one VLAN tag, ip_offset says), IPv4 or IPv6 without extension headers, TCP; both fields zero.
 * IPv6 has no checksum of its own: there PACKET_FILL_IP asks for nothing. */
#define PACKET_FILL_IP 0x10u
#define PACKET_FILL_TCP 0x20u

struct packet {
    uint8_t *frame;     /* first octet of the Ethernet frame */
    uint32_t rss_hash;  /* as the port gave it, or 0 */
    uint16_t size;      /* octets in the frame */
    uint16_t room;      /* octets that may be written from frame on (>= size) */
    uint16_t flags;     /* PACKET_* */
    uint16_t ip_offset; /* to send: offset of the IP header */
    void *buffer;       /* the maker's own */
};

struct nic_queue;

/* What a maker implements; called through the inline functions below. */
struct nic_ops {
    uint32_t (*receive)(struct nic_queue *queue, struct packet *packets, uint32_t max);
    bool (*take)(struct nic_queue *queue, struct packet *packet);
    void (*release)(struct nic_queue *queue, struct packet *packets, uint32_t count);
    void (*transmit)(struct nic_queue *queue, struct packet *packets, uint32_t count);
    void (*flush)(struct nic_queue *queue);
    void (*wait)(struct nic_queue *queue, uint64_t timeout_ns, int wake_descriptor);
};

/* The common start of every maker's queue. */
struct nic_queue {
    const struct nic_ops *ops;
    struct metrics *metrics; /* the worker's block */
    uint8_t mac[6];
    uint16_t mtu; /* largest IP packet */
    uint16_t index;
};

/* Up to max packets that arrived, each to be released (or reused by nic_transmit) this turn. */
static inline uint32_t nic_receive(struct nic_queue *queue, struct packet *packets, uint32_t max)
{
    return queue->ops->receive(queue, packets, max);
}
/* An empty packet to build in (size 0, room >= mtu + 18); false when the pool is empty. */
static inline MUST_USE bool nic_take(struct nic_queue *queue, struct packet *packet)
{
    return queue->ops->take(queue, packet);
}
static inline void nic_release(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    queue->ops->release(queue, packets, count);
}
/* Gives the packets away; they leave at nic_flush() at the latest. A received packet that was
 * rewritten in place may be sent too. */
static inline void nic_transmit(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    queue->ops->transmit(queue, packets, count);
}
static inline void nic_flush(struct nic_queue *queue)
{
    queue->ops->flush(queue);
}
/* Sleeps until a packet may have arrived, wake_descriptor (an eventfd, -1 = none) is readable, or
 * the time is over; may return early. */
static inline void nic_wait(struct nic_queue *queue, uint64_t timeout_ns, int wake_descriptor)
{
    queue->ops->wait(queue, timeout_ns, wake_descriptor);
}

/* ---- nic_dpdk: a real port ---- */

struct nic_port;

/* ERROR_INVALID and a sentence when nic.device names nothing that could be opened. Pure. */
MUST_USE enum error nic_config_judge(const struct config *config, struct writer *message);

/* Starts the EAL (once a process) and the port config.nic_device names, with queue_count queue
 * pairs. On a fault writes a sentence a person can act on. One thread at least must leave the
 * real-time signals unblocked (they are unblocked in the caller): net_tap learns of packets by one,
 * and all sleeps of the process may end with EINTR. */
MUST_USE enum error nic_open(struct nic_port **port, const struct config *config,
                             uint32_t queue_count, struct writer *message);
/* After the workers have stopped, by the thread that opened; the process cannot open again. */
void nic_close(struct nic_port **port);
/* The queue of worker `index`; counts into metrics from now on. */
struct nic_queue *nic_port_queue(struct nic_port *port, uint32_t index, struct metrics *metrics);
/* One line for the log: driver, queues, offloads in use, RSS or software steering, pages. */
void nic_describe(const struct nic_port *port, struct writer *into);

/* ---- nic_sim: a simulated wire ---- */

/* How jitter_ns is meant: the most, or the mean of an exponential cut off at eight means. */
enum nic_sim_spread { NIC_SIM_UNIFORM, NIC_SIM_EXPONENTIAL };

/* Faults of one direction of the wire; rates in millionths of packets. All zero = none. */
struct nic_sim_faults {
    uint32_t loss_ppm;
    /* Bursts: from the good state to the bad one, back, and the loss in the bad one. */
    uint32_t burst_start_ppm;
    uint32_t burst_end_ppm;
    uint32_t burst_loss_ppm;
    uint32_t duplicate_ppm;
    uint32_t reorder_ppm; /* delivered late by up to reorder_ns */
    /* Octets changed; ARP is spared, no checksum would show it. One bit anywhere, or bits in a
     * stretch of corrupt_bits (at most 15, which a checksum of 16 bits always shows). */
    uint32_t corrupt_ppm;
    uint32_t corrupt_bits;
    uint64_t delay_ns;
    uint64_t jitter_ns; /* keeps the order */
    enum nic_sim_spread jitter_spread;
    uint64_t reorder_ns;
    uint64_t octets_per_second; /* of the narrowest link; 0 = no limit */
    uint32_t queue_octets_max;  /* before it; what does not fit is lost. 0 = no limit */
    uint32_t mark_octets;       /* a packet whose ends know ECN gets CE when more wait; 0 = never */
    uint16_t path_mtu;          /* larger IP packets do not pass; 0 = all pass */
    bool is_path_silent;        /* nor does a router tell their sender */
    uint32_t refuse_take_ppm;   /* nic_take says no */
    uint32_t refuse_transmit_ppm; /* dropped as by a full ring */
    bool judges_checksums;        /* received packets carry the flags of a port that verifies */
};

/* What may befall an end for a while. */
enum nic_sim_stretch {
    NIC_SIM_CUT,    /* what leaves it is lost */
    NIC_SIM_CLOG,   /* what leaves it is held, and arrives in a lump when the stretch ends */
    NIC_SIM_STARVE, /* nic_take says no */
    NIC_SIM_JAM,    /* its transmit ring is full */
    NIC_SIM_STRETCHES
};

/* What may befall one frame, named by its number. */
enum nic_sim_strike {
    NIC_SIM_STRIKE_NONE,
    NIC_SIM_STRIKE_DROP,
    NIC_SIM_STRIKE_TWICE,
    NIC_SIM_STRIKE_SWAP, /* with the next to the same end; after a second it comes alone */
    NIC_SIM_STRIKE_DELAY,
    NIC_SIM_STRIKE_CORRUPT
};

struct nic_sim; /* a switch with up to NIC_SIM_ENDS_MAX ends, all on one segment */
#define NIC_SIM_ENDS_MAX 64u

MUST_USE enum error nic_sim_create(struct nic_sim **sim, struct heap *heap, uint64_t seed);
void nic_sim_destroy(struct nic_sim **sim);
/* A new end with that MAC; frames are switched by destination MAC, group addresses go to all
 * others, and what nobody owns is lost. Packets enter the wire at nic_flush() (or when a burst is
 * full), in order. NULL when the switch is full or the heap refused; metrics may be NULL. */
struct nic_queue *nic_sim_end(struct nic_sim *sim, const uint8_t mac[6], uint16_t mtu,
                              struct metrics *metrics);
/* Of every end there is and of those to come. */
void nic_sim_set_faults(struct nic_sim *sim, const struct nic_sim_faults *faults);
/* Of what leaves that end, and of its own calls. */
void nic_sim_set_end_faults(struct nic_queue *end, const struct nic_sim_faults *faults);
void nic_sim_stretch(struct nic_queue *end, enum nic_sim_stretch stretch, uint64_t until_ns);
/* Befalls the frame that is number `frame` of all that enter the wire, counted from 0; delay_ns is
 * added by NIC_SIM_STRIKE_DELAY. */
void nic_sim_set_strike(struct nic_sim *sim, uint64_t frame, enum nic_sim_strike strike,
                        uint64_t delay_ns);
/* How many frames have entered the wire. */
uint64_t nic_sim_frames(const struct nic_sim *sim);
/* The virtual clock: packets due by now become receivable. */
void nic_sim_advance(struct nic_sim *sim, uint64_t now_ns);
/* When the next packet becomes receivable; UINT64_MAX = none under way. */
uint64_t nic_sim_next_ns(const struct nic_sim *sim);
/* Calls nothing back: every frame that enters the wire is appended to this writer as one text
 * line, until it is full; NULL stops. For byte-identical traces. */
void nic_sim_trace(struct nic_sim *sim, struct writer *into);
/* Buffers out with takers: 0 after every end released what it took. */
uint32_t nic_sim_buffers_used(const struct nic_sim *sim);

#endif
