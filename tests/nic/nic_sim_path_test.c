/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/nic/nic_sim_path.c, seen through the wire: each direction has its own faults; bursts,
 * spreads, narrow links and small MTUs are what they say; a stretch passes, one frame is struck. */
#include "sim_wire.h"

/* Faults of an end are those of what leaves it, whatever the other direction suffers. */
static void directions_are_apart(void **state)
{
    (void)state;
    struct wire wire;
    uint32_t last = 0;
    wire_init(&wire, 3);
    nic_sim_set_end_faults(wire.ends[0], &(struct nic_sim_faults){.loss_ppm = 1000000});
    for (uint32_t i = 0; i < 50; i++) {
        assert_true(send_number(wire.ends[0], macs[1], i));
        assert_true(send_number(wire.ends[1], macs[0], i));
    }
    nic_flush(wire.ends[0]);
    nic_flush(wire.ends[1]);
    nic_sim_advance(wire.sim, 0);
    assert_int_equal(drain(wire.ends[1], &last), 0);
    assert_int_equal(drain(wire.ends[0], &last), 50);
    wire_fini(&wire);
}

/* Burst loss: a hundredth of packets starts a burst of ten on average, so a ninth is lost, and the
 * losses come in runs, which single losses do not. */
static void bursts_come_in_runs(void **state)
{
    (void)state;
    struct wire wire;
    uint32_t lost = 0, runs = 0, expected = 0;
    struct packet packet;
    wire_init(&wire, 5);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.burst_start_ppm = 10000,
                                                          .burst_end_ppm = 100000,
                                                          .burst_loss_ppm = 1000000});
    for (uint32_t i = 0; i < 30000; i++) {
        assert_true(send_number(wire.ends[0], macs[1], i));
        nic_flush(wire.ends[0]);
        nic_sim_advance(wire.sim, i);
        if (nic_receive(wire.ends[1], &packet, 1) == 0) {
            lost++;
            continue;
        }
        runs += number_of(&packet) != expected;
        expected = number_of(&packet) + 1;
        nic_release(wire.ends[1], &packet, 1);
    }
    assert_in_range(lost, 2000, 3500);
    assert_in_range(lost / runs, 8, 12);
    wire_fini(&wire);
}

/* Exponential jitter has its mean above the constant delay, a long tail, and keeps the order. */
static void exponential_has_its_mean(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    uint64_t sum_ns = 0, now_ns = 0;
    uint32_t long_count = 0;
    wire_init(&wire, 6);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.delay_ns = 1000,
                                                          .jitter_ns = 10000,
                                                          .jitter_spread = NIC_SIM_EXPONENTIAL});
    for (uint32_t i = 0; i < 20000; i++) {
        assert_true(send_number(wire.ends[0], macs[1], i));
        nic_flush(wire.ends[0]);
        uint64_t due_ns = nic_sim_next_ns(wire.sim);
        assert_in_range(due_ns - now_ns, 1000, 81000);
        sum_ns += due_ns - now_ns;
        long_count += due_ns - now_ns > 31000;
        now_ns = due_ns;
        nic_sim_advance(wire.sim, now_ns);
        assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
        nic_release(wire.ends[1], &packet, 1);
    }
    assert_in_range(sum_ns / 20000, 10500, 11500);
    assert_in_range(long_count, 700, 1300); /* e^-3 of them */
    wire_fini(&wire);
}

/* A link of a megabyte a second spaces thousand octets a millisecond apart; its queue holds what it
 * holds and drops the tail. */
static void narrow_link_queues(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    uint32_t last = 0;
    wire_init(&wire, 7);
    nic_sim_set_faults(
        wire.sim, &(struct nic_sim_faults){.octets_per_second = 1000000, .queue_octets_max = 5000});
    for (uint32_t i = 0; i < 8; i++)
        assert_true(send_number(wire.ends[0], macs[1], 940)); /* 1000 octets */
    nic_flush(wire.ends[0]);
    for (uint64_t ms = 1; ms <= 5; ms++) {
        assert_int_equal(nic_sim_next_ns(wire.sim), ms * 1000000);
        nic_sim_advance(wire.sim, ms * 1000000);
        assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
        nic_release(wire.ends[1], &packet, 1);
    }
    assert_int_equal(nic_sim_next_ns(wire.sim), UINT64_MAX);
    nic_sim_advance(wire.sim, 50 * 1000000);
    assert_int_equal(drain(wire.ends[1], &last), 0);
    wire_fini(&wire);
}

