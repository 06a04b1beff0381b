/* SPDX-License-Identifier: Apache-2.0 */
/* experts.cu - problems with experts: chunks of eight elements whose codes take a byte, with scales that are given, of
 * groups or of rows; everything else element by element, but what experts_spans.cu has. */
#include "experts.cuh"

#define THREADS EXPERTS_THREADS
/* Threads of a row whose scale is computed, and chunks that one holds. */
#define ROW_THREADS 1024u
#define ROW_DEPTH   4
/* Experts of which a block keeps the sums. */
#define MOST_EXPERTS 4096u

/* Chunks of a thread, loaded before any is used. */
template <int OP> constexpr int experts_depth = OP == PLAIN ? 4 : 2;

/* Blocks that a multiprocessor of an H200 holds, by registers: a block more would begin after all others have ended.
 */
template <int OP, bool AMAX> constexpr unsigned resident = OP == PLAIN ? (AMAX ? 8 : 4) : (AMAX ? 6 : 5);
#define RESIDENT_ANY 6

/* Let an expert's amax have the bits AMAX, or more. Of many atomics on one address each waits for those before it, so
 * that most are left out: what is read first is an amax of it, maybe an old one. */
__device__ __forceinline__ void experts_widen(const experts_args &a, uint32_t expert, uint32_t amax)
{
    if (amax > __ldcg(a.amax + expert)) {
        atomicMax(a.amax + expert, amax);
    }
}

/* Chunks of a row that a warp takes at a time. */
template <int OP> struct experts_part {
    static constexpr int N = experts_depth<OP>;
    uint32_t row[N], col[N];
    bool valid[N];
    experts_chunk<OP> chunk[N];
};

/* Read segment SEGMENT of the row at P. */
template <int OP>
__device__ __forceinline__ void experts_read(const experts_args &a, const unsigned char *in, const experts_place &p,
                                             uint32_t segment, experts_part<OP> &part)
{
    const unsigned char *const row = in + ((uint64_t)p.first + p.row) * a.in_step;
    constexpr int N = experts_part<OP>::N;

#pragma unroll
    for (int k = 0; k < N; k++) {
        part.row[k] = p.row;
        part.col[k] = segment * (32 * N) + k * 32 + threadIdx.x % 32;
        part.valid[k] = part.col[k] < a.tail.row_chunks;
        part.chunk[k] = experts_load<OP>(a, row, part.col[k], part.valid[k]);
    }
}

/* Scales that are given, or of groups: a warp takes a segment of a row. */
template <int IN, int OUT, int OP>
__global__ void __launch_bounds__(THREADS, experts_resident(resident<OP, false>)) experts_groups(const experts_args a)
{
    constexpr int N = experts_depth<OP>;
    const unsigned char *const in = qb__begin((const unsigned char *)a.in);
    const experts_sums s = experts_begin(a);
    const uint64_t units = experts_segments(a, s);
    const uint64_t warps = (uint64_t)gridDim.x * (THREADS / 32);

    for (uint64_t u = (uint64_t)blockIdx.x * (THREADS / 32) + threadIdx.x / 32; u < units; u += warps) {
        uint32_t segment;
        const experts_place p = experts_segment(a, s, u, &segment);
        const uint64_t line = (uint64_t)p.first + p.row;
        experts_part<OP> part;
        uint4 z[N];

        if (!p.valid) {
            continue;
        }
        experts_read<OP>(a, in, p, segment, part);
        const qb__tail t = experts_tail(a, s, p);
#pragma unroll
        for (int k = 0; k < N; k++) {
            z[k] = experts_values<IN, OP>(a, part.chunk[k], (uint4 *)a.values + line * a.tail.row_chunks, part.col[k],
                                          part.valid[k]);
        }
        if (t.is_static && t.team_shift == QB__WHOLE) {
            const qb__divisor d = qb__divide_by<IN>(qb__tail_given(t, p.row, 0));
            qb__divisor all[N];

#pragma unroll
            for (int k = 0; k < N; k++) {
                all[k] = d;
            }
            qb__tail_store_all<IN, OUT, N>(t, z, all, qb__is_fast<IN>(0, d.limit), part.row, part.col, part.valid);
        } else if (!t.is_static && 1u << t.team_shift >= qb__tail_lanes(N)) {
            qb__tail_groups<IN, OUT, N>(t, z, part.row, part.col, part.valid);
        } else {
#pragma unroll
            for (int k = 0; k < N; k++) {
                const float given =
                    t.is_static ? qb__tail_given(t, p.row, part.valid[k] ? part.col[k] >> t.team_shift : 0) : 0;
                qb__tail_chunk<IN, OUT>(t, z[k], given, p.row, part.col[k], part.valid[k]);
            }
        }
    }
    experts_pad(a, s);
}

