/* SPDX-License-Identifier: Apache-2.0 */
/* narrow_peers.c - the conventions of others' kernels for MXFP8, MXFP4, NVFP4 and zero points, as a plug-in for the
 * CPU: each computes, step by step and in the order of its model, what its arithmetic declares. They take float, and
 * scales in rows. */
#include "fp8.h"
#include "quantbench.h"

#include <math.h>
#include <string.h>

/* ---- Codes and scales of one value ------------------------------------------------------------------------------- */

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* By comparisons, with a tie at every second end: 0.25 is below, 0.75 is above. */
static uint8_t to_e2m1(float v)
{
    const float x = fabsf(v);

    if (isnan(v)) {
        return 7;
    }
    return (uint8_t)((signbit(v) ? 8 : 0) + (x > 0.25f) + (x >= 0.75f) + (x > 1.25f) + (x >= 1.75f) + (x > 2.5f) +
                     (x >= 3.5f) + (x > 5));
}

static float from_e4m3(uint8_t code)
{
    return code == 0x7F ? NAN : code < 8 ? (float)code * 0x1p-9f : ldexpf((float)(8 + code % 8), code / 8 - 10);
}

/* A scale of E8M0; its code 0 is subnormal. */
static float from_e8m0(uint8_t code)
{
    return code == 255 ? NAN : ldexpf(1, code - 127);
}

/* ---- Groups ------------------------------------------------------------------------------------------------------ */

struct group {
    const struct qb_plugin_call *call;
    const float *x;
    uint64_t count;
    uint8_t *codes; /* the first of the row */
    uint64_t first; /* column */
    uint64_t index; /* of the scale */
};

static float larger_or_nan(float a, float b)
{
    return isnan(a) || isnan(b) ? NAN : fmaxf(a, b);
}

/* The largest magnitude; NaN if one is. */
static float amax_with_nan(const struct group *g)
{
    float amax = 0;

    for (uint64_t i = 0; i < g->count; i++) {
        amax = larger_or_nan(amax, fabsf(g->x[i]));
    }
    return amax;
}

static float amax_without_nan(const struct group *g)
{
    float amax = 0;

    for (uint64_t i = 0; i < g->count; i++) {
        amax = fmaxf(amax, fabsf(g->x[i]));
    }
    return amax;
}

/* Code I of the group. */
static void put(const struct group *g, uint64_t i, float value)
{
    const uint64_t col = g->first + i;

    if (g->call->problem->output == QB_FORMAT_E4M3) {
        g->codes[col] = to_e4m3(value);
    } else if (col % 2 == 0) {
        g->codes[col / 2] = to_e2m1(value);
    } else {
        g->codes[col / 2] |= (uint8_t)(to_e2m1(value) << 4);
    }
}

static void store_scale(const struct group *g, uint8_t code)
{
    ((uint8_t *)g->call->tensors->at[QB_ROLE_SCALES])[g->index] = code;
}

/* Call EACH for every group, or only for those of the tensor's amax. */
static void each_group(const struct qb_plugin_call *call, void (*each)(const struct group *group, const void *context),
                       const void *context)
{
    const struct qb_problem *p = call->problem;
    const uint64_t row_bytes = p->output == QB_FORMAT_E2M1 ? p->output_stride / 2 : p->output_stride;
    const uint64_t width = p->granularity == QB_GRANULARITY_GROUP ? p->group : p->hidden;
    uint64_t index = 0;

    for (uint64_t row = 0; row < p->tokens; row++) {
        for (uint64_t col = 0; col < p->hidden; col += width) {
            struct group group = {
                .call = call,
                .x = (const float *)call->tensors->at[QB_ROLE_INPUT] + row * p->input_stride + col,
                .count = p->hidden - col < width ? p->hidden - col : width,
                .codes = (uint8_t *)call->tensors->at[QB_ROLE_CODES] + row * row_bytes,
                .first = col,
                .index = index++,
            };

            each(&group, context);
        }
    }
}

/* ---- torchao: MX ------------------------------------------------------------------------------------------------- */

/* qmax = 1.5 or 1.75 times two to the power of this. */
static int emax_of(enum qb_format output)
{
    return output == QB_FORMAT_E4M3 ? 8 : 2;
}

enum mode { FLOOR, CEIL, EVEN };

/* The exponent of the amax in its bits, less that of qmax. EVEN adds half a unit of the code's mantissa to the bits
 * before; CEIL adds 1 if there is a mantissa. A block with a NaN has the scale NaN. Blocks are divided by their scale,
 * 2^-127 being taken for 2^-126. */
