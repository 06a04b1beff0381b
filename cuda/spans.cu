/* SPDX-License-Identifier: Apache-2.0 */
/* spans.cu - the kernels for narrow formats and block scales where all is regular: a thread has spans of 16 elements,
 * which are all of a group, or a team of threads shares one. A row's scale and zero point are found by a whole block;
 * scales of other rows and of tensors are given. */
#include "narrow.cuh"

/* Elements of a span. The work for each span counts: with 8 elements, which a warp reads in one piece, it is slower. */
#define SPAN    16u
#define THREADS 256u

/* Threads of a row's block at most, and the spans that one holds. */
#define MAX_THREADS 1024u
#define MAX_DEPTH   4

/* How elements become what is encoded. */
enum kind {
    DIVIDE,     /* by scales in binary32 or F16 */
    ASYMMETRIC, /* the same, and zero points */
    POWER,      /* multiplied, by scales in E8M0 */
    SMALL,      /* multiplied, by scales in E4M3 and the tensor scale */
};

struct spans_args {
    const unsigned char *in;
    unsigned char *out;
    qb__scales scales;
    qb__padding padding;
    uint32_t blocks; /* that have spans; those after them write the padding */
    uint32_t pad_blocks;
    uint32_t spans;        /* all, with those that are beyond the end of a row */
    uint32_t row_spans;    /* without them */
    uint64_t in_step;      /* bytes from one row to the next */
    uint64_t out_step;     /* the same */
    bool dense;            /* codes of 6 bits */
    uint32_t out_span;     /* bytes of a span's codes */
    uint32_t team_shift;   /* a group has 2 to this spans; NO_SHIFT: a row or more */
    bool is_static, codes; /* codes: not only scales */
    bool reverse;          /* blocks run from the end of the input to its start */
    uint32_t word_shift;   /* STAGED: a word has the scales of 2 to this groups */
    uint64_t rows;
    qb__fastdiv by_row; /* spans of a row, with those that are beyond its end */
};

#define NO_SHIFT 31u

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

template <int KIND> __device__ __forceinline__ void widen(range &r, const range &other)
{
    r.high = max(r.high, other.high);
    if (KIND == ASYMMETRIC) {
        r.below = max(r.below, other.below);
    }
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

template <int OUT> __device__ __forceinline__ codes<OUT> encode(const float *v)
{
    codes<OUT> c;

#pragma unroll
    for (int i = 0; i < codes<OUT>::words; i++) {
        if constexpr (OUT == QB_FORMAT_E2M1) {
            c.word[i] = qb__encode8_e2m1(v + 8 * i);
        } else if constexpr (OUT == QB_FORMAT_E2M3 || OUT == QB_FORMAT_E3M2) {
            c.word[i] = qb__encode4_fp6<OUT>(v + 4 * i);
        } else if constexpr (codes<OUT>::nibbles) {
            int n[8];
#pragma unroll
            for (int k = 0; k < 8; k++) {
                n[k] = __float2int_rn(v[8 * i + k]);
            }
            c.word[i] = qb__pack8_int4<OUT>(n);
        } else {
            c.word[i] = qb__encode4<OUT>(v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]);
        }
    }
    return c;
}

/* The same by a zero point. An integer beyond 2^20 saturates whatever that is. */
template <int OUT> __device__ __forceinline__ codes<OUT> encode_asymmetric(const float *v, int zero_point)
{
    codes<OUT> c;
    int n[SPAN];

#pragma unroll
    for (unsigned i = 0; i < SPAN; i++) {
        n[i] = __float2int_rn(v[i]) + zero_point;
    }
#pragma unroll
    for (int i = 0; i < codes<OUT>::words; i++) {
        if constexpr (codes<OUT>::nibbles) {
            c.word[i] = qb__pack8_int4<OUT>(n + 8 * i);
        } else {
            asm("{ .reg .b32 t; cvt.pack.sat.s8.s32.b32 t, %4, %3, 0; cvt.pack.sat.s8.s32.b32 %0, %2, %1, t; }"
                : "=r"(c.word[i])
                : "r"(n[4 * i]), "r"(n[4 * i + 1]), "r"(n[4 * i + 2]), "r"(n[4 * i + 3]));
        }
    }
    return c;
}

