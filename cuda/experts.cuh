/* SPDX-License-Identifier: Apache-2.0 */
/* experts.cuh - the rows of experts: which of them exist is known on the device only. Each block adds up the rows of
 * all experts, and then the grid takes rows that exist, one after the other; so rows that do not exist cost nothing. An
 * expert's codes and scales are those of a problem of its own, at places of its own. */
#ifndef QB_CUDA_EXPERTS_CUH
#define QB_CUDA_EXPERTS_CUH

#include "any.cuh"
#include "gated.cuh"
#include "tail.cuh"

/* Threads of a block, but where it has a row. */
#define EXPERTS_THREADS 256u

/* Blocks that a multiprocessor is to hold of a kernel of which an H200 holds EACH. */
constexpr unsigned experts_resident(unsigned each)
{
    return each < QB__MOST_THREADS / EXPERTS_THREADS ? each : QB__MOST_THREADS / EXPERTS_THREADS;
}

/* What is done before a quantization: one of enum qb__activations, or nothing. */
#define PLAIN      QB__ACTIVATIONS
#define OPERATIONS (QB__ACTIVATIONS + 1)

struct experts_args {
    const void *in;
    void *values; /* NULL: not kept */
    const int64_t *table;
    uint32_t experts, room; /* rows that one can have */
    uint32_t height, tiles; /* of tiles of scales, and rows of tiles in all; 0: there are none */
    bool masked;
    uint64_t by_row, by_expert, by_tile; /* elements of scales in front of an expert's: those of rows, ... */
    uint64_t cols, in_step;
    qb__fastdiv segments; /* of a row: a warp takes one at a time */
    bool reverse;         /* from the last one to the first: L2 has what an amax was just found of */
    qb__tail tail;
    qb__pair_places pairs;
    uint32_t *amax; /* of each expert: zero at rest; NULL: not wanted */
    bool pads;      /* scales have padding that is written */
    struct {
        uint32_t row, shift; /* of a row; a group has 2 to this */
        uint32_t bytes;      /* of codes */
        bool dense;
    } spans;
    /* Element by element. */
    any_format output;
    qb_format input, stored; /* of the input and of values */
    uint64_t in_stride, group;
    uint64_t units; /* of a row: codes that fill whole bytes */
    bool gated;
};

/* ---- The rows of experts -------------------------------------------------------------------------------------------
 */

/* The sums of a block, in shared memory. */
struct experts_sums {
    uint32_t *rows;  /* in front of each expert, and in all */
    uint32_t *tiles; /* the same of rows of tiles */
};

extern __shared__ uint32_t experts_memory[];

/* Bytes of it. */
static inline size_t experts_shared(uint32_t experts)
{
    return 2 * (experts + 1) * sizeof(uint32_t);
}

__device__ __forceinline__ experts_sums experts_sums_of(const experts_args &a)
{
    return {experts_memory, experts_memory + a.experts + 1};
}

/* A + B, at most MOST. */
__device__ __forceinline__ uint32_t capped(uint32_t a, uint32_t b, uint32_t most)
{
    return (uint32_t)min((uint64_t)a + b, (uint64_t)most);
}

/* The first row of expert E, and how many it has; whatever the table says, they exist. */
__device__ __forceinline__ uint32_t experts_first(const experts_args &a, uint32_t e)
{
    return a.masked ? e * a.room : (uint32_t)min(max(a.table[e], (int64_t)0), (int64_t)a.room);
}

__device__ __forceinline__ uint32_t experts_rows(const experts_args &a, uint32_t e)
{
    const int64_t room = a.room, first = a.masked ? 0 : experts_first(a, e);

    return (uint32_t)(min(max(a.table[a.masked ? e : e + 1], first), room) - first);
}

/* The sum of VALUE over the lanes up to this one, at most MOST. */
__device__ __forceinline__ uint32_t warp_sum_up(uint32_t value, uint32_t most)
{
    const unsigned lane = threadIdx.x % 32;

#pragma unroll
    for (unsigned offset = 1; offset < 32; offset *= 2) {
        const uint32_t other = __shfl_up_sync(0xffffffffu, value, offset);
        value = lane >= offset ? capped(value, other, most) : value;
    }
    return value;
}

