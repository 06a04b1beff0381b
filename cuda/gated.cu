/* SPDX-License-Identifier: Apache-2.0 */
/* gated.cu - SILU_MUL and GELU_MUL: the values alone, of any problem; and fused with a quantization of regular rows,
 * each value once in registers. Limited by reading, 4 bytes for each code, if the activation is done in some ten
 * instructions. */
#include "tail.cuh"

#define THREADS 256u
/* Chunks of a thread, loaded before any is used. */
#define DEPTH 2

/* Threads of a row's block at most, and chunks that one holds. */
#define MAX_THREADS 1024u
#define MAX_DEPTH   4

struct gated_args {
    const unsigned char *in;
    void *values; /* NULL: not kept */
    qb__gate gate;
    qb__tail tail;
    uint64_t rows, cols, in_stride;
    uint64_t in_step;    /* bytes from one row to the next */
    uint64_t up;         /* bytes from a gate to its up, of halves */
    uint32_t row_chunks; /* of a row */
    qb__fastdiv by_row;  /* chunks of a row, with those that are beyond its end */
    uint64_t units;      /* the values alone: eight elements, at most */
    bool interleaved, wide, in_float;
    bool adjusts;    /* there is a limit, or an offset */
    uint32_t blocks; /* that have chunks; those after them write the padding */
};

/* ---- The values alone ---------------------------------------------------------------------------------------------
 */

/* A thread has eight neighbors of a row. */
template <int IN> __global__ void __launch_bounds__(THREADS) gated_values(const gated_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint64_t unit = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
    const uint64_t row_units = a.cols / QB__EIGHT + (a.cols % QB__EIGHT != 0);
    uint64_t col;
    const uint64_t row = qb__divide64(unit, row_units, a.by_row, &col);
    float g[QB__EIGHT], u[QB__EIGHT];

    if (unit >= a.units) {
        return;
    }
    col *= QB__EIGHT;
    const uint32_t count = (uint32_t)min(a.cols - col, (uint64_t)QB__EIGHT);
    const uint64_t first = row * a.in_stride + (a.interleaved ? 2 * col : col);
    if (a.interleaved) {
        float x[2 * QB__EIGHT];
        const uint32_t low = min(2 * count, QB__EIGHT);
        qb__load8<IN>(in, first, low, a.wide, x);
        qb__load8<IN>(in, first + QB__EIGHT, 2 * count - low, a.wide, x + QB__EIGHT);
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            g[i] = x[2 * i];
            u[i] = x[2 * i + 1];
        }
    } else {
        qb__load8<IN>(in, first, count, a.wide, g);
        qb__load8<IN>(in, first + a.cols, count, a.wide, u);
    }
#pragma unroll
    for (unsigned i = 0; i < QB__EIGHT; i++) {
        g[i] = qb__gated_value<IN>(g[i], u[i], a.gate);
    }
    if (a.in_float) {
        qb__store8<QB_FORMAT_F32>(a.values, row * a.cols + col, count, a.wide, g);
    } else {
        qb__store8<IN>(a.values, row * a.cols + col, count, a.wide, g);
    }
}

/* ---- Fused --------------------------------------------------------------------------------------------------------
 */

/* The gates and ups of a chunk. */
struct pair {
    uint4 gate, up;
};

__device__ __forceinline__ pair load(const gated_args &a, const unsigned char *in, uint64_t row, uint32_t col,
                                     bool valid)
{
    const unsigned char *const at = in + row * a.in_step + (uint64_t)col * (a.interleaved ? 32 : 16);
    const uint4 none = make_uint4(0, 0, 0, 0);
    pair p;

    p.gate = valid ? qb__load16(at) : none;
    p.up = valid ? qb__load16(at + a.up) : none;
    return p;
}

