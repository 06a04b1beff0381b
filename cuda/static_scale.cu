/* SPDX-License-Identifier: Apache-2.0 */
/* static_scale.cu - quantize with given scales: one pass, nothing to reduce. */
#include "device.cuh"

/* Chunks that a thread loads before it stores any: reads batched apart from writes keep DRAM in one direction longer.
 */
#define DEPTH 2
/* Threads of a block at most. */
#define THREADS 512

/* One scale for each column: threads of a block, chunks that a thread loads, all at once, and blocks that a
 * multiprocessor shall hold by their registers. 5 with a depth of 4 beat 6 with 4, and 6 and 8 with 2. */
#define CHANNEL_THREADS 256
#define CHANNEL_DEPTH   4
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define CHANNEL_BLOCKS 4
#else
#define CHANNEL_BLOCKS 5
#endif
/* Rows of a thread where rows begin differently: enough for its scale to pay. */
#define COLUMN_ROWS 32

/* Elements 4 I to 4 I + 3 of CHUNK. */
template <int IN> __device__ __forceinline__ float4 unpack_four(const uint4 &chunk, unsigned i)
{
    if (IN == QB_FORMAT_F32) {
        return make_float4(__uint_as_float(chunk.x), __uint_as_float(chunk.y), __uint_as_float(chunk.z),
                           __uint_as_float(chunk.w));
    }
    const float2 low = qb__unpack_pair<IN>(i == 0 ? chunk.x : chunk.z);
    const float2 high = qb__unpack_pair<IN>(i == 0 ? chunk.y : chunk.w);
    return make_float4(low.x, low.y, high.x, high.y);
}

struct rows_args : qb__tensor {
    uint64_t tile_rows, tile_cols, scale_cols;
    qb__fastdiv by_segments, by_tile_rows, by_tile_cols;
};

/* The codes of a chunk whose first element is COLUMN columns into tile 0 of SCALES, and whose elements may have
 * different scales. The words turn through the first one, as this is seldom and should be small. */
template <int IN, int OUT>
__device__ __forceinline__ qb__codes<IN> encode_mixed(uint4 chunk, const float *scales, uint64_t column,
                                                      uint64_t tile_cols)
{
    const unsigned n = qb__in<IN>::chunk;
    uint64_t all = 0;
    qb__codes<IN> codes;

#pragma unroll 1
    for (unsigned i = 0; i < n; i++) {
        const float x = IN == QB_FORMAT_F32 ? __uint_as_float(chunk.x) : qb__unpack_pair<IN>(chunk.x).x;
        all = all >> 8 | (uint64_t)qb__encode1<OUT>(x, scales[(column + i) / tile_cols]) << 56;
        if (IN != QB_FORMAT_F32 && i % 2 == 0) {
            chunk.x >>= 16;
        } else {
            chunk = make_uint4(chunk.y, chunk.z, chunk.w, 0);
        }
    }
    codes.word[0] = (uint32_t)(all >> (n == 8 ? 0 : 32));
    codes.word[n / 4 - 1] = (uint32_t)(all >> 32);
    return codes;
}

/* A block of blockDim.x x blockDim.y threads does one segment of blockDim.y rows. MANY: a row has several scales, one
 * for each tile_cols columns, otherwise one. */
