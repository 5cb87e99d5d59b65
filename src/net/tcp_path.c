/* SPDX-License-Identifier: Apache-2.0
 *
 * Path MTU by ICMP (RFC 1191, RFC 8201, with the checks of RFC 5927) and by what vanishes (in the
 * spirit of RFC 4821). Both only ever lower row.mss, and never below what every path carries;
 * larger segments come back with the next connection. An attacker who guessed a sequence number in
 * flight gains small segments, not a dead stream. */
#include "tcp_path.h"

#include "tcp.h"

#define BLACKHOLE_TRIES 2u        /* timeouts of one full segment before each step */
#define BLACKHOLE_TRIES_PASSED 5u /* when one of its size arrived: the path would have changed */
#define BLACKHOLE_TRIES_PART 4u   /* and of one that is not, which has more to do with an outage */
#define BLACKHOLE_MSS 1220u

/* RFC 1191 7.1: what a router that names no MTU may mean, below the size of the packet it quotes.
 */
static const uint16_t plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 576};

static uint32_t plateau_below(uint32_t size)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(plateaus); i++)
        if (plateaus[i] < size)
            return plateaus[i];
    return TCP_PATH_MTU_MIN_IPV4;
}

static uint32_t headers_of(const struct tcp_row *row)
{
    return net_ip_header_size(&row->remote) + (uint32_t)sizeof(struct tcp_header);
}

/* As large as every path carries. */
static uint32_t mss_floor(const struct tcp_row *row)
{
    bool is_ipv4 = net_address_is_ipv4(&row->remote);
    return (is_ipv4 ? TCP_PATH_MTU_MIN_IPV4 : TCP_PATH_MTU_MIN_IPV6) - headers_of(row);
}

/* False when it would not be smaller. */
static bool lower_mss(struct net *net, uint32_t conn, uint32_t mss)
{
    struct tcp_row *row = &net->rows[conn];
    uint32_t floor = mss_floor(row);
    if (mss < floor)
        mss = floor;
    if (mss >= row->mss)
        return false;
    trace_add(net->options.trace, net->now_ns, net_handle(net, conn), TRACE_TCP_MSS, row->mss, mss);
    row->mss = (uint16_t)mss;
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot != NULL)
        hot->sender &= (uint8_t)~TCP_SENDER_FULL_PASSED;
    return true;
}

/* What in flight is too large goes again in segments that fit. The window stays: nothing says that
 * there was congestion. */
static void resend_smaller(struct net *net, uint32_t conn)
{
    const struct tcp_row *row = &net->rows[conn];
    struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot == NULL || row->snd_nxt == hot->snd_una || (hot->flags & TCP_HOT_PERSISTING) != 0)
        return;
    tcp_sent_lose_large(net, hot, tcp_segment_room(row));
    hot->sender |= TCP_SENDER_RESEND_NOW;
    tcp_mark_dirty(net, conn);
}

void tcp_path_mtu(struct net *net, uint32_t conn, uint32_t mtu)
{
    const struct tcp_row *row = &net->rows[conn];
    uint32_t headers = headers_of(row);
    if (!lower_mss(net, conn, mtu > headers ? mtu - headers : 0)) {
        net_count(net, METRIC_NET_ICMP_MTU_STALE);
        return;
    }
    net_count(net, METRIC_NET_ICMP_MTU_TAKEN);
    resend_smaller(net, conn);
}

void tcp_soft_error(struct net *net, uint32_t conn)
{
    (void)conn;
    net_count(net, METRIC_NET_ICMP_SOFT);
}

/* A SYN has neither size to lower nor a stream to protect: RFC 1122 4.2.3.9. */
static void input_syn_sent(struct net *net, uint32_t conn, const struct icmp_quoted *quoted)
{
    if (quoted->verdict != ICMP_HARD) {
        tcp_soft_error(net, conn);
        return;
    }
    net_count(net, METRIC_NET_ICMP_ENDED);
    tcp_die(net, conn, NET_CLOSE_REFUSED);
}

static void input_too_big(struct net *net, uint32_t conn, const struct icmp_quoted *quoted)
{
    if (!net_address_is_ipv4(&quoted->key.remote) && quoted->mtu < TCP_PATH_MTU_MIN_IPV6)
        net_count(net, METRIC_NET_ICMP_MTU_STALE); /* RFC 8201 4: no link of IPv6 carries less */
    else
        tcp_path_mtu(net, conn, quoted->mtu != 0 ? quoted->mtu : plateau_below(quoted->size));
}

void tcp_path_input(struct net *net, const struct icmp_quoted *quoted)
{
    uint64_t hash = tcp_table_hash(&net->table, &quoted->key);
    uint32_t conn = tcp_table_find(&net->table, net->rows, hash, &quoted->key);
    if (conn == POOL_NONE || net->rows[conn].state == TCP_FREE) {
        net_count(net, METRIC_NET_ICMP_NO_CONNECTION);
        return;
    }
    const struct tcp_row *row = &net->rows[conn];
    uint32_t una = tcp_una(net, row);
    if (!seq_is_within(quoted->seq, una, row->snd_nxt - una))
        net_count(net, METRIC_NET_ICMP_NOT_IN_FLIGHT);
    else if (row->state == TCP_SYN_SENT)
        input_syn_sent(net, conn, quoted);
    else if (quoted->verdict == ICMP_TOO_BIG)
        input_too_big(net, conn, quoted);
    else
        tcp_soft_error(net, conn);
}

/* How many timeouts speak for a segment too large and not for a bad path. */
static uint32_t tries_of_step(const struct net *net, const struct tcp_row *row, uint32_t in_flight)
{
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    if (hot != NULL && (hot->sender & TCP_SENDER_FULL_PASSED) != 0)
        return BLACKHOLE_TRIES_PASSED;
    return in_flight >= tcp_segment_room(row) ? BLACKHOLE_TRIES : BLACKHOLE_TRIES_PART;
}

void tcp_path_timeout(struct net *net, uint32_t conn, uint32_t tries)
{
    const struct tcp_row *row = &net->rows[conn];
    uint32_t in_flight = row->snd_nxt - tcp_una(net, row);
    if (tries == 0 || tries % tries_of_step(net, row, in_flight) != 0)
        return;
    uint32_t options_size = row->mss - tcp_segment_room(row);
    if (in_flight + options_size <= mss_floor(row))
        return; /* what is lost fits everywhere */
    bool is_step_enough = row->mss > BLACKHOLE_MSS && in_flight > BLACKHOLE_MSS;
    if (lower_mss(net, conn, is_step_enough ? BLACKHOLE_MSS : mss_floor(row)))
        net_count(net, METRIC_TCP_BLACKHOLES);
}
