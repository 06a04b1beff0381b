/* SPDX-License-Identifier: Apache-2.0 */
/* fused.cu - dynamic, one scale for the whole tensor, in one launch. Every block keeps a slice of the input on the chip:
 * in shared memory, in registers, and the rest in L2. Between the amax and the codes there is one barrier across the
 * grid. */
#include "device.cuh"

#ifndef THREADS
#define THREADS 512
#endif
/* Chunks that a thread holds in registers, and how many it reads at a time of those that it does not hold. */
#ifndef HELD
#define HELD 16
#endif
#ifndef BATCH
#define BATCH 8
#endif
#ifndef POLICY
#define POLICY 1
#endif
#ifndef ORDER
#define ORDER 1
#endif

/* ---- A barrier across the grid that never deadlocks ---------------------------------------------------------- */

/* Each block posts its amax with the number of the launch in one word, and reads the words of all until they have that
 * number: one trip to L2 and back, no atomics, nothing to reset. The number comes from memory, so that a replayed graph
 * counts on. Every word is renewed by every launch, also those that a small grid has no blocks for, so that an old
 * number is never met again when the counter wraps.
 *
 * The launch is a plain one (a cooperative one costs 2.6 us more on an H200): nothing promises that all blocks run at
 * the same time, as another stream's kernels may hold some multiprocessors, and may even wait in the same way. So a
 * block that has waited too long marks its word as abandoned and exits, and a block that sees all words, the last to
 * post at the latest, does the abandoned slices after its own. The fences make that safe: between the mark and the
 * second look of the one, and the post and the look of the other, at least one sees the other's. */
struct barrier {
    uint32_t launch;
    uint32_t unused[31];
    uint64_t post[1]; /* one for each multiprocessor: state, launch and amax */
};

#define ABANDONED (1ull << 63)
#define LAUNCH_MASK 0x7fffffffu
/* Clock cycles: about 60 us. */
#ifndef PATIENCE
#define PATIENCE 100000
#endif

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

/* Post BITS for this block and wait for the others. The largest of all, or NOBODY if this block has to exit: then
 * another does its slice. LAUNCH is the number of this launch, and was read before the last __syncthreads(). Every
 * thread of the block calls it. */
#define NOBODY 0xffffffffu

__device__ __forceinline__ uint32_t grid_max(barrier *b, uint32_t launch, uint32_t posts, uint32_t bits,
                                             uint32_t *warp_max)
{
    for (uint32_t i = blockIdx.x + threadIdx.x * gridDim.x; i < posts; i += blockDim.x * gridDim.x) {
        store_relaxed(&b->post[i], (uint64_t)launch << 32 | bits);
    }
    const long long start = clock64();
    for (uint32_t i = threadIdx.x; i < gridDim.x; i += blockDim.x) {
        uint64_t post;
        do {
            post = load_relaxed(&b->post[i]);
        } while (((uint32_t)(post >> 32) & LAUNCH_MASK) != launch && clock64() - start < PATIENCE);
        bits = ((uint32_t)(post >> 32) & LAUNCH_MASK) == launch ? max(bits, (uint32_t)post) : NOBODY;
    }
    bits = qb__block_max(bits, warp_max);
    if (bits == NOBODY) {
        /* Give up, unless all have posted meanwhile. */
        if (threadIdx.x == 0) {
            atomicOr((unsigned long long *)&b->post[blockIdx.x], ABANDONED);
        }
        __syncthreads();
        __threadfence();
        bits = 0;
        for (uint32_t i = threadIdx.x; i < gridDim.x; i += blockDim.x) {
            const uint64_t post = load_relaxed(&b->post[i]);
            bits = ((uint32_t)(post >> 32) & LAUNCH_MASK) == launch ? max(bits, (uint32_t)post) : NOBODY;
        }
        bits = qb__block_max(bits, warp_max);
        __syncthreads();
        if (threadIdx.x == 0) {
            warp_max[0] = bits != NOBODY &&
                          (atomicAnd((unsigned long long *)&b->post[blockIdx.x], ~ABANDONED) & ABANDONED) != 0;
        }
        __syncthreads();
        if (warp_max[0] == 0) {
            return NOBODY;
        }
    }
    if (threadIdx.x == 0) {
        /* All blocks have posted, so all have read the number that this overwrites. */
        store_relaxed(&b->launch, launch);
    }
    return bits;
}