/* Fill the block's sums. A table that is not valid gives no more rows, and no more tiles, than there are. */
__device__ __forceinline__ experts_sums experts_begin(const experts_args &a)
{
    const experts_sums s = experts_sums_of(a);
    const uint32_t all = a.masked ? a.experts * a.room : a.room, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    __shared__ uint32_t row_sums[32], tile_sums[32];
    uint32_t rows_before = 0, tiles_before = 0;

    if (threadIdx.x == 0) {
        s.rows[0] = s.tiles[0] = 0;
    }
    for (uint32_t base = 0; base < a.experts; base += blockDim.x) {
        const uint32_t e = base + threadIdx.x;
        uint32_t rows = e < a.experts ? experts_rows(a, e) : 0;
        uint32_t tiles = a.height > 0 ? (rows + a.height - 1) / a.height : 0;

        rows = warp_sum_up(rows, all);
        tiles = warp_sum_up(tiles, a.tiles);
        if (threadIdx.x % 32 == 31) {
            row_sums[warp] = rows;
            tile_sums[warp] = tiles;
        }
        __syncthreads();
        for (uint32_t w = 0; w < warps; w++) {
            rows = w < warp ? capped(rows, row_sums[w], all) : rows;
            tiles = w < warp ? capped(tiles, tile_sums[w], a.tiles) : tiles;
        }
        if (e < a.experts) {
            s.rows[e + 1] = capped(rows, rows_before, all);
            s.tiles[e + 1] = capped(tiles, tiles_before, a.tiles);
        }
        for (uint32_t w = 0; w < warps; w++) {
            rows_before = capped(rows_before, row_sums[w], all);
            tiles_before = capped(tiles_before, tile_sums[w], a.tiles);
        }
        __syncthreads();
    }
    return s;
}

/* An expert, and a row of it. */
struct experts_place {
    uint32_t expert, row; /* among its rows */
    uint32_t first;       /* of its rows */
    bool valid;           /* there are tiles for its scales */
};

/* Where number V of all rows is. All lanes of a warp ask for the same one, and look at one of 32 parts each. */
__device__ __forceinline__ experts_place experts_find(const experts_args &a, const experts_sums &s, uint32_t v)
{
    const uint32_t lane = threadIdx.x % 32;
    uint32_t low = 0, count = a.experts; /* s.rows[low] <= v < s.rows[low + count] */

    while (count > 1) {
        const uint32_t part = (count + 31) / 32;
        const bool begins = lane * part < count && s.rows[low + lane * part] <= v;
        const uint32_t skipped = (31 - __clz(__ballot_sync(0xffffffffu, begins))) * part;
        low += skipped;
        count = min(part, count - skipped);
    }
    const uint32_t row = v - s.rows[low];
    return {low, row, experts_first(a, low),
            a.height == 0 || a.masked || row / a.height < s.tiles[low + 1] - s.tiles[low]};
}

/* Segments of all rows. */
__device__ __forceinline__ uint64_t experts_segments(const experts_args &a, const experts_sums &s)
{
    return (uint64_t)s.rows[a.experts] * a.segments.divisor;
}

/* Where segment U of these is, and its number in its row. */
__device__ __forceinline__ experts_place experts_segment(const experts_args &a, const experts_sums &s, uint64_t u,
                                                         uint32_t *number)
{
    uint64_t rest;
    const uint64_t place = a.reverse ? experts_segments(a, s) - 1 - u : u;
    const uint64_t v = qb__divide64(place, a.segments.divisor, a.segments, &rest);

    *number = (uint32_t)rest;
    return experts_find(a, s, (uint32_t)v);
}

/* The quantization of the rows of the expert of P: row 0 is its first. */
__device__ __forceinline__ qb__tail experts_tail(const experts_args &a, const experts_sums &s, const experts_place &p)
{
    const uint64_t first = p.first;
    const uint64_t scales = first * a.by_row + p.expert * a.by_expert + s.tiles[p.expert] * a.by_tile;
    const unsigned size = a.tail.scales.format == QB_FORMAT_F32 ? 4 : a.tail.scales.format == QB_FORMAT_F16 ? 2 : 1;
    qb__tail t = a.tail;

    t.out += first * t.out_step;
    t.scales.memory = (unsigned char *)t.scales.memory + scales * size;
    return t;
}

