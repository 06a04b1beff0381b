/* SPDX-License-Identifier: Apache-2.0 */
/* vector_avx2.h - the vocabulary of vector.h for AVX2, FMA and F16C. */
#ifndef QB_CPU_VECTOR_AVX2_H
#define QB_CPU_VECTOR_AVX2_H

#include <immintrin.h>

#include "vector.h"

#define LANES       32
#define FLOATS      8
#define PARTS       (LANES / FLOATS) /* vectors of a block as floats */
#define HAVE_MASKS  0
#define HAVE_STREAM 1

typedef __m256 floats;
typedef __m256i words;
typedef __m256i limits;
typedef __m256i codes;

struct block {
    floats v[PARTS];
};

/* ---- Load ------------------------------------------------------------------------------------------------------ */

QB__INLINE words load_vector(const void *x)
{
    return _mm256_loadu_si256(x);
}

/* The first COUNT elements at X, fewer than a vector holds, and zeros. */
QB__INLINE words load_rest(const void *x, size_t count, const enum qb_format format)
{
    words rest = _mm256_setzero_si256();

    memcpy(&rest, x, count * qb__element_size(format));
    return rest;
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
    return load_vector((const words *)e.x + i);
}

/* The elements as floats, in order; unless LINEAR, of bfloat16 the even and the odd ones of the first 16, then of the
 * others. */
QB__INLINE struct block load_block(const struct elements e, const bool linear)
{
    struct block b;

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        if (e.format == QB_FORMAT_F32) {
            b.v[i] = _mm256_loadu_ps((const float *)e.x + 8 * i);
        } else if (e.format == QB_FORMAT_F16) {
            b.v[i] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)e.x + i));
        } else if (linear) {
            __m256i halves = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)e.x + i));

            b.v[i] = _mm256_castsi256_ps(_mm256_slli_epi32(halves, 16));
        } else {
            __m256i pairs = load_words(e, i / 2);

            b.v[i] = _mm256_castsi256_ps(i % 2 == 0 ? _mm256_slli_epi32(pairs, 16)
                                                    : _mm256_and_si256(pairs, _mm256_set1_epi32((int)0xFFFF0000)));
        }
    }
    return b;
}

/* All ones in the first COUNT lanes of 32 bits. */
QB__INLINE words first_lanes(size_t count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first COUNT floats at P, or a whole vector of them if there are more, and FILL in the place of others. */
QB__INLINE floats load_floats(const float *p, size_t count, float fill)
{
    const words used = first_lanes(count);

    if (count >= FLOATS) {
        return _mm256_loadu_ps(p);
    }
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, used), _mm256_castsi256_ps(used));
}

/* X in every place. */
QB__INLINE floats fill_floats(float x)
{
    return _mm256_set1_ps(x);
}

/* ---- Largest and limits ------------------------------------------------------------------------------------------ */

/* |x| as integers, which order as the numbers do; 0 for NaN if NO_NAN. */
QB__INLINE words magnitude(words x, const enum qb_format format, const bool no_nan)
{
    if (format == QB_FORMAT_F32) {
        x = _mm256_and_si256(x, _mm256_set1_epi32(0x7FFFFFFF));
        return no_nan ? _mm256_andnot_si256(_mm256_cmpgt_epi32(x, _mm256_set1_epi32((int)QB__F32_INF)), x) : x;
    }
    x = _mm256_and_si256(x, _mm256_set1_epi16(0x7FFF));
    return no_nan ? _mm256_andnot_si256(_mm256_cmpgt_epi16(x, _mm256_set1_epi16((short)qb__infinity(format))), x) : x;
}

QB__INLINE words maximum(words a, words b, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? _mm256_max_epu32(a, b) : _mm256_max_epu16(a, b);
}

/* The larger of two vectors of elements' bits, as signed integers: those of positive numbers order as these do. */
QB__INLINE words maximum_signed(words a, words b, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? _mm256_max_epi32(a, b) : _mm256_max_epi16(a, b);
}

/* X, and 0 in the place of NaN. */
QB__INLINE words without_nan(words x, const enum qb_format format)
{
    const words m = magnitude(x, format, false);

    return format == QB_FORMAT_F32
               ? _mm256_andnot_si256(_mm256_cmpgt_epi32(m, _mm256_set1_epi32((int)QB__F32_INF)), x)
               : _mm256_andnot_si256(_mm256_cmpgt_epi16(m, _mm256_set1_epi16((short)qb__infinity(format))), x);
}

