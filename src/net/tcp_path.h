/* SPDX-License-Identifier: Apache-2.0
 *
 * What the path tells about segments: ICMP errors that quote one, and silence about full ones. An
 * error counts only for a sequence number that is in flight (RFC 5927 4.1), so that somebody who
 * is not on the path must guess it. Owner: one worker. */
#ifndef STENTOR_NET_TCP_PATH_H
#define STENTOR_NET_TCP_PATH_H

#include "icmp.h"

/* The smallest segments that a path is believed to need: RFC 1191 3, RFC 8201 4. A peer that asked
 * for smaller ones keeps them. */
#define TCP_PATH_MTU_MIN_IPV4 576u
#define TCP_PATH_MTU_MIN_IPV6 1280u

/* An error that quotes TCP of ours: finds the connection, judges the sequence number, and lets
 * either of the next two take it. */
void tcp_path_input(struct net *net, const struct icmp_quoted *quoted);
/* A validated "too big": segments get smaller and what is in flight goes again at once, since
 * nothing was lost for want of room (RFC 8201 5.4). Never makes them larger. */
void tcp_path_mtu(struct net *net, uint32_t conn, uint32_t mtu);
/* A validated "unreachable": counted, and no more (RFC 5927 5.2), for an open connection. */
void tcp_soft_error(struct net *net, uint32_t conn);
/* The retransmission timer expired for the try-th time in a row. When full segments keep vanishing
 * a router may be dropping them without a word (RFC 2923 2.1): segments get smaller in two steps,
 * and stay so as long as the connection lives. */
void tcp_path_timeout(struct net *net, uint32_t conn, uint32_t tries);

#endif
