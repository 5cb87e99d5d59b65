/* SPDX-License-Identifier: Apache-2.0
 *
 * Our stack as the side under test: one `struct net` on a queue of its own making, in virtual
 * time. The clock goes from one instant that net_next_ns() names to the next, at least a
 * millisecond at a time, as a worker's would. Neighbours are answered here, unseen by scripts. At
 * the end everything that was borrowed must be back. */
#include <stdlib.h>
#include <string.h>

#include "script_play.h"
#include "tcp.h"

#define TICK_NS (NS_PER_MS)
#define SETTLE_NS (5 * NS_PER_SECOND) /* before the script: addresses are probed for duplicates */
#define BUFFER_OCTETS 10240u
#define ETHERNET_SIZE 14u
#define NEIGHBOUR_FRAMES_MAX 8u

struct stack {
    struct nic_queue queue; /* first: ops get it back */
    struct metrics metrics;
    struct arena arena;
    struct heap heap;
    struct blob_table blobs;
    struct trace trace;
    struct random random;
    struct net_options options;
    struct net *net;
    struct net_events events;
    struct play *play;
    uint64_t start_ns;
    int32_t buffers_out;
    bool refuses_take;
    int64_t told[METRIC_COUNT]; /* as the script last spoke of it */
    uint32_t answer_count;      /* to neighbour solicitations */
    uint8_t answers[NEIGHBOUR_FRAMES_MAX][128];
    uint32_t answer_sizes[NEIGHBOUR_FRAMES_MAX];
};

static const uint8_t peer_mac[6] = {0x02, 0, 0, 0, 0, 0x09};
static const uint8_t our_mac[6] = {0x02, 0, 0, 0, 0, 0x01};

static const struct net_address our_ipv6 = {{0xfd, [15] = 1}};
static const struct net_address peer_ipv6 = {{0xfd, [15] = 9}};

static uint64_t stack_now(const struct stack *stack)
{
    return stack->start_ns + stack->play->now_ns;
}

/* ---- the queue ---- */

static struct stack *stack_of(struct nic_queue *queue)
{
    return (struct stack *)(void *)queue;
}

static bool queue_take(struct nic_queue *queue, struct packet *packet)
{
    struct stack *stack = stack_of(queue);
    if (stack->refuses_take)
        return false;
    uint8_t *buffer = malloc(BUFFER_OCTETS);
    memset(buffer, 0xa5, BUFFER_OCTETS);
    *packet = (struct packet){.frame = buffer, .room = BUFFER_OCTETS, .buffer = buffer};
    stack->buffers_out++;
    return true;
}

static void queue_release(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(packets[i].buffer);
        stack_of(queue)->buffers_out--;
    }
}

static void answer(struct stack *stack, const uint8_t *frame, uint32_t size)
{
    if (stack->answer_count == NEIGHBOUR_FRAMES_MAX)
        return;
    memcpy(stack->answers[stack->answer_count], frame, size);
    stack->answer_sizes[stack->answer_count++] = size;
}

/* Who has 10.0.0.9? The peer. Announcements and other targets get no answer. */
static void answer_arp(struct stack *stack, const uint8_t *arp)
{
    static const uint8_t peer[4] = {10, 0, 0, 9};
    uint8_t reply[42] = {0};
    if (arp[7] != ARP_REQUEST || memcmp(arp + 24, peer, 4) != 0)
        return;
    memcpy(reply, our_mac, 6);
    memcpy(reply + 6, peer_mac, 6);
    memcpy(reply + 12, (const uint8_t[]){0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, ARP_REPLY}, 10);
    memcpy(reply + 22, peer_mac, 6);
    memcpy(reply + 28, peer, 4);
    memcpy(reply + 32, arp + 8, 10);
    answer(stack, reply, sizeof reply);
}

