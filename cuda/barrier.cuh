/* SPDX-License-Identifier: Apache-2.0 */
/* barrier.cuh - a barrier across the grid that also finds the largest of what its blocks bring. */
#ifndef QB_CUDA_BARRIER_CUH
#define QB_CUDA_BARRIER_CUH

#include "device.cuh"

/* Words for each multiprocessor, one of which is for each block. */
#define POSTS 2

/* A word of one block, launch and amax. They are 64 bytes apart, since all blocks ask for all of them at the same time:
 * next to each other they take 0.3 to 0.4 us more for 128 blocks, and 0.6 at 1024 x 4096. */
struct post {
    uint64_t word;
    uint64_t unused[7];
};

/* Each block posts its amax with the number of the launch in one word, and reads the words of all until they have that
 * number: one trip to L2 and back, no atomics, nothing to reset. The number comes from memory, so that a replayed graph
 * counts on. As it wraps, an old number could be met again; so one launch in RENEWAL renews all words, also those that
 * a small grid has no blocks for. Where blocks wait for each other the launch is cooperative: all run at the same time.
 */
struct barrier {
    uint32_t launch;
    uint32_t encode; /* see qb__cuda_encode() */
    uint32_t unused[30];
    struct post posts[1]; /* POSTS for each multiprocessor */
};

/* Launches from one that renews all words to the next. */
#define RENEWAL 0x100000u

static_assert(offsetof(struct barrier, encode) == sizeof(uint32_t), "qb__cuda_encode() says so");

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

/* Post BITS as this block's. The argument POSTS counts all words. */
__device__ __forceinline__ void post(barrier *b, uint32_t launch, uint32_t posts, uint32_t bits)
{
    const uint32_t end = launch % RENEWAL == 0 ? posts : gridDim.x;

    for (uint32_t i = blockIdx.x + threadIdx.x * gridDim.x; i < end; i += blockDim.x * gridDim.x) {
        store_relaxed(&b->posts[i].word, (uint64_t)launch << 32 | bits);
    }
}

/* Wait until all blocks have posted: the largest of their bits and of BITS. */
__device__ __forceinline__ uint32_t wait_for_posts(const barrier *b, uint32_t launch, uint32_t bits, uint32_t *warp_max)
{
    for (uint32_t i = threadIdx.x; i < gridDim.x; i += blockDim.x) {
        uint64_t word;
        do {
            word = load_relaxed(&b->posts[i].word);
        } while ((uint32_t)(word >> 32) != launch);
        bits = max(bits, (uint32_t)word);
    }
    return qb__block_max(bits, warp_max);
}

/* By one thread, when all have posted, so that all have read the number that this overwrites. */
__device__ __forceinline__ void count_launch(barrier *b, uint32_t launch)
{
    store_relaxed(&b->launch, launch);
}

#endif
