/* SPDX-License-Identifier: Apache-2.0 */
/* device.cuh - what all kernels share: chunks of 16 bytes, their amax, the division, the codes, reductions. */
#ifndef QB_CUDA_DEVICE_CUH
#define QB_CUDA_DEVICE_CUH

#include <stdint.h>

#include "kernels.h"
#include "problem.h"

/* FP8 conversion in hardware: from compute capability 8.9 on. The instruction's sm_89 form is younger than CUDA 11.8.
 */
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ >= 900 || (__CUDA_ARCH__ >= 890 && __CUDACC_VER_MAJOR__ >= 12))
#define QB__HAVE_FP8 1
#else
#define QB__HAVE_FP8 0
#endif

/* Threads that a multiprocessor can hold. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define QB__MOST_THREADS 1024u
#elif defined(__CUDA_ARCH__) && ((__CUDA_ARCH__ >= 860 && __CUDA_ARCH__ < 900) || __CUDA_ARCH__ >= 1100)
#define QB__MOST_THREADS 1536u
#else
#define QB__MOST_THREADS 2048u
#endif

/* ---- The start of a kernel ---------------------------------------------------------------------------------- */

/* Every kernel calls qb__begin(), or qb__wait(), before it reads or writes memory, and reads its input by the pointer
 * that comes back, so that the compiler cannot move a load before it. If the launch is a dependent one, both wait until
 * all that is before it in the stream has ended and can be seen. */
template <class T> __device__ __forceinline__ const T *qb__wait(const T *in)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" : "+l"(in) : : "memory");
#endif
    return in;
}

/* From here on the kernel after this one may come, to wait too. Kernels whose blocks, if they are few, have much to do
 * call this when most of the work is done. Where the next one may come at once, so may the one after it and more, and
 * their blocks crowd onto the multiprocessors that have room first. */
__device__ __forceinline__ void qb__let_next()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Both: the kernel after this one may come at once. */
template <class T> __device__ __forceinline__ const T *qb__begin(const T *in)
{
    qb__let_next();
    return qb__wait(in);
}

/* ---- Formats ------------------------------------------------------------------------------------------------ */

/* What the table says of a format, for device code, where the table is not. */
template <int FORMAT> struct qb__format {
    static constexpr unsigned mantissa_bits = qb__formats[FORMAT].mantissa_bits;
    static constexpr int least_exponent = qb__least_exponent((qb_format)FORMAT);
    static constexpr uint32_t smallest_normal = qb__power_bits(least_exponent); /* the bits of binary32 */
    /* The bits of a binary32 whose last bit is the step of the subnormals. */
    static constexpr uint32_t magic = qb__power_bits(least_exponent + 23 - (int)mantissa_bits);
    static constexpr float largest = qb__formats[FORMAT].largest;
    static constexpr uint32_t nan_code = qb__formats[FORMAT].nan_code;
    static constexpr uint32_t infinity = qb__infinity((qb_format)FORMAT);
};

/* Elements in one chunk: 16 bytes of input, the widest load there is. */
template <int IN> struct qb__in {
    static constexpr unsigned size = qb__element_size((qb_format)IN);
    static constexpr unsigned chunk = 16 / size;
};

/* The codes of one chunk. */
template <int IN> struct qb__codes {
    uint32_t word[qb__in<IN>::chunk / 4];
};

template <int OUT> __host__ __device__ __forceinline__ float qb__qmax()
{
    return qb__format<OUT>::largest;
}

/* Both values of a pair of 16-bit elements, exactly. */
template <int IN> __device__ __forceinline__ float2 qb__unpack_pair(uint32_t word)
{
    if (IN == QB_FORMAT_F16) {
        float2 pair;
        asm("{ .reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }"
            : "=f"(pair.x), "=f"(pair.y)
            : "r"(word));
        return pair;
    }
    return make_float2(__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u));
}

template <int IN> __device__ __forceinline__ void qb__unpack(const uint4 &chunk, float *x)
{
    const uint32_t word[4] = {chunk.x, chunk.y, chunk.z, chunk.w};

#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (IN == QB_FORMAT_F32) {
            x[i] = __uint_as_float(word[i]);
        } else {
            float2 pair = qb__unpack_pair<IN>(word[i]);
            x[2 * i] = pair.x;
            x[2 * i + 1] = pair.y;
        }
    }
}

