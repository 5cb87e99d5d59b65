/* SPDX-License-Identifier: Apache-2.0
 *
 * Cookies of 32 bits. The low octet (what the peer offered, and which key) is covered by the MAC
 * and then masked with further bits of the same hash, so that initial sequence numbers do not show
 * what the low octet says; the parity bit alone stays readable, it must pick the key. */
#include "tcp_cookie.h"

#define OFFSET_DOMAIN (UINT64_C(0x7473) << 48)
#define PARITY_BIT 0x80u
#define SACK_BIT 0x40u
#define SCALE_SHIFT 3u
#define CODE_MASK 0x7u
#define MASKED_BITS 0x7fu

#define MARK_MASK 0x3fu
#define MARK_ECN_BIT 0x20u
#define MARK_SACK_BIT 0x10u
#define MARK_SCALE_MASK 0x0fu
#define MARK_SCALE_NONE 0x0fu

/* Rounded down to one of these; a peer below the first is held to it (CVE-2019-11479: segments
 * may not be made arbitrarily small). */
static const uint16_t mss_values[] = {256, 536, 1220, 1360, 1400, 1440, 1460, 8960};
/* Code 0 = not offered. */
static const uint8_t scale_values[] = {0, 0, 2, 4, 5, 6, 7, 8};
static_assert(ARRAY_COUNT(mss_values) == CODE_MASK + 1, "three bits");
static_assert(ARRAY_COUNT(scale_values) == CODE_MASK + 1, "three bits");

static struct siphash_key draw_key(struct random *random)
{
    struct siphash_key key;
    key.k0 = random_u64(random);
    key.k1 = random_u64(random);
    return key;
}

void tcp_cookie_init(struct tcp_cookie *cookie, struct random *random,
                     const struct siphash_key *boot, uint64_t now_ns)
{
    *cookie = (struct tcp_cookie){
        .boot = *boot, .random = random, .epoch_end_ns = now_ns + TCP_COOKIE_EPOCH_NS};
    cookie->keys[0] = draw_key(random);
    cookie->keys[1] = draw_key(random);
}

/* A new key in place of the oldest for each epoch that ended; after two, both are new. */
static void turn_epoch(struct tcp_cookie *cookie, uint64_t now_ns)
{
    if (IS_LIKELY(now_ns < cookie->epoch_end_ns))
        return;
    uint64_t passed = (now_ns - cookie->epoch_end_ns) / TCP_COOKIE_EPOCH_NS + 1;
    if (passed > 1)
        cookie->keys[cookie->epoch & 1u] = draw_key(cookie->random);
    cookie->epoch++;
    cookie->keys[cookie->epoch & 1u] = draw_key(cookie->random);
    cookie->epoch_end_ns += passed * TCP_COOKIE_EPOCH_NS;
}

static uint8_t code_of_mss(uint16_t mss)
{
    uint8_t code = CODE_MASK;
    while (code > 0 && mss_values[code] > mss)
        code--;
    return code;
}

static uint8_t code_of_scale(uint8_t scale)
{
    if (scale == TCP_SCALE_NONE)
        return 0;
    uint8_t code = CODE_MASK;
    while (code > 1 && scale_values[code] > scale)
        code--;
    return code;
}

static struct tcp_offer offer_of_code(uint8_t code)
{
    uint8_t scale = code >> SCALE_SHIFT & CODE_MASK;
    return (struct tcp_offer){
        .mss = mss_values[code & CODE_MASK],
        .scale = scale == 0 ? TCP_SCALE_NONE : scale_values[scale],
        .has_sack = (code & SACK_BIT) != 0,
    };
}

/* 24 bits of MAC in the upper octets, in the lowest the mask for the code. What is masked is bound
 * by a second pass, so the mask may be read before the code is known. */
struct mac_input {
    struct tcp_key key;
    uint16_t code;
    uint32_t peer_isn;
};
static_assert(sizeof(struct mac_input) == 28, "hashed as octets: no padding");

