/* SPDX-License-Identifier: Apache-2.0 */
/* strided.cu - the kernels for everything regular: rows, groups and blocks whose chunks lie at equal steps. A team of
 * threads loads all of a tile before it stores any of it, and reads nothing twice. Scales are computed (dynamic), given
 * (static), or all that is wanted (amax). */
#include "device.cuh"

/* Threads of a block at most, and chunks that a thread can hold: 1024 x 8 x 16 bytes are a row of 65536 half. */
#define MAX_THREADS 1024
#define MAX_DEPTH   8

/* A tile is either flat, consecutive elements whose chunks a team's threads take in turn; or tall, several rows, where
 * each thread has one column of chunks and rows at equal distances. */
enum shape {
    ROW,    /* flat, aligned, the team is the block */
    GROUP,  /* flat, aligned, the team is a power of two of lanes */
    UNEVEN, /* flat, neither */
    TALL,
};

struct strided_args {
    const unsigned char *in;
    unsigned char *out;
    float *scales;
    uint32_t tiles;
    float bound, qmax;
    /* Flat. A team is 2 to the TEAM_SHIFT threads, or the block if that is NO_SHIFT. */
    uint32_t team_shift;
    uint32_t in_step, out_step; /* bytes from one tile to the next */
    uint32_t length, total;     /* elements in a tile and, static only, in all, as the last may be shorter; if aligned,
                                   chunks */
    uint32_t one_scale;         /* all tiles have the same */
    /* Tall: one block of threads for each tile. */
    uint64_t rows, cols, in_stride, out_stride;
    uint32_t tile_rows, tile_cols;
    qb__fastdiv by_scale_cols, by_width; /* width: chunks in a row of the tile; divides the threads */
};

#define NO_SHIFT 31u

/* The loads come first, all of them. Of depth 2 as many threads as a multiprocessor can have should fit in it, which
 * leaves 32 registers for each where that is 2048. */
#if defined(__CUDA_ARCH__) &&                                                                                          \
    (__CUDA_ARCH__ < 800 || (__CUDA_ARCH__ >= 860 && __CUDA_ARCH__ < 900) || __CUDA_ARCH__ >= 1100)
#define MOST_BLOCKS 1
#else
#define MOST_BLOCKS 2
#endif

/* For SCALING amax, OUT does not count. */
template <int IN, int OUT, int DEPTH, qb_scaling SCALING, shape SHAPE>
__global__ void __launch_bounds__(MAX_THREADS, DEPTH <= 2 && SHAPE != UNEVEN ? MOST_BLOCKS : 1)
    strided(const strided_args a)
{
    const bool STATIC = SCALING == QB_SCALING_STATIC;
    const unsigned n = qb__in<IN>::chunk;
    const bool LARGE = (SHAPE == ROW || SHAPE == TALL) && !STATIC;
    const unsigned char *const begin = LARGE ? qb__wait(a.in) : qb__begin(a.in);
    __shared__ uint32_t warp_max[32];
    /* This thread's chunk K is at IN + K * IN_STEP, if FIRST + K * STEP < LIMIT. */
    const unsigned char *in;
    unsigned char *out;
    size_t in_step, out_step;
    uint32_t tile, first, step, limit;
    unsigned lane = threadIdx.x, team = blockDim.x;
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
        in = begin + ((row + first) * a.in_stride + col) * qb__in<IN>::size;
        out = a.out + (row + first) * a.out_stride + col;
        in_step = step * a.in_stride * qb__in<IN>::size;
        out_step = step * a.out_stride;
    } else {
        tile = blockIdx.x;
        if (SHAPE == ROW || (SHAPE == UNEVEN && a.team_shift == NO_SHIFT)) {
            /* Each warp has a stretch to itself. */
            first = threadIdx.x / 32 * (32 * DEPTH) + threadIdx.x % 32;
            step = 32;
        } else {
            team = step = 1u << a.team_shift;
            first = lane = threadIdx.x & (step - 1);
            tile = tile * (blockDim.x >> a.team_shift) + (threadIdx.x >> a.team_shift);
        }
        in = begin + (uint64_t)tile * a.in_step;
        out = a.out + (uint64_t)tile * a.out_step;
        limit = tile < a.tiles ? a.length : 0;
        if (STATIC) {
            limit = min(limit, a.total - tile * a.length);
        }
        if (SHAPE == UNEVEN) {
            edges.head = min((uint32_t)(-(uintptr_t)in % 16) / qb__in<IN>::size, limit);
            edges.in = in += edges.head * qb__in<IN>::size;
            edges.out = out += edges.head;
            edges.full = (limit - edges.head) / n;
            edges.tail = (limit - edges.head) % n;
            limit = edges.full;
        }
        in += first * 16;
        out += first * n;
        in_step = step * 16;
        out_step = step * n;
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
        if (SHAPE == UNEVEN) {
            amax = max(amax, __float_as_uint(qb__edge_max<IN>(edges, lane, team)));
        }
        if (SHAPE == TALL || SHAPE == ROW || (SHAPE == UNEVEN && a.team_shift == NO_SHIFT)) {
            amax = qb__block_max(amax, warp_max);
            if (LARGE) {
                qb__let_next();
            }
        } else {
            for (unsigned offset = step / 2; offset > 0; offset /= 2) {
                amax = max(amax, __shfl_xor_sync(0xffffffffu, amax, offset));
            }
        }
        s = SCALING == QB_SCALING_AMAX ? qb__scale(amax, a.bound, a.qmax) : qb__scale<OUT>(amax, a.bound);
        if (lane == 0 && tile < a.tiles) {
            a.scales[tile] = s;
        }
    }
    if (SCALING == QB_SCALING_AMAX) {
        return;
    }

    const qb__divisor d = qb__divide_by<IN>(s);
    if (qb__is_fast<IN>(amax, d.limit)) {
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            if (first + k * step < limit) {
                qb__store16<IN>(out + k * out_step, qb__encode_fast<IN, OUT>(chunk[k], d));
            }
        }
    } else {
        /* Seldom: small is better than fast, and the chunks are read again. */
#pragma unroll 1
        for (int k = 0; k < DEPTH; k++) {
            if (first + k * step < limit) {
                qb__store16<IN>(out + k * out_step, qb__encode_slow<IN, OUT>(qb__load16(in + k * in_step), d));
            }
        }
    }
    if (SHAPE == UNEVEN) {
        qb__edge_store<IN, OUT>(edges, lane, team, s);
    }
}

