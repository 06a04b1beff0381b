/* SPDX-License-Identifier: Apache-2.0 */
/* span.cuh - a span of 16 elements: its range, the scale by it, and its codes. */
#ifndef QB_CUDA_SPAN_CUH
#define QB_CUDA_SPAN_CUH

#include "narrow.cuh"

/* Elements of a span. The work for each span counts: with 8 elements, which a warp reads in one piece, it is slower. */
#define SPAN 16u

/* How elements become what is encoded. */
enum kind {
    DIVIDE,     /* by scales in binary32 or F16 */
    ASYMMETRIC, /* the same, and zero points */
    POWER,      /* multiplied, by scales in E8M0 */
    SMALL,      /* multiplied, by scales in E4M3 and the tensor scale */
};

/* A span's elements. */
template <int IN> struct span {
    static constexpr int chunks = SPAN / qb__in<IN>::chunk;
    uint4 chunk[chunks];
};

template <int IN> __device__ __forceinline__ void load(span<IN> &x, const unsigned char *in, bool valid)
{
#pragma unroll
    for (int i = 0; i < span<IN>::chunks; i++) {
        x.chunk[i] = valid ? qb__load16(in + 16 * i) : make_uint4(0, 0, 0, 0);
    }
}

template <int IN> __device__ __forceinline__ void unpack(const span<IN> &x, float *v)
{
#pragma unroll
    for (int i = 0; i < span<IN>::chunks; i++) {
        qb__unpack<IN>(x.chunk[i], v + i * qb__in<IN>::chunk);
    }
}

/* ---- The range of a tile ---------------------------------------------------------------------------------------- */

/* Bits of binary32 of the largest |x|; of the two of the largest x and -x, at least 0, for ASYMMETRIC. */
struct range {
    uint32_t high, below;
};

template <int IN, int KIND> __device__ __forceinline__ range range_of(const span<IN> &x)
{
    range r = {0, 0};

    if (KIND != ASYMMETRIC) {
        uint32_t acc = 0;
#pragma unroll
        for (int i = 0; i < span<IN>::chunks; i++) {
            acc = qb__max_chunk<IN>(acc, x.chunk[i]);
        }
        r.high = qb__max_bits<IN>(acc);
        return r;
    }
#if QB__HAVE_PAIRS
    if constexpr (IN != QB_FORMAT_F32) {
        uint32_t high = 0, low = 0;
#pragma unroll
        for (int i = 0; i < span<IN>::chunks; i++) {
            const uint32_t word[4] = {x.chunk[i].x, x.chunk[i].y, x.chunk[i].z, x.chunk[i].w};
#pragma unroll
            for (int k = 0; k < 4; k++) {
                qb__widen_pair<IN>(high, low, word[k]);
            }
        }
        /* The bits of -0 would be the largest. */
        r.high = qb__max_bits<IN>(high & 0x7fff7fffu);
        r.below = qb__max_bits<IN>(low & 0x7fff7fffu);
        return r;
    }
#endif
    float v[SPAN], high = 0, low = 0;
    unpack<IN>(x, v);
#pragma unroll
    for (unsigned i = 0; i < SPAN; i++) {
        high = fmaxf(high, v[i]);
        low = fminf(low, v[i]);
    }
    r.high = __float_as_uint(high) & 0x7fffffffu;
    r.below = __float_as_uint(low) & 0x7fffffffu;
    return r;
}

/* True where codes are those of qb__tame_e2m1(), which must know the largest |x|, and of NaN. */
template <int IN, int OUT, int KIND> struct tames {
    static constexpr bool value =
        !QB__HAVE_FP4 && OUT == QB_FORMAT_E2M1 && (KIND == SMALL || (KIND == POWER && IN == QB_FORMAT_F32));
};

