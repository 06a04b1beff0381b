/* SPDX-License-Identifier: Apache-2.0 */
/* inputs.h - the inputs of all cases in host memory, kept as long as there is room for them. */
#ifndef INPUTS_H
#define INPUTS_H

#include "cases/plan.h"

struct tensor_file;

struct inputs {
    uint64_t seed;
    const struct tensor_file *tensor; /* what --input read; NULL: data are generated */
    uint64_t budget;                  /* bytes that generated data may take; one input may take more */
    uint64_t held;
    uint64_t uses; /* so far */
    size_t count;
    struct input_entry *entries;
};

/* The input of PLAN_CASE: dense rows, valid until the next call. An error has been printed. */
enum exit_code inputs_get(struct inputs *inputs, const struct plan_case *plan_case, const void **data);

/* Bytes that have to be generated for it; 0 if they are held. */
uint64_t inputs_missing(const struct inputs *inputs, const struct plan_case *plan_case);

void inputs_free(struct inputs *inputs);

#endif
