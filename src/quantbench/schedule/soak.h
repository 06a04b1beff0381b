/* SPDX-License-Identifier: Apache-2.0 */
/* schedule/soak.h - the rounds of a soak: which case is launched when, on which data, until when. */
#ifndef SCHEDULE_SOAK_H
#define SCHEDULE_SOAK_H

#include "cases/plan.h"
#include "model/soak.h"

struct soak_run {
    const struct method *method;
    const struct machine *machine;
    const struct plan *plan;
    uint64_t seed;
    enum expert_load expert_load; /* of experts, if there are any */
    bool chose_dist;              /* the data's distribution is that of the case, not another in each round */
    struct soak *soak;
    /* Called when there is something to be kept: after the first round, with a difference, and at intervals. A failure
     * ends nothing: there is a next time. */
    void (*save)(const void *context);
    const void *context;
};

/* Run all rounds, until the end or a signal. The soak's code is the outcome; errors have been printed. */
void soak_run(const struct soak_run *run);

#endif
