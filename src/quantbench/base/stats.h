/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - samples to estimates. */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stddef.h>

/* What the confidence interval of a median is taken from. */
enum stats_basis {
    STATS_BASIS_NONE,    /* fewer than 6 samples have none */
    STATS_BASIS_SAMPLES, /* order statistics of all samples */
    STATS_BASIS_ROUNDS,  /* order statistics of the rounds' medians: wider, since rounds differ */
};

/* Estimates of COUNT samples, in the samples' unit. */
struct stats {
    size_t count;
    double min, median, mean, p99, max;
    double ci_low, ci_high; /* 95 % confidence interval of the median; NaN without a basis */
    enum stats_basis basis;
    size_t mild_outliers;   /* more than 1.5 times the distance of the quartiles away from them (Tukey) */
    size_t severe_outliers; /* more than 3 times; these are not mild ones */
    double autocorrelation; /* of neighbors (lag 1); NaN if all samples are equal, or for fewer than 3 */
};

/* A count that is not known, where 0 would be one. */
#define ROUND_UNKNOWN UINT64_MAX

/* SAMPLES are in the order in which they were taken, in ROUND_COUNT rounds of ROUNDS[i] >= 1 samples each; they are
 * left as they are. Samples of one round share what changes between rounds, such as where the memory is and how fast
 * the clocks run: so the interval of all samples is too narrow if rounds differ, and that of the rounds' medians counts
 * if it is wider; it takes 6 rounds. UNCERTAINTY, what the timer's tick may add to a sample, makes it wider at both
 * ends. There is at least one sample. Returns false if memory is short. */
bool stats_compute(const double *samples, const size_t *rounds, size_t round_count, double uncertainty,
                   struct stats *stats);

/* Sort COUNT numbers. */
void stats_sort(double *numbers, size_t count);

/* The median of COUNT >= 1 samples, which become sorted. */
double stats_median(double *samples, size_t count);

/* Half the width of the interval as a share of the median; INFINITY without a basis. */
double stats_precision(const struct stats *stats);

#endif