/* The amax of each expert. Of all warps of a block that have the same expert one has the atomic: without that it has
 * thousands that wait for each other, as all begin at once. */
template <int IN, int OP>
__global__ void __launch_bounds__(THREADS, experts_resident(resident<OP, true>)) experts_largest(const experts_args a)
{
    constexpr int N = experts_depth<OP>;
    constexpr uint32_t WARPS = THREADS / 32;
    const unsigned char *const in = qb__begin((const unsigned char *)a.in);
    const experts_sums s = experts_begin(a);
    const uint64_t units = experts_segments(a, s);
    const uint32_t warp = threadIdx.x / 32;
    __shared__ uint32_t expert[2][WARPS], amax[2][WARPS]; /* of each warp */
    unsigned turn = 0;

    for (uint64_t first = (uint64_t)blockIdx.x * WARPS; first < units; first += gridDim.x * WARPS, turn ^= 1) {
        experts_place p = {a.experts, 0, 0, false};
        uint32_t segment, acc = 0;

        if (first + warp < units) {
            p = experts_segment(a, s, first + warp, &segment);
        }
        if (p.valid) {
            experts_part<OP> part;

            experts_read<OP>(a, in, p, segment, part);
#pragma unroll
            for (int k = 0; k < N; k++) {
                acc =
                    qb__max_chunk<IN>(acc, experts_values<IN, OP>(a, part.chunk[k], NULL, part.col[k], part.valid[k]));
            }
        }
        acc = qb__warp_max(qb__max_bits<IN>(acc));
        if (threadIdx.x % 32 == 0) {
            expert[turn][warp] = p.expert;
            amax[turn][warp] = acc;
        }
        __syncthreads(); /* the next turn has other words */
        if (threadIdx.x < WARPS) {
            const uint32_t own = expert[turn][threadIdx.x];
            bool leads = own < a.experts;

            acc = 0;
#pragma unroll
            for (uint32_t w = 0; w < WARPS; w++) {
                const bool same = expert[turn][w] == own;
                acc = same ? max(acc, amax[turn][w]) : acc;
                leads = leads && !(same && w < threadIdx.x);
            }
            if (leads) {
                experts_widen(a, own, acc);
            }
        }
    }
}

/* Scales of rows: a block takes a row. */
template <int IN, int OUT, int OP, int N>
__global__ void __launch_bounds__(ROW_THREADS) experts_tokens(const experts_args a)
{
    const unsigned char *const in = qb__begin((const unsigned char *)a.in);
    const experts_sums s = experts_begin(a);
    const uint32_t first = threadIdx.x / 32 * (32 * N) + threadIdx.x % 32, rows = s.rows[a.experts];
    __shared__ uint32_t warp_max[2][32];
    unsigned turn = 0;

    for (uint32_t v = blockIdx.x; v < rows; v += gridDim.x, turn ^= 1) {
        const experts_place p = experts_find(a, s, v);
        const uint64_t line = (uint64_t)p.first + p.row;
        experts_chunk<OP> chunk[N];
        uint4 z[N];

#pragma unroll
        for (int k = 0; k < N; k++) {
            const uint32_t col = first + 32 * k;
            chunk[k] = experts_load<OP>(a, in + line * a.in_step, col, col < a.tail.row_chunks);
        }
        const qb__tail t = experts_tail(a, s, p);
#pragma unroll
        for (int k = 0; k < N; k++) {
            const uint32_t col = first + 32 * k;
            z[k] = experts_values<IN, OP>(a, chunk[k], (uint4 *)a.values + line * a.tail.row_chunks, col,
                                          col < a.tail.row_chunks);
        }
        /* The next turn has other words, and begins after all have read these. */
        const uint32_t amax = qb__block_max(qb__max_bits<IN>(qb__max_unit<IN, N>(z)), warp_max[turn]);
        const qb__divisor d = qb__divide_by<IN>(qb__tail_found<OUT>(t, amax, threadIdx.x == 0, p.row, 0));
        const bool fast = __uint_as_float(amax) < d.limit;
#pragma unroll
        for (int k = 0; k < N; k++) {
            if (t.codes && first + 32 * k < a.tail.row_chunks) {
                qb__tail_store<IN, OUT>(t, z[k], d, fast, p.row, first + 32 * k);
            }
        }
    }
}