template <int IN, int OUT, bool MANY> __global__ void __launch_bounds__(THREADS) static_rows(const rows_args a)
{
    const void *const in = qb__begin(a.in);
    const uint32_t row_block = qb__divide(blockIdx.x, a.by_segments);
    const uint32_t segment = blockIdx.x - row_block * a.by_segments.divisor;
    const uint64_t first = (uint64_t)segment * (blockDim.x * DEPTH);
    const uint64_t row = (uint64_t)row_block * blockDim.y + threadIdx.y;
    uint64_t rest;

    if (row >= a.rows) {
        return;
    }
    const qb__row line = qb__make_row<IN>(in, row * a.in_stride, a.out, row * a.out_stride, a.cols);
    const qb__span span = qb__cut<IN>(line, first, blockDim.x * DEPTH, segment == a.by_segments.divisor - 1);
    const float *scales = a.scales + qb__divide64(row, a.tile_rows, a.by_tile_rows, &rest) * a.scale_cols;

    uint4 chunk[DEPTH];
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        chunk[k] = qb__load(span, k * blockDim.x + threadIdx.x);
    }
    if (!MANY) {
        const qb__divisor d = qb__divide_by<IN>(*scales);
#pragma unroll
        for (unsigned k = 0; k < DEPTH; k++) {
            qb__store<IN>(span, k * blockDim.x + threadIdx.x, qb__encode_unknown<IN, OUT>(chunk[k], d));
        }
        qb__edge_store<IN, OUT>(span, threadIdx.x, blockDim.x, d.s);
        return;
    }
    /* Columns are counted from the tile in which the span's first full chunk begins. */
    const uint64_t column = (uint64_t)(span.in - line.in) / qb__in<IN>::size + line.head;
    for (uint32_t i = threadIdx.x; i < span.head + span.tail; i += blockDim.x) {
        const int64_t at = qb__edge<IN>(span, i);
        span.out[at] = qb__encode1<OUT>(qb__load_element<IN>(span.in, at), scales[(column + at) / a.tile_cols]);
    }
    scales += qb__divide64(column, a.tile_cols, a.by_tile_cols, &rest);
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        const uint32_t c = k * blockDim.x + threadIdx.x;
        if (c >= span.full) {
            break;
        }
        const uint64_t x = rest + c * qb__in<IN>::chunk, last = x + qb__in<IN>::chunk - 1;
        uint32_t tile, last_tile;
        if (a.tile_cols < 0x40000000u) {
            tile = qb__divide((uint32_t)x, a.by_tile_cols);
            last_tile = qb__divide((uint32_t)last, a.by_tile_cols);
        } else {
            /* A segment is shorter than such a tile, and touches two of them at most. */
            tile = x >= a.tile_cols;
            last_tile = last >= a.tile_cols;
        }
        if (tile == last_tile) {
            qb__store<IN>(span, c, qb__encode_unknown<IN, OUT>(chunk[k], qb__divide_by<IN>(scales[tile])));
        } else {
            qb__store<IN>(span, c, encode_mixed<IN, OUT>(chunk[k], scales, x, a.tile_cols));
        }
    }
}

struct channel_args : qb__tensor {
    qb__fastdiv by_column_blocks;
    uint32_t block_rows; /* rows that a block of threads does */
};

/* One scale for each column; each row begins equally far from 16 bytes. A thread has a chunk's columns in CHANNEL_DEPTH
 * rows, all of which it loads before it makes their scales ready; the first column block also does the columns at the
 * edges. */
