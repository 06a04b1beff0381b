/* SPDX-License-Identifier: Apache-2.0 */
/* channel.cu - dynamic, one scale for each column, in one launch. A block has a strip of neighboring columns with all
 * their rows and keeps as much of it as it can on the chip, so that blocks need not meet. Limited by the part that does
 * not fit: that is read twice, from L2 if it is still there. */
#include "onchip.cuh"

struct channel_args {
    const unsigned char *in;
    uint8_t *out;
    float *scales;
    uint64_t rows, in_stride, out_stride;
    uint32_t chunks; /* of a row */
    uint32_t shift;  /* a strip is 2 to this many chunks wide */
    uint32_t cached; /* rounds that L2 can keep for a block */
    uint32_t shared; /* rounds of THREADS chunks that a block keeps in shared memory */
    float bound;
};

/* Blocks of 512 threads need more than half of a multiprocessor's registers. */
template <int IN, int OUT, unsigned THREADS, unsigned HELD, bool LARGE>
__global__ void __launch_bounds__(THREADS, LARGE || THREADS == 512 ? 1 : 2) channel(const channel_args a)
{
    const unsigned n = qb__in<IN>::chunk;
    const unsigned char *const in = qb__wait(a.in);
    extern __shared__ uint4 kept[];
    __shared__ uint4 warp_max[THREADS / 32][8];
    const uint32_t width = 1u << a.shift, x = threadIdx.x & (width - 1), y = threadIdx.x >> a.shift;
    const uint32_t rows_at_once = THREADS >> a.shift, column = blockIdx.x * width + x;
    unsigned char *const out = a.out + y * a.out_stride + (size_t)column * n;
    const size_t out_step = rows_at_once * a.out_stride;
    qb__onchip<THREADS, HELD, LARGE> data;
    uint4 acc = make_uint4(0, 0, 0, 0);

    data.in = in + y * a.in_stride * qb__in<IN>::size + (size_t)column * 16;
    data.step = rows_at_once * a.in_stride * qb__in<IN>::size;
    data.count = column < a.chunks && y < a.rows ? (uint32_t)((a.rows - y + rows_at_once - 1) / rows_at_once) : 0;
    data.shared = LARGE ? min(a.shared, data.count) : 0;
    data.cached = a.cached;
    data.mine = kept + threadIdx.x;
    data.read([&](const uint4 &chunk) { qb__max_words<IN>(acc, chunk); });
    qb__let_next();

    /* Lanes of the same column, then warps. */
    qb__max_lanes<IN>(acc, width);
    if (threadIdx.x % 32 < width) {
        warp_max[threadIdx.x / 32][x] = acc;
    }
    __syncthreads();
    for (unsigned i = 0; i < THREADS / 32; i++) {
        qb__max_words<IN>(acc, warp_max[i][x]);
    }

    qb__divisor d[n];
    float amax[n];
    bool fast = true;
    qb__unpack<IN>(acc, amax);
#pragma unroll
    for (unsigned i = 0; i < n; i++) {
        d[i] = qb__divide_by<IN>(qb__scale<OUT>(__float_as_uint(amax[i]), a.bound));
        fast = fast && qb__is_fast<IN>(__float_as_uint(amax[i]), d[i].limit);
        if (y == 0 && column < a.chunks) {
            a.scales[(size_t)column * n + i] = d[i].s;
        }
    }
    if (fast) {
        data.write([&](uint32_t k, const uint4 &chunk) {
            qb__store_streaming<IN>(out + k * out_step, qb__encode_columns<IN, OUT>(chunk, d));
        });
    } else {
        /* Seldom: small is better than fast, and all is read again. Column by column, as D must not be indexed. */
#pragma unroll
        for (unsigned i = 0; i < n; i++) {
            const float s = d[i].s;
#pragma unroll 1
            for (uint32_t k = 0; k < data.count; k++) {
                out[k * out_step + i] = qb__encode1<OUT>(qb__load_element<IN>(data.in + k * data.step, i), s);
            }
        }
    }
}

/* Threads of a block, and chunks that each holds in registers. */
#define LARGE_THREADS 512
#define LARGE_HELD    16

static const void *const large_kernels[] = QB__KERNELS(channel, LARGE_THREADS, LARGE_HELD, true);

