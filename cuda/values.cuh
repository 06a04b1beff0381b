/* SPDX-License-Identifier: Apache-2.0 */
/* values.cuh - what operations compute before a quantization: rounding to the input format, two elements at a time; the
 * activations of gates; the sum and the factor of RMSNorm. The formulas are the contract's, in the comment of struct
 * qb_problem; how the faster ones were checked is in NOTES. */
#ifndef QB_CUDA_VALUES_CUH
#define QB_CUDA_VALUES_CUH

#include "narrow.cuh"

/* The activations of 16-bit formats by the hardware's approximations were tried with all inputs on these chips. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900
#define QB__HAVE_FAST_GATES 1
#else
#define QB__HAVE_FAST_GATES 0
#endif

/* Elements that a thread computes at a time: a chunk of 16-bit elements, two of float. */
#define QB__EIGHT 8u

static inline bool qb__is_aligned(const void *pointer, uintptr_t alignment)
{
    return (uintptr_t)pointer % alignment == 0;
}

/* ---- Places of scales ------------------------------------------------------------------------------------------- */

/* Scale (r, c) is at r * BY_ROW + c / 4 * BY_FOUR + c % 4 * BY_ONE, unless scales are in tiles. */
struct qb__places {
    uint32_t by_row, by_four, by_one;
    bool tiled;
};

static inline qb__places qb__places_of(const struct qb__layout &l)
{
    const uint32_t stride = (uint32_t)l.stride;
    qb__places p = {};

    p.tiled = l.layout == QB_SCALE_LAYOUT_TILED_128X4 || l.layout == QB_SCALE_LAYOUT_TILED_8X4;
    p.by_row = l.layout == QB_SCALE_LAYOUT_COLUMNS ? 1 : l.layout == QB_SCALE_LAYOUT_PACKED ? 4 : (uint32_t)l.cols;
    p.by_four = l.layout == QB_SCALE_LAYOUT_ROWS ? 4 : 4 * stride;
    p.by_one = l.layout == QB_SCALE_LAYOUT_COLUMNS ? stride : 1;
    return p;
}

/* True if all places of CALL's scales fit in 32 bits. */
static inline bool qb__places_fit(const struct qb__cuda_call *call)
{
    const struct qb__layout l = qb__layout_of(call->problem);

    return l.rows < 0x70000000u && l.cols < 0x70000000u && l.rows * l.cols < 0x70000000u;
}

/* Where scale (ROW, COL) of S is, in elements. */
__device__ __forceinline__ uint32_t qb__place32(const qb__scales &s, const qb__places &p, uint32_t row, uint32_t col)
{
    return p.tiled ? (uint32_t)qb__place(s.layout, row, col)
                   : row * p.by_row + col / 4 * p.by_four + col % 4 * p.by_one;
}

/* ---- Rounding --------------------------------------------------------------------------------------------------- */

/* Two floats rounded to IN, of 16 bits, the first in the low half. */
template <int IN> __device__ __forceinline__ uint32_t qb__pack_pair(float low, float high)
{
#if QB__HAVE_PAIRS
    uint32_t pair;

    if (IN == QB_FORMAT_F16) {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    } else {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    }
    return pair;
#else
    uint32_t code[2];
    const float v[2] = {low, high};

#pragma unroll
    for (int i = 0; i < 2; i++) {
        const uint32_t bits = __float_as_uint(v[i]);
        if (IN == QB_FORMAT_F16) {
            uint16_t half;
            asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(v[i]));
            code[i] = half;
        } else {
            code[i] = v[i] != v[i] ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
        }
    }
    return code[0] | code[1] << 16;
#endif
}

template <int IN> __device__ __forceinline__ float qb__round(float value)
{
    return IN == QB_FORMAT_F32 ? value : qb__unpack_pair<IN>(qb__pack_pair<IN>(value, 0)).x;
}

/* Products and sums of pairs of 16 bits, rounded once: the same as rounded to binary32 first, which has more than twice
 * as many bits, and two. */
template <int IN> __device__ __forceinline__ uint32_t qb__pair_product(uint32_t a, uint32_t b)
{
#if QB__HAVE_PAIRS
    return qb__pair_multiply<IN>(a, b);
#else
    const float2 x = qb__unpack_pair<IN>(a), y = qb__unpack_pair<IN>(b);

    return qb__pack_pair<IN>(__fmul_rn(x.x, y.x), __fmul_rn(x.y, y.y));
#endif
}

