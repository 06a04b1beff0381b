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

/* Look at all words once. True for all threads if all are posted: then *BITS is their maximum, and *ABANDON says
 * whether any is abandoned. Every thread of the block calls it. */
__device__ __forceinline__ bool look(barrier *b, uint32_t launch, uint32_t *bits, bool *abandon)
{
    bool all = true, some = false;

    for (uint32_t i = threadIdx.x; i < gridDim.x; i += blockDim.x) {
        const uint64_t post = load_relaxed(&b->post[i]);
        all = all && ((uint32_t)(post >> 32) & LAUNCH_MASK) == launch;
        some = some || (post & ABANDONED) != 0;
        *bits = max(*bits, (uint32_t)post);
    }
    *abandon = some;
    return all;
}
