/* SPDX-License-Identifier: Apache-2.0 */
/* any.cu - every problem that is not plain, element by element: the range of each tile by atomics, then its scale, then
 * the codes. The formats are arguments, so that each kernel is compiled once. For what the other kernels cannot do. */
#include "any.cuh"

#define THREADS 256u
/* Elements of a row that a warp looks at for one tile. */
#define SEGMENT 4096u
#define CHUNKS  4

struct any_args {
    const void *in;
    uint8_t *out;
    qb_format input;
    any_format output;
    bool is_static, asymmetric;
    uint64_t rows, cols, in_stride;
    uint64_t out_step; /* bytes from one row to the next */
    uint64_t tile_rows, tile_cols;
    uint64_t segments, per_tile; /* of a row, and of a row of a tile */
    uint64_t units;              /* of a row: codes that fill whole bytes */
    qb__scales scales;
    qb__padding padding;
    uint32_t *amax; /* of the tensor, then of each tile, and for ASYMMETRIC of the other side: zero at rest */
    bool chunks;    /* rows are whole chunks, aligned */
};

__device__ __forceinline__ float load(const any_args &a, uint64_t row, uint64_t col)
{
    const int64_t i = (int64_t)(row * a.in_stride + col);

    return a.input == QB_FORMAT_F16    ? qb__load_element<QB_FORMAT_F16>(a.in, i)
           : a.input == QB_FORMAT_BF16 ? qb__load_element<QB_FORMAT_BF16>(a.in, i)
                                       : qb__load_element<QB_FORMAT_F32>(a.in, i);
}

/* ---- The tensor scale ---------------------------------------------------------------------------------------------
 */

/* Put a block's range, by its threads' bits of the largest x and -x, where the tensor's is. HIGHS and BELOWS have 32
 * words. */
__device__ __forceinline__ void put_range(const any_args &a, uint32_t high, uint32_t below, uint32_t *highs,
                                          uint32_t *belows)
{
    high = qb__block_max(a.asymmetric ? high : max(high, below), highs);
    below = qb__block_max(below, belows);
    if (threadIdx.x == 0) {
        if (high > 0) {
            atomicMax(a.asymmetric ? a.amax + 1 : a.amax, high);
        }
        if (a.asymmetric && below > 0) {
            atomicMax(a.amax + 2, below);
        }
    }
}

/* The range of the tensor. Rows are shared out to blocks; a dense tensor is one row, and shared out by chunks. */
template <int IN> __global__ void __launch_bounds__(THREADS) any_tensor(const any_args a)
{
    const unsigned char *const in = (const unsigned char *)qb__begin(a.in);
    const uint64_t count = a.cols / qb__in<IN>::chunk, step = (uint64_t)THREADS * CHUNKS;
    const bool one = a.rows == 1;
    __shared__ uint32_t highs[32], belows[32];
    float high = 0, low = 0;
    uint32_t acc = 0;

    for (uint64_t row = one ? 0 : blockIdx.x; row < a.rows; row += one ? 1 : gridDim.x) {
        for (uint64_t c = one ? blockIdx.x * step : 0; c < count; c += one ? gridDim.x * step : step) {
            uint4 chunk[CHUNKS];
#pragma unroll
            for (int k = 0; k < CHUNKS; k++) {
                const uint64_t i = c + k * THREADS + threadIdx.x;
                chunk[k] =
                    i < count ? qb__load16(in + row * a.in_stride * qb__in<IN>::size + i * 16) : make_uint4(0, 0, 0, 0);
            }
#pragma unroll
            for (int k = 0; k < CHUNKS; k++) {
                float x[qb__in<IN>::chunk];

                if (!a.asymmetric) {
                    acc = qb__max_chunk<IN>(acc, chunk[k]);
                    continue;
                }
                qb__unpack<IN>(chunk[k], x);
#pragma unroll
                for (unsigned e = 0; e < qb__in<IN>::chunk; e++) {
                    high = fmaxf(high, x[e]);
                    low = fminf(low, x[e]);
                }
            }
        }
    }
    put_range(a, a.asymmetric ? __float_as_uint(high) & 0x7fffffffu : qb__max_bits<IN>(acc),
              __float_as_uint(low) & 0x7fffffffu, highs, belows);
}

/* The same of rows that are not aligned. */
__global__ void __launch_bounds__(THREADS) any_tensor_uneven(any_args a)
{
    __shared__ uint32_t highs[32], belows[32];
    float high = 0, low = 0;

    a.in = qb__begin(a.in);
    for (uint64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
        for (uint64_t col = threadIdx.x; col < a.cols; col += THREADS) {
            const float x = load(a, row, col);
            high = fmaxf(high, x);
            low = fminf(low, x);
        }
    }
    put_range(a, __float_as_uint(high) & 0x7fffffffu, __float_as_uint(low) & 0x7fffffffu, highs, belows);
}

