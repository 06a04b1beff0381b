/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c - from the times of two things to a verdict.
 *
 * The unit is the round, or the process, and never the sample: what differs from one to the next, such as where buffers
 * lie, is common to all the samples in it. Tests that pool samples take that for a difference between the things. */
#include <config.h>

#include "verdict/compare.h"
#include "base/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* From this many values on, a fifth of them is left out at each end, since on a machine that does other work too some
 * rounds are disturbed. With fewer, what is left would say too little. */
#define TRIM_MIN_COUNT 10
#define TRIM_DIVISOR   5

/* A number of rounds that nobody waits for. */
#define MAX_ROUNDS 100000

/* From here on more degrees of freedom make an interval less than 1 % narrower. */
#define MAX_FREEDOM 200

/* What is said to be found is found 95 times in 100: so much of Student's t is nearer than that on one side. */
#define MISSED 0.05

/* An interval as wide as this says nothing, and its ends are still numbers. */
#define MAX_HALF_WIDTH 20

/* The finite series of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4. */
double compare_t_tails(double t, unsigned freedom)
{
    double angle = atan(t / sqrt((double)freedom));
    double cosine2 = cos(angle) * cos(angle);
    bool is_odd = freedom % 2 == 1;
    double term = is_odd ? cos(angle) : 1;
    double sum = freedom > 1 ? term : 0;

    for (unsigned i = is_odd ? 3 : 2; i + 2 <= freedom; i += 2) {
        term *= cosine2 * (i - 1) / i;
        sum += term;
    }
    sum *= sin(angle);
    return fmax(1 - (is_odd ? 2 / M_PI * (angle + sum) : sum), 0);
}

