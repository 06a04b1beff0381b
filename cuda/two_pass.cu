/* SPDX-License-Identifier: Apache-2.0 */
/* two_pass.cu - dynamic scales of any tiling, in three launches: the amax of each tile by atomics, the scales, and the
 * codes by static_scale.cu. For what the other kernels cannot hold. Limited by its second read of the input. */
#include "device.cuh"

#define DEPTH   8
#define THREADS 256

struct amax_args {
    const void *in;
    uint32_t *amax; /* bits of a binary32 for each tile; zero to begin with */
    uint64_t rows, cols, in_stride;
    uint64_t tile_rows, tile_cols, scale_cols;
    qb__fastdiv by_segments, by_tile_rows;
};

__device__ __forceinline__ void put_max(uint32_t *word, uint32_t bits)
{
    if (bits > 0) {
        atomicMax(word, bits);
    }
}

/* A block does one segment of one row of the tensor. MANY: a row has several tiles. */
template <int IN, bool MANY> __global__ void __launch_bounds__(THREADS) amax_rows(const amax_args a)
{
    const void *const in = qb__begin(a.in);
    __shared__ uint32_t warp_max[32];
    const unsigned n = qb__in<IN>::chunk;
    const uint32_t row = qb__divide(blockIdx.x, a.by_segments);
    const uint32_t segment = blockIdx.x - row * a.by_segments.divisor;
    const qb__row line = qb__make_row<IN>(in, row * a.in_stride, NULL, 0, a.cols);
    const qb__span span = qb__cut<IN>(line, (uint64_t)segment * (blockDim.x * DEPTH), blockDim.x * DEPTH,
                                      segment == a.by_segments.divisor - 1);
    uint64_t rest;
    uint32_t *amax = a.amax + qb__divide64(row, a.tile_rows, a.by_tile_rows, &rest) * a.scale_cols;

    if (!MANY) {
        uint4 chunk[DEPTH];
        uint32_t acc = 0;
#pragma unroll
        for (unsigned k = 0; k < DEPTH; k++) {
            chunk[k] = qb__load(span, k * blockDim.x + threadIdx.x);
        }
#pragma unroll
        for (unsigned k = 0; k < DEPTH; k++) {
            acc = qb__max_chunk<IN>(acc, chunk[k]);
        }
        const float edge = qb__edge_max<IN>(span, threadIdx.x, blockDim.x);
        const uint32_t bits = qb__block_max(max(qb__max_bits<IN>(acc), __float_as_uint(edge)), warp_max);
        if (threadIdx.x == 0) {
            put_max(amax, bits);
        }
        return;
    }
    const uint64_t first = (uint64_t)(span.in - line.in) / qb__in<IN>::size + line.head;
    for (uint32_t i = threadIdx.x; i < span.head + span.tail; i += blockDim.x) {
        const int64_t at = qb__edge<IN>(span, i);
        put_max(amax + (first + at) / a.tile_cols,
                __float_as_uint(fmaxf(fabsf(qb__load_element<IN>(span.in, at)), 0.0f)));
    }
#pragma unroll 1
    for (unsigned k = 0; k < DEPTH; k++) {
        const uint32_t c = k * blockDim.x + threadIdx.x;
        if (c >= span.full) {
            break;
        }
        const uint64_t column = first + c * n, tile = column / a.tile_cols;
        if ((column + n - 1) / a.tile_cols == tile) {
            put_max(amax + tile, qb__max_bits<IN>(qb__max_chunk<IN>(0, qb__load(span, c))));
        } else {
            for (unsigned i = 0; i < n; i++) {
                const float x = qb__load_element<IN>(span.in, (int64_t)c * n + i);
                put_max(amax + (column + i) / a.tile_cols, __float_as_uint(fmaxf(fabsf(x), 0.0f)));
            }
        }
    }
}

struct column_args {
    const void *in;
    uint32_t *amax;
    uint64_t rows, cols, in_stride;
    qb__fastdiv by_column_blocks;
    uint32_t block_rows;
};

/* One scale for each column: a thread goes down the rows of one column, a warp down those of 32 neighbours. */
template <int IN> __global__ void __launch_bounds__(THREADS) amax_columns(const column_args a)
{
    const void *const in = qb__begin(a.in);
    const uint32_t row_block = qb__divide(blockIdx.x, a.by_column_blocks);
    const uint64_t column = (uint64_t)(blockIdx.x - row_block * a.by_column_blocks.divisor) * blockDim.x + threadIdx.x;
    const uint64_t begin = (uint64_t)row_block * a.block_rows;
    const uint64_t end = min(a.rows, begin + a.block_rows);
    float amax = 0;

    if (column >= a.cols) {
        return;
    }
#pragma unroll 8
    for (uint64_t row = begin + threadIdx.y; row < end; row += blockDim.y) {
        amax = fmaxf(amax, fabsf(qb__load_element<IN>(in, row * a.in_stride + column)));
    }
    put_max(a.amax + column, __float_as_uint(amax));
}

