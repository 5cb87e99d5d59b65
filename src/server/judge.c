/* SPDX-License-Identifier: Apache-2.0
 *
 * What a configuration file can be wrong about although every value has its type and range: names
 * that are none, addresses nobody can have, lists that do not fit each other. The parser
 * (core/config.c) knows no JID, no device and no netmask; here all floors are in sight. A server is
 * not made from a configuration that fails here, and --check-config says so before it is tried.
 * What only the machine knows (is the interface there, is the port free) shows at start. */
#include <arpa/inet.h>

#include "addresses.h"
#include "server_state.h"
#include "stentor/jid.h"
#include "stentor/text.h"

#define CORES_END 1024u /* CPU_SETSIZE */

struct judge {
    const struct config *config;
    const char *name; /* of the file */
    struct writer *message;
    bool is_fit;
};

static void object(struct judge *judge, const char *option, const char *found, const char *expected)
{
    judge->is_fit = false;
    write_string(judge->message, judge->name);
    write_string(judge->message, ": ");
    write_string(judge->message, option);
    write_string(judge->message, ": found \"");
    write_string(judge->message, found);
    write_string(judge->message, "\", expected ");
    write_string(judge->message, expected);
    write_string(judge->message, "\n");
}

static void judge_names(struct judge *judge)
{
    const struct config *config = judge->config;
    uint8_t octets[JID_SIZE_MAX];
    struct writer into = writer_of(octets, sizeof octets);
    struct bytes prepared;
    if (jid_prepare_domain(bytes_of_string(config->xmpp_domain), &into, &prepared) != ERROR_NONE)
        object(judge, "xmpp.domain", config->xmpp_domain,
               "a domain name or IP address (RFC 7622 3.2)");
    if (config->server_data_dir[0] != '/')
        object(judge, "server.data_dir", config->server_data_dir, "an absolute path");
}

static void judge_listener(struct judge *judge)
{
    struct in6_addr address; /* large enough for both */
    const char *text = judge->config->admin_listen;
    if (inet_pton(AF_INET, text, &address) != 1 && inet_pton(AF_INET6, text, &address) != 1)
        object(judge, "admin.listen", text, "an IP address of this machine");
}

static void judge_device(struct judge *judge)
{
    char text[512];
    struct writer why = writer_of(text, sizeof text);
    if (nic_config_judge(judge->config, &why) == ERROR_NONE)
        return;
    judge->is_fit = false;
    write_string(judge->message, judge->name);
    write_string(judge->message, ": ");
    write_bytes(judge->message, writer_bytes(&why));
    write_string(judge->message, ", expected tap:NAME, af_packet:IFACE, af_xdp:IFACE, memif:SOCKET "
                                 "or a PCI address\n");
}

static void judge_addresses(struct judge *judge)
{
    struct net_options options = {0};
    struct addresses_fault fault;
    if (addresses_read(judge->config, &options, &fault) != ERROR_NONE)
        object(judge, fault.option, fault.found, fault.expected);
}

/* None, or one a worker, each another. */
static void judge_cores(struct judge *judge)
{
    const struct config_list *cores = &judge->config->server_cores;
    uint64_t numbers[CONFIG_LIST_MAX];
    if (cores->count != 0 && cores->count != judge->config->server_workers)
        object(judge, "server.cores", "another number of cores",
               "one core for each of server.workers, or none");
    for (uint32_t i = 0; i < cores->count; i++) {
        bool is_number =
            decimal_parse(bytes_of_string(cores->items[i]), CORES_END - 1, &numbers[i]);
        bool is_new = is_number;
        for (uint32_t k = 0; k < i && is_new; k++)
            is_new = numbers[k] != numbers[i];
        if (is_new)
            continue;
        object(judge, "server.cores", cores->items[i], "numbers of different processor cores");
        return;
    }
}

enum error server_config_judge(const struct config *config, const char *name,
                               struct writer *message)
{
    struct judge judge = {config, name, message, true};
    judge_names(&judge);
    judge_listener(&judge);
    judge_device(&judge);
    judge_addresses(&judge);
    judge_cores(&judge);
    return judge.is_fit ? ERROR_NONE : ERROR_INVALID;
}
