/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_avx512.c - the inner routines for AVX-512 F, BW, DQ, VL and VBMI. Compile with
 * -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mfma -mf16c; the pragmas below keep later flags from
 * taking that back. */
#include <config.h>

#ifdef HAVE_X86_AVX512

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi"))),   \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")
#endif

#include <immintrin.h>

#include "kernels.h"

#define ISA           avx512
#define CODES         QB__VECTOR_CODES
#define LANES         64
#define HAVE_CORRECT  1
#define HAVE_MULTIPLY 1
#define SATURATING    1

/* What a run keeps in registers. */
struct constants {
    __m512 scale;
    __m512 reciprocal;
    __m512 reciprocal_rest;
    __m512i cap;
    __m512 steps_low; /* E4M3, E5M2: the addend of each exponent, by the low 5 bits of the exponent field */
    __m512 steps_high;
    __m512i order; /* the byte of a permuted result that belongs to each element */
};

/* Adding 2^(e+20) to an E4M3 value of exponent e leaves its code's mantissa, rounded to nearest even, in the sum's low
 * bits: e + 20 - 23 = e - 3. With 8 * (e + 6) in the addend's low bits, the sum's low byte is the whole code; the
 * carry into the next binade is right too. Subnormals have e = -6. E5M2: 2^(e+21), 4 * (e + 14), e >= -14. */
#define STEP3(e) (((e) + 20 + 127) << 23 | 8 * ((e) + 6))
#define STEP2(e) (((e) + 21 + 127) << 23 | 4 * ((e) + 14))

/* By the low 5 bits of the exponent field e + 127, -23 <= e <= 8. */
static const int32_t e4m3_steps[32] __attribute__((aligned(64))) = {
    STEP3(1),  STEP3(2),  STEP3(3),  STEP3(4),  STEP3(5),  STEP3(6),  STEP3(7),  STEP3(8),
    STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6),
    STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6), STEP3(-6),
    STEP3(-6), STEP3(-6), STEP3(-5), STEP3(-4), STEP3(-3), STEP3(-2), STEP3(-1), STEP3(0),
};

/* By the low 5 bits of the exponent field e + 127, -14 <= e <= 15. */
static const int32_t e5m2_steps[32] __attribute__((aligned(64))) = {
    STEP2(1),   STEP2(2),   STEP2(3),   STEP2(4),   STEP2(5),   STEP2(6),   STEP2(7),  STEP2(8),
    STEP2(9),   STEP2(10),  STEP2(11),  STEP2(12),  STEP2(13),  STEP2(14),  STEP2(15), STEP2(15),
    STEP2(-14), STEP2(-14), STEP2(-13), STEP2(-12), STEP2(-11), STEP2(-10), STEP2(-9), STEP2(-8),
    STEP2(-7),  STEP2(-6),  STEP2(-5),  STEP2(-4),  STEP2(-3),  STEP2(-2),  STEP2(-1), STEP2(0),
};

#define ROW4(f, i)  f(i), f((i) + 1), f((i) + 2), f((i) + 3)
#define ROW16(f, i) ROW4(f, i), ROW4(f, (i) + 4), ROW4(f, (i) + 8), ROW4(f, (i) + 12)
#define ROW64(f)    ROW16(f, 0), ROW16(f, 16), ROW16(f, 32), ROW16(f, 48)

/* Four vectors of 16 results, packed to bytes with saturation: the byte of element i, where vector i / 16 holds it. */
#define PACKED_LINEAR(i) ((i) % 16 / 4 * 16 + (i) / 16 * 4 + (i) % 4)
static const uint8_t packed_linear[64] __attribute__((aligned(64))) = {ROW64(PACKED_LINEAR)};

/* The same where the vectors hold the even and the odd elements of the first 32, then of the others. */
#define PACKED_EVEN_ODD(i) ((i) % 32 / 8 * 16 + ((i) / 32 * 2 + (i) % 2) * 4 + (i) % 8 / 2)
static const uint8_t packed_even_odd[64] __attribute__((aligned(64))) = {ROW64(PACKED_EVEN_ODD)};

/* The low bytes of two vectors of 16 results, for _mm512_permutex2var_epi8(): the lower half counts. */
#define BYTES_LINEAR(i) ((i) % 32 * 4)
static const uint8_t bytes_linear[64] __attribute__((aligned(64))) = {ROW64(BYTES_LINEAR)};
#define BYTES_EVEN_ODD(i) ((i) % 2 * 64 + (i) % 32 / 2 * 4)
static const uint8_t bytes_even_odd[64] __attribute__((aligned(64))) = {ROW64(BYTES_EVEN_ODD)};