/* The largest of a vector of magnitudes. */
QB__INLINE uint32_t largest(words m, const enum qb_format format)
{
    __m128i low = _mm256_castsi256_si128(m), high = _mm256_extracti128_si256(m, 1);

    if (format == QB_FORMAT_F32) {
        low = _mm_max_epu32(low, high);
        low = _mm_max_epu32(low, _mm_shuffle_epi32(low, 0x4E));
        low = _mm_max_epu32(low, _mm_shuffle_epi32(low, 0xB1));
        return (uint32_t)_mm_cvtsi128_si32(low);
    }
    low = _mm_max_epu16(low, high);
    /* There is a horizontal minimum of 8 words: of the complements it is the maximum. */
    low = _mm_minpos_epu16(_mm_xor_si128(low, _mm_set1_epi16(-1)));
    return (uint32_t)~_mm_cvtsi128_si32(low) & 0xFFFF;
}

/* The larger halves of the parts of two vectors, of 128, 64 and 32 bits: of A, then of B, in every 128 bits where parts
 * are shorter than that. */
QB__INLINE words halve_128(words a, words b, const enum qb_format format)
{
    return maximum(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31), format);
}

QB__INLINE words halve_64(words a, words b, const enum qb_format format)
{
    return maximum(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b), format);
}

QB__INLINE words halve_32(words a, words b, const enum qb_format format)
{
    const __m256 x = _mm256_castsi256_ps(a), y = _mm256_castsi256_ps(b);

    return maximum(_mm256_castps_si256(_mm256_shuffle_ps(x, y, 0x88)),
                   _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xDD)), format);
}

/* The largest magnitude of each of 16 runs: run I is in M[I]. */
QB__INLINE void largest_each(uint32_t to[16], const words m[16], const enum qb_format format, const bool halves)
{
    (void)halves; /* runs are whole vectors at least */
    QB__UNROLL
    for (int i = 0; i < 16; i += 8) {
        const words a = halve_64(halve_128(m[i], m[i + 4], format), halve_128(m[i + 1], m[i + 5], format), format);
        const words b = halve_64(halve_128(m[i + 2], m[i + 6], format), halve_128(m[i + 3], m[i + 7], format), format);
        words all = halve_32(a, b, format);

        if (format != QB_FORMAT_F32) {
            all = _mm256_max_epu32(_mm256_and_si256(all, _mm256_set1_epi32(0xFFFF)), _mm256_srli_epi32(all, 16));
        }
        _mm256_storeu_si256((__m256i *)(void *)(to + i), all);
    }
}

QB__INLINE floats maximum_floats(floats a, floats b)
{
    return _mm256_max_ps(a, b);
}

QB__INLINE bool has_nan(const struct block b)
{
    floats nan = _mm256_setzero_ps();

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(b.v[i], b.v[i], _CMP_UNORD_Q));
    }
    return _mm256_movemask_ps(nan) != 0;
}

/* For any_above(): an |x| in the format's bits. */
QB__INLINE limits limits_make(uint32_t limit, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? _mm256_set1_epi32((int)limit) : _mm256_set1_epi16((short)limit);
}

/* Vector I of the elements' magnitudes: those of 16 bits are two in a float. */
QB__INLINE words magnitude_at(const struct elements e, int i)
{
    const int mask = e.format == QB_FORMAT_F32 ? 0x7FFFFFFF : 0x7FFF7FFF;

    return _mm256_and_si256(load_words(e, i), _mm256_set1_epi32(mask));
}

QB__INLINE words above(words m, limits limit, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? _mm256_cmpgt_epi32(m, limit) : _mm256_cmpgt_epi16(m, limit);
}

/* True if some |x| is above LIMIT, or NaN. */
QB__INLINE bool any_above(const struct elements e, limits limit)
{
    const int vectors = LANES * (int)qb__element_size(e.format) / (int)sizeof(words);
    words most = magnitude_at(e, 0);

    QB__UNROLL
    for (int i = 1; i < vectors; i++) {
        words m = magnitude_at(e, i);

        most = e.format == QB_FORMAT_F32 ? _mm256_max_epi32(most, m) : _mm256_max_epi16(most, m);
    }
    return _mm256_movemask_epi8(above(most, limit, e.format)) != 0;
}

/* ---- Scale ------------------------------------------------------------------------------------------------------- */

QB__INLINE floats divide(floats x, floats y)
{
    return _mm256_div_ps(x, y);
}

