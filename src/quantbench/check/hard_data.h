/* SPDX-License-Identifier: Apache-2.0 */
/* hard_data.h - tensors on which a kernel that is nearly right shows it: the values at which codes change, and those
 * next to them, for scales of all kinds; subnormals, zeros, NaN, infinities, and tiles of nothing else. All of it comes
 * from the tables of formats and from the reference's scales, nothing from what one format is like. */
#ifndef HARD_DATA_H
#define HARD_DATA_H

#include "check/hard_grid.h"
#include "model/sizes.h"

/* Data of one shape have no more recipes. */
#define HARD_MOST_RECIPES 64
/* A tensor of more elements is wide: not all recipes may have their turn. */
#define HARD_WIDE ((uint64_t)1 << 17)

struct hard_recipe;

struct hard_data {
    struct qb_problem problem; /* dense rows */
    struct qb_arithmetic arithmetic;
    struct input_grid in; /* of the problem's formats */
    struct output_grid out;
    void *input;             /* host */
    struct qb_tensors given; /* host: what a kernel reads besides the input, by role */
    float tensor_scale;      /* of the first tensor, but those of a single recipe; 1: there is none */
    uint32_t pin;            /* a code: the amax from which the tensor scale is computed; 0: it is not */

    /* How far it is. */
    struct hard_recipe *recipes; /* what tiles are made of, one after the other */
    size_t recipe_count;
    size_t recipe;
    uint32_t *items; /* codes of the input's format that the recipe has beside the amax */
    size_t item_count;
    size_t item;
    uint64_t placed;  /* how many times an amax was placed */
    bool is_done;     /* the recipe is, but the next one needs a tensor of its own */
    bool all;         /* everything has been there */
    const char *kind; /* of hard_operation.h: what is there now; else NULL */
};

/* Begin the data for PROBLEM, whose shape is to be a small one, and for kernels of ARITHMETIC. Of those whose match is
 * not exact, which are made with fast math, nothing is asked but finite numbers that are normal, or zero. False if
 * memory is short. End DATA either way. */
bool hard_data_begin(const struct qb_problem *problem, const struct qb_arithmetic *arithmetic, struct hard_data *data);

/* Fill the input, and what is given, with what comes next; false if everything has been there. */
bool hard_data_fill(struct hard_data *data);

/* Make room, all 0, for what is given by DATA's problem, whose tensors have BYTES; false if memory is short. */
bool hard_data_make_given(struct hard_data *data, const struct sizes *bytes);

/* Give all tensor scales that there are to give: DATA's, and after it others, powers of two away, so that a kernel that
 * takes one for another writes other scales. Codes by scales that are computed are as hard. */
void hard_data_give_tensor_scales(struct hard_data *data);

void hard_data_end(struct hard_data *data);

#endif
