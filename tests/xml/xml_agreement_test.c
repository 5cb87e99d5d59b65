/* SPDX-License-Identifier: Apache-2.0
 *
 * Agreement of src/xml with Expat over a large corpus of generated documents, whole and damaged:
 * what one takes the other takes, and both see the same in it. Where they may differ is listed in
 * xml_oracle.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "xml_generator.h"
#include "xml_oracle.h"

#define DOCUMENTS 6000u
#define DAMAGES 4u

struct corpus {
    struct harness harness;
    struct harness oracle_harness;
    struct oracle oracle;
    struct generator generator;
    uint8_t octets[GENERATED_BYTES_MAX];
};

static void corpus_init(struct corpus *corpus, uint64_t seed, uint32_t plainness)
{
    harness_init(&corpus->harness);
    harness_init(&corpus->oracle_harness);
    corpus->oracle = (struct oracle){.harness = &corpus->oracle_harness};
    random_init_seed(&corpus->generator.random, seed);
    corpus->generator.out = writer_of(corpus->octets, sizeof(corpus->octets) - 64);
    corpus->generator.plainness = plainness;
}

static void corpus_fini(struct corpus *corpus)
{
    harness_fini(&corpus->harness);
    harness_fini(&corpus->oracle_harness);
}

static void show_difference(struct corpus *corpus, struct bytes document)
{
    struct outcome ours = harness_read(&corpus->harness, document, FROM_HEADER);
    bool is_good = oracle_read(&corpus->oracle, document, 1);
    print_error("document: %.*s\nours: %s at %zu, used %zu\n%.*s\nexpat: %s at %zu\n%.*s\n",
                (int)document.size, (const char *)document.at, xml_fault_text(ours.fault),
                ours.fault_at, ours.used, (int)corpus->harness.log.size,
                (const char *)corpus->harness.log.at,
                is_good ? "good" : XML_ErrorString(corpus->oracle.error), corpus->oracle.error_at,
                (int)corpus->oracle_harness.log.size, (const char *)corpus->oracle_harness.log.at);
}

/* Well-formed documents in every spelling are taken by both, and both see the same. */
static void whole_documents_agree(void **state)
{
    (void)state;
    static struct corpus corpus;
    for (uint32_t plainness = 50; plainness <= 100; plainness += 25) {
        corpus_init(&corpus, plainness, plainness);
        for (uint32_t i = 0; i < DOCUMENTS; i++) {
            generate_stream(&corpus.generator);
            struct bytes document = writer_bytes(&corpus.generator.out);
            struct outcome ours = harness_read(&corpus.harness, document, FROM_HEADER);
            bool is_agreed =
                ours.is_ended && oracle_agrees(&corpus.harness, &corpus.oracle, document, false);
            if (!is_agreed)
                show_difference(&corpus, document);
            assert_true(is_agreed);
        }
        corpus_fini(&corpus);
    }
}

/* Damaged documents are refused by both, or taken by both as the same. */
static void damaged_documents_agree(void **state)
{
    (void)state;
    static struct corpus corpus;
    uint32_t refused = 0;
    corpus_init(&corpus, 77, 80);
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        for (uint32_t round = 0; round < DAMAGES; round++) {
            generate_stream(&corpus.generator);
            damage(&corpus.generator, 120);
            struct bytes document = writer_bytes(&corpus.generator.out);
            bool is_agreed = oracle_agrees(&corpus.harness, &corpus.oracle, document, false);
            if (!is_agreed)
                show_difference(&corpus, document);
            assert_true(is_agreed);
            refused += harness_read(&corpus.harness, document, FROM_HEADER).result == XML_BAD;
        }
    }
    assert_in_range(refused, DOCUMENTS * DAMAGES / 4, DOCUMENTS * DAMAGES - DOCUMENTS / 10);
    corpus_fini(&corpus);
}

/* Damage in the header, too. */
static void damaged_headers_agree(void **state)
{
    (void)state;
    static struct corpus corpus;
    corpus_init(&corpus, 78, 90);
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        generate_stream(&corpus.generator);
        damage(&corpus.generator, 0);
        struct bytes document = writer_bytes(&corpus.generator.out);
        bool is_agreed = oracle_agrees(&corpus.harness, &corpus.oracle, document, true);
        if (!is_agreed)
            show_difference(&corpus, document);
        assert_true(is_agreed);
    }
    corpus_fini(&corpus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_documents_agree),
        cmocka_unit_test(damaged_documents_agree),
        cmocka_unit_test(damaged_headers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
