/* SPDX-License-Identifier: Apache-2.0 */
/* operation_quantize.c - the operation that quantizes: the check of its problems, its tensors, and its oracle, which
 * every kernel is compared with, byte for byte. The oracle is written to be checked by eye against the comments of
 * struct qb_problem and struct qb_arithmetic, not to be fast. Every granularity is a tiling, so two loops do it all. */
#include <config.h>

#include "environment.h"
#include "expert.h"
#include "operation.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    return QB_OK;
}

/* Check the codes and their places. */
static enum qb_status validate_codes(const struct qb_problem *p)
{
    const struct qb_format_info *output = qb_format_info(p->output);
    const bool integer = output->exponent_bits == 0;

    if (qb_packing_name(p->packing) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "packing %d is not in enum qb_packing", (int)p->packing);
    }
    if (p->packing == QB_PACKING_DENSE && output->bits != 6) {
        return qb__fail(QB_ERROR_INVALID, "packing dense requires codes of 6 bits; %s has %u", output->name,
                        output->bits);
    }
    if (p->output_stride % qb__packed_unit(p->output, p->packing) != 0) {
        return qb__fail(QB_ERROR_INVALID,
                        "output stride %" PRIu64 "; expected a multiple of %u, as rows begin at bytes",
                        p->output_stride, qb__packed_unit(p->output, p->packing));
    }
    if (qb_zero_points_name(p->zero_points) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "zero points %d are not in enum qb_zero_points", (int)p->zero_points);
    }
    if (p->zero_points == QB_ZERO_POINTS_NONE && integer && !qb__is_signed(p->output)) {
        return qb__fail(QB_ERROR_INVALID, "%s requires zero points", output->name);
    }
    if (p->zero_points != QB_ZERO_POINTS_NONE &&
        (!integer || (p->scale_format != QB_FORMAT_F32 && p->scale_format != QB_FORMAT_F16) ||
         p->granularity == QB_GRANULARITY_CHANNEL || p->granularity == QB_GRANULARITY_BLOCK)) {
        return qb__fail(QB_ERROR_INVALID,
                        "zero points require integers, scales in float or half, and one per tensor, token or group");
    }
    return QB_OK;
}

/* Check the scales and their places. */
static enum qb_status validate_scales(const struct qb_problem *p)
{
    const struct qb_format_info *scale = qb_format_info(p->scale_format);
    const bool e8m0 = p->scale_format == QB_FORMAT_E8M0, e4m3 = p->scale_format == QB_FORMAT_E4M3;
    const bool group = p->granularity == QB_GRANULARITY_GROUP;
    uint64_t scale_rows, scale_cols;

