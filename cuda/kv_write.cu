/* SPDX-License-Identifier: Apache-2.0 */
/* kv_write.cu - keys and values into the pages of a cache, in one launch: chunks of 16 bytes where heads are whole
 * chunks, else tile by tile. What a token's slot says decides only where codes go, so elements are loaded at the same
 * time as slots. */
#include "pages.cuh"
#include "tail.cuh"

#define THREADS 256u
#define WARPS   (THREADS / 32)

/* What is written, and by which scales. */
struct cache {
    uint8_t *codes;
    float *scales; /* of all slots, or those that are given */
    uint64_t slots;
    uint64_t tile_cols, scale_cols; /* scale_cols: of the keys */
    bool is_static;
    float bound;
};

struct chunk_args {
    const void *in;
    const int64_t *slots;
    cache to;
    qb__pages pages;  /* in chunks */
    uint64_t in_step; /* bytes from one row to the next */
    uint32_t rows;
    uint32_t team; /* chunks that share a scale, if they are lanes of a warp */
    qb__fastdiv by_tile;
};

/* Write SCALE, of the tile that chunk COL is in, to SLOT. */
__device__ __forceinline__ void write_scale(const chunk_args &a, float scale, int64_t slot, uint32_t col)
{
    const uint32_t side = col >= a.pages.half;

    a.to.scales[(side * a.to.slots + (uint64_t)slot) * a.to.scale_cols +
                qb__divide(col - side * a.pages.half, a.by_tile)] = scale;
}

/* The scale of a tile whose amax has the bits AMAX. */
template <int OUT> __device__ __forceinline__ float scale_of(const chunk_args &a, uint32_t amax)
{
    return qb__scale<OUT>(amax, a.to.bound);
}

/* The divisors of the tiles that the chunks X are in, from the lanes that have the others; the first lane of a tile
 * writes its scale. All lanes of a warp call this. Returns true if all chunks may take the fast way. */
template <int IN, int OUT, int DEPTH>
__device__ __forceinline__ bool find_divisors(const chunk_args &a, const uint4 *x, const int64_t *slot,
                                              const uint32_t *col, qb__divisor *d)
{
    const uint32_t lane = threadIdx.x % 32;

    if constexpr (IN == QB_FORMAT_F32) {
        bool fast = true;
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            uint32_t amax = qb__max_bits<IN>(qb__max_chunk<IN>(0, x[k]));
            for (uint32_t offset = 1; offset < a.team; offset *= 2) {
                amax = max(amax, __shfl_xor_sync(0xffffffffu, amax, offset));
            }
            const float scale = scale_of<OUT>(a, amax);
            if (qb__is_slot(a.to.slots, slot[k]) && (lane & (a.team - 1)) == 0) {
                write_scale(a, scale, slot[k], col[k]);
            }
            d[k] = qb__divide_by<IN>(scale);
            fast = fast && __uint_as_float(amax) < d[k].limit;
        }
        return __all_sync(0xffffffffu, fast);
    } else {
        const uint32_t others = a.team - 1, mine = lane % DEPTH;
        const uint32_t amax = qb__group_amax<IN, DEPTH, 1>(x, others, mine);
        const int64_t my_slot = mine == 0 ? slot[0] : slot[DEPTH - 1];
        const uint32_t my_col = mine == 0 ? col[0] : col[DEPTH - 1];
        const float scale = scale_of<OUT>(a, amax);

        if (qb__is_slot(a.to.slots, my_slot) && (lane & others) == mine) {
            write_scale(a, scale, my_slot, my_col);
        }
        const qb__divisor my_d = qb__divide_by<IN>(scale);
        const bool fast =
            __all_sync(0xffffffffu, __uint_as_float(amax) < my_d.limit || !qb__is_slot(a.to.slots, my_slot));
        qb__hand_out<DEPTH>(my_d, mine, fast, d);
        return fast;
    }
}