/* Who has fd00::9? The peer, by RFC 4861 section 4.4: solicited, override. */
static void answer_solicitation(struct stack *stack, const uint8_t *ip, size_t size)
{
    uint8_t reply[ETHERNET_SIZE + 72] = {0};
    uint8_t *at = reply + ETHERNET_SIZE;
    if (size < 64 || ip[40] != 135 || memcmp(ip + 48, peer_ipv6.octets, 16) != 0)
        return;
    memcpy(reply, our_mac, 6);
    memcpy(reply + 6, peer_mac, 6);
    memcpy(reply + 12, "\x86\xdd", 2);
    memcpy(at, (const uint8_t[]){0x60, 0, 0, 0, 0, 32, 58, 255}, 8);
    memcpy(at + 8, peer_ipv6.octets, 16);
    memcpy(at + 24, our_ipv6.octets, 16);
    at[40] = 136;
    at[44] = 0x60;
    memcpy(at + 48, peer_ipv6.octets, 16);
    memcpy(at + 64, (const uint8_t[]){2, 1}, 2);
    memcpy(at + 66, peer_mac, 6);
    uint32_t sum = 32 + 58;
    for (uint32_t i = 8; i < 72; i += 2)
        sum += (uint32_t)at[i] << 8 | at[i + 1];
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = ~((sum & 0xffffu) + (sum >> 16));
    at[42] = (uint8_t)(sum >> 8);
    at[43] = (uint8_t)sum;
    answer(stack, reply, sizeof reply);
}

static void sent(struct stack *stack, const uint8_t *frame, size_t size)
{
    uint32_t type = (uint32_t)frame[12] << 8 | frame[13];
    if (type == ETHERNET_TYPE_ARP && size >= 42)
        answer_arp(stack, frame + ETHERNET_SIZE);
    else if (type == 0x86ddu && frame[ETHERNET_SIZE + 6] == 58)
        answer_solicitation(stack, frame + ETHERNET_SIZE, size - ETHERNET_SIZE);
    else if ((type == ETHERNET_TYPE_IPV4 && frame[ETHERNET_SIZE + 9] == IP_PROTOCOL_TCP) ||
             (type == 0x86ddu && frame[ETHERNET_SIZE + 6] == IP_PROTOCOL_TCP))
        play_sent(stack->play, frame + ETHERNET_SIZE, size - ETHERNET_SIZE);
}

static void queue_transmit(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    struct stack *stack = stack_of(queue);
    for (uint32_t i = 0; i < count; i++) {
        if (packets[i].size > queue->mtu + ETHERNET_SIZE)
            play_fail(stack->play, "a frame of %u octets is larger than the MTU allows",
                      packets[i].size);
        if (memcmp(packets[i].frame, peer_mac, 6) != 0 && packets[i].frame[0] % 2 == 0)
            play_fail(stack->play, "a frame left for a MAC that is not the peer's");
        sent(stack, packets[i].frame, packets[i].size);
    }
    queue_release(queue, packets, count);
}

static uint32_t queue_receive(struct nic_queue *queue, struct packet *packets, uint32_t max)
{
    (void)queue, (void)packets, (void)max;
    return 0;
}

static void queue_flush(struct nic_queue *queue)
{
    (void)queue;
}

static void queue_wait(struct nic_queue *queue, uint64_t timeout_ns, int wake_descriptor)
{
    (void)queue, (void)timeout_ns, (void)wake_descriptor;
}

static const struct nic_ops queue_ops = {queue_receive,  queue_take,  queue_release,
                                         queue_transmit, queue_flush, queue_wait};

/* ---- events ---- */

static const char *const why_names[] = {[NET_CLOSE_DONE] = "done",
                                        [NET_CLOSE_RESET] = "reset",
                                        [NET_CLOSE_TIMEOUT] = "timeout",
                                        [NET_CLOSE_ABORTED] = "aborted",
                                        [NET_CLOSE_REFUSED] = "refused"};

static struct play_flow *flow_of_conn(struct stack *stack, uint32_t conn)
{
    struct net_address address;
    uint16_t port;
    tcp_remote(stack->net, conn, &address, &port);
    return play_flow_of(stack->play, port);
}

