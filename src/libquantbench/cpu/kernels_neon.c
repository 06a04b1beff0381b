/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_neon.c - the inner routines for NEON, which every 64-bit ARM processor has. */
#include <config.h>

#ifdef HAVE_ARM_NEON

#include <arm_neon.h>

#include "kernels.h"
#include "kernels_plain.h"

#define ISA           neon
#define CODES         QB__VECTOR_CODES
#define LANES         32
#define HAVE_CORRECT  1
#define HAVE_MULTIPLY 1
#define SATURATING    1

/* What a run keeps in registers. */
struct constants {
    float32x4_t scale;
    float32x4_t reciprocal;
    float32x4_t reciprocal_rest;
    uint32_t cap;
};

QB__INLINE struct constants constants_make(const struct qb__divisor *d, const enum qb_format input,
                                           const enum qb_format output)
{
    (void)input;
    (void)output;
    return (struct constants){vdupq_n_f32(d->scale), vdupq_n_f32(d->reciprocal), vdupq_n_f32(d->reciprocal_rest),
                              d->cap};
}

QB__INLINE float32x4_t quotient_of(float32x4_t x, const struct constants *c, const enum qb__quotient quotient)
{
    if (quotient == QB__QUOTIENT_DIVIDE) {
        return vdivq_f32(x, c->scale);
    }
    if (quotient == QB__QUOTIENT_MULTIPLY) {
        float32x4_t q = vmulq_f32(x, c->reciprocal);

        __asm__("" : "+w"(q)); /* not to be contracted with what follows */
        return q;
    }
    return vfmaq_f32(vmulq_f32(x, c->reciprocal_rest), x, c->reciprocal);
}

/* LANES elements as floats, in order. */
struct block {
    float32x4_t v[8];
};

QB__INLINE struct block load_block(const void *x, const enum qb_format input)
{
    struct block b;

    QB__UNROLL
    for (int i = 0; i < 8; i++) {
        if (input == QB_FORMAT_F32) {
            b.v[i] = vld1q_f32((const float *)x + 4 * i);
        } else {
            uint16x4_t bits = vld1_u16((const uint16_t *)x + 4 * i);

            b.v[i] = input == QB_FORMAT_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(bits))
                                            : vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
        }
    }
    return b;
}

/* |x| as integers, which order as the numbers do: 4 floats at element I, or 8 of 16 bits. */
QB__INLINE uint32x4_t magnitudes32(const void *x, size_t i)
{
    return vandq_u32(vld1q_u32((const uint32_t *)x + i), vdupq_n_u32(0x7FFFFFFF));
}

QB__INLINE uint16x8_t magnitudes16(const void *x, size_t i)
{
    return vandq_u16(vld1q_u16((const uint16_t *)x + i), vdupq_n_u16(0x7FFF));
}

QB__INLINE uint16x8_t infinity16(const enum qb_format input)
{
    return vdupq_n_u16((uint16_t)qb__infinity(input));
}

/* The high bytes of 16 elements from I on. */
QB__INLINE uint8x16_t high_bytes(const void *x, size_t i, const enum qb_format input)
{
    uint16x8_t low, high;

    if (input == QB_FORMAT_F32) {
        const uint32_t *p = (const uint32_t *)x + i;

        low = vshrn_high_n_u32(vshrn_n_u32(vld1q_u32(p), 16), vld1q_u32(p + 4), 16);
        high = vshrn_high_n_u32(vshrn_n_u32(vld1q_u32(p + 8), 16), vld1q_u32(p + 12), 16);
    } else {
        low = vld1q_u16((const uint16_t *)x + i);
        high = vld1q_u16((const uint16_t *)x + i + 8);
    }
    return vshrn_high_n_u16(vshrn_n_u16(low, 8), high, 8);
}

/* Bytes of all ones for the NaN among 16 elements from I on. */
QB__INLINE uint8x16_t find_nan(const void *x, size_t i, const enum qb_format input)
{
    uint16x8_t low, high;

    if (input == QB_FORMAT_F32) {
        const uint32x4_t infinity = vdupq_n_u32(QB__F32_INF);

        low = vmovn_high_u32(vmovn_u32(vcgtq_u32(magnitudes32(x, i), infinity)),
                             vcgtq_u32(magnitudes32(x, i + 4), infinity));
        high = vmovn_high_u32(vmovn_u32(vcgtq_u32(magnitudes32(x, i + 8), infinity)),
                              vcgtq_u32(magnitudes32(x, i + 12), infinity));
    } else {
        low = vcgtq_u16(magnitudes16(x, i), infinity16(input));
        high = vcgtq_u16(magnitudes16(x, i + 8), infinity16(input));
    }
    return vmovn_high_u16(vmovn_u16(low), high);
}

