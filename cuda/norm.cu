/* SPDX-License-Identifier: Apache-2.0 */
/* norm.cu - RMS_NORM and ADD_RMS_NORM: the values alone, of any rows; and fused with a quantization of rows that a
 * block of threads can hold. Those blocks stay, and have the next rows copied to shared memory while they work on one,
 * so that memory is never idle between a row's two reductions. */
#include "tail.cuh"

#define THREADS QB__NORM_THREADS

/* Chunks that a thread holds at most: rows of 16,384 elements. */
#define MAX_CHUNKS 8
/* Rows of a block that are on their way, or here. */
#define STAGES 2

struct norm_args {
    const unsigned char *in;
    const void *weights;
    const unsigned char *residual; /* NULL: none. It may be the sum. */
    void *sum, *values;            /* NULL: not wanted */
    uint64_t rows, cols, in_stride;
    uint64_t in_step; /* bytes from one row to the next */
    float length, epsilon;
    bool float_weights;
    bool rounds; /* after each step */
    bool wide, in_float;
    uint32_t row_chunks;
    qb__tail tail;
};

/* ---- The values alone ---------------------------------------------------------------------------------------------
 */

/* Elements FIRST to FIRST + COUNT - 1 of what is normalized. */
template <int IN>
__device__ __forceinline__ void elements(const norm_args &a, const void *in, uint64_t row, uint64_t first,
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
template <int IN> __global__ void __launch_bounds__(THREADS) norm_values(const norm_args a)
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

/* Copy 16 bytes to shared memory, for the thread that asks; and wait until at most the last PENDING groups of copies
 * are not done. */
__device__ __forceinline__ void copy16(uint4 *to, const unsigned char *from)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                 :
                 : "r"((uint32_t)__cvta_generic_to_shared(to)), "l"(from)
                 : "memory");
#else
    *to = *(const uint4 *)from;
#endif
}

__device__ __forceinline__ void end_group()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

template <int PENDING> __device__ __forceinline__ void wait_group()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" : : "n"(PENDING) : "memory");
#endif
}

/* A row's chunks, each where the thread that asked for it finds it. */
template <int CHUNKS, bool ADD> struct stage {
    uint4 in[CHUNKS][THREADS];
    uint4 residual[ADD ? CHUNKS : 0][THREADS];
};

template <int CHUNKS, bool ADD>
__device__ __forceinline__ void fetch(const norm_args &a, const unsigned char *in, uint64_t row, stage<CHUNKS, ADD> &s)
{
    if (row < a.rows) {
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const uint32_t c = k * THREADS + threadIdx.x;
            if (c < a.row_chunks) {
                copy16(&s.in[k][threadIdx.x], in + row * a.in_step + (uint64_t)c * 16);
                if constexpr (ADD) {
                    copy16(&s.residual[k][threadIdx.x], a.residual + (row * a.row_chunks + c) * 16);
                }
            }
        }
    }
    end_group();
}

/* Two values of elements Y, both with FACTOR, by weights that are floats or not rounded in between. */
template <int IN> __device__ __forceinline__ uint32_t uneasy_pair(const norm_args &a, float2 y, float factor, float2 w)
{
    const float2 v = make_float2(__fmul_rn(y.x, factor), __fmul_rn(y.y, factor));
    const float2 n = a.rounds ? qb__unpack_pair<IN>(qb__pack_pair<IN>(v.x, v.y)) : v;

    return qb__pack_pair<IN>(__fmul_rn(n.x, w.x), __fmul_rn(n.y, w.y));
}

/* The values of chunk C, whose elements are Y. */
template <int IN>
__device__ __forceinline__ uint4 values_of(const norm_args &a, const uint4 &y, uint32_t c, float factor)
{
    const uint32_t from[4] = {y.x, y.y, y.z, y.w};
    uint32_t z[4];

    if (a.rounds && !a.float_weights) {
        const uint4 chunk = qb__load16((const unsigned char *)a.weights + (uint64_t)c * 16);
        const uint32_t w[4] = {chunk.x, chunk.y, chunk.z, chunk.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float2 pair = qb__unpack_pair<IN>(from[i]);
            z[i] = qb__pair_product<IN>(qb__pack_pair<IN>(__fmul_rn(pair.x, factor), __fmul_rn(pair.y, factor)), w[i]);
        }
    } else {
        float w[QB__EIGHT];
        if (a.float_weights) {
            qb__load8<QB_FORMAT_F32>(a.weights, (uint64_t)c * QB__EIGHT, QB__EIGHT, true, w);
        } else {
            qb__load8<IN>(a.weights, (uint64_t)c * QB__EIGHT, QB__EIGHT, true, w);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            z[i] = uneasy_pair<IN>(a, qb__unpack_pair<IN>(from[i]), factor, make_float2(w[2 * i], w[2 * i + 1]));
        }
    }
    return make_uint4(z[0], z[1], z[2], z[3]);
}

