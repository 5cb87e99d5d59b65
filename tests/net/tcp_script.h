/* SPDX-License-Identifier: Apache-2.0
 *
 * One `struct net` against scripted segments, in the manner of packetdrill: a test says what the
 * peer sends and looks at each frame that comes back. Sequence numbers are relative: 0 is the
 * first octet after the SYN, both ways. */
#ifndef STENTOR_TESTS_NET_TCP_SCRIPT_H
#define STENTOR_TESTS_NET_TCP_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_nic.h"
#include "frames.h"
#include "tcp.h"

#define SCRIPT_MSS 536u /* one of those a cookie carries exactly */

struct script {
    struct fake_nic nic;
    struct arena arena;
    struct heap heap;
    struct blob_table blobs;
    struct trace trace;
    struct random random;
    struct net_options options;
    struct net *net;
    struct net_events events;
    uint64_t now_ns;
    uint32_t seen;    /* frames looked at */
    uint32_t conn;
    uint32_t irs;     /* the peer's first octet */
    uint32_t iss;     /* our first octet */
    uint16_t window;  /* the peer's */
    bool has_timestamps;
    bool has_sack;
    bool has_ecn; /* asks for it in its SYN */
    uint8_t ecn;  /* of the IP headers of what it sends */
    uint32_t peer_ts;
    uint32_t our_ts; /* last seen */
    uint16_t port;
    uint8_t received[4096];
    size_t received_size;
};

struct sent {
    uint8_t flags;
    uint8_t ecn; /* IP_ECN_* */
    uint32_t seq; /* relative */
    uint32_t ack;
    uint16_t window;
    struct bytes options;
    struct bytes payload;
};

static inline void script_open(struct script *script)
{
    *script = (struct script){.now_ns = 100 * NS_PER_SECOND,
                              .window = 0x2000,
                              .conn = POOL_NONE,
                              .peer_ts = 5000,
                              .port = PEER_PORT};
    fake_nic_init(&script->nic);
    heap_init(&script->heap, 64u << 20);
    random_init_seed(&script->random, 7);
    assert_int_equal(trace_init(&script->trace, &script->heap, 256), ERROR_NONE);
    assert_int_equal(blob_table_init(&script->blobs, &script->heap, 1024), ERROR_NONE);
    script->options = (struct net_options){
        .nic = &script->nic.queue,
        .arena = &script->arena,
        .heap = &script->heap,
        .blobs = &script->blobs,
        .metrics = &script->nic.metrics,
        .trace = &script->trace,
        .random = &script->random,
        .key = {1, 2},
        .locals = {{net_address_of_ipv4(OUR_IPV4), 24, 0}},
        .local_count = 1,
        .routers = {{net_address_of_ipv4(GATEWAY_IPV4), 0}},
        .router_count = 1,
        .connections_max = 64,
        .hot_max = 16,
        .send_references_max = 64,
        .connections_per_address = 64,
        .accepts_per_second = 1000000,
        .receive_window = 20000,
        .reorder_bytes_max = 1 << 20,
        .send_bytes_max = 100000,
        .liveness = {{0, 5 * NS_PER_SECOND, 3, 300 * NS_PER_SECOND},
                     {0, 5 * NS_PER_SECOND, 3, 300 * NS_PER_SECOND}},
        .time_wait_ns = 60 * NS_PER_SECOND,
        .time_wait_max = 16,
    };
}

static inline void script_start(struct script *script)
{
    size_t bytes = net_arena_bytes(&script->options) + ARENA_HEADER_SIZE;
    assert_int_equal(arena_create(&script->arena, "script", bytes, ARENA_PAGES_SMALL), ERROR_NONE);
    assert_int_equal(net_create(&script->net, &script->options, script->now_ns), ERROR_NONE);
    assert_int_equal(net_listen(script->net, OUR_PORT), ERROR_NONE);
    net_flush(script->net, script->now_ns);
    script->seen = script->nic.sent_count;
}