/* The values of a chunk, kept if that is wanted. */
template <int IN, bool GELU>
__device__ __forceinline__ uint4 values_of(const gated_args &a, const pair &p, uint32_t row, uint32_t col, bool valid)
{
    uint4 g = p.gate, u = p.up;

    if (a.interleaved) {
        g = make_uint4(__byte_perm(p.gate.x, p.gate.y, 0x5410), __byte_perm(p.gate.z, p.gate.w, 0x5410),
                       __byte_perm(p.up.x, p.up.y, 0x5410), __byte_perm(p.up.z, p.up.w, 0x5410));
        u = make_uint4(__byte_perm(p.gate.x, p.gate.y, 0x7632), __byte_perm(p.gate.z, p.gate.w, 0x7632),
                       __byte_perm(p.up.x, p.up.y, 0x7632), __byte_perm(p.up.z, p.up.w, 0x7632));
    }
    if (a.adjusts) {
        qb__adjust_pair<IN>(g.x, u.x, a.gate);
        qb__adjust_pair<IN>(g.y, u.y, a.gate);
        qb__adjust_pair<IN>(g.z, u.z, a.gate);
        qb__adjust_pair<IN>(g.w, u.w, a.gate);
    }
    const uint4 z = make_uint4(qb__plain_pair<IN, GELU>(g.x, u.x), qb__plain_pair<IN, GELU>(g.y, u.y),
                               qb__plain_pair<IN, GELU>(g.z, u.z), qb__plain_pair<IN, GELU>(g.w, u.w));
    if (a.values != NULL && valid) {
        ((uint4 *)a.values)[(uint64_t)row * a.row_chunks + col] = qb__plain_nans<IN>(z);
    }
    return z;
}

/* Scales that are given, or of groups, which lie in a row of lanes. */
template <int IN, int OUT, bool GELU> __global__ void __launch_bounds__(THREADS) gated_groups(const gated_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    /* Each warp has a stretch to itself. */
    const uint32_t first = blockIdx.x * (blockDim.x * DEPTH) + threadIdx.x / 32 * (32 * DEPTH) + threadIdx.x % 32;
    uint32_t row[DEPTH], col[DEPTH];
    bool valid[DEPTH];
    float given[DEPTH] = {};
    pair p[DEPTH];

    if (blockIdx.x >= a.blocks) {
        qb__tail_pad(a.tail, (uint64_t)(blockIdx.x - a.blocks) * blockDim.x + threadIdx.x,
                     (uint64_t)(gridDim.x - a.blocks) * blockDim.x);
        return;
    }
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        row[k] = qb__divide(first + 32 * k, a.by_row);
        col[k] = first + 32 * k - row[k] * a.by_row.divisor;
        valid[k] = row[k] < a.rows && col[k] < a.row_chunks;
        p[k] = load(a, in, row[k], col[k], valid[k]);
    }
    if (a.tail.is_static) {
#pragma unroll
        for (int k = 0; k < DEPTH; k++) {
            given[k] = qb__tail_given(a.tail, valid[k] ? row[k] : 0, valid[k] ? col[k] >> a.tail.team_shift : 0);
        }
    }
    uint4 z[DEPTH];
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        z[k] = values_of<IN, GELU>(a, p[k], row[k], col[k], valid[k]);
    }
    if (!a.tail.is_static && 1u << a.tail.team_shift >= DEPTH) {
        qb__tail_groups<IN, OUT, DEPTH>(a.tail, z, row, col, valid);
        return;
    }
#pragma unroll
    for (int k = 0; k < DEPTH; k++) {
        qb__tail_chunk<IN, OUT>(a.tail, z[k], given[k], row[k], col[k], valid[k]);
    }
}

/* Scales of rows: a block has one. */
template <int IN, int OUT, bool GELU, int CHUNKS>
__global__ void __launch_bounds__(MAX_THREADS) gated_rows(const gated_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t row = blockIdx.x, first = threadIdx.x / 32 * (32 * CHUNKS) + threadIdx.x % 32;
    __shared__ uint32_t warp_max[32];
    pair p[CHUNKS];
    uint4 z[CHUNKS];
    uint32_t acc = 0;

#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        p[k] = load(a, in, row, first + 32 * k, first + 32 * k < a.row_chunks);
    }
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        z[k] = values_of<IN, GELU>(a, p[k], row, first + 32 * k, first + 32 * k < a.row_chunks);
        acc = qb__max_chunk<IN>(acc, z[k]);
    }
    const uint32_t amax = qb__block_max(qb__max_bits<IN>(acc), warp_max);
    const qb__divisor d = qb__divide_by<IN>(qb__tail_found<OUT>(a.tail, amax, threadIdx.x == 0, row, 0));
    const bool fast = __uint_as_float(amax) < d.limit;
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        if (a.tail.codes && first + 32 * k < a.row_chunks) {
            qb__tail_store<IN, OUT>(a.tail, z[k], d, fast, row, first + 32 * k);
        }
    }
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