template <int IN, int OUT>
__global__ void __launch_bounds__(CHANNEL_THREADS, CHANNEL_BLOCKS) static_channel(const channel_args a)
{
    const unsigned n = qb__in<IN>::chunk;
    const void *const in = qb__begin(a.in);
    const uint32_t row_block = qb__divide(blockIdx.x, a.by_column_blocks);
    const uint32_t column_block = blockIdx.x - row_block * a.by_column_blocks.divisor;
    const uint64_t chunk = (uint64_t)column_block * blockDim.x + threadIdx.x;
    const uint64_t begin = (uint64_t)row_block * a.block_rows, end = min(a.rows, begin + a.block_rows);
    const size_t in_step = a.in_stride * qb__in<IN>::size * blockDim.y, out_step = a.out_stride * blockDim.y;
    const qb__row line = qb__make_row<IN>(in, begin * a.in_stride, a.out, begin * a.out_stride, a.cols);

    if (column_block == 0 && line.head + line.tail > 0) {
        const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x, edges = 2 * n;
        const qb__span whole = {line.in, line.out, line.head, line.tail, 0};
        if (thread % edges < line.head + line.tail) {
            const uint64_t column =
                line.head + qb__edge<IN>(whole, thread % edges) + (thread % edges < line.head ? 0 : line.full * n);
            for (uint64_t y = begin + thread / edges; y < end; y += CHANNEL_THREADS / edges) {
                a.out[y * a.out_stride + column] =
                    qb__encode1<OUT>(qb__load_element<IN>(in, y * a.in_stride + column), a.scales[column]);
            }
        }
    }
    /* Of this thread. */
    const uint32_t rows = begin + threadIdx.y < end && chunk < line.full
                              ? ((uint32_t)(end - begin) - threadIdx.y + blockDim.y - 1) / blockDim.y
                              : 0;
    const float *const scales = a.scales + line.head + chunk * n;
    qb__span span = qb__cut<IN>(line, chunk, 1, false);
    span.in += threadIdx.y * a.in_stride * qb__in<IN>::size;
    span.out += threadIdx.y * a.out_stride;

    uint4 v[CHANNEL_DEPTH];
    uint32_t acc = 0;
#pragma unroll
    for (unsigned k = 0; k < CHANNEL_DEPTH; k++) {
        v[k] = k < rows ? qb__load16(span.in + k * in_step) : make_uint4(0, 0, 0, 0);
    }
    if (rows == 0) {
        return;
    }
    float s[n], limit = INFINITY;
    if ((uintptr_t)scales % 16 == 0) {
#pragma unroll
        for (unsigned i = 0; i < n; i += 4) {
            const float4 four = *(const float4 *)(scales + i);
            s[i] = four.x, s[i + 1] = four.y, s[i + 2] = four.z, s[i + 3] = four.w;
        }
    } else {
#pragma unroll
        for (unsigned i = 0; i < n; i++) {
            s[i] = scales[i];
        }
    }
#pragma unroll
    for (unsigned k = 0; k < CHANNEL_DEPTH; k++) {
        acc = qb__max_chunk<IN>(acc, v[k]);
    }
    qb__codes<IN> codes[CHANNEL_DEPTH];
#pragma unroll
    for (unsigned i = 0; i < n; i += 4) {
        qb__divisor d[4];
#pragma unroll
        for (unsigned j = 0; j < 4; j++) {
            d[j] = qb__divide_by<IN>(s[i + j]);
            limit = fminf(limit, d[j].limit);
        }
#pragma unroll
        for (unsigned k = 0; k < CHANNEL_DEPTH; k++) {
            const float4 x = unpack_four<IN>(v[k], i / 4);
            codes[k].word[i / 4] = qb__encode4<OUT>(qb__quotient<IN>(x.x, d[0]), qb__quotient<IN>(x.y, d[1]),
                                                    qb__quotient<IN>(x.z, d[2]), qb__quotient<IN>(x.w, d[3]));
        }
    }
    if (qb__is_fast<IN>(qb__max_bits<IN>(acc), limit)) {
#pragma unroll
        for (unsigned k = 0; k < CHANNEL_DEPTH; k++) {
            if (k < rows) {
                qb__store<IN>(span, 0, codes[k]);
                span.out += out_step;
            }
        }
    } else {
        /* Seldom: small is better than fast, and the chunks are read again. */
#pragma unroll 1
        for (unsigned k = 0; k < rows; k++) {
            qb__store<IN>(span, 0, encode_mixed<IN, OUT>(qb__load16(span.in + k * in_step), scales, 0, 1));
            span.out += out_step;
        }
    }
}

