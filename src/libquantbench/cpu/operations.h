/* SPDX-License-Identifier: Apache-2.0 */
/* operations.h - one operation on the CPU other than the quantization itself. */
#ifndef QB_CPU_OPERATIONS_H
#define QB_CPU_OPERATIONS_H

#include "quantize.h"

/* Bytes of memory that PROBLEM needs with PLAN. PROBLEM is valid, with its strides filled in, as below. */
size_t qb__cpu_operation_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

/* WORKSPACE holds that many bytes, and begins at a line. */
void qb__cpu_operation(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                       const struct qb_tensors *tensors, void *workspace);

/* As qb__cpu_floor(). */
void qb__cpu_operation_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

#endif
