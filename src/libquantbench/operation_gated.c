/* SPDX-License-Identifier: Apache-2.0 */
/* operation_gated.c - SILU_MUL and GELU_MUL: an activation of a gate, times the up projection. The formulas are in the
 * comment of struct qb_problem; those of the exponential are from a polynomial of minimal error. */
#include <config.h>

#include "composition.h"
#include "environment.h"
#include "problem.h"

#include <inttypes.h>
#include <math.h>

/* Below this e^x is less than the smallest normal number. */
#define TAIL 87.25f

/* ---- Problems -----------------------------------------------------------------------------------------------------
 */

static enum qb_status validate(const struct qb_problem *p)
{
    enum qb_status status = qb__composition_validate(p);

    if (status != QB_OK) {
        return status;
    }
    if (qb_gelu_name(p->gelu) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "gelu %d is not in enum qb_gelu", (int)p->gelu);
    }
    if (p->gelu != QB_GELU_TANH && p->operation != QB_OPERATION_GELU_MUL) {
        return qb__fail(QB_ERROR_INVALID, "gelu %s; expected tanh for silu-mul", qb_gelu_name(p->gelu));
    }
    if (qb_gate_name(p->gate) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "gate %d is not in enum qb_gate", (int)p->gate);
    }
    if (!(p->gate_limit >= 0) || isinf(p->gate_limit) || qb__rounded(p->input, p->gate_limit) != p->gate_limit) {
        return qb__fail(QB_ERROR_INVALID, "gate limit %g; expected a number of the input format > 0, or 0 for none",
                        (double)p->gate_limit);
    }
    if (!(p->alpha >= 0) || isinf(p->alpha) || (p->alpha != 0 && p->operation != QB_OPERATION_SILU_MUL)) {
        return qb__fail(QB_ERROR_INVALID, "alpha %g; expected a finite number > 0 for silu-mul, or 0 for 1",
                        (double)p->alpha);
    }
    if (!isfinite(p->up_offset)) {
        return qb__fail(QB_ERROR_INVALID, "up offset %g; expected a finite number", (double)p->up_offset);
    }
    return QB_OK;
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

/* e^-A, for A >= 0. */
static float exponential(float a)
{
    static const float coefficients[] = {
        0x1.6850e4p-10f, 0x1.123bccp-7f, 0x1.555b98p-5f, 0x1.55548ep-3f, 0x1.fffff8p-2f, 1, 1};
    const float k = fmaf(a, -0x1.715476p+0f, 0x1.8p+23f) - 0x1.8p+23f;
    float r = fmaf(k, -0x1.62e4p-1f, -a), p = coefficients[0];

    if (!(a <= TAIL)) {
        return isnan(a) ? a : 0;
    }
    r = fmaf(k, -0x1.7f7d1cp-20f, r);
    for (size_t i = 1; i < sizeof coefficients / sizeof coefficients[0]; i++) {
        p = fmaf(p, r, coefficients[i]);
    }
    return ldexpf(p, (int)k);
}

/* G * sigmoid(T). */
static float gated(float g, float t)
{
    const float e = exponential(fabsf(t));

    return (t < 0 ? g * e : g) / (1 + e);
}

/* silu(G), correctly rounded. Double precision is enough for each of the 65,536 inputs of a format. */
static float silu(float g)
{
    if (g <= -TAIL) {
        return isinf(g) ? NAN : -0.0f;
    }
    return (float)(g / (1 + exp(-(double)g)));
}

/* GELU of G by the normal distribution beyond |G|: an exponential, times a polynomial of minimal error in T. Its last
 * bits were searched, so that all gates of 16 bits from 2^-23 on and above -TAIL are right. */
static float gelu_by_erf(float g)
{
    static const float coefficients[] = {0x1.e2804ep-6f,  -0x1.0c6e9cp-3f, 0x1.748132p-3f,
                                         -0x1.49d3b2p-4f, 0x1.d63844p-4f,  0x1.1c764ep-4f,
                                         0x1.a1564ap-4f,  0x1.b6082cp-4f,  0x1.b7016ap-4f};
    const float t = 1 / fmaf(0x1.13153ep-2f, fabsf(g), 1);
    float q = coefficients[0], c;

    for (size_t i = 1; i < sizeof coefficients / sizeof coefficients[0]; i++) {
        q = fmaf(q, t, coefficients[i]);
    }
    c = t * q * exponential(g * g * 0.5f);
    return g * (g < 0 ? c : 1 - c);
}

static float activation(const struct qb_problem *p, float g)
{
    const float alpha = p->alpha != 0 ? p->alpha : 1;

    if (p->gelu == QB_GELU_ERF) {
        return gelu_by_erf(g);
    }
    if (p->operation == QB_OPERATION_GELU_MUL) {
        return gated(g, g * fmaf(g * g, 0x1.2444f2p-4f, 0x1.988454p+0f));
    }
    if (alpha == 1 && p->intermediate == QB_INTERMEDIATE_INPUT && p->input != QB_FORMAT_F32) {
        return silu(g);
    }
    return gated(g, alpha * g);
}

/* VALUE within LIMIT, NaN kept. */
static float limited(float value, float least, float most)
{
    return value > most ? most : value < least ? least : value;
}

/* The value of gate G and up U. */
static float value_of(const struct qb_problem *p, float g, float u)
{
    const bool rounds = p->intermediate == QB_INTERMEDIATE_INPUT;
    float h;

    if (p->gate_limit > 0) {
        g = limited(g, -INFINITY, p->gate_limit);
        u = limited(u, -p->gate_limit, p->gate_limit);
    }
    h = activation(p, g);
    h = rounds ? qb__rounded(p->input, h) : h;
    if (p->up_offset != 0) {
        u = u + p->up_offset;
        u = rounds ? qb__rounded(p->input, u) : u;
    }
    return h * u; /* rounded as it is stored */
}

static QB__IN_ENVIRONMENT void values(const struct qb_problem *p, const struct qb_tensors *tensors)
{
    const enum qb_format format = qb__quantization_of(p).input;
    const bool halves = p->gate == QB_GATE_HALVES;
    const void *input = tensors->at[QB_ROLE_INPUT];

    for (uint64_t row = 0; row < p->tokens; row++) {
        for (uint64_t col = 0; col < p->hidden; col++) {
            const uint64_t first = row * p->input_stride;
            const uint64_t gate = first + (halves ? col : 2 * col), up = halves ? gate + p->hidden : gate + 1;

            qb__element_store(
                tensors->at[QB_ROLE_VALUES], format, row * p->hidden + col,
                value_of(p, qb__element_load(input, p->input, gate), qb__element_load(input, p->input, up)));
        }
    }
}

const struct qb__operation qb__operation_silu_mul = {
    .operation = QB_OPERATION_SILU_MUL,
    .name = "silu-mul",
    .validate = validate,
    .tensor = qb__composition_tensor,
    .values = values,
    .reference = qb__composition_reference,
};

const struct qb__operation qb__operation_gelu_mul = {
    .operation = QB_OPERATION_GELU_MUL,
    .name = "gelu-mul",
    .validate = validate,
    .tensor = qb__composition_tensor,
    .values = values,
    .reference = qb__composition_reference,
};
