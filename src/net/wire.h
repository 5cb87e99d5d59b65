/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers as they stand on the wire: Ethernet and 802.1Q (IEEE 802.3, 802.1Q), ARP (RFC 826), IPv4
 * (RFC 791), IPv6 (RFC 8200), ICMP (RFC 792, RFC 4443), neighbour discovery (RFC 4861), TCP (RFC
 * 9293 section 3.1). Every field is an octet array, so a structure may be laid over any octet of a
 * packet whose bounds were checked. */
#ifndef STENTOR_NET_WIRE_H
#define STENTOR_NET_WIRE_H

#include <assert.h>

#include "stentor/byteorder.h"
#include "stentor/net.h"

#define ETHERNET_MAC_SIZE 6u
#define ETHERNET_TYPE_IPV4 0x0800u
#define ETHERNET_TYPE_ARP 0x0806u
#define ETHERNET_TYPE_VLAN 0x8100u
#define ETHERNET_TYPE_IPV6 0x86ddu
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

#define IP_PROTOCOL_ICMP6 58u
#define IP6_NEXT_HOP_BY_HOP 0u
#define IP6_NEXT_ROUTING 43u
#define IP6_NEXT_FRAGMENT 44u
#define IP6_NEXT_DESTINATION 60u
#define IP6_OPTION_PAD1 0u
#define IP6_OPTION_REFUSE_MASK 0xc0u /* 0 = whoever does not know it goes on (RFC 8200 4.2) */
#define IP6_MTU_MIN 1280u

struct ip6_header {
    struct be32 version_flow; /* version 4 bits, traffic class 8, flow label 20 */
    struct be16 payload_size; /* all that follows this header */
    uint8_t next;             /* what follows: IP_PROTOCOL_* or IP6_NEXT_* */
    uint8_t hops;
    struct net_address source;
    struct net_address destination;
};
static_assert(sizeof(struct ip6_header) == 40, "RFC 8200 section 3");

/* Start of every extension header but the fragment header, whose size is fixed and 8. */
struct ip6_extension {
    uint8_t next;
    uint8_t size; /* in units of eight octets, less the first */
};

struct ip6_routing {
    struct ip6_extension start;
    uint8_t type;
    uint8_t segments_left;
};

struct ip6_fragment {
    uint8_t next;
    uint8_t spare;
    struct be16 offset; /* 13 bits, 2 reserved, more fragments 1 */
    struct be32 id;
};
static_assert(sizeof(struct ip6_fragment) == 8, "RFC 8200 section 4.5");
#define IP6_FRAGMENT_MASK 0xfff9u /* offset and "more": all zero in an atomic fragment */

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

#define ICMP6_UNREACHABLE 1u
#define ICMP6_TOO_BIG 2u
#define ICMP6_TIME_EXCEEDED 3u
#define ICMP6_PARAMETER_PROBLEM 4u
#define ICMP6_ECHO_REQUEST 128u
#define ICMP6_ECHO_REPLY 129u
#define NDP_ROUTER_SOLICITATION 133u
#define NDP_ROUTER_ADVERTISEMENT 134u
#define NDP_SOLICITATION 135u
#define NDP_ADVERTISEMENT 136u
#define NDP_REDIRECT 137u
#define NDP_HOPS 255u /* no router lets through what carries it */

/* Neighbour solicitation and advertisement; options follow. */
struct ndp_neighbour {
    struct icmp_header icmp; /* rest: the NDP_FLAG_* of an advertisement */
    struct net_address target;
};
static_assert(sizeof(struct ndp_neighbour) == 24, "RFC 4861 section 4.3");
#define NDP_FLAG_ROUTER 0x80000000u
#define NDP_FLAG_SOLICITED 0x40000000u
#define NDP_FLAG_OVERRIDE 0x20000000u

/* Options follow. */
struct ndp_router {
    struct icmp_header icmp;
    struct be32 reachable_ms;
    struct be32 retransmit_ms;
};
static_assert(sizeof(struct ndp_router) == 16, "RFC 4861 section 4.2");

#define MLD_QUERY 130u
#define MLD_REPORT 143u
#define IP6_OPTION_ALERT 5u /* RFC 2711 */

/* The hop-by-hop header of multicast listener discovery. */
struct mld_alert {
    struct ip6_extension start;
    uint8_t option[6]; /* router alert, PadN */
};
static_assert(sizeof(struct mld_alert) == 8, "RFC 2711 section 2.1");

/* Records follow. */
struct mld_report {
    uint8_t type;
    uint8_t code;
    struct be16 checksum;
    struct be16 spare;
    struct be16 count;
};

struct mld_record {
    uint8_t kind;
    uint8_t auxiliary_size;
    struct be16 source_count;
    struct net_address group;
};
static_assert(sizeof(struct mld_record) == 20, "RFC 3810 section 5.2");

#define NDP_OPTION_SOURCE_MAC 1u
#define NDP_OPTION_TARGET_MAC 2u

struct ndp_option_mac {
    uint8_t kind;
    uint8_t size; /* 1: in units of eight octets */
    uint8_t mac[ETHERNET_MAC_SIZE];
};
static_assert(sizeof(struct ndp_option_mac) == 8, "RFC 4861 section 4.6.1");

/* RFC 3168 section 5: the low bits of the service octet or traffic class. */
#define IP6_CLASS_SHIFT 20u
#define IP_ECN_MASK 3u
#define IP_ECN_CAPABLE 2u /* ECT(0) */
#define IP_ECN_MARKED 3u  /* CE */

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
