/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_values_generic.c - the routines for values in plain C, for any CPU; NEON has no others. Loops have no
 * branches where compilers can make vectors of them. */
#include <config.h>

#include "kernels_codes.h"
#include "values.h"

#include <pthread.h>

#define ISA generic

enum { EACH = 512 }; /* elements that are worked on at a time */

/* ---- Elements ------------------------------------------------------------------------------------------------------
 */

QB__INLINE float load_value(const void *x, size_t i, const enum qb_format format)
{
    uint32_t bits;

    if (format == QB_FORMAT_F32) {
        return qb__float_of(((const word32 *)x)[i]);
    }
    bits = ((const word16 *)x)[i];
    return format == QB_FORMAT_BF16 ? qb__float_of(bits << 16)
                                    : qb__float_of(half_bits(bits & 0x7FFF) | (bits & 0x8000) << 16);
}

/* The bits of X rounded to FORMAT; a NaN is the format's own. */
QB__INLINE uint32_t value_bits(float x, const enum qb_format format)
{
    const uint32_t bits = qb__bits_of(x), magnitude = bits & 0x7FFFFFFF, sign = bits >> 31;
    uint32_t rounded;

    if (format == QB_FORMAT_F32) {
        rounded = magnitude;
    } else if (format == QB_FORMAT_BF16) {
        rounded = (magnitude + 0x7FFF + (magnitude >> 16 & 1)) >> 16;
    } else {
        const uint32_t cut = magnitude < 0x47800000u ? magnitude : 0x47800000u; /* 2^16: infinite */
        const uint32_t normal = (cut + 0xFFF + (cut >> 13 & 1) - (112u << 23)) >> 13;
        const uint32_t subnormal = qb__bits_of(qb__float_of(cut) + 0.5f) - qb__bits_of(0.5f); /* units of 2^-24 */

        rounded = cut < 113u << 23 ? subnormal : normal;
    }
    return magnitude > QB__F32_INF ? qb__formats[format].nan_code : rounded | sign << (qb__formats[format].bits - 1);
}

QB__INLINE void store_value(void *out, size_t i, float x, const enum qb_format format)
{
    if (format == QB_FORMAT_F32) {
        ((word32 *)out)[i] = value_bits(x, format);
    } else {
        ((word16 *)out)[i] = (word16)value_bits(x, format);
    }
}

QB__INLINE float rounded_to(float x, const enum qb_format format)
{
    const uint32_t bits = value_bits(x, format);

    return format == QB_FORMAT_F32    ? x
           : format == QB_FORMAT_BF16 ? qb__float_of(bits << 16)
                                      : qb__float_of(half_bits(bits & 0x7FFF) | (bits & 0x8000) << 16);
}

/* COUNT elements as numbers, and back. */
QB__INLINE void load_values(float *v, const void *x, size_t count, const enum qb_format format)
{
    for (size_t i = 0; i < count; i++) {
        v[i] = load_value(x, i, format);
    }
}

QB__INLINE void store_values(void *out, const float *v, size_t count, const enum qb_format format)
{
    for (size_t i = 0; i < count; i++) {
        store_value(out, i, v[i], format);
    }
}

/* What is not in one of two loops, for each format. */
static void store_as(void *out, const float *v, size_t count, enum qb_format format)
{
    if (format == QB_FORMAT_F16) {
        store_values(out, v, count, QB_FORMAT_F16);
    } else if (format == QB_FORMAT_BF16) {
        store_values(out, v, count, QB_FORMAT_BF16);
    } else {
        store_values(out, v, count, QB_FORMAT_F32);
    }
}

/* ---- Activations ---------------------------------------------------------------------------------------------------
 */

/* e^-A, for A >= 0 or NaN. */
QB__INLINE float exponential(float a)
{
    const float shifted = __builtin_fmaf(a, QB__EXP_LOG2, QB__EXP_MAGIC), k = shifted - QB__EXP_MAGIC;
    const float r = __builtin_fmaf(k, QB__EXP_LN2_LOW, __builtin_fmaf(k, QB__EXP_LN2_HIGH, -a));
    float p = qb__exp_coefficients[0];

    for (int i = 1; i < QB__EXP_COEFFICIENTS; i++) {
        p = __builtin_fmaf(p, r, qb__exp_coefficients[i]);
    }
    /* The low bits of SHIFTED are the exponent. */
    return a <= QB__EXP_TAIL ? qb__float_of(qb__bits_of(p) + (qb__bits_of(shifted) << 23)) : 0;
}

