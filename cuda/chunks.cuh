/* SPDX-License-Identifier: Apache-2.0 */
/* chunks.cuh - operations fused with a quantization, whose values come chunk by chunk: each follows from what one
 * thread reads, and needs no others of its row. Kernels for scales that are given, or of rows and groups. A SOURCE has:
 *
 *   args                                  the kernel's arguments: see qb__chunk_args
 *   chunk                                 what is read for a chunk of values
 *   load(args, in, row, col, valid)       reads it, if it is VALID
 *   values(args, chunk, row, col, valid)  makes its values, and keeps them if that is wanted */
#ifndef QB_CUDA_CHUNKS_CUH
#define QB_CUDA_CHUNKS_CUH

#include "tail.cuh"

#define QB__CHUNK_THREADS 256u
/* Chunks of a thread, loaded before any is used. */
#define QB__CHUNK_DEPTH 2

/* Threads of a row's block at most, and chunks that one holds. */
#define QB__ROW_THREADS 1024u
#define QB__ROW_DEPTH   4

/* What the arguments of such a kernel begin with. */
struct qb__chunk_args {
    const unsigned char *in;
    void *values; /* NULL: not kept */
    qb__tail tail;
    uint64_t rows, cols, in_stride;
    uint64_t in_step;    /* bytes from one row to the next */
    uint32_t row_chunks; /* of a row */
    uint32_t blocks;     /* that have chunks; those after them write the padding */
    qb__fastdiv by_row;  /* chunks of a row, with those that are beyond its end */
};

static inline qb__chunk_args qb__chunk_args_of(const struct qb__cuda_call *call)
{
    qb__chunk_args a = {};

    a.in = (const unsigned char *)call->in;
    a.values = call->values;
    a.rows = call->rows;
    a.cols = call->cols;
    a.in_stride = call->in_stride;
    a.in_step = call->in_stride * qb__element_size(call->input);
    return a;
}

/* Keep chunk COL of row ROW, if that is wanted. */
template <int IN>
__device__ __forceinline__ void qb__keep_chunk(const qb__chunk_args &a, const uint4 &z, uint32_t row, uint32_t col,
                                               bool valid)
{
    if (a.values != NULL && valid) {
        ((uint4 *)a.values)[(uint64_t)row * a.row_chunks + col] = qb__plain_nans<IN>(z);
    }
}

/* ---- Kernels ------------------------------------------------------------------------------------------------------
 */

/* Scales that are given, or of groups, which lie in a row of lanes. */
template <class SOURCE, int IN, int OUT>
__device__ __forceinline__ void qb__chunk_groups(const typename SOURCE::args &a)
{
    const unsigned char *const in = qb__begin(a.in);
    /* Each warp has a stretch to itself. */
    const uint32_t first =
        blockIdx.x * (blockDim.x * QB__CHUNK_DEPTH) + threadIdx.x / 32 * (32 * QB__CHUNK_DEPTH) + threadIdx.x % 32;
    uint32_t row[QB__CHUNK_DEPTH], col[QB__CHUNK_DEPTH];
    bool valid[QB__CHUNK_DEPTH];
    float given[QB__CHUNK_DEPTH] = {};
    typename SOURCE::chunk p[QB__CHUNK_DEPTH];

    if (blockIdx.x >= a.blocks) {
        qb__tail_pad(a.tail, (uint64_t)(blockIdx.x - a.blocks) * blockDim.x + threadIdx.x,
                     (uint64_t)(gridDim.x - a.blocks) * blockDim.x);
        return;
    }
#pragma unroll
    for (int k = 0; k < QB__CHUNK_DEPTH; k++) {
        row[k] = qb__divide(first + 32 * k, a.by_row);
        col[k] = first + 32 * k - row[k] * a.by_row.divisor;
        valid[k] = row[k] < a.rows && col[k] < a.row_chunks;
        p[k] = SOURCE::load(a, in, row[k], col[k], valid[k]);
    }
    if (a.tail.is_static) {
#pragma unroll
        for (int k = 0; k < QB__CHUNK_DEPTH; k++) {
            given[k] = qb__tail_given(a.tail, valid[k] ? row[k] : 0, valid[k] ? col[k] >> a.tail.team_shift : 0);
        }
    }
    uint4 z[QB__CHUNK_DEPTH];
#pragma unroll
    for (int k = 0; k < QB__CHUNK_DEPTH; k++) {
        z[k] = SOURCE::values(a, p[k], row[k], col[k], valid[k]);
    }
    if (!a.tail.is_static && 1u << a.tail.team_shift >= QB__CHUNK_DEPTH) {
        qb__tail_groups<IN, OUT, QB__CHUNK_DEPTH>(a.tail, z, row, col, valid);
        return;
    }
#pragma unroll
    for (int k = 0; k < QB__CHUNK_DEPTH; k++) {
        qb__tail_chunk<IN, OUT>(a.tail, z[k], given[k], row[k], col[k], valid[k]);
    }
}