/* The bits of the largest |x|, or of a NaN if there is one; of a NaN where that is not known. */
template <int IN> __device__ __forceinline__ uint32_t top_of(const span<IN> &x)
{
    uint32_t top = 0x7fffffffu;

#if QB__HAVE_PAIRS
    uint32_t acc = 0;
#pragma unroll
    for (int i = 0; i < span<IN>::chunks; i++) {
        acc = qb__top_word<IN>(acc, x.chunk[i].x);
        acc = qb__top_word<IN>(acc, x.chunk[i].y);
        acc = qb__top_word<IN>(acc, x.chunk[i].z);
        acc = qb__top_word<IN>(acc, x.chunk[i].w);
    }
    top = acc;
    if (IN != QB_FORMAT_F32) {
        const float2 pair = qb__unpack_pair<IN>(acc);
        top = qb__top_word<QB_FORMAT_F32>(__float_as_uint(pair.x), __float_as_uint(pair.y));
    }
#endif
    return top;
}

/* The range, and what top_of() says where that counts. */
template <int IN, int OUT, int KIND> __device__ __forceinline__ range range_of(const span<IN> &x, uint32_t *top)
{
    if constexpr (tames<IN, OUT, KIND>::value) {
        *top = top_of<IN>(x);
        if (*top <= 0x7f800000u) {
            return {*top, 0};
        }
    }
    return range_of<IN, KIND>(x);
}

template <int KIND> __device__ __forceinline__ void widen(range &r, const range &other)
{
    r.high = max(r.high, other.high);
    if (KIND == ASYMMETRIC) {
        r.below = max(r.below, other.below);
    }
}

/* The range of a team of 2 to the SHIFT lanes, of which R is that of one. */
template <int KIND> __device__ __forceinline__ range range_of_team(range r, uint32_t shift)
{
    for (unsigned offset = 1; offset < 1u << shift; offset *= 2) {
        widen<KIND>(r, {__shfl_xor_sync(0xffffffffu, r.high, offset),
                        KIND == ASYMMETRIC ? __shfl_xor_sync(0xffffffffu, r.below, offset) : 0});
    }
    return r;
}

/* ---- Scales ----------------------------------------------------------------------------------------------------- */

/* A tile's scale: its code, and for DIVIDE and ASYMMETRIC its value. */
struct scale {
    uint32_t code;
    float value;
    int zero_point;
};

template <int KIND>
__device__ __forceinline__ scale make_scale(range r, const qb__scales &s, const qb__tensor_factors &factors)
{
    const float amax = fminf(__uint_as_float(r.high), s.bound);
    scale made = {};

    if (KIND == POWER) {
        made.code = qb__power_of(__float_as_uint(amax), s);
        return made;
    }
    if (KIND == SMALL) {
        made.code = qb__small_code(fminf(__fmul_rn(amax, factors.encode), 0x1.fffffep127f));
        return made;
    }
    const float below = fminf(__uint_as_float(r.below), s.bound);
    const float width = KIND == ASYMMETRIC ? fminf(__fadd_rn(amax, below), 0x1.fffffep127f) : amax;
    made.value = __fdiv_rn(width, KIND == ASYMMETRIC ? s.qmax - s.least : s.qmax);
    if (s.format == QB_FORMAT_F16) {
        made.code = qb__half_code(made.value);
        made.value = qb__half_value(made.code);
    } else {
        made.value = fmaxf(made.value, QB__SCALE_FLOOR);
        made.code = __float_as_uint(made.value);
    }
    if (KIND == ASYMMETRIC) {
        made.zero_point = qb__zero_point(below, made.value, s.least, s.qmax);
    }
    return made;
}

template <int KIND> __device__ __forceinline__ scale read_scale(const qb__scales &s, uint64_t row, uint64_t col)
{
    const uint64_t place = qb__place(s.layout, row, col);
    scale given = {};

    if (KIND == POWER || KIND == SMALL) {
        given.code = ((const uint8_t *)s.memory)[place];
    } else if (s.format == QB_FORMAT_F16) {
        given.value = qb__half_value(((const uint16_t *)s.memory)[place]);
    } else {
        given.value = ((const float *)s.memory)[place];
    }
    if (KIND == ASYMMETRIC) {
        given.zero_point = s.zero_points[row * s.cols + col];
    }
    return given;
}

template <int KIND>
__device__ __forceinline__ void write_scale(const qb__scales &s, const scale &made, uint64_t row, uint64_t col)
{
    const uint64_t place = qb__place(s.layout, row, col);

    if (KIND == POWER || KIND == SMALL) {
        ((uint8_t *)s.memory)[place] = (uint8_t)made.code;
    } else if (s.format == QB_FORMAT_F16) {
        ((uint16_t *)s.memory)[place] = (uint16_t)made.code;
    } else {
        ((uint32_t *)s.memory)[place] = made.code;
    }
    if (KIND == ASYMMETRIC) {
        s.zero_points[row * s.cols + col] = (int8_t)made.zero_point;
    }
}

