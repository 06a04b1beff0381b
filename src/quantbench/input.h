/* SPDX-License-Identifier: Apache-2.0 */
/* input.h - seeded input data. */
#ifndef INPUT_H
#define INPUT_H

#include "quantbench.h"

/* Fill DATA with COUNT elements of FORMAT, normally distributed with mean 0 and standard deviation 1. Element i depends
 * on SEED and i alone, and only exactly rounded operations are used: the same seed gives the same bytes on every
 * machine, for every shape and number of threads. */
void input_generate(enum qb_format format, uint64_t seed, uint64_t count, void *data);

#endif
