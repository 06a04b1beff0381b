/* SPDX-License-Identifier: Apache-2.0 */
/* gated.cu - SILU_MUL and GELU_MUL: the values alone, of any problem; and fused with a quantization of regular rows,
 * each value once in registers. Limited by reading, 4 bytes for each code, if the activation is done in some ten
 * instructions. */
#include "chunks.cuh"
#include "gated.cuh"

#define THREADS 256u

struct gated_args : qb__chunk_args {
    qb__pair_places pairs;
    uint64_t units; /* the values alone: eight elements, at most */
    bool wide, in_float;
};

/* ---- The values alone ---------------------------------------------------------------------------------------------
 */

/* A thread has eight neighbors of a row. */
template <int IN> __global__ void __launch_bounds__(THREADS) gated_values(const gated_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint64_t unit = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
    const uint64_t row_units = a.cols / QB__EIGHT + (a.cols % QB__EIGHT != 0);
    uint64_t col;
    const uint64_t row = qb__divide64(unit, row_units, a.by_row, &col);
    float g[QB__EIGHT], u[QB__EIGHT];

    if (unit >= a.units) {
        return;
    }
    col *= QB__EIGHT;
    const uint32_t count = (uint32_t)min(a.cols - col, (uint64_t)QB__EIGHT);
    const uint64_t first = row * a.in_stride + (a.pairs.interleaved ? 2 * col : col);
    if (a.pairs.interleaved) {
        float x[2 * QB__EIGHT];
        const uint32_t low = min(2 * count, QB__EIGHT);
        qb__load8<IN>(in, first, low, a.wide, x);
        qb__load8<IN>(in, first + QB__EIGHT, 2 * count - low, a.wide, x + QB__EIGHT);
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            g[i] = x[2 * i];
            u[i] = x[2 * i + 1];
        }
    } else {
        qb__load8<IN>(in, first, count, a.wide, g);
        qb__load8<IN>(in, first + a.cols, count, a.wide, u);
    }
#pragma unroll
    for (unsigned i = 0; i < QB__EIGHT; i++) {
        g[i] = qb__gated_value<IN>(g[i], u[i], a.pairs.gate);
    }
    if (a.in_float) {
        qb__store8<QB_FORMAT_F32>(a.values, row * a.cols + col, count, a.wide, g);
    } else {
        qb__store8<IN>(a.values, row * a.cols + col, count, a.wide, g);
    }
}

/* ---- Fused --------------------------------------------------------------------------------------------------------
 */

template <int IN, int ACTIVATION> struct gated_source {
    typedef gated_args args;
    typedef qb__pair chunk;

    static __device__ __forceinline__ qb__pair load(const gated_args &a, const unsigned char *in, uint64_t row,
                                                    uint32_t col, bool valid)
    {
        return qb__load_pair(a.pairs, in + row * a.in_step, col, valid);
    }
    static __device__ __forceinline__ uint4 values(const gated_args &a, const qb__pair &p, uint32_t row, uint32_t col,
                                                   bool valid)
    {
        const uint4 z = qb__pair_values<IN, ACTIVATION>(a.pairs, p);

        qb__keep_chunk<IN>(a, z, row, col, valid);
        return z;
    }
};

template <int IN, int OUT, int ACTIVATION>
__global__ void __launch_bounds__(QB__CHUNK_THREADS) gated_groups(const gated_args a)
{
    qb__chunk_groups<gated_source<IN, ACTIVATION>, IN, OUT>(a);
}

template <int IN, int OUT, int ACTIVATION, int CHUNKS>
__global__ void __launch_bounds__(QB__ROW_THREADS) gated_rows(const gated_args a)
{
    qb__chunk_rows<gated_source<IN, ACTIVATION>, IN, OUT, CHUNKS>(a);
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

static gated_args args_of(const struct qb__cuda_call *call)
{
    gated_args a = {};

    static_cast<qb__chunk_args &>(a) = qb__chunk_args_of(call);
    a.pairs = qb__pair_places_of(call);
    return a;
}

cudaError_t qb__cuda_gated_values_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[3] = {(const void *)gated_values<QB_FORMAT_F16>,
                                           (const void *)gated_values<QB_FORMAT_BF16>,
                                           (const void *)gated_values<QB_FORMAT_F32>};
    const uint64_t row_units = qb__ceil_div(call->cols, QB__EIGHT);
    gated_args a = args_of(call);
    void *args[] = {&a};

    a.units = row_units * a.rows;
    a.by_row = qb__make_fastdiv(row_units);
    a.in_float = call->problem->intermediate == QB_INTERMEDIATE_FLOAT;
    a.wide = a.cols % QB__EIGHT == 0 && a.in_stride % QB__EIGHT == 0 && qb__is_aligned(call->in, 16) &&
             qb__is_aligned(call->values, 16);
    return a.units == 0 ? cudaSuccess
                        : qb__launch(call, kernels[call->input], qb__ceil_div(a.units, THREADS), dim3(THREADS), args);
}

bool qb__cuda_gated_fits(const struct qb__cuda_call *call)
{
    return qb__chunks_fit(call) && qb__gate_is_plain(qb__gate_of(call->problem));
}

cudaError_t qb__cuda_gated_run(const struct qb__cuda_call *call, bool *done)
{
    static const void *const groups[QB__ACTIVATIONS][6] = {QB__TAIL_KERNELS(gated_groups, QB__SILU),
                                                           QB__TAIL_KERNELS(gated_groups, QB__GELU),
                                                           QB__TAIL_KERNELS(gated_groups, QB__GELU_ERF)};
    static const void *const rows[QB__ACTIVATIONS][2][6] = {
        {QB__TAIL_KERNELS(gated_rows, QB__SILU, 2), QB__TAIL_KERNELS(gated_rows, QB__SILU, 4)},
        {QB__TAIL_KERNELS(gated_rows, QB__GELU, 2), QB__TAIL_KERNELS(gated_rows, QB__GELU, 4)},
        {QB__TAIL_KERNELS(gated_rows, QB__GELU_ERF, 2), QB__TAIL_KERNELS(gated_rows, QB__GELU_ERF, 4)}};
    gated_args a = args_of(call);

    *done = qb__tail_aligned(call);
    if (!*done) {
        return cudaSuccess;
    }
    const cudaError_t error = qb__cuda_gated_few_run(call, done);
    if (error != cudaSuccess || *done) {
        return error;
    }
    *done = true;
    return qb__chunks_launch(call, a, &a, groups[a.pairs.gate.activation], rows[a.pairs.gate.activation]);
}