/* The same where scale I is at place I. */
template <int KIND> __device__ __forceinline__ void write_flat(const qb__scales &s, const scale &made, uint32_t i)
{
    if (KIND == POWER || KIND == SMALL) {
        ((uint8_t *)s.memory)[i] = (uint8_t)made.code;
    } else if (s.format == QB_FORMAT_F16) {
        ((uint16_t *)s.memory)[i] = (uint16_t)made.code;
    } else {
        ((uint32_t *)s.memory)[i] = made.code;
    }
    if (KIND == ASYMMETRIC) {
        s.zero_points[i] = (int8_t)made.zero_point;
    }
}

/* ---- Codes ------------------------------------------------------------------------------------------------------ */

/* The codes of a span; of 6 bits as bytes. */
template <int OUT> struct codes {
    static constexpr int words = SPAN * (qb__formats[OUT].bits == 4 ? 4 : 8) / 32;
    static constexpr bool nibbles = qb__formats[OUT].bits == 4;
    uint32_t word[words];
};

/* Elements whose codes are made at a time: half a span needs half of the registers. */
#define PART 8u

/* Put the codes of a part where they belong. */
template <int OUT> __device__ __forceinline__ void encode(const float *v, uint32_t *word)
{
    if constexpr (OUT == QB_FORMAT_E2M1) {
        word[0] = qb__encode8_e2m1(v);
    } else if constexpr (codes<OUT>::nibbles) {
        int n[PART];
#pragma unroll
        for (unsigned k = 0; k < PART; k++) {
            n[k] = __float2int_rn(v[k]);
        }
        word[0] = qb__pack8_int4<OUT>(n);
    } else {
#pragma unroll
        for (unsigned i = 0; i < PART / 4; i++) {
            if constexpr (OUT == QB_FORMAT_E2M3 || OUT == QB_FORMAT_E3M2) {
                word[i] = qb__encode4_fp6<OUT>(v + 4 * i);
            } else {
                word[i] = qb__encode4<OUT>(v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]);
            }
        }
    }
}

/* The same by a zero point. An integer beyond 2^20 saturates whatever that is. */
template <int OUT> __device__ __forceinline__ void encode_asymmetric(const float *v, int zero_point, uint32_t *word)
{
    int n[PART];

#pragma unroll
    for (unsigned i = 0; i < PART; i++) {
        n[i] = __float2int_rn(v[i]) + zero_point;
    }
    if constexpr (codes<OUT>::nibbles) {
        word[0] = qb__pack8_int4<OUT>(n);
    } else {
#pragma unroll
        for (unsigned i = 0; i < PART / 4; i++) {
            asm("{ .reg .b32 t; cvt.pack.sat.s8.s32.b32 t, %4, %3, 0; cvt.pack.sat.s8.s32.b32 %0, %2, %1, t; }"
                : "=r"(word[i])
                : "r"(n[4 * i]), "r"(n[4 * i + 1]), "r"(n[4 * i + 2]), "r"(n[4 * i + 3]));
        }
    }
}

/* Elements of part I. */
template <int IN> __device__ __forceinline__ void unpack_part(const span<IN> &x, unsigned i, float *v)
{
    constexpr unsigned chunks = span<IN>::chunks / (SPAN / PART);

#pragma unroll
    for (unsigned k = 0; k < chunks; k++) {
        qb__unpack<IN>(x.chunk[i * chunks + k], v + k * qb__in<IN>::chunk);
    }
}

/* How a span's elements become the values that are encoded. */
struct factor {
    float m; /* POWER and SMALL: they are multiplied */
    qb__divisor d;
    bool fast; /* the others: the quotient may be that of qb__quotient() */
};

