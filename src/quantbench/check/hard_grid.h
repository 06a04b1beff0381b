/* SPDX-License-Identifier: Apache-2.0 */
/* hard_grid.h - where the numbers of a format are, found by decoding its codes. */
#ifndef HARD_GRID_H
#define HARD_GRID_H

#include "check/scales.h"

/* A format that is quantized from: sign and magnitude, in which magnitudes have the order of their values. */
struct input_grid {
    enum qb_format format;
    uint32_t sign;            /* the bit */
    uint32_t smallest_normal; /* magnitudes below are subnormal */
    uint32_t largest;         /* the largest finite one */
    uint32_t infinity;        /* the largest finite one where there is none */
    uint32_t nan;             /* infinity where there is none */
};

/* No format that is quantized to has more codes. */
#define HARD_MOST_VALUES 256

/* A format that is quantized to. */
struct output_grid {
    enum qb_format format;
    size_t count;
    double values[HARD_MOST_VALUES]; /* all finite ones, in their order; the two zeros are one */
};

struct input_grid hard_input_grid(enum qb_format format);
struct output_grid hard_output_grid(enum qb_format format);

#endif
