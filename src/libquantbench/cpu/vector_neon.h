/* SPDX-License-Identifier: Apache-2.0 */
/* vector_neon.h - the vocabulary of vector.h for NEON, which every 64-bit ARM processor has. */
#ifndef QB_CPU_VECTOR_NEON_H
#define QB_CPU_VECTOR_NEON_H

#include <arm_neon.h>

#include "vector.h"

#define LANES       32
#define FLOATS      4
#define PARTS       (LANES / FLOATS) /* vectors of a block as floats */
#define HAVE_MASKS  0
#define HAVE_STREAM 0

typedef float32x4_t floats;
typedef uint32x4_t words;
typedef uint32_t limits;
typedef uint8x16x2_t codes;

struct block {
    floats v[PARTS];
};

/* ---- Load ------------------------------------------------------------------------------------------------------ */

QB__INLINE words load_vector(const void *x)
{
    return vld1q_u32(x);
}

/* The first COUNT elements at X, fewer than a vector holds, and zeros. */
QB__INLINE words load_rest(const void *x, size_t count, const enum qb_format format)
{
    uint32_t rest[4] = {0};

    memcpy(rest, x, count * qb__element_size(format));
    return vld1q_u32(rest);
}

/* COUNT elements at X, in PADDED unless they are LANES. */
QB__INLINE struct elements elements_of(uint32_t padded[LANES], const void *x, size_t count, const enum qb_format format)
{
    if (count < LANES) {
        memset(padded, 0, LANES * sizeof *padded);
        memcpy(padded, x, count * qb__element_size(format));
        x = padded;
    }
    return (struct elements){x, count, format};
}

/* Vector I of the elements' bits. */
QB__INLINE words load_words(const struct elements e, int i)
{
    return load_vector((const uint32_t *)e.x + 4 * i);
}

/* The elements as floats, in order. */
QB__INLINE struct block load_block(const struct elements e, const bool linear)
{
    struct block b;

    (void)linear;
    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        if (e.format == QB_FORMAT_F32) {
            b.v[i] = vld1q_f32((const float *)e.x + 4 * i);
        } else {
            uint16x4_t half = vld1_u16((const uint16_t *)e.x + 4 * i);

            b.v[i] = e.format == QB_FORMAT_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(half))
                                               : vreinterpretq_f32_u32(vshll_n_u16(half, 16));
        }
    }
    return b;
}

/* The first COUNT floats at P, or a whole vector of them if there are more, and FILL in the place of others. */
QB__INLINE floats load_floats(const float *p, size_t count, float fill)
{
    float padded[FLOATS];

    if (count >= FLOATS) {
        return vld1q_f32(p);
    }
    for (size_t i = 0; i < FLOATS; i++) {
        padded[i] = i < count ? p[i] : fill;
    }
    return vld1q_f32(padded);
}

/* X in every place. */
QB__INLINE floats fill_floats(float x)
{
    return vdupq_n_f32(x);
}

/* ---- Largest and limits ------------------------------------------------------------------------------------------ */

/* |x| as integers, which order as the numbers do; 0 for NaN if NO_NAN. */
QB__INLINE words magnitude(words x, const enum qb_format format, const bool no_nan)
{
    if (format == QB_FORMAT_F32) {
        x = vandq_u32(x, vdupq_n_u32(0x7FFFFFFF));
        return no_nan ? vandq_u32(x, vcleq_u32(x, vdupq_n_u32(QB__F32_INF))) : x;
    }
    uint16x8_t m = vandq_u16(vreinterpretq_u16_u32(x), vdupq_n_u16(0x7FFF));
    return vreinterpretq_u32_u16(no_nan ? vandq_u16(m, vcleq_u16(m, vdupq_n_u16((uint16_t)qb__infinity(format)))) : m);
}

QB__INLINE words maximum(words a, words b, const enum qb_format format)
{
    return format == QB_FORMAT_F32
               ? vmaxq_u32(a, b)
               : vreinterpretq_u32_u16(vmaxq_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)));
}

/* The largest of a vector of magnitudes. */
QB__INLINE uint32_t largest(words m, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? vmaxvq_u32(m) : vmaxvq_u16(vreinterpretq_u16_u32(m));
}

QB__INLINE floats maximum_floats(floats a, floats b)
{
    return vmaxq_f32(a, b);
}

/* Of magnitudes. */
QB__INLINE bool has_nan(const struct block b)
{
    uint32x4_t most = vdupq_n_u32(0);

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        most = vmaxq_u32(most, magnitude(vreinterpretq_u32_f32(b.v[i]), QB_FORMAT_F32, false));
    }
    return vmaxvq_u32(most) > QB__F32_INF;
}

/* For any_above(): an |x| in the format's bits. */
QB__INLINE limits limits_make(uint32_t limit, const enum qb_format format)
{
    (void)format;
    return limit;
}

/* True if some |x| is above LIMIT, or NaN. */
QB__INLINE bool any_above(const struct elements e, limits limit)
{
    const int vectors = LANES * (int)qb__element_size(e.format) / (int)sizeof(words);
    words most = magnitude(load_words(e, 0), e.format, false);

    QB__UNROLL
    for (int i = 1; i < vectors; i++) {
        most = maximum(most, magnitude(load_words(e, i), e.format, false), e.format);
    }
    return largest(most, e.format) > limit;
}

/* ---- Scale ------------------------------------------------------------------------------------------------------- */

QB__INLINE floats divide(floats x, floats y)
{
    return vdivq_f32(x, y);
}