/* ---- Element by element --------------------------------------------------------------------------------------------
 */

/* Value COL of the row of number LINE, rounded as it is stored. */
template <int IN> __device__ __forceinline__ float experts_value(const experts_args &a, uint64_t line, uint64_t col)
{
    const uint64_t first = line * a.in_stride;

    if (!a.gated) {
        return qb__load_element<IN>(a.in, (int64_t)(first + col));
    }
    const uint64_t gate = first + (a.pairs.interleaved ? 2 * col : col), up = gate + (a.pairs.interleaved ? 1 : a.cols);
    const float value = qb__gated_value<IN>(qb__load_element<IN>(a.in, (int64_t)gate),
                                            qb__load_element<IN>(a.in, (int64_t)up), a.pairs.gate);
    return a.stored == QB_FORMAT_F32 ? value : qb__round<IN>(value);
}

/* Keep all values of a row, by a block. */
template <int IN> __device__ __forceinline__ void experts_keep(const experts_args &a, uint64_t line)
{
    for (uint64_t col = threadIdx.x; col < a.cols && a.values != NULL; col += blockDim.x) {
        const float value = experts_value<IN>(a, line, col);
        const uint64_t i = line * a.cols + col;

        if (a.stored == QB_FORMAT_F32) {
            ((uint32_t *)a.values)[i] = qb__plain_nan<QB_FORMAT_F32>(__float_as_uint(value));
        } else if constexpr (IN != QB_FORMAT_F32) {
            ((uint16_t *)a.values)[i] = (uint16_t)qb__plain_nan<IN>(qb__pack_pair<IN>(value, 0));
        }
    }
}

/* The scales of a row: a warp has a group, or the block the row. */
template <int IN>
__device__ __forceinline__ void experts_row_scales(const experts_args &a, const qb__tail &t, uint64_t line,
                                                   uint32_t row, float encode)
{
    const uint64_t groups = a.tail.scales.cols;
    const bool whole = groups == 1;
    __shared__ uint32_t warp_max[32];

    for (uint64_t g = whole ? 0 : threadIdx.x / 32; g < groups; g += whole ? 1 : blockDim.x / 32) {
        const uint64_t end = min(a.cols, (g + 1) * a.group);
        float amax = 0;

        for (uint64_t col = g * a.group + (whole ? threadIdx.x : threadIdx.x % 32); col < end;
             col += whole ? blockDim.x : 32) {
            amax = fmaxf(amax, fabsf(experts_value<IN>(a, line, col)));
        }
        const uint32_t bits =
            whole ? qb__block_max(__float_as_uint(amax), warp_max) : qb__warp_max(__float_as_uint(amax));
        if (whole ? threadIdx.x == 0 : threadIdx.x % 32 == 0) {
            any_put_scale(t.scales, qb__place(t.scales.layout, row, g), fminf(__uint_as_float(bits), t.scales.bound),
                          t.scales.qmax, encode);
        }
    }
}

/* The codes of a row, by a block: a thread has as many as fill whole bytes. */
template <int IN>
__device__ __forceinline__ void experts_row_codes(const experts_args &a, const qb__tail &t, uint64_t line, uint32_t row,
                                                  float g)
{
    const any_format &f = a.output;

    for (uint64_t unit = threadIdx.x; unit < a.units; unit += blockDim.x) {
        const uint64_t first = unit * f.unit, bytes = (min(a.cols - first, (uint64_t)f.unit) * f.bits + 7) / 8;
        uint32_t word = 0;

        for (unsigned k = 0; k < f.unit && first + k < a.cols; k++) {
            const uint64_t place = t.places.by_row == 0 ? 0 : qb__place(t.scales.layout, row, (first + k) / a.group);
            const float v = any_quotient(t.scales, place, experts_value<IN>(a, line, first + k), g);
            word |= any_encode(f, v, 0) << (k * f.bits);
        }
        uint8_t *const out = t.out + row * t.out_step + first * f.bits / 8;
        for (uint64_t b = 0; b < bytes; b++) {
            out[b] = (uint8_t)(word >> (8 * b));
        }
    }
}