/* The high bytes of two vectors of 32 inputs. */
#define BYTES_HIGH(i) ((i)*2 + 1)
static const uint8_t bytes_high[64] __attribute__((aligned(64))) = {ROW64(BYTES_HIGH)};

QB__INLINE struct constants constants_make(const struct qb__divisor *d, const enum qb_format input,
                                           const enum qb_format output)
{
    const int32_t *steps = output == QB_FORMAT_E4M3 ? e4m3_steps : e5m2_steps;
    struct constants c = {
        .scale = _mm512_set1_ps(d->scale),
        .reciprocal = _mm512_set1_ps(d->reciprocal),
        .reciprocal_rest = _mm512_set1_ps(d->reciprocal_rest),
    };

    if (output == QB_FORMAT_INT8) {
        c.order = _mm512_load_si512(input == QB_FORMAT_BF16 ? packed_even_odd : packed_linear);
        return c;
    }
    c.cap = input == QB_FORMAT_F32 ? _mm512_set1_epi32((int)d->cap) : _mm512_set1_epi16((short)d->cap);
    c.order = _mm512_load_si512(input == QB_FORMAT_BF16 ? bytes_even_odd : bytes_linear);
    c.steps_low = _mm512_load_ps(steps);
    c.steps_high = _mm512_load_ps(steps + 16);
    return c;
}

/* The lanes from FIRST to FIRST + WIDTH - 1 that hold one of COUNT elements. */
QB__INLINE uint64_t lanes(size_t count, size_t first, size_t width)
{
    size_t here = count <= first ? 0 : count - first < width ? count - first : width;

    return here == 64 ? ~(uint64_t)0 : ((uint64_t)1 << here) - 1;
}

QB__INLINE __m512 quotient_of(__m512 x, const struct constants *c, const enum qb__quotient quotient)
{
    if (quotient == QB__QUOTIENT_DIVIDE) {
        return _mm512_div_ps(x, c->scale);
    }
    if (quotient == QB__QUOTIENT_MULTIPLY) {
        __m512 q = _mm512_mul_ps(x, c->reciprocal);

        __asm__("" : "+v"(q)); /* not to be contracted with what follows */
        return q;
    }
    return _mm512_fmadd_ps(x, c->reciprocal, _mm512_mul_ps(x, c->reciprocal_rest));
}

/* Which lanes are rounded up from TIE, an odd number of halves of a code's last place: to even where they are the tie,
 * which is up for 3, 7, 11, in every other lane. */
QB__INLINE __mmask16 rounds_up(__m512 v, __m512 tie)
{
    return (__mmask16)(_mm512_cmp_ps_mask(v, tie, _CMP_GT_OQ) | _mm512_mask_cmp_ps_mask(0xAAAA, v, tie, _CMP_EQ_OQ));
}

/* See kernels_body.h. */
QB__INLINE bool multiply_matches(float scale, float *reciprocal, const enum qb_format input,
                                 const enum qb_format output)
{
    const int last = qb__last_tie(output);
    const int dropped = qb__dropped_bits(input);
    const float candidates[3] = {*reciprocal, qb__float_of(qb__bits_of(*reciprocal) + 1),
                                 qb__float_of(qb__bits_of(*reciprocal) - 1)};
    const __m512 s = _mm512_set1_ps(scale);
    __m512 tie = _mm512_setr_ps(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    __mmask16 bad[3] = {0, 0, 0};

    for (int i = 0; i < last; i += 32, tie = _mm512_add_ps(tie, _mm512_set1_ps(32))) {
        __m512i bits = _mm512_castps_si512(_mm512_mul_ps(tie, s));
        __m512i off = _mm512_and_si512(_mm512_add_epi32(bits, _mm512_set1_epi32(QB__NEAR)),
                                       _mm512_set1_epi32((1 << dropped) - 1));
        __mmask16 near = _mm512_cmple_epu32_mask(off, _mm512_set1_epi32(2 * QB__NEAR));

        if (last < 31) {
            near &= 0xFF;
        }
        if (near != 0) {
            __m512i rounded = _mm512_add_epi32(bits, _mm512_set1_epi32(1 << (dropped - 1)));
            __m512 x = _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(-(1 << dropped))));
            __mmask16 up = rounds_up(_mm512_div_ps(x, s), tie);

            QB__UNROLL
            for (int k = 0; k < 3; k++) {
                bad[k] |= near & (up ^ rounds_up(_mm512_mul_ps(x, _mm512_set1_ps(candidates[k])), tie));
            }
        }
    }
    QB__UNROLL
    for (int k = 0; k < 3; k++) {
        if (bad[k] == 0) {
            *reciprocal = candidates[k];
            return true;
        }
    }
    return false;
}

