/* SPDX-License-Identifier: Apache-2.0 */
/* spans.cu - the kernels for narrow formats and block scales where all is regular: a thread has spans of 16 elements,
 * which are all of a group, or a team of threads shares one. A row's scale and zero point are found by a whole block;
 * scales of other rows and of tensors are given. */
#include "span.cuh"

#define THREADS 256u

/* Threads of a row's block at most, and the spans that one holds. */
#define MAX_THREADS 1024u
#define MAX_DEPTH   4

struct spans_args {
    const unsigned char *in;
    unsigned char *out;
    qb__scales scales;
    qb__padding padding;
    uint32_t blocks; /* that have spans; those after them write the padding */
    uint32_t pad_blocks;
    uint32_t spans;        /* all, with those that are beyond the end of a row */
    uint32_t row_spans;    /* without them */
    uint64_t in_step;      /* bytes from one row to the next */
    uint64_t out_step;     /* the same */
    bool dense;            /* codes of 6 bits */
    uint32_t out_span;     /* bytes of a span's codes */
    uint32_t team_shift;   /* see team_shift_of() */
    bool is_static, codes; /* codes: not only scales */
    bool reverse;          /* blocks run from the end of the input to its start */
    uint32_t word_shift;   /* STAGED: a word has the scales of 2 to this groups */
    uint64_t rows;
    qb__fastdiv by_row; /* spans of a row, with those that are beyond its end */
};

/* Blocks after those with spans: a thread for each scale that is padding. */
__device__ __forceinline__ void pad(const spans_args &a)
{
    const uint64_t i = (uint64_t)(blockIdx.x - a.blocks) * blockDim.x + threadIdx.x;

    if (i < a.padding.count) {
        qb__pad(a.scales, a.padding, i);
    }
}

/* ---- Groups, and scales that are given ------------------------------------------------------------------------- */

/* How spans are shared out to threads. */
enum order {
    ROWS,   /* row by row, each rounded up to whole teams */
    FLAT,   /* the same where rows follow one another, and so do their scales: one row */
    STAGED, /* a block has a stretch of eight rows whose scales are adjacent: 32 bytes for each word of a row */
};

/* Rows of a block in the order STAGED. A warp has each. */
#define STAGED_ROWS (THREADS / 32)

/* The row of warp I of bundle B of rows: in tiles of 128 those of four that are 32 apart lie together, and the next. */
__device__ __forceinline__ uint32_t staged_row(const spans_args &a, uint32_t b, uint32_t i)
{
    return a.scales.layout.layout == QB_SCALE_LAYOUT_TILED_128X4 ? b / 16 * 128 + b % 16 * 2 + i / 4 + i % 4 * 32
                                                                 : b * STAGED_ROWS + i;
}

/* Spans of a thread: two where scales are staged and codes have 4 bits, to spread the cost of staging. */
static constexpr unsigned depth_for(int output, int order)
{
    return order == STAGED && qb__formats[output].bits == 4 ? 2 : 1;
}

template <int OUT, int ORDER> struct depth_of {
    static constexpr unsigned spans = depth_for(OUT, ORDER);
};

/* Write what WORDS has: COUNT words from number FIRST on of each of the eight rows of bundle B. */
__device__ __forceinline__ void write_staged(const spans_args &a, const uint32_t (*words)[STAGED_ROWS], uint32_t b,
                                             uint32_t first, uint32_t count)
{
    const uint32_t row = staged_row(a, b, threadIdx.x % STAGED_ROWS);

    for (uint32_t word = threadIdx.x / STAGED_ROWS; word < count; word += THREADS / STAGED_ROWS) {
        const uint32_t col = (first + word) << a.word_shift;
        if (row < a.padding.rows && col < a.padding.cols) {
            const uint64_t place = qb__place(a.scales.layout, row, col);
            ((uint32_t *)a.scales.memory)[a.word_shift == 0 ? place : place / 4] =
                words[word][threadIdx.x % STAGED_ROWS];
        }
    }
}

/* Threads of a block at most. Large blocks read all before they write, which makes codes of a byte 1.5 % faster, and
 * those that take more instructions slower. */
static constexpr unsigned most_threads(int output, int kind, int order)
{
    return order == FLAT && kind == POWER && qb__formats[output].bits == 8 ? 1024 : THREADS;
}

