/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_dpdk.c, nic_port.c, nic_eal.c and nic_wait.c: real ports of each virtual kind
 * against the kernel, or against each other. The EAL starts once a process and must not touch the
 * machine's own network, so every case is a child process in a network namespace of its own. Only
 * as root with /dev/net/tun; else all is skipped. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "nic_port.h"
#include "nic_steer.h"
#include "stentor/clock.h"
#include "stentor/nic.h"
#include "stentor/nic_checksum.h"

#define TEST_TYPE 0x88b5u /* IEEE 802 local experimental */
#define PATIENCE_NS (5 * NS_PER_SECOND)
#define QUEUES 2u

/* In the child there is no cmocka: a false claim ends it. */
#define CLAIM(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#define SKIPPED 77

static _Noreturn void give_up(const char *why)
{
    (void)fprintf(stderr, "%s\n", why);
    _exit(1);
}

struct bench {
    struct config config;
    struct nic_port *port;
    struct nic_queue *queues[QUEUES];
    struct metrics metrics[QUEUES];
};

/* ---- running a case ---- */

static bool can_run(void)
{
    return geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
}

/* No case outlives the test or hangs it. */
static void live_briefly(void)
{
    (void)alarm(30);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void run(void (*body)(void))
{
    if (!can_run())
        skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        live_briefly();
        CLAIM(unshare(CLONE_NEWNET) == 0);
        body();
        exit(0); /* and let the leak checker look */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void shell(const char *command)
{
    if (system(command) != 0) {
        (void)fprintf(stderr, "failed: %s\n", command);
        _exit(1);
    }
}

static enum error try_open(struct bench *bench, const char *device, uint32_t queue_count,
                           enum nic_offload offload, char *said, size_t said_size)
{
    struct writer message = writer_of(said, said_size - 1);
    (void)snprintf(bench->config.nic_device, CONFIG_TEXT_MAX, "%s", device);
    enum error error = nic_open_with(&bench->port, &bench->config, queue_count, offload, &message);
    said[message.size] = 0;
    CLAIM(!message.is_overflown);
    CLAIM((error == ERROR_NONE) == (message.size == 0));
    for (uint32_t i = 0; !error && i < queue_count; i++)
        bench->queues[i] = nic_port_queue(bench->port, i, &bench->metrics[i]);
    return error;
}

static void bench_init(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    config_defaults(&bench->config);
    bench->config.nic_descriptors = 256;
}

static void open_port(struct bench *bench, const char *device, uint32_t queue_count,
                      enum nic_offload offload)
{
    char said[1024];
    bench_init(bench);
    if (try_open(bench, device, queue_count, offload, said, sizeof said)) {
        (void)fprintf(stderr, "%s\n", said);
        _exit(1);
    }
    struct writer line = writer_of(said, sizeof said - 1);
    nic_describe(bench->port, &line);
    CLAIM(!line.is_overflown);
    said[line.size] = 0;
    (void)fprintf(stderr, "  %s\n", said);
}

/* Nothing is lost from the pool: what is out lies in the port's own rings, as at the start. */
static void close_port(struct bench *bench)
{
    nic_close(&bench->port);
    CLAIM(bench->port == NULL);
}

/* ---- the kernel's side ---- */

static int raw_socket(const char *interface)
{
    int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
    CLAIM(descriptor >= 0);
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(interface)};
    CLAIM(address.sll_ifindex != 0);
    CLAIM(bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0);
    return descriptor;
}

static size_t test_frame(uint8_t *into, const uint8_t mac[6], uint32_t number, size_t size)
{
    memset(into, (int)(number & 0xff), size);
    memcpy(into, mac, 6);
    memcpy(into + 6, "\x02\x00\x00\x00\x00\x77", 6);
    into[12] = TEST_TYPE >> 8;
    into[13] = TEST_TYPE & 0xff;
    memcpy(into + 14, &number, sizeof number);
    return size;
}

/* The number of a test frame, or UINT32_MAX for the kernel's own noise. */
static uint32_t number_of(struct bytes frame)
{
    uint32_t number;
    if (frame.size < 18 || (frame.at[12] << 8 | frame.at[13]) != TEST_TYPE)
        return UINT32_MAX;
    memcpy(&number, frame.at + 14, sizeof number);
    return number;
}

static void kernel_send(int descriptor, const uint8_t mac[6], uint32_t number, size_t size)
{
    uint8_t frame[2048];
    test_frame(frame, mac, number, size);
    CLAIM(send(descriptor, frame, size, 0) == (ssize_t)size);
}

/* Waits for the frame of that number at the kernel's side; returns its size. */
static size_t kernel_expect(int descriptor, uint32_t number)
{
    uint8_t frame[2048];
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (clock_now_ns() < end_ns) {
        ssize_t size = recv(descriptor, frame, sizeof frame, 0);
        if (size > 0 && number_of(bytes_of(frame, (size_t)size)) == number)
            return (size_t)size;
        if (size < 0)
            clock_sleep_ns(100000);
    }
    give_up("the frame did not reach the kernel");
}

/* ---- our side ---- */

/* Waits for a test frame at the queue; the packet stays with the caller. */
static struct packet port_expect(struct nic_queue *queue, uint32_t number)
{
    struct packet packets[NIC_BURST_MAX];
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (clock_now_ns() < end_ns) {
        uint32_t count = nic_receive(queue, packets, NIC_BURST_MAX);
        struct packet found = {0};
        for (uint32_t i = 0; i < count; i++) {
            if (number_of(bytes_of(packets[i].data, packets[i].size)) == number &&
                found.data == NULL)
                found = packets[i];
            else
                nic_release(queue, &packets[i], 1);
        }
        if (found.data != NULL)
            return found;
        nic_wait(queue, NS_PER_MS, -1);
    }
    give_up("the frame did not reach the port");
}

static void port_send(struct nic_queue *queue, const uint8_t mac[6], uint32_t number, size_t size)
{
    struct packet packet;
    CLAIM(nic_take(queue, &packet));
    CLAIM(packet.size == 0);
    CLAIM(packet.room >= queue->mtu + 18);
    packet.size = (uint16_t)test_frame(packet.data, mac, number, size);
    nic_transmit(queue, &packet, 1);
    CLAIM(packet.buffer == NULL);
    nic_flush(queue);
}

static void both_ways(struct nic_queue *queue, int kernel, size_t size_max)
{
    int64_t sent = metric_get(queue->metrics, METRIC_NIC_TX_PACKETS);
    int64_t received = metric_get(queue->metrics, METRIC_NIC_RX_PACKETS);
    static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};
    for (uint32_t i = 0; i < 100; i++) {
        size_t size = 60 + i * (size_max - 60) / 99;
        kernel_send(kernel, everyone, i, size);
        struct packet packet = port_expect(queue, i);
        CLAIM(packet.size == size);
        CLAIM(packet.room >= packet.size);
        CLAIM((packet.flags & PACKET_CHECKSUM_BAD) == 0);
        /* The packet itself goes back, shifted by two octets as after a header rewrite. */
        packet.data += 2;
        packet.room = (uint16_t)(packet.room - 2);
        packet.size = (uint16_t)test_frame(packet.data, everyone, 1000 + i, 60 + i);
        packet.flags = 0;
        nic_transmit(queue, &packet, 1);
        nic_flush(queue);
        CLAIM(kernel_expect(kernel, 1000 + i) == 60 + i);
        port_send(queue, everyone, 2000 + i, size);
        CLAIM(kernel_expect(kernel, 2000 + i) == size);
    }
    CLAIM(metric_get(queue->metrics, METRIC_NIC_TX_PACKETS) == sent + 200);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_RX_PACKETS) >= received + 100);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_DROP_TX_FULL) == 0);
}

