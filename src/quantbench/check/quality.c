/* SPDX-License-Identifier: Apache-2.0 */
/* quality.c - sums up the errors of a tensor's codes. */
#include <config.h>

#include "check/quality.h"
#include "model/tiling.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

/* The codes of the output formats are of 8 bits. */
#define CODES 256

/* What is to be known of an output format: the value of each code, and from where on numbers are cut off. */
struct code_values {
    double values[CODES];
    double above, below;                     /* halfway between the last code and the one that would be next */
    bool above_is_cut_off, below_is_cut_off; /* whether that number itself is */
};

/* Find the largest value and the one next to it, the values being multiplied with SIGN: how far behind it the next code
 * would be cut off, and whether rounding to even leads there. */
static double find_limit(const struct code_values *codes, double sign, bool *is_cut_off)
{
    double largest = -INFINITY, second = -INFINITY;

    for (int code = 0; code < CODES; code++) {
        double value = sign * codes->values[code];

        if (!isfinite(value)) {
            continue;
        }
        if (value > largest) {
            second = largest;
            largest = value;
            *is_cut_off = code % 2 == 1; /* an odd last code has an even one behind it */
        } else if (value > second) {
            second = value;
        }
    }
    return sign * (largest + (largest - second) / 2);
}

static void find_code_values(enum qb_format format, struct code_values *codes)
{
    for (int code = 0; code < CODES; code++) {
        codes->values[code] = (double)qb_format_decode(format, (uint32_t)code);
    }
    codes->above = find_limit(codes, 1, &codes->above_is_cut_off);
    codes->below = find_limit(codes, -1, &codes->below_is_cut_off);
}

/* Sums over a part of the elements. */
struct sums {
    uint64_t finite, nan, infinite, saturated, flushed;
    double signal, noise; /* of x^2 and of e^2 */
    double largest_error, largest_relative_error;
};

static float load(enum qb_format format, const void *input, uint64_t i)
{
    uint32_t bits;
    float value;

    if (format == QB_FORMAT_F32) {
        return ((const float *)input)[i];
    }
    if (format == QB_FORMAT_BF16) { /* without a call, since this one is the upper half of a float */
        bits = (uint32_t)((const uint16_t *)input)[i] << 16;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    return qb_format_decode(format, ((const uint16_t *)input)[i]);
}

static void add_element(const struct code_values *codes, float x, uint8_t code, float scale, struct sums *sums)
{
    /* The product is exact: a code's value has few bits, and a scale has 24. */
    double error = fabs(codes->values[code] * (double)scale - (double)x);
    double magnitude = fabs((double)x);
    double v = (double)(x / scale);

    if (isnan(x)) {
        sums->nan++;
        return;
    }
    if (isinf(x)) {
        sums->infinite++;
        return;
    }
    sums->finite++;
    sums->signal += magnitude * magnitude;
    sums->noise += error * error;
    sums->largest_error = error > sums->largest_error ? error : sums->largest_error;
    if (magnitude > 0) {
        double relative = error / magnitude;

        sums->largest_relative_error =
            relative > sums->largest_relative_error ? relative : sums->largest_relative_error;
        sums->flushed += codes->values[code] == 0;
    }
    sums->saturated += v > codes->above || (codes->above_is_cut_off && v == codes->above) || v < codes->below ||
                       (codes->below_is_cut_off && v == codes->below);
}

/* Add elements FIRST to END (not included), row by row and there scale by scale. */
static __attribute__((noinline)) void add_elements(const struct qb_problem *problem, const struct qb_tensors *tensors,
                                                   const struct code_values *codes, uint64_t first, uint64_t end,
                                                   struct sums *sums)
{
    const struct tiling t = tiling_of(problem);
    uint64_t row = first / problem->hidden, col = first % problem->hidden;

    for (uint64_t i = first; i < end; row++, col = 0) {
        const float *scales = (const float *)tensors->at[QB_ROLE_SCALES] + row / t.tile_rows * t.scale_cols;

        for (uint64_t tile = col / t.tile_cols; i < end && col < problem->hidden; tile++) {
            uint64_t rest = problem->hidden - tile * t.tile_cols;
            uint64_t tile_end = tile * t.tile_cols + (rest < t.tile_cols ? rest : t.tile_cols);

            for (; i < end && col < tile_end; i++, col++) {
                add_element(codes, load(problem->input, tensors->at[QB_ROLE_INPUT], i),
                            ((const uint8_t *)tensors->at[QB_ROLE_CODES])[i], scales[tile], sums);
            }
        }
    }
}

/* The elements are summed in this many parts, whatever the number of threads is. */
#define PARTS 1024

/* In the default floating-point environment. Compilers would move arithmetic across its change. */
static __attribute__((noinline)) void compute(const struct qb_problem *problem, const struct qb_tensors *tensors,
                                              struct quality *quality)
{
    uint64_t count = problem->tokens * problem->hidden;
    uint64_t per_part = count / PARTS + 1;
    uint64_t parts = (count + per_part - 1) / per_part;
    struct sums parts_sums[PARTS] = {{.finite = 0}};
    struct sums all = {.finite = 0};
    struct code_values codes;
    bool any_nonzero;

    find_code_values(problem->output, &codes);
#pragma omp parallel
    {
        fesetenv(FE_DFL_ENV); /* the code of others may have used this thread */
#pragma omp for schedule(dynamic)
        for (uint64_t part = 0; part < parts; part++) {
            uint64_t first = part * per_part;
            /* Its own variable: threads that write side by side into one array disturb each other. */
            struct sums sums = {.finite = 0};

            add_elements(problem, tensors, &codes, first, count - first < per_part ? count : first + per_part, &sums);
            parts_sums[part] = sums;
        }
    }
    for (uint64_t part = 0; part < parts; part++) {
        const struct sums *sums = &parts_sums[part];

        all.finite += sums->finite;
        all.nan += sums->nan;
        all.infinite += sums->infinite;
        all.saturated += sums->saturated;
        all.flushed += sums->flushed;
        all.signal += sums->signal;
        all.noise += sums->noise;
        all.largest_error = fmax(all.largest_error, sums->largest_error);
        all.largest_relative_error = fmax(all.largest_relative_error, sums->largest_relative_error);
    }
    /* An infinite scale times a code of 0 is not a number: an error beyond all bounds, which no comparison has found.
     */
    if (isnan(all.noise)) {
        all.noise = all.largest_error = all.largest_relative_error = INFINITY;
    }
    any_nonzero = all.signal > 0;
    *quality = (struct quality){
        .finite = all.finite,
        .nan = all.nan,
        .infinite = all.infinite,
        .snr = all.finite == 0  ? NAN
               : all.noise == 0 ? INFINITY
                                : 10 * log10(all.signal / all.noise),
        .largest_error = all.finite > 0 ? all.largest_error : NAN,
        .largest_relative_error = isinf(all.largest_error) ? INFINITY
                                  : any_nonzero            ? all.largest_relative_error
                                                           : NAN,
        .saturated = all.saturated,
        .flushed = all.flushed,
    };
}

void quality_compute(const struct qb_problem *problem, const struct qb_tensors *tensors, struct quality *quality)
{
    fenv_t kept;

    fegetenv(&kept);
    fesetenv(FE_DFL_ENV);
    compute(problem, tensors, quality);
    fesetenv(&kept);
}
