/* SPDX-License-Identifier: Apache-2.0 */
/* strided.cu - the kernels for everything regular: rows, groups and blocks whose chunks lie at equal steps. A team of
 * threads loads all of a tile before it stores any of it, and reads nothing twice. Scales are computed (dynamic) or
 * given (static). */
#include "device.cuh"

/* Threads of a block at most, and chunks that a thread can hold: 1024 x 8 x 16 bytes are a row of 65536 half. */
#define MAX_THREADS 1024
#define MAX_DEPTH 8

/* A tile is either flat, consecutive elements whose chunks a team's threads take in turn; or tall, several rows, where
 * each thread has one column of chunks and every so many rows. */
enum shape { FLAT_ALIGNED, FLAT, TALL };

struct strided_args {
    const void *in;
    uint8_t *out;
    float *scales;
    uint64_t tiles;
    /* Flat. A team is 2 to the TEAM_SHIFT threads, or the block if that is NO_SHIFT. */
    uint64_t in_step, out_step; /* elements from one tile to the next */
    uint64_t length, total;     /* elements of a tile, and of all (the last may be shorter) */
    uint32_t team_shift;
    uint32_t one_scale; /* all tiles have the same */
    /* Tall: one block of threads for each tile. */
    uint64_t rows, cols, in_stride, out_stride;
    uint32_t tile_rows, tile_cols;
    qb__fastdiv by_scale_cols, by_width; /* width: chunks in a row of the tile; divides the threads */
    float bound;
};

#define NO_SHIFT 31u

/* The loads come first, all of them; registers are kept few enough for 2048 threads of depth 1 and 2, 1024 of more. */
template <int IN, int OUT, int DEPTH, bool STATIC, shape SHAPE>
__global__ void __launch_bounds__(MAX_THREADS, DEPTH <= 2 && SHAPE != FLAT ? 2 : 1) strided(const strided_args a)
{
    const unsigned n = qb__in<IN>::chunk;
    __shared__ uint32_t warp_max[32];
    /* This thread's chunk K is at IN + K * IN_STEP, if FIRST + K * STEP < LIMIT. */
    const unsigned char *in;
    unsigned char *out;
    size_t in_step, out_step;
    uint32_t first, step, limit;
    uint64_t tile;
    qb__span edges = {};

    if (SHAPE == TALL) {
        const uint32_t tile_row = qb__divide(blockIdx.x, a.by_scale_cols);
        const uint32_t tile_col = blockIdx.x - tile_row * a.by_scale_cols.divisor;
        first = qb__divide(threadIdx.x, a.by_width);
        const uint64_t row = (uint64_t)tile_row * a.tile_rows;
        const uint64_t col = (uint64_t)tile_col * a.tile_cols + (threadIdx.x - first * a.by_width.divisor) * n;
        tile = blockIdx.x;
        step = qb__divide(blockDim.x, a.by_width);
        limit = col < a.cols ? (uint32_t)min((uint64_t)a.tile_rows, a.rows - row) : 0;
        in = (const unsigned char *)a.in + ((row + first) * a.in_stride + col) * qb__in<IN>::size;
        out = a.out + (row + first) * a.out_stride + col;
        in_step = step * a.in_stride * qb__in<IN>::size;
        out_step = step * a.out_stride;
    } else {
        first = threadIdx.x;
        step = blockDim.x;
        tile = blockIdx.x;
        if (a.team_shift != NO_SHIFT) {
            step = 1u << a.team_shift;
            first = threadIdx.x & (step - 1);
            tile = tile * (blockDim.x >> a.team_shift) + (threadIdx.x >> a.team_shift);
        }
        in = (const unsigned char *)a.in + tile * a.in_step * qb__in<IN>::size;
        out = a.out + tile * a.out_step;
        uint32_t length = tile < a.tiles ? (uint32_t)min(a.length, a.total - tile * a.length) : 0;
        if (SHAPE == FLAT) {
            edges.head = min((uint32_t)(-(uintptr_t)in % 16) / qb__in<IN>::size, length);
            length -= edges.head;
            edges.in = in += edges.head * qb__in<IN>::size;
            edges.out = out += edges.head;
            edges.tail = length % n;
            edges.full = length / n;
        }
        limit = length / n;
        in += (size_t)first * 16;
        out += (size_t)first * n;
        in_step = (size_t)step * 16;
        out_step = (size_t)step * n;
    }

    uint4 chunk[DEPTH];
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        chunk[k] = first + k * step < limit ? qb__load16(in + k * in_step) : make_uint4(0, 0, 0, 0);
    }
    float s = 0;
    if (STATIC) {
        s = a.scales[a.one_scale || tile >= a.tiles ? 0 : tile];
    }
    uint32_t acc = 0;
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        acc = qb__max_chunk<IN>(acc, chunk[k]);
    }
    uint32_t amax = qb__max_bits<IN>(acc);
    if (!STATIC) {
        if (SHAPE == FLAT) {
            amax = max(amax, __float_as_uint(qb__edge_max<IN>(edges, first, step)));
        }
        if (SHAPE == TALL || a.team_shift == NO_SHIFT) {
            amax = qb__block_max(amax, warp_max);
        } else {
            for (unsigned offset = step / 2; offset > 0; offset /= 2) {
                amax = max(amax, __shfl_xor_sync(0xffffffffu, amax, offset));
            }
        }
        s = qb__scale<OUT>(amax, a.bound);
        if (first == 0 && tile < a.tiles && (SHAPE != TALL || threadIdx.x == 0)) {
            a.scales[tile] = s;
        }
    }

    const qb__divisor d = qb__divide_by(s);
    if (__uint_as_float(amax) <= d.limit) {
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            if (first + k * step < limit) {
                qb__store16<IN>(out + k * out_step, qb__encode_fast<IN, OUT>(chunk[k], d));
            }
        }
    } else {
        /* Seldom: small is better than fast, and the chunks are read again. */
#pragma unroll 1
        for (; first < limit; first += step) {
            qb__store16<IN>(out, qb__encode_slow<IN, OUT>(qb__load16(in), d));
            in += in_step;
            out += out_step;
        }
    }
    if (SHAPE == FLAT) {
        qb__edge_store<IN, OUT>(edges, a.team_shift == NO_SHIFT ? threadIdx.x : threadIdx.x & (step - 1), step, s);
    }
}