/* Write the padding of all experts' scales, which are bytes: a block takes whole experts. */
__device__ __forceinline__ void experts_pad(const experts_args &a, const experts_sums &s)
{
    const uint32_t cols = (uint32_t)a.tail.scales.cols, wide = 4 * (uint32_t)a.tail.scales.layout.across;

    for (uint32_t e = blockIdx.x; e < a.experts && a.pads; e += gridDim.x) {
        const qb__tail t = experts_tail(a, s, {e, 0, experts_first(a, e), true});
        const uint32_t rows = s.rows[e + 1] - s.rows[e], height = a.height > 0 ? a.height : 1;
        const uint32_t most = a.masked || a.height == 0 ? 0x7fffffffu : (s.tiles[e + 1] - s.tiles[e]) * a.height;
        const uint64_t right = wide - cols, beside = rows * right;
        const uint64_t below = (uint64_t)((rows + height - 1) / height * height - rows) * wide;

        for (uint64_t i = threadIdx.x; i < beside + below; i += blockDim.x) {
            const uint64_t row = i < beside ? i / right : rows + (i - beside) / wide;
            const uint64_t col = i < beside ? cols + i % right : (i - beside) % wide;
            if (row < most) {
                ((uint8_t *)t.scales.memory)[qb__place(t.scales.layout, row, col)] = 0;
            }
        }
    }
}

/* ---- Chunks --------------------------------------------------------------------------------------------------------
 */

/* What is read for a chunk of values. */
template <int OP> struct experts_chunk {
    qb__pair pair;
};
template <> struct experts_chunk<PLAIN> {
    uint4 x;
};

template <int OP>
__device__ __forceinline__ experts_chunk<OP> experts_load(const experts_args &a, const unsigned char *row, uint32_t col,
                                                          bool valid)
{
    experts_chunk<OP> c;

    if constexpr (OP == PLAIN) {
        c.x = valid ? qb__load16(row + (uint64_t)col * 16) : make_uint4(0, 0, 0, 0);
    } else {
        c.pair = qb__load_pair(a.pairs, row, col, valid);
    }
    return c;
}

/* Its values, which are kept if that is wanted: VALUES are those of the row. */
template <int IN, int OP>
__device__ __forceinline__ uint4 experts_values(const experts_args &a, const experts_chunk<OP> &c, uint4 *values,
                                                uint32_t col, bool valid)
{
    if constexpr (OP == PLAIN) {
        return c.x;
    } else {
        const uint4 z = qb__pair_values<IN, OP>(a.pairs, c.pair);
        if (a.values != NULL && valid) {
            values[col] = qb__plain_nans<IN>(z);
        }
        return z;
    }
}

/* The tensor scale of an expert, and what it makes of an amax: read, or found from its amax. */
__device__ __forceinline__ qb__tensor_factors experts_factors(const experts_args &a, uint32_t expert)
{
    const qb__scales &s = a.tail.scales;

    if (a.amax != NULL) {
        const float encode = qb__tensor_encode(a.amax[expert], s);
        return {__fmul_rn(encode, s.reciprocal), __fdiv_rn(1.0f, encode)};
    }
    const float g = s.tensor_scale != NULL ? s.tensor_scale[expert] : 1.0f;
    return {__fmul_rn(__frcp_rn(g), s.reciprocal), g};
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

/* Rows that are expected to exist. */
static inline uint64_t experts_expected(const struct qb__cuda_call *call)
{
    return call->problem->expert_tokens > 0 ? call->problem->expert_tokens : call->rows;
}

/* Launch KERNEL of CALL with A: blocks for COUNT pieces of work of blocks, of which EACH fit on a multiprocessor. */
static inline cudaError_t experts_launch(const struct qb__cuda_call *call, const void *kernel, uint64_t count,
                                         unsigned each, unsigned threads, experts_args &a)
{
    const uint64_t most = (uint64_t)call->limits->units * each, least = count == 0 ? 1 : count;
    void *args[] = {&a};

    return qb__launch(call, kernel, least < most ? least : most, dim3(threads), args, experts_shared(a.experts));
}

static inline int experts_operation(const struct qb__cuda_call *call)
{
    return call->problem->operation == QB_OPERATION_QUANTIZE ? PLAIN : qb__gate_of(call->problem).activation;
}

/* experts_spans.cu: narrow codes, and scales that are given or of groups; 16 elements at a time. */
bool experts_spans_fit(const struct qb__cuda_call *call);
cudaError_t experts_spans_run(const struct qb__cuda_call *call, experts_args &a);

#endif
