/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_port.c: ports of the other virtual kinds open, carry frames and close, and
 * what cannot be opened is told. Every case is a child process (bench.h); without root all is
 * skipped. */
#include <signal.h>
#include <sys/wait.h>

#include "bench.h"

static void af_packet_body(void)
{
    struct bench bench;
    kernel_veth();
    bench_open(&bench, "af_packet:va", 1, NIC_OFFLOAD_REAL);
    int kernel = kernel_socket("vb");
    bench_both_ways(bench.queues[0], kernel, 1514);
    bench_oversize(bench.queues[0], kernel);
    bench_exhaust(&bench);

    /* Far more than the ring holds, without a pause: all is sent or counted, nothing hangs. */
    uint64_t before_ns = clock_now_ns();
    for (uint32_t i = 0; i < 5000; i++)
        bench_send(bench.queues[0], bench.queues[0]->mac, i, 1514);
    CLAIM(clock_now_ns() - before_ns < PATIENCE_NS);
    bench_close(&bench);
}

/* net_af_packet over a veth pair: both ways, oversize between good frames, a flood. */
static void af_packet(void **state)
{
    (void)state;
    bench_run(af_packet_body);
}

static void jumbo_body(void)
{
    struct bench bench;
    kernel_veth();
    bench_shell("ip link set va mtu 9000 && ip link set vb mtu 9000");
    bench_init(&bench);
    bench.config.net_mtu = 9000;
    CLAIM(bench_try_open(&bench, "af_packet:va", 1, NIC_OFFLOAD_REAL) == ERROR_NONE);
    int kernel = kernel_socket("vb");
    bench_both_ways(bench.queues[0], kernel, 9014);
    bench_close(&bench);
}

/* MTU 9000 over net_af_packet, which tells DPDK that it knows no frame above 1518 octets. */
static void jumbo(void **state)
{
    (void)state;
    bench_run(jumbo_body);
}

static void af_xdp_body(void)
{
    struct bench bench;
    kernel_veth();
    bench_init(&bench);
    if (bench_try_open(&bench, "af_xdp:va", 1, NIC_OFFLOAD_REAL)) {
        (void)fprintf(stderr, "  not on this kernel: %s\n", bench.said);
        exit(SKIPPED);
    }
    int kernel = kernel_socket("vb");
    bench_both_ways(bench.queues[0], kernel, 1514);
    bench_oversize(bench.queues[0], kernel);
    bench_exhaust(&bench);
    bench_close(&bench);
}

/* net_af_xdp over a veth pair, where the kernel lets us. */
static void af_xdp(void **state)
{
    (void)state;
    bench_run(af_xdp_body);
}

static void memif_echo(const char *device)
{
    struct bench bench;
    struct packet packets[NIC_BURST_MAX];
    bench_open(&bench, device, 1, NIC_OFFLOAD_REAL);
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
        bench_live_briefly();
        (void)snprintf(device, sizeof device, "memif:%s/s,role=server", folder);
        memif_echo(device);
    }
    (void)snprintf(device, sizeof device, "memif:%s/s", folder);
    bench_open(&bench, device, 1, NIC_OFFLOAD_REAL); /* whoever comes first */
    struct nic_queue *queue = bench.queues[0];
    struct packet packets[NIC_BURST_MAX];
    uint32_t echoed = 0, sent = 0;
    uint64_t end_ns = clock_now_ns() + 2 * PATIENCE_NS;
    while (echoed < 1000 && clock_now_ns() < end_ns) {
        size_t size = 60 + sent % 1455;
        bench_send(queue, queue->mac, sent++, size);
        uint32_t count = nic_receive(queue, packets, NIC_BURST_MAX);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t number = frame_number(bytes_of(packets[i].frame, packets[i].size));
            CLAIM(packets[i].size == 60 + number % 1455);
            CLAIM(packets[i].frame[packets[i].size - 1] == (number & 0xff));
            echoed++;
        }
        nic_release(queue, packets, count);
        nic_wait(queue, 200000, -1);
    }
    CLAIM(echoed >= 1000);
    (void)kill(child, SIGKILL);
    CLAIM(waitpid(child, NULL, 0) == child);
    bench_close(&bench);
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    bench_shell(command);
}

/* net_memif between two processes: every frame comes back as it was, at any size. */
static void memif_pair(void **state)
{
    (void)state;
    bench_run(memif_body);
}

static void refuses(const char *device, uint32_t queue_count, const char *sentence)
{
    struct bench bench;
    bench_init(&bench);
    enum error error = bench_try_open(&bench, device, queue_count, NIC_OFFLOAD_REAL);
    if (error == ERROR_NONE || bench.port != NULL || strstr(bench.said, sentence) == NULL) {
        (void)fprintf(stderr, "%s: said \"%s\"\n", device, bench.said);
        _exit(1);
    }
}

static void faults_body(void)
{
    struct bench bench;
    refuses("eth0", 1, "expected tap:NAME");
    refuses("af_packet:nosuch0", 1, "no such interface");
    bench_shell("ip link add va type veth peer name vb");
    refuses("af_packet:va", 1, "is down");
    bench_shell("ip link set va up mtu 1400");
    refuses("af_xdp:va", 1, "net.mtu is 1500, but af_xdp:va allows 1400");

    bench_init(&bench);
    bench.config.nic_hugepages = true;
    bench.config.nic_memory = UINT64_C(1) << 36;
    CLAIM(bench_try_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL) == ERROR_NO_MEMORY);
    CLAIM(strstr(bench.said, "needs 32768 free hugepages of 2 MB") != NULL);

    bench_init(&bench);
    bench.config.nic_memory = 32 << 20;
    bench.config.nic_descriptors = 4096;
    CLAIM(bench_try_open(&bench, "tap:stn0", 2, NIC_OFFLOAD_REAL) == ERROR_LIMIT);
    CLAIM(strstr(bench.said, "nic.memory must be at least") != NULL);
    /* The EAL was started for that; a second time it will not. */
    refuses("tap:stn0", 1, "once a process");
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
    bench_run(faults_body);
    bench_run(memif_fault_body);
    bench_run(too_many_workers_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(af_packet),
        cmocka_unit_test(jumbo),
        cmocka_unit_test(af_xdp),
        cmocka_unit_test(memif_pair),
        cmocka_unit_test(faults_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