static gated_args args_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    gated_args a = {};

    a.in = (const unsigned char *)call->in;
    a.values = call->values;
    a.gate = qb__gate_of(p);
    a.rows = call->rows;
    a.cols = call->cols;
    a.in_stride = call->in_stride;
    a.in_step = call->in_stride * qb__element_size(call->input);
    a.interleaved = p->gate == QB_GATE_INTERLEAVED;
    return a;
}

cudaError_t qb__cuda_gated_values_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[3] = {(const void *)gated_values<QB_FORMAT_F16>,
                                           (const void *)gated_values<QB_FORMAT_BF16>,
                                           (const void *)gated_values<QB_FORMAT_F32>};
    const uint64_t row_units = qb__ceil_div(call->cols, QB__EIGHT);
    gated_args a = args_of(call);
    void *args[] = {&a};

    a.units = row_units * a.rows;
    a.by_row = qb__make_fastdiv(row_units);
    a.in_float = call->problem->intermediate == QB_INTERMEDIATE_FLOAT;
    a.wide = a.cols % QB__EIGHT == 0 && a.in_stride % QB__EIGHT == 0 && qb__is_aligned(call->in, 16) &&
             qb__is_aligned(call->values, 16);
    return a.units == 0 ? cudaSuccess
                        : qb__launch(call, kernels[call->input], qb__ceil_div(a.units, THREADS), dim3(THREADS), args);
}

/* Chunks in all, with those beyond the ends of rows. */
static uint64_t chunks_of(const struct qb__cuda_call *call, uint64_t *row)
{
    const uint64_t team = call->problem->granularity == QB_GRANULARITY_GROUP ? call->problem->group / QB__EIGHT : 1;

    *row = qb__ceil_div(call->cols / QB__EIGHT, team) * team;
    return *row * call->rows;
}

bool qb__cuda_gated_fits(const struct qb__cuda_call *call)
{
    uint64_t row;

    if (!qb__tail_fits(call) || call->cols > 0x40000000u || !qb__gate_is_plain(qb__gate_of(call->problem))) {
        return false;
    }
    if (call->scaling != QB_SCALING_STATIC && call->problem->granularity == QB_GRANULARITY_TOKEN) {
        return call->cols <= QB__EIGHT * MAX_THREADS * MAX_DEPTH;
    }
    return chunks_of(call, &row) < 0x70000000u;
}

cudaError_t qb__cuda_gated_run(const struct qb__cuda_call *call, bool *done)
{
    static const void *const groups[2][6] = {QB__TAIL_KERNELS(gated_groups, false),
                                             QB__TAIL_KERNELS(gated_groups, true)};
    static const void *const rows[2][2][6] = {
        {QB__TAIL_KERNELS(gated_rows, false, 2), QB__TAIL_KERNELS(gated_rows, false, 4)},
        {QB__TAIL_KERNELS(gated_rows, true, 2), QB__TAIL_KERNELS(gated_rows, true, 4)}};
    gated_args a = args_of(call);
    uint64_t row;
    const uint64_t chunks = chunks_of(call, &row);
    void *args[] = {&a};

    *done = qb__tail_aligned(call);
    if (!*done) {
        return cudaSuccess;
    }
    a.up = a.interleaved ? 16 : a.cols * qb__element_size(call->input);
    a.adjusts = a.gate.limit != INFINITY || a.gate.up_offset != 0;
    a.tail = qb__tail_of(call);
    a.row_chunks = (uint32_t)(a.cols / QB__EIGHT);
    if (!a.tail.is_static && call->problem->granularity == QB_GRANULARITY_TOKEN) {
        const bool deep = a.row_chunks > 2 * 256;
        return qb__launch(call, rows[a.gate.gelu][deep][qb__index(call)], a.rows,
                          dim3(qb__round_up((unsigned)qb__ceil_div(a.row_chunks, deep ? 4 : 2), 32)), args);
    }
    a.by_row = qb__make_fastdiv(row);
    /* Small blocks are evenly spread where there are few. */
    const unsigned threads = chunks > (uint64_t)call->limits->units * 16 * THREADS * DEPTH ? THREADS : THREADS / 2;
    a.blocks = (uint32_t)qb__ceil_div(chunks, threads * DEPTH);
    return qb__launch(call, groups[a.gate.gelu][qb__index(call)],
                      a.blocks + qb__ceil_div(a.tail.padding.count, 16 * threads), dim3(threads), args);
}
