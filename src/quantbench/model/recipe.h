/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.h - the table of recipes: names for what belongs together in a problem, as --quant-dtype takes them. */
#ifndef RECIPE_H
#define RECIPE_H

#include "quantbench.h"

struct recipe {
    const char *name;
    enum qb_format output;
    uint64_t group;
    enum qb_format scale_format;
    enum qb_tensor_scale tensor_scale;
};

/* The recipe at INDEX, or NULL if there are no more. */
const struct recipe *recipe_at(size_t index);

/* The size of the groups that codes of FORMAT have without a recipe, unless the user says otherwise; 0: no groups. One
 * scale for all elements leaves too little of them in 4 bits. */
uint64_t recipe_default_group(enum qb_format format);

/* The recipe that PROBLEM follows; of any size of groups, unless EXACTLY; NULL: none. */
const struct recipe *recipe_of(const struct qb_problem *problem, bool exactly);

/* The name of what PROBLEM quantizes to: that of its recipe, or of the output format. */
const char *recipe_name(const struct qb_problem *problem);

#endif