/* 1 in both halves. */
template <int IN> struct qb__pair_one {
    static constexpr uint32_t word = qb__pair_of<IN>(0);
};

template <int IN> __device__ __forceinline__ uint32_t qb__pair_sum(uint32_t a, uint32_t b)
{
#if QB__HAVE_PAIRS
    return qb__pair_fma<IN>(a, qb__pair_one<IN>::word, b);
#else
    const float2 x = qb__unpack_pair<IN>(a), y = qb__unpack_pair<IN>(b);

    return qb__pack_pair<IN>(__fadd_rn(x.x, y.x), __fadd_rn(x.y, y.y));
#endif
}

template <int IN> __device__ __forceinline__ uint4 qb__chunk_sum(const uint4 &a, const uint4 &b)
{
    if constexpr (IN == QB_FORMAT_F32) {
        return make_uint4(__float_as_uint(__fadd_rn(__uint_as_float(a.x), __uint_as_float(b.x))),
                          __float_as_uint(__fadd_rn(__uint_as_float(a.y), __uint_as_float(b.y))),
                          __float_as_uint(__fadd_rn(__uint_as_float(a.z), __uint_as_float(b.z))),
                          __float_as_uint(__fadd_rn(__uint_as_float(a.w), __uint_as_float(b.w))));
    } else {
        return make_uint4(qb__pair_sum<IN>(a.x, b.x), qb__pair_sum<IN>(a.y, b.y), qb__pair_sum<IN>(a.z, b.z),
                          qb__pair_sum<IN>(a.w, b.w));
    }
}

/* ---- NaN, as qb_format_encode() stores it ------------------------------------------------------------------------ */

/* The upper bit of each 16-bit half that is a NaN. */
template <int IN> __device__ __forceinline__ uint32_t qb__nan_halves(uint32_t word)
{
    return ((word & 0x7fff7fffu) + (0x7fffu - qb__format<IN>::infinity) * 0x10001u) & 0x80008000u;
}

template <int IN> __device__ __forceinline__ uint32_t qb__plain_nan(uint32_t word)
{
    const uint32_t code = qb__format<IN>::nan_code;

    if (IN == QB_FORMAT_F32) {
        return __uint_as_float(word) != __uint_as_float(word) ? code : word;
    }
    const uint32_t nan = qb__nan_halves<IN>(word), mask = (nan - (nan >> 15)) | nan;
    return (word & ~mask) | (mask & (code * 0x10001u));
}

/* CHUNK with the format's own NaN in place of any. */
template <int IN> __device__ __forceinline__ uint4 qb__plain_nans(const uint4 &chunk)
{
    if (IN != QB_FORMAT_F32 && (qb__nan_halves<IN>(chunk.x) | qb__nan_halves<IN>(chunk.y) |
                                qb__nan_halves<IN>(chunk.z) | qb__nan_halves<IN>(chunk.w)) == 0) {
        return chunk;
    }
    return make_uint4(qb__plain_nan<IN>(chunk.x), qb__plain_nan<IN>(chunk.y), qb__plain_nan<IN>(chunk.z),
                      qb__plain_nan<IN>(chunk.w));
}

/* ---- Eight elements of any format and alignment ------------------------------------------------------------------ */

/* Elements FIRST to FIRST + COUNT - 1, at most eight, the rest 0. WIDE says that there are eight, aligned to 16 bytes.
 * They may be written by the same thread later. */
template <int IN>
__device__ __forceinline__ void qb__load8(const void *tensor, uint64_t first, uint32_t count, bool wide, float *x)
{
    const unsigned char *const at = (const unsigned char *)tensor + first * qb__in<IN>::size;

    if (wide) {
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT / qb__in<IN>::chunk; i++) {
            qb__unpack<IN>(*(const uint4 *)(at + 16 * i), x + i * qb__in<IN>::chunk);
        }
        return;
    }
#pragma unroll
    for (unsigned i = 0; i < QB__EIGHT; i++) {
        x[i] = i < count ? qb__load_element<IN>(at, i) : 0;
    }
}