/* An oversize frame is counted and dropped, and the frames around it leave unharmed. */
static void oversize_between(struct nic_queue *queue, int kernel)
{
    static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};
    struct packet packets[3];
    for (uint32_t i = 0; i < 3; i++) {
        CLAIM(nic_take(queue, &packets[i]));
        size_t size = i == 1 ? queue->mtu + 19u : 100;
        CLAIM(packets[i].room >= size);
        packets[i].size = (uint16_t)test_frame(packets[i].data, everyone, 3000 + i, size);
    }
    nic_transmit(queue, packets, 3);
    nic_flush(queue);
    CLAIM(kernel_expect(kernel, 3000) == 100);
    CLAIM(kernel_expect(kernel, 3002) == 100);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_DROP_TX_OVERSIZE) == 1);
}

/* An empty pool refuses, is counted, and works again when buffers come back; none got lost. */
static void exhaust(struct bench *bench)
{
    struct nic_queue *queue = bench->queues[0];
    static struct packet taken[16384];
    unsigned int before = rte_mempool_in_use_count(bench->port->pool);
    uint32_t count = 0;
    while (count < ARRAY_COUNT(taken) && nic_take(queue, &taken[count]))
        count++;
    CLAIM(count > NIC_BURST_MAX && count < ARRAY_COUNT(taken));
    CLAIM(metric_get(queue->metrics, METRIC_NIC_NO_BUFFER) == 1);
    nic_release(queue, taken, count);
    CLAIM(rte_mempool_in_use_count(bench->port->pool) == before);
    CLAIM(nic_take(queue, &taken[0]));
    nic_release(queue, taken, 1);
}

