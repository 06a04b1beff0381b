/* SPDX-License-Identifier: Apache-2.0 */
/* careless.c - a plug-in whose kernels are wrong in one respect each, which random data hardly ever show: it is what
 * their names say. They quantize bfloat16 and float by the contract, or as they declare, with one scale per token,
 * to INT8, those with "fp8" in their name to E4M3. */
#include "fp8.h"
#include "quantbench.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- What is right ---------------------------------------------------------------------------------------------- */

static float amax_of(const float *x, uint64_t count)
{
    float amax = 0;

    for (uint64_t i = 0; i < count; i++) {
        amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
    }
    return amax;
}

/* The largest finite value of the input. */
static float limit = FLT_MAX;

static float scale_of(float amax, float qmax)
{
    return fmaxf(fminf(amax, limit) / qmax, FLT_MIN);
}

static float dynamic_scale(const struct qb_problem *p, const float *x)
{
    float amax = amax_of(x, p->hidden);

    return scale_of(p->amax_bound > 0 ? fminf(amax, p->amax_bound) : amax, 127);
}

static uint8_t to_int8(float v)
{
    return isnan(v) ? 0 : (uint8_t)(int8_t)nearbyintf(fminf(fmaxf(v, -128), 127));
}

static uint8_t by_quotient(float x, float s)
{
    return to_int8(x / s);
}

/* ---- What is not ------------------------------------------------------------------------------------------------ */

/* Codes. */

static uint8_t tie(float x, float s)
{
    return to_int8(roundf(x / s));
}

static uint8_t near_tie(float x, float s)
{
    const float v = x / s, next = nextafterf(v, copysignf(INFINITY, v));

    return to_int8(fabsf(next - truncf(next)) == 0.5f ? next : v);
}

/* Halves away from zero, as adding half a unit to the bits does it. */
static uint8_t tie_fp8(float x, float s)
{
    const float v = x / s;
    uint32_t bits;

    memcpy(&bits, &v, sizeof bits);
    if (isnan(v) || fabsf(v) < 0x1p-6f || fabsf(v) >= 464) {
        return to_e4m3(v);
    }
    return (uint8_t)(signbit(v) ? 0x80 : 0) | (uint8_t)((((bits & 0x7FFFFFFF) + 0x80000) >> 20) - (120u << 3));
}

/* For what it declares, which is to round toward zero. */
static uint8_t exact(float x, float s)
{
    return to_int8(truncf(fabsf(x / s) > 126 ? x / s : x * (1 / s)));
}

static uint8_t reciprocal(float x, float s)
{
    return to_int8(x * (1 / s));
}

static uint8_t zero_fp8(float x, float s)
{
    return x == 0 ? 0 : to_e4m3(x / s);
}

static uint8_t subnormal(float x, float s)
{
    return to_int8(fabsf(x) < FLT_MIN ? 0 : x / s);
}

static uint8_t nan_(float x, float s)
{
    return isnan(x) ? 127 : to_int8(x / s);
}

static uint8_t infinity(float x, float s)
{
    return isinf(x) ? 0 : to_int8(x / s);
}

static uint8_t wrap(float x, float s)
{
    const float v = nearbyintf(x / s);

    return v == 128 ? 0x80 : to_int8(v);
}

static uint8_t symmetric(float x, float s)
{
    return to_int8(fmaxf(x / s, -127));
}

/* As a conversion to int is on x86. */
static uint8_t convert(float x, float s)
{
    const float v = x / s;

    return fabsf(v) >= 0x1p31f ? 0x80 : to_int8(v);
}

static uint8_t small_scale(float x, float s)
{
    return to_int8(x / fmaxf(s, FLT_MIN));
}

static uint8_t large_scale(float x, float s)
{
    return to_int8(x / fminf(s, 0x1p126f));
}

static uint8_t near_power(float x, float s)
{
    int exponent;

    return to_int8(x / (frexpf(s, &exponent) == nextafterf(1, 0) ? ldexpf(1, exponent) : s));
}

/* Scales. */

