/* SPDX-License-Identifier: Apache-2.0 */
/* narrow.cuh - shared by the kernels that write codes of less than a byte, scales that are not binary32, zero points,
 * or scales in another order than their tiles. */
#ifndef QB_CUDA_NARROW_CUH
#define QB_CUDA_NARROW_CUH

#include <string.h>

#include "device.cuh"

/* FP4 and FP6 conversion in hardware: from compute capability 10.0 on, but in code for a family or one chip only. */
#if defined(__CUDA_ARCH_FAMILY_SPECIFIC__) || defined(__CUDA_ARCH_SPECIFIC__) ||                                       \
    defined(__CUDA_ARCH_FEAT_SM100_ALL) || defined(__CUDA_ARCH_FEAT_SM120_ALL)
#if __CUDA_ARCH__ >= 1000
#define QB__HAVE_FP4 1
#endif
#endif
#ifndef QB__HAVE_FP4
#define QB__HAVE_FP4 0
#endif

/* Arithmetic on pairs of bfloat16. (Pairs of half have it since 5.3.) */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define QB__HAVE_PAIRS 1
#else
#define QB__HAVE_PAIRS 0
#endif

/* As qb__max_word(), but NaN is above all. */
#if QB__HAVE_PAIRS
template <int IN> __device__ __forceinline__ uint32_t qb__top_word(uint32_t acc, uint32_t word)
{
    if (IN == QB_FORMAT_F32) {
        asm("{ .reg .f32 a, b; abs.f32 a, %1; mov.b32 b, %0; max.NaN.f32 b, b, a; mov.b32 %0, b; }"
            : "+r"(acc)
            : "f"(__uint_as_float(word)));
    } else if (IN == QB_FORMAT_F16) {
        asm("{ .reg .b32 a; abs.f16x2 a, %1; max.NaN.f16x2 %0, %0, a; }" : "+r"(acc) : "r"(word));
    } else {
        asm("{ .reg .b32 a; abs.bf16x2 a, %1; max.NaN.bf16x2 %0, %0, a; }" : "+r"(acc) : "r"(word));
    }
    return acc;
}
#endif

/* ---- Scales ------------------------------------------------------------------------------------------------- */

/* How scales come from an amax, and where they go. */
struct qb__scales {
    void *memory;
    int8_t *zero_points;      /* NULL: symmetric */
    float *tensor_scale;      /* NULL: 1 */
    float *encode;            /* NULL: the inverse of that; else S of struct qb_problem */
    qb_format format;         /* of a scale */
    struct qb__layout layout; /* of the memory */
    uint64_t rows, cols;      /* of scales */
    float bound, qmax, least; /* of the amax; largest and least value of the output format */
    float reciprocal;         /* RN(1 / qmax) */
    uint32_t half, mantissa;  /* E8M0: added before the exponent is taken; more than this of the mantissa rounds up */
    uint32_t most;            /* E8M0: the exponent of qmax */
};

static inline qb__scales qb__scales_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const struct qb_format_info *output = &qb__formats[call->output];
    qb__scales s = {};
    uint32_t qmax;

    memcpy(&qmax, &output->largest, sizeof qmax);
    s.memory = call->scales;
    s.zero_points = call->zero_points;
    s.tensor_scale = p->tensor_scale == QB_TENSOR_SCALE_NONE ? NULL : call->tensor_scale;
    s.encode = p->tensor_scale == QB_TENSOR_SCALE_COMPUTED ? qb__cuda_encode(call) : NULL;
    s.format = p->scale_format;
    s.layout = qb__layout_of(p);
    s.rows = call->scale_rows;
    s.cols = call->scale_cols;
    s.bound = call->bound;
    s.qmax = output->largest;
    s.least = qb__least(call->output);
    s.reciprocal = 1.0f / s.qmax;
    s.half = p->scale_rounding == QB_SCALE_ROUNDING_EVEN ? 1u << (22 - output->mantissa_bits) : 0;
    s.mantissa = p->scale_rounding == QB_SCALE_ROUNDING_UP ? qmax & 0x7fffffu : 0x7fffffu;
    s.most = (qmax >> 23) - 127;
    return s;
}

