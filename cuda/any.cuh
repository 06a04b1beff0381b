/* SPDX-License-Identifier: Apache-2.0 */
/* any.cuh - scales and codes of any format, one at a time. The formats are arguments. */
#ifndef QB_CUDA_ANY_CUH
#define QB_CUDA_ANY_CUH

#include "narrow.cuh"

/* An output format as numbers: see qb__mini. */
struct any_format {
    unsigned bits;  /* that a code takes */
    unsigned unit;  /* codes that fill whole bytes */
    unsigned width; /* of a code itself */
    bool integer;
    float largest, least;
    uint32_t nan_code;
    unsigned shift;
    float smallest, magic, align;
};

static inline float any_power(int exponent)
{
    const uint32_t bits = qb__power_bits(exponent);
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline any_format any_format_of(const struct qb__cuda_call *call)
{
    const struct qb_format_info *info = &qb__formats[call->output];
    any_format f = {};

    f.bits = qb__packed_bits(call->output, call->problem->packing);
    f.unit = qb__packed_unit(call->output, call->problem->packing);
    f.width = info->bits;
    f.integer = qb__is_integer(call->output);
    f.largest = info->largest;
    f.nan_code = info->nan_code;
    if (f.integer) {
        f.least = qb__least(call->output);
        return f;
    }
    f.shift = 23 - info->mantissa_bits;
    f.smallest = any_power(qb__least_exponent(call->output));
    f.magic = any_power((int)f.shift);
    f.align = any_power(-126 - qb__least_exponent(call->output));
    return f;
}

/* Store the scale of a tile whose elements have the range WIDTH, or that amax, for codes that are QMAX apart at most;
 * in E4M3 by ENCODE, S * RN(1 / qmax). Returns its value, of F32 and F16. */
__device__ __forceinline__ float any_put_scale(const qb__scales &s, uint64_t place, float width, float qmax,
                                               float encode)
{
    if (s.format == QB_FORMAT_E8M0) {
        ((uint8_t *)s.memory)[place] = (uint8_t)qb__power_of(__float_as_uint(width), s);
        return 0;
    }
    if (s.format == QB_FORMAT_E4M3) {
        ((uint8_t *)s.memory)[place] = (uint8_t)qb__small_code(fminf(__fmul_rn(width, encode), 0x1.fffffep127f));
        return 0;
    }
    const float scale = __fdiv_rn(width, qmax);
    if (s.format == QB_FORMAT_F16) {
        const uint32_t code = qb__half_code(scale);
        ((uint16_t *)s.memory)[place] = (uint16_t)code;
        return qb__half_value(code);
    }
    ((float *)s.memory)[place] = fmaxf(scale, QB__SCALE_FLOOR);
    return fmaxf(scale, QB__SCALE_FLOOR);
}

/* What is encoded of V by the scale at PLACE; G is the tensor scale. */
__device__ __forceinline__ float any_quotient(const qb__scales &s, uint64_t place, float v, float g)
{
    if (s.format == QB_FORMAT_E8M0) {
        return __fmul_rn(v, qb__inverse_of(((const uint8_t *)s.memory)[place]));
    }
    if (s.format == QB_FORMAT_E4M3) {
        return __fmul_rn(v, qb__small_multiplier(((const uint8_t *)s.memory)[place], g));
    }
    return __fdiv_rn(v, s.format == QB_FORMAT_F16 ? qb__half_value(((const uint16_t *)s.memory)[place])
                                                  : ((const float *)s.memory)[place]);
}

/* The code of V. */
__device__ __forceinline__ uint32_t any_encode(const any_format &f, float v, int zero_point)
{
    const uint32_t mask = (1u << f.width) - 1;

    if (f.integer) {
        const float rounded = v == v ? fminf(fmaxf(rintf(v), -1024.0f), 1024.0f) : 0.0f;
        return (uint32_t)(int)fminf(fmaxf(rounded + (float)zero_point, f.least), f.largest) & mask;
    }
    const float magnitude = fminf(fabsf(v), f.largest);
    const float power = __uint_as_float(__float_as_uint(fmaxf(magnitude, f.smallest)) & 0x7f800000u);
    const float magic = __fmul_rn(power, f.magic);
    const float rounded = __fmul_rn(__fsub_rn(__fadd_rn(magnitude, magic), magic), f.align);
    const uint32_t sign = __float_as_uint(v) >> 31 << (f.width - 1);

    return v != v ? f.nan_code : (__float_as_uint(rounded) >> f.shift) | sign;
}

#endif