/* One element of any alignment that it may have. */
template <int IN> __device__ __forceinline__ float qb__load_element(const void *in, int64_t index)
{
    if (IN == QB_FORMAT_F32) {
        return ((const float *)in)[index];
    }
    return qb__unpack_pair<IN>(((const uint16_t *)in)[index]).x;
}

/* ---- amax --------------------------------------------------------------------------------------------------- */

/* The larger magnitudes of two pairs of elements (F32: of two elements), NaN ignored. ACC holds magnitudes and is
 * never NaN; 0 to begin with. From sm_80 on this is one instruction for two 16-bit elements. */
template <int IN> __device__ __forceinline__ uint32_t qb__max_word(uint32_t acc, uint32_t word)
{
    if (IN == QB_FORMAT_F32) {
        return __float_as_uint(fmaxf(__uint_as_float(acc), fabsf(__uint_as_float(word))));
    }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    if (IN == QB_FORMAT_F16) {
        asm("{ .reg .b32 a; abs.f16x2 a, %1; max.f16x2 %0, %0, a; }" : "+r"(acc) : "r"(word));
    } else {
        asm("{ .reg .b32 a; abs.bf16x2 a, %1; max.bf16x2 %0, %0, a; }" : "+r"(acc) : "r"(word));
    }
    return acc;
#else
    /* Magnitudes compare as integers; a NaN is above infinity. */
    const uint32_t infinity = qb__format<IN>::infinity;
    uint32_t low = word & 0x7fffu, high = (word >> 16) & 0x7fffu;
    low = low > infinity ? 0 : low;
    high = high > infinity ? 0 : high;
    low = max(low, acc & 0xffffu);
    high = max(high, acc >> 16);
    return low | (high << 16);
#endif
}

template <int IN> __device__ __forceinline__ uint32_t qb__max_chunk(uint32_t acc, const uint4 &chunk)
{
    acc = qb__max_word<IN>(acc, chunk.x);
    acc = qb__max_word<IN>(acc, chunk.y);
    acc = qb__max_word<IN>(acc, chunk.z);
    return qb__max_word<IN>(acc, chunk.w);
}

/* The same element by element: each keeps its own. */
template <int IN> __device__ __forceinline__ void qb__max_words(uint4 &acc, const uint4 &chunk)
{
    acc.x = qb__max_word<IN>(acc.x, chunk.x);
    acc.y = qb__max_word<IN>(acc.y, chunk.y);
    acc.z = qb__max_word<IN>(acc.z, chunk.z);
    acc.w = qb__max_word<IN>(acc.w, chunk.w);
}

/* The same over all lanes of a warp whose numbers differ by a multiple of WIDTH, a power of two. */
template <int IN> __device__ __forceinline__ void qb__max_lanes(uint4 &acc, unsigned width)
{
    for (unsigned offset = 16; offset >= width; offset /= 2) {
        qb__max_words<IN>(
            acc, make_uint4(__shfl_xor_sync(0xffffffffu, acc.x, offset), __shfl_xor_sync(0xffffffffu, acc.y, offset),
                            __shfl_xor_sync(0xffffffffu, acc.z, offset), __shfl_xor_sync(0xffffffffu, acc.w, offset)));
    }
}

/* The accumulated amax as the bits of a binary32, which compare as unsigned integers do. */
template <int IN> __device__ __forceinline__ uint32_t qb__max_bits(uint32_t acc)
{
    if (IN == QB_FORMAT_F32) {
        return acc;
    }
    float2 pair = qb__unpack_pair<IN>(acc);
    return __float_as_uint(fmaxf(pair.x, pair.y));
}

/* The largest of a full warp's values. */
__device__ __forceinline__ uint32_t qb__warp_max(uint32_t bits)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    return __reduce_max_sync(0xffffffffu, bits);
#else
    for (int offset = 16; offset > 0; offset /= 2) {
        bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, offset));
    }
    return bits;
#endif
}

/* The largest of a block's values, for all its threads. WARP_MAX has 32 words; a block that calls this twice needs a
 * barrier between the calls. The block is a multiple of 32 threads. */
