/* SPDX-License-Identifier: Apache-2.0 */
/* fused.cu - dynamic, one scale for the whole tensor, in one cooperative launch. Every block keeps a slice of the input
 * on the chip: in shared memory, in registers, and the rest in L2. Between the amax and the codes there is one barrier
 * across the grid. */
#include "device.cuh"

#define THREADS 512
/* Chunks that a thread reads at a time of those that it cannot hold. */
#ifndef BATCH
#define BATCH 4
#endif
#ifndef HELD_LARGE
#define HELD_LARGE 16
#endif

/* ---- The barrier across the grid ---------------------------------------------------------------------------- */

/* Each block posts its amax with the number of the launch in one word, and reads the words of all until they have that
 * number: one trip to L2 and back, no atomics, nothing to reset. The number comes from memory, so that a replayed graph
 * counts on. Every word is renewed by every launch, also those that a small grid has no blocks for, so that an old
 * number is never met again when the counter wraps. The launch is cooperative: all blocks run at the same time. */
struct barrier {
    uint32_t launch;
    uint32_t unused[31];
    uint64_t post[1]; /* one for each multiprocessor: launch and amax */
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

/* The largest of all blocks' BITS. LAUNCH is the number of this launch, and was read before the last __syncthreads().
 * Nothing else that one block wrote is read by another, so that the words need no order with other memory. */
__device__ __forceinline__ uint32_t grid_max(barrier *b, uint32_t launch, uint32_t posts, uint32_t bits,
                                             uint32_t *warp_max)
{
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

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* How L2 should treat what is read: drop it soon, or keep it. */
template <bool KEEP> __device__ __forceinline__ uint64_t make_policy()
{
    uint64_t policy = 0;

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    if (KEEP) {
        asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
    } else {
        asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    }
#endif
    return policy;
}

__device__ __forceinline__ uint4 load16(const unsigned char *address, uint64_t policy)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint4 v;

    asm("ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
        : "l"(address), "l"(policy));
    return v;
#else
    return qb__load16(address);
#endif
}

/* 16 bytes to shared memory; wait_for_copies() makes those of this thread visible to it. */
__device__ __forceinline__ void copy16(uint4 *to, const unsigned char *from, uint64_t policy)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(to)),
                 "l"(from), "l"(policy)
                 : "memory");
#else
    *to = qb__load16(from);
#endif
}

__device__ __forceinline__ void end_copies()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int LATER> __device__ __forceinline__ void wait_for_copies()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(LATER) : "memory");
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
    uint32_t rounds; /* chunks of all over THREADS, rounded up */
    uint32_t shared; /* rounds that a block keeps in shared memory */
    float bound;
};

/* A round is one chunk for each thread. A block's first rounds are kept in shared memory, the next HELD in registers,
 * the others in L2, if LARGE; otherwise all are held in registers. */
