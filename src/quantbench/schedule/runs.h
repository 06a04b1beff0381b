/* SPDX-License-Identifier: Apache-2.0 */
/* runs.h - the same measurement in several fresh processes, as one record. */
#ifndef RUNS_H
#define RUNS_H

#include "model/record.h"

/* Start settings->comparing.runs processes of this program, one after the other, and make a record of what they
 * measured, in which the median of a process is a sample. CHECK, which may be NULL, is called with the record of the
 * first and ends the runs unless it returns EXIT_OK. Returns an exit code; errors have been printed. Free RECORD either
 * way. */
enum exit_code runs_measure(const struct settings *settings,
                            enum exit_code (*check)(const struct settings *settings, const struct record *first,
                                                    void *context),
                            void *context, struct record *record);

#endif
