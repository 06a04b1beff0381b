/* SPDX-License-Identifier: Apache-2.0 */
/* fused.cu - dynamic, one scale for the whole tensor, in one cooperative launch. Every block keeps its part of the
 * input on the chip: in shared memory, in registers, and the rest in L2. Between the amax and the codes there is one
 * barrier across the grid. */
#include "barrier.cuh"
#include "onchip.cuh"

/* ---- The kernel --------------------------------------------------------------------------------------------- */

/* The tensor as one row, with what can be worked out before the launch. */
struct fused_args {
    const unsigned char *in; /* the first full chunk */
    unsigned char *out;      /* where its codes go */
    float *scales;
    uint64_t full;       /* chunks */
    uint32_t head, tail; /* elements before and after them: block 0 does them */
    uint32_t rounds;     /* chunks of each thread */
    uint32_t rest;       /* threads that have one more, the first */
    barrier *state;
    uint32_t posts;
    uint32_t cached; /* rounds that L2 can keep */
    uint32_t shared; /* rounds that are kept in shared memory */
    float bound, qmax;
};

/* True if this thread has one of the elements before and after the full chunks, and which, counted from those. */
__device__ __forceinline__ bool has_edge(const fused_args &a)
{
    return blockIdx.x == 0 && threadIdx.x < a.head + a.tail;
}

template <int IN> __device__ __forceinline__ int64_t edge_index(const fused_args &a)
{
    return (int64_t)threadIdx.x - a.head + (threadIdx.x < a.head ? 0 : (int64_t)a.full * qb__in<IN>::chunk);
}

/* Its part in the amax, as bits. */
template <int IN> __device__ __forceinline__ uint32_t edge_max(const fused_args &a, const unsigned char *in)
{
    return has_edge(a) ? __float_as_uint(fmaxf(fabsf(qb__load_element<IN>(in, edge_index<IN>(a))), 0.0f)) : 0;
}

/* A round is one chunk for each thread of the grid, so that all of the grid reads in one place. A thread's rounds are
 * held in registers, or kept wherever there is room if LARGE. */
template <int IN, int OUT, unsigned THREADS, unsigned HELD, bool LARGE>
__global__ void __launch_bounds__(THREADS, 1) fused(const fused_args a)
{
    const unsigned n = qb__in<IN>::chunk;
    extern __shared__ uint4 kept[];
    __shared__ uint32_t warp_max[2][32];
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t launch = load_relaxed(&a.state->launch) + 1;
    const uint32_t thread = blockIdx.x * THREADS + threadIdx.x;
    unsigned char *const out = a.out + (size_t)thread * n;
    const size_t out_step = (size_t)gridDim.x * THREADS * n;
    qb__onchip<THREADS, HELD, LARGE> data;
    uint32_t acc = 0;

    data.in = in + (size_t)thread * 16;
    data.step = (size_t)gridDim.x * THREADS * 16;
    data.count = a.rounds + (thread < a.rest);
    data.shared = LARGE ? min(a.shared, data.count) : 0;
    data.cached = a.cached;
    data.mine = kept + threadIdx.x;
    data.read([&](const uint4 &chunk) { acc = qb__max_chunk<IN>(acc, chunk); });

    /* LAUNCH was read before the __syncthreads() in here. Nothing else that one block wrote is read by another, so that
     * the words need no order with other memory. */
    uint32_t amax = qb__block_max(max(qb__max_bits<IN>(acc), edge_max<IN>(a, in)), warp_max[0]);
    post(a.state, launch, a.posts, amax);
    amax = wait_for_posts(a.state, launch, amax, warp_max[1]);
    const qb__divisor d = qb__divide_by<IN>(qb__scale<OUT>(amax, a.bound));
    if (thread == 0) {
        count_launch(a.state, launch);
        *a.scales = d.s;
    }
    if (qb__is_fast<IN>(amax, d.limit)) {
        data.write([&](uint32_t k, const uint4 &chunk) {
            qb__store_streaming<IN>(out + k * out_step, qb__encode_fast<IN, OUT>(chunk, d));
        });
    } else {
        /* Seldom: small is better than fast, and all is read again. */
#pragma unroll 1
        for (uint32_t k = 0; k < data.count; k++) {
            qb__store16<IN>(out + k * out_step, qb__encode_slow<IN, OUT>(qb__load16(data.in + k * data.step), d));
        }
    }
    if (has_edge(a)) {
        const int64_t edge_at = edge_index<IN>(a);
        a.out[edge_at] = qb__encode1<OUT>(qb__load_element<IN>(in, edge_at), d.s);
    }
}

