/* SPDX-License-Identifier: Apache-2.0 */
/* operation_quantize.c - the operation that quantizes: what is right for it, its tensors, and its oracle, what every
 * kernel is compared with, byte for byte. That is written to be checked by eye
 * against the comments of struct qb_problem and struct qb_arithmetic, not to be fast. Every granularity is a tiling, so
 * two loops are all there is. */
#include <config.h>

#include "environment.h"
#include "operation.h"
#include "problem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- Problems and tensors ------------------------------------------------------------------------------------------
 */

static enum qb_status validate(const struct qb_problem *p)
{
    const struct qb_format_info *input, *output;

    input = qb_format_info(p->input);
    output = qb_format_info(p->output);
    if (input == NULL || !input->is_input) {
        return qb__fail(QB_ERROR_INVALID, "input format %d: expected one that can be quantized from", (int)p->input);
    }
    if (output == NULL || !output->is_output) {
        return qb__fail(QB_ERROR_INVALID, "output format %d: expected one that can be quantized to", (int)p->output);
    }
    if (qb_granularity_name(p->granularity) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "granularity %d is not in enum qb_granularity", (int)p->granularity);
    }
    if (qb_scaling_name(p->scaling) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "scaling %d is not in enum qb_scaling", (int)p->scaling);
    }
    if (p->hidden == 0) {
        return qb__fail(QB_ERROR_INVALID, "hidden size 0; expected at least 1");
    }
    if (p->input_stride != 0 && p->input_stride < p->hidden) {
        return qb__fail(QB_ERROR_INVALID, "input stride %" PRIu64 " is less than hidden size %" PRIu64, p->input_stride,
                        p->hidden);
    }
    if (p->output_stride != 0 && p->output_stride < p->hidden) {
        return qb__fail(QB_ERROR_INVALID, "output stride %" PRIu64 " is less than hidden size %" PRIu64,
                        p->output_stride, p->hidden);
    }
    if (p->granularity == QB_GRANULARITY_GROUP && p->group == 0) {
        return qb__fail(QB_ERROR_INVALID, "group size 0; expected at least 1");
    }
    if (p->granularity == QB_GRANULARITY_BLOCK && (p->block_rows == 0 || p->block_cols == 0)) {
        return qb__fail(QB_ERROR_INVALID, "block of %" PRIu64 " x %" PRIu64 "; expected at least 1 x 1", p->block_rows,
                        p->block_cols);
    }
    if (!(p->amax_bound >= 0) || isinf(p->amax_bound)) {
        return qb__fail(QB_ERROR_INVALID, "amax bound %g; expected a finite number > 0, or 0 for none",
                        (double)p->amax_bound);
    }
    if (p->scale_format != QB_FORMAT_F32) {
        return qb__fail(QB_ERROR_INVALID, "scale format %d; expected float", (int)p->scale_format);
    }
    return QB_OK;
}

