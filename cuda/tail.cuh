/* SPDX-License-Identifier: Apache-2.0 */
/* tail.cuh - the quantization of values that a kernel has in registers, in chunks of eight 16-bit elements: scales that
 * are given, or of rows and groups, and codes of a byte. */
#ifndef QB_CUDA_TAIL_CUH
#define QB_CUDA_TAIL_CUH

#include "values.cuh"

struct qb__tail {
    unsigned char *out;
    uint64_t out_step; /* bytes from one row to the next */
    qb__scales scales;
    qb__padding padding;
    uint32_t team_shift; /* a group has 2 to this chunks; QB__WHOLE: a row or more */
    bool by_row;         /* rows have scales of their own */
    bool is_static, codes;
};

#define QB__WHOLE 31u

/* True if CALL ends in a way that is here; its values are of 16 bits. It does not look at the pointers. */
static inline bool qb__tail_fits(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const uint64_t team = p->group / QB__EIGHT;
    const bool is_static = call->scaling == QB_SCALING_STATIC;
    const bool tiles =
        p->granularity == QB_GRANULARITY_GROUP
            ? p->group % QB__EIGHT == 0 && team <= 32 && (team & (team - 1)) == 0
            : p->granularity == QB_GRANULARITY_TOKEN || (p->granularity == QB_GRANULARITY_TENSOR && is_static);

    return tiles && call->input != QB_FORMAT_F32 && p->intermediate != QB_INTERMEDIATE_FLOAT &&
           qb__cuda_has_pair(call->input, call->output) && p->scale_format != QB_FORMAT_E4M3 &&
           p->zero_points == QB_ZERO_POINTS_NONE && call->rows > 0 && call->rows < 0x40000000u &&
           call->cols % QB__EIGHT == 0 && call->in_stride % QB__EIGHT == 0 && call->out_stride % QB__EIGHT == 0;
}

/* True if the tensors of such a CALL begin at whole chunks. */
static inline bool qb__tail_aligned(const struct qb__cuda_call *call)
{
    return qb__is_aligned(call->in, 16) && qb__is_aligned(call->out, QB__EIGHT) && qb__is_aligned(call->values, 16);
}

static inline qb__tail qb__tail_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    qb__tail t = {};

    t.out = call->out;
    t.out_step = call->out_stride;
    t.scales = qb__scales_of(call);
    t.is_static = call->scaling == QB_SCALING_STATIC;
    t.codes = call->scaling != QB_SCALING_AMAX;
    t.by_row = p->granularity != QB_GRANULARITY_TENSOR;
    t.team_shift = QB__WHOLE;
    if (p->granularity == QB_GRANULARITY_GROUP) {
        for (t.team_shift = 0; (uint64_t)QB__EIGHT << t.team_shift < p->group; t.team_shift++) {
        }
    }
    if (!t.is_static) {
        t.padding = qb__padding_of(call);
    }
    return t;
}

/* Write the padding, with all THREADS of the grid, of which this is number THREAD. */
__device__ __forceinline__ void qb__tail_pad(const qb__tail &t, uint64_t thread, uint64_t threads)
{
    for (uint64_t i = thread; i < t.padding.count; i += threads) {
        qb__pad(t.scales, t.padding, i);
    }
}

/* The value of a scale of code CODE. */
__device__ __forceinline__ float qb__tail_value(const qb__scales &s, uint32_t code)
{
    return s.format == QB_FORMAT_F32   ? __uint_as_float(code)
           : s.format == QB_FORMAT_F16 ? qb__half_value(code)
           : code == 0                 ? 0x1p-127f
           : code == 255               ? __uint_as_float(0x7fc00000u)
                                       : __uint_as_float(code << 23);
}

/* The scale of tile (ROW, COL), if it is given. */
__device__ __forceinline__ float qb__tail_given(const qb__tail &t, uint64_t row, uint64_t col)
{
    const uint64_t place = qb__place(t.scales.layout, t.by_row ? row : 0, col);
    const void *const memory = t.scales.memory;

    return qb__tail_value(t.scales, t.scales.format == QB_FORMAT_F32   ? ((const uint32_t *)memory)[place]
                                    : t.scales.format == QB_FORMAT_F16 ? ((const uint16_t *)memory)[place]
                                                                       : ((const uint8_t *)memory)[place]);
}

/* The scale of a tile whose amax has the bits AMAX; the thread that LEADS writes it to tile (ROW, COL). */
template <int OUT>
__device__ __forceinline__ float qb__tail_found(const qb__tail &t, uint32_t amax, bool leads, uint64_t row,
                                                uint64_t col)
{
    const qb__scales &s = t.scales;

    if (s.format == QB_FORMAT_F32) {
        const float scale = qb__scale<OUT>(amax, s.bound);
        if (leads) {
            ((float *)s.memory)[qb__place(s.layout, row, col)] = scale;
        }
        return scale;
    }
    const float bounded = fminf(__uint_as_float(amax), s.bound);
    const uint32_t code = s.format == QB_FORMAT_F16 ? qb__half_code(__fdiv_rn(bounded, s.qmax))
                                                    : qb__power_of(__float_as_uint(bounded), s);
    if (leads) {
        const uint64_t place = qb__place(s.layout, row, col);
        if (s.format == QB_FORMAT_F16) {
            ((uint16_t *)s.memory)[place] = (uint16_t)code;
        } else {
            ((uint8_t *)s.memory)[place] = (uint8_t)code;
        }
    }
    return qb__tail_value(s, code);
}

/* Quantize chunk COL of row ROW by its group's scale, or by one that is given. All lanes of a warp call this, with
 * neighboring chunks, so that the lanes of a group begin at a multiple of their number; VALID: there is such a chunk.
 */
template <int IN, int OUT>
__device__ __forceinline__ void qb__tail_chunk(const qb__tail &t, const uint4 &z, uint64_t row, uint32_t col,
                                               bool valid)
{
    uint32_t amax = qb__max_bits<IN>(qb__max_chunk<IN>(0, z));
    float scale;

    if (t.is_static) {
        scale = qb__tail_given(t, valid ? row : 0, valid ? col >> t.team_shift : 0);
    } else {
        for (unsigned offset = 1; offset < 1u << t.team_shift; offset *= 2) {
            amax = max(amax, __shfl_xor_sync(0xffffffffu, amax, offset));
        }
        scale =
            qb__tail_found<OUT>(t, amax, valid && (col & ((1u << t.team_shift) - 1)) == 0, row, col >> t.team_shift);
    }
    if (valid && t.codes) {
        const qb__divisor d = qb__divide_by<IN>(scale);
        qb__store16<IN>(t.out + row * t.out_step + (uint64_t)col * QB__EIGHT,
                        qb__encode<IN, OUT>(z, d, __uint_as_float(amax) < d.limit));
    }
}

/* A table of a kernel for each 16-bit input and each output, and its index. */
#define QB__TAIL_KERNELS(kernel, ...)                                                                                  \
    {                                                                                                                  \
        QB__KERNELS_OF_INPUT(kernel, QB_FORMAT_F16, ##__VA_ARGS__),                                                    \
            QB__KERNELS_OF_INPUT(kernel, QB_FORMAT_BF16, ##__VA_ARGS__)                                                \
    }

#endif
