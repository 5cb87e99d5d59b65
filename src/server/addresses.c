/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging addresses one by one and against each other. */
#include "addresses.h"

static_assert(NET_LOCALS_MAX >= CONFIG_LIST_MAX, "each item of net.addresses has a place");

#define LINK_LOCAL_BITS 10u

static enum error refuse(struct addresses_fault *fault, const char *option, const char *found,
                         const char *expected)
{
    *fault = (struct addresses_fault){option, found, expected};
    return ERROR_INVALID;
}

static bool is_same(const struct net_address *one, const struct net_address *other)
{
    return memcmp(one, other, sizeof *one) == 0;
}

static bool has_local(const struct net_options *options, const struct net_address *address,
                      uint16_t vlan)
{
    for (uint32_t i = 0; i < options->local_count; i++)
        if (options->locals[i].vlan == vlan && is_same(&options->locals[i].address, address))
            return true;
    return false;
}

static enum error read_local(const struct config *config, struct net_options *options,
                             struct addresses_fault *fault)
{
    struct net_local *local = &options->locals[0];
    options->local_count = 1;
    *local = (struct net_local){.prefix_bits = (uint8_t)config->net_prefix};
    if (net_address_parse(bytes_of_string(config->net_address), &local->address) &&
        net_address_is_host(&local->address, local->prefix_bits))
        return ERROR_NONE;
    return refuse(fault, "net.address", config->net_address,
                  "an address one host can have on a link of net.prefix bits");
}

static enum error read_locals(const struct config_list *list, struct net_options *options,
                              struct addresses_fault *fault)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct net_local local;
        if (!net_local_parse(bytes_of_string(list->items[i]), &local))
            return refuse(fault, "net.addresses", list->items[i],
                          "a host's address, its prefix and perhaps a VLAN, like 192.0.2.10/24 or "
                          "2001:db8::10/64%7");
        if (has_local(options, &local.address, local.vlan))
            return refuse(fault, "net.addresses", list->items[i], "each address once a VLAN");
        options->locals[options->local_count++] = local;
    }
    return ERROR_NONE;
}

/* On a link of ours: in the prefix of one of our addresses, or link-local where IPv6 is. */
static bool is_reached(const struct net_options *options, const struct net_router *router)
{
    static const struct net_address ipv4 = {{[10] = 0xff, [11] = 0xff}};
    static const struct net_address scoped = {{0xfe, 0x80}};
    for (uint32_t i = 0; i < options->local_count; i++) {
        const struct net_local *local = &options->locals[i];
        if (local->vlan != router->vlan)
            continue;
        if (net_address_is_near(&local->address, &router->address, local->prefix_bits))
            return true;
        bool is_ipv4 = memcmp(&local->address, &ipv4, 12) == 0;
        if (!is_ipv4 && net_address_is_near(&scoped, &router->address, LINK_LOCAL_BITS))
            return true;
    }
    return false;
}

static enum error add_router(const char *text, const char *option, struct net_options *options,
                             struct addresses_fault *fault)
{
    struct net_router router;
    if (!net_router_parse(bytes_of_string(text), &router) || !is_reached(options, &router) ||
        has_local(options, &router.address, router.vlan))
        return refuse(fault, option, text,
                      "another host's address on a link of ours, %VLAN behind it where it has one");
    options->routers[options->router_count++] = router;
    return ERROR_NONE;
}

static enum error read_routers(const struct config *config, struct net_options *options,
                               struct addresses_fault *fault)
{
    const struct config_list *list = &config->net_gateways;
    if (list->count == 0)
        return config->net_gateway[0] == '\0'
                   ? ERROR_NONE
                   : add_router(config->net_gateway, "net.gateway", options, fault);
    for (uint32_t i = 0; i < list->count; i++) {
        if (options->router_count == NET_ROUTERS_MAX)
            return refuse(fault, "net.gateways", list->items[i], "at most eight routers");
        enum error error = add_router(list->items[i], "net.gateways", options, fault);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

enum error addresses_read(const struct config *config, struct net_options *options,
                          struct addresses_fault *fault)
{
    options->local_count = 0;
    options->router_count = 0;
    enum error error = config->net_addresses.count == 0
                           ? read_local(config, options, fault)
                           : read_locals(&config->net_addresses, options, fault);
    return error != ERROR_NONE ? error : read_routers(config, options, fault);
}
