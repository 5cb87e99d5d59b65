/* SPDX-License-Identifier: Apache-2.0
 *
 * A server's connections change their process while their peers go on. The first half runs here;
 * then the arena is copied, the image written, and this program started anew as another process
 * that gets both by descriptor, takes over, and talks to the same peers over a socket. The clock
 * is virtual on both sides: a message is a turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tcp.h"
#include "upgrade.h"

#define PORT 5222u
#define FRAME_MAX 1600u
#define WIRE_MAX 512u
#define STREAMS 24u
#define AHEAD 6000u /* octets a stream may be behind its echo */
#define MESSAGE_MAX (256u << 10)

/* ---- a wire: one end's queue of frames on their way to it ---- */

struct wire_frame {
    uint16_t size;
    uint8_t octets[FRAME_MAX];
};

struct port {
    struct nic_queue queue; /* first: ops get it back */
    struct metrics metrics;
    struct wire_frame out[WIRE_MAX];
    uint32_t out_count;
};

static bool port_take(struct nic_queue *queue, struct packet *packet)
{
    (void)queue;
    uint8_t *buffer = malloc(2048);
    *packet = (struct packet){.frame = buffer, .room = 2048, .buffer = buffer};
    return true;
}

static void port_release(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    (void)queue;
    for (uint32_t i = 0; i < count; i++)
        free(packets[i].buffer);
}

static void port_transmit(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    struct port *port = (struct port *)(void *)queue;
    for (uint32_t i = 0; i < count; i++) {
        struct wire_frame *frame = &port->out[port->out_count];
        if (port->out_count == WIRE_MAX) /* a full wire loses */
            break;
        memcpy(frame->octets, packets[i].frame, packets[i].size);
        frame->size = packets[i].size;
        port->out_count++;
    }
    port_release(queue, packets, count);
}

static void port_flush(struct nic_queue *queue)
{
    (void)queue;
}

static const struct nic_ops port_ops = {
    .take = port_take, .release = port_release, .transmit = port_transmit, .flush = port_flush};

/* ---- a host ---- */

struct host {
    struct port port;
    struct arena arena;
    struct heap heap;
    struct blob_table blobs;
    struct trace trace;
    struct random random;
    struct net_options options;
    struct net *net;
    struct net_events events;
};

static void host_init(struct host *host, uint8_t number, uint64_t now_ns)
{
    *host = (struct host){
        .port.queue = {.ops = &port_ops,
                       .metrics = &host->port.metrics,
                       .mac = {2, 0, 0, 0, 0, number},
                       .mtu = 1500},
    };
    heap_init(&host->heap, 64u << 20);
    random_init_seed(&host->random, number);
    assert_int_equal(trace_init(&host->trace, &host->heap, 256), ERROR_NONE);
    assert_int_equal(blob_table_init(&host->blobs, &host->heap, 4096), ERROR_NONE);
    host->options = (struct net_options){
        .nic = &host->port.queue,
        .arena = &host->arena,
        .heap = &host->heap,
        .blobs = &host->blobs,
        .metrics = &host->port.metrics,
        .trace = &host->trace,
        .random = &host->random,
        .key = {number, 77},
        .locals = {{{{[10] = 0xff, 0xff, 10, 0, 0, number}}, 24, 0}},
        .local_count = 1,
        .connections_max = 64,
        .hot_max = 64,
        .send_references_max = 2048,
        .connections_per_address = 64,
        .accepts_per_second = 100000,
        .receive_window = 30000,
        .reorder_bytes_max = 1 << 20,
        .send_bytes_max = 1 << 20,
        .liveness = {{0, NS_PER_SECOND, 3, 60 * NS_PER_SECOND},
                     {0, NS_PER_SECOND, 3, 60 * NS_PER_SECOND}},
        .time_wait_ns = 60 * NS_PER_SECOND,
        .time_wait_max = 16,
    };
    (void)now_ns;
}

