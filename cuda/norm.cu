/* SPDX-License-Identifier: Apache-2.0 */
/* norm.cu - RMS_NORM and ADD_RMS_NORM: the values alone, of any rows; and fused with a quantization of rows that a
 * block of threads can hold in registers, each of which has a block of its own. */
#include "norm.cuh"

#define THREADS QB__NORM_THREADS

/* Chunks that a thread holds at most: rows of 16,384 elements. */
#define MAX_CHUNKS 8
/* Blocks that a multiprocessor shall hold, by their registers. */
static constexpr int resident_for(int chunks, bool adds)
{
    return chunks > 4 ? 2 : adds ? 3 : 4;
}

/* ---- The values alone ---------------------------------------------------------------------------------------------
 */

/* Elements FIRST to FIRST + COUNT - 1 of what is normalized. */
template <int IN>
__device__ __forceinline__ void elements(const qb__norm_args &a, const void *in, uint64_t row, uint64_t first,
                                         uint32_t count, bool wide, float *y)
{
    qb__load8<IN>(in, row * a.in_stride + first, count, wide, y);
    if (a.residual != NULL) {
        float r[QB__EIGHT];
        qb__load8<IN>(a.residual, row * a.cols + first, count, wide, r);
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            y[i] = qb__round<IN>(__fadd_rn(y[i], r[i]));
        }
    }
}

/* A block has rows of any length, which it reads twice. */
template <int IN> __global__ void __launch_bounds__(THREADS) norm_values(const qb__norm_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    __shared__ float warp_sums[2][QB__NORM_WARPS];
    bool odd = false;

    for (uint64_t row = blockIdx.x; row < a.rows; row += gridDim.x, odd = !odd) {
        float c[QB__EIGHT] = {}, y[QB__EIGHT];

        for (uint64_t first = threadIdx.x * QB__EIGHT; first < a.cols; first += QB__NORM_COLUMNS) {
            elements<IN>(a, in, row, first, (uint32_t)min(a.cols - first, (uint64_t)QB__EIGHT), a.wide, y);
#pragma unroll
            for (unsigned i = 0; i < QB__EIGHT; i++) {
                c[i] = first < QB__NORM_COLUMNS ? __fmul_rn(y[i], y[i]) : __fmaf_rn(y[i], y[i], c[i]);
            }
        }
        const float factor = qb__norm_factor(qb__norm_sum(c, warp_sums[odd]), a.length, a.epsilon);
        for (uint64_t first = threadIdx.x * QB__EIGHT; first < a.cols; first += QB__NORM_COLUMNS) {
            const uint32_t count = (uint32_t)min(a.cols - first, (uint64_t)QB__EIGHT);
            float w[QB__EIGHT], v[QB__EIGHT];

            elements<IN>(a, in, row, first, count, a.wide, y);
            if (a.float_weights) {
                qb__load8<QB_FORMAT_F32>(a.weights, first, count, a.wide, w);
            } else {
                qb__load8<IN>(a.weights, first, count, a.wide, w);
            }
#pragma unroll
            for (unsigned i = 0; i < QB__EIGHT; i++) {
                v[i] = __fmul_rn(y[i], factor);
                v[i] = __fmul_rn(a.rounds ? qb__round<IN>(v[i]) : v[i], w[i]);
            }
            if (a.in_float) {
                qb__store8<QB_FORMAT_F32>(a.values, row * a.cols + first, count, a.wide, v);
            } else {
                qb__store8<IN>(a.values, row * a.cols + first, count, a.wide, v);
            }
            if (a.sum != NULL) {
                qb__store8<IN>(a.sum, row * a.cols + first, count, a.wide, y);
            }
        }
    }
}

/* ---- Fused --------------------------------------------------------------------------------------------------------
 */

/* Values by weights that are floats, or not rounded in between. */
template <int IN>
__device__ __forceinline__ uint4 uneasy_values(const qb__norm_args &a, const uint4 &y, uint32_t c, float factor)
{
    float x[QB__EIGHT], w[QB__EIGHT];

    qb__unpack<IN>(y, x);
    if (a.float_weights) {
        qb__load8<QB_FORMAT_F32>(a.weights, (uint64_t)c * QB__EIGHT, QB__EIGHT, true, w);
    } else {
        qb__load8<IN>(a.weights, (uint64_t)c * QB__EIGHT, QB__EIGHT, true, w);
    }
#pragma unroll
    for (unsigned i = 0; i < QB__EIGHT; i++) {
        x[i] = __fmul_rn(x[i], factor);
        x[i] = __fmul_rn(a.rounds ? qb__round<IN>(x[i]) : x[i], w[i]);
    }
    return make_uint4(qb__pack_pair<IN>(x[0], x[1]), qb__pack_pair<IN>(x[2], x[3]), qb__pack_pair<IN>(x[4], x[5]),
                      qb__pack_pair<IN>(x[6], x[7]));
}

