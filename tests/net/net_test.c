/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of the floor with all of TCP behind it: bursts in, events out, packets held and given
 * back, limits, drops. Frames are made by hand; the peer's side of TCP is played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake_nic.h"
#include "frames.h"
#include "net_state.h"

#define SECOND UINT64_C(1000000000)

static struct fixture {
    struct fake_nic nic;
    struct arena arena;
    struct heap heap;
    struct blob_table blobs;
    struct trace trace;
    struct random random;
    struct net *net;
    struct net_events events;
    uint64_t now_ns;
} fixture;

static struct net_options options_of(uint32_t connections_max, uint32_t per_address)
{
    return (struct net_options){.nic = &fixture.nic.queue,
                                .arena = &fixture.arena,
                                .heap = &fixture.heap,
                                .blobs = &fixture.blobs,
                                .metrics = &fixture.nic.metrics,
                                .trace = &fixture.trace,
                                .random = &fixture.random,
                                .key = {21, 22},
                                .locals = {{net_address_of_ipv4(OUR_IPV4), 24, 0}},
                                .local_count = 1,
                                .routers = {{net_address_of_ipv4(GATEWAY_IPV4), 0}},
                                .router_count = 1,
                                .connections_max = connections_max,
                                .hot_max = 64,
                                .send_references_max = 256,
                                .connections_per_address = per_address,
                                .accepts_per_second = 100000,
                                .receive_window = 32768,
                                .reorder_bytes_max = 1u << 20,
                                .send_bytes_max = 1u << 16,
                                .liveness = {{1200 * SECOND, 75 * SECOND, 5, 120 * SECOND},
                                             {1200 * SECOND, 75 * SECOND, 5, 120 * SECOND}},
                                .time_wait_ns = 60 * SECOND,
                                .time_wait_max = 64,
                                .worker = 3};
}

static void start(uint32_t connections_max, uint32_t per_address)
{
    memset(&fixture, 0, sizeof fixture);
    fake_nic_init(&fixture.nic);
    heap_init(&fixture.heap, 64u << 20);
    random_init_seed(&fixture.random, 8);
    fixture.now_ns = 100 * SECOND;
    assert_int_equal(blob_table_init(&fixture.blobs, &fixture.heap, 64), ERROR_NONE);
    assert_int_equal(trace_init(&fixture.trace, &fixture.heap, 64), ERROR_NONE);
    struct net_options options = options_of(connections_max, per_address);
    assert_int_equal(arena_create(&fixture.arena, "net",
                                  ARENA_HEADER_SIZE + net_arena_bytes(&options), ARENA_PAGES_SMALL),
                     ERROR_NONE);
    assert_int_equal(net_create(&fixture.net, &options, fixture.now_ns), ERROR_NONE);
    assert_int_equal(net_listen(fixture.net, OUR_PORT), ERROR_NONE);
    net_flush(fixture.net, fixture.now_ns);
    fixture.nic.sent_count = 0;
}

/* Everything that was taken is given back: buffers, heap. */
static void stop(void)
{
    net_destroy(&fixture.net);
    assert_null(fixture.net);
    assert_int_equal(fixture.nic.buffers_out, 0);
    trace_fini(&fixture.trace, &fixture.heap);
    blob_table_fini(&fixture.blobs);
    assert_int_equal(heap_used_bytes(&fixture.heap), 0);
    arena_destroy(&fixture.arena);
}

static struct packet packet_of(const struct tcp_frame *frame)
{
    uint8_t octets[2048];
    struct writer into = writer_of(octets, sizeof octets);
    write_tcp_frame(&into, frame);
    return fake_nic_frame(&fixture.nic, writer_bytes(&into), 0);
}

static void input(struct packet *packets, uint32_t count)
{
    fixture.events.count = 0;
    assert_int_equal(net_input(fixture.net, packets, count, fixture.now_ns, &fixture.events),
                     count);
}

static void input_one(const struct tcp_frame *frame)
{
    struct packet packet = packet_of(frame);
    input(&packet, 1);
}

static void end_turn(void)
{
    net_release(fixture.net, fixture.now_ns);
    net_flush(fixture.net, fixture.now_ns);
}

static int64_t count_of(enum metric metric)
{
    return metric_get(&fixture.nic.metrics, metric);
}

static const struct tcp_header *last_sent(void)
{
    assert_true(fixture.nic.sent_count > 0);
    uint32_t at = (fixture.nic.sent_count - 1) % FAKE_SENT_MAX;
    return (const void *)(fixture.nic.sent[at].octets + NET_TCP_OFFSET);
}

