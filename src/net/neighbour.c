/* SPDX-License-Identifier: Apache-2.0
 *
 * The neighbour cache. refresh() is all of its timing: called at every use of an entry (and for
 * routers by the clock), it decides whether to ask again and when to give a MAC up. choose() is all
 * of the choice between routers: called whenever one of them becomes known or lost. */
#include "neighbour.h"

#include "net_state.h"

#define TRIES_COUNTED_MAX 200u
#define UNUSED_NS UINT64_C(60000000000) /* then a stranger may take the place */
#define FOR_GOOD UINT64_MAX

static_assert(NEIGHBOUR_ROUTERS + NEIGHBOUR_ROUTERS_MAX < NEIGHBOUR_NONE, "ids fit a u16");
static_assert((NEIGHBOUR_SETS & (NEIGHBOUR_SETS - 1)) == 0, "a mask picks the set");

/* ---- rows ---- */

static bool is_mac_of(const struct neighbour_row *row, const uint8_t mac[ETHERNET_MAC_SIZE])
{
    return memcmp(row->mac, mac, sizeof row->mac) == 0;
}

static bool is_row_of(const struct neighbour_row *row, const struct net_address *address,
                      uint16_t vlan)
{
    return row->state != NEIGHBOUR_FREE && row->vlan == vlan &&
           net_address_equal(&row->address, address);
}

static uint16_t id_of(const struct net *net, const struct neighbour_row *row)
{
    return (uint16_t)(row - net->neighbours.rows);
}

static bool is_router(const struct net *net, const struct neighbour_row *row)
{
    return id_of(net, row) >= NEIGHBOUR_ROUTERS;
}

static struct neighbour_row *set_of(struct net *net, const struct net_address *address,
                                    uint16_t vlan)
{
    uint64_t low = net_address_word(address, 1) ^ vlan;
    uint64_t hash = siphash_1_3_u64x2(&net->options.key, net_address_word(address, 0), low);
    return &net->neighbours.rows[(hash & (NEIGHBOUR_SETS - 1)) * NEIGHBOUR_WAYS];
}

static struct neighbour_row *find_router(struct net *net, const struct net_address *address,
                                         uint16_t vlan)
{
    for (uint32_t i = 0; i < NEIGHBOUR_ROUTERS_MAX; i++)
        if (is_row_of(&net->neighbours.rows[NEIGHBOUR_ROUTERS + i], address, vlan))
            return &net->neighbours.rows[NEIGHBOUR_ROUTERS + i];
    return NULL;
}

static struct neighbour_row *find(struct net *net, const struct net_address *address, uint16_t vlan)
{
    struct neighbour_row *router = find_router(net, address, vlan);
    if (router != NULL)
        return router;
    struct neighbour_row *set = set_of(net, address, vlan);
    for (uint32_t way = 0; way < NEIGHBOUR_WAYS; way++)
        if (is_row_of(&set[way], address, vlan))
            return &set[way];
    return NULL;
}

/* The place of a set that is free, or was unused longest. */
static struct neighbour_row *place_for(struct net *net, const struct net_address *address,
                                       uint16_t vlan)
{
    struct neighbour_row *set = set_of(net, address, vlan);
    struct neighbour_row *oldest = set;
    for (uint32_t way = 0; way < NEIGHBOUR_WAYS; way++) {
        if (set[way].state == NEIGHBOUR_FREE)
            return &set[way];
        if (set[way].used_at_ns < oldest->used_at_ns)
            oldest = &set[way];
    }
    return oldest;
}

static struct neighbour_row *enter(struct net *net, const struct net_address *address,
                                   uint16_t vlan)
{
    struct neighbour_row *row = place_for(net, address, vlan);
    *row = (struct neighbour_row){.address = *address,
                                  .vlan = vlan,
                                  .state = NEIGHBOUR_ASKED,
                                  .confirmed_at_ns = net->now_ns,
                                  .used_at_ns = net->now_ns};
    return row;
}

/* ---- the choice of routers ---- */

/* The first known one for that address of ours, else the first, else none. */
static uint16_t best_router(const struct net *net, const struct link_local *local)
{
    bool is_ipv4 = net_address_is_ipv4(&local->address);
    uint16_t first = LINK_ROUTER_NONE;
    for (uint32_t i = 0; i < NEIGHBOUR_ROUTERS_MAX; i++) {
        const struct neighbour_row *row = &net->neighbours.rows[NEIGHBOUR_ROUTERS + i];
        if (row->state == NEIGHBOUR_FREE || row->vlan != local->vlan ||
            net_address_is_ipv4(&row->address) != is_ipv4)
            continue;
        if (row->state == NEIGHBOUR_KNOWN)
            return id_of(net, row);
        if (first == LINK_ROUTER_NONE)
            first = id_of(net, row);
    }
    return first;
}

