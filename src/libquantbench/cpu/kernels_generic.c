/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_generic.c - the inner routines in plain C, for any CPU. The loops over arrays of LANES elements have no
 * branches, so that a compiler can turn them into whatever vectors the target always has. */
#include <config.h>

#include "kernels.h"
#include "values.h"
#include "kernels_codes.h"
#include "kernels_plain.h"

#define ISA           generic
#define CODES(ROW)    QB__BYTE_FORMATS(ROW) QB__MORE_BYTE_FORMATS(ROW)
#define NARROW_OPS    qb__narrow_ops_generic
#define VALUES_OPS    qb__values_ops_generic
#define LANES         32
#define HAVE_STREAM   0
#define HAVE_MASKS    0
#define HAVE_MULTIPLY 1
#define SATURATING    0

/* Where there is no fused multiply-add instruction, fmaf() costs far more than the division that it saves. */
#ifdef __FP_FAST_FMAF
#define HAVE_CORRECT 1
#else
#define HAVE_CORRECT 0
#endif
#define CORRECT_ANY HAVE_CORRECT

/* What a run keeps in registers. */
struct constants {
    float scale;
    float reciprocal;
    float reciprocal_rest;
    uint32_t cap; /* of |x|, in the input's format; of negative x too */
    uint32_t low_cap;
};

QB__INLINE struct constants constants_make(const struct qb__divisor *d, const enum qb_format input,
                                           const enum qb_format output)
{
    (void)input;
    return (struct constants){
        .scale = d->scale,
        .reciprocal = d->reciprocal,
        .reciprocal_rest = d->reciprocal_rest,
        .cap = d->cap,
        .low_cap = qb__is_integer(output) ? d->low_cap : d->cap,
    };
}

/* |x| of half or bfloat16, without its sign in H. A half of 2^16 and above is an infinity or a NaN, and wrong here. */
QB__INLINE float widen(uint16_t h, const enum qb_format input)
{
    /* A half's exponent is read as one that is 112 too small, so subnormal halves become subnormal floats. */
    return input == QB_FORMAT_F16 ? qb__float_of((uint32_t)h << 13) * 0x1p112f : qb__float_of((uint32_t)h << 16);
}

/* True if some |x| of LANES elements is above MOST, in the input's bits: a NaN always is. */
QB__INLINE bool is_above(const void *x, uint32_t most, const enum qb_format input)
{
    uint32_t above = 0;
    uint16_t above16 = 0;

    for (int i = 0; i < LANES; i++) {
        if (input == QB_FORMAT_F32) {
            above |= -(uint32_t)((int32_t)(((const word32 *)x)[i] & 0x7FFFFFFF) > (int32_t)most);
        } else {
            above16 |= (uint16_t) - (uint16_t)((int16_t)(((const word16 *)x)[i] & 0x7FFF) > (int16_t)most);
        }
    }
    return above != 0 || above16 != 0;
}

/* The largest number that is_above() may let through. */
QB__INLINE uint32_t largest_finite(const enum qb_format input)
{
    return qb__formats[input].largest_code;
}

/* A copy of COUNT elements with zeros after them, for a block that is not full. */
struct padded {
    uint32_t x[LANES];
};

QB__INLINE struct padded pad(const void *x, size_t count, const enum qb_format input)
{
    struct padded padded = {{0}};

    memcpy(padded.x, x, count * qb__element_size(input));
    return padded;
}

QB__INLINE uint32_t load_one(const void *x, size_t index, const enum qb_format input)
{
    uint32_t bits = 0;

    memcpy(&bits, (const char *)x + index * qb__element_size(input), qb__element_size(input));
#if defined __BYTE_ORDER__ && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bits = input == QB_FORMAT_F32 ? bits : bits >> 16;
#endif
    return input == QB_FORMAT_F32 ? bits : input == QB_FORMAT_BF16 ? bits << 16 : qb__bits_of(qb__half_value(bits));
}

QB__INLINE float quotient_of(float x, float scale, float reciprocal, float rest, const enum qb__quotient quotient)
{
    if (quotient == QB__QUOTIENT_DIVIDE) {
        return x / scale;
    }
    return quotient == QB__QUOTIENT_MULTIPLY ? x * reciprocal : __builtin_fmaf(x, reciprocal, x * rest);
}

