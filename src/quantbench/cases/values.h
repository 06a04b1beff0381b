/* SPDX-License-Identifier: Apache-2.0 */
/* values.h - the values that an operation quantizes, from the reference, all CPUs sharing the work. */
#ifndef VALUES_H
#define VALUES_H

#include "quantbench.h"

/* The quantization that PROBLEM ends with; of one that reads codes, the one that it takes back. */
struct qb_problem values_quantization(const struct qb_problem *problem);

/* The problem that makes the values of PROBLEM, which reads codes, of rows of codes: its values_quantization() back. */
struct qb_problem values_reading(const struct qb_problem *problem);

/* True if A and B have the same values, if they have the same data. */
bool values_same(const struct qb_problem *a, const struct qb_problem *b);

/* True if PROBLEM quantizes something else than its input. */
bool values_differ(const struct qb_problem *problem);

/* The part of PROBLEM that is COUNT rows from FIRST on: set PART to its problem, and TENSORS, all of dense rows, to
 * those of the part, as far as they have a row for each token. Scales and zero points stay. */
void values_slice(const struct qb_problem *problem, uint64_t first, uint64_t count, struct qb_problem *part,
                  struct qb_tensors *tensors);

/* Compute the values of PROBLEM, which values_differ(), from TENSORS into these: QB_ROLE_VALUES, and QB_ROLE_SUM if it
 * is there. Rows are dense. */
enum qb_status values_compute(const struct qb_problem *problem, const struct qb_tensors *tensors);

/* Copy the ROWS x COLS elements at FROM, each of SIZE bytes, 2 or 4, to TO, transposed. */
void values_transpose(const void *from, uint64_t rows, uint64_t cols, size_t size, void *to);

#endif