/* All of any problem, but what follows from all rows of an expert. */
template <int IN> __global__ void __launch_bounds__(THREADS, experts_resident(RESIDENT_ANY)) experts_any(experts_args a)
{
    a.in = qb__begin((const unsigned char *)a.in);
    const experts_sums s = experts_begin(a);
    const uint32_t rows = s.rows[a.experts];

    for (uint32_t v = blockIdx.x; v < rows; v += gridDim.x) {
        const experts_place p = experts_find(a, s, v);
        const uint64_t line = (uint64_t)p.first + p.row;
        const qb__tail t = experts_tail(a, s, p);
        const qb__tensor_factors factors = experts_factors(a, p.expert);

        experts_keep<IN>(a, line);
        if (!p.valid) {
            continue;
        }
        if (!t.is_static) {
            experts_row_scales<IN>(a, t, line, p.row, factors.encode);
        }
        __syncthreads(); /* what follows reads scales that other threads wrote */
        if (t.codes) {
            experts_row_codes<IN>(a, t, line, p.row, factors.decode);
        }
    }
    experts_pad(a, s);
}

/* The amax of each expert. */
template <int IN> __global__ void __launch_bounds__(THREADS) experts_range(experts_args a)
{
    a.in = qb__begin((const unsigned char *)a.in);
    const experts_sums s = experts_begin(a);
    const uint32_t rows = s.rows[a.experts], warps = gridDim.x * (THREADS / 32);

    for (uint32_t v = blockIdx.x * (THREADS / 32) + threadIdx.x / 32; v < rows; v += warps) {
        const experts_place p = experts_find(a, s, v);
        float amax = 0;

        for (uint64_t col = threadIdx.x % 32; col < a.cols; col += 32) {
            amax = fmaxf(amax, fabsf(experts_value<IN>(a, (uint64_t)p.first + p.row, col)));
        }
        const uint32_t most = qb__warp_max(__float_as_uint(amax));
        if (threadIdx.x % 32 == 0) {
            experts_widen(a, p.expert, most);
        }
    }
}

/* The one scale of each expert, or its tensor scale, from its amax, which becomes zero. */
__global__ void __launch_bounds__(THREADS) experts_scales(experts_args a)
{
    const uint32_t e = blockIdx.x * THREADS + threadIdx.x;
    const qb__scales &s = a.tail.scales;

    a.amax = (uint32_t *)qb__begin(a.amax);
    if (e >= a.experts) {
        return;
    }
    const uint32_t amax = a.amax[e];
    a.amax[e] = 0;
    if (s.tensor_scale != NULL) {
        s.tensor_scale[e] = __fdiv_rn(1.0f, qb__tensor_encode(amax, s));
    } else {
        any_put_scale(s, e, fminf(__uint_as_float(amax), s.bound), s.qmax, 0);
    }
}

/* ---- Launching -----------------------------------------------------------------------------------------------------
 */

static bool wants_amax(const struct qb_problem *p)
{
    return p->tensor_scale == QB_TENSOR_SCALE_COMPUTED ||
           (p->granularity == QB_GRANULARITY_TENSOR && p->scaling != QB_SCALING_STATIC);
}

bool qb__cuda_experts_fits(const struct qb__cuda_call *call)
{
    return call->problem->experts > 0 && call->problem->experts <= MOST_EXPERTS && call->rows < 0x40000000u &&
           call->cols < 0x40000000u && call->input <= QB_FORMAT_F32 && qb__formats[call->output].bits <= 8;
}

size_t qb__cuda_experts_workspace(const struct qb__cuda_call *call)
{
    return wants_amax(call->problem) ? qb__cuda_barrier_size(call->limits) + call->problem->experts * sizeof(uint32_t)
                                     : 0;
}