template <int IN>
__device__ __forceinline__ void qb__store8(void *tensor, uint64_t first, uint32_t count, bool wide, const float *x)
{
    unsigned char *const at = (unsigned char *)tensor + first * qb__in<IN>::size;
    uint4 chunk[QB__EIGHT / qb__in<IN>::chunk];

#pragma unroll
    for (unsigned i = 0; i < QB__EIGHT / qb__in<IN>::chunk; i++) {
        const float *const v = x + i * qb__in<IN>::chunk;
        if constexpr (IN == QB_FORMAT_F32) {
            chunk[i] =
                make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]), __float_as_uint(v[3]));
        } else {
            chunk[i] = make_uint4(qb__pack_pair<IN>(v[0], v[1]), qb__pack_pair<IN>(v[2], v[3]),
                                  qb__pack_pair<IN>(v[4], v[5]), qb__pack_pair<IN>(v[6], v[7]));
        }
        chunk[i] = qb__plain_nans<IN>(chunk[i]);
        if (wide) {
            *(uint4 *)(at + 16 * i) = chunk[i];
        }
    }
    if (wide) {
        return;
    }
#pragma unroll
    for (unsigned i = 0; i < QB__EIGHT; i++) {
        const uint4 &c = chunk[i / qb__in<IN>::chunk];
        const unsigned k = i % qb__in<IN>::chunk * qb__in<IN>::size;
        const uint32_t word = k / 4 == 0 ? c.x : k / 4 == 1 ? c.y : k / 4 == 2 ? c.z : c.w;
        if (i < count) {
            if (IN == QB_FORMAT_F32) {
                ((uint32_t *)at)[i] = word;
            } else {
                ((uint16_t *)at)[i] = (uint16_t)(word >> (k % 4 * 8));
            }
        }
    }
}

/* ---- Gates ------------------------------------------------------------------------------------------------------- */

/* Activations of a gate. */
enum qb__activations { QB__SILU, QB__GELU, QB__GELU_ERF };
#define QB__ACTIVATIONS 3

/* What a gated operation computes. */
struct qb__gate {
    float limit;     /* infinite: none */
    float alpha;     /* of SiLU */
    float up_offset; /* 0: none */
    int activation;  /* one of enum qb__activations */
    bool silu;       /* correctly rounded: of 16-bit formats */
    bool rounds;     /* after each step */
};

static inline qb__gate qb__gate_of(const struct qb_problem *p)
{
    qb__gate g = {};

    g.limit = p->gate_limit > 0 ? p->gate_limit : INFINITY;
    g.alpha = p->alpha != 0 ? p->alpha : 1;
    g.up_offset = p->up_offset;
    g.activation = p->operation == QB_OPERATION_SILU_MUL ? QB__SILU : p->gelu == QB_GELU_TANH ? QB__GELU : QB__GELU_ERF;
    g.rounds = p->intermediate == QB_INTERMEDIATE_INPUT;
    g.silu = g.activation == QB__SILU && g.alpha == 1 && g.rounds && p->input != QB_FORMAT_F32;
    return g;
}

/* e^-A, for A >= 0; 0 where that would not be normal. */
__device__ __forceinline__ float qb__exponential(float a)
{
    const float shifted = __fmaf_rn(a, -0x1.715476p+0f, 0x1.8p+23f), k = __fsub_rn(shifted, 0x1.8p+23f);
    const float r = __fmaf_rn(k, -0x1.7f7d1cp-20f, __fmaf_rn(k, -0x1.62e4p-1f, -a));
    /* The last bits of SHIFTED are the integer k. */
    const float power = __uint_as_float((__float_as_uint(shifted) << 23) + 0x3f800000u);
    float p = 0x1.6850e4p-10f;

    p = __fmaf_rn(p, r, 0x1.123bccp-7f);
    p = __fmaf_rn(p, r, 0x1.555b98p-5f);
    p = __fmaf_rn(p, r, 0x1.55548ep-3f);
    p = __fmaf_rn(p, r, 0x1.fffff8p-2f);
    p = __fmaf_rn(p, r, 1.0f);
    p = __fmaf_rn(p, r, 1.0f);
    return a > 87.25f ? 0.0f : __fmul_rn(p, power);
}

