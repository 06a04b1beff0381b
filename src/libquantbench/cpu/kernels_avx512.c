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
#define LANES         64
#define HAVE_CORRECT  1
#define HAVE_MULTIPLY 1
#define SATURATING    1

/* What a run keeps in registers. */
struct constants {
    __m512 scale;
    __m512 reciprocal;
    __m512i cap;
    __m512 steps_low;  /* E4M3, E5M2: the addend of each exponent, by the low bits of the exponent field */
    __m512 steps_high; /* E5M2: the upper half of that table */
    __m512i order;     /* the byte of a permuted result that belongs to each element */
};

/* Adding 2^(e+20) to an E4M3 value of exponent e leaves its code's mantissa, rounded to nearest even, in the sum's low
 * bits: e + 20 - 23 = e - 3. With 8 * (e + 6) in the addend's low bits, the sum's low byte is the whole code; the
 * carry into the next binade is right too. Subnormals have e = -6. E5M2: 2^(e+21), 4 * (e + 14), e >= -14. */
#define STEP3(e) (((e) + 20 + 127) << 23 | 8 * ((e) + 6))
#define STEP2(e) (((e) + 21 + 127) << 23 | 4 * ((e) + 14))

/* By the low 4 bits of the exponent field e + 127, -6 <= e <= 8. */
static const int32_t e4m3_steps[16] __attribute__((aligned(64))) = {
    STEP3(1),  STEP3(2),  STEP3(3),  STEP3(4),  STEP3(5),  STEP3(6),  STEP3(7),  STEP3(8),
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
    struct constants c = {.scale = _mm512_set1_ps(d->scale), .reciprocal = _mm512_set1_ps(d->reciprocal)};

    c.cap = input == QB_FORMAT_F32 ? _mm512_set1_epi32((int)d->cap) : _mm512_set1_epi16((short)d->cap);
    if (output == QB_FORMAT_INT8) {
        c.order = _mm512_load_si512(input == QB_FORMAT_BF16 ? packed_even_odd : packed_linear);
    } else {
        c.order = _mm512_load_si512(input == QB_FORMAT_BF16 ? bytes_even_odd : bytes_linear);
    }
    if (output == QB_FORMAT_E4M3) {
        c.steps_low = _mm512_load_ps(e4m3_steps);
    } else if (output == QB_FORMAT_E5M2) {
        c.steps_low = _mm512_load_ps(e5m2_steps);
        c.steps_high = _mm512_load_ps(e5m2_steps + 16);
    }
    return c;
}

/* The lanes from FIRST to FIRST + WIDTH - 1 that hold one of COUNT elements. */
QB__INLINE uint64_t lanes(size_t count, size_t first, size_t width)
{
    size_t here = count <= first ? 0 : count - first < width ? count - first : width;

    return here == 64 ? ~(uint64_t)0 : ((uint64_t)1 << here) - 1;
}

