/* SPDX-License-Identifier: Apache-2.0 */
/* outcome.h - what a worker says came out of a case. Foreign code runs in the worker, and may have written anything
 * where this lies: the program believes none of it that cannot be true. */
#ifndef OUTCOME_H
#define OUTCOME_H

#include "measure/bench.h"

/* The samples follow, and then the floors. */
struct outcome {
    enum exit_code code;
    double spent; /* seconds for the visit */
    struct checked checked;
    uint64_t launches_per_sample;
    double hot_time;
    struct round round; /* if there are samples */
    uint64_t samples;
    uint64_t floors;
};

/* What the program knows of the answer before it comes. */
struct outcome_limits {
    const struct result *result; /* as it was before the question */
    uint64_t samples;            /* that were asked for; 0: a proof */
    bool verify;
    double elapsed; /* seconds of the program's clock between question and answer */
};

/* Check OUTCOME before what follows it is read. Return NULL, or what cannot be true of it. */
const char *outcome_check(const struct outcome *outcome, const struct outcome_limits *limits);

/* Check the samples and the floors that followed OUTCOME, which has passed outcome_check(). */
const char *outcome_check_times(const struct outcome *outcome, const double *samples, const double *floors,
                                const struct outcome_limits *limits);

/* Keep in RESULT what OUTCOME says, which was checked. Its samples and floors are after those that RESULT has. */
void outcome_keep(const struct outcome *outcome, struct result *result);

#endif
