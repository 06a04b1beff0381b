/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - what will be run: one case for each combination of the swept options. */
#ifndef PLAN_H
#define PLAN_H

#include "cases/input.h"
#include "model/settings.h"
#include "cases/catalog.h"
#include "cases/machine.h"

struct tensors;
struct tensor;

struct plan_case {
    struct qb_problem problem;
    const struct tensor *tensor;      /* one of those of --input; NULL: data are generated */
    const struct listed_case *listed; /* of --cases; NULL: there is no list */
    enum input_dist dist;             /* of generated data */
    struct device *device;
    const struct kernel *about;     /* the kernel */
    const struct qb_kernel *kernel; /* NULL: it is not loaded in this process */
    unsigned threads;               /* 0: not a CPU case */
    enum cache_state cache;         /* CACHE_COLD or CACHE_HOT */
    enum launch_mode launch; /* what the device can do: LAUNCH_GRAPH has become LAUNCH_STREAM where there are no graphs,
                                unless it was asked for */
    unsigned streams;        /* queues that run it at the same time */
};

struct plan {
    struct plan_case *cases;
    size_t count;
    uint64_t served_tokens; /* by --serve; 0: unknown */
    enum exit_code code; /* EXIT_OK, or why a case that was asked for is not among them; the error has been printed */
};

/* TENSORS are what --input chose, or NULL; LIST is that of --cases, or NULL, and stays as long as PLAN. On failure the
 * error has been printed. Free PLAN either way. */
enum exit_code plan_make(const struct settings *settings, const struct machine *machine, const struct tensors *tensors,
                         const struct case_list *list, struct plan *plan);
void plan_free(struct plan *plan);

#endif
