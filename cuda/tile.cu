/* SPDX-License-Identifier: Apache-2.0 */
/* tile.cu - dynamic scales of tiles of moderate size, however they lie: what strided.cu leaves, such as ragged groups,
 * unaligned blocks, long rows, and outputs aligned otherwise than the input. A team of threads reads its tile twice,
 * the second time from L1 or L2 most likely. */
#include "device.cuh"

#define MAX_THREADS 512
/* Chunks of a tile: 128 KiB, or 1 MiB if there is a tile for each multiprocessor. */
#define FEW_CHUNKS  8192
#define MANY_CHUNKS 65536

struct tile_args : qb__tensor {
    uint64_t tile_rows, tile_cols, scale_cols, tiles;
    qb__fastdiv by_scale_cols, by_row_chunks;
    uint32_t team; /* threads: a power of two up to 32, or the whole block */
    float bound;
    bool codes; /* are written */
};

/* The rows ROW.. and columns COL.. of one tile. */
struct place {
    uint64_t row, col;
    uint32_t height, width;
};

/* Row R of the tile; nothing if it has no such row. */
template <int IN> __device__ __forceinline__ qb__span tile_row(const tile_args &a, const place &p, uint32_t r)
{
    const uint64_t row = p.row + r;

    return qb__cut<IN>(qb__make_row<IN>(a.in, row * a.in_stride + p.col, a.out, row * a.out_stride + p.col,
                                        r < p.height ? p.width : 0),
                       0, 1u << 24, true);
}

/* Each team does one tile. Each of its rows is cut into chunks by itself. */
template <int IN, int OUT> __global__ void __launch_bounds__(MAX_THREADS) tile(tile_args a)
{
    a.in = qb__begin(a.in);

    __shared__ uint32_t warp_max[32];
    const unsigned teams = blockDim.x / a.team, lane = threadIdx.x % a.team;
    const uint64_t index = (uint64_t)blockIdx.x * teams + threadIdx.x / a.team;
    const bool active = index < a.tiles;
    uint64_t tile_col;
    const uint64_t tile_line = qb__divide64(active ? index : 0, a.scale_cols, a.by_scale_cols, &tile_col);
    place p;
    uint32_t acc = 0;
    float edge = 0;

    p.row = tile_line * a.tile_rows;
    p.col = tile_col * a.tile_cols;
    p.height = active ? (uint32_t)min(a.tile_rows, a.rows - p.row) : 0;
    p.width = active ? (uint32_t)min(a.tile_cols, a.cols - p.col) : 0;

    const uint32_t chunks = p.height * a.by_row_chunks.divisor;
#pragma unroll 4
    for (uint32_t c = lane; c < chunks; c += a.team) {
        const uint32_t r = qb__divide(c, a.by_row_chunks);
        acc = qb__max_chunk<IN>(acc, qb__load(tile_row<IN>(a, p, r), c - r * a.by_row_chunks.divisor));
    }
    for (uint32_t r = 0; r < p.height; r++) {
        edge = fmaxf(edge, qb__edge_max<IN>(tile_row<IN>(a, p, r), lane, a.team));
    }
    uint32_t amax = max(qb__max_bits<IN>(acc), __float_as_uint(edge));
    if (a.team > 32) {
        amax = qb__block_max(amax, warp_max);
    } else {
        for (unsigned offset = a.team / 2; offset > 0; offset /= 2) {
            amax = max(amax, __shfl_xor_sync(0xffffffffu, amax, offset));
        }
    }
    const qb__divisor d = qb__divide_by<IN>(qb__scale<OUT>(amax, a.bound));
    const bool fast = qb__is_fast<IN>(amax, d.limit);
    if (active && lane == 0) {
        a.scales[index] = d.s;
    }
    if (!a.codes) {
        return;
    }
#pragma unroll 2
    for (uint32_t c = lane; c < chunks; c += a.team) {
        const uint32_t r = qb__divide(c, a.by_row_chunks), x = c - r * a.by_row_chunks.divisor;
        const qb__span span = tile_row<IN>(a, p, r);
        qb__store<IN>(span, x, qb__encode<IN, OUT>(qb__load(span, x), d, fast));
    }
    for (uint32_t r = 0; r < p.height; r++) {
        qb__edge_store<IN, OUT>(tile_row<IN>(a, p, r), lane, a.team, d.s);
    }
}

/* Full chunks that one row of a tile can have, at least 1. */
static uint64_t row_chunks(const struct qb__cuda_call *call)
{
    const unsigned n = 16 / qb__element_size(call->input);
    const uint64_t cols = call->tile_cols < call->cols ? call->tile_cols : call->cols;

    return cols < n ? 1 : cols / n;
}

static uint64_t tile_height(const struct qb__cuda_call *call)
{
    return call->tile_rows < call->rows ? call->tile_rows : call->rows;
}

extern "C" bool qb__cuda_tile_fits(const struct qb__cuda_call *call)
{
    const uint64_t width = row_chunks(call), height = tile_height(call);
    const uint64_t most = call->scale_rows * call->scale_cols >= call->limits->units ? MANY_CHUNKS : FEW_CHUNKS;

    /* Each for itself first, as the product could overflow. */
    return width <= most && height <= most && width * height <= most;
}

extern "C" cudaError_t qb__cuda_tile_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[] = QB__KERNELS(tile);
    const uint32_t width = (uint32_t)row_chunks(call), chunks = width * (uint32_t)tile_height(call);
    struct tile_args a = {qb__tensor_of(call)};
    unsigned threads;
    void *args[] = {&a};
    cudaError_t error;
    bool done;

    a.tiles = call->scale_rows * call->scale_cols;
    if (a.tiles == 0) {
        return cudaSuccess;
    }
    error = qb__cuda_strided_run(call, &done);
    if (done) {
        return error;
    }
    /* Four chunks a thread, if that leaves enough threads. */
    if (chunks <= 4 * 32) {
        a.team = qb__ceil_power(chunks < 32 ? chunks : 32);
        threads = 256;
    } else {
        a.team = threads = chunks < 4 * MAX_THREADS ? qb__round_up(chunks / 4, 32) : MAX_THREADS;
    }
    a.tile_rows = call->tile_rows;
    a.tile_cols = call->tile_cols;
    a.scale_cols = call->scale_cols;
    a.by_scale_cols = qb__make_fastdiv(a.scale_cols);
    a.by_row_chunks = qb__make_fastdiv(width);
    a.bound = call->bound;
    a.codes = qb__writes_codes(call);
    return qb__launch(call, kernels[qb__index(call)], qb__ceil_div(a.tiles, threads / a.team), dim3(threads), args);
}
