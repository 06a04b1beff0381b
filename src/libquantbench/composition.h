/* SPDX-License-Identifier: Apache-2.0 */
/* composition.h - operations that compute values and end with their quantization. Each is its values and the quantizing
 * operation, one after the other: so the same rules hold for its codes and scales. */
#ifndef QB_COMPOSITION_H
#define QB_COMPOSITION_H

#include "operation.h"

/* Check what all these operations read. */
enum qb_status qb__composition_validate(const struct qb_problem *p);

/* Set T to the tensor of ROLE as far as it is the quantization's, or that of the values. */
void qb__composition_tensor(const struct qb_problem *p, enum qb_role role, struct qb_tensor_info *t);

/* Check what the loaded TENSORS say, before values are computed. */
enum qb_status qb__composition_check(const struct qb_problem *p, const struct qb_tensors *tensors);

/* Write the values of P, those of experts row by row as their table says, which was checked. */
void qb__values_of(const struct qb_problem *p, const struct qb_tensors *tensors);

/* The format of the weights of a norm, or of angles. */
enum qb_format qb__weight_format(const struct qb_problem *p);

/* The oracle. */
enum qb_status qb__composition_reference(const struct qb_problem *p, const struct qb_arithmetic *arithmetic,
                                         const struct qb_tensors *tensors);

/* Element INDEX of TENSOR, which is of FORMAT, exactly; and store VALUE there, rounded to it. */
float qb__element_load(const void *tensor, enum qb_format format, uint64_t index);
void qb__element_store(void *tensor, enum qb_format format, uint64_t index, float value);

/* VALUE rounded to FORMAT. */
float qb__rounded(enum qb_format format, float value);

#endif
