/* SPDX-License-Identifier: Apache-2.0
 *
 * A bridge between two network interfaces that does to packets what the internet does.
 *
 *   impair A B SEED SECONDS [trace=FILE] [[ab:|ba:]KEY=VALUE]...
 *
 * Keys are the fields of struct faults (impair_fate.h), both ways unless ab: or ba: stands before.
 * Says "ready" when both interfaces are open; ends at SIGTERM or after SECONDS and then prints one
 * line of JSON with what it did. Packet sockets take what the kernel sends out of either
 * interface's other end; large segments and checksums left to hardware are made whole here, so it
 * does not matter what offloads the interfaces have. A packet's delay counts from the kernel's
 * receive timestamp, not from when this process came to look, and what waits stands in a heap by
 * due time; with neither delay nor fault it passes what two cores can move, without loss of its
 * own (dropped_full counts what found the heap full, send_failed what an interface refused). */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>

#include "impair_fate.h"
#include "impair_frame.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define WAITING_MAX 16384u
#define LARGE_SIZE_MAX 70000u
#define READS_A_WAKE 64u
#define SOCKET_BYTES (16 << 20)

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

struct waiting {
    uint64_t due_ns;
    uint64_t serial; /* who came first goes first */
    uint32_t buffer;
    uint32_t size;
    uint32_t direction;
};

struct bridge {
    int sockets[2];
    int timer;
    struct fates fates[2];
    struct waiting heap[WAITING_MAX];
    uint32_t heap_count;
    uint32_t free_buffers[WAITING_MAX];
    uint32_t free_count;
    uint8_t (*buffers)[FRAME_SIZE_MAX];
    uint64_t serial;
    uint64_t armed_ns;
    uint64_t began_ns;
    uint64_t dropped_full;
    uint64_t send_failed;
    uint64_t oversize;
    uint64_t late_ns_max; /* longest time past due */
    FILE *trace;
    struct trace_base base;
    uint32_t seq_end[2]; /* how far the one stream came whose segments are dropped by number */
};

static volatile sig_atomic_t is_over;

static void end_at_signal(int number)
{
    (void)number;
    is_over = 1;
}

/* The clock of receive timestamps. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* ---- what waits ---- */

static bool is_before(const struct waiting *a, const struct waiting *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->serial < b->serial;
}

