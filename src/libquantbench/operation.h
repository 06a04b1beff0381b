/* SPDX-License-Identifier: Apache-2.0 */
/* operation.h - an operation's row: its tensors, the check of its problems, and its oracle. One file an operation. */
#ifndef QB_OPERATION_H
#define QB_OPERATION_H

#include "internal.h"

struct qb__operation {
    enum qb_operation operation;
    const char *name;
    /* Check the members of PROBLEM that the operation reads; the caller checks the sizes of its tensors. */
    enum qb_status (*validate)(const struct qb_problem *problem);
    /* Set INFO, which is zero, to the tensor of ROLE of a problem whose members are valid: its presence, uses, format,
     * rows, columns and stride. The rest follows from these; traffic only where it is not set. */
    void (*tensor)(const struct qb_problem *problem, enum qb_role role, struct qb_tensor_info *info);
    /* Write all values of the valid problem P, which was loaded, and their by-products whose tensors are there; NULL
     * for operations that compute none, or from codes. */
    void (*values)(const struct qb_problem *p, const struct qb_tensors *tensors);
    /* Check what TENSORS, in host memory, say about where to write, or to read; NULL: nothing. */
    enum qb_status (*check)(const struct qb_problem *problem, const struct qb_tensors *tensors);
    /* The oracle. */
    enum qb_status (*reference)(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic,
                                const struct qb_tensors *tensors);
};

extern const struct qb__operation qb__operation_quantize, qb__operation_dequantize, qb__operation_silu_mul,
    qb__operation_gelu_mul, qb__operation_rms_norm, qb__operation_add_rms_norm, qb__operation_kv_write,
    qb__operation_rope, qb__operation_transpose, qb__operation_dual, qb__operation_kv_read;

/* Check the members of P that are about experts, after those of its operation. */
enum qb_status qb__experts_validate(const struct qb_problem *p);

/* Check the TABLE of the loaded problem P, if it has experts. */
enum qb_status qb__experts_check(const struct qb_problem *p, const int64_t *table);

/* The bytes that count of the tensor of ROLE of P, which has experts, and whose ROWS have TRAFFIC bytes. */
uint64_t qb__experts_traffic(const struct qb_problem *p, enum qb_role role, uint64_t rows, uint64_t traffic);

/* The row of OPERATION; NULL if it is not in the enum. */
const struct qb__operation *qb__operation_of(enum qb_operation operation);

#endif