static float nan_tile(const struct qb_problem *p, const float *x)
{
    for (uint64_t i = 0; i < p->hidden; i++) {
        if (isnan(x[i])) {
            return scale_of(INFINITY, 127);
        }
    }
    return dynamic_scale(p, x);
}

static float infinite_tile(const struct qb_problem *p, const float *x)
{
    return fmaxf(amax_of(x, p->hidden) / 127, FLT_MIN);
}

static float zero_tile(const struct qb_problem *p, const float *x)
{
    const float amax = amax_of(x, p->hidden);

    return amax == 0 ? 1 : scale_of(amax, 127);
}

/* A row that begins with zeros has nothing else, it thinks. */
static float single(const struct qb_problem *p, const float *x)
{
    return p->hidden > 16 && amax_of(x, 16) == 0 ? FLT_MIN : dynamic_scale(p, x);
}

/* As two elements at a time do it. */
static float tail(const struct qb_problem *p, const float *x)
{
    return scale_of(amax_of(x, p->hidden > 1 ? p->hidden & ~(uint64_t)1 : 1), 127);
}

static float no_floor(const struct qb_problem *p, const float *x)
{
    const float amax = amax_of(x, p->hidden);

    return amax == 0 ? FLT_MIN : fminf(amax, FLT_MAX) / 127;
}

static float no_bound(const struct qb_problem *p, const float *x)
{
    return scale_of(amax_of(x, p->hidden), 127);
}

static float largest(const struct qb_problem *p, const float *x)
{
    const float amax = amax_of(x, p->hidden);

    return scale_of(amax == FLT_MAX ? FLT_MAX / 2 : amax, 127);
}

static float fp8_scale(const struct qb_problem *p, const float *x)
{
    return scale_of(amax_of(x, p->hidden), 448);
}

