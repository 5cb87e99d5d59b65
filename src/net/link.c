/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of what is ours: at most 32 entries, so each question walks it. */
#include "link.h"

#define MAPPED_BITS 96u /* before the IPv4 address in a mapped one */
#define LINK_LOCAL_BITS 64u

static void set_mask(struct link_local *local)
{
    uint8_t octets[sizeof local->mask] = {0};
    for (uint32_t bit = 0; bit < local->prefix_bits; bit++)
        octets[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
    memcpy(local->mask, octets, sizeof octets);
}

static void add_local(struct net_link *link, const struct net_local *given)
{
    bool is_ipv4 = net_address_is_ipv4(&given->address);
    ASSERT(link->local_count < LINK_LOCALS_MAX);
    ASSERT(given->prefix_bits > 0);
    ASSERT(given->prefix_bits <= (is_ipv4 ? 32 : 128));
    ASSERT(given->vlan < VLAN_IDENTIFIER_MASK);
    struct link_local *local = &link->locals[link->local_count++];
    *local = (struct link_local){.address = given->address,
                                 .vlan = given->vlan,
                                 .router = LINK_ROUTER_NONE,
                                 .state = is_ipv4 ? LINK_READY : LINK_TENTATIVE};
    local->prefix_bits = (uint8_t)(given->prefix_bits + (is_ipv4 ? MAPPED_BITS : 0));
    set_mask(local);
}

/* RFC 4291 appendix A: the MAC with ff:fe in its middle and its universal bit turned. */
static struct net_address link_local_of(const uint8_t mac[ETHERNET_MAC_SIZE])
{
    return (struct net_address){{0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 0x02, mac[1], mac[2], 0xff,
                                 0xfe, mac[3], mac[4], mac[5]}};
}

static bool has_link_local(const struct net_link *link, uint16_t vlan)
{
    for (uint32_t i = 0; i < link->local_count; i++)
        if (link->locals[i].vlan == vlan && net_address_is_link_local(&link->locals[i].address))
            return true;
    return false;
}

void link_init(struct net_link *link, const struct net_options *options)
{
    ASSERT(options->local_count <= NET_LOCALS_MAX);
    *link = (struct net_link){0};
    memcpy(link->mac, options->nic->mac, sizeof link->mac);
    for (uint32_t i = 0; i < options->local_count; i++)
        add_local(link, &options->locals[i]);
    for (uint32_t i = 0; i < options->local_count; i++) {
        uint16_t vlan = options->locals[i].vlan;
        if (net_address_is_ipv4(&options->locals[i].address) || has_link_local(link, vlan))
            continue;
        add_local(link, &(struct net_local){.address = link_local_of(link->mac),
                                            .prefix_bits = LINK_LOCAL_BITS,
                                            .vlan = vlan});
    }
}

uint16_t link_find(const struct net_link *link, const struct net_address *address, uint16_t vlan)
{
    for (uint16_t i = 0; i < link->local_count; i++)
        if (net_address_equal(&link->locals[i].address, address) && link->locals[i].vlan == vlan)
            return i;
    return LINK_LOCAL_NONE;
}

bool link_is_ours(const struct net_link *link, const struct net_address *address)
{
    for (uint32_t i = 0; i < link->local_count; i++)
        if (net_address_equal(&link->locals[i].address, address))
            return true;
    return false;
}

bool link_has_vlan(const struct net_link *link, uint16_t vlan)
{
    for (uint32_t i = 0; i < link->local_count; i++)
        if (link->locals[i].vlan == vlan)
            return true;
    return false;
}

bool link_has_ipv6(const struct net_link *link, uint16_t vlan)
{
    for (uint32_t i = 0; i < link->local_count; i++)
        if (link->locals[i].vlan == vlan && !net_address_is_ipv4(&link->locals[i].address))
            return true;
    return false;
}

bool link_is_near(const struct net_link *link, uint16_t vlan, const struct net_address *address)
{
    if (net_address_is_link_local(address))
        return true;
    for (uint32_t i = 0; i < link->local_count; i++)
        if (link->locals[i].vlan == vlan && link_local_covers(&link->locals[i], address))
            return true;
    return false;
}

/* How well that address of ours suits the remote; 0 = not at all. */
static uint32_t fitness(const struct link_local *local, const struct net_address *remote)
{
    if (local->state != LINK_READY ||
        net_address_is_ipv4(&local->address) != net_address_is_ipv4(remote))
        return 0;
    bool is_scoped = net_address_is_link_local(&local->address);
    if (is_scoped != net_address_is_link_local(remote))
        return is_scoped ? 1 : 2;
    if (link_local_covers(local, remote))
        return 4u + local->prefix_bits;
    return local->router != LINK_ROUTER_NONE ? 4 : 3;
}

uint16_t link_source(const struct net_link *link, uint16_t vlan, const struct net_address *remote)
{
    uint16_t best = LINK_LOCAL_NONE;
    uint32_t best_fitness = 0;
    for (uint16_t i = 0; i < link->local_count; i++) {
        const struct link_local *local = &link->locals[i];
        uint32_t fit = fitness(local, remote);
        if (fit <= best_fitness || (vlan != LINK_VLAN_ANY && vlan != local->vlan))
            continue;
        best = i;
        best_fitness = fit;
    }
    return best;
}
