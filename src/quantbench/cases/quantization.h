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

/* True if the options of each combination go together. If not, that has been printed. */
bool quantization_check(const struct sweep *sweep);

#endif
