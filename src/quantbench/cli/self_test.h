/* SPDX-License-Identifier: Apache-2.0 */
/* self_test.h - what comparisons are worth on this machine. */
#ifndef SELF_TEST_H
#define SELF_TEST_H

#include "model/record.h"

/* --self-test: print what comes out of them, for each pair of RECORD, in settings->reporting.format on standard output.
 * Returns an exit code. */
enum exit_code self_test_report(const struct settings *settings, const struct record *record);

#endif
