/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of documents and what must become of them, fed to a reader whole, octet by octet, cut at
 * each offset, with its state moved out and in, by the fast way and by the steps alone. */
#ifndef STENTOR_XML_CASES_H
#define STENTOR_XML_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "xml_harness.h"

/* A stanza in scope CLIENT, or a header. NONE: it is taken whole. fault_at: -1 for anywhere. */
struct xml_case {
    const char *text;
    enum xml_fault fault;
    int fault_at;
};

static inline void check_outcome(struct harness *harness, const struct xml_case *row,
                                 enum harness_start start)
{
    struct bytes text = bytes_of_string(row->text);
    struct outcome outcome = harness_read(harness, text, start);
    bool is_right = row->fault == XML_FAULT_NONE
                        ? outcome.result == XML_NEED_MORE && outcome.used == text.size
                        : outcome.result == XML_BAD && outcome.fault == row->fault &&
                              (row->fault_at < 0 || outcome.fault_at == (size_t)row->fault_at);
    if (outcome.is_ended)
        is_right = row->fault == XML_FAULT_NONE;
    if (!is_right)
        fail_msg("%s\n  piece %u, cut at %u, %s, %s: result %d, %s at %zu, used %zu; expected %s",
                 row->text, harness->piece, harness->cut_at,
                 harness->reader->is_stepping_always ? "steps" : "fast",
                 harness->is_saving ? "saving" : "lent", outcome.result,
                 xml_fault_name(outcome.fault), outcome.fault_at, outcome.used,
                 xml_fault_name(row->fault));
}

static inline void check_case(struct harness *harness, const struct xml_case *row,
                              enum harness_start start)
{
    static const uint32_t pieces[] = {0, 1, 2, 7};
    uint32_t size = (uint32_t)strlen(row->text);
    for (uint32_t way = 0; way < 4; way++) {
        harness->reader->is_stepping_always = (way & 1) != 0;
        harness->is_saving = (way & 2) != 0;
        for (uint32_t i = 0; i < ARRAY_COUNT(pieces); i++) {
            harness->piece = pieces[i];
            check_outcome(harness, row, start);
        }
        harness->piece = 0;
        for (harness->cut_at = 1; harness->cut_at < size; harness->cut_at++)
            check_outcome(harness, row, start);
        harness->cut_at = 0;
    }
    harness->reader->is_stepping_always = false;
    harness->is_saving = false;
}

static inline void check_cases(const struct xml_case *rows, size_t count, enum harness_start start)
{
    struct harness harness;
    harness_init(&harness);
    for (size_t i = 0; i < count; i++)
        check_case(&harness, &rows[i], start);
    harness_fini(&harness);
}

/* What was read of a text that must be good, as a log (xml_harness.h). */
static inline const char *log_of(struct harness *harness, const char *text,
                                 enum harness_start start)
{
    struct outcome outcome = harness_read(harness, bytes_of_string(text), start);
    if (outcome.result == XML_BAD)
        fail_msg("%s: %s at %zu", text, xml_fault_name(outcome.fault), outcome.fault_at);
    assert_true(outcome.is_ended || outcome.used == strlen(text));
    write_u8(&harness->log, 0);
    return (const char *)harness->log.at;
}

#endif