/* ---- Launching ---------------------------------------------------------------------------------------------- */

/* Depth 2 is the fastest where a block is large enough for it (a depth of 1 costs up to 40 %, as does one of 4 for
 * groups of 64). Uneven rows are better off with 4, which leaves fewer threads to find out where the edges are. */
static const void *pick(const struct qb__cuda_call *call, unsigned depth, shape s)
{
/* Of each scaling, indexed by it. */
#define SCALINGS(depth, shape)                                                                                         \
    {                                                                                                                  \
        QB__KERNELS(strided, depth, QB_SCALING_DYNAMIC, shape), QB__KERNELS(strided, depth, QB_SCALING_STATIC, shape), \
            QB__KERNELS_OF_ANY_OUTPUT(strided, depth, QB_SCALING_AMAX, shape)                                          \
    }
    static const void *const row[3][QB_SCALING_COUNT][9] = {
        SCALINGS(2, ROW),
        SCALINGS(4, ROW),
        /* Rows with given scales are cut, not held. */
        {QB__KERNELS(strided, 8, QB_SCALING_DYNAMIC, ROW),
         {},
         QB__KERNELS_OF_ANY_OUTPUT(strided, 8, QB_SCALING_AMAX, ROW)}};
    static const void *const uneven[2][QB_SCALING_COUNT][9] = {SCALINGS(2, UNEVEN), SCALINGS(4, UNEVEN)};
    static const void *const group[QB_SCALING_COUNT][9] = SCALINGS(2, GROUP);
    static const void *const tall[QB_SCALING_COUNT][9] = SCALINGS(MAX_DEPTH, TALL);
    const unsigned i = qb__index(call), level = depth == 2 ? 0 : depth == 4 ? 1 : 2;

    switch (s) {
    case ROW:
        return row[level][call->scaling][i];
    case UNEVEN:
        return uneven[level][call->scaling][i];
    case GROUP:
        return group[call->scaling][i];
    default:
        return tall[call->scaling][i];
    }
}

/* False if CALL's tiles are not flat, or not regular. */
static bool make_flat(const struct qb__cuda_call *call, struct qb__flat *f)
{
    f->tiles = call->scale_rows * call->scale_cols;
    f->total = call->rows * call->cols;
    if (call->scale_cols == 1 && (call->tile_rows == 1 || call->rows == 1)) {
        /* Rows. */
        f->in_step = call->in_stride;
        f->out_step = call->out_stride;
        f->length = call->rows > 0 ? call->cols : 0;
    } else if (call->tile_rows == 1 && qb__is_dense(call) && call->cols % call->tile_cols == 0) {
        /* Groups that follow one another. */
        f->in_step = f->out_step = f->length = call->tile_cols;
    } else {
        return false;
    }
    return qb__in_phase(call, f->in_step, f->out_step, f->tiles);
}

/* True if all chunks of F are full ones, and aligned. */
static bool is_even(const struct qb__cuda_call *call, const struct qb__flat *f)
{
    const unsigned n = 16 / qb__element_size(call->input);

    return (uintptr_t)call->in % 16 == 0 && (f->tiles == 1 || f->in_step % n == 0) && f->length % n == 0 &&
           f->total % n == 0;
}