/* |v| to a code of 8 bits in the low byte; the other bytes are undefined. CUT: v may be NaN or too large, and gives the
 * largest code then. */
QB__INLINE __m512i fp8_code(__m512 v, const struct constants *c, const enum qb_format output, const bool cut)
{
    const bool e4m3 = output == QB_FORMAT_E4M3;
    __m512i index;

    if (!cut && e4m3) {
        /* The larger of |v| and 2^-23, which both have code 0 if they are that small: the table begins there. */
        v = _mm512_range_ps(v, _mm512_set1_ps(0x1p-23f), 0xB);
        index = _mm512_castps_si512(v);
    } else {
        index = _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7FFFFFFF));
        if (cut) {
            index = _mm512_min_epu32(index, _mm512_castps_si512(_mm512_set1_ps(qb__formats[output].largest)));
        }
        v = _mm512_castsi512_ps(index);
        index = _mm512_max_epu32(index, _mm512_castps_si512(_mm512_set1_ps(e4m3 ? 0x1p-6f : 0x1p-14f)));
    }
    index = _mm512_srli_epi32(index, 23);
    return _mm512_castps_si512(_mm512_add_ps(v, _mm512_permutex2var_ps(c->steps_low, index, c->steps_high)));
}

/* The bytes that ORDER names of (a, b), then those of (c, d). */
QB__INLINE __m512i gather_bytes(__m512i a, __m512i b, __m512i c, __m512i d, __m512i order)
{
    __m512i low = _mm512_permutex2var_epi8(a, order, b);
    __m512i high = _mm512_permutex2var_epi8(c, order, d);

    return _mm512_inserti64x4(low, _mm512_castsi512_si256(high), 1);
}

/* The bits of vector I of a block: 16 floats, or 32 halves. */
QB__INLINE __m512i load_bits(const void *x, size_t count, int i, const enum qb_format input)
{
    const char *source = (const char *)x + 64 * i;

    if (count == LANES) {
        return _mm512_loadu_si512(source);
    }
    return input == QB_FORMAT_F32 ? _mm512_maskz_loadu_epi32((__mmask16)lanes(count, 16 * (size_t)i, 16), source)
                                  : _mm512_maskz_loadu_epi16((__mmask32)lanes(count, 32 * (size_t)i, 32), source);
}

/* LANES elements, or the first COUNT of them and zeros, as floats. */
struct block {
    __m512 v[4];
};

/* In order; unless LINEAR, of bfloat16 the even and the odd ones of the first 32, then of the others. */
QB__INLINE struct block load_block(const void *x, size_t count, const enum qb_format input, const bool linear)
{
    struct block b;

    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        const char *source = (const char *)x + 16 * (size_t)i * qb__element_size(input);
        __mmask16 used = (__mmask16)lanes(count, 16 * (size_t)i, 16);
        __m256i half;

        if (input == QB_FORMAT_F32) {
            b.v[i] = count == LANES ? _mm512_loadu_ps(source) : _mm512_maskz_loadu_ps(used, source);
        } else if (input == QB_FORMAT_F16 || linear) {
            half = count == LANES ? _mm256_loadu_si256((const void *)source) : _mm256_maskz_loadu_epi16(used, source);
            b.v[i] = input == QB_FORMAT_F16 ? _mm512_cvtph_ps(half)
                                            : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
        } else {
            __m512i pairs = load_bits(x, count, i / 2, input);

            b.v[i] = _mm512_castsi512_ps(i % 2 == 0 ? _mm512_slli_epi32(pairs, 16)
                                                    : _mm512_and_si512(pairs, _mm512_set1_epi32((int)0xFFFF0000)));
        }
    }
    return b;
}