/* The codes of a row by one scale, which is GIVEN or found. */
template <int IN, int OUT, int CHUNKS>
__device__ __forceinline__ void whole_chunks(const qb__norm_args &a, const uint4 *z, float given, const uint32_t *row,
                                             const uint32_t *col, const bool *valid)
{
    __shared__ uint32_t warp_max[32];
    qb__divisor d[CHUNKS];
    uint32_t acc = 0;

#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        acc = qb__max_chunk<IN>(acc, z[k]);
    }
    uint32_t amax = qb__max_bits<IN>(acc);
    if (!a.tail.is_static) {
        amax = qb__block_max(amax, warp_max);
        given = qb__tail_found<OUT>(a.tail, amax, threadIdx.x == 0, row[0], 0);
    }
    d[0] = qb__divide_by<IN>(given);
#pragma unroll
    for (int k = 1; k < CHUNKS; k++) {
        d[k] = d[0];
    }
    qb__tail_store_all<IN, OUT, CHUNKS>(a.tail, z, d, __uint_as_float(amax) < d[0].limit, row, col, valid);
}

/* What is normalized: the row's chunks of this thread, and the sums of their squares for each of its columns. Beyond
 * the end are zeros. */
template <int IN, int CHUNKS, bool ADD>
__device__ __forceinline__ void read_row(const qb__norm_args &a, const unsigned char *in, uint32_t row, uint4 *y,
                                         float *c)
{
    uint4 residual[ADD ? CHUNKS : 1];

#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        const uint32_t at = k * THREADS + threadIdx.x;
        const bool valid = at < a.row_chunks;
        y[k] = valid ? qb__load16(in + row * a.in_step + (uint64_t)at * 16) : make_uint4(0, 0, 0, 0);
        if constexpr (ADD) { /* which may be written */
            residual[k] = valid ? *(const uint4 *)(a.residual + ((uint64_t)row * a.row_chunks + at) * 16)
                                : make_uint4(0, 0, 0, 0);
        }
    }
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        float x[QB__EIGHT];

        if constexpr (ADD) {
            const uint32_t at = k * THREADS + threadIdx.x;
            y[k] = qb__chunk_sum<IN>(y[k], residual[k]);
            if (at < a.row_chunks) {
                ((uint4 *)a.sum)[(uint64_t)row * a.row_chunks + at] = qb__plain_nans<IN>(y[k]);
            }
        }
        qb__unpack<IN>(y[k], x);
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            c[i] = k == 0 ? __fmul_rn(x[i], x[i]) : __fmaf_rn(x[i], x[i], c[i]);
        }
    }
}

