/* SPDX-License-Identifier: Apache-2.0
 *
 * The bench of the port tests; see bench.h. */
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

#include "bench.h"
#include "stentor/clock.h"
#include "stentor/nic.h"

#define FRAME_MAX 9100u /* of MTU 9000 */
#define TEST_TYPE 0x88b5u /* IEEE 802 local experimental */

bool bench_can_run(void)
{
    return geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
}

/* No case outlives the test or hangs it. */
void bench_live_briefly(void)
{
    (void)alarm(30);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void bench_run(void (*body)(void))
{
    if (!bench_can_run())
        skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bench_live_briefly();
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

_Noreturn void bench_give_up(const char *why)
{
    (void)fprintf(stderr, "%s\n", why);
    _exit(1);
}

void bench_shell(const char *command)
{
    if (system(command) != 0) {
        (void)fprintf(stderr, "failed: %s\n", command);
        _exit(1);
    }
}

enum error bench_try_open(struct bench *bench, const char *device, uint32_t queue_count,
                          enum nic_offload offload)
{
    struct writer message = writer_of(bench->said, sizeof bench->said - 1);
    (void)snprintf(bench->config.nic_device, CONFIG_TEXT_MAX, "%s", device);
    enum error error = nic_open_with(&bench->port, &bench->config, queue_count, offload, &message);
    bench->said[message.size] = 0;
    CLAIM(!message.is_overflown);
    CLAIM((error == ERROR_NONE) == (message.size == 0));
    for (uint32_t i = 0; !error && i < queue_count; i++)
        bench->queues[i] = nic_port_queue(bench->port, i, &bench->metrics[i]);
    return error;
}

void bench_init(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    config_defaults(&bench->config);
    bench->config.nic_descriptors = 256;
}

void bench_open(struct bench *bench, const char *device, uint32_t queue_count,
                enum nic_offload offload)
{
    char octets[512];
    struct writer line = writer_of(octets, sizeof octets - 1);
    bench_init(bench);
    if (bench_try_open(bench, device, queue_count, offload))
        bench_give_up(bench->said);
    nic_describe(bench->port, &line);
    CLAIM(!line.is_overflown);
    octets[line.size] = 0;
    (void)fprintf(stderr, "  %s\n", octets);
}

void bench_close(struct bench *bench)
{
    nic_close(&bench->port);
    CLAIM(bench->port == NULL);
}

int kernel_socket(const char *interface)
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

size_t frame_write(uint8_t *into, const uint8_t mac[6], uint32_t number, size_t size)
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
uint32_t frame_number(struct bytes frame)
{
    uint32_t number;
    if (frame.size < 18 || (frame.at[12] << 8 | frame.at[13]) != TEST_TYPE)
        return NOT_OURS;
    memcpy(&number, frame.at + 14, sizeof number);
    return number;
}

void kernel_send(int descriptor, const uint8_t mac[6], uint32_t number, size_t size)
{
    uint8_t frame[FRAME_MAX];
    frame_write(frame, mac, number, size);
    CLAIM(send(descriptor, frame, size, 0) == (ssize_t)size);
}

/* Waits for the frame of that number at the kernel's side; returns its size. */
size_t kernel_expect(int descriptor, uint32_t number)
{
    uint8_t frame[FRAME_MAX];
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (clock_now_ns() < end_ns) {
        ssize_t size = recv(descriptor, frame, sizeof frame, 0);
        if (size > 0 && frame_number(bytes_of(frame, (size_t)size)) == number)
            return (size_t)size;
        if (size < 0)
            clock_sleep_ns(100000);
    }
    bench_give_up("the frame did not reach the kernel");
}

/* Waits for a test frame at the queue; the packet stays with the caller. */
struct packet bench_expect(struct nic_queue *queue, uint32_t number)
{
    struct packet packets[NIC_BURST_MAX];
    uint64_t end_ns = clock_now_ns() + PATIENCE_NS;
    while (clock_now_ns() < end_ns) {
        uint32_t count = nic_receive(queue, packets, NIC_BURST_MAX);
        struct packet found = {0};
        for (uint32_t i = 0; i < count; i++) {
            if (frame_number(bytes_of(packets[i].frame, packets[i].size)) == number &&
                found.frame == NULL)
                found = packets[i];
            else
                nic_release(queue, &packets[i], 1);
        }
        if (found.frame != NULL)
            return found;
        nic_wait(queue, NS_PER_MS, -1);
    }
    bench_give_up("the frame did not reach the port");
}

void bench_send(struct nic_queue *queue, const uint8_t mac[6], uint32_t number, size_t size)
{
    struct packet packet;
    CLAIM(nic_take(queue, &packet));
    CLAIM(packet.size == 0);
    CLAIM(packet.room >= queue->mtu + 18);
    packet.size = (uint16_t)frame_write(packet.frame, mac, number, size);
    nic_transmit(queue, &packet, 1);
    CLAIM(packet.buffer == NULL);
    nic_flush(queue);
}

void bench_both_ways(struct nic_queue *queue, int kernel, size_t size_max)
{
    int64_t sent = metric_get(queue->metrics, METRIC_NIC_TX_PACKETS);
    int64_t received = metric_get(queue->metrics, METRIC_NIC_RX_PACKETS);
    static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};
    for (uint32_t i = 0; i < 100; i++) {
        size_t size = 60 + i * (size_max - 60) / 99;
        kernel_send(kernel, everyone, i, size);
        struct packet packet = bench_expect(queue, i);
        CLAIM(packet.size == size);
        CLAIM(packet.room >= packet.size);
        CLAIM((packet.flags & PACKET_CHECKSUM_BAD) == 0);
        /* The packet itself goes back, shifted by two octets as after a header rewrite. */
        packet.frame += 2;
        packet.room = (uint16_t)(packet.room - 2);
        packet.size = (uint16_t)frame_write(packet.frame, everyone, 1000 + i, 60 + i);
        packet.flags = 0;
        nic_transmit(queue, &packet, 1);
        nic_flush(queue);
        CLAIM(kernel_expect(kernel, 1000 + i) == 60 + i);
        bench_send(queue, everyone, 2000 + i, size);
        CLAIM(kernel_expect(kernel, 2000 + i) == size);
    }
    CLAIM(metric_get(queue->metrics, METRIC_NIC_TX_PACKETS) == sent + 200);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_RX_PACKETS) >= received + 100);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_DROP_TX_FULL) == 0);
}

