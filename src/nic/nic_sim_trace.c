/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames as text lines, for traces that two runs of one seed must share octet for octet and that a
 * person can read beside a failed test. Reads only what the frame holds: a cut or nonsensical
 * header is named as such. The simulation's thread. */
#include "nic_sim_trace.h"

#define NS_A_SECOND UINT64_C(1000000000)
#define IPV4_SIZE 20u
#define IPV6_SIZE 40u
#define FLAG_SYN 0x02u
#define FLAG_ACK 0x10u

static void write_number(struct writer *into, const char *before, uint64_t number)
{
    write_string(into, before);
    write_decimal(into, number);
}

static void write_seconds(struct writer *into, uint64_t ns)
{
    write_decimal(into, ns / NS_A_SECOND);
    write_u8(into, '.');
    for (uint64_t place = NS_A_SECOND / 10; place > 0; place /= 10)
        write_u8(into, (uint8_t)('0' + ns / place % 10));
}

static void write_mac(struct writer *into, struct bytes mac)
{
    for (size_t i = 0; i < mac.size; i++) {
        if (i != 0)
            write_u8(into, '.');
        write_hex(into, bytes_slice(mac, i, 1));
    }
}

/* IPv6 without the abbreviations of RFC 5952: a reader needs to tell addresses apart, no more. */
static void write_address(struct writer *into, struct bytes address)
{
    if (address.size == 16) {
        for (size_t i = 0; i < 16; i += 2) {
            if (i != 0)
                write_u8(into, ':');
            write_hex(into, bytes_slice(address, i, 2));
        }
        return;
    }
    for (size_t i = 0; i < address.size; i++)
        write_number(into, i == 0 ? "" : ".", address.at[i]);
}

static uint32_t u16_at(const uint8_t *at)
{
    return (uint32_t)(at[0] << 8 | at[1]);
}

static uint32_t u32_at(const uint8_t *at)
{
    return u16_at(at) << 16 | u16_at(at + 2);
}

/* ---- what an IP packet holds ---- */

struct load {
    struct bytes source;
    struct bytes destination;
    struct bytes octets;
    uint8_t protocol;
    uint8_t ecn;
    bool is_fragment;
};

static bool read_ipv4(struct bytes packet, struct load *load)
{
    if (packet.size < IPV4_SIZE)
        return false;
    size_t header = (size_t)(packet.at[0] & 0x0f) * 4;
    size_t total = u16_at(packet.at + 2);
    if (header < IPV4_SIZE || total < header || total > packet.size)
        return false;
    *load = (struct load){.source = bytes_slice(packet, 12, 4),
                          .destination = bytes_slice(packet, 16, 4),
                          .octets = bytes_slice(packet, header, total - header),
                          .protocol = packet.at[9],
                          .ecn = packet.at[1] & 3u,
                          .is_fragment = (u16_at(packet.at + 6) & 0x1fff) != 0};
    return true;
}

static bool read_ipv6(struct bytes packet, struct load *load)
{
    if (packet.size < IPV6_SIZE || packet.size < IPV6_SIZE + u16_at(packet.at + 4))
        return false;
    *load = (struct load){.source = bytes_slice(packet, 8, 16),
                          .destination = bytes_slice(packet, 24, 16),
                          .octets = bytes_slice(packet, IPV6_SIZE, u16_at(packet.at + 4)),
                          .protocol = packet.at[6],
                          .ecn = packet.at[1] >> 4 & 3u};
    return true;
}

/* ---- TCP ---- */

static struct nic_sim_flow *flow_of(struct nic_sim_tracer *tracer, struct bytes source,
                                    struct bytes destination, uint32_t ports)
{
    uint8_t tuple[36] = {0};
    memcpy(tuple, source.at, source.size);
    memcpy(tuple + 16, destination.at, destination.size);
    memcpy(tuple + 32, &ports, sizeof ports);
    for (uint32_t i = 0; i < NIC_SIM_TRACE_FLOWS; i++)
        if (memcmp(tracer->flows[i].tuple, tuple, sizeof tuple) == 0)
            return &tracer->flows[i];
    struct nic_sim_flow *flow = &tracer->flows[tracer->flow_next++ % NIC_SIM_TRACE_FLOWS];
    *flow = (struct nic_sim_flow){0};
    memcpy(flow->tuple, tuple, sizeof tuple);
    return flow;
}