static void tap_both_ways_body(void)
{
    struct bench bench;
    open_port(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    int kernel = raw_socket("stn0");
    both_ways(bench.queues[0], kernel, 1514);
    oversize_between(bench.queues[0], kernel);
    exhaust(&bench);
    both_ways(bench.queues[0], kernel, 60 + 99); /* works on after exhaustion */
    close_port(&bench);
}

/* net_tap: frames of every size in both directions, replies in the received buffer, oversize and
 * an empty pool. */
static void tap_both_ways(void **state)
{
    (void)state;
    run(tap_both_ways_body);
}

/* ---- TCP with the kernel: checksums ---- */

static void kernel_address(const char *interface, const uint8_t mac[6])
{
    char command[256];
    (void)snprintf(command, sizeof command,
                   "ip addr add 10.99.0.1/24 dev %s && ip link set %s up && "
                   "ip neigh replace 10.99.0.2 lladdr %02x:%02x:%02x:%02x:%02x:%02x dev %s",
                   interface, interface, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], interface);
    shell(command);
}

static int kernel_connect(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5222)};
    CLAIM(inet_pton(AF_INET, "10.99.0.2", &to.sin_addr) == 1);
    CLAIM(connect(descriptor, (struct sockaddr *)&to, sizeof to) < 0 && errno == EINPROGRESS);
    return descriptor;
}

static bool is_tcp(const struct packet *packet)
{
    return packet->size >= 54 && packet->data[12] == 8 && packet->data[13] == 0 &&
           packet->data[23] == 6;
}

static void swap(uint8_t *a, uint8_t *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* Turns the SYN into a SYN-ACK without options, checksums left to the port. */
static void answer_syn(struct nic_queue *queue, struct packet *packet)
{
    uint8_t *ip = packet->data + 14;
    uint8_t *tcp = ip + 20;
    uint32_t seq;
    CLAIM(tcp[13] == 0x02);
    swap(packet->data, packet->data + 6, 6);
    swap(ip + 12, ip + 16, 4);
    swap(tcp, tcp + 2, 2);
    memcpy(&seq, tcp + 4, 4);
    seq = htonl(ntohl(seq) + 1);
    memcpy(tcp + 8, &seq, 4);
    memset(tcp + 4, 7, 4);
    tcp[12] = 0x50;
    tcp[13] = 0x12;
    tcp[16] = tcp[17] = 0;
    ip[2] = 0;
    ip[3] = 40;
    ip[10] = ip[11] = 0;
    packet->size = 54;
    packet->flags = PACKET_FILL_IP | PACKET_FILL_TCP;
    packet->ip_offset = 14;
    nic_transmit(queue, packet, 1);
    nic_flush(queue);
}

static bool is_connected(int descriptor)
{
    int fault = 0;
    socklen_t size = sizeof fault;
    struct pollfd waited = {descriptor, POLLOUT, 0};
    return poll(&waited, 1, 0) == 1 &&
           getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &fault, &size) == 0 && fault == 0;
}

static void shake_hands(struct bench *bench, enum nic_offload offload)
{
    struct nic_queue *queue = bench->queues[0];
    struct packet packets[NIC_BURST_MAX];
    kernel_address("stn0", queue->mac);
    int descriptor = kernel_connect();
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (!is_connected(descriptor)) {
        CLAIM(clock_now_ns() < end_ns);
        uint32_t count = nic_receive(queue, packets, NIC_BURST_MAX);
        for (uint32_t i = 0; i < count; i++) {
            if (!is_tcp(&packets[i]) || packets[i].data[47] != 0x02) {
                nic_release(queue, &packets[i], 1);
                continue;
            }
            uint16_t seen = packets[i].flags & (PACKET_IP_GOOD | PACKET_L4_GOOD);
            CLAIM(nic_checksum_judge(bytes_of(packets[i].data, packets[i].size)) ==
                  (PACKET_IP_GOOD | PACKET_L4_GOOD));
            CLAIM(seen == (offload == NIC_OFFLOAD_ALL ? PACKET_IP_GOOD | PACKET_L4_GOOD : 0));
            answer_syn(queue, &packets[i]);
        }
        nic_wait(queue, NS_PER_MS, -1);
    }
    (void)close(descriptor);
}

