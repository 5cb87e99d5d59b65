/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of: nic_sim, nic_sim_trace.
 * Frames go where a switch sends them, in order and in virtual time;
 * every fault comes at its rate and is counted; buffers balance; one seed, one trace. */
#include "sim_wire.h"

/* A unicast frame reaches the owner of its MAC and nobody else, and not before flush and time. */
static void unicast_reaches_its_owner(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packets[4];
    wire_init(&wire, 1);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.delay_ns = 1000});
    assert_int_equal(nic_sim_next_ns(wire.sim), UINT64_MAX);
    assert_true(send_number(wire.ends[0], macs[1], 7));
    assert_int_equal(nic_sim_next_ns(wire.sim), UINT64_MAX);
    nic_flush(wire.ends[0]);
    assert_int_equal(nic_sim_next_ns(wire.sim), 1000);
    nic_sim_advance(wire.sim, 999);
    assert_int_equal(nic_receive(wire.ends[1], packets, 4), 0);
    nic_sim_advance(wire.sim, 1000);
    assert_int_equal(nic_sim_next_ns(wire.sim), 1000);
    assert_int_equal(nic_receive(wire.ends[0], packets, 4), 0);
    assert_int_equal(nic_receive(wire.ends[2], packets, 4), 0);
    assert_int_equal(nic_receive(wire.ends[1], packets, 4), 1);
    assert_int_equal(number_of(&packets[0]), 7);
    assert_int_equal(packets[0].size, 67);
    assert_int_equal(packets[0].flags, 0);
    assert_true(packets[0].room >= MTU + 18);
    assert_int_equal(nic_sim_buffers_used(wire.sim), 1);
    nic_release(wire.ends[1], packets, 1);
    assert_int_equal(nic_sim_next_ns(wire.sim), UINT64_MAX);
    assert_int_equal(metric_get(&wire.metrics[0], METRIC_NIC_TX_PACKETS), 1);
    assert_int_equal(metric_get(&wire.metrics[1], METRIC_NIC_RX_PACKETS), 1);
    wire_fini(&wire);
}

/* Group addresses reach all others; an address nobody owns reaches nobody. */
static void broadcast_and_unknown(void **state)
{
    (void)state;
    struct wire wire;
    uint32_t last = 0;
    static const uint8_t nobody[6] = {2, 9, 9, 9, 9, 9};
    wire_init(&wire, 1);
    assert_true(send_number(wire.ends[2], everyone, 5));
    assert_true(send_number(wire.ends[2], nobody, 6));
    nic_flush(wire.ends[2]);
    nic_sim_advance(wire.sim, 0);
    assert_int_equal(drain(wire.ends[0], &last), 1);
    assert_int_equal(last, 5);
    assert_int_equal(drain(wire.ends[1], &last), 1);
    assert_int_equal(drain(wire.ends[2], &last), 0);
    wire_fini(&wire);
}

/* A received packet rewritten in place goes back out, from a shifted start too. */
static void received_packet_is_reused(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    wire_init(&wire, 1);
    assert_true(send_number(wire.ends[0], macs[1], 400));
    nic_flush(wire.ends[0]);
    nic_sim_advance(wire.sim, 0);
    assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
    packet.frame += 8;
    packet.room = (uint16_t)(packet.room - 8);
    packet.size = 60;
    memcpy(packet.frame, macs[0], 6);
    uint32_t number = 77;
    memcpy(packet.frame + 14, &number, sizeof number);
    nic_transmit(wire.ends[1], &packet, 1);
    nic_flush(wire.ends[1]);
    nic_sim_advance(wire.sim, 1);
    assert_int_equal(nic_receive(wire.ends[0], &packet, 1), 1);
    assert_int_equal(number_of(&packet), 77);
    assert_int_equal(packet.size, 60);
    nic_release(wire.ends[0], &packet, 1);
    wire_fini(&wire);
}

/* More than a burst, under jitter: all arrive, in order; a full burst leaves by itself. */
static void jitter_keeps_order(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packets[NIC_BURST_MAX];
    wire_init(&wire, 3);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.delay_ns = 10, .jitter_ns = 5000});
    for (uint32_t i = 0; i < 500; i++)
        assert_true(send_number(wire.ends[0], macs[1], i));
    assert_int_not_equal(nic_sim_next_ns(wire.sim), UINT64_MAX);
    nic_flush(wire.ends[0]);
    uint32_t expected = 0;
    for (uint64_t next; (next = nic_sim_next_ns(wire.sim)) != UINT64_MAX;) {
        nic_sim_advance(wire.sim, next);
        uint32_t count = nic_receive(wire.ends[1], packets, NIC_BURST_MAX);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(number_of(&packets[i]), expected++);
        nic_release(wire.ends[1], packets, count);
    }
    assert_int_equal(expected, 500);
    wire_fini(&wire);
}

