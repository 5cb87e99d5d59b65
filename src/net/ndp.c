/* SPDX-License-Identifier: Apache-2.0
 *
 * Neighbour discovery on the wire, and the clock of the detection of duplicates. A message of a
 * VLAN concerns the addresses of that VLAN only. */
#include "ndp.h"

#include "stentor/clock.h"

#include "checksum.h"
#include "mld.h"
#include "neighbour.h"
#include "net_state.h"

static const struct net_address all_nodes = {{0xff, 0x02, [15] = 0x01}};
static const struct net_address all_routers = {{0xff, 0x02, [15] = 0x02}};
static const struct net_address nobody;

/* ---- sending ---- */

/* What differs between our messages. An option with our MAC follows unless `option` is 0. */
struct ndp_message {
    struct net_address from;
    struct net_address to;
    struct net_address target; /* none in a router solicitation */
    const uint8_t *to_mac;     /* NULL = the group's of `to` */
    uint32_t flags;
    uint16_t vlan;
    uint8_t type;
    uint8_t option;
};

/* Writes the message behind the Ethernet header; returns its end. */
static uint8_t *write_message(const struct net *net, uint8_t *at, const struct ndp_message *message)
{
    bool has_target = message->type != NDP_ROUTER_SOLICITATION;
    uint32_t size = has_target ? sizeof(struct ndp_neighbour) : sizeof(struct icmp_header);
    uint32_t whole = size;
    if (message->option != 0)
        whole += (uint32_t)sizeof(struct ndp_option_mac);
    struct ip6_header *ip = (void *)at;
    uint8_t *body = net_ip_write(at, &message->from, &message->to, IP_PROTOCOL_ICMP6, whole);
    ip->hops = NDP_HOPS;
    struct ndp_neighbour *header = (void *)body;
    header->icmp = (struct icmp_header){.type = message->type, .rest = be32_of(message->flags)};
    if (has_target)
        header->target = message->target;
    if (message->option != 0) {
        struct ndp_option_mac option = {.kind = message->option, .size = 1};
        memcpy(option.mac, net->link.mac, sizeof option.mac);
        memcpy(body + size, &option, sizeof option);
    }
    header->icmp.checksum = checksum_of_ipv6(ip, IP_PROTOCOL_ICMP6, bytes_of(body, whole));
    return body + whole;
}

/* Nothing of the message may stand in the packet. */
static void send_in(struct net *net, struct packet *packet, const struct ndp_message *message)
{
    uint8_t mac[ETHERNET_MAC_SIZE] = {0x33, 0x33}; /* RFC 2464 section 7 */
    memcpy(mac + 2, message->to.octets + 12, 4);
    if (message->to_mac != NULL)
        memcpy(mac, message->to_mac, sizeof mac);
    uint8_t *at = net_frame_begin(net, packet, message->vlan, mac, ETHERNET_TYPE_IPV6);
    net_frame_send(net, packet, write_message(net, at, message));
}

static bool send_fresh(struct net *net, const struct ndp_message *message)
{
    struct packet packet;
    if (!nic_take(net->options.nic, &packet)) {
        net_count(net, METRIC_NET_DROP_BUFFER);
        return false;
    }
    net_count(net, message->type == NDP_ADVERTISEMENT ? METRIC_NET_NDP_ADVERTISEMENTS
                                                      : METRIC_NET_NDP_SOLICITATIONS);
    send_in(net, &packet, message);
    return true;
}

void ndp_ask(struct net *net, uint16_t vlan, const struct net_address *address, const uint8_t *mac)
{
    uint16_t from = link_source(&net->link, vlan, address);
    if (from == LINK_LOCAL_NONE)
        return;
    (void)send_fresh(net, &(struct ndp_message){
                              .from = net->link.locals[from].address,
                              .to = mac != NULL ? *address : net_solicited_group(address),
                              .target = *address,
                              .to_mac = mac,
                              .vlan = vlan,
                              .type = NDP_SOLICITATION,
                              .option = NDP_OPTION_SOURCE_MAC,
                          });
}

/* RFC 4861 section 7.2.6, and the answer to a probe (7.2.4). */
static void announce(struct net *net, const struct link_local *local)
{
    if (net->options.nic->index != 0)
        return;
    (void)send_fresh(net, &(struct ndp_message){
                              .from = local->address,
                              .to = all_nodes,
                              .target = local->address,
                              .flags = NDP_FLAG_OVERRIDE,
                              .vlan = local->vlan,
                              .type = NDP_ADVERTISEMENT,
                              .option = NDP_OPTION_TARGET_MAC,
                          });
}

