/* SPDX-License-Identifier: Apache-2.0 */
/* recording.h - the record of a run, from what it found. */
#ifndef RECORDING_H
#define RECORDING_H

#include "measure/bench.h"
#include "model/record.h"

/* Set RECORD up for a run of PLAN, with no case run so far. TENSORS are what --input chose. Returns an exit code;
 * errors have been printed. Free RECORD either way. */
enum exit_code recording_begin(const struct settings *settings, const struct machine *machine,
                               const struct tensors *tensors, const struct plan *plan, struct record *record);

/* Add what came out of the next case. */
enum exit_code recording_add(struct record *record, const struct result *result);

/* The run has ended, by a signal if INTERRUPTED. */
enum exit_code recording_end(struct record *record, bool interrupted);

/* Give C the COUNT >= 1 ROUNDS, which become its own, instead of those it has, each of one sample, its median; and with
 * them the BEST_TIME that they are held against. Returns an exit code. */
enum exit_code recording_replace_rounds(struct record_case *c, struct round *rounds, size_t count, double best_time);
/* Make of RECORD, which another process has made, the one of this process, for which RUNS processes have measured. */
enum exit_code recording_of_runs(struct record *record, const struct settings *settings, uint64_t runs);

#endif