/* A SYN from that port; returns our initial sequence number. */
static uint32_t send_syn(uint32_t source, uint16_t port, uint32_t seq)
{
    uint32_t before = fixture.nic.sent_count;
    input_one(
        &(struct tcp_frame){.source = source, .source_port = port, .seq = seq, .flags = TCP_SYN});
    end_turn();
    assert_int_equal(fixture.nic.sent_count, before + 1);
    assert_int_equal(last_sent()->flags & (TCP_SYN | TCP_ACK), TCP_SYN | TCP_ACK);
    assert_int_equal(be32_get(last_sent()->ack), seq + 1);
    return be32_get(last_sent()->seq);
}

/* The last segment of the handshake that send_syn(.., 1000) began. */
static uint32_t accept_with(uint32_t source, uint16_t port, uint32_t isn)
{
    input_one(&(struct tcp_frame){
        .source = source, .source_port = port, .seq = 1001, .ack = isn + 1, .flags = TCP_ACK});
    if (fixture.events.count == 0)
        return POOL_NONE;
    assert_int_equal(fixture.events.items[0].kind, NET_ACCEPTED);
    uint32_t conn = fixture.events.items[0].conn;
    end_turn();
    return conn;
}

static uint32_t accept_from(uint32_t source, uint16_t port)
{
    return accept_with(source, port, send_syn(source, port, 1000));
}

/* The last segment of the handshake and data behind it in one burst: the row that the first opens
 * is found by the second, and the view stays good until the turn ends. */
static void accepts_and_reads_in_one_burst(void **state)
{
    (void)state;
    start(16, 16);
    uint32_t isn = send_syn(PEER_IPV4, PEER_PORT, 1000);
    assert_int_equal(net_usage(fixture.net).connections, 0);
    struct packet packets[3] = {
        packet_of(&(struct tcp_frame){.seq = 1001, .ack = isn + 1, .flags = TCP_ACK}),
        packet_of(&(struct tcp_frame){
            .seq = 1001, .ack = isn + 1, .flags = TCP_ACK, .payload = BYTES("<stream")}),
        packet_of(&(struct tcp_frame){
            .seq = 1008, .ack = isn + 1, .flags = TCP_ACK, .payload = BYTES("/>"), .padding = 4}),
    };
    input(packets, 3);
    assert_int_equal(fixture.events.count, 3);
    const struct net_event *events = fixture.events.items;
    assert_int_equal(events[0].kind, NET_ACCEPTED);
    assert_int_equal(events[1].kind, NET_DATA);
    assert_true(bytes_equal(events[1].octets, BYTES("<stream")));
    assert_true(bytes_equal(events[2].octets, BYTES("/>")));
    assert_int_equal(events[1].conn, events[0].conn);
    assert_true(fixture.nic.buffers_out >= 2);
    end_turn();
    assert_int_equal(fixture.nic.buffers_out, 0);
    assert_int_equal(be32_get(last_sent()->ack), 1010);
    stop();
}

/* Names of a connection: handle, address, port; none after it is gone. */
static void names_connections(void **state)
{
    (void)state;
    start(16, 16);
    uint32_t conn = accept_from(FAR_IPV4, 555);
    assert_true(net_is_live(fixture.net, conn));
    struct handle handle = net_handle(fixture.net, conn);
    assert_int_equal(handle_worker(handle), 3);
    assert_int_equal(net_find(fixture.net, handle), conn);
    assert_true(net_row_end(fixture.net) > conn);
    net_prefetch(fixture.net, conn);
    struct net_address address;
    uint16_t port;
    tcp_remote(fixture.net, conn, &address, &port);
    assert_int_equal(net_address_ipv4(&address), FAR_IPV4);
    assert_int_equal(port, 555);
    assert_int_equal(tcp_local_port(fixture.net, conn), OUR_PORT);
    assert_string_equal(tcp_state_name(fixture.net, conn), "ESTABLISHED");

    tcp_abort(fixture.net, conn);
    fixture.events.count = 0;
    net_timers(fixture.net, fixture.now_ns, &fixture.events);
    assert_int_equal(fixture.events.count, 1);
    assert_int_equal(fixture.events.items[0].kind, NET_CLOSED);
    end_turn();
    assert_false(net_is_live(fixture.net, conn));
    assert_int_equal(net_find(fixture.net, handle), POOL_NONE);
    assert_int_equal(net_usage(fixture.net).connections, 0);
    stop();
}

/* With too few places for events left nothing is taken; with some, a part; the rest comes with the
 * next call. */
