/* SPDX-License-Identifier: Apache-2.0 */
/* sizes.h - the bytes of a problem's tensors. In no object file, since tests of the library alone need it too. */
#ifndef SIZES_H
#define SIZES_H

#include "quantbench.h"

struct sizes {
    uint64_t of[QB_ROLE_COUNT]; /* each tensor, with the gaps between its rows; 0: there is none */
    uint64_t read;              /* that a launch reads and writes, each once */
    uint64_t written;
};

/* The sizes for a valid PROBLEM. */
static inline struct sizes sizes_of(const struct qb_problem *problem)
{
    struct sizes sizes = {.read = 0};

    for (int role = 0; role < QB_ROLE_COUNT; role++) {
        struct qb_tensor_info tensor = {.size = sizeof tensor};

        if (qb_problem_tensor(problem, (enum qb_role)role, &tensor) == QB_OK) {
            sizes.of[role] = tensor.bytes;
        }
    }
    qb_problem_traffic(problem, &sizes.read, &sizes.written);
    return sizes;
}

/* True if a launch of PROBLEM reads the tensor of ROLE besides the input: it is given. */
static inline bool sizes_is_given(const struct qb_problem *problem, enum qb_role role)
{
    struct qb_tensor_info tensor = {.size = sizeof tensor};

    return role != QB_ROLE_INPUT && qb_problem_tensor(problem, role, &tensor) == QB_OK && tensor.present &&
           !tensor.written;
}

#endif
