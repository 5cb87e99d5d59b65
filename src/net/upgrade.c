/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections that outlive their process. Rows hold indices only (DESIGN law 3), so the old
 * process's arena, mapped or copied, has nearly everything; the image adds what is not in rows:
 * keys, the SYNs lately answered, and of busy connections the queue, as octets. The new process
 * makes a net of its own, takes over the rows at the same indices and generations, and builds the
 * flow table and the counts by address by a scan.
 *
 * Busy connections survive: what was in flight counts as sent and lost and goes again, from copies
 * of the same octets, cut as before where a record starts (tcp_reference.tag). What is given up:
 * octets out of order (the peer has them still), congestion state, neighbours, attempts to open
 * (SYN_SENT), and the tally of shared blobs, which the upper floors keep for themselves.
 *
 * An image is trusted only as far as its check goes: it comes from a process of ours by a
 * descriptor of ours, and a mistake is an error, not a crash. */
#include "upgrade.h"

#include "tcp.h"
#include "tcp_sent.h"

/* ---- what goes ---- */

static bool is_busy(const struct net *net, uint32_t index)
{
    const struct tcp *tcp = net->tcp;
    if (!pool_is_live(&tcp->hot_pool, index))
        return false;
    uint32_t conn = tcp->hots[index].conn;
    return net->rows[conn].state != TCP_SYN_SENT && !tcp_can_park(net, conn);
}

size_t net_export_bytes(const struct net *net)
{
    const struct tcp *tcp = net->tcp;
    size_t bytes = sizeof(struct upgrade_header) + sizeof tcp->recent_syns;
    for (uint32_t i = 0; i < tcp->hot_pool.high_water; i++) {
        if (!is_busy(net, i))
            continue;
        bytes += sizeof(struct upgrade_busy);
        for (uint32_t at = tcp->hots[i].reference_head; at != POOL_NONE;) {
            bytes += sizeof(struct upgrade_reference) + tcp->references[at].size;
            at = tcp->references[at].next;
        }
    }
    return bytes;
}

static void export_references(const struct net *net, const struct tcp_hot *hot,
                              struct upgrade_busy *busy, struct writer *into)
{
    const struct tcp_reference *references = net->tcp->references;
    busy->seq_start = hot->snd_end;
    if (hot->reference_head != POOL_NONE)
        busy->seq_start = references[hot->reference_head].seq_start;
    for (uint32_t at = hot->reference_head; at != POOL_NONE; at = references[at].next)
        busy->reference_count++;
    write_bytes(into, bytes_of(busy, sizeof *busy));
    for (uint32_t at = hot->reference_head; at != POOL_NONE; at = references[at].next) {
        const struct tcp_reference *reference = &references[at];
        struct upgrade_reference carried = {reference->size, reference->tag};
        struct bytes octets = blob_bytes(net->options.blobs, reference->blob);
        write_bytes(into, bytes_of(&carried, sizeof carried));
        write_bytes(into, bytes_slice(octets, reference->offset, reference->size));
    }
}

static uint32_t export_busy(struct net *net, struct writer *into)
{
    struct tcp *tcp = net->tcp;
    uint32_t count = 0;
    for (uint32_t i = 0; i < tcp->hot_pool.high_water; i++) {
        if (!pool_is_live(&tcp->hot_pool, i))
            continue;
        const struct tcp_hot *hot = &tcp->hots[i];
        struct tcp_row *row = &net->rows[hot->conn];
        row->srtt = tcp_log_of_us(hot->srtt_us); /* as parking does */
        row->rttvar = tcp_log_of_us(hot->rttvar_us);
        if (!is_busy(net, i))
            continue;
        struct upgrade_busy busy = {
            .conn = hot->conn,
            .snd_una = hot->snd_una,
            .snd_end = hot->snd_end,
            .flags = hot->flags & (TCP_HOT_FIN_QUEUED | TCP_HOT_REFUSED),
        };
        export_references(net, hot, &busy, into);
        count++;
    }
    return count;
}