static void stops_when_events_run_short(void **state)
{
    (void)state;
    start(16, 16);
    uint32_t isn = send_syn(PEER_IPV4, PEER_PORT, 1000);
    input_one(&(struct tcp_frame){.seq = 1001, .ack = isn + 1, .flags = TCP_ACK});
    end_turn();
    struct packet packets[40];
    for (uint32_t i = 0; i < ARRAY_COUNT(packets); i++)
        packets[i] = packet_of(&(struct tcp_frame){
            .seq = 1001 + i, .ack = isn + 1, .flags = TCP_ACK, .payload = BYTES("x")});
    fixture.events.count = ARRAY_COUNT(fixture.events.items) - NET_EVENTS_RESERVE + 1;
    assert_int_equal(net_input(fixture.net, packets, 40, fixture.now_ns, &fixture.events), 0);
    fixture.events.count = ARRAY_COUNT(fixture.events.items) - NET_EVENTS_RESERVE - 4;
    uint32_t taken = net_input(fixture.net, packets, 40, fixture.now_ns, &fixture.events);
    assert_int_equal(taken, 5);
    input(packets + taken, 40 - taken);
    assert_int_equal(fixture.events.count, 40 - taken);
    assert_int_equal(fixture.events.items[0].octets.size, 1);
    end_turn();
    assert_int_equal(be32_get(last_sent()->ack), 1041);
    stop();
}

/* 100,000 SYNs from made-up addresses: each is answered in its own packet and nothing is kept. */
static void keeps_nothing_of_a_syn_flood(void **state)
{
    (void)state;
    start(16, 16);
    for (uint32_t i = 0; i < 100000; i++) {
        input_one(&(struct tcp_frame){.source = 0x14000000u + i,
                                      .source_port = (uint16_t)(i | 1),
                                      .seq = i,
                                      .flags = TCP_SYN});
        if (i % 16 == 15)
            end_turn();
    }
    end_turn();
    assert_int_equal(fixture.nic.sent_count, 100000);
    assert_int_equal(net_usage(fixture.net).connections, 0);
    assert_int_equal(fixture.net->limit.address_count, 0);
    assert_int_not_equal(accept_from(PEER_IPV4, 7), POOL_NONE);
    stop();
}

