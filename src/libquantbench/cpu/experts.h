/* SPDX-License-Identifier: Apache-2.0 */
/* experts.h - problems with experts on the CPU: each expert's rows as a problem of its own. */
#ifndef QB_CPU_EXPERTS_H
#define QB_CPU_EXPERTS_H

#include "quantize.h"

/* Bytes of memory that PROBLEM, which has experts, needs with PLAN. */
size_t qb__cpu_experts_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

/* WORKSPACE holds that many bytes, and begins at a line. The table of experts is valid. */
void qb__cpu_experts(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                     const struct qb_tensors *tensors, void *workspace);

/* As qb__cpu_floor(). */
void qb__cpu_experts_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

#endif