/* AMAX: the bits of the span's largest |x|, or more. */
template <int IN, int KIND>
__device__ __forceinline__ factor factor_of(const scale &s, const qb__tensor_factors &factors, uint32_t amax)
{
    factor f = {};

    if (KIND == POWER || KIND == SMALL) {
        f.m = KIND == POWER ? qb__inverse_of(s.code) : qb__small_multiplier(s.code, factors.decode);
    } else {
        f.d = qb__divide_by<IN>(s.value);
        f.fast = __uint_as_float(amax) < (KIND == ASYMMETRIC ? fminf(f.d.limit, s.value * 0x1p20f) : f.d.limit);
    }
    return f;
}

/* The values that are encoded, in place of a part's elements. */
template <int IN, int KIND> __device__ __forceinline__ void scale_part(float *v, const scale &s, const factor &f)
{
    if (KIND == POWER || KIND == SMALL) {
#pragma unroll
        for (unsigned i = 0; i < PART; i++) {
            v[i] = __fmul_rn(v[i], f.m);
        }
    } else if (f.fast) {
#pragma unroll
        for (unsigned i = 0; i < PART; i++) {
            v[i] = qb__quotient<IN>(v[i], f.d);
        }
    } else {
        /* Rare: infinities, and scales far from 1. */
#pragma unroll
        for (unsigned i = 0; i < PART; i++) {
            v[i] = __fdiv_rn(v[i], s.value);
            if (KIND == ASYMMETRIC) {
                v[i] = v[i] < -0x1p20f ? -0x1p20f : v[i] > 0x1p20f ? 0x1p20f : v[i];
            }
        }
    }
}

/* The codes of a span in a format of 4 or 6 bits by a power of two, two 16-bit elements at a time. */
#if QB__HAVE_PAIRS && !QB__HAVE_FP4
template <int IN, int OUT> __device__ __forceinline__ codes<OUT> encode_pairs(const span<IN> &x, uint32_t code)
{
    const int shift = qb__pairs<IN, OUT>::shift;
    codes<OUT> c;
    uint32_t m1, m2;

    qb__pair_factors<IN>(code, &m1, &m2);
#pragma unroll
    for (int i = 0; i < span<IN>::chunks; i++) {
        const uint32_t w[4] = {
            qb__pair_code<IN, OUT>(x.chunk[i].x, m1, m2), qb__pair_code<IN, OUT>(x.chunk[i].y, m1, m2),
            qb__pair_code<IN, OUT>(x.chunk[i].z, m1, m2), qb__pair_code<IN, OUT>(x.chunk[i].w, m1, m2)};
        if constexpr (codes<OUT>::nibbles) {
            c.word[i] = qb__pack_halves<shift>(w);
        } else {
            c.word[2 * i] = __byte_perm(w[0] >> shift, w[1] >> shift, 0x6420);
            c.word[2 * i + 1] = __byte_perm(w[2] >> shift, w[3] >> shift, 0x6420);
        }
    }
    return c;
}
#endif

/* The codes of a span in E2M1 by M. CUT: there may be values of 7 and more, and NaN, which becomes the largest. */
template <int IN, bool CUT> __device__ __forceinline__ codes<QB_FORMAT_E2M1> encode_tame(const span<IN> &x, float m)
{
    codes<QB_FORMAT_E2M1> c;

#pragma unroll
    for (unsigned i = 0; i < SPAN / PART; i++) {
        float v[PART];
        unpack_part<IN>(x, i, v);
#pragma unroll
        for (unsigned k = 0; k < PART; k++) {
            v[k] = __fmul_rn(v[k], m);
            if (CUT) {
                v[k] = fmaxf(fminf(v[k], 6.0f), -6.0f);
            }
        }
        c.word[i] = qb__tame8_e2m1(v);
    }
    return c;
}

template <int IN, int OUT, int KIND>
__device__ __forceinline__ codes<OUT> codes_of(const span<IN> &x, const scale &s, const qb__tensor_factors &factors,
                                               uint32_t amax)
{
#if QB__HAVE_PAIRS && !QB__HAVE_FP4
    if constexpr (qb__formats[OUT].bits < 8 && KIND == POWER && IN != QB_FORMAT_F32) {
        return encode_pairs<IN, OUT>(x, s.code);
    } else
#endif
    {
        const factor f = factor_of<IN, KIND>(s, factors, amax);

        if constexpr (tames<IN, OUT, KIND>::value) {
            const bool tame = __fmul_rn(__uint_as_float(amax), f.m) < 7.0f;
            return tame ? encode_tame<IN, false>(x, f.m) : encode_tame<IN, true>(x, f.m);
        } else {
            codes<OUT> c;
#pragma unroll
            for (unsigned i = 0; i < SPAN / PART; i++) {
                uint32_t *const word = c.word + i * (codes<OUT>::words / (SPAN / PART));
                float v[PART];
                unpack_part<IN>(x, i, v);
                scale_part<IN, KIND>(v, s, f);
                if constexpr (KIND == ASYMMETRIC) {
                    encode_asymmetric<OUT>(v, s.zero_point, word);
                } else {
                    encode<OUT>(v, word);
                }
            }
            return c;
        }
    }
}