/* COUNT codes, one by one: of a block with infinities or NaN. */
static void encode_special(const struct qb__run run, const float scales[LANES], const enum qb_format input,
                           const enum qb_format output)
{
    for (size_t i = 0; i < run.count; i++) {
        uint32_t bits = load_one(run.x, i, input);
        float magnitude = qb__float_of(bits & 0x7FFFFFFF);

        if ((bits & 0x7FFFFFFF) > QB__F32_INF) {
            run.out[i] = (uint8_t)qb__formats[output].nan_code;
        } else {
            run.out[i] = code_of(magnitude / scales[i], bits >> 31 ? -1 : 0, output, false);
        }
    }
}

/* How encode_lanes() is to treat what is large; constant. */
struct care {
    bool fits; /* no quotient needs saturation */
    bool cap;  /* there may be NaN and what is above the caps */
};

/* LANES codes. SCALES are those of the elements, all the same unless QUOTIENT is DIVIDE. */
QB__INLINE void encode_lanes(const struct qb__run run, const float scales[LANES], const struct constants *c,
                             const struct qb__pair pair, const enum qb__quotient quotient, const struct care care)
{
    const enum qb_format input = pair.input, output = pair.output;
    const int16_t infinity = (int16_t)qb__infinity(input);
    const uint8_t nan_code = (uint8_t)qb__formats[output].nan_code;
    /* Caps are in 16 bits, of which even the smallest instruction sets have a minimum. */
    const int16_t most = (int16_t)c->cap, more = (int16_t)(c->low_cap - c->cap);
    const float reciprocal = c->reciprocal, rest = c->reciprocal_rest;
    uint8_t codes[LANES];

    for (int i = 0; i < LANES; i++) {
        if (input == QB_FORMAT_F32) {
            uint32_t bits = ((const word32 *)run.x)[i];
            float v = quotient_of(qb__float_of(bits & 0x7FFFFFFF), scales[i], reciprocal, rest, quotient);

            codes[i] = code_of(v, (int16_t)((int32_t)bits >> 31), output, care.fits);
        } else {
            uint16_t bits = ((const word16 *)run.x)[i];
            int16_t sign = (int16_t)((int16_t)bits >> 15), magnitude = (int16_t)(bits & 0x7FFF);
            int16_t limit = (int16_t)(most + (sign & more));
            uint16_t cut = (uint16_t)(care.cap && magnitude > limit ? limit : magnitude);
            float v = quotient_of(widen(cut, input), scales[i], reciprocal, rest, quotient);
            uint8_t code = code_of(v, sign, output, care.fits);

            codes[i] = care.cap && magnitude > infinity ? nan_code : code;
        }
    }
    memcpy(run.out, codes, LANES);
}

/* LANES codes. A look at what is above the caps costs less than to cut to them. */
QB__INLINE void encode_full(const struct qb__run run, const float scales[LANES], const struct constants *c,
                            const struct qb__pair pair, const enum qb__quotient quotient, const bool clean)
{
    const bool caps = quotient == QB__QUOTIENT_MULTIPLY, divides = quotient == QB__QUOTIENT_DIVIDE;
    const bool above = !clean && is_above(run.x, divides ? largest_finite(pair.input) : c->cap, pair.input);

    if (!above) {
        encode_lanes(run, scales, c, pair, quotient, (struct care){.fits = caps || (clean && !divides)});
    } else if (caps) {
        encode_lanes(run, scales, c, pair, quotient, (struct care){.fits = true, .cap = true});
    } else {
        encode_special(run, scales, pair.input, pair.output);
    }
}

/* The same for up to LANES. */
QB__INLINE void encode_some(const struct qb__run run, const float scales[LANES], const struct constants *c,
                            const struct qb__pair pair, const enum qb__quotient quotient, const bool clean)
{
    struct qb__run full = {run.out, run.x, LANES};
    struct padded padded;
    uint8_t codes[LANES];

    if (run.count < LANES) {
        padded = pad(run.x, run.count, pair.input);
        full.x = padded.x;
        full.out = codes;
    }
    encode_full(full, scales, c, pair, quotient, clean);
    if (run.count < LANES) {
        memcpy(run.out, codes, run.count);
    }
}

QB__INLINE void encode_part(const struct qb__run run, const struct constants *c, const struct qb__pair pair,
                            const struct qb__way way)
{
    const float scale = c->scale;
    float scales[LANES];

    for (int i = 0; i < LANES; i++) {
        scales[i] = scale;
    }
    if (way.quotient == QB__QUOTIENT_DIVIDE) {
        encode_some(run, scales, c, pair, QB__QUOTIENT_DIVIDE, way.clean);
    } else if (way.quotient == QB__QUOTIENT_MULTIPLY) {
        encode_some(run, scales, c, pair, QB__QUOTIENT_MULTIPLY, way.clean);
    } else {
        encode_some(run, scales, c, pair, QB__QUOTIENT_CORRECT, way.clean);
    }
}