/* False when there was no buffer: the probe is still to be sent. */
static bool probe(struct net *net, const struct link_local *local)
{
    return net->options.nic->index != 0 ||
           send_fresh(net, &(struct ndp_message){
                               .from = nobody,
                               .to = net_solicited_group(&local->address),
                               .target = local->address,
                               .vlan = local->vlan,
                               .type = NDP_SOLICITATION,
                           });
}

static void solicit_routers(struct net *net, const struct link_local *local)
{
    if (net->options.nic->index != 0)
        return;
    (void)send_fresh(net, &(struct ndp_message){
                              .from = local->address,
                              .to = all_routers,
                              .vlan = local->vlan,
                              .type = NDP_ROUTER_SOLICITATION,
                              .option = NDP_OPTION_SOURCE_MAC,
                          });
}

/* ---- the clock ---- */

/* Queue 0 probes for all; the others are ready only after it has had its answer. */
static uint64_t delay_ns(struct net *net)
{
    if (net->options.nic->index != 0)
        return NDP_DELAY_NS_MAX + NDP_LAG_NS;
    return random_below(net->options.random, (uint32_t)NDP_DELAY_NS_MAX);
}

static void set_next(struct net *net)
{
    struct ndp *ndp = &net->ndp;
    ndp->next_at_ns = NDP_NEVER;
    for (uint32_t i = 0; i < net->link.local_count; i++) {
        const struct ndp_local *local = &ndp->locals[i];
        ndp->next_at_ns =
            local->probe_at_ns < ndp->next_at_ns ? local->probe_at_ns : ndp->next_at_ns;
        ndp->next_at_ns =
            local->solicit_at_ns < ndp->next_at_ns ? local->solicit_at_ns : ndp->next_at_ns;
    }
}

void ndp_start(struct net *net)
{
    for (uint32_t i = 0; i < net->link.local_count; i++) {
        struct ndp_local *local = &net->ndp.locals[i];
        *local = (struct ndp_local){.probe_at_ns = NDP_NEVER, .solicit_at_ns = NDP_NEVER};
        if (net->link.locals[i].state == LINK_TENTATIVE)
            local->probe_at_ns = net->now_ns + delay_ns(net);
    }
    set_next(net);
}

static bool wants_router(const struct net *net, const struct link_local *local)
{
    return local->state == LINK_READY && net_address_is_link_local(&local->address) &&
           !neighbour_has_static(net, local->vlan) && !neighbour_has_learned(net, local->vlan);
}

static void become_ready(struct net *net, uint32_t i)
{
    struct link_local *local = &net->link.locals[i];
    local->state = LINK_READY;
    net->ndp.locals[i].probe_at_ns = NDP_NEVER;
    mld_report(net, local->vlan, MLD_TO_EXCLUDE);
    announce(net, local);
    if (wants_router(net, local))
        net->ndp.locals[i].solicit_at_ns = net->now_ns + delay_ns(net);
}

static void step_detection(struct net *net, uint32_t i)
{
    struct ndp_local *local = &net->ndp.locals[i];
    if (local->probes == NDP_PROBES) {
        become_ready(net, i);
        return;
    }
    mld_report(net, net->link.locals[i].vlan, MLD_TO_EXCLUDE);
    if (probe(net, &net->link.locals[i]))
        local->probes++;
    local->probe_at_ns = net->now_ns + NDP_PROBE_NS;
}

static void step_solicitation(struct net *net, uint32_t i)
{
    struct ndp_local *local = &net->ndp.locals[i];
    uint64_t interval_ns = NDP_SOLICIT_NS << (local->solicits < 10 ? local->solicits : 10);
    if (interval_ns > NDP_SOLICIT_NS_MAX)
        interval_ns = NDP_SOLICIT_NS_MAX;
    local->solicit_at_ns = net->now_ns + interval_ns;
    if (!wants_router(net, &net->link.locals[i])) {
        /* Looks again now and then: an advertised router may leave. */
        local->solicits = 0;
        local->solicit_at_ns = net->now_ns + NDP_SOLICIT_NS;
        return;
    }
    local->solicits++;
    solicit_routers(net, &net->link.locals[i]);
}

void ndp_timers(struct net *net)
{
    if (IS_LIKELY(net->now_ns < net->ndp.next_at_ns))
        return;
    for (uint32_t i = 0; i < net->link.local_count; i++) {
        if (net->ndp.locals[i].probe_at_ns <= net->now_ns)
            step_detection(net, i);
        if (net->ndp.locals[i].solicit_at_ns <= net->now_ns)
            step_solicitation(net, i);
    }
    set_next(net);
}

uint64_t ndp_next_ns(const struct net *net)
{
    return net->ndp.next_at_ns;
}