/* x * y, rounded. */
QB__INLINE floats multiply(floats x, floats y)
{
    floats product = _mm256_mul_ps(x, y);

    __asm__("" : "+x"(product)); /* not to be contracted with what follows */
    return product;
}

/* x * y + x * rest, of which the second product is rounded before the sum is. */
QB__INLINE floats multiply_twice(floats x, floats y, floats rest)
{
    return _mm256_fmadd_ps(x, y, _mm256_mul_ps(x, rest));
}

/* ---- Round and narrow ----------------------------------------------------------------------------------------------
 */

/* What a run of codes keeps in registers. */
struct encoder {
    bool even_odd; /* how load_block() orders the elements */
};

QB__INLINE struct encoder encoder_make(const enum qb_format input, const enum qb_format output, const bool linear)
{
    (void)output;
    return (struct encoder){input == QB_FORMAT_BF16 && !linear};
}

/* What float_code() has too much, modulo 256: 8 * (20 + 127 - 6) for E4M3, 4 * (21 + 127 - 14) for E5M2. */
QB__INLINE char code_bias(const enum qb_format output)
{
    return (char)((unsigned)(qb__dropped_bits(output) + 127 + qb__least_exponent(output))
                  << qb__formats[output].mantissa_bits);
}

/* |v| to a code plus code_bias(), modulo 256. CUT: v may be NaN or too large, and gives the largest code then.
 *
 * With p = 2^e, e the exponent of v but at least that of subnormals, the sum v + p * 2^20 (E4M3) is rounded, to
 * nearest even, to a multiple of 2^(e - 3): its mantissa is v in these units, its exponent field e + 20 + 127. The code
 * is 8 * (e + 6) plus that mantissa; 8 times the exponent field is what a shift by 20 brings down. E5M2: 2^21, 4. */
QB__INLINE __m256i float_code(__m256 v, const enum qb_format output, const bool cut)
{
    const int dropped = qb__dropped_bits(output);
    const __m256i exponent_mask = _mm256_set1_epi32((int)QB__F32_INF);
    const __m256i least = _mm256_set1_epi32((int)qb__power_bits(qb__least_exponent(output)));
    const __m256 shift = _mm256_castsi256_ps(_mm256_set1_epi32((int)qb__power_bits(dropped)));
    __m256i bits = _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7FFFFFFF)), power, sum;

    if (cut) {
        bits = _mm256_min_epi32(bits, _mm256_castps_si256(_mm256_set1_ps(qb__formats[output].largest)));
    }
    power = _mm256_max_epi32(_mm256_and_si256(bits, exponent_mask), least);
    sum = _mm256_castps_si256(_mm256_fmadd_ps(_mm256_castsi256_ps(power), shift, _mm256_castsi256_ps(bits)));
    sum = _mm256_add_epi32(sum, _mm256_srli_epi32(sum, dropped));
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

/* Vectors of 32 elements of 32 bits or of 16, to a vector of bytes with saturation. */
QB__INLINE words narrow(const words vectors[4], const enum qb_format format)
{
    if (format == QB_FORMAT_F32) {
        return order_bytes(
            _mm256_packs_epi16(_mm256_packs_epi32(vectors[0], vectors[1]), _mm256_packs_epi32(vectors[2], vectors[3])),
            false);
    }
    return _mm256_permute4x64_epi64(_mm256_packs_epi16(vectors[0], vectors[1]), 0xD8);
}

/* Bytes of all ones for elements that are NaN. */
QB__INLINE codes find_nan(const struct elements e)
{
    const int vectors = LANES * (int)qb__element_size(e.format) / (int)sizeof(words);
    words nan[4];

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        nan[i] = above(magnitude_at(e, i), limits_make(qb__infinity(e.format), e.format), e.format);
    }
    return narrow(nan, e.format);
}

/* Bytes that have the elements' signs; the other bits are undefined. */
QB__INLINE codes find_signs(const struct elements e)
{
    const int vectors = LANES * (int)qb__element_size(e.format) / (int)sizeof(words);
    words x[4];

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        x[i] = load_words(e, i);
    }
    return narrow(x, e.format); /* saturation keeps them */
}

/* True if some of these may be INT8 codes of NaN or of what is too large, where codes_repair() helps. */
QB__INLINE bool codes_doubtful(codes c)
{
    return _mm256_movemask_epi8(_mm256_cmpeq_epi8(c, _mm256_set1_epi8(-128))) != 0;
}

