/* SPDX-License-Identifier: Apache-2.0
 *
 * TCP as a whole: its pools, the end of a turn, and names for people. Extensions, references,
 * TIME_WAIT records and lists live in the worker's arena; ranges, which hold pointers, in its
 * heap. */
#include "tcp.h"

#define RANGE_ROWS_MAX 65536u
#define ALIGN_SLACK (16u * CACHE_LINE)

static const char *const state_names[] = {
    [TCP_FREE] = "CLOSED",           [TCP_SYN_SENT] = "SYN-SENT",
    [TCP_ESTABLISHED] = "ESTABLISHED", [TCP_FIN_WAIT_1] = "FIN-WAIT-1",
    [TCP_FIN_WAIT_2] = "FIN-WAIT-2", [TCP_CLOSE_WAIT] = "CLOSE-WAIT",
    [TCP_CLOSING] = "CLOSING",       [TCP_LAST_ACK] = "LAST-ACK",
};

/* Twice as many buckets as records, a power of two. */
static uint32_t time_wait_bucket_count(uint32_t records)
{
    uint32_t count = 16;
    while (count < records * 2 && count < (UINT32_C(1) << 30))
        count *= 2;
    return count;
}

static uint32_t range_row_count(const struct net_options *options)
{
    uint64_t wanted = (uint64_t)options->hot_max * TCP_RANGES_MAX;
    return wanted < RANGE_ROWS_MAX ? (uint32_t)wanted : RANGE_ROWS_MAX;
}

static size_t pool_bytes(uint32_t rows)
{
    return rows * (sizeof(uint32_t) + sizeof(uint16_t));
}

size_t tcp_arena_bytes(const struct net_options *options)
{
    size_t hot = options->hot_max;
    size_t references = options->send_references_max;
    size_t bytes = hot * (sizeof(struct tcp_hot) + sizeof(struct wheel_timer));
    bytes += pool_bytes(options->hot_max);
    bytes += hot * sizeof(uint32_t) * 2;                   /* dirty */
    bytes += 2u * 4096u * (sizeof(uint32_t) + 1) + 4096u;  /* slots of the wheel */
    bytes += references * sizeof(struct tcp_reference) + pool_bytes(options->send_references_max);
    bytes += (hot + references) * sizeof(struct tcp_sent);
    bytes += pool_bytes(options->send_references_max);
    bytes += pool_bytes(range_row_count(options));
    bytes += NET_HELD_MAX * sizeof(uint32_t);              /* owed */
    bytes += (size_t)options->time_wait_max * sizeof(struct tcp_time_wait);
    bytes += time_wait_bucket_count(options->time_wait_max) * sizeof(uint32_t);
    return bytes + ALIGN_SLACK;
}

static enum error take_pools(struct net *net, struct tcp *tcp)
{
    const struct net_options *options = &net->options;
    struct arena *arena = options->arena;
    uint32_t ranges = range_row_count(options);
    enum error error = wheel_init(&tcp->wheel, arena, options->hot_max, net->now_ns);
    if (error == ERROR_NONE)
        error = pool_init(&tcp->hot_pool, arena, options->hot_max, options->worker);
    if (error == ERROR_NONE)
        error = pool_init(&tcp->reference_pool, arena, options->send_references_max,
                          options->worker);
    if (error == ERROR_NONE)
        error = pool_init(&tcp->sent_pool, arena, options->send_references_max, options->worker);
    if (error == ERROR_NONE)
        error = pool_init(&tcp->range_pool, arena, ranges, options->worker);
    return error;
}

static enum error take_rows(struct net *net, struct tcp *tcp)
{
    const struct net_options *options = &net->options;
    struct arena *arena = options->arena;
    uint32_t buckets = time_wait_bucket_count(options->time_wait_max);
    size_t records = options->time_wait_max == 0 ? 1 : options->time_wait_max;
    tcp->dirty_max = options->hot_max * 2; /* an extension may be named again after reuse */
    tcp->hots = arena_take(arena, options->hot_max * sizeof *tcp->hots, CACHE_LINE);
    tcp->references = arena_take(
        arena, options->send_references_max * sizeof *tcp->references, CACHE_LINE);
    size_t sents = (size_t)options->hot_max + options->send_references_max;
    tcp->sents = arena_take(arena, sents * sizeof *tcp->sents, CACHE_LINE);
    tcp->dirty = arena_take(arena, tcp->dirty_max * sizeof *tcp->dirty, CACHE_LINE);
    tcp->owed = arena_take(arena, NET_HELD_MAX * sizeof *tcp->owed, CACHE_LINE);
    tcp->time_wait = arena_take(arena, records * sizeof *tcp->time_wait, CACHE_LINE);
    tcp->time_wait_buckets =
        arena_take(arena, buckets * sizeof *tcp->time_wait_buckets, CACHE_LINE);
    tcp->ranges = heap_take(options->heap, range_row_count(options) * sizeof *tcp->ranges);
    if (tcp->hots == NULL || tcp->references == NULL || tcp->sents == NULL || tcp->dirty == NULL ||
        tcp->owed == NULL ||
        tcp->time_wait == NULL || tcp->time_wait_buckets == NULL || tcp->ranges == NULL)
        return ERROR_NO_MEMORY;
    memset(tcp->time_wait_buckets, 0xff, buckets * sizeof *tcp->time_wait_buckets);
    tcp->time_wait_mask = buckets - 1;
    return ERROR_NONE;
}

