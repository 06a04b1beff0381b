/* SPDX-License-Identifier: Apache-2.0 */
/* operation_dequantize.c - DEQUANTIZE: values from codes and scales. Its problem is the one that made them. */
#include <config.h>

#include "composition.h"
#include "environment.h"
#include "problem.h"

#include <math.h>

static enum qb_status validate(const struct qb_problem *p)
{
    if (p->scaling != QB_SCALING_STATIC) {
        return qb__fail(QB_ERROR_INVALID, "dequantize requires static scaling, as it reads the scales");
    }
    return qb__operation_quantize.validate(p);
}

static void tensor(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t)
{
    if (role == QB_ROLE_VALUES) {
        qb__operation_quantize.tensor(p, QB_ROLE_INPUT, t);
        t->read = false;
        t->written = true;
    } else if (role != QB_ROLE_INPUT) {
        qb__operation_quantize.tensor(p, role, t);
        t->read = t->present;
        t->written = false;
    }
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

/* What tile (ROW, COL) needs: its scale, and its zero point. */
struct tile {
    float scale;
    int32_t zero_point;
};

static struct tile tile_of(const struct qb_problem *p, const struct qb_tensors *tensors, uint64_t row, uint64_t col)
{
    const struct qb__tiling t = qb__tiling_of(p);
    const struct qb__layout layout = qb__layout_of(p);
    const uint64_t i = qb__layout_index(&layout, row, col);
    struct tile tile = {.scale = qb__element_load(tensors->at[QB_ROLE_SCALES], p->scale_format, i)};

    if (p->zero_points != QB_ZERO_POINTS_NONE) {
        tile.zero_point = qb__zero_point_load(p, tensors->at[QB_ROLE_ZERO_POINTS], qb__scale_index(&t, row, col));
    }
    return tile;
}

static QB__IN_ENVIRONMENT void values(const struct qb_problem *p, const struct qb_tensors *tensors)
{
    const unsigned bits = qb__packed_bits(p->output, p->packing);
    const uint64_t stride = qb__packed_bytes(p->output, p->packing, p->output_stride);
    const struct qb__tiling t = qb__tiling_of(p);
    const bool has_tensor_scale = p->tensor_scale != QB_TENSOR_SCALE_NONE;
    const float *const tensor_scales = tensors->at[QB_ROLE_TENSOR_SCALE];
    const uint64_t tensor_cols = qb__tensor_scale_cols(p);

    for (uint64_t row = 0; row < p->tokens; row++) {
        const uint8_t *codes = (const uint8_t *)tensors->at[QB_ROLE_CODES] + row * stride;
        struct tile tile = {0};

        for (uint64_t col = 0; col < p->hidden; col++) {
            float q = qb_format_decode(p->output, qb__code_get(codes, col, bits));

            if (col % t.cols == 0) {
                tile = tile_of(p, tensors, row / t.rows, col / t.cols);
            }
            q = (q - (float)tile.zero_point) * tile.scale;
            qb__element_store(tensors->at[QB_ROLE_VALUES], p->input, row * p->input_stride + col,
                              has_tensor_scale ? q * tensor_scales[col / tensor_cols] : q);
        }
    }
}

static enum qb_status reference(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                                const struct qb_tensors *tensors)
{
    struct qb_tensors loaded;
    enum qb_status status = qb_arithmetic_validate(arithmetic);

    if (status == QB_OK) {
        status = qb__tensors_load(p, tensors, &loaded);
    }
    if (status == QB_OK) {
        values(p, &loaded);
    }
    return status;
}

const struct qb__operation qb__operation_dequantize = {
    .operation = QB_OPERATION_DEQUANTIZE,
    .name = "dequantize",
    .validate = validate,
    .tensor = tensor,
    .reference = reference,
};
