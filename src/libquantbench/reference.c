/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c - the oracle: what every kernel is compared with, byte for byte. It is written to be checked by eye
 * against the comments of struct qb_problem and struct qb_arithmetic, not to be fast. Every granularity is a tiling, so
 * two loops are all there is. */
#include <config.h>

#include "environment.h"
#include "problem.h"
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* How many elements share a scale, and how many scales that makes. */
struct tiling {
    uint64_t rows, cols;
    uint64_t scale_rows, scale_cols;
};

/* Check the arguments, and set P to the problem with its strides filled in and T to its tiling. */
static enum qb_status prepare(const struct qb_problem *problem, const struct qb_buffers *buffers, bool writes_codes,
                              struct qb_problem *p, struct tiling *t)
{
    enum qb_status status = qb__prepare(problem, buffers, writes_codes, p);

    if (status == QB_OK) {
        qb__tile(p, &t->rows, &t->cols);
        qb__scale_shape(p, &t->scale_rows, &t->scale_cols);
    }
    return status;
}

/* Element (ROW, COL) of the input, exactly. */
static float load(const struct qb_problem *p, const void *input, uint64_t row, uint64_t col)
{
    uint64_t i = row * p->input_stride + col;

    if (p->input == QB_FORMAT_F32) {
        return ((const float *)input)[i];
    }
    return qb_format_decode(p->input, ((const uint16_t *)input)[i]);
}

/* The amax of the tile whose first element is (FIRST_ROW, FIRST_COL), within the bounds of PROBLEM and ARITHMETIC. */
static float tile_amax(const struct qb_problem *p, const struct qb_arithmetic *arithmetic, const struct tiling *t,
                       const void *input, uint64_t first_row, uint64_t first_col)
{
    float amax = 0;

    for (uint64_t row = first_row; row < p->tokens && row - first_row < t->rows; row++) {
        for (uint64_t col = first_col; col < p->hidden && col - first_col < t->cols; col++) {
            float magnitude = fabsf(load(p, input, row, col));

            if (magnitude > amax) { /* false for NaN */
                amax = magnitude;
            }
        }
    }
    if (arithmetic->infinity == QB_INFINITY_CLAMPED && amax > qb_format_info(p->input)->largest) {
        amax = qb_format_info(p->input)->largest;
    }
    if (p->amax_bound > 0 && amax > p->amax_bound) {
        amax = p->amax_bound;
    }
    return amax > arithmetic->amax_floor ? amax : arithmetic->amax_floor;
}

/* A scale that elements are divided by, and its counterpart that they are multiplied with. */
struct scale {
    float divisor;
    float multiplier;
};

static struct scale zero_scale(const struct qb_arithmetic *arithmetic)
{
    switch (arithmetic->zero) {
    case QB_ZERO_ONE:
        return (struct scale){1, 1};
    case QB_ZERO_ZERO:
        return (struct scale){0, 0};
    default: /* QB_ZERO_UNGUARDED */
        return (struct scale){0, INFINITY};
    }
}

/* The smallest power of two that is not below SCALE. */
static float power_of_two_above(float scale)
{
    int exponent;
    float fraction;

    if (scale == 0 || isinf(scale)) {
        return scale;
    }
    fraction = frexpf(scale, &exponent); /* in [0.5, 1) */
    return fraction > 0.5f ? ldexpf(1, exponent) : scale;
}

/* The scale of a tile of amax AMAX. */
static struct scale dynamic_scale(const struct qb_problem *p, const struct qb_arithmetic *arithmetic, float amax)
{
    const float qmax = qb_format_info(p->output)->largest;
    float floor = arithmetic->scale_floor;
    struct scale scale;

