/* SPDX-License-Identifier: Apache-2.0 */
/* tiling.h - the tiles of a problem, each of which has one scale. In no object file, as sizes.h is. */
#ifndef TILING_H
#define TILING_H

#include "quantbench.h"

struct tiling {
    uint64_t rows, cols;           /* of the tensor */
    uint64_t tile_rows, tile_cols; /* of a whole tile */
    uint64_t scale_rows, scale_cols;
};

/* A tile, clipped to the tensor. */
struct tile {
    uint64_t first_row, first_col;
    uint64_t rows, cols;
};

/* The tiling of a valid PROBLEM. */
static inline struct tiling tiling_of(const struct qb_problem *problem)
{
    struct tiling t = {.rows = problem->tokens, .cols = problem->hidden};

    qb_problem_tile(problem, &t.tile_rows, &t.tile_cols);
    qb_problem_scale_shape(problem, &t.scale_rows, &t.scale_cols);
    return t;
}

/* Tile INDEX. */
static inline struct tile tiling_tile(const struct tiling *t, uint64_t index)
{
    const uint64_t row = index / t->scale_cols * t->tile_rows, col = index % t->scale_cols * t->tile_cols;

    return (struct tile){row, col, t->rows - row < t->tile_rows ? t->rows - row : t->tile_rows,
                         t->cols - col < t->tile_cols ? t->cols - col : t->tile_cols};
}

/* The index of the tile that ELEMENT is in, counted row by row without gaps. */
static inline uint64_t tiling_index(const struct tiling *t, uint64_t element)
{
    return element / t->cols / t->tile_rows * t->scale_cols + element % t->cols / t->tile_cols;
}

#endif
