/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/base/error.c: every row has a name in lower case that names it alone, and a
 * sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "stentor/error.h"

/* No fault is zero, so `if (error)` reads well. */
static void none_is_zero(void **state)
{
    (void)state;
    assert_int_equal(ERROR_NONE, 0);
    assert_string_equal(error_name(ERROR_NONE), "none");
    assert_string_equal(error_text(ERROR_NONE), "no error");
}

/* The row's name, lowered, and its text as it stands in the table. */
static void rows_are_named(void **state)
{
    (void)state;
    assert_string_equal(error_name(ERROR_POOL_EMPTY), "pool_empty");
    assert_string_equal(error_name(ERROR_STORE_DAMAGED), "store_damaged");
    assert_string_equal(error_text(ERROR_POOL_EMPTY), "no free row in the pool");
}

/* Every name is made of a-z, digits and underscores only, not empty, and unlike all others. */
static void names_are_plain_and_unique(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < ERROR_COUNT; i++) {
        const char *name = error_name((enum error)i);
        assert_true(strlen(name) > 0);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
        assert_true(strlen(error_text((enum error)i)) > 0);
        for (unsigned int k = 0; k < i; k++)
            assert_string_not_equal(name, error_name((enum error)k));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_zero),
        cmocka_unit_test(rows_are_named),
        cmocka_unit_test(names_are_plain_and_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
