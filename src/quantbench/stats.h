/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - samples to estimates. */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stddef.h>

/* Estimates of COUNT samples, in the samples' unit. */
struct stats {
    size_t count;
    double min, median, mean, p99, max;
    double ci_low, ci_high; /* 95 % confidence interval of the median; NaN for fewer than 6 samples, which have none */
};

/* SAMPLES need no order and are left as they are. COUNT >= 1. Returns false if memory is short. */
bool stats_compute(const double *samples, size_t count, struct stats *stats);

#endif
