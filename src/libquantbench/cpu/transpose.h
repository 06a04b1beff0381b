/* SPDX-License-Identifier: Apache-2.0 */
/* transpose.h - TRANSPOSE and DUAL on the CPU, as the functions of operations.h. */
#ifndef QB_CPU_TRANSPOSE_H
#define QB_CPU_TRANSPOSE_H

#include "quantize.h"

size_t qb__cpu_transpose_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

void qb__cpu_transpose(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                       const struct qb_tensors *tensors, void *workspace);

void qb__cpu_transpose_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

#endif