static void choose(struct net *net)
{
    for (uint32_t i = 0; i < net->link.local_count; i++) {
        struct link_local *local = &net->link.locals[i];
        if (net_address_is_link_local(&local->address))
            continue; /* nothing behind a router answers to it */
        uint16_t before = local->router;
        local->router = best_router(net, local);
        bool was_known =
            before != LINK_ROUTER_NONE && net->neighbours.rows[before].confirmed_at_ns != 0;
        if (before == local->router || !was_known)
            continue;
        net_count(net, METRIC_NET_ROUTER_CHANGES);
        trace_add(net->options.trace, net->now_ns, HANDLE_NONE, TRACE_ROUTER, before,
                  local->router);
    }
}

/* ---- states ---- */

static void set_mac(struct net *net, struct neighbour_row *row,
                    const uint8_t mac[ETHERNET_MAC_SIZE])
{
    bool was_known = row->state == NEIGHBOUR_KNOWN;
    memcpy(row->mac, mac, sizeof row->mac);
    row->state = NEIGHBOUR_KNOWN;
    row->tries = 0;
    row->confirmed_at_ns = net->now_ns;
    if (!was_known && is_router(net, row))
        choose(net);
}

static uint64_t confirm_ns(const struct net *net, const struct neighbour_row *row)
{
    bool has_choice = is_router(net, row) && net->router_count > 1;
    return has_choice ? NEIGHBOUR_ROUTER_CONFIRM_NS : NEIGHBOUR_CONFIRM_NS;
}

static uint64_t ask_at_ns(const struct net *net, const struct neighbour_row *row)
{
    if (row->tries == 0)
        return row->state == NEIGHBOUR_KNOWN ? row->confirmed_at_ns + confirm_ns(net, row) : 0;
    bool is_slow = row->tries >= 2 * NEIGHBOUR_TRIES_MAX;
    return row->asked_at_ns + (is_slow ? NEIGHBOUR_SLOW_RETRY_NS : NEIGHBOUR_RETRY_NS);
}

static void ask(struct net *net, struct neighbour_row *row)
{
    const uint8_t *mac = row->state == NEIGHBOUR_KNOWN ? row->mac : NULL;
    row->asked_at_ns = net->now_ns;
    if (row->tries < TRIES_COUNTED_MAX)
        row->tries++;
    if (net_address_is_ipv4(&row->address))
        arp_ask(net, row->vlan, &row->address, mac);
    else
        ndp_ask(net, row->vlan, &row->address, mac);
}

static void refresh(struct net *net, struct neighbour_row *row)
{
    if (IS_LIKELY(net->now_ns < ask_at_ns(net, row)))
        return;
    if (row->state == NEIGHBOUR_KNOWN && row->tries >= NEIGHBOUR_TRIES_MAX) {
        row->state = NEIGHBOUR_ASKED;
        if (is_router(net, row))
            choose(net);
    }
    ask(net, row);
}

/* Something says that the MAC we know is wrong: its owner may say otherwise. */
static void doubt(struct net *net, struct neighbour_row *row)
{
    if (row->state == NEIGHBOUR_KNOWN && row->tries == 0 &&
        net->now_ns - row->asked_at_ns >= NEIGHBOUR_RETRY_NS)
        ask(net, row);
}

/* ---- what the floor asks ---- */

/* The row to reach `to` by; NULL when it has none yet and is on-link, or has no way. */
static struct neighbour_row *row_for(struct net *net, uint16_t local, const struct net_address *to,
                                     uint16_t hint)
{
    const struct link_local *from = &net->link.locals[local];
    /* A hint is only ever what this function found before, and the rows of configured routers never
     * change hands: one that names ours is of a peer behind it, or of the router itself. */
    uint32_t configured_end = NEIGHBOUR_ROUTERS + net->options.router_count;
    if (IS_LIKELY(hint == from->router && hint < configured_end))
        return &net->neighbours.rows[hint];
    if (IS_LIKELY(hint < NEIGHBOUR_ROUTERS + NEIGHBOUR_ROUTERS_MAX) &&
        is_row_of(&net->neighbours.rows[hint], to, from->vlan))
        return &net->neighbours.rows[hint];
    if (link_is_near(&net->link, from->vlan, to))
        return find(net, to, from->vlan);
    return from->router != LINK_ROUTER_NONE ? &net->neighbours.rows[from->router] : NULL;
}