/* x * y, rounded. */
QB__INLINE floats multiply(floats x, floats y)
{
    floats product = vmulq_f32(x, y);

    __asm__("" : "+w"(product)); /* not to be contracted with what follows */
    return product;
}

/* x * y + x * rest, of which the second product is rounded before the sum is. */
QB__INLINE floats multiply_twice(floats x, floats y, floats rest)
{
    return vfmaq_f32(vmulq_f32(x, rest), x, y);
}

/* ---- Round and narrow ----------------------------------------------------------------------------------------------
 */

/* What a run of codes keeps in registers: nothing. */
struct encoder {
    char unused;
};

QB__INLINE struct encoder encoder_make(const enum qb_format input, const enum qb_format output, const bool linear)
{
    (void)input;
    (void)output;
    (void)linear;
    return (struct encoder){0};
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

QB__INLINE uint16x8_t infinity16(const enum qb_format format)
{
    return vdupq_n_u16((uint16_t)qb__infinity(format));
}

/* The high bytes of 16 elements from I on. */
QB__INLINE uint8x16_t high_bytes(const void *x, size_t i, const enum qb_format format)
{
    uint16x8_t low, high;

    if (format == QB_FORMAT_F32) {
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
QB__INLINE uint8x16_t find_nan(const void *x, size_t i, const enum qb_format format)
{
    uint16x8_t low, high;

    if (format == QB_FORMAT_F32) {
        const uint32x4_t infinity = vdupq_n_u32(QB__F32_INF);

        low = vmovn_high_u32(vmovn_u32(vcgtq_u32(magnitudes32(x, i), infinity)),
                             vcgtq_u32(magnitudes32(x, i + 4), infinity));
        high = vmovn_high_u32(vmovn_u32(vcgtq_u32(magnitudes32(x, i + 8), infinity)),
                              vcgtq_u32(magnitudes32(x, i + 12), infinity));
    } else {
        low = vcgtq_u16(magnitudes16(x, i), infinity16(format));
        high = vcgtq_u16(magnitudes16(x, i + 8), infinity16(format));
    }
    return vmovn_high_u16(vmovn_u16(low), high);
}

/* |v| to a code in the low byte: see float_code() in vector_avx2.h. */
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
QB__INLINE uint8x16_t codes_of_16(const float32x4_t v[4], const struct elements e, size_t i,
                                  const enum qb_format output, const bool any)
{
    const uint8_t bias = output == QB_FORMAT_E4M3 ? 8 * (20 + 127 - 6) % 256 : 4 * (21 + 127 - 14) % 256;
    uint16x8_t low, high;
    uint8x16_t found;

    if (output == QB_FORMAT_INT8) {
        /* To nearest even; what is too large saturates, and NaN is 0. */
        int16x8_t first = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(v[0])), vcvtnq_s32_f32(v[1]));
        int16x8_t second = vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(v[2])), vcvtnq_s32_f32(v[3]));

        return vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(first), second));
    }
    low = vmovn_high_u32(vmovn_u32(fp8_code(v[0], output, any)), fp8_code(v[1], output, any));
    high = vmovn_high_u32(vmovn_u32(fp8_code(v[2], output, any)), fp8_code(v[3], output, any));
    found = vsubq_u8(vmovn_high_u16(vmovn_u16(low), high), vdupq_n_u8(bias));
    found = vbslq_u8(vdupq_n_u8(0x80), high_bytes(e.x, i, e.format), found);
    return any ? vbslq_u8(find_nan(e.x, i, e.format), vdupq_n_u8(0x7F), found) : found;
}

/* Codes of integers, saturated to LEAST and MOST. */
QB__INLINE codes codes_within(codes c, const int least, const int most)
{
    const int8x16_t low = vdupq_n_s8((int8_t)least), high = vdupq_n_s8((int8_t)most);

    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        c.val[i] = vreinterpretq_u8_s8(vmaxq_s8(vminq_s8(vreinterpretq_s8_u8(c.val[i]), high), low));
    }
    return c;
}

/* The codes of quotients B of the elements E. ANY: they may be NaN or too large. INT8 is always right. */
QB__INLINE codes codes_of(const struct block b, const struct elements e, const struct encoder *encoder,
                          const enum qb_format output, const bool any)
{
    (void)encoder;
    return (codes){{codes_of_16(b.v, e, 0, output, any), codes_of_16(b.v + 4, e, 16, output, any)}};
}

QB__INLINE bool codes_doubtful(codes c)
{
    (void)c;
    return false;
}

QB__INLINE codes codes_repair(codes c, const struct elements e)
{
    (void)e;
    return c;
}

/* ---- Store ------------------------------------------------------------------------------------------------------- */

/* There are no non-temporal stores. */
QB__INLINE void store_codes(uint8_t *out, codes c, const bool stream)
{
    (void)stream;
    vst1q_u8(out, c.val[0]);
    vst1q_u8(out + 16, c.val[1]);
}

/* The first COUNT codes. */
QB__INLINE void store_part(uint8_t *out, codes c, size_t count)
{
    uint8_t bytes[LANES];

    store_codes(bytes, c, false);
    memcpy(out, bytes, count);
}

/* The first COUNT floats, or all of a vector if COUNT is more. */
QB__INLINE void store_floats(float *p, floats x, size_t count)
{
    if (count >= FLOATS) {
        vst1q_f32(p, x);
    } else {
        float all[FLOATS];

        vst1q_f32(all, x);
        memcpy(p, all, count * sizeof *p);
    }
}

#endif