static uint32_t relative(struct nic_sim_flow *flow, uint32_t number)
{
    if (!flow->is_known) {
        flow->is_known = true;
        flow->base = number;
    }
    return number - flow->base;
}

static void write_flags(struct writer *into, uint8_t flags, uint8_t ecn)
{
    static const char letters[] = "FSRPAUEC"; /* RFC 9293 section 3.1, least bit first */
    static const char *const marks[] = {"", " ect1", " ect", " ce"};
    write_u8(into, ' ');
    if (flags == 0)
        write_u8(into, '-');
    for (uint32_t bit = 0; bit < 8; bit++) {
        if (flags >> bit & 1u)
            write_u8(into, (uint8_t)letters[bit]);
    }
    write_string(into, marks[ecn]);
}

static void write_sacks(struct writer *into, struct bytes blocks, struct nic_sim_flow *acked)
{
    for (size_t i = 0; i + 8 <= blocks.size; i += 8) {
        write_number(into, i == 0 ? " sack " : ",", relative(acked, u32_at(blocks.at + i)));
        write_number(into, "-", relative(acked, u32_at(blocks.at + i + 4)));
    }
}

static void write_option(struct writer *into, uint8_t kind, struct bytes body,
                         struct nic_sim_flow *acked)
{
    if (kind == 2 && body.size == 2) {
        write_number(into, " mss ", u16_at(body.at));
    } else if (kind == 3 && body.size == 1) {
        write_number(into, " wscale ", body.at[0]);
    } else if (kind == 4) {
        write_string(into, " sack-ok");
    } else if (kind == 5) {
        write_sacks(into, body, acked);
    } else if (kind == 8 && body.size == 8) {
        write_number(into, " ts ", u32_at(body.at));
        write_number(into, "/", u32_at(body.at + 4));
    } else {
        write_number(into, " option ", kind);
    }
}

static void write_options(struct writer *into, struct bytes options, struct nic_sim_flow *acked)
{
    struct cursor at = cursor_of(options);
    uint8_t kind, size;
    struct bytes body;
    while (cursor_u8(&at, &kind) && kind != 0) {
        if (kind == 1)
            continue;
        if (!cursor_u8(&at, &size) || size < 2 || !cursor_take(&at, size - 2u, &body)) {
            write_string(into, " options cut");
            return;
        }
        write_option(into, kind, body, acked);
    }
}

static void write_numbers(struct nic_sim_tracer *tracer, const struct load *load, uint8_t flags)
{
    struct writer *into = tracer->into;
    const uint8_t *tcp = load->octets.at;
    uint32_t ports = u32_at(tcp);
    uint32_t seq = u32_at(tcp + 4), ack = u32_at(tcp + 8);
    struct nic_sim_flow *flow = flow_of(tracer, load->source, load->destination, ports);
    struct nic_sim_flow *acked =
        flow_of(tracer, load->destination, load->source, ports << 16 | ports >> 16);
    if ((flags & FLAG_SYN) != 0) {
        flow->base = seq;
        flow->is_known = true;
    }
    write_number(into, " seq ", relative(flow, seq));
    if ((flags & FLAG_ACK) != 0)
        write_number(into, " ack ", relative(acked, ack));
    write_number(into, " win ", u16_at(tcp + 14));
    size_t header = (size_t)(tcp[12] >> 4) * 4;
    if (header < 20 || header > load->octets.size) {
        write_string(into, " header cut");
        return;
    }
    write_number(into, " len ", load->octets.size - header);
    write_options(into, bytes_slice(load->octets, 20, header - 20), acked);
}

