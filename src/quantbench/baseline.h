/* SPDX-License-Identifier: Apache-2.0 */
/* baseline.h - times that were saved, and comparing with them. */
#ifndef BASELINE_H
#define BASELINE_H

#include "record.h"

/* Measure in args->runs processes and, if there is a --baseline, compare with it. Returns an exit code, also that of
 * the verdicts; errors have been printed. RECORD has no case if there is nothing to report; free it either way. */
enum exit_code baseline_measure(const struct args *args, struct record *record);

/* Write RECORD to the file of --save-baseline, if that was given. */
enum exit_code baseline_save(const struct args *args, const struct record *record);

#endif
