/* SPDX-License-Identifier: Apache-2.0
 *
 * A NIC queue for tests of single modules: what is transmitted is kept as octets, buffers are
 * counted, and taking can be refused. Frames handed to modules come from fake_nic_frame(). */
#ifndef STENTOR_TESTS_NET_FAKE_NIC_H
#define STENTOR_TESTS_NET_FAKE_NIC_H

#include <stdlib.h>

#include "stentor/nic.h"

#define FAKE_BUFFER_SIZE 2048u
#define FAKE_SENT_MAX 256u

struct fake_frame {
    uint8_t octets[FAKE_BUFFER_SIZE];
    uint16_t size;
    uint16_t flags;
    uint16_t ip_offset;
};

struct fake_nic {
    struct nic_queue queue; /* first: ops get it back */
    struct metrics metrics;
    int32_t buffers_out;
    bool refuses_take;
    uint32_t sent_count;
    struct fake_frame sent[FAKE_SENT_MAX];
};

static struct fake_nic *fake_nic_of(struct nic_queue *queue)
{
    return (struct fake_nic *)(void *)queue;
}

static bool fake_take(struct nic_queue *queue, struct packet *packet)
{
    struct fake_nic *nic = fake_nic_of(queue);
    if (nic->refuses_take)
        return false;
    uint8_t *buffer = malloc(FAKE_BUFFER_SIZE);
    memset(buffer, 0xa5, FAKE_BUFFER_SIZE);
    *packet = (struct packet){.frame = buffer, .room = FAKE_BUFFER_SIZE, .buffer = buffer};
    nic->buffers_out++;
    return true;
}

static void fake_release(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(packets[i].buffer);
        fake_nic_of(queue)->buffers_out--;
    }
}

static void fake_transmit(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    struct fake_nic *nic = fake_nic_of(queue);
    for (uint32_t i = 0; i < count; i++) {
        struct fake_frame *sent = &nic->sent[nic->sent_count++ % FAKE_SENT_MAX];
        memcpy(sent->octets, packets[i].frame, packets[i].size);
        sent->size = packets[i].size;
        sent->flags = packets[i].flags;
        sent->ip_offset = packets[i].ip_offset;
    }
    fake_release(queue, packets, count);
}

static uint32_t fake_receive(struct nic_queue *queue, struct packet *packets, uint32_t max)
{
    (void)queue, (void)packets, (void)max;
    return 0;
}

static void fake_flush(struct nic_queue *queue)
{
    (void)queue;
}

static void fake_wait(struct nic_queue *queue, uint64_t timeout_ns, int wake_descriptor)
{
    (void)queue, (void)timeout_ns, (void)wake_descriptor;
}

static const struct nic_ops fake_nic_ops = {fake_receive,  fake_take,  fake_release,
                                            fake_transmit, fake_flush, fake_wait};

static inline void fake_nic_init(struct fake_nic *nic)
{
    memset(nic, 0, sizeof *nic);
    nic->queue = (struct nic_queue){
        .ops = &fake_nic_ops, .metrics = &nic->metrics, .mac = {0x02, 0, 0, 0, 0, 1}, .mtu = 1500};
}

/* A received frame with these octets, in a buffer of exactly `room` octets (0: a roomy one), so
 * that a sanitizer sees a read past the end. */
static inline struct packet fake_nic_frame(struct fake_nic *nic, struct bytes octets, size_t room)
{
    size_t size = room == 0 ? FAKE_BUFFER_SIZE : room;
    uint8_t *buffer = malloc(size == 0 ? 1 : size);
    if (octets.size != 0)
        memcpy(buffer, octets.at, octets.size);
    nic->buffers_out++;
    return (struct packet){
        .frame = buffer, .size = (uint16_t)octets.size, .room = (uint16_t)size, .buffer = buffer};
}

/* Releases a packet that a module left alone. */
static inline void fake_nic_done(struct fake_nic *nic, struct packet *packet)
{
    if (packet->frame != NULL)
        fake_release(&nic->queue, packet, 1);
    *packet = (struct packet){0};
}

#endif