/* Sends `total` frames under the faults and returns how many arrived. */
static uint32_t arrivals(const struct nic_sim_faults *faults, uint32_t total, struct wire *wire)
{
    uint32_t last;
    wire_init(wire, 42);
    nic_sim_set_faults(wire->sim, faults);
    for (uint32_t i = 0; i < total; i++)
        (void)send_number(wire->ends[0], macs[1], i);
    nic_flush(wire->ends[0]);
    nic_sim_advance(wire->sim, UINT64_C(1) << 40);
    return drain(wire->ends[1], &last);
}

/* Loss, duplication and refusals come at their rates and are counted where the taker sees them. */
static void faults_come_at_their_rates(void **state)
{
    (void)state;
    struct wire wire;
    uint32_t got = arrivals(&(struct nic_sim_faults){.loss_ppm = 100000}, 10000, &wire);
    assert_in_range(got, 8800, 9200);
    wire_fini(&wire);

    got = arrivals(&(struct nic_sim_faults){.duplicate_ppm = 100000}, 10000, &wire);
    assert_in_range(got, 10800, 11200);
    wire_fini(&wire);

    got = arrivals(&(struct nic_sim_faults){.refuse_take_ppm = 500000}, 10000, &wire);
    assert_in_range(got, 4700, 5300);
    assert_int_equal(metric_get(&wire.metrics[0], METRIC_NIC_NO_BUFFER), 10000 - got);
    wire_fini(&wire);

    got = arrivals(&(struct nic_sim_faults){.refuse_transmit_ppm = 250000}, 10000, &wire);
    assert_in_range(got, 7200, 7800);
    assert_int_equal(metric_get(&wire.metrics[0], METRIC_NIC_DROP_TX_FULL), 10000 - got);
    wire_fini(&wire);

    got = arrivals(&(struct nic_sim_faults){.loss_ppm = 1000000}, 100, &wire);
    assert_int_equal(got, 0);
    wire_fini(&wire);
}

/* A corrupt frame differs from what was sent in exactly one bit, and over many frames every
 * region of the frame is hit, the MACs included. */
static void corruption_flips_one_bit(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    uint32_t hits[3] = {0};
    wire_init(&wire, 9);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.corrupt_ppm = 1000000});
    for (uint32_t round = 0; round < 1500; round++) {
        uint8_t sent[60] = {0};
        memcpy(sent, macs[1], 6);
        assert_true(nic_take(wire.ends[0], &packet));
        packet.size = sizeof sent;
        memcpy(packet.frame, sent, sizeof sent);
        nic_transmit(wire.ends[0], &packet, 1);
        nic_flush(wire.ends[0]);
        nic_sim_advance(wire.sim, round);
        assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
        uint32_t flips = 0;
        for (uint32_t i = 0; i < sizeof sent; i++) {
            int bits = __builtin_popcount((unsigned int)(packet.frame[i] ^ sent[i]));
            flips += (uint32_t)bits;
            hits[i < 6 ? 0 : i < 14 ? 1 : 2] += (uint32_t)bits;
        }
        assert_int_equal(flips, 1);
        nic_release(wire.ends[1], &packet, 1);
    }
    assert_true(hits[0] > 50 && hits[1] > 50 && hits[2] > 500);
    wire_fini(&wire);
}

/* A reordered frame is overtaken by later ones, and still arrives. */
static void reordering_overtakes(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    wire_init(&wire, 4);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){
                                     .reorder_ppm = 300000, .reorder_ns = 50000, .delay_ns = 100});
    uint32_t overtaken = 0, total = 0, highest = 0;
    for (uint32_t i = 0; i < 400; i++) {
        nic_sim_advance(wire.sim, i * 1000);
        assert_true(send_number(wire.ends[0], macs[1], i));
        nic_flush(wire.ends[0]);
    }
    for (uint64_t next; (next = nic_sim_next_ns(wire.sim)) != UINT64_MAX; total++) {
        nic_sim_advance(wire.sim, next);
        assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
        overtaken += number_of(&packet) < highest;
        highest = number_of(&packet) > highest ? number_of(&packet) : highest;
        nic_release(wire.ends[1], &packet, 1);
    }
    assert_int_equal(total, 400);
    assert_true(overtaken > 40);
    wire_fini(&wire);
}

