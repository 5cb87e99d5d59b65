/* SPDX-License-Identifier: Apache-2.0
 *
 * Digests over OpenSSL 3 EVP. Algorithms are fetched once, at init, because an EVP call that
 * fetches for itself takes a lock shared by every thread. Hash, MAC and KDF each keep a scratch
 * state of their own in the struct, bound to the digest's kind, so a call only sets key and input.
 * RFC 2104, RFC 8018 section 5.2. Owner of a struct digest: one thread. */
#include "stentor/digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

struct digest {
    enum digest_kind kind;
    uint32_t size;
    EVP_MD *algorithm;
    EVP_MD_CTX *hash;
    EVP_MAC_CTX *hmac;
    EVP_KDF_CTX *pbkdf2;
};

/* OpenSSL's names and SASL's both. */
static const char *const names[DIGEST_KIND_COUNT] = {
    [DIGEST_SHA1] = "SHA-1",
    [DIGEST_SHA256] = "SHA-256",
};

static void digest_destroy(struct digest *digest)
{
    if (digest == NULL)
        return;
    EVP_KDF_CTX_free(digest->pbkdf2);
    EVP_MAC_CTX_free(digest->hmac);
    EVP_MD_CTX_free(digest->hash);
    EVP_MD_free(digest->algorithm);
    OPENSSL_free(digest);
}

/* The scratch states hold references of their own, so the fetched names go at once. */
static enum error states_create(struct digest *digest, const OSSL_PARAM *parameters)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "PBKDF2", NULL);
    enum error error = mac != NULL && kdf != NULL ? ERROR_NONE : ERROR_SYSTEM;
    if (!error) {
        digest->hash = EVP_MD_CTX_new();
        digest->hmac = EVP_MAC_CTX_new(mac);
        digest->pbkdf2 = EVP_KDF_CTX_new(kdf);
        if (digest->hash == NULL || digest->hmac == NULL || digest->pbkdf2 == NULL)
            error = ERROR_NO_MEMORY;
    }
    EVP_MAC_free(mac);
    EVP_KDF_free(kdf);
    if (error)
        return error;
    if (EVP_MAC_CTX_set_params(digest->hmac, parameters) != 1 ||
        EVP_KDF_CTX_set_params(digest->pbkdf2, parameters) != 1)
        return ERROR_SYSTEM;
    return ERROR_NONE;
}

/* On a fault *made may hold a half-made digest for digest_destroy. */
static enum error digest_create(struct digest **made, enum digest_kind kind)
{
    struct digest *digest = OPENSSL_zalloc(sizeof *digest);
    /* MAC and KDF call the parameter alike; the library only reads the name. */
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_ALG_PARAM_DIGEST, (char *)(uintptr_t)names[kind], 0),
        OSSL_PARAM_construct_end(),
    };
    *made = digest;
    if (digest == NULL)
        return ERROR_NO_MEMORY;
    digest->kind = kind;
    digest->size = digest_size(kind);
    digest->algorithm = EVP_MD_fetch(NULL, names[kind], NULL);
    if (digest->algorithm == NULL)
        return ERROR_SYSTEM;
    ASSERT((uint32_t)EVP_MD_get_size(digest->algorithm) == digest->size);
    return states_create(digest, parameters);
}

enum error digests_init(struct digests *digests)
{
    *digests = (struct digests){0};
    for (uint32_t i = 0; i < DIGEST_KIND_COUNT; i++) {
        enum error error = digest_create(&digests->of[i], (enum digest_kind)i);
        if (error) {
            digests_fini(digests);
            return error;
        }
    }
    return ERROR_NONE;
}

void digests_fini(struct digests *digests)
{
    for (uint32_t i = 0; i < DIGEST_KIND_COUNT; i++)
        digest_destroy(digests->of[i]);
    *digests = (struct digests){0};
}

enum digest_kind digest_kind_of(const struct digest *digest)
{
    return digest->kind;
}

const char *digest_name(enum digest_kind kind)
{
    ASSERT((uint32_t)kind < DIGEST_KIND_COUNT);
    return names[kind];
}

void digest_hash(struct digest *digest, struct bytes input, uint8_t *output)
{
    bool ok = EVP_DigestInit_ex2(digest->hash, digest->algorithm, NULL) == 1;
    ok = ok && EVP_DigestUpdate(digest->hash, input.at, input.size) == 1;
    ok = ok && EVP_DigestFinal_ex(digest->hash, output, NULL) == 1;
    ASSERT(ok);
}

void digest_hmac(struct digest *digest, struct bytes key, struct bytes input, uint8_t *output)
{
    size_t size = 0;
    /* An absent key pointer would mean "the last key again" to the library. */
    const uint8_t *key_at = key.size == 0 ? (const uint8_t *)"" : key.at;
    bool ok = EVP_MAC_init(digest->hmac, key_at, key.size, NULL) == 1;
    ok = ok && EVP_MAC_update(digest->hmac, input.at, input.size) == 1;
    ok = ok && EVP_MAC_final(digest->hmac, output, &size, digest->size) == 1;
    ASSERT(ok);
    ASSERT(size == digest->size);
}

void digest_pbkdf2(struct digest *digest, struct bytes password, struct bytes salt, uint32_t rounds,
                   uint8_t *output)
{
    /* The library only reads what these parameters point at. */
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)(uintptr_t)password.at,
                                          password.size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.at,
                                          salt.size),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER, &rounds),
        OSSL_PARAM_construct_end(),
    };
    OSSL_PARAM forget[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, "", 0),
        OSSL_PARAM_construct_end(),
    };
    ASSERT(rounds >= 1);
    bool ok = EVP_KDF_derive(digest->pbkdf2, output, digest->size, parameters) == 1;
    /* The state outlives the call; the library wipes the password it replaces. */
    ok = EVP_KDF_CTX_set_params(digest->pbkdf2, forget) == 1 && ok;
    ASSERT(ok);
}
