/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM's messages and proofs by the examples of RFC 5802 section 5 and RFC 7677 section 3, and by
 * everything that is nearly right. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "scram.h"
#include "stentor/scram_verifier.h"
#include "stentor/text.h"

struct vector {
    enum digest_kind kind;
    const char *client_first;
    const char *client_nonce;
    const char *server_nonce;
    const char *salt;
    const char *server_first;
    const char *client_final;
    const char *server_final;
};

static const struct vector vectors[] = {
    {DIGEST_SHA1, "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", "fyko+d2lbbFgONRv9qkxdawL",
     "3rfcNHYJY1ZVvWVs7j", "QSXCR+Q6sek8bf92",
     "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
     "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {DIGEST_SHA256, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "rOprNGfwEbeRWgbNEkqO",
     "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
};

static struct digests digests;

static void derive(const struct vector *vector, struct scram_keys *keys)
{
    uint8_t room[32];
    struct writer salt = writer_of(room, sizeof(room));
    assert_true(base64_decode(bytes_of_string(vector->salt), &salt));
    assert_int_equal(scram_verifier_derive(digests.of[vector->kind], BYTES("pencil"),
                                           writer_bytes(&salt), 4096, keys),
                     ERROR_NONE);
}

static enum sasl_error finish(const struct vector *vector, const struct scram_keys *keys,
                              struct bytes client_final, struct writer *into)
{
    struct scram_client_first first;
    struct scram_client_final final;
    assert_int_equal(scram_read_client_first(bytes_of_string(vector->client_first), &first),
                     SASL_ERROR_NONE);
    enum sasl_error error = scram_read_client_final(client_final, &final);
    if (error != SASL_ERROR_NONE)
        return error;
    struct scram_exchange exchange = {first.gs2, first.bare, bytes_of_string(vector->server_first)};
    return scram_finish(digests.of[vector->kind], keys, &exchange, &final, into);
}

/* The RFCs' dialogues, word for word. */
static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        const struct vector *vector = &vectors[i];
        struct scram_keys keys;
        uint8_t room[512];
        struct writer into = writer_of(room, sizeof(room));
        derive(vector, &keys);
        scram_write_server_first(&into, bytes_of_string(vector->client_nonce),
                                 bytes_of_string(vector->server_nonce), &keys);
        assert_true(bytes_equal(writer_bytes(&into), bytes_of_string(vector->server_first)));
        into.size = 0;
        assert_int_equal(finish(vector, &keys, bytes_of_string(vector->client_final), &into),
                         SASL_ERROR_NONE);
        assert_true(bytes_equal(writer_bytes(&into), bytes_of_string(vector->server_final)));
    }
}

/* Each bit of the final message flipped, and each cut of it: never a success. */
static void test_every_octet_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        struct scram_keys keys;
        uint8_t room[512];
        char text[256];
        size_t size = strlen(vectors[i].client_final);
        derive(&vectors[i], &keys);
        memcpy(text, vectors[i].client_final, size);
        for (size_t bit = 0; bit < size * 8; bit++) {
            struct writer into = writer_of(room, sizeof(room));
            text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
            assert_int_not_equal(finish(&vectors[i], &keys, bytes_of(text, size), &into),
                                 SASL_ERROR_NONE);
            assert_int_equal(into.size, 0);
            text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
        }
        for (size_t cut = 0; cut < size; cut++) {
            struct writer into = writer_of(room, sizeof(room));
            assert_int_not_equal(finish(&vectors[i], &keys, bytes_of(text, cut), &into),
                                 SASL_ERROR_NONE);
        }
    }
}

