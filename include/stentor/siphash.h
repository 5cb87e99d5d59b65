/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash with a 128-bit key made anew at each boot: flow and registry hashes (1-3 rounds), SYN
 * cookies and initial sequence numbers (2-4 rounds). Any thread, no allocation.
 * siphash_1_3_u64x2() is siphash_1_3() of the 16 octets of a and b (each little-endian) with no
 * loop and no tail: what the flow table runs for every packet. */
#ifndef STENTOR_SIPHASH_H
#define STENTOR_SIPHASH_H

#include "stentor/bytes.h"

struct siphash_key {
    uint64_t k0;
    uint64_t k1;
};

uint64_t siphash_1_3(const struct siphash_key *key, struct bytes input);
uint64_t siphash_2_4(const struct siphash_key *key, struct bytes input);

struct siphash_state {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static inline uint64_t siphash_rotate(uint64_t word, unsigned int bits)
{
    return word << bits | word >> (64u - bits);
}

static inline struct siphash_state siphash_start(const struct siphash_key *key)
{
    /* The paper's constants: "somepseudorandomlygeneratedbytes", eight octets a word. */
    return (struct siphash_state){
        key->k0 ^ UINT64_C(0x736f6d6570736575), key->k1 ^ UINT64_C(0x646f72616e646f6d),
        key->k0 ^ UINT64_C(0x6c7967656e657261), key->k1 ^ UINT64_C(0x7465646279746573)};
}

static inline void siphash_round(struct siphash_state *state)
{
    state->v0 += state->v1;
    state->v2 += state->v3;
    state->v1 = siphash_rotate(state->v1, 13) ^ state->v0;
    state->v3 = siphash_rotate(state->v3, 16) ^ state->v2;
    state->v0 = siphash_rotate(state->v0, 32);
    state->v2 += state->v1;
    state->v0 += state->v3;
    state->v1 = siphash_rotate(state->v1, 17) ^ state->v2;
    state->v3 = siphash_rotate(state->v3, 21) ^ state->v0;
    state->v2 = siphash_rotate(state->v2, 32);
}

static inline void siphash_absorb_1(struct siphash_state *state, uint64_t word)
{
    state->v3 ^= word;
    siphash_round(state);
    state->v0 ^= word;
}

static inline uint64_t siphash_1_3_u64x2(const struct siphash_key *key, uint64_t a, uint64_t b)
{
    struct siphash_state state = siphash_start(key);
    siphash_absorb_1(&state, a);
    siphash_absorb_1(&state, b);
    siphash_absorb_1(&state, UINT64_C(16) << 56); /* the last word: size mod 256, no octets left */
    state.v2 ^= 0xff;
    siphash_round(&state);
    siphash_round(&state);
    siphash_round(&state);
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

#endif
