/* SPDX-License-Identifier: Apache-2.0 */
/* inputs.h - the data of all cases in host memory, kept as long as there is room for them. */
#ifndef INPUTS_H
#define INPUTS_H

#include "cases/plan.h"

struct tensors;

struct inputs {
    uint64_t seed;
    enum expert_load expert_load;
    struct tensors *tensors; /* what --input chose; NULL: data are generated */
    uint64_t budget;         /* bytes that they may take; those of one case may take more */
    uint64_t held;
    uint64_t uses; /* so far */
    size_t count;
    struct input_entry *entries;
};

/* The data of a case, in dense rows. */
struct case_data {
    /* By role, what a launch reads that follows from no other data: the input, weights, the residual, angles,
     * positions, slots and the table of experts; else NULL. Of QB_OPERATION_DEQUANTIZE, which reads no input: what was
     * quantized. */
    const void *at[QB_ROLE_COUNT];
    const void *values;     /* what is quantized: the input, or what the operation makes of it */
    const void *transposed; /* the input, transposed, where that is quantized too; else NULL */
    const void *sum;        /* right for QB_ROLE_SUM; NULL: there is none */
};

/* True if tensors of ROLE are among them. */
bool inputs_have(enum qb_role role);

/* The data of PLAN_CASE, valid until a call for another case. An error has been printed. */
enum exit_code inputs_get(struct inputs *inputs, const struct plan_case *plan_case, struct case_data *data);

/* Set TAKEN to DATA for PART, a part of its problem. */
void inputs_take_part(const struct case_data *data, const struct qb_problem *part, struct case_data *taken);

/* Bytes that have to be made for it; 0 if they are held. */
uint64_t inputs_missing(const struct inputs *inputs, const struct plan_case *plan_case);

void inputs_free(struct inputs *inputs);

#endif
