/* SPDX-License-Identifier: Apache-2.0 */
/* compare.h - from the times of two things, over rounds or over processes, to a verdict. */
#ifndef COMPARE_H
#define COMPARE_H

#include "model/judgement.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The logarithm of a time divided by the time of the baseline, as COUNT rounds show it. */
struct estimate {
    size_t count;     /* rounds; of processes, those of the side that has fewer */
    double center;    /* 0: no difference; 0.01: 1 % slower */
    double error;     /* its standard error */
    unsigned freedom; /* degrees of freedom of that error */
};

/* The tolerated share of wrong verdicts: of all verdicts of a run together, and of an interval. */
#define COMPARE_ALPHA 0.05

/* Fewer rounds, or processes on a side, give no verdict. */
#define COMPARE_MIN_COUNT 5

/* The estimate of COUNT >= 2 rounds, from the logarithm of each round's ratio. Both sides of a ratio were measured
 * within the round. Returns false if memory is short. */
bool compare_rounds(const double *log_ratios, size_t count, struct estimate *estimate);

/* The estimate of two sides that were measured apart, from the logarithms of each process's time. Each count >= 2.
 * Returns false if memory is short. */
bool compare_runs(const double *baseline, size_t baseline_count, const double *times, size_t count,
                  struct estimate *estimate);

/* Judge COUNT estimates, which are looked at together, so that the verdicts are corrected for their number. With a
 * MARGIN of 0.01 a ratio beyond 1.01 is slower, one below 1 / 1.01 is faster, and one between is the same. Returns
 * false if memory is short. */
bool compare_judge(const struct estimate *estimates, size_t count, double margin, struct judgement *judgements);

/* The smallest slowdown, as a ratio minus 1, that rounds as in ESTIMATE call SLOWER 95 times in 100. */
double compare_detectable(const struct estimate *estimate, double margin);

/* The probability that Student's t with FREEDOM >= 1 degrees of freedom is farther than T >= 0 from 0, and the T for
 * which it is P. */
double compare_t_tails(double t, unsigned freedom);
double compare_t_quantile(double p, unsigned freedom);

#endif
