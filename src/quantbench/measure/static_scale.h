/* SPDX-License-Identifier: Apache-2.0 */
/* static_scale.h - a scale for all data of a tensor: from a range of values, and to a problem that is given it. */
#ifndef STATIC_SCALE_H
#define STATIC_SCALE_H

#include "base/message.h"

/* A range of values, and what a checkpoint has for it. */
struct static_scale {
    float low, high;
    float scale;    /* that codes are multiplied with, or the factor of all scales where these are for groups */
    int zero_point; /* 0: there are none */
};

/* True if PROBLEM, as it is swept, has a scale that can be static: one for the tensor, or a tensor scale. */
bool static_scale_has(const struct qb_problem *problem);

/* PROBLEM with that scale given. */
struct qb_problem static_scale_problem(const struct qb_problem *problem);

/* Set what follows from SCALE's range for PROBLEM: what dynamic scaling makes of data of that range. */
enum exit_code static_scale_find(const struct qb_problem *problem, struct static_scale *scale);

/* A scale where a problem reads it. */
struct static_scale_memory {
    uint32_t code;
    int32_t zero_point; /* the lower part comes first */
    float tensor_scale;
};

/* The tensors that PROBLEM, from static_scale_problem(), reads of SCALE; they are in MEMORY. */
struct qb_tensors static_scale_tensors(const struct qb_problem *problem, const struct static_scale *scale,
                                       struct static_scale_memory *memory);

#endif