/* ---- Launching ---------------------------------------------------------------------------------------------- */

/* Whether each tile row, STEP elements after the one before, is as far from a multiple of a chunk in the output as in
 * the input. */
static bool in_phase(const struct qb__cuda_call *call, uint64_t in_step, uint64_t out_step, uint64_t tiles)
{
    const size_t size = qb__element_size(call->input), n = 16 / size;

    return (uintptr_t)call->in / size % n == (uintptr_t)call->out % n && (tiles <= 1 || (in_step - out_step) % n == 0);
}

static const void *pick(const struct qb__cuda_call *call, unsigned depth, bool is_static, shape s)
{
#define SET(depth, is_static) \
    {QB__KERNELS(strided, depth, is_static, FLAT_ALIGNED), QB__KERNELS(strided, depth, is_static, FLAT)}
    static const void *const dynamic1[2][9] = SET(1, false);
    static const void *const dynamic2[2][9] = SET(2, false);
    static const void *const dynamic4[2][9] = SET(4, false);
    static const void *const dynamic8[2][9] = SET(8, false);
    static const void *const static2[2][9] = SET(2, true);
    static const void *const static4[2][9] = SET(4, true);
    static const void *const tall8[2][9] = {QB__KERNELS(strided, 8, false, TALL), QB__KERNELS(strided, 8, true, TALL)};
    const unsigned i = qb__index(call);

    if (s == TALL) {
        return tall8[is_static][i];
    }
    if (is_static) {
        return (depth <= 2 ? static2 : static4)[s][i];
    }
    return (depth == 1 ? dynamic1 : depth == 2 ? dynamic2 : depth == 4 ? dynamic4 : dynamic8)[s][i];
}

/* Describe CALL as flat tiles. False if it is none, or none that lies regularly. */
static bool make_flat(const struct qb__cuda_call *call, struct strided_args *a)
{
    const bool dense = call->rows <= 1 || (call->in_stride == call->cols && call->out_stride == call->cols);

    a->tiles = call->scale_rows * call->scale_cols;
    if (a->tiles == 1 && dense) {
        a->in_step = a->out_step = a->length = a->total = call->rows * call->cols;
    } else if (call->scale_cols == 1 && (call->tile_rows == 1 || (call->scale_rows == 1 && call->rows == 1))) {
        /* Rows. */
        a->in_step = call->in_stride;
        a->out_step = call->out_stride;
        a->length = call->cols;
        a->total = call->rows * call->cols;
    } else if (call->tile_rows == 1 && ((dense && call->cols % call->tile_cols == 0) || call->rows == 1)) {
        /* Groups that follow one another. */
        a->in_step = a->out_step = a->length = call->tile_cols;
        a->total = call->rows * call->cols;
    } else {
        return false;
    }
    return in_phase(call, a->in_step, a->out_step, a->tiles);
}

