/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.c - see recipe.h. */
#include <config.h>

#include "model/recipe.h"

static const struct recipe recipes[] = {
    {"mxfp8", QB_FORMAT_E4M3, 32, QB_FORMAT_E8M0, QB_TENSOR_SCALE_NONE},
    {"mxfp8-e5m2", QB_FORMAT_E5M2, 32, QB_FORMAT_E8M0, QB_TENSOR_SCALE_NONE},
    {"mxfp6", QB_FORMAT_E2M3, 32, QB_FORMAT_E8M0, QB_TENSOR_SCALE_NONE},
    {"mxfp6-e3m2", QB_FORMAT_E3M2, 32, QB_FORMAT_E8M0, QB_TENSOR_SCALE_NONE},
    {"mxfp4", QB_FORMAT_E2M1, 32, QB_FORMAT_E8M0, QB_TENSOR_SCALE_NONE},
    {"nvfp4", QB_FORMAT_E2M1, 16, QB_FORMAT_E4M3, QB_TENSOR_SCALE_GIVEN},
};
#define RECIPES (sizeof recipes / sizeof recipes[0])

const struct recipe *recipe_at(size_t index)
{
    return index < RECIPES ? &recipes[index] : NULL;
}

uint64_t recipe_default_group(enum qb_format format)
{
    return format == QB_FORMAT_INT4 || format == QB_FORMAT_UINT4 ? 128 : 0;
}

const struct recipe *recipe_of(const struct qb_problem *p, bool exactly)
{
    for (size_t i = 0; i < RECIPES; i++) {
        const struct recipe *r = &recipes[i];

        if (p->output == r->output && p->scale_format == r->scale_format && p->granularity == QB_GRANULARITY_GROUP &&
            (p->group == r->group || !exactly) &&
            (p->tensor_scale != QB_TENSOR_SCALE_NONE) == (r->tensor_scale != QB_TENSOR_SCALE_NONE)) {
            return r;
        }
    }
    return NULL;
}

const char *recipe_name(const struct qb_problem *problem)
{
    const struct recipe *recipe = recipe_of(problem, true);

    return recipe != NULL ? recipe->name : qb_format_info(problem->output)->name;
}