static void checksums_in_software_body(void)
{
    struct bench bench;
    open_port(&bench, "tap:stn0", 1, NIC_OFFLOAD_NONE);
    CLAIM(bench.port->tx_offloads == 0);
    shake_hands(&bench, NIC_OFFLOAD_NONE);
    close_port(&bench);
}

static void checksums_by_port_body(void)
{
    struct bench bench;
    open_port(&bench, "tap:stn0", 1, NIC_OFFLOAD_ALL);
    CLAIM(bench.port->tx_offloads != 0 && bench.port->rx_offloads != 0);
    shake_hands(&bench, NIC_OFFLOAD_ALL);
    close_port(&bench);
}

/* The kernel completes a handshake whose SYN-ACK has our checksums ... */
static void checksums_in_software(void **state)
{
    (void)state;
    run(checksums_in_software_body);
}

/* ... and one whose checksums the driver filled in, and it judges what it received. */
static void checksums_by_port(void **state)
{
    (void)state;
    run(checksums_by_port_body);
}

/* ---- steering ---- */

#define FLOWS 40u

/* Each kernel connection's SYN, whatever queue the tap chose, is seen by its owner only. */
static void steering_body(void)
{
    struct bench bench;
    struct packet packets[NIC_BURST_MAX];
    open_port(&bench, "tap:stn0", QUEUES, NIC_OFFLOAD_REAL);
    CLAIM(bench.port->steering == NIC_STEERING_HASH);
    kernel_address("stn0", bench.queues[0]->mac);
    for (uint32_t i = 0; i < FLOWS; i++)
        (void)kernel_connect();
    uint32_t seen[QUEUES] = {0};
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (seen[0] + seen[1] < FLOWS && clock_now_ns() < end_ns) {
        for (uint32_t k = 0; k < QUEUES; k++) {
            uint32_t count = nic_receive(bench.queues[k], packets, NIC_BURST_MAX);
            for (uint32_t i = 0; i < count; i++) {
                struct bytes frame = bytes_of(packets[i].data, packets[i].size);
                if (is_tcp(&packets[i])) {
                    seen[k]++;
                    CLAIM(nic_steer_queue(&bench.port->key, frame, QUEUES) == k);
                }
            }
            nic_release(bench.queues[k], packets, count);
        }
    }
    CLAIM(seen[0] + seen[1] >= FLOWS);
    CLAIM(seen[0] > FLOWS / 8 && seen[1] > FLOWS / 8);
    CLAIM(metric_get(&bench.metrics[0], METRIC_NIC_STEERED) +
              metric_get(&bench.metrics[1], METRIC_NIC_STEERED) >
          0);

    /* ARP: both see it. Other types: queue 0. */
    int kernel = raw_socket("stn0");
    for (uint32_t i = 0; i < 8; i++)
        kernel_send(kernel, bench.queues[0]->mac, 500 + i, 60);
    for (uint32_t i = 0; i < 8; i++) {
        struct packet found = {0};
        while (found.data == NULL && clock_now_ns() < end_ns) {
            uint32_t none = nic_receive(bench.queues[1], packets, NIC_BURST_MAX);
            for (uint32_t j = 0; j < none; j++)
                CLAIM(number_of(bytes_of(packets[j].data, packets[j].size)) == UINT32_MAX);
            nic_release(bench.queues[1], packets, none);
            uint32_t count = nic_receive(bench.queues[0], packets, 1);
            if (count == 1 && number_of(bytes_of(packets[0].data, packets[0].size)) == 500 + i)
                found = packets[0];
            else
                nic_release(bench.queues[0], packets, count);
        }
        CLAIM(found.data != NULL);
        nic_release(bench.queues[0], &found, 1);
    }
    shell("ip neigh del 10.99.0.2 dev stn0; ip neigh flush dev stn0");
    (void)kernel_connect();
    uint32_t arps[QUEUES] = {0};
    end_ns = clock_now_ns() + PATIENCE_NS;
    while ((arps[0] == 0 || arps[1] == 0) && clock_now_ns() < end_ns) {
        for (uint32_t k = 0; k < QUEUES; k++) {
            uint32_t count = nic_receive(bench.queues[k], packets, NIC_BURST_MAX);
            for (uint32_t i = 0; i < count; i++)
                arps[k] += packets[i].data[12] == 8 && packets[i].data[13] == 6;
            nic_release(bench.queues[k], packets, count);
        }
    }
    CLAIM(arps[0] > 0 && arps[0] == arps[1]);
    close_port(&bench);
}

