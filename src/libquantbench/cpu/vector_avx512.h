/* SPDX-License-Identifier: Apache-2.0 */
/* vector_avx512.h - the vocabulary of vector.h for AVX-512 F, BW, DQ, VL and VBMI. */
#ifndef QB_CPU_VECTOR_AVX512_H
#define QB_CPU_VECTOR_AVX512_H

#include <immintrin.h>

#include "vector.h"

#define LANES       64
#define FLOATS      16
#define PARTS       (LANES / FLOATS) /* vectors of a block as floats */
#define HAVE_MASKS  1
#define HAVE_STREAM 1

typedef __m512 floats;
typedef __m512i words;
typedef __m512i limits;
typedef __m512i codes;

struct block {
    floats v[PARTS];
};

/* ---- Load ------------------------------------------------------------------------------------------------------ */

/* The lanes from FIRST to FIRST + WIDTH - 1 that hold one of COUNT elements. */
QB__INLINE uint64_t lanes(size_t count, size_t first, size_t width)
{
    size_t here = count <= first ? 0 : count - first < width ? count - first : width;

    return here == 64 ? ~(uint64_t)0 : ((uint64_t)1 << here) - 1;
}

QB__INLINE words load_vector(const void *x)
{
    return _mm512_loadu_si512(x);
}

/* The first COUNT elements at X, fewer than a vector holds, and zeros. */
QB__INLINE words load_rest(const void *x, size_t count, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? _mm512_maskz_loadu_epi32((__mmask16)lanes(count, 0, 16), x)
                                   : _mm512_maskz_loadu_epi16((__mmask32)lanes(count, 0, 32), x);
}

/* COUNT elements at X. */
QB__INLINE struct elements elements_of(uint32_t padded[LANES], const void *x, size_t count, const enum qb_format format)
{
    (void)padded;
    return (struct elements){x, count, format};
}

/* Vector I of the elements' bits. */
QB__INLINE words load_words(const struct elements e, int i)
{
    const char *source = (const char *)e.x + 64 * i;

    if (e.count == LANES) {
        return _mm512_loadu_si512(source);
    }
    return e.format == QB_FORMAT_F32 ? _mm512_maskz_loadu_epi32((__mmask16)lanes(e.count, 16 * (size_t)i, 16), source)
                                     : _mm512_maskz_loadu_epi16((__mmask32)lanes(e.count, 32 * (size_t)i, 32), source);
}

/* The elements as floats, in order; unless LINEAR, of bfloat16 the even and the odd ones of the first 32, then of the
 * others. */
QB__INLINE struct block load_block(const struct elements e, const bool linear)
{
    struct block b;

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        const char *source = (const char *)e.x + 16 * (size_t)i * qb__element_size(e.format);
        __mmask16 used = (__mmask16)lanes(e.count, 16 * (size_t)i, 16);
        __m256i half;

        if (e.format == QB_FORMAT_F32) {
            b.v[i] = e.count == LANES ? _mm512_loadu_ps(source) : _mm512_maskz_loadu_ps(used, source);
        } else if (e.format == QB_FORMAT_F16 || linear) {
            half = e.count == LANES ? _mm256_loadu_si256((const void *)source) : _mm256_maskz_loadu_epi16(used, source);
            b.v[i] = e.format == QB_FORMAT_F16
                         ? _mm512_cvtph_ps(half)
                         : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
        } else {
            __m512i pairs = load_words(e, i / 2);

            b.v[i] = _mm512_castsi512_ps(i % 2 == 0 ? _mm512_slli_epi32(pairs, 16)
                                                    : _mm512_and_si512(pairs, _mm512_set1_epi32((int)0xFFFF0000)));
        }
    }
    return b;
}

/* The first COUNT floats at P, or a whole vector of them if there are more, and FILL in the place of others. */
QB__INLINE floats load_floats(const float *p, size_t count, float fill)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), (__mmask16)lanes(count, 0, 16), p);
}

/* X in every place. */
QB__INLINE floats fill_floats(float x)
{
    return _mm512_set1_ps(x);
}

/* ---- Largest and limits ------------------------------------------------------------------------------------------ */

