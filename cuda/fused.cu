/* SPDX-License-Identifier: Apache-2.0 */
/* fused.cu - dynamic, one scale for the whole tensor, in one cooperative launch. Every block keeps a slice of the input
 * on the chip: in shared memory, in registers, and the rest in L2. Between the amax and the codes there is one barrier
 * across the grid. */
#include "onchip.cuh"

#define THREADS QB__ONCHIP_THREADS

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

/* ---- The kernel --------------------------------------------------------------------------------------------- */

struct fused_args {
    const void *in;
    uint8_t *out;
    float *scales;
    uint64_t count; /* elements */
    barrier *state;
    uint32_t posts;
    uint32_t rounds; /* chunks of all over THREADS, rounded up */
    uint32_t cached; /* rounds that L2 can keep for a block */
    uint32_t shared; /* rounds that a block keeps in shared memory */
    float bound;
};

/* A round is one chunk for each thread. A block's rounds are held in registers, or kept wherever there is room if
 * LARGE. */
template <int IN, int OUT, unsigned HELD, bool LARGE>
__global__ void __launch_bounds__(THREADS, LARGE       ? 1
                                           : HELD <= 4 ? 3
                                                       : 2) fused(const fused_args a)
{
    const unsigned n = qb__in<IN>::chunk;
    extern __shared__ uint4 kept[];
    __shared__ uint32_t warp_max[2][32];
    const void *const in = qb__begin(a.in);
    const uint32_t launch = load_relaxed(&a.state->launch) + 1;
    const uint64_t begin = (uint64_t)a.rounds * blockIdx.x / gridDim.x;
    const uint32_t rounds = (uint32_t)((uint64_t)a.rounds * (blockIdx.x + 1) / gridDim.x - begin);
    const qb__span span = qb__cut<IN>(qb__make_row<IN>(in, 0, a.out, 0, a.count), begin * THREADS, rounds * THREADS,
                                      blockIdx.x == gridDim.x - 1);
    unsigned char *const out = span.out + threadIdx.x * n;
    qb__onchip<HELD, LARGE> data;
    uint32_t acc = 0;

    data.in = span.in + threadIdx.x * 16;
    data.step = THREADS * 16;
    data.count = (span.full + THREADS - 1 - threadIdx.x) / THREADS;
    data.shared = LARGE ? min(a.shared, data.count) : 0;
    data.cached = a.cached;
    data.mine = kept + threadIdx.x;
    data.read([&](const uint4 &chunk) { acc = qb__max_chunk<IN>(acc, chunk); });

    const float edge = qb__edge_max<IN>(span, threadIdx.x, THREADS);
    uint32_t amax = qb__block_max(max(qb__max_bits<IN>(acc), __float_as_uint(edge)), warp_max[0]);
    amax = grid_max(a.state, launch, a.posts, amax, warp_max[1]);
    const qb__divisor d = qb__divide_by<IN>(qb__scale<OUT>(amax, a.bound));
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        *a.scales = d.s;
    }
    if (__uint_as_float(amax) < d.limit) {
        data.write([&](uint32_t k, const uint4 &chunk) {
            qb__store_streaming<IN>(out + (size_t)k * (THREADS * n), qb__encode_fast<IN, OUT>(chunk, d));
        });
    } else {
        /* Seldom: small is better than fast, and all is read again. */
#pragma unroll 1
        for (uint32_t k = 0; k < data.count; k++) {
            qb__store16<IN>(out + (size_t)k * (THREADS * n),
                            qb__encode_slow<IN, OUT>(qb__load16(data.in + k * data.step), d));
        }
    }
    qb__edge_store<IN, OUT>(span, threadIdx.x, THREADS, d.s);
}

/* Chunks that a thread holds in registers: few, for small data; as many as can be, for large. */
#define HELD_SMALL  4
#define HELD_MEDIUM 8
#define HELD_LARGE  22

static const void *const small_kernels[] = QB__KERNELS(fused, HELD_SMALL, false);
static const void *const medium_kernels[] = QB__KERNELS(fused, HELD_MEDIUM, false);
static const void *const large_kernels[] = QB__KERNELS(fused, HELD_LARGE, true);

extern "C" size_t qb__cuda_barrier_size(const struct qb__cuda_limits *limits)
{
    return (sizeof(struct barrier) + limits->units * sizeof(uint64_t) + 255) / 256 * 256;
}

extern "C" cudaError_t qb__cuda_fused_prepare(struct qb__cuda_limits *limits)
{
    return qb__onchip_prepare(large_kernels, sizeof(large_kernels) / sizeof(large_kernels[0]), limits, &limits->fused);
}

extern "C" bool qb__cuda_fused_fits(const struct qb__cuda_call *call)
{
    const bool dense = call->rows <= 1 || (call->in_stride == call->cols && call->out_stride == call->cols);

    /* Rounds of all are counted in 32 bits. */
    return call->limits->fused && call->scale_rows == 1 && call->scale_cols == 1 && dense &&
           call->rows * call->cols / (16 / qb__element_size(call->input)) / THREADS < 0x7fffffff;
}

extern "C" cudaError_t qb__cuda_fused_run(const struct qb__cuda_call *call)
{
    const unsigned n = 16 / qb__element_size(call->input), units = call->limits->units;
    const void *const *kernels = large_kernels;
    struct fused_args a = {};
    void *args[] = {&a};
    unsigned held = HELD_LARGE;

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
    a.cached = qb__onchip_cached(call->limits);
    a.rounds = (uint32_t)qb__ceil_div(a.count / n, THREADS);
    if (a.rounds <= HELD_SMALL * units) {
        kernels = small_kernels;
        held = HELD_SMALL;
    } else if (a.rounds <= HELD_MEDIUM * units) {
        kernels = medium_kernels;
        held = HELD_MEDIUM;
    } else {
        const uint32_t most = (uint32_t)qb__ceil_div(a.rounds, units), room = qb__onchip_shared(call->limits);
        a.shared = most <= held ? 0 : most - held < room ? most - held : room;
    }
    /* A grid no larger than the data can use. */
    const uint64_t useful = qb__ceil_div(a.rounds, held);
    const unsigned blocks = useful < 1 ? 1 : useful < units ? (unsigned)useful : units;
    return qb__launch(call, kernels[qb__index(call)], blocks, dim3(THREADS), args, (size_t)a.shared * THREADS * 16,
                      true);
}
