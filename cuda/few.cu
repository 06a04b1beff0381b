/* SPDX-License-Identifier: Apache-2.0 */
/* few.cu - few rows, where what counts is the time from the first load to the last store: a thread has one chunk, or a
 * row has several blocks of threads, each of which reads all of it and writes the codes of a part. What strided.cu has
 * besides for larger data, such as many chunks of a thread, is left out. */
#include "device.cuh"

#define CHUNK_THREADS 256u
#define ROW_THREADS   1024u

struct chunks_args {
    const unsigned char *in;
    unsigned char *out;
    float *scales;
    uint32_t chunks;
    uint32_t shift; /* 2 to this many chunks have one scale */
    float bound;
};

/* Scales that are given, or of groups that lie in the lanes of a warp. */
template <int IN, int OUT, bool STATIC> __global__ void __launch_bounds__(CHUNK_THREADS) few_chunks(const chunks_args a)
{
    const unsigned char *const in = qb__begin(a.in);
    const uint32_t i = blockIdx.x * CHUNK_THREADS + threadIdx.x;
    const bool valid = i < a.chunks;
    const float given = STATIC && valid ? a.scales[i >> a.shift] : 1.0f;
    const uint4 chunk = valid ? qb__load16(in + (size_t)i * 16) : make_uint4(0, 0, 0, 0);
    uint32_t acc = qb__max_chunk<IN>(0, chunk);

    if (!STATIC) {
#pragma unroll
        for (unsigned offset = 16; offset > 0; offset /= 2) {
            if (offset >> a.shift == 0) {
                acc = qb__max_word<IN>(acc, __shfl_xor_sync(0xffffffffu, acc, offset));
            }
        }
    }
    const uint32_t amax = qb__max_bits<IN>(acc);
    const qb__divisor d = qb__divide_by<IN>(STATIC ? given : qb__scale<OUT>(amax, a.bound));
    if (!valid) {
        return;
    }
    if (!STATIC && i % (1u << a.shift) == 0) {
        a.scales[i >> a.shift] = d.s;
    }
    qb__store16<IN>(a.out + (size_t)i * qb__in<IN>::chunk,
                    qb__encode<IN, OUT>(chunk, d, qb__is_fast<IN>(amax, d.limit)));
}

struct rows_args {
    const unsigned char *in;
    unsigned char *out;
    float *scales;
    uint32_t in_step, out_step; /* bytes from one row to the next */
    uint32_t length;            /* chunks of a row */
    float bound;
};

/* A dynamic scale for each row. A thread loads DEPTH chunks, those that it will encode first. */
template <int IN, int OUT, unsigned DEPTH, unsigned BLOCKS>
__global__ void __launch_bounds__(ROW_THREADS) few_rows(const rows_args a)
{
    const unsigned own = DEPTH / BLOCKS, n = qb__in<IN>::chunk;
    const unsigned char *const begin = qb__begin(a.in);
    __shared__ uint32_t warp_max[32];
    const uint32_t row = blockIdx.x / BLOCKS, first = blockIdx.x % BLOCKS * own;
    const unsigned char *const in = begin + (uint64_t)row * a.in_step;
    unsigned char *const out = a.out + (uint64_t)row * a.out_step;
    uint4 chunk[DEPTH];
    uint32_t acc = 0;

#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        const uint32_t c = (first + k) % DEPTH * blockDim.x + threadIdx.x;
        chunk[k] = c < a.length ? qb__load16(in + (size_t)c * 16) : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        acc = qb__max_chunk<IN>(acc, chunk[k]);
    }
    const uint32_t amax = qb__block_max(qb__max_bits<IN>(acc), warp_max);
    const qb__divisor d = qb__divide_by<IN>(qb__scale<OUT>(amax, a.bound));
    if (threadIdx.x == 0 && first == 0) {
        a.scales[row] = d.s;
    }
    if (qb__is_fast<IN>(amax, d.limit)) {
#pragma unroll
        for (unsigned k = 0; k < own; k++) {
            const uint32_t c = (first + k) * blockDim.x + threadIdx.x;
            if (c < a.length) {
                qb__store16<IN>(out + (size_t)c * n, qb__encode_fast<IN, OUT>(chunk[k], d));
            }
        }
    } else {
        /* Seldom: small is better than fast, and the chunks are read again. */
#pragma unroll 1
        for (unsigned k = 0; k < own; k++) {
            const uint32_t c = (first + k) * blockDim.x + threadIdx.x;
            if (c < a.length) {
                qb__store16<IN>(out + (size_t)c * n, qb__encode_slow<IN, OUT>(qb__load16(in + (size_t)c * 16), d));
            }
        }
    }
}