/* |x| as integers, which order as the numbers do; 0 for NaN if NO_NAN. */
QB__INLINE words magnitude(words x, const enum qb_format format, const bool no_nan)
{
    if (format == QB_FORMAT_F32) {
        x = _mm512_and_si512(x, _mm512_set1_epi32(0x7FFFFFFF));
        return no_nan ? _mm512_maskz_mov_epi32(_mm512_cmple_epu32_mask(x, _mm512_set1_epi32((int)QB__F32_INF)), x) : x;
    }
    x = _mm512_and_si512(x, _mm512_set1_epi16(0x7FFF));
    return no_nan
               ? _mm512_maskz_mov_epi16(_mm512_cmple_epu16_mask(x, _mm512_set1_epi16((short)qb__infinity(format))), x)
               : x;
}

QB__INLINE words maximum(words a, words b, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? _mm512_max_epu32(a, b) : _mm512_max_epu16(a, b);
}

/* The larger of two vectors of elements' bits, as signed integers: those of positive numbers order as these do. */
QB__INLINE words maximum_signed(words a, words b, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? _mm512_max_epi32(a, b) : _mm512_max_epi16(a, b);
}

/* X, and 0 in the place of NaN. */
QB__INLINE words without_nan(words x, const enum qb_format format)
{
    const words m = magnitude(x, format, false);

    return format == QB_FORMAT_F32
               ? _mm512_maskz_mov_epi32(_mm512_cmple_epu32_mask(m, _mm512_set1_epi32((int)QB__F32_INF)), x)
               : _mm512_maskz_mov_epi16(_mm512_cmple_epu16_mask(m, _mm512_set1_epi16((short)qb__infinity(format))), x);
}

/* The largest of a vector of magnitudes. */
QB__INLINE uint32_t largest(words m, const enum qb_format format)
{
    __m256i half;
    __m128i low;

    if (format == QB_FORMAT_F32) {
        return _mm512_reduce_max_epu32(m);
    }
    half = _mm256_max_epu16(_mm512_castsi512_si256(m), _mm512_extracti64x4_epi64(m, 1));
    low = _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    /* There is a horizontal minimum of 8 words: of the complements it is the maximum. */
    low = _mm_minpos_epu16(_mm_xor_si128(low, _mm_set1_epi16(-1)));
    return (uint32_t)~_mm_cvtsi128_si32(low) & 0xFFFF;
}

/* The words that hold the parts of two vectors, which are of 256, 128, 64 and 32 bits, joined: of each part that begins
 * the larger half, first those of A, then those of B, in every 128 bits where parts are shorter than that. */
QB__INLINE words halve_256(words a, words b, const enum qb_format format)
{
    return maximum(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xEE), format);
}

QB__INLINE words halve_128(words a, words b, const enum qb_format format)
{
    return maximum(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xDD), format);
}

QB__INLINE words halve_64(words a, words b, const enum qb_format format)
{
    return maximum(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b), format);
}

QB__INLINE words halve_32(words a, words b, const enum qb_format format)
{
    const __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);

    return maximum(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)),
                   _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xDD)), format);
}

/* The largest magnitude of each of 16 runs: run I is in M[I], or, if they are HALVES, in half of M[I / 2]. */
QB__INLINE void largest_each(uint32_t to[16], const words m[16], const enum qb_format format, const bool halves)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    words part[8], all;

    QB__UNROLL
    for (int i = 0; i < 8; i++) {
        part[i] = halves ? m[i] : halve_256(m[2 * i], m[2 * i + 1], format);
    }
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        part[i] = halve_128(part[2 * i], part[2 * i + 1], format);
    }
    all = halve_32(halve_64(part[0], part[1], format), halve_64(part[2], part[3], format), format);
    if (format != QB_FORMAT_F32) {
        all = _mm512_max_epu32(_mm512_and_si512(all, _mm512_set1_epi32(0xFFFF)), _mm512_srli_epi32(all, 16));
    }
    _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, all));
}

QB__INLINE floats maximum_floats(floats a, floats b)
{
    return _mm512_max_ps(a, b);
}

QB__INLINE bool has_nan(const struct block b)
{
    __mmask16 nan = 0;

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        nan |= _mm512_cmp_ps_mask(b.v[i], b.v[i], _CMP_UNORD_Q);
    }
    return nan != 0;
}

/* For any_above(): an |x| in the format's bits. */
QB__INLINE limits limits_make(uint32_t limit, const enum qb_format format)
{
    return format == QB_FORMAT_F32 ? _mm512_set1_epi32((int)limit) : _mm512_set1_epi16((short)limit);
}