/* The divisors of the chunks X, whose scales are given. Returns true if all chunks may take the fast way. */
template <int IN, int DEPTH>
__device__ __forceinline__ bool given_divisors(const chunk_args &a, const uint4 *x, const uint32_t *col, qb__divisor *d)
{
    bool fast = true;

#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        d[k] = qb__divide_by<IN>(a.to.scales[qb__divide(col[k], a.by_tile)]);
        fast = fast && __uint_as_float(qb__max_bits<IN>(qb__max_chunk<IN>(0, x[k]))) < d[k].limit;
    }
    return fast;
}

/* A thread has DEPTH chunks, one or two, which it loads before it uses one; those of a warp are side by side. */
template <int IN, int OUT, bool STATIC, int DEPTH>
__global__ void __launch_bounds__(THREADS) kv_chunks(const chunk_args a)
{
    const unsigned char *const in = (const unsigned char *)qb__begin(a.in);
    const uint32_t first = blockIdx.x * (THREADS * DEPTH) + threadIdx.x / 32 * (32 * DEPTH) + threadIdx.x % 32;
    uint32_t row[DEPTH], col[DEPTH];
    int64_t slot[DEPTH];
    uint4 x[DEPTH];
    qb__divisor d[DEPTH];
    qb__codes<IN> codes[DEPTH];

#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        row[k] = qb__divide(first + 32 * k, a.pages.by_row);
        col[k] = first + 32 * k - row[k] * a.pages.by_row.divisor;
        slot[k] = row[k] < a.rows ? a.slots[row[k]] : -1;
        x[k] = row[k] < a.rows ? qb__load16(in + row[k] * a.in_step + (uint64_t)col[k] * 16) : make_uint4(0, 0, 0, 0);
    }
    const bool fast =
        STATIC ? given_divisors<IN, DEPTH>(a, x, col, d) : find_divisors<IN, OUT, DEPTH>(a, x, slot, col, d);
    if (fast) {
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            codes[k] = qb__encode_fast<IN, OUT>(x[k], d[k]);
        }
    } else {
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            codes[k] = qb__encode_slow<IN, OUT>(x[k], d[k]);
        }
    }
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        if (qb__is_slot(a.to.slots, slot[k])) {
            qb__store16<IN>(a.to.codes + qb__place_in_pages(a.pages, (uint32_t)slot[k], col[k]) * qb__in<IN>::chunk,
                            codes[k]);
        }
    }
}

/* ---- Any shape ----------------------------------------------------------------------------------------------------
 */

struct tile_args {
    const void *in;
    const int64_t *slots;
    cache to;
    qb__any_pages pages;      /* in elements */
    uint64_t rows, in_stride; /* elements */
};

/* The largest |x| of COUNT elements from element FIRST on, for all lanes of a warp. */
template <int IN> __device__ __forceinline__ uint32_t amax_of(const void *in, uint64_t first, uint64_t count)
{
    float amax = 0;

    for (uint64_t i = threadIdx.x % 32; i < count; i += 32) {
        amax = fmaxf(amax, fabsf(qb__load_element<IN>(in, (int64_t)(first + i))));
    }
    return qb__warp_max(__float_as_uint(amax));
}