/* Where scale (ROW, COL) is: as qb__layout_index(), on the device. */
__device__ __forceinline__ uint64_t qb__place(const struct qb__layout &l, uint64_t row, uint64_t col)
{
    switch (l.layout) {
    case QB_SCALE_LAYOUT_COLUMNS:
        return col * l.stride + row;
    case QB_SCALE_LAYOUT_PACKED:
        return 4 * (col / 4 * l.stride + row) + col % 4;
    case QB_SCALE_LAYOUT_TILED_128X4:
        return (row / 128 * l.across + col / 4) * 512 + row % 32 * 16 + row % 128 / 32 * 4 + col % 4;
    case QB_SCALE_LAYOUT_TILED_8X4:
        return (row / 8 * l.across + col / 4) * 32 + row % 8 * 4 + col % 4;
    default:
        return row * l.cols + col;
    }
}

/* Places of the scale tensor that are padding: beyond the last column of each row, and in rows beyond the last. */
struct qb__padding {
    uint64_t rows, cols; /* with it */
    uint64_t count;
};

static inline qb__padding qb__padding_of(const struct qb__cuda_call *call)
{
    const struct qb__layout l = qb__layout_of(call->problem);
    const uint64_t rows = call->scale_rows, cols = call->scale_cols;
    qb__padding p = {rows, cols, 0};

    switch (l.layout) {
    case QB_SCALE_LAYOUT_COLUMNS:
        p.rows = l.stride;
        break;
    case QB_SCALE_LAYOUT_PACKED:
        p.rows = l.stride;
        p.cols = 4 * l.across;
        break;
    case QB_SCALE_LAYOUT_TILED_128X4:
        p.rows = qb__ceil_div(rows, 128) * 128;
        p.cols = 4 * l.across;
        break;
    case QB_SCALE_LAYOUT_TILED_8X4:
        p.rows = qb__ceil_div(rows, 8) * 8;
        p.cols = 4 * l.across;
        break;
    default:
        break;
    }
    p.count = rows * (p.cols - cols) + (p.rows - rows) * p.cols;
    return p;
}

/* Write 0 to number I of the padding. */
__device__ __forceinline__ void qb__pad(const qb__scales &s, const qb__padding &p, uint64_t i)
{
    const uint64_t right = p.cols - s.cols, beside = s.rows * right;
    uint64_t row, col;

    if (i < beside) {
        row = i / right;
        col = s.cols + i - row * right;
    } else {
        row = (i - beside) / p.cols;
        col = i - beside - row * p.cols;
        row += s.rows;
    }
    const uint64_t place = qb__place(s.layout, row, col);
    if (s.format == QB_FORMAT_F32) {
        ((uint32_t *)s.memory)[place] = 0;
    } else if (s.format == QB_FORMAT_F16) {
        ((uint16_t *)s.memory)[place] = 0;
    } else {
        ((uint8_t *)s.memory)[place] = 0;
    }
}

/* The code in F16 of SCALE, at least 2^-24 and finite. */
__device__ __forceinline__ uint32_t qb__half_code(float scale)
{
    uint16_t code;

    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(code) : "f"(fmaxf(scale, QB__SCALE_FLOOR_F16)));
    return min((uint32_t)code, 0x7bffu);
}

__device__ __forceinline__ float qb__half_value(uint32_t code)
{
    return qb__unpack_pair<QB_FORMAT_F16>(code).x;
}

/* The code in E8M0 of an amax with these bits: qb__power_code(). */
__device__ __forceinline__ uint32_t qb__power_of(uint32_t amax, const qb__scales &s)
{
    const uint32_t code = ((amax + s.half) >> 23) + ((amax & 0x7fffffu) > s.mantissa);

    return code > s.most ? code - s.most : 0;
}

/* 2^(127 - CODE): qb__power_inverse(). */
__device__ __forceinline__ float qb__inverse_of(uint32_t code)
{
    return __uint_as_float(code < 254 ? (254 - code) << 23 : code == 254 ? 0x400000u : 0x7fc00000u);
}

/* S of a tensor whose amax has these bits; its tensor scale is RN(1 / S). */
__device__ __forceinline__ float qb__tensor_encode(uint32_t amax_bits, const qb__scales &s)
{
    const float amax = fminf(__uint_as_float(amax_bits), s.bound), most = __fmul_rn(s.qmax, 448.0f);

    return amax == 0 ? 1.0f : fminf(__fdiv_rn(most, amax), 0x1.fffffep127f);
}