template <int OUT> __device__ __forceinline__ void store(unsigned char *out, const codes<OUT> &c, bool dense)
{
    const uint32_t *const w = c.word;

    if constexpr (qb__formats[OUT].bits == 6) {
        if (dense) {
            uint32_t *const to = (uint32_t *)out;
            const uint32_t a = qb__dense4(w[0]), b = qb__dense4(w[1]), d = qb__dense4(w[2]), e = qb__dense4(w[3]);
            to[0] = a | b << 24;
            to[1] = b >> 8 | d << 16;
            to[2] = d >> 16 | e << 8;
            return;
        }
    }
    if constexpr (codes<OUT>::words == 4) {
        *(uint4 *)out = make_uint4(w[0], w[1], w[2], w[3]);
    } else if constexpr (codes<OUT>::words == 2) {
        *(uint2 *)out = make_uint2(w[0], w[1]);
    } else {
        *(uint32_t *)out = w[0];
    }
}

/* ---- Launching --------------------------------------------------------------------------------------------------- */

static inline kind kind_of(const struct qb_problem *p)
{
    return p->scale_format == QB_FORMAT_E8M0   ? POWER
           : p->scale_format == QB_FORMAT_E4M3 ? SMALL
           : p->zero_points                    ? ASYMMETRIC
                                               : DIVIDE;
}

/* A group has 2 to this spans; NO_SHIFT: a row or more. */
#define NO_SHIFT 31u

static inline uint32_t team_shift_of(const struct qb_problem *p)
{
    uint32_t shift = NO_SHIFT;

    if (p->granularity == QB_GRANULARITY_GROUP) {
        for (shift = 0; (uint64_t)SPAN << shift < p->group; shift++) {
        }
    }
    return shift;
}

/* Alignment, in bytes, of a span's codes: 12 are three words. */
static inline unsigned codes_alignment(const struct qb__cuda_call *call)
{
    return call->problem->packing == QB_PACKING_DENSE
               ? 4
               : (unsigned)qb__packed_bytes(call->output, QB_PACKING_BYTES, SPAN);
}

/* True if the rows of CALL are whole spans that lie as they are loaded and stored, and a warp has whole groups. It does
 * not look at the pointers. */
static inline bool has_spans(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const unsigned n = 16 / qb__element_size(call->input);
    const uint64_t team = p->group / SPAN;

    return (p->granularity != QB_GRANULARITY_GROUP ||
            (p->group % SPAN == 0 && team <= 32 && (team & (team - 1)) == 0)) &&
           call->cols % SPAN == 0 && call->cols / SPAN < 0x40000000u && call->in_stride % n == 0 &&
           (call->scaling == QB_SCALING_AMAX ||
            qb__packed_bytes(call->output, p->packing, call->out_stride) % codes_alignment(call) == 0);
}

/* True if the input and the codes of such a CALL are aligned. */
static inline bool has_aligned_spans(const struct qb__cuda_call *call)
{
    return (uintptr_t)call->in % 16 == 0 &&
           (call->scaling == QB_SCALING_AMAX || (uintptr_t)call->out % codes_alignment(call) == 0);
}

/* A kernel for each of the three input formats. */
#define OF_INPUTS(kernel, ...)                                                                                         \
    {                                                                                                                  \
        (const void *)kernel<QB_FORMAT_F16, __VA_ARGS__>, (const void *)kernel<QB_FORMAT_BF16, __VA_ARGS__>,           \
            (const void *)kernel<QB_FORMAT_F32, __VA_ARGS__>                                                           \
    }

#endif
