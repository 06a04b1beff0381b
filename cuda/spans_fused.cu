/* SPDX-License-Identifier: Apache-2.0 */
/* spans_fused.cu - codes in E2M1 and scales in E4M3 under a tensor scale that is computed, in one cooperative launch,
 * as fused.cu has it. A warp reads tiles of 32 spans, one for each lane. The first are kept in shared memory, in places
 * that take the others once more after the barrier, from L2 if they are still there. */
#include "barrier.cuh"
#include "onchip.cuh"
#include "span.cuh"

/* 4096 x 8192: 512 threads 36.9 us, 1024 36.9, 768 36.2, as the last round is fuller. */
#define THREADS 768u
#define WARPS   (THREADS / 32)
/* Chunks that a thread has on their way of what is not kept in shared memory. */
#define DEPTH 8
/* Tiles of a warp that may be on their way when one is awaited. */
#define LATER 3

struct spans_fused_args {
    const unsigned char *in;
    unsigned char *out;
    qb__scales scales;
    uint32_t tiles;
    uint32_t slots;  /* tiles of a warp in shared memory */
    uint32_t cached; /* tiles of a warp that L2 is asked to keep: the last */
    barrier *state;
    uint32_t posts;
};

/* A warp's tiles. */
template <int IN> struct tiles {
    static constexpr uint32_t chunks = span<IN>::chunks, bytes = 512 * chunks;
    const unsigned char *in; /* this lane's first chunk of the first tile */
    size_t step;             /* bytes from one tile to the next */
    unsigned char *slots;    /* the warp's shared memory, BYTES for each tile */
    uint32_t count, shared;  /* tiles, and how many of them are kept: the first */
    uint32_t number, stride; /* of the first tile, and from one to the next */

    /* The byte where chunk C is in a slot: eight lanes at a time, each with the same chunk of its span, meet in no
     * bank. Chunk C + I of a span is where that is with the bits of 16 I turned over, and chunk C + 32 I at 512 I. */
    static __device__ __forceinline__ uint32_t place(uint32_t c)
    {
        return (c ^ (c >> 3 & (chunks - 1))) * 16;
    }

    /* Ask for a tile. Each lane takes the chunks that are next to its neighbors'. TO is where the first goes. */
    static __device__ __forceinline__ void fetch(const unsigned char *from, unsigned char *to, uint64_t policy)
    {
#pragma unroll
        for (uint32_t i = 0; i < chunks; i++) {
            qb__copy16((uint4 *)(to + i * 512), from + i * 512, policy);
        }
    }

    /* The largest elements of what this lane has fetched. */
    static __device__ __forceinline__ uint32_t max_of(uint32_t acc, const unsigned char *slot)
    {
#pragma unroll
        for (uint32_t i = 0; i < chunks; i++) {
            acc = qb__max_chunk<IN>(acc, *(const uint4 *)(slot + i * 512));
        }
        return acc;
    }

    /* The span of which the first chunk is in byte AT of the slot. */
    static __device__ __forceinline__ span<IN> get(const unsigned char *slot, uint32_t at)
    {
        span<IN> x;
#pragma unroll
        for (uint32_t i = 0; i < chunks; i++) {
            x.chunk[i] = *(const uint4 *)(slot + (at ^ (i * 16)));
        }
        return x;
    }
};

template <int IN> __device__ __forceinline__ tiles<IN> tiles_of(const spans_fused_args &a, unsigned char *kept)
{
    const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    tiles<IN> t;

    t.number = blockIdx.x * WARPS + warp;
    t.stride = gridDim.x * WARPS;
    t.in = qb__begin(a.in) + (size_t)t.number * t.bytes + lane * 16;
    t.step = (size_t)t.stride * t.bytes;
    t.slots = kept + warp * a.slots * t.bytes;
    t.count = t.number < a.tiles ? (a.tiles - 1 - t.number) / t.stride + 1 : 0;
    t.shared = min(a.slots, t.count);
    return t;
}

