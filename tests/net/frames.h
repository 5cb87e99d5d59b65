/* SPDX-License-Identifier: Apache-2.0
 *
 * Sound frames for tests, to be sent as they are or spoilt in one place. The peer is 10.0.0.9 at
 * 02:00:00:00:00:09, we are 10.0.0.1 at 02:00:00:00:00:01, the gateway is 10.0.0.254. In IPv6 all
 * of them are in 2001:db8::/64 with the same last octet. */
#ifndef STENTOR_TESTS_NET_FRAMES_H
#define STENTOR_TESTS_NET_FRAMES_H

#include "checksum.h"
#include "ip.h"

#define OUR_IPV4 0x0a000001u
#define PEER_IPV4 0x0a000009u
#define GATEWAY_IPV4 0x0a0000feu
#define FAR_IPV4 0xc6336407u /* 198.51.100.7, behind the gateway */
#define OUR_PORT 5222u
#define PEER_PORT 40000u

static const uint8_t our_mac[6] = {0x02, 0, 0, 0, 0, 0x01};
static const uint8_t peer_mac[6] = {0x02, 0, 0, 0, 0, 0x09};
static const uint8_t other_mac[6] = {0x02, 0, 0, 0, 0, 0x66};
static const uint8_t every_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static const struct net_address our_ipv6 = {{0x20, 0x01, 0x0d, 0xb8, [15] = 0x01}};
static const struct net_address peer_ipv6 = {{0x20, 0x01, 0x0d, 0xb8, [15] = 0x09}};
static const struct net_address gateway_ipv6 = {{0x20, 0x01, 0x0d, 0xb8, [15] = 0xfe}};
static const struct net_address far_ipv6 = {{0x20, 0x01, 0x0d, 0xb8, 0xff, [15] = 0x07}};
/* What link.h makes of our MAC. */
static const struct net_address our_link_local = {
    {0xfe, 0x80, [11] = 0xff, [12] = 0xfe, [15] = 0x01}};

struct tcp_frame {
    uint32_t source; /* 0 = PEER_IPV4 */
    uint16_t source_port;
    uint16_t port;
    uint32_t seq;
    uint32_t ack;
    uint8_t flags;
    uint8_t ecn;          /* IP_ECN_* */
    struct bytes options; /* a multiple of four octets */
    struct bytes payload;
    uint32_t padding; /* after the IP packet */
};

static inline struct net_link test_link(void)
{
    struct nic_queue nic = {0};
    struct net_options options = {
        .nic = &nic, .locals = {{net_address_of_ipv4(OUR_IPV4), 24, 0}}, .local_count = 1};
    struct net_link link;
    memcpy(nic.mac, our_mac, sizeof our_mac);
    link_init(&link, &options);
    link.locals[0].router = 1;
    return link;
}

static inline void write_ethernet(struct writer *into, const uint8_t *to, const uint8_t *from,
                                  uint16_t type)
{
    write_bytes(into, bytes_of(to, 6));
    write_bytes(into, bytes_of(from, 6));
    write_be16(into, type);
}

static inline void write_ip(struct writer *into, uint32_t source, uint8_t protocol, size_t size)
{
    struct ip_header ip = {.version_size = 0x45,
                           .size = be16_of((uint16_t)(sizeof ip + size)),
                           .id = be16_of(7),
                           .fragment = be16_of(IP_DONT_FRAGMENT),
                           .hops = 64,
                           .protocol = protocol,
                           .source = be32_of(source),
                           .destination = be32_of(OUR_IPV4)};
    ip.checksum = checksum_of(bytes_of(&ip, sizeof ip));
    write_bytes(into, bytes_of(&ip, sizeof ip));
}

/* Makes both checksums right again after a field was changed. */
static inline void fix_checksums(uint8_t *frame)
{
    struct ip_header *ip = (void *)(frame + 14);
    struct tcp_header *tcp = (void *)(ip + 1);
    ip->checksum = be16_of(0);
    ip->checksum = checksum_of(bytes_of(ip, sizeof *ip));
    size_t size = (size_t)be16_get(ip->size) - sizeof *ip;
    uint8_t whole[4096] = {0};
    memcpy(whole, &ip->source, 8);
    whole[9] = IP_PROTOCOL_TCP;
    whole[10] = (uint8_t)(size >> 8);
    whole[11] = (uint8_t)size;
    tcp->checksum = be16_of(0);
    memcpy(whole + 12, tcp, size);
    tcp->checksum = checksum_of(bytes_of(whole, 12 + size));
}

static inline void write_tcp_frame(struct writer *into, const struct tcp_frame *frame)
{
    size_t header_size = sizeof(struct tcp_header) + frame->options.size;
    struct tcp_header tcp = {.source_port =
                                 be16_of(frame->source_port != 0 ? frame->source_port : PEER_PORT),
                             .destination_port = be16_of(frame->port != 0 ? frame->port : OUR_PORT),
                             .seq = be32_of(frame->seq),
                             .ack = be32_of(frame->ack),
                             .offset = (uint8_t)(header_size / 4 << 4),
                             .flags = frame->flags,
                             .window = be16_of(0x2000)};
    uint8_t *start = into->at + into->size;
    write_ethernet(into, our_mac, peer_mac, ETHERNET_TYPE_IPV4);
    write_ip(into, frame->source != 0 ? frame->source : PEER_IPV4, IP_PROTOCOL_TCP,
             header_size + frame->payload.size);
    write_bytes(into, bytes_of(&tcp, sizeof tcp));
    write_bytes(into, frame->options);
    write_bytes(into, frame->payload);
    start[15] = frame->ecn; /* the service octet of the IP header */
    fix_checksums(start);
    for (uint32_t i = 0; i < frame->padding; i++)
        write_u8(into, 0xee);
}