static void write_tcp(struct nic_sim_tracer *tracer, const struct load *load)
{
    struct writer *into = tracer->into;
    write_string(into, " tcp");
    if (load->octets.size < 20) {
        write_string(into, " cut");
        return;
    }
    const uint8_t *tcp = load->octets.at;
    write_u8(into, ' ');
    write_address(into, load->source);
    write_number(into, load->source.size == 16 ? "." : ":", u16_at(tcp));
    write_u8(into, '>');
    write_address(into, load->destination);
    write_number(into, load->source.size == 16 ? "." : ":", u16_at(tcp + 2));
    write_flags(into, tcp[13], load->ecn);
    write_numbers(tracer, load, tcp[13]);
}

/* ---- the rest ---- */

static void write_other(struct writer *into, const struct load *load)
{
    bool is_icmp = load->protocol == 1 || load->protocol == 58;
    write_u8(into, ' ');
    write_string(into, load->protocol == 1 ? "icmp " : load->protocol == 58 ? "icmp6 " : "ip ");
    write_address(into, load->source);
    write_u8(into, '>');
    write_address(into, load->destination);
    if (!is_icmp || load->octets.size < 8) {
        write_number(into, " protocol ", load->protocol);
        return;
    }
    write_number(into, " type ", load->octets.at[0]);
    write_number(into, " code ", load->octets.at[1]);
    write_number(into, " rest ", u32_at(load->octets.at + 4));
}

static void write_ip(struct nic_sim_tracer *tracer, bool is_read, const struct load *load)
{
    if (!is_read)
        write_string(tracer->into, " ip cut");
    else if (load->protocol == 6 && !load->is_fragment)
        write_tcp(tracer, load);
    else
        write_other(tracer->into, load);
}

static void write_arp(struct writer *into, struct bytes packet)
{
    write_string(into, " arp");
    if (packet.size < 28) {
        write_string(into, " cut");
        return;
    }
    write_number(into, " operation ", u16_at(packet.at + 6));
    write_string(into, " from ");
    write_address(into, bytes_slice(packet, 14, 4));
    write_string(into, " about ");
    write_address(into, bytes_slice(packet, 24, 4));
}

void nic_sim_trace_frame(struct nic_sim_tracer *tracer, uint64_t now_ns, uint16_t from,
                         struct bytes frame)
{
    struct writer *into = tracer->into;
    struct load load = {0};
    if (into == NULL)
        return;
    ASSERT(frame.size >= 14);
    write_seconds(into, now_ns);
    write_number(into, " ", from);
    write_u8(into, '>');
    write_mac(into, bytes_slice(frame, 0, 6));
    write_number(into, " ", frame.size);

    uint32_t type = u16_at(frame.at + 12);
    size_t at = 14;
    if (type == 0x8100 && frame.size >= 18) {
        write_number(into, " vlan ", u16_at(frame.at + 14) & 0x0fffu);
        type = u16_at(frame.at + 16);
        at = 18;
    }
    struct bytes packet = bytes_from(frame, at);
    if (type == 0x0800)
        write_ip(tracer, read_ipv4(packet, &load), &load);
    else if (type == 0x86dd)
        write_ip(tracer, read_ipv6(packet, &load), &load);
    else if (type == 0x0806)
        write_arp(into, packet);
    else
        write_number(into, " type ", type);
}

void nic_sim_trace_fate(struct nic_sim_tracer *tracer, uint16_t to, enum nic_sim_fate fate)
{
    static const char *const words[] = {" lost@",     " twice@", " late@",   " corrupt@",
                                        " too-long@", " full@",  " marked@", " too-big@",
                                        " held@",     " told@"};
    if (tracer->into == NULL)
        return;
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (fate >> i & 1u)
            write_number(tracer->into, words[i], to);
    }
}

void nic_sim_trace_end(struct nic_sim_tracer *tracer)
{
    if (tracer->into != NULL)
        write_u8(tracer->into, '\n');
}
