/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers as they stand on the wire: Ethernet and 802.1Q (IEEE 802.3, 802.1Q), ARP (RFC 826), IPv4
 * (RFC 791), ICMP (RFC 792), TCP (RFC 9293 section 3.1). Every field is an octet array, so a
 * structure may be laid over any octet of a packet whose bounds were checked. */
#ifndef STENTOR_NET_WIRE_H
#define STENTOR_NET_WIRE_H

#include <assert.h>

#include "stentor/byteorder.h"

#define ETHERNET_MAC_SIZE 6u
#define ETHERNET_TYPE_IPV4 0x0800u
#define ETHERNET_TYPE_ARP 0x0806u
#define ETHERNET_TYPE_VLAN 0x8100u
#define ETHERNET_GROUP_BIT 0x01u /* of a destination's first octet: multicast or broadcast */

struct ethernet_header {
    uint8_t destination[ETHERNET_MAC_SIZE];
    uint8_t source[ETHERNET_MAC_SIZE];
    struct be16 type;
};
static_assert(sizeof(struct ethernet_header) == 14, "IEEE 802.3");

/* Follows an Ethernet header of type ETHERNET_TYPE_VLAN. */
struct vlan_tag {
    struct be16 control; /* priority 3 bits, drop eligible 1, identifier 12 */
    struct be16 type;
};
static_assert(sizeof(struct vlan_tag) == 4, "IEEE 802.1Q");
#define VLAN_IDENTIFIER_MASK 0x0fffu

#define ARP_HARDWARE_ETHERNET 1u
#define ARP_REQUEST 1u
#define ARP_REPLY 2u

struct arp_header {
    struct be16 hardware;
    struct be16 protocol;  /* ETHERNET_TYPE_IPV4 */
    uint8_t hardware_size; /* 6 */
    uint8_t protocol_size; /* 4 */
    struct be16 operation;
    uint8_t sender_mac[ETHERNET_MAC_SIZE];
    struct be32 sender;
    uint8_t target_mac[ETHERNET_MAC_SIZE];
    struct be32 target;
};
static_assert(sizeof(struct arp_header) == 28, "RFC 826 for Ethernet and IPv4");

#define IP_PROTOCOL_ICMP 1u
#define IP_PROTOCOL_TCP 6u
#define IP_PROTOCOL_UDP 17u
#define IP_DONT_FRAGMENT 0x4000u
#define IP_MORE_FRAGMENTS 0x2000u
#define IP_FRAGMENT_OFFSET_MASK 0x1fffu
#define IP_HOPS 64u

struct ip_header {
    uint8_t version_size; /* version << 4 | header size in words */
    uint8_t service;
    struct be16 size; /* of the packet, this header included */
    struct be16 id;
    struct be16 fragment;
    uint8_t hops;
    uint8_t protocol;
    struct be16 checksum;
    struct be32 source;
    struct be32 destination;
};
static_assert(sizeof(struct ip_header) == 20, "RFC 791 section 3.1");

#define ICMP_ECHO_REPLY 0u
#define ICMP_UNREACHABLE 3u
#define ICMP_SOURCE_QUENCH 4u
#define ICMP_ECHO_REQUEST 8u
#define ICMP_TIME_EXCEEDED 11u
#define ICMP_PARAMETER_PROBLEM 12u

struct icmp_header {
    uint8_t type;
    uint8_t code;
    struct be16 checksum;
    struct be32 rest;
};
static_assert(sizeof(struct icmp_header) == 8, "RFC 792");

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_URG 0x20u
#define TCP_ECE 0x40u
#define TCP_CWR 0x80u

#define TCP_OPTION_END 0u
#define TCP_OPTION_NOP 1u
#define TCP_OPTION_MSS 2u
#define TCP_OPTION_WINDOW_SCALE 3u
#define TCP_OPTION_SACK_PERMITTED 4u
#define TCP_OPTION_SACK 5u
#define TCP_OPTION_TIMESTAMPS 8u
#define TCP_OPTIONS_SIZE_MAX 40u

struct tcp_header {
    struct be16 source_port;
    struct be16 destination_port;
    struct be32 seq;
    struct be32 ack;
    uint8_t offset; /* header size in words << 4 */
    uint8_t flags;
    struct be16 window;
    struct be16 checksum;
    struct be16 urgent;
};
static_assert(sizeof(struct tcp_header) == 20, "RFC 9293 section 3.1");

#endif