__device__ __forceinline__ uint32_t qb__block_max(uint32_t bits, uint32_t *warp_max)
{
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;

    bits = qb__warp_max(bits);
    if (lane == 0) {
        warp_max[threadIdx.x / 32] = bits;
    }
    __syncthreads();
    return qb__warp_max(lane < warps ? warp_max[lane] : 0);
}

/* ---- Scales and quotients ----------------------------------------------------------------------------------- */

/* The dynamic scale of the tile whose amax has these bits. BOUND also holds the input's largest finite value. */
__device__ __forceinline__ float qb__scale(uint32_t amax_bits, float bound, float qmax)
{
    return fmaxf(__fdiv_rn(fminf(__uint_as_float(amax_bits), bound), qmax), QB__SCALE_FLOOR);
}

/* RN(A / qmax) of an amax A, by a product that is put right, as 1 / qmax is the nearest float to that; unless A is so
 * small that the error of the product would be subnormal. */
template <int OUT> __device__ __forceinline__ float qb__by_qmax_unless_small(float a)
{
    const float qmax = qb__qmax<OUT>(), r = 1 / qb__qmax<OUT>(), q = __fmul_rn(a, r);

    return __fmaf_rn(__fmaf_rn(-q, qmax, a), r, q);
}

template <int OUT> __device__ __forceinline__ float qb__by_qmax(float a)
{
    return a < 0x1p-90f && a > 0 ? __fdiv_rn(a, qb__qmax<OUT>()) : qb__by_qmax_unless_small<OUT>(a);
}

template <int OUT> __device__ __forceinline__ float qb__scale(uint32_t amax_bits, float bound)
{
    return fmaxf(qb__by_qmax<OUT>(fminf(__uint_as_float(amax_bits), bound)), QB__SCALE_FLOOR);
}

/* The same, as there the error of the product is subnormal only where that is exact all the same, or the scale is the
 * least one: tried with all amaxes. Kernels of few rows, which wait for it, have no branch for that. */
template <int OUT> __device__ __forceinline__ float qb__found_scale(uint32_t amax, float bound)
{
    return fmaxf(qb__by_qmax_unless_small<OUT>(fminf(__uint_as_float(amax), bound)), QB__SCALE_FLOOR);
}

/* A scale, made ready for many quotients.
 *
 * v = x / s must be the correctly rounded quotient, or at least have its code. IEEE division costs about ten
 * instructions. With r near 1/s two or three do, if 2^-80 <= s <= 2^100, so that r is normal, and for float if also
 * |x| < min(s 2^100, infinity), so that nothing overflows. All else takes the IEEE division. NaN stays NaN.
 *
 * If |x/s| < 2^-18, |v| stays under 2^-17, half the smallest step of all formats: the code is zero, and what counts is
 * the sign. If |x/s| >= 2^-18, |x| >= 2^-98, no result below is touched by underflow, and powers of two scale out.
 *
 * Half and bfloat16: v = RN(x r + RN(x low)), where r is 1/s rounded down and low = RN((1 - s r) r) >= 0. x r + x low
 * is x/s but for 2^-47 of it, so v is the right one of two neighbors unless x/s is that close to the middle between
 * them; which changes the code only if one of the two is where codes change, a number of at most 9 significant bits.
 * That never happens: all 2^23 significands of s were tried with all 2^10 of half, which contain bfloat16's (NOTES).
 * Sign: both products have x's, also when x or they are zero. No x is too large: where x r overflows, x/s does or is
 * above all codes. low = 0 is taken as the least subnormal, 2^-49 of r at most, so that an infinite x stays infinite.
 *
 * float: r = RN(1/s), q = RN(x r), e = RN(q s - x), v = RN(q - e r). Scale x and s into [1, 2). r is off by at most
 * half an ulp, so q is off by less than 1 ulp if x >= s, by less than x/2 + 1/2 ulp if x < s. e is then exact, or (only
 * if q is off by more than 1 ulp) off by 2^-25 of itself. Without the last rounding v differs from x/s by |e| |r - 1/s|
 * (+ 2^-25 |e| r), at most s 2^-26 ulp if q is next to the rounding boundary that x/s is closest to, and x/s is not
 * closer to any boundary than 2^-24/s ulp: v is rounded as x/s is. For q to be one more ulp away from so near a
 * boundary x must be within 2^-22 of 2, and s above it: x = 2 - 2^-22, s = 2 - 2^-23, which gives the right v by hand.
 * Sign, where x/s is small: while q is more than one step of the subnormals from zero, |e r| < |q|; if q = 0, e = -x
 * and v = RN(x r); if q is one step, |e r| < 1 step, as r |RN(s - j)| < 1 for each integer j with |s - j| <= s/2; and x
 * = -0 gives q = -0, e = (-0) s + 0 = +0, v = -0 - (+0) r = -0 (with e = x - q s the sign would be lost). */
