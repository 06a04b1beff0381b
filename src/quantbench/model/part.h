/* SPDX-License-Identifier: Apache-2.0 */
/* part.h - the parts of a problem: results that have codes and scales of their own. Only DUAL has two, the rows and the
 * columns; each is a problem that has one. */
#ifndef PART_H
#define PART_H

#include "quantbench.h"

#include <stdbool.h>

#define PART_MOST 2

/* The parts of PROBLEM, 1 or PART_MOST. */
unsigned part_count(const struct qb_problem *problem);

/* The elements that are quantized in all of them: those of rows that exist. */
uint64_t part_elements(const struct qb_problem *problem);

/* Part PART of PROBLEM: itself, if it has one; else with dense rows of codes. */
struct qb_problem part_of(const struct qb_problem *problem, unsigned part);

/* The role in PROBLEM of the tensor that has ROLE in its part PART. */
enum qb_role part_role(const struct qb_problem *problem, unsigned part, enum qb_role role);

/* What the tensors of part PART of PROBLEM have in front of their names: "", or "transposed ". */
const char *part_prefix(const struct qb_problem *problem, unsigned part);

/* True if what is quantized in PROBLEM, which has one part, is its transposed input. */
bool part_is_transposed(const struct qb_problem *problem);

/* The element of the dense input that is ELEMENT of what is quantized, counted without gaps. Values that are computed
 * have the same number. */
uint64_t part_source(const struct qb_problem *problem, uint64_t element);

#endif
