/* SPDX-License-Identifier: Apache-2.0 */
/* two_pass.cu - scales of any tiling by atomics, and then the codes by static_scale.cu, if they are wanted. For scales
 * alone, limited by the one read of the input; for codes, what the other kernels cannot hold, limited by the second. */
#include "device.cuh"

#define DEPTH       4
#define MAX_THREADS 1024
#define THREADS     256
/* Chunks of a strip of columns, and rows of it that a block does. */
#define STRIP      8
#define STRIP_ROWS 512

/* Where amax and scales go. */
struct amax_target {
    uint32_t *amax;    /* bits of a binary32 for each tile; zero to begin with, and at the end */
    uint32_t *tickets; /* the same */
    float *scales;
    float bound, qmax;
};

__device__ __forceinline__ void put_max(uint32_t *word, uint32_t bits)
{
    if (bits > 0) {
        atomicMax(word, bits);
    }
}

/* Called by one thread of each of BLOCKS blocks, when all of its block have put what they have: whether it is the last.
 * Nobody waits; the last one does what is left. */
__device__ __forceinline__ bool is_last(uint32_t *ticket, uint32_t blocks)
{
    __threadfence();
    const bool last = atomicInc(ticket, blocks - 1) == blocks - 1;
    __threadfence();
    return last;
}

/* Turn amax word I into its scale, and leave zero where it was. */
__device__ __forceinline__ void make_scale(const amax_target &t, uint64_t i)
{
    t.scales[i] = qb__scale(atomicExch(&t.amax[i], 0), t.bound, t.qmax);
}

struct amax_args : amax_target {
    const void *in;
    uint64_t rows, cols, in_stride;
    uint64_t tile_rows, tile_cols, scale_cols;
    qb__fastdiv by_segments, by_tile_rows;
};

/* A block does one segment of one row of the tensor. MANY: a row has several tiles. */
template <int IN, bool MANY> __global__ void __launch_bounds__(MAX_THREADS) amax_rows(const amax_args a)
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

struct column_args : amax_target {
    const void *in;
    uint64_t rows, cols, in_stride;
    qb__fastdiv by_column_blocks;
    uint32_t block_rows;
};

/* One scale for each column, rows aligned to 16 bytes. A block has a strip of STRIP chunks of some rows; the last block
 * of a strip makes its scales. */