/* The values that are encoded, of a span whose largest |x| has the bits AMAX. */
template <int IN, int KIND>
__device__ __forceinline__ void values_of(const span<IN> &x, const scale &s, const qb__tensor_factors &factors,
                                          uint32_t amax, float *v)
{
    unpack<IN>(x, v);
    if (KIND == POWER || KIND == SMALL) {
        const float m = KIND == POWER ? qb__inverse_of(s.code) : qb__small_multiplier(s.code, factors.decode);
#pragma unroll
        for (unsigned i = 0; i < SPAN; i++) {
            v[i] = __fmul_rn(v[i], m);
        }
        return;
    }
    const qb__divisor d = qb__divide_by<IN>(s.value);
    const float limit = KIND == ASYMMETRIC ? fminf(d.limit, s.value * 0x1p20f) : d.limit;
    if (__uint_as_float(amax) < limit) {
#pragma unroll
        for (unsigned i = 0; i < SPAN; i++) {
            v[i] = qb__quotient<IN>(v[i], d);
        }
    } else {
        /* Rare: infinities, and scales far from 1. */
#pragma unroll
        for (unsigned i = 0; i < SPAN; i++) {
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
        float v[SPAN];

        values_of<IN, KIND>(x, s, factors, amax, v);
        if constexpr (KIND == ASYMMETRIC) {
            return encode_asymmetric<OUT>(v, s.zero_point);
        } else {
            return encode<OUT>(v);
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

/* Blocks after those with spans: a thread for each scale that is padding. */
__device__ __forceinline__ void pad(const spans_args &a)
{
    const uint64_t i = (uint64_t)(blockIdx.x - a.blocks) * blockDim.x + threadIdx.x;

    if (i < a.padding.count) {
        qb__pad(a.scales, a.padding, i);
    }
}

/* ---- Groups, and scales that are given ------------------------------------------------------------------------- */

/* How spans are shared out to threads. */
enum order {
    ROWS,   /* row by row, each rounded up to whole teams */
    FLAT,   /* the same where rows follow one another, and so do their scales: one row */
    STAGED, /* a block has a stretch of eight rows whose scales are adjacent: 32 bytes for each word of a row */
};

/* Rows of a block in the order STAGED. A warp has each. */
#define STAGED_ROWS (THREADS / 32)

/* The row of warp I of bundle B of rows: in tiles of 128 those of four that are 32 apart lie together, and the next. */
__device__ __forceinline__ uint32_t staged_row(const spans_args &a, uint32_t b, uint32_t i)
{
    return a.scales.layout.layout == QB_SCALE_LAYOUT_TILED_128X4 ? b / 16 * 128 + b % 16 * 2 + i / 4 + i % 4 * 32
                                                                 : b * STAGED_ROWS + i;
}

/* Spans of a thread: two where scales are staged and codes have 4 bits, to spread the cost of staging. */
static constexpr unsigned depth_for(int output, int order)
{
    return order == STAGED && qb__formats[output].bits == 4 ? 2 : 1;
}

template <int OUT, int ORDER> struct depth_of {
    static constexpr unsigned spans = depth_for(OUT, ORDER);
};

/* Write what WORDS has: COUNT words from number FIRST on of each of the eight rows of bundle B. */
__device__ __forceinline__ void write_staged(const spans_args &a, const uint32_t (*words)[STAGED_ROWS], uint32_t b,
                                             uint32_t first, uint32_t count)
{
    const uint32_t row = staged_row(a, b, threadIdx.x % STAGED_ROWS);

    for (uint32_t word = threadIdx.x / STAGED_ROWS; word < count; word += THREADS / STAGED_ROWS) {
        const uint32_t col = (first + word) << a.word_shift;
        if (row < a.padding.rows && col < a.padding.cols) {
            const uint64_t place = qb__place(a.scales.layout, row, col);
            ((uint32_t *)a.scales.memory)[a.word_shift == 0 ? place : place / 4] =
                words[word][threadIdx.x % STAGED_ROWS];
        }
    }
}

/* Blocks that a multiprocessor should hold: as many as fit with 32 registers a thread, or 40 where it has fewer. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define MOST_BLOCKS 4
#elif defined(__CUDA_ARCH__) && ((__CUDA_ARCH__ >= 860 && __CUDA_ARCH__ < 900) || __CUDA_ARCH__ >= 1100)
#define MOST_BLOCKS 6
#else
#define MOST_BLOCKS 8
#endif

template <int IN, int OUT, int KIND, int ORDER>
__global__ void __launch_bounds__(THREADS, KIND == ASYMMETRIC || depth_of<OUT, ORDER>::spans > 1 ? 1 : MOST_BLOCKS)
    spans(const spans_args a)
{
    const unsigned DEPTH = depth_of<OUT, ORDER>::spans;
    const unsigned char *const begin = qb__begin(a.in);
    const uint32_t block = a.reverse ? a.blocks - 1 - blockIdx.x : blockIdx.x;
    const bool leads = (threadIdx.x & ((1u << a.team_shift) - 1)) == 0;
    uint32_t row = 0, at = block * THREADS + threadIdx.x, bundle = 0, stretch = 0;
    __shared__ uint32_t words[ORDER == STAGED ? 32 * DEPTH : 1][STAGED_ROWS];
    qb__tensor_factors factors = {};
    span<IN> x[DEPTH];
    bool valid[DEPTH];
    scale s[DEPTH];
    uint32_t amax[DEPTH];

    if (ORDER != FLAT && blockIdx.x >= a.blocks) {
        pad(a);
        return;
    }
    if (ORDER == STAGED) {
        bundle = qb__divide(block, a.by_row);
        stretch = block - bundle * a.by_row.divisor;
        row = staged_row(a, bundle, threadIdx.x / 32);
        at = stretch * (32 * DEPTH) + threadIdx.x % 32;
    } else if (ORDER == ROWS) {
        row = qb__divide(at, a.by_row);
        at -= row * a.by_row.divisor;
    }
    const unsigned char *const in =
        begin + (ORDER == FLAT ? 0 : row * a.in_step) + (uint64_t)at * (SPAN * qb__in<IN>::size);
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        valid[k] = ORDER == FLAT ? at < a.spans : row < a.rows && at + 32 * k < a.row_spans;
        load<IN>(x[k], in + k * (32 * SPAN * qb__in<IN>::size), valid[k]);
    }
    if (KIND == SMALL) {
        factors = qb__factors_of(a.scales);
    }
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        const uint32_t col = (at + 32 * k) >> a.team_shift;
        range r = range_of<IN, KIND>(x[k]);

        if (a.is_static) {
            s[k] = read_scale<KIND>(a.scales, valid[k] ? row : 0, valid[k] ? col : 0);
        } else {
            for (unsigned offset = 1; offset < 1u << a.team_shift; offset *= 2) {
                widen<KIND>(r, {__shfl_xor_sync(0xffffffffu, r.high, offset),
                                KIND == ASYMMETRIC ? __shfl_xor_sync(0xffffffffu, r.below, offset) : 0});
            }
            s[k] = make_scale<KIND>(r, a.scales, factors);
            if (ORDER == STAGED && leads) {
                const uint32_t code = row < a.rows && col < a.scales.cols ? s[k].code : 0;
                uint32_t *const word =
                    &words[(threadIdx.x % 32 + 32 * k) >> (a.team_shift + a.word_shift)][threadIdx.x / 32];
                if (KIND == DIVIDE) {
                    *word = code;
                } else {
                    ((uint8_t *)word)[col % 4] = (uint8_t)code;
                }
            } else if (ORDER == FLAT && leads && valid[k]) {
                write_flat<KIND>(a.scales, s[k], col);
            } else if (ORDER == ROWS && leads && valid[k]) {
                write_scale<KIND>(a.scales, s[k], row, col);
            }
        }
        amax[k] = max(r.high, r.below);
    }
    if (ORDER == STAGED) {
        const uint32_t count = (32 * DEPTH) >> (a.team_shift + a.word_shift); /* words of a stretch */
        __syncthreads();
        write_staged(a, words, bundle, stretch * count, count);
    }
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        if (a.codes && valid[k]) {
            store<OUT>(a.out + (ORDER == FLAT ? 0 : row * a.out_step) + (uint64_t)(at + 32 * k) * a.out_span,
                       codes_of<IN, OUT, KIND>(x[k], s[k], factors, amax[k]), a.dense);
        }
    }
}

/* ---- Rows, whose scale a block finds ---------------------------------------------------------------------------- */

template <int IN, int OUT, int SPANS> __global__ void __launch_bounds__(MAX_THREADS) rows(const spans_args a)
{
    const unsigned char *const begin = qb__begin(a.in) + blockIdx.x * a.in_step;
    __shared__ uint32_t highs[32], belows[32];
    span<IN> x[SPANS];
    range r = {0, 0};

#pragma unroll
    for (int k = 0; k < SPANS; k++) {
        const uint32_t at = k * blockDim.x + threadIdx.x;
        load<IN>(x[k], begin + (uint64_t)at * (SPAN * qb__in<IN>::size), at < a.row_spans);
    }
#pragma unroll
    for (int k = 0; k < SPANS; k++) {
        widen<ASYMMETRIC>(r, range_of<IN, ASYMMETRIC>(x[k]));
    }
    r.below = qb__warp_max(r.below);
    if (threadIdx.x % 32 == 0) {
        belows[threadIdx.x / 32] = r.below;
    }
    r.high = qb__block_max(r.high, highs);
    r.below = qb__warp_max(threadIdx.x % 32 < blockDim.x / 32 ? belows[threadIdx.x % 32] : 0);
    const scale s = make_scale<ASYMMETRIC>(r, a.scales, {});
    if (threadIdx.x == 0) {
        write_scale<ASYMMETRIC>(a.scales, s, blockIdx.x, 0);
    }
#pragma unroll
    for (int k = 0; k < SPANS; k++) {
        const uint32_t at = k * blockDim.x + threadIdx.x;
        if (a.codes && at < a.row_spans) {
            store<OUT>(a.out + blockIdx.x * a.out_step + (uint64_t)at * a.out_span,
                       codes_of<IN, OUT, ASYMMETRIC>(x[k], s, {}, max(r.high, r.below)), a.dense);
        }
    }
}

/* ---- Launching --------------------------------------------------------------------------------------------------- */

static kind kind_of(const struct qb_problem *p)
{
    return p->scale_format == QB_FORMAT_E8M0   ? POWER
           : p->scale_format == QB_FORMAT_E4M3 ? SMALL
           : p->zero_points                    ? ASYMMETRIC
                                               : DIVIDE;
}

#define OF_INPUTS(kernel, ...)                                                                                         \
    {                                                                                                                  \
        (const void *)kernel<QB_FORMAT_F16, __VA_ARGS__>, (const void *)kernel<QB_FORMAT_BF16, __VA_ARGS__>,           \
            (const void *)kernel<QB_FORMAT_F32, __VA_ARGS__>                                                           \
    }
#define WITHOUT_STAGED(output, kind)                                                                                   \
    {                                                                                                                  \
        OF_INPUTS(spans, output, kind, ROWS), OF_INPUTS(spans, output, kind, FLAT)                                     \
    }
#define WITH_STAGED(output, kind)                                                                                      \
    {                                                                                                                  \
        OF_INPUTS(spans, output, kind, ROWS), OF_INPUTS(spans, output, kind, FLAT),                                    \
            OF_INPUTS(spans, output, kind, STAGED)                                                                     \
    }

/* The kernels, each for the three input formats. */
static const struct {
    qb_format output;
    kind kind;
    const void *kernel[3][3]; /* by order; NULL: there is none */
} table[] = {
    {QB_FORMAT_E4M3, POWER, WITH_STAGED(QB_FORMAT_E4M3, POWER)},
    {QB_FORMAT_E5M2, POWER, WITH_STAGED(QB_FORMAT_E5M2, POWER)},
    {QB_FORMAT_E2M1, POWER, WITH_STAGED(QB_FORMAT_E2M1, POWER)},
    {QB_FORMAT_E2M3, POWER, WITH_STAGED(QB_FORMAT_E2M3, POWER)},
    {QB_FORMAT_E3M2, POWER, WITH_STAGED(QB_FORMAT_E3M2, POWER)},
    {QB_FORMAT_E2M1, SMALL, WITH_STAGED(QB_FORMAT_E2M1, SMALL)},
    {QB_FORMAT_E4M3, DIVIDE, WITH_STAGED(QB_FORMAT_E4M3, DIVIDE)},
    {QB_FORMAT_INT8, DIVIDE, WITHOUT_STAGED(QB_FORMAT_INT8, DIVIDE)},
    {QB_FORMAT_INT4, DIVIDE, WITHOUT_STAGED(QB_FORMAT_INT4, DIVIDE)},
    {QB_FORMAT_INT8, ASYMMETRIC, WITHOUT_STAGED(QB_FORMAT_INT8, ASYMMETRIC)},
    {QB_FORMAT_INT4, ASYMMETRIC, WITHOUT_STAGED(QB_FORMAT_INT4, ASYMMETRIC)},
    {QB_FORMAT_UINT4, ASYMMETRIC, WITHOUT_STAGED(QB_FORMAT_UINT4, ASYMMETRIC)},
};

static const void *pick(const struct qb__cuda_call *call, order o)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].output == call->output && table[i].kind == kind_of(call->problem)) {
            return table[i].kernel[o][call->input];
        }
    }
    return NULL;
}

