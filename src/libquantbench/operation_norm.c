/* SPDX-License-Identifier: Apache-2.0 */
/* operation_norm.c - RMS_NORM and ADD_RMS_NORM, with additions in the order that the comment of struct qb_problem
 * names: so any number of threads and any width of vectors that divides it gives the same sum. */
#include <config.h>

#include "composition.h"
#include "environment.h"
#include "problem.h"

#include <math.h>

static enum qb_status validate(const struct qb_problem *p)
{
    enum qb_status status = qb__composition_validate(p);

    if (status != QB_OK) {
        return status;
    }
    if (qb_weights_name(p->weights) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "weights %d is not in enum qb_weights", (int)p->weights);
    }
    if (!(p->epsilon >= 0) || isinf(p->epsilon)) {
        return qb__fail(QB_ERROR_INVALID, "epsilon %g; expected a finite number >= 0", (double)p->epsilon);
    }
    return QB_OK;
}

static void tensor(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t)
{
    const bool adds = p->operation == QB_OPERATION_ADD_RMS_NORM;

    if (role == QB_ROLE_WEIGHTS) {
        t->present = t->read = true;
        t->format = qb__weight_format(p);
        t->rows = 1;
        t->cols = t->stride = p->hidden;
    } else if (role == QB_ROLE_RESIDUAL || role == QB_ROLE_SUM) {
        t->present = adds;
        if (adds) {
            t->read = role == QB_ROLE_RESIDUAL;
            t->written = !t->read;
            t->format = p->input;
            t->rows = p->tokens;
            t->cols = t->stride = p->hidden;
        }
    } else {
        qb__composition_tensor(p, role, t);
    }
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

/* Element COL of row ROW of what is normalized. */
static float element(const struct qb_problem *p, const struct qb_tensors *tensors, uint64_t row, uint64_t col)
{
    const float x = qb__element_load(tensors->at[QB_ROLE_INPUT], p->input, row * p->input_stride + col);

    if (p->operation == QB_OPERATION_RMS_NORM) {
        return x;
    }
    return qb__rounded(p->input, x + qb__element_load(tensors->at[QB_ROLE_RESIDUAL], p->input, row * p->hidden + col));
}

/* The sum of the squares of row ROW. */
static float sum_of_squares(const struct qb_problem *p, const struct qb_tensors *tensors, uint64_t row)
{
    float sums[QB__NORM_COLUMNS] = {0};

    for (uint64_t col = 0; col < p->hidden; col++) {
        const float y = element(p, tensors, row, col);
        float *sum = &sums[col % QB__NORM_COLUMNS];

        *sum = col < QB__NORM_COLUMNS ? y * y : fmaf(y, y, *sum);
    }
    for (int count = QB__NORM_COLUMNS / 2; count > 0; count /= 2) {
        for (int i = 0; i < count; i++) {
            sums[i] = sums[2 * i] + sums[2 * i + 1];
        }
    }
    return sums[0];
}

static QB__IN_ENVIRONMENT void values(const struct qb_problem *p, const struct qb_tensors *tensors)
{
    const enum qb_format format = qb__quantization_of(p).input;
    const bool rounds = p->intermediate == QB_INTERMEDIATE_INPUT;

    for (uint64_t row = 0; row < p->tokens; row++) {
        const float mean = sum_of_squares(p, tensors, row) / (float)p->hidden;
        const float factor = 1 / sqrtf(mean + p->epsilon);

        for (uint64_t col = 0; col < p->hidden; col++) {
            const float y = element(p, tensors, row, col);
            const float scaled = rounds ? qb__rounded(p->input, y * factor) : y * factor;

            qb__element_store(tensors->at[QB_ROLE_VALUES], format, row * p->hidden + col,
                              scaled * qb__element_load(tensors->at[QB_ROLE_WEIGHTS], qb__weight_format(p), col));
        }
        for (uint64_t col = 0; col < p->hidden && tensors->at[QB_ROLE_SUM] != NULL; col++) {
            /* Last, since it may be the residual. */
            qb__element_store(tensors->at[QB_ROLE_SUM], p->input, row * p->hidden + col, element(p, tensors, row, col));
        }
    }
}

const struct qb__operation qb__operation_rms_norm = {
    .operation = QB_OPERATION_RMS_NORM,
    .name = "rms-norm",
    .validate = validate,
    .tensor = tensor,
    .values = values,
    .reference = qb__composition_reference,
};

const struct qb__operation qb__operation_add_rms_norm = {
    .operation = QB_OPERATION_ADD_RMS_NORM,
    .name = "add-rms-norm",
    .validate = validate,
    .tensor = tensor,
    .values = values,
    .reference = qb__composition_reference,
};
