/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_generic.c - the inner routines in plain C, for any CPU. The loops over arrays of LANES elements have no
 * branches, so that a compiler can turn them into whatever vectors the target always has. */
#include <config.h>

#include "kernels.h"

#define ISA           generic
#define LANES         32
#define HAVE_MULTIPLY 0 /* the quotient is not what takes the time */

/* Where there is no fused multiply-add instruction, fmaf() costs far more than the division that it saves. */
#ifdef __FP_FAST_FMAF
#define HAVE_CORRECT 1
#else
#define HAVE_CORRECT 0
#endif

/* The caller's memory, whatever type it was written as. */
typedef uint16_t __attribute__((may_alias)) word16;
typedef uint32_t __attribute__((may_alias)) word32;

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

QB__INLINE float smaller(float a, float b)
{
    return a < b ? a : b;
}

QB__INLINE float larger(float a, float b)
{
    return a > b ? a : b;
}

/* LANES elements as the bits of binary32. True if there is an infinity or a NaN among them; of halves these are then
 * numbers of 2^16 and above, and the caller uses load_one() instead. */
QB__INLINE bool load_block(uint32_t bits[LANES], const void *x, const enum qb_format input)
{
    uint32_t special = 0;

    if (input == QB_FORMAT_F32) {
        const word32 *p = x;

        for (int i = 0; i < LANES; i++) {
            bits[i] = p[i];
            special |= -(uint32_t)((p[i] & QB__F32_INF) == QB__F32_INF);
        }
        return special != 0;
    }
    const uint16_t exponent = input == QB_FORMAT_F16 ? 0x7C00 : 0x7F80;
    const word16 *p = x;
    uint16_t special16 = 0;

    for (int i = 0; i < LANES; i++) {
        special16 |= (uint16_t) - (uint16_t)((p[i] & exponent) == exponent);
    }
    for (int i = 0; i < LANES; i++) {
        uint32_t h = p[i];

        if (input == QB_FORMAT_BF16) {
            bits[i] = h << 16;
        } else {
            /* A subnormal, read as if it were normal with the exponent after it, is 2^-14 too large. */
            uint32_t is_subnormal = -(uint32_t)((h & 0x7C00) == 0);
            uint32_t magnitude = ((h & 0x7FFF) << 13) + (112u << 23) + (is_subnormal & 1u << 23);
            float value = qb__float_of(magnitude) - qb__float_of(is_subnormal & 113u << 23);

            bits[i] = (h & 0x8000) << 16 | qb__bits_of(value);
        }
    }
    return special16 != 0;
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

QB__INLINE bool multiply_matches(float scale, float *reciprocal, const enum qb_format input,
                                 const enum qb_format output)
{
    (void)scale;
    (void)reciprocal;
    (void)input;
    (void)output;
    return false;
}

QB__INLINE float quotient_of(float x, float scale, float reciprocal, const enum qb__quotient quotient)
{
    float q;

    if (quotient == QB__QUOTIENT_DIVIDE) {
        return x / scale;
    }
    q = x * reciprocal;
    if (quotient == QB__QUOTIENT_MULTIPLY) {
        return q;
    }
    return __builtin_fmaf(__builtin_fmaf(-q, scale, x), reciprocal, q);
}

/* The code, in the low byte, of v, which is no NaN. For E4M3 and E5M2 v >= 0, and the sign is still to be added. */
QB__INLINE uint32_t code_of(float v, const enum qb_format output)
{
    const bool e4m3 = output == QB_FORMAT_E4M3;
    const float most = e4m3 ? 448.0f : 57344.0f;
    const float least = e4m3 ? 0x1p-6f : 0x1p-14f; /* of the normal numbers */
    uint32_t sum;
    float power;

    if (output == QB_FORMAT_INT8) {
        /* Adding 1.5 * 2^23 leaves the integer in the low bits, rounded to nearest even. */
        return qb__bits_of(larger(smaller(v, 127.0f), -128.0f) + 0x1.8p23f);
    }
    /* See fp8_code() in kernels_avx2.c: the sum's mantissa is v in units of the code's last place. */
    v = smaller(v, most);
    power = larger(qb__float_of(qb__bits_of(v) & QB__F32_INF), least);
    sum = qb__bits_of(v + power * (e4m3 ? 0x1p20f : 0x1p21f));
    return e4m3 ? sum + (sum >> 20) - 8 * (20 + 127 - 6) : sum + (sum >> 21) - 4 * (21 + 127 - 14);
}

/* COUNT codes of a block that load_block() found special. */
static void encode_special(uint8_t *out, const void *x, size_t count, const float scales[LANES],
                           const enum qb_format input, const enum qb_format output)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = load_one(x, i, input);
        uint32_t magnitude = bits & 0x7FFFFFFF;

        if (magnitude > QB__F32_INF) {
            out[i] = output == QB_FORMAT_INT8 ? 0 : 0x7F;
        } else if (output == QB_FORMAT_INT8) {
            out[i] = (uint8_t)code_of(qb__float_of(bits) / scales[i], output);
        } else {
            out[i] = (uint8_t)(code_of(qb__float_of(magnitude) / scales[i], output) | (bits >> 24 & 0x80));
        }
    }
}