/* Two queues on a port without RSS: flows find their owner, ARP everybody, the rest queue 0. */
static void steering(void **state)
{
    (void)state;
    run(steering_body);
}

struct worker {
    struct nic_queue *queue;
    _Atomic bool *stop;
    _Atomic uint32_t seen;
    uint64_t longest_ns;
    pthread_t thread;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct packet packets[NIC_BURST_MAX];
    while (!atomic_load(worker->stop)) {
        uint32_t count = nic_receive(worker->queue, packets, NIC_BURST_MAX);
        for (uint32_t i = 0; i < count; i++)
            atomic_fetch_add(&worker->seen, is_tcp(&packets[i]) ? 1u : 0u);
        nic_release(worker->queue, packets, count);
        uint64_t before_ns = clock_now_ns();
        if (count == 0)
            nic_wait(worker->queue, 100 * NS_PER_MS, -1);
        uint64_t slept_ns = clock_now_ns() - before_ns;
        worker->longest_ns = slept_ns > worker->longest_ns ? slept_ns : worker->longest_ns;
    }
    return NULL;
}

static void two_workers_body(void)
{
    struct bench bench;
    _Atomic bool stop = false;
    struct worker workers[QUEUES] = {0};
    open_port(&bench, "tap:stn0", QUEUES, NIC_OFFLOAD_REAL);
    kernel_address("stn0", bench.queues[0]->mac);
    for (uint32_t k = 0; k < QUEUES; k++) {
        workers[k].queue = bench.queues[k];
        workers[k].stop = &stop;
        CLAIM(pthread_create(&workers[k].thread, NULL, work, &workers[k]) == 0);
    }
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    for (uint32_t i = 0; i < FLOWS; i++) {
        (void)kernel_connect();
        clock_sleep_ns(2 * NS_PER_MS); /* let them fall asleep in between */
    }
    while (workers[0].seen + workers[1].seen < FLOWS && clock_now_ns() < end_ns)
        clock_sleep_ns(NS_PER_MS);
    atomic_store(&stop, true);
    for (uint32_t k = 0; k < QUEUES; k++)
        CLAIM(pthread_join(workers[k].thread, NULL) == 0);
    CLAIM(workers[0].seen + workers[1].seen >= FLOWS);
    CLAIM(workers[0].seen > 0 && workers[1].seen > 0);
    close_port(&bench);
}

/* Two threads, each asleep most of the time, wake each other for what is not theirs. */
static void two_workers(void **state)
{
    (void)state;
    run(two_workers_body);
}

/* ---- sleep ---- */

struct later {
    int descriptor; /* a raw socket to send by, or an eventfd */
    bool is_eventfd;
    uint64_t sent_at_ns;
    pthread_t target; /* to signal instead, when descriptor is -1 */
};

static void *act_later(void *argument)
{
    struct later *later = argument;
    static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};
    const uint64_t one = 1;
    clock_sleep_ns(50 * NS_PER_MS);
    later->sent_at_ns = clock_now_ns();
    if (later->descriptor < 0)
        (void)pthread_kill(later->target, SIGUSR1);
    else if (later->is_eventfd)
        CLAIM(write(later->descriptor, &one, sizeof one) == sizeof one);
    else
        kernel_send(later->descriptor, everyone, 1, 60);
    return NULL;
}

static void on_signal(int number)
{
    (void)number;
}

/* How long after the act the sleeper was up. */
static uint64_t sleep_until(struct nic_queue *queue, struct later *later, int wake_descriptor)
{
    pthread_t thread;
    later->target = pthread_self();
    CLAIM(pthread_create(&thread, NULL, act_later, later) == 0);
    nic_wait(queue, 3 * NS_PER_SECOND, wake_descriptor);
    uint64_t woke_at_ns = clock_now_ns();
    CLAIM(pthread_join(thread, NULL) == 0);
    CLAIM(woke_at_ns >= later->sent_at_ns); /* it did sleep */
    return woke_at_ns - later->sent_at_ns;
}

