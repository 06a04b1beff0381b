/* SPDX-License-Identifier: Apache-2.0 */
/* experts_spans.cu - the rows of experts with narrow codes, and scales that are given or of groups: a thread has a span
 * of 16 elements, as spans.cu has it. */
#include "experts.cuh"
#include "span.cuh"

#define THREADS EXPERTS_THREADS

/* Spans of a thread, loaded before any is used, and blocks that a multiprocessor of an H200 holds: by registers. */
template <int IN, int OP> constexpr int depth = OP == PLAIN &&IN != QB_FORMAT_F32 ? 4 : 2;
#define RESIDENT 4

/* A warp takes a segment of a row, 32 times its depth of spans. */
template <int IN, int OUT, int KIND, int OP>
__global__ void __launch_bounds__(THREADS, experts_resident(RESIDENT)) experts_spans(const experts_args a)
{
    constexpr int N = span<IN>::chunks, DEPTH = depth<IN, OP>;
    const unsigned char *const in = qb__begin((const unsigned char *)a.in);
    const experts_sums s = experts_begin(a);
    const uint64_t units = experts_segments(a, s);
    const uint64_t warps = (uint64_t)gridDim.x * (THREADS / 32);

    for (uint64_t u = (uint64_t)blockIdx.x * (THREADS / 32) + threadIdx.x / 32; u < units; u += warps) {
        uint32_t segment;
        const experts_place p = experts_segment(a, s, u, &segment);
        const uint64_t line = (uint64_t)p.first + p.row;
        const uint32_t first = segment * (32 * DEPTH) + threadIdx.x % 32;
        experts_chunk<OP> chunk[DEPTH][N];

        if (!p.valid) {
            continue;
        }
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
#pragma unroll
            for (int k = 0; k < N; k++) {
                chunk[d][k] =
                    experts_load<OP>(a, in + line * a.in_step, (first + 32 * d) * N + k, first + 32 * d < a.spans.row);
            }
        }
        const qb__tail t = experts_tail(a, s, p);
        const qb__tensor_factors factors = KIND == SMALL ? experts_factors(a, p.expert) : qb__tensor_factors{};
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            const uint32_t at = first + 32 * d;
            const bool valid = at < a.spans.row;
            span<IN> x;
            scale made = {};
            uint32_t top;

            if (at - threadIdx.x % 32 >= a.spans.row) { /* for no lane */
                break;
            }
#pragma unroll
            for (int k = 0; k < N; k++) {
                x.chunk[k] = experts_values<IN, OP>(a, chunk[d][k], (uint4 *)a.values + line * a.tail.row_chunks,
                                                    at * N + k, valid);
            }
            range r = range_of<IN, OUT, KIND>(x, &top);
            if (!t.is_static) {
                r = range_of_team<KIND>(r, a.spans.shift);
                made = make_scale<KIND>(r, t.scales, factors);
                if (valid && at % (1u << a.spans.shift) == 0) {
                    write_scale<KIND>(t.scales, made, p.row, at >> a.spans.shift);
                }
            } else if (valid) {
                made = read_scale<KIND>(t.scales, p.row, at >> a.spans.shift);
            }
            if (t.codes && valid) {
                store<OUT>(t.out + p.row * t.out_step + (uint64_t)at * a.spans.bytes,
                           codes_of<IN, OUT, KIND>(x, made, factors, tames<IN, OUT, KIND>::value ? top : r.high),
                           a.spans.dense);
            }
        }
    }
    experts_pad(a, s);
}

/* ---- Launching ----------------------------------------------------------------------------------------------------
 */

#define OF_GATES(output, kind, op)                                                                                     \
    {                                                                                                                  \
        (const void *)experts_spans<QB_FORMAT_F16, output, kind, op>,                                                  \
            (const void *)experts_spans<QB_FORMAT_BF16, output, kind, op>                                              \
    }
#define OF_OPERATIONS(output, kind)                                                                                    \
    {                                                                                                                  \
        OF_GATES(output, kind, QB__SILU), OF_GATES(output, kind, QB__GELU), OF_GATES(output, kind, QB__GELU_ERF),      \
            OF_INPUTS(experts_spans, output, kind, PLAIN)                                                              \
    }