/* LANES codes; SCALES are those of the elements, all the same unless QUOTIENT is DIVIDE. */
QB__INLINE void encode_full(uint8_t *out, const void *x, const float scales[LANES], float reciprocal,
                            const enum qb_format input, const enum qb_format output, const enum qb__quotient quotient,
                            const bool clean)
{
    uint32_t bits[LANES];
    uint8_t codes[LANES];

    if (load_block(bits, x, input) && !clean) {
        encode_special(out, x, LANES, scales, input, output);
        return;
    }
    for (int i = 0; i < LANES; i++) {
        uint32_t sign = output == QB_FORMAT_INT8 ? 0 : bits[i] & 0x80000000;
        float value = qb__float_of(bits[i] ^ sign);

        codes[i] = (uint8_t)(code_of(quotient_of(value, scales[i], reciprocal, quotient), output) | sign >> 24);
    }
    memcpy(out, codes, LANES);
}

QB__INLINE void encode_block(uint8_t *out, const void *x, size_t count, const struct constants *c,
                             const enum qb_format input, const enum qb_format output, const enum qb__quotient quotient,
                             const bool clean, const bool stream)
{
    const float scale = c->scale, reciprocal = c->reciprocal;
    float scales[LANES];

    (void)stream;
    for (int i = 0; i < LANES; i++) {
        scales[i] = scale;
    }
    if (count == LANES) {
        encode_full(out, x, scales, reciprocal, input, output, quotient, clean);
    } else {
        const struct padded padded = pad(x, count, input);
        uint8_t codes[LANES];

        encode_full(codes, padded.x, scales, reciprocal, input, output, quotient, clean);
        memcpy(out, codes, count);
    }
}

QB__INLINE void encode_block_columns(uint8_t *out, const void *x, size_t count, const float *scales,
                                     const enum qb_format input, const enum qb_format output)
{
    if (count == LANES) {
        encode_full(out, x, scales, 0.0f, input, output, QB__QUOTIENT_DIVIDE, false);
    } else {
        const struct padded padded = pad(x, count, input);
        float padded_scales[LANES];
        uint8_t codes[LANES];

        for (size_t i = 0; i < LANES; i++) {
            padded_scales[i] = i < count ? scales[i] : 1.0f;
        }
        encode_full(codes, padded.x, padded_scales, 0.0f, input, output, QB__QUOTIENT_DIVIDE, false);
        memcpy(out, codes, count);
    }
}

QB__INLINE void amax_block_columns(const void *x, size_t count, float *amax, const enum qb_format input)
{
    uint32_t bits[LANES];

    if (count < LANES || load_block(bits, x, input)) {
        for (size_t i = 0; i < count; i++) {
            float value = qb__float_of(load_one(x, i, input) & 0x7FFFFFFF);

            amax[i] = value > amax[i] ? value : amax[i];
        }
        return;
    }
    for (int i = 0; i < LANES; i++) {
        amax[i] = larger(qb__float_of(bits[i] & 0x7FFFFFFF), amax[i]);
    }
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
        const int16_t infinity = input == QB_FORMAT_F16 ? 0x7C00 : 0x7F80;
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

static void copy_stream(void *target, const void *source, size_t bytes)
{
    memcpy(target, source, bytes);
}

typedef uint64_t __attribute__((may_alias)) word64;

/* WRITES lines, and EACH lines read for each of them. */
QB__INLINE void mix_lines(char *to, uint64_t writes, const char *from, const int each, bool stream)
{
    word64 *line = (word64 *)(void *)to;
    const word64 *read = (const word64 *)(const void *)from;

    (void)stream;
    for (uint64_t i = 0; i < writes; i++, line += 8, read += 8 * each) {
        for (int k = 0; k < 8; k++) {
            uint64_t value = 1;

            for (int j = 0; j < each; j++) {
                value ^= read[8 * j + k];
            }
            line[k] = value;
        }
    }
}

QB__INLINE void read_lines(const char *from, uint64_t reads)
{
    const word64 *read = (const word64 *)(const void *)from;
    uint64_t sum[8] = {0}, all = 0;

    for (uint64_t i = 0; i < reads; i++, read += 8) {
        for (int k = 0; k < 8; k++) {
            sum[k] ^= read[k];
        }
    }
    for (int k = 0; k < 8; k++) {
        all ^= sum[k];
    }
    __asm__ volatile("" : : "r"(all)); /* somebody wants it */
}

static void fence(void)
{
}

#include "kernels_body.h"