/* An oversize frame is counted and dropped, and the frames around it leave unharmed. */
void bench_oversize(struct nic_queue *queue, int kernel)
{
    static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};
    struct packet packets[3];
    for (uint32_t i = 0; i < 3; i++) {
        CLAIM(nic_take(queue, &packets[i]));
        size_t size = i == 1 ? queue->mtu + 19u : 100;
        CLAIM(packets[i].room >= size);
        packets[i].size = (uint16_t)frame_write(packets[i].frame, everyone, 3000 + i, size);
    }
    nic_transmit(queue, packets, 3);
    nic_flush(queue);
    CLAIM(kernel_expect(kernel, 3000) == 100);
    CLAIM(kernel_expect(kernel, 3002) == 100);
    CLAIM(metric_get(queue->metrics, METRIC_NIC_DROP_TX_OVERSIZE) == 1);
}

/* An empty pool refuses, is counted, and works again when buffers come back; none got lost. */
void bench_exhaust(struct bench *bench)
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

void kernel_address(const char *interface, const uint8_t mac[6])
{
    char command[256];
    (void)snprintf(command, sizeof command,
                   "ip addr add 10.99.0.1/24 dev %s && ip link set %s up && "
                   "ip neigh replace 10.99.0.2 lladdr %02x:%02x:%02x:%02x:%02x:%02x dev %s",
                   interface, interface, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], interface);
    bench_shell(command);
}

int kernel_connect(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5222)};
    CLAIM(inet_pton(AF_INET, "10.99.0.2", &to.sin_addr) == 1);
    CLAIM(connect(descriptor, (struct sockaddr *)&to, sizeof to) < 0 && errno == EINPROGRESS);
    return descriptor;
}

bool frame_is_tcp(const struct packet *packet)
{
    return packet->size >= 54 && packet->frame[12] == 8 && packet->frame[13] == 0 &&
           packet->frame[23] == 6;
}

void kernel_veth(void)
{
    bench_shell(
        "ip link add va type veth peer name vb && ip link set va up && ip link set vb up && "
        "ethtool -K va tx off rx off tso off gso off gro off > /dev/null && "
        "ethtool -K vb tx off rx off tso off gso off gro off > /dev/null");
}
