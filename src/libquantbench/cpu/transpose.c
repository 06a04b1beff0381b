/* SPDX-License-Identifier: Apache-2.0 */
/* transpose.c - codes of the transposed input, alone or beside those of its rows, written once for all instruction
 * sets. A band of tokens is as high as groups, or blocks, are. Its rows are quantized first, while they come from
 * memory; then tiles of it are transposed in the first cache, and quantized as rows of their own. */
#include <config.h>

#include "narrow.h"
#include "threads.h"
#include "transpose.h"

#include <string.h>

#define LINE       ((uint64_t)64)
#define TILE_ROWS  ((uint64_t)128) /* of the input, at least; codes that lie side by side */
#define TILE_BYTES ((uint64_t)128) /* of a row of a tile, at least */

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb__cpu_plan *plan;
    const struct qb_problem *p;
    struct qb_problem rows;    /* the quantization of the input; of DUAL only */
    struct qb_problem columns; /* that of the transposed input */
    struct qb__tiling tiling;  /* of the latter */
    struct qb__layout layout;
    const struct qb_tensors *tensors;
    struct qb_tensors transposed; /* where the columns' results are */
    size_t element;               /* bytes of an input element */
    size_t scale;                 /* bytes of a scale */
    uint64_t high, wide;          /* tokens and columns of a tile, whole tiles of scales */
    uint64_t bands, across;       /* tiles */
    uint64_t scales_at;           /* in a thread's memory: those of a transposed tile, which comes first */
    uint64_t room;                /* bytes of it */
    unsigned threads;
    bool stream;
    char *memory;
};

/* A tile, clipped to the tensor. */
struct tile {
    uint64_t row, col;
    uint64_t rows, cols;
};

/* ---- Transposing ---------------------------------------------------------------------------------------------------
 */

/* 16 bytes, at any address. */
typedef uint16_t short_vector __attribute__((vector_size(16)));
typedef uint32_t long_vector __attribute__((vector_size(16)));
typedef short_vector loose_short_vector __attribute__((aligned(1), may_alias));
typedef long_vector loose_long_vector __attribute__((aligned(1), may_alias));

#ifdef __clang__
#define LOW_SHORTS(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_SHORTS(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_LONGS(a, b)   __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH_LONGS(a, b)  __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define LOW_SHORTS(a, b)  __builtin_shuffle(a, b, (short_vector){0, 8, 1, 9, 2, 10, 3, 11})
#define HIGH_SHORTS(a, b) __builtin_shuffle(a, b, (short_vector){4, 12, 5, 13, 6, 14, 7, 15})
#define LOW_LONGS(a, b)   __builtin_shuffle(a, b, (long_vector){0, 4, 1, 5})
#define HIGH_LONGS(a, b)  __builtin_shuffle(a, b, (long_vector){2, 6, 3, 7})
#endif

/* Transpose COUNT x COUNT elements, a vector a row. A round of interleaving rows I and I + COUNT / 2 is a rotation of
 * the bits of places by one: log2(COUNT) of them exchange rows and columns. */
static void transpose_shorts(const char *in, uint64_t stride, char *out, uint64_t out_stride)
{
    short_vector a[8], b[8];

    for (int i = 0; i < 8; i++) {
        a[i] = *(const loose_short_vector *)(const void *)(in + (uint64_t)i * stride);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            b[2 * i] = LOW_SHORTS(a[i], a[i + 4]);
            b[2 * i + 1] = HIGH_SHORTS(a[i], a[i + 4]);
        }
        memcpy(a, b, sizeof a);
    }
    for (int i = 0; i < 8; i++) {
        *(loose_short_vector *)(void *)(out + (uint64_t)i * out_stride) = a[i];
    }
}

static void transpose_longs(const char *in, uint64_t stride, char *out, uint64_t out_stride)
{
    long_vector a[4], b[4];

    for (int i = 0; i < 4; i++) {
        a[i] = *(const loose_long_vector *)(const void *)(in + (uint64_t)i * stride);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++) {
            b[2 * i] = LOW_LONGS(a[i], a[i + 2]);
            b[2 * i + 1] = HIGH_LONGS(a[i], a[i + 2]);
        }
        memcpy(a, b, sizeof a);
    }
    for (int i = 0; i < 4; i++) {
        *(loose_long_vector *)(void *)(out + (uint64_t)i * out_stride) = a[i];
    }
}