/* What the port's MTU or the receiver's does not allow is dropped and counted. */
static void oversize_is_dropped(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    static const uint8_t small_mac[6] = {2, 0, 0, 0, 0, 8};
    struct metrics small_metrics = {0};
    wire_init(&wire, 1);
    struct nic_queue *small = nic_sim_end(wire.sim, small_mac, 576, &small_metrics);
    struct nic_queue *large =
        nic_sim_end(wire.sim, (const uint8_t[]){2, 0, 0, 0, 0, 9}, 9000, NULL);
    assert_true(send_number(large, small_mac, 1399)); /* 1459 octets: too long for the receiver */
    assert_true(send_number(large, macs[0], 2));
    nic_flush(large);
    nic_sim_advance(wire.sim, 5);
    assert_int_equal(nic_receive(small, &packet, 1), 0);
    assert_int_equal(metric_get(&small_metrics, METRIC_NIC_RX_ERRORS), 1);
    assert_int_equal(nic_receive(wire.ends[0], &packet, 1), 1);
    nic_release(wire.ends[0], &packet, 1);
    wire_fini(&wire);
}

/* An exhausted heap refuses nic_take and loses frames; nothing breaks and all balances. */
static void exhausted_heap_refuses(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packets[64];
    uint32_t taken = 0, last;
    wire_init(&wire, 1);
    wire.heap.used_bytes_max = heap_used_bytes(&wire.heap) + 40000;
    while (taken < 64 && nic_take(wire.ends[0], &packets[taken]))
        taken++;
    assert_in_range(taken, 10, 63);
    assert_int_equal(nic_sim_buffers_used(wire.sim), taken);
    assert_int_equal(metric_get(&wire.metrics[0], METRIC_NIC_NO_BUFFER), 1);
    for (uint32_t i = 0; i < taken; i++) {
        packets[i].size = 60;
        memset(packets[i].frame, 0, 60);
        memcpy(packets[i].frame, macs[1], 6);
    }
    nic_transmit(wire.ends[0], packets, taken);
    nic_flush(wire.ends[0]);
    nic_sim_advance(wire.sim, 1);
    uint32_t got = drain(wire.ends[1], &last);
    assert_int_equal(got + (uint32_t)metric_get(&wire.metrics[1], METRIC_NIC_RX_NO_BUFFER), taken);
    wire_fini(&wire);
}

/* Builds a SYN with both checksums to be filled by the port. */
static void send_syn(struct nic_queue *from, const uint8_t mac[6])
{
    static const uint8_t ip_tcp[] = {0x45, 0,    0,    43,   0,    0, 0x40, 0, 64, 6,
                                     0,    0,    10,   0,    0,    1, 10,   0, 0,  2, /* IPv4 */
                                     0x14, 0x66, 0x9c, 0x40, 0,    0, 0,    7, 0,  0,
                                     0,    9,    0x50, 0x12, 0x10, 0, 0,    0, 0,  0, /* TCP */
                                     'a',  'b',  'c'};
    struct packet packet;
    assert_true(nic_take(from, &packet));
    packet.size = 14 + sizeof ip_tcp;
    memcpy(packet.frame, mac, 6);
    memcpy(packet.frame + 6, from->mac, 6);
    packet.frame[12] = 0x08;
    packet.frame[13] = 0;
    memcpy(packet.frame + 14, ip_tcp, sizeof ip_tcp);
    packet.flags = PACKET_FILL_IP | PACKET_FILL_TCP;
    packet.ip_offset = 14;
    nic_transmit(from, &packet, 1);
}

/* The port fills checksums in; a judging port says so, and says it of corrupt frames too. */
static void checksums_are_filled_and_judged(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    wire_init(&wire, 1);
    send_syn(wire.ends[0], macs[1]);
    nic_flush(wire.ends[0]);
    nic_sim_advance(wire.sim, 1);
    assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
    assert_int_equal(packet.flags, 0);
    assert_int_equal(nic_checksum_judge(bytes_of(packet.frame, packet.size)),
                     PACKET_IP_GOOD | PACKET_L4_GOOD);
    nic_release(wire.ends[1], &packet, 1);

    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.judges_checksums = true});
    send_syn(wire.ends[0], macs[1]);
    nic_flush(wire.ends[0]);
    nic_sim_advance(wire.sim, 2);
    assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
    assert_int_equal(packet.flags, PACKET_IP_GOOD | PACKET_L4_GOOD);
    nic_release(wire.ends[1], &packet, 1);
    wire_fini(&wire);
}

