/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - how each test program runs its suite: TAP on standard output, one line for each test. */
#ifndef RUN_H
#define RUN_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Run SUITE, each test in a process of its own where STATUS is CK_FORK_GETENV. The TAP driver judges by the lines, so
 * the exit status is 0. */
static inline int run_suite_with(Suite *suite, enum fork_status status)
{
    SRunner *runner = srunner_create(suite);

    srunner_set_fork_status(runner, status);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}

static inline int run_suite(Suite *suite)
{
    return run_suite_with(suite, CK_FORK_GETENV);
}

/* A test case that only a hang makes fail: how fast a machine is decides no test. */
static inline TCase *patient_case(const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_set_timeout(tc, 900);
    return tc;
}

/* The seed of random tests: QUANTBENCH_TEST_SEED, or a fixed one. It is in the message of every failure, so that
 * setting the variable to it repeats the failure. */
static inline uint64_t test_seed(void)
{
    const char *text = getenv("QUANTBENCH_TEST_SEED");

    return text != NULL ? strtoull(text, NULL, 0) : 20261123;
}

/* A simple generator for test data: xorshift64* (Vigna, 2016). STATE is not 0. */
static inline uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1D;
}

#endif
