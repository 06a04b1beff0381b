/* SPDX-License-Identifier: Apache-2.0 */
/* quantization.h - the ways to quantize that are swept: from values of options to the members of a problem. */
#ifndef QUANTIZATION_H
#define QUANTIZATION_H

#include "model/settings.h"

/* A value of --quant-dtype is a format, or this and the index of a recipe. */
#define QUANTIZATION_RECIPE 256

/* How many combinations SWEEP has of granularities, ways to scale, outputs, and what belongs to these. */
size_t quantization_count(const struct sweep *sweep);

/* Set what combination INDEX says in PROBLEM, whose other members stay. */
void quantization_set(const struct sweep *sweep, size_t index, struct qb_problem *problem);

/* Warn of what the user may not expect of combination INDEX, which is PROBLEM: an option that replaces a part of the
 * recipe. Return true, or false, with a warning, if another value of --quant-dtype gives PROBLEM too, and did so
 * before: once is enough. */
bool quantization_announce(const struct sweep *sweep, size_t index, const struct qb_problem *problem);

/* The option that gave PROBLEM zero points. */
const char *zero_points_option(const struct qb_problem *problem);

/* True if the options of each combination go together. If not, that has been printed. */
bool quantization_check(const struct sweep *sweep);

#endif
