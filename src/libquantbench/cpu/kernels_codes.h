/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_codes.h - the arithmetic of one element in plain C, without branches, so that a compiler can turn a loop over
 * it into vectors: from the bits of an input to its value, and from a value to its code. */
#ifndef QB_CPU_KERNELS_CODES_H
#define QB_CPU_KERNELS_CODES_H

#include "kernels.h"

/* The caller's memory, whatever type it was written as. */
typedef uint16_t __attribute__((may_alias)) word16;
typedef uint32_t __attribute__((may_alias)) word32;

QB__INLINE float smaller(float a, float b)
{
    return a < b ? a : b;
}

QB__INLINE float larger(float a, float b)
{
    return a > b ? a : b;
}

/* The bits of binary32 of an |x| of half, infinity and NaN too. Both are always computed: to a choice compilers make a
 * branch, and then a loop does not become one of vectors. See qb__half_value(). */
QB__INLINE uint32_t half_bits(uint32_t magnitude)
{
    const uint32_t normal = (magnitude << 13) + (magnitude >= 0x7C00 ? 224u << 23 : 112u << 23);
    const uint32_t subnormal = qb__bits_of((float)(int32_t)magnitude * 0x1p-24f);
    const uint32_t small = -(uint32_t)(magnitude < 0x400);

    return (subnormal & small) | (normal & ~small);
}

/* The bits of binary32 of an |x| of INPUT, given its bits. */
QB__INLINE uint32_t widened(uint32_t magnitude, const enum qb_format input)
{
    return input == QB_FORMAT_F16 ? half_bits(magnitude) : input == QB_FORMAT_BF16 ? magnitude << 16 : magnitude;
}

/* The bit in FORMAT's codes that holds a sign. */
QB__INLINE uint8_t sign_bit(const enum qb_format format)
{
    return (uint8_t)(1u << (qb__formats[format].bits - 1));
}

/* The code of v >= 0, which is not NaN, times SIGN: 0 or -1. CAPPED: v needs no saturation. Of an integer of 4 bits the
 * upper half of the byte is undefined. */
QB__INLINE uint8_t code_of(float v, int16_t sign, const enum qb_format output, const bool capped)
{
    const float most = qb__formats[output].largest;
    const int least = qb__least_exponent(output), dropped = qb__dropped_bits(output);
    uint32_t sum;
    float power;

    if (qb__is_integer(output)) {
        /* Adding 1.5 * 2^23 leaves the integer in the low bits, rounded to nearest even. */
        sum = qb__bits_of((capped ? v : smaller(v, most - (float)sign)) + 0x1.8p23f);
        return (uint8_t)(((uint8_t)sum ^ (uint8_t)sign) - (uint8_t)sign);
    }
    /* See float_code() in vector_avx2.h: the sum's mantissa is v in units of the code's last place. */
    v = capped ? v : smaller(v, most);
    power = larger(qb__float_of(qb__bits_of(v) & QB__F32_INF), qb__float_of(qb__power_bits(least)));
    sum = qb__bits_of(v + power * qb__float_of(qb__power_bits(dropped)));
    sum = sum + (sum >> dropped) - ((uint32_t)(dropped + 127 + least) << (23 - dropped));
    return (uint8_t)((uint8_t)sum | ((uint8_t)sign & sign_bit(output)));
}

/* The code of any v, in the low bits of a byte whose other bits are 0. */
QB__INLINE uint8_t code_of_any(float v, const enum qb_format output)
{
    const uint32_t bits = qb__bits_of(v);
    const uint8_t all = (uint8_t)(2u * sign_bit(output) - 1);
    const uint8_t code = code_of(qb__float_of(bits & 0x7FFFFFFF), (int16_t)((int32_t)bits >> 31), output, false);

    return (bits & 0x7FFFFFFF) > QB__F32_INF ? (uint8_t)qb__formats[output].nan_code : code & all;
}

/* The code of any v by ZERO_POINT. */
QB__INLINE uint8_t code_by_zero_point(float v, int zero_point, const enum qb_format output)
{
    const int least = (int)qb__least(output), most = (int)qb__formats[output].largest;
    /* Further out all are saturated, whatever the zero point is; NaN is 0. */
    const float cut = smaller(larger(v == v ? v : 0.0f, -1024.0f), 1024.0f);
    int code = (int)(qb__bits_of(cut + 0x1.8p23f) - qb__bits_of(0x1.8p23f)) + zero_point;

    code = code < least ? least : code > most ? most : code;
    return (uint8_t)(code & (int)(2u * sign_bit(output) - 1));
}

#endif
