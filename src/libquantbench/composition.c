/* SPDX-License-Identifier: Apache-2.0 */
/* composition.c - what operations that end with a quantization share. */
#include <config.h>

#include "composition.h"
#include "expert.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- Elements -----------------------------------------------------------------------------------------------------
 */

float qb__element_load(const void *tensor, enum qb_format format, uint64_t index)
{
    if (qb__element_size(format) == 4) {
        return ((const float *)tensor)[index];
    }
    return qb_format_decode(format, qb__element_size(format) == 2 ? ((const uint16_t *)tensor)[index]
                                                                  : ((const uint8_t *)tensor)[index]);
}

/* By its code, as the bits of a NaN that arithmetic makes differ between processors. */
void qb__element_store(void *tensor, enum qb_format format, uint64_t index, float value)
{
    const uint32_t code = qb_format_encode(format, value);

    if (qb__element_size(format) == 4) {
        ((uint32_t *)tensor)[index] = code;
    } else {
        ((uint16_t *)tensor)[index] = (uint16_t)code;
    }
}

float qb__rounded(enum qb_format format, float value)
{
    return qb_format_decode(format, qb_format_encode(format, value));
}

/* ---- Problems -----------------------------------------------------------------------------------------------------
 */

enum qb_status qb__composition_validate(const struct qb_problem *p)
{
    enum qb_status status = qb__operation_quantize.validate(p);

    if (status != QB_OK) {
        return status;
    }
    if (qb_intermediate_name(p->intermediate) == NULL) {
        return qb__fail(QB_ERROR_INVALID, "intermediate %d is not in enum qb_intermediate", (int)p->intermediate);
    }
    if (p->keep_values > 1) {
        return qb__fail(QB_ERROR_INVALID, "keep_values %" PRIu32 "; expected 0 or 1", p->keep_values);
    }
    if (p->hidden > PTRDIFF_MAX / 8) {
        return qb__fail(QB_ERROR_INVALID, "hidden size %" PRIu64 " is too large", p->hidden);
    }
    if (p->input_stride != 0 && p->input_stride < qb__input_cols(p)) {
        return qb__fail(QB_ERROR_INVALID, "input stride %" PRIu64 " is less than %" PRIu64 " columns", p->input_stride,
                        qb__input_cols(p));
    }
    return QB_OK;
}

void qb__composition_tensor(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t)
{
    const struct qb_problem quantization = qb__quantization_of(p);

    if (role != QB_ROLE_INPUT && role != QB_ROLE_VALUES) {
        qb__operation_quantize.tensor(&quantization, role, t);
        return;
    }
    t->present = role == QB_ROLE_INPUT || p->keep_values;
    if (t->present) {
        t->read = role == QB_ROLE_INPUT;
        t->written = !t->read;
        t->format = t->read ? p->input : quantization.input;
        t->rows = p->tokens;
        t->cols = t->read ? qb__input_cols(p) : p->hidden;
        t->stride = t->read ? p->input_stride : p->hidden;
    }
}

enum qb_status qb_problem_quantization(const struct qb_problem *problem, struct qb_problem *quantization)
{
    struct qb_problem p;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status != QB_OK) {
        return status;
    }
    if (p.operation == QB_OPERATION_DEQUANTIZE) {
        return qb__fail(QB_ERROR_INVALID, "%s has no quantization", qb_operation_name(p.operation));
    }
    p = qb__quantization_of(&p);
    /* qb__give() knows sizes that are none. */
    if (quantization != NULL && quantization->size >= sizeof quantization->size &&
        !qb__fits(&p, sizeof p, quantization->size)) {
        return qb__fail(QB_ERROR_UNSUPPORTED, "the quantization of %s: has a member unknown to the program",
                        qb_operation_name(problem->operation));
    }
    return qb__give(quantization, &p, sizeof p);
}

enum qb_status qb__composition_check(const struct qb_problem *p, const struct qb_tensors *tensors)
{
    const struct qb__operation *operation = qb__operation_of(p->operation);
    const enum qb_status status = qb__experts_check(p, tensors->at[QB_ROLE_EXPERTS]);

    if (status != QB_OK) {
        return status;
    }
    return operation->check != NULL ? operation->check(p, tensors) : QB_OK;
}

void qb__values_of(const struct qb_problem *p, const struct qb_tensors *tensors)
{
    const struct qb__layout layout = qb__layout_of(p);

    if (p->experts == 0) {
        qb__operation_of(p->operation)->values(p, tensors);
    }
    for (struct qb__expert x = {0}; x.index < p->experts; x.index++) {
        struct qb_problem part;
        struct qb_tensors its;

        qb__expert_take(p, &layout, tensors->at[QB_ROLE_EXPERTS], &x);
        part = qb__expert_problem(p, &layout, x.rows);
        its = qb__expert_tensors(p, &x, tensors);
        qb__operation_of(p->operation)->values(&part, &its);
    }
}

enum qb_format qb__weight_format(const struct qb_problem *p)
{
    return p->weights == QB_WEIGHTS_FLOAT ? QB_FORMAT_F32 : p->input;
}

/* ---- The oracle ---------------------------------------------------------------------------------------------------
 */

enum qb_status qb__composition_reference(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                                         const struct qb_tensors *tensors)
{
    const struct qb_problem quantization = qb__quantization_of(p);
    const uint64_t bytes = p->tokens * p->hidden * qb__element_size(quantization.input);
    struct qb_tensors whole;
    void *values = NULL;
    enum qb_status status = qb_arithmetic_validate(arithmetic);

    if (status == QB_OK) {
        status = qb__tensors_load(p, tensors, &whole);
    }
    if (status == QB_OK) {
        status = qb__composition_check(p, &whole);
    }
    if (status != QB_OK) {
        return status;
    }
    if (!p->keep_values) {
        whole.at[QB_ROLE_VALUES] = values = malloc(bytes + 1); /* a size of 0 need not give a pointer */
        if (values == NULL) {
            return qb__fail(QB_ERROR_MEMORY, "%" PRIu64 " bytes for the reference", bytes);
        }
    }
    qb__values_of(p, &whole);
    whole.at[QB_ROLE_INPUT] = whole.at[QB_ROLE_VALUES];
    status = qb__operation_quantize.reference(&quantization, arithmetic, &whole);
    free(values);
    return status;
}
