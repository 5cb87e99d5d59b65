/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames as text lines, for traces that two runs of one seed must share octet for octet and that a
 * person can read beside a failed test. Reads only what the frame holds: a cut or nonsensical
 * header is named as such. The simulation's thread. */
#include "nic_sim_trace.h"

static void write_number(struct writer *into, const char *before, uint64_t number)
{
    write_string(into, before);
    write_decimal(into, number);
}

static void write_mac(struct writer *into, struct bytes mac)
{
    for (size_t i = 0; i < mac.size; i++) {
        if (i != 0)
            write_u8(into, '.');
        write_hex(into, bytes_slice(mac, i, 1));
    }
}

static void write_address(struct writer *into, struct bytes address)
{
    for (size_t i = 0; i < address.size; i++)
        write_number(into, i == 0 ? "" : ".", address.at[i]);
}

static void write_flags(struct writer *into, uint8_t flags)
{
    static const char letters[] = "FSRPAUEC"; /* RFC 9293 section 3.1, least bit first */
    write_u8(into, ' ');
    if (flags == 0)
        write_u8(into, '-');
    for (uint32_t bit = 0; bit < 8; bit++) {
        if (flags >> bit & 1u)
            write_u8(into, (uint8_t)letters[bit]);
    }
}

/* `segment` is what the IPv4 header says belongs to TCP. */
static void write_tcp(struct writer *into, struct bytes source, struct bytes destination,
                      struct bytes segment)
{
    struct cursor at = cursor_of(segment);
    uint16_t from_port, to_port, window;
    uint32_t seq, ack;
    uint8_t offset, flags;
    if (!cursor_be16(&at, &from_port) || !cursor_be16(&at, &to_port) || !cursor_be32(&at, &seq) ||
        !cursor_be32(&at, &ack) || !cursor_u8(&at, &offset) || !cursor_u8(&at, &flags) ||
        !cursor_be16(&at, &window)) {
        write_string(into, " tcp cut");
        return;
    }
    write_u8(into, ' ');
    write_address(into, source);
    write_number(into, ":", from_port);
    write_u8(into, '>');
    write_address(into, destination);
    write_number(into, ":", to_port);
    write_flags(into, flags);
    write_number(into, " seq ", seq);
    write_number(into, " ack ", ack);
    write_number(into, " win ", window);
    size_t header = (size_t)(offset >> 4) * 4;
    if (header > segment.size)
        write_string(into, " header cut");
    else
        write_number(into, " len ", segment.size - header);
}

static void write_ip(struct writer *into, struct bytes packet)
{
    write_string(into, " ip");
    if (packet.size < 20) {
        write_string(into, " cut");
        return;
    }
    struct bytes source = bytes_slice(packet, 12, 4);
    struct bytes destination = bytes_slice(packet, 16, 4);
    size_t header = (size_t)(packet.at[0] & 0x0f) * 4;
    size_t total = (size_t)(packet.at[2] << 8 | packet.at[3]);
    bool is_fragment = ((packet.at[6] << 8 | packet.at[7]) & 0x1fff) != 0;
    if (packet.at[9] == 6 && header >= 20 && total >= header && total <= packet.size &&
        !is_fragment) {
        write_tcp(into, source, destination, bytes_slice(packet, header, total - header));
        return;
    }
    write_u8(into, ' ');
    write_address(into, source);
    write_u8(into, '>');
    write_address(into, destination);
    write_number(into, " protocol ", packet.at[9]);
}

static void write_arp(struct writer *into, struct bytes packet)
{
    write_string(into, " arp");
    if (packet.size < 28) {
        write_string(into, " cut");
        return;
    }
    write_number(into, " operation ", (uint64_t)(packet.at[6] << 8 | packet.at[7]));
    write_string(into, " from ");
    write_address(into, bytes_slice(packet, 14, 4));
    write_string(into, " about ");
    write_address(into, bytes_slice(packet, 24, 4));
}

void nic_sim_trace_frame(struct writer *into, uint64_t now_ns, uint16_t from, struct bytes frame)
{
    if (into == NULL)
        return;
    ASSERT(frame.size >= 14);
    write_decimal(into, now_ns);
    write_number(into, " ", from);
    write_u8(into, '>');
    write_mac(into, bytes_slice(frame, 0, 6));
    write_number(into, " ", frame.size);

    uint32_t type = (uint32_t)(frame.at[12] << 8 | frame.at[13]);
    size_t at = 14;
    if (type == 0x8100 && frame.size >= 18) {
        write_number(into, " vlan ", (uint64_t)((frame.at[14] & 0x0f) << 8 | frame.at[15]));
        type = (uint32_t)(frame.at[16] << 8 | frame.at[17]);
        at = 18;
    }
    if (type == 0x0800)
        write_ip(into, bytes_from(frame, at));
    else if (type == 0x0806)
        write_arp(into, bytes_from(frame, at));
    else
        write_number(into, " type ", type);
}

void nic_sim_trace_fate(struct writer *into, uint16_t to, enum nic_sim_fate fate)
{
    static const char *const words[] = {" lost@",     " twice@", " late@",   " corrupt@",
                                        " too-long@", " full@",  " marked@", " too-big@",
                                        " held@",     " told@"};
    if (into == NULL)
        return;
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (fate >> i & 1u)
            write_number(into, words[i], to);
    }
}

void nic_sim_trace_end(struct writer *into)
{
    if (into != NULL)
        write_u8(into, '\n');
}
