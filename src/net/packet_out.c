/* SPDX-License-Identifier: Apache-2.0
 *
 * Building what we send (the outward half of ip.h). A packet begun is either sent or cancelled by
 * the one who began it; sent packets gather in struct net and reach the NIC a burst at a time. */
#include "ip.h"

#include "net_state.h"

static void write_headers(struct net *net, struct packet *packet, uint32_t to,
                          const uint8_t mac[ETHERNET_MAC_SIZE])
{
    struct ethernet_header *ethernet = (void *)packet->frame;
    memmove(ethernet->destination, mac, sizeof ethernet->destination);
    memcpy(ethernet->source, net->link.mac, sizeof ethernet->source);
    ethernet->type = be16_of(ETHERNET_TYPE_IPV4);

    struct ip_header *ip = (void *)(packet->frame + sizeof *ethernet);
    *ip = (struct ip_header){
        .version_size = 4u << 4 | sizeof *ip / 4,
        .fragment = be16_of(IP_DONT_FRAGMENT),
        .hops = IP_HOPS,
        .protocol = IP_PROTOCOL_TCP,
        .source = be32_of(net->link.address),
        .destination = be32_of(to),
    };
    packet->ip_offset = sizeof *ethernet;
    packet->flags = PACKET_FILL_IP | PACKET_FILL_TCP;
}

uint8_t *net_packet_begin(struct net *net, struct tcp_row *row, struct packet *packet)
{
    const uint8_t *mac = arp_resolve(net, &row->remote, &row->neighbour);
    if (mac == NULL) {
        net_count(net, METRIC_NET_DROP_NEIGHBOUR);
        return NULL;
    }
    if (!nic_take(net->options.nic, packet)) {
        net_count(net, METRIC_NET_DROP_BUFFER);
        return NULL;
    }
    write_headers(net, packet, net_address_ipv4(&row->remote), mac);
    return packet->frame + NET_TCP_OFFSET;
}

uint8_t *net_packet_reply(struct net *net, struct packet *received, const struct tcp_key *key,
                          uint32_t tcp_size_max, struct packet *packet)
{
    ASSERT(received->frame != NULL);
    const struct ethernet_header *ethernet = (const void *)received->frame;
    if (received->room >= NET_TCP_OFFSET + tcp_size_max) {
        *packet = *received;
        *received = (struct packet){0};
    } else if (!nic_take(net->options.nic, packet)) {
        net_count(net, METRIC_NET_DROP_BUFFER);
        return NULL;
    }
    write_headers(net, packet, net_address_ipv4(&key->remote), ethernet->source);
    return packet->frame + NET_TCP_OFFSET;
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
    uint32_t size = NET_TCP_OFFSET + tcp_size;
    ASSERT(tcp_size >= sizeof(struct tcp_header));
    ASSERT(size <= packet->room);
    struct ip_header *ip = (void *)(packet->frame + packet->ip_offset);
    ip->size = be16_of((uint16_t)(sizeof *ip + tcp_size));
    packet->size = (uint16_t)size;
    add_outgoing(net, packet);
}

void net_packet_cancel(struct net *net, struct packet *packet)
{
    nic_release(net->options.nic, packet, 1);
    *packet = (struct packet){0};
}

void net_frame_send(struct net *net, struct packet *packet, uint32_t size)
{
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