static uint32_t mac_of(const struct siphash_key *secret, const struct tcp_segment *segment,
                       uint32_t peer_isn, uint32_t code)
{
    struct mac_input input = {segment->key, (uint16_t)code, peer_isn};
    return (uint32_t)siphash_2_4(secret, bytes_of(&input, sizeof input));
}

#define CODE_UNKNOWN 0x100u /* no code has that value: gives the mask */

static uint8_t mask_of(const struct siphash_key *secret, const struct tcp_segment *segment,
                       uint32_t peer_isn)
{
    return (uint8_t)(mac_of(secret, segment, peer_isn, CODE_UNKNOWN) & MASKED_BITS);
}

uint32_t tcp_cookie_make(struct tcp_cookie *cookie, const struct tcp_segment *syn,
                         const struct tcp_offer *offer, uint64_t now_ns)
{
    turn_epoch(cookie, now_ns);
    uint32_t code = code_of_mss(offer->mss);
    code |= (uint32_t)code_of_scale(offer->scale) << SCALE_SHIFT;
    code |= offer->has_sack ? SACK_BIT : 0;
    code |= (cookie->epoch & 1u) != 0 ? PARITY_BIT : 0;
    const struct siphash_key *secret = &cookie->keys[cookie->epoch & 1u];
    uint32_t mac = mac_of(secret, syn, syn->seq, code);
    return (mac & ~0xffu) | (code ^ mask_of(secret, syn, syn->seq));
}

bool tcp_cookie_check(struct tcp_cookie *cookie, const struct tcp_segment *ack, uint64_t now_ns,
                      struct tcp_offer *offer)
{
    turn_epoch(cookie, now_ns);
    uint32_t isn = ack->ack - 1;
    uint32_t peer_isn = ack->seq - 1;
    const struct siphash_key *secret = &cookie->keys[(isn & PARITY_BIT) != 0];
    uint8_t code = (uint8_t)((isn & 0xffu) ^ mask_of(secret, ack, peer_isn));
    uint32_t mac = mac_of(secret, ack, peer_isn, code);
    if (((mac ^ isn) & ~0xffu) != 0)
        return false;
    *offer = offer_of_code(code);
    return true;
}

uint32_t tcp_cookie_timestamp_offset(const struct tcp_cookie *cookie, const struct tcp_key *key)
{
    uint64_t high;
    uint64_t low;
    memcpy(&high, key->remote.octets, sizeof high);
    memcpy(&low, key->remote.octets + sizeof high, sizeof low);
    uint64_t ports = (uint64_t)key->remote_port << 16 | key->local_port;
    ports |= OFFSET_DOMAIN; /* the flow table hashes the same words under the same key */
    return (uint32_t)siphash_1_3_u64x2(&cookie->boot, high ^ low, ports);
}

uint32_t tcp_cookie_timestamp_mark(uint32_t timestamp, const struct tcp_offer *offer)
{
    uint32_t mark = offer->scale == TCP_SCALE_NONE ? MARK_SCALE_NONE : offer->scale;
    ASSERT(mark <= MARK_SCALE_MASK);
    mark |= offer->has_sack ? MARK_SACK_BIT : 0;
    mark |= offer->has_ecn ? MARK_ECN_BIT : 0;
    uint32_t marked = (timestamp & ~MARK_MASK) | mark;
    return (timestamp & MARK_MASK) < mark ? marked - (MARK_MASK + 1) : marked;
}

void tcp_cookie_timestamp_read(uint32_t echo, struct tcp_offer *offer)
{
    uint32_t scale = echo & MARK_SCALE_MASK;
    offer->scale = scale == MARK_SCALE_NONE ? TCP_SCALE_NONE : (uint8_t)scale;
    offer->has_sack = (echo & MARK_SACK_BIT) != 0;
    offer->has_ecn = (echo & MARK_ECN_BIT) != 0;
}