static void take_event(struct stack *stack, const struct net_event *event)
{
    struct play *play = stack->play;
    struct play_flow *flow = flow_of_conn(stack, event->conn);
    if (flow == NULL)
        return play_fail(play, "an event of a connection that no flow is");
    switch (event->kind) {
    case NET_ACCEPTED:
        flow->conn = event->conn;
        return play_happened(play, flow, "accepted", NULL);
    case NET_CONNECTED:
        return play_happened(play, flow, "connected", NULL);
    case NET_DATA:
        return play_received(play, flow, event->octets.at, event->octets.size);
    case NET_END:
        return play_happened(play, flow, "end", NULL);
    case NET_SENT:
        return play_happened(play, flow, "drained", NULL);
    case NET_CLOSED:
        flow->conn = POOL_NONE;
        return play_happened(play, flow, "closed", why_names[event->why]);
    }
}

static void take_events(struct stack *stack)
{
    for (uint32_t i = 0; i < stack->events.count; i++)
        take_event(stack, &stack->events.items[i]);
    stack->events.count = 0;
}

/* ---- turns ---- */

static void input_frames(struct stack *stack, struct packet *packets, uint32_t count)
{
    for (uint32_t taken = 0; taken < count;) {
        taken +=
            net_input(stack->net, packets + taken, count - taken, stack_now(stack), &stack->events);
        take_events(stack);
    }
}

static void input_answers(struct stack *stack)
{
    while (stack->answer_count != 0) {
        struct packet packet;
        uint32_t index = --stack->answer_count;
        bool refuses = stack->refuses_take;
        stack->refuses_take = false;
        (void)queue_take(&stack->queue, &packet);
        stack->refuses_take = refuses;
        memcpy(packet.frame, stack->answers[index], stack->answer_sizes[index]);
        packet.size = (uint16_t)stack->answer_sizes[index];
        input_frames(stack, &packet, 1);
    }
}

static void turn(struct stack *stack)
{
    do {
        input_answers(stack);
        net_release(stack->net, stack_now(stack));
        net_timers(stack->net, stack_now(stack), &stack->events);
        take_events(stack);
        net_flush(stack->net, stack_now(stack));
    } while (stack->answer_count != 0);
    if (!tcp_is_valid(stack->net))
        play_fail(stack->play, "tcp_is_valid: the rows contradict each other");
}

static void stack_turn(struct play *play)
{
    turn(play->inside);
}

static void stack_input(struct play *play, const struct play_frame *packets, uint32_t count)
{
    struct stack *stack = play->inside;
    struct packet burst[PLAY_BURST_MAX];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = packets[i].size + ETHERNET_SIZE;
        uint8_t *frame = malloc(size);
        memcpy(frame, our_mac, 6);
        memcpy(frame + 6, peer_mac, 6);
        memcpy(frame + 12, play->options.is_ipv6 ? "\x86\xdd" : "\x08\x00", 2);
        memcpy(frame + ETHERNET_SIZE, packets[i].octets, packets[i].size);
        burst[i] = (struct packet){
            .frame = frame, .size = (uint16_t)size, .room = (uint16_t)size, .buffer = frame};
        stack->buffers_out++;
    }
    input_frames(stack, burst, count);
}

static void stack_advance(struct play *play, uint64_t until_ns, bool stops_at_frame)
{
    struct stack *stack = play->inside;
    uint32_t before = play->frame_count;
    while (play->now_ns < until_ns && play->fault[0] == 0) {
        uint64_t next_ns = net_next_ns(stack->net, stack_now(stack));
        uint64_t soonest_ns = stack_now(stack) + TICK_NS;
        uint64_t wanted_ns = next_ns > soonest_ns ? next_ns : soonest_ns;
        if (wanted_ns >= stack->start_ns + until_ns)
            wanted_ns = stack->start_ns + until_ns;
        play->now_ns = wanted_ns - stack->start_ns;
        turn(stack);
        if (stops_at_frame && play->frame_count != before)
            return;
    }
}

