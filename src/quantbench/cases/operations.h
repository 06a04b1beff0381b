/* SPDX-License-Identifier: Apache-2.0 */
/* operations.h - the operations that are swept: from values of options to the members of a problem. */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include "model/settings.h"

/* How many combinations SWEEP has of operations and what belongs to each. */
size_t operations_count(const struct sweep *sweep);

/* Set what combination INDEX says in PROBLEM: the operation, and the members that it reads. Those of other operations
 * get their defaults. */
void operations_set(const struct sweep *sweep, size_t index, struct qb_problem *problem);

/* True if the options go together. If not, that has been printed. */
bool operations_check(const struct settings *settings);

/* The scaling of what writes into a cache, if none was chosen. */
enum qb_scaling operations_scaling_of_cache(enum qb_granularity granularity);

/* Check what depends on the input's type and its tokens. On failure the error has been printed. */
enum exit_code operations_check_input(const struct qb_problem *problem);

/* Check that PROBLEM has whole heads, if it has any; its hidden size is that of a file, or of an option. On failure the
 * error has been printed. */
enum exit_code operations_check_columns_of_heads(const struct qb_problem *problem, bool from_file);

/* Set the hidden size of PROBLEM, whose input has COLUMNS. On failure the error has been printed. */
enum exit_code operations_set_columns(struct qb_problem *problem, uint64_t columns);

/* Check that P, a quantization of SWEEP whose granularity is GRANULARITY for people, goes with those of its operations
 * that quantize columns. An error has been printed. */
bool operations_check_columns(const struct sweep *sweep, const struct qb_problem *p, const char *granularity);

/* The same for its experts. */
bool operations_check_experts(const struct sweep *sweep, const struct qb_problem *p, const char *granularity);

#endif
