/* SPDX-License-Identifier: Apache-2.0
 *
 * How an idle worker sleeps. The order is what makes it safe: say that we sleep, arm the port's
 * interrupt, look once more, only then sleep; a packet that came in between is found by the look,
 * one that comes later by the interrupt. What the look finds is kept in queue.early and handed out
 * by the next receive.
 *
 * net_tap gives descriptors to wait on but has no operation to arm them: -ENOTSUP is as good as
 * armed. The queue's descriptor is waited on as it is, level-triggered; the EAL's epoll over it is
 * edge-triggered and only serves to read the interrupt back (packet_descriptor(), disarm()).
 * Ports that give nothing (net_af_packet, net_af_xdp, net_memif) are slept on in slices, of
 * SLICE_NS_MIN while packets come and twice as long after each look that found none, up to
 * SLICE_NS_MAX: a wake-up of the whole worker costs some 50 us on a small machine, and an idle core
 * must stay below 2 %. So the first packet after quiet waits SLICE_NS_MAX at most.
 *
 * net_tap also sends a real-time signal for every packet: EINTR is a wake-up like any other. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <rte_epoll.h>

#include "nic_port.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define SLICE_NS_MIN UINT64_C(1000000)
#define SLICE_NS_MAX UINT64_C(8000000)
#define SLEEP_NS_MAX (60 * NS_PER_SECOND)

enum error nic_wait_init(struct dpdk_queue *queue)
{
    queue->epoll_descriptor = -1;
    queue->steer_descriptor = -1;
    if (queue->steered != NULL) {
        queue->steer_descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (queue->steer_descriptor < 0)
            return ERROR_SYSTEM;
    }
    if (!queue->port->has_interrupts)
        return ERROR_NONE;
    queue->epoll_descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (queue->epoll_descriptor < 0)
        return ERROR_SYSTEM;
    if (rte_eth_dev_rx_intr_ctl_q(queue->port_id, queue->queue.index, queue->epoll_descriptor,
                                  RTE_INTR_EVENT_ADD, NULL) != 0) {
        (void)close(queue->epoll_descriptor);
        queue->epoll_descriptor = -1;
    }
    return ERROR_NONE;
}

static void close_descriptor(int *descriptor)
{
    if (*descriptor >= 0)
        (void)close(*descriptor);
    *descriptor = -1;
}

void nic_wait_fini(struct dpdk_queue *queue)
{
    if (queue->epoll_descriptor >= 0)
        (void)rte_eth_dev_rx_intr_ctl_q(queue->port_id, queue->queue.index, queue->epoll_descriptor,
                                        RTE_INTR_EVENT_DEL, NULL);
    close_descriptor(&queue->epoll_descriptor);
    close_descriptor(&queue->steer_descriptor);
}

void nic_wait_wake(struct dpdk_queue *queue)
{
    /* Orders the ring's publication before the look at the flag; pairs with the fence in
     * nic_wait_sleep(), so one of the two sides sees the other. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&queue->is_asleep, memory_order_relaxed) == 0)
        return;
    const uint64_t one = 1;
    (void)!write(queue->steer_descriptor, &one, sizeof one);
}

static bool arm(struct dpdk_queue *queue)
{
    if (queue->epoll_descriptor < 0)
        return false;
    int result = rte_eth_dev_rx_intr_enable(queue->port_id, queue->queue.index);
    return result == 0 || result == -ENOTSUP;
}

static void disarm(struct dpdk_queue *queue)
{
    struct rte_epoll_event event;
    (void)rte_eth_dev_rx_intr_disable(queue->port_id, queue->queue.index);
    /* Takes the event back and, where the interrupt is an eventfd, reads it. */
    (void)rte_epoll_wait(queue->epoll_descriptor, &event, 1, 0);
}

/* EAL's epoll is edge-triggered. net_tap's receive says "nothing" until its signal handler has run,
 * so an edge can be used up by a look that came too early, and the packet would wait for the next
 * one. The queue's own descriptor, polled level-triggered, stays readable until it is read. */
static int packet_descriptor(const struct dpdk_queue *queue)
{
    int level = rte_eth_dev_rx_intr_ctl_q_get_fd(queue->port_id, queue->queue.index);
    return level >= 0 ? level : queue->epoll_descriptor;
}

static void sleep_on(struct dpdk_queue *queue, uint64_t timeout_ns, int wake_descriptor)
{
    /* poll() skips negative descriptors. */
    struct pollfd descriptors[] = {{packet_descriptor(queue), POLLIN, 0},
                                   {queue->steer_descriptor, POLLIN, 0},
                                   {wake_descriptor, POLLIN, 0}};
    struct timespec timeout = {(time_t)(timeout_ns / NS_PER_SECOND),
                               (long)(timeout_ns % NS_PER_SECOND)};
    if (ppoll(descriptors, ARRAY_COUNT(descriptors), &timeout, NULL) <= 0)
        return; /* the time is over, or a signal came */
    uint64_t count;
    if (descriptors[1].revents != 0)
        (void)!read(queue->steer_descriptor, &count, sizeof count);
}

/* The next slice: as long as the last look's finding says. */
static uint64_t slice_ns(struct dpdk_queue *queue)
{
    uint64_t next_ns = queue->has_received ? SLICE_NS_MIN : queue->slice_ns * 2;
    queue->has_received = false;
    if (next_ns < SLICE_NS_MIN)
        next_ns = SLICE_NS_MIN;
    queue->slice_ns = next_ns < SLICE_NS_MAX ? next_ns : SLICE_NS_MAX;
    return queue->slice_ns;
}

void nic_wait_sleep(struct nic_queue *nic, uint64_t timeout_ns, int wake_descriptor)
{
    struct dpdk_queue *queue = (struct dpdk_queue *)nic;
    nic->ops->flush(nic);
    if (timeout_ns == 0 || queue->early_count != 0)
        return;
    if (nic->index == 0)
        nic_dpdk_count_losses(queue);

    atomic_store_explicit(&queue->is_asleep, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst); /* see nic_wait_wake() */
    bool is_armed = arm(queue);
    queue->early_count = (uint16_t)nic_dpdk_collect(queue, queue->early, NIC_BURST_MAX);
    if (queue->early_count == 0) {
        uint64_t limit_ns = is_armed ? SLEEP_NS_MAX : slice_ns(queue);
        sleep_on(queue, timeout_ns < limit_ns ? timeout_ns : limit_ns, wake_descriptor);
    }
    if (is_armed)
        disarm(queue);
    atomic_store_explicit(&queue->is_asleep, 0, memory_order_relaxed);
}