/* True if some |x| is above LIMIT, or NaN. */
QB__INLINE bool any_above(const struct elements e, limits limit)
{
    const int vectors = LANES * (int)qb__element_size(e.format) / (int)sizeof(words);
    words most = _mm512_setzero_si512();

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        most = maximum(most, magnitude(load_words(e, i), e.format, false), e.format);
    }
    return e.format == QB_FORMAT_F32 ? _mm512_cmpgt_epu32_mask(most, limit) != 0
                                     : _mm512_cmpgt_epu16_mask(most, limit) != 0;
}

/* ---- Scale ------------------------------------------------------------------------------------------------------- */

QB__INLINE floats divide(floats x, floats y)
{
    return _mm512_div_ps(x, y);
}

/* x * y, rounded. */
QB__INLINE floats multiply(floats x, floats y)
{
    floats product = _mm512_mul_ps(x, y);

    __asm__("" : "+v"(product)); /* not to be contracted with what follows */
    return product;
}

/* x * y + x * rest, of which the second product is rounded before the sum is. */
QB__INLINE floats multiply_twice(floats x, floats y, floats rest)
{
    return _mm512_fmadd_ps(x, y, _mm512_mul_ps(x, rest));
}

/* ---- Round and narrow ----------------------------------------------------------------------------------------------
 */

/* What a run of codes keeps in registers. */
struct encoder {
    floats steps_low; /* floating point: the addend of each exponent, by the low 5 bits of the exponent field */
    floats steps_high;
    words order; /* the byte of a permuted result that belongs to each element */
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

/* The same of formats of less than a byte, by the low 5 bits I of the exponent field e + 127, -23 <= e <= 8: FORMAT has
 * MANTISSA bits of it, and LEAST is the exponent of its subnormal numbers. */
#define STEP_EXPONENT(i, least)     ((i) < 8 ? (i) + 1 : (i)-31 < (least) ? (least) : (i)-31)
#define STEP_OF(e, least, mantissa) (((e) + 150 - (mantissa)) << 23 | ((e) - (least)) << (mantissa))
#define STEP_E2M1(i)                STEP_OF(STEP_EXPONENT(i, 0), 0, 1)
#define STEP_E2M3(i)                STEP_OF(STEP_EXPONENT(i, 0), 0, 3)
#define STEP_E3M2(i)                STEP_OF(STEP_EXPONENT(i, -2), -2, 2)

#define ROW4(f, i)  f(i), f((i) + 1), f((i) + 2), f((i) + 3)
#define ROW16(f, i) ROW4(f, i), ROW4(f, (i) + 4), ROW4(f, (i) + 8), ROW4(f, (i) + 12)
#define ROW64(f)    ROW16(f, 0), ROW16(f, 16), ROW16(f, 32), ROW16(f, 48)

static const int32_t e2m1_steps[32] __attribute__((aligned(64))) = {ROW16(STEP_E2M1, 0), ROW16(STEP_E2M1, 16)};
static const int32_t e2m3_steps[32] __attribute__((aligned(64))) = {ROW16(STEP_E2M3, 0), ROW16(STEP_E2M3, 16)};
static const int32_t e3m2_steps[32] __attribute__((aligned(64))) = {ROW16(STEP_E3M2, 0), ROW16(STEP_E3M2, 16)};

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

/* The three low bytes of each of 16 words. */
#define BYTES_OF_THREE(i) ((i) % 48 / 3 * 4 + (i) % 3)
static const uint8_t bytes_of_three[64] __attribute__((aligned(64))) = {ROW64(BYTES_OF_THREE)};

/* The low bytes of two vectors of 32 words. */
#define BYTES_LOW(i) ((i)*2)
static const uint8_t bytes_low[64] __attribute__((aligned(64))) = {ROW64(BYTES_LOW)};

QB__INLINE const int32_t *steps_of(const enum qb_format output)
{
    return output == QB_FORMAT_E4M3   ? e4m3_steps
           : output == QB_FORMAT_E5M2 ? e5m2_steps
           : output == QB_FORMAT_E2M1 ? e2m1_steps
           : output == QB_FORMAT_E2M3 ? e2m3_steps
                                      : e3m2_steps;
}

/* LINEAR: as in load_block(). */
QB__INLINE struct encoder encoder_make(const enum qb_format input, const enum qb_format output, const bool linear)
{
    const bool even_odd = input == QB_FORMAT_BF16 && !linear;
    const int32_t *steps = steps_of(output);

    if (qb__is_integer(output)) {
        return (struct encoder){.order = _mm512_load_si512(even_odd ? packed_even_odd : packed_linear)};
    }
    return (struct encoder){
        .steps_low = _mm512_load_ps(steps),
        .steps_high = _mm512_load_ps(steps + 16),
        .order = _mm512_load_si512(even_odd ? bytes_even_odd : bytes_linear),
    };
}

/* |v| to a code in the low byte; the other bytes are undefined. CUT: v may be NaN or too large, and gives the largest
 * code then. */
QB__INLINE __m512i float_code(__m512 v, const struct encoder *c, const enum qb_format output, const bool cut)
{
    const float least = qb__float_of(qb__power_bits(qb__least_exponent(output)));
    __m512i index;

    if (!cut && output != QB_FORMAT_E5M2) {
        /* The larger of |v| and 2^-23, which both have code 0 if they are that small: the table begins there. */
        v = _mm512_range_ps(v, _mm512_set1_ps(0x1p-23f), 0xB);
        index = _mm512_castps_si512(v);
    } else {
        index = _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7FFFFFFF));
        if (cut) {
            index = _mm512_min_epu32(index, _mm512_castps_si512(_mm512_set1_ps(qb__formats[output].largest)));
        }
        v = _mm512_castsi512_ps(index);
        index = _mm512_max_epu32(index, _mm512_castps_si512(_mm512_set1_ps(least)));
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

/* The elements that are NaN; or, if NEGATIVE, those that have the sign. */
QB__INLINE __mmask64 find_lanes(const struct elements e, const bool negative)
{
    const int vectors = LANES * (int)qb__element_size(e.format) / (int)sizeof(words);
    __mmask64 found = 0;

    QB__UNROLL
    for (int i = 0; i < vectors; i++) {
        words x = load_words(e, i), m = magnitude(x, e.format, false);
        __mmask64 here;

        if (e.format == QB_FORMAT_F32) {
            here = negative ? _mm512_movepi32_mask(x)
                            : _mm512_cmpgt_epu32_mask(m, limits_make(qb__infinity(e.format), e.format));
            found |= here << 16 * i;
        } else {
            here = negative ? _mm512_movepi16_mask(x)
                            : _mm512_cmpgt_epu16_mask(m, limits_make(qb__infinity(e.format), e.format));
            found |= here << 32 * i;
        }
    }
    return found;
}

/* True if some of these may be INT8 codes of NaN or of what is too large, where codes_repair() helps. */
QB__INLINE bool codes_doubtful(codes c)
{
    return _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8(-128)) != 0;
}

