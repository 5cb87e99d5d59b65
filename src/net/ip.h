/* SPDX-License-Identifier: Apache-2.0
 *
 * Ethernet and IP, both ways.
 *
 * In: frame_read() judges one frame without side effects and names either what it is or the
 * counter of its drop. Ours are frames to our MAC (or a group: ARP and discovery only),
 * untagged, with a priority tag (802.1Q, identifier 0) or with the tag of a VLAN one of our
 * addresses is on. Of IP, what is unfragmented and comes from a unicast address that is not ours to
 * one of ours that is ready (link.h):
 *
 *   IPv4  without options (RFC 1122 sections 3.2.1.3, 3.3.6)
 *   IPv6  behind at most IP6_EXTENSIONS_MAX extension headers of IP6_EXTENSION_BYTES_MAX octets in
 *         all, whose options all may be gone by, with no way to go on in a routing header (RFC 8200
 *         section 4, RFC 5095); an atomic fragment counts as unfragmented (RFC 6946)
 *
 * Padding is cut off by the IP size. TCP further needs a sound header size, sound options (RFC 9293
 * section 3.1), a checksum, ports that are not 0, and flags that mean something: ACK, SYN or RST;
 * no SYN with FIN or RST. ICMPv6 and neighbour discovery have their checksum judged here too.
 *
 * Out: a TCP sender builds in a packet of net_packet_begin() (fresh) or net_packet_reply() (the
 * received one, rewritten) and gives it to net_packet_send(). IPv4: DF set, id 0 (RFC 6864). IPv6:
 * no extension headers, a flow label of the connection's own (RFC 6437). Tagged as our address is.
 */
#ifndef STENTOR_NET_IP_H
#define STENTOR_NET_IP_H

#include "stentor/net.h"
#include "stentor/siphash.h"

#include "link.h"
#include "tcp_row.h"
#include "tcp_segment.h"
#include "wire.h"

#define IP6_EXTENSIONS_MAX 8u
#define IP6_EXTENSION_BYTES_MAX 256u

/* Of an untagged IPv4 packet. */
#define NET_TCP_OFFSET ((uint32_t)(sizeof(struct ethernet_header) + sizeof(struct ip_header)))

enum frame_kind { FRAME_DROP, FRAME_ARP, FRAME_ICMP, FRAME_ICMP6, FRAME_NDP, FRAME_MLD, FRAME_TCP };

struct frame {
    enum frame_kind kind;
    enum metric reason;        /* FRAME_DROP */
    uint16_t vlan;             /* 0 = untagged or priority-tagged */
    uint16_t local;            /* FRAME_ICMP, _ICMP6: which of our addresses it came to */
    bool is_to_group;          /* FRAME_NDP, _MLD: its IP destination is multicast */
    const uint8_t *source_mac; /* 6 octets in the packet */
    struct bytes arp;          /* FRAME_ARP: after the Ethernet header */
    struct bytes icmp;         /* FRAME_ICMP, _ICMP6, _NDP, _MLD: behind all IP headers, unpadded */
    struct net_address remote; /* of these: who sent it; unspecified in some FRAME_NDP */
    struct tcp_segment segment; /* FRAME_TCP, without its hash */
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
/* Completes sizes, has the checksums filled in by the NIC floor, and gives the packet away.
 * tcp_size counts TCP header, options and payload. */
void net_packet_send(struct net *net, struct packet *packet, uint32_t tcp_size);
/* A begun packet says that its sender understands congestion marks: ECT(0), RFC 3168. */
void net_packet_set_capable(struct packet *packet);
/* Gives a begun packet back unsent. */
void net_packet_cancel(struct net *net, struct packet *packet);
/* Hands the gathered packets to the NIC. net_release() and net_flush() do. */
void net_packets_flush(struct net *net);
/* Writes the Ethernet header of a frame of ours, with the tag of that VLAN unless it is 0; `to` may
 * stand in the same frame. Returns what follows it. */
uint8_t *net_frame_begin(struct net *net, struct packet *packet, uint16_t vlan, const uint8_t *to,
                         uint16_t type);
/* Puts a complete frame (ARP, ICMP) among them, which ends at `end`; *packet is taken. */
void net_frame_send(struct net *net, struct packet *packet, const uint8_t *end);
/* The IPv4 or IPv6 header of a packet that is not TCP, complete but for the checksum inside. */
uint8_t *net_ip_write(uint8_t *at, const struct net_address *from, const struct net_address *to,
                      uint8_t protocol, uint32_t payload_size);

/* ---- the parts of frame_read(): ip4.c, ip6.c, ip.c ---- */

void ip4_read(const struct net_link *link, const struct packet *packet, struct bytes octets,
              struct frame *frame);
void ip6_read(const struct net_link *link, const struct packet *packet, struct bytes octets,
              struct frame *frame);
void frame_drop(struct frame *frame, enum metric reason);
/* The segment in `octets`, whose checksum is good; frame->segment.key has remote and local. */
void frame_read_tcp(struct bytes octets, struct frame *frame);

#endif
