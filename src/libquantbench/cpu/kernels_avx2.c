/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_avx2.c - the inner routines for AVX2, FMA and F16C. Compile with -mavx2 -mfma -mf16c; the pragmas below keep
 * later flags from taking that back. */
#include <config.h>

#ifdef HAVE_X86_AVX2

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

#include <immintrin.h>

#include "kernels.h"

#define ISA           avx2
#define CODES         QB__VECTOR_CODES
#define LANES         32
#define HAVE_CORRECT  1
#define HAVE_MULTIPLY 1
#define SATURATING    1

/* What a run keeps in registers. */
struct constants {
    __m256 scale;
    __m256 reciprocal;
    __m256 reciprocal_rest;
    __m256i cap;
};

QB__INLINE struct constants constants_make(const struct qb__divisor *d, const enum qb_format input,
                                           const enum qb_format output)
{
    struct constants c = {
        .scale = _mm256_set1_ps(d->scale),
        .reciprocal = _mm256_set1_ps(d->reciprocal),
        .reciprocal_rest = _mm256_set1_ps(d->reciprocal_rest),
    };

    (void)output;
    c.cap = input == QB_FORMAT_F32 ? _mm256_set1_epi32((int)d->cap) : _mm256_set1_epi16((short)d->cap);
    return c;
}

QB__INLINE __m256 quotient_of(__m256 x, const struct constants *c, const enum qb__quotient quotient)
{
    if (quotient == QB__QUOTIENT_DIVIDE) {
        return _mm256_div_ps(x, c->scale);
    }
    if (quotient == QB__QUOTIENT_MULTIPLY) {
        __m256 q = _mm256_mul_ps(x, c->reciprocal);

        __asm__("" : "+x"(q)); /* not to be contracted with what follows */
        return q;
    }
    return _mm256_fmadd_ps(x, c->reciprocal, _mm256_mul_ps(x, c->reciprocal_rest));
}

/* Which lanes are rounded up from TIE, an odd number of halves of a code's last place: to even where they are the tie,
 * which is up for 3, 7, 11, in every other lane. */
QB__INLINE __m256 rounds_up(__m256 v, __m256 tie)
{
    return _mm256_blend_ps(_mm256_cmp_ps(v, tie, _CMP_GT_OQ), _mm256_cmp_ps(v, tie, _CMP_GE_OQ), 0xAA);
}

/* See kernels_body.h. */
QB__INLINE bool multiply_matches(float scale, float *reciprocal, const enum qb_format input,
                                 const enum qb_format output)
{
    const int last = qb__last_tie(output);
    const int dropped = qb__dropped_bits(input);
    const float candidates[3] = {*reciprocal, qb__float_of(qb__bits_of(*reciprocal) + 1),
                                 qb__float_of(qb__bits_of(*reciprocal) - 1)};
    const __m256 s = _mm256_set1_ps(scale);
    __m256 tie = _mm256_setr_ps(1, 3, 5, 7, 9, 11, 13, 15);
    __m256 bad[3] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};

    for (int i = 0; i < last; i += 16, tie = _mm256_add_ps(tie, _mm256_set1_ps(16))) {
        __m256i bits = _mm256_castps_si256(_mm256_mul_ps(tie, s));
        __m256i off = _mm256_and_si256(_mm256_add_epi32(bits, _mm256_set1_epi32(QB__NEAR)),
                                       _mm256_set1_epi32((1 << dropped) - 1));
        __m256 near = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(2 * QB__NEAR + 1), off));

        if (_mm256_movemask_ps(near) != 0) {
            __m256i rounded = _mm256_add_epi32(bits, _mm256_set1_epi32(1 << (dropped - 1)));
            __m256 x = _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(-(1 << dropped))));
            __m256 up = rounds_up(_mm256_div_ps(x, s), tie);

            QB__UNROLL
            for (int k = 0; k < 3; k++) {
                __m256 differ = _mm256_xor_ps(up, rounds_up(_mm256_mul_ps(x, _mm256_set1_ps(candidates[k])), tie));

                bad[k] = _mm256_or_ps(bad[k], _mm256_and_ps(near, differ));
            }
        }
    }
    QB__UNROLL
    for (int k = 0; k < 3; k++) {
        if (_mm256_movemask_ps(bad[k]) == 0) {
            *reciprocal = candidates[k];
            return true;
        }
    }
    return false;
}

