/* SPDX-License-Identifier: Apache-2.0
 *
 * ICMP errors as a router sends them about segments of ours. */
#ifndef STENTOR_TESTS_NET_ICMP_FRAMES_H
#define STENTOR_TESTS_NET_ICMP_FRAMES_H

#include "frames.h"

#define ROUTER_IPV4 0x0a0000c8u /* 10.0.0.200 */

struct icmp_error {
    uint8_t type;
    uint8_t code;
    uint32_t rest;        /* MTU of the next hop */
    uint32_t source;      /* of the quoted packet; 0 = OUR_IPV4 */
    uint32_t destination; /* 0 = PEER_IPV4 */
    uint16_t local_port;  /* 0 = OUR_PORT */
    uint16_t remote_port; /* 0 = PEER_PORT */
    uint8_t protocol;     /* 0 = TCP */
    uint16_t size;        /* of the quoted packet; 0 = 1500 */
    uint32_t seq;
};

static inline void write_icmp_error(struct writer *into, const struct icmp_error *error)
{
    uint8_t message[sizeof(struct icmp_header) + sizeof(struct ip_header) + 8] = {0};
    struct icmp_header *icmp = (void *)message;
    struct ip_header *ip = (void *)(icmp + 1);
    struct writer tcp = writer_of((uint8_t *)(ip + 1), 8);
    icmp->type = error->type;
    icmp->code = error->code;
    icmp->rest = be32_of(error->rest);
    ip->version_size = 0x45;
    ip->size = be16_of(error->size != 0 ? error->size : 1500);
    ip->fragment = be16_of(IP_DONT_FRAGMENT);
    ip->protocol = error->protocol != 0 ? error->protocol : IP_PROTOCOL_TCP;
    ip->source = be32_of(error->source != 0 ? error->source : OUR_IPV4);
    ip->destination = be32_of(error->destination != 0 ? error->destination : PEER_IPV4);
    write_be16(&tcp, error->local_port != 0 ? error->local_port : OUR_PORT);
    write_be16(&tcp, error->remote_port != 0 ? error->remote_port : PEER_PORT);
    write_be32(&tcp, error->seq);
    icmp->checksum = checksum_of(bytes_of(message, sizeof message));
    write_ethernet(into, our_mac, peer_mac, ETHERNET_TYPE_IPV4);
    write_ip(into, ROUTER_IPV4, IP_PROTOCOL_ICMP, sizeof message);
    write_bytes(into, bytes_of(message, sizeof message));
}

#endif
