/*
 * co_test.h - tests that are coroutines: the body is the main task of a loop of its own, and has its `co`.
 *
 *     CO_TEST(name)
 *     {
 *         CHECK_INT(rp_sleep(co, 0), ==, 0);
 *     }
 *
 * Such a test ends like any other: by returning, or by a check that fails. The tasks that it started must have ended by
 * then: rp_run() would cancel them, and nobody would learn what became of them. A test of what a program leaves behind
 * is a TEST() that calls rp_run() itself.
 */
#ifndef RP_TESTS_CO_TEST_H
#define RP_TESTS_CO_TEST_H

#include "harness/harness.h"
#include "ringport/co.h"

#define CO_TEST(name)                                                                                             \
    static void co_test_##name(rp_co *co);                                                                        \
    TEST(name)                                                                                                    \
    {                                                                                                             \
        co_test_run(co_test_##name, __FILE__, __LINE__);                                                          \
    }                                                                                                             \
    static void co_test_##name(__attribute__((unused)) rp_co *co)

/* Behind the macro: runs a body that stands at a place in a file. */
void co_test_run(void (*body)(rp_co *co), const char *file, int line);

#endif
