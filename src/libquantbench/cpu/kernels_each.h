/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_each.h - routines in plain C for elements that may each have a scale and a zero point of their own, in every
 * format: what an instruction set has nothing better for. The loops over EACH elements have no branches. */
#ifndef QB_CPU_KERNELS_EACH_H
#define QB_CPU_KERNELS_EACH_H

#include "kernels_codes.h"

enum { EACH = 32 };

/* EACH elements as numbers. */
QB__INLINE void values_block(float v[EACH], const void *x, const enum qb_format input)
{
    for (int i = 0; i < EACH; i++) {
        if (input == QB_FORMAT_F32) {
            v[i] = qb__float_of(((const word32 *)x)[i]);
        } else if (input == QB_FORMAT_BF16) {
            v[i] = qb__float_of((uint32_t)((const word16 *)x)[i] << 16);
        } else {
            const uint32_t bits = ((const word16 *)x)[i];

            v[i] = qb__float_of(half_bits(bits & 0x7FFF) | (bits & 0x8000) << 16);
        }
    }
}

QB__INLINE void values_run(float *v, const void *x, size_t count, const enum qb_format input)
{
    for (; count >= EACH; count -= EACH, v += EACH, x = at(x, EACH, input)) {
        values_block(v, x, input);
    }
    if (count > 0) {
        uint32_t padded[EACH] = {0};
        float last[EACH];

        memcpy(padded, x, count * qb__element_size(input));
        values_block(last, padded, input);
        memcpy(v, last, count * sizeof *v);
    }
}

/* EACH codes. */
QB__INLINE void each_block(const struct qb__each run, const enum qb_format output, const bool multiply,
                           const bool asymmetric)
{
    for (int i = 0; i < EACH; i++) {
        const float value = multiply ? run.v[i] * run.factors[i] : run.v[i] / run.factors[i];

        run.codes[i] = asymmetric ? code_by_zero_point(value, run.zero_points[i], output) : code_of_any(value, output);
    }
}

/* What is left of RUN, and zeros. */
struct each_rest {
    float v[EACH], factors[EACH];
    int16_t zero_points[EACH];
    uint8_t codes[EACH];
};

static struct qb__each each_rest_of(const struct qb__each *run, struct each_rest *rest)
{
    *rest = (struct each_rest){0};
    memcpy(rest->v, run->v, run->count * sizeof *rest->v);
    memcpy(rest->factors, run->factors, run->count * sizeof *rest->factors);
    memcpy(rest->zero_points, run->zero_points, run->count * sizeof *rest->zero_points);
    return (struct qb__each){
        .v = rest->v, .factors = rest->factors, .zero_points = rest->zero_points, .codes = rest->codes};
}

QB__INLINE void each_run(struct qb__each run, const enum qb_format output, const bool multiply, const bool asymmetric)
{
    struct each_rest rest;

    while (run.count > 0) {
        const bool whole = run.count >= EACH;

        each_block(whole ? run : each_rest_of(&run, &rest), output, multiply, asymmetric);
        if (!whole) {
            memcpy(run.codes, rest.codes, run.count);
            return;
        }
        run.v += EACH;
        run.factors += EACH;
        run.zero_points += EACH;
        run.codes += EACH;
        run.count -= EACH;
    }
}

QB__INLINE void each_codes(const struct qb__each run, const enum qb_format output)
{
    if (run.multiply) {
        each_run(run, output, true, false);
    } else if (run.asymmetric && qb__is_integer(output)) {
        each_run(run, output, false, true);
    } else if (qb__is_signed(output)) {
        each_run(run, output, false, false);
    }
}

#endif