/* Whether some |x| of a block is above the cap, or NaN. */
QB__INLINE bool above_cap(const void *x, const struct constants *c, const enum qb_format input)
{
    if (input == QB_FORMAT_F32) {
        uint32x4_t most = magnitudes32(x, 0);

        QB__UNROLL
        for (size_t i = 4; i < LANES; i += 4) {
            most = vmaxq_u32(most, magnitudes32(x, i));
        }
        return vmaxvq_u32(most) > c->cap;
    }
    return vmaxvq_u16(vmaxq_u16(vmaxq_u16(magnitudes16(x, 0), magnitudes16(x, 8)),
                                vmaxq_u16(magnitudes16(x, 16), magnitudes16(x, 24)))) > c->cap;
}

/* |v| to a code in the low byte: see fp8_code() in kernels_avx2.c. */
QB__INLINE uint32x4_t fp8_code(float32x4_t v, const enum qb_format output, const bool any)
{
    const bool e4m3 = output == QB_FORMAT_E4M3;
    uint32x4_t bits = vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0x7FFFFFFF)), power, sum;

    if (any) {
        bits = vminq_u32(bits, vreinterpretq_u32_f32(vdupq_n_f32(qb__formats[output].largest)));
    }
    power = vmaxq_u32(vandq_u32(bits, vdupq_n_u32(QB__F32_INF)),
                      vreinterpretq_u32_f32(vdupq_n_f32(e4m3 ? 0x1p-6f : 0x1p-14f)));
    sum = vreinterpretq_u32_f32(
        vfmaq_f32(vreinterpretq_f32_u32(bits), vreinterpretq_f32_u32(power), vdupq_n_f32(e4m3 ? 0x1p20f : 0x1p21f)));
    return e4m3 ? vsraq_n_u32(sum, sum, 20) : vsraq_n_u32(sum, sum, 21);
}

/* The codes of 16 quotients V of elements X from I on; ANY: they may be NaN or too large. */
QB__INLINE uint8x16_t codes_of(const float32x4_t v[4], const void *x, size_t i, const enum qb_format input,
                               const enum qb_format output, const bool any)
{
    const uint8_t bias = output == QB_FORMAT_E4M3 ? 8 * (20 + 127 - 6) % 256 : 4 * (21 + 127 - 14) % 256;
    uint16x8_t low, high;
    uint8x16_t codes;

    if (output == QB_FORMAT_INT8) {
        /* To nearest even; what is too large saturates, and NaN is 0. */
        int16x8_t first = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(v[0])), vcvtnq_s32_f32(v[1]));
        int16x8_t second = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(v[2])), vcvtnq_s32_f32(v[3]));

        return vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(first), second));
    }
    low = vmovn_high_u32(vmovn_u32(fp8_code(v[0], output, any)), fp8_code(v[1], output, any));
    high = vmovn_high_u32(vmovn_u32(fp8_code(v[2], output, any)), fp8_code(v[3], output, any));
    codes = vsubq_u8(vmovn_high_u16(vmovn_u16(low), high), vdupq_n_u8(bias));
    codes = vbslq_u8(vdupq_n_u8(0x80), high_bytes(x, i, input), codes);
    return any ? vbslq_u8(find_nan(x, i, input), vdupq_n_u8(0x7F), codes) : codes;
}

QB__INLINE bool encode_block(uint8_t *out, const void *x, const struct constants *c, const enum qb_format input,
                             const enum qb_format output, const enum qb__quotient quotient, const bool clean,
                             const bool stream)
{
    struct block b;

    (void)stream;
    /* The quotient in two parts may be NaN for an infinity. */
    if (!clean && (output != QB_FORMAT_INT8 || quotient == QB__QUOTIENT_CORRECT) && above_cap(x, c, input)) {
        return false;
    }
    b = load_block(x, input);
    QB__UNROLL
    for (int i = 0; i < 8; i++) {
        b.v[i] = quotient_of(b.v[i], c, quotient);
    }
    vst1q_u8(out, codes_of(b.v, x, 0, input, output, false));
    vst1q_u8(out + 16, codes_of(b.v + 4, x, 16, input, output, false));
    return true;
}

/* LANES elements of any values, each with a scale of its own. */
QB__INLINE void divide_block(uint8_t *out, const void *x, const float scales[LANES], const enum qb_format input,
                             const enum qb_format output)
{
    struct block b = load_block(x, input);

    QB__UNROLL
    for (int i = 0; i < 8; i++) {
        b.v[i] = vdivq_f32(b.v[i], vld1q_f32(scales + 4 * i));
    }
    vst1q_u8(out, codes_of(b.v, x, 0, input, output, true));
    vst1q_u8(out + 16, codes_of(b.v + 4, x, 16, input, output, true));
}

QB__INLINE void divide_part(uint8_t *out, const void *x, size_t count, const float scales[LANES],
                            const enum qb_format input, const enum qb_format output)
{
    uint32_t padded[LANES] = {0};
    uint8_t codes[LANES];

    memcpy(padded, x, count * qb__element_size(input));
    divide_block(codes, padded, scales, input, output);
    memcpy(out, codes, count);
}