static void torchao_block(const struct group *g, const void *context)
{
    const enum mode mode = *(const enum mode *)context;
    const enum qb_format output = g->call->problem->output;
    const float amax = amax_with_nan(g);
    uint32_t bits = bits_of(amax);
    int exponent;
    uint8_t code;
    float scale;

    if (mode == EVEN) {
        bits = (bits + (1u << (22 - (output == QB_FORMAT_E4M3 ? 3 : 1)))) & 0xFF800000;
    }
    exponent = (int)(bits >> 23 & 0xFF) - 127 - emax_of(output);
    if (mode == CEIL) {
        exponent += (bits & 0x7FFFFF) > 0;
    }
    exponent = exponent < -127 ? -127 : exponent > 128 ? 128 : exponent;
    code = isnan(amax) ? 255 : (uint8_t)(exponent + 127);
    store_scale(g, code);
    scale = isnan(amax) ? NAN : fmaxf(from_e8m0(code), 0x1p-126f);
    for (uint64_t i = 0; i < g->count; i++) {
        put(g, i, g->x[i] / scale);
    }
}

static const char *torchao_floor(const struct qb_plugin_call *call)
{
    each_group(call, torchao_block, &(enum mode){FLOOR});
    return NULL;
}

static const char *torchao_ceil(const struct qb_plugin_call *call)
{
    each_group(call, torchao_block, &(enum mode){CEIL});
    return NULL;
}

static const char *torchao_even(const struct qb_plugin_call *call)
{
    each_group(call, torchao_block, &(enum mode){EVEN});
    return NULL;
}

/* ---- RCEIL, and what blocks of zeros have ------------------------------------------------------------------------ */

/* cvt.rp.satfinite.ue8m0x2.f32 of the quotient. */
static uint8_t rounded_up(float scale)
{
    const uint32_t bits = bits_of(scale), exponent = bits >> 23, mantissa = bits & 0x7FFFFF;

    if (isnan(scale)) {
        return 255;
    }
    if (exponent == 0) {
        return mantissa > 0x400000;
    }
    return (uint8_t)(exponent + (mantissa > 0) > 254 ? 254 : exponent + (mantissa > 0));
}

struct zeros {
    bool with_nan;
    uint8_t least; /* code */
    uint8_t zero;  /* code of a block of zeros */
};

static void rceil_block(const struct group *g, const void *context)
{
    const struct zeros *zeros = context;
    const float qmax = g->call->problem->output == QB_FORMAT_E4M3 ? 448 : 6;
    const float amax = zeros->with_nan ? amax_with_nan(g) : amax_without_nan(g);
    uint8_t code = amax == 0 ? zeros->zero : rounded_up(amax / qmax);

    code = code < zeros->least ? zeros->least : code;
    store_scale(g, code);
    for (uint64_t i = 0; i < g->count; i++) {
        put(g, i, g->x[i] * (code == 255 ? NAN : ldexpf(1, 127 - code)));
    }
}

static const char *rceil(const struct qb_plugin_call *call)
{
    each_group(call, rceil_block, &(struct zeros){.with_nan = true});
    return NULL;
}

static const char *rceil_least_1(const struct qb_plugin_call *call)
{
    each_group(call, rceil_block, &(struct zeros){.least = 1});
    return NULL;
}

static const char *rceil_zero_127(const struct qb_plugin_call *call)
{
    each_group(call, rceil_block, &(struct zeros){.zero = 127});
    return NULL;
}

/* ---- NVFP4 ------------------------------------------------------------------------------------------------------- */

/* The tensor scale g that is given, else 1. */
static float given_scale(const struct qb_plugin_call *call)
{
    return call->problem->tensor_scale == QB_TENSOR_SCALE_NONE
               ? 1
               : *(const float *)call->tensors->at[QB_ROLE_TENSOR_SCALE];
}

struct orders {
    float (*scale)(float amax, float g);
    float (*value)(float x, float f, float g);
};

static void nvfp4_block(const struct group *g, const void *context)
{
    const struct orders *orders = context;
    const float tensor_scale = given_scale(g->call);
    const uint8_t code = to_e4m3(fminf(orders->scale(amax_without_nan(g), tensor_scale), 448));

    store_scale(g, code);
    for (uint64_t i = 0; i < g->count; i++) {
        put(g, i, orders->value(g->x[i], from_e4m3(code), tensor_scale));
    }
}

static float te_scale(float amax, float g)
{
    return amax * (1 / g * (1 / 6.0f));
}

static float te_value(float x, float f, float g)
{
    return x * fminf(1 / (f * g), 0x1.FFFFFEp127f);
}

static float flashinfer_scale(float amax, float g)
{
    return 1 / g * (amax * (1 / 6.0f));
}

