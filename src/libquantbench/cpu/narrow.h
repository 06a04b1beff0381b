/* SPDX-License-Identifier: Apache-2.0 */
/* narrow.h - one quantization on the CPU of any valid problem: codes of less than a byte, scales that are not binary32,
 * zero points, and layouts. quantize.h is for the plain ones. */
#ifndef QB_CPU_NARROW_H
#define QB_CPU_NARROW_H

#include "quantize.h"

/* PROBLEM is valid, with its strides filled in. */
void qb__cpu_narrow(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                    const struct qb_tensors *tensors);

#endif
