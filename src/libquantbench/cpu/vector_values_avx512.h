/* SPDX-License-Identifier: Apache-2.0 */
/* vector_values_avx512.h - the vocabulary of kernels_values.h for AVX-512, beside vector_avx512.h. */
#ifndef QB_CPU_VECTOR_VALUES_AVX512_H
#define QB_CPU_VECTOR_VALUES_AVX512_H

#include "vector_avx512.h"

/* How binary32 is rounded to halves. A macro: clang takes no variable for it. */
#define NEAREST_HALF (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

/* 2 * FLOATS elements: in order, or, if they are SPLIT, the even ones and the odd ones. */
struct two {
    floats v[2];
};

/* ---- Arithmetic ----------------------------------------------------------------------------------------------------
 */

QB__INLINE floats add(floats a, floats b)
{
    return _mm512_add_ps(a, b);
}

QB__INLINE floats subtract(floats a, floats b)
{
    return _mm512_sub_ps(a, b);
}

QB__INLINE floats times(floats a, floats b)
{
    return _mm512_mul_ps(a, b);
}

/* a * b + c, rounded once. */
QB__INLINE floats fused(floats a, floats b, floats c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* a * b - c, rounded once. */
QB__INLINE floats fused_less(floats a, floats b, floats c)
{
    return _mm512_fmsub_ps(a, b, c);
}

QB__INLINE floats absolute(floats x)
{
    return _mm512_abs_ps(x);
}

/* The smaller and the larger of X and LIMIT; X if that is NaN. */
QB__INLINE floats at_most(floats x, floats limit)
{
    return _mm512_min_ps(limit, x);
}

QB__INLINE floats at_least(floats x, floats limit)
{
    return _mm512_max_ps(limit, x);
}

/* NEGATIVE where T < 0, else OTHER. */
QB__INLINE floats where_negative(floats t, floats negative, floats other)
{
    return _mm512_mask_mov_ps(other, _mm512_cmp_ps_mask(t, _mm512_setzero_ps(), _CMP_LT_OQ), negative);
}

/* VALUE where X is WANTED, else OTHER. */
QB__INLINE floats where_equal(floats x, float wanted, float value, floats other)
{
    return _mm512_mask_mov_ps(other, _mm512_cmp_ps_mask(x, _mm512_set1_ps(wanted), _CMP_EQ_OQ), _mm512_set1_ps(value));
}

/* P * 2^K, and 0 where A is above the tail; K is an integer, which SHIFTED has in its low bits. */
QB__INLINE floats times_power(floats p, floats k, floats shifted, floats a)
{
    (void)shifted;
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(a, _mm512_set1_ps(QB__EXP_TAIL), _CMP_LE_OQ), p, k);
}

/* ---- Rounding ------------------------------------------------------------------------------------------------------
 */

QB__INLINE floats without_payload(floats x)
{
    return _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                              _mm512_castsi512_ps(_mm512_set1_epi32(0x7FC00000)));
}

/* The bits of X, which those of bfloat16 are the upper half of once it is rounded. A NaN has no low bits set. */
QB__INLINE words rounded_words(floats x)
{
    const __m512i bits = _mm512_castps_si512(x), one = _mm512_set1_epi32(1);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);

    return _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
}

/* X rounded to FORMAT. */
QB__INLINE floats round_to(floats x, const enum qb_format format)
{
    if (format == QB_FORMAT_F16) {
        return _mm512_cvtph_ps(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    if (format == QB_FORMAT_BF16) {
        return _mm512_castsi512_ps(_mm512_and_si512(rounded_words(x), _mm512_set1_epi32((int)0xFFFF0000)));
    }
    return x;
}

/* ---- Load and store ------------------------------------------------------------------------------------------------
 */

/* The even ones of 32 elements, and the odd ones; or the other way round. */
static const uint32_t order_split[2][16]
    __attribute__((aligned(64))) = {{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30},
                                    {1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31}};
static const uint32_t order_joined[2][16]
    __attribute__((aligned(64))) = {{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23},
                                    {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31}};
/* The high halves of 32 words of 32 bits. */
#define HIGH_HALF(i) (2 * (i) + 1)
static const uint16_t order_high[32] __attribute__((aligned(64))) = {ROW16(HIGH_HALF, 0), ROW16(HIGH_HALF, 16)};

QB__INLINE struct two ordered(struct two x, const uint32_t order[2][16])
{
    return (struct two){{_mm512_permutex2var_ps(x.v[0], _mm512_load_si512(order[0]), x.v[1]),
                         _mm512_permutex2var_ps(x.v[0], _mm512_load_si512(order[1]), x.v[1])}};
}

/* The even and the odd ones of 2 * FLOATS elements in order; and back. */
QB__INLINE struct two split_two(struct two x)
{
    return ordered(x, order_split);
}

QB__INLINE struct two join_two(struct two x)
{
    return ordered(x, order_joined);
}

QB__INLINE struct two load_two(const void *x, const enum qb_format format, const bool split)
{
    const char *p = x;
    struct two t;

    if (format == QB_FORMAT_F32) {
        t = (struct two){{_mm512_loadu_ps(p), _mm512_loadu_ps(p + 64)}};
        return split ? ordered(t, order_split) : t;
    }
    if (format == QB_FORMAT_F16) {
        return (struct two){{_mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)),
                             _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(p + 32)))}};
    }
    if (split) {
        const words both = _mm512_loadu_si512(p);

        return (struct two){{_mm512_castsi512_ps(_mm512_slli_epi32(both, 16)),
                             _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int)0xFFFF0000)))}};
    }
    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        const __m256i half = _mm256_loadu_si256((const void *)(p + 32 * i));

        t.v[i] = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    }
    return t;
}