    if (scale == NULL || !scale->is_scale) {
        return qb__fail(QB_ERROR_INVALID, "scale format %d: expected float, half, e8m0 or e4m3", (int)p->scale_format);
    }
    if ((e8m0 || e4m3) && !group) {
        return qb__fail(QB_ERROR_INVALID, "scales in %s require groups", e8m0 ? "e8m0" : "e4m3");
    }
    if (qb_scale_rounding_name(p->scale_rounding) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "scale rounding %d is not in enum qb_scale_rounding", (int)p->scale_rounding);
    }
    if (p->scale_rounding != QB_SCALE_ROUNDING_UP && !e8m0) {
        return qb__fail(QB_ERROR_INVALID, "scale rounding %s requires scales in e8m0",
                        qb_scale_rounding_name(p->scale_rounding));
    }
    if (qb_tensor_scale_name(p->tensor_scale) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "tensor scale %d is not in enum qb_tensor_scale", (int)p->tensor_scale);
    }
    if (p->tensor_scale != QB_TENSOR_SCALE_NONE && !e4m3) {
        return qb__fail(QB_ERROR_INVALID, "a tensor scale requires scales in e4m3");
    }
    if (p->tensor_scale == QB_TENSOR_SCALE_COMPUTED && p->scaling == QB_SCALING_STATIC) {
        return qb__fail(QB_ERROR_INVALID, "a computed tensor scale conflicts with static scaling");
    }
    if (qb_scale_layout_name(p->scale_layout) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "scale layout %d is not in enum qb_scale_layout", (int)p->scale_layout);
    }
    if (p->scale_layout != QB_SCALE_LAYOUT_ROWS && !group) {
        return qb__fail(QB_ERROR_INVALID, "scale layout %s requires groups", qb_scale_layout_name(p->scale_layout));
    }
    if (p->scale_layout == QB_SCALE_LAYOUT_PACKED && !e8m0) {
        return qb__fail(QB_ERROR_INVALID, "scale layout packed requires scales in e8m0");
    }
    if ((p->scale_layout == QB_SCALE_LAYOUT_TILED_128X4 || p->scale_layout == QB_SCALE_LAYOUT_TILED_8X4) &&
        scale->bits != 8) {
        return qb__fail(QB_ERROR_INVALID, "scale layout %s requires scales in e8m0 or e4m3",
                        qb_scale_layout_name(p->scale_layout));
    }
    if (p->scale_stride != 0 && p->scale_layout != QB_SCALE_LAYOUT_COLUMNS &&
        p->scale_layout != QB_SCALE_LAYOUT_PACKED) {
        return qb__fail(QB_ERROR_INVALID, "a scale stride requires scale layout columns or packed");
    }
    qb__scale_shape(p, &scale_rows, &scale_cols);
    if (p->experts > 0 && p->expert_rows == QB_EXPERT_ROWS_MASKED) {
        scale_rows = qb__expert_room(p); /* each expert has a tensor of its own */
    }
    if (p->scale_stride != 0 && (p->scale_stride < scale_rows || p->scale_stride > PTRDIFF_MAX / 8)) {
        return qb__fail(QB_ERROR_INVALID, "scale stride %" PRIu64 " does not fit %" PRIu64 " rows of scales",
                        p->scale_stride, scale_rows);
    }
    return QB_OK;
}

static enum qb_status validate_all(const struct qb_problem *p)
{
    enum qb_status status = validate(p);

    if (status == QB_OK) {
        status = validate_codes(p);
    }
    return status == QB_OK ? validate_scales(p) : status;
}

static void scale_tensor(const struct qb_problem *p, struct qb_tensor_info *t)
{
    const struct qb__layout layout = qb__layout_of(p);

    t->present = true;
    t->read = p->scaling == QB_SCALING_STATIC;
    t->written = !t->read;
    t->format = p->scale_format;
    t->rows = layout.rows;
    t->cols = t->stride = layout.cols;
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
        scale_tensor(p, t);
        break;
    case QB_ROLE_ZERO_POINTS:
        if (p->zero_points != QB_ZERO_POINTS_NONE) {
            scale_tensor(p, t);
            t->format = qb__zero_point_format(p);
            qb__scale_shape(p, &t->rows, &t->cols);
            t->stride = t->cols;
        }
        break;
    case QB_ROLE_TENSOR_SCALE:
        if (p->tensor_scale != QB_TENSOR_SCALE_NONE) {
            t->present = true;
            t->read = p->tensor_scale == QB_TENSOR_SCALE_GIVEN;
            t->written = !t->read;
            t->format = QB_FORMAT_F32;
            t->rows = p->experts > 0 ? p->experts : qb__tensor_scales(p);
            t->cols = t->stride = 1;
        }
        break;
    case QB_ROLE_EXPERTS:
        if (p->experts > 0) {
            t->present = t->read = true;
            t->format = QB_FORMAT_INT64;
            t->rows = p->experts + (p->expert_rows == QB_EXPERT_ROWS_OFFSETS);
            t->cols = t->stride = 1;
        }
        break;
    case QB_ROLE_WEIGHTS:
    case QB_ROLE_RESIDUAL:
    case QB_ROLE_SUM:
    case QB_ROLE_ANGLES:
    case QB_ROLE_POSITIONS:
    case QB_ROLE_TRANSPOSED:
    case QB_ROLE_TRANSPOSED_SCALES:
    case QB_ROLE_VALUES:
    case QB_ROLE_SLOTS:
        break;
    }
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

