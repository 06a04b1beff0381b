/* SPDX-License-Identifier: Apache-2.0 */
/* dumps.h - which of the tensors that --input and --tensor choose are dumps of the same activation: a calibration set.
 */
#ifndef DUMPS_H
#define DUMPS_H

#include "cases/tensors.h"

/* The dumps of an activation. They have one type and one hidden size, and any numbers of rows. */
struct dump_set {
    char *name;
    const struct tensor **dumps; /* in the order of TENSORS */
    size_t count;
    uint64_t rows; /* of all */
};

struct dump_sets {
    struct dump_set *values; /* by name; numbers in names count as numbers */
    size_t count;
};

/* Group the items of TENSORS. Without DUMPS_OF, those of one name belong together: a tensor's own, or that of its .npy
 * file without the suffix. DUMPS_OF is the name of all; or, with "{}" in it, a pattern of these names in which that
 * stands for the activation's. On failure the error has been printed. Free SETS either way. */
enum exit_code dumps_group(const struct tensors *tensors, const char *dumps_of, struct dump_sets *sets);
void dumps_free(struct dump_sets *sets);

/* Set *NAME, to be freed, to what "{}" in PATTERN stands for in TEXT: the longest that there is; NULL if TEXT does not
 * match. False if memory is short. */
bool dumps_match(const char *pattern, const char *text, char **name);

#endif