/* What fp8_code() has too much, modulo 256: 8 * (20 + 127 - 6) for E4M3, 4 * (21 + 127 - 14) for E5M2. */
QB__INLINE char fp8_bias(const enum qb_format output)
{
    return output == QB_FORMAT_E4M3 ? 8 * (20 + 127 - 6) % 256 : 4 * (21 + 127 - 14) % 256;
}

/* |v| to a code of 8 bits plus fp8_bias(), modulo 256. CUT: v may be NaN or too large, and gives the largest code then.
 *
 * With p = 2^e, e the exponent of v but at least that of subnormals, the sum v + p * 2^20 (E4M3) is rounded, to
 * nearest even, to a multiple of 2^(e - 3): its mantissa is v in these units, its exponent field e + 20 + 127. The code
 * is 8 * (e + 6) plus that mantissa; 8 times the exponent field is what a shift by 20 brings down. E5M2: 2^21, 4. */
QB__INLINE __m256i fp8_code(__m256 v, const enum qb_format output, const bool cut)
{
    const bool e4m3 = output == QB_FORMAT_E4M3;
    const __m256i exponent_mask = _mm256_set1_epi32((int)QB__F32_INF);
    const __m256i least = _mm256_castps_si256(_mm256_set1_ps(e4m3 ? 0x1p-6f : 0x1p-14f));
    const __m256 shift = _mm256_set1_ps(e4m3 ? 0x1p20f : 0x1p21f);
    __m256i bits = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7FFFFFFF)), power, sum;

    if (cut) {
        bits = _mm256_min_epi32(bits, _mm256_castps_si256(_mm256_set1_ps(qb__formats[output].largest)));
    }
    power = _mm256_max_epi32(_mm256_and_si256(bits, exponent_mask), least);
    sum = _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(power), shift, _mm256_castsi256_ps(bits)));
    sum = _mm256_add_epi32(sum, _mm256_srli_epi32(sum, e4m3 ? 20 : 21));
    return _mm256_and_si256(sum, _mm256_set1_epi32(0xFF));
}

/* 4 x 8 integers to 32 bytes: of vectors that hold the elements in order, or (even_odd) the even and the odd elements
 * of the first 16, then of the others. */
QB__INLINE __m256i order_bytes(__m256i packed, const bool even_odd)
{
    if (even_odd) {
        const __m256i interleave = _mm256_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15, 0, 4, 1, 5, 2,
                                                    6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);

        return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(packed, interleave), 0xD8);
    }
    return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* 32 elements as floats. */
struct block {
    __m256 v[4];
};

/* In order; unless LINEAR, of bfloat16 the even and the odd ones of the first 16, then of the others. */
QB__INLINE struct block load_block(const void *x, const enum qb_format input, const bool linear)
{
    struct block b;

    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        if (input == QB_FORMAT_F32) {
            b.v[i] = _mm256_loadu_ps((const float *)x + 8 * i);
        } else if (input == QB_FORMAT_F16) {
            b.v[i] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)x + i));
        } else if (linear) {
            __m256i halves = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)x + i));

            b.v[i] = _mm256_castsi256_ps(_mm256_slli_epi32(halves, 16));
        } else {
            __m256i pairs = _mm256_loadu_si256((const __m256i *)x + i / 2);

            b.v[i] = _mm256_castsi256_ps(i % 2 == 0 ? _mm256_slli_epi32(pairs, 16)
                                                    : _mm256_and_si256(pairs, _mm256_set1_epi32((int)0xFFFF0000)));
        }
    }
    return b;
}

