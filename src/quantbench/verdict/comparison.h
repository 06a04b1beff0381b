/* SPDX-License-Identifier: Apache-2.0 */
/* comparison.h - which cases of a record are compared with which, and the verdicts. */
#ifndef COMPARISON_H
#define COMPARISON_H

#include "model/record.h"

/* Fill record->comparison with the pairs of cases that differ in AXIS alone: each case with the first of them. The
 * cases need not have run. Returns an exit code; errors have been printed. */
enum exit_code comparison_between(struct record *record, enum compare_axis axis, double margin);

/* Check that each case of RECORD can be compared with one of BASELINE: of the same device and the same data, and not in
 * doubt. If not, that is an error, or with IS_FORCED a warning, unless BASELINE lacks the case. */
enum exit_code comparison_check(const struct record *record, const struct record *baseline, bool is_forced);

/* Fill record->comparison with each case of RECORD and the one of BASELINE, which FILE holds, that is the same but for
 * its times; comparison_check() has found them. BASELINE_SERIES has the times of each case of BASELINE. */
enum exit_code comparison_with(struct record *record, const struct record *baseline, const char *file,
                               const struct series *baseline_series, double margin);

/* Judge the pairs by SERIES, the times of each case of RECORD, if they have some. */
enum exit_code comparison_judge(struct record *record, const struct series *series);

#endif