/* Few rows, all of which registers hold: less code, which counts for more than anything else here (5.6 us where these
 * take 2.0 to 2.9), and room for several blocks in a multiprocessor. Each is the fastest for rows beyond what the one
 * before holds, up to what it holds; the last only if its blocks all run at the same time. */
static const void *const one_chunk[] = QB__KERNELS(channel, 128, 1, false);
static const void *const two_chunks[] = QB__KERNELS(channel, 128, 2, false);
static const void *const four_chunks[] = QB__KERNELS(channel, 256, 4, false);
static const void *const eight_chunks[] = QB__KERNELS(channel, 512, 8, false);
static const struct small_size {
    unsigned threads, held, shift;
    bool at_once; /* only if all blocks run at the same time */
    const void *const *kernels;
} small_sizes[] = {{128, 1, 3, false, one_chunk},   {128, 1, 2, false, one_chunk},   {128, 2, 2, false, two_chunks},
                   {256, 4, 3, false, four_chunks}, {256, 4, 2, false, four_chunks}, {512, 8, 3, false, eight_chunks},
                   {512, 8, 2, true, eight_chunks}};

/* Blocks that have strips of 2 to the SHIFT chunks each. */
static uint64_t strips(const struct qb__cuda_call *call, unsigned shift)
{
    return qb__ceil_div(call->cols, (16 / qb__element_size(call->input)) << shift);
}

/* The size for CALL; NULL if it has too many rows. */
static const struct small_size *small_size_of(const struct qb__cuda_call *call)
{
    for (const struct small_size &size : small_sizes) {
        if (call->rows <= (size.threads >> size.shift) * size.held &&
            (!size.at_once || strips(call, size.shift) <= call->limits->units)) {
            return &size;
        }
    }
    return NULL;
}

extern "C" cudaError_t qb__cuda_channel_prepare(struct qb__cuda_limits *limits)
{
    limits->channel = true;
    return qb__onchip_prepare(large_kernels, sizeof(large_kernels) / sizeof(large_kernels[0]), LARGE_THREADS, limits,
                              &limits->channel);
}

extern "C" bool qb__cuda_channel_fits(const struct qb__cuda_call *call)
{
    const unsigned n = 16 / qb__element_size(call->input);

    /* Rows that are not aligned, and narrow tensors of many rows, which would leave the device empty, are for
     * two_pass.cu. */
    return call->limits->channel && call->tile_cols == 1 && call->scale_rows == 1 && call->rows > 0 &&
           call->rows < 0x7fffffff && call->cols < 0x7fffffff && call->cols % n == 0 && call->in_stride % n == 0 &&
           call->out_stride % n == 0 && (small_size_of(call) || strips(call, 2) >= call->limits->units / 2);
}

static cudaError_t launch(const struct qb__cuda_call *call, const void *const *kernels, unsigned threads,
                          struct channel_args *a)
{
    void *args[] = {a};

    return qb__launch(call, kernels[qb__index(call)], strips(call, a->shift), dim3(threads), args,
                      (size_t)a->shared * threads * 16);
}

extern "C" cudaError_t qb__cuda_channel_run(const struct qb__cuda_call *call)
{
    const unsigned n = 16 / qb__element_size(call->input);
    const struct small_size *const small = small_size_of(call);
    struct channel_args a = {};

    if ((uintptr_t)call->in % 16 != 0 || (uintptr_t)call->out % n != 0) {
        return qb__cuda_two_pass_run(call);
    }
    a.in = (const unsigned char *)call->in;
    a.out = call->out;
    a.scales = call->scales;
    a.rows = call->rows;
    a.in_stride = call->in_stride;
    a.out_stride = call->out_stride;
    a.chunks = (uint32_t)(call->cols / n);
    a.bound = call->bound;
    if (small) {
        a.shift = small->shift;
        return launch(call, small->kernels, small->threads, &a);
    }
    /* Full lines of 128 bytes, or half of one if that still lets all blocks run at the same time. */
    a.shift = strips(call, 2) <= call->limits->units ? 2 : 3;
    a.cached = qb__onchip_cached(call->limits, LARGE_THREADS);
    a.shared =
        qb__onchip_kept(call->limits, LARGE_THREADS, qb__ceil_div(call->rows, LARGE_THREADS >> a.shift), LARGE_HELD);
    return launch(call, large_kernels, LARGE_THREADS, &a);
}