/* The kernel's own neighbour discovery would wake us. */
static void drain_noise(struct nic_queue *queue)
{
    struct packet packets[NIC_BURST_MAX];
    uint64_t end_ns = clock_now_ns() + 300 * NS_PER_MS;
    while (clock_now_ns() < end_ns) {
        nic_release(queue, packets, nic_receive(queue, packets, NIC_BURST_MAX));
        clock_sleep_ns(NS_PER_MS);
    }
}

static void sleep_body(void)
{
    struct bench bench;
    open_port(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    struct nic_queue *queue = bench.queues[0];
    int kernel = raw_socket("stn0");
    int wake = eventfd(0, EFD_NONBLOCK);
    struct sigaction action = {.sa_handler = on_signal};
    CLAIM(sigaction(SIGUSR1, &action, NULL) == 0);
    CLAIM(((struct dpdk_queue *)queue)->epoll_descriptor >= 0);
    shell("sysctl -q -w net.ipv6.conf.stn0.disable_ipv6=1");
    drain_noise(queue);

    struct later packet = {.descriptor = kernel};
    for (uint32_t i = 0; i < 5; i++) {
        CLAIM(sleep_until(queue, &packet, wake) < 500 * NS_PER_MS);
        struct packet found = port_expect(queue, 1);
        nic_release(queue, &found, 1);
    }
    struct later eventful = {.descriptor = wake, .is_eventfd = true};
    CLAIM(sleep_until(queue, &eventful, wake) < 500 * NS_PER_MS);
    uint64_t count;
    CLAIM(read(wake, &count, sizeof count) == sizeof count); /* left to its owner */
    struct later signalled = {.descriptor = -1};
    CLAIM(sleep_until(queue, &signalled, wake) < 500 * NS_PER_MS);

    uint64_t before_ns = clock_now_ns();
    nic_wait(queue, 20 * NS_PER_MS, wake);
    uint64_t slept_ns = clock_now_ns() - before_ns;
    CLAIM(slept_ns >= 15 * NS_PER_MS && slept_ns < 500 * NS_PER_MS);

    /* What arrived before the sleep ends it at once, however often one asks. */
    kernel_send(kernel, queue->mac, 9, 60);
    clock_sleep_ns(20 * NS_PER_MS);
    for (uint32_t i = 0; i < 3; i++) {
        before_ns = clock_now_ns();
        nic_wait(queue, 2 * NS_PER_SECOND, wake);
        CLAIM(clock_now_ns() - before_ns < NS_PER_SECOND);
    }
    struct packet found = port_expect(queue, 9);
    nic_release(queue, &found, 1);

    /* More than two bursts behind one edge: none is left lying. */
    for (uint32_t i = 0; i < 80; i++)
        kernel_send(kernel, queue->mac, 100 + i, 60);
    clock_sleep_ns(20 * NS_PER_MS);
    for (uint32_t i = 0; i < 80; i++) {
        before_ns = clock_now_ns();
        nic_wait(queue, 2 * NS_PER_SECOND, wake);
        CLAIM(clock_now_ns() - before_ns < NS_PER_SECOND);
        CLAIM(nic_receive(queue, &found, 1) == 1);
        CLAIM(number_of(bytes_of(found.data, found.size)) == 100 + i);
        nic_release(queue, &found, 1);
    }
    close_port(&bench);
}

/* A packet, the wake descriptor, a signal and the timeout each end a sleep, and nothing that came
 * before it is slept over. */
static void sleep_ends(void **state)
{
    (void)state;
    run(sleep_body);
}

/* ---- other ports ---- */

static void veth(void)
{
    shell("ip link add va type veth peer name vb && ip link set va up && ip link set vb up && "
          "ethtool -K va tx off rx off tso off gso off gro off > /dev/null && "
          "ethtool -K vb tx off rx off tso off gso off gro off > /dev/null");
}

static void af_packet_body(void)
{
    struct bench bench;
    veth();
    open_port(&bench, "af_packet:va", 1, NIC_OFFLOAD_REAL);
    int kernel = raw_socket("vb");
    both_ways(bench.queues[0], kernel, 1514);
    oversize_between(bench.queues[0], kernel);
    exhaust(&bench);

    /* Far more than the ring holds, without a pause: all is sent or counted, nothing hangs. */
    uint64_t before_ns = clock_now_ns();
    for (uint32_t i = 0; i < 5000; i++)
        port_send(bench.queues[0], bench.queues[0]->mac, i, 1514);
    CLAIM(clock_now_ns() - before_ns < PATIENCE_NS);
    close_port(&bench);
}

/* net_af_packet over a veth pair: both ways, oversize between good frames, a flood. */
static void af_packet(void **state)
{
    (void)state;
    run(af_packet_body);
}

static void af_xdp_body(void)
{
    struct bench bench;
    char said[1024];
    veth();
    bench_init(&bench);
    if (try_open(&bench, "af_xdp:va", 1, NIC_OFFLOAD_REAL, said, sizeof said)) {
        (void)fprintf(stderr, "  not on this kernel: %s\n", said);
        exit(SKIPPED);
    }
    int kernel = raw_socket("vb");
    both_ways(bench.queues[0], kernel, 1514);
    oversize_between(bench.queues[0], kernel);
    exhaust(&bench);
    close_port(&bench);
}

/* net_af_xdp over a veth pair, where the kernel lets us. */
static void af_xdp(void **state)
{
    (void)state;
    run(af_xdp_body);
}

static void memif_echo(const char *device)
{
    struct bench bench;
    struct packet packets[NIC_BURST_MAX];
    open_port(&bench, device, 1, NIC_OFFLOAD_REAL);
    for (;;) { /* until killed */
        uint32_t count = nic_receive(bench.queues[0], packets, NIC_BURST_MAX);
        nic_transmit(bench.queues[0], packets, count);
        nic_flush(bench.queues[0]);
        nic_wait(bench.queues[0], NS_PER_MS, -1);
    }
}

static void memif_body(void)
{
    char folder[] = "/tmp/stentor-memif-XXXXXX";
    char device[128];
    struct bench bench;
    CLAIM(mkdtemp(folder) != NULL);
    pid_t child = fork();
    CLAIM(child >= 0);
    if (child == 0) {
        live_briefly();
        (void)snprintf(device, sizeof device, "memif:%s/s,role=server", folder);
        memif_echo(device);
    }
    (void)snprintf(device, sizeof device, "memif:%s/s", folder);
    open_port(&bench, device, 1, NIC_OFFLOAD_REAL); /* whoever comes first */
    struct nic_queue *queue = bench.queues[0];
    struct packet packets[NIC_BURST_MAX];
    uint32_t echoed = 0, sent = 0;
    uint64_t end_ns = clock_now_ns() + 2 * PATIENCE_NS;
    while (echoed < 1000 && clock_now_ns() < end_ns) {
        size_t size = 60 + sent % 1455;
        port_send(queue, queue->mac, sent++, size);
        uint32_t count = nic_receive(queue, packets, NIC_BURST_MAX);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t number = number_of(bytes_of(packets[i].data, packets[i].size));
            CLAIM(packets[i].size == 60 + number % 1455);
            CLAIM(packets[i].data[packets[i].size - 1] == (number & 0xff));
            echoed++;
        }
        nic_release(queue, packets, count);
        nic_wait(queue, 200000, -1);
    }
    CLAIM(echoed >= 1000);
    (void)kill(child, SIGKILL);
    CLAIM(waitpid(child, NULL, 0) == child);
    close_port(&bench);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    shell(command);
}