template <int IN, int OUT, int CHUNKS, bool ADD>
__global__ void __launch_bounds__(THREADS, resident_for(CHUNKS, ADD)) norm_rows(const qb__norm_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    __shared__ float warp_sums[QB__NORM_WARPS];
    const bool whole = a.tail.team_shift == QB__WHOLE, easy = a.rounds && !a.float_weights;
    const uint32_t row = blockIdx.x;
    uint4 y[CHUNKS], w[CHUNKS];
    float c[QB__EIGHT], given = 0;

    if (easy) {
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const uint32_t at = k * THREADS + threadIdx.x;
            w[k] = qb__load16((const unsigned char *)a.weights + (at < a.row_chunks ? at : 0) * 16);
        }
    }
    if (a.tail.is_static && whole) {
        given = qb__tail_given(a.tail, row, 0);
    }
    read_row<IN, CHUNKS, ADD>(a, in, row, y, c);
    if (a.tail.padding.count > 0) {
        qb__tail_pad(a.tail, (uint64_t)blockIdx.x * THREADS + threadIdx.x, (uint64_t)gridDim.x * THREADS);
    }
    const float factor = qb__norm_factor(qb__norm_sum(c, warp_sums), a.length, a.epsilon);
    uint32_t rows[CHUNKS], at[CHUNKS];
    bool valid[CHUNKS];
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        rows[k] = row;
        at[k] = k * THREADS + threadIdx.x;
        valid[k] = at[k] < a.row_chunks;
    }
    /* An infinite factor makes NaN beyond the end: no amax, and not stored. */
    if (easy) {
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            y[k] = qb__norm_chunk<IN>(y[k], w[k], factor);
        }
    } else {
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            y[k] = uneasy_values<IN>(a, y[k], valid[k] ? at[k] : 0, factor);
        }
    }
    if (a.values != NULL) {
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            if (valid[k]) {
                ((uint4 *)a.values)[(uint64_t)row * a.row_chunks + at[k]] = qb__plain_nans<IN>(y[k]);
            }
        }
    }
    if (whole) {
        whole_chunks<IN, OUT, CHUNKS>(a, y, given, rows, at, valid);
        return;
    }
    if constexpr (CHUNKS > 1) {
        if (!a.tail.is_static && 1u << a.tail.team_shift >= CHUNKS) {
            qb__tail_groups<IN, OUT, CHUNKS>(a.tail, y, rows, at, valid);
            return;
        }
    }
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        if (a.tail.is_static) {
            given = qb__tail_given(a.tail, row, valid[k] ? at[k] >> a.tail.team_shift : 0);
        }
        qb__tail_chunk<IN, OUT>(a.tail, y[k], given, row, at[k], valid[k]);
    }
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

cudaError_t qb__cuda_norm_values_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[3] = {(const void *)norm_values<QB_FORMAT_F16>,
                                           (const void *)norm_values<QB_FORMAT_BF16>,
                                           (const void *)norm_values<QB_FORMAT_F32>};
    qb__norm_args a = qb__norm_args_of(call);
    void *args[] = {&a};

    return a.rows == 0 ? cudaSuccess
                       : qb__launch(call, kernels[call->input], a.rows < 0x7fffffffu ? a.rows : 0x7fffffffu,
                                    dim3(THREADS), args);
}

/* Chunks of a thread. */
static unsigned chunks_of(const struct qb__cuda_call *call)
{
    return qb__ceil_power(qb__ceil_div(call->cols, QB__NORM_COLUMNS));
}

/* The kernels: by chunks, without and with a residual. Each takes a second to compile: E5M2 has none. */
#define OF_INPUT(in, chunks, adds)                                                                                     \
    (const void *)norm_rows<in, QB_FORMAT_INT8, chunks, adds>,                                                         \
        (const void *)norm_rows<in, QB_FORMAT_E4M3, chunks, adds>, NULL
#define OF_CHUNKS(chunks)                                                                                              \
    {                                                                                                                  \
        {OF_INPUT(QB_FORMAT_F16, chunks, false), OF_INPUT(QB_FORMAT_BF16, chunks, false)},                             \
        {                                                                                                              \
            OF_INPUT(QB_FORMAT_F16, chunks, true), OF_INPUT(QB_FORMAT_BF16, chunks, true)                              \
        }                                                                                                              \
    }
static const void *const norm_kernels[4][2][6] = {OF_CHUNKS(1), OF_CHUNKS(2), OF_CHUNKS(4), OF_CHUNKS(8)};

bool qb__cuda_norm_fits(const struct qb__cuda_call *call)
{
    return qb__tail_fits(call) && call->output != QB_FORMAT_E5M2 &&
           call->cols <= (uint64_t)MAX_CHUNKS * QB__NORM_COLUMNS;
}

cudaError_t qb__cuda_norm_run(const struct qb__cuda_call *call, bool *done)
{
    const unsigned chunks = chunks_of(call), level = chunks == 1 ? 0 : chunks == 2 ? 1 : chunks == 4 ? 2 : 3;
    qb__norm_args a = qb__norm_args_of(call);
    void *args[] = {&a};

    *done = a.wide && qb__tail_aligned(call);
    if (!*done) {
        return cudaSuccess;
    }
    cudaError_t error = qb__cuda_norm_stream_run(call, done);
    if (error == cudaSuccess && !*done) {
        error = qb__cuda_norm_few_run(call, done);
    }
    if (error != cudaSuccess || *done) {
        return error;
    }
    *done = true;
    a.tail = qb__tail_of(call);
    a.row_chunks = (uint32_t)(a.cols / QB__EIGHT);

    return qb__launch(call, norm_kernels[level][a.residual != NULL][qb__index(call)], a.rows, dim3(THREADS), args);
}
