/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - samples to estimates. */
#include <config.h>

#include "base/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Even the whole range of fewer samples, or of fewer rounds' medians, covers the median with less than 95 %. */
#define MIN_SAMPLES 6

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double middle(const double *sorted, size_t count)
{
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

void stats_sort(double *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, compare);
}

double stats_median(double *samples, size_t count)
{
    stats_sort(samples, count);
    return middle(samples, count);
}

/* The rank, counted from 1, of the lower end of the 95 % interval of a median of COUNT >= MIN_SAMPLES values that are
 * independent of each other, whatever their distribution: the number of values below the median is binomial (Le Boudec,
 * Performance Evaluation of Computer and Communication Systems, 2.2). The upper end is as far from the other side. */
static size_t interval_rank(size_t count)
{
    double n = (double)count, probability = pow(0.5, n), below = 0;

    if (count > 100) {
        /* Here the normal approximation gives the same rank or the one below. */
        return (size_t)floor((n - 1.96 * sqrt(n)) / 2);
    }
    /* BELOW is the probability of fewer than RANK values below the median. */
    for (size_t rank = 1;; rank++) {
        below += probability;
        if (2 * below > 0.05) {
            return rank - 1;
        }
        probability *= (n - (double)rank + 1) / (double)rank;
    }
}

/* Put the interval of COUNT values, which are sorted, into STATS if it is wider than the one there. */
static void widen(const double *sorted, size_t count, enum stats_basis basis, struct stats *stats)
{
    size_t rank = interval_rank(count);
    double low = sorted[rank - 1], high = sorted[count - rank];

    if (stats->basis == STATS_BASIS_NONE || high - low > stats->ci_high - stats->ci_low) {
        stats->ci_low = fmin(low, stats->median);
        stats->ci_high = fmax(high, stats->median);
        stats->basis = basis;
    }
}

/* The medians of the rounds into MEDIANS, sorted. SPACE has room for all samples. */
static void find_round_medians(const double *samples, const size_t *rounds, size_t round_count, double *space,
                               double *medians)
{
    for (size_t i = 0; i < round_count; i++) {
        memcpy(space, samples, rounds[i] * sizeof *space);
        medians[i] = stats_median(space, rounds[i]);
        samples += rounds[i];
    }
    stats_sort(medians, round_count);
}

static void count_outliers(const double *sorted, struct stats *stats)
{
    double low = sorted[stats->count / 4], high = sorted[stats->count - 1 - stats->count / 4];
    double distance = high - low;

    for (size_t i = 0; i < stats->count; i++) {
        double beyond = fmax(low - sorted[i], sorted[i] - high);

        stats->severe_outliers += beyond > 3 * distance;
        stats->mild_outliers += beyond > 1.5 * distance && beyond <= 3 * distance;
    }
}

static double autocorrelation(const double *samples, size_t count, double mean)
{
    double products = 0, squares = 0;

    for (size_t i = 0; i < count; i++) {
        squares += (samples[i] - mean) * (samples[i] - mean);
        products += i > 0 ? (samples[i] - mean) * (samples[i - 1] - mean) : 0;
    }
    return count >= 3 && squares > 0 ? products / squares : NAN;
}

bool stats_compute(const double *samples, const size_t *rounds, size_t round_count, double uncertainty,
                   struct stats *stats)
{
    size_t count = 0;
    double sum = 0;
    double *sorted;

    for (size_t i = 0; i < round_count; i++) {
        count += rounds[i];
    }
    sorted = malloc((count + round_count) * sizeof *sorted); /* and the medians of the rounds after them */
    if (sorted == NULL) {
        return false;
    }
    memcpy(sorted, samples, count * sizeof *sorted);
    stats_sort(sorted, count);
    for (size_t i = 0; i < count; i++) {
        sum += sorted[i];
    }
    *stats = (struct stats){
        .count = count,
        .min = sorted[0],
        .median = middle(sorted, count),
        .mean = sum / (double)count,
        .p99 = sorted[(size_t)ceil(0.99 * (double)count) - 1],
        .max = sorted[count - 1],
        .ci_low = NAN,
        .ci_high = NAN,
        .autocorrelation = autocorrelation(samples, count, sum / (double)count),
    };
    count_outliers(sorted, stats);
    if (count >= MIN_SAMPLES) {
        widen(sorted, count, STATS_BASIS_SAMPLES, stats);
        if (round_count >= MIN_SAMPLES) {
            find_round_medians(samples, rounds, round_count, sorted, sorted + count);
            widen(sorted + count, round_count, STATS_BASIS_ROUNDS, stats);
        }
        stats->ci_low = fmax(stats->ci_low - uncertainty, 0);
        stats->ci_high += uncertainty;
    }
    free(sorted);
    return true;
}

double stats_precision(const struct stats *stats)
{
    return stats->basis != STATS_BASIS_NONE && stats->median > 0 ? (stats->ci_high - stats->ci_low) / 2 / stats->median
                                                                 : INFINITY;
}