/* Threads of a block, and chunks that a thread has on their way. */
#define AMAX_THREADS 1024
#define AMAX_DEPTH   4

/* Scales alone: all blocks read and post, and the first waits for the others. None of them waits for it, so that they
 * need not run at the same time. */
template <int IN> __global__ void __launch_bounds__(AMAX_THREADS) amax_all(const fused_args a)
{
    __shared__ uint32_t warp_max[2][32];
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t launch = load_relaxed(&a.state->launch) + 1;
    const uint32_t thread = blockIdx.x * AMAX_THREADS + threadIdx.x;
    const size_t step = (size_t)gridDim.x * AMAX_THREADS * 16;
    const uint32_t count = a.rounds + (thread < a.rest);
    uint32_t acc = 0;

    for (uint32_t k = 0; k < count; k += AMAX_DEPTH) {
        uint4 chunk[AMAX_DEPTH];
#pragma unroll
        for (unsigned i = 0; i < AMAX_DEPTH; i++) {
            chunk[i] = k + i < count ? qb__load16(in + (size_t)thread * 16 + (k + i) * step) : make_uint4(0, 0, 0, 0);
        }
#pragma unroll
        for (unsigned i = 0; i < AMAX_DEPTH; i++) {
            acc = qb__max_chunk<IN>(acc, chunk[i]);
        }
    }
    uint32_t amax = qb__block_max(max(qb__max_bits<IN>(acc), edge_max<IN>(a, in)), warp_max[0]);
    post(a.state, launch, a.posts, amax);
    if (blockIdx.x == 0) {
        amax = wait_for_posts(a.state, launch, amax, warp_max[1]);
        if (threadIdx.x == 0) {
            count_launch(a.state, launch);
            *a.scales = qb__scale(amax, a.bound, a.qmax);
        }
    }
}

/* Threads of a block, and chunks that each holds in registers. For large data fewer threads have more of them: 384 x 31
 * chunks where 512 could have 22 (4096 x 8192: 28.9 us for 30.4), while 256 x 48 are no better. The first
 * small size whose blocks are no more than the multiprocessors is the fastest, even if they are few. */
#define LARGE_THREADS 384
#define LARGE_HELD    31

static const struct {
    unsigned threads, held;
    const void *kernels[9];
} small_sizes[] = {{256, 2, QB__KERNELS(fused, 256, 2, false)},
                   {256, 4, QB__KERNELS(fused, 256, 4, false)},
                   {256, 8, QB__KERNELS(fused, 256, 8, false)},
                   {512, 8, QB__KERNELS(fused, 512, 8, false)},
                   {512, 16, QB__KERNELS(fused, 512, 16, false)}};
static const void *const large_kernels[] = QB__KERNELS(fused, LARGE_THREADS, LARGE_HELD, true);

/* Shared memory of the small sizes, which they do not use: so much that a multiprocessor cannot have two blocks. Where
 * it can have three or more, a cooperative launch takes 0.3 us more (0.93 and 0.61 us for empty ones). */
static size_t small_shared(const struct qb__cuda_limits *limits)
{
    return limits->shared_per_block / 2;
}

extern "C" size_t qb__cuda_barrier_size(const struct qb__cuda_limits *limits)
{
    return (sizeof(struct barrier) + POSTS * limits->units * sizeof(struct post) + 255) / 256 * 256;
}