/* Scales of rows: a block has one. */
template <class SOURCE, int IN, int OUT, int CHUNKS>
__device__ __forceinline__ void qb__chunk_rows(const typename SOURCE::args &a)
{
    const unsigned char *const in = qb__wait(a.in);
    const uint32_t row = blockIdx.x, first = threadIdx.x / 32 * (32 * CHUNKS) + threadIdx.x % 32;
    __shared__ uint32_t warp_max[32];
    typename SOURCE::chunk p[CHUNKS];
    uint4 z[CHUNKS];
    uint32_t acc = 0;

#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        p[k] = SOURCE::load(a, in, row, first + 32 * k, first + 32 * k < a.row_chunks);
    }
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        z[k] = SOURCE::values(a, p[k], row, first + 32 * k, first + 32 * k < a.row_chunks);
        acc = qb__max_chunk<IN>(acc, z[k]);
    }
    const uint32_t amax = qb__block_max(qb__max_bits<IN>(acc), warp_max);
    qb__let_next();
    const qb__divisor d = qb__divide_by<IN>(qb__tail_found<OUT>(a.tail, amax, threadIdx.x == 0, row, 0));
    const bool fast = qb__is_fast<IN>(amax, d.limit);
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        if (a.tail.codes && first + 32 * k < a.row_chunks) {
            qb__tail_store<IN, OUT>(a.tail, z[k], d, fast, row, first + 32 * k);
        }
    }
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

/* Chunks in all, with those beyond the ends of rows. */
static inline uint64_t qb__chunks_of(const struct qb__cuda_call *call, uint64_t *row)
{
    const uint64_t team = call->problem->granularity == QB_GRANULARITY_GROUP ? call->problem->group / QB__EIGHT : 1;

    *row = qb__ceil_div(call->cols / QB__EIGHT, team) * team;
    return *row * call->rows;
}

/* True if CALL, whose values are of 16 bits, is for these kernels. It does not look at the pointers. */
static inline bool qb__chunks_fit(const struct qb__cuda_call *call)
{
    uint64_t row;

    if (!qb__tail_fits(call) || call->cols > 0x40000000u) {
        return false;
    }
    if (call->scaling != QB_SCALING_STATIC && call->problem->granularity == QB_GRANULARITY_TOKEN) {
        return call->cols <= QB__EIGHT * QB__ROW_THREADS * QB__ROW_DEPTH;
    }
    return qb__chunks_of(call, &row) < 0x70000000u;
}

/* Launch CALL with ARGS, of which A is the beginning: GROUPS by input and output, or ROWS of 2 and 4 chunks a thread.
 */
static inline cudaError_t qb__chunks_launch(const struct qb__cuda_call *call, qb__chunk_args &a, void *args,
                                            const void *const groups[6], const void *const rows[2][6])
{
    void *list[] = {args};
    uint64_t row;
    const uint64_t chunks = qb__chunks_of(call, &row);

    a.tail = qb__tail_of(call);
    a.row_chunks = (uint32_t)(a.cols / QB__EIGHT);
    if (!a.tail.is_static && call->problem->granularity == QB_GRANULARITY_TOKEN) {
        const bool deep = a.row_chunks > 2 * 256;
        return qb__launch(call, rows[deep][qb__index(call)], a.rows,
                          dim3(qb__round_up((unsigned)qb__ceil_div(a.row_chunks, deep ? 4 : 2), 32)), list);
    }
    a.by_row = qb__make_fastdiv(row);
    /* Small blocks are evenly spread where there are few. */
    const unsigned threads = chunks > (uint64_t)call->limits->units * 16 * QB__CHUNK_THREADS * QB__CHUNK_DEPTH
                                 ? QB__CHUNK_THREADS
                                 : QB__CHUNK_THREADS / 2;
    a.blocks = (uint32_t)qb__ceil_div(chunks, threads * QB__CHUNK_DEPTH);
    return qb__launch(call, groups[qb__index(call)], a.blocks + qb__ceil_div(a.tail.padding.count, 16 * threads),
                      dim3(threads), list);
}

#endif
