/* SPDX-License-Identifier: Apache-2.0
 *
 * The neighbour cache. refresh() is all of its timing: called at every use of an entry (and for
 * the gateway by the clock), it decides whether to ask again and when to give a MAC up. */
#include "arp.h"

#include "net_state.h"

#define DEFEND_NS UINT64_C(10000000000) /* RFC 5227 section 2.4 */
#define TRIES_COUNTED_MAX 200u

static_assert(ARP_GATEWAY < ARP_NONE, "ids and the hint that names nothing fit a u16");
static_assert((ARP_SETS & (ARP_SETS - 1)) == 0, "a mask picks the set");

static const uint8_t everyone[ETHERNET_MAC_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t nobody[ETHERNET_MAC_SIZE];

/* ---- sending ---- */

/* IPv4 on the first address only. */
static uint32_t our_address(const struct net *net)
{
    return net_address_ipv4(&net->link.locals[0].address);
}

static bool is_near(const struct net *net, uint32_t number)
{
    struct net_address address = net_address_of_ipv4(number);
    return link_local_covers(&net->link.locals[0], &address);
}

static bool has_gateway(const struct net *net)
{
    return net->options.router_count != 0;
}

static void fill_frame(struct net *net, struct packet *packet, uint16_t operation,
                       const uint8_t to[ETHERNET_MAC_SIZE], struct be32 target)
{
    struct ethernet_header *ethernet = (void *)packet->frame;
    struct arp_header *arp = (void *)(ethernet + 1);
    memcpy(arp->target_mac, operation == ARP_REPLY ? to : nobody, sizeof arp->target_mac);
    memcpy(ethernet->destination, to, sizeof ethernet->destination);
    memcpy(ethernet->source, net->link.mac, sizeof ethernet->source);
    ethernet->type = be16_of(ETHERNET_TYPE_ARP);
    arp->hardware = be16_of(ARP_HARDWARE_ETHERNET);
    arp->protocol = be16_of(ETHERNET_TYPE_IPV4);
    arp->hardware_size = ETHERNET_MAC_SIZE;
    arp->protocol_size = sizeof arp->sender;
    arp->operation = be16_of(operation);
    memcpy(arp->sender_mac, net->link.mac, sizeof arp->sender_mac);
    arp->sender = be32_of(our_address(net));
    arp->target = target;
    net_frame_send(net, packet, (const uint8_t *)(arp + 1));
}

static void send_request(struct net *net, const uint8_t to[ETHERNET_MAC_SIZE], struct be32 target)
{
    struct packet packet;
    if (!nic_take(net->options.nic, &packet)) {
        net_count(net, METRIC_NET_DROP_BUFFER);
        return;
    }
    net_count(net, METRIC_NET_ARP_REQUESTS);
    fill_frame(net, &packet, ARP_REQUEST, to, target);
}

/* In the packet the request came in. */
static void send_reply(struct net *net, struct packet *packet, const struct arp_header *request)
{
    uint8_t to[ETHERNET_MAC_SIZE];
    struct be32 target = request->sender;
    memcpy(to, request->sender_mac, sizeof to);
    net_count(net, METRIC_NET_ARP_REPLIES);
    fill_frame(net, packet, ARP_REPLY, to, target);
}

/* ---- the cache ---- */

static bool is_mac_of(const struct arp_row *row, const uint8_t mac[ETHERNET_MAC_SIZE])
{
    return memcmp(row->mac, mac, sizeof row->mac) == 0;
}

static bool is_row_of(const struct arp_row *row, struct be32 address)
{
    return row->state != ARP_STATE_NONE && memcmp(&row->address, &address, sizeof address) == 0;
}

static uint16_t id_of(const struct net *net, const struct arp_row *row)
{
    return (uint16_t)(row - net->arp.rows);
}

static struct arp_row *set_of(struct net *net, uint32_t address)
{
    uint64_t hash = siphash_1_3_u64x2(&net->options.key, address, ARP_GATEWAY);
    return &net->arp.rows[(hash & (ARP_SETS - 1)) * ARP_WAYS];
}

static struct arp_row *find(struct net *net, uint32_t address)
{
    struct be32 wire = be32_of(address);
    struct arp_row *gateway = &net->arp.rows[ARP_GATEWAY];
    if (is_row_of(gateway, wire))
        return gateway;
    struct arp_row *set = set_of(net, address);
    for (uint32_t way = 0; way < ARP_WAYS; way++)
        if (is_row_of(&set[way], wire))
            return &set[way];
    return NULL;
}

/* A row for an address that has none, in place of the one of its set that was unused longest. */
static struct arp_row *enter(struct net *net, uint32_t address, enum arp_state state)
{
    struct arp_row *set = set_of(net, address);
    struct arp_row *oldest = set;
    for (uint32_t way = 0; way < ARP_WAYS; way++) {
        if (set[way].state == ARP_STATE_NONE) {
            oldest = &set[way];
            break;
        }
        if (set[way].used_at_ns < oldest->used_at_ns)
            oldest = &set[way];
    }
    *oldest = (struct arp_row){.address = be32_of(address),
                               .state = (uint8_t)state,
                               .confirmed_at_ns = net->now_ns,
                               .used_at_ns = net->now_ns};
    return oldest;
}

static void set_mac(struct net *net, struct arp_row *row, const uint8_t mac[ETHERNET_MAC_SIZE])
{
    memcpy(row->mac, mac, sizeof row->mac);
    row->state = ARP_STATE_KNOWN;
    row->tries = 0;
    row->confirmed_at_ns = net->now_ns;
}

static bool is_settled(const struct net *net, const struct arp_row *row)
{
    return row->state == ARP_STATE_KNOWN && row->tries == 0 &&
           net->now_ns - row->confirmed_at_ns < ARP_CONFIRM_NS;
}

static uint64_t ask_at_ns(const struct arp_row *row)
{
    if (row->tries == 0)
        return row->state == ARP_STATE_KNOWN ? row->confirmed_at_ns + ARP_CONFIRM_NS : 0;
    bool is_slow = row->tries >= 2 * ARP_TRIES_MAX;
    return row->asked_at_ns + (is_slow ? ARP_SLOW_RETRY_NS : ARP_RETRY_NS);
}

static void ask(struct net *net, struct arp_row *row)
{
    row->asked_at_ns = net->now_ns;
    if (row->tries < TRIES_COUNTED_MAX)
        row->tries++;
    send_request(net, row->state == ARP_STATE_KNOWN ? row->mac : everyone, row->address);
}

static void refresh(struct net *net, struct arp_row *row)
{
    if (IS_LIKELY(is_settled(net, row)) || net->now_ns < ask_at_ns(row))
        return;
    if (row->state == ARP_STATE_KNOWN && row->tries >= ARP_TRIES_MAX)
        row->state = ARP_STATE_ASKED;
    ask(net, row);
}

/* Something says that the MAC we know is wrong: its owner may say otherwise. */
static void doubt(struct net *net, struct arp_row *row)
{
    if (row->state == ARP_STATE_KNOWN && row->tries == 0 &&
        net->now_ns - row->asked_at_ns >= ARP_RETRY_NS)
        ask(net, row);
}

/* ---- what the floor asks ---- */

void arp_start(struct net *net)
{
    if (net->options.nic->index == 0)
        send_request(net, everyone, be32_of(our_address(net)));
    if (!has_gateway(net))
        return;
    struct arp_row *gateway = &net->arp.rows[ARP_GATEWAY];
    *gateway =
        (struct arp_row){.address = be32_of(net_address_ipv4(&net->options.routers[0].address)),
                         .state = ARP_STATE_ASKED};
    ask(net, gateway);
}

static struct arp_row *row_for(struct net *net, uint32_t address, uint16_t hint)
{
    if (!is_near(net, address))
        return has_gateway(net) ? &net->arp.rows[ARP_GATEWAY] : NULL;
    if (IS_LIKELY(hint <= ARP_GATEWAY) && is_row_of(&net->arp.rows[hint], be32_of(address)))
        return &net->arp.rows[hint];
    return find(net, address);
}

const uint8_t *arp_resolve(struct net *net, const struct net_address *to, uint16_t *hint)
{
    uint32_t address = net_address_ipv4(to);
    struct arp_row *row = row_for(net, address, *hint);
    if (row == NULL) {
        if (!is_near(net, address))
            return NULL;
        row = enter(net, address, ARP_STATE_ASKED);
    }
    *hint = id_of(net, row);
    row->used_at_ns = net->now_ns;
    refresh(net, row);
    return row->state == ARP_STATE_KNOWN ? row->mac : NULL;
}

uint16_t arp_learn(struct net *net, const struct net_address *remote,
                   const uint8_t mac[ETHERNET_MAC_SIZE])
{
    uint32_t address = net_address_ipv4(remote);
    struct arp_row *row = row_for(net, address, ARP_NONE);
    if (row == NULL) {
        if (!is_near(net, address))
            return ARP_NONE;
        row = enter(net, address, ARP_STATE_ASKED);
    }
    row->used_at_ns = net->now_ns;
    bool is_gateway = id_of(net, row) == ARP_GATEWAY;
    if (row->state == ARP_STATE_KNOWN && !is_mac_of(row, mac))
        doubt(net, row);
    else if (row->state == ARP_STATE_KNOWN || !is_gateway)
        set_mac(net, row, mac);
    return id_of(net, row);
}

void arp_confirm(struct net *net, const struct net_address *remote, uint16_t hint,
                 const uint8_t mac[ETHERNET_MAC_SIZE])
{
    struct arp_row *row = row_for(net, net_address_ipv4(remote), hint);
    if (row == NULL || row->state != ARP_STATE_KNOWN || !is_mac_of(row, mac))
        return;
    row->tries = 0;
    row->confirmed_at_ns = net->now_ns;
}

void arp_timers(struct net *net)
{
    if (has_gateway(net))
        refresh(net, &net->arp.rows[ARP_GATEWAY]);
}

uint64_t arp_next_ns(const struct net *net)
{
    return has_gateway(net) ? ask_at_ns(&net->arp.rows[ARP_GATEWAY]) : UINT64_MAX;
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
static void defend(struct net *net, const struct arp_header *arp)
{
    if (memcmp(arp->sender_mac, net->link.mac, sizeof net->link.mac) == 0)
        return; /* our own announcement, come back */
    net_count(net, METRIC_NET_DROP_ARP_CONFLICT);
    bool is_due =
        net->arp.conflict_at_ns == 0 || net->now_ns - net->arp.conflict_at_ns >= DEFEND_NS;
    if (!is_due || net->options.nic->index != 0)
        return;
    net->arp.conflict_at_ns = net->now_ns;
    send_request(net, everyone, be32_of(our_address(net)));
}

static void learn_from_request(struct net *net, const struct arp_header *arp)
{
    uint32_t sender = be32_get(arp->sender);
    if (sender == 0 || !is_near(net, sender))
        return; /* a probe of RFC 5227, or nobody of this link */
    struct net_address remote = net_address_of_ipv4(sender);
    arp_learn(net, &remote, arp->sender_mac);
}

static void request_input(struct net *net, struct packet *packet, const struct arp_header *arp)
{
    if (be32_get(arp->target) == our_address(net)) {
        learn_from_request(net, arp);
        if (net->options.nic->index == 0)
            send_reply(net, packet, arp);
        return;
    }
    net_count(net, METRIC_NET_DROP_ARP_UNSOLICITED);
    struct arp_row *row = find(net, be32_get(arp->sender));
    if (row != NULL && !is_mac_of(row, arp->sender_mac))
        doubt(net, row);
}

static void reply_input(struct net *net, const struct arp_header *arp)
{
    struct arp_row *row = find(net, be32_get(arp->sender));
    bool is_asked = row != NULL && row->tries > 0 && be32_get(arp->target) == our_address(net);
    if (is_asked && (row->state == ARP_STATE_ASKED || is_mac_of(row, arp->sender_mac))) {
        set_mac(net, row, arp->sender_mac);
        return;
    }
    net_count(net, METRIC_NET_DROP_ARP_UNSOLICITED);
    if (row != NULL && !is_mac_of(row, arp->sender_mac))
        doubt(net, row);
}

void arp_input(struct net *net, struct packet *packet, struct bytes octets)
{
    const struct arp_header *arp = (const void *)octets.at;
    if (octets.size < sizeof *arp || !is_well_formed(arp))
        net_count(net, METRIC_NET_DROP_ARP_MALFORMED);
    else if (be32_get(arp->sender) == our_address(net))
        defend(net, arp);
    else if (be16_get(arp->operation) == ARP_REQUEST)
        request_input(net, packet, arp);
    else
        reply_input(net, arp);
}