/* ---- commands ---- */

static struct play_flow *flow_now(struct play *play)
{
    return &play->flows[play->flow];
}

static enum error send_octets(struct stack *stack, struct play_flow *flow, uint32_t size)
{
    uint8_t *into;
    uint32_t blob = blob_create(&stack->blobs, size, &into);
    if (blob == BLOB_NONE)
        return ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < size; i++)
        into[i] = play_octet_out(flow->written + i);
    enum error error = tcp_send(stack->net, flow->conn, blob, 0, size);
    if (error != ERROR_NONE)
        (void)blob_put(&stack->blobs, blob);
    else
        flow->written += size;
    return error;
}

/* write SIZE [limit|too_large|stale|empty] */
static bool command_write(struct stack *stack, const struct script_step *step)
{
    static const struct {
        const char *name;
        enum error error;
    } errors[] = {{"limit", ERROR_LIMIT},
                  {"too_large", ERROR_TOO_LARGE},
                  {"stale", ERROR_STALE},
                  {"empty", ERROR_POOL_EMPTY}};
    enum error expected = ERROR_NONE;
    if (step->word_count < 2)
        return false;
    for (uint32_t i = 0; step->word_count > 2 && i < ARRAY_COUNT(errors); i++)
        if (strcmp(step->words[2], errors[i].name) == 0)
            expected = errors[i].error;
    enum error got =
        send_octets(stack, flow_now(stack->play), (uint32_t)strtoul(step->words[1], NULL, 0));
    if (got != expected)
        play_fail(stack->play, "expected write to say %d, got %d", (int)expected, (int)got);
    return true;
}

static bool same_word(const char *a, const char *b)
{
    for (; *a != 0 && *b != 0; a++, b++) {
        char x = (char)(*a == '_' ? '-' : *a >= 'a' && *a <= 'z' ? *a - 32 : *a);
        char y = (char)(*b == '_' ? '-' : *b >= 'a' && *b <= 'z' ? *b - 32 : *b);
        if (x != y)
            return false;
    }
    return *a == *b;
}

static const char *state_now(struct stack *stack, const struct play_flow *flow)
{
    if (flow->conn != POOL_NONE && net_is_live(stack->net, flow->conn))
        return tcp_state_name(stack->net, flow->conn);
    return net_usage(stack->net).time_wait != 0 ? "TIME-WAIT" : "CLOSED";
}

static bool expect_state(struct stack *stack, const char *word)
{
    const char *name = state_now(stack, flow_now(stack->play));
    if (!same_word(name, word))
        play_fail(stack->play, "expected state %s, got %s", word, name);
    return true;
}

/* counter NAME +N: since the start or the last line that named it. */
static bool expect_counter(struct stack *stack, const struct script_step *step)
{
    for (uint32_t i = 0; i < METRIC_COUNT; i++) {
        if (!same_word(metric_name((enum metric)i), step->words[1]))
            continue;
        int64_t value = metric_get(&stack->metrics, (enum metric)i);
        int64_t wanted = strtoll(step->words[2], NULL, 0);
        if (value - stack->told[i] != wanted)
            play_fail(stack->play, "expected counter %s %+lld, got %+lld", step->words[1],
                      (long long)wanted, (long long)(value - stack->told[i]));
        stack->told[i] = value;
        return true;
    }
    return false;
}