static struct upgrade_stretch stretch_of(const struct net *net, const void *at, size_t row_size,
                                         uint32_t row_count)
{
    return (struct upgrade_stretch){
        .offset = (uint64_t)((const uint8_t *)at - net->options.arena->base),
        .row_size = (uint32_t)row_size,
        .row_count = row_count,
    };
}

static void fill_header(const struct net *net, struct upgrade_header *header)
{
    const struct tcp *tcp = net->tcp;
    uint32_t rows = net->pool.high_water;
    uint32_t records = tcp->time_wait_count == 0 ? 0 : net->options.time_wait_max;
    *header = (struct upgrade_header){
        .magic = UPGRADE_MAGIC,
        .version = UPGRADE_VERSION,
        .header_size = sizeof *header,
        .exported_at_ns = net->now_ns,
        .key = net->options.key,
        .cookie_keys = {net->cookie.keys[0], net->cookie.keys[1]},
        .cookie_epoch = net->cookie.epoch,
        .cookie_epoch_end_ns = net->cookie.epoch_end_ns,
        .receive_window = net->options.receive_window,
        .local_count = net->options.local_count,
        .time_wait_first = tcp->time_wait_first,
        .time_wait_count = tcp->time_wait_count,
    };
    memcpy(header->locals, net->options.locals, sizeof header->locals);
    header->stretches[UPGRADE_ROWS] = stretch_of(net, net->rows, sizeof *net->rows, rows);
    header->stretches[UPGRADE_GENERATIONS] =
        stretch_of(net, net->pool.generations, sizeof *net->pool.generations, rows);
    header->stretches[UPGRADE_DEADLINES] =
        stretch_of(net, net->deadline.due, sizeof *net->deadline.due, rows);
    header->stretches[UPGRADE_TIME_WAIT] =
        stretch_of(net, tcp->time_wait, sizeof *tcp->time_wait, records);
}

/* ---- the check ---- */

static struct bytes stretch_bytes(struct bytes arena, const struct upgrade_stretch *stretch)
{
    return bytes_slice(arena, stretch->offset, (size_t)stretch->row_size * stretch->row_count);
}

/* A chain of hashes, so that gigabytes need no copy. */
static uint64_t check_of(const struct upgrade_header *header, struct bytes body, struct bytes arena)
{
    struct upgrade_header plain = *header;
    plain.check = 0;
    uint64_t sums[2 + UPGRADE_STRETCHES];
    sums[0] = siphash_2_4(&header->key, bytes_of(&plain, sizeof plain));
    sums[1] = siphash_2_4(&header->key, body);
    for (uint32_t i = 0; i < UPGRADE_STRETCHES; i++)
        sums[2 + i] = siphash_2_4(&header->key, stretch_bytes(arena, &header->stretches[i]));
    return siphash_2_4(&header->key, bytes_of(sums, sizeof sums));
}

enum error net_export(struct net *net, uint64_t now_ns, struct writer *into)
{
    net->now_ns = now_ns;
    if (net->tcp->dying_head != POOL_NONE || net->tcp->buried_head != POOL_NONE)
        return ERROR_INVALID; /* a NET_CLOSED would be lost */
    struct upgrade_header header;
    size_t start = into->size;
    fill_header(net, &header);
    write_bytes(into, bytes_of(&header, sizeof header));
    write_bytes(into, bytes_of(net->tcp->recent_syns, sizeof net->tcp->recent_syns));
    header.busy_count = export_busy(net, into);
    if (into->is_overflown)
        return ERROR_TOO_LARGE;
    uint8_t *at = into->at + start;
    struct bytes body = bytes_of(at + sizeof header, into->size - start - sizeof header);
    struct bytes arena = bytes_of(net->options.arena->base, net->options.arena->size);
    header.body_size = body.size;
    header.check = check_of(&header, body, arena);
    memcpy(at, &header, sizeof header);
    return ERROR_NONE;
}

/* ---- judging what comes ---- */