/* G * sigmoid(T). */
__device__ __forceinline__ float qb__gated(float g, float t)
{
    const float e = qb__exponential(fabsf(t));

    return __fdiv_rn(t < 0 ? __fmul_rn(g, e) : g, __fadd_rn(1.0f, e));
}

/* G / (1 + e^-T) by the hardware's approximations. */
__device__ __forceinline__ float qb__gated_fast(float g, float t)
{
    float e, r;

    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(__fmul_rn(t, -1.44269504f)));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(__fadd_rn(1.0f, e)));
    return __fmul_rn(g, r);
}

/* A float that rounds to silu(G) in IN, of 16 bits. The fast way is wrong for one input of half, the other for another.
 */
template <int IN> __device__ __forceinline__ float qb__silu(float g)
{
#if QB__HAVE_FAST_GATES
    const float h = qb__gated_fast(g, g);

    return IN == QB_FORMAT_F16 && g == -0x1.3bp+2f ? -0x1.23cp-5f : h;
#else
    const float h = qb__gated(g, g);

    if (IN == QB_FORMAT_F16) {
        return g == -0x1.8p-8f ? -0x1.7fp-9f : h;
    }
    return g <= -87.25f ? (isinf(g) ? g - g : -0.0f) : h;
#endif
}

/* What the sigmoid is of in GELU. */
__device__ __forceinline__ float qb__gelu_argument(float g)
{
    return __fmul_rn(g, __fmaf_rn(__fmul_rn(g, g), 0x1.2444f2p-4f, 0x1.988454p+0f));
}

/* A float that rounds to the contract's GELU of G in IN, of 16 bits. The fast way is wrong for two inputs of half, and
 * for one of bfloat16. */
template <int IN> __device__ __forceinline__ float qb__gelu(float g)
{
#if QB__HAVE_FAST_GATES
    const float h = qb__gated_fast(g, qb__gelu_argument(g));

    if (IN == QB_FORMAT_F16) {
        return g == -0x1.954p-12f ? -0x1.954p-13f : g == -0x1.69cp-2f ? -0x1.06p-3f : h;
    }
    return g == -10.0f ? -0.0f : h;
#else
    return qb__gated(g, qb__gelu_argument(g));
#endif
}

/* GELU of G by the error function. */
__device__ __forceinline__ float qb__gelu_by_erf(float g)
{
    const float t = __frcp_rn(__fmaf_rn(0x1.13153ep-2f, fabsf(g), 1.0f));
    float q = 0x1.e2804ep-6f;

    q = __fmaf_rn(q, t, -0x1.0c6e9cp-3f);
    q = __fmaf_rn(q, t, 0x1.748132p-3f);
    q = __fmaf_rn(q, t, -0x1.49d3b2p-4f);
    q = __fmaf_rn(q, t, 0x1.d63844p-4f);
    q = __fmaf_rn(q, t, 0x1.1c764ep-4f);
    q = __fmaf_rn(q, t, 0x1.a1564ap-4f);
    q = __fmaf_rn(q, t, 0x1.b6082cp-4f);
    q = __fmaf_rn(q, t, 0x1.b7016ap-4f);
    const float c = __fmul_rn(__fmul_rn(t, q), qb__exponential(__fmul_rn(__fmul_rn(g, g), 0.5f)));
    return __fmul_rn(g, g < 0 ? c : __fsub_rn(1.0f, c));
}

template <int IN> __device__ __forceinline__ float qb__activation(float g, const qb__gate &a)
{
    if (a.activation == QB__GELU_ERF) {
        return qb__gelu_by_erf(g);
    }
    if (IN != QB_FORMAT_F32 && a.silu) {
        return qb__silu<IN>(g);
    }
    return qb__gated(g, a.activation == QB__GELU ? qb__gelu_argument(g) : __fmul_rn(a.alpha, g));
}

/* VALUE, not above MOST or below LEAST, NaN kept. */
__device__ __forceinline__ float qb__limited(float value, float least, float most)
{
    return value > most ? most : value < least ? least : value;
}

