/* SPDX-License-Identifier: Apache-2.0 */
/* onchip.cuh - keep more input on the chip than registers hold: for kernels that must see all of it before they can
 * store any code. A thread's chunks lie at equal steps; the first are kept in shared memory, the next in registers, and
 * the others are left to L2. */
#ifndef QB_CUDA_ONCHIP_CUH
#define QB_CUDA_ONCHIP_CUH

#include "device.cuh"

/* Chunks that a thread reads at a time of those that it cannot hold: the first time, and again. 8 and 10 the first time
 * are 1 and 3 us slower at 8192 x 8192. */
#define READ_BATCH 6
#define BATCH      4
/* Groups of places in shared memory that are filled again when writing, and bytes of a group at most: as many on their
 * way as hide the latency of DRAM. */
#define RING       4
#define RING_BYTES (48u << 10)

/* ---- Memory ------------------------------------------------------------------------------------------------- */

/* How L2 should treat what is read. */
enum qb__treat {
    QB__DROP, /* soon */
    QB__NORMAL,
    QB__KEEP,
};

template <qb__treat TREAT> __device__ __forceinline__ uint64_t qb__policy()
{
    uint64_t policy = 0;

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    if (TREAT == QB__KEEP) {
        asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
    } else if (TREAT == QB__DROP) {
        asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    } else {
        asm("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;" : "=l"(policy));
    }
#endif
    return policy;
}

__device__ __forceinline__ uint4 qb__load16(const unsigned char *address, uint64_t policy)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint4 v;

    asm("ld.global.nc.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
        : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
        : "l"(address), "l"(policy));
    return v;
#else
    return qb__load16(address);
#endif
}

/* 16 bytes to shared memory; qb__wait_for_copies() makes those of this thread visible to it. */
__device__ __forceinline__ void qb__copy16(uint4 *to, const unsigned char *from, uint64_t policy)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile(
        "cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::"r"((uint32_t)__cvta_generic_to_shared(to)),
        "l"(from), "l"(policy)
        : "memory");
#else
    *to = qb__load16(from);
#endif
}

__device__ __forceinline__ void qb__end_copies()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int LATER> __device__ __forceinline__ void qb__wait_for_copies()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(LATER) : "memory");
#endif
}

/* The codes of one chunk, which L2 should not keep in place of input. */
template <int IN> __device__ __forceinline__ void qb__store_streaming(unsigned char *out, const qb__codes<IN> &codes)
{
    if (qb__in<IN>::chunk == 8) {
        __stcs((uint2 *)out, make_uint2(codes.word[0], codes.word[qb__in<IN>::chunk / 4 - 1]));
    } else {
        __stcs((uint32_t *)out, codes.word[0]);
    }
}

/* ---- Reading and writing ------------------------------------------------------------------------------------ */

/* The chunks of a thread of a block of THREADS. HELD of them are in registers; if LARGE, and a multiprocessor has one
 * block, SHARED before those are in shared memory, and all beyond in L2. */