/* |x| of 32 elements, as the input's bits in as many vectors as it takes: elements of 16 bits are two in a float. */
QB__INLINE __m256i magnitude_at(const void *x, int i, const enum qb_format input)
{
    const int mask = input == QB_FORMAT_F32 ? 0x7FFFFFFF : 0x7FFF7FFF;

    return _mm256_and_si256(_mm256_loadu_si256((const __m256i *)x + i), _mm256_set1_epi32(mask));
}

/* Vectors of 32 elements of 32 bits or of 16, to a vector of bytes with saturation. */
QB__INLINE __m256i narrow(const __m256i vectors[4], const enum qb_format input)
{
    if (input == QB_FORMAT_F32) {
        return order_bytes(
            _mm256_packs_epi16(_mm256_packs_epi32(vectors[0], vectors[1]), _mm256_packs_epi32(vectors[2], vectors[3])),
            false);
    }
    return _mm256_permute4x64_epi64(_mm256_packs_epi16(vectors[0], vectors[1]), 0xD8);
}

/* Bytes of all ones for elements that are NaN. */
QB__INLINE __m256i find_nan(const void *x, const enum qb_format input)
{
    const int vectors = vectors_of(input);
    __m256i above[4];

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        __m256i bits = magnitude_at(x, i, input);

        above[i] = input == QB_FORMAT_F32 ? _mm256_cmpgt_epi32(bits, _mm256_set1_epi32((int)QB__F32_INF))
                                          : _mm256_cmpgt_epi16(bits, _mm256_set1_epi16((short)qb__infinity(input)));
    }
    return narrow(above, input);
}

/* Bytes that have the elements' signs; the other bits are undefined. */
QB__INLINE __m256i find_signs(const void *x, const enum qb_format input)
{
    const int vectors = vectors_of(input);
    __m256i bits[4];

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        bits[i] = _mm256_loadu_si256((const __m256i *)x + i);
    }
    return narrow(bits, input); /* saturation keeps them */
}

/* Whether some |x| of a block is above the cap, or NaN. */
QB__INLINE bool above_cap(const void *x, const struct constants *c, const enum qb_format input)
{
    const int vectors = vectors_of(input);
    __m256i most = magnitude_at(x, 0, input);

    QB__UNROLL
    for (int i = 1; i < vectors; i++) {
        __m256i bits = magnitude_at(x, i, input);

        most = input == QB_FORMAT_F32 ? _mm256_max_epi32(most, bits) : _mm256_max_epi16(most, bits);
    }
    most = input == QB_FORMAT_F32 ? _mm256_cmpgt_epi32(most, c->cap) : _mm256_cmpgt_epi16(most, c->cap);
    return _mm256_movemask_epi8(most) != 0;
}

/* INT8 codes of which some are -128. What no 32 bits can hold became INT32_MIN and then -128: large negative numbers,
 * but NaN and large positive ones too. */
QB__INLINE __m256i int8_repair(__m256i codes, const void *x, const enum qb_format input)
{
    __m256i negative = _mm256_cmpgt_epi8(_mm256_setzero_si256(), find_signs(x, input));
    __m256i positive = _mm256_andnot_si256(negative, _mm256_cmpeq_epi8(codes, _mm256_set1_epi8(-128)));

    /* -128 - 1 is 127. */
    return _mm256_andnot_si256(find_nan(x, input), _mm256_add_epi8(codes, positive));
}

/* The codes of quotients V of the elements X. ANY: they may be NaN or too large; otherwise INT8 may have come out as
 * -128 wrongly, where int8_repair() helps. */
