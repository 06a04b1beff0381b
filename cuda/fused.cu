/* SPDX-License-Identifier: Apache-2.0 */
/* fused.cu - dynamic, one scale for the whole tensor, in one launch. Every block keeps a slice of the input on the chip:
 * in shared memory, then in registers, and leaves the rest to L2. Between the amax and the codes there is one barrier
 * across the grid. */
#include "device.cuh"

#define THREADS 512
/* Chunks that a thread holds in registers, and how many it reads at a time of those that it does not hold. */
#define HELD 16
#define BATCH 8

/* ---- The barrier across the grid ---------------------------------------------------------------------------- */

/* Each block posts its value with the number of the launch, in one store of 8 bytes, and reads all blocks' posts until
 * they have that number: one trip to L2 and back, no atomics, and nothing to reset. The number comes from memory, so
 * that a replayed graph counts on. Every post is renewed by every launch, also those of blocks that a small grid does
 * not have, so that no number is ever met again after the counter wraps. */
struct barrier {
    uint32_t launch;
    uint32_t unused[31];
    uint64_t post[1]; /* one for each multiprocessor */
};

__device__ __forceinline__ uint32_t load_relaxed(const uint32_t *p)
{
    uint32_t v;

    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
    return v;
}

__device__ __forceinline__ uint64_t load_relaxed(const uint64_t *p)
{
    uint64_t v;

    asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(v) : "l"(p) : "memory");
    return v;
}

__device__ __forceinline__ void store_relaxed(uint32_t *p, uint32_t v)
{
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}

__device__ __forceinline__ void store_relaxed(uint64_t *p, uint64_t v)
{
    asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(p), "l"(v) : "memory");
}

/* The largest of all blocks' BITS. LAUNCH was read from the barrier before the last __syncthreads(). */
__device__ __forceinline__ uint32_t grid_max(barrier *b, uint32_t launch, uint32_t posts, uint32_t bits,
                                             uint32_t *warp_max)
{
    launch++;
    for (uint32_t i = blockIdx.x + threadIdx.x * gridDim.x; i < posts; i += blockDim.x * gridDim.x) {
        store_relaxed(&b->post[i], (uint64_t)launch << 32 | bits);
    }
    for (uint32_t i = threadIdx.x; i < gridDim.x; i += blockDim.x) {
        uint64_t post;
        do {
            post = load_relaxed(&b->post[i]);
        } while ((uint32_t)(post >> 32) != launch);
        bits = max(bits, (uint32_t)post);
    }
    bits = qb__block_max(bits, warp_max);
    /* All blocks have posted, so all have read the number that this overwrites. */
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        store_relaxed(&b->launch, launch);
    }
    return bits;
}

/* ---- The kernel --------------------------------------------------------------------------------------------- */

/* 16 bytes to shared memory; finish_copies() makes those of this thread visible to it. */
__device__ __forceinline__ void copy16(uint4 *to, const unsigned char *from)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((uint32_t)__cvta_generic_to_shared(to)), "l"(from)
                 : "memory");
#else
    *to = qb__load16(from);
#endif
}

__device__ __forceinline__ void finish_copies()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

struct fused_args {
    const void *in;
    uint8_t *out;
    float *scales;
    uint64_t count; /* elements */
    barrier *state;
    uint32_t posts;
    uint32_t slice;  /* chunks of one block */
    uint32_t shared; /* of these, chunks kept in shared memory: the first */
    float bound;
};