/* S * RN(1 / qmax) and g of a tensor scale. */
struct qb__tensor_factors {
    float encode, decode;
};

__device__ __forceinline__ qb__tensor_factors qb__factors_of(const qb__scales &s)
{
    const float g = s.tensor_scale != NULL ? *s.tensor_scale : 1.0f;

    const float encode = s.encode != NULL ? *s.encode : __frcp_rn(g);

    return {__fmul_rn(encode, s.reciprocal), g};
}

/* Those of the tensor scale G, which is given, where a tensor has several. */
__device__ __forceinline__ qb__tensor_factors qb__factors_of(float g, const qb__scales &s)
{
    return {__fmul_rn(__frcp_rn(g), s.reciprocal), g};
}

/* The code in E4M3 of VALUE, which is not negative, and 0 above it. */
__device__ __forceinline__ uint16_t qb__small_pair(float value)
{
#if QB__HAVE_FP8
    uint16_t pair;

    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(value));
    return pair;
#else
    return (uint16_t)qb__encode_fp8<QB_FORMAT_E4M3>(value);
#endif
}

/* The same of a VALUE that is at most FLT_MAX. */
__device__ __forceinline__ uint32_t qb__small_code(float value)
{
    return qb__small_pair(value) & 0xffu;
}

/* What elements are multiplied by by the scale of code CODE in E4M3. */
__device__ __forceinline__ float qb__small_multiplier(uint32_t code, float g)
{
    const float f = code == 0x7f ? __uint_as_float(0x7fc00000u) : __fmul_rn(__uint_as_float(code << 20), 0x1p120f);

    return fminf(__frcp_rn(__fmul_rn(f, g)), 0x1.fffffep127f);
}

/* The same where 2^-80 <= F * g <= 2^100 or F is 0, by the reciprocal of qb__divide_by(), and at most MOST. */
__device__ __forceinline__ float qb__small_multiplier_fast(uint32_t code, float g, float most)
{
    const float product = __fmul_rn(__fmul_rn(__uint_as_float(code << 20), 0x1p120f), g);
    float r;

    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(product));
    /* NaN, of which the smaller is the other, if F is 0. */
    return fminf(__fmaf_rn(-__fmaf_rn(product, r, -1.0f), r, r), most);
}

/* The zero point for the range from -BELOW to HIGH by SCALE. */
__device__ __forceinline__ int qb__zero_point(float below, float scale, float least, float largest)
{
    const float zero = rintf(__fsub_rn(least, __fdiv_rn(-below, scale)));

    return (int)fminf(fmaxf(zero, least), largest);
}

/* ---- Codes ------------------------------------------------------------------------------------------------------ */

/* What the table says of a float format of 4 or 6 bits. A magnitude is rounded where the format's mantissa ends, by
 * adding a power of two and taking it away again; then times 2^-126 over the smallest normal number, so that the
 * format's exponent and mantissa are binary32's. */
template <int OUT> struct qb__mini {
    static constexpr unsigned shift = 23 - qb__formats[OUT].mantissa_bits;
    static constexpr float largest = qb__formats[OUT].largest;
    static constexpr uint32_t smallest = qb__power_bits(qb__least_exponent((qb_format)OUT));
    static constexpr uint32_t magic = qb__power_bits((int)shift);
    static constexpr uint32_t align = qb__power_bits(-126 - qb__least_exponent((qb_format)OUT));
};

/* The magnitude of V's code, from bit qb__mini<OUT>::shift on; NaN has the largest one's. */
template <int OUT> __device__ __forceinline__ uint32_t qb__mini_bits(float v)
{
    using mini = qb__mini<OUT>;
    const float magnitude = fminf(fabsf(v), mini::largest);
    const float power =
        __uint_as_float(__float_as_uint(fmaxf(magnitude, __uint_as_float(mini::smallest))) & 0x7f800000u);
    const float magic = __fmul_rn(power, __uint_as_float(mini::magic));
    const float rounded = __fsub_rn(__fadd_rn(magnitude, magic), magic);

    return __float_as_uint(__fmul_rn(rounded, __uint_as_float(mini::align)));
}

/* Eight codes of four bits from four words, each of which has two: code and sign next to each other, in the same place
 * in either half, from bit SHIFT on. The word's low half comes first. */