__global__ void any_tensor_scale(any_args a)
{
    a.amax = (uint32_t *)qb__begin(a.amax);
    const float encode = qb__tensor_encode(atomicExch(a.amax, 0), a.scales);

    *a.scales.encode = encode;
    *a.scales.tensor_scale = __fdiv_rn(1.0f, encode);
}

/* ---- Tiles ---------------------------------------------------------------------------------------------------------
 */

/* A warp takes segments of rows of tiles, each of its own tile. */
__global__ void __launch_bounds__(THREADS) any_range(any_args a)
{
    const uint64_t warps = (uint64_t)gridDim.x * (THREADS / 32);

    a.in = qb__begin(a.in);
    for (uint64_t i = (uint64_t)blockIdx.x * (THREADS / 32) + threadIdx.x / 32; i < a.segments * a.rows; i += warps) {
        const uint64_t row = i / a.segments, segment = i - row * a.segments, tile_col = segment / a.per_tile;
        const uint64_t first = tile_col * a.tile_cols + (segment - tile_col * a.per_tile) * SEGMENT;
        const uint64_t end = min(min(a.cols, (tile_col + 1) * a.tile_cols), first + SEGMENT);
        float high = 0, low = 0;

        for (uint64_t col = first + threadIdx.x % 32; col < end; col += 32) {
            const float x = load(a, row, col);
            high = fmaxf(high, x);
            low = fminf(low, x);
        }
        uint32_t above = __float_as_uint(high) & 0x7fffffffu, below = __float_as_uint(low) & 0x7fffffffu;
        above = qb__warp_max(a.asymmetric ? above : max(above, below));
        below = qb__warp_max(below);
        if (threadIdx.x % 32 == 0) {
            uint32_t *const word = a.amax + 1 + row / a.tile_rows * a.scales.cols + tile_col;
            if (above > 0) {
                atomicMax(word, above);
            }
            if (a.asymmetric && below > 0) {
                atomicMax(word + a.scales.rows * a.scales.cols, below);
            }
        }
    }
}

/* A thread for each scale, and for each place that is padding. */
__global__ void __launch_bounds__(THREADS) any_scales(any_args a)
{
    const uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x, count = a.scales.rows * a.scales.cols;
    const qb__scales &s = a.scales;

    a.amax = (uint32_t *)qb__begin(a.amax);
    if (i >= count) {
        if (i - count < a.padding.count) {
            qb__pad(s, a.padding, i - count);
        }
        return;
    }
    const float high = fminf(__uint_as_float(atomicExch(&a.amax[1 + i], 0)), s.bound);
    const float below = a.asymmetric ? fminf(__uint_as_float(atomicExch(&a.amax[1 + count + i], 0)), s.bound) : 0;
    const uint64_t place = qb__place(s.layout, i / s.cols, i % s.cols);
    const float width = a.asymmetric ? fminf(__fadd_rn(high, below), 0x1.fffffep127f) : high;
    const float scale = any_put_scale(s, place, width, a.asymmetric ? s.qmax - s.least : s.qmax,
                                      s.format == QB_FORMAT_E4M3 ? qb__factors_of(s).encode : 0);
    if (a.asymmetric) {
        s.zero_points[i] = (int8_t)qb__zero_point(below, scale, s.least, s.qmax);
    }
}

/* ---- Codes ---------------------------------------------------------------------------------------------------------
 */

/* A thread for as many codes as fill whole bytes. */
__global__ void __launch_bounds__(THREADS) any_codes(any_args a)
{
    const any_format &f = a.output;
    const qb__scales &s = a.scales;
    const uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
    const uint64_t row = i / a.units, first = i % a.units * f.unit;
    const uint64_t bytes = (min(a.cols - first, (uint64_t)f.unit) * f.bits + 7) / 8;
    uint32_t word = 0;
    float g = 1;

    a.in = qb__begin(a.in);
    if (row >= a.rows) {
        return;
    }
    if (s.tensor_scale != NULL) {
        g = *s.tensor_scale;
    }
    for (unsigned k = 0; k < f.unit && first + k < a.cols; k++) {
        const uint64_t tile_row = row / a.tile_rows, tile_col = (first + k) / a.tile_cols;
        const uint64_t place = qb__place(s.layout, tile_row, tile_col);
        const float v = any_quotient(s, place, load(a, row, first + k), g);

        word |= any_encode(f, v, a.asymmetric ? s.zero_points[tile_row * s.cols + tile_col] : 0) << (k * f.bits);
    }
    uint8_t *const out = a.out + row * a.out_step + first * f.bits / 8;
    for (uint64_t b = 0; b < bytes; b++) {
        out[b] = (uint8_t)(word >> (8 * b));
    }
}