QB__INLINE void encode_part(uint8_t *out, const void *x, size_t count, const struct constants *c,
                            const enum qb_format input, const enum qb_format output, const enum qb__quotient quotient,
                            const bool stream)
{
    float scales[LANES];

    (void)quotient;
    (void)stream;
    QB__UNROLL
    for (int i = 0; i < 8; i++) {
        vst1q_f32(scales + 4 * i, c->scale);
    }
    divide_part(out, x, count, scales, input, output);
}

/* Columns are divided: what else there is does not hold for infinities. */
QB__INLINE void encode_block_columns(uint8_t *out, size_t out_stride, const void *x, size_t stride, size_t rows,
                                     size_t count, const struct qb__columns *columns, size_t first,
                                     const enum qb_format input, const enum qb_format output,
                                     const enum qb__quotient quotient, const bool clean, const bool stream)
{
    float scales[LANES];

    (void)quotient;
    (void)clean;
    (void)stream;
    for (size_t i = 0; i < LANES; i++) {
        scales[i] = i < count ? columns->scale[first + i] : 1.0f;
    }
    for (; rows > 0; rows--, out += out_stride, x = (const char *)x + stride * qb__element_size(input)) {
        if (count == LANES) {
            divide_block(out, x, scales, input, output);
        } else {
            divide_part(out, x, count, scales, input, output);
        }
    }
}

/* |x| of one vector, 0 for NaN if NO_NAN. */
QB__INLINE uint32x4_t amax_vector(const void *x, const enum qb_format input, const bool no_nan)
{
    if (input == QB_FORMAT_F32) {
        uint32x4_t m = magnitudes32(x, 0);

        return no_nan ? vandq_u32(m, vcleq_u32(m, vdupq_n_u32(QB__F32_INF))) : m;
    }
    uint16x8_t m = magnitudes16(x, 0);
    return vreinterpretq_u32_u16(no_nan ? vandq_u16(m, vcleq_u16(m, infinity16(input))) : m);
}

QB__INLINE uint32x4_t maximum(uint32x4_t a, uint32x4_t b, const enum qb_format input)
{
    return input == QB_FORMAT_F32
               ? vmaxq_u32(a, b)
               : vreinterpretq_u32_u16(vmaxq_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)));
}

QB__INLINE uint32_t amax_run(const void *x, size_t count, const enum qb_format input, const bool no_nan)
{
    const size_t step = 16 / qb__element_size(input); /* elements in one vector */
    const char *p = x;
    uint32x4_t m[4] = {vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0)};

    for (; count >= 4 * step; count -= 4 * step, p += 64) {
        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            m[i] = maximum(m[i], amax_vector(p + 16 * i, input, no_nan), input);
        }
    }
    for (; count >= step; count -= step, p += 16) {
        m[0] = maximum(m[0], amax_vector(p, input, no_nan), input);
    }
    if (count > 0) {
        uint32_t rest[4] = {0};

        memcpy(rest, p, count * qb__element_size(input));
        m[1] = maximum(m[1], amax_vector(rest, input, no_nan), input);
    }
    m[0] = maximum(maximum(m[0], m[1], input), maximum(m[2], m[3], input), input);
    return input == QB_FORMAT_F32 ? vmaxvq_u32(m[0]) : vmaxvq_u16(vreinterpretq_u16_u32(m[0]));
}

QB__INLINE bool amax_block_columns(const void *x, size_t stride, size_t rows, size_t count, float *amax,
                                   const enum qb_format input, const bool no_nan)
{
    const int vectors = 2 * vectors_of(input);
    uint32x4_t most[8], above = vdupq_n_u32(0);
    float raised[LANES];
    struct block b;

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        most[i] = vdupq_n_u32(0);
    }
    for (; rows > 0; rows--, x = (const char *)x + stride * qb__element_size(input)) {
        uint32_t padded[LANES] = {0};
        const char *source = x;

        if (count < LANES) {
            memcpy(padded, x, count * qb__element_size(input));
            source = (const char *)padded;
        }
        QB__UNROLL
        for (int i = 0; i < vectors; i++) {
            most[i] = maximum(most[i], amax_vector(source + 16 * i, input, no_nan), input);
        }
    }
    b = load_block(most, input);
    QB__UNROLL
    for (int i = 0; i < 8; i++) {
        above = vmaxq_u32(above, vreinterpretq_u32_f32(b.v[i]));
        vst1q_f32(raised + 4 * i, b.v[i]);
    }
    if (vmaxvq_u32(above) > QB__F32_INF) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        amax[i] = raised[i] > amax[i] ? raised[i] : amax[i];
    }
    return false;
}

#include "kernels_body.h"

#else
/* ISO C wants a declaration in every file. */
typedef int qb__no_neon;
#endif
