/* SPDX-License-Identifier: Apache-2.0
 *
 * Sequence numbers are a hash of the connection's number, so that who makes its segments needs no
 * look at its row, which would warm the very line that is being measured. */
#include "parked.h"

static uint32_t mixed(uint32_t number, uint32_t salt)
{
    uint64_t x = ((uint64_t)salt << 32 | number) * UINT64_C(0x9e3779b97f4a7c15);
    x ^= x >> 29;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(x >> 32);
}

uint32_t parked_peer_seq(uint32_t number)
{
    return mixed(number, 1);
}

uint32_t parked_our_seq(uint32_t number)
{
    return mixed(number, 2);
}

struct tcp_key parked_key(uint32_t number)
{
    return (struct tcp_key){.remote = net_address_of_ipv4(PARKED_FIRST_IPV4 + number),
                            .remote_port = (uint16_t)(1024u + number % 60000u),
                            .local_port = PARKED_PORT};
}

void parked_options(struct net_options *options, uint32_t connections_max, struct random *random)
{
    struct net_liveness liveness = {1200 * NS_PER_SECOND, 75 * NS_PER_SECOND, 5,
                                    120 * NS_PER_SECOND};
    *options = (struct net_options){
        .random = random,
        .key = {random_u64(random), random_u64(random)},
        .locals = {{net_address_of_ipv4(PARKED_OUR_IPV4), 24, 0}},
        .local_count = 1,
        .routers = {{net_address_of_ipv4(PARKED_ROUTER_IPV4), 0}},
        .router_count = 1,
        .connections_max = connections_max,
        .hot_max = 16384,
        .send_references_max = 65536,
        .connections_per_address = 1000,
        .accepts_per_second = 200000,
        .receive_window = 32768,
        .reorder_bytes_max = 8u << 20,
        .send_bytes_max = 256u << 10,
        .liveness = {liveness, liveness},
        .time_wait_ns = 60 * NS_PER_SECOND,
        .time_wait_max = 65536,
    };
}

uint32_t parked_open(struct net *net, uint32_t number, uint64_t now_ns)
{
    struct tcp_key key = parked_key(number);
    uint32_t conn = net_row_open(net, &key, tcp_table_hash(&net->table, &key));
    if (conn == POOL_NONE)
        return conn;
    struct tcp_row *row = &net->rows[conn];
    row->state = TCP_ESTABLISHED;
    row->flags = TCP_ROW_TIMESTAMPS | TCP_ROW_WINDOW_SCALE | TCP_ROW_SACK;
    row->snd_nxt = parked_our_seq(number);
    row->rcv_nxt = parked_peer_seq(number);
    row->rcv_adv = row->rcv_nxt + net->options.receive_window;
    row->ts_recent = number;
    row->snd_wnd = 512;
    row->snd_scale = PARKED_SCALE;
    row->rcv_scale = net->tcp->rcv_scale & 0x0fu;
    row->mss = 1460;
    row->srtt = tcp_log_of_us(60000);
    row->rttvar = tcp_log_of_us(20000);
    row->active_at_s = (uint32_t)(now_ns / NS_PER_SECOND);
    tcp_keepalive_start(net, conn);
    return conn;
}
