/* SPDX-License-Identifier: Apache-2.0 */
/* operation.c - the table of operations. */
#include <config.h>

#include "environment.h"
#include "operation.h"

static const struct qb__operation *const operations[QB_OPERATION_COUNT] = {
    [QB_OPERATION_QUANTIZE] = &qb__operation_quantize,
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
