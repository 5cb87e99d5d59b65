/* SPDX-License-Identifier: Apache-2.0
 *
 * Assertions check us, never the world: a false one is a bug in Stentor and ends the process.
 * ASSERT is cheap and stays on in every build. ASSERT_SLOW walks whole structures and is on in
 * debug, fuzz and simulator builds (-DSTENTOR_SLOW_ASSERTS). One condition each.
 * Bytes from outside are judged by values (enum error, enum drop), never by an assertion. Any
 * thread. */
#ifndef STENTOR_ASSERT_H
#define STENTOR_ASSERT_H

#include <assert.h> /* static_assert */

_Noreturn void assert_fail(const char *condition, const char *file, int line);

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            assert_fail(#condition, __FILE__, __LINE__);                                           \
    } while (0)

#ifdef STENTOR_SLOW_ASSERTS
#define ASSERT_SLOW(condition) ASSERT(condition)
#else
#define ASSERT_SLOW(condition)                                                                     \
    do {                                                                                           \
    } while (0)
#endif

#define NOINLINE __attribute__((noinline))
#define MUST_USE __attribute__((warn_unused_result))
#define CACHE_LINE 64u
#define IS_LIKELY(x) __builtin_expect(!!(x), 1)
#define IS_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
