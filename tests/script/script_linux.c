/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel as the side under test, for recording only: a network namespace of this process's own
 * with a TUN device, real time, and a socket application that does what the lines say. It takes
 * what comes at once, as ours does; `close` is shutdown(SHUT_WR), since our tcp_close() goes on
 * receiving too. What the kernel cannot be told (a NIC without buffers, say) is recorded as
 * unsupported. Needs root. */
#include "script_play.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUIET_NS 4000000u      /* nothing for so long: the kernel has said all it had to say */
#define QUIET_NS_MAX 20000000u /* or it goes on for ever */
#define STATE_ESTABLISHED 1    /* tcpi_state, as in the kernel's enumeration */
#define STATE_SYN_SENT 2
#define STATE_CLOSE 7

struct kernel {
    int tun;
    int listener;
    uint64_t start_ns;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void note_time(struct play *play)
{
    const struct kernel *kernel = play->inside;
    play->now_ns = clock_ns() - kernel->start_ns;
}

/* ---- what the sockets say ---- */

static const char *why_of(int error)
{
    switch (error) {
    case 0:
        return "done";
    case ECONNREFUSED:
        return "refused";
    case ETIMEDOUT:
    case EHOSTUNREACH:
        return "timeout";
    default:
        return "reset";
    }
}

static void close_flow(struct play *play, struct play_flow *flow, const char *why)
{
    close(flow->descriptor);
    flow->descriptor = -1;
    play_happened(play, flow, "closed", why);
}

static int state_of(const struct play_flow *flow)
{
    struct tcp_info state = {0};
    socklen_t size = sizeof state;
    if (getsockopt(flow->descriptor, IPPROTO_TCP, TCP_INFO, &state, &size) != 0)
        return STATE_CLOSE;
    return state.tcpi_state;
}

static void read_flow(struct play *play, struct play_flow *flow)
{
    static uint8_t octets[65536];
    static const int on = 1;
    for (;;) {
        ssize_t size = recv(flow->descriptor, octets, sizeof octets, MSG_DONTWAIT);
        if (size <= 0) {
            bool is_end = size == 0;
            if (is_end && !flow->is_at_end)
                play_happened(play, flow, "end", NULL);
            flow->is_at_end = flow->is_at_end || is_end;
            if (!is_end && errno != EAGAIN && errno != ENOTCONN)
                close_flow(play, flow, why_of(errno));
            return;
        }
        play_received(play, flow, octets, (size_t)size);
        setsockopt(flow->descriptor, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    }
}

static void look_at_flow(struct play *play, struct play_flow *flow)
{
    int error = 0;
    socklen_t size = sizeof error;
    int state = state_of(flow);
    if (flow->is_connecting && state == STATE_SYN_SENT)
        return;
    if (flow->is_connecting && state == STATE_ESTABLISHED) {
        flow->is_connecting = false;
        play_happened(play, flow, "connected", NULL);
    }
    if (!flow->is_at_end)
        read_flow(play, flow);
    if (flow->descriptor < 0 || state_of(flow) != STATE_CLOSE)
        return;
    getsockopt(flow->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    close_flow(play, flow, why_of(error));
}

static void accept_all(struct play *play)
{
    const struct kernel *kernel = play->inside;
    static const int on = 1;
    for (;;) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        int descriptor = kernel->listener < 0 ? -1
                                              : accept4(kernel->listener, (struct sockaddr *)&from,
                                                        &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0)
            return;
        uint16_t port = from.ss_family == AF_INET
                            ? ((struct sockaddr_in *)(void *)&from)->sin_port
                            : ((struct sockaddr_in6 *)(void *)&from)->sin6_port;
        struct play_flow *flow = play_flow_of(play, ntohs(port));
        if (flow == NULL || flow->descriptor >= 0) {
            close(descriptor);
            continue;
        }
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(descriptor, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
        flow->descriptor = descriptor;
        flow->is_at_end = false;
        play_happened(play, flow, "accepted", NULL);
    }
}

static void read_tun(struct play *play)
{
    static uint8_t octets[PLAY_PACKET_MAX];
    const struct kernel *kernel = play->inside;
    ssize_t size;
    while ((size = read(kernel->tun, octets, sizeof octets)) > 0) {
        note_time(play);
        play_sent(play, octets, (size_t)size);
    }
}

static void look_around(struct play *play)
{
    note_time(play);
    read_tun(play);
    accept_all(play);
    for (uint32_t i = 0; i < PLAY_FLOWS_MAX; i++)
        if (play->flows[i].descriptor >= 0)
            look_at_flow(play, &play->flows[i]);
    read_tun(play);
}

/* ---- the side ---- */

/* Until until_ns, or the first frame, or nothing for quiet_ns. */
static void wait_for(struct play *play, uint64_t until_ns, uint64_t quiet_ns, bool stops_at_frame)
{
    const struct kernel *kernel = play->inside;
    uint32_t before = play->frame_count;
    for (;;) {
        look_around(play);
        if (play->now_ns >= until_ns || (stops_at_frame && play->frame_count != before))
            return;
        uint64_t left_ns = until_ns - play->now_ns;
        left_ns = left_ns < quiet_ns ? left_ns : quiet_ns;
        struct timespec limit = {(time_t)(left_ns / 1000000000u), (long)(left_ns % 1000000000u)};
        struct pollfd tun = {.fd = kernel->tun, .events = POLLIN};
        if (ppoll(&tun, 1, &limit, NULL) == 0 && left_ns == quiet_ns) {
            look_around(play);
            return;
        }
    }
}

static void linux_turn(struct play *play)
{
    note_time(play);
    wait_for(play, play->now_ns + QUIET_NS_MAX, QUIET_NS, false);
}

static void linux_advance(struct play *play, uint64_t until_ns, bool stops_at_frame)
{
    wait_for(play, until_ns, UINT64_MAX / 4, stops_at_frame);
}

static void linux_input(struct play *play, const struct play_frame *packets, uint32_t count)
{
    const struct kernel *kernel = play->inside;
    for (uint32_t i = 0; i < count; i++)
        if (write(kernel->tun, packets[i].octets, packets[i].size) < 0)
            fprintf(play->record, "%u ? the kernel refused the packet: %s\n", play->record_line,
                    strerror(errno));
    look_around(play);
}

static socklen_t address_of(const struct play *play, const char *ipv4, const char *ipv6,
                            uint16_t port, struct sockaddr_storage *address)
{
    memset(address, 0, sizeof *address);
    if (play->options.is_ipv6) {
        struct sockaddr_in6 *wide = (struct sockaddr_in6 *)(void *)address;
        wide->sin6_family = AF_INET6;
        wide->sin6_port = htons(port);
        inet_pton(AF_INET6, ipv6, &wide->sin6_addr);
        return sizeof *wide;
    }
    struct sockaddr_in *narrow = (struct sockaddr_in *)(void *)address;
    narrow->sin_family = AF_INET;
    narrow->sin_port = htons(port);
    inet_pton(AF_INET, ipv4, &narrow->sin_addr);
    return sizeof *narrow;
}

static void set_options(const struct play *play, int descriptor)
{
    int on = 1;
    int window = (int)play->options.receive_window;
    unsigned int patience_ms = (unsigned int)(play->options.user_timeout_ns / 1000000u);
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(descriptor, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window, sizeof window);
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
}

static void command_connect(struct play *play, struct play_flow *flow)
{
    struct sockaddr_storage address;
    socklen_t size = address_of(play, "10.0.0.9", "fd00::9", flow->peer_port, &address);
    flow->descriptor = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    set_options(play, flow->descriptor);
    flow->is_connecting = true;
    if (connect(flow->descriptor, (struct sockaddr *)&address, size) != 0 && errno != EINPROGRESS)
        play_fail(play, "connect: %s", strerror(errno));
}

static void command_write(struct play_flow *flow, uint32_t size)
{
    uint8_t *octets = malloc(size);
    for (uint32_t i = 0; i < size; i++)
        octets[i] = play_octet_out(flow->written + i);
    ssize_t sent = send(flow->descriptor, octets, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0)
        flow->written += (uint64_t)sent;
    free(octets);
}

static void command_abort(struct play *play, struct play_flow *flow)
{
    struct linger linger = {1, 0};
    setsockopt(flow->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close_flow(play, flow, "aborted");
}

static bool linux_command(struct play *play, const struct script_step *step)
{
    struct kernel *kernel = play->inside;
    struct play_flow *flow = &play->flows[play->flow];
    const char *word = step->words[0];
    wait_for(play, play->now_ns + QUIET_NS / 4, QUIET_NS / 4, false);
    play->is_turn_owed = true;
    if (strcmp(word, "state") == 0 || strcmp(word, "counter") == 0 || strcmp(word, "usage") == 0)
        return true;
    if (strcmp(word, "connect") == 0) {
        command_connect(play, flow);
    } else if (strcmp(word, "unlisten") == 0) {
        close(kernel->listener);
        kernel->listener = -1;
    } else if (flow->descriptor < 0) {
        fprintf(play->record, "%u ? no socket\n", step->line);
    } else if (strcmp(word, "write") == 0 && step->word_count == 2) {
        command_write(flow, (uint32_t)strtoul(step->words[1], NULL, 0));
    } else if (strcmp(word, "close") == 0) {
        shutdown(flow->descriptor, SHUT_WR);
    } else if (strcmp(word, "abort") == 0) {
        command_abort(play, flow);
    } else {
        fprintf(play->record, "%u ? unsupported: %s\n", step->line, word);
    }
    return true;
}

/* ---- start and end ---- */

static void set_kernel(const char *name, const char *value)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/%s", name);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return;
    fputs(value, file);
    fclose(file);
}

static void set_kernel_options(const struct play *play)
{
    set_kernel("tcp_syncookies", "2"); /* always, as we do */
    set_kernel("tcp_ecn", play->options.has_ecn ? "1" : "0");
    set_kernel("tcp_congestion_control", play->options.is_newreno ? "reno" : "cubic");
    set_kernel("tcp_no_metrics_save", "1");
    set_kernel("tcp_autocorking", "0");
    set_kernel("ip_local_port_range", "32768 39999");
    set_kernel("icmp_ratelimit", "0");
    set_kernel("tcp_rfc1337", "1");
}

static bool open_tun(struct play *play, struct kernel *kernel)
{
    char command[400];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "script0");
    kernel->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (kernel->tun < 0 || ioctl(kernel->tun, TUNSETIFF, &request) != 0)
        return false;
    snprintf(command, sizeof command,
             "ip link set lo up && ip addr add 10.0.0.1/24 dev script0 && "
             "ip -6 addr add fd00::1/64 dev script0 nodad && ip link set script0 mtu %u up && "
             "ip route replace 10.0.0.0/24 dev script0 quickack 1 && "
             "ip -6 route replace fd00::/64 dev script0 quickack 1",
             play->options.mtu);
    return system(command) == 0;
}

static bool linux_open(struct play *play)
{
    struct kernel *kernel = calloc(1, sizeof *kernel);
    struct sockaddr_storage address;
    play->inside = kernel;
    if (play->record == NULL || unshare(CLONE_NEWNET) != 0 || !open_tun(play, kernel)) {
        play_fail(play, "no TUN device in a namespace of its own: %s", strerror(errno));
        return false;
    }
    set_kernel_options(play);
    kernel->listener =
        socket(play->options.is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    set_options(play, kernel->listener);
    socklen_t size = address_of(play, "10.0.0.1", "fd00::1", PLAY_OUR_PORT, &address);
    if (bind(kernel->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(kernel->listener, 64) != 0) {
        play_fail(play, "cannot listen: %s", strerror(errno));
        return false;
    }
    kernel->start_ns = clock_ns();
    return true;
}

static void linux_close(struct play *play)
{
    struct kernel *kernel = play->inside;
    for (uint32_t i = 0; i < PLAY_FLOWS_MAX; i++)
        if (play->flows[i].descriptor >= 0)
            command_abort(play, &play->flows[i]);
    close(kernel->listener);
    close(kernel->tun);
    free(kernel);
}

const struct play_side play_linux = {linux_open, linux_close,   linux_input,
                                     linux_turn, linux_advance, linux_command};