/* Which elements of a block are NaN; or, if NEGATIVE, which have the sign. */
QB__INLINE __mmask64 find_lanes(const void *x, size_t count, const enum qb_format input, const bool negative)
{
    const int vectors = vectors_of(input);
    const int infinity = (short)qb__infinity(input);
    __mmask64 found = 0;

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        __m512i bits = load_bits(x, count, i, input);
        __mmask64 here;

        if (input == QB_FORMAT_F32) {
            __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7FFFFFFF));

            here = negative ? _mm512_movepi32_mask(bits)
                            : _mm512_cmpgt_epu32_mask(magnitude, _mm512_set1_epi32((int)QB__F32_INF));
            found |= here << 16 * i;
        } else {
            __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi16(0x7FFF));

            here = negative ? _mm512_movepi16_mask(bits)
                            : _mm512_cmpgt_epu16_mask(magnitude, _mm512_set1_epi16((short)infinity));
            found |= here << 32 * i;
        }
    }
    return found;
}

/* Whether some |x| of a block is above the cap, or NaN. */
QB__INLINE bool above_cap(const void *x, size_t count, const struct constants *c, const enum qb_format input)
{
    const int vectors = vectors_of(input);
    const __m512i magnitude = input == QB_FORMAT_F32 ? _mm512_set1_epi32(0x7FFFFFFF) : _mm512_set1_epi16(0x7FFF);
    __m512i most = _mm512_setzero_si512();

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        __m512i bits = _mm512_and_si512(load_bits(x, count, i, input), magnitude);

        most = input == QB_FORMAT_F32 ? _mm512_max_epu32(most, bits) : _mm512_max_epu16(most, bits);
    }
    return input == QB_FORMAT_F32 ? _mm512_cmpgt_epu32_mask(most, c->cap) != 0
                                  : _mm512_cmpgt_epu16_mask(most, c->cap) != 0;
}

/* INT8 codes of which some are -128. What no 32 bits can hold became INT32_MIN and then -128: large negative numbers,
 * but NaN and large positive ones too. */
QB__INLINE __m512i int8_repair(__m512i codes, const void *x, size_t count, const enum qb_format input)
{
    __mmask64 positive = _mm512_cmpeq_epi8_mask(codes, _mm512_set1_epi8(-128)) & ~find_lanes(x, count, input, true);

    codes = _mm512_mask_mov_epi8(codes, positive, _mm512_set1_epi8(127));
    return _mm512_mask_mov_epi8(codes, find_lanes(x, count, input, false), _mm512_setzero_si512());
}

/* The codes of quotients V of the elements X. ANY: they may be NaN or too large; otherwise INT8 may have come out as
 * -128 wrongly, where int8_repair() helps. */
QB__INLINE __m512i codes_of(const __m512 v[4], const void *x, size_t count, const struct constants *c,
                            const enum qb_format input, const enum qb_format output, const bool any)
{
    __m512i code[4], codes, signs;

    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        code[i] = output == QB_FORMAT_INT8 ? _mm512_cvtps_epi32(v[i]) : fp8_code(v[i], c, output, any);
    }
    if (output == QB_FORMAT_INT8) {
        codes = _mm512_packs_epi16(_mm512_packs_epi32(code[0], code[1]), _mm512_packs_epi32(code[2], code[3]));
        codes = _mm512_permutexvar_epi8(c->order, codes);
        return any ? int8_repair(codes, x, count, input) : codes;
    }
    codes = gather_bytes(code[0], code[1], code[2], code[3], c->order);
    if (input == QB_FORMAT_F32) {
        signs =
            gather_bytes(load_bits(x, count, 0, input), load_bits(x, count, 1, input), load_bits(x, count, 2, input),
                         load_bits(x, count, 3, input), _mm512_add_epi8(c->order, _mm512_set1_epi8(3)));
    } else {
        signs = _mm512_permutex2var_epi8(load_bits(x, count, 0, input), _mm512_load_si512(bytes_high),
                                         load_bits(x, count, 1, input));
    }
    /* codes | (signs & 0x80) */
    codes = _mm512_ternarylogic_epi64(codes, signs, _mm512_set1_epi8((char)0x80), 0xF8);
    return any ? _mm512_mask_mov_epi8(codes, find_lanes(x, count, input, false), _mm512_set1_epi8(0x7F)) : codes;
}

QB__INLINE void store_codes(uint8_t *out, __m512i codes, const bool stream)
{
    if (stream) {
        _mm512_stream_si512((void *)out, codes);
    } else {
        _mm512_storeu_si512(out, codes);
    }
}