/* Whether a block is abandoned that this thread looks at. After grid_max(). */
__device__ __forceinline__ bool any_abandoned(const barrier *b)
{
    bool any = false;

    if (threadIdx.x < gridDim.x) {
        __threadfence();
        for (uint32_t i = threadIdx.x; i < gridDim.x; i += blockDim.x) {
            any = any || (load_relaxed(&b->post[i]) & ABANDONED) != 0;
        }
    }
    return any;
}

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* How L2 should treat what is read: drop it soon, or keep it. */
__device__ __forceinline__ uint64_t policy_first()
{
    uint64_t policy = 0;

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
#endif
    return policy;
}

__device__ __forceinline__ uint64_t policy_last()
{
    uint64_t policy = 0;

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
#endif
    return policy;
}

/* Full chunk C of the span, or zeros beyond the last. */
__device__ __forceinline__ uint4 load(const qb__span &span, uint32_t c, uint64_t policy)
{
    uint4 v = make_uint4(0, 0, 0, 0);

    if (c < span.full) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800 && POLICY
        asm volatile("ld.global.L1::no_allocate.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
            : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
            : "l"(span.in + (size_t)c * 16), "l"(policy));
#else
        v = qb__load16(span.in + (size_t)c * 16);
#endif
    }
    return v;
}

/* 16 bytes to shared memory; finish_copies() makes those of this thread visible to it. */
__device__ __forceinline__ void copy16(uint4 *to, const unsigned char *from, uint64_t policy)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#if POLICY
    asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(to)),
                 "l"(from), "l"(policy)
                 : "memory");
#else
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((uint32_t)__cvta_generic_to_shared(to)), "l"(from)
                 : "memory");
#endif
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

/* ---- The kernel --------------------------------------------------------------------------------------------- */

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

template <int IN> __device__ __forceinline__ qb__span slice(const fused_args &a, uint32_t block)
{
    return qb__cut<IN>(qb__make_row<IN>(a.in, 0, a.out, 0, a.count), (uint64_t)block * a.slice, a.slice,
                       block == gridDim.x - 1);
}

/* Read chunks FIRST and on again and store their codes, backwards: what was read last is in L2 most likely. */
template <int IN, int OUT>
__device__ __forceinline__ void reread(const qb__span &span, uint32_t first, const qb__divisor &d, uint64_t policy)
{
    if (span.full <= first) {
        return;
    }
#pragma unroll 1
    for (uint32_t batches = (span.full - first + BATCH * THREADS - 1) / (BATCH * THREADS); batches > 0; batches--) {
        const uint32_t c = first + (batches - 1) * (BATCH * THREADS) + threadIdx.x;
        uint4 batch[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            batch[k] = load(span, c + k * THREADS, policy);
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            qb__store<IN>(span, c + k * THREADS, qb__encode_fast<IN, OUT>(batch[k], d));
        }
    }
}

/* The same for a whole slice and any values: seldom, so small is better than fast. */
template <int IN, int OUT> __device__ __forceinline__ void reread_slowly(const qb__span &span, const qb__divisor &d)
{
#pragma unroll 1
    for (uint32_t c = threadIdx.x; c < span.full; c += THREADS) {
        qb__store<IN>(span, c, qb__encode_slow<IN, OUT>(qb__load(span, c), d));
    }
}

template <int IN, int OUT> __global__ void __launch_bounds__(THREADS, 1) fused(const fused_args a)
{
    extern __shared__ uint4 kept[];
    __shared__ uint32_t warp_max[2][32];
    const uint32_t launch = gridDim.x > 1 ? (load_relaxed(&a.state->launch) + 1) & LAUNCH_MASK : 0;
    const uint64_t drop = policy_first(), keep = policy_last();
    const qb__span span = slice<IN>(a, blockIdx.x);
    const uint32_t shared = min(a.shared, span.full), held = shared + threadIdx.x, rest = shared + HELD * THREADS;
    uint4 chunk[HELD];
    uint32_t acc = 0;

#ifdef QB_PROF
    long long t0 = clock64();
#endif
    for (uint32_t c = threadIdx.x; c < shared; c += THREADS) {
        copy16(&kept[c], span.in + (size_t)c * 16, drop);
    }
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        chunk[k] = load(span, held + k * THREADS, drop);
    }