/* The even and the odd ones of 4 * FLOATS elements, each in order. */
QB__INLINE void load_pairs(struct two *even, struct two *odd, const void *x, const enum qb_format format)
{
    const char *p = x;

    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        if (format == QB_FORMAT_F32) {
            const struct two t = load_two(p + 128 * i, format, true);

            even->v[i] = t.v[0];
            odd->v[i] = t.v[1];
        } else if (format == QB_FORMAT_BF16) {
            const struct two t = load_two(p + 64 * i, format, true);

            even->v[i] = t.v[0];
            odd->v[i] = t.v[1];
        } else {
            const words both = _mm512_loadu_si512(p + 64 * i);

            even->v[i] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(both));
            odd->v[i] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(both, 16)));
        }
    }
}

/* Store X rounded to FORMAT. */
QB__INLINE void store_two(void *out, struct two x, const enum qb_format format, const bool split, const bool keeps_nan,
                          const bool stream)
{
    words w;

    if (keeps_nan) {
        x = (struct two){{without_payload(x.v[0]), without_payload(x.v[1])}};
    }
    if (format == QB_FORMAT_F32) {
        x = split ? ordered(x, order_joined) : x;
        store_vector(out, _mm512_castps_si512(x.v[0]), stream);
        store_vector((char *)out + 64, _mm512_castps_si512(x.v[1]), stream);
        return;
    }
    if (format == QB_FORMAT_F16) {
        w = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtps_ph(x.v[0], NEAREST_HALF)),
                               _mm512_cvtps_ph(x.v[1], NEAREST_HALF), 1);
    } else if (split) {
        w = _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(rounded_words(x.v[0]), 16), rounded_words(x.v[1]));
    } else {
        w = _mm512_permutex2var_epi16(rounded_words(x.v[0]), _mm512_load_si512(order_high), rounded_words(x.v[1]));
    }
    store_vector(out, w, stream);
}

#ifdef HAVE_HALF_PRODUCTS
/* Store the products of X, rounded to half, and 2 * FLOATS halves at Y. A product of halves is exact in binary32, so
 * that it is rounded once in either. */
QB__INLINE void store_products(void *out, struct two x, const void *y)
{
    const __m256i low = _mm512_cvtps_ph(x.v[0], NEAREST_HALF), high = _mm512_cvtps_ph(x.v[1], NEAREST_HALF);
    const words both = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);

    _mm512_storeu_ph(out, _mm512_mul_ph(_mm512_castsi512_ph(both), _mm512_loadu_ph(y)));
}
#endif

/* ---- Sums ----------------------------------------------------------------------------------------------------------
 */

/* The sums of neighbors in A, then in B, in every 128 bits; and the sums of neighboring 128 bits. */
QB__INLINE floats sum_neighbors(floats a, floats b)
{
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}

QB__INLINE floats sum_parts(floats a, floats b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}

/* The sums of each FLOATS of FLOATS^2 columns in order, by neighbors first; if they are SPLIT, C[2 * I] and
 * C[2 * I + 1] have the even and the odd ones of 2 * FLOATS columns. */
QB__INLINE floats sum_each(const floats c[FLOATS], const bool split)
{
    floats s[8];

    QB__UNROLL
    for (int i = 0; i < 8; i++) {
        s[i] = split ? add(c[2 * i], c[2 * i + 1]) : sum_neighbors(c[2 * i], c[2 * i + 1]);
    }
    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        s[i] = sum_neighbors(s[2 * i], s[2 * i + 1]);
    }
    if (split) {
        /* Each 128 bits are a quarter of four vectors: of two times 16 columns. */
        s[0] = sum_parts(sum_neighbors(s[0], s[1]), sum_neighbors(s[2], s[3]));
        return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15), s[0]);
    }
    return sum_parts(sum_parts(s[0], s[1]), sum_parts(s[2], s[3]));
}

/* ---- Codes ---------------------------------------------------------------------------------------------------------
 */

/* 2 * FLOATS codes of BITS bits, each in the high bits of a word; the other bits are undefined. Those of 6 bits are in
 * bytes. */
QB__INLINE words code_words(const uint8_t *packed, const unsigned bits)
{
    if (bits == 4) {
        const words x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)packed));

        return _mm512_or_si512(_mm512_slli_epi32(x, 12), _mm512_slli_epi32(x, 24));
    }
    return _mm512_slli_epi16(_mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)packed)), 16 - bits);
}

/* (X >> SHIFT & KEPT ^ FLIP) | BITS of each word of 16 bits; SHIFT copies the sign. */
QB__INLINE words change_words(words x, const unsigned shift, uint16_t kept, uint16_t flip, uint16_t bits)
{
    x = _mm512_and_si512(_mm512_srai_epi16(x, shift), _mm512_set1_epi16((short)kept));
    if (flip != 0) {
        x = _mm512_xor_si512(x, _mm512_set1_epi16((short)flip));
    }
    return bits != 0 ? _mm512_or_si512(x, _mm512_set1_epi16((short)bits)) : x;
}

/* X with VALUE in the place of what is at least LEAST without its sign. */
QB__INLINE words replace_words(words x, uint16_t least, uint16_t value)
{
    const words m = _mm512_and_si512(x, _mm512_set1_epi16(0x7FFF));

    return _mm512_mask_mov_epi16(x, _mm512_cmpge_epu16_mask(m, _mm512_set1_epi16((short)least)),
                                 _mm512_set1_epi16((short)value));
}

/* The numbers of a vector of halves. */
QB__INLINE struct two widen_words(words x)
{
    return (struct two){{_mm512_cvtph_ps(_mm512_castsi512_si256(x)), _mm512_cvtph_ps(_mm512_extracti64x4_epi64(x, 1))}};
}

#endif