/* RFC 4862 section 5.4.5. */
static void become_duplicate(struct net *net, uint16_t i)
{
    net->link.locals[i].state = LINK_DUPLICATE;
    net->ndp.locals[i].probe_at_ns = NDP_NEVER;
    net_count(net, METRIC_NET_DROP_NDP_CONFLICT);
    trace_add(net->options.trace, net->now_ns, HANDLE_NONE, TRACE_ADDRESS_DUPLICATE, i,
              net->link.locals[i].vlan);
    set_next(net);
}

/* Somebody speaks as us. */
static void claimed(struct net *net, uint16_t i)
{
    if (net->link.locals[i].state == LINK_TENTATIVE) {
        become_duplicate(net, i);
        return;
    }
    net_count(net, METRIC_NET_DROP_NDP_CONFLICT);
    if (net->link.locals[i].state != LINK_READY)
        return;
    bool is_due =
        net->ndp.defended_at_ns == 0 || net->now_ns - net->ndp.defended_at_ns >= NDP_DEFEND_NS;
    if (!is_due)
        return;
    net->ndp.defended_at_ns = net->now_ns;
    announce(net, &net->link.locals[i]);
}

/* ---- what peers say ---- */

struct ndp_options {
    const uint8_t *source_mac; /* NULL = not there */
    const uint8_t *target_mac;
};

static bool is_host_mac(const uint8_t mac[ETHERNET_MAC_SIZE])
{
    static const uint8_t none[ETHERNET_MAC_SIZE];
    return (mac[0] & ETHERNET_GROUP_BIT) == 0 && memcmp(mac, none, sizeof none) != 0;
}

static bool read_mac(struct bytes option, const uint8_t **mac)
{
    const struct ndp_option_mac *body = (const void *)option.at;
    if (option.size != sizeof *body || !is_host_mac(body->mac))
        return false;
    *mac = body->mac;
    return true;
}

/* False when one has no size, is cut, or names no host's MAC where it should. */
static bool read_options(struct bytes octets, struct ndp_options *options)
{
    *options = (struct ndp_options){0};
    for (uint32_t count = 0; octets.size != 0; count++) {
        if (count == NDP_OPTIONS_MAX || octets.size < 2 || octets.at[1] == 0)
            return false;
        uint32_t size = octets.at[1] * 8u;
        if (size > octets.size)
            return false;
        struct bytes option = bytes_slice(octets, 0, size);
        if (option.at[0] == NDP_OPTION_SOURCE_MAC && !read_mac(option, &options->source_mac))
            return false;
        if (option.at[0] == NDP_OPTION_TARGET_MAC && !read_mac(option, &options->target_mac))
            return false;
        octets = bytes_from(octets, size);
    }
    return true;
}

/* In the packet of the solicitation, to where it came from. */
static void answer(struct net *net, struct packet *packet, const struct frame *frame,
                   const uint8_t *source_mac, const struct link_local *local)
{
    uint8_t to_mac[ETHERNET_MAC_SIZE];
    memcpy(to_mac, source_mac != NULL ? source_mac : frame->source_mac, sizeof to_mac);
    struct ndp_message message = {
        .from = local->address,
        .to = frame->remote,
        .target = local->address,
        .to_mac = to_mac,
        .flags = NDP_FLAG_SOLICITED | NDP_FLAG_OVERRIDE,
        .vlan = local->vlan,
        .type = NDP_ADVERTISEMENT,
        .option = NDP_OPTION_TARGET_MAC,
    };
    uint32_t size = sizeof(struct ethernet_header) + sizeof(struct vlan_tag) +
                    sizeof(struct ip6_header) + sizeof(struct ndp_neighbour) +
                    sizeof(struct ndp_option_mac);
    if (packet->room < size) {
        (void)send_fresh(net, &message);
        return;
    }
    net_count(net, METRIC_NET_NDP_ADVERTISEMENTS);
    send_in(net, packet, &message);
}

/* Somebody asks where we are, or (from nobody) whether he may have our address. */
static void solicited(struct net *net, struct packet *packet, const struct frame *frame,
                      const struct ndp_options *options, uint16_t i)
{
    const struct link_local *local = &net->link.locals[i];
    bool is_probe = net_address_is_none(&frame->remote);
    if (local->state == LINK_TENTATIVE && is_probe) {
        become_duplicate(net, i);
    } else if (local->state != LINK_READY) {
        net_count(net, METRIC_NET_DROP_NDP_OTHER);
    } else if (is_probe) {
        announce(net, local);
    } else {
        struct neighbour_name sender = {frame->remote, frame->vlan};
        if (options->source_mac != NULL)
            neighbour_heard(net, &sender, options->source_mac);
        if (net->options.nic->index == 0)
            answer(net, packet, frame, options->source_mac, local);
    }
}

