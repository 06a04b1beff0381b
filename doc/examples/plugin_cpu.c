/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_cpu.c - a plug-in with one kernel for the CPU: float to INT8,
 * one dynamic scale for each token, as vLLM's scaled_int8_quant does
 * it: the scale is amax / 127, the codes are those of
 * x * (127 / amax). */
#include <math.h>
#include <quantbench.h>

/* What the kernel can do. Nothing else is ever asked of it. */
static bool supports(const struct qb_problem *p)
{
    return p->input == QB_FORMAT_F32 && p->output == QB_FORMAT_INT8 &&
           p->granularity == QB_GRANULARITY_TOKEN &&
           p->scaling == QB_SCALING_DYNAMIC && p->amax_bound == 0;
}

static float largest_magnitude(const float *x, uint64_t count)
{
    float amax = 0;

    for (uint64_t i = 0; i < count; i++) {
        const float magnitude = fabsf(x[i]);

        amax = magnitude > amax ? magnitude : amax; /* ignores NaN */
    }
    return amax;
}

/* To nearest even, between -128 and 127; NaN to 0. */
static int8_t to_int8(float v)
{
    v = v > 127 ? 127 : v < -128 ? -128 : v;
    return v == v ? (int8_t)nearbyintf(v) : 0;
}

static void quantize_row(const float *x, int8_t *q, float *scale,
                         uint64_t count)
{
    const float amax = largest_magnitude(x, count);
    const float multiplier = amax == 0 ? 0 : 127 / amax;

    *scale = amax / 127;
    for (uint64_t i = 0; i < count; i++) {
        q[i] = to_int8(x[i] * multiplier);
    }
}

static const char *run(const struct qb_plugin_call *call)
{
    const struct qb_problem *p = call->problem;
    const float *input = call->tensors->at[QB_ROLE_INPUT];
    int8_t *output = call->tensors->at[QB_ROLE_CODES];

#pragma omp parallel for num_threads(call->threads)
    for (uint64_t row = 0; row < p->tokens; row++) {
        quantize_row(input + row * p->input_stride,
                     output + row * p->output_stride,
                     &((float *)call->tensors->at[QB_ROLE_SCALES])[row],
                     p->hidden);
    }
    return NULL; /* or a line that says what went wrong */
}

static const struct qb_plugin_kernel kernels[] = {
    {
        .name = "my_int8_token",
        .description = "float to INT8, one scale per token",
        .backend = "cpu",
        .supports = supports,
        .run = run,
        /* Codes by x * (qmax / amax); the scale of a token of zeros
         * is 0, that of an infinite one infinite. */
        .arithmetic = {.quotient = QB_QUOTIENT_MULTIPLY,
                       .zero = QB_ZERO_ZERO,
                       .infinity = QB_INFINITY_KEPT},
    },
};
QB_PLUGIN(kernels);
