/* SPDX-License-Identifier: Apache-2.0 */
/* hard_operation.h - hard data of operations that do not only quantize: every element of 16 bits as a gate and as up,
 * rows in which a sum of squares overflows or vanishes, every code that is dequantized, and any bits at all. */
#ifndef HARD_OPERATION_H
#define HARD_OPERATION_H

#include "check/hard_data.h"

/* As hard_data_begin() and hard_data_fill(). End DATA with hard_data_end(). */
bool hard_operation_begin(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                          struct hard_data *data);
bool hard_operation_fill(struct hard_data *data);

#endif
