/* SPDX-License-Identifier: Apache-2.0 */
/* dequantize.c - from codes of any format, with scales of any format and layout, back to values, written once for all
 * instruction sets. Rows are worked on in pieces, whose scales are put side by side as numbers first. */
#include <config.h>

#include "dequantize.h"
#include "scales.h"
#include "threads.h"
#include "values.h"

enum {
    PIECE = 4096, /* elements that are worked on at a time, where a vector has one scale */
    SPAN = 512,   /* where elements may each have their own */
    LEAST = 16,   /* elements of a group that fill a vector */
    ONE = 30      /* the shift by which all elements of a piece have the same scale */
};

struct job {
    const struct qb__cpu_ops *ops;
    const struct qb_problem *p;
    struct qb__tiling tiling;
    struct qb__layout layout;
    uint64_t piece; /* elements */
    unsigned bits;  /* of a code in memory */
    uint64_t code_row;
    const uint8_t *codes;
    const void *scales;
    const int8_t *zero_points;
    float tensor;
    char *values;
    size_t element; /* bytes of a value */
    bool stream;
};

/* The number that the stored scale I stands for. */
static float scale_at(const struct job *job, uint64_t i)
{
    const enum qb_format format = job->p->scale_format;
    uint32_t code;

    if (format == QB_FORMAT_F32) {
        return qb__float_of(((const word32 *)job->scales)[i]);
    }
    if (format == QB_FORMAT_F16) {
        return qb__half_value(((const word16 *)job->scales)[i]);
    }
    code = ((const uint8_t *)job->scales)[i];
    if (format == QB_FORMAT_E8M0) {
        return qb__float_of(code == 0 ? 0x400000u : code == 0xFF ? 0x7FC00000u : code << 23);
    }
    return code & 0x80 ? -qb__e4m3_value(code & 0x7F) : qb__e4m3_value(code);
}

/* The scales and zero points of COUNT tiles of one row from tile FIRST on. Returns whether a scale is not finite
 * and > 0. */
static bool load_tiles(const struct job *job, uint64_t row, uint64_t first, uint64_t count, float *scales, float *zeros)
{
    bool odd = false;

    for (uint64_t i = 0; i < count; i++) {
        const float scale = scale_at(job, qb__layout_index(&job->layout, row, first + i));

        scales[i] = scale;
        odd = odd || !(scale > 0 && scale <= FLT_MAX);
        if (job->zero_points != NULL) {
            zeros[i] = (float)job->zero_points[qb__scale_index(&job->tiling, row, first + i)];
        }
    }
    return odd;
}

/* The shift from elements to their tiles in a piece: 0 if there is none. */
static unsigned shift_of(uint64_t cols)
{
    if (cols >= PIECE) {
        return cols % PIECE == 0 ? ONE : 0;
    }
    return cols >= LEAST && (cols & (cols - 1)) == 0 ? (unsigned)__builtin_ctzll(cols) : 0;
}

/* Columns COL to COL + COUNT - 1 of row ROW, at most a piece. */
static void decode_piece(const struct job *job, uint64_t row, uint64_t col, uint64_t count)
{
    const uint64_t cols = job->tiling.cols, tile_row = row / job->tiling.rows, first = col / cols;
    const uint64_t tiles = (col + count - 1) / cols - first + 1;
    float scales[SPAN], zeros[SPAN];
    uint8_t bytes[PIECE];
    struct qb__decode run = {
        .codes = job->codes + row * job->code_row + qb__packed_bytes(job->p->output, job->p->packing, col),
        .from = job->p->output,
        .count = count,
        .scales = scales,
        .zeros = job->zero_points != NULL ? zeros : NULL,
        .shift = tiles == 1 ? ONE : shift_of(cols),
        .has_tensor = job->p->tensor_scale != QB_TENSOR_SCALE_NONE,
        .tensor = job->tensor,
        .out = job->values + (row * job->p->input_stride + col) * job->element,
        .stream = job->stream,
    };

    run.odd = load_tiles(job, tile_row, first, tiles, scales, zeros);
    if (run.shift == 0) { /* from the last to the first element, as tiles are in the places of these */
        for (uint64_t i = count; i-- > 0;) {
            const uint64_t tile = (col + i) / cols - first;

            scales[i] = scales[tile];
            zeros[i] = job->zero_points != NULL ? zeros[tile] : 0;
        }
    }
    if (job->bits == 6) {
        const uint8_t *packed = job->codes + row * job->code_row;

        for (uint64_t i = 0; i < count; i++) {
            bytes[i] = (uint8_t)qb__code_get(packed, col + i, 6);
        }
        run.codes = bytes;
    }
    job->ops->values->decode[job->p->input](&run);
}

static void decode_work(void *context, unsigned index, unsigned count)
{
    const struct job *job = context;
    const uint64_t across = qb__ceil_div(job->p->hidden, job->piece);
    uint64_t begin, end;

    qb__cpu_split(job->p->tokens * across, 1, index, count, &begin, &end);
    for (; begin < end; begin++) {
        const uint64_t col = begin % across * job->piece, left = job->p->hidden - col;

        decode_piece(job, begin / across, col, left < job->piece ? left : job->piece);
    }
    if (job->stream) {
        job->ops->fence();
    }
}

void qb__cpu_dequantize(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan,
                        const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    const struct qb_problem *p = problem;
    struct job job = {
        .ops = ops,
        .p = p,
        .tiling = qb__tiling_of(p),
        .layout = qb__layout_of(p),
        .bits = qb__packed_bits(p->output, p->packing),
        .code_row = qb__packed_bytes(p->output, p->packing, p->output_stride),
        .codes = tensors->at[QB_ROLE_CODES],
        .scales = tensors->at[QB_ROLE_SCALES],
        .zero_points = p->zero_points != QB_ZERO_POINTS_NONE ? tensors->at[QB_ROLE_ZERO_POINTS] : NULL,
        .tensor = p->tensor_scale != QB_TENSOR_SCALE_NONE ? *(const float *)tensors->at[QB_ROLE_TENSOR_SCALE] : 1,
        .values = tensors->at[QB_ROLE_VALUES],
        .element = qb__element_size(p->input),
        .stream = qb__cpu_streams(plan, qb__cpu_moved_bytes(p)),
    };

    job.piece = shift_of(job.tiling.cols) > 0 || job.tiling.cols >= p->hidden ? PIECE : SPAN;
    qb__cpu_parallel(qb__cpu_threads_worth(plan, qb__cpu_moved_bytes(p)), decode_work, &job);
}