/* The work of the oracle: the problem as it was loaded, its tiling, layout and tensors. */
struct work {
    struct qb_problem p;
    struct qb__tiling t;
    struct qb__layout l;
    struct qb_tensors tensors;
    /* Of the columns that the work is at: */
    float tensor_encode; /* S */
    float tensor_scale;  /* g */
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
    if (status == QB_OK && work->p.operation != QB_OPERATION_QUANTIZE) {
        status = qb__fail(QB_ERROR_INVALID, "%s: expected a problem that only quantizes",
                          qb_operation_name(work->p.operation));
    }
    if (status == QB_OK) {
        work->p.scaling = scaling;
        status = qb__tensors_load(&work->p, tensors, &work->tensors);
    }
    if (status == QB_OK) {
        work->t = qb__tiling_of(&work->p);
        work->l = qb__layout_of(&work->p);
        work->tensor_encode = work->tensor_scale = 1;
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

/* ---- The range of a tile ----------------------------------------------------------------------------------------- */

/* The smallest and the largest element of a tile, NaN ignored; 0 and 0 if it lacks others. */
struct range {
    float low, high;
    bool has_nan;
};

/* That of the ROWS x COLS elements from (FIRST_ROW, FIRST_COL) on, as far as they exist. */
static struct range range_of(const struct work *w, uint64_t first_row, uint64_t first_col, uint64_t rows, uint64_t cols)
{
    struct range range = {INFINITY, -INFINITY, false};

    for (uint64_t row = first_row; row < w->p.tokens && row - first_row < rows; row++) {
        for (uint64_t col = first_col; col < w->p.hidden && col - first_col < cols; col++) {
            float x = load(w, row, col);

            range.low = x < range.low ? x : range.low; /* false for NaN */
            range.high = x > range.high ? x : range.high;
            range.has_nan = range.has_nan || isnan(x);
        }
    }
    return range.low <= range.high ? range : (struct range){0, 0, range.has_nan};
}

/* RANGE with 0 in it. */
static struct range with_zero(struct range range)
{
    range.low = range.low < 0 ? range.low : 0;
    range.high = range.high > 0 ? range.high : 0;
    return range;
}

/* The smaller of A and B; B if A is NaN. */
static float smaller(float a, float b)
{
    return a < b ? a : b;
}

/* VALUE, its magnitude within the bounds of the problem and ARITHMETIC. */
static float bounded(const struct work *w, const struct qb_arithmetic *arithmetic, float value)
{
    float magnitude = fabsf(value);

    if (arithmetic->infinity == QB_INFINITY_CLAMPED) {
        magnitude = smaller(magnitude, qb_format_info(w->p.input)->largest);
    }
    if (w->p.amax_bound > 0) {
        magnitude = smaller(magnitude, w->p.amax_bound);
    }
    return copysignf(magnitude, value);
}

static float amax_of(const struct work *w, const struct qb_arithmetic *arithmetic, struct range range)
{
    float amax = bounded(w, arithmetic, range.high > -range.low ? range.high : -range.low);

    if (range.has_nan && arithmetic->nan_amax == QB_NAN_AMAX_KEPT) {
        return NAN;
    }
    return amax > arithmetic->amax_floor ? amax : arithmetic->amax_floor;
}

/* ---- Scales -------------------------------------------------------------------------------------------------------
 */

/* A scale: what elements are divided by, what they are multiplied with, and how it is stored. */
struct scale {
    float divisor;
    float multiplier;
    uint32_t code; /* in the scale format */
    int32_t zero_point;
};

static struct scale zero_scale(const struct qb_arithmetic *arithmetic)
{
    switch (arithmetic->zero) {
    case QB_ZERO_ONE:
        return (struct scale){.divisor = 1, .multiplier = 1};
    case QB_ZERO_ZERO:
        return (struct scale){.divisor = 0, .multiplier = 0};
    case QB_ZERO_FLOOR: /* the caller's */
    case QB_ZERO_UNGUARDED:
        break;
    }
    return (struct scale){.divisor = 0, .multiplier = INFINITY};
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

/* The scale, in binary32, of a tile of amax AMAX. */
static struct scale float_scale(const struct qb_problem *p, const struct qb_arithmetic *arithmetic, float amax)
{
    const float qmax = qb_format_info(p->output)->largest;
    float floor = arithmetic->scale_floor;
    struct scale scale = {.divisor = amax / qmax, .multiplier = qmax / amax};

    if (amax == 0 && arithmetic->zero != QB_ZERO_FLOOR) {
        return zero_scale(arithmetic);
    }
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

/* The code in F16 of the scale DIVISOR. */
static uint32_t half_code(float divisor)
{
    const struct qb_format_info *half = qb_format_info(QB_FORMAT_F16);
    uint32_t code = qb_format_encode(QB_FORMAT_F16, divisor < QB__SCALE_FLOOR_F16 ? QB__SCALE_FLOOR_F16 : divisor);

    return code < half->largest_code || isnan(divisor) ? code : half->largest_code;
}

/* The code in E8M0 of a tile of amax AMAX. FLOOR and EVEN keep the exponent's distance from that of qmax; UP is the
 * smallest power of two that is not below the quotient, by its definition. CEILING is FLOOR of the next power of two.
 */
static uint32_t power_code(const struct qb_problem *p, const struct qb_arithmetic *arithmetic, float amax)
{
    const struct qb_format_info *output = qb_format_info(p->output);
    const bool ceiling = arithmetic->power_form == QB_POWER_CEILING;
    const bool up = p->scale_rounding == QB_SCALE_ROUNDING_UP && !ceiling;
    const double magnitude = isinf(amax) ? 0x1p128 : (double)amax; /* which has the exponent field of infinity */
    int exponent, largest_exponent, code;
    double fraction;

    if (amax == 0 || isnan(amax)) {
        return amax == 0 ? 0 : qb_format_info(QB_FORMAT_E8M0)->nan_code;
    }
    if (isinf(amax) && up) {
        return qb_format_info(QB_FORMAT_E8M0)->largest_code;
    }
    fraction = frexp(magnitude, &exponent);
    frexpf(output->largest, &largest_exponent);
    if (ceiling) {
        exponent += fraction > 0.5;
    } else if (p->scale_rounding == QB_SCALE_ROUNDING_EVEN) {
        /* In whole units of the last place that the output format keeps; this may carry into the next exponent. */
        const int unit = exponent - 1 - (int)output->mantissa_bits;

        frexp(ldexp(nearbyint(ldexp(magnitude, -unit)), unit), &exponent);
    }
    code = exponent - largest_exponent + 127;
    code = code > 0 ? code : 0;
    while (up && ldexp((double)output->largest, code - 127) < (double)amax) {
        code++;
    }
    return (uint32_t)code;
}

/* The code in E4M3 of the scale of a tile of amax AMAX. */
static uint32_t small_code(const struct work *w, const struct qb_arithmetic *arithmetic, float amax)
{
    const float qmax = qb_format_info(w->p.output)->largest, reciprocal = 1 / qmax;
    float scale = 0;

    if (isnan(amax)) {
        return qb_format_info(QB_FORMAT_E4M3)->nan_code;
    }
    switch (arithmetic->e4m3_scale) {
    case QB_E4M3_SCALE_FACTOR:
        scale = amax * (w->tensor_encode * reciprocal);
        break;
    case QB_E4M3_SCALE_PRODUCT:
        scale = w->tensor_encode * (amax * reciprocal);
        break;
    case QB_E4M3_SCALE_QUOTIENT:
        scale = amax / qmax * w->tensor_encode;
        break;
    case QB_E4M3_SCALE_DIVIDED:
        scale = amax / qmax / w->tensor_scale;
        break;
    }
    scale = scale < arithmetic->scale_floor ? arithmetic->scale_floor : scale;
    return qb_format_encode(QB_FORMAT_E4M3, smaller(scale, FLT_MAX));
}

/* The code of a scale that is not binary32, of a tile of amax AMAX. FLOAT_SCALE is the scale in binary32. */
static uint32_t narrow_code(const struct work *w, const struct qb_arithmetic *arithmetic, float amax, float float_scale)
{
    const uint32_t least = qb_format_encode(QB_FORMAT_E8M0, arithmetic->scale_floor);
    uint32_t code;

    if (w->p.scale_format == QB_FORMAT_F16) {
        return half_code(float_scale);
    }
    if (amax == 0 && arithmetic->zero == QB_ZERO_ONE) {
        return qb_format_encode(w->p.scale_format, 1);
    }
    if (w->p.scale_format == QB_FORMAT_E4M3) {
        return small_code(w, arithmetic, amax);
    }
    code = power_code(&w->p, arithmetic, amax);
    return code > least ? code : least;
}

/* Set *SCALE to the scale that is stored as its code. */
static void decode_scale(const struct work *w, const struct qb_arithmetic *arithmetic, struct scale *scale)
{
    const float stored = qb_format_decode(w->p.scale_format, scale->code);

    if (w->p.scale_format == QB_FORMAT_E4M3 && stored == 0 && arithmetic->zero_codes) {
        scale->divisor = scale->multiplier = 0;
    } else if (w->p.scale_format == QB_FORMAT_E4M3) {
        scale->divisor = stored * w->tensor_scale;
        scale->multiplier =
            arithmetic->e4m3_value == QB_E4M3_VALUE_RATIO ? w->tensor_encode / stored : 1 / scale->divisor;
        if (arithmetic->e4m3_value == QB_E4M3_VALUE_RECIPROCAL) {
            scale->multiplier = smaller(scale->multiplier, FLT_MAX);
        }
    } else if (arithmetic->scale_form == QB_SCALE_MULTIPLIER && w->p.scale_format == QB_FORMAT_F32 &&
               w->p.zero_points == QB_ZERO_POINTS_NONE) {
        scale->divisor = 1 / stored;
        scale->multiplier = stored;
    } else {
        scale->divisor = stored;
        scale->multiplier = 1 / stored;
    }
}

static uint32_t float_bits(float value)
{
    return qb_format_encode(QB_FORMAT_F32, value);
}

/* The scale of a symmetric tile of amax AMAX. */
static struct scale dynamic_scale(const struct work *w, const struct qb_arithmetic *arithmetic, float amax)
{
    struct scale scale = float_scale(&w->p, arithmetic, amax);

    if (w->p.scale_format == QB_FORMAT_F32) {
        scale.code = float_bits(arithmetic->scale_form == QB_SCALE_MULTIPLIER ? scale.multiplier : scale.divisor);
        return scale; /* which its code need not give again */
    }
    scale.code = narrow_code(w, arithmetic, amax, scale.divisor);
    decode_scale(w, arithmetic, &scale);
    return scale;
}

/* The scale and zero point of an asymmetric tile of RANGE. */
static struct scale asymmetric_scale(const struct work *w, const struct qb_arithmetic *arithmetic, struct range range)
{
    const float least = qb__least(w->p.output), largest = qb_format_info(w->p.output)->largest;
    const float low = bounded(w, arithmetic, range.low), high = bounded(w, arithmetic, range.high);
    const float divisor = smaller(high - low, FLT_MAX) / (largest - least);
    const float floor = arithmetic->scale_floor > 0 ? arithmetic->scale_floor : QB__SCALE_FLOOR;
    struct scale scale = {.divisor = divisor > floor ? divisor : floor};
    float zero;

    scale.code = w->p.scale_format == QB_FORMAT_F16 ? half_code(scale.divisor) : float_bits(scale.divisor);
    decode_scale(w, arithmetic, &scale);
    zero = nearbyintf(least - low / scale.divisor);
    if (w->p.zero_points == QB_ZERO_POINTS_INT32 && arithmetic->open_range != 0) {
        scale.zero_point = zero >= 0x1p31f ? INT32_MAX : zero < -0x1p31f ? INT32_MIN : (int32_t)zero;
    } else {
        scale.zero_point = (int32_t)(zero < least ? least : zero > largest ? largest : zero);
    }
    return scale;
}

/* The tile in row ROW and column COL of tiles. */
static struct scale tile_scale(const struct work *w, const struct qb_arithmetic *arithmetic, uint64_t row, uint64_t col)
{
    const struct range range = range_of(w, row * w->t.rows, col * w->t.cols, w->t.rows, w->t.cols);

    return w->p.zero_points != QB_ZERO_POINTS_NONE
               ? asymmetric_scale(w, arithmetic, arithmetic->open_range ? range : with_zero(range))
               : dynamic_scale(w, arithmetic, amax_of(w, arithmetic, with_zero(range)));
}

/* True if elements are multiplied, not divided. */
static bool multiplies(const struct work *w, const struct qb_arithmetic *arithmetic)
{
    return w->p.scale_format == QB_FORMAT_E4M3 ? arithmetic->e4m3_value != QB_E4M3_VALUE_QUOTIENT
                                               : arithmetic->quotient != QB_QUOTIENT_DIVIDE;
}

/* Return the divisor or the factor of elements. */
static float factor_of(const struct work *w, const struct qb_arithmetic *arithmetic, struct scale scale)
{
    /* A tile that is multiplied by 0 may as well be divided by infinity. */
    const bool is_zero = scale.divisor == 0 && scale.multiplier == 0;

    if (scale.divisor < arithmetic->divisor_floor && !is_zero) {
        scale.divisor = arithmetic->divisor_floor;
        scale.multiplier = 1 / scale.divisor;
    }
    if (!multiplies(w, arithmetic)) {
        return is_zero ? INFINITY : scale.divisor;
    }
    if (arithmetic->quotient == QB_QUOTIENT_RECIPROCAL && w->p.scale_format != QB_FORMAT_E4M3) {
        return is_zero ? 0 : 1 / scale.divisor;
    }
    return scale.multiplier;
}

/* ---- Memory -------------------------------------------------------------------------------------------------------
 */

static void store_scale(const struct work *w, uint64_t row, uint64_t col, struct scale scale)
{
    const uint64_t i = qb__layout_index(&w->l, row, col);
    void *scales = w->tensors.at[QB_ROLE_SCALES];

    switch (qb__element_size(w->p.scale_format)) {
    case 4:
        ((uint32_t *)scales)[i] = scale.code;
        break;
    case 2:
        ((uint16_t *)scales)[i] = (uint16_t)scale.code;
        break;
    default:
        ((uint8_t *)scales)[i] = (uint8_t)scale.code;
        break;
    }
    if (w->p.zero_points != QB_ZERO_POINTS_NONE) {
        qb__zero_point_store(&w->p, w->tensors.at[QB_ROLE_ZERO_POINTS], qb__scale_index(&w->t, row, col),
                             scale.zero_point);
    }
}

static struct scale stored_scale(const struct work *w, const struct qb_arithmetic *arithmetic, uint64_t row,
                                 uint64_t col)
{
    const uint64_t i = qb__layout_index(&w->l, row, col);
    const void *scales = w->tensors.at[QB_ROLE_SCALES];
    struct scale scale = {0};

    switch (qb__element_size(w->p.scale_format)) {
    case 4:
        scale.code = ((const uint32_t *)scales)[i];
        break;
    case 2:
        scale.code = ((const uint16_t *)scales)[i];
        break;
    default:
        scale.code = ((const uint8_t *)scales)[i];
        break;
    }
    decode_scale(w, arithmetic, &scale);
    if (w->p.zero_points != QB_ZERO_POINTS_NONE) {
        scale.zero_point =
            qb__zero_point_load(&w->p, w->tensors.at[QB_ROLE_ZERO_POINTS], qb__scale_index(&w->t, row, col));
    }
    return scale;
}

/* Read tensor scale INDEX, or compute and write it. */
static void find_tensor_scale(struct work *w, const struct qb_arithmetic *arithmetic, uint64_t index)
{
    float *stored = (float *)w->tensors.at[QB_ROLE_TENSOR_SCALE] + index;
    const uint64_t cols = qb__tensor_scale_cols(&w->p);
    const float most = qb_format_info(QB_FORMAT_E4M3)->largest * qb_format_info(w->p.output)->largest;
    float amax;

    switch (w->p.tensor_scale) {
    case QB_TENSOR_SCALE_NONE:
        break;
    case QB_TENSOR_SCALE_GIVEN:
        w->tensor_scale = *stored;
        w->tensor_encode = 1 / w->tensor_scale;
        break;
    case QB_TENSOR_SCALE_COMPUTED:
        amax = amax_of(w, arithmetic, with_zero(range_of(w, 0, index * cols, w->p.tokens, cols)));
        w->tensor_encode = amax == 0 ? 1 : smaller(most / amax, FLT_MAX);
        w->tensor_scale = *stored = 1 / w->tensor_encode;
        break;
    }
}

/* ---- Codes --------------------------------------------------------------------------------------------------------
 */

static uint32_t encode(const struct qb_problem *p, const struct qb_arithmetic *arithmetic, float value)
{
    if (isnan(value) && arithmetic->nan != QB_NAN_CODE) {
        value = arithmetic->nan == QB_NAN_HIGHEST ? INFINITY : -INFINITY; /* these saturate */
    }
    if (qb__is_integer(p->output) && arithmetic->rounding != QB_ROUNDING_NEAREST_EVEN) {
        value = arithmetic->rounding == QB_ROUNDING_NEAREST_AWAY ? roundf(value) : truncf(value);
    }
    return qb_format_encode(p->output, value);
}

/* The code of VALUE by a zero point. */
static uint32_t encode_asymmetric(const struct qb_problem *p, float value, int32_t zero_point)
{
    const int64_t least = (int64_t)qb__least(p->output), largest = (int64_t)qb_format_info(p->output)->largest;
    int64_t code = zero_point;

    if (!isnan(value)) {
        /* Beyond this all saturate, whatever the zero point is. */
        code += (int64_t)nearbyintf(value < -0x1p33f ? -0x1p33f : value > 0x1p33f ? 0x1p33f : value);
    }
    code = code < least ? least : code > largest ? largest : code;
    return (uint32_t)code & ((1u << qb_format_info(p->output)->bits) - 1);
}

/* ---- In the default environment --------------------------------------------------------------------------------- */

/* Compute the scales of W, and what elements are divided by or multiplied with, unless FACTORS is NULL. */
static QB__IN_ENVIRONMENT void write_scales(struct work *w, const struct qb_arithmetic *arithmetic, float *factors)
{
    const uint64_t tensors = qb__tensor_scales(&w->p), cols = w->t.scale_cols / tensors;

    for (uint64_t i = 0; i < tensors; i++) {
        find_tensor_scale(w, arithmetic, i);
        for (uint64_t r = 0; r < w->t.scale_rows; r++) {
            for (uint64_t c = i * cols; c < (i + 1) * cols; c++) {
                struct scale scale = tile_scale(w, arithmetic, r, c);

                store_scale(w, r, c, scale);
                if (factors != NULL) {
                    factors[qb__scale_index(&w->t, r, c)] = factor_of(w, arithmetic, scale);
                }
            }
        }
    }
}

/* Compute the codes of W by its scales, or by FACTORS. */
static QB__IN_ENVIRONMENT void write_codes(struct work *w, const struct qb_arithmetic *arithmetic, float *factors)
{
    const uint64_t stride = qb__packed_bytes(w->p.output, w->p.packing, w->p.output_stride);
    const uint64_t tensor_cols = qb__tensor_scale_cols(&w->p);

    for (uint64_t row = 0; row < w->p.tokens; row++) {
        uint8_t *codes = (uint8_t *)w->tensors.at[QB_ROLE_CODES] + row * stride;
        struct scale scale = {0};
        float factor = 0;

        for (uint64_t col = 0; col < w->p.hidden; col++) {
            const float x = load(w, row, col);
            float value;

            if (col % w->t.cols == 0) { /* the first of a tile */
                const uint64_t tile_row = row / w->t.rows, tile_col = col / w->t.cols;

                find_tensor_scale(w, arithmetic, col / tensor_cols);
                scale = stored_scale(w, arithmetic, tile_row, tile_col);
                factor = factors != NULL ? factors[qb__scale_index(&w->t, tile_row, tile_col)]
                                         : factor_of(w, arithmetic, scale);
            }
            value = multiplies(w, arithmetic) ? x * factor : x / factor;
            qb__code_put(codes, col, qb__packed_bits(w->p.output, w->p.packing),
                         w->p.zero_points != QB_ZERO_POINTS_NONE ? encode_asymmetric(&w->p, value, scale.zero_point)
                                                                 : encode(&w->p, arithmetic, value));
        }
    }
}

/* WRITE what each expert of W has, as if it were alone. */
static enum qb_status each_expert(const struct work *w, const struct qb_arithmetic *arithmetic, float *factors,
                                  void (*write)(struct work *w, const struct qb_arithmetic *arithmetic, float *factors))
{
    const int64_t *table = w->tensors.at[QB_ROLE_EXPERTS];
    enum qb_status status = qb__experts_check(&w->p, table);

    for (struct qb__expert x = {0}; x.index < w->p.experts && status == QB_OK; x.index++) {
        struct work own = *w;
        uint64_t before;

        qb__expert_take(&w->p, &w->l, table, &x);
        before = w->p.granularity == QB_GRANULARITY_TENSOR ? x.index : x.first * w->t.scale_cols;
        own.p = qb__expert_problem(&w->p, &w->l, x.rows);
        own.t = qb__tiling_of(&own.p);
        own.l = qb__layout_of(&own.p);
        own.tensors = qb__expert_tensors(&w->p, &x, &w->tensors);
        if (w->p.scaling != QB_SCALING_STATIC) {
            qb__expert_clear(&w->p, &w->l, &x, own.tensors.at[QB_ROLE_SCALES]);
        }
        write(&own, arithmetic, factors != NULL ? factors + before : NULL);
    }
    return status;
}

static QB__IN_ENVIRONMENT enum qb_status scales_as(const struct qb_problem *problem,
                                                   const struct qb_arithmetic *arithmetic,
                                                   const struct qb_tensors *tensors, float *factors)
{
    struct work w;
    enum qb_status status = prepare(problem, arithmetic, tensors, QB_SCALING_AMAX, &w);

    if (status != QB_OK) {
        return status;
    }
    if (w.p.experts > 0) {
        return each_expert(&w, arithmetic, factors, write_scales);
    }
    if (w.p.scale_layout != QB_SCALE_LAYOUT_ROWS) { /* it may have padding */
        memset(w.tensors.at[QB_ROLE_SCALES], 0, qb__tensor_of(&w.p, QB_ROLE_SCALES).bytes);
    }
    write_scales(&w, arithmetic, factors);
    return QB_OK;
}

static QB__IN_ENVIRONMENT enum qb_status codes_as(const struct qb_problem *problem,
                                                  const struct qb_arithmetic *arithmetic,
                                                  const struct qb_tensors *tensors, const float *factors)
{
    struct qb_problem given = *problem;
    struct work w;
    enum qb_status status;

    if (given.tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
        given.tensor_scale = QB_TENSOR_SCALE_GIVEN;
    }
    status = prepare(&given, arithmetic, tensors, QB_SCALING_STATIC, &w);
    if (status != QB_OK) {
        return status;
    }
    /* They are only read. */
    if (w.p.experts > 0) {
        return each_expert(&w, arithmetic, (float *)(uintptr_t)factors, write_codes);
    }
    write_codes(&w, arithmetic, (float *)(uintptr_t)factors);
    return QB_OK;
}

/* Both halves. The factors that the first finds are not always those that its scales give again. */
static QB__IN_ENVIRONMENT enum qb_status
reference(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, const struct qb_tensors *tensors)
{
    const struct qb__tiling t = qb__tiling_of(problem);
    const uint64_t bytes = t.scale_rows * t.scale_cols * sizeof(float);
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
    .validate = validate_all,
    .tensor = tensor,
    .reference = reference,
};
