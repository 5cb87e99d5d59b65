/* SPDX-License-Identifier: Apache-2.0
 *
 * Digests against the vectors of their RFCs: 3174 and 6234 (hash), 2202 and 4231 (HMAC), 6070 and
 * 7914 (PBKDF2). Longer vectors are compared in their first block, which is what Hi() is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stentor/digest.h"
#include "stentor/text.h"

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

/* The first octets of output are those that hex spells. */
static void assert_hex(const uint8_t *output, const char *hex)
{
    uint8_t expected[64];
    struct writer into = writer_of(expected, sizeof expected);
    assert_true(hex_decode(bytes_of_string(hex), &into));
    assert_memory_equal(output, expected, into.size);
}

struct hash_row {
    enum digest_kind kind;
    const char *input;
    const char *hex;
};

static const struct hash_row hash_rows[] = {
    {DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {DIGEST_SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {DIGEST_SHA1, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {DIGEST_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {DIGEST_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
};

static void test_hash_of_rfc_inputs(void **state)
{
    /* A hash of a published input is the published hash, also when the state was used before. */
    struct digests *digests = *state;
    uint8_t output[DIGEST_SIZE_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(hash_rows); i++) {
        const struct hash_row *row = &hash_rows[i];
        digest_hash(digests->of[row->kind], bytes_of_string(row->input), output);
        assert_hex(output, row->hex);
    }
}

static void test_hash_writes_its_size_only(void **state)
{
    /* SHA-1 leaves the octets after its twenty alone. */
    struct digests *digests = *state;
    uint8_t output[DIGEST_SIZE_MAX];
    memset(output, 0x5a, sizeof output);
    digest_hash(digests->of[DIGEST_SHA1], BYTES("abc"), output);
    for (size_t i = digest_size(DIGEST_SHA1); i < sizeof output; i++)
        assert_int_equal(output[i], 0x5a);
}

static void test_hmac_of_rfc_inputs(void **state)
{
    /* HMAC with short, ordinary and longer-than-a-block keys is the published one. */
    struct digests *digests = *state;
    uint8_t output[DIGEST_SIZE_MAX];
    uint8_t long_key[131];
    struct bytes text = BYTES("what do ya want for nothing?");
    struct bytes large = BYTES("Test Using Larger Than Block-Size Key - Hash Key First");
    memset(long_key, 0xaa, sizeof long_key);

    digest_hmac(digests->of[DIGEST_SHA1], BYTES("Jefe"), text, output);
    assert_hex(output, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    digest_hmac(digests->of[DIGEST_SHA1], bytes_of(long_key, 80), large, output);
    assert_hex(output, "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    digest_hmac(digests->of[DIGEST_SHA256], BYTES("Jefe"), text, output);
    assert_hex(output, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    digest_hmac(digests->of[DIGEST_SHA256], bytes_of(long_key, 131), large, output);
    assert_hex(output, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_hmac_empty_key_is_not_the_last_key(void **state)
{
    /* An empty key is a key of its own, whatever key was used before it. */
    struct digests *digests = *state;
    uint8_t output[DIGEST_SIZE_MAX];
    digest_hmac(digests->of[DIGEST_SHA256], BYTES("another"), BYTES("x"), output);
    digest_hmac(digests->of[DIGEST_SHA256], bytes_of(NULL, 0), BYTES(""), output);
    assert_hex(output, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

struct pbkdf2_row {
    enum digest_kind kind;
    struct bytes password;
    struct bytes salt;
    uint32_t rounds;
    const char *hex;
};

static void test_pbkdf2_of_rfc_inputs(void **state)
{
    /* PBKDF2's first block is the published one, with zero octets inside names too. */
    const struct pbkdf2_row rows[] = {
        {DIGEST_SHA1, BYTES("password"), BYTES("salt"), 1,
         "0c60c80f961f0e71f3a9b524af6012062fe037a6"},
        {DIGEST_SHA1, BYTES("password"), BYTES("salt"), 2,
         "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"},
        {DIGEST_SHA1, BYTES("password"), BYTES("salt"), 4096,
         "4b007901b765489abead49d926f721d065a429c1"},
        {DIGEST_SHA1, BYTES("passwordPASSWORDpassword"),
         BYTES("saltSALTsaltSALTsaltSALTsaltSALTsalt"), 4096,
         "3d2eec4fe41c849b80c8d83662c0e44a8b291a96"},
        {DIGEST_SHA1, BYTES("pass\0word"), BYTES("sa\0lt"), 4096,
         "56fa6aa75548099dcc37d7f03425e0c3"},
        {DIGEST_SHA256, BYTES("passwd"), BYTES("salt"), 1,
         "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"},
        {DIGEST_SHA256, BYTES("Password"), BYTES("NaCl"), 80000,
         "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"},
    };
    struct digests *digests = *state;
    uint8_t output[DIGEST_SIZE_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        digest_pbkdf2(digests->of[rows[i].kind], rows[i].password, rows[i].salt, rows[i].rounds,
                      output);
        assert_hex(output, rows[i].hex);
    }
}

static void test_kinds_have_names_and_sizes(void **state)
{
    /* Each digest knows its kind; names are those of the SASL mechanisms. */
    struct digests *digests = *state;
    for (uint32_t i = 0; i < DIGEST_KIND_COUNT; i++)
        assert_int_equal(digest_kind_of(digests->of[i]), i);
    assert_string_equal(digest_name(DIGEST_SHA1), "SHA-1");
    assert_string_equal(digest_name(DIGEST_SHA256), "SHA-256");
    assert_int_equal(digest_size(DIGEST_SHA1), 20);
    assert_int_equal(digest_size(DIGEST_SHA256), 32);
}

static void test_fini_of_nothing(void **state)
{
    /* A set that was never made can be dropped, and dropped again. */
    struct digests none = {0};
    (void)state;
    digests_fini(&none);
    digests_fini(&none);
    assert_null(none.of[DIGEST_SHA1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_of_rfc_inputs),
        cmocka_unit_test(test_hash_writes_its_size_only),
        cmocka_unit_test(test_hmac_of_rfc_inputs),
        cmocka_unit_test(test_hmac_empty_key_is_not_the_last_key),
        cmocka_unit_test(test_pbkdf2_of_rfc_inputs),
        cmocka_unit_test(test_kinds_have_names_and_sizes),
        cmocka_unit_test(test_fini_of_nothing),
    };
    return cmocka_run_group_tests(tests, digests_make, digests_drop);
}
