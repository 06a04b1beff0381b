/* SPDX-License-Identifier: Apache-2.0 */
/* operation_transpose.c - TRANSPOSE and DUAL: codes of the transposed input, alone or beside those of its rows. Their
 * oracle copies the input column by column, and quantizes the copy by the quantizing operation. */
#include <config.h>

#include "operation.h"
#include "problem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- Problems -----------------------------------------------------------------------------------------------------
 */

static const char *name_of(const struct qb_problem *p)
{
    return qb_operation_name(p->operation);
}

/* Check what both operations are restricted to. The formats are in their enumerations. */
static enum qb_status validate_kind(const struct qb_problem *p)
{
    if (p->scaling != QB_SCALING_DYNAMIC) {
        return qb__fail(QB_ERROR_INVALID, "%s requires dynamic scaling", name_of(p));
    }
    if (p->granularity != QB_GRANULARITY_GROUP && p->granularity != QB_GRANULARITY_BLOCK) {
        return qb__fail(QB_ERROR_INVALID, "%s requires granularity group or block", name_of(p));
    }
    if (qb_format_info(p->output)->bits != 8 || p->zero_points != QB_ZERO_POINTS_NONE) {
        return qb__fail(QB_ERROR_INVALID, "%s requires codes of 8 bits, without zero points", name_of(p));
    }
    if (p->scale_format != QB_FORMAT_F32 && p->scale_format != QB_FORMAT_E8M0) {
        return qb__fail(QB_ERROR_INVALID, "%s requires scales in float or e8m0", name_of(p));
    }
    return QB_OK;
}

/* Check the quantization of the rows. That of the columns has the same members, but for its sizes. */
static enum qb_status validate_rows(const struct qb_problem *p)
{
    struct qb_problem rows = *p;
    enum qb_status status;

    rows.operation = QB_OPERATION_QUANTIZE;
    if (p->operation == QB_OPERATION_TRANSPOSE) {
        rows.output_stride = rows.scale_stride = 0;
    }
    status = qb__operation_quantize.validate(&rows);
    return status == QB_OK ? validate_kind(p) : status;
}

static enum qb_status validate_transpose(const struct qb_problem *p)
{
    struct qb_problem columns = qb__quantization_of(p);
    enum qb_status status = validate_rows(p);

    if (status == QB_OK && p->output_stride != 0 && p->output_stride < columns.hidden) {
        return qb__fail(QB_ERROR_INVALID, "output stride %" PRIu64 " is less than %" PRIu64 " tokens, the columns",
                        p->output_stride, columns.hidden);
    }
    return status == QB_OK ? qb__operation_quantize.validate(&columns) : status;
}

static enum qb_status validate_dual(const struct qb_problem *p)
{
    enum qb_status status = validate_rows(p);

    if (status == QB_OK && p->scale_stride != 0) {
        return qb__fail(QB_ERROR_INVALID, "scale stride %" PRIu64 "; dual requires 0, the least of each tensor",
                        p->scale_stride);
    }
    return status;
}

static void tensor_of_transpose(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t)
{
    const struct qb_problem columns = qb__quantization_of(p);

    qb__operation_quantize.tensor(role == QB_ROLE_INPUT ? p : &columns, role, t);
}

static void tensor_of_dual(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t)
{
    const struct qb_problem rows = qb__quantization_of(p), transpose = qb__transposed_of(p);

    if (role == QB_ROLE_TRANSPOSED) {
        tensor_of_transpose(&transpose, QB_ROLE_CODES, t);
    } else if (role == QB_ROLE_TRANSPOSED_SCALES) {
        tensor_of_transpose(&transpose, QB_ROLE_SCALES, t);
    } else {
        qb__operation_quantize.tensor(&rows, role, t);
    }
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

/* Quantize the columns of P, which is TRANSPOSE, from loaded TENSORS. */
static enum qb_status quantize_columns(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                                       const struct qb_tensors *tensors)
{
    const struct qb_problem columns = qb__quantization_of(p);
    const size_t size = qb__element_size(p->input);
    const uint64_t bytes = columns.tokens * columns.hidden * size;
    const char *input = tensors->at[QB_ROLE_INPUT];
    char *copy = malloc(bytes + 1); /* a size of 0 need not give a pointer */
    struct qb_tensors whole = *tensors;
    enum qb_status status;

    if (copy == NULL) {
        return qb__fail(QB_ERROR_MEMORY, "%" PRIu64 " bytes for the reference", bytes);
    }
    for (uint64_t token = 0; token < p->tokens; token++) {
        for (uint64_t col = 0; col < p->hidden; col++) {
            memcpy(copy + (col * p->tokens + token) * size, input + (token * p->input_stride + col) * size, size);
        }
    }
    whole.at[QB_ROLE_INPUT] = copy;
    status = qb__operation_quantize.reference(&columns, arithmetic, &whole);
    free(copy);
    return status;
}

/* Check ARITHMETIC, and load TENSORS of P. */
static enum qb_status begin(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                            const struct qb_tensors *tensors, struct qb_tensors *loaded)
{
    enum qb_status status = qb_arithmetic_validate(arithmetic);

    return status == QB_OK ? qb__tensors_load(p, tensors, loaded) : status;
}

static enum qb_status reference_of_transpose(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                                             const struct qb_tensors *tensors)
{
    struct qb_tensors loaded;
    enum qb_status status = begin(p, arithmetic, tensors, &loaded);

    return status == QB_OK ? quantize_columns(p, arithmetic, &loaded) : status;
}

static enum qb_status reference_of_dual(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                                        const struct qb_tensors *tensors)
{
    const struct qb_problem rows = qb__quantization_of(p), transpose = qb__transposed_of(p);
    struct qb_tensors loaded;
    enum qb_status status = begin(p, arithmetic, tensors, &loaded);

    if (status == QB_OK) {
        status = qb__operation_quantize.reference(&rows, arithmetic, &loaded);
    }
    loaded.at[QB_ROLE_CODES] = loaded.at[QB_ROLE_TRANSPOSED];
    loaded.at[QB_ROLE_SCALES] = loaded.at[QB_ROLE_TRANSPOSED_SCALES];
    return status == QB_OK ? quantize_columns(&transpose, arithmetic, &loaded) : status;
}

const struct qb__operation qb__operation_transpose = {
    .operation = QB_OPERATION_TRANSPOSE,
    .name = "transpose",
    .validate = validate_transpose,
    .tensor = tensor_of_transpose,
    .reference = reference_of_transpose,
};

const struct qb__operation qb__operation_dual = {
    .operation = QB_OPERATION_DUAL,
    .name = "dual",
    .validate = validate_dual,
    .tensor = tensor_of_dual,
    .reference = reference_of_dual,
};
