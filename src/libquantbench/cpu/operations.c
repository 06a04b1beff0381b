/* SPDX-License-Identifier: Apache-2.0 */
/* operations.c - operations before a quantization, written once for all instruction sets. Values are those of a few
 * rows at a time, which stay in the caches until they are quantized. Where a scale needs more than these rows, all
 * values are kept before the first is quantized. dequantize.c and kv_read.c have the way back, kv_write.c and
 * transpose.c what computes no values. */
#include <config.h>

#include "dequantize.h"
#include "kv_read.h"
#include "kv_write.h"
#include "narrow.h"
#include "operations.h"
#include "threads.h"
#include "transpose.h"
#include "values.h"

#define LINE        ((uint64_t)64)
#define CHUNK_BYTES ((uint64_t)32 << 10) /* of values that are quantized together: less than L2 of any CPU */
#define BAND_BYTES  ((uint64_t)4 << 20)  /* of values that a row of tiles may have, to be such a chunk */

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb__cpu_plan *plan;
    const struct qb_problem *p;
    struct qb_problem quantization;
    const struct qb_tensors *tensors;
    bool whole;         /* all values are kept before they are quantized */
    uint64_t band;      /* rows that belong together */
    uint64_t chunk;     /* rows that are worked on together, whole bands */
    size_t element;     /* bytes of an input element */
    uint64_t row_bytes; /* of values */
    uint64_t room;      /* bytes of a thread's values */
    unsigned threads;
    bool stream;  /* codes with non-temporal stores */
    size_t ahead; /* as in struct qb__gated */
    char *values; /* of all rows, or of the chunks of all threads */
    struct qb__gated gated;
    struct qb__norm norm;
    struct qb__rope rope;
    void (*gated_row)(const struct qb__gated *row);
    void (*norm_row)(const struct qb__norm *row);
    void (*rope_row)(const struct qb__rope *row);
};

/* ---- What is to be done --------------------------------------------------------------------------------------------
 */

/* True if scales need values of other rows than those of their own row of tiles. */
static bool needs_whole(const struct job *job)
{
    const struct qb_problem *q = &job->quantization;

    if (q->tensor_scale == QB_TENSOR_SCALE_COMPUTED) {
        return true;
    }
    if (q->scaling == QB_SCALING_STATIC) {
        return false;
    }
    return q->granularity == QB_GRANULARITY_TENSOR || q->granularity == QB_GRANULARITY_CHANNEL ||
           (q->granularity == QB_GRANULARITY_BLOCK &&
            (!qb__is_plain(q) || q->block_rows > BAND_BYTES / job->row_bytes));
}

static struct job job_of(const struct qb__cpu_plan *plan, const struct qb_problem *p)
{
    struct job job = {.plan = plan, .p = p, .quantization = qb__quantization_of(p), .band = 1};
    const struct qb_problem *q = &job.quantization;
    const uint64_t bytes = qb__input_cols(p) * qb__element_size(p->input) + p->hidden * (q->scaling != QB_SCALING_AMAX);

    job.element = qb__element_size(p->input);
    job.row_bytes = p->hidden * qb__element_size(q->input);
    job.whole = needs_whole(&job);
    if (!job.whole && q->scaling != QB_SCALING_STATIC && q->granularity == QB_GRANULARITY_BLOCK) {
        job.band = q->block_rows;
    }
    job.chunk = CHUNK_BYTES / job.row_bytes / job.band * job.band;
    job.chunk = job.chunk > 0 ? job.chunk : job.band;
    job.chunk = job.chunk < p->tokens || p->tokens == 0 ? job.chunk : p->tokens;
    /* A page apart, so that no prefetcher asks for what another thread writes. */
    job.room = (job.chunk * job.row_bytes + 4096 + LINE - 1) / LINE * LINE;
    job.threads = qb__cpu_threads_worth(plan, p->tokens * bytes);
    job.stream = qb__cpu_streams(plan, p->tokens * bytes);
    if (qb__cpu_bytes(plan, p->tokens * bytes) > 2 * (uint64_t)plan->l2_size) {
        job.ahead = qb__cpu_ahead(plan, job.chunk * p->input_stride * job.element);
    }
    return job;
}

/* ---- Values of rows ------------------------------------------------------------------------------------------------
 */

