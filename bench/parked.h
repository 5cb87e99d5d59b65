/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections at rest, as accepted long ago by phones with window scaling, timestamps and SACK,
 * everything acknowledged: what the benches of tables and of segments start from. They enter
 * through the doors a cookie uses (net_row_open, tcp_keepalive_start). Connection `number` comes
 * from an address and port that are functions of it, through the router. */
#ifndef STENTOR_BENCH_PARKED_H
#define STENTOR_BENCH_PARKED_H

#include "net_state.h"
#include "tcp.h"

#define PARKED_PORT 5222u
#define PARKED_FIRST_IPV4 0x0b000000u
#define PARKED_OUR_IPV4 0xc0000201u
#define PARKED_ROUTER_IPV4 (PARKED_OUR_IPV4 + 1)
#define PARKED_SCALE 7u

/* What a worker of that many connections is made with; where it gets memory and packets is set. */
void parked_options(struct net_options *options, uint32_t connections_max, struct random *random);
struct tcp_key parked_key(uint32_t number);
/* Sequence numbers of connection `number` at the start: the peer's next and ours. */
uint32_t parked_peer_seq(uint32_t number);
uint32_t parked_our_seq(uint32_t number);
/* Opens it; POOL_NONE when a table refused. */
uint32_t parked_open(struct net *net, uint32_t number, uint64_t now_ns);

#endif