template <int IN, int OUT, int KIND, int ORDER> struct bounds {
    static constexpr unsigned threads = most_threads(OUT, KIND, ORDER);
    static constexpr bool spills = KIND == ASYMMETRIC && (IN == QB_FORMAT_F32 || ORDER == ROWS);
    /* As many as a multiprocessor can hold: with 32 registers a thread, or 40 where it has fewer threads. */
    static constexpr unsigned blocks = spills || depth_of<OUT, ORDER>::spans > 1 ? 1 : QB__MOST_THREADS / threads;
};

template <int IN, int OUT, int KIND, int ORDER>
__global__ void __launch_bounds__(bounds<IN, OUT, KIND, ORDER>::threads, bounds<IN, OUT, KIND, ORDER>::blocks)
    spans(const spans_args a)
{
    const unsigned DEPTH = depth_of<OUT, ORDER>::spans;
    const unsigned char *const begin = qb__begin(a.in);
    const uint32_t block = a.reverse ? a.blocks - 1 - blockIdx.x : blockIdx.x;
    const bool leads = (threadIdx.x & ((1u << a.team_shift) - 1)) == 0;
    uint32_t row = 0, at = block * blockDim.x + threadIdx.x, bundle = 0, stretch = 0;
    __shared__ uint32_t words[ORDER == STAGED ? 32 * DEPTH : 1][STAGED_ROWS];
    qb__tensor_factors factors = {};
    span<IN> x[DEPTH];
    bool valid[DEPTH];
    scale s[DEPTH];
    uint32_t amax[DEPTH];

    if (ORDER != FLAT && blockIdx.x >= a.blocks) {
        pad(a);
        return;
    }
    if (ORDER == STAGED) {
        bundle = qb__divide(block, a.by_row);
        stretch = block - bundle * a.by_row.divisor;
        row = staged_row(a, bundle, threadIdx.x / 32);
        at = stretch * (32 * DEPTH) + threadIdx.x % 32;
    } else if (ORDER == ROWS) {
        row = qb__divide(at, a.by_row);
        at -= row * a.by_row.divisor;
    }
    const unsigned char *const in =
        begin + (ORDER == FLAT ? 0 : row * a.in_step) + (uint64_t)at * (SPAN * qb__in<IN>::size);
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        valid[k] = ORDER == FLAT ? at < a.spans : row < a.rows && at + 32 * k < a.row_spans;
        load<IN>(x[k], in + k * (32 * SPAN * qb__in<IN>::size), valid[k]);
    }
    if (KIND == SMALL) {
        factors = qb__factors_of(a.scales);
    }
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        const uint32_t col = (at + 32 * k) >> a.team_shift;
        uint32_t top;
        range r = range_of<IN, OUT, KIND>(x[k], &top);

        if (a.is_static) {
            s[k] = read_scale<KIND>(a.scales, valid[k] ? row : 0, valid[k] ? col : 0);
        } else {
            /* As in range_of_team(), whose call makes other code of 44 kernels. */
            for (unsigned offset = 1; offset < 1u << a.team_shift; offset *= 2) {
                widen<KIND>(r, {__shfl_xor_sync(0xffffffffu, r.high, offset),
                                KIND == ASYMMETRIC ? __shfl_xor_sync(0xffffffffu, r.below, offset) : 0});
            }
            s[k] = make_scale<KIND>(r, a.scales, factors);
            if (ORDER == STAGED && leads) {
                const uint32_t code = row < a.rows && col < a.scales.cols ? s[k].code : 0;
                uint32_t *const word =
                    &words[(threadIdx.x % 32 + 32 * k) >> (a.team_shift + a.word_shift)][threadIdx.x / 32];
                if (KIND == DIVIDE) {
                    *word = code;
                } else {
                    ((uint8_t *)word)[col % 4] = (uint8_t)code;
                }
            } else if (ORDER == FLAT && leads && valid[k]) {
                write_flat<KIND>(a.scales, s[k], col);
            } else if (ORDER == ROWS && leads && valid[k]) {
                write_scale<KIND>(a.scales, s[k], row, col);
            }
        }
        amax[k] = tames<IN, OUT, KIND>::value ? top : max(r.high, r.below);
    }
    if (ORDER == STAGED) {
        const uint32_t count = (32 * DEPTH) >> (a.team_shift + a.word_shift); /* words of a stretch */
        __syncthreads();
        write_staged(a, words, bundle, stretch * count, count);
    }