static const void *pick_rows(const struct qb__cuda_call *call, unsigned spans)
{
#define OF_DEPTHS(output)                                                                                              \
    {                                                                                                                  \
        OF_INPUTS(rows, output, 1), OF_INPUTS(rows, output, 2), OF_INPUTS(rows, output, MAX_DEPTH)                     \
    }
    static const void *const int8[3][3] = OF_DEPTHS(QB_FORMAT_INT8);
    static const void *const int4[3][3] = OF_DEPTHS(QB_FORMAT_INT4);
    static const void *const uint4_[3][3] = OF_DEPTHS(QB_FORMAT_UINT4);
    const unsigned depth = spans == 1 ? 0 : spans == 2 ? 1 : 2;

    return call->output == QB_FORMAT_INT8   ? int8[depth][call->input]
           : call->output == QB_FORMAT_INT4 ? int4[depth][call->input]
                                            : uint4_[depth][call->input];
}

/* True if one block can have a row of its own, and its scale is the row's. */
static bool holds_row(const struct qb__cuda_call *call)
{
    return call->scaling != QB_SCALING_STATIC && call->problem->zero_points && call->scale_cols == 1 &&
           call->tile_rows == 1 && call->problem->granularity != QB_GRANULARITY_GROUP &&
           call->cols <= (uint64_t)SPAN * MAX_THREADS * (call->input == QB_FORMAT_F32 ? 2 : MAX_DEPTH);
}