extern "C" cudaError_t qb__cuda_fused_prepare(struct qb__cuda_limits *limits)
{
    for (const auto &size : small_sizes) {
        for (const void *kernel : size.kernels) {
            cudaError_t error =
                cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)small_shared(limits));
            if (error != cudaSuccess) {
                return error;
            }
        }
    }
    return qb__onchip_prepare(large_kernels, sizeof(large_kernels) / sizeof(large_kernels[0]), LARGE_THREADS, limits,
                              &limits->fused);
}

extern "C" bool qb__cuda_amax_fits(const struct qb__cuda_call *call)
{
    /* Rounds are counted in 32 bits. */
    return call->scale_rows == 1 && call->scale_cols == 1 && call->rows <= 1 && call->cols / LARGE_THREADS < 0x7fffffff;
}

extern "C" bool qb__cuda_fused_fits(const struct qb__cuda_call *call)
{
    return call->limits->fused && qb__cuda_amax_fits(call);
}

/* All but how the chunks are shared out. */
static fused_args make_args(const struct qb__cuda_call *call)
{
    const unsigned size = qb__element_size(call->input), n = 16 / size;
    const uint64_t count = call->rows * call->cols, before = -(uintptr_t)call->in % 16 / size;
    struct fused_args a = {};

    a.head = (uint32_t)(before < count ? before : count);
    a.in = (const unsigned char *)call->in + a.head * size;
    a.out = call->out + a.head;
    a.full = (count - a.head) / n;
    a.tail = (uint32_t)((count - a.head) % n);
    a.scales = call->scales;
    a.state = (struct barrier *)call->workspace;
    a.posts = POSTS * call->limits->units;
    a.bound = call->bound;
    a.qmax = qb__qmax_of(call);
    return a;
}

static cudaError_t launch(const struct qb__cuda_call *call, const void *kernel, unsigned blocks, unsigned threads,
                          fused_args *a, size_t shared, bool cooperative)
{
    void *args[] = {a};

    a->rounds = (uint32_t)(a->full / ((uint64_t)blocks * threads));
    a->rest = (uint32_t)(a->full % ((uint64_t)blocks * threads));
    return qb__launch(call, kernel, blocks, dim3(threads), args, shared, cooperative);
}

extern "C" cudaError_t qb__cuda_amax_run(const struct qb__cuda_call *call)
{
    static const void *const kernels[] = {(const void *)amax_all<QB_FORMAT_F16>, (const void *)amax_all<QB_FORMAT_BF16>,
                                          (const void *)amax_all<QB_FORMAT_F32>};
    fused_args a = make_args(call);
    const uint64_t useful = qb__ceil_div(a.full, AMAX_THREADS * AMAX_DEPTH);
    const unsigned blocks = useful < 1 ? 1 : useful < a.posts ? (unsigned)useful : a.posts;

    return launch(call, kernels[call->input - QB_FORMAT_F16], blocks, AMAX_THREADS, &a, 0, false);
}

extern "C" cudaError_t qb__cuda_fused_run(const struct qb__cuda_call *call)
{
    const unsigned units = call->limits->units;
    fused_args a = make_args(call);

    if (!qb__in_phase(call, 0, 0, 1)) {
        return qb__cuda_two_pass_run(call);
    }
    for (const auto &small : small_sizes) {
        const uint64_t blocks = qb__ceil_div(a.full, small.threads * small.held);
        if (blocks <= units) {
            return launch(call, small.kernels[qb__index(call)], blocks > 0 ? (unsigned)blocks : 1, small.threads, &a,
                          small_shared(call->limits), true);
        }
    }
    a.cached = qb__onchip_cached(call->limits, LARGE_THREADS);
    a.shared =
        qb__onchip_kept(call->limits, LARGE_THREADS, qb__ceil_div(a.full, (uint64_t)units * LARGE_THREADS), LARGE_HELD);
    return launch(call, large_kernels[qb__index(call)], units, LARGE_THREADS, &a, (size_t)a.shared * LARGE_THREADS * 16,
                  true);
}
