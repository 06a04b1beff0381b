/* SPDX-License-Identifier: Apache-2.0 */
/* experts.h - the rows of a mixture of experts, taken apart: the problem of each expert, and what belongs to none. */
#ifndef EXPERTS_H
#define EXPERTS_H

#include "quantbench.h"

/* An expert: its problem, its tensors, and the first of its rows in the whole problem. */
struct expert_part {
    struct qb_problem problem;
    struct qb_tensors tensors;
    uint64_t first;
};

/* All experts of a problem. */
struct expert_parts {
    struct expert_part *parts; /* NULL: the problem has no experts */
    uint64_t count;
    uint32_t *owner; /* of each row: the number of its expert, from 1 on; 0: it belongs to none */
};

/* Take PROBLEM apart, if it has experts, by the table in TENSORS (host memory); false if memory is short. */
bool experts_take(const struct qb_problem *problem, const struct qb_tensors *tensors, struct expert_parts *parts);
void experts_free(struct expert_parts *parts);

/* The expert that has ROW; NULL: none has. */
const struct expert_part *experts_of_row(const struct expert_parts *parts, uint64_t row);

/* Set the bytes of MASK, which has one for each of the tensor of ROLE, that a launch of PROBLEM writes by TABLE; false
 * if memory is short. */
bool experts_mark(const struct qb_problem *problem, const int64_t *table, enum qb_role role, uint8_t *mask);

/* Describe byte OFFSET of the scales of PROBLEM. Returns TEXT. */
#define EXPERTS_TEXT_SIZE 96
const char *experts_scale_text(const struct qb_problem *problem, const int64_t *table, uint64_t offset,
                               char text[EXPERTS_TEXT_SIZE]);

/* Some expert that has rows, by RANDOM; false if none has. */
bool experts_choose(const struct qb_problem *problem, const int64_t *table, uint64_t random, uint64_t *expert);

#endif