struct qb__divisor {
    float s, r;
    float low;   /* half and bfloat16 */
    float limit; /* smaller |x| may go the fast way; half and bfloat16: any x, if this is not 0 */
};

template <int IN> __device__ __forceinline__ qb__divisor qb__divide_by(float s)
{
    qb__divisor d;

    d.s = s;
    /* 1/s, correctly rounded for the s that count: as __frcp_rn(), less what that does for the others. */
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(d.r) : "f"(s));
    d.r = __fmaf_rn(-__fmaf_rn(s, d.r, -1.0f), d.r, d.r);
    d.low = 0;
    if (IN != QB_FORMAT_F32) {
        const float nearest = d.r;
        d.r = __uint_as_float(__float_as_uint(d.r) - (__fmaf_rn(s, d.r, -1.0f) > 0));
        d.low = __uint_as_float(max(__float_as_uint(__fmul_rn(__fmaf_rn(-s, d.r, 1.0f), nearest)), 1u));
    }
    d.limit = s >= 0x1p-80f && s <= 0x1p100f ? (IN == QB_FORMAT_F32 ? __fmul_rn(s, 0x1p100f) : INFINITY) : 0.0f;
    return d;
}

/* True if elements whose magnitudes are AMAX at most may go the fast way of a divisor with that LIMIT. */
template <int IN> __device__ __forceinline__ bool qb__is_fast(uint32_t amax_bits, float limit)
{
    return IN == QB_FORMAT_F32 ? __uint_as_float(amax_bits) < limit : limit > 0;
}

/* x / d.s for x that may go the fast way. */
template <int IN> __device__ __forceinline__ float qb__quotient(float x, const qb__divisor &d)
{
    if (IN != QB_FORMAT_F32) {
        return __fmaf_rn(x, d.r, __fmul_rn(x, d.low));
    }
    float q = __fmul_rn(x, d.r);
    float e = __fmaf_rn(q, d.s, -x);
    return __fmaf_rn(-e, d.r, q);
}

/* ---- Codes -------------------------------------------------------------------------------------------------- */

/* FP8 without hardware: round to nearest even by adding, at the bit where the code ends. */
template <int OUT> __device__ __forceinline__ uint32_t qb__encode_fp8(float v)
{
    using format = qb__format<OUT>;
    const unsigned mantissa = format::mantissa_bits, shift = 23 - mantissa;
    const uint32_t magic = format::magic;
    const float magnitude = fminf(fabsf(v), qb__qmax<OUT>());
    const uint32_t sign = (__float_as_uint(v) >> 24) & 0x80u;
    uint32_t bits = __float_as_uint(magnitude), code;

    if (bits < format::smallest_normal) {
        code = __float_as_uint(__fadd_rn(magnitude, __uint_as_float(magic))) - magic;
    } else {
        bits += (1u << (shift - 1)) - 1 + ((bits >> shift) & 1);
        code = (bits >> shift) - ((uint32_t)(format::least_exponent + 126) << mantissa);
    }
    return v != v ? format::nan_code : code | sign;
}

