/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c - the oracle: what every kernel is compared with, byte for byte. It is written to be checked by eye
 * against the comment of struct qb_problem, not to be fast. Every granularity is a tiling, so two loops are all there
 * is. */
#include <config.h>

#include "problem.h"
#include "internal.h"

#include <math.h>

/* How many elements share a scale, and how many scales that makes. */
struct tiling {
    uint64_t rows, cols;
    uint64_t scale_rows, scale_cols;
};

/* Check the arguments, and set P to the problem with its strides filled in and T to its tiling. */
static enum qb_status prepare(const struct qb_problem *problem, const struct qb_buffers *buffers, bool writes_codes,
                              struct qb_problem *p, struct tiling *t)
{
    enum qb_status status = qb__prepare(problem, buffers, writes_codes, p);

    if (status == QB_OK) {
        qb__tile(p, &t->rows, &t->cols);
        qb__scale_shape(p, &t->scale_rows, &t->scale_cols);
    }
    return status;
}

/* Element (ROW, COL) of the input, exactly. */
static float load(const struct qb_problem *p, const void *input, uint64_t row, uint64_t col)
{
    uint64_t i = row * p->input_stride + col;

    if (p->input == QB_FORMAT_F32) {
        return ((const float *)input)[i];
    }
    return qb_format_decode(p->input, ((const uint16_t *)input)[i]);
}

/* The dynamic scale of the tile whose first element is (FIRST_ROW, FIRST_COL). */
static float dynamic_scale(const struct qb_problem *p, const struct tiling *t, const void *input, uint64_t first_row,
                           uint64_t first_col)
{
    float amax = 0, scale;

    for (uint64_t row = first_row; row < p->tokens && row - first_row < t->rows; row++) {
        for (uint64_t col = first_col; col < p->hidden && col - first_col < t->cols; col++) {
            float magnitude = fabsf(load(p, input, row, col));

            if (magnitude > amax) { /* false for NaN */
                amax = magnitude;
            }
        }
    }
    if (amax > qb_format_info(p->input)->largest) {
        amax = qb_format_info(p->input)->largest;
    }
    if (p->amax_bound > 0 && amax > p->amax_bound) {
        amax = p->amax_bound;
    }
    scale = amax / qb_format_info(p->output)->largest;
    return scale > QB__SCALE_FLOOR ? scale : QB__SCALE_FLOOR;
}

enum qb_status qb_reference_scales(const struct qb_problem *problem, const struct qb_buffers *buffers)
{
    struct qb_problem p;
    struct tiling t;
    enum qb_status status = prepare(problem, buffers, false, &p, &t);

    if (status != QB_OK) {
        return status;
    }
    for (uint64_t r = 0; r < t.scale_rows; r++) {
        for (uint64_t c = 0; c < t.scale_cols; c++) {
            buffers->scales[r * t.scale_cols + c] = dynamic_scale(&p, &t, buffers->input, r * t.rows, c * t.cols);
        }
    }
    return QB_OK;
}

enum qb_status qb_reference_codes(const struct qb_problem *problem, const struct qb_buffers *buffers)
{
    struct qb_problem p;
    struct tiling t;
    enum qb_status status = prepare(problem, buffers, true, &p, &t);

    if (status != QB_OK) {
        return status;
    }
    for (uint64_t row = 0; row < p.tokens; row++) {
        for (uint64_t col = 0; col < p.hidden; col++) {
            float scale = buffers->scales[row / t.rows * t.scale_cols + col / t.cols];
            float quotient = load(&p, buffers->input, row, col) / scale;

            ((uint8_t *)buffers->output)[row * p.output_stride + col] = (uint8_t)qb_format_encode(p.output, quotient);
        }
    }
    return QB_OK;
}

enum qb_status qb_reference_run(const struct qb_problem *problem, const struct qb_buffers *buffers)
{
    enum qb_status status = QB_OK;

    if (problem != NULL && problem->scaling != QB_SCALING_STATIC) {
        status = qb_reference_scales(problem, buffers);
        if (problem->scaling == QB_SCALING_AMAX) {
            return status;
        }
    }
    return status == QB_OK ? qb_reference_codes(problem, buffers) : status;
}