/* The scale of the row, by the largest that each thread has. */
template <int IN, int OUT>
__device__ __forceinline__ qb__divisor row_scale(const norm_args &a, uint64_t row, uint32_t acc, uint32_t *warp_max,
                                                 bool *fast)
{
    const uint32_t amax = qb__block_max(qb__max_bits<IN>(acc), warp_max);
    const qb__divisor d = qb__divide_by<IN>(qb__tail_found<OUT>(a.tail, amax, threadIdx.x == 0, row, 0));

    *fast = __uint_as_float(amax) < d.limit;
    return d;
}

template <int IN, int OUT, int CHUNKS, bool ADD>
__global__ void __launch_bounds__(THREADS, CHUNKS <= 4 ? 4 : 2) norm_rows(const norm_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    extern __shared__ uint4 memory[];
    stage<CHUNKS, ADD> *const stages = (stage<CHUNKS, ADD> *)memory;
    __shared__ float warp_sums[2][QB__NORM_WARPS];
    __shared__ uint32_t warp_max[32];
    const bool of_rows = !a.tail.is_static && a.tail.team_shift == QB__WHOLE;
    uint32_t turn = 0;

#pragma unroll
    for (int s = 0; s < STAGES; s++) {
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            if (k * THREADS + threadIdx.x >= a.row_chunks) { /* nothing is copied there */
                stages[s].in[k][threadIdx.x] = make_uint4(0, 0, 0, 0);
                if constexpr (ADD) {
                    stages[s].residual[k][threadIdx.x] = make_uint4(0, 0, 0, 0);
                }
            }
        }
        fetch<CHUNKS, ADD>(a, in, blockIdx.x + (uint64_t)s * gridDim.x, stages[s]);
    }
    qb__tail_pad(a.tail, (uint64_t)blockIdx.x * THREADS + threadIdx.x, (uint64_t)gridDim.x * THREADS);
    for (uint64_t row = blockIdx.x; row < a.rows; row += gridDim.x, turn++) {
        stage<CHUNKS, ADD> &s = stages[turn % STAGES];
        float c[QB__EIGHT];
        uint4 y[CHUNKS];
        uint32_t acc = 0;

        wait_group<STAGES - 1>();
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            float x[QB__EIGHT];

            y[k] = s.in[k][threadIdx.x];
            if constexpr (ADD) {
                y[k] = qb__chunk_sum<IN>(y[k], s.residual[k][threadIdx.x]);
                if (k * THREADS + threadIdx.x < a.row_chunks) {
                    ((uint4 *)a.sum)[row * a.row_chunks + k * THREADS + threadIdx.x] = qb__plain_nans<IN>(y[k]);
                }
            }
            qb__unpack<IN>(y[k], x);
#pragma unroll
            for (unsigned i = 0; i < QB__EIGHT; i++) {
                c[i] = k == 0 ? __fmul_rn(x[i], x[i]) : __fmaf_rn(x[i], x[i], c[i]);
            }
        }
        fetch<CHUNKS, ADD>(a, in, row + (uint64_t)STAGES * gridDim.x, s);
        const float factor = qb__norm_factor(qb__norm_sum(c, warp_sums[turn % 2]), a.length, a.epsilon);
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            const uint32_t at = k * THREADS + threadIdx.x;

            if (at < a.row_chunks) {
                y[k] = values_of<IN>(a, y[k], at, factor);
                if (a.values != NULL) {
                    ((uint4 *)a.values)[row * a.row_chunks + at] = qb__plain_nans<IN>(y[k]);
                }
            }
            acc = qb__max_chunk<IN>(acc, y[k]);
        }
        if (of_rows) {
            bool fast;
            const qb__divisor d = row_scale<IN, OUT>(a, row, acc, warp_max, &fast);
#pragma unroll
            for (int k = 0; k < CHUNKS; k++) {
                const uint32_t at = k * THREADS + threadIdx.x;
                if (at < a.row_chunks && a.tail.codes) {
                    qb__store16<IN>(a.tail.out + row * a.tail.out_step + (uint64_t)at * QB__EIGHT,
                                    qb__encode<IN, OUT>(y[k], d, fast));
                }
            }
        } else {
#pragma unroll
            for (int k = 0; k < CHUNKS; k++) {
                const uint32_t at = k * THREADS + threadIdx.x;
                qb__tail_chunk<IN, OUT>(a.tail, y[k], row, at, at < a.row_chunks);
            }
        }
    }
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