/* Alignment, in bytes, of a span's codes: 12 are three words. */
static unsigned alignment(const struct qb__cuda_call *call)
{
    return call->problem->packing == QB_PACKING_DENSE
               ? 4
               : (unsigned)qb__packed_bytes(call->output, QB_PACKING_BYTES, SPAN);
}

bool qb__cuda_spans_fits(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const unsigned n = 16 / qb__element_size(call->input);
    const uint64_t team = p->group / SPAN, spans = call->cols / SPAN, padded = qb__padding_of(call).rows;
    const uint64_t rows = padded > call->rows ? padded : call->rows;
    bool fits = false;

    if (p->granularity == QB_GRANULARITY_GROUP) {
        fits = p->group % SPAN == 0 && team <= 32 && (team & (team - 1)) == 0;
    } else if (p->granularity == QB_GRANULARITY_TENSOR || p->granularity == QB_GRANULARITY_TOKEN) {
        fits = call->scaling == QB_SCALING_STATIC || holds_row(call) || qb__cuda_spans_want_scales(call);
    }
    /* Rows are rounded up to 128 spans at most, and their number to 128. */
    return fits && pick(call, ROWS) != NULL && call->cols % SPAN == 0 && spans < 0x40000000u && call->rows > 0 &&
           rows < 0x60000000u && (spans + 128) * (rows + 128) < 0x70000000u && call->in_stride % n == 0 &&
           (call->scaling == QB_SCALING_AMAX ||
            qb__packed_bytes(call->output, p->packing, call->out_stride) % alignment(call) == 0);
}