template <int SHIFT> __device__ __forceinline__ uint32_t qb__pack_halves(const uint32_t *w)
{
    /* A byte for each: elements 0, 2, 1, 3 and 4, 6, 5, 7. */
    const uint32_t a = (w[0] >> SHIFT) + (SHIFT >= 8 ? w[1] >> (SHIFT >= 8 ? SHIFT - 8 : 0) : w[1] << (8 - SHIFT));
    const uint32_t b = (w[2] >> SHIFT) + (SHIFT >= 8 ? w[3] >> (SHIFT >= 8 ? SHIFT - 8 : 0) : w[3] << (8 - SHIFT));

    return __byte_perm(a, b, 0x5410) + (__byte_perm(a, b, 0x7632) << 4);
}

/* The bits of a sum that has the code of V in E2M1, for |V| < 7. A power of two is added that rounds V where the
 * format's mantissa ends, so that the low bits are the steps of V's binade, and the exponent above the smallest one and
 * the sign are as they are in V. */
__device__ __forceinline__ uint32_t qb__tame_sum(float v)
{
    /* An exponent under 127 is a part of its bits. */
    const uint32_t power = (__float_as_uint(fmaxf(fabsf(v), 1.0f)) | __float_as_uint(v)) & 0xff800000u;

    return __float_as_uint(__fmaf_rn(__uint_as_float(power), 0x1p22f + 105.0f, v));
}

/* The codes of two such values, in the low byte of the result: 1 and 16 times the low bits, twice the exponent, and 8
 * for the sign. 105 steps in the sum make all that the exponent adds besides a multiple of 256. */
__device__ __forceinline__ uint32_t qb__tame_pair(float v, float w)
{
    const uint32_t a = qb__tame_sum(v), b = qb__tame_sum(w);
    /* The upper halves, from 6 on and from 12 on: nothing is under the exponent. */
    const uint32_t upper = __umulhi(__byte_perm(a, b, 0x7632), 1u << 26 | 1u << 20);

    return __dp4a(upper, 0x00100001u, a + 16 * b);
}

/* The codes of eight such values. */
__device__ __forceinline__ uint32_t qb__tame8_e2m1(const float *v)
{
    const uint32_t low = __byte_perm(qb__tame_pair(v[0], v[1]), qb__tame_pair(v[2], v[3]), 0x0040);
    const uint32_t high = __byte_perm(qb__tame_pair(v[4], v[5]), qb__tame_pair(v[6], v[7]), 0x0040);

    return __byte_perm(low, high, 0x5410);
}

/* The codes of eight values in E2M1. */
__device__ __forceinline__ uint32_t qb__encode8_e2m1(const float *v)
{
#if QB__HAVE_FP4
    uint32_t word;

    asm("{ .reg .b8 a, b, c, d; cvt.rn.satfinite.e2m1x2.f32 a, %2, %1; cvt.rn.satfinite.e2m1x2.f32 b, %4, %3;"
        " cvt.rn.satfinite.e2m1x2.f32 c, %6, %5; cvt.rn.satfinite.e2m1x2.f32 d, %8, %7; mov.b32 %0, {a, b, c, d}; }"
        : "=r"(word)
        : "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]), "f"(v[4]), "f"(v[5]), "f"(v[6]), "f"(v[7]));
    return word;
#else
    uint32_t w[4];

#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint32_t code =
            __byte_perm(qb__mini_bits<QB_FORMAT_E2M1>(v[2 * i]), qb__mini_bits<QB_FORMAT_E2M1>(v[2 * i + 1]), 0x7632);
        const uint32_t sign = __byte_perm(__float_as_uint(v[2 * i]), __float_as_uint(v[2 * i + 1]), 0x7632);
        /* The code is in bits 6 to 8. */
        w[i] = code | ((sign >> 6) & 0x02000200u);
    }
    return qb__pack_halves<6>(w);
#endif
}