static bool expect_number(struct stack *stack, const struct script_step *step)
{
    struct net_usage usage = net_usage(stack->net);
    const struct play_flow *flow = flow_now(stack->play);
    const char *what = step->words[step->word_count - 2];
    uint64_t wanted = strtoull(step->words[step->word_count - 1], NULL, 0);
    uint64_t got = 0;
    if (strcmp(what, "connections") == 0)
        got = usage.connections;
    else if (strcmp(what, "hot") == 0)
        got = usage.hot;
    else if (strcmp(what, "time_wait") == 0)
        got = usage.time_wait;
    else if (strcmp(what, "reorder_bytes") == 0)
        got = usage.reorder_bytes;
    else if (strcmp(what, "references") == 0)
        got = usage.send_references;
    else if (strcmp(what, "queued") == 0 && flow->conn != POOL_NONE)
        got = tcp_queued_bytes(stack->net, flow->conn);
    else
        return false;
    if (got != wanted)
        play_fail(stack->play, "expected %s %llu, got %llu", what, (unsigned long long)wanted,
                  (unsigned long long)got);
    return true;
}

static bool command_question(struct stack *stack, const struct script_step *step)
{
    const char *word = step->words[0];
    if (strcmp(word, "state") != 0 && strcmp(word, "counter") != 0 && strcmp(word, "usage") != 0)
        return false;
    turn(stack);
    stack->play->is_turn_owed = false;
    if (strcmp(word, "state") == 0 && step->word_count == 2)
        return expect_state(stack, step->words[1]);
    if (strcmp(word, "counter") == 0 && step->word_count == 3)
        return expect_counter(stack, step);
    return step->word_count == 3 && expect_number(stack, step);
}

static void command_connect(struct stack *stack)
{
    struct play_flow *flow = flow_now(stack->play);
    stack->net->tcp->is_isn_fixed = stack->play->options.is_isn_fixed;
    stack->net->tcp->isn_fixed = stack->play->options.our_isn;
    struct net_address peer =
        stack->play->options.is_ipv6 ? peer_ipv6 : net_address_of_ipv4(0x0a000009u);
    flow->conn = tcp_connect(stack->net, peer, flow->peer_port, stack_now(stack));
    if (flow->conn == POOL_NONE)
        play_fail(stack->play, "expected a connection, tcp_connect() refused");
}

static bool stack_command(struct play *play, const struct script_step *step)
{
    struct stack *stack = play->inside;
    struct play_flow *flow = flow_now(play);
    const char *word = step->words[0];
    if (command_question(stack, step))
        return true;
    play->is_turn_owed = true;
    if (strcmp(word, "buffers") == 0 && step->word_count == 2) {
        stack->refuses_take = strcmp(step->words[1], "none") == 0;
        return true;
    }
    if (strcmp(word, "unlisten") == 0) {
        net_unlisten(stack->net, PLAY_OUR_PORT);
        return true;
    }
    if (strcmp(word, "connect") == 0) {
        command_connect(stack);
        return true;
    }
    if (flow->conn == POOL_NONE)
        return false;
    if (strcmp(word, "write") == 0)
        return command_write(stack, step);
    if (strcmp(word, "close") == 0)
        tcp_close(stack->net, flow->conn);
    else if (strcmp(word, "abort") == 0)
        tcp_abort(stack->net, flow->conn);
    else if (strcmp(word, "liveness") == 0 && step->word_count == 2)
        tcp_set_liveness(stack->net, flow->conn, (uint32_t)strtoul(step->words[1], NULL, 0));
    else
        return false;
    return true;
}

/* ---- start and end ---- */