/* A final message with a proof that is right for its own words. */
static void write_final(struct writer *into, const struct vector *vector, const char *words)
{
    uint8_t room[1024];
    uint8_t salt_room[32];
    uint8_t salted[DIGEST_SIZE_MAX];
    uint8_t proof[DIGEST_SIZE_MAX];
    uint8_t stored[DIGEST_SIZE_MAX];
    uint8_t signature[DIGEST_SIZE_MAX];
    struct digest *digest = digests.of[vector->kind];
    size_t size = digest_size(vector->kind);
    struct writer salt = writer_of(salt_room, sizeof(salt_room));
    struct writer message = writer_of(room, sizeof(room));
    assert_true(base64_decode(bytes_of_string(vector->salt), &salt));
    write_string(&message, vector->client_first + 3);
    write_u8(&message, ',');
    write_string(&message, vector->server_first);
    write_u8(&message, ',');
    write_string(&message, words);
    digest_pbkdf2(digest, BYTES("pencil"), writer_bytes(&salt), 4096, salted);
    digest_hmac(digest, bytes_of(salted, size), BYTES("Client Key"), proof);
    digest_hash(digest, bytes_of(proof, size), stored);
    digest_hmac(digest, bytes_of(stored, size), writer_bytes(&message), signature);
    for (size_t i = 0; i < size; i++)
        proof[i] ^= signature[i];
    write_string(into, words);
    write_string(into, ",p=");
    write_base64(into, bytes_of(proof, size));
}

/* One who knows the password must still repeat header and nonce as they were said. */
static void test_right_proof_of_wrong_words(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum sasl_error error;
    } cases[] = {
        {"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j", SASL_ERROR_NONE},
        {"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,x=y", SASL_ERROR_NONE},
        {"c=eSws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j", SASL_ERROR_NOT_AUTHORIZED},
        {"c=,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j", SASL_ERROR_NOT_AUTHORIZED},
        {"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7k", SASL_ERROR_NOT_AUTHORIZED},
        {"c=biws,r=fyko+d2lbbFgONRv9qkxdawL", SASL_ERROR_NOT_AUTHORIZED},
        {"c=biws,r=", SASL_ERROR_NOT_AUTHORIZED},
    };
    struct scram_keys keys;
    derive(&vectors[0], &keys);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint8_t room[512];
        uint8_t final_room[512];
        struct writer into = writer_of(room, sizeof(room));
        struct writer final = writer_of(final_room, sizeof(final_room));
        write_final(&final, &vectors[0], cases[i].words);
        assert_int_equal(finish(&vectors[0], &keys, writer_bytes(&final), &into), cases[i].error);
    }
}

/* Shapes of client-first-message. */
static void test_client_first(void **state)
{
    (void)state;
    static const char *const right[] = {
        "n,,n=user,r=x",  "y,,n=user,r=x",       "n,a=user@d,n=user,r=x",
        "n,,n=u,r=x,e=f", "n,,n=a=2Cb=3D,r=!~x",
    };
    static const char *const wrong[] = {
        "",
        "n",
        "n,",
        "n,,",
        "p=tls-unique,,n=user,r=x",
        "x,,n=user,r=x",
        "n,b=c,n=user,r=x",
        "n,,m=x,n=user,r=x",
        "n,,r=x,n=user",
        "n,,n=user",
        "n,,n=,r=x",
        "n,,n=user,r=",
        "n,,n=user,r=a b",
        "n,,n=user,r=\u00e9",
        "n,,n=\xff,r=x",
        "nn,,n=u,r=x",
        ",,n=u,r=x",
    };
    struct scram_client_first first;
    for (size_t i = 0; i < ARRAY_COUNT(right); i++)
        assert_int_equal(scram_read_client_first(bytes_of_string(right[i]), &first),
                         SASL_ERROR_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        if (scram_read_client_first(bytes_of_string(wrong[i]), &first) == SASL_ERROR_NONE)
            fail_msg("taken: %s", wrong[i]);
    assert_int_equal(scram_read_client_first(BYTES("y,a=z,n=u,r=n0,x=y"), &first), SASL_ERROR_NONE);
    assert_true(bytes_equal(first.gs2, BYTES("y,a=z,")));
    assert_true(bytes_equal(first.authzid, BYTES("z")));
    assert_true(bytes_equal(first.username, BYTES("u")));
    assert_true(bytes_equal(first.nonce, BYTES("n0")));
    assert_true(bytes_equal(first.bare, BYTES("n=u,r=n0,x=y")));
}

/* A nonce has a limit, from both sides. */
static void test_nonce_size(void **state)
{
    (void)state;
    char text[400] = "n,,n=u,r=";
    size_t start = strlen(text);
    struct scram_client_first first;
    memset(text + start, 'x', SCRAM_CLIENT_NONCE_SIZE_MAX + 1);
    assert_int_equal(
        scram_read_client_first(bytes_of(text, start + SCRAM_CLIENT_NONCE_SIZE_MAX), &first),
        SASL_ERROR_NONE);
    assert_int_equal(
        scram_read_client_first(bytes_of(text, start + SCRAM_CLIENT_NONCE_SIZE_MAX + 1), &first),
        SASL_ERROR_MALFORMED_REQUEST);
}

/* Shapes of client-final-message. */
static void test_client_final(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",        "c=biws",    "c=biws,r=x",  "r=x,c=b,p=y", "c=b,r=x,p=y,z=1", "c=b,r=x,m=1,p=y",
        "c=b,p=y", "c=b,r=x,q", "c=b,r=x,,p=y"};
    struct scram_client_final final;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        if (scram_read_client_final(bytes_of_string(wrong[i]), &final) == SASL_ERROR_NONE)
            fail_msg("taken: %s", wrong[i]);
    assert_int_equal(scram_read_client_final(BYTES("c=b,r=x,e=1,p=y"), &final), SASL_ERROR_NONE);
    assert_true(bytes_equal(final.without_proof, BYTES("c=b,r=x,e=1")));
    assert_true(bytes_equal(final.proof, BYTES("y")));
}