/* INT8 codes of which some are -128. What no 32 bits can hold became INT32_MIN and then -128: large negative numbers,
 * but NaN and large positive ones too. */
QB__INLINE codes codes_repair(codes c, const struct elements e)
{
    __mmask64 positive = _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8(-128)) & ~find_lanes(e, true);

    c = _mm512_mask_mov_epi8(c, positive, _mm512_set1_epi8(127));
    return _mm512_mask_mov_epi8(c, find_lanes(e, false), _mm512_setzero_si512());
}

/* The high bytes of the elements. */
QB__INLINE codes high_bytes(const struct elements e, const struct encoder *encoder)
{
    if (e.format == QB_FORMAT_F32) {
        return gather_bytes(load_words(e, 0), load_words(e, 1), load_words(e, 2), load_words(e, 3),
                            _mm512_add_epi8(encoder->order, _mm512_set1_epi8(3)));
    }
    return _mm512_permutex2var_epi8(load_words(e, 0), _mm512_load_si512(bytes_high), load_words(e, 1));
}

/* The signs of the elements, as codes of FORMAT have them; the other bits are undefined. */
QB__INLINE codes find_signs(const struct elements e, const struct encoder *encoder, const enum qb_format format)
{
    const codes high = high_bytes(e, encoder);

    return qb__formats[format].bits == 8 ? high : _mm512_srli_epi16(high, (unsigned)(8 - qb__formats[format].bits));
}

/* Codes of integers, saturated to LEAST and MOST. */
QB__INLINE codes codes_within(codes c, const int least, const int most)
{
    return _mm512_max_epi8(_mm512_min_epi8(c, _mm512_set1_epi8((char)most)), _mm512_set1_epi8((char)least));
}

/* The codes of quotients B of the elements E, one in each byte; of integers of 4 bits the other bits are copies of the
 * sign. */
