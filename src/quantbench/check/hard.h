/* SPDX-License-Identifier: Apache-2.0 */
/* hard.h - that a kernel is right on data that are hard, whatever the data of its case are. */
#ifndef HARD_H
#define HARD_H

#include "cases/plan.h"
#include "check/verify.h"

/* No tensor of hard data has more elements, and no proof more of them. */
#define HARD_MOST_ELEMENTS ((uint64_t)1 << 22)
#define HARD_MOST_CASES    (8 * HARD_MOST_ELEMENTS)

/* What was proved in a run so far: the same kernel on the same kind of problem is proved once. */
struct hard_proofs {
    struct hard_proof *values;
    size_t count;
};

/* What came out. */
struct hard_outcome {
    uint64_t cases;           /* elements that were quantized and are right */
    struct mismatch mismatch; /* if there is one that is wrong, else all 0 */
};

/* Run the kernel of PLAN_CASE in QUEUE on hard data of its formats, granularity and scaling: with the case's own hidden
 * size and few tokens, and with one that leaves a tail, as far as it supports them. That it is wrong is an error,
 * EXIT_WRONG_RESULT, and is printed as other errors are. ALIVE is called with 0 before each run, and with OWN_SECONDS
 * at the end, unless it is NULL. */
enum exit_code hard_prove(struct hard_proofs *proofs, const struct plan_case *plan_case, struct qb_queue *queue,
                          void (*alive)(double seconds), double own_seconds, struct hard_outcome *outcome);

void hard_free(struct hard_proofs *proofs);

#endif
