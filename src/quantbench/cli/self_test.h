/* SPDX-License-Identifier: Apache-2.0 */
/* self_test.h - what comparisons are worth on this machine. */
#ifndef SELF_TEST_H
#define SELF_TEST_H

#include "model/record.h"

/* A self-test is so many comparisons of a kernel with itself, of args->rounds rounds each. */
#define SELF_TESTS 20

/* --self-test: print what comes out of them, for each pair of RECORD, in args->format on standard output. Returns an
 * exit code. */
enum exit_code self_test_report(const struct args *args, const struct record *record);

#endif
