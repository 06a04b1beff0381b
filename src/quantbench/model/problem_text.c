/* SPDX-License-Identifier: Apache-2.0 */
/* problem_text.c - a problem in words. */
#include <config.h>

#include "model/problem_text.h"

#include <inttypes.h>
#include <stdio.h>

void problem_granularity_text(const struct qb_problem *problem, char *text, size_t size)
{
    switch (problem->granularity) {
    case QB_GRANULARITY_GROUP:
        snprintf(text, size, "group:%" PRIu64, problem->group);
        break;
    case QB_GRANULARITY_BLOCK:
        snprintf(text, size, "block:%" PRIu64 "x%" PRIu64, problem->block_rows, problem->block_cols);
        break;
    case QB_GRANULARITY_TENSOR:
    case QB_GRANULARITY_TOKEN:
    case QB_GRANULARITY_CHANNEL:
        snprintf(text, size, "%s", qb_granularity_name(problem->granularity));
        break;
    }
}

void problem_text(const struct qb_problem *problem, char *text, size_t size)
{
    char granularity[64];

    problem_granularity_text(problem, granularity, sizeof granularity);
    snprintf(text, size, "%s -> %s, %s, %s, %" PRIu64 " x %" PRIu64, qb_format_info(problem->input)->name,
             qb_format_info(problem->output)->name, qb_scaling_name(problem->scaling), granularity, problem->tokens,
             problem->hidden);
}