template <int IN, int OUT, unsigned HELD, bool LARGE>
__global__ void __launch_bounds__(THREADS, LARGE ? 1 : HELD <= 2 ? 4 : 2) fused(const fused_args a)
{
    const unsigned n = qb__in<IN>::chunk, quarters = 4;
    extern __shared__ uint4 kept[];
    __shared__ uint32_t warp_max[2][32];
    const uint32_t launch = load_relaxed(&a.state->launch) + 1;
    const uint64_t drop = make_policy<false>(), keep = make_policy<true>();
    const uint64_t begin = (uint64_t)a.rounds * blockIdx.x / gridDim.x;
    const uint32_t rounds = (uint32_t)((uint64_t)a.rounds * (blockIdx.x + 1) / gridDim.x - begin);
    const qb__span span = qb__cut<IN>(qb__make_row<IN>(a.in, 0, a.out, 0, a.count), begin * THREADS, rounds * THREADS,
                                      blockIdx.x == gridDim.x - 1);
    const unsigned char *const in = span.in + threadIdx.x * 16;
    unsigned char *const out = span.out + threadIdx.x * n;
    /* Chunks of this thread, of which the first are in shared memory. */
    const uint32_t count = (span.full + THREADS - 1 - threadIdx.x) / THREADS;
    const uint32_t shared = LARGE ? min(a.shared, count) : 0;
    uint4 *const mine = kept + threadIdx.x;
    uint4 chunk[HELD];
    uint32_t acc = 0;

    if constexpr (LARGE) {
#pragma unroll 1
        for (unsigned g = 0; g < quarters; g++) {
#pragma unroll 4
            for (uint32_t k = shared * g / quarters; k < shared * (g + 1) / quarters; k++) {
                copy16(mine + k * THREADS, in + (size_t)k * (THREADS * 16), drop);
            }
            end_copies();
        }
    }
#pragma unroll
    for (unsigned k = 0; k < HELD; k++) {
        chunk[k] = make_uint4(0, 0, 0, 0);
        if (shared + k < count) {
            chunk[k] = load16(in + (size_t)(shared + k) * (THREADS * 16), drop);
        }
    }
    if constexpr (LARGE) {
        uint32_t k = 0;
        wait_for_copies<3>();
#pragma unroll 4
        for (; k < shared / quarters; k++) {
            acc = qb__max_chunk<IN>(acc, mine[k * THREADS]);
        }
        wait_for_copies<2>();
#pragma unroll 4
        for (; k < shared * 2 / quarters; k++) {
            acc = qb__max_chunk<IN>(acc, mine[k * THREADS]);
        }
        wait_for_copies<1>();
#pragma unroll 4
        for (; k < shared * 3 / quarters; k++) {
            acc = qb__max_chunk<IN>(acc, mine[k * THREADS]);
        }
        wait_for_copies<0>();
#pragma unroll 4
        for (; k < shared; k++) {
            acc = qb__max_chunk<IN>(acc, mine[k * THREADS]);
        }
#pragma unroll 1
        for (k = shared + HELD; k < count; k += 2 * BATCH) {
            uint4 batch[2 * BATCH];
#pragma unroll
            for (unsigned i = 0; i < 2 * BATCH; i++) {
                batch[i] = k + i < count ? load16(in + (size_t)(k + i) * (THREADS * 16), keep) : make_uint4(0, 0, 0, 0);
            }
#pragma unroll
            for (unsigned i = 0; i < 2 * BATCH; i++) {
                acc = qb__max_chunk<IN>(acc, batch[i]);
            }
        }
    }
#pragma unroll
    for (unsigned k = 0; k < HELD; k++) {
        acc = qb__max_chunk<IN>(acc, chunk[k]);
    }
    const float edge = qb__edge_max<IN>(span, threadIdx.x, THREADS);
    uint32_t amax = qb__block_max(max(qb__max_bits<IN>(acc), __float_as_uint(edge)), warp_max[0]);
    amax = grid_max(a.state, launch, a.posts, amax, warp_max[1]);

    const qb__divisor d = qb__divide_by<IN>(qb__scale<OUT>(amax, a.bound));
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        *a.scales = d.s;
    }
    if (__uint_as_float(amax) < d.limit) {
        /* From L2 backwards, as what was read last is there most likely; its latency is hidden behind what is held in
         * registers, then behind what is kept in shared memory. */
        uint32_t rest = LARGE && count > shared + HELD ? count - shared - HELD : 0;
#pragma unroll
        for (unsigned g = 0; g < HELD; g += BATCH) {
            uint4 batch[BATCH];
            if constexpr (LARGE) {
#pragma unroll
                for (unsigned i = 0; i < BATCH; i++) {
                    if (rest > i) {
                        batch[i] = load16(in + (size_t)(shared + HELD + rest - 1 - i) * (THREADS * 16), drop);
                    }
                }
            }
#pragma unroll
            for (unsigned i = g; i < g + BATCH && i < HELD; i++) {
                if (shared + i < count) {
                    qb__store16<IN>(out + (size_t)(shared + i) * (THREADS * n), qb__encode_fast<IN, OUT>(chunk[i], d));
                }
            }
            if constexpr (LARGE) {
#pragma unroll
                for (unsigned i = 0; i < BATCH; i++) {
                    if (rest > i) {
                        qb__store16<IN>(out + (size_t)(shared + HELD + rest - 1 - i) * (THREADS * n),
                                        qb__encode_fast<IN, OUT>(batch[i], d));
                    }
                }
                rest -= min(rest, BATCH);
            }
        }
        if constexpr (LARGE) {
            uint32_t k = 0;
#pragma unroll 1
        while (rest > 0 || k < shared) {
            uint4 batch[BATCH];
#pragma unroll
            for (unsigned i = 0; i < BATCH; i++) {
                if (rest > i) {
                    batch[i] = load16(in + (size_t)(shared + HELD + rest - 1 - i) * (THREADS * 16), drop);
                }
            }
#pragma unroll
            for (unsigned i = 0; i < BATCH; i++) {
                if (k + i < shared) {
                    qb__store16<IN>(out + (size_t)(k + i) * (THREADS * n),
                                    qb__encode_fast<IN, OUT>(mine[(k + i) * THREADS], d));
                }
            }
            k += BATCH;
#pragma unroll
            for (unsigned i = 0; i < BATCH; i++) {
                if (rest > i) {
                    qb__store16<IN>(out + (size_t)(shared + HELD + rest - 1 - i) * (THREADS * n),
                                    qb__encode_fast<IN, OUT>(batch[i], d));
                }
            }
            rest -= min(rest, BATCH);
        }
        }
    } else {
        /* Seldom: small is better than fast, and all is read again. */
#pragma unroll 1
        for (uint32_t k = 0; k < count; k++) {
            qb__store16<IN>(out + (size_t)k * (THREADS * n),
                            qb__encode_slow<IN, OUT>(qb__load16(in + (size_t)k * (THREADS * 16)), d));
        }
    }
    qb__edge_store<IN, OUT>(span, threadIdx.x, THREADS, d.s);
}