QB__INLINE __m256i codes_of(const __m256 v[4], const void *x, const enum qb_format input, const enum qb_format output,
                            const bool linear, const bool any)
{
    const bool even_odd = input == QB_FORMAT_BF16 && !linear;
    __m256i code[4], codes;

    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        code[i] = output == QB_FORMAT_INT8 ? _mm256_cvtps_epi32(v[i]) : fp8_code(v[i], output, any);
    }
    if (output == QB_FORMAT_INT8) {
        codes = _mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]), _mm256_packs_epi32(code[2], code[3]));
        codes = order_bytes(codes, even_odd);
        return any ? int8_repair(codes, x, input) : codes;
    }
    codes = _mm256_packus_epi16(_mm256_packus_epi32(code[0], code[1]), _mm256_packus_epi32(code[2], code[3]));
    codes = _mm256_sub_epi8(order_bytes(codes, even_odd), _mm256_set1_epi8(fp8_bias(output)));
    codes = _mm256_or_si256(codes, _mm256_and_si256(find_signs(x, input), _mm256_set1_epi8((char)0x80)));
    return any ? _mm256_blendv_epi8(codes, _mm256_set1_epi8(0x7F), find_nan(x, input)) : codes;
}

QB__INLINE void store_codes(uint8_t *out, __m256i codes, const bool stream)
{
    if (stream) {
        _mm256_stream_si256((__m256i *)out, codes);
    } else {
        _mm256_storeu_si256((__m256i *)out, codes);
    }
}

QB__INLINE void store_part(uint8_t *out, __m256i codes, size_t count)
{
    uint8_t bytes[LANES];

    _mm256_storeu_si256((__m256i *)bytes, codes);
    memcpy(out, bytes, count);
}

QB__INLINE bool encode_block(uint8_t *out, const void *x, const struct constants *c, const enum qb_format input,
                             const enum qb_format output, const enum qb__quotient quotient, const bool clean,
                             const bool stream)
{
    struct block b;
    __m256i codes;

    if (output != QB_FORMAT_INT8 && !clean && __builtin_expect(above_cap(x, c, input), 0)) {
        return false;
    }
    b = load_block(x, input, false);
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        b.v[i] = quotient_of(b.v[i], c, quotient);
    }
    codes = codes_of(b.v, x, input, output, false, false);
    if (output == QB_FORMAT_INT8 && !clean &&
        __builtin_expect(_mm256_movemask_epi8(_mm256_cmpeq_epi8(codes, _mm256_set1_epi8(-128))) != 0, 0)) {
        return false; /* nothing stored: a line that is streamed and then written again costs a trip to memory */
    }
    store_codes(out, codes, stream);
    return true;
}

/* Up to LANES elements with zeros after them. */
QB__INLINE const void *pad(uint32_t padded[LANES], const void *x, size_t count, const enum qb_format input)
{
    if (count == LANES) {
        return x;
    }
    memset(padded, 0, LANES * sizeof *padded);
    memcpy(padded, x, count * qb__element_size(input));
    return padded;
}

QB__INLINE void encode_part(uint8_t *out, const void *x, size_t count, const struct constants *c,
                            const enum qb_format input, const enum qb_format output, const enum qb__quotient quotient,
                            const bool stream)
{
    uint32_t padded[LANES];
    struct block b;
    __m256i codes;

    x = pad(padded, x, count, input);
    b = load_block(x, input, false);
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        b.v[i] = quotient_of(b.v[i], c, quotient);
    }
    codes = codes_of(b.v, x, input, output, false, true);
    if (count == LANES) {
        store_codes(out, codes, stream);
    } else {
        store_part(out, codes, count);
    }
}

