/* SPDX-License-Identifier: Apache-2.0
 *
 * echo, sink, source and caller (services.h). Sending ends in one of three ways: all went; TCP's
 * limit was reached, and NET_SENT says when to go on; a pool was empty, and services_retry() goes
 * on. */
#include "services.h"

#include <openssl/evp.h>

#include "stentor/text.h"

#define PORT_ECHO 7u
#define PORT_SINK 9u
#define PORT_CALLER 13u
#define PORT_SOURCE 19u
#define LINE_SIZE_MAX 64u
#define CHUNK_SIZE 16384u
#define SHA256_SIZE 32u

/* Octets of a blob that TCP did not take yet. */
struct pending {
    struct pending *next;
    uint32_t blob;
    uint32_t size;
};

struct row {
    EVP_MD_CTX *hash; /* sink */
    struct pending *head;
    struct pending *tail;
    uint64_t pending_bytes;
    uint64_t count;     /* sink: octets taken */
    uint64_t wanted;    /* source: octets of the line in work */
    uint64_t given;     /* source: of them, given to TCP */
    uint64_t key;       /* source: of the line in work */
    uint32_t line_size; /* source: octets of a line, or of several, not looked at yet */
    uint16_t port;      /* which service */
    bool is_live;
    bool is_ended; /* the peer sent FIN */
    bool is_closed;
    bool is_stalled; /* a pool was empty */
    char line[LINE_SIZE_MAX];
};

struct services {
    struct net *net;
    struct heap *heap;
    struct blob_table *blobs;
    struct row *rows;
    uint32_t row_count;
    uint64_t now_ns;
};

