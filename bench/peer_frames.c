/* SPDX-License-Identifier: Apache-2.0
 *
 * The layout is the one everybody sends: no IP options, timestamps first, so a field of a frame
 * that came back stands at a fixed place. */
#include "peer_frames.h"

#include "stentor/nic_checksum.h"

#define FRAME_MAX 640u

static const uint8_t our_mac[6] = {0x02, 0, 0, 0, 0, 1};
static const uint8_t router_mac[6] = {0x02, 0, 0, 0, 0, 2};

static uint8_t *write_ethernet(uint8_t *at, uint16_t type)
{
    struct ethernet_header header = {.type = be16_of(type)};
    memcpy(header.destination, our_mac, sizeof our_mac);
    memcpy(header.source, router_mac, sizeof router_mac);
    memcpy(at, &header, sizeof header);
    return at + sizeof header;
}

static uint8_t *write_ip(uint8_t *at, uint32_t number, uint32_t tcp_size)
{
    struct tcp_key key = parked_key(number);
    struct ip_header header = {
        .version_size = 4u << 4 | sizeof header / 4,
        .size = be16_of((uint16_t)(sizeof header + tcp_size)),
        .fragment = be16_of(IP_DONT_FRAGMENT),
        .hops = IP_HOPS,
        .protocol = IP_PROTOCOL_TCP,
        .source = be32_of(net_address_ipv4(&key.remote)),
        .destination = be32_of(PARKED_OUR_IPV4),
    };
    memcpy(at, &header, sizeof header);
    return at + sizeof header;
}

/* Timestamps always; a SYN offers MSS and scale besides. */
static uint8_t *write_tcp(uint8_t *at, const struct peer_text *text, uint32_t ts_value,
                          uint32_t ts_echo)
{
    static const uint8_t offer[8] = {TCP_OPTION_MSS,          4, 0x05,        0xb4, TCP_OPTION_NOP,
                                     TCP_OPTION_WINDOW_SCALE, 3, PARKED_SCALE};
    struct tcp_key key = parked_key(text->number);
    bool is_syn = (text->flags & TCP_SYN) != 0;
    uint32_t size = sizeof(struct tcp_header) + TCP_TIMESTAMPS_SIZE + (is_syn ? sizeof offer : 0);
    struct tcp_header header = {
        .source_port = be16_of(key.remote_port),
        .destination_port = be16_of(key.local_port),
        .seq = be32_of(text->seq),
        .ack = be32_of(text->ack),
        .offset = (uint8_t)(size / 4 << 4),
        .flags = text->flags,
        .window = be16_of(512),
    };
    memcpy(at, &header, sizeof header);
    at += sizeof header;
    if (is_syn) {
        memcpy(at, offer, sizeof offer);
        at += sizeof offer;
    }
    tcp_options_write_timestamps(at, ts_value, ts_echo);
    return at + TCP_TIMESTAMPS_SIZE;
}

struct packet peer_frame_echo(struct loop_nic *nic, const struct peer_text *text, uint32_t ts_value,
                              uint32_t ts_echo)
{
    uint8_t octets[FRAME_MAX];
    bool is_syn = (text->flags & TCP_SYN) != 0;
    uint32_t tcp_size = (uint32_t)sizeof(struct tcp_header) + TCP_TIMESTAMPS_SIZE +
                        (is_syn ? 8 : 0) + text->payload;
    ASSERT(text->payload <= PEER_PAYLOAD_MAX);
    uint8_t *at = write_ethernet(octets, ETHERNET_TYPE_IPV4);
    at = write_ip(at, text->number, tcp_size);
    at = write_tcp(at, text, ts_value, ts_echo);
    memset(at, 'x', text->payload);
    struct packet packet =
        loop_nic_frame(nic, bytes_of(octets, (size_t)(at - octets) + text->payload));
    if (nic->is_plain) {
        packet.ip_offset = sizeof(struct ethernet_header);
        packet.flags = PACKET_FILL_IP | PACKET_FILL_TCP;
        nic_checksum_fill(&packet);
    }
    return packet;
}

struct packet peer_frame(struct loop_nic *nic, const struct peer_text *text, uint32_t ts_value)
{
    return peer_frame_echo(nic, text, ts_value, 0);
}

void peer_answer_arp(struct net *net, struct loop_nic *nic, uint64_t now_ns)
{
    uint8_t octets[sizeof(struct ethernet_header) + sizeof(struct arp_header)];
    struct arp_header arp = {
        .hardware = be16_of(ARP_HARDWARE_ETHERNET),
        .protocol = be16_of(ETHERNET_TYPE_IPV4),
        .hardware_size = ETHERNET_MAC_SIZE,
        .protocol_size = 4,
        .operation = be16_of(ARP_REPLY),
        .sender = be32_of(PARKED_ROUTER_IPV4),
        .target = be32_of(PARKED_OUR_IPV4),
    };
    memcpy(arp.sender_mac, router_mac, sizeof router_mac);
    memcpy(arp.target_mac, our_mac, sizeof our_mac);
    memcpy(write_ethernet(octets, ETHERNET_TYPE_ARP), &arp, sizeof arp);
    struct packet packet = loop_nic_frame(nic, bytes_of(octets, sizeof octets));
    struct net_events events = {0};
    (void)net_input(net, &packet, 1, now_ns, &events);
    net_release(net, now_ns);
}

/* ---- what came back ---- */

uint32_t peer_kept_seq(const struct loop_nic *nic, uint32_t i)
{
    struct tcp_header header;
    memcpy(&header, nic->kept[i] + NET_TCP_OFFSET, sizeof header);
    return be32_get(header.seq);
}

uint32_t peer_kept_timestamp(const struct loop_nic *nic, uint32_t i)
{
    struct tcp_options options;
    struct tcp_header header;
    memcpy(&header, nic->kept[i] + NET_TCP_OFFSET, sizeof header);
    const uint8_t *at = nic->kept[i] + NET_TCP_OFFSET + sizeof header;
    tcp_options_read(bytes_of(at, (header.offset >> 4) * 4u - sizeof header), &options);
    return options.ts_value;
}

uint32_t peer_kept_number(const struct loop_nic *nic, uint32_t i)
{
    struct ip_header header;
    memcpy(&header, nic->kept[i] + sizeof(struct ethernet_header), sizeof header);
    return be32_get(header.destination) - PARKED_FIRST_IPV4;
}

uint8_t peer_kept_flags(const struct loop_nic *nic, uint32_t i)
{
    struct tcp_header header;
    memcpy(&header, nic->kept[i] + NET_TCP_OFFSET, sizeof header);
    return header.flags;
}
