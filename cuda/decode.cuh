/* SPDX-License-Identifier: Apache-2.0 */
/* decode.cuh - the numbers that codes stand for, one code or eight at a time. */
#ifndef QB_CUDA_DECODE_CUH
#define QB_CUDA_DECODE_CUH

#include "values.cuh"

/* Where binary32 has the exponent and mantissa of a float format, and what is left to the right exponent. */
template <int OUT> struct qb__decode_place {
    static constexpr unsigned shift = 23 - qb__formats[OUT].mantissa_bits;
    static constexpr uint32_t power = qb__power_bits(127 - qb__formats[OUT].bias);
};

/* The number that code CODE, in the lowest bits, stands for. */
template <int OUT> __device__ __forceinline__ float qb__decode(uint32_t code)
{
    constexpr unsigned bits = qb__formats[OUT].bits;

    if constexpr (OUT == QB_FORMAT_INT8) {
        return (float)(int8_t)code;
    } else if constexpr (OUT == QB_FORMAT_INT4) { /* as the last bits of 2^23 and more */
        return __fsub_rn(__uint_as_float(0x4b000000u | ((code & 15u) ^ 8u)), 0x1p23f + 8);
    } else if constexpr (OUT == QB_FORMAT_UINT4) {
        return __fsub_rn(__uint_as_float(0x4b000000u | (code & 15u)), 0x1p23f);
    } else if constexpr (OUT == QB_FORMAT_E5M2) { /* the upper half of a half */
        return qb__unpack_pair<QB_FORMAT_F16>((code & 0xffu) << 8).x;
    } else {
        const uint32_t magnitude = (code & ((1u << (bits - 1)) - 1)) << qb__decode_place<OUT>::shift;
        const float value = __fmul_rn(__uint_as_float(magnitude), __uint_as_float(qb__decode_place<OUT>::power));
        const uint32_t sign = (code >> (bits - 1) & 1u) << 31;
        const bool nan = OUT == QB_FORMAT_E4M3 && (code & 0x7fu) == 0x7fu;

        return nan ? __uint_as_float(0x7fc00000u) : __uint_as_float(__float_as_uint(value) | sign);
    }
}

/* The same for a format that is an argument. */
__device__ __forceinline__ float qb__decode_any(qb_format output, uint32_t code)
{
    switch (output) {
    case QB_FORMAT_INT8:
        return qb__decode<QB_FORMAT_INT8>(code);
    case QB_FORMAT_E4M3:
        return qb__decode<QB_FORMAT_E4M3>(code);
    case QB_FORMAT_E5M2:
        return qb__decode<QB_FORMAT_E5M2>(code);
    case QB_FORMAT_E2M1:
        return qb__decode<QB_FORMAT_E2M1>(code);
    case QB_FORMAT_E2M3:
        return qb__decode<QB_FORMAT_E2M3>(code);
    case QB_FORMAT_E3M2:
        return qb__decode<QB_FORMAT_E3M2>(code);
    case QB_FORMAT_INT4:
        return qb__decode<QB_FORMAT_INT4>(code);
    default:
        return qb__decode<QB_FORMAT_UINT4>(code);
    }
}

/* Eight codes as they lie, of 8 or 4 bits. */
template <int OUT> struct qb__eight {
    static constexpr int words = qb__formats[OUT].bits == 4 ? 1 : 2;
    uint32_t word[words];
};

template <int OUT> __device__ __forceinline__ qb__eight<OUT> qb__load_eight(const uint8_t *at, bool valid)
{
    qb__eight<OUT> c = {};

    if (valid) {
        if constexpr (qb__eight<OUT>::words == 2) {
            const uint2 two = __ldg((const uint2 *)at);
            c.word[0] = two.x;
            c.word[1] = two.y;
        } else {
            c.word[0] = __ldg((const uint32_t *)at);
        }
    }
    return c;
}

#if QB__HAVE_FP8
/* Eight codes of E4M3: two at a time to half, which is exact. */
__device__ __forceinline__ void qb__decode8_e4m3(const qb__eight<QB_FORMAT_E4M3> &c, float *q)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t pair;
        asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(pair) : "h"((uint16_t)(c.word[i / 2] >> (i % 2 * 16))));
        const float2 two = qb__unpack_pair<QB_FORMAT_F16>(pair);
        q[2 * i] = two.x;
        q[2 * i + 1] = two.y;
    }
}
#endif

template <int OUT> __device__ __forceinline__ void qb__decode8(const qb__eight<OUT> &c, float *q)
{
#if QB__HAVE_FP8
    if constexpr (OUT == QB_FORMAT_E4M3) {
        qb__decode8_e4m3(c, q);
    } else
#endif
    {
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            q[i] = qb__eight<OUT>::words == 2
                       ? qb__decode<OUT>(c.word[i / 4 % qb__eight<OUT>::words] >> (i % 4 * 8) & 0xffu)
                       : qb__decode<OUT>(c.word[0] >> (i * 4) & 15u);
        }
    }
}

#endif