static void solicitation_input(struct net *net, struct packet *packet, const struct frame *frame)
{
    const struct ndp_neighbour *message = (const void *)frame->icmp.at;
    struct ndp_options options;
    bool is_probe = net_address_is_none(&frame->remote);
    if (frame->icmp.size < sizeof *message || net_address_is_group(&message->target) ||
        !read_options(bytes_from(frame->icmp, sizeof *message), &options) ||
        (is_probe && (!frame->is_to_group || options.source_mac != NULL))) {
        net_count(net, METRIC_NET_DROP_NDP_MALFORMED);
        return;
    }
    uint16_t own = link_find(&net->link, &frame->remote, frame->vlan);
    if (own != LINK_LOCAL_NONE) {
        claimed(net, own);
        return;
    }
    uint16_t i = link_find(&net->link, &message->target, frame->vlan);
    if (i == LINK_LOCAL_NONE)
        net_count(net, METRIC_NET_DROP_NDP_OTHER);
    else
        solicited(net, packet, frame, &options, i);
}

static void advertisement_input(struct net *net, const struct frame *frame)
{
    const struct ndp_neighbour *message = (const void *)frame->icmp.at;
    struct ndp_options options;
    uint32_t flags = frame->icmp.size >= sizeof *message ? be32_get(message->icmp.rest) : 0;
    if (frame->icmp.size < sizeof *message || net_address_is_none(&frame->remote) ||
        net_address_is_group(&message->target) ||
        (frame->is_to_group && (flags & NDP_FLAG_SOLICITED) != 0) ||
        !read_options(bytes_from(frame->icmp, sizeof *message), &options)) {
        net_count(net, METRIC_NET_DROP_NDP_MALFORMED);
        return;
    }
    uint16_t own = link_find(&net->link, &message->target, frame->vlan);
    if (own != LINK_LOCAL_NONE) {
        claimed(net, own);
        return;
    }
    struct neighbour_name owner = {message->target, frame->vlan};
    bool is_solicited = (flags & NDP_FLAG_SOLICITED) != 0;
    if (is_solicited && neighbour_answered(net, &owner, options.target_mac)) {
        if ((flags & NDP_FLAG_ROUTER) == 0)
            neighbour_router_remove(net, &owner);
        return;
    }
    net_count(net, METRIC_NET_DROP_NDP_UNSOLICITED);
    if (!is_solicited && options.target_mac != NULL)
        neighbour_claimed(net, &owner, options.target_mac);
}

static void router_input(struct net *net, const struct frame *frame)
{
    const struct ndp_router *message = (const void *)frame->icmp.at;
    struct ndp_options options;
    if (frame->icmp.size < sizeof *message || !net_address_is_link_local(&frame->remote) ||
        !read_options(bytes_from(frame->icmp, sizeof *message), &options)) {
        net_count(net, METRIC_NET_DROP_NDP_MALFORMED);
        return;
    }
    struct neighbour_name router = {frame->remote, frame->vlan};
    uint64_t lifetime_s = be32_get(message->icmp.rest) & UINT16_MAX;
    if (!link_has_ipv6(&net->link, frame->vlan) || neighbour_has_static(net, frame->vlan) ||
        link_is_ours(&net->link, &frame->remote))
        net_count(net, METRIC_NET_DROP_NDP_OTHER);
    else if (lifetime_s == 0)
        neighbour_router_remove(net, &router);
    else if (!neighbour_router_add(net, &router, lifetime_s * NS_PER_SECOND))
        net_count(net, METRIC_NET_DROP_NDP_ROUTERS_FULL);
}

void ndp_input(struct net *net, struct packet *packet, const struct frame *frame)
{
    const struct icmp_header *icmp = (const void *)frame->icmp.at;
    if (memcmp(frame->source_mac, net->link.mac, sizeof net->link.mac) == 0) {
        net_count(net, METRIC_NET_DROP_NDP_LOOP); /* our own message, come back */
        return;
    }
    if (icmp->code != 0) {
        net_count(net, METRIC_NET_DROP_NDP_MALFORMED);
        return;
    }
    switch (icmp->type) {
    case NDP_SOLICITATION:
        solicitation_input(net, packet, frame);
        break;
    case NDP_ADVERTISEMENT:
        advertisement_input(net, frame);
        break;
    case NDP_ROUTER_ADVERTISEMENT:
        router_input(net, frame);
        break;
    case NDP_REDIRECT:
        net_count(net, METRIC_NET_DROP_NDP_REDIRECT);
        break;
    default: /* we are no router */
        net_count(net, METRIC_NET_DROP_NDP_OTHER);
    }
}
