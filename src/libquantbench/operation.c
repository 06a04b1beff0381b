/* SPDX-License-Identifier: Apache-2.0 */
/* operation.c - the table of operations. */
#include <config.h>

#include "composition.h"
#include "environment.h"
#include "problem.h"

static const struct qb__operation *const operations[QB_OPERATION_COUNT] = {
    [QB_OPERATION_QUANTIZE] = &qb__operation_quantize,   [QB_OPERATION_DEQUANTIZE] = &qb__operation_dequantize,
    [QB_OPERATION_SILU_MUL] = &qb__operation_silu_mul,   [QB_OPERATION_GELU_MUL] = &qb__operation_gelu_mul,
    [QB_OPERATION_RMS_NORM] = &qb__operation_rms_norm,   [QB_OPERATION_ADD_RMS_NORM] = &qb__operation_add_rms_norm,
    [QB_OPERATION_KV_WRITE] = &qb__operation_kv_write,   [QB_OPERATION_ROPE] = &qb__operation_rope,
    [QB_OPERATION_TRANSPOSE] = &qb__operation_transpose, [QB_OPERATION_DUAL] = &qb__operation_dual,
    [QB_OPERATION_KV_READ] = &qb__operation_kv_read,
};

const struct qb__operation *qb__operation_of(enum qb_operation operation)
{
    return (unsigned)operation < QB_OPERATION_COUNT ? operations[operation] : NULL;
}

const char *qb_operation_name(enum qb_operation operation)
{
    const struct qb__operation *row = qb__operation_of(operation);

    return row != NULL ? row->name : NULL;
}

enum qb_status qb__reference_run_unchecked(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                           const struct qb_tensors *tensors)
{
    struct qb__environment kept;
    struct qb_problem p;
    enum qb_status status = qb__problem_load(problem, &p);

    if (status == QB_OK) {
        qb__environment_enter(&kept);
        status = qb__operation_of(p.operation)->reference(&p, arithmetic, tensors);
        qb__environment_leave(&kept);
    }
    return status;
}

enum qb_status qb_reference_run_as(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                   const struct qb_tensors *tensors)
{
    enum qb_status status = qb__reference_trust();

    return status == QB_OK ? qb__reference_run_unchecked(problem, arithmetic, tensors) : status;
}

enum qb_status qb_reference_run(const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    return qb_reference_run_as(problem, &qb__contract, tensors);
}

/* Load TENSORS for the values of P, which was loaded: those that these are computed from, and made of. */
static enum qb_status load_for_values(const struct qb_problem *p, const struct qb_tensors *tensors,
                                      struct qb_tensors *loaded)
{
    static const enum qb_role needed[] = {QB_ROLE_INPUT,     QB_ROLE_WEIGHTS, QB_ROLE_RESIDUAL, QB_ROLE_ANGLES,
                                          QB_ROLE_POSITIONS, QB_ROLE_VALUES,  QB_ROLE_EXPERTS};
    struct qb_problem only = *p;
    enum qb_status status = qb__tensors_take(tensors, loaded);

    only.keep_values = 1;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0] && status == QB_OK; i++) {
        status = qb__tensors_check(&only, loaded, needed[i]);
    }
    if (status == QB_OK && loaded->at[QB_ROLE_SUM] != NULL) {
        status = qb__tensors_check(&only, loaded, QB_ROLE_SUM);
    }
    return status;
}

enum qb_status qb_reference_values(const struct qb_problem *problem, const struct qb_tensors *tensors)
{
    struct qb__environment kept;
    struct qb_problem p;
    struct qb_tensors loaded;
    enum qb_status status = qb__reference_trust();

    if (status == QB_OK) {
        status = qb__problem_load(problem, &p);
    }
    if (status == QB_OK && qb__reads_codes(p.operation)) {
        status = qb__fail(QB_ERROR_INVALID, "%s quantizes no values; qb_reference_run() computes those that it writes",
                          qb_operation_name(p.operation));
    }
    if (status == QB_OK && qb__operation_of(p.operation)->values == NULL) {
        status = qb__fail(QB_ERROR_INVALID, "%s computes no values", qb_operation_name(p.operation));
    }
    if (status == QB_OK) {
        status = load_for_values(&p, tensors, &loaded);
    }
    if (status == QB_OK) {
        status = qb__composition_check(&p, &loaded);
    }
    if (status == QB_OK) {
        qb__environment_enter(&kept);
        qb__values_of(&p, &loaded);
        qb__environment_leave(&kept);
    }
    return status;
}
