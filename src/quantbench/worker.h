/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h - a second process of this program that runs cases with foreign kernels, and tells what came out. A kernel
 * that crashes or hangs ends that process only; the next case gets a new one. Devices are opened by it anew. */
#ifndef WORKER_H
#define WORKER_H

#include "bench.h"

#include <sys/types.h>

struct worker {
    pid_t pid;  /* 0: not started */
    int socket; /* to it */
};

/* Whether PLAN_CASE is for a worker. */
bool worker_is_needed(const struct args *args, const struct plan_case *plan_case);

/* bench_prove() in WORKER, which is started if need be. A kernel that ends the process, or hangs for longer than
 * --kernel-timeout, is EXIT_CANNOT_RUN. Errors have been printed. */
enum exit_code worker_prove(struct worker *worker, const struct args *args, const struct plan_case *plan_case);

/* Let the process end. */
void worker_end(struct worker *worker);

/* Whether this process is a worker, by the first argument of main(); and all that it does. */
bool worker_is_one(char **argv);
void worker_main(const struct args *args);

#endif
