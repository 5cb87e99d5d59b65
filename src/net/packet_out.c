/* SPDX-License-Identifier: Apache-2.0
 *
 * Building what we send (the outward half of ip.h). A packet begun is either sent or cancelled by
 * the one who began it; sent packets gather in struct net and reach the NIC a burst at a time. */
#include "checksum.h"
#include "ip.h"

#include "net_state.h"

#define FLOW_LABEL_MASK 0xfffffu
#define FLOW_LABEL_DOMAIN (UINT64_C(0x666c) << 48)

uint8_t *net_frame_begin(struct net *net, struct packet *packet, uint16_t vlan, const uint8_t *to,
                         uint16_t type)
{
    struct ethernet_header *ethernet = (void *)packet->frame;
    memmove(ethernet->destination, to, sizeof ethernet->destination);
    memcpy(ethernet->source, net->link.mac, sizeof ethernet->source);
    ethernet->type = be16_of(vlan == 0 ? type : ETHERNET_TYPE_VLAN);
    uint8_t *next = (uint8_t *)(ethernet + 1);
    if (vlan == 0)
        return next;
    struct vlan_tag tag = {.control = be16_of(vlan), .type = be16_of(type)};
    memcpy(next, &tag, sizeof tag);
    return next + sizeof tag;
}

static uint8_t *write_ipv4(uint8_t *at, const struct net_address *from,
                           const struct net_address *to, uint8_t protocol)
{
    struct ip_header *ip = (void *)at;
    *ip = (struct ip_header){
        .version_size = 4u << 4 | sizeof *ip / 4,
        .fragment = be16_of(IP_DONT_FRAGMENT),
        .hops = IP_HOPS,
        .protocol = protocol,
        .source = be32_of(net_address_ipv4(from)),
        .destination = be32_of(net_address_ipv4(to)),
    };
    return at + sizeof *ip;
}

static uint8_t *write_ipv6(uint8_t *at, const struct net_address *from,
                           const struct net_address *to, uint8_t protocol)
{
    struct ip6_header *ip = (void *)at;
    *ip = (struct ip6_header){
        .version_flow = be32_of(6u << 28),
        .next = protocol,
        .hops = IP_HOPS,
        .source = *from,
        .destination = *to,
    };
    return at + sizeof *ip;
}

uint8_t *net_ip_write(uint8_t *at, const struct net_address *from, const struct net_address *to,
                      uint8_t protocol, uint32_t payload_size)
{
    if (!net_address_is_ipv4(to)) {
        uint8_t *end = write_ipv6(at, from, to, protocol);
        ((struct ip6_header *)(void *)at)->payload_size = be16_of((uint16_t)payload_size);
        return end;
    }
    struct ip_header *ip = (void *)at;
    uint8_t *end = write_ipv4(at, from, to, protocol);
    ip->size = be16_of((uint16_t)(sizeof *ip + payload_size));
    ip->checksum = checksum_of(bytes_of(ip, sizeof *ip));
    return end;
}

/* RFC 6437 section 3: the same for all packets of a flow, and nobody can guess it. */
static struct be32 version_flow(const struct net *net, const struct net_address *remote,
                                uint16_t remote_port, uint16_t local_port)
{
    uint64_t ports = FLOW_LABEL_DOMAIN | (uint64_t)remote_port << 16 | local_port;
    uint64_t address = net_address_word(remote, 0) ^ net_address_word(remote, 1);
    uint64_t hash = siphash_1_3_u64x2(&net->options.key, address, ports);
    return be32_of(6u << 28 | ((uint32_t)hash & FLOW_LABEL_MASK));
}