/* Put F into A; false if it does not fit in 32 bits. */
static bool put_flat(const struct qb__cuda_call *call, const struct qb__flat *f, bool is_static, shape *s,
                     struct strided_args *a)
{
    const unsigned size = qb__element_size(call->input), n = 16 / size;
    const uint64_t most = 0x7fffffff;
    const bool even = is_even(call, f);

    *s = !even ? UNEVEN : f->length / n <= 2 * 32 ? GROUP : ROW;
    if (f->tiles > most || (f->tiles > 1 && (f->in_step > most / size || f->out_step > most)) || f->length > most ||
        (is_static && f->total > most)) {
        return false;
    }
    a->tiles = (uint32_t)f->tiles;
    a->in_step = (uint32_t)(f->tiles > 1 ? f->in_step * size : 0);
    a->out_step = (uint32_t)(f->tiles > 1 ? f->out_step : 0);
    a->length = (uint32_t)(even ? f->length / n : f->length);
    a->total = (uint32_t)(even ? f->total / n : f->total);
    return true;
}

/* Describe CALL as tall tiles, aligned; false if it is not that. THREADS for a depth of MAX_DEPTH. */
static bool make_tall(const struct qb__cuda_call *call, struct strided_args *a, unsigned *threads)
{
    const size_t size = qb__element_size(call->input), n = 16 / size;
    const uint64_t height = call->tile_rows < call->rows ? call->tile_rows : call->rows;
    const uint64_t cols = call->tile_cols < call->cols ? call->tile_cols : call->cols;
    const uint64_t width = cols / n, tiles = call->scale_rows * call->scale_cols;
    uint64_t t;

    if ((uintptr_t)call->in % 16 != 0 || (uintptr_t)call->out % n != 0 || call->in_stride % n != 0 ||
        call->out_stride % n != 0 || call->cols % n != 0 || cols % n != 0 || width > MAX_THREADS ||
        height > MAX_THREADS * MAX_DEPTH || tiles > 0x7fffffff) {
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
    a->tiles = (uint32_t)tiles;
    a->by_scale_cols = qb__make_fastdiv(call->scale_cols);
    a->by_width = qb__make_fastdiv(width);
    return true;
}

static cudaError_t launch(const struct qb__cuda_call *call, const void *kernel, struct strided_args *a, uint64_t blocks,
                          unsigned threads)
{
    void *args[] = {a};

    a->in = (const unsigned char *)call->in;
    a->out = call->out;
    a->scales = call->scales;
    a->bound = call->bound;
    a->qmax = qb__qmax_of(call);
    return qb__launch(call, kernel, blocks, dim3(threads), args);
}

extern "C" cudaError_t qb__cuda_strided_run(const struct qb__cuda_call *call, bool *done)
{
    const bool is_static = call->scaling == QB_SCALING_STATIC;
    const unsigned n = 16 / qb__element_size(call->input);
    struct strided_args a = {};
    struct qb__flat f;
    unsigned threads, depth;
    shape s;

    if (make_flat(call, &f)) {
        if (is_even(call, &f)) {
            const cudaError_t error = qb__cuda_few_run(call, &f, done);
            if (*done) {
                return error;
            }
        }
        *done = true;
        const uint64_t chunks = f.length < n ? 1 : f.length / n;
        if (is_static && f.tiles == 1) {
            /* One scale, and nothing to reduce: cut as is best. */
            threads = qb__block_threads(call, f.total / n);
            depth = 2;
            a.one_scale = 1;
            a.team_shift = NO_SHIFT;
            f.length = f.in_step = f.out_step = (uint64_t)threads * depth * n;
            f.tiles = qb__ceil_div(f.total, f.length);
            if (put_flat(call, &f, true, &s, &a)) {
                return launch(call, pick(call, depth, s), &a, f.tiles, threads);
            }
        } else if (put_flat(call, &f, is_static, &s, &a) &&
                   chunks <= MAX_THREADS * (is_static || s == UNEVEN ? 4 : MAX_DEPTH)) {
            depth = s == UNEVEN && chunks > 2 * 32 ? 4 : 2;
            while (chunks > (uint64_t)depth * MAX_THREADS) {
                depth *= 2;
            }
            threads = (unsigned)qb__ceil_div(chunks, depth);
            if (s == GROUP || (s == UNEVEN && threads <= 32)) {
                for (a.team_shift = 0; 1u << a.team_shift < threads; a.team_shift++) {
                }
                threads = qb__block_threads(call, f.total / n);
                return launch(call, pick(call, depth, s), &a, qb__ceil_div(f.tiles << a.team_shift, threads), threads);
            }
            a.team_shift = NO_SHIFT;
            return launch(call, pick(call, depth, s), &a, f.tiles, qb__round_up(threads, 32));
        }
    }
    a = {};
    *done = true;
    if (make_tall(call, &a, &threads)) {
        return launch(call, pick(call, MAX_DEPTH, TALL), &a, a.tiles, threads);
    }
    *done = false;
    return cudaSuccess;
}