/* ---- Launching ---------------------------------------------------------------------------------------------- */

/* Twice the threads that run at the same time. Of more chunks strided.cu gives each thread several. */
static bool are_few(const struct qb__cuda_call *call, uint64_t chunks)
{
    return chunks <= (uint64_t)call->limits->units * (2 * 2048);
}

static cudaError_t launch_chunks(const struct qb__cuda_call *call, uint64_t chunks, uint32_t shift)
{
    static const void *const given[] = QB__KERNELS(few_chunks, true);
    static const void *const groups[] = QB__KERNELS(few_chunks, false);
    struct chunks_args a = {};
    void *args[] = {&a};

    a.in = (const unsigned char *)call->in;
    a.out = call->out;
    a.scales = call->scales;
    a.chunks = (uint32_t)chunks;
    a.shift = shift;
    a.bound = call->bound;
    return qb__launch(call, (call->scaling == QB_SCALING_STATIC ? given : groups)[qb__index(call)],
                      qb__ceil_div(chunks, CHUNK_THREADS), dim3(CHUNK_THREADS), args);
}

static cudaError_t launch_rows(const struct qb__cuda_call *call, const struct qb__flat *f, unsigned depth)
{
    static const void *const four[] = QB__KERNELS(few_rows, 4, 4);
    static const void *const two[] = QB__KERNELS(few_rows, 2, 2);
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
    return qb__launch(call, (depth == 4 ? four : two)[qb__index(call)], f->tiles * depth,
                      dim3(qb__round_up((unsigned)qb__ceil_div(a.length, depth), 32)), args);
}

extern "C" cudaError_t qb__cuda_few_run(const struct qb__cuda_call *call, const struct qb__flat *f, bool *done)
{
    const unsigned n = 16 / qb__element_size(call->input), units = call->limits->units;
    const uint64_t chunks = f->length / n, most = 0x7fffffff;
    uint32_t shift = 0;

    *done = true;
    if (call->scaling == QB_SCALING_STATIC && f->tiles == 1 && chunks > 0 && are_few(call, f->total / n)) {
        return launch_chunks(call, f->total / n, 31);
    }
    if (call->scaling == QB_SCALING_DYNAMIC && chunks > 0 && chunks <= 32 && (chunks & (chunks - 1)) == 0 &&
        f->in_step == f->length && f->out_step == f->length && are_few(call, f->tiles * chunks)) {
        for (; 1u << shift < chunks; shift++) {
        }
        return launch_chunks(call, f->tiles * chunks, shift);
    }
    if (call->scaling == QB_SCALING_DYNAMIC && chunks > 2 * 32 && f->in_step <= most / 4 && f->out_step <= most) {
        /* As many blocks as run at the same time. */
        if (f->tiles * 4 <= 2 * units && chunks <= 4 * ROW_THREADS) {
            return launch_rows(call, f, 4);
        }
        if (f->tiles * 2 <= 2 * units && chunks <= 2 * ROW_THREADS) {
            return launch_rows(call, f, 2);
        }
    }
    *done = false;
    return cudaSuccess;
}
