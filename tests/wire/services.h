/* SPDX-License-Identifier: Apache-2.0
 *
 * What tcp_peer offers on its ports, each the smallest thing that shows whether a byte stream is
 * whole:
 *
 *    7 echo    every octet comes back
 *    9 sink    takes octets; when the peer half-closes it answers "COUNT SHA256\n" and closes
 *   19 source  takes lines "COUNT KEY\n" and gives COUNT octets for each; octet i of the answer is
 *              octet i % 8 of services_word(KEY, i / 8), little-endian; closes after the peer does
 *   13 caller  takes "PORT\n", opens a connection to that port of whoever asked, and is echo there
 *
 * One thread. Rows run parallel to net's. Octets that TCP has no room for wait here, so a peer
 * that never reads its echo costs memory up to SERVICES_PENDING_MAX and is then cut off. */
#ifndef TESTS_WIRE_SERVICES_H
#define TESTS_WIRE_SERVICES_H

#include "stentor/net.h"

#define SERVICES_PENDING_MAX (UINT64_C(64) << 20)

struct services; /* opaque */

MUST_USE enum error services_create(struct services **services, struct heap *heap,
                                    struct blob_table *blobs, uint32_t connections_max);
/* Once net is there, and before its first packet. */
MUST_USE enum error services_listen(struct services *services, struct net *net);
void services_destroy(struct services **services);
/* Takes the events of a turn; before net_release(). */
void services_take(struct services *services, const struct net_events *events, uint64_t now_ns);
/* Tries again what a pool refused; every turn. */
void services_retry(struct services *services);
uint64_t services_word(uint64_t key, uint64_t index);

#endif