/* Copy column COL of tile T, from row FIRST on, to OUT. */
static void copy_column(const struct job *job, const struct tile *t, uint64_t first, uint64_t col, char *out)
{
    const char *in = (const char *)job->tensors->at[QB_ROLE_INPUT];

    for (uint64_t row = first; row < t->rows; row++) {
        const char *from = in + ((t->row + row) * job->p->input_stride + t->col + col) * job->element;

        memcpy(out + (col * t->rows + row) * job->element, from, job->element);
    }
}

/* Copy tile T to OUT, transposed, in dense rows. */
static void transpose(const struct job *job, const struct tile *t, char *out)
{
    const uint64_t step = 16 / job->element, rows = t->rows / step * step, cols = t->cols / step * step;
    const uint64_t stride = job->p->input_stride * job->element, out_stride = t->rows * job->element;
    const char *in = (const char *)job->tensors->at[QB_ROLE_INPUT] + t->row * stride + t->col * job->element;

    for (uint64_t row = 0; row < rows; row += step) {
        for (uint64_t col = 0; col < cols; col += step) {
            const char *from = in + row * stride + col * job->element;
            char *to = out + col * out_stride + row * job->element;

            if (job->element == sizeof(uint16_t)) {
                transpose_shorts(from, stride, to, out_stride);
            } else {
                transpose_longs(from, stride, to, out_stride);
            }
        }
    }
    for (uint64_t col = 0; col < t->cols; col++) {
        copy_column(job, t, col < cols ? rows : 0, col, out);
    }
}

/* ---- Tiles ---------------------------------------------------------------------------------------------------------
 */

static void quantize_rows(const struct job *job, const struct qb_problem *q, const struct qb_tensors *tensors,
                          const struct qb__cpu_rows *rows)
{
    if (rows->rows == 0) {
        return;
    }
    if (qb__is_plain(q)) {
        qb__cpu_quantize_rows(job->ops, job->plan, q, tensors, rows);
    } else {
        qb__cpu_narrow_rows(job->ops, job->plan, q, tensors, rows);
    }
}

/* Put SCALES, which are those of a transposed tile T, dense, to their places. */
static void put_scales(const struct job *job, const struct tile *t, const char *scales)
{
    const uint64_t first_row = t->col / job->tiling.rows, first_col = t->row / job->tiling.cols;
    const uint64_t rows = qb__ceil_div(t->cols, job->tiling.rows), cols = qb__ceil_div(t->rows, job->tiling.cols);
    char *target = job->transposed.at[QB_ROLE_SCALES];

    for (uint64_t i = 0; i < rows * cols; i++) {
        const uint64_t place = qb__layout_index(&job->layout, first_row + i / cols, first_col + i % cols);

        if (job->scale == 1) {
            target[place] = scales[i];
        } else {
            memcpy(target + place * sizeof(float), scales + i * sizeof(float), sizeof(float));
        }
    }
}

/* Quantize the columns of tile T, in MEMORY. */
static void tile_work(const struct job *job, const struct tile *t, char *memory)
{
    const uint64_t code = t->col * job->columns.output_stride + t->row;
    char *scales = memory + job->scales_at;
    const struct qb__cpu_rows rows = {.values = memory, .rows = t->cols, .stream = job->stream};
    struct qb_problem q = job->columns;
    struct qb_tensors tensors = job->transposed;

    q.tokens = t->cols;
    q.hidden = q.input_stride = t->rows;
    q.scale_layout = QB_SCALE_LAYOUT_ROWS;
    q.scale_stride = 0;
    tensors.at[QB_ROLE_CODES] = (uint8_t *)tensors.at[QB_ROLE_CODES] + code;
    tensors.at[QB_ROLE_SCALES] = scales;
    transpose(job, t, memory);
    quantize_rows(job, &q, &tensors, &rows);
    put_scales(job, t, scales);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Quantize the columns of tiles FIRST to END - 1, band by band. */
static void tiles_work(const struct job *job, uint64_t first, uint64_t end, char *memory)
{
    for (uint64_t i = first; i < end; i++) {
        struct tile t = {.row = i / job->across * job->high, .col = i % job->across * job->wide};

        t.rows = least(job->high, job->p->tokens - t.row);
        t.cols = least(job->wide, job->p->hidden - t.col);
        tile_work(job, &t, memory);
    }
}

/* Quantize rows FIRST to END - 1 of the input, if that is asked for. */
static void rows_work(const struct job *job, uint64_t first, uint64_t end)
{
    const struct qb__cpu_rows rows = {
        .values = (const char *)job->tensors->at[QB_ROLE_INPUT] + first * job->p->input_stride * job->element,
        .first = first,
        .rows = end - first,
        .stream = job->stream,
    };

    if (job->p->operation == QB_OPERATION_DUAL) {
        quantize_rows(job, &job->rows, job->tensors, &rows);
    }
}

static void work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const uint64_t grain = job->p->granularity == QB_GRANULARITY_BLOCK ? job->p->block_rows : 1;
    char *memory = job->memory + index * job->room;
    uint64_t begin, end;

    if (job->bands >= count) {
        for (qb__cpu_split(job->bands, 1, index, count, &begin, &end); begin < end; begin++) {
            rows_work(job, begin * job->high, least((begin + 1) * job->high, job->p->tokens));
            tiles_work(job, begin * job->across, (begin + 1) * job->across, memory);
        }
        return;
    }
    qb__cpu_split(job->p->tokens, grain, index, count, &begin, &end);
    rows_work(job, begin, end);
    qb__cpu_split(job->bands * job->across, 1, index, count, &begin, &end);
    tiles_work(job, begin, end, memory);
}