/* net_memif between two processes: every frame comes back as it was, at any size. */
static void memif_pair(void **state)
{
    (void)state;
    run(memif_body);
}

/* ---- hugepages ---- */

#define HUGEPAGES 80ul
static const char hugepages_file[] = "/proc/sys/vm/nr_hugepages";

static unsigned long hugepages_get(void)
{
    unsigned long count = 0;
    FILE *file = fopen(hugepages_file, "r");
    if (file != NULL) {
        if (fscanf(file, "%lu", &count) != 1)
            count = 0;
        (void)fclose(file);
    }
    return count;
}

static bool hugepages_set(unsigned long count)
{
    FILE *file = fopen(hugepages_file, "w");
    if (file == NULL)
        return false;
    (void)fprintf(file, "%lu", count);
    return fclose(file) == 0;
}

static void hugepages_body(void)
{
    struct bench bench;
    char said[1024];
    bench_init(&bench);
    bench.config.nic_hugepages = true;
    if (try_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL, said, sizeof said)) {
        (void)fprintf(stderr, "%s\n", said);
        _exit(1);
    }
    both_ways(bench.queues[0], raw_socket("stn0"), 1514);
    exhaust(&bench);
    close_port(&bench);
}

/* The same on hugepages, where root can reserve some; they are given back. */
static void hugepages(void **state)
{
    (void)state;
    if (!can_run())
        skip();
    unsigned long before = hugepages_get();
    bool is_reserved = hugepages_set(before + HUGEPAGES) && hugepages_get() >= before + HUGEPAGES;
    pid_t child = is_reserved ? fork() : -1;
    if (child == 0) {
        live_briefly();
        CLAIM(unshare(CLONE_NEWNET) == 0);
        hugepages_body();
        exit(0);
    }
    int status = -1;
    if (child > 0)
        (void)waitpid(child, &status, 0);
    (void)hugepages_set(before);
    if (!is_reserved)
        skip();
    assert_int_equal(status, 0);
    assert_int_equal(hugepages_get(), before);
}