/* Rows are refused over the limit of one address and in all, counted, and the places come back. */
static void limits_connections(void **state)
{
    (void)state;
    start(16, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_not_equal(accept_from(PEER_IPV4, (uint16_t)(100 + i)), POOL_NONE);
    assert_int_equal(accept_from(PEER_IPV4, 103), POOL_NONE);
    assert_int_equal(count_of(METRIC_NET_REFUSED_ADDRESS), 1);
    uint32_t late_isn = send_syn(PEER_IPV4 + 20, 100, 1000);
    for (uint32_t i = 3; i < 16; i++)
        assert_int_not_equal(accept_from(PEER_IPV4 + i, 100), POOL_NONE);
    assert_int_equal(accept_with(PEER_IPV4 + 20, 100, late_isn), POOL_NONE);
    assert_int_equal(count_of(METRIC_NET_REFUSED_ROWS), 1);
    assert_int_equal(fixture.net->limit.address_count, 14);
    assert_int_equal(count_of(METRIC_NET_CONNECTIONS), 16);
    for (uint32_t conn = 0; conn < 16; conn++)
        tcp_abort(fixture.net, conn);
    fixture.events.count = 0;
    net_timers(fixture.net, fixture.now_ns, &fixture.events);
    end_turn();
    assert_int_equal(fixture.net->limit.address_count, 0);
    assert_int_equal(fixture.net->table.used, 0);
    assert_int_not_equal(accept_from(PEER_IPV4, 103), POOL_NONE);
    stop();
}

/* A refused frame of each floor counts once, under its own name, and its buffer comes back; what
 * the port calls bad is not run. */
static void counts_drops(void **state)
{
    (void)state;
    start(16, 16);
    struct packet packets[4];
    packets[0] = packet_of(&(struct tcp_frame){.flags = 0});
    packets[1] = packet_of(&(struct tcp_frame){.flags = TCP_SYN});
    packets[1].frame[0] ^= 2;
    packets[2] = packet_of(&(struct tcp_frame){.flags = TCP_SYN});
    packets[2].flags = PACKET_CHECKSUM_BAD;
    packets[3] = packet_of(&(struct tcp_frame){.flags = TCP_SYN});
    packets[3].size = 5;
    input(packets, 4);
    end_turn();
    assert_int_equal(count_of(METRIC_NET_DROP_TCP_FLAGS), 1);
    assert_int_equal(count_of(METRIC_NET_DROP_ETHERNET_OTHER), 1);
    assert_int_equal(count_of(METRIC_NET_DROP_CHECKSUM_BAD), 1);
    assert_int_equal(count_of(METRIC_NET_DROP_ETHERNET_SHORT), 1);
    assert_int_equal(fixture.nic.sent_count, 0);
    stop();
}

/* ARP and echo go through the same door. */
static void answers_neighbours(void **state)
{
    (void)state;
    start(16, 16);
    uint8_t octets[128];
    struct writer into = writer_of(octets, sizeof octets);
    write_ethernet(&into, every_mac, peer_mac, ETHERNET_TYPE_ARP);
    write_arp(&into, ARP_REQUEST, peer_mac, PEER_IPV4, OUR_IPV4);
    struct packet packets[2];
    packets[0] = fake_nic_frame(&fixture.nic, writer_bytes(&into), 0);
    into = writer_of(octets, sizeof octets);
    write_echo_frame(&into, BYTES("ping"), 10);
    packets[1] = fake_nic_frame(&fixture.nic, writer_bytes(&into), 0);
    input(packets, 2);
    end_turn();
    assert_int_equal(count_of(METRIC_NET_ARP_REPLIES), 1);
    assert_int_equal(count_of(METRIC_NET_ECHO_REPLIES), 1);
    assert_int_equal(fixture.nic.sent_count, 2);
    stop();
}

/* Ports: twice is refused, too many are refused, closing one leaves established ones alone. */
static void listens(void **state)
{
    (void)state;
    start(16, 16);
    assert_int_equal(net_listen(fixture.net, OUR_PORT), ERROR_EXISTS);
    for (uint16_t port = 1; port < NET_PORTS_MAX; port++)
        assert_int_equal(net_listen(fixture.net, port), ERROR_NONE);
    assert_int_equal(net_listen(fixture.net, 99), ERROR_LIMIT);
    uint32_t conn = accept_from(PEER_IPV4, 44);
    net_unlisten(fixture.net, OUR_PORT);
    net_unlisten(fixture.net, OUR_PORT);
    assert_true(net_is_live(fixture.net, conn));
    assert_int_equal(net_listen(fixture.net, 99), ERROR_NONE);
    input_one(&(struct tcp_frame){.source_port = 45, .seq = 1, .flags = TCP_SYN});
    end_turn();
    assert_true((last_sent()->flags & TCP_RST) != 0);
    stop();
}

/* The next instant of work is the gateway's confirmation while nothing else runs. */
static void knows_its_next_instant(void **state)
{
    (void)state;
    start(16, 16);
    uint64_t next_ns = net_next_ns(fixture.net, fixture.now_ns);
    assert_true(next_ns >= fixture.now_ns);
    assert_true(next_ns <= fixture.now_ns + 2 * SECOND);
    stop();
}

/* Noise of every kind through the whole door, with time going by: no event without a connection,
 * nothing kept. */
static void survives_noise(void **state)
{
    (void)state;
    start(16, 16);
    struct random random;
    random_init_seed(&random, 77);
    for (uint32_t round = 0; round < 20000; round++) {
        struct packet packets[8];
        for (uint32_t i = 0; i < ARRAY_COUNT(packets); i++) {
            packets[i] = packet_of(&(struct tcp_frame){.seq = random_u32(&random),
                                                       .ack = random_u32(&random),
                                                       .flags = (uint8_t)random_u32(&random),
                                                       .payload = BYTES("noise")});
            if (random_below(&random, 2) == 0)
                packets[i].frame[random_below(&random, packets[i].size)] =
                    (uint8_t)random_u32(&random);
            packets[i].flags = random_below(&random, 2) == 0 ? PACKET_IP_GOOD | PACKET_L4_GOOD : 0;
        }
        input(packets, ARRAY_COUNT(packets));
        end_turn();
        net_timers(fixture.net, fixture.now_ns, &fixture.events);
        fixture.now_ns += random_below(&random, 100000000);
    }
    assert_int_equal(net_usage(fixture.net).connections, 0);
    stop();
}

/* An arena too small for the tables is an error, and nothing is left over. */
static void refuses_a_small_arena(void **state)
{
    (void)state;
    start(16, 16);
    struct net_options options = options_of(1000000, 16);
    struct net *net = NULL;
    uint64_t before = heap_used_bytes(&fixture.heap);
    assert_int_equal(net_create(&net, &options, fixture.now_ns), ERROR_NO_MEMORY);
    assert_int_equal(heap_used_bytes(&fixture.heap), before);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_and_reads_in_one_burst),
        cmocka_unit_test(names_connections),
        cmocka_unit_test(stops_when_events_run_short),
        cmocka_unit_test(keeps_nothing_of_a_syn_flood),
        cmocka_unit_test(limits_connections),
        cmocka_unit_test(counts_drops),
        cmocka_unit_test(answers_neighbours),
        cmocka_unit_test(listens),
        cmocka_unit_test(knows_its_next_instant),
        cmocka_unit_test(survives_noise),
        cmocka_unit_test(refuses_a_small_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
