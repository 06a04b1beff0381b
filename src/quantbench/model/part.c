/* SPDX-License-Identifier: Apache-2.0 */
/* part.c - see part.h. */
#include <config.h>

#include "model/part.h"

unsigned part_count(const struct qb_problem *problem)
{
    return problem->operation == QB_OPERATION_DUAL ? PART_MOST : 1;
}

uint64_t part_elements(const struct qb_problem *problem)
{
    return part_count(problem) * (problem->experts > 0 ? problem->expert_tokens : problem->tokens) * problem->hidden;
}

struct qb_problem part_of(const struct qb_problem *problem, unsigned part)
{
    struct qb_problem p = *problem;

    if (part_count(problem) > 1) {
        p.operation = part == 0 ? QB_OPERATION_QUANTIZE : QB_OPERATION_TRANSPOSE;
        p.output_stride = 0;
    }
    return p;
}

enum qb_role part_role(const struct qb_problem *problem, unsigned part, enum qb_role role)
{
    if (part == 0 || part_count(problem) == 1) {
        return role;
    }
    return role == QB_ROLE_CODES ? QB_ROLE_TRANSPOSED : role == QB_ROLE_SCALES ? QB_ROLE_TRANSPOSED_SCALES : role;
}

const char *part_prefix(const struct qb_problem *problem, unsigned part)
{
    return part_role(problem, part, QB_ROLE_CODES) == QB_ROLE_TRANSPOSED ? "transposed " : "";
}

bool part_is_transposed(const struct qb_problem *problem)
{
    return problem->operation == QB_OPERATION_TRANSPOSE;
}

uint64_t part_source(const struct qb_problem *problem, uint64_t element)
{
    return part_is_transposed(problem) ? element % problem->tokens * problem->hidden + element / problem->tokens
                                       : element;
}