static void describe_gated(struct job *job)
{
    const struct qb_problem *p = job->p;
    const float alpha = p->alpha != 0 ? p->alpha : 1;
    const bool rounds = p->intermediate == QB_INTERMEDIATE_INPUT, gelu = p->operation == QB_OPERATION_GELU_MUL;

    job->gated = (struct qb__gated){
        .pairs = p->gate == QB_GATE_INTERLEAVED,
        .count = p->hidden,
        .to = job->quantization.input,
        .gelu = gelu,
        .erf = p->gelu == QB_GELU_ERF,
        .exact = !gelu && alpha == 1 && rounds && p->input != QB_FORMAT_F32,
        .rounds = rounds,
        .keeps_nan = p->keep_values,
        .limit = p->gate_limit > 0 ? p->gate_limit : QB__NO_LIMIT,
        .alpha = alpha,
        .offset = p->up_offset,
        .ahead = job->ahead,
    };
}

static void describe_norm(struct job *job)
{
    const struct qb_problem *p = job->p;

    job->norm = (struct qb__norm){
        .weights = job->tensors->at[QB_ROLE_WEIGHTS],
        .count = p->hidden,
        .to = job->quantization.input,
        .float_weights = p->weights == QB_WEIGHTS_FLOAT,
        .rounds = p->intermediate == QB_INTERMEDIATE_INPUT,
        .keeps_nan = p->keep_values,
        .epsilon = p->epsilon,
        .ahead = job->ahead,
    };
}

static void describe_rope(struct job *job)
{
    const struct qb_problem *p = job->p;

    if (p->operation == QB_OPERATION_ROPE) {
        job->rope = (struct qb__rope){
            .heads = p->hidden / p->head_size,
            .head = p->head_size,
            .half = p->rotary / 2,
            .to = job->quantization.input,
            .adjacent = p->pairing == QB_PAIRING_ADJACENT,
            .float_angles = p->weights == QB_WEIGHTS_FLOAT,
            .keeps_nan = p->keep_values,
            .ahead = job->ahead,
        };
    }
}

/* Choose the best routines. */
static void choose_routines(struct job *job, const struct qb__cpu_ops *ops)
{
    const enum qb_format input = job->p->input;
    const struct qb__values_ops *half = job->plan->half_products ? ops->values_fp16 : NULL;

    job->gated_row = half != NULL && half->gated[input] != NULL ? half->gated[input] : ops->values->gated[input];
    job->norm_row = half != NULL && half->norm[input] != NULL ? half->norm[input] : ops->values->norm[input];
    job->rope_row = ops->values->rope[input];
}

/* The values of row ROW. */
static void gated_row(const struct job *job, uint64_t row, char *out)
{
    const char *input = (const char *)job->tensors->at[QB_ROLE_INPUT] + row * job->p->input_stride * job->element;
    struct qb__gated run = job->gated;

    run.gate = input;
    run.up = input + job->p->hidden * job->element;
    run.out = out;
    job->gated_row(&run);
}

static void norm_row(const struct job *job, uint64_t row, char *out)
{
    const uint64_t dense = row * job->p->hidden * job->element;
    struct qb__norm run = job->norm;

    run.x = (const char *)job->tensors->at[QB_ROLE_INPUT] + row * job->p->input_stride * job->element;
    if (job->p->operation == QB_OPERATION_ADD_RMS_NORM) {
        run.residual = (const char *)job->tensors->at[QB_ROLE_RESIDUAL] + dense;
        run.sum = (char *)job->tensors->at[QB_ROLE_SUM] + dense;
    }
    run.out = out;
    job->norm_row(&run);
}

static void rope_row(const struct job *job, uint64_t row, char *out)
{
    const size_t angle = job->rope.float_angles ? sizeof(float) : job->element;
    const int64_t position = ((const int64_t *)job->tensors->at[QB_ROLE_POSITIONS])[row];
    struct qb__rope run = job->rope;

    run.x = (const char *)job->tensors->at[QB_ROLE_INPUT] + row * job->p->input_stride * job->element;
    run.cosines = (const char *)job->tensors->at[QB_ROLE_ANGLES] + (uint64_t)position * job->p->rotary * angle;
    run.out = out;
    job->rope_row(&run);
}

static void values_of(const struct job *job, uint64_t first, uint64_t rows, char *out)
{
    for (uint64_t row = first; row < first + rows; row++, out += job->row_bytes) {
        if (qb__is_gated(job->p->operation)) {
            gated_row(job, row, out);
        } else if (job->p->operation == QB_OPERATION_ROPE) {
            rope_row(job, row, out);
        } else {
            norm_row(job, row, out);
        }
    }
}

/* ---- Rows and threads ----------------------------------------------------------------------------------------------
 */

static void quantize_rows(const struct job *job, const struct qb__cpu_rows *rows)
{
    if (qb__is_plain(&job->quantization)) {
        qb__cpu_quantize_rows(job->ops, job->plan, &job->quantization, job->tensors, rows);
    } else {
        qb__cpu_narrow_rows(job->ops, job->plan, &job->quantization, job->tensors, rows);
    }
}

