/* SPDX-License-Identifier: Apache-2.0 */
/* soak_round.h - one round of a soak: a case on data of its own, launched again and again, all bytes compared. */
#ifndef SOAK_ROUND_H
#define SOAK_ROUND_H

#include "cases/inputs.h"
#include "check/buffers.h"
#include "model/soak.h"

/* A round. The first members are the caller's, the others zero to begin with. */
struct soak_round {
    struct soak *soak;
    const struct machine *machine;
    enum expert_load expert_load;
    struct plan_case plan_case;
    struct soak_difference what; /* the round, its case and its data; of these, others are found */
    double start;                /* of the soak, of clock_seconds() */
    double phase;                /* seconds of work, and of rest before it; 0: some launches, and no rest */
    double until;                /* no phase goes on beyond this moment */
    /* Called when there is something to be kept. */
    void (*save)(const void *context);
    const void *context;

    struct inputs inputs;
    struct case_data data;
    struct expectation expectation;
    struct qb_queue *queue;
    struct buffers buffers;
    unsigned sets;
    uint64_t passes;               /* through all sets */
    void *images[QB_ROLE_COUNT];   /* host: what is right for each tensor that launches write; else NULL */
    void *expected[QB_ROLE_COUNT]; /* the same on the device */
};

/* Run ROUND, and note what came of it in its soak. A wrong byte ends the round, and is not a failure. Returns an exit
 * code; an error has been printed. */
enum exit_code soak_round_run(struct soak_round *round);

#endif