/* Describe CALL as tall tiles, aligned; false if it is not that. THREADS for a depth of MAX_DEPTH. */
static bool make_tall(const struct qb__cuda_call *call, struct strided_args *a, unsigned *threads)
{
    const size_t size = qb__element_size(call->input), n = 16 / size;
    const uint64_t height = call->tile_rows < call->rows ? call->tile_rows : call->rows;
    const uint64_t cols = call->tile_cols < call->cols ? call->tile_cols : call->cols;
    const uint64_t width = cols / n;
    uint64_t t;

    if ((uintptr_t)call->in % 16 != 0 || (uintptr_t)call->out % n != 0 || call->in_stride % n != 0 ||
        call->out_stride % n != 0 || call->cols % n != 0 || cols % n != 0 || width > MAX_THREADS ||
        height > MAX_THREADS * MAX_DEPTH) {
        return false;
    }
    /* Whole warps, and whole rows of the tile. */
    for (t = 32; t <= MAX_THREADS && (t % width != 0 || t / width * MAX_DEPTH < height); t += 32) {
    }
    if (t > MAX_THREADS) {
        return false;
    }
    *threads = (unsigned)t;
    a->rows = call->rows;
    a->cols = call->cols;
    a->in_stride = call->in_stride;
    a->out_stride = call->out_stride;
    a->tile_rows = (uint32_t)height;
    a->tile_cols = (uint32_t)cols;
    a->tiles = call->scale_rows * call->scale_cols;
    a->by_scale_cols = qb__make_fastdiv(call->scale_cols);
    a->by_width = qb__make_fastdiv(width);
    return a->tiles < 0x80000000u;
}

static cudaError_t launch(const struct qb__cuda_call *call, const void *kernel, struct strided_args *a, uint64_t blocks,
                          unsigned threads)
{
    void *args[] = {a};

    a->in = call->in;
    a->out = call->out;
    a->scales = call->scales;
    a->bound = call->bound;
    return cudaLaunchKernel(kernel, dim3((unsigned)blocks), dim3(threads), args, 0, call->stream);
}

/* Run CALL here if it is regular; *DONE says whether. */
extern "C" cudaError_t qb__cuda_strided_run(const struct qb__cuda_call *call, bool is_static, bool *done)
{
    const unsigned n = 16 / qb__element_size(call->input);
    struct strided_args a = {};
    unsigned threads, depth;

    *done = true;
    if (make_flat(call, &a)) {
        const shape s = (uintptr_t)call->in % 16 == 0 && (a.tiles == 1 || a.in_step % n == 0) && a.length % n == 0 &&
                                a.total % n == 0
                            ? FLAT_ALIGNED
                            : FLAT;
        if (is_static && a.tiles == 1) {
            /* One scale, and nothing to reduce: cut as is best. */
            threads = qb__tune("QB_STATIC_THREADS", 512);
            depth = qb__tune("QB_STATIC_DEPTH", 2);
            a.one_scale = 1;
            a.length = a.in_step = a.out_step = (uint64_t)threads * depth * n;
            a.tiles = qb__ceil_div(a.total, a.length);
            a.team_shift = NO_SHIFT;
            return launch(call, pick(call, depth, true, s), &a, a.tiles, threads);
        }
        const uint64_t chunks = a.length < n ? 1 : a.length / n;
        if (chunks <= MAX_THREADS * (is_static ? 4 : MAX_DEPTH)) {
            if (chunks <= 32) {
                depth = qb__tune("QB_GROUP_DEPTH", 2);
            } else {
                depth = qb__tune(is_static ? "QB_SROW_DEPTH" : "QB_ROW_DEPTH", 2);
                while (chunks > (uint64_t)depth * MAX_THREADS) {
                    depth *= 2;
                }
            }
            threads = (unsigned)qb__ceil_div(chunks, depth);
            a.team_shift = NO_SHIFT;
            if (threads <= 32) {
                for (a.team_shift = 0; 1u << a.team_shift < threads; a.team_shift++) {
                }
                threads = qb__tune("QB_GROUP_THREADS", 256);
                return launch(call, pick(call, depth, is_static, s), &a, qb__ceil_div(a.tiles << a.team_shift, threads),
                              threads);
            }
            return launch(call, pick(call, depth, is_static, s), &a, a.tiles, qb__round_up(threads, 32));
        }
    }
    a = {};
    if (make_tall(call, &a, &threads)) {
        return launch(call, pick(call, MAX_DEPTH, is_static, TALL), &a, a.tiles, threads);
    }
    *done = false;
    return cudaSuccess;
}