static void host_start(struct host *host, uint64_t now_ns)
{
    size_t bytes = net_arena_bytes(&host->options) + ARENA_HEADER_SIZE;
    assert_int_equal(arena_create(&host->arena, "upgrade", bytes, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_int_equal(net_create(&host->net, &host->options, now_ns), ERROR_NONE);
}

static void host_close(struct host *host)
{
    net_destroy(&host->net);
    assert_int_equal(host->blobs.used, 0);
    blob_table_fini(&host->blobs);
    trace_fini(&host->trace, &host->heap);
    arena_destroy(&host->arena);
    assert_int_equal(heap_used_bytes(&host->heap), 0);
}

static void host_input(struct host *host, const struct wire_frame *frame, uint64_t now_ns)
{
    struct packet packet;
    (void)port_take(&host->port.queue, &packet);
    memcpy(packet.frame, frame->octets, frame->size);
    packet.size = frame->size;
    packet.flags = PACKET_IP_GOOD | PACKET_L4_GOOD;
    host->events.count = 0;
    assert_int_equal(net_input(host->net, &packet, 1, now_ns, &host->events), 1);
}

static void host_end_turn(struct host *host, uint64_t now_ns)
{
    net_release(host->net, now_ns);
    host->events.count = 0;
    net_timers(host->net, now_ns, &host->events);
    net_flush(host->net, now_ns);
    assert_true(tcp_is_valid(host->net));
}

/* ---- the server: says back what it hears, closes when the peer does ---- */

static void serve_events(struct host *host)
{
    for (uint32_t i = 0; i < host->events.count; i++) {
        const struct net_event *event = &host->events.items[i];
        if (event->kind == NET_DATA) {
            uint32_t blob = blob_create_copy(&host->blobs, event->octets);
            assert_int_not_equal(blob, BLOB_NONE);
            enum error error =
                tcp_send(host->net, event->conn, blob, 0, (uint32_t)event->octets.size);
            if (error != ERROR_NONE)
                (void)blob_put(&host->blobs, blob);
            assert_true(error == ERROR_NONE || error == ERROR_STALE);
        } else if (event->kind == NET_END) {
            tcp_close(host->net, event->conn);
        }
    }
}

static void serve_turn(struct host *host, const struct wire_frame *frames, uint32_t count,
                       uint64_t now_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        host_input(host, &frames[i], now_ns);
        serve_events(host);
    }
    host_end_turn(host, now_ns);
    serve_events(host);
}

/* ---- messages between the processes ---- */

struct message {
    uint64_t now_ns;
    int64_t resets_sent;
    int64_t imported_refused;
    uint32_t connections;
    uint32_t hot;
    uint32_t time_wait;
    uint32_t frame_count;
    struct wire_frame frames[WIRE_MAX / 4];
};
static_assert(sizeof(struct message) < (1u << 20), "one send");

static void send_message(int fd, const struct message *message)
{
    const uint8_t *at = (const uint8_t *)message;
    for (size_t sent = 0; sent < sizeof *message;) {
        ssize_t size = write(fd, at + sent, sizeof *message - sent);
        assert_true(size > 0);
        sent += (size_t)size;
    }
}

static bool receive_message(int fd, struct message *message)
{
    uint8_t *at = (uint8_t *)message;
    for (size_t got = 0; got < sizeof *message;) {
        ssize_t size = read(fd, at + got, sizeof *message - got);
        if (size <= 0)
            return false;
        got += (size_t)size;
    }
    return true;
}

static void take_frames(struct message *message, struct port *port)
{
    message->frame_count = 0;
    for (uint32_t i = 0; i < port->out_count && i < ARRAY_COUNT(message->frames); i++)
        message->frames[message->frame_count++] = port->out[i];
    port->out_count = 0;
}

/* ---- the new process ---- */

static struct bytes map_whole(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size > 0);
    void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    return bytes_of(at, (size_t)size);
}