/* The tails shrink as T grows, so that halving finds it. */
double compare_t_quantile(double p, unsigned freedom)
{
    double low = 0, high = 1;

    while (compare_t_tails(high, freedom) > p && high < 1e12) {
        high *= 2;
    }
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;

        if (compare_t_tails(middle, freedom) > p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high;
}

/* The trimmed mean of VALUES and its standard error, by the Winsorized variance: Tukey and McLaughlin, Sankhya A 25
 * (1963); for two sides Yuen, Biometrika 61 (1974). FREEDOM is one less than the values that are left. */
static bool trimmed_mean(const double *values, size_t count, struct estimate *estimate)
{
    size_t trim = count >= TRIM_MIN_COUNT ? count / TRIM_DIVISOR : 0;
    size_t left = count - 2 * trim;
    double *sorted = malloc(count * sizeof *sorted);
    double sum = 0, winsorized_sum = 0, squares = 0;

    if (sorted == NULL) {
        return false;
    }
    memcpy(sorted, values, count * sizeof *sorted);
    stats_sort(sorted, count);
    for (size_t i = trim; i < count - trim; i++) {
        sum += sorted[i];
    }
    for (size_t i = 0; i < trim; i++) {
        sorted[i] = sorted[trim];
        sorted[count - 1 - i] = sorted[count - 1 - trim];
    }
    for (size_t i = 0; i < count; i++) {
        winsorized_sum += sorted[i];
    }
    for (size_t i = 0; i < count; i++) {
        double difference = sorted[i] - winsorized_sum / (double)count;

        squares += difference * difference;
    }
    free(sorted);
    *estimate = (struct estimate){
        .count = count,
        .center = sum / (double)left,
        .error = sqrt(squares / ((double)left * (double)(left - 1))),
        .freedom = (unsigned)(left - 1),
    };
    return true;
}

bool compare_rounds(const double *log_ratios, size_t count, struct estimate *estimate)
{
    return trimmed_mean(log_ratios, count, estimate);
}

bool compare_runs(const double *baseline, size_t baseline_count, const double *times, size_t count,
                  struct estimate *estimate)
{
    struct estimate a, b;
    double a2, b2, freedom;

    if (!trimmed_mean(baseline, baseline_count, &a) || !trimmed_mean(times, count, &b)) {
        return false;
    }
    /* Welch and Satterthwaite. The whole number below is on the safe side. */
    a2 = a.error * a.error;
    b2 = b.error * b.error;
    freedom = a2 + b2 > 0 ? (a2 + b2) * (a2 + b2) / (a2 * a2 / a.freedom + b2 * b2 / b.freedom) : 1;
    *estimate = (struct estimate){
        .count = a.count < b.count ? a.count : b.count,
        .center = b.center - a.center,
        .error = sqrt(a2 + b2),
        .freedom = freedom >= 1 ? (unsigned)freedom : 1,
    };
    return true;
}

/* How far the estimate is from where the verdict would be another: from the nearer end of the margin. */
static double distance(const struct estimate *estimate, double margin)
{
    return fabs(fabs(estimate->center) - log1p(margin));
}

static enum compare_verdict verdict_of(const struct estimate *estimate, double margin)
{
    if (fabs(estimate->center) < log1p(margin)) {
        return VERDICT_SAME;
    }
    return estimate->center > 0 ? VERDICT_SLOWER : VERDICT_FASTER;
}

/* The error probability at which the interval just reaches the nearer end of the margin. */
static double p_value(const struct estimate *estimate, double margin)
{
    double far = distance(estimate, margin);

    if (estimate->count < COMPARE_MIN_COUNT || far <= 0) {
        return 1;
    }
    return estimate->error > 0 ? compare_t_tails(far / estimate->error, estimate->freedom) : 0;
}

/* Half the interval at the error probability ALPHA if there were COUNT rounds like those of ESTIMATE. */
static double half_width(const struct estimate *estimate, size_t count, double alpha)
{
    double factor = (double)count / (double)estimate->count;
    double freedom = fmin(floor(estimate->freedom * factor), MAX_FREEDOM);

    return compare_t_quantile(alpha, (unsigned)fmax(freedom, 1)) * estimate->error / sqrt(factor);
}

/* How far from a point the truth must be for the interval to be beyond it. */
static double reach(const struct estimate *estimate, size_t count, double alpha)
{
    return half_width(estimate, count, alpha) + half_width(estimate, count, 2 * MISSED);
}

/* How many rounds beyond those of ESTIMATE decide 95 times in 100, if the estimate is right. */
static uint64_t rounds_to_decide(const struct estimate *estimate, double margin, double alpha)
{
    double far = distance(estimate, margin);
    size_t low = estimate->count, high = low;

    while (high < COMPARE_MIN_COUNT || far <= 0 || reach(estimate, high, alpha) > far) {
        if (high > MAX_ROUNDS || far <= 0) {
            return COMPARE_NEVER;
        }
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (middle < COMPARE_MIN_COUNT || reach(estimate, middle, alpha) > far) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return high - estimate->count;
}

static void judge_alone(const struct estimate *estimate, double margin, struct judgement *judgement)
{
    double half = fmin(half_width(estimate, estimate->count, COMPARE_ALPHA), MAX_HALF_WIDTH);

    *judgement = (struct judgement){
        .ratio = exp(estimate->center),
        .low = exp(estimate->center - half),
        .high = exp(estimate->center + half),
        .p = p_value(estimate, margin),
        .verdict = VERDICT_INCONCLUSIVE,
    };
}

static int by_p(const void *a, const void *b)
{
    double x = (*(const struct judgement *const *)a)->p, y = (*(const struct judgement *const *)b)->p;

    return (x > y) - (x < y);
}

/* The correction is Holm's, Scandinavian Journal of Statistics 6 (1979): the clearest case must be clear enough for
 * all, the next for the others, and so on; after the first that is not, nothing is decided. */
bool compare_judge(const struct estimate *estimates, size_t count, double margin, struct judgement *judgements)
{
    struct judgement **sorted = malloc(count * sizeof *sorted);
    size_t decided = 0;

    if (sorted == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        judge_alone(&estimates[i], margin, &judgements[i]);
        sorted[i] = &judgements[i];
    }
    qsort(sorted, count, sizeof *sorted, by_p);
    while (decided < count && sorted[decided]->p <= COMPARE_ALPHA / (double)(count - decided)) {
        const struct estimate *estimate = &estimates[sorted[decided] - judgements];

        sorted[decided++]->verdict = verdict_of(estimate, margin);
    }
    for (size_t i = decided; i < count; i++) {
        const struct estimate *estimate = &estimates[sorted[i] - judgements];

        sorted[i]->more = rounds_to_decide(estimate, margin, COMPARE_ALPHA / (double)(count - decided));
    }
    free(sorted);
    return true;
}

double compare_detectable(const struct estimate *estimate, double margin)
{
    return expm1(log1p(margin) + reach(estimate, estimate->count, COMPARE_ALPHA));
}
