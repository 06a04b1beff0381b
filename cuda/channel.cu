/* SPDX-License-Identifier: Apache-2.0 */
/* channel.cu - dynamic, one scale for each column, in one launch. A block has a strip of neighboring columns with all
 * their rows and keeps as much of it as it can on the chip, so that blocks need not meet. Limited by the part that does
 * not fit: that is read twice, from L2 if it is still there. */
#include "onchip.cuh"

#define THREADS 512
#define HELD    16

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

template <int IN, int OUT> __global__ void __launch_bounds__(THREADS, 1) channel(const channel_args a)
{
    const unsigned n = qb__in<IN>::chunk;
    const unsigned char *const in = qb__begin(a.in);
    extern __shared__ uint4 kept[];
    __shared__ uint4 warp_max[THREADS / 32][8];
    const uint32_t width = 1u << a.shift, x = threadIdx.x & (width - 1), y = threadIdx.x >> a.shift;
    const uint32_t rows_at_once = THREADS >> a.shift, column = blockIdx.x * width + x;
    unsigned char *const out = a.out + y * a.out_stride + (size_t)column * n;
    const size_t out_step = rows_at_once * a.out_stride;
    qb__onchip<THREADS, HELD, true> data;
    uint4 acc = make_uint4(0, 0, 0, 0);

    data.in = in + y * a.in_stride * qb__in<IN>::size + (size_t)column * 16;
    data.step = rows_at_once * a.in_stride * qb__in<IN>::size;
    data.count = column < a.chunks && y < a.rows ? (uint32_t)((a.rows - y + rows_at_once - 1) / rows_at_once) : 0;
    data.shared = min(a.shared, data.count);
    data.cached = a.cached;
    data.mine = kept + threadIdx.x;
    data.read([&](const uint4 &chunk) { qb__max_words<IN>(acc, chunk); });

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

static const void *const kernels[] = QB__KERNELS(channel);

extern "C" cudaError_t qb__cuda_channel_prepare(struct qb__cuda_limits *limits)
{
    limits->channel = true;
    return qb__onchip_prepare(kernels, sizeof(kernels) / sizeof(kernels[0]), THREADS, limits, &limits->channel);
}

/* How wide a strip is: full lines of 128 bytes, or half of one if that leaves too many multiprocessors idle. */
static uint32_t strip_shift(const struct qb__cuda_call *call)
{
    const uint64_t chunks = call->cols * qb__element_size(call->input) / 16;

    return chunks >= 8 * (call->limits->units * 3 / 4) ? 3 : 2;
}

extern "C" bool qb__cuda_channel_fits(const struct qb__cuda_call *call)
{
    const unsigned n = 16 / qb__element_size(call->input);

    /* Rows that are not aligned, and narrow tensors, which would leave the device empty, are for two_pass.cu. */
    return call->limits->channel && call->tile_cols == 1 && call->scale_rows == 1 && call->rows > 0 &&
           call->rows < 0x7fffffff && call->cols < 0x7fffffff && call->cols % n == 0 && call->in_stride % n == 0 &&
           call->out_stride % n == 0 && call->cols / n >= 4 * (call->limits->units / 2);
}

extern "C" cudaError_t qb__cuda_channel_run(const struct qb__cuda_call *call)
{
    const unsigned n = 16 / qb__element_size(call->input);
    struct channel_args a = {};
    void *args[] = {&a};

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
    a.shift = strip_shift(call);
    a.bound = call->bound;
    a.cached = qb__onchip_cached(call->limits, THREADS);
    a.shared = qb__onchip_kept(call->limits, THREADS, qb__ceil_div(call->rows, THREADS >> a.shift), HELD);
    return qb__launch(call, kernels[qb__index(call)], qb__ceil_div(a.chunks, 1u << a.shift), dim3(THREADS), args,
                      (size_t)a.shared * THREADS * 16);
}
