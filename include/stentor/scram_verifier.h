/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM keys from passwords, and the two computations of a login (RFC 5802 section 3):
 *
 *   SaltedPassword = Hi(password, salt, rounds)         SLOW, never on a worker
 *   ClientKey = HMAC(SaltedPassword, "Client Key")      StoredKey = H(ClientKey)
 *   ServerKey = HMAC(SaltedPassword, "Server Key")
 *   proof check: H(HMAC(StoredKey, AuthMessage) XOR ClientProof) == StoredKey       quick
 *   ServerSignature = HMAC(ServerKey, AuthMessage)                                  quick
 *
 * Passwords come in prepared (RFC 8265 / SASLprep) as UTF-8: that is the caller's work, here they
 * are octets. The digest parameter names the kind and belongs to the calling thread. */
#ifndef STENTOR_SCRAM_VERIFIER_H
#define STENTOR_SCRAM_VERIFIER_H

#include "stentor/digest.h"
#include "stentor/random.h"
#include "stentor/scram_keys.h"

/* Keys with a fresh salt of SCRAM_SALT_SIZE_MAX octets. ERROR_INVALID when rounds lie outside
 * SCRAM_ROUNDS_MIN..MAX or the password is empty. SLOW: see digest_pbkdf2. */
MUST_USE enum error scram_verifier_make(struct digest *digest, struct bytes password,
                                        uint32_t rounds, struct random *random,
                                        struct scram_keys *keys);
/* The same with a salt given (1 to SCRAM_SALT_SIZE_MAX octets). SLOW. */
MUST_USE enum error scram_verifier_derive(struct digest *digest, struct bytes password,
                                          struct bytes salt, uint32_t rounds,
                                          struct scram_keys *keys);
/* Whether the password is the one the keys were made from (SASL PLAIN). keys must be present and
 * of the digest's kind. SLOW. */
bool scram_verifier_check_password(struct digest *digest, const struct scram_keys *keys,
                                   struct bytes password);

/* Whether the client's proof fits; a proof of the wrong size does not. Quick: two hashes and an
 * HMAC, fit for a worker. */
bool scram_verifier_check_proof(struct digest *digest, const struct scram_keys *keys,
                                struct bytes auth_message, struct bytes proof);
/* ServerSignature, digest_size(kind) octets. Quick. */
void scram_verifier_sign(struct digest *digest, const struct scram_keys *keys,
                         struct bytes auth_message, uint8_t *signature);

#endif