/* The largest elements of this lane's chunks of all tiles. */
template <int IN> __device__ __forceinline__ uint32_t read_all(const tiles<IN> &t, uint32_t cached)
{
    const uint64_t drop = qb__policy<QB__DROP>(), keep = qb__policy<QB__KEEP>();
    unsigned char *const mine = t.slots + t.place(threadIdx.x % 32);
    constexpr uint32_t depth = DEPTH / tiles<IN>::chunks;
    const unsigned char *from = t.in;
    uint32_t acc = 0;

#pragma unroll 1
    for (uint32_t k = 0; k < t.shared; k++, from += t.step) {
        t.fetch(from, mine + k * t.bytes, drop);
    }
    qb__end_copies();
#pragma unroll 1
    for (uint32_t k = t.shared; k < t.count; k += depth) {
        const uint64_t policy = k + cached < t.count ? drop : keep;
        uint4 batch[DEPTH];
#pragma unroll
        for (uint32_t i = 0; i < DEPTH; i++) {
            batch[i] = qb__load16(from + i % t.chunks * 512, policy);
            if (i % t.chunks == t.chunks - 1) { /* the last tile again, where there is no other */
                from += k + i / t.chunks + 1 < t.count ? t.step : 0;
            }
        }
#pragma unroll
        for (uint32_t i = 0; i < DEPTH; i++) {
            acc = qb__max_chunk<IN>(acc, batch[i]);
        }
    }
    qb__wait_for_copies<0>();
#pragma unroll 2
    for (uint32_t k = 0; k < t.shared; k++) {
        acc = t.max_of(acc, mine + k * t.bytes);
    }
    return acc;
}

/* The codes of a span and, in *CODE, of its scale. G_FITS: qb__small_multiplier_fast() does. */
template <int IN>
__device__ __forceinline__ codes<QB_FORMAT_E2M1>
encode_span(const span<IN> &x, const qb__scales &scales, const qb__tensor_factors &factors, bool g_fits, uint32_t *code)
{
#if QB__HAVE_PAIRS && !QB__HAVE_FP4
    const uint32_t largest = top_of<IN>(x);

    *code = make_scale<SMALL>({largest, 0}, scales, factors).code;
    const float m = qb__small_multiplier_fast(*code, factors.decode);
    if (g_fits && __fmul_rn(__uint_as_float(largest), m) < 7.0f) {
        return encode_tame<IN, false>(x, m);
    }
#endif
    /* Rare, but where there are instructions for the format. */
    uint32_t top;
    const range r = range_of<IN, QB_FORMAT_E2M1, SMALL>(x, &top);
    const scale s = make_scale<SMALL>(r, scales, factors);

    *code = s.code;
    return codes_of<IN, QB_FORMAT_E2M1, SMALL>(x, s, factors, top);
}

/* Write the codes and scales of all tiles. What is not kept is read backwards: L2 has the last most likely. */
template <int IN>
__device__ __forceinline__ void write_all(const tiles<IN> &t, const spans_fused_args &a,
                                          const qb__tensor_factors &factors)
{
    const uint64_t drop = qb__policy<QB__DROP>();
    const uint32_t lane = threadIdx.x % 32, at = t.place(lane * t.chunks), mine = t.place(lane);
    const bool g_fits = factors.decode >= 0x1p-60f && factors.decode <= 0x1p60f;
    const unsigned char *from = t.in + (size_t)(t.count - 1) * t.step;
    unsigned char *slot = t.slots, *const end = t.slots + t.shared * t.bytes;

#pragma unroll 1
    for (uint32_t n = 0; n < t.count; n++) {
        const uint32_t k = n < t.shared ? n : t.count - 1 + t.shared - n;
        const uint32_t place = (t.number + k * t.stride) * 32 + lane;
        uint32_t code;

        qb__wait_for_copies<LATER>();
        __syncwarp();
        const span<IN> x = t.get(slot, at);
        __syncwarp();
        if (n + t.shared < t.count) {
            t.fetch(from, slot + mine, drop);
        }
        qb__end_copies();
        from -= t.step;
        slot = slot + t.bytes == end ? t.slots : slot + t.bytes;
        const codes<QB_FORMAT_E2M1> c = encode_span<IN>(x, a.scales, factors, g_fits, &code);
        ((uint8_t *)a.scales.memory)[place] = (uint8_t)code;
        __stcs((uint2 *)(a.out + (size_t)place * 8), make_uint2(c.word[0], c.word[1]));
    }
}