static const void *const small_kernels[] = QB__KERNELS(fused, 2, false);
static const void *const medium_kernels[] = QB__KERNELS(fused, 8, false);
static const void *const large_kernels[] = QB__KERNELS(fused, HELD_LARGE, true);

extern "C" size_t qb__cuda_barrier_size(const struct qb__cuda_limits *limits)
{
    return (sizeof(struct barrier) + limits->units * sizeof(uint64_t) + 255) / 256 * 256;
}

/* Rounds that fit in a block's shared memory, less what the kernel has for itself. */
static unsigned shared_rounds(const struct qb__cuda_limits *limits)
{
    return (unsigned)((limits->shared_per_block - 1024) / (THREADS * 16));
}

extern "C" cudaError_t qb__cuda_fused_prepare(struct qb__cuda_limits *limits)
{
    const int bytes = (int)(shared_rounds(limits) * THREADS * 16);
    int blocks = 0;

    for (unsigned i = 0; i < sizeof(large_kernels) / sizeof(large_kernels[0]); i++) {
        cudaError_t error = cudaFuncSetAttribute(large_kernels[i], cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
        if (error == cudaSuccess) {
            error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, large_kernels[i], THREADS, (size_t)bytes);
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

    /* Rounds of all are counted in 32 bits. */
    return call->limits->cooperative && call->scale_rows == 1 && call->scale_cols == 1 && dense &&
           call->rows * call->cols / (16 / qb__element_size(call->input)) / THREADS < 0x7fffffff;
}

extern "C" cudaError_t qb__cuda_fused_run(const struct qb__cuda_call *call)
{
    const unsigned n = 16 / qb__element_size(call->input), units = call->limits->units;
    const void *const *kernels = large_kernels;
    struct fused_args a = {};
    void *args[] = {&a};
    unsigned blocks, held = HELD_LARGE;

    if (!qb__in_phase(call, 0, 0, 1)) {
        return qb__cuda_two_pass_run(call);
    }
    a.in = call->in;
    a.out = call->out;
    a.scales = call->scales;
    a.count = call->rows * call->cols;
    a.state = (struct barrier *)call->workspace;
    a.posts = units;
    a.bound = call->bound;
    a.rounds = (uint32_t)qb__ceil_div(a.count / n, THREADS);
    if (a.rounds <= 2 * units) {
        kernels = small_kernels;
        held = 2;
    } else if (a.rounds <= 8 * units) {
        kernels = medium_kernels;
        held = 8;
    } else {
        const uint32_t most = (uint32_t)qb__ceil_div(a.rounds, units);
        a.shared = most - held < shared_rounds(call->limits) ? most - held : shared_rounds(call->limits);
    }
    /* A grid no larger than the data can use. */
    blocks = a.rounds < held * units ? (unsigned)qb__ceil_div(a.rounds, qb__tune("QB_FUSED_EACH", held)) : units;
    blocks = blocks < 1 ? 1 : blocks > units ? units : blocks;
    return cudaLaunchCooperativeKernel(kernels[qb__index(call)], dim3(blocks), dim3(THREADS), args,
                                       (size_t)a.shared * THREADS * 16, call->stream);
}
