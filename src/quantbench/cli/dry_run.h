/* SPDX-License-Identifier: Apache-2.0 */
/* dry_run.h - what a run would do and need. */
#ifndef DRY_RUN_H
#define DRY_RUN_H

#include "cases/plan.h"
#include "model/record.h"

/* --dry-run: the cases of PLAN, which RECORD describes, each with the bytes that it moves, the memory that it needs and
 * a guess of its time, in settings->reporting.format on standard output. Nothing is allocated and nothing is run.
 * Returns EXIT_CANNOT_RUN if a case does not fit, of which an error has been printed. */
enum exit_code dry_run(const struct settings *settings, struct machine *machine, struct tensors *tensors,
                       const struct plan *plan, struct record *record);

#endif