static void set_window(struct tcp *tcp, uint32_t octets)
{
    while (octets >> tcp->rcv_scale > UINT16_MAX && tcp->rcv_scale < TCP_SCALE_MAX)
        tcp->rcv_scale++;
    uint32_t scaled = octets >> tcp->rcv_scale;
    tcp->window = (uint16_t)(scaled < UINT16_MAX ? scaled : UINT16_MAX);
    tcp->window_plain = (uint16_t)(octets < UINT16_MAX ? octets : UINT16_MAX);
}

enum error tcp_init(struct net *net)
{
    ASSERT(net->options.hot_max > 0);
    ASSERT(net->options.send_references_max > 0);
    ASSERT(net->options.receive_window > 0);
    struct tcp *tcp = heap_take_zeroed(net->options.heap, sizeof *tcp);
    if (tcp == NULL)
        return ERROR_NO_MEMORY;
    enum error error = take_pools(net, tcp);
    if (error == ERROR_NONE)
        error = take_rows(net, tcp);
    if (error == ERROR_NONE)
        error = tcp_pressure_init(net, &tcp->pressure);
    if (error != ERROR_NONE) {
        heap_give(net->options.heap, tcp->ranges);
        heap_give(net->options.heap, tcp);
        return error;
    }
    tcp->spent_ranges = POOL_NONE;
    tcp->dsack_conn = POOL_NONE;
    tcp->dying_head = POOL_NONE;
    tcp->dying_tail = POOL_NONE;
    tcp->buried_head = POOL_NONE;
    set_window(tcp, net->options.receive_window);
    net->tcp = tcp;
    return ERROR_NONE;
}

/* Blobs and out-of-order octets go back; peers learn nothing: who wants to tell them aborts. */
void tcp_fini(struct net *net)
{
    for (uint32_t conn = 0; conn < net->pool.high_water; conn++) {
        if (!pool_is_live(&net->pool, conn) || net->rows[conn].hot == TCP_HOT_NONE)
            continue;
        tcp_references_lost(net, conn);
        tcp_sent_drop(net, tcp_hot_of(net, &net->rows[conn]));
        tcp_reorder_drop(net, tcp_hot_of(net, &net->rows[conn]));
    }
    tcp_reorder_release(net);
    tcp_pressure_fini(net, &net->tcp->pressure);
    heap_give(net->options.heap, net->tcp->ranges);
    heap_give(net->options.heap, net->tcp);
    net->tcp = NULL;
}

/* An acknowledgement rides on octets where there are any to send in this turn. */
static void pay_ack(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    const struct tcp_hot *hot = tcp_hot_of(net, row);
    if (row->state == TCP_FREE)
        return;
    if (hot != NULL && (hot->flags & TCP_HOT_DIRTY) != 0)
        tcp_output(net, conn);
    if ((row->flags & TCP_ROW_ACK_OWED) != 0)
        tcp_transmit_ack(net, conn);
    row->flags &= (uint8_t)~TCP_ROW_ACK_OWED;
}

void tcp_release(struct net *net)
{
    struct tcp *tcp = net->tcp;
    for (uint32_t i = 0; i < tcp->owed_count; i++) {
        uint32_t conn = tcp->owed[i];
        if ((net->rows[conn].flags & TCP_ROW_ACK_OWED) != 0)
            pay_ack(net, conn);
    }
    tcp->owed_count = 0;
    tcp_reorder_release(net);
    tcp_bury(net);
}

const char *tcp_state_name(const struct net *net, uint32_t conn)
{
    ASSERT(pool_is_live(&net->pool, conn));
    ASSERT(net->rows[conn].state < ARRAY_COUNT(state_names));
    return state_names[net->rows[conn].state];
}