/* ---- Launching -----------------------------------------------------------------------------------------------------
 */

static any_args args_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const unsigned n = 16 / qb__element_size(call->input);
    any_args a = {};

    a.in = call->in;
    a.out = call->out;
    a.input = call->input;
    a.output = any_format_of(call);
    a.is_static = call->scaling == QB_SCALING_STATIC;
    a.asymmetric = p->zero_points != QB_ZERO_POINTS_NONE;
    a.rows = call->rows;
    a.cols = call->cols;
    a.in_stride = call->in_stride;
    a.out_step = qb__packed_bytes(call->output, p->packing, call->out_stride);
    a.tile_rows = call->tile_rows;
    a.tile_cols = call->tile_cols < call->cols ? call->tile_cols : call->cols;
    a.per_tile = qb__ceil_div(a.tile_cols, SEGMENT);
    a.segments = call->scale_cols * a.per_tile;
    a.units = qb__ceil_div(a.cols, a.output.unit);
    a.scales = qb__scales_of(call);
    a.padding = qb__padding_of(call);
    if (call->workspace != NULL) {
        a.amax = (uint32_t *)(call->workspace + qb__cuda_barrier_size(call->limits));
    }
    a.chunks = (uintptr_t)call->in % 16 == 0 && call->cols % n == 0 && (call->rows <= 1 || call->in_stride % n == 0);
    return a;
}

size_t qb__cuda_any_workspace(const struct qb__cuda_call *call)
{
    const uint64_t sides = call->problem->zero_points != QB_ZERO_POINTS_NONE ? 2 : 1;

    return call->scaling == QB_SCALING_STATIC ? 0
                                              : (1 + call->scale_rows * call->scale_cols * sides) * sizeof(uint32_t);
}

cudaError_t qb__cuda_tensor_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[3] = {(const void *)any_tensor<QB_FORMAT_F16>,
                                           (const void *)any_tensor<QB_FORMAT_BF16>,
                                           (const void *)any_tensor<QB_FORMAT_F32>};
    any_args a = args_of(call);
    void *args[] = {&a};
    const void *const scale = a.asymmetric ? (const void *)any_scales : (const void *)any_tensor_scale;
    uint64_t blocks = call->limits->units * 8;
    cudaError_t error = cudaSuccess;

    if (a.chunks && call->in_stride == call->cols) { /* one long row */
        a.cols *= a.rows;
        a.rows = a.rows > 0;
        blocks = qb__ceil_div(a.cols, (uint64_t)THREADS * CHUNKS * (16 / qb__element_size(call->input)));
    }
    blocks = blocks < call->limits->units * 8 ? blocks : call->limits->units * 8;
    if (a.rows > 0) {
        error = qb__launch(call, a.chunks ? kernels[call->input] : (const void *)any_tensor_uneven, blocks,
                           dim3(THREADS), args);
    }
    return error == cudaSuccess ? qb__launch(call, scale, 1, dim3(a.asymmetric ? THREADS : 1), args) : error;
}

cudaError_t qb__cuda_any_run(const struct qb__cuda_call *call)
{
    any_args a = args_of(call);
    void *args[] = {&a};
    const uint64_t scales = a.scales.rows * a.scales.cols + a.padding.count;
    const uint64_t units = a.units * a.rows;
    cudaError_t error = cudaSuccess;

    if (call->problem->tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
        error = qb__cuda_tensor_run(call);
    }
    if (!a.is_static && a.rows > 0 && error == cudaSuccess) {
        const uint64_t blocks = qb__ceil_div(a.segments * a.rows, THREADS / 32);

        error =
            qb__launch(call, (const void *)any_range, blocks < 0x7fffffffu ? blocks : 0x7fffffffu, dim3(THREADS), args);
    }
    if (!a.is_static && scales > 0 && error == cudaSuccess) {
        error = qb__launch(call, (const void *)any_scales, qb__ceil_div(scales, THREADS), dim3(THREADS), args);
    }
    if (call->scaling != QB_SCALING_AMAX && units > 0 && error == cudaSuccess) {
        error = qb__launch(call, (const void *)any_codes, qb__ceil_div(units, THREADS), dim3(THREADS), args);
    }
    return error;
}