static int take_over(int arena_fd, int image_fd, int peer_fd)
{
    static struct host host;
    static struct message message;
    struct bytes arena = map_whole(arena_fd);
    struct bytes image = map_whole(image_fd);
    assert_true(receive_message(peer_fd, &message));
    host_init(&host, 1, message.now_ns);
    random_init_seed(&host.random, 99); /* keys of its own, until it has the old ones */
    assert_int_equal(net_image_key(image, &host.options.key), ERROR_NONE);
    host.options.connections_max = 100; /* a new process may have room for more */
    host_start(&host, message.now_ns);
    assert_int_equal(net_listen(host.net, PORT), ERROR_NONE);
    assert_int_equal(net_import(host.net, arena, image, message.now_ns), ERROR_NONE);
    assert_true(tcp_is_valid(host.net));
    munmap((void *)(uintptr_t)arena.at, arena.size); /* nothing points into it */
    munmap((void *)(uintptr_t)image.at, image.size);
    do {
        serve_turn(&host, message.frames, message.frame_count, message.now_ns);
        take_frames(&message, &host.port);
        message.resets_sent = metric_get(&host.port.metrics, METRIC_TCP_RESETS_SENT);
        message.imported_refused = metric_get(&host.port.metrics, METRIC_NET_REFUSED_IMPORT);
        message.connections = net_usage(host.net).connections;
        message.hot = net_usage(host.net).hot;
        message.time_wait = net_usage(host.net).time_wait;
        send_message(peer_fd, &message);
    } while (receive_message(peer_fd, &message));
    host_close(&host);
    return 0;
}

/* ---- the peers ---- */

struct client {
    uint32_t conn;
    uint64_t said;
    uint64_t heard;
    uint64_t to_say;
    bool is_open;
    bool has_end;
    bool is_closed;
    enum net_close_why why;
};

static struct world {
    struct host server;
    struct host peers;
    struct client clients[STREAMS]; /* by the peers' row */
    uint64_t now_ns;
    bool is_dropping;   /* what the server sends is lost */
    uint32_t drop_next; /* so many frames to the server are lost */
} world;

static uint8_t pattern(uint32_t conn, uint64_t position)
{
    return (uint8_t)(position * 7 + position / 251 + conn);
}

static void hear(struct client *client, struct bytes octets)
{
    for (size_t i = 0; i < octets.size; i++)
        assert_int_equal(octets.at[i], pattern(client->conn, client->heard + i));
    client->heard += octets.size;
}

static void peers_events(void)
{
    struct host *host = &world.peers;
    for (uint32_t i = 0; i < host->events.count; i++) {
        const struct net_event *event = &host->events.items[i];
        assert_true(event->conn < ARRAY_COUNT(world.clients));
        struct client *client = &world.clients[event->conn];
        if (event->kind == NET_CONNECTED)
            client->is_open = true;
        else if (event->kind == NET_DATA)
            hear(client, event->octets);
        else if (event->kind == NET_END)
            client->has_end = true;
        else if (event->kind == NET_CLOSED) {
            client->is_closed = true;
            client->why = event->why;
        }
    }
}

static void client_say(struct client *client)
{
    uint8_t text[700];
    uint32_t size = 0;
    while (size < sizeof text && client->said + size < client->to_say &&
           client->said + size - client->heard < AHEAD) {
        text[size] = pattern(client->conn, client->said + size);
        size++;
    }
    if (size == 0)
        return;
    uint32_t blob = blob_create_copy(&world.peers.blobs, bytes_of(text, size));
    assert_int_equal(tcp_send(world.peers.net, client->conn, blob, 0, size), ERROR_NONE);
    client->said += size;
}

/* Half a turn: the peers hear these frames and answer. */
static void peers_turn(const struct wire_frame *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        host_input(&world.peers, &frames[i], world.now_ns);
        peers_events();
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(world.clients); i++)
        if (world.clients[i].is_open && !world.clients[i].is_closed)
            client_say(&world.clients[i]);
    host_end_turn(&world.peers, world.now_ns);
    peers_events();
}

