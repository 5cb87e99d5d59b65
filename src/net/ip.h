/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet and IPv4, both ways.
 *
 * In: frame_read() judges one frame without side effects and names either what it is or the
 * counter of its drop. Ours are frames to our MAC (or a group, for ARP only), untagged or with a
 * priority tag (802.1Q, identifier 0; other VLANs are not ours, tagging is the switch's or the
 * port's business), IPv4 without options and unfragmented, to our address, from a unicast address
 * that is not ours (RFC 1122 sections 3.2.1.3, 3.3.6). Ethernet padding is cut off by the IP size.
 * TCP further needs a sound header size, sound options (RFC 9293 section 3.1), a checksum, ports
 * that are not 0, and flags that mean something: ACK, SYN or RST; no SYN with FIN or RST.
 *
 * Out: a TCP sender builds in a packet of net_packet_begin() (fresh) or net_packet_reply() (the
 * received one, rewritten) and gives it to net_packet_send(). DF set, id 0 (RFC 6864), untagged. */
#ifndef STENTOR_NET_IP_H
#define STENTOR_NET_IP_H

#include "stentor/net.h"

#include "tcp_row.h"
#include "tcp_segment.h"
#include "wire.h"

#define NET_TCP_OFFSET ((uint32_t)(sizeof(struct ethernet_header) + sizeof(struct ip_header)))

enum frame_kind { FRAME_DROP, FRAME_ARP, FRAME_ICMP, FRAME_TCP };

struct frame {
    enum frame_kind kind;
    enum metric reason;         /* FRAME_DROP */
    struct bytes arp;           /* FRAME_ARP: after the Ethernet header */
    struct bytes icmp;          /* FRAME_ICMP: after the IP header, padding cut off */
    struct net_address remote;  /* FRAME_ICMP: who sent it */
    struct tcp_segment segment; /* FRAME_TCP, without its hash */
};

/* What of our own a frame is judged against; part of struct net. */
struct net_link {
    uint8_t mac[ETHERNET_MAC_SIZE];
    bool has_gateway;
    uint32_t address; /* IPv4 as a number */
    uint32_t mask;
    uint32_t gateway;
};

void frame_read(const struct net_link *link, const struct packet *packet, struct frame *frame);

/* A fresh packet with Ethernet and IP headers from the row's local address to its remote one;
 * returns where the TCP header goes, with room for a segment of the MTU. NULL when there is no
 * buffer or the neighbour is not known (counted, nothing to undo). The row's neighbour is a hint,
 * repaired here. */
uint8_t *net_packet_begin(struct net *net, struct tcp_row *row, struct packet *packet);
/* The same in the received packet, back to the MAC it came from: for SYN-ACK and RST, which have no
 * row. `key` is that of the received segment and may not point into it: everything in the packet
 * is gone. Needs no neighbour. Falls back to a fresh packet where the received one is too small
 * for tcp_size_max octets of TCP; NULL as above. On success *packet is what to send, and *received
 * is taken (frame NULL) or not. */
uint8_t *net_packet_reply(struct net *net, struct packet *received, const struct tcp_key *key,
                          uint32_t tcp_size_max, struct packet *packet);
/* Completes sizes, has both checksums filled in by the NIC floor, and gives the packet away.
 * tcp_size counts TCP header, options and payload. */
void net_packet_send(struct net *net, struct packet *packet, uint32_t tcp_size);
/* Gives a begun packet back unsent. */
void net_packet_cancel(struct net *net, struct packet *packet);
/* Hands the gathered packets to the NIC. net_release() and net_flush() do. */
void net_packets_flush(struct net *net);
/* Puts a complete frame (ARP, ICMP) of `size` octets among them; *packet is taken. */
void net_frame_send(struct net *net, struct packet *packet, uint32_t size);

/* ---- addresses ---- */

static inline struct net_address net_address_of_ipv4(uint32_t number)
{
    struct net_address address = {{[10] = 0xff, [11] = 0xff}};
    struct be32 wire = be32_of(number);
    memcpy(address.octets + 12, wire.octet, sizeof wire);
    return address;
}
static inline uint32_t net_address_ipv4(const struct net_address *address)
{
    struct be32 wire;
    memcpy(wire.octet, address->octets + 12, sizeof wire);
    return be32_get(wire);
}
static inline bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
    return memcmp(a->octets, b->octets, sizeof a->octets) == 0;
}
static inline bool net_address_is_ipv4(const struct net_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->octets, mapped, sizeof mapped) == 0;
}
/* Of the IP header of packets to that address: a segment has the MTU less this and TCP's. */
static inline uint32_t net_ip_header_size(const struct net_address *remote)
{
    return net_address_is_ipv4(remote) ? 20 : 40;
}
static inline bool net_link_is_local(const struct net_link *link, uint32_t address)
{
    return ((address ^ link->address) & link->mask) == 0;
}

#endif
