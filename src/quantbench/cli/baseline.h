/* SPDX-License-Identifier: Apache-2.0 */
/* baseline.h - times that were saved, and comparing with them. */
#ifndef BASELINE_H
#define BASELINE_H

#include "model/record.h"

/* Measure in settings->comparing.runs processes and, if there is a --baseline, compare with it. Returns an exit code;
 * errors have been printed, and the verdicts are in RECORD. RECORD has no case if there is nothing to report; free it
 * either way.
 */
enum exit_code baseline_measure(const struct settings *settings, struct record *record);

/* EXIT_OK if RECORD may be written to the file of --save-baseline, or there is none: each case has a time of each run,
 * and none is in doubt, unless --force was given. Errors have been printed. */
enum exit_code baseline_check(const struct settings *settings, struct record *record);

/* Write RECORD, which baseline_check() lets pass, to the file of --save-baseline, if that was given. */
enum exit_code baseline_save(const struct settings *settings, const struct record *record);

#endif