bool qb__cuda_spans_want_scales(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;

    if (call->scaling == QB_SCALING_STATIC || holds_row(call)) {
        return false;
    }
    return p->zero_points ? p->granularity == QB_GRANULARITY_TENSOR
                          : p->scale_format == QB_FORMAT_F32 &&
                                (p->granularity == QB_GRANULARITY_TENSOR || p->granularity == QB_GRANULARITY_TOKEN);
}

/* True if the scales of eight rows are adjacent words. A has the team, and how many scales are in a word. */
static bool can_stage(const struct qb__cuda_call *call, const spans_args *a)
{
    const struct qb_problem *p = call->problem;
    const bool adjacent = p->scale_layout == QB_SCALE_LAYOUT_COLUMNS
                              ? p->scale_format == QB_FORMAT_F32
                              : p->scale_layout != QB_SCALE_LAYOUT_ROWS; /* of bytes, all of these */

    return p->granularity == QB_GRANULARITY_GROUP && !a->is_static && pick(call, STAGED) != NULL && adjacent &&
           a->team_shift + a->word_shift <= 5 && (uintptr_t)call->scales % 4 == 0;
}

static order order_of(const struct qb__cuda_call *call, const spans_args *a)
{
    const struct qb_problem *p = call->problem;
    const bool follows = call->rows == 1 || (call->in_stride == call->cols &&
                                             (call->scaling == QB_SCALING_AMAX || call->out_stride == call->cols));

    if (follows &&
        (p->granularity == QB_GRANULARITY_GROUP ? p->scale_layout == QB_SCALE_LAYOUT_ROWS && call->cols % p->group == 0
                                                : call->scale_rows == 1)) {
        return FLAT;
    }
    return can_stage(call, a) ? STAGED : ROWS;
}