const uint8_t *neighbour_resolve(struct net *net, uint16_t local, const struct net_address *to,
                                 uint16_t *hint)
{
    struct neighbour_row *row = row_for(net, local, to, *hint);
    if (row == NULL) {
        uint16_t vlan = net->link.locals[local].vlan;
        if (!link_is_near(&net->link, vlan, to))
            return NULL;
        row = enter(net, to, vlan);
    }
    *hint = id_of(net, row);
    row->used_at_ns = net->now_ns;
    refresh(net, row);
    return row->state == NEIGHBOUR_KNOWN ? row->mac : NULL;
}

/* Peers behind a router may come by another one than we go: then that one is alive. */
static struct neighbour_row *router_with_mac(struct net *net, const struct neighbour_row *like,
                                             const uint8_t mac[ETHERNET_MAC_SIZE])
{
    for (uint32_t i = 0; i < NEIGHBOUR_ROUTERS_MAX; i++) {
        struct neighbour_row *row = &net->neighbours.rows[NEIGHBOUR_ROUTERS + i];
        if (row->state == NEIGHBOUR_KNOWN && row->vlan == like->vlan && is_mac_of(row, mac))
            return row;
    }
    return NULL;
}

static void confirm(struct net *net, struct neighbour_row *row)
{
    row->tries = 0;
    row->confirmed_at_ns = net->now_ns;
}

uint16_t neighbour_learn(struct net *net, uint16_t local, const struct net_address *remote,
                         const uint8_t mac[ETHERNET_MAC_SIZE])
{
    uint16_t vlan = net->link.locals[local].vlan;
    struct neighbour_row *row = row_for(net, local, remote, NEIGHBOUR_NONE);
    if (row == NULL) {
        if (!link_is_near(&net->link, vlan, remote))
            return NEIGHBOUR_NONE;
        row = enter(net, remote, vlan);
    }
    row->used_at_ns = net->now_ns;
    struct neighbour_row *other = is_router(net, row) ? router_with_mac(net, row, mac) : NULL;
    if (other != NULL)
        confirm(net, other);
    else if (row->state == NEIGHBOUR_KNOWN && !is_mac_of(row, mac))
        doubt(net, row);
    else if (!is_router(net, row))
        set_mac(net, row, mac);
    return id_of(net, row);
}

void neighbour_confirm(struct net *net, const struct tcp_row *conn,
                       const uint8_t mac[ETHERNET_MAC_SIZE])
{
    struct neighbour_row *row = row_for(net, conn->local, &conn->remote, conn->neighbour);
    if (row == NULL)
        return;
    if (IS_LIKELY(row->state == NEIGHBOUR_KNOWN && is_mac_of(row, mac))) {
        confirm(net, row);
        return;
    }
    struct neighbour_row *other = is_router(net, row) ? router_with_mac(net, row, mac) : NULL;
    if (other != NULL)
        confirm(net, other);
}

/* ---- what peers say ---- */

void neighbour_heard(struct net *net, const struct neighbour_name *name,
                     const uint8_t mac[ETHERNET_MAC_SIZE])
{
    struct neighbour_row *row = find(net, &name->address, name->vlan);
    if (!link_is_near(&net->link, name->vlan, &name->address))
        return; /* nobody of this link */
    if (row == NULL) {
        const struct neighbour_row *place = place_for(net, &name->address, name->vlan);
        bool is_used = place->state != NEIGHBOUR_FREE && place->used_at_ns != 0 &&
                       net->now_ns - place->used_at_ns < UNUSED_NS;
        if (is_used) {
            net_count(net, METRIC_NET_NEIGHBOURS_REFUSED);
            return;
        }
        row = enter(net, &name->address, name->vlan);
        row->used_at_ns = 0;
    }
    if (row->state == NEIGHBOUR_KNOWN && !is_mac_of(row, mac))
        doubt(net, row);
    else if (row->state == NEIGHBOUR_KNOWN || !is_router(net, row))
        set_mac(net, row, mac);
}

bool neighbour_answered(struct net *net, const struct neighbour_name *name, const uint8_t *mac)
{
    struct neighbour_row *row = find(net, &name->address, name->vlan);
    if (row == NULL)
        return false;
    if (mac == NULL && row->state == NEIGHBOUR_KNOWN)
        mac = row->mac;
    if (mac == NULL)
        return false;
    if (row->tries > 0 && (row->state == NEIGHBOUR_ASKED || is_mac_of(row, mac))) {
        set_mac(net, row, mac);
        return true;
    }
    if (!is_mac_of(row, mac))
        doubt(net, row);
    return false;
}

