/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash, HMAC (RFC 2104) and PBKDF2 (RFC 8018) over SHA-1 and SHA-256, by OpenSSL.
 *
 * A struct digest is one algorithm made ready: fetched once, its scratch space kept, so a call
 * looks nothing up and shares no lock. Owner: one thread, because of the scratch space; each
 * worker and each password thread makes its own set at start. Nothing is shared between sets.
 * Outputs are digest_size(kind) octets; the caller's buffer must hold them (DIGEST_SIZE_MAX
 * always does). Only secrets' owners decide when to bytes_wipe them.
 * A failure inside the library after a successful init is a bug or a dead machine and asserts. */
#ifndef STENTOR_DIGEST_H
#define STENTOR_DIGEST_H

#include "stentor/bytes.h"
#include "stentor/error.h"
#include "stentor/scram_keys.h"

struct digest; /* opaque */

/* One digest of each kind; digests.of[DIGEST_SHA256] is the parameter of the calls below. */
struct digests {
    struct digest *of[DIGEST_KIND_COUNT];
};

/* ERROR_SYSTEM when the library does not have an algorithm, ERROR_NO_MEMORY; then nothing is
 * held. Not on a worker's hot path. */
MUST_USE enum error digests_init(struct digests *digests);
void digests_fini(struct digests *digests);

enum digest_kind digest_kind_of(const struct digest *digest);
/* The kind's name as in SASL mechanism names: "SHA-1", "SHA-256". */
const char *digest_name(enum digest_kind kind);

void digest_hash(struct digest *digest, struct bytes input, uint8_t *output);
/* Any key size. */
void digest_hmac(struct digest *digest, struct bytes key, struct bytes input, uint8_t *output);
/* Hi() of RFC 5802: PBKDF2 for one block, so the output is digest_size(kind) octets.
 * SLOW: two hashes a round, 1 to 10 ms for 4096 rounds, and more for more. NEVER on a worker
 * (DESIGN law 7): only threads that do nothing else. rounds >= 1. */
void digest_pbkdf2(struct digest *digest, struct bytes password, struct bytes salt, uint32_t rounds,
                   uint8_t *output);

#endif
