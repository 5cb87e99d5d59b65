/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server keeps of a password for SCRAM (RFC 5802, RFC 7677): enough to check a client's
 * proof and to prove itself, not enough to log in elsewhere. A plain value on the base floor,
 * because the store keeps it and SASL checks it and the two floors do not know each other.
 * Made and checked by scram_verifier.h. Any thread; a copy is its owner's to wipe (bytes_wipe). */
#ifndef STENTOR_SCRAM_KEYS_H
#define STENTOR_SCRAM_KEYS_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers are kept in stored records: append, never renumber. */
enum digest_kind { DIGEST_SHA1, DIGEST_SHA256, DIGEST_KIND_COUNT };

#define DIGEST_SIZE_MAX 32u
#define SCRAM_SALT_SIZE_MAX 16u
/* RFC 7677 section 4: at least 4096 rounds. The upper bound keeps a hostile record from costing
 * hours; both hold wherever rounds are read or made. */
#define SCRAM_ROUNDS_MIN 4096u
#define SCRAM_ROUNDS_MAX 10000000u

/* Octets of one digest; kind must be a known one. */
static inline uint32_t digest_size(enum digest_kind kind)
{
    return kind == DIGEST_SHA1 ? 20u : 32u;
}

struct scram_keys {
    uint32_t rounds; /* 0 = no keys of this kind, all else zero */
    uint8_t kind;    /* enum digest_kind */
    uint8_t salt_size;
    uint8_t salt[SCRAM_SALT_SIZE_MAX];
    uint8_t stored_key[DIGEST_SIZE_MAX]; /* the first digest_size(kind) octets count, rest zero */
    uint8_t server_key[DIGEST_SIZE_MAX];
};

static inline bool scram_keys_is_present(const struct scram_keys *keys)
{
    return keys->rounds != 0;
}

#endif