static uint32_t peers_connect(uint64_t to_say)
{
    uint32_t conn =
        tcp_connect(world.peers.net, world.server.options.locals[0].address, PORT, world.now_ns);
    assert_true(conn < ARRAY_COUNT(world.clients));
    world.clients[conn] = (struct client){.conn = conn, .to_say = to_say};
    return conn;
}

/* The first half's wire: both hosts here, a millisecond each way. */
static void run_here(uint32_t turns)
{
    static struct wire_frame frames[WIRE_MAX];
    for (uint32_t i = 0; i < turns; i++) {
        uint32_t count = world.peers.port.out_count;
        uint32_t lost = world.drop_next < count ? world.drop_next : count;
        memcpy(frames, world.peers.port.out, count * sizeof frames[0]);
        world.peers.port.out_count = 0;
        world.drop_next -= lost;
        serve_turn(&world.server, frames + lost, count - lost, world.now_ns);
        world.now_ns += NS_PER_MS;
        count = world.is_dropping ? 0 : world.server.port.out_count;
        memcpy(frames, world.server.port.out, count * sizeof frames[0]);
        world.server.port.out_count = 0;
        peers_turn(frames, count);
        world.now_ns += NS_PER_MS;
    }
}

/* The server's row of a stream. */
static uint32_t server_conn(uint32_t client)
{
    uint16_t port = tcp_local_port(world.peers.net, client);
    for (uint32_t conn = 0; conn < net_row_end(world.server.net); conn++) {
        struct net_address address;
        uint16_t remote_port = 0;
        if (net_is_live(world.server.net, conn))
            tcp_remote(world.server.net, conn, &address, &remote_port);
        if (remote_port == port)
            return conn;
    }
    fail_msg("no row");
    return POOL_NONE;
}

static void open_world(void)
{
    memset(&world, 0, sizeof world);
    world.now_ns = 1000 * NS_PER_SECOND;
    host_init(&world.server, 1, world.now_ns);
    host_init(&world.peers, 2, world.now_ns);
    host_start(&world.server, world.now_ns);
    host_start(&world.peers, world.now_ns);
    assert_int_equal(net_listen(world.server.net, PORT), ERROR_NONE);
    for (uint32_t i = 0; i < STREAMS; i++)
        (void)peers_connect(i % 3 == 0 ? 400 : 100000);
    run_here(60);
    for (uint32_t i = 0; i < STREAMS; i++)
        assert_true(world.clients[i].is_open);
}

/* Every kind of connection an upgrade may meet. Stream 1 is closing and its FIN is lost, 2 has been
 * closed by the server and is a record of TIME_WAIT, 4 is ahead of a gap, the multiples of three
 * are parked, and the rest have lost what was in flight to them. */
static void make_a_mess(void)
{
    tcp_close(world.server.net, server_conn(2));
    world.clients[2].to_say = 0;
    run_here(40);
    tcp_close(world.peers.net, 2);
    run_here(20);
    assert_true(world.clients[2].is_closed);
    world.drop_next = 1;
    run_here(1);
    world.is_dropping = true;
    tcp_close(world.server.net, server_conn(1));
    run_here(8);
    assert_int_equal(peers_connect(5000), 2);
    run_here(1);
    world.is_dropping = false;
    run_here(1);
    assert_true(world.clients[2].is_open); /* by a cookie of this process; its ACK is on the way */
    assert_int_equal(net_usage(world.server.net).time_wait, 1);
    assert_true(net_usage(world.server.net).hot > 8);
    assert_true(net_usage(world.server.net).send_references > 8);
}

static struct bytes export_image(void)
{
    size_t size = net_export_bytes(world.server.net);
    uint8_t *room = malloc(size);
    struct writer into = writer_of(room, size);
    assert_int_equal(net_export(world.server.net, world.now_ns, &into), ERROR_NONE);
    assert_int_equal(into.size, size);
    return writer_bytes(&into);
}