/* ---- faults an operator meets ---- */

static void refuses(const char *device, uint32_t queue_count, const char *sentence)
{
    struct bench bench;
    char said[1024];
    bench_init(&bench);
    enum error error = try_open(&bench, device, queue_count, NIC_OFFLOAD_REAL, said, sizeof said);
    if (error == ERROR_NONE || bench.port != NULL || strstr(said, sentence) == NULL) {
        (void)fprintf(stderr, "%s: said \"%s\"\n", device, said);
        _exit(1);
    }
}

static void faults_body(void)
{
    struct bench bench;
    char said[1024];
    refuses("eth0", 1, "expected tap:NAME");
    refuses("af_packet:nosuch0", 1, "no such interface");
    shell("ip link add va type veth peer name vb");
    refuses("af_packet:va", 1, "is down");
    shell("ip link set va up mtu 1400");
    refuses("af_xdp:va", 1, "net.mtu is 1500, but af_xdp:va allows 1400");

    bench_init(&bench);
    bench.config.nic_hugepages = true;
    bench.config.nic_memory = UINT64_C(1) << 36;
    CLAIM(try_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL, said, sizeof said) == ERROR_NO_MEMORY);
    CLAIM(strstr(said, "needs 32768 free hugepages of 2 MB") != NULL);

    bench_init(&bench);
    bench.config.nic_memory = 32 << 20;
    bench.config.nic_descriptors = 4096;
    CLAIM(try_open(&bench, "tap:stn0", 2, NIC_OFFLOAD_REAL, said, sizeof said) == ERROR_LIMIT);
    CLAIM(strstr(said, "nic.memory must be at least") != NULL);
    /* The EAL was started for that; a second time it will not. */
    refuses("tap:stn0", 1, "once a process");
}

static void eal_fault_body(void)
{
    struct bench bench;
    char said[1024];
    bench_init(&bench);
    bench.config.nic_eal.count = 1;
    (void)snprintf(bench.config.nic_eal.items[0], CONFIG_TEXT_MAX, "--no-such-option");
    CLAIM(try_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL, said, sizeof said) == ERROR_SYSTEM);
    CLAIM(strstr(said, "DPDK did not start") != NULL);
    (void)fprintf(stderr, "  %s\n", said);
}

static void memif_fault_body(void)
{
    refuses("memif:/tmp/stentor-no-such-socket", 1, "no memif server listens there");
}

static void too_many_workers_body(void)
{
    refuses("tap:stn0", 17, "server.workers is 17, but tap:stn0 allows 16");
}

/* Each fault names the option to change or the command to run. */
static void faults_are_told(void **state)
{
    (void)state;
    run(faults_body);
    run(eal_fault_body);
    run(memif_fault_body);
    run(too_many_workers_body);
}

static void keeps_affinity_body(void)
{
    struct bench bench;
    cpu_set_t before, after;
    CLAIM(pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0);
    open_port(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    CLAIM(pthread_getaffinity_np(pthread_self(), sizeof after, &after) == 0);
    CLAIM(CPU_EQUAL(&before, &after));
    close_port(&bench);
}

/* The EAL does not pin the thread that starts it. */
static void keeps_affinity(void **state)
{
    (void)state;
    run(keeps_affinity_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tap_both_ways),     cmocka_unit_test(checksums_in_software),
        cmocka_unit_test(checksums_by_port), cmocka_unit_test(steering),
        cmocka_unit_test(two_workers),       cmocka_unit_test(sleep_ends),
        cmocka_unit_test(af_packet),         cmocka_unit_test(af_xdp),
        cmocka_unit_test(memif_pair),        cmocka_unit_test(hugepages),
        cmocka_unit_test(faults_are_told),   cmocka_unit_test(keeps_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