/* An IP packet with a TCP header and `payload` octets; service is the octet with the ECN bits. */
static void send_segment(struct nic_queue *from, const uint8_t mac[6], bool is_ipv6,
                         uint8_t service, uint16_t payload)
{
    struct packet packet;
    assert_true(nic_take(from, &packet));
    uint16_t header = is_ipv6 ? 40 : 20;
    uint16_t above = (uint16_t)(20 + payload);
    packet.size = (uint16_t)(14 + header + above);
    memset(packet.frame, 0, packet.size);
    memcpy(packet.frame, mac, 6);
    memcpy(packet.frame + 6, from->mac, 6);
    packet.frame[12] = is_ipv6 ? 0x86 : 8;
    packet.frame[13] = is_ipv6 ? 0xdd : 0;
    uint8_t *ip = packet.frame + 14;
    uint16_t size = is_ipv6 ? above : (uint16_t)(header + above);
    ip[is_ipv6 ? 4 : 2] = (uint8_t)(size >> 8);
    ip[is_ipv6 ? 5 : 3] = (uint8_t)size;
    ip[0] = is_ipv6 ? (uint8_t)(0x60 | service >> 4) : 0x45;
    ip[1] = is_ipv6 ? (uint8_t)(service << 4) : service;
    ip[is_ipv6 ? 6 : 9] = 6;
    if (!is_ipv6)
        ip[6] = 0x40;
    ip[header + 12] = 0x50;
    ip[header + 4] = 0x77; /* the first octet of the sequence number */
    packet.flags = PACKET_FILL_IP | PACKET_FILL_TCP;
    packet.ip_offset = 14;
    nic_transmit(from, &packet, 1);
    nic_flush(from);
}

/* Where a queue is deep, packets whose ends know ECN get CE and stay sound; others do not. */
static void deep_queue_marks(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    wire_init(&wire, 8);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.octets_per_second = 1000000,
                                                          .mark_octets = 2500,
                                                          .judges_checksums = true});
    for (uint32_t i = 0; i < 12; i++)
        send_segment(wire.ends[0], macs[1], i % 3 == 0, i % 2 == 0 ? 2 : 0, 946);
    nic_sim_advance(wire.sim, 1000000000);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
        const uint8_t *ip = packet.frame + 14;
        uint32_t ecn = ip[0] >> 4 == 6 ? ip[1] >> 4 & 3u : ip[1] & 3u;
        assert_int_equal(ecn, i % 2 != 0 ? 0 : i < 3 ? 2 : 3);
        assert_int_equal(packet.flags, PACKET_IP_GOOD | PACKET_L4_GOOD);
        nic_release(wire.ends[1], &packet, 1);
    }
    wire_fini(&wire);
}

/* Sums to nothing over the pseudo header of RFC 4443 section 2.3. */
static bool is_icmpv6_sound(struct bytes packet)
{
    uint16_t size = (uint16_t)(packet.size - 40);
    const uint8_t tail[4] = {0, 58, (uint8_t)(size >> 8), (uint8_t)size};
    uint64_t sum = nic_checksum_add(0, bytes_slice(packet, 8, 32));
    sum = nic_checksum_add(sum, bytes_of(tail, sizeof tail));
    sum = nic_checksum_add(sum, bytes_from(packet, 40));
    return be16_get(nic_checksum_field(sum)) == 0;
}

/* A packet over the path's MTU is lost and its sender told, by a sound ICMP error that quotes it;
 * on a silent path it is not told. */