/* vLLM: the value of a block whose scale is 0 is 0. */
static float vllm_value(float x, float f, float g)
{
    return x * (f != 0 ? fminf(1 / (f * g), 0x1.FFFFFEp127f) : 0);
}

static float modelopt_scale(float amax, float g)
{
    return amax / 6 * (1 / g);
}

static float modelopt_value(float x, float f, float g)
{
    return x * (1 / g / f);
}

/* torchao: at least the smallest normal number of E4M3. */
static float torchao_scale(float amax, float g)
{
    return fmaxf(amax / 6 / g, 0x1p-6f);
}

static float torchao_value(float x, float f, float g)
{
    return x / (f * g);
}

#define NVFP4(name, ...)                                                                                               \
    static const char *name(const struct qb_plugin_call *call)                                                         \
    {                                                                                                                  \
        each_group(call, nvfp4_block, &(struct orders){__VA_ARGS__});                                                  \
        return NULL;                                                                                                   \
    }
NVFP4(te_nvfp4, te_scale, te_value)
NVFP4(flashinfer_nvfp4, flashinfer_scale, te_value)
NVFP4(vllm_nvfp4, flashinfer_scale, vllm_value)
NVFP4(modelopt_nvfp4, modelopt_scale, modelopt_value)
NVFP4(torchao_nvfp4, torchao_scale, torchao_value)

/* ---- Zero points ------------------------------------------------------------------------------------------------- */

/* Zero points in 8 bits, which the range of the codes cuts; or as vLLM's in 32 bits, which that of an int32 does. */
static void store_zero_point(const struct group *g, double zero, int64_t *zero_point)
{
    const bool wide = g->call->problem->zero_points == QB_ZERO_POINTS_INT32;
    const double least = wide ? INT32_MIN : -128, largest = wide ? INT32_MAX : 127;
    void *zero_points = g->call->tensors->at[QB_ROLE_ZERO_POINTS];

    *zero_point = (int64_t)fmin(fmax(zero, least), largest);
    if (wide) {
        ((int32_t *)zero_points)[g->index] = (int32_t)*zero_point;
    } else {
        ((int8_t *)zero_points)[g->index] = (int8_t)*zero_point;
    }
}

/* As vLLM's: the range of the elements without 0, and the product with 1 / s. But a row of one value has a scale. */
static void azp_row(const struct group *g, const void *context)
{
    float low = INFINITY, high = -INFINITY, scale;
    int64_t zero_point;

    (void)context;
    for (uint64_t i = 0; i < g->count; i++) {
        low = fminf(low, g->x[i]);
        high = fmaxf(high, g->x[i]);
    }
    if (low > high) { /* all are NaN */
        low = high = 0;
    }
    scale = fmaxf(fminf(high - low, 0x1.FFFFFEp127f) / 255, 0x1p-126f);
    store_zero_point(g, nearbyintf(-128 - low / scale), &zero_point);
    ((float *)g->call->tensors->at[QB_ROLE_SCALES])[g->index] = scale;
    for (uint64_t i = 0; i < g->count; i++) {
        const float value = g->x[i] * (1 / scale);
        const double rounded = isnan(value) ? 0 : (double)nearbyintf(value);

        g->codes[i] = (uint8_t)(int8_t)fmin(fmax(rounded + (double)zero_point, -128), 127);
    }
}

