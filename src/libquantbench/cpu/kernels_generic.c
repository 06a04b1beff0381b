/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_generic.c - the inner routines in plain C, for any CPU. The loops over arrays of LANES elements have no
 * branches, so that a compiler can turn them into whatever vectors the target always has. */
#include <config.h>

#include "kernels.h"

#define ISA generic
#define LANES 32

/* Where there is no fused multiply-add instruction, fmaf() costs far more than the division that it saves. */
#ifdef __FP_FAST_FMAF
#define HAVE_CORRECT 1
#else
#define HAVE_CORRECT 0
#endif

/* What a run keeps in registers. */
struct constants {
    float scale;
    float reciprocal;
    uint32_t cap;
};

QB__INLINE struct constants constants_make(const struct qb__divisor *d, const enum qb_format input,
                                           const enum qb_format output)
{
    (void)output;
    /* As binary32: x is widened before it is cut. */
    return (struct constants){
        .scale = d->scale,
        .reciprocal = d->reciprocal,
        .cap = input == QB_FORMAT_F16    ? qb__bits_of(qb__half_value(d->cap))
               : input == QB_FORMAT_BF16 ? d->cap << 16
                                         : d->cap,
    };
}

/* COUNT elements as the bits of binary32, 0 beyond. */
QB__INLINE void load_block(uint32_t bits[LANES], const void *x, size_t count, const enum qb_format input)
{
    uint16_t halves[LANES] = {0};

    if (input == QB_FORMAT_F32) {
        if (count < LANES) {
            memset(bits, 0, LANES * sizeof *bits);
        }
        memcpy(bits, x, count * sizeof *bits);
        return;
    }
    memcpy(halves, x, count * sizeof *halves);
    for (int i = 0; i < LANES; i++) {
        uint32_t h = halves[i];

        if (input == QB_FORMAT_BF16) {
            bits[i] = h << 16;
        } else {
            /* See qb__half_value(). */
            uint32_t magnitude = (h & 0x7FFF) << 13;
            uint32_t normal = magnitude + ((magnitude >= 31u << 23 ? 224u : 112u) << 23);
            uint32_t subnormal = qb__bits_of((float)(int32_t)(h & 0x3FF) * 0x1p-24f);

            bits[i] = (h & 0x8000) << 16 | (magnitude < 1u << 23 ? subnormal : normal);
        }
    }
}

QB__INLINE float quotient_of(float x, float scale, float reciprocal, const enum qb__quotient quotient)
{
    float q;

    if (quotient == QB__QUOTIENT_DIVIDE) {
        return x / scale;
    }
    q = x * reciprocal;
    return __builtin_fmaf(__builtin_fmaf(-q, scale, x), reciprocal, q);
}

/* The code of |v| and the bits of x, which tell its sign and whether it is NaN. */
QB__INLINE uint32_t code_of(float v, uint32_t x, const enum qb_format output)
{
    const bool e4m3 = output == QB_FORMAT_E4M3;
    const uint32_t least = e4m3 ? 121u << 23 : 113u << 23; /* 2^-6, 2^-14: of the normal numbers */
    const uint32_t magnitude = x & 0x7FFFFFFF;
    uint32_t code;

    if (output == QB_FORMAT_INT8) {
        /* Adding 1.5 * 2^23 leaves the integer in the low bits, rounded to nearest even. */
        const float magic = 0x1.8p23f;
        int32_t most = 127 + (int32_t)(x >> 31);
        int32_t negative = -(int32_t)(x >> 31);
        int32_t n;

        v = v < 128.0f ? v : 128.0f;
        n = (int32_t)(qb__bits_of(v + magic) & 0xFF);
        n = n < most ? n : most;
        code = (uint32_t)((n ^ negative) - negative);
        return magnitude > QB__F32_INF ? 0 : code;
    }
    /* See fp8_code() in kernels_avx2.c: the sum's mantissa is v in units of the code's last place. */
    const float most = e4m3 ? 448.0f : 57344.0f;
    uint32_t power, sum;

    v = v < most ? v : most;
    power = qb__bits_of(v) & QB__F32_INF;
    power = power > least ? power : least;
    sum = qb__bits_of(v + qb__float_of(power + ((e4m3 ? 20u : 21u) << 23)));
    code = e4m3 ? sum + (sum >> 20) - 8 * (20 + 127 - 6) : sum + (sum >> 21) - 4 * (21 + 127 - 14);
    code = (code & 0x7F) | (x >> 24 & 0x80);
    return magnitude > QB__F32_INF ? 0x7F : code;
}

QB__INLINE void encode_block(uint8_t *out, const void *x, size_t count, const struct constants *c,
                             const enum qb_format input, const enum qb_format output,
                             const enum qb__quotient quotient, const bool clean, const bool stream)
{
    const bool cap = quotient != QB__QUOTIENT_DIVIDE && !clean;
    const struct constants k = *c;
    uint32_t bits[LANES];
    uint8_t codes[LANES];

    (void)stream;
    load_block(bits, x, count, input);
    for (int i = 0; i < LANES; i++) {
        uint32_t magnitude = bits[i] & 0x7FFFFFFF;

        if (cap) {
            magnitude = magnitude < k.cap ? magnitude : k.cap;
        }
        codes[i] = (uint8_t)code_of(quotient_of(qb__float_of(magnitude), k.scale, k.reciprocal, quotient), bits[i],
                                    output);
    }
    memcpy(out, codes, count);
}

QB__INLINE void encode_block_columns(uint8_t *out, const void *x, size_t count, const float *scales,
                                     const enum qb_format input, const enum qb_format output)
{
    uint32_t bits[LANES];
    float divisors[LANES];
    uint8_t codes[LANES];

    for (int i = 0; i < LANES; i++) {
        divisors[i] = 1.0f;
    }
    memcpy(divisors, scales, count * sizeof *scales);
    load_block(bits, x, count, input);
    for (int i = 0; i < LANES; i++) {
        codes[i] = (uint8_t)code_of(qb__float_of(bits[i] & 0x7FFFFFFF) / divisors[i], bits[i], output);
    }
    memcpy(out, codes, count);
}

QB__INLINE void amax_block_columns(const void *x, size_t count, float *amax, const enum qb_format input)
{
    uint32_t bits[LANES];
    float most[LANES] = {0};

    load_block(bits, x, count, input);
    memcpy(most, amax, count * sizeof *amax);
    for (int i = 0; i < LANES; i++) {
        float value = qb__float_of(bits[i] & 0x7FFFFFFF);

        most[i] = value > most[i] ? value : most[i];
    }
    memcpy(amax, most, count * sizeof *amax);
}

QB__INLINE uint32_t amax_run(const void *x, size_t count, const enum qb_format input, const bool no_nan)
{
    uint32_t amax = 0;

    if (input == QB_FORMAT_F32) {
        const uint32_t *p = x;
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
        const int16_t infinity = input == QB_FORMAT_F16 ? 0x7C00 : 0x7F80;
        const uint16_t *p = x;
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

static void copy_stream(void *target, const void *source, size_t bytes)
{
    memcpy(target, source, bytes);
}

static void fence(void)
{
}

#include "kernels_body.h"
