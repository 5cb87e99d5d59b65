/* SPDX-License-Identifier: Apache-2.0
 *
 * ARP on the wire. A message of a VLAN is answered by the addresses of that VLAN only. */
#include "arp.h"

#include "neighbour.h"
#include "net_state.h"

static const uint8_t everyone[ETHERNET_MAC_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[ETHERNET_MAC_SIZE];

/* ---- sending ---- */

/* What differs between our messages. */
struct arp_message {
    const struct link_local *from;
    const uint8_t *to;
    struct be32 target;
    uint16_t operation;
};

/* `to` may stand in the packet. */
static void send_in(struct net *net, struct packet *packet, const struct arp_message *message)
{
    uint8_t to[ETHERNET_MAC_SIZE];
    memcpy(to, message->to, sizeof to);
    uint8_t *at = net_frame_begin(net, packet, message->from->vlan, to, ETHERNET_TYPE_ARP);
    struct arp_header *arp = (void *)at;
    *arp = (struct arp_header){
        .hardware = be16_of(ARP_HARDWARE_ETHERNET),
        .protocol = be16_of(ETHERNET_TYPE_IPV4),
        .hardware_size = ETHERNET_MAC_SIZE,
        .protocol_size = sizeof arp->sender,
        .operation = be16_of(message->operation),
        .sender = be32_of(net_address_ipv4(&message->from->address)),
        .target = message->target,
    };
    memcpy(arp->sender_mac, net->link.mac, sizeof arp->sender_mac);
    if (message->operation == ARP_REPLY)
        memcpy(arp->target_mac, to, sizeof arp->target_mac);
    net_frame_send(net, packet, (const uint8_t *)(arp + 1));
}

static void send_request(struct net *net, const struct link_local *from, const uint8_t *to,
                         uint32_t target)
{
    struct packet packet;
    if (!nic_take(net->options.nic, &packet)) {
        net_count(net, METRIC_NET_DROP_BUFFER);
        return;
    }
    struct arp_message message = {from, to, be32_of(target), ARP_REQUEST};
    net_count(net, METRIC_NET_ARP_REQUESTS);
    send_in(net, &packet, &message);
}

static void announce(struct net *net, const struct link_local *local)
{
    send_request(net, local, everyone, net_address_ipv4(&local->address));
}

void arp_ask(struct net *net, uint16_t vlan, const struct net_address *address, const uint8_t *mac)
{
    uint16_t from = link_source(&net->link, vlan, address);
    if (from == LINK_LOCAL_NONE)
        return;
    send_request(net, &net->link.locals[from], mac != NULL ? mac : everyone,
                 net_address_ipv4(address));
}

void arp_start(struct net *net)
{
    for (uint32_t i = 0; i < net->link.local_count; i++)
        if (net->options.nic->index == 0 && net_address_is_ipv4(&net->link.locals[i].address))
            announce(net, &net->link.locals[i]);
}

/* ---- what peers say ---- */

static bool is_well_formed(const struct arp_header *arp)
{
    uint16_t operation = be16_get(arp->operation);
    return be16_get(arp->hardware) == ARP_HARDWARE_ETHERNET &&
           be16_get(arp->protocol) == ETHERNET_TYPE_IPV4 &&
           arp->hardware_size == ETHERNET_MAC_SIZE && arp->protocol_size == sizeof(struct be32) &&
           (operation == ARP_REQUEST || operation == ARP_REPLY) &&
           (arp->sender_mac[0] & ETHERNET_GROUP_BIT) == 0 &&
           memcmp(arp->sender_mac, nobody, sizeof nobody) != 0;
}

/* Somebody else says our address is his. RFC 5227 section 2.4 (b): one defence in ten seconds. */
static void defend(struct net *net, const struct arp_header *arp, uint16_t local)
{
    if (memcmp(arp->sender_mac, net->link.mac, sizeof net->link.mac) == 0)
        return; /* our own announcement, come back */
    net_count(net, METRIC_NET_DROP_ARP_CONFLICT);
    bool is_due =
        net->arp_defended_at_ns == 0 || net->now_ns - net->arp_defended_at_ns >= ARP_DEFEND_NS;
    if (!is_due || net->options.nic->index != 0)
        return;
    net->arp_defended_at_ns = net->now_ns;
    announce(net, &net->link.locals[local]);
}

static void send_reply(struct net *net, struct packet *packet, const struct arp_header *request,
                       uint16_t local)
{
    struct arp_message message = {&net->link.locals[local], request->sender_mac, request->sender,
                                  ARP_REPLY};
    net_count(net, METRIC_NET_ARP_REPLIES);
    send_in(net, packet, &message);
}

static void request_input(struct net *net, struct packet *packet, const struct frame *frame,
                          const struct neighbour_name *sender)
{
    const struct arp_header *arp = (const void *)frame->arp.at;
    struct net_address target = net_address_of_ipv4(be32_get(arp->target));
    uint16_t local = link_find(&net->link, &target, frame->vlan);
    if (local == LINK_LOCAL_NONE) {
        net_count(net, METRIC_NET_DROP_ARP_UNSOLICITED);
        neighbour_claimed(net, sender, arp->sender_mac);
        return;
    }
    if (be32_get(arp->sender) != 0) /* else a probe of RFC 5227 */
        neighbour_heard(net, sender, arp->sender_mac);
    if (net->options.nic->index == 0)
        send_reply(net, packet, arp, local);
}

static void reply_input(struct net *net, const struct frame *frame,
                        const struct neighbour_name *sender)
{
    const struct arp_header *arp = (const void *)frame->arp.at;
    struct net_address target = net_address_of_ipv4(be32_get(arp->target));
    bool is_to_us = link_find(&net->link, &target, frame->vlan) != LINK_LOCAL_NONE;
    if (is_to_us && neighbour_answered(net, sender, arp->sender_mac))
        return;
    net_count(net, METRIC_NET_DROP_ARP_UNSOLICITED);
    if (!is_to_us)
        neighbour_claimed(net, sender, arp->sender_mac);
}

void arp_input(struct net *net, struct packet *packet, const struct frame *frame)
{
    const struct arp_header *arp = (const void *)frame->arp.at;
    if (frame->arp.size < sizeof *arp || !is_well_formed(arp)) {
        net_count(net, METRIC_NET_DROP_ARP_MALFORMED);
        return;
    }
    struct neighbour_name sender = {net_address_of_ipv4(be32_get(arp->sender)), frame->vlan};
    uint16_t local = link_find(&net->link, &sender.address, frame->vlan);
    if (local != LINK_LOCAL_NONE)
        defend(net, arp, local);
    else if (be16_get(arp->operation) == ARP_REQUEST)
        request_input(net, packet, frame, &sender);
    else
        reply_input(net, frame, &sender);
}