/* INT8 codes of which some are -128. What no 32 bits can hold became INT32_MIN and then -128: large negative numbers,
 * but NaN and large positive ones too. */
QB__INLINE codes codes_repair(codes c, const struct elements e)
{
    words negative = _mm256_cmpgt_epi8(_mm256_setzero_si256(), find_signs(e));
    words positive = _mm256_andnot_si256(negative, _mm256_cmpeq_epi8(c, _mm256_set1_epi8(-128)));

    /* -128 - 1 is 127. */
    return _mm256_andnot_si256(find_nan(e), _mm256_add_epi8(c, positive));
}

/* Codes of integers, saturated to LEAST and MOST. */
QB__INLINE codes codes_within(codes c, const int least, const int most)
{
    return _mm256_max_epi8(_mm256_min_epi8(c, _mm256_set1_epi8((char)most)), _mm256_set1_epi8((char)least));
}

/* The codes of quotients B of the elements E, one in each byte; of integers of 4 bits the other bits are copies of the
 * sign. */
QB__INLINE codes codes_with(const struct block b, const struct elements e, const struct encoder *encoder,
                            const enum qb_format output, const enum excess excess)
{
    const bool any = excess == EXCESS_ANY;
    const bool integer = qb__is_integer(output);
    const int unused = 8 - (int)qb__formats[output].bits;
    words code[PARTS];
    codes c, signs;

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        code[i] = integer ? _mm256_cvtps_epi32(b.v[i]) : float_code(b.v[i], output, any);
    }
    if (integer) {
        c = _mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]), _mm256_packs_epi32(code[2], code[3]));
        c = order_bytes(c, encoder->even_odd);
        c = any ? codes_repair(c, e) : c;
        if (any && output == QB_FORMAT_INT4) {
            c = codes_within(c, -8, 7);
        }
        return c;
    }
    c = _mm256_packus_epi16(_mm256_packus_epi32(code[0], code[1]), _mm256_packus_epi32(code[2], code[3]));
    c = _mm256_sub_epi8(order_bytes(c, encoder->even_odd), _mm256_set1_epi8(code_bias(output)));
    if (excess == EXCESS_CUT) {
        c = _mm256_min_epu8(c, _mm256_set1_epi8((char)qb__formats[output].largest_code));
    }
    signs = unused == 0 ? find_signs(e) : _mm256_srli_epi16(find_signs(e), unused);
    c = _mm256_or_si256(c, _mm256_and_si256(signs, _mm256_set1_epi8((char)(0x80 >> unused))));
    return any ? _mm256_blendv_epi8(c, _mm256_set1_epi8((char)qb__formats[output].nan_code), find_nan(e)) : c;
}

/* The same: ANY of any quotients, otherwise of those that are not too large. */
QB__INLINE codes codes_of(const struct block b, const struct elements e, const struct encoder *encoder,
                          const enum qb_format output, const bool any)
{
    return codes_with(b, e, encoder, output, any ? EXCESS_ANY : EXCESS_NONE);
}

/* The same of quotients that are less than twice the largest code's power of two. */
QB__INLINE codes codes_cut(const struct block b, const struct elements e, const struct encoder *encoder,
                           const enum qb_format output)
{
    return codes_with(b, e, encoder, output, EXCESS_CUT);
}

/* The low halves of the bytes of A, then of B, two in a byte, the first one low. */
QB__INLINE codes nibbles_of(codes a, codes b)
{
    const __m256i low = _mm256_set1_epi16(0x000F), high = _mm256_set1_epi16(0x00F0);
    const __m256i x = _mm256_or_si256(_mm256_and_si256(a, low), _mm256_and_si256(_mm256_srli_epi16(a, 4), high));
    const __m256i y = _mm256_or_si256(_mm256_and_si256(b, low), _mm256_and_si256(_mm256_srli_epi16(b, 4), high));

    return _mm256_permute4x64_epi64(_mm256_packus_epi16(x, y), 0xD8);
}

/* The low 6 bits of bytes, four in three bytes, the first one lowest: the first three quarters of the vector. */
QB__INLINE codes triples_of(codes c)
{
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_and_si256(c, _mm256_set1_epi8(0x3F)), _mm256_set1_epi16(0x4001));
    const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x10000001));
    const __m256i three = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8,
                                           9, 10, 12, 13, 14, -1, -1, -1, -1);

    return _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(fours, three), _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
}

/* Integers of 8 bits by ZERO_POINT, of quotients that load_block() ordered, with saturation; the quotients are not NaN,
 * and less than 2^31. */