/* The codes of four values in a format of six bits, one in each byte. */
template <int OUT> __device__ __forceinline__ uint32_t qb__encode4_fp6(const float *v)
{
#if QB__HAVE_FP4
    uint32_t word;

    if (OUT == QB_FORMAT_E2M3) {
        asm("{ .reg .b16 l, h; cvt.rn.satfinite.e2m3x2.f32 l, %2, %1; cvt.rn.satfinite.e2m3x2.f32 h, %4, %3;"
            " mov.b32 %0, {l, h}; }"
            : "=r"(word)
            : "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]));
    } else {
        asm("{ .reg .b16 l, h; cvt.rn.satfinite.e3m2x2.f32 l, %2, %1; cvt.rn.satfinite.e3m2x2.f32 h, %4, %3;"
            " mov.b32 %0, {l, h}; }"
            : "=r"(word)
            : "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]));
    }
    return word;
#else
    uint32_t code[4];

#pragma unroll
    for (int i = 0; i < 4; i++) {
        code[i] = (qb__mini_bits<OUT>(v[i]) >> qb__mini<OUT>::shift) | ((__float_as_uint(v[i]) >> 26) & 0x20u);
    }
    return code[0] | code[1] << 8 | code[2] << 16 | code[3] << 24;
#endif
}

/* The low six bits of four bytes, put together to 24. */
__device__ __forceinline__ uint32_t qb__dense4(uint32_t word)
{
    return (word & 0x3fu) | (word >> 2 & 0xfc0u) | (word >> 4 & 0x3f000u) | (word >> 6 & 0xfc0000u);
}

/* Eight integers, each cut to four bits. */
template <int OUT> __device__ __forceinline__ uint32_t qb__pack8_int4(const int *i)
{
    uint32_t word;

    if (OUT == QB_FORMAT_INT4) {
        asm("{ .reg .b32 t; cvt.pack.sat.s4.s32.b32 t, %8, %7, 0; cvt.pack.sat.s4.s32.b32 t, %6, %5, t;"
            " cvt.pack.sat.s4.s32.b32 t, %4, %3, t; cvt.pack.sat.s4.s32.b32 %0, %2, %1, t; }"
            : "=r"(word)
            : "r"(i[0]), "r"(i[1]), "r"(i[2]), "r"(i[3]), "r"(i[4]), "r"(i[5]), "r"(i[6]), "r"(i[7]));
    } else {
        asm("{ .reg .b32 t; cvt.pack.sat.u4.s32.b32 t, %8, %7, 0; cvt.pack.sat.u4.s32.b32 t, %6, %5, t;"
            " cvt.pack.sat.u4.s32.b32 t, %4, %3, t; cvt.pack.sat.u4.s32.b32 %0, %2, %1, t; }"
            : "=r"(word)
            : "r"(i[0]), "r"(i[1]), "r"(i[2]), "r"(i[3]), "r"(i[4]), "r"(i[5]), "r"(i[6]), "r"(i[7]));
    }
    return word;
}

/* ---- Two 16-bit elements at a time, for powers of two -------------------------------------------------------- */

/* A value in both halves of a word, as IN has it: MANTISSA times 2^EXPONENT, with 1 <= MANTISSA < 2. */
template <int IN> constexpr uint32_t qb__pair_of(int exponent, float mantissa = 1)
{
    const int bits = (int)qb__formats[IN].mantissa_bits;
    const uint32_t code =
        (uint32_t)((exponent + qb__formats[IN].bias) << bits) + (uint32_t)((mantissa - 1) * (float)(1 << bits));

    return code | code << 16;
}

/* The constants of qb__pair_code() for OUT, which are those of qb__mini in IN: its smallest normal number and its
 * largest; what rounds a number of exponent 0; what moves OUT's numbers to where IN's subnormal ones are, so that codes
 * are bits; and where those bits begin. */
template <int IN, int OUT> struct qb__pairs {
    static constexpr int emin = qb__least_exponent((qb_format)OUT);
    static constexpr int emax = (int)(1u << qb__formats[OUT].exponent_bits) - 1 - qb__formats[OUT].bias;
    static constexpr int shift = (int)qb__formats[IN].mantissa_bits - (int)qb__formats[OUT].mantissa_bits;
    static constexpr uint32_t one = qb__pair_of<IN>(0);
    static constexpr uint32_t smallest = qb__pair_of<IN>(emin);
    static constexpr uint32_t largest = qb__pair_of<IN>(emax, 2 - 1 / (float)(1 << qb__formats[OUT].mantissa_bits));
    static constexpr uint32_t exponent = qb__infinity((qb_format)IN) * 0x10001u;
    static constexpr uint32_t magic = qb__pair_of<IN>(shift);
    static constexpr uint32_t align = qb__pair_of<IN>(qb__least_exponent((qb_format)IN) - emin);
    static constexpr uint32_t sign = (1u << (shift + (int)qb__formats[OUT].bits - 1)) * 0x10001u;
};

#if QB__HAVE_PAIRS
template <int IN> __device__ __forceinline__ uint32_t qb__pair_fma(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t d;

    if (IN == QB_FORMAT_F16) {
        asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    } else {
        asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    }
    return d;
}

/* The larger elements, and the smaller; NaN ignored. */
template <int IN> __device__ __forceinline__ void qb__widen_pair(uint32_t &high, uint32_t &low, uint32_t word)
{
    if (IN == QB_FORMAT_F16) {
        asm("max.f16x2 %0, %0, %2; min.f16x2 %1, %1, %2;" : "+r"(high), "+r"(low) : "r"(word));
    } else {
        asm("max.bf16x2 %0, %0, %2; min.bf16x2 %1, %1, %2;" : "+r"(high), "+r"(low) : "r"(word));
    }
}

/* A product, as a sum with -0. */
template <int IN> __device__ __forceinline__ uint32_t qb__pair_multiply(uint32_t a, uint32_t b)
{
    return qb__pair_fma<IN>(a, b, 0x80008000u);
}

/* The smaller of |a| and b, pair by pair; b where a is NaN. */
template <int IN> __device__ __forceinline__ uint32_t qb__pair_min(uint32_t a, uint32_t b)
{
    uint32_t d;

    if (IN == QB_FORMAT_F16) {
        asm("{ .reg .b32 t; abs.f16x2 t, %1; min.f16x2 %0, t, %2; }" : "=r"(d) : "r"(a), "r"(b));
    } else {
        asm("{ .reg .b32 t; abs.bf16x2 t, %1; min.bf16x2 %0, t, %2; }" : "=r"(d) : "r"(a), "r"(b));
    }
    return d;
}

/* Two elements' codes, each in its half of the word from bit qb__pairs<IN, OUT>::shift on; the elements are multiplied
 * with M1 and M2, powers of two. A product is exact, or so small that its code is 0. */
template <int IN, int OUT> __device__ __forceinline__ uint32_t qb__pair_code(uint32_t x, uint32_t m1, uint32_t m2)
{
    using pairs = qb__pairs<IN, OUT>;
    /* NaN becomes that without a sign. */
    const uint32_t once = qb__pair_multiply<IN>(x, m1);
    const uint32_t v = IN == QB_FORMAT_F16 ? qb__pair_multiply<IN>(once, m2) : once;
    const uint32_t magnitude = qb__pair_min<IN>(v, pairs::largest);
    const uint32_t power = qb__max_word<IN>(pairs::smallest, magnitude) & pairs::exponent;
    const uint32_t magic = qb__pair_multiply<IN>(power, pairs::magic);
    const uint32_t sum = qb__pair_fma<IN>(magnitude, pairs::one, magic);
    const uint32_t rounded = qb__pair_fma<IN>(magic, pairs::one | 0x80008000u, sum);
    const uint32_t code = qb__pair_multiply<IN>(rounded, pairs::align);

    return code | ((v >> (16 - (int)qb__formats[OUT].bits - pairs::shift)) & pairs::sign);
}

/* The factors of 2^(127 - CODE), as pairs: one of bfloat16, two of half, which reach from 2^-28, which makes all
 * elements 0, to 2^30, which makes all but 0 the largest. */
template <int IN> __device__ __forceinline__ void qb__pair_factors(uint32_t code, uint32_t *m1, uint32_t *m2)
{
    uint32_t a, b;

    if (IN == QB_FORMAT_F16) {
        const int exponent = 127 - (int)code, first = max(-14, min(exponent, 15));
        a = code == 255 ? 0x7e00u : (uint32_t)(first + 15) << 10;
        b = (uint32_t)(max(-14, min(exponent - first, 15)) + 15) << 10;
    } else {
        a = code < 254 ? (254 - code) << 7 : code == 254 ? 0x40u : 0x7fc0u;
        b = 0;
    }
    *m1 = a | a << 16;
    *m2 = b | b << 16;
}
#endif

#endif