QB__INLINE bool encode_block(uint8_t *out, const void *x, const struct constants *c, const enum qb_format input,
                             const enum qb_format output, const enum qb__quotient quotient, const bool clean,
                             const bool stream)
{
    struct block b;
    __m512i codes;

    if (output != QB_FORMAT_INT8 && !clean && __builtin_expect(above_cap(x, LANES, c, input), 0)) {
        return false;
    }
    b = load_block(x, LANES, input, false);
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        b.v[i] = quotient_of(b.v[i], c, quotient);
    }
    codes = codes_of(b.v, x, LANES, c, input, output, false);
    if (output == QB_FORMAT_INT8 && !clean &&
        __builtin_expect(_mm512_cmpeq_epi8_mask(codes, _mm512_set1_epi8(-128)) != 0, 0)) {
        return false; /* nothing stored: a line that is streamed and then written again costs a trip to memory */
    }
    store_codes(out, codes, stream);
    return true;
}

QB__INLINE void encode_part(uint8_t *out, const void *x, size_t count, const struct constants *c,
                            const enum qb_format input, const enum qb_format output, const enum qb__quotient quotient,
                            const bool stream)
{
    struct block b = load_block(x, count, input, false);

    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        b.v[i] = quotient_of(b.v[i], c, quotient);
    }
    if (count == LANES) {
        store_codes(out, codes_of(b.v, x, count, c, input, output, true), stream);
    } else {
        _mm512_mask_storeu_epi8(out, lanes(count, 0, 64), codes_of(b.v, x, count, c, input, output, true));
    }
}

QB__INLINE void encode_block_columns(uint8_t *out, size_t out_stride, const void *x, size_t stride, size_t rows,
                                     size_t count, const struct qb__columns *columns, size_t first,
                                     const enum qb_format input, const enum qb_format output,
                                     const enum qb__quotient quotient, const bool clean, const bool stream)
{
    const struct qb__divisor none = {.scale = 1.0f};
    struct constants c[4];

    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        const size_t here = first + 16 * (size_t)i;
        const __mmask16 used = (__mmask16)lanes(count, 16 * (size_t)i, 16);

        c[i] = constants_make(&none, input, output);
        c[i].order = _mm512_load_si512(output == QB_FORMAT_INT8 ? packed_linear : bytes_linear);
        if (quotient == QB__QUOTIENT_DIVIDE) {
            c[i].scale = _mm512_mask_loadu_ps(c[i].scale, used, columns->scale + here);
        } else {
            c[i].reciprocal = _mm512_maskz_loadu_ps(used, columns->reciprocal + here);
            c[i].reciprocal_rest = _mm512_maskz_loadu_ps(used, columns->rest + here);
        }
    }
    for (; rows > 0; rows--, out += out_stride, x = (const char *)x + stride * qb__element_size(input)) {
        struct block b = load_block(x, count, input, true);
        __m512i codes;

        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            b.v[i] = quotient_of(b.v[i], &c[i], quotient);
        }
        codes = codes_of(b.v, x, count, &c[0], input, output, output != QB_FORMAT_INT8 && !clean);
        if (output == QB_FORMAT_INT8 && !clean &&
            __builtin_expect(_mm512_cmpeq_epi8_mask(codes, _mm512_set1_epi8(-128)) != 0, 0)) {
            codes = int8_repair(codes, x, count, input);
        }
        if (count == LANES) {
            store_codes(out, codes, stream);
        } else {
            _mm512_mask_storeu_epi8(out, lanes(count, 0, 64), codes);
        }
    }
}

/* |x| as integers, which order as the numbers do; 0 for NaN if NO_NAN. */
QB__INLINE __m512i magnitude(__m512i bits, const enum qb_format input, const bool no_nan)
{
    if (input == QB_FORMAT_F32) {
        bits = _mm512_and_si512(bits, _mm512_set1_epi32(0x7FFFFFFF));
        if (no_nan) {
            __mmask16 keep = _mm512_cmple_epu32_mask(bits, _mm512_set1_epi32((int)QB__F32_INF));

            bits = _mm512_maskz_mov_epi32(keep, bits);
        }
    } else {
        bits = _mm512_and_si512(bits, _mm512_set1_epi16(0x7FFF));
        if (no_nan) {
            const short infinity = (short)qb__infinity(input);
            __mmask32 keep = _mm512_cmple_epu16_mask(bits, _mm512_set1_epi16(infinity));

            bits = _mm512_maskz_mov_epi16(keep, bits);
        }
    }
    return bits;
}

QB__INLINE __m512i maximum(__m512i a, __m512i b, const enum qb_format input)
{
    return input == QB_FORMAT_F32 ? _mm512_max_epu32(a, b) : _mm512_max_epu16(a, b);
}

