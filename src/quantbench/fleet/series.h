/* SPDX-License-Identifier: Apache-2.0 */
/* series.h - the rounds of one device to one figure with its error. */
#ifndef SERIES_H
#define SERIES_H

#include <stddef.h>

/* The logarithms of the rounds' medians. */
struct series_estimate {
    double mean;      /* without a fifth of them at each end */
    double variance;  /* of the mean, by the Winsorized variance; 0: too few rounds */
    double spread;    /* of one round: a robust standard deviation, from the median of the distances to the median */
    unsigned rounds;  /* 0: none */
    unsigned freedom; /* degrees of freedom of VARIANCE; 0: it is unknown */
};

/* Estimate COUNT logarithms, which become sorted. */
struct series_estimate series_of(double *logs, size_t count);

/* The median of COUNT >= 1 numbers and 1.4826 times the median of the distances to it, which is the standard deviation
 * of what is normal; NUMBERS become these distances, sorted. */
double series_robust_deviation(double *numbers, size_t count, double *median);

/* The error probability of finding T or more, on one side. */
double series_tail(double t, unsigned freedom);

/* Holm, Scandinavian Journal of Statistics 6 (1979): replace each of COUNT error probabilities by the one that counts
 * when all of them are looked at. The pointers become sorted. */
void series_holm(double **probabilities, size_t count);

#endif