#pragma unroll
    for (unsigned k = 0; k < DEPTH; k++) {
        if (a.codes && valid[k]) {
            store<OUT>(a.out + (ORDER == FLAT ? 0 : row * a.out_step) + (uint64_t)(at + 32 * k) * a.out_span,
                       codes_of<IN, OUT, KIND>(x[k], s[k], factors, amax[k]), a.dense);
        }
    }
}

/* ---- Rows, whose scale a block finds ---------------------------------------------------------------------------- */

template <int IN, int OUT, int SPANS> __global__ void __launch_bounds__(MAX_THREADS) rows(const spans_args a)
{
    const unsigned char *const begin = qb__begin(a.in) + blockIdx.x * a.in_step;
    __shared__ uint32_t highs[32], belows[32];
    span<IN> x[SPANS];
    range r = {0, 0};

#pragma unroll
    for (int k = 0; k < SPANS; k++) {
        const uint32_t at = k * blockDim.x + threadIdx.x;
        load<IN>(x[k], begin + (uint64_t)at * (SPAN * qb__in<IN>::size), at < a.row_spans);
    }
#pragma unroll
    for (int k = 0; k < SPANS; k++) {
        widen<ASYMMETRIC>(r, range_of<IN, ASYMMETRIC>(x[k]));
    }
    r.below = qb__warp_max(r.below);
    if (threadIdx.x % 32 == 0) {
        belows[threadIdx.x / 32] = r.below;
    }
    r.high = qb__block_max(r.high, highs);
    r.below = qb__warp_max(threadIdx.x % 32 < blockDim.x / 32 ? belows[threadIdx.x % 32] : 0);
    const scale s = make_scale<ASYMMETRIC>(r, a.scales, {});
    if (threadIdx.x == 0) {
        write_scale<ASYMMETRIC>(a.scales, s, blockIdx.x, 0);
    }
#pragma unroll
    for (int k = 0; k < SPANS; k++) {
        const uint32_t at = k * blockDim.x + threadIdx.x;
        if (a.codes && at < a.row_spans) {
            store<OUT>(a.out + blockIdx.x * a.out_step + (uint64_t)at * a.out_span,
                       codes_of<IN, OUT, ASYMMETRIC>(x[k], s, {}, max(r.high, r.below)), a.dense);
        }
    }
}

/* ---- Launching --------------------------------------------------------------------------------------------------- */

#define WITHOUT_STAGED(output, kind)                                                                                   \
    {                                                                                                                  \
        OF_INPUTS(spans, output, kind, ROWS), OF_INPUTS(spans, output, kind, FLAT)                                     \
    }
#define WITH_STAGED(output, kind)                                                                                      \
    {                                                                                                                  \
        OF_INPUTS(spans, output, kind, ROWS), OF_INPUTS(spans, output, kind, FLAT),                                    \
            OF_INPUTS(spans, output, kind, STAGED)                                                                     \
    }

/* The kernels, each for the three input formats. */
static const struct {
    qb_format output;
    kind kind;
    const void *kernel[3][3]; /* by order; NULL: there is none */
} table[] = {
    {QB_FORMAT_E4M3, POWER, WITH_STAGED(QB_FORMAT_E4M3, POWER)},
    {QB_FORMAT_E5M2, POWER, WITH_STAGED(QB_FORMAT_E5M2, POWER)},
    {QB_FORMAT_E2M1, POWER, WITH_STAGED(QB_FORMAT_E2M1, POWER)},
    {QB_FORMAT_E2M3, POWER, WITH_STAGED(QB_FORMAT_E2M3, POWER)},
    {QB_FORMAT_E3M2, POWER, WITH_STAGED(QB_FORMAT_E3M2, POWER)},
    {QB_FORMAT_E2M1, SMALL, WITH_STAGED(QB_FORMAT_E2M1, SMALL)},
    {QB_FORMAT_E4M3, DIVIDE, WITH_STAGED(QB_FORMAT_E4M3, DIVIDE)},
    {QB_FORMAT_INT8, DIVIDE, WITHOUT_STAGED(QB_FORMAT_INT8, DIVIDE)},
    {QB_FORMAT_INT4, DIVIDE, WITHOUT_STAGED(QB_FORMAT_INT4, DIVIDE)},
    {QB_FORMAT_INT8, ASYMMETRIC, WITHOUT_STAGED(QB_FORMAT_INT8, ASYMMETRIC)},
    {QB_FORMAT_INT4, ASYMMETRIC, WITHOUT_STAGED(QB_FORMAT_INT4, ASYMMETRIC)},
    {QB_FORMAT_UINT4, ASYMMETRIC, WITHOUT_STAGED(QB_FORMAT_UINT4, ASYMMETRIC)},
};