static const uint32_t row_sizes[UPGRADE_STRETCHES] = {
    [UPGRADE_ROWS] = sizeof(struct tcp_row),
    [UPGRADE_GENERATIONS] = sizeof(uint16_t),
    [UPGRADE_DEADLINES] = sizeof(uint16_t),
    [UPGRADE_TIME_WAIT] = sizeof(struct tcp_time_wait),
};

static bool stretches_are_sound(const struct upgrade_header *header, struct bytes arena)
{
    for (uint32_t i = 0; i < UPGRADE_STRETCHES; i++) {
        const struct upgrade_stretch *stretch = &header->stretches[i];
        uint64_t size = (uint64_t)stretch->row_size * stretch->row_count;
        if (stretch->row_size != row_sizes[i] || stretch->offset > arena.size ||
            size > arena.size - stretch->offset)
            return false;
        if (i != UPGRADE_TIME_WAIT && stretch->row_count != header->stretches[0].row_count)
            return false;
    }
    uint32_t records = header->stretches[UPGRADE_TIME_WAIT].row_count;
    return header->time_wait_count <= records &&
           (records == 0 || header->time_wait_first < records);
}

static bool read_header(struct bytes image, struct upgrade_header *header)
{
    if (image.size < sizeof *header)
        return false;
    memcpy(header, image.at, sizeof *header);
    return header->magic == UPGRADE_MAGIC && header->version == UPGRADE_VERSION &&
           header->header_size == sizeof *header &&
           header->body_size == image.size - sizeof *header &&
           header->body_size >= sizeof((struct tcp *)NULL)->recent_syns;
}

enum error net_image_key(struct bytes image, struct siphash_key *key)
{
    struct upgrade_header header;
    if (!read_header(image, &header))
        return ERROR_INVALID;
    *key = header.key;
    return ERROR_NONE;
}

/* Rows name our addresses by number. */
static bool locals_are_same(const struct net_options *options, const struct upgrade_header *header)
{
    if (options->local_count != header->local_count)
        return false;
    for (uint32_t i = 0; i < options->local_count; i++) {
        const struct net_local *ours = &options->locals[i];
        const struct net_local *theirs = &header->locals[i];
        if (!net_address_equal(&ours->address, &theirs->address) || ours->vlan != theirs->vlan)
            return false;
    }
    return true;
}

static bool fits(const struct net *net, const struct upgrade_header *header)
{
    const struct net_options *options = &net->options;
    return memcmp(&options->key, &header->key, sizeof header->key) == 0 &&
           options->receive_window == header->receive_window && locals_are_same(options, header) &&
           header->stretches[UPGRADE_ROWS].row_count <= options->connections_max &&
           header->exported_at_ns <= net->now_ns;
}

/* ---- rows ---- */

/* Free rows are chained from the highest down, so the lowest is taken first. */
static void restore_pool(struct pool *pool, struct bytes generations, uint32_t rows)
{
    memcpy(pool->generations, generations.at, generations.size);
    pool->high_water = rows;
    for (uint32_t i = rows; i-- > 0;) {
        if ((pool->generations[i] & 1u) != 0) {
            pool->used++;
            continue;
        }
        pool->free_next[i] = pool->free_head;
        pool->free_head = i;
    }
}

/* Into the flow table and the count of its address. False when either refuses, which only limits
 * lower than the old process had can do. */
static bool enter_row(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    struct tcp_key key = tcp_row_key(row);
    if (tcp_limit_add(&net->limit, &row->remote) != TCP_LIMIT_COUNTED)
        return false;
    if (tcp_table_insert(&net->table, tcp_table_hash(&net->table, &key), conn))
        return true;
    tcp_limit_remove(&net->limit, &row->remote);
    return false;
}

static void restore_row(struct net *net, uint32_t conn)
{
    struct tcp_row *row = &net->rows[conn];
    row->hot = TCP_HOT_NONE;
    row->flags &= (uint8_t)~TCP_ROW_ACK_OWED;
    row->neighbour = NEIGHBOUR_NONE;
    if (!enter_row(net, conn)) {
        net_count(net, METRIC_NET_REFUSED_IMPORT);
        row->state = TCP_FREE;
        deadline_clear(&net->deadline, conn);
        pool_give(&net->pool, conn);
        return;
    }
    if (row->state == TCP_SYN_SENT) {
        tcp_die(net, conn, NET_CLOSE_REFUSED);
        return;
    }
    if (row->liveness == NET_LIVENESS_NEW)
        tcp_pressure_accepted(net, conn);
}

