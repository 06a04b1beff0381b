/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c - the conventions of kernels that engines for inference have, as a plug-in for the CPU: each computes, step
 * by step and in the order of its model, what its arithmetic declares. They take bfloat16 and float, dense or strided.
 */
#include "quantbench.h"

#include <math.h>
#include <string.h>

#define FP8_LARGEST  448.0f
#define INT8_LARGEST 127.0f
/* The smallest scale of vLLM's FP8 kernels with one scale per token. */
#define FP8_FLOOR (1.0f / (448.0f * 512.0f))

static float load(const struct qb_plugin_call *call, uint64_t row, uint64_t col)
{
    const struct qb_problem *p = call->problem;
    uint64_t i = row * p->input_stride + col;
    uint32_t bits;
    float x;

    if (p->input == QB_FORMAT_F32) {
        return ((const float *)call->tensors->at[QB_ROLE_INPUT])[i];
    }
    bits = (uint32_t)((const uint16_t *)call->tensors->at[QB_ROLE_INPUT])[i] << 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* As cvt.rn.satfinite.e4m3x2.f32 does. */
static uint8_t to_e4m3(float v)
{
    uint8_t sign = signbit(v) ? 0x80 : 0;
    float magnitude = fabsf(v), units;
    int exponent;

    if (isnan(v)) {
        return 0x7F;
    }
    if (magnitude > FP8_LARGEST) {
        return sign | 0x7E;
    }
    if (magnitude < 0x1p-6f) {
        return sign | (uint8_t)nearbyintf(magnitude * 0x1p9f); /* in units of 2^-9; 8 of them are the first normal */
    }
    exponent = ilogbf(magnitude);
    units = nearbyintf(ldexpf(magnitude, 3 - exponent)); /* 8 to 16 */
    return sign | (uint8_t)((exponent + 6) * 8 + (int)units);
}

/* fmaxf(-max, fminf(v, max)): NaN becomes max. And the other way round: NaN becomes -max. */
static float clamp_min_first(float v, float max)
{
    return fmaxf(-max, fminf(v, max));
}

static float clamp_max_first(float v, float max)
{
    return fminf(fmaxf(v, -max), max);
}

/* As cvt.rni.sat.s8.f32 does. */
static int8_t to_int8(float v)
{
    return isnan(v) ? 0 : (int8_t)nearbyintf(fminf(fmaxf(v, -128), 127));
}

/* ---- Tiles ------------------------------------------------------------------------------------------------------ */

/* How one tile is quantized: the scale from its amax, and the code of one element. */
struct convention {
    void (*scale)(float amax, float *stored, float *factor);
    uint8_t (*code)(float x, float factor);
};

static void quantize(const struct qb_plugin_call *call, const struct convention *convention)
{
    const struct qb_problem *p = call->problem;
    const uint64_t rows = p->granularity == QB_GRANULARITY_TENSOR ? p->tokens : 1;
    const uint64_t cols = p->granularity == QB_GRANULARITY_GROUP ? p->group : p->hidden;
    float *scale = call->tensors->at[QB_ROLE_SCALES];

    for (uint64_t r = 0; r < p->tokens; r += rows) {
        for (uint64_t c = 0; c < p->hidden; c += cols, scale++) {
            const uint64_t end = c + cols < p->hidden ? c + cols : p->hidden;
            float amax = 0, factor;

            for (uint64_t row = r; row < r + rows; row++) {
                for (uint64_t col = c; col < end; col++) {
                    amax = fmaxf(amax, fabsf(load(call, row, col)));
                }
            }
            if (p->amax_bound > 0) {
                amax = fminf(amax, p->amax_bound);
            }
            if (p->scaling == QB_SCALING_STATIC) {
                convention->scale(*scale, NULL, &factor);
            } else {
                convention->scale(amax, scale, &factor);
            }
            for (uint64_t row = r; row < r + rows; row++) {
                for (uint64_t col = c; col < end; col++) {
                    ((uint8_t *)call->tensors->at[QB_ROLE_CODES])[row * p->output_stride + col] =
                        convention->code(load(call, row, col), factor);
                }
            }
        }
    }
}

static uint8_t e4m3_by_quotient(float x, float s)
{
    return to_e4m3(clamp_min_first(x / s, FP8_LARGEST));
}

static uint8_t e4m3_by_product(float x, float m)
{
    return to_e4m3(clamp_min_first(x * m, FP8_LARGEST));
}

static uint8_t e4m3_by_quotient_low(float x, float s)
{
    return to_e4m3(clamp_max_first(x / s, FP8_LARGEST));
}

static uint8_t e4m3_by_product_low(float x, float m)
{
    return to_e4m3(clamp_max_first(x * m, FP8_LARGEST));
}

static uint8_t e4m3_plain(float x, float m)
{
    return to_e4m3(x * m);
}

static uint8_t int8_by_quotient(float x, float s)
{
    return (uint8_t)to_int8(x / s);
}

static uint8_t int8_by_product(float x, float m)
{
    return (uint8_t)to_int8(x * m);
}

static uint8_t int8_truncated(float x, float m)
{
    return (uint8_t)(int8_t)clamp_max_first(x * m, 128) - (clamp_max_first(x * m, 128) >= 128);
}

static uint8_t int8_half_away(float x, float m)
{
    return (uint8_t)to_int8(roundf(x * m));
}

/* ---- vLLM ------------------------------------------------------------------------------------------------------- */

static void given(float scale, float *stored, float *factor)
{
    (void)stored;
    *factor = scale;
}

static void given_inverted(float scale, float *stored, float *factor)
{
    (void)stored;
    *factor = 1 / scale;
}

static void vllm_fp8_tensor(float amax, float *stored, float *factor)
{
    *stored = amax / FP8_LARGEST;
    *factor = 1 / *stored;
}

static void vllm_fp8_token(float amax, float *stored, float *factor)
{
    *stored = *factor = fmaxf(amax / FP8_LARGEST, FP8_FLOOR);
}

static void vllm_fp8_group(float amax, float *stored, float *factor)
{
    *stored = *factor = fmaxf(amax, 1e-10f) / FP8_LARGEST;
}

/* exp2f(ceilf(log2f(scale))), but for scales that are next above a power of two, for which log2f() is rounded down. */
static void vllm_fp8_group_pow2(float amax, float *stored, float *factor)
{
    const float scale = fmaxf(amax, 1e-10f) / FP8_LARGEST;
    int exponent;

    *stored = *factor = isinf(scale) ? scale : ldexpf(1, frexpf(scale, &exponent) > 0.5f ? exponent : exponent - 1);
}

static void vllm_int8_token(float amax, float *stored, float *factor)
{
    *stored = amax / INT8_LARGEST;
    *factor = amax == 0 ? 0 : INT8_LARGEST / amax;
}

static void triton_int8_token(float amax, float *stored, float *factor)
{
    amax = fmaxf(amax, 1e-10f);
    *stored = amax / INT8_LARGEST;
    *factor = INT8_LARGEST / amax;
}

/* ---- SGLang ----------------------------------------------------------------------------------------------------- */

static void sglang_fp8_group(float amax, float *stored, float *factor)
{
    amax = fmaxf(amax, 1e-10f);
    *stored = amax * (1.0f / FP8_LARGEST);
    *factor = FP8_LARGEST / amax;
}

static void sglang_int8_group(float amax, float *stored, float *factor)
{
    amax = fmaxf(amax, 1e-10f);
    *stored = amax * (1.0f / INT8_LARGEST);
    *factor = INT8_LARGEST / amax;
}

/* What fast math does to it: a reciprocal and a product that are a little off. */
static void sglang_fp8_token_fast(float amax, float *stored, float *factor)
{
    *stored = nextafterf(amax * (1.0f / FP8_LARGEST), INFINITY);
    *factor = nextafterf(1 / *stored, 0);
}

/* ---- TensorRT-LLM, TransformerEngine ---------------------------------------------------------------------------- */

static void trt_fp8_token(float amax, float *stored, float *factor)
{
    *stored = fmaxf(amax / FP8_LARGEST, FP8_FLOOR);
    *factor = fminf(FP8_LARGEST / amax, 448.0f * 512.0f);
}

static void trt_fp8_multiplier(float amax, float *stored, float *factor)
{
    *stored = *factor = FP8_LARGEST / fmaxf(amax, 1e-10f);
}

static void te_fp8_tensor(float amax, float *stored, float *factor)
{
    *factor = amax == 0 ? 1 : FP8_LARGEST / amax;
    *stored = 1 / *factor;
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static bool supports(const struct qb_problem *p, enum qb_format output, enum qb_granularity granularity,
                     enum qb_scaling scaling)
{
    return (p->input == QB_FORMAT_BF16 || p->input == QB_FORMAT_F32) && p->output == output &&
           p->granularity == granularity && p->scaling == scaling && p->tokens > 0;
}

#define PEER(name, output, granularity, scaling, ...)                                                                  \
    static const struct convention name##_convention = {__VA_ARGS__};                                                  \
    static bool name##_supports(const struct qb_problem *p)                                                            \
    {                                                                                                                  \
        return supports(p, QB_FORMAT_##output, QB_GRANULARITY_##granularity, QB_SCALING_##scaling);                    \
    }                                                                                                                  \
    static const char *name##_run(const struct qb_plugin_call *call)                                                   \
    {                                                                                                                  \
        quantize(call, &name##_convention);                                                                            \
        return NULL;                                                                                                   \
    }

PEER(vllm_fp8_tensor, E4M3, TENSOR, DYNAMIC, vllm_fp8_tensor, e4m3_by_product)
PEER(vllm_fp8_static, E4M3, TENSOR, STATIC, given_inverted, e4m3_by_product)
PEER(vllm_fp8_token, E4M3, TOKEN, DYNAMIC, vllm_fp8_token, e4m3_by_quotient)
PEER(vllm_fp8_group, E4M3, GROUP, DYNAMIC, vllm_fp8_group, e4m3_by_quotient_low)
PEER(vllm_fp8_group_pow2, E4M3, GROUP, DYNAMIC, vllm_fp8_group_pow2, e4m3_by_quotient_low)
PEER(vllm_int8_token, INT8, TOKEN, DYNAMIC, vllm_int8_token, int8_by_product)
PEER(vllm_int8_static, INT8, TENSOR, STATIC, given, int8_by_quotient)
PEER(triton_int8_token, INT8, TOKEN, DYNAMIC, triton_int8_token, int8_half_away)
PEER(sglang_fp8_token, E4M3, TOKEN, DYNAMIC, vllm_fp8_tensor, e4m3_by_product)
PEER(sglang_fp8_token_fast, E4M3, TOKEN, DYNAMIC, sglang_fp8_token_fast, e4m3_by_product)
PEER(sglang_fp8_group, E4M3, GROUP, DYNAMIC, sglang_fp8_group, e4m3_by_product_low)
PEER(sglang_int8_group, INT8, GROUP, DYNAMIC, sglang_int8_group, int8_truncated)
PEER(trt_fp8_token, E4M3, TOKEN, DYNAMIC, trt_fp8_token, e4m3_plain)
PEER(trt_fp8_multiplier, E4M3, TOKEN, DYNAMIC, trt_fp8_multiplier, e4m3_plain)
PEER(trt_fp8_static, E4M3, TENSOR, STATIC, given, e4m3_plain)
PEER(te_fp8_tensor, E4M3, TENSOR, DYNAMIC, te_fp8_tensor, e4m3_plain)

#define ROW(peer, ...)                                                                                                 \
    {                                                                                                                  \
        .name = #peer, .description = "a convention", .backend = "cpu", .supports = peer##_supports,                   \
        .run = peer##_run, .arithmetic = {.infinity = QB_INFINITY_KEPT, __VA_ARGS__},                                  \
    }
#define WRONGLY(suffix, peer, ...)                                                                                     \
    {                                                                                                                  \
        .name = #peer suffix, .description = "declares another arithmetic than its own", .backend = "cpu",             \
        .supports = peer##_supports, .run = peer##_run, .arithmetic = {.infinity = QB_INFINITY_KEPT, __VA_ARGS__},     \
    }
#define DIVIDE     .quotient = QB_QUOTIENT_DIVIDE
#define RECIPROCAL .quotient = QB_QUOTIENT_RECIPROCAL
#define MULTIPLY   .quotient = QB_QUOTIENT_MULTIPLY

static const struct qb_plugin_kernel kernels[] = {
    ROW(vllm_fp8_tensor, RECIPROCAL, .zero = QB_ZERO_UNGUARDED, .nan = QB_NAN_HIGHEST),
    ROW(vllm_fp8_static, RECIPROCAL, .nan = QB_NAN_HIGHEST),
    ROW(vllm_fp8_token, DIVIDE, .scale_floor = FP8_FLOOR, .nan = QB_NAN_HIGHEST),
    ROW(vllm_fp8_group, DIVIDE, .amax_floor = 1e-10f, .nan = QB_NAN_LOWEST),
    ROW(vllm_fp8_group_pow2, DIVIDE, .amax_floor = 1e-10f, .power_of_two = 1, .nan = QB_NAN_LOWEST),
    ROW(vllm_int8_token, MULTIPLY, .zero = QB_ZERO_ZERO),
    ROW(vllm_int8_static, DIVIDE),
    ROW(triton_int8_token, MULTIPLY, .amax_floor = 1e-10f, .rounding = QB_ROUNDING_NEAREST_AWAY),
    ROW(sglang_fp8_token, RECIPROCAL, .zero = QB_ZERO_UNGUARDED, .nan = QB_NAN_HIGHEST),
    ROW(sglang_fp8_token_fast, RECIPROCAL, .match = QB_MATCH_ONE_CODE, .zero = QB_ZERO_UNGUARDED),
    ROW(sglang_fp8_group, MULTIPLY, .scale_form = QB_SCALE_PRODUCT, .amax_floor = 1e-10f, .nan = QB_NAN_LOWEST),
    ROW(sglang_int8_group, MULTIPLY, .scale_form = QB_SCALE_PRODUCT, .amax_floor = 1e-10f, .nan = QB_NAN_LOWEST,
        .rounding = QB_ROUNDING_TOWARD_ZERO),
    ROW(trt_fp8_token, MULTIPLY, .scale_floor = FP8_FLOOR),
    ROW(trt_fp8_multiplier, MULTIPLY, .scale_form = QB_SCALE_MULTIPLIER, .amax_floor = 1e-10f),
    ROW(trt_fp8_static, MULTIPLY, .scale_form = QB_SCALE_MULTIPLIER),
    ROW(te_fp8_tensor, MULTIPLY, .scale_form = QB_SCALE_INVERSE, .zero = QB_ZERO_ONE),
    WRONGLY(".exact", sglang_fp8_token_fast, RECIPROCAL, .zero = QB_ZERO_UNGUARDED),
    WRONGLY(".divide", vllm_fp8_tensor, DIVIDE, .zero = QB_ZERO_UNGUARDED),
    WRONGLY(".rounded", sglang_int8_group, MULTIPLY, .scale_form = QB_SCALE_PRODUCT, .amax_floor = 1e-10f),
    WRONGLY(".quotient", sglang_fp8_group, MULTIPLY, .amax_floor = 1e-10f),
    WRONGLY(".floor", vllm_int8_token, MULTIPLY),
    WRONGLY(".nan", vllm_fp8_static, RECIPROCAL),
};
QB_PLUGIN(kernels);