void neighbour_claimed(struct net *net, const struct neighbour_name *name,
                       const uint8_t mac[ETHERNET_MAC_SIZE])
{
    struct neighbour_row *row = find(net, &name->address, name->vlan);
    if (row != NULL && !is_mac_of(row, mac))
        doubt(net, row);
}

/* ---- routers ---- */

static void router_enter(struct net *net, uint32_t place, const struct neighbour_name *name,
                         uint64_t until_ns)
{
    struct neighbour_row *row = &net->neighbours.rows[NEIGHBOUR_ROUTERS + place];
    *row = (struct neighbour_row){
        .address = name->address, .vlan = name->vlan, .state = NEIGHBOUR_ASKED};
    net->neighbours.router_until_ns[place] = until_ns;
    net->router_count++;
    choose(net);
    ask(net, row);
}

static void router_leave(struct net *net, uint32_t place)
{
    net->neighbours.rows[NEIGHBOUR_ROUTERS + place].state = NEIGHBOUR_FREE;
    net->neighbours.router_until_ns[place] = 0;
    net->router_count--;
    choose(net);
}

void neighbour_start(struct net *net)
{
    for (uint32_t i = 0; i < net->options.router_count; i++) {
        const struct net_router *router = &net->options.routers[i];
        router_enter(net, i, &(struct neighbour_name){router->address, router->vlan}, FOR_GOOD);
    }
}

bool neighbour_has_static(const struct net *net, uint16_t vlan)
{
    for (uint32_t i = 0; i < net->options.router_count; i++)
        if (net->options.routers[i].vlan == vlan &&
            !net_address_is_ipv4(&net->options.routers[i].address))
            return true;
    return false;
}

static uint32_t learned_count(const struct net *net, uint16_t vlan)
{
    uint32_t count = 0;
    for (uint32_t i = NET_ROUTERS_MAX; i < NEIGHBOUR_ROUTERS_MAX; i++)
        count += net->neighbours.router_until_ns[i] != 0 &&
                 net->neighbours.rows[NEIGHBOUR_ROUTERS + i].vlan == vlan;
    return count;
}

bool neighbour_has_learned(const struct net *net, uint16_t vlan)
{
    return learned_count(net, vlan) != 0;
}

bool neighbour_router_add(struct net *net, const struct neighbour_name *name, uint64_t lifetime_ns)
{
    const struct neighbour_row *row = find_router(net, &name->address, name->vlan);
    uint64_t until_ns = net->now_ns + lifetime_ns;
    if (row != NULL) {
        uint64_t *until = &net->neighbours.router_until_ns[id_of(net, row) - NEIGHBOUR_ROUTERS];
        if (*until != FOR_GOOD)
            *until = until_ns;
        return true;
    }
    if (learned_count(net, name->vlan) >= NEIGHBOUR_LEARNED_VLAN_MAX)
        return false;
    for (uint32_t i = NET_ROUTERS_MAX; i < NEIGHBOUR_ROUTERS_MAX; i++) {
        if (net->neighbours.router_until_ns[i] != 0)
            continue;
        router_enter(net, i, name, until_ns);
        return true;
    }
    return false;
}

void neighbour_router_remove(struct net *net, const struct neighbour_name *name)
{
    const struct neighbour_row *row = find_router(net, &name->address, name->vlan);
    if (row == NULL)
        return;
    uint32_t place = (uint32_t)id_of(net, row) - NEIGHBOUR_ROUTERS;
    if (net->neighbours.router_until_ns[place] != FOR_GOOD)
        router_leave(net, place);
}

void neighbour_timers(struct net *net)
{
    uint32_t left = net->router_count;
    for (uint32_t i = 0; i < NEIGHBOUR_ROUTERS_MAX && left != 0; i++) {
        if (net->neighbours.router_until_ns[i] == 0)
            continue;
        left--;
        if (net->neighbours.router_until_ns[i] <= net->now_ns)
            router_leave(net, i);
        else
            refresh(net, &net->neighbours.rows[NEIGHBOUR_ROUTERS + i]);
    }
}

uint64_t neighbour_next_ns(const struct net *net)
{
    uint64_t next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < NEIGHBOUR_ROUTERS_MAX && net->router_count != 0; i++) {
        uint64_t until_ns = net->neighbours.router_until_ns[i];
        if (until_ns == 0)
            continue;
        uint64_t at_ns = ask_at_ns(net, &net->neighbours.rows[NEIGHBOUR_ROUTERS + i]);
        next_ns = at_ns < next_ns ? at_ns : next_ns;
        next_ns = until_ns < next_ns ? until_ns : next_ns;
    }
    return next_ns;
}
