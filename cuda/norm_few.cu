/* SPDX-License-Identifier: Apache-2.0 */
/* norm_few.cu - RMS_NORM and ADD_RMS_NORM of few rows, fused with a quantization: as in few.cu, what counts is the time
 * from the first load to the last store. A row has several blocks of threads where there are multiprocessors for them.
 * Each of these reads all of it, and writes a part of the codes. What norm.cu has besides is left out. */
#include "norm.cuh"

#define THREADS QB__NORM_THREADS

/* Chunks that a thread holds at most: rows of 8192 elements. */
#define MAX_CHUNKS 4

/* Where scales come from. */
enum { GIVEN, OF_ROWS, OF_GROUPS };

/* Small, as a kernel waits for its arguments. Codes, scales, and the tensors besides the input are dense. */
struct norm_few_args {
    const unsigned char *in, *weights;
    unsigned char *out;
    float *scales;
    uint32_t in_step; /* bytes from one row to the next */
    uint16_t row_chunks;
    uint16_t shift; /* 2 to this many chunks have one scale */
    float epsilon, bound;
};

struct norm_few_add_args : norm_few_args {
    const unsigned char *residual; /* it may be the sum, if a row has one block */
    unsigned char *sum;
};

/* The largest element of a block, whose threads have words ACC. WARP_MAX has room for a number for each warp. */
template <int IN> __device__ __forceinline__ uint32_t block_amax(uint32_t acc, uint32_t *warp_max)
{
    const uint32_t amax = qb__warp_max(qb__max_bits<IN>(acc));

    if (threadIdx.x % 32 == 0) {
        warp_max[threadIdx.x / 32] = amax;
    }
    __syncthreads();
    return qb__warp_max(warp_max[threadIdx.x % QB__NORM_WARPS]);
}

/* Set OWN_ONES to part PART of ALL chunks of a thread. */
template <int CHUNKS, int OWN> __device__ __forceinline__ void choose(const uint4 *all, uint32_t part, uint4 *own_ones)
{
#pragma unroll
    for (int k = 0; k < OWN; k++) {
        own_ones[k] = all[k];
#pragma unroll
        for (int i = OWN; i < CHUNKS; i += OWN) {
            if (part == (unsigned)(i / OWN)) {
                own_ones[k] = all[i + k];
            }
        }
    }
}

/* Read the chunks Y of row ROW, to which the residual is added, and weights W; zeros beyond the end. */
template <int IN, int CHUNKS, bool ADD, class ARGS>
__device__ __forceinline__ void read_row(const ARGS &a, uint32_t row, uint4 *y, uint4 *w)
{
    const unsigned char *in = qb__wait(a.in) + (uint64_t)row * a.in_step + threadIdx.x * 16;
    const unsigned char *weights = a.weights + threadIdx.x * 16;
    const uint4 none = make_uint4(0, 0, 0, 0);
    bool valid[CHUNKS];

    /* Registers, so that the places of chunks differ by constants. */
    asm volatile("" : "+l"(in), "+l"(weights));
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        valid[k] = k * THREADS + threadIdx.x < a.row_chunks;
        y[k] = valid[k] ? qb__load16(in + k * (THREADS * 16)) : none;
    }
    if constexpr (ADD) {
        const uint4 *const residuals = (const uint4 *)a.residual + (uint64_t)row * a.row_chunks + threadIdx.x;
        uint4 residual[CHUNKS];

#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            residual[k] = valid[k] ? residuals[k * THREADS] : none;
        }
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            y[k] = qb__chunk_sum<IN>(y[k], residual[k]);
        }
    }
    /* The last, as they are needed last. */
#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        w[k] = valid[k] ? qb__load16(weights + k * (THREADS * 16)) : none;
    }
}

/* The sum of the squares of a row whose chunks are Y, and these unpacked, X. */
template <int IN, int CHUNKS>
__device__ __forceinline__ float row_sum(const uint4 *y, float (*x)[QB__EIGHT], float *warp_sums)
{
    float c[QB__EIGHT];

#pragma unroll
    for (int k = 0; k < CHUNKS; k++) {
        qb__unpack<IN>(y[k], x[k]);
#pragma unroll
        for (unsigned i = 0; i < QB__EIGHT; i++) {
            c[i] = k == 0 ? __fmul_rn(x[k][i], x[k][i]) : __fmaf_rn(x[k][i], x[k][i], c[i]);
        }
    }
    return qb__norm_sum(c, warp_sums);
}

/* Find the divisors D of the chunks Z of a thread, THREADS apart from PLACE on, by the scales of their groups, which
 * are stored; VALID says which there are. */
