/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets as octets: the peer's are built here with a checksum of its own making, ours are read
 * and compared. IPv4 10.0.0.9 or fd00::9 is the peer, 10.0.0.1 or fd00::1 is under test. */
#include "script_play.h"

#include <string.h>

#include "wire.h"

#define IPV4_SIZE 20u
#define IPV6_SIZE 40u
#define TCP_SIZE 20u

static const uint8_t peer_ipv4[4] = {10, 0, 0, 9};
static const uint8_t our_ipv4[4] = {10, 0, 0, 1};
static const uint8_t peer_ipv6[16] = {0xfd, [15] = 9};
static const uint8_t our_ipv6[16] = {0xfd, [15] = 1};

/* ---- octets ---- */

uint8_t play_octet_in(uint64_t position)
{
    return (uint8_t)((position * 7 + position / 251) % 251);
}

uint8_t play_octet_out(uint64_t position)
{
    return (uint8_t)((position * 11 + position / 241 + 1) % 241);
}

static uint32_t put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return 2;
}

static uint32_t put32(uint8_t *at, uint32_t value)
{
    return put16(at, value >> 16) + put16(at + 2, value & 0xffffu);
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

static uint32_t sum_of(uint32_t sum, const uint8_t *at, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += get16(at + i);
    if (size % 2 != 0)
        sum += (uint32_t)at[size - 1] << 8;
    while (sum >> 16 != 0)
        sum = (sum & 0xffffu) + (sum >> 16);
    return sum;
}

/* ---- IP ---- */

static size_t write_ip(const struct play *play, uint8_t *at, uint8_t protocol, size_t size,
                       uint8_t ecn)
{
    if (play->options.is_ipv6) {
        memset(at, 0, IPV6_SIZE);
        at[0] = 0x60;
        at[1] = (uint8_t)(ecn << 4);
        put16(at + 4, (uint32_t)size);
        at[6] = protocol;
        at[7] = 64;
        memcpy(at + 8, peer_ipv6, 16);
        memcpy(at + 24, our_ipv6, 16);
        return IPV6_SIZE;
    }
    memset(at, 0, IPV4_SIZE);
    at[0] = 0x45;
    at[1] = ecn;
    put16(at + 2, (uint32_t)(IPV4_SIZE + size));
    put16(at + 6, IP_DONT_FRAGMENT);
    at[8] = 64;
    at[9] = protocol;
    memcpy(at + 12, peer_ipv4, 4);
    memcpy(at + 16, our_ipv4, 4);
    put16(at + 10, ~sum_of(0, at, IPV4_SIZE) & 0xffffu);
    return IPV4_SIZE;
}

/* Of a payload whose checksum field is zero: the pseudo header's part is added. */
static uint32_t checksum_over(const struct play *play, const uint8_t *ip, uint8_t protocol,
                              const uint8_t *at, size_t size)
{
    bool is_ipv6 = play->options.is_ipv6;
    uint32_t sum = sum_of(0, ip + (is_ipv6 ? 8 : 12), is_ipv6 ? 32 : 8);
    sum += protocol + (uint32_t)size;
    return ~sum_of(sum, at, size) & 0xffffu;
}

/* ---- TCP options out of words ---- */

static uint32_t put_option(const struct play_flow *flow, const struct script_option *option,
                           uint8_t *at)
{
    uint32_t size = 2;
    at[0] = option->kind;
    switch (option->kind) {
    case SCRIPT_OPTION_RAW:
        memcpy(at, option->raw, option->raw_size);
        return option->raw_size;
    case TCP_OPTION_NOP:
    case TCP_OPTION_END:
        return 1;
    case TCP_OPTION_MSS:
        size += put16(at + size, option->values[0]);
        break;
    case TCP_OPTION_WINDOW_SCALE:
        at[size++] = (uint8_t)option->values[0];
        break;
    case TCP_OPTION_TIMESTAMPS:
        size += put32(at + size, option->values[0]);
        size += put32(at + size, (option->any & 2u) != 0 ? flow->ts_last + option->values[1]
                                                         : option->values[1]);
        break;
    case TCP_OPTION_SACK:
        for (uint32_t i = 0; i < option->count; i++)
            size += put32(at + size, flow->our_isn + option->values[i]);
        break;
    default:
        break;
    }
    at[1] = (uint8_t)size;
    return size;
}

static uint32_t put_options(const struct play_flow *flow, const struct script_packet *packet,
                            uint8_t *at)
{
    uint8_t octets[512] = {0};
    uint32_t size = 0;
    for (uint32_t i = 0; i < packet->option_count; i++)
        size += put_option(flow, &packet->options[i], octets + size);
    size = (size + 3) / 4 * 4;
    if (size > TCP_OPTIONS_SIZE_MAX)
        size = TCP_OPTIONS_SIZE_MAX;
    memcpy(at, octets, size);
    return size;
}

static size_t build_tcp(struct play *play, const struct script_packet *packet, uint8_t *into)
{
    struct play_flow *flow = &play->flows[play->flow];
    size_t ip_size = play->options.is_ipv6 ? IPV6_SIZE : IPV4_SIZE;
    uint8_t *tcp = into + ip_size;
    bool has_ack = (packet->flags & TCP_ACK) != 0;
    if (packet->has_window)
        flow->window = packet->window;
    memset(tcp, 0, TCP_SIZE);
    put16(tcp, flow->peer_port);
    put16(tcp + 2, flow->our_port);
    put32(tcp + 4, flow->peer_isn + packet->seq);
    if (has_ack || packet->has_ack)
        put32(tcp + 8, flow->our_isn + packet->ack);
    size_t header = TCP_SIZE + put_options(flow, packet, tcp + TCP_SIZE);
    tcp[12] = (uint8_t)(header / 4 << 4);
    tcp[13] = packet->flags;
    put16(tcp + 14, flow->window);
    put16(tcp + 18, packet->urgent);
    uint32_t place = packet->seq + ((packet->flags & TCP_SYN) != 0) - 1;
    for (uint32_t i = 0; i < packet->size; i++)
        tcp[header + i] = play_octet_in(place + i) ^ (packet->is_other_octets ? 0xff : 0);
    size_t size = header + packet->size;
    write_ip(play, into, IP_PROTOCOL_TCP, size, packet->ecn == SCRIPT_ECN_ANY ? 0 : packet->ecn);
    put16(tcp + 16, checksum_over(play, into, IP_PROTOCOL_TCP, tcp, size));
    if (packet->bad_checksum)
        tcp[16] ^= 0x55;
    return ip_size + size;
}

/* ---- ICMP errors about a segment of ours ---- */

struct icmp_words {
    uint8_t type, code;   /* RFC 792 */
    uint8_t type6, code6; /* RFC 4443 */
};

static const struct icmp_words icmp_words[] = {
    [ICMP_TOO_BIG] = {3, 4, 2, 0},     [ICMP_HOST] = {3, 1, 1, 3},     [ICMP_PORT] = {3, 3, 1, 4},
    [ICMP_PROHIBITED] = {3, 13, 1, 1}, [ICMP_EXPIRED] = {11, 0, 3, 0}, [ICMP_QUENCH] = {4, 0, 0, 0},
};

/* The start of our own packet, as it comes back. */
static size_t put_quote(const struct play *play, const struct script_packet *packet, uint8_t *at)
{
    const struct play_flow *flow = &play->flows[play->flow];
    size_t ip_size = write_ip(play, at, IP_PROTOCOL_TCP, 1460, 0);
    if (play->options.is_ipv6) {
        memcpy(at + 8, our_ipv6, 16);
        memcpy(at + 24, peer_ipv6, 16);
    } else {
        memcpy(at + 12, our_ipv4, 4);
        memcpy(at + 16, peer_ipv4, 4);
    }
    uint8_t *tcp = at + ip_size;
    memset(tcp, 0, TCP_SIZE);
    put16(tcp, flow->our_port);
    put16(tcp + 2, flow->peer_port);
    put32(tcp + 4, flow->our_isn + packet->seq);
    tcp[12] = 0x50;
    tcp[13] = TCP_ACK;
    return ip_size + TCP_SIZE;
}

static size_t build_icmp(const struct play *play, const struct script_packet *packet, uint8_t *into)
{
    bool is_ipv6 = play->options.is_ipv6;
    const struct icmp_words *words = &icmp_words[packet->icmp];
    size_t ip_size = is_ipv6 ? IPV6_SIZE : IPV4_SIZE;
    uint8_t protocol = is_ipv6 ? 58 : IP_PROTOCOL_ICMP;
    uint8_t *icmp = into + ip_size;
    memset(icmp, 0, 8);
    icmp[0] = is_ipv6 ? words->type6 : words->type;
    icmp[1] = is_ipv6 ? words->code6 : words->code;
    put32(icmp + 4, packet->mtu);
    size_t size = 8 + put_quote(play, packet, icmp + 8);
    write_ip(play, into, protocol, size, 0);
    put16(icmp + 2, is_ipv6 ? checksum_over(play, into, protocol, icmp, size)
                            : ~sum_of(0, icmp, size) & 0xffffu);
    return ip_size + size;
}

size_t play_packet_build(struct play *play, const struct script_packet *packet, uint8_t *into)
{
    if (packet->icmp != ICMP_NONE)
        return build_icmp(play, packet, into);
    return build_tcp(play, packet, into);
}

/* ---- reading what was sent ---- */

static void read_option(const struct play_flow *flow, const uint8_t *at, uint32_t size,
                        struct script_option *option)
{
    *option = (struct script_option){.kind = at[0]};
    if (at[0] == TCP_OPTION_MSS && size == 4)
        option->values[option->count++] = get16(at + 2);
    else if (at[0] == TCP_OPTION_WINDOW_SCALE && size == 3)
        option->values[option->count++] = at[2];
    else if (at[0] == TCP_OPTION_TIMESTAMPS && size == 10)
        for (uint32_t i = 0; i < 2; i++)
            option->values[option->count++] = get32(at + 2 + i * 4);
    else if (at[0] == TCP_OPTION_SACK)
        for (uint32_t i = 2; i + 4 <= size && option->count < 8; i += 4)
            option->values[option->count++] = get32(at + i) - flow->peer_isn;
}

static void read_options(const struct play_flow *flow, const uint8_t *at, size_t size,
                         struct script_packet *packet)
{
    while (size != 0 && packet->option_count < SCRIPT_OPTIONS_MAX) {
        uint32_t length = at[0] <= TCP_OPTION_NOP ? 1 : size > 1 ? at[1] : 0;
        if (length == 0 || length > size)
            return;
        if (at[0] == TCP_OPTION_END)
            return;
        read_option(flow, at, length, &packet->options[packet->option_count++]);
        at += length;
        size -= length;
    }
}

/* The TCP header inside, or NULL; *size becomes what is left from there. */
static const uint8_t *find_tcp(const struct play *play, const uint8_t *ip, size_t *size,
                               uint8_t *ecn)
{
    bool is_ipv6 = play->options.is_ipv6;
    size_t ip_size = is_ipv6 ? IPV6_SIZE : IPV4_SIZE;
    if (*size < ip_size + TCP_SIZE || ip[0] >> 4 != (is_ipv6 ? 6 : 4))
        return NULL;
    if (ip[is_ipv6 ? 6 : 9] != IP_PROTOCOL_TCP)
        return NULL;
    *ecn = is_ipv6 ? ip[1] >> 4 & 3u : ip[1] & 3u;
    size_t whole = is_ipv6 ? IPV6_SIZE + get16(ip + 4) : get16(ip + 2);
    if (whole > *size || whole < ip_size + TCP_SIZE)
        return NULL;
    *size = whole - ip_size;
    return ip + ip_size;
}

/* At once when a frame leaves: what the peer sends next speaks of these numbers. */
void play_flow_learn(struct play *play, const uint8_t *ip, size_t size)
{
    uint8_t ecn;
    const uint8_t *tcp = find_tcp(play, ip, &size, &ecn);
    struct play_flow *flow = tcp == NULL ? NULL : play_flow_of(play, (uint16_t)get16(tcp + 2));
    if (flow == NULL)
        return;
    if ((tcp[13] & TCP_SYN) != 0) {
        flow->our_isn = get32(tcp + 4);
        flow->is_isn_known = true;
        flow->our_port = (uint16_t)get16(tcp);
    }
    struct script_packet packet = {0};
    size_t header = (size_t)(tcp[12] >> 4) * 4;
    read_options(flow, tcp + TCP_SIZE, header < TCP_SIZE || header > size ? 0 : header - TCP_SIZE,
                 &packet);
    for (uint32_t i = 0; i < packet.option_count; i++)
        if (packet.options[i].kind == TCP_OPTION_TIMESTAMPS) {
            flow->has_timestamps = true;
            flow->ts_last = packet.options[i].values[0];
        }
}

bool play_packet_read(struct play *play, const struct play_frame *frame,
                      struct script_packet *packet, struct play_flow **flow)
{
    size_t size = frame->size;
    uint8_t ecn;
    const uint8_t *tcp = find_tcp(play, frame->octets, &size, &ecn);
    if (tcp == NULL)
        return false;
    *flow = play_flow_of(play, (uint16_t)get16(tcp + 2));
    if (*flow == NULL)
        return false;
    size_t header = (size_t)(tcp[12] >> 4) * 4;
    if (header < TCP_SIZE || header > size)
        return false;
    *packet = (struct script_packet){
        .flags = tcp[13],
        .ecn = ecn,
        .seq = get32(tcp + 4) - (*flow)->our_isn,
        .ack = get32(tcp + 8) - (*flow)->peer_isn,
        .size = (uint32_t)(size - header),
        .window = (uint16_t)get16(tcp + 14),
        .urgent = (uint16_t)get16(tcp + 18),
    };
    read_options(*flow, tcp + TCP_SIZE, header - TCP_SIZE, packet);
    for (uint32_t i = 0; i < packet->size; i++)
        if (tcp[header + i] != play_octet_out((uint64_t)packet->seq - 1 + i))
            packet->is_unpatterned = true;
    return true;
}

/* ---- comparing ---- */

static bool option_equals(const struct script_option *expected, const struct script_option *seen)
{
    if (expected->kind == SCRIPT_OPTION_RAW)
        return expected->raw[0] == seen->kind;
    if (expected->kind != seen->kind || expected->count != seen->count)
        return false;
    for (uint32_t i = 0; i < expected->count; i++)
        if ((expected->any >> i & 1u) == 0 && expected->values[i] != seen->values[i])
            return false;
    return true;
}

/* Padding apart, the same options in the same order; unsaid, none but timestamps. */
static bool options_match(const struct script_packet *expected, const struct script_packet *seen)
{
    uint32_t at = 0;
    if (expected->any_options)
        return true;
    for (uint32_t i = 0; i < seen->option_count; i++) {
        const struct script_option *option = &seen->options[i];
        if (option->kind == TCP_OPTION_NOP)
            continue;
        if (!expected->has_options && option->kind == TCP_OPTION_TIMESTAMPS)
            continue;
        while (at < expected->option_count && expected->options[at].kind == TCP_OPTION_NOP)
            at++;
        if (at == expected->option_count || !option_equals(&expected->options[at++], option))
            return false;
    }
    while (at < expected->option_count && expected->options[at].kind == TCP_OPTION_NOP)
        at++;
    return at == expected->option_count;
}

bool play_packet_match(const struct script_packet *expected, const struct script_packet *seen,
                       const char **mismatch)
{
    if (expected->is_anything)
        return true;
    if ((expected->flags & ~TCP_PSH) != (seen->flags & ~TCP_PSH))
        *mismatch = "flags";
    else if (!expected->any_seq && expected->seq != seen->seq)
        *mismatch = "seq";
    else if (!expected->any_size && expected->size != seen->size)
        *mismatch = "size";
    else if (expected->has_ack && !expected->any_ack && expected->ack != seen->ack)
        *mismatch = "ack";
    else if (expected->has_window && expected->window != seen->window)
        *mismatch = "win";
    else if (expected->ecn != SCRIPT_ECN_ANY && expected->ecn != seen->ecn)
        *mismatch = "ecn";
    else if (!options_match(expected, seen))
        *mismatch = "options";
    else if (seen->is_unpatterned)
        *mismatch = "octets";
    else
        return true;
    return false;
}