/* Turn each amax into its scale, and leave zero where it was. */
template <int OUT>
__global__ void __launch_bounds__(THREADS) finish(uint32_t *amax, float *scales, uint64_t count, float bound)
{
    const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;

    qb__begin(amax);
    if (i < count) {
        scales[i] = qb__scale<OUT>(amax[i], bound);
        amax[i] = 0;
    }
}

extern "C" size_t qb__cuda_two_pass_workspace(const struct qb__cuda_call *call)
{
    return call->scale_rows * call->scale_cols * sizeof(uint32_t);
}

static cudaError_t launch_columns(const struct qb__cuda_call *call, uint32_t *amax)
{
    static const void *const kernels[] = {(const void *)amax_columns<QB_FORMAT_F16>,
                                          (const void *)amax_columns<QB_FORMAT_BF16>,
                                          (const void *)amax_columns<QB_FORMAT_F32>};
    const unsigned x = call->cols < 64 ? qb__ceil_power(call->cols) : 64, y = THREADS / x;
    const uint64_t column_blocks = qb__ceil_div(call->cols, x);
    struct column_args a = {};
    void *args[] = {&a};

    a.in = call->in;
    a.amax = amax;
    a.rows = call->rows;
    a.cols = call->cols;
    a.in_stride = call->in_stride;
    a.block_rows = 64 * y;
    a.by_column_blocks = qb__make_fastdiv(column_blocks);
    return qb__launch(call, kernels[call->input - QB_FORMAT_F16],
                      column_blocks * qb__ceil_div(call->rows, a.block_rows), dim3(x, y), args);
}

static cudaError_t launch_rows(const struct qb__cuda_call *call, uint32_t *amax)
{
    static const void *const one[] = {(const void *)amax_rows<QB_FORMAT_F16, false>,
                                      (const void *)amax_rows<QB_FORMAT_BF16, false>,
                                      (const void *)amax_rows<QB_FORMAT_F32, false>};
    static const void *const many[] = {(const void *)amax_rows<QB_FORMAT_F16, true>,
                                       (const void *)amax_rows<QB_FORMAT_BF16, true>,
                                       (const void *)amax_rows<QB_FORMAT_F32, true>};
    const unsigned n = 16 / qb__element_size(call->input);
    struct amax_args a = {};
    void *args[] = {&a};

    a.in = call->in;
    a.amax = amax;
    a.rows = call->rows;
    a.cols = call->cols;
    a.in_stride = call->in_stride;
    a.tile_rows = call->tile_rows;
    a.tile_cols = call->tile_cols;
    a.scale_cols = call->scale_cols;
    if (call->scale_cols == 1 && call->scale_rows == 1 && call->in_stride == call->cols) {
        a.cols = call->rows * call->cols;
        a.rows = a.tile_rows = 1;
    }
    const uint64_t chunks = a.cols / n, per_thread = qb__ceil_div(chunks, DEPTH);
    const unsigned x = per_thread == 0 ? 32 : per_thread < THREADS ? qb__round_up((unsigned)per_thread, 32) : THREADS;
    const uint64_t segments = chunks > 0 ? qb__ceil_div(chunks, x * DEPTH) : 1;

    a.by_segments = qb__make_fastdiv(segments);
    a.by_tile_rows = qb__make_fastdiv(a.tile_rows);
    return qb__launch(call, (call->scale_cols == 1 ? one : many)[call->input - QB_FORMAT_F16], a.rows * segments,
                      dim3(x), args);
}

extern "C" cudaError_t qb__cuda_two_pass_run(const struct qb__cuda_call *call)
{
    static const void *const finishes[] = {(const void *)finish<QB_FORMAT_INT8>, (const void *)finish<QB_FORMAT_E4M3>,
                                           (const void *)finish<QB_FORMAT_E5M2>};
    uint32_t *amax = (uint32_t *)(call->workspace + qb__cuda_barrier_size(call->limits));
    float *scales = call->scales, bound = call->bound;
    uint64_t count = call->scale_rows * call->scale_cols;
    void *args[] = {&amax, &scales, &count, &bound};
    cudaError_t error = cudaSuccess;

    if (count == 0) {
        return cudaSuccess;
    }
    if (call->rows > 0) {
        error = call->tile_cols == 1 && call->scale_rows == 1 ? launch_columns(call, amax) : launch_rows(call, amax);
    }
    if (error == cudaSuccess) {
        error = qb__launch(call, finishes[call->output - QB_FORMAT_INT8], qb__ceil_div(count, THREADS), dim3(THREADS),
                           args);
    }
    return error == cudaSuccess ? qb__cuda_static_run(call) : error;
}