QB__INLINE uint32_t amax_run(const void *x, size_t count, const enum qb_format input, const bool no_nan)
{
    const size_t size = qb__element_size(input);
    const size_t step = 64 / size; /* elements in one vector */
    const char *p = x;
    __m512i m[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    __m128i low;

    for (; count >= 4 * step; count -= 4 * step, p += 256) {
        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            m[i] = maximum(m[i], magnitude(_mm512_loadu_si512(p + 64 * i), input, no_nan), input);
        }
    }
    for (; count >= step; count -= step, p += 64) {
        m[0] = maximum(m[0], magnitude(_mm512_loadu_si512(p), input, no_nan), input);
    }
    if (count > 0) {
        __m512i rest = input == QB_FORMAT_F32 ? _mm512_maskz_loadu_epi32((__mmask16)lanes(count, 0, 16), p)
                                              : _mm512_maskz_loadu_epi16((__mmask32)lanes(count, 0, 32), p);

        m[1] = maximum(m[1], magnitude(rest, input, no_nan), input);
    }
    m[0] = maximum(maximum(m[0], m[1], input), maximum(m[2], m[3], input), input);
    if (input == QB_FORMAT_F32) {
        return _mm512_reduce_max_epu32(m[0]);
    }
    __m256i half = _mm256_max_epu16(_mm512_castsi512_si256(m[0]), _mm512_extracti64x4_epi64(m[0], 1));
    low = _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    /* There is a horizontal minimum of 8 words: of the complements it is the maximum. */
    low = _mm_minpos_epu16(_mm_xor_si128(low, _mm_set1_epi16(-1)));
    return (uint32_t)~_mm_cvtsi128_si32(low) & 0xFFFF;
}

QB__INLINE bool amax_block_columns(const void *x, size_t stride, size_t rows, size_t count, float *amax,
                                   const enum qb_format input, const bool no_nan)
{
    const int vectors = vectors_of(input);
    __m512i most[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
    __mmask16 nan = 0;
    struct block b;

    for (; rows > 0; rows--, x = (const char *)x + stride * qb__element_size(input)) {
        QB__UNROLL
        for (int i = 0; i < vectors; i++) {
            most[i] = maximum(most[i], magnitude(load_bits(x, count, i, input), input, no_nan), input);
        }
    }
    b = load_block(most, LANES, input, true);
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        nan |= _mm512_cmp_ps_mask(b.v[i], b.v[i], _CMP_UNORD_Q);
    }
    if (nan != 0) {
        return true;
    }
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        const __mmask16 used = (__mmask16)lanes(count, 16 * (size_t)i, 16);
        __m512 old = _mm512_maskz_loadu_ps(used, amax + 16 * i);

        _mm512_mask_storeu_ps(amax + 16 * i, used, _mm512_max_ps(b.v[i], old));
    }
    return false;
}

static void copy_stream(void *target, const void *source, size_t bytes)
{
    char *to = target;
    const char *from = source;
    size_t head = -(uintptr_t)to & 63;

    if (head > 0 && head <= bytes) {
        memcpy(to, from, head);
        to += head;
        from += head;
        bytes -= head;
    }
    for (; bytes >= 64; bytes -= 64, to += 64, from += 64) {
        _mm512_stream_si512((void *)to, _mm512_loadu_si512(from));
    }
    memcpy(to, from, bytes);
}

/* WRITES lines, and EACH lines read for each of them. */
QB__INLINE void mix_lines(char *to, uint64_t writes, const char *from, const int each, bool stream)
{
    __m512i value = _mm512_set1_epi8(1);

    for (uint64_t i = 0; i < writes; i++, to += 64, from += 64 * each) {
        QB__UNROLL
        for (int j = 0; j < each; j++) {
            __m512i line = _mm512_load_si512(from + 64 * j);

            value = j == 0 ? line : _mm512_xor_si512(value, line);
        }
        if (stream) {
            _mm512_stream_si512((void *)to, value);
        } else {
            _mm512_store_si512(to, value);
        }
    }
}

QB__INLINE void read_lines(const char *from, uint64_t reads)
{
    __m512i sum = _mm512_setzero_si512();

    for (uint64_t i = 0; i < reads; i++) {
        sum = _mm512_xor_si512(sum, _mm512_load_si512(from + 64 * i));
    }
    __asm__ volatile("" : : "v"(sum)); /* somebody wants it */
}

static void fence(void)
{
    _mm_sfence();
}

#include "kernels_body.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else
/* ISO C wants a declaration in every file. */
typedef int qb__no_avx512;
#endif
