/* SPDX-License-Identifier: Apache-2.0 */
/* kv_write.h - keys and values into the pages of a cache, on the CPU. */
#ifndef QB_CPU_KV_WRITE_H
#define QB_CPU_KV_WRITE_H

#include "quantize.h"

/* As qb__cpu_operation_workspace() and its like, for QB_OPERATION_KV_WRITE. No slot is beyond the cache. */
size_t qb__cpu_kv_write_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem);
void qb__cpu_kv_write(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                      const struct qb_tensors *tensors, void *workspace);

#endif
