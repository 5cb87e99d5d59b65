/* SPDX-License-Identifier: Apache-2.0
 *
 * Buffers lie in one block and go round last in, first out, as the caches of a packet pool do. */
#include "loop_nic.h"

#include "stentor/nic_checksum.h"

static struct loop_nic *loop_of(struct nic_queue *queue)
{
    return (struct loop_nic *)(void *)queue;
}

static uint32_t loop_receive(struct nic_queue *queue, struct packet *packets, uint32_t max)
{
    (void)queue, (void)packets, (void)max;
    return 0;
}

static bool loop_take(struct nic_queue *queue, struct packet *packet)
{
    struct loop_nic *nic = loop_of(queue);
    if (nic->free_count == 0)
        return false;
    uint8_t *buffer = nic->free[--nic->free_count];
    *packet = (struct packet){.frame = buffer, .room = LOOP_BUFFER_BYTES, .buffer = buffer};
    return true;
}

static void loop_release(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    struct loop_nic *nic = loop_of(queue);
    for (uint32_t i = 0; i < count; i++)
        nic->free[nic->free_count++] = packets[i].buffer;
}

static void keep(struct loop_nic *nic, const struct packet *packet)
{
    uint32_t size = packet->size < LOOP_KEPT_BYTES ? packet->size : LOOP_KEPT_BYTES;
    if (nic->kept_count < LOOP_KEPT_MAX)
        memcpy(nic->kept[nic->kept_count++], packet->frame, size);
}

static void loop_transmit(struct nic_queue *queue, struct packet *packets, uint32_t count)
{
    struct loop_nic *nic = loop_of(queue);
    for (uint32_t i = 0; i < count; i++) {
        if (nic->is_plain)
            nic_checksum_fill(&packets[i]);
        keep(nic, &packets[i]);
    }
    nic->sent_packets += count;
    loop_release(queue, packets, count);
}

static void loop_flush(struct nic_queue *queue)
{
    (void)queue;
}

static void loop_wait(struct nic_queue *queue, uint64_t timeout_ns, int wake_descriptor)
{
    (void)queue, (void)timeout_ns, (void)wake_descriptor;
}

static const struct nic_ops loop_ops = {loop_receive,  loop_take,  loop_release,
                                        loop_transmit, loop_flush, loop_wait};

bool loop_nic_init(struct loop_nic *nic, struct heap *heap, struct metrics *metrics)
{
    *nic = (struct loop_nic){
        .queue = {.ops = &loop_ops, .metrics = metrics, .mac = {0x02, 0, 0, 0, 0, 1}, .mtu = 1500}};
    nic->octets = heap_take(heap, (size_t)LOOP_BUFFERS * LOOP_BUFFER_BYTES);
    if (nic->octets == NULL)
        return false;
    for (uint32_t i = 0; i < LOOP_BUFFERS; i++)
        nic->free[nic->free_count++] = nic->octets + (size_t)i * LOOP_BUFFER_BYTES;
    return true;
}

void loop_nic_fini(struct loop_nic *nic, struct heap *heap)
{
    heap_give(heap, nic->octets);
    nic->octets = NULL;
}

struct packet loop_nic_frame(struct loop_nic *nic, struct bytes octets)
{
    struct packet packet = {0};
    bool is_taken = loop_take(&nic->queue, &packet);
    ASSERT(is_taken);
    ASSERT(octets.size <= LOOP_BUFFER_BYTES);
    memcpy(packet.frame, octets.at, octets.size);
    packet.size = (uint16_t)octets.size;
    packet.flags = nic->is_plain ? 0 : PACKET_IP_GOOD | PACKET_L4_GOOD;
    return packet;
}

uint32_t loop_nic_buffers_out(const struct loop_nic *nic)
{
    return LOOP_BUFFERS - nic->free_count;
}