/* The finalizer of splitmix64 over key and place: cheap enough to check in any language. */
uint64_t services_word(uint64_t key, uint64_t index)
{
    uint64_t word = key + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

enum error services_create(struct services **services, struct heap *heap, struct blob_table *blobs,
                           uint32_t connections_max)
{
    struct services *made = heap_take_zeroed(heap, sizeof *made);
    struct row *rows = heap_take_zeroed(heap, connections_max * sizeof *rows);
    if (made == NULL || rows == NULL) {
        heap_give(heap, made);
        heap_give(heap, rows);
        return ERROR_NO_MEMORY;
    }
    *made =
        (struct services){.heap = heap, .blobs = blobs, .rows = rows, .row_count = connections_max};
    *services = made;
    return ERROR_NONE;
}

enum error services_listen(struct services *services, struct net *net)
{
    static const uint16_t ports[] = {PORT_ECHO, PORT_SINK, PORT_CALLER, PORT_SOURCE};
    services->net = net;
    for (uint32_t i = 0; i < ARRAY_COUNT(ports); i++) {
        enum error error = net_listen(net, ports[i]);
        if (error != ERROR_NONE)
            return error;
    }
    return ERROR_NONE;
}

static void row_end(struct services *services, struct row *row)
{
    while (row->head != NULL) {
        struct pending *gone = row->head;
        row->head = gone->next;
        void *owner = blob_put(services->blobs, gone->blob);
        ASSERT(owner == NULL);
        heap_give(services->heap, gone);
    }
    EVP_MD_CTX_free(row->hash);
    *row = (struct row){0};
}

void services_destroy(struct services **services)
{
    struct services *gone = *services;
    if (gone == NULL)
        return;
    *services = NULL;
    struct heap *heap = gone->heap;
    for (uint32_t i = 0; i < gone->row_count; i++)
        if (gone->rows[i].is_live)
            row_end(gone, &gone->rows[i]);
    heap_give(heap, gone->rows);
    heap_give(heap, gone);
}

/* ---- sending ---- */

/* One blob to TCP, with its reference. False when it has no room now; the reference is ours. */
static bool give_blob(struct services *services, uint32_t conn, uint32_t blob, uint32_t size)
{
    struct row *row = &services->rows[conn];
    enum error error = tcp_send(services->net, conn, blob, 0, size);
    row->is_stalled = error == ERROR_POOL_EMPTY;
    if (error == ERROR_NONE)
        return true;
    if (error == ERROR_LIMIT || error == ERROR_POOL_EMPTY)
        return false;
    row->is_closed = true; /* not open any more: nobody wants it */
    void *owner = blob_put(services->blobs, blob);
    ASSERT(owner == NULL);
    return true;
}

static void give_pending(struct services *services, uint32_t conn)
{
    struct row *row = &services->rows[conn];
    while (row->head != NULL) {
        struct pending *first = row->head;
        if (!give_blob(services, conn, first->blob, first->size))
            return;
        row->head = first->next;
        row->pending_bytes -= first->size;
        if (row->head == NULL)
            row->tail = NULL;
        heap_give(services->heap, first);
    }
}

/* Sends after all that waits. What cannot be kept ends the connection. */
static void say(struct services *services, uint32_t conn, struct bytes octets)
{
    struct row *row = &services->rows[conn];
    struct pending *added = heap_take(services->heap, sizeof *added);
    uint32_t blob = blob_create_copy(services->blobs, octets);
    if (added == NULL || blob == BLOB_NONE ||
        row->pending_bytes + octets.size > SERVICES_PENDING_MAX) {
        heap_give(services->heap, added);
        if (blob != BLOB_NONE)
            blob_put(services->blobs, blob);
        tcp_abort(services->net, conn);
        return;
    }
    *added = (struct pending){.blob = blob, .size = (uint32_t)octets.size};
    if (row->tail != NULL)
        row->tail->next = added;
    else
        row->head = added;
    row->tail = added;
    row->pending_bytes += octets.size;
    give_pending(services, conn);
}

/* ---- source ---- */

static void fill(uint64_t key, uint64_t offset, uint8_t *into, uint32_t size)
{
    for (uint32_t i = 0; i < size;) {
        uint64_t word = services_word(key, (offset + i) / 8);
        for (uint32_t at = (uint32_t)((offset + i) % 8); at < 8 && i < size; at++)
            into[i++] = (uint8_t)(word >> at * 8);
    }
}

/* False when TCP or a pool has no room for the next chunk. */
static bool give_chunk(struct services *services, uint32_t conn)
{
    struct row *row = &services->rows[conn];
    uint64_t left = row->wanted - row->given;
    uint32_t size = left < CHUNK_SIZE ? (uint32_t)left : CHUNK_SIZE;
    uint8_t *into;
    uint32_t blob = blob_create(services->blobs, size, &into);
    row->is_stalled = blob == BLOB_NONE;
    if (blob == BLOB_NONE)
        return false;
    fill(row->key, row->given, into, size);
    if (!give_blob(services, conn, blob, size)) {
        blob_put(services->blobs, blob);
        return false;
    }
    row->given += size;
    return true;
}

/* "PORT" -> a connection to it. Who asked hears nothing when it does not come about. */
static bool call(struct services *services, uint32_t conn, struct bytes line)
{
    struct net_address address;
    uint64_t port;
    uint16_t from;
    if (!decimal_parse(line, UINT16_MAX, &port))
        return false;
    tcp_remote(services->net, conn, &address, &from);
    return tcp_connect(services->net, address, (uint16_t)port, services->now_ns) != POOL_NONE;
}

/* "COUNT KEY" -> what to give next. */
static bool line_read(struct services *services, uint32_t conn, struct bytes line)
{
    struct row *row = &services->rows[conn];
    if (row->port == PORT_CALLER)
        return call(services, conn, line);
    size_t space = bytes_find(line, ' ');
    row->given = 0;
    return space < line.size &&
           decimal_parse(bytes_slice(line, 0, space), UINT32_MAX, &row->wanted) &&
           decimal_parse(bytes_from(line, space + 1), UINT64_MAX, &row->key);
}

/* Takes the first whole line; false when there is none. */
static bool line_take(struct services *services, uint32_t conn)
{
    struct row *row = &services->rows[conn];
    struct bytes all = bytes_of(row->line, row->line_size);
    size_t end = bytes_find(all, '\n');
    if (end == all.size)
        return false;
    if (!line_read(services, conn, bytes_slice(all, 0, end))) {
        tcp_abort(services->net, conn);
        return false;
    }
    row->line_size -= (uint32_t)end + 1;
    memmove(row->line, row->line + end + 1, row->line_size);
    return true;
}

static void give_source(struct services *services, uint32_t conn)
{
    struct row *row = &services->rows[conn];
    do {
        while (row->given < row->wanted && !row->is_closed)
            if (!give_chunk(services, conn))
                return;
    } while (line_take(services, conn));
}

static void take_source(struct services *services, uint32_t conn, struct bytes octets)
{
    struct row *row = &services->rows[conn];
    if (octets.size > LINE_SIZE_MAX - row->line_size) {
        tcp_abort(services->net, conn);
        return;
    }
    memcpy(row->line + row->line_size, octets.at, octets.size);
    row->line_size += (uint32_t)octets.size;
    give_source(services, conn);
}

/* ---- sink ---- */

static void take_sink(struct row *row, struct bytes octets)
{
    row->count += octets.size;
    int ok = EVP_DigestUpdate(row->hash, octets.at, octets.size);
    ASSERT(ok == 1);
}

static void answer_sink(struct services *services, uint32_t conn)
{
    struct row *row = &services->rows[conn];
    uint8_t digest[EVP_MAX_MD_SIZE];
    uint8_t text[20 + 1 + SHA256_SIZE * 2 + 1];
    struct writer writer = writer_of(text, sizeof text);
    int ok = EVP_DigestFinal_ex(row->hash, digest, NULL);
    ASSERT(ok == 1);
    write_decimal(&writer, row->count);
    write_u8(&writer, ' ');
    write_hex(&writer, bytes_of(digest, SHA256_SIZE));
    write_u8(&writer, '\n');
    say(services, conn, writer_bytes(&writer));
}

/* ---- events ---- */

static void row_begin(struct services *services, uint32_t conn, uint16_t port)
{
    struct row *row = &services->rows[conn];
    *row = (struct row){.is_live = true, .port = port};
    if (row->port != PORT_SINK)
        return;
    row->hash = EVP_MD_CTX_new();
    if (row->hash == NULL || EVP_DigestInit_ex(row->hash, EVP_sha256(), NULL) != 1)
        tcp_abort(services->net, conn);
}

static void take_octets(struct services *services, uint32_t conn, struct bytes octets)
{
    struct row *row = &services->rows[conn];
    if (row->port == PORT_ECHO)
        say(services, conn, octets);
    else if (row->port == PORT_SINK)
        take_sink(row, octets);
    else
        take_source(services, conn, octets);
}

/* Goes on where TCP had no room, and closes when the peer did and everything is said. */
static void go_on(struct services *services, uint32_t conn)
{
    struct row *row = &services->rows[conn];
    if (row->is_closed)
        return;
    give_pending(services, conn);
    if (row->port == PORT_SOURCE || row->port == PORT_CALLER)
        give_source(services, conn);
    if (!row->is_ended || row->head != NULL || row->given < row->wanted)
        return;
    row->is_closed = true;
    tcp_close(services->net, conn);
}

static void take_end(struct services *services, uint32_t conn)
{
    struct row *row = &services->rows[conn];
    row->is_ended = true;
    if (row->port == PORT_SINK)
        answer_sink(services, conn);
    go_on(services, conn);
}

void services_take(struct services *services, const struct net_events *events, uint64_t now_ns)
{
    services->now_ns = now_ns;
    for (uint32_t i = 0; i < events->count; i++) {
        const struct net_event *event = &events->items[i];
        ASSERT(event->conn < services->row_count);
        switch (event->kind) {
        case NET_ACCEPTED:
            row_begin(services, event->conn, tcp_local_port(services->net, event->conn));
            break;
        case NET_CONNECTED:
            row_begin(services, event->conn, PORT_ECHO);
            break;
        case NET_DATA:
            take_octets(services, event->conn, event->octets);
            break;
        case NET_END:
            take_end(services, event->conn);
            break;
        case NET_SENT:
            go_on(services, event->conn);
            break;
        case NET_CLOSED:
            row_end(services, &services->rows[event->conn]);
            break;
        }
    }
}

void services_retry(struct services *services)
{
    uint32_t end = net_row_end(services->net);
    for (uint32_t conn = 0; conn < end; conn++)
        if (services->rows[conn].is_stalled)
            go_on(services, conn);
}