/* The codes of four quotients, the first in the lowest byte. */
template <int OUT> __device__ __forceinline__ uint32_t qb__encode4(float a, float b, float c, float d)
{
    uint32_t word;

    if (OUT == QB_FORMAT_INT8) {
        /* __float2int_rn saturates and makes 0 of NaN; the packing saturates again. */
        asm("{ .reg .b32 t; cvt.pack.sat.s8.s32.b32 t, %4, %3, 0; cvt.pack.sat.s8.s32.b32 %0, %2, %1, t; }"
            : "=r"(word)
            : "r"(__float2int_rn(a)), "r"(__float2int_rn(b)), "r"(__float2int_rn(c)), "r"(__float2int_rn(d)));
        return word;
    }
#if QB__HAVE_FP8
    if (OUT == QB_FORMAT_E4M3) {
        asm("{ .reg .b16 l, h; cvt.rn.satfinite.e4m3x2.f32 l, %2, %1; cvt.rn.satfinite.e4m3x2.f32 h, %4, %3;"
            " mov.b32 %0, {l, h}; }"
            : "=r"(word)
            : "f"(a), "f"(b), "f"(c), "f"(d));
    } else {
        asm("{ .reg .b16 l, h; cvt.rn.satfinite.e5m2x2.f32 l, %2, %1; cvt.rn.satfinite.e5m2x2.f32 h, %4, %3;"
            " mov.b32 %0, {l, h}; }"
            : "=r"(word)
            : "f"(a), "f"(b), "f"(c), "f"(d));
    }
#else
    word = qb__encode_fp8<OUT>(a) | qb__encode_fp8<OUT>(b) << 8 | qb__encode_fp8<OUT>(c) << 16 |
           qb__encode_fp8<OUT>(d) << 24;
#endif
    return word;
}

template <int IN, int OUT>
__device__ __forceinline__ qb__codes<IN> qb__encode_fast(const uint4 &chunk, const qb__divisor &d)
{
    float x[qb__in<IN>::chunk];
    qb__codes<IN> codes;

    qb__unpack<IN>(chunk, x);
#pragma unroll
    for (unsigned i = 0; i < qb__in<IN>::chunk; i += 4) {
        codes.word[i / 4] = qb__encode4<OUT>(qb__quotient<IN>(x[i], d), qb__quotient<IN>(x[i + 1], d),
                                             qb__quotient<IN>(x[i + 2], d), qb__quotient<IN>(x[i + 3], d));
    }
    return codes;
}

/* The same where each element has a divisor of its own. */
template <int IN, int OUT>
__device__ __forceinline__ qb__codes<IN> qb__encode_columns(const uint4 &chunk, const qb__divisor *d)
{
    float x[qb__in<IN>::chunk];
    qb__codes<IN> codes;

    qb__unpack<IN>(chunk, x);
#pragma unroll
    for (unsigned i = 0; i < qb__in<IN>::chunk; i++) {
        x[i] = qb__quotient<IN>(x[i], d[i]);
    }
#pragma unroll
    for (unsigned i = 0; i < qb__in<IN>::chunk; i += 4) {
        codes.word[i / 4] = qb__encode4<OUT>(x[i], x[i + 1], x[i + 2], x[i + 3]);
    }
    return codes;
}

/* With the IEEE division: a loop that turns the words through the first one, as this runs seldom and should be small.
 */
template <int IN, int OUT> __device__ __forceinline__ qb__codes<IN> qb__encode_slow(uint4 chunk, const qb__divisor &d)
{
    const unsigned n = qb__in<IN>::chunk / 4;
    uint64_t all = 0;
    qb__codes<IN> codes;

#pragma unroll 1
    for (int i = 0; i < 4; i++) {
        const float2 pair =
            IN == QB_FORMAT_F32 ? make_float2(__uint_as_float(chunk.x), 0) : qb__unpack_pair<IN>(chunk.x);
        const uint64_t code = qb__encode4<OUT>(__fdiv_rn(pair.x, d.s), n == 2 ? __fdiv_rn(pair.y, d.s) : 0.0f, 0, 0);
        all = all >> (8 * n) | code << (64 - 8 * n);
        chunk = make_uint4(chunk.y, chunk.z, chunk.w, 0);
    }
    codes.word[0] = (uint32_t)(all >> (n == 2 ? 0 : 32));
    codes.word[n - 1] = (uint32_t)(all >> 32);
    return codes;
}

/* The codes of a chunk; FAST says that all of it may go the fast way. */
template <int IN, int OUT>
__device__ __forceinline__ qb__codes<IN> qb__encode(const uint4 &chunk, const qb__divisor &d, bool fast)
{
    return fast ? qb__encode_fast<IN, OUT>(chunk, d) : qb__encode_slow<IN, OUT>(chunk, d);
}

/* The code of one element. */
template <int OUT> __device__ __forceinline__ uint8_t qb__encode1(float x, float s)
{
    return (uint8_t)qb__encode4<OUT>(__fdiv_rn(x, s), 0, 0, 0);
}