static const char *open_azp(const struct qb_plugin_call *call)
{
    each_group(call, azp_row, NULL);
    return NULL;
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static bool is_dynamic(const struct qb_problem *p)
{
    return p->input == QB_FORMAT_F32 && p->scaling == QB_SCALING_DYNAMIC && p->amax_bound == 0 &&
           p->scale_layout == QB_SCALE_LAYOUT_ROWS;
}

static bool is_mx(const struct qb_problem *p, enum qb_scale_rounding rounding)
{
    return is_dynamic(p) && (p->output == QB_FORMAT_E4M3 || p->output == QB_FORMAT_E2M1) &&
           p->scale_format == QB_FORMAT_E8M0 && p->scale_rounding == rounding;
}

static bool supports_up(const struct qb_problem *p)
{
    return is_mx(p, QB_SCALE_ROUNDING_UP);
}

static bool supports_floor(const struct qb_problem *p)
{
    return is_mx(p, QB_SCALE_ROUNDING_FLOOR);
}

static bool supports_even(const struct qb_problem *p)
{
    return is_mx(p, QB_SCALE_ROUNDING_EVEN);
}

static bool supports_nvfp4(const struct qb_problem *p)
{
    return is_dynamic(p) && p->output == QB_FORMAT_E2M1 && p->scale_format == QB_FORMAT_E4M3 &&
           p->tensor_scale != QB_TENSOR_SCALE_COMPUTED;
}

static bool supports_azp(const struct qb_problem *p)
{
    return is_dynamic(p) && p->output == QB_FORMAT_INT8 && p->scale_format == QB_FORMAT_F32 &&
           p->granularity == QB_GRANULARITY_TOKEN && p->zero_points == QB_ZERO_POINTS_INT8;
}

static bool supports_azp32(const struct qb_problem *p)
{
    return is_dynamic(p) && p->output == QB_FORMAT_INT8 && p->scale_format == QB_FORMAT_F32 &&
           p->granularity == QB_GRANULARITY_TOKEN && p->zero_points == QB_ZERO_POINTS_INT32;
}

#define ROW_AS(title, function, asked, ...)                                                                            \
    {                                                                                                                  \
        .name = title, .description = "a convention", .backend = "cpu", .supports = supports_##asked, .run = function, \
        .narrow = true, .arithmetic = {__VA_ARGS__},                                                                   \
    }
#define ROW(title, function, asked, ...) ROW_AS(title, function, asked, .infinity = QB_INFINITY_KEPT, __VA_ARGS__)
#define TORCHAO                          .nan_amax = QB_NAN_AMAX_KEPT, .divisor_floor = 0x1p-126f

/* A name with a point declares another arithmetic than its own. */
static const struct qb_plugin_kernel kernels[] = {
    ROW("torchao_mx_floor", torchao_floor, floor, TORCHAO),
    ROW("torchao_mx_ceil", torchao_ceil, up, TORCHAO, .power_form = QB_POWER_CEILING),
    ROW("torchao_mx_even", torchao_even, even, TORCHAO),
    ROW("torchao_mx_rceil", rceil, up, .nan_amax = QB_NAN_AMAX_KEPT),
    ROW("mx_least_1", rceil_least_1, up, .scale_floor = 0x1p-126f),
    ROW("mx_zero_127", rceil_zero_127, up, .zero = QB_ZERO_ONE),
    ROW("te_nvfp4", te_nvfp4, nvfp4, .zero = QB_ZERO_FLOOR),
    ROW("flashinfer_nvfp4", flashinfer_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_PRODUCT),
    ROW("vllm_nvfp4", vllm_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_PRODUCT, .zero_codes = 1),
    ROW("modelopt_nvfp4", modelopt_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_QUOTIENT,
        .e4m3_value = QB_E4M3_VALUE_RATIO),
    ROW("torchao_nvfp4", torchao_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_DIVIDED,
        .e4m3_value = QB_E4M3_VALUE_QUOTIENT, .scale_floor = 0x1p-6f),
    ROW("open_azp", open_azp, azp, .quotient = QB_QUOTIENT_RECIPROCAL, .open_range = 1),
    ROW("vllm_azp", open_azp, azp32, .quotient = QB_QUOTIENT_RECIPROCAL, .open_range = 1),
    ROW("torchao_mx_ceil.up", torchao_ceil, up, TORCHAO),
    ROW("torchao_mx_floor.nan", torchao_floor, floor, .divisor_floor = 0x1p-126f),
    ROW("torchao_mx_floor.floor", torchao_floor, floor, .nan_amax = QB_NAN_AMAX_KEPT),
    ROW_AS("torchao_mx_rceil.infinity", rceil, up, .nan_amax = QB_NAN_AMAX_KEPT),
    ROW("mx_least_1.zero", rceil_least_1, up, .zero = QB_ZERO_ONE),
    ROW("mx_zero_127.floor", rceil_zero_127, up, .scale_floor = 0x1p-126f),
    ROW("te_nvfp4.product", te_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_PRODUCT),
    ROW("vllm_nvfp4.saturated", vllm_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_PRODUCT),
    ROW("modelopt_nvfp4.divided", modelopt_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_DIVIDED,
        .e4m3_value = QB_E4M3_VALUE_RATIO),
    ROW("modelopt_nvfp4.reciprocal", modelopt_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_QUOTIENT),
    ROW("torchao_nvfp4.floor", torchao_nvfp4, nvfp4, .e4m3_scale = QB_E4M3_SCALE_DIVIDED,
        .e4m3_value = QB_E4M3_VALUE_QUOTIENT),
    ROW("open_azp.closed", open_azp, azp, .quotient = QB_QUOTIENT_RECIPROCAL),
    ROW("vllm_azp.closed", open_azp, azp32, .quotient = QB_QUOTIENT_RECIPROCAL),
};
QB_PLUGIN(kernels);
