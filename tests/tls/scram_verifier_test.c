/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM keys against the example exchanges of RFC 5802 section 5 and RFC 7677 section 3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stentor/scram_verifier.h"
#include "stentor/text.h"

struct exchange {
    enum digest_kind kind;
    const char *salt;
    const char *auth_message;
    const char *proof;
    const char *signature;
};

static const struct exchange exchanges[] = {
    {DIGEST_SHA1, "QSXCR+Q6sek8bf92",
     "n=user,r=fyko+d2lbbFgONRv9qkxdawL,"
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,"
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
     "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {DIGEST_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==",
     "n=user,r=rOprNGfwEbeRWgbNEkqO,"
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

static int digests_make(void **state)
{
    static struct digests digests;
    assert_int_equal(digests_init(&digests), ERROR_NONE);
    *state = &digests;
    return 0;
}

static int digests_drop(void **state)
{
    digests_fini(*state);
    return 0;
}

static struct bytes decoded(const char *base64, uint8_t into[64])
{
    struct writer writer = writer_of(into, 64);
    assert_true(base64_decode(bytes_of_string(base64), &writer));
    return writer_bytes(&writer);
}

static struct scram_keys pencil_keys(struct digests *digests, const struct exchange *exchange)
{
    struct scram_keys keys;
    uint8_t salt[64];
    assert_int_equal(scram_verifier_derive(digests->of[exchange->kind], BYTES("pencil"),
                                           decoded(exchange->salt, salt), 4096, &keys),
                     ERROR_NONE);
    return keys;
}

static void test_rfc_exchanges(void **state)
{
    /* The RFCs' proofs are accepted and our signatures are the RFCs'. */
    struct digests *digests = *state;
    for (size_t i = 0; i < ARRAY_COUNT(exchanges); i++) {
        const struct exchange *exchange = &exchanges[i];
        struct digest *digest = digests->of[exchange->kind];
        struct scram_keys keys = pencil_keys(digests, exchange);
        struct bytes auth_message = bytes_of_string(exchange->auth_message);
        uint8_t proof[64], expected[64], signature[DIGEST_SIZE_MAX];
        assert_true(scram_verifier_check_proof(digest, &keys, auth_message,
                                               decoded(exchange->proof, proof)));
        scram_verifier_sign(digest, &keys, auth_message, signature);
        assert_true(bytes_equal(bytes_of(signature, digest_size(exchange->kind)),
                                decoded(exchange->signature, expected)));
    }
}

static void test_any_flipped_bit_spoils_a_proof(void **state)
{
    /* A proof with one bit changed, of a wrong size, or for other words is refused. */
    struct digests *digests = *state;
    for (size_t i = 0; i < ARRAY_COUNT(exchanges); i++) {
        const struct exchange *exchange = &exchanges[i];
        struct digest *digest = digests->of[exchange->kind];
        struct scram_keys keys = pencil_keys(digests, exchange);
        struct bytes auth_message = bytes_of_string(exchange->auth_message);
        uint8_t raw[64];
        struct bytes proof = decoded(exchange->proof, raw);
        for (size_t bit = 0; bit < proof.size * 8; bit++) {
            raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            assert_false(scram_verifier_check_proof(digest, &keys, auth_message, proof));
            raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        for (size_t size = 0; size < proof.size; size++)
            assert_false(scram_verifier_check_proof(digest, &keys, auth_message,
                                                    bytes_slice(proof, 0, size)));
        assert_false(scram_verifier_check_proof(digest, &keys, BYTES("other words"), proof));
        assert_true(scram_verifier_check_proof(digest, &keys, auth_message, proof));
    }
}

static void test_password_check(void **state)
{
    /* Only the password the keys came from fits them. */
    struct digests *digests = *state;
    for (size_t i = 0; i < ARRAY_COUNT(exchanges); i++) {
        struct digest *digest = digests->of[exchanges[i].kind];
        struct scram_keys keys = pencil_keys(digests, &exchanges[i]);
        assert_true(scram_verifier_check_password(digest, &keys, BYTES("pencil")));
        assert_false(scram_verifier_check_password(digest, &keys, BYTES("Pencil")));
        assert_false(scram_verifier_check_password(digest, &keys, BYTES("pencil ")));
        assert_false(scram_verifier_check_password(digest, &keys, BYTES("")));
    }
}

static void test_make_draws_a_salt_each_time(void **state)
{
    /* Equal passwords get different salts, so their keys do not tell they are equal. */
    struct digests *digests = *state;
    struct digest *digest = digests->of[DIGEST_SHA256];
    struct random random;
    struct scram_keys a, b;
    random_init_seed(&random, 7);
    assert_int_equal(scram_verifier_make(digest, BYTES("pencil"), 4096, &random, &a), ERROR_NONE);
    assert_int_equal(scram_verifier_make(digest, BYTES("pencil"), 4096, &random, &b), ERROR_NONE);
    assert_int_equal(a.salt_size, SCRAM_SALT_SIZE_MAX);
    assert_memory_not_equal(a.salt, b.salt, sizeof a.salt);
    assert_memory_not_equal(a.stored_key, b.stored_key, sizeof a.stored_key);
    assert_true(scram_verifier_check_password(digest, &b, BYTES("pencil")));
}

static void test_bounds_of_making(void **state)
{
    /* Empty passwords, bad salts and rounds outside the bounds are refused. */
    struct digests *digests = *state;
    struct digest *digest = digests->of[DIGEST_SHA1];
    uint8_t salt[SCRAM_SALT_SIZE_MAX + 1] = {1};
    struct bytes good = bytes_of(salt, SCRAM_SALT_SIZE_MAX);
    struct scram_keys keys;
    assert_int_equal(scram_verifier_derive(digest, BYTES(""), good, 4096, &keys), ERROR_INVALID);
    assert_int_equal(
        scram_verifier_derive(digest, BYTES("p"), bytes_of(salt, sizeof salt), 4096, &keys),
        ERROR_INVALID);
    assert_int_equal(scram_verifier_derive(digest, BYTES("p"), BYTES(""), 4096, &keys),
                     ERROR_INVALID);
    assert_int_equal(scram_verifier_derive(digest, BYTES("p"), good, SCRAM_ROUNDS_MIN - 1, &keys),
                     ERROR_INVALID);
    assert_int_equal(scram_verifier_derive(digest, BYTES("p"), good, SCRAM_ROUNDS_MAX + 1, &keys),
                     ERROR_INVALID);
}

static void test_sha1_keys_leave_no_rest(void **state)
{
    /* The octets behind a short key are zero, so a record of it is always the same. */
    struct digests *digests = *state;
    struct scram_keys keys = pencil_keys(digests, &exchanges[0]);
    for (size_t i = digest_size(DIGEST_SHA1); i < DIGEST_SIZE_MAX; i++) {
        assert_int_equal(keys.stored_key[i], 0);
        assert_int_equal(keys.server_key[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_exchanges),
        cmocka_unit_test(test_any_flipped_bit_spoils_a_proof),
        cmocka_unit_test(test_password_check),
        cmocka_unit_test(test_make_draws_a_salt_each_time),
        cmocka_unit_test(test_bounds_of_making),
        cmocka_unit_test(test_sha1_keys_leave_no_rest),
    };
    return cmocka_run_group_tests(tests, digests_make, digests_drop);
}
