/* SPDX-License-Identifier: Apache-2.0 */
/* problem.h - arithmetic on struct qb_problem that backends need too, and so is in no object file. */
#ifndef QB_PROBLEM_H
#define QB_PROBLEM_H

#include "formats.h"

static inline uint64_t qb__ceil_div(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* See qb_problem_tile(). */
static inline void qb__tile(const struct qb_problem *p, uint64_t *tile_rows, uint64_t *tile_cols)
{
    *tile_rows = p->tokens > 0 ? p->tokens : 1;
    *tile_cols = p->hidden;
    switch (p->granularity) {
    case QB_GRANULARITY_TENSOR:
        break;
    case QB_GRANULARITY_TOKEN:
        *tile_rows = 1;
        break;
    case QB_GRANULARITY_CHANNEL:
        *tile_cols = 1;
        break;
    case QB_GRANULARITY_GROUP:
        *tile_rows = 1;
        *tile_cols = p->group;
        break;
    case QB_GRANULARITY_BLOCK:
        *tile_rows = p->block_rows;
        *tile_cols = p->block_cols;
        break;
    }
}

/* See qb_problem_scale_shape(). */
static inline void qb__scale_shape(const struct qb_problem *p, uint64_t *scale_rows, uint64_t *scale_cols)
{
    uint64_t tile_rows, tile_cols;

    qb__tile(p, &tile_rows, &tile_cols);
    *scale_cols = qb__ceil_div(p->hidden, tile_cols);
    *scale_rows = qb__ceil_div(p->tokens, tile_rows);
    /* A scale of the whole tensor or of a whole column exists even when there is nothing to scale. */
    if (p->tokens == 0 && (p->granularity == QB_GRANULARITY_TENSOR || p->granularity == QB_GRANULARITY_CHANNEL)) {
        *scale_rows = 1;
    }
}

/* A problem's tiling: the elements that share a scale, and how many scales that makes. */
struct qb__tiling {
    uint64_t rows, cols;
    uint64_t scale_rows, scale_cols;
};

static inline struct qb__tiling qb__tiling_of(const struct qb_problem *p)
{
    struct qb__tiling t;

    qb__tile(p, &t.rows, &t.cols);
    qb__scale_shape(p, &t.scale_rows, &t.scale_cols);
    return t;
}

/* Where the scale of tile (ROW, COL) is in the scale tensor, in elements of it. */
static inline uint64_t qb__scale_index(const struct qb__tiling *t, uint64_t row, uint64_t col)
{
    return row * t->scale_cols + col;
}

/* The smallest scale, 2^-126: the smallest normal binary32. */
#define QB__SCALE_FLOOR 0x1p-126f

#endif