QB__INLINE bool encode_block(uint8_t *out, const void *x, const struct constants *c, const struct qb__pair pair,
                             const struct qb__way way)
{
    encode_part((struct qb__run){out, x, LANES}, c, pair, way);
    return true;
}

/* Only the division has a scale for each element. */
QB__INLINE void encode_block_columns(const struct qb__rows rows, const struct qb__columns *columns, size_t first,
                                     const struct qb__pair pair, const struct qb__way way)
{
    const struct constants none = {0};
    float scales[LANES];
    struct qb__run run = {rows.out, rows.x, rows.count};

    for (size_t i = 0; i < LANES; i++) {
        scales[i] = i < rows.count ? columns->scale[first + i] : 1.0f;
    }
    for (size_t row = rows.rows; row > 0; row--) {
        encode_some(run, scales, &none, pair, QB__QUOTIENT_DIVIDE, way.clean);
        run.out += rows.out_stride;
        run.x = at(run.x, rows.stride, pair.input);
    }
}

QB__INLINE bool amax_block_columns(const struct qb__rows rows, float *amax, const enum qb_format input,
                                   const bool no_nan)
{
    const uint32_t infinity = largest_finite(input) + 1;
    const void *x = rows.x;

    for (size_t row = rows.rows; row > 0; row--, x = at(x, rows.stride, input)) {
        if (!no_nan && rows.count == LANES && is_above(x, infinity, input)) {
            return true;
        }
        if (rows.count < LANES || is_above(x, largest_finite(input), input)) {
            for (size_t i = 0; i < rows.count; i++) {
                float value = qb__float_of(load_one(x, i, input) & 0x7FFFFFFF);

                if (value != value && !no_nan) {
                    return true;
                }
                amax[i] = value > amax[i] ? value : amax[i];
            }
        } else {
            for (int i = 0; i < LANES; i++) {
                float value = input == QB_FORMAT_F32 ? qb__float_of(((const word32 *)x)[i] & 0x7FFFFFFF)
                                                     : widen(((const word16 *)x)[i] & 0x7FFF, input);

                amax[i] = larger(value, amax[i]);
            }
        }
    }
    return false;
}

QB__INLINE uint32_t amax_run(const void *x, size_t count, const enum qb_format input, const bool no_nan)
{
    uint32_t amax = 0;

    if (input == QB_FORMAT_F32) {
        const word32 *p = x;
        int32_t most[LANES] = {0}; /* signed: SSE2 and older compare only signed integers */

        for (; count >= LANES; count -= LANES, p += LANES) {
            for (int i = 0; i < LANES; i++) {
                int32_t m = (int32_t)(p[i] & 0x7FFFFFFF);

                m = no_nan && m > (int32_t)QB__F32_INF ? 0 : m;
                most[i] = m > most[i] ? m : most[i];
            }
        }
        for (size_t i = 0; i < count; i++) {
            int32_t m = (int32_t)(p[i] & 0x7FFFFFFF);

            m = no_nan && m > (int32_t)QB__F32_INF ? 0 : m;
            most[i] = m > most[i] ? m : most[i];
        }
        for (int i = 0; i < LANES; i++) {
            amax = (uint32_t)most[i] > amax ? (uint32_t)most[i] : amax;
        }
    } else {
        const int16_t infinity = (int16_t)qb__infinity(input);
        const word16 *p = x;
        int16_t most[LANES] = {0};

        for (; count >= LANES; count -= LANES, p += LANES) {
            for (int i = 0; i < LANES; i++) {
                int16_t m = (int16_t)(p[i] & 0x7FFF);

                m = no_nan && m > infinity ? 0 : m;
                most[i] = m > most[i] ? m : most[i];
            }
        }
        for (size_t i = 0; i < count; i++) {
            int16_t m = (int16_t)(p[i] & 0x7FFF);

            m = no_nan && m > infinity ? 0 : m;
            most[i] = m > most[i] ? m : most[i];
        }
        for (int i = 0; i < LANES; i++) {
            amax = (uint32_t)most[i] > amax ? (uint32_t)most[i] : amax;
        }
    }
    return amax;
}

#include "kernels_body.h"