template <int IN> __global__ void __launch_bounds__(THREADS, 1) spans_fused(const spans_fused_args a)
{
    extern __shared__ __align__(16) unsigned char kept[];
    __shared__ uint32_t warp_max[2][32];
    const tiles<IN> t = tiles_of<IN>(a, kept);
    const uint32_t launch = load_relaxed(&a.state->launch) + 1;

    uint32_t amax = qb__block_max(qb__max_bits<IN>(read_all<IN>(t, a.cached)), warp_max[0]);
    post(a.state, launch, a.posts, amax);
    amax = wait_for_posts(a.state, launch, amax, warp_max[1]);
    const float encode = qb__tensor_encode(amax, a.scales), g = __fdiv_rn(1.0f, encode);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        count_launch(a.state, launch);
        *a.scales.tensor_scale = g;
    }
    write_all<IN>(t, a, {__fmul_rn(encode, a.scales.reciprocal), g});
}

/* ---- Launching --------------------------------------------------------------------------------------------------- */

static const void *const kernels[3] = {(const void *)spans_fused<QB_FORMAT_F16>,
                                       (const void *)spans_fused<QB_FORMAT_BF16>,
                                       (const void *)spans_fused<QB_FORMAT_F32>};

/* Bytes of a tile for each warp of a block. */
static size_t slot_bytes(qb_format input)
{
    return (size_t)THREADS * SPAN * qb__element_size(input);
}

/* Slots that fit, with room for what the kernel has beside them. */
static unsigned slots_of(const struct qb__cuda_limits *limits, qb_format input)
{
    return (unsigned)((limits->shared_per_block - 2048) / slot_bytes(input));
}

cudaError_t qb__cuda_spans_fused_prepare(struct qb__cuda_limits *limits)
{
    cudaError_t error = cudaSuccess;

    for (int input = 0; input < 3 && error == cudaSuccess; input++) {
        const size_t bytes = slots_of(limits, (qb_format)input) * slot_bytes((qb_format)input);
        error = cudaFuncSetAttribute(kernels[input], cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
    }
    return error;
}

bool qb__cuda_spans_fused_fits(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;

    return call->limits->fused && p->tensor_scale == QB_TENSOR_SCALE_COMPUTED && call->output == QB_FORMAT_E2M1 &&
           p->granularity == QB_GRANULARITY_GROUP && p->group == SPAN && p->scale_layout == QB_SCALE_LAYOUT_ROWS &&
           (call->rows == 1 || (call->in_stride == call->cols && call->out_stride == call->cols)) &&
           slots_of(call->limits, call->input) > LATER && call->rows * call->cols % (32 * SPAN) == 0 &&
           qb__cuda_spans_fits(call);
}

cudaError_t qb__cuda_spans_fused_run(const struct qb__cuda_call *call, bool *done)
{
    const unsigned units = call->limits->units;
    spans_fused_args a = {};
    void *args[] = {&a};

    *done = (uintptr_t)call->in % 16 == 0 && (uintptr_t)call->out % 8 == 0;
    if (!*done) {
        return cudaSuccess;
    }
    a.in = (const unsigned char *)call->in;
    a.out = call->out;
    a.scales = qb__scales_of(call);
    a.tiles = (uint32_t)(call->rows * call->cols / (32 * SPAN));
    a.state = (barrier *)call->workspace;
    a.posts = POSTS * units;
    const unsigned useful = (unsigned)qb__ceil_div(a.tiles, WARPS), blocks = useful < units ? useful : units;
    const unsigned rounds = (unsigned)qb__ceil_div(a.tiles, WARPS * blocks), room = slots_of(call->limits, call->input);
    a.slots = rounds < room ? rounds : room;
    /* 4096 x 8192: a half of L2, as fused.cu has it, is 0.8 us slower. */
    a.cached = (uint32_t)(call->limits->cache_size / 6 / units / slot_bytes(call->input));
    /* So much that a multiprocessor cannot have two blocks, which makes the launch slower. */
    const size_t bytes = a.slots * slot_bytes(call->input), least = call->limits->shared_per_block / 2;
    return qb__launch(call, kernels[call->input], blocks, dim3(THREADS), args, bytes > least ? bytes : least, true);
}