static void heap_put(struct bridge *bridge, struct waiting item)
{
    uint32_t at = bridge->heap_count++;
    while (at > 0 && is_before(&item, &bridge->heap[(at - 1) / 2])) {
        bridge->heap[at] = bridge->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    bridge->heap[at] = item;
}

static struct waiting heap_take_first(struct bridge *bridge)
{
    struct waiting first = bridge->heap[0];
    struct waiting last = bridge->heap[--bridge->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = at * 2 + 1;
        if (child >= bridge->heap_count)
            break;
        if (child + 1 < bridge->heap_count &&
            is_before(&bridge->heap[child + 1], &bridge->heap[child]))
            child++;
        if (!is_before(&bridge->heap[child], &last))
            break;
        bridge->heap[at] = bridge->heap[child];
        at = child;
    }
    bridge->heap[at] = last;
    return first;
}

static void wait_until(struct bridge *bridge, uint64_t due_ns, uint32_t direction,
                       const uint8_t *frame, uint32_t size)
{
    if (bridge->free_count == 0) {
        bridge->dropped_full++;
        return;
    }
    uint32_t buffer = bridge->free_buffers[--bridge->free_count];
    memcpy(bridge->buffers[buffer], frame, size);
    heap_put(bridge, (struct waiting){due_ns, bridge->serial++, buffer, size, direction});
}

static void send_frame(struct bridge *bridge, const struct waiting *item)
{
    struct virtio_net_hdr header = {0};
    struct iovec parts[] = {{&header, sizeof header}, {bridge->buffers[item->buffer], item->size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    int into = bridge->sockets[1 - item->direction];
    if (sendmsg(into, &message, MSG_DONTWAIT) < 0)
        bridge->send_failed++;
}

static void send_due(struct bridge *bridge)
{
    uint64_t now = now_ns();
    while (bridge->heap_count != 0 && bridge->heap[0].due_ns <= now) {
        struct waiting item = heap_take_first(bridge);
        if (now - item.due_ns > bridge->late_ns_max)
            bridge->late_ns_max = now - item.due_ns;
        send_frame(bridge, &item);
        bridge->free_buffers[bridge->free_count++] = item.buffer;
    }
    uint64_t next_ns = bridge->heap_count == 0 ? 0 : bridge->heap[0].due_ns;
    if (next_ns == bridge->armed_ns)
        return;
    struct itimerspec when = {
        .it_value = {(time_t)(next_ns / NS_PER_SECOND), (long)(next_ns % NS_PER_SECOND)}};
    timerfd_settime(bridge->timer, TFD_TIMER_ABSTIME, &when, NULL);
    bridge->armed_ns = next_ns;
}

/* ---- what comes ---- */

static enum fate_kind kind_of(struct bridge *bridge, uint32_t direction, const uint8_t *frame,
                              const struct frame_view *view)
{
    uint32_t seq_end = frame_seq_end(frame, view);
    bool is_syn = (frame[view->tcp_offset + 13] & 2u) != 0;
    bool is_new = is_syn || (int32_t)(seq_end - bridge->seq_end[direction]) > 0;
    if (is_new)
        bridge->seq_end[direction] = seq_end;
    if (view->size == view->payload_offset)
        return FATE_NO_OCTETS;
    return is_new ? FATE_NEW_OCTETS : FATE_OLD_OCTETS;
}

static void print_frame(struct bridge *bridge, uint32_t direction, uint64_t at_ns, char mark,
                        const uint8_t *frame, const struct frame_view *view)
{
    if (bridge->trace == NULL)
        return;
    fprintf(bridge->trace, "%10.6f %c ", (double)(at_ns - bridge->began_ns) / 1e9, mark);
    frame_print(bridge->trace, &bridge->base, direction, frame, view);
    fputc('\n', bridge->trace);
}

/* True when the packet is larger than the link beyond, and gone. */
static bool is_too_big(struct bridge *bridge, uint32_t direction, uint64_t at_ns,
                       const uint8_t *frame, const struct frame_view *view)
{
    static uint8_t answer[FRAME_SIZE_MAX];
    struct fates *fates = &bridge->fates[direction];
    uint32_t mtu = (uint32_t)fates->faults.mtu;
    if (mtu == 0 || view->size - view->ip_offset <= mtu)
        return false;
    fates->too_big++;
    print_frame(bridge, direction, at_ns, 'M', frame, view);
    if (fates->faults.icmp != 0) {
        uint32_t size = frame_too_big(frame, view, mtu, answer);
        wait_until(bridge, at_ns, 1 - direction, answer, size);
    }
    return true;
}

static void take_tcp(struct bridge *bridge, uint32_t direction, uint64_t at_ns, uint8_t *frame,
                     uint32_t size, const struct frame_view *view)
{
    struct fates *fates = &bridge->fates[direction];
    if (is_too_big(bridge, direction, at_ns, frame, view))
        return;
    struct fate fate = fate_of(fates, at_ns, size, kind_of(bridge, direction, frame, view));
    print_frame(bridge, direction, at_ns, fate.mark, frame, view);
    if (fate.is_marked && fate.copies != 0)
        fates->marked += frame_mark(frame, view);
    if (fate.is_flipped) {
        uint32_t bit = fate.flip_bit % ((size - ETH_HLEN) * 8);
        frame[ETH_HLEN + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (uint32_t i = 0; i < fate.copies; i++)
        wait_until(bridge, fate.due_ns[i], direction, frame, size);
}

static void take_frame(struct bridge *bridge, uint32_t direction, uint64_t at_ns, uint8_t *frame,
                       uint32_t size)
{
    struct frame_view view;
    if (size > FRAME_SIZE_MAX) {
        bridge->oversize++;
        return;
    }
    if (frame_read(frame, size, &view)) {
        take_tcp(bridge, direction, at_ns, frame, size, &view);
        return;
    }
    struct fate fate = fate_plain(&bridge->fates[direction], at_ns);
    wait_until(bridge, fate.due_ns[0], direction, frame, size);
}

static uint64_t arrival_of(struct msghdr *message)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level == SOL_SOCKET && at->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec when;
            memcpy(&when, CMSG_DATA(at), sizeof when);
            return (uint64_t)when.tv_sec * NS_PER_SECOND + (uint64_t)when.tv_nsec;
        }
    }
    return now_ns();
}

/* A frame as the kernel gave it: whole, or to be finished as hardware would. */
static void take_raw(struct bridge *bridge, uint32_t direction, uint64_t at_ns, uint8_t *frame,
                     uint32_t size, const struct virtio_net_hdr *header)
{
    static uint8_t part[LARGE_SIZE_MAX];
    struct frame_view view;
    uint32_t gso_size = header->gso_size;
    if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE || gso_size == 0 ||
        !frame_read(frame, size, &view)) {
        frame_complete(frame, size, header);
        take_frame(bridge, direction, at_ns, frame, size);
        return;
    }
    for (uint32_t at = 0; at < view.size - view.payload_offset; at += gso_size) {
        uint32_t part_size = frame_cut(frame, &view, at, gso_size, part);
        take_frame(bridge, direction, at_ns, part, part_size);
    }
}

static void read_frames(struct bridge *bridge, uint32_t direction)
{
    static uint8_t frame[LARGE_SIZE_MAX];
    for (uint32_t i = 0; i < READS_A_WAKE; i++) {
        struct virtio_net_hdr header;
        char control[128];
        struct iovec parts[] = {{&header, sizeof header}, {frame, sizeof frame}};
        struct msghdr message = {.msg_iov = parts,
                                 .msg_iovlen = 2,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t size = recvmsg(bridge->sockets[direction], &message, MSG_DONTWAIT);
        if (size <= (ssize_t)sizeof header)
            return;
        take_raw(bridge, direction, arrival_of(&message), frame,
                 (uint32_t)size - (uint32_t)sizeof header, &header);
    }
}

static void run(struct bridge *bridge, uint64_t seconds)
{
    int epoll = epoll_create1(0);
    int watched[] = {bridge->sockets[0], bridge->sockets[1], bridge->timer};
    for (uint32_t i = 0; i < 3; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, watched[i], &event);
    }
    while (!is_over && now_ns() - bridge->began_ns < seconds * NS_PER_SECOND) {
        struct epoll_event events[3];
        int count = epoll_wait(epoll, events, 3, 200);
        for (int i = 0; i < count; i++) {
            uint64_t ticks;
            if (events[i].data.u32 == 2)
                (void)!read(bridge->timer, &ticks, sizeof ticks);
            else
                read_frames(bridge, events[i].data.u32);
        }
        send_due(bridge);
    }
    close(epoll);
}

/* ---- start and end ---- */

static int fail(const char *what, const char *name)
{
    fprintf(stderr, "impair: %s %s: %s\n", what, name, strerror(errno));
    return -1;
}

static int interface_open(const char *name)
{
    int one = 1;
    int bytes = SOCKET_BYTES;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(name)};
    struct packet_mreq promiscuous = {.mr_ifindex = address.sll_ifindex,
                                      .mr_type = PACKET_MR_PROMISC};
    int made = socket(AF_PACKET, SOCK_RAW, 0);
    if (made < 0 || address.sll_ifindex == 0 ||
        setsockopt(made, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) != 0 ||
        setsockopt(made, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0 ||
        setsockopt(made, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) != 0 ||
        setsockopt(made, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0)
        return fail("cannot open", name);
    setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    setsockopt(made, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    if (bind(made, (const struct sockaddr *)&address, sizeof address) != 0)
        return fail("cannot bind to", name);
    return made;
}

static bool argument_read(struct bridge *bridge, const char *text)
{
    char key[32];
    const char *equals = strchr(text, '=');
    if (equals == NULL)
        return false;
    bool is_ab = strncmp(text, "ab:", 3) == 0;
    bool is_ba = strncmp(text, "ba:", 3) == 0;
    const char *name = text + (is_ab || is_ba ? 3 : 0);
    size_t size = (size_t)(equals - name);
    if (size == 0 || size >= sizeof key)
        return false;
    memcpy(key, name, size);
    key[size] = '\0';
    if (strcmp(key, "trace") == 0) {
        bridge->trace = fopen(equals + 1, "we");
        return bridge->trace != NULL;
    }
    uint64_t value = strtoull(equals + 1, NULL, 10);
    return (is_ba || faults_set(&bridge->fates[0].faults, key, value)) &&
           (is_ab || faults_set(&bridge->fates[1].faults, key, value));
}

static void report(const struct bridge *bridge)
{
    static const char *const names[] = {"ab", "ba"};
    printf("{\"dropped_full\": %" PRIu64 ", \"send_failed\": %" PRIu64 ", \"oversize\": %" PRIu64
           ", \"late_us_max\": %" PRIu64,
           bridge->dropped_full, bridge->send_failed, bridge->oversize, bridge->late_ns_max / 1000);
    for (uint32_t i = 0; i < 2; i++) {
        const struct fates *fates = &bridge->fates[i];
        struct tpacket_stats stats = {0};
        socklen_t size = sizeof stats;
        getsockopt(bridge->sockets[i], SOL_PACKET, PACKET_STATISTICS, &stats, &size);
        printf(", \"%s\": {\"passed\": %" PRIu64 ", \"segments\": %" PRIu64 ", \"lost\": %" PRIu64
               ", \"queue_dropped\": %" PRIu64 ", \"reordered\": %" PRIu64
               ", \"duplicated\": %" PRIu64 ", \"corrupted\": %" PRIu64 ", \"marked\": %" PRIu64
               ", \"too_big\": %" PRIu64 ", \"unread\": %u}",
               names[i], fates->passed, fates->segment_count, fates->lost, fates->queue_dropped,
               fates->reordered, fates->duplicated, fates->corrupted, fates->marked, fates->too_big,
               stats.tp_drops);
    }
    puts("}");
}

static bool bridge_open(struct bridge *bridge, char **argv, int argc)
{
    for (uint32_t i = 0; i < 2; i++)
        fates_init(&bridge->fates[i], strtoull(argv[3], NULL, 10), i);
    for (int i = 5; i < argc; i++) {
        if (!argument_read(bridge, argv[i])) {
            fprintf(stderr, "impair: what is %s?\n", argv[i]);
            return false;
        }
    }
    bridge->buffers = malloc(WAITING_MAX * sizeof *bridge->buffers);
    bridge->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    bridge->sockets[0] = interface_open(argv[1]);
    bridge->sockets[1] = interface_open(argv[2]);
    for (uint32_t i = 0; i < WAITING_MAX; i++)
        bridge->free_buffers[bridge->free_count++] = WAITING_MAX - 1 - i;
    bridge->began_ns = now_ns();
    return bridge->buffers != NULL && bridge->timer >= 0 && bridge->sockets[0] >= 0 &&
           bridge->sockets[1] >= 0;
}

int main(int argc, char **argv)
{
    static struct bridge bridge;
    struct sched_param priority = {.sched_priority = 10};
    struct sigaction action = {.sa_handler = end_at_signal};
    if (argc < 5) {
        fputs("usage: impair A B SEED SECONDS [trace=FILE] [[ab:|ba:]KEY=VALUE]...\n", stderr);
        return 2;
    }
    if (!bridge_open(&bridge, argv, argc))
        return 1;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sched_setscheduler(0, SCHED_FIFO,
                       &priority); /* in vain without root; then delays are coarser */
    puts("ready");
    fflush(stdout);
    run(&bridge, strtoull(argv[4], NULL, 10));
    report(&bridge);
    if (bridge.trace != NULL)
        fclose(bridge.trace);
    free(bridge.buffers);
    return 0;
}