static void tensor(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t)
{
    switch (role) {
    case QB_ROLE_INPUT:
        t->present = t->read = true;
        t->format = p->input;
        t->rows = p->tokens;
        t->cols = p->hidden;
        t->stride = p->input_stride;
        break;
    case QB_ROLE_CODES:
        if (p->scaling != QB_SCALING_AMAX) {
            t->present = t->written = true;
            t->format = p->output;
            t->rows = p->tokens;
            t->cols = p->hidden;
            t->stride = p->output_stride;
        }
        break;
    case QB_ROLE_SCALES:
        t->present = true;
        t->read = p->scaling == QB_SCALING_STATIC;
        t->written = !t->read;
        t->format = p->scale_format;
        qb__scale_shape(p, &t->rows, &t->cols);
        t->stride = t->cols;
        break;
    }
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

/* What the oracle works on: the problem as it was loaded, its tiling and its tensors. */
struct work {
    struct qb_problem p;
    struct qb__tiling t;
    struct qb_tensors tensors;
};

/* Check the arguments, and make WORK of them, for SCALING in place of the problem's: each half of the oracle has its
 * own tensors. */
static enum qb_status prepare(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                              const struct qb_tensors *tensors, enum qb_scaling scaling, struct work *work)
{
    enum qb_status status = qb_arithmetic_validate(arithmetic);

    if (status == QB_OK) {
        status = qb__problem_load(problem, &work->p);
    }
    if (status == QB_OK) {
        work->p.scaling = scaling;
        status = qb__tensors_load(&work->p, tensors, &work->tensors);
    }
    if (status == QB_OK) {
        work->t = qb__tiling_of(&work->p);
    }
    return status;
}

/* Element (ROW, COL) of the input, exactly. */
static float load(const struct work *w, uint64_t row, uint64_t col)
{
    const void *input = w->tensors.at[QB_ROLE_INPUT];
    uint64_t i = row * w->p.input_stride + col;

    if (w->p.input == QB_FORMAT_F32) {
        return ((const float *)input)[i];
    }
    return qb_format_decode(w->p.input, ((const uint16_t *)input)[i]);
}

/* The amax of the tile whose first element is (FIRST_ROW, FIRST_COL), within the bounds of the problem and ARITHMETIC.
 */
static float tile_amax(const struct work *w, const struct qb_arithmetic *arithmetic, uint64_t first_row,
                       uint64_t first_col)
{
    const struct qb_problem *p = &w->p;
    const struct qb__tiling *t = &w->t;
    float amax = 0;

    for (uint64_t row = first_row; row < p->tokens && row - first_row < t->rows; row++) {
        for (uint64_t col = first_col; col < p->hidden && col - first_col < t->cols; col++) {
            float magnitude = fabsf(load(w, row, col));

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
    case QB_ZERO_FLOOR: /* the caller's */
    case QB_ZERO_UNGUARDED:
        break;
    }
    return (struct scale){0, INFINITY};
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
    scale.divisor = amax / qmax;
    switch (arithmetic->scale_form) {
    case QB_SCALE_QUOTIENT:
        break;
    case QB_SCALE_PRODUCT:
        scale.divisor = amax * (1 / qmax);
        break;
    case QB_SCALE_INVERSE:
    case QB_SCALE_MULTIPLIER:
        scale.divisor = 1 / scale.multiplier;
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
    case QB_QUOTIENT_DIVIDE:
        break;
    }
    return is_zero ? INFINITY : scale.divisor;
}

static uint8_t encode(const struct qb_problem *p, const struct qb_arithmetic *arithmetic, float value)
{
    if (isnan(value) && arithmetic->nan != QB_NAN_CODE) {
        value = arithmetic->nan == QB_NAN_HIGHEST ? INFINITY : -INFINITY; /* these saturate */
    }
    if (qb__is_integer(p->output) && arithmetic->rounding != QB_ROUNDING_NEAREST_EVEN) {
        value = arithmetic->rounding == QB_ROUNDING_NEAREST_AWAY ? roundf(value) : truncf(value);
    }
    return (uint8_t)qb_format_encode(p->output, value);
}

/* ---- In the default environment --------------------------------------------------------------------------------- */

static QB__IN_ENVIRONMENT enum qb_status scales_as(const struct qb_problem *problem,
                                                   const struct qb_arithmetic *arithmetic,
                                                   const struct qb_tensors *tensors, float *factors)
{
    struct work w;
    float *scales;
    enum qb_status status = prepare(problem, arithmetic, tensors, QB_SCALING_AMAX, &w);

    if (status != QB_OK) {
        return status;
    }
    scales = w.tensors.at[QB_ROLE_SCALES];
    for (uint64_t r = 0; r < w.t.scale_rows; r++) {
        for (uint64_t c = 0; c < w.t.scale_cols; c++) {
            uint64_t i = qb__scale_index(&w.t, r, c);
            float amax = tile_amax(&w, arithmetic, r * w.t.rows, c * w.t.cols);
            struct scale scale = dynamic_scale(&w.p, arithmetic, amax);

            scales[i] = arithmetic->scale_form == QB_SCALE_MULTIPLIER ? scale.multiplier : scale.divisor;
            if (factors != NULL) {
                factors[i] = factor_of(arithmetic, scale);
            }
        }
    }
    return QB_OK;
}

static QB__IN_ENVIRONMENT enum qb_status codes_as(const struct qb_problem *problem,
                                                  const struct qb_arithmetic *arithmetic,
                                                  const struct qb_tensors *tensors, const float *factors)
{
    struct work w;
    const float *scales;
    uint8_t *codes;
    enum qb_status status = prepare(problem, arithmetic, tensors, QB_SCALING_STATIC, &w);

    if (status != QB_OK) {
        return status;
    }
    scales = w.tensors.at[QB_ROLE_SCALES];
    codes = w.tensors.at[QB_ROLE_CODES];
    for (uint64_t row = 0; row < w.p.tokens; row++) {
        for (uint64_t col = 0; col < w.p.hidden; col++) {
            uint64_t i = qb__scale_index(&w.t, row / w.t.rows, col / w.t.cols);
            float factor = factors != NULL ? factors[i] : factor_of(arithmetic, static_scale(arithmetic, scales[i]));
            float x = load(&w, row, col);
            float value = arithmetic->quotient == QB_QUOTIENT_DIVIDE ? x / factor : x * factor;

            codes[row * w.p.output_stride + col] = encode(&w.p, arithmetic, value);
        }
    }
    return QB_OK;
}

/* Both halves. The factors that the first finds are not always those that its scales give again. */
static QB__IN_ENVIRONMENT enum qb_status
reference(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, const struct qb_tensors *tensors)
{
    const uint64_t bytes = qb__tensor_of(problem, QB_ROLE_SCALES).bytes;
    float *factors = NULL;
    enum qb_status status = QB_OK;

    if (problem->scaling != QB_SCALING_STATIC) {
        factors = malloc(bytes + 1); /* a size of 0 need not give a pointer */
        if (factors == NULL) {
            return qb__fail(QB_ERROR_MEMORY, "%" PRIu64 " bytes for the reference", bytes);
        }
        status = scales_as(problem, arithmetic, tensors, factors);
    }
    if (status == QB_OK && problem->scaling != QB_SCALING_AMAX) {
        status = codes_as(problem, arithmetic, tensors, factors);
    }
    free(factors);
    return status;
}

/* ---- In any environment ----------------------------------------------------------------------------------------- */

enum qb_status qb_reference_scales_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                      const struct qb_tensors *tensors, float *factors)
{
    struct qb__environment kept;
    enum qb_status status = qb__reference_trust();

    if (status == QB_OK) {
        qb__environment_enter(&kept);
        status = scales_as(problem, arithmetic, tensors, factors);
        qb__environment_leave(&kept);
    }
    return status;
}

enum qb_status qb_reference_codes_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                     const struct qb_tensors *tensors, const float *factors)
{
    struct qb__environment kept;
    enum qb_status status = qb__reference_trust();

    if (status == QB_OK) {
        qb__environment_enter(&kept);
        status = codes_as(problem, arithmetic, tensors, factors);
        qb__environment_leave(&kept);
    }
    return status;
}

/* The contract's halves need no factors: they are the scales. */

enum qb_status qb_reference_scales(const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    return qb_reference_scales_as(problem, &qb__contract, tensors, NULL);
}

enum qb_status qb_reference_codes(const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    return qb_reference_codes_as(problem, &qb__contract, tensors, NULL);
}

const struct qb__operation qb__operation_quantize = {
    .operation = QB_OPERATION_QUANTIZE,
    .name = "quantize",
    .validate = validate,
    .tensor = tensor,
    .reference = reference,
};