static inline void write_echo_frame(struct writer *into, struct bytes payload, uint32_t padding)
{
    struct icmp_header icmp = {.type = ICMP_ECHO_REQUEST, .rest = be32_of(0x00010002)};
    write_ethernet(into, our_mac, peer_mac, ETHERNET_TYPE_IPV4);
    write_ip(into, PEER_IPV4, IP_PROTOCOL_ICMP, sizeof icmp + payload.size);
    uint8_t *at = into->at + into->size;
    write_bytes(into, bytes_of(&icmp, sizeof icmp));
    write_bytes(into, payload);
    struct be16 checksum = checksum_of(bytes_of(at, sizeof icmp + payload.size));
    memcpy(at + 2, &checksum, sizeof checksum);
    for (uint32_t i = 0; i < padding; i++)
        write_u8(into, 0);
}

static inline void write_arp(struct writer *into, uint16_t operation, const uint8_t *sender_mac,
                             uint32_t sender, uint32_t target)
{
    write_be16(into, ARP_HARDWARE_ETHERNET);
    write_be16(into, ETHERNET_TYPE_IPV4);
    write_u8(into, 6);
    write_u8(into, 4);
    write_be16(into, operation);
    write_bytes(into, bytes_of(sender_mac, 6));
    write_be32(into, sender);
    write_bytes(into, bytes_of(operation == ARP_REPLY ? our_mac : (const uint8_t[6]){0}, 6));
    write_be32(into, target);
}

/* ---- IPv6 ---- */

/* Ours untagged in both families and, in IPv6, on VLAN 7 too; all ready, no routers. */
static inline struct net_link test_link6(void)
{
    struct nic_queue nic = {0};
    struct net_options options = {
        .nic = &nic,
        .locals = {{net_address_of_ipv4(OUR_IPV4), 24, 0}, {our_ipv6, 64, 0}, {our_ipv6, 64, 7}},
        .local_count = 3};
    struct net_link link;
    memcpy(nic.mac, our_mac, sizeof our_mac);
    link_init(&link, &options);
    for (uint32_t i = 0; i < link.local_count; i++)
        link.locals[i].state = LINK_READY;
    return link;
}

struct ip6_frame {
    struct net_address source; /* none = peer_ipv6 */
    struct net_address destination;
    const uint8_t *to; /* NULL = our_mac */
    uint16_t vlan;
    uint8_t hops;         /* 0 = 64 */
    uint8_t next;         /* of the last header */
    uint8_t first;        /* when there are extensions: what they begin with */
    struct bytes between; /* extension headers */
    struct bytes inside;
    bool is_from_nobody;
};

/* With a good checksum inside. */
static inline void write_ip6_frame(struct writer *into, const struct ip6_frame *frame)
{
    bool has_extensions = frame->between.size != 0;
    struct ip6_header ip = {
        .version_flow = be32_of(6u << 28 | 0x12345),
        .payload_size = be16_of((uint16_t)(frame->between.size + frame->inside.size)),
        .next = has_extensions ? frame->first : frame->next,
        .hops = frame->hops != 0 ? frame->hops : 64,
        .source = net_address_is_none(&frame->source) ? peer_ipv6 : frame->source,
        .destination = net_address_is_none(&frame->destination) ? our_ipv6 : frame->destination};
    if (frame->is_from_nobody)
        ip.source = (struct net_address){0};
    uint8_t inside[2048];
    size_t at = frame->next == IP_PROTOCOL_TCP ? 16 : 2;
    memcpy(inside, frame->inside.at, frame->inside.size);
    if (frame->inside.size >= at + 2) {
        memset(inside + at, 0, 2);
        struct be16 checksum =
            checksum_of_ipv6(&ip, frame->next, bytes_of(inside, frame->inside.size));
        memcpy(inside + at, &checksum, sizeof checksum);
    }
    write_ethernet(into, frame->to != NULL ? frame->to : our_mac, peer_mac,
                   frame->vlan != 0 ? ETHERNET_TYPE_VLAN : ETHERNET_TYPE_IPV6);
    if (frame->vlan != 0) {
        write_be16(into, frame->vlan);
        write_be16(into, ETHERNET_TYPE_IPV6);
    }
    write_bytes(into, bytes_of(&ip, sizeof ip));
    write_bytes(into, frame->between);
    write_bytes(into, bytes_of(inside, frame->inside.size));
}

/* The same segment as write_tcp_frame() makes, in the IPv6 packet that `around` describes. */
static inline void write_tcp6_frame(struct writer *into, const struct tcp_frame *frame,
                                    struct ip6_frame around)
{
    uint8_t octets[2048];
    struct writer segment = writer_of(octets, sizeof octets);
    struct tcp_frame plain = *frame;
    plain.padding = 0;
    write_tcp_frame(&segment, &plain);
    around.next = IP_PROTOCOL_TCP;
    around.inside = bytes_from(writer_bytes(&segment), NET_TCP_OFFSET);
    write_ip6_frame(into, &around);
    for (uint32_t i = 0; i < frame->padding; i++)
        write_u8(into, 0xee);
}

#endif
