/* SPDX-License-Identifier: Apache-2.0 */
/* gated_few.cu - SILU_MUL and GELU_MUL of few rows, fused with a quantization: as in few.cu, what counts is the time
 * from the first load to the last store. A thread has one chunk. What gated.cu has besides is left out. */
#include "gated.cuh"
#include "tail.cuh"

#define MOST_THREADS 512u

/* Small, as a kernel waits for its arguments. Gates and ups are the halves of a row. Codes and scales are dense. */
struct gated_few_args {
    const unsigned char *in;
    unsigned char *out;
    float *scales;
    uint32_t in_step;        /* bytes from one row to the next */
    uint32_t row_chunks;     /* of values */
    uint16_t row_blocks_log; /* a row has 2 to this many blocks */
    uint16_t shift;          /* 2 to this many chunks have one scale */
    float bound;
};

/* Scales that are given for the whole tensor, or of groups that lie in the lanes of a warp. */
template <int IN, int OUT, int ACTIVATION, bool GIVEN>
__global__ void __launch_bounds__(MOST_THREADS, QB__MOST_THREADS / MOST_THREADS) gated_few(const gated_few_args a)
{
    const uint32_t row = blockIdx.x >> a.row_blocks_log;
    const uint32_t part = blockIdx.x - (row << a.row_blocks_log), col = part * blockDim.x + threadIdx.x;
    const uint64_t place = (uint64_t)row * a.row_chunks + col;
    /* Beyond the end of the row its last chunk is read, and nothing written. */
    const unsigned char *const in =
        qb__wait(a.in) + (uint64_t)row * a.in_step + (size_t)min(col, a.row_chunks - 1) * 16;
    const uint4 g = qb__load16(in), u = qb__load16(in + (size_t)a.row_chunks * 16);
    float scale = GIVEN ? *a.scales : 1;
    const uint4 z = qb__plain_chunk<IN, ACTIVATION>(g, u);
    qb__let_next();

    if (!GIVEN) {
        uint32_t acc = qb__max_chunk<IN>(0, z);

        qb__group_max<IN, 1>(&acc, a.shift);
        scale = qb__found_scale<OUT>(qb__max_bits<IN>(acc), a.bound);
    }
    const qb__divisor d = qb__divide_by<IN>(scale);
    if (col >= a.row_chunks) {
        return;
    }
    if (!GIVEN && threadIdx.x % (1u << a.shift) == 0) {
        a.scales[place >> a.shift] = scale;
    }
    qb__store16<IN>(a.out + place * QB__EIGHT, qb__encode<IN, OUT>(z, d, d.limit > 0));
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

/* Chunks of a row at least: others would have small blocks. */
#define LEAST_CHUNKS 96u
/* Chunks of a multiprocessor: at most, and with which blocks are large. */
#define MOST_OF_UNIT 8192u
#define LARGE_FROM   128u
#define LARGE_TO     2048u

extern "C" cudaError_t qb__cuda_gated_few_run(const struct qb__cuda_call *call, bool *done)
{
    static const void *const kernels[QB__ACTIVATIONS][2][6] = {
        {QB__TAIL_KERNELS(gated_few, QB__SILU, false), QB__TAIL_KERNELS(gated_few, QB__SILU, true)},
        {QB__TAIL_KERNELS(gated_few, QB__GELU, false), QB__TAIL_KERNELS(gated_few, QB__GELU, true)},
        {QB__TAIL_KERNELS(gated_few, QB__GELU_ERF, false), QB__TAIL_KERNELS(gated_few, QB__GELU_ERF, true)}};
    const struct qb_problem *p = call->problem;
    const qb__pair_places pairs = qb__pair_places_of(call);
    const bool given = call->scaling == QB_SCALING_STATIC;
    const uint64_t chunks = call->cols / QB__EIGHT, all = chunks * call->rows, units = call->limits->units;
    const uint64_t in_step = call->in_stride * qb__element_size(call->input);
    struct gated_few_args a = {};
    void *args[] = {&a};

    *done = qb__is_plain(call) && p->granularity != QB_GRANULARITY_TOKEN && !pairs.interleaved && !pairs.adjusts &&
            chunks >= LEAST_CHUNKS && all <= units * MOST_OF_UNIT && in_step <= UINT32_MAX;
    if (!*done) {
        return cudaSuccess;
    }
    a.in = (const unsigned char *)call->in;
    a.out = call->out;
    a.scales = call->scales;
    a.in_step = (uint32_t)in_step;
    a.row_chunks = (uint32_t)chunks;
    a.bound = call->bound;
    if (!given) {
        a.shift = (uint16_t)qb__group_shift(p);
    }
    /* Large blocks where all run at the same time, and each multiprocessor has one. */
    const bool large = all > units * LARGE_FROM && all <= units * LARGE_TO;
    const uint64_t most = large ? MOST_THREADS : MOST_THREADS / 2;
    for (; most << a.row_blocks_log < chunks; a.row_blocks_log++) {
    }
    const unsigned threads = qb__round_up((unsigned)qb__ceil_div(chunks, 1u << a.row_blocks_log), 32);
    return qb__launch(call, kernels[pairs.gate.activation][given][qb__index(call)], call->rows << a.row_blocks_log,
                      dim3(threads), args);
}
