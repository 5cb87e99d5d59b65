/* SPDX-License-Identifier: Apache-2.0
 *
 * What is ours: MAC, addresses, what is on-link with them, and the way off-link. The one place
 * that says so; frames are judged against it, neighbours asked and connections opened by it. IPv4
 * addresses are mapped ones here too, so one comparison serves both families.
 *
 * The addresses of the options come first, in their order, then one link-local IPv6 address
 * (RFC 4291 section 2.5.6, interface identifier from the MAC, appendix A) for each VLAN that has an
 * IPv6 address and names no link-local one itself. The index of an address is tcp_key.local; it
 * never changes. An IPv6 address is tentative until nobody else was found to have it (ndp.h): then
 * it is ready, else a duplicate that stays unused (RFC 4862 section 5.4). Owner: one worker. */
#ifndef STENTOR_NET_LINK_H
#define STENTOR_NET_LINK_H

#include "stentor/net.h"

#include "wire.h"

#define LINK_LOCALS_MAX (2 * NET_LOCALS_MAX)
#define LINK_LOCAL_NONE UINT16_MAX
#define LINK_VLAN_ANY UINT16_MAX
#define LINK_ROUTER_NONE UINT16_MAX

enum link_state { LINK_READY, LINK_TENTATIVE, LINK_DUPLICATE };

struct link_local {
    struct net_address address;
    uint64_t mask[2]; /* of the on-link prefix, as in memory of the wire */
    uint16_t vlan;
    uint16_t router;     /* row in neighbour.h that off-link peers are behind, LINK_ROUTER_NONE */
    uint8_t prefix_bits; /* of the mapped address */
    uint8_t state;       /* enum link_state */
};

struct net_link {
    uint8_t mac[ETHERNET_MAC_SIZE];
    uint16_t local_count;
    struct link_local locals[LINK_LOCALS_MAX];
};

/* From the options; no local has a router yet. */
void link_init(struct net_link *link, const struct net_options *options);
/* Which of ours that is, in whatever state, or LINK_LOCAL_NONE. */
uint16_t link_find(const struct net_link *link, const struct net_address *address, uint16_t vlan);
/* One of our addresses on any VLAN. */
bool link_is_ours(const struct net_link *link, const struct net_address *address);
bool link_has_vlan(const struct net_link *link, uint16_t vlan);
bool link_has_ipv6(const struct net_link *link, uint16_t vlan);
/* Reached without a router from the VLAN. Every link-local address is. */
bool link_is_near(const struct net_link *link, uint16_t vlan, const struct net_address *address);
/* The ready address of ours to speak to `remote` from, on that VLAN or LINK_VLAN_ANY: one it is
 * on-link with, else one that has a router, else any of its family; of these none is link-local
 * unless the remote is (RFC 6724 rules 2 and 8 in spirit). LINK_LOCAL_NONE when there is none. */
uint16_t link_source(const struct net_link *link, uint16_t vlan, const struct net_address *remote);

/* ---- addresses ---- */

static inline struct net_address net_address_of_ipv4(uint32_t number)
{
    struct net_address address = {{[10] = 0xff, [11] = 0xff}};
    struct be32 wire = be32_of(number);
    memcpy(address.octets + 12, wire.octet, sizeof wire);
    return address;
}
static inline uint32_t net_address_ipv4(const struct net_address *address)
{
    struct be32 wire;
    memcpy(wire.octet, address->octets + 12, sizeof wire);
    return be32_get(wire);
}
static inline uint64_t net_address_word(const struct net_address *address, uint32_t half)
{
    uint64_t word;
    memcpy(&word, address->octets + half * sizeof word, sizeof word);
    return word;
}
static inline bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
    return net_address_word(a, 0) == net_address_word(b, 0) &&
           net_address_word(a, 1) == net_address_word(b, 1);
}
static inline bool net_address_is_ipv4(const struct net_address *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->octets, mapped, sizeof mapped) == 0;
}
static inline bool net_address_is_none(const struct net_address *address)
{
    return (net_address_word(address, 0) | net_address_word(address, 1)) == 0;
}
/* fe80::/10 */
static inline bool net_address_is_link_local(const struct net_address *address)
{
    return address->octets[0] == 0xfe && (address->octets[1] & 0xc0) == 0x80;
}
/* ff00::/8 */
static inline bool net_address_is_group(const struct net_address *address)
{
    return address->octets[0] == 0xff;
}
/* Of the IP header of packets to that address: a segment has the MTU less this and TCP's. */
static inline uint32_t net_ip_header_size(const struct net_address *remote)
{
    return net_address_is_ipv4(remote) ? 20 : 40;
}
/* RFC 4291 section 2.7.1: ff02::1:ff00:0/104 with the last 24 bits of the address. */
static inline struct net_address net_solicited_group(const struct net_address *address)
{
    struct net_address group = {{0xff, 0x02, [11] = 0x01, [12] = 0xff}};
    memcpy(group.octets + 13, address->octets + 13, 3);
    return group;
}
/* In the on-link prefix of that address of ours. */
static inline bool link_local_covers(const struct link_local *local,
                                     const struct net_address *address)
{
    uint64_t high = net_address_word(&local->address, 0) ^ net_address_word(address, 0);
    uint64_t low = net_address_word(&local->address, 1) ^ net_address_word(address, 1);
    return ((high & local->mask[0]) | (low & local->mask[1])) == 0;
}

#endif