static inline void script_close(struct script *script)
{
    net_destroy(&script->net);
    assert_int_equal(script->nic.buffers_out, 0);
    assert_int_equal(script->blobs.used, 0);
    blob_table_fini(&script->blobs);
    trace_fini(&script->trace, &script->heap);
    arena_destroy(&script->arena);
    assert_int_equal(heap_used_bytes(&script->heap), 0);
}

static inline int64_t script_metric(const struct script *script, enum metric metric)
{
    return metric_get(&script->nic.metrics, metric);
}

/* ---- the peer ---- */

static inline void script_keep_octets(struct script *script)
{
    for (uint32_t i = 0; i < script->events.count; i++) {
        const struct net_event *event = &script->events.items[i];
        if (event->kind != NET_DATA)
            continue;
        assert_true(script->received_size + event->octets.size <= sizeof script->received);
        memcpy(script->received + script->received_size, event->octets.at, event->octets.size);
        script->received_size += event->octets.size;
    }
}

/* One segment in, absolute numbers, options as given. */
static inline void script_input_raw(struct script *script, struct tcp_frame frame)
{
    uint8_t octets[FAKE_BUFFER_SIZE];
    struct writer into = writer_of(octets, sizeof octets);
    if (frame.source_port == 0)
        frame.source_port = script->port;
    write_tcp_frame(&into, &frame);
    struct tcp_header *header = (void *)(octets + NET_TCP_OFFSET);
    header->window = be16_of(script->window);
    fix_checksums(octets);
    struct packet packet = fake_nic_frame(&script->nic, writer_bytes(&into), 0);
    script->events.count = 0;
    assert_int_equal(net_input(script->net, &packet, 1, script->now_ns, &script->events), 1);
    script_keep_octets(script);
}

/* One segment in; numbers relative to the first octets. */
static inline void script_input(struct script *script, uint8_t flags, uint32_t seq, uint32_t ack,
                                struct bytes payload)
{
    uint8_t options[TCP_TIMESTAMPS_SIZE];
    tcp_options_write_timestamps(options, script->peer_ts, script->our_ts);
    struct tcp_frame frame = {
        .seq = script->irs + seq,
        .ack = (flags & TCP_ACK) != 0 ? script->iss + ack : 0,
        .flags = flags,
        .ecn = script->ecn,
        .payload = payload,
    };
    if (script->has_timestamps)
        frame.options = bytes_of(options, sizeof options);
    script_input_raw(script, frame);
}

/* The rest of the turn: owed acknowledgements, timers, what is queued. Events of the timers stand
 * in script->events after those of the input. */
static inline void script_turn(struct script *script)
{
    net_release(script->net, script->now_ns);
    net_timers(script->net, script->now_ns, &script->events);
    net_flush(script->net, script->now_ns);
    assert_true(tcp_is_valid(script->net));
}

static inline void script_advance(struct script *script, uint64_t duration_ns)
{
    uint64_t end_ns = script->now_ns + duration_ns;
    while (script->now_ns < end_ns) {
        uint64_t left_ns = end_ns - script->now_ns;
        script->now_ns += left_ns < NS_PER_MS ? left_ns : NS_PER_MS;
        script_turn(script);
    }
}

/* ---- what came back ---- */

/* The next TCP frame sent, if there is one. */
static inline bool script_next(struct script *script, struct sent *sent)
{
    while (script->seen < script->nic.sent_count) {
        const struct fake_frame *frame = &script->nic.sent[script->seen++ % FAKE_SENT_MAX];
        if ((frame->flags & PACKET_FILL_TCP) == 0)
            continue;
        const struct tcp_header *header = (const void *)(frame->octets + NET_TCP_OFFSET);
        uint32_t header_size = (uint32_t)(header->offset >> 4) * 4;
        const uint8_t *start = (const uint8_t *)header;
        *sent = (struct sent){
            .flags = header->flags,
            .ecn = frame->octets[15] & IP_ECN_MASK,
            .seq = be32_get(header->seq) - script->iss,
            .ack = be32_get(header->ack) - script->irs,
            .window = be16_get(header->window),
            .options = bytes_of(start + sizeof *header, header_size - sizeof *header),
            .payload = bytes_of(start + header_size,
                                frame->size - NET_TCP_OFFSET - header_size),
        };
        struct tcp_options options;
        tcp_options_read(sent->options, &options);
        if (options.has_timestamps)
            script->our_ts = options.ts_value;
        return true;
    }
    return false;
}

