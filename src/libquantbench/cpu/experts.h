/* SPDX-License-Identifier: Apache-2.0 */
/* experts.h - problems with experts on the CPU: each expert's rows as a problem of its own. */
#ifndef QB_CPU_EXPERTS_H
#define QB_CPU_EXPERTS_H

#include "expert.h"
#include "quantize.h"
#include "threads.h"

/* Some rows of an expert. */
struct qb__cpu_share {
    uint64_t first, rows;
};

/* The row of an expert with ROWS rows, which has BEFORE rows of others in front, that row ROW of all is in front of:
 * the first one of a tile of HEIGHT rows. */
static inline uint64_t qb__cpu_share_edge(uint64_t row, uint64_t before, uint64_t rows, uint64_t height)
{
    return row <= before ? 0 : row - before >= rows ? rows : (row - before) / height * height;
}

/* What of that expert belongs to the thread that has rows BEGIN to END - 1 of all experts. */
static inline struct qb__cpu_share qb__cpu_share_of(uint64_t begin, uint64_t end, uint64_t before, uint64_t rows,
                                                    uint64_t height)
{
    const uint64_t first = qb__cpu_share_edge(begin, before, rows, height);

    return (struct qb__cpu_share){first, qb__cpu_share_edge(end, before, rows, height) - first};
}

/* Bytes of memory that PROBLEM, which has experts, needs with PLAN. */
size_t qb__cpu_experts_workspace(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

/* WORKSPACE holds that many bytes, and begins at a line. The table of experts is valid. */
void qb__cpu_experts(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                     const struct qb_tensors *tensors, void *workspace);

/* As qb__cpu_floor(). */
void qb__cpu_experts_floor(const struct qb__cpu_plan *plan, const struct qb_problem *problem);

#endif