/* The rows that belong to thread INDEX of COUNT: from *BEGIN to *END - 1. */
static void rows_of(const struct job *job, unsigned index, unsigned count, uint64_t *begin, uint64_t *end)
{
    qb__cpu_split(job->p->tokens, job->band, index, count, begin, end);
}

/* The rows of the chunk that begins at row ROW, and ends before END. One of given scales may be a part of a row of
 * tiles, and of no other. */
static uint64_t rows_from(const struct job *job, uint64_t row, uint64_t end)
{
    const uint64_t high = job->quantization.granularity == QB_GRANULARITY_BLOCK ? job->quantization.block_rows : 0;
    uint64_t rows = end - row < job->chunk ? end - row : job->chunk;

    if (high > 0 && job->band == 1 && rows > high - row % high) {
        rows = high - row % high;
    }
    return rows;
}

static void chunks_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    char *kept = job->p->keep_values ? job->tensors->at[QB_ROLE_VALUES] : NULL;
    uint64_t begin, end;

    for (rows_of(job, index, count, &begin, &end); begin < end;) {
        char *values = kept != NULL ? kept + begin * job->row_bytes : job->values + index * job->room;
        const struct qb__cpu_rows rows = {
            .values = values,
            .first = begin,
            .rows = rows_from(job, begin, end),
            .stream = job->stream,
        };

        values_of(job, begin, rows.rows, values);
        quantize_rows(job, &rows);
        begin += rows.rows;
    }
}

static void values_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    uint64_t begin, end;

    rows_of(job, index, count, &begin, &end);
    values_of(job, begin, end - begin, job->values + begin * job->row_bytes);
}

/* All values, and then their quantization. */
static void run_whole(struct job *job)
{
    struct qb_tensors t = *job->tensors;

    if (job->p->keep_values) {
        job->values = t.at[QB_ROLE_VALUES];
    }
    t.at[QB_ROLE_INPUT] = job->values;
    qb__cpu_parallel(job->threads, values_work, job);
    if (qb__is_plain(&job->quantization)) {
        qb__cpu_quantize(job->ops, job->plan, &job->quantization, &t);
    } else {
        qb__cpu_narrow(job->ops, job->plan, &job->quantization, &t);
    }
}

size_t qb__cpu_operation_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    struct job job;

    if (problem->operation == QB_OPERATION_KV_WRITE) {
        return qb__cpu_kv_write_workspace(plan, problem);
    }
    if (qb__is_transposed(problem->operation)) {
        return qb__cpu_transpose_workspace(plan, problem);
    }
    if (qb__reads_codes(problem->operation) || problem->keep_values) {
        return 0;
    }
    job = job_of(plan, problem);
    return job.whole ? problem->tokens * job.row_bytes + 4096 : job.threads * job.room;
}

void qb__cpu_operation(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                       const struct qb_tensors *tensors, void *workspace)
{
    struct job job;

    if (problem->operation == QB_OPERATION_DEQUANTIZE) {
        qb__cpu_dequantize(ops, plan, problem, tensors);
        return;
    }
    if (problem->operation == QB_OPERATION_KV_READ) {
        qb__cpu_kv_read(ops, plan, problem, tensors);
        return;
    }
    if (problem->operation == QB_OPERATION_KV_WRITE) {
        qb__cpu_kv_write(ops, plan, problem, tensors, workspace);
        return;
    }
    if (qb__is_transposed(problem->operation)) {
        qb__cpu_transpose(ops, plan, problem, tensors, workspace);
        return;
    }
    job = job_of(plan, problem);
    job.ops = ops;
    job.tensors = tensors;
    job.values = workspace;
    choose_routines(&job, ops);
    describe_gated(&job);
    describe_norm(&job);
    describe_rope(&job);
    if (job.whole) {
        run_whole(&job);
        return;
    }
    if (!qb__is_plain(&job.quantization)) {
        qb__cpu_narrow_clear(plan, &job.quantization, tensors);
    }
    qb__cpu_parallel(job.threads, chunks_work, &job);
}

void qb__cpu_operation_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    struct job job;

    if (problem->operation == QB_OPERATION_DEQUANTIZE || qb__has_cache(problem->operation)) {
        qb__cpu_fork_and_join(qb__cpu_threads_worth(plan, qb__cpu_moved_bytes(problem)));
        return;
    }
    if (qb__is_transposed(problem->operation)) {
        qb__cpu_transpose_floor(plan, problem);
        return;
    }
    job = job_of(plan, problem);
    qb__cpu_fork_and_join(job.threads);
    if (job.whole) {
        qb__cpu_floor(plan, &job.quantization);
    }
}