static void narrow_path_tells_its_sender(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    struct nic_sim_faults faults = {.path_mtu = 1280, .delay_ns = 10};
    wire_init(&wire, 9);
    nic_sim_set_faults(wire.sim, &faults);
    for (uint32_t i = 0; i < 20; i++) {
        bool is_ipv6 = i % 2 != 0;
        uint16_t header = is_ipv6 ? 40 : 20;
        send_segment(wire.ends[0], macs[1], is_ipv6, 0, (uint16_t)(1280 - 20 - header));
        nic_sim_advance(wire.sim, i * 100 + 10);
        assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1); /* just fits */
        nic_release(wire.ends[1], &packet, 1);
        send_segment(wire.ends[0], macs[1], is_ipv6, 0, (uint16_t)(1281 - 20 - header));
        nic_sim_advance(wire.sim, i * 100 + 20);
        assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 0);
        assert_int_equal(nic_receive(wire.ends[0], &packet, 1), 1);
        struct bytes ip = bytes_of(packet.frame + 14, packet.size - 14u);
        struct bytes icmp = bytes_from(ip, header);
        assert_memory_equal(packet.frame, wire.ends[0]->mac, 6);
        assert_int_equal(icmp.at[0], is_ipv6 ? 2 : 3);
        assert_int_equal(icmp.at[1], is_ipv6 ? 0 : 4);
        assert_int_equal(icmp.at[6] << 8 | icmp.at[7], 1280);
        assert_int_equal(icmp.at[8 + header + 4], 0x77);
        assert_true(is_ipv6 ? is_icmpv6_sound(ip)
                            : be16_get(nic_checksum_field(nic_checksum_add(0, icmp))) == 0 &&
                                  nic_checksum_judge(bytes_of(packet.frame, packet.size)) ==
                                      PACKET_IP_GOOD);
        nic_release(wire.ends[0], &packet, 1);
    }
    faults.is_path_silent = true;
    nic_sim_set_faults(wire.sim, &faults);
    send_segment(wire.ends[0], macs[1], false, 0, 1400);
    assert_int_equal(nic_sim_next_ns(wire.sim), UINT64_MAX);
    wire_fini(&wire);
}

/* For a while: cut loses, clog holds and lets go in order in one lump, starve and jam refuse. */
static void stretches_pass(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packets[4];
    uint32_t last = 0;
    wire_init(&wire, 10);
    nic_sim_stretch(wire.ends[0], NIC_SIM_CUT, 100);
    assert_true(send_number(wire.ends[0], macs[1], 1));
    assert_true(send_number(wire.ends[1], macs[0], 2));
    nic_flush(wire.ends[0]);
    nic_flush(wire.ends[1]);
    nic_sim_advance(wire.sim, 100);
    assert_int_equal(drain(wire.ends[1], &last), 0);
    assert_int_equal(drain(wire.ends[0], &last), 1);

    nic_sim_stretch(wire.ends[0], NIC_SIM_CLOG, 300);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(send_number(wire.ends[0], macs[1], i));
        nic_flush(wire.ends[0]);
        nic_sim_advance(wire.sim, 110 + i);
        assert_int_equal(nic_sim_next_ns(wire.sim), 300);
    }
    nic_sim_advance(wire.sim, 300);
    assert_int_equal(nic_receive(wire.ends[1], packets, 4), 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(number_of(&packets[i]), i);
    nic_release(wire.ends[1], packets, 3);

    nic_sim_stretch(wire.ends[0], NIC_SIM_STARVE, 400);
    assert_false(send_number(wire.ends[0], macs[1], 1));
    nic_sim_advance(wire.sim, 400);
    nic_sim_stretch(wire.ends[0], NIC_SIM_JAM, 500);
    assert_true(send_number(wire.ends[0], macs[1], 1));
    assert_int_equal(metric_get(&wire.metrics[0], METRIC_NIC_DROP_TX_FULL), 1);
    nic_sim_advance(wire.sim, 500);
    assert_true(send_number(wire.ends[0], macs[1], 4));
    nic_flush(wire.ends[0]);
    nic_sim_advance(wire.sim, 501);
    assert_int_equal(drain(wire.ends[1], &last), 1);
    assert_int_equal(last, 4);
    wire_fini(&wire);
}