/* G * sigmoid(T). */
QB__INLINE float gated(float g, float t)
{
    const float e = exponential(t < 0 ? -t : t);

    return (t < 0 ? g * e : g) / (1 + e);
}

/* GELU of G by the error function. */
QB__INLINE float gelu_by_erf(float g)
{
    const float t = 1 / __builtin_fmaf(QB__ERF_POLE, g < 0 ? -g : g, 1);
    float q = qb__erf_coefficients[0], c;

    for (int i = 1; i < QB__ERF_COEFFICIENTS; i++) {
        q = __builtin_fmaf(q, t, qb__erf_coefficients[i]);
    }
    c = t * q * exponential(g * g * 0.5F);
    return g * (g < 0 ? c : 1 - c);
}

QB__INLINE float silu(float g, const enum qb_format input)
{
    return input == QB_FORMAT_F16 && g == QB__SILU_GATE ? QB__SILU_VALUE : rounded_to(gated(g, g), input);
}

#ifdef __FP_FAST_FMAF
#define SILU(g, input) silu(g, input)
#else
/* Where there is no fused multiply-add instruction: the activations of all elements, by their bits. */
static word16 silu_table[2][1 << 16];
static pthread_once_t silu_once = PTHREAD_ONCE_INIT;

static void silu_fill(void)
{
    for (uint32_t bits = 0; bits < 1 << 16; bits++) {
        const word16 element = (word16)bits;

        silu_table[QB_FORMAT_F16][bits] =
            (word16)value_bits(silu(load_value(&element, 0, QB_FORMAT_F16), QB_FORMAT_F16), QB_FORMAT_F16);
        silu_table[QB_FORMAT_BF16][bits] =
            (word16)value_bits(silu(load_value(&element, 0, QB_FORMAT_BF16), QB_FORMAT_BF16), QB_FORMAT_BF16);
    }
}

#define SILU(g, input) load_value(silu_table[input], value_bits(g, input), input)
#endif

