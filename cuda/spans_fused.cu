/* SPDX-License-Identifier: Apache-2.0 */
/* spans_fused.cu - codes in E2M1 and scales in E4M3 under a tensor scale that is computed, in one cooperative launch,
 * as fused.cu has it. A warp reads tiles of 32 spans, one for each lane. The first are kept in shared memory, the next
 * in registers. After the barrier shared memory takes the others once more, from L2 if they are still there. */
#include "barrier.cuh"
#include "onchip.cuh"
#include "span.cuh"

/* 4096 x 8192: 768 threads with 4 tiles in registers are as fast within 0.3 us. */
#define THREADS 512u
#define WARPS   (THREADS / 32)
/* Chunks of a thread in registers, and on their way of what is not kept on the chip. */
#define HELD  20
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
    static constexpr uint32_t chunks = span<IN>::chunks, bytes = 512 * chunks, most_held = HELD / chunks;
    const unsigned char *in;      /* this lane's first chunk of the first tile */
    size_t step;                  /* bytes from one tile to the next */
    unsigned char *slots;         /* the warp's shared memory, BYTES for each tile */
    uint32_t count, shared, held; /* tiles; the first, in shared memory; the next, in registers */
    uint32_t number, stride;      /* of the first tile, and from one to the next */

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
    t.held = min(t.most_held, t.count - t.shared);
    return t;
}

/* Spans that a lane has in registers. */
template <int IN> struct spans_held {
    span<IN> x[tiles<IN>::most_held];
};

/* The largest elements of this lane's chunks of all tiles. Those that are not in shared memory go to H, as far as it
 * has places. */
template <int IN> __device__ __forceinline__ uint32_t read_all(const tiles<IN> &t, uint32_t cached, spans_held<IN> &h)
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
    if (t.held > 0) {
        /* Each lane takes its own span whole. */
        const unsigned char *own = from + (threadIdx.x % 32) * 16 * (t.chunks - 1);
#pragma unroll
        for (uint32_t k = 0; k < t.most_held; k++, own += t.step) {
#pragma unroll
            for (uint32_t i = 0; i < t.chunks; i++) {
                h.x[k].chunk[i] = k < t.held ? qb__load16(own + i * 16, drop) : make_uint4(0, 0, 0, 0);
            }
        }
        from += t.held * t.step;
    }
#pragma unroll 1
    for (uint32_t k = t.shared + t.held; k < t.count; k += depth) {
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
    if (t.held > 0) {
#pragma unroll
        for (uint32_t k = 0; k < t.most_held; k++) {
#pragma unroll
            for (uint32_t i = 0; i < t.chunks; i++) {
                acc = qb__max_chunk<IN>(acc, h.x[k].chunk[i]);
            }
        }
    }
    return acc;
}

/* ---- Codes ------------------------------------------------------------------------------------------------------ */

/* Codes are those of cut_products() where chips have no instruction for them. */
#define CUTS (QB__HAVE_PAIRS && !QB__HAVE_FP4)

/* S and g of the tensor, and where elements may become codes by cut_products(). */
struct tensor {
    qb__tensor_factors factors;
    float small_g; /* 2^14 g */
    float limit;   /* of amax times a multiplier by SMALL_G */
};

__device__ __forceinline__ tensor tensor_of(float encode, float g, const qb__scales &scales)
{
    tensor t = {{__fmul_rn(encode, scales.reciprocal), g}, g * 0x1p14f, 0};

    if (g >= 0x1p-60f && g <= 0x1p60f) { /* so that qb__small_multiplier_fast() serves */
        t.limit = 0x1p-14f * 7.0f;
    }
    return t;
}

/* True if RN(x m) may be 1 or 1.25, but for powers of two, for an element x and a multiplier m: that there is a tie
 * which goes down. M has 8 significands, and only the x next to the quotient can be it. */
template <int IN> __device__ __forceinline__ bool may_tie_down(float g)
{
    const uint32_t lane = threadIdx.x % 32, code = 0x38 + (lane / 2 & 7);
    const float product = lane % 2 ? 1.25f : 1.0f, m = qb__small_multiplier(code, g);
    const uint32_t bits = IN == QB_FORMAT_BF16 ? 8 : 11, step = 1u << (24 - bits);
    const float x = __uint_as_float((__float_as_uint(__fdiv_rn(product, m)) + step / 2) & ~(step - 1));

    return __any_sync(0xffffffffu, __fmul_rn(x, m) == product);
}

