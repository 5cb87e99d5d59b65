/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/base/siphash.c: the published outputs, for the key 00..0f over the inputs of 0 to 63
 * octets 00, 01, 02 ..., and the agreement of the fixed-size form with the general one. The outputs
 * for 1-3 rounds were made by OpenSSL's SIPHASH (c-rounds 1, d-rounds 3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "stentor/siphash.h"

static const struct siphash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static const uint64_t outputs_2_4[64] = {
    UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd), UINT64_C(0x0d6c8009d9a94f5a),
    UINT64_C(0x85676696d7fb7e2d), UINT64_C(0xcf2794e0277187b7), UINT64_C(0x18765564cd99a68d),
    UINT64_C(0xcbc9466e58fee3ce), UINT64_C(0xab0200f58b01d137), UINT64_C(0x93f5f5799a932462),
    UINT64_C(0x9e0082df0ba9e4b0), UINT64_C(0x7a5dbbc594ddb9f3), UINT64_C(0xf4b32f46226bada7),
    UINT64_C(0x751e8fbc860ee5fb), UINT64_C(0x14ea5627c0843d90), UINT64_C(0xf723ca908e7af2ee),
    UINT64_C(0xa129ca6149be45e5), UINT64_C(0x3f2acc7f57c29bdb), UINT64_C(0x699ae9f52cbe4794),
    UINT64_C(0x4bc1b3f0968dd39c), UINT64_C(0xbb6dc91da77961bd), UINT64_C(0xbed65cf21aa2ee98),
    UINT64_C(0xd0f2cbb02e3b67c7), UINT64_C(0x93536795e3a33e88), UINT64_C(0xa80c038ccd5ccec8),
    UINT64_C(0xb8ad50c6f649af94), UINT64_C(0xbce192de8a85b8ea), UINT64_C(0x17d835b85bbb15f3),
    UINT64_C(0x2f2e6163076bcfad), UINT64_C(0xde4daaaca71dc9a5), UINT64_C(0xa6a2506687956571),
    UINT64_C(0xad87a3535c49ef28), UINT64_C(0x32d892fad841c342), UINT64_C(0x7127512f72f27cce),
    UINT64_C(0xa7f32346f95978e3), UINT64_C(0x12e0b01abb051238), UINT64_C(0x15e034d40fa197ae),
    UINT64_C(0x314dffbe0815a3b4), UINT64_C(0x027990f029623981), UINT64_C(0xcadcd4e59ef40c4d),
    UINT64_C(0x9abfd8766a33735c), UINT64_C(0x0e3ea96b5304a7d0), UINT64_C(0xad0c42d6fc585992),
    UINT64_C(0x187306c89bc215a9), UINT64_C(0xd4a60abcf3792b95), UINT64_C(0xf935451de4f21df2),
    UINT64_C(0xa9538f0419755787), UINT64_C(0xdb9acddff56ca510), UINT64_C(0xd06c98cd5c0975eb),
    UINT64_C(0xe612a3cb9ecba951), UINT64_C(0xc766e62cfcadaf96), UINT64_C(0xee64435a9752fe72),
    UINT64_C(0xa192d576b245165a), UINT64_C(0x0a8787bf8ecb74b2), UINT64_C(0x81b3e73d20b49b6f),
    UINT64_C(0x7fa8220ba3b2ecea), UINT64_C(0x245731c13ca42499), UINT64_C(0xb78dbfaf3a8d83bd),
    UINT64_C(0xea1ad565322a1a0b), UINT64_C(0x60e61c23a3795013), UINT64_C(0x6606d7e446282b93),
    UINT64_C(0x6ca4ecb15c5f91e1), UINT64_C(0x9f626da15c9625f3), UINT64_C(0xe51b38608ef25f57),
    UINT64_C(0x958a324ceb064572),
};

static const struct {
    size_t size;
    uint64_t output;
} outputs_1_3[] = {
    {0, UINT64_C(0xabac0158050fc4dc)},  {1, UINT64_C(0xc9f49bf37d57ca93)},
    {7, UINT64_C(0xd3927d989bb11140)},  {8, UINT64_C(0x369095118d299a8e)},
    {9, UINT64_C(0x25a48eb36c063de4)},  {15, UINT64_C(0xd320d86d2a519956)},
    {16, UINT64_C(0xcc4fdd1a7d908b66)}, {17, UINT64_C(0x9cf2689063dbd80c)},
    {63, UINT64_C(0x9d199062b7bbb3a8)},
};

/* A block of exactly `size` octets 00, 01, 02 ..., so that a read past it is seen. */
static uint8_t *counting_octets(size_t size)
{
    uint8_t *block = malloc(size ? size : 1);
    for (size_t i = 0; i < size; i++)
        block[i] = (uint8_t)i;
    return block;
}

/* All 64 published outputs of SipHash-2-4. */
static void published_outputs_of_2_4(void **state)
{
    (void)state;
    for (size_t size = 0; size < ARRAY_COUNT(outputs_2_4); size++) {
        uint8_t *input = counting_octets(size);
        assert_true(siphash_2_4(&key, bytes_of(input, size)) == outputs_2_4[size]);
        free(input);
    }
}

/* SipHash-1-3 at the sizes where words and tail meet. */
static void known_outputs_of_1_3(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(outputs_1_3); i++) {
        uint8_t *input = counting_octets(outputs_1_3[i].size);
        struct bytes view = bytes_of(input, outputs_1_3[i].size);
        assert_true(siphash_1_3(&key, view) == outputs_1_3[i].output);
        free(input);
    }
}

/* The form for two words is the general form over their 16 octets. */
static void two_words_hash_as_their_octets(void **state)
{
    (void)state;
    uint64_t words[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    assert_true(siphash_1_3_u64x2(&key, words[0], words[1]) == UINT64_C(0xcc4fdd1a7d908b66));
    for (int i = 0; i < 1000; i++) {
        uint64_t hash = siphash_1_3_u64x2(&key, words[0], words[1]);
        assert_true(hash == siphash_1_3(&key, bytes_of(words, sizeof words)));
        words[i % 2] = hash;
    }
}

/* Each half of the key matters. */
static void keys_matter(void **state)
{
    (void)state;
    const struct siphash_key other_low = {key.k0 ^ 1, key.k1};
    const struct siphash_key other_high = {key.k0, key.k1 ^ UINT64_C(1) << 63};
    uint64_t hash = siphash_2_4(&key, BYTES("stentor"));
    assert_true(siphash_2_4(&other_low, BYTES("stentor")) != hash);
    assert_true(siphash_2_4(&other_high, BYTES("stentor")) != hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_outputs_of_2_4),
        cmocka_unit_test(known_outputs_of_1_3),
        cmocka_unit_test(two_words_hash_as_their_octets),
        cmocka_unit_test(keys_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