/* Codes of a byte: 16-bit elements go by chunks. */
#define OF_FLOAT(output, kind)                                                                                         \
    {                                                                                                                  \
        {}, {}, {},                                                                                                    \
        {                                                                                                              \
            NULL, NULL, (const void *)experts_spans<QB_FORMAT_F32, output, kind, PLAIN>                                \
        }                                                                                                              \
    }

/* The kernels by operation and input format. */
static const struct {
    qb_format output;
    kind kind;
    const void *kernel[OPERATIONS][3]; /* NULL: there is none */
} table[] = {
    {QB_FORMAT_E2M1, POWER, OF_OPERATIONS(QB_FORMAT_E2M1, POWER)},
    {QB_FORMAT_E2M3, POWER, OF_OPERATIONS(QB_FORMAT_E2M3, POWER)},
    {QB_FORMAT_E3M2, POWER, OF_OPERATIONS(QB_FORMAT_E3M2, POWER)},
    {QB_FORMAT_E2M1, SMALL, OF_OPERATIONS(QB_FORMAT_E2M1, SMALL)},
    {QB_FORMAT_INT4, DIVIDE, OF_OPERATIONS(QB_FORMAT_INT4, DIVIDE)},
    {QB_FORMAT_E4M3, POWER, OF_FLOAT(QB_FORMAT_E4M3, POWER)},
    {QB_FORMAT_E5M2, POWER, OF_FLOAT(QB_FORMAT_E5M2, POWER)},
    {QB_FORMAT_E4M3, DIVIDE, OF_FLOAT(QB_FORMAT_E4M3, DIVIDE)},
    {QB_FORMAT_E5M2, DIVIDE, OF_FLOAT(QB_FORMAT_E5M2, DIVIDE)},
    {QB_FORMAT_INT8, DIVIDE, OF_FLOAT(QB_FORMAT_INT8, DIVIDE)},
};

static const void *pick(const struct qb__cuda_call *call)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].output == call->output && table[i].kind == kind_of(call->problem)) {
            return table[i].kernel[experts_operation(call)][call->input];
        }
    }
    return NULL;
}

bool experts_spans_fit(const struct qb__cuda_call *call)
{
    const struct qb_problem *p = call->problem;
    const bool plain = p->operation == QB_OPERATION_QUANTIZE ||
                       (p->intermediate != QB_INTERMEDIATE_FLOAT && qb__gate_is_plain(qb__gate_of(p)));

    return plain && (p->granularity == QB_GRANULARITY_GROUP || call->scaling == QB_SCALING_STATIC) && has_spans(call) &&
           has_aligned_spans(call) && qb__is_aligned(call->values, 16) && pick(call) != NULL;
}

cudaError_t experts_spans_run(const struct qb__cuda_call *call, experts_args &a)
{
    const struct qb_problem *p = call->problem;
    const int spans = p->operation != QB_OPERATION_QUANTIZE ? depth<QB_FORMAT_F16, QB__SILU>
                      : call->input == QB_FORMAT_F32        ? depth<QB_FORMAT_F32, PLAIN>
                                                            : depth<QB_FORMAT_F16, PLAIN>;

    a.spans.row = (uint32_t)(call->cols / SPAN);
    a.spans.shift = team_shift_of(p);
    a.spans.bytes = (uint32_t)qb__packed_bytes(call->output, p->packing, SPAN);
    a.spans.dense = p->packing == QB_PACKING_DENSE;
    a.segments = qb__make_fastdiv(qb__ceil_div(a.spans.row, 32 * spans));
    if (p->granularity == QB_GRANULARITY_TENSOR) {
        a.tail.scales.layout.cols = 0; /* all rows of an expert have the same */
    }
    return experts_launch(call, pick(call), qb__ceil_div(experts_expected(call) * a.segments.divisor, THREADS / 32),
                          RESIDENT, THREADS, a);
}