QB__INLINE codes codes_with(const struct block b, const struct elements e, const struct encoder *encoder,
                            const enum qb_format output, const enum excess excess)
{
    const bool any = excess == EXCESS_ANY;
    const bool integer = qb__is_integer(output);
    const char sign = (char)(1u << (qb__formats[output].bits - 1));
    words code[PARTS];
    codes c;

    QB__UNROLL
    for (int i = 0; i < PARTS; i++) {
        code[i] = integer ? _mm512_cvtps_epi32(b.v[i]) : float_code(b.v[i], encoder, output, any);
    }
    if (integer) {
        c = _mm512_packs_epi16(_mm512_packs_epi32(code[0], code[1]), _mm512_packs_epi32(code[2], code[3]));
        c = _mm512_permutexvar_epi8(encoder->order, c);
        c = any ? codes_repair(c, e) : c;
        if (any && output == QB_FORMAT_INT4) {
            c = codes_within(c, -8, 7);
        }
        return c;
    }
    c = gather_bytes(code[0], code[1], code[2], code[3], encoder->order);
    if (excess == EXCESS_CUT) {
        c = _mm512_min_epu8(c, _mm512_set1_epi8((char)qb__formats[output].largest_code));
    }
    /* codes | (signs & sign) */
    c = _mm512_ternarylogic_epi64(c, find_signs(e, encoder, output), _mm512_set1_epi8(sign), 0xF8);
    return any ? _mm512_mask_mov_epi8(c, find_lanes(e, false), _mm512_set1_epi8((char)qb__formats[output].nan_code))
               : c;
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

/* The code in E2M1 of 0.25 * 2^(i / 4) * (1 + i % 4 / 4), and of what is above that, up to the next of them: all ties
 * are among these. */
static const uint8_t e2m1_exact[64] __attribute__((aligned(64))) = {
    0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
};
static const uint8_t e2m1_above[64] __attribute__((aligned(64))) = {
    1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
};

#define HAVE_POWER_CODES 1

/* The codes in E2M1 of LANES elements of 16 bits, without converting them: QUARTER has, for the element of each place,
 * the bits of a quarter of its scale, which is a normal power of two, or 0 for what is all 0. No element is NaN, or so
 * large that it needs saturation. */
QB__INLINE codes power_codes(const struct elements e, words quarter_low, words quarter_high)
{
    const __m512i mask = _mm512_set1_epi16(0x7FFF), high = _mm512_load_si512(bytes_high);
    const __m512i a = load_words(e, 0), b = load_words(e, 1);
    /* From a quarter on, in units of a quarter of an exponent in the high byte. */
    __m512i x = _mm512_subs_epu16(_mm512_and_si512(a, mask), quarter_low);
    __m512i y = _mm512_subs_epu16(_mm512_and_si512(b, mask), quarter_high);
    const __mmask64 negative = _mm512_kunpackd(_mm512_movepi16_mask(b), _mm512_movepi16_mask(a));
    __m512i index, rest, c;

    if (e.format == QB_FORMAT_BF16) {
        x = _mm512_slli_epi16(x, 3);
        y = _mm512_slli_epi16(y, 3);
    }
    index = _mm512_permutex2var_epi8(x, high, y);
    rest = _mm512_permutex2var_epi8(x, _mm512_load_si512(bytes_low), y);
    c = _mm512_permutexvar_epi8(index, _mm512_load_si512(e2m1_exact));
    c = _mm512_mask_permutexvar_epi8(c, _mm512_test_epi8_mask(rest, rest), index, _mm512_load_si512(e2m1_above));
    return _mm512_mask_add_epi8(c, negative, c, _mm512_set1_epi8(8));
}

/* The bits of a quarter of a scale in all places of a vector of words. */
QB__INLINE words fill_words(uint32_t bits)
{
    return _mm512_set1_epi16((short)bits);
}

/* The low halves of the bytes of A, then of B, two in a byte, the first one low. */
QB__INLINE codes nibbles_of(codes a, codes b)
{
    const __m512i low = _mm512_set1_epi16(0x000F);
    /* low ? a : a >> 4 */
    const __m512i x = _mm512_ternarylogic_epi64(low, a, _mm512_srli_epi16(a, 4), 0xCA);
    const __m512i y = _mm512_ternarylogic_epi64(low, b, _mm512_srli_epi16(b, 4), 0xCA);

    return _mm512_permutex2var_epi8(x, _mm512_load_si512(bytes_low), y);
}

/* The low 6 bits of bytes, four in three bytes, the first one lowest: the first three quarters of the vector. */
QB__INLINE codes triples_of(codes c)
{
    const __m512i pairs = _mm512_maddubs_epi16(_mm512_and_si512(c, _mm512_set1_epi8(0x3F)), _mm512_set1_epi16(0x4001));
    const __m512i fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x10000001));

    return _mm512_permutexvar_epi8(_mm512_load_si512(bytes_of_three), fours);
}