static norm_args args_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const bool adds = p->operation == QB_OPERATION_ADD_RMS_NORM;
    norm_args a = {};

    a.in = (const unsigned char *)call->in;
    a.weights = call->weights;
    a.residual = adds ? (const unsigned char *)call->residual : NULL;
    a.sum = adds ? call->sum : NULL;
    a.values = call->values;
    a.rows = call->rows;
    a.cols = call->cols;
    a.in_stride = call->in_stride;
    a.in_step = call->in_stride * qb__element_size(call->input);
    a.length = (float)call->cols;
    a.epsilon = p->epsilon;
    a.float_weights = p->weights == QB_WEIGHTS_FLOAT;
    a.rounds = p->intermediate == QB_INTERMEDIATE_INPUT;
    a.in_float = p->intermediate == QB_INTERMEDIATE_FLOAT;
    a.wide = a.cols % QB__EIGHT == 0 && a.in_stride % QB__EIGHT == 0 && qb__is_aligned(a.in, 16) &&
             qb__is_aligned(a.weights, 16) && qb__is_aligned(a.residual, 16) && qb__is_aligned(a.sum, 16) &&
             qb__is_aligned(a.values, 16);
    return a;
}

cudaError_t qb__cuda_norm_values_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[3] = {(const void *)norm_values<QB_FORMAT_F16>,
                                           (const void *)norm_values<QB_FORMAT_BF16>,
                                           (const void *)norm_values<QB_FORMAT_F32>};
    norm_args a = args_of(call);
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

static size_t shared_of(const struct qb__cuda_call *call)
{
    const bool adds = call->problem->operation == QB_OPERATION_ADD_RMS_NORM;

    return (size_t)chunks_of(call) * THREADS * 16 * STAGES * (adds ? 2 : 1);
}

/* The kernels: by chunks, without and with a residual. */
#define OF_CHUNKS(chunks)                                                                                              \
    {                                                                                                                  \
        QB__TAIL_KERNELS(norm_rows, chunks, false), QB__TAIL_KERNELS(norm_rows, chunks, true)                          \
    }
static const void *const norm_kernels[4][2][6] = {OF_CHUNKS(1), OF_CHUNKS(2), OF_CHUNKS(4), OF_CHUNKS(8)};

cudaError_t qb__cuda_norm_prepare(struct qb__cuda_limits *limits)
{
    cudaError_t error = cudaSuccess;

    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 12 && error == cudaSuccess; k++) {
            const size_t bytes = ((size_t)1 << i) * THREADS * 16 * STAGES * (k < 6 ? 1 : 2);

            if (bytes <= limits->shared_per_block - 1024) {
                error = cudaFuncSetAttribute(norm_kernels[i][k / 6][k % 6], cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             (int)bytes);
            }
        }
    }
    return error;
}

bool qb__cuda_norm_fits(const struct qb__cuda_call *call)
{
    return qb__tail_fits(call) && call->cols <= (uint64_t)MAX_CHUNKS * QB__NORM_COLUMNS &&
           shared_of(call) <= call->limits->shared_per_block - 1024;
}

cudaError_t qb__cuda_norm_run(const struct qb__cuda_call *call, bool *done)
{
    const unsigned chunks = chunks_of(call), level = chunks == 1 ? 0 : chunks == 2 ? 1 : chunks == 4 ? 2 : 3;
    const size_t shared = shared_of(call);
    norm_args a = args_of(call);
    void *args[] = {&a};

    *done = a.wide && qb__tail_aligned(call);
    if (!*done) {
        return cudaSuccess;
    }
    a.tail = qb__tail_of(call);
    a.row_chunks = (uint32_t)(a.cols / QB__EIGHT);
    /* As many as are there at once. */
    const uint64_t resident = (call->limits->shared_per_block + 1024) / (shared + 1024), most = level == 3 ? 2 : 4;
    const uint64_t blocks = call->limits->units * (resident < most ? resident : most);

    return qb__launch(call, norm_kernels[level][a.residual != NULL][qb__index(call)], a.rows < blocks ? a.rows : blocks,
                      dim3(THREADS), args, shared);
}