QB__INLINE void encode_block_columns(uint8_t *out, size_t out_stride, const void *x, size_t stride, size_t rows,
                                     size_t count, const struct qb__columns *columns, size_t first,
                                     const enum qb_format input, const enum qb_format output,
                                     const enum qb__quotient quotient, const bool clean, const bool stream)
{
    const bool divide = quotient == QB__QUOTIENT_DIVIDE;
    float scales[LANES];
    uint32_t padded[LANES];
    struct constants c[4];

    for (size_t i = 0; i < LANES && count < LANES; i++) {
        scales[i] = i < count ? columns->scale[first + i] : 1.0f;
    }
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        const size_t here = first + 8 * (size_t)i;

        if (divide) {
            c[i].scale = _mm256_loadu_ps(count < LANES ? scales + 8 * i : columns->scale + here);
        } else {
            c[i].reciprocal = _mm256_loadu_ps(columns->reciprocal + here);
            c[i].reciprocal_rest = _mm256_loadu_ps(columns->rest + here);
        }
    }
    for (; rows > 0; rows--, out += out_stride, x = (const char *)x + stride * qb__element_size(input)) {
        const void *source = pad(padded, x, count, input);
        struct block b = load_block(source, input, true);
        __m256i codes;

        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            b.v[i] = quotient_of(b.v[i], &c[i], quotient);
        }
        codes = codes_of(b.v, source, input, output, true, output != QB_FORMAT_INT8 && !clean);
        if (output == QB_FORMAT_INT8 && !clean &&
            __builtin_expect(_mm256_movemask_epi8(_mm256_cmpeq_epi8(codes, _mm256_set1_epi8(-128))) != 0, 0)) {
            codes = int8_repair(codes, source, input);
        }
        if (count == LANES) {
            store_codes(out, codes, stream);
        } else {
            store_part(out, codes, count);
        }
    }
}

/* |x| as integers, which order as the numbers do; 0 for NaN if NO_NAN. */
QB__INLINE __m256i magnitude_of(__m256i bits, const enum qb_format input, const bool no_nan)
{
    if (input == QB_FORMAT_F32) {
        bits = _mm256_and_si256(bits, _mm256_set1_epi32(0x7FFFFFFF));
        if (no_nan) {
            bits = _mm256_andnot_si256(_mm256_cmpgt_epi32(bits, _mm256_set1_epi32((int)QB__F32_INF)), bits);
        }
    } else {
        bits = _mm256_and_si256(bits, _mm256_set1_epi16(0x7FFF));
        if (no_nan) {
            const short infinity = (short)qb__infinity(input);

            bits = _mm256_andnot_si256(_mm256_cmpgt_epi16(bits, _mm256_set1_epi16(infinity)), bits);
        }
    }
    return bits;
}

QB__INLINE __m256i maximum(__m256i a, __m256i b, const enum qb_format input)
{
    return input == QB_FORMAT_F32 ? _mm256_max_epu32(a, b) : _mm256_max_epu16(a, b);
}

QB__INLINE uint32_t amax_run(const void *x, size_t count, const enum qb_format input, const bool no_nan)
{
    const size_t step = 32 / qb__element_size(input); /* elements in one vector */
    const char *p = x;
    __m256i m[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    __m128i low;

    for (; count >= 4 * step; count -= 4 * step, p += 128) {
        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            m[i] = maximum(m[i], magnitude_of(_mm256_loadu_si256((const __m256i *)p + i), input, no_nan), input);
        }
    }
    for (; count >= step; count -= step, p += 32) {
        m[0] = maximum(m[0], magnitude_of(_mm256_loadu_si256((const __m256i *)p), input, no_nan), input);
    }
    if (count > 0) {
        __m256i rest = _mm256_setzero_si256();

        memcpy(&rest, p, count * qb__element_size(input));
        m[1] = maximum(m[1], magnitude_of(rest, input, no_nan), input);
    }
    m[0] = maximum(maximum(m[0], m[1], input), maximum(m[2], m[3], input), input);
    if (input == QB_FORMAT_F32) {
        low = _mm_max_epu32(_mm256_castsi256_si128(m[0]), _mm256_extracti128_si256(m[0], 1));
        low = _mm_max_epu32(low, _mm_shuffle_epi32(low, 0x4E));
        low = _mm_max_epu32(low, _mm_shuffle_epi32(low, 0xB1));
        return (uint32_t)_mm_cvtsi128_si32(low);
    }
    low = _mm_max_epu16(_mm256_castsi256_si128(m[0]), _mm256_extracti128_si256(m[0], 1));
    /* There is a horizontal minimum of 8 words: of the complements it is the maximum. */
    low = _mm_minpos_epu16(_mm_xor_si128(low, _mm_set1_epi16(-1)));
    return (uint32_t)~_mm_cvtsi128_si32(low) & 0xFFFF;
}

