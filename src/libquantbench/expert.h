/* SPDX-License-Identifier: Apache-2.0 */
/* expert.h - the rows of a mixture of experts, each expert's as a problem of its own. Backends need it too, so it is
 * in no object file. */
#ifndef QB_EXPERT_H
#define QB_EXPERT_H

#include "problem.h"

#include <string.h>

/* The places of an expert. */
struct qb__expert {
    uint64_t index;
    uint64_t first, rows; /* of the rows of the problem */
    uint64_t scales;      /* elements of the scale tensor in front of its own */
    uint64_t tiles;       /* rows of tiles in front of those of the next one, of OFFSETS */
};

/* The first row of expert INDEX by TABLE. */
static inline uint64_t qb__expert_first(const struct qb_problem *p, const int64_t *table, uint64_t index)
{
    return p->expert_rows == QB_EXPERT_ROWS_MASKED ? index * qb__expert_room(p) : (uint64_t)table[index];
}

static inline uint64_t qb__expert_count(const struct qb_problem *p, const int64_t *table, uint64_t index)
{
    return (uint64_t)(p->expert_rows == QB_EXPERT_ROWS_MASKED ? table[index] : table[index + 1] - table[index]);
}

/* The elements of the scale tensor that ROWS rows have with layout L; in tiles these are whole rows of them. */
static inline uint64_t qb__expert_scales_of(const struct qb__layout *l, uint64_t rows)
{
    const uint64_t height = qb__layout_height(l->layout);

    if (l->layout == QB_SCALE_LAYOUT_ROWS) {
        return rows * l->cols;
    }
    return height > 0 ? rows / height * l->across * l->cols : l->layout == QB_SCALE_LAYOUT_PACKED ? 4 * rows : rows;
}

/* The elements of the scale tensor of P, which has LAYOUT, in front of those of expert X, whose rows are set. */
static inline uint64_t qb__expert_scales(const struct qb_problem *p, const struct qb__layout *l,
                                         const struct qb__expert *x)
{
    const uint64_t height = qb__layout_height(l->layout);

    if (p->granularity == QB_GRANULARITY_TENSOR) {
        return x->index;
    }
    if (l->layout != QB_SCALE_LAYOUT_ROWS && p->expert_rows == QB_EXPERT_ROWS_MASKED) {
        return x->index * (l->rows / p->experts * l->cols);
    }
    return qb__expert_scales_of(l, height > 0 ? x->tiles * height : x->first);
}

/* Set X to expert X->index of P. X is that of the expert in front of it but for the index; all zero for the first. */
static inline void qb__expert_take(const struct qb_problem *p, const struct qb__layout *l, const int64_t *table,
                                   struct qb__expert *x)
{
    const uint64_t height = qb__layout_height(l->layout);

    x->first = qb__expert_first(p, table, x->index);
    x->rows = qb__expert_count(p, table, x->index);
    x->scales = qb__expert_scales(p, l, x);
    x->tiles += height > 0 ? qb__ceil_div(x->rows, height) : 0;
}

/* ROWS rows of X from row FIRST of it on, which is the first of a tile. */
static inline struct qb__expert qb__expert_part(const struct qb_problem *p, const struct qb__layout *l,
                                                const struct qb__expert *x, uint64_t first, uint64_t rows)
{
    struct qb__expert part = *x;

    part.first += first;
    part.rows = rows;
    part.scales += p->granularity == QB_GRANULARITY_TENSOR ? 0 : qb__expert_scales_of(l, first);
    return part;
}

/* The problem of the rows of X alone, at most ROWS of them. */
static inline struct qb_problem qb__expert_problem(const struct qb_problem *p, const struct qb__layout *l,
                                                   uint64_t rows)
{
    struct qb_problem part = *p;

    part.tokens = rows;
    part.experts = part.expert_tokens = 0;
    part.expert_rows = QB_EXPERT_ROWS_OFFSETS;
    if (l->layout == QB_SCALE_LAYOUT_COLUMNS || l->layout == QB_SCALE_LAYOUT_PACKED) {
        part.scale_stride = l->stride;
    }
    return part;
}

/* POINTER and BYTES, if there is such a tensor. */
static inline void *qb__moved(void *pointer, uint64_t bytes)
{
    return pointer != NULL ? (char *)pointer + bytes : NULL;
}

/* The tensors of X, of which those of P are TENSORS. */
static inline struct qb_tensors qb__expert_tensors(const struct qb_problem *p, const struct qb__expert *x,
                                                   const struct qb_tensors *tensors)
{
    const size_t value = qb__element_size(qb__quantization_of(p).input);
    struct qb_tensors t = *tensors;

    t.at[QB_ROLE_INPUT] = qb__moved(t.at[QB_ROLE_INPUT], x->first * p->input_stride * qb__element_size(p->input));
    t.at[QB_ROLE_CODES] =
        qb__moved(t.at[QB_ROLE_CODES], x->first * qb__packed_bytes(p->output, p->packing, p->output_stride));
    t.at[QB_ROLE_SCALES] = qb__moved(t.at[QB_ROLE_SCALES], x->scales * qb__element_size(p->scale_format));
    t.at[QB_ROLE_TENSOR_SCALE] = qb__moved(t.at[QB_ROLE_TENSOR_SCALE], x->index * sizeof(float));
    t.at[QB_ROLE_VALUES] = qb__moved(t.at[QB_ROLE_VALUES], x->first * p->hidden * value);
    t.at[QB_ROLE_EXPERTS] = NULL;
    return t;
}

/* Write 0 to the padding of the scales of X, whose tensor begins at SCALES: in tiles to the scales too, which come
 * after. */
static inline void qb__expert_clear(const struct qb_problem *p, const struct qb__layout *l, const struct qb__expert *x,
                                    void *scales)
{
    const uint64_t height = qb__layout_height(l->layout), cols = qb__tiling_of(p).scale_cols;

    if (height > 0) {
        memset(scales, 0, qb__ceil_div(x->rows, height) * l->across * l->cols * qb__element_size(p->scale_format));
        return;
    }
    for (uint64_t row = 0; row < x->rows && l->layout == QB_SCALE_LAYOUT_PACKED; row++) {
        for (uint64_t col = cols; col < 4 * l->across; col++) {
            ((uint8_t *)scales)[qb__layout_index(l, row, col)] = 0;
        }
    }
}

#endif
