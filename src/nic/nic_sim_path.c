/* SPDX-License-Identifier: Apache-2.0
 *
 * See nic_sim_path.h. The narrow link is a moment: when it will have sent all that was queued; the
 * octets waiting are the time left times its rate. Bursts of loss are the two states of Gilbert and
 * Elliott. The router that answers packets too big has the sender's address but for the last octet,
 * so a host without a gateway hears it, and stands beside the wire. */
#include "nic_sim_path.h"

#include "stentor/clock.h"
#include "stentor/nic_checksum.h"

#define PPM 1000000u
#define ETHERNET_SIZE 14u
#define ADDRESSES_SIZE 12u
#define IPV4_SIZE 20u
#define IPV6_SIZE 40u
#define ICMP_SIZE 8u
#define ICMPV6_SIZE_MAX 1280u /* of the whole answer: RFC 4443 section 3.2 */
#define PROTOCOL_ICMP 1u
#define PROTOCOL_ICMPV6 58u
#define CORRUPT_BITS_MAX 15u
#define ROUTER_LAST_OCTET 254u

bool nic_sim_path_happens(struct nic_sim_path *path, uint32_t ppm)
{
    return ppm != 0 && random_below(path->random, PPM) < ppm;
}

uint64_t nic_sim_path_draw_ns(struct nic_sim_path *path, uint64_t limit_ns)
{
    return limit_ns == 0 ? 0 : random_u64(path->random) % (limit_ns + 1);
}

bool nic_sim_path_loses(struct nic_sim_path *path)
{
    const struct nic_sim_faults *faults = &path->faults;
    if (nic_sim_path_happens(path, path->is_bad ? faults->burst_end_ppm : faults->burst_start_ppm))
        path->is_bad = !path->is_bad;
    if (path->is_bad && nic_sim_path_happens(path, faults->burst_loss_ppm))
        return true;
    return nic_sim_path_happens(path, faults->loss_ppm);
}

bool nic_sim_path_queue(struct nic_sim_path *path, uint64_t now_ns, size_t size,
                        uint64_t *leaves_at_ns, bool *is_deep)
{
    const struct nic_sim_faults *faults = &path->faults;
    *leaves_at_ns = now_ns;
    *is_deep = false;
    if (faults->octets_per_second == 0)
        return true;
    uint64_t busy_ns = path->free_at_ns > now_ns ? path->free_at_ns - now_ns : 0;
    /* In microseconds: an hour of a terabit fits. */
    uint64_t waiting = busy_ns / NS_PER_US * faults->octets_per_second / 1000000;
    if (faults->queue_octets_max != 0 && waiting + size > faults->queue_octets_max)
        return false;
    *is_deep = faults->mark_octets != 0 && waiting > faults->mark_octets;
    path->free_at_ns = now_ns + busy_ns + size * NS_PER_SECOND / faults->octets_per_second;
    *leaves_at_ns = path->free_at_ns;
    return true;
}

/* An exponential of that mean, at most eight means: -ln(u) of a uniform u, its logarithm taken as
 * straight between powers of two (off by 6 % at most), in integers so that every machine agrees. */
static uint64_t draw_exponential_ns(struct nic_sim_path *path, uint64_t mean_ns)
{
    uint64_t u = random_u64(path->random) | 1;
    uint32_t zeros = (uint32_t)__builtin_clzll(u);
    uint64_t fraction = (u << zeros << 1) >> 48;              /* of 65536 */
    uint64_t log2 = ((uint64_t)zeros + 1) * 65536 - fraction; /* -log2(u) */
    uint64_t natural = log2 * 45426 >> 16;                    /* times ln 2 */
    uint64_t drawn_ns = (mean_ns >> 8) * natural >> 8;
    return drawn_ns < 8 * mean_ns ? drawn_ns : 8 * mean_ns;
}

