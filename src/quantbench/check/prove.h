/* SPDX-License-Identifier: Apache-2.0 */
/* prove.h - that a kernel does what it may and nothing else. Whether its results are right is for verify.h. */
#ifndef PROVE_H
#define PROVE_H

#include "cases/plan.h"

/* Run the kernel of PLAN_CASE in QUEUE several times, on as many of the first rows of its input as fit in
 * 256 MiB, and on rows that are apart if it supports that. Each of these is an error, EXIT_WRONG_RESULT: it
 * writes outside its outputs, leaves some unwritten, changes its input or static scales, depends on memory around the
 * input or on what was in its outputs before, differs from run to run, allocates, or works in another stream than the
 * queue's. That it fails, or leaves the device in error, is EXIT_CANNOT_RUN. Errors have been printed.
 * GIVEN has the tensors that the case reads, in host memory with dense rows, for all of its rows. ALIVE is called with
 * 0 before each run, unless it is NULL. */
enum exit_code prove_kernel(const struct plan_case *plan_case, struct qb_queue *queue,
                            const void *const given[QB_ROLE_COUNT], void (*alive)(double seconds));

#endif
