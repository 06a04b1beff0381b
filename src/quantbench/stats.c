/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - samples to estimates. */
#include <config.h>

#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

bool stats_compute(const double *samples, size_t count, struct stats *stats)
{
    double *sorted = malloc(count * sizeof *sorted);
    double sum = 0, n = (double)count;
    double low, high;

    if (sorted == NULL) {
        return false;
    }
    memcpy(sorted, samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 0; i < count; i++) {
        sum += sorted[i];
    }
    /* The interval's ends are two of the samples: the ranks, counted from 1, are those of Le Boudec, Performance
     * Evaluation of Computer and Communication Systems, for a quantile of 0.5 and 95 %. */
    low = floor((n - 1.96 * sqrt(n)) / 2);
    high = ceil(1 + (n + 1.96 * sqrt(n)) / 2);
    *stats = (struct stats){
        .count = count,
        .min = sorted[0],
        .median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2,
        .mean = sum / n,
        .p99 = sorted[(size_t)ceil(0.99 * n) - 1],
        .max = sorted[count - 1],
        .ci_low = sorted[low >= 1 ? (size_t)low - 1 : 0],
        .ci_high = sorted[high <= n ? (size_t)high - 1 : count - 1],
    };
    if (count < 6) { /* even the whole range covers less than 95 % */
        stats->ci_low = stats->ci_high = NAN;
    }
    free(sorted);
    return true;
}