#define script_expect_none(script)                                                                 \
    do {                                                                                           \
        struct sent unexpected;                                                                    \
        assert_false(script_next(script, &unexpected));                                            \
    } while (0)

/* The next frame is this, or the test fails where it stands. */
#define script_expect(script, want_flags, want_seq, want_ack, want_size)                           \
    do {                                                                                           \
        struct sent expected = {0};                                                                \
        assert_true(script_next(script, &expected));                                               \
        assert_int_equal(expected.flags & ~TCP_PSH, want_flags);                                   \
        assert_int_equal(expected.seq, want_seq);                                                  \
        if ((expected.flags & TCP_ACK) != 0)                                                       \
            assert_int_equal(expected.ack, want_ack);                                              \
        assert_int_equal(expected.payload.size, want_size);                                        \
    } while (0)

static inline uint32_t script_event_count(const struct script *script, enum net_event_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < script->events.count; i++)
        count += script->events.items[i].kind == kind;
    return count;
}

/* The one NET_CLOSED among the events of this turn; fails when there is none. */
static inline enum net_close_why script_why(const struct script *script)
{
    for (uint32_t i = 0; i < script->events.count; i++)
        if (script->events.items[i].kind == NET_CLOSED)
            return script->events.items[i].why;
    fail_msg("no NET_CLOSED");
    return NET_CLOSE_DONE;
}

/* ---- handshake ---- */

/* SYN in, SYN-ACK out; sets iss. */
static inline struct sent script_syn(struct script *script, uint32_t isn, struct bytes options)
{
    struct sent sent = {0};
    script->irs = isn + 1;
    uint8_t flags = script->has_ecn ? TCP_SYN | TCP_ECE | TCP_CWR : TCP_SYN;
    script_input_raw(script, (struct tcp_frame){.seq = isn, .flags = flags, .options = options});
    script_turn(script);
    script->iss = 0;
    assert_true(script_next(script, &sent));
    assert_int_equal(sent.flags & ~TCP_ECE, TCP_SYN | TCP_ACK);
    assert_int_equal(sent.ack, 0);
    script->iss = sent.seq + 1;
    return sent;
}

/* A whole handshake with SCRIPT_MSS and, when asked for, timestamps; the connection is parked. */
static inline void script_accept(struct script *script)
{
    uint8_t octets[TCP_OPTIONS_SIZE_MAX];
    struct tcp_offer offer = {SCRIPT_MSS, TCP_SCALE_NONE, script->has_sack, false};
    struct tcp_options stamps = {.ts_value = script->peer_ts};
    uint32_t size =
        tcp_options_write_syn(octets, &offer, script->has_timestamps ? &stamps : NULL);
    (void)script_syn(script, 999, bytes_of(octets, size));
    script_input(script, TCP_ACK, 0, 0, BYTES(""));
    assert_int_equal(script_event_count(script, NET_ACCEPTED), 1);
    script->conn = script->events.items[0].conn;
    script_turn(script);
    script_expect_none(script);
    assert_string_equal(tcp_state_name(script->net, script->conn), "ESTABLISHED");
    assert_int_equal(net_usage(script->net).hot, 0);
}

/* Queues so many octets, counted 0, 1, 2 ... modulo 251 from `from`. */
static inline enum error script_send(struct script *script, uint32_t from, uint32_t size)
{
    uint8_t *into;
    uint32_t blob = blob_create(&script->blobs, size, &into);
    assert_int_not_equal(blob, BLOB_NONE);
    for (uint32_t i = 0; i < size; i++)
        into[i] = (uint8_t)((from + i) % 251);
    enum error error = tcp_send(script->net, script->conn, blob, 0, size);
    if (error != ERROR_NONE)
        (void)blob_put(&script->blobs, blob);
    return error;
}

#endif