/* The line of a TCP segment reads as its header does. */
static void trace_reads_as_text(void **state)
{
    (void)state;
    struct wire wire;
    uint8_t octets[512];
    struct writer trace = writer_of(octets, sizeof octets);
    wire_init(&wire, 1);
    nic_sim_advance(wire.sim, 1200);
    nic_sim_trace(wire.sim, &trace);
    send_syn(wire.ends[0], macs[1]);
    nic_flush(wire.ends[0]);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.loss_ppm = 1000000});
    assert_true(send_number(wire.ends[2], everyone, 0));
    nic_flush(wire.ends[2]);
    nic_sim_trace(wire.sim, NULL);
    assert_true(send_number(wire.ends[2], everyone, 0));
    nic_flush(wire.ends[2]);
    write_u8(&trace, 0);
    assert_string_equal((const char *)octets,
                        "0.000001200 0>02.00.00.00.00.02 57 tcp 10.0.0.1:5222>10.0.0.2:40000 SA "
                        "seq 0 ack 0 win 4096 len 3\n"
                        "0.000001200 2>ff.ff.ff.ff.ff.ff 60 type 34997 lost@0 lost@1\n");
    wire_fini(&wire);
}

static void send_frame(struct nic_queue *from, const uint8_t *frame, uint16_t size)
{
    struct packet packet;
    assert_true(nic_take(from, &packet));
    memcpy(packet.frame, frame, size);
    packet.size = size;
    nic_transmit(from, &packet, 1);
    nic_flush(from);
}

/* Numbers are relative to the SYN of their direction, SACK blocks to that of the other; options,
 * ECN and IPv6 are named; a frame cut at any octet is read no further. */
static void trace_names_options(void **state)
{
    (void)state;
    static const uint8_t syn[] = {
        2,    0,    0,  0,    0, 2,  2, 0, 0, 0,    0, 1,  0x86, 0xdd, 0x60, 0, 0,    0,    0,
        40,   6,    64, 0xfd, 0, 0,  0, 0, 0, 0,    0, 0,  0,    0,    0,    0, 0,    0,    1,
        0xfd, 0,    0,  0,    0, 0,  0, 0, 0, 0,    0, 0,  0,    0,    0,    2, 0x9c, 0x40, 0x14,
        0x66, 0,    0,  1,    0, 0,  0, 0, 0, 0xa0, 2, 16, 0,    0,    0,    0, 0,    2,    4,
        5,    0xa0, 4,  2,    8, 10, 0, 0, 0, 9,    0, 0,  0,    0,    1,    3, 3,    7};
    static const uint8_t ack[] = {
        2,    0,    0,    0,    0,    1,  2, 0, 0, 0,  0, 2, 0x86, 0xdd, 0x60, 0x30, 0, 0,
        0,    32,   6,    64,   0xfd, 0,  0, 0, 0, 0,  0, 0, 0,    0,    0,    0,    0, 0,
        0,    2,    0xfd, 0,    0,    0,  0, 0, 0, 0,  0, 0, 0,    0,    0,    0,    0, 1,
        0x14, 0x66, 0x9c, 0x40, 0,    0,  2, 0, 0, 0,  1, 1, 0x80, 0x10, 16,   0,    0, 0,
        0,    0,    1,    1,    5,    10, 0, 0, 1, 11, 0, 0, 1,    21};
    struct wire wire;
    uint8_t octets[1024] = {0};
    struct writer trace = writer_of(octets, sizeof octets - 1);
    wire_init(&wire, 1);
    nic_sim_trace(wire.sim, &trace);
    send_frame(wire.ends[0], syn, sizeof syn);
    send_frame(wire.ends[1], ack, sizeof ack);
    assert_string_equal(
        (const char *)octets,
        "0.000000000 0>02.00.00.00.00.02 94 tcp fd00:0000:0000:0000:0000:0000:0000:0001.40000>"
        "fd00:0000:0000:0000:0000:0000:0000:0002.5222 S seq 0 win 4096 len 0 mss 1440 sack-ok "
        "ts 9/0 wscale 7\n"
        "0.000000000 1>02.00.00.00.00.01 86 tcp fd00:0000:0000:0000:0000:0000:0000:0002.5222>"
        "fd00:0000:0000:0000:0000:0000:0000:0001.40000 A ce seq 0 ack 1 win 4096 len 0 "
        "sack 11-21\n");
    for (uint16_t size = 14; size < sizeof syn; size++) {
        trace.size = 0;
        send_frame(wire.ends[0], syn, size);
        assert_true(trace.size > 0);
    }
    nic_sim_trace(wire.sim, NULL);
    wire_fini(&wire);
}

