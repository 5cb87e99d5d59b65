/* SPDX-License-Identifier: Apache-2.0
 *
 * Multicast listener reports (MLDv2, RFC 3810), for switches that let a group through only to ports
 * where somebody asked for it: without them the solicitations for our addresses may never arrive.
 * Each IPv6 address listens to its solicited-node group (RFC 4291 section 2.7.1). It is reported
 * when the address is probed and when it is ready, and all of a VLAN's when a querier asks, at most
 * once a second. Queue 0 only. Owner: one worker. */
#ifndef STENTOR_NET_MLD_H
#define STENTOR_NET_MLD_H

#include "ip.h"

#define MLD_REPORT_NS_MIN UINT64_C(1000000000)

enum mld_change { MLD_IS_EXCLUDE = 2, MLD_TO_EXCLUDE = 4 }; /* RFC 3810 section 5.2.12 */

/* Reports the groups of all our addresses of that VLAN that are not duplicates. */
void mld_report(struct net *net, uint16_t vlan, enum mld_change change);
/* A FRAME_MLD: a querier asks. */
void mld_input(struct net *net, const struct frame *frame);

#endif
