/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_wait.c: what ends a sleep, on net_tap, with one thread and with two that
 * wake each other. Every case is a child process (bench.h); without root all is skipped. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "bench.h"

#define FLOWS 40u

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
            atomic_fetch_add(&worker->seen, frame_is_tcp(&packets[i]) ? 1u : 0u);
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
    bench_open(&bench, "tap:stn0", QUEUES, NIC_OFFLOAD_REAL);
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
    bench_close(&bench);
}

/* Two threads, each asleep most of the time, wake each other for what is not theirs. */
static void two_workers(void **state)
{
    (void)state;
    bench_run(two_workers_body);
}

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
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    struct nic_queue *queue = bench.queues[0];
    int kernel = kernel_socket("stn0");
    int wake = eventfd(0, EFD_NONBLOCK);
    struct sigaction action = {.sa_handler = on_signal};
    CLAIM(sigaction(SIGUSR1, &action, NULL) == 0);
    CLAIM(((struct dpdk_queue *)queue)->epoll_descriptor >= 0);
    bench_shell("sysctl -q -w net.ipv6.conf.stn0.disable_ipv6=1");
    drain_noise(queue);

    struct later packet = {.descriptor = kernel};
    for (uint32_t i = 0; i < 5; i++) {
        CLAIM(sleep_until(queue, &packet, wake) < 500 * NS_PER_MS);
        struct packet found = bench_expect(queue, 1);
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
    struct packet found = bench_expect(queue, 9);
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
        CLAIM(frame_number(bytes_of(found.frame, found.size)) == 100 + i);
        nic_release(queue, &found, 1);
    }
    bench_close(&bench);
}

/* A packet, the wake descriptor, a signal and the timeout each end a sleep, and nothing that came
 * before it is slept over. */
static void sleep_ends(void **state)
{
    (void)state;
    bench_run(sleep_body);
}

/* ---- a packet at a time, its signal taken by another thread ---- */

#define PACED 100u

struct paced {
    struct nic_queue *queue;
    _Atomic uint32_t arrived;
    pthread_t thread;
};

static void *take_paced(void *argument)
{
    struct paced *paced = argument;
    struct packet packets[NIC_BURST_MAX];
    sigset_t all;
    (void)sigfillset(&all);
    CLAIM(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    while (atomic_load(&paced->arrived) < PACED) {
        uint32_t count = nic_receive(paced->queue, packets, NIC_BURST_MAX);
        uint32_t ours = 0;
        for (uint32_t i = 0; i < count; i++)
            ours += frame_number(bytes_of(packets[i].frame, packets[i].size)) != NOT_OURS;
        nic_release(paced->queue, packets, count);
        atomic_fetch_add(&paced->arrived, ours);
        if (count == 0)
            nic_wait(paced->queue, NS_PER_SECOND, -1);
    }
    return NULL;
}

static void paced_body(void)
{
    struct bench bench;
    bench_open(&bench, "tap:stn0", 1, NIC_OFFLOAD_REAL);
    struct paced paced = {.queue = bench.queues[0]};
    int kernel = kernel_socket("stn0");
    bench_shell("sysctl -q -w net.ipv6.conf.stn0.disable_ipv6=1");
    CLAIM(pthread_create(&paced.thread, NULL, take_paced, &paced) == 0);
    for (uint32_t i = 0; i < PACED; i++) {
        clock_sleep_ns(3 * NS_PER_MS);
        uint64_t sent_at_ns = clock_now_ns();
        kernel_send(kernel, paced.queue->mac, i, 60);
        while (atomic_load(&paced.arrived) <= i && clock_now_ns() - sent_at_ns < NS_PER_SECOND)
            clock_sleep_ns(20 * NS_PER_US);
        CLAIM(clock_now_ns() - sent_at_ns < 300 * NS_PER_MS);
    }
    CLAIM(pthread_join(paced.thread, NULL) == 0);
    bench_close(&bench);
}

/* net_tap's receive says "nothing" until its signal handler has run, here on another thread: each
 * lone packet is found at once all the same, none waits for the next one's edge. */
static void lone_packets_are_found(void **state)
{
    (void)state;
    bench_run(paced_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_workers),
        cmocka_unit_test(sleep_ends),
        cmocka_unit_test(lone_packets_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