#pragma unroll 1
    for (uint32_t c = rest + threadIdx.x; c < span.full; c += BATCH * THREADS) {
        uint4 batch[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            batch[k] = load(span, c + k * THREADS, keep);
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
    bool adopt = false;
#ifdef QB_PROF
    long long t1 = clock64();
#endif
    if (gridDim.x > 1) {
        amax = grid_max(a.state, launch, a.posts, amax, warp_max[1]);
        if (amax == NOBODY) {
            return;
        }
        adopt = any_abandoned(a.state);
    }
#ifdef QB_PROF
    long long t2 = clock64();
#endif

    const qb__divisor d = qb__divide_by(qb__scale<OUT>(amax, a.bound));
    if (threadIdx.x == 0) {
        *a.scales = d.s;
    }
    if (__uint_as_float(amax) <= d.limit) {
#if ORDER == 1
        reread<IN, OUT>(span, rest, d, drop);
#endif
#pragma unroll
        for (int k = 0; k < HELD; k++) {
            qb__store<IN>(span, held + k * THREADS, qb__encode_fast<IN, OUT>(chunk[k], d));
        }
#if ORDER == 0
        reread<IN, OUT>(span, rest, d, drop);
#endif
#pragma unroll 4
        for (uint32_t c = threadIdx.x; c < shared; c += THREADS) {
            qb__store<IN>(span, c, qb__encode_fast<IN, OUT>(kept[c], d));
        }
    } else {
        reread_slowly<IN, OUT>(span, d);
    }
    qb__edge_store<IN, OUT>(span, threadIdx.x, THREADS, d.s);
#ifdef QB_PROF
    if (threadIdx.x == 0 && (blockIdx.x == 0 || blockIdx.x == 77)) {
        long long t3 = clock64();
        printf("block %d read %lld barrier %lld write %lld cycles\n", blockIdx.x, t1 - t0, t2 - t1, t3 - t2);
    }
#endif

    if (gridDim.x > 1 && __syncthreads_or(adopt)) {
        for (uint32_t i = 0; i < gridDim.x; i++) {
            if (threadIdx.x == 0) {
                warp_max[0][0] = (load_relaxed(&a.state->post[i]) & ABANDONED) != 0 &&
                                 (atomicAnd((unsigned long long *)&a.state->post[i], ~ABANDONED) & ABANDONED) != 0;
            }
            __syncthreads();
            const bool mine = warp_max[0][0] != 0;
            __syncthreads();
            if (mine) {
                const qb__span orphan = slice<IN>(a, i);
                reread_slowly<IN, OUT>(orphan, d);
                qb__edge_store<IN, OUT>(orphan, threadIdx.x, THREADS, d.s);
            }
        }
    }
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
    for (unsigned i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        const cudaError_t error = cudaFuncSetAttribute(kernels[i], cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                       (int)shared_bytes(limits));
        if (error != cudaSuccess) {
            return error;
        }
    }
    return cudaSuccess;
}

extern "C" bool qb__cuda_fused_fits(const struct qb__cuda_call *call)
{
    const bool dense = call->rows <= 1 || (call->in_stride == call->cols && call->out_stride == call->cols);

    return call->scale_rows == 1 && call->scale_cols == 1 && dense;
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
    const uint64_t useful = qb__ceil_div(chunks, qb__tune("QB_FUSED_EACH", 2) * THREADS);
    const unsigned blocks = useful < 1 ? 1 : useful < call->limits->units ? (unsigned)useful : call->limits->units;
    a.slice = (uint32_t)qb__ceil_div(chunks, blocks);
    const uint32_t room = (uint32_t)(shared_bytes(call->limits) / 16);
    a.shared = a.slice <= HELD * THREADS ? 0 : a.slice - HELD * THREADS < room ? a.slice - HELD * THREADS : room;
#ifdef QB_TUNE
    if (qb__tune("QB_COOP", 0))
    return cudaLaunchCooperativeKernel(kernels[qb__index(call)], dim3(blocks), dim3(THREADS), args,
                                       (size_t)a.shared * 16, call->stream);
#endif
    return cudaLaunchKernel(kernels[qb__index(call)], dim3(blocks), dim3(THREADS), args, (size_t)a.shared * 16,
                            call->stream);
}