static void fill_options(struct stack *stack)
{
    const struct play_options *said = &stack->play->options;
    stack->options = (struct net_options){
        .nic = &stack->queue,
        .arena = &stack->arena,
        .heap = &stack->heap,
        .blobs = &stack->blobs,
        .metrics = &stack->metrics,
        .trace = &stack->trace,
        .random = &stack->random,
        .key = {1, 2},
        .locals = {{net_address_of_ipv4(0x0a000001u), 24, 0}},
        .local_count = 1,
        .connections_max = said->connections_max,
        .hot_max = said->hot_max,
        .send_references_max = said->references_max,
        .connections_per_address = said->connections_per_address,
        .accepts_per_second = said->accepts_per_second,
        .receive_window = said->receive_window,
        .reorder_bytes_max = said->reorder_bytes_max,
        .send_bytes_max = said->send_bytes_max,
        .time_wait_ns = said->time_wait_ns,
        .time_wait_max = said->time_wait_max,
        .congestion = said->is_newreno ? NET_NEWRENO : NET_CUBIC,
        .has_ecn = said->has_ecn,
    };
    for (uint32_t i = 0; i < NET_LIVENESS_CLASSES; i++)
        stack->options.liveness[i] = (struct net_liveness){
            .keepalive_idle_ns = said->keepalive_idle_ns << i,
            .keepalive_interval_ns = said->keepalive_interval_ns,
            .keepalive_probes = said->keepalive_probes,
            .user_timeout_ns = said->user_timeout_ns << i,
        };
    if (said->is_ipv6)
        stack->options.locals[0] = (struct net_local){our_ipv6, 64, 0};
}

static bool stack_open(struct play *play)
{
    struct stack *stack = calloc(1, sizeof *stack);
    play->inside = stack;
    stack->play = play;
    stack->start_ns = play->options.clock_ns;
    stack->queue = (struct nic_queue){
        .ops = &queue_ops, .metrics = &stack->metrics, .mtu = (uint16_t)play->options.mtu};
    memcpy(stack->queue.mac, our_mac, sizeof our_mac);
    heap_init(&stack->heap, 64u << 20);
    random_init_seed(&stack->random, 7);
    fill_options(stack);
    size_t bytes = net_arena_bytes(&stack->options) + ARENA_HEADER_SIZE;
    if (trace_init(&stack->trace, &stack->heap, 256) != ERROR_NONE ||
        blob_table_init(&stack->blobs, &stack->heap, 1024) != ERROR_NONE ||
        arena_create(&stack->arena, "script", bytes, ARENA_PAGES_SMALL) != ERROR_NONE ||
        net_create(&stack->net, &stack->options, stack->start_ns - SETTLE_NS) != ERROR_NONE ||
        net_listen(stack->net, PLAY_OUR_PORT) != ERROR_NONE) {
        play_fail(play, "the stack does not start");
        return false;
    }
    for (uint64_t left_ns = SETTLE_NS; left_ns != 0; left_ns -= SETTLE_NS / 50) {
        net_release(stack->net, stack->start_ns - left_ns);
        net_timers(stack->net, stack->start_ns - left_ns, &stack->events);
        net_flush(stack->net, stack->start_ns - left_ns);
    }
    turn(stack);
    return true;
}

static void stack_close(struct play *play)
{
    struct stack *stack = play->inside;
    stack->refuses_take = false;
    for (uint32_t conn = 0; conn < net_row_end(stack->net); conn++)
        if (net_is_live(stack->net, conn))
            tcp_abort(stack->net, conn);
    turn(stack);
    turn(stack);
    struct net_usage usage = net_usage(stack->net);
    if (usage.connections != 0 || usage.hot != 0 || usage.send_references != 0 ||
        usage.reorder_bytes != 0)
        play_fail(play, "at the end: %u rows, %u extensions, %u references, %llu octets are left",
                  usage.connections, usage.hot, usage.send_references,
                  (unsigned long long)usage.reorder_bytes);
    net_destroy(&stack->net);
    if (stack->buffers_out != 0 || stack->blobs.used != 0)
        play_fail(play, "at the end: %d buffers and %u blobs are out", stack->buffers_out,
                  stack->blobs.used);
    blob_table_fini(&stack->blobs);
    trace_fini(&stack->trace, &stack->heap);
    arena_destroy(&stack->arena);
    if (heap_used_bytes(&stack->heap) != 0)
        play_fail(play, "at the end: the heap has %zu octets out",
                  (size_t)heap_used_bytes(&stack->heap));
    free(stack);
}

const struct play_side play_stack = {stack_open, stack_close,   stack_input,
                                     stack_turn, stack_advance, stack_command};