uint64_t nic_sim_path_delay_ns(struct nic_sim_path *path)
{
    const struct nic_sim_faults *faults = &path->faults;
    switch (faults->jitter_spread) {
    case NIC_SIM_UNIFORM:
        return faults->delay_ns + nic_sim_path_draw_ns(path, faults->jitter_ns);
    case NIC_SIM_EXPONENTIAL:
        return faults->delay_ns + draw_exponential_ns(path, faults->jitter_ns);
    }
    return faults->delay_ns;
}

void nic_sim_path_corrupt(struct nic_sim_path *path, uint8_t *frame, size_t size)
{
    uint32_t bits =
        path->faults.corrupt_bits < CORRUPT_BITS_MAX ? path->faults.corrupt_bits : CORRUPT_BITS_MAX;
    if (bits <= 1) {
        uint32_t bit = random_below(path->random, (uint32_t)size * 8u);
        frame[bit / 8] = (uint8_t)(frame[bit / 8] ^ 1u << bit % 8);
        return;
    }
    size_t room = size - ADDRESSES_SIZE;
    uint32_t pattern = 1 + random_below(path->random, (1u << bits) - 1);
    uint32_t first = random_below(path->random, (uint32_t)room * 8u - bits);
    for (uint32_t i = 0; i < bits; i++) {
        uint32_t bit = ADDRESSES_SIZE * 8u + first + i; /* as sent: the highest of an octet first */
        if ((pattern >> i & 1u) != 0)
            frame[bit / 8] = (uint8_t)(frame[bit / 8] ^ 0x80u >> bit % 8);
    }
}

/* ---- IP, as far as a router looks ---- */

static uint32_t u16_at(const uint8_t *at)
{
    return (uint32_t)(at[0] << 8 | at[1]);
}

static void put_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The IP packet of a frame, cut to its own size; empty when there is none. *version is 4 or 6. */
static struct bytes packet_of(struct bytes frame, uint32_t *version)
{
    const struct bytes none = {0};
    size_t at = ETHERNET_SIZE;
    if (frame.size >= at + 4 && u16_at(frame.at + 12) == 0x8100)
        at += 4;
    if (frame.size < at + IPV4_SIZE)
        return none;
    struct bytes ip = bytes_from(frame, at);
    uint32_t type = u16_at(frame.at + at - 2);
    *version = ip.at[0] >> 4;
    if (type == 0x0800 && *version == 4 && u16_at(ip.at + 2) >= IPV4_SIZE)
        return u16_at(ip.at + 2) <= ip.size ? bytes_slice(ip, 0, u16_at(ip.at + 2)) : none;
    if (type == 0x86dd && *version == 6 && ip.size >= IPV6_SIZE + u16_at(ip.at + 4))
        return bytes_slice(ip, 0, IPV6_SIZE + u16_at(ip.at + 4));
    return none;
}

bool nic_sim_is_too_big(struct bytes frame, uint16_t mtu)
{
    uint32_t version;
    return packet_of(frame, &version).size > mtu;
}

static void write_ipv4(struct bytes about, uint16_t mtu, uint8_t *ip, size_t icmp_size)
{
    memset(ip, 0, IPV4_SIZE + ICMP_SIZE);
    ip[0] = 0x45;
    put_u16(ip + 2, (uint32_t)(IPV4_SIZE + icmp_size));
    ip[8] = 64;
    ip[9] = PROTOCOL_ICMP;
    memcpy(ip + 12, about.at + 12, 4);
    ip[15] = ROUTER_LAST_OCTET;
    memcpy(ip + 16, about.at + 12, 4);
    struct be16 field = nic_checksum_field(nic_checksum_add(0, bytes_of(ip, IPV4_SIZE)));
    memcpy(ip + 10, &field, sizeof field);
    uint8_t *icmp = ip + IPV4_SIZE;
    icmp[0] = 3; /* destination unreachable: fragmentation needed and DF set */
    icmp[1] = 4;
    put_u16(icmp + 6, mtu);
    field = nic_checksum_field(nic_checksum_add(0, bytes_of(icmp, icmp_size)));
    memcpy(icmp + 2, &field, sizeof field);
}