/* saslname: the two escapes and nothing else. */
static void test_decode_name(void **state)
{
    (void)state;
    uint8_t room[64];
    struct writer into = writer_of(room, sizeof(room));
    assert_true(scram_decode_name(BYTES("a=2Cb=3Dc"), &into));
    assert_true(bytes_equal(writer_bytes(&into), BYTES("a,b=c")));
    assert_false(scram_decode_name(BYTES("a=2c"), &into));
    assert_false(scram_decode_name(BYTES("a="), &into));
    assert_false(scram_decode_name(BYTES("a=2"), &into));
    struct writer small = writer_of(room, 2);
    assert_false(scram_decode_name(BYTES("abc"), &small));
}

/* Made-up keys: the same for one name, others for another name, kind or installation; no proof of
 * any password fits. */
static void test_invented(void **state)
{
    (void)state;
    struct digest *digest = digests.of[DIGEST_SHA256];
    struct scram_keys a;
    struct scram_keys b;
    scram_invent_keys(digest, BYTES("secret"), BYTES("nobody"), DIGEST_SHA256, 4096, &a);
    scram_invent_keys(digest, BYTES("secret"), BYTES("nobody"), DIGEST_SHA256, 4096, &b);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_true(scram_keys_is_present(&a));
    scram_invent_keys(digest, BYTES("secret"), BYTES("nobody2"), DIGEST_SHA256, 4096, &b);
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_SIZE_MAX);
    scram_invent_keys(digest, BYTES("other"), BYTES("nobody"), DIGEST_SHA256, 4096, &b);
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_SIZE_MAX);
    scram_invent_keys(digest, BYTES("secret"), BYTES("nobody"), DIGEST_SHA1, 4096, &b);
    assert_memory_not_equal(a.salt, b.salt, SCRAM_SALT_SIZE_MAX);
    assert_int_equal(b.kind, DIGEST_SHA1);
    assert_false(scram_verifier_check_password(digest, &a, BYTES("pencil")));
}

static int setup(void **state)
{
    (void)state;
    return digests_init(&digests) == ERROR_NONE ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    digests_fini(&digests);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_right_proof_of_wrong_words),
        cmocka_unit_test(test_every_octet_counts),
        cmocka_unit_test(test_client_first),
        cmocka_unit_test(test_nonce_size),
        cmocka_unit_test(test_client_final),
        cmocka_unit_test(test_decode_name),
        cmocka_unit_test(test_invented),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