    if (amax == 0 && arithmetic->zero != QB_ZERO_FLOOR) {
        return zero_scale(arithmetic);
    }
    scale.multiplier = qmax / amax;
    switch (arithmetic->scale_form) {
    case QB_SCALE_PRODUCT:
        scale.divisor = amax * (1 / qmax);
        break;
    case QB_SCALE_INVERSE:
    case QB_SCALE_MULTIPLIER:
        scale.divisor = 1 / scale.multiplier;
        break;
    default: /* QB_SCALE_QUOTIENT */
        scale.divisor = amax / qmax;
        break;
    }
    if (floor == 0 && arithmetic->zero == QB_ZERO_FLOOR) {
        floor = QB__SCALE_FLOOR;
    }
    if (scale.divisor < floor) {
        scale.divisor = floor;
    }
    if (floor > 0 && scale.multiplier > 1 / floor) {
        scale.multiplier = 1 / floor;
    }
    if (arithmetic->power_of_two) {
        scale.divisor = power_of_two_above(scale.divisor);
        scale.multiplier = 1 / scale.divisor;
    }
    return scale;
}

/* The scale that was given as STORED. */
static struct scale static_scale(const struct qb_arithmetic *arithmetic, float stored)
{
    return arithmetic->scale_form == QB_SCALE_MULTIPLIER ? (struct scale){1 / stored, stored}
                                                         : (struct scale){stored, 1 / stored};
}

/* What elements are divided by (DIVIDE) or multiplied with. */
static float factor_of(const struct qb_arithmetic *arithmetic, struct scale scale)
{
    /* A tile that is multiplied by 0 may as well be divided by infinity. */
    const bool is_zero = scale.divisor == 0 && scale.multiplier == 0;

    switch (arithmetic->quotient) {
    case QB_QUOTIENT_RECIPROCAL:
        return is_zero ? 0 : 1 / scale.divisor;
    case QB_QUOTIENT_MULTIPLY:
        return scale.multiplier;
    default: /* QB_QUOTIENT_DIVIDE */
        return is_zero ? INFINITY : scale.divisor;
    }
}

static uint8_t encode(const struct qb_problem *p, const struct qb_arithmetic *arithmetic, float value)
{
    if (isnan(value) && arithmetic->nan != QB_NAN_CODE) {
        value = arithmetic->nan == QB_NAN_HIGHEST ? INFINITY : -INFINITY; /* these saturate */
    }
    if (p->output == QB_FORMAT_INT8 && arithmetic->rounding != QB_ROUNDING_NEAREST_EVEN) {
        value = arithmetic->rounding == QB_ROUNDING_NEAREST_AWAY ? roundf(value) : truncf(value);
    }
    return (uint8_t)qb_format_encode(p->output, value);
}

/* ---- In the default environment --------------------------------------------------------------------------------- */

static QB__IN_ENVIRONMENT enum qb_status scales_as(const struct qb_problem *problem,
                                                   const struct qb_arithmetic *arithmetic,
                                                   const struct qb_buffers *buffers, float *factors)
{
    struct qb_problem p;
    struct tiling t;
    enum qb_status status = qb_arithmetic_validate(arithmetic);

    if (status == QB_OK) {
        status = prepare(problem, buffers, false, &p, &t);
    }
    if (status != QB_OK) {
        return status;
    }
    for (uint64_t r = 0; r < t.scale_rows; r++) {
        for (uint64_t c = 0; c < t.scale_cols; c++) {
            uint64_t i = r * t.scale_cols + c;
            float amax = tile_amax(&p, arithmetic, &t, buffers->input, r * t.rows, c * t.cols);
            struct scale scale = dynamic_scale(&p, arithmetic, amax);

            buffers->scales[i] = arithmetic->scale_form == QB_SCALE_MULTIPLIER ? scale.multiplier : scale.divisor;
            if (factors != NULL) {
                factors[i] = factor_of(arithmetic, scale);
            }
        }
    }
    return QB_OK;
}