/* Integers of 8 bits by ZERO_POINT, of quotients that load_block() ordered, with saturation; the quotients are not NaN,
 * and less than 2^31. */
QB__INLINE codes codes_shifted(const struct block b, const struct encoder *encoder, int zero_point)
{
    const __m512i zero = _mm512_set1_epi16((short)zero_point);
    const __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(b.v[0]), _mm512_cvtps_epi32(b.v[1]));
    const __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(b.v[2]), _mm512_cvtps_epi32(b.v[3]));

    return _mm512_permutexvar_epi8(encoder->order,
                                   _mm512_packs_epi16(_mm512_adds_epi16(low, zero), _mm512_adds_epi16(high, zero)));
}

/* ---- Store ------------------------------------------------------------------------------------------------------- */

QB__INLINE void store_vector(void *out, words x, const bool stream)
{
    if (stream) {
        _mm512_stream_si512(out, x);
    } else {
        _mm512_storeu_si512(out, x);
    }
}

QB__INLINE void store_codes(uint8_t *out, codes c, const bool stream)
{
    store_vector(out, c, stream);
}

/* The first COUNT codes. */
QB__INLINE void store_part(uint8_t *out, codes c, size_t count)
{
    _mm512_mask_storeu_epi8(out, lanes(count, 0, 64), c);
}

/* The first COUNT floats, or all of a vector if COUNT is more. */
QB__INLINE void store_floats(float *p, floats x, size_t count)
{
    _mm512_mask_storeu_ps(p, (__mmask16)lanes(count, 0, 16), x);
}

static inline void fence(void)
{
    _mm_sfence();
}

/* ---- Others --------------------------------------------------------------------------------------------------------
 */

QB__INLINE words fill_vector(char byte)
{
    return _mm512_set1_epi8(byte);
}

QB__INLINE words xor_vectors(words a, words b)
{
    return _mm512_xor_si512(a, b);
}

/* Have X computed: somebody wants it. */
QB__INLINE void keep(words x)
{
    __asm__ volatile("" : : "v"(x));
}

/* ---- Ties between codes --------------------------------------------------------------------------------------------
 */

typedef __mmask16 mask;

QB__INLINE mask mask_and(mask a, mask b)
{
    return a & b;
}

QB__INLINE mask mask_or(mask a, mask b)
{
    return a | b;
}

QB__INLINE mask mask_xor(mask a, mask b)
{
    return a ^ b;
}

QB__INLINE mask mask_none(void)
{
    return 0;
}

QB__INLINE bool mask_any(mask a)
{
    return a != 0;
}

/* A in the first COUNT lanes alone. */
QB__INLINE mask mask_first(mask a, const int count)
{
    return count >= FLOATS ? a : (mask)(a & ((1u << count) - 1));
}

/* The first odd numbers, and those after others. */
QB__INLINE floats first_ties(void)
{
    return _mm512_setr_ps(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

QB__INLINE floats next_ties(floats ties)
{
    return _mm512_add_ps(ties, _mm512_set1_ps(2 * FLOATS));
}

/* Which lanes are rounded up from TIE, an odd number of halves of a code's last place: to even where they are the tie,
 * which is up for 3, 7, 11, in every other lane. */
QB__INLINE mask rounds_up(floats v, floats tie)
{
    return (mask)(_mm512_cmp_ps_mask(v, tie, _CMP_GT_OQ) | _mm512_mask_cmp_ps_mask(0xAAAA, v, tie, _CMP_EQ_OQ));
}

/* Which of these are at most QB__NEAR units away from a number that lacks the last DROPPED bits. */
QB__INLINE mask near_short(floats x, const int dropped)
{
    words off = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(QB__NEAR)),
                                 _mm512_set1_epi32((1 << dropped) - 1));

    return _mm512_cmple_epu32_mask(off, _mm512_set1_epi32(2 * QB__NEAR));
}

/* The nearest numbers that lack the last DROPPED bits. */
QB__INLINE floats round_short(floats x, const int dropped)
{
    words rounded = _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(1 << (dropped - 1)));

    return _mm512_castsi512_ps(_mm512_and_si512(rounded, _mm512_set1_epi32(-(1 << dropped))));
}

#endif