/* ---- The whole -----------------------------------------------------------------------------------------------------
 */

static uint64_t lines(uint64_t bytes)
{
    return qb__ceil_div(bytes, LINE) * LINE;
}

/* Bytes that are read and written. */
static uint64_t bytes_of(const struct qb_problem *p)
{
    const uint64_t results = p->operation == QB_OPERATION_DUAL ? 2 : 1;

    return p->tokens * p->hidden * (qb__element_size(p->input) + results);
}

static struct job job_of(const struct qb__cpu_plan *plan, const struct qb_problem *p)
{
    const bool is_dual = p->operation == QB_OPERATION_DUAL, is_block = p->granularity == QB_GRANULARITY_BLOCK;
    const struct qb_problem transpose = is_dual ? qb__transposed_of(p) : *p;
    struct job job = {
        .plan = plan,
        .p = p,
        .rows = *p,
        .columns = qb__quantization_of(&transpose),
        .element = qb__element_size(p->input),
        .scale = qb__element_size(p->scale_format),
        .threads = qb__cpu_threads_worth(plan, bytes_of(p)),
        .stream = qb__cpu_streams(plan, bytes_of(p)),
    };
    const uint64_t rows = is_block ? p->block_rows : p->group, cols = is_block ? p->block_cols : 1;

    job.rows.operation = QB_OPERATION_QUANTIZE;
    job.tiling = qb__tiling_of(&job.columns);
    job.layout = qb__layout_of(&job.columns);
    /* What is larger than the tensor shares one scale anyway. */
    job.high = rows >= p->tokens ? p->tokens : least(p->tokens, qb__ceil_div(TILE_ROWS, rows) * rows);
    job.high = job.high > 0 ? job.high : 1;
    job.wide = cols >= p->hidden ? p->hidden : qb__ceil_div(TILE_BYTES / job.element, cols) * cols;
    job.wide = least(job.wide, p->hidden);
    job.bands = qb__ceil_div(p->tokens, job.high);
    job.across = qb__ceil_div(p->hidden, job.wide);
    /* A page apart, so that no prefetcher asks for what another thread writes. */
    job.scales_at = lines(job.high * job.wide * job.element + 4096);
    job.room = job.scales_at + lines(qb__ceil_div(job.high, rows) * job.wide * sizeof(float));
    return job;
}

size_t qb__cpu_transpose_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    const struct job job = job_of(plan, problem);

    return job.threads * job.room;
}

void qb__cpu_transpose(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                       const struct qb_tensors *tensors, void *workspace)
{
    const bool is_dual = problem->operation == QB_OPERATION_DUAL;
    struct job job = job_of(plan, problem);

    job.ops = ops;
    job.tensors = tensors;
    job.transposed = *tensors;
    job.memory = workspace;
    if (is_dual) {
        job.transposed.at[QB_ROLE_CODES] = tensors->at[QB_ROLE_TRANSPOSED];
        job.transposed.at[QB_ROLE_SCALES] = tensors->at[QB_ROLE_TRANSPOSED_SCALES];
    }
    if (is_dual && !qb__is_plain(&job.rows)) {
        qb__cpu_narrow_clear(plan, &job.rows, tensors);
    }
    if (!qb__is_plain(&job.columns)) {
        qb__cpu_narrow_clear(plan, &job.columns, &job.transposed);
    }
    qb__cpu_parallel(job.threads, work, &job);
}

void qb__cpu_transpose_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem)
{
    qb__cpu_fork_and_join(qb__cpu_threads_worth(plan, bytes_of(problem)));
}
