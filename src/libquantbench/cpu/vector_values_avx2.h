/* SPDX-License-Identifier: Apache-2.0 */
/* vector_values_avx2.h - the vocabulary of kernels_values.h for AVX2, beside vector_avx2.h; see vector_values_avx512.h
 * for what is not explained here. */
#ifndef QB_CPU_VECTOR_VALUES_AVX2_H
#define QB_CPU_VECTOR_VALUES_AVX2_H

#include "vector_avx2.h"

/* How binary32 is rounded to halves. A macro: clang takes no variable for it. */
#define NEAREST_HALF (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

struct two {
    floats v[2];
};

/* ---- Arithmetic ----------------------------------------------------------------------------------------------------
 */

QB__INLINE floats add(floats a, floats b)
{
    return _mm256_add_ps(a, b);
}

QB__INLINE floats subtract(floats a, floats b)
{
    return _mm256_sub_ps(a, b);
}

QB__INLINE floats times(floats a, floats b)
{
    return _mm256_mul_ps(a, b);
}

QB__INLINE floats fused(floats a, floats b, floats c)
{
    return _mm256_fmadd_ps(a, b, c);
}

QB__INLINE floats fused_less(floats a, floats b, floats c)
{
    return _mm256_fmsub_ps(a, b, c);
}

QB__INLINE floats absolute(floats x)
{
    return _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF)));
}

QB__INLINE floats at_most(floats x, floats limit)
{
    return _mm256_min_ps(limit, x);
}

QB__INLINE floats at_least(floats x, floats limit)
{
    return _mm256_max_ps(limit, x);
}

QB__INLINE floats where_negative(floats t, floats negative, floats other)
{
    return _mm256_blendv_ps(other, negative, _mm256_cmp_ps(t, _mm256_setzero_ps(), _CMP_LT_OQ));
}

QB__INLINE floats where_equal(floats x, float wanted, float value, floats other)
{
    return _mm256_blendv_ps(other, _mm256_set1_ps(value), _mm256_cmp_ps(x, _mm256_set1_ps(wanted), _CMP_EQ_OQ));
}

QB__INLINE floats times_power(floats p, floats k, floats shifted, floats a)
{
    const __m256i bits = _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23));

    (void)k;
    return _mm256_and_ps(_mm256_castsi256_ps(bits), _mm256_cmp_ps(a, _mm256_set1_ps(QB__EXP_TAIL), _CMP_LE_OQ));
}

/* ---- Rounding ------------------------------------------------------------------------------------------------------
 */

QB__INLINE floats without_payload(floats x)
{
    return _mm256_blendv_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x7FC00000)), _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

QB__INLINE words rounded_words(floats x)
{
    const __m256i bits = _mm256_castps_si256(x), one = _mm256_set1_epi32(1);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);

    return _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
}

QB__INLINE floats round_to(floats x, const enum qb_format format)
{
    if (format == QB_FORMAT_F16) {
        return _mm256_cvtph_ps(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    if (format == QB_FORMAT_BF16) {
        return _mm256_castsi256_ps(_mm256_and_si256(rounded_words(x), _mm256_set1_epi32((int)0xFFFF0000)));
    }
    return x;
}

/* ---- Load and store ------------------------------------------------------------------------------------------------
 */

/* The even and the odd ones of 16 elements in order; and back. */
QB__INLINE struct two split_two(struct two x)
{
    const __m256d even = _mm256_castps_pd(_mm256_shuffle_ps(x.v[0], x.v[1], 0x88));
    const __m256d odd = _mm256_castps_pd(_mm256_shuffle_ps(x.v[0], x.v[1], 0xDD));

    return (struct two){
        {_mm256_castpd_ps(_mm256_permute4x64_pd(even, 0xD8)), _mm256_castpd_ps(_mm256_permute4x64_pd(odd, 0xD8))}};
}

QB__INLINE struct two join_two(struct two x)
{
    const floats low = _mm256_unpacklo_ps(x.v[0], x.v[1]), high = _mm256_unpackhi_ps(x.v[0], x.v[1]);

    return (struct two){{_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)}};
}

QB__INLINE struct two load_two(const void *x, const enum qb_format format, const bool split)
{
    const char *p = x;
    struct two t;

    if (format == QB_FORMAT_F32) {
        t = (struct two){
            {_mm256_loadu_ps((const float *)(const void *)p), _mm256_loadu_ps((const float *)(const void *)(p + 32))}};
        return split ? split_two(t) : t;
    }
    if (format == QB_FORMAT_F16) {
        return (struct two){{_mm256_cvtph_ps(_mm_loadu_si128((const void *)p)),
                             _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 16)))}};
    }
    if (split) {
        const words both = load_vector(p);

        return (struct two){{_mm256_castsi256_ps(_mm256_slli_epi32(both, 16)),
                             _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32((int)0xFFFF0000)))}};
    }
    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        const __m128i half = _mm_loadu_si128((const void *)(p + 16 * i));

        t.v[i] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
    }
    return t;
}

