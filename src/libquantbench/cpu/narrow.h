/* SPDX-License-Identifier: Apache-2.0 */
/* narrow.h - one quantization on the CPU of any valid problem: codes of less than a byte, scales that are not binary32,
 * zero points, and layouts. quantize.h is for the plain ones. */
#ifndef QB_CPU_NARROW_H
#define QB_CPU_NARROW_H

#include "quantize.h"

/* PROBLEM is valid, with its strides filled in, and has one tensor scale at most. */
void qb__cpu_narrow(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                    const struct qb_tensors *tensors);

/* As qb__cpu_quantize_rows(), for such problems, of tiles of one row or given scales. Tiles of one row, whose codes
 * fill whole bytes, may have several tensor scales. qb__cpu_narrow_clear() comes first, once for all rows. */
void qb__cpu_narrow_rows(const struct qb__cpu_ops *ops, const struct qb__cpu_plan *plan,
                         const struct qb_problem *problem, const struct qb_tensors *tensors,
                         const struct qb__cpu_rows *rows);

/* Set FACTORS, two for each tile of a row of PROBLEM, to what its tensor scales, STORED, make of them: for struct
 * qb__cpu_rows. */
void qb__cpu_tile_factors(const struct qb_problem *problem, const float *stored, float *factors);

/* Write 0 to the padding of scales that are computed, and to the scales, which come after; unless PLAN has a part. */
void qb__cpu_narrow_clear(const struct qb__cpu_plan *plan, const struct qb_problem *problem,
                          const struct qb_tensors *tensors);

#endif