QB__INLINE __m512 quotient_of(__m512 x, __m512 scale, __m512 reciprocal, const enum qb__quotient quotient)
{
    __m512 q, e;

    if (quotient == QB__QUOTIENT_DIVIDE) {
        return _mm512_div_ps(x, scale);
    }
    q = _mm512_mul_ps(x, reciprocal);
    __asm__("" : "+v"(q)); /* not to be contracted with what follows */
    if (quotient == QB__QUOTIENT_MULTIPLY) {
        return q;
    }
    e = _mm512_fnmadd_ps(q, scale, x);
    return _mm512_fmadd_ps(e, reciprocal, q);
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
    /* All ties are odd numbers up to this, times powers of two. */
    const int last = output == QB_FORMAT_INT8 ? 255 : output == QB_FORMAT_E4M3 ? 31 : 15;
    const int dropped = input == QB_FORMAT_F16 ? 13 : 16; /* bits of binary32 that the input format has not */
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

/* v >= 0, NaN or infinity, cut to what the encoding can hold: for quotients of which nothing is known. */
QB__INLINE __m512 cut(__m512 v, const enum qb_format output)
{
    float most = output == QB_FORMAT_E4M3 ? 448.0f : 57344.0f;
    __m512i bits = _mm512_castps_si512(v);

    if (output == QB_FORMAT_INT8) {
        /* From above only: _mm512_cvtps_epi32() makes anything far below INT32_MIN, and the saturating packs -128. */
        bits = _mm512_min_epi32(bits, _mm512_castps_si512(_mm512_set1_ps(200.0f)));
    } else {
        bits = _mm512_min_epu32(bits, _mm512_castps_si512(_mm512_set1_ps(most)));
    }
    return _mm512_castsi512_ps(bits);
}

/* v >= 0 to a code of 8 bits in the low byte; the other bytes are undefined. */
QB__INLINE __m512i fp8_code(__m512 v, const struct constants *c, const enum qb_format output)
{
    float least = output == QB_FORMAT_E4M3 ? 0x1p-6f : 0x1p-14f;
    __m512i index = _mm512_max_epu32(_mm512_castps_si512(v), _mm512_castps_si512(_mm512_set1_ps(least)));
    __m512 step;

    index = _mm512_srli_epi32(index, 23);
    if (output == QB_FORMAT_E4M3) {
        step = _mm512_permutexvar_ps(index, c->steps_low);
    } else {
        step = _mm512_permutex2var_ps(c->steps_low, index, c->steps_high);
    }
    return _mm512_castps_si512(_mm512_add_ps(v, step));
}

/* The bytes that ORDER names of (a, b), then those of (c, d). */
QB__INLINE __m512i gather_bytes(__m512i a, __m512i b, __m512i c, __m512i d, __m512i order)
{
    __m512i low = _mm512_permutex2var_epi8(a, order, b);
    __m512i high = _mm512_permutex2var_epi8(c, order, d);

    return _mm512_inserti64x4(low, _mm512_castsi512_si256(high), 1);
}

/* 16 floats from 16 halves or the halves of bfloat16. */
QB__INLINE void widen(__m512i h, __m512 *first, __m512 *second, const enum qb_format input)
{
    if (input == QB_FORMAT_F16) {
        *first = _mm512_cvtph_ps(_mm512_castsi512_si256(h));
        *second = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(h, 1));
    } else {
        *first = _mm512_castsi512_ps(_mm512_slli_epi32(h, 16));
        *second = _mm512_castsi512_ps(_mm512_and_si512(h, _mm512_set1_epi32((int)0xFFFF0000)));
    }
}

QB__INLINE void encode_block(uint8_t *out, const void *x, size_t count, const struct constants *c,
                             const enum qb_format input, const enum qb_format output, const enum qb__quotient quotient,
                             const bool clean, const bool stream)
{
    const bool integer = output == QB_FORMAT_INT8;
    const bool cap = quotient != QB__QUOTIENT_DIVIDE && !clean;
    __m512i raw[4], codes, code[4];
    __m512 v[4];
    __mmask64 nan = 0;

    if (input == QB_FORMAT_F32) {
        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            __mmask16 used = (__mmask16)lanes(count, 16 * (size_t)i, 16);
            const float *source = (const float *)x + 16 * i;
            __m512i bits = count == LANES ? _mm512_loadu_si512(source) : _mm512_maskz_loadu_epi32(used, source);

            raw[i] = bits;
            if (!integer) {
                bits = _mm512_and_si512(bits, _mm512_set1_epi32(0x7FFFFFFF));
            }
            if (!clean) {
                __m512 value = _mm512_castsi512_ps(bits);
                uint64_t unordered = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);

                nan |= unordered << 16 * i;
            }
            if (cap) {
                bits = integer ? _mm512_min_epi32(bits, c->cap) : _mm512_min_epu32(bits, c->cap);
            }
            v[i] = _mm512_castsi512_ps(bits);
        }
    } else {
        const int infinity = input == QB_FORMAT_F16 ? 0x7C00 : 0x7F80;

        QB__UNROLL
        for (int i = 0; i < 2; i++) {
            __mmask32 used = (__mmask32)lanes(count, 32 * (size_t)i, 32);
            const uint16_t *source = (const uint16_t *)x + 32 * i;
            __m512i bits = count == LANES ? _mm512_loadu_si512(source) : _mm512_maskz_loadu_epi16(used, source);
            __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi16(0x7FFF));

            raw[i] = bits;
            if (!clean) {
                uint64_t above = _mm512_cmpgt_epu16_mask(magnitude, _mm512_set1_epi16((short)infinity));

                nan |= above << 32 * i;
            }
            if (!integer) {
                bits = magnitude;
            }
            if (cap) {
                bits = integer ? _mm512_min_epi16(bits, c->cap) : _mm512_min_epu16(bits, c->cap);
            }
            widen(bits, &v[2 * i], &v[2 * i + 1], input);
        }
    }
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = quotient_of(v[i], c->scale, c->reciprocal, quotient);
        if (quotient == QB__QUOTIENT_DIVIDE) {
            v[i] = cut(v[i], output);
        }
        code[i] = integer ? _mm512_cvtps_epi32(v[i]) : fp8_code(v[i], c, output);
    }
    if (integer) {
        codes = _mm512_packs_epi16(_mm512_packs_epi32(code[0], code[1]), _mm512_packs_epi32(code[2], code[3]));
        codes = clean ? _mm512_permutexvar_epi8(c->order, codes) : _mm512_maskz_permutexvar_epi8(~nan, c->order, codes);
    } else {
        __m512i signs;

        codes = gather_bytes(code[0], code[1], code[2], code[3], c->order);
        if (input == QB_FORMAT_F32) {
            __m512i high = _mm512_add_epi8(c->order, _mm512_set1_epi8(3));

            signs = gather_bytes(raw[0], raw[1], raw[2], raw[3], high);
        } else {
            signs = _mm512_permutex2var_epi8(raw[0], _mm512_load_si512(bytes_high), raw[1]);
        }
        /* codes | (signs & 0x80) */
        codes = _mm512_ternarylogic_epi64(codes, signs, _mm512_set1_epi8((char)0x80), 0xF8);
        if (!clean) {
            codes = _mm512_mask_mov_epi8(codes, nan, _mm512_set1_epi8(0x7F));
        }
    }
    if (count != LANES) {
        _mm512_mask_storeu_epi8(out, lanes(count, 0, 64), codes);
    } else if (stream) {
        _mm512_stream_si512((void *)out, codes);
    } else {
        _mm512_storeu_si512(out, codes);
    }
}