static QB__IN_ENVIRONMENT enum qb_status codes_as(const struct qb_problem *problem,
                                                  const struct qb_arithmetic *arithmetic,
                                                  const struct qb_buffers *buffers, const float *factors)
{
    struct qb_problem p;
    struct tiling t;
    enum qb_status status = qb_arithmetic_validate(arithmetic);

    if (status == QB_OK) {
        status = prepare(problem, buffers, true, &p, &t);
    }
    if (status != QB_OK) {
        return status;
    }
    for (uint64_t row = 0; row < p.tokens; row++) {
        for (uint64_t col = 0; col < p.hidden; col++) {
            uint64_t i = row / t.rows * t.scale_cols + col / t.cols;
            float factor =
                factors != NULL ? factors[i] : factor_of(arithmetic, static_scale(arithmetic, buffers->scales[i]));
            float x = load(&p, buffers->input, row, col);
            float value = arithmetic->quotient == QB_QUOTIENT_DIVIDE ? x / factor : x * factor;

            ((uint8_t *)buffers->output)[row * p.output_stride + col] = encode(&p, arithmetic, value);
        }
    }
    return QB_OK;
}

static QB__IN_ENVIRONMENT enum qb_status
run_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, const struct qb_buffers *buffers)
{
    float *factors = NULL;
    enum qb_status status = qb_problem_validate(problem);

    if (status != QB_OK) {
        return status;
    }
    if (problem->scaling != QB_SCALING_STATIC) {
        struct qb_bytes bytes;

        qb_problem_bytes(problem, &bytes);
        factors = malloc(bytes.scale_buffer + 1); /* a size of 0 need not give a pointer */
        if (factors == NULL) {
            return qb__fail(QB_ERROR_MEMORY, "%" PRIu64 " bytes for the reference", bytes.scale_buffer);
        }
        status = scales_as(problem, arithmetic, buffers, factors);
    }
    if (status == QB_OK && problem->scaling != QB_SCALING_AMAX) {
        status = codes_as(problem, arithmetic, buffers, factors);
    }
    free(factors);
    return status;
}

/* ---- In any environment ----------------------------------------------------------------------------------------- */

enum qb_status qb__reference_run_unchecked(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                           const struct qb_buffers *buffers)
{
    struct qb__environment kept;
    enum qb_status status;

    qb__environment_enter(&kept);
    status = run_as(problem, arithmetic, buffers);
    qb__environment_leave(&kept);
    return status;
}

enum qb_status qb_reference_run_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                   const struct qb_buffers *buffers)
{
    enum qb_status status = qb__reference_trust();

    return status == QB_OK ? qb__reference_run_unchecked(problem, arithmetic, buffers) : status;
}

enum qb_status qb_reference_scales_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                      const struct qb_buffers *buffers, float *factors)
{
    struct qb__environment kept;
    enum qb_status status = qb__reference_trust();

    if (status == QB_OK) {
        qb__environment_enter(&kept);
        status = scales_as(problem, arithmetic, buffers, factors);
        qb__environment_leave(&kept);
    }
    return status;
}

enum qb_status qb_reference_codes_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                     const struct qb_buffers *buffers, const float *factors)
{
    struct qb__environment kept;
    enum qb_status status = qb__reference_trust();

    if (status == QB_OK) {
        qb__environment_enter(&kept);
        status = codes_as(problem, arithmetic, buffers, factors);
        qb__environment_leave(&kept);
    }
    return status;
}

/* The contract's needs no factors: they are the scales. */

enum qb_status qb_reference_scales(const struct qb_problem *problem, const struct qb_buffers *buffers)
{
    return qb_reference_scales_as(problem, &qb__contract, buffers, NULL);
}

enum qb_status qb_reference_codes(const struct qb_problem *problem, const struct qb_buffers *buffers)
{
    return qb_reference_codes_as(problem, &qb__contract, buffers, NULL);
}

enum qb_status qb_reference_run(const struct qb_problem *problem, const struct qb_buffers *buffers)
{
    return qb_reference_run_as(problem, &qb__contract, buffers);
}