template <int IN, int OUT, int OWN>
__device__ __forceinline__ void group_divisors(const norm_few_args &a, const uint4 *z, uint64_t place,
                                               const bool *valid, qb__divisor *d)
{
    uint32_t acc[OWN];

#pragma unroll
    for (int k = 0; k < OWN; k++) {
        acc[k] = qb__max_chunk<IN>(0, z[k]);
    }
    qb__group_max<IN, OWN>(acc, a.shift);
#pragma unroll
    for (int k = 0; k < OWN; k++) {
        d[k] = qb__divide_by<IN>(qb__found_scale<OUT>(qb__max_bits<IN>(acc[k]), a.bound));
        if (threadIdx.x % (1u << a.shift) == 0 && valid[k]) {
            a.scales[(place + k * THREADS) >> a.shift] = d[k].s;
        }
    }
}

/* Store the codes of these chunks. All codes come before all stores, so that chunks do not wait for each other. */
template <int IN, int OUT, int OWN>
__device__ __forceinline__ void store_codes(const norm_few_args &a, const uint4 *z, uint64_t place, const bool *valid,
                                            const qb__divisor *d, bool fast)
{
    qb__codes<IN> codes[OWN];

    if (fast) {
#pragma unroll
        for (int k = 0; k < OWN; k++) {
            codes[k] = qb__encode_fast<IN, OUT>(z[k], d[k]);
        }
    } else {
#pragma unroll
        for (int k = 0; k < OWN; k++) {
            codes[k] = qb__encode_slow<IN, OUT>(z[k], d[k]);
        }
    }
#pragma unroll
    for (int k = 0; k < OWN; k++) {
        if (valid[k]) {
            qb__store16<IN>(a.out + (place + k * THREADS) * QB__EIGHT, codes[k]);
        }
    }
}