QB__INLINE bool amax_block_columns(const void *x, size_t stride, size_t rows, size_t count, float *amax,
                                   const enum qb_format input, const bool no_nan)
{
    const int vectors = vectors_of(input);
    __m256i most[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
    __m256 nan = _mm256_setzero_ps();
    uint32_t padded[LANES];
    float raised[LANES];
    struct block b;

    for (; rows > 0; rows--, x = (const char *)x + stride * qb__element_size(input)) {
        const __m256i *source = pad(padded, x, count, input);

        QB__UNROLL
        for (int i = 0; i < vectors; i++) {
            most[i] = maximum(most[i], magnitude_of(_mm256_loadu_si256(source + i), input, no_nan), input);
        }
    }
    b = load_block(most, input, true);
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(b.v[i], b.v[i], _CMP_UNORD_Q));
    }
    if (_mm256_movemask_ps(nan) != 0) {
        return true;
    }
    if (count == LANES) {
        QB__UNROLL
        for (int i = 0; i < 4; i++) {
            _mm256_storeu_ps(amax + 8 * i, _mm256_max_ps(b.v[i], _mm256_loadu_ps(amax + 8 * i)));
        }
        return false;
    }
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(raised + 8 * i, b.v[i]);
    }
    for (size_t i = 0; i < count; i++) {
        amax[i] = raised[i] > amax[i] ? raised[i] : amax[i];
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
    if (((uintptr_t)to & 63) == 0) {
        for (; bytes >= 64; bytes -= 64, to += 64, from += 64) {
            __m256i a = _mm256_loadu_si256((const __m256i *)from);
            __m256i b = _mm256_loadu_si256((const __m256i *)from + 1);

            _mm256_stream_si256((__m256i *)to, a);
            _mm256_stream_si256((__m256i *)to + 1, b);
        }
    }
    memcpy(to, from, bytes);
}

/* WRITES lines, and EACH lines read for each of them. */
QB__INLINE void mix_lines(char *to, uint64_t writes, const char *from, const int each, bool stream)
{
    __m256i low = _mm256_set1_epi8(1), high = low;

    for (uint64_t i = 0; i < writes; i++, to += 64, from += 64 * each) {
        QB__UNROLL
        for (int j = 0; j < each; j++) {
            __m256i a = _mm256_load_si256((const __m256i *)(from + 64 * j));
            __m256i b = _mm256_load_si256((const __m256i *)(from + 64 * j) + 1);

            low = j == 0 ? a : _mm256_xor_si256(low, a);
            high = j == 0 ? b : _mm256_xor_si256(high, b);
        }
        if (stream) {
            _mm256_stream_si256((__m256i *)to, low);
            _mm256_stream_si256((__m256i *)to + 1, high);
        } else {
            _mm256_store_si256((__m256i *)to, low);
            _mm256_store_si256((__m256i *)to + 1, high);
        }
    }
}

QB__INLINE void read_lines(const char *from, uint64_t reads)
{
    __m256i sum = _mm256_setzero_si256(), other = sum;

    for (uint64_t i = 0; i < reads; i++) {
        sum = _mm256_xor_si256(sum, _mm256_load_si256((const __m256i *)(from + 64 * i)));
        other = _mm256_xor_si256(other, _mm256_load_si256((const __m256i *)(from + 64 * i) + 1));
    }
    sum = _mm256_xor_si256(sum, other);
    __asm__ volatile("" : : "x"(sum)); /* somebody wants it */
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
typedef int qb__no_avx2;
#endif
