/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of RFC 5802 section 3, in its own names. The slow half (deriving) runs where
 * passwords are set or given in clear; the quick half (checking a proof, signing) runs on the
 * worker that holds the stream. Every intermediate secret is wiped before return. */
#include "stentor/scram_verifier.h"

#include "stentor/bytes.h"

static struct bytes digest_view(struct digest *digest, const uint8_t *at)
{
    return bytes_of(at, digest_size(digest_kind_of(digest)));
}

/* StoredKey = H(ClientKey), ClientKey = HMAC(SaltedPassword, "Client Key") and
 * ServerKey = HMAC(SaltedPassword, "Server Key"). */
static void keys_from_salted(struct digest *digest, struct bytes salted_password,
                             struct scram_keys *keys)
{
    uint8_t client_key[DIGEST_SIZE_MAX];
    digest_hmac(digest, salted_password, BYTES("Client Key"), client_key);
    digest_hash(digest, digest_view(digest, client_key), keys->stored_key);
    digest_hmac(digest, salted_password, BYTES("Server Key"), keys->server_key);
    bytes_wipe(client_key, sizeof client_key);
}

enum error scram_verifier_derive(struct digest *digest, struct bytes password, struct bytes salt,
                                 uint32_t rounds, struct scram_keys *keys)
{
    uint8_t salted_password[DIGEST_SIZE_MAX];
    if (password.size == 0 || salt.size == 0 || salt.size > SCRAM_SALT_SIZE_MAX)
        return ERROR_INVALID;
    if (rounds < SCRAM_ROUNDS_MIN || rounds > SCRAM_ROUNDS_MAX)
        return ERROR_INVALID;
    *keys = (struct scram_keys){
        .rounds = rounds,
        .kind = (uint8_t)digest_kind_of(digest),
        .salt_size = (uint8_t)salt.size,
    };
    memcpy(keys->salt, salt.at, salt.size);
    digest_pbkdf2(digest, password, salt, rounds, salted_password);
    keys_from_salted(digest, digest_view(digest, salted_password), keys);
    bytes_wipe(salted_password, sizeof salted_password);
    return ERROR_NONE;
}

enum error scram_verifier_make(struct digest *digest, struct bytes password, uint32_t rounds,
                               struct random *random, struct scram_keys *keys)
{
    uint8_t salt[SCRAM_SALT_SIZE_MAX];
    random_fill(random, salt, sizeof salt);
    return scram_verifier_derive(digest, password, bytes_of(salt, sizeof salt), rounds, keys);
}

static void assert_keys(struct digest *digest, const struct scram_keys *keys)
{
    ASSERT(scram_keys_is_present(keys));
    ASSERT(keys->kind == (uint8_t)digest_kind_of(digest));
}

bool scram_verifier_check_password(struct digest *digest, const struct scram_keys *keys,
                                   struct bytes password)
{
    struct scram_keys derived;
    assert_keys(digest, keys);
    if (scram_verifier_derive(digest, password, bytes_of(keys->salt, keys->salt_size), keys->rounds,
                              &derived))
        return false;
    bool is_same = bytes_equal_secret(digest_view(digest, derived.stored_key),
                                      digest_view(digest, keys->stored_key));
    bytes_wipe(&derived, sizeof derived);
    return is_same;
}

bool scram_verifier_check_proof(struct digest *digest, const struct scram_keys *keys,
                                struct bytes auth_message, struct bytes proof)
{
    uint8_t client_key[DIGEST_SIZE_MAX];
    uint8_t stored_key[DIGEST_SIZE_MAX];
    assert_keys(digest, keys);
    if (proof.size != digest_size(digest_kind_of(digest)))
        return false;
    /* ClientSignature, and with the proof taken off it, ClientKey. */
    digest_hmac(digest, digest_view(digest, keys->stored_key), auth_message, client_key);
    for (size_t i = 0; i < proof.size; i++)
        client_key[i] ^= proof.at[i];
    digest_hash(digest, digest_view(digest, client_key), stored_key);
    bool is_same =
        bytes_equal_secret(digest_view(digest, stored_key), digest_view(digest, keys->stored_key));
    bytes_wipe(client_key, sizeof client_key);
    return is_same;
}

void scram_verifier_sign(struct digest *digest, const struct scram_keys *keys,
                         struct bytes auth_message, uint8_t *signature)
{
    assert_keys(digest, keys);
    digest_hmac(digest, digest_view(digest, keys->server_key), auth_message, signature);
}