/* The low halves of the words of 32 bits of A, then of B, which have no others. */
QB__INLINE words pack_words(words a, words b)
{
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xD8);
}

QB__INLINE struct two widen_words(words x)
{
    return (struct two){{_mm256_cvtph_ps(_mm256_castsi256_si128(x)), _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1))}};
}

QB__INLINE void load_pairs(struct two *even, struct two *odd, const void *x, const enum qb_format format)
{
    const char *p = x;

    if (format == QB_FORMAT_F16) {
        const words a = load_vector(p), b = load_vector(p + 32), low = _mm256_set1_epi32(0xFFFF);

        *even = widen_words(pack_words(_mm256_and_si256(a, low), _mm256_and_si256(b, low)));
        *odd = widen_words(pack_words(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16)));
        return;
    }
    QB__UNROLL
    for (int i = 0; i < 2; i++) {
        const struct two t = load_two(p + (size_t)i * 16 * qb__element_size(format), format, true);

        even->v[i] = t.v[0];
        odd->v[i] = t.v[1];
    }
}

QB__INLINE void store_two(void *out, struct two x, const enum qb_format format, const bool split, const bool keeps_nan,
                          const bool stream)
{
    words w;

    if (keeps_nan) {
        x = (struct two){{without_payload(x.v[0]), without_payload(x.v[1])}};
    }
    if (format == QB_FORMAT_F32) {
        x = split ? join_two(x) : x;
        store_vector(out, _mm256_castps_si256(x.v[0]), stream);
        store_vector((char *)out + 32, _mm256_castps_si256(x.v[1]), stream);
        return;
    }
    if (format == QB_FORMAT_F16) {
        w = _mm256_set_m128i(_mm256_cvtps_ph(x.v[1], NEAREST_HALF), _mm256_cvtps_ph(x.v[0], NEAREST_HALF));
    } else if (split) {
        w = _mm256_blend_epi16(_mm256_srli_epi32(rounded_words(x.v[0]), 16), rounded_words(x.v[1]), 0xAA);
    } else {
        w = pack_words(_mm256_srli_epi32(rounded_words(x.v[0]), 16), _mm256_srli_epi32(rounded_words(x.v[1]), 16));
    }
    store_vector(out, w, stream);
}

/* ---- Sums ----------------------------------------------------------------------------------------------------------
 */

QB__INLINE floats sum_neighbors(floats a, floats b)
{
    return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xDD));
}

QB__INLINE floats sum_parts(floats a, floats b)
{
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}

QB__INLINE floats sum_each(const floats c[FLOATS], const bool split)
{
    floats s[4];

    QB__UNROLL
    for (int i = 0; i < 4; i++) {
        s[i] = split ? add(c[2 * i], c[2 * i + 1]) : sum_neighbors(c[2 * i], c[2 * i + 1]);
    }
    s[0] = sum_neighbors(s[0], s[1]);
    s[1] = sum_neighbors(s[2], s[3]);
    if (split) {
        /* Each 128 bits are a half of two vectors: of one and the other 8 columns. */
        return _mm256_permutevar8x32_ps(sum_neighbors(s[0], s[1]), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    }
    return sum_parts(s[0], s[1]);
}

/* ---- Codes ---------------------------------------------------------------------------------------------------------
 */

QB__INLINE words code_words(const uint8_t *packed, const unsigned bits)
{
    if (bits == 4) {
        const words x = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)packed));

        return _mm256_or_si256(_mm256_slli_epi32(x, 12), _mm256_slli_epi32(x, 24));
    }
    return _mm256_slli_epi16(_mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)packed)), (int)(16 - bits));
}

QB__INLINE words change_words(words x, const unsigned shift, uint16_t kept, uint16_t flip, uint16_t bits)
{
    x = _mm256_and_si256(_mm256_srai_epi16(x, (int)shift), _mm256_set1_epi16((short)kept));
    if (flip != 0) {
        x = _mm256_xor_si256(x, _mm256_set1_epi16((short)flip));
    }
    return bits != 0 ? _mm256_or_si256(x, _mm256_set1_epi16((short)bits)) : x;
}

QB__INLINE words replace_words(words x, uint16_t least, uint16_t value)
{
    const words m = _mm256_and_si256(x, _mm256_set1_epi16(0x7FFF));

    return _mm256_blendv_epi8(x, _mm256_set1_epi16((short)value),
                              _mm256_cmpgt_epi16(m, _mm256_set1_epi16((short)(least - 1))));
}

#endif
