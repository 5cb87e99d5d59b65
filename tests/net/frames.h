/* SPDX-License-Identifier: Apache-2.0
 *
 * Sound frames for tests, to be sent as they are or spoilt in one place. The peer is 10.0.0.9 at
 * 02:00:00:00:00:09, we are 10.0.0.1 at 02:00:00:00:00:01, the gateway is 10.0.0.254. */
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

struct tcp_frame {
    uint32_t source; /* 0 = PEER_IPV4 */
    uint16_t source_port;
    uint16_t port;
    uint32_t seq;
    uint32_t ack;
    uint8_t flags;
    struct bytes options; /* a multiple of four octets */
    struct bytes payload;
    uint32_t padding; /* after the IP packet */
};

static inline struct net_link test_link(void)
{
    struct net_link link = {
        .has_gateway = true, .address = OUR_IPV4, .mask = 0xffffff00u, .gateway = GATEWAY_IPV4};
    memcpy(link.mac, our_mac, sizeof our_mac);
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

#endif
