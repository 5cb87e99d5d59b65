/* SPDX-License-Identifier: Apache-2.0
 *
 * Randomness as a parameter. random_init_system() draws from the kernel (getrandom, buffered) and
 * is fit for keys, nonces and ids. random_init_seed() gives a reproducible stream for the
 * simulator and tests, never for a server on a network. Owner: one thread. */
#ifndef STENTOR_RANDOM_H
#define STENTOR_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RANDOM_BUFFER_SIZE 256u

struct random {
    uint64_t state[4]; /* seeded mode: xoshiro256** */
    uint32_t buffer_used;
    bool is_seeded;
    uint8_t buffer[RANDOM_BUFFER_SIZE]; /* system mode: not yet handed out */
};

void random_init_system(struct random *random);
void random_init_seed(struct random *random, uint64_t seed);
void random_fill(struct random *random, void *into, size_t size);
uint32_t random_u32(struct random *random);
uint64_t random_u64(struct random *random);
/* Uniform in [0, limit); limit > 0. */
uint32_t random_below(struct random *random, uint32_t limit);

#endif