/* Share the spans of CALL out to blocks. */
static void share_out(const struct qb__cuda_call *call, order o, spans_args *a)
{
    const bool writes = call->problem->granularity == QB_GRANULARITY_GROUP && !a->is_static;
    uint64_t row = a->row_spans;

    a->rows = call->rows;
    if (writes) {
        a->padding = qb__padding_of(call);
    }
    if (o == STAGED) { /* writes the padding too */
        const uint64_t bundle = call->problem->scale_layout == QB_SCALE_LAYOUT_TILED_128X4 ? 128 : STAGED_ROWS;

        row = qb__ceil_div(row, 32 * depth_for(call->output, o));
        a->blocks = (uint32_t)(row * (qb__ceil_div(a->padding.rows, bundle) * bundle / STAGED_ROWS));
    } else {
        if (writes && o == ROWS) {
            row = qb__ceil_div(row, 1u << a->team_shift) << a->team_shift;
        }
        a->spans = (uint32_t)(row * call->rows);
        a->blocks = (uint32_t)qb__ceil_div(a->spans, THREADS);
        a->pad_blocks = (uint32_t)qb__ceil_div(a->padding.count, THREADS);
    }
    a->by_row = qb__make_fastdiv(row);
}

cudaError_t qb__cuda_spans_run(const struct qb__cuda_call *call, bool *done)
{
    const struct qb_problem *p = call->problem;
    spans_args a = {};
    void *args[] = {&a};
    order o;

    *done = (uintptr_t)call->in % 16 == 0 &&
            (call->scaling == QB_SCALING_AMAX || (uintptr_t)call->out % alignment(call) == 0);
    if (!*done) {
        return cudaSuccess;
    }
    a.in = (const unsigned char *)call->in;
    a.out = call->out;
    a.scales = qb__scales_of(call);
    a.out_span = (uint32_t)qb__packed_bytes(call->output, p->packing, SPAN);
    a.row_spans = (uint32_t)(call->cols / SPAN);
    a.in_step = call->in_stride * qb__element_size(call->input);
    a.out_step = qb__packed_bytes(call->output, p->packing, call->out_stride);
    a.is_static = call->scaling == QB_SCALING_STATIC || qb__cuda_spans_want_scales(call);
    a.codes = call->scaling != QB_SCALING_AMAX;
    a.dense = p->packing == QB_PACKING_DENSE;
    a.reverse = p->tensor_scale == QB_TENSOR_SCALE_COMPUTED || qb__cuda_spans_want_scales(call);
    a.team_shift = NO_SHIFT;
    a.word_shift = qb__element_size(p->scale_format) == 1 ? 2 : 0;
    if (holds_row(call)) {
        unsigned spans = 1;

        while (a.row_spans > spans * (spans == 1 ? 512 : MAX_THREADS)) {
            spans *= 2;
        }
        return qb__launch(call, pick_rows(call, spans), call->rows,
                          dim3(qb__round_up((unsigned)qb__ceil_div(a.row_spans, spans), 32)), args);
    }
    if (p->granularity == QB_GRANULARITY_GROUP) {
        for (a.team_shift = 0; (uint64_t)SPAN << a.team_shift < p->group; a.team_shift++) {
        }
    } else if (call->scale_rows == 1) {
        a.scales.layout.cols = a.scales.cols = 0; /* all rows have the same */
    }
    o = order_of(call, &a);
    share_out(call, o, &a);
    return qb__launch(call, pick(call, o), a.blocks + a.pad_blocks, dim3(THREADS), args);
}