static void restore_rows(struct net *net, const struct upgrade_header *header, struct bytes arena)
{
    uint32_t rows = header->stretches[UPGRADE_ROWS].row_count;
    struct bytes bytes = stretch_bytes(arena, &header->stretches[UPGRADE_ROWS]);
    if (rows == 0)
        return;
    memcpy(net->rows, bytes.at, bytes.size);
    bytes = stretch_bytes(arena, &header->stretches[UPGRADE_DEADLINES]);
    memcpy(net->deadline.due, bytes.at, bytes.size);
    restore_pool(&net->pool, stretch_bytes(arena, &header->stretches[UPGRADE_GENERATIONS]), rows);
    for (uint32_t conn = 0; conn < rows; conn++)
        if (pool_is_live(&net->pool, conn))
            restore_row(net, conn);
}

static void restore_time_wait(struct net *net, const struct upgrade_header *header,
                              struct bytes arena)
{
    struct bytes bytes = stretch_bytes(arena, &header->stretches[UPGRADE_TIME_WAIT]);
    uint32_t records = header->stretches[UPGRADE_TIME_WAIT].row_count;
    for (uint32_t i = 0; i < header->time_wait_count; i++) {
        struct tcp_time_wait record;
        uint32_t at = (uint32_t)(((uint64_t)header->time_wait_first + i) % records);
        memcpy(&record, bytes.at + (size_t)at * sizeof record, sizeof record);
        if (record.is_live != 0)
            tcp_time_wait_add(net, &record);
    }
}

/* ---- busy connections ---- */

static bool restore_reference(struct net *net, struct tcp_hot *hot, struct cursor *body)
{
    struct bytes bytes;
    struct upgrade_reference carried;
    if (!cursor_take(body, sizeof carried, &bytes))
        return false;
    memcpy(&carried, bytes.at, sizeof carried);
    if (carried.size == 0 || !cursor_take(body, carried.size, &bytes))
        return false;
    uint32_t blob = blob_create_copy(net->options.blobs, bytes);
    if (blob == BLOB_NONE)
        return false;
    struct tcp_reference reference = {hot->snd_end, blob, 0, carried.size, POOL_NONE, carried.tag};
    if (tcp_reference_add(net, hot, &reference) == ERROR_NONE)
        return true;
    (void)blob_put(net->options.blobs, blob);
    return false;
}

/* The queue is whole and lies where the row says. */
static bool queue_is_sound(const struct tcp_row *row, const struct tcp_hot *hot,
                           const struct upgrade_busy *busy)
{
    uint32_t end = tcp_stream_end(hot);
    bool has_octets = seq_is_after(hot->snd_end, hot->snd_una);
    return hot->snd_end == busy->snd_end && !seq_is_before(row->snd_nxt, hot->snd_una) &&
           !seq_is_after(row->snd_nxt, end) &&
           (!has_octets || !seq_is_after(busy->seq_start, hot->snd_una));
}

static void arm_closing(struct net *net, const struct tcp_row *row, struct tcp_hot *hot)
{
    if (row->state == TCP_FIN_WAIT_2)
        hot->orphan_at_ns = net->now_ns + TCP_ORPHAN_NS;
    else if ((hot->flags & TCP_HOT_FIN_QUEUED) != 0)
        hot->orphan_at_ns = net->now_ns + TCP_CLOSING_NS;
}

/* All of it was sent, and none of it arrived: it goes as windows allow. */
static void resend_flight(struct net *net, uint32_t conn, struct tcp_hot *hot, uint32_t snd_nxt)
{
    struct tcp_row *row = &net->rows[conn];
    if (snd_nxt != hot->snd_una) {
        tcp_sent_add(net, hot, hot->snd_una, snd_nxt - hot->snd_una);
        row->snd_nxt = snd_nxt;
        tcp_sent_lose_all(net, hot);
        hot->resend_at_ns = net->now_ns + tcp_rto_ns(hot);
    }
    tcp_mark_dirty(net, conn);
    tcp_timer_update(net, conn);
}