template <int IN> __global__ void __launch_bounds__(THREADS) amax_strips(const column_args a)
{
    const void *const in = qb__begin(a.in);
    const unsigned n = qb__in<IN>::chunk, rows_at_once = THREADS / STRIP, batch = 8;
    /* A word has one column or two. */
    const unsigned words = STRIP * 4, per_word = n / 4;
    __shared__ uint4 warp_max[THREADS / 32][STRIP];
    __shared__ bool last;
    const uint32_t row_block = qb__divide(blockIdx.x, a.by_column_blocks);
    const uint32_t strip = blockIdx.x - row_block * a.by_column_blocks.divisor;
    const uint64_t first = (uint64_t)strip * STRIP * n, column = first + threadIdx.x % STRIP * n;
    const uint64_t begin = (uint64_t)row_block * a.block_rows + threadIdx.x / STRIP;
    const uint64_t end = column < a.cols ? min(a.rows, (uint64_t)(row_block + 1) * a.block_rows) : 0;
    const unsigned char *const from = (const unsigned char *)in + column * qb__in<IN>::size;
    uint4 acc = make_uint4(0, 0, 0, 0);

    for (uint64_t row = begin; row < end; row += rows_at_once * batch) {
        uint4 chunk[batch];
#pragma unroll
        for (unsigned k = 0; k < batch; k++) {
            const uint64_t y = row + k * rows_at_once;
            chunk[k] = y < end ? qb__load16(from + y * a.in_stride * qb__in<IN>::size) : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (unsigned k = 0; k < batch; k++) {
            qb__max_words<IN>(acc, chunk[k]);
        }
    }
    /* Lanes of the same column, then warps. */
    qb__max_lanes<IN>(acc, STRIP);
    if (threadIdx.x % 32 < STRIP) {
        warp_max[threadIdx.x / 32][threadIdx.x % 32] = acc;
    }
    __syncthreads();
    if (threadIdx.x < words) {
        uint32_t word = 0;
        for (unsigned i = 0; i < THREADS / 32; i++) {
            word = qb__max_word<IN>(word, ((const uint32_t *)warp_max[i])[threadIdx.x]);
        }
        const float2 pair = IN == QB_FORMAT_F32 ? make_float2(__uint_as_float(word), 0) : qb__unpack_pair<IN>(word);
        const uint64_t at = first + threadIdx.x * per_word;
        if (at < a.cols) {
            put_max(a.amax + at, __float_as_uint(pair.x));
            if (per_word == 2) {
                put_max(a.amax + at + 1, __float_as_uint(pair.y));
            }
        }
        __threadfence();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        last = is_last(a.tickets + strip, gridDim.x / a.by_column_blocks.divisor);
    }
    __syncthreads();
    if (last && threadIdx.x < STRIP * n && first + threadIdx.x < a.cols) {
        make_scale(a, first + threadIdx.x);
    }
}

/* The same for any rows: a thread goes down the rows of one column, a warp down those of 32 neighbors. */
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

static __global__ void __launch_bounds__(THREADS) finish(const amax_target t, uint64_t count)
{
    const uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;

    qb__begin(t.amax);
    if (i < count) {
        make_scale(t, i);
    }
}

/* ---- Launching ---------------------------------------------------------------------------------------------- */

/* Tickets: one for each strip of columns, or one for all. A strip has 4 columns a chunk at least. */
static size_t ticket_bytes(const struct qb__cuda_call *call)
{
    return qb__ceil_div(call->cols, 4 * STRIP) * sizeof(uint32_t);
}

extern "C" size_t qb__cuda_two_pass_workspace(const struct qb__cuda_call *call)
{
    return ticket_bytes(call) + call->scale_rows * call->scale_cols * sizeof(uint32_t);
}

/* Set *DONE if the scales are made, too. */
static cudaError_t launch_columns(const struct qb__cuda_call *call, const amax_target &target, bool *done)
{
    static const void *const strips[] = {(const void *)amax_strips<QB_FORMAT_F16>,
                                         (const void *)amax_strips<QB_FORMAT_BF16>,
                                         (const void *)amax_strips<QB_FORMAT_F32>};
    static const void *const columns[] = {(const void *)amax_columns<QB_FORMAT_F16>,
                                          (const void *)amax_columns<QB_FORMAT_BF16>,
                                          (const void *)amax_columns<QB_FORMAT_F32>};
    const unsigned n = 16 / qb__element_size(call->input);
    const unsigned x = call->cols < 64 ? qb__ceil_power(call->cols) : 64, y = THREADS / x;
    struct column_args a = {target, call->in, call->rows, call->cols, call->in_stride};
    void *args[] = {&a};

    *done = (uintptr_t)call->in % 16 == 0 && call->in_stride % n == 0 && call->cols % n == 0;
    const uint64_t column_blocks = qb__ceil_div(call->cols, *done ? STRIP * n : x);
    a.block_rows = *done ? STRIP_ROWS : 64 * y;
    a.by_column_blocks = qb__make_fastdiv(column_blocks);
    return qb__launch(call, (*done ? strips : columns)[call->input - QB_FORMAT_F16],
                      column_blocks * qb__ceil_div(call->rows, a.block_rows), *done ? dim3(THREADS) : dim3(x, y), args);
}

static cudaError_t launch_rows(const struct qb__cuda_call *call, const amax_target &target)
{
    static const void *const one[] = {(const void *)amax_rows<QB_FORMAT_F16, false>,
                                      (const void *)amax_rows<QB_FORMAT_BF16, false>,
                                      (const void *)amax_rows<QB_FORMAT_F32, false>};
    static const void *const many[] = {(const void *)amax_rows<QB_FORMAT_F16, true>,
                                       (const void *)amax_rows<QB_FORMAT_BF16, true>,
                                       (const void *)amax_rows<QB_FORMAT_F32, true>};
    const uint64_t chunks = call->cols / (16 / qb__element_size(call->input));
    const uint64_t per_thread = qb__ceil_div(chunks, DEPTH);
    const unsigned most = qb__block_threads(call, chunks * call->rows);
    const unsigned x = per_thread == 0 ? 32 : per_thread < most ? qb__round_up((unsigned)per_thread, 32) : most;
    const uint64_t segments = chunks > 0 ? qb__ceil_div(chunks, x * DEPTH) : 1;
    struct amax_args a = {target,          call->in,        call->rows,      call->cols,
                          call->in_stride, call->tile_rows, call->tile_cols, call->scale_cols};
    void *args[] = {&a};

    a.by_segments = qb__make_fastdiv(segments);
    a.by_tile_rows = qb__make_fastdiv(a.tile_rows);
    return qb__launch(call, (call->scale_cols == 1 ? one : many)[call->input - QB_FORMAT_F16], a.rows * segments,
                      dim3(x), args);
}

extern "C" cudaError_t qb__cuda_two_pass_run(const struct qb__cuda_call *call)
{
    unsigned char *const workspace = call->workspace + qb__cuda_barrier_size(call->limits);
    amax_target target = {(uint32_t *)(workspace + ticket_bytes(call)), (uint32_t *)workspace, call->scales,
                          call->bound, qb__qmax_of(call)};
    uint64_t count = call->scale_rows * call->scale_cols;
    void *args[] = {&target, &count};
    struct qb__cuda_call codes = *call;
    cudaError_t error = cudaSuccess;
    bool done = count == 0;

    if (call->rows > 0) {
        error = call->tile_cols == 1 && call->scale_rows == 1 ? launch_columns(call, target, &done)
                                                              : launch_rows(call, target);
    }
    if (error == cudaSuccess && !done) {
        error = qb__launch(call, (const void *)finish, qb__ceil_div(count, THREADS), dim3(THREADS), args);
    }
    if (error != cudaSuccess || !qb__writes_codes(call)) {
        return error;
    }
    codes.scaling = QB_SCALING_STATIC;
    return qb__cuda_static_run(&codes);
}
