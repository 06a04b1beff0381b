/* SPDX-License-Identifier: Apache-2.0 */
/* kv_read.h - keys and values from the pages of a cache, on the CPU. */
#ifndef QB_CPU_KV_READ_H
#define QB_CPU_KV_READ_H

#include "quantize.h"

/* As qb__cpu_operation() and its like, for QB_OPERATION_KV_READ. No slot is beyond the cache. */
void qb__cpu_kv_read(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                     const struct qb_tensors *tensors);

#endif