static int memfd_of(const char *name, struct bytes octets)
{
    int fd = memfd_create(name, 0);
    assert_true(fd >= 0);
    for (size_t done = 0; done < octets.size;) {
        ssize_t size = write(fd, octets.at + done, octets.size - done);
        assert_true(size > 0);
        done += (size_t)size;
    }
    return fd;
}

/* Starts this program anew with copies of both; returns the socket to it. */
static int start_new_process(struct bytes image, pid_t *child)
{
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    struct bytes arena = bytes_of(world.server.arena.base, world.server.arena.size);
    int arena_fd = memfd_of("copied arena", arena);
    int image_fd = memfd_of("image", image);
    *child = fork();
    assert_true(*child >= 0);
    if (*child == 0) {
        char numbers[3][16];
        const int fds[3] = {arena_fd, image_fd, sockets[1]};
        for (uint32_t i = 0; i < 3; i++)
            (void)snprintf(numbers[i], sizeof numbers[i], "%d", fds[i]);
        close(sockets[0]);
        execl("/proc/self/exe", "upgrade_test", "take-over", numbers[0], numbers[1], numbers[2],
              (char *)NULL);
        _exit(127);
    }
    close(arena_fd);
    close(image_fd);
    close(sockets[1]);
    return sockets[0];
}

/* The second half's wire. */
static void run_there(int fd, uint32_t turns, struct message *message)
{
    for (uint32_t i = 0; i < turns; i++) {
        message->now_ns = world.now_ns;
        take_frames(message, &world.peers.port);
        send_message(fd, message);
        assert_true(receive_message(fd, message));
        world.now_ns += NS_PER_MS;
        peers_turn(message->frames, message->frame_count);
        world.now_ns += NS_PER_MS;
    }
}

/* The peers exchange octets with the same connections before and after, byte for byte, and see no
 * reset: parked, busy, closing, ahead of a gap, and half way through the handshake. */
static void connections_outlive_their_process(void **state)
{
    (void)state;
    static struct message message;
    open_world();
    make_a_mess();
    struct bytes image = export_image();
    pid_t child;
    int fd = start_new_process(image, &child);
    world.now_ns += 300 * NS_PER_MS; /* the blackout */
    world.peers.port.out_count = 0;
    for (uint32_t i = 0; i < STREAMS; i++)
        if (i % 3 == 0)
            world.clients[i].to_say += 3000;
    run_there(fd, 2500, &message);
    for (uint32_t i = 0; i < STREAMS; i++) {
        const struct client *client = &world.clients[i];
        if (i == 1)
            continue;
        assert_false(client->is_closed);
        assert_int_equal(client->heard, client->to_say);
    }
    assert_true(world.clients[1].has_end);
    assert_int_equal(message.resets_sent, 0);
    assert_int_equal(message.imported_refused, 0);
    assert_int_equal(metric_get(&world.peers.port.metrics, METRIC_TCP_RESETS_RECEIVED), 0);
    assert_int_equal(message.time_wait, 1);
    assert_int_equal(message.connections, STREAMS); /* 2 is the late one now */
    for (uint32_t i = 0; i < STREAMS; i++)
        if (!world.clients[i].is_closed)
            tcp_close(world.peers.net, i);
    run_there(fd, 1000, &message);
    assert_int_equal(message.connections, 0);
    assert_int_equal(message.hot, 0);
    for (uint32_t i = 0; i < STREAMS; i++)
        assert_int_equal(world.clients[i].why, NET_CLOSE_DONE);
    close(fd);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    free((void *)(uintptr_t)image.at);
    host_close(&world.peers);
    host_close(&world.server);
}

/* Imports what is given into a fresh host; it must be as if nothing had happened when refused. */
static enum error try_import(struct bytes arena, struct bytes image, uint64_t now_ns)
{
    static struct host host;
    host_init(&host, 1, now_ns);
    host_start(&host, now_ns);
    enum error error = net_import(host.net, arena, image, now_ns);
    if (error != ERROR_NONE)
        assert_int_equal(net_usage(host.net).connections, 0);
    host_close(&host);
    return error;
}