/* The places of scales: see struct experts_args. */
static void set_places(experts_args &a, const struct qb_problem *p)
{
    const struct qb__layout &l = a.tail.scales.layout;

    a.height = (uint32_t)qb__layout_height(l.layout);
    a.tiles = a.height > 0 ? (uint32_t)(l.rows / l.across) : 0;
    if (p->granularity == QB_GRANULARITY_TENSOR) {
        a.by_expert = 1;
    } else if (l.layout == QB_SCALE_LAYOUT_ROWS) {
        a.by_row = l.cols;
    } else if (a.masked) {
        a.by_expert = l.rows / p->experts * l.cols;
    } else if (a.height > 0) {
        a.by_tile = l.across * l.cols;
    } else {
        a.by_row = l.layout == QB_SCALE_LAYOUT_PACKED ? 4 : 1;
    }
    a.pads = p->scaling != QB_SCALING_STATIC && (a.height > 0 || l.layout == QB_SCALE_LAYOUT_PACKED);
}

static experts_args args_of(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    experts_args a = {};

    a.in = call->in;
    a.values = call->values;
    a.table = call->experts;
    a.experts = (uint32_t)p->experts;
    a.room = (uint32_t)qb__expert_room(p);
    a.masked = p->expert_rows == QB_EXPERT_ROWS_MASKED;
    a.cols = call->cols;
    a.in_stride = call->in_stride;
    a.in_step = call->in_stride * qb__element_size(call->input);
    a.tail = qb__tail_of(call);
    a.tail.padding = {};
    a.tail.out_step = qb__packed_bytes(call->output, p->packing, call->out_stride);
    a.pairs = qb__pair_places_of(call);
    a.gated = p->operation != QB_OPERATION_QUANTIZE;
    a.input = call->input;
    a.stored = qb__quantization_of(p).input;
    a.output = any_format_of(call);
    a.group = p->granularity == QB_GRANULARITY_GROUP && p->group < call->cols ? p->group : call->cols;
    a.units = qb__ceil_div(a.cols, a.output.unit);
    set_places(a, p);
    if (wants_amax(p) && call->workspace != NULL) {
        a.amax = (uint32_t *)(call->workspace + qb__cuda_barrier_size(call->limits));
    }
    return a;
}

/* True if CALL, whose scales are given or of rows and groups, goes by chunks. */
static bool by_chunks(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const bool tokens = call->scaling != QB_SCALING_STATIC && p->granularity == QB_GRANULARITY_TOKEN;

    return qb__tail_fits(call) && qb__tail_aligned(call) &&
           (p->operation == QB_OPERATION_QUANTIZE || qb__gate_is_plain(qb__gate_of(p))) &&
           (!tokens || call->cols <= QB__EIGHT * ROW_THREADS * ROW_DEPTH);
}

