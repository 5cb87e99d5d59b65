/* SPDX-License-Identifier: Apache-2.0
 *
 * See impair_frame.h. Own little arithmetic on purpose: what judges the stack does not use it. */
#include "impair_frame.h"

#include <arpa/inet.h>
#include <string.h>

#define ETHERNET_SIZE 14u
#define FLAG_FIN 0x01u
#define FLAG_PSH 0x08u
#define FLAG_CWR 0x80u

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint32_t sum16(const uint8_t *at, uint32_t size, uint32_t sum)
{
    for (; size > 1; at += 2, size -= 2)
        sum += get16(at);
    if (size == 1)
        sum += (uint32_t)at[0] << 8;
    while (sum >> 16 != 0)
        sum = (sum & 0xffffu) + (sum >> 16);
    return sum;
}

bool frame_read(const uint8_t *frame, uint32_t size, struct frame_view *view)
{
    *view = (struct frame_view){.ip_offset = ETHERNET_SIZE};
    const uint8_t *ip = frame + ETHERNET_SIZE;
    uint32_t protocol = 0;
    if (size >= ETHERNET_SIZE + 20 && get16(frame + 12) == 0x0800) {
        view->tcp_offset = ETHERNET_SIZE + (ip[0] & 15u) * 4u;
        view->size = ETHERNET_SIZE + get16(ip + 2);
        protocol = ip[9];
    } else if (size >= ETHERNET_SIZE + 40 && get16(frame + 12) == 0x86dd) {
        view->is_ip6 = true;
        view->tcp_offset = ETHERNET_SIZE + 40;
        view->size = view->tcp_offset + get16(ip + 4);
        protocol = ip[6];
    }
    if (protocol != 6 || view->size > size || view->tcp_offset + 20 > view->size)
        return false;
    view->payload_offset = view->tcp_offset + (uint32_t)(frame[view->tcp_offset + 12] >> 4) * 4;
    return view->payload_offset <= view->size;
}

uint32_t frame_seq_end(const uint8_t *frame, const struct frame_view *view)
{
    return get32(frame + view->tcp_offset + 4) + view->size - view->payload_offset;
}