/* A warp has a tile of a token at a time, element by element. */
template <int IN, int OUT> __global__ void __launch_bounds__(THREADS) kv_tiles(const tile_args a)
{
    const void *const in = qb__begin(a.in);
    const uint64_t tiles = 2 * a.to.scale_cols, step = (uint64_t)gridDim.x * WARPS;

    for (uint64_t i = (uint64_t)blockIdx.x * WARPS + threadIdx.x / 32; i < a.rows * tiles; i += step) {
        const uint64_t row = i / tiles, tile = i % tiles, col = tile * a.to.tile_cols;
        const int64_t slot = a.slots[row];
        float scale;

        if (!qb__is_slot(a.to.slots, slot)) {
            continue;
        }
        if (a.to.is_static) {
            scale = a.to.scales[tile];
        } else {
            scale = qb__scale<OUT>(amax_of<IN>(in, row * a.in_stride + col, a.to.tile_cols), a.to.bound);
            if (threadIdx.x % 32 == 0) {
                a.to.scales[((tile >= a.to.scale_cols) * a.to.slots + (uint64_t)slot) * a.to.scale_cols +
                            tile % a.to.scale_cols] = scale;
            }
        }
        for (uint64_t k = threadIdx.x % 32; k < a.to.tile_cols; k += 32) {
            a.to.codes[qb__place_in_any_pages(a.pages, (uint64_t)slot, col + k)] =
                qb__encode1<OUT>(qb__load_element<IN>(in, (int64_t)(row * a.in_stride + col + k)), scale);
        }
    }
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

static cache cache_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    cache c = {};

    c.codes = call->out;
    c.scales = call->scales;
    c.slots = p->pages * p->page_size;
    c.tile_cols = call->tile_cols;
    c.scale_cols = call->scale_cols / 2;
    c.is_static = call->scaling == QB_SCALING_STATIC;
    c.bound = call->bound;
    return c;
}

/* True if heads and what shares a scale are whole chunks, aligned, and scales that are computed are of a few lanes. */
static bool is_regular(const struct qb__cuda_call *call, const cache &c)
{
    const unsigned n = 16 / qb__element_size(call->input);
    const uint64_t team = c.tile_cols / n;

    return qb__head_size(call->problem) % n == 0 && c.tile_cols % n == 0 && call->in_stride % n == 0 &&
           qb__has_pages(call, n) && (c.is_static || (team <= 32 && (team & (team - 1)) == 0)) &&
           (uintptr_t)call->in % 16 == 0 && (uintptr_t)call->out % n == 0;
}

static chunk_args chunk_args_of(const struct qb__cuda_call *call, const cache &c)
{
    const unsigned n = 16 / qb__element_size(call->input);
    chunk_args a = {};

    a.in = call->in;
    a.slots = call->slots;
    a.to = c;
    a.in_step = call->in_stride * qb__element_size(call->input);
    a.pages = qb__pages_of(call, n);
    a.rows = (uint32_t)call->rows;
    a.team = (uint32_t)(c.tile_cols / n);
    a.by_tile = qb__make_fastdiv(a.team);
    return a;
}

static cudaError_t run_chunks(const struct qb__cuda_call *call, chunk_args &a)
{
    static const void *const given[2][9] = {QB__KERNELS(kv_chunks, true, 1), QB__KERNELS(kv_chunks, true, 2)};
    static const void *const computed[2][9] = {QB__KERNELS(kv_chunks, false, 1), QB__KERNELS(kv_chunks, false, 2)};
    const uint64_t chunks = (uint64_t)a.rows * 2 * a.pages.half, threads = (uint64_t)call->limits->units * 2048;
    /* Two for each thread as soon as there are enough for all multiprocessors. */
    const unsigned depth = 2 * chunks >= 3 * threads && (a.to.is_static || a.team >= 2) ? 2 : 1;
    void *args[] = {&a};

    return qb__launch(call, (a.to.is_static ? given : computed)[depth - 1][qb__index(call)],
                      qb__ceil_div(chunks, THREADS * depth), dim3(THREADS), args);
}

cudaError_t qb__cuda_kv_write_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[] = QB__KERNELS(kv_tiles);
    const cache c = cache_of(call);
    tile_args a = {call->in, call->slots, c, qb__any_pages_of(call, 1), call->rows, call->in_stride};
    void *args[] = {&a};

    if (call->rows == 0) {
        return cudaSuccess;
    }
    if (is_regular(call, c)) {
        chunk_args regular = chunk_args_of(call, c);
        return run_chunks(call, regular);
    }
    const uint64_t blocks = qb__ceil_div(call->rows * 2 * c.scale_cols, WARPS);
    return qb__launch(call, kernels[qb__index(call)], blocks < 0x7fffffffu ? blocks : 0x7fffffffu, dim3(THREADS), args);
}
