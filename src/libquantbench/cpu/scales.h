/* SPDX-License-Identifier: Apache-2.0 */
/* scales.h - from what a tile's elements are between to the scale that is stored, and from there to what elements are
 * divided by or multiplied with: struct qb_problem's comment in plain C, for every format of scales. */
#ifndef QB_CPU_SCALES_H
#define QB_CPU_SCALES_H

#include "kernels_codes.h"

#include <float.h>

/* How an amax becomes a scale in E8M0. */
struct qb__powers {
    uint32_t half;  /* added to the amax's bits */
    uint32_t whole; /* a mantissa above this goes up */
    uint32_t most;  /* the exponent of the largest code */
};

/* What a problem asks of every scale. */
struct qb__form {
    enum qb_format output, scale_format;
    bool asymmetric;
    bool multiplies;   /* elements are multiplied, not divided */
    float limit;       /* magnitudes are cut to this */
    float qmax, steps; /* what an amax is divided by, and what a range is */
    float most;        /* |v| below this needs no saturation, or none but that of codes_cut() */
    float encode;      /* scales in E4M3: an amax is multiplied with this */
    float tensor;      /* scales in E4M3: each is multiplied with this to decode */
    struct qb__powers powers;
};

/* A scale as it is stored. */
struct qb__stored {
    uint32_t code;
    int zero_point;
};

static inline struct qb__powers qb__powers_make(enum qb_format output, enum qb_scale_rounding rounding)
{
    const uint32_t qmax = qb__bits_of(qb__formats[output].largest);

    return (struct qb__powers){
        .half = rounding == QB_SCALE_ROUNDING_EVEN ? 1u << (22 - qb__formats[output].mantissa_bits) : 0,
        .whole = rounding == QB_SCALE_ROUNDING_UP ? qmax & 0x7FFFFF : 0x7FFFFF,
        .most = (qmax >> 23) - 127,
    };
}

/* The code of E8M0 for an amax that is finite and has the bits AMAX: see struct qb_problem. */
static inline uint32_t qb__power_code(uint32_t amax, struct qb__powers powers)
{
    const uint32_t up = (amax & 0x7FFFFF) > powers.whole;
    const uint32_t code = ((amax + powers.half) >> 23) + up;

    return code > powers.most ? code - powers.most : 0;
}

/* That of PROBLEM, without a tensor scale. */
static inline struct qb__form qb__form_make(const struct qb_problem *p)
{
    const float largest = qb__formats[p->output].largest;
    /* To multiply with a power of two is to divide by its inverse. */
    const bool multiplies = p->scale_format == QB_FORMAT_E4M3 || p->scale_format == QB_FORMAT_E8M0;

    return (struct qb__form){
        .output = p->output,
        .scale_format = p->scale_format,
        .asymmetric = p->zero_points != QB_ZERO_POINTS_NONE,
        .multiplies = multiplies,
        .limit = qb__rule_make(p).limit,
        .qmax = largest,
        .steps = largest - qb__least(p->output),
        .most = qb__is_integer(p->output) ? largest + 0.375f
                : multiplies              ? 2 * qb__float_of(qb__bits_of(largest) & QB__F32_INF)
                                          : qb__rule_make(p).most,
        .encode = 1.0f / largest,
        .tensor = 1.0f,
        .powers = qb__powers_make(p->output, p->scale_rounding),
    };
}

/* The code in F16 of VALUE, which is at least the smallest of them: not above the largest finite one. */
static inline uint32_t qb__half_code(float value)
{
    const float cut = smaller(value, 65504.0f);
    const uint32_t bits = qb__bits_of(cut);
    const uint32_t normal = (bits + 0xFFF + (bits >> 13 & 1) - (112u << 23)) >> 13;
    const uint32_t subnormal = qb__bits_of(cut + 0.5f) - qb__bits_of(0.5f); /* in units of 2^-24 */

    return cut < 0x1p-14f ? subnormal : normal;
}

/* The number that a code in E4M3 without sign stands for. */
static inline float qb__e4m3_value(uint32_t code)
{
    const float mantissa = (float)(code < 8 ? code : 8 + code % 8);

    return code == 0x7F ? qb__float_of(0x7FC00000)
                        : mantissa * qb__float_of(qb__power_bits((code < 8 ? 1 : (int)code / 8) - 10));
}

/* The code of scale DIVISOR in F32 or F16. */
static inline uint32_t qb__float_scale_code(const struct qb__form *form, float divisor)
{
    if (form->scale_format == QB_FORMAT_F16) {
        return qb__half_code(larger(divisor, QB__SCALE_FLOOR_F16));
    }
    return qb__bits_of(larger(divisor, QB__SCALE_FLOOR));
}

/* The scale of a symmetric tile of amax AMAX, not yet cut. */
static inline struct qb__stored qb__scale_of_amax(const struct qb__form *form, float amax)
{
    const float a = smaller(amax, form->limit);
    struct qb__stored stored = {0};

    if (form->scale_format == QB_FORMAT_E8M0) {
        stored.code = qb__power_code(qb__bits_of(a), form->powers);
    } else if (form->scale_format == QB_FORMAT_E4M3) {
        stored.code = code_of_any(smaller(a * form->encode, FLT_MAX), QB_FORMAT_E4M3);
    } else {
        stored.code = qb__float_scale_code(form, a / form->qmax);
    }
    return stored;
}

/* What a tile is divided by, or multiplied with. */
static inline float qb__factor_of(const struct qb__form *form, uint32_t code)
{
    if (form->scale_format == QB_FORMAT_F32) {
        return qb__float_of(code);
    }
    if (form->scale_format == QB_FORMAT_F16) {
        return qb__half_value(code);
    }
    if (form->scale_format == QB_FORMAT_E8M0) {
        return qb__float_of(qb__power_inverse(code));
    }
    return smaller(1.0f / (qb__e4m3_value(code) * form->tensor), FLT_MAX);
}

/* The scale and the zero point of a tile of RANGE. */
static inline struct qb__stored qb__scale_of_range(const struct qb__form *form, struct qb__range range)
{
    const float least = qb__least(form->output);
    const float low = -smaller(-range.low, form->limit), high = smaller(range.high, form->limit);
    struct qb__stored stored = {.code = qb__float_scale_code(form, smaller(high - low, FLT_MAX) / form->steps)};
    const float zero = least - low / qb__factor_of(form, stored.code);

    stored.zero_point =
        (int)(qb__bits_of(smaller(larger(zero, least), form->qmax) + 0x1.8p23f) - qb__bits_of(0x1.8p23f));
    return stored;
}

/* Set the tensor scale G of FORM, whose inverse is S. */
static inline void qb__form_set_tensor_scale(struct qb__form *form, float g, float s)
{
    form->tensor = g;
    form->encode = s * (1.0f / form->qmax);
}

/* The inverse of a tensor scale, for a tensor of amax AMAX. */
static inline float qb__tensor_encode(const struct qb__form *form, float amax)
{
    const float a = smaller(amax, form->limit);

    return a == 0 ? 1.0f : smaller(form->qmax * qb__formats[QB_FORMAT_E4M3].largest / a, FLT_MAX);
}

#endif