/* The same where the magnitudes are not known. */
template <int IN, int OUT>
__device__ __forceinline__ qb__codes<IN> qb__encode_unknown(const uint4 &chunk, const qb__divisor &d)
{
    return qb__encode<IN, OUT>(chunk, d, qb__is_fast<IN>(qb__max_bits<IN>(qb__max_chunk<IN>(0, chunk)), d.limit));
}

/* ---- Rows and spans ----------------------------------------------------------------------------------------- */

/* Consecutive elements, cut where their input is aligned to 16 bytes: less than a chunk of elements before, full
 * chunks, less than a chunk of elements after. The elements at the edges go one by one. Where input and output are as
 * far from alignment as each other, counted in elements (all dense tensors are), codes are stored a chunk at a time,
 * else as wide as they are aligned. */
struct qb__row {
    const unsigned char *in; /* aligned: the first full chunk */
    unsigned char *out;      /* where its codes go */
    uint32_t head, tail;     /* elements before and after the full chunks */
    uint64_t full;           /* chunks */
};

/* A stretch of a row that is short enough to count in 32 bits. */
struct qb__span {
    const unsigned char *in;
    unsigned char *out;
    uint32_t head, tail, full;
};

/* COUNT elements from element IN_FIRST of the input and OUT_FIRST of the output. */
template <int IN>
__device__ __forceinline__ qb__row qb__make_row(const void *in, uint64_t in_first, uint8_t *out, uint64_t out_first,
                                                uint64_t count)
{
    const unsigned char *address = (const unsigned char *)in + in_first * qb__in<IN>::size;
    qb__row row;

    row.head = (uint32_t)min((uint64_t)(-(uintptr_t)address % 16 / qb__in<IN>::size), count);
    row.in = address + row.head * qb__in<IN>::size;
    row.out = out + out_first + row.head;
    row.full = (count - row.head) / qb__in<IN>::chunk;
    row.tail = (uint32_t)((count - row.head) % qb__in<IN>::chunk);
    return row;
}

/* The row's chunks from FIRST on, at most CHUNKS; the head goes with the first of all, the tail with the LAST span. */
template <int IN>
__device__ __forceinline__ qb__span qb__cut(const qb__row &row, uint64_t first, uint32_t chunks, bool last)
{
    qb__span span;

    span.in = row.in + first * 16;
    span.out = row.out + first * qb__in<IN>::chunk;
    span.full = first < row.full ? (uint32_t)min(row.full - first, (uint64_t)chunks) : 0;
    span.head = first == 0 ? row.head : 0;
    span.tail = last ? row.tail : 0;
    if (last && first > row.full) {
        /* The row has a chunk less than it would have if aligned, and this span is beyond all. */
        span.in = row.in + row.full * 16;
        span.out = row.out + row.full * qb__in<IN>::chunk;
    }
    return span;
}

/* 16 bytes that nobody writes. (L1::no_allocate makes the same kernels 5 % slower on an H200.) */
__device__ __forceinline__ uint4 qb__load16(const unsigned char *address)
{
    uint4 v;

    asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(address));
    return v;
}

/* Full chunk C, or zeros beyond the last. */
__device__ __forceinline__ uint4 qb__load(const qb__span &span, uint32_t c)
{
    return c < span.full ? qb__load16(span.in + (size_t)c * 16) : make_uint4(0, 0, 0, 0);
}

/* The codes of one chunk, where they are aligned. */
template <int IN> __device__ __forceinline__ void qb__store16(unsigned char *out, const qb__codes<IN> &codes)
{
    if (qb__in<IN>::chunk == 8) {
        *(uint2 *)out = make_uint2(codes.word[0], codes.word[qb__in<IN>::chunk / 4 - 1]);
    } else {
        *(uint32_t *)out = codes.word[0];
    }
}