/* The value of gate G and up U, before it is rounded as it is stored. */
template <int IN> __device__ __forceinline__ float qb__gated_value(float g, float u, const qb__gate &a)
{
    float h = qb__activation<IN>(qb__limited(g, -INFINITY, a.limit), a);

    u = qb__limited(u, -a.limit, a.limit);
    if (a.up_offset != 0) {
        u = __fadd_rn(u, a.up_offset);
        u = a.rounds ? qb__round<IN>(u) : u;
    }
    return __fmul_rn(a.rounds ? qb__round<IN>(h) : h, u);
}

/* True if kernels that round after each step, and have no other factor in the sigmoid, compute what G does. */
static inline bool qb__gate_is_plain(const qb__gate &g)
{
    return g.rounds && (g.activation != QB__SILU || g.alpha == 1);
}

/* Two 16-bit gates and ups, within the limit, the offset added. */
template <int IN> __device__ __forceinline__ void qb__adjust_pair(uint32_t &gates, uint32_t &ups, const qb__gate &a)
{
    const float2 g = qb__unpack_pair<IN>(gates), u = qb__unpack_pair<IN>(ups);
    float x = qb__limited(u.x, -a.limit, a.limit), y = qb__limited(u.y, -a.limit, a.limit);

    gates = qb__pack_pair<IN>(qb__limited(g.x, -INFINITY, a.limit), qb__limited(g.y, -INFINITY, a.limit));
    if (a.up_offset != 0) {
        x = __fadd_rn(x, a.up_offset);
        y = __fadd_rn(y, a.up_offset);
    }
    ups = qb__pack_pair<IN>(x, y);
}

/* A float that rounds to ACTIVATION of G in IN, of 16 bits. */
template <int IN, int ACTIVATION> __device__ __forceinline__ float qb__plain_activation(float g)
{
    return ACTIVATION == QB__SILU ? qb__silu<IN>(g) : ACTIVATION == QB__GELU ? qb__gelu<IN>(g) : qb__gelu_by_erf(g);
}

/* The values of two 16-bit gates and ups, of a gate that is plain. */
template <int IN, int ACTIVATION> __device__ __forceinline__ uint32_t qb__plain_pair(uint32_t gates, uint32_t ups)
{
    const float2 g = qb__unpack_pair<IN>(gates);

    return qb__pair_product<IN>(
        qb__pack_pair<IN>(qb__plain_activation<IN, ACTIVATION>(g.x), qb__plain_activation<IN, ACTIVATION>(g.y)), ups);
}

/* ---- RMSNorm ------------------------------------------------------------------------------------------------------
 */

/* Threads of a row: eight of QB__NORM_COLUMNS each. */
#define QB__NORM_THREADS (QB__NORM_COLUMNS / QB__EIGHT)
#define QB__NORM_WARPS   (QB__NORM_THREADS / 32)

/* The sum of all columns, of which a thread has eight neighbors, by pairs of neighbors; for all threads. WARP_SUMS has
 * room for a number for each warp; it must not be the same as in the call before. */
__device__ __forceinline__ float qb__norm_sum(const float *c, float *warp_sums)
{
    float sum = __fadd_rn(__fadd_rn(__fadd_rn(c[0], c[1]), __fadd_rn(c[2], c[3])),
                          __fadd_rn(__fadd_rn(c[4], c[5]), __fadd_rn(c[6], c[7])));

#pragma unroll
    for (unsigned offset = 1; offset < 32; offset *= 2) {
        sum = __fadd_rn(sum, __shfl_xor_sync(0xffffffffu, sum, offset));
    }
    if (threadIdx.x % 32 == 0) {
        warp_sums[threadIdx.x / 32] = sum;
    }
    __syncthreads();
    float w[QB__NORM_WARPS];
#pragma unroll
    for (unsigned i = 0; i < QB__NORM_WARPS; i++) {
        w[i] = warp_sums[i];
    }
#pragma unroll
    for (unsigned count = QB__NORM_WARPS / 2; count > 0; count /= 2) {
#pragma unroll
        for (unsigned i = 0; i < count; i++) {
            w[i] = __fadd_rn(w[2 * i], w[2 * i + 1]);
        }
    }
    return w[0];
}

/* What the elements of a row of LENGTH elements, whose squares have SUM, are multiplied with. */
__device__ __forceinline__ float qb__norm_factor(float sum, float length, float epsilon)
{
    return __frcp_rn(__fsqrt_rn(__fadd_rn(__fdiv_rn(sum, length), epsilon)));
}

#endif