template <int IN, int OUT> __global__ void __launch_bounds__(THREADS, 1) fused(const fused_args a)
{
    extern __shared__ uint4 kept[];
    __shared__ uint32_t warp_max[2][32];
    const uint32_t launch = gridDim.x > 1 ? load_relaxed(&a.state->launch) : 0;
    const qb__row line = qb__make_row<IN>(a.in, 0, a.out, 0, a.count);
    const qb__span span = qb__cut<IN>(line, (uint64_t)blockIdx.x * a.slice, a.slice, blockIdx.x == gridDim.x - 1);
    const uint32_t shared = min(a.shared, span.full), held = shared + threadIdx.x, rest = shared + HELD * THREADS;
    uint4 chunk[HELD];
    uint32_t acc = 0;

    for (uint32_t c = threadIdx.x; c < shared; c += THREADS) {
        copy16(&kept[c], span.in + (size_t)c * 16);
    }
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        chunk[k] = qb__load(span, held + k * THREADS);
    }
    for (uint32_t c = rest + threadIdx.x; c < span.full; c += BATCH * THREADS) {
        uint4 batch[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            batch[k] = qb__load(span, c + k * THREADS);
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            acc = qb__max_chunk<IN>(acc, batch[k]);
        }
    }
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        acc = qb__max_chunk<IN>(acc, chunk[k]);
    }
    finish_copies();
    for (uint32_t c = threadIdx.x; c < shared; c += THREADS) {
        acc = qb__max_chunk<IN>(acc, kept[c]);
    }
    const float edge = qb__edge_max<IN>(span, threadIdx.x, THREADS);
    uint32_t amax = qb__block_max(max(qb__max_bits<IN>(acc), __float_as_uint(edge)), warp_max[0]);
    if (gridDim.x > 1) {
        amax = grid_max(a.state, launch, a.posts, amax, warp_max[1]);
    }

    const qb__divisor d = qb__divide_by(qb__scale<OUT>(amax, a.bound));
    const bool fast = __uint_as_float(amax) <= d.limit;
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        *a.scales = d.s;
    }
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        qb__store<IN>(span, held + k * THREADS, qb__encode<IN, OUT>(chunk[k], d, fast));
    }
    /* What was read last is in L2 most likely: from the end to the beginning. */
    if (span.full > rest) {
        for (uint32_t batches = (span.full - rest + BATCH * THREADS - 1) / (BATCH * THREADS); batches > 0; batches--) {
            const uint32_t c = rest + (batches - 1) * (BATCH * THREADS) + threadIdx.x;
            uint4 batch[BATCH];
#pragma unroll
            for (int k = 0; k < BATCH; k++) {
                batch[k] = qb__load(span, c + k * THREADS);
            }
#pragma unroll
            for (int k = 0; k < BATCH; k++) {
                qb__store<IN>(span, c + k * THREADS, qb__encode<IN, OUT>(batch[k], d, fast));
            }
        }
    }
    for (uint32_t c = threadIdx.x; c < shared; c += THREADS) {
        qb__store<IN>(span, c, qb__encode<IN, OUT>(kept[c], d, fast));
    }
    qb__edge_store<IN, OUT>(span, threadIdx.x, THREADS, d.s);
}

static const void *const kernels[] = QB__KERNELS(fused);

extern "C" size_t qb__cuda_barrier_size(const struct qb__cuda_limits *limits)
{
    return (sizeof(struct barrier) + limits->units * sizeof(uint64_t) + 255) / 256 * 256;
}

/* Whole rounds of chunks for all threads, less what the kernel has for itself. */
static size_t shared_bytes(const struct qb__cuda_limits *limits)
{
    return (limits->shared_per_block - 1024) / (THREADS * 16) * (THREADS * 16);
}

extern "C" cudaError_t qb__cuda_fused_prepare(struct qb__cuda_limits *limits)
{
    int blocks = 0;

    for (unsigned i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        cudaError_t error = cudaFuncSetAttribute(kernels[i], cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                 (int)shared_bytes(limits));
        if (error == cudaSuccess) {
            error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernels[i], THREADS, shared_bytes(limits));
        }
        if (error != cudaSuccess) {
            return error;
        }
        if (blocks < 1) {
            limits->cooperative = false;
        }
    }
    return cudaSuccess;
}

extern "C" bool qb__cuda_fused_fits(const struct qb__cuda_call *call)
{
    const bool dense = call->rows <= 1 || (call->in_stride == call->cols && call->out_stride == call->cols);

    return call->limits->cooperative && call->scale_rows == 1 && call->scale_cols == 1 && dense;
}

extern "C" cudaError_t qb__cuda_fused_run(const struct qb__cuda_call *call)
{
    struct fused_args a = {};
    void *args[] = {&a};

    a.in = call->in;
    a.out = call->out;
    a.scales = call->scales;
    a.count = call->rows * call->cols;
    a.state = (struct barrier *)call->workspace;
    a.posts = call->limits->units;
    a.bound = call->bound;
    /* A grid no larger than the data can use. */
    const uint64_t chunks = a.count / (16 / qb__element_size(call->input));
    const uint64_t useful = qb__ceil_div(chunks, 2 * THREADS);
    const unsigned blocks = useful < 1 ? 1 : useful < call->limits->units ? (unsigned)useful : call->limits->units;
    a.slice = (uint32_t)qb__ceil_div(chunks, blocks);
    const uint32_t room = (uint32_t)(shared_bytes(call->limits) / 16);
    a.shared = a.slice <= HELD * THREADS ? 0 : a.slice - HELD * THREADS < room ? a.slice - HELD * THREADS : room;
    return cudaLaunchCooperativeKernel(kernels[qb__index(call)], dim3(blocks), dim3(THREADS), args,
                                       (size_t)a.shared * 16, call->stream);
}