/* The codes of full chunk C, or nothing beyond the last. */
template <int IN>
__device__ __forceinline__ void qb__store(const qb__span &span, uint32_t c, const qb__codes<IN> &codes)
{
    const unsigned n = qb__in<IN>::chunk;
    unsigned char *out = span.out + (size_t)c * n;

    if (c >= span.full) {
        return;
    }
    if ((uintptr_t)span.out % n == 0) {
        qb__store16<IN>(out, codes);
    } else if ((uintptr_t)span.out % 2 == 0) {
#pragma unroll
        for (unsigned i = 0; i < n; i += 2) {
            *(uint16_t *)(out + i) = (uint16_t)(codes.word[i / 4] >> (i % 4 * 8));
        }
    } else {
#pragma unroll
        for (unsigned i = 0; i < n; i++) {
            out[i] = (uint8_t)(codes.word[i / 4] >> (i % 4 * 8));
        }
    }
}

/* Where edge element I < head + tail is, counted from the first full chunk. */
template <int IN> __device__ __forceinline__ int64_t qb__edge(const qb__span &span, uint32_t i)
{
    return (int64_t)i - span.head + (i < span.head ? 0 : (int64_t)span.full * qb__in<IN>::chunk);
}

/* The edges' part in the amax of lane LANE of TEAM. */
template <int IN> __device__ __forceinline__ float qb__edge_max(const qb__span &span, unsigned lane, unsigned team)
{
    float amax = 0;

    for (uint32_t i = lane; i < span.head + span.tail; i += team) {
        amax = fmaxf(amax, fabsf(qb__load_element<IN>(span.in, qb__edge<IN>(span, i))));
    }
    return amax;
}

/* Store the codes of the edges. The elements are read again, from L1 or L2. */
template <int IN, int OUT>
__device__ __forceinline__ void qb__edge_store(const qb__span &span, unsigned lane, unsigned team, float s)
{
    for (uint32_t i = lane; i < span.head + span.tail; i += team) {
        const int64_t at = qb__edge<IN>(span, i);
        span.out[at] = qb__encode1<OUT>(qb__load_element<IN>(span.in, at), s);
    }
}

/* ---- Division by a number that the host knows --------------------------------------------------------------- */

/* Quotients n / d of n < 2^31 by a multiplication. d >= 2^31 is kept as 2^31: all such quotients are 0. */
struct qb__fastdiv {
    uint32_t divisor, multiplier, shift;
};

static inline qb__fastdiv qb__make_fastdiv(uint64_t d)
{
    qb__fastdiv f;

    f.divisor = d < 0x80000000u ? (uint32_t)d : 0x80000000u;
    for (f.shift = 0; (1ull << f.shift) < f.divisor; f.shift++) {
    }
    f.multiplier = (uint32_t)((((1ull << f.shift) - f.divisor) << 32) / f.divisor + 1);
    return f;
}

__device__ __forceinline__ uint32_t qb__divide(uint32_t n, const qb__fastdiv &f)
{
    return (__umulhi(n, f.multiplier) + n) >> f.shift;
}

/* N / d and N % d for any N. D is the true divisor of F. */
__device__ __forceinline__ uint64_t qb__divide64(uint64_t n, uint64_t d, const qb__fastdiv &f, uint64_t *rest)
{
    const uint64_t quotient = n < 0x80000000u ? qb__divide((uint32_t)n, f) : n / d;

    *rest = n - quotient * d;
    return quotient;
}

/* ---- Launching ---------------------------------------------------------------------------------------------- */

/* A tensor and its scales, the first part of most kernels' arguments. Elements. */
struct qb__tensor {
    const void *in;
    uint8_t *out;
    float *scales;
    uint64_t rows, cols, in_stride, out_stride;
};

static inline qb__tensor qb__tensor_of(const struct qb__cuda_call *call)
{
    return {call->in, call->out, call->scales, call->rows, call->cols, call->in_stride, call->out_stride};
}

static inline bool qb__is_dense(const struct qb__cuda_call *call)
{
    return call->rows <= 1 || (call->in_stride == call->cols && call->out_stride == call->cols);
}

/* Threads of a block where that is free: 1024 make large data 1 % faster, 256 small ones 20 %. */
static inline unsigned qb__block_threads(const struct qb__cuda_call *call, uint64_t chunks)
{
    return chunks >= (uint64_t)call->limits->units * (4 * 2 * 2048) ? 1024 : 256;
}

static inline bool qb__writes_codes(const struct qb__cuda_call *call)
{
    return call->scaling != QB_SCALING_AMAX;
}

