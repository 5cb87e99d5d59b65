/* SPDX-License-Identifier: Apache-2.0
 *
 * Two sources behind one face. System: the kernel's generator, fetched 256 octets at a time so
 * that an id costs no system call; what was handed out is wiped from the buffer, so that a later
 * look at memory does not give away earlier keys. Seeded: xoshiro256** (Blackman and Vigna),
 * filled from the seed by splitmix64, the same on every machine. Owner: one thread. */
#include "stentor/random.h"

#include <string.h>
#include <sys/random.h>

#include "stentor/bytes.h"

static void fill_from_kernel(uint8_t *into, size_t size)
{
    while (size != 0) {
        size_t part = size < RANDOM_BUFFER_SIZE ? size : RANDOM_BUFFER_SIZE;
        /* Requests of up to 256 octets are never cut short nor interrupted once the kernel's
         * generator is seeded; going on without randomness is never right. */
        ssize_t got = getrandom(into, part, 0);
        ASSERT(got == (ssize_t)part);
        into += part;
        size -= part;
    }
}

void random_init_system(struct random *random)
{
    *random = (struct random){.buffer_used = RANDOM_BUFFER_SIZE};
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

void random_init_seed(struct random *random, uint64_t seed)
{
    *random = (struct random){.is_seeded = true};
    for (size_t i = 0; i < ARRAY_COUNT(random->state); i++)
        random->state[i] = splitmix64(&seed);
}

static uint64_t rotate(uint64_t word, unsigned int bits)
{
    return word << bits | word >> (64u - bits);
}

static uint64_t next_seeded(uint64_t state[4])
{
    uint64_t result = rotate(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

static void fill_seeded(struct random *random, uint8_t *into, size_t size)
{
    while (size != 0) {
        uint64_t word = next_seeded(random->state);
        size_t part = size < sizeof word ? size : sizeof word;
        memcpy(into, &word, part);
        into += part;
        size -= part;
    }
}

static void fill_buffered(struct random *random, uint8_t *into, size_t size)
{
    if (random->buffer_used + size > RANDOM_BUFFER_SIZE) {
        fill_from_kernel(random->buffer, RANDOM_BUFFER_SIZE);
        random->buffer_used = 0;
    }
    uint8_t *from = random->buffer + random->buffer_used;
    memcpy(into, from, size);
    bytes_wipe(from, size);
    random->buffer_used += (uint32_t)size;
}

void random_fill(struct random *random, void *into, size_t size)
{
    if (random->is_seeded)
        fill_seeded(random, into, size);
    else if (size <= RANDOM_BUFFER_SIZE / 2)
        fill_buffered(random, into, size);
    else
        fill_from_kernel(into, size);
}

uint64_t random_u64(struct random *random)
{
    uint64_t word;
    random_fill(random, &word, sizeof word);
    return word;
}

uint32_t random_u32(struct random *random)
{
    return (uint32_t)(random_u64(random) >> 32);
}

uint32_t random_below(struct random *random, uint32_t limit)
{
    ASSERT(limit > 0);
    /* The product of 32 random bits and the limit has the answer in its upper half. The lowest
     * 2^32 mod limit values of the lower half are drawn again, or some answers would come more
     * often than others. */
    uint64_t product = (uint64_t)random_u32(random) * limit;
    if ((uint32_t)product < limit) {
        uint32_t uneven = (0u - limit) % limit;
        while ((uint32_t)product < uneven)
            product = (uint64_t)random_u32(random) * limit;
    }
    return (uint32_t)(product >> 32);
}