void frame_complete(uint8_t *frame, uint32_t size, const struct virtio_net_hdr *header)
{
    uint32_t start = header->csum_start;
    uint32_t at = start + header->csum_offset;
    if ((header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0 || at + 2 > size)
        return;
    put16(frame + at,
          ~sum16(frame + start, size - start, 0)); /* it holds the pseudo-header's sum */
}

static void checksums_write(uint8_t *frame, const struct frame_view *view, uint32_t size)
{
    uint8_t *ip = frame + view->ip_offset;
    uint8_t *tcp = frame + view->tcp_offset;
    uint32_t tcp_size = size - view->tcp_offset;
    if (!view->is_ip6) {
        put16(ip + 2, size - view->ip_offset);
        put16(ip + 10, 0);
        put16(ip + 10, ~sum16(ip, view->tcp_offset - view->ip_offset, 0));
    } else {
        put16(ip + 4, tcp_size);
    }
    uint32_t sum = view->is_ip6 ? sum16(ip + 8, 32, 0) : sum16(ip + 12, 8, 0);
    put16(tcp + 16, 0);
    put16(tcp + 16, ~sum16(tcp, tcp_size, sum + 6 + tcp_size));
}

uint32_t frame_cut(const uint8_t *frame, const struct frame_view *view, uint32_t offset,
                   uint32_t part_size, uint8_t *into)
{
    uint32_t payload = view->size - view->payload_offset;
    uint32_t part = payload - offset < part_size ? payload - offset : part_size;
    uint32_t size = view->payload_offset + part;
    memcpy(into, frame, view->payload_offset);
    memcpy(into + view->payload_offset, frame + view->payload_offset + offset, part);
    uint8_t *tcp = into + view->tcp_offset;
    put32(tcp + 4, get32(tcp + 4) + offset);
    if (offset + part < payload)
        tcp[13] &= (uint8_t) ~(FLAG_FIN | FLAG_PSH);
    if (offset != 0)
        tcp[13] &= (uint8_t)~FLAG_CWR;
    if (!view->is_ip6 && part_size != 0)
        put16(into + view->ip_offset + 4, get16(into + view->ip_offset + 4) + offset / part_size);
    checksums_write(into, view, size);
    return size;
}

/* ---- what routers do ---- */

bool frame_mark(uint8_t *frame, const struct frame_view *view)
{
    uint8_t *ip = frame + view->ip_offset;
    uint8_t *octet = ip + 1; /* traffic class: its low half, in IPv6 the high half of this octet */
    uint32_t shift = view->is_ip6 ? 4 : 0;
    if ((*octet >> shift & 3u) == 0)
        return false;
    *octet |= (uint8_t)(3u << shift);
    if (!view->is_ip6) {
        put16(ip + 10, 0);
        put16(ip + 10, ~sum16(ip, view->tcp_offset - view->ip_offset, 0));
    }
    return true;
}

#define ROUTER4 "\x0a\x63\x00\xfe" /* 10.99.0.254 */
#define ROUTER6 "\xfd\x99\0\0\0\0\0\0\0\0\0\0\0\0\0\xfe"
#define QUOTE4_SIZE 28u /* IP header and eight octets of TCP */
#define QUOTE6_SIZE 100u

static uint32_t too_big4(const uint8_t *quoted, uint32_t mtu, uint8_t *ip)
{
    uint8_t *icmp = ip + 20;
    memcpy(ip, "\x45\0\0\0\0\0\0\0\x40\x01\0\0" ROUTER4, 16);
    memcpy(ip + 16, quoted + 12, 4);
    put16(ip + 2, 20 + 8 + QUOTE4_SIZE);
    put16(ip + 10, ~sum16(ip, 20, 0));
    memcpy(icmp, "\x03\x04\0\0\0\0\0\0", 8);
    put16(icmp + 6, mtu);
    memcpy(icmp + 8, quoted, QUOTE4_SIZE);
    put16(icmp + 2, ~sum16(icmp, 8 + QUOTE4_SIZE, 0));
    return 20 + 8 + QUOTE4_SIZE;
}

static uint32_t too_big6(const uint8_t *quoted, uint32_t mtu, uint8_t *ip)
{
    uint8_t *icmp = ip + 40;
    uint32_t size = 8 + QUOTE6_SIZE;
    memcpy(ip, "\x60\0\0\0\0\0\x3a\x40" ROUTER6, 24);
    memcpy(ip + 24, quoted + 8, 16);
    put16(ip + 4, size);
    memcpy(icmp, "\x02\0\0\0\0\0\0\0", 8);
    put32(icmp + 4, mtu);
    memcpy(icmp + 8, quoted, QUOTE6_SIZE);
    put16(icmp + 2, ~sum16(icmp, size, sum16(ip + 8, 32, 0) + 58 + size));
    return 40 + size;
}

uint32_t frame_too_big(const uint8_t *frame, const struct frame_view *view, uint32_t mtu,
                       uint8_t *into)
{
    const uint8_t *ip = frame + view->ip_offset;
    memcpy(into, frame + 6, 6);
    memcpy(into + 6, frame, 6);
    memcpy(into + 12, frame + 12, 2);
    return ETHERNET_SIZE + (view->is_ip6 ? too_big6(ip, mtu, into + ETHERNET_SIZE)
                                         : too_big4(ip, mtu, into + ETHERNET_SIZE));
}

/* ---- trace ---- */

static void print_sacks(FILE *into, const uint8_t *at, const uint8_t *end, uint32_t base)
{
    while (at < end && *at != 0) {
        if (*at == 1) {
            at++;
            continue;
        }
        if (at + 2 > end || at[1] < 2 || at + at[1] > end)
            return;
        for (const uint8_t *block = at + 2; *at == 5 && block + 8 <= at + at[1]; block += 8)
            fprintf(into, " sack %u:%u", get32(block) - base, get32(block + 4) - base);
        at += at[1];
    }
}

void frame_print(FILE *into, struct trace_base *base, uint32_t direction, const uint8_t *frame,
                 const struct frame_view *view)
{
    static const char letters[] = "FSRPAUEC";
    const uint8_t *tcp = frame + view->tcp_offset;
    char flags[9] = {0};
    uint32_t flag_count = 0;
    for (uint32_t i = 0; i < 8; i++)
        if ((tcp[13] >> i & 1u) != 0)
            flags[flag_count++] = letters[i];
    if (!base->is_known[direction] || (tcp[13] & 2u) != 0) {
        base->seq[direction] = get32(tcp + 4);
        base->is_known[direction] = true;
    }
    uint32_t seq = get32(tcp + 4) - base->seq[direction];
    uint32_t payload = view->size - view->payload_offset;
    fprintf(into, "%s %-3s %u:%u(%u)", direction == 0 ? ">" : "<", flags, seq, seq + payload,
            payload);
    if ((tcp[13] & 0x10u) != 0)
        fprintf(into, " ack %u", get32(tcp + 8) - base->seq[1 - direction]);
    fprintf(into, " win %u", get16(tcp + 14));
    print_sacks(into, tcp + 20, frame + view->payload_offset, base->seq[1 - direction]);
}