/* The activations of COUNT gates. */
QB__INLINE void activations(const struct qb__gated *row, float *g, size_t count, const enum qb_format input)
{
    if (input != QB_FORMAT_F32 && row->exact) {
        for (size_t i = 0; i < count; i++) {
            g[i] = SILU(g[i], input);
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const float slope = __builtin_fmaf(g[i] * g[i], QB__GELU_CUBE, QB__GELU_SLOPE);

        g[i] = row->erf ? gelu_by_erf(g[i]) : gated(g[i], g[i] * (row->gelu ? slope : row->alpha));
        g[i] = row->rounds ? rounded_to(g[i], input) : g[i];
    }
}

QB__INLINE void gated_any(const struct qb__gated *row, const enum qb_format input)
{
    const size_t step = row->pairs ? 2 : 1, size = qb__element_size(input);
    const char *gate = row->gate, *up = row->pairs ? gate + size : row->up;
    char *out = row->out;

#ifndef __FP_FAST_FMAF
    if (row->exact) {
        pthread_once(&silu_once, silu_fill);
    }
#endif
    for (size_t first = 0; first < row->count; first += EACH) {
        const size_t count = row->count - first < EACH ? row->count - first : EACH;
        float g[EACH], u[EACH];

        for (size_t i = 0; i < count; i++) {
            g[i] = load_value(gate, i * step, input);
            u[i] = load_value(up, i * step, input);
            g[i] = g[i] > row->limit ? row->limit : g[i];
            u[i] = u[i] > row->limit ? row->limit : u[i] < -row->limit ? -row->limit : u[i];
        }
        activations(row, g, count, input);
        for (size_t i = 0; i < count && row->offset != 0; i++) {
            u[i] = u[i] + row->offset;
            u[i] = row->rounds ? rounded_to(u[i], input) : u[i];
        }
        for (size_t i = 0; i < count; i++) {
            g[i] = g[i] * u[i];
        }
        store_as(out, g, count, row->to);
        gate += count * step * size;
        up += count * step * size;
        out += count * qb__element_size(row->to);
    }
}

/* ---- Norms ---------------------------------------------------------------------------------------------------------
 */

/* Add the squares of COUNT elements to C. A product of 16-bit elements is exact unless they are tiny, and so the sum of
 * it is that of a fused operation. */
QB__INLINE void squares(float *c, const void *x, size_t count, const enum qb_format input)
{
    uint32_t tiny = input == QB_FORMAT_F32;

    for (size_t i = 0; i < count && input == QB_FORMAT_BF16; i++) {
        const uint32_t magnitude = ((const word16 *)x)[i] & 0x7FFF;

        tiny |= (uint32_t)(magnitude - 1 < 64u << 7); /* 2^-63 */
    }
    if (tiny) {
        for (size_t i = 0; i < count; i++) {
            const float y = load_value(x, i, input);

            c[i] = __builtin_fmaf(y, y, c[i]);
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            const float y = load_value(x, i, input);

            c[i] = c[i] + y * y;
        }
    }
}

QB__INLINE float sum_of_squares(const void *x, size_t count, const enum qb_format input)
{
    float sums[QB__NORM_COLUMNS] = {0};

    for (size_t i = 0; i < count; i += QB__NORM_COLUMNS) {
        squares(sums, at(x, i, input), count - i < QB__NORM_COLUMNS ? count - i : QB__NORM_COLUMNS, input);
    }
    for (int left = QB__NORM_COLUMNS / 2; left > 0; left /= 2) {
        for (int i = 0; i < left; i++) {
            sums[i] = sums[2 * i] + sums[2 * i + 1];
        }
    }
    return sums[0];
}

QB__INLINE void norm_any(const struct qb__norm *row, const enum qb_format input)
{
    const void *y = row->residual != NULL ? row->sum : row->x;
    float factor;

    for (size_t i = 0; i < row->count && row->residual != NULL; i++) {
        store_value(row->sum, i, load_value(row->x, i, input) + load_value(row->residual, i, input), input);
    }
    factor = 1 / __builtin_sqrtf(sum_of_squares(y, row->count, input) / (float)row->count + row->epsilon);
    for (size_t first = 0; first < row->count; first += EACH) {
        const size_t count = row->count - first < EACH ? row->count - first : EACH;
        float v[EACH], w[EACH];

        load_values(v, at(y, first, input), count, input);
        if (row->float_weights) {
            load_values(w, at(row->weights, first, QB_FORMAT_F32), count, QB_FORMAT_F32);
        } else {
            load_values(w, at(row->weights, first, input), count, input);
        }
        for (size_t i = 0; i < count; i++) {
            const float scaled = v[i] * factor;

            v[i] = (row->rounds ? rounded_to(scaled, input) : scaled) * w[i];
        }
        store_as((char *)row->out + first * qb__element_size(row->to), v, count, row->to);
    }
}

/* ---- Rotations -----------------------------------------------------------------------------------------------------
 */

/* Up to EACH pairs from pair FIRST of a head on: X and OUT are those of the head. */
QB__INLINE void rope_pairs(const struct qb__rope *row, const char *x, char *out, size_t first,
                           const enum qb_format input, const enum qb_format angles)
{
    const size_t step = row->adjacent ? 2 : 1, apart = row->adjacent ? 1 : row->half;
    const size_t count = row->half - first < EACH ? row->half - first : EACH;
    const char *cosines = at(row->cosines, first, angles), *sines = at(cosines, row->half, angles);
    float y[EACH], z[EACH], both[2 * EACH];

    for (size_t i = 0; i < count; i++) {
        const float a = load_value(x, (first + i) * step, input), b = load_value(x, (first + i) * step + apart, input);
        const float c = load_value(cosines, i, angles), s = load_value(sines, i, angles);
        const float ac = a * c, bs = b * s, bc = b * c, as = a * s;

        y[i] = ac - bs;
        z[i] = bc + as;
    }
    if (!row->adjacent) {
        const size_t size = qb__element_size(row->to);

        store_as(out + first * size, y, count, row->to);
        store_as(out + (first + row->half) * size, z, count, row->to);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        both[2 * i] = y[i];
        both[2 * i + 1] = z[i];
    }
    store_as(out + 2 * first * qb__element_size(row->to), both, 2 * count, row->to);
}

/* What is not rotated. */
QB__INLINE void rope_rest(const struct qb__rope *row, const char *x, char *out, const enum qb_format input)
{
    for (size_t first = 2 * row->half; first < row->head; first += EACH) {
        const size_t count = row->head - first < EACH ? row->head - first : EACH;
        float v[EACH];

        load_values(v, at(x, first, input), count, input);
        store_as(out + first * qb__element_size(row->to), v, count, row->to);
    }
}

QB__INLINE void rope_any(const struct qb__rope *row, const enum qb_format input)
{
    const char *x = row->x;
    char *out = row->out;

    for (size_t head = 0; head < row->heads; head++) {
        for (size_t first = 0; first < row->half; first += EACH) {
            if (row->float_angles) {
                rope_pairs(row, x, out, first, input, QB_FORMAT_F32);
            } else {
                rope_pairs(row, x, out, first, input, input);
            }
        }
        rope_rest(row, x, out, input);
        x += row->head * qb__element_size(input);
        out += row->head * qb__element_size(row->to);
    }
}

/* ---- Codes to values -----------------------------------------------------------------------------------------------
 */

/* The number that CODE stands for. */
QB__INLINE float number_of(uint32_t code, const enum qb_format from)
{
    const struct qb_format_info *f = &qb__formats[from];
    const uint32_t sign = qb__is_signed(from) ? code >> (f->bits - 1) & 1 : 0;
    const uint32_t digits = code & ((1u << (f->bits - (qb__is_signed(from) ? 1 : 0))) - 1);
    const uint32_t exponent = digits >> f->mantissa_bits, mantissa = digits & ((1u << f->mantissa_bits) - 1);
    float magnitude;

    if (qb__is_integer(from)) {
        return (float)((int)digits - (int)(sign << (f->bits - 1)));
    }
    if (f->specials == QB_SPECIALS_NAN && digits == f->nan_code) {
        return qb__float_of(0x7FC00000);
    }
    if (f->specials == QB_SPECIALS_IEEE && exponent == (1u << f->exponent_bits) - 1) {
        magnitude = qb__float_of(mantissa == 0 ? QB__F32_INF : 0x7FC00000);
    } else if (exponent == 0) {
        magnitude = (float)mantissa * qb__float_of(qb__power_bits(qb__least_exponent(from) - (int)f->mantissa_bits));
    } else {
        magnitude = qb__float_of((exponent + 127 - (uint32_t)f->bias) << 23 | mantissa << (23 - f->mantissa_bits));
    }
    return sign ? -magnitude : magnitude;
}

/* The numbers of all codes of FROM. */
static void fill_numbers(float numbers[256], enum qb_format from)
{
    for (uint32_t code = 0; code < 1u << qb__formats[from].bits; code++) {
        numbers[code] = number_of(code, from);
    }
}

QB__INLINE void decode_any(const struct qb__decode *run, const enum qb_format to)
{
    const bool nibbles = qb__formats[run->from].bits == 4;
    float numbers[256] = {0};
    const uint32_t mask = (1u << qb__formats[run->from].bits) - 1;

    fill_numbers(numbers, run->from);
    for (size_t i = 0; i < run->count; i++) {
        const uint8_t byte = run->codes[nibbles ? i / 2 : i];
        float q = numbers[(nibbles && i % 2 == 1 ? byte >> 4 : byte) & mask];

        q = run->zeros != NULL ? q - run->zeros[i >> run->shift] : q;
        q = q * run->scales[i >> run->shift];
        store_value(run->out, i, run->has_tensor ? q * run->tensor : q, to);
    }
}

#include "kernels_values_body.h"
