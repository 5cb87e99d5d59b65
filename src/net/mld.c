/* SPDX-License-Identifier: Apache-2.0
 *
 * A report goes to ff02::16 with one hop and a router alert, from a link-local address of ours that
 * is ready, or from nobody while there is none (RFC 3810 section 5.2.13). At most as many records
 * as we have addresses: always one packet. */
#include "mld.h"

#include "checksum.h"
#include "net_state.h"

static const struct net_address all_listeners = {{0xff, 0x02, [15] = 0x16}};
static const struct net_address nobody;

static_assert(sizeof(struct ip6_header) + sizeof(struct mld_alert) + sizeof(struct mld_report) +
                      LINK_LOCALS_MAX * sizeof(struct mld_record) <=
                  IP6_MTU_MIN,
              "one packet");

static const struct net_address *source_on(const struct net *net, uint16_t vlan)
{
    for (uint32_t i = 0; i < net->link.local_count; i++) {
        const struct link_local *local = &net->link.locals[i];
        if (local->vlan == vlan && local->state == LINK_READY &&
            net_address_is_link_local(&local->address))
            return &local->address;
    }
    return &nobody;
}

/* Returns the number of records. */
static uint32_t write_records(const struct net *net, uint16_t vlan, enum mld_change change,
                              struct mld_record *records)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < net->link.local_count; i++) {
        const struct link_local *local = &net->link.locals[i];
        if (local->vlan != vlan || local->state == LINK_DUPLICATE ||
            net_address_is_ipv4(&local->address))
            continue;
        records[count++] = (struct mld_record){.kind = (uint8_t)change,
                                               .group = net_solicited_group(&local->address)};
    }
    return count;
}

void mld_report(struct net *net, uint16_t vlan, enum mld_change change)
{
    struct packet packet;
    if (net->options.nic->index != 0)
        return;
    if (!nic_take(net->options.nic, &packet)) {
        net_count(net, METRIC_NET_DROP_BUFFER);
        return;
    }
    static const uint8_t mac[ETHERNET_MAC_SIZE] = {0x33, 0x33, 0, 0, 0, 0x16};
    uint8_t *at = net_frame_begin(net, &packet, vlan, mac, ETHERNET_TYPE_IPV6);
    struct ip6_header *ip = (void *)at;
    struct mld_alert *alert = (void *)(ip + 1);
    struct mld_report *report = (void *)(alert + 1);
    struct mld_record *records = (void *)(report + 1);
    uint32_t count = write_records(net, vlan, change, records);
    uint32_t size = (uint32_t)(sizeof *report + count * sizeof *records);
    net_ip_write(at, source_on(net, vlan), &all_listeners, IP6_NEXT_HOP_BY_HOP,
                 (uint32_t)sizeof *alert + size);
    ip->hops = 1;
    *alert = (struct mld_alert){{IP_PROTOCOL_ICMP6, 0}, {IP6_OPTION_ALERT, 2, 0, 0, 1, 0}};
    *report = (struct mld_report){.type = MLD_REPORT, .count = be16_of((uint16_t)count)};
    report->checksum = checksum_of_ipv6(ip, IP_PROTOCOL_ICMP6, bytes_of(report, size));
    net_count(net, METRIC_NET_MLD_REPORTS);
    net_frame_send(net, &packet, (const uint8_t *)report + size);
}

void mld_input(struct net *net, const struct frame *frame)
{
    if (!net_address_is_link_local(&frame->remote) || !link_has_ipv6(&net->link, frame->vlan)) {
        net_count(net, METRIC_NET_DROP_NDP_OTHER);
        return;
    }
    if (net->mld_reported_at_ns != 0 && net->now_ns - net->mld_reported_at_ns < MLD_REPORT_NS_MIN) {
        net_count(net, METRIC_NET_DROP_ICMP_RATE);
        return;
    }
    net->mld_reported_at_ns = net->now_ns;
    mld_report(net, frame->vlan, MLD_IS_EXCLUDE);
}
