/* SPDX-License-Identifier: Apache-2.0 */
/* quality.h - --quality: rate the codes of each tensor in each way that was asked for, and time nothing. */
#ifndef CLI_QUALITY_H
#define CLI_QUALITY_H

#include "cases/machine.h"
#include "cases/plan.h"
#include "cases/tensors.h"
#include "model/record.h"

/* Rate the cases of PLAN, in the order of its tensors, and add them to RECORD, until a signal ends it. TENSORS are what
 * --input chose, or NULL. Errors have been printed; a case that fails does not keep the others from being rated. */
enum exit_code quality_run(const struct settings *settings, struct machine *machine, struct tensors *tensors,
                           const struct plan *plan, struct record *record);

#endif