/* One faulty minute of traffic; the trace is left in `trace`. */
static void storm(uint64_t seed, struct writer *trace)
{
    struct wire wire;
    struct packet packets[NIC_BURST_MAX];
    wire_init(&wire, seed);
    nic_sim_trace(wire.sim, trace);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.loss_ppm = 50000,
                                                          .duplicate_ppm = 50000,
                                                          .reorder_ppm = 50000,
                                                          .corrupt_ppm = 50000,
                                                          .delay_ns = 20000,
                                                          .jitter_ns = 9000,
                                                          .reorder_ns = 100000,
                                                          .refuse_take_ppm = 20000,
                                                          .refuse_transmit_ppm = 20000});
    for (uint32_t turn = 0; turn < 300; turn++) {
        nic_sim_advance(wire.sim, turn * UINT64_C(7000));
        for (uint32_t i = 0; i < ENDS; i++) {
            (void)send_number(wire.ends[i], turn % 5 == 0 ? everyone : macs[(i + 1) % ENDS], turn);
            uint32_t count = nic_receive(wire.ends[i], packets, NIC_BURST_MAX);
            /* Each second packet is sent on as it came, corrupt or not. */
            nic_transmit(wire.ends[i], packets, count / 2);
            nic_release(wire.ends[i], packets + count / 2, count - count / 2);
            nic_flush(wire.ends[i]);
        }
    }
    nic_sim_trace(wire.sim, NULL);
    assert_int_equal(nic_sim_buffers_used(wire.sim), 0);
    nic_sim_destroy(&wire.sim);
    assert_int_equal(heap_used_bytes(&wire.heap), 0);
}

/* The same seed makes the same trace to the octet; another seed another. */
static void seed_decides_trace(void **state)
{
    (void)state;
    static uint8_t octets[3][1 << 18];
    struct writer traces[3];
    const uint64_t seeds[3] = {5, 5, 6};
    for (uint32_t i = 0; i < 3; i++) {
        traces[i] = writer_of(octets[i], sizeof octets[i]);
        storm(seeds[i], &traces[i]);
    }
    assert_false(traces[0].is_overflown);
    assert_true(traces[0].size > 10000);
    assert_true(bytes_equal(writer_bytes(&traces[0]), writer_bytes(&traces[1])));
    assert_false(bytes_equal(writer_bytes(&traces[0]), writer_bytes(&traces[2])));
}

/* A switch destroyed in mid-traffic gives everything back. */
static void destroyed_under_way(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, 1);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.delay_ns = 100});
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(send_number(wire.ends[0], everyone, i));
        nic_sim_advance(wire.sim, i);
    }
    wire_fini(&wire);
}

/* A switch has 64 places. */
static void switch_is_bounded(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, 1);
    for (uint32_t i = ENDS; i < NIC_SIM_ENDS_MAX; i++)
        assert_non_null(
            nic_sim_end(wire.sim, (const uint8_t[]){2, 1, 0, 0, 0, (uint8_t)i}, MTU, NULL));
    assert_null(nic_sim_end(wire.sim, (const uint8_t[]){2, 2, 0, 0, 0, 0}, MTU, NULL));
    wire_fini(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unicast_reaches_its_owner),
        cmocka_unit_test(broadcast_and_unknown),
        cmocka_unit_test(received_packet_is_reused),
        cmocka_unit_test(jitter_keeps_order),
        cmocka_unit_test(faults_come_at_their_rates),
        cmocka_unit_test(corruption_flips_one_bit),
        cmocka_unit_test(reordering_overtakes),
        cmocka_unit_test(oversize_is_dropped),
        cmocka_unit_test(exhausted_heap_refuses),
        cmocka_unit_test(checksums_are_filled_and_judged),
        cmocka_unit_test(trace_reads_as_text),
        cmocka_unit_test(trace_names_options),
        cmocka_unit_test(seed_decides_trace),
        cmocka_unit_test(destroyed_under_way),
        cmocka_unit_test(switch_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