/* An image or an arena with anything changed, cut short, of another version, of the future or for
 * other options is refused whole. */
static void what_is_not_sound_is_refused(void **state)
{
    (void)state;
    open_world();
    make_a_mess();
    struct bytes image = export_image();
    uint8_t *octets = (uint8_t *)(uintptr_t)image.at;
    struct bytes arena = bytes_of(world.server.arena.base, world.server.arena.size);
    assert_int_equal(try_import(arena, image, world.now_ns), ERROR_NONE);
    assert_int_equal(try_import(arena, image, world.now_ns - 1), ERROR_INVALID);
    for (size_t size = 0; size < image.size; size += 1 + size / 50)
        assert_int_equal(try_import(arena, bytes_of(octets, size), world.now_ns), ERROR_INVALID);
    for (size_t bit = 0; bit < image.size * 8; bit += bit < 4096 ? 31 : 4999) {
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(try_import(arena, image, world.now_ns), ERROR_INVALID);
        octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    world.server.net->rows[server_conn(3)].rcv_nxt ^= 1u;
    assert_int_equal(try_import(arena, image, world.now_ns), ERROR_INVALID);
    world.server.net->rows[server_conn(3)].rcv_nxt ^= 1u;
    assert_int_equal(try_import(bytes_slice(arena, 0, 8192), image, world.now_ns), ERROR_INVALID);
    assert_int_equal(try_import(arena, image, world.now_ns), ERROR_NONE);
    free(octets);
    host_close(&world.peers);
    host_close(&world.server);
}

/* Room that is too small for the image, and an end nobody was told of yet, are refused. */
static void an_export_is_whole_or_none(void **state)
{
    (void)state;
    open_world();
    size_t size = net_export_bytes(world.server.net);
    uint8_t *room = malloc(size);
    struct writer into = writer_of(room, size - 1);
    assert_int_equal(net_export(world.server.net, world.now_ns, &into), ERROR_TOO_LARGE);
    tcp_abort(world.server.net, server_conn(0));
    into = writer_of(room, size);
    assert_int_equal(net_export(world.server.net, world.now_ns, &into), ERROR_INVALID);
    free(room);
    host_close(&world.peers);
    host_close(&world.server);
}

/* A smaller new process takes what it has room for, and resets the rest rather than lose a part of
 * its octets. */
static void a_smaller_process_takes_what_it_can(void **state)
{
    (void)state;
    open_world();
    make_a_mess();
    struct bytes image = export_image();
    struct bytes arena = bytes_of(world.server.arena.base, world.server.arena.size);
    static struct host host;
    host_init(&host, 1, world.now_ns);
    host.options.hot_max = 4;
    host.options.time_wait_max = 0;
    host_start(&host, world.now_ns);
    assert_int_equal(net_import(host.net, arena, image, world.now_ns), ERROR_NONE);
    int64_t refused = metric_get(&host.port.metrics, METRIC_NET_REFUSED_IMPORT);
    assert_true(refused > 4);
    assert_int_equal(net_usage(host.net).hot, 4);
    assert_true(tcp_is_valid(host.net));
    host_end_turn(&host, world.now_ns);
    assert_int_equal(host.events.count, refused);
    host_end_turn(&host, world.now_ns);
    host_close(&host);
    free((void *)(uintptr_t)image.at);
    host_close(&world.peers);
    host_close(&world.server);
}

int main(int argc, char **argv)
{
    if (argc == 5)
        return take_over((int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10),
                         (int)strtol(argv[4], NULL, 10));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_outlive_their_process),
        cmocka_unit_test(what_is_not_sound_is_refused),
        cmocka_unit_test(an_export_is_whole_or_none),
        cmocka_unit_test(a_smaller_process_takes_what_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