#if CUTS
/* The bits of A where MASK has ones, and of B elsewhere. */
template <uint32_t MASK> __device__ __forceinline__ uint32_t merge(uint32_t a, uint32_t b)
{
    uint32_t word;

    asm("lop3.b32 %0, %1, %2, %3, 0xe4;" : "=r"(word) : "r"(a), "r"(b), "n"(MASK));
    return word;
}

/* LOW and HIGH as halves, cut off. */
__device__ __forceinline__ uint32_t cut_pair(float low, float high)
{
    uint32_t pair;

    asm("cvt.rz.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

/* The upper bytes of eight values as halves, cut off: of those with even numbers in *EVEN, the others in *ODD. */
__device__ __forceinline__ void cut8(const float *v, uint32_t *even, uint32_t *odd)
{
    *even = __byte_perm(cut_pair(v[0], v[2]), cut_pair(v[4], v[6]), 0x7531);
    *odd = __byte_perm(cut_pair(v[1], v[3]), cut_pair(v[5], v[7]), 0x7531);
}

/* The codes of a span by M, 2^-14 times its multiplier. Products are under 7 * 2^-14, so that the bits of a half, of
 * which all under 2^-14 are subnormal, are those of E2M1 and nine more: cut off, bits 9 to 11 are the code rounded
 * down, and bit 8 says if half a step or more is left. That is all but for ties, which go up by it. Those of even codes
 * go down. TIES: where there may be these, what is just under the product says if more than half a step is left. */
template <int IN, bool TIES> __device__ __forceinline__ codes<QB_FORMAT_E2M1> cut_products(const span<IN> &x, float m)
{
    codes<QB_FORMAT_E2M1> c;

#pragma unroll
    for (unsigned i = 0; i < SPAN / PART; i++) {
        float v[PART];
        uint32_t even, odd;
        unpack_part<IN>(x, i, v);
#pragma unroll
        for (unsigned k = 0; k < PART; k++) {
            v[k] = __fmul_rn(v[k], m);
        }
        cut8(v, &even, &odd);
        const uint32_t signs = merge<0x80808080u>(odd, even >> 4);
        /* Four bits of each: its code and the bit after it. */
        uint32_t n = merge<0x0f0f0f0fu>(even, odd << 4);
        if (TIES) {
#pragma unroll
            for (unsigned k = 0; k < PART; k++) {
                v[k] = __fmul_rn(v[k], 0x1.fffffep-1f); /* the next that is smaller */
            }
            cut8(v, &even, &odd);
            const uint32_t under = merge<0x0f0f0f0fu>(even, odd << 4), down = n >> 1;
            n = (down & 0x77777777u) + (n & (down | under) & 0x11111111u);
        } else {
            n = (n + 0x11111111u) >> 1;
        }
        c.word[i] = merge<0x77777777u>(n, signs);
    }
    return c;
}
#endif

/* What is not inlined where it is rare. */
#if CUTS
#define RARE __noinline__
#else
#define RARE __forceinline__
#endif

/* Any span's codes, and its scale's. BOUND: of the amax. */
template <int IN> __device__ RARE uint4 encode_any(const span<IN> x, float bound, const qb__tensor_factors factors)
{
    qb__scales scales = {};
    uint32_t top;

    scales.bound = bound;
    const range r = range_of<IN, QB_FORMAT_E2M1, SMALL>(x, &top);
    const scale s = make_scale<SMALL>(r, scales, factors);
    const codes<QB_FORMAT_E2M1> c = codes_of<IN, QB_FORMAT_E2M1, SMALL>(x, s, factors, top);
    return make_uint4(c.word[0], c.word[1], s.code, 0);
}

/* The codes of a span, and in *CODE that of its scale. */
template <int IN, bool TIES>
__device__ __forceinline__ codes<QB_FORMAT_E2M1> encode_span(const span<IN> &x, const qb__scales &scales,
                                                             const tensor &t, uint32_t *code)
{
#if CUTS
    const uint32_t largest = top_of<IN>(x);

    *code = qb__small_pair(__fmul_rn(fminf(__uint_as_float(largest), scales.bound), t.factors.encode));
    const float m = qb__small_multiplier_fast(*code, t.small_g, 0x1.fffffep113f);
    if (__fmul_rn(__uint_as_float(largest), m) < t.limit) {
        return cut_products<IN, TIES>(x, m);
    }
#endif
    const uint4 c = encode_any<IN>(x, scales.bound, t.factors);

    *code = c.z;
    return {c.x, c.y};
}

/* Write what the span in PLACE becomes. */
template <int IN, bool TIES>
__device__ __forceinline__ void put(const span<IN> &x, uint32_t place, const spans_fused_args &a, const tensor &tensor)
{
    uint32_t code;
    const codes<QB_FORMAT_E2M1> c = encode_span<IN, TIES>(x, a.scales, tensor, &code);

    ((uint8_t *)a.scales.memory)[place] = (uint8_t)code;
    __stcs((uint2 *)(a.out + (size_t)place * 8), make_uint2(c.word[0], c.word[1]));
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

/* A walk through tiles in shared memory, which take others as they become free. */
struct walk {
    uint32_t slot, end;        /* bytes */
    uint32_t place;            /* of this lane's span */
    uint32_t left;             /* tiles to be asked for */
    const unsigned char *from; /* the next of these */
};

/* Write the codes and scales of the next N tiles, STEP places from one to the next. */
template <int IN, bool TIES>
__device__ __forceinline__ void write_some(const tiles<IN> &t, walk &w, uint32_t n, uint32_t step,
                                           const spans_fused_args &a, const tensor &tensor)
{
    const uint64_t drop = qb__policy<QB__DROP>();
    const uint32_t lane = threadIdx.x % 32, at = t.place(lane * t.chunks), mine = t.place(lane);

#pragma unroll 1
    for (; n > 0; n--) {
        qb__wait_for_copies<LATER>();
        __syncwarp();
        const span<IN> x = t.get(t.slots + w.slot, at);
        __syncwarp();
        if (w.left > 0) {
            t.fetch(w.from, t.slots + (w.slot + mine), drop);
            w.from -= t.step;
            w.left--;
        }
        qb__end_copies();
        w.slot = w.slot + t.bytes == w.end ? 0 : w.slot + t.bytes;
        put<IN, TIES>(x, w.place, a, tensor);
        w.place += step;
    }
}

/* Write the codes and scales of all tiles. What is not kept is read backwards: L2 has the last most likely. It is on
 * its way while what is in registers is written. */
template <int IN, bool TIES>
__device__ __forceinline__ void write_all(const tiles<IN> &t, const spans_fused_args &a, const spans_held<IN> &h,
                                          const tensor &tensor)
{
    const uint32_t first = t.number * 32 + threadIdx.x % 32, step = t.stride * 32;
    const uint32_t rest = t.count - t.held - t.shared, early = t.held > 0 ? min(rest, t.shared) : t.shared;
    walk w = {0, t.shared * t.bytes, first, rest, t.in + (size_t)(t.count - 1) * t.step};

    write_some<IN, TIES>(t, w, early, step, a, tensor);
    if (t.held > 0) {
#pragma unroll
        for (uint32_t k = 0; k < t.most_held; k++) {
            if (k < t.held) {
                put<IN, TIES>(h.x[k], first + (t.shared + k) * step, a, tensor);
            }
        }
        write_some<IN, TIES>(t, w, t.shared - early, step, a, tensor);
    }
    w.place = first + (t.count - 1) * step;
    write_some<IN, TIES>(t, w, rest, 0u - step, a, tensor);
}

template <int IN> __global__ void __launch_bounds__(THREADS, 1) spans_fused(const spans_fused_args a)
{
    extern __shared__ __align__(16) unsigned char kept[];
    __shared__ uint32_t warp_max[2][32];
    const tiles<IN> t = tiles_of<IN>(a, kept);
    const uint32_t launch = load_relaxed(&a.state->launch) + 1;
    spans_held<IN> h;

    uint32_t amax = qb__block_max(qb__max_bits<IN>(read_all<IN>(t, a.cached, h)), warp_max[0]);
    post(a.state, launch, a.posts, amax);
    amax = wait_for_posts(a.state, launch, amax, warp_max[1]);
    const float encode = qb__tensor_encode(amax, a.scales), g = __fdiv_rn(1.0f, encode);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        count_launch(a.state, launch);
        *a.scales.tensor_scale = g;
    }
    const tensor tensor = tensor_of(encode, g, a.scales);
    if (IN == QB_FORMAT_F32 || !CUTS || may_tie_down<IN>(g)) {
        write_all<IN, true>(t, a, h, tensor);
    } else {
        write_all<IN, false>(t, a, h, tensor);
    }
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
    /* 4096 x 8192: a third of L2 is 0.9 us slower. */
    a.cached = (uint32_t)(call->limits->cache_size / 6 / units / slot_bytes(call->input));
    /* So much that a multiprocessor cannot have two blocks, which makes the launch slower. */
    const size_t bytes = a.slots * slot_bytes(call->input), least = call->limits->shared_per_block / 2;
    return qb__launch(call, kernels[call->input], blocks, dim3(THREADS), args, bytes > least ? bytes : least, true);
}