/* A row has BLOCKS blocks. */
template <int IN, int OUT, int CHUNKS, int BLOCKS, int SCALES, bool ADD, class ARGS>
__global__ void __launch_bounds__(THREADS, 3) norm_few(const ARGS a)
{
    constexpr int OWN = CHUNKS / BLOCKS; /* chunks of a thread whose codes it writes */
    __shared__ __align__(16) float warp_sums[QB__NORM_WARPS];
    __shared__ uint32_t warp_max[QB__NORM_WARPS];
    const uint32_t row = blockIdx.x / BLOCKS, part = blockIdx.x % BLOCKS, first = part * OWN * THREADS + threadIdx.x;
    const uint64_t place = (uint64_t)row * a.row_chunks + first;
    uint4 y[CHUNKS], w[CHUNKS], z[OWN], own_weights[OWN];
    qb__divisor d[OWN];
    bool valid[OWN];

    read_row<IN, CHUNKS, ADD>(a, row, y, w);
    const float given = SCALES == GIVEN ? *a.scales : 1;
    float x[CHUNKS][QB__EIGHT];
    const float factor =
        qb__fast_norm_factor(row_sum<IN, CHUNKS>(y, x, warp_sums), (float)(a.row_chunks * QB__EIGHT), a.epsilon);
    qb__let_next();
#pragma unroll
    for (int k = 0; k < OWN; k++) {
        valid[k] = first + k * THREADS < a.row_chunks;
    }
    if constexpr (ADD) {
        choose<CHUNKS, OWN>(y, part, z);
#pragma unroll
        for (int k = 0; k < OWN; k++) {
            if (valid[k]) {
                ((uint4 *)a.sum)[place + k * THREADS] = qb__plain_nans<IN>(z[k]);
            }
        }
    }
    /* An infinite factor makes NaN beyond the end: no amax, and not stored. */
    if constexpr (SCALES == OF_ROWS) {
        uint32_t acc = 0;
#pragma unroll
        for (int k = 0; k < CHUNKS; k++) {
            y[k] = qb__norm_eight<IN>(x[k], w[k], factor);
            acc = qb__max_chunk<IN>(acc, y[k]);
        }
        choose<CHUNKS, OWN>(y, part, z);
        d[0] = qb__divide_by<IN>(qb__found_scale<OUT>(block_amax<IN>(acc, warp_max), a.bound));
        if (threadIdx.x == 0 && part == 0) {
            a.scales[row] = d[0].s;
        }
    } else {
        choose<CHUNKS, OWN>(y, part, z);
        choose<CHUNKS, OWN>(w, part, own_weights);
#pragma unroll
        for (int k = 0; k < OWN; k++) {
            z[k] = qb__norm_chunk<IN>(z[k], own_weights[k], factor);
        }
        d[0] = qb__divide_by<IN>(given);
    }
    if constexpr (SCALES == OF_GROUPS) {
        group_divisors<IN, OUT, OWN>(a, z, place, valid, d);
    }
    /* Scales of groups beyond the end are too small for the fast way. */
    bool fast = d[0].limit > 0 || (SCALES == OF_GROUPS && !valid[0]);
#pragma unroll
    for (int k = 1; k < OWN; k++) {
        d[k] = SCALES == OF_GROUPS ? d[k] : d[0];
        fast = fast && (d[k].limit > 0 || (SCALES == OF_GROUPS && !valid[k]));
    }
    store_codes<IN, OUT, OWN>(a, z, place, valid, d, fast);
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

/* The kernels, by scales; E5M2 has none, as in norm.cu. */
#define OF_INPUT(in, chunks, blocks, scales, adds, args)                                                               \
    (const void *)norm_few<in, QB_FORMAT_INT8, chunks, blocks, scales, adds, args>,                                    \
        (const void *)norm_few<in, QB_FORMAT_E4M3, chunks, blocks, scales, adds, args>, NULL
#define OF_SCALES(chunks, blocks, scales, adds, args)                                                                  \
    {                                                                                                                  \
        OF_INPUT(QB_FORMAT_F16, chunks, blocks, scales, adds, args),                                                   \
            OF_INPUT(QB_FORMAT_BF16, chunks, blocks, scales, adds, args)                                               \
    }
#define OF_SHAPE(chunks, blocks, adds, args)                                                                           \
    {                                                                                                                  \
        OF_SCALES(chunks, blocks, GIVEN, adds, args), OF_SCALES(chunks, blocks, OF_ROWS, adds, args),                  \
            OF_SCALES(chunks, blocks, OF_GROUPS, adds, args)                                                           \
    }

/* Shapes by chunks of a thread and blocks of a row. */
static const struct {
    unsigned chunks, blocks;
    const void *kernels[2][3][6]; /* without and with a residual */
} shapes[] = {{1, 1, {OF_SHAPE(1, 1, false, norm_few_args), OF_SHAPE(1, 1, true, norm_few_add_args)}},
              {2, 2, {OF_SHAPE(2, 2, false, norm_few_args), OF_SHAPE(2, 2, true, norm_few_add_args)}},
              {2, 1, {OF_SHAPE(2, 1, false, norm_few_args), OF_SHAPE(2, 1, true, norm_few_add_args)}},
              {4, 4, {OF_SHAPE(4, 4, false, norm_few_args), OF_SHAPE(4, 4, true, norm_few_add_args)}},
              {4, 1, {OF_SHAPE(4, 1, false, norm_few_args), OF_SHAPE(4, 1, true, norm_few_add_args)}}};

extern "C" cudaError_t qb__cuda_norm_few_run(const struct qb__cuda_call *call, bool *done)
{
    const qb__norm_args n = qb__norm_args_of(call);
    const uint64_t units = call->limits->units;
    const uint64_t chunks = qb__ceil_power(qb__ceil_div(call->cols, QB__NORM_COLUMNS));
    const bool adds = call->problem->operation == QB_OPERATION_ADD_RMS_NORM;
    const int scales = call->scaling == QB_SCALING_STATIC                   ? GIVEN
                       : call->problem->granularity == QB_GRANULARITY_TOKEN ? OF_ROWS
                                                                            : OF_GROUPS;
    unsigned shape = 0;
    norm_few_add_args a = {};
    void *args[] = {&a};

    *done = qb__is_plain(call) && chunks <= MAX_CHUNKS && n.rounds && !n.float_weights && qb__has_fast_factor(n) &&
            n.in_step <= UINT32_MAX && call->rows <= (adds ? 1 : 4) * units;
    if (!*done) {
        return cudaSuccess;
    }
    a.in = n.in;
    a.weights = (const unsigned char *)n.weights;
    a.out = call->out;
    a.scales = call->scales;
    a.in_step = (uint32_t)n.in_step;
    a.row_chunks = (uint16_t)(call->cols / QB__EIGHT);
    a.epsilon = n.epsilon;
    a.bound = call->bound;
    a.residual = n.residual;
    a.sum = (unsigned char *)n.sum;
    if (scales == OF_GROUPS) {
        a.shift = (uint16_t)qb__group_shift(call->problem);
    }
    /* A row has one block where another one would read what it writes, and where there are rows enough: fewer of them
     * if the scale follows from the whole row, which each block finds. */
    const bool one =
        call->rows * chunks > (scales == OF_ROWS ? 1 : 2) * units || (n.sum != NULL && n.sum == n.residual);
    while (shapes[shape].chunks != chunks || (one && shapes[shape].blocks > 1)) {
        shape++;
    }
    return qb__launch(call, shapes[shape].kernels[adds][scales][qb__index(call)], call->rows * shapes[shape].blocks,
                      dim3(THREADS), args);
}
