/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-c-d after Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012): the input is
 * taken as little-endian 64-bit words, each mixed in by c rounds; the last word carries the octets
 * left over and, on top, the input size modulo 256; d rounds finish. The round itself is inline in
 * the header, where the flow table's fixed-size form uses it. Any thread. */
#include "stentor/siphash.h"

static uint64_t word_at(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie in memory");

static uint64_t last_word(struct bytes input)
{
    uint64_t word = (uint64_t)input.size << 56;
    size_t left = input.size % 8;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)input.at[input.size - left + i] << (8 * i);
    return word;
}

static inline void absorb(struct siphash_state *state, uint64_t word, unsigned int rounds)
{
    state->v3 ^= word;
    for (unsigned int i = 0; i < rounds; i++)
        siphash_round(state);
    state->v0 ^= word;
}

/* Inlined into both callers below, so that the counts of rounds are constants. */
static inline __attribute__((always_inline)) uint64_t hash(const struct siphash_key *key,
                                                           struct bytes input, unsigned int rounds,
                                                           unsigned int rounds_last)
{
    struct siphash_state state = siphash_start(key);
    for (size_t i = 0; i + 8 <= input.size; i += 8)
        absorb(&state, word_at(input.at + i), rounds);
    absorb(&state, last_word(input), rounds);

    state.v2 ^= 0xff;
    for (unsigned int i = 0; i < rounds_last; i++)
        siphash_round(&state);
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

uint64_t siphash_1_3(const struct siphash_key *key, struct bytes input)
{
    return hash(key, input, 1, 3);
}

uint64_t siphash_2_4(const struct siphash_key *key, struct bytes input)
{
    return hash(key, input, 2, 4);
}
