/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation with one connection: the input is a list of steps, each a segment with right
 * checksums and numbers near where the connection stands, a stretch of time, a call of the
 * application, an ICMP error, or a moment without buffers. What may come of it:
 *   - octets handed up are the peer's stream, in order, whatever overlaps arrived;
 *   - octets sent are ours, the same at each transmission, none further past what was acknowledged
 *     than the largest window ever offered (RFC 9293 3.10.7.4: an acknowledgement that is not newer
 *     moves snd_una and leaves the window's size as it was);
 *   - rcv_nxt, snd_una and the promised right edge only move right while the connection lives;
 *   - a step sends and raises no more than a bound;
 *   - every extension keeps its armed timer (tcp_is_valid); in the end every pool is empty. */
#include "fake_nic.h"
#include "frames.h"
#include "icmp_frames.h"
#include "net_state.h"
#include "tcp.h"

#define START_NS UINT64_C(100000000000)
#define STEPS_MAX 400u
#define SENT_A_STEP_MAX 200u /* more than a window of 64 KB in segments of the floor's MSS */
#define SEND_MAX 20000u
#define MINUTE_NS (60 * NS_PER_SECOND)

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static struct fake_nic nic;
static struct arena arena;
static struct heap heap;
static struct blob_table blobs;
static struct trace trace;
static struct random random_;
static struct net_options options;

/* One conversation. */
struct talk {
    struct net *net;
    struct net_events events;
    uint64_t now_ns;
    struct cursor input;
    uint32_t conn;
    struct handle handle;
    bool is_live;
    bool has_timestamps;
    bool has_sack;
    uint8_t scale;
    uint32_t irs;        /* the peer's first octet */
    uint32_t iss;        /* ours */
    uint32_t received;   /* octets handed up */
    uint32_t window_max; /* the largest ever offered */
    uint32_t acked_max;  /* the furthest acknowledgement that counted or may have */
    uint32_t ts;         /* the peer's clock */
    uint32_t our_ts;     /* last seen */
    uint32_t rcv_nxt, snd_una, rcv_adv;
    uint32_t sent_seen;
};

static void make_options(void)
{
    fake_nic_init(&nic);
    heap_init(&heap, 64u << 20);
    bool is_ready = trace_init(&trace, &heap, 64) == ERROR_NONE &&
                    blob_table_init(&blobs, &heap, 64) == ERROR_NONE;
    ASSERT(is_ready);
    options = (struct net_options){.nic = &nic.queue,
                                   .arena = &arena,
                                   .heap = &heap,
                                   .blobs = &blobs,
                                   .metrics = &nic.metrics,
                                   .trace = &trace,
                                   .random = &random_,
                                   .key = {1, 2},
                                   .locals = {{net_address_of_ipv4(OUR_IPV4), 24, 0}},
                                   .local_count = 1,
                                   .routers = {{net_address_of_ipv4(GATEWAY_IPV4), 0}},
                                   .router_count = 1,
                                   .connections_max = 4,
                                   .hot_max = 2,
                                   .send_references_max = 8,
                                   .connections_per_address = 4,
                                   .accepts_per_second = 1000000000,
                                   .receive_window = 20000,
                                   .reorder_bytes_max = 65536,
                                   .send_bytes_max = 60000,
                                   .liveness = {{MINUTE_NS, NS_PER_SECOND, 3, 5 * MINUTE_NS},
                                                {MINUTE_NS, NS_PER_SECOND, 3, 5 * MINUTE_NS}},
                                   .time_wait_ns = MINUTE_NS,
                                   .time_wait_max = 4};
    size_t bytes = ARENA_HEADER_SIZE + net_arena_bytes(&options);
    is_ready = arena_create(&arena, "fuzz", bytes, ARENA_PAGES_SMALL) == ERROR_NONE;
    ASSERT(is_ready);
}

static uint8_t peer_octet(uint32_t offset)
{
    return (uint8_t)(offset % 251);
}

static uint8_t our_octet(uint32_t offset)
{
    return (uint8_t)(offset % 241 + 3);
}

/* ---- numbers from the input; zero when it is used up ---- */

static uint8_t u8(struct talk *talk)
{
    uint8_t value;
    return cursor_u8(&talk->input, &value) ? value : 0;
}

static uint16_t u16(struct talk *talk)
{
    uint16_t value;
    return cursor_be16(&talk->input, &value) ? value : 0;
}

/* Near zero mostly, anywhere at times. */
static uint32_t offset_of(struct talk *talk)
{
    int16_t value = (int16_t)u16(talk);
    return (value & 7) == 7 ? (uint32_t)value << 16 : (uint32_t)(value >> 3);
}

/* ---- what comes out ---- */

static void check_sent(struct talk *talk, const struct fake_frame *frame)
{
    if ((frame->flags & PACKET_FILL_TCP) == 0)
        return;
    const struct tcp_header *header = (const void *)(frame->octets + NET_TCP_OFFSET);
    uint32_t header_size = (uint32_t)(header->offset >> 4) * 4;
    uint32_t size = frame->size - NET_TCP_OFFSET - header_size;
    uint32_t seq = be32_get(header->seq);
    const uint8_t *payload = (const uint8_t *)header + header_size;
    ASSERT(header_size >= sizeof *header);
    struct tcp_options read;
    tcp_options_read(bytes_of(header + 1, header_size - sizeof *header), &read);
    if (read.has_timestamps)
        talk->our_ts = read.ts_value;
    for (uint32_t i = 0; i < size; i++)
        ASSERT(payload[i] == our_octet(seq - talk->iss + i));
    if (size != 0)
        ASSERT(seq + size - talk->acked_max <= talk->window_max + 1 || /* a probe goes past it */
               !seq_is_after(seq + size, talk->acked_max));
}

static void check_events(struct talk *talk)
{
    for (uint32_t i = 0; i < talk->events.count; i++) {
        const struct net_event *event = &talk->events.items[i];
        ASSERT(event->kind != NET_CONNECTED);
        if (event->kind == NET_CLOSED && event->conn == talk->conn && talk->is_live)
            talk->is_live = false;
        if (event->kind != NET_DATA || event->conn != talk->conn)
            continue;
        for (size_t k = 0; k < event->octets.size; k++)
            ASSERT(event->octets.at[k] == peer_octet(talk->received++));
    }
    talk->events.count = 0;
}

static void check_row(struct talk *talk)
{
    if (!talk->is_live || net_find(talk->net, talk->handle) == POOL_NONE)
        return;
    const struct tcp_row *row = &talk->net->rows[talk->conn];
    uint32_t una = tcp_una(talk->net, row);
    ASSERT(!seq_is_before(row->rcv_nxt, talk->rcv_nxt));
    ASSERT(!seq_is_before(row->rcv_adv, talk->rcv_adv));
    ASSERT(!seq_is_before(una, talk->snd_una));
    ASSERT(!seq_is_after(una, row->snd_nxt));
    talk->rcv_nxt = row->rcv_nxt;
    talk->rcv_adv = row->rcv_adv;
    talk->snd_una = una;
}

/* The end of a step: what it sent and raised is judged. */
static void settle(struct talk *talk)
{
    ASSERT(nic.sent_count - talk->sent_seen <= SENT_A_STEP_MAX);
    while (talk->sent_seen != nic.sent_count)
        check_sent(talk, &nic.sent[talk->sent_seen++ % FAKE_SENT_MAX]);
    check_events(talk);
    check_row(talk);
    ASSERT(tcp_is_valid(talk->net));
}

static void turn(struct talk *talk)
{
    check_events(talk); /* before their views end */
    net_release(talk->net, talk->now_ns);
    net_timers(talk->net, talk->now_ns, &talk->events);
    net_flush(talk->net, talk->now_ns);
    settle(talk);
}

/* ---- what goes in ---- */

static void input(struct talk *talk, struct bytes frame)
{
    struct packet packet = fake_nic_frame(&nic, frame, 0);
    uint32_t taken = net_input(talk->net, &packet, 1, talk->now_ns, &talk->events);
    ASSERT(taken == 1);
}

static void input_tcp(struct talk *talk, const struct tcp_frame *text, uint16_t window)
{
    uint8_t octets[FAKE_BUFFER_SIZE];
    struct writer into = writer_of(octets, sizeof octets);
    write_tcp_frame(&into, text);
    struct tcp_header *header = (void *)(octets + NET_TCP_OFFSET);
    header->window = be16_of(window);
    fix_checksums(octets);
    input(talk, writer_bytes(&into));
}

static void write_sack(struct talk *talk, struct writer *into)
{
    uint32_t count = u8(talk) % 4;
    write_u8(into, TCP_OPTION_NOP);
    write_u8(into, TCP_OPTION_NOP);
    write_u8(into, TCP_OPTION_SACK);
    write_u8(into, (uint8_t)(2 + 8 * count));
    for (uint32_t i = 0; i < 2 * count; i++) {
        struct be32 edge = be32_of(talk->snd_una + offset_of(talk));
        write_bytes(into, bytes_of(&edge, sizeof edge));
    }
}

static void write_options(struct talk *talk, struct writer *into, uint8_t what)
{
    if ((what & 1) != 0 || talk->has_timestamps) {
        uint8_t octets[TCP_TIMESTAMPS_SIZE];
        uint32_t value = talk->ts + ((what & 2) != 0 ? offset_of(talk) : 0);
        tcp_options_write_timestamps(octets, value, talk->our_ts);
        write_bytes(into, bytes_of(octets, sizeof octets));
    }
    if ((what & 4) != 0 && into->size <= TCP_TIMESTAMPS_SIZE)
        write_sack(talk, into);
    while (into->size % 4 != 0)
        write_u8(into, TCP_OPTION_NOP);
}

static void step_segment(struct talk *talk)
{
    static uint8_t payload[1024];
    uint8_t text[64];
    struct writer written = writer_of(text, 40);
    uint8_t flags = u8(talk);
    uint32_t seq = talk->rcv_nxt + offset_of(talk);
    const struct tcp_row *row = &talk->net->rows[talk->conn];
    uint32_t ack = (talk->is_live ? row->snd_nxt : talk->snd_una) + offset_of(talk);
    uint16_t window = u16(talk);
    uint32_t size = u8(talk) * 4u;
    write_options(talk, &written, u8(talk));
    for (uint32_t i = 0; i < size; i++)
        payload[i] = peer_octet(seq - talk->irs + i);
    struct tcp_frame frame = {.seq = seq,
                              .ack = ack,
                              .flags = (uint8_t)(flags & 0x3f),
                              .options = writer_bytes(&written),
                              .payload = bytes_of(payload, size)};
    if ((uint32_t)window << talk->scale > talk->window_max)
        talk->window_max = (uint32_t)window << talk->scale;
    if (talk->is_live && !seq_is_after(ack, row->snd_nxt) && seq_is_after(ack, talk->acked_max))
        talk->acked_max = ack;
    input_tcp(talk, &frame, window);
    if ((flags & 0x40) == 0)
        turn(talk);
}

static void step_time(struct talk *talk)
{
    talk->now_ns += NS_PER_US << (u8(talk) % 26);
    talk->ts = 5000 + (uint32_t)(talk->now_ns / NS_PER_MS);
    turn(talk);
}

static void step_send(struct talk *talk)
{
    uint32_t size = u16(talk) % SEND_MAX + 1;
    uint8_t *into;
    if (!talk->is_live || net_find(talk->net, talk->handle) == POOL_NONE)
        return;
    uint32_t blob = blob_create(&blobs, size, &into);
    if (blob == BLOB_NONE)
        return;
    const struct tcp_row *row = &talk->net->rows[talk->conn];
    const struct tcp_hot *hot = tcp_hot_of(talk->net, row);
    uint32_t seq = hot == NULL ? row->snd_nxt : hot->snd_end;
    for (uint32_t i = 0; i < size; i++)
        into[i] = our_octet(seq - talk->iss + i);
    if (tcp_send(talk->net, talk->conn, blob, 0, size) != ERROR_NONE)
        (void)blob_put(&blobs, blob);
    turn(talk);
}

static void step_end(struct talk *talk)
{
    bool is_abort = (u8(talk) & 3) == 3;
    if (!talk->is_live || net_find(talk->net, talk->handle) == POOL_NONE)
        return;
    if (is_abort)
        tcp_abort(talk->net, talk->conn);
    else
        tcp_close(talk->net, talk->conn);
    turn(talk);
}

/* "Fragmentation needed" and the rest of type 3, about a packet of ours or one that never was. */
static void step_icmp(struct talk *talk)
{
    uint8_t octets[128];
    struct writer into = writer_of(octets, sizeof octets);
    struct icmp_error error = {.type = ICMP_UNREACHABLE};
    error.code = u8(talk) % 16;
    error.seq = talk->snd_una + offset_of(talk);
    error.rest = u16(talk);
    error.size = u16(talk);
    write_icmp_error(&into, &error);
    input(talk, writer_bytes(&into));
    turn(talk);
}

static void step(struct talk *talk)
{
    switch (u8(talk) % 16) {
    case 8:
    case 9:
        step_time(talk);
        return;
    case 10:
    case 11:
        step_send(talk);
        return;
    case 12:
        step_end(talk);
        return;
    case 13:
        step_icmp(talk);
        return;
    case 14:
        nic.refuses_take = !nic.refuses_take;
        return;
    default:
        step_segment(talk);
        return;
    }
}

/* ---- a conversation ---- */

static void open_connection(struct talk *talk)
{
    uint8_t text[40];
    struct writer offer = writer_of(text, sizeof text);
    uint8_t what = u8(talk);
    talk->has_timestamps = (what & 1) != 0;
    talk->has_sack = (what & 2) != 0;
    talk->scale = (what & 4) != 0 ? 7 : 0;
    talk->irs = (what & 8) != 0 ? 0xffffff00u : 1000;
    struct tcp_options timestamps = {.ts_value = talk->ts};
    struct tcp_offer ours = {.mss = (what & 16) != 0 ? 536 : 1460,
                             .scale = talk->scale != 0 ? talk->scale : (uint8_t)TCP_SCALE_NONE,
                             .has_sack = talk->has_sack};
    offer.size = tcp_options_write_syn(text, &ours, talk->has_timestamps ? &timestamps : NULL);
    input_tcp(talk,
              &(struct tcp_frame){
                  .seq = talk->irs - 1, .flags = TCP_SYN, .options = writer_bytes(&offer)},
              8192);
    net_release(talk->net, talk->now_ns);
    net_flush(talk->net, talk->now_ns);
    const struct fake_frame *sent = &nic.sent[(nic.sent_count - 1) % FAKE_SENT_MAX];
    const struct tcp_header *tcp = (const void *)(sent->octets + NET_TCP_OFFSET);
    talk->iss = be32_get(tcp->seq) + 1;
    talk->window_max = 8192u << talk->scale;
    talk->acked_max = talk->iss;
    talk->snd_una = talk->iss;
    talk->rcv_nxt = talk->irs;
    talk->sent_seen = nic.sent_count - 1;
    check_sent(talk, &nic.sent[talk->sent_seen++ % FAKE_SENT_MAX]);
    uint8_t echo[TCP_TIMESTAMPS_SIZE];
    tcp_options_write_timestamps(echo, talk->ts, talk->our_ts);
    struct tcp_frame ack = {.seq = talk->irs,
                            .ack = talk->iss,
                            .flags = TCP_ACK,
                            .options = bytes_of(echo, talk->has_timestamps ? sizeof echo : 0)};
    input_tcp(talk, &ack, 8192);
    ASSERT(talk->events.count == 1);
    ASSERT(talk->events.items[0].kind == NET_ACCEPTED);
    talk->conn = talk->events.items[0].conn;
    talk->handle = net_handle(talk->net, talk->conn);
    talk->is_live = true;
    talk->rcv_adv = talk->net->rows[talk->conn].rcv_adv;
    turn(talk);
}

/* Whatever is left ends, and nothing stays. */
static void finish(struct talk *talk)
{
    nic.refuses_take = false;
    for (uint32_t conn = 0; conn < net_row_end(talk->net); conn++)
        if (net_is_live(talk->net, conn))
            tcp_abort(talk->net, conn);
    turn(talk);
    turn(talk);
    ASSERT(!talk->is_live);
    struct net_usage usage = net_usage(talk->net);
    ASSERT(usage.connections == 0);
    ASSERT(usage.hot == 0);
    ASSERT(usage.send_references == 0);
    ASSERT(usage.reorder_bytes == 0);
    ASSERT(talk->net->table.used == 0);
    ASSERT(talk->net->limit.address_count == 0);
    ASSERT(blobs.used == 0);
    net_destroy(&talk->net);
    ASSERT(nic.buffers_out == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    static struct talk talk;
    if (options.nic == NULL)
        make_options();
    talk =
        (struct talk){.now_ns = START_NS, .ts = 5000, .input = cursor_of(bytes_of(octets, size))};
    memset(arena.base + ARENA_HEADER_SIZE, 0, arena.used - ARENA_HEADER_SIZE);
    arena.used = ARENA_HEADER_SIZE;
    random_init_seed(&random_, 1);
    bool is_ready = net_create(&talk.net, &options, talk.now_ns) == ERROR_NONE &&
                    net_listen(talk.net, OUR_PORT) == ERROR_NONE;
    ASSERT(is_ready);
    net_flush(talk.net, talk.now_ns);
    open_connection(&talk);
    for (uint32_t i = 0; i < STEPS_MAX && cursor_left(&talk.input) != 0; i++)
        step(&talk);
    finish(&talk);
    return 0;
}