QB__INLINE codes codes_shifted(const struct block b, const struct encoder *encoder, int zero_point)
{
    const __m256i zero = _mm256_set1_epi16((short)zero_point);
    const __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(b.v[0]), _mm256_cvtps_epi32(b.v[1]));
    const __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(b.v[2]), _mm256_cvtps_epi32(b.v[3]));

    return order_bytes(_mm256_packs_epi16(_mm256_adds_epi16(low, zero), _mm256_adds_epi16(high, zero)),
                       encoder->even_odd);
}

/* ---- Store ------------------------------------------------------------------------------------------------------- */

QB__INLINE void store_vector(void *out, words x, const bool stream)
{
    if (stream) {
        _mm256_stream_si256(out, x);
    } else {
        _mm256_storeu_si256(out, x);
    }
}

QB__INLINE void store_codes(uint8_t *out, codes c, const bool stream)
{
    store_vector(out, c, stream);
}

/* The first COUNT codes. */
QB__INLINE void store_part(uint8_t *out, codes c, size_t count)
{
    uint8_t bytes[LANES];

    _mm256_storeu_si256((__m256i *)bytes, c);
    memcpy(out, bytes, count);
}

/* The first COUNT floats, or all of a vector if COUNT is more. */
QB__INLINE void store_floats(float *p, floats x, size_t count)
{
    if (count >= FLOATS) {
        _mm256_storeu_ps(p, x);
    } else {
        _mm256_maskstore_ps(p, first_lanes(count), x);
    }
}

static inline void fence(void)
{
    _mm_sfence();
}

/* ---- Others --------------------------------------------------------------------------------------------------------
 */

QB__INLINE words fill_vector(char byte)
{
    return _mm256_set1_epi8(byte);
}

QB__INLINE words xor_vectors(words a, words b)
{
    return _mm256_xor_si256(a, b);
}

/* Have X computed: somebody wants it. */
QB__INLINE void keep(words x)
{
    __asm__ volatile("" : : "x"(x));
}

/* ---- Ties between codes --------------------------------------------------------------------------------------------
 */

typedef __m256 mask;

QB__INLINE mask mask_and(mask a, mask b)
{
    return _mm256_and_ps(a, b);
}

QB__INLINE mask mask_or(mask a, mask b)
{
    return _mm256_or_ps(a, b);
}

QB__INLINE mask mask_xor(mask a, mask b)
{
    return _mm256_xor_ps(a, b);
}

QB__INLINE mask mask_none(void)
{
    return _mm256_setzero_ps();
}

QB__INLINE bool mask_any(mask a)
{
    return _mm256_movemask_ps(a) != 0;
}

/* The first odd numbers, and those after others. */
QB__INLINE floats first_ties(void)
{
    return _mm256_setr_ps(1, 3, 5, 7, 9, 11, 13, 15);
}

QB__INLINE floats next_ties(floats ties)
{
    return _mm256_add_ps(ties, _mm256_set1_ps(2 * FLOATS));
}

/* Which lanes are rounded up from TIE, an odd number of halves of a code's last place: to even where they are the tie,
 * which is up for 3, 7, 11, in every other lane. */
QB__INLINE mask rounds_up(floats v, floats tie)
{
    return _mm256_blend_ps(_mm256_cmp_ps(v, tie, _CMP_GT_OQ), _mm256_cmp_ps(v, tie, _CMP_GE_OQ), 0xAA);
}

/* A in the first COUNT lanes alone. */
QB__INLINE mask mask_first(mask a, const int count)
{
    return count >= FLOATS ? a : mask_and(a, _mm256_castsi256_ps(first_lanes((size_t)count)));
}

/* Which of these are at most QB__NEAR units away from a number that lacks the last DROPPED bits. */
QB__INLINE mask near_short(floats x, const int dropped)
{
    words off = _mm256_and_si256(_mm256_add_epi32(_mm256_castps_si256(x), _mm256_set1_epi32(QB__NEAR)),
                                 _mm256_set1_epi32((1 << dropped) - 1));

    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(2 * QB__NEAR + 1), off));
}

/* The nearest numbers that lack the last DROPPED bits. */
QB__INLINE floats round_short(floats x, const int dropped)
{
    words rounded = _mm256_add_epi32(_mm256_castps_si256(x), _mm256_set1_epi32(1 << (dropped - 1)));

    return _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(-(1 << dropped))));
}

#endif
