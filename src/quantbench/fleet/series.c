/* SPDX-License-Identifier: Apache-2.0 */
/* series.c - see series.h. */
#include <config.h>

#include "base/stats.h"
#include "fleet/series.h"
#include "verdict/compare.h"

#include <math.h>
#include <stdlib.h>

/* The standard deviation of what is normal, in units of the median distance from the median. */
#define NORMAL_MAD 1.4826

/* One end that is cut off, as a share. */
#define TRIMMED 5

double series_robust_deviation(double *numbers, size_t count, double *median)
{
    *median = stats_median(numbers, count);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = fabs(numbers[i] - *median);
    }
    return NORMAL_MAD * stats_median(numbers, count);
}

/* The variance of COUNT sorted numbers, of which the outer CUT at each end are as the next one. */
static double winsorized_variance(const double *numbers, size_t count, size_t cut)
{
    double mean = 0, sum = 0;

    for (size_t i = 0; i < count; i++) {
        mean += numbers[i < cut ? cut : i >= count - cut ? count - cut - 1 : i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        const double distance = numbers[i < cut ? cut : i >= count - cut ? count - cut - 1 : i] - mean;

        sum += distance * distance;
    }
    return sum / (double)(count - 1);
}

struct series_estimate series_of(double *logs, size_t count)
{
    struct series_estimate e = {.rounds = (unsigned)count};
    const size_t cut = count / TRIMMED, left = count - 2 * cut;
    double median;

    if (count == 0) {
        return e;
    }
    stats_sort(logs, count);
    for (size_t i = cut; i < count - cut; i++) {
        e.mean += logs[i] / (double)left;
    }
    if (left > 1) {
        e.variance = winsorized_variance(logs, count, cut) * (double)(count - 1) / ((double)left * (double)(left - 1));
        e.freedom = (unsigned)(left - 1);
    }
    e.spread = series_robust_deviation(logs, count, &median);
    return e;
}

double series_tail(double t, unsigned freedom)
{
    const double tails = freedom > 0 ? compare_t_tails(fabs(t), freedom) : 1;

    return t > 0 ? tails / 2 : 1 - tails / 2;
}

static int by_size(const void *a, const void *b)
{
    const double p = **(double *const *)a, q = **(double *const *)b;

    return (p > q) - (p < q);
}

void series_holm(double **probabilities, size_t count)
{
    double least = 0;

    if (count > 0) {
        qsort(probabilities, count, sizeof *probabilities, by_size);
    }
    for (size_t i = 0; i < count; i++) {
        least = fmax(least, fmin(1, *probabilities[i] * (double)(count - i)));
        *probabilities[i] = least;
    }
}