template <unsigned THREADS, unsigned HELD, bool LARGE> struct qb__onchip {
    const unsigned char *in;
    size_t step; /* bytes from one chunk to the next */
    uint32_t count, shared;
    uint32_t cached; /* chunks that L2 is asked to keep: the last */
    uint4 *mine;     /* in shared memory, every THREADS */
    uint4 chunk[HELD];

    /* Call USE(chunk) for each chunk. Everything is asked for before anything is waited for, and what comes first is
     * used first. */
    template <class F> __device__ __forceinline__ void read(F use)
    {
        const uint64_t drop = qb__policy<QB__DROP>(), keep = qb__policy<QB__KEEP>();

        if constexpr (LARGE) {
#pragma unroll 1
            for (unsigned q = 0; q < 4; q++) {
#pragma unroll 4
                for (uint32_t k = shared * q / 4; k < shared * (q + 1) / 4; k++) {
                    qb__copy16(mine + k * THREADS, in + k * step, drop);
                }
                qb__end_copies();
            }
        }
#pragma unroll
        for (unsigned k = 0; k < HELD; k++) {
            chunk[k] = shared + k < count ? qb__load16(in + (shared + k) * step, drop) : make_uint4(0, 0, 0, 0);
        }
        if constexpr (LARGE) {
            qb__wait_for_copies<3>();
            use_shared(0, shared / 4, use);
            qb__wait_for_copies<2>();
            use_shared(shared / 4, shared * 2 / 4, use);
            qb__wait_for_copies<1>();
            use_shared(shared * 2 / 4, shared * 3 / 4, use);
            qb__wait_for_copies<0>();
            use_shared(shared * 3 / 4, shared, use);
#pragma unroll 1
            for (uint32_t k = shared + HELD; k < count; k += READ_BATCH) {
                uint4 batch[READ_BATCH];
#pragma unroll
                for (unsigned i = 0; i < READ_BATCH; i++) {
                    batch[i] = k + i < count ? qb__load16(in + (k + i) * step, k + cached < count ? drop : keep)
                                             : make_uint4(0, 0, 0, 0);
                }
#pragma unroll
                for (unsigned i = 0; i < READ_BATCH; i++) {
                    use(batch[i]);
                }
            }
        }
#pragma unroll
        for (unsigned k = 0; k < HELD; k++) {
            use(chunk[k]);
        }
    }

    template <class F> __device__ __forceinline__ void use_shared(uint32_t from, uint32_t to, F use)
    {
#pragma unroll 4
        for (uint32_t k = from; k < to; k++) {
            use(mine[k * THREADS]);
        }
    }

    /* Call PUT(k, chunk) for each chunk. From L2 backwards, as what was read last is there most likely; its latency is
     * hidden behind what is held in registers. Places in shared memory that have become free take what is left. */
    template <class F> __device__ __forceinline__ void write(F put)
    {
        const uint64_t drop = qb__policy<QB__DROP>();
        /* The chunks from here on are done. */
        uint32_t end = LARGE ? max(count, shared + HELD) : 0;

#pragma unroll
        for (unsigned h = 0; h < HELD; h += BATCH) {
            uint4 batch[BATCH];
            const uint32_t rest = LARGE ? end - shared - HELD : 0;
            load_back(batch, end, rest, drop);
#pragma unroll
            for (unsigned i = h; i < h + BATCH && i < HELD; i++) {
                if (shared + i < count) {
                    put(shared + i, chunk[i]);
                }
            }
            put_back(batch, end, rest, put);
            end -= min(rest, BATCH);
        }
        if constexpr (LARGE) {
            /* RING groups of places, each filled again as soon as it is empty. */
            const uint32_t group = end > shared + HELD ? min(shared / RING, RING_BYTES / (THREADS * 16)) : 0;
            uint32_t next = end;
#pragma unroll 1
            for (uint32_t r = 0; group > 0 && r < RING; r++) {
                put_shared(r * group, (r + 1) * group, put);
                next = fill(r * group, group, next);
            }
            put_shared(RING * group, shared, put);
#pragma unroll 1
            for (uint32_t r = 0; end > shared + HELD; r = r + 1 < RING ? r + 1 : 0) {
                const uint32_t n = min(group, end - shared - HELD);
                qb__wait_for_copies<RING - 1>();
#pragma unroll 4
                for (uint32_t i = 0; i < n; i++) {
                    put(end - 1 - i, mine[(r * group + i) * THREADS]);
                }
                end -= n;
                next = fill(r * group, group, next);
            }
        }
    }

    template <class F> __device__ __forceinline__ void put_shared(uint32_t from, uint32_t to, F put)
    {
#pragma unroll 4
        for (uint32_t k = from; k < to; k++) {
            put(k, mine[k * THREADS]);
        }
    }

    /* Ask for the MOST chunks before END, or as many as there are, backwards, in the places from PLACE on. Returns
     * where they begin. */
    __device__ __forceinline__ uint32_t fill(uint32_t place, uint32_t most, uint32_t end)
    {
        const uint32_t n = min(most, end - shared - HELD);
        /* What L2 was not asked to keep is best read as if for the first time: 2 % where much of it is left. */
        const uint64_t policy = count - end < cached ? qb__policy<QB__DROP>() : qb__policy<QB__NORMAL>();

#pragma unroll 4
        for (uint32_t i = 0; i < n; i++) {
            qb__copy16(mine + (place + i) * THREADS, in + (end - 1 - i) * step, policy);
        }
        qb__end_copies();
        return end - n;
    }

    __device__ __forceinline__ void load_back(uint4 (&batch)[BATCH], uint32_t end, uint32_t rest, uint64_t policy)
    {
        if constexpr (LARGE) {
#pragma unroll
            for (unsigned i = 0; i < BATCH; i++) {
                if (rest > i) {
                    batch[i] = qb__load16(in + (end - 1 - i) * step, policy);
                }
            }
        }
    }

    template <class F>
    __device__ __forceinline__ void put_back(const uint4 (&batch)[BATCH], uint32_t end, uint32_t rest, F put)
    {
        if constexpr (LARGE) {
#pragma unroll
            for (unsigned i = 0; i < BATCH; i++) {
                if (rest > i) {
                    put(end - 1 - i, batch[i]);
                }
            }
        }
    }
};

/* Chunks of each of THREADS threads that fit in a block's shared memory, less what kernels have for themselves. */
static inline unsigned qb__onchip_shared(const struct qb__cuda_limits *limits, unsigned threads)
{
    return (unsigned)((limits->shared_per_block - 4096) / (threads * 16));
}

/* Those that L2 can keep. The rest of it is left to the output. */
static inline unsigned qb__onchip_cached(const struct qb__cuda_limits *limits, unsigned threads)
{
    return (unsigned)(limits->cache_size / 2 / limits->units / (threads * 16));
}

/* Those that are kept in shared memory if a thread has CHUNKS and holds HELD of them. */
static inline uint32_t qb__onchip_kept(const struct qb__cuda_limits *limits, unsigned threads, uint64_t chunks,
                                       unsigned held)
{
    const uint32_t room = qb__onchip_shared(limits, threads);

    return chunks <= held ? 0 : chunks - held < room ? (uint32_t)(chunks - held) : room;
}

/* Let COUNT kernels use that much. *FIT is cleared if a block of one of them cannot run. */
static inline cudaError_t qb__onchip_prepare(const void *const *kernels, unsigned count, unsigned threads,
                                             const struct qb__cuda_limits *limits, bool *fit)
{
    const size_t bytes = (size_t)qb__onchip_shared(limits, threads) * threads * 16;

    for (unsigned i = 0; i < count; i++) {
        int blocks = 0;
        cudaError_t error = cudaFuncSetAttribute(kernels[i], cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
        if (error == cudaSuccess) {
            error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernels[i], (int)threads, bytes);
        }
        if (error != cudaSuccess) {
            return error;
        }
        if (blocks < 1 || qb__onchip_shared(limits, threads) < RING) {
            *fit = false;
        }
    }
    return cudaSuccess;
}

#endif