static const void *pick(const struct qb__cuda_call *call, order o)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].output == call->output && table[i].kind == kind_of(call->problem)) {
            return table[i].kernel[o][call->input];
        }
    }
    return NULL;
}

static const void *pick_rows(const struct qb__cuda_call *call, unsigned spans)
{
#define OF_DEPTHS(output)                                                                                              \
    {                                                                                                                  \
        OF_INPUTS(rows, output, 1), OF_INPUTS(rows, output, 2), OF_INPUTS(rows, output, MAX_DEPTH)                     \
    }
    static const void *const int8[3][3] = OF_DEPTHS(QB_FORMAT_INT8);
    static const void *const int4[3][3] = OF_DEPTHS(QB_FORMAT_INT4);
    static const void *const uint4_[3][3] = OF_DEPTHS(QB_FORMAT_UINT4);
    const unsigned depth = spans == 1 ? 0 : spans == 2 ? 1 : 2;

    return call->output == QB_FORMAT_INT8   ? int8[depth][call->input]
           : call->output == QB_FORMAT_INT4 ? int4[depth][call->input]
                                            : uint4_[depth][call->input];
}

/* True if one block can have a row of its own, and its scale is the row's. */
static bool holds_row(const struct qb__cuda_call *call)
{
    return call->scaling != QB_SCALING_STATIC && call->problem->zero_points && call->scale_cols == 1 &&
           call->tile_rows == 1 && call->problem->granularity != QB_GRANULARITY_GROUP &&
           call->cols <= (uint64_t)SPAN * MAX_THREADS * (call->input == QB_FORMAT_F32 ? 2 : MAX_DEPTH);
}

bool qb__cuda_spans_fits(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const uint64_t spans = call->cols / SPAN, padded = qb__padding_of(call).rows;
    const uint64_t rows = padded > call->rows ? padded : call->rows;
    bool fits = p->granularity == QB_GRANULARITY_GROUP;

    if (p->granularity == QB_GRANULARITY_TENSOR || p->granularity == QB_GRANULARITY_TOKEN) {
        fits = call->scaling == QB_SCALING_STATIC || holds_row(call) || qb__cuda_spans_want_scales(call);
    }
    /* Rows are rounded up to 128 spans at most, and their number to 128. */
    return fits && pick(call, ROWS) != NULL && has_spans(call) && call->rows > 0 && rows < 0x60000000u &&
           (spans + 128) * (rows + 128) < 0x70000000u;
}

bool qb__cuda_spans_want_scales(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;

    if (call->scaling == QB_SCALING_STATIC || holds_row(call)) {
        return false;
    }
    return p->zero_points ? p->granularity == QB_GRANULARITY_TENSOR
                          : p->scale_format == QB_FORMAT_F32 &&
                                (p->granularity == QB_GRANULARITY_TENSOR || p->granularity == QB_GRANULARITY_TOKEN);
}

/* True if the scales of eight rows are adjacent words. A has the team, and how many scales are in a word. */
static bool can_stage(const struct qb__cuda_call *call, const spans_args *a)
{
    const struct qb_problem *p = call->problem;
    const bool adjacent = p->scale_layout == QB_SCALE_LAYOUT_COLUMNS
                              ? p->scale_format == QB_FORMAT_F32
                              : p->scale_layout != QB_SCALE_LAYOUT_ROWS; /* of bytes, all of these */

    return p->granularity == QB_GRANULARITY_GROUP && !a->is_static && pick(call, STAGED) != NULL && adjacent &&
           a->team_shift + a->word_shift <= 5 && (uintptr_t)call->scales % 4 == 0;
}

