/* SPDX-License-Identifier: Apache-2.0
 *
 * Our addresses and routers, from the options of the file to struct net_options. net.addresses and
 * net.gateways, where they are given, stand in place of net.address with net.prefix, and of
 * net.gateway. Main thread. */
#ifndef STENTOR_SERVER_ADDRESSES_H
#define STENTOR_SERVER_ADDRESSES_H

#include "stentor/config.h"
#include "stentor/net.h"

/* What is wrong, for a sentence to a person. */
struct addresses_fault {
    const char *option;
    const char *found;
    const char *expected;
};

/* Fills locals and routers. ERROR_INVALID with *fault set when an address is none, stands there
 * twice, or a router is not on a link of ours. */
MUST_USE enum error addresses_read(const struct config *config, struct net_options *options,
                                   struct addresses_fault *fault);

#endif