static cudaError_t run_chunks(const struct qb__cuda_call *call, experts_args &a, bool amax)
{
#define EXPERTS_OF(kernel, ...)                                                                                        \
    {                                                                                                                  \
        QB__TAIL_KERNELS(kernel, QB__SILU, ##__VA_ARGS__), QB__TAIL_KERNELS(kernel, QB__GELU, ##__VA_ARGS__),          \
            QB__TAIL_KERNELS(kernel, QB__GELU_ERF, ##__VA_ARGS__), QB__TAIL_KERNELS(kernel, PLAIN, ##__VA_ARGS__)      \
    }
#define LARGEST_OF(op)                                                                                                 \
    {                                                                                                                  \
        (const void *)experts_largest<QB_FORMAT_F16, op>, (const void *)experts_largest<QB_FORMAT_BF16, op>            \
    }
    static const void *const groups[OPERATIONS][6] = EXPERTS_OF(experts_groups);
    static const void *const tokens[2][OPERATIONS][6] = {EXPERTS_OF(experts_tokens, 2), EXPERTS_OF(experts_tokens, 4)};
    static const void *const largest[OPERATIONS][2] = {LARGEST_OF(QB__SILU), LARGEST_OF(QB__GELU),
                                                       LARGEST_OF(QB__GELU_ERF), LARGEST_OF(PLAIN)};
    const int op = experts_operation(call);
    const uint32_t width = 32 * (op == PLAIN ? experts_depth<PLAIN> : experts_depth<QB__SILU>);

    if (!amax && !a.tail.is_static && call->problem->granularity == QB_GRANULARITY_TOKEN) {
        const bool deep = a.tail.row_chunks > 2 * 256;
        const unsigned threads = qb__round_up((unsigned)qb__ceil_div(a.tail.row_chunks, deep ? 4 : 2), 32);
        return experts_launch(call, tokens[deep][op][qb__index(call)], experts_expected(call), ROW_THREADS / threads,
                              threads, a);
    }
    a.segments = qb__make_fastdiv((a.tail.row_chunks + width - 1) / width);
    return experts_launch(call, amax ? largest[op][call->input] : groups[op][qb__index(call)],
                          qb__ceil_div(experts_expected(call) * a.segments.divisor, THREADS / 32),
                          op == PLAIN ? (amax ? resident<PLAIN, true> : resident<PLAIN, false>)
                                      : (amax ? resident<QB__SILU, true> : resident<QB__SILU, false>),
                          THREADS, a);
}

static cudaError_t run_any(const struct qb__cuda_call *call, experts_args &a)
{
    static const void *const kernels[3] = {(const void *)experts_any<QB_FORMAT_F16>,
                                           (const void *)experts_any<QB_FORMAT_BF16>,
                                           (const void *)experts_any<QB_FORMAT_F32>};

    return experts_launch(call, kernels[call->input], experts_expected(call), RESIDENT_ANY, THREADS, a);
}

/* All but what follows from all rows of an expert. */
static cudaError_t run_rows(const struct qb__cuda_call *call, experts_args &a)
{
    return by_chunks(call)           ? run_chunks(call, a, false)
           : experts_spans_fit(call) ? experts_spans_run(call, a)
                                     : run_any(call, a);
}

/* The amax of each expert. */
static cudaError_t run_range(const struct qb__cuda_call *call, experts_args a)
{
    static const void *const kernels[3] = {(const void *)experts_range<QB_FORMAT_F16>,
                                           (const void *)experts_range<QB_FORMAT_BF16>,
                                           (const void *)experts_range<QB_FORMAT_F32>};
    const bool gate = call->problem->operation == QB_OPERATION_QUANTIZE || qb__gate_is_plain(a.pairs.gate);
    const bool chunks = gate && call->input != QB_FORMAT_F32 && a.stored != QB_FORMAT_F32 &&
                        call->cols % QB__EIGHT == 0 && call->in_stride % QB__EIGHT == 0 && qb__is_aligned(call->in, 16);

    a.values = NULL;
    return chunks ? run_chunks(call, a, true)
                  : experts_launch(call, kernels[call->input], qb__ceil_div(experts_expected(call), THREADS / 32),
                                   2048 / THREADS, THREADS, a);
}

static cudaError_t run_scales(const struct qb__cuda_call *call, experts_args &a)
{
    return experts_launch(call, (const void *)experts_scales, qb__ceil_div(a.experts, THREADS), MOST_EXPERTS / THREADS,
                          THREADS, a);
}

/* One scale for each expert: its amax, its scale, and then as if that were given. */
static cudaError_t run_tensors(const struct qb__cuda_call *call)
{
    struct qb__cuda_call given = *call;
    experts_args a = args_of(call), rest;
    cudaError_t error = run_range(call, a);

    if (error == cudaSuccess) {
        error = run_scales(call, a);
    }
    if (error != cudaSuccess || (call->scaling == QB_SCALING_AMAX && call->values == NULL)) {
        return error;
    }
    given.scaling = QB_SCALING_STATIC;
    rest = args_of(&given);
    rest.tail.codes = call->scaling != QB_SCALING_AMAX;
    rest.pads = false;
    rest.reverse = true;
    rest.amax = NULL;
    return run_rows(&given, rest);
}

cudaError_t qb__cuda_experts_run(const struct qb__cuda_call *call)
{
    const bool computed = call->problem->tensor_scale == QB_TENSOR_SCALE_COMPUTED;
    cudaError_t error = cudaSuccess;

    if (wants_amax(call->problem) && !computed) {
        return run_tensors(call);
    }
    experts_args a = args_of(call);
    if (computed) {
        error = run_range(call, a);
        a.reverse = true;
    }
    if (error == cudaSuccess) {
        error = run_rows(call, a);
    }
    return computed && error == cudaSuccess ? run_scales(call, a) : error;
}