/* The output format's, for kernels that are the same for all of them. */
static inline float qb__qmax_of(const struct qb__cuda_call *call)
{
    return qb__formats[call->output].largest;
}

static inline unsigned qb__round_up(unsigned n, unsigned multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* The smallest power of two that is not under N. */
static inline unsigned qb__ceil_power(uint64_t n)
{
    unsigned power = 1;

    while (power < n) {
        power *= 2;
    }
    return power;
}

/* True if the first of all elements, and each that is a number of steps after it, is as far from a multiple of a chunk
 * in the output, if there is one, as it is in the input. */
static inline bool qb__in_phase(const struct qb__cuda_call *call, uint64_t in_step, uint64_t out_step, uint64_t tiles)
{
    const size_t size = qb__element_size(call->input), n = 16 / size;

    return !qb__writes_codes(call) || ((uintptr_t)call->in / size % n == (uintptr_t)call->out % n &&
                                       (tiles <= 1 || (in_step - out_step) % n == 0));
}

/* Put KERNEL into the call's stream, or an empty one of the same shape. All launches of the backend go through here. */
static inline cudaError_t qb__launch(const struct qb__cuda_call *call, const void *kernel, uint64_t blocks,
                                     dim3 threads, void **args, size_t shared = 0, bool cooperative = false)
{
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attributes[2] = {};

    if (blocks > 0x7fffffffu) {
        return cudaErrorInvalidConfiguration;
    }
    if (call->empty) {
        kernel = qb__cuda_empty_kernel;
    }
    config.gridDim = dim3((unsigned)blocks);
    config.blockDim = threads;
    config.dynamicSmemBytes = shared;
    config.stream = call->stream;
    config.attrs = attributes;
    if (cooperative) {
        attributes[config.numAttrs].id = cudaLaunchAttributeCooperative;
        attributes[config.numAttrs++].val.cooperative = 1;
    }
    if (call->dependent_launch) {
        attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
    }
    cudaError_t error = cudaLaunchKernelExC(&config, kernel, args);
    if (error != cudaSuccess && cooperative && call->dependent_launch) {
        /* Should a driver refuse the two together, the launch is an ordinary one. */
        cudaGetLastError();
        config.numAttrs--;
        error = cudaLaunchKernelExC(&config, kernel, args);
    }
    return error;
}

/* A table of one kernel for each input and output format, indexed by qb__index(). */
#define QB__KERNELS_OF_INPUT(kernel, in, ...)                                                                          \
    (const void *)kernel<in, QB_FORMAT_INT8, ##__VA_ARGS__>, (const void *)kernel<in, QB_FORMAT_E4M3, ##__VA_ARGS__>,  \
        (const void *)kernel<in, QB_FORMAT_E5M2, ##__VA_ARGS__>
#define QB__KERNELS(kernel, ...)                                                                                       \
    {                                                                                                                  \
        QB__KERNELS_OF_INPUT(kernel, QB_FORMAT_F16, ##__VA_ARGS__),                                                    \
            QB__KERNELS_OF_INPUT(kernel, QB_FORMAT_BF16, ##__VA_ARGS__),                                               \
            QB__KERNELS_OF_INPUT(kernel, QB_FORMAT_F32, ##__VA_ARGS__)                                                 \
    }

/* The same where the output format does not count. */
#define QB__KERNELS_OF_ANY_OUTPUT(kernel, ...)                                                                         \
    {                                                                                                                  \
        QB__SAME_3(kernel, QB_FORMAT_F16, ##__VA_ARGS__), QB__SAME_3(kernel, QB_FORMAT_BF16, ##__VA_ARGS__),           \
            QB__SAME_3(kernel, QB_FORMAT_F32, ##__VA_ARGS__)                                                           \
    }
#define QB__SAME_3(kernel, in, ...)                                                                                    \
    (const void *)kernel<in, QB_FORMAT_INT8, ##__VA_ARGS__>, (const void *)kernel<in, QB_FORMAT_INT8, ##__VA_ARGS__>,  \
        (const void *)kernel<in, QB_FORMAT_INT8, ##__VA_ARGS__>

static inline unsigned qb__index(const struct qb__cuda_call *call)
{
    return (unsigned)call->input * QB__CUDA_CODE_COUNT + qb__cuda_code_place(call->output);
}

#endif