static uint8_t *write_headers(struct net *net, struct packet *packet, const struct tcp_key *key,
                              const uint8_t mac[ETHERNET_MAC_SIZE])
{
    ASSERT(key->local < net->link.local_count);
    const struct link_local *local = &net->link.locals[key->local];
    bool is_ipv4 = net_address_is_ipv4(&key->remote);
    uint8_t *at = net_frame_begin(net, packet, local->vlan, mac,
                                  is_ipv4 ? ETHERNET_TYPE_IPV4 : ETHERNET_TYPE_IPV6);
    packet->ip_offset = (uint16_t)(at - packet->frame);
    packet->flags = is_ipv4 ? PACKET_FILL_IP | PACKET_FILL_TCP : PACKET_FILL_TCP;
    if (is_ipv4)
        return write_ipv4(at, &local->address, &key->remote, IP_PROTOCOL_TCP);
    struct ip6_header *ip = (void *)at;
    uint8_t *end = write_ipv6(at, &local->address, &key->remote, IP_PROTOCOL_TCP);
    ip->version_flow = version_flow(net, &key->remote, key->remote_port, key->local_port);
    return end;
}

uint8_t *net_packet_begin(struct net *net, struct tcp_row *row, struct packet *packet)
{
    struct tcp_key key = {row->remote, row->remote_port, row->local_port, row->local};
    const uint8_t *mac = neighbour_resolve(net, row->local, &row->remote, &row->neighbour);
    if (mac == NULL) {
        net_count(net, METRIC_NET_DROP_NEIGHBOUR);
        return NULL;
    }
    if (!nic_take(net->options.nic, packet)) {
        net_count(net, METRIC_NET_DROP_BUFFER);
        return NULL;
    }
    return write_headers(net, packet, &key, mac);
}

uint8_t *net_packet_reply(struct net *net, struct packet *received, const struct tcp_key *key,
                          uint32_t tcp_size_max, struct packet *packet)
{
    ASSERT(received->frame != NULL);
    const struct ethernet_header *ethernet = (const void *)received->frame;
    uint32_t headers =
        sizeof *ethernet + sizeof(struct vlan_tag) + net_ip_header_size(&key->remote);
    if (received->room >= headers + tcp_size_max) {
        *packet = *received;
        *received = (struct packet){0};
    } else if (!nic_take(net->options.nic, packet)) {
        net_count(net, METRIC_NET_DROP_BUFFER);
        return NULL;
    }
    return write_headers(net, packet, key, ethernet->source);
}

static void add_outgoing(struct net *net, struct packet *packet)
{
    net->outgoing[net->outgoing_count++] = *packet;
    *packet = (struct packet){0};
    if (net->outgoing_count == ARRAY_COUNT(net->outgoing))
        net_packets_flush(net);
}

void net_packet_send(struct net *net, struct packet *packet, uint32_t tcp_size)
{
    uint8_t *at = packet->frame + packet->ip_offset;
    bool is_ipv4 = at[0] >> 4 == 4;
    uint32_t header_size = is_ipv4 ? sizeof(struct ip_header) : sizeof(struct ip6_header);
    uint32_t size = packet->ip_offset + header_size + tcp_size;
    ASSERT(tcp_size >= sizeof(struct tcp_header));
    ASSERT(size <= packet->room);
    if (is_ipv4)
        ((struct ip_header *)(void *)at)->size = be16_of((uint16_t)(header_size + tcp_size));
    else
        ((struct ip6_header *)(void *)at)->payload_size = be16_of((uint16_t)tcp_size);
    packet->size = (uint16_t)size;
    add_outgoing(net, packet);
}

/* The service octet is the second of an IPv4 header; the traffic class of IPv6 lies across the
 * first and the second. */
void net_packet_set_capable(struct packet *packet)
{
    uint8_t *ip = packet->frame + packet->ip_offset;
    ip[1] |= ip[0] >> 4 == 4 ? IP_ECN_CAPABLE : IP_ECN_CAPABLE << 4;
}

void net_packet_cancel(struct net *net, struct packet *packet)
{
    nic_release(net->options.nic, packet, 1);
    *packet = (struct packet){0};
}

void net_frame_send(struct net *net, struct packet *packet, const uint8_t *end)
{
    size_t size = (size_t)(end - packet->frame);
    ASSERT(size <= packet->room);
    packet->size = (uint16_t)size;
    packet->flags = 0;
    add_outgoing(net, packet);
}

void net_packets_flush(struct net *net)
{
    if (net->outgoing_count == 0)
        return;
    nic_transmit(net->options.nic, net->outgoing, net->outgoing_count);
    net->outgoing_count = 0;
}
