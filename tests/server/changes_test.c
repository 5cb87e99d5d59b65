/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/server/changes.c: an answer is doubted exactly when its account was changed after it
 * was asked for, and always when that is no longer known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "changes.h"

/* Of one change: the account alone, and only what was asked before it. */
static void doubts_what_was_asked_before(void **state)
{
    (void)state;
    struct changes changes = {0};
    uint64_t before = changes_mark(&changes);
    assert_false(changes_since(&changes, before, 7));
    changes_add(&changes, 7);
    assert_true(changes_since(&changes, before, 7));
    assert_false(changes_since(&changes, before, 8));
    assert_false(changes_since(&changes, changes_mark(&changes), 7));
}

/* As many changes as are kept are told apart; with one more every account is doubted. */
static void doubts_all_when_it_has_forgotten(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 3 * CHANGES_KEPT; first += 37) {
        struct changes changes = {0};
        for (uint32_t i = 0; i < first; i++)
            changes_add(&changes, 1);
        uint64_t mark = changes_mark(&changes);
        for (uint32_t i = 0; i < CHANGES_KEPT; i++)
            changes_add(&changes, 100 + i);
        for (uint32_t i = 0; i < CHANGES_KEPT; i++)
            assert_true(changes_since(&changes, mark, 100 + i));
        assert_false(changes_since(&changes, mark, 1));
        assert_false(changes_since(&changes, mark + 1, 100));
        changes_add(&changes, 2);
        assert_true(changes_since(&changes, mark, 99));
        assert_false(changes_since(&changes, mark + 1, 99));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubts_what_was_asked_before),
        cmocka_unit_test(doubts_all_when_it_has_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
