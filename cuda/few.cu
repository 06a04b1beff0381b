/* SPDX-License-Identifier: Apache-2.0 */
/* few.cu - few rows, where what counts is the time from the first load to the last store: a thread has one chunk, or a
 * row has several blocks of threads, each of which reads all of it and writes the codes of a part. What strided.cu has
 * besides for larger data, such as many chunks of a thread, is left out. */
#include "device.cuh"

#define CHUNK_THREADS 256u
#define ROW_THREADS   1024u
/* The blocks of threads that a row has if there are few, and the chunks of a thread then. */
#define SHARES 4u

/* Write the scale of AMAX to *SCALE, if that is not NULL, and the codes of CHUNK to TO. An amax too small for the quick
 * product has a scale that is too small for the fast way, so that one test serves both; what follows it has nothing to
 * wait for. */
template <int IN, int OUT>
__device__ __forceinline__ void finish(const uint4 &chunk, uint32_t amax_bits, float bound, unsigned char *to,
                                       float *scale)
{
    const float s = qb__by_qmax_unless_small<OUT>(fminf(__uint_as_float(amax_bits), bound));
    const qb__divisor d = qb__divide_by<IN>(s);

    if (qb__is_fast<IN>(amax_bits, d.limit)) {
        qb__store16<IN>(to, qb__encode_fast<IN, OUT>(chunk, d));
        if (scale) {
            *scale = s;
        }
    } else {
        const qb__divisor exact = qb__divide_by<IN>(qb__scale<OUT>(amax_bits, bound));
        qb__store16<IN>(to, qb__encode_slow<IN, OUT>(chunk, exact));
        if (scale) {
            *scale = exact.s;
        }
    }
}

struct chunks_args {
    const unsigned char *in;
    unsigned char *out;
    float *scales;
    uint32_t chunks;
    float bound;
};

/* One scale that is given. */
template <int IN, int OUT> __global__ void __launch_bounds__(CHUNK_THREADS) few_static(const chunks_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t i = blockIdx.x * CHUNK_THREADS + threadIdx.x;

    if (i < a.chunks) {
        const float s = *a.scales;
        const uint4 chunk = qb__load16(in + (size_t)i * 16);
        qb__store16<IN>(a.out + (size_t)i * qb__in<IN>::chunk,
                        qb__encode_unknown<IN, OUT>(chunk, qb__divide_by<IN>(s)));
    }
}

/* Groups that are the chunks of LANES threads. Each reads its neighbor's as well, from the first cache, which takes
 * less time than a shuffle. */
template <int IN, int OUT, unsigned LANES>
__global__ void __launch_bounds__(CHUNK_THREADS) few_groups(const chunks_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t i = blockIdx.x * CHUNK_THREADS + threadIdx.x;
    const bool valid = i < a.chunks;
    const uint4 chunk = valid ? qb__load16(in + (size_t)i * 16) : make_uint4(0, 0, 0, 0);
    const uint4 neighbor = valid ? qb__load16(in + (size_t)(i ^ 1) * 16) : make_uint4(0, 0, 0, 0);
    uint32_t acc = qb__max_chunk<IN>(qb__max_chunk<IN>(0, chunk), neighbor);

#pragma unroll
    for (unsigned offset = LANES / 2; offset > 1; offset /= 2) {
        acc = qb__max_word<IN>(acc, __shfl_xor_sync(0xffffffffu, acc, offset));
    }
    if (valid) {
        finish<IN, OUT>(chunk, qb__max_bits<IN>(acc), a.bound, a.out + (size_t)i * qb__in<IN>::chunk,
                        i % LANES == 0 ? a.scales + i / LANES : NULL);
    }
}

struct rows_args {
    const unsigned char *in;
    unsigned char *out;
    float *scales;
    uint32_t in_step, out_step; /* bytes from one row to the next */
    uint32_t length;            /* chunks of a row */
    float bound;
};

/* Words for the largest values of a block's warps, by their address in shared memory. To find that out takes about as
 * long as to read them, so it is done early, where the compiler would do it late. */
struct warp_words {
    uint32_t address;

    __device__ __forceinline__ explicit warp_words(const uint4 *words)
        : address((uint32_t)__cvta_generic_to_shared(words))
    {
        asm volatile("" : "+r"(address));
    }
    __device__ __forceinline__ void set(uint32_t i, uint32_t value) const
    {
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(address + 4 * i), "r"(value) : "memory");
    }
    __device__ __forceinline__ uint32_t get(uint32_t i) const
    {
        uint32_t value;
        asm volatile("ld.shared.u32 %0, [%1];" : "=r"(value) : "r"(address + 4 * i) : "memory");
        return value;
    }
    /* The largest of words 4 I to 4 I + 3. */
    __device__ __forceinline__ uint32_t max_of_four(uint32_t i) const
    {
        uint4 x;
        asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
                     : "r"(address + 16 * i)
                     : "memory");
        return max(max(x.x, x.y), max(x.z, x.w));
    }
};

/* The largest of a block's values, for all its threads, as of qb__block_max(); of up to eight warps each thread reads
 * those of all. The block is a multiple of 128 threads. */
__device__ __forceinline__ uint32_t max_of_block(uint32_t bits, const warp_words &words)
{
    const uint32_t warps = blockDim.x / 32, lane = threadIdx.x % 32;

    bits = qb__warp_max(bits);
    if (lane == 0) {
        words.set(threadIdx.x / 32, bits);
    }
    __syncthreads();
    if (warps > 8) {
        return qb__warp_max(lane < warps ? words.get(lane) : 0);
    }
    return max(words.max_of_four(0), warps > 4 ? words.max_of_four(1) : 0);
}