/* Sends frames 0, 1, 2 with number 1 struck; writes the numbers in order of arrival. */
static uint32_t strike(enum nic_sim_strike kind, uint32_t numbers[8])
{
    struct wire wire;
    struct packet packets[8];
    wire_init(&wire, 11);
    nic_sim_set_faults(wire.sim, &(struct nic_sim_faults){.delay_ns = 10});
    nic_sim_set_strike(wire.sim, 1, kind, 50);
    for (uint32_t i = 0; i < 3; i++) {
        nic_sim_advance(wire.sim, i);
        assert_true(send_number(wire.ends[0], macs[1], i));
        nic_flush(wire.ends[0]);
    }
    assert_int_equal(nic_sim_frames(wire.sim), 3);
    nic_sim_advance(wire.sim, 2 * UINT64_C(1000000000));
    uint32_t count = nic_receive(wire.ends[1], packets, 8);
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = number_of(&packets[i]);
    nic_release(wire.ends[1], packets, count);
    wire_fini(&wire);
    return count;
}

/* One frame is struck, by its number, and no other. */
static void one_frame_is_struck(void **state)
{
    (void)state;
    uint32_t numbers[8];
    assert_int_equal(strike(NIC_SIM_STRIKE_NONE, numbers), 3);
    assert_int_equal(strike(NIC_SIM_STRIKE_DROP, numbers), 2);
    assert_true(numbers[0] == 0 && numbers[1] == 2);
    assert_int_equal(strike(NIC_SIM_STRIKE_TWICE, numbers), 4);
    assert_true(numbers[0] == 0 && numbers[1] == 1 && numbers[2] == 1 && numbers[3] == 2);
    assert_int_equal(strike(NIC_SIM_STRIKE_SWAP, numbers), 3);
    assert_true(numbers[0] == 0 && numbers[1] == 2 && numbers[2] == 1);
    assert_int_equal(strike(NIC_SIM_STRIKE_DELAY, numbers), 3);
    assert_true(numbers[0] == 0 && numbers[1] == 2 && numbers[2] == 1);

    struct wire wire;
    struct packet packet;
    wire_init(&wire, 12); /* nothing follows: what waits to be swapped comes after a second */
    nic_sim_set_strike(wire.sim, 0, NIC_SIM_STRIKE_SWAP, 0);
    assert_true(send_number(wire.ends[0], macs[1], 6));
    nic_flush(wire.ends[0]);
    assert_int_equal(nic_sim_next_ns(wire.sim), 1000000000);
    nic_sim_advance(wire.sim, 1000000000);
    assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
    nic_release(wire.ends[1], &packet, 1);
    nic_sim_set_strike(wire.sim, 1, NIC_SIM_STRIKE_SWAP, 0); /* destroyed while it waits */
    assert_true(send_number(wire.ends[0], macs[1], 7));
    nic_flush(wire.ends[0]);
    wire_fini(&wire);
}

/* A stretch of up to fifteen bits changed is never judged sound where checksums reach. */
static void corrupt_stretches_are_seen(void **state)
{
    (void)state;
    struct wire wire;
    struct packet packet;
    wire_init(&wire, 13);
    nic_sim_set_faults(wire.sim,
                       &(struct nic_sim_faults){.corrupt_ppm = 1000000, .corrupt_bits = 15});
    for (uint32_t i = 0; i < 3000; i++) {
        send_segment(wire.ends[0], macs[1], false, 0, 100);
        nic_sim_advance(wire.sim, i);
        assert_int_equal(nic_receive(wire.ends[1], &packet, 1), 1);
        assert_memory_equal(packet.frame, macs[1], 6);
        bool is_in_type = packet.frame[12] != 8 || packet.frame[13] != 0;
        assert_true(is_in_type || nic_checksum_judge(bytes_of(packet.frame, packet.size)) !=
                                      (PACKET_IP_GOOD | PACKET_L4_GOOD));
        nic_release(wire.ends[1], &packet, 1);
    }
    wire_fini(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directions_are_apart),
        cmocka_unit_test(bursts_come_in_runs),
        cmocka_unit_test(exponential_has_its_mean),
        cmocka_unit_test(narrow_link_queues),
        cmocka_unit_test(deep_queue_marks),
        cmocka_unit_test(narrow_path_tells_its_sender),
        cmocka_unit_test(stretches_pass),
        cmocka_unit_test(one_frame_is_struck),
        cmocka_unit_test(corrupt_stretches_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