/* The same where rows begin differently far from 16 bytes: a thread has one column, a warp 32 neighbors. */
template <int IN, int OUT> __global__ void __launch_bounds__(CHANNEL_THREADS) static_column(const channel_args a)
{
    const void *const in = qb__begin(a.in);
    const uint32_t row_block = qb__divide(blockIdx.x, a.by_column_blocks);
    const uint64_t column = (uint64_t)(blockIdx.x - row_block * a.by_column_blocks.divisor) * blockDim.x + threadIdx.x;
    const uint64_t begin = (uint64_t)row_block * a.block_rows;
    const uint64_t end = min(a.rows, begin + a.block_rows);

    if (column >= a.cols) {
        return;
    }
    const qb__divisor d = qb__divide_by<IN>(a.scales[column]);
#pragma unroll 4
    for (uint64_t row = begin + threadIdx.y; row < end; row += blockDim.y) {
        const float x = qb__load_element<IN>(in, row * a.in_stride + column);
        /* Written so that NaN, too, goes the fast way. */
        const float v = fabsf(x) >= d.limit ? __fdiv_rn(x, d.s) : qb__quotient<IN>(x, d);
        a.out[row * a.out_stride + column] = (uint8_t)qb__encode4<OUT>(v, 0, 0, 0);
    }
}

static cudaError_t launch_channel(const struct qb__cuda_call *call)
{
    static const void *const chunks[] = QB__KERNELS(static_channel);
    static const void *const columns[] = QB__KERNELS(static_column);
    const unsigned n = 16 / qb__element_size(call->input);
    const bool in_phase = call->rows == 1 || call->in_stride % n == 0;
    const uint64_t width = in_phase ? (call->cols < n ? 1 : call->cols / n) : call->cols;
    const unsigned x = width < CHANNEL_THREADS ? qb__ceil_power(width) : CHANNEL_THREADS, y = CHANNEL_THREADS / x;
    const uint64_t column_blocks = qb__ceil_div(width, x);
    struct channel_args a = {qb__tensor_of(call)};
    void *args[] = {&a};

    a.block_rows = (in_phase ? CHANNEL_DEPTH : COLUMN_ROWS) * y;
    a.by_column_blocks = qb__make_fastdiv(column_blocks);
    return qb__launch(call, (in_phase ? chunks : columns)[qb__index(call)],
                      qb__ceil_div(call->rows, a.block_rows) * column_blocks, dim3(x, y), args);
}

extern "C" cudaError_t qb__cuda_static_run(const struct qb__cuda_call *call)
{
    static const void *const one[] = QB__KERNELS(static_rows, false);
    static const void *const many[] = QB__KERNELS(static_rows, true);
    const unsigned n = 16 / qb__element_size(call->input);
    struct rows_args a = {qb__tensor_of(call)};
    void *args[] = {&a};
    cudaError_t error;
    bool done;

    if (call->rows == 0) {
        return cudaSuccess;
    }
    if (call->scale_cols > 1 && call->tile_cols == 1 && call->scale_rows == 1) {
        return launch_channel(call);
    }
    error = qb__cuda_strided_run(call, &done);
    if (done) {
        return error;
    }
    a.tile_rows = call->tile_rows;
    a.tile_cols = call->tile_cols;
    a.scale_cols = call->scale_cols;
    const uint64_t chunks = a.cols / n;
    const unsigned x = chunks < THREADS * DEPTH ? qb__ceil_power(qb__ceil_div(chunks, DEPTH)) : THREADS;
    const uint64_t segments = chunks > 0 ? qb__ceil_div(chunks, x * DEPTH) : 1;
    const unsigned y = (unsigned)(a.rows < THREADS / x ? a.rows : THREADS / x);

    a.by_segments = qb__make_fastdiv(segments);
    a.by_tile_rows = qb__make_fastdiv(a.tile_rows);
    a.by_tile_cols = qb__make_fastdiv(a.tile_cols);
    return qb__launch(call, (call->scale_cols == 1 ? one : many)[qb__index(call)], qb__ceil_div(a.rows, y) * segments,
                      dim3(x, y), args);
}
