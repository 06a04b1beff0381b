/* SPDX-License-Identifier: Apache-2.0 */
/* dequantize.h - from codes back to values on the CPU. */
#ifndef QB_CPU_DEQUANTIZE_H
#define QB_CPU_DEQUANTIZE_H

#include "quantize.h"

/* PROBLEM is valid, with its strides filled in. */
void qb__cpu_dequantize(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan,
                        const struct qb_problem *problem, const struct qb_tensors *tensors);

#endif