static order order_of(const struct qb__cuda_call *call, const spans_args *a)
{
    const struct qb_problem *p = call->problem;
    const bool follows = call->rows == 1 || (call->in_stride == call->cols &&
                                             (call->scaling == QB_SCALING_AMAX || call->out_stride == call->cols));

    if (follows &&
        (p->granularity == QB_GRANULARITY_GROUP ? p->scale_layout == QB_SCALE_LAYOUT_ROWS && call->cols % p->group == 0
                                                : call->scale_rows == 1)) {
        return FLAT;
    }
    return can_stage(call, a) ? STAGED : ROWS;
}

/* Threads of a block: many only where there is enough for them. */
static unsigned threads_of(const struct qb__cuda_call *call, order o)
{
    const unsigned most = most_threads(call->output, kind_of(call->problem), o);
    const uint64_t chunks = call->rows * call->cols * qb__element_size(call->input) / 16;

    return most == THREADS ? THREADS : qb__block_threads(call, chunks);
}

/* Share the spans of CALL out to blocks. */
static void share_out(const struct qb__cuda_call *call, order o, spans_args *a)
{
    const bool writes = call->problem->granularity == QB_GRANULARITY_GROUP && !a->is_static;
    uint64_t row = a->row_spans;

    a->rows = call->rows;
    if (writes) {
        a->padding = qb__padding_of(call);
    }
    if (o == STAGED) { /* writes the padding too */
        const uint64_t bundle = call->problem->scale_layout == QB_SCALE_LAYOUT_TILED_128X4 ? 128 : STAGED_ROWS;

        row = qb__ceil_div(row, 32 * depth_for(call->output, o));
        a->blocks = (uint32_t)(row * (qb__ceil_div(a->padding.rows, bundle) * bundle / STAGED_ROWS));
    } else {
        if (writes && o == ROWS) {
            row = qb__ceil_div(row, 1u << a->team_shift) << a->team_shift;
        }
        a->spans = (uint32_t)(row * call->rows);
        a->blocks = (uint32_t)qb__ceil_div(a->spans, threads_of(call, o));
        a->pad_blocks = (uint32_t)qb__ceil_div(a->padding.count, THREADS);
    }
    a->by_row = qb__make_fastdiv(row);
}

cudaError_t qb__cuda_spans_run(const struct qb__cuda_call *call, bool *done)
{
    const struct qb_problem *p = call->problem;
    spans_args a = {};
    void *args[] = {&a};
    order o;

    *done = has_aligned_spans(call);
    if (!*done) {
        return cudaSuccess;
    }
    a.in = (const unsigned char *)call->in;
    a.out = call->out;
    a.scales = qb__scales_of(call);
    a.out_span = (uint32_t)qb__packed_bytes(call->output, p->packing, SPAN);
    a.row_spans = (uint32_t)(call->cols / SPAN);
    a.in_step = call->in_stride * qb__element_size(call->input);
    a.out_step = qb__packed_bytes(call->output, p->packing, call->out_stride);
    a.is_static = call->scaling == QB_SCALING_STATIC || qb__cuda_spans_want_scales(call);
    a.codes = call->scaling != QB_SCALING_AMAX;
    a.dense = p->packing == QB_PACKING_DENSE;
    a.reverse = p->tensor_scale == QB_TENSOR_SCALE_COMPUTED || qb__cuda_spans_want_scales(call);
    a.team_shift = team_shift_of(p);
    a.word_shift = qb__element_size(p->scale_format) == 1 ? 2 : 0;
    if (holds_row(call)) {
        unsigned spans = 1;

        while (a.row_spans > spans * (spans == 1 ? 512 : MAX_THREADS)) {
            spans *= 2;
        }
        return qb__launch(call, pick_rows(call, spans), call->rows,
                          dim3(qb__round_up((unsigned)qb__ceil_div(a.row_spans, spans), 32)), args);
    }
    if (p->granularity != QB_GRANULARITY_GROUP && call->scale_rows == 1) {
        a.scales.layout.cols = a.scales.cols = 0; /* all rows have the same */
    }
    o = order_of(call, &a);
    share_out(call, o, &a);
    return qb__launch(call, pick(call, o), a.blocks + a.pad_blocks, dim3(threads_of(call, o)), args);
}