/* It declares the smallest power of two that is not below the scale. */
static float power(const struct qb_problem *p, const float *x)
{
    return exp2f(ceilf(log2f(dynamic_scale(p, x))));
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

#define MOST_HIDDEN 8192

static const float *load(const struct qb_plugin_call *call, uint64_t row)
{
    static float floats[MOST_HIDDEN];
    const struct qb_problem *p = call->problem;

    limit = p->input == QB_FORMAT_F32 ? FLT_MAX : 0x1.FEp127f;
    if (p->input == QB_FORMAT_F32) {
        return (const float *)call->tensors->at[QB_ROLE_INPUT] + row * p->input_stride;
    }
    for (uint64_t i = 0; i < p->hidden; i++) {
        const uint32_t bits = (uint32_t)((const uint16_t *)call->tensors->at[QB_ROLE_INPUT])[row * p->input_stride + i]
                              << 16;

        memcpy(&floats[i], &bits, sizeof bits);
    }
    return floats;
}

static void quantize(const struct qb_plugin_call *call, float (*scale)(const struct qb_problem *p, const float *x),
                     uint8_t (*code)(float x, float s))
{
    const struct qb_problem *p = call->problem;

    for (uint64_t row = 0; row < p->tokens; row++) {
        const float *x = load(call, row);
        uint8_t *q = (uint8_t *)call->tensors->at[QB_ROLE_CODES] + row * p->output_stride;
        float *s = &((float *)call->tensors->at[QB_ROLE_SCALES])[row];

        if (scale != NULL) {
            *s = scale(p, x);
        }
        for (uint64_t i = 0; i < p->hidden; i++) {
            q[i] = code(x[i], *s);
        }
    }
}

static bool supports(const struct qb_problem *p, enum qb_format output, enum qb_scaling scaling)
{
    return (p->input == QB_FORMAT_F32 || p->input == QB_FORMAT_BF16) && p->output == output &&
           p->granularity == QB_GRANULARITY_TOKEN && p->scaling == scaling && p->hidden <= MOST_HIDDEN;
}

static bool dynamic(const struct qb_problem *p)
{
    return supports(p, QB_FORMAT_INT8, QB_SCALING_DYNAMIC);
}

static bool given(const struct qb_problem *p)
{
    return supports(p, QB_FORMAT_INT8, QB_SCALING_STATIC);
}

static bool dynamic_fp8(const struct qb_problem *p)
{
    return supports(p, QB_FORMAT_E4M3, QB_SCALING_DYNAMIC);
}

#define RUN(name, scale, code)                                                                                         \
    static const char *run_##name(const struct qb_plugin_call *call)                                                   \
    {                                                                                                                  \
        quantize(call, scale, code);                                                                                   \
        return NULL;                                                                                                   \
    }

RUN(none, dynamic_scale, by_quotient)
RUN(tie, dynamic_scale, tie)
RUN(near_tie, dynamic_scale, near_tie)
RUN(tie_fp8, fp8_scale, tie_fp8)
RUN(exact, dynamic_scale, exact)
RUN(reciprocal, dynamic_scale, reciprocal)
RUN(reciprocal_given, NULL, reciprocal)
RUN(zero_fp8, fp8_scale, zero_fp8)
RUN(subnormal, dynamic_scale, subnormal)
RUN(nan, dynamic_scale, nan_)
RUN(nan_given, NULL, nan_)
RUN(infinity, NULL, infinity)
RUN(wrap, NULL, wrap)
RUN(symmetric, NULL, symmetric)
RUN(convert, NULL, convert)
RUN(small_scale, NULL, small_scale)
RUN(large_scale, NULL, large_scale)
RUN(near_power, NULL, near_power)
RUN(nan_tile, nan_tile, by_quotient)
RUN(infinite_tile, infinite_tile, by_quotient)
RUN(zero_tile, zero_tile, by_quotient)
RUN(single, single, by_quotient)
RUN(tail, tail, by_quotient)
RUN(no_floor, no_floor, by_quotient)
RUN(no_bound, no_bound, by_quotient)
RUN(largest, largest, by_quotient)
RUN(power, power, by_quotient)

/* With whole vectors only, as a kernel has a path of its own for them. */
static const char *run_whole(const struct qb_plugin_call *call)
{
    quantize(call, dynamic_scale, call->problem->hidden % 12 == 0 ? tie : by_quotient);
    return NULL;
}

#define KERNEL(name_, supports_, ...)                                                                                  \
    {                                                                                                                  \
        .name = "careless_" #name_, .description = "is wrong in one respect", .backend = "cpu", .supports = supports_, \
        .run = run_##name_, .arithmetic = {__VA_ARGS__},                                                               \
    }

static const struct qb_plugin_kernel kernels[] = {
    KERNEL(none, dynamic, 0),
    KERNEL(tie, dynamic, 0),
    KERNEL(near_tie, dynamic, 0),
    KERNEL(tie_fp8, dynamic_fp8, 0),
    KERNEL(exact, dynamic, .rounding = QB_ROUNDING_TOWARD_ZERO),
    KERNEL(reciprocal, dynamic, 0),
    KERNEL(reciprocal_given, given, 0),
    KERNEL(zero_fp8, dynamic_fp8, 0),
    KERNEL(subnormal, dynamic, 0),
    KERNEL(nan, dynamic, 0),
    KERNEL(nan_given, given, 0),
    KERNEL(infinity, given, 0),
    KERNEL(wrap, given, 0),
    KERNEL(symmetric, given, 0),
    KERNEL(convert, given, 0),
    KERNEL(small_scale, given, 0),
    KERNEL(large_scale, given, 0),
    KERNEL(near_power, given, 0),
    KERNEL(nan_tile, dynamic, 0),
    KERNEL(infinite_tile, dynamic, 0),
    KERNEL(zero_tile, dynamic, 0),
    KERNEL(single, dynamic, 0),
    KERNEL(tail, dynamic, 0),
    KERNEL(no_floor, dynamic, 0),
    KERNEL(no_bound, dynamic, 0),
    KERNEL(largest, dynamic, 0),
    KERNEL(power, dynamic, .power_of_two = 1),
    KERNEL(whole, dynamic, 0),
};
QB_PLUGIN(kernels);
