/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated wire with three ends, and frames that carry a number. For the tests of nic_sim. */
#ifndef STENTOR_TESTS_NIC_SIM_WIRE_H
#define STENTOR_TESTS_NIC_SIM_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "stentor/nic.h"
#include "stentor/nic_checksum.h"

#define MTU 1500u
#define ENDS 3u

struct wire {
    struct heap heap;
    struct nic_sim *sim;
    struct nic_queue *ends[ENDS];
    struct metrics metrics[ENDS];
};

static const uint8_t macs[ENDS][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 3}};
static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255};

static inline void wire_init(struct wire *wire, uint64_t seed)
{
    memset(wire, 0, sizeof *wire);
    heap_init(&wire->heap, 64 << 20);
    assert_int_equal(nic_sim_create(&wire->sim, &wire->heap, seed), ERROR_NONE);
    for (uint32_t i = 0; i < ENDS; i++) {
        wire->ends[i] = nic_sim_end(wire->sim, macs[i], MTU, &wire->metrics[i]);
        assert_non_null(wire->ends[i]);
    }
}

/* Every test ends here: what was taken was released, and the heap is as it was. */
static inline void wire_fini(struct wire *wire)
{
    assert_int_equal(nic_sim_buffers_used(wire->sim), 0);
    nic_sim_destroy(&wire->sim);
    assert_null(wire->sim);
    assert_int_equal(heap_used_bytes(&wire->heap), 0);
}

/* A frame whose first payload octets are a number; its size depends on the number. */
static inline bool send_number(struct nic_queue *from, const uint8_t mac[6], uint32_t number)
{
    struct packet packet;
    if (!nic_take(from, &packet))
        return false;
    assert_true(packet.room >= MTU + 18);
    assert_int_equal(packet.size, 0);
    packet.size = (uint16_t)(60 + number % 1400);
    memset(packet.frame, (int)(number & 0xff), packet.size);
    memcpy(packet.frame, mac, 6);
    memcpy(packet.frame + 6, from->mac, 6);
    packet.frame[12] = 0x88;
    packet.frame[13] = 0xb5; /* IEEE 802 local experimental */
    memcpy(packet.frame + 14, &number, sizeof number);
    nic_transmit(from, &packet, 1);
    assert_null(packet.buffer);
    return true;
}

static inline uint32_t number_of(const struct packet *packet)
{
    uint32_t number;
    memcpy(&number, packet->frame + 14, sizeof number);
    return number;
}

/* Receives and releases all that arrived; returns how many, the last number in *last. */
static inline uint32_t drain(struct nic_queue *end, uint32_t *last)
{
    struct packet packets[NIC_BURST_MAX];
    uint32_t total = 0;
    for (;;) {
        uint32_t count = nic_receive(end, packets, NIC_BURST_MAX);
        if (count == 0)
            return total;
        *last = number_of(&packets[count - 1]);
        nic_release(end, packets, count);
        total += count;
    }
}

#endif