/* 16 elements from FIRST on, in order, 0 beyond COUNT. */
QB__INLINE __m512 load16(const void *x, size_t first, __mmask16 used, const enum qb_format input)
{
    if (input == QB_FORMAT_F32) {
        return _mm512_maskz_loadu_ps(used, (const float *)x + first);
    }
    __m256i h = _mm256_maskz_loadu_epi16(used, (const uint16_t *)x + first);
    if (input == QB_FORMAT_F16) {
        return _mm512_cvtph_ps(h);
    }
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

QB__INLINE void encode_block_columns(uint8_t *out, const void *x, size_t count, const float *scales,
                                     const enum qb_format input, const enum qb_format output)
{
    const struct qb__divisor none = {.scale = 1.0f, .reciprocal = 1.0f};
    const struct constants c = constants_make(&none, input, output);

    QB__UNROLL
    for (size_t i = 0; i < LANES; i += 16) {
        __mmask16 used = (__mmask16)lanes(count, i, 16);
        __m512 value = load16(x, i, used, input);
        __m512 scale = _mm512_mask_loadu_ps(_mm512_set1_ps(1.0f), used, scales + i);
        __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
        __m512i code;

        if (output == QB_FORMAT_INT8) {
            code = _mm512_cvtps_epi32(cut(_mm512_div_ps(value, scale), output));
            code = _mm512_maskz_mov_epi32((__mmask16)~nan, code);
            _mm512_mask_cvtsepi32_storeu_epi8(out + i, used, code);
        } else {
            __m512 v = cut(_mm512_div_ps(_mm512_abs_ps(value), scale), output);
            __m512i sign = _mm512_srli_epi32(_mm512_castps_si512(value), 24);

            code = fp8_code(v, &c, output);
            code = _mm512_ternarylogic_epi32(code, sign, _mm512_set1_epi32(0x80), 0xF8);
            code = _mm512_mask_mov_epi32(code, nan, _mm512_set1_epi32(0x7F));
            _mm512_mask_cvtepi32_storeu_epi8(out + i, used, code);
        }
    }
}

QB__INLINE void amax_block_columns(const void *x, size_t count, float *amax, const enum qb_format input)
{
    QB__UNROLL
    for (size_t i = 0; i < LANES; i += 16) {
        __mmask16 used = (__mmask16)lanes(count, i, 16);
        __m512 value = _mm512_abs_ps(load16(x, i, used, input));
        __m512 old = _mm512_maskz_loadu_ps(used, amax + i);

        /* The second operand is returned where the first is NaN. */
        _mm512_mask_storeu_ps(amax + i, used, _mm512_max_ps(value, old));
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
            const short infinity = input == QB_FORMAT_F16 ? 0x7C00 : 0x7F80;
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
