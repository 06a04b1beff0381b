/* SPDX-License-Identifier: Apache-2.0 */
/* problem.h - arithmetic on struct qb_problem that backends need too, and so is in no object file. */
#ifndef QB_PROBLEM_H
#define QB_PROBLEM_H

#include "formats.h"

static inline uint64_t qb__ceil_div(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* True if OPERATION has a gate and an up for each value. */
static inline bool qb__is_gated(enum qb_operation operation)
{
    return operation == QB_OPERATION_SILU_MUL || operation == QB_OPERATION_GELU_MUL;
}

/* True if OPERATION has codes of the transposed input. */
static inline bool qb__is_transposed(enum qb_operation operation)
{
    return operation == QB_OPERATION_TRANSPOSE || operation == QB_OPERATION_DUAL;
}

/* True if OPERATION writes or reads the pages of a cache. */
static inline bool qb__has_cache(enum qb_operation operation)
{
    return operation == QB_OPERATION_KV_WRITE || operation == QB_OPERATION_KV_READ;
}

/* True if OPERATION computes values from codes. */
static inline bool qb__reads_codes(enum qb_operation operation)
{
    return operation == QB_OPERATION_DEQUANTIZE || operation == QB_OPERATION_KV_READ;
}

/* The columns of the input. */
static inline uint64_t qb__input_cols(const struct qb_problem *p)
{
    return qb__is_gated(p->operation) ? 2 * p->hidden : p->hidden;
}

/* The columns of the codes, at least 1. */
static inline uint64_t qb__code_cols(const struct qb_problem *p)
{
    const uint64_t tokens = p->tokens > 0 ? p->tokens : 1;

    return p->operation == QB_OPERATION_TRANSPOSE ? tokens : p->hidden;
}

/* The columns of a head of a cache or of ROPE: see struct qb_problem. */
static inline uint64_t qb__head_size(const struct qb_problem *p)
{
    return p->head_size != 0 ? p->head_size : qb__has_cache(p->operation) ? p->hidden / 2 : p->hidden;
}

/* The columns of a tile of a cache: see struct qb_problem. */
static inline uint64_t qb__kv_tile_cols(const struct qb_problem *p)
{
    return p->granularity == QB_GRANULARITY_GROUP ? p->group : p->hidden / 2;
}

/* The columns that share a tensor scale of P, and how many of these there are, without experts. */
static inline uint64_t qb__tensor_scale_cols(const struct qb_problem *p)
{
    return p->tensor_scale_cols != 0 ? p->tensor_scale_cols : qb__has_cache(p->operation) ? p->hidden / 2 : p->hidden;
}

static inline uint64_t qb__tensor_scales(const struct qb_problem *p)
{
    return qb__ceil_div(p->hidden, qb__tensor_scale_cols(p));
}

/* The other sizes of ROPE: see struct qb_problem. */
static inline uint64_t qb__rotary(const struct qb_problem *p)
{
    return p->rotary != 0 ? p->rotary : qb__head_size(p) / 2 * 2;
}

static inline uint64_t qb__positions(const struct qb_problem *p)
{
    return p->positions != 0 ? p->positions : p->tokens;
}

/* The quantization that the valid problem P, whose strides are filled in, ends with. */
static inline struct qb_problem qb__quantization_of(const struct qb_problem *p)
{
    struct qb_problem q = *p;

    if (qb__has_cache(p->operation)) {
        const bool is_static = p->scaling == QB_SCALING_STATIC;

        q.operation = QB_OPERATION_QUANTIZE;
        q.input_stride = q.output_stride = p->hidden;
        q.granularity = is_static ? QB_GRANULARITY_BLOCK : QB_GRANULARITY_GROUP;
        q.group = q.block_cols = qb__kv_tile_cols(p);
        q.block_rows = p->tokens > 0 ? p->tokens : 1;
        q.tensor_scale_cols = p->tensor_scale != QB_TENSOR_SCALE_NONE ? qb__tensor_scale_cols(p) : 0;
    } else if (p->operation == QB_OPERATION_TRANSPOSE) {
        q.operation = QB_OPERATION_QUANTIZE;
        q.tokens = p->tokens > 0 ? p->hidden : 0;
        q.hidden = q.input_stride = qb__code_cols(p);
        q.block_rows = p->block_cols;
        q.block_cols = p->block_rows;
    } else if (p->operation == QB_OPERATION_DUAL) {
        q.operation = QB_OPERATION_QUANTIZE;
    } else if (p->operation != QB_OPERATION_QUANTIZE) {
        q.operation = QB_OPERATION_QUANTIZE;
        q.input = p->intermediate == QB_INTERMEDIATE_FLOAT ? QB_FORMAT_F32 : p->input;
        q.input_stride = p->hidden;
    }
    return q;
}

/* The other half of P, which is DUAL: its transposed results. */
static inline struct qb_problem qb__transposed_of(const struct qb_problem *p)
{
    struct qb_problem t = *p;

    t.operation = QB_OPERATION_TRANSPOSE;
    t.output_stride = qb__code_cols(&t);
    return t;
}

/* The sums that the squares of a row are added to before these are added up: see struct qb_problem. */
#define QB__NORM_COLUMNS 2048

/* The most rows that an expert of P, or P without experts, can have. */
static inline uint64_t qb__expert_room(const struct qb_problem *p)
{
    return p->experts > 0 && p->expert_rows == QB_EXPERT_ROWS_MASKED ? p->tokens / p->experts : p->tokens;
}

/* See qb_problem_tile(). */
static inline void qb__tile(const struct qb_problem *p, uint64_t *tile_rows, uint64_t *tile_cols)
{
    *tile_rows = qb__expert_room(p) > 0 ? qb__expert_room(p) : 1;
    *tile_cols = p->hidden;
    if (qb__has_cache(p->operation)) {
        *tile_rows = p->scaling == QB_SCALING_STATIC ? *tile_rows : 1;
        *tile_cols = qb__kv_tile_cols(p);
        return;
    }
    if (p->operation == QB_OPERATION_TRANSPOSE) {
        const struct qb_problem q = qb__quantization_of(p);

        qb__tile(&q, tile_rows, tile_cols);
        return;
    }
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

    if (p->operation == QB_OPERATION_TRANSPOSE) {
        const struct qb_problem q = qb__quantization_of(p);

        qb__scale_shape(&q, scale_rows, scale_cols);
        return;
    }
    if (p->experts > 0 && p->granularity == QB_GRANULARITY_TENSOR) {
        *scale_rows = p->experts;
        *scale_cols = 1;
        return;
    }
    qb__tile(p, &tile_rows, &tile_cols);
    *scale_cols = qb__ceil_div(p->hidden, tile_cols);
    *scale_rows = qb__ceil_div(p->tokens, tile_rows);
    /* A scale of the whole tensor or of a whole column exists even when there is nothing to scale. */
    if (p->tokens == 0 && (p->granularity == QB_GRANULARITY_TENSOR || p->granularity == QB_GRANULARITY_CHANNEL ||
                           (qb__has_cache(p->operation) && p->scaling == QB_SCALING_STATIC))) {
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

/* Where the scale of tile (ROW, COL) is in a scale tensor without a layout, in elements of it. */
static inline uint64_t qb__scale_index(const struct qb__tiling *t, uint64_t row, uint64_t col)
{
    return row * t->scale_cols + col;
}

/* Where scales lie in memory, as a matrix of whole elements: see enum qb_scale_layout. */
struct qb__layout {
    enum qb_scale_layout layout;
    uint64_t stride; /* of COLUMNS and PACKED */
    uint64_t across; /* tiles in a row of tiles */
    uint64_t rows, cols;
};

/* That of ROWS x COLS scales of P. */
static inline struct qb__layout qb__layout_for(const struct qb_problem *p, uint64_t rows, uint64_t cols)
{
    const size_t size = p->scale_layout == QB_SCALE_LAYOUT_PACKED ? 4 : qb__element_size(p->scale_format);
    const uint64_t least = qb__ceil_div(rows, 16 / size) * (16 / size);
    struct qb__layout l = {p->scale_layout, p->scale_stride != 0 ? p->scale_stride : least, qb__ceil_div(cols, 4), rows,
                           cols};

    switch (p->scale_layout) {
    case QB_SCALE_LAYOUT_ROWS:
        break;
    case QB_SCALE_LAYOUT_COLUMNS:
        l.rows = cols;
        l.cols = l.stride;
        break;
    case QB_SCALE_LAYOUT_PACKED:
        l.rows = l.across;
        l.cols = 4 * l.stride;
        break;
    case QB_SCALE_LAYOUT_TILED_128X4:
        l.rows = qb__ceil_div(rows, 128) * l.across;
        l.cols = 512;
        break;
    case QB_SCALE_LAYOUT_TILED_8X4:
        l.rows = qb__ceil_div(rows, 8) * l.across;
        l.cols = 32;
        break;
    }
    return l;
}

/* The rows of scales in a tile of LAYOUT; 0: it has none. */
static inline uint64_t qb__layout_height(enum qb_scale_layout layout)
{
    return layout == QB_SCALE_LAYOUT_TILED_128X4 ? 128 : layout == QB_SCALE_LAYOUT_TILED_8X4 ? 8 : 0;
}

static inline struct qb__layout qb__layout_of(const struct qb_problem *p)
{
    const struct qb__tiling t = qb__tiling_of(p);
    const uint64_t height = qb__layout_height(p->scale_layout);
    struct qb__layout l;

    if (p->experts == 0 || p->scale_layout == QB_SCALE_LAYOUT_ROWS) {
        return qb__layout_for(p, t.scale_rows, t.scale_cols);
    }
    if (p->expert_rows == QB_EXPERT_ROWS_MASKED) {
        l = qb__layout_for(p, qb__expert_room(p), t.scale_cols);
        l.rows *= p->experts;
        return l;
    }
    if (height > 0) { /* each expert that has rows may have a tile that is almost empty */
        const uint64_t most = p->experts < p->tokens ? p->experts : p->tokens;

        return qb__layout_for(p, (p->tokens + most * (height - 1)) / height * height, t.scale_cols);
    }
    return qb__layout_for(p, t.scale_rows, t.scale_cols);
}

/* Where scale (ROW, COL) is, in elements. */
static inline uint64_t qb__layout_index(const struct qb__layout *l, uint64_t row, uint64_t col)
{
    switch (l->layout) {
    case QB_SCALE_LAYOUT_ROWS:
        break;
    case QB_SCALE_LAYOUT_COLUMNS:
        return col * l->stride + row;
    case QB_SCALE_LAYOUT_PACKED:
        return 4 * (col / 4 * l->stride + row) + col % 4;
    case QB_SCALE_LAYOUT_TILED_128X4:
        return (row / 128 * l->across + col / 4) * 512 + row % 32 * 16 + row % 128 / 32 * 4 + col % 4;
    case QB_SCALE_LAYOUT_TILED_8X4:
        return (row / 8 * l->across + col / 4) * 32 + row % 8 * 4 + col % 4;
    }
    return row * l->cols + col;
}

/* The elements from the start of a cache to the code of column COL in SLOT; and from the start of the scales of slots
 * to that of scale column COL. */
static inline uint64_t qb__cache_code(const struct qb_problem *p, uint64_t slot, uint64_t col)
{
    const uint64_t half = p->hidden / 2, side = col / half * p->pages * p->page_size * half;
    const uint64_t heads = half / p->head_size, head = col % half / p->head_size;
    const uint64_t page = slot / p->page_size, place = slot % p->page_size;

    return p->page_layout == QB_PAGE_LAYOUT_NHD
               ? side + slot * half + col % half
               : side + ((page * heads + head) * p->page_size + place) * p->head_size + col % p->head_size;
}

static inline uint64_t qb__cache_scale(const struct qb_problem *p, uint64_t slot, uint64_t col)
{
    const uint64_t cols = p->hidden / 2 / qb__kv_tile_cols(p);

    return p->scale_format == QB_FORMAT_F32 ? (col / cols * p->pages * p->page_size + slot) * cols + col % cols
                                            : qb__cache_code(p, slot, col * p->group) / p->group;
}

/* The format of P's zero points, and those with number I. */
static inline enum qb_format qb__zero_point_format(const struct qb_problem *p)
{
    return p->zero_points == QB_ZERO_POINTS_INT32 ? QB_FORMAT_INT32 : QB_FORMAT_INT8;
}

static inline int32_t qb__zero_point_load(const struct qb_problem *p, const void *zero_points, uint64_t i)
{
    return qb__zero_point_format(p) == QB_FORMAT_INT32 ? ((const int32_t *)zero_points)[i]
                                                       : ((const int8_t *)zero_points)[i];
}

static inline void qb__zero_point_store(const struct qb_problem *p, void *zero_points, uint64_t i, int32_t zero_point)
{
    if (qb__zero_point_format(p) == QB_FORMAT_INT32) {
        ((int32_t *)zero_points)[i] = zero_point;
    } else {
        ((int8_t *)zero_points)[i] = (int8_t)zero_point;
    }
}

/* True if P is of whole bytes, with a scale in binary32 for each tile, in rows: all that kernels of the first kind
 * know. */
static inline bool qb__is_plain(const struct qb_problem *p)
{
    return qb__formats[p->output].bits == 8 && p->scale_format == QB_FORMAT_F32 &&
           p->scale_layout == QB_SCALE_LAYOUT_ROWS && p->zero_points == QB_ZERO_POINTS_NONE;
}

/* The smallest scale, 2^-126: the smallest normal binary32. */
#define QB__SCALE_FLOOR 0x1p-126f

/* The smallest scale in F16. */
#define QB__SCALE_FLOOR_F16 0x1p-24f

/* The bits of binary32 of 2^(127 - CODE), what elements are multiplied with by a scale of E8M0. */
QB__CONSTANT_FUNCTION uint32_t qb__power_inverse(uint32_t code)
{
    return code < 254 ? (254 - code) << 23 : code == 254 ? 0x400000u : 0x7FC00000u;
}

#endif