/* False when the body is not what it should be, or a pool is empty; then the connection is reset,
 * since its octets are gone. */
static bool restore_busy(struct net *net, const struct upgrade_busy *busy, struct cursor *body)
{
    struct tcp_row *row = &net->rows[busy->conn];
    uint32_t snd_nxt = row->snd_nxt;
    row->snd_nxt = busy->snd_una;
    struct tcp_hot *hot = tcp_unpark(net, busy->conn);
    if (hot == NULL) {
        row->snd_nxt = snd_nxt;
        return false;
    }
    hot->snd_end = busy->reference_count != 0 ? busy->seq_start : busy->snd_end;
    hot->flags |= (uint8_t)(busy->flags & (TCP_HOT_FIN_QUEUED | TCP_HOT_REFUSED));
    bool is_whole = true;
    for (uint32_t i = 0; i < busy->reference_count && is_whole; i++)
        is_whole = restore_reference(net, hot, body);
    row->snd_nxt = snd_nxt;
    if (!is_whole || !queue_is_sound(row, hot, busy))
        return false;
    row->snd_nxt = busy->snd_una;
    arm_closing(net, row, hot);
    resend_flight(net, busy->conn, hot, snd_nxt);
    return true;
}

/* Gone by when its connection is not there. */
static bool skip_references(const struct upgrade_busy *busy, struct cursor *body)
{
    for (uint32_t i = 0; i < busy->reference_count; i++) {
        struct upgrade_reference carried;
        struct bytes bytes;
        if (!cursor_take(body, sizeof carried, &bytes))
            return false;
        memcpy(&carried, bytes.at, sizeof carried);
        if (!cursor_take(body, carried.size, &bytes))
            return false;
    }
    return true;
}

static void restore_all_busy(struct net *net, const struct upgrade_header *header,
                             struct bytes octets)
{
    struct cursor body = cursor_of(octets);
    for (uint32_t i = 0; i < header->busy_count; i++) {
        struct upgrade_busy busy;
        struct bytes bytes;
        if (!cursor_take(&body, sizeof busy, &bytes))
            return;
        memcpy(&busy, bytes.at, sizeof busy);
        struct cursor behind = body;
        if (!skip_references(&busy, &behind))
            return;
        bool is_there = pool_is_live(&net->pool, busy.conn) &&
                        net->rows[busy.conn].state != TCP_FREE &&
                        net->rows[busy.conn].hot == TCP_HOT_NONE;
        if (is_there && !restore_busy(net, &busy, &body)) {
            net_count(net, METRIC_NET_REFUSED_IMPORT);
            tcp_abort(net, busy.conn);
        }
        body = behind;
    }
}

enum error net_import(struct net *net, struct bytes arena, struct bytes image, uint64_t now_ns)
{
    ASSERT(net->pool.high_water == 0);
    net->now_ns = now_ns;
    struct upgrade_header header;
    if (!read_header(image, &header) || !stretches_are_sound(&header, arena) || !fits(net, &header))
        return ERROR_INVALID;
    struct bytes body = bytes_from(image, sizeof header);
    if (check_of(&header, body, arena) != header.check)
        return ERROR_INVALID;
    net->cookie.keys[0] = header.cookie_keys[0];
    net->cookie.keys[1] = header.cookie_keys[1];
    net->cookie.epoch = header.cookie_epoch;
    net->cookie.epoch_end_ns = header.cookie_epoch_end_ns;
    memcpy(net->tcp->recent_syns, body.at, sizeof net->tcp->recent_syns);
    restore_rows(net, &header, arena);
    restore_time_wait(net, &header, arena);
    restore_all_busy(net, &header, bytes_from(body, sizeof net->tcp->recent_syns));
    return ERROR_NONE;
}