static void write_ipv6(struct bytes about, uint16_t mtu, uint8_t *ip, size_t icmp_size)
{
    memset(ip, 0, IPV6_SIZE + ICMP_SIZE);
    ip[0] = 0x60;
    put_u16(ip + 4, (uint32_t)icmp_size);
    ip[6] = PROTOCOL_ICMPV6;
    ip[7] = 64;
    memcpy(ip + 8, about.at + 8, 16);
    ip[23] = ROUTER_LAST_OCTET;
    memcpy(ip + 24, about.at + 8, 16);
    uint8_t *icmp = ip + IPV6_SIZE;
    icmp[0] = 2; /* packet too big */
    put_u16(icmp + 6, mtu);
    const uint8_t tail[4] = {0, PROTOCOL_ICMPV6, (uint8_t)(icmp_size >> 8), (uint8_t)icmp_size};
    uint64_t sum = nic_checksum_add(0, bytes_of(ip + 8, 32));
    sum = nic_checksum_add(sum, bytes_of(tail, sizeof tail));
    struct be16 field = nic_checksum_field(nic_checksum_add(sum, bytes_of(icmp, icmp_size)));
    memcpy(icmp + 2, &field, sizeof field);
}

static bool may_be_told(struct bytes about, uint32_t version)
{
    if (version == 6)
        return about.at[6] != PROTOCOL_ICMPV6;
    bool may_fragment = (about.at[6] & 0x40u) == 0;
    return !may_fragment && about.at[9] != PROTOCOL_ICMP;
}

size_t nic_sim_write_too_big(struct bytes frame, uint16_t mtu, size_t quoted_max, uint8_t *into,
                             size_t room)
{
    uint32_t version = 0;
    struct bytes about = packet_of(frame, &version);
    if (about.size == 0 || !may_be_told(about, version))
        return 0;
    size_t link_size = (size_t)(about.at - frame.at);
    size_t ip_size = version == 6 ? IPV6_SIZE : IPV4_SIZE;
    size_t quoted = ip_size + quoted_max;
    if (quoted > ICMPV6_SIZE_MAX - ip_size - ICMP_SIZE)
        quoted = ICMPV6_SIZE_MAX - ip_size - ICMP_SIZE;
    if (quoted > about.size)
        quoted = about.size;
    size_t size = link_size + ip_size + ICMP_SIZE + quoted;
    if (size > room)
        return 0;
    memcpy(into, frame.at + 6, 6);
    memcpy(into + 6, frame.at, 6);
    memcpy(into + ADDRESSES_SIZE, frame.at + ADDRESSES_SIZE, link_size - ADDRESSES_SIZE);
    uint8_t *ip = into + link_size;
    memcpy(ip + ip_size + ICMP_SIZE, about.at, quoted);
    if (version == 6)
        write_ipv6(about, mtu, ip, ICMP_SIZE + quoted);
    else
        write_ipv4(about, mtu, ip, ICMP_SIZE + quoted);
    return size;
}

bool nic_sim_mark(uint8_t *frame, size_t size)
{
    uint32_t version = 0;
    struct bytes packet = packet_of(bytes_of(frame, size), &version);
    if (packet.size == 0)
        return false;
    uint8_t *ip = frame + (packet.at - frame);
    if (version == 6) {
        if ((ip[1] & 0x30u) == 0)
            return false;
        ip[1] |= 0x30u;
        return true;
    }
    size_t header_size = (ip[0] & 0x0fu) * 4u;
    if ((ip[1] & 0x03u) == 0 || header_size < IPV4_SIZE || header_size > packet.size)
        return false;
    ip[1] |= 0x03u;
    ip[10] = ip[11] = 0;
    struct be16 field = nic_checksum_field(nic_checksum_add(0, bytes_of(ip, header_size)));
    memcpy(ip + 10, &field, sizeof field);
    return true;
}