/* A dynamic scale for each row, which has BLOCKS blocks of threads. A thread has BLOCKS chunks, first the one that it
 * will encode. */
template <int IN, int OUT, unsigned BLOCKS> __global__ void __launch_bounds__(ROW_THREADS) few_rows(const rows_args a)
{
    __shared__ uint4 warp_max[ROW_THREADS / 128];
    const unsigned char *const begin = qb__wait(a.in);
    const warp_words words(warp_max);
    const uint32_t row = blockIdx.x / BLOCKS, share = blockIdx.x % BLOCKS;
    const unsigned char *const in = begin + (uint64_t)row * a.in_step;
    const uint32_t own = share * blockDim.x + threadIdx.x;
    uint4 chunk[BLOCKS];
    uint32_t acc = 0;

#pragma unroll
    for (unsigned k = 0; k < BLOCKS; k++) {
        const uint32_t c = (share + k) % BLOCKS * blockDim.x + threadIdx.x;
        chunk[k] = c < a.length ? qb__load16(in + (size_t)c * 16) : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (unsigned k = 0; k < BLOCKS; k++) {
        acc = qb__max_chunk<IN>(acc, chunk[k]);
    }
    const uint32_t amax = max_of_block(qb__max_bits<IN>(acc), words);
    qb__let_next();
    if (own < a.length) {
        finish<IN, OUT>(chunk[0], amax, a.bound, a.out + (uint64_t)row * a.out_step + (size_t)own * qb__in<IN>::chunk,
                        own == 0 ? a.scales + row : NULL);
    }
}

/* ---- Launching ---------------------------------------------------------------------------------------------- */

/* 2048 threads for each multiprocessor. Of more chunks strided.cu gives each thread several. */
static bool are_few(const struct qb__cuda_call *call, uint64_t chunks)
{
    return chunks <= (uint64_t)call->limits->units * 2048;
}

static cudaError_t launch_chunks(const struct qb__cuda_call *call, uint64_t chunks, const void *const *kernels)
{
    struct chunks_args a = {};
    void *args[] = {&a};

    a.in = (const unsigned char *)call->in;
    a.out = call->out;
    a.scales = call->scales;
    a.chunks = (uint32_t)chunks;
    a.bound = call->bound;
    return qb__launch(call, kernels[qb__index(call)], qb__ceil_div(chunks, CHUNK_THREADS), dim3(CHUNK_THREADS), args);
}

/* Kernels of groups of COUNT chunks; NULL if there are none. */
static const void *const *group_kernels(uint64_t count)
{
    static const void *const eight[] = QB__KERNELS(few_groups, 8);
    static const void *const sixteen[] = QB__KERNELS(few_groups, 16);
    static const void *const all[] = QB__KERNELS(few_groups, 32);

    return count == 8 ? eight : count == 16 ? sixteen : count == 32 ? all : NULL;
}

static cudaError_t launch_rows(const struct qb__cuda_call *call, const struct qb__flat *f, unsigned blocks)
{
    static const void *const one[] = QB__KERNELS(few_rows, 1);
    static const void *const several[] = QB__KERNELS(few_rows, SHARES);
    const unsigned size = qb__element_size(call->input), n = 16 / size;
    struct rows_args a = {};
    void *args[] = {&a};

    a.in = (const unsigned char *)call->in;
    a.out = call->out;
    a.scales = call->scales;
    a.in_step = (uint32_t)(f->tiles > 1 ? f->in_step * size : 0);
    a.out_step = (uint32_t)(f->tiles > 1 ? f->out_step : 0);
    a.length = (uint32_t)(f->length / n);
    a.bound = call->bound;
    return qb__launch(call, (blocks == 1 ? one : several)[qb__index(call)], f->tiles * blocks,
                      dim3(qb__round_up((unsigned)qb__ceil_div(a.length, blocks), 128)), args);
}

/* Blocks of threads for each row of F; 0 where strided.cu is as fast. */
static unsigned blocks_of_row(const struct qb__cuda_call *call, const struct qb__flat *f, uint64_t chunks)
{
    const uint64_t units = call->limits->units;

    if (chunks <= 256) {
        return f->tiles * chunks <= units * 1024 ? 1 : 0;
    }
    return chunks <= SHARES * ROW_THREADS && f->tiles <= units / 2 ? SHARES : 0;
}

extern "C" cudaError_t qb__cuda_few_run(const struct qb__cuda_call *call, const struct qb__flat *f, bool *done)
{
    static const void *const given[] = QB__KERNELS(few_static);
    const uint64_t chunks = f->length / (16 / qb__element_size(call->input)), most = 0x7fffffff;
    const bool dense = f->in_step == f->length && f->out_step == f->length;

    *done = true;
    if (call->scaling == QB_SCALING_STATIC && f->tiles == 1 && chunks > 0 && are_few(call, chunks)) {
        return launch_chunks(call, chunks, given);
    }
    if (call->scaling == QB_SCALING_DYNAMIC && dense && group_kernels(chunks) && are_few(call, f->tiles * chunks)) {
        return launch_chunks(call, f->tiles * chunks, group_kernels(chunks));
    }
    if (call->scaling == QB_SCALING_DYNAMIC && chunks > 64 && f->in_step <= most / 4 && f->out_step <= most) {
        const unsigned blocks = blocks_of_row(call, f, chunks);
        if (blocks > 0) {
            return launch_rows(call, f, blocks);
        }
    }
    *done = false;
    return cudaSuccess;
}
